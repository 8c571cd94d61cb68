/*
 * tests/unit/bgp/bench.h -- one BGP engine, whose owner and whose peer the test plays
 *
 * Randomness is a number that the test chooses, so that each timer can be told to the microsecond (RFC 4271 10: 75 to
 * 100 %; with 0 there is no jitter). What goes out is read back as a word, a letter a message: O, U, N, K, R.
 */
#ifndef TESTS_UNIT_BGP_BENCH_H
#define TESTS_UNIT_BGP_BENCH_H

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
	bool resets; /* at each change of state */
	struct bgp_reason down;
	uint8_t last[512]; /* of close() */
	size_t nlast;
	char states[200]; /* the first letters of the states that were told: I C A S F E */
	char text[600];
	unsigned int named, most; /* prefixes of UPDATEs that were told, and of one call the most */
	bool in_order;            /* the n-th prefix has the number n in its first three octets */
};

static inline void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct bench *b = arg;

	b->connects++;
	b->dialled = c;
	bgp_conn_set_io(c, b);
}

static inline void
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

static inline void
op_ready(struct bgp_conn *c UNUSED, void *arg UNUSED)
{
}

static inline void
op_established(struct bgp_peer *p UNUSED, void *arg)
{
	((struct bench *)arg)->ups++;
}

static inline void
op_down(struct bgp_peer *p UNUSED, const struct bgp_reason *r, void *arg)
{
	struct bench *b = arg;

	b->downs++;
	b->down = *r;
}

static inline void
name_prefixes(struct bench *b, struct bgp_nlri n)
{
	struct prefix p;

	for (; bgp_nlri_next(&n, &p); b->named++)
		b->in_order &= (unsigned int)(p.b[0] << 16 | p.b[1] << 8 | p.b[2]) == b->named;
}

static inline void
op_update(struct bgp_peer *p UNUSED, const struct bgp_update *u, void *arg)
{
	struct bench *b = arg;
	unsigned int before = b->named;

	b->updates++;
	for (unsigned int i = 0; i < u->nwithdrawn; i++)
		name_prefixes(b, u->withdrawn[i]);
	for (unsigned int i = 0; i < u->nreach; i++)
		name_prefixes(b, u->reach[i].nlri);
	b->most = MAX_OF(b->most, b->named - before);
}

static inline void
op_refresh(struct bgp_peer *p UNUSED, enum family f UNUSED, enum bgp_refresh what, void *arg)
{
	((struct bench *)arg)->refreshes[what]++;
}

static inline void
op_state(struct bgp_peer *p, enum bgp_state was UNUSED, enum bgp_state is, const char *why UNUSED, void *arg)
{
	struct bench *b = arg;
	size_t n = strlen(b->states);

	if (n + 1 < sizeof(b->states)) {
		b->states[n] = "ICASFE"[is];
		b->states[n + 1] = 0;
	}
	if (b->resets)
		bgp_peer_reset(p, BGP_CEASE_RESET, "again", 0, b->now);
}

static inline void
op_identity(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg)
{
	struct bench *b = arg;

	b->identities++;
	snprintf(b->text, sizeof(b->text), "%s", text);
}

static inline void
op_event(struct bgp_peer *p UNUSED, enum bgp_event_kind kind, const char *text, uint64_t suppressed, void *arg)
{
	struct bench *b = arg;

	b->events[kind]++;
	b->suppressed = suppressed;
	snprintf(b->text, sizeof(b->text), "%s", text);
}

static inline uint32_t
op_random(void *arg)
{
	return ((struct bench *)arg)->random;
}

static inline uint8_t
op_keep(struct bgp_peer *p UNUSED, const struct bgp_reason *r UNUSED, uint8_t families UNUSED, void *arg UNUSED)
{
	return 0;
}

static inline void
op_stale_end(struct bgp_peer *p UNUSED, uint8_t families UNUSED, enum bgp_stale_end why UNUSED, const char *text UNUSED,
    void *arg UNUSED)
{
}

UNUSED static const struct bgp_ops ops = { .connect = op_connect,
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

static inline struct bench *
bench_new(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->in_order = true;
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
static inline void
begin(struct bench *b)
{
	b->p = bgp_peer_new(&b->mem, &b->scratch, &b->cfg, &ops, b);
	bgp_peer_start(b->p, b->now);
	bgp_peer_link_up(b->p, b->now);
}

static inline void
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

static inline enum bgp_state
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

static inline void
in(struct bench *b, const uint8_t *bytes, size_t n)
{
	bgp_input(b->c, bytes, n, b->now);
}

static inline struct bgp_open
his_open(void)
{
	return (struct bgp_open){ .version = 4,
		.asn = AS,
		.hold_s = 90,
		.id = ID,
		.caps = BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH |
			BGP_CAP_IPV4_OVER_IPV6 };
}

static inline void
in_open(struct bench *b, const struct bgp_open *o)
{
	uint8_t buf[512];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_open_write(&w, o);
	in(b, buf, w.at - buf);
}

static inline void
in_keepalive(struct bench *b)
{
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_keepalive_write(&w);
	in(b, buf, w.at - buf);
}

static inline void
in_refresh(struct bench *b, enum family f, enum bgp_refresh what)
{
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_refresh_write(&w, f, what);
	in(b, buf, w.at - buf);
}

static inline void
in_notice(struct bench *b, uint8_t code, uint8_t subcode)
{
	struct bgp_notice n = bgp_notice_make(code, subcode, NULL, 0);
	uint8_t buf[64];
	struct wr w = wr_make(buf, sizeof(buf));

	bgp_notice_write(&w, &n);
	in(b, buf, w.at - buf);
}

/* An UPDATE without anything in it: End-of-RIB of IPv4. */
static inline void
in_update(struct bench *b)
{
	uint8_t buf[23];

	memset(buf, 0xff, 16);
	put_u16(buf + 16, 23);
	buf[18] = BGP_UPDATE;
	memset(buf + 19, 0, 4);
	in(b, buf, sizeof(buf));
}

static inline void
in_junk(struct bench *b)
{
	uint8_t buf[19] = { 0 };

	buf[17] = 19;
	buf[18] = BGP_KEEPALIVE;
	in(b, buf, sizeof(buf));
}

/* The last bytes that close() was given: a NOTIFICATION with this code and subcode, or nothing (0, 0). */
static inline void
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

static inline void
connected(struct bench *b)
{
	b->c = b->dialled;
	bgp_connected(b->c, b->now);
	assert_string_equal(out(b, b->c), "O");
}

static inline void
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

static inline struct bench *
bench_up(void)
{
	struct bench *b = bench_new();

	bring(b, BGP_ESTABLISHED);
	return b;
}

/* The next deadline is exactly this far away; the clock goes there and the timer is called. */
static inline void
timer_at(struct bench *b, int64_t us)
{
	if (bgp_deadline(b->p).us - b->now.us != us)
		fail_msg("the next deadline is in %lld us, wanted %lld", (long long)(bgp_deadline(b->p).us - b->now.us),
		    (long long)us);
	b->now = bgp_deadline(b->p);
	bgp_timer(b->p, b->now);
}

/* ---- what may happen ---- */

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

static inline void
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

#endif
