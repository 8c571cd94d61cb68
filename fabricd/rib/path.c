/*
 * fabricd/rib/path.c -- the interned path lists, see path.h
 *
 *   path_list_with(L, source, path) -- the only way in which lists come to be. Most calls repeat the last one
 *   (a hundred prefixes of one UPDATE take the same step), so the last steps are remembered in a small cache.
 *
 * The hash of a list is the sum of its members' hashes: a step costs one subtraction and one addition, and the set is
 * compared only when the sums agree. Lists, next hops and attributes are counted by reference; each path of a list
 * holds one reference of its attributes and one of its next hop.
 */
#include <stddef.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/rib/path.h"

#define STEPS 256 /* remembered steps */

struct step {
	uint32_t from, to;
	uint32_t from_serial, to_serial; /* ids are used again, serials are not */
	struct rib_source *source;
	const struct attrs *attrs;
	const struct rib_nexthop *nexthop;
};

struct path_lists {
	struct slots lists; /* first: path_list_get() relies on it */
	struct mem *mem;
	uint64_t seed;
	struct attrs_table *attrs;
	struct buckets buckets;
	uint32_t serial;
	struct step steps[STEPS];
	struct hop_sets *hops;
};
_Static_assert(offsetof(struct path_lists, lists) == 0, "path_list_get() looks for the lists at the beginning");

struct path_lists *
path_lists_new(struct mem *mem, uint64_t seed, struct attrs_table *attrs)
{
	struct path_lists *t = mem_zalloc(mem, MEM_PATH_LIST, sizeof(*t));

	t->mem = mem;
	t->seed = seed;
	t->attrs = attrs;
	t->hops = hop_sets_new(mem, seed);
	t->lists = (struct slots){ .mem = mem, .kind = MEM_PATH_LIST };
	t->buckets = (struct buckets){ .mem = mem, .kind = MEM_PATH_LIST };
	return t;
}

static void
path_ref(const struct path *p)
{
	attrs_ref(p->attrs);
	nexthop_ref(p->nexthop);
}

static void
path_unref(struct path_lists *t, const struct path *p)
{
	attrs_unref(t->attrs, p->attrs);
	nexthop_unref(t->hops, p->nexthop);
}

static void
list_free(struct path_lists *t, struct path_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		path_unref(t, &l->paths[i]);
	mem_free(t->mem, MEM_PATH_LIST, l);
}

void
path_lists_free(struct path_lists *t)
{
	struct path_list *l;

	if (!t)
		return;
	for (uint32_t id = 0; (l = path_lists_next(t, &id));)
		list_free(t, l);
	slots_done(&t->lists);
	buckets_done(&t->buckets);
	hop_sets_free(t->hops);
	mem_free(t->mem, MEM_PATH_LIST, t);
}

uint32_t
path_lists_limit(const struct path_lists *t)
{
	return t->lists.limit;
}

struct path_list *
path_lists_next(const struct path_lists *t, uint32_t *at)
{
	return slots_next(&t->lists, at);
}

size_t
path_lists_count(const struct path_lists *t)
{
	return slots_count(&t->lists);
}

struct hop_sets *
path_lists_hops(const struct path_lists *t)
{
	return t->hops;
}

/* ---- lists ---- */

static uint32_t
path_hash(const struct path_lists *t, const struct path *p)
{
	uint64_t h = hash_u64(t->seed, (uint64_t)(uintptr_t)p->attrs);

	h = hash_u64(h, (uint64_t)(uintptr_t)p->nexthop);
	return (uint32_t)hash_u64(h, p->source->index);
}

static bool
same_path(const struct path *a, const struct path *b)
{
	return a->source == b->source && a->attrs == b->attrs && a->nexthop == b->nexthop;
}

/* Index of the source's path, or of the place where it would stand. */
static size_t
place_of(const struct path_list *l, const struct rib_source *source)
{
	size_t lo = 0, hi = l ? l->n : 0;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (l->paths[mid].source->index < source->index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct path *
path_list_find(const struct path_list *l, const struct rib_source *source)
{
	size_t i = place_of(l, source);

	return l && i < l->n && l->paths[i].source == source ? &l->paths[i] : NULL;
}

/* A list with room for n paths, with an id and one reference, in no bucket. */
static struct path_list *
list_alloc(struct path_lists *t, size_t n)
{
	struct path_list *l = mem_zalloc(t->mem, MEM_PATH_LIST, sizeof(*l) + n * sizeof(struct path));

	l->id = slots_take(&t->lists, l);
	l->serial = ++t->serial;
	l->n = (uint16_t)n;
	l->refs = 1;
	return l;
}

void
path_list_ref(struct path_lists *t, uint32_t id)
{
	struct path_list *l = path_list_get(t, id);

	if (l)
		l->refs++;
}

void
path_list_unref(struct path_lists *t, uint32_t id)
{
	struct path_list *l = path_list_get(t, id);

	if (!l || --l->refs)
		return;
	path_list_unref(t, l->was);
	hop_set_unref(t->hops, l->hops);
	buckets_remove(&t->buckets, &l->item);
	slots_put(&t->lists, id);
	list_free(t, l);
}

/* A step: `from` with the path at `at` replaced, inserted (it has none there yet) or removed (p NULL). */
static size_t
step_size(const struct path_list *from, bool had, const struct path *p)
{
	return (from ? from->n : 0u) - had + (p != NULL);
}

/* What stands at i then. */
static const struct path *
step_path(const struct path_list *from, size_t at, bool had, const struct path *p, size_t i)
{
	if (p && i == at)
		return p;
	return &from->paths[i < at ? i : i + had - (p != NULL)];
}

static bool
equals_step(const struct path_list *l, const struct path_list *from, size_t at, bool had, const struct path *p)
{
	if (l->n != step_size(from, had, p))
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (!same_path(&l->paths[i], step_path(from, at, had, p, i)))
			return false;
	return true;
}

static struct path_list *
make_step(struct path_lists *t, const struct path_list *from, size_t at, bool had, const struct path *p, uint32_t hash)
{
	struct path_list *l = list_alloc(t, step_size(from, had, p));

	for (size_t i = 0; i < l->n; i++) {
		l->paths[i] = *step_path(from, at, had, p, i);
		path_ref(&l->paths[i]);
	}
	buckets_add(&t->buckets, &l->item, hash);
	return l;
}

static uint32_t
take_step(struct path_lists *t, uint32_t from_id, struct rib_source *source, const struct path *p)
{
	const struct path_list *from = path_list_get(t, from_id);
	size_t at = place_of(from, source);
	bool had = from && at < from->n && from->paths[at].source == source;
	uint32_t hash = from ? from->item.hash : 0;

	if (!had && !p) {
		path_list_ref(t, from_id);
		return from_id;
	}
	if (had)
		hash -= path_hash(t, &from->paths[at]);
	if (p)
		hash += path_hash(t, p);
	if (p && p->attrs->item.refs == 1) /* attributes that only the caller holds are in no list yet */
		return make_step(t, from, at, had, p, hash)->id;
	for (struct bucket_item *i = buckets_first(&t->buckets, hash); i; i = buckets_next(i)) {
		struct path_list *l = CONTAINER_OF(i, struct path_list, item);

		if (equals_step(l, from, at, had, p)) {
			l->refs++;
			return l->id;
		}
	}
	return make_step(t, from, at, had, p, hash)->id;
}

static uint32_t
serial_of(const struct path_lists *t, uint32_t id)
{
	const struct path_list *l = path_list_get(t, id);

	return l ? l->serial : 0;
}

uint32_t
path_list_with(struct path_lists *t, uint32_t from, struct rib_source *source, const struct path *p)
{
	const struct attrs *attrs = p ? p->attrs : NULL;
	const struct rib_nexthop *nexthop = p ? p->nexthop : NULL;
	uint64_t h = hash_u64(from, (uint64_t)(uintptr_t)attrs ^ source->index);
	struct step *s = &t->steps[h % STEPS];
	const struct path_list *l = path_list_get(t, from);

	if (!p && l && l->n == 1 && l->paths[0].source == source)
		return 0;
	/* A live `to` holds the attributes and the next hop, so their addresses cannot have been given to others. */
	if (s->source == source && s->from == from && s->attrs == attrs && s->nexthop == nexthop &&
	    s->from_serial == serial_of(t, from) && s->to_serial == serial_of(t, s->to)) {
		path_list_ref(t, s->to);
		return s->to;
	}
	*s = (struct step){ .from = from, .source = source, .attrs = attrs, .nexthop = nexthop };
	s->from_serial = serial_of(t, from);
	s->to = take_step(t, from, source, p);
	s->to_serial = serial_of(t, s->to);
	return s->to;
}

void
path_list_drop(struct path_lists *t, struct path_list *l, const struct rib_source *source)
{
	size_t at = place_of(l, source);
	struct path gone;

	if (at >= l->n || l->paths[at].source != source)
		return;
	gone = l->paths[at];
	l->alike = l->decided && l->width == l->n;
	buckets_remove(&t->buckets, &l->item);
	l->serial = ++t->serial;
	memmove(&l->paths[at], &l->paths[at + 1], (l->n - at - 1u) * sizeof(struct path));
	l->n--;
	l->item.hash -= path_hash(t, &gone);
	l->decided = false;
	if (l->n)
		buckets_add(&t->buckets, &l->item, l->item.hash);
	path_unref(t, &gone);
}

uint32_t
path_list_snapshot(struct path_lists *t, const struct path_list *of)
{
	struct path_list *l = list_alloc(t, of->width ? 1 : 0);

	if (l->n) {
		l->paths[0] = of->paths[of->best];
		path_ref(&l->paths[0]);
		l->width = 1;
	}
	l->decided = true;
	return l->id;
}
