/*
 * tests/unit/platform_linux/carrier_test.c -- the neighbour entry whose going is the first word of a lost carrier
 *
 * Which of the two words of the kernel is read first depends on the processors: the tests ask that a loss be told once,
 * whichever it was, and that the early word be the first in one of many losses behind many IPv6 routes.
 */
#include <sys/wait.h>

#include "tests/unit/platform_linux/lab.h"

#define MANY   20000
#define LOSSES 100

static const struct linux_counters *
counters(const struct lab *l)
{
	return linux_platform_counters(l->platform);
}

static bool
has_entry(const char *port)
{
	const char *out = sh_read("ip -4 neigh show dev %s", port);

	return strstr(out, "192.0.0.8 ") && strstr(out, "extern_learn") && strstr(out, "NOARP");
}

/* Until the port's carrier is told as wanted. */
static void
wait_carrier(struct lab *l, const char *port, bool want)
{
	int64_t end = tiny_clock_us() + SECONDS(5);

	while (lab_port(l, port)->carrier != want) {
		if (tiny_clock_us() > end)
			fail_msg("%s: carrier is not told to be %s", port, want ? "there" : "lost");
		tiny_turn(&l->tiny, 1);
	}
}

static void
entry_of_routed_ports(void **state)
{
	struct plat_port_config cfg = { .up = true, .bridge = "rack0" };
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	assert_true(sh("ip link add p9 type veth peer name q9 && ip link set q9 up"));
	lab_run(&l, 20);
	assert_int_equal(l.platform->ops->bridge_setup(l.platform, "rack0", true), 0);
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p9", &cfg), 0);
	assert_true(has_entry("p0"));
	assert_false(has_entry("p9"));
	assert_int_equal(l.problems, 0);
	lab_stop(&l);
	assert_true(has_entry("p0")); /* as the routes: who comes next finds it */
	lab_start(&l);
	lab_close(&l);
}

static void
entry_comes_back(void **state)
{
	uint64_t foreign;
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	wait_carrier(&l, "p0", true);
	for (int i = 0; i < 3; i++) {
		assert_true(sh("ip link set q0 down"));
		wait_carrier(&l, "p0", false);
		assert_false(has_entry("p0"));
		assert_true(sh("ip link set q0 up"));
		wait_carrier(&l, "p0", true);
		assert_true(has_entry("p0"));
	}
	foreign = counters(&l)->foreign;
	assert_true(sh("ip neigh flush dev p0 nud noarp"));
	for (int i = 0; i < 1000 && !has_entry("p0"); i++)
		tiny_turn(&l.tiny, 5);
	assert_true(has_entry("p0"));
	assert_int_equal(counters(&l)->foreign, foreign + 1);
	assert_true(lab_port(&l, "p0")->carrier); /* a flush is no loss */
	lab_close(&l);
}

/* Once, with the cause; the port is in use all the same. */
static void
entry_refused_is_told(void **state)
{
	struct plat_port_config cfg = { .fabric = true, .up = true, .mtu = 9216 };
	int status;
	pid_t child;
	struct lab l;

	(void)state;
	if (geteuid() != 0)
		skip();
	lab_open(&l, 2);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setresuid(65534, 65534, 65534)) /* with the last root id all capabilities go */
			_exit(2);
		l.problem[0] = '\0';
		if (l.platform->ops->port_setup(l.platform, "p0", &cfg))
			_exit(3);
		if (!strstr(l.problem, "port p0: neighbour entry 192.0.0.8 cannot be set: Operation not permitted"))
			_exit(4);
		l.problem[0] = '\0';
		l.platform->ops->port_setup(l.platform, "p1", &cfg);
		_exit(strstr(l.problem, "192.0.0.8") ? 5 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	lab_close(&l);
}

/* Also the first word, which comes before the kernel has finished, says it once; and what hangs on it is right. */
static void
loss_is_told_once_and_early(void **state)
{
	size_t lost, back;
	uint32_t group;
	char text[64];
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	group = lab_group(&l, 0, 1);
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "2001:db8:%x::/64", i);
		lab_route(&l, text, group);
	}
	assert_true(lab_wait_state(&l, text, SYNC_INSTALLED, 20000));
	lost = l.carrier_lost;
	back = l.carrier_back;
	for (unsigned int n = 1; n <= LOSSES; n++) {
		assert_true(sh("ip link set q0 down"));
		wait_carrier(&l, "p0", false);
		assert_true(lab_wait_width(&l, text, 1, 5000) >= 0);
		assert_int_equal(l.carrier_lost, lost + n);
		assert_true(sh("ip link set q0 up"));
		wait_carrier(&l, "p0", true);
		assert_true(lab_wait_width(&l, text, 2, 5000) >= 0);
		assert_int_equal(l.carrier_back, back + n);
		if (counters(&l)->early)
			break;
	}
	assert_true(counters(&l)->early > 0);
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_of_routed_ports),
		cmocka_unit_test(entry_comes_back),
		cmocka_unit_test(entry_refused_is_told),
		cmocka_unit_test(loss_is_told_once_and_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
