/* fabricd/rib/rib_impl.h -- what the files of the RIB share: rib.c (comes in), cut.c, run.c (follows), view.c */
#ifndef FABRICD_RIB_RIB_IMPL_H
#define FABRICD_RIB_RIB_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/lib/buckets.h"
#include "fabricd/rib/rib.h"
#include "fabricd/rib/table.h"

#define RIB_EXPORT_BATCH 1024 /* changes handed over at once */

enum stage {
	STAGE_IDLE,
	STAGE_CUTS,
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
	bool ended;    /* what is still in doubt is withdrawn, from entry `at` on */
	uint32_t at;
	struct refresh *next;
};

/* What neighbours are taken to have lost, see cut.c. */
struct rib_cut;
struct rib_cuts {
	struct rib_cut *first;
	struct buckets found; /* by source and fate */
	size_t fresh;         /* not applied to the hop sets yet */
	uint32_t number;
	bool again; /* one was called off: lists may get hops back */
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
	struct rib_source **sources; /* by index, NULL: free; the first is none */
	size_t nsources, cap_sources;
	struct refresh *refreshes;
	struct rib_source **leaving; /* to be taken out of all lists behind `purge_at` */
	size_t nleaving, cap_leaving;
	uint32_t purge_at;
	bool refresh_ended; /* of some refresh, prefixes are still to be withdrawn */

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
	struct mono began; /* the run at hand */
	struct rib_cuts cuts;
	bool witness_lost; /* some witness may be lost, which is told before anything else */
	struct rib_counts counts;
};

/* NULL: nothing was ever announced there. */
struct rib_table *rib_table_of(const struct rib *, uint32_t id, enum family);

/* Sources that are down, refreshes that have ended: takes `work` steps of what is left to do; true: there is more. */
bool rib_clear(struct rib *, size_t work);
static inline bool
rib_clearing(const struct rib *r)
{
	return r->nleaving || r->refresh_ended;
}

/* What a prefix holds; counters and references move together. */
void rib_set_list(struct rib *, struct rib_entry *, uint32_t id); /* takes over the caller's reference of id */
void rib_set_told(struct rib *, struct rib_entry *, uint32_t id);
void rib_set_fib(struct rib *, struct rib_entry *, uint32_t id);
/* Decides the list and chooses its hop set, if that was not done yet. */
void rib_decide(struct rib *, struct path_list *);
/* The same anew, for a list that was decided already; true: its hop set is another one now. */
bool rib_choose_hops(struct rib *, struct path_list *);
/* The set has lost a hop in place: its group follows with rib_run_groups(). */
void rib_want_group_change(struct rib *, struct hop_set *);

/* ---- cut.c ---- */

/* The source has withdrawn a witness of this fate; or announced one again; or is down. */
void rib_cut_begin(struct rib *, struct rib_source *, uint32_t fate);
void rib_cut_cancel(struct rib *, const struct rib_source *, uint32_t fate);
void rib_cuts_forget(struct rib *, const struct rib_source *);
void rib_cuts_free(struct rib *);
void rib_cuts_apply(struct rib *); /* the fresh ones, to all hop sets */
size_t rib_cuts_filter(
    struct rib *, struct hop *hops, size_t n);     /* leaves out what is cut; returns how many are left */
struct mono rib_cuts_deadline(const struct rib *); /* when one may end; never: there is none */
/* A run begins: ends what has lasted long enough; true: the hops of all lists are to be chosen anew. */
bool rib_cuts_run(struct rib *, struct mono now);
void rib_cuts_looked(struct rib *);           /* all lists have been: cuts that make none narrower end */
void rib_cuts_wait(struct rib *, int64_t us); /* so long nothing could come in */

#endif
