/*
 * fabricd/bgp/session_snapshot.h -- a session on its way to another fabricd that goes on with it
 *
 * What is saved is what the peer could notice, and what people are shown: the state, what both OPENs said, timers,
 * counters, reasons. Bytes that were not sent yet are the owner's: it takes all of bgp_output() first.
 *
 * Monotonic time is the machine's, so deadlines are saved as they are.
 */
#ifndef FABRICD_BGP_SESSION_SNAPSHOT_H
#define FABRICD_BGP_SESSION_SNAPSHOT_H

#include "fabricd/bgp/session.h"
#include "fabricd/lib/wire.h"

#define BGP_SNAPSHOT_MAX 8192 /* bytes that a peer needs at most */

void bgp_peer_save(const struct bgp_peer *, struct wr *);
/*
 * For a peer that was not started yet: it becomes what was saved. A session that was not Established begins anew with
 * bgp_peer_start(); what held it back, and why, is kept. 0, or -EBADMSG: nothing was changed. No op is called.
 */
int bgp_peer_restore(struct bgp_peer *, struct rd);
/* Its own connection again, with io not set; NULL: it is not Established. */
struct bgp_conn *bgp_peer_conn(struct bgp_peer *);

/*
 * In charge of an Established session from now on: the peer is told at once that we are there, and has the time to be
 * heard. `waiting`: octets that the owner still has to send for it; it tells bgp_wrote() of them as of others.
 */
void bgp_peer_resume(struct bgp_peer *, size_t waiting, struct mono now);

/*
 * While the session is handed over: sends the keepalives that are due and does nothing else of bgp_timer(). Returns
 * when the next is due.
 */
struct mono bgp_peer_keep(struct bgp_peer *, struct mono now);
/* It was not handed over after all: what the peer sent meanwhile waits unread, and has the time to be read. */
void bgp_peer_thaw(struct bgp_peer *, struct mono now);

#endif
