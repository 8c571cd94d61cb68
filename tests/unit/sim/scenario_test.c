/*
 * tests/unit/sim/scenario_test.c -- faults as texts, chaos that finds nothing, runs that repeat, checks that can fail
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/chaos.h"

static struct topo *
load(const char *file)
{
	struct topo_errors errs = { 0 };
	char path[256], *text = malloc(1 << 20);
	struct topo *t;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "tests/data/topology/%s", file);
	f = fopen(path, "r");
	if (!f || !text)
		fail_msg("%s: run the test at the top of the tree", path);
	n = fread(text, 1, 1 << 20, f);
	fclose(f);
	t = topo_load(text, n, &errs);
	assert_non_null(t);
	topo_errors_free(&errs);
	free(text);
	return t;
}

/* ---- texts ---- */

static const struct {
	const char *text, *print; /* print NULL: refused, with `why` in the sentence */
	const char *why;
} texts[] = {
	{ "@12.5 cut leaf1:eth1 for 3", "@12.500000 cut leaf1:eth1 for 3.000000", NULL },
	{ "@0 dark spine2 for 0.000001", "@0.000000 dark spine2 for 0.000001", NULL },
	{ "@7 swap leaf1:eth1 leaf2:eth2 for 20 with 9", "@7.000000 swap leaf1:eth1 leaf2:eth2 for 20.000000 with 9",
	    NULL },
	{ "@16 lose leaf3 with 17", "@16.000000 lose leaf3 with 17", NULL },
	{ "16 lose leaf3", NULL, "@SECONDS" },
	{ "@16 melt leaf3", NULL, "no kind of fault" },
	{ "@16 cut leaf3", NULL, "done to a port" },
	{ "@16 dark leaf3:eth1", NULL, "done to a node" },
	{ "@16 dark leef3", NULL, "did you mean" },
	{ "@16 cut leaf3:eth9", NULL, "did you mean eth1, eth2" },
	{ "@16 cut leaf3:eth3", NULL, "leads to no other switch" },
	{ "@16 swap leaf3:eth1", NULL, "two ports" },
	{ "@16 dark leaf3 since 9", NULL, "not understood" },
	{ "@16 dark leaf3 for x", NULL, "not understood" },
	{ "", NULL, "@SECONDS" },
};

static void
faults_as_texts(void **state)
{
	struct topo *t = load("4x2.yaml");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char err[256] = "", print[FAULT_TEXT];
		struct fault f;
		bool ok = fault_parse(t, texts[i].text, &f, err, sizeof(err));

		if (ok != (texts[i].print != NULL))
			fail_msg("\"%s\": %s", texts[i].text, ok ? "accepted" : err);
		if (ok && strcmp(fault_print(t, &f, print), texts[i].print) != 0)
			fail_msg("\"%s\" became \"%s\"", texts[i].text, print);
		if (!ok && !strstr(err, texts[i].why))
			fail_msg("\"%s\": %s", texts[i].text, err);
	}
	topo_free(t);
}

static const struct topo *
give(void *arg, const char *file, char *err, size_t errlen)
{
	(void)file;
	(void)err;
	(void)errlen;
	return arg;
}

static void
traces_as_texts(void **state)
{
	struct topo *t = load("4x2.yaml");
	struct scenario sc;
	char err[256], *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	assert_true(scenario_parse("# a trace\ntopology x.yaml\nseed 7\nuntil 90\n@1 kill leaf1 for 2 # here\n\n", give,
	    t, &sc, err, sizeof(err)));
	assert_int_equal(sc.seed, 7);
	assert_int_equal(sc.nfaults, 1);
	assert_int_equal(sc.until.us, SECONDS(90));
	f = open_memstream(&text, &len);
	assert_non_null(f);
	scenario_print_line(&sc, "x.yaml", f);
	fclose(f);
	assert_string_equal(text, "topology x.yaml; seed 7; until 90.000000; @1.000000 kill leaf1 for 2.000000\n");
	scenario_done(&sc);
	assert_true(scenario_parse(text, give, t, &sc, err, sizeof(err)));
	assert_int_equal(sc.nfaults, 1);
	scenario_done(&sc);
	free(text);
	assert_true(
	    scenario_parse("topology x; bfd; outside 20; cpu 30; @1 kill leaf1 for 2", give, t, &sc, err, sizeof(err)));
	assert_true(sc.bfd);
	assert_true(sc.outside);
	assert_int_equal(sc.feed, 20);
	assert_int_equal(sc.cpu_us, 30);
	f = open_memstream(&text, &len);
	assert_non_null(f);
	scenario_print_line(&sc, "x", f);
	fclose(f);
	assert_string_equal(
	    text, "topology x; seed 1; until 0.000000; bfd; outside 20; cpu 30; @1.000000 kill leaf1 for 2.000000\n");
	scenario_done(&sc);
	free(text);
	assert_false(scenario_parse("topology x\n@1 kill leef", give, t, &sc, err, sizeof(err)));
	assert_non_null(strstr(err, "line 2"));
	scenario_done(&sc);
	assert_false(scenario_parse("@1 kill leaf1", give, t, &sc, err, sizeof(err)));
	assert_false(scenario_parse("", give, t, &sc, err, sizeof(err)));
	topo_free(t);
}

/* ---- chaos ---- */

static void
expect_nothing(const struct scenario *sc, struct outcome *out)
{
	scenario_run(sc, NULL, out);
	if (out->violation.kind || out->error[0]) {
		scenario_print(sc, "?", stdout);
		fail_msg("%s: %s%s", check_kind_name(out->violation.kind), out->violation.text, out->error);
	}
}

static void
chaos_on(const char *file, uint64_t seed, uint32_t events, bool bfd)
{
	struct topo *t = load(file);
	struct chaos_config cfg = { .topo = t,
		.seed = seed,
		.events = events,
		.us = SECONDS(90) * events,
		.bfd = bfd,
		.outside = t->nexternals > 0,
		.feed = 10 };
	struct scenario sc;
	struct outcome out;
	uint32_t all = 0;

	chaos_make(&cfg, &sc);
	expect_nothing(&sc, &out);
	for (int k = 0; k < FAULT_KINDS; k++) {
		all += out.done[k];
		if (out.done[k] * 20 < events)
			fail_msg("%s: only %u of %u faults", fault_kind_name((enum fault_kind)k), out.done[k], events);
	}
	assert_int_equal(all + out.idle, events);
	assert_true(out.overlapping * 10 >= all * 3);
	assert_true(out.stats.quiet * 10 >= events);
	assert_true(out.stats.losses > 0);
	scenario_done(&sc);
	topo_free(t);
}

static void
chaos_finds_nothing(void **state)
{
	(void)state;
	chaos_on("4x2.yaml", 21, 240, false);
	chaos_on("16x4.yaml", 22, 120, false);
	chaos_on("3tier-small.yaml", 23, 120, false);
	chaos_on("parallel.yaml", 26, 120, false);
	chaos_on("outside.yaml", 27, 120, false);
}

static void
chaos_finds_nothing_with_bfd(void **state)
{
	(void)state;
	chaos_on("4x2.yaml", 24, 240, true);
	chaos_on("3tier-small.yaml", 25, 120, true);
}

/* Silence, found by the hold timer and by BFD: the longest loss is a little below either. */
static void
bfd_ends_silence_within_its_detection_time(void **state)
{
	struct topo *t = load("4x2.yaml");
	int64_t detect = t->timers.bfd_us * t->timers.bfd_multiplier;

	(void)state;
	for (int bfd = 0; bfd < 2; bfd++) {
		struct scenario sc;
		struct outcome out;
		char err[256];

		assert_true(scenario_parse(
		    "topology x; @101 one-way leaf1:eth1 for 30; @150 two-way leaf2:eth2 for 30; until 200", give, t,
		    &sc, err, sizeof(err)));
		sc.bfd = bfd;
		expect_nothing(&sc, &out);
		assert_int_equal(out.done[FAULT_ONE_WAY] + out.done[FAULT_TWO_WAY], 2);
		assert_in_range(out.stats.worst_us, bfd ? detect / 2 : t->timers.hold_us / 2,
		    (bfd ? detect : t->timers.hold_us) + MS(20));
		scenario_done(&sc);
	}
	topo_free(t);
}

/* What nobody may notice, and what ends it: nothing is lost by either. */
static void
upgrades_lose_nothing(void **state)
{
	static const struct {
		const char *text;
		uint64_t upgrades, unnoticed, given_up;
		bool losses;
	} cases[] = {
		{ "topology x; @101 upgrade leaf1; @115 upgrade spine1 with 11; @130 upgrade leaf1 with 5", 3, 3, 0,
		    false },
		{ "topology x; bfd; @101 upgrade spine2 with 11; @116 upgrade leaf3 with 9", 2, 2, 0, false },
		{ "topology x; @101 upgrade spine1 with 11; @101.5 cut leaf1:eth1 for 3", 0, 0, 1, true },
		{ "topology x; @101 upgrade spine1 with 11; @101.5 clock spine1 with 20", 1, 0, 0, false },
		{ "topology x; @101 upgrade spine1 with 11; @101.5 kill spine1 for 3", 0, 0, 1, false },
		{ "topology x; @101 upgrade spine1 with 11; @101.5 stop spine1 for 3; @102 upgrade spine1", 0, 0, 1,
		    false },
		{ "topology x; @101 stop spine1 for 3; @200 stop leaf2 for 0.1; @300 stop leaf2 for 60", 0, 0, 0,
		    false },
		{ "topology x; @101 upgrade leaf1 with 9; @101.1 upgrade spine1 with 9; @101.2 upgrade leaf2", 3, 1, 0,
		    false },
		/* with a link down, and after it has come back */
		{ "topology x; @101 cut leaf1:eth1 for 9; @101.2 upgrade spine1; @400 upgrade spine1", 2, 2, 0, true },
	};
	struct topo *t = load("4x2.yaml");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scenario sc;
		struct outcome out;
		char err[256];

		print_message("%s\n", cases[i].text);
		assert_true(scenario_parse(cases[i].text, give, t, &sc, err, sizeof(err)));
		expect_nothing(&sc, &out);
		assert_int_equal(out.stats.upgrades, cases[i].upgrades);
		assert_int_equal(out.stats.unnoticed, cases[i].unnoticed);
		assert_int_equal(out.stats.given_up, cases[i].given_up);
		assert_int_equal(out.stats.losses > 0, cases[i].losses);
		scenario_done(&sc);
	}
	topo_free(t);
}

static void
the_same_seed_gives_the_same_log(void **state)
{
	struct topo *t = load("4x2.yaml");
	struct outcome out[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct chaos_config cfg = { .topo = t, .seed = i < 2 ? 5 : 6, .events = 24, .us = SECONDS(2000) };
		struct scenario sc;

		chaos_make(&cfg, &sc);
		expect_nothing(&sc, &out[i]);
		scenario_done(&sc);
	}
	assert_true(out[0].hash == out[1].hash);
	assert_true(out[0].lines == out[1].lines && out[0].lines > 100);
	assert_true(out[0].hash != out[2].hash);
	topo_free(t);
}

/* ---- a check that cannot fail is none ---- */

struct bench {
	struct topo *t;
	struct world *w;
	struct check *c;
};

static void
bench_init(struct bench *b, const char *file)
{
	struct world_config cfg = { 0 };
	struct check_config check = { .cold = true, .reconnect_us = SECONDS(5) };
	char err[256];

	b->t = load(file);
	cfg.topo = b->t;
	cfg.seed = 3;
	cfg.outside = b->t->nexternals > 0;
	cfg.feed = 10;
	b->w = world_new(&cfg, err, sizeof(err));
	assert_non_null(b->w);
	b->c = check_new(b->w, &check);
	check_run_until(b->c, (struct mono){ SECONDS(8) });
	check_quiet(b->c);
	assert_int_equal(check_violation(b->c)->kind, CHECK_NONE);
}

static void
bench_done(struct bench *b, enum check_kind want)
{
	if (check_violation(b->c)->kind != want)
		fail_msg("found \"%s\" (%s), wanted \"%s\"", check_kind_name(check_violation(b->c)->kind),
		    check_violation(b->c)->text, check_kind_name(want));
	check_free(b->c);
	world_free(b->w);
	topo_free(b->t);
}

/* A route of a switch to somebody's rack, straight in its forwarding plane, behind everybody's back. */
static void
force(struct bench *b, const char *node, const char *to, const char *port)
{
	struct world_node *wn = world_node_find(b->w, node);
	struct plat_op op[2] = { { .kind = PLAT_NH_SET, .id = 77 }, { .kind = PLAT_ROUTE_SET } };
	struct sim_port_view v, far;

	op[0].nh.ifindex = world_ifindex(wn, port);
	assert_int_equal(sim_port_get(wn->rt, op[0].nh.ifindex, &v), 0);
	if (v.far_node) {
		sim_port_get(v.far_node, v.far_ifindex, &far);
		op[0].nh.gateway = far.link_local;
	}
	op[1].route = (struct plat_route){ .prefix = topo_node_find(b->t, to)->rack[FAMILY_IPV4],
		.type = PLAT_UNICAST,
		.group_is_nh = true,
		.group = 77,
		.metric = 1 };
	wn->platform->client = NULL; /* its results are not for the node */
	assert_int_equal(wn->platform->ops->submit(wn->platform, op, 2), 2);
	world_run(b->w, MS(1));
}

static void
a_valley_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	world_link_set(b.w, "leaf1", "eth1", false);
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	force(&b, "spine1", "leaf1", "eth2"); /* by leaf2, which sends it up to spine2 */
	bench_done(&b, CHECK_VALLEY);
}

static void
a_packet_that_leaves_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	force(&b, "leaf2", "leaf1", "eth3"); /* a host port */
	bench_done(&b, CHECK_LEAVES);
}

/* With routers outside, and default routes to them everywhere. */
static void
a_packet_that_leaves_by_a_border_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "outside.yaml");
	force(&b, "border1", "leaf1", "eth9");
	bench_done(&b, CHECK_LEAVES);
}

static void
an_outside_that_is_lost_is_found(void **state)
{
	struct world_node *wn;
	struct prefix p;
	struct bench b;

	(void)state;
	bench_init(&b, "outside.yaml");
	check_quiet(b.c);
	assert_int_equal(check_violation(b.c)->kind, CHECK_NONE);
	wn = world_node_find(b.w, "leaf2");
	assert_true(prefix_parse("0.0.0.0/0", &p));
	assert_int_equal(model_lose_route(wn->platform, 0, &p, 20, false), 0);
	check_lightly(b.c); /* else the comparison with what sync wants finds it first */
	check_quiet(b.c);
	bench_done(&b, CHECK_OUTSIDE);
}

/* A border that loses its sessions takes its default route back, and all go by the other. */
static void
the_other_border_takes_over(void **state)
{
	struct world_walk walk;
	struct ip probe = { .family = FAMILY_IPV4 };
	struct bench b;

	(void)state;
	bench_init(&b, "outside.yaml");
	assert_true(ip_parse("20.0.5.1", &probe)); /* one of the prefixes of those outside */
	world_outside_set(b.w, false);
	sim_link_set(world_outside(b.w, &(size_t){ 0 })[1].rt, 1, true); /* isp-b of border2 comes back */
	check_run_until(b.c, (struct mono){ SECONDS(20) });
	for (uint64_t flow = 0; flow < 16; flow++) {
		assert_int_equal(world_walk(b.w, topo_node_find(b.t, "leaf1")->index, &probe, flow, &walk), WORLD_LEFT);
		assert_int_equal(walk.nhops, 3);
		assert_string_equal(b.t->nodes[walk.hops[2]].name, "border2");
	}
	world_outside_set(b.w, false);
	check_run_until(b.c, (struct mono){ SECONDS(21) });
	assert_int_not_equal(world_walk(b.w, topo_node_find(b.t, "leaf1")->index, &probe, 0, &walk), WORLD_LEFT);
	bench_done(&b, CHECK_NONE);
}

static void
a_next_hop_that_did_not_advertise_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "3tier-small.yaml");
	world_link_set(b.w, "p1-leaf1", "eth1", false); /* plane 1 has no way to it */
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	check_fault(b.c, SECONDS(60), NULL, 0); /* that it does not arrive is not the point */
	force(&b, "p2-leaf1", "p1-leaf1", "eth1");
	check_run_until(b.c, (struct mono){ SECONDS(10) });
	bench_done(&b, CHECK_UNADVERTISED);
}

static void
a_black_hole_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	world_black(b.w, "leaf1", "eth1", true);
	check_fault(b.c, 0, NULL, 0); /* nobody says that it may take the hold time */
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	bench_done(&b, CHECK_BLACK_HOLE);
	bench_init(&b, "4x2.yaml");
	model_lose_route(
	    world_node_find(b.w, "leaf1")->platform, 0, &topo_node_find(b.t, "leaf2")->rack[FAMILY_IPV4], 20, false);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	bench_done(&b, CHECK_BLACK_HOLE);
}

static void
a_narrow_route_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	force(&b, "leaf2", "leaf1", "eth1"); /* it arrives, and should use both spines */
	check_quiet(b.c);
	bench_done(&b, CHECK_PATHS);
}

/* A switch whose every callback takes a second, and says so to nobody. */
static void
a_late_keepalive_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	check_run_until(b.c, (struct mono){ SECONDS(60) });
	assert_int_equal(check_violation(b.c)->kind, CHECK_NONE);
	sim_node_cpu(world_node_find(b.w, "leaf1")->rt, SECONDS(1), 0);
	check_run_until(b.c, (struct mono){ SECONDS(90) });
	bench_done(&b, CHECK_LATE);
}

/* With CPU time nothing is late, and time passes while a fabric comes up. */
static void
cpu_time_passes(void **state)
{
	struct topo *t = load("outside.yaml");
	struct scenario sc = { .topo = t, .seed = 5, .outside = true, .feed = 3000, .until = { SECONDS(150) } };
	struct outcome free_of_charge, slow;

	(void)state;
	expect_nothing(&sc, &free_of_charge);
	sc.cpu_us = 50;
	expect_nothing(&sc, &slow);
	assert_true(slow.hash != free_of_charge.hash);
	topo_free(t);
}

static void
what_is_left_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	check_empty(b.c); /* nothing was withdrawn */
	bench_done(&b, CHECK_LEAK);
}

/* What a violation is shrunk to still shows it. */
static void
shrinking_keeps_the_violation(void **state)
{
	struct topo *t = load("4x2.yaml");
	struct chaos_config cfg = { .topo = t, .seed = 9, .events = 40, .us = SECONDS(4000) };
	struct scenario sc;
	struct outcome out;

	(void)state;
	t->nodes[2].asn = t->nodes[3].asn; /* two leaves of one AS never reach each other */
	chaos_make(&cfg, &sc);
	scenario_run(&sc, NULL, &out);
	assert_int_not_equal(out.violation.kind, CHECK_NONE);
	chaos_shrink(&sc, &out, 50);
	assert_int_equal(sc.nfaults, 0); /* no fault is needed for it */
	assert_int_not_equal(out.violation.kind, CHECK_NONE);
	scenario_done(&sc);
	topo_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_as_texts),
		cmocka_unit_test(traces_as_texts),
		cmocka_unit_test(chaos_finds_nothing),
		cmocka_unit_test(chaos_finds_nothing_with_bfd),
		cmocka_unit_test(bfd_ends_silence_within_its_detection_time),
		cmocka_unit_test(upgrades_lose_nothing),
		cmocka_unit_test(the_same_seed_gives_the_same_log),
		cmocka_unit_test(a_valley_is_found),
		cmocka_unit_test(a_packet_that_leaves_is_found),
		cmocka_unit_test(a_packet_that_leaves_by_a_border_is_found),
		cmocka_unit_test(an_outside_that_is_lost_is_found),
		cmocka_unit_test(the_other_border_takes_over),
		cmocka_unit_test(a_next_hop_that_did_not_advertise_is_found),
		cmocka_unit_test(a_black_hole_is_found),
		cmocka_unit_test(a_narrow_route_is_found),
		cmocka_unit_test(what_is_left_is_found),
		cmocka_unit_test(a_late_keepalive_is_found),
		cmocka_unit_test(cpu_time_passes),
		cmocka_unit_test(shrinking_keeps_the_violation),
	};

	return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
