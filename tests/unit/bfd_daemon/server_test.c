/*
 * bfd/daemon/server.c with bfd/client/remote.c: bfdd's host and server on a switch of the simulator, clients beside it
 *
 * Switch a: host and server, as bfdd has them, and clients over a UNIX socket. Switch b: an engine of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/client/protocol.h"
#include "bfd/daemon/server.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/sim/sim.h"

#define SOCKET "/run/bfdd.sock"

struct seen {
	struct bfd_status last;
	unsigned int told, falls;
	size_t rows, ends;
	int error;
};

struct world {
	struct mem mem;
	struct sim_net *net;
	struct runtime *a, *b;
	struct ip ll[2];
	struct bfd_host *host;
	struct bfd_server *server;
	struct bfd_client *client, *far;
	struct bfd_watch *w, *far_w;
	struct seen at_a, at_b;
	int connected;
};

static void
on_status(void *arg, const struct bfd_status *s)
{
	struct seen *seen = arg;

	seen->falls += seen->last.state == BFD_UP && s->state != BFD_UP;
	seen->last = *s;
	seen->told++;
}

static void
on_connected(void *arg, bool connected)
{
	((struct world *)arg)->connected += connected ? 1 : -1;
}

static void
daemon_start(struct world *w)
{
	struct bfd_host_config cfg = { .rt = w->a, .mem = &w->mem, .seed = 3 };

	w->host = bfd_host_new(&cfg);
	assert_int_equal(bfd_server_new(w->a, &w->mem, w->host, SOCKET, 0660, &w->server), 0);
}

static void
daemon_stop(struct world *w)
{
	bfd_server_free(w->server);
	bfd_host_free(w->host);
	w->server = NULL;
	w->host = NULL;
}

static struct bfd_target
target(struct world *w, int i)
{
	return (struct bfd_target){ .path = { .ifindex = 1, .local = w->ll[i], .peer = w->ll[!i] },
		.port = "eth1",
		.params = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3, .independent = true } };
}

static void
run(struct world *w, int64_t us)
{
	sim_run_until(w->net, mono_add(sim_now(w->net), us));
}

static void
world_new(struct world *w)
{
	struct runtime *rt[2];

	memset(w, 0, sizeof(*w));
	w->net = sim_net_new(&w->mem, 11);
	for (int i = 0; i < 2; i++) {
		const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)(1 + i) };
		struct sim_port_view v;

		rt[i] = sim_node_new(w->net, i ? "b" : "a");
		assert_int_equal(sim_port_add(rt[i], 1, "eth1", mac, NULL), 0);
		assert_int_equal(sim_port_get(rt[i], 1, &v), 0);
		w->ll[i] = v.link_local;
	}
	w->a = rt[0];
	w->b = rt[1];
	assert_int_equal(sim_link_connect(w->a, 1, w->b, 1, 100), 0);
	w->far = bfd_client_local(w->b, &w->mem, 9);
}

/* The client is there. */
static void
both_up_with(struct world *w)
{
	struct bfd_target a = target(w, 0), b = target(w, 1);

	w->w = bfd_watch_new(w->client, &a, on_status, &w->at_a);
	w->far_w = bfd_watch_new(w->far, &b, on_status, &w->at_b);
	run(w, SECONDS(3));
	assert_int_equal(w->at_a.last.state, BFD_UP);
	assert_int_equal(w->at_b.last.state, BFD_UP);
	assert_true(w->at_b.last.independent);
}

static void
both_up(struct world *w)
{
	w->client = bfd_client_new(w->a, &w->mem, SOCKET, on_connected, w);
	both_up_with(w);
}

static void
world_free(struct world *w)
{
	bfd_client_free(w->client, false);
	bfd_client_free(w->far, false);
	daemon_stop(w);
	sim_net_free(w->net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(w->mem.by[k].bytes, 0);
}

static void
watches(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	assert_true(bfd_client_connected(w.client));
	bfd_watch_free(w.w);
	run(&w, MS(10));
	assert_int_equal(w.at_b.last.state, BFD_DOWN);
	assert_int_equal(w.at_b.last.remote_state, BFD_ADMIN);
	world_free(&w);
}

/* A client that is there before bfdd, and when bfdd comes again. */
static void
daemon_comes_and_goes(void **state)
{
	struct bfd_target a, b;
	struct world w;

	(void)state;
	world_new(&w);
	a = target(&w, 0);
	b = target(&w, 1);
	w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
	w.w = bfd_watch_new(w.client, &a, on_status, &w.at_a);
	w.far_w = bfd_watch_new(w.far, &b, on_status, &w.at_b);
	run(&w, SECONDS(1));
	assert_false(bfd_client_connected(w.client));
	assert_int_equal(w.at_a.told, 0);
	for (int i = 0; i < 3; i++) {
		daemon_start(&w);
		run(&w, SECONDS(3));
		assert_int_equal(w.at_a.last.state, BFD_UP);
		assert_int_equal(w.connected, 1);
		daemon_stop(&w);
		run(&w, SECONDS(1));
		assert_int_equal(w.connected, 0);
		assert_int_equal(w.at_b.last.state, BFD_DOWN);
		/* What the client knew last stays; connected() says what it is worth. */
		assert_int_equal(bfd_watch_status(w.w)->state, BFD_UP);
	}
	daemon_start(&w);
	world_free(&w);
}

/* RFC 5882 4.3: the client restarts, the session does not; without a successor it ends. */
static void
client_restarts(void **state)
{
	struct bfd_target a;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	a = target(&w, 0);
	for (int i = 0; i < 3; i++) {
		bfd_client_free(w.client, true);
		run(&w, SECONDS(20));
		w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
		w.at_a.told = 0;
		w.w = bfd_watch_new(w.client, &a, on_status, &w.at_a);
		run(&w, MS(10));
		assert_true(w.at_a.told >= 1);
		assert_int_equal(w.at_a.last.state, BFD_UP);
	}
	run(&w, BFD_ORPHAN_US * 2);
	assert_int_equal(w.at_b.falls, 0);
	bfd_client_free(w.client, true);
	w.client = NULL;
	run(&w, BFD_ORPHAN_US - SECONDS(1));
	assert_int_equal(w.at_b.falls, 0);
	run(&w, SECONDS(2));
	assert_int_equal(w.at_b.falls, 1);
	assert_int_equal(w.at_b.last.remote_state, BFD_ADMIN);
	world_free(&w);
}

static void
refused(void **state)
{
	struct bfd_target bad;
	struct seen seen = { 0 };
	struct bfd_watch *w2;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	bad = target(&w, 0);
	bad.params.multiplier = 0;
	bad.path.ifindex = 77;
	w2 = bfd_watch_new(w.client, &bad, on_status, &seen);
	run(&w, MS(10));
	assert_int_equal(seen.told, 1);
	assert_string_equal(bfd_watch_status(w2)->refused, "the detection multiplier must be 1 to 255");
	assert_int_equal(w.at_a.falls, 0);
	world_free(&w);
}

static const struct bfd_auth other_keys = { .type = BFD_AUTH_SHA1, .nkeys = 1, .keys = { { 1, 3, "key" } } };

/* Another program may have the port of BFD and end, or another client: who was refused is watched then. */
static void
refused_for_a_while(void **state)
{
	struct bfd_client *other;
	struct bfd_watch *w2;
	struct bfd_target t;
	struct seen seen = { 0 };
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	other = bfd_client_new(w.a, &w.mem, SOCKET, NULL, NULL);
	t = target(&w, 0);
	t.params.auth = other_keys;
	w2 = bfd_watch_new(other, &t, on_status, &seen);
	run(&w, SECONDS(30));
	assert_int_equal(seen.told, 1); /* the same answer again is no news */
	assert_string_equal(bfd_watch_status(w2)->refused, "another client watches this neighbor with other keys");
	assert_int_equal(w.at_a.last.state, BFD_UP);
	assert_int_equal(w.at_a.falls, 0);
	bfd_watch_free(w.w);
	run(&w, SECONDS(30));
	assert_null(bfd_watch_status(w2)->refused);
	assert_true(seen.told > 1);
	bfd_client_free(other, false);
	world_free(&w);
}

/* Another client, whose watch shares the session of the first. */
static struct bfd_client *
second_client(struct world *w, const struct bfd_target *t, struct seen *seen, struct bfd_watch **watch)
{
	struct bfd_client *c = bfd_client_new(w->a, &w->mem, SOCKET, NULL, NULL);

	*watch = bfd_watch_new(c, t, on_status, seen);
	run(w, MS(100));
	assert_int_equal(seen->last.state, BFD_UP);
	return c;
}

/* Parameters that cannot be had change nothing: the session is what it was, and so is what is told of it. */
static void
refused_change(void **state)
{
	struct bfd_params with_key;
	struct bfd_client *other;
	struct seen seen = { 0 };
	struct bfd_target t;
	struct bfd_watch *w2;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	t = target(&w, 0);
	other = second_client(&w, &t, &seen, &w2);
	with_key = t.params;
	with_key.auth = other_keys;
	bfd_watch_change(w2, &with_key);
	run(&w, SECONDS(10));
	assert_string_equal(bfd_watch_status(w2)->refused, "another client watches this neighbor with other keys");
	assert_int_equal(bfd_watch_status(w2)->state, BFD_UP);
	assert_int_equal(seen.falls + w.at_a.falls + w.at_b.falls, 0);
	bfd_watch_change(w2, &t.params);
	run(&w, SECONDS(1));
	assert_null(bfd_watch_status(w2)->refused);
	assert_int_equal(seen.falls + w.at_a.falls + w.at_b.falls, 0);
	bfd_client_free(other, false);
	world_free(&w);
}

/* Who is refused is asked for again, whatever the session did meanwhile; and comes up when the reason is gone. */
static void
refused_change_is_not_forgotten(void **state)
{
	struct bfd_target a, b;
	struct bfd_client *other;
	struct seen seen = { 0 };
	struct bfd_watch *w2;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	a = target(&w, 0);
	b = target(&w, 1);
	other = second_client(&w, &a, &seen, &w2);
	a.params.auth = b.params.auth = other_keys;
	bfd_watch_change(w2, &a.params);
	run(&w, MS(100));
	assert_non_null(bfd_watch_status(w2)->refused);
	b.params.admin_down = true;
	bfd_watch_change(w.far_w, &b.params);
	run(&w, SECONDS(1));
	assert_int_equal(seen.falls, 1);
	assert_non_null(bfd_watch_status(w2)->refused);
	b.params.admin_down = false;
	bfd_watch_change(w.far_w, &b.params); /* from here on with the key */
	bfd_watch_free(w.w);
	w.w = NULL;
	run(&w, SECONDS(8));
	assert_null(bfd_watch_status(w2)->refused);
	assert_int_equal(seen.last.state, BFD_UP);
	assert_int_equal(w.at_b.last.state, BFD_UP);
	bfd_client_free(other, false);
	world_free(&w);
}

/* The keys of a client that went without a word bind nobody who is there. */
static void
keys_of_an_orphan(void **state)
{
	struct bfd_target a, b;
	struct bfd_client *other;
	struct seen seen = { 0 };
	struct bfd_watch *w2;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	a = target(&w, 0);
	b = target(&w, 1);
	other = second_client(&w, &a, &seen, &w2);
	bfd_client_free(w.client, true);
	w.client = NULL;
	run(&w, MS(100));
	a.params.auth = b.params.auth = other_keys;
	bfd_watch_change(w2, &a.params);
	bfd_watch_change(w.far_w, &b.params);
	run(&w, SECONDS(4));
	assert_null(bfd_watch_status(w2)->refused);
	assert_int_equal(seen.last.state, BFD_UP);
	assert_int_equal(w.at_b.last.state, BFD_UP);
	bfd_client_free(other, false);
	world_free(&w);
}

static void
first_row(void *arg, const struct bfd_row *row)
{
	*(struct bfd_view *)arg = row->view;
}

static struct bfd_view
only_view(struct world *w)
{
	struct bfd_view v = { .tx_us = 0 };

	assert_int_equal(bfd_host_list(w->host, 0, 1, first_row, &v), 1);
	return v;
}

/* No client is noticed later than it wants, and none sooner than the soonest wants, whoever came first. */
static void
two_wishes(void **state)
{
	(void)state;
	for (int turned = 0; turned < 2; turned++) {
		struct bfd_client *other;
		struct seen seen = { 0 };
		struct bfd_params quick, patient;
		struct bfd_target t;
		struct bfd_watch *w2;
		struct world w;

		world_new(&w);
		daemon_start(&w);
		both_up(&w);
		t = target(&w, 0);
		quick = patient = t.params;
		patient.min_tx_us = patient.min_rx_us = 100000; /* 300 ms */
		quick.multiplier = 10;                          /* 50 ms, and 500 */
		bfd_watch_change(w.w, turned ? &quick : &patient);
		t.params = turned ? patient : quick;
		other = second_client(&w, &t, &seen, &w2);
		run(&w, SECONDS(3));
		assert_int_equal(only_view(&w).tx_us, 50000);
		assert_int_equal(only_view(&w).multiplier, 6);
		bfd_client_free(other, false);
		run(&w, SECONDS(3));
		assert_int_equal(only_view(&w).multiplier, turned ? 10 : 3);
		world_free(&w);
	}
}

/* A client goes without a word when its successor is there already: nothing of it is kept. */
static void
gone_after_its_successor_came(void **state)
{
	struct bfd_client *other;
	struct seen seen = { 0 };
	struct bfd_target t;
	struct bfd_watch *w2;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	t = target(&w, 0);
	t.params.min_tx_us = t.params.min_rx_us = 300000;
	other = second_client(&w, &t, &seen, &w2);
	bfd_client_free(w.client, true);
	w.client = NULL;
	run(&w, SECONDS(3));
	assert_int_equal(only_view(&w).tx_us, 300000);
	bfd_watch_free(w2);
	run(&w, SECONDS(1));
	assert_int_equal(w.at_b.last.remote_state, BFD_ADMIN);
	bfd_client_free(other, false);
	world_free(&w);
}

/* What a client has asked for goes with it, and not with one that asked before. */
static void
strangers_of_a_client(void **state)
{
	struct bfd_strangers wanted = {
		.ifindex = 1, .params = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3 }, .max = 1
	};
	struct bfd_client *other;
	struct bfd_target b;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
	other = bfd_client_new(w.a, &w.mem, SOCKET, NULL, NULL);
	run(&w, MS(100));
	bfd_client_unsolicited(w.client, &wanted);
	run(&w, MS(100));
	bfd_client_unsolicited(other, &wanted);
	run(&w, MS(100));
	bfd_client_free(w.client, true);
	w.client = NULL;
	b = target(&w, 1);
	w.far_w = bfd_watch_new(w.far, &b, on_status, &w.at_b);
	run(&w, SECONDS(3));
	assert_int_equal(w.at_b.last.state, BFD_UP);
	bfd_watch_free(w.far_w);
	bfd_client_free(other, true);
	run(&w, SECONDS(15));
	w.far_w = bfd_watch_new(w.far, &b, on_status, &w.at_b);
	run(&w, SECONDS(5));
	assert_int_equal(w.at_b.last.state, BFD_DOWN);
	world_free(&w);
}

/* ---- another process goes on ---- */

static void
keep_record(void *arg, uint32_t *slot, const struct bfd_record *rec)
{
	*slot = 1;
	if (rec)
		*(struct bfd_record *)arg = *rec;
}

/* Before a client has come back: echo packets return, and so do those of the neighbour. */
static void
echo_after_a_restart(void **state)
{
	struct bfd_record rec = { 0 };
	struct bfd_host_config cfg = { .seed = 3, .keep = keep_record, .store = &rec };
	struct bfd_target a, b;
	struct bfd_view view;
	struct world w;

	(void)state;
	world_new(&w);
	cfg.rt = w.a;
	cfg.mem = &w.mem;
	w.host = bfd_host_new(&cfg);
	assert_int_equal(bfd_server_new(w.a, &w.mem, w.host, SOCKET, 0660, &w.server), 0);
	a = target(&w, 0);
	b = target(&w, 1);
	a.params.echo_us = a.params.echo_rx_us = b.params.echo_us = b.params.echo_rx_us = 50000;
	w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
	bfd_watch_new(w.client, &a, on_status, &w.at_a);
	w.far_w = bfd_watch_new(w.far, &b, on_status, &w.at_b);
	run(&w, SECONDS(3));
	assert_int_equal(w.at_a.last.state, BFD_UP);
	bfd_client_free(w.client, true);
	w.client = NULL;
	bfd_host_forget(w.host);
	daemon_stop(&w);
	w.host = bfd_host_new(&cfg);
	assert_int_equal(bfd_host_restore(w.host, 1, &rec), 0);
	bfd_host_run(w.host);
	run(&w, SECONDS(2));
	assert_int_equal(bfd_host_list(w.host, 0, 1, first_row, &view), 1);
	assert_int_equal(view.state, BFD_UP);
	assert_int_equal(view.flaps, 0);
	assert_true(view.echo_rx > 20);
	assert_int_equal(w.at_b.falls, 0);
	world_free(&w);
}

static void
on_row(void *arg, const struct bfd_row *row, int error)
{
	struct seen *seen = arg;

	seen->rows += row != NULL;
	seen->ends += row == NULL;
	seen->error = error;
}

/* Many rows, more than a buffer holds; and a list that the end of the connection ends. */
static void
lists(void **state)
{
	enum { N = 2000 };
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	for (uint32_t i = 0; i < N; i++) {
		struct bfd_target t = {
			.path = { .local = ip_v4(0x0a000001), .peer = ip_v4(0x0b000000 + i + 1), .multihop = true },
			.params = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3 }
		};

		bfd_watch_new(w.client, &t, on_status, &w.at_b);
	}
	run(&w, SECONDS(1));
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	run(&w, SECONDS(1));
	assert_int_equal(w.at_a.rows, N + 1);
	assert_int_equal(w.at_a.ends, 1);
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	daemon_stop(&w);
	run(&w, SECONDS(1));
	assert_int_equal(w.at_a.ends, 2);
	assert_true(w.at_a.error < 0);
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), -ENOTCONN);
	daemon_start(&w);
	world_free(&w);
}

/* ---- counters ---- */

struct told {
	size_t common, of_sessions, ends;
	uint64_t hop_limit, cut_off, more, received; /* by bfdd */
	uint64_t session_received;
	int64_t counted_us;
	int error;
	struct seen *listed; /* what of a list had come at the end */
	size_t rows_then;
};

static void
on_counter(void *arg, const struct bfd_count *c, int64_t counted_us, int error)
{
	struct told *t = arg;
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = { { "hop-limit", &t->hop_limit }, { "clients-cut-off", &t->cut_off }, { "more", &t->more },
		{ "packets-received", &t->received } };

	if (!c) {
		t->ends++;
		t->counted_us = counted_us;
		t->error = error;
		t->rows_then = t->listed ? t->listed->rows : 0;
		return;
	}
	assert_true(strlen(c->name) > 1 && strlen(c->what) > 3);
	if (c->path) {
		t->of_sessions++;
		if (strcmp(c->name, "packets-received") == 0 && strcmp(c->port, "eth1") == 0)
			t->session_received = c->value;
		return;
	}
	assert_string_equal(c->port, "");
	t->common++;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(c->name, known[i].name) == 0)
			*known[i].value = c->value;
}

static void
tell_more(void *arg, bfd_count_fn *fn, void *to)
{
	static const struct counter list[] = { { "more", "what others count", 0, false } };
	struct counters c = { .list = list, .n = 1, .of = arg };

	bfd_counters_tell(&c, NULL, fn, to);
}

static void
counters(void **state)
{
	struct rt_datagram d = { .hop_limit = 254, .bytes = (const uint8_t *)"\x20\xc0\3\x18", .n = 4 };
	struct told told = { 0 }, again = { .listed = NULL };
	uint64_t more = 7;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	bfd_server_more_counters(w.server, tell_more, &more);
	both_up(&w);
	d.src = w.ll[1];
	d.dst = w.ll[0];
	for (int i = 0; i < 5; i++)
		assert_int_equal(sim_inject_datagram(w.a, 1, &d, BFD_PORT), 0);
	assert_int_equal(bfd_client_counters(w.client, on_counter, &told), 0);
	assert_int_equal(bfd_client_counters(w.client, on_counter, &again), -EBUSY);
	assert_int_equal(told.common, 0); /* from the loop */
	run(&w, MS(10));
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.error, 0);
	assert_in_range(told.counted_us, SECONDS(3), SECONDS(4));
	assert_int_equal(told.hop_limit, 5);
	assert_int_equal(told.more, 7);
	assert_int_equal(told.cut_off, 0);
	assert_true(told.session_received > 20 && told.session_received == told.received);
	assert_true(told.of_sessions > 4 && told.common > BFD_DROPS);
	/* With a list at the same time: one after the other, each whole. */
	again.listed = &w.at_a;
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	assert_int_equal(bfd_client_counters(w.client, on_counter, &again), 0);
	run(&w, MS(10));
	assert_true(w.at_a.rows == 1 && w.at_a.ends == 1 && w.at_a.error == 0);
	assert_true(again.ends == 1 && again.error == 0 && again.rows_then == 1);
	assert_true(again.common == told.common && again.of_sessions == told.of_sessions);
	assert_int_equal(bfd_client_counters(w.client, on_counter, &again), 0);
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	run(&w, MS(10));
	assert_true(again.ends == 2 && again.rows_then == 1 && w.at_a.rows == 2 && w.at_a.ends == 2);
	world_free(&w);
}

/* More than a buffer holds; and an end of bfdd in the middle. */
static void
counters_of_many(void **state)
{
	enum { N = 2000 };
	struct told told = { 0 }, cut = { 0 };
	size_t each;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	bfd_client_counters(w.client, on_counter, &told);
	run(&w, MS(10));
	each = told.of_sessions;
	for (uint32_t i = 0; i < N; i++) {
		struct bfd_target t = {
			.path = { .local = ip_v4(0x0a000001), .peer = ip_v4(0x0b000000 + i + 1), .multihop = true },
			.params = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3 }
		};

		bfd_watch_new(w.client, &t, on_status, &w.at_b);
	}
	run(&w, SECONDS(1));
	memset(&told, 0, sizeof(told));
	assert_int_equal(bfd_client_counters(w.client, on_counter, &told), 0);
	run(&w, SECONDS(1));
	assert_true(told.ends == 1 && told.error == 0);
	assert_int_equal(told.of_sessions, (N + 1) * each);
	assert_int_equal(told.cut_off, 0);
	assert_int_equal(bfd_client_counters(w.client, on_counter, &cut), 0);
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	daemon_stop(&w);
	run(&w, SECONDS(1));
	assert_true(cut.ends == 1 && cut.error < 0);
	assert_true(w.at_a.ends == 1 && w.at_a.error < 0); /* which waited for its turn */
	assert_int_equal(bfd_client_counters(w.client, on_counter, &cut), -ENOTCONN);
	daemon_start(&w); /* and who asks the next one is answered */
	run(&w, SECONDS(4));
	assert_int_equal(bfd_client_counters(w.client, on_counter, &cut), 0);
	run(&w, SECONDS(1));
	assert_true(cut.ends == 2 && cut.error == 0);
	world_free(&w);
}

/* A bfdd of before: it passes over what it does not know in a List, and lists its sessions. */
static size_t
older_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct bfd_reply row = { .tell = BFD_TELL_ROW,
		.row = { .port = "eth1", .view.path = { .ifindex = 1, .local = ip_v4(1), .peer = ip_v4(2) } } };
	struct rd rd = rd_make(bytes, n), body;
	struct rt_stream **s = arg;
	struct bfd_request request;
	uint8_t buf[BFD_FRAME_MAX];

	while (bfd_frame(&rd, &body) > 0) {
		assert_int_equal(bfd_request_decode(body, &request), 0);
		if (request.ask != BFD_ASK_LIST)
			continue;
		rt_write(*s, buf, bfd_reply_encode(&row, buf));
		rt_write(*s, buf, bfd_reply_encode(&(struct bfd_reply){ .tell = BFD_TELL_END }, buf));
	}
	return n - rd_left(&rd);
}

static void
older_closed(void *arg, int error)
{
	(void)error;
	*(struct rt_stream **)arg = NULL;
}

static void
on_older(void *arg, struct rt_stream *stream, const struct ip *peer, uint16_t port)
{
	static const struct rt_stream_handler handler = { .input = older_input, .closed = older_closed };

	(void)peer;
	(void)port;
	*(struct rt_stream **)arg = stream;
	rt_stream_handle(stream, &handler, arg);
}

static void
older_daemon(void **state)
{
	struct rt_stream *stream = NULL;
	struct rt_listener *listener;
	struct told told = { 0 };
	struct world w;

	(void)state;
	world_new(&w);
	assert_int_equal(rt_listen_unix(w.a, SOCKET, 0660, on_older, &stream, &listener), 0);
	w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
	run(&w, MS(10));
	assert_int_equal(bfd_client_counters(w.client, on_counter, &told), 0);
	assert_int_equal(bfd_client_list(w.client, on_row, &w.at_a), 0);
	run(&w, MS(10));
	assert_true(told.ends == 1 && told.error == -EOPNOTSUPP && told.common + told.of_sessions == 0);
	assert_true(w.at_a.rows == 1 && w.at_a.ends == 1); /* of its own question alone */
	assert_true(bfd_client_connected(w.client) && w.connected == 1);
	bfd_client_free(w.client, true);
	w.client = NULL;
	run(&w, MS(10));
	assert_null(stream);
	rt_listener_close(listener);
	world_free(&w);
}

/* ---- clients that misbehave ---- */

struct raw {
	bool closed;
	size_t got;
};

static void
raw_closed(void *arg, int error)
{
	(void)error;
	((struct raw *)arg)->closed = true;
}

static size_t
raw_input(void *arg, const uint8_t *bytes, size_t n)
{
	(void)bytes;
	((struct raw *)arg)->got += n;
	return n;
}

static const struct rt_stream_handler raw_handler = { .input = raw_input, .closed = raw_closed };

static void
nonsense(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t n;
	} cases[] = {
		{ "a length beyond all", "\xff\xff\xff\xff", 4 },
		{ "an empty message", "\0\0\0\0", 4 },
		{ "no protobuf", "\0\0\0\4\xff\xff\xff\xff", 8 },
		{ "a request that does not exist", "\0\0\0\2\x7a\0", 6 },
		{ "a watch of nothing", "\0\0\0\2\x0a\0", 6 },
	};
	struct bfd_server_stats stats;
	struct world w;

	(void)state;
	world_new(&w);
	daemon_start(&w);
	both_up(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct raw raw = { 0 };
		struct rt_stream *s;

		assert_int_equal(sim_unix_connect(w.b, w.a, SOCKET, &raw_handler, &raw, &s), 0);
		run(&w, MS(1));
		assert_int_equal(rt_write(s, (const uint8_t *)cases[i].bytes, cases[i].n), cases[i].n);
		run(&w, MS(10));
		if (!raw.closed || raw.got)
			fail_msg("%s: not cut off", cases[i].name);
		bfd_server_stats(w.server, &stats);
		assert_int_equal(stats.cut_off, i + 1);
		assert_int_equal(stats.clients, 1);
	}
	assert_int_equal(w.at_a.falls + w.at_b.falls, 0);
	world_free(&w);
}

static void
on_turned_away(void *arg, struct rt_stream *stream, const struct ip *peer, uint16_t port)
{
	(void)peer;
	(void)port;
	++*(unsigned int *)arg;
	rt_stream_close(stream, true);
}

/* Who takes connections but answers nothing is asked less and less often, as one who is not there. */
static void
turned_away(void **state)
{
	struct rt_listener *listener;
	unsigned int times = 0;
	struct world w;

	(void)state;
	world_new(&w);
	assert_int_equal(rt_listen_unix(w.a, SOCKET, 0660, on_turned_away, &times, &listener), 0);
	w.client = bfd_client_new(w.a, &w.mem, SOCKET, on_connected, &w);
	run(&w, SECONDS(30));
	assert_in_range(times, 10, 30);
	rt_listener_close(listener);
	daemon_start(&w);
	run(&w, SECONDS(4));
	both_up_with(&w);
	daemon_stop(&w); /* who has answered is asked again at once */
	run(&w, MS(1));
	daemon_start(&w);
	run(&w, MS(50));
	assert_true(bfd_client_connected(w.client));
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watches),
		cmocka_unit_test(daemon_comes_and_goes),
		cmocka_unit_test(client_restarts),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_for_a_while),
		cmocka_unit_test(refused_change),
		cmocka_unit_test(refused_change_is_not_forgotten),
		cmocka_unit_test(keys_of_an_orphan),
		cmocka_unit_test(two_wishes),
		cmocka_unit_test(gone_after_its_successor_came),
		cmocka_unit_test(strangers_of_a_client),
		cmocka_unit_test(echo_after_a_restart),
		cmocka_unit_test(lists),
		cmocka_unit_test(counters),
		cmocka_unit_test(counters_of_many),
		cmocka_unit_test(older_daemon),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(turned_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
