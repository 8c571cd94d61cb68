/*
 * tests/unit/node/scale_test.c -- many sessions, many routes, and one among them that misbehaves
 *
 * S01 and S02 have a border with 256 routers outside, each a node of its own. SCALE_ROUTES=10000 is the size of the
 * goal; what runs always has fewer routes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/node/puppet.h"

#define SESSIONS 256

static struct topo *
load(const char *text)
{
	struct topo_errors errs = { 0 };
	struct topo *t = topo_load(text, strlen(text), &errs);

	if (!t)
		fail_msg("%s", errs.list[0].text);
	topo_errors_free(&errs);
	return t;
}

/* One border with so many neighbours outside. */
static struct topo *
many_outside(unsigned int n)
{
	char *text = malloc(1 << 17);
	size_t len = (size_t)sprintf(text,
	    "schema: 1\nfabric: many\ntiers:\n"
	    "  - {name: border, count: 1, role: border, asn: 65200, loopback: 10.0.2.0/24}\n"
	    "external:\n");
	struct topo *t;

	for (unsigned int i = 0; i < n; i++)
		len += (size_t)sprintf(text + len,
		    "  - {at: \"border1:eth%u\", name: x%u, asn: %u, local: 100.64.%u.%u/31, peer: 100.64.%u.%u, in: "
		    "full, out: default}\n",
		    i + 1, i + 1, 4200000000u + i, i >> 7, (i & 127) * 2, i >> 7, (i & 127) * 2 + 1);
	t = load(text);
	free(text);
	return t;
}

static struct world *
make(const struct world_config *cfg)
{
	char err[256];
	struct world *w = world_new(cfg, err, sizeof(err));

	if (!w)
		fail_msg("%s", err);
	return w;
}

/* But for the journal: a ring that fills, and has a bound of its own. */
static uint64_t
memory_of(const struct world_node *n)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < MEM_KINDS; k++)
		sum += n->node->mem.by[k].bytes;
	assert_in_range(n->node->mem.by[MEM_EVENT].bytes, 0, 1 << 20);
	return sum - n->node->mem.by[MEM_EVENT].bytes;
}

static struct node_peer *
session(struct world_node *border, unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "eth%u", i + 1);
	return node_port_find(border->node, name)->peer;
}

static unsigned int
established(struct world_node *border)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SESSIONS; i++)
		n += session(border, i)->established;
	return n;
}

static bool
is_full(struct world_node *border, uint64_t routes)
{
	struct rib_counts c;

	rib_counts(border->node->rib, &c);
	return c.paths[FAMILY_IPV4] >= SESSIONS * routes && !rib_pending(border->node->rib);
}

/* S01: 256 sessions in the same moment, each with its table, on a processor whose time counts: nobody loses his hold time. */
static void
test_S01_all_sessions_at_once(void **state)
{
	const char *wish = getenv("SCALE_ROUTES");
	uint32_t routes = wish ? (uint32_t)strtoul(wish, NULL, 10) : 2000;
	struct world_config cfg = {
		.topo = many_outside(SESSIONS), .seed = 1, .outside = true, .feed = routes, .cpu_us = 20
	};
	struct world *w = make(&cfg);
	struct world_node *border = world_node_find(w, "border1");
	int ms = 0;

	(void)state;
	while (ms < 60000 && !is_full(border, routes)) {
		world_run(w, MS(100));
		ms += 100;
	}
	assert_int_equal(established(border), SESSIONS);
	assert_true(is_full(border, routes));
	world_run(w, SECONDS(30));
	for (unsigned int i = 0; i < SESSIONS; i++) {
		const struct bgp_counters *c = bgp_peer_counters(session(border, i)->bgp);

		assert_int_equal(c->flaps, 0);
		assert_int_equal(c->hold_grants, 0);
		assert_true(session(border, i)->source.paths[FAMILY_IPV4] > routes);
	}
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* S02: for ten minutes all sessions but one are cut off every five seconds. What is left of it is nothing. */
static void
test_S02_session_storm(void **state)
{
	struct world_config cfg = { .topo = many_outside(SESSIONS), .seed = 2, .outside = true, .feed = 40 };
	struct world *w = make(&cfg);
	struct world_node *border = world_node_find(w, "border1");
	struct rib_counts before, after;
	uint64_t warm = 0, cut = 0;

	(void)state;
	world_run(w, SECONDS(40));
	assert_int_equal(established(border), SESSIONS);
	rib_counts(border->node->rib, &before);
	for (int round = 0; round < 120; round++) {
		for (uint32_t i = 1; i < SESSIONS; i++)
			cut += sim_stream_kill(border->rt, i + 1, round % 2 ? -ECONNRESET : -ETIMEDOUT);
		world_run(w, SECONDS(5));
		assert_true(session(border, 0)->established);
		if (round == 20) {
			world_run(w, SECONDS(180));
			assert_int_equal(established(border), SESSIONS);
			warm = memory_of(border);
		}
	}
	assert_true(cut > 10 * SESSIONS); /* those that come back too soon are held back longer each time */
	assert_int_equal(bgp_peer_counters(session(border, 0)->bgp)->flaps, 0);
	world_run(w, SECONDS(180));
	assert_int_equal(established(border), SESSIONS);
	assert_in_range(memory_of(border), 0, warm + warm / 100);
	rib_counts(border->node->rib, &after);
	assert_int_equal(after.paths[FAMILY_IPV4], before.paths[FAMILY_IPV4]);
	assert_int_equal(after.groups, before.groups);
	assert_int_equal(after.attrs, before.attrs);
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* ---- S04 ---- */

#define LEAVES 64

static void
say_keepalive(void *arg)
{
	static const uint8_t keepalive[19] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 255, 0, 19, BGP_KEEPALIVE };
	struct puppet *p = arg;

	if (p->stream)
		rt_write(p->stream, keepalive, sizeof(keepalive));
	rt_timer_set(p->timer, mono_add(rt_now(p->rt), SECONDS(3)));
}

/* In the place of a switch, on its eth1. */
static struct puppet *
play_switch(struct world *w, const char *name, uint32_t asn, uint32_t id)
{
	struct world_node *wn = world_node_find(w, name);

	world_crash(wn, SIM_KILLED);
	sim_node_boot(wn->rt);
	return puppet_new(wn, world_ifindex(wn, "eth1"), asn, id);
}

static struct puppet *
play(struct world *w, unsigned int leaf)
{
	char name[16];

	snprintf(name, sizeof(name), "leaf%u", leaf);
	return play_switch(w, name, 4200000000u + leaf, 0x0a000100 + leaf);
}

/* The newest word of the storm that a leaf has heard. */
static unsigned int
heard(struct world_node *leaf, const struct prefix *p)
{
	struct rib_view v;
	struct rd value;

	if (!rib_get(leaf->node->rib, RIB_MAIN_TABLE, p, &v) || !v.list || !v.list->width)
		return 0;
	if (!bgp_attr_find(v.list->paths[v.list->best].attrs->v.wire, v.list->paths[v.list->best].attrs->v.wire_len,
		BGP_ATTR_COMMUNITIES, &value))
		return 0;
	return rd_u32(&value) & 0xffff;
}

static void
storm(struct puppet *p, const struct prefix *prefix, unsigned int n)
{
	uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 4, 0xfd, 0xec, (uint8_t)(n >> 8), (uint8_t)n };
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };

	puppet_say_with(p, &v, prefix, 1);
}

/* Virtual time until the last of the leaves that are real has heard it, in microseconds. */
static int64_t
told_all(struct world *w, struct puppet *p, const struct prefix *prefix, unsigned int n)
{
	int64_t us = 0;
	char name[16];

	storm(p, prefix, n);
	for (unsigned int leaf = 1; leaf <= LEAVES - 2; leaf++) {
		struct world_node *wn;

		snprintf(name, sizeof(name), "leaf%u", leaf);
		wn = world_node_find(w, name);
		while (heard(wn, prefix) != n) {
			world_run(w, 50);
			us += 50;
			assert_true(us < SECONDS(3));
		}
	}
	return us;
}

/* Small windows: who does not read is felt soon; and TCP itself ends no session. */
static const struct sim_tcp slow_tcp = {
	.window = 16384, .segment = 4096, .hold_us = SECONDS(900), .connect_us = SECONDS(127)
};

/*
 * S04: one of 64 leaves says that it lives and reads nothing, while another one changes its prefix all the time. What
 * waits for it is bounded (16 MiB), the others hear as soon as before, and the send hold timer ends it (RFC 9687).
 */
static void
test_S04_one_slow_reader(void **state)
{
	static const char text[] = "schema: 1\nfabric: wide\ntiers:\n"
				   "  - {name: spine, count: 1, asn: 65000, loopback: 10.0.0.0/24}\n"
				   "  - {name: leaf, count: 64, asn: {base: 4200000000}, loopback: 10.0.1.0/24,\n"
				   "     up: {to: spine, local: \"eth1\", remote: \"eth[1-64]\"},\n"
				   "     hosts: {ports: \"eth[3-4]\", racks: {pool: 10.32.0.0/16, len: 24}}}\n";
	struct world_config cfg = { .topo = load(text), .seed = 4, .cpu_us = 5 };
	struct world *w = make(&cfg);
	struct world_node *spine = world_node_find(w, "spine1");
	int64_t before = 0, after = 0, since;
	uint64_t memory, most = 0;
	struct puppet *loud, *deaf;
	unsigned int n = 1;
	struct prefix p;

	(void)state;
	assert_true(prefix_parse("10.32.63.0/24", &p));
	sim_tcp_set(world_net(w), &slow_tcp);
	world_run(w, SECONDS(20));
	loud = play(w, LEAVES - 1);
	deaf = play(w, LEAVES);
	world_run(w, SECONDS(40));
	assert_true(loud->established && deaf->established);
	for (; n <= 50; n++) {
		before += told_all(w, loud, &p, n);
		world_run(w, MS(100));
	}
	memory = memory_of(spine);
	rt_stream_pause(deaf->stream, true);
	rt_timer_free(deaf->timer);
	deaf->timer = rt_timer_new(deaf->rt, say_keepalive, deaf);
	say_keepalive(deaf);
	since = rt_now(deaf->rt).us;
	/* fills what TCP takes, then goes on at its leisure until the send hold timer has had its time */
	for (; n < 2000; n++) {
		storm(loud, &p, n);
		world_run(w, MS(1));
		most = MAX_OF(most, memory_of(spine));
	}
	for (; n < 2050; n++) {
		after += told_all(w, loud, &p, n);
		world_run(w, MS(100));
	}
	if (after > before + before / 10)
		fail_msg("others hear after %lld us, and before after %lld us", (long long)after / 50,
		    (long long)before / 50);
	assert_true(session(spine, LEAVES - 1)->established);
	while (session(spine, LEAVES - 1)->established && rt_now(deaf->rt).us - since < SECONDS(600)) {
		storm(loud, &p, n++ % 60000 + 1);
		world_run(w, MS(200));
		most = MAX_OF(most, memory_of(spine));
	}
	assert_false(session(spine, LEAVES - 1)->established);
	assert_int_equal(bgp_peer_last_reset(session(spine, LEAVES - 1)->bgp)->cause, BGP_CAUSE_SEND_HOLD);
	assert_true(rt_now(deaf->rt).us - since > SECONDS(470));
	assert_in_range(most, memory, memory + (16 << 20));
	for (unsigned int i = 0; i < LEAVES - 1; i++) {
		assert_true(session(spine, i)->established);
		assert_in_range(bgp_peer_counters(session(spine, i)->bgp)->flaps, 0, 1); /* 1: before it was played */
	}
	puppet_free(loud);
	puppet_free(deaf);
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* A prefix of its own, with attributes that fill most of a message, and say number n. */
static struct prefix
say_big(struct puppet *p, unsigned int i, unsigned int n)
{
	uint8_t wire[3811] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xd0, 8, 3800 >> 8, 3800 & 0xff };
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct prefix prefix = { .family = FAMILY_IPV4, .len = 32, .b = { 10, 64 } };

	put_u16(prefix.b + 2, (uint16_t)i);
	for (unsigned int k = 0; k < 950; k++) {
		put_u16(wire + 11 + 4 * k, (uint16_t)(65000 + (k ? i >> 8 : 0)));
		put_u16(wire + 13 + 4 * k, (uint16_t)(k ? k << 6 | (i & 0x3f) : n));
	}
	puppet_say_with(p, &v, &prefix, 1);
	return prefix;
}

/* Some 16 KiB each half second. */
static void
read_a_little(struct world *w, struct puppet *p, int64_t us)
{
	for (; us > 0; us -= MS(500)) {
		rt_stream_pause(p->stream, false);
		world_run(w, 15);
		rt_stream_pause(p->stream, true);
		world_run(w, MS(500) - 15);
	}
}

/*
 * S04: one of two leaves reads, and so little that it needs minutes for what the others have in a moment. It is told all
 * the same, over a session that stays, and after two seconds nobody waits for it.
 */
static void
test_S04_one_that_reads_a_little(void **state)
{
	enum { ROUTES = 2400 };
	static const char text[] =
	    "schema: 1\nfabric: small\ntiers:\n"
	    "  - {name: super, count: 1, role: border, asn: 65000, loopback: 10.0.0.0/24}\n"
	    "  - {name: spine, count: 1, asn: 65001, loopback: 10.0.2.0/24,\n"
	    "     up: {to: super, local: \"eth9\", remote: \"eth1\"}}\n"
	    "  - {name: leaf, count: 2, asn: {base: 4200000000}, loopback: 10.0.1.0/24,\n"
	    "     up: {to: spine, local: \"eth1\", remote: \"eth[1-2]\"},\n"
	    "     hosts: {ports: \"eth[3-4]\", racks: {pool: 10.32.0.0/16, len: 24}}}\n"
	    "external:\n"
	    "  - {at: \"super1:eth5\", name: x1, asn: 4200000900, local: 100.64.0.0/31, peer: 100.64.0.1, in: full, "
	    "out: default}\n";
	struct world_config cfg = { .topo = load(text), .seed = 4, .cpu_us = 5 };
	struct world *w = make(&cfg);
	struct world_node *spine = world_node_find(w, "spine1"), *leaf = world_node_find(w, "leaf1");
	struct puppet *loud, *slow;
	struct export_peer *x;
	struct prefix last;
	uint64_t memory, most = 0;
	unsigned int n, s = 0;

	(void)state;
	sim_tcp_set(world_net(w), &slow_tcp);
	world_run(w, SECONDS(20));
	loud = play_switch(w, "super1", 65000, 0x0a000001);
	slow = play(w, 2);
	world_run(w, SECONDS(40));
	assert_true(loud->established && slow->established);
	rt_stream_pause(slow->stream, true);
	for (unsigned int i = 0; i < ROUTES; i++)
		last = say_big(loud, i, 1);
	for (n = 0; heard(leaf, &last) != 1; n++) {
		read_a_little(w, slow, MS(500));
		assert_true(n < 8);
	}
	memory = memory_of(spine); /* with all the routes */
	x = session(spine, 1)->export;
	assert_non_null(x);
	for (; (export_peer_lags(x) || export_peer_walks(x) || bgp_queue_bytes(session(spine, 1)->bgp) || s < 10) &&
	       s < 900;
	     s++) {
		last = say_big(loud, s % ROUTES, 2 + s);
		world_run(w, MS(100));
		assert_int_equal(heard(leaf, &last), 2 + s);
		read_a_little(w, slow, MS(500));
		most = MAX_OF(most, memory_of(spine));
	}
	assert_in_range(s, 100, 899); /* it took its time, and has heard all */
	assert_in_range(most, 1, memory + (8 << 20));
	rt_stream_pause(slow->stream, false);
	world_run(w, SECONDS(1));
	assert_in_range(slow->reached[FAMILY_IPV4], ROUTES, 3 * ROUTES + s);
	assert_int_equal(slow->downs, 0);
	assert_ptr_equal(session(spine, 1)->export, x);
	puppet_free(loud);
	puppet_free(slow);
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_S01_all_sessions_at_once),
		cmocka_unit_test(test_S02_session_storm),
		cmocka_unit_test(test_S04_one_slow_reader),
		cmocka_unit_test(test_S04_one_that_reads_a_little),
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
