/*
 * fabricd/runtime/event/event.c -- the loop: I/O, then timers, then one slice of work
 *
 *   turn: libevent waits for I/O, at most until the next timer, not at all while work waits
 *         --> I/O callbacks --> streams that are owed a callback --> timers due --> one slice of the most urgent work
 *
 * libevent only tells which descriptors are ready, and signals. Timers are kept here in a heap, since libevent's
 * priorities would let a flood of I/O starve them; and it is what makes the order of a turn certain: a keepalive that
 * has arrived is read before the timer that would call its sender dead.
 *
 * Input is work, too: streams are read in the order in which they became readable, for some 4 ms a turn; the others are
 * the first of the next turn. Only what another process of this machine answers (bfdd) goes before all.
 *
 * Always true: callbacks come only from rt_event_turn(); a timer that sets itself to the present runs in the next turn,
 * not again in this one; the time is read once per turn before the I/O callbacks, and once after them.
 */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "fabricd/runtime/clock.h"
#include "fabricd/runtime/event/impl.h"

struct rt_timer {
	struct ev_handle h;
	struct heap_item due;
	rt_timer_fn *fn;
	void *arg;
};

struct rt_work {
	struct ev_handle h;
	rt_work_fn *fn;
	void *arg;
	struct work_item item;
};

struct rt_watch {
	struct ev_handle h;
	int fd;
	unsigned int what;
	struct event ev;
	rt_watch_fn *fn;
	void *arg;
};

struct ev_signal {
	struct ev_handle h;
	struct event ev;
	rt_signal_fn *fn;
	void *arg;
};

/* ---- handles ---- */

void *
ev_handle_new(struct ev_runtime *rt, size_t size, void (*destroy)(struct ev_handle *))
{
	struct ev_handle *h = mem_zalloc(rt->mem, MEM_RUNTIME, size);

	h->head = rt->rt;
	h->rt = rt;
	h->destroy = destroy;
	h->next = &rt->handles;
	h->prev = rt->handles.prev;
	h->prev->next = h;
	rt->handles.prev = h;
	return h;
}

void
ev_handle_free(struct ev_handle *h)
{
	h->prev->next = h->next;
	h->next->prev = h->prev;
	mem_free(h->rt->mem, MEM_RUNTIME, h);
}

/* ---- time, randomness ---- */

static struct mono
ev_clock(struct runtime *rt UNUSED)
{
	return clock_mono();
}

static struct mono
ev_now(struct runtime *rt)
{
	struct ev_runtime *ev = ev_of(rt);

	if (!ev->now_fresh) {
		ev->now = ev_clock(rt);
		ev->now_fresh = true;
	}
	return ev->now;
}

static int64_t
ev_wall_us(struct runtime *rt UNUSED)
{
	return clock_wall_us();
}

static uint64_t
ev_random(struct runtime *rt)
{
	struct ev_runtime *ev = ev_of(rt);

	if (ev->nrandom == 0) {
		/* At most 256 bytes are never cut short nor interrupted (getrandom(2)). */
		if (getrandom(ev->random, sizeof(ev->random), 0) != sizeof(ev->random))
			ev->random[0] ^= (uint64_t)ev_clock(rt).us;
		ev->nrandom = ARRAY_LEN(ev->random);
	}
	return ev->random[--ev->nrandom];
}

/* ---- timers ---- */

static void
timer_set(struct rt_timer *t, struct mono at)
{
	heap_set(&t->h.rt->timers, &t->due, at);
}

static void
timer_destroy(struct ev_handle *h)
{
	timer_set((struct rt_timer *)h, MONO_NEVER);
	ev_handle_free(h);
}

static struct rt_timer *
timer_new(struct runtime *rt, rt_timer_fn *fn, void *arg)
{
	struct rt_timer *t = ev_handle_new(ev_of(rt), sizeof(*t), timer_destroy);

	t->fn = fn;
	t->arg = arg;
	return t;
}

static void
timer_free(struct rt_timer *t)
{
	timer_destroy(&t->h);
}

static void
timers_run(struct ev_runtime *rt)
{
	struct mono now = ev_now(&rt->rt);
	uint64_t last = rt->timers.seq; /* what is set from now on has to wait for the next turn */
	struct heap_item *first;

	while ((first = heap_first(&rt->timers)) && mono_due(first->at, now) && first->seq <= last) {
		struct rt_timer *t = CONTAINER_OF(first, struct rt_timer, due);

		rt->stats.latest_timer_us = MAX_OF(rt->stats.latest_timer_us, mono_sub(now, first->at));
		heap_remove(&rt->timers, first);
		t->fn(t->arg);
	}
}

/* ---- work ---- */

static void
work_run(struct ev_runtime *rt)
{
	struct work_item *item = work_queue_first(&rt->work);
	struct rt_work *w;

	if (!item)
		return;
	w = CONTAINER_OF(item, struct rt_work, item);
	work_queue_remove(&rt->work, item);
	rt->running = w;
	rt->stats.slices++;
	if (w->fn(w->arg) && rt->running == w && !w->item.queued)
		work_queue_add(&rt->work, item);
	rt->running = NULL;
}

static void
work_destroy(struct ev_handle *h)
{
	struct rt_work *w = (struct rt_work *)h;

	work_queue_remove(&h->rt->work, &w->item);
	if (h->rt->running == w)
		h->rt->running = NULL;
	ev_handle_free(h);
}

static struct rt_work *
work_new(struct runtime *rt, enum rt_priority priority, rt_work_fn *fn, void *arg)
{
	struct rt_work *w = ev_handle_new(ev_of(rt), sizeof(*w), work_destroy);

	w->item.priority = priority;
	w->fn = fn;
	w->arg = arg;
	return w;
}

static void
work_schedule(struct rt_work *w)
{
	if (!w->item.queued)
		work_queue_add(&w->h.rt->work, &w->item);
}

static void
work_free(struct rt_work *w)
{
	work_destroy(&w->h);
}

/* ---- descriptors of others, signals ---- */

static void
watch_fire(evutil_socket_t fd UNUSED, short what, void *arg)
{
	struct rt_watch *w = arg;
	unsigned int got = ((what & EV_READ) ? RT_READ : 0u) | ((what & EV_WRITE) ? RT_WRITE : 0u);

	w->fn(w->arg, got & w->what);
}

static void
watch_destroy(struct ev_handle *h)
{
	struct rt_watch *w = (struct rt_watch *)h;

	if (w->what)
		event_del(&w->ev);
	ev_handle_free(h);
}

static int
watch_new(struct runtime *rt, int fd, rt_watch_fn *fn, void *arg, struct rt_watch **out)
{
	struct rt_watch *w = ev_handle_new(ev_of(rt), sizeof(*w), watch_destroy);

	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	*out = w;
	return 0;
}

static void
watch_set(struct rt_watch *w, unsigned int what)
{
	short flags = EV_PERSIST;

	if (what == w->what)
		return;
	if (w->what)
		event_del(&w->ev);
	w->what = what;
	if (!what)
		return;
	flags |= (short)(((what & RT_READ) ? EV_READ : 0) | ((what & RT_WRITE) ? EV_WRITE : 0));
	event_assign(&w->ev, w->h.rt->base, w->fd, flags, watch_fire, w);
	event_add(&w->ev, NULL);
}

static void
watch_free(struct rt_watch *w)
{
	watch_destroy(&w->h);
}

static void
signal_fire(evutil_socket_t signo, short what UNUSED, void *arg)
{
	struct ev_signal *s = arg;

	s->fn(s->arg, (int)signo);
}

static void
signal_destroy(struct ev_handle *h)
{
	event_del(&((struct ev_signal *)h)->ev);
	ev_handle_free(h);
}

int
rt_event_signal(struct runtime *rt, int signo, rt_signal_fn *fn, void *arg)
{
	struct ev_runtime *ev = ev_of(rt);
	struct ev_signal *s = ev_handle_new(ev, sizeof(*s), signal_destroy);

	s->fn = fn;
	s->arg = arg;
	event_assign(&s->ev, ev->base, signo, EV_SIGNAL | EV_PERSIST, signal_fire, s);
	if (event_add(&s->ev, NULL) < 0) {
		ev_handle_free(&s->h);
		return -EINVAL;
	}
	return 0;
}

/* ---- the loop ---- */

static void
woken(evutil_socket_t fd UNUSED, short what UNUSED, void *arg UNUSED)
{
}

static int
wait_for_io(struct ev_runtime *rt, int64_t max_wait_us)
{
	int64_t wait = max_wait_us;
	struct timeval tv;
	int r;

	if (heap_first(&rt->timers))
		wait = MIN_OF(wait, MAX_OF(mono_sub(heap_first(&rt->timers)->at, ev_clock(&rt->rt)), 0));
	if (work_queue_first(&rt->work) || rt->ready || rt->stop)
		wait = 0;
	rt->now_fresh = false; /* the first callback reads the time anew */
	/* NONBLOCK alone would go on for as long as anything is ready, and no timer would run. */
	if (wait == 0) {
		r = event_base_loop(rt->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	} else {
		if (wait != INT64_MAX) {
			tv = (struct timeval){ .tv_sec = (time_t)(wait / 1000000),
				.tv_usec = (suseconds_t)(wait % 1000000) };
			event_add(&rt->wake, &tv);
		}
		r = event_base_loop(rt->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
		event_del(&rt->wake);
	}
	return r < 0 ? -EIO : 0;
}

int
rt_event_turn(struct runtime *runtime, int64_t max_wait_us)
{
	struct ev_runtime *rt = ev_of(runtime);
	struct mono began;
	int err = wait_for_io(rt, max_wait_us);

	if (err)
		return err;
	began = ev_now(runtime);
	rt->now_fresh = false;
	ev_ready_run(rt);
	timers_run(rt);
	work_run(rt);
	rt->stats.turns++;
	rt->stats.longest_turn_us = MAX_OF(rt->stats.longest_turn_us, mono_sub(ev_clock(runtime), began));
	return 0;
}

int
rt_event_run(struct runtime *runtime)
{
	struct ev_runtime *rt = ev_of(runtime);
	int err = 0;

	rt->stop = false;
	while (!rt->stop && !err)
		err = rt_event_turn(runtime, INT64_MAX);
	return err;
}

void
rt_event_stop(struct runtime *rt)
{
	ev_of(rt)->stop = true;
}

#define COUNTS(member) offsetof(struct rt_event_stats, member)

static const struct counter counter_list[] = {
	{ "packets-unread", "packets dropped: not for us, too long, or without hop limit or address",
	    COUNTS(packets_unread), false },
	{ "packets-lost", "packets dropped by the kernel: the queue of their port was full", COUNTS(packets_lost),
	    false },
	{ "packets-unsent", "packets that the kernel refused to send", COUNTS(packets_unsent), false },
	{ "accept-pauses", "pauses in which no connection was taken: descriptors were short", COUNTS(accept_pauses),
	    false },
	{ "turns", "turns of the loop", COUNTS(turns), true },
	{ "slices", "slices of long work", COUNTS(slices), true },
	{ "put-off", "streams that waited a turn longer: others had used it up", COUNTS(put_off), true },
	{ "longest-turn", "longest turn so far, in microseconds", COUNTS(longest_turn_us), true },
	{ "latest-timer", "most by which a timer was late so far, in microseconds", COUNTS(latest_timer_us), true },
	{ "accepted", "connections taken", COUNTS(accepted), true },
	{ "packets-received", "packets received", COUNTS(packets_in), true },
	{ "packets-sent", "packets sent", COUNTS(packets_out), true },
	{ "octets-received", "octets received in streams", COUNTS(bytes_in), true },
	{ "octets-sent", "octets sent in streams", COUNTS(bytes_out), true },
};
_Static_assert(ARRAY_LEN(counter_list) == COUNTS(streams) / sizeof(uint64_t), "a counter is not told");

static void
ev_counters(const struct runtime *rt, struct counters *out)
{
	*out = (struct counters){ .list = counter_list, .n = ARRAY_LEN(counter_list), .of = &ev_of(rt)->stats };
}

static const struct runtime_ops event_ops = {
	.name = "event",
	.now = ev_now,
	.clock = ev_clock,
	.wall_us = ev_wall_us,
	.random = ev_random,
	.timer_new = timer_new,
	.timer_set = timer_set,
	.timer_free = timer_free,
	.work_new = work_new,
	.work_schedule = work_schedule,
	.work_free = work_free,
	.listen = ev_listen,
	.listen_unix = ev_listen_unix,
	.listener_key = ev_listener_key,
	.listener_close = ev_listener_close,
	.connect = ev_connect,
	.connect_unix = ev_connect_unix,
	.stream_handle = ev_stream_handle,
	.stream_write = ev_stream_write,
	.stream_pause = ev_stream_pause,
	.stream_again = ev_stream_again,
	.stream_close = ev_stream_close,
	.stream_local = ev_stream_local,
	.stream_peer_uid = ev_stream_peer_uid,
	.stream_pack = ev_stream_pack,
	.listener_pack = ev_listener_pack,
	.stream_unpack = ev_stream_unpack,
	.listener_unpack = ev_listener_unpack,
	.listener_pause = ev_listener_pause,
	.nd_open = ev_nd_open,
	.frames_open = ev_frames_open,
	.packet_send = ev_packet_send,
	.packets_close = ev_packets_close,
	.datagrams_open = ev_datagrams_open,
	.datagram_send = ev_datagram_send,
	.datagrams_drain = ev_datagrams_drain,
	.datagrams_close = ev_datagrams_close,
	.watch_new = watch_new,
	.watch_set = watch_set,
	.watch_free = watch_free,
	.counters = ev_counters,
};

static struct event_base *
epoll_base(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (!cfg)
		return NULL;
	/* select and poll cost by the number of descriptors, and select writes past its set above 1023. */
	if (event_config_avoid_method(cfg, "select") == 0 && event_config_avoid_method(cfg, "poll") == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

struct runtime *
rt_event_new(struct mem *mem)
{
	struct event_base *base;
	struct ev_runtime *rt;

	errno = ENOSYS;
	base = epoll_base();
	if (!base)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	rt = mem_zalloc(mem, MEM_RUNTIME, sizeof(*rt));
	rt->timers = heap_make(mem, MEM_RUNTIME);
	rt->rt.ops = &event_ops;
	rt->mem = mem;
	rt->base = base;
	rt->handles.prev = rt->handles.next = &rt->handles;
	rt->buffer = mem_alloc(mem, MEM_RUNTIME, READ_BUFFER);
	evtimer_assign(&rt->wake, base, woken, NULL);
	return &rt->rt;
}

void
rt_event_free(struct runtime *runtime)
{
	struct ev_runtime *rt = ev_of(runtime);

	if (!rt)
		return;
	while (rt->handles.next != &rt->handles)
		rt->handles.next->destroy(rt->handles.next);
	event_base_free(rt->base);
	heap_done(&rt->timers);
	mem_free(rt->mem, MEM_RUNTIME, rt->buffer);
	mem_free(rt->mem, MEM_RUNTIME, rt);
}

void
rt_event_stats(const struct runtime *rt, struct rt_event_stats *out)
{
	*out = ev_of(rt)->stats;
}
