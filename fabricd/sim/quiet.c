/*
 * fabricd/sim/quiet.c -- the comparison of a whole fabric that is quiet; see check.h
 *
 *   the file's graph --oracle--> ports that packets should take
 *   modelled forwarding planes --flow--> ports that they do take      = RIB's members = what sync wants
 */
#include <string.h>

#include "fabricd/sim/check_impl.h"
#include "fabricd/sim/outside.h"

static bool
same_ports(const struct check *c, const uint64_t *a, const uint64_t *b)
{
	for (size_t w = 0; w < c->words; w++)
		if (a[w] != b[w])
			return false;
	return true;
}

static void
compare_paths(struct check *c, size_t dest, uint32_t node)
{
	const struct flow_dest *d = flow_dest(c->flow, dest);
	const uint64_t *is = flow_ports(c->flow, dest, node), *want = &c->paths[d->owner].ports[node * c->words];
	char p[PREFIX_TEXT], a[256], b[256];

	if (node == d->owner || same_ports(c, is, want))
		return;
	check_fail(c, CHECK_PATHS, "%s to %s (%s): packets take %s; the shortest valley-free paths begin with %s",
	    c->t->nodes[node].name, prefix_print(&d->prefix, p), c->t->nodes[d->owner].name,
	    flow_print(c->flow, node, is, a, sizeof(a)), flow_print(c->flow, node, want, b, sizeof(b)));
}

/* By destination, since that is how both sides have them in memory. */
static void
compare_all_paths(struct check *c)
{
	for (size_t d = 0; d < flow_dests(c->flow) && !c->violation.kind; d++) {
		if (memcmp(flow_ports(c->flow, d, 0), c->paths[flow_dest(c->flow, d)->owner].ports,
			c->n * c->words * sizeof(uint64_t)) == 0)
			continue;
		for (uint32_t i = 0; i < c->n; i++)
			if (c->node_sure[i])
				compare_paths(c, d, i);
	}
}

/* ---- RIB and forwarding plane ---- */

static void
ports_of_list(const struct check *c, const struct rib *rib, const struct path_list *list, uint64_t *ports)
{
	struct rib_member m[RIB_MAX_WIDTH];
	size_t n = list ? rib_members(rib, list, m, ARRAY_LEN(m)) : 0;

	memset(ports, 0, c->words * sizeof(*ports));
	for (size_t i = 0; i < n; i++)
		if (m[i].ifindex && m[i].ifindex <= c->words * 64)
			ports[(m[i].ifindex - 1) / 64] |= 1ull << (m[i].ifindex - 1) % 64;
}

/* The same from the cache: one list is that of all prefixes of an origin. */
static const uint64_t *
cached_ports(struct check *c, const struct rib *rib, const struct path_list *list)
{
	size_t slot = ((uintptr_t)list >> 6) % CHECK_LISTS;
	uint64_t *ports = &c->list_ports[slot * c->words];

	if (c->lists[slot] == list)
		return ports;
	c->lists[slot] = list;
	ports_of_list(c, rib, list, ports);
	return ports;
}

static void
compare_route(struct check *c, size_t dest, uint32_t node, const uint64_t *rib)
{
	const struct flow_dest *d = flow_dest(c->flow, dest);
	const uint64_t *is = flow_ports(c->flow, dest, node);
	char p[PREFIX_TEXT], a[256], b[256];

	if (node != d->owner && !same_ports(c, is, rib))
		check_fail(c, CHECK_RIB_FIB, "%s, %s: the RIB has %s, packets take %s", c->t->nodes[node].name,
		    prefix_print(&d->prefix, p), flow_print(c->flow, node, rib, a, sizeof(a)),
		    flow_print(c->flow, node, is, b, sizeof(b)));
}

/* Which destination stands at this place of a RIB's table: as it was found last, if that still holds. */
static size_t
dest_at(struct check *c, struct check_rib *r, enum family f, const struct rib_view *v)
{
	size_t dest;

	if (v->entry >= r->n[f]) {
		size_t was = r->n[f];

		r->dest[f] = mem_grow(NULL, MEM_OTHER, r->dest[f], &r->n[f], v->entry + 1, sizeof(*r->dest[f]));
		memset(&r->dest[f][was], 0xff, (r->n[f] - was) * sizeof(*r->dest[f]));
	}
	dest = r->dest[f][v->entry];
	if (dest < flow_dests(c->flow) && prefix_equal(&flow_dest(c->flow, dest)->prefix, &v->prefix))
		return dest;
	dest = flow_find(c->flow, &v->prefix);
	if (dest != SIZE_MAX)
		r->dest[f][v->entry] = (uint32_t)dest;
	return dest;
}

/* What has not run since the last comparison, and whose packets go where they went, is as it was then. */
static bool
rib_changed(struct check_rib *r, const struct rib *rib)
{
	struct rib_counts n;
	uint64_t work;

	rib_counts(rib, &n);
	work = n.runs + n.groups_in_place + n.groups_new + n.routes_rewritten;
	if (r->rib == rib && r->work == work && !r->moved)
		return false;
	r->rib = rib;
	r->work = work;
	r->moved = false;
	return true;
}

/* Of all RIBs, the routes of packets that have moved. */
static void
compare_moved(struct check *c)
{
	const uint8_t *end = c->moved + flow_dests(c->flow) * c->n, *at = memchr(c->moved, 1, (size_t)(end - c->moved));

	for (; at; at = at + 1 < end ? memchr(at + 1, 1, (size_t)(end - at - 1)) : NULL) {
		size_t dest = (size_t)(at - c->moved) / c->n;
		uint32_t node = (uint32_t)((size_t)(at - c->moved) % c->n);
		const struct rib *rib = c->node_sure[node] ? world_node_at(c->w, node)->node->rib : NULL;
		struct rib_view v;

		if (!rib)
			continue;
		v.list = NULL;
		rib_get(rib, 0, &flow_dest(c->flow, dest)->prefix, &v);
		ports_of_list(c, rib, v.list, c->scratch);
		compare_route(c, dest, node, c->scratch);
	}
}

static void
compare_rib(struct check *c, uint32_t node)
{
	const struct rib *rib = world_node_at(c->w, node)->node->rib;
	struct check_rib *r = &c->ribs[node];
	size_t n = flow_dests(c->flow);
	struct rib_view v;

	if (!rib_changed(r, rib))
		return;
	memset(c->seen, 0, n * sizeof(*c->seen));
	memset(c->lists, 0, CHECK_LISTS * sizeof(c->lists[0]));
	for (int f = 0; f < FAMILIES; f++)
		for (uint32_t at = 0; rib_next(rib, 0, (enum family)f, &at, &v);) {
			size_t dest = v.list ? dest_at(c, r, (enum family)f, &v) : SIZE_MAX;

			if (dest == SIZE_MAX)
				continue;
			c->seen[dest] = true;
			compare_route(c, dest, node, cached_ports(c, rib, v.list));
		}
	memset(c->scratch, 0, c->words * sizeof(*c->scratch));
	for (size_t d = 0; d < n; d++)
		if (!c->seen[d])
			compare_route(c, d, node, c->scratch);
	if (c->violation.kind)
		r->rib = NULL;
}

struct diff {
	struct check *c;
	uint32_t node;
};

static void
on_diff(void *arg, const char *what, const struct prefix *p, const char *text)
{
	struct diff *d = arg;
	char buf[PREFIX_TEXT];

	check_fail(d->c, CHECK_RIB_FIB, "%s: %s %s: %s", d->c->t->nodes[d->node].name, what,
	    p ? prefix_print(p, buf) : "", text);
}

static void
compare_sync(struct check *c, uint32_t node)
{
	struct diff d = { c, node };
	int n = c->light ? 0 : sync_check(world_node_at(c->w, node)->node->sync, on_diff, &d);

	if (n)
		check_fail(
		    c, CHECK_RIB_FIB, "%s: %d differences between wanted and installed", c->t->nodes[node].name, n);
}

static void
compare_sessions(struct check *c, uint32_t node)
{
	struct node *n = world_node_at(c->w, node)->node;

	for (size_t i = 0; i < n->nports; i++) {
		const struct node_port *p = &n->ports[i];
		char why[BGP_REASON_TEXT] = "";

		if (!p->peer || p->peer->established)
			continue;
		node_peer_why(p->peer, why, sizeof(why));
		if (!why[0])
			check_fail(c, CHECK_REASON, "%s: the session on %s is down, and nothing says why",
			    c->t->nodes[node].name, p->name);
		if (p->topo->link != TOPO_NONE && p->peer->far &&
		    c->end_sure[2 * p->topo->link + (p->topo->kind == TOPO_DOWN)] && c->node_sure[p->topo->far_node])
			check_fail(c, CHECK_PATHS, "%s: the session on %s is down though nothing is in its way: %s",
			    c->t->nodes[node].name, p->name, why);
	}
}

/* ---- outside ---- */

static bool
session_up(const struct world_node *wn, const struct topo_external *x)
{
	const struct node_port *p = wn->node ? node_port_find(wn->node, x->port) : NULL;

	for (const struct node_peer *peer = p ? p->peer : NULL; peer; peer = peer->next)
		if (peer->external == x)
			return peer->established;
	return false;
}

/* Whether a border to which this node has a way has an external session, so that it has a default route for it. */
static bool
has_way_out(struct check *c, uint32_t node, enum family f)
{
	for (size_t i = 0; i < c->t->nexternals; i++) {
		const struct topo_external *x = &c->t->externals[i];

		if (x->peer.family == f && c->node_sure[x->node] && session_up(world_node_at(c->w, x->node), x) &&
		    c->paths[x->node].distance[node] != ORACLE_FAR)
			return true;
	}
	return false;
}

struct way_out {
	struct check *c;
	enum world_fate worst;
};

static void
on_way_out(void *arg, const struct world_walk *walk)
{
	struct way_out *o = arg;

	if (walk->fate != WORLD_LEFT || walk->valley)
		o->worst = walk->fate == WORLD_LEFT ? WORLD_LOOP : walk->fate;
}

/* Every switch that has a way to a border with a session gets out by every path that its packets may take. */
static void
compare_outside(struct check *c, uint32_t node)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct ip probe = outside_probe((enum family)f);
		struct way_out o = { c, WORLD_LEFT };

		if (!has_way_out(c, node, (enum family)f))
			continue;
		world_walk_all(c->w, node, &probe, on_way_out, &o);
		if (o.worst != WORLD_LEFT)
			check_fail(c, CHECK_OUTSIDE, "%s: packets to the %s world outside end with: %s",
			    c->t->nodes[node].name, family_name((enum family)f), world_fate_name(o.worst));
	}
}

static void
count_pairs(struct check *c)
{
	struct oracle_graph g = check_counted_on(c);
	uint32_t *part = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*part));

	oracle_parts(&c->oracle, &g, part);
	c->stats.isolated = c->stats.parted = 0;
	for (uint32_t a = 0; a < c->n; a++)
		for (uint32_t b = 0; b < a; b++) {
			if (c->t->nodes[a].foreign || c->t->nodes[b].foreign || c->paths[a].distance[b] != ORACLE_FAR)
				continue;
			if (part[a] == part[b])
				c->stats.isolated++;
			else
				c->stats.parted++;
		}
	mem_free(NULL, MEM_OTHER, part);
}

void
check_quiet(struct check *c)
{
	struct mono last = { 0 };

	check_look(c);
	c->stats.quiet++;
	if (!world_quiet(c->w, &last))
		for (uint32_t i = 0; i < c->n; i++)
			if (world_node_at(c->w, i)->node && !node_quiet(world_node_at(c->w, i)->node))
				check_fail(c, CHECK_RESTLESS, "%s still has work to do", c->t->nodes[i].name);
	compare_all_paths(c);
	for (uint32_t i = 0; i < c->n && !c->violation.kind; i++) {
		if (!c->node_sure[i])
			continue;
		compare_sessions(c, i);
		if (!c->light)
			compare_rib(c, i);
		compare_sync(c, i);
		if (world_config(c->w)->outside)
			compare_outside(c, i);
	}
	if (c->light && !c->violation.kind)
		compare_moved(c);
	count_pairs(c);
}

static size_t
own_prefixes(const struct topo_node *t, enum family f)
{
	return (size_t)t->has_loopback[f] + t->has_rack[f];
}

/* Arrays that were not needed before. Those that grow do not count: they keep the room of their fullest moment. */
#define NEW_ARRAYS 3

static void
compare_memory(struct check *c, uint32_t node)
{
	const struct node *n = world_node_at(c->w, node)->node;
	struct check_empty *was = &c->empty[node];

	for (int k = 0; k < MEM_KINDS; k++) {
		uint64_t blocks = n->mem.by[k].allocs - n->mem.by[k].frees;

		if (was->started.us == n->started.us && k != MEM_EVENT && blocks > was->blocks[k] + NEW_ARRAYS)
			check_fail(c, CHECK_LEAK,
			    "%s: %llu blocks of memory of kind %s are left, %llu more than the last time",
			    c->t->nodes[node].name, (unsigned long long)blocks, mem_kind_name((enum mem_kind)k),
			    (unsigned long long)(blocks - was->blocks[k]));
		was->blocks[k] = blocks;
	}
	was->started = n->started;
}

void
check_empty(struct check *c)
{
	for (uint32_t i = 0; i < c->n && !c->violation.kind; i++) {
		struct world_node *wn = world_node_at(c->w, i);
		struct model_stats m;
		struct rib_counts r;
		struct sync_stats s;

		if (!wn->node)
			continue;
		rib_counts(wn->node->rib, &r);
		sync_stats(wn->node->sync, &s);
		model_stats(wn->platform, &m);
		for (int f = 0; f < FAMILIES; f++)
			if (r.paths[f] > own_prefixes(wn->topo, (enum family)f) || r.fib_routes[f])
				check_fail(c, CHECK_LEAK, "%s, %s: %llu paths and %llu routes in the FIB are left",
				    wn->topo->name, family_name((enum family)f), (unsigned long long)r.paths[f],
				    (unsigned long long)r.fib_routes[f]);
		if (r.groups || s.groups || s.nexthops || m.groups || m.nexthops)
			check_fail(c, CHECK_LEAK,
			    "%s: left are %llu groups of the RIB, %llu groups and %llu next hops of sync, %zu groups "
			    "and "
			    "%zu next hops of the forwarding plane",
			    wn->topo->name, (unsigned long long)r.groups, (unsigned long long)s.groups,
			    (unsigned long long)s.nexthops, m.groups, m.nexthops);
		if (r.attrs > 1 || r.lists > 1)
			check_fail(c, CHECK_LEAK, "%s: %llu sets of attributes and %llu path lists are left",
			    wn->topo->name, (unsigned long long)r.attrs, (unsigned long long)r.lists);
		compare_memory(c, i);
	}
}
