/*
 * fabricd/rib/table.h -- the prefixes of one table and one family, compactly: a slab of entries and a hash of them
 *
 * An entry is known by its index, which stays while the entry lives. Entries of IPv4 are shorter than those of IPv6;
 * both begin with struct rib_entry. The hash consists of many small tables, each of which grows by itself: so no
 * insertion has to move more than a small part of all prefixes.
 */
#ifndef FABRICD_RIB_TABLE_H
#define FABRICD_RIB_TABLE_H

#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"

enum rib_entry_flag {
	ENTRY_USED = 1 << 0,
	ENTRY_DIRTY = 1 << 1,
	ENTRY_INSTALLED = 1 << 2, /* the FIB has proved its route */
	ENTRY_FAILED = 1 << 3,
	ENTRY_WITNESS = 1 << 4, /* speaks for all of its fate (cut.c); also in `witnesses` */
};

struct rib_entry {
	uint32_t list; /* all of its paths */
	uint32_t fib;  /* the hop set on whose group its route is, 0: no route */
	uint32_t told; /* what the exporter was told last */
	uint8_t flags;
	uint8_t len;
	uint16_t spare;
	uint8_t addr[]; /* 4 or 16 bytes */
};

#define RIB_NO_ENTRY UINT32_MAX
#define RIB_CHUNK    4096
#define RIB_PREFETCH 32
#define RIB_PARTS    256

struct rib_table {
	struct mem *mem;
	uint64_t seed;
	uint32_t id;
	enum family family;
	uint8_t **chunks;
	size_t nchunks, cap_chunks;
	uint32_t limit;     /* entries given out so far */
	uint32_t free_head; /* index + 1 of a free entry, chained by its `list` */
	struct rib_part {   /* one of the small hash tables: the one that the high bits of the hash say */
		struct rib_slot {
			uint32_t hash, entry; /* entry + 1, 0: empty */
		} * slots;
		uint32_t size, used; /* size: a power of two, or 0 */
	} parts[RIB_PARTS];
	uint32_t count;
	uint32_t by_len[129];
	uint32_t *dirty, *run;
	size_t ndirty, cap_dirty, nrun, cap_run;
	uint64_t *witnesses; /* a bit for each entry, as far as there are any */
	size_t nwitnesses;   /* words */
	uint64_t moved;      /* slots that growth has moved, since the beginning */
};

void rib_table_init(struct rib_table *, struct mem *, uint64_t seed, uint32_t id, enum family);
void rib_table_done(struct rib_table *);
uint32_t rib_table_find(const struct rib_table *, const struct prefix *); /* or RIB_NO_ENTRY */
uint32_t rib_table_insert(struct rib_table *, const struct prefix *);     /* finds it, too */
void rib_table_remove(struct rib_table *, uint32_t entry);
/* Brings what a look-up of these prefixes will touch into the cache: worth it for a dozen or two at a time. */
void rib_table_prefetch(const struct rib_table *, const struct prefix *, size_t n);
void rib_table_prefetch_slots(const struct rib_table *, const struct prefix *, size_t n); /* the first half of it */
void rib_table_prefetch_removal(const struct rib_table *, uint32_t entry);
void rib_table_prefix(const struct rib_table *, uint32_t entry, struct prefix *);
void rib_table_mark_dirty(struct rib_table *, uint32_t entry);
void rib_table_mark_witness(struct rib_table *, uint32_t entry);
/* The first witness at or behind *at, which goes behind it; RIB_NO_ENTRY: no more. */
uint32_t rib_table_next_witness(const struct rib_table *, uint32_t *at);

static inline size_t
rib_table_stride(const struct rib_table *t)
{
	return sizeof(struct rib_entry) + family_bytes(t->family);
}

static inline struct rib_entry *
rib_table_entry(const struct rib_table *t, uint32_t entry)
{
	return (struct rib_entry *)(void *)(t->chunks[entry / RIB_CHUNK] + entry % RIB_CHUNK * rib_table_stride(t));
}

#endif
