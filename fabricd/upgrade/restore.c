/*
 * fabricd/upgrade/restore.c -- a node out of a snapshot; see state.h
 *
 *   state_open(): sections -> facts, ports, peers (none of it trusted: counted, bounded, compared with the file)
 *   state_restore(): peers -> sessions; attributes, next hops, lists -> arrays; prefixes -> rib_announce(), told
 *
 * A checksum says that the bytes are those that were written; what they mean is checked all the same, attributes by the
 * parser of UPDATEs and prefixes by the import policy, so that the worst snapshot is one that is refused.
 *
 * Always true: what is refused has touched neither peers nor forwarding plane, since the node is held.
 */
#include <errno.h>
#include <stdio.h>

#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/lib/base.h"
#include "fabricd/link/port_snapshot.h"
#include "fabricd/rib/restore.h"
#include "fabricd/upgrade/impl.h"

struct saved_port {
	char name[64];
	bool present, carrier;
	uint32_t ifindex;
	struct ip link_local;
	struct damp damp;
	struct rd link; /* empty: it leads to no switch */
};

struct saved_peer {
	char port[64], external[64];
	struct ip address;
	bool bfd_up, lags;
	uint16_t stream, listener; /* parcels */
	struct rd left, bgp;
	uint64_t told; /* state_told_digest() */
	uint32_t stuck;
	char identity[BGP_REASON_TEXT];
	struct rd refused;
	uint8_t verdicts;
	struct node_peer *peer; /* once it is restored */
};

struct saved_list {
	uint16_t n, best;
	const uint8_t *members; /* of 10 octets */
};

struct state {
	struct mem *mem;
	struct rd sections;
	struct state_facts facts;
	struct node_inherit inherit;
	struct mono last_change;
	uint64_t state_changes, updates;
	struct saved_port *ports;
	size_t n_ports, cap_ports;
	struct saved_peer *peers;
	size_t n_peers, cap_peers;
	struct journal_event *events;
	char (*event_types)[JOURNAL_TYPE];
	size_t n_parcels;
	/* while it is restored */
	struct attrs **attrs;
	struct rib_nexthop **hops;
	struct saved_list *lists;
	uint32_t n_attrs, n_hops, n_lists;
	uint64_t refused, retold;
	char refused_text[160];
};

#define MEMBER 10

/* ---- reading ---- */

static void
read_node(struct state *st, struct rd *r)
{
	snapshot_get_text(r, st->facts.version, sizeof(st->facts.version));
	snapshot_get_text(r, st->facts.name, sizeof(st->facts.name));
	snapshot_get_text(r, st->facts.digest, sizeof(st->facts.digest));
	st->inherit.started.us = (int64_t)rd_u64(r);
	st->inherit.isolated = rd_u8(r) != 0;
	st->inherit.rack_active = rd_u8(r) != 0;
	st->facts.bfd = rd_u8(r) != 0;
	st->last_change.us = (int64_t)rd_u64(r);
	st->state_changes = rd_u64(r);
	st->updates = rd_u64(r);
	st->facts.peers = rd_u64(r);
	st->facts.paths = rd_u64(r);
	st->facts.prefixes = rd_u64(r);
	st->facts.right = rd_u64(r);
	st->facts.wrong = rd_u64(r);
	st->facts.unwanted = rd_u64(r);
}

static void
read_port(struct state *st, struct rd *r)
{
	struct saved_port *p;

	st->ports = mem_grow(st->mem, MEM_OTHER, st->ports, &st->cap_ports, st->n_ports + 1, sizeof(*st->ports));
	p = &st->ports[st->n_ports++];
	snapshot_get_text(r, p->name, sizeof(p->name));
	p->present = rd_u8(r) != 0;
	p->carrier = rd_u8(r) != 0;
	p->ifindex = rd_u32(r);
	snapshot_get_ip(r, &p->link_local);
	p->damp.suppressed = rd_u8(r) != 0;
	p->damp.penalty = rd_u64(r);
	p->damp.at.us = (int64_t)rd_u64(r);
	p->damp.flaps = rd_u64(r);
	p->damp.times = rd_u64(r);
	p->damp.row = rd_u32(r);
	p->damp.released.us = (int64_t)rd_u64(r);
	p->link = rd_sub(r, rd_u16(r));
}

static void
read_journal(struct state *st, struct rd *r)
{
	uint32_t count = rd_u32(r);

	if (st->events || count > JOURNAL_EVENTS)
		r->bad = true;
	if (r->bad)
		return;
	st->events = mem_zalloc(st->mem, MEM_OTHER, (count + 1) * sizeof(*st->events));
	st->event_types = mem_zalloc(st->mem, MEM_OTHER, (count + 1) * sizeof(*st->event_types));
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct journal_event *e = &st->events[i];

		e->id = rd_u64(r);
		e->cause = rd_u64(r);
		e->at.us = (int64_t)rd_u64(r);
		e->wall_us = (int64_t)rd_u64(r);
		e->suppressed = rd_u32(r);
		e->type = snapshot_get_text(r, st->event_types[i], sizeof(st->event_types[i]));
		snapshot_get_text(r, e->port, sizeof(e->port));
		snapshot_get_text(r, e->text, sizeof(e->text));
		if (e->id == 0 || e->id > UINT64_MAX / 2 || (i && e->id != e[-1].id + 1))
			r->bad = true;
	}
	st->inherit.events = st->events;
	st->inherit.n_events = r->bad ? 0 : count;
}

static uint16_t
read_parcel(struct state *st, struct rd *r)
{
	uint16_t number = rd_u16(r);

	if (number == STATE_NO_PARCEL)
		return number;
	if (number != st->n_parcels) /* they come in order */
		r->bad = true;
	st->n_parcels++;
	return number;
}

static void
read_peer(struct state *st, struct rd *r)
{
	struct saved_peer *p;
	const uint8_t *from;

	st->peers = mem_grow(st->mem, MEM_OTHER, st->peers, &st->cap_peers, st->n_peers + 1, sizeof(*st->peers));
	p = &st->peers[st->n_peers++];
	memset(p, 0, sizeof(*p));
	snapshot_get_text(r, p->port, sizeof(p->port));
	snapshot_get_text(r, p->external, sizeof(p->external));
	snapshot_get_ip(r, &p->address);
	p->bfd_up = rd_u8(r) != 0;
	p->lags = rd_u8(r) != 0;
	p->stream = read_parcel(st, r);
	p->listener = read_parcel(st, r);
	p->left = rd_sub(r, rd_u32(r));
	p->told = rd_u64(r);
	p->stuck = rd_u32(r);
	snapshot_get_text(r, p->identity, sizeof(p->identity));
	p->verdicts = rd_u8(r);
	from = r->at;
	for (int i = 0; i < p->verdicts && !r->bad; i++) {
		struct prefix last;
		uint8_t family;

		(void)rd_u64(r);
		family = rd_u8(r);
		r->bad |= family >= FAMILIES;
		snapshot_get_prefix(r, family == FAMILY_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4, &last);
	}
	p->refused = rd_make(from, r->bad ? 0 : (size_t)(r->at - from));
	p->bgp = rd_sub(r, rd_u16(r));
}

struct state *
state_open(struct mem *mem, const void *bytes, size_t n, char *err, size_t errlen)
{
	static void (*const readers[SNAPSHOT_KINDS])(struct state *, struct rd *) = {
		[SNAPSHOT_NODE] = read_node,
		[SNAPSHOT_PORT] = read_port,
		[SNAPSHOT_PEER] = read_peer,
		[SNAPSHOT_JOURNAL] = read_journal,
	};
	struct state *st;
	struct rd sections, walk, one;
	unsigned int kind, nodes = 0;

	if (!snapshot_open(bytes, n, &sections, err, errlen))
		return NULL;
	st = mem_zalloc(mem, MEM_OTHER, sizeof(*st));
	st->mem = mem;
	st->sections = walk = sections;
	while (snapshot_next(&walk, &kind, &one)) {
		nodes += kind == SNAPSHOT_NODE;
		if (kind >= SNAPSHOT_KINDS || !readers[kind])
			continue;
		readers[kind](st, &one);
		if (one.bad || !rd_done(&one)) {
			snprintf(err, errlen, "the snapshot is damaged: section %u does not hold what it should", kind);
			state_free(st);
			return NULL;
		}
	}
	if (nodes != 1) {
		snprintf(err, errlen, "the snapshot is damaged: it speaks of %u nodes", nodes);
		state_free(st);
		return NULL;
	}
	return st;
}

void
state_free(struct state *st)
{
	if (!st)
		return;
	mem_free(st->mem, MEM_OTHER, st->ports);
	mem_free(st->mem, MEM_OTHER, st->peers);
	mem_free(st->mem, MEM_OTHER, st->events);
	mem_free(st->mem, MEM_OTHER, st->event_types);
	mem_free(st->mem, MEM_OTHER, st);
}

const struct state_facts *
state_facts(const struct state *st)
{
	return &st->facts;
}

const struct node_inherit *
state_inherit(const struct state *st)
{
	return &st->inherit;
}

size_t
state_parcels(const struct state *st)
{
	return st->n_parcels;
}

/* ---- sessions ---- */

static struct node_peer *
find_peer(struct node *n, const struct saved_peer *saved)
{
	struct node_port *p = node_port_find(n, saved->port);

	for (struct node_peer *peer = p ? p->peer : NULL; peer; peer = peer->next)
		if (strcmp(peer->external ? peer->external->name : "", saved->external) == 0)
			return peer;
	return NULL;
}

static void
restore_refused(struct node_peer *peer, struct saved_peer *saved)
{
	struct rd r = saved->refused;

	for (int i = 0; i < saved->verdicts; i++) {
		struct prefix last;
		uint64_t count = rd_u64(&r);

		snapshot_get_prefix(&r, rd_u8(&r) == FAMILY_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4, &last);
		if (i >= POLICY_VERDICTS)
			continue;
		peer->refused[i] = count;
		peer->refused_last[i] = last;
	}
}

static int
restore_peers(struct state *st, struct node *n, char *err, size_t errlen)
{
	for (size_t i = 0; i < st->n_peers; i++) {
		struct saved_peer *saved = &st->peers[i];
		struct node_peer *peer = find_peer(n, saved);
		bool was = peer && peer->established;

		if (!peer || was || node_peer_restore(peer, &saved->address, saved->bgp, saved->lags)) {
			snprintf(err, errlen, "the session of port %s %s cannot go on: %s", saved->port,
			    saved->external,
			    peer ? "what is saved of it is damaged, or of another neighbour"
				 : "the file has no such session");
			return -EBADMSG;
		}
		if (peer->established != (saved->stream != STATE_NO_PARCEL)) {
			snprintf(err, errlen, "the session of port %s comes without its connection", saved->port);
			return -EBADMSG;
		}
		saved->peer = peer;
		restore_refused(peer, saved);
		peer->stuck = saved->stuck;
		snprintf(peer->identity, sizeof(peer->identity), "%s", saved->identity);
	}
	return 0;
}

/* ---- routes ---- */

/* The count at the start of a section whose elements have at least `least` octets; 0 and r->bad when it cannot be. */
static uint32_t
read_count(struct rd *r, size_t least)
{
	uint32_t n = rd_u32(r);

	if (n > rd_left(r) / least) {
		r->bad = true;
		return 0;
	}
	return n;
}

/* Longer than any path through a fabric; as when it was received. */
#define FATE_HOPS 8

static struct attrs *
restore_attributes(struct node *n, struct rd wire, bool loop, bool has_fate)
{
	const struct bgp_update_opts opts = {
		.local_as = 0, .caps = BGP_CAP_ALL, .internal = true, .keep_unknown = true
	};
	uint32_t path[FATE_HOPS];
	struct bgp_attrs parsed;
	size_t hops;

	bgp_attrs_parse(wire, &opts, n->scratch, &parsed);
	if (parsed.malformed || parsed.fate > BGP_FATE_DISCARD || parsed.view.wire_len != rd_left(&wire) ||
	    memcmp(parsed.view.wire, wire.at, parsed.view.wire_len) != 0)
		return NULL;
	if (loop)
		parsed.view.flags |= ATTRS_LOOP;
	if (has_fate) {
		hops = bgp_as_path_list(parsed.view.wire, parsed.view.wire_len, path, FATE_HOPS);
		parsed.view.fate = policy_fate(n->policy, path, MIN_OF(hops, (size_t)FATE_HOPS));
	}
	return attrs_intern(rib_attrs(n->rib), &parsed.view);
}

static void
restore_attrs(struct state *st, struct node *n, struct rd *r)
{
	uint32_t count = read_count(r, 4);

	if (st->attrs)
		r->bad = true;
	if (r->bad)
		return;
	st->attrs = mem_zalloc(st->mem, MEM_OTHER, (count + 1) * sizeof(struct attrs *));
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct rd wire = rd_sub(r, rd_u16(r));
		bool loop = rd_u8(r) != 0, has_fate = rd_u8(r) != 0;

		st->attrs[i] = r->bad ? NULL : restore_attributes(n, wire, loop, has_fate);
		st->n_attrs = i + 1;
		if (!st->attrs[i])
			r->bad = true;
	}
}

static void
restore_hops(struct state *st, struct node *n, struct rd *r)
{
	uint32_t count = read_count(r, 21);

	if (st->hops)
		r->bad = true;
	if (r->bad)
		return;
	st->hops = mem_zalloc(st->mem, MEM_OTHER, (count + 1) * sizeof(struct rib_nexthop *));
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		uint32_t ifindex = rd_u32(r);
		struct ip gateway;

		snapshot_get_ip(r, &gateway);
		if (r->bad)
			break;
		st->hops[i] = nexthop_intern(rib_hops(n->rib), ifindex, &gateway);
		st->n_hops = i + 1;
	}
}

static void
restore_lists(struct state *st, struct node *n, struct rd *r)
{
	uint32_t count = read_count(r, 4);

	(void)n;
	if (st->lists)
		r->bad = true;
	if (r->bad)
		return;
	st->lists = mem_zalloc(st->mem, MEM_OTHER, (count + 1) * sizeof(*st->lists));
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		st->lists[i].n = rd_u16(r);
		st->lists[i].best = rd_u16(r);
		st->lists[i].members = rd_take(r, (size_t)st->lists[i].n * MEMBER);
		if (st->lists[i].best != STATE_NONE16 && st->lists[i].best >= st->lists[i].n)
			r->bad = true;
	}
	st->n_lists = count;
}

struct member {
	struct rib_source *source; /* NULL: there is no such */
	struct node_peer *peer;    /* NULL: the switch itself */
	struct attrs *attrs;
	struct rib_nexthop *hop;
};

static struct rib_source *
source_of(const struct state *st, struct node *n, uint16_t number, struct node_peer **peer)
{
	*peer = NULL;
	if (number == 0)
		return &n->local;
	if (number > st->n_peers || !st->peers[number - 1].peer || !st->peers[number - 1].peer->established)
		return NULL;
	*peer = st->peers[number - 1].peer;
	return &(*peer)->source;
}

static bool
read_member(const struct state *st, struct node *n, const struct saved_list *l, uint16_t i, struct member *m)
{
	struct rd r = rd_make(l->members + (size_t)i * MEMBER, MEMBER);
	uint16_t source = rd_u16(&r);
	uint32_t attrs = rd_u32(&r), hop = rd_u32(&r);

	*m = (struct member){ .source = source_of(st, n, source, &m->peer) };
	(void)source_of(st, n, source, &m->peer);
	if (!m->source || attrs >= st->n_attrs || (hop != STATE_NONE32 && hop >= st->n_hops))
		return false;
	m->attrs = st->attrs[attrs];
	m->hop = hop == STATE_NONE32 ? NULL : st->hops[hop];
	return (m->hop == NULL) == (m->peer == NULL); /* own prefixes alone have none */
}

/* The import policy has the last word, as it had when the path came. */
static void
announce(struct state *st, struct node *n, const struct prefix *p, const struct member *m)
{
	enum policy_verdict v = m->peer ? policy_import(m->peer->policy, p, &m->attrs->v) : POLICY_ACCEPT;
	char text[PREFIX_TEXT];

	if (v == POLICY_ACCEPT) {
		rib_announce(n->rib, RIB_MAIN_TABLE, m->source, p, m->attrs, m->hop);
		if (m->peer && policy_is_witness(m->peer->policy, p, &m->attrs->v))
			rib_witness(n->rib, RIB_MAIN_TABLE, p);
		return;
	}
	if (st->refused++ == 0)
		snprintf(st->refused_text, sizeof(st->refused_text), "%s of %s: %s", prefix_print(p, text),
		    m->peer->label, policy_verdict_text(v));
}

static bool
restore_prefix(struct state *st, struct node *n, enum family f, struct rd *r)
{
	struct prefix p;
	struct member m, best = { 0 };
	uint8_t flags;
	uint32_t list;

	snapshot_get_prefix(r, f, &p);
	flags = rd_u8(r);
	list = rd_u32(r);
	if (r->bad || (list != STATE_NONE32 && list >= st->n_lists))
		return false;
	if (list == STATE_NONE32)
		return !(flags & STATE_TOLD_OTHER); /* nothing of it is left but what is being deleted */
	for (uint16_t i = 0; i < st->lists[list].n; i++) {
		if (!read_member(st, n, &st->lists[list], i, &m))
			return false;
		announce(st, n, &p, &m);
		if (i == st->lists[list].best)
			best = m;
	}
	if (flags & STATE_TOLD_OTHER) {
		uint16_t source = rd_u16(r);
		uint32_t attrs = rd_u32(r);

		best = (struct member){ .source = source_of(st, n, source, &m.peer) };
		if (r->bad || !best.source || attrs >= st->n_attrs)
			return false;
		best.attrs = st->attrs[attrs];
	} else if (!(flags & STATE_TOLD_BEST)) {
		best.source = NULL;
	} else if (!best.source) {
		return false;
	}
	rib_restore_told(n->rib, RIB_MAIN_TABLE, &p, best.source, best.attrs, best.hop, (flags & STATE_INSTALLED) != 0);
	return true;
}

static void
restore_prefixes(struct state *st, struct node *n, struct rd *r)
{
	uint8_t family = rd_u8(r);
	uint32_t count = read_count(r, 6);

	if (family >= FAMILIES)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++)
		if (!restore_prefix(st, n, (enum family)family, r))
			r->bad = true;
}

static void
let_go(struct state *st, struct node *n)
{
	for (uint32_t i = 0; i < st->n_attrs; i++)
		attrs_unref(rib_attrs(n->rib), st->attrs[i]);
	for (uint32_t i = 0; i < st->n_hops; i++)
		nexthop_unref(rib_hops(n->rib), st->hops[i]);
	mem_free(st->mem, MEM_OTHER, st->attrs);
	mem_free(st->mem, MEM_OTHER, st->hops);
	mem_free(st->mem, MEM_OTHER, st->lists);
	st->attrs = NULL;
	st->hops = NULL;
	st->lists = NULL;
	st->n_attrs = st->n_hops = st->n_lists = 0;
}

static int
restore_routes(struct state *st, struct node *n, char *err, size_t errlen)
{
	static void (*const readers[SNAPSHOT_KINDS])(struct state *, struct node *, struct rd *) = {
		[SNAPSHOT_ATTRS] = restore_attrs,
		[SNAPSHOT_HOPS] = restore_hops,
		[SNAPSHOT_LISTS] = restore_lists,
		[SNAPSHOT_PREFIXES] = restore_prefixes,
	};
	struct rd walk = st->sections, one;
	unsigned int kind;

	while (snapshot_next(&walk, &kind, &one)) {
		if (kind >= SNAPSHOT_KINDS || !readers[kind])
			continue;
		readers[kind](st, n, &one);
		if (one.bad || !rd_done(&one)) {
			snprintf(
			    err, errlen, "the snapshot is damaged: its routes do not hang together (section %u)", kind);
			return -EBADMSG;
		}
	}
	return 0;
}

/* All peers of the group are sent the table again, between the marks that let them forget the rest (RFC 7313). */
static int
tell_again(struct node *n, const struct node_peer *first, char *err, size_t errlen)
{
	const void *group = export_peer_group(first->export);

	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next) {
			if (!peer->export || export_peer_group(peer->export) != group)
				continue;
			if (!(bgp_peer_facts(peer->bgp)->caps & BGP_CAP_ENHANCED_REFRESH)) {
				snprintf(err, errlen,
				    "%s was told routes in other words than this version has, and cannot be told anew "
				    "without a reset",
				    peer->label);
				return -EBADMSG;
			}
			for (int f = 0; f < FAMILIES; f++)
				if (bgp_peer_facts(peer->bgp)->families & 1 << f)
					export_peer_refresh(peer->export, (enum family)f);
		}
	return 0;
}

/* What was told is held against what this version would have told: its policy, its attributes. */
static int
compare_told(struct state *st, struct node *n, char *err, size_t errlen)
{
	int e = 0;

	for (size_t i = 0; i < st->n_peers && !e; i++) {
		const struct saved_peer *saved = &st->peers[i];

		if (!saved->told || !saved->peer->export || state_told_digest(n, saved->peer) == saved->told)
			continue;
		st->retold++;
		e = tell_again(n, saved->peer, err, errlen);
	}
	return e;
}

static int
restore_ports(struct state *st, struct node *n, char *err, size_t errlen)
{
	for (size_t i = 0; i < st->n_ports; i++) {
		const struct saved_port *saved = &st->ports[i];
		struct node_port *p = node_port_find(n, saved->name);

		if (!p)
			continue;
		node_damp_restore(p, &saved->damp);
		if (p->link && link_port_restore(p->link, saved->link, rt_clock(n->rt))) {
			snprintf(
			    err, errlen, "the snapshot is damaged: what is saved of the link of port %s", saved->name);
			return -EBADMSG;
		}
	}
	return 0;
}

int
state_restore(struct state *st, struct node *n, char *err, size_t errlen)
{
	int e;

	if (strcmp(st->facts.name, n->self->name) != 0 || strcmp(st->facts.digest, n->topo->digest) != 0) {
		snprintf(err, errlen, "the snapshot is of %s with file %s, not of %s with file %s", st->facts.name,
		    st->facts.digest, n->self->name, n->topo->digest);
		return -EBADMSG;
	}
	e = restore_peers(st, n, err, errlen);
	if (!e)
		e = restore_routes(st, n, err, errlen);
	let_go(st, n);
	if (!e && st->refused) {
		snprintf(err, errlen, "its policy refuses %llu paths that the old one has, first %s",
		    (unsigned long long)st->refused, st->refused_text);
		e = -EBADMSG;
	}
	if (!e)
		e = compare_told(st, n, err, errlen);
	if (!e)
		e = restore_ports(st, n, err, errlen);
	n->last_change = st->last_change;
	n->state_changes = st->state_changes;
	n->updates = n->updates_seen = st->updates;
	return e;
}

uint64_t
state_retold(const struct state *st)
{
	return st->retold;
}

/* ---- is it the same? ---- */

static bool
ports_agree(const struct state *st, struct node *n, char *why, size_t size)
{
	for (size_t i = 0; i < st->n_ports; i++) {
		const struct saved_port *saved = &st->ports[i];
		const struct node_port *p = node_port_find(n, saved->name);
		struct link_view v;

		if (p && p->present == saved->present &&
		    (!p->present || (p->plat.carrier == saved->carrier && p->plat.ifindex == saved->ifindex &&
					ip_equal(&p->plat.link_local, &saved->link_local)))) {
			if (!p->link || !p->peer || !p->peer->established)
				continue;
			link_port_view(p->link, &v);
			if (v.state == LINK_UP)
				continue;
		}
		snprintf(why, size, "port %s is not as it was", saved->name);
		return false;
	}
	return true;
}

static bool
bfd_agrees(const struct state *st, const struct node *n, char *why, size_t size)
{
	if (st->facts.bfd && n->cfg.bfd && !bfd_client_connected(n->cfg.bfd)) {
		snprintf(why, size, "bfdd does not answer the new one");
		return false;
	}
	for (size_t i = 0; i < st->n_peers; i++) {
		const struct saved_peer *saved = &st->peers[i];

		if (saved->bfd_up && saved->peer && !saved->peer->bfd_up) {
			snprintf(why, size, "bfdd does not say that %s is up", saved->peer->label);
			return false;
		}
	}
	return true;
}

/*
 * Asked again and again while it decides: nothing here looks at every route until all else is done. What the old one was
 * refused is tried by nobody before this one is in charge.
 */
static bool
is_done(const struct state *st, const struct node *n, char *why, size_t size)
{
	struct sync_stats s;

	if (node_quiet(n))
		return true;
	if (rib_pending(n->rib)) {
		snprintf(why, size, "its decisions are not all made: %zu prefixes wait for one, %zu are being decided",
		    rib_dirty(n->rib), rib_in_run(n->rib));
	} else if (export_pending(n->export)) {
		snprintf(why, size, "it has decided, and not yet compared that with what all peers were told");
	} else {
		sync_stats(n->sync, &s);
		if (s.routes_pending <= st->facts.wrong)
			return true;
		snprintf(why, size, "it has decided, and %llu routes are not in the forwarding plane as it wants them",
		    (unsigned long long)s.routes_pending);
	}
	return false;
}

bool
state_agrees(const struct state *st, struct node *n, char *why, size_t size)
{
	struct sync_comparison fib;
	struct rib_counts counts;

	if (!ports_agree(st, n, why, size) || !bfd_agrees(st, n, why, size) || !is_done(st, n, why, size))
		return false;
	rib_counts(n->rib, &counts);
	if (counts.paths[FAMILY_IPV4] + counts.paths[FAMILY_IPV6] != st->facts.paths) {
		snprintf(why, size, "it has %llu paths, the old one %llu",
		    (unsigned long long)(counts.paths[FAMILY_IPV4] + counts.paths[FAMILY_IPV6]),
		    (unsigned long long)st->facts.paths);
		return false;
	}
	if (n->cfg.no_fib) /* nothing that could be read back */
		return true;
	sync_compare(n->sync, &fib);
	if (fib.right == st->facts.right && fib.wrong <= st->facts.wrong && fib.unwanted <= st->facts.unwanted)
		return true;
	snprintf(why, size,
	    "the forwarding plane differs from what it wants: %llu routes are right (%llu before), %llu wrong, "
	    "%llu not wanted",
	    (unsigned long long)fib.right, (unsigned long long)st->facts.right, (unsigned long long)fib.wrong,
	    (unsigned long long)fib.unwanted);
	return false;
}

/* ---- in charge ---- */

static struct rd
output_of(struct rd sections, size_t number)
{
	unsigned int kind;
	struct rd one;

	while (snapshot_next(&sections, &kind, &one))
		if (kind == SNAPSHOT_OUTPUT && rd_u16(&one) == number)
			return one;
	return (struct rd){ 0 };
}

int
state_adopt(struct state *st, const struct rt_parcel *parcels, size_t count, const void *output, size_t output_len,
    char *err, size_t errlen)
{
	struct rd sections;
	int e = 0;

	if (!snapshot_open(output, output_len, &sections, err, errlen))
		return -EBADMSG;
	if (count < st->n_parcels) {
		snprintf(err, errlen, "%zu of %zu descriptors came", count, st->n_parcels);
		return -EBADMSG;
	}
	for (size_t i = 0; i < st->n_peers && !e; i++) {
		const struct saved_peer *saved = &st->peers[i];
		struct rd out = output_of(sections, i);

		if (saved->stream != STATE_NO_PARCEL) {
			struct rt_parcel stream = parcels[saved->stream];

			if (stream.fd >= 0) {
				stream.left = saved->left.at;
				stream.n_left = rd_left(&saved->left);
			}
			e = node_peer_adopt(saved->peer, &stream, out.at, rd_left(&out));
		}
		if (!e && saved->listener != STATE_NO_PARCEL)
			e = node_peer_adopt_listener(saved->peer, &parcels[saved->listener]);
	}
	if (e) {
		snprintf(err, errlen, "a connection cannot be taken over: error %d", -e);
		return e;
	}
	return 0;
}
