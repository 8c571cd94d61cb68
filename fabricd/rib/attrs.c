/* fabricd/rib/attrs.c -- see attrs.h; a chained hash table that grows by a bucket at a time */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/attrs.h"

struct attrs_table {
	struct mem *mem;
	uint64_t seed;
	struct attrs **buckets;
	size_t nbuckets, cap_buckets;
	size_t half; /* power of two; buckets below nbuckets - half are split */
	size_t count, bytes;
};

#define FIRST_BUCKETS 64

struct attrs_table *
attrs_table_new(struct mem *mem, uint64_t seed)
{
	struct attrs_table *t = mem_zalloc(mem, MEM_ATTRS, sizeof(*t));

	t->mem = mem;
	t->seed = seed;
	t->nbuckets = t->half = t->cap_buckets = FIRST_BUCKETS;
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

/* Bit by bit (linear hashing): each new one splits one bucket, so that no call has to move them all. */
static struct attrs **
bucket_of(const struct attrs_table *t, uint32_t hash)
{
	size_t i = hash & (2 * t->half - 1);

	return &t->buckets[i < t->nbuckets ? i : hash & (t->half - 1)];
}

static void
grow(struct attrs_table *t)
{
	size_t from = t->nbuckets - t->half;
	struct attrs *a, *next;

	t->buckets = mem_grow(t->mem, MEM_ATTRS, t->buckets, &t->cap_buckets, t->nbuckets + 1, sizeof(struct attrs *));
	a = t->buckets[from];
	t->buckets[from] = t->buckets[t->nbuckets++] = NULL;
	for (; a; a = next) {
		struct attrs **to = bucket_of(t, a->hash);

		next = a->next;
		a->next = *to;
		*to = a;
	}
	if (t->nbuckets == 2 * t->half)
		t->half = t->nbuckets;
}

struct attrs *
attrs_intern(struct attrs_table *t, const struct attrs_view *v)
{
	uint32_t hash = (uint32_t)hash_bytes(t->seed, v->wire, v->wire_len);
	struct attrs *a;

	for (a = *bucket_of(t, hash); a; a = a->next)
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
	a->next = *bucket_of(t, hash);
	*bucket_of(t, hash) = a;
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
	for (at = bucket_of(t, a->hash); *at != a;)
		at = &(*at)->next;
	*at = a->next;
	t->count--;
	t->bytes -= sizeof(*a) + a->v.wire_len;
	mem_free(t->mem, MEM_ATTRS, a);
}
