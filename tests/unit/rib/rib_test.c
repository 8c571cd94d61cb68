/*
 * tests/unit/rib/rib_test.c -- the RIB against a FIB and an exporter that remember, and against a plain model
 *
 * The FIB here checks at every call what the RIB promises: a group is never empty, a route's group never holds a next
 * hop whose source does not offer the prefix (once a batch is over), nothing that is used is freed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/rib.h"
#include "tests/unit/rib/sound.h"

#define SOURCES  6
#define PREFIXES 40
#define GROUPS   4096
#define ATTRS    5

struct fib_route {
	uint32_t group;
	uint32_t sets, dels;
};

struct fixture {
	struct mem mem;
	struct rib *rib;
	struct rib_source sources[SOURCES];
	struct rib_nexthop *nh[SOURCES];
	struct attrs *attrs[ATTRS];
	struct group {
		bool used;
		size_t n;
		uint32_t members[SOURCES]; /* ifindex = source + 1 */
	} groups[GROUPS];
	uint32_t next_group, group_changes, group_news;
	unsigned int told_count;                  /* changes */
	unsigned int told_at[FAMILIES][PREFIXES]; /* the change that was told last of it */
	struct fib_route routes[FAMILIES][PREFIXES];
	int told[FAMILIES][PREFIXES]; /* source + 1 of the best path, 0: none */
	const struct attrs *told_attrs[FAMILIES][PREFIXES];
	bool tell_first; /* a route may only be deleted when its loss has been told */
	struct mono now;
};

static struct prefix
prefix_no(enum family f, unsigned int i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 64 };

	p.b[0] = f == FAMILY_IPV4 ? 10 : 0xfd;
	p.b[2] = (uint8_t)i;
	return p;
}

static unsigned int
number_of(const struct prefix *p)
{
	return p->b[2];
}

static void
store_members(struct fixture *t, uint32_t group, const struct rib_member *m, size_t n)
{
	assert_in_range(n, 1, SOURCES);
	t->groups[group].n = n;
	for (size_t i = 0; i < n; i++)
		t->groups[group].members[i] = m[i].ifindex;
}

static uint32_t
fib_group_new(void *arg, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;
	uint32_t id = ++t->next_group;

	assert_true(id < GROUPS);
	t->groups[id].used = true;
	t->group_news++;
	store_members(t, id, m, n);
	return id;
}

static void
fib_group_change(void *arg, uint32_t group, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;

	assert_true(t->groups[group].used);
	t->group_changes++;
	store_members(t, group, m, n);
}

static void
fib_group_free(void *arg, uint32_t group)
{
	struct fixture *t = arg;

	assert_true(t->groups[group].used);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++)
			if (t->routes[f][i].group == group)
				fail_msg("group %u is freed while %u uses it", group, i);
	t->groups[group].used = false;
}

static void
fib_route_set(void *arg, uint32_t table, const struct prefix *p, uint32_t group)
{
	struct fixture *t = arg;
	struct fib_route *r = &t->routes[p->family][number_of(p)];

	assert_int_equal(table, RIB_MAIN_TABLE);
	assert_true(t->groups[group].used);
	r->group = group;
	r->sets++;
}

static void
fib_route_del(void *arg, uint32_t table, const struct prefix *p)
{
	struct fixture *t = arg;
	struct fib_route *r = &t->routes[p->family][number_of(p)];

	assert_int_equal(table, RIB_MAIN_TABLE);
	assert_int_not_equal(r->group, 0);
	if (t->tell_first)
		assert_int_equal(t->told[p->family][number_of(p)], 0);
	r->group = 0;
	r->dels++;
}

static void
changed(void *arg, uint32_t table, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	assert_int_equal(table, RIB_MAIN_TABLE);
	for (size_t i = 0; i < n; i++) {
		unsigned int k = number_of(&c[i].prefix);
		const struct path *was = c[i].was && c[i].was->width ? &c[i].was->paths[c[i].was->best] : NULL;
		const struct path *now = c[i].now && c[i].now->width ? &c[i].now->paths[c[i].now->best] : NULL;

		/* What it is said to have been is what was told last. */
		assert_int_equal(t->told[f][k], was ? (int)(was->source - t->sources) + 1 : 0);
		assert_ptr_equal(t->told_attrs[f][k], was ? was->attrs : NULL);
		t->told[f][k] = now ? (int)(now->source - t->sources) + 1 : 0;
		t->told_attrs[f][k] = now ? now->attrs : NULL;
		t->told_at[f][k] = ++t->told_count;
	}
}

static struct mono
now(void *arg)
{
	struct fixture *t = arg;

	t->now.us += 1; /* so that slices end */
	return t->now;
}

static const struct rib_ops ops = {
	.group_new = fib_group_new,
	.group_change = fib_group_change,
	.group_free = fib_group_free,
	.route_set = fib_route_set,
	.route_del = fib_route_del,
	.changed = changed,
	.now = now,
};

static struct attrs *
make_attrs(struct fixture *t, uint8_t id, uint16_t path_len)
{
	uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0, id };
	struct attrs_view v = {
		.wire = wire, .wire_len = sizeof(wire), .path_len = path_len, .first_as = 65000u + id, .fate = id % 3
	};

	return attrs_intern(rib_attrs(t->rib), &v);
}

static void
setup(struct fixture *t, bool wait_fib, int64_t slice_us)
{
	struct rib_config cfg = { .mem = &t->mem, .seed = 7, .wait_fib = wait_fib, .slice_us = slice_us };

	memset(t, 0, sizeof(*t));
	cfg.mem = &t->mem;
	t->rib = rib_new(&cfg, &ops, t);
	for (unsigned int i = 0; i < SOURCES; i++) {
		struct ip gateway = ip_v4(0x0a000000u + i);

		t->sources[i] = (struct rib_source){ .side = RIB_ABOVE, .router_id = 100 + i, .address = gateway };
		assert_int_equal(rib_source_add(t->rib, &t->sources[i]), 0);
		rib_source_up(t->rib, &t->sources[i]);
		t->nh[i] = nexthop_intern(rib_hops(t->rib), i + 1, &gateway);
	}
	for (uint8_t i = 0; i < ATTRS; i++)
		t->attrs[i] = make_attrs(t, i, i < 3 ? 2 : 3); /* 0, 1, 2 are equally good; 3 and 4 worse */
}

static void
run(struct fixture *t)
{
	for (int i = 0; rib_run(t->rib); i++) {
		assert_true(i < 100000);
		if (!rib_running(t->rib) && !mono_due(rib_held_until(t->rib), t->now))
			t->now = rib_held_until(t->rib);
	}
}

/* Gives all back; what the RIB still holds goes with it. */
static void
let_go(struct fixture *t)
{
	for (unsigned int i = 0; i < SOURCES; i++)
		nexthop_unref(rib_hops(t->rib), t->nh[i]);
	for (unsigned int i = 0; i < ATTRS; i++)
		attrs_unref(rib_attrs(t->rib), t->attrs[i]);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

static void
teardown(struct fixture *t)
{
	for (unsigned int i = 0; i < SOURCES; i++)
		rib_source_down(t->rib, &t->sources[i]);
	run(t);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++) {
			assert_int_equal(t->routes[f][i].group, 0);
			assert_int_equal(t->told[f][i], 0);
		}
	for (uint32_t g = 0; g < GROUPS; g++)
		assert_false(t->groups[g].used);
	assert_int_equal(path_lists_count(rib_lists(t->rib)), 0);
	for (unsigned int i = 0; i < SOURCES; i++)
		rib_source_remove(t->rib, &t->sources[i]);
	assert_int_equal(attrs_table_count(rib_attrs(t->rib)), ATTRS);
	let_go(t);
}

static struct fixture *
fixture(bool wait_fib)
{
	struct fixture *t = malloc(sizeof(*t));

	setup(t, wait_fib, 0);
	return t;
}

static void
announce(struct fixture *t, unsigned int s, enum family f, unsigned int i, unsigned int a)
{
	struct prefix p = prefix_no(f, i);

	rib_announce(t->rib, RIB_MAIN_TABLE, &t->sources[s], &p, t->attrs[a], t->nh[s]);
}

static void
withdraw(struct fixture *t, unsigned int s, enum family f, unsigned int i)
{
	struct prefix p = prefix_no(f, i);

	rib_withdraw(t->rib, RIB_MAIN_TABLE, &t->sources[s], &p);
}

/* The prefix is the loopback of where it comes from. */
static void
announce_witness(struct fixture *t, unsigned int s, enum family f, unsigned int i, unsigned int a)
{
	struct prefix p = prefix_no(f, i);

	announce(t, s, f, i, a);
	rib_witness(t->rib, RIB_MAIN_TABLE, &p);
}

static bool
group_has(const struct fixture *t, uint32_t group, unsigned int s)
{
	for (size_t i = 0; i < t->groups[group].n; i++)
		if (t->groups[group].members[i] == s + 1)
			return true;
	return false;
}

static void
announce_all(struct fixture *t, unsigned int sources)
{
	for (unsigned int s = 0; s < sources; s++)
		for (unsigned int i = 0; i < 10; i++) {
			announce(t, s, FAMILY_IPV4, i, 0);
			announce(t, s, FAMILY_IPV6, i, 0);
		}
	run(t);
}

/* ---- cases ---- */

static void
test_one_group_serves_an_origin(void **state)
{
	struct fixture *t = fixture(false);
	struct rib_counts c;

	(void)state;
	announce_all(t, 3);
	rib_counts(t->rib, &c);
	assert_int_equal(c.lists, 1);
	assert_int_equal(c.groups, 1);
	assert_int_equal(c.prefixes[FAMILY_IPV4], 10);
	assert_int_equal(c.paths[FAMILY_IPV6], 30);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, t->routes[FAMILY_IPV6][9].group);
	assert_int_equal(t->groups[t->routes[FAMILY_IPV4][0].group].n, 3);
	teardown(t);
}

static void
test_withdrawal_of_an_origin_is_one_change(void **state)
{
	struct fixture *t = fixture(false);
	struct rib_counts before, after;
	uint32_t group;

	(void)state;
	announce_all(t, 3);
	group = t->routes[FAMILY_IPV4][0].group;
	t->group_changes = t->group_news = 0;
	rib_counts(t->rib, &before);
	for (unsigned int i = 0; i < 10; i++) {
		withdraw(t, 1, FAMILY_IPV4, i);
		withdraw(t, 1, FAMILY_IPV6, i);
	}
	run(t);
	assert_int_equal(t->group_changes, 1);
	assert_int_equal(t->group_news, 0);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, group);
	assert_int_equal(t->routes[FAMILY_IPV4][0].sets, 1); /* never rewritten */
	assert_false(group_has(t, group, 1));
	rib_counts(t->rib, &after);
	assert_int_equal(after.groups_in_place - before.groups_in_place, 1);
	assert_int_equal(after.groups_new, before.groups_new);
	assert_int_equal(after.routes_rewritten, before.routes_rewritten);
	assert_int_equal(after.runs - before.runs, 1);
	teardown(t);
}

static void
test_a_part_of_an_origin_is_rewritten(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group;

	(void)state;
	announce_all(t, 3);
	group = t->routes[FAMILY_IPV4][0].group;
	withdraw(t, 1, FAMILY_IPV4, 0);
	run(t);
	assert_int_not_equal(t->routes[FAMILY_IPV4][0].group, group);
	assert_false(group_has(t, t->routes[FAMILY_IPV4][0].group, 1));
	assert_int_equal(t->routes[FAMILY_IPV4][1].group, group);
	assert_true(group_has(t, group, 1)); /* who did not move keeps its next hops */
	teardown(t);
}

/* One run, and no more, though something is held back. */
static void
run_once(struct fixture *t)
{
	do
		rib_run(t->rib);
	while (rib_running(t->rib));
}

static void
test_a_part_waits_for_the_others_of_its_origin(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group;

	(void)state;
	announce_all(t, 3);
	group = t->routes[FAMILY_IPV4][0].group;
	t->group_changes = t->group_news = 0;
	for (unsigned int i = 0; i < 10; i++)
		withdraw(t, 1, FAMILY_IPV4, i);
	run_once(t);
	assert_int_equal(t->group_changes + t->group_news, 0);
	assert_true(rib_pending(t->rib));
	assert_false(mono_due(rib_held_until(t->rib), t->now));
	for (unsigned int i = 0; i < 10; i++)
		withdraw(t, 1, FAMILY_IPV6, i);
	run_once(t);
	assert_int_equal(t->group_changes, 1);
	assert_int_equal(t->group_news, 0);
	assert_int_equal(t->routes[FAMILY_IPV6][3].group, group);
	assert_int_equal(t->routes[FAMILY_IPV6][3].sets, 1);
	assert_false(rib_pending(t->rib));
	teardown(t);
}

/* Lists of other attributes over the same hops share one group, also when one takes the place of the other. */
static void
test_groups_are_shared_by_hops_not_by_attributes(void **state)
{
	struct fixture *t = fixture(false);
	struct rib_counts c;

	(void)state;
	for (unsigned int s = 0; s < 2; s++) {
		announce(t, s, FAMILY_IPV4, 0, 0);
		announce(t, s, FAMILY_IPV4, 1, 3); /* of the same fate as 0 */
	}
	run(t);
	rib_counts(t->rib, &c);
	assert_int_equal(c.lists, 2);
	assert_int_equal(c.groups, 1);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, t->routes[FAMILY_IPV4][1].group);
	for (unsigned int s = 0; s < 2; s++)
		announce(t, s, FAMILY_IPV4, 0, 3);
	run(t);
	assert_int_equal(t->group_news, 1);
	teardown(t);
}

static void
test_a_source_down_ends_no_refresh_of_others(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 2);
	rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
	rib_source_down(t->rib, &t->sources[1]);
	run(t);
	announce(t, 0, FAMILY_IPV4, 0, 0);
	rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
	run(t);
	assert_int_not_equal(t->routes[FAMILY_IPV4][0].group, 0);
	assert_int_equal(t->routes[FAMILY_IPV4][1].group, 0); /* it was not told again */
	assert_int_not_equal(t->routes[FAMILY_IPV6][1].group, 0);
	teardown(t);
}

static void
test_what_is_lost_is_told_before_the_fib_is_touched(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 1);
	t->tell_first = true;
	rib_source_down(t->rib, &t->sources[0]);
	run(t);
	teardown(t);
}

static void
test_a_source_down_shrinks_every_group_at_once(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 3);
	t->group_changes = 0;
	rib_source_down(t->rib, &t->sources[0]);
	rib_run_groups(t->rib); /* before any prefix is looked at */
	assert_int_equal(t->group_changes, 1);
	assert_false(group_has(t, t->routes[FAMILY_IPV6][3].group, 0));
	assert_int_equal(t->told[FAMILY_IPV4][0], 1); /* export follows in the run */
	run(t);
	assert_int_equal(t->told[FAMILY_IPV4][0], 2);
	assert_int_equal(t->routes[FAMILY_IPV4][0].sets, 1);
	teardown(t);
}

/* Its prefixes have moved to another list already, but packets still go by the group of the old one. */
static void
test_a_source_down_shrinks_groups_that_are_being_left(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 2);
	for (unsigned int i = 0; i < 10; i++) {
		announce(t, 2, FAMILY_IPV4, i, 0);
		announce(t, 3, FAMILY_IPV6, i, 0);
	}
	rib_source_down(t->rib, &t->sources[0]);
	rib_run_groups(t->rib);
	for (unsigned int i = 0; i < 10; i++)
		assert_false(group_has(t, t->routes[FAMILY_IPV4][i].group, 0));
	run(t);
	assert_true(group_has(t, t->routes[FAMILY_IPV4][1].group, 2));
	teardown(t);
}

/* The second one goes between two slices, when the sweep for the first has passed what it changes. */
static void
test_two_sources_down_within_a_run(void **state)
{
	(void)state;
	for (unsigned int slices = 1; slices < 12; slices++) {
		struct fixture *t = malloc(sizeof(*t));

		setup(t, false, 1); /* a slice is one step of one table */
		for (unsigned int i = 0; i < 10; i++) {
			announce(t, i % 2, FAMILY_IPV4, i, 0);
			announce(t, i % 2, FAMILY_IPV6, i, 0);
			announce(t, 2, FAMILY_IPV4, i, 1);
			announce(t, 2, FAMILY_IPV6, i, 1);
		}
		run(t);
		rib_source_down(t->rib, &t->sources[0]);
		for (unsigned int n = 0; n < slices; n++)
			rib_run(t->rib);
		rib_source_down(t->rib, &t->sources[1]);
		run(t);
		for (unsigned int i = 0; i < 10; i++) {
			assert_int_equal(t->told[FAMILY_IPV4][i], 3);
			assert_int_equal(t->told[FAMILY_IPV6][i], 3);
		}
		teardown(t);
	}
}

static void
test_the_last_path_takes_the_route_along(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 1);
	rib_source_down(t->rib, &t->sources[0]);
	run(t);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, 0);
	assert_int_equal(t->told[FAMILY_IPV4][0], 0);
	teardown(t);
}

static void
test_new_reachability_waits_for_the_fib(void **state)
{
	struct fixture *t = fixture(true);
	struct prefix p = prefix_no(FAMILY_IPV4, 4);

	(void)state;
	announce(t, 0, FAMILY_IPV4, 4, 0);
	run(t);
	assert_int_not_equal(t->routes[FAMILY_IPV4][4].group, 0);
	assert_int_equal(t->told[FAMILY_IPV4][4], 0);
	rib_fib_result(t->rib, RIB_MAIN_TABLE, &p, true);
	run(t);
	assert_int_equal(t->told[FAMILY_IPV4][4], 1);
	/* A route that the platform loses is withdrawn. */
	rib_fib_result(t->rib, RIB_MAIN_TABLE, &p, false);
	run(t);
	assert_int_equal(t->told[FAMILY_IPV4][4], 0);
	/* A withdrawal never waits. */
	rib_fib_result(t->rib, RIB_MAIN_TABLE, &p, true);
	run(t);
	withdraw(t, 0, FAMILY_IPV4, 4);
	run(t);
	assert_int_equal(t->told[FAMILY_IPV4][4], 0);
	teardown(t);
}

static void
test_refresh_withdraws_what_was_not_repeated(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 2);
	rib_refresh_begin(t->rib, &t->sources[1], FAMILY_IPV4);
	for (unsigned int i = 0; i < 9; i++)
		announce(t, 1, FAMILY_IPV4, i, 0);
	rib_refresh_end(t->rib, &t->sources[1], FAMILY_IPV4);
	run(t);
	assert_int_equal(t->sources[1].paths[FAMILY_IPV4], 9);
	assert_int_equal(t->sources[1].paths[FAMILY_IPV6], 10);
	assert_true(group_has(t, t->routes[FAMILY_IPV4][8].group, 1));
	assert_false(group_has(t, t->routes[FAMILY_IPV4][9].group, 1));
	teardown(t);
}

/* The call clears fewer lists than half a slice has microseconds; from that number on, runs do. */
static void
test_few_lists_are_cleared_at_once(void **state)
{
	(void)state;
	for (unsigned int lists = 3; lists <= 5; lists++) {
		struct fixture *t = malloc(sizeof(*t));

		setup(t, false, 8);
		for (unsigned int i = 0; i < lists; i++)
			announce(t, 0, FAMILY_IPV4, i, i);
		run(t);
		assert_sound(t->rib);
		rib_source_down(t->rib, &t->sources[0]);
		assert_int_equal(rib_running(t->rib), lists >= 4);
		assert_int_equal(t->sources[0].leaving, lists >= 4);
		rib_source_down(t->rib, &t->sources[0]); /* twice is once */
		assert_sound(t->rib);
		if (lists % 2) { /* what is removed leaves at once: its memory is the owner's again */
			rib_source_remove(t->rib, &t->sources[0]);
			assert_false(t->sources[0].leaving);
			assert_int_equal(t->rib->nleaving, 0);
			assert_int_equal(rib_source_add(t->rib, &t->sources[0]), 0);
		}
		run(t);
		assert_false(t->sources[0].leaving);
		assert_sound(t->rib);
		teardown(t);
	}
}

/* Runs look at the clock behind each eight lists that they clear, and stop when the slice is over. */
static void
test_clearing_keeps_to_its_slices(void **state)
{
	(void)state;
	for (int64_t slice = 1; slice < 5; slice++)
		for (unsigned int lists = 8; lists < 30; lists += 7) {
			struct fixture *t = malloc(sizeof(*t));
			unsigned int each = 8 * (unsigned int)slice, slices = 0, left = lists;

			setup(t, false, slice);
			for (unsigned int i = 0; i < lists;
			     i++) { /* each has a list of its own, 0 is the best in all */
				announce(t, 0, FAMILY_IPV4, i, 0);
				announce(t, 1, FAMILY_IPV4, i, i % ATTRS);
				if (i / ATTRS < ATTRS)
					announce(t, 2, FAMILY_IPV4, i, i / ATTRS);
			}
			run(t);
			assert_int_equal(path_lists_count(rib_lists(t->rib)), lists);
			rib_source_down(t->rib, &t->sources[1]);
			for (; rib_run_clear(t->rib); slices++) {
				assert_true(left >= each);
				left -= each;
			}
			assert_int_equal(slices, lists / each);
			assert_false(t->sources[1].leaving);
			assert_int_equal(t->rib->nleaving, 0);
			run(t);
			assert_sound(t->rib);
			teardown(t);
		}
}

/* A RIB may be freed at any time, with all that it holds: routes, refreshes, cuts, a run between two slices. */
static void
test_freed_in_the_midst_of_it_all(void **state)
{
	(void)state;
	for (unsigned int slices = 0; slices < 60; slices++) {
		struct fixture *t = malloc(sizeof(*t));

		setup(t, false, 1);
		announce_all(t, 4);
		for (unsigned int s = 0; s < 4; s++)
			announce_witness(t, s, FAMILY_IPV6, 30, 1);
		if (slices % 2)
			run(t);
		for (int f = 0; f < FAMILIES; f++)
			rib_refresh_begin(t->rib, &t->sources[2], f);
		withdraw(t, 3, FAMILY_IPV6, 30);
		assert_int_equal(t->sources[3].cuts, 1);
		rib_source_down(t->rib, &t->sources[1]);
		for (unsigned int i = 0; i < slices / 2; i++)
			rib_run(t->rib);
		if (slices % 3 == 0)
			rib_refresh_end(t->rib, &t->sources[2], FAMILY_IPV4);
		let_go(t);
	}
}

/* As many prefixes as half a slice has microseconds leave within the call; bits around the ends of octets. */
static void
test_a_few_prefixes_leave_with_the_end_of_a_refresh(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= 17; n++) {
		struct fixture *t = malloc(sizeof(*t));

		setup(t, false, 16);
		for (unsigned int i = 0; i < n; i++)
			announce(t, 0, FAMILY_IPV4, i, 0);
		run(t);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
		assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), n);
		announce(t, 0, FAMILY_IPV4, n, 0); /* the first that it does not know */
		withdraw(t, 1, FAMILY_IPV4, 0);    /* which does not offer it */
		assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), n);
		announce(t, 1, FAMILY_IPV4, n - 1, 0);
		assert_sound(t->rib);
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV4], 1 + n - MIN_OF(n, 8u));
		assert_int_equal(t->sources[0].withdrawn, MIN_OF(n, 8u));
		if (n < 8)
			assert_false(rib_running(t->rib)); /* nothing is left for a slice */
		run(t);
		assert_sound(t->rib);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV4], 1);
		assert_int_equal(t->told[FAMILY_IPV4][n], 1);
		assert_int_equal(t->told[FAMILY_IPV4][n - 1], 2);
		assert_null(t->rib->refreshes);
		teardown(t);
	}
}

/* What has ended goes on to its end beside one that begins: it withdraws what was in doubt then, and not what came back. */
static void
test_a_refresh_begins_while_another_ends(void **state)
{
	(void)state;
	for (unsigned int back = 0; back < 3; back++) {
		struct fixture *t = malloc(sizeof(*t));
		struct rib_source *s;

		setup(t, false, 16);
		s = &t->sources[0];
		for (unsigned int i = 0; i < 40; i++)
			announce(t, 0, FAMILY_IPV4, i, 0);
		run(t);
		for (unsigned int i = 0; i < 3; i++) {
			rib_refresh_begin(t->rib, s, FAMILY_IPV4);
			rib_refresh_end(t->rib, s, FAMILY_IPV4); /* 8 of them go at once */
		}
		rib_refresh_begin(t->rib, s, FAMILY_IPV4);
		assert_int_equal(rib_refresh_left(t->rib, s, FAMILY_IPV4), s->paths[FAMILY_IPV4]);
		for (unsigned int i = 0; i < back; i++) /* one that has gone, and one that would have */
			announce(t, 0, FAMILY_IPV4, i ? 39 : 0, 1);
		run(t);
		assert_sound(t->rib);
		assert_int_equal(s->paths[FAMILY_IPV4], back);
		assert_int_equal(s->withdrawn, back < 2 ? 40 : 39);
		assert_int_equal(rib_refresh_left(t->rib, s, FAMILY_IPV4), 0);
		rib_refresh_end(t->rib, s, FAMILY_IPV4);
		run(t);
		assert_int_equal(s->paths[FAMILY_IPV4], back);
		assert_null(t->rib->refreshes);
		teardown(t);
	}
}

/* What a session has begun ends with it: after the next one's beginning nothing of it is in doubt. */
static void
test_a_refresh_ends_with_its_source(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_all(t, 2);
	rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
	rib_refresh_begin(t->rib, &t->sources[1], FAMILY_IPV4);
	rib_source_down(t->rib, &t->sources[0]);
	assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), 0);
	assert_int_equal(rib_refresh_left(t->rib, &t->sources[1], FAMILY_IPV4), 10);
	run(t);
	assert_sound(t->rib);
	rib_source_up(t->rib, &t->sources[0]);
	announce(t, 0, FAMILY_IPV4, 3, 0);
	rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
	announce(t, 0, FAMILY_IPV4, 3, 0);
	rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
	run(t);
	assert_int_equal(t->sources[0].paths[FAMILY_IPV4], 1);
	assert_int_equal(rib_refresh_left(t->rib, &t->sources[1], FAMILY_IPV4), 10);
	assert_sound(t->rib);
	teardown(t);
}

static void
test_match_is_the_longest(void **state)
{
	struct fixture *t = fixture(false);
	struct prefix wide = { .family = FAMILY_IPV4, .len = 8, .b = { 10 } };
	struct ip inside = ip_v4(0x0a000301), outside = ip_v4(0x0a050001), other = ip_v4(0x0b000001);
	struct rib_view v;

	(void)state;
	announce(t, 0, FAMILY_IPV4, 3, 0);
	rib_announce(t->rib, RIB_MAIN_TABLE, &t->sources[1], &wide, t->attrs[0], NULL);
	run(t);
	assert_true(rib_match(t->rib, RIB_MAIN_TABLE, &inside, &v));
	assert_int_equal(v.prefix.len, 24);
	assert_true(rib_match(t->rib, RIB_MAIN_TABLE, &outside, &v));
	assert_int_equal(v.prefix.len, 8);
	assert_int_equal(v.group, 0); /* a local path is not for the FIB */
	assert_false(rib_match(t->rib, RIB_MAIN_TABLE, &other, &v));
	rib_withdraw(t->rib, RIB_MAIN_TABLE, &t->sources[1], &wide);
	run(t);
	t->told[FAMILY_IPV4][0] = 0; /* the wide prefix has number 0, too */
	teardown(t);
}

/* ---- cuts ---- */

/* Three neighbours offer all of an origin: prefix 9 of either family is its loopback, 0 to 4 are behind it. */
static uint32_t
announce_origin(struct fixture *t, unsigned int sources, unsigned int a)
{
	for (unsigned int s = 0; s < sources; s++)
		for (int f = 0; f < FAMILIES; f++) {
			for (unsigned int i = 0; i < 5; i++)
				announce(t, s, (enum family)f, i, a);
			announce_witness(t, s, (enum family)f, 9, a);
		}
	run(t);
	t->group_changes = t->group_news = 0;
	return t->routes[FAMILY_IPV4][0].group;
}

static void
withdraw_witnesses(struct fixture *t, unsigned int s)
{
	withdraw(t, s, FAMILY_IPV4, 9);
	withdraw(t, s, FAMILY_IPV6, 9);
	assert_true(rib_urgent(t->rib));
	rib_run_groups(t->rib);
}

static void
test_a_lost_witness_narrows_the_groups_at_once(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1), sets = t->routes[FAMILY_IPV4][0].sets;

	(void)state;
	withdraw_witnesses(t, 1);
	assert_int_equal(t->group_changes, 1);
	assert_false(group_has(t, group, 1));
	assert_int_equal(t->groups[group].n, 2);
	for (unsigned int i = 0; i < 5; i++)
		for (int f = 0; f < FAMILIES; f++) {
			withdraw(t, 1, (enum family)f, i);
			run_once(t); /* they come one by one, and find it done */
		}
	assert_int_equal(t->group_changes, 1);
	assert_int_equal(t->group_news, 0);
	assert_int_equal(t->routes[FAMILY_IPV4][0].sets, sets);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, group);
	t->now.us += 31000; /* nothing is narrower for it any more: soon it is over */
	run_once(t);
	assert_false(rib_pending(t->rib));
	assert_int_equal(t->group_changes, 1);
	teardown(t);
}

static void
test_one_witness_that_is_left_refutes_it(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1);

	(void)state;
	withdraw(t, 1, FAMILY_IPV4, 9);
	rib_run_groups(t->rib);
	assert_int_equal(t->group_changes, 0);
	withdraw(t, 1, FAMILY_IPV6, 9);
	rib_run_groups(t->rib);
	assert_int_equal(t->group_changes, 1);
	assert_false(group_has(t, group, 1));
	teardown(t);
}

static void
test_other_fates_are_not_touched(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1), other;

	(void)state;
	for (unsigned int s = 0; s < 3; s++)
		announce(t, s, FAMILY_IPV4, 6, 2);
	run(t);
	other = t->routes[FAMILY_IPV4][6].group;
	assert_int_not_equal(other, group);
	withdraw_witnesses(t, 1);
	assert_false(group_has(t, group, 1));
	assert_true(group_has(t, other, 1));
	teardown(t);
}

/* Somebody removed just a loopback: what is still announced has its full width again. */
static void
test_a_wrong_cut_is_undone(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1);

	(void)state;
	for (unsigned int s = 0; s < 3; s++)
		withdraw_witnesses(t, s);
	assert_int_equal(t->groups[group].n, 1); /* the last one is never taken away */
	run_once(t);
	assert_true(rib_pending(t->rib));
	assert_false(mono_due(rib_held_until(t->rib), t->now));
	t->now.us += 500000;
	run_once(t);
	assert_int_equal(t->groups[t->routes[FAMILY_IPV4][0].group].n, 1);
	run(t);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < 5; i++)
			assert_int_equal(t->groups[t->routes[f][i].group].n, 3);
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, group); /* in place, all of them */
	assert_int_equal(t->group_news, 0);
	assert_false(rib_pending(t->rib));
	teardown(t);
}

/* It was true of a part: those get no next hop that does not offer them. */
static void
test_a_cut_that_is_half_true(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_origin(t, 3, 1);
	withdraw_witnesses(t, 1);
	for (unsigned int i = 0; i < 3; i++)
		withdraw(t, 1, FAMILY_IPV6, i);
	run(t);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(group_has(t, t->routes[FAMILY_IPV6][i].group, 1), i >= 3);
		assert_true(group_has(t, t->routes[FAMILY_IPV4][i].group, 1));
	}
	teardown(t);
}

static void
test_a_witness_that_comes_back_calls_it_off(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1);

	(void)state;
	withdraw_witnesses(t, 1);
	run_once(t);
	announce_witness(t, 1, FAMILY_IPV4, 9, 1);
	run_once(t);
	assert_true(group_has(t, t->routes[FAMILY_IPV4][0].group, 1) || rib_pending(t->rib));
	for (int i = 0; i < 200 && rib_pending(t->rib); i++) { /* long before the second that a cut may last */
		t->now.us += 1000;
		rib_run(t->rib);
	}
	assert_true(group_has(t, t->routes[FAMILY_IPV4][0].group, 1));
	assert_true(t->groups[group].used);
	teardown(t);
}

/* A better or a longer way is no loss. */
static void
test_another_path_of_the_witness_is_no_loss(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 3, 1);

	(void)state;
	announce_witness(t, 1, FAMILY_IPV4, 9, 3);
	announce_witness(t, 1, FAMILY_IPV6, 9, 3);
	assert_false(rib_urgent(t->rib));
	run_once(t);
	assert_true(group_has(t, group, 1));
	teardown(t);
}

static void
test_a_cut_ends_with_its_source(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_origin(t, 2, 1);
	withdraw_witnesses(t, 1); /* 0 alone is left of the groups */
	rib_source_down(t->rib, &t->sources[0]);
	run(t);
	for (unsigned int i = 0; i < 5; i++) { /* 1 does offer them */
		assert_int_equal(t->groups[t->routes[FAMILY_IPV4][i].group].n, 1);
		assert_true(group_has(t, t->routes[FAMILY_IPV4][i].group, 1));
	}
	rib_source_down(t->rib, &t->sources[1]);
	assert_int_equal(t->sources[1].cuts, 0);
	run(t);
	assert_false(rib_pending(t->rib));
	teardown(t);
}

/* What a neighbour was taken to have lost says nothing of what it offers when it is back. */
static void
test_a_cut_ends_with_the_source_that_is_cut(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_origin(t, 3, 1);
	withdraw_witnesses(t, 1);
	assert_int_not_equal(t->sources[1].cuts, 0);
	rib_source_down(t->rib, &t->sources[1]);
	assert_int_equal(t->sources[1].cuts, 0);
	rib_source_up(t->rib, &t->sources[1]);
	for (unsigned int i = 0; i < 5; i++)
		announce(t, 1, FAMILY_IPV4, i, 1);
	run(t);
	for (unsigned int i = 0; i < 5; i++)
		assert_true(group_has(t, t->routes[FAMILY_IPV4][i].group, 1));
	assert_sound(t->rib);
	teardown(t);
}

/* The prefixes are on their way back when it fails anew: those that are not in the FIB yet cost nothing. */
static void
test_a_second_failure_while_the_first_heals(void **state)
{
	struct fixture *t = fixture(false);
	uint32_t group = announce_origin(t, 2, 1), sets;

	(void)state;
	withdraw_witnesses(t, 1);
	for (unsigned int i = 0; i < 5; i++)
		for (int f = 0; f < FAMILIES; f++)
			withdraw(t, 1, (enum family)f, i);
	run(t);
	announce_witness(t, 1, FAMILY_IPV4, 9, 1);
	for (unsigned int i = 0; i < 3; i++)
		announce(t, 1, FAMILY_IPV4, i, 1);
	run_once(t); /* held back */
	sets = t->routes[FAMILY_IPV4][0].sets;
	t->group_changes = t->group_news = 0;
	withdraw(t, 1, FAMILY_IPV4, 9);
	rib_run_groups(t->rib);
	for (unsigned int i = 0; i < 3; i++) {
		withdraw(t, 1, FAMILY_IPV4, i);
		run_once(t);
	}
	run(t);
	assert_false(group_has(t, t->routes[FAMILY_IPV4][0].group, 1));
	assert_int_equal(t->routes[FAMILY_IPV4][0].group, group);
	assert_int_equal(t->routes[FAMILY_IPV4][0].sets, sets);
	assert_int_equal(t->group_news, 0);
	teardown(t);
}

static void
test_lost_witnesses_are_told_first(void **state)
{
	struct fixture *t = fixture(false);

	(void)state;
	announce_origin(t, 1, 1);
	t->told_count = 0;
	rib_source_down(t->rib, &t->sources[0]);
	assert_true(rib_run_groups(t->rib));
	assert_int_equal(t->told[FAMILY_IPV4][9], 0);
	assert_int_equal(t->told[FAMILY_IPV6][9], 0);
	assert_int_equal(t->told_count, 2);
	assert_false(rib_run_groups(t->rib)); /* once */
	run(t);
	assert_int_equal(t->told[FAMILY_IPV4][0], 0);
	assert_int_equal(t->told_count, 12);
	rib_source_up(t->rib, &t->sources[0]);
	announce_origin(t, 1, 1);
	t->told_count = 0;
	for (unsigned int i = 0; i < 5; i++)
		withdraw(t, 0, FAMILY_IPV4, i);
	withdraw(t, 0, FAMILY_IPV4, 9); /* the last to come, the first to go on */
	run(t);
	assert_int_equal(t->told_at[FAMILY_IPV4][9], 1);
	teardown(t);
}

/* ---- against a plain model ---- */

struct model {
	int attr[FAMILIES][PREFIXES][SOURCES]; /* -1: not offered */
	bool witnesses;                        /* every seventh prefix is one */
};

static unsigned int
length_of(int a)
{
	return a < 3 ? 2 : 3;
}

/* The equal-cost set of a prefix as bits, and the best source. */
static unsigned int
want(const struct model *m, const struct fixture *t, int f, unsigned int i, int *best)
{
	unsigned int set = 0, shortest = 99;

	*best = -1;
	for (unsigned int s = 0; s < SOURCES; s++)
		if (t->sources[s].up && m->attr[f][i][s] >= 0)
			shortest = MIN_OF(shortest, length_of(m->attr[f][i][s]));
	for (unsigned int s = 0; s < SOURCES; s++)
		if (t->sources[s].up && m->attr[f][i][s] >= 0 && length_of(m->attr[f][i][s]) == shortest) {
			set |= 1u << s;
			if (*best < 0)
				*best = (int)s; /* lowest router id */
		}
	return set;
}

static void
compare(const struct model *m, const struct fixture *t, unsigned int step)
{
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++) {
			int best;
			unsigned int set = want(m, t, f, i, &best), have = 0;
			uint32_t group = t->routes[f][i].group;

			for (unsigned int s = 0; group && s < SOURCES; s++)
				have |= group_has(t, group, s) ? 1u << s : 0;
			if (have != set || t->told[f][i] != best + 1)
				fail_msg("step %u, family %d, prefix %u: next hops %x, wanted %x; told %d, wanted %d",
				    step, f, i, have, set, t->told[f][i], best + 1);
			if (best >= 0)
				assert_ptr_equal(t->told_attrs[f][i], t->attrs[m->attr[f][i][best]]);
		}
}

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

/* One random step of the kinds that a fabric takes: single prefixes, whole origins, sources that go and come. */
static void
random_step(struct fixture *t, struct model *m, uint32_t *rnd)
{
	unsigned int s = draw(rnd, SOURCES), kind = draw(rnd, 10), a = draw(rnd, ATTRS);
	enum family f = draw(rnd, FAMILIES);
	unsigned int from = draw(rnd, PREFIXES), n = kind < 5 ? 1 : draw(rnd, PREFIXES - from) + 1;

	if (kind == 9) {
		if (t->sources[s].up) {
			rib_source_down(t->rib, &t->sources[s]);
			for (int k = 0; k < FAMILIES; k++)
				for (unsigned int i = 0; i < PREFIXES; i++)
					m->attr[k][i][s] = -1;
		} else {
			rib_source_up(t->rib, &t->sources[s]);
		}
		return;
	}
	if (!t->sources[s].up)
		return;
	for (unsigned int i = from; i < from + n; i++) {
		if (kind % 2) {
			if (m->witnesses && i % 7 == 0)
				announce_witness(t, s, f, i, a);
			else
				announce(t, s, f, i, a);
			m->attr[f][i][s] = (int)a;
		} else {
			withdraw(t, s, f, i);
			m->attr[f][i][s] = -1;
		}
	}
}

static void
test_random_changes_agree_with_a_plain_model(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 120; seed++) {
		struct fixture *t = malloc(sizeof(*t));
		struct model m;
		uint32_t rnd = seed;

		setup(t, false, seed % 2 ? 3 : 0); /* with slices of three clock ticks, and in one go */
		memset(&m, -1, sizeof(m));
		m.witnesses = seed % 3 != 0;
		for (unsigned int step = 0; step < 300; step++) {
			for (unsigned int k = draw(&rnd, 6); !rib_running(t->rib) && k > 0; k--)
				random_step(t, &m, &rnd);
			if (rib_running(t->rib) && draw(&rnd, 8) == 0) { /* a session may end between two slices */
				unsigned int s = draw(&rnd, SOURCES);

				rib_source_down(t->rib, &t->sources[s]);
				for (int f = 0; f < FAMILIES; f++)
					for (unsigned int i = 0; i < PREFIXES; i++)
						m.attr[f][i][s] = -1;
			}
			assert_sound(t->rib);
			if (draw(&rnd, 3)) {
				rib_run(t->rib);
				assert_sound(t->rib);
				continue;
			}
			run(t);
			assert_sound(t->rib);
			if (t->next_group > GROUPS - 400)
				break;
			compare(&m, t, step);
		}
		run(t);
		compare(&m, t, 9999);
		teardown(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_group_serves_an_origin),
		cmocka_unit_test(test_withdrawal_of_an_origin_is_one_change),
		cmocka_unit_test(test_a_part_of_an_origin_is_rewritten),
		cmocka_unit_test(test_a_part_waits_for_the_others_of_its_origin),
		cmocka_unit_test(test_groups_are_shared_by_hops_not_by_attributes),
		cmocka_unit_test(test_a_source_down_ends_no_refresh_of_others),
		cmocka_unit_test(test_what_is_lost_is_told_before_the_fib_is_touched),
		cmocka_unit_test(test_a_source_down_shrinks_every_group_at_once),
		cmocka_unit_test(test_a_source_down_shrinks_groups_that_are_being_left),
		cmocka_unit_test(test_two_sources_down_within_a_run),
		cmocka_unit_test(test_the_last_path_takes_the_route_along),
		cmocka_unit_test(test_new_reachability_waits_for_the_fib),
		cmocka_unit_test(test_refresh_withdraws_what_was_not_repeated),
		cmocka_unit_test(test_few_lists_are_cleared_at_once),
		cmocka_unit_test(test_clearing_keeps_to_its_slices),
		cmocka_unit_test(test_freed_in_the_midst_of_it_all),
		cmocka_unit_test(test_a_few_prefixes_leave_with_the_end_of_a_refresh),
		cmocka_unit_test(test_a_refresh_begins_while_another_ends),
		cmocka_unit_test(test_a_refresh_ends_with_its_source),
		cmocka_unit_test(test_match_is_the_longest),
		cmocka_unit_test(test_a_lost_witness_narrows_the_groups_at_once),
		cmocka_unit_test(test_one_witness_that_is_left_refutes_it),
		cmocka_unit_test(test_other_fates_are_not_touched),
		cmocka_unit_test(test_a_wrong_cut_is_undone),
		cmocka_unit_test(test_a_cut_that_is_half_true),
		cmocka_unit_test(test_a_witness_that_comes_back_calls_it_off),
		cmocka_unit_test(test_another_path_of_the_witness_is_no_loss),
		cmocka_unit_test(test_a_cut_ends_with_its_source),
		cmocka_unit_test(test_a_cut_ends_with_the_source_that_is_cut),
		cmocka_unit_test(test_a_second_failure_while_the_first_heals),
		cmocka_unit_test(test_lost_witnesses_are_told_first),
		cmocka_unit_test(test_random_changes_agree_with_a_plain_model),
	};

	return cmocka_run_group_tests_name("rib", tests, NULL, NULL);
}
