/*
 * tests/unit/rib/cut_test.c -- cuts: which next hops are left, in any order of losses, and for how long
 *
 * Every source offers some prefixes of one fate, and some of them are its witnesses. What is looked at is the group that
 * the route of an ordinary prefix is on, as a set of ports: a bit each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/rib/rib.h"

#define SOURCES  4
#define ORDINARY 5
#define GROUPS   512
#define MANY     2600

/* Witnesses: the very first entry of each table, and a later one. */
static const struct place {
	uint32_t table;
	enum family family;
	uint8_t number;
} witnesses[] = { { 0, FAMILY_IPV4, 0 }, { 0, FAMILY_IPV4, 9 }, { 0, FAMILY_IPV6, 0 }, { 7, FAMILY_IPV4, 0 } };

struct fixture {
	struct mem mem;
	struct rib *rib;
	struct mono now;
	struct rib_source sources[SOURCES];
	struct rib_nexthop *nh[SOURCES];
	struct attrs *fate[3];
	uint32_t groups[GROUPS], last; /* ports of each, 0: none */
	uint32_t route[256];           /* of table 0, IPv4: its group */
	unsigned int changes;
	int64_t work;        /* so long it takes to tell a batch of changes */
	uint8_t lost[MANY];  /* how often a loss was told, of many_no() */
	size_t most, losses; /* in a batch; of all */
};

static uint32_t
ports_of(const struct rib_member *m, size_t n)
{
	uint32_t ports = 0;

	for (size_t i = 0; i < n; i++)
		ports |= 1u << m[i].ifindex;
	return ports;
}

static uint32_t
group_new(void *arg, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;

	assert_true(++t->last < GROUPS);
	t->groups[t->last] = ports_of(m, n);
	return t->last;
}

static void
group_change(void *arg, uint32_t group, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;

	assert_true(n > 0 && t->groups[group]);
	t->changes++;
	t->groups[group] = ports_of(m, n);
}

static void
group_free(void *arg, uint32_t group)
{
	((struct fixture *)arg)->groups[group] = 0;
}

static void
route_set(void *arg, uint32_t table, const struct prefix *p, uint32_t group)
{
	if (table == 0 && p->family == FAMILY_IPV4 && p->b[0] == 10)
		((struct fixture *)arg)->route[p->b[3]] = group;
}

static void
route_del(void *arg, uint32_t table, const struct prefix *p)
{
	route_set(arg, table, p, 0);
}

static void
changed(void *arg, uint32_t table UNUSED, enum family f UNUSED, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	t->now.us += t->work;
	t->most = MAX_OF(t->most, n);
	for (size_t i = 0; i < n; i++)
		if (c[i].prefix.b[0] == 11 && !c[i].now) {
			t->lost[get_u16(c[i].prefix.b + 1)]++;
			t->losses++;
		}
}

static struct mono
now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static const struct rib_ops ops = {
	.group_new = group_new,
	.group_change = group_change,
	.group_free = group_free,
	.route_set = route_set,
	.route_del = route_del,
	.changed = changed,
	.now = now,
};

static struct prefix
prefix_no(enum family f, uint8_t number)
{
	struct prefix p = { .family = (uint8_t)f, .len = (uint8_t)family_bits(f) };

	p.b[0] = f == FAMILY_IPV4 ? 10 : 0xfd;
	p.b[3] = number;
	return p;
}

static void
announce(struct fixture *t, unsigned int s, struct place at, unsigned int fate, bool witness)
{
	struct prefix p = prefix_no(at.family, at.number);

	rib_announce(t->rib, at.table, &t->sources[s], &p, t->fate[fate], t->nh[s]);
	if (witness)
		rib_witness(t->rib, at.table, &p);
}

static void
withdraw(struct fixture *t, unsigned int s, struct place at)
{
	struct prefix p = prefix_no(at.family, at.number);

	rib_withdraw(t->rib, at.table, &t->sources[s], &p);
}

static struct place
ordinary(unsigned int i)
{
	return (struct place){ 0, FAMILY_IPV4, (uint8_t)(100 + i) };
}

/* What runs without waiting for anything. */
static void
run(struct fixture *t)
{
	do
		rib_run(t->rib);
	while (rib_running(t->rib));
}

/* Until everything has settled, however long that takes. */
static void
settle(struct fixture *t)
{
	for (int i = 0; rib_pending(t->rib); i++) {
		assert_true(i < 1000);
		run(t);
		if (rib_pending(t->rib))
			t->now.us = MAX_OF(t->now.us, rib_held_until(t->rib).us);
	}
}

/* The first n sources offer everything; those of ordinary(0) are looked at. */
static struct fixture *
fixture(unsigned int n)
{
	struct fixture *t = calloc(1, sizeof(*t));
	struct rib_config cfg = { .mem = &t->mem, .seed = 4 };

	t->now.us = SECONDS(10);
	t->rib = rib_new(&cfg, &ops, t);
	for (uint8_t i = 0; i < ARRAY_LEN(t->fate); i++) {
		struct attrs_view v = { .wire = &i, .wire_len = 1, .path_len = 2, .fate = i };

		t->fate[i] = attrs_intern(rib_attrs(t->rib), &v);
	}
	for (unsigned int s = 0; s < SOURCES; s++) {
		struct ip gateway = ip_v4(0x0a000000u + s);

		t->sources[s] = (struct rib_source){ .side = RIB_ABOVE, .router_id = s, .address = gateway };
		assert_int_equal(rib_source_add(t->rib, &t->sources[s]), 0);
		rib_source_up(t->rib, &t->sources[s]);
		t->nh[s] = nexthop_intern(rib_hops(t->rib), s, &gateway);
	}
	for (unsigned int s = 0; s < n; s++) {
		for (size_t w = 0; w < ARRAY_LEN(witnesses); w++)
			announce(t, s, witnesses[w], 1, true);
		for (unsigned int i = 0; i < ORDINARY; i++)
			announce(t, s, ordinary(i), 1, false);
		announce(t, s, (struct place){ 0, FAMILY_IPV4, 200 }, 2, false); /* of another fate */
	}
	settle(t);
	return t;
}

static void
done(struct fixture *t)
{
	for (unsigned int s = 0; s < SOURCES; s++)
		rib_source_down(t->rib, &t->sources[s]);
	settle(t);
	for (unsigned int s = 0; s < SOURCES; s++) {
		assert_int_equal(t->sources[s].cuts, 0);
		nexthop_unref(rib_hops(t->rib), t->nh[s]);
		rib_source_remove(t->rib, &t->sources[s]);
	}
	for (size_t i = 0; i < ARRAY_LEN(t->fate); i++)
		attrs_unref(rib_attrs(t->rib), t->fate[i]);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

static uint32_t
ports(const struct fixture *t)
{
	for (unsigned int i = 1; i < ORDINARY; i++) /* all of them are on one group */
		assert_int_equal(t->route[100 + i], t->route[100]);
	return t->groups[t->route[100]];
}

static void
lose(struct fixture *t, unsigned int s)
{
	for (size_t w = 0; w < ARRAY_LEN(witnesses); w++)
		withdraw(t, s, witnesses[w]);
}

/* ---- which are left ---- */

/* The order number n of so many sources. */
static void
permute(unsigned int n, unsigned int sources, unsigned int *out)
{
	unsigned int left[SOURCES] = { 0, 1, 2, 3 };

	for (unsigned int i = 0; i < sources; i++) {
		unsigned int k = n % (sources - i);

		n /= sources - i;
		out[i] = left[k];
		memmove(&left[k], &left[k + 1], (SOURCES - k - 1) * sizeof(left[0]));
	}
}

/* One after the other, or all at once: those that were not cut are left, and of all the one that was cut last. */
static void
test_in_any_order(void **state)
{
	static const unsigned int orders[] = { 1, 1, 2, 6, 24 };

	(void)state;
	for (unsigned int n = 1; n <= SOURCES; n++)
		for (unsigned int order = 0; order < orders[n]; order++)
			for (int together = 0; together < 2; together++) {
				struct fixture *t = fixture(n);
				uint32_t all = (1u << n) - 1, left = all;
				unsigned int who[SOURCES];

				permute(order, n, who);
				assert_int_equal(ports(t), all);
				for (unsigned int i = 0; i < n; i++) {
					lose(t, who[i]);
					left &= ~(1u << who[i]);
					if (!left)
						left = 1u << who[i];
					assert_int_equal(t->sources[who[i]].cuts, 1);
					if (together && i + 1 < n)
						continue;
					assert_true(rib_urgent(t->rib));
					rib_run_groups(t->rib);
					assert_false(rib_urgent(t->rib));
					assert_int_equal(ports(t), left);
					assert_int_equal(t->groups[t->route[200]], all);
				}
				run(t);
				assert_int_equal(ports(t), left);
				/* The first of them is there again: it alone is not cut. */
				announce(t, who[0], witnesses[0], 1, true);
				run(t);
				t->now.us += 130000; /* held back for others that may gain hops */
				run(t);
				assert_int_equal(ports(t), 1u << who[0]);
				assert_int_equal(t->sources[who[0]].cuts, 0);
				settle(t); /* it was nothing but witnesses */
				assert_int_equal(ports(t), all);
				done(t);
			}
}

/* Whatever witness it is that the source still offers: then the others were lost for another reason. */
static void
test_any_witness_refutes(void **state)
{
	(void)state;
	for (unsigned int s = 0; s < 3; s++)
		for (size_t stays = 0; stays < ARRAY_LEN(witnesses); stays++) {
			struct fixture *t = fixture(3);

			for (size_t w = 0; w < ARRAY_LEN(witnesses); w++)
				if (w != stays)
					withdraw(t, s, witnesses[w]);
			t->changes = 0;
			rib_run_groups(t->rib);
			assert_int_equal(ports(t), 7);
			assert_int_equal(t->changes, 0);
			assert_int_equal(t->sources[s].cuts, 0);
			withdraw(t, s, witnesses[stays]);
			rib_run_groups(t->rib);
			assert_int_equal(ports(t), 7 & ~(1u << s));
			assert_int_equal(t->sources[s].cuts, 1);
			done(t);
		}
}

/* A route that comes while its hop is cut is made without it; the only hop stays. */
static void
test_what_comes_while_cut(void **state)
{
	struct fixture *t = fixture(3);
	struct place late = { 0, FAMILY_IPV4, 210 }, lone = { 0, FAMILY_IPV4, 211 };

	(void)state;
	lose(t, 1);
	rib_run_groups(t->rib);
	for (unsigned int s = 0; s < 3; s++)
		announce(t, s, late, 1, false);
	announce(t, 1, lone, 1, false);
	run(t);
	assert_int_equal(t->groups[t->route[210]], 5);
	assert_int_equal(t->groups[t->route[211]], 2);
	settle(t);
	assert_int_equal(t->groups[t->route[210]], 7);
	assert_int_equal(t->groups[t->route[211]], 2);
	done(t);
}

/* ---- how long ---- */

/* Looked up after 30 ms; without another withdrawal of its source it ends after a second, to the microsecond. */
static void
test_a_wrong_cut_ends_after_a_second(void **state)
{
	struct fixture *t = fixture(3);
	struct mono begin = t->now;

	(void)state;
	lose(t, 0);
	run(t);
	assert_int_equal(ports(t), 6);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 30000);
	t->now.us = begin.us + 30000 - 1;
	run(t);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 30000);
	t->now.us = begin.us + 30000;
	run(t);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + SECONDS(1));
	t->now.us = begin.us + SECONDS(1) - 1;
	run(t);
	assert_int_equal(ports(t), 6);
	assert_int_equal(t->sources[0].cuts, 1);
	t->now.us = begin.us + SECONDS(1);
	run(t);
	assert_int_equal(t->sources[0].cuts, 0);
	assert_int_equal(rib_held_until(t->rib).us, t->now.us + 20000); /* as all routes that gain hops */
	settle(t);
	assert_int_equal(ports(t), 7);
	done(t);
}

/* Each withdrawal of its source puts that off, but not beyond ten seconds. */
static void
test_withdrawals_put_the_end_off(void **state)
{
	struct fixture *t = fixture(3);
	struct mono begin = t->now;

	(void)state;
	for (unsigned int i = 0; i < 40; i++) /* of another fate, and no witnesses */
		announce(t, 0, (struct place){ 0, FAMILY_IPV4, (uint8_t)(20 + i) }, 2, false);
	settle(t);
	lose(t, 0);
	run(t);
	for (unsigned int i = 0; mono_sub(t->now, begin) + MS(900) < SECONDS(10); i++) {
		assert_int_equal(ports(t), 6);
		t->now.us += MS(900);
		withdraw(t, 0, (struct place){ 0, FAMILY_IPV4, (uint8_t)(20 + i) });
		run(t);
		t->now.us += MS(30);
		run(t);
		assert_int_equal(
		    rib_held_until(t->rib).us, MIN_OF(t->now.us - MS(30) + SECONDS(1), begin.us + SECONDS(10)));
	}
	t->now.us = begin.us + SECONDS(10) - 1;
	run(t);
	assert_int_equal(ports(t), 6);
	assert_int_equal(t->sources[0].cuts, 1);
	t->now.us++;
	run(t);
	assert_int_equal(t->sources[0].cuts, 0);
	settle(t);
	assert_int_equal(ports(t), 7);
	done(t);
}

/* What it foretold has come: it ends when that is looked up, and is no matter to anybody. */
static void
test_a_right_cut_ends_unseen(void **state)
{
	struct fixture *t = fixture(3);
	struct mono begin = t->now;

	(void)state;
	lose(t, 2);
	run(t);
	t->now.us += 1000;
	for (unsigned int i = 0; i < ORDINARY; i++)
		withdraw(t, 2, ordinary(i));
	t->changes = 0;
	run(t);
	assert_int_equal(ports(t), 3);
	assert_int_equal(t->sources[2].cuts, 1);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 1000 + 30000);
	t->now.us = begin.us + 31000 - 1;
	run(t);
	assert_int_equal(t->sources[2].cuts, 1);
	t->now.us++;
	run(t);
	assert_int_equal(t->sources[2].cuts, 0);
	assert_int_equal(t->changes, 0);
	assert_int_equal(ports(t), 3);
	assert_false(rib_pending(t->rib));
	done(t);
}

/* What it foretold comes late, when some lists were found to be narrower for it already: it ends as soon. */
static void
test_a_right_cut_that_is_looked_up_twice(void **state)
{
	struct fixture *t = fixture(3);
	struct mono begin = t->now;

	(void)state;
	lose(t, 1);
	run(t);
	t->now.us = begin.us + 30000;
	run(t);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + SECONDS(1));
	t->now.us = begin.us + 300000;
	for (unsigned int i = 0; i < ORDINARY; i++)
		withdraw(t, 1, ordinary(i));
	run(t);
	assert_int_equal(t->sources[1].cuts, 1);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 330000);
	t->now.us = begin.us + 330000;
	run(t);
	assert_int_equal(t->sources[1].cuts, 0);
	assert_int_equal(ports(t), 5);
	assert_false(rib_pending(t->rib));
	done(t);
}

/* While a run goes on nothing can come in: its time is none without a withdrawal. */
static void
test_the_time_of_runs_does_not_count(void **state)
{
	struct fixture *t = fixture(3);
	struct mono begin = t->now;
	int64_t ran;

	(void)state;
	t->work = 7000;
	lose(t, 0);
	t->now.us += 500; /* the run sees the last withdrawals: from then on */
	run(t);
	ran = mono_sub(t->now, begin) - 500;
	assert_true(ran >= 7000);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 30500 + ran);
	t->work = 0;
	t->now.us += 1000; /* nor after it */
	run(t);
	assert_int_equal(rib_held_until(t->rib).us, begin.us + 30500 + ran);
	done(t);
}

static struct prefix
many_no(unsigned int i)
{
	struct prefix p = { .family = FAMILY_IPV4, .len = 32, .b = { 11, [3] = 1 } };

	put_u16(p.b + 1, (uint16_t)i);
	return p;
}

/* More witnesses than a batch holds are lost: each is told once, those that somebody has left are not. */
static void
test_many_witnesses_are_lost(void **state)
{
	static const unsigned int numbers[] = { 1, 1023, 1024, 1025, 2048, 2049, MANY };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
		for (unsigned int left = 0; left < 3; left++) { /* of three: those that source 2 has as well */
			struct fixture *t = fixture(0);
			size_t want = 0;

			for (unsigned int i = 0; i < numbers[k]; i++)
				for (unsigned int s = 0; s < 3; s++) {
					struct prefix p = many_no(i);

					if (s < 2 || i % 3 < left)
						rib_announce(t->rib, 0, &t->sources[s], &p, t->fate[1], t->nh[s]);
					rib_witness(t->rib, 0, &p);
				}
			settle(t);
			t->most = 0;
			for (unsigned int i = 0; i < numbers[k]; i++) {
				struct prefix p = many_no(i);

				want += i % 3 >= left;
				rib_withdraw(t->rib, 0, &t->sources[0], &p);
				rib_withdraw(t->rib, 0, &t->sources[1], &p);
			}
			assert_int_equal(rib_run_groups(t->rib), want != 0);
			assert_int_equal(t->losses, want);
			assert_int_equal(t->most, MIN_OF(want, 1024u));
			assert_int_equal(rib_run_groups(t->rib), false);
			settle(t);
			assert_int_equal(t->losses, want);
			for (unsigned int i = 0; i < numbers[k]; i++) {
				struct prefix p = many_no(i);
				struct rib_view v;

				assert_int_equal(t->lost[i], i % 3 >= left);
				assert_int_equal(rib_get(t->rib, 0, &p, &v), i % 3 < left);
			}
			done(t);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_any_order),
		cmocka_unit_test(test_any_witness_refutes),
		cmocka_unit_test(test_what_comes_while_cut),
		cmocka_unit_test(test_a_wrong_cut_ends_after_a_second),
		cmocka_unit_test(test_withdrawals_put_the_end_off),
		cmocka_unit_test(test_a_right_cut_ends_unseen),
		cmocka_unit_test(test_a_right_cut_that_is_looked_up_twice),
		cmocka_unit_test(test_the_time_of_runs_does_not_count),
		cmocka_unit_test(test_many_witnesses_are_lost),
	};

	return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
