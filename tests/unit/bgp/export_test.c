/* tests/unit/bgp/export_test.c -- what neighbours hold after changes, walks, refreshes, slowness; and at random */
#include "lines.h"

static void
offer_table(struct fixture *t)
{
	for (unsigned int i = 0; i < PREFIXES; i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
}

/* ---- cases ---- */

static void
test_everyone_hears_what_it_is_told(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	for (unsigned int i = 0; i < 60; i++)
		for (int f = 0; f < FAMILIES; f++)
			offer(t, i % LINES, (enum family)f, i, i / 10, 0);
	settle(t);
	compare(t, "after announcements");
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].end_of_rib, t->line[k].caps & BGP_CAP_MP_IPV6 ? 3 : 1);
	for (unsigned int i = 0; i < 60; i += 3)
		for (int f = 0; f < FAMILIES; f++)
			retract(t, i % LINES, (enum family)f, i);
	settle(t);
	compare(t, "after withdrawals");
	done(t);
}

static void
test_late_joiners_get_all_of_it(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	for (unsigned int i = 0; i < 3000; i++) /* more than a slice of a walk */
		offer(t, 2, FAMILY_IPV4, i, i % 50, 0);
	settle(t);
	line_up(t, 0);
	compare(t, "after a first joiner");
	for (unsigned int i = 1; i < LINES; i++) { /* several at once walk together */
		bgp_peer_link_up(t->line[i].near, t->now);
		bgp_peer_link_up(t->line[i].far, t->now);
	}
	pass_time(t, MS(100));
	compare(t, "after many joiners");
	assert_int_equal(t->line[5].end_of_rib, 1);
	done(t);
}

static void
test_changes_beside_a_walk(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	for (unsigned int i = 0; i < PREFIXES; i++)
		offer(t, 2, FAMILY_IPV4, i, 1, 0);
	settle(t);
	joins(t, 0);
	assert_true(export_pending(t->export));
	export_run(t->export); /* half of the walk */
	assert_true(export_pending(t->export));
	for (unsigned int i = 0; i < PREFIXES; i += 2) { /* before and behind the cursor */
		if (i % 4)
			retract(t, 2, FAMILY_IPV4, i);
		else
			offer(t, 2, FAMILY_IPV4, i, 2, 0);
	}
	settle(t);
	compare(t, "after changes beside a walk");
	done(t);
}

/* Who becomes the best source of what it was told by us must not keep the older path, nor hear its own. */
static void
test_who_becomes_the_source(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	offer(t, 3, FAMILY_IPV4, 0, 1, 0);
	settle(t);
	compare(t, "line 3 is the source");
	offer(t, 2, FAMILY_IPV4, 0, 2, 0); /* a lower router id */
	settle(t);
	compare(t, "line 2 took over");
	offer(t, 2, FAMILY_IPV4, 0, 3, 0);
	settle(t);
	compare(t, "with other attributes");
	retract(t, 2, FAMILY_IPV4, 0);
	settle(t);
	compare(t, "and gave back");
	done(t);
}

/* Prefixes of one set of attributes go out together, when all is told again, too. */
static void
test_a_refresh_is_packed(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, 1, 0);
	settle(t);
	updates = t->line[0].updates;
	assert_true(bgp_send_refresh(t->line[0].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_in_range(t->line[0].updates - updates, 1, 4);
	compare(t, "after a refresh");
	/* Whoever's they are, as long as nobody's own are among them. */
	for (unsigned int i = 0; i < 100; i++) {
		retract(t, 2, FAMILY_IPV4, i);
		offer(t, 1 + i % 3, FAMILY_IPV4, i, 1, 0);
	}
	settle(t);
	updates = t->line[0].updates;
	assert_true(bgp_send_refresh(t->line[0].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_in_range(t->line[0].updates - updates, 1, 4);
	compare(t, "after a refresh of what three say");
	/* Nor do its own matter to one that walks alone: they are no part of what it is sent. */
	assert_true(bgp_send_refresh(t->line[2].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	updates = t->line[2].updates;
	settle(t);
	assert_in_range(t->line[2].updates - updates, 1, 4);
	compare(t, "after a refresh with its own among them");
	done(t);
}

static void
test_a_refresh_is_marked(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 7, 0);
	settle(t);
	updates = t->line[3].updates;
	t->line[0].holds[FAMILY_IPV4][500] = 1; /* something that the far side should not have */
	assert_true(bgp_send_refresh(t->line[0].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_int_equal(t->line[0].begins, 1);
	assert_int_equal(t->line[0].ends, 1);
	assert_int_equal(t->line[3].updates, updates); /* nobody else hears of it */
	compare(t, "after a marked refresh");
	/* Without enhanced refresh: all again, no marks, End-of-RIB behind. */
	t->line[4].end_of_rib = 0;
	memset(t->line[4].holds, 0xff, sizeof(t->line[4].holds));
	assert_true(bgp_send_refresh(t->line[4].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_int_equal(t->line[4].begins, 0);
	assert_int_equal(t->line[4].end_of_rib, 1);
	compare(t, "after a plain refresh");
	done(t);
}

/* A refresh that is asked for before the first walk began is answered as well. */
static void
test_a_refresh_while_joining(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	offer(t, 2, FAMILY_IPV4, 1, 1, 0);
	settle(t);
	joins(t, 0);
	export_peer_refresh(t->line[0].export, FAMILY_IPV4);
	settle(t);
	assert_int_equal(t->line[0].end_of_rib, 3);
	assert_int_equal(t->line[0].begins, 1);
	assert_int_equal(t->line[0].ends, 1);
	compare(t, "after both");
	done(t);
}

/* It has its place in the walk that all joiners share, and one of those does not read: the refresh waits as well. */
static void
test_a_refresh_while_joining_with_others(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	offer_table(t);
	settle(t);
	joins(t, 0);
	joins(t, 1);
	t->line[1].reads = false;
	export_peer_refresh(t->line[0].export, FAMILY_IPV4);
	settle(t);
	assert_int_equal(t->line[0].end_of_rib, 0);
	pass_time(t, SECONDS(3));
	assert_int_equal(t->slow_events, 1);
	assert_int_equal(t->line[0].end_of_rib, 3);
	assert_int_equal(t->line[0].begins, 1);
	assert_int_equal(t->line[0].ends, 1);
	t->line[1].reads = true;
	settle(t);
	compare(t, "after both");
	done(t);
}

static void
test_W10_attributes_that_leave_no_room(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	offer(t, 2, FAMILY_IPV4, 0, 1, 0);
	offer(t, 2, FAMILY_IPV4, 1, 2, TOO_BIG);
	offer(t, 2, FAMILY_IPV4, 2, 3, BIG);
	settle(t);
	compare(t, "one set is too large for short messages"); /* line 4; the others have long ones */
	assert_int_equal(t->large_events, 1);
	offer(t, 2, FAMILY_IPV4, 0, 2, TOO_BIG); /* what was told before must go */
	offer(t, 2, FAMILY_IPV4, 1, 1, 0);
	settle(t);
	compare(t, "and another one took its place");
	assert_int_equal(t->large_events, 2);
	assert_int_equal(bgp_peer_state(t->line[4].near), BGP_ESTABLISHED);
	line_down(t, 4);
	settle(t);
	line_up(t, 4); /* a walk leaves it out, too, and says so */
	compare(t, "after a walk");
	assert_int_equal(t->large_events, 3);
	done(t);
}

/* Large sets, so that little work fills a queue; each turn changes all of them. */
static void
flood(struct fixture *t, unsigned int turn_no)
{
	for (unsigned int i = 0; i < 1500; i++)
		offer(t, 2, FAMILY_IPV4, i, (i + turn_no * 700) % 4000, BIG);
}

static void
test_a_slow_peer_lags_and_is_told_all_again(void **state)
{
	struct fixture *t = all_up();
	size_t most = 0;

	(void)state;
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 12; n++) {
		flood(t, n);
		pass_time(t, SECONDS(1)); /* waits for it, but not for ever */
		most = MAX_OF(most, bgp_queue_bytes(t->line[3].near));
	}
	pass_time(t, SECONDS(3));
	pass_time(t, SECONDS(3));
	assert_int_equal(t->slow_events, 1);
	assert_in_range(most, 4u << 20, 6u << 20); /* it was filled, and bounded */
	assert_in_range(bgp_queue_bytes(t->line[3].near), 0, 1u << 20);
	assert_false(rib_pending(t->rib)); /* nobody waits for it any more */
	compare(t, "the others, while one does not read");
	retract(t, 2, FAMILY_IPV4, 7);
	settle(t);
	t->line[3].reads = true;
	settle(t);
	assert_int_equal(t->line[3].begins, 2); /* both families */
	assert_int_equal(t->line[3].ends, 2);
	compare(t, "after it read on");
	offer(t, 2, FAMILY_IPV4, 7, 1, BIG);
	settle(t);
	compare(t, "and is one of many again");
	done(t);
}

/* It reads on and on, 32 KiB a second: too little for all others to wait for. */
static void
test_a_peer_that_reads_a_little_holds_up_nobody(void **state)
{
	struct fixture *t = all_up();
	unsigned int s = 0;

	(void)state;
	t->line[3].reads = false;
	flood(t, 0);
	settle(t);
	flood(t, 1); /* and now its queue is full */
	do {
		t->line[3].reads = true;
		pump(&t->line[3]);
		t->line[3].reads = false;
		export_drained(t->export);
		pass_time(t, SECONDS(1));
	} while (rib_pending(t->rib) && s++ < 100);
	assert_in_range(s, 0, 6);
	assert_int_equal(t->slow_events, 1);
	compare(t, "the others, while one reads a little");
	t->line[3].reads = true;
	settle(t);
	compare(t, "after it read on");
	done(t);
}

/* One that reads some 800 KiB a second is waited for, and misses nothing. */
static void
test_a_peer_that_reads_in_time_is_waited_for(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	t->line[3].reads = false;
	flood(t, 0);
	settle(t);
	flood(t, 1);
	for (unsigned int s = 0; s < 40; s++) {
		t->line[3].reads = true;
		for (unsigned int k = 0; k < 30; k++)
			pump(&t->line[3]);
		t->line[3].reads = false;
		export_drained(t->export);
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 0);
	t->line[3].reads = true;
	settle(t);
	assert_false(rib_pending(t->rib));
	compare(t, "all of them");
	done(t);
}

static void
test_a_slow_peer_without_marks_is_reset(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	t->line[4].reads = false; /* knows no BoRR */
	for (unsigned int n = 0; n < 6; n++) {
		flood(t, n);
		pass_time(t, SECONDS(1));
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 1);
	assert_true(
	    bgp_peer_state(t->line[4].near) != BGP_ESTABLISHED || bgp_peer_counters(t->line[4].near)->flaps == 1);
	t->line[4].reads = true;
	for (int n = 0; n < 100 && bgp_peer_state(t->line[4].near) != BGP_ESTABLISHED; n++)
		pass_time(t, SECONDS(1));
	pass_time(t, MS(100));
	assert_int_equal(bgp_peer_counters(t->line[4].near)->flaps, 1);
	assert_non_null(t->line[4].export);
	compare(t, "after its session came back");
	done(t);
}

/* It joins, does not read, and many others join with it: they do not wait for it for ever. */
static void
test_a_joiner_that_does_not_read(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	flood(t, 0);
	for (unsigned int i = 1500; i < 3000; i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
	settle(t);
	for (unsigned int i = 3; i < LINES; i++) {
		bgp_peer_link_up(t->line[i].near, t->now);
		bgp_peer_link_up(t->line[i].far, t->now);
	}
	for (unsigned int n = 0; !t->line[3].export && n < 10; n++) {
		t->now.us += MS(100);
		for (unsigned int i = 0; i < LINES; i++)
			pump(&t->line[i]);
	}
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 8; n++)
		pass_time(t, SECONDS(1));
	compare(t, "the others");
	assert_int_equal(t->slow_events, 1);
	t->line[3].reads = true;
	settle(t);
	compare(t, "after it read on");
	assert_int_equal(t->line[3].end_of_rib, 3); /* it still is told that this was all */
	t->line[3].end_of_rib = 0;                  /* once: a refresh has marks of its own */
	assert_true(bgp_send_refresh(t->line[3].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_int_equal(t->line[3].end_of_rib, 0);
	compare(t, "after another refresh");
	done(t);
}

/*
 * The End-of-RIB of its first walk waits in its queue, and is dropped with that: it is sent all up to End-of-RIB first, and
 * then all again between the marks, or what was withdrawn meanwhile would stay with it. apart: it was slow before.
 */
static void
end_of_rib_is_dropped(bool apart)
{
	struct fixture *t = fixture();
	struct line *l = &t->line[3];

	line_up(t, 2);
	for (unsigned int i = 0; i < (apart ? PREFIXES : 500); i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
	settle(t);
	joins(t, 3);
	if (apart) {
		l->reads = false;
		pass_time(t, SECONDS(1));
		pass_time(t, SECONDS(2));
		assert_int_equal(t->slow_events, 1);
		l->reads = true;
	}
	while (export_peer_walks(l->export)) {
		turn(t);
		if (apart)
			pump(l);
	}
	l->reads = false;
	assert_int_equal(bgp_peer_facts(l->near)->end_of_rib_out, 0);
	for (unsigned int n = 1; !export_peer_lags(l->export); n++) {
		assert_true(n < 12);
		if (!rib_running(t->rib))
			flood(t, n);
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 1);
	assert_false(rib_running(t->rib));
	retract(t, 2, FAMILY_IPV4, 7);
	settle(t);
	l->reads = true;
	settle(t);
	compare(t, "after it read on");
	assert_int_equal(l->end_of_rib, 3);
	assert_int_equal(l->begins, 2);
	assert_int_equal(l->ends, 2);
	offer(t, 2, FAMILY_IPV4, 7, 1, BIG);
	settle(t);
	compare(t, "and is one of many again");
	done(t);
}

static void
test_end_of_rib_comes_before_a_refresh(void **state)
{
	(void)state;
	end_of_rib_is_dropped(false);
	end_of_rib_is_dropped(true);
}

/* What all but one must hold by now; that one reads slowly. */
static void
compare_others(struct fixture *t, struct line *slow, const char *when)
{
	slow->reads = false;
	compare(t, when);
	slow->reads = true;
}

static bool
behind(const struct line *l)
{
	return !l->export || export_peer_walks(l->export) || export_peer_lags(l->export) || bgp_queue_bytes(l->near);
}

/* 16 MiB for each: on one of them, TCP takes so much a second. */
struct pace_case {
	const char *name;
	unsigned int line;
	bool joins; /* it walks beside others; otherwise all are told at once */
	size_t pace;
	int64_t others_us; /* to be told all */
	unsigned int slow_events, flaps;
};

static void
tell_at_pace(struct fixture *t, const struct pace_case *c)
{
	struct line *slow = &t->line[c->line];
	size_t most = 0;
	int64_t us = 0;

	for (unsigned int i = 0; i < LINES; i++)
		if (!c->joins || i == 2)
			line_up(t, i);
	offer_table(t);
	if (c->joins) {
		settle(t);
		for (unsigned int i = 0; i < LINES; i++)
			if (i != 2)
				joins(t, i);
	}
	slow->pace = c->pace;
	for (unsigned int busy = LINES; busy; us += MS(50)) {
		pass_time(t, MS(50));
		most = MAX_OF(most, bgp_queue_bytes(slow->near));
		busy = rib_pending(t->rib) || (c->joins && t->slow_events == 0);
		for (unsigned int i = 0; i < LINES; i++)
			busy += i != c->line && behind(&t->line[i]);
		if (us > c->others_us)
			fail_msg("%s: others wait for more than %lld us", c->name, (long long)us);
	}
	compare_others(t, slow, c->name);
	for (unsigned int n = 0; us < SECONDS(1000) && (behind(slow) || n < 5); us += MS(50), n++) {
		if (n < 5 &&
		    c->slow_events) { /* the others hear at once what changes, whatever the one has not read yet */
			offer(t, 2, FAMILY_IPV4, n, PREFIXES + n % 2, BIG);
			retract(t, 2, FAMILY_IPV4, PREFIXES - 1 - n);
		}
		pass_time(t, MS(50));
		most = MAX_OF(most, bgp_queue_bytes(slow->near));
		if (n < 5 && c->slow_events)
			compare_others(t, slow, c->name);
	}
	if (behind(slow))
		fail_msg("%s: it was not told all", c->name);
	assert_in_range(most, 1, 8u << 20); /* as long as it was waited for: 4 MiB, and a slice of the run */
	slow->pace = 0;
	settle(t);
	compare(t, c->name);
	assert_int_equal(t->slow_events, c->slow_events);
	assert_int_equal(bgp_peer_counters(slow->near)->flaps, c->flaps);
}

/* Who reads slowly, but does read, costs itself time, and the others no more than two seconds, whatever there is to tell. */
static void
test_a_slow_peer_costs_itself_alone(void **state)
{
	static const struct pace_case cases[] = {
		{ "32 KiB/s", 3, false, 32 << 10, SECONDS(3), 1, 0 },
		{ "32 KiB/s, in a walk of two", 1, true, 32 << 10, SECONDS(3), 1, 0 },
		{ "32 KiB/s, joining", 3, true, 32 << 10, SECONDS(3), 1, 0 },
		{ "500 KiB/s", 3, false, 500 << 10, SECONDS(3), 1, 0 },
		{ "no marks", 4, false, 32 << 10, SECONDS(3), 2, 1 }, /* reset; and then at its own pace */
		{ "no marks, joining", 4, true, 32 << 10, SECONDS(3), 1, 0 },
		{ "600 KiB/s is waited for", 3, false, 600 << 10, SECONDS(24), 0, 0 },
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct fixture *t = fixture();

		tell_at_pace(t, &cases[c]);
		done(t);
	}
}

/* More changes than it reads, for long: it is told the whole table all the same, again and again, and nobody waits for it. */
static void
test_a_slow_peer_while_all_changes(void **state)
{
	struct fixture *t = all_up();
	struct line *slow = &t->line[3];
	size_t most = 0;

	(void)state;
	slow->pace = 400 << 10;
	offer_table(t);
	pass_time(t, SECONDS(1));
	pass_time(t, SECONDS(2));
	for (unsigned int n = 0; n < 2000; n++) { /* 1.9 MB/s */
		for (unsigned int i = 0; i < 50; i++)
			offer(t, 2, FAMILY_IPV4, (n * 50 + i) % PREFIXES, (n * 53 + i) % PREFIXES, BIG);
		pass_time(t, MS(100));
		assert_false(rib_pending(t->rib));
		compare_others(t, slow, "while all changes");
		most = MAX_OF(most, bgp_queue_bytes(slow->near));
	}
	assert_in_range(slow->ends, 4, 20); /* of both families, more than once */
	assert_int_equal(t->slow_events, 1);
	assert_in_range(most, 1, (6u << 20) + (512u << 10));
	slow->pace = 0;
	settle(t);
	compare(t, "after all changes");
	done(t);
}

/* Its walk goes on when it begins to lag: nothing may tell it to forget what it was not sent again. */
static void
test_a_refresh_cut_short(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	flood(t, 0);
	for (unsigned int i = 1500; i < 3500; i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
	settle(t);
	assert_true(bgp_send_refresh(t->line[3].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	pump(&t->line[3]);
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 8; n++) {
		offer(t, 2, FAMILY_IPV4, 0, n, BIG);
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 1);
	t->line[3].reads = true;
	for (unsigned int n = 0; n < 100000 && (bgp_queue_bytes(t->line[3].near) || t->line[3].to_far.n); n++)
		pump(&t->line[3]); /* reads what was left, before the switch does anything */
	assert_int_equal(t->line[3].begins, 1);
	assert_int_equal(t->line[3].ends, 0);
	export_drained(t->export);
	settle(t);
	compare(t, "after it read on");
	done(t);
}

static void
test_a_group_made_while_a_source_is_going(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	line_up(t, 3);
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 5, 0);
	settle(t);
	line_down(t, 2); /* lists are shrunk, nobody was told yet */
	joins(t, 0);
	assert_true(rib_pending(t->rib));
	settle(t);
	compare(t, "after both");
	done(t);
}

/* Two that come up together walk together, and each has paths in the RIB that were kept over its absence. */
static void
test_joiners_whose_paths_were_kept(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	for (unsigned int i = 0; i < 40; i++)
		for (unsigned int k = 0; k < 4; k++)
			if (i >> k & 1) {
				rib_source_up(t->rib, &t->line[k].source);
				offer(t, k, FAMILY_IPV4, i, k, 0);
			}
	settle(t);
	for (unsigned int i = 0; i < LINES; i++)
		joins(t, i);
	settle(t);
	compare(t, "after all joined");
	for (unsigned int i = 0; i < 4; i++) {
		t->line[i].kept = true;
		line_down(t, i);
	}
	settle(t);
	compare(t, "while they are away");
	for (unsigned int i = 4; i-- > 0;)
		joins(t, i);
	settle(t);
	compare(t, "after they came back");
	done(t);
}

/* Who comes up walks, from then on until it was told all; so does who asks for a refresh, and who lagged. */
static void
test_who_walks_is_known(void **state)
{
	struct fixture *t = fixture();
	unsigned int turns = 0;

	(void)state;
	line_up(t, 0);
	for (unsigned int i = 0; i < PREFIXES; i++)
		offer(t, 0, FAMILY_IPV4, i, i % 5, 0);
	settle(t);
	joins(t, 2);
	joins(t, 3);
	for (; export_peer_walks(t->line[2].export); turns++) {
		assert_true(export_peer_walks(t->line[3].export)); /* together */
		assert_false(export_peer_walks(t->line[0].export));
		turn(t);
	}
	assert_true(turns > 2);
	assert_false(export_peer_walks(t->line[3].export));
	settle(t);
	assert_true(bgp_send_refresh(t->line[3].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	pump(&t->line[3]);
	assert_true(export_peer_walks(t->line[3].export));
	assert_false(export_peer_walks(t->line[2].export));
	turn(t);
	assert_true(export_peer_walks(t->line[3].export));
	assert_false(export_peer_walks(t->line[2].export));
	settle(t);
	assert_false(export_peer_walks(t->line[3].export));
	compare(t, "after all that");
	done(t);
}

/* The last prefix of all is one of theirs: it goes to the other alone, End-of-RIB to both. */
static void
test_the_last_of_a_walk_is_a_joiners_own(void **state)
{
	(void)state;
	for (unsigned int last = 2; last < 4; last++)
		for (int f = 0; f < FAMILIES; f++) {
			struct fixture *t = fixture();

			for (unsigned int k = 2; k < 4; k++)
				rib_source_up(t->rib, &t->line[k].source);
			for (unsigned int i = 0; i < 5; i++)
				offer(t, i == 4 ? last : 5 - last, f, i, i, 0);
			settle(t);
			joins(t, 2);
			joins(t, 3);
			settle(t);
			compare(t, "after they joined");
			for (unsigned int k = 2; k < 4; k++) {
				assert_int_equal(t->line[k].end_of_rib, 3);
				assert_int_equal(
				    bgp_peer_counters(t->line[k].near)->prefixes_out[f], k == last ? 4 : 1);
			}
			done(t);
		}
}

/* ---- at random ---- */

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static void
random_step(struct fixture *t, uint32_t *rnd)
{
	struct line *l = &t->line[draw(rnd, LINES)];
	unsigned int kind = draw(rnd, 16), from = draw(rnd, 60), n = draw(rnd, 60 - from) + 1, set = draw(rnd, 8);
	enum family f = draw(rnd, FAMILIES);

	if (kind == 0) {
		l->kept = draw(rnd, 2);
		line_down(t, l->index);
	} else if (kind < 3) {
		bgp_peer_link_up(l->near, t->now);
		bgp_peer_link_up(l->far, t->now);
		t->now.us += MS(200);
	} else if (kind == 3) {
		bgp_send_refresh(l->far, f, BGP_REFRESH_REQUEST);
	} else if (kind == 4) {
		l->reads = draw(rnd, 3) != 0;
	} else if (l->export && !rib_running(t->rib)) {
		for (unsigned int i = from; i < from + (kind % 2 ? 1 : n); i++) {
			if (kind < 12)
				offer(t, l->index, f, i, set, set == 7 ? TOO_BIG : 0);
			else
				retract(t, l->index, f, i);
		}
	}
}

static void
test_at_random_against_the_model(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct fixture *t = fixture();
		uint32_t rnd = seed;

		for (unsigned int i = 0; i < LINES; i++)
			line_up(t, i);
		for (unsigned int step = 0; step < 400; step++) {
			char when[64];

			random_step(t, &rnd);
			for (unsigned int k = draw(&rnd, 4); k > 0; k--) {
				turn(t);
				pump(&t->line[draw(&rnd, LINES)]);
			}
			if (draw(&rnd, 8))
				continue;
			for (unsigned int i = 0; i < LINES; i++)
				t->line[i].reads = true;
			pass_time(t, SECONDS(100)); /* idle hold times are over */
			pass_time(t, MS(100));
			snprintf(when, sizeof(when), "seed %u, step %u", seed, step);
			compare(t, when);
		}
		done(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everyone_hears_what_it_is_told),
		cmocka_unit_test(test_late_joiners_get_all_of_it),
		cmocka_unit_test(test_changes_beside_a_walk),
		cmocka_unit_test(test_who_becomes_the_source),
		cmocka_unit_test(test_a_refresh_is_packed),
		cmocka_unit_test(test_a_refresh_is_marked),
		cmocka_unit_test(test_a_refresh_while_joining),
		cmocka_unit_test(test_a_refresh_while_joining_with_others),
		cmocka_unit_test(test_W10_attributes_that_leave_no_room),
		cmocka_unit_test(test_a_slow_peer_lags_and_is_told_all_again),
		cmocka_unit_test(test_a_peer_that_reads_a_little_holds_up_nobody),
		cmocka_unit_test(test_a_peer_that_reads_in_time_is_waited_for),
		cmocka_unit_test(test_a_slow_peer_without_marks_is_reset),
		cmocka_unit_test(test_a_slow_peer_costs_itself_alone),
		cmocka_unit_test(test_a_slow_peer_while_all_changes),
		cmocka_unit_test(test_a_joiner_that_does_not_read),
		cmocka_unit_test(test_end_of_rib_comes_before_a_refresh),
		cmocka_unit_test(test_a_refresh_cut_short),
		cmocka_unit_test(test_a_group_made_while_a_source_is_going),
		cmocka_unit_test(test_joiners_whose_paths_were_kept),
		cmocka_unit_test(test_the_last_of_a_walk_is_a_joiners_own),
		cmocka_unit_test(test_who_walks_is_known),
		cmocka_unit_test(test_at_random_against_the_model),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
