/*
 * platform/sync_hold.c -- a sync that only looks: for a successor that is not in charge yet
 *
 * While it is held nothing leaves. What is wanted meets what was found, as at every start, so what would have to be sent
 * is known without sending it.
 *
 * A route may be on another object than it wants, and this one have the same members: groups that have lost a next hop
 * became equal, and stayed two. For packets that is right, so it is here; once it is released such a route moves.
 */
#include "platform/sync_internal.h"

void
sync_hold(struct sync *s, bool held)
{
	s->stopped = s->held = held;
	if (held)
		return;
	sync_wake(s, true);
	sync_wake(s, false);
}

static bool
is_alike(const struct sync *s, const struct sroute *r)
{
	const struct pgroup *o;

	if (!r->want || ROUTE_SPECIAL(r->want) || !r->have || ROUTE_SPECIAL(r->have))
		return false;
	o = pg_at(s, r->have);
	return o->state == PG_PRESENT && members_alike(s, &o->have, &group_at(s, r->want)->want);
}

uint64_t
sync_alike(const struct sync *s)
{
	uint64_t n = 0;

	for (int f = 0; f < FAMILIES && s->held; f++)
		for (uint32_t i = s->dirty.head[f]; i;) {
			const struct sroute *r = table_at(&s->routes[f], i);

			n += is_alike(s, r) && !route_is_right(s, r) && group_ready(s, group_at(s, r->want));
			i = r->next;
		}
	return n;
}

void
sync_compare(const struct sync *s, struct sync_comparison *out)
{
	*out = (struct sync_comparison){ 0 };
	for (int f = 0; f < FAMILIES; f++)
		for (uint32_t i = 1; i <= s->routes[f].top; i++) {
			const struct sroute *r = table_at(&s->routes[f], i);

			if (!route_live(r))
				continue;
			if (!r->want)
				out->unwanted += route_has(s, r);
			else if (route_is_right(s, r) || is_alike(s, r))
				out->right++;
			else
				out->wrong++;
		}
	for (size_t i = 0; i < s->n_groups; i++)
		out->groups += s->groups[i].live;
}

bool
sync_idle(const struct sync *s)
{
	for (unsigned int i = 0; i < LANES; i++) {
		if (s->lanes[i].head != s->lanes[i].tail)
			return false;
	}
	return !s->dirty.n[FAMILY_IPV4] && !s->dirty.n[FAMILY_IPV6] && !s->nh_queue.n && !s->group_queue.n &&
	       !s->pg_queue.n;
}
