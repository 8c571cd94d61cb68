/* tests/unit/platform_linux/faults_test.c -- netlink faults N01 to N11: what others, and the kernel, do to our state */
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/support/counters.h"
#include "tests/unit/platform_linux/lab.h"

/* All that test_N01_overrun waits for: what is in the kernel, what sync holds, and that both are equal. */
static bool
overrun_is_mended(struct lab *l)
{
	return linux_platform_counters(l->platform)->overruns > 0 && kernel_width("10.1.7.0/24") == 1 &&
	       kernel_width("10.1.249.0/24") == 1 && !lab_port(l, "p1")->carrier && lab_width(l, "10.1.7.0/24") == 1 &&
	       sync_check(l->sync, NULL, NULL) == 0;
}

/* 100 ports and a full buffer: events are lost, which is noticed, and everything is read again. */
static void
test_N01_overrun(void **state)
{
	struct lab l;
	uint32_t g;

	(void)state;
	memset(&l, 0, sizeof(l));
	lab_open(&l, 2);
	lab_stop(&l);
	l.options.event_buffer = 2048; /* the kernel's minimum */
	lab_start(&l);
	g = lab_group(&l, 0, 1);
	for (int i = 0; i < 250; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		lab_route(&l, text, g);
	}
	tiny_settle(&l.tiny);
	/* While we do not read: thousands of link events, a carrier gone, and all of our routes deleted. */
	assert_true(sh("for i in $(seq 600); do echo link set q1 mtu $((1400 + i %% 2)); "
		       "echo link set q1 up; echo link set q1 down; done | ip -batch -"));
	assert_true(sh("ip route flush proto 211"));
	assert_int_equal(kernel_width("10.1.7.0/24"), -1);
	for (int i = 0; i < 2000 && !overrun_is_mended(&l); i++) /* a busy machine takes its time */
		lab_run(&l, 10);
	assert_true(linux_platform_counters(l.platform)->overruns > 0);
	assert_int_equal(kernel_width("10.1.7.0/24"), 1);
	assert_int_equal(lab_width(&l, "10.1.7.0/24"), 1);
	assert_false(lab_port(&l, "p1")->carrier);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/* A refused route is told with the kernel's words, tried again with growing pauses, and installed when it can be. */
static void
test_N02_refused(void **state)
{
	struct sync_config cfg;
	struct sync_stats a, b;
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 1);
	sync_free(l.sync);
	cfg = (struct sync_config){
		.mem = &l.mem, .rt = &l.tiny.rt, .id_base = 0x0fab0000, .metric = METRIC, .cover_metric = COVER
	};
	assert_true(ip_parse("192.0.2.1", &cfg.source[FAMILY_IPV4])); /* not an address of ours */
	l.sync = sync_new(l.platform, &cfg, &lab_sync_client, &l);
	assert_int_equal(sync_start(l.sync), 0);
	g = lab_group(&l, 0, 0);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8::/64", g);
	tiny_settle(&l.tiny);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_FAILED);
	assert_int_equal(lab_state(&l, "2001:db8::/64"), SYNC_INSTALLED);
	assert_string_equal(l.last, "Invalid prefsrc address");
	sync_stats(l.sync, &a);
	assert_int_equal(a.routes_failed, 1);
	lab_run(&l, 1000); /* tried after 0.1, 0.3 and 0.7 s */
	sync_stats(l.sync, &b);
	assert_in_range(b.route_messages - a.route_messages, 2, 4);
	assert_true(sh("ip addr add 192.0.2.1/32 dev lo"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 1, 2500) >= 0);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_INSTALLED);
	sync_stats(l.sync, &b);
	assert_int_equal(b.routes_failed, 0);
	lab_close(&l);
}

/* Something changes during a dump: the kernel says so, and the dump is begun again; the audit ends all the same. */
static void
test_N04_interrupted_dump(void **state)
{
	struct sync_stats st, now;
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	assert_true(sh("for i in $(seq 3000); do echo nexthop add id $((50000 + i)) dev p0; done | ip -batch -"));
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	tiny_settle(&l.tiny);
	sync_stats(l.sync, &st);
	for (int i = 0; i < 400 && linux_platform_counters(l.platform)->interrupted < 2; i++) {
		if (i % 20 == 0)
			sync_audit(l.sync);
		for (int k = 0; k < 2; k++)
			tiny_turn(&l.tiny, 0);
		sh("ip nexthop add id %d dev p0", 60000 + i);
	}
	assert_true(linux_platform_counters(l.platform)->interrupted >= 2);
	sync_stats(l.sync, &now);
	for (int i = 0; i < 1000 && now.audits == st.audits; i++) { /* 20 s, for a machine with other things to do */
		lab_run(&l, 20);
		sync_stats(l.sync, &now);
	}
	assert_true(now.audits > st.audits);
	assert_int_equal(now.repairs, 0);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/*
 * Another program's group is wider than a message of a dump: the kernel breaks off there. What it did not tell of is not
 * missing: nothing is changed, it is said what to do, and the next audit after that is whole.
 */
static void
test_N04_dump_broken_off(void **state)
{
	enum { WIDE = 4096 };
	struct linux_options options = { .protocol = 99 };
	struct plat_member members[WIDE];
	struct sync_stats before, now;
	struct plat_op op = { .kind = PLAT_NH_SET };
	char err[300] = "", routes[400];
	struct platform *other;
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	lab_route(&l, "10.1.0.0/24", lab_group(&l, 0, 1));
	tiny_settle(&l.tiny);
	snprintf(routes, sizeof(routes), "%s", sh_read("ip route show proto 211"));
	assert_non_null(strstr(routes, "nhid"));
	other = linux_platform_open(&l.tiny.rt, &l.mem, &options, err, sizeof(err));
	assert_non_null(other);
	op.nh.ifindex = lab_port(&l, "p0")->ifindex;
	assert_true(ip_parse("fe80::9", &op.nh.gateway));
	for (op.id = 1; op.id <= WIDE; op.id++) {
		members[op.id - 1] = (struct plat_member){ .nh = op.id, .weight = 1 };
		while (!other->ops->submit(other, &op, 1))
			tiny_turn(&l.tiny, 0);
	}
	op = (struct plat_op){ .kind = PLAT_GROUP_SET, .id = WIDE + 1, .group = { .members = members, .n = WIDE } };
	while (!other->ops->submit(other, &op, 1))
		tiny_turn(&l.tiny, 0);
	lab_run(&l, 20);
	assert_true(sh("ip nexthop show id %d > /dev/null", WIDE + 1));

	assert_int_equal(sync_check(l.sync, NULL, NULL), -EMSGSIZE);
	sync_stats(l.sync, &before);
	sync_audit(l.sync);
	lab_run(&l, 1000);
	sync_stats(l.sync, &now);
	assert_int_equal(now.audits, before.audits);
	assert_int_equal(now.repairs, before.repairs);
	assert_int_equal(now.route_messages, before.route_messages);
	assert_string_equal(sh_read("ip route show proto 211"), routes);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(l.problems, 1);
	assert_non_null(strstr(l.problem, "the next one above 4096; "));

	assert_true(sh("ip nexthop del id %d", WIDE + 1));
	lab_run(&l, 1000);
	sync_stats(l.sync, &now);
	assert_true(now.audits > before.audits);
	assert_int_equal(now.repairs, before.repairs);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	other->ops->close(other);
	lab_close(&l);
}

/* Others delete what is ours: it comes back, with all that hung on it. */
static void
test_N05_foreign_deletion(void **state)
{
	static const struct {
		const char *name, *command;
	} cases[] = {
		{ "an IPv4 route", "ip route del 10.1.0.0/24 metric 20" },
		{ "an IPv6 route", "ip -6 route del 2001:db8:1::/64 metric 20" },
		{ "all routes of both families", "ip route flush proto 211; ip -6 route flush proto 211" },
		{ "a next hop", "ip nexthop del id $(ip nexthop show dev p0 | sed 's/id \\([0-9]*\\) .*/\\1/')" },
		{ "the group", "ip nexthop del id $(ip nexthop show groups | sed 's/id \\([0-9]*\\) .*/\\1/')" },
		{ "everything", "ip nexthop flush" },
		{ "a cover route", "ip route del unreachable 10.0.0.0/8 metric 9999" },
		{ "the group's members, changed",
		    "ip nexthop replace id $(ip nexthop show groups | sed 's/id \\([0-9]*\\) .*/\\1/') group "
		    "$(ip nexthop show dev p0 | sed 's/id \\([0-9]*\\) .*/\\1/') proto 211" },
	};
	struct prefix cover = lab_prefix("10.0.0.0/8");
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "10.2.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	sync_route_cover(l.sync, 0, &cover, PLAT_UNREACHABLE);
	tiny_settle(&l.tiny);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t began = tiny_clock_us();
		bool back = false;

		if (!sh("%s > /dev/null 2>&1", cases[i].command))
			fail_msg("%s: the command failed", cases[i].name);
		while (!back && tiny_clock_us() - began < SECONDS(20)) { /* a busy machine takes its time */
			for (int k = 0; k < 20; k++)
				tiny_turn(&l.tiny, 1);
			back = kernel_width("10.1.0.0/24") == 2 && kernel_width("10.2.0.0/24") == 2 &&
			       kernel_width("2001:db8:1::/64") == 2 &&
			       strstr(sh_read("ip route show proto 211"), "unreachable 10.0.0.0/8 metric 9999");
		}
		if (!back)
			fail_msg("%s: not put back: %d %d %d", cases[i].name, kernel_width("10.1.0.0/24"),
			    kernel_width("10.2.0.0/24"), kernel_width("2001:db8:1::/64"));
	}
	lab_run(&l, 400);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	assert_int_equal(lab_state(&l, "10.2.0.0/24"), SYNC_INSTALLED);
	lab_close(&l);
}

/* Also during a long series of our own routes: what another hand deleted is put back before what else waits. */
static void
test_N05_foreign_deletion_during_a_bulk_load(void **state)
{
	enum { ROUTES = 100000 };
	int steps = 0, found = -1, err;
	uint64_t losts, check;
	size_t before;
	struct lab l;
	char text[32];
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	tiny_settle(&l.tiny);
	for (unsigned int i = 0; i < ROUTES; i++) {
		snprintf(text, sizeof(text), "100.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255);
		lab_route(&l, text, g);
	}
	while (!linux_platform_counters(l.platform)->bulks && l.installed < ROUTES)
		tiny_turn(&l.tiny, 10);
	assert_true(linux_platform_counters(l.platform)->bulks > 0);
	losts = l.losts;
	before = l.installed;
	assert_true(sh("ip route del 10.1.0.0/24 metric 20; ip route del 100.0.0.7/32 metric 20"));
	assert_int_equal(kernel_width("10.1.0.0/24"), -1);
	for (int i = 0; i < 1000 && (kernel_width("10.1.0.0/24") != 2 || kernel_width("100.0.0.7/32") != 2); i++)
		lab_run(&l, 10);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(kernel_width("100.0.0.7/32"), 2);
	assert_int_equal(l.losts, losts + 2);
	assert_in_range(l.installed - before, 2, ROUTES / 4); /* the others had to wait */
	while (l.installed < ROUTES + 2)
		lab_run(&l, 10);

	assert_true(sh("ip route del 10.1.0.0/24 metric 20"));
	for (int i = 0; i < 400 && kernel_width("10.1.0.0/24") != 2; i++)
		lab_run(&l, 10);
	assert_int_equal(l.losts, losts + 3);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);

	/* Such a table is checked in many steps: the loop is not held. */
	while ((err = sync_check_begin(l.sync, false, &check)) == -EBUSY)
		lab_run(&l, 10);
	assert_int_equal(err, 0);
	while ((err = sync_check_step(l.sync, check, NULL, NULL, &found)) > 0)
		steps++;
	assert_int_equal(err, 0);
	assert_int_equal(found, 0);
	assert_true(steps > 4);
	lab_close(&l);
}

/* Another program's route and next hops stand in our place: they stay as they are, and it is told. */
static void
test_N06_foreign_prefix(void **state)
{
	struct sync_stats st;
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	assert_true(sh("ip nexthop add id %u dev p1 proto static", 0x0fab0000));
	assert_true(sh("ip route add 10.1.0.0/24 dev p0 metric 20 proto static"));
	assert_true(sh("ip -6 route add 2001:db8:1::/64 dev p0 metric 20 proto static"));
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	lab_route(&l, "10.2.0.0/24", g);
	assert_true(lab_wait_state(&l, "10.1.0.0/24", SYNC_FAILED, 1000));
	assert_true(lab_wait_state(&l, "2001:db8:1::/64", SYNC_FAILED, 1000));
	assert_true(lab_wait_state(&l, "10.2.0.0/24", SYNC_INSTALLED, 1000)); /* with another id for the next hop */
	assert_int_equal(kernel_width("10.2.0.0/24"), 2);
	assert_non_null(strstr(sh_read("ip route show 10.1.0.0/24"), "dev p0 proto static"));
	assert_non_null(strstr(sh_read("ip -6 route show 2001:db8:1::/64"), "dev p0 proto static"));
	assert_non_null(strstr(sh_read("ip nexthop show id %u", 0x0fab0000), "dev p1"));
	sync_stats(l.sync, &st);
	assert_in_range(st.foreign_conflicts, 3, 6);

	/* The other program takes over one that we have: again it is not touched, and put back when that one leaves. */
	assert_true(sh("ip route replace 10.2.0.0/24 dev p0 metric 20 proto static"));
	assert_true(lab_wait_state(&l, "10.2.0.0/24", SYNC_FAILED, 1000));
	assert_non_null(strstr(sh_read("ip route show 10.2.0.0/24"), "dev p0 proto static"));
	assert_true(sh("ip route del 10.2.0.0/24 proto static; ip route del 10.1.0.0/24 proto static"));
	assert_true(lab_wait_width(&l, "10.2.0.0/24", 2, 4000) >= 0);
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 4000) >= 0);
	lab_close(&l);
}

/* Another program has a route to the same prefix under a metric of its own, and changes it: ours is as it was. */
static void
test_N06_foreign_metric(void **state)
{
	static const struct {
		const char *ip, *prefix;
	} rows[] = { { "ip", "10.2.0.0/24" }, { "ip -6", "2001:db8:2::/64" } };
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		lab_route(&l, rows[i].prefix, g);
		assert_true(lab_wait_state(&l, rows[i].prefix, SYNC_INSTALLED, 1000));
		assert_true(sh("%s route add %s dev p0 metric 100 proto static", rows[i].ip, rows[i].prefix));
		assert_true(sh("%s route replace %s dev p1 metric 100 proto static", rows[i].ip, rows[i].prefix));
		lab_run(&l, 500);
		assert_int_equal(l.losts, 0);
		assert_int_equal(l.failed, 0);
		assert_int_equal(l.installed, i + 1);
		assert_int_equal(kernel_width(rows[i].prefix), 2);
	}
	lab_close(&l);
}

/* A port is deleted and made again under its name: another index, the old next hops are gone, new ones work. */
static void
test_N07_port_made_again(void **state)
{
	struct plat_port_config cfg = { .fabric = true, .up = true };
	struct sync_nexthop nh[2];
	uint32_t g, old;
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	tiny_settle(&l.tiny);
	old = lab_port(&l, "p0")->ifindex;
	assert_true(sh("ip link del p0"));
	lab_run(&l, 20);
	assert_null(lab_port(&l, "p0")); /* told as gone */
	assert_int_equal(kernel_width("10.1.0.0/24"), 1);
	assert_int_equal(lab_width(&l, "10.1.0.0/24"), 1);
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &cfg), -ENODEV);

	assert_true(sh("ip link add p0 type veth peer name q0 && ip link set q0 up"));
	lab_run(&l, 20);
	assert_non_null(lab_port(&l, "p0"));
	assert_int_not_equal(lab_port(&l, "p0")->ifindex, old);
	assert_int_equal(l.platform->ops->port_setup(l.platform, "p0", &cfg), 0);
	lab_run(&l, 20);
	nh[0] = lab_nh(&l, 0);
	nh[1] = lab_nh(&l, 1);
	sync_group_change(l.sync, g, nh, 2);
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 1000) >= 0);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/* A port moves into another namespace: told as gone, its next hops with it. */
static void
test_N08_port_moves_away(void **state)
{
	struct lab l;
	int ready[2];
	uint32_t g;
	pid_t child;
	char c;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	tiny_settle(&l.tiny);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) { /* holds the other namespace until it is told to end */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c = unshare(CLONE_NEWNET) ? 'n' : 'y';
		if (write(ready[1], &c, 1) == 1)
			poll(NULL, 0, 30000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_true(sh("ip link set p0 netns %d", (int)child));
	lab_run(&l, 20);
	assert_null(lab_port(&l, "p0"));
	assert_int_equal(kernel_width("10.1.0.0/24"), 1);
	assert_int_equal(lab_width(&l, "2001:db8:1::/64"), 1);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	lab_close(&l);
}

/* A program sends us a forged event by unicast: it is not from the kernel, and counts for nothing. */
static void
test_N11_not_from_the_kernel(void **state)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr h;
		uint8_t body[64];
	} m = { .h = { .nlmsg_len = sizeof(m), .nlmsg_type = 17 /* RTM_DELLINK */ } };
	struct counters told;
	struct lab l;
	char line[256];
	FILE *f;
	int fd, sent = 0;

	(void)state;
	lab_open(&l, 1);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	assert_true(fd >= 0);
	f = fopen("/proc/net/netlink", "re"); /* every socket of this namespace: ours are among them */
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned int proto, pid, groups;

		if (sscanf(line, "%*s %u %u %x", &proto, &pid, &groups) != 3 || proto != NETLINK_ROUTE || !pid ||
		    !groups)
			continue;
		to.nl_pid = pid;
		memcpy(m.body + 4, &lab_port(&l, "p0")->ifindex, 4);
		if (sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to)) > 0)
			sent++;
	}
	fclose(f);
	close(fd);
	assert_true(sent >= 1);
	lab_run(&l, 20);
	assert_true(linux_platform_counters(l.platform)->not_kernel >= 1);
	l.platform->ops->counters(l.platform, &told);
	counters_are_sound(&told, sizeof(struct linux_counters));
	assert_true(counter_named(&told, "not-kernel") == linux_platform_counters(l.platform)->not_kernel);
	assert_non_null(lab_port(&l, "p0"));
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_N01_overrun),
		cmocka_unit_test(test_N02_refused),
		cmocka_unit_test(test_N04_interrupted_dump),
		cmocka_unit_test(test_N04_dump_broken_off),
		cmocka_unit_test(test_N05_foreign_deletion),
		cmocka_unit_test(test_N05_foreign_deletion_during_a_bulk_load),
		cmocka_unit_test(test_N06_foreign_prefix),
		cmocka_unit_test(test_N06_foreign_metric),
		cmocka_unit_test(test_N07_port_made_again),
		cmocka_unit_test(test_N08_port_moves_away),
		cmocka_unit_test(test_N11_not_from_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
