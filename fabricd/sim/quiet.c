/*
 * fabricd/sim/quiet.c -- the comparison of a whole fabric that is quiet; see check.h
 *
 *   the file's graph --oracle--> ports that packets should take
 *   modelled forwarding planes --flow--> ports that they do take      = RIB's members = what sync wants
 */
#include <string.h>

#include "fabricd/sim/check_impl.h"

static void
compare_paths(struct check *c, size_t dest, uint32_t node)
{
	const struct flow_dest *d = flow_dest(c->flow, dest);
	const uint64_t *is = flow_ports(c->flow, dest, node), *want = &c->paths[d->owner].ports[node * c->words];
	char p[PREFIX_TEXT], a[256], b[256];

	if (node == d->owner || memcmp(is, want, c->words * sizeof(*is)) == 0)
		return;
	check_fail(c, CHECK_PATHS, "%s to %s (%s): packets take %s; the shortest valley-free paths begin with %s",
	    c->t->nodes[node].name, prefix_print(&d->prefix, p), c->t->nodes[d->owner].name,
	    flow_print(c->flow, node, is, a, sizeof(a)), flow_print(c->flow, node, want, b, sizeof(b)));
}

static void
compare_rib(struct check *c, size_t dest, uint32_t node)
{
	const struct flow_dest *d = flow_dest(c->flow, dest);
	const struct node *n = world_node_at(c->w, node)->node;
	const uint64_t *is = flow_ports(c->flow, dest, node);
	struct rib_member m[RIB_MAX_WIDTH];
	struct rib_view v;
	char p[PREFIX_TEXT], a[256], b[256];
	size_t k = 0;

	memset(c->scratch, 0, c->words * sizeof(*c->scratch));
	if (rib_get(n->rib, 0, &d->prefix, &v) && v.list)
		k = rib_members(n->rib, v.list, m, ARRAY_LEN(m));
	for (size_t i = 0; i < k; i++)
		if (m[i].ifindex && m[i].ifindex <= c->words * 64)
			c->scratch[(m[i].ifindex - 1) / 64] |= 1ull << (m[i].ifindex - 1) % 64;
	if (node != d->owner && memcmp(is, c->scratch, c->words * sizeof(*is)) != 0)
		check_fail(c, CHECK_RIB_FIB, "%s, %s: the RIB has %s, packets take %s", c->t->nodes[node].name,
		    prefix_print(&d->prefix, p), flow_print(c->flow, node, c->scratch, a, sizeof(a)),
		    flow_print(c->flow, node, is, b, sizeof(b)));
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
	int n = c->skip_read_back ? 0 : sync_check(world_node_at(c->w, node)->node->sync, on_diff, &d);

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

static void
count_pairs(struct check *c)
{
	struct oracle_graph g = check_counted_on(c);
	uint32_t *part = mem_zalloc(NULL, MEM_OTHER, c->n * sizeof(*part));

	oracle_parts(&c->oracle, &g, part);
	c->stats.isolated = c->stats.parted = 0;
	for (uint32_t a = 0; a < c->n; a++)
		for (uint32_t b = 0; b < c->n; b++) {
			if (a == b || c->paths[a].distance[b] != ORACLE_FAR)
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
	for (uint32_t i = 0; i < c->n && !c->violation.kind; i++) {
		if (!c->node_sure[i])
			continue;
		compare_sessions(c, i);
		for (size_t d = 0; d < flow_dests(c->flow); d++) {
			compare_paths(c, d, i);
			compare_rib(c, d, i);
		}
		compare_sync(c, i);
	}
	count_pairs(c);
}

static size_t
own_prefixes(const struct topo_node *t, enum family f)
{
	return (size_t)t->has_loopback[f] + t->has_rack[f];
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
	}
}
