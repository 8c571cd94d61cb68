/*
 * fabricd/sim/world.c -- see world.h
 *
 *   topology -> sim_node and model for each switch, sim_link for each cable -> struct node on both
 *   sim carrier -> model port -> node; node's port_setup -> model admin -> sim port
 *   change of a forwarding plane or of a wire -> observer, who looks after the event
 *
 * Always true: port i of a node (in the file's order) has ifindex i + 1; MACs are made of node and port, so that
 * link-local addresses are unique and the same in every run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/sim/outside.h"
#include "fabricd/sim/world.h"

#define TURN_US      MS(1)
#define OUTSIDE_SEED (1u << 30) /* so that no router outside has the seed of a switch */
#define OUTLIVE_SEED (1u << 29) /* draws whether groups outlive their members, as they do where Linux can */

struct world {
	struct world_config cfg;
	struct mem mem;
	struct sim_net *net;
	struct world_node *nodes, *outside;
	struct topo **outside_topos;
	size_t noutside;
	struct world_observer see;
	void *see_arg;
	bool changed; /* the observer was told of something in this event */
};

static const char *const fates[WORLD_FATES] = {
	[WORLD_ARRIVED] = "arrived",
	[WORLD_NO_ROUTE] = "no route",
	[WORLD_UNREACHABLE] = "unreachable",
	[WORLD_DARK] = "sent into a dark port",
	[WORLD_LOOP] = "loop",
	[WORLD_LEFT] = "left the fabric",
};

const char *
world_fate_name(enum world_fate f)
{
	return (size_t)f < WORLD_FATES ? fates[f] : "?";
}

struct sim_net *
world_net(struct world *w)
{
	return w->net;
}

const struct topo *
world_topo(const struct world *w)
{
	return w->cfg.topo;
}

const struct world_config *
world_config(const struct world *w)
{
	return &w->cfg;
}

struct world_node *
world_node_at(struct world *w, uint32_t index)
{
	return &w->nodes[index];
}

struct world_node *
world_node_find(struct world *w, const char *name)
{
	const struct topo_node *t = topo_node_find(w->cfg.topo, name);

	return t ? &w->nodes[t->index] : NULL;
}

uint32_t
world_ifindex(const struct world_node *wn, const char *port)
{
	for (uint32_t i = 0; i < wn->topo->nports; i++)
		if (strcmp(wn->topo->ports[i].name, port) == 0)
			return i + 1;
	return 0;
}

static void
port_mac(const struct world_node *wn, uint32_t ifindex, uint8_t mac[6])
{
	uint32_t n = wn->topo->index;

	mac[0] = 2;
	mac[1] = (uint8_t)(n >> 16);
	mac[2] = (uint8_t)(n >> 8);
	mac[3] = (uint8_t)n;
	mac[4] = (uint8_t)(ifindex >> 8);
	mac[5] = (uint8_t)ifindex;
}

static bool
is_wired(const struct topo_port *p)
{
	return (p->kind == TOPO_UP || p->kind == TOPO_DOWN) && p->far_node != TOPO_NONE;
}

static bool
is_outside(const struct world_node *wn)
{
	return wn->file != wn->world->cfg.topo;
}

/* ---- what an observer is told ---- */

static void
fib_changed(void *arg, uint32_t table, const struct prefix *p)
{
	struct world_node *wn = arg;
	struct world *w = wn->world;

	(void)table;
	if (!w->see.fib || is_outside(wn))
		return;
	w->changed = true;
	w->see.fib(w->see_arg, wn, p);
}

static void
wire_changed(struct world_node *wn, uint32_t ifindex)
{
	struct world *w = wn->world;

	if (!w->see.wire || is_outside(wn))
		return;
	w->changed = true;
	w->see.wire(w->see_arg, wn, ifindex);
}

static void
tell_after(struct world *w)
{
	if (!w->changed)
		return;
	w->changed = false;
	w->see.after(w->see_arg);
}

void
world_observe(struct world *w, const struct world_observer *see, void *arg)
{
	w->see = see ? *see : (struct world_observer){ 0 };
	w->see_arg = arg;
	w->changed = false;
	for (size_t i = 0; i < w->cfg.topo->nnodes; i++)
		if (w->nodes[i].platform)
			model_watch(w->nodes[i].platform, see ? fib_changed : NULL, &w->nodes[i]);
}

/* ---- ports ---- */

/* What the model knows of a port follows from what the simulator knows. */
static void
tell_model(struct world_node *wn, uint32_t ifindex, bool carrier)
{
	struct sim_port_view v;

	if (wn->platform && sim_port_get(wn->rt, ifindex, &v) == 0)
		model_port_set(wn->platform, v.name, ifindex, v.mac, carrier, &v.link_local);
}

/* A port whose news come late; of several changes meanwhile, what is true then is told. */
struct world_late {
	struct world_node *wn;
	struct world_late *next;
	struct sim_alarm *alarm;
	uint32_t ifindex;
	int64_t us;
};

static struct world_late *
late_find(const struct world_node *wn, uint32_t ifindex)
{
	struct world_late *l = wn->late;

	while (l && l->ifindex != ifindex)
		l = l->next;
	return l;
}

static void
tell_late(void *arg)
{
	struct world_late *l = arg;
	struct sim_port_view v;

	if (sim_port_get(l->wn->rt, l->ifindex, &v) == 0)
		tell_model(l->wn, l->ifindex, v.carrier);
}

static void
on_carrier(void *arg, struct runtime *rt, uint32_t ifindex, bool up)
{
	struct world_node *wn = sim_node_owner(rt);
	const struct world_late *late = late_find(wn, ifindex);

	(void)arg;
	if (late && late->us)
		sim_alarm_set(late->alarm, mono_add(sim_now(wn->world->net), late->us));
	else
		tell_model(wn, ifindex, up);
	wire_changed(wn, ifindex);
}

static void
on_admin(void *arg, uint32_t ifindex, bool up)
{
	struct world_node *wn = arg;

	sim_port_set(wn->rt, ifindex, up);
}

static int
add_ports(struct world_node *wn)
{
	for (uint32_t i = 0; i < wn->topo->nports; i++) {
		const struct topo_port *p = &wn->topo->ports[i];
		uint8_t mac[6];
		int e;

		if (!is_wired(p) && p->kind != TOPO_HOST && (p->kind != TOPO_EXTERNAL || !wn->world->cfg.outside))
			continue;
		port_mac(wn, i + 1, mac);
		e = sim_port_add(wn->rt, i + 1, p->name, mac, NULL);
		if (e)
			return e;
	}
	return 0;
}

static int
add_links(struct world *w)
{
	int64_t latency = w->cfg.latency_us ? w->cfg.latency_us : WORLD_LATENCY_US;

	for (size_t i = 0; i < w->cfg.topo->nlinks; i++) {
		const struct topo_link *l = &w->cfg.topo->links[i];
		struct world_node *lower = &w->nodes[l->lower], *upper = &w->nodes[l->upper];
		int e;

		if (!lower->rt || !upper->rt)
			continue;
		e = sim_link_connect(lower->rt, world_ifindex(lower, l->lower_port), upper->rt,
		    world_ifindex(upper, l->upper_port), latency);
		if (e)
			return e;
	}
	return 0;
}

/* Sessions with a key have one that both ends know. */
static int
read_key(void *arg, const char *name, char **key)
{
	char text[80];

	(void)arg;
	snprintf(text, sizeof(text), "key of %s", name);
	*key = strdup(text);
	return *key ? 0 : -ENOMEM;
}

struct node_config
world_node_config(struct world_node *wn)
{
	const struct world_config *cfg = &wn->world->cfg;

	return (struct node_config){ .topo = wn->file,
		.name = wn->topo->name,
		.rt = wn->rt,
		.platform = wn->platform,
		.seed = hash_u64(cfg->seed, wn->topo->index + (is_outside(wn) ? OUTSIDE_SEED : 0)) | 1,
		.key_dir = "/etc/fabricd/keys",
		.read_key = read_key,
		.bfd = wn->bfd,
		.log = is_outside(wn) ? NULL : cfg->log,
		.arg = wn };
}

int
world_boot(struct world_node *wn, char *err, size_t errlen)
{
	struct world *w = wn->world;
	struct node_config cfg;
	bool first_host = true;

	if (!sim_node_running(wn->rt))
		sim_node_boot(wn->rt);
	sim_node_cpu(wn->rt, w->cfg.cpu_us, WORLD_LOOKS * w->cfg.cpu_us);
	if (wn->platform) {
		model_adopt(wn->platform);
	} else {
		struct model_config model = w->cfg.model;

		model.group_outlives = model.group_outlives || hash_u64(w->cfg.seed, OUTLIVE_SEED) & 1;
		if (!model.own_nexthops && hash_u64(w->cfg.seed, OUTLIVE_SEED) & 6)
			model.own_nexthops = 4;
		wn->platform = model_open(wn->rt, &wn->mem, &model, NULL, NULL);
		model_admin_watch(wn->platform, on_admin, wn);
		model_watch(wn->platform, w->see.fib ? fib_changed : NULL, wn);
		fib_changed(wn, 0, NULL);
	}
	cfg = world_node_config(wn);
	if (w->cfg.bfd && !wn->bfd)
		wn->bfd = bfd_client_local(wn->rt, &wn->mem, cfg.seed);
	cfg.bfd = wn->bfd;
	cfg.bfd_inside = true;
	for (uint32_t i = 0; i < wn->topo->nports; i++) {
		const struct topo_port *p = &wn->topo->ports[i];
		struct sim_port_view v;

		if (sim_port_get(wn->rt, i + 1, &v) < 0)
			continue;
		tell_model(wn, i + 1, p->kind == TOPO_HOST ? first_host : v.carrier);
		if (p->kind == TOPO_HOST)
			first_host = false;
	}
	return node_new(&cfg, &wn->node, err, errlen);
}

void
world_crash(struct world_node *wn, enum sim_crash how)
{
	world_upgrade_cancel(wn, false);
	sim_alarm_free(wn->lingers);
	wn->lingers = NULL;
	sim_node_crash(wn->rt, how);
	node_free(wn->node);
	bfd_client_free(wn->bfd, false);
	wn->node = NULL;
	wn->bfd = NULL;
	if (how == SIM_DARK && wn->platform) {
		wn->platform->ops->close(wn->platform);
		wn->platform = NULL;
		fib_changed(wn, 0, NULL);
	} else if (wn->platform) {
		model_orphan(wn->platform);
	}
}

static void
lingered(void *arg)
{
	struct world_node *wn = arg;
	struct mono stalled = sim_node_stalled(wn->rt);

	if (stalled.us > sim_now(wn->world->net).us)
		sim_alarm_set(wn->lingers, stalled);
	else
		world_crash(wn, SIM_KILLED);
}

void
world_stop(struct world_node *wn)
{
	if (!wn->node || wn->lingers)
		return;
	world_upgrade_cancel(wn, true);
	node_stop(wn->node, "stopped by SIGTERM");
	wn->lingers = sim_alarm_new(wn->world->net, lingered, wn);
	sim_alarm_set(wn->lingers, mono_add(sim_now(wn->world->net), WORLD_LINGER_US));
}

/* ---- outside ---- */

/* One router at the other end of an external port, for its first session. */
static int
add_router(struct world *w, const struct topo_external *x, char *err, size_t errlen)
{
	struct world_node *wn = &w->outside[w->noutside], *border = &w->nodes[x->node];
	uint32_t ifindex = world_ifindex(border, x->port);
	struct topo *t = outside_topo(w->cfg.topo, x, w->cfg.feed, (uint32_t)w->noutside, err, errlen);
	uint8_t mac[6] = { 2, 0xff, 0, 0, (uint8_t)(w->noutside >> 8), (uint8_t)w->noutside };
	int e;

	if (!t)
		return -EINVAL;
	*wn = (struct world_node){ .world = w, .file = t, .topo = &t->nodes[0] };
	w->outside_topos[w->noutside++] = t;
	wn->rt = sim_node_new(w->net, x->name);
	sim_node_set_owner(wn->rt, wn);
	e = sim_port_add(wn->rt, 1, OUTSIDE_PORT, mac, NULL);
	if (!e)
		e = sim_port_address(wn->rt, 1, &x->peer);
	if (!e)
		e = sim_port_address(border->rt, ifindex, &x->local);
	if (!e)
		e = sim_link_connect(
		    border->rt, ifindex, wn->rt, 1, w->cfg.latency_us ? w->cfg.latency_us : WORLD_LATENCY_US);
	if (e)
		snprintf(err, errlen, "the peer of %s cannot be cabled: %s", x->name, strerror(-e));
	return e;
}

static int
add_outside(struct world *w, char *err, size_t errlen)
{
	const struct topo *t = w->cfg.topo;
	int e = 0;

	w->outside = calloc(t->nexternals + 1, sizeof(*w->outside));
	w->outside_topos = calloc(t->nexternals + 1, sizeof(struct topo *));
	if (!w->outside || !w->outside_topos) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->nexternals && !e; i++) {
		const struct topo_external *x = &t->externals[i];
		struct sim_port_view v;

		if (w->nodes[x->node].rt &&
		    sim_port_get(w->nodes[x->node].rt, world_ifindex(&w->nodes[x->node], x->port), &v) == 0 &&
		    !v.far_node)
			e = add_router(w, x, err, errlen);
	}
	return e;
}

struct world_node *
world_outside(struct world *w, size_t *n)
{
	*n = w->noutside;
	return w->outside;
}

void
world_outside_set(struct world *w, bool up)
{
	for (size_t i = 0; i < w->noutside; i++)
		sim_link_set(w->outside[i].rt, 1, up);
}

struct world *
world_new(const struct world_config *cfg, char *err, size_t errlen)
{
	struct world *w = calloc(1, sizeof(*w));
	int e = 0;

	if (!w || !(w->nodes = calloc(cfg->topo->nnodes, sizeof(*w->nodes)))) {
		free(w);
		snprintf(err, errlen, "out of memory");
		return NULL;
	}
	w->cfg = *cfg;
	w->net = sim_net_new(&w->mem, cfg->seed);
	sim_carrier_watch(w->net, on_carrier, w, 0);
	for (size_t i = 0; i < cfg->topo->nnodes && !e; i++) {
		struct world_node *wn = &w->nodes[i];

		wn->world = w;
		wn->file = cfg->topo;
		wn->topo = &cfg->topo->nodes[i];
		if (wn->topo->foreign)
			continue;
		wn->rt = sim_node_new(w->net, wn->topo->name);
		sim_node_set_owner(wn->rt, wn);
		e = add_ports(wn);
	}
	if (!e)
		e = add_links(w);
	if (e)
		snprintf(err, errlen, "the fabric cannot be cabled: %s", strerror(-e));
	if (!e && cfg->outside)
		e = add_outside(w, err, errlen);
	for (size_t i = 0; i < cfg->topo->nnodes && !e; i++)
		if (w->nodes[i].rt)
			e = world_boot(&w->nodes[i], err, errlen);
	for (size_t i = 0; i < w->noutside && !e; i++)
		e = world_boot(&w->outside[i], err, errlen);
	if (e) {
		world_free(w);
		return NULL;
	}
	return w;
}

static void
close_node(struct world_node *wn)
{
	world_upgrade_cancel(wn, false);
	sim_alarm_free(wn->lingers);
	node_free(wn->node);
	bfd_client_free(wn->bfd, false);
	if (wn->platform)
		wn->platform->ops->close(wn->platform);
	while (wn->late) {
		struct world_late *l = wn->late;

		wn->late = l->next;
		sim_alarm_free(l->alarm);
		free(l);
	}
}

void
world_free(struct world *w)
{
	if (!w)
		return;
	world_observe(w, NULL, NULL);
	for (size_t i = 0; i < w->cfg.topo->nnodes; i++)
		close_node(&w->nodes[i]);
	for (size_t i = 0; i < w->noutside; i++)
		close_node(&w->outside[i]);
	sim_net_free(w->net);
	for (size_t i = 0; i < w->noutside; i++)
		topo_free(w->outside_topos[i]);
	free(w->outside_topos);
	free(w->outside);
	free(w->nodes);
	free(w);
}

int
world_link_set(struct world *w, const char *node, const char *port, bool up)
{
	struct world_node *wn = world_node_find(w, node);
	uint32_t ifindex = wn && wn->rt ? world_ifindex(wn, port) : 0;

	return ifindex ? sim_link_set(wn->rt, ifindex, up) : -ENOENT;
}

int
world_black(struct world *w, const char *node, const char *port, bool black)
{
	struct world_node *wn = world_node_find(w, node);
	uint32_t ifindex = wn ? world_ifindex(wn, port) : 0;
	struct sim_impair im = { .black = black };
	int e = ifindex ? sim_link_impair(wn->rt, ifindex, &im) : -ENOENT;

	if (!e)
		wire_changed(wn, ifindex);
	return e;
}

int
world_lossy(struct world *w, const char *node, const char *port, uint32_t ppm)
{
	struct world_node *wn = world_node_find(w, node);
	uint32_t ifindex = wn ? world_ifindex(wn, port) : 0;
	struct sim_impair im = { .loss_ppm = ppm, .duplicate_ppm = ppm / 4, .jitter_us = ppm ? MS(1) : 0 };

	return ifindex ? sim_link_impair(wn->rt, ifindex, &im) : -ENOENT;
}

int
world_late(struct world *w, const char *node, const char *port, int64_t us)
{
	struct world_node *wn = world_node_find(w, node);
	uint32_t ifindex = wn ? world_ifindex(wn, port) : 0;
	struct world_late *l = ifindex ? late_find(wn, ifindex) : NULL;

	if (!ifindex)
		return -ENOENT;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		*l = (struct world_late){ .wn = wn, .next = wn->late, .ifindex = ifindex };
		l->alarm = sim_alarm_new(w->net, tell_late, l);
		wn->late = l;
	}
	l->us = us;
	return 0;
}

int
world_swap(struct world *w, const char *node_a, const char *port_a, const char *node_b, const char *port_b)
{
	struct world_node *a = world_node_find(w, node_a), *b = world_node_find(w, node_b);
	uint32_t ia = a ? world_ifindex(a, port_a) : 0, ib = b ? world_ifindex(b, port_b) : 0;
	int64_t latency = w->cfg.latency_us ? w->cfg.latency_us : WORLD_LATENCY_US;
	struct sim_port_view va, vb;
	int e;

	if (!ia || !ib || sim_port_get(a->rt, ia, &va) < 0 || sim_port_get(b->rt, ib, &vb) < 0 || !va.far_node ||
	    !vb.far_node)
		return -ENOENT;
	sim_link_disconnect(a->rt, ia);
	sim_link_disconnect(b->rt, ib);
	wire_changed(a, ia);
	wire_changed(b, ib);
	wire_changed(sim_node_owner(va.far_node), va.far_ifindex);
	wire_changed(sim_node_owner(vb.far_node), vb.far_ifindex);
	world_run(w, 0); /* all four ends see that they are unplugged */
	e = sim_link_connect(a->rt, ia, vb.far_node, vb.far_ifindex, latency);
	return e ? e : sim_link_connect(b->rt, ib, va.far_node, va.far_ifindex, latency);
}

/* ---- time ---- */

void
world_run_until(struct world *w, struct mono until)
{
	struct mono next;

	tell_after(w);
	if (!w->see.after) {
		sim_run_until(w->net, until);
		return;
	}
	for (next = sim_next(w->net); next.us <= until.us && !mono_is_never(next); next = sim_next(w->net)) {
		sim_step(w->net);
		tell_after(w);
	}
	sim_run_until(w->net, until);
}

void
world_run(struct world *w, int64_t us)
{
	world_run_until(w, mono_add(sim_now(w->net), us));
}

bool
world_quiet(const struct world *w, struct mono *last)
{
	for (size_t i = 0; i < w->cfg.topo->nnodes; i++) {
		const struct node *n = w->nodes[i].node;

		if (!n)
			continue;
		if (!node_quiet(n))
			return false;
		if (n->last_change.us > last->us)
			*last = n->last_change;
	}
	return true;
}

bool
world_settle(struct world *w, int64_t calm_us, struct mono limit)
{
	struct mono since = sim_now(w->net);

	while (!mono_due(limit, sim_now(w->net))) {
		struct mono last = since;

		world_run(w, TURN_US);
		if (!world_quiet(w, &last))
			last = sim_now(w->net);
		since = last;
		if (mono_sub(sim_now(w->net), since) >= calm_us)
			return true;
	}
	return false;
}

/* ---- packets ---- */

static bool
owns(const struct topo_node *t, const struct ip *dst)
{
	return (t->has_loopback[dst->family] && prefix_has(&t->loopback[dst->family], dst)) ||
	       (t->has_rack[dst->family] && prefix_has(&t->rack[dst->family], dst));
}

uint32_t
world_far(struct world *w, const struct world_node *wn, uint32_t ifindex, uint32_t *far_ifindex)
{
	struct sim_port_view v;
	struct world_node *far;

	(void)w;
	if (!wn->rt || sim_port_get(wn->rt, ifindex, &v) < 0 || !v.passes || !v.far_node)
		return TOPO_NONE;
	far = sim_node_owner(v.far_node);
	if (is_outside(far) || is_outside(wn))
		return TOPO_NONE;
	if (far_ifindex)
		*far_ifindex = v.far_ifindex;
	return far->topo->index;
}

uint32_t
world_next(struct world *w, const struct world_node *wn, const struct model_hop *hop)
{
	uint32_t ifindex = 0, far = hop->dark ? TOPO_NONE : world_far(w, wn, hop->ifindex, &ifindex);
	struct sim_port_view v;

	if (far == TOPO_NONE || sim_port_get(w->nodes[far].rt, ifindex, &v) < 0)
		return TOPO_NONE;
	return ip_is_zero(&hop->gateway) || ip_equal(&hop->gateway, &v.link_local) ? far : TOPO_NONE;
}

/* Whether the hop is an external port with carrier. */
static bool
leaves_by(const struct world_node *wn, const struct model_hop *hop)
{
	return hop->ifindex && hop->ifindex <= wn->topo->nports && !hop->dark &&
	       wn->topo->ports[hop->ifindex - 1].kind == TOPO_EXTERNAL;
}

/* Puts the switch into the walk; false: it was there before, or the walk is too long. */
static bool
enter(struct world *w, struct world_walk *out, uint32_t at)
{
	const struct topo_node *nodes = w->cfg.topo->nodes;

	for (size_t i = 0; i < out->nhops; i++)
		if (out->hops[i] == at)
			return false;
	if (out->nhops == WORLD_HOPS)
		return false;
	out->hops[out->nhops++] = at;
	if (out->nhops >= 3) {
		uint32_t a = nodes[out->hops[out->nhops - 3]].level, b = nodes[out->hops[out->nhops - 2]].level;

		out->valley |= b < a && nodes[at].level > b;
	}
	return true;
}

/* What the switch does with the packet; with WORLD_ARRIVED and r->nhops it goes on to one of the hops. */
static enum world_fate
look(struct world_node *wn, const struct ip *dst, struct model_result *r)
{
	r->nhops = 0;
	if (!wn->platform)
		return WORLD_DARK;
	switch (model_lookup(wn->platform, 0, dst, r)) {
	case MODEL_LOCAL:
	case MODEL_CONNECTED:
		r->nhops = 0;
		return owns(wn->topo, dst) ? WORLD_ARRIVED : WORLD_LEFT;
	case MODEL_FORWARD:
		return WORLD_ARRIVED;
	case MODEL_UNREACHABLE:
	case MODEL_BLACKHOLE:
		r->nhops = 0;
		return WORLD_UNREACHABLE;
	default:
		r->nhops = 0;
		return WORLD_NO_ROUTE;
	}
}

enum world_fate
world_walk(struct world *w, uint32_t from, const struct ip *dst, uint64_t flow, struct world_walk *out)
{
	uint32_t at = from;

	*out = (struct world_walk){ 0 };
	for (;;) {
		struct model_result r;
		uint32_t pick;

		if (!enter(w, out, at))
			return out->fate = WORLD_LOOP;
		out->fate = look(&w->nodes[at], dst, &r);
		if (r.nhops == 0)
			return out->fate;
		pick = model_pick(w->nodes[at].platform, &r, flow);
		if (pick == UINT32_MAX)
			return out->fate = WORLD_DARK;
		if (leaves_by(&w->nodes[at], &r.hops[pick]))
			return out->fate = WORLD_LEFT;
		at = world_next(w, &w->nodes[at], &r.hops[pick]);
		if (at == TOPO_NONE)
			return out->fate = WORLD_DARK;
	}
}

struct walks {
	struct world *w;
	const struct ip *dst;
	world_walk_fn *fn;
	void *arg;
	size_t n;
};

static void
walk_on(struct walks *s, struct world_walk walk, uint32_t at)
{
	struct model_hop hops[RIB_MAX_WIDTH];
	struct model_result r;
	size_t n;

	if (!enter(s->w, &walk, at)) {
		walk.fate = WORLD_LOOP;
		r.nhops = 0;
	} else {
		walk.fate = look(&s->w->nodes[at], s->dst, &r);
	}
	if (r.nhops == 0) {
		s->n++;
		s->fn(s->arg, &walk);
		return;
	}
	n = MIN_OF(r.nhops, ARRAY_LEN(hops));
	memcpy(hops, r.hops, n * sizeof(*hops)); /* the next look-up takes its place */
	for (size_t i = 0; i < n; i++) {
		bool left = leaves_by(&s->w->nodes[at], &hops[i]);
		uint32_t next = left ? TOPO_NONE : world_next(s->w, &s->w->nodes[at], &hops[i]);

		if (next != TOPO_NONE) {
			walk_on(s, walk, next);
			continue;
		}
		walk.fate = left ? WORLD_LEFT : WORLD_DARK;
		s->n++;
		s->fn(s->arg, &walk);
	}
}

size_t
world_walk_all(struct world *w, uint32_t from, const struct ip *dst, world_walk_fn *fn, void *arg)
{
	struct walks s = { w, dst, fn, arg, 0 };

	walk_on(&s, (struct world_walk){ 0 }, from);
	return s.n;
}
