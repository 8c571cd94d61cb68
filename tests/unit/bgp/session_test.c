/* tests/unit/bgp/session_test.c -- peers back to back: coming up, collisions, identity, timers, errors, queues */
#include "tests/unit/bgp/pair.h"

static const char *
why(const struct host *h)
{
	return bgp_peer_reason(h->peer)->text;
}

static void
bring_up(struct world *w)
{
	world_make(w);
	links_up(w);
	if (!world_run(w, SECONDS(5), both_up))
		fail_msg("a: %s / b: %s", why(&w->a), why(&w->b));
}

static bool
neither_up(struct world *w)
{
	return bgp_peer_state(w->a.peer) != BGP_ESTABLISHED && bgp_peer_state(w->b.peer) != BGP_ESTABLISHED;
}

/* ---- coming up ---- */

static void
comes_up_at_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct world *w = world_new(seed);
		struct mono start = w->now;

		w->chunk = seed % 3 ? 1 + seed % 40 : 0;
		bring_up(w);
		/* the lower identifier waits politely, so there is one connection and no timer in the way */
		assert_int_equal(w->connects, 1);
		assert_int_equal(w->now.us, start.us);
		world_run(w, SECONDS(60), NULL);
		assert_true(both_up(w));
		assert_int_equal(open_ends(&w->a), 1);
		assert_string_equal(bgp_peer_facts(w->a.peer)->remote.hostname, "host-b");
		assert_int_equal(bgp_peer_facts(w->a.peer)->hold_s, 9);
		assert_int_equal(bgp_peer_counters(w->a.peer)->flaps, 0);
		assert_int_equal(bgp_peer_reason(w->a.peer)->cause, BGP_CAUSE_NONE);
		world_free(w);
	}
}

/* The polite one dials all the same when nobody comes. */
static void
politeness_ends(void **state)
{
	struct world *w = world_new(1);
	struct mono start = w->now;

	(void)state;
	w->b.cfg.passive = true;
	bring_up(w);
	assert_int_equal(mono_sub(w->now, start), MS(150));
	assert_int_equal(bgp_peer_facts(w->a.peer)->side, BGP_DIALLED);
	world_free(w);
}

static void
refused_then_up(void **state)
{
	struct world *w = world_new(2);
	struct mono start;

	(void)state;
	w->a.refuses = w->b.refuses = true;
	world_make(w);
	links_up(w);
	world_run(w, SECONDS(30), NULL);
	assert_true(neither_up(w));
	assert_string_equal(why(&w->b), "cannot connect: connection refused");
	assert_true(bgp_peer_counters(w->b.peer)->dials > 25);
	assert_true(bgp_peer_counters(w->b.peer)->dials < 60);
	w->a.refuses = w->b.refuses = false;
	start = w->now;
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_true(mono_sub(w->now, start) <= SECONDS(1));
	world_free(w);
}

/* A SYN that is lost: the next attempt comes long before the kernel's own second. */
static void
lost_connects_are_given_up(void **state)
{
	struct world *w = world_new(3);
	struct mono start = w->now;

	(void)state;
	w->a.silent = w->b.silent = true;
	world_make(w);
	links_up(w);
	world_run(w, MS(100), NULL);
	w->a.silent = w->b.silent = false;
	for (int i = 0; i < MAX_ENDS; i++) /* the attempts so far are lost for good */
		if (w->ends[i].used && w->ends[i].pending)
			w->ends[i].lost = true;
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_true(mono_sub(w->now, start) <= MS(450));
	world_free(w);
}

static void
capabilities_meet(void **state)
{
	static const struct {
		const char *name;
		uint32_t a, b, want;
		bool up;
	} cases[] = {
		{ "IPv4 alone", BGP_CAP_MP | BGP_CAP_AS4, BGP_CAP_MP_IPV4 | BGP_CAP_AS4, BGP_CAP_MP_IPV4 | BGP_CAP_AS4,
		    true },
		{ "old speaker", BGP_CAP_MP | BGP_CAP_AS4, BGP_CAP_MP, BGP_CAP_MP, true },
		{ "nothing in common", BGP_CAP_MP_IPV6, BGP_CAP_MP_IPV4, 0, false },
		{ "no extended messages", BGP_CAP_MP | BGP_CAP_EXTENDED_MESSAGE, BGP_CAP_MP, BGP_CAP_MP, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = world_new(i + 1);

		w->a.cfg.caps = cases[i].a;
		w->b.cfg.caps = cases[i].b;
		world_make(w);
		links_up(w);
		if (world_run(w, SECONDS(3), both_up) != cases[i].up)
			fail_msg("%s: %s", cases[i].name, why(&w->a));
		if (cases[i].up) {
			assert_int_equal(bgp_peer_facts(w->a.peer)->caps, cases[i].want);
			assert_int_equal(bgp_peer_facts(w->b.peer)->caps, cases[i].want);
		} else {
			assert_non_null(strstr(why(&w->a), "address family"));
		}
		world_free(w);
	}
}

/* RFC 4271 4.2: three seconds, or no hold timer at all. */
static void
hold_times_are_three_seconds_at_least(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	w->a.cfg.hold_s = 1;
	bring_up(w);
	assert_int_equal(bgp_peer_facts(w->a.peer)->hold_s, 3);
	assert_int_equal(bgp_peer_facts(w->b.peer)->hold_s, 3);
	world_free(w);
}

static void
hold_times_meet(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	w->a.cfg.hold_s = 90;
	w->b.cfg.hold_s = 30;
	bring_up(w);
	assert_int_equal(bgp_peer_facts(w->a.peer)->hold_s, 30);
	assert_int_equal(bgp_peer_facts(w->b.peer)->keepalive_s, 10);
	world_run(w, SECONDS(3600), NULL);
	assert_true(both_up(w));
	/* every 7.5 to 10 s */
	assert_in_range(bgp_peer_counters(w->a.peer)->out[BGP_KEEPALIVE], 360, 482);
	world_free(w);
}

/* ---- collisions ---- */

/*
 * W07 connection collision: both dial at once, in all orders (who is faster is up to the seed), either identifier
 * higher, equal identifiers with different AS numbers (RFC 6286), the peer's identifier known beforehand or not: one
 * session stays, within a second.
 */
static void
test_W07_collision(void **state)
{
	unsigned int collisions = 0;

	(void)state;
	for (uint64_t seed = 1; seed < 1500; seed++) {
		struct world *w = world_new(seed);
		struct mono start = w->now;

		w->chunk = seed % 2 ? 1 + seed % 60 : 0;
		w->a.cfg.polite_us = w->b.cfg.polite_us = -1;
		if (seed % 3 == 1) {
			w->a.cfg.router_id = w->b.cfg.peer_id = 0x0a000009;
		} else if (seed % 3 == 2) {
			w->a.cfg.router_id = w->b.cfg.router_id = 0x0a000005;
			w->a.cfg.peer_id = w->b.cfg.peer_id = 0x0a000005;
		}
		if (seed % 5 < 2)
			w->a.cfg.peer_id = 0;
		if (seed % 7 < 3)
			w->b.cfg.peer_id = 0;
		world_make(w);
		links_up(w);
		if (!world_run(w, SECONDS(3), both_up))
			fail_msg("seed %lu: %s / %s", (unsigned long)seed, why(&w->a), why(&w->b));
		assert_true(mono_sub(w->now, start) <= SECONDS(1));
		/* and it stays that way */
		world_run(w, SECONDS(20), NULL);
		if (!both_up(w) || open_ends(&w->a) != 1 || open_ends(&w->b) != 1)
			fail_msg("seed %lu: %zu %zu open, %s / %s", (unsigned long)seed, open_ends(&w->a),
			    open_ends(&w->b), why(&w->a), why(&w->b));
		assert_int_equal(bgp_peer_facts(w->a.peer)->side, !bgp_peer_facts(w->b.peer)->side);
		collisions += bgp_peer_counters(w->a.peer)->collisions + bgp_peer_counters(w->b.peer)->collisions;
		/* nor has it cost a session that had just come up */
		assert_int_equal(bgp_peer_counters(w->a.peer)->flaps + bgp_peer_counters(w->b.peer)->flaps, 0);
		world_free(w);
	}
	assert_true(collisions > 500);
}

/* RFC 4271 6.8: against an Established session a new connection loses. */
static void
test_W07_collision_with_established(void **state)
{
	struct world *w = world_new(5);
	const char *no = NULL;

	(void)state;
	bring_up(w);
	assert_null(bgp_accept(w->a.peer, w->now, &no));
	assert_string_equal(no, "the session is up on another connection");
	assert_int_equal(bgp_peer_counters(w->a.peer)->refused_accepts, 1);
	world_run(w, SECONDS(20), NULL);
	assert_true(both_up(w));
	world_free(w);
}

/*
 * T12 without graceful restart: RFC 4271 6.8 keeps the old connection. But it is tried by a KEEPALIVE, once a second:
 * when the peer has restarted, its kernel answers that by RST, and the next attempt is taken.
 */
static void
test_T12_old_connection_is_probed(void **state)
{
	struct world *w = world_new(6);
	const uint64_t *sent;
	struct end *old;
	uint64_t before;

	(void)state;
	bring_up(w);
	sent = &bgp_peer_counters(w->a.peer)->out[BGP_KEEPALIVE];
	world_run(w, MS(200), NULL);
	for (int i = 0; i < 8; i++) {
		before = *sent;
		assert_null(bgp_accept(w->a.peer, w->now, NULL));
		assert_int_equal(*sent - before, i % 4 == 0);
		world_run(w, MS(250), NULL);
	}
	assert_true(both_up(w));
	/* b has restarted; its first attempt is refused, and what a sends then is answered by RST */
	old = up_end(&w->a);
	bgp_peer_free(w->b.peer);
	old->far->used = false;
	old->far = NULL;
	w->b.peer = bgp_peer_new(&w->b.mem, &w->b.scratch, &w->b.cfg, &test_ops, &w->b);
	world_run(w, MS(1500), NULL);
	bgp_peer_start(w->b.peer, w->now);
	bgp_peer_link_up(w->b.peer, w->now);
	before = old->nflight;
	for (int i = 0; i < 100 && old->nflight == before; i++)
		world_run(w, MS(10), NULL);
	assert_true(old->nflight > before);
	bgp_closed(old->conn, "connection reset by peer", w->now);
	assert_true(world_run(w, SECONDS(1), both_up));
	world_free(w);
}

/* ---- a peer made of bytes ---- */

#define MARKER 16

/* a's engine with one accepted connection, whose other end the test plays. */
static struct end *
raw_accept(struct world *w)
{
	struct bgp_conn *c = bgp_accept(w->a.peer, w->now, NULL);
	struct end *e;

	if (!c)
		return NULL;
	e = end_new(&w->a);
	e->conn = c;
	bgp_conn_set_io(c, e);
	world_run(w, 0, NULL);
	return e;
}

static void
raw_send(struct end *e, const void *bytes, size_t n)
{
	append(&e->in, &e->nin, &e->cap_in, bytes, n);
	end_read(e);
	world_run(e->host->world, 0, NULL);
}

static void
raw_send_hex(struct end *e, const char *body, uint8_t type)
{
	uint8_t msg[4096];
	struct wr w = wr_make(msg, sizeof(msg));
	unsigned int v;

	memset(wr_take(&w, MARKER), 0xff, MARKER);
	wr_u16(&w, 0);
	wr_u8(&w, type);
	for (; *body; body++)
		if (*body != ' ' && sscanf(body, "%2x", &v) == 1) {
			wr_u8(&w, (uint8_t)v);
			body++;
		}
	put_u16(msg + MARKER, (uint16_t)wr_len(&w));
	raw_send(e, msg, wr_len(&w));
}

static void
raw_open(struct end *e, uint32_t as, uint32_t id, uint16_t hold_s)
{
	struct bgp_open o = { .version = 4,
		.asn = as,
		.hold_s = hold_s,
		.id = id,
		.caps = BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH | BGP_CAP_ENHANCED_REFRESH | BGP_CAP_HOSTNAME,
		.hostname = "raw" };
	uint8_t msg[300];
	struct wr w = wr_make(msg, sizeof(msg));

	bgp_open_write(&w, &o);
	raw_send(e, msg, wr_len(&w));
}

static void
raw_keepalive(struct end *e)
{
	raw_send_hex(e, "", BGP_KEEPALIVE);
}

/* The last message that a sent, of this type; its body. False: none. */
static bool
raw_sent(struct end *e, uint8_t type, struct bgp_message *out)
{
	struct bgp_notice err;
	struct bgp_message m;
	size_t at = 0;
	bool found = false;

	while (bgp_frame(e->flight + at, e->nflight - at, true, &m, &err) == BGP_FRAME_WHOLE) {
		if (m.type == type) {
			*out = m;
			found = true;
		}
		at += m.len;
	}
	assert_int_equal(at, e->nflight);
	return found;
}

static void
raw_expect_notice(struct end *e, const char *what, uint8_t code, uint8_t subcode)
{
	struct bgp_message m;
	struct bgp_notice n;

	if (!raw_sent(e, BGP_NOTIFICATION, &m))
		fail_msg("%s: no NOTIFICATION", what);
	assert_true(bgp_notice_parse(m.body, &n));
	if (n.code != code || n.subcode != subcode)
		fail_msg("%s: NOTIFICATION %u/%u", what, n.code, n.subcode);
	assert_null(e->conn);
}

static struct world *
raw_world(uint16_t hold_s)
{
	struct world *w = world_new(11);

	w->a.cfg.passive = true;
	w->a.cfg.hold_s = hold_s;
	world_make(w);
	bgp_peer_link_up(w->a.peer, w->now);
	return w;
}

static struct end *
raw_established(struct world *w)
{
	struct end *e = raw_accept(w);

	assert_non_null(e);
	raw_open(e, 65002, 0x0a000002, 180);
	raw_keepalive(e);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	return e;
}

/* a's own attempt gets through to a peer that the test plays. */
static struct end *
raw_dialled(struct world *w)
{
	for (int i = 0; i < MAX_ENDS; i++) {
		struct end *e = &w->ends[i];

		if (!e->used || e->host != &w->a || !e->pending)
			continue;
		e->pending = false;
		e->far->used = false;
		e->far = NULL;
		bgp_connected(e->conn, w->now);
		world_run(w, 0, NULL);
		return e;
	}
	fail_msg("no attempt under way");
	return NULL;
}

/* The order of things that happen to two connections: D dialled, A accepted; o OPEN, k KEEPALIVE. */
static void
test_W07_collision_in_order(void **state)
{
	static const struct {
		const char *name;
		uint32_t id, as; /* of the peer; a has identifier 10.0.0.5 and AS 65001 */
		const char *script;
		int stays; /* 'D', 'A', or 'B' for both */
	} cases[] = {
		{ "peer higher, OPEN on its own", 0x0a000009, 65002, "DAAo", 'A' },
		{ "peer higher, OPEN on ours: perhaps it has no other", 0x0a000009, 65002, "DADo", 'B' },
		{ "peer higher, OPEN on both", 0x0a000009, 65002, "DADoAo", 'A' },
		{ "peer lower, OPEN on its own: perhaps it has no other", 0x0a000002, 65002, "DAAo", 'B' },
		{ "peer lower, OPEN on both", 0x0a000002, 65002, "DAAoDo", 'D' },
		{ "peer lower, its own is up first", 0x0a000002, 65002, "DAAoAk", 'A' },
		{ "peer lower, OPEN on ours", 0x0a000002, 65002, "DADo", 'D' },
		{ "the other order, peer higher", 0x0a000009, 65002, "ADAo", 'A' },
		{ "the other order, peer lower", 0x0a000002, 65002, "ADAoDo", 'D' },
		{ "equal identifiers, AS higher", 0x0a000005, 65002, "DADoAo", 'A' },
		{ "equal identifiers, AS lower", 0x0a000005, 65000, "DADo", 'D' },
		{ "nothing known yet", 0x0a000009, 65002, "DA", 'B' },
		{ "ours is ahead, its own would win: both stay", 0x0a000009, 65002, "DDoA", 'B' },
		{ "until its OPEN comes", 0x0a000009, 65002, "DDoAAo", 'A' },
		{ "or ours is up first", 0x0a000009, 65002, "DDoADk", 'D' },
		{ "its own is ahead, ours would win: our attempt is given up", 0x0a000002, 65002, "AAo", 'A' },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = world_new(20 + i);
		struct end *ends[2] = { NULL, NULL };

		w->a.cfg.router_id = 0x0a000005;
		w->a.cfg.peer_as = cases[i].as;
		w->a.cfg.peer_id = 0;
		w->b.silent = true;
		world_make(w);
		bgp_peer_link_up(w->a.peer, w->now);
		for (const char *p = cases[i].script; *p; p++) {
			struct end **e = &ends[*p == 'A'];

			if (p[1] == 'o' || p[1] == 'k') {
				p++;
				if (*p == 'o')
					raw_open(*e, cases[i].as, cases[i].id, 90);
				else
					raw_keepalive(*e);
			} else {
				*e = *p == 'A' ? raw_accept(w) : raw_dialled(w);
				assert_non_null(*e);
			}
		}
		if ((ends[0] && ends[0]->conn ? 1 : 0) != (cases[i].stays != 'A') ||
		    (ends[1] && ends[1]->conn ? 1 : 0) != (cases[i].stays != 'D'))
			fail_msg("%s: dialled %d, accepted %d", cases[i].name, ends[0] && ends[0]->conn,
			    ends[1] && ends[1]->conn);
		for (int k = 0; k < MAX_ENDS; k++)
			if (w->ends[k].used && w->ends[k].pending)
				fail_msg("%s: an attempt that nobody needs goes on", cases[i].name);
		for (int k = 0; k < 2; k++)
			if (ends[k] && !ends[k]->conn)
				raw_expect_notice(ends[k], cases[i].name, BGP_ERR_CEASE, BGP_CEASE_COLLISION);
		world_free(w);
	}
}

/* The end of an OPEN that is not to our liking: what is answered, what is said, who is told. */
static void
wrong_identities(void **state)
{
	static const struct {
		const char *name;
		uint32_t as, id;
		uint8_t subcode;
		const char *said;
	} cases[] = {
		{ "another AS", 65003, 0x0a000002, 2,
		    "wrong neighbour: wanted AS 65002 identifier 10.0.0.2, seen AS 65003 identifier 10.0.0.2, host "
		    "raw" },
		{ "another switch of the same AS", 65002, 0x0a000003, 3,
		    "wrong neighbour: wanted AS 65002 identifier 10.0.0.2, seen AS 65002 identifier 10.0.0.3, host "
		    "raw" },
		{ "ourselves", 65001, 0x0a000001, 3,
		    "wrong neighbour: wanted a neighbour, and this is ourselves, seen AS 65001 identifier 10.0.0.1, "
		    "host raw" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = raw_world(9);
		struct end *e = raw_accept(w);
		const struct bgp_reason *r = bgp_peer_reason(w->a.peer);

		raw_open(e, cases[i].as, cases[i].id, 90);
		raw_expect_notice(e, cases[i].name, BGP_ERR_OPEN, cases[i].subcode);
		assert_int_equal(w->a.identities, 1);
		assert_string_equal(w->a.last_identity, cases[i].said);
		assert_string_equal(r->text, cases[i].said);
		assert_int_equal(r->cause, BGP_CAUSE_IDENTITY);
		assert_true(r->sent && r->code == BGP_ERR_OPEN && r->subcode == cases[i].subcode);
		assert_int_equal(bgp_peer_state(w->a.peer), BGP_IDLE);
		/* it is held back, and then gets another chance */
		assert_null(raw_accept(w));
		world_run(w, SECONDS(2), NULL);
		assert_non_null(raw_accept(w));
		world_free(w);
	}
}

/* Two spines in each other's place: told as such at both ends, for as long as it lasts, without a storm. */
static void
crossed_cables(void **state)
{
	struct world *w = world_new(6);

	(void)state;
	w->a.cfg.peer_id = 0x0a000003;
	world_make(w);
	links_up(w);
	world_run(w, SECONDS(3600), NULL);
	assert_true(neither_up(w));
	assert_int_equal(bgp_peer_reason(w->a.peer)->cause, BGP_CAUSE_IDENTITY);
	assert_non_null(strstr(bgp_peer_reason(w->b.peer)->text, "bad BGP identifier"));
	assert_in_range(w->a.identities, 50, 200);
	world_free(w);
}

/* What does not fit the state: RFC 6608 says which. */
static void
unexpected_messages(void **state)
{
	static const struct {
		const char *name;
		int stage; /* 0: nothing sent, 1: OPEN, 2: Established */
		const char *body;
		uint8_t type, code, subcode;
	} cases[] = {
		{ "KEEPALIVE first", 0, "", BGP_KEEPALIVE, 5, 1 },
		{ "UPDATE first", 0, "0000 0000", BGP_UPDATE, 5, 1 },
		{ "ROUTE-REFRESH first", 0, "0001 00 01", BGP_ROUTE_REFRESH, 5, 1 },
		{ "UPDATE before KEEPALIVE", 1, "0000 0000", BGP_UPDATE, 5, 2 },
		{ "OPEN twice", 1, "04 fdea 00b4 0a000002 00", BGP_OPEN, 5, 2 },
		{ "OPEN when up", 2, "04 fdea 00b4 0a000002 00", BGP_OPEN, 5, 3 },
		{ "unknown type", 2, "", 9, 1, 3 },
		{ "malformed OPEN", 0, "03 fdea 00b4 0a000002 00", BGP_OPEN, 2, 1 },
		{ "UPDATE that cannot be read", 2, "0001 0000", BGP_UPDATE, 3, 1 },
		{ "EoRR of a wrong length", 2, "0001 02 01 00", BGP_ROUTE_REFRESH, 7, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = raw_world(180);
		struct end *e = raw_accept(w);

		if (cases[i].stage > 0)
			raw_open(e, 65002, 0x0a000002, 180);
		if (cases[i].stage > 1)
			raw_keepalive(e);
		raw_send_hex(e, cases[i].body, cases[i].type);
		raw_expect_notice(e, cases[i].name, cases[i].code, cases[i].subcode);
		assert_int_equal(w->a.down, cases[i].stage == 2);
		assert_int_equal(bgp_peer_reason(w->a.peer)->cause, BGP_CAUSE_BAD_MESSAGE);
		world_free(w);
	}
}

/* ---- W02 to W06: the stream ---- */

#define UPDATE_OK "0000 0014 40010100 4002060201 0000fdea 400304 0a000009 18 c00002"

static const struct {
	const char *name, *body;
	enum bgp_fate fate;
} stream[] = {
	{ "good", UPDATE_OK, BGP_FATE_OK },
	{ "bad ORIGIN", "0000 0014 40010109 4002060201 0000fdea 400304 0a000009 18 c00003", BGP_FATE_WITHDRAW },
	{ "bad next hop", "0000 0014 40010100 4002060201 0000fdea 400304 00000000 18 c00004", BGP_FATE_WITHDRAW },
	{ "AS_SET", "0000 0014 40010100 4002060101 0000fdea 400304 0a000009 18 c00005", BGP_FATE_WITHDRAW },
	{ "ATOMIC_AGGREGATE of 1", "0000 0018 40010100 4002060201 0000fdea 400304 0a000009 40060101 18 c00006",
	    BGP_FATE_DISCARD },
	{ "overrun", "0000 0017 40010100 4002060201 0000fdea 400304 0a000009 8004ff 18 c00007", BGP_FATE_WITHDRAW },
	{ "withdrawal", "0004 18c00002 0000", BGP_FATE_OK },
	{ "good again", UPDATE_OK, BGP_FATE_OK },
	{ "End-of-RIB", "0000 0000", BGP_FATE_OK },
};

static enum bgp_fate stream_fates[64];
static unsigned int stream_n;

static void
note_fate(struct host *h UNUSED, const struct bgp_update *u)
{
	if (stream_n < ARRAY_LEN(stream_fates))
		stream_fates[stream_n++] = u->fate;
}

/* W02 all of them back to back in one stream, random split points: the same verdicts as one by one. */
static void
test_W02_one_stream(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 300; seed++) {
		struct world *w = raw_world(180);
		struct end *e = raw_established(w);
		static uint8_t all[8192];
		size_t n = 0, at = 0;

		w->rng = seed * 77777;
		w->a.on_update = note_fate;
		w->a.keep_routes = true;
		stream_n = 0;
		for (size_t i = 0; i < ARRAY_LEN(stream); i++) {
			struct wr m = wr_make(all + n, sizeof(all) - n);
			const char *p = stream[i].body;
			unsigned int v;

			memset(wr_take(&m, 16), 0xff, 16);
			wr_u16(&m, 0);
			wr_u8(&m, BGP_UPDATE);
			for (; *p; p++)
				if (*p != ' ' && sscanf(p, "%2x", &v) == 1) {
					wr_u8(&m, (uint8_t)v);
					p++;
				}
			put_u16(all + n + 16, (uint16_t)wr_len(&m));
			n += wr_len(&m);
		}
		while (at < n) {
			size_t some = 1 + world_random(w) % (seed < 30 ? 3 : 1460);

			some = MIN_OF(some, n - at);
			raw_send(e, all + at, some);
			at += some;
		}
		assert_int_equal(stream_n, ARRAY_LEN(stream));
		for (size_t i = 0; i < ARRAY_LEN(stream); i++)
			if (stream_fates[i] != stream[i].fate)
				fail_msg("%s: %s", stream[i].name, bgp_fate_name(stream_fates[i]));
		assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
		assert_int_equal(w->a.nroutes, 2); /* the good one, and the one that lost an attribute */
		assert_int_equal(w->a.end_of_rib, 1);
		assert_int_equal(bgp_peer_counters(w->a.peer)->fates[BGP_FATE_WITHDRAW], 4);
		assert_int_equal(bgp_peer_counters(w->a.peer)->fates[BGP_FATE_DISCARD], 1);
		assert_int_equal(bgp_peer_facts(w->a.peer)->end_of_rib_in, 1);
		/* one line, and not five */
		assert_int_equal(w->a.events[BGP_EVENT_ERROR], 1);
		world_free(w);
	}
}

/* W03 one octet per second: accepted when the hold time allows, and a partial message does not feed the hold timer. */
static void
test_W03_octet_by_octet(void **state)
{
	static const uint8_t update[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 0, 27, 2, 0, 4, 24, 192, 0, 2, 0, 0 };

	(void)state;
	for (int patient = 0; patient < 2; patient++) {
		struct world *w = raw_world(patient ? 30 : 9);
		struct end *e = raw_established(w);
		size_t at;

		for (at = 0; at < sizeof(update) && e->conn; at++) {
			raw_send(e, update + at, 1);
			world_run(w, SECONDS(1), NULL);
		}
		if (patient) {
			assert_int_equal(w->a.withdrawn, 1);
			assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
		} else {
			assert_int_equal(at, 9);
			raw_expect_notice(e, "hold", BGP_ERR_HOLD, 0);
			assert_string_equal(why(&w->a), "nothing heard for the hold time of 9 s");
		}
		world_free(w);
	}
}

/* W04 a header claims 4096 octets, then silence: nothing is consumed, and the hold timer ends it. */
static void
test_W04_header_then_silence(void **state)
{
	struct world *w = raw_world(9);
	struct end *e = raw_established(w);
	static const uint8_t header[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 16, 0, 2 };
	size_t before = w->a.mem.by[MEM_SESSION].bytes;

	(void)state;
	raw_send(e, header, sizeof(header));
	assert_int_equal(e->nin, sizeof(header));
	world_run(w, SECONDS(8), NULL);
	assert_int_equal(w->a.mem.by[MEM_SESSION].bytes, before);
	assert_non_null(e->conn);
	world_run(w, SECONDS(2), NULL);
	raw_expect_notice(e, "hold", BGP_ERR_HOLD, 0);
	assert_int_equal(w->a.down, 1);
	world_free(w);
}

/* W05 connect and never send OPEN: closed at the large hold time. */
static void
test_W05_no_open(void **state)
{
	struct world *w = raw_world(9);
	struct end *e = raw_accept(w);

	(void)state;
	world_run(w, SECONDS(239), NULL);
	assert_non_null(e->conn);
	world_run(w, SECONDS(2), NULL);
	raw_expect_notice(e, "no OPEN", BGP_ERR_HOLD, 0);
	assert_string_equal(why(&w->a), "no OPEN for 240 s");
	world_free(w);
}

/* ... and a peer that comes again need not wait for that: the newer connection takes the place of the silent one. */
static void
newer_connection_replaces_silent_one(void **state)
{
	struct world *w = raw_world(9);
	struct end *e = raw_accept(w), *f;

	(void)state;
	world_run(w, SECONDS(1), NULL);
	f = raw_accept(w);
	assert_non_null(f);
	assert_null(e->conn);
	raw_open(f, 65002, 0x0a000002, 9);
	raw_keepalive(f);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	world_free(w);
}

/* W06 OPEN, then no KEEPALIVE: 4/0 at the negotiated hold time. */
static void
test_W06_no_keepalive(void **state)
{
	struct world *w = raw_world(9);
	struct end *e = raw_accept(w);

	(void)state;
	raw_open(e, 65002, 0x0a000002, 6);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_OPEN_CONFIRM);
	world_run(w, MS(5900), NULL);
	assert_non_null(e->conn);
	world_run(w, MS(200), NULL);
	raw_expect_notice(e, "no KEEPALIVE", BGP_ERR_HOLD, 0);
	assert_int_equal(w->a.down, 0);
	world_free(w);
}

/* A timer that comes late says that we did not run: what the peer sent meanwhile is read first. */
static void
late_timer_kills_nobody(void **state)
{
	struct world *w = raw_world(9);
	struct end *e = raw_established(w);

	(void)state;
	w->now.us += SECONDS(60); /* stopped for a minute */
	bgp_timer(w->a.peer, w->now);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	assert_int_equal(bgp_peer_counters(w->a.peer)->hold_grants, 1);
	raw_keepalive(e);
	world_run(w, MS(8900), NULL);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	/* with nothing to read it is granted once */
	w->now.us += SECONDS(60);
	bgp_timer(w->a.peer, w->now);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	world_run(w, SECONDS(4), NULL);
	raw_expect_notice(e, "hold", BGP_ERR_HOLD, 0);
	world_free(w);
}

/* A bounded number of messages per call, whole ones only, and none is lost. */
static void
input_is_sliced(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_established(w);
	size_t n = 500, len = 0, used;
	uint8_t *bytes = malloc(n * BGP_HEADER + 10);
	struct wr wr = wr_make(bytes, n * BGP_HEADER);

	(void)state;
	for (size_t i = 0; i < n; i++)
		bgp_keepalive_write(&wr);
	len = wr_len(&wr);
	memset(bytes + len, 0xff, 10);
	for (size_t at = 0; at < len; at += used) {
		used = bgp_input(e->conn, bytes + at, len + 10 - at, w->now);
		assert_int_equal(used, MIN_OF(64u * BGP_HEADER, len - at));
		assert_int_equal(bgp_input_pending(e->conn), at + used < len);
	}
	assert_int_equal(bgp_peer_counters(w->a.peer)->in[BGP_KEEPALIVE], n + 1);
	assert_int_equal(bgp_input(e->conn, bytes, 10, w->now), 0);
	free(bytes);
	world_free(w);
}

/* ---- the end of sessions ---- */

/* W14 through a session: the peer's words are in the reason, escaped, and in counters. */
static void
test_W14_notification_received(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_established(w);

	(void)state;
	raw_send_hex(e, "0602 07 62 79 65 1b 5b 32 4a", BGP_NOTIFICATION);
	assert_null(e->conn);
	assert_string_equal(bgp_peer_notice_in(w->a.peer), "cease (6/2): administrative shutdown, \"bye\\x1b[2J\"");
	assert_string_equal(w->a.last_down, "the peer says: cease (6/2): administrative shutdown, \"bye\\x1b[2J\"");
	assert_true(bgp_peer_last_reset(w->a.peer)->received);
	assert_int_equal(bgp_peer_counters(w->a.peer)->notices_in, 1);
	assert_non_null(raw_accept(w)); /* it may come again at once */
	world_free(w);
}

static void
stop_says_why(void **state)
{
	struct world *w = world_new(4);

	(void)state;
	w->chunk = 7;
	bring_up(w);
	bgp_peer_stop(w->a.peer, "maintenance CHG-991", w->now);
	world_run(w, SECONDS(1), NULL);
	assert_string_equal(why(&w->a), "stopped by the operator: maintenance CHG-991");
	assert_string_equal(
	    bgp_peer_notice_in(w->b.peer), "cease (6/2): administrative shutdown, \"maintenance CHG-991\"");
	assert_int_equal(w->a.down + w->b.down, 2);
	world_run(w, SECONDS(600), NULL);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_IDLE);
	bgp_peer_start(w->a.peer, w->now);
	assert_true(world_run(w, SECONDS(2), both_up));
	bgp_peer_remove(w->a.peer, w->now);
	world_run(w, SECONDS(1), NULL);
	assert_string_equal(bgp_peer_notice_in(w->b.peer), "cease (6/3): peer de-configured");
	world_free(w);
}

static void
link_down_and_up(void **state)
{
	struct world *w = world_new(9);
	struct mono start;

	(void)state;
	bring_up(w);
	for (int i = 0; i < 20; i++) {
		bgp_peer_link_down(w->a.peer, "port down", w->now);
		bgp_peer_link_down(w->b.peer, "port down", w->now);
		assert_true(neither_up(w));
		assert_string_equal(why(&w->a), "port down");
		assert_int_equal(bgp_peer_reason(w->a.peer)->cause, BGP_CAUSE_LINK_DOWN);
		assert_int_equal(bgp_peer_state(w->a.peer), BGP_IDLE);
		assert_true(mono_is_never(bgp_deadline(w->a.peer)));
		world_run(w, MS(50), NULL);
		start = w->now;
		links_up(w);
		assert_true(world_run(w, SECONDS(1), both_up));
		assert_int_equal(w->now.us, start.us); /* flaps of the link do not hold us back */
	}
	assert_int_equal(bgp_peer_counters(w->a.peer)->flaps, 20);
	world_free(w);
}

/* A peer that comes up and goes at once, again and again, is held back more and more. */
static void
flapping_is_damped(void **state)
{
	struct world *w = raw_world(180);
	unsigned int ups = 0;
	struct mono end = mono_add(w->now, SECONDS(600));

	(void)state;
	while (w->now.us < end.us) {
		struct end *e = raw_accept(w);

		if (!e) {
			world_run(w, MS(100), NULL);
			continue;
		}
		raw_open(e, 65002, 0x0a000002, 180);
		raw_keepalive(e);
		raw_send_hex(e, "0001 0000", BGP_UPDATE); /* malformed */
		assert_null(e->conn);
		ups++;
	}
	assert_in_range(ups, 8, 25);
	world_free(w);
}

static void
tcp_loss_recovers(void **state)
{
	struct world *w = world_new(12);
	struct end *e;
	struct mono start;

	(void)state;
	bring_up(w);
	world_run(w, SECONDS(100), NULL);
	e = up_end(&w->a);
	start = w->now;
	{
		struct end *f = e->far;
		struct bgp_conn *mine = e->conn, *theirs = f->conn;

		bgp_closed(mine, "connection reset by peer", w->now);
		bgp_closed(theirs, "connection reset by peer", w->now);
	}
	assert_string_equal(w->a.last_down, "connection lost in Established: connection reset by peer");
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_true(mono_sub(w->now, start) < MS(500)); /* it had lasted, so nothing holds it back */
	world_free(w);
}

/* W20 prefixes above the limit: 6/1 with family and limit, idle for the restart time, then again. */
static void
test_W20_max_prefixes(void **state)
{
	struct world *w = world_new(13);
	struct mono start;

	(void)state;
	bring_up(w);
	bgp_peer_max_prefixes(w->a.peer, FAMILY_IPV4, 100, SECONDS(30), w->now);
	world_run(w, MS(10), NULL);
	assert_string_equal(
	    bgp_peer_notice_in(w->b.peer), "cease (6/1): maximum number of prefixes reached, AFI 1 SAFI 1, limit 100");
	assert_string_equal(why(&w->a), "more than 100 ipv4 prefixes from the peer; next attempt in 30 s");
	start = w->now;
	assert_true(world_run(w, SECONDS(100), both_up));
	assert_in_range(mono_sub(w->now, start), SECONDS(29), SECONDS(62)); /* b may be in its own idle hold by then */
	world_free(w);
}

static void
limit_in_op(struct host *h, const struct bgp_update *u UNUSED)
{
	if (h->prefixes >= 2)
		bgp_peer_max_prefixes(h->peer, FAMILY_IPV4, 2, SECONDS(30), h->world->now);
}

/* From within an op it acts after the message in hand, and what follows in the stream is not delivered. */
static void
test_W20_reset_from_within(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_established(w);

	(void)state;
	w->a.on_update = limit_in_op;
	raw_send_hex(e, UPDATE_OK, BGP_UPDATE);
	assert_non_null(e->conn);
	raw_send_hex(e, UPDATE_OK, BGP_UPDATE);
	raw_expect_notice(e, "limit", BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES);
	assert_int_equal(w->a.updates, 2);
	assert_null(raw_accept(w));
	world_free(w);
}

static void
bfd_ends_it(void **state)
{
	struct world *w = world_new(14);

	(void)state;
	bring_up(w);
	bgp_peer_bfd_down(w->a.peer, true, w->now);
	assert_int_equal(bgp_peer_last_reset(w->a.peer)->cause, BGP_CAUSE_BFD);
	assert_string_equal(bgp_peer_notice_out(w->a.peer), "cease (6/10): BFD down");
	assert_true(world_run(w, SECONDS(5), both_up));
	world_free(w);
}

/* W18 keys that do not match show as connections that fail: no session, at most a line a minute, counters. */
static void
test_W18_key_mismatch(void **state)
{
	struct world *w = world_new(15);

	(void)state;
	w->a.silent = w->b.silent = true;
	world_make(w);
	links_up(w);
	world_run(w, SECONDS(3600), NULL);
	assert_true(neither_up(w));
	assert_in_range(w->a.events[BGP_EVENT_TCP], 30, 61);
	assert_true(bgp_peer_counters(w->a.peer)->dial_failures > 1000);
	assert_string_equal(why(&w->a), "cannot connect: no answer");
	world_free(w);
}

/* W13 ROUTE-REFRESH 1,000 times a second: answered at most once in 10 s, and the last request is not lost. */
static void
test_W13_refresh_storm(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_established(w);

	(void)state;
	for (int i = 0; i < 25000; i++) {
		raw_send_hex(e, "0001 00 01", BGP_ROUTE_REFRESH);
		world_run(w, MS(1), NULL);
	}
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 3); /* at 0, 10 and 20 s */
	assert_true(bgp_peer_counters(w->a.peer)->refresh_coalesced > 24900);
	world_run(w, SECONDS(20), NULL);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 4);
	/* marks are passed on as they come; what is not ours is ignored */
	raw_send_hex(e, "0001 01 01", BGP_ROUTE_REFRESH);
	raw_send_hex(e, "0001 02 01", BGP_ROUTE_REFRESH);
	raw_send_hex(e, "0001 07 01", BGP_ROUTE_REFRESH);
	raw_send_hex(e, "0001 00 80", BGP_ROUTE_REFRESH);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_BEGIN], 1);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_END], 1);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 4);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	world_free(w);
}

/* What held back a request belongs to the session in which it came. */
static void
a_new_session_may_ask_for_a_refresh_at_once(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_established(w);

	(void)state;
	raw_send_hex(e, "0001 00 01", BGP_ROUTE_REFRESH);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 1);
	raw_send_hex(e, "0001 00 01", BGP_ROUTE_REFRESH); /* put off, and then nobody waits for it any more */
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 1);
	bgp_peer_link_down(w->a.peer, "port down", w->now);
	bgp_peer_link_up(w->a.peer, w->now);
	e = raw_established(w);
	bgp_timer(w->a.peer, w->now);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 1);
	raw_send_hex(e, "0001 00 01", BGP_ROUTE_REFRESH);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 2);
	world_free(w);
}

/* RFC 4760: a family is of the session when both have said so; MP_REACH for IPv4 was not in this OPEN. */
static void
families_are_those_of_both(void **state)
{
	struct world *w = raw_world(180);
	struct end *e = raw_accept(w);
	struct bgp_open o = {
		.version = 4, .asn = 65002, .hold_s = 180, .id = 0x0a000002, .caps = BGP_CAP_MP_IPV6 | BGP_CAP_AS4
	};
	uint8_t msg[300];
	struct wr wr = wr_make(msg, sizeof(msg));

	(void)state;
	assert_non_null(e);
	bgp_open_write(&wr, &o);
	raw_send(e, msg, wr_len(&wr));
	raw_keepalive(e);
	assert_int_equal(bgp_peer_state(w->a.peer), BGP_ESTABLISHED);
	assert_int_equal(bgp_peer_facts(w->a.peer)->families, 1u << FAMILY_IPV6);
	world_free(w);
}

/* Whatever bytes a peer sends, the engine answers or closes, and is ready for the next one. */
static void
random_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 3000; seed++) {
		struct world *w = raw_world(9);
		struct end *e;
		uint8_t junk[200];

		w->rng = seed * 0x9e3779b97f4a7c15ull;
		e = world_random(w) % 2 ? raw_established(w) : raw_accept(w);
		for (int i = 0; i < 20 && e->conn; i++) {
			size_t n = 1 + world_random(w) % sizeof(junk);

			for (size_t k = 0; k < n; k++)
				junk[k] = (uint8_t)world_random(w);
			memset(junk, 0xff, MIN_OF(n, 16u));
			if (n > 19) {
				put_u16(junk + 16, (uint16_t)(world_random(w) % 4 ? n : world_random(w)));
				junk[18] = (uint8_t)(world_random(w) % 7);
			}
			raw_send(e, junk, n);
		}
		world_run(w, SECONDS(300), NULL);
		assert_null(e->conn);
		assert_true(strlen(why(&w->a)) > 0);
		world_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_at_once),
		cmocka_unit_test(politeness_ends),
		cmocka_unit_test(refused_then_up),
		cmocka_unit_test(lost_connects_are_given_up),
		cmocka_unit_test(capabilities_meet),
		cmocka_unit_test(hold_times_meet),
		cmocka_unit_test(test_W07_collision),
		cmocka_unit_test(test_W07_collision_with_established),
		cmocka_unit_test(test_T12_old_connection_is_probed),
		cmocka_unit_test(test_W07_collision_in_order),
		cmocka_unit_test(wrong_identities),
		cmocka_unit_test(crossed_cables),
		cmocka_unit_test(unexpected_messages),
		cmocka_unit_test(test_W02_one_stream),
		cmocka_unit_test(test_W03_octet_by_octet),
		cmocka_unit_test(test_W04_header_then_silence),
		cmocka_unit_test(test_W05_no_open),
		cmocka_unit_test(newer_connection_replaces_silent_one),
		cmocka_unit_test(test_W06_no_keepalive),
		cmocka_unit_test(late_timer_kills_nobody),
		cmocka_unit_test(input_is_sliced),
		cmocka_unit_test(test_W14_notification_received),
		cmocka_unit_test(stop_says_why),
		cmocka_unit_test(link_down_and_up),
		cmocka_unit_test(flapping_is_damped),
		cmocka_unit_test(tcp_loss_recovers),
		cmocka_unit_test(test_W20_max_prefixes),
		cmocka_unit_test(test_W20_reset_from_within),
		cmocka_unit_test(bfd_ends_it),
		cmocka_unit_test(test_W18_key_mismatch),
		cmocka_unit_test(test_W13_refresh_storm),
		cmocka_unit_test(a_new_session_may_ask_for_a_refresh_at_once),
		cmocka_unit_test(families_are_those_of_both),
		cmocka_unit_test(hold_times_are_three_seconds_at_least),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
