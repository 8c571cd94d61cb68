/*
 * tests/unit/platform/sync_sound.h -- what must be true of the shadow (platform/sync_internal.h), counted anew
 *
 * Every counter is held against what it counts, every reference against what refers back, every queue and every list of
 * free places against the flags of its entries. `quiet`: nothing is in flight or held back, and nothing is refused any
 * more, so that nothing may be left of that either.
 */
#ifndef TESTS_UNIT_PLATFORM_SYNC_SOUND_H
#define TESTS_UNIT_PLATFORM_SYNC_SOUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "platform/sync_internal.h"

static inline void
sound_members(const struct sync *s, const struct members *m, uint32_t *uses)
{
	for (uint32_t i = 0; i < m->n; i++) {
		assert_true(m->m[i].nh < s->n_nhs);
		assert_true(s->nhs[m->m[i].nh].live);
		assert_int_not_equal(m->m[i].weight, 0);
		if (i)
			assert_true(m->m[i - 1].nh < m->m[i].nh);
		uses[m->m[i].nh]++;
	}
	assert_int_equal(m->n == 0, m->m == NULL);
}

static inline void
sound_queue(const struct vec32 *q, uint32_t id, bool queued)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n; i++)
		n += q->v[i] == id;
	assert_int_equal(n, queued);
}

/* Its next hops: nobody else refers to them, and there is one for each neighbour. */
static inline void
sound_own(const struct sync *s, uint32_t pg)
{
	const struct pgroup *o = pg_at(s, pg);

	assert_true(o->private || !o->own.n);
	for (uint32_t i = 0; i < o->own.n; i++) {
		const struct nexthop *h = &s->nhs[o->own.m[i].nh];

		assert_true(h->own);
		assert_int_equal(h->owner, pg);
		if (h->id)
			assert_true(id_is_own(s, h->id));
		for (uint32_t k = 0; k < i; k++)
			assert_false(nh_same(s, o->own.m[i].nh, o->own.m[k].nh));
	}
	for (uint32_t i = 1; i <= s->n_groups; i++)
		for (uint32_t k = 0; k < group_at(s, i)->want.n; k++)
			assert_false(s->nhs[group_at(s, i)->want.m[k].nh].own);
	for (uint32_t i = 0; o->group && i < o->have.n; i++)
		if (s->nhs[o->have.m[i].nh].own)
			assert_true(members_have(&o->own, o->have.m[i].nh));
}

static inline void
sound_objects(const struct sync *s, bool quiet)
{
	uint32_t *uses = calloc(s->n_nhs + 1, sizeof(*uses));
	size_t live = 0, free_ones = 0, private = 0;

	for (uint32_t i = 1; i <= s->n_groups; i++) {
		const struct group *g = group_at(s, i);

		sound_queue(&s->group_queue, i, g->queued);
		live += g->live;
		if (!g->live)
			continue;
		sound_members(s, &g->want, uses);
		if (g->pg)
			assert_int_equal(pg_at(s, g->pg)->group, i);
		if (!quiet)
			continue;
		assert_int_equal(g->queued + g->err + g->retry.times + g->released, 0);
		assert_int_equal(g->replay, 0);
		if (!g->told_dark)
			assert_false(g->lost);
	}
	for (uint32_t i = s->free_group; i; i = group_at(s, i)->next_free)
		free_ones++;
	assert_int_equal(live + free_ones, s->n_groups);
	live = free_ones = 0;
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		const struct pgroup *o = pg_at(s, i);

		sound_queue(&s->pg_queue, i, o->queued);
		live += o->live;
		if (!o->live)
			continue;
		sound_members(s, &o->have, uses);
		sound_members(s, &o->sent, uses);
		sound_members(s, &o->own, uses);
		sound_own(s, i);
		private += o->private;
		if (o->group)
			assert_int_equal(group_at(s, o->group)->pg, i);
		if (!o->flight)
			assert_int_equal(o->sent.n, 0);
		if (o->state == PG_DEAD || o->state == PG_ABSENT)
			assert_int_equal(o->have.n, 0);
		assert_int_equal(id_find(s, o->id)->what, ID_PG | i);
		if (quiet) {
			assert_int_equal(o->queued + o->flight + o->adopted, 0);
			assert_int_equal(o->retry.times, 0);
			assert_true(!o->again || !o->group || group_at(s, o->group)->told_dark);
			assert_true(o->group || o->refs);
		}
	}
	for (uint32_t i = s->free_pg; i; i = pg_at(s, i)->next_free)
		free_ones++;
	assert_int_equal(live + free_ones, s->n_pgs);
	assert_int_equal(private, s->n_private);
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		const struct nexthop *h = &s->nhs[i];

		sound_queue(&s->nh_queue, i, h->queued);
		assert_int_equal(uses[i], h->live ? h->uses : 0);
		if (h->live && h->id)
			assert_int_equal(id_find(s, h->id)->what, ID_NH | i);
		if (!h->live || !quiet)
			continue;
		assert_int_equal(h->queued + h->adopted, 0);
		if (h->state == NH_PRESENT)
			assert_int_equal(h->retry.times + h->err + h->again, 0);
		assert_true(h->uses > 0);
		assert_true(h->state == NH_PRESENT || (h->dark && h->state != NH_SENT && h->state != NH_DELETING));
	}
	free(uses);
}

/* Routes against the groups that they want and the objects that they are on. */
static inline void
sound_routes(const struct sync *s)
{
	struct counted {
		uint32_t wants, waiters, refs, right[FAMILIES];
	} *n = calloc(s->n_groups + s->n_pgs + 1, sizeof(*n)), *pgs = n + s->n_groups;

	for (int f = 0; f < FAMILIES; f++)
		for (uint32_t i = 1; i <= s->routes[f].top; i++) {
			const struct sroute *r = table_at(&s->routes[f], i);
			bool group = r->want && !ROUTE_SPECIAL(r->want), object = r->have && !ROUTE_SPECIAL(r->have);

			if (!route_live(r))
				continue;
			if (group) {
				n[r->want].wants++;
				n[r->want].waiters += (r->flags & R_WAITS) != 0;
			}
			if (object) {
				pgs[r->have].refs++;
				pgs[r->have].right[f] += group && pg_at(s, r->have)->group == r->want;
			}
		}
	for (uint32_t i = 1; i <= s->n_groups; i++) {
		assert_int_equal(n[i].wants, group_at(s, i)->live ? group_at(s, i)->wants : 0);
		assert_int_equal(n[i].waiters, group_at(s, i)->live ? group_at(s, i)->waiters : 0);
	}
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		const struct pgroup *o = pg_at(s, i);

		assert_int_equal(pgs[i].refs, o->live ? o->refs : 0);
		for (int f = 0; f < FAMILIES; f++)
			assert_int_equal(pgs[i].right[f], o->live ? o->right[f] : 0);
	}
	free(n);
}

static inline void
assert_sound(const struct sync *s, bool quiet)
{
	sound_objects(s, quiet);
	if (quiet)
		sound_routes(s);
}

#endif
