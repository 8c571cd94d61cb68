/*
 * fabricd/bgp/message.c -- see message.h
 *
 * What a message and a capability may look like stands in two tables, `kinds` and `capabilities`; the walkers check
 * lengths against them, so that a decoder sees exactly the bytes that are its own.
 */
#include "fabricd/bgp/message.h"

#include "fabricd/bgp/text.h"
#include "fabricd/lib/base.h"

#define PARAM_CAPABILITIES 2
#define PARAM_EXTENDED     255 /* RFC 9072 */

/* ---- families ---- */

uint16_t
bgp_afi(enum family f)
{
	return f == FAMILY_IPV4 ? 1 : 2;
}

bool
bgp_family_of(uint16_t afi, uint8_t safi, enum family *out)
{
	if ((afi != 1 && afi != 2) || safi != BGP_SAFI_UNICAST)
		return false;
	*out = afi == 1 ? FAMILY_IPV4 : FAMILY_IPV6;
	return true;
}

/* ---- framing ---- */

static const struct kind {
	const char *name;
	uint16_t min;    /* RFC 4271 6.1 */
	bool never_long; /* stays below 4,096 octets: RFC 8654 4 */
} kinds[BGP_TYPES] = {
	[BGP_OPEN] = { "OPEN", 29, true },
	[BGP_UPDATE] = { "UPDATE", 23, false },
	[BGP_NOTIFICATION] = { "NOTIFICATION", 21, false },
	[BGP_KEEPALIVE] = { "KEEPALIVE", 19, true },
	[BGP_ROUTE_REFRESH] = { "ROUTE-REFRESH", 23, false },
};

const char *
bgp_type_name(uint8_t type)
{
	return type < BGP_TYPES && kinds[type].name ? kinds[type].name : "unknown message";
}

enum bgp_frame
bgp_frame(const uint8_t *bytes, size_t n, bool extended, struct bgp_message *out, struct bgp_notice *err)
{
	static const uint8_t marker[16] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255 };
	struct rd r = rd_make(bytes, n);
	const uint8_t *seen, *len_at;
	const struct kind *k;
	uint16_t len;
	uint8_t type;

	if (n < BGP_HEADER)
		return BGP_FRAME_MORE;
	seen = rd_take(&r, sizeof(marker));
	len_at = r.at;
	len = rd_u16(&r);
	type = rd_u8(&r);
	if (memcmp(seen, marker, sizeof(marker)) != 0) {
		*err = bgp_notice_make(BGP_ERR_HEADER, 1, NULL, 0);
		return BGP_FRAME_BAD;
	}
	if (len < BGP_HEADER || (len > BGP_MAX && !extended)) {
		*err = bgp_notice_make(BGP_ERR_HEADER, 2, len_at, 2);
		return BGP_FRAME_BAD;
	}
	if (type >= BGP_TYPES || !kinds[type].name) {
		*err = bgp_notice_make(BGP_ERR_HEADER, 3, &type, 1);
		return BGP_FRAME_BAD;
	}
	k = &kinds[type];
	if (len < k->min || (k->never_long && len > BGP_MAX) || (type == BGP_KEEPALIVE && len != BGP_HEADER)) {
		*err = bgp_notice_make(BGP_ERR_HEADER, 2, len_at, 2);
		return BGP_FRAME_BAD;
	}
	if (n < len)
		return BGP_FRAME_MORE;
	*out = (struct bgp_message){ .type = type, .len = len, .start = bytes, .body = rd_sub(&r, len - BGP_HEADER) };
	return BGP_FRAME_WHOLE;
}

/* Begins a message; the length is set by message_end(). */
static size_t
message_begin(struct wr *w, uint8_t type)
{
	size_t start = wr_len(w);
	uint8_t *marker = wr_take(w, 16);

	if (marker)
		memset(marker, 0xff, 16);
	wr_u16(w, 0);
	wr_u8(w, type);
	return start;
}

static void
message_end(struct wr *w, size_t start)
{
	if (!w->full)
		put_u16(w->start + start + 16, (uint16_t)(wr_len(w) - start));
}

void
bgp_keepalive_write(struct wr *w)
{
	message_end(w, message_begin(w, BGP_KEEPALIVE));
}

/* ---- capabilities ---- */

/* Each decoder gets the value alone. False: the OPEN is refused (2/0). */
static bool
cap_mp(struct rd *r, struct bgp_open *o)
{
	uint16_t afi = rd_u16(r);
	uint8_t safi;
	enum family f;

	rd_u8(r);
	safi = rd_u8(r);
	o->bare = false;
	if (bgp_family_of(afi, safi, &f))
		o->caps |= bgp_cap_family(f);
	return !r->bad;
}

static bool
cap_next_hop(struct rd *r, struct bgp_open *o)
{
	while (!rd_done(r)) {
		uint16_t afi = rd_u16(r), safi = rd_u16(r), next_hop = rd_u16(r);

		if (!r->bad && afi == 1 && safi == BGP_SAFI_UNICAST && next_hop == 2)
			o->caps |= BGP_CAP_IPV4_OVER_IPV6;
	}
	return !r->bad;
}

static bool
cap_role(struct rd *r, struct bgp_open *o)
{
	o->role = rd_u8(r);
	return !r->bad;
}

static bool
cap_as4(struct rd *r, struct bgp_open *o)
{
	o->asn = rd_u32(r);
	return !r->bad;
}

static bool
cap_restart(struct rd *r, struct bgp_open *o)
{
	uint16_t head = rd_u16(r);

	o->gr_flags = (uint8_t)(head >> 12);
	o->gr_restart_s = head & 0x0fff;
	o->gr_families = o->gr_forwarding = 0;
	while (!rd_done(r)) {
		uint16_t afi = rd_u16(r);
		uint8_t safi = rd_u8(r), flags = rd_u8(r);
		enum family f;

		if (r->bad || !bgp_family_of(afi, safi, &f))
			continue;
		o->gr_families |= (uint8_t)(1u << f);
		if (flags & 0x80)
			o->gr_forwarding |= (uint8_t)(1u << f);
	}
	return !r->bad;
}

static bool
cap_long_lived(struct rd *r, struct bgp_open *o)
{
	o->llgr_families = o->llgr_forwarding = 0;
	while (!rd_done(r)) {
		uint16_t afi = rd_u16(r);
		uint8_t safi = rd_u8(r), flags = rd_u8(r), high = rd_u8(r);
		uint32_t stale_s = (uint32_t)high << 16 | rd_u16(r);
		enum family f;

		if (r->bad || !bgp_family_of(afi, safi, &f))
			continue;
		o->llgr_families |= (uint8_t)(1u << f);
		o->llgr_stale_s[f] = stale_s;
		if (flags & 0x80)
			o->llgr_forwarding |= (uint8_t)(1u << f);
	}
	return !r->bad;
}

/* Names are for display only, and come from outside: anything odd becomes '?'. */
static void
copy_name(struct rd r, char out[BGP_NAME])
{
	size_t n = 0;

	while (!rd_done(&r) && n < BGP_NAME - 1) {
		uint8_t c = rd_u8(&r);

		out[n++] = c > ' ' && c < 0x7f ? (char)c : '?';
	}
	out[n] = '\0';
}

static bool
cap_hostname(struct rd *r, struct bgp_open *o)
{
	struct rd host = rd_sub(r, rd_u8(r));
	struct rd domain = rd_sub(r, rd_u8(r));

	copy_name(host, o->hostname);
	if (!r->bad)
		copy_name(domain, o->domain);
	return true; /* a name is no reason to refuse a peer */
}

static const struct capability {
	const char *name;
	uint8_t code;
	uint8_t min, max; /* legal length; a wrong one refuses the OPEN when `strict`, else the capability is skipped */
	bool strict;
	uint16_t bit; /* set when it was decoded; 0: the decoder sets bits itself */
	bool (*decode)(struct rd *, struct bgp_open *);
} capabilities[] = {
	{ "multiprotocol", 1, 4, 4, true, 0, cap_mp },
	{ "route refresh", 2, 0, 255, false, BGP_CAP_REFRESH, NULL },
	{ "extended next hop", 5, 6, 255, false, 0, cap_next_hop },
	{ "extended message", 6, 0, 0, false, BGP_CAP_EXTENDED_MESSAGE, NULL },
	{ "role", 9, 1, 1, true, BGP_CAP_ROLE, cap_role },
	{ "graceful restart", 64, 2, 255, true, BGP_CAP_GRACEFUL_RESTART, cap_restart },
	{ "4-octet AS", 65, 4, 4, true, BGP_CAP_AS4, cap_as4 },
	{ "add path", 69, 4, 255, false, BGP_CAP_ADD_PATH, NULL },
	{ "enhanced route refresh", 70, 0, 0, false, BGP_CAP_ENHANCED_REFRESH, NULL },
	{ "long-lived graceful restart", 71, 0, 255, false, BGP_CAP_LONG_LIVED_RESTART, cap_long_lived },
	{ "hostname", 73, 2, 255, false, BGP_CAP_HOSTNAME, cap_hostname },
};

const char *
bgp_cap_name(enum bgp_cap bit)
{
	if (bit == BGP_CAP_MP_IPV4)
		return "IPv4 unicast";
	if (bit == BGP_CAP_MP_IPV6)
		return "IPv6 unicast";
	if (bit == BGP_CAP_IPV4_OVER_IPV6)
		return "extended next hop";
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		if (capabilities[i].bit == bit && bit)
			return capabilities[i].name;
	return NULL;
}

static const struct capability *
capability_find(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		if (capabilities[i].code == code)
			return &capabilities[i];
	return NULL;
}

bool
bgp_caps_parse(struct rd r, struct bgp_open *o)
{
	while (!rd_done(&r)) {
		uint8_t code = rd_u8(&r);
		struct rd value = rd_sub(&r, rd_u8(&r));
		const struct capability *c = capability_find(code);
		size_t len = rd_left(&value);

		if (r.bad)
			return false;
		if (!c) {
			if (o->nothers < sizeof(o->others))
				o->others[o->nothers++] = code;
			continue;
		}
		if (len < c->min || len > c->max) {
			if (c->strict)
				return false;
			continue;
		}
		if (c->decode && !c->decode(&value, o)) {
			if (c->strict)
				return false;
			continue;
		}
		o->caps |= c->bit;
	}
	return !r.bad;
}

/* ---- OPEN ---- */

/* All optional parameters, with lengths of one octet or two. */
static bool
params_parse(struct rd r, bool wide, struct bgp_open *o, struct bgp_notice *err)
{
	*err = bgp_notice_make(BGP_ERR_OPEN, 0, NULL, 0);
	while (!rd_done(&r)) {
		uint8_t type = rd_u8(&r);
		struct rd value = rd_sub(&r, wide ? rd_u16(&r) : rd_u8(&r));

		if (r.bad)
			return false;
		if (type != PARAM_CAPABILITIES) {
			*err = bgp_notice_make(BGP_ERR_OPEN, 4, NULL, 0);
			return false;
		}
		if (!bgp_caps_parse(value, o))
			return false;
	}
	return !r.bad;
}

/* The parameters behind the fixed part; RFC 9072 2 when their first octets say so. */
static bool
open_params(struct rd *r, struct bgp_open *o, struct bgp_notice *err)
{
	size_t len = rd_u8(r);
	bool wide = len != 0 && rd_left(r) >= 3 && r->at[0] == PARAM_EXTENDED;
	struct rd params;

	if (wide) {
		rd_u8(r);
		len = rd_u16(r);
	}
	params = rd_sub(r, len);
	if (r->bad || !rd_done(r)) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 0, NULL, 0);
		return false;
	}
	return params_parse(params, wide, o, err);
}

bool
bgp_open_parse(struct rd r, struct bgp_open *o, struct bgp_notice *err)
{
	static const uint8_t our_version[2] = { 0, 4 };
	uint16_t as2;

	*o = (struct bgp_open){ .bare = true };
	o->version = rd_u8(&r);
	as2 = rd_u16(&r);
	o->asn = as2;
	o->hold_s = rd_u16(&r);
	o->id = rd_u32(&r);
	if (r.bad) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 0, NULL, 0);
		return false;
	}
	if (o->version != 4) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 1, our_version, sizeof(our_version));
		return false;
	}
	if (!open_params(&r, o, err))
		return false;
	if (o->bare)
		o->caps |= BGP_CAP_MP_IPV4;
	/* RFC 7607 2; RFC 6793 4.1, 9: both fields tell one number, unless it does not fit into the shorter */
	if (o->asn == 0 || o->asn == BGP_AS_TRANS || (as2 != o->asn && as2 != BGP_AS_TRANS)) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 2, NULL, 0);
		return false;
	}
	if (o->id == 0) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 3, NULL, 0);
		return false;
	}
	if (o->hold_s == 1 || o->hold_s == 2) {
		*err = bgp_notice_make(BGP_ERR_OPEN, 6, NULL, 0);
		return false;
	}
	return true;
}

static void
write_names(struct wr *w, const struct bgp_open *o)
{
	size_t host = strlen(o->hostname), domain = strlen(o->domain);

	wr_u8(w, (uint8_t)host);
	wr_bytes(w, o->hostname, host);
	wr_u8(w, (uint8_t)domain);
	wr_bytes(w, o->domain, domain);
}

static void
write_restart(struct wr *w, const struct bgp_open *o)
{
	wr_u16(w, (uint16_t)((o->gr_flags & 0xf) << 12 | MIN_OF(o->gr_restart_s, 0xfff)));
	for (int f = 0; f < FAMILIES; f++) {
		if (!(o->gr_families & 1u << f))
			continue;
		wr_u16(w, bgp_afi((enum family)f));
		wr_u8(w, BGP_SAFI_UNICAST);
		wr_u8(w, o->gr_forwarding & 1u << f ? 0x80 : 0);
	}
}

static void
write_long_lived(struct wr *w, const struct bgp_open *o)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (!(o->llgr_families & 1u << f))
			continue;
		wr_u16(w, bgp_afi((enum family)f));
		wr_u8(w, BGP_SAFI_UNICAST);
		wr_u8(w, o->llgr_forwarding & 1u << f ? 0x80 : 0);
		wr_u8(w, (uint8_t)(o->llgr_stale_s[f] >> 16));
		wr_u16(w, (uint16_t)o->llgr_stale_s[f]);
	}
}

/* The value of the capability that one bit stands for; false: it is none that we send. */
static bool
write_capability(struct wr *w, const struct bgp_open *o, enum bgp_cap bit)
{
	switch (bit) {
	case BGP_CAP_MP_IPV4:
	case BGP_CAP_MP_IPV6:
		wr_u16(w, bgp_afi(bit == BGP_CAP_MP_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6));
		wr_u16(w, BGP_SAFI_UNICAST);
		return true;
	case BGP_CAP_IPV4_OVER_IPV6:
		wr_u16(w, 1);
		wr_u16(w, BGP_SAFI_UNICAST);
		wr_u16(w, 2);
		return true;
	case BGP_CAP_AS4:
		wr_u32(w, o->asn);
		return true;
	case BGP_CAP_ROLE:
		wr_u8(w, o->role);
		return true;
	case BGP_CAP_HOSTNAME:
		write_names(w, o);
		return true;
	case BGP_CAP_GRACEFUL_RESTART:
		write_restart(w, o);
		return true;
	case BGP_CAP_LONG_LIVED_RESTART:
		write_long_lived(w, o);
		return true;
	case BGP_CAP_REFRESH:
	case BGP_CAP_ENHANCED_REFRESH:
	case BGP_CAP_EXTENDED_MESSAGE:
		return true;
	default:
		return false;
	}
}

static uint8_t
capability_code(enum bgp_cap bit)
{
	if (bit & BGP_CAP_MP)
		return 1;
	if (bit == BGP_CAP_IPV4_OVER_IPV6)
		return 5;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
		if (capabilities[i].bit == bit)
			return capabilities[i].code;
	return 0;
}

void
bgp_open_write(struct wr *w, const struct bgp_open *o)
{
	uint8_t buf[512];
	struct wr caps = wr_make(buf, sizeof(buf));
	size_t start = message_begin(w, BGP_OPEN);

	wr_u8(w, 4);
	wr_u16(w, o->asn > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)o->asn);
	wr_u16(w, o->hold_s);
	wr_u32(w, o->id);
	for (uint32_t bit = 1; bit & BGP_CAP_ALL; bit <<= 1) {
		uint8_t value[2 * BGP_NAME + 2];
		struct wr v = wr_make(value, sizeof(value));

		if (!(o->caps & bit) || !write_capability(&v, o, (enum bgp_cap)bit))
			continue;
		wr_u8(&caps, capability_code((enum bgp_cap)bit));
		wr_u8(&caps, (uint8_t)wr_len(&v));
		wr_bytes(&caps, value, wr_len(&v));
	}
	/* One parameter with all capabilities (RFC 5492 4); at most 198 octets, so that RFC 9072 is never needed. */
	wr_u8(w, wr_len(&caps) ? (uint8_t)(wr_len(&caps) + 2) : 0);
	if (wr_len(&caps)) {
		wr_u8(w, PARAM_CAPABILITIES);
		wr_u8(w, (uint8_t)wr_len(&caps));
		wr_bytes(w, buf, wr_len(&caps));
	}
	message_end(w, start);
}

/* ---- NOTIFICATION ---- */

struct bgp_notice
bgp_notice_make(uint8_t code, uint8_t subcode, const void *data, size_t len)
{
	struct bgp_notice n;

	n.code = code;
	n.subcode = subcode;
	n.len = (uint16_t)MIN_OF(len, sizeof(n.data));
	if (n.len)
		memcpy(n.data, data, n.len);
	return n;
}

struct bgp_notice
bgp_notice_cease(uint8_t subcode, const char *text)
{
	struct bgp_notice n = bgp_notice_make(BGP_ERR_CEASE, subcode, NULL, 0);
	size_t len = text ? strlen(text) : 0;

	if (len == 0 || (subcode != BGP_CEASE_SHUTDOWN && subcode != BGP_CEASE_RESET))
		return n;
	if (len > 255) {
		len = 255;
		while (len && ((uint8_t)text[len] & 0xc0) == 0x80) /* not in the middle of a UTF-8 character */
			len--;
	}
	n.data[0] = (uint8_t)len;
	memcpy(n.data + 1, text, len);
	n.len = (uint16_t)(len + 1);
	return n;
}

struct bgp_notice
bgp_notice_hard_reset(const struct bgp_notice *why)
{
	struct bgp_notice n = bgp_notice_make(BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, NULL, 0);
	size_t len = MIN_OF((size_t)why->len, sizeof(n.data) - 2);

	n.data[0] = why->code;
	n.data[1] = why->subcode;
	memcpy(n.data + 2, why->data, len);
	n.len = (uint16_t)(len + 2);
	return n;
}

bool
bgp_notice_parse(struct rd r, struct bgp_notice *out)
{
	uint8_t code = rd_u8(&r), subcode = rd_u8(&r);
	size_t len = rd_left(&r);

	if (r.bad)
		return false;
	*out = bgp_notice_make(code, subcode, rd_take(&r, len), len);
	return true;
}

void
bgp_notice_write(struct wr *w, const struct bgp_notice *n)
{
	size_t start = message_begin(w, BGP_NOTIFICATION);

	wr_u8(w, n->code);
	wr_u8(w, n->subcode);
	wr_bytes(w, n->data, n->len);
	message_end(w, start);
}

static const char *const code_names[] = {
	[BGP_ERR_HEADER] = "message header error",
	[BGP_ERR_OPEN] = "OPEN message error",
	[BGP_ERR_UPDATE] = "UPDATE message error",
	[BGP_ERR_HOLD] = "hold timer expired",
	[BGP_ERR_FSM] = "state machine error",
	[BGP_ERR_CEASE] = "cease",
	[BGP_ERR_REFRESH] = "ROUTE-REFRESH message error",
	[BGP_ERR_SEND_HOLD] = "send hold timer expired",
};

static const struct {
	uint8_t code, subcode;
	const char *name;
} subcode_names[] = {
	{ BGP_ERR_HEADER, 1, "connection not synchronized" },
	{ BGP_ERR_HEADER, 2, "bad message length" },
	{ BGP_ERR_HEADER, 3, "bad message type" },
	{ BGP_ERR_OPEN, 1, "unsupported version number" },
	{ BGP_ERR_OPEN, 2, "bad peer AS" },
	{ BGP_ERR_OPEN, 3, "bad BGP identifier" },
	{ BGP_ERR_OPEN, 4, "unsupported optional parameter" },
	{ BGP_ERR_OPEN, 5, "authentication failure" },
	{ BGP_ERR_OPEN, 6, "unacceptable hold time" },
	{ BGP_ERR_OPEN, 7, "unsupported capability" },
	{ BGP_ERR_OPEN, 11, "role mismatch" },
	{ BGP_ERR_UPDATE, 1, "malformed attribute list" },
	{ BGP_ERR_UPDATE, 2, "unrecognized well-known attribute" },
	{ BGP_ERR_UPDATE, 3, "missing well-known attribute" },
	{ BGP_ERR_UPDATE, 4, "attribute flags error" },
	{ BGP_ERR_UPDATE, 5, "attribute length error" },
	{ BGP_ERR_UPDATE, 6, "invalid ORIGIN" },
	{ BGP_ERR_UPDATE, 8, "invalid NEXT_HOP" },
	{ BGP_ERR_UPDATE, 9, "optional attribute error" },
	{ BGP_ERR_UPDATE, 10, "invalid network field" },
	{ BGP_ERR_UPDATE, 11, "malformed AS_PATH" },
	{ BGP_ERR_FSM, 1, "unexpected message in OpenSent" }, /* RFC 6608 */
	{ BGP_ERR_FSM, 2, "unexpected message in OpenConfirm" },
	{ BGP_ERR_FSM, 3, "unexpected message in Established" },
	{ BGP_ERR_CEASE, BGP_CEASE_MAX_PREFIXES, "maximum number of prefixes reached" },
	{ BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "administrative shutdown" },
	{ BGP_ERR_CEASE, BGP_CEASE_DECONFIGURED, "peer de-configured" },
	{ BGP_ERR_CEASE, BGP_CEASE_RESET, "administrative reset" },
	{ BGP_ERR_CEASE, BGP_CEASE_REJECTED, "connection rejected" },
	{ BGP_ERR_CEASE, BGP_CEASE_CONFIG_CHANGE, "other configuration change" },
	{ BGP_ERR_CEASE, BGP_CEASE_COLLISION, "connection collision resolution" },
	{ BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "out of resources" },
	{ BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, "hard reset" },
	{ BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, "BFD down" },
	{ BGP_ERR_REFRESH, 1, "invalid message length" },
};

static const char *
bgp_code_name(uint8_t code)
{
	return code < ARRAY_LEN(code_names) && code_names[code] ? code_names[code] : "unknown error";
}

const char *
bgp_subcode_name(uint8_t code, uint8_t subcode)
{
	for (size_t i = 0; i < ARRAY_LEN(subcode_names); i++)
		if (subcode_names[i].code == code && subcode_names[i].subcode == subcode)
			return subcode_names[i].name;
	return subcode ? "unknown subcode" : "unspecific";
}

static void
add_escaped(struct text *t, uint8_t c)
{
	if (c == '\\')
		text_add(t, "\\\\");
	else if (c >= ' ' && c < 0x7f)
		text_add(t, "%c", c);
	else
		text_add(t, "\\x%02x", c);
}

char *
bgp_escape(const uint8_t *bytes, size_t n, char *out, size_t size)
{
	struct text t = text_make(out, size);

	for (size_t i = 0; i < n && !t.cut; i++)
		add_escaped(&t, bytes[i]);
	return out;
}

/* What the data says, as far as it is known to say something. */
static void
add_data(struct text *t, uint8_t code, uint8_t subcode, struct rd data)
{
	size_t n = rd_left(&data);

	if (n == 0)
		return;
	if (code == BGP_ERR_CEASE && (subcode == BGP_CEASE_SHUTDOWN || subcode == BGP_CEASE_RESET)) {
		size_t len = rd_u8(&data);
		struct rd said = rd_sub(&data, MIN_OF(len, n - 1));

		text_add(t, ", \"");
		while (!rd_done(&said) && !t->cut)
			add_escaped(t, rd_u8(&said));
		text_add(t, "\"");
		return;
	}
	if (code == BGP_ERR_CEASE && subcode == BGP_CEASE_MAX_PREFIXES && n >= 7) {
		uint16_t afi = rd_u16(&data);
		uint8_t safi = rd_u8(&data);

		text_add(t, ", AFI %u SAFI %u, limit %u", afi, safi, rd_u32(&data));
		return;
	}
	text_add(t, ", data ");
	while (!rd_done(&data) && !t->cut)
		text_add(t, "%02x", rd_u8(&data));
}

static void
add_notice(struct text *t, uint8_t code, uint8_t subcode)
{
	text_add(t, "%s (%u/%u)", bgp_code_name(code), code, subcode);
	if (subcode)
		text_add(t, ": %s", bgp_subcode_name(code, subcode));
}

char *
bgp_notice_text(const struct bgp_notice *n, char *buf, size_t size)
{
	struct text t = text_make(buf, size);
	struct rd data = rd_make(n->data, n->len);

	add_notice(&t, n->code, n->subcode);
	if (n->code == BGP_ERR_CEASE && n->subcode == BGP_CEASE_HARD_RESET && n->len >= 2) { /* RFC 8538 3 */
		uint8_t code = rd_u8(&data), subcode = rd_u8(&data);

		text_add(&t, ", because of ");
		add_notice(&t, code, subcode);
		add_data(&t, code, subcode, data);
	} else {
		add_data(&t, n->code, n->subcode, data);
	}
	return buf;
}

/* ---- ROUTE-REFRESH ---- */

bool
bgp_refresh_parse(const struct bgp_message *m, bool enhanced, struct bgp_refresh_message *out, struct bgp_notice *err)
{
	struct rd r = m->body;
	size_t len = rd_left(&r);

	out->afi = rd_u16(&r);
	out->subtype = rd_u8(&r);
	out->safi = rd_u8(&r);
	if (!enhanced)
		out->subtype = BGP_REFRESH_REQUEST;
	if (!r.bad && (len == 4 || (out->subtype != BGP_REFRESH_BEGIN && out->subtype != BGP_REFRESH_END)))
		return true;
	*err = bgp_notice_make(BGP_ERR_REFRESH, 1, m->start, m->len); /* the complete message: RFC 7313 5 */
	return false;
}

void
bgp_refresh_write(struct wr *w, enum family f, enum bgp_refresh subtype)
{
	size_t start = message_begin(w, BGP_ROUTE_REFRESH);

	wr_u16(w, bgp_afi(f));
	wr_u8(w, (uint8_t)subtype);
	wr_u8(w, BGP_SAFI_UNICAST);
	message_end(w, start);
}
