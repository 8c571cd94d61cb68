/*
 * fabricd/rib/run.c -- the run over all that is dirty: groups, routes and changes out
 *
 * A run takes all dirty prefixes (rib.c) through these stages, each resumable at its cursor:
 *
 *   CUTS    only when a cut (cut.c) may have ended: chooses the hops of all lists anew
 *   SWEEP   only after a source went down: finds prefixes whose list lost its best path, or changed its hop set
 *   FORGET  what those lists were before: every prefix holds that itself now
 *   COUNT   decides new lists; counts for each old hop set where its prefixes went
 *   GROUPS  a set that all prefixes left for one new set hands its group on: one change in place; when only a part
 *           has left so far, their routes are held back for a moment
 *   LOST    tells the exporter what is lost: bad news waits for nothing
 *   FIB     routes that are still on another set's group: set, rewritten or deleted
 *   SETTLE  sets that were left in this run are let go
 *   EXPORT  tells the exporter what is best now, if the FIB has it
 *
 * Always true: between the slices of a run no prefix changes its list. No group is ever empty: a list without a usable
 * path has no set.
 */
#include "fabricd/rib/rib_impl.h"

#define SLICE_CHECK  256   /* prefixes between two looks at the clock */
#define CLEAR_CHECK  8     /* lists, or prefixes that were in doubt, between two looks */
#define AHEAD        16    /* prefixes that are brought into the cache before their turn */
#define HOLD_US      4000  /* how long routes wait for the others of their set, since the last of these came */
#define HOLD_MAX_US  25000 /* and since the first */
#define WIDEN_US     20000 /* the same when they gain next hops: packets flow meanwhile */
#define WIDEN_MAX_US 120000

/* Lost, everybody has been told, and no route is left: all that is still to be done is to remove it. */
static bool
is_empty(const struct rib_entry *e)
{
	return !(e->list | e->fib | e->told);
}

/* ---- groups ---- */

static size_t
to_members(const struct hop *hops, size_t n, struct rib_member *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (struct rib_member){ hops[i].nexthop->ifindex, hops[i].nexthop->gateway, hops[i].weight };
	return n;
}

static size_t
fill_members(struct rib *r, const struct hop_set *s)
{
	return to_members(s->hops, s->n, r->members);
}

size_t
rib_members(const struct rib *r, const struct path_list *l, struct rib_member *out, size_t max)
{
	struct hop hops[RIB_MAX_WIDTH];

	return to_members(hops, path_list_hops(l, r->cfg.weights, hops, MIN_OF(max, (size_t)RIB_MAX_WIDTH)), out);
}

static void
change_groups(struct rib *r)
{
	for (size_t i = 0; i < r->ngroup_dirty; i++) {
		struct hop_set *s = hop_set_get(r->hops, r->group_dirty[i]);

		s->group_dirty = false;
		if (s->group && s->n)
			r->ops->group_change(r->arg, s->group, r->members, fill_members(r, s));
		hop_set_unref(r->hops, s->id);
	}
	r->ngroup_dirty = 0;
}

/* ---- witnesses ---- */

/* What the exporter was told last, and no path is left of it. */
static const struct path_list *
lost_without_telling(const struct rib *r, const struct rib_entry *e)
{
	const struct path_list *told = path_list_get(r->lists, e->told), *now = path_list_get(r->lists, e->list);

	if (!told || (now && (now->n || !now->decided)))
		return NULL;
	return told->was ? path_list_get(r->lists, told->was) : told;
}

/*
 * The loss of the witnesses of a table goes out before any other change, whatever the run is at. Their entries stay
 * dirty, or will be so by the sweep: the run does the rest, and finds nothing left to tell.
 */
static bool
tell_lost_witnesses(struct rib *r, struct rib_table *t)
{
	uint32_t at = 0, from = 0, entry;
	bool any = false;
	size_t n;

	do {
		for (n = 0; n < RIB_EXPORT_BATCH && (entry = rib_table_next_witness(t, &at)) != RIB_NO_ENTRY;) {
			const struct path_list *was = lost_without_telling(r, rib_table_entry(t, entry));

			if (!was)
				continue;
			r->changes[n] = (struct rib_change){ .entry = entry, .was = was };
			rib_table_prefix(t, entry, &r->changes[n++].prefix);
		}
		if (n)
			r->ops->changed(r->arg, t->id, t->family, r->changes, n);
		any |= n != 0;
		while (n && from < at && (entry = rib_table_next_witness(t, &from)) != RIB_NO_ENTRY)
			if (lost_without_telling(r, rib_table_entry(t, entry))) {
				rib_set_told(r, rib_table_entry(t, entry), 0);
				rib_table_mark_dirty(t, entry);
			}
	} while (n);
	return any;
}

bool
rib_urgent(const struct rib *r)
{
	return r->ngroup_dirty || r->cuts.fresh || r->witness_lost;
}

bool
rib_run_groups(struct rib *r)
{
	bool told = false;

	rib_cuts_apply(r);
	change_groups(r);
	for (size_t i = 0; r->witness_lost && i < r->ntables; i++)
		told |= tell_lost_witnesses(r, r->tables[i]);
	r->witness_lost = false;
	return told;
}

/* ---- the run ---- */

/* Something that no time is to be waited for, as far as is known. */
static bool
waits_for_run(const struct rib *r)
{
	return r->sweep_wanted || rib_urgent(r) || r->cuts.again || rib_clearing(r) || rib_dirty(r) != 0;
}

bool
rib_pending(const struct rib *r)
{
	return r->stage != STAGE_IDLE || r->cuts.first || waits_for_run(r);
}

bool
rib_running(const struct rib *r)
{
	return r->stage != STAGE_IDLE || rib_clearing(r);
}

struct mono
rib_held_until(const struct rib *r)
{
	struct mono long_ago = { 0 }, at = mono_min(r->held_until, rib_cuts_deadline(r));

	if (mono_is_never(at) || (mono_is_never(r->held_until) && waits_for_run(r)))
		return long_ago;
	return at;
}

size_t
rib_dirty(const struct rib *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->ntables; i++)
		n += r->tables[i]->ndirty;
	return n;
}

size_t
rib_in_run(const struct rib *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->ntables; i++)
		n += r->tables[i]->nrun;
	return n;
}

static void
sweep_entry(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	struct path_list *now, *told;

	if (!(e->flags & ENTRY_USED))
		return;
	told = path_list_get(r->lists, e->told);
	if (told && told->was) {
		rib_set_told(r, e, told->was);
		rib_table_mark_dirty(t, entry);
	}
	now = path_list_get(r->lists, e->list);
	if (now && now->decided && (now->width == 0 || now->hops != e->fib))
		rib_table_mark_dirty(t, entry);
}

static void
choose_again(struct rib *r, uint32_t id)
{
	struct path_list *l = path_list_get(r->lists, id);

	if (l && l->now && l->decided && rib_choose_hops(r, l))
		r->sweep_wanted = true;
}

static void
forget_list(struct rib *r, uint32_t id)
{
	struct path_list *l = path_list_get(r->lists, id);
	uint32_t was = l ? l->was : 0;

	if (was) {
		l->was = 0;
		path_list_unref(r->lists, was);
	}
}

/* The list's set was narrowed in place before it had a group, and is now what its prefixes are on already. */
static void
keep_set(struct rib *r, struct path_list *l, struct hop_set *fib)
{
	struct hop_set *s = hop_set_get(r->hops, l->hops);

	if (!s || s == fib || s->group || !s->n || !hop_set_equals(fib, s->hops, s->n))
		return;
	hop_set_ref(r->hops, fib->id);
	l->hops = fib->id;
	hop_set_unref(r->hops, s->id);
}

static void
count_entry(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	struct path_list *now;
	struct hop_set *fib;
	uint32_t target;

	if (!(e->list | e->fib))
		return;
	now = path_list_get(r->lists, e->list);
	fib = hop_set_get(r->hops, e->fib);
	if (now && now->n == 0) { /* emptied in place */
		rib_set_list(r, e, 0);
		now = NULL;
	}
	if (now)
		rib_decide(r, now);
	if (now && fib)
		keep_set(r, now, fib);
	target = now ? now->hops : 0;
	if (!fib || fib->id == target)
		return;
	if (fib->moved++ == 0) {
		fib->move_to = target;
		r->touched = mem_grow(
		    r->cfg.mem, MEM_PREFIX, r->touched, &r->cap_touched, r->ntouched + 1, sizeof(uint32_t));
		hop_set_ref(r->hops, fib->id);
		r->touched[r->ntouched++] = fib->id;
	} else if (fib->move_to != target) {
		fib->mixed = true;
	}
}

/* The others of the set may be on their way: wait a little, as long as more of them come. */
static bool
hold_back(struct rib *r, struct hop_set *from, const struct hop_set *to)
{
	struct mono now = r->ops->now(r->arg);
	bool widens = to->n > from->n;

	if (from->moved > from->held) {
		struct mono soon = mono_add(now, widens ? WIDEN_US : HOLD_US);

		if (!from->held)
			from->held_first = now;
		from->held = from->moved;
		from->held_until = mono_min(soon, mono_add(from->held_first, widens ? WIDEN_MAX_US : HOLD_MAX_US));
	}
	if (mono_due(from->held_until, now))
		return false;
	r->held_until = mono_is_never(r->held_until) ? from->held_until : mono_min(r->held_until, from->held_until);
	return true;
}

/* All prefixes of `from` went to one set that has no group yet: the group goes with them. */
static void
hand_group_on(struct rib *r, struct hop_set *from)
{
	struct hop_set *to = hop_set_get(r->hops, from->move_to);

	if (!to || !to->n || from->mixed || !from->group || to->group)
		return;
	if (from->moved != from->fib) {
		from->holds = hold_back(r, from, to);
		return;
	}
	to->group = from->group;
	from->group = 0;
	from->in_place = true;
	to->receives = true;
	hop_set_ref(r->hops, to->id);
	r->ops->group_change(r->arg, to->group, r->members, fill_members(r, to));
	r->counts.groups_in_place++;
}

static void
del_route(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	struct prefix p;

	rib_table_prefix(t, entry, &p);
	r->ops->route_del(r->arg, t->id, &p);
	e->flags &= (uint8_t) ~(ENTRY_INSTALLED | ENTRY_FAILED);
	r->counts.fib_routes[t->family]--;
	rib_set_fib(r, e, 0);
}

static void
set_route(struct rib *r, struct rib_table *t, uint32_t entry, struct hop_set *now)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	struct prefix p;

	if (!now->group) {
		now->group = r->ops->group_new(r->arg, r->members, fill_members(r, now));
		r->counts.groups++;
		r->counts.groups_new++;
	}
	rib_table_prefix(t, entry, &p);
	r->ops->route_set(r->arg, t->id, &p, now->group);
	if (e->fib)
		r->counts.routes_rewritten++;
	else
		r->counts.fib_routes[t->family]++;
}

/* The set that the prefix's route should be on; 0: no route. */
static uint32_t
hops_of(const struct rib *r, const struct rib_entry *e)
{
	const struct path_list *l = e->list ? path_list_get(r->lists, e->list) : NULL;
	const struct hop_set *s = l && l->hops ? hop_set_get(r->hops, l->hops) : NULL;

	return s && s->n ? s->id : 0;
}

static void
fib_entry(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	const struct path_list *list;
	struct hop_set *now, *fib;

	if (!(e->list | e->fib))
		return;
	list = path_list_get(r->lists, e->list);
	now = hop_set_get(r->hops, list ? list->hops : 0);
	fib = hop_set_get(r->hops, e->fib);
	/* A set may be chosen again whose group was handed on: a source went down between the stages. */
	if (now == fib && (!fib || (fib->n && !fib->in_place)))
		return;
	if (!now || !now->n) { /* no hop left: a source went down between the stages */
		if (fib)
			del_route(r, t, entry);
		return;
	}
	if (fib && fib->holds && fib->move_to == now->id)
		return;
	if (!(fib && fib->in_place && fib->move_to == now->id))
		set_route(r, t, entry, now);
	rib_set_fib(r, e, now->id);
}

/* Of the prefixes at [at, end) of the run: those that need a route are announced to the FIB, which fetches theirs. */
static void
announce_routes(struct rib *r, const struct rib_table *t, uint32_t at, uint32_t end)
{
	struct prefix list[RIB_PREFETCH];
	size_t n = 0;

	for (; at < end; at++) {
		const struct rib_entry *e = rib_table_entry(t, t->run[at]);

		if (e->fib != hops_of(r, e))
			rib_table_prefix(t, t->run[at], &list[n++]);
	}
	if (n)
		r->ops->routes_soon(r->arg, t->id, list, n);
}

static void
settle_set(struct rib *r, struct hop_set *s)
{
	struct hop_set *to = s->in_place ? hop_set_get(r->hops, s->move_to) : NULL;

	if (to && to->fib == 0 && to->group) { /* a source went down between the stages: nobody followed */
		r->ops->group_free(r->arg, to->group);
		to->group = 0;
		r->counts.groups--;
	}
	if (to) {
		to->receives = false;
		hop_set_unref(r->hops, to->id);
	}
	if (!s->holds)
		s->held = 0;
	s->move_to = s->moved = 0;
	s->mixed = s->in_place = s->holds = false;
	hop_set_unref(r->hops, s->id);
}

static bool
same_best(const struct path_list *a, const struct path_list *b)
{
	return a && b && a->width && b->width && a->paths[a->best].source == b->paths[b->best].source &&
	       a->paths[a->best].attrs == b->paths[b->best].attrs;
}

/* What the exporter may be told of this prefix now: its list, or 0. */
static uint32_t
tellable(const struct rib *r, const struct rib_entry *e)
{
	const struct path_list *now = e->list ? path_list_get(r->lists, e->list) : NULL;

	if (!now || now->width == 0)
		return 0;
	if (r->cfg.wait_fib && now->paths[now->best].nexthop && !(e->flags & ENTRY_INSTALLED))
		return 0;
	return now->id;
}

/*
 * A source went down during this run and took the best path of what the exporter was told, or is to be told now: what
 * these lists were is pinned to their prefixes by the sweep of the next run, so the prefix waits for that.
 */
static bool
waits_for_sweep(const struct rib *r, const struct rib_entry *e)
{
	const struct path_list *told = e->told ? path_list_get(r->lists, e->told) : NULL;
	const struct path_list *now = e->list ? path_list_get(r->lists, e->list) : NULL;

	return (told && told->was) || (now && now->was);
}

static void
export_settled(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	uint32_t now;

	if (is_empty(e)) {
		rib_table_remove(t, entry);
		return;
	}
	now = tellable(r, e);
	e->flags &= (uint8_t)~ENTRY_DIRTY;
	if (waits_for_sweep(r, e)) {
		rib_table_mark_dirty(t, entry);
		return;
	}
	if (now != e->told)
		rib_set_told(r, e, now);
	if (e->fib != hops_of(r, e)) /* held back */
		rib_table_mark_dirty(t, entry);
	else if (!e->list && !e->fib && !e->told)
		rib_table_remove(t, entry);
}

/* Gathers the changes of a batch and tells them; in the stage LOST, only of prefixes that no path is left of. */
static void
tell_batch(struct rib *r, struct rib_table *t, uint32_t at, uint32_t end, bool lost)
{
	size_t n = 0;

	for (uint32_t i = at; i < end; i++) {
		struct rib_entry *e = rib_table_entry(t, t->run[i]);
		struct path_list *was, *now;

		if (is_empty(e) || (lost && e->list))
			continue;
		was = path_list_get(r->lists, e->told);
		now = path_list_get(r->lists, tellable(r, e));
		if (was == now || same_best(was, now) || waits_for_sweep(r, e))
			continue;
		r->changes[n].entry = t->run[i];
		r->changes[n].was = was;
		r->changes[n].now = now;
		rib_table_prefix(t, t->run[i], &r->changes[n++].prefix);
	}
	if (n)
		r->ops->changed(r->arg, t->id, t->family, r->changes, n);
}

/* What peers knew of the prefixes that are lost, nobody knows any more. */
static void
forget_lost(struct rib *r, struct rib_table *t, uint32_t at, uint32_t end)
{
	for (; at < end; at++) {
		struct rib_entry *e = rib_table_entry(t, t->run[at]);

		if (!e->list && e->told && !waits_for_sweep(r, e))
			rib_set_told(r, e, 0);
	}
}

static void
settle_entries(struct rib *r, struct rib_table *t, uint32_t at, uint32_t end)
{
	r->counts.prefixes_run += end - at;
	for (; at < end; at++) {
		if (at + AHEAD < end && !rib_table_entry(t, t->run[at + AHEAD])->list)
			rib_table_prefetch_removal(t, t->run[at + AHEAD]);
		export_settled(r, t, t->run[at]);
	}
}

/* A batch of one table is told, and only then forgets what was told before. */
static uint32_t
export_batch(struct rib *r, struct rib_table *t, uint32_t at)
{
	uint32_t end = (uint32_t)MIN_OF(t->nrun, at + (size_t)RIB_EXPORT_BATCH);

	tell_batch(r, t, at, end, r->stage == STAGE_LOST);
	if (r->stage == STAGE_LOST)
		forget_lost(r, t, at, end);
	else
		settle_entries(r, t, at, end);
	return end;
}

/* Stages that walk lists or sets, not the prefixes of tables. */
static bool
walks_lists(enum stage s)
{
	return s == STAGE_CUTS || s == STAGE_FORGET || s == STAGE_GROUPS || s == STAGE_SETTLE;
}

static bool
exports(enum stage s)
{
	return s == STAGE_LOST || s == STAGE_EXPORT;
}

/* How far a stage reaches: among lists, or in the table at hand. */
static uint32_t
stage_limit(const struct rib *r)
{
	if (r->stage == STAGE_CUTS || r->stage == STAGE_FORGET)
		return path_lists_limit(r->lists);
	if (walks_lists(r->stage))
		return (uint32_t)r->ntouched;
	return r->stage == STAGE_SWEEP ? r->tables[r->at_table]->limit : (uint32_t)r->tables[r->at_table]->nrun;
}

static void
take_dirty(struct rib *r)
{
	for (size_t i = 0; i < r->ntables; i++) {
		struct rib_table *t = r->tables[i];
		uint32_t *array = t->run;
		size_t cap = t->cap_run;

		t->run = t->dirty;
		t->nrun = t->ndirty;
		t->cap_run = t->cap_dirty;
		t->dirty = array;
		t->cap_dirty = cap;
		t->ndirty = 0;
	}
}

/* The dirty prefixes are taken, after the sweep if there is to be one. */
static void
begin_run(struct rib *r)
{
	if (r->sweep_wanted) {
		r->stage = STAGE_SWEEP;
		return;
	}
	r->held_until = MONO_NEVER;
	take_dirty(r);
	r->counts.runs++;
	r->stage = STAGE_COUNT;
}

static void
next_stage(struct rib *r)
{
	r->at_table = 0;
	r->at = 0;
	switch (r->stage) {
	case STAGE_IDLE:
		rib_run_groups(r);
		r->began = r->ops->now(r->arg);
		if (rib_cuts_run(r, r->began)) {
			r->stage = STAGE_CUTS;
			return;
		}
		begin_run(r);
		return;
	case STAGE_CUTS:
		rib_cuts_looked(r);
		begin_run(r);
		return;
	case STAGE_FORGET:
		r->sweep_wanted = false;
		begin_run(r);
		return;
	case STAGE_SETTLE:
		r->ntouched = 0;
		r->stage = STAGE_EXPORT;
		return;
	case STAGE_EXPORT:
		for (size_t i = 0; i < r->ntables; i++)
			r->tables[i]->nrun = 0;
		rib_cuts_wait(r, mono_sub(r->ops->now(r->arg), r->began));
		r->stage = STAGE_IDLE;
		return;
	default:
		r->stage++;
	}
}

static void
run_one(struct rib *r, uint32_t at)
{
	struct rib_table *t = walks_lists(r->stage) ? NULL : r->tables[r->at_table];

	switch (r->stage) {
	case STAGE_CUTS:
		choose_again(r, at);
		break;
	case STAGE_SWEEP:
		sweep_entry(r, t, at);
		break;
	case STAGE_FORGET:
		forget_list(r, at);
		break;
	case STAGE_COUNT:
		count_entry(r, t, t->run[at]);
		break;
	case STAGE_GROUPS:
		hand_group_on(r, hop_set_get(r->hops, r->touched[at]));
		break;
	case STAGE_FIB:
		fib_entry(r, t, t->run[at]);
		break;
	default: /* STAGE_SETTLE */
		settle_set(r, hop_set_get(r->hops, r->touched[at]));
	}
}

/* Works on from the cursor; returns false when the table, or the lists, are done. */
static bool
run_some(struct rib *r)
{
	uint32_t limit = stage_limit(r), end = (uint32_t)MIN_OF((uint64_t)limit, (uint64_t)r->at + SLICE_CHECK);

	if (exports(r->stage)) {
		r->at = export_batch(r, r->tables[r->at_table], r->at);
		return r->at < limit;
	}
	for (uint32_t n = 0; r->at < end; n++) {
		if (r->stage == STAGE_FIB && r->ops->routes_soon && n % RIB_PREFETCH == 0)
			announce_routes(r, r->tables[r->at_table], r->at, MIN_OF(end, r->at + RIB_PREFETCH));
		run_one(r, r->at++);
	}
	return r->at < limit;
}

/* False: it is all done. */
static bool
clear_until(struct rib *r, struct mono end)
{
	while (rib_clearing(r) && rib_clear(r, CLEAR_CHECK))
		if (mono_due(end, r->ops->now(r->arg)))
			return true;
	return false;
}

bool
rib_run_clear(struct rib *r)
{
	return clear_until(r, mono_add(r->ops->now(r->arg), r->cfg.slice_us));
}

bool
rib_run(struct rib *r)
{
	struct mono end = mono_add(r->ops->now(r->arg), r->cfg.slice_us);

	if (clear_until(r, end))
		return true;
	if (r->stage == STAGE_IDLE) {
		if (!rib_pending(r))
			return false;
		next_stage(r);
	}
	while (r->stage != STAGE_IDLE) {
		if (r->at_table >= (walks_lists(r->stage) ? 1 : r->ntables)) {
			next_stage(r);
			continue;
		}
		if (exports(r->stage) && r->ops->export_ready && !r->ops->export_ready(r->arg))
			return true;
		if (!run_some(r)) {
			r->at_table++;
			r->at = 0;
		}
		if (mono_due(end, r->ops->now(r->arg)))
			return r->stage != STAGE_IDLE || rib_pending(r);
	}
	return rib_pending(r);
}
