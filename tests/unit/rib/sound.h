/*
 * tests/unit/rib/sound.h -- what must be true of the RIB (rib_impl.h), counted anew
 *
 * Every counter is held against what it counts and every reference against who refers, while no run is under way: then
 * nothing may be left of the one before, either.
 */
#ifndef TESTS_UNIT_RIB_SOUND_H
#define TESTS_UNIT_RIB_SOUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/rib_impl.h"

struct counted {
	uint32_t *now, *told, *list_refs; /* by list */
	uint32_t *fib, *set_refs;         /* by hop set */
	uint64_t paths[RIB_MAX_SOURCES][FAMILIES];
	uint64_t routes[FAMILIES], groups;
};

static inline void
sound_table(const struct rib *r, const struct rib_table *t, struct counted *n)
{
	uint32_t used = 0, dirty = 0, by_len[129] = { 0 };

	for (uint32_t i = 0; i < t->limit; i++) {
		const struct rib_entry *e = rib_table_entry(t, i);
		const struct path_list *l;
		struct prefix p;

		if (!(e->flags & ENTRY_USED))
			continue;
		rib_table_prefix(t, i, &p);
		assert_int_equal(rib_table_find(t, &p), i);
		l = path_list_get(r->lists, e->list);
		assert_int_equal(e->list != 0, l != NULL);
		n->now[e->list]++;
		n->told[e->told]++;
		n->fib[e->fib]++;
		n->routes[t->family] += e->fib != 0;
		for (size_t k = 0; l && k < l->n; k++)
			n->paths[l->paths[k].source->index][t->family]++;
		used++;
		by_len[e->len]++;
		dirty += (e->flags & ENTRY_DIRTY) != 0;
	}
	assert_int_equal(t->count, used);
	assert_memory_equal(t->by_len, by_len, sizeof(by_len));
	assert_int_equal(t->ndirty, dirty);
	for (size_t i = 0; i < t->ndirty; i++)
		assert_true(rib_table_entry(t, t->dirty[i])->flags & ENTRY_DIRTY);
	assert_int_equal(t->nrun, 0);
}

static inline void
sound_lists(const struct rib *r, struct counted *n)
{
	const struct path_list *l;
	size_t lists = 0;

	for (uint32_t id = 0; (l = path_lists_next(r->lists, &id)); lists++) {
		assert_int_equal(l->id, id);
		assert_int_equal(l->now, n->now[id]);
		assert_int_equal(l->told, n->told[id]);
		n->list_refs[id] += l->now + l->told;
		n->list_refs[l->was]++;
		n->set_refs[l->hops]++;
		for (size_t i = 1; i < l->n; i++)
			assert_true(l->paths[i - 1].source->index < l->paths[i].source->index);
	}
	assert_int_equal(path_lists_count(r->lists), lists);
	for (uint32_t id = 0; (l = path_lists_next(r->lists, &id));)
		assert_int_equal(l->refs, n->list_refs[id]);
}

static inline void
sound_sets(const struct rib *r, struct counted *n)
{
	const struct hop_set *s;
	size_t sets = 0, dirty = 0;

	for (uint32_t id = 0; (s = hop_sets_next(r->hops, &id)); sets++) {
		assert_int_equal(s->id, id);
		assert_int_equal(s->fib, n->fib[id]);
		assert_int_equal(s->refs, n->fib[id] + n->set_refs[id] + s->group_dirty);
		assert_int_equal(s->group != 0, s->fib != 0);
		assert_int_equal(s->moved + s->move_to + s->mixed + s->in_place + s->holds + s->receives, 0);
		for (size_t i = 1; i < s->n; i++)
			assert_true(s->hops[i - 1].source->index < s->hops[i].source->index);
		dirty += s->group_dirty;
		n->groups += s->group != 0;
	}
	assert_int_equal(hop_sets_count(r->hops), sets);
	assert_int_equal(r->ngroup_dirty, dirty);
}

/* One of a source and table at most, of a source that is up; what it has left is what is in doubt and offered. */
static inline void
sound_refreshes(const struct rib *r)
{
	for (const struct refresh *f = r->refreshes; f; f = f->next) {
		uint64_t left = 0;

		assert_ptr_equal(r->sources[f->source->index], f->source);
		assert_true(f->source->up);
		assert_false(f->ended);
		assert_in_range(f->limit, 0, f->table->limit);
		for (const struct refresh *g = f->next; g; g = g->next)
			assert_false(g->source == f->source && g->table == f->table);
		for (uint32_t i = 0; i < f->limit; i++) {
			const struct rib_entry *e = rib_table_entry(f->table, i);

			if (f->stale[i / 8] & 1u << i % 8 && e->flags & ENTRY_USED)
				left += path_list_find(path_list_get(r->lists, e->list), f->source) != NULL;
		}
		assert_int_equal(f->left, left);
	}
}

/* Each of them once, and all of them. */
static inline void
sound_leaving(const struct rib *r)
{
	size_t n = 0;

	for (size_t i = 1; i < r->nsources; i++)
		n += r->sources[i] && r->sources[i]->leaving;
	assert_int_equal(r->nleaving, n);
	for (size_t i = 0; i < r->nleaving; i++) {
		assert_true(r->leaving[i]->leaving);
		for (size_t k = 0; k < i; k++)
			assert_ptr_not_equal(r->leaving[i], r->leaving[k]);
	}
}

static inline void
assert_sound(const struct rib *r)
{
	struct counted *n;
	uint32_t lists = path_lists_limit(r->lists) + 1, sets = 1;

	sound_leaving(r);
	if (r->stage != STAGE_IDLE || rib_clearing(r))
		return;
	for (uint32_t id = 0; hop_sets_next(r->hops, &id);)
		sets = id + 1;
	n = calloc(1, sizeof(*n));
	n->now = calloc(3 * lists + 2 * sets, sizeof(uint32_t));
	n->told = n->now + lists;
	n->list_refs = n->told + lists;
	n->fib = n->list_refs + lists;
	n->set_refs = n->fib + sets;
	for (size_t i = 0; i < r->ntables; i++)
		sound_table(r, r->tables[i], n);
	sound_lists(r, n);
	sound_sets(r, n);
	sound_refreshes(r);
	for (int f = 0; f < FAMILIES; f++)
		assert_int_equal(r->counts.fib_routes[f], n->routes[f]);
	assert_int_equal(r->counts.groups, n->groups);
	assert_int_equal(r->ntouched, 0);
	for (size_t i = 1; i < r->nsources; i++)
		for (int f = 0; r->sources[i] && f < FAMILIES; f++)
			assert_int_equal(r->sources[i]->paths[f], n->paths[i][f]);
	free(n->now);
	free(n);
}

#endif
