/*
 * fabricd/bgp/session_snapshot.c -- see session_snapshot.h
 *
 * Saving and restoring are one function, field(), called by the same lists of fields: what is written is what is read,
 * in one order. Reading checks every value that a later step relies on; whatever else may stand there can only be
 * shown.
 *
 * Always true: bgp_peer_restore() reads all of it into copies before it touches the peer.
 */
#include "fabricd/bgp/session_snapshot.h"

#include <errno.h>

#include "fabricd/bgp/peer.h"

/* Writes when w is set, else reads. */
struct pack {
	struct wr *w;
	struct rd *r;
};

static uint64_t
field(struct pack *k, uint64_t v, unsigned int bytes)
{
	for (unsigned int i = bytes; i-- > 0;) {
		if (k->w)
			wr_u8(k->w, (uint8_t)(v >> 8 * i));
		else
			v = (i + 1 == bytes ? 0 : v << 8) | rd_u8(k->r);
	}
	return v;
}

#define FIELD(k, lvalue) ((lvalue) = (__typeof__((lvalue) + 0))(field((k), (uint64_t)(lvalue), sizeof(lvalue))))
#define FLAG(k, lvalue)  ((lvalue) = field((k), (lvalue), 1) != 0)

static void
text(struct pack *k, char *s, size_t size)
{
	size_t n = field(k, strnlen(s, size - 1), 2);

	if (k->w) {
		wr_bytes(k->w, s, n);
		return;
	}
	if (n >= size) {
		k->r->bad = true;
		n = 0;
	}
	rd_bytes(k->r, s, n);
	s[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			s[i] = '?';
}

static void
address(struct pack *k, struct ip *a)
{
	FIELD(k, a->family);
	for (size_t i = 0; i < sizeof(a->b); i++)
		FIELD(k, a->b[i]);
	if (k->r && a->family >= FAMILIES)
		k->r->bad = true;
}

static void
next_hop(struct pack *k, struct bgp_next_hop *nh)
{
	FLAG(k, nh->has_global);
	FLAG(k, nh->has_link_local);
	address(k, &nh->global);
	address(k, &nh->link_local);
}

static void
open_message(struct pack *k, struct bgp_open *o)
{
	FIELD(k, o->version);
	FIELD(k, o->asn);
	FIELD(k, o->hold_s);
	FIELD(k, o->id);
	FIELD(k, o->caps);
	FLAG(k, o->bare);
	text(k, o->hostname, sizeof(o->hostname));
	text(k, o->domain, sizeof(o->domain));
	FIELD(k, o->gr_flags);
	FIELD(k, o->gr_restart_s);
	FIELD(k, o->gr_families);
	FIELD(k, o->gr_forwarding);
	FIELD(k, o->llgr_families);
	FIELD(k, o->llgr_forwarding);
	for (int f = 0; f < FAMILIES; f++)
		FIELD(k, o->llgr_stale_s[f]);
	FIELD(k, o->role);
	for (size_t i = 0; i < ARRAY_LEN(o->others); i++)
		FIELD(k, o->others[i]);
	FIELD(k, o->nothers);
	if (k->r && o->nothers > ARRAY_LEN(o->others))
		k->r->bad = true;
}

static void
facts(struct pack *k, struct bgp_session_facts *f)
{
	uint8_t side = (uint8_t)f->side;

	FLAG(k, f->valid);
	open_message(k, &f->local);
	open_message(k, &f->remote);
	FIELD(k, f->caps);
	FIELD(k, f->hold_s);
	FIELD(k, f->keepalive_s);
	FIELD(k, f->families);
	FLAG(k, f->internal);
	FIELD(k, f->end_of_rib_in);
	FIELD(k, f->end_of_rib_out);
	FIELD(k, side);
	if (k->r && side >= BGP_SIDES)
		k->r->bad = true;
	f->side = side ? BGP_ACCEPTED : BGP_DIALLED;
}

static void
reason(struct pack *k, struct bgp_reason *r)
{
	uint8_t cause = (uint8_t)r->cause;

	FIELD(k, cause);
	FIELD(k, r->code);
	FIELD(k, r->subcode);
	FLAG(k, r->sent);
	FLAG(k, r->received);
	FIELD(k, r->at.us);
	text(k, r->text, sizeof(r->text));
	if (k->r && cause >= BGP_CAUSES)
		k->r->bad = true;
	else
		r->cause = (enum bgp_cause)cause;
}

/* All of them are counters of 64 bits. */
static void
counters(struct pack *k, struct bgp_counters *c)
{
	uint64_t *at = (uint64_t *)c;
	size_t n = sizeof(*c) / sizeof(*at);

	_Static_assert(sizeof(*c) % sizeof(*at) == 0, "struct bgp_counters holds 64-bit counters alone");
	if (field(k, n, 2) != n && k->r)
		k->r->bad = true;
	for (size_t i = 0; i < n; i++)
		FIELD(k, at[i]);
}

/* Only what is shown: while paths are kept for a peer that restarts, nothing is handed over. */
static void
restart(struct pack *k, struct bgp_restart *r)
{
	uint8_t ended = (uint8_t)r->ended;

	FIELD(k, r->since.us);
	FIELD(k, ended);
	FIELD(k, r->ended_at.us);
	text(k, r->text, sizeof(r->text));
	FIELD(k, r->begun);
	FIELD(k, r->told);
	if (k->r && ended >= BGP_STALE_ENDS)
		k->r->bad = true;
	else
		r->ended = (enum bgp_stale_end)ended;
}

static void
connection(struct pack *k, struct bgp_conn *c)
{
	open_message(k, &c->remote);
	FIELD(k, c->caps);
	FIELD(k, c->hold_s);
	FIELD(k, c->hold.us);
	FIELD(k, c->keepalive.us);
	FLAG(k, c->hold_granted);
	FIELD(k, c->produced);
	FIELD(k, c->written);
}

static void
peer(struct pack *k, struct bgp_peer *p)
{
	FLAG(k, p->started);
	FLAG(k, p->link);
	FLAG(k, p->refuse);
	FIELD(k, p->since.us);
	FIELD(k, p->idle.us);
	FIELD(k, p->failures);
	FIELD(k, p->penalty);
	facts(k, &p->facts);
	reason(k, &p->reason);
	reason(k, &p->last_reset);
	restart(k, &p->restart);
	counters(k, &p->counters);
	text(k, p->notice_in, sizeof(p->notice_in));
	text(k, p->notice_out, sizeof(p->notice_out));
	for (int f = 0; f < FAMILIES; f++) {
		FLAG(k, p->refresh[f].pending);
		FIELD(k, p->refresh[f].next.us);
		FLAG(k, p->has_next_hop[f]);
		next_hop(k, &p->next_hop[f]);
	}
	FIELD(k, p->send_hold.us);
}

void
bgp_peer_save(const struct bgp_peer *p, struct wr *w)
{
	struct bgp_peer copy = *p; /* field() takes what it may write to */
	struct bgp_conn *c = peer_established(&copy);
	struct pack k = { .w = w };

	field(&k, c != NULL, 1);
	peer(&k, &copy);
	if (c)
		connection(&k, c);
}

/* What an Established session must hold so that nothing later relies on what is not there. */
static bool
is_sound(const struct bgp_peer *p, const struct bgp_conn *c)
{
	const struct bgp_session_facts *f = &p->facts;

	return f->valid && f->caps == c->caps && (c->caps & ~p->cfg.caps) == 0 && (c->caps & BGP_CAP_MP) &&
	       f->families && (f->families >> FAMILIES) == 0 && c->hold_s == f->hold_s && c->hold_s != 1 &&
	       c->hold_s != 2 && c->remote.asn == f->remote.asn && f->internal == (c->remote.asn == p->cfg.local_as) &&
	       (!p->cfg.peer_as || c->remote.asn == p->cfg.peer_as) &&
	       (!p->cfg.peer_id || c->remote.id == p->cfg.peer_id) && c->written <= c->produced &&
	       (c->hold_s == 0) == mono_is_never(c->keepalive);
}

static void
come_back(struct bgp_peer *p, const struct bgp_conn *saved)
{
	struct bgp_conn *c = &p->conns[p->facts.side];

	*c = *saved;
	c->peer = p;
	c->side = (uint8_t)p->facts.side;
	c->state = p->state = BGP_ESTABLISHED;
	c->open = c->has_remote = true;
	c->written = c->produced;
	p->started = p->link = true;
}

int
bgp_peer_restore(struct bgp_peer *p, struct rd r)
{
	struct pack k = { .r = &r };
	struct bgp_peer copy = *p;
	struct bgp_conn c = { .peer = p };
	bool up;

	if (p->started || p->inside)
		return -EBADMSG;
	up = field(&k, 0, 1) != 0;
	peer(&k, &copy);
	if (up)
		connection(&k, &c);
	if (r.bad || !rd_done(&r) || (up && !is_sound(&copy, &c)))
		return -EBADMSG;
	*p = copy;
	if (up)
		come_back(p, &c);
	return 0;
}

struct bgp_conn *
bgp_peer_conn(struct bgp_peer *p)
{
	return peer_established(p);
}

struct mono
bgp_peer_keep(struct bgp_peer *p, struct mono now)
{
	struct bgp_conn *c = peer_established(p);

	if (!c)
		return MONO_NEVER;
	peer_enter(p, now);
	if (mono_due(c->keepalive, now))
		conn_event(c, BGP_EV_KEEPALIVE_EXPIRES, NULL);
	p->inside--; /* not peer_leave(): nothing else begins */
	return c->keepalive;
}

void
bgp_peer_thaw(struct bgp_peer *p, struct mono now)
{
	struct bgp_conn *c = peer_established(p);

	if (c && !mono_is_never(c->hold))
		c->hold.us = MAX_OF(c->hold.us, mono_add(now, MAX_OF(SECONDS(1), SECONDS(c->hold_s) / 3)).us);
}

void
bgp_peer_resume(struct bgp_peer *p, size_t waiting, struct mono now)
{
	struct bgp_conn *c = peer_established(p);

	if (!c)
		return;
	bgp_peer_thaw(p, now);
	c->produced += waiting;
	p->send_goal = c->produced;
	if (!waiting || p->cfg.send_hold_us < 0)
		p->send_hold = MONO_NEVER;
	else if (mono_is_never(p->send_hold))
		p->send_hold = mono_add(now, p->cfg.send_hold_us);
	if (c->hold_s)
		c->keepalive = now; /* bgp_timer() sends it */
}
