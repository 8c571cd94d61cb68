/* fabricd/rib/view.c -- the routing tables as others look at them: by prefix, by longest match, one after another */
#include "fabricd/rib/rib_impl.h"

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
	struct rib_table *t = rib_table_of(r, table, p->family);
	uint32_t entry = t ? rib_table_find(t, p) : RIB_NO_ENTRY;

	if (entry == RIB_NO_ENTRY)
		return false;
	view_of(r, t, entry, out);
	return true;
}

bool
rib_match(const struct rib *r, uint32_t table, const struct ip *a, struct rib_view *out)
{
	struct rib_table *t = rib_table_of(r, table, a->family);

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
	struct rib_table *t = rib_table_of(r, table, family);

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
	struct rib_table *t = rib_table_of(r, table, family);

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
	for (size_t i = 1; i < r->nsources; i++)
		for (int f = 0; r->sources[i] && f < FAMILIES; f++)
			out->paths[f] += r->sources[i]->paths[f];
	out->lists = path_lists_count(r->lists);
	out->hop_sets = hop_sets_count(r->hops);
	out->attrs = attrs_table_count(r->attrs);
}
