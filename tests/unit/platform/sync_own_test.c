/*
 * tests/unit/platform/sync_own_test.c -- groups with next hops of their own: which messages leave for which change
 *
 * What is in the plane is asked of the plane in memory, and every message is counted by its kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/model/model.h"
#include "platform/sync.h"
#include "tests/support/tiny_runtime.h"
#include "tests/unit/platform/sync_sound.h"

#define PORTS  8
#define MANY   4 /* IPv6 routes from which next hops are of their own */
#define METRIC 20

struct env {
	struct tiny tiny;
	struct mem mem;
	struct platform *p;
	struct sync *s;
	unsigned int events;
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
	(void)arg;
	(void)group;
	(void)usable;
}

static void
on_event(void *arg, const char *type, const char *text)
{
	struct env *e = arg;

	(void)type;
	(void)text;
	e->events++;
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
	settle(e);
}

static void
start(struct env *e)
{
	struct sync_config sc = { .seed = 3, .id_base = 1000, .metric = METRIC, .cover_metric = 9999 };

	sc.mem = &e->mem;
	sc.rt = &e->tiny.rt;
	e->s = sync_new(e->p, &sc, &client, e);
	assert_int_equal(sync_start(e->s), 0);
}

static struct env *
env_open(const struct model_config *cfg)
{
	struct env *e = calloc(1, sizeof(*e));

	tiny_init(&e->tiny, true);
	e->p = model_open(&e->tiny.rt, &e->mem, cfg, NULL, NULL);
	for (unsigned int i = 0; i < PORTS; i++)
		carrier(e, i, true);
	start(e);
	settle(e);
	return e;
}

static void
env_close(struct env *e)
{
	assert_int_equal(sync_check(e->s, NULL, NULL), 0);
	assert_sound(e->s, true);
	sync_free(e->s);
	e->p->ops->close(e->p);
	for (int i = 0; i < MEM_KINDS; i++)
		assert_int_equal(e->mem.by[i].bytes, 0);
	free(e);
}

static const struct model_config wide = { .own_nexthops = MANY, .group_outlives = true };

/* Ports by their letters, a digit behind one is its weight: "AB3C". */
static size_t
hops(const char *text, struct sync_nexthop *out)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text >= '0' && *text <= '9') {
			out[n - 1].weight = (uint16_t)(*text - '0');
			continue;
		}
		out[n] = (struct sync_nexthop){ .ifindex = (uint32_t)(*text - 'A' + 1), .weight = 1 };
		assert_true(ip_parse("fe80::2", &out[n++].gateway));
	}
	return n;
}

static uint32_t
group(struct env *e, const char *text)
{
	struct sync_nexthop nh[PORTS];

	return sync_group_new(e->s, nh, hops(text, nh));
}

static void
change(struct env *e, uint32_t g, const char *text)
{
	struct sync_nexthop nh[PORTS];

	sync_group_change(e->s, g, nh, hops(text, nh));
}

static struct prefix
prefix_no(enum family f, unsigned int i)
{
	if (f == FAMILY_IPV4)
		return (struct prefix){ .family = FAMILY_IPV4, .len = 24, .b = { 10, (uint8_t)(i >> 8), (uint8_t)i } };
	return (struct prefix){
		.family = FAMILY_IPV6, .len = 64, .b = { 0x20, 1, [4] = (uint8_t)(i >> 8), [5] = (uint8_t)i }
	};
}

static void
want_routes(struct env *e, uint32_t g, enum family f, unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++) {
		struct prefix p = prefix_no(f, i);

		sync_route_set(e->s, 0, &p, g);
	}
}

static void
routes(struct env *e, uint32_t g, enum family f, unsigned int from, unsigned int n)
{
	want_routes(e, g, f, from, n);
	settle(e);
}

static struct model_stats
plane(const struct env *e)
{
	struct model_stats st;

	model_stats(e->p, &st);
	return st;
}

static uint64_t
since(const struct env *e, const struct model_stats *before, enum plat_kind kind)
{
	return plane(e).by_kind[kind] - before->by_kind[kind];
}

/* Where a packet to this prefix goes: letters and weights, in the order of ports; "-": nowhere. */
static const char *
ways(struct env *e, enum family f, unsigned int i)
{
	static const char *const none = "-";
	static _Thread_local char text[3 * PORTS];
	struct prefix p = prefix_no(f, i);
	struct ip a = prefix_addr(&p);
	struct model_result r;
	size_t n = 0;

	if (model_lookup(e->p, 0, &a, &r) != MODEL_FORWARD)
		return none;
	for (uint32_t port = 1; port <= PORTS; port++)
		for (size_t k = 0; k < r.nhops; k++) {
			if (r.hops[k].ifindex != port)
				continue;
			text[n++] = (char)('A' + port - 1);
			if (r.hops[k].weight != 1)
				text[n++] = (char)('0' + r.hops[k].weight);
		}
	text[n] = '\0';
	return text;
}

static size_t
own_count(const struct env *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < e->s->n_nhs; i++)
		n += e->s->nhs[i].live && e->s->nhs[i].own;
	return n;
}

static uint32_t
own_id(const struct env *e, uint32_t port)
{
	for (uint32_t i = 0; i < e->s->n_nhs; i++)
		if (e->s->nhs[i].live && e->s->nhs[i].own && e->s->nhs[i].ifindex == port + 1)
			return e->s->nhs[i].id;
	return 0;
}

/* ---- cases ---- */

/* Narrower is a deletion for each that leaves, and nothing else; every other change is one message of the group. */
static void
narrower_is_deletions(void **state)
{
	static const struct {
		const char *name, *from, *to;
		enum family family;
		unsigned int n, groups, sets, dels, own;
	} cases[] = {
		{ "one of four", "ABCD", "ABC", FAMILY_IPV6, MANY, 0, 0, 2,
		    3 }, /* and the shared one, wanted by nobody */
		{ "the first of four", "ABCD", "BCD", FAMILY_IPV6, MANY, 0, 0, 2, 3 },
		{ "to one", "ABCD", "C", FAMILY_IPV6, MANY, 0, 0, 6, 1 },
		{ "weighted", "A3B2C", "A3C", FAMILY_IPV6, MANY, 0, 0, 2, 2 },
		{ "in proportion", "AB", "A2B2", FAMILY_IPV6, MANY, 0, 0, 0, 2 },
		{ "wider", "AB", "ABC", FAMILY_IPV6, MANY, 1, 2, 0, 3 },
		{ "another", "ABC", "ABD", FAMILY_IPV6, MANY, 1, 2, 2, 3 },
		{ "another weight", "ABC", "ABC2", FAMILY_IPV6, MANY, 1, 0, 0, 3 },
		{ "narrower with another weight", "ABC", "AB2", FAMILY_IPV6, MANY, 1, 0, 2, 2 },
		{ "few routes", "ABC", "AB", FAMILY_IPV6, MANY - 1, 1, 0, 1, 0 },
		{ "of the other family", "ABC", "AB", FAMILY_IPV4, MANY * 4, 1, 0, 1, 0 },
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct env *e = env_open(&wide);
		uint32_t g = group(e, cases[c].from);
		bool own = cases[c].family == FAMILY_IPV6 && cases[c].n >= MANY;
		struct model_stats before;

		routes(e, g, cases[c].family, 0, cases[c].n);
		assert_string_equal(ways(e, cases[c].family, 0), cases[c].from);
		assert_int_equal(plane(e).by_kind[PLAT_GROUP_SET], own ? 2 : 1);
		before = plane(e);
		change(e, g, cases[c].to);
		settle(e);
		if (since(e, &before, PLAT_GROUP_SET) != cases[c].groups ||
		    since(e, &before, PLAT_NH_SET) != cases[c].sets ||
		    since(e, &before, PLAT_NH_DEL) != cases[c].dels || own_count(e) != cases[c].own)
			fail_msg("%s: %d group messages, %d and %d of next hops, %zu own", cases[c].name,
			    (int)since(e, &before, PLAT_GROUP_SET), (int)since(e, &before, PLAT_NH_SET),
			    (int)since(e, &before, PLAT_NH_DEL), own_count(e));
		assert_int_equal(since(e, &before, PLAT_ROUTE_SET) + since(e, &before, PLAT_ROUTE_DEL), 0);
		if (strcmp(cases[c].to, "A2B2") != 0)
			assert_string_equal(ways(e, cases[c].family, 0), cases[c].to);
		assert_int_equal(e->events, 0);
		env_close(e);
	}
}

/* It gets them when it has many routes, keeps them when it has few, and takes them with it when it goes. */
static void
as_long_as_the_object_lives(void **state)
{
	struct env *e = env_open(&wide);
	struct model_stats before;
	uint32_t g = group(e, "ABC");

	(void)state;
	routes(e, g, FAMILY_IPV6, 0, MANY - 1);
	assert_int_equal(own_count(e), 0);
	before = plane(e);
	routes(e, g, FAMILY_IPV6, MANY - 1, 40);
	assert_int_equal(own_count(e), 3);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 1);
	assert_int_equal(plane(e).nexthops, 6);
	for (unsigned int i = 1; i < MANY - 1 + 40; i++) {
		struct prefix p = prefix_no(FAMILY_IPV6, i);

		sync_route_del(e->s, 0, &p);
	}
	settle(e);
	change(e, g, "AB");
	settle(e);
	assert_int_equal(own_count(e), 2);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 1);
	routes(e, group(e, "D"), FAMILY_IPV6, 0, 1);
	sync_group_free(e->s, g);
	settle(e);
	assert_int_equal(own_count(e), 0);
	assert_int_equal(plane(e).nexthops, 1);
	assert_int_equal(e->s->n_private, 0);
	env_close(e);
}

/* One that has many routes with one member gets them when it becomes wider, by the message that is needed anyhow. */
static void
a_group_of_one_has_none(void **state)
{
	struct env *e = env_open(&wide);
	uint32_t g = group(e, "A");
	struct model_stats before;

	(void)state;
	routes(e, g, FAMILY_IPV6, 0, MANY * 2);
	assert_int_equal(own_count(e), 0);
	before = plane(e);
	change(e, g, "AB");
	settle(e);
	assert_int_equal(own_count(e), 2);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 1);
	env_close(e);
}

/* A port is dark: nothing is sent, down to the last one, which the group outlives though it was not set for that. */
static void
the_last_one_goes_with_its_carrier(void **state)
{
	struct env *e = env_open(&wide);
	uint32_t g = group(e, "ABC");
	struct model_stats before;

	(void)state;
	routes(e, g, FAMILY_IPV6, 0, MANY);
	before = plane(e);
	carrier(e, 0, false);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "BC");
	change(e, g, "AB");
	settle(e);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "B");
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 0);
	assert_int_equal(since(e, &before, PLAT_NH_DEL), 2);
	carrier(e, 1, false);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "-");
	assert_int_equal(plane(e).routes[FAMILY_IPV6], MANY);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 0);
	carrier(e, 0, true);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "A");
	carrier(e, 1, true);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "AB");
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 2);
	assert_int_equal(since(e, &before, PLAT_ROUTE_SET) + since(e, &before, PLAT_ROUTE_DEL), 0);
	env_close(e);
}

/* A neighbour is lost: the shared next hop leaves, and one for each private group, before the call returns. */
static void
a_lost_neighbour_leaves_private_groups(void **state)
{
	struct env *e = env_open(&wide);
	struct sync_nexthop lost;
	struct model_stats before;
	uint32_t g[3];

	(void)state;
	hops("A", &lost);
	for (unsigned int i = 0; i < 3; i++) {
		g[i] = group(e, i == 2 ? "ACD" : "ABC");
		routes(e, g[i], FAMILY_IPV6, i * MANY, i == 2 ? 1 : MANY);
	}
	before = plane(e);
	sync_nexthop_down(e->s, lost.ifindex, &lost.gateway);
	assert_int_equal(plane(e).ops + plane(e).in_flight - before.ops, 3);
	settle(e);
	assert_int_equal(since(e, &before, PLAT_NH_DEL), 3);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 0);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "BC");
	assert_string_equal(ways(e, FAMILY_IPV6, MANY), "BC");
	assert_string_equal(ways(e, FAMILY_IPV6, 2 * MANY), "CD");
	change(e, g[1], "BC"); /* the RIB says it, too */
	settle(e);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 0);
	/* One that becomes private, or gets it anew, meanwhile gets none for what is lost. */
	routes(e, g[2], FAMILY_IPV6, 3 * MANY, MANY);
	change(e, g[1], "ABC");
	settle(e);
	assert_string_equal(ways(e, FAMILY_IPV6, MANY), "BC");
	assert_string_equal(ways(e, FAMILY_IPV6, 2 * MANY), "CD");
	sync_nexthop_up(e->s, lost.ifindex, &lost.gateway);
	settle(e);
	assert_string_equal(ways(e, FAMILY_IPV6, 0), "ABC");
	assert_string_equal(ways(e, FAMILY_IPV6, MANY), "ABC");
	assert_string_equal(ways(e, FAMILY_IPV6, 2 * MANY), "ACD");
	env_close(e);
}

/* After a restart what is there is taken over as it is, and does what it is there for. */
static void
found_at_start(void **state)
{
	struct env *e = env_open(&wide);
	struct sync_nexthop nh[PORTS];
	struct model_stats before;
	uint32_t g, g2;

	(void)state;
	g = group(e, "A2BC");
	g2 = group(e, "ABC");
	routes(e, g, FAMILY_IPV6, 0, MANY);
	routes(e, g2, FAMILY_IPV6, MANY, MANY);
	sync_nexthop_down(e->s, hops("C", nh) ? nh[0].ifindex : 0, &nh[0].gateway); /* one that nobody takes over */
	settle(e);
	for (int again = 0; again < 2; again++) {
		sync_free(e->s);
		before = plane(e);
		start(e);
		g = group(e, "A2B");
		g2 = group(e, "AB");
		want_routes(e, g, FAMILY_IPV6, 0, MANY);
		want_routes(e, g2, FAMILY_IPV6, MANY, MANY);
		sync_sweep(e->s);
		settle(e);
		assert_int_equal(plane(e).ops, before.ops);
		assert_int_equal(own_count(e), 4);
		assert_int_equal(e->s->n_private, 2);
		assert_int_equal(sync_check(e->s, NULL, NULL), 0);
		assert_sound(e->s, true);
	}
	change(e, g, "A2");
	settle(e);
	assert_int_equal(since(e, &before, PLAT_GROUP_SET), 0);
	assert_int_equal(since(e, &before, PLAT_NH_DEL), 1);
	assert_string_equal(ways(e, FAMILY_IPV6, MANY), "AB");
	/* Nobody wants the other one any more. */
	sync_free(e->s);
	start(e);
	routes(e, group(e, "A2"), FAMILY_IPV6, 0, MANY);
	sync_sweep(e->s);
	pass(e, SECONDS(1));
	assert_int_equal(plane(e).nexthops, 2);
	assert_int_equal(plane(e).groups, 1);
	env_close(e);
}

/* Found with next hops of another group, or with some of its own and some shared: put right without losing a route. */
static void
found_in_disorder(void **state)
{
	for (int c = 0; c < 2; c++) {
		struct env *e = env_open(&wide);
		uint32_t g = group(e, "AB"), h = group(e, "ABC");
		struct plat_member m[2];
		struct plat_op op = { .kind = PLAT_GROUP_SET, .group = { .members = m, .n = 2 } };

		(void)state;
		routes(e, g, FAMILY_IPV6, 0, MANY);
		routes(e, h, FAMILY_IPV6, MANY, 1);
		op.id = pg_at(e->s, group_at(e->s, h)->pg)->id;
		m[0] = (struct plat_member){ .nh = own_id(e, 0), .weight = 1 };
		m[1] = (struct plat_member){ .nh = c ? 1001 : own_id(e, 1), .weight = 1 };
		sync_free(e->s);
		assert_int_equal(e->p->ops->submit(e->p, &op, 1), 1);
		settle(e);
		start(e);
		g = group(e, "AB");
		h = group(e, "ABC");
		routes(e, h, FAMILY_IPV6, MANY, 1);
		routes(e, g, FAMILY_IPV6, 0, MANY);
		sync_sweep(e->s);
		pass(e, SECONDS(1));
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "AB");
		assert_string_equal(ways(e, FAMILY_IPV6, MANY), "ABC");
		change(e, g, "B");
		settle(e);
		assert_string_equal(ways(e, FAMILY_IPV6, MANY), "ABC");
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "B");
		env_close(e);
	}
}

/* Taken away by another hand, with and without a word: put back. */
static void
taken_away(void **state)
{
	(void)state;
	for (int tell = 0; tell < 2; tell++) {
		struct env *e = env_open(&wide);
		uint32_t g = group(e, "ABC");

		routes(e, g, FAMILY_IPV6, 0, MANY);
		assert_int_equal(model_lose_nexthop(e->p, own_id(e, 1), tell), 0);
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "AC");
		if (!tell) {
			settle(e);
			assert_int_equal(sync_check(e->s, NULL, NULL), 2);
			sync_audit(e->s);
		}
		pass(e, SECONDS(1));
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "ABC");
		assert_int_equal(own_count(e), 3);
		assert_int_equal(model_lose_group(e->p, pg_at(e->s, group_at(e->s, g)->pg)->id, true), 0);
		pass(e, SECONDS(1));
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "ABC");
		env_close(e);
	}
}

/* What is refused: the shared one does instead; what cannot be deleted leaves by a message of the group. */
static void
refusals(void **state)
{
	static const struct {
		const char *name;
		enum plat_kind kind;
		enum model_fault_kind fault;
	} cases[] = {
		{ "no own next hop", PLAT_NH_SET, MODEL_FULL },
		{ "no own next hop for a moment", PLAT_NH_SET, MODEL_TRANSIENT },
		{ "it cannot be deleted", PLAT_NH_DEL, MODEL_FAIL },
		{ "it is not deleted, though it is said to be", PLAT_NH_DEL, MODEL_LIE },
		{ "no group of them", PLAT_GROUP_SET, MODEL_FAIL },
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct model_fault fault = { .kind = cases[c].fault, .kinds = 1u << cases[c].kind, .error = -ENOSPC };
		struct env *e = env_open(&wide);
		uint32_t g = group(e, "ABC");

		sync_sweep(e->s);
		if (cases[c].kind == PLAT_NH_DEL)
			routes(e, g, FAMILY_IPV6, 0, MANY);
		else
			routes(e, g, FAMILY_IPV6, 0, MANY - 1);
		model_fault_set(e->p, &fault);
		routes(e, g, FAMILY_IPV6, MANY - 1, 1);
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "ABC");
		change(e, g, "AB");
		settle(e);
		if (cases[c].kind != PLAT_GROUP_SET && cases[c].fault != MODEL_LIE &&
		    strcmp(ways(e, FAMILY_IPV6, 0), "AB") != 0)
			fail_msg("%s: %s", cases[c].name, ways(e, FAMILY_IPV6, 0));
		if (cases[c].fault == MODEL_LIE) {
			sync_audit(e->s);
			settle(e);
			assert_string_equal(ways(e, FAMILY_IPV6, 0), "AB");
		}
		model_fault_set(e->p, NULL);
		pass(e, SECONDS(60));
		sync_audit(e->s);
		settle(e);
		assert_string_equal(ways(e, FAMILY_IPV6, 0), "AB");
		if (own_count(e) != 2)
			fail_msg("%s: %zu own", cases[c].name, own_count(e));
		assert_int_equal(plane(e).nexthops, 4);
		env_close(e);
	}
}

/* Wanted again while its deletion is under way, and the group gone while it is. */
static void
changed_while_under_way(void **state)
{
	const struct model_config slow = { .own_nexthops = MANY, .ack_us = MS(5) };

	(void)state;
	for (int c = 0; c < 3; c++) {
		struct env *e = env_open(&slow);
		uint32_t g = group(e, "ABC");

		routes(e, g, FAMILY_IPV6, 0, MANY);
		pass(e, MS(100));
		assert_int_equal(own_count(e), 3);
		change(e, g, "AB");
		settle(e);
		if (c == 0) {
			change(e, g, "ABC");
		} else if (c == 1) {
			change(e, g, "D");
		} else {
			for (unsigned int i = 0; i < MANY; i++) {
				struct prefix p = prefix_no(FAMILY_IPV6, i);

				sync_route_del(e->s, 0, &p);
			}
			sync_group_free(e->s, g);
		}
		settle(e);
		assert_sound(e->s, false);
		pass(e, SECONDS(1));
		assert_string_equal(ways(e, FAMILY_IPV6, 0), c == 0 ? "ABC" : c == 1 ? "D" : "-");
		if (c == 2)
			assert_int_equal(plane(e).nexthops, 0);
		env_close(e);
	}
}

/* Each private group makes the loss of a neighbour one message longer: so there are not more than 64. */
static void
not_too_many(void **state)
{
	struct env *e = env_open(&wide);
	uint32_t g[66];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(g); i++) {
		g[i] = group(e, i % 2 ? "AB" : "BC");
		routes(e, g[i], FAMILY_IPV6, i * MANY, MANY);
	}
	assert_int_equal(e->s->n_private, 64);
	assert_int_equal(own_count(e), 128);
	for (unsigned int i = 0; i < MANY; i++) { /* when one goes there is room again, at the next occasion */
		struct prefix p = prefix_no(FAMILY_IPV6, i);

		sync_route_del(e->s, 0, &p);
	}
	sync_group_free(e->s, g[0]);
	settle(e);
	change(e, g[65], "ABC");
	settle(e);
	assert_int_equal(e->s->n_private, 64);
	assert_int_equal(own_count(e), 129);
	env_close(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(narrower_is_deletions),
		cmocka_unit_test(as_long_as_the_object_lives),
		cmocka_unit_test(a_group_of_one_has_none),
		cmocka_unit_test(the_last_one_goes_with_its_carrier),
		cmocka_unit_test(a_lost_neighbour_leaves_private_groups),
		cmocka_unit_test(found_at_start),
		cmocka_unit_test(found_in_disorder),
		cmocka_unit_test(taken_away),
		cmocka_unit_test(refusals),
		cmocka_unit_test(changed_while_under_way),
		cmocka_unit_test(not_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
