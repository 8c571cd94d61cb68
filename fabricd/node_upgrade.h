/*
 * fabricd/node_upgrade.h -- a node on its way to a successor, and the successor before it is in charge
 *
 *   old:  node_freeze() -> node_settled() -> (saved by fabricd/upgrade) -> node_give() -> its process ends
 *                      \-> node_thaw(): it goes on as if nothing had been
 *   new:  node_new(inherit) -> held -> (restored and compared by fabricd/upgrade) -> node_take_over()
 *
 * Frozen: nothing is read and no session begins; keepalives go out; what happens to ports and sessions is done as ever, and
 * counted in node.disturbed: what was saved is not true any more then.
 * Held: nothing is sent and nothing is written to the forwarding plane; sessions and routes are there as if they were.
 */
#ifndef FABRICD_NODE_UPGRADE_H
#define FABRICD_NODE_UPGRADE_H

#include "fabricd/node.h"

/* ---- what people are told ---- */

#define NODE_UPGRADE_STEPS 24

/* How far an upgrade has come; what the process around the node writes, and queries read. */
struct node_upgrade_report {
	bool running, ok; /* not running and not ok: it failed, or there was none */
	char from[32], to[32], binary[256];
	struct {
		char name[16];
		int64_t at_us; /* since the beginning */
		char text[256];
	} steps[NODE_UPGRADE_STEPS];
	size_t n_steps;
	char why[320], next[160]; /* when it failed */
	uint64_t peers, routes;   /* kept; verified in the forwarding plane */
	int pid;                  /* of the successor */
};

/* What is asked of the process around the node; arg is node_config.arg. */
struct node_upgrader {
	/* Starts this program ("": our own, as it is on the disk now) as the successor; 0, or -errno and a sentence. */
	int (*begin)(void *arg, const char *binary, char *err, size_t errlen);
	const struct node_upgrade_report *(*report)(void *arg);
};

/* ---- the old one ---- */

/* What is in the way of a handover now, as a sentence; false: nothing. Asked before node_freeze(), and before saving. */
bool node_upgrade_waits(const struct node *, char *why, size_t size);
void node_freeze(struct node *);
void node_thaw(struct node *);
/* Frozen, and all that came before is done and told, or waits in the queues of peers that do not read. */
bool node_settled(const struct node *);
/* Bytes that TCP has not taken yet, of all sessions. */
size_t node_unsent(const struct node *);
/* All that is to be sent is in conn->out of the sessions. */
void node_flatten(struct node *);
size_t node_peer_flatten(struct node_peer *); /* the same of one; how many octets came there */
/* From here on nothing is read or written; unless node_thaw() follows. */
void node_give(struct node *);
/* Takes streams and listeners away from the node: they are somebody else's in this process. Before node_free(). */
void node_forget(struct node *);

/* ---- the new one ---- */

/*
 * A session that goes on: to be called once for a peer, before the first turn of the loop. saved: of bgp_peer_save().
 * The address is that of the neighbour. -EBADMSG: it is damaged, or not of this session.
 */
int node_peer_restore(struct node_peer *, const struct ip *address, struct rd saved, bool lags);
/* The session is up on such a connection: io and bytes that TCP has not taken yet. 0 or -errno. */
int node_peer_adopt(struct node_peer *, const struct rt_parcel *, const uint8_t *out, size_t n);
int node_peer_adopt_listener(struct node_peer *, const struct rt_parcel *);
/* The flaps of a port before; times in the future, and numbers that cannot be, are cut to what can. */
void node_damp_restore(struct node_port *, const struct damp *);
/* In charge from now on: sessions go on, others begin. */
void node_take_over(struct node *);

#endif
