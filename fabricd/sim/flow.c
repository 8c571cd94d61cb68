/*
 * fabricd/sim/flow.c -- see flow.h
 *
 *   model, wires --noted--> dirty list --after the event--> ports of (dest, node) --> valley? leaves? --> good?
 *
 * A valley is found where it begins: at a switch that gets packets of the destination from above (they are counted per
 * destination and node) and sends some up. In a fabric whose links all join different levels every loop has one, so
 * that this one local look finds both, at the cost of what has changed.
 *
 * `good` is worked out backwards from the owner: a node is good when all of its ports lead to good nodes. A change
 * spreads to the nodes that send packets here, and no further than it changes something.
 *
 * The world outside is reached at a switch that sends a packet to an external port with a router at its other end; it is HERE then, and
 * may send others on to further borders.
 *
 * A port whose next hop is not the address of who is at its other end loses what is sent there: nobody answers for it.
 * It is not among the ports, and the node is ASTRAY, so not good.
 *
 * Always true between events: ports, far and above agree with each other, and with the forwarding planes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/flow.h"
#include "fabricd/sim/outside.h"

enum { GOOD = 1, DIRTY = 2, QUEUED = 4, HERE = 8, ASTRAY = 16 };

struct flow {
	struct world *w;
	const struct topo *t;
	struct flow_ops ops;
	void *arg;
	bool telling; /* false while all is read at first */
	size_t n, words, width;
	struct flow_dest *dests; /* sorted by prefix; behind them the world outside */
	size_t ndests, nall;
	uint64_t *ports; /* [dest][node][words] */
	uint8_t *state;  /* [dest][node] */
	uint16_t *above; /* [dest][node]: ports of nodes above that lead here */
	uint32_t *far;   /* [node][width]: node, or TOPO_NONE */
	size_t *from;    /* [node][width]: the port (node x width + port) whose packets come in here; SIZE_MAX: none */
	size_t *into;    /* [node][width]: the inverse of from */
	uint64_t *scratch;

	size_t *dirty, ndirty, cap_dirty; /* dest x n + node */
	uint32_t *whole, nwhole;          /* nodes of which any destination may have changed */
	bool *is_whole;                   /* by node */
	size_t *wires, nwires, cap_wires; /* node x width + port */
	size_t *queue, nqueue, cap_queue; /* dest x n + node, whose good is to be worked out */
};

static void *
zalloc(size_t n, size_t size)
{
	return mem_zalloc(NULL, MEM_OTHER, n * size + 1);
}

static uint64_t *
ports_of(const struct flow *f, size_t dest, uint32_t node)
{
	return &f->ports[(dest * f->n + node) * f->words];
}

static bool
has(const uint64_t *ports, size_t k)
{
	return ports[k / 64] >> k % 64 & 1;
}

/* The next port of a set at or after k; SIZE_MAX: none. */
static size_t
next_port(const struct flow *f, const uint64_t *ports, size_t k)
{
	for (size_t w = k / 64; w < f->words; w++) {
		uint64_t rest = ports[w] >> (w == k / 64 ? k % 64 : 0) << (w == k / 64 ? k % 64 : 0);

		if (rest)
			return w * 64 + (size_t)__builtin_ctzll(rest);
	}
	return SIZE_MAX;
}

static uint32_t
level(const struct flow *f, uint32_t node)
{
	return f->t->nodes[node].level;
}

/* ---- good ---- */

static void
push(struct flow *f, size_t dest, uint32_t node)
{
	size_t at = dest * f->n + node;

	if (f->state[at] & QUEUED)
		return;
	f->state[at] |= QUEUED;
	f->queue = mem_grow(NULL, MEM_OTHER, f->queue, &f->cap_queue, f->nqueue + 1, sizeof(*f->queue));
	f->queue[f->nqueue++] = at;
}

static bool
is_good(const struct flow *f, size_t dest, uint32_t node)
{
	const uint64_t *ports = ports_of(f, dest, node);
	size_t k = next_port(f, ports, 0);

	if (f->state[dest * f->n + node] & ASTRAY || (k == SIZE_MAX && !(f->state[dest * f->n + node] & HERE)))
		return false;
	for (; k != SIZE_MAX; k = next_port(f, ports, k + 1)) {
		uint32_t far = f->far[node * f->width + k];

		if (far == TOPO_NONE || !(f->state[dest * f->n + far] & GOOD))
			return false;
	}
	return true;
}

static void
spread(struct flow *f)
{
	for (size_t i = 0; i < f->nqueue; i++) {
		size_t at = f->queue[i], dest = at / f->n;
		uint32_t node = (uint32_t)(at % f->n);
		bool good = is_good(f, dest, node);

		f->state[at] &= (uint8_t)~QUEUED;
		if (good == !!(f->state[at] & GOOD))
			continue;
		f->state[at] ^= GOOD;
		if (f->telling)
			f->ops.good(f->arg, dest, node, good);
		for (size_t k = 0; k < f->width; k++) {
			size_t from = f->from[node * f->width + k];

			if (from != SIZE_MAX && has(ports_of(f, dest, (uint32_t)(from / f->width)), from % f->width))
				push(f, dest, (uint32_t)(from / f->width));
		}
	}
	f->nqueue = 0;
}

/* ---- valleys ---- */

static bool
sends_up(const struct flow *f, size_t dest, uint32_t node)
{
	const uint64_t *ports = ports_of(f, dest, node);

	for (size_t k = next_port(f, ports, 0); k != SIZE_MAX; k = next_port(f, ports, k + 1)) {
		uint32_t far = f->far[node * f->width + k];

		if (far != TOPO_NONE && level(f, far) > level(f, node))
			return true;
	}
	return false;
}

static void
look_for_valley(struct flow *f, size_t dest, uint32_t node)
{
	if (f->above[dest * f->n + node] && sends_up(f, dest, node))
		f->ops.valley(f->arg, dest, node);
}

/* The port begins or ceases to lead packets of dest to the node at its far end. */
static void
count_above(struct flow *f, size_t dest, uint32_t node, size_t port, int step)
{
	uint32_t far = f->far[node * f->width + port];

	if (far == TOPO_NONE || level(f, far) >= level(f, node))
		return;
	f->above[dest * f->n + far] = (uint16_t)(f->above[dest * f->n + far] + step);
	if (step > 0)
		look_for_valley(f, dest, far);
}

/* ---- reading anew ---- */

/* Whether packets that leave by this port get to a router. */
static bool
gets_out(const struct world_node *wn, const struct model_hop *hop)
{
	struct sim_port_view v;

	return !hop->dark && sim_port_get(wn->rt, hop->ifindex, &v) == 0 && v.passes && v.far_node;
}

/* What the forwarding plane of a node does with packets of dest, into f->scratch; HERE: they end here. */
static uint8_t
read_ports(struct flow *f, size_t dest, uint32_t node)
{
	struct world_node *wn = world_node_at(f->w, node);
	const struct topo_node *t = &f->t->nodes[node];
	struct model_result r;
	uint8_t flags = 0;

	memset(f->scratch, 0, f->words * sizeof(*f->scratch));
	if (!wn->platform)
		return 0;
	switch (model_lookup(wn->platform, 0, &f->dests[dest].probe, &r)) {
	case MODEL_LOCAL:
	case MODEL_CONNECTED:
		if (f->dests[dest].owner != node)
			f->ops.leaves(f->arg, dest, node, "into a network of its own");
		return f->dests[dest].owner == node ? HERE : 0;
	case MODEL_FORWARD:
		for (size_t i = 0; i < r.nhops; i++) {
			uint32_t k = r.hops[i].ifindex - 1;

			if (k < t->nports && k < f->width &&
			    (t->ports[k].kind == TOPO_UP || t->ports[k].kind == TOPO_DOWN)) {
				if (world_next(f->w, wn, &r.hops[i]) == f->far[node * f->width + k])
					f->scratch[k / 64] |= 1ull << k % 64;
				else
					flags |= ASTRAY;
			} else if (f->dests[dest].owner == TOPO_NONE && k < t->nports &&
				   t->ports[k].kind == TOPO_EXTERNAL) {
				flags |= gets_out(wn, &r.hops[i]) ? HERE : ASTRAY;
			} else {
				f->ops.leaves(f->arg, dest, node,
				    k < t->nports ? t->ports[k].name : "a port that is not in the file");
			}
		}
		return flags;
	default:
		return 0;
	}
}

static void
read_dest(struct flow *f, size_t dest, uint32_t node)
{
	size_t at = dest * f->n + node;
	uint64_t *ports = ports_of(f, dest, node);
	uint8_t flags = read_ports(f, dest, node);

	if (flags == (f->state[at] & (HERE | ASTRAY)) && memcmp(ports, f->scratch, f->words * sizeof(*ports)) == 0)
		return;
	f->state[at] = (uint8_t)((f->state[at] & ~(HERE | ASTRAY)) | flags);
	for (size_t w = 0; w < f->words; w++) { /* swapped, so that what was is in scratch */
		uint64_t now = f->scratch[w];

		f->scratch[w] = ports[w];
		ports[w] = now;
	}
	if (f->telling)
		f->ops.changed(f->arg, dest, node, f->scratch, ports);
	for (size_t k = next_port(f, f->scratch, 0); k != SIZE_MAX; k = next_port(f, f->scratch, k + 1))
		if (!has(ports, k))
			count_above(f, dest, node, k, -1);
	for (size_t k = next_port(f, ports, 0); k != SIZE_MAX; k = next_port(f, ports, k + 1))
		if (!has(f->scratch, k))
			count_above(f, dest, node, k, 1);
	look_for_valley(f, dest, node);
	push(f, dest, node);
}

/* The default route of a family is the world outside. */
static size_t
find_any(const struct flow *f, const struct prefix *p)
{
	for (size_t d = f->ndests; d < f->nall; d++)
		if (prefix_equal(&f->dests[d].prefix, p))
			return d;
	return flow_find(f, p);
}

static void
note_whole(struct flow *f, uint32_t node)
{
	if (f->is_whole[node])
		return;
	f->is_whole[node] = true;
	f->whole[f->nwhole++] = node;
}

/* The port leads elsewhere now, or nowhere. */
static void
read_wire(struct flow *f, uint32_t node, uint32_t port)
{
	size_t at = node * f->width + port;
	uint32_t ifindex = 0, far = world_far(f->w, world_node_at(f->w, node), port + 1, &ifindex);
	size_t into = far == TOPO_NONE || ifindex > f->width ? SIZE_MAX : far * f->width + ifindex - 1;

	if (far == f->far[at] && into == f->into[at])
		return;
	for (size_t d = 0; d < f->nall; d++)
		if (has(ports_of(f, d, node), port))
			count_above(f, d, node, port, -1);
	if (f->into[at] != SIZE_MAX && f->from[f->into[at]] == at)
		f->from[f->into[at]] = SIZE_MAX;
	f->far[at] = far;
	f->into[at] = into;
	if (into != SIZE_MAX)
		f->from[into] = at;
	for (size_t d = 0; d < f->nall; d++)
		if (has(ports_of(f, d, node), port)) {
			count_above(f, d, node, port, 1);
			look_for_valley(f, d, node);
			push(f, d, node);
		}
	note_whole(f, node); /* its next hops may be astray now, or no more */
}

static void
after(void *arg)
{
	struct flow *f = arg;

	for (size_t i = 0; i < f->nwires; i++)
		read_wire(f, (uint32_t)(f->wires[i] / f->width), (uint32_t)(f->wires[i] % f->width));
	f->nwires = 0;
	for (uint32_t i = 0; i < f->nwhole; i++) {
		f->is_whole[f->whole[i]] = false;
		for (size_t d = 0; d < f->nall; d++)
			read_dest(f, d, f->whole[i]);
	}
	f->nwhole = 0;
	for (size_t i = 0; i < f->ndirty; i++) {
		f->state[f->dirty[i]] &= (uint8_t)~DIRTY;
		read_dest(f, f->dirty[i] / f->n, (uint32_t)(f->dirty[i] % f->n));
	}
	f->ndirty = 0;
	spread(f);
	if (f->telling)
		f->ops.after(f->arg);
}

/* ---- noting ---- */

size_t
flow_find(const struct flow *f, const struct prefix *p)
{
	size_t lo = 0, hi = f->ndests;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = prefix_cmp(&f->dests[mid].prefix, p);

		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return SIZE_MAX;
}

/* A prefix that is no destination may cover some: a default route, or a cover route of all. */
static void
note_fib(void *arg, struct world_node *wn, const struct prefix *p)
{
	struct flow *f = arg;
	uint32_t node = wn->topo->index;
	size_t d = p ? find_any(f, p) : SIZE_MAX, at = d * f->n + node;

	if (d == SIZE_MAX) {
		note_whole(f, node);
	} else if (!(f->state[at] & DIRTY)) {
		f->state[at] |= DIRTY;
		f->dirty = mem_grow(NULL, MEM_OTHER, f->dirty, &f->cap_dirty, f->ndirty + 1, sizeof(*f->dirty));
		f->dirty[f->ndirty++] = at;
	}
}

static void
note_wire(void *arg, struct world_node *wn, uint32_t ifindex)
{
	struct flow *f = arg;

	if (ifindex > f->width)
		return;
	f->wires = mem_grow(NULL, MEM_OTHER, f->wires, &f->cap_wires, f->nwires + 1, sizeof(*f->wires));
	f->wires[f->nwires++] = wn->topo->index * f->width + ifindex - 1;
}

/* ---- life ---- */

static int
by_prefix(const void *a, const void *b)
{
	return prefix_cmp(&((const struct flow_dest *)a)->prefix, &((const struct flow_dest *)b)->prefix);
}

/* An address of the rack that its switch has: the gateway, or that of the first port where hosts hang on routed ports. */
static struct ip
rack_probe(const struct topo *t, const struct topo_node *n, int family)
{
	struct prefix net;

	for (uint32_t k = 0; k < n->nports; k++)
		if (topo_host_network(t, n, &n->ports[k], (unsigned int)family, &net))
			return node_rack_gateway(&net);
	return node_rack_gateway(&n->rack[family]);
}

static void
fill_dests(struct flow *f)
{
	f->dests = zalloc((f->n + 1) * FAMILIES * 2, sizeof(*f->dests));
	for (uint32_t i = 0; i < f->n; i++)
		for (int v = 0; v < FAMILIES; v++) {
			const struct topo_node *t = &f->t->nodes[i];

			if (t->has_loopback[v])
				f->dests[f->ndests++] = (struct flow_dest){ t->loopback[v],
					prefix_addr(&t->loopback[v]), i };
			if (t->has_rack[v])
				f->dests[f->ndests++] = (struct flow_dest){ t->rack[v], rack_probe(f->t, t, v), i };
		}
	qsort(f->dests, f->ndests, sizeof(*f->dests), by_prefix);
	f->nall = f->ndests;
	for (int v = 0; v < FAMILIES && world_config(f->w)->outside; v++)
		f->dests[f->nall++] = (struct flow_dest){ { .family = (uint8_t)v }, outside_probe((enum family)v),
			TOPO_NONE };
}

static size_t
widest(const struct topo *t)
{
	size_t most = 1;

	for (size_t i = 0; i < t->nnodes; i++)
		for (size_t k = 0; k < t->nodes[i].nports; k++)
			if (t->nodes[i].ports[k].kind == TOPO_UP || t->nodes[i].ports[k].kind == TOPO_DOWN)
				most = MAX_OF(most, k + 1);
	return most;
}

struct flow *
flow_new(struct world *w, const struct flow_ops *ops, void *arg)
{
	static const struct world_observer see = { .fib = note_fib, .wire = note_wire, .after = after };
	struct flow *f = zalloc(1, sizeof(*f));

	f->w = w;
	f->t = world_topo(w);
	f->ops = *ops;
	f->arg = arg;
	f->n = f->t->nnodes;
	f->words = (widest(f->t) + 63) / 64;
	f->width = f->words * 64;
	fill_dests(f);
	f->ports = zalloc(f->nall * f->n * f->words, sizeof(*f->ports));
	f->state = zalloc(f->nall * f->n, sizeof(*f->state));
	f->above = zalloc(f->nall * f->n, sizeof(*f->above));
	f->far = zalloc(f->n * f->width, sizeof(*f->far));
	f->from = zalloc(f->n * f->width, sizeof(*f->from));
	f->into = zalloc(f->n * f->width, sizeof(*f->into));
	f->scratch = zalloc(f->words, sizeof(*f->scratch));
	f->whole = zalloc(f->n, sizeof(*f->whole));
	f->is_whole = zalloc(f->n, sizeof(*f->is_whole));
	for (size_t i = 0; i < f->n * f->width; i++) {
		f->far[i] = TOPO_NONE;
		f->from[i] = f->into[i] = SIZE_MAX;
	}
	world_observe(w, &see, f);
	for (uint32_t i = 0; i < f->n; i++) {
		note_whole(f, i);
		for (uint32_t k = 0; k < MIN_OF(f->width, f->t->nodes[i].nports); k++)
			note_wire(f, world_node_at(w, i), k + 1);
	}
	after(f);
	f->telling = true;
	return f;
}

void
flow_free(struct flow *f)
{
	if (!f)
		return;
	world_observe(f->w, NULL, NULL);
	mem_free(NULL, MEM_OTHER, f->dests);
	mem_free(NULL, MEM_OTHER, f->ports);
	mem_free(NULL, MEM_OTHER, f->state);
	mem_free(NULL, MEM_OTHER, f->above);
	mem_free(NULL, MEM_OTHER, f->far);
	mem_free(NULL, MEM_OTHER, f->from);
	mem_free(NULL, MEM_OTHER, f->into);
	mem_free(NULL, MEM_OTHER, f->scratch);
	mem_free(NULL, MEM_OTHER, f->dirty);
	mem_free(NULL, MEM_OTHER, f->whole);
	mem_free(NULL, MEM_OTHER, f->is_whole);
	mem_free(NULL, MEM_OTHER, f->wires);
	mem_free(NULL, MEM_OTHER, f->queue);
	mem_free(NULL, MEM_OTHER, f);
}

/* ---- views ---- */

size_t
flow_dests(const struct flow *f)
{
	return f->ndests;
}

size_t
flow_all(const struct flow *f)
{
	return f->nall;
}

const struct flow_dest *
flow_dest(const struct flow *f, size_t dest)
{
	return &f->dests[dest];
}

size_t
flow_words(const struct flow *f)
{
	return f->words;
}

const uint64_t *
flow_ports(const struct flow *f, size_t dest, uint32_t node)
{
	return ports_of(f, dest, node);
}

bool
flow_good(const struct flow *f, size_t dest, uint32_t node)
{
	return f->state[dest * f->n + node] & GOOD;
}

uint32_t
flow_from_above(const struct flow *f, size_t dest, uint32_t node)
{
	for (size_t k = 0; k < f->width; k++) {
		size_t from = f->from[node * f->width + k];
		uint32_t up = (uint32_t)(from / f->width);

		if (from != SIZE_MAX && level(f, up) > level(f, node) && has(ports_of(f, dest, up), from % f->width))
			return up;
	}
	return TOPO_NONE;
}

char *
flow_print(const struct flow *f, uint32_t node, const uint64_t *ports, char *buf, size_t size)
{
	size_t at = 0, k = next_port(f, ports, 0);

	snprintf(buf, size, "%s", k == SIZE_MAX ? "nothing" : "");
	for (; k != SIZE_MAX && at < size; k = next_port(f, ports, k + 1))
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", f->t->nodes[node].ports[k].name);
	return buf;
}

/* ---- load ---- */

/* Spreads what is at each node over its ports, nodes in an order in which all senders come first. */
static double
load_dest(
    const struct flow *f, size_t dest, const bool *sends, double *load, double *at, uint32_t *wait, uint32_t *todo)
{
	size_t n = 0, done = 0;
	double lost = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		at[i] = sends[i] && i != f->dests[dest].owner;
		wait[i] = 0;
	}
	for (uint32_t i = 0; i < f->n; i++)
		for (size_t k = next_port(f, ports_of(f, dest, i), 0); k != SIZE_MAX;
		     k = next_port(f, ports_of(f, dest, i), k + 1))
			if (f->far[i * f->width + k] != TOPO_NONE)
				wait[f->far[i * f->width + k]]++;
	for (uint32_t i = 0; i < f->n; i++)
		if (!wait[i])
			todo[n++] = i;
	for (; done < n; done++) {
		uint32_t i = todo[done];
		const uint64_t *ports = ports_of(f, dest, i);
		double share = 0;

		for (size_t w = 0; w < f->words; w++)
			share += __builtin_popcountll(ports[w]);
		if (share == 0 && !(f->state[dest * f->n + i] & HERE))
			lost += at[i];
		for (size_t k = next_port(f, ports, 0); k != SIZE_MAX; k = next_port(f, ports, k + 1)) {
			uint32_t far = f->far[i * f->width + k];

			load[i * f->width + k] += at[i] / share;
			if (far == TOPO_NONE) {
				lost += at[i] / share;
				continue;
			}
			at[far] += at[i] / share;
			if (--wait[far] == 0)
				todo[n++] = far;
		}
	}
	return lost;
}

double
flow_load(const struct flow *f, enum family family, double *load)
{
	bool *sends = zalloc(f->n, sizeof(*sends)), racks = false;
	double *at = zalloc(f->n, sizeof(*at)), lost = 0;
	uint32_t *wait = zalloc(f->n, sizeof(*wait)), *todo = zalloc(f->n, sizeof(*todo));

	for (uint32_t i = 0; i < f->n; i++)
		racks |= sends[i] = f->t->nodes[i].has_rack[family] && world_node_at(f->w, i)->platform;
	for (uint32_t i = 0; i < f->n && !racks; i++)
		sends[i] = f->t->nodes[i].has_loopback[family] && world_node_at(f->w, i)->platform;
	for (size_t d = 0; d < f->ndests; d++) {
		const struct topo_node *o = &f->t->nodes[f->dests[d].owner];

		if (f->dests[d].prefix.family != family || !sends[f->dests[d].owner])
			continue;
		if (prefix_equal(&f->dests[d].prefix, racks ? &o->rack[family] : &o->loopback[family]))
			lost += load_dest(f, d, sends, load, at, wait, todo);
	}
	mem_free(NULL, MEM_OTHER, sends);
	mem_free(NULL, MEM_OTHER, at);
	mem_free(NULL, MEM_OTHER, wait);
	mem_free(NULL, MEM_OTHER, todo);
	return lost;
}
