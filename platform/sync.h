/*
 * platform/sync.h -- the FIB that is wanted, sent, acknowledged and read back, each a fact of its own
 *
 * The RIB says what it wants in groups and routes; sync makes the forwarding plane be so, and tells which routes are
 * proved to be installed. It orders operations (next hops, groups, routes; deletes in reverse; group changes before
 * routes), batches them, repeats what failed with back-off, adopts what is found at start, audits, and repairs.
 *
 * Next hops are known here by (ifindex, gateway) and are counted by identity. When a port loses carrier every group
 * shrinks at once without the RIB's help (sync_port_down), and grows again when it is back and the group still wants
 * it. The last member of a group is never removed by a group change.
 */
#ifndef PLATFORM_SYNC_H
#define PLATFORM_SYNC_H

#include "platform/platform.h"

struct sync;

struct sync_nexthop {
	uint32_t ifindex;
	struct ip gateway;
	uint16_t weight; /* 0 counts as 1 */
};

enum sync_route_state {
	SYNC_ABSENT,     /* not wanted, not there */
	SYNC_PENDING,    /* wanted, not yet proved */
	SYNC_INSTALLED,  /* proved */
	SYNC_FAILED,     /* refused; error and detail are kept; repeated with back-off */
	SYNC_WAITS_LINK, /* all its next hops are on ports without carrier */
	SYNC_DELETING,
};

struct sync_client {
	/* A route's state changed to INSTALLED, FAILED or WAITS_LINK. Called from the loop, in batches of one turn. */
	void (*route_state)(
	    void *arg, uint32_t table, const struct prefix *, enum sync_route_state, int error, const char *detail);
	/* route_state() follows for these, of one family, in a moment: a hint to bring them into the cache. May be
	 * NULL. */
	void (*routes_soon)(void *arg, uint32_t table, const struct prefix *, size_t n);
	/* A whole group went from usable to not (all members dark) or back: its routes are not told one by one. */
	void (*group_state)(void *arg, uint32_t group, bool usable);
	void (*event)(void *arg, const char *type, const char *text); /* FIB events and problems for the operator */
};

struct sync_config {
	struct mem *mem;
	struct runtime *rt;
	uint64_t seed;
	uint32_t id_base;           /* first id of next hops and groups of our own */
	uint32_t cover_metric;      /* metric of cover routes */
	uint32_t metric;            /* metric of fabric routes */
	struct ip source[FAMILIES]; /* preferred source, zero: none */
	int64_t audit_us;           /* period of the full audit; 0: only when asked */
};

/*
 * Takes the place of the platform's client, and hands `port`, `problem` and `desync` on to the client that was set
 * before, if any: so a node sets platform->client first, and then calls this. Port events are heard here, too: what
 * sync_port_up() and sync_port_down() do is done before the node is told; a node may call them for other reasons.
 */
struct sync *sync_new(struct platform *, const struct sync_config *, const struct sync_client *, void *arg);
void sync_free(struct sync *); /* leaves the forwarding plane as it is */

/*
 * Begins: reads what is there, adopts what equals what is wanted later; what nobody wants is swept by sync_sweep().
 * Groups found are kept under their ids until they are wanted or swept.
 */
int sync_start(struct sync *);
void sync_sweep(struct sync *);
/* From here on nothing is sent: the forwarding plane stays as it is, whatever is asked for. */
void sync_stop(struct sync *);

/* Held: nothing is sent, but what is wanted is compared with what is there; until it is released. */
void sync_hold(struct sync *, bool held);
struct sync_comparison {
	uint64_t right, wrong; /* routes that are wanted, and lead packets there; that are not, or lead elsewhere */
	uint64_t unwanted;     /* routes of ours that are there and not wanted */
	uint64_t groups;
};
void sync_compare(const struct sync *, struct sync_comparison *);
/* Nothing waits to be sent, and nothing that was sent for its result: deletions, too. */
bool sync_idle(const struct sync *);

/* A group of the RIB. Returns its handle (never 0). Members may be 1 to 512; equal next hops are merged. */
uint32_t sync_group_new(struct sync *, const struct sync_nexthop *, size_t n);
/* Changes the members in place: one message, whatever the number of routes on it. */
void sync_group_change(struct sync *, uint32_t group, const struct sync_nexthop *, size_t n);
/* Routes must have left it before; it is deleted after their operations. */
void sync_group_free(struct sync *, uint32_t group);

/* sync_route_set() follows for these, of one family: brings what that will touch into the cache. At most 32 help. */
void sync_routes_soon(const struct sync *, uint32_t table, const struct prefix *, size_t n);
void sync_route_set(struct sync *, uint32_t table, const struct prefix *, uint32_t group);
void sync_route_cover(struct sync *, uint32_t table, const struct prefix *, enum plat_route_type); /* cover route */
void sync_route_uncover(struct sync *, uint32_t table, const struct prefix *);
void sync_route_del(struct sync *, uint32_t table, const struct prefix *);

void sync_port_up(struct sync *, uint32_t ifindex);
void sync_port_down(struct sync *, uint32_t ifindex); /* carrier gone or port removed: shrinks every group at once */

/*
 * The neighbour behind this next hop does not answer, though its port has carrier: every group shrinks at once, by one
 * message where the forwarding plane takes deleted next hops out of their groups; it has left when this returns. A group
 * that has no other next hop is left as it is for its routes to leave, unless it outlives it. Until sync_nexthop_up(), or
 * until no group has wanted it for a moment, the next hop is not used.
 */
void sync_nexthop_down(struct sync *, uint32_t ifindex, const struct ip *gateway);
void sync_nexthop_up(struct sync *, uint32_t ifindex, const struct ip *gateway);

/* Compares the forwarding plane with what is wanted, now, and repairs. */
void sync_audit(struct sync *);

/* ---- facts ---- */

struct sync_stats {
	uint64_t routes_wanted[FAMILIES], routes_installed[FAMILIES], routes_pending, routes_failed, routes_waiting;
	uint64_t groups, members, nexthops; /* without those that are of one group alone */
	uint64_t routes_found[FAMILIES];    /* of ours, at the start, without cover routes */
	uint64_t ops_sent, ops_failed, audits, repairs, foreign_conflicts;
	uint64_t group_messages, route_messages;
	struct mono last_audit;
};
void sync_stats(const struct sync *, struct sync_stats *);

struct sync_route_view {
	struct prefix prefix;
	uint32_t table, group, metric;
	uint32_t platform_group; /* id in the forwarding plane */
	enum sync_route_state state;
	int error;
	const char *detail;
	bool cover;
};
bool sync_route_get(const struct sync *, uint32_t table, const struct prefix *, struct sync_route_view *);
/* Members that are in the forwarding plane now; returns how many, at most max are written. */
size_t sync_group_members(const struct sync *, uint32_t group, struct sync_nexthop *, size_t max);

/* One difference found by comparing a dump with what is wanted; for `fabctl fib check`. */
typedef void sync_diff_fn(void *arg, const char *what, const struct prefix *, const char *text);
int sync_check(struct sync *, sync_diff_fn *, void *arg); /* returns how many differences, -errno when it cannot read */

/*
 * The same in pieces of some ms. begin: 0, and *check names it; -EBUSY: an audit or another check is under way, ask again
 * later; whole: read in one go, for a plane that never stands still. step: 1: more to come; 0: ended; -EAGAIN: an audit
 * came between, begin again; other -errno: it cannot be read. Differences are told from the last steps, of which each sets
 * *differences to how many there are; at most SYNC_CHECK_TOLD are told, and one that says how many more there are. A
 * check that is not stepped for a second is given up when another begins.
 */
#define SYNC_CHECK_TOLD 10000
int sync_check_begin(struct sync *, bool whole, uint64_t *check);
int sync_check_step(struct sync *, uint64_t check, sync_diff_fn *, void *arg, int *differences);

#endif
