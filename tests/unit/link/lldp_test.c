/* LLDP frames: order and lengths of TLVs, hostile texts, our own TLV, and that what we build is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/link/lldp.h"

#define ETH     "0180c200000e 020000000001 88cc "
#define CHASSIS "0207 04 020000000001 "
#define PORT    "0405 05 65746831 "
#define TTL     "0602 0078 "
#define END     "0000"

static const struct {
	const char *name, *hex;
	enum lldp_verdict want;
} cases[] = {
	{ "the least", ETH CHASSIS PORT TTL END, LLDP_OK },
	{ "no End TLV", ETH CHASSIS PORT TTL, LLDP_OK },
	{ "padding behind the end", ETH CHASSIS PORT TTL END "00000000ffff", LLDP_OK },
	{ "unknown TLV", ETH CHASSIS PORT TTL "fa03 010203" END, LLDP_OK },
	{ "unknown organization", ETH CHASSIS PORT TTL "fe05 0080c2 01 ff" END, LLDP_OK },
	{ "no Ethernet header", "0180c200000e 020000000001 88", LLDP_BAD_SHORT },
	{ "empty", "", LLDP_BAD_SHORT },
	{ "other ethertype", "0180c200000e 020000000001 86dd " CHASSIS PORT TTL END, LLDP_BAD_ETHERTYPE },
	{ "unicast", "020000000002 020000000001 88cc " CHASSIS PORT TTL END, LLDP_BAD_DEST },
	{ "nothing in it", ETH, LLDP_BAD_ORDER },
	{ "only an end", ETH END, LLDP_BAD_ORDER },
	{ "port before chassis", ETH PORT CHASSIS TTL END, LLDP_BAD_ORDER },
	{ "no TTL", ETH CHASSIS PORT END, LLDP_BAD_ORDER },
	{ "no TTL, no end", ETH CHASSIS PORT, LLDP_BAD_ORDER },
	{ "chassis twice", ETH CHASSIS PORT TTL CHASSIS END, LLDP_BAD_ORDER },
	{ "TTL twice", ETH CHASSIS PORT TTL TTL END, LLDP_BAD_ORDER },
	{ "empty chassis id", ETH "0201 04" PORT TTL END, LLDP_BAD_LENGTH },
	{ "TTL of one octet", ETH CHASSIS PORT "0601 78" END, LLDP_BAD_LENGTH },
	{ "TLV past the end", ETH CHASSIS PORT TTL "0aff 61", LLDP_BAD_LENGTH },
	{ "TLV header cut", ETH CHASSIS PORT TTL "0a", LLDP_BAD_LENGTH },
	{ "frame size of one octet", ETH CHASSIS PORT TTL "fe05 00120f 04 05" END, LLDP_BAD_LENGTH },
	{ "organization without subtype", ETH CHASSIS PORT TTL "fe03 00120f" END, LLDP_BAD_LENGTH },
	{ "our TLV cut inside an item", ETH CHASSIS PORT TTL "fe07 02fab1 01 0204 61" END, LLDP_BAD_LENGTH },
	{ "end TLV with bytes", ETH CHASSIS PORT TTL "0001 00", LLDP_BAD_END },
};

static uint8_t *
frame_of(const char *hex, size_t *n)
{
	uint8_t buf[1024];
	uint8_t *exact;
	unsigned int v;

	for (*n = 0; *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		buf[(*n)++] = (uint8_t)v;
		hex++;
	}
	exact = malloc(*n ? *n : 1);
	memcpy(exact, buf, *n);
	return exact;
}

static void
verdicts(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n;
		uint8_t *frame = frame_of(cases[i].hex, &n);
		struct lldp_info info;
		enum lldp_verdict v = lldp_parse(frame, n, &info);

		if (v != cases[i].want)
			fail_msg("%s: %s", cases[i].name, lldp_verdict_text(v));
		if (v == LLDP_OK) {
			assert_string_equal(info.chassis_name, "02:00:00:00:00:01");
			assert_string_equal(info.port_name, "eth1");
			assert_int_equal(info.ttl_s, 120);
		}
		free(frame);
	}
}

static void
hostile_texts_are_cut_and_cleaned(void **state UNUSED)
{
	size_t n;
	uint8_t *frame = frame_of(ETH CHASSIS PORT TTL "0a06 1b5b 324a 0041"
						       "0c00" END,
	    &n);
	uint8_t long_name[14 + 9 + 7 + 4 + 2 + 255];
	struct lldp_info info;

	assert_int_equal(lldp_parse(frame, n, &info), LLDP_OK);
	assert_string_equal(info.system_name, "?[2J?A");
	assert_string_equal(info.system_description, "");
	memcpy(long_name, frame, 34);
	long_name[34] = 0x0a;
	long_name[35] = 0xff;
	memset(long_name + 36, 'x', 255);
	assert_int_equal(lldp_parse(long_name, sizeof(long_name), &info), LLDP_OK);
	assert_int_equal(strlen(info.system_name), LLDP_TEXT - 1);
	free(frame);
}

static void
what_we_build_is_read_back(void **state UNUSED)
{
	struct lldp_advert a = { .mac = { 2, 0, 0, 0, 0, 7 },
		.port_name = "swp12",
		.port_description = "to leaf3",
		.system_name = "spine1",
		.system_description = "fabricd",
		.ttl_s = 121,
		.max_frame = 9234,
		.ours = { .present = true,
		    .fabric = "lab",
		    .node = "spine1",
		    .serial = "MT2041X00203",
		    .port = "swp12",
		    .revision = "8c1f02a" } };
	uint8_t frame[LLDP_FRAME_MAX];
	struct lldp_info info;
	size_t n = lldp_build(frame, sizeof(frame), &a);

	assert_true(n > 60);
	assert_int_equal(lldp_parse(frame, n, &info), LLDP_OK);
	assert_string_equal(info.port_name, "swp12");
	assert_string_equal(info.port_description, "to leaf3");
	assert_string_equal(info.system_name, "spine1");
	assert_int_equal(info.ttl_s, 121);
	assert_int_equal(info.max_frame, 9234);
	assert_memory_equal(&info.ours, &a.ours, sizeof(a.ours));
	for (size_t room = 0; room < n; room++)
		assert_int_equal(lldp_build(frame, room, &a), 0);
	n = lldp_build_shutdown(frame, sizeof(frame), a.mac, "swp12");
	assert_int_equal(lldp_parse(frame, n, &info), LLDP_OK);
	assert_int_equal(info.ttl_s, 0);
	assert_string_equal(info.port_name, "swp12");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(hostile_texts_are_cut_and_cleaned),
		cmocka_unit_test(what_we_build_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
