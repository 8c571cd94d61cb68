/*
 * tests/bench/bgpload_sink.c -- UPDATEs that arrive: which prefixes a sink holds
 *
 * Bitmaps for what the load itself may announce, a hash table for the rest; nothing is looked at but the first AS, the
 * presence of a next hop and the prefixes. Private space is none of the load and does not count.
 */
#include "bgpload.h"

/* ---- what a sink holds ---- */

static void
keys_grow(struct set *t)
{
	struct key *old = t->keys;
	size_t cap = t->cap;

	t->cap = cap ? cap * 2 : 1024;
	t->keys = take(calloc(t->cap, sizeof(*t->keys)));
	t->nkeys = 0;
	for (size_t i = 0; i < cap; i++)
		if (old[i].lo && !(old[i].lo >> 63)) {
			size_t at = mix(old[i].hi ^ old[i].lo << 56) & (t->cap - 1);

			while (t->keys[at].lo)
				at = (at + 1) & (t->cap - 1);
			t->keys[at] = old[i];
			t->nkeys++;
		}
	free(old);
}

static void
key_change(struct set *t, uint64_t hi, uint64_t lo, bool add)
{
	size_t at, gone = SIZE_MAX;

	if (t->nkeys * 2 >= t->cap)
		keys_grow(t);
	for (at = mix(hi ^ lo << 56) & (t->cap - 1); t->keys[at].lo; at = (at + 1) & (t->cap - 1)) {
		if (t->keys[at].hi == hi && t->keys[at].lo == lo) {
			if (!add) {
				t->keys[at].lo = 1ULL << 63;
				t->present--;
			}
			return;
		}
		if (t->keys[at].lo >> 63 && gone == SIZE_MAX)
			gone = at;
	}
	if (!add)
		return;
	if (gone == SIZE_MAX)
		t->nkeys++;
	t->keys[gone == SIZE_MAX ? at : gone] = (struct key){ hi, lo };
	t->present++;
}

static void
bit_change(struct set *t, uint64_t **map, unsigned int log2, uint32_t bit, bool add)
{
	uint64_t *word, mask = 1ULL << (bit & 63);

	if (!*map)
		*map = take(calloc(((size_t)1 << log2) / 64 + 1, 8));
	word = &(*map)[bit >> 6];
	if (add && !(*word & mask))
		t->present++;
	if (!add && (*word & mask))
		t->present--;
	*word = add ? *word | mask : *word & ~mask;
}

static void
set_change(struct set *t, unsigned int family, unsigned int len, const uint8_t *p, bool add)
{
	uint8_t a[16] = { 0 };
	uint64_t hi;

	memcpy(a, p, (len + 7) / 8);
	if (family == V4) {
		uint32_t v = (uint32_t)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];

		if (a[0] == 10 || (v >> 20) == 0xac1 || (v >> 16) == 0xc0a8)
			return;
		if (len && len <= 24)
			bit_change(t, &t->bits[len], len, v >> (32 - len), add);
		else
			key_change(t, v, 0x100 | len, add);
		return;
	}
	if (a[0] == 0xfd)
		return;
	hi = 0;
	for (int i = 0; i < 8; i++)
		hi = hi << 8 | a[i];
	if (len == 64 && hi >> 32 == 0x2a100000 && !(hi & 0xff000000))
		bit_change(t, &t->bits6, 24, hi & 0xffffff, add);
	else
		key_change(t, hi, 0x200 | len, add);
}

/* False: the bytes do not end at the end of a prefix. */
static bool
sink_prefixes(struct session *s, unsigned int family, const uint8_t *p, const uint8_t *end, bool add)
{
	while (p < end) {
		unsigned int len = *p++, n = (len + 7) / 8;

		if (len > (family == V6 ? 128 : 32) || p + n > end)
			return false;
		set_change(&s->set, family, len, p, add);
		if (add)
			s->announced++;
		else
			s->withdrawn++;
		p += n;
	}
	return true;
}

static bool
sink_attr(struct session *s, unsigned int type, const uint8_t *p, size_t n, bool *path, bool *hop)
{
	if (type == 2 && n >= 6) {
		uint32_t as = (uint32_t)p[2] << 24 | p[3] << 16 | p[4] << 8 | p[5];

		*path = p[0] == 2 && as == s->remote_as;
	} else if (type == 3) {
		*hop = n == 4;
	} else if (type == 14 && n >= 5) {
		unsigned int family = p[1] == 2 ? V6 : V4, skip = 4 + p[3] + 1;

		*hop = p[3] == 16 || p[3] == 32 || p[3] == 4;
		return skip <= n && sink_prefixes(s, family, p + skip, p + n, true);
	} else if (type == 15 && n >= 3) {
		return sink_prefixes(s, p[1] == 2 ? V6 : V4, p + 3, p + n, false);
	}
	return true;
}

bool
sink_update(struct session *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n, *attrs_end;
	bool path = false, hop = false, good = true;
	uint64_t before = s->announced;
	size_t w, al;

	if (n < 4)
		return false;
	w = p[0] << 8 | p[1];
	if (2 + w + 2 > n || !sink_prefixes(s, V4, p + 2, p + 2 + w, false))
		return false;
	p += 2 + w;
	al = p[0] << 8 | p[1];
	p += 2;
	if (p + al > end)
		return false;
	for (attrs_end = p + al; good && attrs_end - p >= 3;) {
		unsigned int flags = p[0], type = p[1];
		size_t len = p[2];

		p += 3;
		if (flags & 0x10) {
			if (p >= attrs_end)
				return false;
			len = len << 8 | *p++;
		}
		if ((size_t)(attrs_end - p) < len)
			return false;
		good = sink_attr(s, type, p, len, &path, &hop);
		p += len;
	}
	if (!good || p != attrs_end || !sink_prefixes(s, V4, p, end, true))
		return false;
	if (s->announced != before && (!path || !hop))
		s->bad++;
	return true;
}
