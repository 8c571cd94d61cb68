/* tests/unit/bgp/message_test.c -- framing, OPEN, NOTIFICATION, ROUTE-REFRESH */
#include "tests/unit/bgp/cases.h"

#include "fabricd/bgp/message.h"

#define FF "ffffffffffffffffffffffffffffffff"

static void
framing(void **state)
{
	static const struct {
		const char *name, *hex;
		bool extended;
		enum bgp_frame want;
		uint8_t code, subcode;
	} cases[] = {
		{ "nothing", "", false, BGP_FRAME_MORE, 0, 0 },
		{ "18 octets", FF "0013", false, BGP_FRAME_MORE, 0, 0 },
		{ "KEEPALIVE", FF "001304", false, BGP_FRAME_WHOLE, 0, 0 },
		{ "KEEPALIVE with a body", FF "00140400", false, BGP_FRAME_BAD, 1, 2 },
		{ "wrong marker", "fffffffffffffffffffffffffffffffe001304", false, BGP_FRAME_BAD, 1, 1 },
		{ "length 18", FF "001204", false, BGP_FRAME_BAD, 1, 2 },
		{ "length 0", FF "000002", false, BGP_FRAME_BAD, 1, 2 },
		{ "length 4096, header only", FF "100002", false, BGP_FRAME_MORE, 0, 0 },
		{ "length 4097", FF "100102", false, BGP_FRAME_BAD, 1, 2 },
		{ "length 4097, extended", FF "100102", true, BGP_FRAME_MORE, 0, 0 },
		{ "length 65535, extended", FF "ffff02", true, BGP_FRAME_MORE, 0, 0 },
		{ "OPEN of 4097, extended", FF "100101", true, BGP_FRAME_BAD, 1, 2 },
		{ "OPEN of 28", FF "001c01", false, BGP_FRAME_BAD, 1, 2 },
		{ "UPDATE of 22", FF "001602", false, BGP_FRAME_BAD, 1, 2 },
		{ "NOTIFICATION of 20", FF "001403", false, BGP_FRAME_BAD, 1, 2 },
		{ "ROUTE-REFRESH of 22", FF "001605", false, BGP_FRAME_BAD, 1, 2 },
		{ "type 0", FF "001300", false, BGP_FRAME_BAD, 1, 3 },
		{ "type 6", FF "001306", false, BGP_FRAME_BAD, 1, 3 },
		{ "type 255", FF "0013ff", false, BGP_FRAME_BAD, 1, 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes *b = from_hex(cases[i].hex);
		struct bgp_notice err = { 0 };
		struct bgp_message m;
		enum bgp_frame got = bgp_frame(b->b, b->n, cases[i].extended, &m, &err);

		if (got != cases[i].want || err.code != cases[i].code || err.subcode != cases[i].subcode)
			fail_msg("%s: %d, %u/%u", cases[i].name, (int)got, err.code, err.subcode);
		free(b);
	}
}

/* Body of an OPEN with this text of hex as its optional parameters' length and content. */
static bool
open_with(const char *fixed, const char *params, struct bgp_open *o, struct bgp_notice *err)
{
	struct bytes *b = from_hex(fixed);
	uint8_t *exact;
	bool ok;

	add_hex(b, params);
	exact = malloc(b->n); /* so that the sanitizer sees a read past the end */
	memcpy(exact, b->b, b->n);
	ok = bgp_open_parse(rd_make(exact, b->n), o, err);
	free(exact);
	free(b);
	return ok;
}

static void
opens(void **state)
{
	static const struct {
		const char *name, *fixed, *params;
		uint8_t code, subcode; /* 0: accepted */
	} cases[] = {
		{ "bare", "04fde9005a0a000001", "00", 0, 0 },
		{ "version 3", "03fde9005a0a000001", "00", 2, 1 },
		{ "AS 0", "040000005a0a000001", "00", 2, 2 },
		{ "identifier 0", "04fde9005a00000000", "00", 2, 3 },
		{ "hold 0", "04fde900000a000001", "00", 0, 0 },
		{ "hold 1", "04fde900010a000001", "00", 2, 6 },
		{ "hold 2", "04fde900020a000001", "00", 2, 6 },
		{ "hold 3", "04fde900030a000001", "00", 0, 0 },
		{ "authentication parameter", "04fde9005a0a000001", "03 010100", 2, 4 },
		{ "parameter past the end", "04fde9005a0a000001", "04 02030200", 2, 0 },
		{ "parameters' length past the end", "04fde9005a0a000001", "05 020202", 2, 0 },
		{ "octets behind the parameters", "04fde9005a0a000001", "00 00", 2, 0 },
		{ "AS of capability 0", "045ba0005a0a000001", "08 0206 410400000000", 2, 2 },
		{ "AS_TRANS of capability", "045ba0005a0a000001", "08 0206 410400005ba0", 2, 2 },
		{ "AS_TRANS alone", "045ba0005a0a000001", "00", 2, 2 },
		{ "AS of capability differs", "04fde9005a0a000001", "08 0206 41040000fdea", 2, 2 },
		{ "4-octet AS", "045ba0005a0a000001", "08 0206 4104fbfff001", 0, 0 },
		{ "MP of 3 octets", "04fde9005a0a000001", "07 0205 0103000100", 2, 0 },
		/* RFC 9072, and the ways in which its lengths were wrong elsewhere */
		{ "extended length", "04fde9005a0a000001", "ff ff 0005 02 0002 0200", 0, 0 },
		{ "extended length, first octet not 255", "04fde9005a0a000001", "01 ff 0005 02 0002 0200", 0, 0 },
		{ "extended length, two octets of it", "04fde9005a0a000001", "ff ff00", 2, 0 },
		{ "extended length past the end", "04fde9005a0a000001", "ff ff 0009 02 0002 0200", 2, 0 },
		{ "extended parameter of 2 octets", "04fde9005a0a000001", "ff ff 0002 02 00", 2, 0 },
		{ "length octet alone", "04fde9005a0a000001", "ff", 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_notice err = { 0 };
		struct bgp_open o;
		bool ok = open_with(cases[i].fixed, cases[i].params, &o, &err);

		if (ok != (cases[i].code == 0) ||
		    (!ok && (err.code != cases[i].code || err.subcode != cases[i].subcode)))
			fail_msg("%s: %d, %u/%u", cases[i].name, ok, err.code, err.subcode);
	}
}

static void
open_round_trip(void **state)
{
	struct bgp_open o = { .version = 4,
		.asn = 4200000103,
		.hold_s = 9,
		.id = 0x0afa0307,
		.hostname = "p3-leaf7",
		.caps = BGP_CAP_MP | BGP_CAP_REFRESH | BGP_CAP_IPV4_OVER_IPV6 | BGP_CAP_EXTENDED_MESSAGE | BGP_CAP_AS4 |
			BGP_CAP_ENHANCED_REFRESH | BGP_CAP_HOSTNAME };
	struct bgp_open back;
	struct bgp_message m;
	struct bgp_notice err;
	uint8_t buf[300];
	struct wr w = wr_make(buf, sizeof(buf));

	(void)state;
	bgp_open_write(&w, &o);
	assert_int_equal(bgp_frame(buf, wr_len(&w), false, &m, &err), BGP_FRAME_WHOLE);
	assert_true(bgp_open_parse(m.body, &back, &err));
	assert_int_equal(back.asn, o.asn);
	assert_int_equal(back.hold_s, 9);
	assert_int_equal(back.id, o.id);
	assert_int_equal(back.caps, o.caps);
	assert_string_equal(back.hostname, "p3-leaf7");
	assert_string_equal(back.domain, "");
	assert_false(back.bare);
	/* long names fit too, and a buffer that is too small is told */
	memset(o.hostname, 'h', BGP_NAME - 1);
	memset(o.domain, 'd', BGP_NAME - 1);
	w = wr_make(buf, sizeof(buf));
	bgp_open_write(&w, &o);
	assert_int_equal(bgp_frame(buf, wr_len(&w), false, &m, &err), BGP_FRAME_WHOLE);
	assert_true(bgp_open_parse(m.body, &back, &err));
	assert_string_equal(back.domain, o.domain);
	w = wr_make(buf, 60);
	bgp_open_write(&w, &o);
	assert_true(w.full);
}

static void
capabilities_seen(void **state)
{
	struct bgp_notice err;
	struct bgp_open o;
	const char *params = "2d 022b"
			     "400a 8078 00010180 00020100" /* restarting, 120 s; IPv4 with F, IPv6 without */
			     "4906 046c656166 00"          /* hostname "leaf" */
			     "0506 000100010002"           /* IPv4 over IPv6 */
			     "4700 0901 03"                /* long-lived, role */
			     "8000 4000 010400190041";     /* not ours; restart of no length; another family */

	(void)state;
	/* graceful restart of length 0 is refused, so take it out for the good one */
	assert_false(open_with("04fde9005a0a000001", params, &o, &err));
	params =
	    "2b 0229 400a 8078 00010180 00020100 4906 046c656166 00 0506 000100010002 4700 0901 03 8000 010400190041";
	assert_true(open_with("04fde9005a0a000001", params, &o, &err));
	assert_int_equal(o.gr_flags, 8);
	assert_int_equal(o.gr_restart_s, 120);
	assert_int_equal(o.gr_families, 3);
	assert_int_equal(o.gr_forwarding, 1);
	assert_string_equal(o.hostname, "leaf");
	assert_int_equal(o.role, 3);
	assert_int_equal(o.caps, BGP_CAP_GRACEFUL_RESTART | BGP_CAP_HOSTNAME | BGP_CAP_IPV4_OVER_IPV6 |
				     BGP_CAP_LONG_LIVED_RESTART | BGP_CAP_ROLE);
	assert_int_equal(o.nothers, 1);
	assert_int_equal(o.others[0], 128);
	for (uint32_t bit = 1; bit & BGP_CAP_ALL; bit <<= 1)
		assert_non_null(bgp_cap_name((enum bgp_cap)bit));
	assert_null(bgp_cap_name((enum bgp_cap)3));
}

/* Names are only shown: what is wrong or wild in them refuses nobody, and nothing wild comes out. */
static void
wild_hostnames(void **state)
{
	static const struct {
		const char *name, *params, *want;
	} cases[] = {
		{ "longer than it is", "06 0204 4902 ff00", "" },
		{ "control octets", "09 0207 4905 031b5b41 00", "?[A" },
		{ "no domain length", "07 0205 4903 026162", "ab" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_notice err = { 0 };
		struct bgp_open o;

		if (!open_with("04fde9005a0a000001", cases[i].params, &o, &err) ||
		    strcmp(o.hostname, cases[i].want) != 0)
			fail_msg("%s: \"%s\" %u/%u", cases[i].name, o.hostname, err.code, err.subcode);
	}
}

static void
vectors_frr_capability(void **state)
{
	json_t *list = load_cases("frr-capability"), *c;
	size_t i, tried = 0;

	(void)state;
	json_array_foreach(list, i, c)
	{
		bool params = strcmp(text_of(c, "set"), "opt_params") == 0, ok;
		struct bytes *b = from_hex(text_of(c, "hex"));
		uint8_t *exact = malloc(b->n + 10);
		struct bgp_notice err;
		struct bgp_open o = { .bare = true };

		memcpy(exact, "\x04\xfd\xe9\x00\x5a\x0a\x00\x00\x01", 9);
		exact[9] = (uint8_t)b->n;
		memcpy(exact + 10, b->b, b->n);
		if (strcmp(text_of(c, "set"), "dynamic_cap_msgs") != 0) { /* those are messages of a draft */
			if (params) /* one vector's AS differs from the one in our fixed part */
				ok = bgp_open_parse(rd_make(exact, b->n + 10), &o, &err) || err.subcode == 2;
			else
				ok = bgp_caps_parse(rd_make(exact + 10, b->n), &o);
			if (ok != (strcmp(text_of(c, "expect"), "accept") == 0))
				fail_msg("%s: %s", text_of(c, "name"), ok ? "accepted" : "refused");
			tried++;
		}
		free(exact);
		free(b);
	}
	assert_true(tried > 15);
	json_decref(list);
}

/* W14 NOTIFICATION with hostile text: printed escaped, at most 255 octets. */
static void
test_W14_hostile_notification(void **state)
{
	uint8_t data[256];
	char text[BGP_NOTICE_TEXT], tiny[5];
	struct bgp_notice n;

	(void)state;
	data[0] = 255;
	for (int i = 1; i < 256; i++)
		data[i] = (uint8_t)(i * 7);
	memcpy(data + 1, "\x1b[2J\r\nfake: log line\x00%s%n\xff", 26);
	n = bgp_notice_make(BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, data, sizeof(data));
	bgp_notice_text(&n, text, sizeof(text));
	assert_true(strlen(text) <= 255);
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			fail_msg("octet %02x got out", (unsigned char)*p);
	assert_non_null(
	    strstr(text, "cease (6/2): administrative shutdown, \"\\x1b[2J\\x0d\\x0afake: log line\\x00%s%n"));
	bgp_notice_text(&n, tiny, sizeof(tiny));
	assert_string_equal(tiny, "...");
	/* a length octet that claims more than is there */
	n.len = 3;
	bgp_notice_text(&n, text, sizeof(text));
	assert_string_equal(text, "cease (6/2): administrative shutdown, \"\\x1b[\"");
}

static void
notification_texts(void **state)
{
	static const struct {
		const char *hex, *want;
	} cases[] = {
		{ "0400", "hold timer expired (4/0)" },
		{ "0202", "OPEN message error (2/2): bad peer AS" },
		{ "0601 000101 00000064", "cease (6/1): maximum number of prefixes reached, AFI 1 SAFI 1, limit 100" },
		{ "0602 0568656c6c6f", "cease (6/2): administrative shutdown, \"hello\"" },
		{ "0609 0602 026f6b",
		    "cease (6/9): hard reset, because of cease (6/2): administrative shutdown, \"ok\"" },
		{ "0609 06", "cease (6/9): hard reset, data 06" },
		{ "060a", "cease (6/10): BFD down" },
		{ "0305 c0070700", "UPDATE message error (3/5): attribute length error, data c0070700" },
		{ "0507", "state machine error (5/7): unknown subcode" },
		{ "0800", "send hold timer expired (8/0)" },
		{ "ff01", "unknown error (255/1): unknown subcode" },
	};
	char text[BGP_NOTICE_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes *b = from_hex(cases[i].hex);
		struct bgp_notice n;

		assert_true(bgp_notice_parse(rd_make(b->b, b->n), &n));
		assert_string_equal(bgp_notice_text(&n, text, sizeof(text)), cases[i].want);
		free(b);
	}
}

/* RFC 9003: 255 octets at most, cut at the edge of a character. */
static void
shutdown_communication(void **state)
{
	char said[400];
	struct bgp_notice n;

	(void)state;
	memset(said, 'x', sizeof(said));
	memcpy(said + 254, "\xc3\xa4", 2); /* an a with dots across the edge */
	said[399] = '\0';
	n = bgp_notice_cease(BGP_CEASE_SHUTDOWN, said);
	assert_int_equal(n.data[0], 254);
	assert_int_equal(n.len, 255);
	memset(said, 'x', sizeof(said));
	said[399] = '\0';
	n = bgp_notice_cease(BGP_CEASE_RESET, said);
	assert_int_equal(n.data[0], 255);
	assert_int_equal(n.len, 256);
	n = bgp_notice_hard_reset(&n); /* RFC 8538 3: all of it goes along */
	assert_int_equal(n.len, 258);
	assert_int_equal(n.data[2], 255);
	assert_memory_equal(n.data + 3, said, 255);
	n = bgp_notice_cease(BGP_CEASE_COLLISION, "not sent with this one");
	assert_int_equal(n.len, 0);
	n = bgp_notice_cease(BGP_CEASE_SHUTDOWN, NULL);
	assert_int_equal(n.len, 0);
}

static void
refreshes(void **state)
{
	static const struct {
		const char *name, *hex;
		bool ok;
		uint8_t subtype;
		bool plain; /* RFC 7313 was not agreed upon */
	} cases[] = {
		{ "request", FF "001705 00010001", true, 0, false },
		{ "request with an ORF", FF "001b05 00010001 01800000", true, 0, false },
		{ "begin", FF "001705 00010101", true, 1, false },
		{ "end, too long", FF "001805 0001020100", false, 2, false },
		{ "unknown subtype", FF "001705 0001ff01", true, 255, false },
		{ "unknown subtype, longer", FF "001905 000103010000", true, 3, false }, /* RFC 7313 5: ignored */
		{ "no subtypes", FF "001705 00010101", true, 0, true },
		{ "no subtypes, longer", FF "001805 0001020100", true, 0, true },
	};
	uint8_t buf[BGP_HEADER + 4];
	struct wr w = wr_make(buf, sizeof(buf));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes *b = from_hex(cases[i].hex);
		struct bgp_refresh_message r;
		struct bgp_notice err = { 0 };
		struct bgp_message m;
		bool ok;

		assert_int_equal(bgp_frame(b->b, b->n, false, &m, &err), BGP_FRAME_WHOLE);
		ok = bgp_refresh_parse(&m, !cases[i].plain, &r, &err);
		if (ok != cases[i].ok || (ok && r.subtype != cases[i].subtype))
			fail_msg("%s", cases[i].name);
		if (!ok) { /* RFC 7313 5: the whole message comes back */
			assert_int_equal(err.code, BGP_ERR_REFRESH);
			assert_int_equal(err.len, b->n);
			assert_memory_equal(err.data, b->b, b->n);
		}
		free(b);
	}
	bgp_refresh_write(&w, FAMILY_IPV6, BGP_REFRESH_END);
	assert_memory_equal(buf + 16, "\x00\x17\x05\x00\x02\x02\x01", 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing),
		cmocka_unit_test(opens),
		cmocka_unit_test(open_round_trip),
		cmocka_unit_test(capabilities_seen),
		cmocka_unit_test(wild_hostnames),
		cmocka_unit_test(vectors_frr_capability),
		cmocka_unit_test(test_W14_hostile_notification),
		cmocka_unit_test(notification_texts),
		cmocka_unit_test(shutdown_communication),
		cmocka_unit_test(refreshes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
