/* tests/unit/lib/mem_test.c -- counted allocation */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1"; /* as malloc() does */
}
#endif

static void
test_counts_by_kind(void **state)
{
	struct mem m = { 0 };
	void *a = mem_alloc(&m, MEM_ATTRS, 100), *b = mem_zalloc(&m, MEM_PREFIX, 1000);
	size_t at_most;

	(void)state;
	assert_in_range(m.by[MEM_ATTRS].bytes, 100, 150);
	assert_in_range(m.by[MEM_PREFIX].bytes, 1000, 1100);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
	at_most = m.by[MEM_ATTRS].bytes;
	mem_free(&m, MEM_ATTRS, a);
	assert_int_equal(m.by[MEM_ATTRS].bytes, 0);
	assert_int_equal(m.by[MEM_ATTRS].peak_bytes, at_most);
	mem_free(&m, MEM_PREFIX, b);
	assert_int_equal(m.by[MEM_PREFIX].allocs, 1);
	assert_int_equal(m.by[MEM_PREFIX].frees, 1);
	mem_free(&m, MEM_PREFIX, NULL);
	assert_int_equal(m.by[MEM_PREFIX].frees, 1);
}

static void
test_zeroed_is_zeroed(void **state)
{
	static const uint8_t zero[4096];

	(void)state;
	for (int i = 0; i < 8; i++) { /* a chunk that was dirty before */
		void *p = mem_alloc(NULL, MEM_OTHER, sizeof(zero)), *z;

		memset(p, 0xff, sizeof(zero));
		mem_free(NULL, MEM_OTHER, p);
		z = mem_zalloc(NULL, MEM_OTHER, sizeof(zero));
		assert_memory_equal(z, zero, sizeof(zero));
		mem_free(NULL, MEM_OTHER, z);
	}
}

static void
test_realloc_moves_the_count(void **state)
{
	struct mem m = { 0 };
	char *p = mem_strdup(&m, MEM_QUERY, "some words");

	(void)state;
	for (size_t n = 16; n < 100000; n *= 3) {
		p = mem_realloc(&m, MEM_QUERY, p, n);
		assert_in_range(m.by[MEM_QUERY].bytes, n, n + n / 4 + 64);
		assert_string_equal(p, "some words");
	}
	p = mem_realloc(&m, MEM_QUERY, p, 11);
	assert_string_equal(p, "some words");
	mem_free(&m, MEM_QUERY, p);
	assert_int_equal(m.by[MEM_QUERY].bytes, 0);
	assert_int_equal(m.by[MEM_QUERY].allocs, m.by[MEM_QUERY].frees);
}

static void
test_growing_by_doubling(void **state)
{
	struct mem m = { 0 };
	uint32_t *p = NULL, moves = 0;
	size_t cap = 0, was = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		p = mem_grow(&m, MEM_OTHER, p, &cap, i + 1, sizeof(*p));
		moves += cap != was;
		was = cap;
		p[i] = i;
	}
	assert_in_range(cap, 100000, 200000);
	assert_in_range(moves, 1, 20);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(p[i], i);
	assert_ptr_equal(mem_grow(&m, MEM_OTHER, p, &cap, 1, sizeof(*p)), p); /* never smaller */
	assert_int_equal(cap, was);
	mem_free(&m, MEM_OTHER, p);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
}

static void
test_growing_past_the_double(void **state)
{
	size_t cap = 3;
	char *p = mem_grow(NULL, MEM_OTHER, mem_alloc(NULL, MEM_OTHER, 3), &cap, 1000, 1);

	(void)state;
	assert_in_range(cap, 1000, 2000);
	memset(p, 1, cap);
	mem_free(NULL, MEM_OTHER, p);
}

static void
test_a_size_from_outside_may_fail(void **state)
{
	struct mem m = { 0 };
	volatile size_t huge = SIZE_MAX / 4; /* unknown to the compiler */
	void *p = mem_try(&m, MEM_OTHER, huge);

	(void)state;
	assert_null(p);
	assert_int_equal(m.by[MEM_OTHER].bytes, 0);
	p = mem_try(&m, MEM_OTHER, 0);
	assert_non_null(p);
	mem_free(&m, MEM_OTHER, p);
}

static void
test_every_kind_has_a_name(void **state)
{
	(void)state;
	for (int k = 0; k < MEM_KINDS; k++) {
		assert_non_null(mem_kind_name((enum mem_kind)k));
		for (int i = 0; i < k; i++)
			assert_string_not_equal(mem_kind_name((enum mem_kind)i), mem_kind_name((enum mem_kind)k));
	}
	assert_string_equal(mem_kind_name(MEM_KINDS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_by_kind),
		cmocka_unit_test(test_zeroed_is_zeroed),
		cmocka_unit_test(test_realloc_moves_the_count),
		cmocka_unit_test(test_growing_by_doubling),
		cmocka_unit_test(test_growing_past_the_double),
		cmocka_unit_test(test_a_size_from_outside_may_fail),
		cmocka_unit_test(test_every_kind_has_a_name),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
