/*
 * tests/unit/bfd/receive_test.c -- one engine, and a neighbour that the test plays: RFC 5880 6.8 as tables
 *
 * Time stands still but when the test turns it, and randomness is a number that the test chooses, so that each deadline
 * can be told to the microsecond. What is expected was written down from the RFC, not from the engine.
 */
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

static const uint8_t six[2][16] = { { 0xfe, 0x80, [15] = 1 }, { 0xfe, 0x80, [15] = 2 } };

static const struct bfd_params usual = { .min_tx_us = TX, .min_rx_us = TX, .multiplier = 3, .independent = true };

static void receive(struct bench *, enum bfd_state);

static void
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

static void
on_changed(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct bench *)arg)->changed++;
}

static void
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

static uint64_t
on_random(void *arg)
{
	return ((struct bench *)arg)->random;
}

static bool
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *p)
{
	struct bench *b = arg;

	(void)path;
	*p = b->stranger;
	return b->allow;
}

static void
on_forgotten(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct bench *)arg)->forgotten++;
}

static const struct bfd_engine_ops ops = { .send = on_send,
	.changed = on_changed,
	.drain = on_drain,
	.random = on_random,
	.unsolicited = on_unsolicited,
	.forgotten = on_forgotten };

static struct bfd_path
path_here(void)
{
	return (struct bfd_path){ .ifindex = 10, .local = ip_v6(six[0]), .peer = ip_v6(six[1]) };
}

static struct bench *
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

static void
bench_free(struct bench *b)
{
	bfd_engine_free(b->e);
	assert_int_equal(b->mem.by[MEM_SESSION].bytes, 0);
	free(b);
}

static struct bfd_view
view(const struct bench *b)
{
	struct bfd_view v;

	bfd_session_view(b->s, &v);
	return v;
}

static struct bfd_engine_stats
stats(const struct bench *b)
{
	struct bfd_engine_stats s;

	bfd_engine_stats(b->e, &s);
	return s;
}

/* What the neighbour sends when nothing else is said. */
static struct bfd_packet
his(const struct bench *b, enum bfd_state state)
{
	return (struct bfd_packet){ .state = (uint8_t)state,
		.multiplier = 5,
		.my_discr = 99,
		.your_discr = b->s ? bfd_session_discr(b->s) : 0,
		.min_tx_us = HIS_TX,
		.min_rx_us = HIS_RX };
}

static struct bfd_received
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

static enum bfd_drop
take(struct bench *b, const struct bfd_packet *p)
{
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = bfd_packet_build(p, 0, buf);
	struct bfd_received r = came(b, buf, n);

	return bfd_engine_receive(b->e, &r, b->now);
}

static void
receive(struct bench *b, enum bfd_state state)
{
	struct bfd_packet p = his(b, state);

	take(b, &p);
}

/* Runs at each deadline on the way. */
static void
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
static void
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

static struct bench *
bench_up(const struct bfd_params *p)
{
	struct bench *b = bench_new(p);

	bring(b, BFD_UP);
	return b;
}

/* ---- the state machine (6.8.6, 6.8.4) ---- */

#define SILENCE BFD_STATES /* as an event */

/* From state, by what was received: to, with which diagnostic of ours. */
static const struct {
	enum bfd_state to;
	enum bfd_diag diag; /* looked at when it moves */
} machine[BFD_STATES][BFD_STATES + 1] = {
	[BFD_ADMIN] = { { BFD_ADMIN, 0 }, { BFD_ADMIN, 0 }, { BFD_ADMIN, 0 }, { BFD_ADMIN, 0 }, { BFD_ADMIN, 0 } },
	[BFD_DOWN] = { { BFD_DOWN, 0 }, { BFD_INIT, 0 }, { BFD_UP, 0 }, { BFD_DOWN, 0 }, { BFD_DOWN, 0 } },
	[BFD_INIT] = { { BFD_DOWN, 3 }, { BFD_INIT, 0 }, { BFD_UP, 0 }, { BFD_UP, 0 }, { BFD_DOWN, 1 } },
	[BFD_UP] = { { BFD_DOWN, 3 }, { BFD_DOWN, 3 }, { BFD_UP, 0 }, { BFD_UP, 0 }, { BFD_DOWN, 1 } },
};

static void
each_state_answers_each_packet_and_silence(void **state)
{
	(void)state;
	for (int from = 0; from < BFD_STATES; from++)
		for (int got = 0; got <= SILENCE; got++) {
			struct bench *b = bench_new(&usual);
			enum bfd_state to = machine[from][got].to;
			unsigned int changed, sent;
			bool moves = to != (enum bfd_state)from;
			struct bfd_view was, v;

			bring(b, (enum bfd_state)from);
			changed = b->changed;
			was = view(b);
			if (got == SILENCE) {
				turn(b, DETECT - 1);
				sent = b->sent;
				assert_int_equal(bfd_session_state(b->s), from);
				turn(b, 1);
			} else {
				turn(b, 10);
				sent = b->sent;
				receive(b, (enum bfd_state)got);
			}
			v = view(b);
			if (v.state != to || b->changed != changed + moves)
				fail_msg("%s, %d: %s, %u changes", bfd_state_name((enum bfd_state)from), got,
				    bfd_state_name(v.state), b->changed - changed);
			assert_int_equal(stats(b).up, to == BFD_UP);
			assert_int_equal(v.since.us, moves ? b->now.us : was.since.us);
			if (got != SILENCE && from != BFD_ADMIN)
				assert_int_equal(v.remote_state, got);
			if (moves) {
				bool lost = from == BFD_UP;

				assert_int_equal(v.diag, machine[from][got].diag);
				assert_true(b->sent > sent); /* told at once */
				assert_int_equal(b->last.state, to);
				assert_int_equal(b->last.diag, machine[from][got].diag);
				assert_int_equal(b->last.your_discr, got == SILENCE ? 0 : 99);
				assert_int_equal(v.flaps, lost);
				assert_int_equal(v.down_at.us, lost ? b->now.us : INT64_MAX);
				assert_int_equal(v.down_diag, lost ? machine[from][got].diag : 0);
			}
			bench_free(b);
		}
}

/* All that a packet says is shown as it was said, in each state. */
static void
what_a_packet_says_is_kept(void **state)
{
	static const unsigned int taken[BFD_STATES] = { 0, 1, 2, 4 };

	(void)state;
	for (int from = 0; from < BFD_STATES; from++) {
		struct bench *b = bench_new(&usual);
		struct bfd_packet p = his(b, BFD_INIT);
		struct bfd_view v;

		bring(b, (enum bfd_state)from);
		p.diag = 7;
		p.demand = true;
		p.independent = true;
		p.min_tx_us = 333000;
		p.min_rx_us = 444000;
		p.min_echo_us = 5;
		p.multiplier = 9;
		p.my_discr = 1234;
		turn(b, 10);
		assert_int_equal(take(b, &p), from == BFD_ADMIN ? BFD_DROP_ADMIN_DOWN : BFD_TAKEN);
		v = view(b);
		assert_int_equal(v.remote_diag, 7);
		assert_int_equal(v.remote_state, BFD_INIT);
		assert_true(v.remote_demand);
		assert_int_equal(v.remote_multiplier, 9);
		assert_int_equal(v.remote_discr, 1234);
		assert_int_equal(v.rx_us, 333000);
		assert_int_equal(v.detect_us, 9 * 333000);
		assert_int_equal(v.remote_independent, from != BFD_ADMIN);
		assert_int_equal(bfd_session_remote_independent(b->s), from != BFD_ADMIN);
		assert_int_equal(v.rx, taken[from]);
		/* Init brings each of the others Up */
		assert_int_equal(v.tx_us, from == BFD_ADMIN ? SECONDS(1) : 444000);
		assert_int_equal(stats(b).rx, v.rx);
		bench_free(b);
	}
}

/* Silence: all that he said is forgotten, and nothing is expected of him any more. */
static void
silence_forgets_what_was_said(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	struct bfd_view v;

	(void)state;
	p.demand = true;
	p.min_rx_us = 0;
	take(b, &p);
	assert_int_equal(view(b).tx_us, 0);
	turn(b, DETECT);
	v = view(b);
	assert_int_equal(v.state, BFD_DOWN);
	assert_int_equal(v.remote_state, BFD_DOWN);
	assert_int_equal(v.remote_discr, 0);
	assert_false(v.remote_demand);
	assert_int_equal(v.tx_us, SECONDS(1));
	assert_int_equal(b->drained, 1);
	turn(b, SECONDS(100)); /* and only once */
	assert_int_equal(b->drained, 1);
	assert_int_equal(view(b).flaps, 1);
	bench_free(b);
}

static void
what_waits_in_the_queue_speaks_for_the_neighbour(void **state)
{
	struct bench *b = bench_up(&usual);

	(void)state;
	turn(b, DETECT / 2);
	b->waits = true;
	turn(b, DETECT / 2);
	assert_true(b->drained > 0 && !b->waits);
	assert_int_equal(bfd_session_state(b->s), BFD_UP);
	turn(b, view(b).last_rx.us + DETECT - 1 - b->now.us);
	assert_int_equal(bfd_session_state(b->s), BFD_UP);
	turn(b, 1);
	assert_int_equal(bfd_session_state(b->s), BFD_DOWN);
	bench_free(b);
}

/* The C bit is news of its own, but only of a neighbour that is Up. */
static void
a_change_of_the_c_bit_is_told(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	unsigned int changed = b->changed;

	(void)state;
	p.independent = true;
	take(b, &p);
	assert_int_equal(b->changed, changed + 1);
	take(b, &p);
	assert_int_equal(b->changed, changed + 1);
	p.independent = false;
	take(b, &p);
	assert_int_equal(b->changed, changed + 2);
	bench_free(b);
	b = bench_new(&usual);
	p = his(b, BFD_UP); /* which moves nothing in Down */
	p.independent = true;
	take(b, &p);
	assert_int_equal(b->changed, 0);
	bench_free(b);
}

/* ---- what we send (6.8.7) ---- */

/* The first packet at once, then by the jitter that the random number asks for: from 75 to 100 or 90 %. */
static void
packets_go_out_to_the_microsecond(void **state)
{
	static const struct {
		uint8_t multiplier;
		uint64_t random;
		int64_t want; /* of an interval of 200 ms */
	} cases[] = {
		{ 3, 0, 150000 },
		{ 3, 1, 150001 },
		{ 3, 50000, 200000 },
		{ 3, 50001, 150000 },
		{ 2, 50000, 200000 },
		{ 1, 30000, 180000 },
		{ 1, 30001, 150000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_params p = usual;
		struct bench *b;
		struct mono sent;

		p.multiplier = cases[i].multiplier;
		b = bench_new(&p);
		assert_int_equal(bfd_engine_next(b->e).us, b->now.us);
		turn(b, 0);
		assert_int_equal(b->sent, 1);
		bring(b, BFD_UP);
		b->random = cases[i].random;
		for (int k = 0; k < 5; k++) {
			turn(b, bfd_engine_next(b->e).us - b->now.us);
			sent = b->now;
			receive(b, BFD_UP);
			assert_int_equal(bfd_engine_next(b->e).us - sent.us, cases[i].want);
		}
		assert_int_equal(view(b).tx, b->sent);
		assert_int_equal(stats(b).tx, b->sent);
		assert_int_equal(view(b).tx_us, HIS_RX);
		assert_int_equal(view(b).tx_late_max, 0);
		bench_free(b);
	}
}

static void
our_packets_say_what_is_wanted(void **state)
{
	struct bfd_params p = { .min_tx_us = 50000, .min_rx_us = 60000, .multiplier = 4, .echo_rx_us = 7000 };
	struct bench *b = bench_new(&p);

	(void)state;
	turn(b, 0);
	assert_int_equal(b->last.state, BFD_DOWN);
	assert_int_equal(b->last.my_discr, bfd_session_discr(b->s));
	assert_int_equal(b->last.your_discr, 0);
	assert_int_equal(b->last.min_tx_us, SECONDS(1));
	assert_int_equal(b->last.min_rx_us, 60000);
	assert_int_equal(b->last.min_echo_us, 7000);
	assert_int_equal(b->last.multiplier, 4);
	assert_false(b->last.independent || b->last.poll || b->last.final || b->last.demand);
	receive(b, BFD_DOWN);
	receive(b, BFD_UP);
	assert_int_equal(b->last.min_tx_us, 50000); /* and is asked for by a poll */
	assert_true(b->last.poll && !b->last.final);
	assert_true(view(b).polling);
	assert_int_equal(bfd_session_remote_detect_us(b->s), 4 * HIS_RX);
	bench_free(b);
}

/* Slower than a second, what is wanted holds in Down, too. */
static void
a_slow_session_is_no_faster_while_down(void **state)
{
	struct bfd_params p = { .min_tx_us = SECONDS(3), .min_rx_us = SECONDS(2), .multiplier = 3 };
	struct bench *b = bench_new(&p);

	(void)state;
	turn(b, SECONDS(30));
	assert_in_range(b->sent, 10, 14);
	assert_int_equal(b->last.min_tx_us, SECONDS(3));
	bench_free(b);
}

/* 6.5: P stands until F came; an F of the poll before does not end the one that follows. */
static void
a_change_during_a_poll_is_polled_for_again(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	struct bfd_params want = usual;

	(void)state;
	p.final = true;
	want.min_tx_us = 700000;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	assert_true(view(b).polling);
	want.min_tx_us = 900000;
	want.min_rx_us = 50000;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	take(b, &p);
	assert_true(view(b).polling);
	assert_int_equal(view(b).tx_us, HIS_RX); /* an increase waits for the F */
	assert_int_equal(bfd_session_remote_detect_us(b->s), 3 * HIS_RX);
	take(b, &p);
	assert_false(view(b).polling);
	assert_int_equal(view(b).tx_us, 900000);
	assert_int_equal(view(b).rx_us, HIS_TX);
	assert_int_equal(bfd_session_remote_detect_us(b->s), 3 * 900000);
	take(b, &p); /* an F that nobody asked for */
	assert_int_equal(view(b).tx_us, 900000);
	/* A decrease of what we send holds at once, and so does an increase of what we wait for. */
	want.min_tx_us = 300000;
	want.min_rx_us = 800000;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	assert_int_equal(view(b).tx_us, 300000);
	assert_int_equal(view(b).rx_us, 800000);
	assert_true(view(b).polling);
	/* Down ends the poll. */
	receive(b, BFD_DOWN);
	assert_false(view(b).polling || b->last.poll);
	bench_free(b);
}

/* The same parameters again: nothing to agree on. Another multiplier: told at once, without a poll (6.8.12). */
static void
a_change_of_the_multiplier_is_told_at_once(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_params want = usual;
	unsigned int sent = b->sent;

	(void)state;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	assert_int_equal(b->sent, sent);
	assert_false(view(b).polling);
	want.multiplier = 9;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	assert_int_equal(b->sent, sent + 1);
	assert_int_equal(b->last.multiplier, 9);
	assert_false(view(b).polling);
	assert_int_equal(view(b).multiplier, 9);
	bench_free(b);
}

/* A packet that went out of turn is followed by the next one an interval later. */
static void
the_next_packet_counts_from_the_last(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_params want = usual;

	(void)state;
	b->random = 50000; /* no jitter */
	turn(b, bfd_engine_next(b->e).us - b->now.us);
	turn(b, 130000);
	receive(b, BFD_UP);
	want.multiplier = 4;
	assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
	assert_int_equal(bfd_engine_next(b->e).us - b->now.us, HIS_RX);
	bench_free(b);
}

/* 6.1, 6.8.7: the passive role keeps silent until it is spoken to, but says that its operator took it down. */
static void
the_passive_role(void **state)
{
	struct bfd_params p = usual;
	struct bench *b;

	(void)state;
	p.passive = true;
	b = bench_new(&p);
	turn(b, SECONDS(9));
	assert_int_equal(b->sent, 0);
	assert_int_equal(view(b).tx_us, 0);
	assert_true(mono_is_never(bfd_engine_next(b->e)));
	receive(b, BFD_DOWN);
	assert_int_equal(b->sent, 1);
	assert_int_equal(b->last.state, BFD_INIT);
	turn(b, SECONDS(4));
	assert_int_equal(view(b).remote_discr, 0);
	turn(b, SECONDS(9));
	{
		unsigned int sent = b->sent;

		turn(b, SECONDS(9));
		assert_int_equal(b->sent, sent); /* he is gone: silent again */
		p.admin_down = true;
		assert_int_equal(bfd_session_change(b->s, &p, b->now), 0);
		assert_int_equal(b->sent, sent + 1);
		assert_int_equal(b->last.state, BFD_ADMIN);
		assert_int_equal(b->last.diag, BFD_DIAG_ADMIN_DOWN);
		turn(b, SECONDS(2));
		assert_true(b->sent > sent + 1);
	}
	bench_free(b);
}

/* 6.6: in Demand mode of his nothing goes out while both are Up, except a poll. */
static void
demand_mode_silences_us_only_when_both_are_up(void **state)
{
	static const struct {
		enum bfd_state local, remote;
		bool poll;
		int64_t want;
	} cases[] = {
		{ BFD_UP, BFD_UP, false, 0 },
		{ BFD_UP, BFD_UP, true, HIS_RX },
		{ BFD_UP, BFD_INIT, false, HIS_RX },
		{ BFD_INIT, BFD_DOWN, false, SECONDS(1) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new(&usual);
		struct bfd_packet p = his(b, cases[i].remote);
		struct bfd_params want = usual;

		bring(b, cases[i].local);
		want.min_rx_us += 1000;
		if (cases[i].poll)
			bfd_session_change(b->s, &want, b->now);
		p.demand = true;
		take(b, &p);
		if (view(b).tx_us != cases[i].want)
			fail_msg("case %zu: %d us", i, (int)view(b).tx_us);
		bench_free(b);
	}
}

/* ---- answers to polls ---- */

/* Four at once, then one for each three quarters of our Required Min RX, and the rest is counted. */
static void
answers_to_polls_are_measured_out(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	unsigned int finals = 0;

	(void)state;
	turn(b, MS(700)); /* so that the four are there */
	p.poll = true;
	for (int i = 0; i < 40000; i++) { /* one every 10 us: 0.4 s */
		unsigned int sent;

		turn(b, 10);
		sent = b->sent;
		take(b, &p);
		if (b->sent > sent) {
			assert_true(b->last.final && !b->last.poll);
			finals++;
		}
	}
	assert_int_equal(finals, 4 + 399990 / 75000);
	assert_int_equal(view(b).polls_unanswered, 40000 - finals);
	/* After a pause of exactly the time that three more take, there are three. */
	turn(b, MS(225));
	for (int i = 0; i < 9; i++) {
		unsigned int sent = b->sent;

		take(b, &p);
		assert_int_equal(b->sent - sent, i < 3);
	}
	bench_free(b);
}

/* ---- authentication (6.7) ---- */

/* A packet of the neighbour with key k, at sequence seq. */
static enum bfd_drop
take_signed(struct bench *b, const struct bfd_auth *auth, uint32_t seq, enum bfd_state state)
{
	struct bfd_auth_state s = { .sent = seq - 1 };
	struct bfd_packet p = his(b, state);
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = bfd_packet_build(&p, BFD_AUTH_LEN, buf);
	struct bfd_received r = came(b, buf, n);

	bfd_auth_sign(auth, &s, buf);
	return bfd_engine_receive(b->e, &r, b->now);
}

/* The window of sequence numbers: three times the multiplier ahead, circular; the same again only when not meticulous. */
static void
sequence_numbers_have_a_window(void **state)
{
	static const uint32_t starts[] = { 1, 1000, UINT32_MAX - 3, UINT32_MAX };
	static const struct {
		uint32_t step;
		bool keyed, meticulous;
	} steps[] = {
		{ 0, true, false },
		{ 1, true, true },
		{ 9, true, true },
		{ 10, false, false },
		{ 0x80000000u, false, false },
		{ (uint32_t)-1, false, false },
	};

	(void)state;
	for (int meticulous = 0; meticulous < 2; meticulous++)
		for (size_t i = 0; i < ARRAY_LEN(starts); i++)
			for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
				struct bfd_params p = usual;
				bool want = meticulous ? steps[k].meticulous : steps[k].keyed;
				struct bench *b;

				p.auth = (struct bfd_auth){
					.type = (uint8_t)(4 + meticulous), .nkeys = 1, .keys[0] = { 7, 3, "abc" }
				};
				b = bench_new(&p);
				assert_int_equal(take_signed(b, &p.auth, starts[i], BFD_DOWN), BFD_TAKEN);
				if (take_signed(b, &p.auth, starts[i] + steps[k].step, BFD_DOWN) !=
				    (want ? BFD_TAKEN : BFD_DROP_AUTH_SEQUENCE))
					fail_msg("type %d: %x after %x", 4 + meticulous, starts[i] + steps[k].step,
					    starts[i]);
				bench_free(b);
			}
}

/* What is refused leaves the sequence as it was; twice the detection time of silence, or another key, forgets it. */
static void
the_sequence_is_forgotten_in_time(void **state)
{
	struct bfd_params p = usual, other;
	struct bench *b;

	(void)state;
	p.auth = (struct bfd_auth){ .type = 5, .nkeys = 2, .keys[0] = { 7, 3, "abc" }, .keys[1] = { 8, 20, "xyz" } };
	other = p;
	other.auth.keys[0].bytes[0] = 'b';
	b = bench_new(&p);
	assert_true(view(b).authenticated);
	turn(b, 0);
	assert_int_equal(b->n, 52);
	assert_int_equal(take_signed(b, &p.auth, 50, BFD_DOWN), BFD_TAKEN);
	assert_int_equal(take_signed(b, &other.auth, 59, BFD_DOWN), BFD_DROP_AUTH_DIGEST);
	assert_int_equal(take_signed(b, &p.auth, 60, BFD_DOWN), BFD_DROP_AUTH_SEQUENCE);
	assert_int_equal(take_signed(b, &p.auth, 51, BFD_DOWN), BFD_TAKEN);
	turn(b, 2 * DETECT - 1);
	assert_int_equal(take_signed(b, &p.auth, 5000, BFD_DOWN), BFD_DROP_AUTH_SEQUENCE);
	turn(b, 1);
	assert_int_equal(take_signed(b, &p.auth, 5000, BFD_DOWN), BFD_TAKEN);
	assert_int_equal(view(b).dropped, 3);
	assert_int_equal(stats(b).dropped[BFD_DROP_AUTH_SEQUENCE], 2);
	assert_int_equal(bfd_session_change(b->s, &p, b->now), 0); /* the same keys */
	assert_int_equal(take_signed(b, &p.auth, 1, BFD_DOWN), BFD_DROP_AUTH_SEQUENCE);
	assert_int_equal(bfd_session_change(b->s, &other, b->now), 0);
	assert_int_equal(take_signed(b, &other.auth, 1, BFD_DOWN), BFD_TAKEN);
	bench_free(b);
}

/* Our own sequence numbers: each packet one more. */
static void
our_sequence_goes_up_by_one(void **state)
{
	struct bfd_params p = usual;
	struct bench *b;
	uint32_t seq = 0;

	(void)state;
	p.auth = (struct bfd_auth){ .type = 4, .nkeys = 1, .keys[0] = { 7, 20, "01234567890123456789" } };
	b = bench_new(&p);
	for (unsigned int i = 0; i < 5; i++) {
		while (b->sent <= i)
			turn(b, MS(1));
		assert_int_equal(b->raw[24], 4);
		assert_int_equal(b->raw[25], 28);
		assert_int_equal(b->raw[26], 7);
		assert_int_equal(b->raw[27], 0);
		if (i)
			assert_int_equal(get_u32(b->raw + 28), seq + 1);
		seq = get_u32(b->raw + 28);
	}
	bench_free(b);
}

/* ---- our own lateness ---- */

/* A run that comes late by less than an eighth of the detection time, or a millisecond, excuses nobody. */
static void
only_a_real_stall_spares_the_neighbour(void **state)
{
	static const struct {
		int64_t late;
		bool spared;
	} cases[] = {
		{ DETECT / 8 - 1, false },
		{ DETECT / 8, true },
		{ DETECT / 4, true },
		{ DETECT, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_params p = usual;
		struct bench *b;
		struct mono heard, stalled;

		p.passive = false;
		b = bench_up(&p);
		heard = b->now;
		b->random = 50000;
		turn(b, DETECT / 2);
		/* We are called late for a packet of ours. */
		stalled = mono_add(bfd_engine_next(b->e), cases[i].late);
		b->now = stalled;
		bfd_engine_run(b->e, b->now);
		assert_int_equal(stats(b).stalls, 1);
		assert_int_equal(stats(b).stall_max, cases[i].late);
		assert_int_equal(stats(b).run_late.max_us, cases[i].late);
		assert_int_equal(view(b).tx_late_max, cases[i].late);
		if (stalled.us < heard.us + DETECT) {
			turn(b, heard.us + DETECT - 1 - b->now.us);
			assert_int_equal(bfd_session_state(b->s), BFD_UP);
			turn(b, 1);
		}
		assert_int_equal(bfd_session_state(b->s), cases[i].spared ? BFD_UP : BFD_DOWN);
		assert_int_equal(view(b).spared, cases[i].spared);
		if (cases[i]
			.spared) { /* what was lost is given back, and at least one interval of his after the stall */
			int64_t end = MAX_OF(heard.us + DETECT + cases[i].late, stalled.us + HIS_TX);

			turn(b, end - 1 - b->now.us);
			assert_int_equal(bfd_session_state(b->s), BFD_UP);
			turn(b, 1);
			assert_int_equal(bfd_session_state(b->s), BFD_DOWN);
			assert_int_equal(view(b).spared, 1);
		}
		bench_free(b);
	}
}

/* Lateness that was before the neighbour was heard last is no excuse for him. */
static void
an_older_stall_is_no_excuse(void **state)
{
	struct bench *b = bench_up(&usual);

	(void)state;
	b->now = mono_add(bfd_engine_next(b->e), DETECT / 2);
	bfd_engine_run(b->e, b->now);
	receive(b, BFD_UP);
	turn(b, DETECT);
	assert_int_equal(bfd_session_state(b->s), BFD_DOWN);
	assert_int_equal(view(b).spared, 0);
	bench_free(b);
}

static void
lateness_of_less_than_a_millisecond_is_no_stall(void **state)
{
	struct bench *b = bench_up(&usual);

	(void)state;
	b->now = mono_add(bfd_engine_next(b->e), MS(1) - 1);
	bfd_engine_run(b->e, b->now);
	assert_int_equal(stats(b).stalls, 0);
	b->now = mono_add(bfd_engine_next(b->e), MS(1));
	receive(b, BFD_UP); /* a packet wakes us, too */
	assert_int_equal(stats(b).stalls, 1);
	assert_int_equal(stats(b).stall_max, MS(1));
	bfd_engine_run(b->e, b->now); /* counted once */
	assert_int_equal(stats(b).stalls, 1);
	bench_free(b);
}

/* ---- how regularly the neighbour is heard ---- */

static void
missed_packets_are_counted(void **state)
{
	static const struct {
		int64_t gap;
		unsigned int missed;
	} cases[] = {
		{ HIS_TX, 0 },
		{ HIS_TX * 3 / 2, 0 },
		{ HIS_TX * 3 / 2 + 1, 1 },
		{ HIS_TX * 5 / 2 - 1, 1 },
		{ HIS_TX * 5 / 2, 2 },
		{ HIS_TX * 4, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_up(&usual);
		uint64_t rx = view(b).rx;

		turn(b, cases[i].gap);
		receive(b, BFD_UP);
		if (view(b).missed != cases[i].missed)
			fail_msg("after %d us: %d", (int)cases[i].gap, (int)view(b).missed);
		assert_int_equal(view(b).rx, rx + 1);
		assert_int_equal(view(b).last_rx.us, b->now.us);
		bench_free(b);
	}
}

/* A packet counts from when the kernel had it, but not from the future, and an older one turns nothing back. */
static void
packets_count_from_their_arrival(void **state)
{
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	uint8_t buf[BFD_PACKET_MAX];
	struct bfd_received r = came(b, buf, bfd_packet_build(&p, 0, buf));
	struct mono began = b->now;

	(void)state;
	turn(b, MS(90));
	r.at = mono_add(began, MS(80));
	assert_int_equal(bfd_engine_receive(b->e, &r, b->now), BFD_TAKEN);
	assert_int_equal(view(b).last_rx.us, began.us + MS(80));
	assert_int_equal(view(b).rx_late_max, MS(10));
	r.at = mono_add(began, MS(70));
	assert_int_equal(bfd_engine_receive(b->e, &r, b->now), BFD_TAKEN);
	assert_int_equal(view(b).last_rx.us, began.us + MS(80));
	r.at = mono_add(began, SECONDS(7));
	assert_int_equal(bfd_engine_receive(b->e, &r, b->now), BFD_TAKEN);
	assert_int_equal(view(b).last_rx.us, b->now.us);
	assert_int_equal(view(b).rx_late_max, MS(20));
	bench_free(b);
}

/* ---- echo (6.8.9) ---- */

static struct bench *
bench_echo(uint32_t his_echo_rx)
{
	struct bfd_params p = usual;
	struct bfd_packet up;
	struct bench *b;

	p.echo_us = 20000;
	p.echo_rx_us = 9000;
	b = bench_new(&p);
	b->random = 0x123456789abcdef0;
	receive(b, BFD_DOWN);
	receive(b, BFD_UP);
	up = his(b, BFD_UP);
	up.min_echo_us = his_echo_rx;
	up.final = true;
	take(b, &up);
	return b;
}

static enum bfd_drop
echo_back(struct bench *b, const uint8_t *bytes, size_t n, uint8_t hop, bool *reflect)
{
	struct bfd_received r = came(b, bytes, n);

	r.hop_limit = hop;
	return bfd_engine_echo(b->e, &r, b->now, reflect);
}

static void
echo_packets_are_known_again(void **state)
{
	static const struct {
		const char *name;
		size_t n;
		int at; /* byte that is changed; -1: none */
		uint8_t hop;
		enum bfd_drop want;
	} cases[] = {
		{ "our own", 16, -1, 254, BFD_TAKEN },
		{ "another discriminator", 16, 3, 254, BFD_DROP_ECHO },
		{ "a sequence of the future", 16, 4, 254, BFD_DROP_ECHO },
		{ "another salt, high", 16, 8, 254, BFD_DROP_ECHO },
		{ "another salt, low", 16, 15, 254, BFD_DROP_ECHO },
		{ "cut", 15, -1, 254, BFD_DROP_ECHO },
		{ "from further away", 16, -1, 253, BFD_DROP_HOP_LIMIT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_echo(25000);
		uint8_t bytes[16];
		bool reflect = true;
		enum bfd_drop got;

		turn(b, 0);
		assert_int_equal(b->echoes, 1);
		assert_int_equal(get_u32(b->echo), bfd_session_discr(b->s));
		assert_int_equal(get_u32(b->echo + 8), 0x12345678);
		assert_int_equal(get_u32(b->echo + 12), 0x9abcdef0);
		memcpy(bytes, b->echo, 16);
		if (cases[i].at >= 0)
			bytes[cases[i].at] ^= 1;
		got = echo_back(b, bytes, cases[i].n, cases[i].hop, &reflect);
		if (got != cases[i].want || reflect)
			fail_msg("%s: %s", cases[i].name, bfd_drop_name(got));
		assert_int_equal(view(b).echo_rx, got == BFD_TAKEN);
		assert_int_equal(stats(b).dropped[cases[i].want], got != BFD_TAKEN);
		assert_int_equal(view(b).dropped, got != BFD_TAKEN);
		bench_free(b);
	}
}

/* No more than the multiplier's worth of packets may be under way. */
static void
an_echo_may_be_late_by_less_than_the_multiplier(void **state)
{
	(void)state;
	for (unsigned int behind = 0; behind < 5; behind++) {
		struct bench *b = bench_echo(25000);
		uint8_t first[16];
		bool reflect;

		turn(b, 0);
		memcpy(first, b->echo, 16);
		while (b->echoes < 1 + behind) {
			turn(b, 1000);
			receive(b, BFD_UP);
			{ /* keeps the echo session alive */
				struct bfd_packet p = his(b, BFD_UP);

				p.min_echo_us = 25000;
				take(b, &p);
			}
			if (b->echoes < 1 + behind)
				echo_back(b, b->echo, 16, 254, &reflect);
		}
		assert_int_equal(echo_back(b, first, 16, 254, &reflect), behind < 3 ? BFD_TAKEN : BFD_DROP_ECHO);
		bench_free(b);
	}
}

/* The greater of what we want and he takes; detection one interval later at first, then the multiplier's worth. */
static void
echo_detection_to_the_microsecond(void **state)
{
	static const struct {
		uint32_t his;
		int64_t interval;
	} cases[] = { { 25000, 25000 }, { 20000, 20000 }, { 1, 20000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int answered = 0; answered < 2; answered++) {
			struct bench *b = bench_echo(cases[i].his);
			struct mono began = b->now;
			int64_t end = answered ? 5000 + 3 * cases[i].interval : 4 * cases[i].interval;
			bool reflect;

			assert_int_equal(view(b).echo_us, cases[i].interval);
			b->random = 0;
			turn(b, 0);
			assert_int_equal(b->echoes, 1);
			if (answered) {
				turn(b, 5000);
				assert_int_equal(echo_back(b, b->echo, 16, 254, &reflect), BFD_TAKEN);
			}
			turn(b, cases[i].interval * 3 / 4 - 1 - (b->now.us - began.us));
			assert_int_equal(b->echoes, 1);
			turn(b, 1);
			assert_int_equal(b->echoes, 2);
			turn(b, end - 1 - (b->now.us - began.us));
			assert_int_equal(bfd_session_state(b->s), BFD_UP);
			turn(b, 1);
			assert_int_equal(bfd_session_state(b->s), BFD_DOWN);
			assert_int_equal(view(b).diag, BFD_DIAG_ECHO);
			assert_int_equal(view(b).echo_us, 0);
			assert_int_equal(view(b).echo_tx, b->echoes);
			bench_free(b);
		}
}

/* His echo packets are sent back only while the session is Up, and only when we said that we do. */
static void
the_neighbours_echo_is_reflected_when_that_was_said(void **state)
{
	const uint8_t rubbish[3] = { 0 };

	(void)state;
	for (int said = 0; said < 2; said++)
		for (int up = 0; up < 2; up++) {
			struct bfd_params p = usual;
			struct bench *b;
			bool reflect = false;
			enum bfd_drop got;

			p.echo_rx_us = said ? 5000 : 0;
			b = bench_new(&p);
			bring(b, up ? BFD_UP : BFD_INIT);
			got = echo_back(b, rubbish, 3, 255, &reflect);
			assert_int_equal(got, said && up ? BFD_TAKEN : BFD_DROP_ECHO);
			assert_int_equal(reflect, said && up);
			bench_free(b);
		}
	{
		struct bench *b = bench_new(NULL);
		bool reflect = true;

		assert_int_equal(echo_back(b, rubbish, 3, 255, &reflect), BFD_DROP_NO_SESSION);
		assert_false(reflect);
		bench_free(b);
	}
}

/* ---- strangers (RFC 9468) ---- */

static void
strangers_make_sessions_only_when_all_is_well(void **state)
{
	static const struct {
		const char *name;
		enum bfd_state said;
		bool allow, wrong;
		enum bfd_drop want;
		unsigned int forgotten;
	} cases[] = {
		{ "welcome", BFD_DOWN, true, false, BFD_TAKEN, 0 },
		{ "not allowed", BFD_DOWN, false, false, BFD_DROP_NO_SESSION, 0 },
		{ "taken down by its operator", BFD_ADMIN, true, false, BFD_DROP_NO_SESSION, 0 },
		{ "with parameters that are none", BFD_DOWN, true, true, BFD_DROP_NO_SESSION, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new(NULL);
		struct bfd_packet p = his(b, cases[i].said);

		b->allow = cases[i].allow;
		if (cases[i].wrong)
			b->stranger.multiplier = 0;
		if (take(b, &p) != cases[i].want)
			fail_msg("%s", cases[i].name);
		b->s = bfd_session_after(b->e, NULL);
		assert_int_equal(b->s != NULL, cases[i].want == BFD_TAKEN);
		assert_int_equal(stats(b).sessions, b->s != NULL);
		if (b->s) {
			assert_true(view(b).unsolicited && bfd_session_params(b->s)->passive);
			assert_int_equal(view(b).state, BFD_INIT);
			turn(b, DETECT);
			assert_int_equal(b->forgotten, 1);
			assert_int_equal(stats(b).sessions, 0);
		}
		bench_free(b);
	}
}

/* The first packet comes with authentication that nobody asked for: the session that it made is gone again. */
static void
a_stranger_whose_first_packet_is_no_good_leaves_nothing(void **state)
{
	struct bench *b = bench_new(NULL);
	const struct bfd_auth auth = { .type = 4, .nkeys = 1, .keys[0] = { 7, 3, "abc" } };

	(void)state;
	b->allow = true;
	assert_int_equal(take_signed(b, &auth, 1, BFD_DOWN), BFD_DROP_AUTH_UNEXPECTED);
	assert_int_equal(b->forgotten, 1);
	assert_null(bfd_session_after(b->e, NULL));
	assert_int_equal(stats(b).dropped[BFD_DROP_AUTH_UNEXPECTED], 1);
	bench_free(b);
}

/* A wanted session takes it over, and then it stays when he falls silent. */
static void
an_unsolicited_session_becomes_a_wanted_one(void **state)
{
	struct bench *b = bench_new(NULL);
	struct bfd_packet p = his(b, BFD_DOWN);

	(void)state;
	b->allow = true;
	take(b, &p);
	b->s = bfd_session_after(b->e, NULL);
	assert_int_equal(bfd_session_change(b->s, &usual, b->now), 0);
	assert_false(view(b).unsolicited);
	turn(b, SECONDS(10));
	assert_int_equal(stats(b).sessions, 1);
	assert_int_equal(b->forgotten, 0);
	bench_free(b);
}

/* ---- parameters ---- */

static void
each_wrong_parameter_is_named(void **state)
{
	static const uint8_t group[16] = { 0xff, 2, [15] = 1 },
			     global[2][16] = { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 } };
	struct bfd_path here = path_here(),
			far = { .local = ip_v6(global[0]), .peer = ip_v6(global[1]), .multihop = true };
	struct {
		const char *want; /* a word of the sentence; NULL: nothing is wrong */
		struct bfd_path path;
		struct bfd_params params;
	} c[] = {
		{ NULL, here, usual },
		{ NULL, far, usual },
		{ "families", here, usual },
		{ "missing", here, usual },
		{ "missing", here, usual },
		{ "multicast", here, usual },
		{ "multicast", here, usual },
		{ "a port is missing", here, usual },
		{ "bound to no port", far, usual },
		{ "link-local", far, usual },
		{ "link-local", far, usual },
		{ "multiplier", here, usual },
		{ NULL, here, usual },
		{ "interval", here, usual },
		{ "interval", here, usual },
		{ NULL, here, usual },
		{ "authentication", here, usual },
		{ "authentication", here, usual },
		{ "authentication", here, usual },
		{ NULL, here, usual },
		{ "authentication", here, usual },
		{ "authentication", here, usual },
		{ NULL, here, usual },
		{ "authentication", here, usual },
		{ "authentication", here, usual },
	};
	const struct bfd_auth good = { .type = 5, .nkeys = 1, .keys[0] = { 1, 20, "k" } };

	(void)state;
	c[2].path.peer = ip_v4(0x0a000001);
	c[3].path.peer = ip_v6((const uint8_t[16]){ 0 });
	c[4].path.local = ip_v6((const uint8_t[16]){ 0 });
	c[5].path.peer = ip_v6(group);
	c[6].path.local = ip_v6(group);
	c[7].path.ifindex = 0;
	c[8].path.ifindex = 10;
	c[9].path.peer = here.peer;
	c[10].path.local = here.local;
	c[11].params.multiplier = 0;
	c[12].params.multiplier = 1;
	c[13].params.min_tx_us = 0;
	c[14].params.min_rx_us = 0;
	c[15].params.min_tx_us = c[15].params.min_rx_us = 1;
	c[16].params.auth.type = 1;
	c[17].params.auth.nkeys = 1;
	c[18].params.auth = (struct bfd_auth){ .type = 4 };
	for (int i = 19; i < 25; i++)
		c[i].params.auth = good;
	c[20].params.auth.keys[0].len = 21;
	c[21].params.auth.keys[0].len = 0;
	c[22].params.auth.nkeys = 4;
	for (int i = 0; i < 4; i++)
		c[22].params.auth.keys[i] = good.keys[0];
	c[22].params.auth.keys[3].len = 1;
	c[23].params.auth = c[22].params.auth;
	c[23].params.auth.nkeys = 5;
	c[24].params.auth = c[22].params.auth;
	c[24].params.auth.keys[3].len = 0;
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		const char *wrong = bfd_params_wrong(&c[i].path, &c[i].params);

		if (!c[i].want != !wrong || (wrong && !strstr(wrong, c[i].want)))
			fail_msg("case %zu: %s", i, wrong ? wrong : "nothing is wrong");
	}
}

/* Less than BFD_MIN_US is raised to it; the hop limit that is asked for is 255 on one hop, 1 on many. */
static void
parameters_are_raised_to_what_is_promised(void **state)
{
	static const uint8_t global[2][16] = { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 } };
	struct bfd_params p = { .min_tx_us = 1, .min_rx_us = 2, .multiplier = 3, .echo_us = 3 };
	struct bfd_path far = { .local = ip_v6(global[0]), .peer = ip_v6(global[1]), .multihop = true };
	struct bench *b = bench_new(&p);
	const struct bfd_params *got = bfd_session_params(b->s);
	struct bfd_session *s;

	(void)state;
	assert_int_equal(got->min_tx_us, 3300);
	assert_int_equal(got->min_rx_us, 3300);
	assert_int_equal(got->echo_us, 3300);
	assert_int_equal(got->min_hops, 255);
	b->random = 78; /* of which its discriminator is made */
	assert_int_equal(bfd_session_new(b->e, &far, &usual, b->now, &s), 0);
	assert_int_equal(bfd_session_params(s)->min_hops, 1);
	assert_int_equal(bfd_session_params(s)->echo_us, 0);
	assert_int_equal(bfd_session_params(s)->min_tx_us, TX);
	assert_int_equal(bfd_session_new(b->e, &far, &usual, b->now, &s), -EEXIST);
	assert_null(s);
	bench_free(b);
}

/* ---- the tables ---- */

/* Sessions that differ in one part of the path alone are told apart; any may go, in any order. */
static void
sessions_are_found_by_each_part_of_their_path(void **state)
{
	static const uint8_t a[3][16] = { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 }, { 0x20, 1, [15] = 3 } };
	const struct bfd_path paths[] = {
		{ 1, ip_v6(a[0]), ip_v6(a[1]), false },
		{ 2, ip_v6(a[0]), ip_v6(a[1]), false },
		{ 1, ip_v6(a[2]), ip_v6(a[1]), false },
		{ 1, ip_v6(a[0]), ip_v6(a[2]), false },
		{ 0, ip_v6(a[0]), ip_v6(a[1]), true },
	};

	(void)state;
	for (unsigned int order = 0; order < 120; order++) { /* each of the orders in which they may go */
		struct bfd_session *s[ARRAY_LEN(paths)], *at;
		struct bench *b = bench_new(NULL);
		unsigned int rest = order, n = 0;
		uint32_t discr[ARRAY_LEN(paths)];

		for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
			b->random = 1000 + i;
			assert_int_equal(bfd_session_new(b->e, &paths[i], &usual, b->now, &s[i]), 0);
			discr[i] = bfd_session_discr(s[i]);
			assert_int_equal(discr[i], (uint32_t)bfd_engine_tag_of(5) << 16 | (uint32_t)(1000 + i));
		}
		for (size_t left = ARRAY_LEN(paths); left > 0; left--) {
			size_t pick = rest % left;

			rest /= (unsigned int)left;
			for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
				assert_ptr_equal(bfd_session_find(b->e, &paths[i]), s[i]);
				assert_ptr_equal(bfd_session_by_discr(b->e, discr[i]), s[i]);
			}
			n = 0;
			for (at = bfd_session_after(b->e, NULL); at; at = bfd_session_after(b->e, at))
				n++;
			assert_int_equal(n, left);
			for (size_t i = 0; i < ARRAY_LEN(paths); i++)
				if (s[i] && pick-- == 0) {
					bfd_session_free(s[i]);
					s[i] = NULL;
					break;
				}
			assert_int_equal(stats(b).sessions, left - 1);
		}
		assert_null(bfd_session_after(b->e, NULL));
		assert_true(mono_is_never(bfd_engine_next(b->e)));
		bench_free(b);
	}
}

/* By its tag a packet for an engine is told from one for nobody: no engine has the tag 0. */
static void
no_engine_has_the_tag_0(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 500000; seed++)
		assert_int_not_equal(bfd_engine_tag_of(seed), 0);
}

/* Many sessions of random intervals, that come, go and change: each sends when it said that it would. */
static void
each_deadline_of_many_is_kept(void **state)
{
	struct bench *b = bench_new(NULL);
	struct bfd_session *s[40] = { NULL };
	uint64_t rnd = 4;

	(void)state;
	for (unsigned int step = 0; step < 4000; step++) {
		unsigned int k;
		struct mono next;

		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		b->random = rnd >> 20;
		k = (unsigned int)(rnd >> 40) % 40;
		if (!s[k]) {
			struct bfd_params p = usual;
			struct bfd_path path = path_here();

			path.ifindex = k + 1;
			p.min_tx_us = (uint32_t)(SECONDS(1) + (int64_t)(rnd >> 33) % SECONDS(3));
			assert_int_equal(bfd_session_new(b->e, &path, &p, b->now, &s[k]), 0);
		} else if (rnd >> 60 == 0) {
			bfd_session_free(s[k]);
			s[k] = NULL;
		}
		next = bfd_engine_next(b->e);
		turn(b, (int64_t)(rnd >> 50));
		assert_true(next.us >= b->now.us - (int64_t)(rnd >> 50));
		for (unsigned int i = 0; i < 40; i++) { /* none was forgotten: silent for no more than its interval */
			struct bfd_view v;

			if (!s[i])
				continue;
			bfd_session_view(s[i], &v);
			assert_int_equal(v.tx_late_max, 0);
			assert_true((int64_t)v.tx * v.tx_us + v.tx_us > b->now.us - v.since.us);
			assert_true(((int64_t)v.tx - 2) * v.tx_us * 3 / 4 <=
				    b->now.us - v.since.us + v.tx_us / 10 * (int64_t)v.tx);
		}
	}
	assert_int_equal(stats(b).run_late.max_us, 0);
	bench_free(b);
}

/*
 * A session whose last packet is three quarters of its interval ago goes along with one that is due: jitter could have
 * made it due as well. A packet that comes in is no such reason.
 */
static void
packets_go_along_with_others_that_are_due(void **state)
{
	static const struct {
		int64_t later; /* when the other sent last, behind the one that is due */
		uint8_t multiplier;
		bool along;
	} cases[] = {
		{ 0, 3, true },
		{ 1, 3, false },
		{ 0, 1, true },
		{ 1, 1, false },
		{ 40000, 3, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_path path = path_here();
		struct bfd_params p = usual;
		struct bench *b = bench_up(&usual);
		struct bfd_session *one = b->s, *other;
		struct bfd_view v;
		struct mono due;
		uint64_t tx;

		path.ifindex = 11;
		p.multiplier = (uint8_t)(cases[i].multiplier + 1);
		b->random = 78;
		assert_int_equal(bfd_session_new(b->e, &path, &p, b->now, &other), 0);
		b->s = other;
		for (int k = 0; k < 3; k++) {
			struct bfd_packet up = his(b, k ? BFD_UP : BFD_DOWN);
			uint8_t buf[BFD_PACKET_MAX];
			struct bfd_received r;

			up.final = k == 2;
			r = came(b, buf, bfd_packet_build(&up, 0, buf));
			r.ifindex = 11;
			assert_int_equal(bfd_engine_receive(b->e, &r, b->now), BFD_TAKEN);
		}
		b->s = one;
		/* A change of the multiplier is told at once: the one is due 150 ms later, the other 200 or 180. */
		b->random = 0;
		p = usual;
		p.multiplier = 4;
		bfd_session_change(one, &p, b->now);
		due = bfd_engine_next(b->e);
		assert_int_equal(due.us - b->now.us, 150000);
		b->now = mono_add(b->now, cases[i].later);
		b->random = 30000;
		p.multiplier = cases[i].multiplier;
		bfd_session_change(other, &p, b->now);
		bfd_session_view(other, &v);
		tx = v.tx;
		b->now.us = due.us - 1;
		receive(b, BFD_UP);
		bfd_engine_run(b->e, b->now);
		bfd_session_view(other, &v);
		assert_int_equal(v.tx, tx);
		b->now = due;
		bfd_engine_run(b->e, b->now);
		bfd_session_view(other, &v);
		if ((v.tx != tx) != cases[i].along)
			fail_msg("case %zu", i);
		bench_free(b);
	}
}

/* ---- kept over a restart ---- */

/* A session of the least intervals that are promised is taken over as well; what is less was never ours. */
static void
a_session_of_the_least_intervals_is_restored(void **state)
{
	(void)state;
	for (int less = 0; less < 3; less++) {
		struct bfd_params p = { .min_tx_us = BFD_MIN_US, .min_rx_us = BFD_MIN_US, .multiplier = 3 };
		struct bfd_path path = path_here();
		struct bench *b = bench_up(&p);
		struct bfd_saved saved;

		bfd_session_save(b->s, &saved);
		bfd_session_free(b->s);
		saved.required_rx -= less == 1;
		saved.rx_in_use -= less == 2;
		assert_int_equal(bfd_session_restore(b->e, &path, &p, &saved, b->now, &b->s), less ? -EINVAL : 0);
		if (!less) {
			assert_int_equal(view(b).state, BFD_UP);
			assert_int_equal(view(b).rx_us, HIS_TX);
			assert_int_equal(view(b).tx_us, HIS_RX);
		}
		bench_free(b);
	}
}

/* A neighbour that wants no packets gets none from a restored session either. */
static void
a_restored_session_is_silent_when_nothing_is_wanted(void **state)
{
	struct bfd_path path = path_here();
	struct bench *b = bench_up(&usual);
	struct bfd_packet p = his(b, BFD_UP);
	struct bfd_saved saved;
	unsigned int sent;

	(void)state;
	p.min_rx_us = 0;
	take(b, &p);
	bfd_session_save(b->s, &saved);
	bfd_session_free(b->s);
	assert_int_equal(bfd_session_restore(b->e, &path, &usual, &saved, b->now, &b->s), 0);
	sent = b->sent;
	turn(b, DETECT / 2);
	assert_int_equal(b->sent, sent);
	bench_free(b);
}

/* ---- words ---- */

static void
what_is_no_state_and_no_reason_has_no_name(void **state)
{
	(void)state;
	for (int i = 0; i < BFD_STATES; i++)
		assert_string_not_equal(bfd_state_name((enum bfd_state)i), "?");
	for (unsigned int i = 0; i < BFD_DIAGS; i++)
		assert_string_not_equal(bfd_diag_name(i), "unknown");
	for (int i = 0; i < BFD_DROPS; i++)
		assert_string_not_equal(bfd_drop_name((enum bfd_drop)i), "?");
	assert_string_equal(bfd_state_name(BFD_STATES), "?");
	assert_string_equal(bfd_diag_name(BFD_DIAGS), "unknown");
	assert_string_equal(bfd_diag_name(31), "unknown");
	assert_string_equal(bfd_drop_name(BFD_DROPS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_answers_each_packet_and_silence),
		cmocka_unit_test(what_a_packet_says_is_kept),
		cmocka_unit_test(silence_forgets_what_was_said),
		cmocka_unit_test(what_waits_in_the_queue_speaks_for_the_neighbour),
		cmocka_unit_test(a_change_of_the_c_bit_is_told),
		cmocka_unit_test(packets_go_out_to_the_microsecond),
		cmocka_unit_test(our_packets_say_what_is_wanted),
		cmocka_unit_test(a_slow_session_is_no_faster_while_down),
		cmocka_unit_test(a_change_during_a_poll_is_polled_for_again),
		cmocka_unit_test(a_change_of_the_multiplier_is_told_at_once),
		cmocka_unit_test(the_next_packet_counts_from_the_last),
		cmocka_unit_test(the_passive_role),
		cmocka_unit_test(demand_mode_silences_us_only_when_both_are_up),
		cmocka_unit_test(answers_to_polls_are_measured_out),
		cmocka_unit_test(sequence_numbers_have_a_window),
		cmocka_unit_test(the_sequence_is_forgotten_in_time),
		cmocka_unit_test(our_sequence_goes_up_by_one),
		cmocka_unit_test(only_a_real_stall_spares_the_neighbour),
		cmocka_unit_test(an_older_stall_is_no_excuse),
		cmocka_unit_test(lateness_of_less_than_a_millisecond_is_no_stall),
		cmocka_unit_test(missed_packets_are_counted),
		cmocka_unit_test(packets_count_from_their_arrival),
		cmocka_unit_test(echo_packets_are_known_again),
		cmocka_unit_test(an_echo_may_be_late_by_less_than_the_multiplier),
		cmocka_unit_test(echo_detection_to_the_microsecond),
		cmocka_unit_test(the_neighbours_echo_is_reflected_when_that_was_said),
		cmocka_unit_test(strangers_make_sessions_only_when_all_is_well),
		cmocka_unit_test(a_stranger_whose_first_packet_is_no_good_leaves_nothing),
		cmocka_unit_test(an_unsolicited_session_becomes_a_wanted_one),
		cmocka_unit_test(each_wrong_parameter_is_named),
		cmocka_unit_test(parameters_are_raised_to_what_is_promised),
		cmocka_unit_test(sessions_are_found_by_each_part_of_their_path),
		cmocka_unit_test(no_engine_has_the_tag_0),
		cmocka_unit_test(each_deadline_of_many_is_kept),
		cmocka_unit_test(packets_go_along_with_others_that_are_due),
		cmocka_unit_test(a_session_of_the_least_intervals_is_restored),
		cmocka_unit_test(a_restored_session_is_silent_when_nothing_is_wanted),
		cmocka_unit_test(what_is_no_state_and_no_reason_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
