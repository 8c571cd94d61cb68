/* bfd/auth.c -- keyed and meticulous keyed SHA1 (RFC 5880 6.7.4), and SHA1 itself (FIPS 180-4) */
#include "bfd/auth.h"

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

/* ---- SHA1 ---- */

#define BLOCK  64 /* octets */
#define LENGTH 8  /* of the message's length in bits, at the end of the last block */

static uint32_t
rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void
sha1_block(uint32_t h[5], const uint8_t block[BLOCK])
{
	static const uint32_t k[] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++)
		w[i] = get_u32(block + 4 * i);
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, t;

		if (i < 20)
			f = (b & c) | (~b & d);
		else if (i < 40 || i >= 60)
			f = b ^ c ^ d;
		else
			f = (b & c) | (b & d) | (c & d);
		t = rotate(a, 5) + f + e + k[i / 20] + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void
bfd_sha1(const uint8_t *bytes, size_t n, uint8_t out[20])
{
	uint32_t h[] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint8_t last[2 * BLOCK];
	size_t rest = n % BLOCK, tail = rest + LENGTH < BLOCK ? BLOCK : 2 * BLOCK;

	for (size_t at = 0; at + BLOCK <= n; at += BLOCK)
		sha1_block(h, bytes + at);
	memset(last, 0, sizeof(last));
	if (rest)
		memcpy(last, bytes + n - rest, rest);
	last[rest] = 0x80;
	put_u64(last + tail - LENGTH, (uint64_t)n * 8);
	for (size_t at = 0; at < tail; at += BLOCK)
		sha1_block(h, last + at);
	for (int i = 0; i < 5; i++)
		put_u32(out + 4 * i, h[i]);
}

/* ---- the authentication section ---- */

bool
bfd_auth_valid(const struct bfd_auth *a)
{
	if (a->type == BFD_AUTH_NONE)
		return a->nkeys == 0;
	if ((a->type != BFD_AUTH_SHA1 && a->type != BFD_AUTH_SHA1_METICULOUS) || !a->nkeys || a->nkeys > BFD_KEYS)
		return false;
	for (int i = 0; i < a->nkeys; i++)
		if (!a->keys[i].len || a->keys[i].len > BFD_KEY_MAX)
			return false;
	return true;
}

/* The digest over the packet with the key, padded with zeros, in the place of the digest. */
static void
digest(const struct bfd_key *key, const uint8_t *packet, uint8_t out[20])
{
	uint8_t copy[BFD_PACKET_MIN + BFD_AUTH_LEN];

	memcpy(copy, packet, sizeof(copy) - 20);
	memset(copy + sizeof(copy) - 20, 0, 20);
	memcpy(copy + sizeof(copy) - 20, key->bytes, key->len);
	bfd_sha1(copy, sizeof(copy), out);
}

void
bfd_auth_sign(const struct bfd_auth *a, struct bfd_auth_state *s, uint8_t *packet)
{
	uint8_t *section = packet + BFD_PACKET_MIN;

	/* Meticulous must count each packet, keyed may. */
	s->sent++;
	section[0] = a->type;
	section[1] = BFD_AUTH_LEN;
	section[2] = a->keys[0].id;
	section[3] = 0;
	put_u32(section + 4, s->sent);
	digest(&a->keys[0], packet, section + 8);
}

static const struct bfd_key *
key_find(const struct bfd_auth *a, uint8_t id)
{
	for (int i = 0; i < a->nkeys; i++)
		if (a->keys[i].id == id)
			return &a->keys[i];
	return NULL;
}

/* In constant time: how much of a digest is right must not be told by how long the answer takes. */
static bool
same(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}

enum bfd_drop
bfd_auth_check(const struct bfd_auth *a, struct bfd_auth_state *s, uint8_t multiplier, const struct bfd_packet *p,
    const uint8_t *bytes)
{
	struct rd r = rd_make(p->auth, p->auth_len);
	uint8_t type = rd_u8(&r), len = rd_u8(&r), id = rd_u8(&r), want[20];
	const struct bfd_key *key;
	const uint8_t *got;
	uint32_t seq, ahead;

	rd_u8(&r);
	seq = rd_u32(&r);
	got = rd_take(&r, sizeof(want));
	if (r.bad || type != a->type || len != BFD_AUTH_LEN || p->auth_len != BFD_AUTH_LEN)
		return BFD_DROP_AUTH_TYPE;
	key = key_find(a, id);
	if (!key)
		return BFD_DROP_AUTH_KEY_ID;
	ahead = seq - s->received; /* circular */
	if (s->known && (ahead > 3u * multiplier || (ahead == 0 && type == BFD_AUTH_SHA1_METICULOUS)))
		return BFD_DROP_AUTH_SEQUENCE;
	digest(key, bytes, want);
	if (!same(want, got, sizeof(want)))
		return BFD_DROP_AUTH_DIGEST;
	s->known = true;
	s->received = seq;
	return BFD_TAKEN;
}
