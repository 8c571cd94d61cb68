/* fabricd/rib/hops.c -- see hops.h; chained hash tables that double, ids that are used again */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/hops.h"
#include "fabricd/rib/path.h"

#define FIRST      64
#define NH_BUCKETS 256

struct hop_sets {
	struct mem *mem;
	uint64_t seed;
	struct hop_set **by_id;
	size_t cap_ids;
	uint32_t limit;
	uint32_t *free_ids;
	size_t nfree, cap_free;
	struct hop_set **buckets;
	size_t nbuckets, count;
	struct rib_nexthop *nexthops[NH_BUCKETS];
};

struct hop_sets *
hop_sets_new(struct mem *mem, uint64_t seed)
{
	struct hop_sets *t = mem_zalloc(mem, MEM_PATH_LIST, sizeof(*t));

	t->mem = mem;
	t->seed = seed;
	t->limit = 1;
	t->nbuckets = FIRST;
	t->buckets = mem_zalloc(mem, MEM_PATH_LIST, t->nbuckets * sizeof(struct hop_set *));
	return t;
}

static void
set_free(struct hop_sets *t, struct hop_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		nexthop_unref(t, s->hops[i].nexthop);
	mem_free(t->mem, MEM_PATH_LIST, s);
}

void
hop_sets_free(struct hop_sets *t)
{
	if (!t)
		return;
	for (uint32_t id = 1; id < t->limit; id++)
		if (t->by_id[id])
			set_free(t, t->by_id[id]);
	mem_free(t->mem, MEM_PATH_LIST, t->by_id);
	mem_free(t->mem, MEM_PATH_LIST, t->free_ids);
	mem_free(t->mem, MEM_PATH_LIST, t->buckets);
	mem_free(t->mem, MEM_PATH_LIST, t);
}

struct hop_set *
hop_set_get(const struct hop_sets *t, uint32_t id)
{
	return id && id < t->limit ? t->by_id[id] : NULL;
}

uint32_t
hop_sets_limit(const struct hop_sets *t)
{
	return t->limit;
}

size_t
hop_sets_count(const struct hop_sets *t)
{
	return t->count;
}

/* ---- next hops ---- */

static uint32_t
nexthop_bucket(const struct hop_sets *t, uint32_t ifindex, const struct ip *gateway)
{
	return (uint32_t)hash_bytes(t->seed ^ ifindex, gateway, sizeof(*gateway)) % NH_BUCKETS;
}

struct rib_nexthop *
nexthop_ref(struct rib_nexthop *nh)
{
	if (nh)
		nh->refs++;
	return nh;
}

struct rib_nexthop *
nexthop_intern(struct hop_sets *t, uint32_t ifindex, const struct ip *gateway)
{
	struct rib_nexthop **bucket = &t->nexthops[nexthop_bucket(t, ifindex, gateway)], *nh;

	for (nh = *bucket; nh; nh = nh->next)
		if (nh->ifindex == ifindex && ip_equal(&nh->gateway, gateway))
			return nexthop_ref(nh);
	nh = mem_alloc(t->mem, MEM_PATH_LIST, sizeof(*nh));
	*nh = (struct rib_nexthop){ .ifindex = ifindex, .gateway = *gateway, .refs = 1, .next = *bucket };
	*bucket = nh;
	return nh;
}

void
nexthop_unref(struct hop_sets *t, struct rib_nexthop *nh)
{
	struct rib_nexthop **at;

	if (!nh || --nh->refs)
		return;
	for (at = &t->nexthops[nexthop_bucket(t, nh->ifindex, &nh->gateway)]; *at != nh;)
		at = &(*at)->next;
	*at = nh->next;
	mem_free(t->mem, MEM_PATH_LIST, nh);
}

/* ---- sets ---- */

static uint32_t
set_hash(const struct hop_sets *t, const struct hop *hops, size_t n)
{
	uint64_t h = t->seed;

	for (size_t i = 0; i < n; i++) {
		h = hash_u64(h, (uint64_t)(uintptr_t)hops[i].nexthop);
		h = hash_u64(h, (uint64_t)hops[i].fate << 32 | (uint32_t)hops[i].weight << 16 | hops[i].source->index);
	}
	return (uint32_t)h;
}

bool
hop_set_equals(const struct hop_set *s, const struct hop *hops, size_t n)
{
	if (!s || s->n != n)
		return !s && n == 0;
	for (size_t i = 0; i < n; i++) {
		const struct hop *a = &s->hops[i], *b = &hops[i];

		if (a->source != b->source || a->nexthop != b->nexthop || a->fate != b->fate || a->weight != b->weight)
			return false;
	}
	return true;
}

static void
bucket_insert(struct hop_sets *t, struct hop_set *s)
{
	struct hop_set **at = &t->buckets[s->hash & (t->nbuckets - 1)];

	s->next = *at;
	*at = s;
}

static void
bucket_remove(struct hop_sets *t, struct hop_set *s)
{
	struct hop_set **at = &t->buckets[s->hash & (t->nbuckets - 1)];

	for (; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			return;
		}
}

static void
grow(struct hop_sets *t)
{
	struct hop_set **old = t->buckets;
	size_t nold = t->nbuckets;

	t->nbuckets *= 2;
	t->buckets = mem_zalloc(t->mem, MEM_PATH_LIST, t->nbuckets * sizeof(struct hop_set *));
	for (size_t i = 0; i < nold; i++)
		for (struct hop_set *s = old[i], *next; s; s = next) {
			next = s->next;
			bucket_insert(t, s);
		}
	mem_free(t->mem, MEM_PATH_LIST, old);
}

static uint32_t
take_id(struct hop_sets *t)
{
	if (t->nfree)
		return t->free_ids[--t->nfree];
	t->by_id = mem_grow(t->mem, MEM_PATH_LIST, t->by_id, &t->cap_ids, t->limit + 1, sizeof(*t->by_id));
	return t->limit++;
}

uint32_t
hop_set_intern(struct hop_sets *t, const struct hop *hops, size_t n)
{
	uint32_t hash;
	struct hop_set *s;

	if (n == 0)
		return 0;
	hash = set_hash(t, hops, n);
	for (s = t->buckets[hash & (t->nbuckets - 1)]; s; s = s->next)
		if (s->hash == hash && hop_set_equals(s, hops, n)) {
			s->refs++;
			return s->id;
		}
	if (t->count >= t->nbuckets)
		grow(t);
	s = mem_zalloc(t->mem, MEM_PATH_LIST, sizeof(*s) + n * sizeof(*hops));
	s->id = take_id(t);
	s->hash = hash;
	s->refs = 1;
	s->n = (uint16_t)n;
	memcpy(s->hops, hops, n * sizeof(*hops));
	for (size_t i = 0; i < n; i++)
		nexthop_ref(s->hops[i].nexthop);
	t->by_id[s->id] = s;
	bucket_insert(t, s);
	t->count++;
	return s->id;
}

void
hop_set_ref(struct hop_sets *t, uint32_t id)
{
	if (id)
		t->by_id[id]->refs++;
}

void
hop_set_unref(struct hop_sets *t, uint32_t id)
{
	struct hop_set *s;

	if (!id)
		return;
	s = t->by_id[id];
	if (--s->refs)
		return;
	bucket_remove(t, s);
	t->by_id[id] = NULL;
	t->free_ids = mem_grow(t->mem, MEM_PATH_LIST, t->free_ids, &t->cap_free, t->nfree + 1, sizeof(*t->free_ids));
	t->free_ids[t->nfree++] = id;
	t->count--;
	set_free(t, s);
}

bool
hop_set_drop(struct hop_sets *t, struct hop_set *s, const struct rib_source *source)
{
	for (size_t i = 0; i < s->n; i++) {
		struct rib_nexthop *gone = s->hops[i].nexthop;

		if (s->hops[i].source != source)
			continue;
		bucket_remove(t, s);
		s->n--;
		memmove(&s->hops[i], &s->hops[i + 1], (s->n - i) * sizeof(struct hop));
		s->hash = set_hash(t, s->hops, s->n);
		if (s->n)
			bucket_insert(t, s);
		nexthop_unref(t, gone);
		return true;
	}
	return false;
}
