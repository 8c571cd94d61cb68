/* tests/unit/lib/buckets_test.c -- everything that is in the table is found by its hash, and nothing else */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/buckets.h"

#define THINGS 3000
#define HASHES 1000 /* so that some share one */

struct thing {
	uint32_t hash;
	bool in;
	struct bucket_item item;
};

static uint32_t
draw(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* All that are in, by their hash; and the chains are as short as the promise is. */
static void
check(const struct buckets *b, const struct thing *things, const uint32_t *hashes)
{
	size_t in = 0, seen = 0;

	for (size_t i = 0; i < THINGS; i++)
		in += things[i].in;
	assert_int_equal(b->count, in);
	for (size_t h = 0; h < HASHES; h++)
		for (const struct bucket_item *i = buckets_first(b, hashes[h]); i; i = buckets_next(i)) {
			const struct thing *t = CONTAINER_OF(i, const struct thing, item);

			assert_true(t->in);
			assert_int_equal(t->hash, hashes[h]);
			seen++;
		}
	assert_int_equal(seen, in);
	for (size_t k = 0; k < b->n; k++) {
		size_t n = 0;

		for (const struct bucket_item *i = b->heads[k]; i; i = i->next)
			n++;
		assert_in_range(n, 0, 24); /* three of one hash, and what chance gives */
	}
}

static void
test_random_operations(void **state)
{
	struct mem m = { 0 };
	struct buckets b = { .mem = &m, .kind = MEM_OTHER };
	struct thing *things = calloc(THINGS, sizeof(*things));
	uint32_t rnd = 5, hashes[HASHES];

	(void)state;
	assert_null(buckets_first(&b, 7));
	buckets_remove(&b, &things[0].item); /* in an empty table: nothing */
	for (size_t h = 0; h < HASHES; h++)
		hashes[h] = (uint32_t)h * 2654435761u;
	for (unsigned int round = 1; round <= 40000; round++) {
		struct thing *t = &things[draw(&rnd) % MIN_OF(round, (unsigned int)THINGS)];

		if (t->in) {
			buckets_remove(&b, &t->item);
			buckets_remove(&b, &t->item); /* is in it no more: nothing */
		} else {
			t->hash = hashes[draw(&rnd) % HASHES];
			buckets_add(&b, &t->item, t->hash);
		}
		t->in = !t->in;
		if (round < 200 || round % 1000 == 0)
			check(&b, things, hashes);
	}
	assert_in_range(b.n, b.count, 2 * THINGS);
	buckets_done(&b);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
	assert_null(buckets_first(&b, hashes[0]));
	memset(things, 0, THINGS * sizeof(*things));
	buckets_add(&b, &things[3].item, 9); /* it can be used again */
	assert_ptr_equal(buckets_first(&b, 9), &things[3].item);
	assert_null(buckets_next(&things[3].item));
	buckets_done(&b);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
	free(things);
}

/* As many buckets as things, one more at a time: that is why no call is long. */
static void
test_it_grows_by_one(void **state)
{
	struct buckets b = { .kind = MEM_OTHER };
	struct thing *things = calloc(THINGS, sizeof(*things));
	size_t before = 16;

	(void)state;
	for (uint32_t i = 0; i < THINGS; i++) {
		buckets_add(&b, &things[i].item, i * 2654435761u);
		assert_int_equal(b.n, i < 16 ? 16 : before + 1);
		before = b.n;
		assert_int_equal(b.half & (b.half - 1), 0);
		assert_in_range(b.n, b.half, 2 * b.half - 1);
	}
	buckets_done(&b);
	free(things);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_it_grows_by_one),
	};

	return cmocka_run_group_tests_name("buckets", tests, NULL, NULL);
}
