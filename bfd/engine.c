/*
 * bfd/engine.c -- every BFD session of a switch: table, deadlines, sending
 *
 *   packet -> bfd_engine_receive() (receive.c) -+
 *                                               +-> bfd_fsm_step() -> bfd_move(): packet at once, ops->changed
 *   time   -> bfd_engine_run() -> deadlines ----+
 *                             \-> periodic packets, with jitter
 *
 * Sessions are found by our discriminator, and by (port, addresses) for packets that do not know it yet. Each keeps its
 * deadlines (transmit, detection, forgetting, echo); a heap holds the sessions by the least of them. Memory grows with
 * the sessions alone.
 *
 * Detection is about the neighbour, not about us. Packets count from the time at which the kernel had them; before a
 * neighbour is called dead, the host gives what waits in its queue (ops->drain); and the time by which we were woken
 * too late does not count: bfd_note_time() sums it up, spared() takes it off, and gives one more interval. So it is with
 * echo packets, which nobody sent meanwhile.
 *
 * Always true: a session's `due` is the least of its deadlines; a packet that is
 * dropped changes nothing but counters; intervals are 64-bit, so no product of them overflows.
 *
 * RFC 5880 6.8.2 to 6.8.4 (timers), 6.8.7 (transmission), 6.8.9 (echo), 6.8.16 (AdminDown), 6.8.18 (sessions held down).
 * Not here: Demand mode on our side (the neighbour's is honoured), damping, sockets.
 */
#include <errno.h>

#include "bfd/impl.h"
#include "fabricd/lib/hash.h"
#include "fabricd/lib/wire.h"

#define UNPLANNED (-1) /* tx_planned: whatever the interval is, the next packet is to be planned */

static void
requeue(struct bfd_session *s)
{
	struct mono at = mono_min(mono_min(s->tx_at, s->detect_at), mono_min(s->echo_at, s->echo_detect_at));

	at = mono_min(at, s->forget_at);
	if (at.us != s->due.at.us)
		heap_set(&s->engine->heap, &s->due, at);
}

/* The session whose deadline is next; NULL: none has one. */
static struct bfd_session *
next_session(const struct bfd_engine *e)
{
	struct heap_item *first = heap_first(&e->heap);

	return first ? CONTAINER_OF(first, struct bfd_session, due) : NULL;
}

static struct bfd_session *
next_due(const struct bfd_engine *e, struct mono now)
{
	struct bfd_session *s = next_session(e);

	return s && mono_due(s->due.at, now) ? s : NULL;
}

/* ---- intervals ---- */

static uint64_t
draw(struct bfd_engine *e)
{
	return e->ops->random(e->arg);
}

/* 6.8.2, 6.8.7: 0 when nothing is sent periodically. */
static int64_t
tx_interval(const struct bfd_session *s)
{
	if (s->want.passive && s->remote_discr == 0 && s->state != BFD_ADMIN)
		return 0;
	if (s->remote_min_rx == 0)
		return 0;
	if (s->remote_demand && s->state == BFD_UP && s->remote_state == BFD_UP && !s->polling)
		return 0;
	return MAX_OF((int64_t)s->tx_in_use, (int64_t)s->remote_min_rx);
}

/* 6.8.7: less by up to a quarter; with a multiplier of 1 also by at least a tenth. */
static int64_t
jittered(struct bfd_session *s, int64_t interval)
{
	int64_t least = interval * 3 / 4, most = s->want.multiplier == 1 ? interval * 9 / 10 : interval;
	struct bfd_engine *e = s->engine;

	if (!e->drawn)
		e->dice = draw(e);
	e->drawn = e->running;
	return least + (int64_t)(e->dice % (uint64_t)(most - least + 1));
}

int64_t
bfd_rx_interval(const struct bfd_session *s)
{
	return MAX_OF((int64_t)s->rx_in_use, (int64_t)s->remote_desired_tx);
}

/* 6.8.4, asynchronous mode. */
static int64_t
bfd_detect_us(const struct bfd_session *s)
{
	return s->remote_multiplier * bfd_rx_interval(s);
}

bool
bfd_echo_wanted(const struct bfd_session *s)
{
	return s->want.echo_us && s->state == BFD_UP && s->remote_min_echo && !s->path.multihop;
}

static int64_t
echo_interval(const struct bfd_session *s)
{
	return MAX_OF((int64_t)s->want.echo_us, (int64_t)s->remote_min_echo);
}

int64_t
bfd_echo_detect_us(const struct bfd_session *s)
{
	return s->want.multiplier * echo_interval(s);
}

int64_t
bfd_session_remote_detect_us(const struct bfd_session *s)
{
	return s->want.multiplier * MAX_OF((int64_t)s->tx_in_use, (int64_t)s->remote_min_rx);
}

/* ---- deadlines ---- */

static void
plan_tx(struct bfd_session *s, struct mono now)
{
	int64_t interval = tx_interval(s);

	if (interval == s->tx_planned)
		return;
	s->tx_planned = interval;
	s->tx_at = MONO_NEVER;
	if (interval)
		s->tx_at.us = MAX_OF(now.us, s->last_tx.us + jittered(s, interval));
}

static void
plan_echo(struct bfd_session *s, struct mono now)
{
	if (!bfd_echo_wanted(s)) {
		s->echo_at = s->echo_detect_at = MONO_NEVER;
	} else if (mono_is_never(s->echo_at)) {
		s->echo_at = now;
		s->echo_detect_at = mono_add(now, bfd_echo_detect_us(s) + echo_interval(s));
		s->echo_stall_mark = s->engine->stall_total;
	}
}

void
bfd_refresh(struct bfd_session *s, struct mono now)
{
	plan_tx(s, now);
	plan_echo(s, now);
	s->detect_at = s->forget_at = MONO_NEVER;
	if (!mono_is_never(s->last_rx) && s->remote_multiplier && s->remote_discr)
		s->detect_at = mono_max(mono_add(s->last_rx, bfd_detect_us(s)), s->spared_to);
	/* 6.8.1, bfd.AuthSeqKnown */
	if (s->auth.known && !mono_is_never(s->last_rx))
		s->forget_at = mono_add(s->last_rx, 2 * bfd_detect_us(s));
	requeue(s);
}

/* ---- what outlives the process ---- */

void
bfd_session_save(const struct bfd_session *s, struct bfd_saved *out)
{
	memset(out, 0, sizeof(*out)); /* also between the members: it is compared as bytes */
	out->local_discr = s->local_discr;
	out->remote_discr = s->remote_discr;
	out->desired_tx = s->desired_tx;
	out->required_rx = s->required_rx;
	out->tx_in_use = s->tx_in_use;
	out->rx_in_use = s->rx_in_use;
	out->remote_min_rx = s->remote_min_rx;
	out->remote_desired_tx = s->remote_desired_tx;
	out->remote_min_echo = s->remote_min_echo;
	out->auth.sent = s->auth.sent;
	out->auth.received = s->auth.received;
	out->auth.known = s->auth.known;
	out->state = (uint8_t)s->state;
	out->remote_state = (uint8_t)s->remote_state;
	out->diag = (uint8_t)s->diag;
	out->remote_diag = s->remote_diag;
	out->down_diag = (uint8_t)s->down_diag;
	out->remote_multiplier = s->remote_multiplier;
	out->remote_demand = s->remote_demand;
	out->remote_independent = s->remote_independent;
	out->polling = s->polling;
	out->poll_again = s->poll_again;
	out->unsolicited = s->unsolicited;
	out->flaps = s->flaps;
	out->since = s->since;
	out->down_at = s->down_at;
}

void
bfd_keep(struct bfd_session *s)
{
	struct bfd_saved now;

	if (!s->engine->ops->touched)
		return;
	bfd_session_save(s, &now);
	if (memcmp(&now, &s->kept, sizeof(now)) == 0)
		return;
	s->kept = now;
	s->engine->ops->touched(s->engine->arg, s);
}

/* ---- sending ---- */

void
bfd_send(struct bfd_session *s, struct mono now, bool final)
{
	struct bfd_packet p = { .diag = (uint8_t)s->diag,
		.state = (uint8_t)s->state,
		.multiplier = s->want.multiplier,
		.poll = s->polling && !final,
		.final = final,
		.independent = s->want.independent,
		.my_discr = s->local_discr,
		.your_discr = s->remote_discr,
		.min_tx_us = s->desired_tx,
		.min_rx_us = s->required_rx,
		.min_echo_us = s->path.multihop ? 0 : s->want.echo_rx_us };
	bool sign = s->want.auth.type != BFD_AUTH_NONE;
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = bfd_packet_build(&p, sign ? BFD_AUTH_LEN : 0, buf);

	if (sign)
		bfd_auth_sign(&s->want.auth, &s->auth, buf);
	s->tx++;
	s->engine->stats.tx++;
	s->last_tx = now;
	s->engine->ops->send(s->engine->arg, s, buf, n, false);
}

/* A packet that does not wait for its time; the next periodic one counts from it. */
static void
send_now(struct bfd_session *s, struct mono now)
{
	if ((s->want.passive && s->remote_discr == 0 && s->state != BFD_ADMIN) || s->remote_min_rx == 0)
		return;
	bfd_send(s, now, false);
	s->tx_planned = UNPLANNED;
}

static void
send_echo(struct bfd_session *s, struct mono now)
{
	uint8_t buf[BFD_ECHO_LEN];

	put_u32(buf, s->local_discr);
	put_u32(buf + 4, ++s->echo_seq);
	put_u64(buf + 8, s->echo_salt);
	s->echo_tx++;
	s->echo_at = mono_add(now, jittered(s, echo_interval(s)));
	s->engine->ops->send(s->engine->arg, s, buf, sizeof(buf), true);
}

/* ---- changes ---- */

static void
use_offered(struct bfd_session *s)
{
	s->tx_in_use = s->desired_tx;
	s->rx_in_use = s->required_rx;
}

static void
poll_start(struct bfd_session *s)
{
	/* An F that is on its way may answer the older values: a poll that runs is followed by another (6.5). */
	if (s->polling)
		s->poll_again = true;
	s->polling = true;
}

void
bfd_poll_over(struct bfd_session *s)
{
	s->polling = s->poll_again;
	s->poll_again = false;
	if (!s->polling)
		use_offered(s);
}

/* What stands in our packets from now on, and what of it takes effect at once (6.8.3). */
static void
offer(struct bfd_session *s)
{
	uint32_t tx = s->want.min_tx_us, rx = s->want.min_rx_us;

	if (s->state != BFD_UP) { /* each packet is taken as it is: there is nothing to agree on, nor left of a poll */
		s->desired_tx = MAX_OF(tx, (uint32_t)BFD_SLOW_US);
		s->required_rx = rx;
		use_offered(s);
		return;
	}
	if (tx == s->desired_tx && rx == s->required_rx)
		return;
	s->desired_tx = tx;
	s->required_rx = rx;
	s->tx_in_use = MIN_OF(s->tx_in_use, tx); /* an increase waits for the poll */
	s->rx_in_use = MAX_OF(s->rx_in_use, rx); /* so does a decrease */
	poll_start(s);
}

/* The one place that writes the state. */
void
bfd_move(struct bfd_session *s, struct bfd_step step, struct mono now)
{
	enum bfd_state was = s->state;
	struct bfd_engine *e = s->engine;

	e->moved = true;
	s->state = step.to;
	s->diag = step.diag;
	s->since = now;
	if (was == BFD_UP) {
		s->flaps += step.to != BFD_ADMIN;
		s->down_diag = step.diag;
		s->down_at = now;
		e->stats.up--;
	}
	if (s->state == BFD_UP) {
		e->stats.up++;
		s->echo_salt = draw(e);
	} else {
		s->polling = s->poll_again = false;
	}
	offer(s);
	if (was == BFD_UP) /* who relies on it first: packets are lost meanwhile */
		e->ops->changed(e->arg, s);
	send_now(s, now);
	bfd_refresh(s, now);
	if (was != BFD_UP)
		e->ops->changed(e->arg, s);
}

/* ---- what the time brings ---- */

void
bfd_note_time(struct bfd_engine *e, struct mono now)
{
	/* What was noted is not noted again, however old the deadline that is still to be seen to. */
	int64_t late = mono_is_never(e->asked) ? 0 : mono_sub(now, mono_max(e->asked, e->noted));

	e->noted = now;
	if (late < BFD_STALL_US)
		return;
	e->stall_total += late;
	e->stall_at = now;
	e->stats.stalls++;
	e->stats.stall_max = MAX_OF(e->stats.stall_max, late);
}

/*
 * Whether we ourselves were away for a part of the detection time that matters: then the deadline moves, by as much as we
 * were away since the mark, and to one interval after it at least.
 */
static bool
spared(struct bfd_session *s, struct mono *deadline, int64_t *mark, int64_t detect_us, int64_t interval_us,
    struct mono now)
{
	struct bfd_engine *e = s->engine;
	int64_t away = e->stall_total - *mark;

	if (away < detect_us / 8)
		return false;
	*mark = e->stall_total;
	deadline->us = MAX_OF(deadline->us + away, e->stall_at.us + interval_us);
	if (mono_due(*deadline, now))
		return false;
	s->spared++;
	return true;
}

/* Silence for a detection time. In Down, too, what the neighbour said is forgotten only now (6.8.1; 6.8.18 of its Min RX). */
static void
detected(struct bfd_session *s, struct mono now)
{
	struct bfd_engine *e = s->engine;
	struct bfd_step step;

	if (e->ops->drain) {
		e->ops->drain(e->arg, s);
		if (!mono_due(s->detect_at, now))
			return;
	}
	if (spared(s, &s->detect_at, &s->stall_mark, bfd_detect_us(s), bfd_rx_interval(s), now)) {
		s->spared_to = s->detect_at;
		requeue(s);
		return;
	}
	s->remote_discr = 0;
	s->remote_min_rx = 1;
	s->remote_demand = false;
	s->remote_state = BFD_DOWN;
	s->detect_at = MONO_NEVER;
	step = bfd_fsm_step(s->state, BFD_EXPIRED); /* what was drained may have changed the state */
	if (step.moves)
		bfd_move(s, step, now);
	else
		bfd_refresh(s, now);
}

static void
echo_lost(struct bfd_session *s, struct mono now)
{
	struct bfd_step step = bfd_fsm_step(s->state, BFD_ECHO_EXPIRED);

	if (spared(s, &s->echo_detect_at, &s->echo_stall_mark, bfd_echo_detect_us(s), echo_interval(s), now))
		return;
	s->echo_detect_at = MONO_NEVER;
	if (step.moves)
		bfd_move(s, step, now);
}

static void
forget_auth(struct bfd_session *s)
{
	s->auth.known = false;
	s->forget_at = MONO_NEVER;
}

/* The deadlines of one session that are due. Detection first: a packet that is sent then tells the new state. */
static void
session_run(struct bfd_session *s, struct mono now)
{
	struct bfd_engine *e = s->engine;

	if (mono_due(s->detect_at, now))
		detected(s, now);
	if (mono_due(s->echo_detect_at, now))
		echo_lost(s, now);
	if (mono_due(s->forget_at, now))
		forget_auth(s);
	if (mono_due(s->tx_at, now)) {
		bfd_hist_add(&s->tx_late, mono_sub(now, s->tx_at));
		bfd_send(s, now, false);
		s->tx_planned = UNPLANNED;
		plan_tx(s, now);
	}
	if (mono_due(s->echo_at, now))
		send_echo(s, now);
	if (s->unsolicited && s->state == BFD_DOWN && s->remote_discr == 0) {
		if (e->ops->forgotten)
			e->ops->forgotten(e->arg, s);
		bfd_session_free(s);
		return;
	}
	requeue(s);
	bfd_keep(s);
}

/* Whether jitter could have made the session's next packet due now (6.8.7). */
static bool
may_send(const struct bfd_session *s, struct mono now)
{
	return mono_sub(now, s->last_tx) >= s->tx_planned * 3 / 4;
}

/* Whether its verdict is near enough that to look for packets now saves a wake-up of its own. */
static bool
may_look(const struct bfd_session *s, struct mono now)
{
	return s->engine->ops->drain && s->looked != s->engine->runs &&
	       mono_sub(s->detect_at, now) <= bfd_rx_interval(s);
}

/*
 * The session that is next goes along with what woke us, if it may. Together with one draw of jitter for all that is
 * sent in one run, sessions of one interval fall into step: a switch wakes up once an interval, not once a packet.
 */
static bool
goes_along(struct bfd_session *s, struct mono now)
{
	if (s->due.at.us == s->tx_at.us && may_send(s, now)) {
		s->tx_at = now;
		session_run(s, now);
		return true;
	}
	if (s->due.at.us == s->detect_at.us && may_look(s, now)) {
		s->looked = s->engine->runs;
		s->engine->ops->drain(s->engine->arg, s);
		return true;
	}
	return false;
}

void
bfd_engine_run(struct bfd_engine *e, struct mono now)
{
	struct bfd_session *s = next_due(e, now);
	int more = 0;

	if (s) {
		bfd_hist_add(&e->stats.run_late, mono_sub(now, s->due.at));
		more = BFD_TOGETHER; /* a packet that came is no reason to send: neighbours would fall into step, too */
	}
	bfd_note_time(e, now);
	e->runs++;
	e->running = true;
	e->moved = false;
	while ((s = next_due(e, now)))
		session_run(s, now);
	/* News first: whoever is told of a verdict must not wait for a processor until all others have sent. */
	while ((s = next_session(e)) && !e->moved && more-- > 0 && goes_along(s, now))
		;
	e->running = e->drawn = false;
}

struct mono
bfd_engine_next(struct bfd_engine *e)
{
	const struct bfd_session *s = next_session(e);

	e->asked = s ? s->due.at : MONO_NEVER;
	return e->asked;
}

/* ---- the tables ---- */

static uint32_t
path_hash(const struct bfd_engine *e, const struct bfd_path *p)
{
	uint64_t local = hash_bytes(e->seed ^ p->ifindex, &p->local, sizeof(p->local));

	return (uint32_t)hash_bytes(local, &p->peer, sizeof(p->peer));
}

static uint32_t
discr_hash(const struct bfd_engine *e, uint32_t discr)
{
	return (uint32_t)hash_u64(e->seed, discr);
}

struct bfd_session *
bfd_session_by_discr(const struct bfd_engine *e, uint32_t discr)
{
	for (struct bucket_item *i = buckets_first(&e->by_discr, discr_hash(e, discr)); i; i = buckets_next(i)) {
		struct bfd_session *s = CONTAINER_OF(i, struct bfd_session, by_discr);

		if (s->local_discr == discr)
			return s;
	}
	return NULL;
}

struct bfd_session *
bfd_session_find(const struct bfd_engine *e, const struct bfd_path *p)
{
	for (struct bucket_item *i = buckets_first(&e->by_path, path_hash(e, p)); i; i = buckets_next(i)) {
		struct bfd_session *s = CONTAINER_OF(i, struct bfd_session, by_path);

		if (s->path.ifindex == p->ifindex && s->path.multihop == p->multihop &&
		    ip_equal(&s->path.peer, &p->peer) && ip_equal(&s->path.local, &p->local))
			return s;
	}
	return NULL;
}

static void
tables_add(struct bfd_session *s)
{
	struct bfd_engine *e = s->engine;

	buckets_add(&e->by_discr, &s->by_discr, discr_hash(e, s->local_discr));
	buckets_add(&e->by_path, &s->by_path, path_hash(e, &s->path));
}

static void
tables_remove(struct bfd_session *s)
{
	buckets_remove(&s->engine->by_discr, &s->by_discr);
	buckets_remove(&s->engine->by_path, &s->by_path);
}

/* ---- sessions ---- */

const char *
bfd_params_wrong(const struct bfd_path *path, const struct bfd_params *p)
{
	if (path->local.family != path->peer.family)
		return "the two addresses are of different families";
	if (ip_is_zero(&path->local) || ip_is_zero(&path->peer))
		return "an address is missing";
	if (ip_is_multicast(&path->local) || ip_is_multicast(&path->peer))
		return "a multicast address is no end of a session";
	if (path->multihop ? path->ifindex != 0 : path->ifindex == 0)
		return path->multihop ? "a multihop session is bound to no port" : "a port is missing";
	if (path->multihop && (ip_is_link_local(&path->peer) || ip_is_link_local(&path->local)))
		return "a link-local address is not reachable over several hops";
	if (p->multiplier == 0)
		return "the detection multiplier must be 1 to 255";
	if (p->min_tx_us == 0 || p->min_rx_us == 0)
		return "an interval is missing";
	if (!bfd_auth_valid(&p->auth))
		return "authentication needs type 4 or 5 and keys of 1 to 20 bytes";
	return NULL;
}

static void
params_take(struct bfd_session *s, const struct bfd_params *p)
{
	s->want = *p;
	s->want.min_tx_us = MAX_OF(p->min_tx_us, (uint32_t)BFD_MIN_US);
	s->want.min_rx_us = MAX_OF(p->min_rx_us, (uint32_t)BFD_MIN_US);
	if (p->echo_us)
		s->want.echo_us = MAX_OF(p->echo_us, (uint32_t)BFD_MIN_US);
	if (!p->min_hops)
		s->want.min_hops = s->path.multihop ? 1 : BFD_HOP_LIMIT;
}

uint16_t
bfd_engine_tag_of(uint64_t seed)
{
	uint16_t tag = (uint16_t)hash_u64(seed, 0x626664);

	return tag ? tag : 1;
}

void
bfd_engine_set_tag(struct bfd_engine *e, uint16_t tag)
{
	e->tag = tag;
}

static uint32_t
new_discr(struct bfd_engine *e)
{
	uint32_t d;

	do
		d = (uint32_t)e->tag << 16 | (uint32_t)(draw(e) & 0xffff);
	while (bfd_session_by_discr(e, d));
	return d;
}

/* If it sends at all: then the first one does not wait. */
static void
first_packet(struct bfd_session *s, struct mono now)
{
	bfd_refresh(s, now);
	if (mono_is_never(s->tx_at))
		return;
	s->tx_at = now;
	requeue(s);
}

struct bfd_session *
bfd_session_make(struct bfd_engine *e, const struct bfd_path *path, const struct bfd_params *p, struct mono now)
{
	struct bfd_session *s = mem_zalloc(e->mem, MEM_SESSION, sizeof(*s));

	*s = (struct bfd_session){ .engine = e,
		.prev = e->last,
		.path = *path,
		.state = p->admin_down ? BFD_ADMIN : BFD_DOWN,
		.diag = p->admin_down ? BFD_DIAG_ADMIN_DOWN : BFD_DIAG_NONE,
		.remote_state = BFD_DOWN,
		.local_discr = new_discr(e),
		.remote_min_rx = 1,
		.finals = BFD_FINALS,
		.auth.sent = (uint32_t)draw(e),
		.since = now,
		.tx_planned = UNPLANNED };
	s->last_rx = s->down_at = MONO_NEVER;
	s->last_tx = now;
	s->finals_at = now;
	params_take(s, p);
	offer(s);
	if (e->last)
		e->last->next = s;
	else
		e->first = s;
	e->last = s;
	e->n++;
	tables_add(s);
	first_packet(s, now);
	return s;
}

int
bfd_session_new(struct bfd_engine *e, const struct bfd_path *path, const struct bfd_params *p, struct mono now,
    struct bfd_session **out)
{
	*out = NULL;
	if (bfd_params_wrong(path, p))
		return -EINVAL;
	if (bfd_session_find(e, path))
		return -EEXIST;
	*out = bfd_session_make(e, path, p, now);
	bfd_keep(*out);
	return 0;
}

static bool
saved_wrong(const struct bfd_saved *v, const struct bfd_params *p)
{
	return !v->local_discr || v->state >= BFD_STATES || v->remote_state >= BFD_STATES || v->diag >= BFD_DIAGS ||
	       v->down_diag >= BFD_DIAGS || p->admin_down != (v->state == BFD_ADMIN) || !v->desired_tx ||
	       !v->tx_in_use || v->required_rx < BFD_MIN_US || v->rx_in_use < BFD_MIN_US ||
	       ((v->state == BFD_UP || v->state == BFD_INIT) && (!v->remote_discr || !v->remote_multiplier));
}

static void
saved_take(struct bfd_session *s, const struct bfd_saved *v, struct mono now)
{
	struct bfd_engine *e = s->engine;

	tables_remove(s);
	s->local_discr = v->local_discr;
	tables_add(s);
	s->remote_discr = v->remote_discr;
	s->desired_tx = v->desired_tx;
	s->required_rx = v->required_rx;
	s->tx_in_use = v->tx_in_use;
	s->rx_in_use = v->rx_in_use;
	s->remote_min_rx = v->remote_min_rx;
	s->remote_desired_tx = v->remote_desired_tx;
	s->remote_min_echo = v->remote_min_echo;
	s->auth = v->auth;
	s->state = v->state;
	s->remote_state = v->remote_state;
	s->diag = v->diag;
	s->remote_diag = v->remote_diag;
	s->down_diag = v->down_diag;
	s->remote_multiplier = v->remote_multiplier;
	s->remote_demand = v->remote_demand;
	s->remote_independent = v->remote_independent;
	s->polling = v->polling && v->state == BFD_UP;
	s->poll_again = v->poll_again && s->polling;
	s->unsolicited = v->unsolicited;
	s->flaps = v->flaps;
	s->since = mono_min(v->since, now);
	s->down_at = mono_is_never(v->down_at) ? MONO_NEVER : mono_min(v->down_at, now);
	if (v->remote_multiplier)
		s->last_rx = now;
	e->stats.up += s->state == BFD_UP;
	s->echo_salt = draw(e);
}

int
bfd_session_restore(struct bfd_engine *e, const struct bfd_path *path, const struct bfd_params *p,
    const struct bfd_saved *v, struct mono now, struct bfd_session **out)
{
	struct bfd_session *s;

	*out = NULL;
	if (bfd_params_wrong(path, p) || saved_wrong(v, p))
		return -EINVAL;
	if (bfd_session_find(e, path) || bfd_session_by_discr(e, v->local_discr))
		return -EEXIST;
	s = bfd_session_make(e, path, p, now);
	saved_take(s, v, now);
	s->tx_planned = UNPLANNED;
	first_packet(s, now);
	bfd_keep(s);
	*out = s;
	return 0;
}

int
bfd_session_change(struct bfd_session *s, const struct bfd_params *p, struct mono now)
{
	bool other_key = memcmp(&s->want.auth, &p->auth, sizeof(p->auth)) != 0;
	uint8_t multiplier = s->want.multiplier;

	if (bfd_params_wrong(&s->path, p))
		return -EINVAL;
	params_take(s, p);
	s->unsolicited = false;
	if (other_key)
		s->auth.known = false;
	if (p->admin_down != (s->state == BFD_ADMIN)) {
		bfd_move(s,
		    p->admin_down ? (struct bfd_step){ true, BFD_ADMIN, BFD_DIAG_ADMIN_DOWN }
				  : (struct bfd_step){ true, BFD_DOWN, BFD_DIAG_NONE },
		    now);
		bfd_keep(s);
		return 0;
	}
	offer(s);
	if (multiplier != p->multiplier) /* 6.8.12: told with the next packet, and that may be sent now */
		send_now(s, now);
	bfd_refresh(s, now);
	bfd_keep(s);
	return 0;
}

void
bfd_session_free(struct bfd_session *s)
{
	struct bfd_engine *e;

	if (!s)
		return;
	e = s->engine;
	heap_remove(&e->heap, &s->due);
	tables_remove(s);
	if (s->prev)
		s->prev->next = s->next;
	else
		e->first = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		e->last = s->prev;
	e->n--;
	e->stats.up -= s->state == BFD_UP;
	mem_free(e->mem, MEM_SESSION, s);
}

struct bfd_session *
bfd_session_after(const struct bfd_engine *e, const struct bfd_session *s)
{
	return s ? s->next : e->first;
}

struct bfd_engine *
bfd_engine_new(struct mem *mem, uint64_t seed, const struct bfd_engine_ops *ops, void *arg)
{
	struct bfd_engine *e = mem_zalloc(mem, MEM_SESSION, sizeof(*e));

	*e = (struct bfd_engine){ .mem = mem,
		.seed = seed,
		.tag = bfd_engine_tag_of(seed),
		.ops = ops,
		.arg = arg,
		.by_discr = { .mem = mem, .kind = MEM_SESSION },
		.by_path = { .mem = mem, .kind = MEM_SESSION },
		.heap = heap_make(mem, MEM_SESSION),
		.asked = MONO_NEVER };
	return e;
}

void
bfd_engine_free(struct bfd_engine *e)
{
	if (!e)
		return;
	while (e->first)
		bfd_session_free(e->first);
	buckets_done(&e->by_discr);
	buckets_done(&e->by_path);
	heap_done(&e->heap);
	mem_free(e->mem, MEM_SESSION, e);
}

/* ---- views ---- */

void
bfd_engine_stats(const struct bfd_engine *e, struct bfd_engine_stats *out)
{
	*out = e->stats;
	out->sessions = e->n;
}

enum bfd_state
bfd_session_state(const struct bfd_session *s)
{
	return s->state;
}

enum bfd_diag
bfd_session_diag(const struct bfd_session *s)
{
	return s->diag;
}

const struct bfd_path *
bfd_session_path(const struct bfd_session *s)
{
	return &s->path;
}

const struct bfd_params *
bfd_session_params(const struct bfd_session *s)
{
	return &s->want;
}

uint32_t
bfd_session_discr(const struct bfd_session *s)
{
	return s->local_discr;
}

void
bfd_session_set_user(struct bfd_session *s, void *user)
{
	s->user = user;
}

void *
bfd_session_user(const struct bfd_session *s)
{
	return s->user;
}

void
bfd_session_view(const struct bfd_session *s, struct bfd_view *out)
{
	*out = (struct bfd_view){ .path = s->path,
		.state = s->state,
		.remote_state = s->remote_state,
		.diag = (uint8_t)s->diag,
		.remote_diag = s->remote_diag,
		.multiplier = s->want.multiplier,
		.remote_multiplier = s->remote_multiplier,
		.remote_independent = s->remote_independent,
		.remote_demand = s->remote_demand,
		.unsolicited = s->unsolicited,
		.polling = s->polling,
		.authenticated = s->want.auth.type != BFD_AUTH_NONE,
		.local_discr = s->local_discr,
		.remote_discr = s->remote_discr,
		.tx_us = tx_interval(s),
		.rx_us = s->remote_multiplier ? bfd_rx_interval(s) : 0,
		.detect_us = bfd_detect_us(s),
		.echo_us = bfd_echo_wanted(s) ? echo_interval(s) : 0,
		.tx = s->tx,
		.rx = s->rx,
		.dropped = s->dropped,
		.missed = s->missed,
		.flaps = s->flaps,
		.spared = s->spared,
		.polls_unanswered = s->unanswered,
		.echo_tx = s->echo_tx,
		.echo_rx = s->echo_rx,
		.since = s->since,
		.last_rx = s->last_rx,
		.tx_late_p99 = bfd_hist_p99(&s->tx_late),
		.tx_late_max = s->tx_late.max_us,
		.rx_late_p99 = bfd_hist_p99(&s->rx_late),
		.rx_late_max = s->rx_late.max_us,
		.down_diag = s->down_diag,
		.down_at = s->down_at };
}
