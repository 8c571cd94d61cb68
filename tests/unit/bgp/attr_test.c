/* tests/unit/bgp/attr_test.c -- canonical form, old speakers' AS numbers, facts for the decision, text */
#include "tests/unit/bgp/cases.h"

#include "fabricd/bgp/attr.h"
#include "fabricd/bgp/encode.h"

#define LOCAL_AS 65001

static struct bgp_scratch scratch;

/* Parses an exact copy, so that the sanitizer sees a read past the end. */
static struct bgp_attrs
parse(const char *hex, uint32_t caps, bool internal, bool keep_unknown)
{
	struct bgp_update_opts opt = {
		.local_as = LOCAL_AS, .caps = caps | BGP_CAP_MP, .internal = internal, .keep_unknown = keep_unknown
	};
	struct bytes *b = from_hex(hex);
	uint8_t *exact = malloc(b->n ? b->n : 1);
	struct bgp_attrs out;

	memcpy(exact, b->b, b->n);
	bgp_attrs_parse(rd_make(exact, b->n), &opt, &scratch, &out);
	free(exact);
	free(b);
	return out;
}

static char *
to_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
	out[2 * n] = '\0';
	return out;
}

#define ORIGIN "400101 00"

/* Input and the canonical form that comes of it. */
static const struct {
	const char *name, *in, *want;
	uint32_t caps;
	bool internal, keep_unknown;
} canons[] = {
	{ "as it came", ORIGIN "4002060201 0000fdea", ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 0 },
	{ "sorted", "4002060201 0000fdea" ORIGIN, ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 0 },
	{ "extended length made short", "50010001 00 5002 0006 0201 0000fdea", ORIGIN "4002060201 0000fdea",
	    BGP_CAP_AS4, 0, 0 },
	{ "next hops left out", ORIGIN "4002060201 0000fdea 4003040a000002 800e0e 000102 04 0a000002 00 18c00002 00",
	    ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 0 },
	{ "LOCAL_PREF from outside", ORIGIN "4002060201 0000fdea 400504 00000064", ORIGIN "4002060201 0000fdea",
	    BGP_CAP_AS4, 0, 0 },
	{ "LOCAL_PREF from inside", ORIGIN "4002060201 0000fdea 400504 00000064",
	    ORIGIN "4002060201 0000fdea 400504 00000064", BGP_CAP_AS4, 1, 0 },
	{ "reserved flag bits cleared",
	    "4f0101 00"
	    "4f02060201 0000fdea",
	    ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 0 },
	{ "large communities, each once",
	    ORIGIN "c02030 0000fdea0000000100000002 000000010000000100000001 0000fdea0000000100000002 "
		   "000000010000000100000001",
	    ORIGIN "c02018 0000fdea0000000100000002 000000010000000100000001", BGP_CAP_AS4, 0, 0 },
	{ "Partial kept where it may stand", ORIGIN "4002060201 0000fdea e00804 fdea0007",
	    ORIGIN "4002060201 0000fdea e00804 fdea0007", BGP_CAP_AS4, 0, 0 },
	{ "Partial of a non-transitive one cleared", ORIGIN "4002060201 0000fdea a00404 00000007",
	    ORIGIN "4002060201 0000fdea 800404 00000007", BGP_CAP_AS4, 0, 0 },
	{ "W08 unknown transitive dropped", ORIGIN "4002060201 0000fdea c0fd04 deadbeef", ORIGIN "4002060201 0000fdea",
	    BGP_CAP_AS4, 0, 0 },
	{ "W08 unknown transitive kept, with Partial", ORIGIN "4002060201 0000fdea c0fd04 deadbeef",
	    ORIGIN "4002060201 0000fdea e0fd04 deadbeef", BGP_CAP_AS4, 0, 1 },
	{ "unknown non-transitive dropped all the same", ORIGIN "4002060201 0000fdea 80fd04 deadbeef",
	    ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 1 },
	{ "ATTR_SET, AIGP, PMSI, tunnel, SID dropped, even when unknown ones are kept",
	    ORIGIN "4002060201 0000fdea c08004 00000000 801a0b 01000b 0000000000000001 c01605 0006000000 c01704 "
		   "00070000 c02803 010000",
	    ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 1 },
	{ "OTC kept", ORIGIN "4002060201 0000fdea c02304 0000fdea", ORIGIN "4002060201 0000fdea c02304 0000fdea",
	    BGP_CAP_AS4, 0, 0 },
	/* RFC 6793 */
	{ "2-octet path widened", ORIGIN "4002060202 fdea fdeb", ORIGIN "40020a0202 0000fdea 0000fdeb", 0, 0, 0 },
	{ "2-octet segments joined", ORIGIN "4002080201 fdea 0201 fdeb", ORIGIN "40020a0202 0000fdea 0000fdeb", 0, 0,
	    0 },
	{ "AS4_PATH merged behind the leading ones", ORIGIN "4002080203 fdea 5ba0 5ba0 c0110a 0202 fa56ea00 fa56ea01",
	    ORIGIN "40020e0203 0000fdea fa56ea00 fa56ea01", 0, 0, 0 },
	{ "AS4_PATH of the same length", ORIGIN "4002060202 5ba0 5ba0 c0110a 0202 fa56ea00 fa56ea01",
	    ORIGIN "40020a0202 fa56ea00 fa56ea01", 0, 0, 0 },
	{ "AS4_PATH longer than the path is ignored", ORIGIN "4002040201 5ba0 c0110a 0202 fa56ea00 fa56ea01",
	    ORIGIN "4002060201 00005ba0", 0, 0, 0 },
	{ "AS4_PATH skips confederations", ORIGIN "4002060202 5ba0 5ba0 c01110 0301 00000001 0202 fa56ea00 fa56ea01",
	    ORIGIN "40020a0202 fa56ea00 fa56ea01", 0, 0, 0 },
	{ "AS4_PATH from a new speaker", ORIGIN "4002060201 0000fdea c01106 0201 fa56ea00",
	    ORIGIN "4002060201 0000fdea", BGP_CAP_AS4, 0, 0 },
	{ "AGGREGATOR widened", ORIGIN "4002040201 fdea c00706 fdea 0a000001",
	    ORIGIN "4002060201 0000fdea c00708 0000fdea 0a000001", 0, 0, 0 },
	{ "AS4_AGGREGATOR takes its place", ORIGIN "4002040201 fdea c00706 5ba0 0a000001 c01208 fa56ea00 0a000009",
	    ORIGIN "4002060201 0000fdea c00708 fa56ea00 0a000009", 0, 0, 0 },
	{ "AGGREGATOR with an AS: both AS4 ones are ignored",
	    ORIGIN "4002040201 5ba0 c00706 fdea 0a000001 c01106 0201 fa56ea00 c01208 fa56ea00 0a000009",
	    ORIGIN "4002060201 00005ba0 c00708 0000fdea 0a000001", 0, 0, 0 },
	{ "AGGREGATOR with an AS, without AS4_AGGREGATOR: AS4_PATH counts",
	    ORIGIN "4002060202 fdea 5ba0 c00706 fdea 0a000001 c01106 0201 fa56ea00",
	    ORIGIN "40020a0202 0000fdea fa56ea00 c00708 0000fdea 0a000001", 0, 0, 0 },
	{ "the same with AS_TRANS: a foreign AS_TRANS stays",
	    ORIGIN "4002060202 fdea 5ba0 c00706 5ba0 0a000001 c01106 0201 fa56ea00",
	    ORIGIN "40020a0202 0000fdea fa56ea00 c00708 00005ba0 0a000001", 0, 0, 0 },
	{ "AS4_AGGREGATOR alone", ORIGIN "4002040201 fdea c01208 fa56ea00 0a000009", ORIGIN "4002060201 0000fdea", 0, 0,
	    0 },
};

static void
canonical_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(canons); i++) {
		struct bgp_attrs a = parse(canons[i].in, canons[i].caps, canons[i].internal, canons[i].keep_unknown);
		struct bytes *want = from_hex(canons[i].want);
		char got_text[512];

		if (a.fate > BGP_FATE_DISCARD)
			fail_msg("%s: %s, %s", canons[i].name, bgp_fate_name(a.fate), a.why);
		if (a.view.wire_len != want->n || memcmp(a.view.wire, want->b, want->n) != 0)
			fail_msg("%s: %s", canons[i].name, to_hex(a.view.wire, a.view.wire_len, got_text));
		free(want);
	}
}

#define COMMUNITY "e00804 fdea0007"
#define LARGE     "c0200c 0000fdea 00000001 00000002"

/* What comes in from one neighbour and goes out to the next, our AS (65001) in front. */
static const struct {
	const char *name, *in, *out;
	bool keep;
} edges[] = {
	{ "unknown transitive, dropped", ORIGIN "4002060201 0000fdea" COMMUNITY LARGE "c0fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea" COMMUNITY LARGE, false },
	{ "unknown transitive, passed with Partial", ORIGIN "4002060201 0000fdea" COMMUNITY LARGE "c0fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea" COMMUNITY LARGE "e0fd04 deadbeef", true },
	{ "Partial already", ORIGIN "4002060201 0000fdea" COMMUNITY "e0fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea" COMMUNITY "e0fd04 deadbeef", true },
	{ "two, one of them empty", ORIGIN "4002060201 0000fdea c0f000 c0fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea e0f000 e0fd04 deadbeef", true },
	{ "not transitive: dropped in any case", ORIGIN "4002060201 0000fdea 80fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea", true },
};

/* W08 an unknown transitive attribute: dropped, or passed on with Partial; all else leaves as it came. */
static void
test_W08_unknown_transitive(void **state)
{
	const struct bgp_encode_opts to = { .local_as = LOCAL_AS, .prepend = 1, .as4 = true };
	uint8_t got[256];
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
		struct bgp_attrs a = parse(edges[i].in, BGP_CAP_AS4, false, edges[i].keep);
		struct bytes *want = from_hex(edges[i].out);
		int n = bgp_attrs_out(&to, &a.view, got, sizeof(got));

		if (a.fate > BGP_FATE_DISCARD)
			fail_msg("%s: %s, %s", edges[i].name, bgp_fate_name(a.fate), a.why);
		if (n < 0 || (size_t)n != want->n || memcmp(got, want->b, want->n) != 0)
			fail_msg("%s: %s", edges[i].name, n < 0 ? "does not fit" : to_hex(got, (size_t)n, text));
		free(want);
	}
}

/* The canonical form of a canonical form is itself. */
static void
canonical_forms_are_stable(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(canons); i++) {
		struct bgp_attrs a = parse(canons[i].want, BGP_CAP_AS4, canons[i].internal, true);
		struct bytes *want = from_hex(canons[i].want);

		if (a.view.wire_len != want->n || memcmp(a.view.wire, want->b, want->n) != 0)
			fail_msg("%s", canons[i].name);
		free(want);
	}
}

static void
facts(void **state)
{
	struct bgp_attrs a;

	(void)state;
	a = parse("400101 02 40020e 0203 0000fdea fa56ea00 0000fdeb 800404 0000002a c00814 ffff0000 ffff029a ffffff01 "
		  "ffffff02 fdea0007",
	    BGP_CAP_AS4, false, false);
	assert_int_equal(a.fate, BGP_FATE_OK);
	assert_int_equal(a.view.origin, 2);
	assert_int_equal(a.view.path_len, 3);
	assert_int_equal(a.view.first_as, 65002);
	assert_int_equal(a.view.origin_as, 65003);
	assert_int_equal(a.view.med, 42);
	assert_int_equal(a.view.flags,
	    ATTRS_HAS_MED | ATTRS_GRACEFUL_SHUTDOWN | ATTRS_BLACKHOLE | ATTRS_NO_EXPORT | ATTRS_NO_ADVERTISE);
	a = parse(ORIGIN "40020a 0202 0000fdea 0000fde9 400600", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.flags, ATTRS_LOOP | ATTRS_AGGREGATED);
	/* NO_EXPORT_SUBCONFED counts as NO_EXPORT; a lookalike below 65535 does not */
	a = parse(ORIGIN "4002060201 0000fdea c00808 ffffff03 fffe029a", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.flags, ATTRS_NO_EXPORT);
	/* own AS behind an old speaker, found in the merged path */
	a = parse(ORIGIN "4002060202 fdea 5ba0 c01106 0201 0000fde9", 0, false, false);
	assert_int_equal(a.view.flags, ATTRS_LOOP);
	assert_int_equal(a.view.path_len, 2);
	assert_int_equal(a.view.origin_as, 65001);
}

static void
link_bandwidth(void **state)
{
	static const struct {
		float bytes_per_second;
		uint16_t want;
	} weights[] = { { 0, 0 }, { -5, 0 }, { 1, 1 }, { 12.5e6f, 1 }, { 125e6f, 10 }, { 1.25e9f, 100 },
		{ 12.5e9f, 1000 }, { 50e9f, 4000 }, { 1e30f, 65535 }, { 1.0f / 0.0f, 0 }, { 0.0f / 0.0f, 0 } };
	struct bgp_attrs a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(weights); i++)
		assert_int_equal(bgp_bandwidth_weight(weights[i].bytes_per_second), weights[i].want);
	/* 1.25e9 as IEEE 754: 4e9502f9; both the transitive and the non-transitive type */
	a = parse(ORIGIN "4002060201 0000fdea c01010 0002fdea00000007 4004fdea4e9502f9", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.link_bandwidth_weight, 100);
	a = parse(ORIGIN "4002060201 0000fdea c01008 0004fdea4e9502f9", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.link_bandwidth_weight, 100);
	/* of several the lowest, 125e6 (4cee6b28) and then 0, wherever it stands */
	a = parse(ORIGIN "4002060201 0000fdea c01010 4004fdea4e9502f9 0004fdea4cee6b28", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.link_bandwidth_weight, 10);
	a = parse(ORIGIN "4002060201 0000fdea c01010 4004fdea4cee6b28 0004fdea4e9502f9", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.link_bandwidth_weight, 10);
	a = parse(ORIGIN "4002060201 0000fdea c01010 4004fdea4e9502f9 0004fdea00000000", BGP_CAP_AS4, false, false);
	assert_int_equal(a.view.link_bandwidth_weight, 0);
}

/* Verdicts that the vectors of others do not have. */
static void
fates(void **state)
{
	static const struct {
		const char *name, *hex;
		uint32_t caps;
		enum bgp_fate want;
		uint8_t about;
	} cases[] = {
		{ "length runs past the end", ORIGIN "400209 0201 0000fdea", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "one octet left", ORIGIN "40", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 0 },
		{ "two octets left", ORIGIN "4002", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "extended length of one octet", ORIGIN "500200", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "ORIGIN twice", ORIGIN "400101 02", BGP_CAP_AS4, BGP_FATE_DISCARD, 1 },
		{ "MP_REACH twice", "800e05 0001010000 800e05 0001010000", BGP_CAP_AS4, BGP_FATE_RESET, 14 },
		{ "MP_UNREACH twice", "800f03 000101 800f03 000101", BGP_CAP_AS4, BGP_FATE_RESET, 15 },
		{ "MP_UNREACH of 2", "800f02 0001", BGP_CAP_AS4, BGP_FATE_RESET, 15 },
		{ "MP_REACH of 4", "800e04 00010100", BGP_CAP_AS4, BGP_FATE_RESET, 14 },
		{ "MP_REACH well-known", "400e05 0001010000", BGP_CAP_AS4, BGP_FATE_RESET, 14 },
		{ "AS_SET", "400206 0101 0000fdea", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "AS_SET behind a sequence", "40020c 0201 0000fdea 0101 0000fdeb", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "AS_SET in AS4_PATH", "400204 0201 fdea c01106 0101 fa56ea00", 0, BGP_FATE_WITHDRAW, 17 },
		{ "confederation from outside", "40020c 0301 0000fdea 0201 0000fdeb", BGP_CAP_AS4, BGP_FATE_WITHDRAW,
		    2 },
		{ "AS 0 in the path", "40020a 0202 0000fdea 00000000", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "AS 0 in AS4_PATH", "400204 0201 fdea c01106 0201 00000000", 0, BGP_FATE_DISCARD, 17 },
		{ "empty path from outside", "400200", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "empty segment", "400208 0200 0201 0000fdea", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 2 },
		{ "4-octet path from an old speaker", "400206 0201 0000fdea", 0, BGP_FATE_WITHDRAW, 2 },
		{ "AGGREGATOR of 8 from an old speaker", "c00708 0000fdea 0a000001", 0, BGP_FATE_DISCARD, 7 },
		{ "AGGREGATOR of 6 from a new speaker", "c00706 fdea 0a000001", BGP_CAP_AS4, BGP_FATE_DISCARD, 7 },
		{ "communities of 6", "c00806 fdea0007 fdea", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 8 },
		{ "large communities of 11", "c0200b 0000000000000000000000", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 32 },
		{ "extended communities of 0", "c01000", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 16 },
		{ "unknown, well-known", "40fd00", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 253 },
		{ "AIGP transitive", "c01a0b 01000b 0000000000000001", BGP_CAP_AS4, BGP_FATE_DISCARD, 26 },
		{ "ATTR_SET with anything in it", "c08009 ffffffffffffffffff", BGP_CAP_AS4, BGP_FATE_DISCARD, 128 },
		{ "the worst counts", "c01008 0000000000000000 400101 07 40060100", BGP_CAP_AS4, BGP_FATE_WITHDRAW, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_attrs a = parse(cases[i].hex, cases[i].caps, false, false);

		if (a.fate != cases[i].want || a.bad_attr != cases[i].about || !a.why || !*a.why)
			fail_msg("%s: %s, attribute %u, %s", cases[i].name, bgp_fate_name(a.fate), a.bad_attr,
			    a.why ? a.why : "-");
	}
}

/* W09 AS_PATH of 750, 2048, 2049 and 16,000 ASNs: bounded work, nothing on the stack by count. */
static void
test_W09_long_paths(void **state)
{
	static const unsigned int sizes[] = { 750, 2048, 2049, 16000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int as4 = 0; as4 < 2; as4++) {
			struct bgp_update_opts opt = { .local_as = LOCAL_AS, .caps = as4 ? BGP_CAP_AS4 : 0 };
			struct bytes *b = calloc(1, sizeof(*b));
			struct wr w = wr_make(b->b, sizeof(b->b));
			unsigned int left = sizes[i];
			char text[200];
			struct bgp_attrs a;
			uint32_t *list = calloc(sizes[i], sizeof(*list));

			wr_u8(&w, 0x50);
			wr_u8(&w, BGP_ATTR_AS_PATH);
			wr_u16(&w, 0);
			while (left) {
				unsigned int n = MIN_OF(left, 255u);

				wr_u8(&w, BGP_AS_SEQUENCE);
				wr_u8(&w, (uint8_t)n);
				for (; n; n--, left--)
					as4 ? wr_u32(&w, 100 + left) : wr_u16(&w, (uint16_t)(100 + left));
			}
			put_u16(b->b + 2, (uint16_t)(wr_len(&w) - 4));
			bgp_attrs_parse(rd_make(b->b, wr_len(&w)), &opt, &scratch, &a);
			assert_int_equal(a.fate, BGP_FATE_OK);
			assert_int_equal(a.view.path_len, sizes[i]);
			assert_int_equal(bgp_as_path_list(a.view.wire, a.view.wire_len, list, sizes[i]), sizes[i]);
			assert_int_equal(list[sizes[i] - 1], 101);
			bgp_as_path_text(a.view.wire, a.view.wire_len, text, sizeof(text));
			assert_string_equal(text + strlen(text) - 3, "...");
			free(list);
			free(b);
		}
	}
}

/* A path of 2-octet numbers that does not fit any more when they have four. */
static void
path_that_grows_too_long(void **state)
{
	struct bgp_update_opts opt = { .local_as = LOCAL_AS };
	struct bytes *b = calloc(1, sizeof(*b));
	struct wr w = wr_make(b->b, sizeof(b->b));
	struct bgp_attrs a;

	(void)state;
	wr_u8(&w, 0x50);
	wr_u8(&w, BGP_ATTR_AS_PATH);
	wr_u16(&w, 127 * 512);
	for (int seg = 0; seg < 127; seg++) {
		wr_u8(&w, BGP_AS_SEQUENCE);
		wr_u8(&w, 255);
		for (int i = 0; i < 255; i++)
			wr_u16(&w, 65002);
	}
	bgp_attrs_parse(rd_make(b->b, wr_len(&w)), &opt, &scratch, &a);
	assert_int_equal(a.fate, BGP_FATE_WITHDRAW);
	assert_int_equal(a.view.wire_len, 0);
	free(b);
}

static const struct {
	const char *name, *why;
} path_text_exceptions[] = {
	{ "redundantset2", "sets are refused (RFC 9774), so nothing sorts and thins them out" },
	{ "zero-size overflow + valid segment", "malformed: never becomes canonical" },
	{ "confmulti_asdot+", "AS numbers are printed as plain numbers (RFC 5396)" },
	{ "BGP_AS_ZERO asdot+", "the same" },
	{ "confset", "sets are not sorted" },
	{ "reconcile_confed", "the same" },
	{ "reconcile_lead_asp", "nor thinned out" },
};

static void
vectors_frr_aspath(void **state)
{
	json_t *list = load_cases("frr-aspath"), *c;
	size_t i, tried = 0;

	(void)state;
	json_array_foreach(list, i, c)
	{
		struct bytes *b = from_hex(text_of(c, "hex"));
		struct rd r = rd_make(b->b, b->n);
		const char *want = text_of(json_object_get(c, "expect"), "text");
		static uint8_t wire[8192];
		static char text[8192];
		struct wr w = wr_make(wire, sizeof(wire));
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(path_text_exceptions); k++)
			skip |= strcmp(path_text_exceptions[k].name, text_of(c, "name")) == 0;
		wr_u8(&w, 0x50);
		wr_u8(&w, BGP_ATTR_AS_PATH);
		wr_u16(&w, 0);
		while (!skip && !rd_done(&r)) {
			struct rd seg;

			wr_u8(&w, rd_u8(&r));
			wr_u8(&w, r.at[0]);
			seg = rd_sub(&r, 2u * rd_u8(&r));
			while (!rd_done(&seg))
				wr_u32(&w, rd_u16(&seg));
		}
		put_u16(wire + 2, (uint16_t)(wr_len(&w) - 4));
		bgp_as_path_text(wire, wr_len(&w), text, sizeof(text));
		if (!skip && strcmp(text, want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", text_of(c, "name"), text, want);
		tried += !skip;
		free(b);
	}
	assert_true(tried > 8);
	json_decref(list);
}

/* The same vectors through the parser: hops, or a refusal that an RFC asks for. */
static void
vectors_frr_aspath_hops(void **state)
{
	json_t *list = load_cases("frr-aspath"), *c;
	size_t i;

	(void)state;
	json_array_foreach(list, i, c)
	{
		struct bgp_update_opts opt = { .local_as = LOCAL_AS, .internal = true };
		struct bytes *b = calloc(1, sizeof(*b)), *path = from_hex(text_of(c, "hex"));
		const json_t *want = json_object_get(c, "expect");
		const char *text = text_of(want, "text"), *name = text_of(c, "name");
		bool refused = strpbrk(text, "{[(") || strstr(name, "AS_ZERO") || strstr(name, "zero-size");
		struct bgp_attrs a;

		add_hex(b, path->n > 255 ? "5002" : "4002");
		if (path->n > 255)
			b->b[b->n++] = (uint8_t)(path->n >> 8);
		b->b[b->n++] = (uint8_t)path->n;
		memcpy(b->b + b->n, path->b, path->n);
		bgp_attrs_parse(rd_make(b->b, b->n + path->n), &opt, &scratch, &a);
		if ((a.fate == BGP_FATE_WITHDRAW) != refused)
			fail_msg("%s: %s", name, bgp_fate_name(a.fate));
		if (!refused)
			assert_int_equal(a.view.path_len, json_integer_value(json_object_get(want, "hops")));
		free(b);
		free(path);
	}
	json_decref(list);
}

static void
texts(void **state)
{
	struct bgp_attrs a = parse(ORIGIN
	    "40020a 0202 fa56ea00 0000fdeb c0080c fdea0007 ffff0000 ffffff01"
	    "c01028 0002fdea00000007 01030a0000010009 0202fa56ea000007 030b000000000005 4004fdea4e9502f9"
	    "c02018 000000010000000200000003 ffffffff0000000000000009",
	    BGP_CAP_AS4, false, false);
	const uint8_t *w = a.view.wire;
	size_t n = a.view.wire_len;
	char t[256];

	(void)state;
	assert_int_equal(a.fate, BGP_FATE_OK);
	assert_string_equal(bgp_as_path_text(w, n, t, sizeof(t)), "4200000000 65003");
	assert_string_equal(bgp_communities_text(w, n, t, sizeof(t)), "65002:7 graceful-shutdown no-export");
	assert_string_equal(bgp_large_communities_text(w, n, t, sizeof(t)), "1:2:3 4294967295:0:9");
	assert_string_equal(bgp_ext_communities_text(w, n, t, sizeof(t)),
	    "rt:65002:7 soo:10.0.0.1:9 rt:4200000000:7 color:5 bandwidth:65002:1250000000");
	assert_string_equal(bgp_communities_text(w, n, t, 12), "65002:7...");
	assert_string_equal(bgp_community_text(0xffff029a, t, sizeof(t)), "blackhole");
	assert_string_equal(bgp_large_communities_text(w, 3, t, sizeof(t)), "");
	assert_string_equal(bgp_origin_name(2), "incomplete");
	assert_string_equal(bgp_attr_name(14), "MP_REACH_NLRI");
	assert_string_equal(bgp_attr_name(99), "attribute");
}

/* RFC 8092 3: however many, none stands twice; who sent each once gets them back as they were. */
static void
many_large_communities(void **state)
{
	static const size_t counts[] = { 64, 65, 1000, 5000 };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(counts); c++)
		for (uint32_t twice = 0; twice < 2; twice++) {
			size_t n = counts[c], len = 4 + n * 12;
			uint8_t *in = malloc(len), *seen = calloc(1, n);
			struct bgp_update_opts opt = { .local_as = LOCAL_AS, .caps = BGP_CAP_AS4 | BGP_CAP_MP };
			struct bgp_attrs a;
			struct rd value;

			memcpy(in, "\xd0\x20", 2);
			put_u16(in + 2, (uint16_t)(n * 12));
			for (size_t i = 0; i < n; i++) {
				put_u32(in + 4 + i * 12, 65002);
				put_u32(in + 8 + i * 12, 7);
				put_u32(in + 12 + i * 12, (uint32_t)((n - i) >> twice)); /* most of them twice */
			}
			bgp_attrs_parse(rd_make(in, len), &opt, &scratch, &a);
			assert_true(bgp_attr_find(a.view.wire, a.view.wire_len, 32, &value));
			assert_int_equal(rd_left(&value) / 12, twice ? n / 2 + 1 : n);
			if (!twice)
				assert_memory_equal(value.at, in + 4, n * 12);
			while (!rd_done(&value)) {
				rd_u32(&value);
				rd_u32(&value);
				uint32_t low = rd_u32(&value) - !twice;

				assert_true(low < n && !seen[low]++);
			}
			free(in);
			free(seen);
		}
}

/* One community more, at the place and in the form that the parser would have given it. */
static void
a_community_more(void **state)
{
	static const struct {
		const char *name, *in, *want;
	} cases[] = {
		{ "none before", ORIGIN "4002060201 0000fdea", ORIGIN "4002060201 0000fdea c00804 ffff0006" },
		{ "some before", ORIGIN "4002060201 0000fdea c00804 fdea0007",
		    ORIGIN "4002060201 0000fdea c00808 fdea0007 ffff0006" },
		{ "Partial stays", ORIGIN "4002060201 0000fdea e00804 fdea0007",
		    ORIGIN "4002060201 0000fdea e00808 fdea0007 ffff0006" },
		{ "others behind", ORIGIN "4002060201 0000fdea c01008 0002fdea00000007",
		    ORIGIN "4002060201 0000fdea c00804 ffff0006 c01008 0002fdea00000007" },
		{ "both", ORIGIN "4002060201 0000fdea c00804 fdea0007 c01008 0002fdea00000007",
		    ORIGIN "4002060201 0000fdea c00808 fdea0007 ffff0006 c01008 0002fdea00000007" },
	};
	uint8_t out[600];
	char got[1300], want[1300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bgp_attrs a = parse(cases[i].in, BGP_CAP_AS4, false, false), b;
		size_t n = bgp_attrs_with_community(&a.view, BGP_LLGR_STALE, out, sizeof(out));
		struct bytes *w = from_hex(cases[i].want);

		if (strcmp(to_hex(out, n, got), to_hex(w->b, w->n, want)) != 0)
			fail_msg("%s: %s, not %s", cases[i].name, got, want);
		b = parse(got, BGP_CAP_AS4, false, false);
		assert_int_equal(b.view.wire_len, n);
		assert_true(b.view.flags & ATTRS_LLGR_STALE);
		assert_false(b.malformed);
		free(w);
		a = parse(cases[i].in, BGP_CAP_AS4, false, false);
		for (size_t room = 0; room < n; room++)
			assert_int_equal(bgp_attrs_with_community(&a.view, BGP_LLGR_STALE, out, room), 0);
	}
	/* so many that the length takes two octets */
	for (size_t n = 60; n < 66; n++) {
		char hex[1300];
		size_t len = (size_t)sprintf(hex, ORIGIN "4002060201 0000fdea d008 %04zx", n * 4);
		struct bgp_attrs a;

		for (size_t k = 0; k < n; k++)
			len += (size_t)sprintf(hex + len, " fdea%04zx", k);
		a = parse(hex, BGP_CAP_AS4, false, false);
		len = bgp_attrs_with_community(&a.view, BGP_NO_LLGR, out, sizeof(out));
		a = parse(to_hex(out, len, got), BGP_CAP_AS4, false, false);
		assert_false(a.malformed);
		assert_int_equal(a.view.wire_len, len);
		assert_memory_equal(a.view.wire, out, len);
		assert_true(a.view.flags & ATTRS_NO_LLGR);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_community_more),
		cmocka_unit_test(many_large_communities),
		cmocka_unit_test(canonical_forms),
		cmocka_unit_test(canonical_forms_are_stable),
		cmocka_unit_test(facts),
		cmocka_unit_test(link_bandwidth),
		cmocka_unit_test(fates),
		cmocka_unit_test(test_W08_unknown_transitive),
		cmocka_unit_test(test_W09_long_paths),
		cmocka_unit_test(path_that_grows_too_long),
		cmocka_unit_test(vectors_frr_aspath),
		cmocka_unit_test(vectors_frr_aspath_hops),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
