/* tests/unit/lib/journal_test.c -- events: ids, the ring, the limit of rate */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/journal.h"

static struct mono
at(int64_t ms)
{
	return (struct mono){ MS(ms) };
}

/* An event that nothing holds back: its time is a window after any other of its kind. */
static uint64_t
spaced(struct journal *j, unsigned int i)
{
	return journal_add(j, at((int64_t)i * 7000), 0, "PING", "swp1", 0, "number %u", i);
}

static void
test_ids_grow_by_one(void **state)
{
	struct journal *j = journal_new(NULL, NULL, NULL);
	const struct journal_event *e;

	(void)state;
	assert_int_equal(journal_last(j), 0);
	assert_null(journal_from(j, 0));
	assert_int_equal(journal_add(j, at(5), 1234, "LINK_DOWN", "swp1", 0, "carrier lost"), 1);
	assert_int_equal(journal_add(j, at(6), 1235, "BGP_DOWN", "swp1", 1, "%s", "link down"), 2);
	e = journal_from(j, 0);
	assert_int_equal(e->id, 1);
	assert_int_equal(e->cause, 0);
	assert_int_equal(e->at.us, MS(5));
	assert_int_equal(e->wall_us, 1234);
	assert_string_equal(e->type, "LINK_DOWN");
	e = journal_from(j, 2);
	assert_int_equal(e->cause, 1);
	assert_string_equal(e->text, "link down");
	assert_null(journal_from(j, 3));
	journal_free(j);
}

static void
test_the_ring_keeps_the_newest(void **state)
{
	struct mem m = { 0 };
	struct journal *j = journal_new(&m, NULL, NULL);
	const unsigned int total = 3 * JOURNAL_EVENTS + 17;
	size_t bytes = 0;
	char text[32];

	(void)state;
	for (unsigned int i = 1; i <= total; i++) {
		uint64_t id = spaced(j, i), oldest = i > JOURNAL_EVENTS ? i - JOURNAL_EVENTS + 1 : 1;

		assert_int_equal(id, i);
		assert_int_equal(journal_from(j, 0)->id, oldest);
		assert_int_equal(journal_from(j, oldest + (i - oldest) / 2)->id, oldest + (i - oldest) / 2);
		assert_null(journal_from(j, i + 1));
		if (i == JOURNAL_EVENTS)
			bytes = m.by[MEM_EVENT].bytes;
	}
	assert_int_equal(m.by[MEM_EVENT].bytes, bytes); /* bounded */
	for (uint64_t id = total - JOURNAL_EVENTS + 1; id <= total; id++) {
		snprintf(text, sizeof(text), "number %u", (unsigned int)id);
		assert_string_equal(journal_from(j, id)->text, text);
	}
	journal_free(j);
	assert_int_equal(m.by[MEM_EVENT].bytes, 0);
}

static void
test_the_rate_of_a_type_and_port_is_limited(void **state)
{
	struct journal *j = journal_new(NULL, NULL, NULL);
	uint64_t id;

	(void)state;
	for (int i = 0; i < JOURNAL_RATE; i++)
		assert_int_not_equal(journal_add(j, at(i), 0, "FLAP", "swp1", 0, "x"), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(journal_add(j, at(100 + i), 0, "FLAP", "swp1", 0, "x"), 0);
	/* others are not held back with it */
	assert_int_not_equal(journal_add(j, at(300), 0, "FLAP", "swp2", 0, "x"), 0);
	assert_int_not_equal(journal_add(j, at(300), 0, "OTHER", "swp1", 0, "x"), 0);
	assert_int_equal(journal_add(j, at(59999), 0, "FLAP", "swp1", 0, "x"), 0);
	/* the window is over: the next one tells what was held back, once */
	id = journal_add(j, at(60000), 0, "FLAP", "swp1", 0, "x");
	assert_int_equal(id, JOURNAL_RATE + 3);
	assert_int_equal(journal_from(j, id)->suppressed, 101);
	id = journal_add(j, at(60001), 0, "FLAP", "swp1", 0, "x");
	assert_int_equal(journal_from(j, id)->suppressed, 0);
	journal_free(j);
}

/* A storm on all ports of a large switch is limited on each of them, as on one alone. */
static void
test_a_storm_on_every_port_is_limited(void **state)
{
	struct mem m = { 0 };
	struct journal *j = journal_new(&m, NULL, NULL);
	uint64_t passed = 0;
	char port[32];

	(void)state;
	for (int round = 0; round < JOURNAL_RATE + 10; round++)
		for (int n = 0; n < 512; n++) {
			snprintf(port, sizeof(port), "swp%d", n);
			passed += journal_add(j, at(round), 0, "LINK_DOWN", port, 0, "x") != 0;
			passed += journal_add(j, at(round), 0, "LINK_UP", port, 0, "x") != 0;
		}
	assert_int_equal(passed, 2 * 512 * JOURNAL_RATE);
	journal_free(j);
	assert_int_equal(m.by[MEM_EVENT].bytes, 0);
}

/* More pairs than are watched: the memory stays bounded, and nothing is lost of what was found. */
static void
test_pairs_beyond_the_bound_take_the_oldest_place(void **state)
{
	struct mem m = { 0 };
	struct journal *j = journal_new(&m, NULL, NULL);
	size_t bytes = 0;
	char port[32];

	(void)state;
	for (int n = 0; n < 12000; n++) {
		snprintf(port, sizeof(port), "swp%d", n);
		assert_int_not_equal(journal_add(j, at(n), 0, "LINK_DOWN", port, 0, "x"), 0);
		if (n == 6000)
			bytes = m.by[MEM_EVENT].bytes;
	}
	assert_int_equal(m.by[MEM_EVENT].bytes, bytes);
	/* the newest pair is still watched, the first one begins anew */
	for (int i = 1; i < JOURNAL_RATE; i++)
		assert_int_not_equal(journal_add(j, at(12000), 0, "LINK_DOWN", "swp11999", 0, "x"), 0);
	assert_int_equal(journal_add(j, at(12000), 0, "LINK_DOWN", "swp11999", 0, "x"), 0);
	assert_int_not_equal(journal_add(j, at(12000), 0, "LINK_DOWN", "swp0", 0, "x"), 0);
	journal_free(j);
	assert_int_equal(m.by[MEM_EVENT].bytes, 0);
}

static void
test_a_type_is_its_text(void **state)
{
	char type[] = "FLAP"; /* another address, the same type */
	struct journal *j = journal_new(NULL, NULL, NULL);

	(void)state;
	for (int i = 0; i < JOURNAL_RATE; i++)
		assert_int_not_equal(journal_add(j, at(i), 0, i % 2 ? type : "FLAP", "", 0, "x"), 0);
	assert_int_equal(journal_add(j, at(20), 0, type, "", 0, "x"), 0);
	journal_free(j);
}

static void
test_a_long_port_name_is_limited_as_well(void **state)
{
	static const char port[] = "external-peer-with-a-very-long-name-of-61-characters-in-all-xx";
	struct journal *j = journal_new(NULL, NULL, NULL);
	unsigned int passed = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		passed += journal_add(j, at(i), 0, "FLAP", port, 0, "x") != 0;
	assert_int_equal(passed, JOURNAL_RATE);
	assert_int_equal(strlen(journal_from(j, 1)->port), sizeof(journal_from(j, 1)->port) - 1);
	journal_free(j);
}

/* More pairs than are watched at a time: nothing is held back for the others' sake. */
static void
test_many_pairs(void **state)
{
	struct journal *j = journal_new(NULL, NULL, NULL);
	char port[16];

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(port, sizeof(port), "swp%u", i);
		assert_int_not_equal(journal_add(j, at(i), 0, "LINK_DOWN", port, 0, "x"), 0);
	}
	assert_int_equal(journal_last(j), 1000);
	journal_free(j);
}

static void
test_text_is_made_printable_and_cut(void **state)
{
	struct journal *j = journal_new(NULL, NULL, NULL);
	char text[1000];

	(void)state;
	journal_add(j, at(0), 0, "NOTE", "", 0, "%s", "a\nb\x1b[31m\xc3\xa4~ ");
	assert_string_equal(journal_from(j, 1)->text, "a?b?[31m??~ ");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	journal_add(j, at(0), 0, "NOTE", "", 0, "%s", text);
	assert_int_equal(strlen(journal_from(j, 2)->text), sizeof(journal_from(j, 2)->text) - 1);
	journal_free(j);
}

static void
count_event(void *arg, const struct journal_event *e)
{
	assert_true(e->id > 0);
	++*(unsigned int *)arg;
}

static void
test_who_listens_hears_what_passes(void **state)
{
	unsigned int heard = 0;
	struct journal *j = journal_new(NULL, count_event, &heard);

	(void)state;
	for (int i = 0; i < 50; i++)
		journal_add(j, at(i), 0, "FLAP", "swp1", 0, "x");
	assert_int_equal(heard, JOURNAL_RATE);
	journal_free(j);
	journal_free(NULL);
}

/* What a journal before it had, and then its own, for any number of either. */
static void
test_it_goes_on_where_another_ended(void **state)
{
	static const unsigned int olds[] = { 0, 1, 2, 15, 16, 17, 1000, JOURNAL_EVENTS };
	static const unsigned int news[] = { 1, 16, 500, 3 * JOURNAL_EVENTS };

	(void)state;
	for (size_t a = 0; a < ARRAY_LEN(olds); a++)
		for (size_t b = 0; b < ARRAY_LEN(news); b++) {
			struct mem m = { 0 };
			struct journal *j = journal_new(&m, NULL, NULL);
			const uint64_t first = 7000, last = first + olds[a] + news[b] - 1;
			uint64_t expect = olds[a] ? first : 1, count = 0;

			for (unsigned int i = 0; i < olds[a]; i++) {
				struct journal_event e = { .id = first + i, .cause = 3, .wall_us = i };
				char type[8] = "OLD";

				type[2] = (char)('0' + i % 3);
				e.type = type;
				snprintf(e.text, sizeof(e.text), "old %u", i);
				assert_true(journal_restore(j, &e));
				memset(type, 'x', sizeof(type) - 1);
			}
			for (unsigned int i = 0; i < news[b]; i++)
				assert_int_equal(spaced(j, i), expect + olds[a] + i);
			if (olds[a])
				assert_int_equal(journal_last(j), last);
			expect = MAX_OF(
			    expect, journal_last(j) + 1 - MIN_OF(journal_last(j), (uint64_t)JOURNAL_EVENTS));
			for (const struct journal_event *e = journal_from(j, 0); e;
			     e = journal_from(j, e->id + 1), count++) {
				assert_int_equal(e->id, expect + count);
				if (olds[a] && e->id < first + olds[a]) {
					assert_int_equal(e->wall_us, e->id - first);
					assert_int_equal(e->type[2], '0' + (int)((e->id - first) % 3));
				} else {
					assert_string_equal(e->type, "PING");
				}
			}
			assert_int_equal(count, MIN_OF(olds[a] + news[b], (unsigned int)JOURNAL_EVENTS));
			journal_free(j);
			assert_int_equal(m.by[MEM_EVENT].bytes, 0);
		}
}

static void
test_what_cannot_have_been_before(void **state)
{
	struct journal *j = journal_new(NULL, NULL, NULL);
	struct journal_event e = { .id = 5, .type = "A" };

	(void)state;
	assert_true(journal_restore(j, &e));
	assert_false(journal_restore(j, &e)); /* the same id */
	e.id = 7;
	assert_false(journal_restore(j, &e)); /* a gap */
	e.id = 6;
	e.type = "A_TYPE_WITH_A_NAME_THAT_IS_FAR_TOO_LONG";
	assert_false(journal_restore(j, &e));
	e.type = "B";
	assert_true(journal_restore(j, &e));
	journal_free(j);
	j = journal_new(NULL, NULL, NULL);
	journal_add(j, at(1), 0, "OWN", "", 0, "x");
	e.id = 2;
	assert_false(journal_restore(j, &e)); /* it has begun */
	assert_int_equal(journal_last(j), 1);
	journal_free(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_grow_by_one),
		cmocka_unit_test(test_the_ring_keeps_the_newest),
		cmocka_unit_test(test_the_rate_of_a_type_and_port_is_limited),
		cmocka_unit_test(test_a_storm_on_every_port_is_limited),
		cmocka_unit_test(test_pairs_beyond_the_bound_take_the_oldest_place),
		cmocka_unit_test(test_a_type_is_its_text),
		cmocka_unit_test(test_a_long_port_name_is_limited_as_well),
		cmocka_unit_test(test_many_pairs),
		cmocka_unit_test(test_text_is_made_printable_and_cut),
		cmocka_unit_test(test_who_listens_hears_what_passes),
		cmocka_unit_test(test_it_goes_on_where_another_ended),
		cmocka_unit_test(test_what_cannot_have_been_before),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
