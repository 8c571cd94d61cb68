/* tests/unit/lib/heap_test.c -- deadlines come out in order, whatever was set, moved or taken out before */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/heap.h"

static void
test_equal_times_come_in_the_order_of_setting(void **state)
{
	struct heap h = heap_make(NULL, MEM_OTHER);
	struct heap_item items[5] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		heap_set(&h, &items[i], (struct mono){ 7 });
	heap_set(&h, &items[1], (struct mono){ 7 }); /* again: now the last */
	assert_ptr_equal(heap_first(&h), &items[0]);
	heap_remove(&h, &items[0]);
	assert_ptr_equal(heap_first(&h), &items[2]);
	heap_remove(&h, &items[2]);
	heap_remove(&h, &items[3]);
	heap_remove(&h, &items[4]);
	assert_ptr_equal(heap_first(&h), &items[1]);
	heap_set(&h, &items[1], MONO_NEVER);
	assert_null(heap_first(&h));
	heap_remove(&h, &items[1]); /* in none: nothing */
	heap_done(&h);
}

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

/* The least of those that are in, found the slow way. */
static const struct heap_item *
least(const struct heap_item *items, size_t n)
{
	const struct heap_item *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (items[i].pos && (!best || items[i].at.us < best->at.us ||
					(items[i].at.us == best->at.us && items[i].seq < best->seq)))
			best = &items[i];
	return best;
}

static void
test_random_operations_keep_the_order(void **state)
{
	struct heap_item items[200];
	uint32_t rnd = 3;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct heap h = heap_make(NULL, MEM_OTHER);

		memset(items, 0, sizeof(items));
		for (int step = 0; step < 3000; step++) {
			struct heap_item *it = &items[draw(&rnd, ARRAY_LEN(items))];

			if (draw(&rnd, 3))
				heap_set(&h, it, (struct mono){ draw(&rnd, 50) });
			else
				heap_remove(&h, it);
			assert_ptr_equal(heap_first(&h), least(items, ARRAY_LEN(items)));
		}
		heap_done(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_times_come_in_the_order_of_setting),
		cmocka_unit_test(test_random_operations_keep_the_order),
	};

	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
