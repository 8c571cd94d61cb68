/* tests/unit/upgrade/crashes_test.c -- P13: how long a fabricd waits that crashes again and again */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/upgrade/crashes.h"

#define BOOT 5000000 /* milliseconds */

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/crashes-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/crashes", dir);
	unlink(path);
	return rmdir(dir);
}

static void
put(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/crashes", dir);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

/* Starts so many milliseconds after each other; each ends without a word but where it says so. */
static void
test_P13_steps(void **state)
{
	static const struct {
		int64_t after_ms;
		bool planned; /* the end before this start */
		int64_t wait_ms;
	} starts[] = {
		{ 0, true, 0 },
		{ 500000, false, 0 },
		{ 300, false, 1000 },
		{ 1300, false, 2000 },
		{ 2300, false, 4000 },
		{ 4300, false, CRASHES_NEVER },
		{ 60000, true, 0 },            /* somebody started it again, */
		{ 100, false, CRASHES_NEVER }, /* and was told the same */
		{ CRASHES_SPAN_MS, true, 0 },
		{ 1000, false, 0 },
		{ CRASHES_SPAN_MS - 1, false, 1000 },
		{ CRASHES_SPAN_MS + 1, false, 0 },
		{ 10, true, 0 },
	};
	int64_t now = BOOT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		struct crashes c;

		now += starts[i].after_ms;
		if (starts[i].planned && i) {
			crashes_read(dir, now, &c);
			c.n -= c.unclean;
			assert_int_equal(crashes_write(dir, &c, false), 0);
		}
		crashes_read(dir, now, &c);
		if (crashes_wait(&c) != starts[i].wait_ms)
			fail_msg("start %zu: waits %lld", i, (long long)crashes_wait(&c));
		assert_int_equal(crashes_write(dir, &c, crashes_wait(&c) != CRASHES_NEVER), 0);
	}
}

/* A successor that ends as it should counts for nothing; one that does not is one crash. */
static void
of_a_successor(void **state)
{
	struct crashes c = { .n = 2, .at_ms = { crashes_now() - 5000, crashes_now() - 2000 } };

	(void)state;
	assert_int_equal(crashes_write(dir, &c, true), 0);
	assert_int_equal(crashes_end(dir), 0);
	crashes_read(dir, crashes_now(), &c);
	assert_true(c.n == 2 && !c.unclean && crashes_wait(&c) == 0);
	assert_int_equal(crashes_write(dir, &c, true), 0);
	crashes_read(dir, crashes_now(), &c);
	assert_true(c.n == 3 && c.unclean);
	assert_true(crashes_end("/nowhere") < 0);
}

/* Whatever stands there: it starts. */
static void
what_says_nothing(void **state)
{
	static const struct {
		const char *name, *text;
		size_t n;
	} cases[] = {
		{ "empty", "", 0 },
		{ "no line", "4999999", 0 },
		{ "of the future: another boot", "5000001\n9999999999999\n", 0 },
		{ "older than ten minutes", "4399999\n", 0 },
		{ "just not", "4400000\n", 1 },
		{ "words", "crashed\nnot a number\n-5\n+7\n0x10\n", 0 },
		{ "too long", "0000000000000000000000000000000000004999999\n", 0 },
		{ "more than it keeps", "4999990\n4999991\n4999992\n4999993\n4999994\n4999995\n4999996\n", 5 },
	};
	struct crashes c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		put(cases[i].text);
		crashes_read(dir, BOOT, &c);
		if (c.n != cases[i].n || c.unclean || crashes_wait(&c) != 0)
			fail_msg("%s: %zu", cases[i].name, c.n);
	}
	assert_int_equal(c.at_ms[0], 4999992);
	assert_int_equal(c.at_ms[4], 4999996);
	crashes_read("/nowhere", BOOT, &c);
	assert_int_equal(crashes_wait(&c), 0);
	assert_true(crashes_write("/nowhere", &c, true) < 0);
}

/* Were the limit higher, a minute would be the longest. */
static void
a_minute_at_most(void **state)
{
	struct crashes c = { .unclean = true };

	(void)state;
	assert_true(crashes_now() > 0);
	for (c.n = 2; c.n < CRASHES_LIMIT; c.n++)
		assert_in_range(crashes_wait(&c), 1000, CRASHES_MOST_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_P13_steps, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(of_a_successor, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_says_nothing, make_dir, remove_dir),
		cmocka_unit_test(a_minute_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
