/*
 * tests/unit/bgp/peer_test.c -- one BGP engine, whose owner and whose peer the test plays: deadlines, counters, answers
 *
 * Randomness is a number that the test chooses, so that each timer can be told to the microsecond (RFC 4271 10: 75 to
 * 100 %; with 0 there is no jitter). What goes out is read back as a word, a letter a message: O, U, N, K, R.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/bgp/session.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

#define HOLD 9
#define ID   0x0a000002
#define AS   65002

struct bench {
	struct mem mem;
	struct bgp_scratch scratch;
	struct bgp_config cfg;
	struct bgp_peer *p;
	struct bgp_conn *dialled, *accepted, *c; /* c: the one that spoke last */
	struct mono now;
	uint32_t random;
	unsigned int connects, closes, ups, downs, updates, refreshes[3], identities, events[BGP_EVENT_KINDS];
	uint64_t suppressed;
	struct bgp_reason down;
	uint8_t last[512]; /* of close() */
	size_t nlast;
	char states[200]; /* the first letters of the states that were told: I C A S F E */
	char text[600];
};

static void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct bench *b = arg;

	b->connects++;
	b->dialled = c;
	bgp_conn_set_io(c, b);
}

static void
op_close(struct bgp_conn *c, const uint8_t *last, size_t n, void *arg)
{
	struct bench *b = arg;

	assert_true(n <= sizeof(b->last));
	b->closes++;
	b->nlast = n;
	if (n)
		memcpy(b->last, last, n);
	if (c == b->dialled)
		b->dialled = NULL;
	if (c == b->accepted)
		b->accepted = NULL;
}

static void
op_ready(struct bgp_conn *c UNUSED, void *arg UNUSED)
{
}

static void
op_established(struct bgp_peer *p UNUSED, void *arg)
{
	((struct bench *)arg)->ups++;
}

static void
op_down(struct bgp_peer *p UNUSED, const struct bgp_reason *r, void *arg)
{
	struct bench *b = arg;

	b->downs++;
	b->down = *r;
}

static void
op_update(struct bgp_peer *p UNUSED, const struct bgp_update *u UNUSED, void *arg)
{
	((struct bench *)arg)->updates++;
}

static void
op_refresh(struct bgp_peer *p UNUSED, enum family f UNUSED, enum bgp_refresh what, void *arg)
{
	((struct bench *)arg)->refreshes[what]++;
}

static void
op_state(struct bgp_peer *p UNUSED, enum bgp_state was UNUSED, enum bgp_state is, const char *why UNUSED, void *arg)
{
	struct bench *b = arg;
	size_t n = strlen(b->states);

	b->states[n] = "ICASFE"[is];
	b->states[n + 1] = 0;
}

static void
op_identity(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg)
{
	struct bench *b = arg;

	b->identities++;
	snprintf(b->text, sizeof(b->text), "%s", text);
}

static void
op_event(struct bgp_peer *p UNUSED, enum bgp_event_kind kind, const char *text, uint64_t suppressed, void *arg)
{
	struct bench *b = arg;

	b->events[kind]++;
	b->suppressed = suppressed;
	snprintf(b->text, sizeof(b->text), "%s", text);
}

static uint32_t
op_random(void *arg)
{
	return ((struct bench *)arg)->random;
}

static uint8_t
op_keep(struct bgp_peer *p UNUSED, const struct bgp_reason *r UNUSED, uint8_t families UNUSED, void *arg UNUSED)
{
	return 0;
}

static void
op_stale_end(struct bgp_peer *p UNUSED, uint8_t families UNUSED, enum bgp_stale_end why UNUSED, const char *text UNUSED,
    void *arg UNUSED)
{
}

static const struct bgp_ops ops = { .connect = op_connect,
	.close = op_close,
	.output_ready = op_ready,
	.established = op_established,
	.down = op_down,
	.keep = op_keep,
	.stale_end = op_stale_end,
	.update = op_update,
	.refresh = op_refresh,
	.state_changed = op_state,
	.identity = op_identity,
	.event = op_event,
	.random = op_random };

static struct bench *
bench_new(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->now.us = SECONDS(500);
	b->cfg = (struct bgp_config){ .name = "p1",
		.local_as = 65001,
		.router_id = 0x0a000001,
		.peer_as = AS,
		.peer_id = ID,
		.polite_us = -1,
		.hold_s = HOLD,
		.link_local_ok = true };
	return b;
}

/* Made and started, and the link is up: it dials. */
static void
begin(struct bench *b)
{
	b->p = bgp_peer_new(&b->mem, &b->scratch, &b->cfg, &ops, b);
	bgp_peer_start(b->p, b->now);
	bgp_peer_link_up(b->p, b->now);
}

static void
bench_free(struct bench *b)
{
	bgp_peer_free(b->p);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(b->mem.by[k].bytes, 0);
	free(b);
}

static const char *
why(const struct bench *b)
{
	return bgp_peer_reason(b->p)->text;
}

static const struct bgp_counters *
counters(const struct bench *b)
{
	return bgp_peer_counters(b->p);
}

static enum bgp_state
state_of(const struct bench *b)
{
	return bgp_peer_state(b->p);
}

/* ---- bytes ---- */

/* What bytes hold, as a word. */
static const char *
word_of(const uint8_t *bytes, size_t n)
{
	static const char letters[] = "?OUNKR";
	static char word[3000];
	size_t at = 0, k = 0;

	while (at + 19 <= n) {
		size_t len = get_u16(bytes + at + 16);

		word[k++] = letters[bytes[at + 18]];
		at += len;
	}
	assert_int_equal(at, n);
	word[k] = 0;
	return word;
}

static const char *
out(struct bench *b, struct bgp_conn *c)
{
	static uint8_t buf[70000];
	size_t n = bgp_output(c, buf, sizeof(buf), b->now);

	bgp_wrote(c, n, b->now);
	return word_of(buf, n);
}

static void
in(struct bench *b, const uint8_t *bytes, size_t n)
{
	bgp_input(b->c, bytes, n, b->now);
}

static struct bgp_open
his_open(void)
{
	return (struct bgp_open){ .version = 4,
		.asn = AS,
		.hold_s = 90,
		.id = ID,
		.caps = BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH |
			BGP_CAP_IPV4_OVER_IPV6 };
}

static void
in_open(struct bench *b, const struct bgp_open *o)
{
	uint8_t buf[512];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_open_write(&w, o);
	in(b, buf, w.at - buf);
}

static void
in_keepalive(struct bench *b)
{
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_keepalive_write(&w);
	in(b, buf, w.at - buf);
}

static void
in_refresh(struct bench *b, enum family f, enum bgp_refresh what)
{
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_refresh_write(&w, f, what);
	in(b, buf, w.at - buf);
}

static void
in_notice(struct bench *b, uint8_t code, uint8_t subcode)
{
	struct bgp_notice n = bgp_notice_make(code, subcode, NULL, 0);
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_notice_write(&w, &n);
	in(b, buf, w.at - buf);
}

/* An UPDATE without anything in it: End-of-RIB of IPv4. */
static void
in_update(struct bench *b)
{
	uint8_t buf[23];

	memset(buf, 0xff, 16);
	put_u16(buf + 16, 23);
	buf[18] = BGP_UPDATE;
	memset(buf + 19, 0, 4);
	in(b, buf, sizeof(buf));
}

static void
in_junk(struct bench *b)
{
	uint8_t buf[19] = { 0 };

	buf[17] = 19;
	buf[18] = BGP_KEEPALIVE;
	in(b, buf, sizeof(buf));
}

/* The last bytes that close() was given: a NOTIFICATION with this code and subcode, or nothing (0, 0). */
static void
expect_notice(const struct bench *b, uint8_t code, uint8_t subcode)
{
	const uint8_t *last;

	if (!code) {
		assert_int_equal(b->nlast, 0);
		return;
	}
	assert_true(b->nlast >= 21);
	last = b->last;
	if (strlen(word_of(last, b->nlast)) == 2) /* an OPEN or a KEEPALIVE was not taken yet */
		last += get_u16(last + 16);
	assert_int_equal(last[18], BGP_NOTIFICATION);
	if (last[19] != code || last[20] != subcode)
		fail_msg("NOTIFICATION %u/%u, wanted %u/%u", last[19], last[20], code, subcode);
}

/* ---- the way to a state ---- */

static void
connected(struct bench *b)
{
	b->c = b->dialled;
	bgp_connected(b->c, b->now);
	assert_string_equal(out(b, b->c), "O");
}

static void
bring(struct bench *b, enum bgp_state state)
{
	struct bgp_open o = his_open();

	begin(b);
	assert_int_equal(state_of(b), BGP_CONNECT);
	if (state == BGP_ACTIVE)
		bgp_connect_failed(b->dialled, "no", b->now);
	if (state >= BGP_OPEN_SENT)
		connected(b);
	if (state >= BGP_OPEN_CONFIRM) {
		in_open(b, &o);
		assert_string_equal(out(b, b->c), "K");
	}
	if (state == BGP_ESTABLISHED)
		in_keepalive(b);
	assert_int_equal(state_of(b), state);
}

static struct bench *
bench_up(void)
{
	struct bench *b = bench_new();

	bring(b, BGP_ESTABLISHED);
	return b;
}

/* The next deadline is exactly this far away; the clock goes there and the timer is called. */
static void
timer_at(struct bench *b, int64_t us)
{
	if (bgp_deadline(b->p).us - b->now.us != us)
		fail_msg("the next deadline is in %lld us, wanted %lld", (long long)(bgp_deadline(b->p).us - b->now.us),
		    (long long)us);
	b->now = bgp_deadline(b->p);
	bgp_timer(b->p, b->now);
}

/* ---- events of each state, as seen from outside ---- */

enum what {
	W_STOP,
	W_LINK_DOWN,
	W_CLOSED,
	W_OPEN,
	W_KEEPALIVE,
	W_UPDATE,
	W_REFRESH,
	W_NOTICE,
	W_VERSION,
	W_JUNK,
	W_HOLD,
	W_REMOVE,
	W_BFD,
	W_RESET,
	WHATS
};

static const struct {
	enum bgp_state from;
	enum what what;
	const char *states; /* told; "": none. What comes at once after the end is not looked at. */
	uint8_t code, subcode;
	enum bgp_cause cause;
	bool held; /* idle hold before the next attempt */
	const char *text;
} ends[] = {
	{ BGP_CONNECT, W_STOP, "I", 0, 0, BGP_CAUSE_STOPPED, false, "stopped by the operator: why" },
	{ BGP_ACTIVE, W_STOP, "I", 0, 0, BGP_CAUSE_STOPPED, false, "stopped by the operator: why" },
	{ BGP_OPEN_SENT, W_STOP, "I", 6, 2, BGP_CAUSE_STOPPED, false, "stopped by the operator: why" },
	{ BGP_OPEN_CONFIRM, W_STOP, "I", 6, 2, BGP_CAUSE_STOPPED, false, "stopped by the operator: why" },
	{ BGP_ESTABLISHED, W_STOP, "I", 6, 2, BGP_CAUSE_STOPPED, false, "stopped by the operator: why" },
	{ BGP_CONNECT, W_LINK_DOWN, "I", 0, 0, BGP_CAUSE_LINK_DOWN, false, "cut" },
	{ BGP_ACTIVE, W_LINK_DOWN, "I", 0, 0, BGP_CAUSE_LINK_DOWN, false, "cut" },
	{ BGP_OPEN_SENT, W_LINK_DOWN, "I", 0, 0, BGP_CAUSE_LINK_DOWN, false, "cut" },
	{ BGP_ESTABLISHED, W_LINK_DOWN, "I", 0, 0, BGP_CAUSE_LINK_DOWN, false, "cut" },
	{ BGP_OPEN_SENT, W_CLOSED, "A", 0, 0, BGP_CAUSE_TCP, false, "connection lost in OpenSent: gone" },
	{ BGP_OPEN_CONFIRM, W_CLOSED, "IC", 0, 0, BGP_CAUSE_TCP, false, "connection lost in OpenConfirm: gone" },
	{ BGP_ESTABLISHED, W_CLOSED, "I", 0, 0, BGP_CAUSE_TCP, true, "connection lost in Established: gone" },
	{ BGP_OPEN_CONFIRM, W_OPEN, "I", 5, 2, BGP_CAUSE_BAD_MESSAGE, true, "unexpected OPEN in OpenConfirm" },
	{ BGP_ESTABLISHED, W_OPEN, "I", 5, 3, BGP_CAUSE_BAD_MESSAGE, true, "unexpected OPEN in Established" },
	{ BGP_OPEN_SENT, W_KEEPALIVE, "I", 5, 1, BGP_CAUSE_BAD_MESSAGE, true, "unexpected KEEPALIVE in OpenSent" },
	{ BGP_ESTABLISHED, W_KEEPALIVE, "", 0, 0, BGP_CAUSE_NONE, false, "Established" },
	{ BGP_OPEN_SENT, W_UPDATE, "I", 5, 1, BGP_CAUSE_BAD_MESSAGE, true, "unexpected UPDATE in OpenSent" },
	{ BGP_OPEN_CONFIRM, W_UPDATE, "I", 5, 2, BGP_CAUSE_BAD_MESSAGE, true, "unexpected UPDATE in OpenConfirm" },
	{ BGP_ESTABLISHED, W_UPDATE, "", 0, 0, BGP_CAUSE_NONE, false, "Established" },
	{ BGP_OPEN_SENT, W_REFRESH, "I", 5, 1, BGP_CAUSE_BAD_MESSAGE, true, "unexpected ROUTE-REFRESH in OpenSent" },
	{ BGP_OPEN_CONFIRM, W_REFRESH, "I", 5, 2, BGP_CAUSE_BAD_MESSAGE, true,
	    "unexpected ROUTE-REFRESH in OpenConfirm" },
	{ BGP_ESTABLISHED, W_REFRESH, "", 0, 0, BGP_CAUSE_NONE, false, "Established" },
	{ BGP_OPEN_SENT, W_NOTICE, "I", 0, 0, BGP_CAUSE_NOTICE, true, "the peer says: cease" },
	{ BGP_OPEN_CONFIRM, W_NOTICE, "I", 0, 0, BGP_CAUSE_NOTICE, true, "the peer says: cease" },
	{ BGP_ESTABLISHED, W_NOTICE, "I", 0, 0, BGP_CAUSE_NOTICE, true, "the peer says: cease" },
	{ BGP_OPEN_SENT, W_VERSION, "I", 0, 0, BGP_CAUSE_NOTICE, true, "the peer says: " },
	{ BGP_OPEN_SENT, W_JUNK, "I", 1, 1, BGP_CAUSE_BAD_MESSAGE, true, "malformed" },
	{ BGP_OPEN_CONFIRM, W_JUNK, "I", 1, 1, BGP_CAUSE_BAD_MESSAGE, true, "malformed" },
	{ BGP_ESTABLISHED, W_JUNK, "I", 1, 1, BGP_CAUSE_BAD_MESSAGE, true, "malformed" },
	{ BGP_OPEN_SENT, W_HOLD, "I", 4, 0, BGP_CAUSE_HOLD, true, "no OPEN for 240 s" },
	{ BGP_OPEN_CONFIRM, W_HOLD, "I", 4, 0, BGP_CAUSE_HOLD, true, "nothing heard for the hold time of 9 s" },
	{ BGP_ESTABLISHED, W_HOLD, "I", 4, 0, BGP_CAUSE_HOLD, true, "nothing heard for the hold time of 9 s" },
	{ BGP_ESTABLISHED, W_REMOVE, "I", 6, 3, BGP_CAUSE_STOPPED, false, "not in the topology file any more" },
	{ BGP_ESTABLISHED, W_BFD, "I", 6, 10, BGP_CAUSE_BFD, true, "BFD says that the path is down" },
	{ BGP_OPEN_CONFIRM, W_BFD, "", 0, 0, BGP_CAUSE_NONE, false, "link up" },
	{ BGP_ESTABLISHED, W_RESET, "I", 6, 4, BGP_CAUSE_RESET, true, "because" },
};

static void
happen(struct bench *b, enum what what)
{
	struct bgp_open o = his_open();

	switch (what) {
	case W_STOP:
		bgp_peer_stop(b->p, "why", b->now);
		return;
	case W_LINK_DOWN:
		bgp_peer_link_down(b->p, "cut", b->now);
		return;
	case W_CLOSED:
		bgp_closed(b->c, "gone", b->now);
		return;
	case W_OPEN:
		in_open(b, &o);
		return;
	case W_KEEPALIVE:
		in_keepalive(b);
		return;
	case W_UPDATE:
		in_update(b);
		return;
	case W_REFRESH:
		in_refresh(b, FAMILY_IPV4, BGP_REFRESH_REQUEST);
		return;
	case W_NOTICE:
		in_notice(b, BGP_ERR_CEASE, 4);
		return;
	case W_VERSION:
		in_notice(b, BGP_ERR_OPEN, 1);
		return;
	case W_JUNK:
		in_junk(b);
		return;
	case W_HOLD:
		for (int i = 0; i < 1000 && !strchr(b->states, 'I'); i++) {
			b->now = bgp_deadline(b->p);
			bgp_timer(b->p, b->now);
		}
		return;
	case W_REMOVE:
		bgp_peer_remove(b->p, b->now);
		return;
	case W_BFD:
		bgp_peer_bfd_down(b->p, false, b->now);
		return;
	default:
		bgp_peer_reset(b->p, BGP_CEASE_RESET, "because", SECONDS(2), b->now);
	}
}

static void
each_event_has_its_consequences_in_each_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		bool over = ends[i].states[0] == 'I', was_up = ends[i].from == BGP_ESTABLISHED;
		struct bench *b = bench_new();
		const struct bgp_reason *r;
		unsigned int closes;
		uint64_t notices;

		bring(b, ends[i].from);
		b->states[0] = 0;
		closes = b->closes;
		notices = counters(b)->notices_out;
		happen(b, ends[i].what);
		r = bgp_peer_reason(b->p);
		if (strcmp(b->states, ends[i].states) != 0 || r->cause != ends[i].cause ||
		    !strstr(r->text, ends[i].text))
			fail_msg("case %zu: states %s, cause %s: %s", i, b->states, bgp_cause_name(r->cause), r->text);
		assert_int_equal(b->downs, over && was_up);
		assert_int_equal(counters(b)->flaps, over && was_up);
		assert_int_equal(counters(b)->notices_out - notices, ends[i].code != 0);
		assert_int_equal(counters(b)->out[BGP_NOTIFICATION], ends[i].code != 0);
		if (ends[i].code) {
			expect_notice(b, ends[i].code, ends[i].subcode);
			assert_true(r->sent && r->code == ends[i].code && r->subcode == ends[i].subcode);
			assert_true(strlen(bgp_peer_notice_out(b->p)) > 0);
		}
		if (ends[i].what == W_NOTICE || ends[i].what == W_VERSION) {
			assert_true(r->received && !r->sent);
			assert_int_equal(counters(b)->notices_in, 1);
			assert_int_equal(b->nlast, 0);
		}
		assert_int_equal(b->closes - closes, ends[i].states[0] && ends[i].from != BGP_ACTIVE);
		if (over && was_up) {
			assert_int_equal(b->down.cause, ends[i].cause);
			assert_int_equal(bgp_peer_last_reset(b->p)->cause, ends[i].cause);
			assert_int_equal(bgp_peer_since(b->p).us, b->now.us);
		}
		if (ends[i].held)
			assert_int_equal(
			    bgp_deadline(b->p).us - b->now.us, ends[i].what == W_RESET ? SECONDS(2) : SECONDS(1));
		else if (over && !ends[i].states[1])
			assert_true(mono_is_never(bgp_deadline(b->p)));
		bench_free(b);
	}
}

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

/* What is no answer is dialled again: 0.2 s doubling up to retry_us; a far peer gets its five seconds. */
static void
attempts_back_off(void **state)
{
	struct bench *b = bench_new();
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
	b->cfg.link_local_ok = false;
	begin(b);
	assert_int_equal(bgp_deadline(b->p).us - b->now.us, SECONDS(5));
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
		{ BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_ENHANCED_REFRESH, 0, 1, FAMILY_IPV6 },
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

/* ---- identity ---- */

static void
who_speaks_is_held_against_who_is_expected(void **state)
{
	static const struct {
		uint32_t id, as, want_id, want_as;
		uint8_t subcode; /* of OPEN error; 0: welcome */
	} cases[] = {
		{ ID, AS, ID, AS, 0 },
		{ ID, AS, 0, AS, 0 },
		{ ID, AS, 0, 0, 0 },
		{ ID, 64999, ID, AS, 2 },
		{ ID, 64999, 0, AS, 2 },
		{ 77, AS, ID, AS, 3 },
		{ 77, AS, 0, AS, 0 },
		{ 0x0a000001, 65001, 0, 0, 3 },
		{ 0x0a000001, AS, 0, 0, 0 },
		{ ID, 65001, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		o.id = cases[i].id;
		o.asn = cases[i].as;
		b->cfg.peer_id = cases[i].want_id;
		b->cfg.peer_as = cases[i].want_as;
		begin(b);
		connected(b);
		in_open(b, &o);
		if ((state_of(b) == BGP_OPEN_CONFIRM) != !cases[i].subcode)
			fail_msg("case %zu: %s", i, why(b));
		assert_int_equal(counters(b)->identity_refusals, cases[i].subcode != 0);
		assert_int_equal(b->identities, cases[i].subcode != 0);
		if (cases[i].subcode) {
			expect_notice(b, BGP_ERR_OPEN, cases[i].subcode);
			assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_IDENTITY);
			assert_null(bgp_accept(b->p, b->now, NULL)); /* held back */
		} else {
			assert_int_equal(bgp_peer_facts(b->p)->internal, cases[i].as == 65001);
			assert_true(bgp_peer_facts(b->p)->valid);
		}
		bench_free(b);
	}
}

/* RFC 5492 5: what is missing is named. */
static void
families_that_are_missing_are_named(void **state)
{
	static const struct {
		uint32_t ours, his;
		uint8_t n, first_afi;
	} cases[] = {
		{ BGP_CAP_MP_IPV6, BGP_CAP_MP_IPV4, 6, 2 },
		{ BGP_CAP_MP_IPV4, BGP_CAP_MP_IPV6, 6, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.caps = cases[i].ours | BGP_CAP_AS4;
		o.caps = cases[i].his | BGP_CAP_AS4;
		begin(b);
		connected(b);
		in_open(b, &o);
		expect_notice(b, BGP_ERR_OPEN, 7);
		assert_int_equal(b->nlast, 21 + cases[i].n);
		assert_int_equal(b->last[21], 1);
		assert_int_equal(b->last[22], 4);
		assert_int_equal(b->last[24], cases[i].first_afi);
		assert_int_equal(b->last[26], 1);
		bench_free(b);
	}
}

/* ---- defaults ---- */

static void
what_is_not_configured_has_its_default(void **state)
{
	struct bench *b = bench_new();
	const struct bgp_config *c;

	(void)state;
	b->cfg = (struct bgp_config){ .local_as = 1, .router_id = 1 };
	b->p = bgp_peer_new(&b->mem, &b->scratch, &b->cfg, &ops, b);
	c = bgp_peer_config(b->p);
	assert_string_equal(bgp_peer_name(b->p), "peer");
	assert_int_equal(c->hold_s, 9);
	assert_int_equal(c->retry_us, SECONDS(1));
	assert_int_equal(c->polite_us, MS(150));
	assert_int_equal(c->idle_hold_us, SECONDS(1));
	assert_int_equal(c->idle_hold_max_us, SECONDS(60));
	assert_int_equal(c->large_hold_us, SECONDS(240));
	assert_int_equal(c->send_hold_us, SECONDS(480));
	assert_int_equal(c->refresh_us, SECONDS(10));
	assert_int_equal(c->input_messages, 64);
	assert_int_equal(c->input_bytes, 32768);
	assert_int_equal(c->caps, BGP_CAP_MP | BGP_CAP_REFRESH | BGP_CAP_IPV4_OVER_IPV6 | BGP_CAP_EXTENDED_MESSAGE |
				      BGP_CAP_AS4 | BGP_CAP_ENHANCED_REFRESH);
	assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_STOPPED);
	assert_string_equal(why(b), "not started");
	assert_true(mono_is_never(bgp_deadline(b->p)));
	bgp_peer_free(b->p);
	b->cfg.hold_s = 300;
	b->cfg.hostname = "me";
	b->p = bgp_peer_new(&b->mem, &b->scratch, &b->cfg, &ops, b);
	assert_int_equal(bgp_peer_config(b->p)->send_hold_us, SECONDS(600));
	assert_true(bgp_peer_config(b->p)->caps & BGP_CAP_HOSTNAME);
	bgp_peer_start(b->p, b->now); /* without a link */
	assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_LINK_DOWN);
	assert_int_equal(b->connects, 0);
	bgp_peer_link_up(b->p, b->now);
	assert_int_equal(b->connects, 1);
	assert_string_equal(why(b), "link up, not connected yet");
	bench_free(b);
}

/* RFC 4486 4: the NOTIFICATION of too many prefixes says of which family, and how many would have been welcome. */
static void
too_many_prefixes_are_told(void **state)
{
	static const uint8_t want[] = { 6, 1, 0, 2, 1, 0, 0, 4, 210 };
	struct bench *b = bench_up();

	(void)state;
	bgp_peer_max_prefixes(b->p, FAMILY_IPV6, 1234, SECONDS(30), b->now);
	assert_int_equal(b->nlast, 19 + sizeof(want));
	assert_memory_equal(b->last + 19, want, sizeof(want));
	assert_string_equal(why(b), "more than 1234 ipv6 prefixes from the peer; next attempt in 30 s");
	timer_at(b, SECONDS(30));
	assert_int_equal(state_of(b), BGP_CONNECT);
	bench_free(b);
}

/* A session that is over at once after it came up is held back; one that lasted is not. */
static void
a_short_session_is_held_back(void **state)
{
	(void)state;
	for (int lasted = 0; lasted < 2; lasted++) {
		struct bench *b = bench_up();
		struct mono since = bgp_peer_since(b->p);

		while (lasted && b->now.us - since.us < SECONDS(600)) {
			b->now = mono_add(b->now, SECONDS(1));
			bgp_timer(b->p, b->now);
			out(b, b->c);
			in_keepalive(b);
		}
		b->states[0] = 0;
		bgp_closed(b->c, "gone", b->now);
		assert_string_equal(b->states, lasted ? "IC" : "I");
		if (!lasted)
			timer_at(b, SECONDS(1));
		assert_int_equal(state_of(b), BGP_CONNECT);
		bench_free(b);
	}
}

/* While the peer's own connection is under way nothing is dialled again, and a failure of ours is no news. */
static void
our_attempt_waits_while_the_peers_is_under_way(void **state)
{
	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		struct bench *b = bench_new();

		b->cfg.peer_id = 0x09000000; /* ours would stay */
		begin(b);
		b->accepted = bgp_accept(b->p, b->now, NULL);
		assert_int_equal(bgp_conn_state(b->accepted), BGP_OPEN_SENT);
		if (fails) {
			bgp_connect_failed(b->dialled, "no", b->now);
			assert_null(strstr(why(b), "cannot connect"));
			assert_int_equal(counters(b)->dial_failures, 1);
			timer_at(b, MS(20));
		} else {
			timer_at(b, MS(200));
			assert_int_equal(counters(b)->dial_failures, 0);
		}
		assert_int_equal(counters(b)->dials, 1);
		timer_at(b, SECONDS(1));
		assert_int_equal(counters(b)->dials, 1);
		bench_free(b);
	}
}

/* What was known of the connections before is not taken for what is known of these. */
static void
a_new_session_knows_nothing_of_the_one_before(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();
	struct bgp_conn *c;

	(void)state;
	b->cfg.peer_id = 0;
	bring(b, BGP_ESTABLISHED);
	in_update(b); /* End-of-RIB */
	assert_int_equal(bgp_peer_facts(b->p)->end_of_rib_in, 1);
	c = b->c;
	bgp_closed(c, "gone", b->now);
	assert_null(bgp_conn_io(c));
	timer_at(b, SECONDS(1));
	connected(b);
	b->accepted = bgp_accept(b->p, b->now, NULL);
	assert_non_null(b->accepted);
	assert_int_equal(counters(b)->collisions, 0); /* nobody has said who he is */
	bgp_closed(b->accepted, "gone", b->now);
	in_open(b, &o);
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	assert_int_equal(bgp_peer_facts(b->p)->end_of_rib_in, 0);
	assert_int_equal(bgp_peer_facts(b->p)->end_of_rib_out, 0);
	bench_free(b);
}

/* Stopped and started again: errors and failures of before count no more. */
static void
a_start_begins_anew(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->cfg.polite_us = MS(150);
	b->p = bgp_peer_new(&b->mem, &b->scratch, &b->cfg, &ops, b);
	bgp_peer_link_up(b->p, b->now);
	assert_string_equal(why(b), "not started");
	bgp_peer_start(b->p, b->now);
	assert_string_equal(why(b), "started, not connected yet");
	for (int k = 0; k < 2; k++) {
		timer_at(b, MS(150)); /* polite, since nothing failed yet */
		bgp_connect_failed(b->dialled, "no", b->now);
		timer_at(b, MS(20));
		bgp_connect_failed(b->dialled, "no", b->now);
		timer_at(b, MS(40));
		connected(b);
		in_junk(b);
		timer_at(b, SECONDS(1));
		connected(b);
		in_junk(b);
		assert_int_equal(bgp_deadline(b->p).us - b->now.us, SECONDS(2));
		bgp_peer_stop(b->p, NULL, b->now);
		assert_string_equal(why(b), "stopped by the operator");
		assert_true(mono_is_never(bgp_deadline(b->p)));
		bgp_peer_start(b->p, b->now);
		bgp_peer_start(b->p, b->now); /* twice is once */
	}
	bench_free(b);
}

/* How UPDATEs for this peer are written follows from the session and from the next hops that were set. */
static void
updates_are_encoded_as_was_agreed(void **state)
{
	static const struct {
		uint32_t asn, caps;
		bool internal, as4, extended;
	} cases[] = {
		{ AS, BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_EXTENDED_MESSAGE, false, true, true },
		{ AS, BGP_CAP_MP | BGP_CAP_AS4, false, true, false },
		{ AS, BGP_CAP_MP | BGP_CAP_EXTENDED_MESSAGE, false, false, true },
		{ 65001, BGP_CAP_MP | BGP_CAP_AS4, true, true, false },
	};
	static const uint8_t six[16] = { 0xfe, 0x80, [15] = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_next_hop four = { .has_global = true, .global = ip_v4(1) },
				    two = { .has_link_local = true, .link_local = ip_v6(six) },
				    one = { .has_global = true, .global = ip_v6(six) };
		struct bench *b = bench_new();
		struct bgp_open open = his_open();
		struct bgp_encode_opts o;

		b->cfg.peer_as = open.asn = cases[i].asn;
		open.caps = cases[i].caps;
		begin(b);
		connected(b);
		in_open(b, &open);
		in_keepalive(b);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV4, &four);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV6, &two);
		o = bgp_peer_encode_opts(b->p);
		assert_int_equal(o.local_as, 65001);
		assert_int_equal(o.internal, cases[i].internal);
		assert_int_equal(o.prepend, !cases[i].internal);
		assert_int_equal(o.as4, cases[i].as4);
		assert_int_equal(o.extended, cases[i].extended);
		assert_int_equal(o.form[FAMILY_IPV4], 0);
		assert_int_equal(o.form[FAMILY_IPV6], BGP_NH_IPV6_TWO);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV4, &one);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV6, &one);
		o = bgp_peer_encode_opts(b->p);
		assert_int_equal(o.form[FAMILY_IPV4], BGP_NH_IPV6);
		assert_int_equal(o.form[FAMILY_IPV6], BGP_NH_IPV6);
		bench_free(b);
	}
}

/* An operator's words are kept as far as there is room for them, and end as text does. */
static void
long_words_are_cut(void **state)
{
	struct bench *b = bench_up();
	char words[501], want[200];

	(void)state;
	memset(words, 'x', 500);
	words[500] = 0;
	bgp_peer_reset(b->p, BGP_CEASE_RESET, words, SECONDS(1), b->now);
	snprintf(want, sizeof(want), "%.156s...", words);
	assert_string_equal(why(b), want);
	bgp_peer_stop(b->p, words, b->now);
	snprintf(want, sizeof(want), "stopped by the operator: %.131s...", words);
	assert_string_equal(why(b), want);
	bench_free(b);
}

/* What is wrong with an UPDATE is told with the attribute that it is about, if it is about one. */
static void
a_malformed_update_is_told_with_its_attribute(void **state)
{
	static const struct {
		uint8_t body[20];
		size_t n;
		const char *text;
		bool ends;
	} cases[] = {
		{ { 0, 0, 0, 4, 0x40, 1, 1, 9, 24, 10, 1, 1 }, 12, " ORIGIN(1): ", false },
		{ { 0, 9, 0, 0 }, 4, NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_up();
		uint8_t buf[64];

		memset(buf, 0xff, 16);
		put_u16(buf + 16, (uint16_t)(19 + cases[i].n));
		buf[18] = BGP_UPDATE;
		memcpy(buf + 19, cases[i].body, cases[i].n);
		in(b, buf, 19 + cases[i].n);
		assert_int_equal(b->events[BGP_EVENT_ERROR], 1);
		assert_non_null(strstr(b->text, "malformed UPDATE, "));
		assert_int_equal(strstr(b->text, cases[i].text ? cases[i].text : "(") != NULL, cases[i].text != NULL);
		assert_int_equal(state_of(b), cases[i].ends ? BGP_IDLE : BGP_ESTABLISHED);
		if (cases[i].ends) {
			expect_notice(b, BGP_ERR_UPDATE, 1);
			assert_non_null(strstr(why(b), "malformed UPDATE, "));
		}
		bench_free(b);
	}
}

static void
what_is_no_cause_has_no_name(void **state)
{
	(void)state;
	for (int i = 0; i < BGP_CAUSES; i++)
		assert_string_not_equal(bgp_cause_name((enum bgp_cause)i), "?");
	assert_string_equal(bgp_cause_name(BGP_CAUSES), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_has_its_consequences_in_each_state),
		cmocka_unit_test(keepalives_and_hold_time_to_the_microsecond),
		cmocka_unit_test(each_message_arms_the_hold_timer),
		cmocka_unit_test(a_late_hold_timer_grants_a_third_once),
		cmocka_unit_test(attempts_back_off),
		cmocka_unit_test(errors_in_a_row_double_the_idle_hold_time),
		cmocka_unit_test(who_made_an_error_is_refused_for_a_while),
		cmocka_unit_test(messages_and_bytes_are_counted),
		cmocka_unit_test(requests_for_a_refresh_are_answered_at_their_pace),
		cmocka_unit_test(a_refresh_that_was_not_agreed_upon_is_ignored),
		cmocka_unit_test(events_of_a_kind_come_once_a_minute),
		cmocka_unit_test(of_two_connections_that_of_the_greater_identifier_stays),
		cmocka_unit_test(an_attempt_that_nobody_needs_any_more_is_given_up),
		cmocka_unit_test(an_open_on_the_losing_connection_waits_for_the_other),
		cmocka_unit_test(a_second_connection_of_the_peer),
		cmocka_unit_test(the_lower_identifier_waits_for_the_other),
		cmocka_unit_test(who_speaks_is_held_against_who_is_expected),
		cmocka_unit_test(families_that_are_missing_are_named),
		cmocka_unit_test(what_is_not_configured_has_its_default),
		cmocka_unit_test(too_many_prefixes_are_told),
		cmocka_unit_test(a_short_session_is_held_back),
		cmocka_unit_test(our_attempt_waits_while_the_peers_is_under_way),
		cmocka_unit_test(a_new_session_knows_nothing_of_the_one_before),
		cmocka_unit_test(a_start_begins_anew),
		cmocka_unit_test(updates_are_encoded_as_was_agreed),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(a_malformed_update_is_told_with_its_attribute),
		cmocka_unit_test(what_is_no_cause_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
