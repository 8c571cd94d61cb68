/*
 * fabricd/sim/outside.h -- who is at the other end of the file's external sessions: a router of another operator
 *
 * It is the same code as every switch (struct node), with a small topology file of its own in which it is the border
 * and the fabric is its external peer. It announces a default route, and as many prefixes as are asked for.
 */
#ifndef FABRICD_SIM_OUTSIDE_H
#define FABRICD_SIM_OUTSIDE_H

#include "topology/topology.h"

#define OUTSIDE_PORT "eth1"

/* An address that is nowhere in a fabric: only the default route of the same family leads there. */
struct ip outside_probe(enum family);
/* The file of the router at the other end of a session; NULL with a sentence in err. topo_free() it. */
struct topo *outside_topo(
    const struct topo *, const struct topo_external *, uint32_t prefixes, uint32_t number, char *err, size_t errlen);

#endif
