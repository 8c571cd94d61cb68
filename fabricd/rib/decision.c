/* fabricd/rib/decision.c -- which path is best, which share the load, and why: RFC 4271 9.1.2.2 as a table of steps */
#include "fabricd/lib/base.h"
#include "fabricd/rib/path.h"

static const char *const side_names[RIB_SIDES] = {
	[RIB_LOCAL] = "local",
	[RIB_BELOW] = "below",
	[RIB_HOST] = "host",
	[RIB_EXTERNAL] = "external",
	[RIB_ABOVE] = "above",
};

const char *
rib_side_name(enum rib_side s)
{
	return (size_t)s < RIB_SIDES ? side_names[s] : "?";
}

bool
path_usable(const struct path *p)
{
	return p->source->up && !(p->attrs->v.flags & ATTRS_LOOP);
}

static int
order(uint64_t a, uint64_t b) /* the lesser wins */
{
	return (a > b) - (a < b);
}

static int
cmp_usable(const struct path *a, const struct path *b)
{
	return order(!path_usable(a), !path_usable(b));
}

/* RFC 9494 4.3: what is kept of a neighbour that is long gone is the last resort, and never shares the load. */
static int
cmp_stale(const struct path *a, const struct path *b)
{
	return order(a->attrs->v.flags & ATTRS_LLGR_STALE, b->attrs->v.flags & ATTRS_LLGR_STALE);
}

/* RFC 8326: a path that is about to go has local preference 0. Without the attribute, it is 100. */
static uint32_t
local_pref(const struct path *p)
{
	if (p->attrs->v.flags & ATTRS_GRACEFUL_SHUTDOWN)
		return 0;
	return p->attrs->v.flags & ATTRS_HAS_LOCAL_PREF ? p->attrs->v.local_pref : 100;
}

static int
cmp_local_pref(const struct path *a, const struct path *b)
{
	return order(local_pref(b), local_pref(a));
}

static int
cmp_local(const struct path *a, const struct path *b)
{
	return order(a->source->side != RIB_LOCAL, b->source->side != RIB_LOCAL);
}

static int
cmp_as_path(const struct path *a, const struct path *b)
{
	return order(a->attrs->v.path_len, b->attrs->v.path_len);
}

static int
cmp_origin(const struct path *a, const struct path *b)
{
	return order(a->attrs->v.origin, b->attrs->v.origin);
}

/* Only between paths from one neighbouring AS; a missing MED is 0 (RFC 4271 9.1.2.2 c). */
static int
cmp_med(const struct path *a, const struct path *b)
{
	if (a->attrs->v.first_as != b->attrs->v.first_as)
		return 0;
	return order(a->attrs->v.med, b->attrs->v.med);
}

/* Paths of both directions never share the load: what came down from above must not be sent up again. */
static int
cmp_side(const struct path *a, const struct path *b)
{
	return order(a->source->side, b->source->side);
}

static int
cmp_router_id(const struct path *a, const struct path *b)
{
	return order(a->source->router_id, b->source->router_id);
}

static int
cmp_address(const struct path *a, const struct path *b)
{
	int c = ip_cmp(&a->source->address, &b->source->address);

	return c ? c : order(a->source->index, b->source->index);
}

static const struct {
	const char *text;
	int (*cmp)(const struct path *, const struct path *);
} steps[TIEBREAKS] = {
	[WHY_ONLY] = { "only path", NULL },
	[WHY_UNUSABLE] = { "usable path", cmp_usable },
	[WHY_STALE] = { "not long-lived stale", cmp_stale },
	[WHY_LOCAL_PREF] = { "higher local preference", cmp_local_pref },
	[WHY_LOCAL] = { "local route", cmp_local },
	[WHY_AS_PATH] = { "shorter AS path", cmp_as_path },
	[WHY_ORIGIN] = { "lower origin", cmp_origin },
	[WHY_MED] = { "lower MED", cmp_med },
	[WHY_SIDE] = { "nearer side of the fabric", cmp_side },
	[WHY_ROUTER_ID] = { "lower router id", cmp_router_id },
	[WHY_ADDRESS] = { "lower peer address", cmp_address },
};

const char *
tiebreak_text(enum tiebreak t)
{
	return (size_t)t < TIEBREAKS ? steps[t].text : "?";
}

static int
compare_from(enum tiebreak first, const struct path *a, const struct path *b, enum tiebreak *why)
{
	for (size_t i = first; i < TIEBREAKS; i++) {
		int c = steps[i].cmp(a, b);

		*why = (enum tiebreak)i;
		if (c)
			return c;
	}
	return 0;
}

int
path_compare(const struct path *a, const struct path *b, enum tiebreak *why)
{
	/* Most neighbours of a tier send the same: then nothing tells before the router id. */
	bool same = a->attrs == b->attrs && a->source->side == b->source->side && a->source->up == b->source->up;

	return compare_from(same ? WHY_ROUTER_ID : WHY_ONLY + 1, a, b, why);
}

/* Never both ways: in the end, no two sources of a list have the same index. */
static bool
is_better(const struct path *a, const struct path *b, enum tiebreak *why)
{
	return path_compare(a, b, why) < 0;
}

/*
 * MED is compared only within a neighbouring AS, so the comparison alone is no order: a path that loses by MED to
 * another of its AS is taken out before the rest is compared (deterministic MED).
 */
static bool
loses_by_med(const struct path_list *l, size_t i)
{
	enum tiebreak why;

	for (size_t j = 0; j < l->n; j++)
		if (l->paths[j].attrs->v.med < l->paths[i].attrs->v.med &&
		    l->paths[j].attrs->v.first_as == l->paths[i].attrs->v.first_as &&
		    is_better(&l->paths[j], &l->paths[i], &why) && why == WHY_MED)
			return true;
	return false;
}

static bool
any_med(const struct path_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->paths[i].attrs->v.flags & ATTRS_HAS_MED)
			return true;
	return false;
}

static bool
shares_load(const struct path_list *l, size_t i, enum tiebreak *why)
{
	path_compare(&l->paths[l->best], &l->paths[i], why);
	return *why >= WHY_ROUTER_ID && !(l->med && loses_by_med(l, i));
}

bool
path_is_multipath(const struct path_list *l, size_t i)
{
	enum tiebreak why;

	if (l->width == 0)
		return false;
	if (l->width == l->n) /* all of them do */
		return true;
	return i == l->best || shares_load(l, i, &why);
}

/* All paths share the load: only the best is to be found, and no attributes are looked at. */
static void
decide_alike(struct path_list *l, unsigned int max_width)
{
	enum tiebreak why;

	for (uint16_t i = 1; i < l->n; i++)
		if (compare_from(WHY_ROUTER_ID, &l->paths[i], &l->paths[l->best], &why) < 0)
			l->best = i;
	l->width = (uint16_t)MIN_OF((unsigned int)l->n, max_width);
	for (uint16_t i = 0; i < l->n; i++)
		if (i != l->best) {
			compare_from(WHY_ROUTER_ID, &l->paths[l->best], &l->paths[i], &why);
			l->reason = (uint8_t)MAX_OF(l->reason, why);
		}
}

void
path_list_decide(struct path_list *l, unsigned int max_width)
{
	enum tiebreak why = WHY_ONLY;
	size_t best = l->n; /* none */

	l->decided = true;
	l->width = 0;
	l->best = 0;
	l->reason = WHY_ONLY;
	if (l->alike && l->n) {
		decide_alike(l, max_width);
		return;
	}
	l->med = any_med(l);
	for (size_t i = 0; i < l->n; i++) {
		if (!path_usable(&l->paths[i]) || (l->med && loses_by_med(l, i)))
			continue;
		if (best == l->n || is_better(&l->paths[i], &l->paths[best], &why))
			best = i;
	}
	if (best == l->n)
		return;
	l->best = (uint16_t)best;
	l->width = 1;
	/* The reason is what tells the best from the path that came nearest to it: the latest step that was reached. */
	for (size_t i = 0; i < l->n; i++) {
		if (i == best)
			continue;
		if (shares_load(l, i, &why) && l->width < max_width)
			l->width++;
		l->reason = (uint8_t)MAX_OF(l->reason, why);
	}
}

/* A hop without a bandwidth cannot be weighed against the others: then all count the same. */
static void
weigh(struct hop *hops, size_t n)
{
	bool all = true;

	for (size_t i = 0; i < n; i++)
		all &= hops[i].weight != 0;
	for (size_t i = 0; i < n && !all; i++)
		hops[i].weight = 1;
}

size_t
path_list_hops(const struct path_list *l, bool weights, struct hop *out, size_t max)
{
	size_t n = 0, want = MIN_OF((size_t)l->width, max);
	bool best = false;

	for (size_t i = 0; i < l->n; i++) {
		const struct path *p = &l->paths[i];
		bool kept = i != l->best && !best; /* a place for the best, when not all that share the load fit in */

		if (n + kept >= want || !path_is_multipath(l, i))
			continue;
		best |= i == l->best;
		if (!p->nexthop)
			continue;
		out[n] = (struct hop){
			.source = p->source, .nexthop = p->nexthop, .fate = p->attrs->v.fate, .weight = 1
		};
		if (weights)
			out[n].weight = p->attrs->v.link_bandwidth_weight;
		n++;
	}
	if (weights)
		weigh(out, n);
	return n;
}
