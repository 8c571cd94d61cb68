/* fabricd/rib/attrs.c -- see attrs.h */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/attrs.h"

struct attrs_table {
	struct mem *mem;
	uint64_t seed;
	struct buckets buckets;
};

struct attrs_table *
attrs_table_new(struct mem *mem, uint64_t seed)
{
	struct attrs_table *t = mem_zalloc(mem, MEM_ATTRS, sizeof(*t));

	*t = (struct attrs_table){ .mem = mem, .seed = seed, .buckets = { .mem = mem, .kind = MEM_ATTRS } };
	return t;
}

void
attrs_table_free(struct attrs_table *t)
{
	if (!t)
		return;
	buckets_done(&t->buckets);
	mem_free(t->mem, MEM_ATTRS, t);
}

size_t
attrs_table_count(const struct attrs_table *t)
{
	return t->buckets.count;
}

struct attrs *
attrs_intern(struct attrs_table *t, const struct attrs_view *v)
{
	uint32_t hash = (uint32_t)hash_bytes(t->seed, v->wire, v->wire_len);
	struct attrs *a;

	for (struct bucket_item *i = buckets_first(&t->buckets, hash); i; i = buckets_next(i)) {
		a = CONTAINER_OF(i, struct attrs, item);
		if (a->v.wire_len == v->wire_len && a->v.flags == v->flags &&
		    memcmp(a->v.wire, v->wire, v->wire_len) == 0)
			return attrs_ref(a);
	}
	a = mem_alloc(t->mem, MEM_ATTRS, sizeof(*a) + v->wire_len);
	a->v = *v;
	memcpy(a + 1, v->wire, v->wire_len);
	a->v.wire = (const uint8_t *)(a + 1);
	a->item.refs = 1;
	buckets_add(&t->buckets, &a->item, hash);
	return a;
}

void
attrs_unref(struct attrs_table *t, struct attrs *a)
{
	if (!a || --a->item.refs)
		return;
	buckets_remove(&t->buckets, &a->item);
	mem_free(t->mem, MEM_ATTRS, a);
}
