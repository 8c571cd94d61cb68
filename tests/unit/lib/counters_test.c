/* tests/unit/lib/counters_test.c -- a value is that of its owner, now */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fabricd/lib/counters.h"

struct owner {
	char other;
	uint64_t first, many[3];
};

static const struct counter list[] = {
	{ "first", "the first", offsetof(struct owner, first), false },
	{ "last", "the last of many", offsetof(struct owner, many[2]), true },
};

static void
test_values(void **state)
{
	struct owner o = { .other = 'x', .first = 7, .many = { 1, 2, UINT64_MAX } };
	struct counters c = { .list = list, .n = 2, .of = &o };

	(void)state;
	assert_true(counters_value(&c, 0) == 7);
	assert_true(counters_value(&c, 1) == UINT64_MAX);
	o.first++;
	assert_true(counters_value(&c, 0) == 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
