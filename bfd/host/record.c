/*
 * bfd/host/record.c -- sessions as bytes for the next bfdd
 *
 *   header: "bfdstate", version, bytes of a slot, seed, boot, namespace, tag, checksum, time
 *   half:   generation (0: never written), length (0: free), checksum, record
 *   record: path, port's name, parameters and keys, then struct bfd_saved, each number big-endian
 *
 * Always true: what is read has been checked for length and range; whether its values make a session, the engine says.
 * What stands in it means the same to every version of bfdd that reads BFD_IMAGE_VERSION: nothing that a session is found
 * by is computed anew, and the checksum (XXH3 of 64 bits) has values that its specification fixes.
 * Keys stand in it, so the file is for its owner alone.
 */
#include "bfd/host/record.h"

#include <errno.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"

#define HALF_HEAD 20 /* generation, length, checksum */
#define CHECKED   48 /* of the header; its checksum and the time follow */

static const char magic[8] = { 'b', 'f', 'd', 's', 't', 'a', 't', 'e' };

static void
write_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

/* ---- header ---- */

void
bfd_image_begin(const struct bfd_image_header *h, uint8_t *to)
{
	memcpy(to, magic, sizeof(magic));
	put_u32(to + 8, BFD_IMAGE_VERSION);
	put_u32(to + 12, BFD_SLOT_BYTES);
	put_u64(to + 16, h->seed);
	put_u64(to + 24, h->id.boot);
	put_u64(to + 32, h->id.space);
	put_u64(to + 40, h->tag);
	put_u64(to + CHECKED, hash_bytes(BFD_IMAGE_VERSION, to, CHECKED));
	bfd_image_alive(to, h->alive_us);
}

void
bfd_image_alive(uint8_t *header, int64_t us)
{
	put_u64(header + CHECKED + 8, (uint64_t)us);
}

int
bfd_image_header(const uint8_t *bytes, size_t n, const struct bfd_image_id *id, struct bfd_image_header *out)
{
	struct rd r = rd_make(bytes, n);
	const uint8_t *word = rd_take(&r, sizeof(magic));
	uint32_t version = rd_u32(&r), slot = rd_u32(&r);
	uint64_t sum;

	out->seed = rd_u64(&r);
	out->id.boot = rd_u64(&r);
	out->id.space = rd_u64(&r);
	out->tag = (uint16_t)rd_u64(&r);
	sum = rd_u64(&r);
	out->alive_us = (int64_t)rd_u64(&r);
	if (r.bad || memcmp(word, magic, sizeof(magic)) != 0)
		return -EPROTO;
	if (version != BFD_IMAGE_VERSION || slot != BFD_SLOT_BYTES)
		return -EPROTONOSUPPORT;
	if (sum != hash_bytes(BFD_IMAGE_VERSION, bytes, CHECKED))
		return -EPROTO;
	return out->id.boot == id->boot && out->id.space == id->space ? 0 : -ESTALE;
}

/* ---- one record ---- */

static void
put_ip(struct wr *w, const struct ip *a)
{
	wr_u8(w, a->family);
	wr_bytes(w, a->b, sizeof(a->b));
}

static struct ip
take_ip(struct rd *r)
{
	uint8_t family = rd_u8(r);
	const uint8_t *b = rd_take(r, 16);

	if (!b || family >= FAMILIES) {
		r->bad = true;
		return (struct ip){ 0 };
	}
	return family == FAMILY_IPV4 ? ip_v4(get_u32(b)) : ip_v6(b);
}

static void
put_params(struct wr *w, const struct bfd_params *p)
{
	wr_u32(w, p->min_tx_us);
	wr_u32(w, p->min_rx_us);
	wr_u8(w, p->multiplier);
	wr_u8(w, (uint8_t)((p->passive ? 1 : 0) | (p->admin_down ? 2 : 0) | (p->independent ? 4 : 0)));
	wr_u32(w, p->echo_us);
	wr_u32(w, p->echo_rx_us);
	wr_u8(w, p->min_hops);
	wr_u8(w, p->auth.type);
	wr_u8(w, p->auth.nkeys);
	for (int i = 0; i < BFD_KEYS; i++) {
		wr_u8(w, p->auth.keys[i].id);
		wr_u8(w, p->auth.keys[i].len);
		wr_bytes(w, p->auth.keys[i].bytes, BFD_KEY_MAX);
	}
}

static void
take_params(struct rd *r, struct bfd_params *p)
{
	uint8_t flags;

	p->min_tx_us = rd_u32(r);
	p->min_rx_us = rd_u32(r);
	p->multiplier = rd_u8(r);
	flags = rd_u8(r);
	p->passive = flags & 1;
	p->admin_down = flags & 2;
	p->independent = flags & 4;
	p->echo_us = rd_u32(r);
	p->echo_rx_us = rd_u32(r);
	p->min_hops = rd_u8(r);
	p->auth.type = rd_u8(r);
	p->auth.nkeys = rd_u8(r);
	for (int i = 0; i < BFD_KEYS; i++) {
		const uint8_t *b;

		p->auth.keys[i].id = rd_u8(r);
		p->auth.keys[i].len = rd_u8(r);
		b = rd_take(r, BFD_KEY_MAX);
		if (b)
			memcpy(p->auth.keys[i].bytes, b, BFD_KEY_MAX);
	}
	/* bfd_auth_valid() looks at the rest. */
	if (p->auth.nkeys > BFD_KEYS)
		r->bad = true;
}

static void
put_saved(struct wr *w, const struct bfd_saved *s)
{
	const uint32_t words[] = { s->local_discr, s->remote_discr, s->desired_tx, s->required_rx, s->tx_in_use,
		s->rx_in_use, s->remote_min_rx, s->remote_desired_tx, s->remote_min_echo, s->auth.sent,
		s->auth.received };
	const uint8_t small[] = { s->state, s->remote_state, s->diag, s->remote_diag, s->down_diag,
		s->remote_multiplier,
		(uint8_t)((s->auth.known ? 1 : 0) | (s->remote_demand ? 2 : 0) | (s->remote_independent ? 4 : 0) |
			  (s->polling ? 8 : 0) | (s->poll_again ? 16 : 0) | (s->unsolicited ? 32 : 0)) };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		wr_u32(w, words[i]);
	wr_bytes(w, small, sizeof(small));
	write_u64(w, s->flaps);
	write_u64(w, (uint64_t)s->since.us);
	write_u64(w, (uint64_t)s->down_at.us);
}

static void
take_saved(struct rd *r, struct bfd_saved *s)
{
	uint32_t *const words[] = { &s->local_discr, &s->remote_discr, &s->desired_tx, &s->required_rx, &s->tx_in_use,
		&s->rx_in_use, &s->remote_min_rx, &s->remote_desired_tx, &s->remote_min_echo, &s->auth.sent,
		&s->auth.received };
	uint8_t *const small[] = { &s->state, &s->remote_state, &s->diag, &s->remote_diag, &s->down_diag,
		&s->remote_multiplier };
	uint8_t flags;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		*words[i] = rd_u32(r);
	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		*small[i] = rd_u8(r);
	flags = rd_u8(r);
	s->auth.known = flags & 1;
	s->remote_demand = flags & 2;
	s->remote_independent = flags & 4;
	s->polling = flags & 8;
	s->poll_again = flags & 16;
	s->unsolicited = flags & 32;
	s->flaps = rd_u64(r);
	s->since.us = (int64_t)rd_u64(r);
	s->down_at.us = (int64_t)rd_u64(r);
}

size_t
bfd_record_encode(const struct bfd_record *rec, uint8_t *buf, size_t room)
{
	struct wr w = wr_make(buf, room);

	wr_u32(&w, rec->path.ifindex);
	wr_u8(&w, rec->path.multihop);
	put_ip(&w, &rec->path.local);
	put_ip(&w, &rec->path.peer);
	wr_bytes(&w, rec->port, sizeof(rec->port));
	wr_u16(&w, rec->source);
	put_params(&w, &rec->params);
	put_saved(&w, &rec->saved);
	return w.full ? 0 : wr_len(&w);
}

bool
bfd_record_decode(struct rd r, struct bfd_record *out)
{
	const uint8_t *name;

	memset(out, 0, sizeof(*out));
	out->path.ifindex = rd_u32(&r);
	out->path.multihop = rd_u8(&r) != 0;
	out->path.local = take_ip(&r);
	out->path.peer = take_ip(&r);
	name = rd_take(&r, sizeof(out->port));
	if (name)
		memcpy(out->port, name, sizeof(out->port) - 1);
	out->source = rd_u16(&r);
	take_params(&r, &out->params);
	take_saved(&r, &out->saved);
	return !r.bad && rd_left(&r) == 0;
}

/* ---- slots ---- */

struct half {
	uint64_t generation;
	struct rd body;
};

/* The checksum covers the slot's number, so that a slot in a wrong place is not taken for another. */
static uint64_t
half_sum(uint32_t number, const uint8_t *half, size_t len)
{
	return hash_bytes(hash_bytes(number, half, 12), half + HALF_HEAD, len);
}

/* 1: whole, 0: never written, -1: damaged. */
static int
half_read(struct rd *slot, uint32_t number, struct half *out)
{
	const uint8_t *at = rd_take(slot, BFD_HALF_BYTES);
	struct rd r = rd_make(at, at ? BFD_HALF_BYTES : 0);
	uint32_t len;
	uint64_t sum;

	out->generation = rd_u64(&r);
	len = rd_u32(&r);
	sum = rd_u64(&r);
	out->body = rd_sub(&r, len);
	if (!at || r.bad)
		return -1;
	if (!out->generation && !len && !sum)
		return 0;
	return sum == half_sum(number, at, len) ? 1 : -1;
}

void
bfd_image_put(uint8_t *slot, uint32_t number, const struct bfd_record *rec)
{
	struct rd r = rd_make(slot, BFD_SLOT_BYTES);
	struct half half[2];
	int whole[2];
	unsigned int to;
	uint64_t generation;
	uint8_t *at;
	size_t len;

	for (int i = 0; i < 2; i++)
		whole[i] = half_read(&r, number, &half[i]);
	to = whole[0] == 1 && (whole[1] != 1 || half[1].generation < half[0].generation);
	generation = whole[!to] == 1 ? half[!to].generation + 1 : 1;
	at = slot + to * BFD_HALF_BYTES;
	len = rec ? bfd_record_encode(rec, at + HALF_HEAD, BFD_HALF_BYTES - HALF_HEAD) : 0;
	put_u64(at, generation);
	put_u32(at + 8, (uint32_t)len);
	put_u64(at + 12, half_sum(number, at, len));
}

void
bfd_image_read(const uint8_t *bytes, size_t n, void (*fn)(void *arg, uint32_t number, const struct bfd_record *),
    void *arg, struct bfd_image_found *found)
{
	struct rd r = rd_make(bytes, n);
	uint32_t number = 0;

	*found = (struct bfd_image_found){ 0 };
	rd_take(&r, BFD_IMAGE_HEADER);
	for (; !r.bad && rd_left(&r) >= BFD_SLOT_BYTES; number++) {
		struct half half[2];
		struct bfd_record rec;
		int whole[2], best = -1;

		for (int i = 0; i < 2; i++) {
			whole[i] = half_read(&r, number, &half[i]);
			if (whole[i] == 1 && (best < 0 || half[i].generation > half[best].generation))
				best = i;
		}
		if (best >= 0 && rd_left(&half[best].body) == 0)
			continue;
		if (best >= 0 && bfd_record_decode(half[best].body, &rec)) {
			found->sessions++;
			fn(arg, number, &rec);
		} else if (best >= 0 || whole[0] < 0 || whole[1] < 0) {
			found->damaged++;
		}
	}
}
