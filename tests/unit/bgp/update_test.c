/*
 * tests/unit/bgp/update_test.c -- UPDATEs from the wire: verdicts (RFC 7606), next hops, sections, vectors of others
 *
 * Where our verdict is not that of a vector, the case stands in a table of exceptions with its reason; an exception
 * that is not needed fails the test.
 */
#include "tests/unit/bgp/cases.h"

#include <glob.h>

#include "fabricd/bgp/update.h"

static struct bgp_scratch scratch;

static struct bgp_update_opts
options(bool internal)
{
	return (struct bgp_update_opts){ .local_as = 65001,
		.caps = BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_IPV4_OVER_IPV6,
		.internal = internal,
		.link_local_ok = true };
}

/* Walks all that was found: a reader must be able to rely on it. */
static void
check_walk(const struct bgp_update *u)
{
	struct prefix p;

	for (unsigned int i = 0; i < u->nwithdrawn; i++) {
		struct bgp_nlri n = u->withdrawn[i];
		uint32_t count = 0;

		while (bgp_nlri_next(&n, &p)) {
			assert_true(p.len <= family_bits((enum family)p.family));
			count++;
		}
		assert_false(n.r.bad);
		assert_int_equal(count, n.count);
	}
	for (unsigned int i = 0; i < u->nreach; i++) {
		struct bgp_nlri n = u->reach[i].nlri;
		uint32_t count = 0;

		while (bgp_nlri_next(&n, &p))
			count++;
		assert_false(n.r.bad);
		assert_int_equal(count, n.count);
		assert_true(u->reach[i].next_hop.has_global || u->reach[i].next_hop.has_link_local);
	}
	if (u->fate == BGP_FATE_WITHDRAW || u->fate == BGP_FATE_RESET)
		assert_int_equal(u->nreach, 0);
	if (u->fate == BGP_FATE_RESET)
		assert_true(u->nwithdrawn == 0 && u->end_of_rib == 0 && u->notice.code == BGP_ERR_UPDATE);
	assert_true((u->fate == BGP_FATE_OK) == (u->why == NULL));
}

/* Parses an exact copy of the body, and leaves it to the caller, since *u borrows from it. */
static uint8_t *
parse(const uint8_t *body, size_t n, const struct bgp_update_opts *opt, struct bgp_update *u)
{
	uint8_t *exact = malloc(n ? n : 1);

	memcpy(exact, body, n);
	bgp_update_parse(rd_make(exact, n), opt, &scratch, u);
	check_walk(u);
	return exact;
}

/* Body of an UPDATE from its three parts. */
static struct bytes *
body_of(const char *withdrawn, const char *attrs, const char *nlri)
{
	struct bytes *b = calloc(1, sizeof(*b));

	b->n = 2;
	add_hex(b, withdrawn);
	put_u16(b->b, (uint16_t)(b->n - 2));
	b->n += 2;
	size_t at = b->n;
	add_hex(b, attrs);
	put_u16(b->b + at - 2, (uint16_t)(b->n - at));
	add_hex(b, nlri);
	return b;
}

#define ORIGIN  "40010100"
#define PATH    "4002060201 0000fdea"
#define NEXTHOP "400304 0a000002"
#define GOOD    ORIGIN PATH NEXTHOP
#define NET     "18c00002"
#define V6_HEAD "0002 01"
#define GLOBAL  "20010db8000000000000000000000002"
#define LINK    "fe800000000000000000000000000002"
#define ZERO    "00000000000000000000000000000000"
#define V6_NET  "20 20010db8"

static const struct {
	const char *name, *withdrawn, *attrs, *nlri;
	enum bgp_fate want;
	unsigned int reached, gone; /* prefixes */
	uint8_t end_of_rib, subcode;
} cases[] = {
	{ "plain", "", GOOD, NET, BGP_FATE_OK, 1, 0, 0, 0 },
	{ "withdrawal", NET, "", "", BGP_FATE_OK, 0, 1, 0, 0 },
	{ "both", "20c0000201", GOOD, NET, BGP_FATE_OK, 1, 1, 0, 0 },
	{ "several", "", GOOD, NET "00 20 0a000001 09 0a80", BGP_FATE_OK, 4, 0, 0, 0 },
	{ "attributes without routes", "", GOOD, "", BGP_FATE_OK, 0, 0, 0, 0 },
	{ "End-of-RIB IPv4", "", "", "", BGP_FATE_OK, 0, 0, 1, 0 },
	{ "End-of-RIB IPv6", "", "800f03 000201", "", BGP_FATE_OK, 0, 0, 2, 0 },
	{ "End-of-RIB IPv4 in MP_UNREACH", "", "800f03 000101", "", BGP_FATE_OK, 0, 0, 1, 0 },
	{ "End-of-RIB with another attribute is none", "", ORIGIN "800f03 000201", "", BGP_FATE_OK, 0, 0, 0, 0 },
	{ "End-of-RIB with wrong flags is none", "", "c00f03 000201", "", BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "End-of-RIB of a family that nobody has", "", "800f03 000180", "", BGP_FATE_OK, 0, 0, 0, 0 },
	/* RFC 7606 3 (d), and CVE-2023-46753, 41358 */
	{ "no ORIGIN", "", PATH NEXTHOP, NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "no AS_PATH", "", ORIGIN NEXTHOP, NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "no NEXT_HOP", "", ORIGIN PATH, NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "no attributes at all", "", "", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "an unknown attribute alone", "", "c0fd00", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "MP_UNREACH and NLRI without mandatory ones", "", "800f08 000201" V6_NET, NET, BGP_FATE_WITHDRAW, 0, 2, 0,
	    0 },
	{ "MP_REACH needs no NEXT_HOP", "", "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH, "", BGP_FATE_OK, 1, 0,
	    0, 0 },
	{ "MP_REACH without ORIGIN", "", "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET PATH, "", BGP_FATE_WITHDRAW, 0, 1, 0,
	    0 },
	/* RFC 7606 3 (b), (j), 4, 5.2, 5.3 */
	{ "attribute too long: NLRI are found", "", GOOD "8004ff", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "bad attribute, no reachable NLRI", NET, ORIGIN "80040100", "", BGP_FATE_RESET, 0, 0, 0, 5 },
	{ "bad attribute that is discarded, no reachable NLRI", NET, ORIGIN "40060100", "", BGP_FATE_DISCARD, 0, 1, 0,
	    0 },
	{ "bad MP_UNREACH flags", "", "c00f08 000201" V6_NET, "", BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "bad MP_REACH flags", "", "c00e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH, "", BGP_FATE_RESET, 0, 0, 0,
	    9 },
	{ "MP_REACH of 4 octets", "", "800e04 00020100" ORIGIN PATH, "", BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "MP_UNREACH of 2 octets", "", "800f02 0002", "", BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "NLRI of 33 bits", "", GOOD, "21 c000020100", BGP_FATE_RESET, 0, 0, 0, 10 },
	{ "NLRI past the end", "", GOOD, "20 c00002", BGP_FATE_RESET, 0, 0, 0, 10 },
	{ "withdrawn of 33 bits", "21 c000020100", GOOD, NET, BGP_FATE_RESET, 0, 0, 0, 10 },
	{ "withdrawn past the end", "20 c00002", GOOD, NET, BGP_FATE_RESET, 0, 0, 0, 10 },
	{ "MP_UNREACH of 129 bits", "", "800f15 000201 81" GLOBAL "00", "", BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "MP_REACH twice", "",
	    "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_RESET, 0, 0, 0, 1 },
	{ "both families at once", "", "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET GOOD, NET, BGP_FATE_OK, 2, 0, 0, 0 },
	{ "MP_UNREACH and MP_REACH", "", "800f08 000201" V6_NET "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH,
	    "", BGP_FATE_OK, 1, 1, 0, 0 },
	{ "MP_REACH without prefixes", "", "800e15" V6_HEAD "10" GLOBAL "00" ORIGIN PATH, "", BGP_FATE_DISCARD, 0, 0, 0,
	    0 },
	{ "a family that nobody has", "", "800e11 000180 0c 0000000000000000c0a80001 00" ORIGIN PATH, "", BGP_FATE_OK,
	    0, 0, 0, 0 },
	{ "the same, and unreadable", "", "800e05 000180 ff 00" ORIGIN PATH, "", BGP_FATE_OK, 0, 0, 0, 0 },
	/* next hops, RFC 4271 6.3 */
	{ "next hop 0.0.0.0", "", ORIGIN PATH "400304 00000000", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop 127.0.0.1", "", ORIGIN PATH "400304 7f000001", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop 224.0.0.1", "", ORIGIN PATH "400304 e0000001", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop 255.255.255.255", "", ORIGIN PATH "400304 ffffffff", NET, BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "a martian NEXT_HOP that nothing uses", "",
	    "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH "400304 00000000", "", BGP_FATE_OK, 1, 0, 0, 0 },
	{ "next hop ::", "", "800e1a" V6_HEAD "10" ZERO "00" V6_NET ORIGIN PATH, "", BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop ::1", "", "800e1a" V6_HEAD "10 00000000000000000000000000000001 00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop ff02::1", "", "800e1a" V6_HEAD "10 ff020000000000000000000000000001 00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop ::ffff:10.0.0.2", "", "800e1a" V6_HEAD "10 00000000000000000000ffff0a000002 00" V6_NET ORIGIN PATH,
	    "", BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "next hop of 24 octets", "", "800e22" V6_HEAD "18 0000000000000000" GLOBAL "00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_RESET, 0, 0, 0, 9 },
	{ "IPv6 with a next hop of 4", "", "800e0e" V6_HEAD "04 0a000002 00" V6_NET ORIGIN PATH, "", BGP_FATE_RESET, 0,
	    0, 0, 9 },
	{ "IPv4 over IPv6", "", "800e19 0001 01 10" GLOBAL "00" NET ORIGIN PATH, "", BGP_FATE_OK, 1, 0, 0, 0 },
	{ "IPv4 in MP_REACH", "", "800e0d 0001 01 04 0a000002 00" NET ORIGIN PATH, "", BGP_FATE_OK, 1, 0, 0, 0 },
	{ "second next hop is global", "", "800e2a" V6_HEAD "20" GLOBAL GLOBAL "00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
	{ "link-local first, global second", "", "800e2a" V6_HEAD "20" LINK GLOBAL "00" V6_NET ORIGIN PATH, "",
	    BGP_FATE_WITHDRAW, 0, 1, 0, 0 },
};

static void
verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes *b = body_of(cases[i].withdrawn, cases[i].attrs, cases[i].nlri);
		struct bgp_update_opts opt = options(false);
		unsigned int reached = 0, gone = 0;
		struct bgp_update u;
		uint8_t *exact = parse(b->b, b->n, &opt, &u);

		for (unsigned int k = 0; k < u.nreach; k++)
			reached += u.reach[k].nlri.count;
		for (unsigned int k = 0; k < u.nwithdrawn; k++)
			gone += u.withdrawn[k].count;
		if (u.fate != cases[i].want || reached != cases[i].reached || gone != cases[i].gone ||
		    u.end_of_rib != cases[i].end_of_rib ||
		    (u.fate == BGP_FATE_RESET && u.notice.subcode != cases[i].subcode))
			fail_msg("%s: %s (%s), reached %u, gone %u, eor %u, 3/%u", cases[i].name, bgp_fate_name(u.fate),
			    u.why ? u.why : "-", reached, gone, u.end_of_rib,
			    u.fate == BGP_FATE_RESET ? u.notice.subcode : 0);
		free(exact);
		free(b);
	}
}

/* Lengths that do not fit into the message: RFC 4271 6.3, 3/1. */
static void
overall_lengths(void **state)
{
	static const char *const bodies[] = { "", "00", "0000", "000000", "0001 00", "0000 0001", "0002 0000",
		"ffff 0000", "0000 ffff 00" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct bytes *b = from_hex(bodies[i]);
		struct bgp_update_opts opt = options(false);
		struct bgp_update u;
		uint8_t *exact = parse(b->b, b->n, &opt, &u);

		if (u.fate != BGP_FATE_RESET || u.notice.subcode != 1 || u.notice.len != 0)
			fail_msg("%s: %s", bodies[i], bgp_fate_name(u.fate));
		free(exact);
		free(b);
	}
}

/* The encodings of a link-local next hop that are about. */
static void
link_local_next_hops(void **state)
{
	static const struct {
		const char *name, *next_hop;
		bool link_ok, global, link, refused;
	} table[] = {
		{ "16, link-local", "10" LINK, true, false, true, false },
		{ "32, link-local twice", "20" LINK LINK, true, false, true, false },
		{ "32, zero first", "20" ZERO LINK, true, false, true, false },
		{ "32, global first", "20" GLOBAL LINK, true, true, true, false },
		{ "32, zero second", "20" GLOBAL ZERO, true, true, false, false },
		{ "32, link-local and zero", "20" LINK ZERO, true, false, true, false },
		{ "16, global", "10" GLOBAL, true, true, false, false },
		{ "32, global first, from afar", "20" GLOBAL LINK, false, true, false, false },
		{ "16, link-local, from afar", "10" LINK, false, false, false, true },
		{ "32, both zero", "20" ZERO ZERO, true, false, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (int afi = 1; afi <= 2; afi++) {
			char attrs[400];
			size_t octets = strncmp(table[i].next_hop, "10", 2) ? 32 : 16;
			struct bgp_update_opts opt = options(false);
			struct bgp_next_hop *nh;
			struct bgp_update u;
			struct bytes *b;
			uint8_t *exact;
			char text[IP_TEXT];

			snprintf(attrs, sizeof(attrs), "800e%02zx 000%d01%s00 10 0a00 %s", octets + 8, afi,
			    table[i].next_hop, ORIGIN PATH);
			b = body_of("", attrs, "");
			opt.link_local_ok = table[i].link_ok;
			exact = parse(b->b, b->n, &opt, &u);
			if ((u.fate == BGP_FATE_WITHDRAW) != table[i].refused)
				fail_msg("%s: %s", table[i].name, bgp_fate_name(u.fate));
			nh = &u.reach[0].next_hop;
			if (!table[i].refused) {
				if (nh->has_global != table[i].global || nh->has_link_local != table[i].link)
					fail_msg("%s: %d %d", table[i].name, nh->has_global, nh->has_link_local);
				assert_int_equal(u.reach[0].nlri.family, afi - 1);
				if (nh->has_link_local)
					assert_string_equal(ip_print(&nh->link_local, text), "fe80::2");
				if (nh->has_global)
					assert_string_equal(ip_print(&nh->global, text), "2001:db8::2");
			}
			free(exact);
			free(b);
		}
	}
}

/* What the session knows changes the verdict. */
static void
session_knowledge(void **state)
{
	struct bytes *v4 = body_of("", GOOD, NET);
	struct bytes *v4_over_v6 = body_of("", "800e19 0001 01 10" GLOBAL "00" NET ORIGIN PATH, "");
	struct bytes *v6 = body_of("", "800e1a" V6_HEAD "10" GLOBAL "00" V6_NET ORIGIN PATH, "");
	struct bgp_update_opts opt = options(false);
	struct bgp_update u;

	(void)state;
	opt.peer_as = 65002;
	free(parse(v4->b, v4->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_OK);
	opt.peer_as = 65003; /* RFC 4271 6.3 */
	free(parse(v4->b, v4->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_WITHDRAW);
	assert_int_equal(u.bad_attr, BGP_ATTR_AS_PATH);
	opt = options(false);
	opt.local = ip_v4(0x0a000002);
	free(parse(v4->b, v4->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_WITHDRAW);
	assert_int_equal(u.bad_attr, BGP_ATTR_NEXT_HOP);
	/* a family that was not negotiated is passed over; without RFC 8950 the length is wrong */
	opt = options(false);
	opt.caps = BGP_CAP_MP_IPV4 | BGP_CAP_AS4;
	free(parse(v6->b, v6->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_OK);
	assert_int_equal(u.nreach, 0);
	free(parse(v4_over_v6->b, v4_over_v6->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_RESET);
	opt.caps = BGP_CAP_MP_IPV6 | BGP_CAP_AS4;
	free(parse(v4->b, v4->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_OK);
	assert_int_equal(u.nreach, 0);
	/* LOCAL_PREF is mandatory inside of an AS */
	opt = options(true);
	free(parse(v4->b, v4->n, &opt, &u));
	assert_int_equal(u.fate, BGP_FATE_WITHDRAW);
	assert_int_equal(u.bad_attr, BGP_ATTR_LOCAL_PREF);
	free(v4);
	free(v6);
	free(v4_over_v6);
}

/* CVE-2017-15865: what is sent back is what the peer sent, and not more. */
static void
notice_holds_the_attribute_alone(void **state)
{
	struct bytes *b = body_of("", ORIGIN "800403 aabbcc", "");
	struct bgp_update_opts opt = options(false);
	struct bgp_update u;
	uint8_t *exact = parse(b->b, b->n, &opt, &u);

	(void)state;
	assert_int_equal(u.fate, BGP_FATE_RESET);
	assert_int_equal(u.notice.len, 6);
	assert_memory_equal(u.notice.data, "\x80\x04\x03\xaa\xbb\xcc", 6);
	free(exact);
	free(b);
}

static void
prefixes_read_right(void **state)
{
	static const char *const want[] = { "192.0.2.0/24", "0.0.0.0/0", "10.128.0.0/9", "10.0.0.1/32",
		"255.255.255.254/31" };
	struct bytes *b = body_of("", GOOD, NET "00 09 0aff 20 0a000001 1f ffffffff");
	struct bgp_update_opts opt = options(false);
	struct bgp_update u;
	uint8_t *exact = parse(b->b, b->n, &opt, &u);
	struct prefix p;
	char text[PREFIX_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(bgp_nlri_next(&u.reach[0].nlri, &p));
		assert_string_equal(prefix_print(&p, text), want[i]); /* bits past the length are cleared */
	}
	assert_false(bgp_nlri_next(&u.reach[0].nlri, &p));
	free(exact);
	free(b);
}

/* ---- vectors ---- */

struct exception {
	const char *name;
	bool internal;
	enum bgp_fate ours;
	const char *why;
};

static const struct exception rfc7606_exceptions[] = {
	{ "local-pref-len-5", false, BGP_FATE_DISCARD, "RFC 7606 7.5: from an external neighbour it is discarded" },
	{ "local-pref-flag-optional", false, BGP_FATE_DISCARD, "RFC 7606 7.5, as the vector's note says" },
	{ "originator-id-flag-trans", false, BGP_FATE_DISCARD,
	    "RFC 7606 7.9: from an external neighbour it is discarded" },
	{ "as4path-seg-type-0", false, BGP_FATE_DISCARD, "RFC 6793 6: a malformed AS4_PATH is discarded" },
	{ "as4path-seg-type-0", true, BGP_FATE_DISCARD, "the same" },
	{ "pmsi-len-4", false, BGP_FATE_DISCARD, "not used here, so not read; the vector's verdict is FRR's own" },
	{ "pmsi-len-4", true, BGP_FATE_DISCARD, "the same" },
	{ "pmsi-type-255", false, BGP_FATE_DISCARD, "the same" },
	{ "pmsi-type-255", true, BGP_FATE_DISCARD, "the same" },
	{ "encap-outer-len-mismatch", false, BGP_FATE_DISCARD, "not used here, so not read (CVE-2023-38802)" },
	{ "encap-outer-len-mismatch", true, BGP_FATE_DISCARD, "the same" },
};

static enum bgp_fate
expected_fate(const json_t *c, bool internal)
{
	const json_t *e = json_object_get(c, "expect");
	const char *text = json_is_object(e) ? text_of(e, internal ? "ibgp" : "ebgp") : json_string_value(e);

	if (strcmp(text, "treat-as-withdraw") == 0)
		return BGP_FATE_WITHDRAW;
	if (strcmp(text, "attribute-discard") == 0)
		return BGP_FATE_DISCARD;
	if (strcmp(text, "session-reset") == 0)
		return BGP_FATE_RESET;
	fail_msg("unknown verdict %s", text);
	return BGP_FATE_OK;
}

/* A valid set less the attribute that the vector brings, then that. */
static struct bytes *
rfc7606_body(const json_t *c, bool internal)
{
	static const struct {
		unsigned int type;
		const char *hex;
	} base[] = { { 1, ORIGIN }, { 2, PATH }, { 3, NEXTHOP }, { 5, "40050400000064" } };
	const char *hex = text_of(c, "hex"), *next_hop = text_of(c, "nexthop");
	unsigned int type = 0;
	char attrs[1024] = "";

	if (*hex)
		assert_int_equal(sscanf(hex + 2, "%2x", &type), 1);
	for (size_t i = 0; i < ARRAY_LEN(base); i++) {
		struct ip a;

		if (base[i].type == type || (base[i].type == 5 && !internal))
			continue;
		if (base[i].type == 3 && *next_hop) {
			assert_true(ip_parse(next_hop, &a));
			snprintf(attrs + strlen(attrs), sizeof(attrs) - strlen(attrs), "400304%08x", ip_to_v4(&a));
		} else {
			snprintf(attrs + strlen(attrs), sizeof(attrs) - strlen(attrs), "%s", base[i].hex);
		}
	}
	snprintf(attrs + strlen(attrs), sizeof(attrs) - strlen(attrs), "%s", hex);
	return body_of("", attrs, NET);
}

/* W01 every malformed UPDATE of RFC 7606, with a verdict each; from outside and from inside. */
static void
test_W01_rfc7606_vectors(void **state)
{
	json_t *list = load_cases("frr-rfc7606"), *c;
	size_t i, used = 0;

	(void)state;
	for (int internal = 0; internal < 2; internal++) {
		json_array_foreach(list, i, c)
		{
			enum bgp_fate want = expected_fate(c, internal);
			struct bytes *b = rfc7606_body(c, internal);
			struct bgp_update_opts opt = options(internal);
			const char *name = text_of(c, "name");
			struct bgp_update u;
			uint8_t *exact;

			if (strstr(name, "as4"))
				opt.caps &= ~(uint32_t)BGP_CAP_AS4;
			if (strstr(name, "as4")) { /* an old speaker's path */
				free(b);
				char attrs[256];

				snprintf(attrs, sizeof(attrs), ORIGIN "4002040201fdea" NEXTHOP "%s%s",
				    internal ? "40050400000064" : "", text_of(c, "hex"));
				b = body_of("", attrs, NET);
			}
			for (size_t k = 0; k < ARRAY_LEN(rfc7606_exceptions); k++) {
				const struct exception *x = &rfc7606_exceptions[k];

				if (strcmp(x->name, name) == 0 && x->internal == internal) {
					assert_int_not_equal(want, x->ours);
					want = x->ours;
					used++;
				}
			}
			exact = parse(b->b, b->n, &opt, &u);
			if (u.fate != want)
				fail_msg("%s, %s: %s (%s) instead of %s", name, internal ? "internal" : "external",
				    bgp_fate_name(u.fate), u.why ? u.why : "-", bgp_fate_name(want));
			if (want == BGP_FATE_WITHDRAW) /* exactly the prefix that it names */
				assert_true(u.nwithdrawn == 1 && u.withdrawn[0].count == 1);
			if (want == BGP_FATE_DISCARD)
				assert_true(u.nreach == 1 && u.reach[0].nlri.count == 1 && u.ndiscarded >= 1);
			free(exact);
			free(b);
		}
	}
	assert_int_equal(used, ARRAY_LEN(rfc7606_exceptions));
	json_decref(list);
}

static void
vectors_frr_mp_attr(void **state)
{
	json_t *list = load_cases("frr-mp-attr"), *c;
	size_t i;

	(void)state;
	json_array_foreach(list, i, c)
	{
		bool unreach = strcmp(text_of(c, "set"), "mp_unreach_segments") == 0;
		bool vpn = strstr(text_of(c, "name"), "VPN"), good = strcmp(text_of(c, "expect"), "accept") == 0;
		struct bytes *value = from_hex(text_of(c, "hex"));
		struct bgp_update_opts opt = options(false);
		struct bgp_update u;
		struct bytes *b;
		uint8_t *exact;
		char attrs[1024];

		snprintf(attrs, sizeof(attrs), "80%s%02zx%s" ORIGIN PATH, unreach ? "0f" : "0e", value->n,
		    text_of(c, "hex"));
		b = body_of("", attrs, "");
		exact = parse(b->b, b->n, &opt, &u);
		/* VPN families are not compiled: their octets are passed over, right or wrong */
		/* their next hop fffe:102:... is a multicast address, which their parser does not judge */
		if ((u.fate == BGP_FATE_OK || (u.fate == BGP_FATE_WITHDRAW && strstr(u.why, "unicast"))) !=
		    (good || vpn))
			fail_msg("%s: %s (%s)", text_of(c, "name"), bgp_fate_name(u.fate), u.why ? u.why : "-");
		if (vpn)
			assert_true(u.nreach == 0 && u.nwithdrawn == 0);
		else if (good)
			assert_int_equal(u.nwithdrawn + u.nreach, 1);
		free(exact);
		free(b);
		free(value);
	}
	json_decref(list);
}

/* The texts of all prefixes of one family that an UPDATE announces or withdraws, in order. */
static void
list_prefixes(struct bgp_nlri n, char *out, size_t size)
{
	struct prefix p;
	char text[PREFIX_TEXT];

	while (bgp_nlri_next(&n, &p))
		snprintf(out + strlen(out), size - strlen(out), "%s ", prefix_print(&p, text));
}

static void
list_expected(const json_t *nlri, char *out, size_t size)
{
	size_t i;
	json_t *one;

	json_array_foreach(nlri, i, one) snprintf(out + strlen(out), size - strlen(out), "%s ", text_of(one, "nlri"));
}

static void
compare_exabgp_attrs(const char *name, const json_t *want, const struct bgp_update *u)
{
	const json_t *med = json_object_get(want, "med"), *pref = json_object_get(want, "local-preference"), *pair;
	const json_t *communities = json_object_get(want, "community"),
		     *large = json_object_get(want, "large-community");
	char text[512], list[512] = "", one[40];
	size_t i;

	if (strcmp(text_of(want, "origin"), "igp") != 0 || u->attrs.origin != 0)
		fail_msg("%s: origin", name);
	if (med && u->attrs.med != json_integer_value(med))
		fail_msg("%s: med", name);
	if (pref && u->attrs.local_pref != json_integer_value(pref))
		fail_msg("%s: local preference", name);
	json_array_foreach(communities, i, pair)
	{
		uint32_t v = (uint32_t)(json_integer_value(json_array_get(pair, 0)) << 16 |
					json_integer_value(json_array_get(pair, 1)));

		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? " " : "",
		    bgp_community_text(v, one, sizeof(one)));
	}
	assert_string_equal(bgp_communities_text(u->attrs.wire, u->attrs.wire_len, text, sizeof(text)), list);
	list[0] = '\0';
	json_array_foreach(large, i, pair) snprintf(list + strlen(list), sizeof(list) - strlen(list),
	    "%s%lld:%lld:%lld", i ? " " : "", json_integer_value(json_array_get(pair, 0)),
	    json_integer_value(json_array_get(pair, 1)), json_integer_value(json_array_get(pair, 2)));
	assert_string_equal(bgp_large_communities_text(u->attrs.wire, u->attrs.wire_len, text, sizeof(text)), list);
}

/* Their decode of unicast routes against ours: prefixes, next hop, attributes. */
static bool
compare_exabgp(const json_t *c, const struct bgp_update *u)
{
	const json_t *want = json_object_get(json_object_get(c, "expect"), "update"), *hops, *nlri;
	const char *name = text_of(c, "describes"), *hop;
	bool compared = false;

	for (int f = 0; f < FAMILIES; f++) {
		char key[20], theirs[4096] = "", ours[4096] = "", text[IP_TEXT];

		snprintf(key, sizeof(key), "%s unicast", family_name((enum family)f));
		hops = json_object_get(json_object_get(want, "announce"), key);
		json_object_foreach((json_t *)hops, hop, nlri)
		{
			if (u->nreach != 1)
				fail_msg("%s: %s (%s)", name, bgp_fate_name(u->fate), u->why ? u->why : "-");
			list_expected(nlri, theirs, sizeof(theirs));
			list_prefixes(u->reach[0].nlri, ours, sizeof(ours));
			if (strcmp(theirs, ours) != 0)
				fail_msg("%s: \"%s\" instead of \"%s\"", name, ours, theirs);
			assert_string_equal(ip_print(&u->reach[0].next_hop.global, text), hop);
			compare_exabgp_attrs(name, json_object_get(want, "attribute"), u);
			compared = true;
		}
		nlri = json_object_get(json_object_get(want, "withdraw"), key);
		if (!nlri)
			continue;
		theirs[0] = ours[0] = '\0';
		list_expected(nlri, theirs, sizeof(theirs));
		for (unsigned int i = 0; i < u->nwithdrawn; i++)
			list_prefixes(u->withdrawn[i], ours, sizeof(ours));
		if (strcmp(theirs, ours) != 0)
			fail_msg("%s: withdrawn \"%s\" instead of \"%s\"", name, ours, theirs);
		compared = true;
	}
	return compared;
}

static void
vectors_exabgp(void **state)
{
	json_t *list = load_cases("exabgp"), *c;
	size_t i, compared = 0, parsed = 0, refused = 0;

	(void)state;
	json_array_foreach(list, i, c)
	{
		struct bytes *b = from_hex(text_of(c, "hex"));
		const json_t *asn = json_object_get(c, "asn");
		bool internal = json_integer_value(json_object_get(asn, "local")) ==
				json_integer_value(json_object_get(asn, "peer"));
		struct bgp_update_opts opt = options(internal);
		struct bgp_notice err;
		struct bgp_message m;
		struct bgp_update u;
		uint8_t *exact;

		opt.local_as = (uint32_t)json_integer_value(json_object_get(asn, "local"));
		if (bgp_frame(b->b, b->n, true, &m, &err) != BGP_FRAME_WHOLE || m.type != BGP_UPDATE) {
			free(b);
			continue;
		}
		exact = parse(b->b + BGP_HEADER, b->n - BGP_HEADER, &opt, &u);
		if (u.fate == BGP_FATE_WITHDRAW && u.bad_attr == BGP_ATTR_AS_PATH) { /* an old speaker's message */
			free(exact);
			opt.caps &= ~(uint32_t)BGP_CAP_AS4;
			exact = parse(b->b + BGP_HEADER, b->n - BGP_HEADER, &opt, &u);
		}
		parsed++;
		if (strstr(text_of(c, "describes"), "path-information"))
			; /* with RFC 7911, which we do not offer: the same octets mean something else */
		else if (u.fate <= BGP_FATE_DISCARD)
			compared += compare_exabgp(c, &u);
		else if (strcmp(u.why, "next hop is a loopback address") == 0)
			refused++; /* their tests run on one host */
		else if (strcmp(u.why, "unrecognised well-known attribute") == 0)
			refused++; /* which they send on purpose, type 0x99 */
		else if (compare_exabgp(c, &u))
			fail_msg("%s: %s, %s", text_of(c, "describes"), bgp_fate_name(u.fate), u.why);
		free(exact);
		free(b);
	}
	if (parsed < 170 || compared < 60 || refused > 14)
		fail_msg("%zu UPDATEs, %zu compared, %zu refused", parsed, compared, refused);
	json_decref(list);
}

/* Bytes without a verdict: whatever they are, reading stays inside of them. Each prefix of them, too. */
static void
feed(const uint8_t *bytes, size_t n)
{
	struct bgp_update_opts opt = options(false);

	for (int as4 = 0; as4 < 2; as4++) {
		struct bgp_message m;
		struct bgp_notice err;
		struct bgp_update u;
		struct bgp_open o;
		struct bytes *b = calloc(1, sizeof(*b));

		opt.caps ^= BGP_CAP_AS4;
		opt.keep_unknown = as4;
		free(parse(bytes, n, &opt, &u));
		if (n < 60000) { /* as attributes of an UPDATE with a prefix */
			put_u16(b->b + 2, (uint16_t)n);
			memcpy(b->b + 4, bytes, n);
			memcpy(b->b + 4 + n, "\x18\xc0\x00\x02", 4);
			free(parse(b->b, n + 8, &opt, &u));
		}
		if (bgp_frame(bytes, n, true, &m, &err) == BGP_FRAME_WHOLE)
			free(parse(m.body.at, rd_left(&m.body), &opt, &u));
		bgp_open_parse(rd_make(bytes, n), &o, &err);
		free(b);
	}
}

static void
vectors_without_verdict(void **state)
{
	static const char *const names[] = { "gobgp-bytes", "routecore-bytes", "exabgp" };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		json_t *list = load_cases(names[k]), *c;
		size_t i;

		json_array_foreach(list, i, c)
		{
			struct bytes *b = from_hex(text_of(c, "hex"));

			for (size_t n = 0; n <= b->n; n += b->n > 200 ? 7 : 1)
				feed(b->b, n);
			free(b);
		}
		json_decref(list);
	}
}

/* W22 fragments of real captures and of fuzzers (oobr, badlen) as stream bytes, at every cut. */
static void
test_W22_fragments(void **state)
{
	glob_t g;
	size_t lines = 0;

	(void)state;
	assert_int_equal(glob("tests/data/bgp/hex/*.hex", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		static char line[200000];
		FILE *f = fopen(g.gl_pathv[i], "r");

		assert_non_null(f);
		while (fgets(line, sizeof(line), f)) {
			struct bytes *b;

			if (line[0] == '#' || line[0] == '\n')
				continue;
			line[strcspn(line, " #\n")] = '\0';
			b = from_hex(line);
			for (size_t n = 0; n <= b->n; n += b->n > 500 ? 31 : 1)
				feed(b->b, n);
			feed(b->b, b->n);
			free(b);
			lines++;
		}
		fclose(f);
	}
	globfree(&g);
	assert_true(lines > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(overall_lengths),
		cmocka_unit_test(link_local_next_hops),
		cmocka_unit_test(session_knowledge),
		cmocka_unit_test(notice_holds_the_attribute_alone),
		cmocka_unit_test(prefixes_read_right),
		cmocka_unit_test(test_W01_rfc7606_vectors),
		cmocka_unit_test(vectors_frr_mp_attr),
		cmocka_unit_test(vectors_exabgp),
		cmocka_unit_test(vectors_without_verdict),
		cmocka_unit_test(test_W22_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
