/*
 * fabricd/bgp/encode.c -- see encode.h
 *
 * The builder writes straight into the batch that it will give away. Room for a whole message is made when one is
 * begun, so that adding a prefix is a comparison and a copy.
 *
 *   classic:  header | 0 | attributes: NEXT_HOP, others | prefix prefix ...
 *   MP:       header | 0 | attributes: MP_REACH(next hop, prefix prefix ...), others
 *
 * `others` is made once per attribute set and kept, for the message that follows when one is full. Messages hold up
 * to 4,096 octets even when more was negotiated, so that the receiver's slices stay short; a longer one is made only
 * for attributes that would not fit otherwise.
 */
#include "fabricd/bgp/encode.h"

#include <errno.h>

#include "fabricd/lib/base.h"

#define PREFIX_WIRE_MAX 17
#define FIRST_ATTR      23 /* offset of the first attribute of a message without classic withdrawals */
#define MP_VALUE        27 /* offset of its value, when that is an MP attribute of ours */

enum open_kind { OPEN_NONE, OPEN_REACH, OPEN_REACH_MP, OPEN_UNREACH, OPEN_UNREACH_MP };

struct bgp_build {
	struct mem *mem;
	struct bgp_encode_opts opt;
	struct bgp_batch *batch; /* NULL until something is built */
	size_t cap;              /* of its bytes */
	enum open_kind open;
	enum family family;
	size_t start, limit; /* of the open message; prefixes end at limit at the latest */
	size_t prefixes;     /* in the open message */
	size_t max;          /* octets of a message */
	size_t attrs_len;
	uint8_t *attrs; /* BGP_MAX_EXTENDED octets when extended, else BGP_MAX */
};

void
bgp_batch_unref(struct bgp_batch *b)
{
	if (b && --b->refs == 0)
		mem_free(b->mem, MEM_EXPORT, b);
}

/* ---- attributes on their way out ---- */

/* What has to be put between the attributes that are there, in ascending order. */
enum extra { EX_AS_PATH, EX_MED, EX_LOCAL_PREF, EX_COMMUNITIES, EX_AS4_PATH, EX_AS4_AGGREGATOR, EXTRAS };

struct out {
	const struct bgp_encode_opts *opt;
	struct wr w;
	struct rd as_path, aggregator; /* of the set */
	unsigned int next;             /* extras before this one are done */
};

static void
attr_u32(struct out *o, uint8_t flags, uint8_t type, uint32_t value)
{
	wr_u8(&o->w, flags);
	wr_u8(&o->w, type);
	wr_u8(&o->w, 4);
	wr_u32(&o->w, value);
}

static void
write_as(struct wr *w, bool as4, uint32_t as)
{
	if (as4)
		wr_u32(w, as);
	else
		wr_u16(w, as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)as);
}

/* Own AS in front, in the first segment when that is a sequence with room (RFC 4271 5.1.2). */
static void
write_path(struct out *o, bool as4)
{
	struct rd path = o->as_path, list = { 0 };
	unsigned int own = o->opt->internal ? 0 : o->opt->prepend, count = 0;
	uint8_t type = BGP_AS_SEQUENCE;

	if (!rd_done(&path)) {
		type = rd_u8(&path);
		count = rd_u8(&path);
		list = rd_sub(&path, (size_t)count * 4);
	}
	if (own && (type != BGP_AS_SEQUENCE || own + count > 255)) {
		wr_u8(&o->w, BGP_AS_SEQUENCE);
		wr_u8(&o->w, (uint8_t)own);
		for (; own; own--)
			write_as(&o->w, as4, o->opt->local_as);
	}
	if (own + count) {
		wr_u8(&o->w, type);
		wr_u8(&o->w, (uint8_t)(own + count));
	}
	for (; own; own--)
		write_as(&o->w, as4, o->opt->local_as);
	for (;;) {
		while (!rd_done(&list))
			write_as(&o->w, as4, rd_u32(&list));
		if (rd_done(&path))
			break;
		wr_u8(&o->w, rd_u8(&path));
		count = rd_u8(&path);
		wr_u8(&o->w, (uint8_t)count);
		list = rd_sub(&path, (size_t)count * 4);
	}
}

/* Whether an old speaker loses something of the path (RFC 6793 4.2.2). */
static bool
path_needs_as4(const struct out *o)
{
	struct rd path = o->as_path;

	if (!o->opt->internal && o->opt->prepend && o->opt->local_as > UINT16_MAX)
		return true;
	while (!rd_done(&path)) {
		struct rd list;

		rd_u8(&path);
		list = rd_sub(&path, (size_t)rd_u8(&path) * 4);
		while (!rd_done(&list))
			if (rd_u32(&list) > UINT16_MAX)
				return true;
	}
	return false;
}

static void
write_communities(struct out *o, uint8_t flags, struct rd value)
{
	static const uint8_t graceful_shutdown[4] = { 0xff, 0xff, 0, 0 };
	size_t start = bgp_attr_begin(&o->w, flags, BGP_ATTR_COMMUNITIES);
	bool there = !o->opt->add_graceful_shutdown;
	struct rd r = value;

	while (!rd_done(&r))
		there |= rd_u32(&r) == 0xffff0000u;
	wr_bytes(&o->w, value.at, rd_left(&value));
	if (!there)
		wr_bytes(&o->w, graceful_shutdown, sizeof(graceful_shutdown));
	bgp_attr_end(&o->w, start);
}

/* RFC 4360 6: what is not transitive stays in its AS. The attribute is left out when nothing of it remains. */
static void
write_extended(struct out *o, uint8_t flags, struct rd value)
{
	struct wr before = o->w;
	size_t start = bgp_attr_begin(&o->w, flags, BGP_ATTR_EXT_COMMUNITIES), empty = wr_len(&o->w);

	while (!rd_done(&value)) {
		const uint8_t *one = rd_take(&value, 8);

		if (!one)
			break;
		if (!(one[0] & 0x40) || o->opt->internal || o->opt->keep_local_extended)
			wr_bytes(&o->w, one, 8);
	}
	if (!o->w.full && wr_len(&o->w) == empty)
		o->w = before;
	else
		bgp_attr_end(&o->w, start);
}

static void
write_aggregator(struct out *o, uint8_t flags)
{
	struct rd r = o->aggregator;
	uint32_t as = rd_u32(&r);
	bool as4 = o->opt->as4;

	wr_u8(&o->w, flags);
	wr_u8(&o->w, BGP_ATTR_AGGREGATOR);
	wr_u8(&o->w, as4 ? 8 : 6);
	write_as(&o->w, as4, as);
	wr_u32(&o->w, rd_u32(&r));
}

static void
write_extra(struct out *o, enum extra which)
{
	const struct bgp_encode_opts *opt = o->opt;
	struct rd r = o->aggregator;
	size_t start;

	if (which == EX_AS_PATH) {
		start = bgp_attr_begin(&o->w, BGP_FLAG_TRANSITIVE, BGP_ATTR_AS_PATH);
		write_path(o, opt->as4);
		bgp_attr_end(&o->w, start);
	} else if (which == EX_MED && opt->has_med) {
		attr_u32(o, BGP_FLAG_OPTIONAL, BGP_ATTR_MED, opt->med);
	} else if (which == EX_LOCAL_PREF && opt->internal) {
		attr_u32(o, BGP_FLAG_TRANSITIVE, BGP_ATTR_LOCAL_PREF, 100); /* RFC 4271 5.1.5: always there */
	} else if (which == EX_COMMUNITIES && opt->add_graceful_shutdown) {
		write_communities(o, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, (struct rd){ 0 });
	} else if (which == EX_AS4_PATH && !opt->as4 && path_needs_as4(o)) {
		start = bgp_attr_begin(&o->w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE, BGP_ATTR_AS4_PATH);
		write_path(o, true);
		bgp_attr_end(&o->w, start);
	} else if (which == EX_AS4_AGGREGATOR && !opt->as4 && rd_u32(&r) > UINT16_MAX) {
		wr_u8(&o->w, BGP_FLAG_OPTIONAL | BGP_FLAG_TRANSITIVE);
		wr_u8(&o->w, BGP_ATTR_AS4_AGGREGATOR);
		wr_u8(&o->w, 8);
		wr_bytes(&o->w, o->aggregator.at, 8);
	}
}

/* Extras whose type is below `type`; the one of that very type is taken as done, since the set has it. */
static void
write_extras_below(struct out *o, unsigned int type)
{
	static const uint8_t types[EXTRAS] = { BGP_ATTR_AS_PATH, BGP_ATTR_MED, BGP_ATTR_LOCAL_PREF,
		BGP_ATTR_COMMUNITIES, BGP_ATTR_AS4_PATH, BGP_ATTR_AS4_AGGREGATOR };

	while (o->next < EXTRAS && types[o->next] < type)
		write_extra(o, (enum extra)o->next++);
	if (o->next < EXTRAS && types[o->next] == type && type != BGP_ATTR_MED)
		o->next++;
}

static void
write_attr(struct out *o, uint8_t flags, uint8_t type, const uint8_t *start, struct rd value)
{
	const struct bgp_encode_opts *opt = o->opt;
	size_t begin;

	switch (type) {
	case BGP_ATTR_AS_PATH:
		begin = bgp_attr_begin(&o->w, flags, type);
		write_path(o, opt->as4);
		bgp_attr_end(&o->w, begin);
		break;
	case BGP_ATTR_MED: /* RFC 4271 5.1.4: not to other neighbouring ASes; ours is written as an extra */
		if (opt->internal && !opt->has_med)
			wr_bytes(&o->w, start, (size_t)(value.end - start));
		break;
	case BGP_ATTR_LOCAL_PREF:
	case BGP_ATTR_ORIGINATOR_ID:
	case BGP_ATTR_CLUSTER_LIST:
		if (opt->internal)
			wr_bytes(&o->w, start, (size_t)(value.end - start));
		break;
	case BGP_ATTR_AGGREGATOR:
		write_aggregator(o, flags);
		break;
	case BGP_ATTR_COMMUNITIES:
		write_communities(o, flags, value);
		break;
	case BGP_ATTR_EXT_COMMUNITIES:
		write_extended(o, flags, value);
		break;
	default:
		wr_bytes(&o->w, start, (size_t)(value.end - start));
	}
}

int
bgp_attrs_out(const struct bgp_encode_opts *opt, const struct attrs_view *v, uint8_t *buf, size_t size)
{
	struct out o = { .opt = opt, .w = wr_make(buf, size) };
	struct rd r = rd_make(v->wire, v->wire_len), value;
	const uint8_t *start = r.at;
	uint8_t flags, type;

	bgp_attr_find(v->wire, v->wire_len, BGP_ATTR_AS_PATH, &o.as_path);
	bgp_attr_find(v->wire, v->wire_len, BGP_ATTR_AGGREGATOR, &o.aggregator);
	for (; bgp_attr_next(&r, &flags, &type, &value); start = r.at) {
		write_extras_below(&o, type);
		write_attr(&o, flags, type, start, value);
	}
	write_extras_below(&o, 256);
	return o.w.full ? -EMSGSIZE : (int)wr_len(&o.w);
}

/* ---- the builder ---- */

struct bgp_build *
bgp_build_new(struct mem *mem, const struct bgp_encode_opts *opt)
{
	struct bgp_build *b = mem_zalloc(mem, MEM_EXPORT, sizeof(*b));

	b->mem = mem;
	b->opt = *opt;
	b->attrs = mem_alloc(mem, MEM_EXPORT, opt->extended ? BGP_MAX_EXTENDED : BGP_MAX);
	return b;
}

void
bgp_build_free(struct bgp_build *b)
{
	if (!b)
		return;
	mem_free(b->mem, MEM_EXPORT, b->attrs);
	mem_free(b->mem, MEM_EXPORT, b->batch);
	mem_free(b->mem, MEM_EXPORT, b);
}

/* Room for n more octets behind what is there. */
static uint8_t *
make_room(struct bgp_build *b, size_t n)
{
	size_t len = b->batch ? b->batch->len : 0;

	if (!b->batch || b->cap - len < n) {
		size_t cap = b->cap ? 2 * b->cap : 2 * BGP_MAX;

		while (cap - len < n)
			cap *= 2;
		if (b->batch) {
			b->batch = mem_realloc(b->mem, MEM_EXPORT, b->batch, sizeof(*b->batch) + cap);
		} else {
			b->batch = mem_alloc(b->mem, MEM_EXPORT, sizeof(*b->batch) + cap);
			*b->batch = (struct bgp_batch){ .refs = 1, .mem = b->mem };
		}
		b->cap = cap;
	}
	return b->batch->bytes + len;
}

/* The header, without its length, and whatever is the same in front of the prefixes. */
static void
begin_message(struct bgp_build *b)
{
	uint8_t *at = make_room(b, b->max);
	size_t form = b->opt.form[b->family], slot = form == BGP_NH_IPV6_TWO ? 32 : 16, n = FIRST_ATTR;

	b->start = b->batch->len;
	b->prefixes = 0;
	memset(at, 0xff, 16);
	at[18] = BGP_UPDATE;
	memset(at + BGP_HEADER, 0, 4);
	switch (b->open) {
	case OPEN_REACH:
		memcpy(at + n, (uint8_t[]){ BGP_FLAG_TRANSITIVE, BGP_ATTR_NEXT_HOP, 4, 0, 0, 0, 0 }, 7);
		memcpy(at + n + 7, b->attrs, b->attrs_len);
		put_u16(at + 21, (uint16_t)(7 + b->attrs_len));
		n += 7 + b->attrs_len;
		break;
	case OPEN_REACH_MP:
		at[n] = BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED;
		at[n + 1] = BGP_ATTR_MP_REACH;
		put_u16(at + MP_VALUE, bgp_afi(b->family));
		at[MP_VALUE + 2] = BGP_SAFI_UNICAST;
		at[MP_VALUE + 3] = (uint8_t)slot;
		memset(at + MP_VALUE + 4, 0, slot + 1); /* and the reserved octet */
		n = MP_VALUE + 5 + slot;
		break;
	case OPEN_UNREACH_MP:
		at[n] = BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED;
		at[n + 1] = BGP_ATTR_MP_UNREACH;
		put_u16(at + MP_VALUE, bgp_afi(b->family));
		at[MP_VALUE + 2] = BGP_SAFI_UNICAST;
		n = MP_VALUE + 3;
		break;
	default: /* OPEN_UNREACH */
		n = BGP_HEADER + 2;
	}
	b->batch->len += n;
	b->limit = b->start + b->max;
	if (b->open == OPEN_REACH_MP)
		b->limit -= b->attrs_len;
	else if (b->open == OPEN_UNREACH)
		b->limit -= 2;
}

static void
end_message(struct bgp_build *b)
{
	struct bgp_batch *batch = b->batch;
	uint8_t *at, *end;

	if (b->open == OPEN_NONE || !batch)
		return;
	at = batch->bytes + b->start;
	end = batch->bytes + batch->len;
	if (b->prefixes == 0) { /* nothing was added: as if it had not been begun */
		batch->len = b->start;
		return;
	}
	if (b->open == OPEN_REACH_MP || b->open == OPEN_UNREACH_MP)
		put_u16(at + MP_VALUE - 2, (uint16_t)(end - at - MP_VALUE));
	if (b->open == OPEN_REACH_MP) {
		memcpy(end, b->attrs, b->attrs_len);
		end += b->attrs_len;
	}
	if (b->open == OPEN_REACH_MP || b->open == OPEN_UNREACH_MP)
		put_u16(at + 21, (uint16_t)(end - at - FIRST_ATTR));
	if (b->open == OPEN_UNREACH) {
		put_u16(at + BGP_HEADER, (uint16_t)(end - at - BGP_HEADER - 2));
		put_u16(end, 0);
		end += 2;
	}
	put_u16(at + 16, (uint16_t)(end - at));
	batch->len = (size_t)(end - batch->bytes);
	batch->messages++;
	if (b->open == OPEN_REACH || b->open == OPEN_REACH_MP)
		batch->announced[b->family] += (uint32_t)b->prefixes;
	else
		batch->withdrawn[b->family] += (uint32_t)b->prefixes;
}

int
bgp_build_reach(struct bgp_build *b, enum family f, const struct attrs_view *v)
{
	size_t fixed = MP_VALUE + 5 + 32 + PREFIX_WIRE_MAX, most = b->opt.extended ? BGP_MAX_EXTENDED : BGP_MAX;
	int len;

	end_message(b);
	b->open = OPEN_NONE;
	if (b->opt.form[f] == BGP_NH_NONE)
		return -EMSGSIZE;
	len = bgp_attrs_out(&b->opt, v, b->attrs, most);
	if (len < 0)
		return len;
	if (b->opt.form[f] == BGP_NH_IPV4)
		fixed = FIRST_ATTR + 7 + PREFIX_WIRE_MAX;
	else if (b->opt.form[f] == BGP_NH_IPV6)
		fixed -= 16;
	if (fixed + (size_t)len > most)
		return -EMSGSIZE;
	b->attrs_len = (size_t)len;
	b->max = fixed + (size_t)len > BGP_MAX ? most : BGP_MAX;
	b->family = f;
	b->open = b->opt.form[f] == BGP_NH_IPV4 ? OPEN_REACH : OPEN_REACH_MP;
	begin_message(b);
	return 0;
}

void
bgp_build_unreach(struct bgp_build *b, enum family f)
{
	end_message(b);
	b->open = OPEN_NONE;
	if (b->opt.form[f] == BGP_NH_NONE) /* nothing was ever announced */
		return;
	b->family = f;
	b->max = BGP_MAX;
	b->open = b->opt.form[f] == BGP_NH_IPV4 ? OPEN_UNREACH : OPEN_UNREACH_MP;
	begin_message(b);
}

void
bgp_build_prefix(struct bgp_build *b, const struct prefix *p)
{
	size_t n = (p->len + 7u) / 8;
	uint8_t *at;

	if (b->open == OPEN_NONE)
		return;
	if (b->batch->len + 1 + n > b->limit) {
		end_message(b);
		begin_message(b);
	}
	at = b->batch->bytes + b->batch->len;
	*at++ = p->len;
	memcpy(at, p->b, n);
	b->batch->len += 1 + n;
	b->prefixes++;
}

void
bgp_build_end_of_rib(struct bgp_build *b, enum family f)
{
	uint8_t *at;
	size_t n = 23;

	end_message(b);
	b->open = OPEN_NONE;
	at = make_room(b, 29);
	memset(at, 0xff, 16);
	at[18] = BGP_UPDATE;
	memset(at + BGP_HEADER, 0, 4);
	if (f != FAMILY_IPV4) { /* RFC 4724 2: IPv4 unicast is an empty UPDATE, however its routes are carried */
		at[22] = 6;
		memcpy(at + n, (uint8_t[]){ BGP_FLAG_OPTIONAL, BGP_ATTR_MP_UNREACH, 3, 0, 2, BGP_SAFI_UNICAST }, 6);
		n += 6;
	}
	put_u16(at + 16, (uint16_t)n);
	b->batch->len += n;
	b->batch->messages++;
}

size_t
bgp_build_bytes(const struct bgp_build *b)
{
	return b->batch ? b->batch->len : 0;
}

struct bgp_batch *
bgp_build_take(struct bgp_build *b)
{
	struct bgp_batch *batch;

	end_message(b);
	b->open = OPEN_NONE;
	batch = b->batch;
	if (!batch || batch->len == 0)
		return NULL;
	if (b->cap - batch->len > batch->len / 4 + 64)
		batch = mem_realloc(b->mem, MEM_EXPORT, batch, sizeof(*batch) + batch->len);
	b->batch = NULL;
	b->cap = 0;
	return batch;
}

/* ---- the next hop, per peer ---- */

size_t
bgp_next_hop_slot(const uint8_t *msg, size_t len, size_t *n, enum family *f)
{
	if (len < FIRST_ATTR + 7 || msg[18] != BGP_UPDATE || get_u16(msg + BGP_HEADER) != 0)
		return 0;
	if (msg[FIRST_ATTR] == BGP_FLAG_TRANSITIVE && msg[FIRST_ATTR + 1] == BGP_ATTR_NEXT_HOP) {
		*n = 4;
		*f = FAMILY_IPV4;
		return FIRST_ATTR + 3;
	}
	if (msg[FIRST_ATTR] != (BGP_FLAG_OPTIONAL | BGP_FLAG_EXTENDED) || msg[FIRST_ATTR + 1] != BGP_ATTR_MP_REACH ||
	    len < MP_VALUE + 4)
		return 0;
	*n = msg[MP_VALUE + 3];
	*f = get_u16(msg + MP_VALUE) == 1 ? FAMILY_IPV4 : FAMILY_IPV6;
	return len < MP_VALUE + 4 + *n ? 0 : MP_VALUE + 4;
}

bool
bgp_patch_next_hop(uint8_t *msg, size_t len, const struct bgp_next_hop *nh)
{
	size_t n = 0, at;
	enum family f = FAMILY_IPV4;
	const struct ip *first = nh->has_global ? &nh->global : &nh->link_local;
	bool v6 = (nh->has_global || nh->has_link_local) && first->family == FAMILY_IPV6;

	at = bgp_next_hop_slot(msg, len, &n, &f);
	if (!at)
		return true;
	if (n == 4 ? !nh->has_global || v6 : !v6 || (n == 32 && !nh->has_link_local))
		return false;
	memcpy(msg + at, first->b, n == 4 ? 4 : 16);
	if (n == 32)
		memcpy(msg + at + 16, nh->link_local.b, 16);
	return true;
}
