/*
 * fabricd/node.c -- one switch: its birth, its death, its events
 *
 *   platform --port news--> node_port.c --address, carrier--> node_peer.c --updates--> node_rib.c (rib)
 *   platform <--groups, routes-- sync <--------------------- node_rib.c --changes--> export --> node_peer.c --> TCP
 *
 * The node owns every engine and hands news from one to the next; no engine knows another. Nothing here waits.
 *
 * Always true: what the file says does not change while a node lives; a port of the file that the switch does not
 * have is kept, shown as missing, and taken into use when it appears.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/hash.h"
#include "fabricd/node_impl.h"

#define GROUP_ID_BASE 0x0fab0000u
#define ROUTE_METRIC  20
#define COVER_METRIC  0x7fffffffu
#define AUDIT_US      SECONDS(60)

static void
on_port(void *arg, const struct plat_port *p)
{
	node_port_news(arg, p);
}

static void
on_problem(void *arg, const char *text)
{
	node_event(arg, "PLATFORM", "", 0, "%s", text);
}

static const struct platform_client client = { .port = on_port, .problem = on_problem };

uint64_t
node_event(struct node *n, const char *type, const char *port, uint64_t cause, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (n->given) /* what happens now is the successor's doing */
		return 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return journal_add(n->journal, node_now(n), rt_wall_us(n->rt), type, port, cause, "%s", text);
}

/* So that tiers do not hash alike, and a restart does not move flows. */
static uint64_t
flow_seed(const struct topo *t, const struct topo_node *self)
{
	uint64_t h = hash_bytes(hash_bytes(0, t->fabric, strlen(t->fabric)), self->name, strlen(self->name));

	return h ? h : 1;
}

static int
start_fib(struct node *n, char *err, size_t errlen)
{
	struct sync_config cfg = { .mem = &n->mem,
		.rt = n->rt,
		.seed = n->cfg.seed,
		.id_base = GROUP_ID_BASE,
		.metric = ROUTE_METRIC,
		.cover_metric = COVER_METRIC,
		.audit_us = AUDIT_US };
	struct plat_system_config sys = { .hash_seed = flow_seed(n->topo, n->self),
		.kernel_compat = n->topo->kernel_compat };
	int e;

	for (int f = 0; f < FAMILIES; f++)
		if (n->self->has_loopback[f])
			cfg.source[f] = prefix_addr(&n->self->loopback[f]);
	n->platform->client = &client;
	n->platform->client_arg = n;
	e = n->platform->ops->system_setup(n->platform, &sys);
	if (e) {
		snprintf(err, errlen, "the forwarding plane cannot be set up: %s; see the messages before this one",
		    strerror(-e));
		return e;
	}
	n->sync = sync_new(n->platform, &cfg, &node_sync_client, n);
	if (n->held)
		sync_hold(n->sync, true);
	e = n->sync ? sync_start(n->sync) : -ENOMEM;
	if (e)
		snprintf(err, errlen,
		    "the forwarding plane cannot be read: %s; see the messages before this one, if any, and start "
		    "again",
		    strerror(-e));
	return e;
}

static void
add_cover(void *arg, const struct prefix *p)
{
	struct node *n = arg;

	sync_route_cover(n->sync, RIB_MAIN_TABLE, p, PLAT_UNREACHABLE);
}

static void
start_own(struct node *n)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct ip a;
		int e;

		if (!n->self->has_loopback[f])
			continue;
		a = prefix_addr(&n->self->loopback[f]);
		e = n->platform->ops->address_set(n->platform, "lo", &a, n->self->loopback[f].len, true);
		if (e)
			node_event(n, "PLATFORM", "lo", 0, "the loopback address cannot be set: %s", strerror(-e));
		node_announce_own(n, &n->self->loopback[f], true);
	}
	for (size_t i = 0; i < n->topo->nexternals; i++)
		for (size_t k = 0; n->topo->externals[i].node == n->self->index && k < n->topo->externals[i].noriginate;
		     k++)
			node_announce_own(n, &n->topo->externals[i].originate[k], true);
	policy_covers(n->policy, add_cover, n);
	node_aggregates_update(n);
}

static void
start_engines(struct node *n)
{
	struct rib_config cfg = { .mem = &n->mem,
		.seed = n->cfg.seed,
		.wait_fib = !n->cfg.no_fib && n->platform->caps.acknowledges,
		.no_fib = n->cfg.no_fib,
		.max_width = MIN_OF((uint32_t)RIB_MAX_WIDTH, n->platform->caps.max_group_size),
		.weights = n->topo->weights != TOPO_WEIGHTS_OFF };

	n->rib = rib_new(&cfg, &node_rib_ops, n);
	n->export = export_new(&n->mem, n->rib, RIB_MAIN_TABLE, &node_export_ops, n);
	export_hold(n->export, n->held);
	n->policy = policy_new(&n->mem, n->topo, n->self);
	n->scratch = mem_alloc(&n->mem, MEM_SESSION, sizeof(*n->scratch));
	n->chunk = mem_alloc(&n->mem, MEM_SESSION, 64u * 1024);
	n->work = rt_work_new(n->rt, RT_NORMAL, node_rib_work, n);
	n->groups = rt_work_new(n->rt, RT_URGENT, node_groups_work, n);
	n->dwell = rt_timer_new(n->rt, node_dwell, n);
	n->local = (struct rib_source){ .side = RIB_LOCAL, .asn = n->self->asn, .name = "local" };
	n->local.router_id = ip_to_v4(&n->self->router_id);
	rib_source_add(n->rib, &n->local);
	rib_source_up(n->rib, &n->local);
}

static void
near_names(const struct topo *t, const char *name, char *buf, size_t size)
{
	const char *near[3];
	size_t n = topo_node_near(t, name, near, ARRAY_LEN(near)), at = 0;

	snprintf(buf, size, "; fabctl topo expand lists the names");
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "; did you mean ", near[i]);
}

int
node_new(const struct node_config *cfg, struct node **out, char *err, size_t errlen)
{
	const struct topo_node *self = topo_node_find(cfg->topo, cfg->name);
	struct node *n;
	int e;

	*out = NULL;
	if (!self || self->foreign) {
		char near[128];

		near_names(cfg->topo, cfg->name, near, sizeof(near));
		snprintf(err, errlen,
		    self ? "node %s is of another vendor in the topology file%s" : "no node %s in the topology file%s",
		    cfg->name, self ? "; give the name of a switch that runs fabricd" : near);
		return -ENOENT;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->cfg = *cfg;
	n->topo = cfg->topo;
	n->self = self;
	n->rt = cfg->rt;
	n->platform = cfg->platform;
	n->started = n->born = rt_now(cfg->rt);
	n->isolated = self->uplinks > 0;
	if (cfg->inherit) {
		n->held = true;
		n->started = cfg->inherit->started;
		n->isolated = cfg->inherit->isolated;
		n->rack_active = cfg->inherit->rack_active;
	}
	n->hosts_shut = n->isolated && n->topo->tiers[self->tier].shut_hosts_when_isolated;
	while (n->cfg.seed == 0)
		n->cfg.seed = rt_random(cfg->rt);
	n->journal = journal_new(&n->mem, cfg->log, cfg->arg);
	for (size_t i = 0; cfg->inherit && i < cfg->inherit->n_events; i++)
		journal_restore(n->journal, &cfg->inherit->events[i]);
	start_engines(n);
	if ((e = start_fib(n, err, errlen)) || (e = node_ports_init(n))) {
		node_free(n);
		return e;
	}
	node_restart_init(n);
	start_own(n);
	node_ports_setup(n);
	node_event(n, n->held ? "TAKING_OVER" : "STARTED", "", 0, "%s of fabric %s, AS %u, file %s", self->name,
	    n->topo->fabric, self->asn, n->topo->digest);
	*out = n;
	return 0;
}

void
node_stop(struct node *n, const char *communication)
{
	if (!n)
		return;
	node_event(n, "STOPPING", "", 0, "%s", communication);
	n->stopping = true;
	sync_stop(n->sync);
	for (size_t i = 0; i < n->nports; i++) {
		struct node_port *p = &n->ports[i];

		for (struct node_peer *peer = p->peer; peer; peer = peer->next)
			(n->cfg.no_fib ? bgp_peer_stop : bgp_peer_leave)(peer->bgp, communication, node_now(n));
		if (p->link && n->cfg.no_fib)
			link_port_goodbye(p->link, node_now(n));
	}
	node_peers_settle(n);
}

void
node_free(struct node *n)
{
	if (!n)
		return;
	node_ports_free(n);
	node_rack_free(n);
	node_bfd_free(n);
	node_bfd_counters_free(n);
	rt_work_free(n->work);
	rt_work_free(n->groups);
	rt_timer_free(n->dwell);
	rt_timer_free(n->restart.timer);
	sync_free(n->sync);
	export_free(n->export);
	rib_free(n->rib);
	policy_free(n->policy);
	journal_free(n->journal);
	mem_free(&n->mem, MEM_SESSION, n->scratch);
	mem_free(&n->mem, MEM_SESSION, n->chunk);
	free(n);
}

struct node_port *
node_port_find(struct node *n, const char *name)
{
	for (size_t i = 0; i < n->nports; i++)
		if (strcmp(n->ports[i].name, name) == 0)
			return &n->ports[i];
	return NULL;
}

struct node_port *
node_port_by_ifindex(struct node *n, uint32_t ifindex)
{
	for (size_t i = 0; i < n->nports; i++)
		if (n->ports[i].present && n->ports[i].plat.ifindex == ifindex)
			return &n->ports[i];
	return NULL;
}

bool
node_quiet(const struct node *n)
{
	struct sync_stats s;

	if (n->restart.phase != NODE_RUNS || rib_pending(n->rib) || export_pending(n->export))
		return false;
	if (n->cfg.no_fib)
		return true;
	sync_stats(n->sync, &s); /* last: it may have to look at every route */
	return s.routes_pending == 0;
}
