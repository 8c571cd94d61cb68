/*
 * platform/sync_audit.c -- reading the forwarding plane back: adoption at start, the audit, and the check
 *
 * One walk serves all three. Every object of the shadow carries a bit that is compared with sync.parity: what the dump
 * shows, and what an operation touches meanwhile, takes the walk's parity; what keeps the old one at the end is not in
 * the forwarding plane. Objects with an operation in flight are left alone: their result tells. So are those that were
 * touched since the walk began: what was read of them may be older. The marks of a walk that was broken off are taken
 * off first: else what it had not reached would look as if it had been seen.
 *
 * Always true: while an audit is wanted, one is under way, or the timer or the work that begins it is set.
 *
 * Before sync_sweep(), what is ours and unknown is adopted; after it, such things are differences, and deleted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/sync_internal.h"

#define AUDIT_SLICE ((size_t)SYNC_SLICE * 8) /* routes of the shadow that are looked at in one step */
#define CHECK_US    MS(1)                    /* a step of a check */
#define CHECK_ROWS  256                      /* differences told in one step */
#define BROKEN_OFF  3                        /* walks in a row that new trouble breaks off; the next comes to its end */

static void
differs(struct sync *s, const char *what, const struct prefix *p, const char *text)
{
	s->audit.differences++;
	if (s->audit.diff)
		s->audit.diff(s->audit.arg, what, p, text);
	if (s->audit.repair)
		s->stats.repairs++;
}

/* Ours, and no object of the shadow stands for it: to be deleted, once the sweep has been asked for. */
static void
extra(struct sync *s, const struct plat_op *deletion)
{
	if (!s->audit.repair)
		return;
	s->extras = mem_grow(s->cfg.mem, MEM_FIB, s->extras, &s->extras_cap, s->n_extras + 1, sizeof(*s->extras));
	s->extras[s->n_extras++] = *deletion;
}

/*
 * An old object that was not deleted, though it was said to be, stands where one of the other kind should be, to which
 * its id was given since. Whatever is sent for that one is refused until the old one is gone.
 */
static void
misplaced(struct sync *s, enum plat_kind deletion, const struct id_slot *slot)
{
	bool nh = deletion == PLAT_NH_DEL;
	uint32_t owner = slot->what & ~ID_KIND;
	char text[100];

	snprintf(text, sizeof(text), "%s %u stands where a %s should be", nh ? "next hop" : "group", slot->id,
	    nh ? "group" : "next hop");
	differs(s, nh ? "unwanted next hop" : "unwanted group", NULL, text);
	if (!s->audit.repair)
		return;
	if (nh)
		pg_at(s, owner)->again = true;
	else
		s->nhs[owner].again = true;
	extra(s, &(struct plat_op){ .kind = deletion, .id = slot->id });
}

/*
 * Whether an extra is to be deleted now. A misplaced one is not when its owner was sent since it was seen: then the
 * owner may be there. If it is deleted, the owner is sent behind that.
 */
static bool
extra_is_due(struct sync *s, const struct plat_op *op)
{
	const struct id_slot *slot = op->kind == PLAT_ROUTE_DEL ? NULL : id_find(s, op->id);
	uint32_t owner = slot ? slot->what & ~ID_KIND : 0;

	if (!slot || slot->what == ID_FOREIGN)
		return true;
	if ((slot->what & ID_KIND) == ID_PG) {
		const struct pgroup *o = pg_at(s, owner);

		if (!o->again || o->flight)
			return false;
		if (o->group)
			group_queue(s, o->group);
		return true;
	}
	if (!s->nhs[owner].again || s->nhs[owner].state == NH_SENT)
		return false;
	s->nhs[owner].state = NH_ABSENT;
	nh_queue(s, owner);
	return true;
}

/* ---- next hops ---- */

static void
nh_unknown(struct sync *s, const struct plat_op *op)
{
	uint32_t nh;
	char text[100];

	if (s->swept || !s->audit.repair) {
		snprintf(text, sizeof(text), "next hop %u on port %u is wanted by nobody", op->id, op->nh.ifindex);
		differs(s, "unwanted next hop", NULL, text);
		if (!s->audit.repair)
			return;
	}
	nh = id_is_own(s, op->id) ? nh_new_own(s, op->nh.ifindex, &op->nh.gateway, 0)
				  : nh_get(s, op->nh.ifindex, &op->nh.gateway);
	if (s->nhs[nh].id) { /* a second one for the same neighbour: its id stays taken until it is gone */
		extra(s, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = op->id });
		id_set(s, op->id, ID_FOREIGN);
		return;
	}
	s->nhs[nh].id = op->id;
	s->nhs[nh].state = NH_PRESENT;
	s->nhs[nh].adopted = !s->swept;
	id_set(s, op->id, ID_NH | nh);
	nh_queue(s, nh);
}

static void
nh_item(struct sync *s, const struct plat_dumped *d)
{
	const struct id_slot *slot = id_find(s, d->op.id);
	struct nexthop *h;
	bool touched;
	char text[100];

	if (d->foreign) {
		if (!slot)
			id_set(s, d->op.id, ID_FOREIGN);
		return; /* one of ours that was replaced is found as not seen */
	}
	if (!slot || (slot->what & ID_KIND) != ID_NH) {
		if (!slot)
			nh_unknown(s, &d->op);
		else if (slot->what == ID_FOREIGN)
			extra(s, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = d->op.id });
		else
			misplaced(s, PLAT_NH_DEL, slot);
		return;
	}
	h = &s->nhs[slot->what & ~ID_KIND];
	touched = h->parity == s->parity;
	h->parity = s->parity;
	if (touched || h->state == NH_SENT || h->state == NH_DELETING)
		return;
	if (h->ifindex == d->op.nh.ifindex && memcmp(&h->gateway, &d->op.nh.gateway, sizeof(h->gateway)) == 0 &&
	    h->state == NH_PRESENT)
		return;
	snprintf(text, sizeof(text), "next hop %u is not what was sent", d->op.id);
	differs(s, "next hop", NULL, text);
	if (!s->audit.repair)
		return;
	h->state = NH_ABSENT;
	h->again = true; /* send it whatever is there */
	nh_queue(s, slot->what & ~ID_KIND);
}

/* ---- groups ---- */

/* The dumped members in terms of the shadow; false when one is not known. */
static bool
members_from(struct sync *s, const struct plat_op *op, struct members *out)
{
	*out = (struct members){ 0 };
	for (size_t i = 0; i < op->group.n; i++) {
		const struct id_slot *slot = id_find(s, op->group.members[i].nh);

		if (!slot || (slot->what & ID_KIND) != ID_NH) {
			members_free(s, out);
			return false;
		}
		members_add(s, out, slot->what & ~ID_KIND, op->group.members[i].weight);
	}
	return true;
}

/* Whether it outlives its last member; if it does not, but could, it is to be set again. */
static void
group_strength(const struct sync *s, struct pgroup *o, const struct plat_op *op)
{
	o->outlives = op->group.outlives;
	o->weak = (o->have.n == 1 || o->private) && !o->outlives && s->platform->caps.group_outlives;
}

static void
group_unknown(struct sync *s, const struct plat_op *op)
{
	struct members m;
	struct pgroup *o;
	uint32_t pg;
	char text[100];

	if (s->swept || !s->audit.repair) {
		snprintf(text, sizeof(text), "group %u is wanted by nobody", op->id);
		differs(s, "unwanted group", NULL, text);
		if (!s->audit.repair)
			return;
	}
	pg = pg_new(s, op->id);
	/* With unknown members, or those of another group, it equals nothing, and goes with the sweep. */
	if (members_from(s, op, &m) && !own_found(s, pg, &m))
		members_free(s, &m);
	o = pg_at(s, pg);
	pg_set_have(s, o, &m);
	o->state = PG_PRESENT;
	o->adopted = !s->swept;
	group_strength(s, o, op);
	pg_queue(s, pg);
}

static void
group_item(struct sync *s, const struct plat_dumped *d)
{
	const struct id_slot *slot = id_find(s, d->op.id);
	struct pgroup *o;
	struct members m;
	bool known, equal, touched;
	char text[100];

	if (d->foreign) {
		if (!slot)
			id_set(s, d->op.id, ID_FOREIGN);
		return;
	}
	if (!slot || (slot->what & ID_KIND) != ID_PG) {
		if (!slot)
			group_unknown(s, &d->op);
		else if (slot->what != ID_FOREIGN)
			misplaced(s, PLAT_GROUP_DEL, slot);
		return;
	}
	o = pg_at(s, slot->what & ~ID_KIND);
	touched = o->parity == s->parity;
	o->parity = s->parity;
	if (touched || o->flight || o->state == PG_DELETING)
		return;
	known = members_from(s, &d->op, &m);
	equal = known && o->state == PG_PRESENT && members_proportional(&m, &o->have);
	if (!equal) {
		snprintf(text, sizeof(text), "group %u has other members than were sent", d->op.id);
		differs(s, "group", NULL, text);
	}
	if (!equal && s->audit.repair) {
		pg_set_have(s, o, &m);
		o->again = true;
		o->state = PG_PRESENT;
		if (!o->group)
			pg_queue(s, slot->what & ~ID_KIND);
	}
	if (s->audit.repair) {
		group_strength(s, o, &d->op);
		if (o->group && (o->again || o->weak))
			group_queue(s, o->group);
	}
	members_free(s, &m);
}

/* ---- routes ---- */

static uint32_t
route_value(struct sync *s, const struct plat_route *r)
{
	const struct id_slot *slot;
	const struct ip *source;

	if (r->type != PLAT_UNICAST)
		return r->type == PLAT_BLACKHOLE ? ROUTE_BLACKHOLE : ROUTE_UNREACHABLE;
	slot = r->group_is_nh ? NULL : id_find(s, r->group);
	if (!slot || (slot->what & ID_KIND) != ID_PG)
		return ROUTE_OTHER;
	source = &s->cfg.source[ip_family(&r->prefix)];
	if (!ip_equal(&r->source, source) && !(ip_is_zero(&r->source) && ip_is_zero(source)))
		return ROUTE_OTHER;
	return slot->what & ~ID_KIND;
}

static void
route_unknown(struct sync *s, const struct plat_route *r, int slot, bool cover, uint32_t value)
{
	enum family f = ip_family(&r->prefix);
	uint32_t index;

	if (s->swept || !s->audit.repair) {
		differs(s, "unwanted route", &r->prefix, "it is in the forwarding plane, and nobody wants it");
		if (!s->audit.repair)
			return;
	}
	index = table_add(s, &s->routes[f], (uint8_t)slot, &r->prefix, cover);
	table_at(&s->routes[f], index)->flags |= s->swept ? 0 : R_ADOPTED;
	s->stats.routes_found[f] += !s->swept && !cover;
	route_set_have(s, f, index, value);
	route_touch(s, f, index);
}

/* A route of ours under a metric that is not ours any more: only its deletion is left to do. */
static void
route_other_metric(struct sync *s, const struct plat_route *r)
{
	differs(s, "unwanted route", &r->prefix, "it is in the forwarding plane with a metric that is not in use");
	extra(s, &(struct plat_op){ .kind = PLAT_ROUTE_DEL, .route = *r });
}

static void
route_item(struct sync *s, const struct plat_dumped *d)
{
	const struct plat_route *r = &d->op.route;
	enum family f = ip_family(&r->prefix);
	bool cover = r->metric == s->cfg.cover_metric;
	int slot = table_slot(s, r->table, !d->foreign);
	uint32_t index, value, have;
	struct sroute *e;

	if (slot < 0 || (!cover && r->metric != s->cfg.metric)) {
		if (!d->foreign && slot >= 0)
			route_other_metric(s, r);
		return;
	}
	index = table_find(s, &s->routes[f], (uint8_t)slot, &r->prefix, cover);
	if (d->foreign) {
		if (index && table_at(&s->routes[f], index)->want)
			differs(s, "conflict", &r->prefix, "another program's route stands in its place");
		return;
	}
	value = route_value(s, r);
	if (!index) {
		route_unknown(s, r, slot, cover, value);
		return;
	}
	e = table_at(&s->routes[f], index);
	if (!!(e->flags & R_SEEN) == s->parity || e->flags & R_FLIGHT) {
		e->flags = (uint8_t)((e->flags & ~R_SEEN) | (s->parity ? R_SEEN : 0));
		return;
	}
	e->flags ^= R_SEEN;
	have = route_has(s, e) ? e->have : 0;
	if (value == have)
		return;
	differs(
	    s, "route", &r->prefix, have ? "it leads elsewhere than was sent" : "it is there, though it was not sent");
	if (!s->audit.repair)
		return;
	route_set_have(s, f, index, value);
	route_touch(s, f, index);
}

static void
item(void *arg, const struct plat_dumped *d)
{
	switch (d->kind) {
	case PLAT_NH_SET:
		nh_item(arg, d);
		break;
	case PLAT_GROUP_SET:
		group_item(arg, d);
		break;
	default:
		route_item(arg, d);
		break;
	}
}

/* ---- what was not seen ---- */

/* A next hop is not there any more: the forwarding plane has taken it out of its groups. */
static void
nh_vanished(struct sync *s, uint32_t nh)
{
	struct nexthop *h = &s->nhs[nh];

	h->state = NH_ABSENT;
	h->parity = s->parity;
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		struct pgroup *o = pg_at(s, i);
		struct members left = { 0 };

		for (uint32_t k = 0; k < o->have.n; k++) {
			if (o->have.m[k].nh != nh)
				members_add(s, &left, o->have.m[k].nh, o->have.m[k].weight);
		}
		if (left.n == o->have.n) {
			members_free(s, &left);
			continue;
		}
		o->parity = s->parity;
		if (!left.n) {
			members_free(s, &o->have);
			pg_emptied(s, i);
			continue;
		}
		pg_set_have(s, o, &left);
		o->again = true;
		if (o->group)
			group_queue(s, o->group);
	}
	nh_queue(s, nh);
}

static void
objects_unseen(struct sync *s)
{
	char text[100];

	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		struct pgroup *o = pg_at(s, i);

		if (!o->live || o->parity == s->parity || o->flight || o->state != PG_PRESENT)
			continue;
		snprintf(text, sizeof(text), "group %u is not in the forwarding plane", o->id);
		differs(s, "missing group", NULL, text);
		if (s->audit.repair)
			pg_dead(s, i);
	}
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		struct nexthop *h = &s->nhs[i];

		if (!h->live || h->parity == s->parity || h->state != NH_PRESENT)
			continue;
		snprintf(text, sizeof(text), "next hop %u is not in the forwarding plane", h->id);
		differs(s, "missing next hop", NULL, text);
		if (s->audit.repair)
			nh_vanished(s, i);
	}
}

/* Looks at up to `budget` routes; false when all have been looked at. */
static bool
routes_unseen(struct sync *s, size_t budget)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct route_table *t = &s->routes[f];

		while (s->audit.at[f] <= t->top) {
			uint32_t index = s->audit.at[f];
			struct sroute *r = table_at(t, index);

			if (!budget--)
				return true;
			s->audit.at[f]++;
			if (!route_live(r) || !!(r->flags & R_SEEN) == s->parity)
				continue;
			r->flags ^= R_SEEN;
			if (r->flags & R_FLIGHT || !route_has(s, r))
				continue;
			struct prefix p = route_prefix(t, r);
			differs(s, "missing route", &p, "it is not in the forwarding plane");
			if (!s->audit.repair)
				continue;
			route_taken(s, (enum family)f, index);
		}
	}
	return false;
}

static void
extras_send(struct sync *s)
{
	while (s->swept && s->n_extras && sync_room(s, LANE_OBJECTS) && sync_room(s, LANE_ROUTES)) {
		s->n_extras--;
		if (extra_is_due(s, &s->extras[s->n_extras]))
			sync_emit(s, &s->extras[s->n_extras], &(struct flight){ .kind = F_EXTRA });
	}
}

/* Takes the marks of an unfinished walk off, up to `budget` routes; whether there is more to do. */
static bool
marks_clean(struct sync *s, size_t budget)
{
	uint8_t mark = s->parity ? R_SEEN : 0;

	if (!s->marks_mixed)
		return false;
	for (int f = 0; f < FAMILIES; f++) {
		for (; s->audit.at[f] <= s->routes[f].top; s->audit.at[f]++) {
			struct sroute *r = table_at(&s->routes[f], s->audit.at[f]);

			if (!budget--)
				return true;
			r->flags = (uint8_t)((r->flags & ~R_SEEN) | mark);
		}
	}
	for (uint32_t i = 1; i <= s->n_pgs; i++)
		pg_at(s, i)->parity = s->parity;
	for (uint32_t i = 0; i < s->n_nhs; i++)
		s->nhs[i].parity = s->parity;
	s->marks_mixed = false;
	return false;
}

static void
walk_start(struct sync *s, bool repair, sync_diff_fn *diff, void *arg)
{
	s->audit = (struct audit){ .phase = AUDIT_CLEAN,
		.repair = repair,
		.diff = diff,
		.arg = arg,
		.walk = ++s->walks,
		.at = { 1, 1 },
		.attempts = s->audit.attempts,
		.broken_off = s->audit.broken_off };
}

/* From here on what is seen or touched is marked. */
static void
walk_begin(struct sync *s)
{
	s->parity = !s->parity;
	s->marks_mixed = true;
	s->audit.at[FAMILY_IPV4] = s->audit.at[FAMILY_IPV6] = 1;
	if (s->audit.repair)
		s->n_extras = 0; /* found again */
}

/* After a walk: another was asked for meanwhile, or this one came to nothing. Nothing else may wake us for it. */
static void
audit_again(struct sync *s)
{
	s->audit_wanted = false;
	audit_soon(s);
}

static void
walk_end(struct sync *s)
{
	s->marks_mixed = false;
	s->audit.phase = AUDIT_IDLE;
	s->audit.attempts = s->audit.broken_off = 0;
	s->stats.audits++;
	s->stats.last_audit = rt_now(s->cfg.rt);
	extras_send(s);
	if (s->audit_wanted && s->audit.repair)
		audit_again(s);
	if (s->audit.differences && s->started && s->audit.repair)
		sync_event(s, "FIB_AUDIT",
		    "the forwarding plane differed from what is wanted in %d places; being repaired",
		    s->audit.differences);
}

int
audit_whole(struct sync *s, bool repair, sync_diff_fn *diff, void *arg)
{
	int err = 0;

	if (s->audit.phase != AUDIT_IDLE) /* one walk at a time: the unfinished one begins anew later */
		audit_soon(s);
	for (int attempt = 0; attempt < 5; attempt++) {
		walk_start(s, repair, diff, arg);
		(void)marks_clean(s, SIZE_MAX);
		walk_begin(s);
		err = s->platform->ops->dump(s->platform, item, s);
		if (err != -EINTR && err != -EAGAIN)
			break;
	}
	if (err) {
		s->audit.phase = AUDIT_IDLE;
		return err;
	}
	objects_unseen(s);
	while (routes_unseen(s, SIZE_MAX))
		;
	walk_end(s);
	return s->audit.differences;
}

void
audit_soon(struct sync *s)
{
	struct mono earliest = mono_add(s->stats.last_audit, AUDIT_GAP_US);
	struct mono now = rt_now(s->cfg.rt);

	if (s->audit_wanted)
		return;
	s->audit_wanted = true;
	s->audit_after = s->stats.audits && earliest.us > now.us ? earliest : now;
	/* A walk that is under way began before the trouble: it begins anew, unless the trouble knows no end. */
	if (s->audit.phase != AUDIT_IDLE && (!s->audit.repair || s->audit.broken_off < BROKEN_OFF)) {
		s->audit.broken_off += s->audit.repair;
		s->audit.phase = AUDIT_IDLE;
	}
	if (s->audit_after.us > now.us)
		rt_timer_set(s->audit_timer, s->audit_after);
	else
		sync_wake(s, false);
}

static void
audit_failed(struct sync *s, int err)
{
	unsigned int attempts = s->audit.attempts + 1;

	s->audit.phase = AUDIT_IDLE;
	if (err == -ENOTSUP) /* nothing to read back: what was acknowledged must do */
		return;
	s->stats.last_audit = rt_now(s->cfg.rt);
	if (err != -EINTR && err != -EAGAIN && attempts == 1)
		sync_event(
		    s, "FIB_AUDIT_FAILED", "the forwarding plane cannot be read: %s; tried again", strerror(-err));
	audit_again(s);
	s->audit.attempts = attempts;
}

/* 1: more to do; 0: ended; -errno: it cannot be read whole now. */
static int
walk_step(struct sync *s)
{
	int err;

	switch (s->audit.phase) {
	case AUDIT_CLEAN:
		if (marks_clean(s, AUDIT_SLICE))
			return 1;
		err = s->platform->ops->dump_begin(s->platform);
		if (err)
			return err;
		walk_begin(s);
		s->audit.phase = AUDIT_READ;
		return 1;
	case AUDIT_READ:
		err = s->platform->ops->dump_step(s->platform, item, s);
		if (err)
			return err;
		objects_unseen(s);
		s->audit.phase = AUDIT_SWEEP;
		return 1;
	case AUDIT_SWEEP:
		if (routes_unseen(s, AUDIT_SLICE))
			return 1;
		walk_end(s);
		return 0;
	default:
		return 0;
	}
}

bool
audit_step(struct sync *s)
{
	int err;

	if (s->audit.phase == AUDIT_IDLE || !s->audit.repair) { /* a check gives way, and begins again */
		if (!s->audit_wanted || !mono_due(s->audit_after, rt_now(s->cfg.rt)))
			return false;
		s->audit_wanted = false;
		if (!s->platform->ops->dump_begin ||
		    s->audit.attempts > 3) { /* it never stands still: read it in one go */
			err = audit_whole(s, true, NULL, NULL);
			if (err < 0)
				audit_failed(s, err);
			return false;
		}
		walk_start(s, true, NULL, NULL);
		return true;
	}
	err = walk_step(s);
	if (err < 0)
		audit_failed(s, err);
	return err > 0;
}

void
sync_audit(struct sync *s)
{
	s->audit_wanted = false;
	audit_soon(s);
	s->audit_after = rt_now(s->cfg.rt); /* asked for: at once */
	sync_wake(s, false);
}

int
sync_check(struct sync *s, sync_diff_fn *fn, void *arg)
{
	return audit_whole(s, false, fn, arg);
}

void
check_drop(struct sync *s)
{
	struct check *c = &s->check;

	for (size_t i = 0; i < c->n; i++) {
		mem_free(s->cfg.mem, MEM_FIB, c->found[i].what);
		mem_free(s->cfg.mem, MEM_FIB, c->found[i].text);
	}
	if (s->audit.phase != AUDIT_IDLE && !s->audit.repair)
		s->audit.phase = AUDIT_IDLE;
	*c = (struct check){ .found = c->found, .cap = c->cap };
}

static void
check_found(void *arg, const char *what, const struct prefix *p, const char *text)
{
	struct sync *s = arg;
	struct check *c = &s->check;

	if (c->n == SYNC_CHECK_TOLD)
		return;
	c->found = mem_grow(s->cfg.mem, MEM_FIB, c->found, &c->cap, c->n + 1, sizeof(*c->found));
	c->found[c->n++] = (struct finding){
		.what = mem_strdup(s->cfg.mem, MEM_FIB, what),
		.text = mem_strdup(s->cfg.mem, MEM_FIB, text),
		.prefix = p ? *p : (struct prefix){ 0 },
		.has_prefix = p,
	};
}

int
sync_check_begin(struct sync *s, bool whole, uint64_t *check)
{
	struct mono now = rt_now(s->cfg.rt);
	int found;

	if (s->check.walk && mono_sub(now, s->check.stamp) < SECONDS(1))
		return -EBUSY;
	if (s->started && !s->stopped &&
	    ((s->audit.phase != AUDIT_IDLE && s->audit.repair) || (s->audit_wanted && mono_due(s->audit_after, now))))
		return -EBUSY;
	check_drop(s);
	s->check.stamp = now;
	if (s->platform->ops->dump_begin && !whole) {
		walk_start(s, false, check_found, s);
	} else {
		found = audit_whole(s, false, check_found, s);
		if (found < 0)
			return found;
		s->check.ended = true;
		s->check.differences = found;
	}
	*check = s->check.walk = s->audit.walk;
	return 0;
}

/* Returns whether there is more to tell. */
static bool
check_tell(struct sync *s, sync_diff_fn *fn, void *arg)
{
	struct check *c = &s->check;
	char text[100];

	for (int rows = CHECK_ROWS; rows > 0 && c->told < c->n; rows--, c->told++) {
		const struct finding *f = &c->found[c->told];

		if (fn)
			fn(arg, f->what, f->has_prefix ? &f->prefix : NULL, f->text);
	}
	if (c->told < c->n)
		return true;
	if ((size_t)c->differences > c->n && fn) {
		snprintf(text, sizeof(text), "%zu more differences are not listed", (size_t)c->differences - c->n);
		fn(arg, "more differences", NULL, text);
	}
	return false;
}

int
sync_check_step(struct sync *s, uint64_t check, sync_diff_fn *fn, void *arg, int *differences)
{
	struct mono end = mono_add(rt_clock(s->cfg.rt), CHECK_US);
	struct check *c = &s->check;
	int more = 1;

	if (!check || check != c->walk)
		return -EAGAIN;
	c->stamp = rt_now(s->cfg.rt);
	if (c->ended) {
		*differences = c->differences;
		if (check_tell(s, fn, arg))
			return 1;
		check_drop(s);
		return 0;
	}
	if (s->audit.phase == AUDIT_IDLE || s->audit.walk != check)
		more = -EAGAIN;
	while (more > 0 && !mono_due(end, rt_clock(s->cfg.rt)))
		more = walk_step(s);
	if (more == 0) {
		c->ended = true;
		c->differences = s->audit.differences;
	} else if (more < 0) {
		check_drop(s);
		return more;
	}
	return 1;
}

/* ---- one object was lost ---- */

/* Only one of this table, prefix and metric: other programs have routes to the same prefix under metrics of their own. */
static void
route_lost(struct sync *s, const struct plat_route *r, const char *why)
{
	enum family f = ip_family(&r->prefix);
	int slot = table_slot(s, r->table, false);
	bool cover = r->metric == s->cfg.cover_metric;
	const struct sroute *route;
	uint32_t index;

	if (slot < 0 || (!cover && r->metric != s->cfg.metric))
		return;
	index = table_find(s, &s->routes[f], (uint8_t)slot, &r->prefix, cover);
	if (!index)
		return;
	sync_event(s, "FIB_LOST", "%s", why);
	route = table_at(&s->routes[f], index);
	if (route->flags & R_FLIGHT && route_has(s, route)) { /* before or after our operation? only reading tells */
		audit_soon(s);
		return;
	}
	s->stats.repairs++;
	route_taken(s, f, index);
}

void
audit_lost(void *arg, const struct plat_op *what, const char *why)
{
	struct sync *s = arg;
	const struct id_slot *slot = what->kind == PLAT_ROUTE_DEL ? NULL : id_find(s, what->id);

	if (what->kind == PLAT_ROUTE_DEL) {
		route_lost(s, &what->route, why);
		return;
	}
	sync_event(s, "FIB_LOST", "%s", why);
	if (!slot)
		return;
	if ((slot->what & ID_KIND) == ID_NH) {
		uint32_t nh = slot->what & ~ID_KIND;

		if (s->nhs[nh].state == NH_PRESENT) {
			s->stats.repairs++;
			nh_vanished(s, nh);
		} else if (s->nhs[nh].state == NH_SENT) {
			audit_soon(s);
		}
	} else if ((slot->what & ID_KIND) == ID_PG) {
		uint32_t pg = slot->what & ~ID_KIND;

		if (pg_at(s, pg)->flight) {
			audit_soon(s);
		} else if (pg_at(s, pg)->state == PG_PRESENT) {
			s->stats.repairs++;
			pg_dead(s, pg);
		}
	}
}
