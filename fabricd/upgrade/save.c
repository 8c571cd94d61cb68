/*
 * fabricd/upgrade/save.c -- a node into a snapshot; see state.h
 *
 * Attributes, next hops and path lists are written once each and counted; prefixes name them by these numbers. What was
 * told of a prefix is nearly always the best path of its list, which takes one bit.
 *
 * Sources are numbered as the sections of peers come, from 1; 0 is the switch itself.
 */
#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/link/port_snapshot.h"
#include "fabricd/upgrade/impl.h"

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

struct save {
	struct node *n;
	struct snapshot *s;
	struct parcels *parcels;
	struct mem *mem;
	struct numbers attrs, hops, lists, sources;
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
save_node(struct save *v, struct state_facts *facts)
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
save_port(struct save *v, const struct node_port *p)
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
save_journal(struct save *v)
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
save_peer(struct save *v, struct node_peer *peer)
{
	struct node_conn *c = conn_of(peer);
	struct rt_parcel stream = { .fd = -1 }, listener;
	uint8_t buf[BGP_SNAPSHOT_MAX];
	struct wr w = wr_make(buf, sizeof(buf));
	struct snapshot *s = v->s;
	bool has = c && c->stream && rt_stream_pack(c->stream, &stream) == 0;

	(void)number_of(v->mem, &v->sources, &peer->source);
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
	snapshot_u64(s, state_speaks_for_group(v->n, peer) ? state_told_digest(v->n, peer) : 0);
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

/* Numbers of all that the prefixes need, in order of first use. */
static void
number_lists(struct save *v)
{
	struct rib_view view;

	for (int f = 0; f < FAMILIES; f++) {
		uint32_t at = 0;

		while (rib_next(v->n->rib, RIB_MAIN_TABLE, (enum family)f, &at, &view)) {
			if (view.list)
				(void)number_of(v->mem, &v->lists, view.list);
			if (view.told && view.told->width)
				(void)number_of(v->mem, &v->attrs, view.told->paths[view.told->best].attrs);
		}
	}
	for (size_t i = 0; i < v->lists.n; i++) {
		const struct path_list *l = v->lists.keys[i];

		for (size_t k = 0; k < l->n; k++) {
			(void)number_of(v->mem, &v->attrs, l->paths[k].attrs);
			if (l->paths[k].nexthop)
				(void)number_of(v->mem, &v->hops, l->paths[k].nexthop);
		}
	}
}

static void
save_attrs(struct save *v)
{
	snapshot_section(v->s, SNAPSHOT_ATTRS);
	snapshot_u32(v->s, (uint32_t)v->attrs.n);
	for (size_t i = 0; i < v->attrs.n; i++) {
		const struct attrs *a = v->attrs.keys[i];

		snapshot_u16(v->s, a->v.wire_len);
		snapshot_bytes(v->s, a->v.wire, a->v.wire_len);
		snapshot_u8(v->s, (a->v.flags & ATTRS_LOOP) != 0);
		snapshot_u8(v->s, a->v.fate != 0);
	}
}

static void
save_hops(struct save *v)
{
	snapshot_section(v->s, SNAPSHOT_HOPS);
	snapshot_u32(v->s, (uint32_t)v->hops.n);
	for (size_t i = 0; i < v->hops.n; i++) {
		const struct rib_nexthop *h = v->hops.keys[i];

		snapshot_u32(v->s, h->ifindex);
		snapshot_ip(v->s, &h->gateway);
	}
}

static void
save_lists(struct save *v)
{
	snapshot_section(v->s, SNAPSHOT_LISTS);
	snapshot_u32(v->s, (uint32_t)v->lists.n);
	for (size_t i = 0; i < v->lists.n; i++) {
		const struct path_list *l = v->lists.keys[i];

		snapshot_u16(v->s, l->n);
		snapshot_u16(v->s, l->width ? l->best : STATE_NONE16);
		for (size_t k = 0; k < l->n; k++) {
			const struct path *p = &l->paths[k];

			snapshot_u16(v->s, (uint16_t)number_of(v->mem, &v->sources, p->source));
			snapshot_u32(v->s, number_of(v->mem, &v->attrs, p->attrs));
			snapshot_u32(v->s, p->nexthop ? number_of(v->mem, &v->hops, p->nexthop) : STATE_NONE32);
		}
	}
}

static void
save_prefix(struct save *v, const struct rib_view *view)
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

static void
save_prefixes(struct save *v, enum family f)
{
	struct rib_view view;
	uint32_t at = 0, n = 0;
	size_t count;

	snapshot_section(v->s, SNAPSHOT_PREFIXES);
	snapshot_u8(v->s, (uint8_t)f);
	count = v->s->n;
	snapshot_u32(v->s, 0);
	for (; rib_next(v->n->rib, RIB_MAIN_TABLE, f, &at, &view); n++)
		save_prefix(v, &view);
	put_u32(v->s->bytes + count, n);
}

void
state_save(struct node *n, struct snapshot *s, struct parcels *parcels, struct state_facts *facts)
{
	struct save v = { .n = n, .s = s, .parcels = parcels, .mem = s->mem };

	node_flatten(n);
	save_node(&v, facts);
	save_journal(&v);
	(void)number_of(v.mem, &v.sources, &n->local);
	for (size_t i = 0; i < n->nports; i++)
		save_port(&v, &n->ports[i]);
	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			save_peer(&v, peer);
	number_lists(&v);
	save_attrs(&v);
	save_hops(&v);
	save_lists(&v);
	for (int f = 0; f < FAMILIES; f++)
		save_prefixes(&v, (enum family)f);
	numbers_free(v.mem, &v.attrs);
	numbers_free(v.mem, &v.hops);
	numbers_free(v.mem, &v.lists);
	numbers_free(v.mem, &v.sources);
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
