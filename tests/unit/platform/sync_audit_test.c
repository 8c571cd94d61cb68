/*
 * tests/unit/platform/sync_audit_test.c -- what is read back of the forwarding plane: audits, losses, lies, restarts
 *
 * What is there is asked of the plane in memory, never of sync.
 */
#include <time.h>

#include "tests/unit/platform/sync_env.h"

static int diffs;

static void
count_diff(void *arg, const char *what, const struct prefix *p, const char *text)
{
	(void)arg;
	(void)p;
	assert_true(what[0] && text[0]);
	diffs++;
}

static void
many_routes(struct env *e, unsigned int n)
{
	uint32_t g = group(e, 0x0f);
	char text[32];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
		route(e, text, g);
	}
	settle(e);
	pass(e, SECONDS(1));
	assert_int_equal(stats(e).routes_installed[FAMILY_IPV4], n);
}

static unsigned int
lose_many(struct env *e, unsigned int n)
{
	unsigned int lost = 0;
	struct prefix p;
	char text[32];

	for (unsigned int i = 0; i < n; i += 97, lost++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
		p = prefix(text);
		assert_int_equal(model_lose_route(e->p, 0, &p, METRIC, false), 0);
	}
	return lost;
}

/* An audit that is asked for while one is under way begins anew, and finds what either of them would have found. */
static void
audit_begun_anew_finds_all(void **state)
{
	enum { ROUTES = 20000 };
	struct env e;
	unsigned int lost;
	uint64_t repairs;

	(void)state;
	env_open(&e, NULL);
	many_routes(&e, ROUTES);
	for (int turns = 1; turns < 80; turns += 6) {
		repairs = stats(&e).repairs;
		lost = lose_many(&e, ROUTES);
		sync_audit(e.s);
		for (int i = 0; i < turns; i++)
			tiny_turn(&e.tiny, 0);
		sync_audit(e.s);
		settle(&e);
		if (stats(&e).repairs - repairs != lost)
			fail_msg("begun anew after %d turns: %lu of %u were repaired", turns,
			    (unsigned long)(stats(&e).repairs - repairs), lost);
		pass(&e, SECONDS(1));
	}
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

static void
desync(struct env *e)
{
	e->p->client->desync(e->p->client_arg, "something has changed");
}

static void
turns(struct env *e, int n)
{
	for (int i = 0; i < n; i++)
		tiny_turn(&e->tiny, 0);
}

/* The time of an audit that had to wait comes while another is under way: neither it nor any later one is forgotten. */
static void
audit_due_during_another(void **state)
{
	enum { ROUTES = 20000 };
	struct env e;
	uint64_t audits, repairs;
	unsigned int lost;

	(void)state;
	env_open(&e, NULL);
	many_routes(&e, ROUTES);
	sync_audit(e.s);
	settle(&e);
	desync(&e); /* too soon after that one: it waits */
	sync_audit(e.s);
	turns(&e, 3);
	audits = stats(&e).audits;
	e.tiny.clock.us += SECONDS(1);
	turns(&e, 3);
	assert_int_equal(stats(&e).audits, audits); /* it is still under way */
	settle(&e);
	pass(&e, SECONDS(1));
	assert_int_equal(stats(&e).audits, audits + 2);
	repairs = stats(&e).repairs;
	lost = lose_many(&e, ROUTES);
	desync(&e);
	pass(&e, SECONDS(1));
	assert_int_equal(stats(&e).repairs - repairs, lost);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/* Trouble that comes more often than an audit takes does not keep every audit from its end. */
static void
audit_amid_trouble(void **state)
{
	enum { ROUTES = 20000, OFTEN = 5 };
	struct env e;
	uint64_t audits, repairs;
	unsigned int lost;

	(void)state;
	env_open(&e, NULL);
	many_routes(&e, ROUTES);
	audits = stats(&e).audits;
	repairs = stats(&e).repairs;
	lost = lose_many(&e, ROUTES);
	for (int i = 0; i < 400; i++) {
		desync(&e);
		turns(&e, OFTEN);
		e.tiny.clock.us += MS(5);
	}
	assert_true(stats(&e).audits > audits + 1);
	assert_int_equal(stats(&e).repairs - repairs, lost);
	audits = stats(&e).audits;
	pass(&e, SECONDS(2)); /* and when it is over, the last is answered, and there is rest */
	assert_in_range(stats(&e).audits - audits, 1, 3);
	audits = stats(&e).audits;
	pass(&e, SECONDS(2));
	assert_int_equal(stats(&e).audits, audits);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/*
 * Of a long series that leaves, only what is under way already goes before the repair of a route that another hand took
 * away: whether the route is in the series, was in it, or has no part in it.
 */
static void
repairs_go_before_a_long_series(void **state)
{
	static const char *const taken[] = { "10.0.3.0/24", "10.77.0.0/24", "10.200.0.0/24" };
	enum { ROUTES = 20000 };
	struct model_config cfg = { .ack_us = 100, .op_us = 2 };
	uint64_t sent, repairs;
	uint32_t other;
	struct env e;
	char text[32];

	(void)state;
	env_open(&e, &cfg);
	many_routes(&e, ROUTES);
	route(&e, taken[2], group(&e, 0x0f));
	pass(&e, SECONDS(1));
	other = group(&e, 0x30);
	for (unsigned int i = 0; i < ROUTES; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
		route(&e, text, other);
	}
	sent = stats(&e).route_messages;
	repairs = stats(&e).repairs;
	while (stats(&e).route_messages - sent < ROUTES / 4)
		pass(&e, MS(1));
	sent = stats(&e).route_messages;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		taken_by_another_hand(&e, taken[i]);
	while (!forwards(&e, taken[0]) || !forwards(&e, taken[1]) || !forwards(&e, taken[2]))
		pass(&e, MS(1));
	assert_in_range(stats(&e).route_messages - sent, ARRAY_LEN(taken), ROUTES / 4);
	assert_int_equal(stats(&e).repairs, repairs + ARRAY_LEN(taken));
	pass(&e, SECONDS(1));
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		assert_int_equal(forwards(&e, taken[i]), i < 2 ? 0x30 : 0x0f);
	assert_int_equal(stats(&e).routes_installed[FAMILY_IPV4], ROUTES + 1);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/* A new route that is taken away after it came, but before its result: it is not taken for installed. */
static void
taken_while_under_way(void **state)
{
	struct model_config cfg = { .ack_us = MS(50) };
	struct prefix p = prefix("10.1.0.0/24");
	struct plat_op op = { .kind = PLAT_ROUTE_DEL, .route = { .prefix = p, .metric = METRIC } };
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, &cfg);
	g = group(&e, 0x03);
	route(&e, "10.2.0.0/24", g);
	pass(&e, SECONDS(1));
	e.installed = 0;
	route(&e, "10.1.0.0/24", g);
	settle(&e);
	e.p->client->lost(e.p->client_arg, &op, "another hand deleted it");
	while (
	    model_lose_route(e.p, 0, &p, METRIC, false)) /* as soon as it is there; its result comes in that moment */
		pass(&e, MS(1));
	assert_int_equal(e.installed, 0);
	route(&e, "10.1.0.0/24", 0); /* what is wanted may change meanwhile */
	route(&e, "10.1.0.0/24", g);
	pass(&e, SECONDS(1));
	assert_int_equal(e.installed, 1);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 0x03);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/*
 * A route of ours seems to be gone and is not: to send it anew is refused, since something stands in its place. The audit
 * finds that it is ours, and whoever was told of the failure is told that it is installed; the pause of the retry, which
 * another route has made long, is not waited for.
 */
static void
refused_since_it_is_there(void **state)
{
	const struct model_fault exists = {
		.kind = MODEL_FAIL, .kinds = 1u << PLAT_ROUTE_SET, .count = 1, .error = -EEXIST
	};
	struct plat_op op = { .kind = PLAT_ROUTE_DEL, .route = { .prefix = prefix("10.1.0.0/24"), .metric = METRIC } };
	struct plat_route foreign = { .prefix = prefix("10.2.0.0/24"), .type = PLAT_BLACKHOLE, .metric = METRIC };
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	assert_int_equal(model_foreign_route(e.p, &foreign), 0);
	g = group(&e, 0x03);
	route(&e, "10.1.0.0/24", g);
	route(&e, "10.2.0.0/24", g);
	pass(&e, SECONDS(60));
	assert_int_equal(e.installed, 1);
	e.failed = 0;
	model_fault_set(e.p, &exists);
	e.p->client->lost(e.p->client_arg, &op, "another hand deleted it, or so it seems");
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 0x03);
	assert_int_equal(e.failed, 1);
	assert_int_equal(e.installed, 2);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(stats(&e).routes_failed, 1);
	pass(&e, SECONDS(60));
	assert_int_equal(e.installed, 2);
	assert_int_equal(state_of(&e, "10.2.0.0/24"), SYNC_FAILED);
	env_close(&e);
}

/* Another program's route to the same prefix, under a metric of its own, is no concern of ours. */
static void
other_metrics_are_not_ours(void **state)
{
	struct plat_op op = { .kind = PLAT_ROUTE_DEL, .route = { .prefix = prefix("10.1.0.0/24"), .metric = 100 } };
	struct env e;
	uint64_t sent;
	size_t events;

	(void)state;
	env_open(&e, NULL);
	route(&e, "10.1.0.0/24", group(&e, 0x03));
	pass(&e, SECONDS(1));
	sent = stats(&e).route_messages;
	events = e.events;
	e.p->client->lost(e.p->client_arg, &op, "another program replaced the route");
	pass(&e, SECONDS(1));
	assert_int_equal(e.events, events);
	assert_int_equal(stats(&e).route_messages, sent);
	assert_int_equal(stats(&e).repairs, 0);
	env_close(&e);
}

/* A dump that shows, whenever it is read, what was there when it began: as what the kernel has written already. */
struct late_dump {
	struct platform_ops ops;
	const struct platform_ops *real;
	struct plat_dumped items[64];
	struct plat_member members[64][PORTS];
	size_t n;
	bool begun;
};
static struct late_dump late;

static void
late_item(void *arg, const struct plat_dumped *d)
{
	(void)arg;
	assert_true(late.n < ARRAY_LEN(late.items));
	late.items[late.n] = *d;
	if (d->kind == PLAT_GROUP_SET) {
		assert_true(d->op.group.n <= PORTS);
		memcpy(late.members[late.n], d->op.group.members, d->op.group.n * sizeof(*d->op.group.members));
		late.items[late.n].op.group.members = late.members[late.n];
	}
	late.n++;
}

static int
late_begin(struct platform *p)
{
	late.n = 0;
	late.begun = true;
	return late.real->dump(p, late_item, NULL);
}

static int
late_step(struct platform *p, plat_dump_fn *fn, void *arg)
{
	(void)p;
	for (size_t i = 0; i < late.n; i++)
		fn(arg, &late.items[i]);
	return 0;
}

static void
change_to_0x01(struct env *e, uint32_t g)
{
	struct sync_nexthop nh[PORTS];

	sync_group_change(e->s, g, nh, hops_of_mask(0x01, nh));
}

static void
second_port_dark(struct env *e, uint32_t g)
{
	(void)g;
	carrier(e, 1, false);
}

static void
second_nexthop_lost(struct env *e, uint32_t g)
{
	struct plat_op op = { .kind = PLAT_NH_DEL, .id = 1001 };

	(void)g;
	assert_int_equal(model_lose_nexthop(e->p, op.id, false), 0);
	e->p->client->lost(e->p->client_arg, &op, "another program deleted it");
}

static void
second_neighbour_down(struct env *e, uint32_t g)
{
	struct sync_nexthop nh[PORTS];

	(void)g;
	hops_of_mask(0x02, nh);
	sync_nexthop_down(e->s, nh[0].ifindex, &nh[0].gateway);
}

/* What changes between the reading of the forwarding plane and the comparison is no difference. */
static void
changes_amid_an_audit(void **state)
{
	static const struct {
		const char *name;
		void (*change)(struct env *, uint32_t group);
		unsigned int left;
		uint64_t messages, repairs; /* of groups; that belong to the change itself */
	} rows[] = {
		{ "the group is set", change_to_0x01, 0x01, 1, 0 },
		{ "a port goes dark", second_port_dark, 0x05, 0, 0 },
		{ "a neighbour is lost", second_neighbour_down, 0x05, 0, 0 },
		{ "a next hop is taken away, and put back", second_nexthop_lost, 0x07, 2, 1 },
	};

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_LEN(rows); k++) {
		struct model_config cfg = { .ack_us = k % 2 ? MS(50)
							    : 0 }; /* the results come before the reading, or after */
		size_t i = k / 2;
		struct sync_stats was;
		struct env e;
		uint32_t g;

		env_open(&e, &cfg);
		late = (struct late_dump){ .ops = *e.p->ops, .real = e.p->ops };
		late.ops.dump_begin = late_begin;
		late.ops.dump_step = late_step;
		e.p->ops = &late.ops;
		g = group(&e, 0x07);
		route(&e, "10.1.0.0/24", g);
		route(&e, "10.2.0.0/24", group(&e, 0x06)); /* needs its next hops, whatever becomes of the first */
		pass(&e, SECONDS(1));
		was = stats(&e);
		sync_audit(e.s);
		while (!late.begun)
			tiny_turn(&e.tiny, 0);
		rows[i].change(&e, g);
		pass(&e, SECONDS(1));
		if (stats(&e).audits != was.audits + 1)
			fail_msg("%s: the audit did not come to its end", rows[i].name);
		if (forwards(&e, "10.1.0.0/24") != rows[i].left)
			fail_msg("%s: forwards to %#x", rows[i].name, forwards(&e, "10.1.0.0/24"));
		if (stats(&e).repairs - was.repairs != rows[i].repairs || strstr(e.event, "FIB_AUDIT"))
			fail_msg("%s: taken for %lu differences: %s", rows[i].name,
			    (unsigned long)(stats(&e).repairs - was.repairs), e.event);
		if (stats(&e).group_messages - was.group_messages != rows[i].messages)
			fail_msg("%s: the group was sent %lu times", rows[i].name,
			    (unsigned long)(stats(&e).group_messages - was.group_messages));
		assert_int_equal(sync_check(e.s, NULL, NULL), 0);
		env_close(&e);
	}
}

static void
check_in_pieces(void **state)
{
	enum { ROUTES = 20000 };
	int found = -1, steps = 0, err;
	struct env e;
	unsigned int lost;
	uint64_t check, other;

	(void)state;
	env_open(&e, NULL);
	many_routes(&e, ROUTES);
	lost = lose_many(&e, ROUTES);
	assert_int_equal(sync_check_begin(e.s, false, &check), 0);
	assert_int_equal(sync_check_begin(e.s, false, &other), -EBUSY);
	diffs = 0;
	while ((err = sync_check_step(e.s, check, count_diff, NULL, &found)) > 0) {
		assert_int_equal(found, diffs ? (int)lost : -1); /* how many is known before the first is told */
		steps++;
	}
	assert_int_equal(err, 0);
	assert_int_equal(found, lost); /* it repairs nothing */
	assert_int_equal(diffs, lost);
	assert_int_equal(sync_check_step(e.s, check, NULL, NULL, &found), -EAGAIN);

	/* The same in one go: it is there at once, and told piece by piece. */
	assert_int_equal(sync_check_begin(e.s, true, &check), 0);
	for (found = -1, diffs = 0; (err = sync_check_step(e.s, check, count_diff, NULL, &found)) > 0;)
		assert_true(found == (int)lost && diffs > 0);
	assert_true(err == 0 && diffs == (int)lost);

	/* An audit goes before a check, and leaves nothing for it to find. */
	assert_int_equal(sync_check_begin(e.s, false, &check), 0);
	sync_audit(e.s);
	settle(&e);
	assert_int_equal(sync_check_step(e.s, check, count_diff, NULL, &found), -EAGAIN);
	assert_int_equal(sync_check_begin(e.s, false, &check), 0);
	while ((err = sync_check_step(e.s, check, count_diff, NULL, &found)) > 0)
		;
	assert_int_equal(err, 0);
	assert_int_equal(found, 0);

	/* One that nobody steps is given up. */
	assert_int_equal(sync_check_begin(e.s, false, &check), 0);
	pass(&e, SECONDS(2));
	assert_int_equal(sync_check_begin(e.s, false, &other), 0);
	assert_int_equal(sync_check_step(e.s, check, NULL, NULL, &found), -EAGAIN);
	(void)lose_many(&e, ROUTES);
	assert_int_equal(sync_check_step(e.s, other, NULL, NULL, &found), 1);
	env_close(&e); /* what it found is freed */
}

/* A plane that says yes and does nothing is found out by the check, and repaired by the audit. */
static void
a_plane_that_lies(void **state)
{
	const struct model_fault fault = { .kind = MODEL_LIE, .kinds = 1u << PLAT_ROUTE_SET, .after = 10, .count = 5 };
	struct env e;
	char text[32];
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	g = group(&e, 3);
	model_fault_set(e.p, &fault);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		route(&e, text, g);
	}
	settle(&e);
	assert_int_equal(e.installed, 50);
	diffs = 0;
	assert_int_equal(sync_check(e.s, count_diff, NULL), 5);
	assert_int_equal(diffs, 5);
	assert_int_equal(sync_check(e.s, count_diff, NULL), 5); /* the check repairs nothing */
	sync_audit(e.s);
	settle(&e);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	assert_int_equal(stats(&e).repairs, 5);
	env_close(&e);
}

static void
losses_are_repaired(void **state)
{
	struct prefix p = prefix("10.1.0.0/24");
	struct sync_route_view v;
	struct env e;
	uint32_t g;

	(void)state;
	env_open(&e, NULL);
	g = group(&e, 3);
	route(&e, "10.1.0.0/24", g);
	route(&e, "10.2.0.0/24", g);
	route(&e, "2001:db8::/64", g);
	settle(&e);
	assert_true(sync_route_get(e.s, 0, &p, &v));
	assert_int_equal(model_lose_route(e.p, 0, &p, METRIC, true), 0);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 3);
	assert_int_equal(model_lose_group(e.p, v.platform_group, true), 0);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 3);
	assert_int_equal(model_lose_nexthop(e.p, 1000, true), 0);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "2001:db8::/64"), 3);
	model_reset(e.p);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 3);
	assert_int_equal(forwards(&e, "2001:db8::/64"), 3);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/* A restart with other wishes: equal things stay, others are changed, what is left is swept; nothing is flushed. */
static void
restart_with_other_wishes(void **state)
{
	struct prefix cover = prefix("10.0.0.0/8");
	struct model_stats ms;
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, NULL);
	a = group(&e, 3);
	b = group(&e, 12);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.2.0.0/24", a);
	route(&e, "10.3.0.0/24", b);
	sync_route_cover(e.s, 0, &cover, PLAT_UNREACHABLE);
	settle(&e);
	sync_free(e.s);
	start_sync(&e);
	e.installed = 0;
	a = group(&e, 3);
	b = group(&e, 0x30);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.3.0.0/24", b);
	sync_route_cover(e.s, 0, &cover, PLAT_UNREACHABLE);
	settle(&e);
	assert_int_equal(e.installed, 2);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 3);
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 3);
	assert_int_equal(forwards(&e, "10.3.0.0/24"), 0x30);
	assert_int_equal(stats(&e).route_messages, 1);
	sync_sweep(e.s);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 0);
	model_stats(e.p, &ms);
	assert_int_equal(ms.routes[FAMILY_IPV4], 3);
	assert_int_equal(ms.groups, 2);
	assert_int_equal(ms.nexthops, 4);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

/*
 * After a restart a group takes over what it was on, where a route stays that nobody has asked for yet. Its members may
 * go; when one comes, the group moves to an object of its own, so that this route gains no next hop.
 */
static void
restart_widens_nobody_else(void **state)
{
	struct sync_nexthop nh[PORTS];
	struct model_stats ms;
	struct env e;
	uint32_t a;

	(void)state;
	env_open(&e, NULL);
	a = group(&e, 7);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.2.0.0/24", a);
	settle(&e);
	sync_free(e.s);
	start_sync(&e);
	a = group(&e, 7);
	route(&e, "10.1.0.0/24", a);
	settle(&e);
	assert_int_equal(stats(&e).group_messages + stats(&e).route_messages, 0); /* taken over */
	sync_group_change(e.s, a, nh, hops_of_mask(3, nh));
	settle(&e);
	assert_int_equal(stats(&e).route_messages, 0); /* in place */
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 3);
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 3);
	e.failed = e.waiting = e.dark = 0;
	sync_group_change(e.s, a, nh, hops_of_mask(0x0b, nh));
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 0x0b);
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 3);
	assert_int_equal(state_of(&e, "10.1.0.0/24"), SYNC_INSTALLED);
	assert_int_equal(e.failed + e.waiting + e.dark, 0);
	sync_sweep(e.s);
	pass(&e, SECONDS(1));
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 0);
	model_stats(e.p, &ms);
	assert_int_equal(ms.groups, 1);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	sync_group_change(e.s, a, nh, hops_of_mask(0xff, nh)); /* its own now: in place */
	settle(&e);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 0xff);
	assert_int_equal(stats(&e).route_messages, 2); /* to the object of its own, and the deletion */
	env_close(&e);
}

/* Wanted next hops on dark ports, and one that is left, which is what the object has: nothing moves, whichever it is. */
static void
dark_ports_move_nobody(void **state)
{
	(void)state;
	for (int left = 0; left < 6; left++) {
		struct sync_nexthop nh[PORTS];
		struct env e;
		uint32_t a;

		env_open(&e, NULL);
		a = group(&e, 0x3f);
		route(&e, "10.1.0.0/24", a);
		route(&e, "10.2.0.0/24", a);
		settle(&e);
		sync_free(e.s);
		start_sync(&e);
		a = group(&e, 0x3f);
		route(&e, "10.1.0.0/24", a);
		settle(&e);
		sync_group_change(e.s, a, nh, hops_of_mask(1u << left, nh));
		settle(&e);
		for (int port = 0; port < 6; port++)
			if (port != left)
				carrier(&e, port, false);
		sync_group_change(e.s, a, nh, hops_of_mask(0x3f, nh));
		settle(&e);
		assert_int_equal(stats(&e).route_messages, 0);
		assert_int_equal(forwards(&e, "10.1.0.0/24"), 1u << left);
		assert_int_equal(forwards(&e, "10.2.0.0/24"), 1u << left);
		env_close(&e);
	}
}

/*
 * A successor that is held wants one group where its predecessor had two with the same members, and one that is another:
 * the first is right as it is, and moves when the successor is in charge; the second is wrong.
 */
static void
held_takes_equal_groups_for_one(void **state)
{
	struct sync_comparison fib;
	struct model_stats ms;
	struct env e;
	uint32_t a, b;

	(void)state;
	env_open(&e, NULL);
	route(&e, "10.1.0.0/24", group(&e, 3));
	route(&e, "10.2.0.0/24", group(&e, 3));
	route(&e, "10.3.0.0/24", group(&e, 12));
	settle(&e);
	model_stats(e.p, &ms);
	assert_int_equal(ms.groups, 3);
	sync_free(e.s);
	start_sync(&e);
	sync_hold(e.s, true);
	a = group(&e, 3);
	b = group(&e, 4);
	route(&e, "10.1.0.0/24", a);
	route(&e, "10.2.0.0/24", a);
	route(&e, "10.3.0.0/24", b);
	settle(&e);
	sync_compare(e.s, &fib);
	assert_int_equal(fib.right, 2);
	assert_int_equal(fib.wrong, 1);
	assert_int_equal(stats(&e).routes_pending + stats(&e).routes_waiting, 1);
	assert_int_equal(stats(&e).route_messages + stats(&e).group_messages, 0);
	assert_false(sync_idle(e.s)); /* it knows what it will send */
	sync_hold(e.s, false);
	settle(&e);
	assert_int_equal(stats(&e).route_messages, 2);
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 3);
	assert_int_equal(forwards(&e, "10.2.0.0/24"), 3);
	assert_int_equal(forwards(&e, "10.3.0.0/24"), 4);
	sync_sweep(e.s);
	pass(&e, SECONDS(1));
	model_stats(e.p, &ms);
	assert_int_equal(ms.groups, 2);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

static double
cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * A successor asks once a millisecond how far it is, while its routes meet those that were found and stay queued, since
 * nothing leaves. That must cost nothing for each of them, or it comes to nothing else: a walk for each question would
 * be 400 million routes here, the answers take a few milliseconds.
 */
static void
asking_while_held_costs_nothing(void **state)
{
	enum { ROUTES = 20000, QUESTIONS = 20000 };
	struct sync_comparison fib;
	struct env e;
	char text[32];
	uint32_t g;
	double from;

	(void)state;
	env_open(&e, NULL);
	for (int twice = 0; twice < 2; twice++) {
		g = group(&e, 3);
		for (unsigned int i = 0; i < ROUTES; i++) {
			snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
			route(&e, text, g);
		}
		settle(&e);
		if (twice)
			break;
		sync_free(e.s);
		start_sync(&e);
		sync_hold(e.s, true);
	}
	assert_false(sync_idle(e.s));
	sync_compare(e.s, &fib);
	assert_int_equal(fib.right, ROUTES);
	from = cpu_s();
	for (int i = 0; i < QUESTIONS; i++)
		assert_int_equal(stats(&e).routes_pending, 0);
	assert_true(cpu_s() - from < 0.2);
	sync_hold(e.s, false);
	settle(&e);
	assert_int_equal(stats(&e).route_messages, 0);
	assert_true(sync_idle(e.s));
	env_close(&e);
}

/* Something of the other kind has a group's id: the group cannot be sent any more until an audit takes that away. */
static void
an_id_that_is_taken_is_freed(void **state)
{
	const struct platform_client *client_was;
	struct plat_op op = { .kind = PLAT_NH_SET };
	struct prefix p = prefix("10.1.0.0/24");
	struct sync_nexthop nh[PORTS];
	struct sync_route_view v;
	struct env e;
	uint32_t a;

	(void)state;
	env_open(&e, NULL);
	sync_sweep(e.s);
	a = group(&e, 3);
	route(&e, "10.1.0.0/24", a);
	pass(&e, SECONDS(1));
	assert_true(sync_route_get(e.s, 0, &p, &v));
	assert_int_equal(model_lose_group(e.p, v.platform_group, false), 0);
	client_was = e.p->client;
	e.p->client = NULL; /* the results are of no interest to sync */
	op.id = v.platform_group;
	op.nh.ifindex = 6;
	assert_true(ip_parse("fe80::77", &op.nh.gateway));
	assert_int_equal(e.p->ops->submit(e.p, &op, 1), 1);
	settle(&e);
	e.p->client = client_was;
	sync_group_change(e.s, a, nh, hops_of_mask(7, nh));
	pass(&e, SECONDS(70));
	assert_int_equal(forwards(&e, "10.1.0.0/24"), 7);
	assert_int_equal(sync_check(e.s, NULL, NULL), 0);
	env_close(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(audit_begun_anew_finds_all),
		cmocka_unit_test(audit_due_during_another),
		cmocka_unit_test(audit_amid_trouble),
		cmocka_unit_test(repairs_go_before_a_long_series),
		cmocka_unit_test(taken_while_under_way),
		cmocka_unit_test(refused_since_it_is_there),
		cmocka_unit_test(other_metrics_are_not_ours),
		cmocka_unit_test(changes_amid_an_audit),
		cmocka_unit_test(check_in_pieces),
		cmocka_unit_test(a_plane_that_lies),
		cmocka_unit_test(losses_are_repaired),
		cmocka_unit_test(restart_with_other_wishes),
		cmocka_unit_test(restart_widens_nobody_else),
		cmocka_unit_test(dark_ports_move_nobody),
		cmocka_unit_test(held_takes_equal_groups_for_one),
		cmocka_unit_test(asking_while_held_costs_nothing),
		cmocka_unit_test(an_id_that_is_taken_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
