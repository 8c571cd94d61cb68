/*
 * fabricd/link/port.c -- the state of a port, and what it sends
 *
 *   status --> reasons --> state --(becomes up)--> burst: RS, multicast RA, LLDP --> RA schedule of RFC 4861 6.2.4
 *                               --(was up)-------> neighbours and LLDP information go
 *
 * The state is worked out in one place, reconsider(), from facts that only inputs change. A port that hears its own
 * address is refused: looped when its own message came back (same MAC in it), duplicate otherwise. It stays refused
 * for refuse_us after the last sighting; then it asks with an RS and an RA, and is up again after a second of silence.
 *
 * Always true: nothing is sent on a port that is not lit; RAs only when it is up, or to probe a refusal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/link/impl.h"

#define INITIAL_RAS         3           /* RFC 4861 10: MAX_INITIAL_RTR_ADVERTISEMENTS */
#define INITIAL_INTERVAL_US SECONDS(16) /* MAX_INITIAL_RTR_ADVERT_INTERVAL */
#define RS_FIRST_US         SECONDS(1)
#define RS_MAX_US           SECONDS(30)
#define PROBE_US            SECONDS(1)
#define ALARM_US            SECONDS(60)
#define PACE_SLOT_US        MS(10)
#define PACE_SLOT_PACKETS   64
#define BURST_PACKETS       3

static const char *const state_names[LINK_STATES] = {
	[LINK_MISSING] = "missing",
	[LINK_ADMIN_DOWN] = "admin-down",
	[LINK_NO_CARRIER] = "no-carrier",
	[LINK_NO_ADDRESS] = "no-address",
	[LINK_LOOPED] = "looped",
	[LINK_DUPLICATE] = "duplicate-address",
	[LINK_UP] = "up",
};

const char *
link_state_name(enum link_state s)
{
	return (size_t)s < LINK_STATES ? state_names[s] : "?";
}

const char *
link_how_name(enum link_how how)
{
	static const char *const names[] = {
		[LINK_BY_NONE] = "none", [LINK_BY_RA] = "ra", [LINK_BY_RS] = "rs", [LINK_BY_OPEN] = "open"
	};

	return (size_t)how < ARRAY_LEN(names) ? names[how] : "?";
}

/* ---- small services ---- */

void
link_alarm(struct link_port *p, enum link_alarm alarm, struct mono now, const char *fmt, ...)
{
	static const char *const types[ALARMS] = {
		[ALARM_SECOND_ROUTER] = "second-router",
		[ALARM_LOOP] = "loop",
		[ALARM_DUPLICATE] = "duplicate-address",
		[ALARM_CABLING] = "wrong-neighbor",
		[ALARM_MTU] = "mtu-mismatch",
	};
	char text[256];
	va_list ap;

	if (!p->ops->alarm || (p->alarmed[alarm].us && mono_sub(now, p->alarmed[alarm]) < ALARM_US))
		return;
	p->alarmed[alarm] = now;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->ops->alarm(p->arg, types[alarm], text);
}

uint64_t
link_random(struct link_port *p, uint64_t below)
{
	return p->ops->random && below ? p->ops->random(p->arg) % below : 0;
}

/* When so many packets may go: now, or in the first slot that has room. */
struct mono
link_pace_take(struct link_pace *pace, unsigned int packets, struct mono now)
{
	if (!pace)
		return now;
	if (mono_sub(now, pace->slot) >= PACE_SLOT_US) {
		pace->slot = now;
		pace->used = 0;
	}
	if (pace->used + packets > PACE_SLOT_PACKETS) {
		pace->slot = mono_add(pace->slot, PACE_SLOT_US);
		pace->used = 0;
	}
	pace->used += packets;
	return pace->slot.us < now.us ? now : pace->slot;
}

/* ---- sending ---- */

static void
send_ra(struct link_port *p, const struct ip *dst, uint16_t lifetime_s)
{
	uint8_t buf[ND_MESSAGE_MAX];
	struct nd_router_advert ra = { .hop_limit = 64, .lifetime_s = lifetime_s, .mac = p->status.mac };
	size_t n = nd_build_ra(buf, sizeof(buf), &ra);

	p->counters.tx_ra++;
	p->ops->send_nd(p->arg, dst, buf, n);
}

/* dst NULL: to all nodes. */
void
link_send_ra(struct link_port *p, const struct ip *dst, struct mono now)
{
	struct ip all = nd_all_nodes();

	if (!dst)
		p->last_ra = now;
	send_ra(p, dst ? dst : &all, p->cfg.ra_lifetime_s);
}

void
link_send_rs(struct link_port *p)
{
	uint8_t buf[ND_MESSAGE_MAX];
	struct ip all = nd_all_routers();
	size_t n = nd_build_rs(buf, sizeof(buf), p->status.mac);

	p->counters.tx_rs++;
	p->ops->send_nd(p->arg, &all, buf, n);
}

/* The time of the next unsolicited RA (RFC 4861 6.2.4). */
static void
schedule_ra(struct link_port *p, struct mono now)
{
	int64_t wait = p->cfg.ra_min_us + (int64_t)link_random(p, (uint64_t)(p->cfg.ra_max_us - p->cfg.ra_min_us + 1));

	if (p->ra_initial) {
		p->ra_initial--;
		wait = MIN_OF(wait, INITIAL_INTERVAL_US);
	}
	p->ra_at = mono_add(now, wait);
}

/*
 * RSs go on until a neighbour is known (RFC 7559): the first ones may be lost where packets are lost, and the
 * neighbour, who knows us from before and may wait for BFD, would say nothing until its next unsolicited RA.
 */
static void
schedule_rs(struct link_port *p, struct mono now)
{
	p->rs_at = mono_add(now, p->rs_wait - (int64_t)link_random(p, (uint64_t)p->rs_wait / 8));
	p->rs_wait = MIN_OF(2 * p->rs_wait, RS_MAX_US);
}

static void
burst(struct link_port *p, struct mono now)
{
	p->burst_at = MONO_NEVER;
	link_send_rs(p);
	link_send_ra(p, NULL, now);
	p->ra_initial = INITIAL_RAS - 1;
	schedule_ra(p, now);
	p->rs_wait = RS_FIRST_US;
	schedule_rs(p, now);
}

/* ---- the state ---- */

static enum link_state
reason(const struct link_port *p)
{
	const struct link_status *s = &p->status;

	if (!s->present)
		return LINK_MISSING;
	if (!s->admin_up)
		return LINK_ADMIN_DOWN;
	if (!s->carrier)
		return LINK_NO_CARRIER;
	if (ip_is_zero(&s->link_local))
		return LINK_NO_ADDRESS;
	return p->refused;
}

static void
went_up(struct link_port *p, struct mono now)
{
	p->tokens = 8;
	p->tokens_at = now;
	if (mono_is_never(p->burst_at)) /* a flapping port takes one place in the queue, not many */
		p->burst_at = link_pace_take(p->pace, BURST_PACKETS, now);
	if (mono_due(p->burst_at, now))
		burst(p, now);
}

static void
went_down(struct link_port *p)
{
	p->ra_at = p->rs_at = MONO_NEVER;
	p->challenge_at = MONO_NEVER;
	link_neighbors_clear(p);
}

static void
reconsider(struct link_port *p, struct mono now)
{
	enum link_state was = p->state, is = reason(p);

	if (was == is)
		return;
	p->state = is;
	p->since = is == p->was && p->was_since.us ? p->was_since : now;
	p->was_since.us = 0;
	if (was == LINK_UP || is == LINK_UP)
		p->counters.transitions++;
	if (was == LINK_UP)
		went_down(p);
	if (p->ops->state)
		p->ops->state(p->arg, was, is);
	if (p->state == LINK_UP && is == LINK_UP)
		went_up(p, now);
}

/* Our own address was seen as another's. */
void
link_refuse(struct link_port *p, enum link_state why, struct mono now)
{
	char a[IP_TEXT];

	p->counters.own_seen++;
	if (why == LINK_LOOPED)
		link_alarm(p, ALARM_LOOP, now,
		    "%s: our own messages come back: the port is refused; look for a loop in the cabling", p->name);
	else
		link_alarm(p, ALARM_DUPLICATE, now,
		    "%s: somebody else uses our address %s: the port is refused; give one of the two another MAC",
		    p->name, ip_print(&p->status.link_local, a));
	p->refused = why;
	p->probe_at = mono_add(now, p->cfg.refuse_us);
	p->clear_at = MONO_NEVER;
	reconsider(p, now);
}

static void
unrefuse(struct link_port *p)
{
	p->refused = LINK_UP;
	p->probe_at = p->clear_at = MONO_NEVER;
}

void
link_port_status(struct link_port *p, const struct link_status *s, struct mono now)
{
	bool was_lit = link_lit(p), moved = !ip_equal(&p->status.link_local, &s->link_local);

	if (moved && p->state == LINK_UP) { /* another address: another port, to the neighbour */
		p->status.link_local = (struct ip){ .family = FAMILY_IPV6 };
		reconsider(p, now);
	}
	p->status = *s;
	if (moved || !link_lit(p))
		unrefuse(p);
	if (was_lit && !link_lit(p))
		link_lldp_clear(p);
	reconsider(p, now);
	if (!was_lit && link_lit(p))
		link_lldp_start(p, now);
	link_lldp_judge(p, now);
}

/* ---- time ---- */

struct mono
link_port_deadline(const struct link_port *p)
{
	struct mono d = MONO_NEVER;

	if (!link_lit(p))
		return d;
	d = mono_min(link_lldp_deadline(p), mono_min(p->probe_at, p->clear_at));
	if (p->state == LINK_UP && !p->has_chosen)
		d = mono_min(d, p->rs_at);
	if (p->state == LINK_UP)
		d = mono_min(mono_min(d, p->burst_at), mono_min(p->ra_at, link_neighbors_deadline(p)));
	return d;
}

void
link_port_timer(struct link_port *p, struct mono now)
{
	if (!link_lit(p))
		return;
	if (mono_due(p->probe_at, now)) {
		p->probe_at = MONO_NEVER;
		p->clear_at = mono_add(now, PROBE_US);
		link_send_rs(p);
		link_send_ra(p, NULL, now);
	} else if (mono_due(p->clear_at, now)) {
		unrefuse(p);
		reconsider(p, now);
	}
	if (p->state == LINK_UP) {
		if (mono_due(p->burst_at, now))
			burst(p, now);
		if (mono_due(p->ra_at, now)) {
			link_send_ra(p, NULL, now);
			schedule_ra(p, now);
		}
		if (!p->has_chosen && mono_due(p->rs_at, now)) {
			link_send_rs(p);
			schedule_rs(p, now);
		}
		link_neighbors_timer(p, now);
	}
	link_lldp_timer(p, now);
}

/* ---- life ---- */

struct link_port *
link_port_new(struct mem *mem, const char *name, const struct link_config *cfg, struct link_pace *pace,
    const struct link_ops *ops, void *arg)
{
	struct link_port *p = mem_zalloc(mem, MEM_LINK, sizeof(*p));
	struct link_config *c = &p->cfg;

	p->mem = mem;
	snprintf(p->name, sizeof(p->name), "%s", name);
	if (cfg)
		*c = *cfg;
	c->ra_max_us = c->ra_max_us ? c->ra_max_us : SECONDS(600);
	c->ra_min_us = c->ra_min_us ? MIN_OF(c->ra_min_us, c->ra_max_us) : c->ra_max_us / 3;
	c->ra_lifetime_s = c->ra_lifetime_s ? c->ra_lifetime_s : 1800;
	c->lldp_us = c->lldp_us ? c->lldp_us : SECONDS(30);
	c->lldp_hold = c->lldp_hold ? c->lldp_hold : 4;
	c->refuse_us = c->refuse_us ? c->refuse_us : SECONDS(60);
	p->pace = pace;
	p->ops = ops;
	p->arg = arg;
	p->state = LINK_MISSING;
	p->refused = LINK_UP;
	p->probe_at = p->clear_at = p->burst_at = p->ra_at = p->rs_at = p->challenge_at = p->lldp_at = MONO_NEVER;
	return p;
}

void
link_port_free(struct link_port *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nlldp; i++)
		mem_free(p->mem, MEM_LINK, p->lldp[i]);
	mem_free(p->mem, MEM_LINK, p);
}

static void
copy_text(char *to, size_t room, const char *from)
{
	snprintf(to, room, "%s", from ? from : "");
}

void
link_port_identity(struct link_port *p, const struct link_identity *id, struct mono now)
{
	struct lldp_fabric me = { .present = true };
	char description[LLDP_TEXT];

	copy_text(me.fabric, sizeof(me.fabric), id->fabric);
	copy_text(me.node, sizeof(me.node), id->node);
	copy_text(me.serial, sizeof(me.serial), id->serial);
	copy_text(me.revision, sizeof(me.revision), id->revision);
	copy_text(me.port, sizeof(me.port), p->name);
	copy_text(description, sizeof(description), id->system_description);
	if (memcmp(&me, &p->me, sizeof(me)) == 0 && strcmp(description, p->description) == 0)
		return;
	p->me = me;
	memcpy(p->description, description, sizeof(description));
	if (link_lit(p))
		link_lldp_start(p, now);
}

void
link_port_expect(struct link_port *p, const struct link_expect *e, struct mono now)
{
	copy_text(p->want_fabric, sizeof(p->want_fabric), e->fabric);
	copy_text(p->want_node, sizeof(p->want_node), e->node);
	copy_text(p->want_port, sizeof(p->want_port), e->port);
	p->told_cabling = false;
	link_lldp_judge(p, now);
}

void
link_port_goodbye(struct link_port *p, struct mono now)
{
	struct ip all = nd_all_nodes();
	uint8_t frame[LLDP_FRAME_MAX];
	size_t n;

	(void)now;
	if (p->state == LINK_UP)
		send_ra(p, &all, 0);
	if (!link_lit(p) || p->cfg.no_lldp)
		return;
	n = lldp_build_shutdown(frame, sizeof(frame), p->status.mac, p->name);
	p->counters.tx_lldp++;
	p->ops->send_frame(p->arg, frame, n);
}

void
link_port_view(const struct link_port *p, struct link_view *v)
{
	*v = (struct link_view){ .name = p->name,
		.state = p->state,
		.since = p->since,
		.status = p->status,
		.neighbors = p->neighbors,
		.nneighbors = p->nneighbors,
		.lldp = link_lldp_best(p),
		.nlldp = p->nlldp,
		.mtu_mismatch = link_lldp_mtu_differs(p),
		.counters = p->counters };
	v->match = link_lldp_match(p, v->mismatch, sizeof(v->mismatch));
	for (size_t i = 0; p->has_chosen && i < p->nneighbors; i++)
		if (ip_equal(&p->neighbors[i].addr, &p->chosen))
			v->chosen = &p->neighbors[i];
}
