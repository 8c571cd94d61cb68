/* bfd/packet.c: each rule of RFC 5880 6.8.6 that needs no session, by a packet one bit or byte away from a good one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bfd/packet.h"
#include "fabricd/lib/base.h"

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned int b;

	for (; sscanf(hex, "%2x", &b) == 1; hex += 2)
		out[n++] = (uint8_t)b;
	return n;
}

#define TAIL "1234567800000000000f42400000c35000000000"

static const struct {
	const char *name, *hex;
	enum bfd_drop want;
} cases[] = {
	{ "good, Down", "20400318" TAIL, BFD_TAKEN },
	{ "good, a byte more than its length", "20400318" TAIL "ff", BFD_TAKEN },
	{ "empty", "", BFD_DROP_SHORT },
	{ "three bytes", "204003", BFD_DROP_SHORT },
	{ "version 0", "00400318" TAIL, BFD_DROP_VERSION },
	{ "version 2", "40400318" TAIL, BFD_DROP_VERSION },
	{ "length 23", "20400317" TAIL, BFD_DROP_LENGTH_SMALL },
	{ "A set, length 25", "20440319" TAIL "0102", BFD_DROP_LENGTH_SMALL },
	{ "A set, length 26", "2044031a" TAIL "0402", BFD_TAKEN },
	{ "length 25, 24 bytes", "20400319" TAIL, BFD_DROP_LENGTH_LARGE },
	{ "length 255, 24 bytes", "204003ff" TAIL, BFD_DROP_LENGTH_LARGE },
	{ "length 24, 23 bytes",
	    "20400318"
	    "1234567800000000000f42400000c350000000",
	    BFD_DROP_LENGTH_LARGE },
	{ "multiplier 0", "20400018" TAIL, BFD_DROP_MULTIPLIER },
	{ "multiplier 255", "2040ff18" TAIL, BFD_TAKEN },
	{ "multipoint", "20410318" TAIL, BFD_DROP_MULTIPOINT },
	{ "my discriminator 0",
	    "20400318"
	    "0000000000000000000f42400000c35000000000",
	    BFD_DROP_MY_DISCR },
	{ "your discriminator 0 in Init", "20800318" TAIL, BFD_DROP_STATE },
	{ "your discriminator 0 in Up", "20c00318" TAIL, BFD_DROP_STATE },
	{ "your discriminator 0 in AdminDown", "20000318" TAIL, BFD_TAKEN },
	{ "your discriminator 1 in Up",
	    "20c00318"
	    "1234567800000001000f42400000c35000000000",
	    BFD_TAKEN },
	{ "diagnostic 31", "3f400318" TAIL, BFD_TAKEN },
};

static void
rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[80];
		size_t n = unhex(cases[i].hex, bytes);
		struct bfd_packet p;
		enum bfd_drop got = bfd_packet_parse(bytes, n, &p);

		if (got != cases[i].want)
			fail_msg("%s: %s, not %s", cases[i].name, bfd_drop_name(got), bfd_drop_name(cases[i].want));
	}
}

/* A captured packet, field by field (tcpdump, bfd_source_port_49152.pcap). */
static void
fields(void **state)
{
	uint8_t bytes[80], again[BFD_PACKET_MAX];
	struct bfd_packet p;

	(void)state;
	assert_int_equal(unhex("20c803188000000180000001000186a0000186a000000000", bytes), 24);
	assert_int_equal(bfd_packet_parse(bytes, 24, &p), BFD_TAKEN);
	assert_int_equal(p.state, BFD_UP);
	assert_true(p.independent && !p.poll && !p.final && !p.authenticated && !p.demand);
	assert_int_equal(p.multiplier, 3);
	assert_int_equal(p.my_discr, 0x80000001);
	assert_int_equal(p.your_discr, 0x80000001);
	assert_int_equal(p.min_tx_us, 100000);
	assert_int_equal(p.min_rx_us, 100000);
	assert_int_equal(p.min_echo_us, 0);
	assert_null(p.auth);
	assert_int_equal(bfd_packet_build(&p, 0, again), 24);
	assert_memory_equal(bytes, again, 24);
}

/* What is written is read as it was, for every combination of flags. */
static void
round_trip(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits < 64; bits++) {
		struct bfd_packet p = { .diag = (uint8_t)(bits % 9),
			.state = (uint8_t)(bits & 3),
			.multiplier = 255,
			.poll = bits & 4,
			.final = bits & 8,
			.independent = bits & 16,
			.demand = bits & 32,
			.my_discr = 0xfffffffe,
			.your_discr = 7,
			.min_tx_us = UINT32_MAX,
			.min_rx_us = 0,
			.min_echo_us = 0x01020304 };
		struct bfd_packet back;
		uint8_t buf[BFD_PACKET_MAX];

		assert_int_equal(bfd_packet_build(&p, 0, buf), BFD_PACKET_MIN);
		assert_int_equal(bfd_packet_parse(buf, BFD_PACKET_MIN, &back), BFD_TAKEN);
		assert_memory_equal(&p, &back, sizeof(p));
	}
}

static void
names(void **state)
{
	(void)state;
	for (int d = 0; d < BFD_DROPS; d++) {
		assert_non_null(bfd_drop_name(d));
		for (int o = 0; o < d; o++)
			assert_string_not_equal(bfd_drop_name(d), bfd_drop_name(o));
	}
	for (unsigned int d = 0; d < BFD_DIAGS; d++)
		assert_non_null(bfd_diag_name(d));
	assert_string_equal(bfd_diag_name(31), "unknown");
	assert_string_equal(bfd_state_name(BFD_UP), "Up");
	assert_string_equal(bfd_state_name(9), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(fields),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
