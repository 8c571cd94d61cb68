/*
 * tests/unit/platform/sync_group_test.c -- groups in the forwarding plane against a naive model of who must be in them
 *
 * A group must hold exactly its wanted next hops that are on ports with carrier; equal ones are one, with the sum of
 * their weights. What is there is asked of the plane in memory; what each change costs is counted in messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "platform/model/model.h"
#include "platform/sync.h"
#include "tests/support/tiny_runtime.h"
#include "tests/unit/platform/sync_sound.h"

#define PORTS    6
#define GATEWAYS 3 /* next hops of a port */
#define GROUPS   12
#define METRIC   20

struct want {
	bool live;
	uint32_t handle;
	size_t n;
	struct sync_nexthop nh[10];
	int route;        /* its prefix; -1: none */
	bool told_usable; /* by group_state; true at first */
};

struct env {
	struct tiny tiny;
	struct mem mem;
	struct platform *p;
	struct sync *s;
	bool up[PORTS];
	struct want want[GROUPS];
	unsigned int events, states;
	char event[300];
};

static void
on_route(void *arg, uint32_t table, const struct prefix *p, enum sync_route_state state, int error, const char *detail)
{
	(void)arg;
	(void)table;
	(void)p;
	(void)state;
	(void)error;
	(void)detail;
}

static void
on_group(void *arg, uint32_t group, bool usable)
{
	struct env *e = arg;

	e->states++;
	for (int i = 0; i < GROUPS; i++)
		if (e->want[i].handle == group) {
			assert_int_not_equal(e->want[i].told_usable, usable); /* told once */
			e->want[i].told_usable = usable;
		}
}

static void
on_event(void *arg, const char *type, const char *text)
{
	struct env *e = arg;

	e->events++;
	snprintf(e->event, sizeof(e->event), "%s %s", type, text);
}

static const struct sync_client client = { .route_state = on_route, .group_state = on_group, .event = on_event };

static void
settle(struct env *e)
{
	tiny_settle(&e->tiny);
}

static void
pass(struct env *e, int64_t us)
{
	tiny_pass(&e->tiny, us);
}

static void
carrier(struct env *e, unsigned int port, bool up)
{
	uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)port };
	char name[16];

	snprintf(name, sizeof(name), "p%u", port);
	model_port_set(e->p, name, port + 1, mac, up, NULL);
	e->up[port] = up;
}

static struct env *
env_open(const struct model_config *cfg)
{
	struct sync_config sc = { .seed = 3, .id_base = 1000, .metric = METRIC, .cover_metric = 9999 };
	struct env *e = calloc(1, sizeof(*e));

	tiny_init(&e->tiny, true);
	e->p = model_open(&e->tiny.rt, &e->mem, cfg, NULL, NULL);
	for (unsigned int i = 0; i < PORTS; i++)
		carrier(e, i, true);
	sc.mem = &e->mem;
	sc.rt = &e->tiny.rt;
	e->s = sync_new(e->p, &sc, &client, e);
	assert_int_equal(sync_start(e->s), 0);
	settle(e);
	return e;
}

static void
env_close(struct env *e)
{
	sync_free(e->s);
	e->p->ops->close(e->p);
	for (int i = 0; i < MEM_KINDS; i++)
		assert_int_equal(e->mem.by[i].bytes, 0);
	free(e);
}

static struct sync_nexthop
hop(unsigned int port, unsigned int gateway, uint16_t weight)
{
	struct sync_nexthop nh = { .ifindex = port + 1, .weight = weight };
	char text[32];

	snprintf(text, sizeof(text), "fe80::%x", gateway + 2);
	assert_true(ip_parse(text, &nh.gateway));
	return nh;
}

#define ROUTE6 100 /* prefixes of IPv6 */

static struct prefix
prefix_no(int i)
{
	if (i >= ROUTE6)
		return (struct prefix){
			.family = FAMILY_IPV6, .len = 64, .b = { 0x20, 1, [4] = (uint8_t)(i / 256), [5] = (uint8_t)i }
		};
	return (struct prefix){ .family = FAMILY_IPV4, .len = 24, .b = { 10, 1, (uint8_t)i } };
}

static struct sync_stats
stats(struct env *e)
{
	struct sync_stats st;

	sync_stats(e->s, &st);
	return st;
}

static struct model_stats
plane(struct env *e)
{
	struct model_stats st;

	model_stats(e->p, &st);
	return st;
}

/* ---- the model ---- */

struct naive {
	size_t n;
	struct {
		uint32_t ifindex;
		struct ip gateway;
		uint32_t weight;
	} m[PORTS * GATEWAYS];
};

/* all: dark ones, too. */
static struct naive
wanted(const struct env *e, const struct want *w, bool all)
{
	struct naive out = { .n = 0 };

	for (size_t i = 0; i < w->n; i++) {
		size_t k = 0;

		if (!all && !e->up[w->nh[i].ifindex - 1])
			continue;
		while (k < out.n &&
		       !(out.m[k].ifindex == w->nh[i].ifindex && ip_equal(&out.m[k].gateway, &w->nh[i].gateway)))
			k++;
		if (k == out.n) {
			out.m[out.n].ifindex = w->nh[i].ifindex;
			out.m[out.n].gateway = w->nh[i].gateway;
			out.m[out.n++].weight = 0;
		}
		out.m[k].weight += w->nh[i].weight ? w->nh[i].weight : 1;
	}
	return out;
}

static uint32_t
weight_of(const struct naive *n, uint32_t ifindex, const struct ip *gateway)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->m[i].ifindex == ifindex && ip_equal(&n->m[i].gateway, gateway))
			return MIN_OF(n->m[i].weight, 65535u);
	return 0;
}

static void
compare_group(struct env *e, const struct want *w, unsigned int step)
{
	struct naive want = wanted(e, w, false);
	struct sync_nexthop have[PORTS * GATEWAYS];
	struct prefix p = prefix_no(w->route);
	struct ip a = prefix_addr(&p);
	struct model_result r;

	assert_int_equal(w->told_usable, want.n != 0);
	if (want.n) {
		size_t n = sync_group_members(e->s, w->handle, have, ARRAY_LEN(have));

		if (n != want.n)
			fail_msg("step %u: group %u has %zu members, must have %zu", step, w->handle, n, want.n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(weight_of(&want, have[i].ifindex, &have[i].gateway), have[i].weight);
		assert_int_equal(sync_group_members(e->s, w->handle, have, 1), n);
	}
	if (w->route < 0)
		return;
	if (model_lookup(e->p, 0, &a, &r) != MODEL_FORWARD) {
		if (want.n)
			fail_msg("step %u: no route on group %u", step, w->handle);
		return;
	}
	if (want.n == 0) { /* what stays may lead to dark ports alone */
		for (size_t i = 0; i < r.nhops; i++)
			assert_true(r.hops[i].dark);
		return;
	}
	assert_int_equal(r.nhops, want.n);
	for (size_t i = 0; i < r.nhops; i++) { /* in proportion */
		uint32_t first = weight_of(&want, r.hops[0].ifindex, &r.hops[0].gateway);
		uint32_t weight = weight_of(&want, r.hops[i].ifindex, &r.hops[i].gateway);

		assert_int_not_equal(weight, 0);
		assert_int_equal(weight * r.hops[0].weight, r.hops[i].weight * first);
	}
}

/* Next hops of one group that are in the forwarding plane. */
static size_t
own_count(const struct env *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < e->s->n_nhs; i++)
		n += e->s->nhs[i].live && e->s->nhs[i].own && e->s->nhs[i].state == NH_PRESENT;
	return n;
}

static void
compare(struct env *e, bool deletes, unsigned int step)
{
	struct sync_stats st = stats(e);
	struct naive seen = { .n = 0 }, lit = { .n = 0 };
	uint64_t groups = 0, members = 0, usable = 0;

	for (int g = 0; g < GROUPS; g++) {
		struct naive all;

		if (!e->want[g].live)
			continue;
		compare_group(e, &e->want[g], step);
		all = wanted(e, &e->want[g], true);
		groups++;
		members += all.n;
		usable += wanted(e, &e->want[g], false).n != 0;
		for (size_t i = 0; i < all.n; i++) {
			struct naive *to[] = { &seen, e->up[all.m[i].ifindex - 1] ? &lit : NULL };

			for (size_t k = 0; k < 2 && to[k]; k++)
				if (!weight_of(to[k], all.m[i].ifindex, &all.m[i].gateway))
					to[k]->m[to[k]->n++] = all.m[i];
		}
	}
	assert_int_equal(st.groups, groups);
	assert_int_equal(st.members, members);
	assert_int_equal(st.nexthops, seen.n);
	if (deletes) { /* else dark ones may stay for a while */
		assert_int_equal(plane(e).nexthops - own_count(e), lit.n);
		assert_int_equal(plane(e).groups, usable);
	}
	assert_int_equal(sync_check(e->s, NULL, NULL), 0);
	assert_sound(e->s, true);
}

/* ---- cases ---- */

static void
new_group(struct env *e, struct want *w)
{
	w->live = true;
	w->told_usable = true;
	w->handle = sync_group_new(e->s, w->nh, w->n);
}

/* One change, one message; the same again, none. */
static void
each_change_is_one_message(void **state)
{
	struct env *e = env_open(NULL);
	struct want *w = &e->want[0];
	struct prefix p = prefix_no(0);
	uint64_t before;

	(void)state;
	w->nh[0] = hop(0, 0, 1);
	w->nh[1] = hop(1, 0, 1);
	w->n = 2;
	new_group(e, w);
	sync_route_set(e->s, 0, &p, w->handle);
	settle(e);
	assert_int_equal(stats(e).group_messages, 1);
	compare(e, true, 0);
	for (int i = 0; i < 6; i++) {
		static const struct {
			unsigned int port, gateway;
			uint16_t weight;
			unsigned int messages;
		} second[] = { { 1, 0, 1, 0 }, { 1, 0, 0, 0 }, { 1, 1, 1, 1 }, { 2, 1, 1, 1 }, { 2, 1, 7, 1 },
			{ 0, 0, 1, 1 } };

		before = stats(e).group_messages;
		w->nh[1] = hop(second[i].port, second[i].gateway, second[i].weight);
		sync_group_change(e->s, w->handle, w->nh, w->n);
		settle(e);
		if (stats(e).group_messages - before != second[i].messages)
			fail_msg("change %d: %d messages", i, (int)(stats(e).group_messages - before));
		compare(e, true, 1);
	}
	/* In another order they are the same. */
	w->nh[1] = hop(3, 0, 2);
	sync_group_change(e->s, w->handle, w->nh, w->n);
	settle(e);
	before = stats(e).group_messages;
	w->nh[2] = w->nh[0];
	sync_group_change(e->s, w->handle, w->nh + 1, 2);
	settle(e);
	assert_int_equal(stats(e).group_messages, before);
	/* It is gone with its routes, one message for its deletion. */
	sync_route_del(e->s, 0, &p);
	sync_group_free(e->s, w->handle);
	w->live = false;
	settle(e);
	assert_int_equal(stats(e).group_messages, before + 1);
	compare(e, true, 2);
	/* What is no handle is nobody's. */
	sync_group_change(e->s, 0, w->nh, 1);
	sync_group_change(e->s, w->handle, w->nh, 1);
	sync_group_change(e->s, 99, w->nh, 1);
	sync_group_free(e->s, 0);
	sync_group_free(e->s, w->handle);
	sync_group_free(e->s, 99);
	assert_int_equal(sync_group_members(e->s, 0, w->nh, 1), 0);
	assert_int_equal(sync_group_members(e->s, w->handle, w->nh, 1), 0);
	assert_int_equal(sync_group_members(e->s, 99, w->nh, 1), 0);
	settle(e);
	compare(e, true, 3);
	new_group(e, w); /* its place is used again */
	assert_int_equal(w->handle, 1);
	env_close(e);
}

/* Of n next hops in any number, the members keep their order and none is lost. */
static void
groups_of_every_size(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= PORTS * GATEWAYS; n++)
		for (int back = 0; back < 2; back++) {
			struct env *e = env_open(NULL);
			struct sync_nexthop nh[PORTS * GATEWAYS], have[PORTS * GATEWAYS];
			uint32_t g;

			for (unsigned int i = 0; i < n; i++) {
				unsigned int k = back ? n - 1 - i : i;

				nh[i] = hop(k % PORTS, k / PORTS, (uint16_t)(k + 1));
			}
			g = sync_group_new(e->s, nh, n);
			settle(e);
			assert_int_equal(sync_group_members(e->s, g, have, ARRAY_LEN(have)), n);
			assert_int_equal(plane(e).members, n);
			for (unsigned int i = 0; i < n; i++) {
				unsigned int k = have[i].ifindex - 1 +
						 PORTS * (unsigned int)(have[i].gateway.b[15] - 2);

				assert_int_equal(have[i].weight, k + 1);
			}
			carrier(e, 0, false); /* those of a port, and no others */
			settle(e);
			assert_int_equal(sync_group_members(e->s, g, have, ARRAY_LEN(have)),
			    n == 1 ? 0 : n - (n + PORTS - 1) / PORTS);
			carrier(e, 0, true);
			settle(e);
			assert_int_equal(sync_group_members(e->s, g, have, ARRAY_LEN(have)), n);
			env_close(e);
		}
}

/* The sum of weights is cut at what 16 bits hold. */
static void
weights_add_up(void **state)
{
	static const struct {
		uint16_t a, b;
		uint32_t want;
	} cases[] = { { 1, 1, 2 }, { 0, 0, 2 }, { 65534, 1, 65535 }, { 65535, 1, 65535 }, { 65535, 65535, 65535 },
		{ 300, 400, 700 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct env *e = env_open(NULL);
		struct sync_nexthop nh[] = { hop(0, 0, cases[i].a), hop(1, 0, 1), hop(0, 0, cases[i].b) }, have[3];
		uint32_t g = sync_group_new(e->s, nh, 3);

		settle(e);
		assert_int_equal(sync_group_members(e->s, g, have, 3), 2);
		assert_int_equal(have[0].weight, cases[i].want);
		assert_int_equal(have[1].weight, 1);
		env_close(e);
	}
}

/* A plane with eight bits for a weight gets them in proportion, and never 0. */
static void
weights_fit_into_eight_bits(void **state)
{
	static const struct {
		uint16_t a, b;
		uint32_t got_a, got_b;
	} cases[] = { { 255, 1, 255, 1 }, { 256, 1, 255, 1 }, { 510, 2, 255, 1 }, { 512, 256, 255, 127 },
		{ 65535, 1, 255, 1 }, { 100, 200, 100, 200 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int bits = 8; bits <= 16; bits += 8) {
			struct env *e = env_open(NULL);
			struct sync_nexthop nh[] = { hop(0, 0, cases[i].a), hop(1, 0, cases[i].b) };
			struct prefix p = prefix_no(0);
			struct ip a = prefix_addr(&p);
			struct model_result r;

			e->p->caps.weight_bits = (uint8_t)bits;
			sync_route_set(e->s, 0, &p, sync_group_new(e->s, nh, 2));
			settle(e);
			assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
			assert_int_equal(r.nhops, 2);
			for (size_t k = 0; k < 2; k++) {
				bool first = r.hops[k].ifindex == 1;
				uint32_t want = bits == 8 ? (first ? cases[i].got_a : cases[i].got_b)
							  : (first ? cases[i].a : cases[i].b);

				assert_int_equal(r.hops[k].weight, want);
			}
			env_close(e);
		}
}

/* Wider than the plane takes: cut, told once; told again only for other members. */
static void
a_group_that_is_too_wide_is_cut_and_told_once(void **state)
{
	const struct model_config cfg = { .max_group_size = 3 };
	struct env *e = env_open(&cfg);
	struct sync_nexthop nh[PORTS], have[PORTS];
	uint32_t g;

	(void)state;
	for (unsigned int i = 0; i < PORTS; i++)
		nh[i] = hop(i, 0, 1);
	g = sync_group_new(e->s, nh, 3);
	settle(e);
	assert_int_equal(e->events, 0);
	sync_group_change(e->s, g, nh, 4);
	settle(e);
	assert_int_equal(e->events, 1);
	assert_string_equal(
	    e->event, "FIB_GROUP_CUT a group of 4 next hops is cut to 3, the most that the forwarding plane takes");
	assert_int_equal(sync_group_members(e->s, g, have, PORTS), 3);
	carrier(e, 0, false);
	settle(e);
	assert_int_equal(sync_group_members(e->s, g, have, PORTS), 3); /* another takes its place */
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(have[i].ifindex, 1);
	carrier(e, 0, true);
	settle(e);
	assert_int_equal(e->events, 1);
	sync_group_change(e->s, g, nh, 5);
	settle(e);
	assert_int_equal(e->events, 2);
	env_close(e);
}

/* All dark: told once, and once when the first is back; the plane has no object for it meanwhile. */
static void
a_dark_group_is_told_once(void **state)
{
	struct env *e = env_open(NULL);
	struct want *w = &e->want[0];
	struct prefix p = prefix_no(0);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		w->nh[i] = hop(i, 0, 1);
	w->n = 3;
	w->route = 0;
	new_group(e, w);
	sync_route_set(e->s, 0, &p, w->handle);
	settle(e);
	assert_int_equal(e->states, 0);
	for (unsigned int i = 0; i < 3; i++) {
		carrier(e, i, false);
		settle(e);
		assert_int_equal(e->states, i == 2);
		compare(e, true, i);
	}
	assert_int_equal(plane(e).routes[FAMILY_IPV4], 0);
	assert_int_equal(stats(e).routes_waiting, 1);
	for (unsigned int i = 0; i < 3; i++) {
		carrier(e, i, true);
		settle(e);
		assert_int_equal(e->states, 2);
		compare(e, true, i);
		assert_int_equal(plane(e).routes[FAMILY_IPV4], 1);
		assert_int_equal(stats(e).routes_installed[FAMILY_IPV4], 1);
		assert_int_equal(stats(e).routes_waiting, 0);
	}
	env_close(e);
}

/* A group of one, cut off: its object and its routes stay for half a second, and one message fills it again. */
static void
a_group_outlives_its_member(void **state)
{
	enum { BACK, ELSEWHERE, NOT_WANTED, GIVEN_UP, NH_LOST, WIDE_ONCE, CASES };
	static const unsigned int messages[CASES] = {
		[BACK] = 1, [ELSEWHERE] = 1, [NOT_WANTED] = 1, [GIVEN_UP] = 2, [NH_LOST] = 1, [WIDE_ONCE] = 2
	};
	const struct model_config cfg = { .group_outlives = true };

	(void)state;
	for (int c = 0; c < CASES; c++) {
		struct env *e = env_open(&cfg);
		struct want *w = &e->want[0];
		struct prefix p[2] = { prefix_no(0), prefix_no(1) };
		struct ip a = prefix_addr(&p[0]);
		struct model_result r;
		uint64_t before, routes;
		uint32_t id;

		w->nh[0] = hop(0, 0, 3);
		w->nh[1] = hop(1, 0, 1);
		w->n = c == WIDE_ONCE ? 2 : 1;
		new_group(e, w);
		for (int i = 0; i < 2; i++)
			sync_route_set(e->s, 0, &p[i], w->handle);
		settle(e);
		assert_int_equal(stats(e).group_messages, 1);
		assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
		id = r.group;
		before = stats(e).group_messages;
		routes = stats(e).route_messages;
		if (c == WIDE_ONCE) { /* shrunk to one, it is set again, so that it outlives that one */
			carrier(e, 1, false);
			settle(e);
			assert_int_equal(stats(e).group_messages, before + 1);
		}
		if (c == NH_LOST) {
			model_hang(e->p, true);
			assert_int_equal(model_lose_nexthop(e->p, 1000, true), 0);
		} else {
			carrier(e, 0, false);
		}
		settle(e);
		assert_int_equal(w->told_usable, c == NH_LOST);
		assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_BLACKHOLE);
		assert_int_equal(plane(e).routes[FAMILY_IPV4], 2);
		assert_int_equal(stats(e).routes_installed[FAMILY_IPV4], 0);
		assert_int_equal(stats(e).routes_waiting, 2);
		if (c != NH_LOST)
			assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		assert_int_equal(stats(e).route_messages, routes);

		if (c == BACK || c == WIDE_ONCE) {
			pass(e, MS(400));
			carrier(e, 0, true);
		} else if (c == ELSEWHERE) {
			w->nh[0] = hop(2, 0, 1);
			sync_group_change(e->s, w->handle, w->nh, 1);
		} else if (c == NOT_WANTED) {
			for (int i = 0; i < 2; i++)
				sync_route_del(e->s, 0, &p[i]);
			sync_group_free(e->s, w->handle);
			w->live = false;
		} else if (c == GIVEN_UP) {
			pass(e, MS(600));
			assert_int_equal(plane(e).routes[FAMILY_IPV4], 0);
			assert_int_equal(plane(e).groups, 0);
			carrier(e, 0, true);
		} else {
			model_hang(e->p, false);
		}
		settle(e);
		assert_int_equal(stats(e).group_messages - before, messages[c]);
		if (c == NOT_WANTED) {
			assert_int_equal(plane(e).routes[FAMILY_IPV4] + plane(e).groups + plane(e).nexthops, 0);
		} else {
			assert_int_equal(stats(e).route_messages - routes, c == GIVEN_UP ? 4 : 0);
			assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
			assert_int_equal(r.group == id, c != GIVEN_UP);
			assert_int_equal(stats(e).routes_installed[FAMILY_IPV4], 2);
			assert_int_equal(stats(e).routes_waiting, 0);
			assert_true(w->told_usable);
		}
		assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		pass(e, SECONDS(2));
		assert_int_equal(stats(e).group_messages - before, messages[c]);
		env_close(e);
	}
}

/* A group found at start that does not outlive its member is set again, once; one that does is left alone. */
static void
a_group_that_was_found_outlives_its_member(void **state)
{
	(void)state;
	for (int was = 0; was < 2; was++)
		for (int can = 0; can < 2; can++) {
			const struct model_config cfg = { .group_outlives = was };
			struct env *e = env_open(&cfg);
			struct sync_config sc = { .mem = &e->mem,
				.rt = &e->tiny.rt,
				.seed = 5,
				.id_base = 1000,
				.metric = METRIC,
				.cover_metric = 9999 };
			struct sync_nexthop nh = hop(0, 0, 7);
			struct prefix p = prefix_no(0);

			sync_route_set(e->s, 0, &p, sync_group_new(e->s, &nh, 1));
			settle(e);
			sync_free(e->s);
			model_outlive(e->p, can);
			e->s = sync_new(e->p, &sc, &client, e);
			assert_int_equal(sync_start(e->s), 0);
			sync_route_set(e->s, 0, &p, sync_group_new(e->s, &nh, 1));
			settle(e);
			assert_int_equal(stats(e).group_messages, can && !was);
			assert_int_equal(stats(e).route_messages, 0);
			sync_sweep(e->s);
			settle(e);
			sync_audit(e->s);
			settle(e);
			assert_int_equal(stats(e).group_messages, can && !was);
			assert_int_equal(sync_check(e->s, NULL, NULL), 0);
			carrier(e, 0, false);
			settle(e);
			assert_int_equal(plane(e).routes[FAMILY_IPV4], can);
			pass(e, MS(600));
			assert_int_equal(plane(e).routes[FAMILY_IPV4], 0);
			env_close(e);
		}
}

/* A neighbour is lost behind a port that has carrier: all groups shrink before the call returns, by one message if that can be. */
static void
a_lost_neighbour_leaves_all_groups(void **state)
{
	enum { OUTLIVES, NO_GROUP_OF_ONE, A_GROUP_WOULD_DIE, ASIC, STOPPED, CASES };
	static const struct {
		struct model_config plane;
		unsigned int groups, nexthops; /* messages */
		enum model_verdict alone;      /* what becomes of the route that has no other next hop */
		size_t wide;                   /* members that the others have then */
	} cases[CASES] = {
		[OUTLIVES] = { { .group_outlives = true }, 0, 1, MODEL_BLACKHOLE, 2 },
		[NO_GROUP_OF_ONE] = { { .group_outlives = false }, 0, 1, MODEL_NO_ROUTE, 2 },
		[A_GROUP_WOULD_DIE] = { { .group_outlives = false }, 3, 0, MODEL_FORWARD, 2 },
		[ASIC] = { { .keep_nexthops = true }, 3, 0, MODEL_FORWARD, 2 },
		[STOPPED] = { { .group_outlives = true }, 0, 0, MODEL_FORWARD, 3 },
	};

	(void)state;
	for (int c = 0; c < CASES; c++) {
		struct env *e = env_open(&cases[c].plane);
		struct sync_nexthop lost = hop(0, 0, 1), other = hop(0, 1, 1), now[4];
		struct prefix p = prefix_no(9);
		struct ip a = prefix_addr(&p);
		struct model_result r;
		struct sync_stats before;
		bool alone = c != NO_GROUP_OF_ONE;

		for (int i = 0; i < 3; i++) {
			struct want *w = &e->want[i];

			w->nh[0] = lost;
			w->nh[1] = other; /* of the same port */
			w->nh[2] = hop(1, (unsigned int)i, 1);
			w->n = 3;
			new_group(e, w);
		}
		if (alone) {
			e->want[3].nh[0] = lost;
			e->want[3].n = 1;
			new_group(e, &e->want[3]);
			sync_route_set(e->s, 0, &p, e->want[3].handle);
		}
		settle(e);
		before = stats(e);
		if (c == STOPPED)
			sync_stop(e->s);
		sync_nexthop_down(e->s, 1, &(struct ip){ .family = FAMILY_IPV6 }); /* nobody's */
		assert_int_equal(stats(e).ops_sent, before.ops_sent);
		sync_nexthop_down(e->s, lost.ifindex, &lost.gateway);
		assert_int_equal(stats(e).ops_sent - before.ops_sent, cases[c].groups + cases[c].nexthops);
		assert_int_equal(stats(e).group_messages - before.group_messages, cases[c].groups);
		settle(e);
		assert_int_equal(model_lookup(e->p, 0, &a, &r), cases[c].alone);
		for (int i = 0; i < 3; i++)
			assert_int_equal(sync_group_members(e->s, e->want[i].handle, now, 4), cases[c].wide);
		/* nothing is left to be sent when the RIB says it, too, nor when it is lost again */
		sync_nexthop_down(e->s, lost.ifindex, &lost.gateway);
		if (c != STOPPED)
			assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		for (int i = 0; i < 3; i++)
			sync_group_change(e->s, e->want[i].handle, &e->want[i].nh[1], 2);
		settle(e);
		assert_int_equal(stats(e).ops_sent - before.ops_sent, cases[c].groups + cases[c].nexthops);

		/* it is back: for those who want it again */
		sync_nexthop_up(e->s, lost.ifindex, &lost.gateway);
		for (int i = 0; i < 3; i++)
			sync_group_change(e->s, e->want[i].handle, e->want[i].nh, 3);
		settle(e);
		if (c != STOPPED) {
			for (int i = 0; i < 3; i++)
				assert_int_equal(sync_group_members(e->s, e->want[i].handle, now, 4), 3);
			assert_int_equal(model_lookup(e->p, 0, &a, &r), alone ? MODEL_FORWARD : MODEL_NO_ROUTE);
			assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		}
		env_close(e);
	}
}

/* Nobody wants it any more: its loss is forgotten with it. And carrier that comes back does not bring back a lost neighbour. */
static void
a_loss_ends_with_the_want_and_not_with_the_port(void **state)
{
	(void)state;
	for (int outlives = 0; outlives < 2; outlives++) {
		const struct model_config cfg = { .group_outlives = outlives };
		struct env *e = env_open(&cfg);
		struct want *w = &e->want[0];
		struct sync_nexthop now[2];

		w->nh[0] = hop(0, 0, 1);
		w->nh[1] = hop(1, 0, 1);
		w->n = 2;
		new_group(e, w);
		settle(e);
		sync_nexthop_down(e->s, w->nh[0].ifindex, &w->nh[0].gateway);
		settle(e);
		assert_int_equal(sync_group_members(e->s, w->handle, now, 2), 1);
		carrier(e, 0, false);
		carrier(e, 0, true);
		pass(e, SECONDS(2));
		assert_int_equal(sync_group_members(e->s, w->handle, now, 2), 1);
		sync_group_change(e->s, w->handle, &w->nh[1], 1);
		settle(e);
		sync_group_change(e->s, w->handle, w->nh, 2);
		settle(e);
		assert_int_equal(sync_group_members(e->s, w->handle, now, 2), 2);
		assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		env_close(e);
	}
}

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static void
draw_members(struct want *w, uint32_t *rnd)
{
	w->n = 1 + draw(rnd, ARRAY_LEN(w->nh));
	for (size_t i = 0; i < w->n; i++)
		w->nh[i] = hop(draw(rnd, PORTS), draw(rnd, GATEWAYS), (uint16_t)draw(rnd, 4));
}

static void
random_step(struct env *e, uint32_t *rnd)
{
	unsigned int g = draw(rnd, GROUPS), kind = draw(rnd, 8);
	struct want *w = &e->want[g];
	struct prefix p = prefix_no(w->route >= 0 ? w->route : (int)g);

	if (kind == 0) {
		unsigned int port = draw(rnd, PORTS);

		carrier(e, port, !e->up[port]);
	} else if (!w->live) {
		draw_members(w, rnd);
		new_group(e, w);
		w->route = -1;
	} else if (kind == 1) {
		if (w->route >= 0)
			sync_route_del(e->s, 0, &p);
		sync_group_free(e->s, w->handle);
		w->live = false;
		w->handle = 0;
	} else if (kind < 5) {
		draw_members(w, rnd);
		sync_group_change(e->s, w->handle, w->nh, w->n);
	} else if (w->route < 0) {
		w->route = (int)g + (draw(rnd, 2) ? ROUTE6 : 0);
		p = prefix_no(w->route);
		sync_route_set(e->s, 0, &p, w->handle);
	} else if (kind == 7) {
		sync_route_del(e->s, 0, &p);
		w->route = -1;
	}
}

static void
members_are_those_that_are_wanted_and_lit(void **state)
{
	static const struct model_config planes[] = {
		{ .queue = 0 },
		{ .ack_us = MS(2), .op_us = 50, .queue = 8 },
		{ .keep_nexthops = true },
		{ .ack_us = MS(1), .queue = 3, .keep_nexthops = true, .eager = true },
		{ .group_outlives = true },
		{ .ack_us = MS(2), .op_us = 50, .queue = 8, .group_outlives = true },
		{ .own_nexthops = 1 },
		{ .ack_us = MS(2), .op_us = 50, .queue = 8, .own_nexthops = 1 },
		{ .own_nexthops = 1, .group_outlives = true },
		{ .ack_us = MS(2), .op_us = 50, .queue = 8, .own_nexthops = 1, .group_outlives = true },
		{ .ack_us = MS(1), .own_nexthops = 1, .group_outlives = true, .max_nexthops = 60 },
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(planes); c++)
		for (uint32_t seed = 1; seed <= 8; seed++) {
			struct env *e = env_open(&planes[c]);
			struct model_fault fault = { .kind = MODEL_TRANSIENT, .count = 3 };
			uint32_t rnd = seed;

			for (unsigned int step = 0; step < 60; step++) {
				if (seed % 4 == 0 && draw(&rnd, 8) == 0)
					model_fault_set(e->p, &fault);
				for (unsigned int k = draw(&rnd, 8); k > 0; k--) {
					random_step(e, &rnd);
					if (draw(&rnd, 2))
						settle(e);
					if (draw(&rnd, 4) == 0)
						pass(e, MS(1));
					assert_sound(e->s, false);
				}
				model_fault_set(e->p, NULL);
				pass(e, seed % 4 == 0 ? SECONDS(40) : MS(700)); /* until what is hollow is given up */
				compare(e, !planes[c].keep_nexthops, step);
			}
			env_close(e);
		}
}

/* The pauses between the next tries, in ms, until `n` of them were made; no try without its pause. */
static void
expect_tries(struct env *e, enum plat_kind kind, const int64_t *pauses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t before = plane(e).by_kind[kind];

		pass(e, MS(pauses[i] - 10));
		assert_int_equal(plane(e).by_kind[kind], before);
		pass(e, MS(10));
		if (plane(e).by_kind[kind] != before + 1)
			fail_msg("try %zu did not come after %d ms", i, (int)pauses[i]);
	}
}

/*
 * What is refused is tried again after 100 ms, then twice as long each time, and told once. What has succeeded meanwhile
 * starts anew: with the first pause, and with a word.
 */
static void
what_was_refused_starts_anew(void **state)
{
	static const struct {
		const char *event;
		enum plat_kind kind;
	} cases[] = {
		{ "FIB_NEXTHOP_FAILED next hop fe80::2 on port 1 is refused: no", PLAT_NH_SET },
		{ "FIB_GROUP_FAILED a group of 2 next hops is refused: no", PLAT_GROUP_SET },
		{ "FIB_NEXTHOP_FAILED next hop 1000 cannot be deleted: no; it is tried again", PLAT_NH_DEL },
		{ "FIB_GROUP_FAILED group 1002 cannot be deleted: no; it is tried again", PLAT_GROUP_DEL },
	};
	static const int64_t pauses[] = { 100, 200, 400, 800 };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct model_fault fault = {
			.kind = MODEL_TRANSIENT, .kinds = 1u << cases[c].kind, .error = -EBUSY, .detail = "no"
		};
		bool del = cases[c].kind == PLAT_NH_DEL || cases[c].kind == PLAT_GROUP_DEL;
		struct env *e = env_open(NULL);
		struct sync_nexthop nh[] = { hop(0, 0, 1), hop(1, 0, 1) };
		size_t n = cases[c].kind == PLAT_NH_SET || cases[c].kind == PLAT_NH_DEL ? 1 : 2;
		uint32_t g = 0;

		for (unsigned int again = 0; again < 3; again++) {
			if (del) {
				g = sync_group_new(e->s, nh, n);
				settle(e);
				assert_int_equal(plane(e).groups, 1);
			}
			model_fault_set(e->p, &fault);
			if (del) {
				sync_group_free(e->s, g);
			} else if (!g) {
				g = sync_group_new(e->s, nh, n);
			} else if (cases[c].kind == PLAT_NH_SET) {
				carrier(e, 0, false);
				settle(e);
				carrier(e, 0, true);
			} else {
				nh[1].weight++;
				sync_group_change(e->s, g, nh, n);
			}
			settle(e);
			assert_int_equal(e->events, again + 1);
			if (cases[c].kind == PLAT_GROUP_DEL) /* ids are given anew */
				assert_memory_equal(e->event, cases[c].event, strlen("FIB_GROUP_FAILED group 100"));
			else if (cases[c].kind != PLAT_NH_DEL)
				assert_string_equal(e->event, cases[c].event);
			expect_tries(e, cases[c].kind, pauses, ARRAY_LEN(pauses) - again);
			model_fault_set(e->p, NULL);
			pass(e, SECONDS(2));
			assert_int_equal(e->events, again + 1);
			assert_int_equal(plane(e).nexthops, del ? 0 : n);
			assert_int_equal(plane(e).groups, !del);
			assert_int_equal(sync_check(e->s, NULL, NULL), 0);
			assert_sound(e->s, true);
		}
		env_close(e);
	}
}

/* A next hop that is refused keeps no group from losing those that it does not want any more. */
static void
what_is_refused_holds_nobody_up(void **state)
{
	const struct model_fault fault = { .kind = MODEL_FAIL, .kinds = 1u << PLAT_NH_SET, .error = -EINVAL };
	struct env *e = env_open(NULL);
	struct sync_nexthop then[] = { hop(0, 0, 1), hop(2, 0, 1) };
	struct want *w = &e->want[0];
	struct prefix p = prefix_no(9);
	struct ip a = prefix_addr(&p);
	struct model_result r;

	(void)state;
	w->nh[0] = hop(0, 0, 1);
	w->nh[1] = hop(1, 0, 1);
	w->n = 2;
	new_group(e, w);
	sync_route_set(e->s, 0, &p, w->handle);
	settle(e);
	assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
	assert_int_equal(r.nhops, 2);
	model_fault_set(e->p, &fault);
	sync_group_change(e->s, w->handle, then, 2);
	settle(e);
	assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
	assert_int_equal(r.nhops, 1);
	assert_int_equal(r.hops[0].ifindex, 1);
	sync_group_change(e->s, w->handle, &then[1], 1);
	settle(e);
	assert_false(w->told_usable);
	model_fault_set(e->p, NULL);
	pass(e, SECONDS(2));
	assert_true(w->told_usable);
	assert_int_equal(model_lookup(e->p, 0, &a, &r), MODEL_FORWARD);
	assert_int_equal(r.nhops, 1);
	assert_int_equal(r.hops[0].ifindex, 3);
	assert_int_equal(sync_check(e->s, NULL, NULL), 0);
	assert_sound(e->s, true);
	env_close(e);
}

/*
 * What is read back is held against what was sent: proportions are all that a packet meets. With next hops of one group,
 * here those above 10 that are equal to the ones below, it is the same for packets, and not the same objects.
 */
static void
members_that_are_alike(void **state)
{
	static const struct {
		struct member a[2], b[2];
		uint32_t na, nb;
		bool equal, proportional, alike;
	} cases[] = {
		{ { { 1, 2 } }, { { 1, 2 } }, 1, 1, true, true, true },
		{ { { 1, 2 } }, { { 1, 3 } }, 1, 1, false, true, true },
		{ { { 1, 2 } }, { { 2, 2 } }, 1, 1, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 2 } }, 2, 1, false, false, false },
		{ { { 1, 2 } }, { { 1, 2 }, { 2, 1 } }, 1, 2, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 2 }, { 2, 1 } }, 2, 2, true, true, true },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 2 }, { 2, 3 } }, 2, 2, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 3 }, { 2, 1 } }, 2, 2, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 2 }, { 3, 1 } }, 2, 2, false, false, false },
		{ { { 0, 0 } }, { { 0, 0 } }, 0, 0, true, true, true },
		{ { { 1, 2 } }, { { 1, 2 } }, 0, 1, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 1, 510 }, { 2, 255 } }, 2, 2, false, true, true },
		{ { { 1, 65535 }, { 2, 65534 } }, { { 1, 65534 }, { 2, 65535 } }, 2, 2, false, false, false },
		{ { { 1, 1 } }, { { 11, 3 } }, 1, 1, false, false, true },
		{ { { 1, 2 }, { 2, 1 } }, { { 11, 2 }, { 12, 1 } }, 2, 2, false, false, true },
		{ { { 1, 2 }, { 2, 1 } }, { { 2, 1 }, { 11, 2 } }, 2, 2, false, false, true },
		{ { { 1, 2 }, { 2, 1 } }, { { 2, 1 }, { 11, 3 } }, 2, 2, false, false, false },
		{ { { 1, 2 }, { 2, 1 } }, { { 2, 1 }, { 13, 2 } }, 2, 2, false, false, false },
	};
	struct nexthop nhs[20] = { 0 };
	struct sync s = { .nhs = nhs, .n_nhs = ARRAY_LEN(nhs) };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(nhs); i++)
		nhs[i] = (struct nexthop){ .ifindex = 1, .gateway = { .b = { (uint8_t)(i % 10) } }, .own = i > 10 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct member am[2], bm[2];
		struct members a = { .m = am, .n = cases[i].na }, b = { .m = bm, .n = cases[i].nb };

		memcpy(am, cases[i].a, sizeof(am));
		memcpy(bm, cases[i].b, sizeof(bm));
		if (members_equal(&a, &b) != cases[i].equal || members_proportional(&a, &b) != cases[i].proportional ||
		    members_alike(&s, &a, &b) != cases[i].alike)
			fail_msg("case %zu", i);
	}
}

/* A port that comes back is another chance: its next hops are tried at once, and then after the first pause. */
static void
a_port_that_is_back_starts_anew(void **state)
{
	static const int64_t pauses[] = { 100, 200, 400 };
	const struct model_fault fault = { .kind = MODEL_FAIL, .kinds = 1u << PLAT_NH_SET, .error = -EINVAL };
	struct env *e = env_open(NULL);
	struct sync_nexthop nh = hop(0, 0, 1);
	uint64_t before;

	(void)state;
	model_fault_set(e->p, &fault);
	sync_group_new(e->s, &nh, 1);
	settle(e);
	for (int again = 0; again < 2; again++) {
		expect_tries(e, PLAT_NH_SET, pauses, ARRAY_LEN(pauses));
		before = plane(e).by_kind[PLAT_NH_SET];
		carrier(e, 0, false);
		pass(e, SECONDS(3)); /* while it is dark, nothing is tried */
		assert_int_equal(plane(e).by_kind[PLAT_NH_SET], before);
		carrier(e, 0, true);
		settle(e);
		assert_int_equal(plane(e).by_kind[PLAT_NH_SET], before + 1);
	}
	model_fault_set(e->p, NULL);
	pass(e, SECONDS(2));
	assert_int_equal(plane(e).groups, 1);
	assert_sound(e->s, true);
	env_close(e);
}

/* No more than what there is room for is written, though all are counted. */
static void
members_that_fit(void **state)
{
	struct env *e = env_open(NULL);
	struct sync_nexthop nh[PORTS], out[PORTS + 1];
	uint32_t g;

	(void)state;
	for (unsigned int i = 0; i < PORTS; i++)
		nh[i] = hop(i, 0, (uint16_t)(i + 1));
	g = sync_group_new(e->s, nh, PORTS);
	settle(e);
	for (size_t max = 0; max <= PORTS; max++) {
		memset(out, 0x5a, sizeof(out));
		assert_int_equal(sync_group_members(e->s, g, out, max), PORTS);
		for (size_t i = 0; i < ARRAY_LEN(out); i++) {
			assert_int_equal(out[i].ifindex, i < max ? i + 1 : 0x5a5a5a5a);
			assert_int_equal(out[i].weight, i < max ? i + 1 : 0x5a5a);
		}
	}
	env_close(e);
}

/* Groups and next hops that come and go, hundreds of times: what they took is given to those that follow. */
static void
what_is_gone_leaves_its_place_to_others(void **state)
{
	struct env *e = env_open(NULL);
	size_t bytes = 0;

	(void)state;
	for (unsigned int i = 0; i < 600; i++) {
		struct sync_nexthop nh[] = { hop(i % PORTS, i % GATEWAYS, 1), hop((i + 1) % PORTS, 0, 1) };
		uint32_t g = sync_group_new(e->s, nh, 2);
		struct prefix p = prefix_no((int)i % 7);

		assert_int_equal(g, 1);
		sync_route_set(e->s, 0, &p, g);
		settle(e);
		if (i % 3 == 0) {
			carrier(e, i % PORTS, false);
			settle(e);
			carrier(e, i % PORTS, true);
			settle(e);
		}
		assert_int_equal(plane(e).groups, 1);
		sync_route_del(e->s, 0, &p);
		sync_group_free(e->s, g);
		settle(e);
		assert_int_equal(plane(e).groups + plane(e).nexthops, 0);
		if (i == 100)
			bytes = e->mem.by[MEM_FIB].bytes;
	}
	assert_int_equal(e->mem.by[MEM_FIB].bytes, bytes);
	env_close(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_is_one_message),
		cmocka_unit_test(groups_of_every_size),
		cmocka_unit_test(weights_add_up),
		cmocka_unit_test(weights_fit_into_eight_bits),
		cmocka_unit_test(a_group_that_is_too_wide_is_cut_and_told_once),
		cmocka_unit_test(a_dark_group_is_told_once),
		cmocka_unit_test(a_lost_neighbour_leaves_all_groups),
		cmocka_unit_test(a_loss_ends_with_the_want_and_not_with_the_port),
		cmocka_unit_test(a_group_outlives_its_member),
		cmocka_unit_test(a_group_that_was_found_outlives_its_member),
		cmocka_unit_test(what_was_refused_starts_anew),
		cmocka_unit_test(what_is_refused_holds_nobody_up),
		cmocka_unit_test(members_that_are_alike),
		cmocka_unit_test(a_port_that_is_back_starts_anew),
		cmocka_unit_test(members_that_fit),
		cmocka_unit_test(what_is_gone_leaves_its_place_to_others),
		cmocka_unit_test(members_are_those_that_are_wanted_and_lit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
