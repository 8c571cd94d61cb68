/*
 * fabricd/runtime/event/event.h -- the runtime of a real switch: libevent, sockets, signals
 *
 * One loop per process, epoll only. A turn of the loop: ready I/O, then timers that are due, then one slice of the
 * most urgent work. So liveness never waits for work.
 */
#ifndef FABRICD_RUNTIME_EVENT_EVENT_H
#define FABRICD_RUNTIME_EVENT_EVENT_H

#include "fabricd/lib/mem.h"
#include "fabricd/runtime/runtime.h"

typedef void rt_signal_fn(void *arg, int signo);

/* NULL when the kernel gives no epoll or descriptors are used up: errno says which. SIGPIPE is ignored from here on. */
struct runtime *rt_event_new(struct mem *);
/* Handles of it that are still open are closed; none of their callbacks is called any more. NULL is allowed. */
void rt_event_free(struct runtime *);

/* Runs until rt_event_stop(); 0 or -errno. */
int rt_event_run(struct runtime *);
/* From any callback: the loop ends after the current turn. */
void rt_event_stop(struct runtime *);
/* One turn; waits at most max_wait_us for something to happen. For tests and tools. */
int rt_event_turn(struct runtime *, int64_t max_wait_us);

/* fn is called from the loop, for the runtime's life. */
int rt_event_signal(struct runtime *, int signo, rt_signal_fn *, void *arg);

/* What the runtime knows of itself, for status and metrics. */
struct rt_event_stats {
	uint64_t turns, slices, accepted, accept_pauses;
	uint64_t packets_in, packets_out;
	uint64_t
	    packets_unread;    /* came, and were not for us, too long, or without what the kernel has to tell of them */
	uint64_t packets_lost; /* dropped by the kernel, since the queue of their port's socket was full */
	uint64_t packets_unsent; /* refused by the kernel */
	uint64_t bytes_in, bytes_out;
	uint64_t put_off;        /* streams that waited for the next turn */
	int64_t latest_timer_us; /* the most by which a timer was late */
	int64_t longest_turn_us;
	size_t streams, listeners, leftover_bytes; /* now; from here on no counters */
};
void rt_event_stats(const struct runtime *, struct rt_event_stats *);

#endif
