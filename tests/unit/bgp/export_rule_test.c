/* tests/unit/bgp/export_rule_test.c -- what is said to whom, how often, in which slices, and how long one is waited for */
#include "lines.h"

/* ---- the rule, prefix by prefix, counted on the wire ---- */

static bool
class_hears(const struct fixture *t, const struct line *l, unsigned int i, int from)
{
	if (from == NOTHING)
		return false;
	return l->class == CLASS_BELOW || (l->class == CLASS_EVEN && i % 2 == 0) ||
	       (l->class == CLASS_ABOVE && t->line[from].source.side != RIB_ABOVE);
}

/*
 * One change at a time: a path that is told now goes once to each neighbour of the class but its source, which is sent
 * a withdrawal when it was told another's path before; a path that is told no more is withdrawn once from all of them.
 */
static void
test_each_change_is_said_once_to_whom_it_concerns(void **state)
{
	struct fixture *t = all_up();
	uint32_t rnd = 5;

	(void)state;
	for (unsigned int step = 0; step < 1500; step++) {
		uint64_t out[LINES], withdrawn[LINES];
		unsigned int i, k, set;
		int was, now;
		int16_t had;
		bool moved;

		rnd = rnd * 1664525u + 1013904223u;
		i = (rnd >> 8) % 8;
		k = (rnd >> 12) % LINES;
		set = (rnd >> 16) % 3;
		was = best_line(t, FAMILY_IPV4, i);
		had = was == NOTHING ? NOTHING : t->offers[FAMILY_IPV4][i][was];
		for (unsigned int n = 0; n < LINES; n++) {
			out[n] = bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4];
			withdrawn[n] = bgp_peer_counters(t->line[n].near)->withdrawn_out[FAMILY_IPV4];
		}
		if (rnd >> 30)
			offer(t, k, FAMILY_IPV4, i, set, 0);
		else
			retract(t, k, FAMILY_IPV4, i);
		settle(t);
		now = best_line(t, FAMILY_IPV4, i);
		moved = was != now || (now != NOTHING && had != t->offers[FAMILY_IPV4][i][now]);
		for (unsigned int n = 0; n < LINES; n++) {
			const struct line *l = &t->line[n];
			const struct bgp_counters *c = bgp_peer_counters(l->near);
			bool before = class_hears(t, l, i, was), after = class_hears(t, l, i, now), own = now == (int)n;

			out[n] += moved && after && !own;
			withdrawn[n] += moved && ((before && !after) || (before && after && own && was != now));
			if (c->prefixes_out[FAMILY_IPV4] != out[n] || c->withdrawn_out[FAMILY_IPV4] != withdrawn[n])
				fail_msg("step %u, line %u: %d announcements and %d withdrawals too many", step, n,
				    (int)(c->prefixes_out[FAMILY_IPV4] - out[n]),
				    (int)(c->withdrawn_out[FAMILY_IPV4] - withdrawn[n]));
		}
		compare(t, "after one change");
		compare_views(t);
	}
	done(t);
}

/* A refresh, and a new neighbour, hear each prefix once; nobody else hears any. */
static void
test_a_walk_says_each_prefix_once(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	for (unsigned int i = 0; i < 60; i++)
		offer(t, i % 3 + 1, FAMILY_IPV4, i, i % 4, 0);
	settle(t);
	for (unsigned int asks = 0; asks < LINES; asks++)
		for (int joins = 0; joins < 2; joins++) {
			uint64_t out[LINES], want = 0;

			if (joins && asks >= 1 && asks <= 3)
				continue; /* it would take its own along */
			for (unsigned int n = 0; n < LINES; n++)
				out[n] = bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4];
			for (unsigned int i = 0; i < 60; i++)
				want += must_hold(t, &t->line[asks], FAMILY_IPV4, i) != NOTHING;
			if (joins) {
				line_down(t, asks);
				settle(t);
				compare_views(t);
				line_up(t, asks);
			} else {
				assert_true(bgp_send_refresh(t->line[asks].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
				settle(t);
			}
			for (unsigned int n = 0; n < LINES; n++)
				assert_int_equal(bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4] - out[n],
				    n == asks ? want : 0);
			compare(t, "after a walk");
			compare_views(t);
		}
	done(t);
}

/* What one source says with one set of attributes goes out in one message, whatever it stands between. */
static void
test_changes_of_one_set_are_packed(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates[LINES];

	(void)state;
	for (unsigned int k = 0; k < LINES; k++)
		updates[k] = t->line[k].updates;
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 5, 0);
	settle(t);
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].updates - updates[k], k == 2 ? 0 : 5);
	for (unsigned int k = 0; k < LINES; k++)
		updates[k] = t->line[k].updates;
	for (unsigned int i = 0; i < 100; i++)
		retract(t, 2, FAMILY_IPV4, i);
	settle(t);
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].updates - updates[k], 1);
	done(t);
}

/* ---- slices and patience ---- */

/* A walk goes on by 2,048 prefixes at a time, and so does the count of what a class is told. */
static void
test_a_walk_goes_on_in_slices(void **state)
{
	static const struct {
		unsigned int prefixes, slices; /* the last two: no IPv6, and the walk is over */
	} cases[] = { { 0, 3 }, { 2047, 3 }, { 2048, 4 }, { 2049, 4 }, { 4095, 4 }, { 4096, 5 } };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct fixture *t = fixture();
		unsigned int slices = 0;

		line_up(t, 2);
		for (unsigned int i = 0; i < cases[c].prefixes; i++)
			offer(t, 2, FAMILY_IPV4, i, 1, 0);
		settle(t);
		joins(t, 0);
		assert_true(export_peer_walks(t->line[0].export));
		for (; export_pending(t->export); slices++) {
			unsigned int seen = slices * 2048;

			assert_true(slices < 10);
			assert_int_equal(export_count(t->line[0].export, FAMILY_IPV4), MIN_OF(seen, cases[c].prefixes));
			export_run(t->export);
			assert_false(export_peer_walks(t->line[2].export));
		}
		assert_int_equal(slices, cases[c].slices);
		assert_false(export_peer_walks(t->line[0].export));
		settle(t);
		compare(t, "after a walk");
		done(t);
	}
}

/* Until line k has so much in its queue that the RIB waits for it. */
static void
fill_queue(struct fixture *t, unsigned int k)
{
	t->line[k].reads = false;
	for (unsigned int n = 0; bgp_queue_bytes(t->line[k].near) <= 4u << 20; n++) {
		assert_true(n < 20);
		for (unsigned int i = 0; i < 1500; i++)
			offer(t, 2, FAMILY_IPV4, i, (i + n * 700) % 4000, BIG);
		while (rib_run(t->rib) && bgp_queue_bytes(t->line[k].near) <= 4u << 20)
			for (unsigned int i = 0; i < LINES; i++)
				pump(&t->line[i]);
	}
	for (bool moved = true; moved;) { /* the others read what there is */
		moved = false;
		for (unsigned int i = 0; i < LINES; i++)
			moved |= i != k && pump(&t->line[i]);
	}
}

/*
 * Two seconds, to the microsecond, however a peer dribbles meanwhile; who knows no marks is reset, and comes back a second
 * later.
 */
static void
test_patience_ends_after_two_seconds(void **state)
{
	static const struct {
		unsigned int line;
		bool marks;
	} cases[] = { { 3, true }, { 4, false } };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct fixture *t = all_up();
		struct line *l = &t->line[cases[c].line];
		struct mono full;
		uint64_t taken;

		fill_queue(t, cases[c].line);
		full = t->now;
		assert_false(export_ready(t->export, t->now));
		t->now = mono_add(full, SECONDS(1));
		taken = bgp_peer_counters(l->near)->out_bytes;
		l->reads = true;
		l->pace = 1;
		l->credit = 100; /* it takes a little: the two seconds do not begin anew */
		while (pump(l))
			;
		l->reads = false;
		l->pace = 0;
		assert_int_equal(bgp_peer_counters(l->near)->out_bytes - taken, 100);
		assert_true(bgp_queue_bytes(l->near) > 4u << 20);
		assert_false(export_ready(t->export, t->now));
		t->now = mono_add(full, SECONDS(2) - 1);
		assert_false(export_ready(t->export, t->now));
		assert_int_equal(t->slow_events, 0);
		t->now = mono_add(full, SECONDS(2));
		assert_true(export_ready(t->export, t->now));
		assert_int_equal(t->slow_events, 1);
		if (cases[c].marks) {
			assert_true(export_peer_lags(l->export));
			assert_int_equal(bgp_peer_state(l->near), BGP_ESTABLISHED);
		} else {
			const struct bgp_reason *why = bgp_peer_last_reset(l->near);

			assert_null(l->export);
			assert_string_equal(why->text, "the peer reads too slowly");
			assert_int_equal(why->code, BGP_ERR_CEASE);
			assert_int_equal(why->subcode, BGP_CEASE_RESOURCES);
			assert_int_equal(bgp_deadline(l->near).us - t->now.us, SECONDS(1));
		}
		l->reads = true;
		for (int i = 0; i < 4; i++)
			pass_time(t, SECONDS(1));
		compare(t, "after all was read");
		done(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_change_is_said_once_to_whom_it_concerns),
		cmocka_unit_test(test_a_walk_says_each_prefix_once),
		cmocka_unit_test(test_changes_of_one_set_are_packed),
		cmocka_unit_test(test_a_walk_goes_on_in_slices),
		cmocka_unit_test(test_patience_ends_after_two_seconds),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
