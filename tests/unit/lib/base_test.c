/* tests/unit/lib/base_test.c -- what the macros promise */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"

static int
count(int *calls, int value)
{
	++*calls;
	return value;
}

static void
evaluates_once(void **state)
{
	int a = 0, b = 0, list[] = { 3, 1, 2 };
	const int *at = list;

	(void)state;
	assert_int_equal(MIN_OF(count(&a, 4), count(&b, 5)), 4);
	assert_int_equal(MAX_OF(count(&a, 4), count(&b, 5)), 5);
	assert_int_equal(a, 2);
	assert_int_equal(b, 2);
	assert_int_equal(MIN_OF(*at++, 9), 3);
	assert_ptr_equal(at, list + 1);
	assert_int_equal(MAX_OF(MIN_OF(count(&a, 7), 6), MIN_OF(count(&b, 2), 5)), 6); /* nested */
	assert_int_equal(a + b, 6);
}

static void
keeps_types(void **state)
{
	uint64_t large = UINT64_C(1) << 40;
	uint32_t small = 7;
	uint8_t octet = 250;

	(void)state;
	assert_true(MAX_OF(large, small) == large);
	assert_true(MIN_OF(large, small) == 7);
	assert_true(MAX_OF((int64_t)-5, (int64_t)-9) == -5);
	assert_int_equal(MIN_OF(octet, 255) + 10, 260); /* promoted as elsewhere */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evaluates_once),
		cmocka_unit_test(keeps_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
