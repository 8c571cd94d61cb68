/*
 * platform/sync_group.c -- next hops, groups of the RIB, and the objects that stand for them in the forwarding plane
 *
 * A group's message holds those of its wanted members that can be used now: the next hop is proved to be installed, and
 * its port has carrier. It waits for next hops that are on their way: until the answer is there, their id may turn out
 * to be another owner's, and a group would then lead where nobody wanted. Routes wait for their group alike. When the
 * port goes dark, the forwarding plane may shrink the groups by itself (caps.carrier_deletes_nexthops): then only the
 * shadow is updated, and nothing is sent. When no member is left the object is dead, its routes with it, unless it
 * outlives its members (hollow); if the group is wanted when a port comes back it gets a new object. One that was shrunk
 * to a single member is set again, so that it outlives that one, too.
 *
 * Order in urgent_push(): next hops, groups, objects that nobody uses, next hops that nobody uses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sync_internal.h"

/* ---- sets of members ---- */

void
members_free(struct sync *s, struct members *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		nh_use(s, m->m[i].nh, -1);
	mem_free(s->cfg.mem, MEM_FIB, m->m);
	*m = (struct members){ 0 };
}

bool
members_equal(const struct members *a, const struct members *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (a->m[i].nh != b->m[i].nh || a->m[i].weight != b->m[i].weight)
			return false;
	}
	return true;
}

/* Which of them is of this neighbour, n: none. Looked for from `at` on, where it is when both have the same order. */
static uint32_t
members_find(const struct sync *s, const struct members *m, uint32_t nh, uint32_t at)
{
	for (uint32_t k = 0; k < m->n; k++) {
		uint32_t i = (at + k) % m->n; /* the other list may be longer by far */

		if (nh_same(s, m->m[i].nh, nh))
			return i;
	}
	return m->n;
}

bool
members_proportional(const struct members *a, const struct members *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (a->m[i].nh != b->m[i].nh ||
		    (uint32_t)a->m[i].weight * b->m[0].weight != (uint32_t)a->m[0].weight * b->m[i].weight)
			return false;
	}
	return true;
}

bool
members_alike(const struct sync *s, const struct members *a, const struct members *b)
{
	uint32_t first = 0;

	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t k = members_find(s, b, a->m[i].nh, i);

		if (k == b->n)
			return false;
		if (i == 0)
			first = k;
		if ((uint32_t)a->m[i].weight * b->m[first].weight != (uint32_t)a->m[0].weight * b->m[k].weight)
			return false;
	}
	return true;
}

bool
members_add(struct sync *s, struct members *m, uint32_t nh, uint16_t weight)
{
	uint32_t at = m->n;

	while (at > 0 && m->m[at - 1].nh > nh)
		at--;
	if (at > 0 && m->m[at - 1].nh == nh) { /* equal next hops are merged: their weights add up */
		uint32_t sum = (uint32_t)m->m[at - 1].weight + weight;

		m->m[at - 1].weight = (uint16_t)MIN_OF(sum, (uint32_t)UINT16_MAX);
		return false;
	}
	m->m = mem_realloc(s->cfg.mem, MEM_FIB, m->m, ((size_t)m->n + 1) * sizeof(*m->m));
	memmove(&m->m[at + 1], &m->m[at], (m->n - at) * sizeof(*m->m));
	m->m[at] = (struct member){ .nh = nh, .weight = weight };
	m->n++;
	nh_use(s, nh, 1);
	return true;
}

bool
members_have(const struct members *m, uint32_t nh)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->m[i].nh == nh)
			return true;
	}
	return false;
}

bool
members_prune(struct sync *s, struct members *m, uint32_t ifindex, uint32_t only)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		if (s->nhs[m->m[i].nh].ifindex == ifindex && (only == NH_ALL || only == m->m[i].nh))
			nh_use(s, m->m[i].nh, -1);
		else
			m->m[kept++] = m->m[i];
	}
	if (kept == m->n)
		return false;
	m->n = kept;
	if (!kept)
		members_free(s, m);
	return true;
}

/* ---- queues ---- */

void
nh_queue(struct sync *s, uint32_t nh)
{
	if (s->nhs[nh].queued)
		return;
	s->nhs[nh].queued = true;
	vec32_push(s, &s->nh_queue, nh);
	sync_wake(s, true);
}

void
group_queue(struct sync *s, uint32_t handle)
{
	struct group *g = group_at(s, handle);

	if (g->queued)
		return;
	g->queued = true;
	vec32_push(s, &s->group_queue, handle);
	sync_wake(s, true);
}

void
pg_queue(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);

	if (o->queued)
		return;
	o->queued = true;
	vec32_push(s, &s->pg_queue, pg);
	sync_wake(s, true);
}

/* ---- next hops ---- */

void
nh_use(struct sync *s, uint32_t nh, int by)
{
	struct nexthop *h = &s->nhs[nh];

	h->uses += (uint32_t)by;
	if (by > 0)
		h->adopted = false;
	if (h->uses == 0 || (by > 0 && h->uses == 1))
		nh_queue(s, nh);
}

static bool
nh_usable(const struct nexthop *h)
{
	return !h->dark && h->state == NH_PRESENT;
}

/* Soon known whether it can be used. */
static bool
nh_coming(const struct nexthop *h)
{
	return !h->dark && h->state != NH_PRESENT && h->state != NH_FAILED;
}

/* Every group that wants this next hop looks at its members again. */
static void
nh_tell_groups(struct sync *s, uint32_t nh)
{
	const struct nexthop *h = &s->nhs[nh];

	if (h->own) {
		if (h->owner && pg_at(s, h->owner)->group)
			group_queue(s, pg_at(s, h->owner)->group);
		return;
	}
	for (uint32_t i = 1; i <= s->n_groups; i++) {
		if (group_at(s, i)->live && members_have(&group_at(s, i)->want, nh))
			group_queue(s, i);
	}
}

static void
nh_push(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];
	struct plat_op op;

	h->queued = false;
	if (!h->live || h->state == NH_SENT || h->state == NH_DELETING)
		return;
	if (h->uses == 0 && !h->adopted) {
		if (h->state != NH_PRESENT) {
			nh_forget(s, nh);
			return;
		}
		if (!sync_retry_due(s, &h->retry))
			return;
		op = (struct plat_op){ .kind = PLAT_NH_DEL, .id = h->id };
		h->state = NH_DELETING;
		sync_emit(s, &op, &(struct flight){ .kind = F_NH_DEL, .index = nh });
		return;
	}
	if (h->state == NH_PRESENT)
		h->retry.times = 0;
	if (h->state != NH_ABSENT || h->dark || !h->uses)
		return; /* one that was refused waits for the retry timer, or for its port */
	if (!h->id)
		h->id = h->own ? id_new_own(s, ID_NH | nh) : id_new(s, ID_NH | nh);
	op = (struct plat_op){ .kind = PLAT_NH_SET, .id = h->id, .only_new = true };
	op.nh.ifindex = h->ifindex;
	op.nh.gateway = h->gateway;
	h->state = NH_SENT;
	h->again = false;
	sync_emit(s, &op, &(struct flight){ .kind = F_NH, .index = nh });
}

/* A refused deletion: the next hop is still there, and is ours to delete, until it is wanted again. */
static void
nh_deleted(struct sync *s, uint32_t nh, const struct plat_result *res)
{
	struct nexthop *h = &s->nhs[nh];
	bool gone = h->dark && s->platform->caps.carrier_deletes_nexthops;

	h->state = NH_ABSENT;
	if (res->outcome != PLAT_INSTALLED && !gone && !h->uses) {
		if (!h->retry.times)
			sync_event(s, "FIB_NEXTHOP_FAILED", "next hop %u cannot be deleted: %s; it is tried again",
			    h->id, res->detail ? res->detail : strerror(-res->error));
		h->state = NH_PRESENT;
		sync_refused(s, &h->retry);
		own_refused(s, nh);
		return;
	}
	if (res->outcome != PLAT_INSTALLED && h->lost) /* then it is still in its groups */
		audit_soon(s);
	h->retry.times = 0;
	nh_queue(s, nh);
}

void
nh_result(struct sync *s, const struct flight *f, const struct plat_result *res)
{
	struct nexthop *h = &s->nhs[f->index];
	char text[IP_TEXT];

	h->parity = s->parity;
	if (f->kind == F_NH_DEL) {
		nh_deleted(s, f->index, res);
		return;
	}
	if (h->again || !h->uses)
		nh_queue(s, f->index);
	if (h->again) { /* the port went dark meanwhile: whatever it says, it may be gone by now */
		h->state = NH_ABSENT;
		nh_tell_groups(s, f->index);
		return;
	}
	if (res->outcome == PLAT_INSTALLED) {
		h->state = NH_PRESENT;
		h->err = 0;
		h->retry.times = 0;
		nh_tell_groups(s, f->index);
		return;
	}
	h->state = NH_FAILED;
	h->err = sync_error_slot(s, res->error, res->detail);
	if (res->error == -EEXIST) { /* another owner's object has this id: take the next one */
		id_set(s, h->id, ID_FOREIGN);
		h->id = 0;
		h->state = NH_ABSENT;
		s->stats.foreign_conflicts++;
		nh_queue(s, f->index);
	} else if (res->outcome != PLAT_WAITS_LINK && !h->retry.times) {
		sync_event(s, "FIB_NEXTHOP_FAILED", "next hop %s on port %u is refused: %s",
		    ip_print(&h->gateway, text), h->ifindex, res->detail ? res->detail : strerror(-res->error));
	}
	nh_tell_groups(s, f->index);
	if (h->state == NH_FAILED)
		sync_refused(s, &h->retry);
}

static void
nh_retry(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];

	if (!h->live || !h->retry.times || (h->dark && h->state == NH_FAILED)) /* that one waits for its port */
		return;
	if (!sync_retry_due(s, &h->retry)) {
		sync_retry_at(s, &h->retry);
		return;
	}
	if (h->state == NH_FAILED)
		h->state = NH_ABSENT;
	nh_queue(s, nh);
}

void
objects_retry(struct sync *s)
{
	for (uint32_t i = 0; i < s->n_nhs; i++)
		nh_retry(s, i);
	for (uint32_t i = 1; i <= s->n_groups; i++) {
		const struct group *g = group_at(s, i);

		if (!g->live || !g->err)
			continue;
		if (sync_retry_due(s, &g->retry))
			group_queue(s, i);
		else
			sync_retry_at(s, &g->retry);
	}
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		const struct pgroup *o = pg_at(s, i);

		if (!o->live)
			continue;
		if (o->hollow && sync_retry_due(s, &o->empty))
			group_queue(s, o->group);
		else if (o->hollow)
			sync_retry_at(s, &o->empty);
		if (!o->retry.times)
			continue;
		if (sync_retry_due(s, &o->retry))
			pg_queue(s, i);
		else
			sync_retry_at(s, &o->retry);
	}
}

/* ---- objects in the forwarding plane ---- */

uint32_t
pg_new(struct sync *s, uint32_t id)
{
	uint32_t pg;

	if (s->free_pg) {
		pg = s->free_pg;
		s->free_pg = pg_at(s, pg)->next_free;
	} else {
		s->pgs = mem_grow(s->cfg.mem, MEM_FIB, s->pgs, &s->pgs_cap, s->n_pgs + 1, sizeof(*s->pgs));
		pg = (uint32_t)++s->n_pgs;
	}
	*pg_at(s, pg) = (struct pgroup){ .id = id, .live = true, .parity = s->parity };
	if (id)
		id_set(s, id, ID_PG | pg);
	else
		pg_at(s, pg)->id = id_new(s, ID_PG | pg);
	return pg;
}

static void
pg_free(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);
	const struct id_slot *slot = id_find(s, o->id);

	own_release_all(s, pg);
	members_free(s, &o->have);
	members_free(s, &o->sent);
	if (slot && slot->what == (ID_PG | pg))
		id_drop(s, o->id);
	*o = (struct pgroup){ .next_free = s->free_pg };
	s->free_pg = pg;
}

void
pg_ref(struct sync *s, uint32_t pg, int by)
{
	struct pgroup *o = pg_at(s, pg);

	o->refs += (uint32_t)by;
	if (o->refs == 0 && !o->group)
		pg_queue(s, pg);
}

static void
pg_hollow(struct sync *s, struct pgroup *o, bool hollow)
{
	if (o->hollow == hollow)
		return;
	o->hollow = hollow;
	for (int f = 0; f < FAMILIES; f++)
		s->stats.routes_installed[f] += (uint64_t)(hollow ? -(int64_t)o->right[f] : (int64_t)o->right[f]);
	if (!hollow)
		return;
	o->empty = (struct backoff){ .at = mono_add(rt_now(s->cfg.rt), HOLLOW_US), .times = 1 };
	sync_retry_at(s, &o->empty);
}

void
pg_set_have(struct sync *s, struct pgroup *o, struct members *m)
{
	struct members old = o->have;

	o->have = *m;
	*m = (struct members){ 0 };
	members_free(s, &old);
	pg_hollow(s, o, o->group && !o->have.n);
}

void
pg_bind(struct sync *s, uint32_t handle, uint32_t pg)
{
	group_at(s, handle)->pg = pg;
	pg_at(s, pg)->group = handle;
	pg_at(s, pg)->adopted = false;
}

/* The group lets go of its object: what routes still have it will move away, then it is deleted. */
static void
pg_unbind(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);
	struct group *g;

	if (o->group) {
		g = group_at(s, o->group);
		g->pg = 0;
		g->lost = g->lost || o->refs;
		o->group = 0;
	}
	own_release_all(s, pg);
	pg_hollow(s, o, false);
	for (int f = 0; f < FAMILIES; f++) {
		s->stats.routes_installed[f] -= o->right[f];
		o->right[f] = 0;
	}
	pg_queue(s, pg);
}

void
pg_dead(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);
	uint32_t handle = o->group;

	members_free(s, &o->have);
	/* With an operation in flight it may come to life again, empty of routes: its result decides. */
	o->state = o->flight ? PG_SENT : PG_DEAD;
	o->adopted = false;
	pg_unbind(s, pg);
	if (handle)
		group_queue(s, handle);
}

/* Its last member has gone: it with it, or it stays, hollow. */
void
pg_emptied(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);

	if (!o->outlives) {
		pg_dead(s, pg);
		return;
	}
	pg_hollow(s, o, o->group);
	if (o->group)
		group_queue(s, o->group);
}

/* An object without a group: deleted as soon as no route can be on it. */
static void
pg_push(struct sync *s, uint32_t pg)
{
	struct pgroup *o = pg_at(s, pg);

	o->queued = false;
	if (!o->live || o->group || o->refs || o->flight || o->adopted)
		return;
	if (o->state == PG_PRESENT && !sync_retry_due(s, &o->retry))
		return;
	if (o->state == PG_PRESENT) {
		o->state = PG_DELETING;
		o->flight = true;
		sync_emit(s, &(struct plat_op){ .kind = PLAT_GROUP_DEL, .id = o->id },
		    &(struct flight){ .kind = F_GROUP_DEL, .index = pg });
		s->stats.group_messages++;
		return;
	}
	pg_free(s, pg);
}

/* ---- groups ---- */

bool
group_ready(const struct sync *s, const struct group *g)
{
	const struct pgroup *o = g->pg ? pg_at(s, g->pg) : NULL;

	return o && o->state == PG_PRESENT && !o->hollow && !g->told_dark;
}

static bool
group_any(const struct sync *s, const struct group *g, bool (*is)(const struct nexthop *))
{
	for (uint32_t i = 0; i < g->want.n; i++) {
		if (is(&s->nhs[own_or_shared(s, g, g->want.m[i].nh)]))
			return true;
	}
	return false;
}

bool
group_dark(const struct sync *s, const struct group *g)
{
	return !group_any(s, g, nh_usable) && !group_any(s, g, nh_coming);
}

static void
group_tell(struct sync *s, uint32_t handle, bool usable)
{
	struct group *g = group_at(s, handle);

	if (g->told_dark == !usable)
		return;
	g->told_dark = !usable;
	if (s->client->group_state)
		s->client->group_state(s->arg, handle, usable);
}

/* Those wanted members that can be used now, at most as many as the forwarding plane takes. */
static struct members
group_effective(struct sync *s, uint32_t handle)
{
	struct group *g = group_at(s, handle);
	uint32_t max = s->platform->caps.max_group_size ? s->platform->caps.max_group_size : UINT32_MAX;
	struct members m = { 0 };

	for (uint32_t i = 0; i < g->want.n; i++) {
		uint32_t nh = own_or_shared(s, g, g->want.m[i].nh);

		if (!nh_usable(&s->nhs[nh]))
			continue;
		if (m.n == max) {
			if (!g->full)
				sync_event(s, "FIB_GROUP_CUT",
				    "a group of %u next hops is cut to %u, the most that the forwarding plane takes",
				    g->want.n, max);
			g->full = true;
			break;
		}
		members_add(s, &m, nh, g->want.m[i].weight);
	}
	return m;
}

/* The operation owns its array until sync_flush() has handed it over. */
static struct plat_member *
group_message(struct sync *s, const struct members *m)
{
	struct plat_member *out = mem_alloc(s->cfg.mem, MEM_FIB, m->n * sizeof(*out));
	uint32_t limit = s->platform->caps.weight_bits >= 16 ? UINT16_MAX : UINT8_MAX, most = limit;

	for (uint32_t i = 0; i < m->n; i++)
		most = MAX_OF(most, m->m[i].weight);
	for (uint32_t i = 0; i < m->n; i++) {
		uint32_t w = (uint32_t)((uint64_t)m->m[i].weight * limit / most);

		out[i] = (struct plat_member){ .nh = s->nhs[m->m[i].nh].id, .weight = (uint16_t)MAX_OF(w, 1u) };
	}
	return out;
}

static void
group_send(struct sync *s, uint32_t handle, struct members *m)
{
	struct group *g = group_at(s, handle);
	struct pgroup *o;
	struct plat_op op;

	if (!g->pg) {
		uint32_t pg = pg_new(s, 0);

		pg_bind(s, handle, pg);
		g = group_at(s, handle);
	}
	o = pg_at(s, g->pg);
	op = (struct plat_op){ .kind = PLAT_GROUP_SET, .id = o->id, .only_new = o->state != PG_PRESENT };
	op.group.members = group_message(s, m);
	op.group.n = m->n;
	op.group.outlives = o->private;
	members_free(s, &o->sent);
	o->sent = *m;
	*m = (struct members){ 0 };
	if (o->state != PG_PRESENT)
		o->state = PG_SENT;
	o->flight = true;
	o->again = o->weak = false;
	sync_emit(s, &op, &(struct flight){ .kind = F_GROUP, .index = g->pg });
	s->stats.group_messages++;
}

static void
group_forget(struct sync *s, uint32_t handle)
{
	struct group *g = group_at(s, handle);

	if (g->pg)
		pg_unbind(s, g->pg);
	members_free(s, &g->want);
	*g = (struct group){ .next_free = s->free_group };
	s->free_group = handle;
}

/* Its routes are looked at again, in a sweep. */
static void
group_replay(struct sync *s, uint32_t handle)
{
	group_at(s, handle)->replay = s->replaying ? 2 : 1;
	replay_begin(s);
}

/* Routes can be sent to it: those that wait for it are found by a sweep. */
static void
group_usable(struct sync *s, uint32_t handle)
{
	struct group *g = group_at(s, handle);

	group_tell(s, handle, true);
	g = group_at(s, handle);
	if (!g->waiters && !g->lost)
		return;
	g->lost = false;
	group_replay(s, handle);
}

/* The object leads to a next hop that the group does not want. */
static bool
group_is_stale(const struct sync *s, const struct group *g, const struct pgroup *o)
{
	for (uint32_t i = 0; i < o->have.n; i++) {
		if (members_find(s, &g->want, o->have.m[i].nh, i) == g->want.n)
			return true;
	}
	return false;
}

/* All that the group wants is dark, and its object leads elsewhere or nowhere: its routes are taken out of the plane. */
static void
group_abandon(struct sync *s, uint32_t handle)
{
	pg_unbind(s, group_at(s, handle)->pg);
	group_replay(s, handle);
}

/*
 * The object was found at start, and routes are still on it whose neighbours have told nothing of them yet: they may
 * lose next hops, and never gain one. Then the group gets an object of its own, and its routes move there.
 */
static bool
group_must_move(const struct sync *s, const struct group *g)
{
	const struct pgroup *o = g->pg ? pg_at(s, g->pg) : NULL;

	if (!o || !o->taken || o->state != PG_PRESENT || o->refs == o->right[FAMILY_IPV4] + o->right[FAMILY_IPV6])
		return false;
	for (uint32_t i = 0; i < g->want.n; i++) {
		uint32_t nh = g->want.m[i].nh;

		if (nh_usable(&s->nhs[nh]) && members_find(s, &o->have, nh, i) == o->have.n)
			return true;
	}
	return false;
}

/* What is there does for what is wanted: from now on it counts as that. */
static bool
group_is_right(struct sync *s, struct pgroup *o, struct members *m)
{
	if (!o || o->state != PG_PRESENT || o->again || o->weak)
		return false;
	if (!members_proportional(m, &o->have))
		return false;
	if (!members_equal(m, &o->have))
		pg_set_have(s, o, m);
	return true;
}

static void
group_push(struct sync *s, uint32_t handle)
{
	struct group *g = group_at(s, handle);
	struct pgroup *o;
	struct members m;
	uint32_t n;

	g->queued = false;
	if (!g->live)
		return;
	if (g->released && g->wants == 0) {
		group_forget(s, handle);
		return;
	}
	o = g->pg ? pg_at(s, g->pg) : NULL;
	if (o && o->flight)
		return; /* the result puts it here again */
	if (group_must_move(s, g)) {
		pg_unbind(s, g->pg);
		o = NULL;
	}
	own_update(s, handle);
	if (group_any(s, g, nh_coming))
		return;
	m = group_effective(s, handle);
	n = m.n;
	if (n == 0) {
		/* The last member is never taken out by a group change: the routes leave. Dark members may stay. */
		if (o && (group_is_stale(s, g, o) || (o->hollow && sync_retry_due(s, &o->empty))))
			group_abandon(s, handle);
		else if (g->err && g->waiters)
			group_replay(s, handle); /* they kept their old entries while it was merely refused */
		g->err = 0;
		g->retry.times = 0;
		group_tell(s, handle, false);
	} else if (!group_is_right(s, o, &m) && !own_narrow(s, handle, &m)) {
		group_send(s, handle, &m);
	} else {
		g->err = 0;
		g->retry.times = 0;
	}
	if (n && o && o->state == PG_PRESENT)
		group_usable(s, handle);
	members_free(s, &m);
}

static void
group_failed(struct sync *s, uint32_t pg, const struct plat_result *res)
{
	struct pgroup *o = pg_at(s, pg);
	uint32_t handle = o->group;
	struct group *g = handle ? group_at(s, handle) : NULL;
	struct members now = { 0 };

	if (g) { /* what could be used has changed meanwhile: that may be all that was wrong */
		now = group_effective(s, handle);
		if (!members_equal(&now, &o->sent))
			group_queue(s, handle);
		members_free(s, &now);
	}
	members_free(s, &o->sent);
	if (o->state != PG_PRESENT)
		o->state = PG_ABSENT;
	if (!g) {
		pg_queue(s, pg);
		return;
	}
	if (res->error == -EEXIST && o->state == PG_ABSENT) { /* the id is another owner's: take the next one */
		id_set(s, o->id, ID_FOREIGN);
		o->id = id_new(s, ID_PG | pg);
		s->stats.foreign_conflicts++;
		group_queue(s, handle);
		return;
	}
	if (o->again || g->queued) {
		group_queue(s, handle);
		return;
	}
	if (!g->err)
		sync_event(s, "FIB_GROUP_FAILED", "a group of %u next hops is refused: %s", g->want.n,
		    res->detail ? res->detail : strerror(-res->error));
	g->err = sync_error_slot(s, res->error, res->detail);
	sync_refused(s, &g->retry);
	if (res->outcome == PLAT_FAILED)
		audit_soon(s); /* perhaps what it refers to is not there any more */
}

/* A refused deletion leaves the object where it is: it keeps its id and its next hops, and is tried again. */
static void
pg_deleted(struct sync *s, uint32_t pg, const struct plat_result *res)
{
	struct pgroup *o = pg_at(s, pg);

	if (res->outcome != PLAT_INSTALLED && o->state == PG_DELETING) {
		if (!o->retry.times)
			sync_event(s, "FIB_GROUP_FAILED", "group %u cannot be deleted: %s; it is tried again", o->id,
			    res->detail ? res->detail : strerror(-res->error));
		o->state = PG_PRESENT;
		sync_refused(s, &o->retry);
		return;
	}
	o->state = PG_DEAD;
	members_free(s, &o->have);
	pg_queue(s, pg);
}

void
group_result(struct sync *s, const struct flight *f, const struct plat_result *res)
{
	struct pgroup *o = pg_at(s, f->index);
	bool force = o->again;

	o->flight = false;
	o->parity = s->parity;
	if (f->kind == F_GROUP_DEL) {
		pg_deleted(s, f->index, res);
		return;
	}
	if (res->outcome != PLAT_INSTALLED) {
		group_failed(s, f->index, res);
		return;
	}
	pg_set_have(s, o, &o->sent);
	o->state = PG_PRESENT;
	o->outlives = res->outlives;
	if (!o->group) {
		pg_queue(s, f->index);
		return;
	}
	group_at(s, o->group)->err = 0;
	group_at(s, o->group)->retry.times = 0;
	o->again = force;
	group_queue(s, o->group);
}

/* ---- what the RIB calls ---- */

static struct members
members_of(struct sync *s, const struct sync_nexthop *nexthops, size_t n)
{
	struct members m = { 0 };

	for (size_t i = 0; i < n; i++)
		members_add(s, &m, nh_get(s, nexthops[i].ifindex, &nexthops[i].gateway),
		    nexthops[i].weight ? nexthops[i].weight : 1);
	return m;
}

uint32_t
sync_group_new(struct sync *s, const struct sync_nexthop *nexthops, size_t n)
{
	uint32_t handle;

	if (s->free_group) {
		handle = s->free_group;
		s->free_group = group_at(s, handle)->next_free;
	} else {
		s->groups = mem_grow(
		    s->cfg.mem, MEM_FIB, s->groups, &s->groups_cap, s->n_groups + 1, sizeof(*s->groups));
		handle = (uint32_t)++s->n_groups;
	}
	*group_at(s, handle) = (struct group){ .live = true };
	group_at(s, handle)->want = members_of(s, nexthops, n);
	group_queue(s, handle);
	return handle;
}

void
sync_group_change(struct sync *s, uint32_t handle, const struct sync_nexthop *nexthops, size_t n)
{
	struct members old, m;

	if (!handle || handle > s->n_groups || !group_at(s, handle)->live)
		return;
	m = members_of(s, nexthops, n);
	old = group_at(s, handle)->want;
	group_at(s, handle)->want = m;
	group_at(s, handle)->full = false;
	members_free(s, &old);
	group_queue(s, handle);
}

void
sync_group_free(struct sync *s, uint32_t handle)
{
	if (!handle || handle > s->n_groups || !group_at(s, handle)->live)
		return;
	group_at(s, handle)->released = true;
	group_queue(s, handle);
}

size_t
sync_group_members(const struct sync *s, uint32_t handle, struct sync_nexthop *out, size_t max)
{
	const struct pgroup *o;

	if (!handle || handle > s->n_groups || !group_at(s, handle)->live || !group_at(s, handle)->pg)
		return 0;
	o = pg_at(s, group_at(s, handle)->pg);
	for (uint32_t i = 0; i < o->have.n && i < max; i++) {
		const struct nexthop *h = &s->nhs[o->have.m[i].nh];

		out[i] = (struct sync_nexthop){
			.ifindex = h->ifindex, .gateway = h->gateway, .weight = o->have.m[i].weight
		};
	}
	return o->have.n;
}

/* ---- ports ---- */

/* Returns false when that was known already. */
static bool
port_set(struct sync *s, uint32_t ifindex, bool up)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		if (s->ports[i].ifindex == ifindex) {
			bool changed = s->ports[i].up != up;

			s->ports[i].up = up;
			return changed;
		}
	}
	s->ports = mem_grow(s->cfg.mem, MEM_FIB, s->ports, &s->ports_cap, s->n_ports + 1, sizeof(*s->ports));
	s->ports[s->n_ports++] = (struct sync_port){ .ifindex = ifindex, .up = up };
	return true;
}

/* What the forwarding plane did by itself when the port went dark, or when a next hop of it was deleted. */
static void
pg_carrier_lost(struct sync *s, uint32_t pg, uint32_t ifindex, uint32_t only)
{
	struct pgroup *o = pg_at(s, pg);

	if (o->flight) {
		for (uint32_t i = 0; i < o->sent.n; i++)
			o->again = o->again || s->nhs[o->sent.m[i].nh].ifindex == ifindex;
	}
	if (!members_prune(s, &o->have, ifindex, only))
		return;
	o->parity = s->parity;
	if (!o->have.n)
		pg_emptied(s, pg);
	else if (!o->outlives)
		o->weak = o->have.n == 1 && s->platform->caps.group_outlives;
}

static void
nh_light(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];

	h->dark = false;
	h->retry.times = 0;
	if (h->state == NH_FAILED)
		h->state = NH_ABSENT;
	nh_queue(s, nh);
	nh_tell_groups(s, nh);
}

void
sync_port_down(struct sync *s, uint32_t ifindex)
{
	bool deletes = s->platform->caps.carrier_deletes_nexthops;

	if (!port_set(s, ifindex, false))
		return;
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		struct nexthop *h = &s->nhs[i];

		if (!h->live || h->ifindex != ifindex)
			continue;
		h->dark = true;
		if (deletes && h->state == NH_SENT)
			h->again = true;
		else if (deletes && h->state == NH_PRESENT)
			h->state = NH_ABSENT;
		h->parity = s->parity;
		nh_queue(s, i);
		nh_tell_groups(s, i);
	}
	if (!deletes)
		return;
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		if (pg_at(s, i)->live)
			pg_carrier_lost(s, i, ifindex, NH_ALL);
	}
}

void
sync_port_up(struct sync *s, uint32_t ifindex)
{
	if (!port_set(s, ifindex, true))
		return;
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		if (!s->nhs[i].live || s->nhs[i].ifindex != ifindex)
			continue;
		if (!s->nhs[i].lost)
			nh_light(s, i);
	}
}

/* ---- neighbours that are lost while their port has carrier ---- */

/* An object that would go with its last member, and routes are on it; or one that may have this next hop soon. */
static bool
pg_needs(const struct pgroup *o, uint32_t nh)
{
	return o->live && ((o->flight && members_have(&o->sent, nh)) ||
			      (o->refs && !o->outlives && o->have.n == 1 && o->have.m[0].nh == nh));
}

/* Whether to delete it from under its groups is the same as to take it out of each. */
static bool
nh_can_go_first(const struct sync *s, uint32_t nh)
{
	if (!s->platform->caps.carrier_deletes_nexthops || s->nhs[nh].state != NH_PRESENT || !s->started ||
	    s->stopped || !sync_room(s, LANE_OBJECTS))
		return false;
	for (uint32_t i = 1; i <= s->n_pgs; i++)
		if (pg_needs(pg_at(s, i), nh))
			return false;
	return true;
}

/* One message, whatever the number of groups. */
static void
nh_delete_first(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];

	h->state = NH_DELETING;
	sync_emit(s, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = h->id },
	    &(struct flight){ .kind = F_NH_DEL, .index = nh });
	for (uint32_t i = 1; i <= s->n_pgs; i++)
		if (pg_at(s, i)->live)
			pg_carrier_lost(s, i, h->ifindex, nh);
}

void
sync_nexthop_down(struct sync *s, uint32_t ifindex, const struct ip *gateway)
{
	uint32_t nh;

	if (!nh_find(s, ifindex, gateway, &nh) || s->nhs[nh].lost)
		return;
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		if (!s->nhs[i].live || !nh_same(s, i, nh))
			continue;
		s->nhs[i].lost = s->nhs[i].dark = true;
		if (nh_can_go_first(s, i))
			nh_delete_first(s, i);
		nh_tell_groups(s, i);
	}
	if (s->stopped)
		return;
	urgent_push(s);
	sync_flush(s);
}

void
sync_nexthop_up(struct sync *s, uint32_t ifindex, const struct ip *gateway)
{
	bool dark = false;
	uint32_t nh;

	if (!nh_find(s, ifindex, gateway, &nh) || !s->nhs[nh].lost)
		return;
	for (size_t i = 0; i < s->n_ports; i++)
		dark = dark || (s->ports[i].ifindex == ifindex && !s->ports[i].up);
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		if (!s->nhs[i].live || !nh_same(s, i, nh))
			continue;
		s->nhs[i].lost = false;
		if (!dark)
			nh_light(s, i);
	}
}

/*
 * Queues hold what may need an operation, each at most once. What is processed may queue more; deletions of objects
 * may only now become possible. Stops, keeping the rest, when the batch cannot take more.
 */
static bool
drain(struct sync *s, struct vec32 *q, void (*push)(struct sync *, uint32_t))
{
	size_t i = 0;

	while (i < q->n && sync_room(s, LANE_OBJECTS))
		push(s, q->v[i++]);
	if (i < q->n)
		memmove(q->v, q->v + i, (q->n - i) * sizeof(*q->v));
	q->n -= i;
	return q->n == 0;
}

bool
urgent_push(struct sync *s)
{
	if (!s->started)
		return false;
	do {
		if (!drain(s, &s->nh_queue, nh_push) || !drain(s, &s->group_queue, group_push) ||
		    !drain(s, &s->pg_queue, pg_push))
			return false;
	} while (s->nh_queue.n || s->group_queue.n || s->pg_queue.n);
	return true;
}
