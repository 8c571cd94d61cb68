/*
 * platform/sync_route.c -- what routes want, what they have, and the operations that lead from one to the other
 *
 * A route that is not right stands once on the dirty queue, whatever happened to it how often. When its turn comes the
 * operation is made from what is wanted then: so the latest wins. A refused route is marked, and tried again with
 * growing pauses: a few at first, more when they succeed (a full table is not hammered). One that an audit finds to be
 * there after all is told as installed at once, from the queue.
 */
#include <errno.h>
#include <string.h>

#include "platform/sync_internal.h"

static struct sroute *
route_at(const struct sync *s, enum family f, uint32_t index)
{
	return table_at(&s->routes[f], index);
}

static bool
is_pg(uint32_t have)
{
	return have && !ROUTE_SPECIAL(have);
}

bool
route_has(const struct sync *s, const struct sroute *r)
{
	const struct pgroup *o;

	if (!is_pg(r->have))
		return r->have != 0;
	o = pg_at(s, r->have);
	return o->state == PG_PRESENT || o->state == PG_SENT || o->state == PG_DELETING;
}

/* Counted among those that are installed as wanted. */
static bool
is_counted(const struct sync *s, const struct sroute *r)
{
	if (!r->want || !r->have)
		return false;
	if (ROUTE_SPECIAL(r->want))
		return r->have == r->want;
	return is_pg(r->have) && pg_at(s, r->have)->group == r->want;
}

bool
route_is_right(const struct sync *s, const struct sroute *r)
{
	return r->want ? is_counted(s, r) : !route_has(s, r);
}

static void
account(struct sync *s, enum family f, const struct sroute *r, int by)
{
	struct pgroup *o;

	if (!is_counted(s, r))
		return;
	if (is_pg(r->have)) {
		o = pg_at(s, r->have);
		o->right[f] += (uint32_t)by;
		if (f == FAMILY_IPV6 && by > 0 && o->right[f] == s->platform->caps.own_nexthops)
			group_queue(s, o->group);
	}
	if (!is_pg(r->have) || !pg_at(s, r->have)->hollow)
		s->stats.routes_installed[f] += (uint64_t)(int64_t)by;
}

void
route_set_have(struct sync *s, enum family f, uint32_t index, uint32_t have)
{
	struct sroute *r = route_at(s, f, index);
	uint32_t old = r->have;

	if (old == have)
		return;
	account(s, f, r, -1);
	if (is_pg(have))
		pg_ref(s, have, 1);
	r->have = have;
	account(s, f, r, 1);
	if (is_pg(old))
		pg_ref(s, old, -1);
}

static void
waits(struct sync *s, struct sroute *r, bool on)
{
	if (on == !!(r->flags & R_WAITS))
		return;
	r->flags ^= R_WAITS;
	if (r->want && !ROUTE_SPECIAL(r->want))
		group_at(s, r->want)->waiters += on ? 1u : -1u;
}

static void
set_want(struct sync *s, enum family f, uint32_t index, uint32_t want)
{
	struct sroute *r = route_at(s, f, index);
	struct group *g;

	if (r->want == want)
		return;
	account(s, f, r, -1);
	waits(s, r, false);
	if (r->want && !ROUTE_SPECIAL(r->want)) {
		g = group_at(s, r->want);
		if (--g->wants == 0 && g->released)
			group_queue(s, r->want);
	}
	if (want && !ROUTE_SPECIAL(want))
		group_at(s, want)->wants++;
	s->stats.routes_wanted[f] += (uint64_t)(int64_t)((want != 0) - (r->want != 0));
	r->want = want;
	account(s, f, r, 1);
}

static void
refused(struct sync *s, enum family f, struct sroute *r, bool on)
{
	if (on == !!(r->flags & R_RETRY))
		return;
	r->flags ^= R_RETRY;
	s->refused[f] += on ? 1u : -1u;
}

void
route_touch(struct sync *s, enum family f, uint32_t index)
{
	struct sroute *r = route_at(s, f, index);

	if (r->flags & (R_FLIGHT | R_DIRTY | R_FIRST))
		return;
	if (!route_is_right(s, r)) {
		if (!(r->flags & R_RETRY) && (!(r->flags & R_ADOPTED) || s->swept || r->want)) {
			queue_push(s, f, index);
			sync_wake(s, false);
		}
		return;
	}
	refused(s, f, r, false);
	if (!r->want) {
		route_set_have(s, f, index, 0);
		table_remove(s, &s->routes[f], index);
	} else if (r->err || r->flags & R_WAITS) { /* it is there after all, and something else was told */
		queue_push(s, f, index);
		sync_wake(s, false);
	}
}

static void
first_push(struct sync *s, enum family f, uint32_t index)
{
	vec32_push(s, &s->first[f], index);
	sync_wake(s, false);
}

/* What is under way and was new can only have been taken away after it was done: it is sent again when it is told. */
void
route_taken(struct sync *s, enum family f, uint32_t index)
{
	struct sroute *r = route_at(s, f, index);

	if (r->flags & R_FLIGHT) {
		r->flags |= R_FIRST;
		return;
	}
	route_set_have(s, f, index, 0);
	if (r->flags & R_FIRST)
		return;
	if (!r->want) {
		route_touch(s, f, index);
		return;
	}
	r->flags |= R_FIRST;
	first_push(s, f, index);
}

int
table_slot(struct sync *s, uint32_t table, bool make)
{
	size_t i = 0;

	while (i < s->n_tables && s->tables[i] != table)
		i++;
	if (i < s->n_tables)
		return (int)i;
	if (!make || i > UINT8_MAX)
		return -1;
	s->tables = mem_grow(s->cfg.mem, MEM_FIB, s->tables, &s->tables_cap, i + 1, sizeof(*s->tables));
	s->tables[s->n_tables++] = table;
	return (int)i;
}

/* ---- operations ---- */

static void
tell(struct sync *s, enum family f, const struct sroute *r, enum sync_route_state state)
{
	struct prefix p;

	if (!s->client->route_state || (r->flags & R_COVER))
		return;
	p = route_prefix(&s->routes[f], r);
	s->client->route_state(
	    s->arg, s->tables[r->table], &p, state, s->errors[r->err].error, s->errors[r->err].detail);
}

enum target { SEND, LATER, WAIT };

/*
 * What there is to send for this route now, as the `have` that it shall lead to. LATER: its group is under way. WAIT:
 * its group cannot be used; a sweep finds the route again when it can.
 */
static enum target
route_target(struct sync *s, enum family f, struct sroute *r, uint32_t *target)
{
	const struct group *g;

	*target = r->want;
	if (!r->want || ROUTE_SPECIAL(r->want))
		return SEND;
	g = group_at(s, r->want);
	if (group_ready(s, g)) {
		*target = g->pg;
		return SEND;
	}
	if (!g->err && !group_dark(s, g))
		return LATER;
	if (!(r->flags & R_WAITS)) {
		waits(s, r, true);
		r->err = g->err;
		tell(s, f, r, g->err ? SYNC_FAILED : SYNC_WAITS_LINK);
	}
	/* Its group is dark: what is still there points to next hops that do not lead to it any more. Refused for
	 * another reason: the old entry stays. */
	*target = 0;
	return group_dark(s, g) && route_has(s, r) ? SEND : WAIT;
}

/* False: not now, it stands in the queue again. */
static bool
route_send(struct sync *s, enum family f, uint32_t index)
{
	struct sroute *r = route_at(s, f, index);
	struct flight flight = { .kind = F_ROUTE, .family = (uint8_t)f, .index = index };
	struct plat_op op = { .kind = PLAT_ROUTE_SET };
	enum target target;

	if (r->flags & R_FLIGHT) /* sent as a repair meanwhile: its result looks at it again */
		return true;
	if (route_is_right(s, r)) {
		waits(s, r, false);
		r->err = 0;
		if (r->want)
			tell(s, f, r, SYNC_INSTALLED);
		route_touch(s, f, index);
		return true;
	}
	target = route_target(s, f, r, &flight.sent);
	if (target == LATER && !(r->flags & R_DIRTY))
		queue_push(s, f, index);
	if (target != SEND)
		return target != LATER;
	if (flight.sent)
		waits(s, r, false);
	op.route.table = s->tables[r->table];
	op.route.prefix = route_prefix(&s->routes[f], r);
	op.route.metric = r->flags & R_COVER ? s->cfg.cover_metric : s->cfg.metric;
	if (!flight.sent) {
		op.kind = PLAT_ROUTE_DEL;
	} else if (ROUTE_SPECIAL(flight.sent)) {
		op.route.type = flight.sent == ROUTE_UNREACHABLE ? PLAT_UNREACHABLE : PLAT_BLACKHOLE;
	} else {
		op.route.type = PLAT_UNICAST;
		op.route.group = pg_at(s, flight.sent)->id;
		op.route.source = s->cfg.source[f];
		pg_ref(s, flight.sent, 1);
	}
	op.only_new = !route_has(s, r);
	r->flags = (uint8_t)((r->flags & ~R_FIRST) | R_FLIGHT);
	s->stats.route_messages++;
	sync_emit(s, &op, &flight);
	return true;
}

static void
route_refused(struct sync *s, enum family f, uint32_t index, const struct flight *flight, const struct plat_result *res)
{
	struct sroute *r = route_at(s, f, index);

	/* Its object went away under it: that is no fault of the route, and the group's own story tells the rest. */
	if (is_pg(flight->sent) && pg_at(s, flight->sent)->state != PG_PRESENT) {
		route_touch(s, f, index);
		return;
	}
	r->err = sync_error_slot(s, res->error, res->detail);
	s->stats.foreign_conflicts += res->error == -EEXIST;
	if (res->outcome == PLAT_FAILED)
		audit_soon(s); /* perhaps it is ours after all, or its group is not there any more */
	refused(s, f, r, true);
	if (!s->retry.times) /* else the timer is set */
		sync_refused(s, &s->retry);
	tell(s, f, r, SYNC_FAILED);
}

bool
route_to_tell(const struct sync *s, const struct flight *flight, struct prefix *p, uint32_t *table)
{
	enum family f = (enum family)flight->family;
	const struct sroute *r = route_at(s, f, flight->index);

	if (!r->want || r->flags & R_COVER)
		return false;
	*p = route_prefix(&s->routes[f], r);
	*table = s->tables[r->table];
	return true;
}

void
route_result(struct sync *s, const struct flight *flight, const struct plat_result *res)
{
	enum family f = (enum family)flight->family;
	uint32_t index = flight->index;
	struct sroute *r = route_at(s, f, index);
	bool taken = r->flags & R_FIRST;

	r->flags = (uint8_t)((r->flags & ~(R_FLIGHT | R_SEEN | R_FIRST)) | (s->parity ? R_SEEN : 0));
	if (res->outcome == PLAT_INSTALLED && taken) {
		route_taken(s, f, index);
	} else if (res->outcome == PLAT_INSTALLED) {
		if (r->err || !flight->sent) /* there may be room for others, too */
			s->progress = true;
		r->err = 0;
		route_set_have(s, f, index, flight->sent);
		if (r->want && route_is_right(s, r))
			tell(s, f, r, SYNC_INSTALLED);
		route_touch(s, f, index);
	} else {
		route_refused(s, f, index, flight, res);
	}
	if (is_pg(flight->sent))
		pg_ref(s, flight->sent, -1);
}

/* The latest first: their order is no matter. What was sent, or came here, twice has no flag any more. */
static void
repairs_push(struct sync *s, enum family f)
{
	struct vec32 *q = &s->first[f];

	while (q->n && sync_room(s, LANE_ROUTES)) {
		uint32_t index = q->v[--q->n];
		struct sroute *r = route_at(s, f, index);

		if (!(r->flags & R_FIRST) || r->flags & R_FLIGHT)
			continue;
		r->flags &= (uint8_t)~R_FIRST;
		if (!(r->flags & R_RETRY))
			route_send(s, f, index);
	}
}

/* Routes whose group is under way go to the end; when all that are left are such, results wake us for them. */
bool
routes_push(struct sync *s)
{
	struct mono end = mono_add(rt_clock(s->cfg.rt), SEND_US);
	uint64_t sent = 0;

	for (int f = 0; f < FAMILIES; f++)
		repairs_push(s, (enum family)f);
	for (int f = 0; f < FAMILIES; f++) {
		while (s->dirty.n[f] > s->later[f]) {
			if (!sync_room(s, LANE_ROUTES))
				return true;
			if (sent++ % SYNC_BATCH == SYNC_BATCH - 1 && mono_due(end, rt_clock(s->cfg.rt)))
				return true;
			if (!route_send(s, (enum family)f, queue_pop(s, (enum family)f)))
				s->later[f]++; /* how many at the end of the queue have had their turn in vain */
		}
		s->later[f] = 0;
	}
	return false;
}

/* Refused routes come again: few while nothing succeeds, many as soon as something does. */
void
retry_begin(struct sync *s)
{
	if (!s->refused[FAMILY_IPV4] && !s->refused[FAMILY_IPV6])
		return;
	s->retry_budget = s->progress ? SYNC_SLICE : 16;
	s->retrying = true;
	sync_wake(s, false);
}

void
retry_step(struct sync *s)
{
	size_t looks = (size_t)SYNC_SLICE * 8;

	for (int f = 0; f < FAMILIES && s->retrying; f++) {
		struct route_table *t = &s->routes[f];

		while (s->refused[f] && s->retry_budget) {
			uint32_t index = s->retry_at[f] = s->retry_at[f] >= t->top ? 1 : s->retry_at[f] + 1;
			struct sroute *r = table_at(t, index);

			if (r->flags & R_RETRY) {
				refused(s, (enum family)f, r, false);
				route_touch(s, (enum family)f, index);
				s->retry_budget--;
			}
			if (!--looks)
				return;
		}
	}
	s->retrying = false;
}

/* ---- groups that came back: one sweep over all routes finds those to send again ---- */

void
replay_begin(struct sync *s)
{
	if (s->replaying)
		return;
	s->replaying = true;
	s->replay_at[FAMILY_IPV4] = s->replay_at[FAMILY_IPV6] = 1;
	sync_wake(s, false);
}

static void
replay_end(struct sync *s)
{
	bool again = false;

	s->replaying = false;
	for (uint32_t i = 1; i <= s->n_groups; i++) {
		struct group *g = group_at(s, i);

		if (g->replay)
			g->replay--;
		again = again || g->replay;
	}
	if (again)
		replay_begin(s);
}

void
replay_step(struct sync *s)
{
	size_t budget = (size_t)SYNC_SLICE * 8;

	for (int f = 0; f < FAMILIES && s->replaying; f++) {
		struct route_table *t = &s->routes[f];

		while (s->replay_at[f] <= t->top) {
			uint32_t index = s->replay_at[f]++;
			const struct sroute *r = table_at(t, index);

			if (r->want && !ROUTE_SPECIAL(r->want) && group_at(s, r->want)->replay == 1)
				route_touch(s, (enum family)f, index);
			if (!--budget)
				return;
		}
	}
	if (s->replaying)
		replay_end(s);
}

/* ---- what the RIB calls ---- */

static uint32_t
route_entry(struct sync *s, uint32_t table, const struct prefix *p, bool cover)
{
	int slot = table_slot(s, table, true);

	return slot < 0 ? 0 : table_get(s, &s->routes[ip_family(p)], (uint8_t)slot, p, cover);
}

static void
want(struct sync *s, enum family f, uint32_t index, uint32_t value)
{
	struct sroute *r = route_at(s, f, index);
	bool changed = r->want != value;

	r->flags &= (uint8_t)~R_ADOPTED;
	if (changed) { /* something new: no reason to wait, and nothing to be said of it yet */
		refused(s, f, r, false);
		r->err = 0;
	}
	set_want(s, f, index, value);
	if (changed && value && !(r->flags & (R_FLIGHT | R_DIRTY | R_FIRST)) && route_is_right(s, r)) {
		queue_push(s, f, index); /* nothing to send, but it is to be told, from the loop */
		sync_wake(s, false);
		return;
	}
	route_touch(s, f, index);
}

/*
 * At the restart the RIB's groups meet what was found: a group takes over the object that its first route is on when
 * that has exactly the wanted members. So objects and routes stay as they are, and nothing is sent.
 */
static void
adopt_object(struct sync *s, uint32_t handle, const struct sroute *r)
{
	struct group *g = group_at(s, handle);
	struct pgroup *o;

	if (g->pg || g->mismatch || !is_pg(r->have) || r->want)
		return;
	o = pg_at(s, r->have);
	if (o->adopted && !o->group && o->state == PG_PRESENT && members_alike(s, &o->have, &g->want)) {
		pg_bind(s, handle, r->have);
		o->taken = true;
	} else {
		g->mismatch = true;
	}
}

void
sync_routes_soon(const struct sync *s, uint32_t table, const struct prefix *p, size_t n)
{
	for (size_t i = 0; n && i < s->n_tables; i++)
		if (s->tables[i] == table)
			table_prefetch(s, &s->routes[ip_family(p)], (uint8_t)i, p, n);
}

void
sync_route_set(struct sync *s, uint32_t table, const struct prefix *p, uint32_t handle)
{
	enum family f = ip_family(p);
	uint32_t index;

	if (!handle || handle > s->n_groups || !group_at(s, handle)->live)
		return;
	index = route_entry(s, table, p, false);
	if (!index)
		return;
	adopt_object(s, handle, route_at(s, f, index));
	want(s, f, index, handle);
}

void
sync_route_cover(struct sync *s, uint32_t table, const struct prefix *p, enum plat_route_type type)
{
	uint32_t index = route_entry(s, table, p, true);

	if (index)
		want(s, ip_family(p), index, type == PLAT_BLACKHOLE ? ROUTE_BLACKHOLE : ROUTE_UNREACHABLE);
}

static void
unwant(struct sync *s, uint32_t table, const struct prefix *p, bool cover)
{
	int slot = table_slot(s, table, false);
	uint32_t index = slot < 0 ? 0 : table_find(s, &s->routes[ip_family(p)], (uint8_t)slot, p, cover);

	if (index)
		want(s, ip_family(p), index, 0);
}

void
sync_route_del(struct sync *s, uint32_t table, const struct prefix *p)
{
	unwant(s, table, p, false);
}

void
sync_route_uncover(struct sync *s, uint32_t table, const struct prefix *p)
{
	unwant(s, table, p, true);
}

/* ---- views ---- */

static enum sync_route_state
route_state_of(const struct sync *s, const struct sroute *r)
{
	if (!r->want)
		return route_has(s, r) || r->flags & R_FLIGHT ? SYNC_DELETING : SYNC_ABSENT;
	if (!ROUTE_SPECIAL(r->want)) {
		const struct group *g = group_at(s, r->want);

		if (g->told_dark)
			return SYNC_WAITS_LINK;
		if (!group_ready(s, g) && !is_counted(s, r))
			return g->err ? SYNC_FAILED : group_dark(s, g) ? SYNC_WAITS_LINK : SYNC_PENDING;
	}
	if (r->err) /* also while it is tried again */
		return SYNC_FAILED;
	return is_counted(s, r) ? SYNC_INSTALLED : SYNC_PENDING;
}

static void
route_view(const struct sync *s, const struct route_table *t, const struct sroute *r, struct sync_route_view *out)
{
	uint8_t err = r->err;

	if (!err && r->want && !ROUTE_SPECIAL(r->want) && r->flags & R_WAITS)
		err = group_at(s, r->want)->err;
	*out = (struct sync_route_view){
		.prefix = route_prefix(t, r),
		.table = s->tables[r->table],
		.group = ROUTE_SPECIAL(r->want) ? 0 : r->want,
		.metric = r->flags & R_COVER ? s->cfg.cover_metric : s->cfg.metric,
		.platform_group = is_pg(r->have) && route_has(s, r) ? pg_at(s, r->have)->id : 0,
		.state = route_state_of(s, r),
		.error = s->errors[err].error,
		.detail = s->errors[err].detail,
		.cover = r->flags & R_COVER,
	};
}

bool
sync_route_get(const struct sync *s, uint32_t table, const struct prefix *p, struct sync_route_view *out)
{
	const struct route_table *t = &s->routes[ip_family(p)];

	for (size_t i = 0; i < s->n_tables; i++) {
		uint32_t index = s->tables[i] == table ? table_find(s, t, (uint8_t)i, p, false) : 0;

		if (index) {
			route_view(s, t, table_at(t, index), out);
			return true;
		}
	}
	return false;
}
