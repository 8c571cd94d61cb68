/* fabricd/runtime/clock.h -- the kernel's clocks, for those who implement a runtime or run beside one */
#ifndef FABRICD_RUNTIME_CLOCK_H
#define FABRICD_RUNTIME_CLOCK_H

#include <time.h>

#include "fabricd/lib/mono.h"

static inline int64_t
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return SECONDS(ts.tv_sec) + ts.tv_nsec / 1000;
}

static inline struct mono
clock_mono(void)
{
	return (struct mono){ clock_us(CLOCK_MONOTONIC) };
}

/* Monotonic milliseconds, for those who wait by poll(). */
static inline int64_t
clock_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

/* Microseconds since 1970; may jump. */
static inline int64_t
clock_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

#endif
