/*
 * fabricd/sim/oracle.h -- what a fabric ought to do, by a plain graph search
 *
 * Given the file's graph and what of it works, the shortest valley-free paths from every switch to one of them: which
 * ports a packet may take at each, and how far it is. Knows nothing of BGP, RIBs or policies, and includes only
 * fabricd/lib and topology, so that it cannot repeat their mistakes. Switches that share an AS number do not take from
 * above what one of them has told (RFC 4271, 9.1.2; RFC 7938, 5.2.1): to the search such a path is none.
 */
#ifndef FABRICD_SIM_ORACLE_H
#define FABRICD_SIM_ORACLE_H

#include "topology/topology.h"

#define ORACLE_FAR UINT32_MAX

/* A set of ports, by their place in topo_node.ports; `words` is the same for all nodes of an oracle. */
struct oracle {
	const struct topo *topo;
	size_t words;
	struct oracle_link {
		uint32_t port[2];        /* place of the lower, of the upper end in its node's ports */
	} * links;                       /* as topo.links */
	struct oracle_way {              /* a wired port */
		uint32_t port, far, end; /* place in topo_node.ports; node; as in oracle_graph.ends */
	} * ways;                        /* of each node: those up, then those down */
	uint32_t *first;                 /* [2 x node]: of its ways up, of its ways down; with one more at the end */
	uint32_t *order;                 /* nodes by level, lowest first */
	uint32_t *crew;                  /* of each node: the lowest index of those with its AS number */
	uint32_t *below;                 /* scratch: distance by paths that only go down */
	uint32_t *above;                 /* scratch, by crew: how many of it are above the owner */
	uint64_t *ports;                 /* scratch: a set of ports */
};

/*
 * What works; false: as if it were not there. An end of a link works when packets from it get to the node at the file's
 * other end: where links run in parallel, and their cables are crossed, one end may work without the other.
 */
struct oracle_graph {
	const bool *ends;  /* [link x 2]: of the lower, of the upper node of topo.links */
	const bool *nodes; /* as topo.nodes */
};

struct oracle_paths {
	uint32_t *distance; /* of each node, in links; ORACLE_FAR: by no valley-free path */
	uint64_t *ports;    /* nnodes x words: the ports that begin a shortest path */
};

void oracle_init(struct oracle *, const struct topo *);
void oracle_done(struct oracle *);
void oracle_paths_init(const struct oracle *, struct oracle_paths *);
void oracle_paths_done(struct oracle_paths *);
/* All shortest valley-free paths to `owner` that no shared AS number bars. */
void oracle_search(const struct oracle *, const struct oracle_graph *, uint32_t owner, struct oracle_paths *);
/*
 * Numbers the parts into which what works falls, valleys or not: two switches of one part that are ORACLE_FAR from each
 * other are isolated by design, two of different parts are partitioned. What does not work is a part of its own.
 */
void oracle_parts(const struct oracle *, const struct oracle_graph *, uint32_t *part);

#endif
