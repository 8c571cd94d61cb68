/*
 * tests/unit/link/counters_test.c -- each way to be dropped has a counter of its own, and grows no other
 *
 * A message that a port takes is spoiled in one place, or comes at the wrong moment; what the port, and the advertiser,
 * then counts beside what is routine must be the one counter that is named, by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/inet_sum.h"
#include "fabricd/link/advertiser.h"
#include "fabricd/link/port.h"
#include "tests/support/counters.h"

static const uint8_t own_mac[6] = { 2, 0, 0, 0, 0, 1 }, far_mac[6] = { 2, 0, 0, 0, 0, 2 };

static void
send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)dst;
	(void)bytes;
	(void)n;
}

static void
send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	(void)n;
}

static void
on_neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	(void)arg;
	(void)addr;
	(void)how;
}

static uint64_t
on_random(void *arg)
{
	(void)arg;
	return 4;
}

static const struct link_ops ops = {
	.send_nd = send_nd, .send_frame = send_frame, .neighbor = on_neighbor, .random = on_random
};
static const struct advertiser_ops advertiser_ops = { .send = send_nd, .random = on_random };

static const struct mono now = { SECONDS(100) };

static struct ip
address(const char *text)
{
	struct ip a;

	assert_true(ip_parse(text, &a));
	return a;
}

/* fe80::1 on eth1, up. */
static struct link_port *
port_up(struct mem *mem)
{
	struct link_port *p = link_port_new(mem, "eth1", NULL, NULL, &ops, NULL);
	struct link_status s = { .present = true,
		.admin_up = true,
		.carrier = true,
		.ifindex = 1,
		.mtu = 9216,
		.link_local = address("fe80::1") };

	memcpy(s.mac, own_mac, 6);
	link_port_status(p, &s, now);
	return p;
}

static void
set_up(struct link_port *p, bool carrier, bool has_address)
{
	struct link_status s = { .present = true, .admin_up = true, .carrier = carrier, .ifindex = 1, .mtu = 9216 };

	memcpy(s.mac, own_mac, 6);
	if (has_address)
		s.link_local = address("fe80::1");
	link_port_status(p, &s, now);
}

static void
expect(const struct counters *c, const char *name, uint64_t before, const char *what)
{
	if (counters_trouble(c) != before + 1 || counter_named(c, name) != 1)
		fail_msg("%s: %llu of %s, %llu in all", what, (unsigned long long)counter_named(c, name), name,
		    (unsigned long long)(counters_trouble(c) - before));
}

/* ---- neighbour discovery ---- */

/* Each one octet that is wrong (at, value), or a length, or where it comes from or goes to. */
static const struct nd_case {
	const char *counter;
	uint8_t type;
	uint8_t at, value;
	uint8_t n, hop_limit;  /* 0: all of it; 255 */
	const char *src, *dst; /* NULL: fe80::2; not known */
	bool sealed;           /* the checksum is right */
} nd_cases[] = {
	{ .counter = "nd-type", .type = ND_RA, .at = 0, .value = 128 },
	{ .counter = "nd-short", .type = ND_RA, .n = 15 },
	{ .counter = "nd-short", .type = ND_RS, .n = 3 },
	{ .counter = "nd-hop-limit", .type = ND_RA, .hop_limit = 254 },
	{ .counter = "nd-hop-limit", .type = ND_RS, .hop_limit = 64 },
	{ .counter = "nd-code", .type = ND_RA, .at = 1, .value = 1 },
	{ .counter = "nd-checksum", .type = ND_RA, .dst = "ff02::1" },
	{ .counter = "nd-source", .type = ND_RA, .src = "2001:db8::2" },
	{ .counter = "nd-source", .type = ND_RS, .src = "::" }, /* unspecified, and yet with a MAC */
	{ .counter = "nd-destination", .type = ND_NA, .at = 4, .value = 0x40, .dst = "ff02::1", .sealed = true },
	{ .counter = "nd-target", .type = ND_NS, .at = 8, .value = 0xff },
	{ .counter = "nd-option", .type = ND_RA, .at = 17, .value = 0 },
	{ .counter = "nd-truncated", .type = ND_RA, .at = 17, .value = 9 },
	{ .counter = "nd-truncated", .type = ND_RS, .n = 9 },
};

/* The message of a case, which would be taken if it were not for that. */
static size_t
nd_message(const struct nd_case *c, const struct ip *src, const struct ip *dst, uint8_t out[ND_MESSAGE_MAX])
{
	struct nd_router_advert ra = { .hop_limit = 64, .lifetime_s = 1800, .mac = far_mac };
	size_t n = 24;

	memset(out, 0, ND_MESSAGE_MAX);
	if (c->type == ND_RA) {
		n = nd_build_ra(out, ND_MESSAGE_MAX, &ra);
	} else if (c->type == ND_RS) {
		n = nd_build_rs(out, ND_MESSAGE_MAX, far_mac);
	} else {
		out[0] = c->type;
		memcpy(out + 8, address("fe80::9").b, 16);
	}
	if (c->value || c->at)
		out[c->at] = c->value;
	if (c->sealed)
		put_u16(out + 2, icmp6_sum(src, dst, out, n));
	return c->n ? c->n : n;
}

static void
test_R01_nd_by_reason(void **state UNUSED)
{
	bool seen[ND_VERDICTS] = { [ND_OK] = true };

	for (size_t i = 0; i < ARRAY_LEN(nd_cases); i++) {
		const struct nd_case *c = &nd_cases[i];
		struct ip src = address(c->src ? c->src : "fe80::2"), dst = address(c->dst ? c->dst : "::");
		uint8_t bytes[ND_MESSAGE_MAX], hop_limit = c->hop_limit ? c->hop_limit : 255;
		size_t n = nd_message(c, &src, &dst, bytes);
		struct mem mem = { 0 };
		struct link_port *p = port_up(&mem);
		struct advertiser *a = advertiser_new(&mem, &(struct advertiser_config){ 0 }, &advertiser_ops, NULL);
		struct counters counters, at_bridge;
		struct nd_msg m;

		advertiser_up(a, own_mac, 0, now);
		link_port_nd(p, &src, &dst, hop_limit, bytes, n, now);
		advertiser_nd(a, &src, &dst, hop_limit, bytes, n, now);
		link_port_counters(p, &counters);
		advertiser_describe(a, &at_bridge);
		expect(&counters, c->counter, 0, c->counter);
		expect(&at_bridge, c->counter, 0, c->counter);
		seen[nd_parse(bytes, n, &src, &dst, hop_limit, &m)] = true;
		link_port_free(p);
		advertiser_free(a);
	}
	for (int v = 0; v < ND_VERDICTS; v++)
		if (!seen[v])
			fail_msg("no case of: %s", nd_verdict_text((enum nd_verdict)v));
}

/* ---- LLDP ---- */

static const struct {
	const char *counter;
	uint8_t at, value; /* one octet that is wrong */
	int more;          /* octets behind the frame, or missing */
} lldp_cases[] = {
	{ "lldp-short", 0, 1, -1000 }, { "lldp-ethertype", 12, 0x08, 0 }, { "lldp-destination", 5, 0x77, 0 },
	{ "lldp-order", 14, 0x04, 0 }, /* a port id first */
	{ "lldp-length", 15, 1, 0 },   /* a chassis id without an id */
	{ "lldp-end", 0xff, 1, 1 },    /* the last octet */
};

static void
test_R01_lldp_by_reason(void **state UNUSED)
{
	struct lldp_advert advert = { .port_name = "eth9", .system_name = "far", .ttl_s = 120 };
	bool seen[LLDP_VERDICTS] = { [LLDP_OK] = true };

	memcpy(advert.mac, far_mac, 6);
	for (size_t i = 0; i < ARRAY_LEN(lldp_cases); i++) {
		uint8_t frame[LLDP_FRAME_MAX + 1] = { 0 };
		struct mem mem = { 0 };
		struct link_port *p = port_up(&mem);
		struct lldp_info info;
		struct counters counters;
		size_t n = lldp_build(frame, LLDP_FRAME_MAX, &advert);

		assert_int_equal(lldp_parse(frame, n, &info), LLDP_OK);
		for (size_t at = 14; lldp_cases[i].at == 0xff;) { /* where the End TLV is; padding may follow */
			size_t len = (size_t)(frame[at] & 1) << 8 | frame[at + 1];

			if (frame[at] >> 1 == 0) {
				frame[at + 1] = lldp_cases[i].value;
				n = at + 2;
				break;
			}
			at += 2 + len;
		}
		if (lldp_cases[i].at != 0xff)
			frame[lldp_cases[i].at] = lldp_cases[i].value;
		n = lldp_cases[i].more < 0 ? 10 : n + (size_t)lldp_cases[i].more;
		link_port_frame(p, frame, n, now);
		link_port_counters(p, &counters);
		expect(&counters, lldp_cases[i].counter, 0, lldp_cases[i].counter);
		seen[lldp_parse(frame, n, &info)] = true;
		link_port_free(p);
	}
	for (int v = 0; v < LLDP_VERDICTS; v++)
		if (!seen[v])
			fail_msg("no case of: %s", lldp_verdict_text((enum lldp_verdict)v));
}

/* ---- what is sound, and yet of no use ---- */

static void
hear(struct link_port *p, const char *from, uint8_t type)
{
	struct nd_case c = { .type = type };
	struct ip src = address(from), dst = address("::");
	uint8_t bytes[ND_MESSAGE_MAX];
	size_t n = nd_message(&c, &src, &dst, bytes);

	link_port_nd(p, &src, &dst, 255, bytes, n, now);
}

static void
not_up(struct link_port *p)
{
	set_up(p, true, false);
	hear(p, "fe80::2", ND_RA);
}

static void
no_carrier(struct link_port *p)
{
	set_up(p, false, true);
	hear(p, "fe80::2", ND_RS);
}

static void
dark_lldp(struct link_port *p)
{
	struct lldp_advert advert = { .port_name = "eth9", .ttl_s = 120 };
	uint8_t frame[LLDP_FRAME_MAX];

	set_up(p, false, true);
	link_port_frame(p, frame, lldp_build(frame, sizeof(frame), &advert), now);
}

static void
from_far(struct link_port *p)
{
	hear(p, "2001:db8::2", ND_RS);
}

static void
second_router(struct link_port *p)
{
	hear(p, "fe80::2", ND_RA);
	hear(p, "fe80::3", ND_RA);
}

static void
second_connection(struct link_port *p)
{
	struct ip first = address("fe80::2"), second = address("fe80::3");

	assert_true(link_port_inbound(p, &first, now));
	link_port_session(p, &first, true, now);
	assert_false(link_port_inbound(p, &second, now));
}

static void
connection_from_far(struct link_port *p)
{
	struct ip far = address("2001:db8::2");

	assert_false(link_port_inbound(p, &far, now));
}

static void
connection_too_early(struct link_port *p)
{
	struct ip near = address("fe80::2");

	set_up(p, true, false);
	assert_false(link_port_inbound(p, &near, now));
}

static void
own_address(struct link_port *p)
{
	hear(p, "fe80::1", ND_NS);
}

static void
many_neighbors(struct link_port *p)
{
	for (int i = 0; i <= LINK_NEIGHBORS; i++) {
		struct ip a = address("fe80::2");

		a.b[15] = (uint8_t)(2 + i);
		assert_int_equal(link_port_inbound(p, &a, now), i < LINK_NEIGHBORS);
	}
}

static void
many_solicitations(struct link_port *p)
{
	for (int i = 0; i < 9; i++) /* one more than there are tokens */
		hear(p, "fe80::2", ND_RS);
}

static const struct {
	const char *counter;
	void (*fn)(struct link_port *);
} others[] = {
	{ "nd-not-up", not_up },
	{ "nd-not-up", no_carrier },
	{ "lldp-not-up", dark_lldp },
	{ "rs-source", from_far },
	{ "second-router", second_router },
	{ "second-router", second_connection },
	{ "connection", connection_from_far },
	{ "connection", connection_too_early },
	{ "own-address", own_address },
	{ "neighbors-full", many_neighbors },
	{ "ra-held-back", many_solicitations },
};

static void
test_others_by_reason(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct mem mem = { 0 };
		struct link_port *p = port_up(&mem);
		struct counters counters;

		link_port_counters(p, &counters);
		assert_int_equal(counters_trouble(&counters), 0);
		others[i].fn(p);
		expect(&counters, others[i].counter, 0, others[i].counter);
		link_port_free(p);
	}
}

static void
test_the_bridge_of_the_hosts(void **state UNUSED)
{
	struct ip src = address("fe80::2"), dst = address("::");
	struct mem mem = { 0 };
	struct advertiser *a = advertiser_new(&mem, &(struct advertiser_config){ 0 }, &advertiser_ops, NULL);
	uint8_t bytes[ND_MESSAGE_MAX];
	struct counters counters;
	size_t n = nd_build_rs(bytes, sizeof(bytes), far_mac);

	advertiser_describe(a, &counters);
	advertiser_nd(a, &src, &dst, 255, bytes, n, now);
	expect(&counters, "nd-not-up", 0, "an RS while the bridge is down");
	advertiser_up(a, own_mac, 0, now);
	advertiser_nd(a, &src, &dst, 255, bytes, n, now);
	assert_int_equal(counters_trouble(&counters), 1);
	assert_int_equal(counter_named(&counters, "rs-received"), 1);
	assert_int_equal(counter_named(&counters, "ra-sent"), 1);
	n = nd_message(&(struct nd_case){ .type = ND_RA }, &src, &dst, bytes);
	advertiser_nd(a, &src, &dst, 255, bytes, n, now);
	expect(&counters, "second-router", 1, "an RA of another");
	advertiser_free(a);
}

static void
test_tables_are_sound(void **state UNUSED)
{
	struct mem mem = { 0 };
	struct link_port *p = port_up(&mem);
	struct advertiser *a = advertiser_new(&mem, &(struct advertiser_config){ 0 }, &advertiser_ops, NULL);
	struct counters counters;

	link_port_counters(p, &counters);
	counters_are_sound(&counters, sizeof(struct link_counters));
	advertiser_describe(a, &counters);
	counters_are_sound(&counters, sizeof(struct advertiser_counters));
	link_port_free(p);
	advertiser_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_are_sound),
		cmocka_unit_test(test_R01_nd_by_reason),
		cmocka_unit_test(test_R01_lldp_by_reason),
		cmocka_unit_test(test_others_by_reason),
		cmocka_unit_test(test_the_bridge_of_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
