/*
 * tests/unit/platform/contract_test.c -- the contract of platform.h, run on every implementation
 *
 * An implementation is a row: how it is opened, how its ports get and lose carrier, how another owner's route comes to
 * stand in our way. What it is not able to do is read from its capabilities; each case is run on each row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "platform/linux/linux.h"
#include "platform/model/model.h"
#include "platform/null/null.h"
#include "tests/support/counters.h"
#include "tests/support/netns.h"
#include "tests/support/tiny_runtime.h"

#define PORTS 4
#define SEEN  8192

struct env;
struct impl {
	const char *name;
	bool stores;                /* can be read back, has ports */
	bool (*open)(struct env *); /* false: not possible here */
	void (*carrier)(struct env *, int port, bool up);
	void (*foreign)(struct env *, const char *prefix, uint32_t metric);
	void (*remove)(struct env *, int port);
};

struct env {
	const struct impl *impl;
	struct tiny tiny;
	struct mem mem;
	struct platform *p;
	struct plat_result results[SEEN];
	char detail[200];
	size_t n;
	bool inside; /* a call into the platform is under way: nothing may be told now */
	struct plat_port ports[32];
	size_t n_ports;
	uint64_t cookie;
};

/* ---- what the platform tells ---- */

static void
on_results(void *arg, const struct plat_result *r, size_t n)
{
	struct env *e = arg;

	assert_false(e->inside);
	for (size_t i = 0; i < n; i++) {
		assert_true(e->n < SEEN);
		e->results[e->n++] = r[i];
		if (r[i].detail)
			snprintf(e->detail, sizeof(e->detail), "%s", r[i].detail);
	}
}

static void
on_port(void *arg, const struct plat_port *p)
{
	struct env *e = arg;
	size_t i = 0;

	assert_false(e->inside);
	while (i < e->n_ports && e->ports[i].ifindex != p->ifindex)
		i++;
	assert_true(i < ARRAY_LEN(e->ports));
	e->ports[i] = *p;
	e->n_ports += i == e->n_ports;
}

static void
on_desync(void *arg, const char *why)
{
	struct env *e = arg;

	(void)why;
	assert_false(e->inside);
}

static void
on_problem(void *arg, const char *text)
{
	(void)arg;
	assert_true(text[0]);
}

static const struct platform_client client = {
	.port = on_port, .results = on_results, .desync = on_desync, .problem = on_problem
};

/* ---- the implementations ---- */

static bool
linux_open_row(struct env *e)
{
	char err[300];

	if (!netns_new())
		return false;
	for (int i = 0; i < PORTS; i++)
		assert_true(sh(
		    "ip link add p%d type veth peer name q%d && ip link set q%d up && ip link set p%d up", i, i, i, i));
	assert_true(sh("ip link set lo up"));
	e->p = linux_platform_open(&e->tiny.rt, &e->mem, NULL, err, sizeof(err));
	return e->p;
}

static void
linux_carrier(struct env *e, int port, bool up)
{
	(void)e;
	assert_true(sh("ip link set q%d %s", port, up ? "up" : "down"));
}

static void
linux_foreign(struct env *e, const char *prefix, uint32_t metric)
{
	(void)e;
	assert_true(sh("ip route add %s dev p0 metric %u proto static", prefix, metric));
}

static void
linux_remove(struct env *e, int port)
{
	(void)e;
	assert_true(sh("ip link del p%d", port));
}

static void
model_carrier(struct env *e, int port, bool up)
{
	char name[16];
	uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)port };

	snprintf(name, sizeof(name), "p%d", port);
	model_port_set(e->p, name, (uint32_t)port + 2, mac, up, NULL);
}

static bool
model_open_row(struct env *e)
{
	e->p = model_open(&e->tiny.rt, &e->mem, NULL, NULL, NULL);
	for (int i = 0; i < PORTS; i++)
		model_carrier(e, i, true);
	return true;
}

static bool
model_asic_row(struct env *e)
{
	const struct model_config cfg = { .ack_us = 500, .op_us = 3, .queue = 64, .keep_nexthops = true };

	e->p = model_open(&e->tiny.rt, &e->mem, &cfg, NULL, NULL);
	for (int i = 0; i < PORTS; i++)
		model_carrier(e, i, true);
	return true;
}

static bool
model_outlives_row(struct env *e)
{
	const struct model_config cfg = { .group_outlives = true, .own_nexthops = 4 };

	e->p = model_open(&e->tiny.rt, &e->mem, &cfg, NULL, NULL);
	for (int i = 0; i < PORTS; i++)
		model_carrier(e, i, true);
	return true;
}

static void
model_foreign(struct env *e, const char *prefix, uint32_t metric)
{
	struct plat_route r = { .type = PLAT_UNREACHABLE, .metric = metric };

	assert_true(prefix_parse(prefix, &r.prefix));
	assert_int_equal(model_foreign_route(e->p, &r), 0);
}

static void
model_remove(struct env *e, int port)
{
	model_port_remove(e->p, (uint32_t)port + 2);
}

static bool
null_open_row(struct env *e)
{
	char err[100];

	e->p = null_platform_open(&e->tiny.rt, &e->mem, NULL, err, sizeof(err));
	return true;
}

static const struct impl impls[] = {
	{ "model", true, model_open_row, model_carrier, model_foreign, model_remove },
	{ "model like a slow ASIC", true, model_asic_row, model_carrier, model_foreign, model_remove },
	{ "model whose groups outlive", true, model_outlives_row, model_carrier, model_foreign, model_remove },
	{ "linux", true, linux_open_row, linux_carrier, linux_foreign, linux_remove },
	{ "null", false, null_open_row, NULL, NULL, NULL },
};

/* ---- helpers ---- */

static void
run(struct env *e, int ms)
{
	int64_t end = tiny_clock_us() + MS(ms);

	do
		tiny_turn(&e->tiny, 1);
	while (tiny_clock_us() < end);
}

static bool
have_ports(void *arg)
{
	const struct env *e = arg;
	int up = 0;

	for (size_t i = 0; i < e->n_ports; i++)
		up += e->ports[i].name[0] == 'p' && e->ports[i].carrier;
	return up == PORTS;
}

static const struct plat_port *
port(struct env *e, int i)
{
	char name[16];

	snprintf(name, sizeof(name), "p%d", i);
	for (size_t k = 0; k < e->n_ports; k++) {
		if (strcmp(e->ports[k].name, name) == 0 && !e->ports[k].gone)
			return &e->ports[k];
	}
	return NULL;
}

static void
send_ops(struct env *e, struct plat_op *ops, size_t n)
{
	size_t done = 0, want = e->n + n;
	int64_t end = tiny_clock_us() + SECONDS(20);

	for (size_t i = 0; i < n; i++)
		ops[i].cookie = ++e->cookie;
	while (e->n < want) {
		if (done < n) {
			size_t got;

			e->inside = true;
			got = e->p->ops->submit(e->p, ops + done, n - done);
			e->inside = false;
			assert_true(got <= n - done);
			done += got;
		}
		tiny_turn(&e->tiny, 1);
		if (tiny_clock_us() > end)
			fail_msg("%s: no result for %zu of %zu operations", e->impl->name, want - e->n, n);
	}
}

/* One operation; its outcome. */
static enum plat_outcome
op(struct env *e, struct plat_op o)
{
	send_ops(e, &o, 1);
	assert_true(e->results[e->n - 1].cookie == e->cookie);
	if (e->results[e->n - 1].outcome == PLAT_INSTALLED)
		assert_int_equal(e->results[e->n - 1].error, 0);
	else
		assert_true(e->results[e->n - 1].error < 0);
	return e->results[e->n - 1].outcome;
}

static struct plat_op
nh_set(struct env *e, uint32_t id, int on)
{
	struct plat_op o = { .kind = PLAT_NH_SET, .id = id };

	o.nh.ifindex = e->impl->stores ? port(e, on)->ifindex : 1;
	assert_true(ip_parse("fe80::2", &o.nh.gateway));
	return o;
}

static struct plat_op
group_set(uint32_t id, const struct plat_member *m, size_t n)
{
	return (struct plat_op){ .kind = PLAT_GROUP_SET, .id = id, .group = { .members = m, .n = n } };
}

static struct plat_op
route_set(const char *prefix, uint32_t group)
{
	struct plat_op o = { .kind = PLAT_ROUTE_SET };

	assert_true(prefix_parse(prefix, &o.route.prefix));
	o.route.group = group;
	o.route.metric = 20;
	return o;
}

static struct plat_op
deletion(struct plat_op o)
{
	o.kind = o.kind == PLAT_NH_SET ? PLAT_NH_DEL : o.kind == PLAT_GROUP_SET ? PLAT_GROUP_DEL : PLAT_ROUTE_DEL;
	return o;
}

static const struct plat_member two[] = { { 101, 1 }, { 102, 1 } };

/* Two next hops, a group of both, a route of each family on it. */
static void
setup(struct env *e)
{
	struct plat_op ops[] = { nh_set(e, 101, 0), nh_set(e, 102, 1), group_set(201, two, 2),
		route_set("10.1.0.0/24", 201), route_set("2001:db8:1::/64", 201) };

	send_ops(e, ops, ARRAY_LEN(ops));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (e->results[e->n - ARRAY_LEN(ops) + i].outcome != PLAT_INSTALLED)
			fail_msg("%s: operation %zu of the setup: %s", e->impl->name, i, e->detail);
	}
}

struct seen {
	size_t nexthops, groups, members, routes, foreign;
	bool outlives;
	enum plat_kind last;
	bool disorder;
	const char *find;
	struct plat_route found;
	bool is_found;
	struct plat_member m[64];
};

static void
on_dump(void *arg, const struct plat_dumped *d)
{
	struct seen *s = arg;
	struct prefix p;

	s->disorder = s->disorder || d->kind < s->last;
	s->last = d->kind;
	if (d->foreign) {
		s->foreign++;
		return;
	}
	s->nexthops += d->kind == PLAT_NH_SET;
	s->groups += d->kind == PLAT_GROUP_SET;
	s->routes += d->kind == PLAT_ROUTE_SET;
	if (d->kind == PLAT_GROUP_SET) {
		s->members = d->op.group.n;
		s->outlives = d->op.group.outlives;
		memcpy(s->m, d->op.group.members, MIN_OF(d->op.group.n, ARRAY_LEN(s->m)) * sizeof(s->m[0]));
	}
	if (s->find && d->kind == PLAT_ROUTE_SET && prefix_parse(s->find, &p) &&
	    prefix_equal(&p, &d->op.route.prefix)) {
		s->found = d->op.route;
		s->is_found = true;
	}
}

static struct seen
dump(struct env *e, const char *find)
{
	struct seen s = { .find = find }, t = { .find = find };
	int err;

	assert_int_equal(e->p->ops->dump(e->p, on_dump, &s), 0);
	assert_false(s.disorder);
	if (!e->p->ops->dump_begin)
		return s;
	assert_int_equal(e->p->ops->dump_begin(e->p), 0); /* piece by piece it says the same */
	do
		err = e->p->ops->dump_step(e->p, on_dump, &t);
	while (err > 0);
	assert_int_equal(err, 0);
	assert_false(t.disorder);
	assert_int_equal(s.nexthops, t.nexthops);
	assert_int_equal(s.groups, t.groups);
	assert_int_equal(s.routes, t.routes);
	return s;
}

/* ---- the cases ---- */

static void
results_in_order(struct env *e)
{
	static struct plat_op ops[3000];
	size_t before;

	setup(e);
	before = e->n;
	for (uint32_t i = 0; i < ARRAY_LEN(ops); i++) {
		ops[i] = route_set("10.2.0.0/32", 201);
		ops[i].route.prefix.b[2] = (uint8_t)(i >> 8);
		ops[i].route.prefix.b[3] = (uint8_t)i;
	}
	send_ops(e, ops, ARRAY_LEN(ops));
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		assert_true(e->results[before + i].cookie == ops[i].cookie);
		assert_int_equal(e->results[before + i].outcome, PLAT_INSTALLED);
	}
	if (e->impl->stores)
		assert_int_equal(dump(e, NULL).routes, ARRAY_LEN(ops) + 2);
}

static void
idempotent(struct env *e)
{
	struct plat_op nh, g, r;

	setup(e);
	nh = nh_set(e, 101, 0);
	g = group_set(201, two, 2);
	r = route_set("10.1.0.0/24", 201);
	assert_int_equal(op(e, nh), PLAT_INSTALLED);
	assert_int_equal(op(e, g), PLAT_INSTALLED);
	assert_int_equal(op(e, r), PLAT_INSTALLED);
	nh.only_new = g.only_new = true; /* it is ours: it may be there already */
	assert_int_equal(op(e, nh), PLAT_INSTALLED);
	assert_int_equal(op(e, g), PLAT_INSTALLED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(op(e, deletion(r)), PLAT_INSTALLED);
		assert_int_equal(op(e, deletion(route_set("2001:db8:1::/64", 201))), PLAT_INSTALLED);
		assert_int_equal(op(e, deletion(g)), PLAT_INSTALLED);
		assert_int_equal(op(e, deletion(nh)), PLAT_INSTALLED);
	}
}

static void
reads_back(struct env *e)
{
	const struct plat_member weighted[] = { { 101, 3 }, { 102, 200 } };
	struct plat_op u = { .kind = PLAT_ROUTE_SET };
	struct seen s;

	setup(e);
	s = dump(e, "2001:db8:1::/64");
	assert_int_equal(s.nexthops, 2);
	assert_int_equal(s.groups, 1);
	assert_int_equal(s.members, 2);
	assert_int_equal(s.routes, 2);
	assert_true(s.is_found);
	assert_int_equal(s.found.group, 201);
	assert_int_equal(s.found.metric, 20);
	assert_int_equal(s.found.table, 0);
	assert_int_equal(op(e, group_set(201, weighted, 2)), PLAT_INSTALLED);
	s = dump(e, NULL);
	for (size_t i = 0; i < ARRAY_LEN(weighted); i++) {
		assert_int_equal(s.m[i].nh, weighted[i].nh);
		assert_int_equal(s.m[i].weight, weighted[i].weight);
	}

	assert_true(prefix_parse("10.0.0.0/8", &u.route.prefix));
	u.route.metric = 9999;
	for (int type = PLAT_UNREACHABLE; type <= PLAT_BLACKHOLE; type++) {
		u.route.type = (uint8_t)type;
		assert_int_equal(op(e, u), PLAT_INSTALLED);
		s = dump(e, "10.0.0.0/8");
		assert_true(s.is_found);
		assert_int_equal(s.found.type, type);
	}
	assert_int_equal(op(e, deletion(u)), PLAT_INSTALLED);
	assert_false(dump(e, "10.0.0.0/8").is_found);
}

/* What is refused leaves things as they were. */
static void
refusals(struct env *e)
{
	const struct plat_member unknown[] = { { 101, 1 }, { 999, 1 } };
	struct seen s;

	setup(e);
	assert_int_equal(op(e, group_set(201, unknown, 2)), PLAT_FAILED);
	assert_int_equal(op(e, group_set(202, unknown, 2)), PLAT_FAILED);
	assert_int_equal(op(e, route_set("10.1.0.0/24", 888)), PLAT_FAILED);
	assert_int_equal(op(e, route_set("10.9.0.0/24", 888)), PLAT_FAILED);
	s = dump(e, "10.1.0.0/24");
	assert_int_equal(s.groups, 1);
	assert_int_equal(s.members, 2);
	assert_int_equal(s.routes, 2);
	assert_int_equal(s.found.group, 201);
}

/* One refusal does not stop those behind it. */
static void
goes_on_after_a_refusal(struct env *e)
{
	struct plat_op ops[3];

	setup(e);
	ops[0] = route_set("10.3.0.0/24", 201);
	ops[1] = route_set("10.4.0.0/24", 777);
	ops[2] = route_set("10.5.0.0/24", 201);
	send_ops(e, ops, 3);
	assert_int_equal(e->results[e->n - 3].outcome, PLAT_INSTALLED);
	assert_int_equal(e->results[e->n - 2].outcome, PLAT_FAILED);
	assert_int_equal(e->results[e->n - 1].outcome, PLAT_INSTALLED);
	assert_int_equal(dump(e, NULL).routes, 4);
}

static void
group_changes_in_place(struct env *e)
{
	const struct plat_member three[] = { { 101, 1 }, { 102, 1 }, { 103, 1 } };
	struct seen s;

	setup(e);
	assert_int_equal(op(e, nh_set(e, 103, 2)), PLAT_INSTALLED);
	assert_int_equal(op(e, group_set(201, three, 3)), PLAT_INSTALLED);
	s = dump(e, NULL);
	assert_int_equal(s.members, 3);
	assert_int_equal(s.routes, 2);
	assert_int_equal(op(e, group_set(201, two + 1, 1)), PLAT_INSTALLED);
	s = dump(e, NULL);
	assert_int_equal(s.members, 1);
	assert_int_equal(s.routes, 2);
}

/* A deleted next hop has left its groups: nothing else changes there, and the last one takes only those with it that do not outlive it. */
static void
deletion_narrows(struct env *e)
{
	const struct plat_member three[] = { { 101, 2 }, { 102, 1 }, { 103, 2 } };
	struct plat_op set = group_set(201, three, 3);
	bool outlives;
	struct seen s;

	if (!e->p->caps.own_nexthops) /* then sync does not count on it */
		return;
	setup(e);
	assert_true(e->p->caps.carrier_deletes_nexthops);
	assert_int_equal(op(e, nh_set(e, 103, 2)), PLAT_INSTALLED);
	set.group.outlives = true;
	assert_int_equal(op(e, set), PLAT_INSTALLED);
	outlives = e->results[e->n - 1].outlives;
	assert_int_equal(outlives, e->p->caps.group_outlives);
	assert_int_equal(op(e, deletion(nh_set(e, 102, 1))), PLAT_INSTALLED);
	s = dump(e, "10.1.0.0/24");
	assert_int_equal(s.nexthops, 2);
	assert_int_equal(s.members, 2);
	assert_int_equal(s.m[0].nh, 101);
	assert_int_equal(s.m[1].nh, 103);
	assert_int_equal(s.m[0].weight, s.m[1].weight);
	assert_int_equal(s.routes, 2);
	assert_int_equal(s.found.group, 201);
	assert_int_equal(op(e, deletion(nh_set(e, 101, 0))), PLAT_INSTALLED);
	assert_int_equal(op(e, deletion(nh_set(e, 103, 2))), PLAT_INSTALLED);
	s = dump(e, NULL);
	assert_int_equal(s.members, 0);
	assert_int_equal(s.groups, outlives);
	assert_int_equal(s.routes, outlives ? 2 : 0);
}

static void
another_owner(struct env *e)
{
	struct plat_op r;

	setup(e);
	e->impl->foreign(e, "10.7.0.0/24", 20);
	r = route_set("10.7.0.0/24", 201);
	r.only_new = true;
	assert_int_equal(op(e, r), PLAT_FAILED);
	assert_int_equal(e->results[e->n - 1].error, -EEXIST);
	assert_false(dump(e, "10.7.0.0/24").is_found);        /* not ours */
	assert_int_equal(op(e, deletion(r)), PLAT_INSTALLED); /* and not deleted by us: it is still in the way */
	assert_int_equal(op(e, r), PLAT_FAILED);
	r.route.metric = 21; /* another metric is another route */
	assert_int_equal(op(e, r), PLAT_INSTALLED);
}

static bool
port_0_dark(void *arg)
{
	return !port(arg, 0) || !port(arg, 0)->carrier;
}

static bool
port_1_dark(void *arg)
{
	return !port(arg, 1) || !port(arg, 1)->carrier;
}

static bool
port_0_up(void *arg)
{
	return port(arg, 0) && port(arg, 0)->carrier;
}

static void
carrier(struct env *e)
{
	bool deletes = e->p->caps.carrier_deletes_nexthops;
	struct seen s;

	setup(e);
	e->impl->carrier(e, 0, false);
	assert_true(tiny_until(&e->tiny, port_0_dark, e, 2000));
	s = dump(e, NULL);
	assert_int_equal(s.nexthops, deletes ? 1 : 2);
	assert_int_equal(s.members, deletes ? 1 : 2);
	assert_int_equal(s.routes, 2);
	assert_int_equal(op(e, nh_set(e, 104, 0)), PLAT_WAITS_LINK);
	e->impl->carrier(e, 1, false);
	assert_true(tiny_until(&e->tiny, port_1_dark, e, 2000));
	s = dump(e, NULL);
	assert_int_equal(s.groups, deletes ? 0 : 1); /* emptied: with all routes on it */
	assert_int_equal(s.routes, deletes ? 0 : 2);

	e->impl->carrier(e, 0, true);
	assert_true(tiny_until(&e->tiny, port_0_up, e, 2000));
	run(e, 20);
	assert_int_equal(dump(e, NULL).routes, deletes ? 0 : 2); /* nothing comes back by itself */
	assert_int_equal(op(e, nh_set(e, 101, 0)), PLAT_INSTALLED);
	assert_int_equal(op(e, group_set(201, two, 1)), PLAT_INSTALLED);
	assert_int_equal(op(e, route_set("10.1.0.0/24", 201)), PLAT_INSTALLED);
}

static bool
can_outlive(void *arg)
{
	const struct env *e = arg;

	return e->p->caps.group_outlives;
}

/* A group of one member, whose port goes dark, and whose next hop is deleted: it stays, with its routes, where it said so. */
static void
outlives(struct env *e)
{
	bool can = tiny_until(&e->tiny, can_outlive, e, 1000), deletes = e->p->caps.carrier_deletes_nexthops;
	struct seen s;

	setup(e);
	s = dump(e, NULL);
	assert_false(s.outlives); /* it has two */
	assert_int_equal(op(e, group_set(201, two, 1)), PLAT_INSTALLED);
	assert_int_equal(e->results[e->n - 1].outlives, can);
	s = dump(e, NULL);
	assert_int_equal(s.outlives, can);
	assert_int_equal(s.members, 1);

	e->impl->carrier(e, 0, false);
	assert_true(tiny_until(&e->tiny, port_0_dark, e, 2000));
	run(e, 20);
	s = dump(e, NULL);
	assert_int_equal(s.groups, can || !deletes);
	assert_int_equal(s.routes, can || !deletes ? 2 : 0);
	if (!can)
		return;
	assert_int_equal(s.members, 0);
	assert_true(s.outlives);

	assert_int_equal(op(e, group_set(201, two + 1, 1)), PLAT_INSTALLED); /* filled again, its routes go on */
	assert_true(e->results[e->n - 1].outlives);
	s = dump(e, NULL);
	assert_int_equal(s.members, 1);
	assert_int_equal(s.routes, 2);
	assert_int_equal(op(e, deletion(nh_set(e, 102, 1))), PLAT_INSTALLED);
	s = dump(e, NULL);
	assert_int_equal(s.groups, 1);
	assert_int_equal(s.members, 0);
	assert_int_equal(s.routes, 2);

	assert_int_equal(op(e, deletion(route_set("10.1.0.0/24", 201))), PLAT_INSTALLED);
	assert_int_equal(op(e, deletion(route_set("2001:db8:1::/64", 201))), PLAT_INSTALLED);
	assert_int_equal(op(e, deletion(group_set(201, NULL, 0))), PLAT_INSTALLED);
	s = dump(e, NULL);
	assert_int_equal(s.groups, 0);
	assert_int_equal(s.routes, 0);
}

static bool
port_1_gone(void *arg)
{
	return !port(arg, 1);
}

static void
ports(struct env *e)
{
	struct plat_port_config cfg = { .up = true, .mtu = 9000 };

	for (int i = 0; i < PORTS; i++) {
		assert_non_null(port(e, i));
		assert_true(port(e, i)->carrier);
		assert_true(port(e, i)->ifindex > 0);
	}
	assert_int_equal(e->p->ops->port_setup(e->p, "nosuch", &cfg), -ENODEV);
	assert_int_equal(e->p->ops->port_setup(e->p, "p0", &cfg), 0);
	e->impl->remove(e, 1);
	assert_true(tiny_until(&e->tiny, port_1_gone, e, 2000));
	assert_int_equal(e->p->ops->port_setup(e->p, "p1", &cfg), -ENODEV);
}

/* Whoever counts says of each counter what it is; a refusal is counted once, and not as routine. */
static void
counts(struct env *e)
{
	struct counters c = { 0 };
	uint64_t before;

	assert_non_null(e->p->ops->counters);
	e->p->ops->counters(e->p, &c);
	if (!e->impl->stores) { /* it refuses nothing, and has no ports of another here */
		assert_int_equal(c.n, 0);
		return;
	}
	counters_are_sound(&c, 4096);
	setup(e);
	before = counters_trouble(&c);
	assert_int_equal(op(e, route_set("10.3.0.0/24", 202)), PLAT_FAILED);
	assert_true(counters_trouble(&c) == before + 1);
	assert_true(counter_named(&c, "refused") >= 1);
}

static const struct {
	const char *name;
	void (*fn)(struct env *);
	bool needs_store;
} cases[] = {
	{ "results in order, from the loop", results_in_order, false },
	{ "idempotent", idempotent, false },
	{ "reads back what was set", reads_back, true },
	{ "refusals change nothing", refusals, true },
	{ "goes on after a refusal", goes_on_after_a_refusal, true },
	{ "a group changes in place", group_changes_in_place, true },
	{ "a deleted next hop has left its groups", deletion_narrows, true },
	{ "another owner's route stays", another_owner, true },
	{ "loss and return of carrier", carrier, true },
	{ "a group that outlives its member", outlives, true },
	{ "ports", ports, true },
	{ "what it counts", counts, false },
};

static void
contract(const struct impl *impl)
{
	static struct env e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cases[i].needs_store && !impl->stores)
			continue;
		print_message("  %s: %s\n", impl->name, cases[i].name);
		memset(&e, 0, sizeof(e));
		e.impl = impl;
		tiny_init(&e.tiny, false);
		if (!impl->open(&e))
			skip();
		e.p->client = &client;
		e.p->client_arg = &e;
		if (impl->stores)
			assert_true(tiny_until(&e.tiny, have_ports, &e, 2000));
		cases[i].fn(&e);
		e.p->ops->close(e.p);
		for (size_t k = 0; k < MEM_KINDS; k++)
			assert_int_equal(e.mem.by[k].bytes, 0);
	}
}

static void
contract_model(void **state)
{
	(void)state;
	contract(&impls[0]);
}

static void
contract_model_asic(void **state)
{
	(void)state;
	contract(&impls[1]);
}

static void
contract_model_outlives(void **state)
{
	(void)state;
	contract(&impls[2]);
}

static void
contract_linux(void **state)
{
	(void)state;
	contract(&impls[3]);
}

static void
contract_null(void **state)
{
	(void)state;
	contract(&impls[4]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contract_model),
		cmocka_unit_test(contract_model_asic),
		cmocka_unit_test(contract_model_outlives),
		cmocka_unit_test(contract_linux),
		cmocka_unit_test(contract_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
