/*
 * tests/unit/bfd/receive_test.c -- one engine, and a neighbour that the test plays: RFC 5880 6.8 as tables
 *
 * Time stands still but when the test turns it, and randomness is a number that the test chooses, so that each deadline
 * can be told to the microsecond. What is expected was written down from the RFC, not from the engine.
 */
#include "bench.h"

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

/* Who goes on with another's sessions gives discriminators as that one did. */
static void
the_tag_of_who_was_before(void **state)
{
	const struct bfd_path path = { 1, ip_v4(0x0a000001), ip_v4(0x0a000002), false };
	struct bench *b = bench_new(NULL);
	struct bfd_session *s;

	(void)state;
	bfd_engine_set_tag(b->e, 0xbeef);
	b->random = 0x12345;
	assert_int_equal(bfd_session_new(b->e, &path, &usual, b->now, &s), 0);
	assert_int_equal(bfd_session_discr(s), 0xbeef2345);
	assert_ptr_equal(bfd_session_by_discr(b->e, 0xbeef2345), s);
	bench_free(b);
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
		cmocka_unit_test(sequence_numbers_have_a_window),
		cmocka_unit_test(the_sequence_is_forgotten_in_time),
		cmocka_unit_test(our_sequence_goes_up_by_one),
		cmocka_unit_test(strangers_make_sessions_only_when_all_is_well),
		cmocka_unit_test(a_stranger_whose_first_packet_is_no_good_leaves_nothing),
		cmocka_unit_test(an_unsolicited_session_becomes_a_wanted_one),
		cmocka_unit_test(sessions_are_found_by_each_part_of_their_path),
		cmocka_unit_test(no_engine_has_the_tag_0),
		cmocka_unit_test(the_tag_of_who_was_before),
		cmocka_unit_test(each_deadline_of_many_is_kept),
		cmocka_unit_test(packets_go_along_with_others_that_are_due),
		cmocka_unit_test(what_is_no_state_and_no_reason_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
