/* fabricd/runtime/event/datagram.c, on loopback: what comes with a datagram, taken ports, draining, closing inside */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <net/if.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"
#include "fabricd/runtime/event/event.h"

struct bench {
	struct mem mem;
	struct runtime *rt;
	struct rt_datagrams *rx, *tx;
	struct rt_datagram last;
	uint8_t bytes[64];
	unsigned int got;
	uint16_t port;
	bool close_inside;
};

static void
on_datagram(void *arg, const struct rt_datagram *d)
{
	struct bench *b = arg;

	b->got++;
	b->last = *d;
	memcpy(b->bytes, d->bytes, MIN_OF(d->n, sizeof(b->bytes)));
	if (b->close_inside) {
		rt_datagrams_close(b->rx);
		b->rx = NULL;
	}
}

static void
begin(struct bench *b, const struct ip *local, uint8_t hops)
{
	struct rt_datagram_options o = { .ifindex = if_nametoindex("lo"), .local.family = local->family };
	int err = -EADDRINUSE;

	memset(b, 0, sizeof(*b));
	b->rt = rt_event_new(&b->mem);
	assert_non_null(b->rt);
	for (int i = 0; i < 50 && err == -EADDRINUSE; i++) {
		o.local_port = b->port = (uint16_t)(20000 + rt_random(b->rt) % 10000);
		err = rt_datagrams_open(b->rt, &o, on_datagram, b, &b->rx);
	}
	assert_int_equal(err, 0);
	o.local = *local;
	o.local_port = 0;
	o.hop_limit = hops;
	assert_int_equal(rt_datagrams_open(b->rt, &o, NULL, NULL, &b->tx), 0);
}

static void
end(struct bench *b)
{
	rt_datagrams_close(b->rx);
	rt_datagrams_close(b->tx);
	rt_event_free(b->rt);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(b->mem.by[k].bytes, 0);
}

static void
until(struct bench *b, unsigned int got)
{
	struct mono limit = mono_add(rt_clock(b->rt), SECONDS(10));

	while (b->got < got && !mono_due(limit, rt_clock(b->rt)))
		assert_int_equal(rt_event_turn(b->rt, MS(50)), 0);
	assert_int_equal(b->got, got);
}

static const uint8_t one[16] = { [15] = 1 };

static void
what_comes(void **state)
{
	const struct ip locals[] = { ip_v4(0x7f000001), ip_v6(one) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(locals); i++) {
		struct bench b;
		struct mono before, after;

		begin(&b, &locals[i], 254);
		before = rt_clock(b.rt);
		assert_int_equal(rt_datagram_send(b.tx, &locals[i], b.port, (const uint8_t *)"hello", 5), 0);
		after = rt_clock(b.rt);
		until(&b, 1);
		assert_int_equal(b.last.n, 5);
		assert_memory_equal(b.bytes, "hello", 5);
		assert_true(ip_equal(&b.last.src, &locals[i]) && ip_equal(&b.last.dst, &locals[i]));
		assert_int_equal(b.last.hop_limit, 254);
		assert_int_equal(b.last.ifindex, if_nametoindex("lo"));
		assert_in_range(b.last.at.us, before.us - 50, after.us + 50); /* two clocks are read for it */
		/* an empty one is one, too */
		assert_int_equal(rt_datagram_send(b.tx, &locals[i], b.port, NULL, 0), 0);
		until(&b, 2);
		assert_int_equal(b.last.n, 0);
		end(&b);
	}
}

/* The time of arrival is the kernel's, not that of reading. The kernel begins to take it a moment after it is asked to.
 */
static void
waited(void **state)
{
	struct ip local = ip_v4(0x7f000001);
	struct mono limit;
	struct bench b;
	int64_t age;

	(void)state;
	begin(&b, &local, 255);
	limit = mono_add(rt_clock(b.rt), SECONDS(10));
	do {
		struct mono sent = rt_clock(b.rt);

		assert_int_equal(rt_datagram_send(b.tx, &local, b.port, (const uint8_t *)"x", 1), 0);
		while (rt_clock(b.rt).us < sent.us + MS(20))
			;
		until(&b, b.got + 1);
		age = rt_clock(b.rt).us - b.last.at.us;
	} while (age < MS(19) && !mono_due(limit, rt_clock(b.rt)));
	assert_true(age >= MS(19));
	end(&b);
}

static void
drained(void **state)
{
	struct ip local = ip_v4(0x7f000001);
	struct bench b;

	(void)state;
	begin(&b, &local, 255);
	for (int i = 0; i < 300; i++)
		assert_int_equal(rt_datagram_send(b.tx, &local, b.port, (const uint8_t *)"x", 1), 0);
	assert_int_equal(b.got, 0);
	rt_datagrams_drain(b.rx);
	assert_int_equal(b.got, 300);
	rt_datagrams_drain(b.tx); /* nobody reads there: nothing */
	end(&b);
}

static void
closed_inside(void **state)
{
	struct ip local = ip_v4(0x7f000001);
	struct bench b;

	(void)state;
	begin(&b, &local, 255);
	b.close_inside = true;
	for (int i = 0; i < 5; i++)
		assert_int_equal(rt_datagram_send(b.tx, &local, b.port, (const uint8_t *)"x", 1), 0);
	until(&b, 1);
	assert_int_equal(rt_event_turn(b.rt, MS(10)), 0);
	assert_int_equal(b.got, 1);
	end(&b);
}

static void
refused(void **state)
{
	struct ip local = ip_v4(0x7f000001);
	struct rt_datagram_options o = { .ifindex = if_nametoindex("lo"), .local = local };
	struct rt_datagrams *other;
	struct bench b;

	(void)state;
	begin(&b, &local, 255);
	o.local_port = b.port;
	assert_int_equal(rt_datagrams_open(b.rt, &o, on_datagram, &b, &other), -EADDRINUSE);
	assert_null(other);
	o.local = ip_v4(0xc0000201); /* not ours */
	o.local_port = 0;
	assert_int_equal(rt_datagrams_open(b.rt, &o, NULL, NULL, &other), -EADDRNOTAVAIL);
	end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes),
		cmocka_unit_test(waited),
		cmocka_unit_test(drained),
		cmocka_unit_test(closed_inside),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
