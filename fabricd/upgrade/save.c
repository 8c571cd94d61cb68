/*
 * fabricd/upgrade/save.c -- a node into a snapshot; see state.h
 *
 * Attributes, next hops and path lists are written once each and counted; prefixes name them by these numbers. What was
 * told of a prefix is nearly always the best path of its list, which takes one bit.
 *
 * Sources are numbered as the sections of peers come, from 1; 0 is the switch itself.
 *
 *   TOLD --digest of each group--> NUMBER --all that prefixes name--> ATTRS -> HOPS -> LISTS -> PREFIXES -> PEERS
 *
 * A million prefixes take a quarter of a second, so it is done in slices, each of which goes on where the one before
 * stopped. Sessions come last, so that they are as new as can be.
 *
 * Always true: between two slices nobody holds what is numbered, so a slice looks first whether the RIB has run since the
 * beginning, or will.
 */
#include <errno.h>

#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/link/port_snapshot.h"
#include "fabricd/upgrade/impl.h"

#define STEP_OCTETS 128 /* so many can be gathered for a peer while a prefix is written */

/* ---- numbers for objects, by their addresses ---- */

struct numbers {
	const void **keys; /* in order of their numbers */
	size_t n, cap;
	uint32_t *slots; /* number + 1; a power of two of them */
	size_t nslots;
};

static void
numbers_rehash(struct mem *mem, struct numbers *t)
{
	mem_free(mem, MEM_OTHER, t->slots);
	t->nslots = t->nslots ? 2 * t->nslots : 1024;
	t->slots = mem_zalloc(mem, MEM_OTHER, t->nslots * sizeof(*t->slots));
	for (size_t i = 0; i < t->n; i++) {
		size_t at = hash_u64(0, (uintptr_t)t->keys[i]) & (t->nslots - 1);

		while (t->slots[at])
			at = (at + 1) & (t->nslots - 1);
		t->slots[at] = (uint32_t)i + 1;
	}
}

/* Room for so many: no rehashing, which would take long at once. */
static void
numbers_reserve(struct mem *mem, struct numbers *t, size_t n)
{
	for (t->nslots = 512; t->nslots <= 2 * n; t->nslots *= 2)
		;
	t->nslots /= 2;
	numbers_rehash(mem, t);
}

/* The number of the object; a new one when it has none. */
static uint32_t
number_of(struct mem *mem, struct numbers *t, const void *key)
{
	size_t at;

	if (t->n * 2 >= t->nslots)
		numbers_rehash(mem, t);
	for (at = hash_u64(0, (uintptr_t)key) & (t->nslots - 1); t->slots[at]; at = (at + 1) & (t->nslots - 1))
		if (t->keys[t->slots[at] - 1] == key)
			return t->slots[at] - 1;
	t->keys = mem_grow(mem, MEM_OTHER, t->keys, &t->cap, t->n + 1, sizeof(*t->keys));
	t->keys[t->n++] = key;
	t->slots[at] = (uint32_t)t->n;
	return (uint32_t)t->n - 1;
}

static void
numbers_free(struct mem *mem, struct numbers *t)
{
	mem_free(mem, MEM_OTHER, t->keys);
	mem_free(mem, MEM_OTHER, t->slots);
}

/* ---- the parts ---- */

enum stage { TOLD, NUMBER, MEMBERS, ATTRS, HOPS, LISTS, PREFIXES, PEERS, WHOLE };

struct saving {
	struct node *n;
	struct snapshot *s;
	struct parcels *parcels;
	struct mem *mem;
	struct numbers attrs, hops, lists, sources;
	uint64_t runs; /* of the RIB, at the beginning */
	enum stage stage;
	bool entered; /* the stage has written its head */
	/* where the stage is */
	size_t i;
	unsigned int family;
	uint32_t at, count;
	size_t count_at; /* in the snapshot */
	/* of the sessions, in the order of their sections */
	struct node_peer **peers;
	uint64_t *digests;
	size_t n_peers;
	struct state_told told;
};

static uint16_t
parcel_add(struct parcels *p, const struct rt_parcel *one)
{
	p->list = mem_grow(p->mem, MEM_OTHER, p->list, &p->cap, p->n + 1, sizeof(*p->list));
	p->list[p->n] = *one;
	return (uint16_t)p->n++;
}

void
parcels_free(struct parcels *p)
{
	mem_free(p->mem, MEM_OTHER, p->list);
	p->list = NULL;
	p->n = p->cap = 0;
}

static void
save_node(struct saving *v, struct state_facts *facts)
{
	const struct node *n = v->n;
	struct snapshot *s = v->s;
	struct sync_comparison fib = { 0 };
	struct rib_counts counts;

	*facts = (struct state_facts){ .bfd = n->cfg.bfd && bfd_client_connected(n->cfg.bfd) };
	if (!n->cfg.no_fib)
		sync_compare(n->sync, &fib);
	rib_counts(n->rib, &counts);
	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			facts->peers += peer->established;
	facts->paths = counts.paths[FAMILY_IPV4] + counts.paths[FAMILY_IPV6];
	facts->prefixes = counts.prefixes[FAMILY_IPV4] + counts.prefixes[FAMILY_IPV6];
	facts->right = fib.right;
	facts->wrong = fib.wrong;
	facts->unwanted = fib.unwanted;
	snapshot_section(s, SNAPSHOT_NODE);
	snapshot_text(s, FABRICD_VERSION);
	snapshot_text(s, n->self->name);
	snapshot_text(s, n->topo->digest);
	snapshot_u64(s, (uint64_t)n->started.us);
	snapshot_u8(s, n->isolated);
	snapshot_u8(s, n->rack_active);
	snapshot_u8(s, facts->bfd);
	snapshot_u64(s, (uint64_t)n->last_change.us);
	snapshot_u64(s, n->state_changes);
	snapshot_u64(s, n->updates);
	snapshot_u64(s, facts->peers);
	snapshot_u64(s, facts->paths);
	snapshot_u64(s, facts->prefixes);
	snapshot_u64(s, facts->right);
	snapshot_u64(s, facts->wrong);
	snapshot_u64(s, facts->unwanted);
}

static void
save_port(struct saving *v, const struct node_port *p)
{
	uint8_t link[LINK_SNAPSHOT_MAX];
	struct wr w = wr_make(link, sizeof(link));

	snapshot_section(v->s, SNAPSHOT_PORT);
	snapshot_text(v->s, p->name);
	snapshot_u8(v->s, p->present);
	snapshot_u8(v->s, p->present && p->plat.carrier);
	snapshot_u32(v->s, p->present ? p->plat.ifindex : 0);
	snapshot_ip(v->s, &p->plat.link_local);
	snapshot_u8(v->s, p->damp.suppressed);
	snapshot_u64(v->s, p->damp.penalty);
	snapshot_u64(v->s, (uint64_t)p->damp.at.us);
	snapshot_u64(v->s, p->damp.flaps);
	snapshot_u64(v->s, p->damp.times);
	snapshot_u32(v->s, p->damp.row);
	snapshot_u64(v->s, (uint64_t)p->damp.released.us);
	if (p->link)
		link_port_save(p->link, &w);
	snapshot_u16(v->s, (uint16_t)wr_len(&w));
	snapshot_bytes(v->s, link, wr_len(&w));
}

static void
save_journal(struct saving *v)
{
	const struct journal *j = v->n->journal;
	const struct journal_event *e = journal_from(j, 0);
	uint64_t oldest = e ? e->id : 0;

	snapshot_section(v->s, SNAPSHOT_JOURNAL);
	snapshot_u32(v->s, e ? (uint32_t)(journal_last(j) - oldest + 1) : 0);
	for (uint64_t id = oldest; id && (e = journal_from(j, id)); id = e->id + 1) {
		snapshot_u64(v->s, e->id);
		snapshot_u64(v->s, e->cause);
		snapshot_u64(v->s, (uint64_t)e->at.us);
		snapshot_u64(v->s, (uint64_t)e->wall_us);
		snapshot_u32(v->s, e->suppressed);
		snapshot_text(v->s, e->type);
		snapshot_text(v->s, e->port);
		snapshot_text(v->s, e->text);
	}
}

/* The conn of an Established session, or NULL. */
static struct node_conn *
conn_of(struct node_peer *peer)
{
	struct bgp_conn *c = peer->established ? bgp_peer_conn(peer->bgp) : NULL;

	return c ? bgp_conn_io(c) : NULL;
}

static void
save_peer(struct saving *v, struct node_peer *peer, uint64_t digest)
{
	struct node_conn *c = conn_of(peer);
	struct rt_parcel stream = { .fd = -1 }, listener;
	uint8_t buf[BGP_SNAPSHOT_MAX];
	struct wr w = wr_make(buf, sizeof(buf));
	struct snapshot *s = v->s;
	bool has = c && c->stream && rt_stream_pack(c->stream, &stream) == 0;

	snapshot_section(s, SNAPSHOT_PEER);
	snapshot_text(s, peer->port->name);
	snapshot_text(s, peer->external ? peer->external->name : "");
	snapshot_ip(s, &peer->address);
	snapshot_u8(s, peer->bfd_up);
	snapshot_u8(s, peer->export && export_peer_lags(peer->export));
	snapshot_u16(s, has ? parcel_add(v->parcels, &stream) : STATE_NO_PARCEL);
	snapshot_u16(s, peer->listener && rt_listener_pack(peer->listener, &listener) == 0
			    ? parcel_add(v->parcels, &listener)
			    : STATE_NO_PARCEL);
	snapshot_u32(s, (uint32_t)stream.n_left);
	snapshot_bytes(s, stream.left, stream.n_left);
	snapshot_u64(s, digest);
	snapshot_u32(s, peer->stuck);
	snapshot_text(s, peer->identity);
	snapshot_u8(s, POLICY_VERDICTS);
	for (int i = 0; i < POLICY_VERDICTS; i++) {
		snapshot_u64(s, peer->refused[i]);
		snapshot_u8(s, peer->refused_last[i].family);
		snapshot_prefix(s, &peer->refused_last[i]);
	}
	bgp_peer_save(peer->bgp, &w);
	snapshot_u16(s, (uint16_t)wr_len(&w));
	snapshot_bytes(s, buf, wr_len(&w));
}

/* ---- the stages: each does some steps, and says whether there is more ---- */

static bool
do_told(struct saving *v, size_t *steps)
{
	for (; v->i < v->n_peers; v->i++, v->entered = false) {
		struct node_peer *peer = v->peers[v->i];

		if (!v->entered && !state_speaks_for_group(v->n, peer))
			continue;
		if (!v->entered && !export_count(peer->export, FAMILY_IPV4) &&
		    !export_count(peer->export, FAMILY_IPV6)) {
			v->digests[v->i] = STATE_TOLD_NOTHING;
			continue;
		}
		if (!v->entered)
			state_told_begin(v->n, &v->told);
		v->entered = true;
		if (state_told_more(v->n, peer, &v->told, steps))
			return true;
		v->digests[v->i] = state_told_end(v->n, &v->told);
	}
	return false;
}

/* All lists, in order of first use, and attributes that are in none of them any more. */
static bool
do_number(struct saving *v, size_t *steps)
{
	struct rib_view view;

	for (; v->family < FAMILIES; v->family++, v->at = 0)
		while (rib_next(v->n->rib, RIB_MAIN_TABLE, (enum family)v->family, &v->at, &view)) {
			if (view.list)
				(void)number_of(v->mem, &v->lists, view.list);
			if (view.told && view.told->width)
				(void)number_of(v->mem, &v->attrs, view.told->paths[view.told->best].attrs);
			if (--*steps == 0)
				return true;
		}
	return false;
}

static bool
do_members(struct saving *v, size_t *steps)
{
	while (v->i < v->lists.n) {
		const struct path_list *l = v->lists.keys[v->i++];

		for (size_t k = 0; k < l->n; k++) {
			(void)number_of(v->mem, &v->attrs, l->paths[k].attrs);
			if (l->paths[k].nexthop)
				(void)number_of(v->mem, &v->hops, l->paths[k].nexthop);
		}
		if (--*steps == 0)
			return true;
	}
	return false;
}

/* The head of a section that counts its elements, once. */
static void
counted(struct saving *v, enum snapshot_kind kind, size_t n)
{
	if (v->entered)
		return;
	v->entered = true;
	snapshot_section(v->s, kind);
	snapshot_u32(v->s, (uint32_t)n);
}

static bool
do_attrs(struct saving *v, size_t *steps)
{
	counted(v, SNAPSHOT_ATTRS, v->attrs.n);
	while (v->i < v->attrs.n) {
		const struct attrs *a = v->attrs.keys[v->i++];

		snapshot_u16(v->s, a->v.wire_len);
		snapshot_bytes(v->s, a->v.wire, a->v.wire_len);
		snapshot_u8(v->s, (a->v.flags & ATTRS_LOOP) != 0);
		snapshot_u8(v->s, a->v.fate != 0);
		if (--*steps == 0)
			return true;
	}
	return false;
}

static bool
do_hops(struct saving *v, size_t *steps)
{
	counted(v, SNAPSHOT_HOPS, v->hops.n);
	while (v->i < v->hops.n) {
		const struct rib_nexthop *h = v->hops.keys[v->i++];

		snapshot_u32(v->s, h->ifindex);
		snapshot_ip(v->s, &h->gateway);
		if (--*steps == 0)
			return true;
	}
	return false;
}

static bool
do_lists(struct saving *v, size_t *steps)
{
	counted(v, SNAPSHOT_LISTS, v->lists.n);
	while (v->i < v->lists.n) {
		const struct path_list *l = v->lists.keys[v->i++];

		snapshot_u16(v->s, l->n);
		snapshot_u16(v->s, l->width ? l->best : STATE_NONE16);
		for (size_t k = 0; k < l->n; k++) {
			const struct path *p = &l->paths[k];

			snapshot_u16(v->s, (uint16_t)number_of(v->mem, &v->sources, p->source));
			snapshot_u32(v->s, number_of(v->mem, &v->attrs, p->attrs));
			snapshot_u32(v->s, p->nexthop ? number_of(v->mem, &v->hops, p->nexthop) : STATE_NONE32);
		}
		if (--*steps == 0)
			return true;
	}
	return false;
}

static void
save_prefix(struct saving *v, const struct rib_view *view)
{
	const struct path *told = view->told && view->told->width ? &view->told->paths[view->told->best] : NULL;
	const struct path *best = view->list && view->list->width ? &view->list->paths[view->list->best] : NULL;
	bool same = told && best && told->source == best->source && told->attrs == best->attrs;
	uint8_t flags = (uint8_t)((view->fib_installed ? STATE_INSTALLED : 0) | (same      ? STATE_TOLD_BEST
										    : told ? STATE_TOLD_OTHER
											   : 0));

	snapshot_prefix(v->s, &view->prefix);
	snapshot_u8(v->s, flags);
	snapshot_u32(v->s, view->list ? number_of(v->mem, &v->lists, view->list) : STATE_NONE32);
	if (flags & STATE_TOLD_OTHER) {
		snapshot_u16(v->s, (uint16_t)number_of(v->mem, &v->sources, told->source));
		snapshot_u32(v->s, number_of(v->mem, &v->attrs, told->attrs));
	}
}

static bool
do_prefixes(struct saving *v, size_t *steps)
{
	struct rib_view view;

	for (; v->family < FAMILIES; v->family++, v->at = v->count = 0, v->entered = false) {
		if (!v->entered) {
			snapshot_section(v->s, SNAPSHOT_PREFIXES);
			snapshot_u8(v->s, (uint8_t)v->family);
			v->count_at = v->s->n;
			snapshot_u32(v->s, 0);
			v->entered = true;
		}
		for (; rib_next(v->n->rib, RIB_MAIN_TABLE, (enum family)v->family, &v->at, &view);) {
			save_prefix(v, &view);
			v->count++;
			if (--*steps == 0)
				return true;
		}
		put_u32(v->s->bytes + v->count_at, v->count);
	}
	return false;
}

static bool
do_peers(struct saving *v, size_t *steps)
{
	while (v->i < v->n_peers) {
		struct node_peer *peer = v->peers[v->i];
		size_t cost = 1 + node_peer_flatten(peer) / STEP_OCTETS;

		save_peer(v, peer, v->digests[v->i++]);
		if (cost >= *steps)
			return true;
		*steps -= cost;
	}
	return false;
}

/* ---- all of it ---- */

struct saving *
state_save_begin(struct node *n, struct snapshot *s, struct parcels *parcels, struct state_facts *facts)
{
	struct saving *v = mem_zalloc(s->mem, MEM_OTHER, sizeof(*v));
	struct rib_counts counts;
	size_t cap = 0;

	*v = (struct saving){ .n = n, .s = s, .parcels = parcels, .mem = s->mem };
	rib_counts(n->rib, &counts);
	v->runs = counts.runs;
	numbers_reserve(v->mem, &v->lists, counts.lists);
	numbers_reserve(v->mem, &v->attrs, counts.attrs);
	save_node(v, facts);
	save_journal(v);
	(void)number_of(v->mem, &v->sources, &n->local);
	for (size_t i = 0; i < n->nports; i++) {
		save_port(v, &n->ports[i]);
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next) {
			v->peers = mem_grow(
			    v->mem, MEM_OTHER, v->peers, &cap, v->n_peers + 1, sizeof(struct node_peer *));
			v->peers[v->n_peers++] = peer;
			(void)number_of(v->mem, &v->sources, &peer->source);
		}
	}
	v->digests = mem_zalloc(v->mem, MEM_OTHER, (v->n_peers + 1) * sizeof(*v->digests));
	return v;
}

static bool
is_stale(const struct saving *v)
{
	struct rib_counts counts;

	rib_counts(v->n->rib, &counts);
	return counts.runs != v->runs || rib_pending(v->n->rib) || v->n->disturbed;
}

int
state_save_more(struct saving *v, size_t steps)
{
	static bool (*const stages[])(struct saving *, size_t * steps) = {
		[TOLD] = do_told,
		[NUMBER] = do_number,
		[MEMBERS] = do_members,
		[ATTRS] = do_attrs,
		[HOPS] = do_hops,
		[LISTS] = do_lists,
		[PREFIXES] = do_prefixes,
		[PEERS] = do_peers,
	};

	if (is_stale(v))
		return -ESTALE;
	for (; v->stage < WHOLE; v->stage++) {
		if (stages[v->stage](v, &steps))
			return 1;
		v->i = v->family = 0;
		v->at = v->count = 0;
		v->entered = false;
	}
	return 0;
}

void
state_save_end(struct saving *v)
{
	if (!v)
		return;
	if (v->told.cache)
		(void)state_told_end(v->n, &v->told);
	numbers_free(v->mem, &v->attrs);
	numbers_free(v->mem, &v->hops);
	numbers_free(v->mem, &v->lists);
	numbers_free(v->mem, &v->sources);
	mem_free(v->mem, MEM_OTHER, v->peers);
	mem_free(v->mem, MEM_OTHER, v->digests);
	mem_free(v->mem, MEM_OTHER, v);
}

int
state_save(struct node *n, struct snapshot *s, struct parcels *parcels, struct state_facts *facts)
{
	struct saving *v = state_save_begin(n, s, parcels, facts);
	int e = state_save_more(v, SIZE_MAX);

	state_save_end(v);
	return e;
}

void
state_save_output(struct node *n, struct snapshot *s)
{
	uint16_t number = 0;

	node_flatten(n);
	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next, number++) {
			struct node_conn *c = conn_of(peer);

			if (!c || c->out_at == c->out_len)
				continue;
			snapshot_section(s, SNAPSHOT_OUTPUT);
			snapshot_u16(s, number);
			snapshot_bytes(s, c->out + c->out_at, c->out_len - c->out_at);
		}
}
