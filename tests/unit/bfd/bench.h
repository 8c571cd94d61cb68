/*
 * tests/unit/bfd/bench.h -- one engine, and a neighbour that the test plays, for tables written down from RFC 5880
 *
 * Time stands still but when the test turns it, and randomness is a number that the test chooses, so that each deadline
 * can be told to the microsecond.
 */
#ifndef TESTS_UNIT_BFD_BENCH_H
#define TESTS_UNIT_BFD_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/engine.h"
#include "bfd/packet.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

#define TX     100000 /* our Desired Min TX and Required Min RX */
#define HIS_TX 150000
#define HIS_RX 200000 /* so we send every 200 ms, and expect him every 150 ms */
#define DETECT (5 * HIS_TX)

struct bench {
	struct mem mem;
	struct bfd_engine *e;
	struct bfd_session *s;
	struct mono now;
	uint64_t random;
	unsigned int sent, echoes, changed, drained, forgotten;
	struct bfd_packet last; /* what we sent */
	uint8_t raw[BFD_PACKET_MAX];
	size_t n;
	uint8_t echo[16];
	bool allow;
	struct bfd_params stranger;
	bool waits; /* a packet of the neighbour waits until the engine asks for it */
};

UNUSED static const uint8_t six[2][16] = { { 0xfe, 0x80, [15] = 1 }, { 0xfe, 0x80, [15] = 2 } };

UNUSED static const struct bfd_params usual = {
	.min_tx_us = TX, .min_rx_us = TX, .multiplier = 3, .independent = true
};

static void receive(struct bench *, enum bfd_state);

static inline void
on_send(void *arg, struct bfd_session *s, const uint8_t *bytes, size_t n, bool echo)
{
	struct bench *b = arg;

	(void)s;
	if (echo) {
		assert_int_equal(n, sizeof(b->echo));
		memcpy(b->echo, bytes, n);
		b->echoes++;
		return;
	}
	b->n = n;
	memcpy(b->raw, bytes, n);
	assert_int_equal(bfd_packet_parse(b->raw, n, &b->last), BFD_TAKEN);
	b->sent++;
}

static inline void
on_changed(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct bench *)arg)->changed++;
}

static inline void
on_drain(void *arg, struct bfd_session *s)
{
	struct bench *b = arg;

	(void)s;
	b->drained++;
	if (b->waits) {
		b->waits = false;
		receive(b, BFD_UP);
	}
}

static inline uint64_t
on_random(void *arg)
{
	return ((struct bench *)arg)->random;
}

static inline enum bfd_drop
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *p)
{
	struct bench *b = arg;

	(void)path;
	*p = b->stranger;
	return b->allow ? BFD_TAKEN : BFD_DROP_NO_SESSION;
}

static inline void
on_forgotten(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct bench *)arg)->forgotten++;
}

UNUSED static const struct bfd_engine_ops ops = { .send = on_send,
	.changed = on_changed,
	.drain = on_drain,
	.random = on_random,
	.unsolicited = on_unsolicited,
	.forgotten = on_forgotten };

static inline struct bfd_path
path_here(void)
{
	return (struct bfd_path){ .ifindex = 10, .local = ip_v6(six[0]), .peer = ip_v6(six[1]) };
}

static inline struct bench *
bench_new(const struct bfd_params *p)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct bfd_path path = path_here();

	b->now.us = SECONDS(50);
	b->random = 77;
	b->stranger = usual;
	b->e = bfd_engine_new(&b->mem, 5, &ops, b);
	if (p)
		assert_int_equal(bfd_session_new(b->e, &path, p, b->now, &b->s), 0);
	return b;
}

static inline void
bench_free(struct bench *b)
{
	bfd_engine_free(b->e);
	assert_int_equal(b->mem.by[MEM_SESSION].bytes, 0);
	free(b);
}

static inline struct bfd_view
view(const struct bench *b)
{
	struct bfd_view v;

	bfd_session_view(b->s, &v);
	return v;
}

static inline struct bfd_engine_stats
stats(const struct bench *b)
{
	struct bfd_engine_stats s;

	bfd_engine_stats(b->e, &s);
	return s;
}

/* What the neighbour sends when nothing else is said. */
static inline struct bfd_packet
his(const struct bench *b, enum bfd_state state)
{
	return (struct bfd_packet){ .state = (uint8_t)state,
		.multiplier = 5,
		.my_discr = 99,
		.your_discr = b->s ? bfd_session_discr(b->s) : 0,
		.min_tx_us = HIS_TX,
		.min_rx_us = HIS_RX };
}

static inline struct bfd_received
came(const struct bench *b, const uint8_t *bytes, size_t n)
{
	return (struct bfd_received){ .bytes = bytes,
		.n = n,
		.src = ip_v6(six[1]),
		.dst = ip_v6(six[0]),
		.ifindex = 10,
		.hop_limit = 255,
		.at = b->now };
}

static inline enum bfd_drop
take(struct bench *b, const struct bfd_packet *p)
{
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = bfd_packet_build(p, 0, buf);
	struct bfd_received r = came(b, buf, n);

	return bfd_engine_receive(b->e, &r, b->now);
}

static inline void
receive(struct bench *b, enum bfd_state state)
{
	struct bfd_packet p = his(b, state);

	take(b, &p);
}

/* Runs at each deadline on the way. */
static inline void
turn(struct bench *b, int64_t us)
{
	struct mono end = mono_add(b->now, us);

	for (;;) {
		struct mono next = bfd_engine_next(b->e);

		if (next.us > end.us)
			break;
		b->now.us = MAX_OF(b->now.us, next.us);
		bfd_engine_run(b->e, b->now);
	}
	b->now = end;
}

/* Brings the session to a state; Up with its poll answered, so that both ends' intervals hold. */
static inline void
bring(struct bench *b, enum bfd_state state)
{
	struct bfd_packet p = his(b, BFD_UP);
	struct bfd_params admin = *bfd_session_params(b->s);

	if (state == BFD_ADMIN) {
		admin.admin_down = true;
		assert_int_equal(bfd_session_change(b->s, &admin, b->now), 0);
		return;
	}
	if (state >= BFD_INIT)
		receive(b, BFD_DOWN);
	if (state == BFD_UP) {
		receive(b, BFD_UP);
		p.final = true;
		take(b, &p);
	}
	assert_int_equal(bfd_session_state(b->s), state);
}

static inline struct bench *
bench_up(const struct bfd_params *p)
{
	struct bench *b = bench_new(p);

	bring(b, BFD_UP);
	return b;
}

#endif
