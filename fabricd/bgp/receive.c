/*
 * fabricd/bgp/receive.c -- bytes of a connection to messages, and what each of them does
 *
 * Only whole messages are looked at, a bounded number per call. A message that does not fit the state goes to the
 * state machine as the event it is; what is to be done with it otherwise is done here. One malformed UPDATE costs
 * what RFC 7606 says, and is told in words.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fabricd/bgp/peer.h"
#include "fabricd/lib/base.h"

#define WORDS 160 /* room for a part of what is told */

/* The connection goes because of something in a message; notice NULL: the state machine has one. */
static void PRINTF_LIKE(5, 6) fail(
    struct bgp_conn *c, enum bgp_event ev, enum bgp_cause cause, const struct bgp_notice *notice, const char *fmt, ...)
{
	struct bgp_peer *p = c->peer;
	char text[BGP_REASON_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (conn_leads(c))
		peer_blame(p, cause, "%s", text);
	peer_event(p, BGP_EVENT_ERROR, "%s: %s", p->name, text);
	conn_event(c, ev, notice);
}

static void
fail_notice(struct bgp_conn *c, enum bgp_event ev, const struct bgp_notice *notice)
{
	char words[BGP_NOTICE_TEXT];

	bgp_notice_text(notice, words, sizeof(words));
	fail(c, ev, BGP_CAUSE_BAD_MESSAGE, notice, "malformed: %s", words);
}

/* RFC 6608 4: the NOTIFICATION tells the type of the message. */
static void
unexpected(struct bgp_conn *c, enum bgp_event ev, uint8_t type)
{
	const struct bgp_step *step = bgp_fsm_step((enum bgp_state)c->state, ev);
	struct bgp_notice n = bgp_notice_make(step->code, step->subcode, &type, 1);

	fail(c, ev, BGP_CAUSE_BAD_MESSAGE, &n, "unexpected %s in %s", bgp_type_name(type),
	    bgp_state_name((enum bgp_state)c->state));
}

/* ---- OPEN ---- */

static void
refuse_identity(struct bgp_conn *c, const struct bgp_open *o, uint8_t subcode, const char *wanted)
{
	struct bgp_peer *p = c->peer;
	struct bgp_notice n = bgp_notice_make(BGP_ERR_OPEN, subcode, NULL, 0);
	struct ip id = ip_v4(o->id);
	char text[BGP_REASON_TEXT], seen[IP_TEXT];

	snprintf(text, sizeof(text), "wrong neighbour: wanted %s, seen AS %u identifier %s%s%s", wanted, o->asn,
	    ip_print(&id, seen), *o->hostname ? ", host " : "", o->hostname);
	p->counters.identity_refusals++;
	restart_abort(p, BGP_STALE_STRANGER, text);
	p->ops.identity(p, o, text, p->arg);
	if (conn_leads(c))
		peer_blame(p, BGP_CAUSE_IDENTITY, "%s", text);
	conn_event(c, BGP_EV_OPEN_ERROR, &n);
}

/* Whether the one who speaks is who is expected: AS number, identifier, and not ourselves. */
static bool
check_identity(struct bgp_conn *c, const struct bgp_open *o)
{
	const struct bgp_config *cfg = &c->peer->cfg;
	struct ip id = ip_v4(cfg->peer_id);
	char wanted[WORDS], text[IP_TEXT];

	if (o->id == cfg->router_id && o->asn == cfg->local_as) {
		refuse_identity(c, o, 3, "a neighbour, and this is ourselves");
		return false;
	}
	if (cfg->peer_id)
		snprintf(wanted, sizeof(wanted), "AS %u identifier %s", cfg->peer_as, ip_print(&id, text));
	else
		snprintf(wanted, sizeof(wanted), "AS %u", cfg->peer_as);
	if (cfg->peer_as && o->asn != cfg->peer_as) {
		refuse_identity(c, o, 2, wanted);
		return false;
	}
	if (cfg->peer_id && o->id != cfg->peer_id) {
		refuse_identity(c, o, 3, wanted);
		return false;
	}
	return true;
}

/* RFC 5492 5: says which capabilities we miss. */
static void
refuse_families(struct bgp_conn *c)
{
	static const uint8_t wanted[] = { 1, 4, 0, 1, 0, BGP_SAFI_UNICAST, 1, 4, 0, 2, 0, BGP_SAFI_UNICAST };
	uint32_t ours = c->peer->cfg.caps & BGP_CAP_MP;
	size_t one = sizeof(wanted) / FAMILIES;
	struct bgp_notice n = bgp_notice_make(BGP_ERR_OPEN, 7, ours == BGP_CAP_MP_IPV6 ? wanted + one : wanted,
	    ours == BGP_CAP_MP ? sizeof(wanted) : one);

	fail(c, BGP_EV_OPEN_ERROR, BGP_CAUSE_BAD_MESSAGE, &n, "no address family in common with the peer");
}

static void
note_facts(struct bgp_conn *c)
{
	struct bgp_session_facts *f = &c->peer->facts;
	const struct bgp_config *cfg = &c->peer->cfg;

	f->valid = true;
	f->remote = c->remote;
	f->caps = c->caps;
	f->hold_s = c->hold_s;
	f->keepalive_s = c->hold_s / 3;
	f->families = 0;
	for (int i = 0; i < FAMILIES; i++)
		if (c->caps & bgp_cap_family((enum family)i))
			f->families |= (uint8_t)(1u << i);
	f->internal = c->remote.asn == cfg->local_as;
	f->side = (enum bgp_side)c->side;
}

static void
on_open(struct bgp_conn *c, const struct bgp_message *m)
{
	struct bgp_peer *p = c->peer;
	struct bgp_notice err;
	struct bgp_open o;

	if (c->waits)
		conn_confirm(c); /* a second OPEN on it finds it where the first one has brought it */
	if (c->state != BGP_OPEN_SENT) {
		unexpected(c, BGP_EV_OPEN, BGP_OPEN);
		return;
	}
	if (!bgp_open_parse(m->body, &o, &err)) {
		fail_notice(c, BGP_EV_OPEN_ERROR, &err);
		return;
	}
	if (!check_identity(c, &o))
		return;
	c->caps = p->cfg.caps & o.caps;
	if (!(c->caps & BGP_CAP_MP)) {
		refuse_families(c);
		return;
	}
	c->remote = o;
	c->has_remote = true;
	c->hold_s = MIN_OF(p->cfg.hold_s, o.hold_s);
	if (!peer_established(p))
		note_facts(c);
	peer_resolve_collision(p, c);
	if (c->state != BGP_OPEN_SENT)
		return; /* it lost */
	if (!conn_wait(c))
		conn_confirm(c);
}

/* ---- the others ---- */

static void
on_keepalive(struct bgp_conn *c, const struct bgp_message *m)
{
	if (c->waits)
		conn_confirm(c);
	if (c->state == BGP_OPEN_SENT)
		unexpected(c, BGP_EV_KEEPALIVE, m->type);
	else
		conn_event(c, BGP_EV_KEEPALIVE, NULL);
}

static void
on_notification(struct bgp_conn *c, const struct bgp_message *m)
{
	struct bgp_peer *p = c->peer;
	bool leads = conn_leads(c);
	struct bgp_notice n;

	if (!bgp_notice_parse(m->body, &n))
		return; /* the frame has two octets at least */
	p->counters.notices_in++;
	bgp_notice_text(&n, p->notice_in, sizeof(p->notice_in));
	if (leads) {
		peer_blame(p, BGP_CAUSE_NOTICE, "the peer says: %s", p->notice_in);
		p->reason.code = n.code;
		p->reason.subcode = n.subcode;
		p->reason.received = true;
	}
	if (leads || n.code != BGP_ERR_CEASE || n.subcode != BGP_CEASE_COLLISION) /* else it is as it should be */
		peer_event(p, BGP_EVENT_ERROR, "%s: NOTIFICATION from the peer: %s", p->name, p->notice_in);
	conn_event(c, n.code == BGP_ERR_OPEN && n.subcode == 1 ? BGP_EV_NOTICE_VERSION : BGP_EV_NOTICE, NULL);
}

static struct bgp_update_opts
update_opts(const struct bgp_conn *c)
{
	const struct bgp_config *cfg = &c->peer->cfg;

	return (struct bgp_update_opts){ .local_as = cfg->local_as,
		.peer_as = cfg->any_first_as ? 0 : c->remote.asn,
		.caps = c->caps,
		.internal = c->remote.asn == cfg->local_as,
		.keep_unknown = cfg->keep_unknown,
		.link_local_ok = cfg->link_local_ok,
		.local = cfg->local };
}

static void
count_update(struct bgp_peer *p, const struct bgp_update *u)
{
	struct bgp_counters *n = &p->counters;

	n->fates[u->fate]++;
	n->discarded_attrs += u->ndiscarded;
	for (unsigned int i = 0; i < u->nwithdrawn; i++)
		n->withdrawn_in[u->withdrawn[i].family] += u->withdrawn[i].count;
	for (unsigned int i = 0; i < u->nreach; i++)
		n->prefixes_in[u->reach[i].nlri.family] += u->reach[i].nlri.count;
	p->facts.end_of_rib_in |= u->end_of_rib;
}

/*
 * A message of 65,535 octets (RFC 8654) can name 20,000 prefixes, which takes longer than anybody may hold the loop. The
 * owner is told so many of them at a time; meanwhile the message stays in the input, and is parsed anew for each piece.
 * So nothing of it has to be kept, and whoever goes on with our input begins with its first prefix.
 */
#define PIECE 2048u

/* Leaves of n what comes behind its first *skip prefixes, *room at most, and counts both down; true: there is more. */
static bool
cut_section(struct bgp_nlri *n, uint32_t *skip, uint32_t *room)
{
	uint32_t drop = MIN_OF(*skip, n->count), take = MIN_OF(n->count - drop, *room);
	bool more = drop + take != n->count;
	struct bgp_nlri end;
	struct prefix p;

	*skip -= drop;
	*room -= take;
	if (take == n->count) /* all of it */
		return false;
	for (uint32_t i = 0; i < drop; i++)
		bgp_nlri_next(n, &p);
	end = *n;
	for (uint32_t i = 0; i < take; i++)
		bgp_nlri_next(&end, &p);
	n->r.end = end.r.at;
	n->count = take;
	return more;
}

/* Leaves the next piece in u, where sections may be empty now; false: it is the last one. */
static bool
cut_update(struct bgp_update *u, uint32_t skip)
{
	uint32_t room = PIECE;
	bool more = false;

	for (unsigned int i = 0; i < u->nwithdrawn; i++)
		more |= cut_section(&u->withdrawn[i], &skip, &room);
	for (unsigned int i = 0; i < u->nreach; i++)
		more |= cut_section(&u->reach[i].nlri, &skip, &room);
	return more;
}

static void
on_update(struct bgp_conn *c, const struct bgp_message *m)
{
	struct bgp_peer *p = c->peer;
	struct bgp_update_opts opt;
	struct bgp_update u;
	bool first = c->told == 0, more;
	char text[WORDS];

	if (c->state != BGP_ESTABLISHED) {
		unexpected(c, BGP_EV_UPDATE, m->type);
		return;
	}
	opt = update_opts(c);
	bgp_update_parse(m->body, &opt, p->scratch, &u);
	if (first)
		count_update(p, &u);
	if (first && u.malformed) {
		if (u.bad_attr)
			snprintf(text, sizeof(text), "%s %s(%u): %s", bgp_fate_name(u.fate), bgp_attr_name(u.bad_attr),
			    u.bad_attr, u.why);
		else
			snprintf(text, sizeof(text), "%s: %s", bgp_fate_name(u.fate), u.why);
	}
	if (u.fate == BGP_FATE_RESET) {
		fail(c, BGP_EV_UPDATE_ERROR, BGP_CAUSE_BAD_MESSAGE, &u.notice, "malformed UPDATE, %s", text);
		return;
	}
	if (first && u.malformed)
		peer_event(p, BGP_EVENT_ERROR, "%s: malformed UPDATE, %s", p->name, text);
	conn_event(c, BGP_EV_UPDATE, NULL);
	more = cut_update(&u, c->told);
	c->told = more ? c->told + PIECE : 0;
	p->ops.update(p, &u, p->arg);
	if (u.end_of_rib)
		restart_end_of_rib(p, u.end_of_rib);
}

/* However often requests come, they are answered once in cfg.refresh_us at most, and the last one is never lost. */
static void
on_refresh_request(struct bgp_peer *p, enum family f)
{
	if (!mono_due(p->refresh[f].next, p->now)) {
		p->counters.refresh_coalesced++;
		p->refresh[f].pending = true;
		return;
	}
	p->refresh[f].pending = false;
	p->refresh[f].next = mono_add(p->now, p->cfg.refresh_us);
	p->ops.refresh(p, f, BGP_REFRESH_REQUEST, p->arg);
}

/* RFC 7313 4: a beginning before End-of-RIB is ignored, and so is an end whose beginning was, or that has none. */
static void
on_refresh_mark(struct bgp_conn *c, enum family f, enum bgp_refresh what)
{
	struct bgp_peer *p = c->peer;
	bool told = !(c->caps & BGP_CAP_GRACEFUL_RESTART) || p->facts.end_of_rib_in & 1u << f;
	bool heeded = what == BGP_REFRESH_BEGIN ? told : p->refresh[f].begun;

	p->refresh[f].begun = heeded && what == BGP_REFRESH_BEGIN;
	if (heeded)
		p->ops.refresh(p, f, what, p->arg);
}

static void
on_refresh(struct bgp_conn *c, const struct bgp_message *m)
{
	struct bgp_peer *p = c->peer;
	struct bgp_refresh_message r;
	struct bgp_notice err;
	enum family f;

	if (c->state != BGP_ESTABLISHED) {
		unexpected(c, BGP_EV_REFRESH, m->type);
		return;
	}
	if (!bgp_refresh_parse(m, c->caps & BGP_CAP_ENHANCED_REFRESH, &r, &err)) {
		fail_notice(c, BGP_EV_UPDATE_ERROR, &err);
		return;
	}
	conn_event(c, BGP_EV_REFRESH, NULL);
	if (!bgp_family_of(r.afi, r.safi, &f) || !(c->caps & bgp_cap_family(f)))
		return;
	if (r.subtype == BGP_REFRESH_REQUEST &&
	    (p->cfg.caps & BGP_CAP_REFRESH)) /* what the peer can take is its business */
		on_refresh_request(p, f);
	else if ((r.subtype == BGP_REFRESH_BEGIN || r.subtype == BGP_REFRESH_END) &&
		 (c->caps & BGP_CAP_ENHANCED_REFRESH))
		on_refresh_mark(c, f, (enum bgp_refresh)r.subtype);
	/* others are ignored: RFC 7313 5 */
}

/* ---- the stream ---- */

static void
on_message(struct bgp_conn *c, const struct bgp_message *m)
{
	static void (*const handlers[BGP_TYPES])(struct bgp_conn *, const struct bgp_message *) = {
		[BGP_OPEN] = on_open,
		[BGP_UPDATE] = on_update,
		[BGP_NOTIFICATION] = on_notification,
		[BGP_KEEPALIVE] = on_keepalive,
		[BGP_ROUTE_REFRESH] = on_refresh,
	};

	if (c->told == 0) {
		c->peer->counters.in[m->type]++;
		c->peer->counters.in_bytes += m->len;
	}
	handlers[m->type](c, m);
}

static void
on_bad_frame(struct bgp_conn *c, const uint8_t *at, const struct bgp_notice *err)
{
	c->peer->counters.in[0]++;
	if (at[18] == BGP_NOTIFICATION) /* RFC 4271 6.4: an error in a NOTIFICATION is not answered */
		fail(c, BGP_EV_NOTICE, BGP_CAUSE_NOTICE, NULL, "malformed NOTIFICATION from the peer");
	else
		fail_notice(c, BGP_EV_HEADER_ERROR, err);
}

size_t
bgp_input(struct bgp_conn *c, const uint8_t *bytes, size_t n, struct mono now)
{
	struct bgp_peer *p = c->peer;
	struct bgp_notice err;
	struct bgp_message m;
	unsigned int messages = 0;
	size_t used = 0;

	if (c->state < BGP_OPEN_SENT)
		return n;
	peer_enter(p, now);
	c->input_more = c->unread = false;
	while (c->state >= BGP_OPEN_SENT && p->ask == ASK_NOTHING) {
		enum bgp_frame got = bgp_frame(bytes + used, n - used, c->caps & BGP_CAP_EXTENDED_MESSAGE, &m, &err);

		if (got == BGP_FRAME_MORE)
			break;
		if (messages == p->cfg.input_messages || (messages && used >= p->cfg.input_bytes)) {
			c->input_more = true;
			break;
		}
		if (got == BGP_FRAME_BAD) {
			on_bad_frame(c, bytes + used, &err);
			break;
		}
		if (messages && m.len > BGP_MAX) { /* it may be a long one: by itself */
			c->input_more = true;
			break;
		}
		messages++;
		on_message(c, &m);
		if (c->told) {
			c->input_more = true;
			break;
		}
		used += m.len;
	}
	peer_leave(p);
	return c->state < BGP_OPEN_SENT ? n : used;
}

void
bgp_input_waits(struct bgp_conn *c)
{
	c->unread = true;
}

bool
bgp_input_pending(const struct bgp_conn *c)
{
	return c->input_more;
}

size_t
bgp_input_max(const struct bgp_conn *c)
{
	return c->caps & BGP_CAP_EXTENDED_MESSAGE ? BGP_MAX_EXTENDED : BGP_MAX;
}
