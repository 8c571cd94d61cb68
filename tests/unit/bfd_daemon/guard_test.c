/* tests/unit/bfd_daemon/guard_test.c -- who is late is moved to the other processor, and nobody else */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sched.h>
#include <time.h>

#include "bfd/daemon/guard.h"
#include "fabricd/lib/base.h"

static struct mono
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct mono){ (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 };
}

/* Works until it was moved, or so many microseconds have passed. */
static void
work(const struct bfd_guard *g, uint64_t moves, int64_t us)
{
	struct mono end = mono_add(now(), us);

	while (bfd_guard_moves(g) == moves && !mono_due(end, now()))
		;
}

static cpu_set_t
processors(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return set;
}

static void
who_is_late_is_moved(void **state)
{
	enum { LATE, RUNS, NEVER, PUT_OFF, CASES };
	static const bool moves[CASES] = { [LATE] = true };
	cpu_set_t all = processors();

	(void)state;
	if (CPU_COUNT(&all) < 2)
		skip();
	for (int c = 0; c < CASES; c++) {
		struct mem mem = { 0 };
		struct bfd_guard *g;
		cpu_set_t home, then;

		assert_int_equal(bfd_guard_new(&mem, 1, &g), 0);
		assert_non_null(g);
		home = processors();
		assert_int_equal(CPU_COUNT(&home), 1);
		bfd_guard_expect(g, now());
		if (c == RUNS)
			bfd_guard_runs(g);
		else if (c == NEVER)
			bfd_guard_expect(g, MONO_NEVER);
		else if (c == PUT_OFF)
			bfd_guard_expect(g, mono_add(now(), SECONDS(10)));
		work(g, 0, moves[c] ? SECONDS(5) : MS(50));
		then = processors();
		assert_int_equal(bfd_guard_moves(g), moves[c]);
		assert_int_equal(!CPU_EQUAL(&home, &then), moves[c]);
		assert_int_equal(CPU_COUNT(&then), 1);
		if (moves[c]) { /* and back, by the next one */
			bfd_guard_expect(g, now());
			work(g, 1, SECONDS(5));
			then = processors();
			assert_int_equal(bfd_guard_moves(g), 2);
			assert_true(CPU_EQUAL(&home, &then));
		}
		bfd_guard_free(g);
		assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
		for (int k = 0; k < MEM_KINDS; k++)
			assert_int_equal(mem.by[k].bytes, 0);
	}
}

static void
one_processor_has_no_guard(void **state)
{
	cpu_set_t all = processors(), one;
	struct mem mem = { 0 };
	struct bfd_guard *g;
	int first = 0;

	(void)state;
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(bfd_guard_new(&mem, 1, &g), 0);
	assert_null(g);
	bfd_guard_expect(g, now());
	bfd_guard_runs(g);
	assert_int_equal(bfd_guard_moves(g), 0);
	bfd_guard_free(g);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_late_is_moved),
		cmocka_unit_test(one_processor_has_no_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
