/* tests/unit/bfd_daemon/keeper_test.c -- what a worker says to a keeper that has no time to listen */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bfd/daemon/keeper.h"

#define MANY 1000

/* As it goes over the socket. */
struct message {
	uint8_t word;
	struct bfd_fd_key key;
};

/* One of four is a socket to be kept, the others are gone. */
static bool
is_kept(uint32_t i)
{
	return i % 4 == 0;
}

static int
descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 2 * MANY; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Reads what is there: all of it must be what comes after *n, each kept one with its descriptor. */
static void
listen_to(int fd, uint32_t *n)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct message m;

	for (;;) {
		struct iovec iov = { &m, sizeof(m) };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		int passed = -1;

		if (recvmsg(fd, &msg, MSG_DONTWAIT) < 0)
			return;
		assert_int_equal(m.key.ifindex, *n);
		assert_int_equal(m.word, is_kept(*n) ? 'k' : 'd');
		if (is_kept(*n)) {
			assert_non_null(CMSG_FIRSTHDR(&msg));
			memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(passed));
			assert_int_equal(close(passed), 0);
		}
		++*n;
	}
}

/* More than its socket holds: what waits goes out as room is made, in the order in which it was said. */
static void
nothing_is_lost_while_the_keeper_is_busy(void **state)
{
	struct bfd_keeper_late late = { 0 };
	uint32_t got = 0, in_time = 0;
	int pair[2], before = descriptors();

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		struct bfd_fd_key key = { .ifindex = i };
		int fd = is_kept(i) ? dup(0) : -1;

		in_time += !bfd_keeper_keep(pair[1], &late, &key, fd);
		if (fd >= 0)
			close(fd); /* a copy is kept */
	}
	assert_in_range(in_time, 1, MANY / 2);
	assert_int_equal(late.n, MANY - in_time);
	assert_true(bfd_keeper_flush(pair[1], &late));
	for (int i = 0; i < MANY && late.n; i++) {
		bool waits;

		listen_to(pair[0], &got);
		waits = bfd_keeper_flush(pair[1], &late);
		assert_int_equal(waits, late.n > 0);
	}
	listen_to(pair[0], &got);
	assert_int_equal(got, MANY);
	assert_false(bfd_keeper_keep(pair[1], &late, &(struct bfd_fd_key){ .ifindex = MANY }, -1));
	bfd_keeper_late_free(&late);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(descriptors(), before);
}

/* A worker that ends takes what is late along, and no descriptor stays. */
static void
late_ones_are_closed(void **state)
{
	struct bfd_keeper_late late = { 0 };
	int pair[2], before = descriptors();

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (uint32_t i = 0; i < MANY; i++)
		bfd_keeper_keep(pair[1], &late, &(struct bfd_fd_key){ .ifindex = i }, is_kept(i) ? 0 : -1);
	assert_true(late.n > 0);
	bfd_keeper_late_free(&late);
	assert_int_equal(late.n, 0);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_while_the_keeper_is_busy),
		cmocka_unit_test(late_ones_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
