/*
 * fabricd/sim/check.c -- see check.h
 *
 *   flow --changed, good, valley--> here
 *   fault --check_fault()--> what works --trial_us later--> what is counted on --oracle--> who must be reached
 *                      \--> bound: until when whom it lies between may be lost
 *
 * bad_since of a (destination, node) is set while the node must reach it and does not. Once its bound has passed, that
 * is a violation; `soonest` is the first time at which that may be so, and is worked out anew then.
 *
 * Always true: nbad is the number of (destination, node) with bad_since set.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/check_impl.h"

#define ALLOWANCE_US  MS(10)
#define RECONNECT_US  SECONDS(90)
#define REST_US       SECONDS(30) /* beside damping, until a link is used */
#define HOP_US        MS(1)       /* what a node needs to pass news on, beside the link and its forwarding plane */
#define DOUBT_US      MS(50)      /* so long a port may be used that the neighbour has just withdrawn, at most */
#define SLOW_HOLDS_UP 1           /* hold times that a slow node may delay others */
#define CALLBACKS     100         /* in which a node passes news on, where its CPU takes time for each */
#define STRIKES_MAX   10u
#define SELDOM_US     SECONDS(31)
#define SWEPT_US      SECONDS(4)  /* what a restarted node found is swept so long after timers.restart at the latest */
#define HEALTHY_US    SECONDS(60) /* who has been in use for so long has a good name again, or as long as for damping */
#define DAMPED_LIVES  12 /* half-lives: no link is damped for longer, and after as many in use its name is good */

static const char *const kinds[CHECK_KINDS] = {
	[CHECK_NONE] = "nothing",
	[CHECK_VALLEY] = "valley or loop",
	[CHECK_LEAVES] = "packets leave the fabric",
	[CHECK_UNADVERTISED] = "next hop that did not advertise",
	[CHECK_BLACK_HOLE] = "black hole",
	[CHECK_PATHS] = "paths differ from the graph's",
	[CHECK_RIB_FIB] = "RIB and forwarding plane differ",
	[CHECK_REASON] = "state without a reason",
	[CHECK_RESTLESS] = "no rest",
	[CHECK_LEAK] = "left over",
	[CHECK_OUTSIDE] = "the outside is not reached",
	[CHECK_LATE] = "late keepalive",
	[CHECK_UPGRADE] = "upgrade that is noticed",
};

const char *
check_kind_name(enum check_kind k)
{
	return (size_t)k < CHECK_KINDS ? kinds[k] : "?";
}

struct mono
check_now(const struct check *c)
{
	return sim_now(world_net(c->w));
}

void
check_fail(struct check *c, enum check_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (c->violation.kind)
		return;
	c->violation.kind = kind;
	c->violation.at = check_now(c);
	va_start(ap, fmt);
	vsnprintf(c->violation.text, sizeof(c->violation.text), fmt, ap);
	va_end(ap);
	if (c->cfg.log)
		simlog_add(c->cfg.log, c->violation.at, "*", "violation: %s: %s", kinds[kind], c->violation.text);
}

static const char *
name(const struct check *c, uint32_t node)
{
	return node == TOPO_NONE ? "the world outside" : c->t->nodes[node].name;
}

/* ---- who must be reached, and is not ---- */

/* Over any border that is counted on, with its link to a router outside: each of them announces a default route. */
static bool
must_get_out(const struct check *c, enum family f, uint32_t node)
{
	for (size_t i = 0; i < c->t->nexternals; i++) {
		const struct topo_external *x = &c->t->externals[i];

		if (x->peer.family == f && c->outs[i].sure && c->node_sure[x->node] &&
		    c->paths[x->node].distance[node] != ORACLE_FAR)
			return true;
	}
	return false;
}

static bool
must_reach(const struct check *c, size_t dest, uint32_t node)
{
	const struct flow_dest *d = flow_dest(c->flow, dest);

	if (d->owner == TOPO_NONE)
		return must_get_out(c, (enum family)d->prefix.family, node);
	return c->paths[flow_dest(c->flow, dest)->owner].distance[node] != ORACLE_FAR;
}

/* Until when this (destination, node) may be bad. */
static struct mono
may_last(const struct check *c, size_t at)
{
	const struct flow_dest *d = flow_dest(c->flow, at / c->n);
	uint32_t node = (uint32_t)(at % c->n);
	struct mono until = { 0 };

	if (d->owner != TOPO_NONE)
		return bound_of(c->bound, node, d->owner);
	for (size_t i = 0; i < c->t->nexternals; i++) /* packets may take any border */
		if (c->t->externals[i].peer.family == d->prefix.family)
			until.us = MAX_OF(until.us, bound_of(c->bound, node, c->t->externals[i].node).us);
	return until;
}

static void
bad_begins(struct check *c, size_t at)
{
	c->bad_since[at] = check_now(c);
	c->nbad++;
	c->soonest = mono_min(c->soonest, may_last(c, at));
}

static void
bad_ends(struct check *c, size_t dest, uint32_t node, bool counts)
{
	size_t at = dest * c->n + node;
	int64_t us = mono_sub(check_now(c), c->bad_since[at]);

	if (counts) {
		c->stats.losses++;
		c->stats.worst_us = MAX_OF(c->stats.worst_us, us);
		if (c->cfg.loss)
			c->cfg.loss(c->cfg.arg, dest, node, c->bad_since[at], us);
	}
	c->bad_since[at].us = 0;
	c->nbad--;
}

static void
judge_bad(struct check *c)
{
	char p[PREFIX_TEXT];

	if (check_now(c).us <= c->soonest.us)
		return;
	c->soonest = MONO_NEVER;
	for (size_t at = 0; at < flow_all(c->flow) * c->n; at++) {
		const struct flow_dest *d = flow_dest(c->flow, at / c->n);
		uint32_t node = (uint32_t)(at % c->n);
		struct mono until = may_last(c, at);
		char ports[256];

		if (!c->bad_since[at].us)
			continue;
		c->soonest = mono_min(c->soonest, until);
		if (check_now(c).us <= until.us)
			continue;
		check_fail(c, CHECK_BLACK_HOLE,
		    "%s does not reach %s (%s) for %lld us, %lld us longer than it may: it uses %s", name(c, node),
		    prefix_print(&d->prefix, p), name(c, d->owner), (long long)mono_sub(check_now(c), c->bad_since[at]),
		    (long long)mono_sub(check_now(c), until),
		    flow_print(c->flow, node, flow_ports(c->flow, at / c->n, node), ports, sizeof(ports)));
		return;
	}
}

/* ---- what flow tells ---- */

static void
on_good(void *arg, size_t dest, uint32_t node, bool good)
{
	struct check *c = arg;
	size_t at = dest * c->n + node;

	if (good && c->bad_since[at].us)
		bad_ends(c, dest, node, true);
	else if (!good && !c->bad_since[at].us && must_reach(c, dest, node))
		bad_begins(c, at);
}

static bool
lies(const struct check *c, uint32_t node)
{
	return node != TOPO_NONE && c->lies[node].us > check_now(c).us;
}

static void
on_valley(void *arg, size_t dest, uint32_t node)
{
	struct check *c = arg;
	char p[PREFIX_TEXT], ports[256];

	/*
	 * A border that has lost its session sends what still comes to it on to the other borders, until those above have heard
	 * of it. That this ends in time is the affair of whoever cannot get out meanwhile.
	 */
	if (flow_dest(c->flow, dest)->owner == TOPO_NONE)
		return;
	if (lies(c, node) || lies(c, flow_from_above(c->flow, dest, node)))
		return;
	check_fail(c, CHECK_VALLEY, "packets to %s come down from %s to %s, which sends them to %s",
	    prefix_print(&flow_dest(c->flow, dest)->prefix, p), name(c, flow_from_above(c->flow, dest, node)),
	    name(c, node), flow_print(c->flow, node, flow_ports(c->flow, dest, node), ports, sizeof(ports)));
}

static void
on_leaves(void *arg, size_t dest, uint32_t node, const char *how)
{
	struct check *c = arg;
	char p[PREFIX_TEXT];

	if (lies(c, node))
		return;
	check_fail(c, CHECK_LEAVES, "%s sends packets to %s out of the fabric: %s", name(c, node),
	    prefix_print(&flow_dest(c->flow, dest)->prefix, p), how);
}

/* The ports whose neighbours offer the destination to this node now. */
static void
offered(const struct check *c, size_t dest, const struct node *n, uint64_t *out)
{
	struct rib_view v;

	memset(out, 0, c->words * sizeof(*out));
	if (!rib_get(n->rib, 0, &flow_dest(c->flow, dest)->prefix, &v) || !v.list)
		return;
	for (size_t i = 0; i < v.list->n; i++) {
		const struct rib_nexthop *nh = v.list->paths[i].nexthop;

		if (nh && nh->ifindex && nh->ifindex <= c->words * 64)
			out[(nh->ifindex - 1) / 64] |= 1ull << (nh->ifindex - 1) % 64;
	}
}

static bool
all_offered(const struct check *c, const uint64_t *ports, const uint64_t *offers)
{
	for (size_t w = 0; w < c->words; w++)
		if (ports[w] & ~offers[w])
			return false;
	return true;
}

static void
on_changed(void *arg, size_t dest, uint32_t node, const uint64_t *was, const uint64_t *now)
{
	struct check *c = arg;
	struct world_node *wn = world_node_at(c->w, node);
	char p[PREFIX_TEXT], ports[256];

	c->stats.flow_changes++;
	c->ribs[node].moved = true;
	c->moved[dest * c->n + node] = 1;
	c->stats.last_change = check_now(c);
	if (c->cfg.log)
		simlog_add(c->cfg.log, check_now(c), name(c, node), "fib %s via %s",
		    prefix_print(&flow_dest(c->flow, dest)->prefix, p),
		    flow_print(c->flow, node, now, ports, sizeof(ports)));
	if (!wn->node || all_offered(c, now, was)) /* none was added */
		return;
	offered(c, dest, wn->node, c->scratch);
	for (size_t w = 0; w < c->words; w++)
		c->scratch[w] |= was[w]; /* of those it had before, other rules speak */
	if (all_offered(c, now, c->scratch))
		return;
	c->doubts = mem_grow(NULL, MEM_OTHER, c->doubts, &c->cap_doubts, c->ndoubts + 1, sizeof(*c->doubts));
	c->doubts[c->ndoubts++] = (struct check_doubt){ dest, node, check_now(c) };
}

static void
on_after(void *arg)
{
	judge_bad(arg);
}

/*
 * A port was added that its neighbour does not offer. It may just have taken that back: then the next operation of the
 * forwarding plane takes the port away again. Anything else is a violation.
 */
static void
judge_doubts(struct check *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->ndoubts; i++) {
		struct check_doubt d = c->doubts[i];
		struct world_node *wn = world_node_at(c->w, d.node);
		const uint64_t *ports = flow_ports(c->flow, d.dest, d.node);
		char p[PREFIX_TEXT], text[256];
		struct model_stats s;

		if (!wn->node || !wn->platform)
			continue;
		offered(c, d.dest, wn->node, c->scratch);
		if (all_offered(c, ports, c->scratch))
			continue;
		c->doubts[kept++] = d;
		if (c->slow_until[d.node].us > check_now(c).us)
			continue;
		model_stats(wn->platform, &s);
		if ((node_quiet(wn->node) && !s.in_flight) || mono_sub(check_now(c), d.since) > DOUBT_US)
			check_fail(c, CHECK_UNADVERTISED,
			    "%s sends packets to %s to %s, and not all of these neighbours advertise it",
			    name(c, d.node), prefix_print(&flow_dest(c->flow, d.dest)->prefix, p),
			    flow_print(c->flow, d.node, ports, text, sizeof(text)));
	}
	c->ndoubts = kept;
}

/* ---- what works ---- */

/*
 * Whether packets that leave by this end get to the right node, and back here. A cable that was moved to a parallel
 * link of the same two nodes does no harm.
 */
static bool
end_works(struct check *c, uint32_t link, bool upper)
{
	const struct topo_link *l = &c->t->links[link];
	uint32_t node = upper ? l->upper : l->lower, far = upper ? l->lower : l->upper;
	uint32_t port = c->oracle.links[link].port[upper], ifindex = 0, back = 0;
	const struct topo_port *p;

	if (world_far(c->w, world_node_at(c->w, node), port + 1, &ifindex) != far ||
	    world_far(c->w, world_node_at(c->w, far), ifindex, &back) != node || back != port + 1)
		return false;
	p = &c->t->nodes[far].ports[ifindex - 1];
	return p->link != TOPO_NONE && p->far_node == node && (p->kind == TOPO_UP || p->kind == TOPO_DOWN);
}

static bool
node_works(const struct check *c, uint32_t node)
{
	return world_node_at(c->w, node)->node && c->slow_until[node].us <= check_now(c).us;
}

/* Works out whom everybody must reach from what is counted on. */
static void
search_all(struct check *c)
{
	struct oracle_graph g = check_counted_on(c);

	for (uint32_t i = 0; i < c->n; i++)
		oracle_search(&c->oracle, &g, i, &c->paths[i]);
	for (size_t d = 0; d < flow_all(c->flow); d++) {
		for (uint32_t i = 0; i < c->n; i++) {
			size_t at = d * c->n + i;
			bool bad = must_reach(c, d, i) && !flow_good(c->flow, d, i);

			if (bad && !c->bad_since[at].us)
				bad_begins(c, at);
			else if (!bad && c->bad_since[at].us)
				bad_ends(c, d, i, false);
		}
	}
}

/*
 * How long a link may be damped after so many falls in a row, by the letter of docs/restart.md: a half-life when there are
 * enough of them, and each one more is at worst another time that it is kept out, for twice as long. (What the penalty alone
 * can ask for is never more than that.)
 */
static int64_t
damped_us(const struct check *c, unsigned int falls)
{
	const struct topo_timers *t = &c->t->timers;

	if (falls < t->damping_suppress)
		return 0;
	return MIN_OF(1 << MIN_OF(falls - t->damping_suppress, STRIKES_MAX), DAMPED_LIVES) * t->damping_half_life_us;
}

/*
 * How long after it works again something must be used again: longer after each of several failures (idle hold, damping),
 * and after a long silence, in which those who ask for neighbours do so ever more seldom, up to 30 s (RFC 7559).
 */
static int64_t
trial_us(const struct check *c, const struct check_part *p)
{
	unsigned int strikes = MIN_OF(p->strikes, STRIKES_MAX);

	return MIN_OF(
	    c->cfg.reconnect_us, MAX_OF(CHECK_FIRST_US << strikes, CHECK_FIRST_US + damped_us(c, p->strikes)) +
				     MIN_OF(p->away_us, SELDOM_US));
}

/*
 * A good name is earned in use: a minute of it, or the half-lives after which damping has forgotten. What failed while it
 * was not in use anyhow, since its node was slow or it lost frames, has as bad a name as before, and a worse one.
 */
static unsigned int
strikes_after(const struct check *c, const struct check_part *p)
{
	int64_t healthy = MAX_OF(HEALTHY_US, DAMPED_LIVES * c->t->timers.damping_half_life_us);

	return p->works && mono_sub(check_now(c), p->since) > trial_us(c, p) + healthy ? 1 : p->strikes + 1;
}

static bool
somebody_is_frozen(const struct check *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->frozen_until[i].us > check_now(c).us)
			return true;
	return false;
}

static bool
count_on(struct check *c, struct check_part *p, bool works, bool passes)
{
	struct mono now = check_now(c);
	bool was = p->sure;

	if (works && !p->works)
		p->away_us = p->strikes ? mono_sub(now, p->since) : 0;
	if ((!works && p->works) || (!passes && p->passes)) /* a link may come and go while its node is slow */
		p->strikes = strikes_after(c, p);
	if (works != p->works)
		p->since = now;
	else if (works && !was && c->any_frozen) /* nobody begins a session with it, or tells of it */
		p->since = now;
	p->works = works;
	p->passes = passes;
	p->sure = works && mono_sub(now, p->since) >= trial_us(c, p);
	if (works && !p->sure)
		c->next_sure = mono_min(c->next_sure, mono_add(p->since, trial_us(c, p)));
	return p->sure != was;
}

static bool
out_works(const struct check *c, const struct topo_external *x)
{
	struct world_node *wn = world_node_at(c->w, x->node);
	struct sim_port_view v;

	return wn->rt && sim_port_get(wn->rt, world_ifindex(wn, x->port), &v) == 0 && v.passes && v.far_node;
}

static void
look_at_plant(struct check *c)
{
	bool changed = false;

	c->next_sure = MONO_NEVER;
	c->any_frozen = somebody_is_frozen(c);
	for (uint32_t i = 0; i < c->n; i++) {
		changed |= count_on(c, &c->nodes[i], node_works(c, i), world_node_at(c->w, i)->node != NULL);
		c->node_sure[i] = c->nodes[i].sure;
		if (c->slow_until[i].us > check_now(c).us)
			c->next_sure = mono_min(c->next_sure, c->slow_until[i]);
	}
	for (uint32_t i = 0; i < 2 * c->t->nlinks; i++) {
		const struct topo_link *l = &c->t->links[i / 2];
		bool safe = c->unsafe[i / 2].us <= check_now(c).us, passes = end_works(c, i / 2, i % 2);

		changed |= count_on(
		    c, &c->ends[i], safe && passes && c->nodes[l->lower].works && c->nodes[l->upper].works, passes);
		c->end_sure[i] = c->ends[i].sure;
		if (!safe) {
			c->ends[i].strikes = STRIKES_MAX; /* it may have failed any number of times meanwhile */
			c->next_sure = mono_min(c->next_sure, c->unsafe[i / 2]);
		}
	}
	for (size_t i = 0; i < c->t->nexternals; i++) {
		bool passes = out_works(c, &c->t->externals[i]);

		changed |= count_on(c, &c->outs[i], passes && c->nodes[c->t->externals[i].node].works, passes);
	}
	if (changed)
		search_all(c);
}

/* News crosses the fabric once up and once down. */
static int64_t
propagation(const struct check *c)
{
	const struct world_config *cfg = world_config(c->w);
	int64_t hop = (cfg->latency_us ? cfg->latency_us : WORLD_LATENCY_US) + cfg->model.ack_us + HOP_US +
		      CALLBACKS * cfg->cpu_us;
	uint32_t top = 0;

	for (uint32_t i = 0; i < c->n; i++)
		top = MAX_OF(top, c->t->nodes[i].level);
	return (2 * (int64_t)top + 1) * hop + c->cfg.allowance_us;
}

/*
 * What slow nodes between the two have to do is done when they are well again, or their neighbours give them up; what those
 * have to do that are being upgraded, when that is over.
 */
static struct mono
held_up(const struct check *c, uint32_t from, uint32_t to)
{
	struct mono now = check_now(c), until = now, most = mono_add(now, c->slow_us);

	for (uint32_t i = 0; i < c->n; i++) {
		struct place p = { TOPO_NONE, i };

		if (c->slow_until[i].us > until.us && bound_concerns(c->bound, &p, from, to))
			until = mono_min(c->slow_until[i], most);
		if (c->frozen_until[i].us > until.us && bound_concerns(c->bound, &p, from, to))
			until = c->frozen_until[i];
	}
	return until;
}

void
check_fault(struct check *c, int64_t detection_us, const struct place *places, size_t n)
{
	struct mono now = check_now(c), noticed = mono_add(now, detection_us);
	int64_t propagated = propagation(c);
	bool slow = somebody_is_frozen(c);

	c->last_fault = now;
	for (size_t i = 0; i < n; i++)
		if (places[i].link != TOPO_NONE)
			c->touched[places[i].link] = now;
	for (uint32_t i = 0; i < c->n; i++)
		slow |= c->slow_until[i].us > now.us;
	for (uint32_t to = 0; to < c->n; to++) {
		if (n)
			bound_concerned(c->bound, places, n, to, c->concerned);
		else
			memset(c->concerned, 0xff, bound_words(c->bound) * sizeof(*c->concerned));
		for (size_t w = 0; w < bound_words(c->bound); w++)
			for (uint64_t rest = c->concerned[w]; rest; rest &= rest - 1) {
				uint32_t from = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(rest);
				struct mono until = noticed;

				if (from >= c->n)
					break;
				if (slow)
					until.us = MAX_OF(until.us, held_up(c, from, to).us);
				until = mono_add(until, propagated);
				bound_raise(c->bound, from, to, until);
				c->deadline.us = MAX_OF(c->deadline.us, until.us);
			}
	}
	check_look(c);
}

void
check_look(struct check *c)
{
	world_run_until(c->w, check_now(c)); /* so that flow hears of what was done between events */
	look_at_plant(c);
}

void
check_slow(struct check *c, uint32_t node, struct mono until, int64_t detection_us)
{
	struct place place = { TOPO_NONE, node };

	c->slow_until[node].us = MAX_OF(c->slow_until[node].us, until.us);
	c->slow_us = MAX_OF(c->slow_us, detection_us);
	check_fault(c, detection_us, &place, 1);
}

void
check_lies(struct check *c, uint32_t node, struct mono until)
{
	c->lies[node].us = MAX_OF(c->lies[node].us, until.us);
}

void
check_unsafe(struct check *c, uint32_t link, struct mono until)
{
	c->unsafe[link].us = MAX_OF(c->unsafe[link].us, until.us);
	look_at_plant(c);
}

void
check_untidy(struct check *c, struct mono until)
{
	c->tidy.us = MAX_OF(c->tidy.us, until.us);
}

/* ---- life ---- */

struct check *
check_new(struct world *w, const struct check_config *cfg)
{
	static const struct flow_ops ops = { on_changed, on_good, on_valley, on_leaves, on_after };
	struct check *c = mem_zalloc(NULL, MEM_OTHER, sizeof(*c));
	int64_t reconnect;

	c->w = w;
	c->t = world_topo(w);
	c->n = c->t->nnodes;
	c->cfg = *cfg;
	if (!cfg->reconnect_us)
		c->cfg.reconnect_us = MAX_OF(RECONNECT_US, REST_US + DAMPED_LIVES * c->t->timers.damping_half_life_us);
	c->cfg.allowance_us = cfg->allowance_us ? cfg->allowance_us : ALLOWANCE_US;
	c->slow_us = SLOW_HOLDS_UP * c->t->timers.hold_us;
	oracle_init(&c->oracle, c->t);
	c->words = c->oracle.words;
	c->scratch = mem_zalloc(NULL, MEM_OTHER, c->words * sizeof(*c->scratch));
	c->nodes = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*c->nodes));
	c->ends = mem_zalloc(NULL, MEM_OTHER, (2 * c->t->nlinks + 1) * sizeof(*c->ends));
	c->node_sure = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*c->node_sure));
	c->outs = mem_zalloc(NULL, MEM_OTHER, (c->t->nexternals + 1) * sizeof(*c->outs));
	c->end_sure = mem_zalloc(NULL, MEM_OTHER, (2 * c->t->nlinks + 1) * sizeof(*c->end_sure));
	c->lies = mem_zalloc(NULL, MEM_OTHER, (c->n + 1) * sizeof(*c->lies));
	c->unsafe = mem_zalloc(NULL, MEM_OTHER, (c->t->nlinks + 1) * sizeof(*c->unsafe));
	c->frozen_until = mem_zalloc(NULL, MEM_OTHER, (c->n + 1) * sizeof(*c->frozen_until));
	c->slow_until = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*c->slow_until));
	c->paths = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*c->paths));
	for (size_t i = 0; i < c->n; i++)
		oracle_paths_init(&c->oracle, &c->paths[i]);
	c->flow = flow_new(w, &ops, c);
	c->bad_since = mem_zalloc(NULL, MEM_OTHER, flow_all(c->flow) * c->n * sizeof(*c->bad_since) + 1);
	c->ribs = mem_zalloc(NULL, MEM_OTHER, (c->n + 1) * sizeof(*c->ribs));
	c->lists = mem_zalloc(NULL, MEM_OTHER, CHECK_LISTS * sizeof(c->lists[0]));
	c->list_ports = mem_zalloc(NULL, MEM_OTHER, CHECK_LISTS * c->words * sizeof(*c->list_ports));
	c->moved = mem_zalloc(NULL, MEM_OTHER, flow_all(c->flow) * c->n + 1);
	c->seen = mem_zalloc(NULL, MEM_OTHER, flow_dests(c->flow) + 1);
	c->empty = mem_zalloc(NULL, MEM_OTHER, (c->n + 1) * sizeof(*c->empty));
	check_heard_init(c);
	c->deadline = check_now(c);
	c->began = check_now(c);
	c->soonest = MONO_NEVER;
	c->bound = bound_new(c->t, check_now(c));
	c->concerned = mem_zalloc(NULL, MEM_OTHER, (bound_words(c->bound) + 1) * sizeof(*c->concerned));
	reconnect = c->cfg.reconnect_us;
	if (!cfg->cold)
		c->cfg.reconnect_us = 0;
	look_at_plant(c);
	c->cfg.reconnect_us = reconnect;
	for (size_t i = 0; i < c->n && !cfg->cold; i++)
		c->nodes[i].since.us -= reconnect;
	for (size_t i = 0; i < 2 * c->t->nlinks && !cfg->cold; i++)
		c->ends[i].since.us -= reconnect;
	for (size_t i = 0; i < c->t->nexternals && !cfg->cold; i++)
		c->outs[i].since.us -= reconnect;
	judge_bad(c);
	return c;
}

void
check_free(struct check *c)
{
	if (!c)
		return;
	check_heard_done(c);
	check_upgrades_done(c);
	flow_free(c->flow);
	for (size_t i = 0; i < c->n; i++) {
		oracle_paths_done(&c->paths[i]);
		for (int f = 0; f < FAMILIES; f++)
			mem_free(NULL, MEM_OTHER, c->ribs[i].dest[f]);
	}
	mem_free(NULL, MEM_OTHER, c->ribs);
	mem_free(NULL, MEM_OTHER, c->empty);
	mem_free(NULL, MEM_OTHER, c->lists);
	mem_free(NULL, MEM_OTHER, c->list_ports);
	mem_free(NULL, MEM_OTHER, c->seen);
	oracle_done(&c->oracle);
	mem_free(NULL, MEM_OTHER, c->scratch);
	mem_free(NULL, MEM_OTHER, c->nodes);
	bound_free(c->bound);
	mem_free(NULL, MEM_OTHER, c->concerned);
	mem_free(NULL, MEM_OTHER, c->moved);
	mem_free(NULL, MEM_OTHER, c->ends);
	mem_free(NULL, MEM_OTHER, c->node_sure);
	mem_free(NULL, MEM_OTHER, c->end_sure);
	mem_free(NULL, MEM_OTHER, c->outs);
	mem_free(NULL, MEM_OTHER, c->lies);
	mem_free(NULL, MEM_OTHER, c->unsafe);
	mem_free(NULL, MEM_OTHER, c->slow_until);
	mem_free(NULL, MEM_OTHER, c->frozen_until);
	mem_free(NULL, MEM_OTHER, c->paths);
	mem_free(NULL, MEM_OTHER, c->bad_since);
	mem_free(NULL, MEM_OTHER, c->doubts);
	mem_free(NULL, MEM_OTHER, c);
}

const struct flow *
check_flow(const struct check *c)
{
	return c->flow;
}

const struct oracle *
check_oracle(const struct check *c)
{
	return &c->oracle;
}

const struct check_violation *
check_violation(const struct check *c)
{
	return &c->violation;
}

const struct check_stats *
check_stats(const struct check *c)
{
	return &c->stats;
}

struct oracle_graph
check_counted_on(const struct check *c)
{
	return (struct oracle_graph){ c->end_sure, c->node_sure };
}

const struct oracle_paths *
check_paths(const struct check *c, uint32_t owner)
{
	return &c->paths[owner];
}

void
check_lightly(struct check *c)
{
	c->light = true;
	memset(c->moved, 0, flow_all(c->flow) * c->n * sizeof(*c->moved));
}

/* ---- time ---- */

void
check_run_until(struct check *c, struct mono until)
{
	while (!c->violation.kind && check_now(c).us < until.us) {
		struct mono to = mono_min(mono_min(until, c->next_sure), check_upgrades_next(c)), now = check_now(c);

		if (c->soonest.us >= now.us && !mono_is_never(c->soonest))
			to = mono_min(to, mono_add(c->soonest, 1));
		if (c->ndoubts)
			to = mono_min(to, mono_add(now, MS(1)));
		if (to.us <= now.us)
			to = mono_add(now, 1);
		world_run_until(c->w, to);
		judge_bad(c);
		if (c->ndoubts)
			judge_doubts(c);
		if (mono_due(c->next_sure, to))
			look_at_plant(c);
		if (c->nupgrades)
			check_upgrades_look(c);
	}
}

/* By then a node that was restarted has no route left that only its forwarding plane knew. */
static struct mono
swept_at(const struct check *c, uint32_t node)
{
	return mono_add(world_node_at(c->w, node)->node->started, c->t->timers.restart_us + SWEPT_US);
}

struct mono
check_calm_at(const struct check *c)
{
	struct mono at = { MAX_OF(c->deadline.us, c->tidy.us) };

	for (size_t i = 0; i < c->n; i++) {
		at.us = MAX_OF(at.us, c->frozen_until[i].us);
		if (c->slow_until[i].us > check_now(c).us)
			at.us = MAX_OF(at.us, c->slow_until[i].us + trial_us(c, &c->nodes[i]));
		if (c->nodes[i].works && world_node_at(c->w, i)->node->started.us > c->began.us)
			at.us = MAX_OF(at.us, swept_at(c, i).us);
		if (c->nodes[i].works)
			at.us = MAX_OF(at.us, c->nodes[i].since.us + trial_us(c, &c->nodes[i]));
	}
	for (size_t i = 0; i < 2 * c->t->nlinks; i++)
		if (c->ends[i].works)
			at.us = MAX_OF(at.us, c->ends[i].since.us + trial_us(c, &c->ends[i]));
	for (size_t i = 0; i < c->t->nexternals; i++)
		if (c->outs[i].works)
			at.us = MAX_OF(at.us, c->outs[i].since.us + trial_us(c, &c->outs[i]));
	return at;
}

bool
check_is_calm(const struct check *c)
{
	return check_calm_at(c).us <= check_now(c).us;
}
