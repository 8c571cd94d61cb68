/* fabricd/rib/rib_impl.h -- what the files of the RIB share: rib.c (what comes in), run.c (what follows), view.c */
#ifndef FABRICD_RIB_RIB_IMPL_H
#define FABRICD_RIB_RIB_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/rib/rib.h"
#include "fabricd/rib/table.h"

#define RIB_EXPORT_BATCH 1024 /* changes handed over at once */

enum stage {
	STAGE_IDLE,
	STAGE_SWEEP,
	STAGE_FORGET,
	STAGE_COUNT,
	STAGE_GROUPS,
	STAGE_LOST,
	STAGE_FIB,
	STAGE_SETTLE,
	STAGE_EXPORT,
};

struct refresh {
	struct rib_source *source;
	struct rib_table *table;
	uint8_t *stale; /* a bit per entry */
	uint32_t limit;
	uint64_t left; /* paths of the source among those */
	struct refresh *next;
};

struct rib {
	struct rib_config cfg;
	const struct rib_ops *ops;
	void *arg;
	struct attrs_table *attrs;
	struct path_lists *lists;
	struct hop_sets *hops;     /* those of the lists */
	struct rib_table **tables; /* two (one a family) for each table id */
	size_t ntables, cap_tables;
	struct rib_source *sources[RIB_MAX_SOURCES];
	struct refresh *refreshes;

	enum stage stage;
	size_t at_table;
	uint32_t at;       /* cursor within the stage's table, or among lists */
	bool sweep_wanted; /* some list has `was`, or lost its last path */
	uint32_t *touched; /* hop sets that prefixes left in this run */
	size_t ntouched, cap_touched;
	uint32_t *group_dirty; /* hop sets whose group waits for its new members */
	size_t ngroup_dirty, cap_group_dirty;
	struct hop *scratch;
	struct rib_member *members; /* scratch */
	struct rib_change *changes; /* scratch */
	struct mono held_until;
	struct rib_counts counts;
};

/* NULL: nothing was ever announced there. */
struct rib_table *rib_table_of(const struct rib *, uint32_t id, enum family);

/* What a prefix holds; counters and references move together. */
void rib_set_list(struct rib *, struct rib_entry *, uint32_t id); /* takes over the caller's reference of id */
void rib_set_told(struct rib *, struct rib_entry *, uint32_t id);
void rib_set_fib(struct rib *, struct rib_entry *, uint32_t id);
/* Decides the list and chooses its hop set, if that was not done yet. */
void rib_decide(struct rib *, struct path_list *);

#endif
