/*
 * fabricd/bgp/send.c -- what a connection sends: control messages first, then shared batches of UPDATEs
 *
 * Output is pulled by the owner as TCP takes it. A message that was begun is always finished first; at the border
 * of messages control goes before queued UPDATEs, so that a KEEPALIVE never waits behind a table. A batch is shared
 * with other peers and never written to: the next hop is laid over the copy.
 *
 * Send hold (RFC 9687) is judged by progress: from the moment something waits, TCP must take all of it, or 64 KiB,
 * before the timer. A window of one octet is no progress.
 */
#include <stdio.h>

#include "fabricd/bgp/peer.h"
#include "fabricd/lib/base.h"

#define PROGRESS   65536u
#define BATCH_COST (sizeof(struct bgp_batch) + 2 * sizeof(void *) + 16) /* of memory, beside the messages in it */

/* ---- control messages ---- */

static void
tell_ready(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;

	if (c->ready_told || !c->open)
		return;
	c->ready_told = true;
	p->ops.output_ready(c, p->arg);
}

static size_t
waiting(const struct bgp_conn *c)
{
	const struct bgp_peer *p = c->peer;

	return c->control_len + (c->state == BGP_ESTABLISHED ? p->queue.bytes : 0) + (size_t)(c->produced - c->written);
}

/* Something waits from now on, or still does after progress. */
static void
arm_send_hold(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	size_t n = waiting(c);

	if (c->state != BGP_ESTABLISHED || p->cfg.send_hold_us < 0)
		return;
	p->send_goal = c->written + MIN_OF(n, PROGRESS);
	p->send_hold = n ? mono_add(p->now, p->cfg.send_hold_us) : MONO_NEVER;
}

/* Less waits than before, though nothing was taken: what is gone is not waited for. */
static void
lower_send_goal(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	size_t n = waiting(c);

	p->send_goal = MIN_OF(p->send_goal, c->written + n);
	if (n == 0)
		p->send_hold = MONO_NEVER;
}

static void
queued(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;

	if (mono_is_never(p->send_hold)) {
		arm_send_hold(c);
		p->send_unclocked = p->inside == 0; /* bgp_send() knows no time: p->now is that of an earlier call */
	}
	tell_ready(c);
}

void
send_clock(struct bgp_peer *p)
{
	p->send_unclocked = false;
	if (!mono_is_never(p->send_hold))
		p->send_hold = mono_add(p->now, p->cfg.send_hold_us);
}

static struct wr
control_room(struct bgp_conn *c)
{
	return wr_make(c->control + c->control_len, sizeof(c->control) - c->control_len);
}

static bool
control_add(struct bgp_conn *c, const struct wr *w, enum bgp_type type)
{
	if (w->full)
		return false;
	c->control_len = (uint16_t)(c->control_len + wr_len(w));
	c->peer->counters.out[type]++;
	queued(c);
	return true;
}

static uint8_t
families_offered(const struct bgp_peer *p)
{
	uint8_t families = 0;

	for (int f = 0; f < FAMILIES; f++)
		if (p->cfg.caps & bgp_cap_family((enum family)f))
			families |= (uint8_t)(1u << f);
	return families;
}

static void
local_open(const struct bgp_peer *p, struct bgp_open *o)
{
	const struct bgp_config *cfg = &p->cfg;

	*o = (struct bgp_open){
		.version = 4, .asn = cfg->local_as, .hold_s = cfg->hold_s, .id = cfg->router_id, .caps = cfg->caps
	};
	if (cfg->caps & BGP_CAP_GRACEFUL_RESTART) {
		o->gr_flags = (uint8_t)(BGP_KEEPS_NOTIFIED | (p->restarted ? BGP_RESTARTED : 0));
		o->gr_restart_s = cfg->restart_s;
		o->gr_families = families_offered(p);
		o->gr_forwarding = p->forwarding & o->gr_families;
	}
	if (cfg->caps & BGP_CAP_LONG_LIVED_RESTART) {
		o->llgr_families = families_offered(p);
		o->llgr_forwarding = p->forwarding & o->llgr_families;
		for (int f = 0; f < FAMILIES; f++)
			o->llgr_stale_s[f] = cfg->long_lived_s;
	}
	if (cfg->hostname)
		snprintf(o->hostname, sizeof(o->hostname), "%s", cfg->hostname);
}

void
send_open(struct bgp_conn *c)
{
	struct bgp_open o;
	struct wr w = control_room(c);

	local_open(c->peer, &o);
	c->peer->facts.local = o;
	bgp_open_write(&w, &o);
	control_add(c, &w, BGP_OPEN);
}

void
send_keepalive(struct bgp_conn *c)
{
	uint8_t one[BGP_HEADER];
	struct wr w = wr_make(one, sizeof(one));

	bgp_keepalive_write(&w);
	/* one that still waits is as good as two */
	if (c->control_len >= sizeof(one) && memcmp(c->control + c->control_len - sizeof(one), one, sizeof(one)) == 0)
		return;
	w = control_room(c);
	bgp_keepalive_write(&w);
	control_add(c, &w, BGP_KEEPALIVE);
}

/* ---- the queue ---- */

static struct bgp_batch *
queue_head(const struct queue *q)
{
	return q->ring[q->head];
}

static void
queue_push(struct bgp_peer *p, struct bgp_batch *b)
{
	struct queue *q = &p->queue;

	if (q->n == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 4;
		struct bgp_batch **ring = mem_alloc(p->mem, MEM_SESSION, cap * sizeof(*ring));

		for (size_t i = 0; i < q->n; i++)
			ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
		mem_free(p->mem, MEM_SESSION, q->ring);
		q->ring = ring;
		q->cap = cap;
		q->head = 0;
	}
	q->ring[(q->head + q->n++) & (q->cap - 1)] = b;
	q->bytes += b->len;
}

static void
queue_pop(struct bgp_peer *p)
{
	struct queue *q = &p->queue;
	struct bgp_batch *b = queue_head(q);

	for (int f = 0; f < FAMILIES; f++) {
		p->counters.prefixes_out[f] += b->announced[f];
		p->counters.withdrawn_out[f] += b->withdrawn[f];
	}
	q->head = (q->head + 1) & (q->cap - 1);
	q->n--;
	q->off = q->msg = q->msg_len = 0;
	bgp_batch_unref(b);
	if (q->n == 0) { /* an idle peer keeps nothing */
		mem_free(p->mem, MEM_SESSION, q->ring);
		*q = (struct queue){ 0 };
	}
}

bool
bgp_send(struct bgp_peer *p, struct bgp_batch *b)
{
	struct bgp_conn *c = peer_established(p);

	if (!c || b->len == 0)
		return false;
	queue_push(p, bgp_batch_ref(b));
	queued(c);
	return true;
}

size_t
bgp_queue_bytes(const struct bgp_peer *p)
{
	const struct queue *q = &p->queue;

	return q->bytes ? q->bytes + q->n * BATCH_COST : 0;
}

size_t
bgp_queue_drop(struct bgp_peer *p)
{
	struct queue *q = &p->queue;
	size_t keep = q->n && (q->off || q->msg_len) ? 1 : 0, dropped = 0;

	while (q->n > keep) {
		struct bgp_batch *b = q->ring[(q->head + --q->n) & (q->cap - 1)];

		dropped += b->len;
		bgp_batch_unref(b);
	}
	q->bytes -= dropped;
	if (dropped)
		lower_send_goal(peer_established(p));
	return dropped;
}

void
bgp_peer_set_next_hop(struct bgp_peer *p, enum family f, const struct bgp_next_hop *nh)
{
	p->next_hop[f] = *nh;
	p->has_next_hop[f] = true;
}

bool
bgp_send_refresh(struct bgp_peer *p, enum family f, enum bgp_refresh what)
{
	struct bgp_conn *c = peer_established(p);
	uint32_t cap = what == BGP_REFRESH_REQUEST ? BGP_CAP_REFRESH : BGP_CAP_ENHANCED_REFRESH;
	struct bgp_batch *b;
	struct wr w;

	if (!c || !(c->caps & cap))
		return false;
	if (what == BGP_REFRESH_REQUEST) {
		w = control_room(c);
		bgp_refresh_write(&w, f, what);
		return control_add(c, &w, BGP_ROUTE_REFRESH);
	}
	/* Begin and end stand between UPDATEs, and keep their place there. */
	b = mem_zalloc(p->mem, MEM_EXPORT, sizeof(*b) + BGP_HEADER + 4);
	*b = (struct bgp_batch){ .refs = 1, .messages = 1, .len = BGP_HEADER + 4, .mem = p->mem };
	w = wr_make(b->bytes, b->len);
	bgp_refresh_write(&w, f, what);
	queue_push(p, b);
	queued(c);
	return true;
}

/* ---- output ---- */

/* Begins the message at q->off. False: it cannot be sent to this peer, and was passed over. */
static bool
begin_message(struct bgp_peer *p)
{
	struct queue *q = &p->queue;
	struct bgp_batch *b = queue_head(q);
	const uint8_t *msg = b->bytes + q->off;
	uint8_t probe[80];
	size_t len = get_u16(msg + 16), n = 0, at;
	enum family f;

	q->msg = q->off;
	q->msg_len = len;
	at = bgp_next_hop_slot(msg, len, &n, &f);
	if (!at)
		return true;
	memcpy(probe, msg, at + n);
	if (p->has_next_hop[f] && bgp_patch_next_hop(probe, at + n, &p->next_hop[f]))
		return true;
	peer_event(p, BGP_EVENT_ERROR, "%s: no own next hop for %s routes, UPDATE not sent", p->name, family_name(f));
	q->off += len;
	q->bytes -= len;
	q->msg_len = 0;
	return false;
}

/* Lays the own next hop over a copied part: octets [from, from + n) of the message in hand, now at dst. */
static void
overlay_next_hop(struct bgp_peer *p, const uint8_t *msg, size_t from, size_t n, uint8_t *dst)
{
	uint8_t value[80];
	size_t slot_len = 0, slot, lo, hi;
	enum family f;

	slot = bgp_next_hop_slot(msg, p->queue.msg_len, &slot_len, &f);
	if (!slot)
		return;
	lo = MAX_OF(slot, from);
	hi = MIN_OF(slot + slot_len, from + n);
	if (lo >= hi)
		return;
	memcpy(value, msg, slot + slot_len);
	bgp_patch_next_hop(value, slot + slot_len, &p->next_hop[f]);
	memcpy(dst + (lo - from), value + lo, hi - lo);
}

/* A message of a batch has been copied out whole. */
static void
note_message(struct bgp_peer *p, const uint8_t *msg, size_t len)
{
	p->counters.out[msg[18] == BGP_ROUTE_REFRESH ? BGP_ROUTE_REFRESH : BGP_UPDATE]++;
	if (msg[18] != BGP_UPDATE)
		return;
	if (len == 23) /* the marks that bgp_build_end_of_rib() writes */
		p->facts.end_of_rib_out |= 1u << FAMILY_IPV4;
	else if (len == 29 && msg[24] == BGP_ATTR_MP_UNREACH && msg[25] == 3)
		p->facts.end_of_rib_out |= 1u << FAMILY_IPV6;
}

/* Copies on with the message in hand; returns how many octets. */
static size_t
copy_message(struct bgp_peer *p, uint8_t *dst, size_t room)
{
	struct queue *q = &p->queue;
	struct bgp_batch *b = queue_head(q);
	size_t done = q->off - q->msg, n = MIN_OF(q->msg_len - done, room);

	memcpy(dst, b->bytes + q->off, n);
	overlay_next_hop(p, b->bytes + q->msg, done, n, dst);
	q->off += n;
	q->bytes -= n;
	if (done + n == q->msg_len) {
		note_message(p, b->bytes + q->msg, q->msg_len);
		q->msg_len = 0;
	}
	return n;
}

static size_t
copy_control(struct bgp_conn *c, uint8_t *dst, size_t room)
{
	size_t n = MIN_OF(c->control_len, room);

	memcpy(dst, c->control, n);
	c->control_len = (uint16_t)(c->control_len - n);
	memmove(c->control, c->control + n, c->control_len);
	return n;
}

size_t
bgp_output(struct bgp_conn *c, uint8_t *buf, size_t cap, struct mono now)
{
	struct bgp_peer *p = c->peer;
	struct queue *q = &p->queue;
	bool batches = c->state == BGP_ESTABLISHED, passed_over = false;
	size_t n = 0;

	peer_enter(p, now);
	while (n < cap) {
		if (batches && q->msg_len)
			n += copy_message(p, buf + n, cap - n);
		else if (c->control_len)
			n += copy_control(c, buf + n, cap - n);
		else if (!batches || q->n == 0)
			break;
		else if (q->off == queue_head(q)->len)
			queue_pop(p);
		else
			passed_over |= !begin_message(p);
	}
	if (c->control_len == 0 && (!batches || q->bytes == 0))
		c->ready_told = false;
	c->produced += n;
	if (passed_over)
		lower_send_goal(c);
	p->counters.out_bytes += n;
	peer_leave(p);
	return n;
}

void
bgp_wrote(struct bgp_conn *c, size_t n, struct mono now)
{
	struct bgp_peer *p = c->peer;

	peer_enter(p, now);
	c->written = MIN_OF(c->written + n, c->produced);
	if (c->state == BGP_ESTABLISHED && !mono_is_never(p->send_hold) && c->written >= p->send_goal)
		arm_send_hold(c);
	peer_leave(p);
}

void
send_timer(struct bgp_peer *p)
{
	struct bgp_conn *c = peer_established(p);

	if (!mono_due(p->send_hold, p->now))
		return;
	p->send_hold = MONO_NEVER;
	if (!c)
		return;
	peer_blame(p, BGP_CAUSE_SEND_HOLD, "the peer takes nothing: %zu octets wait for more than %lld s", waiting(c),
	    (long long)(p->cfg.send_hold_us / SECONDS(1)));
	conn_event(c, BGP_EV_SEND_HOLD_EXPIRES, NULL);
}

/* ---- the end ---- */

size_t
send_last(struct bgp_conn *c, const struct bgp_notice *notice, uint8_t **out)
{
	struct bgp_peer *p = c->peer;
	struct queue *q = &p->queue;
	size_t rest = 0, n;
	struct wr w;

	if (c->state == BGP_ESTABLISHED && q->msg_len && q->off > q->msg)
		rest = q->msg + q->msg_len - q->off;
	n = rest + c->control_len + (notice ? BGP_HEADER + 2u + notice->len : 0);
	if (n == 0)
		return 0;
	*out = mem_alloc(p->mem, MEM_SESSION, n);
	if (rest)
		copy_message(p, *out, rest);
	w = wr_make(*out + rest, n - rest);
	wr_bytes(&w, c->control, c->control_len);
	if (notice)
		bgp_notice_write(&w, notice);
	return n;
}

void
send_forget(struct bgp_peer *p, struct bgp_conn *c)
{
	struct queue *q = &p->queue;

	c->control_len = 0;
	if (c->state != BGP_ESTABLISHED)
		return;
	while (q->n)
		bgp_batch_unref(q->ring[(q->head + --q->n) & (q->cap - 1)]);
	mem_free(p->mem, MEM_SESSION, q->ring);
	*q = (struct queue){ 0 };
}
