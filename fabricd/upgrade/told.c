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

struct cache {
	const struct attrs *attrs;
	uint64_t hash;
};

static uint64_t
words_of(struct cache *cache, const struct node_peer *peer, const struct rib_view *v, uint8_t *buf, size_t size)
{
	const struct attrs *a = v->told->paths[v->told->best].attrs;
	struct cache *c = &cache[hash_u64(0, (uintptr_t)a) % CACHE];

	if (c->attrs != a) {
		int n = export_attrs(peer->export, v, buf, size);

		c->attrs = a;
		c->hash = hash_bytes(1, buf, n > 0 ? (size_t)n : 0);
	}
	return c->hash;
}

uint64_t
state_told_digest(struct node *n, const struct node_peer *peer)
{
	struct cache *cache = mem_zalloc(&n->mem, MEM_OTHER, CACHE * sizeof(*cache));
	size_t size = sizeof(n->scratch->wire);
	struct rib_view v;
	uint64_t sum = 1;

	for (int f = 0; f < FAMILIES; f++)
		for (uint32_t at = 0; rib_next(n->rib, RIB_MAIN_TABLE, (enum family)f, &at, &v);)
			if (export_told(peer->export, &v))
				sum += hash_bytes(
				    words_of(cache, peer, &v, n->scratch->wire, size), &v.prefix, sizeof(v.prefix));
	mem_free(&n->mem, MEM_OTHER, cache);
	return sum ? sum : 1;
}
