/* bfd/auth.c: SHA1 against the examples of FIPS 180 and RFC 3174; the section of RFC 5880 4.4 and its sequence rules */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/auth.h"
#include "fabricd/lib/base.h"

static void
sha1_is(const char *name, const uint8_t *bytes, size_t n, const char *want)
{
	uint8_t out[20];
	char text[41];

	bfd_sha1(bytes, n, out);
	for (int i = 0; i < 20; i++)
		sprintf(text + 2 * i, "%02x", out[i]);
	if (strcmp(text, want) != 0)
		fail_msg("%s: %s", name, text);
}

static void
sha1(void **state)
{
	static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	uint8_t *a = malloc(1000000);

	(void)state;
	memset(a, 'a', 1000000);
	sha1_is("empty", a, 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	sha1_is("abc", (const uint8_t *)"abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	sha1_is("two blocks", (const uint8_t *)two, 56, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	sha1_is("a million", a, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	sha1_is("64", a, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
	sha1_is("55", a, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
	free(a);
}

/* Around the ends of blocks; bytes 0, 1, 2, ... */
static void
sha1_lengths(void **state)
{
	static const struct {
		size_t n;
		const char *want;
	} cases[] = {
		{ 55, "8ae2d46729cfe68ff927af5eec9c7d1b66d65ac2" },
		{ 56, "636e2ec698dac903498e648bd2f3af641d3c88cb" },
		{ 63, "6d942da0c4392b123528f2905c713a3ce28364bd" },
		{ 64, "c6138d514ffa2135bfce0ed0b8fac65669917ec7" },
		{ 65, "69bd728ad6e13cd76ff19751fde427b00e395746" },
		{ 119, "41c89d06001bab4ab78736b44efe7ce18ce6ae08" },
		{ 127, "89d7312a903f65cd2b3e34a975e55dbea9033353" },
		{ 128, "e6434bc401f98603d7eda504790c98c67385d535" },
	};
	uint8_t bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		sha1_is(cases[i].want, bytes, cases[i].n, cases[i].want);
}

static struct bfd_auth
keyed(uint8_t type, uint8_t id, const char *key)
{
	struct bfd_auth a = { .type = type, .nkeys = 1, .keys[0] = { .id = id, .len = (uint8_t)strlen(key) } };

	memcpy(a.keys[0].bytes, key, strlen(key));
	return a;
}

static size_t
signed_packet(const struct bfd_auth *a, uint32_t seq, uint8_t *buf)
{
	struct bfd_packet p = { .state = BFD_DOWN, .multiplier = 3, .my_discr = 5, .min_tx_us = 1, .min_rx_us = 1 };
	struct bfd_auth_state s = { .sent = seq - 1 };
	size_t n = bfd_packet_build(&p, BFD_AUTH_LEN, buf);

	bfd_auth_sign(a, &s, buf);
	return n;
}

static enum bfd_drop
check(const struct bfd_auth *a, struct bfd_auth_state *s, const uint8_t *buf, size_t n)
{
	struct bfd_packet p;

	assert_int_equal(bfd_packet_parse(buf, n, &p), BFD_TAKEN);
	return bfd_auth_check(a, s, 3, &p, buf);
}

static void
damage(void **state)
{
	struct bfd_auth a = keyed(BFD_AUTH_SHA1_METICULOUS, 7, "a secret");
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = signed_packet(&a, 100, buf);

	(void)state;
	assert_int_equal(n, 52);
	/* Any bit of the packet, but those that make it another packet or no packet at all. */
	for (size_t bit = 0; bit < n * 8; bit++) {
		struct bfd_auth_state s = { 0 };
		struct bfd_packet p;

		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (bfd_packet_parse(buf, n, &p) == BFD_TAKEN && p.authenticated) {
			if (bfd_auth_check(&a, &s, 3, &p, buf) == BFD_TAKEN)
				fail_msg("bit %zu can be changed", bit);
			assert_false(s.known);
		}
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* How many keys, and how long. */
static void
bounds(void **state)
{
	struct bfd_auth a = { .type = BFD_AUTH_SHA1 };

	(void)state;
	assert_false(bfd_auth_valid(&a));
	for (int i = 0; i < BFD_KEYS; i++)
		a.keys[i] = (struct bfd_key){ .id = (uint8_t)(i + 1), .len = BFD_KEY_MAX };
	a.nkeys = BFD_KEYS;
	assert_true(bfd_auth_valid(&a));
	a.nkeys = BFD_KEYS + 1;
	assert_false(bfd_auth_valid(&a));
	a.nkeys = 1;
	a.keys[0].len = 1;
	assert_true(bfd_auth_valid(&a));
	a.keys[0].len = 0;
	assert_false(bfd_auth_valid(&a));
	a.keys[0].len = BFD_KEY_MAX + 1;
	assert_false(bfd_auth_valid(&a));
	a.keys[0].len = 1;
	a.type = 3;
	assert_false(bfd_auth_valid(&a));
	a.type = BFD_AUTH_NONE;
	assert_false(bfd_auth_valid(&a));
	a.nkeys = 0;
	assert_true(bfd_auth_valid(&a));
}

/* A key that is not there is none, also where the place behind the last one looks like an empty key with id 0. */
static void
no_key_behind_the_last(void **state)
{
	struct bfd_auth a = keyed(BFD_AUTH_SHA1, 7, "a secret"), empty = keyed(BFD_AUTH_SHA1, 0, "");
	struct bfd_auth_state s = { 0 };
	uint8_t buf[BFD_PACKET_MAX];

	(void)state;
	assert_int_equal(check(&a, &s, buf, signed_packet(&empty, 1, buf)), BFD_DROP_AUTH_KEY_ID);
}

static void
section(void **state)
{
	struct bfd_auth a = keyed(BFD_AUTH_SHA1, 7, "a secret");
	uint8_t buf[BFD_PACKET_MAX], got[20], want[20];

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	signed_packet(&a, 0x01020304, buf);
	assert_memory_equal(buf + 24, "\x04\x1c\x07\x00\x01\x02\x03\x04", 8);
	/* 4.4: the digest of all of it with the key, padded with zeros, in the place of the digest. */
	memcpy(got, buf + 32, 20);
	memset(buf + 32, 0, 20);
	memcpy(buf + 32, "a secret", 8);
	bfd_sha1(buf, 52, want);
	assert_memory_equal(got, want, 20);
}

static void
keys(void **state)
{
	struct bfd_auth a = keyed(BFD_AUTH_SHA1, 7, "a secret"), b = keyed(BFD_AUTH_SHA1, 7, "another");
	struct bfd_auth m = keyed(BFD_AUTH_SHA1_METICULOUS, 7, "a secret"), two = a;
	struct bfd_auth_state s = { 0 };
	uint8_t buf[BFD_PACKET_MAX];
	size_t n = signed_packet(&a, 1, buf);

	(void)state;
	assert_int_equal(check(&a, &s, buf, n), BFD_TAKEN);
	assert_int_equal(check(&b, &s, buf, n), BFD_DROP_AUTH_DIGEST);
	assert_int_equal(check(&m, &s, buf, n), BFD_DROP_AUTH_TYPE);
	b.keys[0].id = 8;
	assert_int_equal(check(&b, &s, buf, n), BFD_DROP_AUTH_KEY_ID);
	/* A second key is accepted while keys are changed. */
	two.nkeys = 2;
	two.keys[1] = b.keys[0];
	n = signed_packet(&b, 2, buf);
	assert_int_equal(check(&two, &s, buf, n), BFD_TAKEN);
	/* A section that is cut short. */
	n = signed_packet(&a, 3, buf);
	buf[3] = 51;
	assert_int_equal(check(&a, &s, buf, n), BFD_DROP_AUTH_TYPE);
	assert_false(bfd_auth_valid(&(struct bfd_auth){ .type = 3, .nkeys = 1, .keys[0].len = 1 }));
	assert_false(bfd_auth_valid(&(struct bfd_auth){ .type = 4, .nkeys = 1, .keys[0].len = 21 }));
	assert_false(bfd_auth_valid(&(struct bfd_auth){ .type = 4 }));
	assert_true(bfd_auth_valid(&a));
}

static void
sequence(void **state)
{
	static const struct {
		const char *name;
		uint8_t type;
		uint32_t known, seq;
		enum bfd_drop want;
	} cases[] = {
		{ "keyed, the same again", BFD_AUTH_SHA1, 10, 10, BFD_TAKEN },
		{ "keyed, one back", BFD_AUTH_SHA1, 10, 9, BFD_DROP_AUTH_SEQUENCE },
		{ "keyed, 3 x multiplier ahead", BFD_AUTH_SHA1, 10, 19, BFD_TAKEN },
		{ "keyed, one more", BFD_AUTH_SHA1, 10, 20, BFD_DROP_AUTH_SEQUENCE },
		{ "meticulous, the same again", BFD_AUTH_SHA1_METICULOUS, 10, 10, BFD_DROP_AUTH_SEQUENCE },
		{ "meticulous, the next", BFD_AUTH_SHA1_METICULOUS, 10, 11, BFD_TAKEN },
		{ "meticulous, 3 x multiplier ahead", BFD_AUTH_SHA1_METICULOUS, 10, 19, BFD_TAKEN },
		{ "meticulous, one more", BFD_AUTH_SHA1_METICULOUS, 10, 20, BFD_DROP_AUTH_SEQUENCE },
		{ "meticulous, over the end", BFD_AUTH_SHA1_METICULOUS, UINT32_MAX, 0, BFD_TAKEN },
		{ "keyed, back over the end", BFD_AUTH_SHA1, 0, UINT32_MAX, BFD_DROP_AUTH_SEQUENCE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_auth a = keyed(cases[i].type, 1, "k");
		struct bfd_auth_state s = { .known = true, .received = cases[i].known };
		uint8_t buf[BFD_PACKET_MAX];
		size_t n = signed_packet(&a, cases[i].seq, buf);
		enum bfd_drop got = check(&a, &s, buf, n);

		if (got != cases[i].want)
			fail_msg("%s: %s", cases[i].name, bfd_drop_name(got));
		assert_int_equal(s.received, got == BFD_TAKEN ? cases[i].seq : cases[i].known);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1),
		cmocka_unit_test(sha1_lengths),
		cmocka_unit_test(bounds),
		cmocka_unit_test(no_key_behind_the_last),
		cmocka_unit_test(section),
		cmocka_unit_test(damage),
		cmocka_unit_test(keys),
		cmocka_unit_test(sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
