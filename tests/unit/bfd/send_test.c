/* tests/unit/bfd/send_test.c -- what we send, when, and with what; echo, parameters, and a restart (RFC 5880 6.8) */
#include "bench.h"

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

/* 6.8.3 is about Up: whatever a poll had asked for that a fall cut off, the next Up begins with what is wanted. */
static void
a_fall_ends_the_poll_and_what_was_before_it(void **state)
{
	static const struct {
		uint32_t was, becomes;
	} cases[] = { { SECONDS(3), SECONDS(1) }, { SECONDS(1), SECONDS(3) } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_params want = { .min_tx_us = cases[i].was, .min_rx_us = cases[i].was, .multiplier = 3 };
		struct bench *b = bench_up(&want);

		want.min_tx_us = want.min_rx_us = cases[i].becomes;
		assert_int_equal(bfd_session_change(b->s, &want, b->now), 0);
		assert_true(view(b).polling);
		receive(b, BFD_DOWN);
		receive(b, BFD_DOWN);
		receive(b, BFD_UP);
		assert_int_equal(bfd_session_state(b->s), BFD_UP);
		assert_false(view(b).polling);
		assert_int_equal(b->last.min_tx_us, cases[i].becomes);
		assert_int_equal(b->last.min_rx_us, cases[i].becomes);
		assert_int_equal(view(b).tx_us, cases[i].becomes);
		assert_int_equal(view(b).rx_us, cases[i].becomes);
		bench_free(b);
	}
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

/* What was given back stays given, whatever else is done with the session meanwhile. */
static void
what_was_spared_is_not_taken_back(void **state)
{
	struct bfd_params other = usual;
	struct bench *b = bench_up(&usual);
	struct mono heard = b->now, end;
	int64_t late;

	(void)state;
	b->random = 50000;
	turn(b, DETECT / 2);
	late = mono_sub(mono_add(heard, DETECT), bfd_engine_next(b->e));
	b->now = mono_add(heard, DETECT);
	bfd_engine_run(b->e, b->now);
	assert_int_equal(view(b).spared, 1);
	end = mono_add(heard, DETECT + MAX_OF(late, (int64_t)HIS_TX));
	other.multiplier = 7;
	assert_int_equal(bfd_session_change(b->s, &other, b->now), 0);
	turn(b, mono_sub(end, b->now) - 1);
	assert_int_equal(bfd_session_state(b->s), BFD_UP);
	turn(b, 1);
	assert_int_equal(bfd_session_state(b->s), BFD_DOWN);
	assert_int_equal(view(b).spared, 1);
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
/* While we were away nobody sent an echo, and nobody looked for one: that is no failure of the way. */
static void
a_stall_is_no_lost_echo(void **state)
{
	enum { CLOCK, CONTROL, ECHO, ORDERS }; /* what is seen to first, afterwards */

	(void)state;
	for (int first = 0; first < ORDERS; first++) {
		struct bench *b = bench_echo(25000);
		struct bfd_packet up = his(b, BFD_UP);
		struct bfd_received waited;
		uint8_t bytes[16];
		struct mono back;
		bool reflect;

		up.min_echo_us = 25000;
		turn(b, 1000);
		memcpy(bytes, b->echo, 16);
		back = b->now;
		if (first != ECHO)
			assert_int_equal(echo_back(b, bytes, 16, 254, &reflect), BFD_TAKEN);
		turn(b, 1000);
		b->now = mono_add(b->now, MS(500)); /* less than the detection time of control packets */
		if (first != CLOCK)
			take(b, &up);
		waited = came(b, bytes, 16);
		waited.hop_limit = 254;
		waited.at = back;
		if (first == ECHO)
			assert_int_equal(bfd_engine_echo(b->e, &waited, b->now, &reflect), BFD_TAKEN);
		bfd_engine_run(b->e, b->now);
		if (bfd_session_state(b->s) != BFD_UP)
			fail_msg("%d: %s", first, bfd_diag_name(view(b).diag));
		assert_int_equal(view(b).spared, 1);
		/* It is sent again, and one that does not come back is missed as ever. */
		assert_int_not_equal(memcmp(b->echo, bytes, 16), 0);
		take(b, &up);
		turn(b, MS(10));
		assert_int_equal(bfd_session_state(b->s), BFD_UP);
		turn(b, MS(600));
		assert_int_equal(view(b).down_diag, BFD_DIAG_ECHO);
		bench_free(b);
	}
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_go_out_to_the_microsecond),
		cmocka_unit_test(our_packets_say_what_is_wanted),
		cmocka_unit_test(a_slow_session_is_no_faster_while_down),
		cmocka_unit_test(a_change_during_a_poll_is_polled_for_again),
		cmocka_unit_test(a_fall_ends_the_poll_and_what_was_before_it),
		cmocka_unit_test(a_change_of_the_multiplier_is_told_at_once),
		cmocka_unit_test(the_next_packet_counts_from_the_last),
		cmocka_unit_test(the_passive_role),
		cmocka_unit_test(demand_mode_silences_us_only_when_both_are_up),
		cmocka_unit_test(answers_to_polls_are_measured_out),
		cmocka_unit_test(only_a_real_stall_spares_the_neighbour),
		cmocka_unit_test(an_older_stall_is_no_excuse),
		cmocka_unit_test(what_was_spared_is_not_taken_back),
		cmocka_unit_test(lateness_of_less_than_a_millisecond_is_no_stall),
		cmocka_unit_test(missed_packets_are_counted),
		cmocka_unit_test(packets_count_from_their_arrival),
		cmocka_unit_test(echo_packets_are_known_again),
		cmocka_unit_test(an_echo_may_be_late_by_less_than_the_multiplier),
		cmocka_unit_test(echo_detection_to_the_microsecond),
		cmocka_unit_test(a_stall_is_no_lost_echo),
		cmocka_unit_test(the_neighbours_echo_is_reflected_when_that_was_said),
		cmocka_unit_test(each_wrong_parameter_is_named),
		cmocka_unit_test(parameters_are_raised_to_what_is_promised),
		cmocka_unit_test(a_session_of_the_least_intervals_is_restored),
		cmocka_unit_test(a_restored_session_is_silent_when_nothing_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
