/*
 * fabricd/rib/rib.c -- the routing tables of one switch: announcements in, groups, routes and changes out
 *
 * Owns the tables (table.h), the path lists, their hop sets and the attributes. A prefix holds `list`, all of its paths
 * now; `fib`, the hop set on whose group its route is; `told`, the list that the exporter knows. It is dirty while they
 * may not agree. A run takes all dirty prefixes through these stages, each resumable at its cursor:
 *
 *   SWEEP   only after a source went down: finds the prefixes of the lists that lost their best path or changed their
 * set FORGET  what those lists were before: every prefix holds that itself now COUNT   decides new lists; counts for
 * each old hop set where its prefixes went GROUPS  a set that all prefixes left for one new set hands its group on: one
 * change in place FIB     routes that are still on another set's group: set, rewritten or deleted SETTLE  sets that
 * were left in this run are let go EXPORT  tells the exporter what is best now, if the FIB has it
 *
 * Always true: a list is referred to by exactly the prefixes that its counters now and told say, a set by the lists
 * that were decided for it and by the prefixes that its counter fib says, and both by their holders. Between the slices
 * of a run no prefix changes its list. No group is ever empty: a list without a usable path has no set.
 */
#include <errno.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/rib.h"
#include "fabricd/rib/table.h"

#define SLICE_US     2000
#define SLICE_CHECK  256   /* prefixes between two looks at the clock */
#define AHEAD        16    /* prefixes that are brought into the cache before their turn */
#define EXPORT_BATCH 1024  /* changes handed over at once */
#define HOLD_US      4000  /* how long routes wait for the others of their set, since the last of these came */
#define HOLD_MAX_US  25000 /* and since the first */
#define WIDEN_US     20000 /* the same when they gain next hops: packets flow meanwhile */
#define WIDEN_MAX_US 120000

enum stage {
	STAGE_IDLE,
	STAGE_SWEEP,
	STAGE_FORGET,
	STAGE_COUNT,
	STAGE_GROUPS,
	STAGE_LOST,
	STAGE_FIB,
	STAGE_SETTLE,
	STAGE_EXPORT,
};

struct refresh {
	struct rib_source *source;
	struct rib_table *table;
	uint8_t *stale; /* a bit per entry */
	uint32_t limit;
	struct refresh *next;
};

struct rib {
	struct rib_config cfg;
	const struct rib_ops *ops;
	void *arg;
	struct attrs_table *attrs;
	struct path_lists *lists;
	struct hop_sets *hops;     /* those of the lists */
	struct rib_table **tables; /* two (one a family) for each table id */
	size_t ntables, cap_tables;
	struct rib_source *sources[RIB_MAX_SOURCES];
	struct refresh *refreshes;

	enum stage stage;
	size_t at_table;
	uint32_t at;       /* cursor within the stage's table, or among lists */
	bool sweep_wanted; /* some list has `was`, or lost its last path */
	uint32_t *touched; /* hop sets that prefixes left in this run */
	size_t ntouched, cap_touched;
	uint32_t *group_dirty; /* hop sets whose group waits for its new members */
	size_t ngroup_dirty, cap_group_dirty;
	struct hop *scratch;
	struct rib_member *members; /* scratch */
	struct rib_change *changes; /* scratch */
	struct mono held_until;
	struct rib_counts counts;
};

struct rib *
rib_new(const struct rib_config *cfg, const struct rib_ops *ops, void *arg)
{
	struct rib *r = mem_zalloc(cfg->mem, MEM_PREFIX, sizeof(*r));

	r->cfg = *cfg;
	if (r->cfg.max_width == 0 || r->cfg.max_width > RIB_MAX_WIDTH)
		r->cfg.max_width = RIB_MAX_WIDTH;
	if (r->cfg.slice_us == 0)
		r->cfg.slice_us = SLICE_US;
	r->ops = ops;
	r->arg = arg;
	r->held_until = MONO_NEVER;
	r->attrs = attrs_table_new(cfg->mem, cfg->seed);
	r->lists = path_lists_new(cfg->mem, cfg->seed, r->attrs);
	r->hops = path_lists_hops(r->lists);
	r->scratch = mem_alloc(cfg->mem, MEM_PREFIX, r->cfg.max_width * sizeof(*r->scratch));
	r->members = mem_alloc(cfg->mem, MEM_PREFIX, r->cfg.max_width * sizeof(*r->members));
	r->changes = mem_alloc(cfg->mem, MEM_PREFIX, EXPORT_BATCH * sizeof(*r->changes));
	return r;
}

void
rib_free(struct rib *r)
{
	struct refresh *f;

	if (!r)
		return;
	while ((f = r->refreshes)) {
		r->refreshes = f->next;
		mem_free(r->cfg.mem, MEM_PREFIX, f->stale);
		mem_free(r->cfg.mem, MEM_PREFIX, f);
	}
	for (size_t i = 0; i < r->ntables; i++) {
		rib_table_done(r->tables[i]);
		mem_free(r->cfg.mem, MEM_PREFIX, r->tables[i]);
	}
	mem_free(r->cfg.mem, MEM_PREFIX, r->tables);
	path_lists_free(r->lists);
	attrs_table_free(r->attrs);
	mem_free(r->cfg.mem, MEM_PREFIX, r->touched);
	mem_free(r->cfg.mem, MEM_PREFIX, r->group_dirty);
	mem_free(r->cfg.mem, MEM_PREFIX, r->scratch);
	mem_free(r->cfg.mem, MEM_PREFIX, r->members);
	mem_free(r->cfg.mem, MEM_PREFIX, r->changes);
	mem_free(r->cfg.mem, MEM_PREFIX, r);
}

struct attrs_table *
rib_attrs(struct rib *r)
{
	return r->attrs;
}

struct path_lists *
rib_lists(struct rib *r)
{
	return r->lists;
}

struct hop_sets *
rib_hops(struct rib *r)
{
	return r->hops;
}

static struct rib_table *
table_find(const struct rib *r, uint32_t id, enum family family)
{
	for (size_t i = 0; i < r->ntables; i++)
		if (r->tables[i]->id == id && r->tables[i]->family == family)
			return r->tables[i];
	return NULL;
}

static struct rib_table *
table_get(struct rib *r, uint32_t id, enum family family)
{
	struct rib_table *t = table_find(r, id, family);

	if (t)
		return t;
	t = mem_alloc(r->cfg.mem, MEM_PREFIX, sizeof(*t));
	rib_table_init(t, r->cfg.mem, r->cfg.seed, id, family);
	r->tables = mem_grow(
	    r->cfg.mem, MEM_PREFIX, r->tables, &r->cap_tables, r->ntables + 1, sizeof(struct rib_table *));
	r->tables[r->ntables++] = t;
	return t;
}

/* ---- what a prefix holds; counters and references move together ---- */

static void
set_list(struct rib *r, struct rib_entry *e, uint32_t id) /* takes over the caller's reference of id */
{
	struct path_list *old = path_list_get(r->lists, e->list), *now = path_list_get(r->lists, id);

	if (now)
		now->now++;
	e->list = id;
	if (old) {
		old->now--;
		path_list_unref(r->lists, old->id);
	}
}

static void
set_told(struct rib *r, struct rib_entry *e, uint32_t id)
{
	struct path_list *old = path_list_get(r->lists, e->told), *now = path_list_get(r->lists, id);

	path_list_ref(r->lists, id);
	if (now)
		now->told++;
	e->told = id;
	if (old) {
		old->told--;
		path_list_unref(r->lists, old->id);
	}
}

static void
set_fib(struct rib *r, struct rib_entry *e, uint32_t id)
{
	struct hop_set *old = hop_set_get(r->hops, e->fib), *now = hop_set_get(r->hops, id);

	hop_set_ref(r->hops, id);
	if (now)
		now->fib++;
	e->fib = id;
	if (!old)
		return;
	if (--old->fib == 0 && old->group && !old->receives) {
		r->ops->group_free(r->arg, old->group);
		old->group = 0;
		r->counts.groups--;
	}
	hop_set_unref(r->hops, old->id);
}

/* The set of a list that was just decided. */
static void
choose_hops(struct rib *r, struct path_list *l)
{
	bool wanted = l->width && l->paths[l->best].nexthop && !r->cfg.no_fib;
	size_t n = wanted ? path_list_hops(l, r->cfg.weights, r->scratch, r->cfg.max_width) : 0;
	uint32_t old = l->hops;

	if (hop_set_equals(hop_set_get(r->hops, old), r->scratch, n))
		return;
	l->hops = hop_set_intern(r->hops, r->scratch, n);
	hop_set_unref(r->hops, old);
}

static void
decide(struct rib *r, struct path_list *l)
{
	if (l->decided)
		return;
	path_list_decide(l, r->cfg.max_width);
	choose_hops(r, l);
}

/* ---- sources ---- */

int
rib_source_add(struct rib *r, struct rib_source *s)
{
	for (uint16_t i = 1; i < RIB_MAX_SOURCES; i++)
		if (!r->sources[i]) {
			r->sources[i] = s;
			s->index = i;
			return 0;
		}
	return -ENOSPC;
}

void
rib_source_remove(struct rib *r, struct rib_source *s)
{
	rib_source_down(r, s);
	r->sources[s->index] = NULL;
}

void
rib_source_up(struct rib *r, struct rib_source *s)
{
	(void)r;
	s->up = true;
}

static void
want_group_change(struct rib *r, struct hop_set *s)
{
	if (s->group_dirty)
		return;
	s->group_dirty = true;
	hop_set_ref(r->hops, s->id);
	r->group_dirty = mem_grow(
	    r->cfg.mem, MEM_PREFIX, r->group_dirty, &r->cap_group_dirty, r->ngroup_dirty + 1, sizeof(uint32_t));
	r->group_dirty[r->ngroup_dirty++] = s->id;
}

static void
drop_from_sets(struct rib *r, const struct rib_source *s)
{
	uint32_t limit = hop_sets_limit(r->hops);

	for (uint32_t id = 1; id < limit; id++) {
		struct hop_set *set = hop_set_get(r->hops, id);

		if (set && hop_set_drop(r->hops, set, s) && set->group && set->n)
			want_group_change(r, set);
	}
}

/* Its set has lost the source's hop already. */
static void
drop_from_list(struct rib *r, struct path_list *l, struct rib_source *s)
{
	const struct path *p = path_list_find(l, s);
	uint32_t hops;

	if (!p)
		return;
	if (!l->decided) /* its prefixes are dirty: nothing is known of it yet */
		path_list_decide(l, r->cfg.max_width);
	/* What peers know of these prefixes must stay known until they are told otherwise. */
	if (l->told && !l->was && (l->width == 0 || &l->paths[l->best] == p))
		l->was = path_list_snapshot(r->lists, l);
	path_list_drop(r->lists, l, s);
	hops = l->hops;
	path_list_decide(l, r->cfg.max_width);
	if (!(l->alike && l->n && hops)) /* all shared the load: then so do those that are left */
		choose_hops(r, l);
	if (l->was || l->width == 0 || l->hops != hops)
		r->sweep_wanted = true;
}

static void
refresh_drop(struct rib *r, const struct rib_source *s, const struct rib_table *t)
{
	for (struct refresh **at = &r->refreshes; *at;) {
		struct refresh *f = *at;

		if (f->source == s && (!t || f->table == t)) {
			*at = f->next;
			mem_free(r->cfg.mem, MEM_PREFIX, f->stale);
			mem_free(r->cfg.mem, MEM_PREFIX, f);
		} else {
			at = &f->next;
		}
	}
}

void
rib_source_down(struct rib *r, struct rib_source *s)
{
	uint32_t limit = path_lists_limit(r->lists);

	s->up = false;
	refresh_drop(r, s, NULL);
	if (r->stage == STAGE_SWEEP || r->stage == STAGE_FORGET) { /* for the lists that change now, from the start */
		r->stage = STAGE_SWEEP;
		r->at_table = r->at = 0;
	}
	drop_from_sets(r, s);
	for (uint32_t id = 1; id < limit; id++) {
		struct path_list *l = path_list_get(r->lists, id);

		if (l && l->now)
			drop_from_list(r, l, s);
	}
	s->paths[FAMILY_IPV4] = s->paths[FAMILY_IPV6] = 0;
}

/* ---- announcements ---- */

static void
refreshed(struct rib *r, const struct rib_source *s, const struct rib_table *t, uint32_t entry)
{
	for (struct refresh *f = r->refreshes; f; f = f->next)
		if (f->source == s && f->table == t && entry < f->limit)
			f->stale[entry / 8] &= (uint8_t) ~(1u << entry % 8);
}

void
rib_announce(struct rib *r, uint32_t table, struct rib_source *s, const struct prefix *prefix, struct attrs *attrs,
    struct rib_nexthop *nexthop)
{
	struct rib_table *t = table_get(r, table, prefix->family);
	uint32_t entry = rib_table_insert(t, prefix), id;
	struct rib_entry *e = rib_table_entry(t, entry);
	struct path p = { .source = s, .attrs = attrs, .nexthop = nexthop };
	bool had;

	if (r->refreshes)
		refreshed(r, s, t, entry);
	id = path_list_with(r->lists, e->list, s, &p);
	if (id == e->list) {
		path_list_unref(r->lists, id);
		return;
	}
	had = e->list && path_list_find(path_list_get(r->lists, e->list), s);
	if (!had)
		s->paths[t->family]++;
	set_list(r, e, id);
	rib_table_mark_dirty(t, entry);
}

void
rib_prefetch(const struct rib *r, uint32_t table, const struct prefix *p, size_t n)
{
	const struct rib_table *t = n ? table_find(r, table, p->family) : NULL;

	if (t)
		rib_table_prefetch(t, p, n);
}

static void
withdraw_entry(struct rib *r, struct rib_table *t, struct rib_source *s, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	uint32_t id = path_list_with(r->lists, e->list, s, NULL);

	if (id == e->list) {
		path_list_unref(r->lists, id);
		return;
	}
	s->paths[t->family]--;
	set_list(r, e, id);
	rib_table_mark_dirty(t, entry);
}

void
rib_withdraw(struct rib *r, uint32_t table, struct rib_source *s, const struct prefix *prefix)
{
	struct rib_table *t = table_find(r, table, prefix->family);
	uint32_t entry = t ? rib_table_find(t, prefix) : RIB_NO_ENTRY;

	if (entry != RIB_NO_ENTRY)
		withdraw_entry(r, t, s, entry);
}

void
rib_refresh_begin(struct rib *r, struct rib_source *s, enum family family)
{
	for (size_t i = 0; i < r->ntables; i++) {
		struct rib_table *t = r->tables[i];
		struct refresh *f;

		if (t->family != family)
			continue;
		refresh_drop(r, s, t); /* a second begin starts anew */
		f = mem_zalloc(r->cfg.mem, MEM_PREFIX, sizeof(*f));
		f->source = s;
		f->table = t;
		f->limit = t->limit;
		/* All are in doubt; those that the source does not offer are no matter at the end. */
		f->stale = mem_alloc(r->cfg.mem, MEM_PREFIX, t->limit / 8 + 1);
		memset(f->stale, 0xff, t->limit / 8 + 1);
		f->next = r->refreshes;
		r->refreshes = f;
	}
}

void
rib_refresh_end(struct rib *r, struct rib_source *s, enum family family)
{
	for (struct refresh *f = r->refreshes; f; f = f->next) {
		if (f->source != s || f->table->family != family)
			continue;
		for (uint32_t entry = 0; entry < f->limit; entry++)
			if (f->stale[entry / 8] & 1u << entry % 8 &&
			    rib_table_entry(f->table, entry)->flags & ENTRY_USED)
				withdraw_entry(r, f->table, s, entry);
	}
	for (size_t i = 0; i < r->ntables; i++)
		if (r->tables[i]->family == family)
			refresh_drop(r, s, r->tables[i]);
}

void
rib_fib_result(struct rib *r, uint32_t table, const struct prefix *prefix, bool installed)
{
	struct rib_table *t = table_find(r, table, prefix->family);
	uint32_t entry = t ? rib_table_find(t, prefix) : RIB_NO_ENTRY;
	struct rib_entry *e;
	uint8_t before;

	if (entry == RIB_NO_ENTRY)
		return;
	e = rib_table_entry(t, entry);
	before = e->flags;
	e->flags &= (uint8_t) ~(ENTRY_INSTALLED | ENTRY_FAILED);
	if (e->fib)
		e->flags |= installed ? ENTRY_INSTALLED : ENTRY_FAILED;
	if (r->cfg.wait_fib && ((before ^ e->flags) & ENTRY_INSTALLED))
		rib_table_mark_dirty(t, entry);
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

void
rib_run_groups(struct rib *r)
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

/* ---- the run ---- */

bool
rib_pending(const struct rib *r)
{
	if (r->stage != STAGE_IDLE || r->sweep_wanted || r->ngroup_dirty)
		return true;
	return rib_dirty(r) != 0;
}

bool
rib_running(const struct rib *r)
{
	return r->stage != STAGE_IDLE;
}

struct mono
rib_held_until(const struct rib *r)
{
	return mono_is_never(r->held_until) ? (struct mono){ 0 } : r->held_until;
}

size_t
rib_dirty(const struct rib *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->ntables; i++)
		n += r->tables[i]->ndirty;
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
		set_told(r, e, told->was);
		rib_table_mark_dirty(t, entry);
	}
	now = path_list_get(r->lists, e->list);
	if (now && now->decided && (now->width == 0 || now->hops != e->fib))
		rib_table_mark_dirty(t, entry);
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

static void
count_entry(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	struct path_list *now = path_list_get(r->lists, e->list);
	struct hop_set *fib = hop_set_get(r->hops, e->fib);
	uint32_t target;

	if (now && now->n == 0) { /* emptied in place */
		set_list(r, e, 0);
		now = NULL;
	}
	if (now)
		decide(r, now);
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
	set_fib(r, e, 0);
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
	const struct path_list *l = path_list_get(r->lists, e->list);
	const struct hop_set *s = hop_set_get(r->hops, l ? l->hops : 0);

	return s && s->n ? s->id : 0;
}

static void
fib_entry(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	const struct path_list *list = path_list_get(r->lists, e->list);
	struct hop_set *now = hop_set_get(r->hops, list ? list->hops : 0), *fib = hop_set_get(r->hops, e->fib);

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
	set_fib(r, e, now->id);
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
	const struct path_list *now = path_list_get(r->lists, e->list);

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
	const struct path_list *told = path_list_get(r->lists, e->told), *now = path_list_get(r->lists, e->list);

	return (told && told->was) || (now && now->was);
}

static void
export_settled(struct rib *r, struct rib_table *t, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	uint32_t now = tellable(r, e);

	e->flags &= (uint8_t)~ENTRY_DIRTY;
	if (waits_for_sweep(r, e)) {
		rib_table_mark_dirty(t, entry);
		return;
	}
	if (now != e->told)
		set_told(r, e, now);
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
		struct path_list *was = path_list_get(r->lists, e->told);
		struct path_list *now = path_list_get(r->lists, tellable(r, e));

		if (was == now || same_best(was, now) || (lost && e->list) || waits_for_sweep(r, e))
			continue;
		r->changes[n].entry = t->run[i];
		r->changes[n].was = was;
		r->changes[n].now = now;
		rib_table_prefix(t, t->run[i], &r->changes[n++].prefix);
	}
	if (n)
		r->ops->changed(r->arg, t->id, t->family, r->changes, n);
}

/* A batch of one table is told, and only then forgets what was told before. */
static uint32_t
export_batch(struct rib *r, struct rib_table *t, uint32_t at)
{
	uint32_t end = (uint32_t)MIN_OF(t->nrun, at + (size_t)EXPORT_BATCH);
	bool lost = r->stage == STAGE_LOST;

	tell_batch(r, t, at, end, lost);
	for (uint32_t i = at; i < end; i++) {
		struct rib_entry *e = rib_table_entry(t, t->run[i]);

		if (!lost && i + AHEAD < end && !rib_table_entry(t, t->run[i + AHEAD])->list)
			rib_table_prefetch_removal(t, t->run[i + AHEAD]);
		if (!lost)
			export_settled(r, t, t->run[i]);
		else if (!e->list && !waits_for_sweep(r, e))
			set_told(r, e, 0);
	}
	if (!lost)
		r->counts.prefixes_run += end - at;
	return end;
}

/* Stages that walk lists or sets, not the prefixes of tables. */
static bool
walks_lists(enum stage s)
{
	return s == STAGE_FORGET || s == STAGE_GROUPS || s == STAGE_SETTLE;
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
	if (r->stage == STAGE_FORGET)
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

static void
next_stage(struct rib *r)
{
	r->at_table = 0;
	r->at = 0;
	switch (r->stage) {
	case STAGE_IDLE:
		rib_run_groups(r);
		if (r->sweep_wanted) {
			r->stage = STAGE_SWEEP;
			return;
		}
		/* fall through */
	case STAGE_FORGET:
		r->sweep_wanted = false;
		r->held_until = MONO_NEVER;
		take_dirty(r);
		r->counts.runs++;
		r->stage = STAGE_COUNT;
		return;
	case STAGE_SETTLE:
		r->ntouched = 0;
		r->stage = STAGE_EXPORT;
		return;
	case STAGE_EXPORT:
		for (size_t i = 0; i < r->ntables; i++)
			r->tables[i]->nrun = 0;
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
		r->at = r->at < limit ? export_batch(r, r->tables[r->at_table], r->at) : r->at;
		return r->at < limit;
	}
	while (r->at < end)
		run_one(r, r->at++);
	return r->at < limit;
}

bool
rib_run(struct rib *r)
{
	struct mono end = mono_add(r->ops->now(r->arg), r->cfg.slice_us);

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

/* ---- views ---- */

static void
view_of(const struct rib *r, const struct rib_table *t, uint32_t entry, struct rib_view *out)
{
	const struct rib_entry *e = rib_table_entry(t, entry);
	const struct hop_set *fib = hop_set_get(r->hops, e->fib);
	const struct path_list *told = path_list_get(r->lists, e->told);

	if (told && told->was) /* it lost its best path in place, which nobody was told yet */
		told = path_list_get(r->lists, told->was);
	*out = (struct rib_view){
		.table = t->id,
		.entry = entry,
		.list = path_list_get(r->lists, e->list),
		.told = told,
		.group = fib ? fib->group : 0,
		.fib_installed = (e->flags & ENTRY_INSTALLED) != 0,
		.fib_failed = (e->flags & ENTRY_FAILED) != 0,
	};
	rib_table_prefix(t, entry, &out->prefix);
}

bool
rib_get(const struct rib *r, uint32_t table, const struct prefix *p, struct rib_view *out)
{
	struct rib_table *t = table_find(r, table, p->family);
	uint32_t entry = t ? rib_table_find(t, p) : RIB_NO_ENTRY;

	if (entry == RIB_NO_ENTRY)
		return false;
	view_of(r, t, entry, out);
	return true;
}

bool
rib_match(const struct rib *r, uint32_t table, const struct ip *a, struct rib_view *out)
{
	struct rib_table *t = table_find(r, table, a->family);

	if (!t)
		return false;
	for (int len = (int)family_bits(a->family); len >= 0; len--) {
		struct prefix p = prefix_of(a, (unsigned int)len);

		if (t->by_len[len] && rib_get(r, table, &p, out) && out->list && out->list->width)
			return true;
	}
	return false;
}

bool
rib_next(const struct rib *r, uint32_t table, enum family family, uint32_t *at, struct rib_view *out)
{
	struct rib_table *t = table_find(r, table, family);

	for (; t && *at < t->limit; ++*at)
		if (rib_table_entry(t, *at)->flags & ENTRY_USED) {
			view_of(r, t, (*at)++, out);
			return true;
		}
	return false;
}

uint32_t
rib_entries_limit(const struct rib *r, uint32_t table, enum family family)
{
	struct rib_table *t = table_find(r, table, family);

	return t ? t->limit : 0;
}

void
rib_counts(const struct rib *r, struct rib_counts *out)
{
	*out = r->counts;
	for (int f = 0; f < FAMILIES; f++)
		out->prefixes[f] = out->paths[f] = 0;
	for (size_t i = 0; i < r->ntables; i++)
		out->prefixes[r->tables[i]->family] += r->tables[i]->count;
	for (size_t i = 1; i < RIB_MAX_SOURCES; i++)
		for (int f = 0; r->sources[i] && f < FAMILIES; f++)
			out->paths[f] += r->sources[i]->paths[f];
	out->lists = path_lists_count(r->lists);
	out->hop_sets = hop_sets_count(r->hops);
	out->attrs = attrs_table_count(r->attrs);
}
