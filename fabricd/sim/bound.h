/*
 * fabricd/sim/bound.h -- until when a switch may be lost to another, from the faults that can have a part in it
 *
 * Each fault concerns the pairs of switches that have what it touched on a valley-free path of the file's graph between
 * them, whether they use it now or not; only these may be lost, and for no longer than that fault allows.
 */
#ifndef FABRICD_SIM_BOUND_H
#define FABRICD_SIM_BOUND_H

#include "fabricd/lib/mono.h"
#include "topology/topology.h"

struct bound;

/* What a fault touches. */
struct place {
	uint32_t link; /* as topo.links; TOPO_NONE: a whole node */
	uint32_t node;
};

struct bound *bound_new(const struct topo *, struct mono now);
void bound_free(struct bound *); /* NULL is allowed */

bool bound_concerns(const struct bound *, const struct place *, uint32_t from, uint32_t to);
/* The nodes from which the way to `to` is concerned by any of the places: a set of bound_words() words. */
size_t bound_words(const struct bound *);
void bound_concerned(const struct bound *, const struct place *, size_t n, uint32_t to, uint64_t *from);
/* Until when `from` may be lost to `to`. */
struct mono bound_of(const struct bound *, uint32_t from, uint32_t to);
/* Makes it later, never sooner. */
void bound_raise(struct bound *, uint32_t from, uint32_t to, struct mono until);

#endif
