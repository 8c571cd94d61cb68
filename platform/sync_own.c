/*
 * platform/sync_own.c -- next hops of its own for a group with many IPv6 routes
 *
 *   group of the RIB: wants  A  B  C            shared next hops, of all groups
 *                            :  :  :
 *   its object:       has    A' B' C'           of its own: equal to the shared ones, but for the id
 *
 * The kernel visits every IPv6 route of a group when the group is set, and when a next hop in it is set: with tens of
 * thousands behind one switch that takes longer than all else that a failure elsewhere in the fabric asks for, and keeps
 * the kernel from doing anything else for other ports. It visits none when a next hop is deleted, which leaves its
 * groups by that. So a group is narrowed by deleting, of those next hops that nobody else uses. Wider it grows as ever.
 *
 * The group gets them when its object has caps.own_nexthops IPv6 routes: it is set once more then, while it has few. What
 * it has it keeps, however few the routes become, until its object goes. With it the object is set so that it outlives
 * its last member, since it shall not be set when only one is left. Each private object makes the loss of a neighbour
 * cost one message more, so there are PRIVATE_MANY at most, and none of more than PRIVATE_WIDE members.
 *
 * An own next hop that is refused is replaced by the shared one, until it is taken at a later try. Own ids come from a
 * range of their own (id_is_own()): by that they are known again after a restart, and belong to the group that has them.
 *
 * Always true: an own next hop is used by the list `own` of its object, and by what this object has and was sent,
 * nothing else. Its life (sent, there, refused, dark) is that of any next hop, in sync_group.c.
 */
#include <string.h>

#include "platform/sync_internal.h"

#define PRIVATE_MANY 64
#define PRIVATE_WIDE 128

bool
nh_same(const struct sync *s, uint32_t a, uint32_t b)
{
	const struct nexthop *x = &s->nhs[a], *y = &s->nhs[b];

	return a == b || (x->ifindex == y->ifindex && memcmp(&x->gateway, &y->gateway, sizeof(x->gateway)) == 0);
}

static bool
own_find(const struct sync *s, const struct pgroup *o, uint32_t nh, uint32_t *out)
{
	for (uint32_t i = 0; i < o->own.n; i++) {
		if (nh_same(s, o->own.m[i].nh, nh)) {
			*out = o->own.m[i].nh;
			return true;
		}
	}
	return false;
}

uint32_t
own_or_shared(const struct sync *s, const struct group *g, uint32_t nh)
{
	uint32_t own;

	if (!g->pg || !own_find(s, pg_at(s, g->pg), nh, &own) || s->nhs[own].state == NH_FAILED)
		return nh;
	return own;
}

/* ---- giving and taking them ---- */

/* Whether there is room for n more in the forwarding plane, without taking it from those that all groups share. */
static bool
plane_has_room(const struct sync *s, uint32_t n)
{
	return s->n_nhs + n <= s->platform->caps.max_nexthops / 2;
}

static bool
is_worth_it(const struct sync *s, const struct group *g, const struct pgroup *o)
{
	uint32_t many = s->platform->caps.own_nexthops;

	return many && o->right[FAMILY_IPV6] >= many && g->want.n > 1 && g->want.n <= PRIVATE_WIDE &&
	       s->n_private < PRIVATE_MANY && plane_has_room(s, g->want.n);
}

static void
own_add(struct sync *s, uint32_t pg, uint32_t shared)
{
	const struct nexthop h = s->nhs[shared];
	uint32_t own = nh_new_own(s, h.ifindex, &h.gateway, pg);

	s->nhs[own].dark = h.dark;
	s->nhs[own].lost = h.lost;
	members_add(s, &pg_at(s, pg)->own, own, 1); /* by which it is used, and sent */
}

static void
own_release(struct sync *s, struct pgroup *o, uint32_t nh)
{
	(void)members_prune(s, &o->own, s->nhs[nh].ifindex, nh);
}

static bool
is_wanted(const struct sync *s, const struct group *g, uint32_t own)
{
	for (uint32_t i = 0; i < g->want.n; i++) {
		if (nh_same(s, g->want.m[i].nh, own))
			return true;
	}
	return false;
}

void
own_update(struct sync *s, uint32_t handle)
{
	const struct group *g = group_at(s, handle);
	struct pgroup *o = g->pg ? pg_at(s, g->pg) : NULL;
	uint32_t own;

	if (!o || o->state != PG_PRESENT)
		return;
	if (!o->private) {
		if (!is_worth_it(s, g, o))
			return;
		o->private = true;
		s->n_private++;
	}
	for (uint32_t i = o->own.n; i-- > 0;) {
		own = o->own.m[i].nh;
		if (!members_have(&o->have, own) && !is_wanted(s, g, own))
			own_release(s, o, own);
	}
	for (uint32_t i = 0; i < g->want.n && o->own.n < PRIVATE_WIDE && plane_has_room(s, 1); i++) {
		if (!own_find(s, o, g->want.m[i].nh, &own))
			own_add(s, g->pg, g->want.m[i].nh);
	}
}

void
own_release_all(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);

	for (uint32_t i = 0; i < o->own.n; i++)
		s->nhs[o->own.m[i].nh].owner = 0;
	members_free(s, &o->own);
	s->n_private -= o->private;
	o->private = false;
}

/* ---- narrowing ---- */

/* What is wanted is there, with these weights, and what else is there is its own. */
static bool
can_narrow(const struct sync *s, const struct pgroup *o, const struct members *m)
{
	uint32_t k = 0; /* both are in the order of next hops */

	if (!o->private || o->state != PG_PRESENT || o->again || o->weak)
		return false;
	for (uint32_t i = 0; i < o->have.n; i++) {
		const struct member *had = &o->have.m[i];

		if (k < m->n && m->m[k].nh == had->nh) {
			if (m->m[k++].weight != had->weight)
				return false;
		} else if (!s->nhs[had->nh].own || s->nhs[had->nh].state != NH_PRESENT) {
			return false;
		}
	}
	return k == m->n && k < o->have.n;
}

bool
own_narrow(struct sync *s, uint32_t handle, const struct members *m)
{
	struct pgroup *o = group_at(s, handle)->pg ? pg_at(s, group_at(s, handle)->pg) : NULL;

	if (!o || !can_narrow(s, o, m))
		return false;
	for (uint32_t i = o->have.n; i-- > 0;) {
		uint32_t nh = o->have.m[i].nh;

		if (members_have(m, nh))
			continue;
		if (!sync_room(s, LANE_OBJECTS)) {
			group_queue(s, handle); /* the others when there is room again */
			break;
		}
		s->nhs[nh].state = NH_DELETING;
		sync_emit(s, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = s->nhs[nh].id },
		    &(struct flight){ .kind = F_NH_DEL, .index = nh });
		own_release(s, o, nh);
		(void)members_prune(s, &o->have, s->nhs[nh].ifindex, nh);
	}
	o->parity = s->parity;
	if (o->have.n == 1 && !o->outlives && s->platform->caps.group_outlives) {
		o->weak = true;
		group_queue(s, handle);
	}
	return true;
}

void
own_refused(struct sync *s, uint32_t nh)
{
	uint32_t pg = s->nhs[nh].owner;

	s->nhs[nh].owner = 0; /* what follows is told once */
	if (!pg || !pg_at(s, pg)->live)
		return;
	pg_at(s, pg)->again = true;
	if (pg_at(s, pg)->group)
		group_queue(s, pg_at(s, pg)->group);
}

/* ---- at start ---- */

bool
own_found(struct sync *s, uint32_t pg, const struct members *m)
{
	struct pgroup *o = pg_at(s, pg);

	for (uint32_t i = 0; i < m->n; i++) {
		if (s->nhs[m->m[i].nh].own && s->nhs[m->m[i].nh].owner)
			return false;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		if (!s->nhs[m->m[i].nh].own)
			continue;
		s->nhs[m->m[i].nh].owner = pg;
		members_add(s, &o->own, m->m[i].nh, 1);
	}
	o->private = o->own.n > 0;
	s->n_private += o->private;
	return true;
}
