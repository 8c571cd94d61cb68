/*
 * fabricd/node_peer.c -- BGP sessions: the engine's wishes done with streams, its updates given to the RIB
 *
 *   stream input -> bgp_input() -> peer_update() -> policy -> rib_announce(), rib_withdraw()
 *   export -> bgp_send() -> output_ready() -> node_peer_settle(): bgp_output() -> rt_write()
 *
 * The engine asks for things from inside its calls; what touches streams and timers is done after the call, by
 * node_peer_settle(). Input is taken only while the RIB takes announcements (node_takes_input); otherwise the stream is
 * paused, so that TCP holds back the sender.
 *
 * Always true: a struct node_conn lives as long as its stream or its engine's connection; bytes that were taken from
 * the engine and not by TCP wait in conn->out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/node_impl.h"
#include "fabricd/node_upgrade.h"

#define CHUNK     (64u * 1024)
#define DROP_IDLE SECONDS(30) /* after maximum prefixes (RFC 4486) */

/* ---- connections ---- */

static void
conn_free(struct node_conn *c)
{
	struct mem *mem = &c->peer->node->mem;

	mem_free(mem, MEM_SESSION, c->out);
	mem_free(mem, MEM_SESSION, c);
}

static struct node_conn *
conn_new(struct node_peer *peer, struct bgp_conn *bgp)
{
	struct node_conn *c = mem_zalloc(&peer->node->mem, MEM_SESSION, sizeof(*c));

	c->peer = peer;
	c->conn = bgp;
	peer->conns[bgp_conn_side(bgp)] = c;
	bgp_conn_set_io(bgp, c);
	return c;
}

/* Keeps bytes that TCP has no room for. */
static void
conn_keep(struct node_conn *c, const uint8_t *bytes, size_t n)
{
	struct mem *mem = &c->peer->node->mem;

	mem_free(mem, MEM_SESSION, c->out);
	c->out = mem_alloc(mem, MEM_SESSION, n);
	memcpy(c->out, bytes, n);
	c->out_len = n;
	c->out_at = 0;
}

/* Writes what was kept; false: TCP has no room for all of it. */
static bool
conn_write_kept(struct node_conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = rt_write(c->stream, c->out + c->out_at, c->out_len - c->out_at);

		if (n <= 0)
			return false;
		c->out_at += (size_t)n;
		bgp_wrote(c->conn, (size_t)n, node_now(c->peer->node));
		if (!c->conn)
			return false;
	}
	mem_free(&c->peer->node->mem, MEM_SESSION, c->out);
	c->out = NULL;
	c->out_len = c->out_at = 0;
	return true;
}

static void
conn_flush(struct node_conn *c)
{
	struct node *n = c->peer->node;
	uint8_t *chunk = n->chunk;

	c->want_write = false;
	if (!c->open || !c->stream || !c->conn || (c->out && !conn_write_kept(c)))
		return;
	for (;;) {
		size_t len = bgp_output(c->conn, chunk, CHUNK, node_now(n));
		ssize_t took;

		if (len == 0)
			break;
		took = rt_write(c->stream, chunk, len);
		if (took < 0)
			took = 0;
		if (took > 0)
			bgp_wrote(c->conn, (size_t)took, node_now(n));
		if (!c->conn)
			return;
		if ((size_t)took < len) {
			conn_keep(c, chunk + took, len - (size_t)took);
			return;
		}
	}
}

static void
stream_opened(void *arg)
{
	struct node_conn *c = arg;

	c->open = true;
	if (c->conn)
		bgp_connected(c->conn, node_now(c->peer->node));
	node_peer_settle(c->peer);
}

static size_t
stream_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct node_conn *c = arg;
	struct node_peer *peer = c->peer;
	size_t used;

	if (!c->conn)
		return n;
	if (!node_takes_input(peer->node)) {
		peer->input_paused = true;
		bgp_input_waits(c->conn);
		rt_stream_pause(c->stream, true);
		return 0;
	}
	used = bgp_input(c->conn, bytes, n, node_now(peer->node));
	if (c->conn && bgp_input_pending(c->conn))
		rt_stream_again(c->stream);
	node_peer_settle(peer);
	return used;
}

static void
stream_writable(void *arg)
{
	struct node_conn *c = arg;

	c->want_write = true;
	node_peer_settle(c->peer);
	export_drained(c->peer->node->export);
	if (export_pending(c->peer->node->export) || rib_pending(c->peer->node->rib))
		rt_work_schedule(c->peer->node->work);
}

static void
stream_closed(void *arg, int error)
{
	struct node_conn *c = arg;
	struct node_peer *peer = c->peer;
	const char *why = error ? strerror(-error) : "the peer closed the connection";

	c->stream = NULL;
	peer->closed_by = error;
	if (c->conn && !c->open)
		bgp_connect_failed(c->conn, why, node_now(peer->node));
	else if (c->conn)
		bgp_closed(c->conn, why, node_now(peer->node));
	node_peer_settle(peer);
}

static const struct rt_stream_handler handler = {
	.opened = stream_opened,
	.input = stream_input,
	.writable = stream_writable,
	.closed = stream_closed,
};

/* ---- what the engine asks for ---- */

/* Only of those who are known to send 255 (RFC 5082): a fabricd does, of others the file says so. */
static bool
checks_hop_limit(const struct node_peer *peer)
{
	return peer->external ? peer->external->gtsm : !peer->far->foreign;
}

/* A session that shall have one has none without it, also when it had been begun with one by another fabricd. */
static bool
lacks_key(const struct node_peer *peer)
{
	return peer->external && peer->external->auth && !peer->key;
}

static void
peer_connect(struct bgp_peer *bgp, struct bgp_conn *conn, void *arg)
{
	struct node_peer *peer = arg;
	struct node_port *p = peer->port;
	struct rt_stream_options o = { .ifindex = p->plat.ifindex, .tclass = 0xc0 };
	struct node_conn *c = conn_new(peer, conn);

	(void)bgp;
	o.gtsm = checks_hop_limit(peer);
	o.local = peer->external ? peer->external->local : p->plat.link_local;
	o.md5_key = peer->key;
	if (peer->key)
		o.md5_peer = prefix_of(&peer->address, family_bits(peer->address.family));
	c->error = lacks_key(peer) ? -ENOKEY
				   : rt_connect(peer->node->rt, &o, &peer->address, BGP_PORT, &handler, c, &c->stream);
}

static void
peer_close(struct bgp_conn *conn, const uint8_t *last, size_t n, void *arg)
{
	struct node_peer *peer = arg;
	struct node_conn *c = bgp_conn_io(conn);

	if (!c)
		return;
	peer->conns[bgp_conn_side(conn)] = NULL;
	c->conn = NULL;
	if (c->stream && c->open) {
		if (c->out_at < c->out_len)
			rt_write(c->stream, c->out + c->out_at, c->out_len - c->out_at);
		if (n)
			rt_write(c->stream, last, n);
	}
	rt_stream_close(c->stream, false);
	c->stream = NULL;
	c->dead_next = peer->dead;
	peer->dead = c; /* its functions may be on the stack: freed by settle */
}

static void
peer_output_ready(struct bgp_conn *conn, void *arg)
{
	struct node_conn *c = bgp_conn_io(conn);

	(void)arg;
	if (c)
		c->want_write = true;
}

static void
set_next_hops(struct node_peer *peer)
{
	const struct ip *ll = &peer->port->plat.link_local;
	struct bgp_next_hop v6 = { .has_link_local = !ip_is_zero(ll), .link_local = *ll }, v4 = v6;

	if (peer->external && peer->external->local.family == FAMILY_IPV4)
		v4 = (struct bgp_next_hop){ .has_global = true, .global = peer->external->local };
	else if (peer->external)
		v6 = v4 = (struct bgp_next_hop){ true, v6.has_link_local, peer->external->local, *ll };
	bgp_peer_set_next_hop(peer->bgp, FAMILY_IPV4, &v4);
	bgp_peer_set_next_hop(peer->bgp, FAMILY_IPV6, &v6);
}

bool
node_peer_is_used(const struct node_peer *peer)
{
	return peer->established || bgp_peer_restart(peer->bgp)->stale;
}

void
node_isolation_update(struct node *n)
{
	bool isolated = n->self->uplinks > 0;

	for (size_t i = 0; i < n->nports && isolated; i++)
		isolated = !(
		    n->ports[i].topo->kind == TOPO_UP && n->ports[i].peer && node_peer_is_used(n->ports[i].peer));
	if (isolated == n->isolated || n->stopping || n->held || n->restart.phase != NODE_RUNS)
		return;
	n->isolated = isolated;
	node_rack_isolated(n, isolated);
	node_aggregates_update(n);
	node_event(n, isolated ? "ISOLATED" : "CONNECTED", "", 0, "%s",
	    isolated ? "no session to the tier above is Established; hosts here reach only this switch"
		     : "a session to the tier above is Established");
}

static void
peer_established(struct bgp_peer *bgp, void *arg)
{
	struct node_peer *peer = arg;
	struct node *n = peer->node;
	const struct bgp_session_facts *f = bgp_peer_facts(bgp);

	n->disturbed += n->frozen;
	peer->established = true;
	peer->guest = false; /* the link engine is told below */
	peer->closed_by = 0;
	peer->identity[0] = '\0';
	peer->source.router_id = f->remote.id;
	peer->source.asn = f->remote.asn;
	peer->source.address = peer->address;
	sync_nexthop_up(n->sync, peer->port->plat.ifindex, &peer->address);
	rib_source_up(n->rib, &peer->source);
	set_next_hops(peer);
	peer->export = export_peer_new(n->export, bgp, &peer->source, policy_class(peer->policy));
	if (peer->port->link)
		link_port_session(peer->port->link, &peer->address, true, node_now(n));
	n->last_change = node_now(n);
	node_event(n, "BGP_UP", peer->port->name, 0, "%s AS %u", peer->far ? peer->far->name : peer->external->name,
	    f->remote.asn);
	if (f->families & 1 << FAMILY_IPV4 && bgp_peer_encode_opts(bgp).form[FAMILY_IPV4] == BGP_NH_NONE)
		node_event(n, "FAMILY_NOT_TOLD", peer->port->name, 0,
		    "%s is told no IPv4 routes: it does not take them with IPv6 next hops (RFC 8950); switch the "
		    "capability extended next hop on there",
		    peer->far ? peer->far->name : peer->external->name);
	node_isolation_update(n);
	rt_work_schedule(n->work);
}

void
node_peer_lost(struct node_peer *peer)
{
	struct node *n = peer->node;

	rib_source_down(n->rib, &peer->source);
	rt_work_schedule(n->groups);
	n->last_change = node_now(n);
	node_isolation_update(n);
	node_damp_again(n);
	node_rib_changed(n);
}

static void
peer_down(struct bgp_peer *bgp, const struct bgp_reason *reason, void *arg)
{
	struct node_peer *peer = arg;
	struct node *n = peer->node;

	n->disturbed += n->frozen;
	peer->established = false;
	export_peer_free(peer->export);
	peer->export = NULL;
	if (peer->port->link)
		node_port_session_down(peer->port, &peer->address);
	n->last_change = node_now(n);
	peer->down_event = node_event(n, "BGP_DOWN", peer->port->name, peer->port->carrier_event, "%s reason=%s: %s",
	    peer->far ? peer->far->name : peer->external->name, bgp_cause_name(reason->cause), reason->text);
	node_bfd_bgp_down(peer, reason);
	if (bgp_peer_restart(bgp)->stale) {
		node_restart_kept(peer);
		node_restart_drop(peer);
	} else {
		peer->stale_over = 0;
		node_peer_lost(peer);
	}
}

static uint8_t
peer_keep(struct bgp_peer *bgp, const struct bgp_reason *reason, uint8_t families, void *arg)
{
	(void)bgp;
	return node_restart_keep(arg, reason, families);
}

static void
peer_stale_end(struct bgp_peer *bgp, uint8_t families, enum bgp_stale_end why, const char *text, void *arg)
{
	(void)bgp;
	node_restart_stale_end(arg, families, why, text);
}

static bool
peer_long_lived(struct bgp_peer *bgp, uint8_t families, void *arg)
{
	(void)bgp;
	return node_restart_long_lived(arg, families);
}

static void
peer_end_of_rib(struct bgp_peer *bgp, uint8_t families, void *arg)
{
	struct node_peer *peer = arg;

	(void)bgp;
	(void)families;
	if (peer->node->restart.phase == NODE_DEFERS)
		rt_timer_set(peer->node->restart.timer, node_now(peer->node));
}

/* ---- updates ---- */

static void
refuse(struct node_peer *peer, const struct prefix *p, enum policy_verdict why)
{
	char text[PREFIX_TEXT];

	peer->refused[why]++;
	peer->refused_last[why] = *p;
	if (peer->refused[why] == 1)
		node_event(peer->node, "REFUSED", peer->port->name, 0, "%s of %s is refused: %s", prefix_print(p, text),
		    peer->far ? peer->far->name : peer->external->name, policy_verdict_text(why));
}

/* The address that packets are sent to; false: it is not on the link of the session, or our own (RFC 4271 6.3). */
static bool
gateway_of(const struct node_peer *peer, const struct bgp_next_hop *nh, struct ip *out)
{
	struct prefix net;

	if (nh->has_link_local && !(peer->external && nh->has_global && nh->global.family == peer->address.family)) {
		*out = nh->link_local;
		return !ip_equal(out, &peer->port->plat.link_local);
	}
	if (!nh->has_global || !peer->external)
		return false;
	*out = nh->global;
	net = prefix_of(&peer->external->local, peer->external->len);
	return prefix_has(&net, out);
}

static bool
take_prefix(struct node_peer *peer, const struct prefix *p, struct attrs *attrs, struct rib_nexthop *nh,
    enum policy_verdict session)
{
	struct node *n = peer->node;
	enum policy_verdict verdict = session ? session : policy_import(peer->policy, p, &attrs->v);

	if (verdict == POLICY_ACCEPT &&
	    peer->source.paths[FAMILY_IPV4] + peer->source.paths[FAMILY_IPV6] >= policy_max_prefixes(peer->policy)) {
		struct rib_view v;

		if (!rib_get(n->rib, RIB_MAIN_TABLE, p, &v) || !v.list || !path_list_find(v.list, &peer->source))
			verdict = POLICY_TOO_MANY;
	}
	if (verdict == POLICY_ACCEPT) {
		rib_announce(n->rib, RIB_MAIN_TABLE, &peer->source, p, attrs, nh);
		if (policy_is_witness(peer->policy, p, &attrs->v))
			rib_witness(n->rib, RIB_MAIN_TABLE, p);
		return true;
	}
	refuse(peer, p, verdict);
	rib_withdraw(n->rib, RIB_MAIN_TABLE, &peer->source, p); /* it replaces what was accepted before */
	return verdict != POLICY_TOO_MANY;
}

#define AHEAD 32

/* The next prefixes, at most AHEAD, with their places in the RIB on the way into the cache. */
static size_t
next_prefixes(const struct node *n, struct bgp_nlri *it, struct prefix list[AHEAD])
{
	size_t count = 0;

	while (count < AHEAD && bgp_nlri_next(it, &list[count]))
		count++;
	rib_prefetch(n->rib, RIB_MAIN_TABLE, list, count);
	return count;
}

/* Their places in the RIB are fetched while the attributes are looked for. */
static void
first_prefixes(const struct node *n, const struct bgp_reach *reach)
{
	struct bgp_nlri it = reach->nlri;
	struct prefix list[AHEAD];
	size_t count = 0;

	while (count < AHEAD && bgp_nlri_next(&it, &list[count]))
		count++;
	rib_prefetch_slots(n->rib, RIB_MAIN_TABLE, list, count);
}

static void
take_withdrawn(struct node_peer *peer, const struct bgp_nlri *nlri)
{
	struct bgp_nlri it = *nlri;
	struct prefix list[AHEAD];
	size_t count;

	while ((count = next_prefixes(peer->node, &it, list)))
		for (size_t i = 0; i < count; i++)
			rib_withdraw(peer->node->rib, RIB_MAIN_TABLE, &peer->source, &list[i]);
}

static void
take_reach(struct node_peer *peer, const struct bgp_reach *reach, struct attrs *attrs)
{
	struct node *n = peer->node;
	struct rib_nexthop *nh = NULL;
	struct bgp_nlri it = reach->nlri;
	enum policy_verdict session = POLICY_ACCEPT;
	struct prefix list[AHEAD];
	struct ip gateway;
	bool room = true;
	size_t count;

	if (gateway_of(peer, &reach->next_hop, &gateway))
		nh = nexthop_intern(rib_hops(n->rib), peer->port->plat.ifindex, &gateway);
	else
		session = POLICY_NEXT_HOP;
	while (room && (count = next_prefixes(n, &it, list)))
		for (size_t i = 0; i < count && room; i++)
			room = take_prefix(peer, &list[i], attrs, nh, session);
	if (!room) {
		uint64_t max = policy_max_prefixes(peer->policy);

		bgp_peer_max_prefixes(peer->bgp, (enum family)reach->nlri.family,
		    (uint32_t)MIN_OF(max, (uint64_t)UINT32_MAX), DROP_IDLE, node_now(n));
	}
	nexthop_unref(rib_hops(n->rib), nh);
}

/* Longer than any path through a fabric. */
#define FATE_HOPS 8

static uint32_t
fate_of(const struct node_peer *peer, const struct attrs_view *v)
{
	uint32_t path[FATE_HOPS];
	size_t n;

	if (peer->external)
		return 0; /* all of it goes with the session */
	n = bgp_as_path_list(v->wire, v->wire_len, path, FATE_HOPS);
	return policy_fate(peer->node->policy, path, MIN_OF(n, (size_t)FATE_HOPS));
}

static void
peer_update(struct bgp_peer *bgp, const struct bgp_update *u, void *arg)
{
	struct node_peer *peer = arg;
	struct node *n = peer->node;

	(void)bgp;
	n->updates++;
	for (size_t i = 0; i < u->nwithdrawn; i++)
		take_withdrawn(peer, &u->withdrawn[i]);
	if (u->nreach) {
		struct attrs_view view = u->attrs;
		struct attrs *attrs;

		first_prefixes(n, &u->reach[0]);
		view.fate = fate_of(peer, &view);
		attrs = attrs_intern(rib_attrs(n->rib), &view);
		for (size_t i = 0; i < u->nreach; i++)
			take_reach(peer, &u->reach[i], attrs);
		attrs_unref(rib_attrs(n->rib), attrs);
	}
	if (u->fate == BGP_FATE_WITHDRAW)
		node_event(n, "BGP_MALFORMED", peer->port->name, 0, "an UPDATE is treated as withdraw: %s", u->why);
	if (rib_urgent(n->rib))
		rt_work_schedule(n->groups);
	if (rib_pending(n->rib))
		node_rib_changed(n);
}

static void
peer_refresh(struct bgp_peer *bgp, enum family family, enum bgp_refresh what, void *arg)
{
	struct node_peer *peer = arg;
	struct node *n = peer->node;

	(void)bgp;
	if (what == BGP_REFRESH_REQUEST && peer->export)
		export_peer_refresh(peer->export, family);
	else if (what == BGP_REFRESH_BEGIN)
		rib_refresh_begin(n->rib, &peer->source, family);
	else if (what == BGP_REFRESH_END)
		rib_refresh_end(n->rib, &peer->source, family);
	rt_work_schedule(n->work);
}

static void
peer_state(struct bgp_peer *bgp, enum bgp_state was, enum bgp_state is, const char *why, void *arg)
{
	struct node_peer *peer = arg;

	(void)why;
	peer->node->state_changes++;
	if (was == BGP_OPEN_CONFIRM && is < was) /* the last KEEPALIVE may be behind what does not pass */
		node_bfd_bgp_down(peer, bgp_peer_reason(bgp));
}

static void
peer_identity(struct bgp_peer *bgp, const struct bgp_open *seen, const char *text, void *arg)
{
	struct node_peer *peer = arg;

	(void)bgp;
	(void)seen;
	if (strcmp(peer->identity, text) == 0)
		return;
	snprintf(peer->identity, sizeof(peer->identity), "%s", text);
	node_event(peer->node, "WRONG_NODE", peer->port->name, 0, "%s", text);
}

static void
peer_event(struct bgp_peer *bgp, enum bgp_event_kind kind, const char *text, uint64_t suppressed, void *arg)
{
	static const char *const types[BGP_EVENT_KINDS] = {
		[BGP_EVENT_ERROR] = "BGP_ERROR",
		[BGP_EVENT_TCP] = "BGP_TCP",
		[BGP_EVENT_COLLISION] = "BGP_COLLISION",
		[BGP_EVENT_TIMER] = "BGP_TIMER",
	};
	struct node_peer *peer = arg;

	(void)bgp;
	if (suppressed)
		node_event(peer->node, types[kind], peer->port->name, 0, "%s (and %llu like it before)", text,
		    (unsigned long long)suppressed);
	else
		node_event(peer->node, types[kind], peer->port->name, 0, "%s", text);
}

static uint32_t
peer_random(void *arg)
{
	struct node_peer *peer = arg;

	return (uint32_t)rt_random(peer->node->rt);
}

static const struct bgp_ops ops = {
	.connect = peer_connect,
	.close = peer_close,
	.output_ready = peer_output_ready,
	.established = peer_established,
	.down = peer_down,
	.keep = peer_keep,
	.stale_end = peer_stale_end,
	.long_lived = peer_long_lived,
	.end_of_rib = peer_end_of_rib,
	.update = peer_update,
	.refresh = peer_refresh,
	.state_changed = peer_state,
	.identity = peer_identity,
	.event = peer_event,
	.random = peer_random,
};

/* ---- life ---- */

static void
peer_timer(void *arg)
{
	struct node_peer *peer = arg;

	peer->timer_at = MONO_NEVER;
	if (!peer->node->frozen)
		bgp_timer(peer->bgp, node_now(peer->node));
	node_peer_settle(peer);
}

/* A session that wants a key and has none stays Idle, with that reason. */
static bool
read_key(struct node_peer *peer, char *why, size_t size)
{
	const struct node *n = peer->node;
	const char *name = peer->external ? peer->external->auth : NULL;
	int e;

	if (!name)
		return true;
	e = n->cfg.read_key ? n->cfg.read_key(n->cfg.arg, name, &peer->key) : -ENOENT;
	if (e)
		snprintf(why, size, "its key %s/%s cannot be read: %s; put it there with mode 0600", n->cfg.key_dir,
		    name, strerror(-e));
	return e == 0;
}

struct node_peer *
node_peer_new(struct node_port *p, const struct topo_external *external)
{
	struct node *n = p->node;
	struct node_peer *peer = mem_zalloc(&n->mem, MEM_SESSION, sizeof(*peer));
	struct bgp_config cfg = {
		.local_as = n->self->asn, .router_id = ip_to_v4(&n->self->router_id), .hostname = n->self->name
	};

	peer->node = n;
	peer->port = p;
	peer->external = external;
	if (!external)
		peer->far = &n->topo->nodes[p->topo->far_node];
	snprintf(
	    peer->label, sizeof(peer->label), "%s (%s)", p->name, peer->far ? peer->far->name : peer->external->name);
	cfg.name = peer->label;
	cfg.peer_as = peer->far ? peer->far->asn : peer->external->asn;
	cfg.peer_id = peer->far && !peer->far->foreign ? ip_to_v4(&peer->far->router_id) : 0;
	cfg.hold_s = (uint16_t)MIN_OF(n->topo->timers.hold_us / SECONDS(1), 65535);
	cfg.restart_s = (uint16_t)(n->topo->timers.restart_us / SECONDS(1));
	cfg.link_local_ok = true;
	cfg.keep_unknown = false;
	if (peer->external) {
		cfg.long_lived_s = (uint32_t)(peer->external->long_lived_us / SECONDS(1));
		cfg.local = peer->external->local;
		/* RFC 7947 2.2.2.1: it leaves its own AS number out of the path */
		cfg.any_first_as = peer->external->type == TOPO_SESSION_ROUTE_SERVER;
		if (peer->external->local_as)
			cfg.local_as = peer->external->local_as;
	}
	peer->policy = peer->far ? policy_peer_fabric(n->policy, p->topo)
				 : policy_peer_external(n->policy, peer->external);
	peer->source.side = (uint8_t)policy_side(peer->policy);
	peer->source.owner = peer;
	snprintf(peer->source.name, sizeof(peer->source.name), "%s", p->name);
	/* Cannot be refused: the topology's limit is below the RIB's, which has one more for this switch itself. */
	_Static_assert(TOPO_SESSIONS_MAX + 2 <= RIB_MAX_SOURCES, "each session is a source");
	rib_source_add(n->rib, &peer->source);
	peer->bgp = bgp_peer_new(&n->mem, n->scratch, &cfg, &ops, peer);
	peer->timer = rt_timer_new(n->rt, peer_timer, peer);
	peer->timer_at = MONO_NEVER;
	return peer;
}

bool
node_peer_read_key(struct node_peer *peer)
{
	char why[256];

	if (peer->key || read_key(peer, why, sizeof(why)))
		return true;
	if (strcmp(peer->identity, why) == 0) /* told before */
		return false;
	snprintf(peer->identity, sizeof(peer->identity), "%s", why);
	node_event(peer->node, "NO_KEY", peer->port->name, 0, "the session stays Idle: %s", why);
	return false;
}

void
node_peer_start(struct node_peer *peer)
{
	if (peer->node->held || !node_peer_read_key(peer))
		return;
	bgp_peer_start(peer->bgp, node_now(peer->node));
	node_peer_settle(peer);
}

static bool
same_listener(const struct node_peer *a, const struct node_peer *b)
{
	return a == b || (a->external && b->external && ip_equal(&a->external->local, &b->external->local));
}

/* The session of the port that listens for this one, too: it stands before it, with the same local address. */
static struct node_peer *
listens_for(struct node_peer *peer)
{
	struct node_peer *p = peer->port->peer;

	while (p != peer && !(p->listener && same_listener(p, peer)))
		p = p->next;
	return p;
}

/* A listener checks hop limits for all whom it serves, or for none. */
static bool
listener_checks(const struct node_peer *peer)
{
	for (const struct node_peer *p = peer->port->peer; p; p = p->next)
		if (same_listener(p, peer) && !checks_hop_limit(p))
			return false;
	return true;
}

void
node_peer_listen(struct node_peer *peer)
{
	struct node_peer *first = listens_for(peer);
	struct rt_stream_options o = { .ifindex = peer->port->plat.ifindex, .local_port = BGP_PORT, .tclass = 0xc0 };
	struct prefix from = { 0 };

	if (peer->node->held) /* it is handed over */
		return;
	if (peer->external)
		from = prefix_of(&peer->external->peer, family_bits(peer->external->peer.family));
	o.local = peer->external ? peer->external->local : (struct ip){ .family = FAMILY_IPV6 };
	o.gtsm = listener_checks(peer);
	o.md5_key = peer->key;
	o.md5_peer = from;
	if (first->listener) /* of another session, or handed over: with the key that was read then, or none */
		peer->listen_error = peer->key ? rt_listener_key(first->listener, &from, peer->key) : 0;
	else
		peer->listen_error = rt_listen(peer->node->rt, &o, node_peer_accept, peer->port, &peer->listener);
	if (peer->listen_error)
		node_event(peer->node, "LISTEN_FAILED", peer->port->name, 0,
		    "%s: no connections are accepted on TCP port 179: %s", peer->label, strerror(-peer->listen_error));
}

void
node_peer_port_gone(struct node_peer *peer)
{
	rt_listener_close(peer->listener);
	peer->listener = NULL;
}

static void
free_dead(struct node_peer *peer)
{
	struct node_conn *c;

	while ((c = peer->dead)) {
		peer->dead = c->dead_next;
		conn_free(c);
	}
}

void
node_peer_free(struct node_peer *peer)
{
	struct mem *mem;

	if (!peer)
		return;
	mem = &peer->node->mem;
	node_peer_port_gone(peer);
	if (!peer->node->stopping) /* else the client frees it, and says whether bfdd goes on */
		node_bfd_end(peer);
	export_peer_free(peer->export);
	bgp_peer_free(peer->bgp);
	free_dead(peer);
	rt_timer_free(peer->timer);
	policy_peer_free(peer->policy);
	free(peer->key);
	mem_free(mem, MEM_SESSION, peer);
}

void
node_peer_try(struct node_peer *peer)
{
	if (peer->reachable && !peer->port->damp.suppressed && node_bfd_ready(peer))
		bgp_peer_link_up(peer->bgp, node_now(peer->node));
}

/* Who answered wrongly may not be there any more; a key that is missing still is. */
static void
forget_identity(struct node_peer *peer)
{
	if (!lacks_key(peer))
		peer->identity[0] = '\0';
}

void
node_peer_reachable(struct node_peer *peer, const struct ip *address)
{
	struct mono now = node_now(peer->node);

	if (peer->node->held) { /* of what is handed over nothing changes; else it is heard again */
		if (ip_equal(&peer->address, address))
			node_bfd_begin(peer);
		return;
	}
	if (!ip_is_zero(&peer->address) && !ip_equal(&peer->address, address)) {
		bgp_peer_link_down(peer->bgp, "the neighbour's address has changed", now);
		node_bfd_end(peer);
		forget_identity(peer);
	}
	peer->guest = peer->unheard = false;
	peer->address = *address;
	peer->reachable = true;
	node_bfd_begin(peer);
	node_peer_try(peer);
}

void
node_peer_unplug(struct node_peer *peer)
{
	if (peer->node->held || !node_peer_is_used(peer))
		return;
	rib_source_down(peer->node->rib, &peer->source);
	node_groups_work(peer->node);
}

void
node_peer_unreachable(struct node_peer *peer, const char *why)
{
	if (peer->node->held)
		return;
	peer->reachable = peer->unheard = false;
	bgp_peer_link_down(peer->bgp, why, node_now(peer->node));
	node_bfd_end(peer);
	forget_identity(peer);
	if (!peer->external)
		peer->address = (struct ip){ 0 };
}

/*
 * Whose last advertisement has come is no default router any more (RFC 4861 6.2.5), which does not say that he forwards
 * nothing: what he told is kept as long as it would be (RFC 4724 4.2), and he is sought at his address.
 */
void
node_peer_unheard(struct node_peer *peer)
{
	peer->unheard = bgp_peer_restart(peer->bgp)->stale != 0;
	if (!peer->unheard)
		node_peer_unreachable(peer, "the neighbour is not heard any more");
}

/* The session that a connection from there is for; NULL: none. */
static struct node_peer *
peer_from(struct node_port *p, const struct ip *from)
{
	struct node_peer *peer = p->peer;

	if (peer && !peer->external)
		return ip_is_link_local(from) ? peer : NULL;
	while (peer && !ip_equal(from, &peer->external->peer))
		peer = peer->next;
	return peer;
}

void
node_peer_accept(void *arg, struct rt_stream *stream, const struct ip *from, uint16_t from_port)
{
	struct node_port *p = arg;
	struct node_peer *peer = peer_from(p, from);
	struct mono now = node_now(p->node);
	struct bgp_conn *conn;
	struct node_conn *c;
	const char *why;
	bool guest = false;

	(void)from_port;
	if (!peer || (checks_hop_limit(peer) && !listener_checks(peer))) { /* the latter is only dialled */
		p->counters.strangers += !peer;
		p->counters.unchecked += peer != NULL;
		rt_stream_close(stream, true);
		return;
	}
	if (p->link && !link_port_inbound(p->link, from, now)) {
		rt_stream_close(stream, true);
		return;
	}
	if (!ip_equal(&peer->address, from)) {
		if (peer->established) { /* a second router on the port */
			p->counters.second++;
			rt_stream_close(stream, true);
			return;
		}
		node_peer_reachable(peer, from);
		guest = p->link != NULL;
	}
	conn = lacks_key(peer) ? NULL : bgp_accept(peer->bgp, now, &why);
	if (!conn) {
		p->counters.not_accepted++;
		rt_stream_close(stream, false);
		node_peer_settle(peer);
		return;
	}
	peer->guest |= guest;
	c = conn_new(peer, conn);
	c->stream = stream;
	c->open = true;
	c->want_write = true;
	rt_stream_handle(stream, &handler, c);
	node_peer_settle(peer);
}

#define COUNTS(member) offsetof(struct node_port_counters, member)

static const struct counter counter_list[] = {
	{ "stranger", "connection refused: the file has no session with its address", COUNTS(strangers), false },
	{ "second-router", "connection refused: the session with another address is up", COUNTS(second), false },
	{ "unchecked", "connection refused: its hop limit cannot be checked here", COUNTS(unchecked), false },
	{ "not-accepted", "connection not taken: its session has one, is stopped, or held back after an error",
	    COUNTS(not_accepted), true },
};
_Static_assert(
    ARRAY_LEN(counter_list) == sizeof(struct node_port_counters) / sizeof(uint64_t), "a counter is not told");

void
node_port_counters(const struct node_port *p, struct counters *out)
{
	*out = (struct counters){ .list = counter_list, .n = ARRAY_LEN(counter_list), .of = &p->counters };
}

/* ---- after every call into the engine ---- */

static void
report_failures(struct node_peer *peer)
{
	for (int side = 0; side < BGP_SIDES; side++) {
		struct node_conn *c = peer->conns[side];

		if (c && c->conn && c->error) {
			int e = c->error;

			c->error = 0;
			bgp_connect_failed(c->conn, strerror(-e), node_now(peer->node));
		}
	}
}

/*
 * Whoever connects is heard, and the session is tried with him. When that came to nothing, it is the turn of him whom the
 * link engine knows, who may wait for us to dial.
 */
static void
guest_leaves(struct node_peer *peer)
{
	struct link_view v;

	peer->guest = false;
	link_port_view(peer->port->link, &v);
	if (v.chosen && !ip_equal(&v.chosen->addr, &peer->address))
		node_peer_reachable(peer, &v.chosen->addr);
}

void
node_peer_settle(struct node_peer *peer)
{
	struct mono at;

	if (peer->node->held || peer->node->given)
		return;
	if (peer->node->frozen)
		at = bgp_peer_keep(peer->bgp, node_now(peer->node));
	else if (peer->unheard && !node_peer_is_used(peer))
		node_peer_unheard(peer);
	else if (peer->guest && bgp_peer_state(peer->bgp) < BGP_OPEN_SENT)
		guest_leaves(peer);
	report_failures(peer);
	for (int side = 0; side < BGP_SIDES; side++)
		if (peer->conns[side] && peer->conns[side]->want_write)
			conn_flush(peer->conns[side]);
	free_dead(peer);
	if (!peer->node->frozen)
		at = bgp_deadline(peer->bgp);
	if (at.us != peer->timer_at.us) {
		peer->timer_at = at;
		rt_timer_set(peer->timer, at);
	}
}

void
node_peers_settle(struct node *n)
{
	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			node_peer_settle(peer);
}

static void
resume(struct node_peer *peer)
{
	if (!peer->input_paused || peer->node->frozen)
		return;
	peer->input_paused = false;
	for (int side = 0; side < BGP_SIDES; side++)
		if (peer->conns[side] && peer->conns[side]->stream) {
			rt_stream_pause(peer->conns[side]->stream, false);
			rt_stream_again(peer->conns[side]->stream);
		}
}

void
node_peers_resume(struct node *n)
{
	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next) {
			node_restart_drop(peer);
			resume(peer);
		}
}

/* ---- on the way to a successor (node_upgrade.c) ---- */

struct node_conn *
node_conn_new(struct node_peer *peer, struct bgp_conn *bgp)
{
	return conn_new(peer, bgp);
}

const struct rt_stream_handler *
node_conn_handler(void)
{
	return &handler;
}

size_t
node_peer_flatten(struct node_peer *peer)
{
	struct node *n = peer->node;
	size_t len, sum = 0;

	for (int side = 0; side < BGP_SIDES; side++) {
		struct node_conn *c = peer->conns[side];
		size_t cap = c ? c->out_len : 0;

		while (c && c->conn && (len = bgp_output(c->conn, n->chunk, CHUNK, node_now(n)))) {
			c->out = mem_grow(&n->mem, MEM_SESSION, c->out, &cap, c->out_len + len, 1);
			memcpy(c->out + c->out_len, n->chunk, len);
			c->out_len += len;
			sum += len;
		}
	}
	return sum;
}

/* ---- why a session is not there ---- */

static int
link_rung(const struct node_port *p)
{
	struct link_view v;

	if (!p->present || !p->plat.admin_up)
		return 1;
	if (!p->plat.carrier)
		return 2;
	if (!p->link)
		return 6;
	if (ip_is_zero(&p->plat.link_local))
		return 3;
	link_port_view(p->link, &v);
	if (v.state != LINK_UP)
		return 3;
	if (!v.chosen && ip_is_zero(&p->peer->address))
		return 4;
	return v.match > LINK_MATCH ? 5 : 6;
}

int
node_peer_rung(const struct node_peer *peer)
{
	const struct bgp_session_facts *f = bgp_peer_facts(peer->bgp);
	const struct bgp_reason *why = bgp_peer_reason(peer->bgp);
	enum bgp_state state = bgp_peer_state(peer->bgp);
	int rung = link_rung(peer->port);

	if (state == BGP_ESTABLISHED)
		return (f->end_of_rib_in & f->families) == f->families ? 10 : 9;
	if (rung < 6)
		return rung;
	if (lacks_key(peer))
		return 6;
	if (peer->identity[0] || state == BGP_OPEN_SENT)
		return 7;
	if (state == BGP_OPEN_CONFIRM)
		return 8;
	/* An OPEN that was refused, by whichever end, came over TCP. */
	return why->code == BGP_ERR_OPEN && (why->sent || why->received) ? 7 : 6;
}

/* What a wrong key looks like: packets are dropped, and nobody is told (RFC 2385 4.1). */
static const char *
hint(const struct node_peer *peer)
{
	enum bgp_cause cause = bgp_peer_reason(peer->bgp)->cause;

	if (node_peer_stuck(peer))
		return "; BFD is up: do large packets pass (MTU)?";
	return peer->key && (cause == BGP_CAUSE_TCP || cause == BGP_CAUSE_HOLD) ? "; is the key the same at both ends?"
										: "";
}

void
node_peer_why(const struct node_peer *peer, char *buf, size_t size)
{
	const struct bgp_restart *r = bgp_peer_restart(peer->bgp);
	const struct node_port *p = peer->port;
	struct link_view v;
	int rung = node_peer_rung(peer);

	if (peer->established)
		snprintf(buf, size, "-");
	else if (r->stale)
		snprintf(buf, size, "restarts; what it told is kept for %lld s: %.200s%s",
		    (long long)((MAX_OF(mono_sub(r->until, node_now(peer->node)), 0) + SECONDS(1) - 1) / SECONDS(1)),
		    bgp_peer_last_reset(peer->bgp)->text, hint(peer));
	else if (!p->present)
		snprintf(buf, size, "port missing");
	else if (rung == 1)
		snprintf(buf, size, "port admin down");
	else if (rung == 2)
		snprintf(buf, size, "port dark");
	else if (p->damp.suppressed)
		node_damp_why(p, buf, size);
	else if (peer->identity[0])
		snprintf(buf, size, "%s", peer->identity);
	else if (rung == 5 && (link_port_view(p->link, &v), true))
		snprintf(buf, size, "%s", v.mismatch);
	else if (rung == 4)
		snprintf(buf, size, "no neighbour heard");
	else if (peer->reachable && !node_bfd_ready(peer))
		snprintf(buf, size, "waits for BFD");
	else
		snprintf(buf, size, "%s%s", bgp_peer_reason(peer->bgp)->text, hint(peer));
}
