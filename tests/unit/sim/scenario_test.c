/*
 * tests/unit/sim/scenario_test.c -- faults as texts, chaos that finds nothing; runs that repeat
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/chaos.h"
#include "tests/unit/sim/fixture.h"

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
	{ "@16 cut leaf3:", NULL, "no port \"\" on leaf3" },
	{ "@16 cut :eth1", NULL, "no node \"\" in" },
	{ "@16 cut leaf3:eth3", NULL, "leads to no other switch" },
	{ "@16 swap leaf3:eth1", NULL, "two ports" },
	{ "@16 dark leaf3 since 9", NULL, "not understood" },
	{ "@16 dark leaf3 for x", NULL, "not understood" },
	{ "", NULL, "@SECONDS" },
};

static void
faults_as_texts(void **state)
{
	struct topo *t = load_file("4x2.yaml");

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

static void
traces_as_texts(void **state)
{
	struct topo *t = load_file("4x2.yaml");
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
	assert_false(scenario_parse("topology x; @1 kill leaf1; topology y", give, t, &sc, err, sizeof(err)));
	assert_non_null(strstr(err, "names another one"));
	scenario_done(&sc);
	assert_false(scenario_parse("topology x; seed -1", give, t, &sc, err, sizeof(err)));
	scenario_done(&sc);
	assert_false(scenario_parse("@1 kill leaf1", give, t, &sc, err, sizeof(err)));
	assert_false(scenario_parse("", give, t, &sc, err, sizeof(err)));
	topo_free(t);
}

/* ---- chaos ---- */

static void
chaos_on(const char *file, uint64_t seed, uint32_t events, bool bfd)
{
	struct topo *t = load_file(file);
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
	chaos_on("routed.yaml", 30, 120, false);
	chaos_on("middle.yaml", 29, 120, false);
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
	struct topo *t = load_file("4x2.yaml");
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

/* However slowly a file lets penalties decay: who is damped for minutes is not counted on meanwhile. */
static void
damping_is_as_the_file_has_it(void **state)
{
	static const struct {
		int64_t half_life_us;
		uint32_t suppress;
	} cases[] = { { SECONDS(5), 3 }, { SECONDS(20), 3 }, { SECONDS(20), 1 }, { SECONDS(1), 1 },
		{ SECONDS(40), 5 } };
	struct topo *t = load_file("4x2.yaml");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scenario sc;
		struct outcome out;
		char err[256], text[512];

		t->timers.damping_half_life_us = cases[i].half_life_us;
		t->timers.damping_suppress = cases[i].suppress;
		print_message(
		    "half-life %lld s, %u\n", (long long)(cases[i].half_life_us / SECONDS(1)), cases[i].suppress);
		/* leaf1 keeps it out for up to twelve half-lives after 401 s: it has just let it in, and keeps it out again */
		snprintf(text, sizeof(text),
		    "topology x; bfd; @101 lossy leaf1:eth1 for 300 with 5; @200 flap leaf2:eth1 for 9 with 3; @%lld "
		    "cut leaf1:eth1 for 2; "
		    "@5000 cut leaf3:eth1 for 2; @5001 lie leaf1 for 9; @5002 cut leaf1:eth1 for 2",
		    402 + (long long)(13 * cases[i].half_life_us / SECONDS(1)));
		assert_true(scenario_parse(text, give, t, &sc, err, sizeof(err)));
		expect_nothing(&sc, &out);
		assert_int_equal(out.idle, 0);
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
	struct topo *t = load_file("4x2.yaml");

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

/*
 * What a neighbour no longer reaches is known by its loopback alone (rib/cut.c), before the withdrawals of the rest have been
 * waited for: who has just taken over knows it as well.
 */
static void
a_successor_knows_its_witnesses(void **state)
{
	static const char *const runs[] = { "topology x; @110 cut leaf1:eth1 for 3",
		"topology x; @101 upgrade leaf2; @103 upgrade spine1; @110 cut leaf1:eth1 for 3" };
	struct topo *t = load_file("4x2.yaml");
	struct outcome out[2];
	char err[256];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct scenario sc;

		assert_true(scenario_parse(runs[i], give, t, &sc, err, sizeof(err)));
		expect_nothing(&sc, &out[i]);
		scenario_done(&sc);
	}
	assert_int_equal(out[1].stats.unnoticed, 2);
	assert_true(out[0].stats.worst_us > 0);
	assert_int_equal(out[0].stats.worst_us, out[1].stats.worst_us);
	topo_free(t);
}

/* A switch alone: half of the kinds of faults find nothing to be done to. */
static void
chaos_without_a_link(void **state)
{
	static const char text[] =
	    "schema: 1\nfabric: x\ntiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n";
	struct topo_errors errs = { 0 };
	struct topo *t = topo_load(text, sizeof(text) - 1, &errs);
	struct chaos_config cfg = { .topo = t, .seed = 5, .events = 40, .us = SECONDS(4000) };
	struct scenario sc;
	struct outcome out;

	(void)state;
	assert_non_null(t);
	chaos_make(&cfg, &sc);
	assert_true(sc.nfaults > 0);
	expect_nothing(&sc, &out);
	assert_true(out.done[FAULT_KILL] > 0);
	assert_int_equal(out.done[FAULT_CUT], 0);
	scenario_done(&sc);
	topo_free(t);
}

static void
the_same_seed_gives_the_same_log(void **state)
{
	struct topo *t = load_file("4x2.yaml");
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

/* What a violation is shrunk to still shows it. */
static void
shrinking_keeps_the_violation(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct chaos_config cfg = { .topo = t, .seed = 9, .events = 40, .us = SECONDS(4000) };
	struct scenario sc;
	struct outcome out;

	(void)state;
	assert_true(prefix_parse("192.0.2.77/32", &t->nodes[2].loopback[FAMILY_IPV4])); /* that nobody takes from it */
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
		cmocka_unit_test(damping_is_as_the_file_has_it),
		cmocka_unit_test(upgrades_lose_nothing),
		cmocka_unit_test(a_successor_knows_its_witnesses),
		cmocka_unit_test(chaos_without_a_link),
		cmocka_unit_test(the_same_seed_gives_the_same_log),
		cmocka_unit_test(shrinking_keeps_the_violation),
	};

	return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
