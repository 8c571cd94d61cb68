/* fabricd/lib/mono.h -- monotonic time as a type, always passed in, never read here. Microseconds. */
#ifndef FABRICD_LIB_MONO_H
#define FABRICD_LIB_MONO_H

#include <stdbool.h>
#include <stdint.h>

struct mono {
	int64_t us;
};

#define MONO_NEVER ((struct mono){ INT64_MAX })
#define MS(n)      ((int64_t)(n)*1000)
#define SECONDS(n) ((int64_t)(n)*1000000)

/* t + us, and NEVER stays NEVER. */
static inline struct mono
mono_add(struct mono t, int64_t us)
{
	return t.us == INT64_MAX ? t : (struct mono){ t.us + us };
}

/* a - b, in microseconds. */
static inline int64_t
mono_sub(struct mono a, struct mono b)
{
	return a.us - b.us;
}

static inline bool
mono_is_never(struct mono t)
{
	return t.us == INT64_MAX;
}

/* Whether the deadline t has come at now. */
static inline bool
mono_due(struct mono t, struct mono now)
{
	return t.us <= now.us;
}

static inline struct mono
mono_min(struct mono a, struct mono b)
{
	return a.us < b.us ? a : b;
}

static inline struct mono
mono_max(struct mono a, struct mono b)
{
	return a.us > b.us ? a : b;
}

/* The pause behind the nth failure in a row: `first`, and twice as long each time, but never longer than `most`. */
static inline int64_t
us_doubled(int64_t first, unsigned int nth, int64_t most)
{
	for (; nth > 1 && first < most; nth--)
		first *= 2;
	return first < most ? first : most;
}

#endif
