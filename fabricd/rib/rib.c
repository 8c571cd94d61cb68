/*
 * fabricd/rib/rib.c -- the routing tables of one switch: what comes in
 *
 * Owns the tables (table.h), the path lists, their hop sets and the attributes. A prefix holds `list`, all of its paths
 * now; `fib`, the hop set on whose group its route is; `told`, the list that the exporter knows. An announcement moves
 * it from one list to another; it is dirty while the three may not agree, until a run (run.c) makes them.
 *
 * A source that goes down is taken out of every hop set and every list in place: ids and groups stay.
 *
 * Always true: a list is referred to by exactly the prefixes that its counters now and told say, a set by the lists
 * that were decided for it and by the prefixes that its counter fib says, and both by their holders.
 */
#include <errno.h>
#include <string.h>

#include "fabricd/rib/rib_impl.h"

#define SLICE_US 2000

struct rib *
rib_new(const struct rib_config *cfg, const struct rib_ops *ops, void *arg)
{
	struct rib *r = mem_zalloc(cfg->mem, MEM_PREFIX, sizeof(*r));

	r->cfg = *cfg;
	if (r->cfg.max_width == 0)
		r->cfg.max_width = RIB_MAX_WIDTH;
	r->cfg.max_width = MIN_OF(r->cfg.max_width, (unsigned int)RIB_MAX_WIDTH);
	if (r->cfg.slice_us == 0)
		r->cfg.slice_us = SLICE_US;
	r->ops = ops;
	r->arg = arg;
	r->held_until = MONO_NEVER;
	r->cuts.found = (struct buckets){ .mem = cfg->mem, .kind = MEM_PREFIX };
	r->attrs = attrs_table_new(cfg->mem, cfg->seed);
	r->lists = path_lists_new(cfg->mem, cfg->seed, r->attrs);
	r->hops = path_lists_hops(r->lists);
	r->scratch = mem_alloc(cfg->mem, MEM_PREFIX, r->cfg.max_width * sizeof(*r->scratch));
	r->members = mem_alloc(cfg->mem, MEM_PREFIX, r->cfg.max_width * sizeof(*r->members));
	r->changes = mem_alloc(cfg->mem, MEM_PREFIX, RIB_EXPORT_BATCH * sizeof(*r->changes));
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
	mem_free(r->cfg.mem, MEM_PREFIX, r->sources);
	mem_free(r->cfg.mem, MEM_PREFIX, r->leaving);
	rib_cuts_free(r);
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

struct rib_table *
rib_table_of(const struct rib *r, uint32_t id, enum family family)
{
	for (size_t i = 0; i < r->ntables; i++)
		if (r->tables[i]->id == id && r->tables[i]->family == family)
			return r->tables[i];
	return NULL;
}

static struct rib_table *
table_get(struct rib *r, uint32_t id, enum family family)
{
	struct rib_table *t = rib_table_of(r, id, family);

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

void
rib_set_list(struct rib *r, struct rib_entry *e, uint32_t id) /* takes over the caller's reference of id */
{
	struct path_list *old = path_list_get(r->lists, e->list), *now = path_list_get(r->lists, id);

	/* Only told about for a while: what happened to sources and sets meanwhile passed it by. */
	if (now && now->now++ == 0 && now->decided)
		rib_choose_hops(r, now);
	e->list = id;
	if (old) {
		old->now--;
		path_list_unref(r->lists, old->id);
	}
}

void
rib_set_told(struct rib *r, struct rib_entry *e, uint32_t id)
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

void
rib_set_fib(struct rib *r, struct rib_entry *e, uint32_t id)
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

bool
rib_choose_hops(struct rib *r, struct path_list *l)
{
	bool wanted = l->width && l->paths[l->best].nexthop && !r->cfg.no_fib;
	size_t n = wanted ? path_list_hops(l, r->cfg.weights, r->scratch, r->cfg.max_width) : 0;
	uint32_t old = l->hops;

	n = rib_cuts_filter(r, r->scratch, n);
	if (hop_set_equals(hop_set_get(r->hops, old), r->scratch, n))
		return false;
	l->hops = hop_set_intern(r->hops, r->scratch, n);
	hop_set_unref(r->hops, old);
	return true;
}

void
rib_decide(struct rib *r, struct path_list *l)
{
	if (l->decided)
		return;
	path_list_decide(l, r->cfg.max_width);
	rib_choose_hops(r, l);
}

/* ---- sources ---- */

int
rib_source_add(struct rib *r, struct rib_source *s)
{
	size_t i = 1;

	while (i < r->nsources && r->sources[i])
		i++;
	if (i == RIB_MAX_SOURCES)
		return -ENOSPC;
	if (i >= r->nsources) {
		r->sources = mem_grow(r->cfg.mem, MEM_PREFIX, r->sources, &r->cap_sources, i + 1, sizeof(*r->sources));
		r->nsources = i + 1;
	}
	r->sources[i] = s;
	s->index = (uint16_t)i;
	return 0;
}

void
rib_source_up(struct rib *r, struct rib_source *s)
{
	(void)r;
	s->up = true;
}

void
rib_want_group_change(struct rib *r, struct hop_set *s)
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
	struct hop_set *set;

	for (uint32_t id = 0; (set = hop_sets_next(r->hops, &id));)
		if (hop_set_drop(r->hops, set, s) && set->group && set->n)
			rib_want_group_change(r, set);
}

/* Of one table, or of all (NULL); then also what has ended. */
static void
refresh_drop(struct rib *r, const struct rib_source *s, const struct rib_table *t)
{
	for (struct refresh **at = &r->refreshes; *at;) {
		struct refresh *f = *at;

		if (f->source == s && (!t || (f->table == t && !f->ended))) {
			*at = f->next;
			mem_free(r->cfg.mem, MEM_PREFIX, f->stale);
			mem_free(r->cfg.mem, MEM_PREFIX, f);
		} else {
			at = &f->next;
		}
	}
}

static bool
holds_leaving(const struct path_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->paths[i].source->leaving)
			return true;
	return false;
}

/* All paths of sources that are down leave the list in one step. Its set has lost their hops already. */
static void
clear_list(struct rib *r, struct path_list *l)
{
	uint32_t hops = l->hops;
	bool alike;

	if (!holds_leaving(l))
		return;
	if (!l->decided) /* its prefixes are dirty: nothing is known of it yet */
		path_list_decide(l, r->cfg.max_width);
	/* What peers know of these prefixes must stay known until they are told otherwise. */
	if (l->told && !l->was && (l->width == 0 || l->paths[l->best].source->leaving))
		l->was = path_list_snapshot(r->lists, l);
	alike = l->width == l->n;
	for (size_t i = l->n; i-- > 0;)
		if (l->paths[i].source->leaving)
			path_list_drop(r->lists, l, l->paths[i].source);
	l->alike = alike;
	path_list_decide(l, r->cfg.max_width);
	/*
	 * All shared the load: then so do those that are left, in the same way, unless one had no weight and is gone. But
	 * what is left of the set may be cut, too.
	 */
	if (!(alike && l->n && hops && hop_set_get(r->hops, hops)->n) || r->cfg.weights)
		rib_choose_hops(r, l);
	if (l->was || l->width == 0 || l->hops != hops)
		r->sweep_wanted = true;
}

static void
clear_entry(struct rib *r, const struct rib_entry *e)
{
	struct path_list *l = r->nleaving ? path_list_get(r->lists, e->list) : NULL;

	if (l)
		clear_list(r, l);
}

/* Lists, or prefixes in doubt, that are worth no slice of their own. One takes up to a microsecond. */
static size_t
clear_at_once(const struct rib *r)
{
	return (size_t)r->cfg.slice_us / 2;
}

/* Witnesses first: their loss is told before all else. */
static void
clear_witnesses(struct rib *r)
{
	for (size_t i = 0; i < r->ntables; i++) {
		const struct rib_table *t = r->tables[i];
		uint32_t at = 0, entry;

		while ((entry = rib_table_next_witness(t, &at)) != RIB_NO_ENTRY)
			clear_entry(r, rib_table_entry(t, entry));
	}
}

/* Returns what is left of `work`; more than 0: no list holds a path of a source that is down. */
static size_t
clear_lists(struct rib *r, size_t work)
{
	struct path_list *l;

	while (work && (l = path_lists_next(r->lists, &r->purge_at))) {
		if (l->now)
			clear_list(r, l);
		work--;
	}
	if (!work)
		return 0;
	for (size_t i = 0; i < r->nleaving; i++)
		r->leaving[i]->leaving = false;
	r->nleaving = 0;
	if (r->stage == STAGE_SWEEP || r->stage == STAGE_FORGET) { /* for the lists that changed, from the start */
		r->stage = STAGE_SWEEP;
		r->at_table = r->at = 0;
	}
	return work;
}

void
rib_source_down(struct rib *r, struct rib_source *s)
{
	s->up = false;
	s->paths[FAMILY_IPV4] = s->paths[FAMILY_IPV6] = 0;
	rib_cuts_forget(r, s);
	r->witness_lost = true;
	refresh_drop(r, s, NULL);
	drop_from_sets(r, s);
	if (!s->leaving) {
		s->leaving = true;
		r->leaving = mem_grow(
		    r->cfg.mem, MEM_PREFIX, r->leaving, &r->cap_leaving, r->nleaving + 1, sizeof(struct rib_source *));
		r->leaving[r->nleaving++] = s;
	}
	r->purge_at = 0;
	clear_witnesses(r);
	if (path_lists_count(r->lists) < clear_at_once(r))
		clear_lists(r, SIZE_MAX);
}

void
rib_source_remove(struct rib *r, struct rib_source *s)
{
	rib_source_down(r, s);
	if (r->nleaving)
		clear_lists(r, SIZE_MAX);
	r->sources[s->index] = NULL;
}

/* ---- announcements ---- */

static bool
in_doubt(const struct refresh *f, uint32_t entry)
{
	return entry < f->limit && f->stale[entry / 8] & 1u << entry % 8;
}

static void
refreshed(struct rib *r, const struct rib_source *s, const struct rib_table *t, uint32_t entry, bool had)
{
	for (struct refresh *f = r->refreshes; f; f = f->next) {
		if (f->source != s || f->table != t || !in_doubt(f, entry))
			continue;
		f->stale[entry / 8] &= (uint8_t) ~(1u << entry % 8);
		f->left -= had;
	}
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

	if (s->leaving) /* back already: what is left of it is not what it says now */
		clear_lists(r, SIZE_MAX);
	clear_entry(r, e);
	if (r->refreshes)
		refreshed(r, s, t, entry, e->list && path_list_find(path_list_get(r->lists, e->list), s));
	if (s->cuts && e->flags & ENTRY_WITNESS)
		rib_cut_cancel(r, s, attrs->v.fate);
	id = path_list_with(r->lists, e->list, s, &p);
	if (id == e->list) {
		path_list_unref(r->lists, id);
		return;
	}
	had = e->list && path_list_find(path_list_get(r->lists, e->list), s);
	if (!had)
		s->paths[t->family]++;
	rib_set_list(r, e, id);
	rib_table_mark_dirty(t, entry);
}

void
rib_witness(struct rib *r, uint32_t table, const struct prefix *prefix)
{
	struct rib_table *t = rib_table_of(r, table, prefix->family);
	uint32_t entry = t ? rib_table_find(t, prefix) : RIB_NO_ENTRY;
	const struct path_list *l;

	if (entry == RIB_NO_ENTRY || rib_table_entry(t, entry)->flags & ENTRY_WITNESS)
		return;
	rib_table_mark_witness(t, entry);
	/* Who announced it did so before it was known as a witness: a prefix that everybody had lost and is back. */
	l = path_list_get(r->lists, rib_table_entry(t, entry)->list);
	for (size_t i = 0; l && i < l->n; i++)
		rib_cut_cancel(r, l->paths[i].source, l->paths[i].attrs->v.fate);
}

void
rib_prefetch(const struct rib *r, uint32_t table, const struct prefix *p, size_t n)
{
	const struct rib_table *t = n ? rib_table_of(r, table, p->family) : NULL;

	if (t)
		rib_table_prefetch(t, p, n);
}

void
rib_prefetch_slots(const struct rib *r, uint32_t table, const struct prefix *p, size_t n)
{
	const struct rib_table *t = n ? rib_table_of(r, table, p->family) : NULL;

	if (t)
		rib_table_prefetch_slots(t, p, n);
}

static void
withdraw_entry(struct rib *r, struct rib_table *t, struct rib_source *s, uint32_t entry)
{
	struct rib_entry *e = rib_table_entry(t, entry);
	const struct path *p;
	uint32_t fate, id;

	clear_entry(r, e);
	p = path_list_find(path_list_get(r->lists, e->list), s);
	if (!p)
		return;
	fate = e->flags & ENTRY_WITNESS ? p->attrs->v.fate : 0; /* the others' attributes are not worth a cache miss */
	id = path_list_with(r->lists, e->list, s, NULL);
	if (r->refreshes)
		refreshed(r, s, t, entry, true);
	s->paths[t->family]--;
	s->withdrawn++;
	rib_set_list(r, e, id);
	rib_table_mark_dirty(t, entry);
	if (e->flags & ENTRY_WITNESS) {
		r->witness_lost |= id == 0;
		rib_cut_begin(r, s, fate);
	}
}

void
rib_withdraw(struct rib *r, uint32_t table, struct rib_source *s, const struct prefix *prefix)
{
	struct rib_table *t = rib_table_of(r, table, prefix->family);
	uint32_t entry = t ? rib_table_find(t, prefix) : RIB_NO_ENTRY;

	if (entry != RIB_NO_ENTRY)
		withdraw_entry(r, t, s, entry);
}

void
rib_refresh_begin(struct rib *r, struct rib_source *s, enum family family)
{
	for (size_t i = 0; i < r->ntables; i++) {
		struct rib_table *t = r->tables[i];
		size_t bytes = ((size_t)t->limit + 7) / 8;
		struct refresh *f;

		if (t->family != family)
			continue;
		refresh_drop(r, s, t); /* a second begin starts anew, but for what has ended: that goes on beside it */
		f = mem_zalloc(r->cfg.mem, MEM_PREFIX, sizeof(*f));
		f->source = s;
		f->table = t;
		f->limit = t->limit;
		f->left = s->paths[family];
		/* All are in doubt; those that the source does not offer are no matter at the end. */
		f->stale = mem_alloc(r->cfg.mem, MEM_PREFIX, bytes);
		memset(f->stale, 0xff, bytes);
		f->next = r->refreshes;
		r->refreshes = f;
	}
}

void
rib_refresh_end(struct rib *r, struct rib_source *s, enum family family)
{
	for (struct refresh *f = r->refreshes; f; f = f->next)
		if (f->source == s && f->table->family == family)
			f->ended = r->refresh_ended = true;
	if (r->refresh_ended)
		rib_clear(r, clear_at_once(r));
}

/* Returns what is left of `work`. */
static size_t
clear_refresh(struct rib *r, struct refresh *f, size_t work)
{
	while (work && f->at < f->limit) {
		uint32_t entry = f->at;

		work--;
		if (!f->stale[entry / 8]) {
			f->at = (entry / 8 + 1) * 8;
			continue;
		}
		f->at++;
		if (in_doubt(f, entry) && rib_table_entry(f->table, entry)->flags & ENTRY_USED)
			withdraw_entry(r, f->table, f->source, entry);
	}
	return work;
}

bool
rib_clear(struct rib *r, size_t work)
{
	if (r->nleaving)
		work = clear_lists(r, work);
	for (struct refresh **at = &r->refreshes; work && r->refresh_ended && *at;) {
		struct refresh *f = *at;

		if (!f->ended) {
			at = &f->next;
			continue;
		}
		work = clear_refresh(r, f, work);
		if (f->at < f->limit)
			break;
		*at = f->next;
		mem_free(r->cfg.mem, MEM_PREFIX, f->stale);
		mem_free(r->cfg.mem, MEM_PREFIX, f);
	}
	if (work)
		r->refresh_ended = false;
	return !work;
}

uint64_t
rib_refresh_left(const struct rib *r, const struct rib_source *s, enum family family)
{
	uint64_t left = 0;

	for (const struct refresh *f = r->refreshes; f; f = f->next)
		if (f->source == s && f->table->family == family && !f->ended)
			left += f->left;
	return left;
}

void
rib_fib_result(struct rib *r, uint32_t table, const struct prefix *prefix, bool installed)
{
	struct rib_table *t = rib_table_of(r, table, prefix->family);
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
