/*
 * fabricd/link/damp.h -- damping of a link that flaps: a penalty that decays, as RFC 2439 has it for routes
 *
 *   each flap adds 1 -> penalty >= suppress -> kept out -> penalty <= suppress / 2 -> let in again
 *                                                      and, when it was kept out a short while ago, later each time
 *
 * Pure: a few numbers, and the time that is given. The penalty halves in each half-life; it never exceeds four times
 * `suppress`, so that a link that has become quiet is let in after three half-lives at the latest. A link that loses a
 * third of its packets is quiet while it is not used, and falls again as soon as it is: from the second time on it is kept
 * out for 2, 4, 8, then 12 half-lives, and from then on a single flap is enough, until it has been in use and without a
 * flap for 12 half-lives. So such a link changes routes twice a minute in the end.
 */
#ifndef FABRICD_LINK_DAMP_H
#define FABRICD_LINK_DAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/lib/mono.h"

#define DAMP_FLAP 1000 /* what one flap adds: penalties are told in thousandths */

struct damp_config {
	int64_t half_life_us; /* > 0 */
	uint32_t suppress;    /* flaps */
};

/* Zeroed is its start. */
struct damp {
	uint64_t penalty; /* at `at`, in thousandths */
	struct mono at;
	bool suppressed;
	uint64_t flaps, times; /* all that were counted; how often it was kept out */
	uint32_t row;          /* how often without a calm time between */
	struct mono released;  /* the last time */
};

/* True: it is kept out from now on. */
bool damp_flap(struct damp *, const struct damp_config *, struct mono now);
/* It is not kept out after all, as if damp_flap() had not said so. */
void damp_forgive(struct damp *);
/* True: it was kept out, and is let in from now on. */
bool damp_look(struct damp *, const struct damp_config *, struct mono now);

/* Numbers from elsewhere, cut to those that the functions above can come to. */
void damp_sane(struct damp *, const struct damp_config *, struct mono now);

uint64_t damp_penalty(const struct damp *, const struct damp_config *, struct mono now); /* in thousandths */
/* When damp_look() lets it in, if nothing more happens; MONO_NEVER: it is not kept out. */
struct mono damp_release(const struct damp *, const struct damp_config *);

#endif
