/*
 * fabricd/node_bfd.c -- BFD on the links of fabric sessions: who is watched, and what a failure does
 *
 *   neighbour reachable -> watch -> Up -> (strict: only now the session may begin)
 *                                -> Down -> next hops leave their groups, the session is reset (RFC 5882 4.2)
 *
 * A failure takes the neighbour's next hop out of the forwarding plane first, by one message; then out of the RIB's hop
 * sets, and the origins that are lost by it are withdrawn; and only then the session is ended, with its NOTIFICATION
 * into the dead link, and all is noted. That the neighbour's operator took BFD down (AdminDown) is no
 * failure (RFC 5882 3.2). Without a bfdd, sessions live by their hold time, which status says.
 *
 * The other way round, BGP may be silent while BFD is up: its packets are small, and so say nothing about large ones.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/node_impl.h"

/* A fabricd has BFD; of a foreign switch nobody knows, and a session that waits for it might wait for ever. */
static bool
is_strict(const struct node_peer *peer)
{
	return peer->node->topo->bfd_strict && !peer->far->foreign;
}

static void
bfd_up(struct node_peer *peer)
{
	struct node *n = peer->node;

	peer->bfd_up = true;
	if (n->held)
		return;
	node_event(n, "BFD_UP", peer->port->name, 0, "%s", peer->far->name);
	node_peer_try(peer);
}

/* What is kept of it is not any more: its C bit says that this is no restart, or BFD was all that spoke for it. */
static bool
ends_keeping(const struct node_peer *peer, const struct bfd_status *s)
{
	return s->independent || peer->kept_by_bfd;
}

/* What it told is used now, and not any more when BFD is down (RFC 5882 4.3). */
static bool
loses_paths(const struct node_peer *peer, const struct bfd_status *s)
{
	return peer->established || (ends_keeping(peer, s) && bgp_peer_restart(peer->bgp)->stale);
}

/* Before anything is said or noted: packets are lost meanwhile. */
static void
unplug(struct node_peer *peer)
{
	sync_nexthop_down(peer->node->sync, peer->port->plat.ifindex, &peer->address);
	node_peer_unplug(peer);
}

static void
bfd_down(struct node_peer *peer, const struct bfd_status *s)
{
	struct node *n = peer->node;
	bool here = s->state == BFD_ADMIN; /* bfdd itself ends as it was asked to */
	bool admin = here || s->remote_state == BFD_ADMIN;

	peer->bfd_up = false;
	peer->stuck = 0;
	if (!admin && loses_paths(peer, s))
		unplug(peer);
	peer->bfd_event = node_event(n, admin ? "BFD_ADMIN_DOWN" : "BFD_DOWN", peer->port->name,
	    peer->port->carrier_event, "%s: %s", peer->far->name,
	    here    ? "bfdd was told to end; the session stays"
	    : admin ? "its operator took BFD down; the session stays"
		    : bfd_diag_name(s->diag));
	if (admin)
		return;
	node_restart_hurry(n);
	bgp_peer_bfd_down(peer->bgp, ends_keeping(peer, s), node_now(n));
	if (is_strict(peer))
		bgp_peer_link_wait(peer->bgp, "waits for BFD", node_now(n));
	node_damp_flap(peer->port, peer->bfd_event);
}

/* ---- BFD up, BGP stuck ---- */

/* Long enough for the whole table, and for silence to be noticed again. */
static bool
has_lasted(const struct node_peer *peer)
{
	return mono_sub(node_now(peer->node), bgp_peer_since(peer->bgp)) >=
	       3 * SECONDS(bgp_peer_facts(peer->bgp)->hold_s);
}

void
node_bfd_bgp_down(struct node_peer *peer, const struct bgp_reason *reason)
{
	if (has_lasted(peer))
		peer->stuck = 0;
	if (peer->bfd_up && node_restart_silence(peer, reason) && peer->stuck++ == 0)
		node_event(peer->node, "BGP_STUCK", peer->port->name, peer->down_event,
		    "%s: BFD is up, BGP is stuck: large packets are lost on the way, or fabricd does not run there; "
		    "compare the MTUs of both ends and of what is between",
		    peer->far->name);
}

bool
node_peer_stuck(const struct node_peer *peer)
{
	return peer->stuck && peer->bfd_up && (!peer->established || (peer->stuck > 1 && !has_lasted(peer)));
}

/* Whose session it is decides; that is us soon, and then node_bfd_catch_up(). */
static void
held_down(struct node_peer *peer)
{
	peer->bfd_up = false;
	peer->bfd_fell = true;
}

static void
on_bfd(void *arg, const struct bfd_status *s)
{
	struct node_peer *peer = arg;

	if (s->refused)
		node_event(peer->node, "BFD_REFUSED", peer->port->name, 0, "%s", s->refused);
	if (s->state == BFD_UP && !peer->bfd_up)
		bfd_up(peer);
	else if (s->state != BFD_UP && peer->bfd_up && peer->node->held)
		held_down(peer);
	else if (s->state != BFD_UP && peer->bfd_up)
		bfd_down(peer, s);
	node_peer_settle(peer);
}

/* Of a node that was held until now: the one before it may have heard nothing of a fall any more. */
void
node_bfd_catch_up(struct node_peer *peer)
{
	bool fell = peer->bfd && peer->bfd_fell && !peer->bfd_up;

	peer->bfd_fell = false;
	if (!fell)
		return;
	peer->bfd_up = true;
	on_bfd(peer, bfd_watch_status(peer->bfd));
}

void
node_bfd_begin(struct node_peer *peer)
{
	struct node *n = peer->node;
	const struct topo_timers *t = &n->topo->timers;
	struct bfd_target target = { .path = { .ifindex = peer->port->plat.ifindex,
					 .local = peer->port->plat.link_local,
					 .peer = peer->address },
		.params = { .min_tx_us = (uint32_t)t->bfd_us,
		    .min_rx_us = (uint32_t)t->bfd_us,
		    .multiplier = (uint8_t)t->bfd_multiplier,
		    .independent = !n->cfg.bfd_inside } };

	if (!n->cfg.bfd || !peer->far || peer->bfd)
		return;
	if (n->topo->bfd_echo)
		target.params.echo_us = target.params.echo_rx_us = (uint32_t)t->bfd_us;
	snprintf(target.port, sizeof(target.port), "%s", peer->port->name);
	peer->bfd = bfd_watch_new(n->cfg.bfd, &target, on_bfd, peer);
}

/*
 * Of a node that is held: who was known to the one before is watched from the first moment. bfdd says how he is, whether
 * we have heard him ourselves by now or not.
 */
void
node_bfd_again(struct node_peer *peer)
{
	const struct node_port *p = peer->port;

	if (peer->node->held && p->present && p->plat.carrier && !ip_is_zero(&p->plat.link_local) &&
	    !ip_is_zero(&peer->address))
		node_bfd_begin(peer);
}

/* Where nobody runs bfdd, nobody waits for it. */
bool
node_bfd_ready(const struct node_peer *peer)
{
	return !peer->bfd || !is_strict(peer) || peer->bfd_up || !bfd_client_connected(peer->node->cfg.bfd);
}

void
node_bfd_end(struct node_peer *peer)
{
	bfd_watch_free(peer->bfd);
	peer->bfd = NULL;
	peer->bfd_up = false;
	peer->stuck = 0;
}

void
node_bfd_told(struct node *n, bool connected)
{
	node_event(n, connected ? "BFDD_UP" : "BFDD_LOST", "", 0, "%s",
	    connected ? "bfdd watches the neighbours"
		      : "bfdd is gone: dead neighbours are found by hold time until it is back");
	if (connected || n->held)
		return;
	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			if (peer->bfd && !peer->bfd_up) {
				node_peer_try(peer);
				node_peer_settle(peer);
			}
}

/* ---- what bfdd knows ---- */

static void
on_row(void *arg, const struct bfd_row *row, int error)
{
	struct node *n = arg;
	struct node_bfd_row *out;

	if (row) {
		n->bfd_coming = mem_grow(
		    &n->mem, MEM_QUERY, n->bfd_coming, &n->cap_bfd_coming, n->n_bfd_coming + 1, sizeof(*n->bfd_coming));
		out = &n->bfd_coming[n->n_bfd_coming++];
		*out = (struct node_bfd_row){ .view = row->view,
			.since_us = row->since_us,
			.last_rx_us = row->last_rx_us,
			.down_us = row->down_us };
		snprintf(out->port, sizeof(out->port), "%s", row->port);
		return;
	}
	n->bfd_asked = false;
	if (error) /* what came is not the whole list */
		n->n_bfd_coming = 0;
	mem_free(&n->mem, MEM_QUERY, n->bfd_rows);
	n->bfd_rows = n->bfd_coming;
	n->n_bfd_rows = n->n_bfd_coming;
	n->bfd_coming = NULL;
	n->n_bfd_coming = n->cap_bfd_coming = 0;
	n->bfd_lists++;
}

int
node_bfd_list(struct node *n)
{
	int e;

	if (n->bfd_asked)
		return 0;
	e = n->cfg.bfd ? bfd_client_list(n->cfg.bfd, on_row, n) : -ENOTCONN;
	n->bfd_asked = e == 0;
	return e;
}

void
node_bfd_free(struct node *n)
{
	mem_free(&n->mem, MEM_QUERY, n->bfd_rows);
	mem_free(&n->mem, MEM_QUERY, n->bfd_coming);
}
