/* tests/unit/lib/wire_test.c -- the cursors over outside bytes, at both sides of each edge */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void
test_integers_are_big_endian(void **state)
{
	struct rd r = rd_make(bytes, 7);

	(void)state;
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_left(&r), 4);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_done(&r));
	assert_false(r.bad);
}

/* Each read, with just enough and with one byte less. */
static void
test_reads_at_the_end(void **state)
{
	static const size_t sizes[] = { 1, 2, 4 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t have = sizes[i] - 1; have <= sizes[i]; have++) {
			struct rd r = rd_make(bytes, have);
			uint32_t got = sizes[i] == 1 ? rd_u8(&r) : sizes[i] == 2 ? rd_u16(&r) : rd_u32(&r);

			assert_int_equal(r.bad, have < sizes[i]);
			assert_int_equal(got != 0, have == sizes[i]);
			assert_true(rd_done(&r));
			assert_int_equal(rd_left(&r), 0);
		}
}

static void
test_bad_stays_bad(void **state)
{
	struct rd r = rd_make(bytes, 3), sub;
	uint8_t out[4] = { 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0); /* although three bytes are there */
	assert_null(rd_take(&r, 0));
	rd_bytes(&r, out, sizeof(out));
	assert_memory_equal(out, ((uint8_t[4]){ 0 }), 4);
	sub = rd_sub(&r, 1);
	assert_true(sub.bad);
	assert_int_equal(rd_left(&sub), 0);
}

static void
test_a_sub_cursor_sees_no_further(void **state)
{
	struct rd r = rd_make(bytes, sizeof(bytes)), sub = rd_sub(&r, 3);

	(void)state;
	assert_int_equal(rd_left(&sub), 3);
	assert_int_equal(rd_u32(&sub), 0);
	assert_true(sub.bad);
	assert_false(r.bad); /* the outer one goes on behind it */
	assert_int_equal(rd_u8(&r), 4);
	sub = rd_sub(&r, 5);
	assert_true(sub.bad && r.bad);
}

static void
test_nothing_to_read(void **state)
{
	struct rd r = rd_make(NULL, 0), sub;

	(void)state;
	assert_true(rd_done(&r));
	sub = rd_sub(&r, 0);
	assert_true(rd_done(&sub) && !sub.bad);
	rd_bytes(&r, NULL, 0);
	assert_false(r.bad);
	rd_u8(&r);
	assert_true(r.bad);
}

static void
test_a_huge_length_is_no_wrap(void **state)
{
	struct rd r = rd_make(bytes, sizeof(bytes));

	(void)state;
	rd_u8(&r);
	assert_null(rd_take(&r, SIZE_MAX));
	assert_true(r.bad);
}

static void
test_writes_at_the_end(void **state)
{
	uint8_t buf[8];

	(void)state;
	for (size_t room = 6; room <= 7; room++) {
		struct wr w = wr_make(buf, room);

		memset(buf, 0xee, sizeof(buf));
		wr_u8(&w, 1);
		wr_u16(&w, 0x0203);
		wr_u32(&w, 0x04050607);
		assert_int_equal(w.full, room < 7);
		assert_int_equal(wr_len(&w), room < 7 ? 3 : 7);
		assert_int_equal(buf[room < 7 ? 3 : 7], 0xee); /* nothing of what did not fit */
		wr_u8(&w, 9);
		assert_true(w.full);
		assert_int_equal(wr_room(&w), 0); /* full stays full, even where a byte would fit */
		assert_memory_equal(buf, bytes, room < 7 ? 3 : 7);
	}
}

static void
test_what_is_written_is_read(void **state)
{
	uint8_t buf[16];
	struct wr w = wr_make(buf, sizeof(buf));
	struct rd r;

	(void)state;
	wr_u32(&w, 0xfffefdfc);
	wr_u16(&w, 0xfbfa);
	wr_u8(&w, 0xf9);
	wr_bytes(&w, bytes, 8);
	wr_bytes(&w, NULL, 0);
	assert_false(w.full);
	r = rd_make(buf, wr_len(&w));
	assert_int_equal(rd_u32(&r), 0xfffefdfc);
	assert_int_equal(rd_u16(&r), 0xfbfa);
	assert_int_equal(rd_u8(&r), 0xf9);
	assert_memory_equal(rd_take(&r, 8), bytes, 8);
	assert_true(rd_done(&r) && !r.bad);
	put_u16(buf, 0xabcd);
	put_u32(buf + 2, 0x89abcdef);
	assert_int_equal(get_u16(buf), 0xabcd);
	assert_int_equal(get_u32(buf + 2), 0x89abcdef);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_are_big_endian),
		cmocka_unit_test(test_reads_at_the_end),
		cmocka_unit_test(test_bad_stays_bad),
		cmocka_unit_test(test_a_sub_cursor_sees_no_further),
		cmocka_unit_test(test_nothing_to_read),
		cmocka_unit_test(test_a_huge_length_is_no_wrap),
		cmocka_unit_test(test_writes_at_the_end),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
