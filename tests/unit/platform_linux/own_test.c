/*
 * tests/unit/platform_linux/own_test.c -- a group with next hops of its own in a real kernel
 *
 * Every packet is counted where it leaves: so none may be lost by a narrowing, none may take the member that is never
 * usable, and the others must share the load as if that one were not there.
 */
#include "platform/linux/internal.h"
#include "tests/unit/platform_linux/flows.h"

#define WIDTH 4
#define FLOWS 2000 /* of each family */
#define MANY  512  /* routes of IPv6, as linux.c has it */

/* All flows leave by the ports first..last, each of which gets its share, and by nothing else. */
static void
expect_shared(int first, int last)
{
	long before[WIDTH], drop = sent("fabric-drop"), all = 0, share = 2 * FLOWS / (last - first + 1);
	char name[16];

	for (int i = 0; i < WIDTH; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		before[i] = sent(name);
	}
	send_flows(FLOWS);
	for (int i = 0; i < WIDTH; i++) {
		long n;

		snprintf(name, sizeof(name), "p%d", i);
		n = sent(name) - before[i];
		all += n;
		if (i < first || i > last)
			assert_in_range(n, 0, 10); /* neighbour discovery */
		else if (n < share * 8 / 10 || n > share * 12 / 10)
			fail_msg("%s has %ld packets of %d, %ld are its share", name, n, 2 * FLOWS, share);
	}
	assert_in_range(all, 2 * FLOWS, 2 * FLOWS + 40);
	assert_in_range(sent("fabric-drop") - drop, 0, 5);
}

static void
narrow(struct lab *l, uint32_t g, int first, int last)
{
	struct sync_nexthop nh[WIDTH];

	for (int i = first; i <= last; i++)
		nh[i - first] = lab_nh(l, i);
	sync_group_change(l->sync, g, nh, (size_t)(last - first + 1));
	tiny_settle(&l->tiny);
}

/*
 * A group over all ports with many routes of IPv6, and neighbours that take everything. `other`: the member that is never
 * usable has the place that it has on other kernels.
 */
static uint32_t
open_many(struct lab *l, bool other)
{
	uint32_t g;

	lab_open(l, WIDTH);
	if (other)
		((struct linux_platform *)l->platform)->drop.first ^= true;
	assert_true(sh("ip addr add 10.9.9.1/32 dev lo; ip -6 addr add 2001:db8:9::1/128 dev lo"));
	for (int i = 0; i < WIDTH; i++)
		assert_true(sh("ip -6 neigh replace fe80::2 dev p%d lladdr 02:00:00:00:00:02 nud permanent", i));
	g = lab_group(l, 0, WIDTH - 1);
	lab_route(l, "10.1.0.0/24", g);
	for (int i = 1; i <= MANY; i++) {
		char text[40];

		snprintf(text, sizeof(text), "2001:db8:%x::/64", i);
		lab_route(l, text, g);
	}
	tiny_settle(&l->tiny);
	assert_true(lab_wait_state(l, "2001:db8:200::/64", SYNC_INSTALLED, 1000));
	tiny_settle(&l->tiny);
	return g;
}

static int
nexthops(void)
{
	return atoi(sh_read("ip nexthop show proto 211 | grep -c 'via fe80::2 '"));
}

/* Narrower by deletions alone, down to one and to none, and wider again: every packet has a way at every step. */
static void
no_packet_is_lost(bool other)
{
	struct sync_stats before, after;
	struct lab l;
	uint32_t g;

	g = open_many(&l, other);
	assert_int_equal(nexthops(), 2 * WIDTH);
	assert_non_null(strstr(sh_read("ip nexthop show | grep group"), "263913472"));
	sync_stats(l.sync, &before);
	assert_int_equal(before.group_messages, 2);
	expect_shared(0, 3);
	narrow(&l, g, 0, 2);
	expect_shared(0, 2);
	narrow(&l, g, 1, 2);
	expect_shared(1, 2);
	narrow(&l, g, 2, 2);
	expect_shared(2, 2);
	assert_int_equal(kernel_width("2001:db8:1::/64"), 1);
	assert_int_equal(nexthops(), 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	sync_stats(l.sync, &after);
	assert_int_equal(after.group_messages, before.group_messages);
	assert_int_equal(after.route_messages, before.route_messages);
	narrow(&l, g, 0, 3);
	expect_shared(0, 3);
	assert_int_equal(nexthops(), 2 * WIDTH);
	assert_true(sh("ip link set q0 down; ip link set q1 down"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 1000) >= 0);
	expect_shared(2, 3);
	sync_stats(l.sync, &after);
	assert_int_equal(after.group_messages, before.group_messages + 1);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	assert_true(sh("ip link set q2 down; ip link set q3 down"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 0, 1000) >= 0);
	assert_int_equal(kernel_width("2001:db8:200::/64"), 0); /* it is there */
	assert_true(sh("ip link set q3 up"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 1, 1000) >= 0);
	sync_stats(l.sync, &after);
	assert_int_equal(after.route_messages, before.route_messages);
	lab_close(&l);
}

static void
test_no_packet_is_lost(void **state)
{
	(void)state;
	no_packet_is_lost(false);
	no_packet_is_lost(true);
}

/* A new process finds them, takes them over without a message, and narrows by them. */
static void
test_taken_over(void **state)
{
	struct sync_stats st;
	struct lab l;
	uint32_t g;
	char *was;

	(void)state;
	open_many(&l, false);
	was = strdup(sh_read("ip nexthop show"));
	lab_stop(&l);
	lab_start(&l);
	g = lab_group(&l, 0, WIDTH - 1);
	lab_route(&l, "10.1.0.0/24", g);
	for (int i = 1; i <= MANY; i++) {
		char text[40];

		snprintf(text, sizeof(text), "2001:db8:%x::/64", i);
		lab_route(&l, text, g);
	}
	tiny_settle(&l.tiny);
	sync_sweep(l.sync);
	tiny_settle(&l.tiny);
	assert_string_equal(sh_read("ip nexthop show"), was);
	narrow(&l, g, 0, 2);
	expect_shared(0, 2);
	sync_stats(l.sync, &st);
	assert_int_equal(st.group_messages + st.route_messages, 0);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	free(was);
	lab_close(&l);
}

/* Another hand deletes one of its own, and the member that is never usable: both are there again. */
static void
test_taken_away(void **state)
{
	struct lab l;

	(void)state;
	open_many(&l, false);
	assert_true(sh("ip nexthop del id $(ip nexthop show | grep 'via fe80::2 dev p1' | tail -1 | cut -d' ' -f2)"));
	assert_true(lab_wait_width(&l, "2001:db8:1::/64", WIDTH, 2000) >= 0);
	expect_shared(0, 3);
	assert_true(sh("ip link del fabric-drop"));
	assert_int_equal(kernel_width("2001:db8:1::/64"), WIDTH); /* packets go on */
	for (int i = 0; i < 400 && !strstr(sh_read("ip nexthop show | grep group"), "263913472"); i++)
		lab_run(&l, 5);
	assert_non_null(strstr(sh_read("ip nexthop show | grep group"), "263913472"));
	expect_shared(0, 3);
	lab_run(&l, 400);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_packet_is_lost),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
