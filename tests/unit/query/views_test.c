/*
 * tests/unit/query/views_test.c -- what a node says of itself, asked over its socket in a 4x2 fabric in virtual time
 *
 * The answers are taken as any client takes them; that they keep their schemas is held in tests/fabric.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bfd/client/impl.h"
#include "fabricd/query/views.h"
#include "fabricd/sim/fault.h"
#include "fabricd/sim/world.h"

#define RUN_DIR "/run/leaf1"

struct asker {
	struct world *world;
	struct topo *topo;
	struct world_node *leaf;
	struct runtime *outside;
	struct query_server *server;
	struct rt_stream *stream;
	json_t *header, *rows, *end, *error;
	uint32_t status;
	bool done;
};

/* ---- the asking end ---- */

static void
take(struct asker *a, const struct query_reply *r)
{
	const char *at = r->json, *nl;
	size_t left = r->n;

	a->status = r->status;
	switch (r->kind) {
	case QUERY_HEADER:
		a->header = json_loadb(r->json, r->n, 0, NULL);
		break;
	case QUERY_ROWS:
		for (; left && (nl = memchr(at, '\n', left)); left -= (size_t)(nl + 1 - at), at = nl + 1)
			json_array_append_new(a->rows, json_loadb(at, (size_t)(nl - at), 0, NULL));
		break;
	case QUERY_END:
		a->end = json_loadb(r->json, r->n, 0, NULL);
		a->done = true;
		break;
	default:
		a->error = json_loadb(r->json, r->n, 0, NULL);
		a->done = true;
	}
}

static size_t
input(void *arg, const uint8_t *bytes, size_t n)
{
	struct asker *a = arg;
	struct rd r = rd_make(bytes, n), body;
	struct query_reply reply;

	while (query_frame(&r, QUERY_MAX_REPLY, &body) > 0) {
		assert_int_equal(query_reply_decode(NULL, body, &reply), 0);
		take(a, &reply);
		query_reply_free(NULL, &reply);
	}
	return n - rd_left(&r);
}

static void
closed(void *arg, int error)
{
	struct asker *a = arg;

	(void)error;
	a->stream = NULL;
}

static const struct rt_stream_handler handler = { .input = input, .closed = closed };

static void
forget(struct asker *a)
{
	json_decref(a->header);
	json_decref(a->rows);
	json_decref(a->end);
	json_decref(a->error);
	a->header = a->end = a->error = NULL;
	a->rows = NULL;
	a->done = false;
}

/* args: with blanks between; NULL: none */
static void
begin(struct asker *a, const char *verb, const char *args)
{
	const char *words[4];
	struct query_request r = { .id = 1, .verb = verb, .args = words };
	char store[128], *save = NULL;
	uint8_t bytes[256];
	size_t n;

	snprintf(store, sizeof(store), "%s", args ? args : "");
	for (char *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[r.n_args++] = w;
	n = query_request_size(&r);
	forget(a);
	a->rows = json_array();
	query_request_encode(&r, bytes);
	assert_int_equal(rt_write(a->stream, bytes, n), n);
}

/* The rows of an answer, borrowed until the next question. */
static json_t *
ask(struct asker *a, const char *verb, const char *args)
{
	begin(a, verb, args);
	for (int i = 0; i < 1000 && !a->done; i++)
		world_run(a->world, MS(1));
	if (!a->done)
		fail_msg("%s: no answer", verb);
	return a->rows;
}

static const char *
text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

static json_int_t
number_of(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* The row whose key has this text. */
static json_t *
row_where(json_t *rows, const char *key, const char *text)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		if (strcmp(text_of(row, key), text) == 0)
			return row;
	}
	fail_msg("no row with %s %s", key, text);
	return NULL;
}

/* ---- the fabric ---- */

static const char file[] =
    "schema: 1\nfabric: lab\ntiers:\n"
    "  - {name: spine, count: 2, asn: 65000, loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]}\n"
    "  - {name: leaf, count: 4, asn: {base: 65000}, loopback: [10.0.1.0/24, \"fd00:0:0:1::/64\"],\n"
    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-32]\"},\n"
    "     hosts: {ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 24}, {pool: \"fd00:1::/48\", len: 64}]}}\n";

static void
open_fabric_with(struct asker *a, const char *text, bool bfd)
{
	struct topo_errors errs = { 0 };
	struct world_config cfg = { .seed = 7, .bfd = bfd };
	char err[256] = "";

	*a = (struct asker){ .topo = topo_load(text, strlen(text), &errs) };
	topo_errors_free(&errs);
	cfg.topo = a->topo;
	if (!(a->world = world_new(&cfg, err, sizeof(err))))
		fail_msg("%s", err);
	assert_true(world_settle(a->world, MS(300), (struct mono){ SECONDS(30) }));
	a->leaf = world_node_find(a->world, "leaf1");
	assert_int_equal(node_query_open(a->leaf->node, RUN_DIR, 0, &a->server), 0);
	a->outside = sim_node_new(world_net(a->world), "outside");
	assert_int_equal(
	    sim_unix_connect(a->outside, a->leaf->rt, RUN_DIR "/" QUERY_SOCKET, &handler, a, &a->stream), 0);
	world_run(a->world, MS(1));
}

static void
open_fabric_of(struct asker *a, const char *text)
{
	open_fabric_with(a, text, false);
}

static void
open_fabric(struct asker *a)
{
	open_fabric_of(a, file);
}

static void
close_fabric(struct asker *a)
{
	forget(a);
	rt_stream_close(a->stream, true);
	query_server_free(a->server);
	world_free(a->world);
	topo_free(a->topo);
}

/* ---- tests ---- */

static void
a_converged_leaf(void **state)
{
	struct asker a;
	json_t *rows, *row;

	(void)state;
	open_fabric(&a);
	rows = ask(&a, "bgp.summary", NULL);
	assert_int_equal(a.status, QUERY_OK);
	assert_string_equal(text_of(a.header, "schema"), "fabricd.bgp.summary/1");
	assert_string_equal(text_of(a.header, "fabric"), "lab");
	assert_string_equal(text_of(a.header, "node"), "leaf1");
	assert_int_equal(number_of(json_object_get(a.header, "summary"), "as"), 65001);
	assert_int_equal(json_array_size(rows), 2);
	row = row_where(rows, "port", "eth2");
	assert_string_equal(text_of(row, "peer"), "spine2");
	assert_string_equal(text_of(row, "state"), "Established");
	assert_int_equal(number_of(row, "accepted"), 14); /* 3 leaves x 4, and the spine's own 2 */
	assert_int_equal(number_of(row, "advertised"), 4);
	assert_null(json_object_get(row, "next"));

	rows = ask(&a, "routes", NULL);
	assert_int_equal(json_array_size(rows), 20);
	row = row_where(rows, "prefix", "10.1.3.0/24");
	assert_string_equal(text_of(row, "state"), "installed");
	assert_int_equal(number_of(row, "width"), 2);
	assert_string_equal(text_of(row, "as_path"), "65000 65003");
	assert_string_equal(text_of(row_where(rows, "prefix", "10.1.1.0/24"), "state"), "local");

	rows = ask(&a, "fib.check", NULL);
	assert_int_equal(json_array_size(rows), 0);
	rows = ask(&a, "status", NULL);
	assert_int_equal(json_array_size(rows), 0);
	assert_int_equal(number_of(json_object_get(a.header, "summary"), "sessions_up"), 2);
	close_fabric(&a);
}

/* Routes that the forwarding plane refuses: as long as it does so, and not what was refused at some time. */
static void
what_is_refused_now(void **state)
{
	const struct model_fault taken = { .kind = MODEL_FAIL, .kinds = 1u << PLAT_ROUTE_SET, .error = -EEXIST };
	struct asker a;
	json_t *rows;

	(void)state;
	open_fabric(&a);
	assert_int_equal(world_link_set(a.world, "leaf2", "eth1", false), 0);
	assert_int_equal(world_link_set(a.world, "leaf2", "eth2", false), 0);
	world_run(a.world, SECONDS(2));
	model_fault_set(a.leaf->platform, &taken);
	assert_int_equal(world_link_set(a.world, "leaf2", "eth1", true), 0);
	assert_int_equal(world_link_set(a.world, "leaf2", "eth2", true), 0);
	world_run(a.world, SECONDS(60));
	rows = ask(&a, "status", NULL);
	assert_int_equal(a.status, QUERY_FINDINGS);
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(text_of(json_array_get(rows, 0), "reason"), "4 routes are refused by the forwarding plane");
	assert_int_equal(number_of(json_object_get(a.header, "summary"), "fib_failed"), 4);
	ask(&a, "fib", NULL);
	assert_int_equal(a.status, QUERY_FINDINGS);
	model_fault_set(a.leaf->platform, NULL);
	world_run(a.world, SECONDS(60));
	rows = ask(&a, "status", NULL);
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(json_array_size(rows), 0);
	assert_null(json_object_get(json_object_get(a.header, "summary"), "fib_failed"));
	rows = ask(&a, "fib", NULL);
	assert_int_equal(a.status, QUERY_OK);
	assert_true(number_of(json_array_get(rows, 0), "foreign_conflicts") > 4);
	close_fabric(&a);
}

/* More differences than one step tells: how many there are stands in the header all the same. */
static void
many_differences(void **state)
{
	struct asker a;
	json_t *rows;

	(void)state;
	open_fabric(&a);
	for (int lose = 0; lose < 2; lose++) {
		for (uint32_t i = 0; i < 600; i++) {
			struct ip at = ip_v4(0x14000000u + (i << 8));
			struct prefix p = prefix_of(&at, 24);

			if (lose)
				assert_int_equal(
				    model_lose_route(a.leaf->platform, RIB_MAIN_TABLE, &p, INT32_MAX, false), 0);
			else
				sync_route_cover(a.leaf->node->sync, RIB_MAIN_TABLE, &p, PLAT_UNREACHABLE);
		}
		world_run(a.world, MS(100));
	}
	rows = ask(&a, "fib.check", NULL);
	assert_int_equal(a.status, QUERY_FINDINGS);
	assert_int_equal(json_array_size(rows), 600);
	assert_int_equal(number_of(json_object_get(a.header, "summary"), "differences"), 600);
	close_fabric(&a);
}

/* Small tables come in order: family, address, length. */
static void
routes_are_sorted(void **state)
{
	struct prefix last = { 0 }, p;
	struct asker a;
	json_t *rows;

	(void)state;
	open_fabric(&a);
	rows = ask(&a, "routes", NULL);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		assert_true(prefix_parse(text_of(json_array_get(rows, i), "prefix"), &p));
		assert_true(i == 0 || prefix_cmp(&last, &p) < 0);
		last = p;
	}
	close_fabric(&a);
}

static void
a_dark_port_says_where_it_stopped(void **state)
{
	struct asker a;
	json_t *rows, *row;

	(void)state;
	open_fabric(&a);
	assert_int_equal(world_link_set(a.world, "leaf1", "eth1", false), 0);
	world_run(a.world, SECONDS(1));
	row = row_where(ask(&a, "bgp.summary", NULL), "port", "eth1");
	assert_int_equal(a.status, QUERY_FINDINGS);
	assert_string_equal(text_of(row, "next"), "fabctl bgp neighbor eth1");
	assert_true(*text_of(row, "reason"));
	assert_null(json_object_get(row, "accepted")); /* absent, not 0 */
	row = json_array_get(ask(&a, "bgp.neighbor", "eth1"), 0);
	assert_int_equal(number_of(row, "rung"), 2);
	assert_int_equal(json_array_size(json_object_get(row, "rungs")), 9);
	assert_string_equal(text_of(json_array_get(json_object_get(row, "rungs"), 1), "state"), "stopped");
	assert_string_equal(text_of(json_array_get(json_object_get(row, "rungs"), 2), "state"), "not asked");
	row = json_array_get(ask(&a, "bgp.neighbor", "spine2"), 0); /* by the neighbour's name */
	assert_string_equal(text_of(row, "port"), "eth2");
	assert_int_equal(number_of(row, "rung"), 10);
	rows = ask(&a, "status", NULL);
	assert_string_equal(text_of(json_array_get(rows, 0), "kind"), "link down");
	row = json_array_get(ask(&a, "route", "10.1.3.77"), 0);
	assert_string_equal(text_of(row, "prefix"), "10.1.3.0/24");
	assert_int_equal(json_array_size(json_object_get(row, "installed")), 1);
	assert_string_equal(text_of(json_array_get(json_object_get(row, "installed"), 0), "port"), "eth2");
	rows = ask(&a, "log", "5");
	assert_int_equal(json_array_size(rows), 5);
	close_fabric(&a);
}

static void
what_is_offered_and_told(void **state)
{
	struct asker a;
	json_t *rows;

	(void)state;
	open_fabric(&a);
	rows = ask(&a, "bgp.received", "eth1");
	assert_int_equal(json_array_size(rows), 14);
	assert_true(json_is_true(json_object_get(row_where(rows, "prefix", "10.0.0.1/32"), "best")));
	rows = ask(&a, "bgp.advertised", "eth1");
	assert_int_equal(json_array_size(rows), 4);
	assert_string_equal(text_of(row_where(rows, "prefix", "10.1.1.0/24"), "as_path"), "65001");
	rows = ask(&a, "bgp.why", "10.1.2.0/24");
	assert_int_equal(json_array_size(rows), 2);
	row_where(rows, "choice", "best");
	row_where(rows, "choice", "shares");
	close_fabric(&a);
}

static void
wrong_questions(void **state)
{
	static const struct {
		const char *verb, *arg;
		uint32_t status;
		const char *error, *next; /* parts of them */
	} cases[] = {
		{ "bgp.neighbor", "eth9", QUERY_USAGE, "neither a port nor a neighbour", "did you mean eth1 or eth2?" },
		{ "bgp.neighbor", "spin2", QUERY_USAGE, "neither a port nor a neighbour", "did you mean spine2?" },
		{ "bgp.neighbor", "nonsense", QUERY_USAGE, "neither a port nor a neighbour", "fabctl ports" },
		{ "bgp.neighbor", "eth3", QUERY_USAGE, "no BGP session", "fabctl bgp" },
		{ "bgp.why", "10.0.0.0/33", QUERY_USAGE, "neither a prefix nor an address", "such as" },
		{ "bgp.why", "10.0.0.1/24", QUERY_USAGE, "bits set behind its length", "10.0.0.0/24 is the network" },
		{ "route", "fd00:1:0:3::1/64", QUERY_USAGE, "bits set behind", "fd00:1:0:3::/64 is the network" },
		{ "route", "10.1.3", QUERY_USAGE, "neither a prefix nor an address", "such as" },
		{ "route", "10.1.3.0/", QUERY_USAGE, "neither a prefix nor an address", "such as" },
		{ "route", "10.1.3.0/-1", QUERY_USAGE, "neither a prefix nor an address", "such as" },
		{ "route", "/24", QUERY_USAGE, "neither a prefix nor an address", "such as" },
		{ "route", "192.0.2.1", QUERY_FINDINGS, "no route covers 192.0.2.1", "fabctl routes" },
		{ "route", "10.99.0.0/16", QUERY_FINDINGS, "nobody offers", "fabctl bgp" },
		{ "route", "10.1.3.0/26", QUERY_FINDINGS, "nobody offers", "10.1.3.0/24 is there" },
		{ "routes", "ipv5", QUERY_USAGE, "no family", "fabctl routes ipv4" },
		{ "bgp.received", "%n%s", QUERY_USAGE, "neither a port nor a neighbour", "fabctl ports" },
		{ "log", "0", QUERY_USAGE, "no number", "fabctl log 20" },
		{ "log", "1e3", QUERY_USAGE, "no number", "fabctl log 20" },
		{ "counters", "lnik", QUERY_USAGE, "no part", "did you mean link?" },
		{ "counters", "nonsense", QUERY_USAGE, "no part", "one of: link, bgp, bfd, platform, query, runtime" },
		{ "counters", "fib all", QUERY_USAGE, "no part", "fabctl fib -o wide" },
		{ "counters", "bfd all", QUERY_UNREACHABLE, "no bfdd watches the neighbours", "start bfdd" },
		{ "counters", "bfdd", QUERY_USAGE, "no part", "did you mean bfd?" },
		{ "counters", "eth1", QUERY_USAGE, "no part", "fabctl counters link --filter port=eth1" },
		{ "counters", "link query", QUERY_USAGE, "of one part or of all", "fabctl counters" },
		{ "counters", "link all all", QUERY_USAGE, "takes [PART] [all]", "fabctl help" },
	};
	struct asker a;

	(void)state;
	open_fabric(&a);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask(&a, cases[i].verb, cases[i].arg);
		if (!a.error || a.status != cases[i].status || !strstr(text_of(a.error, "error"), cases[i].error) ||
		    !strstr(text_of(a.error, "next"), cases[i].next))
			fail_msg("%s %s: status %u, \"%s\", next \"%s\"", cases[i].verb, cases[i].arg, a.status,
			    text_of(a.error, "error"), text_of(a.error, "next"));
	}
	close_fabric(&a);
}

static void
routes_of_one_family(void **state)
{
	struct asker a;

	(void)state;
	open_fabric(&a);
	assert_int_equal(json_array_size(ask(&a, "routes", "ipv4")), 10);
	row_where(a.rows, "prefix", "10.1.3.0/24");
	assert_int_equal(json_array_size(ask(&a, "routes", "ipv6")), 10);
	row_where(a.rows, "prefix", "fd00:1:0:3::/64");
	close_fabric(&a);
}

/* An address of the fabric that is cut off: whose it is. */
static void
an_address_without_a_route(void **state)
{
	struct asker a;

	(void)state;
	open_fabric(&a);
	assert_int_equal(world_link_set(a.world, "leaf1", "eth1", false), 0);
	assert_int_equal(world_link_set(a.world, "leaf1", "eth2", false), 0);
	world_run(a.world, SECONDS(1));
	ask(&a, "route", "10.0.1.3");
	assert_string_equal(text_of(a.error, "error"), "no route covers 10.0.1.3, the loopback of leaf3 by the file");
	ask(&a, "route", "fd00:1:0:4::9");
	assert_string_equal(
	    text_of(a.error, "error"), "no route covers fd00:1:0:4::9, a host's address at leaf4 by the file");
	close_fabric(&a);
}

/* What is planned may be dark: it is told, but no finding. */
static void
planned_is_no_problem(void **state)
{
	char text[1024];
	json_t *summary, *row;
	struct asker a;

	(void)state;
	snprintf(text, sizeof(text), "%sdevices: {spine2: {state: planned}}\n", file);
	open_fabric_of(&a, text);
	assert_int_equal(world_link_set(a.world, "leaf1", "eth2", false), 0);
	world_run(a.world, SECONDS(1));
	assert_int_equal(json_array_size(ask(&a, "status", NULL)), 0);
	assert_int_equal(a.status, QUERY_OK);
	summary = json_object_get(a.header, "summary");
	assert_int_equal(number_of(summary, "links"), 1);
	assert_int_equal(number_of(summary, "links_up"), 1);
	assert_int_equal(number_of(summary, "links_planned"), 1);
	assert_int_equal(number_of(summary, "sessions"), 1);
	row = row_where(ask(&a, "bgp.summary", NULL), "port", "eth2");
	assert_int_equal(a.status, QUERY_OK);
	assert_string_equal(text_of(row, "reason"), "planned: port dark, as expected");
	assert_null(json_object_get(row, "next"));
	row = row_where(ask(&a, "ports", NULL), "port", "eth2");
	assert_int_equal(a.status, QUERY_OK);
	assert_null(json_object_get(row, "next"));
	close_fabric(&a);
}

/* ---- counters ---- */

/* The count of one counter, which must be in the answer; port NULL: of the switch. */
static json_int_t
count_of(struct asker *a, const char *part, const char *port, const char *counter)
{
	size_t i;
	json_t *row;

	json_array_foreach(a->rows, i, row)
	{
		if (strcmp(text_of(row, "part"), part) == 0 && strcmp(text_of(row, "port"), port ? port : "") == 0 &&
		    strcmp(text_of(row, "counter"), counter) == 0)
			return number_of(row, "count");
	}
	return -1;
}

/* By default what is not 0 and not routine; `all` has the rest, of each port too. */
static void
counters_by_part(void **state)
{
	static const uint8_t ra[16] = { 134 };
	struct ip from;
	struct asker a;
	json_t *row;
	size_t i;

	(void)state;
	open_fabric(&a);
	assert_true(ip_parse("fe80::99", &from));
	ask(&a, "counters", NULL);
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "link", "eth1", "nd-hop-limit"), -1);
	for (int k = 0; k < 3; k++)
		link_port_nd(node_port_find(a.leaf->node, "eth1")->link, &from, NULL, 254, ra, sizeof(ra),
		    sim_now(world_net(a.world)));
	ask(&a, "counters", NULL);
	assert_int_equal(count_of(&a, "link", "eth1", "nd-hop-limit"), 3);
	json_array_foreach(a.rows, i, row)
	{
		if (number_of(row, "count") <= 0 || json_is_true(json_object_get(row, "routine")))
			fail_msg("%s %s", text_of(row, "part"), text_of(row, "counter"));
	}
	ask(&a, "counters", "l"); /* cut short */
	assert_int_equal(count_of(&a, "link", "eth1", "nd-hop-limit"), 3);
	ask(&a, "counters", "platform");
	assert_int_equal(count_of(&a, "link", "eth1", "nd-hop-limit"), -1);
	assert_non_null(json_object_get(a.header, "summary"));

	ask(&a, "counters", "all");
	assert_int_equal(count_of(&a, "link", "eth1", "nd-hop-limit"), 3);
	assert_int_equal(count_of(&a, "link", "eth2", "nd-hop-limit"), 0);
	assert_true(count_of(&a, "link", "eth2", "ra-received") > 0);
	assert_true(count_of(&a, "link", "rack0", "ra-sent") >= 0);
	assert_int_equal(count_of(&a, "bgp", "eth2", "stranger"), 0);
	assert_true(count_of(&a, "platform", NULL, "routes-set") > 0);
	assert_int_equal(count_of(&a, "query", NULL, "clients"), 1);
	assert_int_equal(count_of(&a, "query", NULL, "errors"), 0);
	ask(&a, "counters", "nonsense");
	ask(&a, "counters", "query");
	assert_int_equal(json_array_size(a.rows), 1);
	assert_int_equal(count_of(&a, "query", NULL, "errors"), 1);
	ask(&a, "counters", "query all");
	assert_int_equal(json_array_size(a.rows), 6);
	close_fabric(&a);
}

/* More rows than one slice has room for: each is told once. */
static void
counters_of_many_ports(void **state)
{
	char text[1024];
	struct asker a;
	json_t *row;
	size_t i, per_port;

	(void)state;
	snprintf(text, sizeof(text), "%s",
	    "schema: 1\nfabric: lab\ntiers:\n  - {name: spine, count: 30, asn: 65000, loopback: [10.0.0.0/24]}\n"
	    "  - {name: leaf, count: 1, asn: {base: 65000}, loopback: [10.0.1.0/24],\n"
	    "     up: {to: spine, local: \"eth[1-30]\", remote: \"eth[1-4]\"}}\n");
	open_fabric_of(&a, text);
	ask(&a, "counters", "link all");
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(json_array_size(a.rows) % 30, 0);
	per_port = json_array_size(a.rows) / 30;
	assert_true(json_array_size(a.rows) > 2 * QUERY_SLICE_ROWS);
	json_array_foreach(a.rows, i, row)
	{
		assert_string_equal(text_of(row, "port"), a.leaf->node->ports[i / per_port].name);
		assert_string_equal(text_of(row, "counter"), text_of(json_array_get(a.rows, i % per_port), "counter"));
	}
	close_fabric(&a);
}

/* ---- counters of bfdd ---- */

/* A bfdd that says what the test says, when it says so. */
struct bfdd {
	struct bfd_client c;
	int refuses; /* the question: -errno */
	unsigned int asked;
	bfd_counters_fn *fn;
	void *arg;
	struct bfd_client *before;
};

static bool
bfdd_connected(const struct bfd_client *c)
{
	(void)c;
	return true;
}

static int
bfdd_asked(struct bfd_client *c, bfd_counters_fn *fn, void *arg)
{
	struct bfdd *b = CONTAINER_OF(c, struct bfdd, c);

	if (b->refuses)
		return b->refuses;
	b->asked++;
	b->fn = fn;
	b->arg = arg;
	return 0;
}

static void
bfdd_begin(struct bfdd *b, struct asker *a)
{
	static const struct bfd_client_ops ops = { .connected = bfdd_connected, .counters = bfdd_asked };

	*b = (struct bfdd){ .c.ops = &ops, .before = a->leaf->node->cfg.bfd };
	a->leaf->node->cfg.bfd = &b->c;
}

static void
bfdd_end(struct bfdd *b, struct asker *a)
{
	a->leaf->node->cfg.bfd = b->before;
	close_fabric(a);
}

static void
bfdd_tells(struct bfdd *b, const char *name, uint64_t value, const char *port, const struct bfd_path *path)
{
	const struct bfd_count count = {
		.name = name, .what = "what it is", .value = value, .port = port, .path = path, .routine = *name == 'r'
	};

	b->fn(b->arg, &count, 0, 0);
}

/* How long the answer takes; 0: it has not come in `us`. */
static int64_t
wait_for(struct asker *a, int64_t us)
{
	int64_t begun = sim_now(world_net(a->world)).us;

	while (!a->done && sim_now(world_net(a->world)).us - begun < us)
		world_run(a->world, MS(1));
	return a->done ? sim_now(world_net(a->world)).us - begun : 0;
}

static double
real_of(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	return json_is_number(v) ? json_number_value(v) : -1;
}

/* An answer waits for that of bfdd, and has its counters between those of others. */
static void
counters_of_bfdd(void **state)
{
	struct bfd_path on_port = { .ifindex = 0, .local = ip_v4(1), .peer = ip_v4(0x0a000002) }, far = on_port;
	struct asker a;
	struct bfdd b;
	json_t *row;

	(void)state;
	open_fabric(&a);
	bfdd_begin(&b, &a);
	on_port.ifindex = node_port_find(a.leaf->node, "eth2")->plat.ifindex;
	far.ifindex = 0;
	far.multihop = true;
	begin(&a, "counters", "bfd");
	world_run(a.world, MS(20));
	assert_true(b.asked == 1 && !a.done && !a.header);
	bfdd_tells(&b, "hop-limit", 5, "", NULL);
	bfdd_tells(&b, "short", 0, "", NULL);
	bfdd_tells(&b, "routine", 9, "", NULL);
	bfdd_tells(&b, "dropped", UINT64_MAX, "", &on_port); /* nobody watches it any more */
	bfdd_tells(&b, "dropped", 3, "", &far);
	b.fn(b.arg, NULL, SECONDS(1), 0);
	assert_true(wait_for(&a, MS(10)) > 0);
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(json_array_size(a.rows), 3);
	assert_int_equal(count_of(&a, "bfd", NULL, "hop-limit"), 5);
	assert_true(count_of(&a, "bfd", "eth2", "dropped") == INT64_MAX);
	row = json_array_get(a.rows, 2);
	assert_string_equal(text_of(row, "address"), "10.0.0.2");
	assert_null(json_object_get(row, "port"));
	assert_null(json_object_get(json_array_get(a.rows, 0), "address"));
	assert_true(real_of(json_object_get(a.header, "summary"), "bfd_since_s") >= 1);
	assert_null(json_object_get(json_object_get(a.header, "summary"), "bfd_age_s"));
	/* Two who ask at once are told by one answer; those that were shown before are not shown again. */
	begin(&a, "counters", "all");
	world_run(a.world, MS(20));
	assert_int_equal(b.asked, 2);
	assert_int_equal(node_bfd_ask_counters(a.leaf->node), 0);
	assert_int_equal(b.asked, 2);
	bfdd_tells(&b, "short", 6, "", NULL);
	bfdd_tells(&b, "routine", 10, "", NULL);
	b.fn(b.arg, NULL, SECONDS(2), 0);
	assert_true(wait_for(&a, MS(10)) > 0);
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "bfd", NULL, "short"), 6);
	assert_int_equal(count_of(&a, "bfd", NULL, "routine"), 10);
	assert_int_equal(count_of(&a, "bfd", NULL, "hop-limit"), -1);
	assert_true(count_of(&a, "platform", NULL, "routes-set") > 0);
	/* Who does not want them does not ask for them. */
	ask(&a, "counters", "link");
	assert_int_equal(b.asked, 2);
	assert_null(json_object_get(json_object_get(a.header, "summary"), "bfd_since_s"));
	bfdd_end(&b, &a);
}

/* A bfdd that hangs: who wants all is not kept waiting, and is shown what there was, with its age. */
static void
counters_of_a_bfdd_that_hangs(void **state)
{
	const json_t *missing;
	struct asker a;
	struct bfdd b;

	(void)state;
	open_fabric(&a);
	bfdd_begin(&b, &a);
	begin(&a, "counters", NULL);
	assert_in_range(wait_for(&a, SECONDS(9)), MS(200), MS(500));
	assert_int_equal(a.status, QUERY_INCOMPLETE);
	missing = json_object_get(a.end, "missing");
	assert_int_equal(json_array_size(missing), 1);
	assert_string_equal(json_string_value(json_array_get(missing, 0)), "bfdd does not answer");
	begin(&a, "counters", "bfd");
	assert_in_range(wait_for(&a, SECONDS(9)), SECONDS(1), SECONDS(3));
	assert_int_equal(a.status, QUERY_UNREACHABLE);
	assert_string_equal(text_of(a.error, "error"), "bfdd does not answer");
	assert_int_equal(b.asked, 1); /* it has not answered that yet */
	bfdd_tells(&b, "short", 6, "", NULL);
	b.fn(b.arg, NULL, SECONDS(1), 0); /* too late for both */
	world_run(a.world, SECONDS(40));
	begin(&a, "counters", NULL);
	assert_in_range(wait_for(&a, SECONDS(9)), MS(200), MS(500));
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "bfd", NULL, "short"), 6);
	assert_true(real_of(json_object_get(a.header, "summary"), "bfd_age_s") >= 40);
	assert_true(real_of(json_object_get(a.header, "summary"), "bfd_since_s") >= 41);
	begin(&a, "counters", "bf");
	assert_in_range(wait_for(&a, SECONDS(9)), SECONDS(1), SECONDS(3));
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "bfd", NULL, "short"), 6);
	/* It is replaced, and with it goes the question. */
	b.fn(b.arg, NULL, 0, -ECONNRESET);
	assert_int_equal(count_of(&a, "bfd", NULL, "short"), 6);
	bfdd_end(&b, &a);
}

static void
bfdd_without_counters(void **state)
{
	static const struct {
		int refuses, fails;
		const char *error, *next;
	} cases[] = {
		{ -ENOTCONN, 0, "no bfdd watches the neighbours", "start bfdd beside fabricd" },
		{ 0, -EOPNOTSUPP, "bfdd does not tell its counters: it is older", "systemctl reload bfdd" },
		{ 0, -ECONNRESET, "bfdd went away while it was asked", "fabctl counters bfd" },
		{ 0, -EMSGSIZE, "more counters than there can be", "systemctl restart bfdd" },
	};
	struct asker a;
	struct bfdd b;

	(void)state;
	open_fabric(&a);
	bfdd_begin(&b, &a);
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		const char *error = cases[i / 2].error;
		bool alone = i % 2;

		b.refuses = cases[i / 2].refuses;
		begin(&a, "counters", alone ? "bfd" : "all");
		world_run(a.world, MS(5));
		if (cases[i / 2].fails == -EMSGSIZE) /* it is one too many that says so */
			for (unsigned int k = 0; k < 65537; k++)
				bfdd_tells(&b, "short", k, "", NULL);
		if (cases[i / 2].fails)
			b.fn(b.arg, NULL, 0, cases[i / 2].fails == -EMSGSIZE ? 0 : cases[i / 2].fails);
		wait_for(&a, MS(50));
		if (!a.done)
			fail_msg("%s: no answer", error);
		assert_int_equal(count_of(&a, "bfd", NULL, "short"), -1);
		if (alone) {
			assert_int_equal(a.status, QUERY_UNREACHABLE);
			assert_non_null(strstr(text_of(a.error, "error"), error));
			assert_string_equal(text_of(a.error, "next"), cases[i / 2].next);
			continue;
		}
		/* Where there is no bfdd, nothing is missing. */
		assert_int_equal(a.status, cases[i / 2].refuses ? QUERY_OK : QUERY_INCOMPLETE);
		assert_int_equal(json_array_size(json_object_get(a.end, "missing")), cases[i / 2].refuses ? 0 : 1);
		assert_true(count_of(&a, "link", "eth2", "ra-received") > 0);
	}
	bfdd_end(&b, &a);
}

/* Many sessions, each with words that others have too, in more than a slice. */
static void
counters_of_many_sessions(void **state)
{
	enum { N = 300 };
	static const char *const names[] = { "dropped", "flaps", "missed" };
	struct asker a;
	struct bfdd b;

	(void)state;
	open_fabric(&a);
	bfdd_begin(&b, &a);
	for (int turn = 0; turn < 2; turn++) {
		begin(&a, "counters", "bfd");
		world_run(a.world, MS(5));
		for (uint32_t i = 0; i < N; i++) {
			struct bfd_path path = { .local = ip_v4(1), .peer = ip_v4(0x0b000000 + i), .multihop = true };

			for (size_t k = 0; k < ARRAY_LEN(names); k++)
				bfdd_tells(&b, names[k], i * 10 + k + 1, "", &path);
		}
		b.fn(b.arg, NULL, SECONDS(1), 0);
		assert_true(wait_for(&a, MS(50)) > 0);
		assert_int_equal(json_array_size(a.rows), N * 3);
		for (size_t i = 0; i < N * 3; i++) {
			const json_t *row = json_array_get(a.rows, i);

			assert_string_equal(text_of(row, "counter"), names[i % 3]);
			assert_int_equal(number_of(row, "count"), i / 3 * 10 + i % 3 + 1);
		}
	}
	bfdd_end(&b, &a);
}

/* The engine itself, in the same process. */
static void
counters_of_the_engine(void **state)
{
	struct rt_datagram d = { .hop_limit = 254, .bytes = (const uint8_t *)"\x20\xc0\3\x18", .n = 4 };
	const struct node_port *port;
	struct asker a;

	(void)state;
	open_fabric_with(&a, file, true);
	port = node_port_find(a.leaf->node, "eth1");
	d.src = port->peer->address;
	d.dst = port->plat.link_local;
	ask(&a, "counters", "bfd");
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "bfd", NULL, "hop-limit"), -1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sim_inject_datagram(a.leaf->rt, port->plat.ifindex, &d, BFD_PORT), 0);
	ask(&a, "counters", NULL);
	assert_int_equal(a.status, QUERY_OK);
	assert_int_equal(count_of(&a, "bfd", NULL, "hop-limit"), 3);
	ask(&a, "counters", "bfd all");
	assert_int_equal(count_of(&a, "bfd", NULL, "hop-limit"), 3);
	assert_int_equal(count_of(&a, "bfd", NULL, "auth-digest"), 0);
	assert_true(count_of(&a, "bfd", "eth1", "packets-received") > 5);
	assert_true(count_of(&a, "bfd", "eth2", "packets-sent") > 5);
	close_fabric(&a);
}

/* ---- Q05 ---- */

enum { MANY = 20000 };

static struct prefix
numbered(unsigned int i)
{
	struct ip ip = ip_v4(0x64000000u + i * 256);

	return prefix_of(&ip, 24);
}

/*
 * A table of 20,000 prefixes is listed while half of it comes and goes: whoever stays is listed once and only once,
 * whoever moves at most twice (it may leave its place behind the walk and come back before it), and the answer has an
 * end.
 */
static void
test_Q05_dump_during_churn(void **state)
{
	uint8_t *seen = calloc(MANY, 1);
	struct rib_view own;
	struct asker a;
	struct node *node;
	struct prefix p;
	struct attrs *attrs;

	(void)state;
	open_fabric(&a);
	/* Alone, so that nobody has to hear of these. */
	world_link_set(a.world, "leaf1", "eth1", false);
	world_link_set(a.world, "leaf1", "eth2", false);
	world_run(a.world, SECONDS(1));
	node = a.leaf->node;
	assert_true(prefix_parse("10.0.1.1/32", &p));
	assert_true(rib_get(node->rib, RIB_MAIN_TABLE, &p, &own));
	attrs = own.list->paths[own.list->best].attrs;
	for (unsigned int i = 0; i < MANY; i++) {
		p = numbered(i);
		rib_announce(node->rib, RIB_MAIN_TABLE, &node->local, &p, attrs, NULL);
	}
	world_run(a.world, SECONDS(2));
	begin(&a, "routes", NULL);
	for (unsigned int turn = 0; !a.done && turn < 20000; turn++) {
		for (unsigned int i = 0; i < 20; i++) {
			p = numbered((turn * 20 + i) * 2 % MANY); /* even ones move */
			if ((turn * 20 + i) * 2 / MANY % 2 == 0)
				rib_withdraw(node->rib, RIB_MAIN_TABLE, &node->local, &p);
			else
				rib_announce(node->rib, RIB_MAIN_TABLE, &node->local, &p, attrs, NULL);
		}
		rt_work_schedule(node->work);
		world_run(a.world, 20);
	}
	assert_true(a.done);
	assert_int_equal(a.status, QUERY_OK);
	for (size_t i = 0; i < json_array_size(a.rows); i++) {
		struct ip ip;

		assert_true(prefix_parse(text_of(json_array_get(a.rows, i), "prefix"), &p));
		ip = prefix_addr(&p);
		if (p.family == FAMILY_IPV4 && p.len == 24 && ip_to_v4(&ip) >= 0x64000000u &&
		    ip_to_v4(&ip) < 0x64000000u + MANY * 256)
			seen[(ip_to_v4(&ip) - 0x64000000u) / 256]++;
	}
	for (unsigned int i = 1; i < MANY; i += 2) {
		if (seen[i] != 1)
			fail_msg("prefix %u, which did not move, was listed %u times", i, seen[i]);
	}
	free(seen);
	close_fabric(&a);
}

/* What status and the lists of ports and sessions show of a state that is not as it should be carries its cause. */
static void
expect_reasons(struct asker *a, const char *after)
{
	size_t i;
	json_t *row, *rows = ask(a, "status", NULL);

	json_array_foreach(rows, i, row)
	{
		if (!text_of(row, "reason")[0] || !text_of(row, "kind")[0])
			fail_msg("%s: status shows \"%s\" without a reason", after, text_of(row, "what"));
	}
	rows = ask(a, "bgp.summary", NULL);
	json_array_foreach(rows, i, row)
	{
		if (strcmp(text_of(row, "state"), "Established") != 0 && !text_of(row, "reason")[0])
			fail_msg("%s: the session on %s is %s without a reason", after, text_of(row, "port"),
			    text_of(row, "state"));
	}
}

static void
every_state_has_a_reason(void **state)
{
	static const char *const faults[] = { "@0 cut leaf1:eth1 for 9", "@0 cut spine1:eth1 for 9",
		"@0 flap leaf1:eth2 for 3", "@0 dark spine1 for 9", "@0 kill spine2 for 90", "@0 kill spine2 for 2",
		"@0 one-way leaf1:eth1 for 30", "@0 one-way spine1:eth1 for 30", "@0 two-way leaf1:eth2 for 30",
		"@0 stall spine1 for 20", "@0 swap leaf1:eth1 leaf2:eth2 for 20",
		"@0 swap leaf1:eth1 leaf1:eth2 for 20", "@0 refuse leaf1 for 9 with 0", "@0 refuse leaf1 for 9 with 1",
		"@0 refuse leaf1 for 9 with 2", "@0 hang leaf1 for 9", "@0 lose leaf1 with 1", "@0 lie leaf1 for 20",
		"@0 late leaf1:eth1 for 9 with 9", "@0 lossy leaf1:eth1 for 20 with 5" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		char err[256];
		struct fault f;
		struct asker a;

		open_fabric(&a);
		if (!fault_parse(a.topo, faults[i], &f, err, sizeof(err)))
			fail_msg("%s: %s", faults[i], err);
		f.at = sim_now(world_net(a.world));
		assert_true(fault_do(a.world, NULL, &f, 0) > 0);
		for (int k = 0; k < 30; k++) { /* soon after, and for a while */
			world_run(a.world, k < 10 ? MS(3) : MS(700));
			expect_reasons(&a, faults[i]);
		}
		if (f.us)
			fault_do(a.world, NULL, &f, 1);
		for (int k = 0; k < 20; k++) {
			world_run(a.world, k < 10 ? MS(3) : MS(700));
			expect_reasons(&a, faults[i]);
		}
		close_fabric(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_converged_leaf),
		cmocka_unit_test(what_is_refused_now),
		cmocka_unit_test(many_differences),
		cmocka_unit_test(routes_are_sorted),
		cmocka_unit_test(a_dark_port_says_where_it_stopped),
		cmocka_unit_test(what_is_offered_and_told),
		cmocka_unit_test(wrong_questions),
		cmocka_unit_test(routes_of_one_family),
		cmocka_unit_test(an_address_without_a_route),
		cmocka_unit_test(planned_is_no_problem),
		cmocka_unit_test(counters_by_part),
		cmocka_unit_test(counters_of_many_ports),
		cmocka_unit_test(counters_of_bfdd),
		cmocka_unit_test(counters_of_a_bfdd_that_hangs),
		cmocka_unit_test(bfdd_without_counters),
		cmocka_unit_test(counters_of_many_sessions),
		cmocka_unit_test(counters_of_the_engine),
		cmocka_unit_test(every_state_has_a_reason),
		cmocka_unit_test(test_Q05_dump_during_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
