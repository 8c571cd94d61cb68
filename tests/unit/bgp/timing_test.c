/* tests/unit/bgp/timing_test.c -- timers to the microsecond, pauses, the pace of answers, two connections at once */
#include "bench.h"

#include "fabricd/bgp/session_snapshot.h"

/* ---- timers ---- */

static void
keepalives_and_hold_time_to_the_microsecond(void **state)
{
	static const struct {
		uint32_t random;
		int64_t keepalive;
	} cases[] = { { 0, SECONDS(3) }, { 512, SECONDS(3) - SECONDS(3) / 4 / 2 }, { 1023, SECONDS(3) - 749267 },
		{ 1024, SECONDS(3) } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		uint64_t sent;

		b->random = cases[i].random;
		bring(b, BGP_ESTABLISHED);
		sent = counters(b)->out[BGP_KEEPALIVE];
		assert_int_equal(sent, 1);
		assert_int_equal(bgp_peer_facts(b->p)->hold_s, HOLD);
		assert_int_equal(bgp_peer_facts(b->p)->keepalive_s, 3);
		for (int k = 0; k < 4; k++) {
			timer_at(b, cases[i].keepalive);
			assert_string_equal(out(b, b->c), "K");
			in_keepalive(b);
		}
		assert_int_equal(counters(b)->out[BGP_KEEPALIVE], sent + 4);
		bench_free(b);
	}
}

/* Any message that is well received holds the session; its expiry is exact. */
static void
each_message_arms_the_hold_timer(void **state)
{
	static const enum what what[] = { W_KEEPALIVE, W_UPDATE, W_REFRESH };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(what); i++) {
		struct bench *b = bench_up();
		struct mono end;

		b->now = mono_add(b->now, SECONDS(2));
		happen(b, what[i]);
		end = mono_add(b->now, SECONDS(HOLD));
		while (bgp_deadline(b->p).us < end.us) {
			b->now = bgp_deadline(b->p);
			bgp_timer(b->p, b->now);
		}
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		b->now.us = end.us - 1;
		bgp_timer(b->p, b->now);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		b->now = end;
		bgp_timer(b->p, b->now);
		assert_int_equal(state_of(b), BGP_IDLE);
		bench_free(b);
	}
}

/* A timer that is late by more than half a second grants a third of the hold time more, once. */
static void
a_late_hold_timer_grants_a_third_once(void **state)
{
	static const struct {
		int64_t late;
		bool granted;
	} cases[] = { { MS(500), false }, { MS(500) + 1, true }, { SECONDS(15), true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_up();

		b->now = mono_add(b->now, SECONDS(HOLD) + cases[i].late);
		bgp_timer(b->p, b->now);
		assert_int_equal(state_of(b), cases[i].granted ? BGP_ESTABLISHED : BGP_IDLE);
		assert_int_equal(counters(b)->hold_grants, cases[i].granted);
		assert_int_equal(b->events[BGP_EVENT_TIMER], cases[i].granted);
		if (cases[i].granted) {
			timer_at(b, SECONDS(3)); /* both the keepalive and the hold timer */
			assert_int_equal(state_of(b), BGP_IDLE);
		}
		bench_free(b);
	}
}

/* The owner has read nothing for a while, and does so again: what waits gets the time to be read, and no more than that. */
static void
the_hold_time_after_a_thaw(void **state)
{
	static const int64_t times[] = { SECONDS(HOLD) - 1, SECONDS(HOLD) + MS(200), SECONDS(HOLD) + MS(500) };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct bench *b = bench_up();

		b->now = mono_add(b->now, times[i]);
		bgp_peer_keep(b->p, b->now);
		bgp_peer_thaw(b->p, b->now);
		bgp_timer(b->p, b->now);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		assert_int_equal(counters(b)->hold_grants, 0);
		timer_at(b, SECONDS(HOLD / 3)); /* both the keepalive and the hold timer */
		assert_int_equal(state_of(b), BGP_IDLE);
		assert_int_equal(b->down.cause, BGP_CAUSE_HOLD);
		bench_free(b);
	}
}

/* What the owner leaves unread is no silence of the peer; once it reads, the hold time counts again. */
static void
unread_is_not_silent(void **state)
{
	struct bench *b = bench_up();
	uint64_t grants = 0;

	(void)state;
	bgp_input_waits(b->c);
	for (struct mono end = mono_add(b->now, SECONDS(60)); b->now.us < end.us;) {
		b->now = bgp_deadline(b->p);
		bgp_timer(b->p, b->now);
		out(b, b->c);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		assert_true(bgp_deadline(b->p).us > b->now.us);
	}
	grants = counters(b)->hold_grants;
	assert_in_range(grants, (60 - HOLD) / (HOLD / 3), 60 / (HOLD / 3));
	assert_int_equal(b->events[BGP_EVENT_TIMER], 1);
	assert_non_null(strstr(b->text, "waits unread"));
	in_keepalive(b);
	for (struct mono end = mono_add(b->now, SECONDS(HOLD)); b->now.us < end.us;) {
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		b->now = mono_min(bgp_deadline(b->p), end);
		bgp_timer(b->p, b->now);
	}
	assert_int_equal(b->downs, 1);
	assert_int_equal(b->down.cause, BGP_CAUSE_HOLD);
	assert_int_equal(counters(b)->hold_grants, grants);
	bench_free(b);
}

/* A peer that takes our connection and closes it once it has our OPEN is dialled again, but not in a loop. */
static void
a_close_in_open_confirm_backs_off(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();
	int64_t want = 0;

	(void)state;
	begin(b);
	for (unsigned int i = 1; i < 10; i++) {
		int64_t us;

		connected(b);
		in_open(b, &o);
		assert_string_equal(out(b, b->c), "K");
		assert_int_equal(state_of(b), BGP_OPEN_CONFIRM);
		bgp_closed(b->c, "closed by the peer", b->now);
		assert_int_equal(b->connects, i); /* not at once */
		assert_int_equal(state_of(b), BGP_ACTIVE);
		us = bgp_deadline(b->p).us - b->now.us;
		assert_in_range(us, MS(20), SECONDS(1));
		if (want)
			assert_int_equal(us, MIN_OF(2 * want, SECONDS(1)));
		want = us;
		timer_at(b, us);
		assert_int_equal(b->connects, i + 1);
	}
	bench_free(b);
}

/* What is no answer is dialled again: 0.2 s doubling up to retry_us; a far peer gets its five seconds. */
static void
attempts_back_off(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();
	int64_t first;

	(void)state;
	begin(b);
	first = bgp_deadline(b->p).us - b->now.us;
	assert_true(first > 0 && first < SECONDS(1));
	for (int64_t want = 0, i = 0; i < 8; i++) { /* refused at once: waits in Active */
		int64_t us;

		bgp_connect_failed(b->dialled, "no", b->now);
		assert_int_equal(state_of(b), BGP_ACTIVE);
		us = bgp_deadline(b->p).us - b->now.us;
		if (want)
			assert_int_equal(us, MIN_OF(2 * want, SECONDS(1)));
		want = us;
		timer_at(b, us);
		assert_int_equal(state_of(b), BGP_CONNECT);
		assert_int_equal(counters(b)->dials, (uint64_t)i + 2);
		assert_int_equal(counters(b)->dial_failures, (uint64_t)i + 1);
	}
	timer_at(b, SECONDS(1)); /* nobody answers */
	assert_int_equal(counters(b)->dial_failures, 9);
	assert_string_equal(why(b), "cannot connect: no answer");
	assert_int_equal(b->events[BGP_EVENT_TCP], 1); /* one a minute */
	connected(b);
	assert_int_equal(state_of(b), BGP_OPEN_SENT);
	timer_at(b, SECONDS(240));
	bench_free(b);
	b = bench_new();
	begin(b);
	for (int i = 0; i < 5; i++) {
		bgp_connect_failed(b->dialled, "no", b->now);
		timer_at(b, bgp_deadline(b->p).us - b->now.us);
	}
	connected(b);
	in_open(b, &o);
	assert_string_equal(out(b, b->c), "K");
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	for (int i = 0; i < 60; i++) { /* it lasts, and then: as if nothing had failed before */
		timer_at(b, bgp_deadline(b->p).us - b->now.us);
		in_keepalive(b);
		(void)out(b, b->c);
	}
	bgp_closed(b->c, "reset", b->now);
	assert_int_equal(state_of(b), BGP_CONNECT);
	bgp_connect_failed(b->dialled, "no", b->now);
	assert_int_equal(bgp_deadline(b->p).us - b->now.us, MS(40));
	bench_free(b);
	b = bench_new();
	b->cfg.link_local_ok = false;
	begin(b);
	assert_int_equal(bgp_deadline(b->p).us - b->now.us, SECONDS(5));
	bench_free(b);
}

/* On one link an attempt that nobody answers ends soon, but each fourth waits for a slow one; refusals never wait so. */
static void
each_fourth_attempt_on_a_link_is_patient(void **state)
{
	static const int64_t silent[] = { 200, 200, 200, 3000, 200, 320, 640, 3000, 1000, 1000, 1000, 3000 };
	static const int64_t refused[] = { 20, 40, 80, 160, 320, 640, 1000, 1000 };
	struct bench *b = bench_new();

	(void)state;
	begin(b);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		assert_int_equal(state_of(b), BGP_CONNECT);
		timer_at(b, MS(silent[i]));
	}
	bench_free(b);
	b = bench_new();
	begin(b);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		bgp_connect_failed(b->dialled, "no", b->now);
		assert_int_equal(state_of(b), BGP_ACTIVE);
		timer_at(b, MS(refused[i]));
	}
	bench_free(b);
	b = bench_new();
	b->cfg.link_local_ok = false; /* far away: each has its five seconds */
	begin(b);
	for (int i = 0; i < 9; i++)
		timer_at(b, SECONDS(5));
	bench_free(b);
}

/* Errors in a row double the idle hold time up to its limit; a session that lasted forgets them. */
static void
errors_in_a_row_double_the_idle_hold_time(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->cfg.idle_hold_us = SECONDS(2);
	b->cfg.idle_hold_max_us = SECONDS(15);
	begin(b);
	for (int i = 0; i < 30; i++) {
		connected(b);
		in_junk(b);
		assert_int_equal(state_of(b), BGP_IDLE);
		timer_at(b, MIN_OF(SECONDS(2) << MIN_OF(i, 10), SECONDS(15)));
		assert_int_equal(state_of(b), BGP_CONNECT);
	}
	bgp_peer_link_down(b->p, "cut", b->now); /* another link, another chance */
	bgp_peer_link_up(b->p, b->now);
	connected(b);
	in_junk(b);
	timer_at(b, SECONDS(2));
	bench_free(b);
}

/* While it is held back the peer's own attempts are refused when the error was the peer's, and welcome otherwise. */
static void
who_made_an_error_is_refused_for_a_while(void **state)
{
	static const struct {
		enum what what;
		const char *refused; /* NULL: welcome */
	} cases[] = {
		{ W_JUNK, "held back" },
		{ W_RESET, "held back" },
		{ W_BFD, NULL },
		{ W_NOTICE, NULL },
		{ W_CLOSED, NULL },
		{ W_STOP, "stopped" },
		{ W_LINK_DOWN, "link is down" },
		{ W_KEEPALIVE, "is up on another" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_up();
		const char *no = NULL;
		struct bgp_conn *c;

		happen(b, cases[i].what);
		c = bgp_accept(b->p, b->now, &no);
		if (!c != !!cases[i].refused || (no && !strstr(no, cases[i].refused ? cases[i].refused : "-")))
			fail_msg("case %zu: %s", i, no ? no : "accepted");
		assert_int_equal(counters(b)->refused_accepts, !c);
		assert_int_equal(counters(b)->accepts, !!c);
		if (c)
			assert_string_equal(out(b, c), "O");
		bench_free(b);
	}
}

static void
stay_up(struct bench *b, struct mono until)
{
	while (mono_sub(until, b->now) > SECONDS(5)) {
		b->now = mono_add(b->now, SECONDS(5));
		bgp_timer(b->p, b->now);
		in_keepalive(b);
	}
	b->now = until;
	bgp_timer(b->p, b->now);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
}

/* A session has lasted when it was up for 30 seconds, to the microsecond: what was before is forgotten then. */
static void
a_session_has_lasted_after_30_seconds(void **state)
{
	static const struct {
		int64_t lasts;
		bool error; /* in what ends it; else the connection is merely gone */
		int64_t hold;
	} cases[] = {
		{ SECONDS(30), true, SECONDS(2) },
		{ SECONDS(30) - 1, true, SECONDS(4) },
		{ SECONDS(30), false, 0 },
		{ SECONDS(30) - 1, false, SECONDS(4) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.idle_hold_us = SECONDS(2);
		bring(b, BGP_ESTABLISHED);
		in_junk(b);
		timer_at(b, SECONDS(2));
		connected(b);
		in_open(b, &o);
		in_keepalive(b);
		stay_up(b, mono_add(b->now, cases[i].lasts));
		happen(b, cases[i].error ? W_JUNK : W_CLOSED);
		assert_int_equal(state_of(b), cases[i].hold ? BGP_IDLE : BGP_CONNECT);
		if (cases[i].hold)
			timer_at(b, cases[i].hold);
		assert_int_equal(state_of(b), BGP_CONNECT);
		bench_free(b);
	}
}

/* The first session of all, without an error before it: one that was too short is held back, and no other. */
static void
a_first_session_that_was_too_short(void **state)
{
	(void)state;
	for (int64_t less = 0; less < 2; less++) {
		struct bench *b = bench_up();

		stay_up(b, mono_add(b->now, SECONDS(30) - less));
		happen(b, W_CLOSED);
		assert_int_equal(state_of(b), less ? BGP_IDLE : BGP_CONNECT);
		bench_free(b);
	}
}

/* An owner that asks for a reset at each change of state is obeyed a few times, and not for ever. */
static void
resets_that_are_asked_for_from_within_end(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	begin(b);
	b->resets = true;
	bgp_peer_reset(b->p, BGP_CEASE_RESET, "at once", 0, b->now);
	assert_int_equal(counters(b)->dials, 1 + 4);
	b->resets = false;
	bgp_timer(b->p, b->now); /* what was asked for last is done now */
	assert_int_equal(state_of(b), BGP_CONNECT);
	assert_int_equal(counters(b)->dials, 1 + 4 + 1);
	bench_free(b);
}

/* ---- what comes is counted, and answered at its pace ---- */

static void
messages_and_bytes_are_counted(void **state)
{
	struct bench *b = bench_up();

	(void)state;
	assert_int_equal(counters(b)->in[BGP_OPEN], 1);
	assert_int_equal(counters(b)->in[BGP_KEEPALIVE], 1);
	assert_int_equal(counters(b)->out[BGP_OPEN], 1);
	assert_int_equal(counters(b)->established, 1);
	for (int i = 0; i < 5; i++)
		in_update(b);
	assert_int_equal(counters(b)->in[BGP_UPDATE], 5);
	assert_int_equal(b->updates, 5);
	assert_int_equal(counters(b)->fates[BGP_FATE_OK], 5);
	assert_int_equal(bgp_peer_facts(b->p)->end_of_rib_in, 1 << FAMILY_IPV4);
	in_junk(b);
	assert_int_equal(counters(b)->in[0], 1);
	bench_free(b);
}

/* RFC 2918 4: who may ask is told by what we have offered, and not by what the one who asks can take himself. */
static void
who_takes_no_requests_may_ask(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();

	(void)state;
	o.caps &= ~(uint32_t)(BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH);
	begin(b);
	connected(b);
	in_open(b, &o);
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST);
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 1);
	in_refresh(b, FAMILY_IPV6, BGP_REFRESH_BEGIN); /* without RFC 7313 the subtype is reserved, and ignored */
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 2);
	assert_int_equal(b->refreshes[BGP_REFRESH_BEGIN], 0);
	bench_free(b);
	b = bench_new(); /* the other way round: we have said that we take none */
	b->cfg.caps = BGP_CAP_MP | BGP_CAP_AS4;
	o.caps |= BGP_CAP_REFRESH;
	begin(b);
	connected(b);
	in_open(b, &o);
	in_keepalive(b);
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST);
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 0);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	bench_free(b);
}

/* A request is answered once in refresh_us, the last is never lost; BEGIN and END are handed on each time. */
static void
requests_for_a_refresh_are_answered_at_their_pace(void **state)
{
	struct bench *b = bench_up();

	(void)state;
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST);
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 1);
	for (int i = 0; i < 3; i++)
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST);
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 1);
	assert_int_equal(counters(b)->refresh_coalesced, 3);
	in_refresh(b, FAMILY_IPV6, BGP_REFRESH_REQUEST); /* of the other family: at once */
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 2);
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_BEGIN);
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_END);
	assert_int_equal(b->refreshes[BGP_REFRESH_BEGIN], 1);
	assert_int_equal(b->refreshes[BGP_REFRESH_END], 1);
	for (int i = 0; i < 3; i++) {
		timer_at(b, SECONDS(3));
		in_keepalive(b);
	}
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 2);
	timer_at(b, SECONDS(1));
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 3);
	in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST); /* the next ten seconds begin with the answer */
	assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], 3);
	bench_free(b);
}

/* RFC 7313 4: who restarts gracefully begins no refresh before End-of-RIB; an end without its beginning is none. */
static void
a_refresh_before_end_of_rib_is_ignored(void **state)
{
	(void)state;
	for (uint32_t gr = 0; gr <= BGP_CAP_GRACEFUL_RESTART; gr += BGP_CAP_GRACEFUL_RESTART) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();
		unsigned int early = gr ? 0 : 1;

		b->cfg.caps = BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH | gr;
		b->cfg.restart_s = 30;
		o.caps |= gr;
		begin(b);
		connected(b);
		in_open(b, &o);
		in_keepalive(b);
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_END);
		assert_int_equal(b->refreshes[BGP_REFRESH_END], 0);
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_BEGIN);
		assert_int_equal(b->refreshes[BGP_REFRESH_BEGIN], early);
		in_update(b);
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_END);
		assert_int_equal(b->refreshes[BGP_REFRESH_END], early);
		for (unsigned int i = 0; i < 2; i++) { /* End-of-RIB of the other family has not come */
			in_refresh(b, (enum family)i, BGP_REFRESH_BEGIN);
			in_refresh(b, (enum family)i, BGP_REFRESH_END);
			in_refresh(b, (enum family)i, BGP_REFRESH_END);
		}
		assert_int_equal(b->refreshes[BGP_REFRESH_BEGIN], early + 1 + early);
		assert_int_equal(b->refreshes[BGP_REFRESH_END], early + 1 + early);
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_BEGIN);
		in_junk(b); /* what a session has begun ends with it */
		timer_at(b, SECONDS(1));
		connected(b);
		in_open(b, &o);
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_END);
		assert_int_equal(b->refreshes[BGP_REFRESH_END], early + 1 + early);
		bench_free(b);
	}
}

/* An OPEN that a capability is missing of: what it may not do then is not done. */
static void
a_refresh_that_was_not_agreed_upon_is_ignored(void **state)
{
	static const struct {
		uint32_t caps;
		unsigned int request, begin;
		enum family family;
	} cases[] = {
		{ BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH, 1, 1, FAMILY_IPV6 },
		{ BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH, 1, 0, FAMILY_IPV6 },
		{ BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_ENHANCED_REFRESH, 1, 1, FAMILY_IPV6 },
		{ BGP_CAP_MP_IPV4 | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH, 0, 0, FAMILY_IPV6 },
		{ BGP_CAP_MP_IPV4 | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH, 1, 1, FAMILY_IPV4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		o.caps = cases[i].caps;
		begin(b);
		connected(b);
		in_open(b, &o);
		in_keepalive(b);
		in_refresh(b, cases[i].family, BGP_REFRESH_REQUEST);
		in_refresh(b, cases[i].family, BGP_REFRESH_BEGIN);
		assert_int_equal(b->refreshes[BGP_REFRESH_REQUEST], cases[i].request);
		assert_int_equal(b->refreshes[BGP_REFRESH_BEGIN], cases[i].begin);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		bench_free(b);
	}
}

/* So many messages, or octets, and then others have their turn; but always one, and never a part of one. */
static void
input_is_taken_in_slices(void **state)
{
	static const struct {
		unsigned int messages;
		size_t bytes;
		unsigned int takes; /* of six messages of 23 octets */
	} cases[] = { { 3, 0, 3 }, { 1, 0, 1 }, { 6, 0, 6 }, { 7, 0, 6 }, { 64, 1, 1 }, { 64, 23, 1 }, { 64, 24, 2 },
		{ 64, 46, 2 }, { 64, 47, 3 }, { 2, 1000, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		uint8_t buf[6 * 23];
		size_t used;

		b->cfg.input_messages = cases[i].messages;
		b->cfg.input_bytes = cases[i].bytes;
		bring(b, BGP_ESTABLISHED);
		for (unsigned int k = 0; k < 6; k++) {
			uint8_t *m = buf + 23 * k;

			memset(m, 0, 23);
			memset(m, 0xff, 16);
			m[17] = 23;
			m[18] = BGP_UPDATE;
		}
		used = bgp_input(b->c, buf, sizeof(buf), b->now);
		assert_int_equal(used, 23 * cases[i].takes);
		assert_int_equal(b->updates, cases[i].takes);
		assert_int_equal(bgp_input_pending(b->c), cases[i].takes < 6);
		if (used < sizeof(buf)) /* no message yet */
			assert_int_equal(bgp_input(b->c, buf + used, 22, b->now), 0);
		assert_false(bgp_input_pending(b->c));
		bench_free(b);
	}
}

/* An UPDATE of `withdrawn` and `announced` prefixes, all /24, numbered in this order. Returns its length. */
static size_t
long_update(uint8_t *m, unsigned int withdrawn, unsigned int announced)
{
	static const uint8_t attrs[] = { 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, AS >> 24, AS >> 16 & 255, AS >> 8 & 255,
		AS & 255, 0x40, 3, 4, 192, 0, 2, 2 };
	size_t at = 19, nattrs = announced ? sizeof(attrs) : 0;

	memset(m, 0xff, 16);
	m[18] = BGP_UPDATE;
	m[at++] = (uint8_t)(withdrawn * 4 >> 8);
	m[at++] = (uint8_t)(withdrawn * 4);
	for (unsigned int i = 0; i < withdrawn + announced; i++) {
		if (i == withdrawn) {
			m[at++] = 0;
			m[at++] = (uint8_t)nattrs;
			memcpy(m + at, attrs, nattrs);
			at += nattrs;
		}
		m[at++] = 24;
		m[at++] = (uint8_t)(i >> 16);
		m[at++] = (uint8_t)(i >> 8);
		m[at++] = (uint8_t)i;
	}
	if (!announced) {
		m[at++] = 0;
		m[at++] = 0;
	}
	m[16] = (uint8_t)(at >> 8);
	m[17] = (uint8_t)at;
	return at;
}

/* RFC 8654: what is longer than 4,096 octets may be long work, and is taken by itself; nothing shorter is. */
static void
long_messages_are_taken_alone(void **state)
{
	(void)state;
	for (unsigned int octets = 4095; octets < 4099; octets++) {
		struct bench *b = bench_new();
		uint8_t *m = calloc(1, 19 + 4098);
		struct bgp_open o = his_open();
		uint8_t *u = m + 19;
		bool longer = octets > 4096;

		o.caps |= BGP_CAP_EXTENDED_MESSAGE;
		begin(b);
		connected(b);
		in_open(b, &o);
		out(b, b->c);
		in_keepalive(b);
		memset(m, 0xff, 19);
		m[16] = 0;
		m[17] = 19;
		m[18] = BGP_KEEPALIVE;
		memset(u, 0xff, 16);
		put_u16(u + 16, (uint16_t)octets);
		u[18] = BGP_UPDATE;
		put_u16(u + 19, (uint16_t)(octets - 23)); /* some times 0/0, and then 0/24 again and again */
		for (unsigned int at = 21 + (octets - 23) % 4; at < octets - 2; at += 4)
			u[at] = 24;
		assert_int_equal(bgp_input(b->c, m, 19 + octets, b->now), longer ? 19 : 19 + octets);
		assert_int_equal(bgp_input_pending(b->c), longer);
		assert_int_equal(b->updates, !longer);
		bench_free(b);
		free(m);
	}
}

/* RFC 8654: 16,000 prefixes in one message hold nobody up. Each is told once and in order; the message counts as one. */
static void
long_update_is_told_in_pieces(void **state)
{
	enum { PIECE = 2048 };
	static const struct {
		unsigned int withdrawn, announced, calls;
	} cases[] = { { 16370, 0, 8 }, { 0, 16370, 8 }, { 8000, 8000, 8 }, { PIECE, 0, 1 }, { PIECE + 1, 0, 2 },
		{ 0, 2 * PIECE, 2 }, { PIECE, 1, 2 }, { 1, PIECE, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		uint8_t *m = calloc(1, 65535 + 19);
		unsigned int calls = 1, all = cases[i].withdrawn + cases[i].announced;
		struct bgp_open o = his_open();
		size_t len;

		o.caps |= BGP_CAP_EXTENDED_MESSAGE;
		begin(b);
		connected(b);
		in_open(b, &o);
		out(b, b->c);
		in_keepalive(b);
		len = long_update(m, cases[i].withdrawn, cases[i].announced);
		assert_true(len <= 65535);
		while (bgp_input(b->c, m, len, b->now) == 0) {
			assert_true(bgp_input_pending(b->c));
			assert_int_equal(b->named, calls++ * PIECE);
		}
		assert_false(bgp_input_pending(b->c));
		assert_int_equal(calls, cases[i].calls);
		assert_int_equal(b->updates, calls);
		assert_int_equal(b->named, all);
		assert_true(b->in_order && b->most <= PIECE);
		assert_int_equal(bgp_peer_counters(b->p)->in[BGP_UPDATE], 1);
		assert_int_equal(bgp_peer_counters(b->p)->withdrawn_in[FAMILY_IPV4], cases[i].withdrawn);
		assert_int_equal(bgp_peer_counters(b->p)->prefixes_in[FAMILY_IPV4], cases[i].announced);
		/* what ends in the middle of a message begins anew with the next connection */
		b->named = 0;
		if (calls > 1) {
			assert_int_equal(bgp_input(b->c, m, len, b->now), 0);
			bgp_closed(b->c, "gone", b->now);
			assert_int_equal(state_of(b), BGP_IDLE);
		}
		free(m);
		bench_free(b);
	}
}

/* Events of a kind come once a minute, and say how many were held back. */
static void
events_of_a_kind_come_once_a_minute(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		struct bench *b = bench_new();
		struct mono first;

		b->cfg.retry_us = MS(100);
		begin(b);
		bgp_connect_failed(b->dialled, "no", b->now);
		first = b->now;
		assert_int_equal(b->events[BGP_EVENT_TCP], 1);
		assert_int_equal(b->suppressed, 0);
		for (int i = 0; i < 4; i++) {
			b->now = bgp_deadline(b->p);
			bgp_timer(b->p, b->now);
			bgp_connect_failed(b->dialled, "no", b->now);
		}
		b->now = mono_add(first, SECONDS(60) - !over);
		bgp_timer(b->p, b->now);
		bgp_connect_failed(b->dialled, "no", b->now);
		assert_int_equal(b->events[BGP_EVENT_TCP], 1 + over);
		assert_int_equal(b->suppressed, over ? 4 : 0);
		for (int i = 0; over && i < 2; i++) { /* the next minute begins with it */
			b->now = mono_add(b->now, i ? SECONDS(57) : SECONDS(2));
			bgp_timer(b->p, b->now);
			bgp_connect_failed(b->dialled, "no", b->now);
			assert_int_equal(b->events[BGP_EVENT_TCP], 2);
		}
		if (over) {
			b->now = mono_add(b->now, SECONDS(1));
			bgp_timer(b->p, b->now);
			bgp_connect_failed(b->dialled, "no", b->now);
			assert_int_equal(b->events[BGP_EVENT_TCP], 3);
			assert_int_equal(b->suppressed, 2);
		}
		bench_free(b);
	}
}

/* ---- two connections at once (RFC 4271 6.8) ---- */

/*
 * We have dialled and sent OPEN when the peer's connection comes. With the peer's identifier from the file, or from an
 * OPEN, the connection of the greater identifier stays; of equal ones, that of the greater AS (RFC 6286).
 */
static void
of_two_connections_that_of_the_greater_identifier_stays(void **state)
{
	static const struct {
		uint32_t id, as;
		bool ours;
	} cases[] = {
		{ 0x0a000002, AS, false },
		{ 0x0a000000, AS, true },
		{ 0x0a000001, 65000, true },
		{ 0x0a000001, 65002, false },
		{ 0xffffffff, AS, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.peer_id = o.id = cases[i].id;
		b->cfg.peer_as = o.asn = cases[i].as;
		begin(b);
		connected(b);
		b->accepted = bgp_accept(b->p, b->now, NULL);
		assert_int_equal(!b->accepted, cases[i].ours);
		assert_int_equal(!b->dialled, !cases[i].ours);
		assert_int_equal(counters(b)->collisions, 1);
		assert_int_equal(b->events[BGP_EVENT_COLLISION], 1);
		expect_notice(b, BGP_ERR_CEASE, BGP_CEASE_COLLISION);
		if (!cases[i].ours) {
			b->c = b->accepted;
			assert_string_equal(out(b, b->c), "O");
		}
		in_open(b, &o);
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		assert_int_equal(bgp_peer_facts(b->p)->side, cases[i].ours ? BGP_DIALLED : BGP_ACCEPTED);
		assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_NONE);
		bench_free(b);
	}
}

/* The peer's connection that gets further than our attempt takes its place; the attempt is given up in silence. */
static void
an_attempt_that_nobody_needs_any_more_is_given_up(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();

	(void)state;
	b->cfg.peer_id = o.id = 0x09000000; /* ours would stay */
	begin(b);
	b->accepted = bgp_accept(b->p, b->now, NULL);
	assert_non_null(b->accepted);
	assert_non_null(b->dialled);
	b->c = b->accepted;
	assert_string_equal(out(b, b->c), "O");
	in_open(b, &o);
	assert_int_equal(bgp_conn_state(b->accepted), BGP_OPEN_CONFIRM);
	assert_true(bgp_peer_facts(b->p)->side == BGP_ACCEPTED);
	assert_null(b->dialled);
	assert_int_equal(counters(b)->collisions, 0);
	assert_int_equal(b->closes, 1);
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	assert_true(bgp_peer_facts(b->p)->side == BGP_ACCEPTED);
	bench_free(b);
}

/* A peer that nobody described: the OPEN on the connection that will lose waits 0.3 s for one on the other. */
static void
an_open_on_the_losing_connection_waits_for_the_other(void **state)
{
	for (int also = 0; also < 2; also++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		(void)state;
		b->cfg.peer_id = 0;
		begin(b);
		connected(b);
		b->accepted = bgp_accept(b->p, b->now, NULL);
		assert_non_null(b->accepted);
		assert_string_equal(out(b, b->accepted), "O");
		assert_int_equal(counters(b)->collisions, 0);
		in_open(b, &o); /* on ours, though his identifier is the greater */
		assert_int_equal(bgp_conn_state(b->dialled), BGP_OPEN_SENT);
		if (also) {
			b->c = b->accepted;
			in_open(b, &o);
			assert_null(b->dialled);
			assert_int_equal(counters(b)->collisions, 1);
			assert_string_equal(out(b, b->c), "K");
		} else {
			timer_at(b, MS(300));
			assert_int_equal(bgp_conn_state(b->dialled), BGP_OPEN_CONFIRM);
			assert_string_equal(out(b, b->dialled), "K");
		}
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		bench_free(b);
	}
}

/* Two OPENs on a connection that waits for one on the other: the second is an error all the same. */
static void
an_open_on_the_losing_connection_twice(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();

	(void)state;
	b->cfg.peer_id = 0;
	begin(b);
	connected(b);
	b->accepted = bgp_accept(b->p, b->now, NULL);
	assert_non_null(b->accepted);
	in_open(b, &o);
	assert_int_equal(bgp_conn_state(b->dialled), BGP_OPEN_SENT);
	in_open(b, &o);
	assert_null(b->dialled);
	assert_memory_equal(b->last + b->nlast - 3, "\5\2\1", 3); /* the last octet is the type: RFC 6608 4 */
	bench_free(b);
}

/* A second connection of his says that he gave the first one up; not when that is about to come up. */
static void
a_second_connection_of_the_peer(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();
	const char *no = NULL;

	(void)state;
	b->cfg.passive = true;
	begin(b);
	b->c = bgp_accept(b->p, b->now, NULL);
	assert_string_equal(out(b, b->c), "O");
	b->c = bgp_accept(b->p, b->now, &no);
	assert_non_null(b->c);
	assert_null(no);
	assert_int_equal(b->closes, 1);
	assert_string_equal(out(b, b->c), "O");
	in_open(b, &o);
	assert_null(bgp_accept(b->p, b->now, &no));
	assert_non_null(strstr(no, "about to come up"));
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	assert_int_equal(b->connects, 0);
	bench_free(b);
}

/* The peer closes the lesser of two connections, by 6/7 or by another word: no answer to it, and no harm to the other. */
static void
the_peer_closes_the_lesser_connection(void **state)
{
	static const struct {
		uint8_t code, subcode;
		bool told;
	} cases[] = { { BGP_ERR_CEASE, BGP_CEASE_COLLISION, false }, { BGP_ERR_CEASE, BGP_CEASE_RESET, true },
		{ BGP_ERR_HOLD, BGP_CEASE_COLLISION, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.peer_id = 0; /* so that both connections go on until it is known who he is */
		begin(b);
		connected(b);
		b->accepted = bgp_accept(b->p, b->now, NULL);
		assert_string_equal(out(b, b->accepted), "O");
		in_open(b, &o); /* on ours, which waits for the other */
		timer_at(b, MS(300));
		assert_string_equal(out(b, b->dialled), "K");
		b->c = b->accepted;
		in_notice(b, cases[i].code, cases[i].subcode);
		assert_null(b->accepted);
		assert_int_equal(b->closes, 1);
		expect_notice(b, 0, 0);
		assert_int_equal(counters(b)->notices_in, 1);
		assert_int_equal(counters(b)->notices_out, 0);
		assert_int_equal(b->events[BGP_EVENT_ERROR], cases[i].told);
		assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_NONE);
		assert_int_equal(state_of(b), BGP_OPEN_CONFIRM);
		b->c = b->dialled;
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		happen(b, W_CLOSED); /* nothing of it counts against the session */
		timer_at(b, SECONDS(1));
		bench_free(b);
	}
}

/* An error on one of two connections that got equally far: it is told, and the other one goes on undisturbed. */
static void
an_error_on_one_of_two_connections(void **state)
{
	(void)state;
	for (int ours = 0; ours < 2; ours++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.peer_id = 0;
		begin(b);
		connected(b);
		b->accepted = bgp_accept(b->p, b->now, NULL);
		assert_string_equal(out(b, b->accepted), "O");
		b->c = ours ? b->dialled : b->accepted;
		in_junk(b);
		assert_true((ours ? b->dialled : b->accepted) == NULL);
		expect_notice(b, BGP_ERR_HEADER, 1);
		assert_non_null(strstr(why(b), "malformed"));
		assert_int_equal(bgp_peer_reason(b->p)->code, BGP_ERR_HEADER);
		assert_true(bgp_peer_reason(b->p)->sent);
		assert_int_equal(state_of(b), BGP_OPEN_SENT);
		b->c = ours ? b->accepted : b->dialled;
		in_open(b, &o);
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		bench_free(b);
	}
}

/* ---- who is polite ---- */

static void
the_lower_identifier_waits_for_the_other(void **state)
{
	static const struct {
		uint32_t id, as;
		int64_t polite_us;
		int64_t wait; /* 0: dials at once */
	} cases[] = {
		{ 0x0a000002, AS, 0, MS(150) },
		{ 0x0a000002, AS, MS(20), MS(20) },
		{ 0x0a000002, AS, -1, 0 },
		{ 0x0a000000, AS, 0, 0 },
		{ 0x0a000001, 65002, 0, MS(150) },
		{ 0x0a000001, 65000, 0, 0 },
		{ 0x0a000001, 65001, 0, 0 },
		{ 0, AS, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();

		b->cfg.peer_id = cases[i].id;
		b->cfg.peer_as = cases[i].as;
		b->cfg.polite_us = cases[i].polite_us;
		begin(b);
		assert_int_equal(state_of(b), cases[i].wait ? BGP_ACTIVE : BGP_CONNECT);
		if (cases[i].wait) {
			assert_int_equal(b->connects, 0);
			timer_at(b, cases[i].wait);
		}
		assert_int_equal(b->connects, 1);
		bench_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keepalives_and_hold_time_to_the_microsecond),
		cmocka_unit_test(each_message_arms_the_hold_timer),
		cmocka_unit_test(a_late_hold_timer_grants_a_third_once),
		cmocka_unit_test(the_hold_time_after_a_thaw),
		cmocka_unit_test(unread_is_not_silent),
		cmocka_unit_test(attempts_back_off),
		cmocka_unit_test(a_close_in_open_confirm_backs_off),
		cmocka_unit_test(each_fourth_attempt_on_a_link_is_patient),
		cmocka_unit_test(errors_in_a_row_double_the_idle_hold_time),
		cmocka_unit_test(a_session_has_lasted_after_30_seconds),
		cmocka_unit_test(a_first_session_that_was_too_short),
		cmocka_unit_test(resets_that_are_asked_for_from_within_end),
		cmocka_unit_test(who_made_an_error_is_refused_for_a_while),
		cmocka_unit_test(messages_and_bytes_are_counted),
		cmocka_unit_test(requests_for_a_refresh_are_answered_at_their_pace),
		cmocka_unit_test(who_takes_no_requests_may_ask),
		cmocka_unit_test(a_refresh_before_end_of_rib_is_ignored),
		cmocka_unit_test(a_refresh_that_was_not_agreed_upon_is_ignored),
		cmocka_unit_test(input_is_taken_in_slices),
		cmocka_unit_test(long_messages_are_taken_alone),
		cmocka_unit_test(long_update_is_told_in_pieces),
		cmocka_unit_test(events_of_a_kind_come_once_a_minute),
		cmocka_unit_test(of_two_connections_that_of_the_greater_identifier_stays),
		cmocka_unit_test(an_attempt_that_nobody_needs_any_more_is_given_up),
		cmocka_unit_test(an_open_on_the_losing_connection_waits_for_the_other),
		cmocka_unit_test(an_open_on_the_losing_connection_twice),
		cmocka_unit_test(a_second_connection_of_the_peer),
		cmocka_unit_test(the_peer_closes_the_lesser_connection),
		cmocka_unit_test(an_error_on_one_of_two_connections),
		cmocka_unit_test(the_lower_identifier_waits_for_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
