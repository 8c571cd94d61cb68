/*
 * bfd/receive.c -- the reception of RFC 5880 6.8.6, step by step
 *
 *   hop limit -> bytes (packet.c) -> session: by Your Discriminator, else by port and addresses -> port, addresses
 *     -> authentication -> what the neighbour says -> poll, state machine
 *
 * Up to `-> what the neighbour says` nothing but counters changes: what is dropped never refreshes detection. It counts at
 * its rule and, so that somebody can see on which port, at a session: the one found, else the one between its addresses.
 */
#include "bfd/impl.h"
#include "fabricd/lib/wire.h"

static enum bfd_drop
dropped(struct bfd_engine *e, struct bfd_session *s, enum bfd_drop why)
{
	e->stats.dropped[why]++;
	if (s)
		s->dropped++;
	return why;
}

static struct bfd_path
path_of(const struct bfd_received *r)
{
	return (struct bfd_path){
		.ifindex = r->multihop ? 0 : r->ifindex, .local = r->dst, .peer = r->src, .multihop = r->multihop
	};
}

/* Its bytes say of no session, or say nothing that can be believed; the way that it came is its port's all the same. */
static enum bfd_drop
dropped_unread(struct bfd_engine *e, const struct bfd_received *r, enum bfd_drop why)
{
	struct bfd_path path = path_of(r);

	return dropped(e, bfd_session_find(e, &path), why);
}

/* RFC 9468: a passive session, made by the first packet of a stranger on a port that allows it; NULL with the reason. */
static struct bfd_session *
unsolicited(struct bfd_engine *e, const struct bfd_path *path, struct mono now, enum bfd_drop *why)
{
	struct bfd_params p = { 0 };
	struct bfd_session *s;

	if (!e->ops->unsolicited || path->multihop)
		return NULL;
	*why = e->ops->unsolicited(e->arg, path, &p);
	if (*why != BFD_TAKEN)
		return NULL;
	*why = BFD_DROP_NO_SESSION;
	p.passive = true;
	if (bfd_params_wrong(path, &p))
		return NULL;
	s = bfd_session_make(e, path, &p, now);
	s->unsolicited = true;
	return s;
}

/* A stranger whose first packet was no good after all. */
static enum bfd_drop
refused(struct bfd_engine *e, struct bfd_session *s, enum bfd_drop why)
{
	if (e->ops->forgotten)
		e->ops->forgotten(e->arg, s);
	bfd_session_free(s);
	return dropped(e, NULL, why);
}

/* The session of a packet; NULL with the reason. */
static struct bfd_session *
find(
    struct bfd_engine *e, const struct bfd_received *r, const struct bfd_packet *p, struct mono now, enum bfd_drop *why)
{
	struct bfd_path path = path_of(r);
	struct bfd_session *s;

	if (p->your_discr) {
		s = bfd_session_by_discr(e, p->your_discr);
		*why = BFD_DROP_YOUR_DISCR;
		return s;
	}
	*why = BFD_DROP_NO_SESSION;
	s = bfd_session_find(e, &path);
	/* AdminDown of a stranger is no wish to speak. */
	if (!s && p->state == BFD_DOWN)
		s = unsolicited(e, &path, now, why);
	return s;
}

/* Whether the packet came the way of the session; a spoofed one from elsewhere must not reach it. */
static enum bfd_drop
check_path(const struct bfd_session *s, const struct bfd_received *r)
{
	if (s->path.multihop != r->multihop || (!s->path.multihop && s->path.ifindex != r->ifindex))
		return BFD_DROP_PORT;
	if (!ip_equal(&s->path.peer, &r->src) || !ip_equal(&s->path.local, &r->dst))
		return BFD_DROP_ADDRESS;
	return r->hop_limit < s->want.min_hops ? BFD_DROP_HOP_LIMIT : BFD_TAKEN;
}

static enum bfd_drop
check_auth(struct bfd_session *s, const struct bfd_received *r, const struct bfd_packet *p)
{
	if (s->want.auth.type == BFD_AUTH_NONE)
		return p->authenticated ? BFD_DROP_AUTH_UNEXPECTED : BFD_TAKEN;
	if (!p->authenticated)
		return BFD_DROP_AUTH_MISSING;
	return bfd_auth_check(&s->want.auth, &s->auth, s->want.multiplier, p, r->bytes);
}

/* It counts as heard from now on, also in AdminDown: what it has said is forgotten a detection time after the last. */
static void
heard(struct bfd_session *s, const struct bfd_received *r, struct mono now)
{
	struct mono at = mono_min(r->at, now);

	s->last_rx = mono_is_never(s->last_rx) ? at : mono_max(s->last_rx, at);
	s->stall_mark = s->engine->stall_total;
	s->spared_to = (struct mono){ 0 };
}

/* How regularly the neighbour is heard. */
static void
measure(struct bfd_session *s, const struct bfd_received *r, struct mono now)
{
	int64_t interval = bfd_rx_interval(s);

	if (!r->waited)
		bfd_hist_add(&s->rx_late, MAX_OF(mono_sub(now, r->at), 0));
	if (s->state == BFD_UP && !mono_is_never(s->last_rx)) {
		int64_t gap = mono_sub(r->at, s->last_rx);

		if (gap > interval + interval / 2)
			s->missed += (uint64_t)((gap - interval / 2) / interval);
	}
	s->rx++;
	s->engine->stats.rx++;
	heard(s, r, now);
}

static void
learn(struct bfd_session *s, const struct bfd_packet *p)
{
	s->remote_discr = p->my_discr;
	s->remote_state = p->state;
	s->remote_diag = p->diag;
	s->remote_demand = p->demand;
	s->remote_min_rx = p->min_rx_us;
	s->remote_desired_tx = p->min_tx_us;
	s->remote_min_echo = p->min_echo_us;
	s->remote_multiplier = p->multiplier;
}

/*
 * One F for a P, but not more of them than the neighbour may send packets at all: a burst of BFD_FINALS, and then one
 * in three quarters of our Required Min RX, which is how close together its jitter may bring them.
 */
static bool
may_answer(struct bfd_session *s, struct mono now)
{
	int64_t every = (int64_t)s->required_rx * 3 / 4, passed = mono_sub(now, s->finals_at) / every;

	s->finals = (unsigned int)MIN_OF(passed + s->finals, (int64_t)BFD_FINALS);
	s->finals_at.us = s->finals == BFD_FINALS ? now.us : s->finals_at.us + passed * every;
	if (!s->finals) {
		s->unanswered++;
		return false;
	}
	s->finals--;
	return true;
}

static void
take(struct bfd_session *s, const struct bfd_packet *p, struct mono now)
{
	static const enum bfd_event events[BFD_STATES] = {
		[BFD_ADMIN] = BFD_RX_ADMIN, [BFD_DOWN] = BFD_RX_DOWN, [BFD_INIT] = BFD_RX_INIT, [BFD_UP] = BFD_RX_UP
	};
	struct bfd_step step = bfd_fsm_step(s->state, events[p->state]);
	bool told = s->remote_independent == p->independent;

	s->remote_independent = p->independent;
	if (step.moves)
		bfd_move(s, step, now);
	else if (!told && s->state == BFD_UP)
		s->engine->ops->changed(s->engine->arg, s);
	if (p->poll && may_answer(s, now))
		bfd_send(s, now, true);
	bfd_refresh(s, now);
	bfd_keep(s);
}

enum bfd_drop
bfd_engine_receive(struct bfd_engine *e, const struct bfd_received *r, struct mono now)
{
	struct bfd_session *s = NULL;
	struct bfd_packet p;
	enum bfd_drop why;

	bfd_note_time(e, now);
	if (!r->multihop && r->hop_limit != BFD_HOP_LIMIT)
		return dropped_unread(e, r, BFD_DROP_HOP_LIMIT);
	why = bfd_packet_parse(r->bytes, r->n, &p);
	if (why != BFD_TAKEN)
		return dropped_unread(e, r, why);
	s = find(e, r, &p, now, &why);
	if (!s)
		return dropped_unread(e, r, why);
	why = check_path(s, r);
	if (why == BFD_TAKEN)
		why = check_auth(s, r, &p);
	if (why != BFD_TAKEN && s->unsolicited && s->remote_discr == 0)
		return refused(e, s, why);
	if (why != BFD_TAKEN)
		return dropped(e, s, why);
	if (s->state == BFD_ADMIN) {
		learn(s, &p);
		heard(s, r, now);
		bfd_refresh(s, now);
		bfd_keep(s);
		return dropped(e, s, BFD_DROP_ADMIN_DOWN);
	}
	learn(s, &p);
	measure(s, r, now);
	if (p.final && s->polling)
		bfd_poll_over(s);
	take(s, &p, now);
	return BFD_TAKEN;
}

enum bfd_drop
bfd_engine_echo(struct bfd_engine *e, const struct bfd_received *r, struct mono now, bool *reflect)
{
	struct bfd_path path = { .ifindex = r->ifindex, .local = r->dst, .peer = r->src };
	struct rd rd = rd_make(r->bytes, r->n);
	uint32_t discr = rd_u32(&rd), seq = rd_u32(&rd);
	uint64_t salt = rd_u64(&rd);
	struct bfd_session *s = bfd_session_find(e, &path);

	*reflect = false;
	if (!s)
		return dropped(e, NULL, BFD_DROP_NO_SESSION);
	if (r->hop_limit == BFD_HOP_LIMIT) { /* the neighbour's; only of one that we speak with, and said so */
		if (!s->want.echo_rx_us || s->state != BFD_UP)
			return dropped(e, s, BFD_DROP_ECHO);
		*reflect = true;
		return BFD_TAKEN;
	}
	if (r->hop_limit != BFD_HOP_LIMIT - 1)
		return dropped(e, s, BFD_DROP_HOP_LIMIT);
	/* The salt is drawn anew with each Up, so what was seen of an older session cannot be played again. */
	if (rd.bad || discr != s->local_discr || salt != s->echo_salt || !bfd_echo_wanted(s) ||
	    s->echo_seq - seq >= s->want.multiplier)
		return dropped(e, s, BFD_DROP_ECHO);
	s->echo_rx++;
	s->echo_detect_at = mono_add(r->at, bfd_echo_detect_us(s));
	if (mono_due(e->stall_at, r->at)) /* else it came back while we were away, and no other was sent since */
		s->echo_stall_mark = e->stall_total;
	bfd_refresh(s, now);
	return BFD_TAKEN;
}
