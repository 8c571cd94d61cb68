/* tests/unit/bfd_daemon/sockets_test.c -- bfdd's sockets over the loopback: bursts, and who closes while he is given packets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "bfd/daemon/sockets.h"
#include "bfd/packet.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/clock.h"
#include "fabricd/runtime/event/event.h"
#include "fabricd/runtime/socket.h"

#define WITHIN SECONDS(10) /* a machine that has other things to do */

struct world {
	struct mem mem;
	struct runtime *rt;
	struct bfd_sockets *s;
	struct rt_datagrams *rx;
	struct rt_datagram_options o;
	int tx;
	unsigned int got, readings;
	bool closes;
};

static void
on_read(void *arg)
{
	((struct world *)arg)->readings++;
}

static void
on_datagram(void *arg, const struct rt_datagram *d)
{
	struct world *w = arg;

	assert_int_equal(d->n, 16);
	w->got++;
	if (!w->closes || !w->rx)
		return;
	rt_datagrams_close(w->rx);
	w->rx = NULL;
}

/* A socket that is none of a group, as that of echo packets is. */
static void
world_new(struct world *w)
{
	struct bfd_sockets_config cfg = { .read = on_read, .arg = w };
	int err = -EADDRINUSE;

	memset(w, 0, sizeof(*w));
	w->rt = cfg.rt = rt_event_new(&w->mem);
	assert_non_null(w->rt);
	cfg.mem = &w->mem;
	w->s = bfd_sockets_new(&cfg);
	w->o = (struct rt_datagram_options){
		.ifindex = if_nametoindex("lo"), .local = { .family = FAMILY_IPV4 }, .hop_limit = 255, .tclass = 0xc0
	};
	for (int i = 0; i < 100 && err == -EADDRINUSE; i++) {
		w->o.local_port = (uint16_t)(20000 + (rt_random(w->rt) & 0x3fff));
		err = bfd_sockets_open(w->s, &w->o, on_datagram, w, &w->rx);
	}
	assert_int_equal(err, 0);
	w->tx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(w->tx >= 0);
}

static void
world_free(struct world *w)
{
	close(w->tx);
	rt_datagrams_close(w->rx);
	bfd_sockets_free(w->s);
	rt_event_free(w->rt);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(w->mem.by[k].bytes, 0);
}

static void
send_some(struct world *w, unsigned int n)
{
	static const uint8_t echo[16] = { 1 };
	struct sockaddr_storage ss;
	struct ip to = ip_v4(0x7f000001);
	socklen_t len = socket_address(AF_INET, &to, w->o.local_port, 0, &ss);

	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(sendto(w->tx, echo, sizeof(echo), 0, (struct sockaddr *)&ss, len), sizeof(echo));
}

static void
run_until(struct world *w, unsigned int got)
{
	struct mono end = mono_add(clock_mono(), WITHIN);

	while (w->got < got && !mono_due(end, clock_mono()))
		rt_event_turn(w->rt, MS(1));
	assert_int_equal(w->got, got);
}

/* More in a moment than a port is given: the rest waits for its turn, and comes. */
static void
a_burst_of_echo_packets(void **state)
{
	struct world w;

	(void)state;
	world_new(&w);
	send_some(&w, 20);
	run_until(&w, 20);
	for (unsigned int n = 320; n <= 1220; n += 300) {
		send_some(&w, 300);
		run_until(&w, n);
	}
	assert_true(w.readings >= 10);
	world_free(&w);
}

/* Who is given a packet may close what it came from, whether it was asked for or came by itself. */
static void
closed_from_inside(void **state)
{
	(void)state;
	for (int drains = 0; drains < 2; drains++) {
		struct world w;

		world_new(&w);
		w.closes = true;
		send_some(&w, 3);
		if (drains)
			rt_datagrams_drain(w.rx);
		else
			run_until(&w, 1);
		assert_int_equal(w.got, 1);
		assert_null(w.rx);
		world_free(&w);
	}
}

struct order {
	uint8_t flags[8];
	unsigned int n;
};

static void
on_packet(void *arg, const struct rt_datagram *d)
{
	struct order *o = arg;

	if (d->n >= 24 && o->n < sizeof(o->flags))
		o->flags[o->n++] = d->bytes[1];
}

/* "Up" goes to another queue than what may be news, and was said before it: it is read before it. */
static void
what_was_said_first(void **state)
{
	enum { UP = BFD_UP << 6, POLL = UP | 0x20, MULTIHOP = 4784, TAG = 7 };
	struct bfd_packet says = { .state = BFD_UP,
		.multiplier = 3,
		.my_discr = 1,
		.your_discr = TAG << 16 | 1,
		.min_tx_us = 50000,
		.min_rx_us = 50000 };
	struct ip lo = ip_v4(0x7f000001);
	struct sockaddr_storage ss;

	(void)state;
	for (int drains = 0; drains < 2; drains++) {
		struct mono end = mono_add(clock_mono(), WITHIN);
		struct rt_datagrams *rx = NULL;
		uint8_t bytes[BFD_PACKET_MAX];
		struct order o = { .n = 0 };
		struct world w;
		socklen_t len;
		size_t n;

		world_new(&w);
		bfd_sockets_set_tag(w.s, TAG);
		w.o.local_port = MULTIHOP;
		w.o.ifindex = 0;
		assert_int_equal(bfd_sockets_open(w.s, &w.o, on_packet, &o, &rx), 0);
		len = socket_address(AF_INET, &lo, MULTIHOP, 0, &ss);
		for (int k = 0; k < 3; k++) {
			says.poll = k == 2;
			n = bfd_packet_build(&says, 0, bytes);
			assert_int_equal(sendto(w.tx, bytes, n, 0, (struct sockaddr *)&ss, len), n);
		}
		if (drains)
			rt_datagrams_drain(rx);
		while (o.n < 3 && !mono_due(end, clock_mono()))
			rt_event_turn(w.rt, MS(1));
		assert_int_equal(o.n, 3);
		assert_true(o.flags[0] == UP && o.flags[1] == UP && o.flags[2] == POLL);
		rt_datagrams_close(rx);
		world_free(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_said_first),
		cmocka_unit_test(a_burst_of_echo_packets),
		cmocka_unit_test(closed_from_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
