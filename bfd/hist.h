/* bfd/hist.h -- how late things were: a histogram of microseconds in quarter octaves, with the greatest value kept
 * exact */
#ifndef BFD_HIST_H
#define BFD_HIST_H

#include <stdint.h>

#define BFD_HIST_BUCKETS 96 /* up to 2^24 us */

struct bfd_hist {
	uint64_t n;
	int64_t max_us;
	uint64_t bucket[BFD_HIST_BUCKETS]; /* a switch of many sessions fills 32 bits within weeks */
};

static inline unsigned int
bfd_hist_bucket(int64_t us)
{
	unsigned int octave, b;

	if (us < 4)
		return us < 0 ? 0 : (unsigned int)us;
	octave = 63u - (unsigned int)__builtin_clzll((uint64_t)us);
	b = octave * 4 + (unsigned int)(((uint64_t)us >> (octave - 2)) & 3) - 4;
	return b < BFD_HIST_BUCKETS ? b : BFD_HIST_BUCKETS - 1;
}

/* The least value that falls above the bucket. */
static inline int64_t
bfd_hist_upper(unsigned int b)
{
	unsigned int octave = (b + 4) / 4, part = (b + 4) % 4;

	if (b < 4)
		return b + 1;
	return (int64_t)((4ull + part + 1) << (octave - 2));
}

static inline void
bfd_hist_add(struct bfd_hist *h, int64_t us)
{
	h->n++;
	if (us > h->max_us)
		h->max_us = us;
	h->bucket[bfd_hist_bucket(us)]++;
}

/* The value that `per_mille` of the values do not exceed, rounded up by at most a quarter; 0 when there is none. */
static inline int64_t
bfd_hist_quantile(const struct bfd_hist *h, unsigned int per_mille)
{
	uint64_t want = (h->n * per_mille + 999) / 1000, seen = 0;

	for (unsigned int b = 0; b < BFD_HIST_BUCKETS && h->n; b++) {
		seen += h->bucket[b];
		if (seen >= want) {
			int64_t upper = bfd_hist_upper(b);

			return upper < h->max_us ? upper : h->max_us;
		}
	}
	return h->max_us;
}

static inline int64_t
bfd_hist_p99(const struct bfd_hist *h)
{
	return bfd_hist_quantile(h, 990);
}

#endif
