/*
 * platform/sync_hold.c -- a sync that only looks: for a successor that is not in charge yet
 *
 * While it is held nothing leaves. What is wanted meets what was found, as at every start, so what would have to be sent
 * is known without sending it.
 */
#include "platform/sync_internal.h"

void
sync_hold(struct sync *s, bool held)
{
	s->stopped = held;
	if (held)
		return;
	sync_wake(s, true);
	sync_wake(s, false);
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
			else if (route_is_right(s, r))
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
