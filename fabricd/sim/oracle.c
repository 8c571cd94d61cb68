/*
 * fabricd/sim/oracle.c -- see oracle.h
 *
 * A valley-free path goes up some links, then down some. Seen from its end, the owner: the ways that only go down are
 * found from the owner upwards, level by level; then every switch, from the top downwards, takes the shorter of its
 * ways down and of what the switches above it have, plus one link; the ways down when both are equally short, since
 * what came from above may not go up again. All of the equally short ones of that side are taken.
 *
 * What comes from above has passed, on its way up from the owner, each tier between the owner and the top, and in each
 * of them a switch that leads down to the owner. Those of one tier that do so have one AS number if any two have the
 * same (the file knows one number for a tier, one for a pod, or one for each switch), so a switch that shares its own
 * with another one above the owner takes nothing from above.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"
#include "fabricd/sim/oracle.h"

static void
fill_order(struct oracle *o)
{
	const struct topo *t = o->topo;
	size_t n = 0;

	for (uint32_t level = 0; n < t->nnodes; level++)
		for (uint32_t i = 0; i < t->nnodes; i++)
			if (t->nodes[i].level == level)
				o->order[n++] = i;
}

static int
by_asn(const void *a, const void *b, void *arg)
{
	const struct topo_node *nodes = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (nodes[x].asn != nodes[y].asn)
		return nodes[x].asn < nodes[y].asn ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void
fill_crews(struct oracle *o)
{
	const struct topo *t = o->topo;
	uint32_t *sorted = mem_zalloc(NULL, MEM_OTHER, (t->nnodes + 1) * sizeof(*sorted));

	for (uint32_t i = 0; i < t->nnodes; i++)
		sorted[i] = i;
	qsort_r(sorted, t->nnodes, sizeof(*sorted), by_asn, t->nodes);
	for (uint32_t i = 0; i < t->nnodes; i++) {
		bool same = i && t->nodes[sorted[i]].asn == t->nodes[sorted[i - 1]].asn;

		o->crew[sorted[i]] = same ? o->crew[sorted[i - 1]] : sorted[i];
	}
	mem_free(NULL, MEM_OTHER, sorted);
}

/* Host ports are many, and of no interest here. */
static void
fill_ways(struct oracle *o)
{
	const struct topo *t = o->topo;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 2 * t->nnodes; i++) {
		const struct topo_node *node = &t->nodes[i / 2];

		o->first[i] = n;
		for (uint32_t k = 0; k < node->nports; k++) {
			const struct topo_port *p = &node->ports[k];

			if (p->kind == (i % 2 ? TOPO_DOWN : TOPO_UP) && p->link != TOPO_NONE)
				o->ways[n++] = (struct oracle_way){ k, p->far_node, 2 * p->link + i % 2 };
		}
	}
	o->first[2 * t->nnodes] = n;
}

void
oracle_init(struct oracle *o, const struct topo *t)
{
	uint32_t most = 1;

	*o = (struct oracle){ .topo = t };
	o->links = mem_zalloc(NULL, MEM_OTHER, (t->nlinks + 1) * sizeof(*o->links));
	o->ways = mem_zalloc(NULL, MEM_OTHER, (2 * t->nlinks + 1) * sizeof(*o->ways));
	o->first = mem_zalloc(NULL, MEM_OTHER, (2 * t->nnodes + 1) * sizeof(*o->first));
	o->order = mem_zalloc(NULL, MEM_OTHER, (t->nnodes + 1) * sizeof(*o->order));
	o->crew = mem_zalloc(NULL, MEM_OTHER, (t->nnodes + 1) * sizeof(*o->crew));
	o->below = mem_zalloc(NULL, MEM_OTHER, (t->nnodes + 1) * sizeof(*o->below));
	o->above = mem_zalloc(NULL, MEM_OTHER, (t->nnodes + 1) * sizeof(*o->above));
	for (uint32_t i = 0; i < t->nnodes; i++) {
		for (uint32_t k = 0; k < t->nodes[i].nports; k++) {
			const struct topo_port *p = &t->nodes[i].ports[k];

			if (p->kind != TOPO_UP && p->kind != TOPO_DOWN)
				continue;
			most = MAX_OF(most, k + 1);
			if (p->link != TOPO_NONE)
				o->links[p->link].port[p->kind == TOPO_DOWN] = k;
		}
	}
	o->words = (most + 63) / 64;
	o->ports = mem_zalloc(NULL, MEM_OTHER, o->words * sizeof(*o->ports));
	fill_ways(o);
	fill_order(o);
	fill_crews(o);
}

void
oracle_done(struct oracle *o)
{
	mem_free(NULL, MEM_OTHER, o->links);
	mem_free(NULL, MEM_OTHER, o->ways);
	mem_free(NULL, MEM_OTHER, o->first);
	mem_free(NULL, MEM_OTHER, o->order);
	mem_free(NULL, MEM_OTHER, o->crew);
	mem_free(NULL, MEM_OTHER, o->below);
	mem_free(NULL, MEM_OTHER, o->above);
	mem_free(NULL, MEM_OTHER, o->ports);
}

void
oracle_paths_init(const struct oracle *o, struct oracle_paths *p)
{
	p->distance = mem_zalloc(NULL, MEM_OTHER, (o->topo->nnodes + 1) * sizeof(*p->distance));
	p->ports = mem_zalloc(NULL, MEM_OTHER, (o->topo->nnodes * o->words + 1) * sizeof(*p->ports));
}

void
oracle_paths_done(struct oracle_paths *p)
{
	mem_free(NULL, MEM_OTHER, p->distance);
	mem_free(NULL, MEM_OTHER, p->ports);
}

static bool
works(const struct oracle *o, const struct oracle_graph *g, uint32_t link, bool upper)
{
	const struct topo_link *l = &o->topo->links[link];

	return g->ends[2 * link + upper] && g->nodes[l->lower] && g->nodes[l->upper];
}

/* The distance of node `at` over its ways up or down, given those of their far ends; sets the ports that have it. */
static uint32_t
nearest(const struct oracle *o, const struct oracle_graph *g, uint32_t at, bool down, const uint32_t *distance,
    uint64_t *ports)
{
	const struct oracle_way *way = &o->ways[o->first[2 * at + down]], *end = &o->ways[o->first[2 * at + down + 1]];
	uint32_t best = ORACLE_FAR;

	memset(ports, 0, o->words * sizeof(*ports));
	for (; way < end; way++) {
		uint32_t d = distance[way->far];

		if (d == ORACLE_FAR || d + 1 > best || !g->ends[way->end] || !g->nodes[at] || !g->nodes[way->far])
			continue;
		if (d + 1 < best)
			memset(ports, 0, o->words * sizeof(*ports));
		best = d + 1;
		ports[way->port / 64] |= 1ull << way->port % 64;
	}
	return best;
}

/* Whether another switch with its AS number has passed on what would come to it from above. */
static bool
is_barred(const struct oracle *o, uint32_t at)
{
	return o->above[o->crew[at]] > (o->below[at] != ORACLE_FAR);
}

void
oracle_search(const struct oracle *o, const struct oracle_graph *g, uint32_t owner, struct oracle_paths *out)
{
	size_t n = o->topo->nnodes;

	memset(out->ports, 0, n * o->words * sizeof(*out->ports));
	for (size_t i = 0; i < n; i++) {
		o->below[i] = out->distance[i] = ORACLE_FAR;
		o->above[i] = 0;
	}
	if (!g->nodes[owner])
		return;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = o->order[i];

		if (at == owner)
			o->below[at] = 0;
		else if (g->nodes[at])
			o->below[at] = nearest(o, g, at, true, o->below, &out->ports[at * o->words]);
		o->above[o->crew[at]] += o->below[at] != ORACLE_FAR;
	}
	for (size_t i = n; i-- > 0;) {
		uint32_t at = o->order[i], up;

		out->distance[at] = o->below[at];
		if (!g->nodes[at] || at == owner || is_barred(o, at))
			continue;
		up = nearest(o, g, at, false, out->distance, o->ports);
		if (up >= o->below[at])
			continue;
		out->distance[at] = up;
		memcpy(&out->ports[at * o->words], o->ports, o->words * sizeof(*o->ports));
	}
}

void
oracle_parts(const struct oracle *o, const struct oracle_graph *g, uint32_t *part)
{
	bool more = true;

	for (uint32_t i = 0; i < o->topo->nnodes; i++)
		part[i] = i;
	while (more) {
		more = false;
		for (uint32_t i = 0; i < o->topo->nlinks; i++) {
			uint32_t *a = &part[o->topo->links[i].lower], *b = &part[o->topo->links[i].upper];

			if ((!works(o, g, i, false) && !works(o, g, i, true)) || *a == *b)
				continue;
			*a = *b = MIN_OF(*a, *b);
			more = true;
		}
	}
}
