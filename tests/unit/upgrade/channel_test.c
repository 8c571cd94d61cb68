/* tests/unit/upgrade/channel_test.c -- words and descriptors over a socket pair, and what is none of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/upgrade/channel.h"
#include "fabricd/upgrade/notify.h"

struct pair {
	int a, b;
};

static int
setup(void **state)
{
	static struct pair p;
	int ends[2], e = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);

	p = (struct pair){ ends[0], ends[1] };
	*state = &p;
	return e;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	close(p->a);
	if (p->b >= 0)
		close(p->b);
	return 0;
}

static void
test_words_come_as_they_went(void **state)
{
	struct channel_hello h = { .protocol = 1, .format = 7, .version = "0.2", .node = "leaf1", .digest = "e47043a" },
			     got;
	struct pair *p = *state;
	struct channel_message m;
	char text[32];

	assert_int_equal(channel_receive(p->b, &m), -EAGAIN);
	assert_int_equal(channel_wait(p->b, &m, 20), -ETIMEDOUT);
	assert_int_equal(channel_hello(p->a, &h), 0);
	assert_int_equal(channel_say(p->a, CHANNEL_FAILED, "no\nroom \xff"), 0);
	assert_int_equal(channel_wait(p->b, &m, 1000), 0);
	assert_int_equal(m.kind, CHANNEL_HELLO);
	memset(&got, 0, sizeof(got));
	assert_true(channel_hello_read(m.body, &got));
	assert_int_equal(got.protocol, 1);
	assert_int_equal(got.format, 7);
	assert_string_equal(got.version, "0.2");
	assert_string_equal(got.node, "leaf1");
	assert_string_equal(got.digest, "e47043a");
	for (size_t n = rd_left(&m.body); n-- > 0;) /* each shorter one is refused */
		assert_false(channel_hello_read(rd_make(m.body.at, n), &got));
	assert_int_equal(channel_receive(p->b, &m), 0);
	assert_int_equal(m.kind, CHANNEL_FAILED);
	assert_string_equal(channel_text(m.body, text, sizeof(text)), "no?room ?");
	assert_string_equal(channel_text(m.body, text, 4), "no?");
	close(p->a);
	p->a = dup(p->b);
	assert_int_equal(channel_receive(p->b, &m), -EPIPE);
	assert_int_equal(channel_say(p->b, CHANNEL_READY, "x"), -EPIPE);
}

static void
test_descriptors_are_the_receivers(void **state)
{
	struct pair *p = *state;
	struct channel_message m;
	int fds[CHANNEL_FDS], pipes[2];
	char c;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (size_t i = 0; i < CHANNEL_FDS; i++)
		fds[i] = pipes[1];
	assert_int_equal(channel_send(p->a, CHANNEL_DESCRIPTORS, NULL, 0, fds, CHANNEL_FDS), 0);
	assert_int_equal(channel_send(p->a, CHANNEL_DESCRIPTORS, NULL, 0, fds, CHANNEL_FDS + 1), -EMSGSIZE);
	assert_int_equal(channel_receive(p->b, &m), 0);
	assert_int_equal(m.nfds, CHANNEL_FDS);
	close(pipes[1]);
	for (size_t i = 0; i < CHANNEL_FDS; i++) {
		assert_true(fcntl(m.fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(write(m.fds[i], "x", 1), 1);
	}
	channel_close_fds(&m);
	for (size_t i = 0; i < CHANNEL_FDS; i++)
		assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_int_equal(read(pipes[0], &c, 1), 0); /* nobody holds the other end any more */
	close(pipes[0]);
}

/* Who has no descriptors left is told so, and keeps none of those that came. */
static void
test_too_many_descriptors(void **state)
{
	struct pair *p = *state;
	struct channel_message m;
	struct rlimit was, few;
	int fds[16], first = dup(0);

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = p->a;
	assert_int_equal(channel_send(p->a, CHANNEL_DESCRIPTORS, NULL, 0, fds, ARRAY_LEN(fds)), 0);
	assert_int_equal(channel_send(p->a, CHANNEL_READY, NULL, 0, NULL, 0), 0);
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)first + 5;
	close(first);
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(channel_receive(p->b, &m), -EMFILE);
	assert_int_equal(m.nfds, 0);
	assert_int_equal(dup(0), first);
	close(first);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(channel_receive(p->b, &m), 0);
	assert_int_equal(m.kind, CHANNEL_READY);
}

static void
test_what_is_no_word(void **state)
{
	static const struct {
		const char *name;
		uint8_t bytes[4];
		size_t n;
	} cases[] = {
		{ "one octet", { CHANNEL_HELLO }, 1 },
		{ "kind 0", { 0, 0, 0 }, 3 },
		{ "kind past the end", { CHANNEL_KINDS, 0 }, 2 },
		{ "kind 255", { 255, 255, 255, 255 }, 4 },
	};
	struct pair *p = *state;
	struct channel_message m;
	uint8_t large[CHANNEL_MAX + 1] = { CHANNEL_HELLO };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(send(p->a, cases[i].bytes, cases[i].n, 0), cases[i].n);
		if (channel_receive(p->b, &m) != -EBADMSG)
			fail_msg("%s", cases[i].name);
	}
	assert_int_equal(send(p->a, large, sizeof(large), 0), sizeof(large));
	assert_int_equal(channel_receive(p->b, &m), -EBADMSG);
	assert_int_equal(channel_send(p->a, CHANNEL_READY, large, CHANNEL_MAX, NULL, 0), -EMSGSIZE);
}

static void
test_memory_is_sealed(void **state)
{
	int fd = channel_memory("test", "0123456789", 10), open;
	const char *bytes;
	size_t n;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	bytes = channel_map(fd, &n);
	assert_non_null(bytes);
	assert_int_equal(n, 10);
	assert_memory_equal(bytes, "0123456789", 10);
	channel_unmap(bytes, n);
	close(fd);
	open = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_null(channel_map(open, &n)); /* could shrink under our hands */
	close(open);
}

/* Where the kernel seals more than it was asked to, or takes no memory that could be executed (vm.memfd_noexec). */
static void
test_memory_where_none_may_be_executed(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(77);
		pid = fork(); /* the setting is that of the name space, which begins with this one */
		for (int level = 1; pid == 0 && level <= 2; level++) {
			int sysctl = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC), fd;
			size_t n;

			if (sysctl < 0 || dprintf(sysctl, "%d", level) < 0)
				_exit(77);
			close(sysctl);
			fd = channel_memory("test", "0123456789", 10);
			if (fd < 0 || !channel_map(fd, &n) || n != 10)
				_exit(level);
			close(fd);
		}
		if (pid == 0)
			_exit(0);
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_supervisor(void **state)
{
	char dir[] = "/tmp/notify-XXXXXX", path[64], got[64] = "";
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/notify", dir);
	assert_int_equal(notify_supervisor(NULL, "READY=1\n"), 0); /* nobody asked */
	assert_int_equal(notify_supervisor("", "READY=1\n"), 0);
	assert_int_equal(notify_supervisor("relative", "READY=1\n"), -EINVAL);
	assert_int_equal(notify_supervisor(path, "READY=1\n"), -ENOENT);
	strcpy(un.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(notify_supervisor(path, "MAINPID=17\n"), 0);
	assert_int_equal(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 11);
	assert_string_equal(got, "MAINPID=17\n");
	close(fd);
	unlink(path);
	rmdir(dir);
	/* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%cfabricd-test-%d", 0, (int)getpid());
	snprintf(path, sizeof(path), "@fabricd-test-%d", (int)getpid());
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	assert_int_equal(notify_supervisor(path, "READY=1\n"), 0);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 8);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words_come_as_they_went, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_are_the_receivers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_word, setup, teardown),
		cmocka_unit_test(test_memory_is_sealed),
		cmocka_unit_test(test_memory_where_none_may_be_executed),
		cmocka_unit_test(test_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
