/* tests/unit/bgp/restart_test.c -- graceful restart as the receiving speaker, and what the restarting one says of itself */
#include "tests/unit/bgp/pair.h"

#define BOTH ((1 << FAMILY_IPV4) | (1 << FAMILY_IPV6))

static void
bring_up(struct world *w)
{
	w->a.cfg.restart_s = w->a.cfg.restart_s ? w->a.cfg.restart_s : 30;
	w->b.cfg.restart_s = w->b.cfg.restart_s ? w->b.cfg.restart_s : 20;
	w->a.keeps = w->b.keeps = BOTH;
	world_make(w);
	links_up(w);
	if (!world_run(w, SECONDS(5), both_up))
		fail_msg("a: %s", bgp_peer_reason(w->a.peer)->text);
}

static const struct bgp_restart *
at_a(const struct world *w)
{
	return bgp_peer_restart(w->a.peer);
}

/* b dies as a killed process does: its kernel ends the connection, and refuses new ones. */
static void
kill_b(struct world *w)
{
	struct end *e = up_end(&w->b), *f = e->far;

	bgp_peer_free(w->b.peer);
	assert_null(e->conn);
	w->b.peer = bgp_peer_new(&w->b.mem, &w->b.scratch, &w->b.cfg, &test_ops, &w->b);
	w->b.refuses = true;
	if (f->conn)
		bgp_closed(f->conn, "connection reset by peer", w->now);
}

static void
start_b(struct world *w, bool restarted, uint8_t forwarding)
{
	w->b.refuses = false;
	bgp_peer_restarted(w->b.peer, restarted, forwarding);
	bgp_peer_start(w->b.peer, w->now);
	bgp_peer_link_up(w->b.peer, w->now);
}

static void
send_route(struct bgp_build *b, enum family f)
{
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct prefix p = { .family = (uint8_t)f, .len = 24, .b = { 32, 1, (uint8_t)f } };

	assert_int_equal(bgp_build_reach(b, f, &v), 0);
	bgp_build_prefix(b, &p);
}

static const struct bgp_next_hop hop = { .has_link_local = true,
	.link_local = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = 2 } } };

static void
send_end_of_rib(struct host *h, enum family f, bool route_first)
{
	struct bgp_encode_opts opt = bgp_peer_encode_opts(h->peer);
	struct bgp_build *b = bgp_build_new(&h->mem, &opt);
	struct bgp_batch *batch;

	if (route_first) {
		bgp_peer_set_next_hop(h->peer, f, &hop);
		opt = bgp_peer_encode_opts(h->peer); /* with the next hop's form */
		bgp_build_free(b);
		b = bgp_build_new(&h->mem, &opt);
		send_route(b, f);
	}
	bgp_build_end_of_rib(b, f);
	batch = bgp_build_take(b);
	assert_true(bgp_send(h->peer, batch));
	bgp_batch_unref(batch);
	bgp_build_free(b);
}

/* ---- the capability ---- */

static void
open_says_what_is(void **state)
{
	struct world *w = world_new(1);
	const struct bgp_open *o;

	(void)state;
	bring_up(w);
	o = &bgp_peer_facts(w->a.peer)->remote;
	assert_int_equal(o->gr_flags, BGP_KEEPS_NOTIFIED);
	assert_int_equal(o->gr_restart_s, 20);
	assert_int_equal(o->gr_families, BOTH);
	assert_int_equal(o->gr_forwarding, 0);
	/* it knows what long-lived stale paths are, and asks for nothing to be kept like that */
	assert_true(o->caps & BGP_CAP_LONG_LIVED_RESTART);
	assert_int_equal(o->llgr_stale_s[FAMILY_IPV4] | o->llgr_stale_s[FAMILY_IPV6], 0);
	kill_b(w);
	start_b(w, true, 1 << FAMILY_IPV6);
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_int_equal(o->gr_flags, BGP_KEEPS_NOTIFIED | BGP_RESTARTED);
	assert_int_equal(o->gr_forwarding, 1 << FAMILY_IPV6);
	world_free(w);
}

static void
long_lived_only_when_asked_for(void **state)
{
	struct world *w = world_new(1);
	const struct bgp_open *o;

	(void)state;
	w->b.cfg.long_lived_s = 70000; /* more than two octets */
	bring_up(w);
	o = &bgp_peer_facts(w->a.peer)->remote;
	assert_true(o->caps & BGP_CAP_LONG_LIVED_RESTART);
	assert_int_equal(o->llgr_families, BOTH);
	assert_int_equal(o->llgr_stale_s[FAMILY_IPV4], 70000);
	assert_int_equal(o->llgr_stale_s[FAMILY_IPV6], 70000);
	world_free(w);
}

/* ---- from the end of a session to End-of-RIB ---- */

static void
told_again(void **state)
{
	struct world *w = world_new(2);
	struct mono died;

	(void)state;
	bring_up(w);
	world_run(w, SECONDS(40), NULL);
	kill_b(w);
	died = w->now;
	assert_int_equal(w->a.down, 1);
	assert_int_equal(at_a(w)->stale, BOTH);
	assert_false(at_a(w)->waits_rib);
	assert_int_equal(mono_sub(at_a(w)->until, died), SECONDS(20));
	world_run(w, SECONDS(10), NULL);
	assert_int_equal(at_a(w)->stale, BOTH);
	start_b(w, true, BOTH);
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_true(at_a(w)->waits_rib);
	send_end_of_rib(&w->b, FAMILY_IPV4, true);
	world_run(w, MS(10), NULL);
	assert_int_equal(at_a(w)->stale, 1 << FAMILY_IPV6);
	assert_int_equal(w->a.ended_families, 1 << FAMILY_IPV4);
	send_end_of_rib(&w->b, FAMILY_IPV6, true);
	world_run(w, MS(10), NULL);
	assert_int_equal(at_a(w)->stale, 0);
	assert_int_equal(at_a(w)->ended, BGP_STALE_TOLD);
	assert_int_equal(at_a(w)->told, 1);
	assert_true(mono_is_never(at_a(w)->until));
	/* an End-of-RIB that ends nothing is no news */
	send_end_of_rib(&w->b, FAMILY_IPV6, true);
	world_run(w, SECONDS(100), NULL);
	assert_int_equal(w->a.stale_ends, 2);
	assert_true(both_up(w));
	world_free(w);
}

/* FRR says that it has told all, and then tells it. */
static void
end_of_rib_before_the_routes(void **state)
{
	struct world *w = world_new(8);

	(void)state;
	bring_up(w);
	kill_b(w);
	start_b(w, true, BOTH);
	assert_true(world_run(w, SECONDS(5), both_up));
	send_end_of_rib(&w->b, FAMILY_IPV4, false);
	send_end_of_rib(&w->b, FAMILY_IPV6, true);
	world_run(w, MS(950), NULL);
	assert_int_equal(at_a(w)->stale, 1 << FAMILY_IPV4);
	assert_int_equal(w->a.ended_families, 1 << FAMILY_IPV6);
	world_run(w, MS(100), NULL);
	assert_int_equal(at_a(w)->stale, 0);
	assert_int_equal(at_a(w)->ended, BGP_STALE_TOLD);
	assert_int_equal(at_a(w)->told, 1);
	/* and what fails within that second ends it as ever */
	kill_b(w);
	start_b(w, true, BOTH);
	assert_true(world_run(w, SECONDS(5), both_up));
	send_end_of_rib(&w->b, FAMILY_IPV4, false);
	send_end_of_rib(&w->b, FAMILY_IPV6, false); /* what it told before it died is not what it tells now */
	world_run(w, MS(10), NULL);
	assert_int_equal(at_a(w)->stale, BOTH);
	bgp_peer_link_down(w->a.peer, "port dark", w->now);
	assert_int_equal(at_a(w)->ended, BGP_STALE_LINK);
	assert_int_equal(at_a(w)->stale, 0);
	world_free(w);
}

/* One family's End-of-RIB came before its routes, the other's never comes: each ends in its own time. */
static void
an_early_end_of_rib_and_none(void **state)
{
	(void)state;
	for (int f = 0; f < FAMILIES; f++) {
		struct world *w = world_new(9);
		struct mono back;

		bring_up(w);
		kill_b(w);
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(5), both_up));
		back = w->now;
		send_end_of_rib(&w->b, f, false);
		world_run(w, SECONDS(1) - 1, NULL);
		bgp_timer(w->a.peer, w->now); /* before its time */
		assert_int_equal(at_a(w)->stale, BOTH);
		world_run(w, 1, NULL);
		assert_int_equal(at_a(w)->stale, BOTH & ~(1 << f));
		assert_int_equal(at_a(w)->ended, BGP_STALE_TOLD);
		assert_string_equal(at_a(w)->text, "End-of-RIB, a second ago");
		assert_true(bgp_deadline(w->a.peer).us > w->now.us);
		world_run(w, SECONDS(20) - 1 - mono_sub(w->now, back), NULL);
		assert_int_equal(at_a(w)->stale, BOTH & ~(1 << f));
		world_run(w, 1, NULL);
		assert_int_equal(at_a(w)->stale, 0);
		assert_int_equal(at_a(w)->ended, BGP_STALE_SILENT);
		assert_int_equal(at_a(w)->told, 0); /* not all of it was */
		world_free(w);
	}
}

/* From its coming back on it has as long as it asked for, be that a second. */
static void
the_shortest_restart_time(void **state)
{
	(void)state;
	for (uint16_t s = 1; s <= 3; s++) {
		struct world *w = world_new(s);

		w->b.cfg.restart_s = s;
		bring_up(w);
		kill_b(w);
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(1), both_up));
		assert_true(at_a(w)->waits_rib);
		assert_in_range(mono_sub(at_a(w)->until, w->now), SECONDS(s) - MS(50), SECONDS(s));
		world_run(w, SECONDS(s), NULL);
		assert_int_equal(at_a(w)->ended, BGP_STALE_SILENT);
		world_free(w);
	}
}

/* What comes of the paths after b has died, came back or not, and said this or that. */
static const struct fate {
	const char *name;
	bool back, restarted, capable;
	uint8_t forwarding;
	enum bgp_stale_end end;
	int64_t after; /* the death; at most this + 1 s */
} fates[] = {
	{ "test_W15 it does not come back", false, false, true, 0, BGP_STALE_RESTART, SECONDS(20) },
	{ "test_W15 it comes back with R, and sends no End-of-RIB", true, true, true, BOTH, BGP_STALE_SILENT,
	    SECONDS(25) },
	{ "without R: a connection was lost, nothing else", true, false, true, BOTH, BGP_STALE_SILENT, SECONDS(25) },
	{ "test_W16 it comes back without F", true, true, true, 0, BGP_STALE_FORGOT, SECONDS(5) },
	{ "it comes back without the capability", true, true, false, 0, BGP_STALE_FORGOT, SECONDS(5) },
};

static void
check_fate(const struct fate *c, uint64_t seed)
{
	struct world *w = world_new(seed);
	struct mono died;

	bring_up(w);
	kill_b(w);
	died = w->now;
	world_run(w, SECONDS(5) - MS(1), NULL);
	assert_int_equal(at_a(w)->stale, BOTH);
	if (c->back && !c->capable) {
		bgp_peer_free(w->b.peer);
		w->b.cfg.restart_s = 0;
		w->b.peer = bgp_peer_new(&w->b.mem, &w->b.scratch, &w->b.cfg, &test_ops, &w->b);
	}
	if (c->back)
		start_b(w, c->restarted, c->forwarding);
	while (at_a(w)->stale && mono_sub(w->now, died) < SECONDS(60))
		world_run(w, MS(10), NULL);
	if (at_a(w)->ended != c->end || mono_sub(w->now, died) > c->after + SECONDS(1) ||
	    mono_sub(w->now, died) < c->after - MS(20))
		fail_msg("%s: %s after %lld ms", c->name, bgp_stale_end_name(at_a(w)->ended),
		    (long long)mono_sub(w->now, died) / 1000);
	assert_int_equal(w->a.ended_families, BOTH);
	assert_int_equal(at_a(w)->told, 0);
	/* never later than twice the restart time */
	assert_true(mono_sub(w->now, died) <= 2 * SECONDS(20));
	world_run(w, SECONDS(30), NULL);
	assert_int_equal(both_up(w), c->back);
	world_free(w);
}

static void
test_W15_no_end_of_rib(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (uint64_t seed = 1; seed < 20; seed++)
			check_fate(&fates[i], seed);
}

static void
test_W16_no_forwarding_state(void **state)
{
	(void)state;
	for (size_t i = 3; i < ARRAY_LEN(fates); i++)
		for (uint64_t seed = 1; seed < 20; seed++)
			check_fate(&fates[i], seed);
}

/* ---- long-lived (RFC 9494) ---- */

static const struct {
	const char *name;
	uint32_t ours_s, theirs_s; /* long-lived stale times */
	bool owner;                /* it keeps them */
	int64_t back_us;           /* 0: never */
	uint8_t forwarding;
	bool end_of_rib;
	enum bgp_stale_end end;
	int64_t after_us; /* since the session ended; -1: at once when it is back */
} lives[] = {
	{ "neither asks", 0, 0, true, 0, 0, false, BGP_STALE_RESTART, SECONDS(20) },
	{ "it asks, we do not", 0, 600, true, 0, 0, false, BGP_STALE_RESTART, SECONDS(20) },
	{ "we do, it does not ask", 600, 0, true, 0, 0, false, BGP_STALE_RESTART, SECONDS(20) },
	{ "its time", 3600, 600, true, 0, 0, false, BGP_STALE_LONG, SECONDS(620) },
	{ "our limit", 300, 16777215, true, 0, 0, false, BGP_STALE_LONG, SECONDS(320) },
	{ "back in the long time, told again", 3600, 600, true, SECONDS(400), BOTH, true, BGP_STALE_TOLD, -1 },
	{ "back without its forwarding state", 3600, 600, true, SECONDS(400), 0, false, BGP_STALE_FORGOT, -1 },
	{ "back, and silent", 3600, 600, true, SECONDS(400), BOTH, false, BGP_STALE_SILENT, SECONDS(420) },
	{ "the owner is busy, and then keeps them", 3600, 600, false, 0, 0, false, BGP_STALE_LONG, SECONDS(620) },
};

static unsigned int marked, refused;
static uint8_t marked_families;

static bool
mark(struct bgp_peer *p, uint8_t families, void *arg)
{
	(void)p;
	(void)arg;
	if (refused) {
		refused--;
		return false;
	}
	marked_families |= families;
	marked++;
	return true;
}

/* An owner that marks what is long-lived. */
static void
bring_up_marking(struct world *w)
{
	struct bgp_ops ops = test_ops;

	w->a.cfg.restart_s = 30;
	w->b.cfg.restart_s = 20;
	w->a.keeps = w->b.keeps = BOTH;
	world_make(w);
	bgp_peer_free(w->a.peer);
	ops.long_lived = mark;
	w->a.peer = bgp_peer_new(&w->a.mem, &w->a.scratch, &w->a.cfg, &ops, &w->a);
	bgp_peer_start(w->a.peer, w->now);
	links_up(w);
	assert_true(world_run(w, SECONDS(5), both_up));
	marked = marked_families = refused = 0;
}

static void
kept_for_long(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		struct world *w = world_new(i + 1);
		struct mono died;
		bool helped;

		w->a.cfg.long_lived_s = lives[i].ours_s;
		w->b.cfg.long_lived_s = lives[i].theirs_s;
		bring_up_marking(w);
		refused = lives[i].owner ? 0 : 3;
		helped = lives[i].ours_s && lives[i].theirs_s;
		kill_b(w);
		died = w->now;
		world_run(w, SECONDS(20) + MS(50), NULL);
		assert_int_equal(marked, helped);
		assert_int_equal(marked_families, helped ? BOTH : 0);
		assert_int_equal(at_a(w)->long_lived, helped ? BOTH : 0);
		assert_int_equal(at_a(w)->stale, helped ? BOTH : 0);
		if (lives[i].back_us) {
			world_run(w, lives[i].back_us - SECONDS(20), NULL);
			start_b(w, true, lives[i].forwarding);
			assert_true(world_run(w, SECONDS(5), both_up));
			if (lives[i].forwarding)
				assert_int_equal(at_a(w)->stale, BOTH);
			if (lives[i].end_of_rib) {
				send_end_of_rib(&w->b, FAMILY_IPV4, true);
				send_end_of_rib(&w->b, FAMILY_IPV6, true);
			}
		}
		while (at_a(w)->stale && mono_sub(w->now, died) < SECONDS(4000))
			world_run(w, MS(100), NULL);
		if (at_a(w)->ended != lives[i].end ||
		    (lives[i].after_us > 0 &&
			llabs(mono_sub(at_a(w)->ended_at, died) - lives[i].after_us) > SECONDS(1)))
			fail_msg("%s: %s after %lld ms", lives[i].name, bgp_stale_end_name(at_a(w)->ended),
			    (long long)mono_sub(at_a(w)->ended_at, died) / 1000);
		assert_int_equal(at_a(w)->long_lived, 0);
		assert_int_equal(marked, helped);
		world_free(w);
	}
}

/* What b says of its families where it speaks of restarts: octets of its OPEN are exchanged. */
static struct words {
	uint16_t restart_s;
	uint32_t long_s[FAMILIES];
	uint8_t listed, forwarding;           /* families, in the capability of RFC 4724 */
	uint8_t long_listed, long_forwarding; /* in that of RFC 9494 */
} words;

static void
speak(uint8_t *bytes, size_t n)
{
	for (size_t k = 0; k + 16 <= n; k++)
		if (bytes[k] == 64 && bytes[k + 1] == 2 + 2 * 4) {
			bytes[k + 2] = (uint8_t)(bytes[k + 2] & 0xf0);
			bytes[k + 3] = (uint8_t)words.restart_s;
			for (int f = 0; f < FAMILIES; f++) {
				uint8_t *at = bytes + k + 4 + 4 * f;

				at[2] = words.listed >> f & 1 ? BGP_SAFI_UNICAST : 128;
				at[3] = words.forwarding >> f & 1 ? 0x80 : 0;
			}
		} else if (bytes[k] == 71 && bytes[k + 1] == 2 * 7) {
			for (int f = 0; f < FAMILIES; f++) {
				uint8_t *at = bytes + k + 2 + 7 * f;

				at[2] = words.long_listed >> f & 1 ? BGP_SAFI_UNICAST : 128;
				at[3] = words.long_forwarding >> f & 1 ? 0x80 : 0;
				at[4] = (uint8_t)(words.long_s[f] >> 16);
				at[5] = (uint8_t)(words.long_s[f] >> 8);
				at[6] = (uint8_t)words.long_s[f];
			}
		}
}

#define V4 (1 << FAMILY_IPV4)
#define V6 (1 << FAMILY_IPV6)

/* b dies and stays away. Families have stale times of their own; those with different ones end with the first. */
static const struct {
	const char *name;
	struct words says;
	uint8_t kept, long_lived; /* when it has died; when its restart time is over */
	int64_t life_s;           /* since then */
} families_of_their_own[] = {
	{ "both for as long", { 20, { 600, 600 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 600 },
	{ "IPv4 is the shorter", { 20, { 300, 600 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 300 },
	{ "IPv6 is the shorter", { 20, { 600, 300 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 300 },
	{ "a second", { 20, { 1, 1 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 1 },
	{ "one of them not at all: IPv6", { 20, { 600, 0 }, BOTH, BOTH, BOTH, BOTH }, BOTH, V4, 600 },
	{ "one of them not at all: IPv4", { 20, { 0, 600 }, BOTH, BOTH, BOTH, BOTH }, BOTH, V6, 600 },
	{ "IPv4 is not named", { 20, { 300, 600 }, BOTH, BOTH, V6, V6 }, BOTH, V6, 600 },
	{ "IPv4 is not named for the restart either", { 20, { 300, 600 }, V6, V6, BOTH, BOTH }, V6, V6, 600 },
	{ "longer than we keep anything", { 20, { 5000, 4000 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 3600 },
	/* RFC 9494 4.2: a restart time of zero, and the long-lived time begins at once */
	{ "no restart time", { 0, { 600, 700 }, BOTH, BOTH, BOTH, BOTH }, BOTH, BOTH, 600 },
	{ "no restart time, IPv6 alone", { 0, { 0, 600 }, BOTH, BOTH, BOTH, BOTH }, V6, V6, 600 },
	{ "no time of any kind", { 0, { 0, 0 }, BOTH, BOTH, BOTH, BOTH }, 0, 0, 0 },
};

static void
test_long_lived_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(families_of_their_own); i++) {
		uint8_t kept = families_of_their_own[i].kept, long_lived = families_of_their_own[i].long_lived;
		struct world *w = world_new(i + 1);
		struct mono died;
		char text[64];

		words = families_of_their_own[i].says;
		w->b.tamper = speak;
		w->a.cfg.long_lived_s = w->b.cfg.long_lived_s = 3600;
		bring_up_marking(w);
		assert_int_equal(bgp_peer_facts(w->a.peer)->remote.gr_restart_s, words.restart_s);
		kill_b(w);
		died = w->now;
		if (at_a(w)->stale != kept || at_a(w)->begun != !!kept)
			fail_msg("%s: %d is kept", families_of_their_own[i].name, at_a(w)->stale);
		world_run(w, SECONDS(words.restart_s) + MS(1), NULL);
		if (at_a(w)->stale != long_lived || at_a(w)->long_lived != long_lived || marked_families != long_lived)
			fail_msg("%s: %d is kept for long", families_of_their_own[i].name, at_a(w)->stale);
		assert_int_equal(w->a.ended_families, kept & ~long_lived);
		assert_int_equal(at_a(w)->ended, kept & ~long_lived ? BGP_STALE_RESTART : BGP_STALE_NEVER);
		if (kept & ~long_lived)
			assert_string_equal(at_a(w)->text, "it did not come back in 20 s");
		if (long_lived) {
			int64_t end_s = words.restart_s + families_of_their_own[i].life_s;

			world_run(w, SECONDS(end_s) - 1 - mono_sub(w->now, died), NULL);
			if (at_a(w)->stale != long_lived)
				fail_msg("%s: over too early", families_of_their_own[i].name);
			world_run(w, 1, NULL);
			if (at_a(w)->stale || at_a(w)->ended != BGP_STALE_LONG)
				fail_msg("%s: not over", families_of_their_own[i].name);
			snprintf(text, sizeof(text), "it did not come back in %lld s", (long long)end_s);
			assert_string_equal(at_a(w)->text, text);
		}
		assert_int_equal(at_a(w)->long_lived, 0);
		assert_int_equal(w->a.ended_families, kept);
		assert_int_equal(marked, !!long_lived);
		assert_true(mono_is_never(at_a(w)->until));
		world_free(w);
	}
}

/* It comes back: for what is kept for long the capability of RFC 9494 counts, before that the one of RFC 4724. */
static const struct {
	const char *name;
	int64_t back_s;
	struct words says;
	uint8_t stays;
} returns[] = {
	{ "in time: RFC 4724 counts", 5, { 20, { 600, 600 }, BOTH, BOTH, BOTH, 0 }, BOTH },
	{ "in time, IPv4 is preserved", 5, { 20, { 600, 600 }, BOTH, V4, BOTH, BOTH }, V4 },
	{ "in time, IPv6 is preserved", 5, { 20, { 600, 600 }, BOTH, V6, BOTH, BOTH }, V6 },
	{ "in time, IPv6 is not listed any more", 5, { 20, { 600, 600 }, V4, BOTH, BOTH, BOTH }, V4 },
	{ "in time, IPv4 is not listed any more", 5, { 20, { 600, 600 }, V6, BOTH, BOTH, BOTH }, V6 },
	{ "in time, nothing for long any more", 5, { 20, { 0, 0 }, BOTH, BOTH, 0, 0 }, BOTH },
	{ "late: RFC 9494 counts", 100, { 20, { 600, 600 }, BOTH, 0, BOTH, BOTH }, BOTH },
	{ "late, it was preserved for a restart alone", 100, { 20, { 600, 600 }, BOTH, BOTH, BOTH, 0 }, 0 },
	{ "late, IPv4 is preserved", 100, { 20, { 600, 600 }, BOTH, BOTH, BOTH, V4 }, V4 },
	{ "late, IPv6 is preserved", 100, { 20, { 600, 600 }, BOTH, BOTH, BOTH, V6 }, V6 },
	{ "late, IPv6 is not listed any more", 100, { 20, { 600, 600 }, BOTH, BOTH, V4, BOTH }, V4 },
	{ "late, not listed for a restart, but for long", 100, { 20, { 600, 600 }, V6, V6, BOTH, BOTH }, BOTH },
};

static void
test_long_lived_return(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(returns); i++) {
		struct world *w = world_new(i + 1);
		struct mono back;

		words = (struct words){ 20, { 600, 600 }, BOTH, BOTH, BOTH, BOTH };
		w->b.tamper = speak;
		w->a.cfg.long_lived_s = w->b.cfg.long_lived_s = 3600;
		bring_up_marking(w);
		kill_b(w);
		world_run(w, SECONDS(returns[i].back_s), NULL);
		assert_int_equal(at_a(w)->long_lived, returns[i].back_s > 20 ? BOTH : 0);
		words = returns[i].says;
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(5), both_up));
		back = w->now;
		if (at_a(w)->stale != returns[i].stays)
			fail_msg("%s: %d stays", returns[i].name, at_a(w)->stale);
		assert_int_equal(at_a(w)->long_lived, returns[i].back_s > 20 ? returns[i].stays : 0);
		assert_int_equal(w->a.ended_families, BOTH & ~returns[i].stays);
		assert_int_equal(at_a(w)->ended, returns[i].stays == BOTH ? BGP_STALE_NEVER : BGP_STALE_FORGOT);
		if (returns[i].stays) { /* and it has its restart time for End-of-RIB */
			assert_int_equal(mono_sub(at_a(w)->until, back), SECONDS(20));
			world_run(w, SECONDS(20) - 1, NULL);
			assert_int_equal(at_a(w)->stale, returns[i].stays);
			world_run(w, 1, NULL);
			assert_int_equal(at_a(w)->ended, BGP_STALE_SILENT);
		}
		assert_int_equal(at_a(w)->stale, 0);
		/* the next loss begins anew: with the restart time, not with the long-lived one */
		kill_b(w);
		assert_int_equal(at_a(w)->long_lived, 0);
		assert_int_equal(at_a(w)->stale, words.listed);
		assert_int_equal(mono_sub(at_a(w)->until, w->now), SECONDS(20));
		world_free(w);
	}
}

/* A peer without a restart time is back in its long-lived one: then a second is what it has for End-of-RIB. */
static void
test_long_lived_without_a_restart_time(void **state)
{
	struct world *w = world_new(12);
	struct mono died;

	(void)state;
	words = (struct words){ 0, { 600, 600 }, BOTH, BOTH, BOTH, BOTH };
	w->b.tamper = speak;
	w->a.cfg.long_lived_s = w->b.cfg.long_lived_s = 600;
	bring_up_marking(w);
	kill_b(w);
	died = w->now;
	assert_int_equal(at_a(w)->until.us, died.us);
	world_run(w, MS(1), NULL);
	assert_int_equal(at_a(w)->long_lived, BOTH);
	assert_int_equal(mono_sub(at_a(w)->until, died), SECONDS(600));
	world_run(w, SECONDS(50), NULL);
	start_b(w, true, BOTH);
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_int_equal(at_a(w)->stale, BOTH);
	assert_int_equal(mono_sub(at_a(w)->until, w->now), SECONDS(1));
	send_end_of_rib(&w->b, FAMILY_IPV4, true);
	world_run(w, SECONDS(1) - 1, NULL);
	assert_int_equal(at_a(w)->stale, 1 << FAMILY_IPV6);
	assert_int_equal(at_a(w)->ended, BGP_STALE_TOLD);
	world_run(w, 1, NULL);
	assert_int_equal(at_a(w)->stale, 0);
	assert_int_equal(at_a(w)->ended, BGP_STALE_SILENT);
	assert_string_equal(at_a(w)->text, "it came back, but sent no End-of-RIB in 51 s");
	world_free(w);
}

/* The owner cannot mark now: it is asked again five milliseconds later, and the long time begins when it has. */
static void
test_long_lived_later(void **state)
{
	struct world *w = world_new(11);
	struct mono over;

	(void)state;
	w->a.cfg.long_lived_s = w->b.cfg.long_lived_s = 600;
	bring_up_marking(w);
	kill_b(w);
	over = mono_add(w->now, SECONDS(20));
	refused = 2;
	world_run(w, SECONDS(20), NULL);
	assert_int_equal(refused, 1);
	assert_int_equal(mono_sub(at_a(w)->until, over), MS(5));
	assert_int_equal(at_a(w)->long_lived, 0);
	world_run(w, MS(5), NULL);
	assert_int_equal(refused, 0);
	assert_int_equal(marked, 0);
	assert_int_equal(mono_sub(at_a(w)->until, over), MS(10));
	world_run(w, MS(5), NULL);
	assert_int_equal(marked, 1);
	assert_int_equal(at_a(w)->long_lived, BOTH);
	assert_int_equal(mono_sub(at_a(w)->until, over), MS(10) + SECONDS(600));
	world_free(w);
}

/* b is gone and there again, as after a power cut; nothing tells a so. Returns a's end of the old connection. */
static struct end *
reboot_b(struct world *w, uint8_t forwarding)
{
	struct end *e = up_end(&w->b), *f = e->far;

	bgp_peer_free(w->b.peer);
	e->far = f->far = NULL;
	e->used = false;
	w->b.peer = bgp_peer_new(&w->b.mem, &w->b.scratch, &w->b.cfg, &test_ops, &w->b);
	start_b(w, true, forwarding);
	return f;
}

/*
 * T12, RFC 4724 5: the neighbour has restarted, and its new connection finds the session Established. The new one
 * stays, within a second; whether anything is kept is for the new OPEN to say (F bits).
 */
static void
test_T12_restarted_unnoticed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 40; seed++) {
		struct world *w = world_new(seed);
		bool kept = seed % 2;
		unsigned int events;
		struct end *old;

		w->chunk = seed % 3 ? 7 : 0;
		bring_up(w);
		world_run(w, SECONDS(10), NULL);
		events = w->a.events[BGP_EVENT_TCP];
		old = reboot_b(w, kept ? BOTH : 0);
		assert_true(world_run(w, SECONDS(1), both_up));
		assert_null(old->conn);
		assert_int_equal(w->a.down, 1);
		assert_non_null(strstr(w->a.last_down, "restarted unnoticed"));
		assert_int_equal(w->a.events[BGP_EVENT_TCP] - events, 1);
		assert_string_equal(
		    w->a.last_event, "to-b: the peer has opened a new connection: it has restarted unnoticed");
		assert_int_equal(at_a(w)->begun, 1);
		assert_int_equal(at_a(w)->stale, kept ? BOTH : 0);
		assert_int_equal(at_a(w)->ended, kept ? BGP_STALE_NEVER : BGP_STALE_FORGOT);
		world_run(w, SECONDS(60), NULL);
		assert_true(both_up(w));
		assert_int_equal(w->a.down, 1);
		assert_int_equal(open_ends(&w->a), 1);
		world_free(w);
	}
}

/* Not to be mixed up with the second connection of the session's own beginning, which comes late: that one goes. */
static void
test_T12_young_sessions_stay(void **state)
{
	struct world *w = world_new(5);
	const char *no = NULL;

	(void)state;
	bring_up(w);
	world_run(w, SECONDS(2) - 1, NULL);
	assert_null(bgp_accept(w->a.peer, w->now, &no));
	assert_non_null(no);
	assert_true(both_up(w));
	assert_int_equal(w->a.down, 0);
	w->now.us++; /* two seconds old: no less */
	assert_non_null(bgp_accept(w->a.peer, w->now, &no));
	assert_null(no);
	assert_int_equal(w->a.down, 1);
	world_free(w);
}

/* One family was preserved, the other was not. */
static void
families_end_alone(void **state)
{
	struct world *w = world_new(3);

	(void)state;
	bring_up(w);
	kill_b(w);
	start_b(w, true, 1 << FAMILY_IPV6);
	assert_true(world_run(w, SECONDS(5), both_up));
	assert_int_equal(at_a(w)->stale, 1 << FAMILY_IPV6);
	assert_int_equal(w->a.ended_families, 1 << FAMILY_IPV4);
	assert_int_equal(at_a(w)->ended, BGP_STALE_FORGOT);
	world_free(w);
}

static void
again_before_end_of_rib(void **state)
{
	struct world *w = world_new(4);

	(void)state;
	bring_up(w);
	for (int i = 1; i < 4; i++) {
		kill_b(w);
		assert_int_equal(at_a(w)->stale, BOTH);
		assert_int_equal(at_a(w)->begun, i);
		assert_int_equal(mono_sub(at_a(w)->until, w->now), SECONDS(20));
		world_run(w, SECONDS(3), NULL);
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(60), both_up));
		assert_int_equal(at_a(w)->stale, BOTH);
	}
	assert_int_equal(at_a(w)->told, 0);
	world_free(w);
}

static void
another_router_answers(void **state)
{
	struct world *w = world_new(5);

	(void)state;
	bring_up(w);
	kill_b(w);
	bgp_peer_free(w->b.peer);
	w->b.cfg.router_id = 0x0a000063;
	w->b.peer = bgp_peer_new(&w->b.mem, &w->b.scratch, &w->b.cfg, &test_ops, &w->b);
	start_b(w, true, BOTH);
	world_run(w, SECONDS(5), NULL);
	assert_int_equal(at_a(w)->stale, 0);
	assert_int_equal(at_a(w)->ended, BGP_STALE_STRANGER);
	world_free(w);
}

/* The owner has the last word: what it does not keep is not stale. */
static void
the_owner_decides(void **state)
{
	struct world *w = world_new(6);

	(void)state;
	bring_up(w);
	w->a.keeps = 1 << FAMILY_IPV4;
	kill_b(w);
	assert_int_equal(w->a.may_keep, BOTH);
	assert_int_equal(at_a(w)->stale, 1 << FAMILY_IPV4);
	world_free(w);
	w = world_new(6);
	bring_up(w);
	w->a.keeps = 0;
	kill_b(w);
	assert_int_equal(at_a(w)->stale, 0);
	assert_true(mono_is_never(at_a(w)->until));
	world_run(w, SECONDS(60), NULL);
	assert_int_equal(w->a.stale_ends, 0);
	world_free(w);
}

/* ---- which ends are graceful ---- */

static void
end_by_reset(struct world *w)
{
	bgp_peer_reset(w->b.peer, BGP_CEASE_RESET, "again", 0, w->now);
}

static void
end_by_stop(struct world *w)
{
	bgp_peer_stop(w->b.peer, "maintenance", w->now);
}

static void
end_by_leave(struct world *w)
{
	bgp_peer_leave(w->b.peer, "upgrade", w->now);
}

static void
end_by_bfd(struct world *w)
{
	bgp_peer_bfd_down(w->b.peer, true, w->now);
}

static void
end_by_prefixes(struct world *w)
{
	bgp_peer_max_prefixes(w->b.peer, FAMILY_IPV4, 10, SECONDS(30), w->now);
}

static void
end_by_remove(struct world *w)
{
	bgp_peer_remove(w->b.peer, w->now);
}

static void
end_by_silence(struct world *w)
{
	struct end *e = up_end(&w->b);

	e->stuck = true;
}

static const struct ending {
	const char *name;
	void (*end)(struct world *);
	bool no_n; /* b has no N bit: it is RFC 4724 alone */
	bool kept;
	const char *notice; /* what a hears */
} endings[] = {
	{ "reset", end_by_reset, false, true, "cease (6/4): administrative reset, \"again\"" },
	{ "reset, no N bit", end_by_reset, true, false, "cease (6/4): administrative reset, \"again\"" },
	{ "leave", end_by_leave, false, true, "cease (6/4): administrative reset, \"upgrade\"" },
	{ "leave, no N bit: without a word", end_by_leave, true, true, "" },
	{ "stop", end_by_stop, false, false,
	    "cease (6/9): hard reset, because of cease (6/2): administrative shutdown, \"maintenance\"" },
	{ "stop, no N bit", end_by_stop, true, false, "cease (6/2): administrative shutdown, \"maintenance\"" },
	{ "remove", end_by_remove, false, false,
	    "cease (6/9): hard reset, because of cease (6/3): peer de-configured" },
	{ "BFD", end_by_bfd, false, false, "cease (6/9): hard reset, because of cease (6/10): BFD down" },
	{ "BFD, no N bit", end_by_bfd, true, false, "cease (6/10): BFD down" },
	{ "maximum prefixes", end_by_prefixes, false, false,
	    "cease (6/9): hard reset, because of cease (6/1): maximum number of prefixes reached, AFI 1 SAFI 1, limit "
	    "10" },
	{ "silence", end_by_silence, false, true, "" },
	{ "silence, no N bit", end_by_silence, true, false, "" },
};

/* A peer that has RFC 4724 but not RFC 8538: the N bit is cut out of its OPEN. */
static void
cut_n_bit(uint8_t *bytes, size_t n)
{
	for (size_t k = 0; k + 3 < n; k++)
		if (bytes[k] == 64 && bytes[k + 1] == 10) /* the capability, of two families */
			bytes[k + 2] &= (uint8_t)~0x40;
}

static void
graceful_or_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		const struct ending *c = &endings[i];
		struct world *w = world_new(i + 1);

		w->a.cfg.restart_s = 30;
		w->b.cfg.restart_s = 20;
		w->a.keeps = w->b.keeps = BOTH;
		world_make(w);
		links_up(w);
		w->a.tamper = w->b.tamper = c->no_n ? cut_n_bit : NULL;
		if (!world_run(w, SECONDS(5), both_up))
			fail_msg("%s: %s", c->name, bgp_peer_reason(w->a.peer)->text);
		assert_int_equal(bgp_peer_facts(w->a.peer)->remote.gr_flags, c->no_n ? 0 : BGP_KEEPS_NOTIFIED);
		c->end(w);
		while (w->a.down == 0)
			world_run(w, MS(100), NULL);
		if (at_a(w)->begun != c->kept || strcmp(bgp_peer_notice_in(w->a.peer), c->notice) != 0)
			fail_msg("%s: kept %d, heard %s", c->name, (int)at_a(w)->begun, bgp_peer_notice_in(w->a.peer));
		/* b resets, and keeps what a told for as long as a would: RFC 8538 4 */
		if (c->end == end_by_reset)
			assert_int_equal(bgp_peer_restart(w->b.peer)->begun, c->kept);
		if (c->end == end_by_bfd || c->end == end_by_prefixes)
			assert_int_equal(bgp_peer_restart(w->b.peer)->begun, 0);
		world_free(w);
	}
}

/* While it restarts: what ends the waiting, and what does not. */
static void
what_ends_the_waiting(void **state)
{
	enum { LINK, WAIT, BFD_C, BFD_NO_C, STOP, CASES };
	static const struct {
		const char *name;
		enum bgp_stale_end end; /* NEVER: it goes on */
	} cases[CASES] = {
		[LINK] = { "carrier lost", BGP_STALE_LINK },
		[WAIT] = { "waits for BFD", BGP_STALE_NEVER },
		[BFD_C] = { "BFD down, C bit", BGP_STALE_BFD },
		[BFD_NO_C] = { "BFD down, no C bit: it shares the fate of what restarts", BGP_STALE_NEVER },
		[STOP] = { "stopped", BGP_STALE_STOPPED },
	};

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct world *w = world_new(7);

		bring_up(w);
		kill_b(w);
		if (i == LINK)
			bgp_peer_link_down(w->a.peer, "port dark", w->now);
		else if (i == WAIT)
			bgp_peer_link_wait(w->a.peer, "waits for BFD", w->now);
		else if (i == STOP)
			bgp_peer_stop(w->a.peer, NULL, w->now);
		else
			bgp_peer_bfd_down(w->a.peer, i == BFD_C, w->now);
		if (at_a(w)->ended != cases[i].end || !at_a(w)->stale != !!cases[i].end)
			fail_msg("%s: %s", cases[i].name, bgp_stale_end_name(at_a(w)->ended));
		world_run(w, SECONDS(25), NULL);
		assert_int_equal(at_a(w)->stale, 0);
		assert_int_equal(w->a.stale_ends, 1);
		world_free(w);
	}
}

/* It is back, and before End-of-RIB its new session ends in a way that keeps nothing: why and when is shown. */
static void
the_end_of_the_next_session_ends_it(void **state)
{
	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		struct world *w = world_new(10);
		struct mono end;

		bring_up(w);
		kill_b(w);
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(5), both_up));
		world_run(w, SECONDS(2), NULL);
		assert_int_equal(at_a(w)->stale, BOTH);
		w->a.keeps = kept ? 1 << FAMILY_IPV4 : 0;
		end = w->now;
		kill_b(w);
		assert_int_equal(at_a(w)->stale, w->a.keeps);
		assert_int_equal(at_a(w)->begun, 1 + kept);
		assert_int_equal(at_a(w)->ended, BGP_STALE_HARD);
		assert_int_equal(at_a(w)->ended_at.us, end.us);
		assert_string_equal(at_a(w)->text, w->a.last_down);
		assert_int_equal(w->a.stale_ends, 0); /* the owner drops them with the session */
		world_free(w);
	}
}

/* Both sides restart at once: none waits for the other's paths longer than its timers say, and both come up. */
static void
both_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 50; seed++) {
		struct world *w = world_new(seed);

		bring_up(w);
		kill_b(w);
		bgp_peer_free(w->a.peer);
		w->a.peer = bgp_peer_new(&w->a.mem, &w->a.scratch, &w->a.cfg, &test_ops, &w->a);
		bgp_peer_restarted(w->a.peer, true, BOTH);
		bgp_peer_start(w->a.peer, w->now);
		bgp_peer_link_up(w->a.peer, w->now);
		start_b(w, true, BOTH);
		assert_true(world_run(w, SECONDS(5), both_up));
		assert_int_equal(bgp_peer_facts(w->a.peer)->remote.gr_flags, BGP_KEEPS_NOTIFIED | BGP_RESTARTED);
		assert_int_equal(bgp_peer_facts(w->b.peer)->remote.gr_flags, BGP_KEEPS_NOTIFIED | BGP_RESTARTED);
		assert_int_equal(at_a(w)->stale, 0);
		world_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_says_what_is),
		cmocka_unit_test(long_lived_only_when_asked_for),
		cmocka_unit_test(told_again),
		cmocka_unit_test(end_of_rib_before_the_routes),
		cmocka_unit_test(an_early_end_of_rib_and_none),
		cmocka_unit_test(the_shortest_restart_time),
		cmocka_unit_test(test_W15_no_end_of_rib),
		cmocka_unit_test(test_W16_no_forwarding_state),
		cmocka_unit_test(test_T12_restarted_unnoticed),
		cmocka_unit_test(test_T12_young_sessions_stay),
		cmocka_unit_test(kept_for_long),
		cmocka_unit_test(test_long_lived_families),
		cmocka_unit_test(test_long_lived_return),
		cmocka_unit_test(test_long_lived_without_a_restart_time),
		cmocka_unit_test(test_long_lived_later),
		cmocka_unit_test(families_end_alone),
		cmocka_unit_test(again_before_end_of_rib),
		cmocka_unit_test(another_router_answers),
		cmocka_unit_test(the_owner_decides),
		cmocka_unit_test(graceful_or_not),
		cmocka_unit_test(what_ends_the_waiting),
		cmocka_unit_test(the_end_of_the_next_session_ends_it),
		cmocka_unit_test(both_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
