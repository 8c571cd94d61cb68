/* tests/unit/lib/slots_test.c -- numbers are given out from 1 on, lead to their things, and are used again */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "fabricd/lib/slots.h"

#define THINGS 200

static void
check(const struct slots *s, char *const things[], size_t limit, size_t count)
{
	uint32_t at = 0;

	assert_int_equal(slots_count(s), count);
	assert_int_equal(s->limit, limit);
	for (uint32_t i = 0; i < limit; i++) {
		assert_ptr_equal(slots_get(s, i), things[i]);
		if (things[i]) {
			assert_ptr_equal(slots_next(s, &at), things[i]);
			assert_int_equal(at, i);
		}
	}
	assert_null(slots_next(s, &at));
	assert_null(slots_get(s, (uint32_t)limit));
	assert_null(slots_get(s, UINT32_MAX));
}

static void
test_numbers(void **state)
{
	struct mem m = { 0 };
	struct slots s = { .mem = &m, .kind = MEM_OTHER };
	char bytes[THINGS + 1], *things[THINGS + 1] = { 0 };

	(void)state;
	check(&s, things, 0, 0);
	for (uint32_t i = 1; i <= THINGS; i++) {
		assert_int_equal(slots_take(&s, &bytes[i]), i);
		things[i] = &bytes[i];
		check(&s, things, i + 1, i);
	}
	for (uint32_t i = 1; i <= THINGS; i += 3) {
		slots_put(&s, i);
		things[i] = NULL;
	}
	check(&s, things, THINGS + 1, THINGS - 67);
	for (uint32_t n = 0; n < 67; n++) { /* in any order, before any new one */
		uint32_t i = slots_take(&s, &bytes[0]);

		assert_in_range(i, 1, THINGS);
		assert_null(things[i]);
		things[i] = &bytes[0];
	}
	check(&s, things, THINGS + 1, THINGS);
	assert_int_equal(slots_take(&s, &bytes[0]), THINGS + 1);
	slots_done(&s);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
	check(&s, things, 0, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
