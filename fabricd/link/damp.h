/*
 * fabricd/link/damp.h -- damping of a link that flaps: a penalty that decays, as RFC 2439 has it for routes
 *
 *   each flap adds 1 -> penalty >= suppress -> kept out -> penalty <= suppress / 2 -> let in again
 *
 * Pure: a few numbers, and the time that is given. The penalty halves in each half-life; it never exceeds four times
 * `suppress`, so that a link that has become quiet is let in after three half-lives at the latest.
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
};

/* True: it is kept out from now on. */
bool damp_flap(struct damp *, const struct damp_config *, struct mono now);
/* True: it was kept out, and is let in from now on. */
bool damp_look(struct damp *, const struct damp_config *, struct mono now);

uint64_t damp_penalty(const struct damp *, const struct damp_config *, struct mono now); /* in thousandths */
/* When damp_look() lets it in, if nothing more happens; MONO_NEVER: it is not kept out. */
struct mono damp_release(const struct damp *, const struct damp_config *);

#endif
