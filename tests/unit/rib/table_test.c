/* tests/unit/rib/table_test.c -- the prefix table against a plain array, and under patterns that hashes dislike */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/rib/table.h"

#define POOL 3000

static uint32_t
draw(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33) % below;
}

/* A pool of different prefixes: each address stands in it with three lengths. */
static struct prefix
pool_prefix(enum family f, uint32_t i)
{
	struct ip a = { .family = (uint8_t)f, .b = { 10 } };
	unsigned int bits = family_bits(f);

	put_u16(a.b + (f == FAMILY_IPV4 ? 1 : 13), (uint16_t)(i / 3));
	return prefix_of(&a, bits - i % 3 * 3);
}

static void
check_all(const struct rib_table *t, const struct prefix *pool, const uint32_t *entry)
{
	uint32_t count = 0, by_len[129] = { 0 };

	for (uint32_t i = 0; i < POOL; i++) {
		struct prefix p;

		if (rib_table_find(t, &pool[i]) != entry[i])
			fail_msg("prefix %u is at %u, wanted %u", i, rib_table_find(t, &pool[i]), entry[i]);
		if (entry[i] == RIB_NO_ENTRY)
			continue;
		count++;
		by_len[pool[i].len]++;
		rib_table_prefix(t, entry[i], &p);
		assert_true(prefix_equal(&p, &pool[i]));
		assert_true(rib_table_entry(t, entry[i])->flags & ENTRY_USED);
	}
	assert_int_equal(t->count, count);
	assert_memory_equal(t->by_len, by_len, sizeof(by_len));
}

static void
random_against_an_array(enum family f, uint64_t seed)
{
	struct mem m = { 0 };
	struct rib_table t;
	struct prefix *pool = calloc(POOL, sizeof(*pool));
	uint32_t *entry = calloc(POOL, sizeof(*entry));
	uint64_t rnd = seed;

	rib_table_init(&t, &m, seed, 0, f);
	for (uint32_t i = 0; i < POOL; i++)
		pool[i] = pool_prefix(f, i);
	for (uint32_t i = 0; i < POOL; i++)
		entry[i] = RIB_NO_ENTRY;
	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t i = draw(&rnd, POOL);
		bool fill = step / 10000 % 2 == 0; /* it grows and shrinks in turn */

		if (draw(&rnd, 10) < (fill ? 7u : 3u)) {
			uint32_t got = rib_table_insert(&t, &pool[i]);

			if (entry[i] != RIB_NO_ENTRY)
				assert_int_equal(got, entry[i]); /* it stays where it is */
			entry[i] = got;
		} else if (entry[i] != RIB_NO_ENTRY) {
			rib_table_remove(&t, entry[i]);
			entry[i] = RIB_NO_ENTRY;
		}
		if (step % 2500 == 0)
			check_all(&t, pool, entry);
	}
	check_all(&t, pool, entry);
	assert_in_range(t.limit, 1, POOL); /* what was freed is used again */
	rib_table_done(&t);
	assert_int_equal(m.by[MEM_PREFIX].bytes, 0);
	free(pool);
	free(entry);
}

static void
test_random_inserts_and_removals(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		random_against_an_array(FAMILY_IPV4, seed);
		random_against_an_array(FAMILY_IPV6, seed);
	}
}

static void
test_lengths_at_both_ends(void **state)
{
	(void)state;
	for (int f = 0; f < FAMILIES; f++) {
		struct ip zero = { .family = (uint8_t)f };
		unsigned int bits = family_bits((enum family)f);
		struct rib_table t;

		rib_table_init(&t, NULL, 3, 0, (enum family)f);
		for (unsigned int len = 0; len <= bits; len++) { /* one address, every length */
			struct prefix p = prefix_of(&zero, len);

			assert_int_equal(rib_table_find(&t, &p), RIB_NO_ENTRY);
			assert_int_equal(rib_table_insert(&t, &p), len);
			assert_int_equal(rib_table_find(&t, &p), len);
		}
		for (unsigned int len = 0; len <= bits; len++) {
			rib_table_remove(&t, len);
			assert_int_equal(t.count, bits - len);
		}
		rib_table_done(&t);
	}
}

static void
test_dirty_once(void **state)
{
	struct rib_table t;
	struct prefix p = { .family = FAMILY_IPV4, .len = 8, .b = { 10 } };
	uint32_t entry;

	(void)state;
	rib_table_init(&t, NULL, 3, 0, FAMILY_IPV4);
	entry = rib_table_insert(&t, &p);
	rib_table_mark_dirty(&t, entry);
	rib_table_mark_dirty(&t, entry);
	assert_int_equal(t.ndirty, 1);
	assert_int_equal(t.dirty[0], entry);
	rib_table_done(&t);
}

/* Growth is cut in parts: no insertion moves more than its own part, whatever the number of prefixes. */
static void
test_growth_is_no_long_pause(void **state)
{
	struct rib_table t;

	(void)state;
	rib_table_init(&t, NULL, 5, 0, FAMILY_IPV4);
	for (uint32_t i = 0; i < 800000; i++) {
		struct ip a = ip_v4(i << 8 | i >> 24);
		struct prefix p = prefix_of(&a, 32);
		uint64_t before = t.moved;

		rib_table_insert(&t, &p);
		if (t.moved - before > 2 * t.count / RIB_PARTS + 16)
			fail_msg("prefix %u moved %d of %u", i, (int)(t.moved - before), t.count);
	}
	assert_in_range(t.moved, t.count, 2 * t.count); /* all of them once or twice, in all */
	rib_table_done(&t);
}

/* A part starts with four slots, and doubles when one more prefix would fill more than three quarters: not before. */
static void
test_a_part_grows_when_it_is_three_quarters_full(void **state)
{
	struct rib_table t;

	(void)state;
	rib_table_init(&t, NULL, 5, 0, FAMILY_IPV4);
	for (uint32_t i = 0; i < 40000; i++) {
		struct ip a = ip_v4(i << 8 | i >> 24);
		struct prefix p = prefix_of(&a, 32);

		rib_table_insert(&t, &p);
		if (i % 500)
			continue;
		for (size_t k = 0; k < RIB_PARTS; k++) {
			uint32_t want = t.parts[k].used ? 4 : 0;

			while (want && t.parts[k].used > want / 4 * 3)
				want *= 2;
			assert_int_equal(t.parts[k].size, want);
		}
	}
	rib_table_done(&t);
}

/* ---- patterns ---- */

static uint32_t
v4_sequential(uint32_t i)
{
	return i << 8;
}

static uint32_t
v4_far_apart(uint32_t i)
{
	return i << 15 | i >> 17;
}

static uint32_t
v4_hosts(uint32_t i)
{
	return 0x0a000000 + i;
}

static uint32_t
v4_high_bits(uint32_t i)
{
	return i * 0x9e3779b1u; /* what undoes a multiplication by the golden ratio is of the same kind */
}

static double
mean_probes(const struct rib_table *t, uint32_t *longest)
{
	uint64_t sum = 0;

	*longest = 0;
	for (size_t k = 0; k < RIB_PARTS; k++) {
		const struct rib_part *part = &t->parts[k];

		for (uint32_t i = 0; i < part->size; i++) {
			uint32_t away = (i - part->slots[i].hash) & (part->size - 1);

			if (!part->slots[i].entry)
				continue;
			sum += away + 1;
			*longest = MAX_OF(*longest, away);
		}
	}
	return (double)sum / t->count;
}

/* Linear probing at three quarters costs 2.5 probes by chance; twice that is the bound, under any pattern and seed. */
static void
test_S07_patterns_make_no_long_runs(void **state)
{
	static const struct {
		const char *name;
		uint32_t (*address)(uint32_t i);
	} patterns[] = {
		{ "/24s in a row", v4_sequential },
		{ "32,768 apart", v4_far_apart },
		{ "hosts in a row", v4_hosts },
		{ "multiples of an odd constant", v4_high_bits },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(patterns); k++)
		for (uint64_t seed = 0; seed < 4; seed++) {
			struct rib_table t;
			uint32_t longest;
			double mean;

			rib_table_init(&t, NULL, seed * 0x5deece66d1234567ull, 0, FAMILY_IPV4);
			for (uint32_t i = 0; i < 98000; i++) {
				struct ip a = ip_v4(patterns[k].address(i));
				struct prefix p = prefix_of(&a, 32);

				rib_table_insert(&t, &p);
			}
			mean = mean_probes(&t, &longest);
			if (mean > 5.0 || longest > 500)
				fail_msg(
				    "%s, seed %d: %.2f probes, %u at most", patterns[k].name, (int)seed, mean, longest);
			rib_table_done(&t);
		}
}

/* IPv6 prefixes that differ in one half, in the other, or in single bits. */
static void
test_S07_patterns_of_ipv6(void **state)
{
	(void)state;
	for (unsigned int shape = 0; shape < 4; shape++) {
		struct rib_table t;
		uint32_t longest;
		double mean;

		rib_table_init(&t, NULL, 77 + shape, 0, FAMILY_IPV6);
		for (uint32_t i = 0; i < 98000; i++) {
			struct prefix p = { .family = FAMILY_IPV6, .len = 128, .b = { 0xfd } };

			if (shape == 0)
				put_u32(p.b + 4, i);
			else if (shape == 1)
				put_u32(p.b + 12, i);
			else if (shape == 2)
				put_u32(p.b + 4, i), put_u32(p.b + 12, i);
			else
				put_u32(p.b + 1, i << 15 | i >> 17);
			rib_table_insert(&t, &p);
		}
		assert_int_equal(t.count, 98000);
		mean = mean_probes(&t, &longest);
		if (mean > 5.0 || longest > 500)
			fail_msg("shape %u: %.2f probes, %u at most", shape, mean, longest);
		rib_table_done(&t);
	}
}

/* Which entries are witnesses, in their order, whatever was marked, removed and made anew before. */
static void
test_witnesses_against_an_array(void **state)
{
	enum { MANY = 700 };
	struct mem m = { 0 };
	struct rib_table t;
	bool marked[MANY] = { false };
	struct prefix pool[MANY];
	uint64_t rnd = 7;

	(void)state;
	rib_table_init(&t, &m, 3, 0, FAMILY_IPV4);
	for (uint32_t i = 0, at = 0; i < MANY; i++) {
		pool[i] = pool_prefix(FAMILY_IPV4, i);
		assert_int_equal(rib_table_next_witness(&t, &at), RIB_NO_ENTRY);
		assert_int_equal(rib_table_insert(&t, &pool[i]), i);
	}
	for (unsigned int step = 0; step < 3000; step++) {
		uint32_t i = draw(&rnd, step < 200 ? 130 : MANY), at = draw(&rnd, 3) ? 0 : draw(&rnd, MANY), got;

		if (draw(&rnd, 2)) {
			rib_table_mark_witness(&t, i);
			marked[i] = true;
		} else {
			rib_table_remove(&t, i);
			assert_int_equal(rib_table_insert(&t, &pool[i]), i); /* the same entry, and no witness */
			marked[i] = false;
		}
		assert_int_equal((rib_table_entry(&t, i)->flags & ENTRY_WITNESS) != 0, marked[i]);
		for (uint32_t want = at; want < MANY; want++) {
			if (!marked[want])
				continue;
			got = rib_table_next_witness(&t, &at);
			assert_int_equal(got, want);
			assert_int_equal(at, want + 1);
		}
		assert_int_equal(rib_table_next_witness(&t, &at), RIB_NO_ENTRY);
	}
	rib_table_done(&t);
	assert_int_equal(m.by[MEM_PREFIX].bytes, 0);
}

/* A hint to the cache for any number of prefixes: reads those and no more (the sanitizers look), changes nothing. */
static void
test_hints_change_nothing(void **state)
{
	struct mem m = { 0 };
	struct rib_table t;

	(void)state;
	rib_table_init(&t, &m, 3, 0, FAMILY_IPV6);
	for (size_t n = 0; n < 80; n++) {
		struct prefix *p = calloc(n, sizeof(*p));
		uint32_t count = t.count;

		for (size_t i = 0; i < n; i++)
			p[i] = pool_prefix(FAMILY_IPV6, (uint32_t)i);
		rib_table_prefetch_slots(&t, p, n);
		rib_table_prefetch(&t, p, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(rib_table_find(&t, &p[i]) == RIB_NO_ENTRY, i + 1 >= n);
		assert_int_equal(t.count, count);
		if (n)
			rib_table_prefetch_removal(&t, rib_table_insert(&t, &p[n - 1]));
		free(p);
	}
	rib_table_done(&t);
	assert_int_equal(m.by[MEM_PREFIX].bytes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hints_change_nothing),
		cmocka_unit_test(test_witnesses_against_an_array),
		cmocka_unit_test(test_random_inserts_and_removals),
		cmocka_unit_test(test_lengths_at_both_ends),
		cmocka_unit_test(test_dirty_once),
		cmocka_unit_test(test_growth_is_no_long_pause),
		cmocka_unit_test(test_a_part_grows_when_it_is_three_quarters_full),
		cmocka_unit_test(test_S07_patterns_make_no_long_runs),
		cmocka_unit_test(test_S07_patterns_of_ipv6),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
