/*
 * fabricd/sim/chaos.h -- random faults from a seed, and the shortest list of them that still shows a violation
 */
#ifndef FABRICD_SIM_CHAOS_H
#define FABRICD_SIM_CHAOS_H

#include "fabricd/sim/scenario.h"

struct chaos_config {
	const struct topo *topo;
	uint64_t seed;
	uint32_t events;   /* faults */
	int64_t us;        /* virtual time in which they come */
	bool bfd, outside; /* as in struct scenario, as is feed; the faults are the same */
	uint32_t feed;
	int64_t cpu_us;
};

/* A scenario of random faults; scenario_done() it. The same configuration gives the same list everywhere. */
void chaos_make(const struct chaos_config *, struct scenario *out);
void scenario_done(struct scenario *);

/*
 * Takes away faults as long as a violation of the same kind is left: halves, quarters ... single ones, then what can be
 * moved to the beginning. Runs the scenario up to `runs` times. out: as found then; *sc is changed.
 */
void chaos_shrink(struct scenario *sc, struct outcome *out, uint32_t runs);

#endif
