/*
 * fabricd/upgrade/told.c -- what peers have been told, as one number; see impl.h
 *
 * The sum of a hash for each prefix, since tables are walked in no order. Attributes are encoded once each: prefixes of one
 * origin come one after another, and a small cache does for the rest.
 */
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/upgrade/impl.h"

#define CACHE 1024 /* a power of two */

bool
state_speaks_for_group(const struct node *n, const struct node_peer *peer)
{
	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *p = n->ports[i].peer; p && peer->export; p = p->next) {
			if (p == peer)
				return true;
			if (p->export && export_peer_group(p->export) == export_peer_group(peer->export))
				return false;
		}
	return false;
}

struct state_told_cache {
	const struct attrs *attrs;
	uint64_t hash;
};

static uint64_t
words_of(
    struct state_told_cache *cache, const struct node_peer *peer, const struct rib_view *v, uint8_t *buf, size_t size)
{
	const struct attrs *a = v->told->paths[v->told->best].attrs;
	struct state_told_cache *c = &cache[hash_u64(0, (uintptr_t)a) % CACHE];

	if (c->attrs != a) {
		int n = export_attrs(peer->export, v, buf, size);

		c->attrs = a;
		c->hash = hash_bytes(1, buf, n > 0 ? (size_t)n : 0);
	}
	return c->hash;
}

void
state_told_begin(struct node *n, struct state_told *w)
{
	*w = (struct state_told){ .cache = mem_zalloc(&n->mem, MEM_OTHER, CACHE * sizeof(*w->cache)),
		.sum = STATE_TOLD_NOTHING };
}

bool
state_told_more(struct node *n, const struct node_peer *peer, struct state_told *w, size_t *steps)
{
	size_t size = sizeof(n->scratch->wire);
	struct rib_view v;

	for (; w->family < FAMILIES; w->family++, w->at = 0)
		while (rib_next(n->rib, RIB_MAIN_TABLE, (enum family)w->family, &w->at, &v)) {
			if (export_told_group(peer->export, &v)) {
				w->count[w->family]++;
				if (v.told->paths[v.told->best].source != &peer->source)
					w->sum += hash_bytes(words_of(w->cache, peer, &v, n->scratch->wire, size),
					    &v.prefix, sizeof(v.prefix));
			}
			if (--*steps == 0)
				return true;
		}
	return false;
}

uint64_t
state_told_end(struct node *n, struct state_told *w)
{
	mem_free(&n->mem, MEM_OTHER, w->cache);
	w->cache = NULL;
	return w->sum ? w->sum : 1;
}

uint64_t
state_told_digest(struct node *n, const struct node_peer *peer)
{
	size_t all = SIZE_MAX;
	struct state_told w;

	state_told_begin(n, &w);
	(void)state_told_more(n, peer, &w, &all);
	for (int f = 0; f < FAMILIES; f++)
		export_counted(peer->export, (enum family)f, w.count[f]);
	return state_told_end(n, &w);
}
