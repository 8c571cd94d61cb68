/*
 * tests/unit/bgp/encode_test.c -- what is built is read back by update.c: same prefixes, attributes, next hops
 */
#include "tests/unit/bgp/cases.h"

#include <errno.h>
#include <time.h>

#include "fabricd/bgp/encode.h"
#include "fabricd/bgp/update.h"

static struct bgp_scratch scratch;

#define ORIGIN "40010100"

/* The options of an ordinary peer: own AS 65001, 4-octet AS, IPv4 over IPv6. */
static struct bgp_encode_opts
encode_opts(void)
{
	return (struct bgp_encode_opts){
		.local_as = 65001, .prepend = 1, .as4 = true, .form = { BGP_NH_IPV6_TWO, BGP_NH_IPV6_TWO }
	};
}

/* A canonical view of these attributes. Borrows from the scratch given. */
static struct attrs_view
view_of(const char *hex, bool internal, struct bgp_scratch *keep)
{
	struct bgp_update_opts opt = {
		.local_as = 1, .caps = BGP_CAP_MP | BGP_CAP_AS4, .internal = internal, .keep_unknown = true
	};
	struct bytes *b = from_hex(hex);
	struct bgp_attrs a;

	bgp_attrs_parse(rd_make(b->b, b->n), &opt, keep, &a);
	if (a.fate > BGP_FATE_DISCARD)
		fail_msg("%s: %s", hex, a.why);
	free(b);
	return a.view;
}

static void
check_out(const char *name, struct bgp_encode_opts opt, const char *in, const char *want_hex)
{
	struct bytes *want = from_hex(want_hex);
	struct attrs_view v = view_of(in, opt.internal, &scratch);
	uint8_t buf[1024];
	char got[2049] = "";
	int n = bgp_attrs_out(&opt, &v, buf, sizeof(buf));

	for (int i = 0; i < n; i++)
		sprintf(got + 2 * i, "%02x", buf[i]);
	if (n != (int)want->n || memcmp(buf, want->b, want->n) != 0)
		fail_msg("%s: %s", name, got);
	free(want);
}

static void
attributes_on_their_way_out(void **state)
{
	struct bgp_encode_opts plain = encode_opts(), two = encode_opts(), old = encode_opts(), inside = encode_opts(),
			       med = encode_opts(), drain = encode_opts(), keep = encode_opts(), big = encode_opts();

	(void)state;
	two.prepend = 2;
	old.as4 = false;
	inside.internal = true;
	inside.prepend = 0;
	med.has_med = true;
	med.med = 7;
	drain.add_graceful_shutdown = true;
	keep.keep_local_extended = true;
	big.as4 = false;
	big.local_as = 4200000001;
#define PATH "4002060201 0000fdea"
	check_out("own AS in front", plain, ORIGIN PATH, ORIGIN "40020a0202 0000fde9 0000fdea");
	check_out("twice", two, ORIGIN PATH, ORIGIN "40020e0203 0000fde9 0000fde9 0000fdea");
	check_out(
	    "MED and what is internal go", plain, ORIGIN PATH "800404 0000002a", ORIGIN "40020a0202 0000fde9 0000fdea");
	check_out(
	    "MED of ours", med, ORIGIN PATH "800404 0000002a", ORIGIN "40020a0202 0000fde9 0000fdea 800404 00000007");
	check_out("MED where there was none", med, ORIGIN PATH "c00804 fdea0007",
	    ORIGIN "40020a0202 0000fde9 0000fdea 800404 00000007 c00804 fdea0007");
	check_out("inside", inside, ORIGIN PATH "800404 0000002a 400504 000000c8 800904 0a000001 800a04 0a000002",
	    ORIGIN PATH "800404 0000002a 400504 000000c8 800904 0a000001 800a04 0a000002");
	check_out("inside, LOCAL_PREF is always there", inside, ORIGIN PATH "c00804 fdea0007",
	    ORIGIN PATH "400504 00000064 c00804 fdea0007");
	check_out("own route inside", inside, ORIGIN "400200", ORIGIN "400200 400504 00000064");
	check_out("drained", drain, ORIGIN PATH "c00804 fdea0007",
	    ORIGIN "40020a0202 0000fde9 0000fdea c00808 fdea0007 ffff0000");
	check_out("drained already", drain, ORIGIN PATH "c00804 ffff0000",
	    ORIGIN "40020a0202 0000fde9 0000fdea c00804 ffff0000");
	check_out("drained, no communities yet", drain, ORIGIN PATH "c02304 0000fdea",
	    ORIGIN "40020a0202 0000fde9 0000fdea c00804 ffff0000 c02304 0000fdea");
	check_out("non-transitive extended communities stay", plain,
	    ORIGIN PATH "c01010 0002fdea00000007 4004fdea4e9502f9",
	    ORIGIN "40020a0202 0000fde9 0000fdea c01008 0002fdea00000007");
	check_out("and nothing is left of none", plain, ORIGIN PATH "c01008 4004fdea4e9502f9",
	    ORIGIN "40020a0202 0000fde9 0000fdea");
	check_out("unless they are to go along", keep, ORIGIN PATH "c01008 4004fdea4e9502f9",
	    ORIGIN "40020a0202 0000fde9 0000fdea c01008 4004fdea4e9502f9");
	check_out("W08 unknown ones as they are, with Partial", plain, ORIGIN PATH "c0fd04 deadbeef",
	    ORIGIN "40020a0202 0000fde9 0000fdea e0fd04 deadbeef");
	check_out("old speaker", old, ORIGIN PATH "c00708 0000fdea 0a000001",
	    ORIGIN "4002060202 fde9 fdea c00706 fdea 0a000001");
	check_out("old speaker, large AS", old, ORIGIN "40020a0202 fa56ea00 0000fdea",
	    ORIGIN "4002080203 fde9 5ba0 fdea c0110e 0203 0000fde9 fa56ea00 0000fdea");
	check_out(
	    "old speaker, own large AS", big, ORIGIN PATH, ORIGIN "4002060202 5ba0 fdea c0110a 0202 fa56ea01 0000fdea");
	check_out("old speaker, AGGREGATOR of a large AS", old, ORIGIN PATH "c00708 fa56ea00 0a000001",
	    ORIGIN "4002060202 fde9 fdea c00706 5ba0 0a000001 c01208 fa56ea00 0a000001");
#undef PATH
}

/* Own routes have an empty path, or none. */
static void
own_routes(void **state)
{
	struct bgp_encode_opts opt = encode_opts();
	uint8_t wire[] = { 0x40, 1, 1, 0 }, empty[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	uint8_t want[] = { 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9 }, buf[100];
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };

	(void)state;
	assert_int_equal(bgp_attrs_out(&opt, &v, buf, sizeof(buf)), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
	v = (struct attrs_view){ .wire = empty, .wire_len = sizeof(empty) };
	assert_int_equal(bgp_attrs_out(&opt, &v, buf, sizeof(buf)), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

/* A canonical AS_PATH of n numbers, 64500 up. */
static struct attrs_view
long_path(unsigned int n, struct bytes *b)
{
	struct wr w = wr_make(b->b, sizeof(b->b));

	wr_bytes(&w, "\x40\x01\x01\x00\x50\x02\x00\x00", 8);
	for (unsigned int left = n; left;) {
		unsigned int some = MIN_OF(left, 255u);

		wr_u8(&w, BGP_AS_SEQUENCE);
		wr_u8(&w, (uint8_t)some);
		for (unsigned int i = 0; i < some; i++)
			wr_u32(&w, 64500 + i);
		left -= some;
	}
	put_u16(b->b + 6, (uint16_t)(wr_len(&w) - 8));
	return (struct attrs_view){ .wire = b->b, .wire_len = (uint16_t)wr_len(&w), .path_len = (uint16_t)n };
}

/* A full first segment gets another in front (RFC 4271 5.1.2). */
static void
full_segments(void **state)
{
	static const struct {
		unsigned int hops, prepend, first;
	} table[] = { { 253, 1, 254 }, { 254, 1, 255 }, { 255, 1, 1 }, { 255, 3, 3 }, { 253, 3, 3 }, { 252, 3, 255 },
		{ 600, 1, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct bytes *b = calloc(1, sizeof(*b));
		struct attrs_view v = long_path(table[i].hops, b);
		struct bgp_encode_opts opt = encode_opts();
		uint32_t list[700];
		uint8_t buf[4096];
		struct rd path;
		size_t n;
		int len;

		opt.prepend = (uint8_t)table[i].prepend;
		len = bgp_attrs_out(&opt, &v, buf, sizeof(buf));
		assert_true(len > 0);
		n = bgp_as_path_list(buf, (size_t)len, list, ARRAY_LEN(list));
		assert_int_equal(n, table[i].hops + table[i].prepend);
		for (unsigned int k = 0; k < table[i].prepend; k++)
			assert_int_equal(list[k], 65001);
		assert_int_equal(list[table[i].prepend], 64500);
		assert_true(bgp_attr_find(buf, (size_t)len, BGP_ATTR_AS_PATH, &path));
		assert_int_equal(path.at[1], table[i].first);
		free(b);
	}
}

/* ---- messages ---- */

struct seen {
	unsigned int messages, reached[FAMILIES], gone[FAMILIES], end_of_rib;
	size_t largest;
	uint64_t sum; /* of all prefixes, to compare sets */
	struct bgp_next_hop next_hop;
	char path[100];
};

static uint64_t
prefix_sum(const struct prefix *p)
{
	uint64_t h = p->len + 131u * p->family;

	for (int i = 0; i < 16; i++)
		h = h * 1099511628211u + p->b[i];
	return h * h + h;
}

/* Reads a whole batch as a peer would, each next hop patched as it is sent. */
static struct seen
read_batch(const struct bgp_batch *b, const struct bgp_encode_opts *eo, const struct bgp_next_hop *nh)
{
	struct bgp_update_opts opt = { .local_as = 1,
		.peer_as = eo->internal ? 0 : eo->local_as,
		.caps = BGP_CAP_MP | BGP_CAP_IPV4_OVER_IPV6 | (eo->as4 ? BGP_CAP_AS4 : 0),
		.internal = eo->internal,
		.link_local_ok = true,
		.keep_unknown = true };
	struct seen s = { 0 };
	size_t at = 0;

	while (at < b->len) {
		static uint8_t copy[65536];
		struct bgp_notice err;
		struct bgp_message m;
		struct bgp_update u;
		struct prefix p;

		if (bgp_frame(b->bytes + at, b->len - at, eo->extended, &m, &err) != BGP_FRAME_WHOLE)
			fail_msg("bad frame at %zu", at);
		memcpy(copy, b->bytes + at, m.len);
		assert_true(bgp_patch_next_hop(copy, m.len, nh));
		bgp_update_parse(rd_make(copy + BGP_HEADER, m.len - BGP_HEADER), &opt, &scratch, &u);
		if (u.fate != BGP_FATE_OK)
			fail_msg("%s: %s(%u) %s", bgp_fate_name(u.fate), bgp_attr_name(u.bad_attr), u.bad_attr, u.why);
		s.messages++;
		s.largest = MAX_OF(s.largest, m.len);
		s.end_of_rib |= u.end_of_rib;
		for (unsigned int i = 0; i < u.nreach; i++) {
			s.next_hop = u.reach[i].next_hop;
			s.reached[u.reach[i].nlri.family] += u.reach[i].nlri.count;
			while (bgp_nlri_next(&u.reach[i].nlri, &p))
				s.sum += prefix_sum(&p);
			bgp_as_path_text(u.attrs.wire, u.attrs.wire_len, s.path, sizeof(s.path));
		}
		for (unsigned int i = 0; i < u.nwithdrawn; i++) {
			s.gone[u.withdrawn[i].family] += u.withdrawn[i].count;
			while (bgp_nlri_next(&u.withdrawn[i], &p))
				s.sum += prefix_sum(&p);
		}
		at += m.len;
	}
	assert_int_equal(s.messages, b->messages);
	for (int f = 0; f < FAMILIES; f++) {
		assert_int_equal(s.reached[f], b->announced[f]);
		assert_int_equal(s.gone[f], b->withdrawn[f]);
	}
	return s;
}

static struct prefix
nth_prefix(enum family f, uint32_t i)
{
	struct ip a = f == FAMILY_IPV4 ? ip_v4(i << 8) : ip_v6((const uint8_t[16]){ 0x20, 1, 0xd, 0xb8 });

	if (f == FAMILY_IPV6)
		put_u32(a.b + 4, i);
	return prefix_of(&a, f == FAMILY_IPV4 ? 8 + i % 25 : 32 + i % 97);
}

static const struct bgp_next_hop v4_hop = { .has_global = true, .global = { FAMILY_IPV4, { 10, 0, 0, 1 } } };
static const struct bgp_next_hop link_hop = { .has_link_local = true,
	.link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 1 } } };
static const struct bgp_next_hop both_hop = { .has_global = true,
	.global = { FAMILY_IPV6, { 0x20, 1, [15] = 9 } },
	.has_link_local = true,
	.link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 1 } } };

/* Many prefixes, all forms of next hop, both families, announced and withdrawn. */
static void
batches_round_trip(void **state)
{
	static const struct {
		const char *name;
		enum family f;
		enum bgp_next_hop_form form;
		const struct bgp_next_hop *nh;
	} table[] = {
		{ "classic", FAMILY_IPV4, BGP_NH_IPV4, &v4_hop },
		{ "IPv4 over link-local", FAMILY_IPV4, BGP_NH_IPV6_TWO, &link_hop },
		{ "IPv4 over global", FAMILY_IPV4, BGP_NH_IPV6, &both_hop },
		{ "IPv6 over link-local, 16", FAMILY_IPV6, BGP_NH_IPV6, &link_hop },
		{ "IPv6 over link-local, 32", FAMILY_IPV6, BGP_NH_IPV6_TWO, &link_hop },
		{ "IPv6 over both", FAMILY_IPV6, BGP_NH_IPV6_TWO, &both_hop },
	};
	static const uint32_t counts[] = { 1, 2, 700, 20000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
			struct bgp_scratch *own = calloc(1, sizeof(*own));
			struct attrs_view v = view_of(ORIGIN "4002060201 0000fdea c00804 fdea0007", false, own);
			struct bgp_encode_opts opt = encode_opts();
			struct mem mem = { 0 };
			struct bgp_build *b;
			struct bgp_batch *batch;
			uint64_t sum = 0;
			struct seen s;

			opt.form[table[i].f] = (uint8_t)table[i].form;
			b = bgp_build_new(&mem, &opt);
			assert_int_equal(bgp_build_reach(b, table[i].f, &v), 0);
			for (uint32_t k = 0; k < counts[c]; k++) {
				struct prefix p = nth_prefix(table[i].f, k);

				bgp_build_prefix(b, &p);
				sum += prefix_sum(&p);
			}
			bgp_build_unreach(b, table[i].f);
			for (uint32_t k = 0; k < counts[c]; k++) {
				struct prefix p = nth_prefix(table[i].f, k + 7);

				bgp_build_prefix(b, &p);
				sum += prefix_sum(&p);
			}
			bgp_build_end_of_rib(b, table[i].f);
			batch = bgp_build_take(b);
			assert_null(bgp_build_take(b));
			s = read_batch(batch, &opt, table[i].nh);
			assert_int_equal(s.reached[table[i].f], counts[c]);
			assert_int_equal(s.gone[table[i].f], counts[c]);
			assert_int_equal(s.end_of_rib, 1u << table[i].f);
			assert_true(s.sum == sum);
			assert_true(s.largest <= BGP_MAX);
			if (counts[c] == 20000 && s.largest < BGP_MAX - 20)
				fail_msg("%s: messages of %zu octets are not full", table[i].name, s.largest);
			assert_string_equal(s.path, "65001 65002");
			if (table[i].nh->has_link_local)
				assert_true(!s.next_hop.has_link_local ||
					    ip_equal(&s.next_hop.link_local, &table[i].nh->link_local));
			if (table[i].nh->has_global)
				assert_true(
				    s.next_hop.has_global && ip_equal(&s.next_hop.global, &table[i].nh->global));
			bgp_batch_ref(batch);
			bgp_batch_unref(batch);
			bgp_batch_unref(batch);
			bgp_build_free(b);
			free(own);
			assert_int_equal(mem.by[MEM_EXPORT].bytes, 0);
		}
	}
}

static void
empty_builds(void **state)
{
	struct bgp_scratch *own = calloc(1, sizeof(*own));
	struct attrs_view v = view_of(ORIGIN "4002060201 0000fdea", false, own);
	struct bgp_encode_opts opt = encode_opts();
	struct mem mem = { 0 };
	struct bgp_build *b = bgp_build_new(&mem, &opt);
	struct prefix p = nth_prefix(FAMILY_IPV4, 5);
	struct bgp_batch *batch;

	(void)state;
	assert_int_equal(bgp_build_reach(b, FAMILY_IPV4, &v), 0);
	bgp_build_unreach(b, FAMILY_IPV6);
	assert_null(bgp_build_take(b));
	bgp_build_prefix(b, &p); /* nothing was begun: ignored */
	assert_null(bgp_build_take(b));
	bgp_build_unreach(b, FAMILY_IPV4);
	bgp_build_prefix(b, &p);
	batch = bgp_build_take(b);
	assert_int_equal(read_batch(batch, &opt, &link_hop).gone[FAMILY_IPV4], 1);
	bgp_batch_unref(batch);
	bgp_build_unreach(b, FAMILY_IPV4);
	bgp_build_prefix(b, &p);
	bgp_build_free(b); /* what was not taken goes with it */
	assert_int_equal(mem.by[MEM_EXPORT].bytes, 0);
	free(own);
}

/* W10 a set near 4096 that overflows when own AS is prepended or the next hop becomes 32 octets: not sent, and the
 * others go on. Every size around the edge, and what fits reads back. */
static void
test_W10_oversized_attributes(void **state)
{
	struct bytes *b = calloc(1, sizeof(*b));
	struct mem mem = { 0 };
	unsigned int refused = 0, sent = 0;

	(void)state;
	for (int extended = 0; extended < 2; extended++) {
		for (unsigned int hops = 960; hops < 1030; hops++) {
			struct attrs_view v = long_path(hops, b), fine;
			struct bgp_encode_opts opt = encode_opts();
			struct bgp_scratch *own = calloc(1, sizeof(*own));
			struct prefix p = nth_prefix(FAMILY_IPV6, 96); /* a /128: 17 octets */
			struct bgp_build *build;
			struct bgp_batch *batch;
			struct seen s;
			int err;

			fine = view_of(ORIGIN "4002060201 0000fdea", false, own);
			opt.extended = extended;
			build = bgp_build_new(&mem, &opt);
			err = bgp_build_reach(build, FAMILY_IPV6, &v);
			if (err)
				assert_int_equal(err, -EMSGSIZE);
			bgp_build_prefix(build, &p); /* after a refusal this does nothing */
			assert_int_equal(bgp_build_reach(build, FAMILY_IPV6, &fine), 0);
			bgp_build_prefix(build, &p);
			batch = bgp_build_take(build);
			s = read_batch(batch, &opt, &both_hop);
			assert_int_equal(s.reached[FAMILY_IPV6], err ? 1 : 2);
			assert_true(s.largest <= (extended ? BGP_MAX_EXTENDED : BGP_MAX));
			if (!extended)
				err ? refused++ : sent++;
			else
				assert_int_equal(err, 0);
			bgp_batch_unref(batch);
			bgp_build_free(build);
			free(own);
		}
	}
	assert_true(refused > 10 && sent > 10);
	free(b);
}

/* The next hop stands where the slot says, for each form, and a hop of the wrong kind is refused. */
static void
next_hop_slots(void **state)
{
	static const struct {
		enum bgp_next_hop_form form;
		const struct bgp_next_hop *nh;
		size_t at, n;
		bool fits;
	} table[] = {
		{ BGP_NH_IPV4, &v4_hop, 26, 4, true },
		{ BGP_NH_IPV4, &link_hop, 26, 4, false },
		{ BGP_NH_IPV4, &both_hop, 26, 4, false },
		{ BGP_NH_IPV6, &v4_hop, 31, 16, false },
		{ BGP_NH_IPV6, &link_hop, 31, 16, true },
		{ BGP_NH_IPV6_TWO, &link_hop, 31, 32, true },
		{ BGP_NH_IPV6_TWO, &both_hop, 31, 32, true },
		{ BGP_NH_IPV6_TWO, &v4_hop, 31, 32, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct bgp_scratch *own = calloc(1, sizeof(*own));
		struct attrs_view v = view_of(ORIGIN "4002060201 0000fdea", false, own);
		struct bgp_encode_opts opt = encode_opts();
		struct prefix p = nth_prefix(FAMILY_IPV4, 9);
		struct bgp_batch *batch;
		struct bgp_build *b;
		enum family f;
		size_t n = 0;

		opt.form[FAMILY_IPV4] = (uint8_t)table[i].form;
		b = bgp_build_new(NULL, &opt);
		assert_int_equal(bgp_build_reach(b, FAMILY_IPV4, &v), 0);
		bgp_build_prefix(b, &p);
		batch = bgp_build_take(b);
		assert_int_equal(bgp_next_hop_slot(batch->bytes, batch->len, &n, &f), table[i].at);
		assert_int_equal(n, table[i].n);
		assert_int_equal(f, FAMILY_IPV4);
		assert_int_equal(bgp_patch_next_hop(batch->bytes, batch->len, table[i].nh), table[i].fits);
		bgp_batch_unref(batch);
		bgp_build_unreach(b, FAMILY_IPV4);
		bgp_build_prefix(b, &p);
		batch = bgp_build_take(b);
		assert_int_equal(bgp_next_hop_slot(batch->bytes, batch->len, &n, &f), 0);
		assert_true(bgp_patch_next_hop(batch->bytes, batch->len, table[i].nh)); /* nothing to patch */
		bgp_batch_unref(batch);
		bgp_build_free(b);
		free(own);
	}
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 1,000,000 prefixes with 200,000 attribute sets: built, and parsed. The bounds are ten times what a plain build needs.
 */
static void
a_million_prefixes(void **state)
{
	struct bgp_encode_opts opt = encode_opts();
	struct bgp_update_opts uo = { .local_as = 1, .caps = BGP_CAP_MP | BGP_CAP_AS4 };
	uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 18, 2, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xc0, 8, 8,
		0, 1, 0, 1, 0, 2, 0, 2 };
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct bgp_build *b;
	struct bgp_batch *batch;
	uint64_t prefixes = 0;
	double t0, t1, t2;

	(void)state;
	opt.form[FAMILY_IPV4] = BGP_NH_IPV4;
	b = bgp_build_new(NULL, &opt);
	t0 = cpu_seconds();
	for (uint32_t set = 0; set < 200000; set++) {
		put_u32(wire + 21, set + 1);
		bgp_build_reach(b, FAMILY_IPV4, &v);
		for (uint32_t i = 0; i < 5; i++) {
			struct prefix p = { .family = FAMILY_IPV4, .len = 24 };

			put_u32(p.b, (set * 5 + i) << 8);
			bgp_build_prefix(b, &p);
		}
	}
	batch = bgp_build_take(b);
	t1 = cpu_seconds();
	for (size_t at = 0; at < batch->len;) {
		struct bgp_message m;
		struct bgp_notice err;
		struct bgp_update u;
		struct prefix p;

		assert_int_equal(bgp_frame(batch->bytes + at, batch->len - at, false, &m, &err), BGP_FRAME_WHOLE);
		bgp_patch_next_hop(batch->bytes + at, m.len, &v4_hop);
		bgp_update_parse(m.body, &uo, &scratch, &u);
		while (u.nreach && bgp_nlri_next(&u.reach[0].nlri, &p))
			prefixes++;
		at += m.len;
	}
	t2 = cpu_seconds();
	assert_int_equal(prefixes, 1000000);
	print_message("1,000,000 prefixes, 200,000 sets: built in %.0f ms, parsed in %.0f ms, %zu octets\n",
	    (t1 - t0) * 1e3, (t2 - t1) * 1e3, batch->len);
	assert_true(t1 - t0 < 3 && t2 - t1 < 3);
	bgp_batch_unref(batch);
	bgp_build_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_on_their_way_out),
		cmocka_unit_test(own_routes),
		cmocka_unit_test(full_segments),
		cmocka_unit_test(batches_round_trip),
		cmocka_unit_test(empty_builds),
		cmocka_unit_test(test_W10_oversized_attributes),
		cmocka_unit_test(next_hop_slots),
		cmocka_unit_test(a_million_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
