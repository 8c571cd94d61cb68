/*
 * fabricd/rib/hops.h -- hop sets: what a next-hop group is made for
 *
 * The equal-cost paths of a list, seen by the FIB: through which neighbour, with which weight, and with which fate. A
 * fate says how a prefix came through the fabric (attrs_view.fate): prefixes of equal fate are cut off together, so
 * they share a set, and a failure that touches them is one change of one group, whatever their number and however much
 * else their attributes differ. Sets are interned; a set is known by a small number, 0 is none.
 *
 * Always true: the hops of a set are ordered by their source's index, at most one per source. As with path lists, a
 * source that goes down is taken out of each set in place, and two sets may then be equal.
 */
#ifndef FABRICD_RIB_HOPS_H
#define FABRICD_RIB_HOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/lib/buckets.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"
#include "fabricd/lib/slots.h"

struct rib_source;

/* An interned next hop. */
struct rib_nexthop {
	uint32_t ifindex;
	struct ip gateway;
	uint32_t refs;
	struct bucket_item item;
};

struct hop {
	struct rib_source *source;
	struct rib_nexthop *nexthop;
	uint32_t fate;
	uint16_t weight;
};

struct hop_set {
	struct bucket_item item;
	uint32_t id;
	uint32_t refs;    /* path lists, prefixes and holders */
	uint32_t fib;     /* prefixes whose route in the FIB is on its group */
	uint32_t group;   /* handle of its group, 0: none */
	uint32_t move_to; /* during a run: where its prefixes went, and how many */
	uint32_t moved;
	uint32_t held; /* how many had moved when the run held them back last, 0: not held */
	struct mono held_first, held_until;
	bool group_dirty; /* its group does not have its members yet */
	bool mixed;       /* during a run: its prefixes went to several sets */
	bool in_place;    /* during a run: its group went on to move_to */
	bool holds;       /* during a run: the routes of those that moved wait for the others */
	bool receives;    /* during a run: it was given a group, whose prefixes follow */
	uint16_t n;
	struct hop hops[];
};

struct hop_sets;

struct hop_sets *hop_sets_new(struct mem *, uint64_t seed);
void hop_sets_free(struct hop_sets *); /* NULL is allowed */
/* NULL for 0. As path_list_get(), it stands here to be cheap. */
static inline struct hop_set *
hop_set_get(const struct hop_sets *t, uint32_t id)
{
	return slots_get((const struct slots *)(const void *)t, id);
}
/* All of them: the first behind id *at, which goes there, from 0 on; NULL: no more. */
struct hop_set *hop_sets_next(const struct hop_sets *, uint32_t *at);
size_t hop_sets_count(const struct hop_sets *);

/* The set of these hops, ordered by source; a new reference. 0 when n is 0. */
uint32_t hop_set_intern(struct hop_sets *, const struct hop *, size_t n);
void hop_set_ref(struct hop_sets *, uint32_t id);
void hop_set_unref(struct hop_sets *, uint32_t id);
bool hop_set_equals(const struct hop_set *, const struct hop *, size_t n); /* NULL: whether n is 0 */
/* Takes the source's hop out in place; false: it had none. The set may be left with no hop. */
bool hop_set_drop(struct hop_sets *, struct hop_set *, const struct rib_source *);

struct rib_nexthop *nexthop_ref(struct rib_nexthop *);
struct rib_nexthop *nexthop_intern(struct hop_sets *, uint32_t ifindex, const struct ip *gateway);
void nexthop_unref(struct hop_sets *, struct rib_nexthop *); /* NULL is allowed */

#endif
