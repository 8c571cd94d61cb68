/* fabricd/rib/attrs.c -- see attrs.h; a chained hash table that doubles */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/attrs.h"

struct attrs_table {
	struct mem *mem;
	uint64_t seed;
	struct attrs **buckets;
	size_t nbuckets; /* power of two */
	size_t count, bytes;
};

#define FIRST_BUCKETS 64

struct attrs_table *
attrs_table_new(struct mem *mem, uint64_t seed)
{
	struct attrs_table *t = mem_zalloc(mem, MEM_ATTRS, sizeof(*t));

	t->mem = mem;
	t->seed = seed;
	t->nbuckets = FIRST_BUCKETS;
	t->buckets = mem_zalloc(mem, MEM_ATTRS, t->nbuckets * sizeof(struct attrs *));
	return t;
}

void
attrs_table_free(struct attrs_table *t)
{
	if (!t)
		return;
	mem_free(t->mem, MEM_ATTRS, t->buckets);
	mem_free(t->mem, MEM_ATTRS, t);
}

size_t
attrs_table_count(const struct attrs_table *t)
{
	return t->count;
}

size_t
attrs_table_bytes(const struct attrs_table *t)
{
	return t->bytes;
}

static void
grow(struct attrs_table *t)
{
	size_t n = t->nbuckets * 2;
	struct attrs **buckets = mem_zalloc(t->mem, MEM_ATTRS, n * sizeof(struct attrs *));

	for (size_t i = 0; i < t->nbuckets; i++) {
		struct attrs *a = t->buckets[i], *next;

		for (; a; a = next) {
			next = a->next;
			a->next = buckets[a->hash & (n - 1)];
			buckets[a->hash & (n - 1)] = a;
		}
	}
	mem_free(t->mem, MEM_ATTRS, t->buckets);
	t->buckets = buckets;
	t->nbuckets = n;
}

struct attrs *
attrs_intern(struct attrs_table *t, const struct attrs_view *v)
{
	uint32_t hash = (uint32_t)hash_bytes(t->seed, v->wire, v->wire_len);
	struct attrs *a;

	for (a = t->buckets[hash & (t->nbuckets - 1)]; a; a = a->next)
		if (a->hash == hash && a->v.wire_len == v->wire_len && a->v.flags == v->flags &&
		    memcmp(a->v.wire, v->wire, v->wire_len) == 0)
			return attrs_ref(a);
	if (t->count >= t->nbuckets)
		grow(t);
	a = mem_alloc(t->mem, MEM_ATTRS, sizeof(*a) + v->wire_len);
	a->v = *v;
	memcpy(a + 1, v->wire, v->wire_len);
	a->v.wire = (const uint8_t *)(a + 1);
	a->refs = 1;
	a->hash = hash;
	a->next = t->buckets[hash & (t->nbuckets - 1)];
	t->buckets[hash & (t->nbuckets - 1)] = a;
	t->count++;
	t->bytes += sizeof(*a) + v->wire_len;
	return a;
}

void
attrs_unref(struct attrs_table *t, struct attrs *a)
{
	struct attrs **at;

	if (!a || --a->refs)
		return;
	for (at = &t->buckets[a->hash & (t->nbuckets - 1)]; *at != a;)
		at = &(*at)->next;
	*at = a->next;
	t->count--;
	t->bytes -= sizeof(*a) + a->v.wire_len;
	mem_free(t->mem, MEM_ATTRS, a);
}
