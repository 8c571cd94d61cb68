/*
 * fabricd/bgp/export.h -- export groups: a change is encoded once for all peers that get the same bytes
 *
 *   rib changes -> per group: allowed before? allowed now? -> builder -> batch -> queue of each member
 *   a peer that joins -> a walk over what was told -> the same way, to the joiners alone, then End-of-RIB
 *
 * A group is made of the peers with equal encoding options and equal export class; what a class is told is asked of
 * the owner. Members of a group get the same messages, the next hop is patched per peer as they are written. A peer is
 * not sent what it is itself the best source of.
 */
#ifndef FABRICD_BGP_EXPORT_H
#define FABRICD_BGP_EXPORT_H

#include "fabricd/bgp/session.h"
#include "fabricd/rib/rib.h"

struct export;
struct export_peer;

struct export_ops {
	/* Whether a class is told of this prefix. */
	bool (*allowed)(void *arg, uint32_t export_class, const struct prefix *, const struct path *best);
	/* Something was left out, or a peer is too slow: a sentence for the operator. */
	void (*event)(void *arg, struct bgp_peer *, const char *type, const char *text);
};

struct export *export_new(struct mem *, struct rib *, uint32_t table, const struct export_ops *, void *arg);
void export_free(struct export *); /* after its peers */

/* The peer is Established: it joins its group and gets the whole table. source: as which it announces to us. */
struct export_peer *export_peer_new(
    struct export *, struct bgp_peer *, const struct rib_source *source, uint32_t export_class);
void export_peer_free(struct export_peer *); /* NULL is allowed */
/*
 * The same for a session that goes on from another fabricd: it has the table already, and is told only what changes. lags:
 * it has missed something, and gets all again when it has read what is in its queue.
 */
struct export_peer *export_peer_resume(
    struct export *, struct bgp_peer *, const struct rib_source *source, uint32_t export_class, bool lags);
bool export_peer_lags(const struct export_peer *);
/* Peers that are told in the same words have the same; only to be compared. */
const void *export_peer_group(const struct export_peer *);
/* Whether it is being sent the table, or waits for that. */
bool export_peer_walks(const struct export_peer *);
/* It asked for a family again (RFC 2918); between BoRR and EoRR when both sides know them (RFC 7313). */
void export_peer_refresh(struct export_peer *, enum family);

/* rib_ops.changed and rib_ops.export_ready */
void export_changed(struct export *, enum family, const struct rib_change *, size_t n);
bool export_ready(struct export *, struct mono now);

/*
 * While it is held, nobody who joins is told anything: after a restart the first word is the whole table as it is then
 * (RFC 4724 4.1). Held or not at any time; not held at first.
 */
void export_hold(struct export *, bool held);
bool export_pending(const struct export *);
/*
 * One slice of walks; true: there is more to do now. False may also mean that those who walk have no room: call again
 * when a peer's queue became shorter, and tell export_drained(). While it is pending, ask export_ready() from time to
 * time: that sets a peer apart that reads slowly, and may end its session from within.
 */
bool export_run(struct export *);
/* Whether a slice could do something now: false while all who walk have no room. */
bool export_able(const struct export *);
void export_drained(struct export *);

/* Whether the peer has been told of the prefix, and the attributes it got (without next hop): at most size bytes. */
bool export_told(const struct export_peer *, const struct rib_view *);
int export_attrs(const struct export_peer *, const struct rib_view *, uint8_t *buf, size_t size);
/* Prefixes that the peer's group is told now. */
uint64_t export_count(const struct export_peer *, enum family);
/* The same of its group: also what came from this very peer, and is told to the others. */
bool export_told_group(const struct export_peer *, const struct rib_view *);
/* Who has just walked the table with export_told_group() knows the number already: the group need not be counted. */
void export_counted(struct export_peer *, enum family, uint64_t told);

#endif
