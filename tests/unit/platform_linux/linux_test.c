/* tests/unit/platform_linux/linux_test.c -- the Linux backend under sync, judged by what `ip` shows of the kernel */
#include "tests/unit/platform_linux/lab.h"

/* One group serves both families; the kernel has what was told; freeing in order leaves nothing behind. */
static void
test_way_of_a_route(void **state)
{
	struct lab l;
	struct sync_stats st;
	struct prefix p;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	tiny_settle(&l.tiny);
	assert_int_equal(l.installed, 2);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(kernel_width("2001:db8:1::/64"), 2);
	sync_stats(l.sync, &st);
	assert_int_equal(st.routes_installed[FAMILY_IPV4], 1);
	assert_int_equal(st.routes_installed[FAMILY_IPV6], 1);
	assert_int_equal(st.group_messages, 1);
	assert_int_equal(st.routes_pending, 0);

	p = lab_prefix("10.1.0.0/24");
	sync_route_del(l.sync, 0, &p);
	p = lab_prefix("2001:db8:1::/64");
	sync_route_del(l.sync, 0, &p);
	sync_group_free(l.sync, g);
	tiny_settle(&l.tiny);
	assert_int_equal(kernel_width("10.1.0.0/24"), -1);
	assert_string_equal(sh_read("ip nexthop show | grep -v 'fabric-drop'"), "");
	sync_stats(l.sync, &st);
	assert_int_equal(st.groups, 0);
	assert_int_equal(st.nexthops, 0);
	assert_int_equal(st.routes_installed[FAMILY_IPV4] + st.routes_installed[FAMILY_IPV6], 0);
	lab_close(&l);
}

static void
test_covers(void **state)
{
	struct lab l;
	struct prefix p4 = lab_prefix("10.0.0.0/8"), p6 = lab_prefix("2001:db8::/32");

	(void)state;
	lab_open(&l, 1);
	sync_route_cover(l.sync, 0, &p4, PLAT_UNREACHABLE);
	sync_route_cover(l.sync, 0, &p6, PLAT_BLACKHOLE);
	tiny_settle(&l.tiny);
	assert_non_null(strstr(sh_read("ip route show proto 211"), "unreachable 10.0.0.0/8 metric 9999"));
	assert_non_null(strstr(sh_read("ip -6 route show proto 211"), "blackhole 2001:db8::/32 dev lo metric 9999"));
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	sync_route_uncover(l.sync, 0, &p4);
	sync_route_uncover(l.sync, 0, &p6);
	tiny_settle(&l.tiny);
	assert_string_equal(sh_read("ip route show proto 211; ip -6 route show proto 211"), "");
	lab_close(&l);
}

/* The kernel shrinks the group before we know; we send nothing, and grow it when the carrier is back. */
static void
test_carrier_loss_and_return(void **state)
{
	struct lab l;
	struct sync_stats before, after;
	uint32_t g;

	(void)state;
	lab_open(&l, 3);
	g = lab_group(&l, 0, 2);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	tiny_settle(&l.tiny);
	sync_stats(l.sync, &before);

	assert_true(sh("ip link set q1 down"));
	lab_run(&l, 20);
	assert_int_equal(lab_width(&l, "10.1.0.0/24"), 2);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	sync_stats(l.sync, &after);
	assert_int_equal(after.ops_sent, before.ops_sent); /* nothing to say: the kernel did it */

	assert_true(sh("ip link set q1 up"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 3, 1000) >= 0);
	assert_int_equal(lab_width(&l, "2001:db8:1::/64"), 3);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	sync_stats(l.sync, &after);
	assert_int_equal(after.group_messages, before.group_messages + 1);
	assert_int_equal(after.route_messages, before.route_messages);
	lab_close(&l);
}

/* All ports dark: the kernel deletes groups and routes and tells nobody; all is back when one returns. */
static void
test_all_carriers_lost(void **state)
{
	struct lab l;
	struct sync_stats st;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	lab_route(&l, "2001:db8:1::/64", g);
	tiny_settle(&l.tiny);

	assert_true(sh("ip link set q0 down; ip link set q1 down"));
	assert_true(lab_wait_state(&l, "10.1.0.0/24", SYNC_WAITS_LINK, 1000));
	assert_int_equal(l.groups_dark, 1);
	/* When the second was heard of late, the group had been set to outlive it by then; it is given up. */
	assert_true(lab_wait_width(&l, "10.1.0.0/24", -1, 2000) >= 0);
	assert_true(lab_wait_width(&l, "2001:db8:1::/64", -1, 2000) >= 0);
	sync_stats(l.sync, &st);
	assert_int_equal(st.routes_installed[FAMILY_IPV4], 0);
	assert_int_equal(st.routes_waiting, 2);

	assert_true(sh("ip link set q1 up"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 1, 1000) >= 0);
	assert_true(lab_wait_width(&l, "2001:db8:1::/64", 1, 1000) >= 0);
	assert_int_equal(l.groups_back, 1);
	assert_true(sh("ip link set q0 up"));
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 1000) >= 0);
	assert_int_equal(lab_state(&l, "2001:db8:1::/64"), SYNC_INSTALLED);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

static void
count_but_groups(void *arg, const char *what, const struct prefix *p, const char *text)
{
	int *n = arg;

	(void)p;
	(void)text;
	*n += strcmp(what, "unwanted group") != 0;
}

static int
differences_but_groups(struct lab *l)
{
	int n = 0, err = sync_check(l->sync, count_but_groups, &n);

	return err < 0 ? err : n;
}

/*
 * Down and up faster than we read: the end state is right, whatever was in between. Of a group that was set between a
 * loss of carrier and the word of it we believe that it went with its ports: it is left behind until the next audit.
 */
static void
test_flapping_port(void **state)
{
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g);
	for (int i = 0; i < 20; i++) {
		assert_true(sh("ip link set q0 down; ip link set q0 up; ip link set q1 down; ip link set q1 up"));
		for (int k = 0; k < i; k++)
			tiny_turn(&l.tiny, 0);
	}
	assert_true(lab_wait_width(&l, "10.1.0.0/24", 2, 20000) >= 0);
	assert_true(lab_wait_state(&l, "10.1.0.0/24", SYNC_INSTALLED, 20000));
	for (int i = 0; i < 400 && differences_but_groups(&l); i++)
		lab_run(&l, 50);
	assert_int_equal(differences_but_groups(&l), 0);
	sync_sweep(l.sync); /* with an audit */
	for (int i = 0; i < 400 && sync_check(l.sync, NULL, NULL) != 0; i++)
		lab_run(&l, 50);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_INSTALLED);
	lab_close(&l);
}

/* A restart sends nothing for what is right already, and sweeps what nobody wants any more. */
static void
test_restart_adopts(void **state)
{
	struct lab l;
	struct sync_stats st;
	uint32_t g1, g2;

	(void)state;
	lab_open(&l, 3);
	g1 = lab_group(&l, 0, 1);
	g2 = lab_group(&l, 1, 2);
	lab_route(&l, "10.1.0.0/24", g1);
	lab_route(&l, "2001:db8:1::/64", g1);
	lab_route(&l, "10.2.0.0/24", g2);
	lab_route(&l, "10.3.0.0/24", g2);
	tiny_settle(&l.tiny);
	lab_stop(&l);
	assert_int_equal(kernel_width("10.1.0.0/24"), 2); /* forwarding goes on */

	l.installed = 0;
	lab_start(&l);
	g1 = lab_group(&l, 0, 1);
	lab_route(&l, "10.1.0.0/24", g1);
	lab_route(&l, "2001:db8:1::/64", g1);
	g2 = lab_group(&l, 1, 2);
	lab_route(&l, "10.2.0.0/24", g2);
	tiny_settle(&l.tiny);
	sync_stats(l.sync, &st);
	assert_int_equal(st.ops_sent, 0);
	assert_int_equal(l.installed, 3); /* the RIB is told all the same */
	assert_int_equal(st.routes_installed[FAMILY_IPV4], 2);
	assert_int_equal(lab_state(&l, "10.1.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(kernel_width("10.3.0.0/24"), 2); /* not wanted, but not yet swept */

	sync_sweep(l.sync);
	lab_run(&l, 50);
	assert_int_equal(kernel_width("10.3.0.0/24"), -1);
	assert_int_equal(kernel_width("10.2.0.0/24"), 2);
	sync_stats(l.sync, &st);
	assert_int_equal(st.ops_sent, 1);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way_of_a_route),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_carrier_loss_and_return),
		cmocka_unit_test(test_all_carriers_lost),
		cmocka_unit_test(test_flapping_port),
		cmocka_unit_test(test_restart_adopts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
