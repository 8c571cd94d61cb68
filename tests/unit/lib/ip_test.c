/* tests/unit/lib/ip_test.c -- addresses and prefixes: text, order, cover, numbered sub-networks */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/ip.h"

static struct ip
addr(const char *text)
{
	struct ip a;

	if (!ip_parse(text, &a))
		fail_msg("%s is no address", text);
	return a;
}

static struct prefix
net(const char *text)
{
	struct prefix p;

	if (!prefix_parse(text, &p))
		fail_msg("%s is no network", text);
	return p;
}

/* ---- text ---- */

static const struct {
	const char *text, *print; /* print NULL: refused */
} addresses[] = {
	{ "10.0.0.1", "10.0.0.1" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "::", "::" },
	{ "fe80::1", "fe80::1" },
	{ "FD00:0:0:0::1", "fd00::1" },
	{ "::ffff:10.0.0.1", "::ffff:10.0.0.1" }, /* IPv4-mapped stays IPv6 */
	{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "1111:2222:3333:4444:5555:6666:255.255.255.255", "1111:2222:3333:4444:5555:6666:ffff:ffff" },
	{ "", NULL },
	{ "10.0.0", NULL },
	{ "10.0.0.256", NULL },
	{ "10.0.0.01", NULL }, /* octal or decimal? neither */
	{ "010.0.0.1", NULL },
	{ "10.0.0.1 ", NULL },
	{ " 10.0.0.1", NULL },
	{ "10.0.0.1/32", NULL },
	{ "0x0a.0.0.1", NULL },
	{ "1::2::3", NULL },
	{ "fe80::1%eth0", NULL },
	{ "12345::", NULL },
	{ "[::1]", NULL },
};

static void
test_addresses_in_text(void **state)
{
	char buf[IP_TEXT];
	struct ip a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		bool ok = ip_parse(addresses[i].text, &a);

		if (ok != (addresses[i].print != NULL))
			fail_msg("\"%s\" is %s", addresses[i].text, ok ? "accepted" : "refused");
		if (ok)
			assert_string_equal(ip_print(&a, buf), addresses[i].print);
	}
}

static const struct {
	const char *text, *print; /* print NULL: refused */
} networks[] = {
	{ "0.0.0.0/0", "0.0.0.0/0" },
	{ "::/0", "::/0" },
	{ "10.0.0.0/8", "10.0.0.0/8" },
	{ "10.0.0.1/32", "10.0.0.1/32" },
	{ "10.128.0.0/9", "10.128.0.0/9" },
	{ "fd00::/128", "fd00::/128" },
	{ "8000::/1", "8000::/1" },
	{ "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104" },
	{ "10.0.0.1/31", NULL }, /* host bits */
	{ "10.64.0.0/9", NULL },
	{ "fd00::1/127", NULL },
	{ "0.0.0.1/0", NULL },
	{ "10.0.0.0/33", NULL },
	{ "fd00::/129", NULL },
	{ "10.0.0.0", NULL },
	{ "10.0.0.0/", NULL },
	{ "10.0.0.0/08", NULL },
	{ "10.0.0.0/00", NULL },
	{ "10.0.0.0/+8", NULL },
	{ "10.0.0.0/-8", NULL },
	{ "10.0.0.0/ 8", NULL },
	{ "10.0.0.0/8 ", NULL },
	{ "10.0.0.0/8/8", NULL },
	{ "10.0.0.0/18446744073709551624", NULL }, /* 8 modulo 2^64 */
	{ "/8", NULL },
	{ "", NULL },
};

static void
test_networks_in_text(void **state)
{
	char buf[PREFIX_TEXT];
	struct prefix p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
		bool ok = prefix_parse(networks[i].text, &p);

		if (ok != (networks[i].print != NULL))
			fail_msg("\"%s\" is %s", networks[i].text, ok ? "accepted" : "refused");
		if (ok)
			assert_string_equal(prefix_print(&p, buf), networks[i].print);
	}
}

static void
test_host_bits_are_kept_with_a_length(void **state)
{
	struct ip a, want = addr("10.0.0.1");
	unsigned int len;

	(void)state;
	assert_true(ip_len_parse("10.0.0.1/24", &a, &len));
	assert_int_equal(len, 24);
	assert_true(ip_equal(&a, &want));
	assert_false(ip_len_parse("10.0.0.1", &a, &len));
	/* longer than any address: refused, whatever it would be cut to */
	assert_false(ip_len_parse("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64", &a, &len));
}

static void
test_the_longest_texts_have_room(void **state)
{
	char buf[PREFIX_TEXT], one[IP_TEXT];
	struct prefix p = { .family = FAMILY_IPV6, .len = 128 };
	struct ip a;

	(void)state;
	memset(p.b, 0xff, sizeof(p.b));
	assert_string_equal(prefix_print(&p, buf), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	memset(p.b, 0, 10);
	a = prefix_addr(&p);
	assert_string_equal(ip_print(&a, one), "::ffff:255.255.255.255");
}

/* ---- kinds and order ---- */

static void
test_kinds_of_addresses(void **state)
{
	static const struct {
		const char *text;
		bool link_local, multicast, loopback, zero;
	} cases[] = {
		{ .text = "fe80::1", .link_local = true },
		{ .text = "febf:ffff::", .link_local = true },
		{ .text = "fec0::1" },
		{ .text = "fe7f::1" },
		{ .text = "169.254.0.1" }, /* of IPv4 nothing is link-local to us */
		{ .text = "ff02::1", .multicast = true },
		{ .text = "fe00::1" },
		{ .text = "224.0.0.1", .multicast = true },
		{ .text = "239.255.255.255", .multicast = true },
		{ .text = "223.255.255.255" },
		{ .text = "240.0.0.1" },
		{ .text = "127.0.0.1", .loopback = true },
		{ .text = "127.255.0.1", .loopback = true },
		{ .text = "128.0.0.1" },
		{ .text = "::1", .loopback = true },
		{ .text = "::2" },
		{ .text = "0.0.0.0", .zero = true },
		{ .text = "::", .zero = true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip a = addr(cases[i].text);

		if (ip_is_link_local(&a) != cases[i].link_local || ip_is_multicast(&a) != cases[i].multicast ||
		    ip_is_loopback(&a) != cases[i].loopback || ip_is_zero(&a) != cases[i].zero)
			fail_msg("%s is taken for something else", cases[i].text);
	}
}

static void
test_v4_is_in_host_order(void **state)
{
	struct ip a = addr("10.1.2.3"), b = ip_v4(0x0a010203), six = addr("::ffff:10.1.2.3");

	(void)state;
	assert_true(ip_equal(&a, &b));
	assert_int_equal(ip_to_v4(&a), 0x0a010203);
	assert_int_equal(ip_to_v4(&six), 0);
	assert_false(ip_equal(&a, &six));
	assert_true(ip_cmp(&a, &six) < 0); /* IPv4 before IPv6 */
}

static void
test_order_of_prefixes(void **state)
{
	static const char *const ascending[] = { "0.0.0.0/0", "0.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.0.1.0/24",
		"192.168.0.0/16", "255.255.255.255/32", "::/0", "::/64", "fd00::/8", "fd00::/64" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ascending); i++)
		for (size_t k = 0; k < ARRAY_LEN(ascending); k++) {
			struct prefix a = net(ascending[i]), b = net(ascending[k]);
			int c = prefix_cmp(&a, &b);

			if ((c < 0) != (i < k) || (c == 0) != (i == k) || prefix_equal(&a, &b) != (i == k))
				fail_msg("%s against %s: %d", ascending[i], ascending[k], c);
		}
}

/* ---- networks ---- */

static void
test_cover(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool covers, overlaps;
	} cases[] = {
		{ "10.0.0.0/8", "10.1.0.0/16", true, true },
		{ "10.0.0.0/8", "10.0.0.0/8", true, true },
		{ "10.1.0.0/16", "10.0.0.0/8", false, true },
		{ "10.0.0.0/9", "10.128.0.0/9", false, false },
		{ "10.0.0.0/31", "10.0.0.1/32", true, true },
		{ "10.0.0.0/31", "10.0.0.2/32", false, false },
		{ "0.0.0.0/0", "255.255.255.255/32", true, true },
		{ "::/0", "ffff::/128", true, true },
		{ "0.0.0.0/0", "::/0", false, false }, /* families never mix */
		{ "fd00::/127", "fd00::1/128", true, true },
		{ "fd00::/127", "fd00::2/128", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct prefix outer = net(cases[i].outer), inner = net(cases[i].inner);
		struct ip a = prefix_addr(&inner);

		if (prefix_covers(&outer, &inner) != cases[i].covers ||
		    prefix_overlaps(&outer, &inner) != cases[i].overlaps ||
		    prefix_overlaps(&inner, &outer) != cases[i].overlaps)
			fail_msg("%s and %s", cases[i].outer, cases[i].inner);
		if (cases[i].covers)
			assert_true(prefix_has(&outer, &a));
	}
}

/* prefix_of() clears host bits at every length, and covers what it was made of. */
static void
test_prefix_of_every_length(void **state)
{
	(void)state;
	for (int f = 0; f < FAMILIES; f++) {
		struct ip ones = { .family = (uint8_t)f };

		memset(ones.b, 0xff, family_bytes((enum family)f));
		for (unsigned int len = 0; len <= family_bits((enum family)f); len++) {
			struct prefix p = prefix_of(&ones, len);
			unsigned int bits = 0;

			assert_int_equal(p.len, len);
			assert_true(prefix_has(&p, &ones));
			for (size_t i = 0; i < sizeof(p.b); i++)
				for (unsigned int b = 0x80; b; b >>= 1)
					if (p.b[i] & b)
						assert_int_equal(bits++, i * 8 + (size_t)__builtin_clz(b) - 24);
			assert_int_equal(bits, len);
		}
		assert_int_equal(prefix_of(&ones, 200).len, family_bits((enum family)f)); /* no more than there is */
	}
}

static void
test_numbered_sub_networks(void **state)
{
	static const struct {
		const char *pool;
		unsigned int len;
		uint64_t index;
		const char *want; /* NULL: does not fit */
	} cases[] = {
		{ "10.1.0.0/16", 24, 3, "10.1.3.0/24" }, { "10.0.1.0/24", 32, 3, "10.0.1.3/32" },
		{ "10.0.1.0/24", 32, 255, "10.0.1.255/32" }, { "10.0.1.0/24", 32, 256, NULL },
		{ "10.0.1.0/24", 24, 0, "10.0.1.0/24" }, { "10.0.1.0/24", 24, 1, NULL },
		{ "10.0.1.0/24", 23, 0, NULL }, /* shorter than the pool */
		{ "10.0.1.0/24", 33, 0, NULL }, { "0.0.0.0/0", 32, 0xffffffff, "255.255.255.255/32" },
		{ "0.0.0.0/0", 32, 0x100000000, NULL }, { "0.0.0.0/0", 0, 0, "0.0.0.0/0" }, { "0.0.0.0/0", 0, 1, NULL },
		{ "fd00::/64", 128, UINT64_MAX, "fd00::ffff:ffff:ffff:ffff/128" }, /* 64 bits of index */
		{ "fd00::/65", 128, UINT64_MAX >> 1, "fd00::7fff:ffff:ffff:ffff/128" },
		{ "fd00::/65", 128, (UINT64_MAX >> 1) + 1, NULL },
		{ "fd00::/63", 128, UINT64_MAX, "fd00::ffff:ffff:ffff:ffff/128" }, /* more room than index */
		{ "::/0", 128, UINT64_MAX, "::ffff:ffff:ffff:ffff/128" },
		{ "::/0", 64, UINT64_MAX, "ffff:ffff:ffff:ffff::/64" }, { "fd00:1::/48", 64, 4, "fd00:1:0:4::/64" },
		{ "fd00::/61", 67, 0x2a, "fd00:0:0:5:4000::/67" }, /* across a byte */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct prefix pool = net(cases[i].pool), got;
		char buf[PREFIX_TEXT];

		if (!prefix_sub(&pool, cases[i].len, cases[i].index, &got)) {
			if (cases[i].want)
				fail_msg("case %zu: no %s", i, cases[i].want);
			continue;
		}
		prefix_print(&got, buf);
		if (!cases[i].want || strcmp(buf, cases[i].want) != 0)
			fail_msg("case %zu: %s, wanted %s", i, buf, cases[i].want ? cases[i].want : "nothing");
		assert_true(prefix_covers(&pool, &got));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_in_text),
		cmocka_unit_test(test_networks_in_text),
		cmocka_unit_test(test_host_bits_are_kept_with_a_length),
		cmocka_unit_test(test_the_longest_texts_have_room),
		cmocka_unit_test(test_kinds_of_addresses),
		cmocka_unit_test(test_v4_is_in_host_order),
		cmocka_unit_test(test_order_of_prefixes),
		cmocka_unit_test(test_cover),
		cmocka_unit_test(test_prefix_of_every_length),
		cmocka_unit_test(test_numbered_sub_networks),
	};

	return cmocka_run_group_tests_name("ip", tests, NULL, NULL);
}
