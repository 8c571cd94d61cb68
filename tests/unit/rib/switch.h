/*
 * tests/unit/rib/switch.h -- one RIB with five sources, and a FIB that remembers what it was told
 *
 * The clock is the test's: it stands unless `tick` says by how much each look at it turns it.
 */
#ifndef TESTS_UNIT_RIB_SWITCH_H
#define TESTS_UNIT_RIB_SWITCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/rib.h"
#include "tests/unit/rib/sound.h"

#define SOURCES  5
#define PREFIXES 24
#define ATTRS    6
#define GROUPS   8192

struct member {
	uint32_t ifindex;
	uint32_t weight; /* no padding: members are compared as bytes */
};

struct fixture {
	struct mem mem;
	struct rib *rib;
	struct rib_config cfg;
	struct rib_source sources[SOURCES];
	struct rib_nexthop *nh[SOURCES];
	struct attrs *attrs[ATTRS];
	struct mono now;
	int64_t tick;
	bool not_ready;
	bool acks; /* each route that is set is proved at once, behind the run */
	struct group {
		bool used;
		size_t n;
		struct member m[SOURCES];
	} groups[GROUPS];
	uint32_t last_group;
	uint32_t route[FAMILIES][PREFIXES]; /* its group */
	bool soon[FAMILIES][PREFIXES];
	const struct attrs *told[FAMILIES][PREFIXES];
	uint64_t news, changes, frees, sets, resets, dels, batches, biggest;
	struct prefix queue[4096]; /* routes to prove */
	size_t nqueue;
	int offer[FAMILIES][PREFIXES][SOURCES];  /* the model: attributes, -1: none */
	bool doubt[FAMILIES][PREFIXES][SOURCES]; /* a refresh is under way, and has not brought it yet */
};

/* Of all lengths; none is another's number. */
static inline struct prefix
prefix_no(int f, unsigned int i)
{
	static const uint8_t lengths[] = { 0, 8, 9, 16, 23, 24, 25, 32 };
	struct prefix p = { .family = (uint8_t)f, .len = lengths[i % 8] };
	unsigned int net = i / 8;

	if (i % 8 == 0) {
		p.len = (uint8_t)(net ? net * 3 : 0);
		p.b[0] = net ? (uint8_t)(net << 5) : 0;
	} else {
		p.b[0] = (uint8_t)(10 + net);
		for (unsigned int k = 1; k * 8 < p.len; k++)
			p.b[k] = (uint8_t)(p.len >= 8 * (k + 1) ? 1 : 0x80u >> ((p.len - 1) % 8));
	}
	if (f == FAMILY_IPV6 && p.len == 32)
		p.len = 128;
	return p;
}

static inline int
number_of(const struct prefix *p)
{
	for (unsigned int i = 0; i < PREFIXES; i++) {
		struct prefix q = prefix_no(p->family, i);

		if (prefix_equal(p, &q))
			return (int)i;
	}
	fail_msg("a prefix that nobody announced");
	return -1;
}

static inline void
store(struct group *g, const struct rib_member *m, size_t n)
{
	assert_in_range(n, 1, SOURCES);
	g->n = n;
	for (size_t i = 0; i < n; i++)
		g->m[i] = (struct member){ m[i].ifindex, m[i].weight };
}

static inline uint32_t
group_new(void *arg, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;

	assert_true(++t->last_group < GROUPS);
	t->news++;
	t->groups[t->last_group].used = true;
	store(&t->groups[t->last_group], m, n);
	return t->last_group;
}

static inline void
group_change(void *arg, uint32_t group, const struct rib_member *m, size_t n)
{
	struct fixture *t = arg;

	assert_true(t->groups[group].used);
	t->changes++;
	store(&t->groups[group], m, n);
}

static inline void
group_free(void *arg, uint32_t group)
{
	struct fixture *t = arg;

	assert_true(t->groups[group].used);
	t->groups[group].used = false;
	t->frees++;
}

/* A hint before they are set or deleted, for a few at a time: each of them gets one. */
static inline void
routes_soon(void *arg, uint32_t table, const struct prefix *p, size_t n)
{
	struct fixture *t = arg;

	assert_int_equal(table, 7);
	assert_in_range(n, 1, 32);
	for (size_t k = 0; k < n; k++) {
		assert_int_equal(p[k].family, p[0].family);
		t->soon[p[k].family][number_of(&p[k])] = true;
	}
}

static inline void
route_set(void *arg, uint32_t table, const struct prefix *p, uint32_t group)
{
	struct fixture *t = arg;
	int i = number_of(p);

	assert_int_equal(table, 7);
	assert_true(t->soon[p->family][i]);
	t->soon[p->family][i] = false;
	assert_true(t->groups[group].used);
	t->sets++;
	t->resets += t->route[p->family][i] != 0;
	t->route[p->family][i] = group;
	if (t->acks) {
		assert_true(t->nqueue < ARRAY_LEN(t->queue));
		t->queue[t->nqueue++] = *p;
	}
}

static inline void
route_del(void *arg, uint32_t table, const struct prefix *p)
{
	struct fixture *t = arg;
	int i = number_of(p);

	assert_int_equal(table, 7);
	assert_int_not_equal(t->route[p->family][i], 0);
	t->soon[p->family][i] = false;
	t->dels++;
	t->route[p->family][i] = 0;
}

static inline void
changed(void *arg, uint32_t table, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	assert_int_equal(table, 7);
	assert_true(n > 0);
	t->batches++;
	t->biggest = MAX_OF(t->biggest, n);
	for (size_t i = 0; i < n; i++) {
		const struct attrs *was = c[i].was && c[i].was->width ? c[i].was->paths[c[i].was->best].attrs : NULL;
		const struct attrs *now = c[i].now && c[i].now->width ? c[i].now->paths[c[i].now->best].attrs : NULL;
		int k = number_of(&c[i].prefix);

		assert_ptr_equal(t->told[f][k], was);
		assert_true(c[i].entry < rib_entries_limit(t->rib, 7, f));
		t->told[f][k] = now;
	}
}

static inline bool
export_ready(void *arg)
{
	return !((struct fixture *)arg)->not_ready;
}

static inline struct mono
now(void *arg)
{
	struct fixture *t = arg;

	t->now.us += t->tick;
	return t->now;
}

UNUSED static const struct rib_ops ops = { group_new, group_change, group_free, route_set, route_del, changed,
	export_ready, now, routes_soon };

/* 0, 1, 2: equally good, of fates 0, 1, 1 and weights none, 2, 3; 3: longer; 4: a loop; 5: as 0, with a weight. */
static inline struct fixture *
fixture(struct rib_config cfg)
{
	static const struct attrs_view views[ATTRS] = {
		{ .path_len = 2 },
		{ .path_len = 2, .fate = 1, .link_bandwidth_weight = 2 },
		{ .path_len = 2, .fate = 1, .link_bandwidth_weight = 3 },
		{ .path_len = 3 },
		{ .path_len = 1, .flags = ATTRS_LOOP },
		{ .path_len = 2, .link_bandwidth_weight = 9 },
	};
	struct fixture *t = calloc(1, sizeof(*t));

	t->now.us = SECONDS(10);
	cfg.mem = &t->mem;
	cfg.seed = 3;
	t->rib = rib_new(&cfg, &ops, t);
	t->cfg = cfg;
	for (unsigned int i = 0; i < SOURCES; i++) {
		struct ip gateway = ip_v4(0x0a000000u + i);

		t->sources[i] = (struct rib_source){ .side = RIB_ABOVE, .router_id = 100 + i, .address = gateway };
		assert_int_equal(rib_source_add(t->rib, &t->sources[i]), 0);
		assert_int_equal(t->sources[i].index, i + 1);
		rib_source_up(t->rib, &t->sources[i]);
		t->nh[i] = nexthop_intern(rib_hops(t->rib), i + 1, &gateway);
	}
	for (unsigned int i = 0; i < ATTRS; i++) {
		struct attrs_view v = views[i];
		uint8_t wire = (uint8_t)i;

		v.wire = &wire;
		v.wire_len = 1;
		v.first_as = 65000 + i;
		t->attrs[i] = attrs_intern(rib_attrs(t->rib), &v);
	}
	memset(t->offer, -1, sizeof(t->offer));
	return t;
}

static inline void
announce(struct fixture *t, unsigned int s, int f, unsigned int i, int a)
{
	struct prefix p = prefix_no(f, i);

	rib_announce(t->rib, 7, &t->sources[s], &p, t->attrs[a], t->nh[s]);
	t->offer[f][i][s] = a;
	t->doubt[f][i][s] = false;
}

static inline void
withdraw(struct fixture *t, unsigned int s, int f, unsigned int i)
{
	struct prefix p = prefix_no(f, i);

	rib_withdraw(t->rib, 7, &t->sources[s], &p);
	t->offer[f][i][s] = -1;
	t->doubt[f][i][s] = false;
}

static inline void
down(struct fixture *t, unsigned int s)
{
	rib_source_down(t->rib, &t->sources[s]);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++) {
			t->offer[f][i][s] = -1;
			t->doubt[f][i][s] = false;
		}
}

static inline void
refresh(struct fixture *t, unsigned int s, int f, bool ends)
{
	if (ends)
		rib_refresh_end(t->rib, &t->sources[s], f);
	else
		rib_refresh_begin(t->rib, &t->sources[s], f);
	for (unsigned int i = 0; i < PREFIXES; i++) {
		if (ends && t->doubt[f][i][s])
			t->offer[f][i][s] = -1;
		t->doubt[f][i][s] = !ends && t->offer[f][i][s] >= 0;
	}
}

static inline void
prove(struct fixture *t)
{
	for (size_t i = 0; i < t->nqueue; i++)
		rib_fib_result(t->rib, 7, &t->queue[i], true);
	t->nqueue = 0;
}

/* Runs until nothing is left to do, waiting for what is held back; proves what was set. */
static inline void
run(struct fixture *t)
{
	for (int i = 0; rib_run(t->rib) || t->nqueue; i++) {
		assert_true(i < 100000);
		if (rib_running(t->rib))
			continue;
		prove(t);
		if (!mono_due(rib_held_until(t->rib), t->now))
			t->now = rib_held_until(t->rib);
	}
	assert_false(rib_pending(t->rib));
	assert_int_equal(rib_dirty(t->rib), 0);
}

static inline struct rib_counts
counts(const struct fixture *t)
{
	struct rib_counts c;

	rib_counts(t->rib, &c);
	return c;
}

static inline void
done(struct fixture *t)
{
	struct rib_counts c;

	for (unsigned int s = 0; s < SOURCES; s++)
		down(t, s);
	run(t);
	c = counts(t);
	assert_int_equal(c.lists + c.hop_sets + c.groups + c.prefixes[0] + c.prefixes[1] + c.paths[0] + c.paths[1], 0);
	assert_int_equal(c.fib_routes[0] + c.fib_routes[1], 0);
	assert_int_equal(t->news, t->frees);
	for (unsigned int s = 0; s < SOURCES; s++) {
		nexthop_unref(rib_hops(t->rib), t->nh[s]);
		rib_source_remove(t->rib, &t->sources[s]);
	}
	for (unsigned int i = 0; i < ATTRS; i++)
		attrs_unref(rib_attrs(t->rib), t->attrs[i]);
	assert_int_equal(attrs_table_count(rib_attrs(t->rib)), 0);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

#endif
