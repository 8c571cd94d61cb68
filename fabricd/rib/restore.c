/* fabricd/rib/restore.c -- see restore.h */
#include "fabricd/rib/restore.h"

#include "fabricd/rib/rib_impl.h"

/* The list's own best path is what was told: then the prefix is told this very list. */
static bool
is_best(const struct path_list *l, const struct rib_source *source, const struct attrs *attrs)
{
	return l && l->width && l->paths[l->best].source == source && l->paths[l->best].attrs == attrs;
}

bool
rib_restore_told(struct rib *r, uint32_t table, const struct prefix *prefix, struct rib_source *source,
    struct attrs *attrs, struct rib_nexthop *nexthop, bool installed)
{
	struct rib_table *t = rib_table_of(r, table, prefix->family);
	uint32_t entry = t ? rib_table_find(t, prefix) : RIB_NO_ENTRY;
	struct path p = { .source = source, .attrs = attrs, .nexthop = nexthop };
	struct path_list *list;
	struct rib_entry *e;
	uint32_t id;

	if (entry == RIB_NO_ENTRY)
		return false;
	e = rib_table_entry(t, entry);
	if (installed)
		e->flags |= ENTRY_INSTALLED;
	if (!source)
		return true;
	list = path_list_get(r->lists, e->list);
	if (list)
		rib_decide(r, list);
	if (is_best(list, source, attrs)) {
		rib_set_told(r, e, e->list);
		return true;
	}
	id = path_list_with(r->lists, 0, source, &p);
	rib_decide(r, path_list_get(r->lists, id));
	rib_set_told(r, e, id);
	path_list_unref(r->lists, id);
	return true;
}

bool
rib_refreshing(const struct rib *r)
{
	return r->refreshes != NULL;
}

bool
rib_has_cuts(const struct rib *r)
{
	return r->cuts.first != NULL;
}
