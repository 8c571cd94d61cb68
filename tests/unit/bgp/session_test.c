/* tests/unit/bgp/session_test.c -- peers back to back: coming up, collisions, timers, queues, faults W02 to W20 */
#include "tests/unit/bgp/pair.h"

static void
comes_up(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 200; seed++) {
		struct world *w = world_new(seed);
		struct mono start = w->now;

		w->chunk = seed % 3 ? 1 + seed % 40 : 0;
		world_make(w);
		links_up(w);
		if (!world_run(w, SECONDS(2), both_up))
			fail_msg("seed %lu: %s / %s", (unsigned long)seed, bgp_peer_reason(w->a.peer)->text,
			    bgp_peer_reason(w->b.peer)->text);
		/* the lower identifier waits politely, so there is one connection and no timer in the way */
		assert_int_equal(w->connects, 1);
		assert_int_equal(w->now.us, start.us);
		world_run(w, SECONDS(60), NULL);
		assert_true(both_up(w));
		assert_int_equal(open_ends(&w->a), 1);
		assert_string_equal(bgp_peer_facts(w->a.peer)->remote.hostname, "host-b");
		assert_int_equal(bgp_peer_facts(w->a.peer)->hold_s, 9);
		assert_int_equal(bgp_peer_counters(w->a.peer)->flaps, 0);
		world_free(w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
