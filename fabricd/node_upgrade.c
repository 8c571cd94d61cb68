/* fabricd/node_upgrade.c -- see node_upgrade.h */
#include "fabricd/node_upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/node_impl.h"
#include "fabricd/rib/restore.h"

/* Walks all sessions of the node. */
#define EACH_PEER(n, peer)                                                                                             \
	for (size_t port_ = 0; port_ < (n)->nports; port_++)                                                           \
		for (struct node_peer *peer = (n)->ports[port_].peer; peer; peer = peer->next)

/* ---- the old one ---- */

bool
node_upgrade_waits(const struct node *n, char *why, size_t size)
{
	if (n->restart.phase != NODE_RUNS) {
		snprintf(why, size, "it has just restarted, and hears its neighbours first");
		return true;
	}
	EACH_PEER(n, peer)
	{
		if (bgp_peer_restart(peer->bgp)->stale || peer->stale_over) {
			snprintf(why, size, "%s restarts, and its paths are kept meanwhile", peer->label);
			return true;
		}
		if (peer->export && export_peer_walks(peer->export)) {
			snprintf(why, size, "%s is being sent all routes", peer->label);
			return true;
		}
	}
	if (rib_has_cuts(n->rib)) { /* it would hear nothing of those withdrawals, and take the silence for an answer */
		snprintf(why, size, "a neighbour has lost a way, and has not withdrawn all routes that led there");
		return true;
	}
	if (rib_refreshing(n->rib))
		snprintf(why, size, "a neighbour is sending its routes again");
	return rib_refreshing(n->rib);
}

static void
pause(struct node *n, bool paused)
{
	EACH_PEER(n, peer)
	{
		rt_listener_pause(peer->listener, paused);
		for (int side = 0; side < BGP_SIDES; side++)
			if (peer->conns[side] && peer->conns[side]->stream)
				rt_stream_pause(peer->conns[side]->stream, paused);
	}
}

void
node_freeze(struct node *n)
{
	n->frozen = true;
	n->disturbed = 0;
	pause(n, true);
	node_peers_settle(n);
	rt_work_schedule(n->work);
}

void
node_thaw(struct node *n)
{
	n->frozen = n->given = false;
	pause(n, false);
	EACH_PEER(n, peer)
	{
		bgp_peer_thaw(peer->bgp, node_now(n));
		peer->input_paused = false;
		for (int side = 0; side < BGP_SIDES; side++) {
			struct node_conn *c = peer->conns[side];

			if (c && c->stream)
				rt_stream_again(c->stream);
			if (c)
				c->want_write = true;
		}
	}
	node_peers_settle(n);
	rt_work_schedule(n->work);
}

bool
node_settled(const struct node *n)
{
	return n->frozen && node_quiet(n) && sync_idle(n->sync);
}

size_t
node_unsent(const struct node *n)
{
	size_t sum = 0;

	EACH_PEER(n, peer)
	{
		sum += bgp_queue_bytes(peer->bgp);
		for (int side = 0; side < BGP_SIDES; side++)
			if (peer->conns[side])
				sum += peer->conns[side]->out_len - peer->conns[side]->out_at;
	}
	return sum;
}

void
node_flatten(struct node *n)
{
	EACH_PEER(n, peer)
	node_peer_flatten(peer);
}

void
node_give(struct node *n)
{
	n->given = true;
}

void
node_forget(struct node *n)
{
	EACH_PEER(n, peer)
	{
		peer->listener = NULL;
		for (int side = 0; side < BGP_SIDES; side++) {
			struct node_conn *c = peer->conns[side];

			if (!c || !c->stream || !peer->established)
				continue;
			rt_stream_handle(c->stream, NULL, NULL);
			c->stream = NULL;
		}
	}
	for (size_t i = 0; i < n->nports; i++) /* nor answer neighbours */
		node_port_deaf(&n->ports[i]);
}

/* ---- the new one ---- */

int
node_peer_restore(struct node_peer *peer, const struct ip *address, struct rd saved, bool lags)
{
	struct node *n = peer->node;
	const struct bgp_session_facts *f;
	struct bgp_conn *bgp;
	struct node_conn *c;
	int e = bgp_peer_restore(peer->bgp, saved);

	if (e)
		return e;
	peer->address = *address;
	node_bfd_again(peer);
	if (!(bgp = bgp_peer_conn(peer->bgp)))
		return 0;
	f = bgp_peer_facts(peer->bgp);
	c = node_conn_new(peer, bgp);
	c->open = true;
	peer->established = peer->reachable = true;
	peer->source.router_id = f->remote.id;
	peer->source.asn = f->remote.asn;
	peer->source.address = *address;
	rib_source_up(n->rib, &peer->source);
	peer->export = export_peer_resume(n->export, peer->bgp, &peer->source, policy_class(peer->policy), lags);
	return 0;
}

int
node_peer_adopt(struct node_peer *peer, const struct rt_parcel *parcel, const uint8_t *out, size_t len)
{
	struct node *n = peer->node;
	struct bgp_conn *bgp = bgp_peer_conn(peer->bgp);
	const struct rt_stream_handler *h;
	struct node_conn *c = bgp ? bgp_conn_io(bgp) : NULL;
	int e;

	if (!c || c->stream)
		return -EBADMSG;
	h = node_conn_handler();
	e = rt_stream_unpack(n->rt, parcel, h, c, &c->stream);
	if (e)
		return e;
	if (len) {
		c->out = mem_alloc(&n->mem, MEM_SESSION, len);
		memcpy(c->out, out, len);
		c->out_len = len;
	}
	c->want_write = true;
	return 0;
}

int
node_peer_adopt_listener(struct node_peer *peer, const struct rt_parcel *parcel)
{
	struct rt_stream_options o = { .ifindex = peer->port->plat.ifindex, .local_port = BGP_PORT };

	o.local = peer->external ? peer->external->local : (struct ip){ .family = FAMILY_IPV6 };
	return rt_listener_unpack(peer->node->rt, parcel, &o, NULL, node_peer_accept, peer->port, &peer->listener);
}

/* What was heard while it was held, and had no effect then. */
static void
catch_up(struct node_peer *peer)
{
	struct node_port *p = peer->port;
	struct node_conn *c;
	struct link_view v;

	if (!peer->established)
		return;
	if (p->link)
		link_port_session(p->link, &peer->address, true, node_now(peer->node));
	c = bgp_conn_io(bgp_peer_conn(peer->bgp));
	bgp_peer_resume(peer->bgp, c->out_len, node_now(peer->node));
	if (!p->present || !p->plat.carrier)
		node_peer_unreachable(peer, "port dark");
	else if (p->link && (link_port_view(p->link, &v), v.state != LINK_UP))
		node_peer_unreachable(peer, "the port is refused");
}

static void
begin(struct node_peer *peer)
{
	struct node_port *p = peer->port;
	struct link_view v;

	if (peer->established)
		return;
	/* The neighbour that the old one knew; the new one may not have heard it yet. */
	if (p->link && !ip_is_zero(&peer->address))
		link_port_inbound(p->link, &peer->address, node_now(peer->node));
	if (p->link)
		link_port_view(p->link, &v);
	if (!p->present || !p->plat.carrier)
		node_peer_unreachable(peer, "port dark");
	else if (peer->external)
		node_peer_reachable(peer, &peer->external->peer);
	else if (v.chosen)
		node_peer_reachable(peer, &v.chosen->addr);
	else
		node_peer_unreachable(peer, "the neighbour is not heard any more");
	node_peer_start(peer);
}

void
node_take_over(struct node *n)
{
	n->held = false;
	sync_hold(n->sync, false);
	export_hold(n->export, false);
	EACH_PEER(n, peer)
	{
		(void)node_peer_read_key(peer);
		if (peer->port->present)
			node_peer_listen(peer);
		catch_up(peer);
	}
	node_damp_again(n);
	EACH_PEER(n, peer)
	begin(peer);
	EACH_PEER(n, peer)
	node_bfd_catch_up(peer);
	node_rack_update(n);
	node_isolation_update(n);
	node_peers_settle(n);
	node_restart_taken_over(n);
	rt_work_schedule(n->work);
}
