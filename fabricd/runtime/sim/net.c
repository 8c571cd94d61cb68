/*
 * fabricd/runtime/sim/net.c -- the world: clock, event queue, nodes, timers, work
 *
 * The queue is a binary heap of pointers to events that are embedded in their owners, each of which knows its place in
 * the heap: setting and stopping a timer is O(log n), whatever the number of nodes. Two events of one time run in the
 * order in which they were set.
 *
 * An event of a node that is stalled is put off to the end of the stall; so are those that come meanwhile, in the
 * order of their times. A crash takes all events of the node's handles out of the queue and marks the handles dead.
 *
 * Always true: an event that is not queued has no place in the heap; nothing of a node that is off is queued.
 */
#include <string.h>

#include "fabricd/lib/hash.h"
#include "fabricd/runtime/sim/impl.h"

#define WALL_EPOCH_US 1767225600000000ll /* 2026-01-01, when every world begins */

struct rt_timer {
	struct sim_handle h;
	struct sim_event ev;
	rt_timer_fn *fn;
	void *arg;
};

struct sim_alarm {
	struct sim_net *net;
	struct sim_event ev;
	rt_timer_fn *fn;
	void *arg;
	struct sim_alarm *prev, *next;
};

/* ---- the queue ---- */

static struct sim_event *
first_event(const struct sim_net *net)
{
	struct heap_item *item = heap_first(&net->queue);

	return item ? CONTAINER_OF(item, struct sim_event, due) : NULL;
}

void
sim_event_set(struct sim_net *net, struct sim_event *ev, struct mono at)
{
	if (at.us < net->now.us)
		at = net->now;
	heap_set(&net->queue, &ev->due, at);
}

/* ---- randomness ---- */

/* The next number of a generator: splitmix64. */
static uint64_t
sim_mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t
sim_random(struct sim_net *net)
{
	return sim_mix(&net->random);
}

bool
sim_chance(struct sim_net *net, uint32_t ppm)
{
	return ppm && sim_mix(&net->random) % 1000000 < ppm;
}

/* ---- the world ---- */

struct sim_net *
sim_net_new(struct mem *mem, uint64_t seed)
{
	struct sim_net *net = mem_zalloc(mem, MEM_RUNTIME, sizeof(*net));

	net->mem = mem;
	net->queue = heap_make(mem, MEM_RUNTIME);
	net->seed = seed;
	net->random = hash_u64(seed, 0x77697265);
	net->now.us = SECONDS(1); /* so that zero is in the past, as on a machine that has booted */
	net->tcp = (struct sim_tcp){
		.window = 256 * 1024, .segment = 16 * 1024, .hold_us = SECONDS(900), .connect_us = SECONDS(127)
	};
	return net;
}

struct mono
sim_now(const struct sim_net *net)
{
	return net->now;
}

struct mono
sim_next(const struct sim_net *net)
{
	const struct sim_event *ev = first_event(net);

	return ev ? ev->due.at : MONO_NEVER;
}

/* What runs is done at once, and its node is busy as long as it would have taken. */
static void
run_busy(struct sim_node *node, struct sim_event *ev)
{
	node->spent_us = 0;
	ev->fn(ev);
	node->busy = mono_add(node->net->now, node->callback_us + node->spent_us);
}

/* An event of a stalled node, and of one whose CPU is busy, is put off: that is a step, too, so that no caller runs past its limit. */
bool
sim_step(struct sim_net *net)
{
	struct sim_event *ev = first_event(net);

	if (!ev)
		return false;
	net->now = ev->due.at;
	if (ev->node && ev->node->stalled.us > net->now.us) {
		sim_event_set(net, ev, ev->node->stalled);
		return true;
	}
	if (ev->node && ev->node->busy.us > net->now.us) {
		sim_event_set(net, ev, ev->node->busy);
		return true;
	}
	heap_remove(&net->queue, &ev->due);
	net->stats.events++;
	if (ev->node && ev->node->callback_us)
		run_busy(ev->node, ev);
	else
		ev->fn(ev);
	return true;
}

uint64_t
sim_run_until(struct sim_net *net, struct mono until)
{
	uint64_t was = net->stats.events;

	while (sim_next(net).us <= until.us && !mono_is_never(sim_next(net)))
		sim_step(net);
	if (!mono_is_never(until))
		net->now.us = MAX_OF(net->now.us, until.us);
	return net->stats.events - was;
}

bool
sim_run_while(struct sim_net *net, bool (*more)(void *arg), void *arg, struct mono limit)
{
	while (more(arg)) {
		struct mono next = sim_next(net);

		if (mono_is_never(next) || next.us > limit.us) {
			sim_run_until(net, limit);
			return false;
		}
		sim_run_until(net, next);
	}
	return true;
}

static void
alarm_fire(struct sim_event *ev)
{
	struct sim_alarm *a = CONTAINER_OF(ev, struct sim_alarm, ev);

	a->fn(a->arg);
}

struct sim_alarm *
sim_alarm_new(struct sim_net *net, rt_timer_fn *fn, void *arg)
{
	struct sim_alarm *a = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*a));

	*a = (struct sim_alarm){ .net = net, .ev.fn = alarm_fire, .fn = fn, .arg = arg, .next = net->alarms };
	if (a->next)
		a->next->prev = a;
	net->alarms = a;
	return a;
}

void
sim_alarm_set(struct sim_alarm *a, struct mono at)
{
	sim_event_set(a->net, &a->ev, at);
}

void
sim_alarm_free(struct sim_alarm *a)
{
	if (!a)
		return;
	sim_event_set(a->net, &a->ev, MONO_NEVER);
	if (a->next)
		a->next->prev = a->prev;
	if (a->prev)
		a->prev->next = a->next;
	else
		a->net->alarms = a->next;
	mem_free(a->net->mem, MEM_RUNTIME, a);
}

/* ---- handles ---- */

void *
sim_handle_new(struct sim_node *node, size_t size, void (*destroy)(struct sim_handle *))
{
	struct sim_handle *h = mem_zalloc(node->net->mem, MEM_RUNTIME, size);

	h->head = node->rt;
	h->node = node;
	h->destroy = destroy;
	h->dead = node->off;
	h->next = &node->handles;
	h->prev = node->handles.prev;
	h->prev->next = h;
	node->handles.prev = h;
	return h;
}

void
sim_handle_unlink(struct sim_handle *h)
{
	h->prev->next = h->next;
	h->next->prev = h->prev;
}

/* ---- timers ---- */

static void
timer_fire(struct sim_event *ev)
{
	struct rt_timer *t = CONTAINER_OF(ev, struct rt_timer, ev);

	t->fn(t->arg);
}

static void
timer_destroy(struct sim_handle *h)
{
	struct rt_timer *t = (struct rt_timer *)h;

	sim_event_set(h->node->net, &t->ev, MONO_NEVER);
	sim_handle_unlink(h);
	mem_free(h->node->net->mem, MEM_RUNTIME, t);
}

static struct rt_timer *
timer_new(struct runtime *rt, rt_timer_fn *fn, void *arg)
{
	struct rt_timer *t = sim_handle_new(sim_node_of(rt), sizeof(*t), timer_destroy);

	t->ev.node = t->h.node;
	t->ev.fn = timer_fire;
	t->fn = fn;
	t->arg = arg;
	return t;
}

static void
timer_set(struct rt_timer *t, struct mono at)
{
	if (!t->h.dead)
		sim_event_set(t->h.node->net, &t->ev, at);
}

static void
timer_free(struct rt_timer *t)
{
	timer_destroy(&t->h);
}

/* ---- work ---- */

/* One slice of the most urgent work; the next slice follows after its cost, behind all that is due by then. */
static void
work_turn(struct sim_event *ev)
{
	struct sim_node *node = CONTAINER_OF(ev, struct sim_node, turn);
	struct work_item *item = work_queue_first(&node->work);
	struct rt_work *w;

	if (!item)
		return;
	w = CONTAINER_OF(item, struct rt_work, item);
	work_queue_remove(&node->work, item);
	node->running = w;
	if (w->fn(w->arg) && node->running == w && !w->item.queued)
		work_queue_add(&node->work, item);
	node->running = NULL;
	if (work_queue_first(&node->work))
		sim_event_set(node->net, &node->turn, mono_add(node->net->now, node->slice_us));
}

static void
work_destroy(struct sim_handle *h)
{
	struct rt_work *w = (struct rt_work *)h;

	work_queue_remove(&h->node->work, &w->item);
	if (h->node->running == w)
		h->node->running = NULL;
	sim_handle_unlink(h);
	mem_free(h->node->net->mem, MEM_RUNTIME, w);
}

static struct rt_work *
work_new(struct runtime *rt, enum rt_priority priority, rt_work_fn *fn, void *arg)
{
	struct rt_work *w = sim_handle_new(sim_node_of(rt), sizeof(*w), work_destroy);

	w->item.priority = priority;
	w->fn = fn;
	w->arg = arg;
	return w;
}

static void
work_schedule(struct rt_work *w)
{
	struct sim_node *node = w->h.node;

	if (w->h.dead || w->item.queued)
		return;
	work_queue_add(&node->work, &w->item);
	if (!node->turn.due.pos && !node->running)
		sim_event_set(node->net, &node->turn, node->net->now);
}

static void
work_free(struct rt_work *w)
{
	work_destroy(&w->h);
}

/* ---- the rest of the contract that needs no wire ---- */

static struct mono
node_now(struct runtime *rt)
{
	return sim_node_of(rt)->net->now;
}

static struct mono
node_clock(struct runtime *rt)
{
	struct sim_node *node = sim_node_of(rt);

	node->spent_us += node->look_us;
	return mono_add(node->net->now, node->spent_us);
}

static int64_t
node_wall_us(struct runtime *rt)
{
	struct sim_node *node = sim_node_of(rt);

	return WALL_EPOCH_US + node->net->now.us + node->wall_shift;
}

static uint64_t
node_random(struct runtime *rt)
{
	return sim_mix(&sim_node_of(rt)->random);
}

static int
watch_new(
    struct runtime *rt UNUSED, int fd UNUSED, rt_watch_fn *fn UNUSED, void *arg UNUSED, struct rt_watch **out UNUSED)
{
	return -ENOTSUP;
}

static void
watch_set(struct rt_watch *w UNUSED, unsigned int what UNUSED)
{
}

static void
watch_free(struct rt_watch *w UNUSED)
{
}

static const struct runtime_ops sim_ops = {
	.name = "sim",
	.now = node_now,
	.clock = node_clock,
	.wall_us = node_wall_us,
	.random = node_random,
	.timer_new = timer_new,
	.timer_set = timer_set,
	.timer_free = timer_free,
	.work_new = work_new,
	.work_schedule = work_schedule,
	.work_free = work_free,
	.listen = sim_listen,
	.listen_unix = sim_listen_unix,
	.listener_key = sim_listener_key,
	.listener_close = sim_listener_close,
	.connect = sim_connect,
	.connect_unix = sim_connect_unix,
	.stream_handle = sim_stream_handle,
	.stream_write = sim_stream_write,
	.stream_pause = sim_stream_pause,
	.stream_again = sim_stream_again,
	.stream_close = sim_stream_close,
	.stream_local = sim_stream_local,
	.stream_peer_uid = sim_stream_peer_uid,
	.stream_pack = sim_stream_pack,
	.listener_pack = sim_listener_pack,
	.stream_unpack = sim_stream_unpack,
	.listener_unpack = sim_listener_unpack,
	.nd_open = sim_nd_open,
	.frames_open = sim_frames_open,
	.packet_send = sim_packet_send,
	.packets_close = sim_packets_close,
	.datagrams_open = sim_datagrams_open,
	.datagram_send = sim_datagram_send,
	.datagrams_drain = sim_datagrams_drain,
	.datagrams_close = sim_datagrams_close,
	.watch_new = watch_new,
	.watch_set = watch_set,
	.watch_free = watch_free,
};

/* ---- nodes ---- */

struct runtime *
sim_node_new(struct sim_net *net, const char *name)
{
	struct sim_node *node = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*node));

	node->rt.ops = &sim_ops;
	node->net = net;
	node->name = mem_strdup(net->mem, MEM_RUNTIME, name);
	/* A generator of its own, so that what one node draws does not change what another gets. */
	node->random = hash_u64(net->seed, ++net->stats.nodes);
	node->slice_us = 1;
	node->handles.prev = node->handles.next = &node->handles;
	node->turn.node = node;
	node->turn.fn = work_turn;
	node->ephemeral = (uint16_t)(32768 + sim_mix(&node->random) % 28000);
	if (net->last_node)
		net->last_node->next = node;
	else
		net->nodes = node;
	net->last_node = node;
	return &node->rt;
}

const char *
sim_node_name(const struct runtime *rt)
{
	return sim_node_of(rt)->name;
}

void
sim_node_set_owner(struct runtime *rt, void *owner)
{
	sim_node_of(rt)->owner = owner;
}

void *
sim_node_owner(const struct runtime *rt)
{
	return sim_node_of(rt)->owner;
}

struct runtime *
sim_node_find(const struct sim_net *net, const char *name)
{
	for (struct sim_node *node = net->nodes; node; node = node->next)
		if (strcmp(node->name, name) == 0)
			return &node->rt;
	return NULL;
}

void
sim_node_stall(struct runtime *rt, int64_t us)
{
	struct sim_node *node = sim_node_of(rt);

	node->stalled.us = MAX_OF(node->stalled.us, node->net->now.us + us);
}

struct mono
sim_node_stalled(const struct runtime *rt)
{
	return sim_node_of(rt)->stalled;
}

void
sim_node_crash(struct runtime *rt, enum sim_crash how)
{
	struct sim_node *node = sim_node_of(rt);

	if (node->off)
		return;
	node->off = true;
	node->dark = how == SIM_DARK;
	sim_streams_crash(node, how);
	for (struct sim_handle *h = node->handles.next; h != &node->handles; h = h->next) {
		h->dead = true;
		if (h->destroy == timer_destroy)
			sim_event_set(node->net, &((struct rt_timer *)h)->ev, MONO_NEVER);
		else if (h->destroy == work_destroy)
			work_queue_remove(&node->work, &((struct rt_work *)h)->item);
	}
	node->running = NULL;
	sim_event_set(node->net, &node->turn, MONO_NEVER);
	node->stalled.us = 0;
	sim_wire_power(node);
}

void
sim_node_boot(struct runtime *rt)
{
	struct sim_node *node = sim_node_of(rt);

	node->off = node->dark = false;
	sim_wire_power(node);
}

bool
sim_node_running(const struct runtime *rt)
{
	return !sim_node_of(rt)->off;
}

void
sim_node_wall_shift(struct runtime *rt, int64_t us)
{
	sim_node_of(rt)->wall_shift += us;
}

void
sim_node_cpu(struct runtime *rt, int64_t callback_us, int64_t look_us)
{
	struct sim_node *node = sim_node_of(rt);

	node->callback_us = callback_us;
	node->look_us = callback_us ? look_us : 0;
}

void
sim_node_slice_cost(struct runtime *rt, int64_t us)
{
	sim_node_of(rt)->slice_us = MAX_OF(us, 1);
}

void
sim_tcp_set(struct sim_net *net, const struct sim_tcp *tcp)
{
	net->tcp = *tcp;
}

void
sim_stats(const struct sim_net *net, struct sim_stats *out)
{
	*out = net->stats;
	out->queue = net->queue.n;
}

void
sim_net_free(struct sim_net *net)
{
	struct sim_node *node, *next;

	if (!net)
		return;
	while (net->alarms)
		sim_alarm_free(net->alarms);
	for (node = net->nodes; node; node = node->next)
		while (node->handles.next != &node->handles)
			node->handles.next->destroy(node->handles.next);
	sim_streams_free(net);
	while (net->queue.n) {
		struct sim_event *ev = CONTAINER_OF(net->queue.items[net->queue.n], struct sim_event, due);

		heap_remove(&net->queue, &ev->due);
		if (ev->drop)
			ev->drop(ev);
	}
	sim_wire_free(net);
	for (node = net->nodes; node; node = next) {
		next = node->next;
		mem_free(net->mem, MEM_RUNTIME, node->name);
		mem_free(net->mem, MEM_RUNTIME, node);
	}
	heap_done(&net->queue);
	mem_free(net->mem, MEM_RUNTIME, net);
}
