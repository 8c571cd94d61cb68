/*
 * tests/fuzz/bgp_update_fuzz.c -- any bytes as the body of an UPDATE, by any kind of session
 *
 * The first octet chooses the session. Promises under test: prefixes found are well-formed and as many as was said;
 * a verdict has a reason and does what it says; canonical attributes read back as themselves; what can be announced
 * to another peer is accepted there with the same attributes.
 */
#include <stdlib.h>

#include "fabricd/bgp/encode.h"
#include "fabricd/bgp/update.h"
#include "fabricd/lib/base.h"
#include "tests/fuzz/fuzz.h"

static void
walk(struct bgp_nlri n)
{
	uint32_t count = 0;
	struct prefix p;

	while (bgp_nlri_next(&n, &p)) {
		struct ip a = prefix_addr(&p);
		struct prefix same = prefix_of(&a, p.len);

		must(p.family < FAMILIES && p.len <= family_bits((enum family)p.family), "a prefix of its family");
		must(prefix_equal(&p, &same), "no bits behind the length");
		count++;
	}
	must(!n.r.bad && count == n.count, "as many prefixes as was said");
}

static void
check_verdict(const struct bgp_update *u)
{
	for (unsigned int i = 0; i < u->nwithdrawn; i++)
		walk(u->withdrawn[i]);
	for (unsigned int i = 0; i < u->nreach; i++) {
		walk(u->reach[i].nlri);
		must(u->reach[i].next_hop.has_global || u->reach[i].next_hop.has_link_local, "a next hop");
	}
	must((u->fate == BGP_FATE_OK) == (u->why == NULL), "a reason");
	must(u->fate != BGP_FATE_OK || !u->malformed, "nothing malformed is fine");
	if (u->fate >= BGP_FATE_WITHDRAW)
		must(u->nreach == 0, "nothing announced by what is withdrawn");
	if (u->fate == BGP_FATE_RESET)
		must(u->nwithdrawn == 0 && u->end_of_rib == 0 && u->notice.code == BGP_ERR_UPDATE &&
			 u->notice.len <= BGP_NOTICE_DATA,
		    "a reset says why, and nothing else");
}

static void
print_all(const struct attrs_view *v)
{
	char text[64];

	bgp_as_path_text(v->wire, v->wire_len, text, sizeof(text));
	bgp_communities_text(v->wire, v->wire_len, text, sizeof(text));
	bgp_large_communities_text(v->wire, v->wire_len, text, sizeof(text));
	bgp_ext_communities_text(v->wire, v->wire_len, text, sizeof(text));
}

/* The canonical form is its own canonical form. */
static void
check_canonical(const struct attrs_view *v, bool internal, const struct bgp_update_opts *from)
{
	static struct bgp_scratch scratch;
	struct bgp_update_opts opt = *from;
	struct bgp_attrs again;

	opt.caps |= BGP_CAP_AS4;
	opt.internal = internal;
	opt.keep_unknown = true;
	if (!(from->caps & BGP_CAP_AS4)) /* what an old speaker calls AS_TRANS may hide the peer's AS */
		opt.peer_as = 0;
	bgp_attrs_parse(rd_make(v->wire, v->wire_len), &opt, &scratch, &again);
	must(again.fate == BGP_FATE_OK, "canonical attributes are accepted");
	must(again.view.wire_len == v->wire_len && memcmp(again.view.wire, v->wire, v->wire_len) == 0,
	    "canonical attributes stay as they are");
	must(again.view.flags == v->flags && again.view.path_len == v->path_len && again.view.first_as == v->first_as &&
		 again.view.origin_as == v->origin_as,
	    "the facts come from the canonical form");
}

/* Announced on to another peer, the routes are accepted there. */
static void
check_onward(const struct bgp_reach *reach, const struct attrs_view *v, uint8_t how)
{
	static struct bgp_scratch scratch;
	struct bgp_encode_opts opt = { .local_as = 65001,
		.prepend = 1,
		.as4 = how & 1,
		.extended = how & 2,
		.form = { how & 4 ? BGP_NH_IPV6_TWO : BGP_NH_IPV4, BGP_NH_IPV6_TWO } };
	struct bgp_update_opts to = { .local_as = 1,
		.peer_as = 65001,
		.link_local_ok = true,
		.keep_unknown = true,
		.caps = BGP_CAP_MP | BGP_CAP_IPV4_OVER_IPV6 | (how & 1 ? BGP_CAP_AS4 : 0) };
	struct bgp_next_hop v4 = { .has_global = true, .global = ip_v4(0x0a000001) },
			    v6 = { .has_link_local = true, .link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 1 } } };
	struct bgp_build *b = bgp_build_new(NULL, &opt);
	enum family f = (enum family)reach->nlri.family;
	struct bgp_nlri n = reach->nlri;
	struct bgp_batch *batch;
	struct prefix p;
	uint32_t got = 0;

	if (bgp_build_reach(b, f, v) == 0)
		while (bgp_nlri_next(&n, &p))
			bgp_build_prefix(b, &p);
	batch = bgp_build_take(b);
	for (size_t at = 0; batch && at < batch->len;) {
		struct bgp_notice err;
		struct bgp_message m;
		struct bgp_update u;

		must(bgp_frame(batch->bytes + at, batch->len - at, opt.extended, &m, &err) == BGP_FRAME_WHOLE,
		    "whole messages");
		must(bgp_patch_next_hop(batch->bytes + at, m.len, opt.form[f] == BGP_NH_IPV4 ? &v4 : &v6),
		    "a next hop fits");
		bgp_update_parse(m.body, &to, &scratch, &u);
		must(u.fate == BGP_FATE_OK && u.nreach == 1 && u.nwithdrawn == 0, "others accept what we send");
		must(u.attrs.first_as == 65001 && u.attrs.origin == v->origin, "with our AS in front");
		got += u.reach[0].nlri.count;
		at += m.len;
	}
	must(!batch || got == reach->nlri.count, "no prefix is lost on the way");
	bgp_batch_unref(batch);
	bgp_build_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct bgp_scratch scratch;
	struct bgp_update_opts opt = { .local_as = 65001 };
	struct bgp_update u;
	uint8_t how;

	if (n < 1 || n > 65536)
		return 0;
	how = bytes[0];
	opt.caps = (how & 1 ? BGP_CAP_AS4 : 0) | (how & 2 ? BGP_CAP_IPV4_OVER_IPV6 : 0) |
		   (how & 4 ? 0 : BGP_CAP_MP_IPV4) | BGP_CAP_MP_IPV6;
	opt.internal = how & 8;
	opt.keep_unknown = how & 16;
	opt.link_local_ok = how & 32;
	opt.peer_as = how & 64 ? 65002 : 0;
	if (how & 128)
		opt.local = ip_v4(0x0a000002);
	bgp_update_parse(rd_make(bytes + 1, n - 1), &opt, &scratch, &u);
	check_verdict(&u);
	if (u.nreach == 0)
		return 0;
	print_all(&u.attrs);
	check_canonical(&u.attrs, opt.internal, &opt);
	for (unsigned int i = 0; i < u.nreach && !opt.internal; i++)
		check_onward(&u.reach[i], &u.attrs, how);
	return 0;
}
