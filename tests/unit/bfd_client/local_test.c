/* bfd/client/local.c and bfd/host: whole switches in the simulator, each with an engine of its own */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/client/impl.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/sim/sim.h"

struct end {
	struct runtime *rt;
	struct ip ll;
	struct bfd_client *c;
	struct bfd_watch *w;
	struct bfd_status last, fell; /* fell: the last that was told after Up */
	struct mono at;
	unsigned int told, ups, downs;
	bool free_from_inside, in_call;
	struct world *world;
	size_t rows, ends;
	struct bfd_view row;
};

struct world {
	struct mem mem;
	struct sim_net *net;
	struct end end[2];
};

static void
on_status(void *arg, const struct bfd_status *s)
{
	struct end *e = arg;

	assert_false(e->in_call);
	e->ups += s->state == BFD_UP && e->last.state != BFD_UP;
	if (s->state != BFD_UP && e->last.state == BFD_UP) {
		e->downs++;
		e->fell = *s;
	}
	e->told++;
	e->last = *s;
	e->at = sim_now(e->world->net);
	if (e->free_from_inside && s->state == BFD_UP) {
		bfd_watch_free(e->w);
		e->w = NULL;
	}
}

static void
watch(struct world *w, int i, const struct bfd_params *p)
{
	struct end *e = &w->end[i];
	struct bfd_target t = {
		.path = { .ifindex = 1, .local = e->ll, .peer = w->end[!i].ll }, .port = "eth1", .params = *p
	};

	e->in_call = true;
	e->w = bfd_watch_new(e->c, &t, on_status, e);
	e->in_call = false;
}

static const struct bfd_params usual = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3, .independent = true };

static void
world_new(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->net = sim_net_new(&w->mem, seed);
	for (int i = 0; i < 2; i++) {
		const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)(1 + i) };
		struct sim_port_view v;

		w->end[i].world = w;
		w->end[i].rt = sim_node_new(w->net, i ? "b" : "a");
		assert_int_equal(sim_port_add(w->end[i].rt, 1, "eth1", mac, NULL), 0);
		assert_int_equal(sim_port_get(w->end[i].rt, 1, &v), 0);
		w->end[i].ll = v.link_local;
		w->end[i].last.state = BFD_DOWN;
	}
	assert_int_equal(sim_link_connect(w->end[0].rt, 1, w->end[1].rt, 1, 100), 0);
	for (int i = 0; i < 2; i++)
		w->end[i].c = bfd_client_local(w->end[i].rt, &w->mem, seed + (uint64_t)i);
}

static void
world_free(struct world *w)
{
	for (int i = 0; i < 2; i++)
		bfd_client_free(w->end[i].c, false);
	sim_net_free(w->net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(w->mem.by[k].bytes, 0);
}

static void
run(struct world *w, int64_t us)
{
	sim_run_until(w->net, mono_add(sim_now(w->net), us));
}

static void
both_up(struct world *w)
{
	for (int i = 0; i < 2; i++)
		watch(w, i, &usual);
	run(w, SECONDS(3));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->end[i].last.state, BFD_UP);
		assert_true(w->end[i].last.independent);
		assert_int_equal(bfd_watch_status(w->end[i].w)->state, BFD_UP);
	}
}

/* A link that swallows packets while its carrier stays: found after the detection time, by each end by itself. */
static void
black_link(void **state)
{
	struct sim_impair black = { .black = true }, fine = { 0 };
	struct world w;
	struct mono cut;

	(void)state;
	world_new(&w, 1);
	both_up(&w);
	cut = sim_now(w.net);
	for (int i = 0; i < 2; i++)
		sim_link_impair(w.end[i].rt, 1, &black);
	run(&w, SECONDS(1));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.end[i].last.state, BFD_DOWN);
		assert_int_equal(w.end[i].last.diag, BFD_DIAG_TIMEOUT);
		assert_in_range(w.end[i].at.us - cut.us, MS(100), MS(150) + 100);
		sim_link_impair(w.end[i].rt, 1, &fine);
	}
	run(&w, SECONDS(3));
	assert_int_equal(w.end[0].ups, 2);
	assert_int_equal(w.end[1].ups, 2);
	world_free(&w);
}

/* One direction only: the deaf end finds out and tells the other at once. */
static void
one_way(void **state)
{
	struct sim_impair black = { .black = true };
	struct world w;

	(void)state;
	world_new(&w, 2);
	both_up(&w);
	sim_link_impair(w.end[1].rt, 1, &black);
	run(&w, MS(160));
	assert_int_equal(w.end[0].last.diag, BFD_DIAG_TIMEOUT);
	assert_int_equal(w.end[1].last.diag, BFD_DIAG_NEIGHBOR_DOWN);
	assert_true(w.end[1].last.remote_said_down);
	assert_in_range(w.end[1].at.us - w.end[0].at.us, 100, 200);
	world_free(&w);
}

/* Loss of a tenth of all packets, both ways, with reordering: 3 in a row are rare, 10 are never. */
static void
lossy(void **state)
{
	struct sim_impair loss = { .loss_ppm = 100000, .duplicate_ppm = 100000, .jitter_us = MS(20) };
	struct bfd_params patient = usual;
	struct world w;

	(void)state;
	world_new(&w, 3);
	patient.multiplier = 12;
	for (int i = 0; i < 2; i++) {
		sim_link_impair(w.end[i].rt, 1, &loss);
		watch(&w, i, &patient);
	}
	run(&w, SECONDS(600));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.end[i].last.state, BFD_UP);
		assert_int_equal(w.end[i].downs, 0);
	}
	world_free(&w);
}

/* A switch that stands still for seconds calls nobody dead; its neighbour, which waits longer, keeps it. */
static void
stall(void **state)
{
	struct bfd_params patient = usual;
	struct world w;

	(void)state;
	world_new(&w, 4);
	patient.multiplier = 100;
	watch(&w, 0, &patient);
	watch(&w, 1, &usual);
	run(&w, SECONDS(3));
	for (int64_t ms = 151; ms < 4000; ms += 337) {
		sim_node_stall(w.end[0].rt, MS(ms));
		run(&w, MS(ms + 700));
		assert_int_equal(w.end[0].downs, 0);
		assert_int_equal(w.end[1].downs, 0);
	}
	world_free(&w);
}

static void
crash(void **state)
{
	struct world w;

	(void)state;
	world_new(&w, 5);
	both_up(&w);
	sim_node_crash(w.end[1].rt, SIM_KILLED);
	run(&w, SECONDS(1));
	assert_int_equal(w.end[0].last.diag, BFD_DIAG_TIMEOUT);
	bfd_client_free(w.end[1].c, true);
	sim_node_boot(w.end[1].rt);
	w.end[1].c = bfd_client_local(w.end[1].rt, &w.mem, 99);
	watch(&w, 1, &usual);
	run(&w, SECONDS(3));
	assert_int_equal(w.end[0].last.state, BFD_UP);
	assert_int_equal(w.end[1].last.state, BFD_UP);
	world_free(&w);
}

static void
freed_from_inside(void **state)
{
	struct world w;

	(void)state;
	world_new(&w, 6);
	w.end[0].free_from_inside = true;
	for (int i = 0; i < 2; i++)
		watch(&w, i, &usual);
	run(&w, SECONDS(3));
	assert_null(w.end[0].w);
	assert_int_equal(w.end[1].last.state, BFD_DOWN);
	assert_int_equal(w.end[1].last.remote_state, BFD_ADMIN);
	run(&w, SECONDS(60)); /* the lingering session is gone */
	world_free(&w);
}

/* A fall and a rise while the owner's turn has not come: both are told. */
static void
short_fall(void **state)
{
	struct world w;

	(void)state;
	world_new(&w, 10);
	both_up(&w);
	w.end[1].told = 0;
	for (int i = 0; i < 3; i++) {
		struct bfd_status s = *bfd_watch_status(w.end[1].w);

		s.state = BFD_DOWN;
		bfd_watch_news(w.end[1].w, &s);
		s.state = BFD_INIT;
		bfd_watch_news(w.end[1].w, &s);
		s.state = BFD_UP;
		bfd_watch_news(w.end[1].w, &s);
	}
	run(&w, MS(1));
	assert_int_equal(w.end[1].downs, 1);
	assert_int_equal(w.end[1].told, 2);
	assert_int_equal(w.end[1].last.state, BFD_UP);
	world_free(&w);
}

/* What follows a fall before the owner's turn has come does not hide why it was: who restarts BFD has not failed. */
static void
short_fall_says_why(void **state)
{
	(void)state;
	for (int up_again = 0; up_again < 2; up_again++) {
		struct bfd_status s;
		struct world w;

		world_new(&w, 12);
		both_up(&w);
		w.end[1].told = 0;
		s = *bfd_watch_status(w.end[1].w);
		s.state = BFD_DOWN;
		s.diag = BFD_DIAG_NEIGHBOR_DOWN;
		s.remote_state = BFD_ADMIN;
		bfd_watch_news(w.end[1].w, &s);
		s.state = BFD_INIT;
		s.diag = BFD_DIAG_NONE;
		s.remote_state = BFD_DOWN;
		bfd_watch_news(w.end[1].w, &s);
		if (up_again) {
			s.state = s.remote_state = BFD_UP;
			bfd_watch_news(w.end[1].w, &s);
		}
		run(&w, MS(1));
		assert_int_equal(w.end[1].told, 2);
		assert_int_equal(w.end[1].downs, 1);
		assert_int_equal(w.end[1].fell.remote_state, BFD_ADMIN);
		assert_int_equal(w.end[1].fell.diag, BFD_DIAG_NEIGHBOR_DOWN);
		assert_int_equal(w.end[1].last.state, up_again ? BFD_UP : BFD_INIT);
		world_free(&w);
	}
}

static void
refused(void **state)
{
	struct bfd_params wrong = usual;
	struct world w;

	(void)state;
	world_new(&w, 7);
	wrong.multiplier = 0;
	watch(&w, 0, &wrong);
	assert_int_equal(w.end[0].told, 0);
	run(&w, 1);
	assert_int_equal(w.end[0].told, 1);
	assert_non_null(bfd_watch_status(w.end[0].w)->refused);
	bfd_watch_change(w.end[0].w, &usual); /* and can be mended */
	watch(&w, 1, &usual);
	run(&w, SECONDS(3));
	assert_null(bfd_watch_status(w.end[0].w)->refused);
	assert_int_equal(w.end[0].last.state, BFD_UP);
	world_free(&w);
}

static void
on_row(void *arg, const struct bfd_row *row, int error)
{
	struct end *e = arg;

	assert_int_equal(error, 0);
	if (!row) {
		e->ends++;
		return;
	}
	e->rows++;
	e->row = row->view;
	assert_string_equal(row->port, "eth1");
	assert_int_equal(row->clients, 1);
	assert_in_range(row->last_rx_us, 0, 50000);
}

static void
listed(void **state)
{
	struct world w;

	(void)state;
	world_new(&w, 8);
	both_up(&w);
	assert_int_equal(bfd_client_list(w.end[0].c, on_row, &w.end[0]), 0);
	assert_int_equal(bfd_client_list(w.end[0].c, on_row, &w.end[0]), -EBUSY);
	run(&w, MS(1));
	assert_int_equal(w.end[0].rows, 1);
	assert_int_equal(w.end[0].ends, 1);
	assert_int_equal(w.end[0].row.detect_us, 150000);
	assert_int_equal(w.end[0].row.missed, 0);
	world_free(&w);
}

/* RFC 9468: a stranger whose echo packets we said to return (6.8.9) gets them back. */
static void
echo_with_a_stranger(void **state)
{
	struct bfd_strangers strangers = { .ifindex = 1, .params = usual, .max = 1 };
	struct bfd_params p = usual;
	struct world w;

	(void)state;
	world_new(&w, 13);
	strangers.params.echo_rx_us = 50000;
	bfd_client_unsolicited(w.end[1].c, &strangers);
	p.echo_rx_us = p.echo_us = 50000;
	watch(&w, 0, &p);
	run(&w, SECONDS(5));
	assert_int_equal(w.end[0].ups, 1);
	assert_int_equal(w.end[0].downs, 0);
	world_free(&w);
}

struct counted {
	size_t common, of_session, ends;
	uint64_t received;
};

static void
on_counter(void *arg, const struct bfd_count *c, int64_t counted_us, int error)
{
	struct counted *n = arg;

	assert_int_equal(error, 0);
	n->common += c && !c->path;
	n->of_session += c && c->path;
	n->ends += !c;
	if (c && c->path && strcmp(c->name, "packets-received") == 0)
		n->received = c->value;
	if (!c)
		assert_in_range(counted_us, SECONDS(3), SECONDS(3) + MS(1));
}

/* An engine of one's own tells its counters as bfdd does. */
static void
counted(void **state)
{
	struct counted n = { 0 };
	struct world w;

	(void)state;
	world_new(&w, 11);
	both_up(&w);
	assert_int_equal(bfd_client_counters(w.end[0].c, on_counter, &n), 0);
	assert_int_equal(bfd_client_counters(w.end[0].c, on_counter, &n), -EBUSY);
	run(&w, MS(1));
	assert_int_equal(n.ends, 1);
	assert_true(n.common > BFD_DROPS && n.of_session > 4 && n.received > 20);
	world_free(&w);
}

/* B02: the neighbour's own packets, but on another port. */
static void
test_B02_wrong_interface(void **state)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 1, 1 };
	struct sim_impair black = { .black = true };
	struct world w;
	struct rt_datagram d = { .hop_limit = 255 };
	uint8_t bytes[24] = { 0x20, 0xc0, 3, 24, 0, 0, 0, 9 };

	(void)state;
	world_new(&w, 9);
	assert_int_equal(sim_port_add(w.end[0].rt, 2, "eth2", mac, NULL), 0);
	both_up(&w);
	bfd_client_list(w.end[0].c, on_row, &w.end[0]);
	run(&w, MS(1));
	for (int i = 0; i < 4; i++)
		bytes[8 + i] = (uint8_t)(w.end[0].row.local_discr >> (24 - 8 * i));
	bytes[14] = bytes[18] = 0xc3; /* 50 ms */
	d.bytes = bytes;
	d.n = sizeof(bytes);
	d.src = w.end[1].ll;
	d.dst = w.end[0].ll;
	sim_link_impair(w.end[1].rt, 1, &black);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sim_inject_datagram(w.end[0].rt, 2, &d, BFD_PORT), 0);
		run(&w, MS(10));
	}
	assert_int_equal(w.end[0].last.state, BFD_DOWN);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(black_link),
		cmocka_unit_test(one_way),
		cmocka_unit_test(lossy),
		cmocka_unit_test(stall),
		cmocka_unit_test(crash),
		cmocka_unit_test(freed_from_inside),
		cmocka_unit_test(short_fall),
		cmocka_unit_test(short_fall_says_why),
		cmocka_unit_test(echo_with_a_stranger),
		cmocka_unit_test(refused),
		cmocka_unit_test(listed),
		cmocka_unit_test(counted),
		cmocka_unit_test(test_B02_wrong_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
