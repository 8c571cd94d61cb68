/*
 * fabricd/bgp/attr.c -- see attr.h
 *
 *   walk: header -> rule (flags, length, use) -> decoder -> kept slots, in ascending order of type
 *   then: AS4_PATH and AS4_AGGREGATOR merged -> slots written into the scratch: the canonical form
 *
 * One walker checks flags, lengths, repetition and consequence against `rules`; a decoder sees a value of legal
 * length. Nothing is copied before the walk is over, and nothing on the stack grows with what the peer sent.
 *
 * Unused attributes (use UNREAD) are never looked into: what we do not read cannot hurt us. Their flags are
 * judged all the same, since RFC 7606 3 (c) speaks of every recognised attribute.
 *
 * Two choices beyond the letter of the RFCs: an unrecognised well-known attribute costs the routes of its UPDATE and
 * not the session (RFC 4271 6.3 would reset it), in the spirit of RFC 7606; the Partial bit is judged on well-known
 * attributes alone.
 */
#include "fabricd/bgp/attr.h"

#include <math.h>
#include <stdlib.h>

#include "fabricd/bgp/text.h"
#include "fabricd/lib/base.h"

#define WELL_KNOWN BGP_FLAG_TRANSITIVE
#define OPTIONAL   BGP_FLAG_OPTIONAL
#define TRANSIT    (BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE)
#define ANY        UINT16_MAX
#define NOTHING    ((struct rd){ 0 })
#define LARGE      12 /* octets of a large community */
#define LARGE_FEW  64

enum error { /* subcodes of an UPDATE message error, RFC 4271 6.3 */
	E_LIST = 1,
	E_UNRECOGNIZED = 2,
	E_FLAGS = 4,
	E_LENGTH = 5,
	E_ORIGIN = 6,
	E_OPTIONAL = 9,
	E_AS_PATH = 11,
};

enum use {
	USE_UNKNOWN,  /* no rule: the zero entry */
	USE_KEEP,     /* goes into the canonical form */
	USE_APART,    /* decoded, and not part of the canonical form */
	USE_CHECK,    /* judged, then dropped */
	USE_UNREAD,   /* dropped */
	USE_INTERNAL, /* kept on IBGP sessions, dropped unread on others */
};

struct slot {
	const uint8_t *at;
	uint16_t len;
	uint8_t type, flags;
};

struct decoder {
	const struct bgp_update_opts *opt;
	struct bgp_attrs *out;
	const char *why; /* of a decoder that does not return OK */
	uint8_t subcode;
	bool has_aggregator;
	uint8_t aggregator[8]; /* with a 4-octet AS */
	uint8_t seen[32];      /* bit per type */
	struct rd as_path, as4_path, as4_aggregator;
	unsigned int kept;
	struct slot slots[256]; /* ascending; one per type at most */
};

static enum bgp_fate decode_origin(struct decoder *, struct rd);
static enum bgp_fate decode_as_path(struct decoder *, struct rd);
static enum bgp_fate decode_next_hop(struct decoder *, struct rd);
static enum bgp_fate decode_med(struct decoder *, struct rd);
static enum bgp_fate decode_local_pref(struct decoder *, struct rd);
static enum bgp_fate decode_atomic(struct decoder *, struct rd);
static enum bgp_fate decode_aggregator(struct decoder *, struct rd);
static enum bgp_fate decode_communities(struct decoder *, struct rd);
static enum bgp_fate decode_mp_reach(struct decoder *, struct rd);
static enum bgp_fate decode_mp_unreach(struct decoder *, struct rd);
static enum bgp_fate decode_extended(struct decoder *, struct rd);
static enum bgp_fate decode_as4_path(struct decoder *, struct rd);
static enum bgp_fate decode_as4_aggregator(struct decoder *, struct rd);

/* clang-format off */
#define MP(name, lengths, decode) \
	{ name, OPTIONAL, USE_APART, lengths, BGP_FATE_RESET, BGP_FATE_RESET, decode }
#define RULE(name, flags, use, lengths, if_bad, decode) \
	{ name, flags, USE_##use, lengths, BGP_FATE_WITHDRAW, BGP_FATE_##if_bad, decode }
#define LEN(min, max, unit)	 min, max, unit
#define UNREAD(name, flags)	 { name, flags, USE_UNREAD, 0, ANY, 1, BGP_FATE_WITHDRAW, BGP_FATE_DISCARD, NULL }

/* RFC 7606 7, and the attributes' own RFCs. */
static const struct rule {
	const char *name;
	uint8_t flags;			/* of Optional and Transitive */
	enum use use;
	uint16_t min, max, unit;	/* legal lengths, a multiple of unit */
	enum bgp_fate if_flags, if_bad; /* wrong flags (RFC 7606 3 (c)); wrong length or content */
	enum bgp_fate (*decode)(struct decoder *, struct rd);
} rules[256] = {
	[BGP_ATTR_ORIGIN] = RULE("ORIGIN", WELL_KNOWN, KEEP, LEN(1, 1, 1), WITHDRAW, decode_origin),
	[BGP_ATTR_AS_PATH] = RULE("AS_PATH", WELL_KNOWN, KEEP, LEN(0, ANY, 1), WITHDRAW, decode_as_path),
	[BGP_ATTR_NEXT_HOP] = RULE("NEXT_HOP", WELL_KNOWN, APART, LEN(4, 4, 1), WITHDRAW, decode_next_hop),
	[BGP_ATTR_MED] = RULE("MULTI_EXIT_DISC", OPTIONAL, KEEP, LEN(4, 4, 1), WITHDRAW, decode_med),
	[BGP_ATTR_LOCAL_PREF] = RULE("LOCAL_PREF", WELL_KNOWN, INTERNAL, LEN(4, 4, 1), WITHDRAW, decode_local_pref),
	[BGP_ATTR_ATOMIC_AGGREGATE] = RULE("ATOMIC_AGGREGATE", WELL_KNOWN, KEEP, LEN(0, 0, 1), DISCARD, decode_atomic),
	[BGP_ATTR_AGGREGATOR] = RULE("AGGREGATOR", TRANSIT, KEEP, LEN(6, 8, 2), DISCARD, decode_aggregator),
	[BGP_ATTR_COMMUNITIES] = RULE("COMMUNITIES", TRANSIT, KEEP, LEN(4, ANY, 4), WITHDRAW, decode_communities),
	[BGP_ATTR_ORIGINATOR_ID] = RULE("ORIGINATOR_ID", OPTIONAL, INTERNAL, LEN(4, 4, 1), WITHDRAW, NULL),
	[BGP_ATTR_CLUSTER_LIST] = RULE("CLUSTER_LIST", OPTIONAL, INTERNAL, LEN(4, ANY, 4), WITHDRAW, NULL),
	[BGP_ATTR_MP_REACH] = MP("MP_REACH_NLRI", LEN(5, ANY, 1), decode_mp_reach), /* RFC 7606 5.3 */
	[BGP_ATTR_MP_UNREACH] = MP("MP_UNREACH_NLRI", LEN(3, ANY, 1), decode_mp_unreach),
	[BGP_ATTR_EXT_COMMUNITIES] = RULE("EXTENDED_COMMUNITIES", TRANSIT, KEEP, LEN(8, ANY, 8), WITHDRAW, decode_extended),
	[BGP_ATTR_AS4_PATH] = RULE("AS4_PATH", TRANSIT, APART, LEN(6, ANY, 2), DISCARD, decode_as4_path),
	[BGP_ATTR_AS4_AGGREGATOR] = RULE("AS4_AGGREGATOR", TRANSIT, APART, LEN(8, 8, 1), DISCARD, decode_as4_aggregator),
	[BGP_ATTR_IPV6_EXT_COMMUNITIES] = RULE("IPV6_EXTENDED_COMMUNITIES", TRANSIT, CHECK, LEN(20, ANY, 20), WITHDRAW, NULL),
	[BGP_ATTR_LARGE_COMMUNITIES] = RULE("LARGE_COMMUNITIES", TRANSIT, KEEP, LEN(12, ANY, 12), WITHDRAW, NULL),
	[BGP_ATTR_ONLY_TO_CUSTOMER] = RULE("ONLY_TO_CUSTOMER", TRANSIT, KEEP, LEN(4, 4, 1), WITHDRAW, NULL),
	[BGP_ATTR_PMSI_TUNNEL] = UNREAD("PMSI_TUNNEL", TRANSIT),
	[BGP_ATTR_TUNNEL_ENCAP] = UNREAD("TUNNEL_ENCAPSULATION", TRANSIT),
	[BGP_ATTR_TRAFFIC_ENGINEERING] = UNREAD("TRAFFIC_ENGINEERING", OPTIONAL),
	[BGP_ATTR_PE_DISTINGUISHER] = UNREAD("PE_DISTINGUISHER_LABELS", TRANSIT),
	[BGP_ATTR_LINK_STATE] = UNREAD("BGP-LS", OPTIONAL),
	[BGP_ATTR_BGPSEC_PATH] = UNREAD("BGPsec_PATH", OPTIONAL),
	[BGP_ATTR_DOMAIN_PATH] = UNREAD("D-PATH", TRANSIT),
	[BGP_ATTR_SFP] = UNREAD("SFP", TRANSIT),
	[BGP_ATTR_BFD_DISCRIMINATOR] = UNREAD("BFD_DISCRIMINATOR", TRANSIT),
	[BGP_ATTR_NEXT_HOP_CAPABILITIES] = UNREAD("NEXT_HOP_CAPABILITIES", TRANSIT),
	[BGP_ATTR_PREFIX_SID] = UNREAD("PREFIX_SID", TRANSIT),
	[BGP_ATTR_ATTR_SET] = UNREAD("ATTR_SET", TRANSIT),
	[BGP_ATTR_DEVELOPMENT] = UNREAD("DEVELOPMENT", TRANSIT),
	/* RFC 7311 3: with the Transitive bit set it is discarded as well */
	[BGP_ATTR_AIGP] = { "AIGP", OPTIONAL, USE_UNREAD, 0, ANY, 1, BGP_FATE_DISCARD, BGP_FATE_DISCARD, NULL },
};
/* clang-format on */

const char *
bgp_attr_name(uint8_t type)
{
	return rules[type].name ? rules[type].name : "attribute";
}

const char *
bgp_fate_name(enum bgp_fate f)
{
	static const char *const names[BGP_FATES] = {
		[BGP_FATE_OK] = "ok",
		[BGP_FATE_DISCARD] = "attribute discard",
		[BGP_FATE_WITHDRAW] = "treat as withdraw",
		[BGP_FATE_RESET] = "session reset",
	};

	return (size_t)f < BGP_FATES ? names[f] : "?";
}

void
bgp_attrs_condemn(
    struct bgp_attrs *out, enum bgp_fate fate, uint8_t subcode, uint8_t attr, struct rd bad, const char *why)
{
	out->malformed = true;
	if (fate < out->fate || (fate == out->fate && out->subcode))
		return;
	out->fate = fate;
	out->subcode = subcode;
	out->bad_attr = attr;
	out->bad = bad;
	out->why = why;
}

static void
note_discard(struct bgp_attrs *out, uint8_t type)
{
	if (out->ndiscarded < BGP_DISCARDS)
		out->discarded[out->ndiscarded] = type;
	if (out->ndiscarded < UINT8_MAX)
		out->ndiscarded++;
}

/* Not used here: dropped without a word of blame. */
static void
drop(struct bgp_attrs *out, uint8_t type)
{
	note_discard(out, type);
	if (out->fate == BGP_FATE_OK) {
		out->fate = BGP_FATE_DISCARD;
		out->bad_attr = type;
		out->why = "not used here";
	}
}

/* ---- decoders: the value has a legal length ---- */

static enum bgp_fate
decode_origin(struct decoder *d, struct rd r)
{
	d->out->view.origin = rd_u8(&r);
	d->out->has_origin = true;
	d->subcode = E_ORIGIN;
	return d->out->view.origin <= 2 ? BGP_FATE_OK : BGP_FATE_WITHDRAW; /* RFC 7606 7.1 */
}

enum path_fault { PATH_FINE, PATH_OVERRUN, PATH_SET, PATH_CONFED, PATH_TYPE, PATH_EMPTY, PATH_ZERO, PATH_FIRST };

static const char *const path_faults[] = {
	[PATH_OVERRUN] = "segment runs past the end",
	[PATH_SET] = "AS_SET (RFC 9774)",
	[PATH_CONFED] = "confederation segment from outside",
	[PATH_TYPE] = "unknown segment type",
	[PATH_EMPTY] = "empty segment",
	[PATH_ZERO] = "AS 0 (RFC 7607)",
	[PATH_FIRST] = "does not begin with the peer's AS",
};

/*
 * Checks segments of AS numbers of `width` octets (RFC 7606 7.2, RFC 7607, RFC 9774) and gathers what the decision
 * process wants to know. With skip_confed confederation segments are passed over (RFC 6793 3, AS4_PATH).
 */
static enum path_fault
check_path(struct rd r, unsigned int width, bool skip_confed, uint32_t own, struct attrs_view *v)
{
	uint32_t hops = 0, as = 0, first = 0;
	bool loop = false;

	while (!rd_done(&r)) {
		uint8_t type = rd_u8(&r);
		unsigned int count = rd_u8(&r);
		struct rd list = rd_sub(&r, (size_t)count * width);

		if (r.bad)
			return PATH_OVERRUN;
		if (type == BGP_AS_SET || type == BGP_CONFED_SET)
			return PATH_SET;
		if (type != BGP_AS_SEQUENCE && type != BGP_CONFED_SEQUENCE)
			return PATH_TYPE;
		if (count == 0)
			return PATH_EMPTY;
		if (type == BGP_CONFED_SEQUENCE && skip_confed)
			continue;
		if (type == BGP_CONFED_SEQUENCE)
			return PATH_CONFED;
		while (!rd_done(&list)) {
			as = width == 4 ? rd_u32(&list) : rd_u16(&list);
			if (as == 0)
				return PATH_ZERO;
			if (first == 0)
				first = as;
			loop |= as == own;
		}
		hops += count;
	}
	v->path_len = (uint16_t)MIN_OF(hops, (uint32_t)UINT16_MAX);
	v->first_as = first;
	v->origin_as = as;
	v->flags = (uint16_t)((v->flags & ~ATTRS_LOOP) | (loop ? ATTRS_LOOP : 0));
	return PATH_FINE;
}

/* RFC 4271 6.3: the leftmost AS is the peer's, which an old speaker cannot write when it has four octets. */
static bool
first_as_right(const struct decoder *d)
{
	uint32_t first = d->out->view.first_as, want = d->opt->peer_as;

	if (d->opt->internal)
		return true;
	if (first == 0)
		return false;
	if (want == 0 || first == want)
		return true;
	return !(d->opt->caps & BGP_CAP_AS4) && want > UINT16_MAX && first == BGP_AS_TRANS;
}

static enum bgp_fate
decode_as_path(struct decoder *d, struct rd r)
{
	unsigned int width = d->opt->caps & BGP_CAP_AS4 ? 4 : 2;
	enum path_fault fault = check_path(r, width, false, d->opt->local_as, &d->out->view);

	d->as_path = r;
	d->out->has_as_path = true;
	if (fault == PATH_FINE && !first_as_right(d))
		fault = PATH_FIRST;
	d->subcode = E_AS_PATH;
	d->why = path_faults[fault];
	return fault == PATH_FINE ? BGP_FATE_OK : BGP_FATE_WITHDRAW;
}

static enum bgp_fate
decode_next_hop(struct decoder *d, struct rd r)
{
	d->out->next_hop = rd_u32(&r);
	d->out->has_next_hop = true;
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_med(struct decoder *d, struct rd r)
{
	d->out->view.med = rd_u32(&r);
	d->out->view.flags |= ATTRS_HAS_MED;
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_local_pref(struct decoder *d, struct rd r)
{
	d->out->view.local_pref = rd_u32(&r);
	d->out->view.flags |= ATTRS_HAS_LOCAL_PREF;
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_atomic(struct decoder *d, struct rd r UNUSED)
{
	d->out->view.flags |= ATTRS_AGGREGATED;
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_aggregator(struct decoder *d, struct rd r)
{
	bool as4 = d->opt->caps & BGP_CAP_AS4;
	uint32_t as;

	if (rd_left(&r) != (as4 ? 8 : 6))
		return BGP_FATE_DISCARD; /* RFC 7606 7.7 */
	as = as4 ? rd_u32(&r) : rd_u16(&r);
	put_u32(d->aggregator, as);
	rd_bytes(&r, d->aggregator + 4, 4);
	d->has_aggregator = as != 0;
	return as ? BGP_FATE_OK : BGP_FATE_DISCARD; /* RFC 7607 2 */
}

static enum bgp_fate
decode_communities(struct decoder *d, struct rd r)
{
	while (!rd_done(&r)) {
		uint32_t c = rd_u32(&r);

		if (c >> 16 != 0xffff)
			continue;
		switch (c & 0xffff) {
		case 0:
			d->out->view.flags |= ATTRS_GRACEFUL_SHUTDOWN;
			break;
		case BGP_LLGR_STALE & 0xffff:
			d->out->view.flags |= ATTRS_LLGR_STALE;
			break;
		case BGP_NO_LLGR & 0xffff:
			d->out->view.flags |= ATTRS_NO_LLGR;
			break;
		case 666:
			d->out->view.flags |= ATTRS_BLACKHOLE;
			break;
		case 65281:
		case 65283:
			d->out->view.flags |= ATTRS_NO_EXPORT;
			break;
		case 65282:
			d->out->view.flags |= ATTRS_NO_ADVERTISE;
			break;
		}
	}
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_mp_reach(struct decoder *d, struct rd r)
{
	d->out->mp_reach = r;
	d->out->has_mp_reach = true;
	return BGP_FATE_OK;
}

static enum bgp_fate
decode_mp_unreach(struct decoder *d, struct rd r)
{
	d->out->mp_unreach = r;
	d->out->has_mp_unreach = true;
	return BGP_FATE_OK;
}

uint16_t
bgp_bandwidth_weight(float bytes_per_second)
{
	float w = bytes_per_second / 12.5e6f;

	if (!isfinite(w) || w <= 0)
		return 0;
	if (w >= 65535)
		return 65535;
	return w < 1 ? 1 : (uint16_t)(w + 0.5f);
}

static float
wire_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Of several link bandwidths, transitive or not, the lowest counts (RFC 10005). */
static enum bgp_fate
decode_extended(struct decoder *d, struct rd r)
{
	uint16_t least = UINT16_MAX;
	bool any = false;

	while (!rd_done(&r)) {
		uint16_t type = rd_u16(&r), weight;

		rd_u16(&r);
		weight = bgp_bandwidth_weight(wire_float(rd_u32(&r)));
		if ((type & 0xbfff) != 0x0004)
			continue;
		any = true;
		least = MIN_OF(least, weight);
	}
	d->out->view.link_bandwidth_weight = any ? least : 0;
	return BGP_FATE_OK;
}

/* RFC 6793 4.1, 6: between speakers of 4-octet AS numbers these two are discarded; so they are when malformed. */
static enum bgp_fate
decode_as4_path(struct decoder *d, struct rd r)
{
	struct attrs_view ignored = { 0 };
	enum path_fault fault;

	if (d->opt->caps & BGP_CAP_AS4)
		return BGP_FATE_DISCARD;
	fault = check_path(r, 4, true, 0, &ignored);
	if (fault == PATH_FINE)
		d->as4_path = r;
	else
		d->why = path_faults[fault];
	if (fault == PATH_SET)
		return BGP_FATE_WITHDRAW; /* RFC 9774 3 */
	return fault == PATH_FINE ? BGP_FATE_OK : BGP_FATE_DISCARD;
}

static enum bgp_fate
decode_as4_aggregator(struct decoder *d, struct rd r)
{
	struct rd as = r;

	if ((d->opt->caps & BGP_CAP_AS4) || rd_u32(&as) == 0)
		return BGP_FATE_DISCARD;
	d->as4_aggregator = r;
	return BGP_FATE_OK;
}

/* ---- the walk ---- */

/* Keeps the slots in ascending order; peers send them so, hence the test at the end first. */
static void
keep(struct decoder *d, const struct slot *s)
{
	unsigned int i = d->kept++;

	while (i > 0 && d->slots[i - 1].type > s->type) {
		d->slots[i] = d->slots[i - 1];
		i--;
	}
	d->slots[i] = *s;
}

static void
condemn(struct decoder *d, enum bgp_fate fate, uint8_t subcode, uint8_t type, struct rd whole, const char *why)
{
	bgp_attrs_condemn(d->out, fate, subcode, type, whole, why);
	if (fate == BGP_FATE_DISCARD)
		note_discard(d->out, type);
}

static void
take_unknown(struct decoder *d, struct slot *s, struct rd whole)
{
	if (!(s->flags & BGP_FLAG_OPTIONAL)) {
		condemn(d, BGP_FATE_WITHDRAW, E_UNRECOGNIZED, s->type, whole, "unrecognised well-known attribute");
	} else if ((s->flags & BGP_FLAG_TRANSITIVE) && d->opt->keep_unknown) {
		s->flags = TRANSIT | BGP_FLAG_PARTIAL; /* RFC 4271 5 */
		keep(d, s);
	} else {
		drop(d->out, s->type);
	}
}

/* Whatever is wrong with one of these has subcode 9 (RFC 4760 7). */
static bool
is_mp(uint8_t type)
{
	return type == BGP_ATTR_MP_REACH || type == BGP_ATTR_MP_UNREACH;
}

static void
take(struct decoder *d, struct slot *s, struct rd whole)
{
	const struct rule *rule = &rules[s->type];
	bool keeps = rule->use == USE_KEEP || (rule->use == USE_INTERNAL && d->opt->internal);
	enum bgp_fate fate;

	if (rule->use == USE_UNKNOWN) {
		take_unknown(d, s, whole);
		return;
	}
	if (rule->use == USE_INTERNAL && !d->opt->internal) { /* RFC 7606 7.5, 7.9, 7.10 */
		drop(d->out, s->type);
		return;
	}
	if ((s->flags & TRANSIT) != rule->flags || (rule->flags == WELL_KNOWN && (s->flags & BGP_FLAG_PARTIAL))) {
		condemn(d, rule->if_flags, is_mp(s->type) ? E_OPTIONAL : E_FLAGS, s->type, whole, "wrong flags");
		return;
	}
	if (rule->use == USE_UNREAD) {
		drop(d->out, s->type);
		return;
	}
	if (s->len < rule->min || s->len > rule->max || s->len % rule->unit) {
		condemn(d, rule->if_bad, is_mp(s->type) ? E_OPTIONAL : E_LENGTH, s->type, whole, "wrong length");
		return;
	}
	d->subcode = E_OPTIONAL;
	d->why = "wrong content";
	fate = rule->decode ? rule->decode(d, rd_make(s->at, s->len)) : BGP_FATE_OK;
	if (fate != BGP_FATE_OK) {
		condemn(d, fate, d->subcode, s->type, whole, d->why);
	} else if (keeps) {
		s->flags = (uint8_t)(rule->flags | (rule->flags == TRANSIT ? s->flags & BGP_FLAG_PARTIAL : 0));
		keep(d, s);
	} else if (rule->use == USE_CHECK) {
		drop(d->out, s->type);
	}
}

static void
walk(struct decoder *d, struct rd r)
{
	while (!rd_done(&r)) {
		const uint8_t *start = r.at;
		struct slot s;
		struct rd whole, value;

		s.flags = rd_u8(&r);
		s.type = rd_u8(&r);
		s.len = s.flags & BGP_FLAG_EXTENDED ? rd_u16(&r) : rd_u8(&r);
		value = rd_sub(&r, s.len);
		whole = rd_make(start, (size_t)(r.end - start));
		if (r.bad) { /* RFC 7606 4: the rest cannot be read; NLRI are found by the total length */
			d->out->only_mp_unreach = false;
			condemn(d, BGP_FATE_WITHDRAW, E_LIST, s.type, whole, "runs past the end of the attributes");
			return;
		}
		whole.end = r.at;
		s.at = value.at;
		if (s.type != BGP_ATTR_MP_UNREACH)
			d->out->only_mp_unreach = false;
		if (d->seen[s.type / 8] & (1u << s.type % 8)) { /* RFC 7606 3 (g) */
			condemn(d, is_mp(s.type) ? BGP_FATE_RESET : BGP_FATE_DISCARD, E_LIST, s.type, whole,
			    "more than once");
			continue;
		}
		d->seen[s.type / 8] |= (uint8_t)(1u << s.type % 8);
		take(d, &s, whole);
	}
}

/* ---- the canonical form ---- */

size_t
bgp_attr_begin(struct wr *w, uint8_t flags, uint8_t type)
{
	size_t start = wr_len(w);

	wr_u8(w, flags | BGP_FLAG_EXTENDED);
	wr_u8(w, type);
	wr_u16(w, 0);
	return start;
}

void
bgp_attr_end(struct wr *w, size_t start)
{
	uint8_t *head = w->start + start;
	size_t len;

	if (w->full)
		return;
	len = wr_len(w) - start - 4;
	if (len > 255) {
		put_u16(head + 2, (uint16_t)len);
		return;
	}
	head[0] &= (uint8_t)~BGP_FLAG_EXTENDED;
	head[2] = (uint8_t)len;
	memmove(head + 3, head + 4, len);
	w->at--;
}

/* Writes AS numbers, opening a segment when the type changes or one is full. */
struct path_writer {
	struct wr *w;
	uint8_t *count;
};

static void
path_as(struct path_writer *p, uint32_t as)
{
	if (!p->count || *p->count == 255) {
		wr_u8(p->w, BGP_AS_SEQUENCE);
		p->count = wr_take(p->w, 1);
		if (!p->count)
			return;
		*p->count = 0;
	}
	wr_u32(p->w, as);
	++*p->count;
}

/* The first `hops` AS numbers of the sequences of a checked path. */
static void
path_part(struct path_writer *p, struct rd r, unsigned int width, uint32_t hops)
{
	while (!rd_done(&r)) {
		bool sequence = rd_u8(&r) == BGP_AS_SEQUENCE;
		struct rd list = rd_sub(&r, (size_t)rd_u8(&r) * width);

		while (sequence && !rd_done(&list) && hops > 0) {
			path_as(p, width == 4 ? rd_u32(&list) : rd_u16(&list));
			hops--;
		}
	}
}

/* RFC 6793 4.2.3: as many leading AS numbers of AS_PATH as AS4_PATH is shorter, then AS4_PATH. */
static void
write_merged_path(struct decoder *d, struct wr *w)
{
	struct attrs_view old = { 0 }, new = { 0 };
	struct path_writer p = { .w = w };
	size_t start = bgp_attr_begin(w, BGP_FLAG_TRANSITIVE, BGP_ATTR_AS_PATH);
	struct rd merged;

	check_path(d->as_path, 2, false, 0, &old);
	check_path(d->as4_path, 4, true, 0, &new);
	if (new.path_len > old.path_len)
		new.path_len = 0;
	path_part(&p, d->as_path, 2, (uint32_t)old.path_len - new.path_len);
	path_part(&p, d->as4_path, 4, new.path_len);
	if (w->full)
		return;
	merged = rd_make(w->start + start + 4, wr_len(w) - start - 4);
	bgp_attr_end(w, start);
	merged = rd_make(w->at - rd_left(&merged), rd_left(&merged));
	check_path(merged, 4, false, d->opt->local_as, &d->out->view);
}

/*
 * RFC 6793 4.2.3: when both are there and AGGREGATOR names an AS of its own, an old speaker has aggregated, and what the
 * AS4 attributes say is of the time before. AGGREGATOR alone says nothing like that: its AS had two octets all the time.
 */
static void
merge_aggregator(struct decoder *d)
{
	struct rd r = d->as4_aggregator;

	if (!d->has_aggregator || rd_left(&r) != 8)
		return;
	if (get_u32(d->aggregator) != BGP_AS_TRANS)
		d->as4_path = NOTHING;
	else
		rd_bytes(&r, d->aggregator, 8);
}

static void
write_slot(struct wr *w, const struct slot *s, const uint8_t *value, size_t len)
{
	wr_u8(w, len > 255 ? s->flags | BGP_FLAG_EXTENDED : s->flags);
	wr_u8(w, s->type);
	if (len > 255)
		wr_u16(w, (uint16_t)len);
	else
		wr_u8(w, (uint8_t)len);
	wr_bytes(w, value, len);
}

static int
cmp_large(const void *a, const void *b)
{
	return memcmp(a, b, LARGE);
}

/*
 * Each once (RFC 8092 3). Their order means nothing: where it is that of the sender there are few of them, and where
 * there are many and any twice they are sorted, so that nobody can make us compare each with each.
 */
static size_t
large_once(const uint8_t *from, size_t n, uint8_t *to)
{
	size_t kept = 0;

	if (n > LARGE_FEW) {
		memcpy(to, from, n * LARGE);
		qsort(to, n, LARGE, cmp_large);
		from = to;
	}
	for (size_t i = 0; i < n; i++) {
		const uint8_t *one = from + i * LARGE;
		size_t k = n > LARGE_FEW && kept ? kept - 1 : 0;

		while (k < kept && memcmp(to + k * LARGE, one, LARGE) != 0)
			k++;
		if (k == kept)
			memmove(to + kept++ * LARGE, one, LARGE);
	}
	return kept;
}

static void
write_large(struct wr *w, const struct slot *s, struct bgp_scratch *scratch)
{
	size_t n = s->len / LARGE, kept = large_once(s->at, n, scratch->large);

	write_slot(w, s, kept < n ? scratch->large : s->at, kept * LARGE);
}

static void
write_canonical(struct decoder *d, struct bgp_scratch *scratch)
{
	struct wr w = wr_make(scratch->wire, UINT16_MAX);
	bool as4 = d->opt->caps & BGP_CAP_AS4;

	if (!as4)
		merge_aggregator(d);
	for (unsigned int i = 0; i < d->kept; i++) {
		const struct slot *s = &d->slots[i];

		if (s->type == BGP_ATTR_AGGREGATOR)
			write_slot(&w, s, d->aggregator, 8);
		else if (s->type == BGP_ATTR_AS_PATH && !as4)
			write_merged_path(d, &w);
		else if (s->type == BGP_ATTR_LARGE_COMMUNITIES)
			write_large(&w, s, scratch);
		else
			write_slot(&w, s, s->at, s->len);
	}
	if (w.full) /* only 2-octet AS_PATHs of some 32,000 octets grow that much */
		bgp_attrs_condemn(
		    d->out, BGP_FATE_WITHDRAW, E_LENGTH, BGP_ATTR_AS_PATH, NOTHING, "too long with 4-octet AS numbers");
	d->out->view.wire = scratch->wire;
	d->out->view.wire_len = w.full ? 0 : (uint16_t)wr_len(&w);
}

void
bgp_attrs_parse(struct rd r, const struct bgp_update_opts *opt, struct bgp_scratch *scratch, struct bgp_attrs *out)
{
	struct decoder d; /* slots are left as they are: 4 KiB that need no zeroing */

	*out = (struct bgp_attrs){ .only_mp_unreach = true };
	d.opt = opt;
	d.out = out;
	d.kept = 0;
	memset(d.seen, 0, sizeof(d.seen));
	d.has_aggregator = false;
	d.as_path = d.as4_path = d.as4_aggregator = NOTHING;
	walk(&d, r);
	if (out->fate < BGP_FATE_WITHDRAW)
		write_canonical(&d, scratch);
}

/* ---- reading the canonical form ---- */

bool
bgp_attr_next(struct rd *r, uint8_t *flags, uint8_t *type, struct rd *value)
{
	if (rd_done(r))
		return false;
	*flags = rd_u8(r);
	*type = rd_u8(r);
	*value = rd_sub(r, *flags & BGP_FLAG_EXTENDED ? rd_u16(r) : rd_u8(r));
	return !r->bad;
}

bool
bgp_attr_find(const uint8_t *wire, size_t len, uint8_t type, struct rd *value)
{
	struct rd r = rd_make(wire, len);
	uint8_t flags, seen;

	while (bgp_attr_next(&r, &flags, &seen, value))
		if (seen == type)
			return true;
	*value = (struct rd){ 0 };
	return false;
}

size_t
bgp_attrs_with_community(const struct attrs_view *v, uint32_t community, uint8_t *buf, size_t size)
{
	struct rd r = rd_make(v->wire, v->wire_len), value;
	const uint8_t *front = v->wire, *behind; /* of COMMUNITIES, or of where they would stand */
	uint8_t head[4] = { 0xc0, BGP_ATTR_COMMUNITIES }, tail[4], flags, type;
	struct wr w = wr_make(buf, size);
	struct rd old = { 0 };
	size_t n;

	for (behind = front; bgp_attr_next(&r, &flags, &type, &value); front = behind = r.at) {
		if (type < BGP_ATTR_COMMUNITIES)
			continue;
		if (type == BGP_ATTR_COMMUNITIES) {
			head[0] |= flags & BGP_FLAG_PARTIAL;
			old = value;
			behind = r.at;
		}
		break;
	}
	n = rd_left(&old) + 4;
	put_u32(tail, community);
	wr_bytes(&w, v->wire, (size_t)(front - v->wire));
	if (n > 255) {
		head[0] |= 0x10;
		put_u16(head + 2, (uint16_t)n);
	} else {
		head[2] = (uint8_t)n;
	}
	wr_bytes(&w, head, n > 255 ? 4 : 3);
	if (n > 4)
		wr_bytes(&w, old.at, n - 4);
	wr_bytes(&w, tail, sizeof(tail));
	wr_bytes(&w, behind, (size_t)(v->wire + v->wire_len - behind));
	return w.full || wr_len(&w) > UINT16_MAX ? 0 : wr_len(&w);
}

size_t
bgp_as_path_list(const uint8_t *wire, size_t len, uint32_t *out, size_t max)
{
	struct rd path;
	size_t n = 0;

	bgp_attr_find(wire, len, BGP_ATTR_AS_PATH, &path);
	while (!rd_done(&path)) {
		struct rd list;

		rd_u8(&path);
		list = rd_sub(&path, (size_t)rd_u8(&path) * 4);
		for (; !rd_done(&list); n++) {
			uint32_t as = rd_u32(&list);

			if (n < max)
				out[n] = as;
		}
	}
	return n;
}

/* ---- text ---- */

const char *
bgp_origin_name(uint8_t origin)
{
	static const char *const names[] = { "IGP", "EGP", "incomplete" };

	return origin < ARRAY_LEN(names) ? names[origin] : "?";
}

char *
bgp_as_path_text(const uint8_t *wire, size_t len, char *buf, size_t size)
{
	static const struct {
		const char *open, *between, *close;
	} shape[] = {
		[BGP_AS_SET] = { "{", ",", "}" },
		[BGP_AS_SEQUENCE] = { "", " ", "" },
		[BGP_CONFED_SEQUENCE] = { "(", " ", ")" },
		[BGP_CONFED_SET] = { "[", ",", "]" },
	};
	struct text t = text_make(buf, size);
	struct rd path;

	bgp_attr_find(wire, len, BGP_ATTR_AS_PATH, &path);
	while (!rd_done(&path) && !t.cut) {
		uint8_t type = rd_u8(&path);
		struct rd list = rd_sub(&path, (size_t)rd_u8(&path) * 4);

		if (path.bad || type < BGP_AS_SET || type > BGP_CONFED_SET)
			break;
		text_add(&t, "%s%s", t.len ? " " : "", shape[type].open);
		while (!rd_done(&list) && !t.cut) {
			text_add(&t, "%u", rd_u32(&list));
			text_add(&t, "%s", rd_done(&list) ? "" : shape[type].between);
		}
		text_add(&t, "%s", shape[type].close);
	}
	return buf;
}

char *
bgp_community_text(uint32_t c, char *buf, size_t size)
{
	static const struct {
		uint16_t low;
		const char *name;
	} names[] = {
		{ 0, "graceful-shutdown" },                                                        /* RFC 8326 */
		{ 1, "accept-own" },                                                               /* RFC 7611 */
		{ 6, "llgr-stale" },                                                               /* RFC 9494 */
		{ 7, "no-llgr" }, { 666, "blackhole" },                                            /* RFC 7999 */
		{ 65281, "no-export" },                                                            /* RFC 1997 */
		{ 65282, "no-advertise" }, { 65283, "no-export-subconfed" }, { 65284, "no-peer" }, /* RFC 3765 */
	};
	struct text t = text_make(buf, size);

	for (size_t i = 0; c >> 16 == 0xffff && i < ARRAY_LEN(names); i++)
		if (names[i].low == (c & 0xffff)) {
			text_add(&t, "%s", names[i].name);
			return buf;
		}
	text_add(&t, "%u:%u", c >> 16, c & 0xffff);
	return buf;
}

char *
bgp_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size)
{
	struct text t = text_make(buf, size);
	char one[32];
	struct rd r;

	bgp_attr_find(wire, len, BGP_ATTR_COMMUNITIES, &r);
	while (!rd_done(&r) && !t.cut) {
		uint32_t c = rd_u32(&r);

		if (!r.bad)
			text_add(&t, "%s%s", t.len ? " " : "", bgp_community_text(c, one, sizeof(one)));
	}
	return buf;
}

char *
bgp_large_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size)
{
	struct text t = text_make(buf, size);
	struct rd r;

	bgp_attr_find(wire, len, BGP_ATTR_LARGE_COMMUNITIES, &r);
	while (!rd_done(&r) && !t.cut) {
		uint32_t a = rd_u32(&r), b = rd_u32(&r), c = rd_u32(&r);

		if (!r.bad)
			text_add(&t, "%s%u:%u:%u", t.len ? " " : "", a, b, c);
	}
	return buf;
}

/* "rt:65001:7", "soo:10.0.0.1:7", "bandwidth:65001:1250000000" (bytes per second), "color:5"; others in hex. */
static void
add_extended(struct text *t, struct rd r)
{
	const uint8_t *b = rd_take(&r, 8);
	const char *kind = b[1] == 2 ? "rt" : "soo";
	bool target = b[1] == 2 || b[1] == 3;

	if ((b[0] & 0xbf) == 0 && b[1] == 4)
		text_add(t, "bandwidth:%u:%.0f", get_u16(b + 2), (double)wire_float(get_u32(b + 4)));
	else if (b[0] == 0 && target)
		text_add(t, "%s:%u:%u", kind, get_u16(b + 2), get_u32(b + 4));
	else if (b[0] == 1 && target)
		text_add(t, "%s:%u.%u.%u.%u:%u", kind, b[2], b[3], b[4], b[5], get_u16(b + 6));
	else if (b[0] == 2 && target)
		text_add(t, "%s:%u:%u", kind, get_u32(b + 2), get_u16(b + 6));
	else if (b[0] == 3 && b[1] == 11)
		text_add(t, "color:%u", get_u32(b + 4));
	else
		text_add(t, "0x%08x%08x", get_u32(b), get_u32(b + 4));
}

char *
bgp_ext_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size)
{
	struct text t = text_make(buf, size);
	struct rd r;

	bgp_attr_find(wire, len, BGP_ATTR_EXT_COMMUNITIES, &r);
	while (!rd_done(&r) && !t.cut) {
		struct rd one = rd_sub(&r, 8);

		if (r.bad)
			break;
		if (t.len)
			text_add(&t, " ");
		add_extended(&t, one);
	}
	return buf;
}
