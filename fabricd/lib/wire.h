/*
 * fabricd/lib/wire.h -- bounded cursors over outside bytes: rd reads, wr writes
 *
 * All reading of the wire goes through struct rd. An attempt to read past the end sets `bad`,
 * which stays set; reads then give 0 or NULL. A decoder reads on and tests `bad` once, at its end.
 * rd_sub() splits a nested length off as a cursor that cannot see past it.
 * All writing goes through struct wr: past the end it sets `full`, and writes nothing more.
 * Integers are big-endian.
 */
#ifndef FABRICD_LIB_WIRE_H
#define FABRICD_LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct rd
rd_make(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	return (struct rd){ .at = p, .end = n ? p + n : p };
}

static inline size_t
rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->at);
}

static inline bool
rd_done(const struct rd *r)
{
	return r->bad || r->at == r->end;
}

/* The next n bytes, or NULL. */
static inline const uint8_t *
rd_take(struct rd *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || (size_t)(r->end - p) < n) {
		r->bad = true;
		return NULL;
	}
	if (n)
		r->at += n;
	return p;
}

static inline uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p ? p[0] : 0;
}

static inline uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t
rd_u32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t high = rd_u32(r);

	return high << 32 | rd_u32(r);
}

/* Copies n bytes to out; zeroes when the bytes are not there. */
static inline void
rd_bytes(struct rd *r, void *out, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	if (n == 0)
		return;
	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

/* A cursor over the next n bytes; an empty bad one when they are not there. */
static inline struct rd
rd_sub(struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	if (r->bad)
		return (struct rd){ .at = r->at, .end = r->at, .bad = true };
	return (struct rd){ .at = p, .end = n ? p + n : p };
}

struct wr {
	uint8_t *start, *at, *end;
	bool full;
};

static inline struct wr
wr_make(void *bytes, size_t n)
{
	uint8_t *p = bytes;

	return (struct wr){ .start = p, .at = p, .end = n ? p + n : p };
}

static inline size_t
wr_len(const struct wr *w)
{
	return (size_t)(w->at - w->start);
}

static inline size_t
wr_room(const struct wr *w)
{
	return w->full ? 0 : (size_t)(w->end - w->at);
}

/* Room for n bytes that the caller fills, or NULL. */
static inline uint8_t *
wr_take(struct wr *w, size_t n)
{
	uint8_t *p = w->at;

	if (w->full || (size_t)(w->end - p) < n) {
		w->full = true;
		return NULL;
	}
	if (n)
		w->at += n;
	return p;
}

static inline void
wr_bytes(struct wr *w, const void *bytes, size_t n)
{
	uint8_t *p = wr_take(w, n);

	if (p && n)
		memcpy(p, bytes, n);
}

static inline void
wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_take(w, 1);

	if (p)
		p[0] = v;
}

static inline void
put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline void
put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)(v >> 32));
	put_u32(p + 4, (uint32_t)v);
}

static inline uint16_t
get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_take(w, 2);

	if (p)
		put_u16(p, v);
}

static inline void
wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_take(w, 4);

	if (p)
		put_u32(p, v);
}

#endif
