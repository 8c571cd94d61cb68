/*
 * The loop of a real switch, on loopback, on UNIX sockets, and (as root or in a user namespace) on a pair of virtual
 * Ethernet ports in a network namespace of its own.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/event/event.h"
#include "tests/support/counters.h"

struct bench {
	struct mem mem;
	struct runtime *rt;
	char log[512];
};

static void
begin(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->rt = rt_event_new(&b->mem);
	assert_non_null(b->rt);
}

static void
end(struct bench *b)
{
	rt_event_free(b->rt);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(b->mem.by[k].bytes, 0);
}

static struct mono
in_us(struct bench *b, int64_t us)
{
	return mono_add(rt_clock(b->rt), us);
}

/* Turns until the condition holds, or ten seconds have passed. */
#define UNTIL(b, condition)                                                                                            \
	do {                                                                                                           \
		struct mono limit_ = in_us(b, SECONDS(10));                                                            \
		while (!(condition) && !mono_due(limit_, rt_clock((b)->rt)))                                           \
			assert_int_equal(rt_event_turn((b)->rt, MS(50)), 0);                                           \
		assert_true(condition);                                                                                \
	} while (0)

static void
note(struct bench *b, const char *what)
{
	size_t n = strlen(b->log);

	snprintf(b->log + n, sizeof(b->log) - n, "%s ", what);
}

/* ---- timers and work ---- */

struct item {
	struct bench *b;
	const char *name;
	struct rt_timer *timer;
	struct rt_work *work;
	int slices;
};

static void
on_timer(void *arg)
{
	struct item *i = arg;

	note(i->b, i->name);
	if (i->slices-- > 0)
		rt_timer_set(i->timer, rt_now(i->b->rt)); /* due at once: but in the next turn */
}

static bool
on_slice(void *arg)
{
	struct item *i = arg;

	note(i->b, i->name);
	return --i->slices > 0;
}

static void
turn_order(void **state UNUSED)
{
	struct bench b;
	struct item t = { &b, "timer", NULL, NULL, 2 }, idle = { &b, "idle", NULL, NULL, 2 },
		    urgent = { &b, "urgent", NULL, NULL, 1 };
	struct item late = { &b, "late", NULL, NULL, 0 };

	begin(&b);
	t.timer = rt_timer_new(b.rt, on_timer, &t);
	late.timer = rt_timer_new(b.rt, on_timer, &late);
	idle.work = rt_work_new(b.rt, RT_IDLE, on_slice, &idle);
	urgent.work = rt_work_new(b.rt, RT_URGENT, on_slice, &urgent);
	rt_work_schedule(idle.work);
	rt_work_schedule(urgent.work);
	rt_timer_set(late.timer, in_us(&b, MS(30)));
	rt_timer_set(t.timer, in_us(&b, 0));
	UNTIL(&b, strstr(b.log, "late"));
	assert_string_equal(b.log, "timer urgent timer idle timer idle late ");
	end(&b);
}

static void
many_timers(void **state UNUSED)
{
	struct bench b;
	enum { N = 3000 };
	struct item *t = calloc(N, sizeof(*t));

	begin(&b);
	for (int i = 0; i < N; i++) {
		t[i].b = &b;
		t[i].name = "";
		t[i].timer = rt_timer_new(b.rt, on_timer, &t[i]);
		rt_timer_set(t[i].timer, in_us(&b, (int64_t)(rt_random(b.rt) % MS(20))));
	}
	for (int i = 0; i < N; i += 3)
		rt_timer_free(t[i].timer);
	for (int i = 1; i < N; i += 3)
		rt_timer_set(t[i].timer, MONO_NEVER);
	for (int i = 2; i < N; i += 3)
		UNTIL(&b, t[i].slices < 0);
	for (int i = 1; i < N; i += 3)
		assert_int_equal(t[i].slices, 0);
	free(t);
	end(&b);
}

static void
on_signal(void *arg, int signo)
{
	struct bench *b = arg;

	note(b, signo == SIGHUP ? "hup" : "term");
	if (signo == SIGTERM)
		rt_event_stop(b->rt);
}

static void
test_P11_signals(void **state UNUSED)
{
	struct bench b;

	begin(&b);
	assert_int_equal(rt_event_signal(b.rt, SIGHUP, on_signal, &b), 0);
	assert_int_equal(rt_event_signal(b.rt, SIGTERM, on_signal, &b), 0);
	for (int i = 0; i < 100; i++)
		kill(getpid(), SIGPIPE); /* ignored */
	kill(getpid(), SIGHUP);
	UNTIL(&b, strstr(b.log, "hup"));
	kill(getpid(), SIGTERM);
	assert_int_equal(rt_event_run(b.rt), 0); /* comes back */
	assert_non_null(strstr(b.log, "term"));
	end(&b);
}

static void
on_watch(void *arg, unsigned int what)
{
	struct bench *b = arg;

	note(b, what == RT_READ ? "read" : what == RT_WRITE ? "write" : "both");
}

static void
watched_descriptor(void **state UNUSED)
{
	struct bench b;
	struct rt_watch *w;
	int fds[2];
	char c;

	begin(&b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(rt_watch_new(b.rt, fds[0], on_watch, &b, &w), 0);
	rt_watch_set(w, RT_WRITE);
	UNTIL(&b, strstr(b.log, "write"));
	rt_watch_set(w, RT_READ);
	b.log[0] = '\0';
	rt_event_turn(b.rt, MS(5));
	assert_string_equal(b.log, "");
	assert_int_equal(write(fds[1], "x", 1), 1);
	UNTIL(&b, strstr(b.log, "read"));
	assert_int_equal(read(fds[0], &c, 1), 1);
	rt_watch_free(w);
	close(fds[0]);
	close(fds[1]);
	end(&b);
}

/* ---- streams ---- */

struct peer {
	struct bench *b;
	struct rt_stream *s;
	uint8_t *got;
	size_t ngot, cap, take;
	const uint8_t *send;
	size_t nsend, sent;
	int opened, closed, error, writables, accepts;
	bool hold, close_on_input, close_when_sent;
	struct ip from;
};

static void
pump(struct peer *p)
{
	while (p->s && p->sent < p->nsend) {
		ssize_t n = rt_write(p->s, p->send + p->sent, p->nsend - p->sent);

		if (n <= 0)
			return;
		p->sent += (size_t)n;
	}
	if (p->s && p->close_when_sent) {
		rt_stream_close(p->s, false);
		p->s = NULL;
	}
}

static void
on_opened(void *arg)
{
	struct peer *p = arg;

	p->opened++;
	pump(p);
}

static size_t
on_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct peer *p = arg;

	if (p->hold)
		return 0;
	if (p->take && n > p->take) {
		n = p->take;
		rt_stream_again(p->s);
	}
	if (p->ngot + n > p->cap) {
		p->cap = (p->ngot + n) * 2;
		p->got = realloc(p->got, p->cap);
	}
	memcpy(p->got + p->ngot, bytes, n);
	p->ngot += n;
	if (p->close_on_input) {
		assert_int_equal(rt_write(p->s, (const uint8_t *)"bye", 3), 3);
		rt_stream_close(p->s, false);
		p->s = NULL;
		return 1; /* the rest is nobody's */
	}
	return n;
}

static void
on_writable(void *arg)
{
	struct peer *p = arg;

	p->writables++;
	pump(p);
}

static void
on_closed(void *arg, int error)
{
	struct peer *p = arg;

	p->closed++;
	p->error = error;
	rt_stream_close(p->s, false); /* allowed, and nothing */
	p->s = NULL;
}

static const struct rt_stream_handler handler = { on_opened, on_input, on_writable, on_closed };

static void
on_accept(void *arg, struct rt_stream *s, const struct ip *from, uint16_t port UNUSED)
{
	struct peer *p = arg;

	p->accepts++;
	p->from = *from;
	p->s = s;
	rt_stream_handle(s, &handler, p);
	pump(p);
}

struct pair {
	struct bench b;
	struct peer client, server;
	struct rt_listener *listener;
	struct ip loopback;
	uint16_t port;
};

static void
pair_begin(struct pair *x, const char *address, const struct rt_stream_options *extra)
{
	struct rt_stream_options o = { 0 };
	int err;

	memset(x, 0, sizeof(*x));
	begin(&x->b);
	x->client.b = x->server.b = &x->b;
	assert_true(ip_parse(address, &x->loopback));
	if (extra)
		o = *extra;
	o.local = x->loopback;
	do { /* somebody else may have the port */
		x->port = (uint16_t)(20000 + rt_random(x->b.rt) % 10000);
		o.local_port = x->port;
		err = rt_listen(x->b.rt, &o, on_accept, &x->server, &x->listener);
	} while (err == -EADDRINUSE);
	assert_int_equal(err, 0);
}

static void
pair_connect(struct pair *x, const struct rt_stream_options *extra)
{
	struct rt_stream_options o = { 0 };
	int opened = x->client.opened;

	if (extra)
		o = *extra;
	assert_int_equal(rt_connect(x->b.rt, &o, &x->loopback, x->port, &handler, &x->client, &x->client.s), 0);
	assert_int_equal(x->client.opened, opened); /* never from inside the call */
}

static void
pair_end(struct pair *x)
{
	free(x->client.got);
	free(x->server.got);
	end(&x->b);
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
both_ways(const char *address, const struct rt_stream_options *o)
{
	struct pair x;
	size_t n = 5000000;
	uint8_t *bytes = pattern(n);
	struct ip local, peer;
	struct rt_event_stats s;

	pair_begin(&x, address, o);
	x.client.send = x.server.send = bytes;
	x.client.nsend = x.server.nsend = n;
	x.server.take = 100000;
	pair_connect(&x, o);
	UNTIL(&x.b, x.client.ngot == n && x.server.ngot == n);
	assert_memory_equal(x.server.got, bytes, n);
	assert_memory_equal(x.client.got, bytes, n);
	assert_int_equal(x.client.opened, 1);
	assert_true(x.client.writables > 0);
	assert_true(ip_equal(&x.server.from, &x.loopback));
	assert_int_equal(rt_stream_local(x.client.s, &local, &peer), 0);
	assert_true(ip_equal(&local, &x.loopback) && ip_equal(&peer, &x.loopback));
	rt_event_stats(x.b.rt, &s);
	assert_int_equal(s.leftover_bytes, 0);
	assert_int_equal(s.streams, 2);
	rt_stream_close(x.client.s, false);
	UNTIL(&x.b, x.server.closed);
	assert_int_equal(x.server.error, 0);
	assert_int_equal(x.client.closed, 0);
	free(bytes);
	pair_end(&x);
}

static void
tcp_both_ways(void **state UNUSED)
{
	struct rt_stream_options o = { .gtsm = true, .tclass = 0xc0, .keep_small = true };

	both_ways("127.0.0.1", NULL);
	both_ways("::1", NULL);
	both_ways("::1", &o);
	both_ways("127.0.0.1", &o);
}

/* G9: many busy peers, each costly to read: timers still run between them, and every peer gets its turn. */
enum { BUSY = 16 };

struct busy {
	struct bench *b;
	struct rt_stream *s[BUSY];
	int n, reads[BUSY];
	struct rt_timer *tick;
	int ticks, between, most_between; /* reads since the last tick, and the most of them */
};

struct busy_one {
	struct busy *all;
	int i;
};

static size_t
busy_input(void *arg, const uint8_t *bytes UNUSED, size_t n)
{
	struct busy_one *one = arg;
	struct mono until = mono_add(rt_clock(one->all->b->rt), MS(2));

	while (!mono_due(until, rt_clock(one->all->b->rt)))
		;
	one->all->reads[one->i]++;
	one->all->between++;
	one->all->most_between = MAX_OF(one->all->most_between, one->all->between);
	return n;
}

static void
busy_tick(void *arg)
{
	struct busy *all = arg;
	struct mono now = rt_clock(all->b->rt);

	all->ticks++;
	all->between = 0;
	rt_timer_set(all->tick, mono_add(now, MS(1))); /* each read takes longer than that */
}

static void
busy_closed(void *arg UNUSED, int error UNUSED)
{
}

static void
busy_accept(void *arg, struct rt_stream *s, const struct ip *from UNUSED, uint16_t port UNUSED)
{
	static const struct rt_stream_handler busy_handler = { .input = busy_input, .closed = busy_closed };
	struct busy_one *ones = arg;
	struct busy *all = ones[0].all;

	rt_stream_handle(s, &busy_handler, &ones[all->n]);
	all->s[all->n++] = s;
}

static void
busy_peers_do_not_delay_timers(void **state UNUSED)
{
	static const struct rt_stream_handler idle = { .input = on_input, .closed = busy_closed };
	static uint8_t bytes[8192];
	struct bench b;
	struct busy all = { .b = &b };
	struct busy_one ones[BUSY];
	struct rt_stream *out[BUSY];
	struct rt_stream_options o = { 0 };
	struct rt_listener *l;
	struct ip loopback;
	int most = 0, least = 0;

	begin(&b);
	assert_true(ip_parse("::1", &loopback));
	o.local = loopback;
	for (int i = 0; i < BUSY; i++)
		ones[i] = (struct busy_one){ &all, i };
	do
		o.local_port = (uint16_t)(20000 + rt_random(b.rt) % 10000);
	while (rt_listen(b.rt, &o, busy_accept, ones, &l) == -EADDRINUSE);
	for (int i = 0; i < BUSY; i++) {
		struct rt_stream_options c = { 0 };

		assert_int_equal(rt_connect(b.rt, &c, &loopback, o.local_port, &idle, NULL, &out[i]), 0);
	}
	UNTIL(&b, all.n == BUSY);
	all.tick = rt_timer_new(b.rt, busy_tick, &all);
	rt_timer_set(all.tick, in_us(&b, 0));
	for (int turns = 0; least < 10; turns++) {
		assert_true(turns < 10000);
		for (int i = 0; i < BUSY; i++) /* always something to read */
			rt_write(out[i], bytes, sizeof(bytes));
		rt_event_turn(b.rt, MS(10));
		least = most = all.reads[0];
		for (int i = 1; i < BUSY; i++) {
			most = MAX_OF(most, all.reads[i]);
			least = MIN_OF(least, all.reads[i]);
		}
	}
	assert_true(most <= 3 * least); /* none is forgotten */
	/* What counts are reads, whatever time the machine lets them take: a turn of all would be sixteen. */
	assert_in_range(all.most_between, 1, 3);
	assert_true(all.ticks >= BUSY * 10 / 3);
	end(&b);
}

/* A close in order loses nothing, even with unread input in the socket, where the kernel would reset. */
static void
close_in_order(void **state UNUSED)
{
	struct pair x;
	uint8_t *bytes = pattern(200000);

	pair_begin(&x, "::1", NULL);
	x.client.send = bytes;
	x.client.nsend = 200000;
	x.server.close_on_input = true;
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.client.closed);
	assert_int_equal(x.client.error, 0);
	assert_int_equal(x.client.ngot, 3);
	assert_memory_equal(x.client.got, "bye", 3);
	assert_int_equal(x.server.closed, 0);
	free(bytes);
	pair_end(&x);
}

static void
close_from_outside_a_callback(void **state UNUSED)
{
	struct pair x;
	uint8_t *bytes = pattern(3000000);

	pair_begin(&x, "::1", NULL);
	x.server.send = bytes;
	x.server.nsend = 3000000;
	x.server.close_when_sent = true;
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.client.closed);
	assert_int_equal(x.client.ngot, 3000000);
	assert_memory_equal(x.client.got, bytes, 3000000);
	assert_int_equal(x.client.error, 0);
	free(bytes);
	pair_end(&x);
}

static void
reset_and_refusal(void **state UNUSED)
{
	struct pair x;

	pair_begin(&x, "::1", NULL);
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.server.s && x.client.opened);
	rt_stream_close(x.server.s, true);
	x.server.s = NULL;
	UNTIL(&x.b, x.client.closed);
	assert_int_equal(x.client.error, -ECONNRESET);
	rt_listener_close(x.listener);
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.client.closed == 2);
	assert_int_equal(x.client.error, -ECONNREFUSED);
	pair_end(&x);
}

/* A reader that stops makes the writer wait; its memory stays bounded. */
static void
test_T08_reader_that_stops(void **state UNUSED)
{
	struct pair x;
	size_t n = 40000000;
	uint8_t *bytes = pattern(n);
	struct rt_event_stats s;
	struct mono until;

	pair_begin(&x, "::1", NULL);
	x.client.send = bytes;
	x.client.nsend = n;
	x.server.hold = true;
	pair_connect(&x, NULL);
	until = in_us(&x.b, MS(500));
	while (!mono_due(until, rt_clock(x.b.rt)))
		rt_event_turn(x.b.rt, MS(10));
	assert_true(x.client.sent < n);
	rt_event_stats(x.b.rt, &s);
	assert_in_range(s.leftover_bytes, 1, 5 * 1024 * 1024);
	x.server.hold = false;
	rt_stream_again(x.server.s);
	UNTIL(&x.b, x.server.ngot == n);
	assert_memory_equal(x.server.got, bytes, n);
	rt_stream_pause(x.server.s, true);
	x.client.sent = 0;
	pump(&x.client);
	rt_event_turn(x.b.rt, MS(10));
	assert_int_equal(x.server.ngot, n);
	rt_stream_pause(x.server.s, false);
	UNTIL(&x.b, x.server.ngot == 2 * n);
	free(bytes);
	pair_end(&x);
}

static void
unix_sockets(void **state UNUSED)
{
	struct pair x;
	struct rt_listener *l, *other;
	char dir[] = "/tmp/event_test.XXXXXX", path[64], far[200];
	struct stat st;
	uint32_t uid = 12345;

	memset(&x, 0, sizeof(x));
	begin(&x.b);
	x.client.b = x.server.b = &x.b;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	memset(far, 'x', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(rt_listen_unix(x.b.rt, far, 0660, on_accept, &x.server, &l), -ENAMETOOLONG);
	assert_int_equal(rt_listen_unix(x.b.rt, dir, 0660, on_accept, &x.server, &l), -EEXIST);
	assert_int_equal(rt_connect_unix(x.b.rt, path, &handler, &x.client, &x.client.s), -ENOENT);
	assert_int_equal(rt_listen_unix(x.b.rt, path, 0640, on_accept, &x.server, &l), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(rt_listen_unix(x.b.rt, path, 0660, on_accept, &x.server, &other), -EADDRINUSE);
	UNTIL(&x.b, x.server.accepts == 1); /* the question whether it is in use */
	UNTIL(&x.b, x.server.closed == 1);
	x.server.send = (const uint8_t *)"answer";
	x.server.nsend = 6;
	assert_int_equal(rt_connect_unix(x.b.rt, path, &handler, &x.client, &x.client.s), 0);
	UNTIL(&x.b, x.client.ngot == 6);
	assert_int_equal(x.b.rt->ops->stream_peer_uid(x.server.s, &uid), 0);
	assert_int_equal(uid, getuid());
	rt_listener_close(l);
	assert_int_equal(stat(path, &st), -1);
	rmdir(dir);
	pair_end(&x);
}

/* ---- who is read first ---- */

struct line {
	struct bench *b;
	const char *name;
	struct rt_stream *s;
	size_t accepted;
};

static size_t
line_input(void *arg, const uint8_t *bytes UNUSED, size_t n)
{
	struct line *l = arg;

	note(l->b, l->name);
	return n;
}

static const struct rt_stream_handler line_handler = { .input = line_input };

static void
line_accept(void *arg, struct rt_stream *s, const struct ip *from UNUSED, uint16_t port UNUSED)
{
	static const char *const names[] = { "far", "a", "b", "c" };
	struct line *lines = arg;
	struct line *l = &lines[++lines[0].accepted];

	*l = (struct line){ .b = lines[0].b, .name = names[l - lines - 1], .s = s };
	rt_stream_handle(s, &line_handler, l);
}

/* What the process that we asked answers is read before what others say, who spoke before it. */
static void
answers_are_read_first(void **state UNUSED)
{
	struct bench b;
	struct line lines[5] = { { .b = &b, .name = "answer" } };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct rt_listener *l;
	char dir[] = "/tmp/event_test.XXXXXX";
	int others[3];

	begin(&b);
	assert_non_null(mkdtemp(dir));
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/socket", dir);
	assert_int_equal(rt_listen_unix(b.rt, to.sun_path, 0600, line_accept, lines, &l), 0);
	assert_int_equal(rt_connect_unix(b.rt, to.sun_path, &line_handler, &lines[0], &lines[0].s), 0);
	UNTIL(&b, lines[0].accepted == 1);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(others[i], (struct sockaddr *)&to, sizeof(to)), 0);
		UNTIL(&b, lines[0].accepted == 2 + i);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(write(others[i], "x", 1), 1);
	assert_int_equal(rt_write(lines[1].s, (const uint8_t *)"x", 1), 1);
	UNTIL(&b, strstr(b.log, "answer") && strstr(b.log, "c "));
	assert_string_equal(b.log, "answer a b c ");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		close(others[i]);
	rt_listener_close(l);
	rmdir(dir);
	end(&b);
}

/* P07: few descriptors: accepting rests, nothing spins, what is established goes on. */
static void
test_P07_few_descriptors(void **state UNUSED)
{
	struct pair x;
	struct rlimit was, few;
	enum { N = 64 };
	struct peer flood[N];
	struct rt_event_stats s, t;
	struct counters told;
	struct rt_stream_options o = { 0 };
	struct mono until;
	int opened = 0;

	pair_begin(&x, "::1", NULL);
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.server.s && x.client.opened);
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)(dup(0) + 40);
	setrlimit(RLIMIT_NOFILE, &few);
	memset(flood, 0, sizeof(flood));
	for (int i = 0; i < N; i++) {
		flood[i].b = &x.b;
		if (rt_connect(x.b.rt, &o, &x.loopback, x.port, &handler, &flood[i], &flood[i].s) == 0)
			opened++;
	}
	assert_true(opened < N); /* the descriptors are used up */
	rt_event_stats(x.b.rt, &s);
	until = in_us(&x.b, MS(300));
	while (!mono_due(until, rt_clock(x.b.rt)))
		rt_event_turn(x.b.rt, MS(50));
	rt_event_stats(x.b.rt, &t);
	assert_true(t.accept_pauses > 0);
	assert_true(t.turns - s.turns < 200);
	rt_counters(x.b.rt, &told);
	counters_are_sound(&told, offsetof(struct rt_event_stats, streams));
	assert_true(counter_named(&told, "accept-pauses") == t.accept_pauses);
	assert_true(counter_named(&told, "turns") == t.turns);
	assert_true(counter_named(&told, "octets-received") == t.bytes_in);
	assert_true(counter_named(&told, "longest-turn") == (uint64_t)t.longest_turn_us);
	x.client.ngot = 0;
	for (int i = 0; i < N; i++)
		rt_stream_close(flood[i].s, true);
	setrlimit(RLIMIT_NOFILE, &was);
	until = in_us(&x.b, MS(500));
	x.server.accepts = 0;
	pair_connect(&x, NULL);
	UNTIL(&x.b, x.server.accepts > 0 && x.client.opened > 1);
	pair_end(&x);
}

/* ---- ports: in a network namespace with one pair, v0 and v1 ---- */

static int
sh(const char *command)
{
	int r = system(command);

	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

/* In a child process, so that the namespace ends with it. Its exit status is the verdict; 77: not possible here. */
static void
in_namespace(void (*test)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(77);
		if (sh("ip link add v0 address 02:00:00:00:00:10 type veth peer name v1 address 02:00:00:00:00:11 && "
		       "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.v0.accept_dad=0 "
		       "net.ipv6.conf.v1.accept_dad=0 && ip link set lo up && ip link set v0 up && ip link set v1 up"))
			_exit(77);
		test();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define MUST(x)                                                                                                        \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s is not so (errno %d)\n", __FILE__, __LINE__, #x, errno);            \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)
#define MUST_COME(b, condition)                                                                                        \
	do {                                                                                                           \
		struct mono limit_ = in_us(b, SECONDS(10));                                                            \
		while (!(condition) && !mono_due(limit_, rt_clock((b)->rt)))                                           \
			rt_event_turn((b)->rt, MS(20));                                                                \
		MUST(condition);                                                                                       \
	} while (0)

struct ear {
	struct rt_packets *p;
	int n;
	struct rt_packet last;
	uint8_t bytes[256];
	bool close;
};

static void
on_packet(void *arg, const struct rt_packet *p)
{
	struct ear *e = arg;

	e->n++;
	e->last = *p;
	memcpy(e->bytes, p->bytes, MIN_OF(p->n, sizeof(e->bytes)));
	if (e->close) {
		rt_packets_close(e->p);
		e->p = NULL;
	}
}

static struct rt_event_stats
stats_of(const struct bench *b)
{
	struct rt_event_stats s;

	rt_event_stats(b->rt, &s);
	return s;
}

static void
packets_on_a_port(void)
{
	static const uint8_t rs[] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0x10 };
	static const uint8_t group[6] = { 1, 0x80, 0xc2, 0, 0, 0xe };
	uint8_t frame[60] = { 1, 0x80, 0xc2, 0, 0, 0xe, 2, 0, 0, 0, 0, 0x10, 0x88, 0xcc, 0xab };
	struct bench b;
	struct ear v0 = { 0 }, v1 = { 0 }, f0 = { 0 }, f1 = { 0 };
	uint32_t i0 = if_nametoindex("v0"), i1 = if_nametoindex("v1");
	struct rt_event_stats before;
	struct ip routers, ll0, ll1;
	struct mono again;

	begin(&b);
	ip_parse("ff02::2", &routers);
	ip_parse("fe80::ff:fe00:10", &ll0);
	ip_parse("fe80::ff:fe00:11", &ll1);
	MUST(rt_nd_open(b.rt, 9999, on_packet, &v0, &v0.p) == -ENODEV);
	MUST(rt_nd_open(b.rt, i0, on_packet, &v0, &v0.p) == 0);
	MUST(rt_nd_open(b.rt, i1, on_packet, &v1, &v1.p) == 0);
	MUST(rt_frames_open(b.rt, i0, 0x88cc, group, on_packet, &f0, &f0.p) == 0);
	MUST(rt_frames_open(b.rt, i1, 0x88cc, group, on_packet, &f1, &f1.p) == 0);
	/* The kernel itself solicits on v1; so our own is told by its MAC option. */
	for (again = in_us(&b, 0); v1.n == 0 || v1.bytes[15] != 0x10;) {
		if (mono_due(again, rt_clock(b.rt))) { /* the link-local address may need a moment */
			rt_packet_send(v0.p, &routers, rs, sizeof(rs));
			again = in_us(&b, MS(100));
		}
		rt_event_turn(b.rt, MS(20));
	}
	MUST(v1.last.n == sizeof(rs) && v1.last.hop_limit == 255);
	MUST(ip_equal(&v1.last.src, &ll0) && ip_equal(&v1.last.dst, &routers));
	v0.n = 0;
	MUST(rt_packet_send(v1.p, &ll0, rs, sizeof(rs)) == 0);
	MUST_COME(&b, v0.n > 0);
	MUST(ip_equal(&v0.last.src, &ll1) && ip_equal(&v0.last.dst, &ll0));
	/* More than the queue of a socket that is not read holds: what comes behind them tells of it. */
	before = stats_of(&b);
	for (int burst = 3000; burst < 400000 && stats_of(&b).packets_lost == before.packets_lost; burst *= 2) {
		for (int i = 0; i < burst; i++)
			rt_packet_send(v1.p, &ll0, rs, sizeof(rs));
		for (uint64_t in = UINT64_MAX; in != stats_of(&b).packets_in;) { /* until it is read */
			in = stats_of(&b).packets_in;
			rt_event_turn(b.rt, MS(20));
		}
		MUST(rt_packet_send(v1.p, &ll0, rs, sizeof(rs)) == 0);
		rt_event_turn(b.rt, MS(20));
	}
	MUST(stats_of(&b).packets_lost > before.packets_lost);
	f1.close = true;
	MUST(rt_packet_send(f0.p, NULL, frame, sizeof(frame)) == 0);
	MUST_COME(&b, f1.n == 1);
	MUST(f1.bytes[14] == 0xab && f1.last.src_mac[5] == 0x10);
	MUST(f0.n == 0); /* what we send does not come back */
	/* A port that goes down and comes back: the sockets still work. */
	MUST(sh("ip link set v0 down") == 0);
	rt_packet_send(v0.p, &routers, rs, sizeof(rs));
	before = stats_of(&b);
	MUST(rt_packet_send(f0.p, NULL, frame, sizeof(frame)) == -ENETDOWN);
	MUST(stats_of(&b).packets_unsent == before.packets_unsent + 1);
	rt_event_turn(b.rt, MS(20));
	MUST(sh("ip link set v0 up") == 0);
	v1.n = 0;
	v1.bytes[15] = 0;
	for (again = in_us(&b, 0); v1.bytes[15] != 0x10;) {
		if (mono_due(again, rt_clock(b.rt))) {
			rt_packet_send(v0.p, &routers, rs, sizeof(rs));
			again = in_us(&b, MS(100));
		}
		rt_event_turn(b.rt, MS(20));
	}
	end(&b);
}

static void
count_marked(void *arg, const struct rt_packet *p)
{
	if (p->n > 15 && p->bytes[15] == 0x10)
		++*(int *)arg;
}

/* A raw socket hears all ports until it is bound to one: what another process sends to v1 is none of v0's. */
static void
ports_are_kept_apart(void)
{
	static const uint8_t rs[] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0x10 };
	uint32_t i0 = if_nametoindex("v0"), i1 = if_nametoindex("v1");
	struct bench b;
	struct rt_packets *from, *to;
	struct ip nodes;
	int at_v0 = 0, at_v1 = 0;
	pid_t sender;

	begin(&b);
	ip_parse("ff02::1", &nodes);
	MUST(rt_nd_open(b.rt, i0, count_marked, &at_v0, &from) == 0);
	sender = fork();
	if (sender == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (sender == 0)
		rt_packet_send(from, &nodes, rs, sizeof(rs));
	MUST(rt_nd_open(b.rt, i1, count_marked, &at_v1, &to) == 0);
	MUST_COME(&b, at_v1 > 0);
	rt_packets_close(to);
	for (int i = 0; i < 5000; i++) {
		MUST(rt_nd_open(b.rt, i0, count_marked, &at_v0, &to) == 0);
		rt_event_turn(b.rt, 0);
		rt_packets_close(to);
	}
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	MUST(at_v0 == 0);
	rt_packets_close(from);
	end(&b);
}

/* Sessions over the pair: bound to the port, hop limit 255, a key for fe80::/64. */
static void
sessions_on_a_port(void)
{
	static const struct {
		const char *name, *server_key, *client_key;
		bool server_gtsm, client_gtsm;
		uint8_t server_sends, client_sends; /* 0: 255, since they are bound to a port */
		bool opens;
	} cases[] = {
		{ "no key", NULL, NULL, true, true, 0, 0, true },
		{ "the same key", "secret", "secret", true, true, 0, 0, true },
		{ "no key at the client", "secret", NULL, true, true, 0, 0, false },
		{ "another key", "secret", "sacred", true, true, 0, 0, false },
		{ "the client sends 64", NULL, NULL, true, true, 0, 64, false },
		{ "the server sends 1", NULL, NULL, true, true, 1, 0, false },
		{ "only the server checks", NULL, NULL, true, false, 0, 0, true },
		{ "only the client checks", NULL, NULL, false, true, 0, 0, true },
		{ "nobody checks", NULL, NULL, false, false, 1, 64, true },
	};
	uint32_t i0 = if_nametoindex("v0"), i1 = if_nametoindex("v1");
	struct ip ll1;

	ip_parse("fe80::ff:fe00:11", &ll1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rt_stream_options o = { .ifindex = i1,
			.local.family = FAMILY_IPV6,
			.local_port = 179,
			.gtsm = cases[i].server_gtsm,
			.hop_limit = cases[i].server_sends,
			.tclass = 0xc0,
			.md5_key = cases[i].server_key };
		struct rt_listener *on_v0, *on_v1;
		struct peer wrong = { 0 };
		struct pair x;
		struct mono until;

		memset(&x, 0, sizeof(x));
		begin(&x.b);
		x.client.b = x.server.b = wrong.b = &x.b;
		prefix_parse("fe80::/64", &o.md5_peer);
		MUST(rt_listen(x.b.rt, &o, on_accept, &x.server, &on_v1) == 0);
		o.ifindex = i0; /* the same port number on another port of the switch */
		MUST(rt_listen(x.b.rt, &o, on_accept, &wrong, &on_v0) == 0);
		o = (struct rt_stream_options){ .ifindex = i0,
			.gtsm = cases[i].client_gtsm,
			.hop_limit = cases[i].client_sends,
			.md5_key = cases[i].client_key };
		until = in_us(&x.b, cases[i].opens ? SECONDS(10) : MS(400));
		do { /* the address may need a moment */
			if (!x.client.s)
				rt_connect(x.b.rt, &o, &ll1, 179, &handler, &x.client, &x.client.s);
			rt_event_turn(x.b.rt, MS(20));
		} while (!x.client.opened && !mono_due(until, rt_clock(x.b.rt)));
		if ((x.client.opened > 0) != cases[i].opens) {
			fprintf(stderr, "%s: opened %d, error %d\n", cases[i].name, x.client.opened, x.client.error);
			_exit(1);
		}
		if (cases[i].opens)
			MUST_COME(&x.b, x.server.accepts == 1);
		MUST(wrong.accepts == 0);
		rt_event_free(x.b.rt);
	}
}

static void
packets_in_a_namespace(void **state UNUSED)
{
	in_namespace(packets_on_a_port);
}

static void
ports_in_a_namespace(void **state UNUSED)
{
	in_namespace(ports_are_kept_apart);
}

static void
sessions_in_a_namespace(void **state UNUSED)
{
	in_namespace(sessions_on_a_port);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(turn_order),
		cmocka_unit_test(many_timers),
		cmocka_unit_test(test_P11_signals),
		cmocka_unit_test(watched_descriptor),
		cmocka_unit_test(tcp_both_ways),
		cmocka_unit_test(busy_peers_do_not_delay_timers),
		cmocka_unit_test(close_in_order),
		cmocka_unit_test(close_from_outside_a_callback),
		cmocka_unit_test(reset_and_refusal),
		cmocka_unit_test(test_T08_reader_that_stops),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(answers_are_read_first),
		cmocka_unit_test(test_P07_few_descriptors),
		cmocka_unit_test(packets_in_a_namespace),
		cmocka_unit_test(ports_in_a_namespace),
		cmocka_unit_test(sessions_in_a_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
