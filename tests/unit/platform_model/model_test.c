/* The forwarding plane in memory: limits, order of results, carrier loss, faults, lookups, dumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/runtime/sim/sim.h"
#include "platform/model/model.h"
#include "fabricd/lib/base.h"

struct bench {
	struct mem mem;
	struct sim_net *net;
	struct platform *p;
	struct plat_result results[512];
	size_t nresults, batches;
	int desyncs, ports;
	struct plat_port port;
	struct plat_op lost;
	int nlost;
	bool close_in_results;
};

static void
on_results(void *arg, const struct plat_result *r, size_t n)
{
	struct bench *b = arg;

	b->batches++;
	for (size_t i = 0; i < n && b->nresults < ARRAY_LEN(b->results); i++)
		b->results[b->nresults++] = r[i];
	if (b->close_in_results) {
		b->p->ops->close(b->p);
		b->p = NULL;
	}
}

static void
on_port(void *arg, const struct plat_port *port)
{
	struct bench *b = arg;

	b->ports++;
	b->port = *port;
}

static void
on_desync(void *arg, const char *why UNUSED)
{
	((struct bench *)arg)->desyncs++;
}

static void
on_lost(void *arg, const struct plat_op *op, const char *why UNUSED)
{
	struct bench *b = arg;

	b->nlost++;
	b->lost = *op;
}

static const struct platform_client client = {
	.port = on_port, .results = on_results, .desync = on_desync, .lost = on_lost
};

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

static void
run(struct bench *b, int64_t us)
{
	sim_run_until(b->net, mono_add(sim_now(b->net), us));
}

/* Four ports with carrier, a next hop over each: ids 1 to 4, fe80::1 to fe80::4. */
static void
begin(struct bench *b, const struct model_config *cfg)
{
	memset(b, 0, sizeof(*b));
	b->net = sim_net_new(&b->mem, 1);
	b->p = model_open(sim_node_new(b->net, "a"), &b->mem, cfg, &client, b);
	for (uint32_t i = 1; i <= 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "eth%u", i);
		model_port_set(b->p, name, i, mac, true, NULL);
	}
	run(b, 1);
	assert_int_equal(b->ports, 4);
}

static void
end(struct bench *b)
{
	if (b->p)
		b->p->ops->close(b->p);
	sim_net_free(b->net);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(b->mem.by[k].bytes, 0);
}

static struct plat_op
nh(uint32_t id, const char *gateway)
{
	struct plat_op op = { .kind = PLAT_NH_SET, .id = id, .cookie = id };

	op.nh.ifindex = id;
	assert_true(ip_parse(gateway, &op.nh.gateway));
	return op;
}

static struct plat_op
group(uint32_t id, const struct plat_member *m, size_t n)
{
	struct plat_op op = { .kind = PLAT_GROUP_SET, .id = id, .cookie = id };

	op.group.members = m;
	op.group.n = n;
	return op;
}

static struct plat_op
route(const char *prefix, uint32_t on, bool is_nh)
{
	struct plat_op op = { .kind = PLAT_ROUTE_SET, .cookie = 1000 };

	assert_true(prefix_parse(prefix, &op.route.prefix));
	op.route.group = on;
	op.route.group_is_nh = is_nh;
	op.route.metric = 20;
	return op;
}

/* Does one operation and gives what became of it. */
static struct plat_result
doit(struct bench *b, struct plat_op op)
{
	b->nresults = 0;
	assert_int_equal(b->p->ops->submit(b->p, &op, 1), 1);
	assert_int_equal(b->nresults, 0); /* never from inside the call */
	run(b, SECONDS(1));
	assert_int_equal(b->nresults, 1);
	assert_int_equal(b->results[0].cookie, op.cookie);
	return b->results[0];
}

static void
must(struct bench *b, struct plat_op op)
{
	struct plat_result r = doit(b, op);

	if (r.outcome != PLAT_INSTALLED)
		fail_msg(
		    "operation %d of id %u: outcome %d, error %d, %s", op.kind, op.id, r.outcome, r.error, r.detail);
}

static const struct plat_member four[] = { { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 5 } };

static void
fill(struct bench *b)
{
	must(b, nh(1, "fe80::1"));
	must(b, nh(2, "fe80::2"));
	must(b, nh(3, "fe80::3"));
	must(b, nh(4, "fe80::4"));
	must(b, group(100, four, 4));
	must(b, route("10.0.0.0/8", 100, false));
	must(b, route("10.1.0.0/16", 4, true));
	must(b, route("2001:db8::/32", 100, false));
}

static enum model_verdict
look(struct bench *b, const char *dst, struct model_result *r)
{
	struct ip a;

	assert_true(ip_parse(dst, &a));
	return model_lookup(b->p, 0, &a, r);
}

static void
longest_match(void **state UNUSED)
{
	struct bench b;
	struct model_result r;
	struct ip a;
	size_t hits[4] = { 0 };
	struct plat_op cover = route("0.0.0.0/0", 0, false), low = route("10.0.0.0/8", 0, false);

	begin(&b, NULL);
	fill(&b);
	assert_int_equal(look(&b, "11.0.0.1", &r), MODEL_NO_ROUTE);
	cover.route.type = PLAT_UNREACHABLE;
	must(&b, cover);
	assert_int_equal(look(&b, "11.0.0.1", &r), MODEL_UNREACHABLE);
	low.route.type = PLAT_BLACKHOLE; /* of worse metric: a cover route */
	low.route.metric = 4000;
	must(&b, low);
	assert_int_equal(look(&b, "10.2.0.1", &r), MODEL_FORWARD);
	assert_int_equal(r.nhops, 4);
	assert_int_equal(r.metric, 20);
	for (uint64_t flow = 0; flow < 8000; flow++)
		hits[model_pick(b.p, &r, flow)]++;
	assert_in_range(hits[0], 850, 1150); /* weights 1, 1, 1, 5 */
	assert_in_range(hits[3], 4700, 5300);
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_FORWARD);
	assert_int_equal(r.nhops, 1);
	assert_int_equal(r.hops[0].ifindex, 4);
	assert_int_equal(r.prefix.len, 16);
	assert_int_equal(look(&b, "2001:db8::1", &r), MODEL_FORWARD);
	ip_parse("10.1.2.3", &a);
	assert_int_equal(b.p->ops->address_set(b.p, "lo", &a, 32, true), 0);
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_LOCAL);
	ip_parse("10.1.9.1", &a);
	assert_int_equal(b.p->ops->bridge_setup(b.p, "rack0", false), -ENODEV);
	assert_int_equal(b.p->ops->bridge_setup(b.p, "rack0", true), 0);
	assert_int_equal(b.p->ops->address_set(b.p, "rack0", &a, 24, true), 0);
	assert_int_equal(b.p->ops->address_set(b.p, "eth9", &a, 24, true), -ENODEV);
	assert_int_equal(look(&b, "10.1.9.77", &r), MODEL_CONNECTED);
	assert_string_equal(r.port, "rack0");
	end(&b);
}

/* What is refused, and with which outcome; the state stays as it was. */
static void
refusals(void **state UNUSED)
{
	static const struct plat_member twice[] = { { 1, 1 }, { 1, 1 } }, missing[] = { { 77, 1 } },
					zero[] = { { 1, 0 } }, v4[] = { { 5, 1 } };
	struct bench b;
	struct plat_op bad_port = nh(9, "fe80::9"), v4nh = nh(5, "192.0.2.1"), of_group = nh(100, "fe80::1");
	struct {
		const char *name;
		struct plat_op op;
		enum plat_outcome want;
		int error;
	} cases[] = {
		{ "next hop on no port", bad_port, PLAT_FAILED, -ENODEV },
		{ "empty group", group(101, four, 0), PLAT_FAILED, -EINVAL },
		{ "member twice", group(101, twice, 2), PLAT_FAILED, -EINVAL },
		{ "unknown member", group(101, missing, 1), PLAT_FAILED, -EINVAL },
		{ "weight 0", group(101, zero, 1), PLAT_FAILED, -EINVAL },
		{ "id of a next hop", group(1, four, 1), PLAT_FAILED, -EINVAL },
		{ "id of a group", of_group, PLAT_FAILED, -EINVAL },
		{ "route on nothing", route("10.9.0.0/16", 555, false), PLAT_FAILED, -EINVAL },
		{ "IPv6 over IPv4", route("2001:db8:1::/48", 5, true), PLAT_FAILED, -EINVAL },
		{ "IPv6 over a group with IPv4", route("2001:db8:1::/48", 102, false), PLAT_FAILED, -EINVAL },
	};
	struct model_stats before, after;

	cases[6].op.nh.ifindex = 1;
	begin(&b, NULL);
	fill(&b);
	v4nh.nh.ifindex = 1;
	must(&b, v4nh);
	must(&b, group(102, v4, 1));
	model_stats(b.p, &before);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plat_result r = doit(&b, cases[i].op);

		if (r.outcome != cases[i].want || r.error != cases[i].error || !r.detail)
			fail_msg("%s: outcome %d, error %d", cases[i].name, r.outcome, r.error);
	}
	model_stats(b.p, &after);
	assert_memory_equal(before.routes, after.routes, sizeof(before.routes));
	assert_int_equal(before.groups, after.groups);
	assert_int_equal(before.members, after.members);
	end(&b);
}

static void
tables_are_finite(void **state UNUSED)
{
	struct bench b;
	struct model_config cfg = {
		.max_routes = { 2, 1 }, .max_nexthops = 4, .max_groups = 1, .max_members = 4, .max_group_size = 4
	};
	struct plat_op op = { .kind = PLAT_ROUTE_DEL };

	begin(&b, &cfg);
	fill(&b);
	assert_int_equal(doit(&b, route("10.3.0.0/16", 100, false)).outcome, PLAT_TABLE_FULL);
	assert_int_equal(doit(&b, route("2001:db8:3::/48", 100, false)).outcome, PLAT_TABLE_FULL);
	assert_int_equal(doit(&b, group(101, four, 1)).outcome, PLAT_TABLE_FULL);
	must(&b, route("10.1.0.0/16", 100, false)); /* a change needs no room */
	must(&b, group(100, four, 2));
	must(&b, group(100, four, 4));
	op.route = route("10.1.0.0/16", 0, false).route;
	must(&b, op);
	must(&b, op); /* deleting what is not there succeeds */
	must(&b, route("10.3.0.0/16", 100, false));
	end(&b);
}

/* Next hops go, groups shrink, emptied groups and their routes go; nothing comes back by itself. */
static void
carrier_loss_as_in_linux(void **state UNUSED)
{
	struct bench b;
	struct model_result r;
	struct model_stats s;

	begin(&b, NULL);
	fill(&b);
	b.ports = 0;
	model_port_set(b.p, "eth4", 4, mac, false, NULL);
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_FORWARD); /* its own route went with next hop 4 */
	assert_int_equal(r.nhops, 3);
	run(&b, 1);
	assert_int_equal(b.ports, 1);
	assert_false(b.port.carrier);
	assert_int_equal(b.desyncs + b.nlost, 0);
	assert_int_equal(doit(&b, nh(4, "fe80::4")).outcome, PLAT_WAITS_LINK);
	for (uint32_t i = 1; i <= 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "eth%u", i);
		model_port_set(b.p, name, i, mac, false, NULL);
	}
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_NO_ROUTE);
	model_stats(b.p, &s);
	assert_int_equal(s.nexthops + s.groups + s.members + s.routes[0] + s.routes[1], 0);
	assert_int_equal(s.carrier_nexthops, 4);
	assert_int_equal(s.carrier_groups, 1);
	assert_int_equal(s.carrier_routes, 3);
	run(&b, 1);
	model_port_set(b.p, "eth1", 1, mac, true, NULL);
	run(&b, 1);
	assert_true(b.port.carrier);
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_NO_ROUTE);
	end(&b);
}

static void
carrier_loss_on_an_asic(void **state UNUSED)
{
	struct bench b;
	struct model_config cfg = { .keep_nexthops = true, .eager = true };
	struct model_result r;

	begin(&b, &cfg);
	fill(&b);
	model_port_set(b.p, "eth4", 4, mac, false, NULL);
	assert_int_equal(look(&b, "10.1.2.3", &r), MODEL_FORWARD);
	assert_true(r.hops[0].dark);
	must(&b, nh(4, "fe80::44"));
	end(&b);
}

static void
results_take_time_and_keep_their_order(void **state UNUSED)
{
	struct bench b;
	struct model_config cfg = { .ack_us = 1000, .op_us = 10, .queue = 16 };
	struct plat_op ops[32];

	begin(&b, &cfg);
	for (size_t i = 0; i < 32; i++) {
		ops[i] = nh(1, "fe80::1");
		ops[i].cookie = i;
	}
	assert_int_equal(b.p->ops->submit(b.p, ops, 32), 16);
	assert_int_equal(b.p->ops->submit(b.p, ops, 32), 0);
	run(&b, 999);
	assert_int_equal(b.nresults, 0);
	run(&b, 1);
	assert_int_equal(b.nresults, 1);
	run(&b, 140);
	assert_int_equal(b.nresults, 15);
	model_hang(b.p, true);
	run(&b, SECONDS(1));
	assert_int_equal(b.nresults, 15);
	model_hang(b.p, false);
	run(&b, 1);
	assert_int_equal(b.nresults, 16);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(b.results[i].cookie, i);
	end(&b);
}

static void
injected_faults(void **state UNUSED)
{
	struct bench b;
	struct model_fault f = {
		.kind = MODEL_FAIL, .kinds = 1u << PLAT_ROUTE_SET, .after = 1, .count = 1, .error = -EPERM
	};
	struct model_result r;

	begin(&b, NULL);
	fill(&b);
	model_fault_set(b.p, &f);
	must(&b, group(100, four, 3));
	must(&b, route("10.2.0.0/16", 100, false));
	assert_int_equal(doit(&b, route("10.3.0.0/16", 100, false)).error, -EPERM);
	must(&b, route("10.3.0.0/16", 100, false));
	f = (struct model_fault){ .kind = MODEL_LIE };
	model_fault_set(b.p, &f);
	must(&b, route("172.16.0.0/12", 100, false));
	assert_int_equal(look(&b, "172.16.0.1", &r), MODEL_NO_ROUTE);
	f.kind = MODEL_TRANSIENT;
	model_fault_set(b.p, &f);
	assert_int_equal(doit(&b, route("172.16.0.0/12", 100, false)).outcome, PLAT_TRANSIENT);
	model_fault_set(b.p, NULL);
	must(&b, route("172.16.0.0/12", 100, false));
	end(&b);
}

static void
lost_objects(void **state UNUSED)
{
	struct bench b;
	struct plat_op r = route("10.0.0.0/8", 100, false);
	struct model_stats s;

	begin(&b, NULL);
	fill(&b);
	assert_int_equal(model_lose_route(b.p, 0, &r.route.prefix, 20, true), 0);
	assert_int_equal(model_lose_route(b.p, 0, &r.route.prefix, 20, true), -ENOENT);
	run(&b, 1);
	assert_int_equal(b.nlost, 1);
	assert_int_equal(b.lost.kind, PLAT_ROUTE_DEL);
	assert_true(prefix_equal(&b.lost.route.prefix, &r.route.prefix));
	assert_int_equal(model_lose_group(b.p, 100, false), 0); /* with its IPv6 route; nobody is told */
	run(&b, 1);
	assert_int_equal(b.nlost, 1);
	model_stats(b.p, &s);
	assert_int_equal(s.routes[FAMILY_IPV6], 0);
	assert_int_equal(model_lose_nexthop(b.p, 4, true), 0);
	model_stats(b.p, &s);
	assert_int_equal(s.routes[FAMILY_IPV4], 0);
	model_reset(b.p);
	run(&b, 1);
	assert_int_equal(b.desyncs, 1);
	end(&b);
}

struct tally {
	int nh, groups, routes, foreign, order;
};

static void
on_dump(void *arg, const struct plat_dumped *d)
{
	struct tally *t = arg;
	int stage = d->kind == PLAT_NH_SET ? 0 : d->kind == PLAT_GROUP_SET ? 1 : 2;

	assert_true(stage >= t->order);
	t->order = stage;
	t->nh += stage == 0;
	t->groups += stage == 1;
	t->routes += stage == 2;
	t->foreign += d->foreign;
	if (stage == 1)
		assert_memory_equal(d->op.group.members, four, sizeof(four));
}

static void
dump_and_foreign_routes(void **state UNUSED)
{
	struct bench b;
	struct tally t = { 0 };
	struct plat_op r = route("192.0.2.0/24", 1, true), del = { .kind = PLAT_ROUTE_DEL };
	int more, steps = 0;

	begin(&b, NULL);
	fill(&b);
	assert_int_equal(model_foreign_route(b.p, &r.route), 0);
	assert_int_equal(b.p->ops->dump(b.p, on_dump, &t), 0);
	assert_int_equal(t.nh, 4);
	assert_int_equal(t.groups, 1);
	assert_int_equal(t.routes, 4);
	assert_int_equal(t.foreign, 1);
	r.only_new = true;
	assert_int_equal(doit(&b, r).error, -EEXIST);
	del.route = r.route;
	must(&b, del); /* not ours: stays */
	t = (struct tally){ 0 };
	b.p->ops->dump(b.p, on_dump, &t);
	assert_int_equal(t.foreign, 1);
	r.only_new = false;
	must(&b, r);
	for (uint32_t i = 0; i < 5000; i++) {
		struct ip a = ip_v4(0x0b000000u + (i << 8));
		struct plat_op x = route("10.0.0.0/8", 100, false);

		x.route.prefix = prefix_of(&a, 24);
		while (!b.p->ops->submit(b.p, &x, 1))
			run(&b, 10);
	}
	run(&b, 10);
	t = (struct tally){ 0 };
	assert_int_equal(b.p->ops->dump_begin(b.p), 0);
	while ((more = b.p->ops->dump_step(b.p, on_dump, &t)) > 0)
		steps++;
	assert_int_equal(more, 0);
	assert_true(steps > 5);
	assert_int_equal(t.routes, 5004);
	assert_int_equal(t.foreign, 0);
	end(&b);
}

static void
on_admin(void *arg, uint32_t ifindex, bool up)
{
	*(int *)arg = (int)ifindex * (up ? 1 : -1);
}

static void
ports_and_bridges(void **state UNUSED)
{
	struct bench b;
	struct plat_port_config cfg = { .up = false, .mtu = 20000 };
	struct ip ll;
	int admin = 0;

	begin(&b, NULL);
	fill(&b);
	model_admin_watch(b.p, on_admin, &admin);
	assert_int_equal(b.p->ops->port_setup(b.p, "eth7", &cfg), -ENODEV);
	assert_int_equal(b.p->ops->port_setup(b.p, "eth3", &cfg), 0);
	assert_int_equal(admin, 0);
	run(&b, 1);
	assert_int_equal(admin, -3);
	assert_false(b.port.carrier);
	assert_int_equal(b.port.mtu, 9216);
	assert_int_equal(doit(&b, nh(3, "fe80::3")).outcome, PLAT_WAITS_LINK);
	cfg.up = true;
	b.p->ops->port_setup(b.p, "eth3", &cfg);
	run(&b, 1);
	assert_true(b.port.carrier);
	ip_parse("fe80::ff", &ll);
	model_port_set(b.p, "eth3", 3, mac, true, &ll);
	run(&b, 1);
	assert_true(ip_equal(&b.port.link_local, &ll));
	b.ports = 0;
	model_port_set(b.p, "eth3", 3, mac, true, &ll); /* nothing new: nobody is told */
	run(&b, 1);
	assert_int_equal(b.ports, 0);
	b.p->ops->bridge_setup(b.p, "rack0", true);
	run(&b, 1);
	assert_string_equal(b.port.name, "rack0");
	assert_false(b.port.carrier);
	snprintf(cfg.bridge, sizeof(cfg.bridge), "rack0");
	b.p->ops->port_setup(b.p, "eth3", &cfg);
	run(&b, 1);
	assert_string_equal(b.port.name, "rack0");
	assert_true(b.port.carrier);
	model_port_remove(b.p, 3);
	run(&b, 1);
	assert_false(b.port.carrier && strcmp(b.port.name, "rack0") == 0);
	model_port_set(b.p, "eth3", 33, mac, true, NULL); /* the same name, another ifindex */
	run(&b, 1);
	assert_int_equal(b.port.ifindex, 33);
	end(&b);
}

static void
closed_from_inside_a_callback(void **state UNUSED)
{
	struct bench b;
	struct plat_op op = nh(1, "fe80::1");

	begin(&b, NULL);
	b.close_in_results = true;
	b.p->ops->submit(b.p, &op, 1);
	run(&b, 10);
	assert_null(b.p);
	end(&b);
}

static void
count_dumped(void *arg, const struct plat_dumped *item)
{
	*(size_t *)arg += item->kind == PLAT_NH_SET;
}

/* One fabricd gives way to another: each hears of ports and losses, and of what became of its own operations. */
static void
two_clients(void **state UNUSED)
{
	struct bench b, second = { 0 };
	struct plat_op op[] = { nh(1, "fe80::1"), nh(2, "fe80::2") };
	size_t seen[2] = { 0, 0 };

	begin(&b, NULL);
	run(&b, 1);
	second.net = b.net;
	second.p = model_share(b.p);
	second.p->client = &client;
	second.p->client_arg = &second;
	b.nresults = 0;
	run(&b, 1);
	assert_int_equal(second.ports, 4); /* all anew */
	assert_int_equal(b.p->ops->submit(b.p, &op[0], 1), 1);
	assert_int_equal(second.p->ops->submit(second.p, &op[1], 1), 1);
	run(&b, 1);
	assert_int_equal(b.nresults, 1);
	assert_int_equal(second.nresults, 1);
	/* each reads back at its own pace */
	b.p->ops->dump_begin(b.p);
	second.p->ops->dump_begin(second.p);
	while (b.p->ops->dump_step(b.p, count_dumped, &seen[0]) > 0)
		second.p->ops->dump_begin(second.p);
	while (second.p->ops->dump_step(second.p, count_dumped, &seen[1]) > 0)
		;
	assert_int_equal(seen[0], seen[1]);
	assert_true(seen[0] >= 2);
	model_lose_nexthop(b.p, 1, true);
	run(&b, 1);
	assert_int_equal(b.nlost, 1);
	assert_int_equal(second.nlost, 1);
	/* the old one goes, with an operation under way: the other hears nothing of it, and goes on */
	b.p->ops->submit(b.p, &op[0], 1);
	b.p->ops->close(b.p);
	b.p = second.p;
	second.nresults = 0;
	run(&b, 1);
	assert_int_equal(second.nresults, 0);
	assert_int_equal(second.p->ops->submit(second.p, &op[0], 1), 1);
	run(&b, 1);
	assert_int_equal(second.nresults, 1);
	second.ports = 0;
	model_port_set(second.p, "eth1", 1, mac, false, NULL);
	run(&b, 1);
	assert_int_equal(second.ports, 1);
	end(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_match),
		cmocka_unit_test(refusals),
		cmocka_unit_test(tables_are_finite),
		cmocka_unit_test(carrier_loss_as_in_linux),
		cmocka_unit_test(carrier_loss_on_an_asic),
		cmocka_unit_test(results_take_time_and_keep_their_order),
		cmocka_unit_test(injected_faults),
		cmocka_unit_test(lost_objects),
		cmocka_unit_test(dump_and_foreign_routes),
		cmocka_unit_test(ports_and_bridges),
		cmocka_unit_test(closed_from_inside_a_callback),
		cmocka_unit_test(two_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
