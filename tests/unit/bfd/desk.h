/*
 * tests/unit/bfd/desk.h -- an engine with one session, and a neighbour that says what it likes, when it likes
 *
 * The neighbour is the test; each packet that comes back is kept in `last`. Time stands still but for turn().
 */
#ifndef TESTS_UNIT_BFD_DESK_H
#define TESTS_UNIT_BFD_DESK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "bfd/impl.h"
#include "bfd/packet.h"
#include "fabricd/lib/base.h"

#define THEIRS 0x77u

struct desk {
	struct mem mem;
	struct bfd_engine *e;
	struct bfd_session *s;
	struct bfd_path path;
	struct mono now;
	uint64_t random;
	unsigned int sent, echoes, changes, forgotten, drains, touches;
	unsigned int sent_before; /* the last change was told */
	struct bfd_packet last;
	uint8_t bytes[64], echo[64];
	size_t n;
	bool stranger;
	struct bfd_params stranger_params;
	/* what the neighbour says if it is not told otherwise */
	struct bfd_packet says;
	/* what waits in the queue, and since when: drained, once; NULL: nothing */
	const struct bfd_packet *waits;
	struct mono waits_since;
};

UNUSED static const uint8_t six[2][16] = { { 0xfe, 0x80, [15] = 1 }, { 0xfe, 0x80, [15] = 2 } };
UNUSED static const struct bfd_params usual = {
	.min_tx_us = 100000, .min_rx_us = 100000, .multiplier = 3, .independent = true
};

static inline void
on_send(void *arg, struct bfd_session *s, const uint8_t *bytes, size_t n, bool echo)
{
	struct desk *d = arg;

	(void)s;
	if (echo) {
		d->echoes++;
		memcpy(d->echo, bytes, n);
		return;
	}
	d->sent++;
	d->n = n;
	memcpy(d->bytes, bytes, n);
	assert_int_equal(bfd_packet_parse(d->bytes, n, &d->last), BFD_TAKEN);
}

static inline void
on_changed(void *arg, struct bfd_session *s)
{
	struct desk *d = arg;

	(void)s;
	d->changes++;
	d->sent_before = d->sent;
}

static inline uint64_t
on_random(void *arg)
{
	struct desk *d = arg;

	d->random = d->random * 6364136223846793005ull + 1442695040888963407ull;
	return d->random >> 20;
}

static inline enum bfd_drop
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *p)
{
	struct desk *d = arg;

	(void)path;
	*p = d->stranger_params;
	return d->stranger ? BFD_TAKEN : BFD_DROP_NO_SESSION;
}

static inline void
on_forgotten(void *arg, struct bfd_session *s)
{
	struct desk *d = arg;

	d->forgotten++;
	if (d->s == s)
		d->s = NULL;
}

static inline void
on_touched(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct desk *)arg)->touches++;
}

static inline struct bfd_received
received(const struct desk *d, const uint8_t *bytes, size_t n)
{
	return (struct bfd_received){ .bytes = bytes,
		.n = n,
		.src = d->path.peer,
		.dst = d->path.local,
		.ifindex = d->path.ifindex,
		.multihop = d->path.multihop,
		.hop_limit = 255,
		.at = d->now };
}

static inline void
on_drain(void *arg, struct bfd_session *s)
{
	struct desk *d = arg;
	uint8_t buf[BFD_PACKET_MAX];
	struct bfd_received r;
	struct bfd_packet p;

	d->drains++;
	if (!d->waits)
		return;
	p = *d->waits;
	p.your_discr = bfd_session_discr(s);
	r = received(d, buf, bfd_packet_build(&p, 0, buf));
	r.at = d->waits_since;
	d->waits = NULL;
	assert_int_equal(bfd_engine_receive(d->e, &r, d->now), BFD_TAKEN);
}

UNUSED static const struct bfd_engine_ops ops = { .send = on_send,
	.changed = on_changed,
	.drain = on_drain,
	.random = on_random,
	.unsolicited = on_unsolicited,
	.touched = on_touched,
	.forgotten = on_forgotten };

static inline void
desk_begin(struct desk *d, const struct bfd_params *p)
{
	*d = (struct desk){ .now = { SECONDS(100) }, .random = 5, .stranger_params = usual };
	d->path = (struct bfd_path){ .ifindex = 4, .local = ip_v6(six[0]), .peer = ip_v6(six[1]) };
	d->says = (struct bfd_packet){
		.state = BFD_UP, .multiplier = 3, .my_discr = THEIRS, .min_tx_us = 100000, .min_rx_us = 100000
	};
	d->e = bfd_engine_new(&d->mem, 9, &ops, d);
	if (p)
		assert_int_equal(bfd_session_new(d->e, &d->path, p, d->now, &d->s), 0);
}

static inline void
desk_end(struct desk *d)
{
	bfd_engine_free(d->e);
	assert_int_equal(d->mem.by[MEM_SESSION].bytes, 0);
}

/* The neighbour says that; its Your Discriminator is filled in. */
static inline enum bfd_drop
say(struct desk *d, struct bfd_packet p)
{
	uint8_t buf[BFD_PACKET_MAX];
	struct bfd_received r;

	p.your_discr = d->s ? bfd_session_discr(d->s) : 0;
	r = received(d, buf, bfd_packet_build(&p, 0, buf));
	return bfd_engine_receive(d->e, &r, d->now);
}

static inline enum bfd_drop
say_state(struct desk *d, enum bfd_state state)
{
	struct bfd_packet p = d->says;

	p.state = (uint8_t)state;
	return say(d, p);
}

/* The engine runs at each of its deadlines, and at the end. */
static inline void
turn(struct desk *d, int64_t us)
{
	struct mono end = mono_add(d->now, us);

	while (bfd_engine_next(d->e).us <= end.us) {
		d->now.us = MAX_OF(d->now.us, bfd_engine_next(d->e).us);
		bfd_engine_run(d->e, d->now);
	}
	d->now = end;
	bfd_engine_run(d->e, d->now);
}

static inline void
answer_polls(struct desk *d)
{
	struct bfd_packet f = d->says;

	f.final = true;
	for (int i = 0; i < 4 && d->last.poll; i++) {
		d->last.poll = false;
		say(d, f);
		turn(d, MS(100));
	}
}

static inline struct bfd_view
view(const struct desk *d)
{
	struct bfd_view v;

	bfd_session_view(d->s, &v);
	return v;
}

static inline struct bfd_engine_stats
stats(const struct desk *d)
{
	struct bfd_engine_stats s;

	bfd_engine_stats(d->e, &s);
	return s;
}

/* Up, both ends at 100 ms, no poll left, and nothing that waits. */
static inline void
come_up(struct desk *d)
{
	say_state(d, BFD_DOWN);
	say_state(d, BFD_INIT);
	assert_int_equal(bfd_session_state(d->s), BFD_UP);
	turn(d, MS(100));
	for (int i = 0; i < 3 && view(d).polling; i++)
		answer_polls(d);
	assert_false(view(d).polling);
	say_state(d, BFD_UP);
}

#endif
