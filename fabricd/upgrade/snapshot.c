/* fabricd/upgrade/snapshot.c -- see snapshot.h */
#include "fabricd/upgrade/snapshot.h"

#include <stdio.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"

#define CHECKED 32 /* what the checksum begins behind */

static const uint8_t magic[8] = "fabricd";

/* ---- writing ---- */

/* n bytes that the caller fills at once. */
static uint8_t *
snapshot_room(struct snapshot *s, size_t n)
{
	uint8_t *p;

	s->bytes = mem_grow(s->mem, MEM_OTHER, s->bytes, &s->cap, s->n + n, 1);
	p = s->bytes + s->n;
	s->n += n;
	return p;
}

void
snapshot_begin(struct snapshot *s, struct mem *mem)
{
	*s = (struct snapshot){ .mem = mem };
	memset(snapshot_room(s, SNAPSHOT_HEAD), 0, SNAPSHOT_HEAD);
}

static void
close_section(struct snapshot *s)
{
	uint64_t len = s->n - s->section - 8;

	if (!s->section)
		return;
	put_u16(s->bytes + s->section + 2, (uint16_t)(len >> 32));
	put_u32(s->bytes + s->section + 4, (uint32_t)len);
	s->section = 0;
}

void
snapshot_section(struct snapshot *s, enum snapshot_kind kind)
{
	uint8_t *head;

	close_section(s);
	s->section = s->n;
	s->sections++;
	head = snapshot_room(s, 8);
	memset(head, 0, 8);
	put_u16(head, (uint16_t)kind);
}

void
snapshot_end(struct snapshot *s)
{
	uint8_t *p;

	close_section(s);
	p = s->bytes;
	memcpy(p, magic, sizeof(magic));
	put_u16(p + 8, SNAPSHOT_FORMAT);
	put_u32(p + 12, s->sections);
	put_u64(p + 16, s->n);
	put_u64(p + 24, hash_bytes(0, p + CHECKED, s->n - CHECKED));
}

void
snapshot_free(struct snapshot *s)
{
	mem_free(s->mem, MEM_OTHER, s->bytes);
	*s = (struct snapshot){ .mem = s->mem };
}

void
snapshot_u8(struct snapshot *s, uint8_t v)
{
	*snapshot_room(s, 1) = v;
}

void
snapshot_u16(struct snapshot *s, uint16_t v)
{
	put_u16(snapshot_room(s, 2), v);
}

void
snapshot_u32(struct snapshot *s, uint32_t v)
{
	put_u32(snapshot_room(s, 4), v);
}

void
snapshot_u64(struct snapshot *s, uint64_t v)
{
	put_u64(snapshot_room(s, 8), v);
}

void
snapshot_bytes(struct snapshot *s, const void *bytes, size_t n)
{
	if (n)
		memcpy(snapshot_room(s, n), bytes, n);
}

void
snapshot_text(struct snapshot *s, const char *text)
{
	size_t n = strlen(text);

	n = MIN_OF(n, (size_t)UINT16_MAX);
	snapshot_u16(s, (uint16_t)n);
	snapshot_bytes(s, text, n);
}

void
snapshot_ip(struct snapshot *s, const struct ip *a)
{
	snapshot_u8(s, a->family);
	snapshot_bytes(s, a->b, sizeof(a->b));
}

void
snapshot_prefix(struct snapshot *s, const struct prefix *p)
{
	snapshot_u8(s, p->len);
	snapshot_bytes(s, p->b, (p->len + 7u) / 8);
}

/* ---- reading ---- */

bool
snapshot_open(const void *bytes, size_t n, struct rd *sections, char *err, size_t errlen)
{
	struct rd r = rd_make(bytes, n);
	const uint8_t *mark = rd_take(&r, sizeof(magic));
	uint16_t format = rd_u16(&r), zero = rd_u16(&r);
	uint32_t count;
	uint64_t len, sum;

	count = rd_u32(&r);
	len = rd_u64(&r);
	sum = rd_u64(&r);
	*sections = (struct rd){ .bad = true };
	if (r.bad || zero || memcmp(mark, magic, sizeof(magic)) != 0) {
		snprintf(err, errlen, "the snapshot is none of fabricd's");
		return false;
	}
	if (format != SNAPSHOT_FORMAT) {
		snprintf(err, errlen, "the snapshot has format %u, this fabricd reads format %u", format,
		    (unsigned int)SNAPSHOT_FORMAT);
		return false;
	}
	if (len != n) {
		snprintf(err, errlen, "the snapshot has %zu bytes instead of %llu", n, (unsigned long long)len);
		return false;
	}
	if (hash_bytes(0, r.at, rd_left(&r)) != sum) {
		snprintf(err, errlen, "the snapshot is damaged: its checksum is wrong");
		return false;
	}
	*sections = r;
	for (struct rd walk = r, one; !rd_done(&walk) || walk.bad; count--) {
		unsigned int kind;

		if (!count || !snapshot_next(&walk, &kind, &one)) {
			snprintf(err, errlen, "the snapshot is damaged: its sections do not add up");
			sections->bad = true;
			return false;
		}
	}
	if (count) {
		snprintf(err, errlen, "the snapshot is damaged: %u sections are missing", count);
		sections->bad = true;
	}
	return !count;
}

bool
snapshot_next(struct rd *sections, unsigned int *kind, struct rd *section)
{
	uint64_t len;

	if (rd_done(sections))
		return false;
	*kind = rd_u16(sections);
	len = (uint64_t)rd_u16(sections) << 32;
	len |= rd_u32(sections);
	*section = rd_sub(sections, (size_t)MIN_OF(len, (uint64_t)SIZE_MAX));
	return !sections->bad;
}

char *
snapshot_get_text(struct rd *r, char *buf, size_t size)
{
	size_t n = rd_u16(r);

	if (n >= size) {
		r->bad = true;
		n = 0;
	}
	rd_bytes(r, buf, n);
	buf[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			r->bad = true;
	return buf;
}

void
snapshot_get_ip(struct rd *r, struct ip *a)
{
	memset(a, 0, sizeof(*a));
	a->family = rd_u8(r);
	rd_bytes(r, a->b, sizeof(a->b));
	if (a->family < FAMILIES)
		return;
	r->bad = true;
	a->family = FAMILY_IPV4;
}

void
snapshot_get_prefix(struct rd *r, enum family family, struct prefix *p)
{
	struct prefix masked;
	struct ip a;

	memset(p, 0, sizeof(*p));
	p->family = (uint8_t)family;
	p->len = rd_u8(r);
	if (p->len > family_bits(family)) {
		r->bad = true;
		p->len = 0;
	}
	rd_bytes(r, p->b, (p->len + 7u) / 8);
	a = prefix_addr(p);
	masked = prefix_of(&a, p->len);
	if (!prefix_equal(&masked, p)) {
		r->bad = true;
		*p = masked;
	}
}
