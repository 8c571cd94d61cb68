/*
 * fabricd/rib/path.h -- sources, next hops, paths, and path lists: the sets of paths that prefixes share
 *
 * A path list is the whole set of paths that the neighbours offer for a prefix. It is interned: all prefixes that are
 * offered by the same neighbours with the same attributes share one list. What the FIB makes of it is a hop set (hops.h). The
 * decision is made once per list, for all of its prefixes, of either family. A list is known by a small number, its id;
 * id 0 is the empty list.
 *
 * Always true: the paths of a list are ordered by their source's index, at most one per source. Two lists may become
 * equal when a source goes down (each loses its member in place, so that ids stay); lists that are made
 * new are never equal to one that exists.
 */
#ifndef FABRICD_RIB_PATH_H
#define FABRICD_RIB_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/slots.h"
#include "fabricd/rib/attrs.h"
#include "fabricd/rib/hops.h"

/* Where a path comes from, seen from this switch; the valley-free rule is made of these (architecture). */
enum rib_side { RIB_LOCAL, RIB_BELOW, RIB_HOST, RIB_EXTERNAL, RIB_ABOVE, RIB_SIDES };

const char *rib_side_name(enum rib_side);

/* One neighbour, or the switch itself. Owned by whoever registered it (rib_source_add). */
struct rib_source {
	uint16_t index; /* order within lists; given by the RIB */
	uint8_t side;   /* enum rib_side */
	bool up;
	bool leaving; /* it went down, and lists may hold paths of it that are not its any more */
	uint32_t asn;
	uint32_t router_id;       /* host order, as in the peer's OPEN */
	struct ip address;        /* the peer's address on the session */
	char name[32];            /* the port, for people */
	uint64_t paths[FAMILIES]; /* prefixes it offers now (all tables) */
	uint64_t withdrawn;       /* prefixes, one by one, since it was added */
	uint32_t cuts;            /* fates that it is taken to have lost */
	void *owner;
};

struct path {
	struct rib_source *source;
	struct attrs *attrs;
	struct rib_nexthop *nexthop; /* NULL: a local path, not for the FIB */
};

struct path_list {
	struct bucket_item item;
	uint32_t id;
	uint32_t serial; /* never used again, unlike the id; changes when the content does */
	uint32_t refs;   /* prefixes whose current list this is, and holders; 0 and it is freed */
	uint32_t now;    /* prefixes whose current list this is */
	uint32_t told;   /* prefixes whose exporter was told this list last */
	uint32_t hops;   /* id of the hop set of the decision, one reference; 0: none, or not for the FIB */
	uint32_t was;    /* id of a list of what this one was before a source went down, one reference; 0: unchanged */
	uint16_t n;
	uint16_t best;  /* index of the best path */
	uint16_t width; /* equal-cost paths, the best among them; 0: no usable path */
	uint8_t reason; /* enum tiebreak that made the best path best */
	bool decided;
	bool med;   /* some path has a MED; set with the decision */
	bool alike; /* what is left of a list all of whose paths shared the load: the decision knows most of it */
	struct path paths[];
};

/* ---- the decision (RFC 4271 9.1.2.2 for eBGP), in decision.c ---- */

/* In order. The ones before WHY_ROUTER_ID must be equal for two paths to share the load. */
enum tiebreak {
	WHY_ONLY,
	WHY_UNUSABLE,
	WHY_STALE,
	WHY_LOCAL_PREF,
	WHY_LOCAL,
	WHY_AS_PATH,
	WHY_ORIGIN,
	WHY_MED,
	WHY_SIDE,
	WHY_ROUTER_ID,
	WHY_ADDRESS,
	TIEBREAKS,
};

const char *tiebreak_text(enum tiebreak);
/* Whether a path may be used at all. */
bool path_usable(const struct path *);
/* < 0: a is better, > 0: b is better, 0: equal in all; *why is the step that told. */
int path_compare(const struct path *a, const struct path *b, enum tiebreak *why);
/* Whether the path shares the load with the best of a list that was decided. */
bool path_is_multipath(const struct path_list *, size_t i);
/* Fills best, width, reason. max_width: the most equal-cost paths that are used. */
void path_list_decide(struct path_list *, unsigned int max_width);

/* ---- the table of lists, in path.c ---- */

struct path_lists;

struct path_lists *path_lists_new(struct mem *, uint64_t seed, struct attrs_table *);
void path_lists_free(struct path_lists *);
/* NULL for 0. The run asks this ten times for each prefix: so it stands here, and the table begins with its slots. */
static inline struct path_list *
path_list_get(const struct path_lists *t, uint32_t id)
{
	return slots_get((const struct slots *)(const void *)t, id);
}
uint32_t path_lists_limit(const struct path_lists *); /* ids are below this */
/* All of them: the first behind id *at, which goes there, from 0 on; NULL: no more. */
struct path_list *path_lists_next(const struct path_lists *, uint32_t *at);
size_t path_lists_count(const struct path_lists *);

/*
 * The list `from` with the path of `source` replaced by p, or removed (p NULL). A new reference. 0: empty. The caller
 * holds a reference of p->attrs of its own.
 */
uint32_t path_list_with(struct path_lists *, uint32_t from, struct rib_source *source, const struct path *p);
void path_list_ref(struct path_lists *, uint32_t id);
void path_list_unref(struct path_lists *, uint32_t id);
/* Takes the source's path out of the list in place; its id stays. The list may be left with no path. */
void path_list_drop(struct path_lists *, struct path_list *, const struct rib_source *);
/* A list of its own with the best path alone (what peers may know of a list), found by nobody; a new reference. */
uint32_t path_list_snapshot(struct path_lists *, const struct path_list *);
const struct path *path_list_find(const struct path_list *, const struct rib_source *);

/* The hop sets that the lists refer to; they live as long as the lists. */
struct hop_sets *path_lists_hops(const struct path_lists *);
/*
 * The hops of a list that was decided: its best path and those that share the load, at most max. Returns how many. With
 * weights: those of their link bandwidths, if all have one.
 */
size_t path_list_hops(const struct path_list *, bool weights, struct hop *out, size_t max);

#endif
