/*
 * fabricd/sim/flow.h -- where packets go, for every destination, kept up to date while a world runs
 *
 * A destination is a loopback or a rack of a switch; and, where there are routers outside, the world outside: what only a
 * default route leads to, once for each family, behind all others and without an owner. For each, the modelled forwarding planes make a graph: at each
 * switch the ports that a packet may take. It is read anew only where a forwarding plane or a wire has changed, after
 * the event in which it did.
 */
#ifndef FABRICD_SIM_FLOW_H
#define FABRICD_SIM_FLOW_H

#include "fabricd/sim/world.h"

struct flow;

struct flow_dest {
	struct prefix prefix;
	struct ip probe; /* an address of it, which its owner has */
	uint32_t owner;  /* index in topo.nodes; TOPO_NONE: the world outside */
};

struct flow_ops {
	/* The ports that packets to a destination take at a node; sets of flow_words() words. */
	void (*changed)(void *arg, size_t dest, uint32_t node, const uint64_t *was, const uint64_t *now);
	/* Whether every packet to it, whatever path its hash takes, arrives. */
	void (*good)(void *arg, size_t dest, uint32_t node, bool good);
	/* A packet goes up again after having gone down, at this node, or leaves the fabric there. */
	void (*valley)(void *arg, size_t dest, uint32_t node);
	void (*leaves)(void *arg, size_t dest, uint32_t node, const char *how);
	void (*after)(void *arg); /* all changes of an event were told */
};

/* Takes the place of the world's observer, and reads all that is there; nothing is told of that. */
struct flow *flow_new(struct world *, const struct flow_ops *, void *arg);
void flow_free(struct flow *); /* NULL is allowed */

size_t flow_dests(const struct flow *); /* those of the fabric */
size_t flow_all(const struct flow *);   /* and the world outside */
const struct flow_dest *flow_dest(const struct flow *, size_t dest);
/* Which destination of the fabric a prefix is; SIZE_MAX: none. */
size_t flow_find(const struct flow *, const struct prefix *);
size_t flow_words(const struct flow *);
const uint64_t *flow_ports(const struct flow *, size_t dest, uint32_t node);
bool flow_good(const struct flow *, size_t dest, uint32_t node);
/* A node from above that sends packets of dest to this one; TOPO_NONE. */
uint32_t flow_from_above(const struct flow *, size_t dest, uint32_t node);

/* "eth1, eth2" */
char *flow_print(const struct flow *, uint32_t node, const uint64_t *ports, char *buf, size_t size);

/*
 * How much each port carries when every owner of a destination of `family` (racks, or loopbacks where there are none)
 * sends one unit to every other; load is nnodes x flow_words() x 64, zeroed by the caller. Returns what is lost.
 */
double flow_load(const struct flow *, enum family, double *load);

#endif
