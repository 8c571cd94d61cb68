/* tests/unit/query/protocol_test.c -- frames and messages of the query socket, good and hostile (Q01) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/query/protocol.h"

static void
request_round_trip(void **state)
{
	static const char *const args[] = { "swp49", "", "10.0.0.0/8" };
	struct query_request in = { .id = 7, .verb = "bgp.neighbor", .args = args, .n_args = 3 }, out;
	size_t n = query_request_size(&in);
	uint8_t *bytes = malloc(n);
	struct rd r, body;

	(void)state;
	query_request_encode(&in, bytes);
	r = rd_make(bytes, n);
	assert_int_equal(query_frame(&r, QUERY_MAX_REQUEST, &body), 1);
	assert_true(rd_done(&r));
	assert_int_equal(query_request_decode(NULL, body, &out), 0);
	assert_int_equal(out.id, 7);
	assert_string_equal(out.verb, "bgp.neighbor");
	assert_int_equal(out.n_args, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(out.args[i], args[i]);
	query_request_free(NULL, &out);
	free(bytes);
}

static void
reply_round_trip(void **state)
{
	static const char json[] = "{\"a\":1}\n{\"a\":2}\n";
	struct query_reply in = { .id = 9, .kind = QUERY_ROWS, .status = 3, .json = json, .n = sizeof(json) - 1 }, out;
	size_t n = query_reply_size(&in);
	uint8_t *bytes = malloc(n);
	struct rd r, body;

	(void)state;
	query_reply_encode(&in, bytes);
	r = rd_make(bytes, n);
	assert_int_equal(query_frame(&r, QUERY_MAX_REPLY, &body), 1);
	assert_int_equal(query_reply_decode(NULL, body, &out), 0);
	assert_int_equal(out.id, 9);
	assert_int_equal(out.kind, QUERY_ROWS);
	assert_int_equal(out.status, 3);
	assert_int_equal(out.n, sizeof(json) - 1);
	assert_memory_equal(out.json, json, out.n);
	query_reply_free(NULL, &out);
	free(bytes);
}

/* A frame that comes byte by byte is whole only with its last byte, and the cursor waits for it. */
static void
frames_in_pieces(void **state)
{
	static const uint8_t bytes[] = { 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0 };

	(void)state;
	for (size_t n = 0; n < 7; n++) {
		struct rd r = rd_make(bytes, n), body;

		assert_int_equal(query_frame(&r, 16, &body), 0);
		assert_ptr_equal(r.at, bytes);
	}
	for (size_t n = 7; n <= sizeof(bytes); n++) {
		struct rd r = rd_make(bytes, n), body;

		assert_int_equal(query_frame(&r, 16, &body), 1);
		assert_int_equal(rd_left(&body), 3);
		assert_ptr_equal(r.at, bytes + 7);
		assert_int_equal(query_frame(&r, 16, &body), n == sizeof(bytes));
	}
}

/* Verb "status" with id 1, then what is appended to it. */
#define STATUS "\x08\x01\x12\x06status"

static const struct {
	const char *name;
	const char *bytes;
	size_t n;
	int want;
} hostile[] = {
	{ "nothing: no verb", "", 0, -EBADMSG },
	{ "verb", STATUS, 10, 0 },
	{ "unknown varint field", STATUS "\x78\x05", 12, 0 },
	{ "truncated varint", "\x08", 1, -EBADMSG },
	{ "varint without end", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, -EBADMSG },
	{ "varint of 11 octets", "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, -EBADMSG },
	{ "string length 2^32-1",
	    "\x12\xff\xff\xff\xff\x0f"
	    "status",
	    12, -EBADMSG },
	{ "string length 2^63",
	    "\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
	    "status",
	    16, -EBADMSG },
	{ "string one byte short", "\x12\x07status", 8, -EBADMSG },
	{ "wire type 6", STATUS "\x1e", 11, -EBADMSG },
	{ "field number 0", "\x00\x01", 2, -EBADMSG },
	{ "end of a group that never began", STATUS "\x1c", 11, -EBADMSG },
	{ "verb with a newline",
	    "\x12\x02"
	    "a\n",
	    4, -EBADMSG },
	{ "verb with an escape",
	    "\x12\x02"
	    "a\x1b",
	    4, -EBADMSG },
	{ "verb in another script", "\x12\x02\xc3\xa9", 4, -EBADMSG },
	{ "argument with a zero",
	    STATUS "\x1a\x03"
		   "a\0b",
	    15, 0 }, /* ends there */
	{ "argument with a control", STATUS "\x1a\x01\x07", 13, -EBADMSG },
};

static void
test_Q01_hostile_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		struct query_request out;
		int got = query_request_decode(NULL, rd_make(hostile[i].bytes, hostile[i].n), &out);

		if (got != hostile[i].want)
			fail_msg("%s: %d, wanted %d", hostile[i].name, got, hostile[i].want);
		if (!got)
			query_request_free(NULL, &out);
		assert_null(out.owner);
	}
}

static void
test_Q01_frame_lengths(void **state)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 0 };
	uint8_t edge[] = { 0, 0, QUERY_MAX_REQUEST >> 8, 1 };
	struct rd r = rd_make(huge, sizeof(huge)), body;

	(void)state;
	assert_int_equal(query_frame(&r, QUERY_MAX_REQUEST, &body), -EMSGSIZE);
	r = rd_make(edge, sizeof(edge));
	assert_int_equal(query_frame(&r, QUERY_MAX_REQUEST, &body), -EMSGSIZE);
	edge[3] = 0;
	r = rd_make(edge, sizeof(edge));
	assert_int_equal(query_frame(&r, QUERY_MAX_REQUEST, &body), 0);
}

/* Groups nested 10,000 deep, and a message full of unknown fields: refused or read, within the bound of memory. */
static void
test_Q01_bounded_memory(void **state)
{
	enum { N = QUERY_MAX_REQUEST };
	uint8_t *bytes = malloc(1 << 20);
	struct mem mem = { 0 };
	struct query_request out;
	int got;

	(void)state;
	memset(bytes, 0x7b, 10000); /* start of group 15 */
	assert_int_equal(query_request_decode(&mem, rd_make(bytes, 10000), &out), -EBADMSG);
	assert_int_equal(mem.by[MEM_QUERY].bytes, 0);

	for (size_t i = 0; i < 1 << 20; i += 2) { /* unknown field 15, varint 1 */
		bytes[i] = 0x78;
		bytes[i + 1] = 0x01;
	}
	for (size_t n = N; n <= 1 << 20; n <<= 1) {
		got = query_request_decode(&mem, rd_make(bytes, n), &out);
		assert_true(got == -ENOMEM || got == -EBADMSG); /* there is no verb either */
		assert_int_equal(mem.by[MEM_QUERY].bytes, 0);
		if (mem.by[MEM_QUERY].peak_bytes > QUERY_MEMORY)
			fail_msg("%zu bytes for %zu", mem.by[MEM_QUERY].peak_bytes, n);
	}
	free(bytes);
}

static void
too_many_arguments(void **state)
{
	const char *args[QUERY_MAX_ARGS + 1];
	struct query_request in = { .verb = "x", .args = args }, out;
	uint8_t bytes[256];

	(void)state;
	for (size_t i = 0; i <= QUERY_MAX_ARGS; i++)
		args[i] = "a";
	for (in.n_args = QUERY_MAX_ARGS; in.n_args <= QUERY_MAX_ARGS + 1; in.n_args++) {
		size_t n = query_request_size(&in);
		int want = in.n_args > QUERY_MAX_ARGS ? -E2BIG : 0;

		assert_true(n <= sizeof(bytes));
		query_request_encode(&in, bytes);
		assert_int_equal(query_request_decode(NULL, rd_make(bytes + 4, n - 4), &out), want);
		query_request_free(NULL, &out);
	}
}

static void
reply_of_unknown_kind(void **state)
{
	struct query_reply out;

	(void)state;
	assert_int_equal(query_reply_decode(NULL, rd_make("\x10\x07", 2), &out), -EBADMSG);
	assert_null(out.owner);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_round_trip),
		cmocka_unit_test(reply_round_trip),
		cmocka_unit_test(frames_in_pieces),
		cmocka_unit_test(test_Q01_hostile_requests),
		cmocka_unit_test(test_Q01_frame_lengths),
		cmocka_unit_test(test_Q01_bounded_memory),
		cmocka_unit_test(too_many_arguments),
		cmocka_unit_test(reply_of_unknown_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
