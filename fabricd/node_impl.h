/* fabricd/node_impl.h -- what the files of the node share: node.c and node_*.c */
#ifndef FABRICD_NODE_IMPL_H
#define FABRICD_NODE_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/node.h"

/* node_port.c */
int node_ports_init(struct node *);
void node_ports_free(struct node *);
void node_ports_setup(struct node *);
void node_port_news(struct node *, const struct plat_port *);
void node_port_setup(struct node_port *);
void node_port_session_down(struct node_port *, const struct ip *address); /* of a fabric port */
void node_port_deaf(struct node_port *); /* hears and says nothing more, but through its sessions */

/* node_rack.c */
void node_rack_init(struct node *);
void node_rack_free(struct node *);
void node_rack_news(struct node *, const struct plat_port *);
void node_rack_update(struct node *);
void node_rack_isolated(struct node *, bool isolated);
const struct topo_tier *node_tier(const struct node *);
bool node_has_bridge(const struct node *);

/* node_peer.c */
/* A session of the port; external NULL: with the neighbour of a fabric port. The caller links it in. */
struct node_peer *node_peer_new(struct node_port *, const struct topo_external *external);
void node_peer_free(struct node_peer *);
void node_peer_start(struct node_peer *);
void node_peer_listen(struct node_peer *); /* the port is there, with its addresses */
void node_peer_port_gone(struct node_peer *);
/* The neighbour can be reached at this address; or (NULL) not any more, with a reason. */
void node_peer_reachable(struct node_peer *, const struct ip *address);
void node_peer_unreachable(struct node_peer *, const char *why);
void node_peer_unheard(struct node_peer *); /* the same, but not before what is kept of it has gone */
void node_peer_accept(void *port, struct rt_stream *, const struct ip *peer, uint16_t peer_port);
/* Does what the engine asked for since: writes, closes, timers. After every call into it. */
void node_peer_settle(struct node_peer *);
void node_peers_settle(struct node *);
void node_peers_resume(struct node *); /* input that waited for the RIB */
/* For a session that goes on from another fabricd: its connection without a stream, and the handler of that. */
struct node_conn *node_conn_new(struct node_peer *, struct bgp_conn *);
const struct rt_stream_handler *node_conn_handler(void);
bool node_peer_read_key(struct node_peer *); /* false after an event that says why not */

void node_peer_lost(struct node_peer *); /* all that it told goes */
bool node_peer_is_used(
    const struct node_peer *); /* packets go there: by a session, or by what is kept while it restarts */
/* The same at once, groups and the withdrawals of witnesses first: for a session that is ended in the same call. */
void node_peer_unplug(struct node_peer *);
void node_isolation_update(struct node *);

void node_peer_try(struct node_peer *); /* its session may begin, if nothing is in the way any more */

/* node_damp.c */
void node_damp_flap(struct node_port *, uint64_t cause);
/* In charge from now on, or a session has ended: who is kept out is let in when it is time, or as the last way up. */
void node_damp_again(struct node *);

/* node_restart.c */
void node_restart_init(struct node *); /* the forwarding plane was read; the ports are there, and not set up */
void node_restart_taken_over(struct node *);
void node_restart_hurry(struct node *); /* the forwarding plane as it was found leads into a dead link */
/* One end did not hear the other, whichever noticed. */
bool node_restart_silence(const struct node_peer *, const struct bgp_reason *);
uint8_t node_restart_keep(struct node_peer *, const struct bgp_reason *, uint8_t families);
void node_restart_kept(struct node_peer *);
void node_restart_stale_end(struct node_peer *, uint8_t families, enum bgp_stale_end, const char *text);
bool node_restart_long_lived(struct node_peer *, uint8_t families); /* struct bgp_ops */
void node_restart_drop(struct node_peer *);                         /* what waits in stale_over, if now is the time */

/* node_bfd.c */
void node_bfd_begin(struct node_peer *); /* watches the neighbour at its address */
void node_bfd_again(struct node_peer *);
void node_bfd_catch_up(struct node_peer *);
/* The session need not wait for BFD (any longer). */
bool node_bfd_ready(const struct node_peer *);
/* The session has ended: whether BFD knows better. */
void node_bfd_bgp_down(struct node_peer *, const struct bgp_reason *);
void node_bfd_end(struct node_peer *);
void node_bfd_free(struct node *);
/* node_bfd_counters.c */
void node_bfd_counters_free(struct node *);

/* node_rib.c */
extern const struct rib_ops node_rib_ops;
extern const struct sync_client node_sync_client;
extern const struct export_ops node_export_ops;
bool node_rib_work(void *node);       /* rt_work_fn */
bool node_groups_work(void *node);    /* rt_work_fn */
void node_dwell(void *node);          /* rt_timer_fn */
void node_rib_changed(struct node *); /* something is dirty */
bool node_takes_input(const struct node *);
void node_announce_own(struct node *, const struct prefix *, bool present);
void node_aggregates_update(struct node *); /* after a change of `isolated` */

static inline struct mono
node_now(const struct node *n)
{
	return rt_now(n->rt);
}

#endif
