/*
 * fabricd/rib/rib.h -- the routing tables of one switch
 *
 *   rib_announce(), rib_withdraw() -> a prefix moves from one path list to another, and is dirty
 *   rib_run(): dirty prefixes -> decision, once per list -> hop sets -> groups -> routes -> export
 *
 * The RIB knows sources, not sessions; it writes to the FIB and to the exporter by the functions it was given. Work
 * is done in runs over all that is dirty; a run is cut in slices, and between them nothing may be announced
 * (rib_running says so; callers leave input unread until it is false). A run begins when the lists are clear of sources
 * that went down and of what a refresh left; until then an announcement is harmless, but that of a source which is back
 * already waits for all of it.
 *
 * A group belongs to a hop set (hops.h). It is changed in place only when, at the end of a batch, no prefix refers to
 * its old set any more; otherwise the prefixes that moved are rewritten. A source that goes down is taken out of every
 * set at once: one group change per set, whatever the number of prefixes; their export follows in a sweep.
 *
 * What is not here: which routes are accepted (fabricd/policy), who is told (fabricd/bgp/export).
 */
#ifndef FABRICD_RIB_RIB_H
#define FABRICD_RIB_RIB_H

#include "fabricd/lib/mono.h"
#include "fabricd/rib/path.h"

#define RIB_MAIN_TABLE  0
#define RIB_MAX_SOURCES 4096
#define RIB_MAX_WIDTH   512

struct rib;

struct rib_member {
	uint32_t ifindex;
	struct ip gateway;
	uint16_t weight;
};

/* A change of what is best for a prefix, as the exporter sees it. was, now: lists, NULL: nothing to tell. */
struct rib_change {
	struct prefix prefix;
	uint32_t entry; /* index of the prefix in its table and family; stable while either list is not NULL */
	const struct path_list *was, *now;
};

struct rib_ops {
	/* The FIB. A group handle is never 0. */
	uint32_t (*group_new)(void *arg, const struct rib_member *, size_t n);
	void (*group_change)(void *arg, uint32_t group, const struct rib_member *, size_t n);
	void (*group_free)(void *arg, uint32_t group);
	void (*route_set)(void *arg, uint32_t table, const struct prefix *, uint32_t group);
	void (*route_del)(void *arg, uint32_t table, const struct prefix *);
	/* The exporter, with all changes of one slice of one family. */
	void (*changed)(void *arg, uint32_t table, enum family, const struct rib_change *, size_t n);
	/* Whether the exporter can take more now; NULL: always. When not, the run waits. */
	bool (*export_ready)(void *arg);
	struct mono (*now)(void *arg);
	/* route_set() follows for most of these, of one family: a hint to bring them into the cache. May be NULL. */
	void (*routes_soon)(void *arg, uint32_t table, const struct prefix *, size_t n);
};

struct rib_config {
	struct mem *mem;
	uint64_t seed;
	unsigned int max_width; /* 0: RIB_MAX_WIDTH */
	bool wait_fib;          /* new reachability is told only after rib_fib_result() */
	bool no_fib;            /* no groups and no routes are made: a route server, or a measurement of tables alone */
	bool weights;           /* link bandwidth weights the members of a group */
	int64_t slice_us;       /* 0: 2 ms */
};

struct rib *rib_new(const struct rib_config *, const struct rib_ops *, void *arg);
void rib_free(struct rib *); /* leaves the FIB as it is; its sources may be gone already */

struct attrs_table *rib_attrs(struct rib *);
struct path_lists *rib_lists(struct rib *);
struct hop_sets *rib_hops(struct rib *);

/* Registers a source and gives it its index; -ENOSPC beyond RIB_MAX_SOURCES. The caller owns *s until
 * rib_source_remove(). */
int rib_source_add(struct rib *, struct rib_source *s);
/* Only while nothing is pending: lists that peers were told may name it until then. */
void rib_source_remove(struct rib *, struct rib_source *s);
void rib_source_up(struct rib *, struct rib_source *s);
/*
 * All of its paths are gone, and their hops leave all groups, now. The lists shrink in place, as the first thing that
 * rib_run() does, in slices: work for each list, none for each prefix. May come between slices.
 */
void rib_source_down(struct rib *, struct rib_source *s);

/* attrs and nexthop are only borrowed: of both the caller holds a reference of its own. nexthop NULL: a local path. */
void rib_announce(struct rib *, uint32_t table, struct rib_source *, const struct prefix *, struct attrs *,
    struct rib_nexthop *nexthop);
/*
 * A prefix that was announced is the loopback of the switch that all of its fate comes from (policy_is_witness()): when a
 * source withdraws the last witness of a fate, its hop is taken out of all groups of that fate at once, as long as
 * others remain; and the loss of a witness is told before all other changes.
 */
void rib_witness(struct rib *, uint32_t table, const struct prefix *);
/*
 * The prefixes that will be announced or withdrawn next, all of one family: hides the time that memory takes. _slots:
 * the first half of it, which waits for nothing; for when there is something else to do before the rest.
 */
void rib_prefetch(const struct rib *, uint32_t table, const struct prefix *, size_t n);
void rib_prefetch_slots(const struct rib *, uint32_t table, const struct prefix *, size_t n);
void rib_withdraw(struct rib *, uint32_t table, struct rib_source *, const struct prefix *);
/*
 * For route refresh: paths of the source that were not announced again since begin are withdrawn at end (RFC 7313), in
 * slices, as the first thing that rib_run() does; also when another one begins meanwhile.
 */
void rib_refresh_begin(struct rib *, struct rib_source *, enum family);
void rib_refresh_end(struct rib *, struct rib_source *, enum family);
/* Paths of the source that are in doubt between begin and end (all tables); 0 outside of that. */
uint64_t rib_refresh_left(const struct rib *, const struct rib_source *, enum family);

/* What became of a route in the FIB. */
void rib_fib_result(struct rib *, uint32_t table, const struct prefix *, bool installed);

bool rib_pending(const struct rib *);  /* something waits for a run */
bool rib_running(const struct rib *);  /* a run is between two slices, or what was is not cleared yet */
size_t rib_dirty(const struct rib *);  /* prefixes that wait */
size_t rib_in_run(const struct rib *); /* and those of the run that is under way */
/*
 * When a part of the prefixes of a hop set moved, their routes are held back for a few milliseconds, since the others
 * are probably on their way and then one group change does for all. Until this time a run is of no use, unless
 * something was announced or withdrawn; a time that has passed when nothing is held.
 */
struct mono rib_held_until(const struct rib *);
/* One slice; true: there is more to do (or the exporter is not ready). */
bool rib_run(struct rib *);
/* One slice of its first part alone, after a source went down or a refresh ended; true: there is more of it to do. */
bool rib_run_clear(struct rib *);
/*
 * What must not wait for the run: group changes (a source went down, or has withdrawn a witness), then the loss of
 * witnesses to the exporter; true: it was told something. Also part of every run.
 */
bool rib_run_groups(struct rib *);
bool rib_urgent(const struct rib *); /* there is some of that */

/* ---- views ---- */

struct rib_view {
	struct prefix prefix;
	uint32_t table, entry;
	const struct path_list *list; /* all paths; NULL: none */
	const struct path_list *told; /* what the exporter was told last: of its paths, only the best is meant */
	uint32_t group;               /* in the FIB, 0: no route */
	bool fib_installed, fib_failed;
};

struct rib_counts {
	uint64_t prefixes[FAMILIES], paths[FAMILIES], fib_routes[FAMILIES];
	uint64_t lists, attrs, hop_sets, groups;
	uint64_t runs, prefixes_run, groups_in_place, groups_new, routes_rewritten;
};

bool rib_get(const struct rib *, uint32_t table, const struct prefix *, struct rib_view *);
/* Longest match that has a usable path. */
bool rib_match(const struct rib *, uint32_t table, const struct ip *, struct rib_view *);
/*
 * Walks a family in no order, resumable: *at starts at 0; false at the end. Prefixes that come or go meanwhile may or
 * may not be seen; the others are seen once.
 */
bool rib_next(const struct rib *, uint32_t table, enum family, uint32_t *at, struct rib_view *);
uint32_t rib_entries_limit(const struct rib *, uint32_t table, enum family); /* entry indices are below this */
void rib_counts(const struct rib *, struct rib_counts *);
/* The next hops of a list that was decided; returns how many, at most max. */
size_t rib_members(const struct rib *, const struct path_list *, struct rib_member *, size_t max);

#endif
