/* tests/unit/platform_linux/setup_test.c -- what is set on the switch and its ports, and what is said when it may not
 * be */
#include <errno.h>
#include <sys/wait.h>

#include "tests/unit/platform_linux/lab.h"

static void
is_set(const char *key, const char *want)
{
	const char *got = sh_read("cat /proc/sys/net/%s", key);

	if (strcspn(got, "\n") != strlen(want) || strncmp(got, want, strlen(want)) != 0)
		fail_msg("%s is %s, not %s", key, got, want);
}

static void
switch_and_ports(void **state)
{
	static const struct {
		const char *key, *value;
	} settings[] = {
		{ "ipv4/ip_forward", "1" },
		{ "ipv6/conf/all/forwarding", "1" },
		{ "ipv6/conf/all/accept_dad", "0" },
		{ "ipv4/nexthop_compat_mode", "0" },
		{ "ipv4/fib_multipath_hash_policy", "3" },
		{ "ipv6/fib_multipath_hash_policy", "3" },
		{ "ipv4/fib_multipath_hash_fields", "55" },
		{ "ipv6/fib_multipath_hash_fields", "55" },
		{ "ipv6/conf/p0/accept_dad", "0" },
		{ "ipv6/conf/p0/accept_ra", "0" },
		{ "ipv6/conf/p0/autoconf", "0" },
	};
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		is_set(settings[i].key, settings[i].value);
	if (access("/proc/sys/net/ipv4/fib_multipath_hash_seed", F_OK) == 0)
		is_set("ipv4/fib_multipath_hash_seed", "42");
	assert_int_equal(l.problems, 0);
	assert_true(lab_port(&l, "p0")->carrier);
	assert_int_equal(lab_port(&l, "p0")->mtu, 9216);
	assert_non_null(strstr(sh_read("ip link show lo"), "LOWER_UP"));
	lab_close(&l);
}

/* The link-local address can be used, and is told, as soon as the port is up: no second of duplicate detection. */
static void
link_local_at_once(void **state)
{
	struct plat_port_config cfg = { .fabric = true, .up = true };
	int64_t began;
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	assert_true(sh("ip link set p0 down"));
	lab_run(&l, 10);
	assert_true(ip_is_zero(&lab_port(&l, "p0")->link_local));
	began = tiny_clock_us();
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &cfg), 0);
	while (ip_is_zero(&lab_port(&l, "p0")->link_local) && tiny_clock_us() - began < SECONDS(2))
		tiny_turn(&l.tiny, 1);
	assert_true(ip_is_link_local(&lab_port(&l, "p0")->link_local));
	assert_true(tiny_clock_us() - began < MS(500));
	assert_null(strstr(sh_read("ip -6 addr show dev p0"), "tentative"));
	lab_close(&l);
}

/* An address is exchanged by adding the new one and then deleting the old one: the port is never without. */
static void
link_local_exchanged(void **state)
{
	static const struct {
		const char *name;
		uint32_t event_buffer;
		const char *before; /* what fills it */
	} cases[] = {
		{ "all events come", 0, "true" },
		{ "none of them comes", 2048,
		    "for i in $(seq 100); do echo link set q0 mtu $((1400 + i % 2)); done | ip -batch -" },
	};
	struct ip a, b;

	(void)state;
	assert_true(ip_parse("fe80::5", &a) && ip_parse("fe80::6", &b));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char old[IP_TEXT];
		struct lab l;

		lab_open(&l, 1);
		for (int k = 0; k < 200 && ip_is_zero(&lab_port(&l, "p0")->link_local); k++)
			lab_run(&l, 10);
		lab_stop(&l);
		l.options.event_buffer = cases[i].event_buffer;
		lab_start(&l);
		ip_print(&lab_port(&l, "p0")->link_local, old);
		assert_true(sh("%s", cases[i].before));
		assert_true(sh("ip addr add fe80::5/64 dev p0 nodad && ip addr del %s/64 dev p0", old));
		lab_run(&l, 50);
		if (!ip_equal(&lab_port(&l, "p0")->link_local, &a))
			fail_msg("%s: %s", cases[i].name, ip_print(&lab_port(&l, "p0")->link_local, old));
		assert_int_equal(linux_platform_counters(l.platform)->overruns > 0, cases[i].event_buffer > 0);

		/* One that is added stays in reserve, also when all is read again. */
		assert_true(sh("ip addr add fe80::6/64 dev p0 nodad"));
		assert_true(sh("%s", cases[i].before));
		lab_run(&l, 50);
		assert_true(ip_equal(&lab_port(&l, "p0")->link_local, &a));
		assert_int_equal(l.address_lost, 0);

		/* Taken away during a flap: the loss of carrier is told at once, and the address that is left. */
		assert_true(sh("ip link set q0 down && ip addr del fe80::5/64 dev p0 && ip link set q0 up"));
		lab_run(&l, 50);
		assert_true(ip_equal(&lab_port(&l, "p0")->link_local, &b));
		assert_int_equal(l.address_lost, 0);
		assert_true(sh("ip addr del fe80::6/64 dev p0"));
		lab_run(&l, 50);
		assert_true(ip_is_zero(&lab_port(&l, "p0")->link_local));
		lab_close(&l);
	}
}

static void
addresses(void **state)
{
	struct ip v4, v6;
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	assert_true(ip_parse("10.0.0.1", &v4) && ip_parse("2001:db8::1", &v6));
	for (int i = 0; i < 2; i++) { /* the second time nothing changes */
		assert_int_equal(l.platform->ops->address_set(l.platform, "lo", &v4, 32, true), 0);
		assert_int_equal(l.platform->ops->address_set(l.platform, "lo", &v6, 128, true), 0);
	}
	assert_non_null(strstr(sh_read("ip addr show dev lo"), "inet 10.0.0.1/32"));
	assert_non_null(strstr(sh_read("ip addr show dev lo"), "inet6 2001:db8::1/128"));
	for (int i = 0; i < 2; i++)
		assert_int_equal(l.platform->ops->address_set(l.platform, "lo", &v4, 32, false), 0);
	assert_null(strstr(sh_read("ip addr show dev lo"), "10.0.0.1"));
	assert_int_equal(l.platform->ops->address_set(l.platform, "nosuch", &v4, 32, true), -ENODEV);
	lab_close(&l);
}

static void
bridge(void **state)
{
	struct plat_port_config cfg = { .up = true, .bridge = "rack0" };
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	assert_int_equal(l.platform->ops->bridge_setup(l.platform, "rack0", false), -ENODEV);
	assert_non_null(strstr(l.problem, "no bridge rack0"));
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &cfg), -ENODEV);
	for (int i = 0; i < 2; i++)
		assert_int_equal(l.platform->ops->bridge_setup(l.platform, "rack0", true), 0);
	lab_run(&l, 10);
	assert_non_null(lab_port(&l, "rack0"));
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &cfg), 0);
	assert_non_null(strstr(sh_read("ip link show dev p0"), "master rack0"));
	lab_run(&l, 20);
	assert_non_null(lab_port(&l, "p0")); /* leaving or joining a bridge is no end of a port */
	assert_true(sh("ip link set p0 nomaster"));
	lab_run(&l, 20);
	assert_non_null(lab_port(&l, "p0"));
	lab_close(&l);
}

/* A port between routers is taken out of a bridge that it was left in; others are not. */
static void
a_routed_port_is_in_no_bridge(void **state)
{
	struct plat_port_config fabric = { .fabric = true, .up = true }, none = { .up = true };
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	assert_true(sh("ip link add old type bridge && ip link set p0 master old && ip link set p1 master old"));
	lab_run(&l, 20);
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p1", &none), 0);
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &fabric), 0);
	assert_null(strstr(sh_read("ip link show dev p0"), "master"));
	assert_non_null(strstr(sh_read("ip link show dev p1"), "master old"));
	lab_close(&l);
}

/* What cannot be set is a sentence with the key, the cause and the consequence. */
static void
a_setting_that_is_missing(void **state)
{
	struct plat_system_config system = { .hash_seed = 1 };
	struct lab l;

	(void)state;
	lab_open(&l, 1);
	lab_stop(&l);
	l.options.proc_sys = "/nonexistent";
	lab_start(&l);
	assert_true(l.platform->ops->system_setup(l.platform, &system) < 0);
	assert_non_null(strstr(l.problem, "/nonexistent/net/"));
	assert_non_null(strstr(l.problem, "No such file"));
	lab_close(&l);
}

static void
names_the_missing_capability(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0 || !netns_new())
		skip();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct tiny tiny;
		char err[400] = "";

		tiny_init(&tiny, false);
		if (setresuid(65534, 65534, 65534)) /* with the last root id all capabilities go */
			_exit(3);
		if (linux_platform_open(&tiny.rt, NULL, NULL, err, sizeof(err)))
			_exit(4);
		_exit(strstr(err, "CAP_NET_ADMIN is missing") ? 0 : 5);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switch_and_ports),
		cmocka_unit_test(link_local_at_once),
		cmocka_unit_test(link_local_exchanged),
		cmocka_unit_test(addresses),
		cmocka_unit_test(bridge),
		cmocka_unit_test(a_routed_port_is_in_no_bridge),
		cmocka_unit_test(a_setting_that_is_missing),
		cmocka_unit_test(names_the_missing_capability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
