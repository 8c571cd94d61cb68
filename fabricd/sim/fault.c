/*
 * fabricd/sim/fault.c -- see fault.h
 *
 * One table says of each kind what it is called, what it is done to, how it begins and ends, and how long it may go
 * unnoticed. Carrier loss and the reset of connections are noticed at once; silence by BFD or the hold timer; what the
 * forwarding plane loses without a word by the next audit.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/sim/fault.h"

#define AUDIT_US SECONDS(66) /* the period of the node's full audit, and the repair */
#define TOLD_US  SECONDS(1)  /* repair of what another hand has removed, when it is told */
#define RETRY_US SECONDS(31) /* the longest back-off of sync */

struct deed {
	struct world *w;
	struct check *c;
	const struct fault *f;
	struct world_node *wn[2];
	const char *name[2], *port[2];
	int64_t hold_us, detect_us; /* until silence is noticed: by BGP, by BFD */
	int64_t unnoticed_us;       /* set by begin() */
	struct mono slow;           /* set by begin(): the node is slow until then; 0: it is not */
	struct mono lies;           /* set by begin(): the forwarding plane does until then; 0: it does not */
	struct mono unsafe;         /* set by begin(): the link is not counted on until then; 0: it is */
	struct mono tidy;           /* set by begin(): by then an audit has found what it left; 0: it leaves nothing */
};

typedef int deed_fn(struct deed *);

static bool
has_carrier(const struct deed *d, int i)
{
	struct sim_port_view v;

	return sim_port_get(d->wn[i]->rt, d->f->port[i] + 1, &v) == 0 && v.carrier;
}

/* ---- links ---- */

static int
begin_cut(struct deed *d)
{
	if (!has_carrier(d, 0))
		return 0;
	return world_link_set(d->w, d->name[0], d->port[0], false) == 0;
}

static int
end_cut(struct deed *d)
{
	return world_link_set(d->w, d->name[0], d->port[0], true) == 0;
}

/* A node that was stalled reads what its peers have sent before they fell silent: to it that is news of this moment. */
static int64_t
granted(const struct deed *d)
{
	return d->hold_us + MS(1);
}

/* Whether BFD watches what a node hears on a port. Before it is Up, and without it, the hold timer does. */
static bool
is_watched(const struct world_node *wn, uint32_t port)
{
	const struct node_port *p = wn->node ? node_port_find(wn->node, wn->topo->ports[port].name) : NULL;

	return p && p->peer && p->peer->bfd_up;
}

static int64_t
silence(const struct deed *d, const struct world_node *wn, uint32_t port)
{
	return is_watched(wn, port) ? d->detect_us : d->hold_us;
}

/* The longest that any neighbour of a node listens to silence. */
static int64_t
silence_around(const struct deed *d)
{
	struct sim_port_view v;
	int64_t us = d->detect_us;

	for (uint32_t i = 0; i < d->wn[0]->topo->nports; i++)
		if (sim_port_get(d->wn[0]->rt, i + 1, &v) == 0 && v.carrier && v.far_node)
			us = MAX_OF(us, silence(d, sim_node_owner(v.far_node), v.far_ifindex - 1));
	return us;
}

/* How long until a node knows that it hears nothing more on a port. */
static int64_t
until_deaf(const struct deed *d, const struct world_node *wn, uint32_t port)
{
	struct mono now = sim_now(world_net(d->w)), stalled = sim_node_stalled(wn->rt);
	int64_t us = silence(d, wn, port);

	if (world_upgrade_frozen(wn))
		us = MAX_OF(us, WORLD_UPGRADE_US) + granted(d);
	return stalled.us > now.us ? MAX_OF(us, mono_sub(stalled, now) + granted(d)) : us;
}

/* Whether a node does not hear somebody that it should. */
static bool
is_deaf(const struct world_node *wn)
{
	struct sim_port_view v, far;

	for (uint32_t i = 0; i < wn->topo->nports; i++)
		if (sim_port_get(wn->rt, i + 1, &v) == 0 && v.carrier && v.far_node &&
		    sim_port_get(v.far_node, v.far_ifindex, &far) == 0 && !far.passes)
			return true;
	return false;
}

static int
black(struct deed *d, bool on)
{
	struct sim_port_view v;
	const struct world_node *far;

	if (sim_port_get(d->wn[0]->rt, d->f->port[0] + 1, &v) < 0 || !v.far_node || (on && !v.passes))
		return 0;
	world_black(d->w, d->name[0], d->port[0], on);
	far = sim_node_owner(v.far_node);
	if (d->f->kind == FAULT_TWO_WAY)
		world_black(d->w, far->topo->name, far->topo->ports[v.far_ifindex - 1].name, on);
	if (on)
		d->unnoticed_us = MAX_OF(until_deaf(d, far, v.far_ifindex - 1), until_deaf(d, d->wn[0], d->f->port[0]));
	return 1;
}

static int
begin_black(struct deed *d)
{
	return black(d, true);
}

static int
end_black(struct deed *d)
{
	return black(d, false);
}

/* 1 ms to 512 ms */
static int64_t
lateness(const struct deed *d)
{
	return MS(1) << d->f->with % 10;
}

/* A cut that the switch at this end hears of late: until then it sends into the dark. */
static int
begin_late(struct deed *d)
{
	if (!has_carrier(d, 0))
		return 0;
	world_late(d->w, d->name[0], d->port[0], lateness(d));
	d->unnoticed_us = lateness(d);
	return world_link_set(d->w, d->name[0], d->port[0], false) == 0;
}

/*
 * The carrier comes back, and that, too, is told late. Who never heard that it was away saw a connection end as if the
 * neighbour's process had: it keeps what that told, as for a restart.
 */
static int
end_late(struct deed *d)
{
	d->unnoticed_us = lateness(d) + world_topo(d->w)->timers.restart_us + d->hold_us;
	world_link_set(d->w, d->name[0], d->port[0], true);
	world_run(d->w, 0); /* the carrier changes in the loop */
	world_late(d->w, d->name[0], d->port[0], 0);
	return 1;
}

/* Sessions over it may come and go until it ends: nobody counts on it meanwhile. */
static int
begin_lossy(struct deed *d)
{
	struct sim_port_view v;

	if (sim_port_get(d->wn[0]->rt, d->f->port[0] + 1, &v) < 0 || !v.passes)
		return 0;
	world_lossy(d->w, d->name[0], d->port[0], 10000 << d->f->with % 6); /* 1 % to 32 % */
	d->unnoticed_us = d->f->us + d->hold_us;
	d->unsafe = d->tidy = mono_add(d->f->at, d->f->us);
	return 1;
}

static int
end_lossy(struct deed *d)
{
	d->unnoticed_us = d->hold_us;
	world_lossy(d->w, d->name[0], d->port[0], 0);
	return 1;
}

static int
swap(struct deed *d)
{
	return world_swap(d->w, d->name[0], d->port[0], d->name[1], d->port[1]) == 0;
}

/* ---- nodes ---- */

/* How long any neighbour is still stalled: only then it begins to wait for a restart. */
static int64_t
stall_around(const struct deed *d)
{
	struct mono now = sim_now(world_net(d->w));
	struct sim_port_view v;
	int64_t us = 0;

	for (uint32_t i = 0; i < d->wn[0]->topo->nports; i++)
		if (sim_port_get(d->wn[0]->rt, i + 1, &v) == 0 && v.far_node)
			us = MAX_OF(us, mono_sub(sim_node_stalled(v.far_node), now));
	return us;
}

/* Whether a neighbour's process has ended, and may be waited for. */
static bool
waits_for_restart(const struct deed *d)
{
	struct sim_port_view v;

	for (uint32_t i = 0; i < d->wn[0]->topo->nports; i++)
		if (sim_port_get(d->wn[0]->rt, i + 1, &v) == 0 && v.carrier && v.far_node &&
		    !sim_node_running(v.far_node))
			return true;
	return false;
}

/*
 * A process that was killed: its switch forwards on as it was, whatever happens around it, for as long as neighbours
 * keep what it told; and when it is back, until it has heard them all (RFC 4724).
 */
static void
restarts(struct deed *d)
{
	d->unnoticed_us = stall_around(d) + world_topo(d->w)->timers.restart_us + d->hold_us;
	d->slow = mono_add(sim_now(world_net(d->w)), d->unnoticed_us);
}

static int
begin_crash(struct deed *d)
{
	if (!d->wn[0]->node)
		return 0;
	if (d->f->kind == FAULT_STOP)
		world_stop(d->wn[0]);
	else
		world_crash(d->wn[0], d->f->kind == FAULT_DARK ? SIM_DARK : SIM_KILLED);
	if (d->f->kind != FAULT_DARK)
		restarts(d);
	return 1;
}

static int
end_crash(struct deed *d)
{
	char err[256];
	int e;

	if (d->wn[0]->lingers)
		world_crash(d->wn[0], SIM_KILLED);
	if (d->wn[0]->node)
		return 0;
	e = world_boot(d->wn[0], err, sizeof(err));
	if (d->f->kind != FAULT_DARK)
		restarts(d);
	return e < 0 ? e : 1;
}

static void
upgraded(void *arg, struct world_node *wn, int e, const char *why)
{
	check_upgrade_ended(arg, wn->topo->index, e, why);
}

/* Nobody notices: so nothing is told to the check that would allow a loss. */
static int
begin_upgrade(struct deed *d)
{
	struct world_upgrade_config cfg = { .slow_us = MS(1) << d->f->with % 12, .arg = d->c };

	if (d->c)
		cfg.done = upgraded;
	if (world_upgrade_begin(d->wn[0], &cfg))
		return 0;
	if (d->c)
		check_upgrade_begins(d->c, d->f->node[0], WORLD_UPGRADE_US + cfg.slow_us + granted(d));
	return 1;
}

static int
begin_stall(struct deed *d)
{
	if (!d->wn[0]->node)
		return 0;
	sim_node_stall(d->wn[0]->rt, d->f->us);
	d->slow = mono_add(d->f->at, d->f->us);
	if (waits_for_restart(d)) {
		d->unnoticed_us = d->f->us + world_topo(d->w)->timers.restart_us + d->hold_us;
		return 1;
	}
	d->unnoticed_us = is_deaf(d->wn[0]) ? d->f->us + granted(d) : MIN_OF(d->f->us, silence_around(d));
	return 1;
}

static int
end_quietly(struct deed *d)
{
	(void)d;
	return 1;
}

static int
begin_clock(struct deed *d)
{
	int64_t us = SECONDS(1) << d->f->with % 24;

	if (!d->wn[0]->node)
		return 0;
	sim_node_wall_shift(d->wn[0]->rt, d->f->with & 32 ? us : -us);
	return 1;
}

/* ---- forwarding planes ---- */

/* The prefix of the fabric that a number chooses, the same whatever the tables hold. */
static struct ip
choose_dest(const struct topo *t, uint64_t with)
{
	for (uint64_t i = 0;; i++) { /* every switch has a loopback of some family, which topology checks */
		const struct topo_node *n = &t->nodes[(with / 4 + i) % t->nnodes];
		enum family f = with & 1 ? FAMILY_IPV6 : FAMILY_IPV4;

		if (with & 2 && n->has_rack[f])
			return node_rack_gateway(&n->rack[f]);
		if (n->has_loopback[f])
			return prefix_addr(&n->loopback[f]);
		if (n->has_loopback[!f])
			return prefix_addr(&n->loopback[!f]);
	}
}

struct find_hop {
	uint32_t ifindex, id;
	struct ip gateway;
};

static void
find_hop(void *arg, const struct plat_dumped *item)
{
	struct find_hop *h = arg;

	if (!item->foreign && item->kind == PLAT_NH_SET && item->op.nh.ifindex == h->ifindex &&
	    ip_equal(&item->op.nh.gateway, &h->gateway))
		h->id = item->op.id;
}

/*
 * Takes away the route to the prefix that a number chooses (or the next one that there is a route to), its group, or
 * the first next hop of it.
 */
static int
lose(struct deed *d, uint64_t with, enum plat_kind kind, bool tell)
{
	struct platform *p = d->wn[0]->platform;
	struct find_hop hop = { 0 };
	struct model_result r = { 0 };

	if (!p || !d->wn[0]->node)
		return 0;
	for (size_t i = 0; i < world_topo(d->w)->nnodes && !r.nhops;
	     i++) { /* its own, and those it cannot reach, not */
		struct ip dst = choose_dest(world_topo(d->w), with + 4 * i);

		model_lookup(p, 0, &dst, &r);
	}
	if (!r.nhops)
		return 0;
	if (kind == PLAT_GROUP_SET && model_lose_group(p, r.group, tell) == 0)
		return 1;
	if (kind == PLAT_ROUTE_SET)
		return model_lose_route(p, 0, &r.prefix, r.metric, tell) == 0;
	hop.ifindex = r.hops[0].ifindex;
	hop.gateway = r.hops[0].gateway;
	p->ops->dump(p, find_hop, &hop);
	return hop.id && model_lose_nexthop(p, hop.id, tell) == 0;
}

/*
 * What groups outlive their members by goes, with those that have, and nobody hears of it; or it comes (back). Until the
 * audit has read the groups, a port that goes dark takes away routes that are believed to have stayed.
 */
static int
weaken(struct deed *d)
{
	struct platform *p = d->wn[0]->platform;

	if (!p || !d->wn[0]->node)
		return 0;
	model_outlive(p, !p->caps.group_outlives);
	d->unnoticed_us = 2 * AUDIT_US;
	d->slow = d->tidy = mono_add(d->f->at, d->unnoticed_us);
	return 1;
}

static int
begin_lose(struct deed *d)
{
	static const enum plat_kind kinds[] = { PLAT_ROUTE_SET, 0, PLAT_GROUP_SET, PLAT_NH_SET };
	bool tell = d->f->with & 1;

	if ((d->f->with >> 1 & 3) == 1)
		return weaken(d);
	if (!lose(d, d->f->with >> 3, kinds[d->f->with >> 1 & 3], tell))
		return 0;
	d->unnoticed_us = tell ? TOLD_US : AUDIT_US;
	d->slow = mono_add(d->f->at, d->unnoticed_us);
	return 1;
}

static int
begin_hang(struct deed *d)
{
	if (!lose(d, d->f->with, PLAT_ROUTE_SET, true))
		return 0;
	model_hang(d->wn[0]->platform, true);
	d->unnoticed_us = d->f->us + TOLD_US;
	d->slow = mono_add(d->f->at, d->f->us + TOLD_US);
	d->tidy = mono_add(d->f->at, d->f->us + AUDIT_US);
	return 1;
}

static int
end_hang(struct deed *d)
{
	if (d->wn[0]->platform)
		model_hang(d->wn[0]->platform, false);
	return 1;
}

static int
begin_refuse(struct deed *d)
{
	static const enum model_fault_kind kinds[] = { MODEL_FAIL, MODEL_TRANSIENT, MODEL_FULL };
	struct model_fault fault = { .kind = kinds[d->f->with % 3], .count = 1 + d->f->with / 3 % 64 };

	if (fault.kind == MODEL_FAIL)
		fault.error = -EINVAL;
	if (!lose(d, d->f->with, PLAT_ROUTE_SET, true))
		return 0;
	model_fault_set(d->wn[0]->platform, &fault);
	d->unnoticed_us = d->f->us + RETRY_US;
	d->slow = mono_add(d->f->at, d->f->us + RETRY_US);
	d->tidy = mono_add(d->f->at, d->f->us + AUDIT_US);
	return 1;
}

/* Something is lost, and what is done about it is acknowledged, but not done: only an audit finds that. */
static int
begin_lie(struct deed *d)
{
	struct model_fault fault = { .kind = MODEL_LIE, .count = 1 + d->f->with / 4 % 8 };

	if (!lose(d, d->f->with, PLAT_ROUTE_SET, true))
		return 0;
	model_fault_set(d->wn[0]->platform, &fault);
	d->unnoticed_us = d->f->us + 2 * AUDIT_US;
	d->slow = d->tidy = d->lies = mono_add(d->f->at, d->unnoticed_us);
	return 1;
}

static int
end_refuse(struct deed *d)
{
	if (d->wn[0]->platform)
		model_fault_set(d->wn[0]->platform, NULL);
	return 1;
}

static const struct {
	const char *name;
	enum fault_target target;
	bool lasts; /* it has an end of its own */
	deed_fn *begin, *end;
	bool harmless; /* nobody may notice */
} kinds[FAULT_KINDS] = {
	[FAULT_CUT] = { "cut", FAULT_AT_LINK, true, begin_cut, end_cut, false },
	[FAULT_FLAP] = { "flap", FAULT_AT_LINK, true, begin_cut, end_cut, false },
	[FAULT_DARK] = { "dark", FAULT_AT_NODE, true, begin_crash, end_crash, false },
	[FAULT_KILL] = { "kill", FAULT_AT_NODE, true, begin_crash, end_crash, false },
	[FAULT_ONE_WAY] = { "one-way", FAULT_AT_LINK, true, begin_black, end_black, false },
	[FAULT_TWO_WAY] = { "two-way", FAULT_AT_LINK, true, begin_black, end_black, false },
	[FAULT_STALL] = { "stall", FAULT_AT_NODE, true, begin_stall, end_quietly, false },
	[FAULT_SWAP] = { "swap", FAULT_AT_LINKS, true, swap, swap, false },
	[FAULT_REFUSE] = { "refuse", FAULT_AT_NODE, true, begin_refuse, end_refuse, false },
	[FAULT_LOSE] = { "lose", FAULT_AT_NODE, false, begin_lose, end_quietly, false },
	[FAULT_HANG] = { "hang", FAULT_AT_NODE, true, begin_hang, end_hang, false },
	[FAULT_LIE] = { "lie", FAULT_AT_NODE, true, begin_lie, end_refuse, false },
	[FAULT_LATE] = { "late", FAULT_AT_LINK, true, begin_late, end_late, false },
	[FAULT_LOSSY] = { "lossy", FAULT_AT_LINK, true, begin_lossy, end_lossy, false },
	[FAULT_CLOCK] = { "clock", FAULT_AT_NODE, false, begin_clock, end_quietly, false },
	[FAULT_STOP] = { "stop", FAULT_AT_NODE, true, begin_crash, end_crash, false },
	[FAULT_UPGRADE] = { "upgrade", FAULT_AT_NODE, false, begin_upgrade, end_quietly, true },
};

const char *
fault_kind_name(enum fault_kind k)
{
	return (size_t)k < FAULT_KINDS ? kinds[k].name : "?";
}

enum fault_target
fault_target(enum fault_kind k)
{
	return kinds[k].target;
}

bool
fault_ends_process(enum fault_kind k)
{
	return kinds[k].end == end_crash;
}

/* What the fault touches: its node, or what its ports are, and what they lead to at this moment. */
static size_t
add_places(const struct deed *d, struct place *out, size_t n)
{
	struct sim_port_view v;

	if (kinds[d->f->kind].target == FAULT_AT_NODE) {
		out[n++] = (struct place){ TOPO_NONE, d->f->node[0] };
		return n;
	}
	for (int i = 0; i < (kinds[d->f->kind].target == FAULT_AT_LINKS ? 2 : 1); i++) {
		const struct world_node *far;

		out[n++] = (struct place){ d->wn[i]->topo->ports[d->f->port[i]].link, d->f->node[i] };
		if (sim_port_get(d->wn[i]->rt, d->f->port[i] + 1, &v) < 0 || !v.far_node)
			continue;
		far = sim_node_owner(v.far_node);
		out[n++] = (struct place){ far->topo->ports[v.far_ifindex - 1].link, far->topo->index };
	}
	return n;
}

int
fault_do(struct world *w, struct check *c, const struct fault *f, uint32_t nth)
{
	struct deed d = { .w = w, .c = c, .f = f, .hold_us = world_topo(w)->timers.hold_us };

	struct place places[8];
	size_t n;
	int did;

	d.detect_us = world_topo(w)->timers.bfd_us * world_topo(w)->timers.bfd_multiplier;
	for (int i = 0; i < (kinds[f->kind].target == FAULT_AT_LINKS ? 2 : 1); i++) {
		d.wn[i] = world_node_at(w, f->node[i]);
		d.name[i] = d.wn[i]->topo->name;
		d.port[i] = kinds[f->kind].target == FAULT_AT_NODE ? NULL : d.wn[i]->topo->ports[f->port[i]].name;
		if (!d.wn[i]->rt)
			return 0;
	}
	n = add_places(&d, places, 0);
	if (c && !kinds[f->kind].harmless)
		check_fault(c, 0, places, n); /* what follows may be felt at once */
	did = nth & 1 ? kinds[f->kind].end(&d) : kinds[f->kind].begin(&d);
	if (kinds[f->kind].harmless)
		return did;
	n = add_places(&d, places, n);
	if (did > 0 && c)
		check_untidy(c, d.tidy);
	if (did > 0 && c)
		check_lies(c, f->node[0], d.lies);
	if (did > 0 && c && d.unsafe.us)
		check_unsafe(c, places[0].link, d.unsafe);
	if (did > 0 && c && d.slow.us)
		check_slow(c, f->node[0], d.slow, d.unnoticed_us);
	else if (did > 0 && c)
		check_fault(c, d.unnoticed_us, places, n);
	return did;
}

/* ---- steps ---- */

static int
by_time(const void *a, const void *b)
{
	const struct fault_step *x = a, *y = b;

	if (x->at.us != y->at.us)
		return x->at.us < y->at.us ? -1 : 1;
	if (x->fault != y->fault)
		return x->fault < y->fault ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* A flap goes down and up several times, evenly; all else begins and ends once. */
static uint32_t
steps_of(const struct fault *f)
{
	if (!kinds[f->kind].lasts || !f->us)
		return 1;
	return f->kind == FAULT_FLAP ? 2 * (2 + (uint32_t)(f->with % 4)) : 2;
}

struct fault_step *
fault_steps(const struct fault *f, size_t nfaults, size_t *n)
{
	struct fault_step *list = NULL;
	size_t cap = 0;

	*n = 0;
	for (size_t i = 0; i < nfaults; i++) {
		uint32_t steps = steps_of(&f[i]);

		list = mem_grow(NULL, MEM_OTHER, list, &cap, *n + steps, sizeof(*list));
		for (uint32_t k = 0; k < steps; k++)
			list[(*n)++] = (struct fault_step){
				.at = mono_add(f[i].at, steps > 1 ? f[i].us * k / (steps - 1) : 0),
				.fault = (uint32_t)i,
				.nth = k,
			};
	}
	if (*n)
		qsort(list, *n, sizeof(*list), by_time);
	return list;
}

/* ---- texts ---- */

static bool
is_wired(const struct topo_port *p)
{
	return (p->kind == TOPO_UP || p->kind == TOPO_DOWN) && p->link != TOPO_NONE;
}

char *
fault_print(const struct topo *t, const struct fault *f, char buf[FAULT_TEXT])
{
	char time[SIMLOG_TIME];
	size_t at = (size_t)snprintf(buf, FAULT_TEXT, "@%s %s", simlog_time(f->at, time), kinds[f->kind].name);

	for (int i = 0; i < (kinds[f->kind].target == FAULT_AT_LINKS ? 2 : 1); i++) {
		const struct topo_node *n = &t->nodes[f->node[i]];

		at += (size_t)snprintf(buf + at, FAULT_TEXT - at, " %s", n->name);
		if (kinds[f->kind].target != FAULT_AT_NODE)
			at += (size_t)snprintf(buf + at, FAULT_TEXT - at, ":%s", n->ports[f->port[i]].name);
	}
	if (f->us)
		at += (size_t)snprintf(buf + at, FAULT_TEXT - at, " for %s", simlog_time((struct mono){ f->us }, time));
	if (f->with)
		snprintf(buf + at, FAULT_TEXT - at, " with %llu", (unsigned long long)f->with);
	return buf;
}

/* How many letters two names do not share, roughly: for "did you mean". */
static size_t
far_apart(const char *a, const char *b)
{
	size_t same = 0, la = strlen(a), lb = strlen(b), head = 0;

	while (a[head] && a[head] == b[head])
		head++;
	while (same < la - head && same < lb - head && a[la - 1 - same] == b[lb - 1 - same])
		same++;
	return MAX_OF(la, lb) - head - same;
}

static void
near_ports(const struct topo_node *n, const char *port, char *out, size_t size)
{
	size_t best = SIZE_MAX, at = 0;
	int named = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < n->nports; i++)
		if (is_wired(&n->ports[i]))
			best = MIN_OF(best, far_apart(n->ports[i].name, port));
	for (uint32_t i = 0; i < n->nports && named < 3; i++)
		if (is_wired(&n->ports[i]) && far_apart(n->ports[i].name, port) == best)
			at += (size_t)snprintf(out + at, size - at, "%s%s", named++ ? ", " : "", n->ports[i].name);
}

bool
fault_place(const struct topo *t, const char *text, uint32_t *node, uint32_t *port, char *err, size_t errlen)
{
	const char *colon = strchr(text, ':'), *near[3];
	char name[TOPO_NAME_MAX * 2], ports[3 * TOPO_NAME_MAX + 8];
	const struct topo_node *n;
	const struct topo_port *p;
	size_t len = colon ? (size_t)(colon - text) : strlen(text), k, at;

	snprintf(name, sizeof(name), "%.*s", (int)MIN_OF(len, sizeof(name) - 1), text);
	n = topo_node_find(t, name);
	if (!n) {
		at = (size_t)snprintf(err, errlen, "no node \"%s\" in the topology file", name);
		k = topo_node_near(t, name, near, ARRAY_LEN(near));
		for (size_t i = 0; i < k && at < errlen; i++)
			at += (size_t)snprintf(err + at, errlen - at, "%s%s",
			    !i          ? "; did you mean "
			    : i + 1 < k ? ", "
					: " or ",
			    near[i]);
		if (k && at < errlen)
			snprintf(err + at, errlen - at, "?");
		return false;
	}
	if (n->foreign) {
		snprintf(err, errlen, "%s is no fabricd (vendor: other), and no part of the simulation", name);
		return false;
	}
	*node = n->index;
	*port = TOPO_NONE;
	if (!colon)
		return true;
	p = topo_port_find(n, colon + 1);
	if (p && is_wired(p) && t->nodes[p->far_node].foreign) {
		snprintf(err, errlen,
		    "it leads to %s, which is no fabricd (vendor: other), and no part of the simulation",
		    t->nodes[p->far_node].name);
		return false;
	}
	if (p && is_wired(p)) {
		*port = (uint32_t)(p - n->ports);
		return true;
	}
	near_ports(n, colon + 1, ports, sizeof(ports));
	snprintf(err, errlen,
	    p ? "port %s of %s leads to no other switch%s%s" : "no port \"%s\" on %s in the topology file%s%s",
	    colon + 1, name, ports[0] ? "; did you mean " : "", ports);
	return false;
}

/* Seconds with up to six places. */
static bool
parse_time(const char *s, int64_t *us)
{
	int64_t v = 0, unit = 1000000;
	bool digits = false;

	for (; isdigit((unsigned char)*s) && v < 100000000; s++, digits = true)
		v = v * 10 + (*s - '0');
	v *= 1000000;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s) && unit > 1; s++, digits = true)
			v += (*s - '0') * (unit /= 10);
	*us = v;
	return digits && !*s;
}

static bool
parse_words(const struct topo *t, char *words[], size_t n, struct fault *f, char *err, size_t errlen)
{
	size_t i = 2, targets;

	if (n < 3 || words[0][0] != '@' || !parse_time(words[0] + 1, &f->at.us)) {
		snprintf(err, errlen, "a fault is written as @SECONDS KIND NODE[:PORT] [for SECONDS] [with NUMBER]");
		return false;
	}
	for (f->kind = 0; f->kind < FAULT_KINDS && strcmp(words[1], kinds[f->kind].name) != 0;)
		f->kind++;
	if (f->kind == FAULT_KINDS) {
		snprintf(err, errlen, "%s is no kind of fault", words[1]);
		return false;
	}
	targets = kinds[f->kind].target == FAULT_AT_LINKS ? 2 : 1;
	for (; i < 2 + targets; i++) {
		if (i >= n) {
			snprintf(err, errlen, "%s needs two ports", words[1]);
			return false;
		}
		if (!fault_place(t, words[i], &f->node[i - 2], &f->port[i - 2], err, errlen))
			return false;
		if ((f->port[i - 2] == TOPO_NONE) != (kinds[f->kind].target == FAULT_AT_NODE)) {
			snprintf(err, errlen, "%s is done to %s", words[1],
			    kinds[f->kind].target == FAULT_AT_NODE ? "a node" : "a port (NODE:PORT)");
			return false;
		}
	}
	for (; i + 1 < n; i += 2) {
		char *end;

		if (strcmp(words[i], "for") == 0 && parse_time(words[i + 1], &f->us))
			continue;
		if (strcmp(words[i], "with") == 0 && isdigit((unsigned char)words[i + 1][0])) {
			f->with = strtoull(words[i + 1], &end, 10);
			if (!*end)
				continue;
		}
		break;
	}
	if (i != n)
		snprintf(err, errlen, "\"%s\" is not understood: for SECONDS, or with NUMBER", words[i]);
	return i == n;
}

bool
fault_parse(const struct topo *t, const char *text, struct fault *out, char *err, size_t errlen)
{
	char copy[FAULT_TEXT], *words[10], *save = NULL;
	size_t n = 0;

	*out = (struct fault){ .port = { TOPO_NONE, TOPO_NONE } };
	if (strlen(text) >= sizeof(copy)) {
		snprintf(err, errlen, "the line is too long for a fault");
		return false;
	}
	memcpy(copy, text, strlen(text) + 1);
	for (char *s = strtok_r(copy, " \t", &save); s && n < ARRAY_LEN(words); s = strtok_r(NULL, " \t", &save))
		words[n++] = s;
	return parse_words(t, words, n, out, err, errlen);
}
