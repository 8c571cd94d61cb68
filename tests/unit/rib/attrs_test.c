/* tests/unit/rib/attrs_test.c -- interned attributes: identity, references, and many of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/rib/attrs.h"

#define MANY 100000

/* A realistic set: ORIGIN, an AS_PATH of four, two communities; numbered. */
static struct attrs *
numbered(struct attrs_table *t, uint32_t n)
{
	uint8_t wire[64];
	struct wr w = wr_make(wire, sizeof(wire));
	struct attrs_view v = { .path_len = 4, .first_as = 65001 };

	wr_u32(&w, 0x40010100);
	wr_bytes(&w, (uint8_t[]){ 0x40, 2, 18, 2, 4 }, 5);
	for (uint32_t i = 0; i < 3; i++)
		wr_u32(&w, 65001 + i);
	wr_u32(&w, n);
	wr_bytes(&w, (uint8_t[]){ 0xc0, 8, 8 }, 3);
	wr_u32(&w, 0xfde80001);
	wr_u32(&w, 0xfde80002);
	v.wire = wire;
	v.wire_len = (uint16_t)wr_len(&w);
	return attrs_intern(t, &v);
}

static void
test_equal_bytes_are_one_object(void **state)
{
	struct mem m = { 0 };
	struct attrs_table *t = attrs_table_new(&m, 1);
	struct attrs *a = numbered(t, 1), *b = numbered(t, 2), *again = numbered(t, 1);

	(void)state;
	assert_ptr_equal(a, again);
	assert_ptr_not_equal(a, b);
	assert_int_equal(a->item.refs, 2);
	assert_int_equal(attrs_table_count(t), 2);
	assert_ptr_equal(a->v.wire, a + 1); /* a copy, not the caller's bytes */
	assert_int_equal(a->v.path_len, 4);
	attrs_unref(t, a);
	assert_int_equal(attrs_table_count(t), 2);
	attrs_unref(t, again);
	assert_int_equal(attrs_table_count(t), 1);
	attrs_unref(t, attrs_ref(b));
	attrs_unref(t, b);
	attrs_unref(t, NULL);
	assert_int_equal(attrs_table_count(t), 0);
	attrs_table_free(t);
	assert_int_equal(m.by[MEM_ATTRS].bytes, 0);
}

/* Bytes and flags tell two sets apart, each on its own: a loop is seen by one session and not by another. */
static void
test_what_tells_two_sets_apart(void **state)
{
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	static const struct {
		const char *name;
		struct attrs_view v;
	} sets[] = {
		{ "a set", { .wire = wire, .wire_len = 7 } },
		{ "shorter by the last attribute", { .wire = wire, .wire_len = 4 } },
		{ "a tail of it", { .wire = wire + 4, .wire_len = 3 } },
		{ "with a loop", { .wire = wire, .wire_len = 7, .flags = ATTRS_LOOP } },
		{ "with nothing in it", { .wire = wire, .wire_len = 0 } },
	};
	struct attrs_table *t = attrs_table_new(NULL, 1);
	struct attrs *a[ARRAY_LEN(sets)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		a[i] = attrs_intern(t, &sets[i].v);
		for (size_t k = 0; k < i; k++)
			if (a[i] == a[k])
				fail_msg("%s is taken for %s", sets[i].name, sets[k].name);
	}
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		attrs_unref(t, a[i]);
	assert_int_equal(attrs_table_count(t), 0);
	attrs_table_free(t);
}

static size_t
chain_behind(const struct attrs *a)
{
	size_t n = 0;

	for (const struct bucket_item *i = &a->item; i; i = i->next)
		n++;
	return n;
}

/* Longest chain and its memory, for many sets under this seed. */
static size_t
fill(uint64_t seed, size_t *bytes_each)
{
	struct mem m = { 0 };
	struct attrs_table *t = attrs_table_new(&m, seed);
	struct attrs **all = calloc(MANY, sizeof(struct attrs *));
	size_t longest = 0;

	for (uint32_t i = 0; i < MANY; i++)
		all[i] = numbered(t, i);
	assert_int_equal(attrs_table_count(t), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		longest = MAX_OF(longest, chain_behind(all[i]));
	*bytes_each = m.by[MEM_ATTRS].peak_bytes / MANY;
	for (uint32_t i = 0; i < MANY; i++) /* every one is found again, at whatever size the table was then */
		assert_ptr_equal(numbered(t, i), all[i]);
	for (uint32_t i = 0; i < MANY; i++) {
		attrs_unref(t, all[i]);
		attrs_unref(t, all[i]);
	}
	assert_int_equal(attrs_table_count(t), 0);
	attrs_table_free(t);
	assert_int_equal(m.by[MEM_ATTRS].bytes, 0);
	free(all);
	return longest;
}

static void
test_W11_many_distinct_sets(void **state)
{
	size_t each;

	(void)state;
	assert_in_range(fill(0x1234567, &each), 1, 16); /* about 8 is what chance gives */
	assert_in_range(each, 64, 512);
}

static int
by_bucket(const void *a, const void *b)
{
	const struct attrs *x = *(struct attrs *const *)a, *y = *(struct attrs *const *)b;
	uint32_t hx = x->item.hash & 0xffff, hy = y->item.hash & 0xffff;

	return hx < hy ? -1 : hx > hy;
}

/* Sets that share a bucket under one seed, found by trying, are spread under another: nobody can aim. */
static void
test_S07_the_hash_is_keyed(void **state)
{
	struct attrs_table *known = attrs_table_new(NULL, 1), *ours = attrs_table_new(NULL, 2);
	struct attrs **all = calloc(MANY, sizeof(struct attrs *));
	uint32_t together = 0, still = 0;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		all[i] = numbered(known, i);
	qsort(all, MANY, sizeof(struct attrs *), by_bucket);
	for (size_t i = 0; i + 1 < MANY; i++) {
		struct attrs *a, *b;

		if ((all[i]->item.hash & 0xffff) != (all[i + 1]->item.hash & 0xffff))
			continue;
		a = attrs_intern(ours, &all[i]->v);
		b = attrs_intern(ours, &all[i + 1]->v);
		together++;
		still += (a->item.hash & 0xffff) == (b->item.hash & 0xffff);
		attrs_unref(ours, a);
		attrs_unref(ours, b);
	}
	assert_in_range(together, 10000, MANY);
	assert_in_range(still, 0, 20); /* 1 of 65,536 by chance */
	for (uint32_t i = 0; i < MANY; i++)
		attrs_unref(known, all[i]);
	attrs_table_free(known);
	attrs_table_free(ours);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_bytes_are_one_object),
		cmocka_unit_test(test_what_tells_two_sets_apart),
		cmocka_unit_test(test_W11_many_distinct_sets),
		cmocka_unit_test(test_S07_the_hash_is_keyed),
	};

	return cmocka_run_group_tests_name("attrs", tests, NULL, NULL);
}
