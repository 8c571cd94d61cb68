/*
 * tests/unit/platform_linux/drop_test.c -- groups of one and their second member, judged by what the kernel does
 *
 * Packets are counted where they leave: on p0 and on fabric-drop. Which place the second member must have depends on the
 * kernel; what is right for this one is tested, and both places while the first member's neighbour is there.
 */
#include "platform/linux/internal.h"
#include "tests/unit/platform_linux/flows.h"

#define FLOWS 4000

static struct linux_platform *
backend(const struct lab *l)
{
	return (struct linux_platform *)l->platform;
}

/* How many next hops the kernel has in the group of this route, the drop member too; -1: no such route. */
static int
members(const char *text)
{
	const char *out = sh_read("ip -%d route show proto 211 exact %s", strchr(text, ':') ? 6 : 4, text);
	unsigned int id;
	int n = 1;

	out = strstr(out, "nhid ");
	if (!out || sscanf(out, "nhid %u", &id) != 1)
		return -1;
	out = strstr(sh_read("ip nexthop show id %u", id), "group ");
	if (!out)
		return 0;
	for (out += 6; *out && *out != ' '; out++)
		n += *out == '/';
	return n;
}

static bool
wait_members(struct lab *l, const char *text, int want, int ms)
{
	int64_t end = tiny_clock_us() + MS(ms);

	while (members(text) != want) {
		if (tiny_clock_us() > end)
			return false;
		lab_run(l, 5);
	}
	return true;
}

/* A group over p0 alone, a prefix of each family behind it, and a neighbour there that takes everything. */
static uint32_t
open_one(struct lab *l)
{
	uint32_t g;

	lab_open(l, 2);
	assert_true(sh("ip addr add 10.9.9.1/32 dev lo; ip -6 addr add 2001:db8:9::1/128 dev lo"));
	assert_true(sh("ip -6 neigh replace fe80::2 dev p0 lladdr 02:00:00:00:00:02 nud permanent"));
	g = lab_group(l, 0, 0);
	lab_route(l, "10.1.0.0/24", g);
	lab_route(l, "2001:db8:1::/64", g);
	tiny_settle(&l->tiny);
	assert_int_equal(lab_state(l, "2001:db8:1::/64"), SYNC_INSTALLED);
	return g;
}

static void
set_again(struct lab *l, uint32_t g)
{
	struct sync_nexthop nh = lab_nh(l, 1);

	sync_group_change(l->sync, g, &nh, 1);
	tiny_settle(&l->tiny);
	nh = lab_nh(l, 0);
	sync_group_change(l->sync, g, &nh, 1);
	tiny_settle(&l->tiny);
}

/* Of thousands of flows of both families none goes to the device, whatever place its next hop has in the group. */
static void
test_no_packet_takes_it(void **state)
{
	long real, drop;
	struct lab l;
	uint32_t g;

	(void)state;
	g = open_one(&l);
	for (int other = 0; other < 2; other++) {
		backend(&l)->drop.first ^= other;
		set_again(&l, g);
		assert_int_equal(members("10.1.0.0/24"), 2);
		assert_int_equal(members("2001:db8:1::/64"), 2);
		real = sent("p0");
		drop = sent("fabric-drop");
		send_flows(FLOWS);
		assert_in_range(sent("p0") - real, 2 * FLOWS, 2 * FLOWS + 20);
		assert_in_range(sent("fabric-drop") - drop, 0, 5);
	}
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/* The real neighbour is being asked for: packets wait for it, as with one member, and none is dropped instead. */
static void
test_no_packet_takes_it_while_the_neighbour_is_asked_for(void **state)
{
	struct lab l;
	const char *out;

	(void)state;
	open_one(&l);
	if (backend(&l)->drop.first)
		skip(); /* before 6.5, 1 flow of 256 does */
	assert_true(sh("ip -6 neigh del fe80::2 dev p0; ip addr add 10.9.9.2/32 dev lo"));
	assert_true(sh("ip -6 neigh replace fe80::2 dev p0 nud failed"));
	out = sh_read("for i in $(seq 60); do ip route get 10.1.0.7 sport $((1000 + i)) dport 7 ipproto udp; "
		      "ip -6 route get 2001:db8:1::7 sport $((1000 + i)) dport 7 ipproto udp; done | grep -c 'dev p0'");
	assert_int_equal(atoi(out), 120);
	lab_close(&l);
}

/* The only port of both prefixes loses its carrier: the routes stay, and one message moves or revives them all. */
static void
test_routes_outlive_the_carrier(void **state)
{
	enum { BACK, ELSEWHERE, GIVEN_UP, NOT_WANTED, CASES };

	(void)state;
	for (int c = 0; c < CASES; c++) {
		struct sync_stats before, after;
		struct sync_nexthop nh;
		struct prefix p;
		struct lab l;
		uint32_t g = open_one(&l);
		long real;

		sync_stats(l.sync, &before);
		assert_int_equal(before.group_messages, 1);
		assert_true(sh("ip link set q0 down"));
		assert_true(wait_members(&l, "2001:db8:1::/64", 1, 400)); /* not at once: linkwatch */
		assert_int_equal(members("10.1.0.0/24"), 1);
		lab_run(&l, 20);
		assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_WAITS_LINK);
		assert_int_equal(l.groups_dark, 1);
		real = sent("fabric-drop");
		send_flows(FLOWS); /* dropped before the device */
		assert_in_range(sent("fabric-drop") - real, 0, 5);
		assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
		sync_stats(l.sync, &after);
		assert_int_equal(after.ops_sent, before.ops_sent);
		assert_int_equal(after.routes_installed[FAMILY_IPV4], 0);
		assert_int_equal(after.routes_waiting, 2);

		if (c == BACK) {
			assert_true(sh("ip link set q0 up"));
			assert_true(wait_members(&l, "10.1.0.0/24", 2, 1000));
			tiny_settle(&l.tiny); /* the kernel's answer is told in the next turn */
			assert_int_equal(l.groups_back, 1);
		} else if (c == ELSEWHERE) {
			nh = lab_nh(&l, 1);
			sync_group_change(l.sync, g, &nh, 1);
			tiny_settle(&l.tiny);
			assert_int_equal(members("2001:db8:1::/64"), 2);
		} else if (c == GIVEN_UP) {
			lab_run(&l, 700);
		} else {
			p = lab_prefix("10.1.0.0/24");
			sync_route_del(l.sync, 0, &p);
			p = lab_prefix("2001:db8:1::/64");
			sync_route_del(l.sync, 0, &p);
			sync_group_free(l.sync, g);
			tiny_settle(&l.tiny);
		}
		sync_stats(l.sync, &after);
		if (c == BACK || c == ELSEWHERE) {
			assert_int_equal(after.group_messages, 2);
			assert_int_equal(after.route_messages, before.route_messages);
			assert_int_equal(after.routes_installed[FAMILY_IPV6], 1);
		} else {
			assert_int_equal(members("10.1.0.0/24"), -1);
			assert_int_equal(members("2001:db8:1::/64"), -1);
			assert_string_equal(sh_read("ip nexthop show | grep -v fabric-drop"), "");
		}
		assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
		lab_close(&l);
	}
}

/* A group that carrier loss has shrunk to one gets the second member then; one of many has none. */
static void
test_shrunk_to_one(void **state)
{
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	tiny_settle(&l.tiny);
	assert_null(strstr(sh_read("ip nexthop show | grep group"), "263913472"));
	assert_true(sh("ip link set q0 down"));
	for (int i = 0; i < 100 && !strstr(sh_read("ip nexthop show | grep group"), "263913472"); i++)
		lab_run(&l, 5);
	assert_int_equal(members("10.1.0.0/24"), 2);
	assert_int_equal(kernel_width("10.1.0.0/24"), 1);
	assert_true(sh("ip link set q1 down"));
	assert_true(wait_members(&l, "10.1.0.0/24", 1, 400));
	lab_run(&l, 50);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	assert_true(sh("ip link set q0 up; ip link set q1 up"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 1000) >= 0);
	for (int i = 0; i < 100 && strstr(sh_read("ip nexthop show | grep group"), "263913472"); i++)
		lab_run(&l, 5);
	assert_int_equal(members("10.1.0.0/24"), 2);
	lab_close(&l);
}

/* Whatever another hand takes away is there again, and in every group. */
static void
test_taken_away(void **state)
{
	static const char *const how[] = {
		"ip nexthop del id 263913472",
		"ip link del fabric-drop",
		"ip link set fabric-drop down",
		"ip link set fabric-drop-end down",
		"ip link set fabric-drop-end down; ip link set fabric-drop-end up",
		"ip link set fabric-drop arp off; ip link set fabric-drop down",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		struct lab l;
		long real;

		open_one(&l);
		assert_true(sh("%s", how[i]));
		assert_int_equal(kernel_width("10.1.0.0/24"), 1); /* packets go on */
		if (!wait_members(&l, "10.1.0.0/24", 2, 3000))
			fail_msg("after '%s' the group has %d members", how[i], members("10.1.0.0/24"));
		lab_run(&l, 400);
		assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
		assert_int_equal(l.problems, 0);
		real = sent("p0");
		send_flows(FLOWS);
		assert_in_range(sent("p0") - real, 2 * FLOWS, 2 * FLOWS + 20);
		assert_true(sh("ip link set q0 down"));
		assert_true(wait_members(&l, "2001:db8:1::/64", 1, 400));
		lab_close(&l);
	}
}

/* While the group stands on it alone, its loss takes the routes; they are wanted, but dark, and that is known. */
static void
test_taken_away_from_a_hollow_group(void **state)
{
	struct sync_stats st;
	struct lab l;

	(void)state;
	open_one(&l);
	assert_true(sh("ip link set q0 down"));
	assert_true(wait_members(&l, "10.1.0.0/24", 1, 400));
	assert_true(sh("ip link del fabric-drop"));
	assert_int_equal(members("10.1.0.0/24"), -1);
	lab_run(&l, 1000);
	sync_stats(l.sync, &st);
	assert_int_equal(st.routes_waiting, 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	assert_true(sh("ip link set q0 up"));
	assert_true(wait_members(&l, "10.1.0.0/24", 2, 1000));
	assert_true(wait_members(&l, "2001:db8:1::/64", 2, 1000));
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/* The neighbour entry is flushed: it costs single packets at most, and the next audit puts it back. */
static void
test_neighbour_flushed(void **state)
{
	long real;
	struct lab l;

	(void)state;
	open_one(&l);
	assert_non_null(strstr(sh_read("ip -6 neigh show dev fabric-drop"), "extern_learn FAILED"));
	assert_true(sh("ip -6 neigh del fe80::dead dev fabric-drop"));
	real = sent("p0");
	send_flows(FLOWS);
	assert_in_range(sent("p0") - real, 2 * FLOWS - 4, 2 * FLOWS + 20);
	sync_audit(l.sync);
	lab_run(&l, 20);
	assert_non_null(strstr(sh_read("ip -6 neigh show dev fabric-drop"), "extern_learn FAILED"));
	assert_true(sh("ip link set fabric-drop address 02:00:00:00:00:77")); /* flushes it, too, but is heard of */
	lab_run(&l, 50);
	assert_non_null(strstr(sh_read("ip -6 neigh show dev fabric-drop"), "extern_learn FAILED"));
	lab_close(&l);
}

/* A restart takes it over and writes nothing; a group that was set without it is set again, once. */
static void
test_restart(void **state)
{
	struct plat_system_config system = { .hash_seed = 42 };

	(void)state;
	for (int without = 0; without < 2; without++) {
		struct sync_stats st;
		struct lab l;
		uint32_t g = open_one(&l);
		char before[400];

		if (without) {
			lab_run(&l, 50); /* what its making has stirred up is over */
			backend(&l)->drop.ready = false;
			set_again(&l, g);
			assert_int_equal(members("10.1.0.0/24"), 1);
		}
		snprintf(
		    before, sizeof(before), "%s", sh_read("ip -o link show fabric-drop; ip nexthop show id 263913472"));
		lab_stop(&l);
		lab_start(&l);
		assert_null(lab_port(&l, "fabric-drop"));
		assert_null(lab_port(&l, "fabric-drop-end"));
		assert_int_equal(l.platform->ops->system_setup(l.platform, &system), 0);
		sync_audit(l.sync);
		lab_run(&l, 20);
		g = lab_group(&l, 0, 0);
		lab_route(&l, "10.1.0.0/24", g);
		lab_route(&l, "2001:db8:1::/64", g);
		tiny_settle(&l.tiny);
		sync_sweep(l.sync);
		lab_run(&l, 500);
		sync_stats(l.sync, &st);
		assert_int_equal(st.ops_sent, without);
		assert_int_equal(st.group_messages, without);
		assert_int_equal(members("10.1.0.0/24"), 2);
		assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
		assert_string_equal(before, sh_read("ip -o link show fabric-drop; ip nexthop show id 263913472"));
		lab_close(&l);
	}
}

/* Its names or its id are another program's: that is told, nothing of theirs is touched, and all works without it. */
static void
test_cannot_be_made(void **state)
{
	static const struct {
		const char *how, *said, *stays;
	} cases[] = {
		{ "ip link add fabric-drop type bridge", "that is not ours",
		    "ip -d link show fabric-drop | grep bridge" },
		{ "ip link add fabric-drop-end type veth peer name other", "that is not ours", "ip link show other" },
		{ "ip link add xa type veth peer name xb; ip link set xa up; ip link set xb up; "
		  "ip nexthop add id 263913472 dev xa proto static",
		    "belongs to another program (protocol 4)", "ip nexthop show id 263913472 | grep static" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plat_system_config system = { .hash_seed = 42 };
		struct lab l;

		memset(&l, 0, sizeof(l));
		lab_open(&l, 2);
		lab_stop(&l);
		assert_true(sh("ip link del fabric-drop; %s", cases[i].how));
		l.problems = 0;
		lab_start(&l);
		assert_int_equal(l.platform->ops->system_setup(l.platform, &system), 0);
		assert_int_equal(l.problems, 1);
		if (!strstr(l.problem, cases[i].said))
			fail_msg("'%s' does not say '%s'", l.problem, cases[i].said);
		lab_route(&l, "10.1.0.0/24", lab_group(&l, 0, 0));
		tiny_settle(&l.tiny);
		assert_int_equal(members("10.1.0.0/24"), 1);
		assert_true(sh("ip link set q0 down"));
		assert_true(wait_members(&l, "10.1.0.0/24", -1, 1000));
		lab_run(&l, 20);
		assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_WAITS_LINK);
		assert_true(sh("ip link set q0 up"));
		assert_true(wait_members(&l, "10.1.0.0/24", 1, 1000));
		assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
		assert_true(sh("%s > /dev/null", cases[i].stays));
		lab_close(&l);
	}
}

/* It is gone and nobody has heard of it yet: a group that is set then is set without it, and with it afterwards. */
static void
test_gone_unheard(void **state)
{
	struct sync_nexthop nh;
	struct lab l;
	uint32_t g;

	(void)state;
	g = open_one(&l);
	nh = lab_nh(&l, 1);
	assert_true(sh("ip nexthop del id 263913472"));
	sync_group_change(l.sync, g, &nh, 1);
	tiny_settle(&l.tiny);
	assert_int_equal(l.failed, 0);
	assert_true(wait_members(&l, "10.1.0.0/24", 2, 1000));
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_packet_takes_it),
		cmocka_unit_test(test_no_packet_takes_it_while_the_neighbour_is_asked_for),
		cmocka_unit_test(test_routes_outlive_the_carrier),
		cmocka_unit_test(test_shrunk_to_one),
		cmocka_unit_test(test_taken_away),
		cmocka_unit_test(test_taken_away_from_a_hollow_group),
		cmocka_unit_test(test_neighbour_flushed),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_cannot_be_made),
		cmocka_unit_test(test_gone_unheard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
