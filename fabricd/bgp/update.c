/*
 * fabricd/bgp/update.c -- see update.h
 *
 * The three lengths of an UPDATE are checked first, then attributes are read (attr.c), then each of the up to four
 * sections with prefixes is walked once. Only what cannot be located costs the session: RFC 7606 3 (j), 5.3, 7.11.
 */
#include "fabricd/bgp/update.h"

#include "fabricd/lib/base.h"

enum error { E_LIST = 1, E_MISSING = 3, E_NEXT_HOP = 8, E_OPTIONAL = 9, E_NETWORK = 10 };

#define NOTHING ((struct rd){ 0 })

/* One parse in hand. */
struct parse {
	const struct bgp_update_opts *opt;
	struct bgp_update *out;
	struct bgp_attrs attrs;
	bool has_reach; /* reachable prefixes were encoded, of whatever family */
};

static void
condemn(struct parse *p, enum bgp_fate fate, uint8_t subcode, uint8_t attr, const char *why)
{
	bgp_attrs_condemn(&p->attrs, fate, subcode, attr, NOTHING, why);
}

/* Walks all prefixes once: false when one is longer than its family or runs past the end (RFC 7606 5.3). */
static bool
nlri_check(struct rd r, enum family f, struct bgp_nlri *out)
{
	unsigned int bits = family_bits(f);

	*out = (struct bgp_nlri){ .r = r, .family = (uint8_t)f };
	while (!rd_done(&r)) {
		unsigned int len = rd_u8(&r);

		if (len > bits)
			return false;
		rd_take(&r, (len + 7) / 8);
		out->count++;
	}
	return !r.bad;
}

static bool
negotiated(const struct parse *p, uint16_t afi, uint8_t safi, enum family *f)
{
	return bgp_family_of(afi, safi, f) && (p->opt->caps & bgp_cap_family(*f));
}

/* ---- next hops ---- */

static bool
is_own(const struct parse *p, const struct ip *a)
{
	return !ip_is_zero(&p->opt->local) && ip_equal(&p->opt->local, a);
}

/* RFC 4271 6.3, and what can be no next hop at all. NULL: fine. */
static const char *
martian_v4(const struct parse *p, uint32_t v)
{
	struct ip a = ip_v4(v);

	if (v >> 24 == 0)
		return "next hop in 0.0.0.0/8";
	if (ip_is_loopback(&a))
		return "next hop is a loopback address";
	if (v >= 0xe0000000u)
		return "next hop is no unicast address";
	return is_own(p, &a) ? "next hop is our own address" : NULL;
}

static const char *
martian_v6(const struct parse *p, const struct ip *a)
{
	static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip_is_zero(a))
		return "next hop is ::";
	if (ip_is_loopback(a))
		return "next hop is a loopback address";
	if (ip_is_multicast(a))
		return "next hop is no unicast address";
	if (memcmp(a->b, v4_mapped, sizeof(v4_mapped)) == 0)
		return "next hop is an IPv4-mapped address";
	return is_own(p, a) ? "next hop is our own address" : NULL;
}

/*
 * The addresses of an IPv6 next hop of 16 or 32 octets. Three encodings of a link-local next hop are about: alone in
 * 16 octets; twice in 32; second of 32, behind a global address or zero.
 */
static const char *
next_hop_v6(const struct parse *p, struct rd r, struct bgp_next_hop *out)
{
	bool two = rd_left(&r) == 32;
	struct ip first = { .family = FAMILY_IPV6 }, second = { .family = FAMILY_IPV6 };

	rd_bytes(&r, first.b, 16);
	if (two)
		rd_bytes(&r, second.b, 16);
	*out = (struct bgp_next_hop){ 0 };
	if (ip_is_link_local(&first)) {
		if (two && !ip_is_zero(&second) && !ip_is_link_local(&second))
			return "link-local next hop in the place of the global one";
		out->link_local = two && !ip_is_zero(&second) ? second : first;
		out->has_link_local = true;
	} else {
		if (two && ip_is_link_local(&second)) {
			out->link_local = second;
			out->has_link_local = true;
		} else if (two && !ip_is_zero(&second)) {
			return "second next hop is not link-local";
		}
		if (!ip_is_zero(&first) || !out->has_link_local) {
			out->global = first;
			out->has_global = true;
		}
	}
	if (out->has_link_local && !p->opt->link_local_ok) {
		if (!out->has_global)
			return "link-local next hop on a session that is not of this link";
		out->has_link_local = false;
		out->link_local = (struct ip){ 0 };
	}
	if (out->has_link_local && is_own(p, &out->link_local))
		return "next hop is our own address";
	return out->has_global ? martian_v6(p, &out->global) : NULL;
}

/* ---- sections ---- */

static void
add_withdrawn(struct parse *p, const struct bgp_nlri *n)
{
	if (n->count)
		p->out->withdrawn[p->out->nwithdrawn++] = *n;
}

static void
read_mp_unreach(struct parse *p)
{
	struct rd r = p->attrs.mp_unreach;
	uint16_t afi = rd_u16(&r);
	uint8_t safi = rd_u8(&r);
	struct bgp_nlri nlri;
	enum family f;

	if (!negotiated(p, afi, safi, &f))
		return;
	if (!nlri_check(r, f, &nlri)) {
		condemn(p, BGP_FATE_RESET, E_OPTIONAL, BGP_ATTR_MP_UNREACH, "prefixes cannot be read");
		return;
	}
	if (nlri.count == 0 && p->attrs.only_mp_unreach)
		p->out->end_of_rib |= (uint8_t)(1u << f); /* RFC 4724 2 */
	add_withdrawn(p, &nlri);
}

/* Lengths that a next hop of this family may have on this session. */
static bool
next_hop_length_ok(const struct parse *p, enum family f, size_t n)
{
	if (f == FAMILY_IPV6)
		return n == 16 || n == 32;
	return n == 4 || ((n == 16 || n == 32) && (p->opt->caps & BGP_CAP_IPV4_OVER_IPV6));
}

static void
read_mp_reach(struct parse *p)
{
	struct rd r = p->attrs.mp_reach;
	uint16_t afi = rd_u16(&r);
	uint8_t safi = rd_u8(&r);
	size_t len = rd_u8(&r);
	struct rd next_hop = rd_sub(&r, len);
	struct bgp_reach reach = { 0 };
	const char *why;
	enum family f;

	if (!negotiated(p, afi, safi, &f)) { /* not read any further, whatever it holds */
		p->has_reach = true;
		return;
	}
	rd_u8(&r); /* reserved: RFC 4760 3 */
	if (r.bad) {
		condemn(p, BGP_FATE_RESET, E_OPTIONAL, BGP_ATTR_MP_REACH, "next hop runs past the end");
		return;
	}
	p->has_reach |= !rd_done(&r);
	if (!next_hop_length_ok(p, f, len)) {
		condemn(p, BGP_FATE_RESET, E_OPTIONAL, BGP_ATTR_MP_REACH, "next hop of a wrong length");
		return;
	}
	if (!nlri_check(r, f, &reach.nlri)) {
		condemn(p, BGP_FATE_RESET, E_OPTIONAL, BGP_ATTR_MP_REACH, "prefixes cannot be read");
		return;
	}
	if (reach.nlri.count == 0) {
		condemn(p, BGP_FATE_DISCARD, E_OPTIONAL, BGP_ATTR_MP_REACH, "no prefixes in it");
		return;
	}
	if (len == 4) {
		uint32_t v = rd_u32(&next_hop);

		why = martian_v4(p, v);
		reach.next_hop = (struct bgp_next_hop){ .has_global = true, .global = ip_v4(v) };
	} else {
		why = next_hop_v6(p, next_hop, &reach.next_hop);
	}
	if (why)
		condemn(p, BGP_FATE_WITHDRAW, E_OPTIONAL, BGP_ATTR_MP_REACH, why);
	p->out->reach[p->out->nreach++] = reach;
}

static void
read_classic_reach(struct parse *p, struct rd r)
{
	struct bgp_reach *reach = &p->out->reach[p->out->nreach];
	const char *why;

	p->has_reach |= !rd_done(&r);
	if (rd_done(&r))
		return;
	if (!nlri_check(r, FAMILY_IPV4, &reach->nlri)) {
		condemn(p, BGP_FATE_RESET, E_NETWORK, 0, "prefixes cannot be read");
		return;
	}
	if (!(p->opt->caps & BGP_CAP_MP_IPV4))
		return;
	reach->next_hop = (struct bgp_next_hop){ .has_global = true, .global = ip_v4(p->attrs.next_hop) };
	p->out->nreach++;
	why = p->attrs.has_next_hop ? martian_v4(p, p->attrs.next_hop) : NULL;
	if (why)
		condemn(p, BGP_FATE_WITHDRAW, E_NEXT_HOP, BGP_ATTR_NEXT_HOP, why);
}

static void
read_classic_withdrawn(struct parse *p, struct rd r)
{
	struct bgp_nlri nlri;

	if (!nlri_check(r, FAMILY_IPV4, &nlri))
		condemn(p, BGP_FATE_RESET, E_NETWORK, 0, "withdrawn prefixes cannot be read");
	else if (p->opt->caps & BGP_CAP_MP_IPV4)
		add_withdrawn(p, &nlri);
}

/* ---- the verdict ---- */

/* RFC 4271 5, RFC 7606 3 (d). */
static void
check_mandatory(struct parse *p, bool classic)
{
	const struct bgp_attrs *a = &p->attrs;
	uint8_t missing = 0;

	if (!p->has_reach)
		return;
	if (!a->has_origin)
		missing = BGP_ATTR_ORIGIN;
	else if (!a->has_as_path)
		missing = BGP_ATTR_AS_PATH;
	else if (classic && !a->has_next_hop)
		missing = BGP_ATTR_NEXT_HOP;
	else if (p->opt->internal && !(a->view.flags & ATTRS_HAS_LOCAL_PREF))
		missing = BGP_ATTR_LOCAL_PREF;
	if (missing)
		condemn(p, BGP_FATE_WITHDRAW, E_MISSING, missing, "missing");
}

/* What is announced is withdrawn instead, so that nobody can use it by mistake. */
static void
turn_into_withdrawals(struct bgp_update *out)
{
	for (unsigned int i = 0; i < out->nreach; i++)
		out->withdrawn[out->nwithdrawn++] = out->reach[i].nlri;
	out->nreach = 0;
}

static void
make_notice(const struct parse *p)
{
	const struct bgp_attrs *a = &p->attrs;

	if (a->subcode == E_MISSING)
		p->out->notice = bgp_notice_make(BGP_ERR_UPDATE, E_MISSING, &a->bad_attr, 1);
	else if (a->subcode == E_LIST || a->subcode == E_NETWORK)
		p->out->notice = bgp_notice_make(BGP_ERR_UPDATE, a->subcode, NULL, 0); /* RFC 4271 6.3: no data */
	else
		p->out->notice = bgp_notice_make(BGP_ERR_UPDATE, a->subcode, a->bad.at, rd_left(&a->bad));
}

static void
conclude(struct parse *p)
{
	struct bgp_update *out = p->out;
	const struct bgp_attrs *a = &p->attrs;

	/* RFC 7606 5.2: with attributes in error and no reachable prefixes, there may be some that we did not find */
	if (a->fate == BGP_FATE_WITHDRAW && !p->has_reach && !a->only_mp_unreach)
		bgp_attrs_condemn(&p->attrs, BGP_FATE_RESET, a->subcode, a->bad_attr, a->bad, a->why);
	out->fate = a->fate;
	out->malformed = a->malformed;
	out->bad_attr = a->bad_attr;
	out->why = a->why;
	out->ndiscarded = a->ndiscarded;
	memcpy(out->discarded, a->discarded, sizeof(out->discarded));
	out->attrs = a->view;
	if (a->malformed)
		out->end_of_rib = 0; /* CVE-2023-47235: a mark with something wrong in it is none */
	if (a->fate == BGP_FATE_WITHDRAW)
		turn_into_withdrawals(out);
	if (a->fate == BGP_FATE_RESET) {
		out->nwithdrawn = out->nreach = out->end_of_rib = 0;
		make_notice(p);
	}
}

void
bgp_update_parse(struct rd r, const struct bgp_update_opts *opt, struct bgp_scratch *scratch, struct bgp_update *out)
{
	struct parse p;
	struct rd withdrawn, attrs;

	out->nwithdrawn = out->nreach = out->end_of_rib = 0;
	p.opt = opt;
	p.out = out;
	p.has_reach = false;
	withdrawn = rd_sub(&r, rd_u16(&r));
	attrs = rd_sub(&r, rd_u16(&r));
	if (r.bad) { /* RFC 7606 3 (b) leaves this as it was */
		p.attrs = (struct bgp_attrs){ 0 };
		condemn(&p, BGP_FATE_RESET, E_LIST, 0, "lengths do not fit into the message");
		conclude(&p);
		return;
	}
	bgp_attrs_parse(attrs, opt, scratch, &p.attrs);
	read_classic_withdrawn(&p, withdrawn);
	if (p.attrs.has_mp_unreach)
		read_mp_unreach(&p);
	if (p.attrs.has_mp_reach)
		read_mp_reach(&p);
	read_classic_reach(&p, r);
	check_mandatory(&p, !rd_done(&r));
	if (rd_done(&withdrawn) && rd_done(&attrs) && rd_done(&r) && (opt->caps & BGP_CAP_MP_IPV4))
		out->end_of_rib |= 1u << FAMILY_IPV4;
	conclude(&p);
}
