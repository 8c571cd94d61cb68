/* The simulator's runtime: order, timers, work, streams, packets, faults, and that a run repeats itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/inet_sum.h"
#include "fabricd/runtime/sim/sim.h"

#define LATENCY 100

/* Two nodes, one link between port 1 of each. */
struct world {
	struct mem mem;
	struct sim_net *net;
	struct runtime *a, *b;
	struct ip a_ll, b_ll;
	char log[4096];
};

static void note(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void
note(struct world *w, const char *fmt, ...)
{
	size_t n = strlen(w->log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->log + n, sizeof(w->log) - n, fmt, ap);
	va_end(ap);
}

static struct mono
in_us(struct world *w, int64_t us)
{
	return mono_add(sim_now(w->net), us);
}

static void
run(struct world *w, int64_t us)
{
	sim_run_until(w->net, in_us(w, us));
}

static void
world_new(struct world *w, uint64_t seed)
{
	static const uint8_t mac[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
	struct sim_port_view v;

	memset(w, 0, sizeof(*w));
	w->net = sim_net_new(&w->mem, seed);
	w->a = sim_node_new(w->net, "a");
	w->b = sim_node_new(w->net, "b");
	assert_int_equal(sim_port_add(w->a, 1, "eth1", mac[0], NULL), 0);
	assert_int_equal(sim_port_add(w->b, 1, "eth1", mac[1], NULL), 0);
	assert_int_equal(sim_link_connect(w->a, 1, w->b, 1, LATENCY), 0);
	sim_port_get(w->a, 1, &v);
	w->a_ll = v.link_local;
	sim_port_get(w->b, 1, &v);
	w->b_ll = v.link_local;
}

static void
world_end(struct world *w)
{
	sim_net_free(w->net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(w->mem.by[k].bytes, 0);
}

/* ---- timers ---- */

struct tick {
	struct world *w;
	const char *name;
	struct rt_timer *timer;
	struct rt_timer *kills;
};

static void
tick(void *arg)
{
	struct tick *t = arg;

	note(t->w, "%s ", t->name);
	if (t->kills)
		rt_timer_free(t->kills);
}

static void
timers_in_order(void **state UNUSED)
{
	struct world w;
	struct tick t[] = { { &w, "late", NULL, NULL }, { &w, "first", NULL, NULL }, { &w, "second", NULL, NULL },
		{ &w, "never", NULL, NULL }, { &w, "killer", NULL, NULL } };

	world_new(&w, 1);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		t[i].timer = rt_timer_new(w.a, tick, &t[i]);
	rt_timer_set(t[0].timer, in_us(&w, 500));
	rt_timer_set(t[1].timer, in_us(&w, 100));
	rt_timer_set(t[2].timer, in_us(&w, 100)); /* the same time: in the order of setting */
	rt_timer_set(t[3].timer, in_us(&w, 50));
	rt_timer_set(t[3].timer, MONO_NEVER);
	t[4].kills = t[4].timer; /* a timer may free itself */
	rt_timer_set(t[4].timer, in_us(&w, 700));
	run(&w, 1000);
	assert_string_equal(w.log, "first second late killer ");
	assert_true(mono_is_never(sim_next(w.net)));
	world_end(&w);
}

static void
timers_many(void **state UNUSED)
{
	struct world w;
	enum { N = 20000 };
	struct rt_timer **t = calloc(N, sizeof(*t));
	struct tick x = { .w = &w, .name = "" };
	struct mono last = { 0 };

	world_new(&w, 2);
	for (int i = 0; i < N; i++) {
		t[i] = rt_timer_new(w.a, tick, &x);
		rt_timer_set(t[i], in_us(&w, (int64_t)(rt_random(w.a) % 1000000)));
	}
	for (int i = 0; i < N; i += 3)
		rt_timer_free(t[i]);
	for (int i = 1; i < N; i += 3)
		rt_timer_set(t[i], in_us(&w, (int64_t)(rt_random(w.a) % 1000000)));
	while (!mono_is_never(sim_next(w.net))) {
		assert_true(sim_next(w.net).us >= last.us);
		last = sim_next(w.net);
		sim_step(w.net);
	}
	free(t);
	world_end(&w);
}

/* ---- work ---- */

struct job {
	struct world *w;
	const char *name;
	int slices;
	struct rt_work *work;
};

static bool
job_slice(void *arg)
{
	struct job *j = arg;

	note(j->w, "%s ", j->name);
	return --j->slices > 0;
}

static void
work_by_priority(void **state UNUSED)
{
	struct world w;
	struct job idle = { &w, "idle", 2, NULL }, normal = { &w, "n1", 2, NULL }, other = { &w, "n2", 2, NULL },
		   urgent = { &w, "urgent", 2, NULL };
	struct tick t = { .w = &w, .name = "timer" };
	struct rt_timer *timer;

	world_new(&w, 3);
	idle.work = rt_work_new(w.a, RT_IDLE, job_slice, &idle);
	normal.work = rt_work_new(w.a, RT_NORMAL, job_slice, &normal);
	other.work = rt_work_new(w.a, RT_NORMAL, job_slice, &other);
	urgent.work = rt_work_new(w.a, RT_URGENT, job_slice, &urgent);
	rt_work_schedule(idle.work);
	rt_work_schedule(normal.work);
	rt_work_schedule(normal.work);
	rt_work_schedule(other.work);
	rt_work_schedule(urgent.work);
	timer = rt_timer_new(w.a, tick, &t);
	rt_timer_set(timer, in_us(&w, 2)); /* comes between slices, never after all of them */
	run(&w, 100);
	assert_string_equal(w.log, "urgent urgent timer n1 n2 n1 n2 idle idle ");
	world_end(&w);
}

static bool
job_endless(void *arg)
{
	(*(int *)arg)++;
	return true;
}

static void
work_never_stops_the_clock(void **state UNUSED)
{
	struct world w;
	int n = 0;
	struct rt_work *work;

	world_new(&w, 4);
	sim_node_slice_cost(w.a, 50);
	work = rt_work_new(w.a, RT_IDLE, job_endless, &n);
	rt_work_schedule(work);
	run(&w, 1000);
	assert_in_range(n, 20, 21);
	rt_work_free(work);
	run(&w, 1000);
	assert_in_range(n, 20, 21);
	world_end(&w);
}

/* ---- streams ---- */

struct peer {
	struct world *w;
	const char *name;
	struct rt_stream *s;
	uint8_t *got;
	size_t ngot, take; /* take: the most used up per call; 0: all */
	const uint8_t *send;
	size_t nsend, sent;
	int opened, closed, error, inputs, writables;
	bool close_on_input, hold;
};

static void
pump(struct peer *p)
{
	while (p->s && p->sent < p->nsend) {
		ssize_t n = rt_write(p->s, p->send + p->sent, p->nsend - p->sent);

		if (n <= 0)
			break;
		p->sent += (size_t)n;
	}
}

static void
peer_opened(void *arg)
{
	struct peer *p = arg;

	p->opened++;
	pump(p);
}

static size_t
peer_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct peer *p = arg;

	p->inputs++;
	if (p->hold)
		return 0;
	if (p->take && n > p->take) {
		n = p->take;
		rt_stream_again(p->s);
	}
	p->got = realloc(p->got, p->ngot + n);
	memcpy(p->got + p->ngot, bytes, n);
	p->ngot += n;
	if (p->close_on_input) {
		rt_stream_close(p->s, false);
		p->s = NULL;
	}
	return n;
}

static void
peer_writable(void *arg)
{
	struct peer *p = arg;

	p->writables++;
	pump(p);
}

static void
peer_closed(void *arg, int error)
{
	struct peer *p = arg;

	p->closed++;
	p->error = error;
	p->s = NULL;
}

static const struct rt_stream_handler peer_handler = { peer_opened, peer_input, peer_writable, peer_closed };

static void
peer_accept(void *arg, struct rt_stream *s, const struct ip *from, uint16_t port)
{
	struct peer *p = arg;

	(void)from;
	assert_true(port >= 1024);
	p->s = s;
	rt_stream_handle(s, &peer_handler, p);
	pump(p);
}

/* A client on a and a server on b, port 179. */
struct pair {
	struct world w;
	struct peer client, server;
	struct rt_listener *listener;
};

static void
pair_begin(struct pair *x, uint64_t seed)
{
	struct rt_stream_options o = { .ifindex = 1, .local_port = 179, .gtsm = true };

	memset(x, 0, sizeof(*x));
	world_new(&x->w, seed);
	x->client.w = x->server.w = &x->w;
	assert_int_equal(rt_listen(x->w.b, &o, peer_accept, &x->server, &x->listener), 0);
	assert_int_equal(rt_listen(x->w.b, &o, peer_accept, &x->server, &x->listener), -EADDRINUSE);
	x->listener = NULL;
}

static void
pair_connect(struct pair *x)
{
	struct rt_stream_options o = { .ifindex = 1, .gtsm = true };

	assert_int_equal(rt_connect(x->w.a, &o, &x->w.b_ll, 179, &peer_handler, &x->client, &x->client.s), 0);
}

static void
pair_end(struct pair *x)
{
	free(x->client.got);
	free(x->server.got);
	world_end(&x->w);
}

static uint8_t *
pattern(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

static void
stream_both_ways(void **state UNUSED)
{
	struct pair x;
	size_t n = 3000000;
	uint8_t *bytes = pattern(n);
	struct ip local, peer;

	pair_begin(&x, 5);
	x.client.send = x.server.send = bytes;
	x.client.nsend = n;
	x.server.nsend = 10000;
	x.server.take = 5000;
	pair_connect(&x);
	run(&x.w, SECONDS(1));
	assert_int_equal(x.client.opened, 1);
	assert_int_equal(x.server.opened, 0);
	assert_int_equal(x.server.ngot, n);
	assert_memory_equal(x.server.got, bytes, n);
	assert_int_equal(x.client.ngot, 10000);
	assert_memory_equal(x.client.got, bytes, 10000);
	assert_true(x.client.writables > 1); /* the window was full more than once */
	assert_int_equal(rt_stream_local(x.client.s, &local, &peer), 0);
	assert_true(ip_equal(&local, &x.w.a_ll) && ip_equal(&peer, &x.w.b_ll));
	rt_stream_close(x.client.s, false);
	x.client.s = NULL;
	run(&x.w, 1000);
	assert_int_equal(x.server.closed, 1);
	assert_int_equal(x.server.error, 0);
	assert_int_equal(x.client.closed, 0); /* who closes is not told */
	free(bytes);
	pair_end(&x);
}

static void
stream_bytes_before_close_arrive(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, 6);
	pair_connect(&x);
	run(&x.w, 1000);
	assert_int_equal(rt_write(x.client.s, (const uint8_t *)"goodbye", 7), 7);
	rt_stream_close(x.client.s, false);
	run(&x.w, 1000);
	assert_int_equal(x.server.ngot, 7);
	assert_int_equal(x.server.closed, 1);
	assert_int_equal(x.server.error, 0);
	pair_end(&x);
}

static void
stream_reset_overtakes(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, 7);
	pair_connect(&x);
	run(&x.w, 1000);
	rt_stream_close(x.client.s, true);
	run(&x.w, 1000);
	assert_int_equal(x.server.error, -ECONNRESET);
	pair_end(&x);
}

static void
stream_refused_and_unreachable(void **state UNUSED)
{
	struct pair x;
	struct rt_stream_options o = { .ifindex = 1 };
	struct ip nobody;

	pair_begin(&x, 8);
	assert_int_equal(rt_connect(x.w.a, &o, &x.w.b_ll, 180, &peer_handler, &x.client, &x.client.s), 0);
	assert_int_equal(x.client.closed, 0); /* never from inside the call */
	run(&x.w, 2 * LATENCY - 1);
	assert_int_equal(x.client.closed, 0);
	run(&x.w, 1);
	assert_int_equal(x.client.error, -ECONNREFUSED);
	ip_parse("fe80::99", &nobody);
	assert_int_equal(rt_connect(x.w.a, &o, &nobody, 179, &peer_handler, &x.client, &x.client.s), 0);
	run(&x.w, SECONDS(3));
	assert_int_equal(x.client.error, -EHOSTUNREACH);
	o.ifindex = 77;
	assert_int_equal(rt_connect(x.w.a, &o, &nobody, 179, &peer_handler, &x.client, &x.client.s), -ENODEV);
	o.ifindex = 0;
	assert_int_equal(rt_connect(x.w.a, &o, &nobody, 179, &peer_handler, &x.client, &x.client.s), -EINVAL);
	pair_end(&x);
}

/* A wrong hop limit or key is met with silence: the connect times out. */
static void
stream_gtsm_and_md5(void **state UNUSED)
{
	static const struct {
		const char *name, *server_key, *client_key;
		bool server_gtsm, client_gtsm;
		uint8_t server_sends, client_sends; /* 0: 255, since they are bound to a port */
		int want;                           /* 0: open */
	} cases[] = {
		{ "both keys", "secret", "secret", true, true, 0, 0, 0 },
		{ "no key at the client", "secret", NULL, true, true, 0, 0, -ETIMEDOUT },
		{ "other key", "secret", "sacred", true, true, 0, 0, -ETIMEDOUT },
		{ "no key at the server", NULL, "secret", true, true, 0, 0, -ETIMEDOUT },
		{ "the client sends 64", NULL, NULL, true, true, 0, 64, -ETIMEDOUT },
		{ "the server sends 1", NULL, NULL, true, true, 1, 0, -ETIMEDOUT },
		{ "only the server checks", NULL, NULL, true, false, 0, 0, 0 },
		{ "only the client checks", NULL, NULL, false, true, 0, 0, 0 },
		{ "only the server checks, and sends 1", NULL, NULL, true, false, 1, 0, 0 },
		{ "nobody checks", NULL, NULL, false, false, 1, 64, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rt_stream_options o = { .ifindex = 1, .local_port = 1790, .gtsm = cases[i].server_gtsm };
		struct rt_listener *l;
		struct pair x;

		pair_begin(&x, 9);
		o.hop_limit = cases[i].server_sends;
		o.md5_key = cases[i].server_key;
		prefix_parse("fe80::/64", &o.md5_peer);
		assert_int_equal(rt_listen(x.w.b, &o, peer_accept, &x.server, &l), 0);
		o.local_port = 0;
		o.md5_key = cases[i].client_key;
		o.gtsm = cases[i].client_gtsm;
		o.hop_limit = cases[i].client_sends;
		rt_connect(x.w.a, &o, &x.w.b_ll, 1790, &peer_handler, &x.client, &x.client.s);
		run(&x.w, SECONDS(300));
		if (x.client.error != cases[i].want || x.client.opened != (cases[i].want == 0))
			fail_msg("%s: error %d, opened %d", cases[i].name, x.client.error, x.client.opened);
		pair_end(&x);
	}
}

/* Several keys on one listener: the one of the longest prefix that holds the peer counts. */
static void
stream_keys_of_peers(void **state UNUSED)
{
	static const struct {
		const char *name, *for_peer, *for_other, *client;
		int want;
	} cases[] = {
		{ "the key of all", NULL, "other", "all", 0 },
		{ "the key of this peer", "own", "other", "own", 0 },
		{ "the key of all, where it has one of its own", "own", NULL, "all", -ETIMEDOUT },
		{ "the key of another peer", "own", "other", "other", -ETIMEDOUT },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rt_stream_options o = { .ifindex = 1, .local_port = 1790, .md5_key = "all" };
		struct prefix peer, other;
		struct rt_listener *l;
		struct pair x;

		pair_begin(&x, 9);
		prefix_parse("fe80::/64", &o.md5_peer);
		prefix_parse("fe80::dead/128", &other);
		peer = prefix_of(&x.w.a_ll, 128);
		assert_int_equal(rt_listen(x.w.b, &o, peer_accept, &x.server, &l), 0);
		if (cases[i].for_peer) {
			assert_int_equal(rt_listener_key(l, &peer, "replaced"), 0);
			assert_int_equal(rt_listener_key(l, &peer, cases[i].for_peer), 0);
		}
		if (cases[i].for_other)
			assert_int_equal(rt_listener_key(l, &other, cases[i].for_other), 0);
		o.local_port = 0;
		o.md5_key = cases[i].client;
		rt_connect(x.w.a, &o, &x.w.b_ll, 1790, &peer_handler, &x.client, &x.client.s);
		run(&x.w, SECONDS(300));
		if (x.client.error != cases[i].want || x.client.opened != (cases[i].want == 0))
			fail_msg("%s: error %d, opened %d", cases[i].name, x.client.error, x.client.opened);
		pair_end(&x);
	}
}

static void
stream_zero_window(void **state UNUSED)
{
	struct pair x;
	size_t n = 1000000;
	uint8_t *bytes = pattern(n);

	pair_begin(&x, 10);
	x.client.send = bytes;
	x.client.nsend = n;
	x.server.hold = true;
	pair_connect(&x);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, 0);
	assert_int_equal(x.client.sent, 256 * 1024);
	x.server.hold = false;
	rt_stream_again(x.server.s);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, n);
	assert_memory_equal(x.server.got, bytes, n);
	/* The same by pause: what was written stays, nothing comes. */
	rt_stream_pause(x.server.s, true);
	x.client.sent = 0;
	pump(&x.client);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, n);
	rt_stream_pause(x.server.s, false);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, 2 * n);
	free(bytes);
	pair_end(&x);
}

static void
stream_closed_inside_input(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, 11);
	x.client.send = (const uint8_t *)"hello";
	x.client.nsend = 5;
	x.server.close_on_input = true;
	pair_connect(&x);
	run(&x.w, 10000);
	assert_int_equal(x.server.closed, 0);
	assert_int_equal(x.client.closed, 1);
	assert_int_equal(x.client.error, 0);
	pair_end(&x);
}

/* A dead link holds the bytes; TCP's repetition brings them when it is back. */
static void
stream_over_a_link_that_flaps(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, 12);
	pair_connect(&x);
	run(&x.w, 1000);
	sim_link_set(x.w.a, 1, false);
	rt_write(x.client.s, (const uint8_t *)"held", 4);
	run(&x.w, SECONDS(5));
	assert_int_equal(x.server.ngot, 0);
	sim_link_set(x.w.a, 1, true);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, 4);
	/* On its way when the link goes down and up again: repeated after 200 ms. */
	rt_write(x.client.s, (const uint8_t *)"lost", 4);
	sim_link_set(x.w.a, 1, false);
	sim_link_set(x.w.a, 1, true);
	run(&x.w, MS(150));
	assert_int_equal(x.server.ngot, 4);
	run(&x.w, MS(150));
	assert_int_equal(x.server.ngot, 8);
	/* Too long: the stream is deaf for ever, and nobody is told. */
	sim_link_set(x.w.b, 1, false);
	rt_write(x.client.s, (const uint8_t *)"gone", 4);
	run(&x.w, SECONDS(1000));
	sim_link_set(x.w.b, 1, true);
	run(&x.w, SECONDS(1000));
	assert_int_equal(x.server.ngot, 8);
	assert_int_equal(x.server.closed + x.client.closed, 0);
	assert_int_equal(sim_stream_kill(x.w.b, 1, -ETIMEDOUT), 1);
	run(&x.w, 1);
	assert_int_equal(x.client.error, -ETIMEDOUT);
	assert_int_equal(x.server.error, -ETIMEDOUT);
	pair_end(&x);
}

static void
stream_silent_loss_one_way(void **state UNUSED)
{
	struct pair x;
	struct sim_impair black = { .black = true }, none = { 0 };
	struct sim_port_view v;

	pair_begin(&x, 13);
	pair_connect(&x);
	run(&x.w, 1000);
	sim_link_impair(x.w.a, 1, &black);
	rt_write(x.client.s, (const uint8_t *)"void", 4);
	rt_write(x.server.s, (const uint8_t *)"fine", 4);
	run(&x.w, SECONDS(5));
	assert_int_equal(x.server.ngot, 0);
	assert_int_equal(x.client.ngot, 4);
	sim_port_get(x.w.a, 1, &v);
	assert_true(v.carrier);
	sim_link_impair(x.w.a, 1, &none);
	run(&x.w, SECONDS(10));
	assert_int_equal(x.server.ngot, 4);
	pair_end(&x);
}

static void
connect_waits_for_the_link(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, 14);
	sim_link_set(x.w.a, 1, false);
	pair_connect(&x);
	run(&x.w, MS(500));
	sim_link_set(x.w.a, 1, true);
	run(&x.w, SECONDS(1));
	assert_int_equal(x.client.opened, 1);
	pair_end(&x);
}

/* ---- crashes and stalls ---- */

static void
node_killed(void **state UNUSED)
{
	struct pair x;
	struct tick t = { .w = &x.w, .name = "timer" };
	struct rt_timer *timer;
	struct rt_stream *orphan;

	pair_begin(&x, 15);
	pair_connect(&x);
	run(&x.w, 1000);
	timer = rt_timer_new(x.w.b, tick, &t);
	rt_timer_set(timer, in_us(&x.w, 10));
	orphan = x.server.s;
	sim_node_crash(x.w.b, SIM_KILLED);
	run(&x.w, 1000);
	assert_string_equal(x.w.log, "");
	assert_int_equal(x.client.closed, 1);
	assert_int_equal(x.server.closed, 0); /* the dead are not told */
	/* Nothing listens any more. */
	pair_connect(&x);
	run(&x.w, 1000);
	assert_int_equal(x.client.error, -ECONNREFUSED);
	/* What the dead are asked to do has no effect; they can be freed. */
	rt_timer_set(timer, in_us(&x.w, 10));
	assert_int_equal(rt_write(orphan, (const uint8_t *)"x", 1), -EPIPE);
	rt_stream_close(orphan, false);
	run(&x.w, 1000);
	assert_string_equal(x.w.log, "");
	rt_timer_free(timer);
	sim_node_boot(x.w.b);
	timer = rt_timer_new(x.w.b, tick, &t);
	rt_timer_set(timer, in_us(&x.w, 10));
	run(&x.w, 1000);
	assert_string_equal(x.w.log, "timer ");
	pair_end(&x);
}

static void
node_dark(void **state UNUSED)
{
	struct pair x;
	struct sim_port_view v;

	pair_begin(&x, 16);
	pair_connect(&x);
	run(&x.w, 1000);
	sim_node_crash(x.w.b, SIM_DARK);
	sim_port_get(x.w.a, 1, &v);
	assert_false(v.carrier);
	rt_write(x.client.s, (const uint8_t *)"hello?", 6);
	run(&x.w, SECONDS(60));
	assert_int_equal(x.client.closed, 0); /* silence */
	sim_node_boot(x.w.b);
	run(&x.w, SECONDS(120)); /* TCP repeats, and the booted kernel does not know the connection */
	assert_int_equal(x.client.error, -ECONNRESET);
	pair_end(&x);
}

static void
node_stalled(void **state UNUSED)
{
	struct pair x;
	struct tick t = { .w = &x.w, .name = "timer" };
	struct rt_timer *timer;

	pair_begin(&x, 17);
	pair_connect(&x);
	run(&x.w, 1000);
	timer = rt_timer_new(x.w.b, tick, &t);
	rt_timer_set(timer, in_us(&x.w, 1000));
	sim_node_stall(x.w.b, SECONDS(2));
	rt_write(x.client.s, (const uint8_t *)"late", 4);
	run(&x.w, SECONDS(1));
	assert_int_equal(x.server.ngot, 0);
	assert_string_equal(x.w.log, "");
	run(&x.w, SECONDS(1));
	assert_int_equal(x.server.ngot, 4);
	assert_string_equal(x.w.log, "timer ");
	pair_end(&x);
}

static void
unix_accept(void *arg, struct rt_stream *s, const struct ip *from UNUSED, uint16_t port)
{
	struct peer *p = arg;
	uint32_t uid = 99;

	assert_int_equal(port, 0);
	p->s = s;
	assert_int_equal(((struct runtime *)s)->ops->stream_peer_uid(s, &uid), 0);
	assert_int_equal(uid, 0);
	rt_stream_handle(s, &peer_handler, p);
	pump(p);
}

static void
unix_query(void **state UNUSED)
{
	struct pair x;
	struct rt_listener *l;

	pair_begin(&x, 19);
	assert_int_equal(rt_connect_unix(x.w.b, "/run/x", &peer_handler, &x.client, &x.client.s), -ENOENT);
	assert_int_equal(rt_listen_unix(x.w.b, "/run/x", 0660, unix_accept, &x.server, &l), 0);
	assert_int_equal(rt_listen_unix(x.w.b, "/run/x", 0660, unix_accept, &x.server, &l), -EADDRINUSE);
	x.server.send = (const uint8_t *)"answer";
	x.server.nsend = 6;
	assert_int_equal(sim_unix_connect(x.w.a, x.w.b, "/run/x", &peer_handler, &x.client, &x.client.s), 0);
	run(&x.w, 1000);
	assert_int_equal(x.client.ngot, 6);
	rt_stream_close(x.server.s, false);
	run(&x.w, 1000);
	assert_int_equal(x.client.closed, 1);
	pair_end(&x);
}

static void
numbered_session(void **state UNUSED)
{
	struct pair x;
	struct rt_stream_options o = { .local_port = 179 };
	struct rt_listener *l;
	struct ip la, lb, other;

	pair_begin(&x, 20);
	ip_parse("192.0.2.0", &la);
	ip_parse("192.0.2.1", &lb);
	ip_parse("192.0.2.9", &other);
	sim_port_address(x.w.a, 1, &la);
	sim_port_address(x.w.b, 1, &lb);
	o.local = lb;
	assert_int_equal(rt_listen(x.w.b, &o, peer_accept, &x.server, &l), 0);
	o = (struct rt_stream_options){ .local = la };
	assert_int_equal(rt_connect(x.w.a, &o, &lb, 179, &peer_handler, &x.client, &x.client.s), 0);
	run(&x.w, 1000);
	assert_int_equal(x.client.opened, 1);
	assert_int_equal(rt_connect(x.w.a, &o, &other, 179, &peer_handler, &x.client, &x.client.s), -ENETUNREACH);
	o.local = other;
	assert_int_equal(rt_connect(x.w.a, &o, &lb, 179, &peer_handler, &x.client, &x.client.s), -EADDRNOTAVAIL);
	pair_end(&x);
}

/* ---- packets ---- */

struct sniff {
	struct world *w;
	struct rt_packets *p;
	int n;
	bool close;
};

static void
sniffed(void *arg, const struct rt_packet *p)
{
	struct sniff *s = arg;

	s->n++;
	if (p->hop_limit)
		assert_int_equal(icmp6_sum(&p->src, &p->dst, p->bytes, p->n), 0);
	if (s->close) {
		rt_packets_close(s->p);
		s->p = NULL;
	}
}

static void
packets_reach_who_they_are_for(void **state UNUSED)
{
	static const uint8_t rs[8] = { 133 };
	static const uint8_t group[6] = { 1, 0x80, 0xc2, 0, 0, 0xe };
	uint8_t frame[60] = { 1, 0x80, 0xc2, 0, 0, 0xe, 2, 0, 0, 0, 0, 1, 0x88, 0xcc };
	struct world w;
	struct sniff a = { .w = &w }, b1 = { .w = &w }, b2 = { .w = &w, .close = true }, lldp = { .w = &w },
		     fa = { .w = &w };
	struct ip all, other;

	world_new(&w, 21);
	ip_parse("ff02::2", &all);
	ip_parse("fe80::77", &other);
	assert_int_equal(rt_nd_open(w.a, 9, sniffed, &a, &a.p), -ENODEV);
	rt_nd_open(w.a, 1, sniffed, &a, &a.p);
	rt_nd_open(w.b, 1, sniffed, &b1, &b1.p);
	rt_nd_open(w.b, 1, sniffed, &b2, &b2.p);
	rt_frames_open(w.b, 1, 0x88cc, group, sniffed, &lldp, &lldp.p);
	rt_frames_open(w.a, 1, 0x88cc, group, sniffed, &fa, &fa.p);
	rt_packet_send(a.p, &all, rs, sizeof(rs));
	rt_packet_send(a.p, &w.b_ll, rs, sizeof(rs));
	rt_packet_send(a.p, &other, rs, sizeof(rs)); /* nobody's */
	run(&w, LATENCY);
	assert_int_equal(b1.n, 2);
	assert_int_equal(b2.n, 1); /* closed itself */
	assert_int_equal(a.n, 0);
	assert_int_equal(lldp.n, 0);
	rt_packet_send(fa.p, NULL, frame, sizeof(frame));
	frame[13] = 0xdd;
	rt_packet_send(fa.p, NULL, frame, sizeof(frame));
	frame[13] = 0xcc;
	frame[5] = 0xf;
	rt_packet_send(fa.p, NULL, frame, sizeof(frame));
	run(&w, LATENCY);
	assert_int_equal(lldp.n, 1);
	/* Nothing passes a link that is down, nor what was on its way when it went down. */
	rt_packet_send(a.p, &all, rs, sizeof(rs));
	sim_link_set(w.a, 1, false);
	rt_packet_send(a.p, &all, rs, sizeof(rs));
	sim_link_set(w.a, 1, true);
	run(&w, LATENCY);
	assert_int_equal(b1.n, 2);
	sim_port_set(w.a, 1, false);
	assert_int_equal(rt_packet_send(a.p, &all, rs, sizeof(rs)), -ENETDOWN);
	world_end(&w);
}

static void
packets_lost_and_doubled(void **state UNUSED)
{
	static const uint8_t rs[8] = { 133 };
	struct world w;
	struct sniff a = { .w = &w }, b = { .w = &w };
	struct sim_impair bad = { .loss_ppm = 300000, .duplicate_ppm = 100000, .jitter_us = 500 };
	struct ip all;

	world_new(&w, 22);
	ip_parse("ff02::2", &all);
	rt_nd_open(w.a, 1, sniffed, &a, &a.p);
	rt_nd_open(w.b, 1, sniffed, &b, &b.p);
	sim_link_impair(w.a, 1, &bad);
	for (int i = 0; i < 10000; i++)
		rt_packet_send(a.p, &all, rs, sizeof(rs));
	run(&w, SECONDS(1));
	assert_in_range(b.n, 7500, 7900); /* 10000 x 0.7 x 1.1 = 7700 */
	world_end(&w);
}

static void
carrier_changed(void *arg, struct runtime *node, uint32_t ifindex, bool up)
{
	note(arg, "%s%u%s ", sim_node_name(node), ifindex, up ? "+" : "-");
}

static void
carrier_is_told(void **state UNUSED)
{
	struct world w;

	world_new(&w, 23);
	sim_carrier_watch(w.net, carrier_changed, &w, 0);
	run(&w, 10);
	assert_string_equal(w.log, "a1+ b1+ ");
	sim_link_set(w.b, 1, false);
	run(&w, 10);
	sim_link_set(w.a, 1, true);
	run(&w, 10);
	sim_port_set(w.a, 1, false);
	run(&w, 10);
	sim_port_set(w.a, 1, true);
	sim_node_crash(w.b, SIM_DARK);
	run(&w, 10);
	sim_node_boot(w.b);
	run(&w, 10);
	assert_string_equal(w.log, "a1+ b1+ a1- b1- a1+ b1+ a1- b1- a1+ b1+ ");
	assert_int_equal(sim_link_disconnect(w.a, 1), 0);
	assert_int_equal(sim_link_set(w.a, 1, true), -ENODEV);
	run(&w, 10);
	assert_int_equal(sim_link_connect(w.a, 1, w.b, 1, 5), 0);
	assert_int_equal(sim_link_connect(w.a, 1, w.b, 1, 5), -EBUSY);
	run(&w, 10);
	assert_non_null(strstr(w.log, "a1+ b1+ a1- b1- a1+ b1+ "));
	world_end(&w);
}

static void
bandwidth_takes_time(void **state UNUSED)
{
	struct pair x;
	size_t n = 1000000;
	uint8_t *bytes = pattern(n);

	pair_begin(&x, 24);
	sim_link_bandwidth(x.w.a, 1, 8000000); /* a megabyte a second */
	x.client.send = bytes;
	x.client.nsend = n;
	pair_connect(&x);
	run(&x.w, MS(500));
	assert_in_range(x.server.ngot, 400000, 500000);
	run(&x.w, MS(600));
	assert_int_equal(x.server.ngot, n);
	free(bytes);
	pair_end(&x);
}

/* ---- the same seed, the same run ---- */

static uint64_t
noisy_run(uint64_t seed)
{
	struct pair x;
	struct sim_impair bad = { .loss_ppm = 50000, .jitter_us = 900 };
	size_t n = 300000;
	uint8_t *bytes = pattern(n);
	struct sim_stats s;
	uint64_t print;

	pair_begin(&x, seed);
	sim_link_impair(x.w.a, 1, &bad);
	sim_link_impair(x.w.b, 1, &bad);
	x.client.send = x.server.send = bytes;
	x.client.nsend = x.server.nsend = n;
	x.server.take = 3000;
	pair_connect(&x);
	run(&x.w, SECONDS(30));
	assert_int_equal(x.server.ngot, n);
	assert_memory_equal(x.server.got, bytes, n);
	sim_stats(x.w.net, &s);
	print = s.events * 1000003 + s.segments * 10007 + (uint64_t)x.client.inputs * 101 + (uint64_t)x.server.inputs;
	free(bytes);
	pair_end(&x);
	return print;
}

static void
same_seed_same_run(void **state UNUSED)
{
	assert_true(noisy_run(42) == noisy_run(42));
	assert_true(noisy_run(42) != noisy_run(43));
}

static bool
not_closed(void *arg)
{
	return ((struct peer *)arg)->closed == 0;
}

static void
run_while_has_a_limit(void **state UNUSED)
{
	struct pair x;
	struct mono limit;

	pair_begin(&x, 25);
	pair_connect(&x);
	limit = in_us(&x.w, SECONDS(5));
	assert_false(sim_run_while(x.w.net, not_closed, &x.client, limit));
	assert_true(sim_now(x.w.net).us == limit.us);
	rt_stream_close(x.server.s, false);
	assert_true(sim_run_while(x.w.net, not_closed, &x.client, in_us(&x.w, SECONDS(5))));
	assert_true(sim_now(x.w.net).us < limit.us + 1000);
	pair_end(&x);
}

static void
count(void *arg)
{
	++*(size_t *)arg;
}

/* A chain of cables through thousands of nodes: each has its carriers, and its own timer, in one process. */
static void
thousands_of_nodes(void **state UNUSED)
{
	enum { NODES = 5000 };
	struct mem mem = { 0 };
	struct sim_net *net = sim_net_new(&mem, 1);
	struct runtime *last = NULL;
	size_t fired = 0, lit = 0;
	struct sim_port_view v;
	struct sim_stats stats;
	char name[16];

	for (unsigned int i = 0; i < NODES; i++) {
		uint8_t mac[6] = { 2, 0, 0, (uint8_t)(i >> 8), (uint8_t)i, 0 };
		struct runtime *rt;

		snprintf(name, sizeof(name), "n%u", i);
		rt = sim_node_new(net, name);
		for (uint32_t port = 1; port <= 2; port++, mac[5]++)
			assert_int_equal(sim_port_add(rt, port, port == 1 ? "eth1" : "eth2", mac, NULL), 0);
		if (last)
			assert_int_equal(sim_link_connect(last, 2, rt, 1, LATENCY), 0);
		rt_timer_set(rt_timer_new(rt, count, &fired), mono_add(sim_now(net), 1 + i));
		last = rt;
	}
	sim_run_until(net, mono_add(sim_now(net), NODES / 2));
	assert_int_equal(fired, NODES / 2);
	sim_run_until(net, mono_add(sim_now(net), NODES));
	assert_int_equal(fired, NODES);
	for (unsigned int i = 0; i < NODES; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		for (uint32_t port = 1; port <= 2; port++) {
			assert_int_equal(sim_port_get(sim_node_find(net, name), port, &v), 0);
			lit += v.carrier;
		}
	}
	assert_int_equal(lit, 2 * (NODES - 1));
	sim_stats(net, &stats);
	assert_int_equal(stats.nodes, NODES);
	assert_int_equal(stats.links, NODES - 1);
	sim_net_free(net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(mem.by[k].bytes, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_in_order),
		cmocka_unit_test(timers_many),
		cmocka_unit_test(work_by_priority),
		cmocka_unit_test(work_never_stops_the_clock),
		cmocka_unit_test(stream_both_ways),
		cmocka_unit_test(stream_bytes_before_close_arrive),
		cmocka_unit_test(stream_reset_overtakes),
		cmocka_unit_test(stream_refused_and_unreachable),
		cmocka_unit_test(stream_gtsm_and_md5),
		cmocka_unit_test(stream_keys_of_peers),
		cmocka_unit_test(stream_zero_window),
		cmocka_unit_test(stream_closed_inside_input),
		cmocka_unit_test(stream_over_a_link_that_flaps),
		cmocka_unit_test(stream_silent_loss_one_way),
		cmocka_unit_test(connect_waits_for_the_link),
		cmocka_unit_test(node_killed),
		cmocka_unit_test(node_dark),
		cmocka_unit_test(node_stalled),
		cmocka_unit_test(unix_query),
		cmocka_unit_test(numbered_session),
		cmocka_unit_test(packets_reach_who_they_are_for),
		cmocka_unit_test(packets_lost_and_doubled),
		cmocka_unit_test(carrier_is_told),
		cmocka_unit_test(bandwidth_takes_time),
		cmocka_unit_test(same_seed_same_run),
		cmocka_unit_test(run_while_has_a_limit),
		cmocka_unit_test(thousands_of_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
