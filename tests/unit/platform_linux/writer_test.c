/* tests/unit/platform_linux/writer_test.c -- long series of routes, which a thread hands to the kernel */
#include "tests/unit/platform_linux/lab.h"

#define ROUTES 30000

struct text {
	char s[32];
};

static struct text
nth_text(unsigned int i)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "100.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255);
	return t;
}
#define nth(i) (nth_text(i).s)

static uint64_t
installed(struct lab *l)
{
	struct sync_stats st;

	sync_stats(l->sync, &st);
	return st.routes_installed[FAMILY_IPV4];
}

/* All are wanted, and so many are proved that the writer has begun, and has jobs under way. */
static uint32_t
begin_series(struct lab *l)
{
	uint32_t g = lab_group(l, 0, 1);

	for (unsigned int i = 0; i < ROUTES; i++)
		lab_route(l, nth(i), g);
	for (int i = 0; i < 10000 && !linux_platform_counters(l->platform)->bulks; i++)
		tiny_turn(&l->tiny, 1);
	assert_int_equal(linux_platform_counters(l->platform)->bulks, 1);
	tiny_turn(&l->tiny, 0);
	assert_true(installed(l) < ROUTES);
	return g;
}

static void
await_installed(struct lab *l, uint64_t n)
{
	for (int64_t end = tiny_clock_us() + SECONDS(20); installed(l) != n; tiny_turn(&l->tiny, 1)) {
		if (tiny_clock_us() > end)
			fail_msg("%lu of %lu routes are installed", (unsigned long)installed(l), (unsigned long)n);
	}
}

static void
test_series_with_refusals(void **state)
{
	struct sync_stats st;
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	assert_true(sh("ip route add blackhole %s metric %d proto static", nth(ROUTES - 5), METRIC));
	assert_true(sh("ip route add blackhole %s metric %d proto static", nth(ROUTES - 200), METRIC));
	begin_series(&l);
	await_installed(&l, ROUTES - 2);
	assert_true(lab_wait_state(&l, nth(ROUTES - 5), SYNC_FAILED, 2000));
	assert_true(lab_wait_state(&l, nth(ROUTES - 200), SYNC_FAILED, 2000));
	assert_non_null(strstr(l.last, "another program"));
	assert_int_equal(kernel_width(nth(ROUTES - 4)), 2);
	assert_true(sh("ip route flush proto static"));
	await_installed(&l, ROUTES);
	lab_run(&l, 1500); /* the series ends, the table is read once */
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	sync_stats(l.sync, &st);
	assert_true(st.foreign_conflicts >= 2);
	lab_close(&l);
}

/* The change of a group is in the kernel at once, while routes that were wanted before it still wait. */
static void
test_group_change_overtakes(void **state)
{
	struct sync_nexthop one;
	struct lab l;
	uint32_t g;

	(void)state;
	lab_open(&l, 2);
	g = begin_series(&l);
	assert_int_equal(kernel_width(nth(0)), 2);
	one = lab_nh(&l, 1);
	sync_group_change(l.sync, g, &one, 1);
	tiny_turn(&l.tiny, 0);
	assert_int_equal(kernel_width(nth(0)), 1);
	assert_true(installed(&l) < ROUTES);
	await_installed(&l, ROUTES);
	assert_int_equal(kernel_width(nth(ROUTES - 1)), 1);
	lab_close(&l);
}

/* What changes its mind in the midst of the series: the latest wins. */
static void
test_series_is_taken_back(void **state)
{
	struct prefix p;
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	begin_series(&l);
	for (unsigned int i = 0; i < ROUTES; i += 2) {
		p = lab_prefix(nth(i));
		sync_route_del(l.sync, 0, &p);
	}
	await_installed(&l, ROUTES / 2);
	lab_run(&l, 1500);
	assert_int_equal(kernel_width(nth(0)), -1);
	assert_int_equal(kernel_width(nth(ROUTES - 2)), -1);
	assert_int_equal(kernel_width(nth(1)), 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

/* The end of the daemon in the midst of it: nothing is told any more, nothing is left over; the next one goes on. */
static void
test_closed_under_way(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	begin_series(&l);
	lab_stop(&l);
	for (size_t i = 0; i < MEM_KINDS; i++)
		assert_int_equal(l.mem.by[i].bytes, 0);
	assert_int_equal(kernel_width(nth(0)), 2);
	lab_start(&l);
	begin_series(&l);
	await_installed(&l, ROUTES);
	lab_close(&l);
}

/* A carrier that goes and returns while routes of it are under way. */
static void
test_carrier_in_a_series(void **state)
{
	struct lab l;

	(void)state;
	lab_open(&l, 2);
	begin_series(&l);
	assert_true(sh("ip link set q0 down; ip link set q1 down"));
	lab_run(&l, 50);
	assert_true(installed(&l) < ROUTES);
	assert_true(sh("ip link set q0 up; ip link set q1 up"));
	await_installed(&l, ROUTES);
	lab_run(&l, 1500);
	assert_int_equal(kernel_width(nth(ROUTES - 1)), 2);
	assert_int_equal(sync_check(l.sync, NULL, NULL), 0);
	lab_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_series_with_refusals),
		cmocka_unit_test(test_group_change_overtakes),
		cmocka_unit_test(test_series_is_taken_back),
		cmocka_unit_test(test_closed_under_way),
		cmocka_unit_test(test_carrier_in_a_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
