/* fabricd/link/nd.c -- see nd.h */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/inet_sum.h"
#include "fabricd/link/nd.h"

enum { OPT_SOURCE_MAC = 1, OPT_TARGET_MAC = 2, OPT_PREFIX = 3, OPT_MTU = 5 };
enum { NA_SOLICITED = 0x40 };

static const char *const verdict_texts[ND_VERDICTS] = {
	[ND_OK] = "ok",
	[ND_BAD_TYPE] = "not a neighbour discovery message",
	[ND_BAD_SHORT] = "message too short",
	[ND_BAD_HOP_LIMIT] = "hop limit is not 255",
	[ND_BAD_CODE] = "code is not 0",
	[ND_BAD_CHECKSUM] = "checksum is wrong",
	[ND_BAD_SOURCE] = "source address is not allowed",
	[ND_BAD_DEST] = "destination address is not allowed",
	[ND_BAD_TARGET] = "target address is multicast",
	[ND_BAD_OPTION] = "option of length zero",
	[ND_BAD_TRUNCATED] = "option reaches past the end",
};

const char *
nd_verdict_text(enum nd_verdict v)
{
	return (size_t)v < ND_VERDICTS ? verdict_texts[v] : "?";
}

struct ip
nd_all_nodes(void)
{
	return ip_v6((const uint8_t[16]){ 0xff, 2, [15] = 1 });
}

struct ip
nd_all_routers(void)
{
	return ip_v6((const uint8_t[16]){ 0xff, 2, [15] = 2 });
}

struct ip
nd_link_local(const uint8_t mac[6])
{
	const uint8_t b[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
		mac[5] };

	return ip_v6(b);
}

/* ---- fixed parts, by type (RFC 4861 4.1 to 4.4) ---- */

static void
read_rs(struct rd *r, struct nd_msg *m)
{
	(void)m;
	rd_take(r, 4);
}

static void
read_ra(struct rd *r, struct nd_msg *m)
{
	m->hop_limit = rd_u8(r);
	m->flags = rd_u8(r);
	m->lifetime_s = rd_u16(r);
	m->reachable_ms = rd_u32(r);
	m->retrans_ms = rd_u32(r);
}

static void
read_target(struct rd *r, struct nd_msg *m)
{
	m->flags = (uint8_t)(rd_u32(r) >> 24);
	m->target.family = FAMILY_IPV6;
	rd_bytes(r, m->target.b, 16);
}

static const struct kind {
	void (*read)(struct rd *, struct nd_msg *);
	uint8_t mac_option;
	bool router_source; /* only from a link-local address */
	bool may_be_unspecified;
	bool has_target;
} kinds[] = {
	[ND_RS - ND_RS] = { read_rs, OPT_SOURCE_MAC, false, true, false },
	[ND_RA - ND_RS] = { read_ra, OPT_SOURCE_MAC, true, false, false },
	[ND_NS - ND_RS] = { read_target, OPT_SOURCE_MAC, false, true, true },
	[ND_NA - ND_RS] = { read_target, OPT_TARGET_MAC, false, false, true },
};

/* Options that are not known are skipped; a length of zero would be an endless loop (RFC 4861 4.6). */
static enum nd_verdict
read_options(struct rd *r, const struct kind *k, struct nd_msg *m)
{
	while (!rd_done(r)) {
		uint8_t type = rd_u8(r), units = rd_u8(r);
		struct rd o;

		if (r->bad)
			return ND_BAD_TRUNCATED;
		if (units == 0)
			return ND_BAD_OPTION;
		o = rd_sub(r, (size_t)units * 8 - 2);
		if (r->bad)
			return ND_BAD_TRUNCATED;
		m->options++;
		if (type == k->mac_option && units == 1 && !m->has_mac) {
			m->has_mac = true;
			rd_bytes(&o, m->mac, 6);
		} else if (type == OPT_MTU && units == 1) {
			rd_take(&o, 2);
			m->mtu = rd_u32(&o);
		}
	}
	return ND_OK;
}

static enum nd_verdict
check_addresses(const struct kind *k, const struct ip *src, const struct ip *dst, const struct nd_msg *m)
{
	bool unspecified = ip_is_zero(src), dst_known = dst && !ip_is_zero(dst);

	if (src->family != FAMILY_IPV6 || ip_is_multicast(src) || (unspecified && !k->may_be_unspecified))
		return ND_BAD_SOURCE;
	if (k->router_source && !ip_is_link_local(src))
		return ND_BAD_SOURCE;
	if (unspecified && m->has_mac)
		return ND_BAD_SOURCE;
	if (k->has_target && ip_is_multicast(&m->target))
		return ND_BAD_TARGET;
	if (!dst_known)
		return ND_OK;
	if (m->type == ND_NS && unspecified && !ip_is_multicast(dst))
		return ND_BAD_DEST; /* RFC 4861 7.1.1: to the solicited-node address */
	if (m->type == ND_NA && ip_is_multicast(dst) && m->flags & NA_SOLICITED)
		return ND_BAD_DEST;
	return ND_OK;
}

enum nd_verdict
nd_parse(
    const uint8_t *bytes, size_t n, const struct ip *src, const struct ip *dst, uint8_t hop_limit, struct nd_msg *out)
{
	struct rd r = rd_make(bytes, n);
	struct nd_msg m = { .type = rd_u8(&r) };
	const struct kind *k;
	enum nd_verdict v;
	uint8_t code = rd_u8(&r);

	rd_u16(&r);
	if (r.bad)
		return ND_BAD_SHORT;
	if (m.type < ND_RS || m.type > ND_NA)
		return ND_BAD_TYPE;
	if (hop_limit != 255)
		return ND_BAD_HOP_LIMIT;
	if (code != 0)
		return ND_BAD_CODE;
	if (dst && !ip_is_zero(dst) && icmp6_sum(src, dst, bytes, n) != 0)
		return ND_BAD_CHECKSUM;
	k = &kinds[m.type - ND_RS];
	k->read(&r, &m);
	if (r.bad)
		return ND_BAD_SHORT;
	v = read_options(&r, k, &m);
	if (v == ND_OK)
		v = check_addresses(k, src, dst, &m);
	if (v == ND_OK)
		*out = m;
	return v;
}

/* ---- building ---- */

static void
put_mac(struct wr *w, const uint8_t *mac)
{
	if (!mac)
		return;
	wr_u8(w, OPT_SOURCE_MAC);
	wr_u8(w, 1);
	wr_bytes(w, mac, 6);
}

size_t
nd_build_rs(uint8_t *out, size_t room, const uint8_t mac[6])
{
	struct wr w = wr_make(out, room);

	wr_u8(&w, ND_RS);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u32(&w, 0);
	put_mac(&w, mac);
	return w.full ? 0 : wr_len(&w);
}

size_t
nd_build_ra(uint8_t *out, size_t room, const struct nd_router_advert *ra)
{
	struct wr w = wr_make(out, room);

	wr_u8(&w, ND_RA);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u8(&w, ra->hop_limit);
	wr_u8(&w, ra->flags);
	wr_u16(&w, ra->lifetime_s);
	wr_u32(&w, ra->reachable_ms);
	wr_u32(&w, ra->retrans_ms);
	put_mac(&w, ra->mac);
	if (ra->mtu) {
		wr_u8(&w, OPT_MTU);
		wr_u8(&w, 1);
		wr_u16(&w, 0);
		wr_u32(&w, ra->mtu);
	}
	if (ra->on_link.len) {
		wr_u8(&w, OPT_PREFIX);
		wr_u8(&w, 4);
		wr_u8(&w, ra->on_link.len);
		wr_u8(&w, 0xc0); /* on-link, autonomous */
		wr_u32(&w, ra->valid_s);
		wr_u32(&w, ra->preferred_s);
		wr_u32(&w, 0);
		wr_bytes(&w, ra->on_link.b, 16);
	}
	return w.full ? 0 : wr_len(&w);
}
