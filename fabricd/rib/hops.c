/* fabricd/rib/hops.c -- see hops.h */
#include <stddef.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/hops.h"
#include "fabricd/rib/path.h"

struct hop_sets {
	struct slots sets; /* first: hop_set_get() relies on it */
	struct mem *mem;
	uint64_t seed;
	struct buckets set_buckets, nexthop_buckets;
};
_Static_assert(offsetof(struct hop_sets, sets) == 0, "hop_set_get() looks for the sets at the beginning");

struct hop_sets *
hop_sets_new(struct mem *mem, uint64_t seed)
{
	struct hop_sets *t = mem_zalloc(mem, MEM_PATH_LIST, sizeof(*t));

	*t = (struct hop_sets){ .mem = mem,
		.seed = seed,
		.sets = { .mem = mem, .kind = MEM_PATH_LIST },
		.set_buckets = { .mem = mem, .kind = MEM_PATH_LIST },
		.nexthop_buckets = { .mem = mem, .kind = MEM_PATH_LIST } };
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
	struct hop_set *s;

	if (!t)
		return;
	for (uint32_t id = 0; (s = hop_sets_next(t, &id));)
		set_free(t, s);
	slots_done(&t->sets);
	buckets_done(&t->set_buckets);
	buckets_done(&t->nexthop_buckets);
	mem_free(t->mem, MEM_PATH_LIST, t);
}

struct hop_set *
hop_sets_next(const struct hop_sets *t, uint32_t *at)
{
	return slots_next(&t->sets, at);
}

size_t
hop_sets_count(const struct hop_sets *t)
{
	return slots_count(&t->sets);
}

/* ---- next hops ---- */

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
	uint32_t hash = (uint32_t)hash_bytes(t->seed ^ ifindex, gateway, sizeof(*gateway));
	struct rib_nexthop *nh;

	for (struct bucket_item *i = buckets_first(&t->nexthop_buckets, hash); i; i = buckets_next(i)) {
		nh = CONTAINER_OF(i, struct rib_nexthop, item);
		if (nh->ifindex == ifindex && ip_equal(&nh->gateway, gateway))
			return nexthop_ref(nh);
	}
	nh = mem_alloc(t->mem, MEM_PATH_LIST, sizeof(*nh));
	*nh = (struct rib_nexthop){ .ifindex = ifindex, .gateway = *gateway, .refs = 1 };
	buckets_add(&t->nexthop_buckets, &nh->item, hash);
	return nh;
}

void
nexthop_unref(struct hop_sets *t, struct rib_nexthop *nh)
{
	if (!nh || --nh->refs)
		return;
	buckets_remove(&t->nexthop_buckets, &nh->item);
	mem_free(t->mem, MEM_PATH_LIST, nh);
}

/* ---- sets ---- */

static uint32_t
set_hash(const struct hop_sets *t, const struct hop *hops, size_t n)
{
	uint64_t h = t->seed;

	for (size_t i = 0; i < n; i++) {
		h = hash_u64(h, (uint64_t)(uintptr_t)hops[i].nexthop);
		h = hash_u64(h, hops[i].fate);
		h = hash_u64(h, hops[i].weight);
		h = hash_u64(h, hops[i].source->index);
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

uint32_t
hop_set_intern(struct hop_sets *t, const struct hop *hops, size_t n)
{
	uint32_t hash = set_hash(t, hops, n);
	struct hop_set *s;

	if (n == 0)
		return 0;
	for (struct bucket_item *i = buckets_first(&t->set_buckets, hash); i; i = buckets_next(i)) {
		s = CONTAINER_OF(i, struct hop_set, item);
		if (hop_set_equals(s, hops, n)) {
			s->refs++;
			return s->id;
		}
	}
	s = mem_zalloc(t->mem, MEM_PATH_LIST, sizeof(*s) + n * sizeof(*hops));
	s->id = slots_take(&t->sets, s);
	s->refs = 1;
	s->n = (uint16_t)n;
	memcpy(s->hops, hops, n * sizeof(*hops));
	for (size_t i = 0; i < n; i++)
		nexthop_ref(s->hops[i].nexthop);
	buckets_add(&t->set_buckets, &s->item, hash);
	return s->id;
}

void
hop_set_ref(struct hop_sets *t, uint32_t id)
{
	struct hop_set *s = hop_set_get(t, id);

	if (s)
		s->refs++;
}

void
hop_set_unref(struct hop_sets *t, uint32_t id)
{
	struct hop_set *s = hop_set_get(t, id);

	if (!s || --s->refs)
		return;
	buckets_remove(&t->set_buckets, &s->item);
	slots_put(&t->sets, id);
	set_free(t, s);
}

bool
hop_set_drop(struct hop_sets *t, struct hop_set *s, const struct rib_source *source)
{
	for (size_t i = 0; i < s->n; i++) {
		struct rib_nexthop *gone = s->hops[i].nexthop;

		if (s->hops[i].source != source)
			continue;
		buckets_remove(&t->set_buckets, &s->item);
		s->n--;
		memmove(&s->hops[i], &s->hops[i + 1], (s->n - i) * sizeof(struct hop));
		if (s->n)
			buckets_add(&t->set_buckets, &s->item, set_hash(t, s->hops, s->n));
		nexthop_unref(t, gone);
		return true;
	}
	return false;
}
