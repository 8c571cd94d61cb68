/*
 * platform/model/model.h -- a forwarding plane in memory, with the limits and the manners of a real one
 *
 *   submit -> queue -> (delay) -> tables: next hops, groups, routes -> results
 *
 * It keeps what the kernel or an ASIC would keep, refuses what they would refuse (full tables, groups that are too
 * wide, next hops on dark ports, objects in use), and does on carrier loss what Linux does: deletes the next hops of
 * the port, shrinks their groups, deletes emptied groups and the routes on them (unless they outlive their members, see
 * platform_caps), and tells nobody. model_lookup()
 * forwards a packet, so that a simulator can walk flows through a fabric. All time and randomness come from the
 * runtime.
 */
#ifndef PLATFORM_MODEL_MODEL_H
#define PLATFORM_MODEL_MODEL_H

#include "platform/platform.h"

struct model_config {
	uint32_t max_routes[FAMILIES]; /* 0: no limit, here and below */
	uint32_t max_nexthops, max_groups, max_members, max_group_size;
	int64_t ack_us;        /* from submit to the result of its first operation */
	int64_t op_us;         /* and for each further operation */
	uint32_t queue;        /* operations in flight at most; 0: 4096 */
	bool keep_nexthops;    /* carrier loss deletes nothing, as on an ASIC */
	bool eager;            /* a next hop on a dark port is accepted, as on an ASIC */
	bool group_outlives;   /* groups of one member outlive it, as platform/linux makes them */
	uint32_t own_nexthops; /* see platform_caps; 0: never */
};

/* cfg NULL: no limits, results in the next turn of the loop. Ends with platform->ops->close(). */
struct platform *model_open(
    struct runtime *, struct mem *, const struct model_config *, const struct platform_client *, void *client_arg);

/*
 * Another client of the same forwarding plane, as a second process is one of the same kernel: each hears of ports and of
 * what is lost, and of the results of its own operations. All ports are told anew, to all. The forwarding plane ends
 * when the last of them is closed.
 */
struct platform *model_share(struct platform *);

/* ---- ports: the glue says what is there ---- */

/*
 * Makes or changes a port. link_local NULL or zero: none yet. The client hears of it from the loop. `port_setup` calls
 * of the client set admin state; model_admin_watch() tells the glue what it asked for.
 */
void model_port_set(struct platform *, const char *name, uint32_t ifindex, const uint8_t mac[6], bool carrier,
    const struct ip *link_local);
/* The port is gone: as carrier loss, and the client is told `gone`. */
void model_port_remove(struct platform *, uint32_t ifindex);
/* Called from the loop when the client sets a port up or down. */
typedef void model_admin_fn(void *arg, uint32_t ifindex, bool up);
void model_admin_watch(struct platform *, model_admin_fn *, void *arg);

/*
 * The client's process has ended, the forwarding plane has not: what was submitted is done, nobody hears of it. It is the only one then. Call it
 * when the node has crashed; model_adopt() once it has booted: the next client then hears of all ports anew.
 */
void model_orphan(struct platform *);
void model_adopt(struct platform *);

/* ---- forwarding ---- */

enum model_verdict {
	MODEL_NO_ROUTE,
	MODEL_FORWARD,   /* to one of `members` */
	MODEL_LOCAL,     /* an address of this switch */
	MODEL_CONNECTED, /* in the network of an address of a port: `port` */
	MODEL_UNREACHABLE,
	MODEL_BLACKHOLE,
};

struct model_hop {
	uint32_t ifindex;
	struct ip gateway; /* zero: directly connected */
	uint32_t weight;
	bool dark; /* the port has no carrier: packets sent here are lost */
};

struct model_result {
	enum model_verdict verdict;
	struct prefix prefix; /* the longest match */
	uint32_t metric;
	uint32_t group;               /* id, or of the next hop */
	const struct model_hop *hops; /* valid until the next call of the model */
	size_t nhops;
	char port[PLATFORM_PORT_NAME]; /* MODEL_CONNECTED */
};

enum model_verdict model_lookup(struct platform *, uint32_t table, const struct ip *dst, struct model_result *);
/* Which of the hops a flow takes; UINT32_MAX when there is none. `flow` is any hash of its five-tuple. */
uint32_t model_pick(struct platform *, const struct model_result *, uint64_t flow);

/*
 * Called with each prefix whose forwarding may have changed, from inside the change: note it, and look later. p NULL:
 * any of them. For simulators that check flows; NULL: nobody.
 */
typedef void model_watch_fn(void *arg, uint32_t table, const struct prefix *p);
void model_watch(struct platform *, model_watch_fn *, void *arg);

/* ---- faults ---- */

enum model_fault_kind {
	MODEL_FAIL,      /* PLAT_FAILED with `error` */
	MODEL_TRANSIENT, /* PLAT_TRANSIENT, -EBUSY */
	MODEL_FULL,      /* PLAT_TABLE_FULL, -ENOSPC */
	MODEL_LIE,       /* says INSTALLED, does nothing */
};
struct model_fault {
	enum model_fault_kind kind;
	unsigned int kinds; /* bits 1 << enum plat_kind; 0: all */
	uint64_t after;     /* so many matching operations pass first */
	uint64_t count;     /* then so many fail; 0: all that follow */
	int error;          /* -errno */
	const char *detail; /* static text, or NULL */
};
/* Replaces the fault before it; NULL: none. */
void model_fault_set(struct platform *, const struct model_fault *);
/* Another hand takes an object away behind the client's back, with all that depends on it. -ENOENT. `tell`: desync()
 * follows. */
int model_lose_route(struct platform *, uint32_t table, const struct prefix *, uint32_t metric, bool tell);
int model_lose_nexthop(struct platform *, uint32_t id, bool tell);
int model_lose_group(struct platform *, uint32_t id, bool tell);
/* Another owner's route: dump() shows it as foreign, lookups see it, operations on the same identity are refused
 * (EEXIST). */
int model_foreign_route(struct platform *, const struct plat_route *);
/* No result comes until it is called with false; operations stay in the queue. A slow or hung ASIC. */
void model_hang(struct platform *, bool hung);
/*
 * Another hand takes away what groups outlive their members by (config.group_outlives): those that have, go with their
 * routes, and nobody hears of it; or it is there again: then desync() tells.
 */
void model_outlive(struct platform *, bool can);
/* Removes all that was installed, as a reset of the ASIC does, and tells desync(). */
void model_reset(struct platform *);

/* ---- facts ---- */

struct model_stats {
	uint64_t ops, installed, failed, full, waits_link, transient, batches;
	uint64_t by_kind[PLAT_ROUTE_DEL + 1];
	uint64_t carrier_nexthops, carrier_groups, carrier_routes; /* deleted by carrier loss */
	size_t routes[FAMILIES], nexthops, groups, members, in_flight;
};
void model_stats(const struct platform *, struct model_stats *);

#endif
