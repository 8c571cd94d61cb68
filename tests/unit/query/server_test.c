/* tests/unit/query/server_test.c -- the query server with clients that behave and clients that do not, in virtual time
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <cmocka.h>

#include "fabricd/query/server.h"
#include "fabricd/runtime/sim/sim.h"

#define PATH "/run/test/fabricd.sock"

/* ---- verbs to ask ---- */

struct counting {
	uint64_t next;
};

struct world {
	struct sim_net *net;
	struct runtime *daemon, *outside;
	struct mem mem;
	struct query_server *server;
	uint64_t rows_made, changes, dones;
};

/* "count N": N rows. */
static bool
step_count(struct query_call *call)
{
	struct world *w = query_ctx(call);
	struct counting *c = query_cursor(call);
	uint64_t n = strtoull(query_arg(call, 0), NULL, 10);

	if (!c->next)
		query_summary(call, json_pack("{s:I}", "rows", (json_int_t)n));
	for (; c->next < n && !query_full(call); c->next++, w->rows_made++)
		query_row(call, json_pack("{s:I, s:s}", "n", (json_int_t)c->next, "text",
				    "some eighty bytes of text, as a route has them"));
	return c->next < n;
}

/* "burst N": N rows in one go, as of a verb that takes its answer for short. */
static bool
step_burst(struct query_call *call)
{
	uint64_t n = strtoull(query_arg(call, 0), NULL, 10);

	for (uint64_t i = 0; i < n; i++)
		query_row(call, json_pack("{s:I, s:s}", "n", (json_int_t)i, "text",
				    "some eighty bytes of text, as a route has them"));
	return false;
}

static void
done_count(struct query_call *call)
{
	struct world *w = query_ctx(call);

	w->dones++;
}

static bool
step_fail(struct query_call *call)
{
	query_row(call, json_pack("{}"));
	query_fail(call, QUERY_FINDINGS, "look there", "nobody offers %s", query_arg(call, 0));
	return true;
}

static bool
step_partial(struct query_call *call)
{
	query_missing(call, "leaf9");
	query_row(call, json_pack("{s:i}", "n", 1));
	query_exit(call, QUERY_FINDINGS);
	return false;
}

static bool
step_change(struct query_call *call)
{
	struct world *w = query_ctx(call);

	w->changes++;
	return false;
}

static const struct query_verb verbs[] = {
	{ .name = "count",
	    .schema = "test.count/1",
	    .min_args = 1,
	    .max_args = 1,
	    .cursor_size = sizeof(struct counting),
	    .step = step_count,
	    .done = done_count },
	{ .name = "burst", .schema = "test.burst/1", .min_args = 1, .max_args = 1, .step = step_burst },
	{ .name = "fail", .schema = "test.fail/1", .min_args = 1, .max_args = 1, .usage = "PREFIX", .step = step_fail },
	{ .name = "partial", .schema = "test.partial/1", .step = step_partial },
	{ .name = "change", .schema = "test.change/1", .changes = true, .step = step_change },
};

static void
envelope(void *ctx, json_t *header)
{
	(void)ctx;
	json_object_set_new(header, "node", json_string("leaf1"));
}

/* ---- a client ---- */

struct client {
	struct world *world;
	struct rt_stream *stream;
	uint8_t *in;
	size_t n, cap;
	size_t rows, ends, errors, headers;
	uint32_t last_id, status;
	json_t *header, *end, *error;
	bool closed, paused;
};

static void
take(struct client *c, const struct query_reply *r)
{
	json_t *json = r->kind == QUERY_ROWS ? NULL : json_loadb(r->json, r->n, 0, NULL);

	c->last_id = r->id;
	c->status = r->status;
	for (size_t i = 0; r->kind == QUERY_ROWS && i < r->n; i++)
		c->rows += r->json[i] == '\n';
	c->headers += r->kind == QUERY_HEADER;
	c->ends += r->kind == QUERY_END;
	c->errors += r->kind == QUERY_ERROR;
	if (r->kind == QUERY_HEADER) {
		json_decref(c->header);
		c->header = json_incref(json);
	} else if (r->kind == QUERY_END) {
		json_decref(c->end);
		c->end = json_incref(json);
	} else if (r->kind == QUERY_ERROR) {
		json_decref(c->error);
		c->error = json_incref(json);
	}
	json_decref(json);
}

static size_t
client_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct client *c = arg;
	struct rd r = rd_make(bytes, n), body;
	struct query_reply reply;

	while (query_frame(&r, QUERY_MAX_REPLY, &body) > 0) {
		assert_int_equal(query_reply_decode(NULL, body, &reply), 0);
		take(c, &reply);
		query_reply_free(NULL, &reply);
	}
	return n - rd_left(&r);
}

static void
client_closed(void *arg, int error)
{
	struct client *c = arg;

	(void)error;
	c->closed = true;
	c->stream = NULL;
}

static const struct rt_stream_handler client_handler = { .input = client_input, .closed = client_closed };

static void
run_for(struct world *w, int64_t us)
{
	sim_run_until(w->net, mono_add(sim_now(w->net), us));
}

static void
client_open(struct world *w, struct client *c)
{
	*c = (struct client){ .world = w };
	assert_int_equal(sim_unix_connect(w->outside, w->daemon, PATH, &client_handler, c, &c->stream), 0);
	run_for(w, 100); /* until it is connected */
}

static void
client_done(struct client *c)
{
	rt_stream_close(c->stream, true);
	json_decref(c->header);
	json_decref(c->end);
	json_decref(c->error);
}

static void
client_ask(struct client *c, uint32_t id, const char *verb, const char *arg)
{
	struct query_request r = { .id = id, .verb = verb, .args = &arg, .n_args = arg ? 1 : 0 };
	uint8_t bytes[512];
	size_t n = query_request_size(&r);

	query_request_encode(&r, bytes);
	assert_int_equal(rt_write(c->stream, bytes, n), n);
}

/* ---- the world ---- */

static void
world_open(struct world *w)
{
	struct query_config cfg = { .path = PATH, .verbs = verbs, .n_verbs = ARRAY_LEN(verbs), .own_uid = 100 };

	*w = (struct world){ .net = sim_net_new(NULL, 1) };
	w->daemon = sim_node_new(w->net, "leaf1");
	sim_node_slice_cost(w->daemon, MS(1)); /* as on a real switch, about */
	w->outside = sim_node_new(w->net, "outside");
	cfg.rt = w->daemon;
	cfg.mem = &w->mem;
	cfg.ctx = w;
	cfg.envelope = envelope;
	assert_int_equal(query_server_new(&cfg, &w->server), 0);
}

static void
world_close(struct world *w)
{
	query_server_free(w->server);
	assert_int_equal(w->mem.by[MEM_QUERY].bytes, 0);
	sim_net_free(w->net);
}

/* ---- tests ---- */

static void
an_answer_is_whole(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	client_ask(&c, 5, "count", "1000");
	run_for(&w, SECONDS(1));
	assert_int_equal(c.headers, 1);
	assert_int_equal(c.rows, 1000);
	assert_int_equal(c.ends, 1);
	assert_int_equal(c.errors, 0);
	assert_int_equal(c.last_id, 5);
	assert_string_equal(json_string_value(json_object_get(c.header, "schema")), "test.count/1");
	assert_string_equal(json_string_value(json_object_get(c.header, "node")), "leaf1");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(c.header, "summary"), "rows")), 1000);
	assert_true(json_is_true(json_object_get(c.end, "complete")));
	assert_int_equal(w.dones, 1);
	client_done(&c);
	world_close(&w);
}

/* Requests that arrive together are answered one after the other. */
static void
requests_in_a_row(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	for (uint32_t i = 1; i <= 5; i++)
		client_ask(&c, i, "count", "700");
	run_for(&w, SECONDS(1));
	assert_int_equal(c.rows, 3500);
	assert_int_equal(c.ends, 5);
	assert_int_equal(c.last_id, 5);
	client_done(&c);
	world_close(&w);
}

static const struct {
	const char *name, *verb, *arg;
	uint32_t status;
	const char *cause;
} refusals[] = {
	{ "unknown verb", "bgp.nonsense", NULL, QUERY_USAGE, "does not know the question \"bgp.nonsense\"" },
	{ "argument missing", "fail", NULL, QUERY_USAGE, "fail takes PREFIX, not 0 words" },
	{ "argument too many", "partial", "x", QUERY_USAGE, "partial takes no argument, not 1 words" },
	{ "the verb fails", "fail", "10.0.0.0/8", QUERY_FINDINGS, "nobody offers 10.0.0.0/8" },
};

static void
errors_have_a_cause_and_a_next_step(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		client_ask(&c, (uint32_t)i + 1, refusals[i].verb, refusals[i].arg);
		run_for(&w, MS(10));
		if (c.errors != i + 1 || c.status != refusals[i].status)
			fail_msg("%s: %zu errors, status %u", refusals[i].name, c.errors, c.status);
		if (!strstr(json_string_value(json_object_get(c.error, "error")), refusals[i].cause))
			fail_msg("%s: %s", refusals[i].name, json_string_value(json_object_get(c.error, "error")));
		assert_non_null(json_string_value(json_object_get(c.error, "next")));
	}
	assert_int_equal(c.rows + c.ends, 0);
	assert_false(c.closed);
	client_done(&c);
	world_close(&w);
}

static void
what_is_missing_is_named(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	client_ask(&c, 1, "partial", NULL);
	run_for(&w, MS(10));
	assert_int_equal(c.status, QUERY_INCOMPLETE);
	assert_true(json_is_false(json_object_get(c.end, "complete")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(c.end, "missing"), 0)), "leaf9");
	client_done(&c);
	world_close(&w);
}

/* Half a frame, lengths that lie, garbage: an error, then the end of that connection and of no other. */
/* However much is made in one go: no frame is longer than a client takes. */
static void
an_answer_in_one_go(void **state)
{
	struct client c;
	struct world w;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	client_ask(&c, 1, "burst", "50000"); /* some 3 MB */
	run_for(&w, SECONDS(5));
	assert_int_equal(c.rows, 50000);
	assert_int_equal(c.ends, 1);
	client_done(&c);
	world_close(&w);
}

static void
test_Q01_garbage_closes_the_connection(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} cases[] = {
		{ "length 2^32-1", "\xff\xff\xff\xff", 4 },
		{ "longer than allowed", "\x00\x00\x40\x01", 4 },
		{ "truncated varint", "\x00\x00\x00\x01\x08", 5 },
		{ "no verb", "\x00\x00\x00\x00", 4 },
		{ "HTTP", "GET / HTTP/1.1\r\n\r\n", 18 },
	};
	struct client good, bad;
	struct world w;

	(void)state;
	world_open(&w);
	client_open(&w, &good);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		client_open(&w, &bad);
		run_for(&w, MS(1));
		rt_write(bad.stream, (const uint8_t *)cases[i].bytes, cases[i].n);
		run_for(&w, MS(100));
		if (!bad.closed || bad.errors != 1)
			fail_msg("%s: closed %d, %zu errors", cases[i].name, bad.closed, bad.errors);
		client_done(&bad);
	}
	client_ask(&good, 1, "count", "3");
	run_for(&w, MS(100));
	assert_int_equal(good.rows, 3);
	client_done(&good);
	world_close(&w);
}

/* Half a request and then silence does not hold a place for ever. */
static void
test_Q01_half_a_request_is_closed(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	run_for(&w, MS(1));
	rt_write(c.stream, (const uint8_t *)"\0\0\0\x0a\x08", 5);
	run_for(&w, QUERY_STALL_US - SECONDS(1));
	assert_false(c.closed);
	run_for(&w, SECONDS(2));
	assert_true(c.closed);
	client_done(&c);
	world_close(&w);
}

/* A reader that stops: what is kept for it stays small, and after 30 s it is gone; others are served meanwhile. */
static void
test_Q02_stopped_reader(void **state)
{
	struct client slow, good;
	struct query_stats stats;
	struct world w;

	(void)state;
	world_open(&w);
	client_open(&w, &slow);
	client_open(&w, &good);
	client_ask(&slow, 1, "count", "500000");
	rt_stream_pause(slow.stream, true);
	run_for(&w, SECONDS(5));
	query_stats(w.server, &stats);
	assert_true(stats.buffered >= QUERY_BUFFER);
	assert_true(stats.buffered <= 4 << 20);
	if (w.rows_made >= 250000) /* made no further than it can be held */
		fail_msg("%llu rows, %zu bytes kept", (unsigned long long)w.rows_made, stats.buffered);
	assert_true(w.mem.by[MEM_QUERY].peak_bytes <= 4 << 20);
	client_ask(&good, 1, "count", "10000");
	run_for(&w, SECONDS(5));
	assert_int_equal(good.rows, 10000);
	run_for(&w, QUERY_STALL_US);
	query_stats(w.server, &stats);
	assert_int_equal(stats.stalled, 1);
	assert_int_equal(stats.clients, 1);
	assert_int_equal(w.dones, 2);
	client_done(&slow);
	client_done(&good);
	world_close(&w);
}

/* One that reads again before its time gets all of it. */
static void
a_slow_reader_gets_all(void **state)
{
	struct client slow;
	struct world w;

	(void)state;
	world_open(&w);
	client_open(&w, &slow);
	client_ask(&slow, 1, "count", "50000");
	rt_stream_pause(slow.stream, true);
	run_for(&w, QUERY_STALL_US - SECONDS(2));
	rt_stream_pause(slow.stream, false);
	run_for(&w, SECONDS(20));
	assert_false(query_server_owes(w.server)); /* though its connection is there still */
	assert_int_equal(slow.rows, 50000);
	assert_int_equal(slow.ends, 1);
	client_done(&slow);
	world_close(&w);
}

static void
test_Q03_thousand_clients(void **state)
{
	enum { N = 1000 };
	struct client *clients = calloc(N, sizeof(*clients));
	struct query_stats stats;
	struct world w;
	size_t open = 0;

	(void)state;
	world_open(&w);
	for (size_t i = 0; i < N; i++)
		client_open(&w, &clients[i]);
	run_for(&w, MS(100));
	for (size_t i = 0; i < N; i++)
		open += !clients[i].closed;
	query_stats(w.server, &stats);
	assert_int_equal(stats.clients, QUERY_CLIENTS);
	assert_int_equal(open, QUERY_CLIENTS);
	assert_int_equal(stats.refused, N - QUERY_CLIENTS);
	/* A place that becomes free is given again. */
	for (size_t i = 0; i < N; i++) {
		if (!clients[i].closed) {
			client_done(&clients[i]);
			clients[i] = (struct client){ .closed = true };
			break;
		}
	}
	run_for(&w, MS(100));
	client_open(&w, &clients[0]);
	client_ask(&clients[0], 1, "count", "1");
	run_for(&w, MS(100));
	assert_int_equal(clients[0].rows, 1);
	for (size_t i = 0; i < N; i++)
		client_done(&clients[i]);
	world_close(&w);
	free(clients);
}

/* All places taken by dumps: each gets its slices in turn. */
static void
dumps_share_the_time(void **state)
{
	struct client clients[QUERY_CLIENTS];
	struct world w;

	(void)state;
	world_open(&w);
	for (size_t i = 0; i < QUERY_CLIENTS; i++) {
		client_open(&w, &clients[i]);
		client_ask(&clients[i], 1, "count", "2000");
	}
	run_for(&w, SECONDS(10));
	for (size_t i = 0; i < QUERY_CLIENTS; i++) {
		assert_int_equal(clients[i].rows, 2000);
		client_done(&clients[i]);
	}
	world_close(&w);
}

/* Killed in the middle of an answer, at many points of it. */
static void
test_Q04_client_killed_in_mid_reply(void **state)
{
	struct query_stats stats;
	struct world w;

	(void)state;
	world_open(&w);
	for (int64_t at = 0; at < 40; at++) {
		struct client c;

		client_open(&w, &c);
		client_ask(&c, 1, "count", "100000");
		run_for(&w, at * 370);
		rt_stream_close(c.stream, true);
		c.stream = NULL;
		client_done(&c);
	}
	run_for(&w, SECONDS(1));
	query_stats(w.server, &stats);
	assert_int_equal(stats.clients, 0);
	world_close(&w);
}

/*
 * A runtime whose clients are who the test says; all else is the simulator's. The server asks the stream's operations,
 * so they are exchanged in the node for the time of the accept.
 */
static int
uid_root(struct rt_stream *s, uint32_t *uid)
{
	(void)s;
	*uid = 0;
	return 0;
}

static int
uid_own(struct rt_stream *s, uint32_t *uid)
{
	(void)s;
	*uid = 100;
	return 0;
}

static int
uid_stranger(struct rt_stream *s, uint32_t *uid)
{
	(void)s;
	*uid = 101;
	return 0;
}

static int
uid_unknown(struct rt_stream *s, uint32_t *uid)
{
	(void)s;
	*uid = 0;
	return -ENOTSUP;
}

static const struct {
	const char *name;
	int (*uid)(struct rt_stream *, uint32_t *);
	bool may;
} users[] = {
	{ "root", uid_root, true },
	{ "the daemon's own user", uid_own, true },
	{ "a stranger", uid_stranger, false },
	{ "nobody knows who", uid_unknown, false },
	{ "a runtime that cannot tell", NULL, false },
};

static void
test_Q06_changes_are_refused_to_strangers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		struct runtime_ops ops;
		struct client c;
		struct world w;

		world_open(&w);
		ops = *w.daemon->ops;
		ops.stream_peer_uid = users[i].uid;
		w.daemon->ops = &ops;
		client_open(&w, &c);
		client_ask(&c, 1, "change", NULL);
		run_for(&w, MS(10));
		if (w.changes != users[i].may || c.errors == users[i].may || (c.errors && c.status != QUERY_REFUSED))
			fail_msg(
			    "%s: %d changes, %zu errors, status %u", users[i].name, (int)w.changes, c.errors, c.status);
		/* Mere questions are free to all who may open the socket. */
		client_ask(&c, 2, "count", "3");
		run_for(&w, MS(10));
		assert_int_equal(c.rows, 3);
		client_done(&c);
		world_close(&w);
	}
}

static void
the_server_goes_while_it_answers(void **state)
{
	struct world w;
	struct client c;

	(void)state;
	world_open(&w);
	client_open(&w, &c);
	client_ask(&c, 1, "count", "100000");
	run_for(&w, 500);
	assert_true(query_server_owes(w.server));
	query_server_free(w.server);
	w.server = NULL;
	run_for(&w, MS(10));
	assert_true(c.closed);
	client_done(&c);
	world_close(&w);
}

static void
times_in_text(void **state)
{
	char buf[QUERY_TIME_TEXT];

	(void)state;
	assert_string_equal(query_time_print(0, buf), "1970-01-01T00:00:00.000Z");
	assert_string_equal(query_time_print(1795226400123456, buf), "2026-11-21T02:00:00.123Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_whole),
		cmocka_unit_test(requests_in_a_row),
		cmocka_unit_test(errors_have_a_cause_and_a_next_step),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(an_answer_in_one_go),
		cmocka_unit_test(test_Q01_garbage_closes_the_connection),
		cmocka_unit_test(test_Q01_half_a_request_is_closed),
		cmocka_unit_test(test_Q02_stopped_reader),
		cmocka_unit_test(a_slow_reader_gets_all),
		cmocka_unit_test(test_Q03_thousand_clients),
		cmocka_unit_test(dumps_share_the_time),
		cmocka_unit_test(test_Q04_client_killed_in_mid_reply),
		cmocka_unit_test(test_Q06_changes_are_refused_to_strangers),
		cmocka_unit_test(the_server_goes_while_it_answers),
		cmocka_unit_test(times_in_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
