/* tests/unit/bgp/peer_test.c -- one BGP engine: each event in each state, who speaks, what is told of it in words */
#include "bench.h"

/* ---- events of each state, as seen from outside ---- */

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
	{ BGP_OPEN_CONFIRM, W_CLOSED, "A", 0, 0, BGP_CAUSE_TCP, false, "connection lost in OpenConfirm: gone" },
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
		{ BGP_CAP_MP_IPV6, BGP_CAP_MP_IPV4, 6, 2 }, { BGP_CAP_MP_IPV4, BGP_CAP_MP_IPV6, 6, 1 },
		{ BGP_CAP_MP, 0, 12, 1 }, /* L2VPN and nothing else */
	};

	static const uint8_t vpn[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0, 37, BGP_OPEN, 4, AS >> 8, AS & 0xff, 0, 90, 10, 0, 0, 2, 8, 2, 6, 1, 4, 0, 25, 0,
		70 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();

		b->cfg.caps = cases[i].ours | BGP_CAP_AS4;
		o.caps = cases[i].his | BGP_CAP_AS4;
		begin(b);
		connected(b);
		if (cases[i].his)
			in_open(b, &o);
		else
			in(b, vpn, sizeof(vpn));
		expect_notice(b, BGP_ERR_OPEN, 7);
		assert_int_equal(b->nlast, 21 + cases[i].n);
		for (uint8_t k = 0; k < cases[i].n / 6; k++) { /* RFC 5492 5, RFC 4760 8 */
			const uint8_t want[6] = { 1, 4, 0, (uint8_t)(cases[i].first_afi + k), 0, 1 };

			assert_memory_equal(b->last + 21 + 6 * k, want, sizeof(want));
		}
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
	assert_string_equal(c->name, "peer");
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

/* RFC 8950 4: IPv4 routes with an IPv6 next hop are for those alone who have offered to take them. */
static void
no_ipv4_over_ipv6_unasked(void **state)
{
	static const struct bgp_next_hop v4 = { .has_global = true, .global = { FAMILY_IPV4, { 10, 0, 0, 1 } } },
					 v6 = { .has_link_local = true,
						 .link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 1 } } };
	(void)state;
	for (int offered = 0; offered < 2; offered++) {
		struct bench *b = bench_new();
		struct bgp_open o = his_open();
		struct bgp_encode_opts opt;

		if (!offered)
			o.caps &= ~(uint32_t)BGP_CAP_IPV4_OVER_IPV6;
		begin(b);
		connected(b);
		in_open(b, &o);
		in_keepalive(b);
		assert_int_equal(state_of(b), BGP_ESTABLISHED);
		assert_int_equal(bgp_peer_facts(b->p)->families, 3);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV4, &v6);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV6, &v6);
		opt = bgp_peer_encode_opts(b->p);
		assert_int_equal(opt.form[FAMILY_IPV4], offered ? BGP_NH_IPV6_TWO : BGP_NH_NONE);
		assert_int_equal(opt.form[FAMILY_IPV6], BGP_NH_IPV6_TWO);
		bgp_peer_set_next_hop(b->p, FAMILY_IPV4, &v4);
		opt = bgp_peer_encode_opts(b->p);
		assert_int_equal(opt.form[FAMILY_IPV4], BGP_NH_IPV4);
		bench_free(b);
	}
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

/* A pause that is asked for while there is nothing to pause: no timer runs for what cannot begin. */
static void
who_cannot_begin_has_no_pause(void **state)
{
	(void)state;
	for (int stopped = 0; stopped < 2; stopped++) {
		struct bench *b = bench_up();

		if (stopped)
			bgp_peer_stop(b->p, NULL, b->now);
		else
			bgp_peer_link_down(b->p, "cut", b->now);
		bgp_peer_reset(b->p, BGP_CEASE_RESET, "because", SECONDS(90), b->now);
		assert_true(mono_is_never(bgp_deadline(b->p)));
		if (stopped)
			bgp_peer_start(b->p, b->now);
		else
			bgp_peer_link_up(b->p, b->now);
		assert_int_equal(state_of(b), BGP_CONNECT);
		bench_free(b);
	}
}

/* A pause that was asked for ends with the link that it was for: the next one is dialled at once. */
static void
a_new_link_ends_a_pause(void **state)
{
	(void)state;
	for (int when = 0; when < 3; when++) { /* the link goes behind the reset, before it, and not at all */
		struct bench *b = bench_up();
		unsigned int dials = b->connects;

		if (when == 1)
			bgp_peer_link_down(b->p, "cut", b->now);
		bgp_peer_reset(b->p, BGP_CEASE_RESET, "because", SECONDS(90), b->now);
		if (when == 0)
			bgp_peer_link_down(b->p, "cut", b->now);
		bgp_peer_link_up(b->p, b->now); /* twice is once */
		bgp_peer_link_up(b->p, b->now);
		assert_int_equal(b->connects - dials, when < 2);
		assert_int_equal(state_of(b), when < 2 ? BGP_CONNECT : BGP_IDLE);
		if (when == 2)
			timer_at(b, SECONDS(90));
		assert_int_equal(b->connects - dials, 1);
		bench_free(b);
	}
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
		open.caps = cases[i].caps | BGP_CAP_IPV4_OVER_IPV6;
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
	for (int i = 0; i < BGP_STALE_ENDS; i++)
		assert_string_not_equal(bgp_stale_end_name((enum bgp_stale_end)i), "?");
	assert_string_equal(bgp_stale_end_name(BGP_STALE_ENDS), "?");
}

/* A session that ends for a restart ends without a word; what comes later is told as ever. */
static void
only_a_restart_is_silent(void **state)
{
	struct bench *b = bench_new();
	struct bgp_open o = his_open();

	(void)state;
	b->cfg.restart_s = 30;
	o.caps |= BGP_CAP_GRACEFUL_RESTART;
	o.gr_restart_s = 30;
	begin(b);
	connected(b);
	in_open(b, &o);
	assert_string_equal(out(b, b->c), "K");
	in_keepalive(b);
	assert_int_equal(state_of(b), BGP_ESTABLISHED);
	bgp_peer_leave(b->p, "back soon", b->now);
	assert_string_equal(why(b), "stopped for a restart: back soon");
	assert_int_equal(b->closes, 1);
	expect_notice(b, 0, 0);
	bgp_peer_start(b->p, b->now);
	connected(b);
	in_junk(b);
	expect_notice(b, BGP_ERR_HEADER, 1);
	bench_free(b);
}

/* RFC 4271 6.1, 6.4: a length that no message of its type can have is told, but in a NOTIFICATION it is not. */
static void
a_wrong_length_is_told_but_for_a_notification(void **state)
{
	static const struct {
		uint16_t len;
		uint8_t type;
		bool told;
	} cases[] = { { 20, BGP_NOTIFICATION, false }, { 20, BGP_KEEPALIVE, true }, { 0x103, BGP_KEEPALIVE, true },
		{ 18, BGP_NOTIFICATION, false }, { 0xff03, BGP_UPDATE, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench *b = bench_up();
		uint8_t m[0x400] = { 0 };

		memset(m, 0xff, 16);
		put_u16(m + 16, cases[i].len);
		m[18] = cases[i].type;
		in(b, m, sizeof(m));
		assert_int_equal(state_of(b), BGP_IDLE);
		assert_int_equal(
		    bgp_peer_reason(b->p)->cause, cases[i].told ? BGP_CAUSE_BAD_MESSAGE : BGP_CAUSE_NOTICE);
		if (cases[i].told)
			expect_notice(b, BGP_ERR_HEADER, 2);
		else
			expect_notice(b, 0, 0);
		bench_free(b);
	}
}

/* To leave for a restart is a plain stop where no restart was agreed upon: told to who can hear it, and for good. */
static void
without_an_agreement_to_leave_is_to_stop(void **state)
{
	static const enum bgp_state states[] = { BGP_CONNECT, BGP_ACTIVE, BGP_OPEN_SENT, BGP_OPEN_CONFIRM,
		BGP_ESTABLISHED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		for (int words = 0; words < 2; words++) {
			struct bench *b = bench_new();
			bool heard = states[i] >= BGP_OPEN_SENT;
			const char *no = NULL;

			bring(b, states[i]);
			bgp_peer_leave(b->p, words ? "upgrade" : NULL, b->now);
			assert_int_equal(state_of(b), BGP_IDLE);
			assert_int_equal(bgp_peer_reason(b->p)->cause, BGP_CAUSE_STOPPED);
			assert_string_equal(
			    why(b), words ? "stopped by the operator: upgrade" : "stopped by the operator");
			expect_notice(b, heard ? BGP_ERR_CEASE : 0, BGP_CEASE_SHUTDOWN);
			if (heard) /* RFC 9003: length and text */
				assert_int_equal(b->last[b->nlast - 1], words ? 'e' : BGP_CEASE_SHUTDOWN);
			assert_string_equal(
			    bgp_peer_notice_out(b->p), !heard  ? ""
						       : words ? "cease (6/2): administrative shutdown, \"upgrade\""
							       : "cease (6/2): administrative shutdown");
			assert_int_equal(b->closes, 1);
			assert_true(mono_is_never(bgp_deadline(b->p)));
			assert_null(bgp_accept(b->p, b->now, &no));
			assert_string_equal(no, "the peer is stopped");
			bench_free(b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_restart_is_silent),
		cmocka_unit_test(a_wrong_length_is_told_but_for_a_notification),
		cmocka_unit_test(without_an_agreement_to_leave_is_to_stop),
		cmocka_unit_test(each_event_has_its_consequences_in_each_state),
		cmocka_unit_test(who_speaks_is_held_against_who_is_expected),
		cmocka_unit_test(families_that_are_missing_are_named),
		cmocka_unit_test(what_is_not_configured_has_its_default),
		cmocka_unit_test(no_ipv4_over_ipv6_unasked),
		cmocka_unit_test(too_many_prefixes_are_told),
		cmocka_unit_test(a_short_session_is_held_back),
		cmocka_unit_test(our_attempt_waits_while_the_peers_is_under_way),
		cmocka_unit_test(a_new_session_knows_nothing_of_the_one_before),
		cmocka_unit_test(a_start_begins_anew),
		cmocka_unit_test(a_new_link_ends_a_pause),
		cmocka_unit_test(who_cannot_begin_has_no_pause),
		cmocka_unit_test(updates_are_encoded_as_was_agreed),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(a_malformed_update_is_told_with_its_attribute),
		cmocka_unit_test(what_is_no_cause_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
