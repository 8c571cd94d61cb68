/* platform/sync_table.c -- the routes of one family: slabs of fixed size, found through 256 small hash tables */
#include <string.h>

#include "fabricd/lib/wire.h"
#include "platform/sync_internal.h"

void
table_init(struct route_table *t, enum family family)
{
	*t = (struct route_table){ .family = (uint8_t)family };
	t->stride = (uint32_t)(sizeof(struct sroute) + family_bytes(family));
}

void
table_free(struct sync *s, struct route_table *t)
{
	for (uint32_t i = 0; i < t->n_slabs; i++)
		mem_free(s->cfg.mem, MEM_FIB, t->slabs[i]);
	mem_free(s->cfg.mem, MEM_FIB, t->slabs);
	for (size_t i = 0; i < PARTS; i++)
		mem_free(s->cfg.mem, MEM_FIB, t->parts[i].slots);
}

static uint64_t
key_hash(const struct sync *s, const struct route_table *t, uint8_t table, uint8_t len, bool cover, const uint8_t *addr)
{
	uint64_t rest = (uint64_t)len << 16 | (uint64_t)table << 8 | cover;

	if (t->family == FAMILY_IPV4)
		return hash_u64(s->cfg.seed, (uint64_t)get_u32(addr) << 32 | rest);
	return hash_bytes(hash_u64(s->cfg.seed, rest), addr, 16);
}

static uint64_t
route_hash(const struct sync *s, const struct route_table *t, const struct sroute *r)
{
	return key_hash(s, t, r->table, r->len, r->flags & R_COVER, r->addr);
}

struct prefix
route_prefix(const struct route_table *t, const struct sroute *r)
{
	struct prefix p = { .family = t->family, .len = r->len };

	memcpy(p.b, r->addr, family_bytes(t->family));
	return p;
}

static uint32_t
find(const struct route_table *t, uint64_t h, uint8_t table, const struct prefix *p, bool cover)
{
	const struct route_part *part = &t->parts[h >> 56];
	uint32_t mask = part->size - 1;

	if (!part->size)
		return 0;
	for (uint32_t i = (uint32_t)h & mask; part->slots[i].index; i = (i + 1) & mask) {
		const struct sroute *r;

		if (part->slots[i].hash != (uint32_t)h) /* most of those that stand in the way */
			continue;
		r = table_at(t, part->slots[i].index);
		if (r->len == p->len && r->table == table && !!(r->flags & R_COVER) == cover &&
		    memcmp(r->addr, p->b, family_bytes(t->family)) == 0)
			return part->slots[i].index;
	}
	return 0;
}

void
table_prefetch(const struct sync *s, const struct route_table *t, uint8_t table, const struct prefix *p, size_t n)
{
	const struct route_slot *slots[TABLE_PREFETCH];
	size_t count = 0;

	for (size_t i = 0; i < MIN_OF(n, (size_t)TABLE_PREFETCH); i++) {
		uint64_t h = key_hash(s, t, table, p[i].len, false, p[i].b);
		const struct route_part *part = &t->parts[h >> 56];

		if (!part->size)
			continue;
		slots[count] = &part->slots[(uint32_t)h & (part->size - 1)];
		__builtin_prefetch(slots[count++], 1);
	}
	for (size_t i = 0; i < count; i++)
		if (slots[i]->index)
			__builtin_prefetch(table_at(t, slots[i]->index), 1);
}

uint32_t
table_find(const struct sync *s, const struct route_table *t, uint8_t table, const struct prefix *p, bool cover)
{
	return find(t, key_hash(s, t, table, p->len, cover, p->b), table, p, cover);
}

static void
part_insert(struct route_part *part, struct route_slot slot)
{
	uint32_t i = slot.hash & (part->size - 1);

	while (part->slots[i].index)
		i = (i + 1) & (part->size - 1);
	part->slots[i] = slot;
}

static void
part_grow(struct sync *s, struct route_part *part)
{
	struct route_part old = *part;

	part->size = old.size ? old.size * 2 : 4;
	part->slots = mem_zalloc(s->cfg.mem, MEM_FIB, part->size * sizeof(*part->slots));
	for (uint32_t i = 0; i < old.size; i++) {
		if (old.slots[i].index)
			part_insert(part, old.slots[i]);
	}
	mem_free(s->cfg.mem, MEM_FIB, old.slots);
}

static uint32_t
entry_take(struct sync *s, struct route_table *t)
{
	uint32_t index = t->free;

	if (index) {
		t->free = table_at(t, index)->next;
		return index;
	}
	if (t->top == t->n_slabs * SLAB) {
		t->slabs = mem_grow(s->cfg.mem, MEM_FIB, t->slabs, &t->slabs_cap, t->n_slabs + 1, sizeof(*t->slabs));
		t->slabs[t->n_slabs++] = mem_zalloc(s->cfg.mem, MEM_FIB, (size_t)SLAB * t->stride);
	}
	return ++t->top;
}

static uint32_t
add(struct sync *s, struct route_table *t, uint64_t h, uint8_t table, const struct prefix *p, bool cover)
{
	struct route_part *part = &t->parts[h >> 56];
	uint32_t index = entry_take(s, t);
	struct sroute *r = table_at(t, index);

	memset(r, 0, sizeof(*r));
	memcpy(r->addr, p->b, family_bytes(t->family));
	r->len = p->len;
	r->table = table;
	r->flags = (uint8_t)((cover ? R_COVER : 0) | (s->parity ? R_SEEN : 0));
	if (part->used * 4 >= part->size * 3)
		part_grow(s, part);
	part_insert(part, (struct route_slot){ .hash = (uint32_t)h, .index = index });
	part->used++;
	t->live++;
	return index;
}

uint32_t
table_add(struct sync *s, struct route_table *t, uint8_t table, const struct prefix *p, bool cover)
{
	return add(s, t, key_hash(s, t, table, p->len, cover, p->b), table, p, cover);
}

uint32_t
table_get(struct sync *s, struct route_table *t, uint8_t table, const struct prefix *p, bool cover)
{
	uint64_t h = key_hash(s, t, table, p->len, cover, p->b);
	uint32_t index = find(t, h, table, p, cover);

	return index ? index : add(s, t, h, table, p, cover);
}

/* Linear probing without tombstones: what follows in the run moves into the hole when its place is at or before it. */
static void
part_delete(struct route_part *part, uint32_t hole)
{
	uint32_t mask = part->size - 1;

	for (uint32_t i = (hole + 1) & mask; part->slots[i].index; i = (i + 1) & mask) {
		uint32_t home = part->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			part->slots[hole] = part->slots[i];
			hole = i;
		}
	}
	part->slots[hole].index = 0;
	part->used--;
}

void
table_remove(struct sync *s, struct route_table *t, uint32_t index)
{
	struct sroute *r = table_at(t, index);
	uint64_t h = route_hash(s, t, r);
	struct route_part *part = &t->parts[h >> 56];
	uint32_t i = (uint32_t)h & (part->size - 1);

	while (part->slots[i].index != index)
		i = (i + 1) & (part->size - 1);
	part_delete(part, i);
	memset(r, 0, t->stride);
	r->next = t->free;
	t->free = index;
	t->live--;
}

void
queue_push(struct sync *s, enum family f, uint32_t index)
{
	struct route_queue *q = &s->dirty;
	struct route_table *t = &s->routes[f];
	struct sroute *r = table_at(t, index);

	r->flags |= R_DIRTY;
	r->next = 0;
	if (q->tail[f])
		table_at(t, q->tail[f])->next = index;
	else
		q->head[f] = index;
	q->tail[f] = index;
	q->n[f]++;
}

uint32_t
queue_pop(struct sync *s, enum family f)
{
	struct route_queue *q = &s->dirty;
	uint32_t index = q->head[f];
	struct sroute *r;

	if (!index)
		return 0;
	r = table_at(&s->routes[f], index);
	q->head[f] = r->next;
	if (!r->next)
		q->tail[f] = 0;
	r->next = 0;
	r->flags &= (uint8_t)~R_DIRTY;
	q->n[f]--;
	return index;
}
