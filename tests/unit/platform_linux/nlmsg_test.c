/* tests/unit/platform_linux/nlmsg_test.c -- netlink messages, written and read back; and what is wrong with some of
 * them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "fabricd/lib/base.h"
#include "platform/linux/nlmsg.h"

static struct ip
ip(const char *text)
{
	struct ip a;

	assert_true(ip_parse(text, &a));
	return a;
}

static struct prefix
prefix(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	return p;
}

static void
read_one(struct nl_out *o, struct nl_in *in)
{
	struct rd all = rd_make(o->bytes, o->n);

	assert_true(nl_next(&all, in));
	assert_true(rd_done(&all));
	assert_false(all.bad);
}

static void
route_round_trip(void **state)
{
	static const struct {
		const char *prefix, *source;
		uint32_t table, metric;
		enum plat_route_type type;
	} cases[] = {
		{ "10.1.2.0/24", "10.0.0.1", 0, 20, PLAT_UNICAST },
		{ "0.0.0.0/0", NULL, 0, 9999, PLAT_UNREACHABLE },
		{ "192.0.2.1/32", NULL, 100, 1, PLAT_BLACKHOLE },
		{ "10.0.0.0/8", NULL, 70000, 20, PLAT_UNICAST },
		{ "2001:db8::/32", "2001:db8::1", 0, 20, PLAT_UNICAST },
		{ "::/0", NULL, 1000000, 9999, PLAT_UNREACHABLE },
	};
	uint8_t bytes[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
		struct plat_op op = { .kind = PLAT_ROUTE_SET, .only_new = true }, back;
		struct nl_in in;
		uint8_t protocol;

		op.route.prefix = prefix(cases[i].prefix);
		op.route.table = cases[i].table;
		op.route.metric = cases[i].metric;
		op.route.type = cases[i].type;
		op.route.group = cases[i].type == PLAT_UNICAST ? 77 : 0;
		if (cases[i].source)
			op.route.source = ip(cases[i].source);
		assert_true(nl_put_op(&o, &op, 211, 0, 5));
		read_one(&o, &in);
		assert_int_equal(in.type, RTM_NEWROUTE);
		assert_int_equal(in.flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
		assert_int_equal(in.seq, 5);
		assert_true(nl_parse_route(&in, &protocol, &back));
		assert_int_equal(protocol, 211);
		if (!prefix_equal(&back.route.prefix, &op.route.prefix) || back.route.table != op.route.table ||
		    back.route.metric != op.route.metric || back.route.type != op.route.type ||
		    back.route.group != op.route.group || !ip_equal(&back.route.source, &op.route.source))
			fail_msg("%s: comes back different", cases[i].prefix);
	}
}

static void
end_of_a_dump(void **state)
{
	static const struct {
		const char *name;
		int value;
		size_t n;
		int want;
	} cases[] = {
		{ "whole", 0, 4, 0 },
		{ "broken off", -EMSGSIZE, 4, -EMSGSIZE },
		{ "broken off, with more behind it", -ENOMEM, 8, -ENOMEM },
		{ "no error number", 7, 4, 0 },
		{ "cut short", -1, 3, 0 },
		{ "empty", -1, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[64];
		struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
		struct nl_in in;

		memcpy(nl_begin(&o, NLMSG_DONE, NLM_F_MULTI, 1, 8), &cases[i].value, sizeof(cases[i].value));
		read_one(&o, &in);
		in.payload = rd_sub(&in.payload, cases[i].n);
		if (nl_parse_done(&in) != cases[i].want)
			fail_msg("%s: %d", cases[i].name, nl_parse_done(&in));
	}
}

static void
nexthop_and_group_round_trip(void **state)
{
	struct plat_member m[] = { { 1, 1 }, { 2, 256 }, { 3, 65535 } }, room[3];
	struct plat_op nh = { .kind = PLAT_NH_SET, .id = 9 },
		       g = { .kind = PLAT_GROUP_SET, .id = 10, .group = { .members = m, .n = 3 } }, back;
	uint8_t bytes[512], protocol;
	struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
	struct nl_in in;

	(void)state;
	nh.nh.ifindex = 4;
	nh.nh.gateway = ip("fe80::2");
	assert_true(nl_put_op(&o, &nh, 211, 0, 1));
	read_one(&o, &in);
	assert_int_equal(in.flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE);
	assert_true(nl_parse_nexthop(&in, room, 3, &protocol, &back));
	assert_int_equal(back.kind, PLAT_NH_SET);
	assert_int_equal(back.id, 9);
	assert_int_equal(back.nh.ifindex, 4);
	assert_true(ip_equal(&back.nh.gateway, &nh.nh.gateway));

	o.n = 0;
	assert_true(nl_put_op(&o, &g, 211, 0, 1));
	read_one(&o, &in);
	assert_true(nl_parse_nexthop(&in, room, 3, &protocol, &back));
	assert_int_equal(back.kind, PLAT_GROUP_SET);
	assert_int_equal(back.group.n, 3);
	assert_memory_equal(room, m, sizeof(m));
	assert_false(nl_parse_nexthop(&in, room, 2, &protocol, &back)); /* more members than there is room for */
}

/* A message that does not fit leaves the batch as it was. */
static void
no_room(void **state)
{
	struct plat_op op = { .kind = PLAT_ROUTE_SET,
		.route = { .prefix = { .family = FAMILY_IPV6, .len = 64 }, .metric = 1 } };
	uint8_t bytes[256];
	size_t whole;

	(void)state;
	for (size_t cap = 0; cap <= sizeof(bytes); cap++) {
		struct nl_out o = { .bytes = bytes, .cap = cap };

		if (nl_put_op(&o, &op, 211, 0, 1)) {
			whole = o.n;
			assert_int_equal(whole, cap);
			return;
		}
		assert_int_equal(o.n, 0);
	}
	fail_msg("it never fitted");
}

/* ---- N03: what is wrong with a message ---- */

struct bytes {
	uint8_t b[512];
	size_t n;
};

static struct bytes
link_message(void)
{
	struct bytes m = { .n = 0 };
	struct nl_out o = { .bytes = m.b, .cap = sizeof(m.b) };
	struct ifinfomsg *i = nl_begin(&o, RTM_NEWLINK, 0, 1, sizeof(*i));
	uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

	i->ifi_index = 7;
	i->ifi_flags = IFF_UP | IFF_RUNNING | 0x10000;
	nl_put(&o, IFLA_IFNAME, "p1", 3);
	nl_put_u32(&o, IFLA_MTU, 9216);
	nl_put(&o, IFLA_ADDRESS, mac, 6);
	m.n = o.n;
	return m;
}

static bool
whole_and_right(const uint8_t *b, size_t n)
{
	struct rd all = rd_make(b, n);
	struct nl_in in;
	struct nl_link l;

	return nl_next(&all, &in) && nl_parse_link(&in, &l) && l.ifindex == 7 && l.mtu == 9216 &&
	       strcmp(l.name, "p1") == 0 && rd_done(&all) && !all.bad;
}

static void
put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

static void
put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static void
test_N03_malformed(void **state)
{
	static const struct {
		const char *name;
		int at; /* offset of what is overwritten, from the beginning of the message */
		int width;
		uint32_t value;
	} cases[] = {
		{ "message length 0", 0, 4, 0 },
		{ "message length shorter than its header", 0, 4, 15 },
		{ "message length of the header alone", 0, 4, 16 },
		{ "message length inside the family header", 0, 4, 20 },
		{ "message longer than the datagram", 0, 4, 400 },
		{ "message length of 4 GiB", 0, 4, UINT32_MAX },
		{ "attribute length 0", 32, 2, 0 },
		{ "attribute length 1", 32, 2, 1 },
		{ "attribute length 3", 32, 2, 3 },
		{ "attribute length 65535", 32, 2, 65535 },
		{ "last attribute one byte longer than the message", 48, 2, 13 },
		{ "interface index 0", 20, 4, 0 },
		{ "negative interface index", 20, 4, 0x80000000u },
	};
	struct bytes good = link_message();

	(void)state;
	assert_true(whole_and_right(good.b, good.n));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes m = good;

		if (cases[i].width == 2)
			put16(m.b + cases[i].at, (uint16_t)cases[i].value);
		else
			put32(m.b + cases[i].at, cases[i].value);
		if (whole_and_right(m.b, m.n))
			fail_msg("%s: taken for right", cases[i].name);
	}
	for (size_t n = 0; n < good.n - 2; n++) { /* the last two bytes are padding */
		if (whole_and_right(good.b, n))
			fail_msg("cut after %zu bytes: taken for right", n);
	}
}

/* Attributes of a wrong size are refused or left out, never read past. */
static void
test_N03_wrong_sizes(void **state)
{
	static const struct {
		const char *name;
		uint16_t type, attr;
		size_t n;
		bool parses;
	} cases[] = {
		{ "IPv4 destination of 3 bytes", RTM_NEWROUTE, RTA_DST, 3, false },
		{ "IPv4 destination of 16 bytes", RTM_NEWROUTE, RTA_DST, 16, false },
		{ "metric of 2 bytes is no metric", RTM_NEWROUTE, RTA_PRIORITY, 2, true },
		{ "preferred source of 5 bytes", RTM_NEWROUTE, RTA_PREFSRC, 5, false },
		{ "next hop without an id", RTM_NEWNEXTHOP, NHA_OIF, 4, false },
		{ "group of 7 bytes", RTM_NEWNEXTHOP, NHA_GROUP, 7, false },
		{ "address of 15 bytes", RTM_NEWADDR, IFA_ADDRESS, 15, false },
	};
	uint8_t bytes[256], value[16] = { 0 };
	struct plat_member room[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
		struct plat_op op;
		struct nl_addr a;
		struct nl_in in;
		uint8_t protocol, *head;
		bool got;

		head = nl_begin(&o, cases[i].type, 0, 1, cases[i].type == RTM_NEWROUTE ? 12 : 8);
		head[0] = cases[i].type == RTM_NEWADDR ? AF_INET6 : AF_INET;
		if (cases[i].attr == NHA_GROUP)
			nl_put_u32(&o, NHA_ID, 5);
		nl_put(&o, cases[i].attr, value, cases[i].n);
		read_one(&o, &in);
		if (cases[i].type == RTM_NEWROUTE)
			got = nl_parse_route(&in, &protocol, &op);
		else if (cases[i].type == RTM_NEWADDR)
			got = nl_parse_addr(&in, &a);
		else
			got = nl_parse_nexthop(&in, room, 4, &protocol, &op);
		if (got != cases[i].parses)
			fail_msg("%s: %s", cases[i].name, got ? "taken" : "refused");
	}
}

static void
kernel_words(void **state)
{
	uint8_t bytes[256];
	struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
	struct nlmsgerr *e = nl_begin(&o, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 3, sizeof(*e));
	struct nl_error got;
	struct nl_in in;

	(void)state;
	e->error = -22;
	e->msg.nlmsg_seq = 42;
	nl_put(&o, NLMSGERR_ATTR_MSG, "Carrier is\x1b[2Jdown", 19);
	read_one(&o, &in);
	assert_true(nl_parse_error(&in, &got));
	assert_int_equal(got.error, -22);
	assert_int_equal(got.seq, 42);
	assert_string_equal(got.text, "Carrier is?[2Jdown"); /* nothing that a terminal would obey */
	e->error = 5;                                        /* errors are negative */
	assert_false(nl_parse_error(&in, &got));
}

static void
neighbour(void **state)
{
	uint8_t bytes[256];
	struct nl_out o = { .bytes = bytes, .cap = sizeof(bytes) };
	struct ndmsg *m = nl_begin(&o, RTM_DELNEIGH, 0, 3, sizeof(*m));
	uint32_t ifindex = 0;
	struct nl_in in;

	(void)state;
	m->ndm_family = AF_INET;
	m->ndm_ifindex = 7;
	nl_put_u32(&o, NDA_DST, 0x080000c0);
	read_one(&o, &in);
	assert_true(nl_parse_neigh(&in, &ifindex));
	assert_int_equal(ifindex, 7);
	in.payload = rd_make(bytes, sizeof(*m) - 1);
	assert_false(nl_parse_neigh(&in, &ifindex));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_round_trip),
		cmocka_unit_test(end_of_a_dump),
		cmocka_unit_test(nexthop_and_group_round_trip),
		cmocka_unit_test(no_room),
		cmocka_unit_test(test_N03_malformed),
		cmocka_unit_test(test_N03_wrong_sizes),
		cmocka_unit_test(kernel_words),
		cmocka_unit_test(neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
