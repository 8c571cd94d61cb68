/*
 * tests/unit/platform/sync_test.c -- what leaves for which wish: order, ports, refusals, limits; and churn
 *
 * What is read back is in sync_audit_test.c, members of groups in sync_group_test.c.
 */
#include "platform/null/null.h"
#include "tests/unit/platform/sync_env.h"

/* ---- the usual ---- */

static void
one_message_per_change(void **state)
{
	struct sync_nexthop nh[PORTS];
	struct sync_stats before, after;
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	g = group(&e, 0x0f);
	for (int i = 0; i < 200; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		route(&e, text, g);
	}
	settle(&e);
	assert_int_equal(e.installed, 200);
	before = stats(&e);
	sync_group_change(e.s, g, nh, hops_of_mask(0xf3, nh));
	settle(&e);
	after = stats(&e);
	assert_int_equal(after.group_messages, before.group_messages + 1);
	assert_int_equal(after.route_messages, before.route_messages);
	assert_int_equal(forwards(&e, "10.1.7.0/24"), 0xf3);
	assert_int_equal(after.nexthops, 6); /* the two that left are gone */
	env_close(&e);
}

/*
 * A group change overtakes the routes that wait: of 20,000, no more than those already handed over (a ring of 2,048) go
 * before it, and it is one message.
 */
static void
group_change_overtakes_routes(void **state)
{
	const struct model_config cfg = { .ack_us = 100, .op_us = 10, .queue = 1024 };
	struct model_stats before, after;
	struct sync_nexthop nh[PORTS];
	struct env e;
	char text[32];
	uint32_t g, h;

	(void)state;
	env_open(&e, &cfg);
	g = group(&e, 0x0f);
	h = group(&e, 0x30);
	route(&e, "10.200.0.0/24", g);
	pass(&e, MS(100));
	assert_int_equal(forwards(&e, "10.200.0.0/24"), 0x0f);
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.0/24", i >> 8, i & 255);
		route(&e, text, h);
	}
	settle(&e); /* the plane's queue is full now */
	model_stats(e.p, &before);
	sync_group_change(e.s, g, nh, hops_of_mask(0x07, nh));
	for (int i = 0; i < 1000 && forwards(&e, "10.200.0.0/24") != 0x07; i++) {
		e.tiny.clock.us += 100;
		settle(&e);
	}
	assert_int_equal(forwards(&e, "10.200.0.0/24"), 0x07);
	model_stats(e.p, &after);
	assert_int_equal(after.by_kind[PLAT_GROUP_SET], before.by_kind[PLAT_GROUP_SET] + 1);
	assert_true(after.by_kind[PLAT_ROUTE_SET] - before.by_kind[PLAT_ROUTE_SET] <= 2048);
	assert_true(after.by_kind[PLAT_ROUTE_SET] < 20000);
	pass(&e, SECONDS(2));
	assert_int_equal(stats(&e).routes_installed[FAMILY_IPV4], 20001);
	env_close(&e);
}

/* What changes faster than the forwarding plane follows is sent once, as it is in the end. */
static void
latest_wins(void **state)
{
	const struct model_config cfg = { .ack_us = MS(10), .queue = 16 };
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, &cfg);
	a = group(&e, 1);
	b = group(&e, 2);
	pass(&e, MS(100));
	for (int i = 0; i < 1000; i++)
		route(&e, "10.1.0.0/24", i % 3 == 0 ? 0 : i % 3 == 1 ? a : b);
	route(&e, "10.1.0.0/24", b);
	pass(&e, MS(200));
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 2);
	assert_true(stats(&e).route_messages <= 3);
	env_close(&e);
}

static void
freed_group_waits_for_its_routes(void **state)
{
	const struct model_config cfg = { .ack_us = MS(5), .queue = 4 };
	struct model_stats ms;
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, &cfg);
	a = group(&e, 3);
	route(&e, "10.1.0.0/24", a);
	route(&e, "2001:db8::/64", a);
	pass(&e, MS(100));
	b = group(&e, 12);
	route(&e, "10.1.0.0/24", b);
	route(&e, "2001:db8::/64", b);
	sync_group_free(e.s, a); /* in the same turn as the moves */
	for (int i = 0; i < 100; i++) {
		pass(&e, MS(1));
		assert_int_not_equal(forwards(&e, "10.1.0.0/24"), 0); /* never without a next hop */
		assert_int_not_equal(forwards(&e, "2001:db8::/64"), 0);
	}
	pass(&e, MS(100));
	model_stats(e.p, &ms);
	assert_int_equal(ms.groups, 1);
	assert_int_equal(ms.nexthops, 2);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 12);
	env_close(&e);
}

/* ---- ports ---- */

/* A plane that keeps next hops on dark ports (an ASIC) is told to shrink, with one message for each group. */
static void
shrinks_where_the_plane_does_not(void **state)
{
	const struct model_config cfg = { .keep_nexthops = true };
	struct sync_stats before;
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, &cfg);
	a = group(&e, 7);
	b = group(&e, 6);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.2.0.0/24", b);
	settle(&e);
	before = stats(&e);
	carrier(&e, 0, false);
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 6);
	assert_int_equal(stats(&e).group_messages, before.group_messages + 1);
	carrier(&e, 1, false);
	carrier(&e, 2, false);
	settle(&e);
	assert_int_equal(e.dark, 2);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_WAITS_LINK);
	carrier(&e, 2, true);
	settle(&e);
	assert_int_equal(e.back, 2);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 4);
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 4);
	assert_int_equal(state_of(&e, "10.2.0.0/24"), SYNC_INSTALLED);
	env_close(&e);
}

/* New routes to a group that is dark wait, and come with the port. */
static void
waits_for_the_link(void **state)
{
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	carrier(&e, 0, false);
	settle(&e);
	g = group(&e, 1);
	route(&e, "10.1.0.0/24", g);
	settle(&e);
	assert_int_equal(e.waiting, 1);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_WAITS_LINK);
	assert_int_equal(stats(&e).routes_waiting, 1);
	carrier(&e, 0, true);
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 1);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_INSTALLED);
	env_close(&e);
}

/* ---- refusals ---- */

static void
test_N09_table_full(void **state)
{
	const struct model_config cfg = { .max_routes = { 100, 100 } };
	struct model_stats before, after;
	struct env e;
	char text[32];
	uint32_t g;

	(void)state;
	env_open(&e, &cfg);
	g = group(&e, 3);
	for (int i = 0; i < 150; i++) {
		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		route(&e, text, g);
	}
	settle(&e);
	assert_int_equal(e.installed, 100);
	assert_int_equal(stats(&e).routes_failed, 50);
	assert_int_equal(state_of(&e, "10.1.149.0/24"), SYNC_FAILED);
	model_stats(e.p, &before);
	pass(&e, SECONDS(10));
	model_stats(e.p, &after);
	assert_true(after.full - before.full < 200); /* a full table is not hammered */
	for (int i = 0; i < 60; i++) {               /* deletions still go through, and make room */
		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		route(&e, text, 0);
	}
	pass(&e, SECONDS(60));
	assert_int_equal(stats(&e).routes_failed, 0);
	assert_int_equal(stats(&e).routes_installed[FAMILY_IPV4], 90);
	assert_int_equal(forwards(&e, "10.1.149.0/24"), 3);
	env_close(&e);
}

static void
test_N09_groups_full(void **state)
{
	const struct model_config cfg = { .max_groups = 2 };
	struct env e;
	uint32_t a, b, c;

	(void)state;
	env_open(&e, &cfg);
	a = group(&e, 1);
	b = group(&e, 2);
	c = group(&e, 4);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.2.0.0/24", b);
	route(&e, "10.3.0.0/24", c);
	settle(&e);
	assert_int_equal(state_of(&e, "10.3.0.0/24"), SYNC_FAILED);
	assert_non_null(strstr(e.event, "FIB_GROUP_FAILED"));
	assert_int_equal(e.installed, 2);
	route(&e, "10.1.0.0/24", 0);
	sync_group_free(e.s, a);
	pass(&e, SECONDS(60));
	assert_int_equal(state_of(&e, "10.3.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(forwards(&e, "10.3.0.0/24"), 4);
	env_close(&e);
}

static void
test_N10_group_wider_than_the_plane_takes(void **state)
{
	const struct model_config cfg = { .max_group_size = 4 };
	struct env e;

	(void)state;
	env_open(&e, &cfg);
	route(&e, "10.1.0.0/24", group(&e, 0xff));
	settle(&e);
	assert_non_null(strstr(e.event, "FIB_GROUP_CUT"));
	assert_int_equal(__builtin_popcount(forwards(&e, "10.1.0.0/24")), 4);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_INSTALLED);
	env_close(&e);
}

/* A refused replacement leaves the old entry; withdrawal does not wait for the retry. */
static void
refused_replacement(void **state)
{
	const struct model_fault fault = {
		.kind = MODEL_FAIL, .kinds = 1u << PLAT_ROUTE_SET, .error = -EINVAL, .detail = "no"
	};
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, NULL);
	a = group(&e, 1);
	b = group(&e, 2);
	route(&e, "10.1.0.0/24", a);
	settle(&e);
	model_fault_set(e.p, &fault);
	route(&e, "10.1.0.0/24", b);
	pass(&e, SECONDS(5));
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 1);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_FAILED);
	assert_string_equal(e.detail, "no");
	route(&e, "10.1.0.0/24", 0);
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 0);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_ABSENT);
	model_fault_set(e.p, NULL);
	env_close(&e);
}

static void
transient_refusals_pass(void **state)
{
	const struct model_fault fault = { .kind = MODEL_TRANSIENT, .count = 40 };
	struct env e;
	char text[32];
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	model_fault_set(e.p, &fault);
	g = group(&e, 0x3f);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		route(&e, text, g);
	}
	pass(&e, SECONDS(30));
	assert_int_equal(stats(&e).routes_installed[FAMILY_IPV4], 100);
	assert_int_equal(forwards(&e, "10.1.99.0/24"), 0x3f);
	env_close(&e);
}

static uint64_t
sent(struct env *e, enum plat_kind kind)
{
	struct model_stats st;

	model_stats(e->p, &st);
	return st.by_kind[kind];
}

/*
 * What is refused comes again ever less often, however much else succeeds, and at once when its port comes back. 100 ms
 * doubled: 7 trials fit into ten seconds, 2 more into a minute.
 */
static void
refused_objects_back_off(void **state)
{
	static const struct {
		const char *name;
		enum plat_kind kind;
	} cases[] = {
		{ "next hop", PLAT_NH_SET },
		{ "group", PLAT_GROUP_SET },
		{ "deleted next hop", PLAT_NH_DEL },
		{ "deleted group", PLAT_GROUP_DEL },
		{ "route", PLAT_ROUTE_SET },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct model_fault fault = {
			.kind = MODEL_FAIL, .kinds = 1u << cases[i].kind, .error = -EINVAL, .detail = "no"
		};
		bool del = cases[i].kind == PLAT_NH_DEL || cases[i].kind == PLAT_GROUP_DEL;
		struct model_stats st;
		struct env e;
		uint64_t first;
		uint32_t g, busy = 0;

		env_open(&e, NULL);
		busy = group(&e, 0x80);
		g = del ? group(&e, 1) : 0;
		settle(&e);
		model_fault_set(e.p, &fault);
		if (del)
			sync_group_free(e.s, g);
		else
			g = group(&e, 1);
		if (cases[i].kind == PLAT_ROUTE_SET)
			route(&e, "10.1.0.0/24", g);
		settle(&e);
		first = sent(&e, cases[i].kind);
		for (int k = 0; k < 1000; k++) { /* others come and go all the while */
			if (cases[i].kind == PLAT_NH_SET || del)
				route(&e, "10.2.0.0/24", k % 2 ? 0 : busy);
			pass(&e, MS(10));
		}
		if (sent(&e, cases[i].kind) - first < 5 || sent(&e, cases[i].kind) - first > 7)
			fail_msg("%s: tried again %lu times", cases[i].name,
			    (unsigned long)(sent(&e, cases[i].kind) - first));
		pass(&e, SECONDS(60));
		if (sent(&e, cases[i].kind) - first > 10)
			fail_msg("%s: tried again %lu times in a minute", cases[i].name,
			    (unsigned long)(sent(&e, cases[i].kind) - first));
		model_fault_set(e.p, NULL);
		pass(&e, SECONDS(31)); /* the longest pause */
		model_stats(e.p, &st);
		assert_int_equal(st.groups, del ? 1 : 2);
		assert_int_equal(st.nexthops, del ? 1 : 2);
		assert_int_equal(sync_check(e.s, NULL, NULL), 0);
		env_close(&e);
	}
}

/* While its deletion is refused, a next hop may be wanted again: it is used as it is. */
static void
undeletable_next_hop_is_used_again(void **state)
{
	const struct model_fault fault = { .kind = MODEL_TRANSIENT, .kinds = 1u << PLAT_NH_DEL };
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	g = group(&e, 1);
	settle(&e);
	model_fault_set(e.p, &fault);
	sync_group_free(e.s, g);
	pass(&e, SECONDS(1));
	g = group(&e, 1);
	route(&e, "10.1.0.0/24", g);
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 1);
	assert_int_equal(sent(&e, PLAT_NH_SET), 1);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

static void
null_takes_everything(void **state)
{
	struct env e;
	uint32_t g;

	(void)state;
	memset(&e, 0, sizeof(e));
	tiny_init(&e.tiny, true);
	e.p = null_platform_open(&e.tiny.rt, &e.mem, NULL, NULL, 0);
	start_sync(&e);
	g = group(&e, 3);
	route(&e, "10.1.0.0/24", g);
	settle(&e);
	assert_int_equal(e.installed, 1);
	assert_int_equal(sync_check(e.s, NULL, NULL), -ENOTSUP);
	sync_audit(e.s);
	pass(&e, SECONDS(1));
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_INSTALLED);
	env_close(&e);
}

/* Its ports are another's: so is what is counted. */
static void
null_tells_what_its_ports_count(void **state)
{
	struct counters c = { 0 }, of_ports = { 0 };
	struct platform *ports;
	struct env e;

	(void)state;
	memset(&e, 0, sizeof(e));
	tiny_init(&e.tiny, true);
	ports = model_open(&e.tiny.rt, &e.mem, NULL, NULL, NULL);
	e.p = null_platform_open(&e.tiny.rt, &e.mem, ports, NULL, 0);
	e.p->ops->counters(e.p, &c);
	ports->ops->counters(ports, &of_ports);
	assert_true(c.n > 0);
	assert_ptr_equal(c.list, of_ports.list);
	assert_ptr_equal(c.of, of_ports.of);
	e.p->ops->close(e.p);
	for (size_t k = 0; k < MEM_KINDS; k++)
		assert_int_equal(e.mem.by[k].bytes, 0);
}

/* ---- churn: anything in any order, and in the end the plane is as wanted ---- */

#define GROUPS   12
#define PREFIXES 60

struct churn {
	uint32_t group[GROUPS];
	unsigned int mask[GROUPS];
	int want[PREFIXES]; /* index of a group, -1: none */
	unsigned int up;
	uint64_t seed;
};

static uint32_t
dice(struct churn *c, uint32_t sides)
{
	c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(c->seed >> 33) % sides;
}

static const char *
nth_prefix(int i)
{
	static char text[40];

	snprintf(text, sizeof(text), i % 2 ? "2001:db8:%x::/64" : "10.1.%d.0/24", i);
	return text;
}

static void
churn_group(struct env *e, struct churn *c, uint32_t i)
{
	struct sync_nexthop nh[PORTS];
	unsigned int mask = 1 + dice(c, (1u << PORTS) - 1);
	bool used = false;

	for (int k = 0; k < PREFIXES; k++)
		used = used || c->want[k] == (int)i;
	if (!c->group[i]) {
		c->mask[i] = mask;
		c->group[i] = group(e, mask);
	} else if (!used && dice(c, 2)) {
		sync_group_free(e->s, c->group[i]);
		c->group[i] = 0;
	} else {
		c->mask[i] = mask;
		sync_group_change(e->s, c->group[i], nh, hops_of_mask(mask, nh));
	}
}

static void
churn_step(struct env *e, struct churn *c)
{
	uint32_t i = dice(c, GROUPS), k = dice(c, PREFIXES), port;

	switch (dice(c, 12)) {
	case 0:
	case 1:
		churn_group(e, c, i);
		break;
	case 2:
		port = dice(c, PORTS);
		c->up ^= 1u << port;
		carrier(e, (int)port, c->up & 1u << port);
		break;
	case 3:
		e->tiny.clock.us += (int64_t)dice(c, 3000);
		break;
	case 4:
		for (uint32_t n = dice(c, 20); n; n--)
			tiny_turn(&e->tiny, 0);
		break;
	case 5:
		route(e, nth_prefix((int)k), 0);
		c->want[k] = -1;
		break;
	case 6:
		if (dice(c, 30) == 0)
			sync_audit(e->s);
		else
			taken_by_another_hand(e, nth_prefix((int)k));
		break;
	default:
		if (!c->group[i])
			break;
		route(e, nth_prefix((int)k), c->group[i]);
		c->want[k] = (int)i;
		break;
	}
}

static void
churn_judge(struct env *e, const struct churn *c, const char *name, uint64_t seed)
{
	struct model_stats ms;
	size_t groups = 0, routes = 0;

	for (int k = 0; k < PREFIXES; k++) {
		unsigned int want = c->want[k] < 0 ? 0 : c->mask[c->want[k]] & c->up;
		unsigned int got = forwards(e, nth_prefix(k));

		if (want != got)
			fail_msg("%s, seed %lu: %s goes to ports %x, not %x (state %d)", name, (unsigned long)seed,
			    nth_prefix(k), got, want, (int)state_of(e, nth_prefix(k)));
		routes += want != 0;
	}
	for (int i = 0; i < GROUPS; i++)
		groups += c->group[i] && c->mask[i] & c->up;
	model_stats(e->p, &ms);
	if (ms.groups != groups || ms.routes[0] + ms.routes[1] != routes)
		fail_msg("%s, seed %lu: %zu groups and %zu routes in the plane, not %zu and %zu", name,
		    (unsigned long)seed, ms.groups, ms.routes[0] + ms.routes[1], groups, routes);
	assert_int_equal(sync_check(e->s, NULL, NULL), 0);
	assert_int_equal(stats(e).routes_installed[0] + stats(e).routes_installed[1], routes);
}

static void
churn(void **state)
{
	static const struct {
		const char *name;
		struct model_config cfg;
		struct model_fault fault;
	} rows[] = {
		{ "at once", { .queue = 0 }, { .count = 0 } },
		{ "slow", { .ack_us = MS(1), .op_us = 50, .queue = 8 }, { .count = 0 } },
		{ "refusing now and then", { .ack_us = 200 }, { .kind = MODEL_TRANSIENT, .count = 400 } },
	};

	(void)state;
	for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
		for (uint64_t seed = 1; seed <= 60; seed++) {
			struct churn c = { .up = (1u << PORTS) - 1, .seed = seed * 977 };
			struct env e;

			env_open(&e, &rows[row].cfg);
			if (rows[row].fault.count)
				model_fault_set(e.p, &rows[row].fault);
			memset(c.want, 0xff, sizeof(c.want));
			for (int i = 0; i < 1500; i++)
				churn_step(&e, &c);
			model_fault_set(e.p, NULL);
			pass(&e, SECONDS(2));
			pass(&e, SECONDS(62));
			churn_judge(&e, &c, rows[row].name, seed);
			env_close(&e);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_per_change),
		cmocka_unit_test(group_change_overtakes_routes),
		cmocka_unit_test(latest_wins),
		cmocka_unit_test(freed_group_waits_for_its_routes),
		cmocka_unit_test(shrinks_where_the_plane_does_not),
		cmocka_unit_test(waits_for_the_link),
		cmocka_unit_test(test_N09_table_full),
		cmocka_unit_test(test_N09_groups_full),
		cmocka_unit_test(test_N10_group_wider_than_the_plane_takes),
		cmocka_unit_test(refused_replacement),
		cmocka_unit_test(transient_refusals_pass),
		cmocka_unit_test(refused_objects_back_off),
		cmocka_unit_test(undeletable_next_hop_is_used_again),
		cmocka_unit_test(null_takes_everything),
		cmocka_unit_test(null_tells_what_its_ports_count),
		cmocka_unit_test(churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
