/* fabricd/sim/check_impl.h -- what the files of the checks share: check.c (at every event), quiet.c (when quiet) */
#ifndef FABRICD_SIM_CHECK_IMPL_H
#define FABRICD_SIM_CHECK_IMPL_H

#include "fabricd/sim/check.h"

/* A node or a link: does it work, since when, and is it counted on. */
struct check_part {
	bool works, sure;
	struct mono since;
};

struct check_doubt {
	size_t dest;
	uint32_t node;
	struct mono since;
};

struct check {
	struct world *w;
	const struct topo *t;
	struct check_config cfg;
	struct flow *flow;
	struct oracle oracle;
	size_t n, words;
	uint64_t *scratch;
	struct check_part *nodes, *links;
	bool *node_sure, *link_sure;
	struct mono *slow_until; /* by node */
	int64_t slow_us;         /* how long a slow node may hold up others */
	struct mono next_sure;   /* when something that works is counted on next */
	bool skip_read_back;
	struct oracle_paths *paths; /* by owner */
	struct mono *bad_since;     /* [dest][node]; 0: not bad */
	size_t nbad;
	struct mono deadline;
	struct check_doubt *doubts;
	size_t ndoubts, cap_doubts;
	struct check_violation violation;
	struct check_stats stats;
};

struct mono check_now(const struct check *);
void check_fail(struct check *, enum check_kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
