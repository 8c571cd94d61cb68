/*
 * fabricd/bgp/session.c -- a peer: its life, its state machines, its timers, and which connection stays
 *
 * Each of the two connections runs the machine of fsm.c; conn_event() looks the step up and does its actions, and is
 * the one place that writes a state. The peer's own state is the higher of the two.
 *
 *   start, link up -> dial, or wait politely for the peer's connection -> OPEN at once -> KEEPALIVE at once -> up
 *
 * Always true: a connection in Idle holds nothing; in Idle, the peer has a reason in words; while started and with
 * the link up a peer has an active connection, an attempt, or a timer that leads to one, and none of these otherwise.
 *
 * After the end of a session the next attempt comes at once when it had lasted, and after the idle hold time, which
 * doubles, when it had not or when there was an error (RFC 4271 8.1.1, DampPeerOscillations). Until then the peer's
 * own connections are welcome unless the error was in what it sent or is.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fabricd/bgp/peer.h"
#include "fabricd/lib/base.h"

#define LASTED         SECONDS(30) /* a session that was no flap */
#define FIRST_RETRY    MS(20)      /* after the first failed attempt; doubles up to cfg.retry_us */
#define ATTEMPT_LOCAL  MS(200)     /* least time for an attempt on one link, where a lost SYN would cost a second */
#define ATTEMPT_FAR    SECONDS(5)
#define PATIENT        4           /* each so-many-th attempt on one link lasts longer: the link may be slow, */
#define ATTEMPT_SLOW   SECONDS(3)  /* and not lossy */
#define SECOND_OPEN    MS(300)     /* for an OPEN on the other connection */
#define LATE           MS(500)     /* a timer this late means that we were not running */
#define QUIET          SECONDS(60) /* between two events of a kind */
#define SETTLED        SECONDS(2)  /* a session whose end of a collision is over on both sides */
#define LONG_LIVED_MAX 0xffffffu   /* what the capability has room for, in seconds */
#define PROBE          SECONDS(1)  /* least time between two KEEPALIVEs for newcomers' sake */

const char *
bgp_cause_name(enum bgp_cause c)
{
	static const char *const names[BGP_CAUSES] = {
		[BGP_CAUSE_NONE] = "none",
		[BGP_CAUSE_STOPPED] = "stopped",
		[BGP_CAUSE_LINK_DOWN] = "link_down",
		[BGP_CAUSE_TCP] = "tcp",
		[BGP_CAUSE_HOLD] = "hold_timer",
		[BGP_CAUSE_SEND_HOLD] = "send_hold_timer",
		[BGP_CAUSE_BAD_MESSAGE] = "bad_message",
		[BGP_CAUSE_IDENTITY] = "identity",
		[BGP_CAUSE_NOTICE] = "notification",
		[BGP_CAUSE_RESET] = "reset",
		[BGP_CAUSE_BFD] = "bfd_down",
	};

	return (size_t)c < BGP_CAUSES ? names[c] : "?";
}

/* ---- small things ---- */

/* 75 to 100 % of it (RFC 4271 10). */
static int64_t
peer_jitter(struct bgp_peer *p, int64_t us)
{
	return us - us / 4 * (int64_t)(p->ops.random(p->arg) % 1024) / 1024; /* RFC 4271 10 */
}

void
peer_blame(struct bgp_peer *p, enum bgp_cause cause, const char *fmt, ...)
{
	va_list ap;

	p->reason = (struct bgp_reason){ .cause = cause, .at = p->now };
	va_start(ap, fmt);
	vsnprintf(p->reason.text, sizeof(p->reason.text), fmt, ap);
	va_end(ap);
}

void
peer_event(struct bgp_peer *p, enum bgp_event_kind kind, const char *fmt, ...)
{
	char text[BGP_REASON_TEXT];
	va_list ap;

	if (p->events[kind].told && mono_sub(p->now, p->events[kind].at) < QUIET) {
		p->events[kind].suppressed++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->ops.event(p, kind, text, p->events[kind].suppressed, p->arg);
	p->events[kind].told = true;
	p->events[kind].at = p->now;
	p->events[kind].suppressed = 0;
}

struct bgp_conn *
peer_established(struct bgp_peer *p)
{
	for (int i = 0; i < BGP_SIDES; i++)
		if (p->conns[i].state == BGP_ESTABLISHED)
			return &p->conns[i];
	return NULL;
}

static struct bgp_conn *
other_conn(const struct bgp_conn *c)
{
	return &c->peer->conns[!c->side];
}

bool
conn_leads(const struct bgp_conn *c)
{
	return other_conn(c)->state <= c->state;
}

/* ---- actions of the state machine ---- */

static void
conn_arm_hold(struct bgp_conn *c)
{
	c->hold = c->hold_s ? mono_add(c->peer->now, SECONDS(c->hold_s)) : MONO_NEVER;
	c->hold_granted = false;
}

static void
arm_keepalive(struct bgp_conn *c)
{
	c->keepalive = c->hold_s ? mono_add(c->peer->now, peer_jitter(c->peer, SECONDS(c->hold_s) / 3)) : MONO_NEVER;
}

/* In Connect: how long this attempt may take. In Active: when to try again. */
static void
arm_retry(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	int64_t us, least = p->cfg.link_local_ok ? ATTEMPT_LOCAL : ATTEMPT_FAR;

	if (c->side == BGP_ACCEPTED || p->cfg.passive)
		return;
	us = peer_jitter(p, us_doubled(FIRST_RETRY, p->failures, p->cfg.retry_us));
	if (p->cfg.link_local_ok && p->failures % PATIENT == PATIENT - 1)
		least = ATTEMPT_SLOW;
	if (c->state == BGP_CONNECT)
		us = MAX_OF(us, least);
	p->retry = mono_add(p->now, us);
}

static void tell_state(struct bgp_peer *);
static void lose(struct bgp_conn *);

static void
come_up(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;

	p->counters.established++;
	p->facts.side = (enum bgp_side)c->side;
	p->facts.end_of_rib_in = p->facts.end_of_rib_out = 0;
	p->failures = 0;
	p->reason = (struct bgp_reason){ .at = p->now };
	snprintf(p->reason.text, sizeof(p->reason.text), "Established");
	for (int f = 0; f < FAMILIES; f++) {
		p->refresh[f].begun = p->refresh[f].pending = false;
		p->refresh[f].next = p->now;
	}
	if (other_conn(c)->state != BGP_IDLE) /* an attempt that nobody needs any more */
		lose(other_conn(c));
	restart_session_up(p);
	tell_state(p); /* at once: the peer's first UPDATE may be next */
}

/* The other end of come_up(); the reason is set already. */
static void
go_down(struct bgp_peer *p)
{
	p->counters.flaps++;
	p->send_hold = MONO_NEVER;
	p->last_reset = p->reason;
	if (mono_sub(p->now, p->since) >= LASTED)
		p->penalty = 0;
	restart_session_ended(p);
	p->ops.down(p, &p->reason, p->arg);
}

static void
note_sent(struct bgp_conn *c, const struct bgp_notice *n)
{
	struct bgp_peer *p = c->peer;

	p->counters.notices_out++;
	p->counters.out[BGP_NOTIFICATION]++;
	bgp_notice_text(n, p->notice_out, sizeof(p->notice_out));
	if (!conn_leads(c))
		return;
	p->reason.code = n->code;
	p->reason.subcode = n->subcode;
	p->reason.sent = true;
}

/* Gives the connection back to the owner. `dead`: nothing can be sent any more. */
static void
close_conn(struct bgp_conn *c, const struct bgp_notice *notice, bool dead)
{
	struct bgp_peer *p = c->peer;
	uint8_t *last = NULL;
	size_t n = 0;
	bool was_open = c->open;

	if (!dead && c->state >= BGP_OPEN_SENT)
		n = send_last(c, notice, &last);
	send_forget(p, c);
	c->open = c->has_remote = c->waits = c->input_more = c->unread = c->ready_told = false;
	c->hold = c->keepalive = MONO_NEVER;
	c->produced = c->written = 0;
	c->told = 0;
	if (was_open)
		p->ops.close(c, last, n, p->arg);
	c->io = NULL;
	mem_free(p->mem, MEM_SESSION, last);
}

static void
dial(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;

	c->open = true;
	p->counters.dials++;
	p->ops.connect(p, c, p->arg);
}

/* The time before the next start, after an end with an error or of a session that was too short. */
static void
hold_back(struct bgp_peer *p)
{
	int64_t us = us_doubled(p->cfg.idle_hold_us, p->penalty, p->cfg.idle_hold_max_us);

	p->idle = mono_add(p->now, peer_jitter(p, us));
}

/* Errors of the peer's making: what it sends or is. It stays refused until the idle hold time is over. */
static bool
at_fault(enum bgp_cause cause)
{
	return cause == BGP_CAUSE_BAD_MESSAGE || cause == BGP_CAUSE_IDENTITY || cause == BGP_CAUSE_RESET;
}

static bool
is_dead(enum bgp_event ev, const struct bgp_peer *p)
{
	return ev == BGP_EV_TCP_FAILS || (ev == BGP_EV_STOP && !p->link);
}

/* The end of a connection that was none too good: how long until the next one. */
static void
end_hold(struct bgp_conn *c, enum bgp_event ev)
{
	struct bgp_peer *p = c->peer;
	struct bgp_conn *o = other_conn(c);

	if (o->state >= BGP_OPEN_SENT || ev == BGP_EV_STOP)
		return;
	p->penalty++;
	p->refuse = at_fault(p->reason.cause);
	hold_back(p);
	if (o->state != BGP_IDLE) /* an attempt of our own waits as well */
		conn_event(o, BGP_EV_STOP, NULL);
}

static void
end_conn(struct bgp_conn *c, const struct bgp_step *s, enum bgp_event ev, const struct bgp_notice *notice)
{
	struct bgp_peer *p = c->peer;
	struct bgp_notice own = bgp_notice_make(s->code, s->subcode, NULL, 0);
	const struct bgp_notice *send = NULL;
	bool dead = is_dead(ev, p), was_up = c->state == BGP_ESTABLISHED;

	if ((s->actions & BGP_DO_NOTIFY) && !dead && !p->silent)
		send = notice && notice->code ? notice : s->code ? &own : NULL;
	if (send)
		note_sent(c, send);
	close_conn(c, send, dead);
	c->state = BGP_IDLE;
	if (was_up)
		go_down(p);
	if ((s->actions & BGP_DO_IDLE_HOLD) ||
	    (was_up && p->link && p->penalty + (mono_sub(p->now, p->since) < LASTED)))
		end_hold(c, ev);
}

void
conn_event(struct bgp_conn *c, enum bgp_event ev, const struct bgp_notice *notice)
{
	const struct bgp_step *s = bgp_fsm_step((enum bgp_state)c->state, ev);
	struct bgp_peer *p = c->peer;
	enum bgp_state was = (enum bgp_state)c->state;
	bool dialled = c->side == BGP_DIALLED;

	if (ev == BGP_EV_TCP_FAILS && dialled)
		p->failures++;
	if (s->actions & BGP_DO_CLOSE)
		end_conn(c, s, ev, notice);
	if (s->moves) {
		c->state = s->to;
		/* what is accepted is not dialled again: its Active is Idle, but for the moment of its start */
		if (!dialled && was != BGP_IDLE && (s->to == BGP_ACTIVE || s->to == BGP_CONNECT))
			c->state = BGP_IDLE;
	}
	if ((s->actions & BGP_DO_STOP_RETRY) && dialled)
		p->retry = MONO_NEVER;
	if (s->actions & BGP_DO_ARM_RETRY)
		arm_retry(c);
	if (s->actions & BGP_DO_SEND_OPEN)
		send_open(c);
	if (s->actions & BGP_DO_ARM_LARGE_HOLD) {
		c->hold = mono_add(p->now, p->cfg.large_hold_us);
		c->hold_granted = true; /* four minutes are enough */
	}
	if (s->actions & BGP_DO_SEND_KEEPALIVE)
		send_keepalive(c);
	if (s->actions & BGP_DO_ARM_HOLD)
		conn_arm_hold(c);
	if (s->actions & BGP_DO_ARM_KEEPALIVE)
		arm_keepalive(c);
	if (s->actions & BGP_DO_UP)
		come_up(c);
	if (other_conn(c)->waits && !c->open)
		conn_confirm(other_conn(c));
	if (s->actions & BGP_DO_DIAL) /* last: the owner may answer from within */
		dial(c);
}

/* ---- starting, and what follows from every call ---- */

/* Which side's connection survives, once the peer's identifier is known: RFC 4271 6.8, RFC 6286 2.3. */
static enum bgp_side
survivor(const struct bgp_peer *p, uint32_t id, uint32_t as)
{
	bool ours = p->cfg.router_id > id || (p->cfg.router_id == id && p->cfg.local_as >= as);

	return ours ? BGP_DIALLED : BGP_ACCEPTED;
}

static bool
is_polite(const struct bgp_peer *p)
{
	const struct bgp_config *cfg = &p->cfg;

	if (!cfg->polite_us || !cfg->peer_id || p->failures)
		return false;
	return survivor(p, cfg->peer_id, cfg->peer_as) == BGP_ACCEPTED;
}

/* Begins anew when nothing is going on and nothing holds us back. */
static void
start_if_due(struct bgp_peer *p)
{
	struct bgp_conn *c = &p->conns[BGP_DIALLED];

	if (!p->started || !p->link || c->state != BGP_IDLE || p->conns[BGP_ACCEPTED].state != BGP_IDLE)
		return;
	if (!mono_is_never(p->idle) && !mono_due(p->idle, p->now))
		return;
	p->idle = MONO_NEVER;
	if (p->cfg.passive) {
		conn_event(c, BGP_EV_START_PASSIVE, NULL);
	} else if (is_polite(p)) {
		conn_event(c, BGP_EV_START_PASSIVE, NULL);
		p->retry = mono_add(p->now, p->cfg.polite_us);
	} else {
		conn_event(c, BGP_EV_START, NULL);
	}
}

static enum bgp_state
present_state(const struct bgp_peer *p)
{
	return (enum bgp_state)MAX_OF(p->conns[0].state, p->conns[1].state);
}

static void
tell_state(struct bgp_peer *p)
{
	enum bgp_state was = (enum bgp_state)p->state, is = present_state(p);

	if (was == is)
		return;
	p->state = (uint8_t)is;
	p->since = p->now;
	p->ops.state_changed(p, was, is, p->reason.text, p->arg);
	if (is == BGP_ESTABLISHED)
		p->ops.established(p, p->arg);
}

void
peer_enter(struct bgp_peer *p, struct mono now)
{
	if (p->inside++ > 0)
		return;
	p->now = now;
	if (p->send_unclocked)
		send_clock(p);
}

static void
stop_conns(struct bgp_peer *p, const struct bgp_notice *notice)
{
	for (int i = 0; i < BGP_SIDES; i++)
		conn_event(&p->conns[i], BGP_EV_STOP, notice);
}

static void
do_ask(struct bgp_peer *p)
{
	enum ask ask = p->ask;

	p->ask = ASK_NOTHING;
	peer_blame(p, ask == ASK_STOP ? BGP_CAUSE_STOPPED : BGP_CAUSE_RESET, "%s", p->ask_text);
	if (ask == ASK_BFD)
		p->reason.cause = BGP_CAUSE_BFD;
	p->silent = ask == ASK_STOP && p->ask_notice.code == 0;
	stop_conns(p, &p->ask_notice);
	p->silent = false;
	if (ask == ASK_STOP)
		restart_abort(p, BGP_STALE_STOPPED, p->ask_text);
	p->retry = p->idle = MONO_NEVER;
	if (ask == ASK_STOP)
		p->started = false;
	else if (p->ask_idle_us && p->started && p->link) {
		p->idle = mono_add(p->now, p->ask_idle_us);
		p->refuse = at_fault(p->reason.cause);
	}
}

void
peer_leave(struct bgp_peer *p)
{
	/* Ops may ask for more while they are told: a stop of what has just come up, at most a few times. */
	for (int turns = 0; p->inside == 1 && turns < 4; turns++) {
		if (p->ask != ASK_NOTHING)
			do_ask(p);
		tell_state(p);
		start_if_due(p);
		tell_state(p);
		if (p->ask == ASK_NOTHING)
			break;
	}
	p->inside--;
}

/* ---- life ---- */

static void
set_default(int64_t *field, int64_t value)
{
	if (*field == 0)
		*field = value;
}

static void
fill_config(struct bgp_peer *p, const struct bgp_config *cfg)
{
	struct bgp_config *c = &p->cfg;

	*c = *cfg;
	p->name = mem_strdup(p->mem, MEM_SESSION, cfg->name ? cfg->name : "peer");
	p->hostname = cfg->hostname ? mem_strdup(p->mem, MEM_SESSION, cfg->hostname) : NULL;
	c->name = p->name;
	c->hostname = p->hostname;
	if (c->hold_s == 0)
		c->hold_s = 9;
	c->hold_s = MAX_OF(c->hold_s, 3);
	if (c->caps == 0)
		c->caps = BGP_CAP_MP | BGP_CAP_REFRESH | BGP_CAP_IPV4_OVER_IPV6 | BGP_CAP_EXTENDED_MESSAGE |
			  BGP_CAP_AS4 | BGP_CAP_ENHANCED_REFRESH | BGP_CAP_HOSTNAME | BGP_CAP_GRACEFUL_RESTART |
			  BGP_CAP_LONG_LIVED_RESTART;
	if (!c->hostname)
		c->caps &= ~(uint32_t)BGP_CAP_HOSTNAME;
	if (c->restart_s == 0)
		c->caps &= ~(uint32_t)(BGP_CAP_GRACEFUL_RESTART | BGP_CAP_LONG_LIVED_RESTART);
	c->long_lived_s = MIN_OF(c->long_lived_s, LONG_LIVED_MAX);
	set_default(&c->retry_us, SECONDS(1));
	set_default(&c->polite_us, MS(150));
	c->polite_us = MAX_OF(c->polite_us, 0);
	set_default(&c->idle_hold_us, SECONDS(1));
	set_default(&c->idle_hold_max_us, SECONDS(60));
	set_default(&c->large_hold_us, SECONDS(240));
	set_default(&c->send_hold_us, MAX_OF(SECONDS(480), 2 * SECONDS(c->hold_s)));
	set_default(&c->refresh_us, SECONDS(10));
	if (c->input_messages == 0)
		c->input_messages = 64;
	if (c->input_bytes == 0)
		c->input_bytes = 32768;
}

struct bgp_peer *
bgp_peer_new(
    struct mem *mem, struct bgp_scratch *scratch, const struct bgp_config *cfg, const struct bgp_ops *ops, void *arg)
{
	struct bgp_peer *p = mem_zalloc(mem, MEM_SESSION, sizeof(*p));

	p->mem = mem;
	p->scratch = scratch;
	p->ops = *ops;
	p->arg = arg;
	fill_config(p, cfg);
	p->retry = p->idle = p->send_hold = p->restart.until = p->early_until = MONO_NEVER;
	for (int i = 0; i < BGP_SIDES; i++) {
		p->conns[i].peer = p;
		p->conns[i].side = (uint8_t)i;
		p->conns[i].hold = p->conns[i].keepalive = MONO_NEVER;
	}
	peer_blame(p, BGP_CAUSE_STOPPED, "not started");
	return p;
}

void
bgp_peer_free(struct bgp_peer *p)
{
	if (!p)
		return;
	for (int i = 0; i < BGP_SIDES; i++)
		close_conn(&p->conns[i], NULL, true);
	mem_free(p->mem, MEM_SESSION, p->queue.ring);
	mem_free(p->mem, MEM_SESSION, p->name);
	mem_free(p->mem, MEM_SESSION, p->hostname);
	mem_free(p->mem, MEM_SESSION, p);
}

void
bgp_peer_start(struct bgp_peer *p, struct mono now)
{
	peer_enter(p, now);
	if (!p->started) {
		p->started = true;
		p->penalty = p->failures = 0;
		if (p->link)
			peer_blame(p, BGP_CAUSE_NONE, "started, not connected yet");
		else
			peer_blame(p, BGP_CAUSE_LINK_DOWN, "link down since the start");
	}
	peer_leave(p);
}

/* The text may hold words of an operator, who may have typed anything: what is told of it is plain ASCII. */
static void PRINTF_LIKE(5, 6)
    ask(struct bgp_peer *p, enum ask what, const struct bgp_notice *notice, int64_t idle_us, const char *fmt, ...)
{
	char text[BGP_REASON_TEXT];
	va_list ap;

	p->ask = what;
	p->ask_notice = *notice;
	p->ask_idle_us = idle_us;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bgp_escape((const uint8_t *)text, strlen(text), p->ask_text, sizeof(p->ask_text));
}

static void
ask_stop(struct bgp_peer *p, const struct bgp_notice *notice, const char *what, const char *words)
{
	bool more = words && *words;

	ask(p, ASK_STOP, notice, 0, "%s%s%s", what, more ? ": " : "", more ? words : "");
}

void
bgp_peer_stop(struct bgp_peer *p, const char *communication, struct mono now)
{
	struct bgp_notice n = bgp_notice_cease(BGP_CEASE_SHUTDOWN, communication);

	peer_enter(p, now);
	n = restart_hard(p, &n);
	ask_stop(p, &n, "stopped by the operator", communication);
	peer_leave(p);
}

void
bgp_peer_leave(struct bgp_peer *p, const char *communication, struct mono now)
{
	struct bgp_notice n = { 0 }; /* none */

	if (!peer_established(p) || !restart_agreed(p)) {
		bgp_peer_stop(p, communication, now);
		return;
	}
	if (restart_notified(p))
		n = bgp_notice_cease(BGP_CEASE_RESET, communication);
	peer_enter(p, now);
	ask_stop(p, &n, "stopped for a restart", communication);
	peer_leave(p);
}

void
bgp_peer_restarted(struct bgp_peer *p, bool restarted, uint8_t forwarding)
{
	p->restarted = restarted;
	p->forwarding = forwarding;
}

void
bgp_peer_remove(struct bgp_peer *p, struct mono now)
{
	struct bgp_notice n = bgp_notice_cease(BGP_CEASE_DECONFIGURED, NULL);

	peer_enter(p, now);
	n = restart_hard(p, &n);
	ask_stop(p, &n, "not in the topology file any more", NULL);
	peer_leave(p);
}

void
bgp_peer_reset(struct bgp_peer *p, enum bgp_cease subcode, const char *why, int64_t idle_us, struct mono now)
{
	struct bgp_notice n = bgp_notice_cease((uint8_t)subcode, why);

	peer_enter(p, now);
	ask(p, ASK_RESET, &n, idle_us, "%s", why ? why : bgp_subcode_name(BGP_ERR_CEASE, (uint8_t)subcode));
	peer_leave(p);
}

void
bgp_peer_max_prefixes(struct bgp_peer *p, enum family f, uint32_t limit, int64_t idle_us, struct mono now)
{
	uint8_t data[7];
	struct wr w = wr_make(data, sizeof(data));
	struct bgp_notice n;

	wr_u16(&w, bgp_afi(f)); /* RFC 4486 4 */
	wr_u8(&w, BGP_SAFI_UNICAST);
	wr_u32(&w, limit);
	n = bgp_notice_make(BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, data, sizeof(data));
	peer_enter(p, now);
	n = restart_hard(p, &n);
	ask(p, ASK_RESET, &n, idle_us, "more than %u %s prefixes from the peer; next attempt in %lld s", limit,
	    family_name(f), (long long)(idle_us / SECONDS(1)));
	peer_leave(p);
}

void
bgp_peer_bfd_down(struct bgp_peer *p, bool ends, struct mono now)
{
	struct bgp_notice n = bgp_notice_cease(BGP_CEASE_BFD_DOWN, NULL);

	peer_enter(p, now);
	if (peer_established(p)) {
		n = restart_hard(p, &n);
		ask(p, ASK_BFD, &n, p->cfg.idle_hold_us, "BFD says that the path is down");
	} else if (ends) {
		restart_abort(p, BGP_STALE_BFD, "BFD says that the path is down, and that this is no restart");
	}
	peer_leave(p);
}

void
bgp_peer_link_up(struct bgp_peer *p, struct mono now)
{
	peer_enter(p, now);
	if (!p->link) {
		p->link = true;
		p->failures = p->penalty = 0;
		if (p->started)
			peer_blame(p, BGP_CAUSE_NONE, "link up, not connected yet");
	}
	peer_leave(p);
}

static void
link_down(struct bgp_peer *p, const char *why)
{
	if (p->link) {
		p->link = false;
		if (p->started)
			peer_blame(p, BGP_CAUSE_LINK_DOWN, "%s", why);
		stop_conns(p, NULL);
		p->retry = p->idle = MONO_NEVER;
	}
}

void
bgp_peer_link_down(struct bgp_peer *p, const char *why, struct mono now)
{
	peer_enter(p, now);
	link_down(p, why);
	restart_abort(p, BGP_STALE_LINK, why);
	peer_leave(p);
}

void
bgp_peer_link_wait(struct bgp_peer *p, const char *why, struct mono now)
{
	peer_enter(p, now);
	link_down(p, why);
	peer_leave(p);
}

/* ---- connections ---- */

void
bgp_conn_set_io(struct bgp_conn *c, void *io)
{
	c->io = io;
}

void *
bgp_conn_io(const struct bgp_conn *c)
{
	return c->io;
}

enum bgp_side
bgp_conn_side(const struct bgp_conn *c)
{
	return (enum bgp_side)c->side;
}

enum bgp_state
bgp_conn_state(const struct bgp_conn *c)
{
	return (enum bgp_state)c->state;
}

static void
lose(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	struct bgp_reason keep = p->reason;

	if (c->state >= BGP_OPEN_SENT) {
		p->counters.collisions++;
		peer_event(p, BGP_EVENT_COLLISION, "%s: two connections at once, the one %s goes", p->name,
		    c->side == BGP_DIALLED ? "that we opened" : "that the peer opened");
	}
	conn_event(c, BGP_EV_COLLISION, NULL);
	p->reason = keep; /* nothing is wrong with the peer */
}

/*
 * RFC 4271 6.8. The identifier is known from an OPEN on either connection, or expected by the file. While the one
 * that would stay has not got as far as the other, nothing is decided: the peer may have come up on the other. There
 * are speakers with one connection at a time (GoBGP): they send their OPEN on one and close the other.
 */
void
peer_resolve_collision(struct bgp_peer *p, struct bgp_conn *c)
{
	struct bgp_conn *o = other_conn(c), *winner, *loser;
	uint32_t id = c->has_remote ? c->remote.id : o->has_remote ? o->remote.id : p->cfg.peer_id;
	uint32_t as = c->has_remote ? c->remote.asn : o->has_remote ? o->remote.asn : p->cfg.peer_as;

	if (c->state < BGP_OPEN_SENT || o->state == BGP_IDLE || id == 0)
		return;
	if (o->state == BGP_ESTABLISHED) {
		lose(c);
		return;
	}
	winner = &p->conns[survivor(p, id, as)];
	if (o->state <
	    BGP_OPEN_SENT) { /* not connected yet: give it up when it would lose, or when c is well on its way */
		if (winner == c || c->state >= BGP_OPEN_CONFIRM)
			lose(o);
		return;
	}
	loser = winner == c ? o : c;
	if (!p->cfg.peer_id && !winner->has_remote)
		return; /* only an OPEN on it tells that the peer, whom nobody described, works on it, too */
	if (winner->state >= loser->state)
		lose(loser);
}

/*
 * An OPEN has come on the connection that will lose if one comes on the other as well. Had we confirmed it, the peer
 * could come up here while we close it in favour of the other, and take the other down for the same reason. A moment
 * is enough: both OPENs go out when the connections are there. Who works on this one alone says so by its KEEPALIVE,
 * or by closing the other.
 */
bool
conn_wait(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;
	struct bgp_conn *o = other_conn(c);

	if (p->cfg.peer_id || o->state != BGP_OPEN_SENT || o->has_remote ||
	    &p->conns[survivor(p, c->remote.id, c->remote.asn)] == c)
		return false;
	c->waits = true;
	c->keepalive = mono_add(p->now, SECOND_OPEN);
	return true;
}

void
conn_confirm(struct bgp_conn *c)
{
	c->waits = false;
	c->keepalive = MONO_NEVER;
	conn_event(c, BGP_EV_OPEN, NULL);
	peer_resolve_collision(c->peer, c);
}

void
bgp_connected(struct bgp_conn *c, struct mono now)
{
	struct bgp_peer *p = c->peer;

	peer_enter(p, now);
	if (c->state == BGP_CONNECT) {
		conn_event(c, BGP_EV_TCP_UP, NULL);
		peer_resolve_collision(p, c);
	}
	peer_leave(p);
}

void
bgp_connect_failed(struct bgp_conn *c, const char *why, struct mono now)
{
	struct bgp_peer *p = c->peer;

	peer_enter(p, now);
	if (c->state == BGP_CONNECT) {
		p->counters.dial_failures++;
		if (other_conn(c)->state < BGP_OPEN_SENT) {
			peer_blame(p, BGP_CAUSE_TCP, "cannot connect: %s", why);
			peer_event(p, BGP_EVENT_TCP, "%s: cannot connect: %s", p->name, why);
		}
		conn_event(c, BGP_EV_TCP_FAILS, NULL);
	}
	peer_leave(p);
}

void
bgp_closed(struct bgp_conn *c, const char *why, struct mono now)
{
	struct bgp_peer *p = c->peer;

	if (c->state == BGP_CONNECT) {
		bgp_connect_failed(c, why, now);
		return;
	}
	peer_enter(p, now);
	if (c->state >= BGP_OPEN_SENT) {
		if (conn_leads(c)) {
			peer_blame(p, BGP_CAUSE_TCP, "connection lost in %s: %s",
			    bgp_state_name((enum bgp_state)c->state), why);
			peer_event(p, BGP_EVENT_TCP, "%s: %s", p->name, p->reason.text);
		}
		conn_event(c, BGP_EV_TCP_FAILS, NULL);
	}
	peer_leave(p);
}

/*
 * The peer opens a connection while the session is up on another one: it has restarted, and we were not told. Who does
 * graceful restart is taken at its word (RFC 4724 5: the new connection stays), unless the session is so young that
 * this may be a late attempt of its beginning. For others RFC 4271 6.8 holds, but a KEEPALIVE goes out on the old
 * connection: when nobody is at its other end any more, that one's kernel answers by RST, and the next attempt is taken.
 */
static void
newcomer(struct bgp_peer *p)
{
	struct bgp_conn *old = peer_established(p);

	if (!old)
		return;
	if (restart_agreed(p) && mono_sub(p->now, p->since) >= SETTLED) {
		peer_blame(p, BGP_CAUSE_TCP, "the peer has opened a new connection: it has restarted unnoticed");
		peer_event(p, BGP_EVENT_TCP, "%s: %s", p->name, p->reason.text);
		conn_event(old, BGP_EV_TCP_FAILS, NULL);
	} else if (mono_sub(p->now, p->probed) >= PROBE) {
		p->probed = p->now;
		conn_event(old, BGP_EV_KEEPALIVE_EXPIRES, NULL);
	}
}

static const char *
refusal(struct bgp_peer *p, const struct bgp_conn *c)
{
	if (!p->started)
		return "the peer is stopped";
	if (!p->link)
		return "the link is down";
	if (p->refuse && !mono_is_never(p->idle) && !mono_due(p->idle, p->now))
		return "the peer is held back after an error";
	if (peer_established(p))
		return "the session is up on another connection";
	/* A peer has one connection of its own: a second one says that it gave the first one up. */
	if (c->state >= BGP_OPEN_CONFIRM)
		return "the peer has a connection that is about to come up";
	return NULL;
}

struct bgp_conn *
bgp_accept(struct bgp_peer *p, struct mono now, const char **why)
{
	struct bgp_conn *c = &p->conns[BGP_ACCEPTED];
	const char *no;

	peer_enter(p, now);
	if (p->started && p->link)
		newcomer(p);
	no = refusal(p, c);
	if (why)
		*why = no;
	if (no) {
		p->counters.refused_accepts++;
		c = NULL;
	} else {
		struct bgp_reason keep = p->reason;

		p->counters.accepts++;
		if (c->state != BGP_IDLE)
			conn_event(c, BGP_EV_TCP_FAILS, NULL);
		p->reason = keep;
		c->open = true;
		p->idle = MONO_NEVER;
		conn_event(c, BGP_EV_START_PASSIVE, NULL);
		c->ready_told = true; /* the owner pulls the OPEN when it has set io */
		conn_event(c, BGP_EV_TCP_UP, NULL);
		peer_resolve_collision(p, c);
		if (c->state == BGP_IDLE)
			c = NULL;
	}
	peer_leave(p);
	return c;
}

/* ---- time ---- */

struct mono
bgp_deadline(const struct bgp_peer *p)
{
	struct mono t = mono_min(mono_min(p->retry, p->idle), mono_min(p->send_hold, p->restart.until));

	t = mono_min(t, p->early_until);

	for (int i = 0; i < BGP_SIDES; i++)
		t = mono_min(t, mono_min(p->conns[i].hold, p->conns[i].keepalive));
	for (int f = 0; f < FAMILIES; f++)
		if (p->refresh[f].pending)
			t = mono_min(t, p->refresh[f].next);
	return t;
}

static void
hold_timer(struct bgp_conn *c)
{
	struct bgp_peer *p = c->peer;

	if (!mono_due(c->hold, p->now))
		return;
	if (c->unread || (!c->hold_granted && mono_sub(p->now, c->hold) > LATE)) {
		/* We did not run, or did not listen, so that what the peer sent waits unread: it gets the time to be read. */
		c->hold_granted |= !c->unread;
		c->hold = mono_add(p->now, MAX_OF(SECONDS(c->hold_s) / 3, SECONDS(1)));
		p->counters.hold_grants++;
		peer_event(p, BGP_EVENT_TIMER, "%s: hold time granted again, %s", p->name,
		    c->unread ? "what it sent waits unread" : "our own timer was late");
		return;
	}
	if (c->state == BGP_OPEN_SENT)
		peer_blame(p, BGP_CAUSE_HOLD, "no OPEN for %lld s", (long long)(p->cfg.large_hold_us / SECONDS(1)));
	else
		peer_blame(p, BGP_CAUSE_HOLD, "nothing heard for the hold time of %u s", c->hold_s);
	conn_event(c, BGP_EV_HOLD_EXPIRES, NULL);
}

static void
keepalive_timer(struct bgp_conn *c)
{
	if (!mono_due(c->keepalive, c->peer->now))
		return;
	if (c->waits)
		conn_confirm(c);
	else
		conn_event(c, BGP_EV_KEEPALIVE_EXPIRES, NULL); /* which sets it anew */
}

static void
retry_timer(struct bgp_peer *p)
{
	struct bgp_conn *c = &p->conns[BGP_DIALLED];

	if (!mono_due(p->retry, p->now))
		return;
	p->retry = MONO_NEVER;
	if (p->conns[BGP_ACCEPTED].state >= BGP_OPEN_SENT) { /* the peer's own attempt is under way */
		p->retry = mono_add(p->now, p->cfg.retry_us);
		return;
	}
	if (c->state == BGP_CONNECT) {
		p->failures++;
		p->counters.dial_failures++;
		peer_blame(p, BGP_CAUSE_TCP, "cannot connect: no answer");
		peer_event(p, BGP_EVENT_TCP, "%s: cannot connect: no answer", p->name);
	}
	conn_event(c, BGP_EV_RETRY_EXPIRES, NULL);
}

static void
refresh_timer(struct bgp_peer *p)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (!p->refresh[f].pending || !mono_due(p->refresh[f].next, p->now))
			continue;
		p->refresh[f].pending = false;
		p->refresh[f].next = mono_add(p->now, p->cfg.refresh_us);
		if (peer_established(p))
			p->ops.refresh(p, (enum family)f, BGP_REFRESH_REQUEST, p->arg);
	}
}

void
bgp_timer(struct bgp_peer *p, struct mono now)
{
	peer_enter(p, now);
	for (int i = 0; i < BGP_SIDES; i++) {
		hold_timer(&p->conns[i]);
		keepalive_timer(&p->conns[i]);
	}
	send_timer(p);
	retry_timer(p);
	refresh_timer(p);
	restart_timer(p);
	peer_leave(p); /* starts again when the idle hold time is over */
}

/* ---- facts ---- */

enum bgp_state
bgp_peer_state(const struct bgp_peer *p)
{
	return present_state(p);
}

void *
bgp_peer_arg(const struct bgp_peer *p)
{
	return p->arg;
}

const struct bgp_reason *
bgp_peer_reason(const struct bgp_peer *p)
{
	return &p->reason;
}

const struct bgp_reason *
bgp_peer_last_reset(const struct bgp_peer *p)
{
	return &p->last_reset;
}

const struct bgp_counters *
bgp_peer_counters(const struct bgp_peer *p)
{
	return &p->counters;
}

const struct bgp_session_facts *
bgp_peer_facts(const struct bgp_peer *p)
{
	return &p->facts;
}

const struct bgp_restart *
bgp_peer_restart(const struct bgp_peer *p)
{
	return &p->restart;
}

const struct bgp_config *
bgp_peer_config(const struct bgp_peer *p)
{
	return &p->cfg;
}

struct mono
bgp_peer_since(const struct bgp_peer *p)
{
	return p->since;
}

const char *
bgp_peer_notice_in(const struct bgp_peer *p)
{
	return p->notice_in;
}

const char *
bgp_peer_notice_out(const struct bgp_peer *p)
{
	return p->notice_out;
}

struct bgp_encode_opts
bgp_peer_encode_opts(const struct bgp_peer *p)
{
	struct bgp_encode_opts o;

	memset(&o, 0, sizeof(o)); /* padding too: it may be hashed */
	o.local_as = p->cfg.local_as;
	o.internal = p->facts.internal;
	o.prepend = !o.internal;
	o.as4 = p->facts.caps & BGP_CAP_AS4;
	o.long_lived = p->facts.caps & BGP_CAP_LONG_LIVED_RESTART;
	o.extended = p->facts.caps & BGP_CAP_EXTENDED_MESSAGE;
	for (int f = 0; f < FAMILIES; f++) {
		const struct bgp_next_hop *nh = &p->next_hop[f];

		if (nh->has_link_local)
			o.form[f] = BGP_NH_IPV6_TWO;
		else if (f == FAMILY_IPV6 || (nh->has_global && nh->global.family == FAMILY_IPV6))
			o.form[f] = BGP_NH_IPV6;
	}
	if (o.form[FAMILY_IPV4] != BGP_NH_IPV4 && !(p->facts.caps & BGP_CAP_IPV4_OVER_IPV6)) /* RFC 8950 4 */
		o.form[FAMILY_IPV4] = BGP_NH_NONE;
	return o;
}
