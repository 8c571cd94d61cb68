/*
 * tests/unit/runtime_event/handover_test.c -- a stream goes from one loop to another, as from a process to its successor
 *
 * Messages have ten octets, and the owner takes whole ones only. Wherever the stream is cut, what has come of a message
 * goes along, and the successor reads each once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/event/event.h"

#define MESSAGE 10
#define TOTAL   40

struct owner {
	char got[TOTAL + 1];
	size_t n, most; /* octets of whole messages; the most that was offered at once */
};

static size_t
take(void *arg, const uint8_t *bytes, size_t n)
{
	struct owner *o = arg;
	size_t whole = n / MESSAGE * MESSAGE;

	o->most = MAX_OF(o->most, n);
	assert_true(o->n + whole <= TOTAL);
	memcpy(o->got + o->n, bytes, whole);
	o->n += whole;
	return whole;
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
closed(void *arg, int error)
{
	(void)arg;
	fail_msg("closed: %d", error);
}

static const struct rt_stream_handler handler = {
	.opened = nothing, .input = take, .writable = nothing, .closed = closed
};

static void
turns(struct runtime *rt)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(rt_event_turn(rt, MS(1)), 0);
}

static void
test_what_is_left_goes_along(void **state)
{
	char text[TOTAL + 1];

	(void)state;
	for (int i = 0; i < TOTAL; i++)
		text[i] = (char)('0' + i);
	text[TOTAL] = '\0';
	for (size_t cut = 0; cut <= TOTAL; cut++) {
		struct mem mem = { 0 };
		struct runtime *old = rt_event_new(&mem), *next = rt_event_new(&mem);
		struct owner a = { .n = 0 }, b = { .n = 0 };
		struct rt_parcel parcel = { .fd = -1 };
		struct rt_stream *was, *is;
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
		parcel.fd = ends[1];
		assert_int_equal(rt_stream_unpack(old, &parcel, &handler, &a, &was), 0);
		if (cut)
			assert_int_equal(write(ends[0], text, cut), cut);
		turns(old);
		assert_int_equal(a.n, cut / MESSAGE * MESSAGE);
		rt_stream_pause(was, true);
		assert_int_equal(rt_stream_pack(was, &parcel), 0);
		assert_int_equal(parcel.n_left, cut % MESSAGE);
		parcel.fd = dup(parcel.fd);
		assert_int_equal(rt_stream_unpack(next, &parcel, &handler, &b, &is), 0);
		rt_stream_handle(was, NULL, NULL);
		rt_event_free(old);
		if (cut < TOTAL)
			assert_int_equal(write(ends[0], text + cut, TOTAL - cut), TOTAL - cut);
		turns(next);
		memcpy(a.got + a.n, b.got, b.n);
		if (a.n + b.n != TOTAL || memcmp(a.got, text, TOTAL) != 0)
			fail_msg("cut behind octet %zu: %.*s, then %.*s", cut, (int)a.n, a.got, (int)b.n, b.got);
		rt_stream_handle(is, NULL, NULL);
		rt_event_free(next);
		close(ends[0]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_goes_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
