/*
 * tests/support/tiny_runtime.h -- a runtime of time, timers, work and watched descriptors on poll(), for platform tests
 *
 * Small enough to be understood at once, so that a test of the platform depends on no runtime's streams and packets.
 * The clock is the machine's, or the test's own (tiny->manual): then time moves only when the test moves it.
 * tiny_turn() is one turn; tiny_until() turns until a condition holds or a deadline has passed.
 */
#ifndef TESTS_SUPPORT_TINY_RUNTIME_H
#define TESTS_SUPPORT_TINY_RUNTIME_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/runtime.h"

struct tiny {
	struct runtime rt;
	bool manual;
	struct mono clock;
	struct rt_timer *timers;
	struct rt_work *work[RT_PRIORITIES];
	struct rt_watch *watches;
	uint64_t random;
	uint64_t slices;
	int64_t longest_us; /* the longest slice of work */
};
struct rt_timer {
	struct runtime rt;
	struct tiny *t;
	struct rt_timer *next;
	rt_timer_fn *fn;
	void *arg;
	struct mono at;
};
struct rt_work {
	struct runtime rt;
	struct tiny *t;
	struct rt_work *next;
	rt_work_fn *fn;
	void *arg;
	enum rt_priority priority;
	bool scheduled;
};
struct rt_watch {
	struct runtime rt;
	struct tiny *t;
	struct rt_watch *next;
	rt_watch_fn *fn;
	void *arg;
	int fd;
	unsigned int what;
};

static inline int64_t
tiny_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline struct mono
tiny_now(struct runtime *rt)
{
	return ((struct tiny *)rt)->clock;
}

static inline struct mono
tiny_clock(struct runtime *rt)
{
	const struct tiny *t = (struct tiny *)rt;

	return t->manual ? t->clock : (struct mono){ tiny_clock_us() };
}

static inline uint64_t
tiny_random(struct runtime *rt)
{
	struct tiny *t = (struct tiny *)rt;

	return t->random = t->random * 6364136223846793005ull + 1442695040888963407ull;
}

static inline struct rt_timer *
tiny_timer_new(struct runtime *rt, rt_timer_fn *fn, void *arg)
{
	struct tiny *t = (struct tiny *)rt;
	struct rt_timer *n = calloc(1, sizeof(*n));

	*n = (struct rt_timer){ .rt = *rt, .t = t, .next = t->timers, .fn = fn, .arg = arg, .at = MONO_NEVER };
	t->timers = n;
	return n;
}

static inline void
tiny_timer_set(struct rt_timer *n, struct mono at)
{
	n->at = at;
}

static inline void
tiny_timer_free(struct rt_timer *n)
{
	struct rt_timer **at = &n->t->timers;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	free(n);
}

static inline struct rt_work *
tiny_work_new(struct runtime *rt, enum rt_priority priority, rt_work_fn *fn, void *arg)
{
	struct tiny *t = (struct tiny *)rt;
	struct rt_work *w = calloc(1, sizeof(*w));

	*w = (struct rt_work){
		.rt = *rt, .t = t, .next = t->work[priority], .fn = fn, .arg = arg, .priority = priority
	};
	t->work[priority] = w;
	return w;
}

static inline void
tiny_work_schedule(struct rt_work *w)
{
	w->scheduled = true;
}

static inline void
tiny_work_free(struct rt_work *w)
{
	struct rt_work **at = &w->t->work[w->priority];

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
}

static inline int
tiny_watch_new(struct runtime *rt, int fd, rt_watch_fn *fn, void *arg, struct rt_watch **out)
{
	struct tiny *t = (struct tiny *)rt;
	struct rt_watch *w = calloc(1, sizeof(*w));

	*w = (struct rt_watch){ .rt = *rt, .t = t, .next = t->watches, .fn = fn, .arg = arg, .fd = fd };
	t->watches = *out = w;
	return 0;
}

static inline void
tiny_watch_set(struct rt_watch *w, unsigned int what)
{
	w->what = what;
}

static inline void
tiny_watch_free(struct rt_watch *w)
{
	struct rt_watch **at = &w->t->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
}

static inline void
tiny_init(struct tiny *t, bool manual)
{
	static const struct runtime_ops ops = {
		.name = "tiny",
		.now = tiny_now,
		.clock = tiny_clock,
		.random = tiny_random,
		.timer_new = tiny_timer_new,
		.timer_set = tiny_timer_set,
		.timer_free = tiny_timer_free,
		.work_new = tiny_work_new,
		.work_schedule = tiny_work_schedule,
		.work_free = tiny_work_free,
		.watch_new = tiny_watch_new,
		.watch_set = tiny_watch_set,
		.watch_free = tiny_watch_free,
	};

	*t = (struct tiny){
		.rt = { &ops }, .manual = manual, .clock = { manual ? SECONDS(1) : tiny_clock_us() }, .random = 1
	};
}

/* The most urgent work that is scheduled runs one slice. */
static inline bool
tiny_work(struct tiny *t)
{
	for (int p = 0; p < RT_PRIORITIES; p++) {
		for (struct rt_work *w = t->work[p]; w; w = w->next) {
			int64_t began = tiny_clock_us(), took;

			if (!w->scheduled)
				continue;
			w->scheduled = false;
			if (w->fn(w->arg))
				w->scheduled = true; /* none of the platform's work frees itself */
			took = tiny_clock_us() - began;
			t->longest_us = MAX_OF(t->longest_us, took);
			t->slices++;
			return true;
		}
	}
	return false;
}

static inline bool
tiny_timers(struct tiny *t)
{
	for (struct rt_timer *n = t->timers; n; n = n->next) {
		if (mono_due(n->at, t->clock)) {
			n->at = MONO_NEVER;
			n->fn(n->arg);
			return true;
		}
	}
	return false;
}

/* I/O that is ready, timers that are due, one slice of work. Waits up to wait_ms when there is nothing to do. */
static inline bool
tiny_turn(struct tiny *t, int wait_ms)
{
	struct pollfd fds[16];
	struct rt_watch *of[16];
	bool did = false, pending = false;
	nfds_t n = 0;

	for (int p = 0; p < RT_PRIORITIES; p++) {
		for (struct rt_work *w = t->work[p]; w; w = w->next)
			pending = pending || w->scheduled;
	}
	for (struct rt_watch *w = t->watches; w && n < ARRAY_LEN(fds); w = w->next) {
		of[n] = w;
		fds[n++] = (struct pollfd){ .fd = w->fd, .events = w->what & RT_READ ? POLLIN : 0 };
	}
	poll(fds, n, pending ? 0 : wait_ms);
	if (!t->manual)
		t->clock.us = tiny_clock_us();
	for (nfds_t i = 0; i < n; i++) {
		if (fds[i].revents) {
			of[i]->fn(of[i]->arg, RT_READ);
			did = true;
		}
	}
	did = tiny_timers(t) || did;
	return tiny_work(t) || did;
}

/* True when the condition came to hold; false after ms milliseconds. */
static inline bool
tiny_until(struct tiny *t, bool (*holds)(void *arg), void *arg, int ms)
{
	int64_t end = tiny_clock_us() + MS(ms);

	while (!holds(arg)) {
		if (tiny_clock_us() > end)
			return false;
		tiny_turn(t, 1);
	}
	return true;
}

/* Turns until nothing is left to do (with a manual clock: at this time). */
static inline void
tiny_settle(struct tiny *t)
{
	while (tiny_turn(t, 0))
		;
}

/* With a manual clock: so long passes, in steps of 10 ms, each of which settles. */
static inline void
tiny_pass(struct tiny *t, int64_t us)
{
	for (tiny_settle(t); us > 0; us -= MS(10)) {
		t->clock.us += MIN_OF(us, MS(10));
		tiny_settle(t);
	}
}

#endif
