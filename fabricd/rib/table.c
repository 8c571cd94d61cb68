/* fabricd/rib/table.c -- see table.h; parts of open addressing with linear probing, removal by shifting back */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/table.h"

#define FIRST_SLOTS 4 /* of a part */

void
rib_table_init(struct rib_table *t, struct mem *mem, uint64_t seed, uint32_t id, enum family family)
{
	*t = (struct rib_table){ .mem = mem, .seed = seed, .id = id, .family = family };
}

void
rib_table_done(struct rib_table *t)
{
	for (size_t i = 0; i < t->nchunks; i++)
		mem_free(t->mem, MEM_PREFIX, t->chunks[i]);
	mem_free(t->mem, MEM_PREFIX, t->chunks);
	for (size_t i = 0; i < RIB_PARTS; i++)
		mem_free(t->mem, MEM_PREFIX, t->parts[i].slots);
	mem_free(t->mem, MEM_PREFIX, t->dirty);
	mem_free(t->mem, MEM_PREFIX, t->run);
	mem_free(t->mem, MEM_PREFIX, t->witnesses);
}

static uint32_t
hash_of(const struct rib_table *t, const uint8_t *addr, uint8_t len)
{
	uint64_t a, b;

	if (t->family == FAMILY_IPV4) {
		uint32_t v;

		memcpy(&v, addr, 4);
		return (uint32_t)hash_u64(t->seed, (uint64_t)v << 8 | len);
	}
	memcpy(&a, addr, 8);
	memcpy(&b, addr + 8, 8);
	return (uint32_t)hash_u64(hash_u64(t->seed + len, a), b);
}

static bool
is_entry(const struct rib_table *t, uint32_t entry, const struct prefix *p)
{
	const struct rib_entry *e = rib_table_entry(t, entry);

	return e->len == p->len && memcmp(e->addr, p->b, family_bytes(t->family)) == 0;
}

static uint32_t
part_of(uint32_t hash)
{
	return hash >> 24;
}

/* Where this hash belongs in the part; of a place: the same, or the first one behind the last. */
static uint32_t
home_of(const struct rib_part *part, uint32_t hash)
{
	return hash & (part->size - 1);
}

/* The slot of the prefix, or the empty one where it belongs; NULL: the part has no slots yet. */
static struct rib_slot *
slot_of(const struct rib_table *t, const struct prefix *p, uint32_t hash)
{
	const struct rib_part *part = &t->parts[part_of(hash)];

	if (!part->size)
		return NULL;
	for (uint32_t i = home_of(part, hash);; i = home_of(part, i + 1)) {
		struct rib_slot *s = &part->slots[i];

		if (s->entry == 0 || (s->hash == hash && is_entry(t, s->entry - 1, p)))
			return s;
	}
}

/*
 * The slot where the prefix may be, to be fetched; NULL: the part has no slots yet. The hint itself is the callers': a
 * function that gives nothing but a hint is pure in the eyes of the compiler, which leaves out calls of it.
 */
static const struct rib_slot *
first_slot(const struct rib_table *t, const uint8_t *addr, uint8_t len)
{
	uint32_t hash = hash_of(t, addr, len);
	const struct rib_part *part = &t->parts[part_of(hash)];

	return part->size ? &part->slots[home_of(part, hash)] : NULL;
}

void
rib_table_prefetch(const struct rib_table *t, const struct prefix *p, size_t n)
{
	const struct rib_slot *slots[RIB_PREFETCH];

	n = MIN_OF(n, (size_t)RIB_PREFETCH);
	for (size_t i = 0; i < n; i++) {
		slots[i] = first_slot(t, p[i].b, p[i].len);
		__builtin_prefetch(slots[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (slots[i] && slots[i]->entry)
			__builtin_prefetch(rib_table_entry(t, slots[i]->entry - 1));
}

void
rib_table_prefetch_slots(const struct rib_table *t, const struct prefix *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__builtin_prefetch(first_slot(t, p[i].b, p[i].len), 1);
}

void
rib_table_prefetch_removal(const struct rib_table *t, uint32_t entry)
{
	const struct rib_entry *e = rib_table_entry(t, entry);

	__builtin_prefetch(first_slot(t, e->addr, e->len), 1);
}

uint32_t
rib_table_find(const struct rib_table *t, const struct prefix *p)
{
	const struct rib_slot *s = slot_of(t, p, hash_of(t, p->b, p->len));

	return s ? s->entry - 1 : RIB_NO_ENTRY; /* empty: 0 - 1 = RIB_NO_ENTRY */
}

static void
grow(struct rib_table *t, struct rib_part *part)
{
	struct rib_part old = *part;

	part->size = old.size ? 2 * old.size : FIRST_SLOTS;
	part->slots = mem_zalloc(t->mem, MEM_PREFIX, part->size * sizeof(*part->slots));
	for (uint32_t i = 0; i < old.size; i++) {
		uint32_t at = home_of(part, old.slots[i].hash);

		if (!old.slots[i].entry)
			continue;
		while (part->slots[at].entry)
			at = home_of(part, at + 1);
		part->slots[at] = old.slots[i];
	}
	t->moved += old.used;
	mem_free(t->mem, MEM_PREFIX, old.slots);
}

static uint32_t
entry_alloc(struct rib_table *t)
{
	uint32_t entry;

	if (t->free_head) {
		entry = t->free_head - 1;
		t->free_head = rib_table_entry(t, entry)->list;
	} else {
		entry = t->limit++;
		if (entry / RIB_CHUNK == t->nchunks) {
			t->chunks = mem_grow(
			    t->mem, MEM_PREFIX, t->chunks, &t->cap_chunks, t->nchunks + 1, sizeof(*t->chunks));
			t->chunks[t->nchunks++] = mem_alloc(t->mem, MEM_PREFIX, RIB_CHUNK * rib_table_stride(t));
		}
	}
	return entry;
}

uint32_t
rib_table_insert(struct rib_table *t, const struct prefix *p)
{
	uint32_t hash = hash_of(t, p->b, p->len);
	struct rib_part *part = &t->parts[part_of(hash)];
	struct rib_slot *s = slot_of(t, p, hash);
	struct rib_entry *e;

	if (s && s->entry)
		return s->entry - 1;
	if (part->used + 1 > part->size / 4 * 3) {
		grow(t, part);
		s = slot_of(t, p, hash);
	}
	part->used++;
	*s = (struct rib_slot){ .hash = hash, .entry = entry_alloc(t) + 1 };
	e = rib_table_entry(t, s->entry - 1);
	*e = (struct rib_entry){ .flags = ENTRY_USED, .len = p->len };
	memcpy(e->addr, p->b, family_bytes(t->family));
	t->by_len[p->len]++;
	t->count++;
	return s->entry - 1;
}

void
rib_table_remove(struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	uint32_t hash = hash_of(t, e->addr, e->len), hole, at;
	struct rib_part *part = &t->parts[part_of(hash)];

	for (hole = home_of(part, hash); part->slots[hole].entry != entry + 1;)
		hole = home_of(part, hole + 1);
	for (at = home_of(part, hole + 1); part->slots[at].entry; at = home_of(part, at + 1)) {
		uint32_t home = home_of(part, part->slots[at].hash);

		/* It may move into the hole unless its home lies cyclically in (hole, at]. */
		if (home_of(part, at - home) >= home_of(part, at - hole)) {
			part->slots[hole] = part->slots[at];
			hole = at;
		}
	}
	part->slots[hole] = (struct rib_slot){ 0 };
	part->used--;
	if (e->flags & ENTRY_WITNESS)
		t->witnesses[entry / 64] &= ~(UINT64_C(1) << entry % 64);
	t->by_len[e->len]--;
	t->count--;
	*e = (struct rib_entry){ .list = t->free_head };
	t->free_head = entry + 1;
}

void
rib_table_prefix(const struct rib_table *t, uint32_t entry, struct prefix *p)
{
	const struct rib_entry *e = rib_table_entry(t, entry);

	*p = (struct prefix){ .family = (uint8_t)t->family, .len = e->len };
	memcpy(p->b, e->addr, family_bytes(t->family));
}

void
rib_table_mark_dirty(struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);

	if (e->flags & ENTRY_DIRTY)
		return;
	e->flags |= ENTRY_DIRTY;
	if (t->ndirty == t->cap_dirty)
		t->dirty = mem_grow(t->mem, MEM_PREFIX, t->dirty, &t->cap_dirty, t->ndirty + 1, sizeof(*t->dirty));
	t->dirty[t->ndirty++] = entry;
}

void
rib_table_mark_witness(struct rib_table *t, uint32_t entry)
{
	size_t word = entry / 64;

	if (word >= t->nwitnesses) {
		t->witnesses = mem_realloc(t->mem, MEM_PREFIX, t->witnesses, (word + 1) * sizeof(*t->witnesses));
		memset(t->witnesses + t->nwitnesses, 0, (word + 1 - t->nwitnesses) * sizeof(*t->witnesses));
		t->nwitnesses = word + 1;
	}
	rib_table_entry(t, entry)->flags |= ENTRY_WITNESS;
	t->witnesses[word] |= UINT64_C(1) << entry % 64;
}

uint32_t
rib_table_next_witness(const struct rib_table *t, uint32_t *at)
{
	for (size_t word = *at / 64; word < t->nwitnesses; *at = (uint32_t)++word * 64) {
		uint64_t bits = t->witnesses[word] >> *at % 64;

		if (bits) {
			*at += (uint32_t)__builtin_ctzll(bits) + 1;
			return *at - 1;
		}
	}
	return RIB_NO_ENTRY;
}
