/* tests/support/counters.h -- what holds of every table of counters (fabricd/lib/counters.h), for tests with cmocka */
#ifndef TESTS_SUPPORT_COUNTERS_H
#define TESTS_SUPPORT_COUNTERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fabricd/lib/counters.h"

/* Each is named for programs and for people, tells of a place of its own below `size`, and routine ones come last. */
static inline void
counters_are_sound(const struct counters *c, size_t size)
{
	assert_true(c->n > 0);
	assert_non_null(c->of);
	for (size_t i = 0; i < c->n; i++) {
		const struct counter *one = &c->list[i];

		if (!*one->name || one->name[strspn(one->name, "abcdefghijklmnopqrstuvwxyz-")])
			fail_msg("\"%s\" is no name", one->name);
		if (strlen(one->what) < 3 || strpbrk(one->what, "\t\n"))
			fail_msg("%s: \"%s\" tells nothing", one->name, one->what);
		if (one->at % sizeof(uint64_t) || one->at + sizeof(uint64_t) > size)
			fail_msg("%s is at %zu of %zu", one->name, one->at, size);
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->list[k].name, one->name) == 0 || strcmp(c->list[k].what, one->what) == 0 ||
			    c->list[k].at == one->at)
				fail_msg("%s and %s are the same", c->list[k].name, one->name);
		if (i && c->list[i - 1].routine && !one->routine)
			fail_msg("%s stands behind what is routine", one->name);
	}
}

static inline uint64_t
counter_named(const struct counters *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->list[i].name, name) == 0)
			return counters_value(c, i);
	fail_msg("there is no counter %s", name);
	return 0;
}

/* The sum of those that are not routine. */
static inline uint64_t
counters_trouble(const struct counters *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++)
		sum += c->list[i].routine ? 0 : counters_value(c, i);
	return sum;
}

#endif
