/* tests/unit/rib/run_test.c -- runs of the RIB: how long routes wait, slices, sources, what is configured */
#include "switch.h"

/* ---- how long routes wait for the others of their set ---- */

static void
run_once(struct fixture *t)
{
	do
		rib_run(t->rib);
	while (rib_running(t->rib));
}

/* A part of an origin moves: 4 ms since the last of them, 25 ms since the first; 20 and 120 ms when hops are gained. */
static void
test_a_part_of_an_origin_waits_this_long(void **state)
{
	static const struct {
		bool widens;
		int64_t wait, most;
	} cases[] = { { false, 4000, 25000 }, { true, 20000, 120000 } };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct fixture *t = fixture((struct rib_config){ .seed = 1 });
		int64_t step = cases[c].wait - 1000, since = 0;
		struct mono first;
		uint64_t news;

		for (unsigned int i = 0; i < PREFIXES; i++)
			for (unsigned int s = 0; s < 3; s++)
				announce(t, s, FAMILY_IPV4, i, 0);
		run(t);
		news = t->news;
		assert_int_equal(rib_held_until(t->rib).us, 0);
		/* One more of them each `step`: each puts it off, until the most is reached. */
		first = t->now;
		for (unsigned int i = 0; since < cases[c].most; i++) {
			assert_true(i < PREFIXES - 1);
			if (cases[c].widens)
				announce(t, 3, FAMILY_IPV4, i, 0);
			else
				withdraw(t, 0, FAMILY_IPV4, i);
			run_once(t);
			assert_int_equal(t->news, news);
			assert_true(rib_pending(t->rib));
			assert_int_equal(
			    rib_held_until(t->rib).us - first.us, MIN_OF(since + cases[c].wait, cases[c].most));
			t->now.us += MIN_OF(step, cases[c].most - 1 - since);
			since += step;
		}
		run_once(t);
		assert_int_equal(t->news, news);
		t->now.us++;
		run_once(t);
		assert_int_equal(t->news, news + 1);
		assert_false(rib_pending(t->rib));
		/* Alone: no longer than the wait; then its hold is forgotten, and the next part waits as long again. */
		for (int again = 0; again < 2; again++) {
			unsigned int i = PREFIXES - 1;

			if (again) {
				for (unsigned int k = 0; k < PREFIXES; k++)
					for (unsigned int s = 0; s < 4; s++)
						(s < 3) ? announce(t, s, FAMILY_IPV4, k, 0)
							: withdraw(t, s, FAMILY_IPV4, k);
				run(t);
			}
			if (cases[c].widens)
				announce(t, 3, FAMILY_IPV4, i - (unsigned int)again, 0);
			else
				withdraw(t, 1, FAMILY_IPV4, i - (unsigned int)again);
			run_once(t);
			if (rib_pending(t->rib)) {
				struct mono until = rib_held_until(t->rib);

				assert_int_equal(until.us - t->now.us, cases[c].wait);
				t->now.us += cases[c].wait / 2;
				run_once(t);
				assert_int_equal(rib_held_until(t->rib).us, until.us); /* nothing new puts it off */
				t->now = until;
				run_once(t);
				assert_false(rib_pending(t->rib));
			}
			run(t);
		}
		done(t);
	}
}

/* One next hop for another: as many as before are no gain, which is waited for the shorter time. */
static void
test_an_exchange_is_no_gain(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .seed = 1 });

	(void)state;
	for (unsigned int i = 0; i < PREFIXES; i++)
		for (unsigned int s = 0; s < 3; s++)
			announce(t, s, FAMILY_IPV4, i, 0);
	run(t);
	for (unsigned int i = 0; i < 2; i++) { /* the second is another one's, which waits for itself */
		withdraw(t, 2, FAMILY_IPV4, i);
		announce(t, 3 + i, FAMILY_IPV4, i, 0);
		run_once(t);
		assert_true(rib_pending(t->rib));
		assert_int_equal(rib_held_until(t->rib).us - t->now.us, 4000);
		t->now.us += 4000;
		run_once(t);
		assert_false(rib_pending(t->rib));
		assert_int_not_equal(t->route[FAMILY_IPV4][i], t->route[FAMILY_IPV4][i + 1]);
	}
	done(t);
}

/* Nobody who is left behind is held back: a prefix that loses all, or that is new, goes at once. */
static void
test_what_does_not_share_a_set_does_not_wait(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .seed = 1 });

	(void)state;
	announce(t, 0, FAMILY_IPV4, 0, 0);
	announce(t, 0, FAMILY_IPV4, 1, 0);
	run(t);
	withdraw(t, 0, FAMILY_IPV4, 0);
	announce(t, 1, FAMILY_IPV4, 2, 0);
	run_once(t);
	assert_false(rib_pending(t->rib));
	assert_int_equal(t->route[FAMILY_IPV4][0], 0);
	assert_int_not_equal(t->route[FAMILY_IPV4][2], 0);
	/* to a set that has a group already: nothing would be saved by waiting */
	announce(t, 1, FAMILY_IPV4, 1, 0);
	announce(t, 0, FAMILY_IPV4, 3, 0);
	announce(t, 1, FAMILY_IPV4, 3, 0);
	run(t);
	announce(t, 0, FAMILY_IPV4, 2, 0);
	run_once(t);
	assert_false(rib_pending(t->rib));
	assert_int_equal(t->route[FAMILY_IPV4][2], t->route[FAMILY_IPV4][1]);
	done(t);
}

/* ---- slices ---- */

/* A slice ends when its time is over, to the tick, and the next one goes on where it ended. */
static void
test_slices_end_in_time(void **state)
{
	(void)state;
	for (int64_t slice = 1; slice < 6; slice++) {
		struct fixture *t = fixture((struct rib_config){ .slice_us = slice });
		unsigned int slices = 0;

		for (unsigned int i = 0; i < PREFIXES; i++)
			announce(t, 0, FAMILY_IPV4, i, 0);
		t->tick = 1;
		for (bool more = true; more; slices++) {
			struct mono began = t->now;

			more = rib_run(t->rib);
			if (rib_running(t->rib))
				assert_in_range(t->now.us - began.us, slice + 1, slice + 2);
			assert_true(!rib_running(t->rib) || more);
		}
		assert_int_equal(slices > 1, slice < 6);
		t->tick = 0;
		assert_int_equal(counts(t).runs, 1);
		assert_int_equal(counts(t).prefixes_run, PREFIXES);
		done(t);
	}
}

/* Without a limit given, a slice has two milliseconds. */
static void
test_a_slice_has_two_milliseconds(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .seed = 1 });
	struct mono began = t->now;

	(void)state;
	announce(t, 0, FAMILY_IPV4, 0, 0);
	t->tick = 1999;
	assert_true(rib_run(t->rib));
	assert_true(t->now.us - began.us >= 2000 && t->now.us - began.us < 6000);
	t->tick = 0;
	run(t);
	done(t);
}

/* While the exporter can take no more, the run waits; the FIB has had its part already. */
static void
test_the_run_waits_for_the_exporter(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .seed = 1 });

	(void)state;
	announce(t, 0, FAMILY_IPV4, 0, 0);
	run(t);
	t->not_ready = true;
	down(t, 0);
	announce(t, 1, FAMILY_IPV4, 1, 0);
	for (int i = 0; i < 10; i++) {
		assert_true(rib_run(t->rib));
		assert_true(rib_running(t->rib));
	}
	assert_non_null(t->told[FAMILY_IPV4][0]);
	assert_null(t->told[FAMILY_IPV4][1]);
	t->not_ready = false;
	run(t);
	assert_null(t->told[FAMILY_IPV4][0]);
	assert_ptr_equal(t->told[FAMILY_IPV4][1], t->attrs[0]);
	done(t);
}

/* ---- sources ---- */

static void
test_indices_of_sources_are_used_again(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .seed = 1 });
	struct rib_source *more = calloc(RIB_MAX_SOURCES, sizeof(*more));
	unsigned int n = 0;

	(void)state;
	while (rib_source_add(t->rib, &more[n]) == 0) {
		assert_int_equal(more[n].index, SOURCES + n + 1);
		n++;
	}
	assert_int_equal(SOURCES + n, RIB_MAX_SOURCES - 1);
	assert_int_equal(rib_source_add(t->rib, &more[n]), -ENOSPC);
	rib_source_remove(t->rib, &more[40]);
	assert_int_equal(rib_source_add(t->rib, &more[n]), 0);
	assert_int_equal(more[n].index, more[40].index);
	more[40] = more[n];
	for (unsigned int i = 0; i < n; i++)
		rib_source_remove(t->rib, &more[i]);
	free(more);
	done(t);
}

/* ---- configuration ---- */

static void
test_without_a_fib_nothing_is_made(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .no_fib = true });

	(void)state;
	announce(t, 0, FAMILY_IPV4, 0, 0);
	run(t);
	assert_int_equal(t->news + t->sets + counts(t).hop_sets, 0);
	assert_ptr_equal(t->told[FAMILY_IPV4][0], t->attrs[0]);
	done(t);
}

/* The widest set that is made; the best path is in it whatever its place. */
static void
test_the_width_has_its_limit(void **state)
{
	(void)state;
	for (unsigned int width = 1; width <= SOURCES; width++)
		for (unsigned int best = 0; best < SOURCES; best++) {
			struct fixture *t = fixture((struct rib_config){ .max_width = width });
			const struct group *g;
			bool seen = false;

			t->sources[best].router_id = 1;
			for (unsigned int s = 0; s < SOURCES; s++)
				announce(t, s, FAMILY_IPV4, 0, 0);
			run(t);
			g = &t->groups[t->route[FAMILY_IPV4][0]];
			assert_int_equal(g->n, width);
			for (size_t i = 0; i < g->n; i++) {
				seen |= g->m[i].ifindex == best + 1;
				assert_true(i == 0 || g->m[i].ifindex > g->m[i - 1].ifindex);
			}
			assert_true(seen);
			done(t);
		}
}

/* Who had no room takes the place of one that is gone, be that the best path or not, and known to peers or not. */
static void
test_a_place_that_is_free_is_taken(void **state)
{
	(void)state;
	for (unsigned int width = 1; width <= SOURCES; width++)
		for (unsigned int gone = 0; gone < SOURCES; gone++)
			for (int wait = 0; wait < 2; wait++) {
				struct fixture *t = fixture(
				    (struct rib_config){ .max_width = width, .wait_fib = wait });
				const struct group *g;

				for (unsigned int s = 0; s < SOURCES; s++)
					announce(t, s, FAMILY_IPV4, 0, 0);
				run(t);
				down(t, gone);
				run(t);
				g = &t->groups[t->route[FAMILY_IPV4][0]];
				assert_int_equal(g->n, MIN_OF(width, SOURCES - 1u));
				for (size_t i = 0; i < g->n; i++)
					assert_int_equal(g->m[i].ifindex, i + 1 + (i >= gone));
				done(t);
			}
}

static void
test_members_are_told_up_to_a_number(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .weights = true });
	struct rib_member m[SOURCES];
	struct prefix p = prefix_no(FAMILY_IPV4, 0);
	struct rib_view v;

	(void)state;
	for (unsigned int s = 0; s < 4; s++)
		announce(t, s, FAMILY_IPV4, 0, s == 2 ? 5 : 0);
	run(t);
	assert_true(rib_get(t->rib, 7, &p, &v));
	for (size_t max = 1; max <= 4; max++)
		assert_int_equal(rib_members(t->rib, v.list, m, max), max);
	assert_int_equal(rib_members(t->rib, v.list, m, SOURCES), 4);
	for (unsigned int s = 0; s < 4; s++) {
		assert_int_equal(m[s].ifindex, s + 1);
		assert_int_equal(m[s].weight, 1); /* three of them have none */
		assert_int_equal(ip_to_v4(&m[s].gateway), 0x0a000000u + s);
	}
	done(t);
}

/* Weights count when every path has one; a path without one that comes or goes, by itself or with its source, tells. */
static void
test_weights_are_all_or_none(void **state)
{
	(void)state;
	for (int session = 0; session < 2; session++) {
		struct fixture *t = fixture((struct rib_config){ .weights = true });
		const struct group *g;

		announce(t, 0, FAMILY_IPV4, 0, 1);
		announce(t, 1, FAMILY_IPV4, 0, 2);
		run(t);
		g = &t->groups[t->route[FAMILY_IPV4][0]];
		assert_int_equal(g->n, 2);
		assert_int_equal(g->m[0].weight, 2);
		assert_int_equal(g->m[1].weight, 3);
		announce(t, 2, FAMILY_IPV4, 0, 0);
		run(t);
		g = &t->groups[t->route[FAMILY_IPV4][0]];
		assert_int_equal(g->n, 3);
		for (unsigned int s = 0; s < 3; s++)
			assert_int_equal(g->m[s].weight, 1);
		if (session)
			down(t, 2);
		else
			withdraw(t, 2, FAMILY_IPV4, 0);
		run(t);
		g = &t->groups[t->route[FAMILY_IPV4][0]];
		assert_int_equal(g->n, 2);
		assert_int_equal(g->m[0].weight, 2);
		assert_int_equal(g->m[1].weight, 3);
		done(t);
	}
}

/* ---- the FIB's answers ---- */

static void
test_the_fibs_answers_are_shown(void **state)
{
	(void)state;
	for (int wait = 0; wait < 2; wait++) {
		struct fixture *t = fixture((struct rib_config){ .wait_fib = wait });
		struct prefix p = prefix_no(FAMILY_IPV4, 3), other = prefix_no(FAMILY_IPV4, 4);
		struct rib_view v;

		rib_fib_result(t->rib, 7, &p, true); /* of what nobody knows */
		announce(t, 0, FAMILY_IPV4, 3, 0);
		rib_fib_result(t->rib, 7, &p, true); /* before it has a route: of an older one */
		run(t);
		assert_true(rib_get(t->rib, 7, &p, &v));
		assert_false(v.fib_installed || v.fib_failed);
		assert_int_equal(v.group, t->route[FAMILY_IPV4][3]);
		assert_int_equal(!v.told, wait);
		rib_fib_result(t->rib, 7, &other, true);
		rib_fib_result(t->rib, 8, &p, true);
		assert_false(rib_pending(t->rib));
		rib_fib_result(t->rib, 7, &p, true);
		assert_int_equal(rib_pending(t->rib), wait);
		run(t);
		rib_get(t->rib, 7, &p, &v);
		assert_true(v.fib_installed && !v.fib_failed && v.told == v.list);
		rib_fib_result(t->rib, 7, &p, true); /* once more: nothing new */
		assert_false(rib_pending(t->rib));
		rib_fib_result(t->rib, 7, &p, false);
		run(t);
		rib_get(t->rib, 7, &p, &v);
		assert_true(!v.fib_installed && v.fib_failed);
		assert_int_equal(!v.told, wait);
		assert_int_equal(!t->told[FAMILY_IPV4][3], wait);
		rib_fib_result(t->rib, 7, &p, true);
		run(t);
		withdraw(t, 0, FAMILY_IPV4, 3); /* and comes back: it must be proved anew */
		run(t);
		announce(t, 0, FAMILY_IPV4, 3, 0);
		run(t);
		rib_get(t->rib, 7, &p, &v);
		assert_false(v.fib_installed || v.fib_failed);
		done(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_part_of_an_origin_waits_this_long),
		cmocka_unit_test(test_an_exchange_is_no_gain),
		cmocka_unit_test(test_what_does_not_share_a_set_does_not_wait),
		cmocka_unit_test(test_slices_end_in_time),
		cmocka_unit_test(test_a_slice_has_two_milliseconds),
		cmocka_unit_test(test_the_run_waits_for_the_exporter),
		cmocka_unit_test(test_indices_of_sources_are_used_again),
		cmocka_unit_test(test_without_a_fib_nothing_is_made),
		cmocka_unit_test(test_the_width_has_its_limit),
		cmocka_unit_test(test_a_place_that_is_free_is_taken),
		cmocka_unit_test(test_members_are_told_up_to_a_number),
		cmocka_unit_test(test_weights_are_all_or_none),
		cmocka_unit_test(test_the_fibs_answers_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
