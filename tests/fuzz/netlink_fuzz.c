/*
 * tests/fuzz/netlink_fuzz.c -- any bytes as a netlink datagram, through every reader of the Linux backend
 *
 * Beside not crashing: what is read as a next hop, group or route and written again is read as the same.
 */
#include <linux/rtnetlink.h>

#include "platform/linux/nlmsg.h"
#include "tests/fuzz/fuzz.h"

static bool
same_route(const struct plat_route *a, const struct plat_route *b)
{
	return prefix_equal(&a->prefix, &b->prefix) && a->table == b->table && a->metric == b->metric &&
	       a->type == b->type && ip_equal(&a->source, &b->source) &&
	       (a->type != PLAT_UNICAST || a->group == b->group);
}

static bool
same_group(const struct plat_op *a, const struct plat_op *b)
{
	for (size_t i = 0; i < a->group.n && a->group.n == b->group.n; i++) {
		if (a->group.members[i].nh != b->group.members[i].nh ||
		    a->group.members[i].weight != b->group.members[i].weight)
			return false;
	}
	return a->group.n == b->group.n;
}

static void
again(const struct plat_op *op)
{
	static uint8_t out[70000]; /* an attribute has 65535 bytes at most */
	static struct plat_member room[9000];
	struct nl_out o = { .bytes = out, .cap = sizeof(out) };
	struct plat_op back;
	struct nl_in in;
	struct rd all;
	uint8_t protocol;

	if (!nl_put_op(&o, op, 211, 0, 1))
		return;
	all = rd_make(out, o.n);
	must(nl_next(&all, &in) && rd_done(&all), "one message is written");
	if (op->kind == PLAT_ROUTE_SET) {
		must(nl_parse_route(&in, &protocol, &back), "a route reads back");
		must(same_route(&op->route, &back.route), "the same route");
		return;
	}
	must(nl_parse_nexthop(&in, room, 9000, &protocol, &back), "a next hop reads back");
	must(back.kind == op->kind && back.id == op->id, "the same object");
	if (op->kind == PLAT_GROUP_SET)
		must(same_group(op, &back), "the same members");
	else
		must(back.nh.ifindex == op->nh.ifindex && ip_equal(&back.nh.gateway, &op->nh.gateway),
		    "the same next hop");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct plat_member room[2048];
	struct rd all = rd_make(bytes, n);
	struct nl_in in;

	while (nl_next(&all, &in)) {
		struct nl_error e;
		struct nl_link l;
		struct nl_addr a;
		struct plat_op op;
		uint32_t ifindex;
		uint8_t protocol;

		if (nl_parse_error(&in, &e))
			must(e.error <= 0 && strlen(e.text) < sizeof(e.text),
			    "an error of the kernel, with bounded words");
		if (nl_parse_link(&in, &l))
			must(l.ifindex != 0 && strlen(l.name) < sizeof(l.name), "a port with a name");
		nl_parse_addr(&in, &a);
		nl_parse_neigh(&in, &ifindex);
		if (nl_parse_nexthop(&in, room, 2048, &protocol, &op))
			again(&op);
		if (nl_parse_route(&in, &protocol, &op))
			again(&op);
	}
	return 0;
}
