/* Neighbour discovery messages: what is accepted, what is dropped and why, and that what we build is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/inet_sum.h"
#include "fabricd/link/nd.h"

static size_t
unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;
	unsigned int v;

	for (; *hex && n < room; hex++) {
		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		out[n++] = (uint8_t)v;
		hex++;
	}
	return n;
}

static struct ip
addr(const char *text)
{
	struct ip a = { .family = FAMILY_IPV6 };

	if (text)
		assert_true(ip_parse(text, &a));
	return a;
}

#define RA16     "86 00 0000 40 00 0708 00000000 00000000"
#define SLLA     "01 01 020000000009"
#define TARGET   "fe80000000000000 0000000000000001"
#define MCTARGET "ff02000000000000 0000000000000001"

static const struct {
	const char *name, *src, *hex;
	uint8_t hop_limit;
	enum nd_verdict want;
} cases[] = {
	{ "RA", "fe80::1", RA16, 255, ND_OK },
	{ "RA with its MAC", "fe80::1", RA16 SLLA, 255, ND_OK },
	{ "RS", "fe80::1", "85 00 0000 00000000", 255, ND_OK },
	{ "RS of nobody", NULL, "85 00 0000 00000000", 255, ND_OK },
	{ "RS of nobody with a MAC", NULL, "85 00 0000 00000000" SLLA, 255, ND_BAD_SOURCE },
	{ "NS", "fe80::2", "87 00 0000 00000000" TARGET, 255, ND_OK },
	{ "NS of nobody", NULL, "87 00 0000 00000000" TARGET, 255, ND_OK },
	{ "NA", "fe80::2", "88 00 0000 20000000" TARGET, 255, ND_OK },
	{ "NA of nobody", NULL, "88 00 0000 20000000" TARGET, 255, ND_BAD_SOURCE },
	{ "NS for a multicast target", "fe80::2", "87 00 0000 00000000" MCTARGET, 255, ND_BAD_TARGET },
	{ "R01 hop limit 254", "fe80::1", RA16, 254, ND_BAD_HOP_LIMIT },
	{ "R01 global source", "2001:db8::1", RA16, 255, ND_BAD_SOURCE },
	{ "R01 no source", NULL, RA16, 255, ND_BAD_SOURCE },
	{ "R01 multicast source", "ff02::1", RA16, 255, ND_BAD_SOURCE },
	{ "R01 code 1", "fe80::1", "86 01 0000 40 00 0708 00000000 00000000", 255, ND_BAD_CODE },
	{ "R01 option of length 0", "fe80::1", RA16 "01 00 020000000009", 255, ND_BAD_OPTION },
	{ "R01 option cut", "fe80::1", RA16 "01 01 0200000000", 255, ND_BAD_TRUNCATED },
	{ "R01 option header cut", "fe80::1", RA16 SLLA "05", 255, ND_BAD_TRUNCATED },
	{ "R01 option of 2040 bytes that are not there", "fe80::1", RA16 "01 ff 020000000009", 255, ND_BAD_TRUNCATED },
	{ "RA cut", "fe80::1", "86 00 0000 40 00 0708 00000000 000000", 255, ND_BAD_SHORT },
	{ "RS cut", "fe80::1", "85 00 0000 000000", 255, ND_BAD_SHORT },
	{ "NS cut", "fe80::1", "87 00 0000 00000000 fe80", 255, ND_BAD_SHORT },
	{ "three octets", "fe80::1", "86 00 00", 255, ND_BAD_SHORT },
	{ "empty", "fe80::1", "", 255, ND_BAD_SHORT },
	{ "redirect", "fe80::1", "89 00 0000 00000000", 255, ND_BAD_TYPE },
	{ "echo", "fe80::1", "80 00 0000 00000000", 255, ND_BAD_TYPE },
};

static void
test_R01_verdicts(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t buf[256];
		size_t n = unhex(cases[i].hex, buf, sizeof(buf));
		uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees one byte too many */
		struct ip src = addr(cases[i].src), dst = addr("ff02::1");
		struct nd_msg m;
		enum nd_verdict v;

		memcpy(exact, buf, n);
		v = nd_parse(exact, n, &src, NULL, cases[i].hop_limit, &m);
		if (v != cases[i].want)
			fail_msg("%s: %s", cases[i].name, nd_verdict_text(v));
		/* With a destination the checksum counts: as it is it is wrong, then right. */
		if (n >= 4 && v == ND_OK) {
			assert_int_equal(nd_parse(exact, n, &src, &dst, 255, &m), ND_BAD_CHECKSUM);
			put_u16(exact + 2, icmp6_sum(&src, &dst, exact, n));
			assert_int_equal(nd_parse(exact, n, &src, &dst, 255, &m), ND_OK);
			exact[n - 1] ^= 1;
			assert_int_equal(nd_parse(exact, n, &src, &dst, 255, &m), ND_BAD_CHECKSUM);
		}
		free(exact);
	}
}

static void
destinations(void **state UNUSED)
{
	struct ip nobody = addr(NULL), us = addr("fe80::1"), all = addr("ff02::1"), other = addr("fe80::2");
	struct nd_msg m;
	uint8_t buf[64];
	size_t n = unhex("87 00 0000 00000000" TARGET, buf, sizeof(buf));

	put_u16(buf + 2, icmp6_sum(&nobody, &us, buf, n));
	assert_int_equal(nd_parse(buf, n, &nobody, &us, 255, &m), ND_BAD_DEST); /* RFC 4861 7.1.1 */
	n = unhex("88 00 0000 60000000" TARGET, buf, sizeof(buf));
	put_u16(buf + 2, icmp6_sum(&other, &all, buf, n));
	assert_int_equal(nd_parse(buf, n, &other, &all, 255, &m), ND_BAD_DEST); /* RFC 4861 7.1.2 */
}

/* Messages from captures of tcpdump's tests (BSD-3-Clause), with their checksums. */
static const struct {
	const char *name, *src, *dst, *hex;
	uint16_t lifetime_s;
	unsigned int options;
} captured[] = {
	{ "RA with pref64", "fe80::e015:81ff:feb4:b945", "ff02::1",
	    "860015e8504001f400000000000000000101e21581b4b9450304408000000e10000007080000000020010db800cc00dd0000000000"
	    "0000002602000020010db800010064ff9b0000",
	    500, 3 },
	{ "RA with many options", "fe80::b299:28ff:fec8:d66c", "ff02::1",
	    "860024014020000f0000000000000000030448c000278d0000093a800000000022223333444455556600000000000000190500000"
	    "0000005abcd000000000000000000000000efef123456780000000000000000000000011f07000000000005076578616d706c6503"
	    "636f6d00076578616d706c65036f72670004646f6d3104646f6d3203746c64000000000000000005010000000000640101b09928c"
	    "8d66c070100000000138808010000c351000f",
	    15, 7 },
};

static void
captured_messages(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(captured); i++) {
		uint8_t buf[512];
		size_t n = unhex(captured[i].hex, buf, sizeof(buf));
		struct ip src = addr(captured[i].src), dst = addr(captured[i].dst);
		struct nd_msg m;
		enum nd_verdict v = nd_parse(buf, n, &src, &dst, 255, &m);

		if (v != ND_OK || m.lifetime_s != captured[i].lifetime_s || m.options != captured[i].options ||
		    !m.has_mac)
			fail_msg("%s: %s, lifetime %u, %u options", captured[i].name, nd_verdict_text(v), m.lifetime_s,
			    m.options);
	}
}

/* R11: 60 options, and a jumbo message. */
static void
test_R11_many_options(void **state UNUSED)
{
	static uint8_t buf[9000];
	struct ip src = addr("fe80::1");
	struct nd_msg m;
	size_t n = unhex(RA16, buf, sizeof(buf));

	for (int i = 0; i < 60; i++, n += 8) {
		buf[n] = 200;
		buf[n + 1] = 1;
	}
	assert_int_equal(nd_parse(buf, n, &src, NULL, 255, &m), ND_OK);
	assert_int_equal(m.options, 60);
	memset(buf + 16, 1, sizeof(buf) - 16);
	assert_int_equal(nd_parse(buf, 16 + (sizeof(buf) - 16) / 8 * 8, &src, NULL, 255, &m), ND_OK);
	assert_int_equal(m.options, (sizeof(buf) - 16) / 8);
}

static void
what_we_build_is_read_back(void **state UNUSED)
{
	static const uint8_t mac[6] = { 2, 1, 2, 3, 4, 5 };
	struct nd_router_advert ra = {
		.hop_limit = 64, .lifetime_s = 1800, .mtu = 9216, .mac = mac, .valid_s = 60, .preferred_s = 30
	};
	uint8_t buf[ND_MESSAGE_MAX];
	struct ip src = nd_link_local(mac), want = addr("fe80::1:2ff:fe03:405"), all = nd_all_routers();
	struct nd_msg m;
	size_t n;

	assert_true(ip_equal(&src, &want));
	want = addr("ff02::2");
	assert_true(ip_equal(&all, &want));
	assert_true(prefix_parse("2001:db8::/64", &ra.on_link));
	n = nd_build_ra(buf, sizeof(buf), &ra);
	assert_int_equal(n, 16 + 8 + 8 + 32);
	assert_int_equal(nd_parse(buf, n, &src, NULL, 255, &m), ND_OK);
	assert_int_equal(m.lifetime_s, 1800);
	assert_int_equal(m.mtu, 9216);
	assert_memory_equal(m.mac, mac, 6);
	for (size_t room = 0; room < n; room++)
		assert_int_equal(nd_build_ra(buf, room, &ra), 0);
	n = nd_build_rs(buf, sizeof(buf), mac);
	assert_int_equal(n, 16);
	assert_int_equal(nd_parse(buf, n, &src, NULL, 255, &m), ND_OK);
	assert_int_equal(m.type, ND_RS);
	assert_true(m.has_mac);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R01_verdicts),
		cmocka_unit_test(destinations),
		cmocka_unit_test(captured_messages),
		cmocka_unit_test(test_R11_many_options),
		cmocka_unit_test(what_we_build_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
