/*
 * fabricd/link/lldp.c -- see lldp.h
 *
 * A frame is a list of TLVs (7 bits type, 9 bits length). The walker knows from a table which lengths are legal and who
 * decodes what; the first three must be chassis id, port id and TTL, in this order, each once (802.1AB 8.2, 9.2.7.7).
 * TLVs that are not known are skipped; a second one of a kind that may come once is skipped, too.
 */
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/link/lldp.h"

enum {
	TLV_END = 0,
	TLV_CHASSIS = 1,
	TLV_PORT = 2,
	TLV_TTL = 3,
	TLV_PORT_DESCRIPTION = 4,
	TLV_SYSTEM_NAME = 5,
	TLV_SYSTEM_DESCRIPTION = 6,
	TLV_CAPABILITIES = 7,
	TLV_ORG = 127,
};
enum { CHASSIS_MAC = 4, PORT_MAC = 3, PORT_IFNAME = 5 };
enum { CAP_ROUTER = 0x10 };

#define OUI_8023  0x00120f
#define OUI_OURS  0x02fab1 /* locally administered: no registry can give it to another */
#define MAX_FRAME 4        /* subtype of 802.3 */

/* Items of our TLV: type, length, text. Types that are not known are skipped, so that later versions may add some. */
enum { OURS_FABRIC = 1, OURS_NODE, OURS_SERIAL, OURS_PORT, OURS_REVISION };

const uint8_t lldp_group[6] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e };

static const char *const verdict_texts[LLDP_VERDICTS] = {
	[LLDP_OK] = "ok",
	[LLDP_BAD_SHORT] = "frame too short",
	[LLDP_BAD_ETHERTYPE] = "not an LLDP frame",
	[LLDP_BAD_DEST] = "not sent to an LLDP group address",
	[LLDP_BAD_ORDER] = "chassis id, port id and TTL do not come first",
	[LLDP_BAD_LENGTH] = "wrong length of a TLV",
	[LLDP_BAD_END] = "end TLV is not empty",
};

const char *
lldp_verdict_text(enum lldp_verdict v)
{
	return (size_t)v < LLDP_VERDICTS ? verdict_texts[v] : "?";
}

/* ---- reading ---- */

/*
 * What is not printable ASCII becomes '?'; too long texts are cut. The rest is zeroed, so that structs can be compared
 * although an item came twice.
 */
static void
read_text(struct rd *r, char *out, size_t room)
{
	size_t n = rd_left(r), keep = MIN_OF(n, room - 1);
	const uint8_t *b = rd_take(r, n);

	for (size_t i = 0; i < keep; i++)
		out[i] = (char)(b[i] >= 0x20 && b[i] < 0x7f ? b[i] : '?');
	memset(out + keep, 0, room - keep);
}

static void
id_text(const uint8_t *id, size_t n, bool is_mac, char *out, size_t room)
{
	struct rd r = rd_make(id, n);

	if (is_mac && n == 6)
		snprintf(out, room, "%02x:%02x:%02x:%02x:%02x:%02x", id[0], id[1], id[2], id[3], id[4], id[5]);
	else
		read_text(&r, out, room);
}

static bool
read_chassis(struct rd *r, struct lldp_info *o)
{
	o->chassis_subtype = rd_u8(r);
	o->chassis_n = (uint8_t)rd_left(r);
	rd_bytes(r, o->chassis, o->chassis_n);
	id_text(o->chassis, o->chassis_n, o->chassis_subtype == CHASSIS_MAC, o->chassis_name, sizeof(o->chassis_name));
	return true;
}

static bool
read_port(struct rd *r, struct lldp_info *o)
{
	o->port_subtype = rd_u8(r);
	o->port_n = (uint8_t)rd_left(r);
	rd_bytes(r, o->port, o->port_n);
	id_text(o->port, o->port_n, o->port_subtype == PORT_MAC, o->port_name, sizeof(o->port_name));
	return true;
}

static bool
read_ttl(struct rd *r, struct lldp_info *o)
{
	o->ttl_s = rd_u16(r);
	return true;
}

static bool
read_port_description(struct rd *r, struct lldp_info *o)
{
	read_text(r, o->port_description, sizeof(o->port_description));
	return true;
}

static bool
read_system_name(struct rd *r, struct lldp_info *o)
{
	read_text(r, o->system_name, sizeof(o->system_name));
	return true;
}

static bool
read_system_description(struct rd *r, struct lldp_info *o)
{
	read_text(r, o->system_description, sizeof(o->system_description));
	return true;
}

static bool
read_ours(struct rd *r, struct lldp_fabric *f)
{
	const struct {
		char *at;
		size_t room;
	} texts[] = {
		[OURS_FABRIC] = { f->fabric, sizeof(f->fabric) },
		[OURS_NODE] = { f->node, sizeof(f->node) },
		[OURS_SERIAL] = { f->serial, sizeof(f->serial) },
		[OURS_PORT] = { f->port, sizeof(f->port) },
		[OURS_REVISION] = { f->revision, sizeof(f->revision) },
	};

	while (!rd_done(r)) {
		uint8_t type = rd_u8(r), n = rd_u8(r);
		struct rd item = rd_sub(r, n);

		if (r->bad)
			return false;
		if (type < ARRAY_LEN(texts) && texts[type].at)
			read_text(&item, texts[type].at, texts[type].room);
	}
	f->present = true;
	return true;
}

static bool
read_org(struct rd *r, struct lldp_info *o)
{
	uint32_t org = rd_u32(r); /* OUI and subtype */

	if (org >> 8 == OUI_8023 && (org & 0xff) == MAX_FRAME) {
		if (rd_left(r) < 2)
			return false;
		o->max_frame = rd_u16(r);
	} else if (org >> 8 == OUI_OURS && (org & 0xff) == 1 && !o->ours.present) {
		return read_ours(r, &o->ours);
	}
	return true;
}

static const struct tlv_rule {
	uint16_t min, max; /* legal length; max 0: the kind is skipped */
	bool (*read)(struct rd *, struct lldp_info *);
} rules[128] = {
	[TLV_CHASSIS] = { 2, 256, read_chassis },
	[TLV_PORT] = { 2, 256, read_port },
	[TLV_TTL] = { 2, 511, read_ttl },
	[TLV_PORT_DESCRIPTION] = { 0, 255, read_port_description },
	[TLV_SYSTEM_NAME] = { 0, 255, read_system_name },
	[TLV_SYSTEM_DESCRIPTION] = { 0, 255, read_system_description },
	[TLV_ORG] = { 4, 511, read_org },
};

static enum lldp_verdict
read_tlvs(struct rd *r, struct lldp_info *o)
{
	for (unsigned int i = 1;; i++) {
		uint16_t head;
		unsigned int type;
		struct rd value;
		const struct tlv_rule *rule;

		if (rd_left(r) == 0) /* the End TLV may be missing (802.1AB-2016 8.5.1) */
			return i > TLV_TTL ? LLDP_OK : LLDP_BAD_ORDER;
		head = rd_u16(r);
		type = head >> 9;
		value = rd_sub(r, head & 0x1ff);
		if (r->bad)
			return LLDP_BAD_LENGTH;
		if ((i <= TLV_TTL) != (type >= TLV_CHASSIS && type <= TLV_TTL) || (i <= TLV_TTL && type != i))
			return LLDP_BAD_ORDER;
		if (type == TLV_END)
			return (head & 0x1ff) ? LLDP_BAD_END : LLDP_OK;
		rule = &rules[type];
		if (!rule->read)
			continue;
		if (rd_left(&value) < rule->min || rd_left(&value) > rule->max || !rule->read(&value, o))
			return LLDP_BAD_LENGTH;
	}
}

enum lldp_verdict
lldp_parse(const uint8_t *frame, size_t n, struct lldp_info *out)
{
	struct rd r = rd_make(frame, n);
	const uint8_t *dst = rd_take(&r, 6);
	struct lldp_info info = { 0 };
	enum lldp_verdict v;
	uint16_t ethertype;

	rd_take(&r, 6);
	ethertype = rd_u16(&r);
	if (r.bad)
		return LLDP_BAD_SHORT;
	if (ethertype != LLDP_ETHERTYPE)
		return LLDP_BAD_ETHERTYPE;
	if (memcmp(dst, lldp_group, 5) != 0 || (dst[5] != 0x0e && dst[5] != 0x03 && dst[5] != 0x00))
		return LLDP_BAD_DEST;
	v = read_tlvs(&r, &info);
	if (v == LLDP_OK)
		*out = info;
	return v;
}

/* ---- writing ---- */

static void
put_tlv(struct wr *w, unsigned int type, const void *head, size_t head_n, const char *text, size_t max)
{
	size_t n = text ? strnlen(text, max) : 0;

	wr_u16(w, (uint16_t)(type << 9 | (head_n + n)));
	wr_bytes(w, head, head_n);
	wr_bytes(w, text, n);
}

static void
put_text(struct wr *w, unsigned int type, const char *text)
{
	if (text && *text)
		put_tlv(w, type, NULL, 0, text, 255);
}

static void
put_head(struct wr *w, const uint8_t mac[6], const char *port_name, uint16_t ttl_s)
{
	const uint8_t port_subtype = PORT_IFNAME;
	uint8_t chassis[7] = { CHASSIS_MAC };

	memcpy(chassis + 1, mac, 6);
	wr_bytes(w, lldp_group, 6);
	wr_bytes(w, mac, 6);
	wr_u16(w, LLDP_ETHERTYPE);
	put_tlv(w, TLV_CHASSIS, chassis, sizeof(chassis), NULL, 0);
	put_tlv(w, TLV_PORT, &port_subtype, 1, port_name, 255);
	wr_u16(w, TLV_TTL << 9 | 2);
	wr_u16(w, ttl_s);
}

static void
put_item(struct wr *w, uint8_t type, const char *text)
{
	size_t n = strlen(text);

	if (!n)
		return;
	wr_u8(w, type);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, text, n);
}

static void
put_ours(struct wr *w, const struct lldp_fabric *f)
{
	uint8_t *length = wr_take(w, 2);
	size_t at = wr_len(w);

	wr_u32(w, (uint32_t)OUI_OURS << 8 | 1);
	put_item(w, OURS_FABRIC, f->fabric);
	put_item(w, OURS_NODE, f->node);
	put_item(w, OURS_SERIAL, f->serial);
	put_item(w, OURS_PORT, f->port);
	put_item(w, OURS_REVISION, f->revision);
	if (length && !w->full)
		put_u16(length, (uint16_t)(TLV_ORG << 9 | (wr_len(w) - at)));
}

size_t
lldp_build(uint8_t *out, size_t room, const struct lldp_advert *a)
{
	static const uint8_t router[4] = { 0, CAP_ROUTER, 0, CAP_ROUTER };
	struct wr w = wr_make(out, room);

	put_head(&w, a->mac, a->port_name, a->ttl_s);
	put_text(&w, TLV_PORT_DESCRIPTION, a->port_description);
	put_text(&w, TLV_SYSTEM_NAME, a->system_name);
	put_text(&w, TLV_SYSTEM_DESCRIPTION, a->system_description);
	put_tlv(&w, TLV_CAPABILITIES, router, sizeof(router), NULL, 0);
	if (a->max_frame) {
		wr_u16(&w, TLV_ORG << 9 | 6);
		wr_u32(&w, (uint32_t)OUI_8023 << 8 | MAX_FRAME);
		wr_u16(&w, a->max_frame);
	}
	if (a->ours.present)
		put_ours(&w, &a->ours);
	wr_u16(&w, TLV_END);
	return w.full ? 0 : wr_len(&w);
}

size_t
lldp_build_shutdown(uint8_t *out, size_t room, const uint8_t mac[6], const char *port_name)
{
	struct wr w = wr_make(out, room);

	put_head(&w, mac, port_name, 0);
	wr_u16(&w, TLV_END);
	return w.full ? 0 : wr_len(&w);
}
