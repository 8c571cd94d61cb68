/*
 * fabricd/rib/cut.c -- what the loss of one prefix says about all that came the same way
 *
 * Every switch of the fabric announces its own loopbacks, and a neighbour announces them as long as it has any path to
 * that switch: they are witnesses of their fate (hops.h). When a neighbour has withdrawn all witnesses of a fate, it is
 * taken to have lost everything of that fate: a cut. Tens of thousands of withdrawals that say so one by one are still
 * on their way, but the groups need not wait for them.
 *
 *   rib_withdraw() of a witness -> a cut, fresh -> rib_run_groups(): refuted by another witness, or applied:
 *     every hop set that has the neighbour's hop of that fate loses it in place, one group change each
 *   the withdrawals arrive -> the lists without the neighbour have that same hop set: nothing is left to do
 *   they do not arrive (somebody removed just a loopback) -> the cut ends, the lists that still have the path are given
 *     their full hop set again, and their prefixes are moved to it as ever, by a run
 *
 * A cut ends when the witness is announced again, when the neighbour's session ends, when no list is narrower for it
 * any more (looked up after CHECK_US without a withdrawal from that neighbour), and otherwise when RELEASE_US have gone
 * by without one, at most LIMIT_US after it began. Too early an end would widen groups whose withdrawals are still on
 * their way; too late a one costs nothing but width.
 *
 * Always true: a cut only takes next hops away, and never the last one of a set: when all hops of a set are cut, the
 * one that was cut last stays. Announcements are never inferred.
 */
#include "fabricd/lib/hash.h"
#include "fabricd/rib/rib_impl.h"

#define CHECK_US   30000
#define RELEASE_US SECONDS(1)
#define LIMIT_US   SECONDS(10)

struct rib_cut {
	struct rib_cut *next;
	struct bucket_item item;
	struct rib_source *source;
	uint32_t fate;
	uint32_t number; /* of its coming */
	bool fresh;      /* not applied yet */
	bool refuted;    /* another witness of this fate is still there */
	bool checked;    /* some list was narrower for it, and */
	bool alive;      /* is (while the lists are looked at) */
	uint64_t seen;   /* withdrawals of the source until `quiet` */
	struct mono since, quiet;
};

static uint32_t
hash_of(const struct rib_source *s, uint32_t fate)
{
	return (uint32_t)hash_u64(s->index, fate);
}

static struct rib_cut *
find(const struct rib_cuts *c, const struct rib_source *s, uint32_t fate)
{
	if (!s->cuts) /* the rule */
		return NULL;
	for (struct bucket_item *i = buckets_first(&c->found, hash_of(s, fate)); i; i = buckets_next(i)) {
		struct rib_cut *cut = CONTAINER_OF(i, struct rib_cut, item);

		if (cut->source == s && cut->fate == fate)
			return cut;
	}
	return NULL;
}

void
rib_cut_begin(struct rib *r, struct rib_source *s, uint32_t fate)
{
	struct rib_cuts *c = &r->cuts;
	struct rib_cut *cut;

	if (!s->up || fate == 0 || find(c, s, fate))
		return;
	cut = mem_zalloc(r->cfg.mem, MEM_PREFIX, sizeof(*cut));
	cut->source = s;
	cut->fate = fate;
	cut->number = ++c->number;
	cut->fresh = true;
	cut->since = cut->quiet = r->ops->now(r->arg);
	cut->seen = s->withdrawn;
	cut->next = c->first;
	c->first = cut;
	buckets_add(&c->found, &cut->item, hash_of(s, fate));
	s->cuts++;
	c->fresh++;
}

/* Takes out the cut that *at points to. */
static void
end_cut(struct rib *r, struct rib_cut **at)
{
	struct rib_cuts *c = &r->cuts;
	struct rib_cut *cut = *at;

	*at = cut->next;
	buckets_remove(&c->found, &cut->item);
	cut->source->cuts--;
	c->fresh -= cut->fresh;
	mem_free(r->cfg.mem, MEM_PREFIX, cut);
}

typedef bool ends_fn(const struct rib_cut *, const void *arg);

static void
end_cuts(struct rib *r, ends_fn *ends, const void *arg)
{
	for (struct rib_cut **at = &r->cuts.first; *at;) {
		if (ends(*at, arg))
			end_cut(r, at);
		else
			at = &(*at)->next;
	}
}

static bool
is_cut(const struct rib_cut *c, const void *cut)
{
	return c == cut;
}

void
rib_cut_cancel(struct rib *r, const struct rib_source *s, uint32_t fate)
{
	struct rib_cut *cut = find(&r->cuts, s, fate);

	if (!cut)
		return;
	r->cuts.again |= !cut->fresh;
	end_cuts(r, is_cut, cut);
}

static bool
is_of_source(const struct rib_cut *c, const void *source)
{
	return c->source == source;
}

void
rib_cuts_forget(struct rib *r, const struct rib_source *s)
{
	if (s->cuts)
		end_cuts(r, is_of_source, s);
}

void
rib_cuts_free(struct rib *r)
{
	for (struct rib_cut *cut; (cut = r->cuts.first);) {
		r->cuts.first = cut->next;
		mem_free(r->cfg.mem, MEM_PREFIX, cut);
	}
	buckets_done(&r->cuts.found);
}

/* ---- which hops are left ---- */

/* Fresh cuts count for nobody until they are applied to all. */
static struct rib_cut *
cut_of(struct rib *r, const struct hop *h, bool applying)
{
	struct rib_cut *cut = find(&r->cuts, h->source, h->fate);

	return cut && (applying || !cut->fresh) ? cut : NULL;
}

/* The hop that stays although it is cut, since all are; n: some are not cut. */
static size_t
kept_hop(struct rib *r, const struct hop *hops, size_t n, bool applying)
{
	const struct rib_cut *last = NULL;
	size_t kept = n;

	for (size_t i = 0; i < n; i++) {
		const struct rib_cut *cut = cut_of(r, &hops[i], applying);

		if (!cut)
			return n;
		if (!last || cut->number > last->number) {
			last = cut;
			kept = i;
		}
	}
	return kept;
}

size_t
rib_cuts_filter(struct rib *r, struct hop *hops, size_t n)
{
	size_t kept = kept_hop(r, hops, n, false), out = 0;

	if (!r->cuts.first)
		return n;
	for (size_t i = 0; i < n; i++) {
		struct rib_cut *cut = i == kept ? NULL : cut_of(r, &hops[i], false);

		if (cut)
			cut->alive = true;
		else
			hops[out++] = hops[i];
	}
	return out;
}

static void
narrow_set(struct rib *r, struct hop_set *s)
{
	size_t kept = kept_hop(r, s->hops, s->n, true);
	bool changed = false;

	for (size_t i = s->n; i-- > 0;)
		if (i != kept && cut_of(r, &s->hops[i], true))
			changed |= hop_set_drop(r->hops, s, s->hops[i].source);
	if (changed && s->group)
		rib_want_group_change(r, s);
}

/* ---- fresh cuts ---- */

static void
refute_by(struct rib *r, const struct path_list *l)
{
	for (size_t i = 0; l && i < l->n; i++) {
		struct rib_cut *cut = find(&r->cuts, l->paths[i].source, l->paths[i].attrs->v.fate);

		if (cut && cut->fresh)
			cut->refuted = true;
	}
}

static bool
is_refuted(const struct rib_cut *c, const void *arg)
{
	(void)arg;
	return c->refuted;
}

void
rib_cuts_apply(struct rib *r)
{
	struct hop_set *set;
	uint32_t entry;

	if (!r->cuts.fresh)
		return;
	for (size_t i = 0; i < r->ntables; i++)
		for (uint32_t at = 0; (entry = rib_table_next_witness(r->tables[i], &at)) != RIB_NO_ENTRY;)
			refute_by(r, path_list_get(r->lists, rib_table_entry(r->tables[i], entry)->list));
	end_cuts(r, is_refuted, NULL);
	if (!r->cuts.fresh)
		return;
	for (uint32_t id = 0; (set = hop_sets_next(r->hops, &id));)
		narrow_set(r, set);
	for (struct rib_cut *c = r->cuts.first; c; c = c->next)
		c->fresh = false;
	r->cuts.fresh = 0;
}

/* ---- their end ---- */

static struct mono
deadline_of(const struct rib_cut *c)
{
	return mono_min(mono_add(c->quiet, c->checked ? RELEASE_US : CHECK_US), mono_add(c->since, LIMIT_US));
}

struct mono
rib_cuts_deadline(const struct rib *r)
{
	struct mono at = MONO_NEVER;

	for (const struct rib_cut *c = r->cuts.first; c; c = c->next)
		at = mono_min(at, deadline_of(c));
	return at;
}

static bool
is_released(const struct rib_cut *c, const void *now)
{
	const struct mono *at = now;

	return mono_due(c->checked ? deadline_of(c) : mono_add(c->since, LIMIT_US), *at);
}

bool
rib_cuts_run(struct rib *r, struct mono now)
{
	size_t before = r->cuts.found.count;
	bool again = r->cuts.again;

	for (struct rib_cut *c = r->cuts.first; c; c = c->next) {
		if (c->seen != c->source->withdrawn) {
			c->seen = c->source->withdrawn;
			c->quiet = now;
			c->checked = false;
		}
		again |= mono_due(deadline_of(c), now);
		c->alive = false;
	}
	end_cuts(r, is_released, &now);
	r->cuts.again = false;
	return again || r->cuts.found.count != before;
}

static bool
is_over(const struct rib_cut *c, const void *arg)
{
	(void)arg;
	return !c->alive;
}

void
rib_cuts_looked(struct rib *r)
{
	end_cuts(r, is_over, NULL);
	for (struct rib_cut *c = r->cuts.first; c; c = c->next)
		c->checked = true;
}

void
rib_cuts_wait(struct rib *r, int64_t us)
{
	for (struct rib_cut *c = r->cuts.first; c; c = c->next)
		c->quiet = mono_add(c->quiet, us);
}
