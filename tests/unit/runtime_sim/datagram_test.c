/* fabricd/runtime/sim/datagram.c: over a link, lost with it, to the sockets that fit, late to a node that stalls */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/sim/sim.h"

#define LATENCY 100

struct world {
	struct mem mem;
	struct sim_net *net;
	struct runtime *rt[2];
	struct ip ll[2];
	struct rt_datagrams *tx;
};

struct ear {
	struct rt_datagrams *d;
	struct rt_datagram last;
	unsigned int got;
	bool close;
};

static void
on_datagram(void *arg, const struct rt_datagram *d)
{
	struct ear *e = arg;

	e->got++;
	e->last = *d;
	if (e->close) {
		rt_datagrams_close(e->d);
		e->d = NULL;
	}
}

static void
world_new(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->net = sim_net_new(&w->mem, 1);
	for (int i = 0; i < 2; i++) {
		const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)(1 + i) };
		struct ip four = ip_v4(0x0a000001u + (uint32_t)i);
		struct sim_port_view v;

		w->rt[i] = sim_node_new(w->net, i ? "b" : "a");
		assert_int_equal(sim_port_add(w->rt[i], 1, "eth1", mac, NULL), 0);
		assert_int_equal(sim_port_address(w->rt[i], 1, &four), 0);
		sim_port_get(w->rt[i], 1, &v);
		w->ll[i] = v.link_local;
	}
	assert_int_equal(sim_link_connect(w->rt[0], 1, w->rt[1], 1, LATENCY), 0);
	assert_int_equal(
	    rt_datagrams_open(w->rt[0],
		&(struct rt_datagram_options){ .ifindex = 1, .local = w->ll[0], .local_port = 50000, .hop_limit = 255 },
		NULL, NULL, &w->tx),
	    0);
}

static void
world_free(struct world *w)
{
	sim_net_free(w->net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(w->mem.by[k].bytes, 0);
}

static int
ear_open(struct world *w, struct ear *e, uint8_t family, uint16_t port)
{
	struct rt_datagram_options o = { .ifindex = 1, .local.family = family, .local_port = port };

	memset(e, 0, sizeof(*e));
	return rt_datagrams_open(w->rt[1], &o, on_datagram, e, &e->d);
}

static void
send(struct world *w, uint16_t port)
{
	assert_int_equal(rt_datagram_send(w->tx, &w->ll[1], port, (const uint8_t *)"hi", 2), 0);
}

static void
run(struct world *w, int64_t us)
{
	sim_run_until(w->net, mono_add(sim_now(w->net), us));
}

static void
arrives(void **state)
{
	struct ear six, four, other, second;
	struct mono begun;
	struct world w;

	(void)state;
	world_new(&w);
	assert_int_equal(ear_open(&w, &six, FAMILY_IPV6, 3784), 0);
	assert_int_equal(ear_open(&w, &four, FAMILY_IPV4, 3784), 0);
	assert_int_equal(ear_open(&w, &other, FAMILY_IPV6, 3785), 0);
	assert_int_equal(ear_open(&w, &second, FAMILY_IPV6, 3784), -EADDRINUSE);
	begun = sim_now(w.net);
	send(&w, 3784);
	run(&w, LATENCY - 1);
	assert_int_equal(six.got, 0);
	run(&w, 1);
	assert_int_equal(six.got, 1);
	assert_int_equal(four.got + other.got, 0);
	assert_int_equal(six.last.at.us, begun.us + LATENCY);
	assert_int_equal(six.last.hop_limit, 255);
	assert_int_equal(six.last.src_port, 50000);
	assert_int_equal(six.last.ifindex, 1);
	assert_true(ip_equal(&six.last.src, &w.ll[0]) && ip_equal(&six.last.dst, &w.ll[1]));
	six.close = true;
	send(&w, 3784);
	send(&w, 3784);
	run(&w, SECONDS(1));
	assert_int_equal(six.got, 2);
	world_free(&w);
}

static void
lost(void **state)
{
	struct sim_impair black = { .black = true }, twice = { .duplicate_ppm = 1000000 };
	struct ear e;
	struct world w;

	(void)state;
	world_new(&w);
	assert_int_equal(ear_open(&w, &e, FAMILY_IPV6, 3784), 0);
	sim_link_impair(w.rt[0], 1, &black);
	send(&w, 3784);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 0);
	sim_link_impair(w.rt[0], 1, &twice);
	send(&w, 3784);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 2);
	send(&w, 3784); /* on its way when the link is cut, or taken away */
	sim_link_set(w.rt[0], 1, false);
	sim_link_set(w.rt[0], 1, true);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 2);
	send(&w, 3784);
	assert_int_equal(sim_link_disconnect(w.rt[0], 1), 0);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 2);
	send(&w, 3784); /* into nowhere */
	sim_port_set(w.rt[0], 1, false);
	assert_int_equal(rt_datagram_send(w.tx, &w.ll[1], 3784, (const uint8_t *)"hi", 2), -ENETDOWN);
	world_free(&w);
}

static void
stalled_and_crashed(void **state)
{
	struct ear e;
	struct world w;

	(void)state;
	world_new(&w);
	assert_int_equal(ear_open(&w, &e, FAMILY_IPV6, 3784), 0);
	sim_node_stall(w.rt[1], SECONDS(2));
	send(&w, 3784);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 0);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 1);
	sim_node_crash(w.rt[1], SIM_KILLED);
	send(&w, 3784);
	run(&w, SECONDS(1));
	assert_int_equal(e.got, 1);
	send(&w, 3784); /* in flight at the end of the world */
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrives),
		cmocka_unit_test(lost),
		cmocka_unit_test(stalled_and_crashed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
