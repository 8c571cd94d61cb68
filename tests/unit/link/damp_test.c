/* tests/unit/link/damp_test.c -- the penalty of a flapping link in virtual time, against the formula */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/damp.h"

static const struct damp_config usual = { .half_life_us = SECONDS(5), .suppress = 3 };

static struct mono
at(int64_t us)
{
	return (struct mono){ SECONDS(1000) + us };
}

static void
decays_by_half(void **state)
{
	static const struct {
		int64_t us;
		double of;
	} cases[] = {
		{ 0, 1 },
		{ MS(500), 0.93303 },
		{ SECONDS(1), 0.87055 },
		{ MS(2500), 0.70711 },
		{ MS(4999), 0.50007 },
		{ SECONDS(5), 0.5 },
		{ SECONDS(8), 0.32988 },
		{ SECONDS(10), 0.25 },
		{ SECONDS(50), 0.00098 },
		{ SECONDS(500000), 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct damp d = { .penalty = 1000 * DAMP_FLAP, .at = at(0) };
		double got = (double)damp_penalty(&d, &usual, at(cases[i].us)) / 1e6;

		if (fabs(got - cases[i].of) > 0.001)
			fail_msg("after %lld us: %f, not %f", (long long)cases[i].us, got, cases[i].of);
	}
}

/* So many flaps, so far apart: whether it is kept out, and for how long after the last one. */
static void
suppresses_and_releases(void **state)
{
	static const struct {
		const char *name;
		int flaps;
		int64_t apart_us;
		bool out;
		int64_t release_us; /* after the last flap, give or take a hundredth */
	} cases[] = {
		{ "one", 1, 0, false, 0 },
		{ "two at once", 2, 0, false, 0 },
		{ "three at once", 3, 0, true, SECONDS(5) },
		{ "six at once: one half-life more", 6, 0, true, SECONDS(10) },
		{ "three in three seconds", 3, SECONDS(1), false, 0 },
		{ "four in three seconds: 3.3 left of them", 4, SECONDS(1), true, 5660000 },
		{ "one every three seconds, for ever", 500, SECONDS(3), false, 0 },
		{ "one every two seconds, for ever: 4.1", 500, SECONDS(2), true, 7260000 },
		{ "ten a second for a minute: the ceiling, three half-lives", 600, MS(100), true, SECONDS(15) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct damp d = { 0 };
		struct mono now = at(0), release;
		unsigned int told = 0;

		for (int k = 0; k < cases[i].flaps; k++) {
			now = at(k * cases[i].apart_us);
			assert_false(damp_look(&d, &usual, now));
			told += damp_flap(&d, &usual, now);
		}
		if (d.suppressed != cases[i].out || told != cases[i].out)
			fail_msg("%s: %d", cases[i].name, d.suppressed);
		assert_int_equal(d.flaps, cases[i].flaps);
		release = damp_release(&d, &usual);
		if (!cases[i].out) {
			assert_true(mono_is_never(release));
			continue;
		}
		if (llabs(mono_sub(release, now) - cases[i].release_us) > cases[i].release_us / 100)
			fail_msg("%s: released after %lld us", cases[i].name, (long long)mono_sub(release, now));
		assert_false(damp_look(&d, &usual, mono_add(release, -1)));
		assert_true(damp_look(&d, &usual, release));
		assert_false(d.suppressed);
		assert_false(damp_look(&d, &usual, release));
		assert_true(mono_is_never(damp_release(&d, &usual)));
	}
}

/* What it is worth at its release is not forgotten: the next flaps keep it out sooner. */
static void
remembers(void **state)
{
	struct damp d = { 0 };
	struct mono now = at(0);

	(void)state;
	for (int i = 0; i < 3; i++)
		damp_flap(&d, &usual, now);
	now = damp_release(&d, &usual);
	assert_true(damp_look(&d, &usual, now));
	assert_false(damp_flap(&d, &usual, now));
	assert_true(damp_flap(&d, &usual, now));
	assert_int_equal(d.times, 2);
}

/* A link that falls as soon as it is used: each time it is kept out for longer, and at last one flap is enough. */
static void
longer_each_time(void **state)
{
	static const int64_t out_us[] = { SECONDS(5), SECONDS(10), SECONDS(20), SECONDS(40), SECONDS(60), SECONDS(60) };
	struct damp d = { 0 };
	struct mono now = at(0), release;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(out_us); i++) {
		for (int flaps = i == 0 ? 3 : i == 1 ? 2 : 1; flaps > 0; flaps--)
			assert_int_equal(damp_flap(&d, &usual, now), flaps == 1);
		release = damp_release(&d, &usual);
		if (llabs(mono_sub(release, now) - out_us[i]) > out_us[i] / 50)
			fail_msg("time %zu: %lld us", i, (long long)mono_sub(release, now));
		assert_false(damp_look(&d, &usual, mono_add(release, -1)));
		assert_true(damp_look(&d, &usual, release));
		now = mono_add(release, MS(1));
	}
	/* a minute in use without a flap, and all is forgotten */
	now = mono_add(now, SECONDS(61));
	assert_false(damp_flap(&d, &usual, now));
	assert_false(damp_flap(&d, &usual, now));
	assert_true(damp_flap(&d, &usual, now));
	assert_in_range(mono_sub(damp_release(&d, &usual), now), SECONDS(4), SECONDS(6));
}

/* Whatever numbers come from elsewhere: let in after the longest time at latest, counted from now. */
static void
numbers_from_elsewhere(void **state)
{
	static const struct damp wild[] = {
		{ .penalty = UINT64_MAX,
		    .at = { INT64_MAX },
		    .suppressed = true,
		    .row = UINT32_MAX,
		    .released = { INT64_MIN } },
		{ .penalty = UINT64_MAX, .at = { INT64_MIN }, .suppressed = true, .released = { INT64_MAX } },
		{ .penalty = 0, .at = { 0 }, .suppressed = true, .row = 3 },
		{ .penalty = 12345, .at = { SECONDS(2000) }, .row = 7, .released = { SECONDS(999999) } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
		struct damp d = wild[i];

		damp_sane(&d, &usual, at(0));
		assert_int_equal(d.suppressed, wild[i].suppressed);
		assert_true(damp_penalty(&d, &usual, at(0)) <= 12 * DAMP_FLAP);
		if (d.suppressed)
			assert_true(mono_sub(damp_release(&d, &usual), at(0)) <= SECONDS(60));
		assert_true(!d.suppressed || damp_look(&d, &usual, at(SECONDS(60))));
		(void)damp_flap(&d, &usual, at(SECONDS(61)));
	}
}

/* One that may not be kept out, since it is the last way, has no worse name for that. */
static void
forgiven(void **state)
{
	struct damp d = { 0 };

	(void)state;
	for (int i = 0; i < 12; i++)
		if (damp_flap(&d, &usual, at(0)))
			damp_forgive(&d);
	assert_int_equal(d.flaps, 12);
	assert_false(d.suppressed);
	assert_true(damp_flap(&d, &usual, at(0)));
	assert_in_range(mono_sub(damp_release(&d, &usual), at(0)), SECONDS(14), SECONDS(16));
}

/* While it is kept out flaps still count, and put the release off. */
static void
put_off(void **state)
{
	struct damp d = { 0 };
	struct mono first;

	(void)state;
	for (int i = 0; i < 3; i++)
		damp_flap(&d, &usual, at(0));
	first = damp_release(&d, &usual);
	assert_false(damp_flap(&d, &usual, at(SECONDS(4))));
	assert_true(damp_release(&d, &usual).us > first.us + SECONDS(3));
	assert_int_equal(d.times, 1);
}

/* The smallest and the largest half-life of a file. */
static void
extremes(void **state)
{
	static const struct damp_config cfgs[] = { { MS(100), 1 }, { SECONDS(86400), 1000 }, { 1, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cfgs); i++) {
		struct damp d = { 0 };
		struct mono now = at(0), release;

		for (uint32_t k = 0; k < 10 * cfgs[i].suppress; k++)
			damp_flap(&d, &cfgs[i], now);
		assert_true(d.suppressed);
		release = damp_release(&d, &cfgs[i]);
		assert_in_range(mono_sub(release, now), 1, 3 * cfgs[i].half_life_us + cfgs[i].half_life_us / 50 + 3);
		assert_true(damp_look(&d, &cfgs[i], release));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decays_by_half),
		cmocka_unit_test(suppresses_and_releases),
		cmocka_unit_test(remembers),
		cmocka_unit_test(longer_each_time),
		cmocka_unit_test(forgiven),
		cmocka_unit_test(numbers_from_elsewhere),
		cmocka_unit_test(put_off),
		cmocka_unit_test(extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
