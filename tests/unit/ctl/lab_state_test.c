/* tests/unit/ctl/lab_state_test.c -- a laboratory that is written is read back; processes are known by their start */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fabricd/ctl/lab.h"

static int
own_folder(void **state)
{
	char *dir = strdup("/tmp/fabricd-lab-test-XXXXXX");

	assert_non_null(mkdtemp(dir));
	setenv("FABRICD_LAB_DIR", dir, 1);
	*state = dir;
	return 0;
}

static int
remove_folder(void **state)
{
	rmdir(*state);
	free(*state);
	return 0;
}

static void
names(void **state)
{
	static const struct {
		const char *name;
		int want;
	} cases[] = {
		{ "lab", 0 },
		{ "demo-123", 0 },
		{ "", -EINVAL },
		{ ".", -EINVAL },
		{ "..", -EINVAL },
		{ "a/b", -EINVAL },
		{ "../x", -EINVAL },
		{ "a b", -EINVAL },
		{ "a-name-that-is-longer-than-thirty-one", -EINVAL },
	};
	char dir[LAB_PATH];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (lab_locate(cases[i].name, dir) != cases[i].want)
			fail_msg("\"%s\": %d", cases[i].name, lab_locate(cases[i].name, dir));
	}
}

static void
written_and_read(void **state)
{
	struct lab_node nodes[2] = { { .name = "leaf1", .kind = LAB_SWITCH, .process = { 123, 456 } },
		{ .name = "h1", .kind = LAB_HOST } };
	struct lab_wire wire = { .end = {
				     { .node = 1, .port = "eth0" }, { .node = 0, .port = "eth3", .down = true } } };
	struct lab out = { .name = "t",
		.fabric = "f",
		.nodes = nodes,
		.n_nodes = 2,
		.wires = &wire,
		.n_wires = 1,
		.holder = { 7, 8 } },
		   in;
	char path[LAB_PATH + 16];

	(void)state;
	nodes[1].net[FAMILY_IPV4].set = true;
	nodes[1].net[FAMILY_IPV4].len = 24;
	assert_true(ip_parse("10.1.1.2", &nodes[1].net[FAMILY_IPV4].address));
	assert_true(ip_parse("10.1.1.1", &nodes[1].net[FAMILY_IPV4].gateway));
	assert_int_equal(lab_locate("t", out.dir), 0);
	assert_int_equal(lab_load("t", &in), -ENOENT);
	assert_int_equal(mkdir(out.dir, 0700), 0);
	assert_int_equal(lab_save(&out), 0);
	assert_int_equal(lab_load("t", &in), 0);
	assert_string_equal(in.fabric, "f");
	assert_int_equal(in.holder.pid, 7);
	assert_int_equal(in.holder.start, 8);
	assert_int_equal(in.n_nodes, 2);
	assert_string_equal(in.nodes[0].name, "leaf1");
	assert_int_equal(in.nodes[0].process.start, 456);
	assert_int_equal(in.nodes[1].kind, LAB_HOST);
	assert_true(ip_equal(&in.nodes[1].net[FAMILY_IPV4].address, &nodes[1].net[FAMILY_IPV4].address));
	assert_false(in.nodes[1].net[FAMILY_IPV6].set);
	assert_int_equal(in.n_wires, 1);
	assert_true(in.wires[0].end[1].down && !in.wires[0].end[0].down);
	assert_string_equal(in.wires[0].end[1].port, "eth3");
	lab_clear(&in);
	lab_remove(&out);
	snprintf(path, sizeof(path), "%s/lab.json", out.dir);
	assert_int_equal(access(out.dir, F_OK), -1);
}

/* A process that ended, a number that another process has: neither is alive, neither is hit. */
static void
processes_are_known_by_their_start(void **state)
{
	struct lab_process self = lab_process_of(getpid()), other, *list[2] = { &self, &other };
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		for (;;)
			pause();
	}
	other = lab_process_of(pid);
	assert_true(lab_process_alive(&self));
	assert_true(lab_process_alive(&other));
	self.start++; /* as if our number had been that of an earlier process */
	other.start++;
	assert_false(lab_process_alive(&self));
	assert_int_equal(lab_process_end(list, 2, 1000), 0);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* untouched */
	other.start--;
	assert_int_equal(lab_process_end(list, 2, 5000), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_false(lab_process_alive(&other));
	assert_false(lab_process_alive(&(struct lab_process){ 0 }));
}

/* One that does not go when asked is killed, and counted. */
static void
deaf_processes_are_killed(void **state)
{
	struct lab_process p, *list[1] = { &p };
	int tell[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	if ((pid = fork()) == 0) {
		signal(SIGTERM, SIG_IGN);
		if (write(tell[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(tell[0], &c, 1), 1);
	p = lab_process_of(pid);
	assert_int_equal(lab_process_end(list, 1, 50), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	close(tell[0]);
	close(tell[1]);
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = { { "2s", 2000000 }, { "500ms", 500000 }, { "3", 3000000 }, { "5m", 300000000 },
		{ "1h", 3600000000 }, { "", -1 }, { "x", -1 }, { "-2s", -1 }, { "2 s", -1 },
		{ "99999999999999999999", -1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (ctl_duration(cases[i].text) != cases[i].want)
			fail_msg("\"%s\": %lld", cases[i].text, (long long)ctl_duration(cases[i].text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(processes_are_known_by_their_start),
		cmocka_unit_test(deaf_processes_are_killed),
		cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, own_folder, remove_folder);
}
