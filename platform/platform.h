/*
 * platform/platform.h -- the contract of a forwarding plane: ports, addresses, next hops, groups, routes
 *
 *   node ----> sync (wanted) ----> struct platform_ops ----> kernel, ASIC or model
 *     ^          |  ^ results, dumps, link events                |
 *     +----------+  +--------------------------------------------+
 *
 * A backend does what it is told, item by item, and reports what became of each item; it decides nothing. platform/sync
 * holds what is wanted, sends differences, and repairs. A difference between backends is a capability, never an #ifdef.
 * The terms map 1:1 to netlink next-hop objects and to SAI (next hop, next hop group, route entry).
 *
 * Always true: every callback comes from the loop, never from inside a call. Next hops and groups are one series of
 * operations, routes another: within each, results come in the order of the operations; between them there is no order,
 * so what needs another object waits for that one's result. Results of next hops and groups come before any port event
 * that happened after them. An operation is idempotent: setting what is there, and deleting what is not, succeeds.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fabricd/lib/counters.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/runtime/runtime.h"

#define PLATFORM_PORT_NAME 32

/* ---- capabilities: fixed after open, but for the last ---- */

struct platform_caps {
	uint32_t max_routes[FAMILIES]; /* UINT32_MAX: no limit known */
	uint32_t max_nexthops, max_groups, max_members;
	uint32_t max_group_size;
	uint8_t weight_bits; /* 8 or 16 */
	bool shared_group;   /* one group serves routes of both families */
	bool v4_over_v6;     /* IPv4 routes over IPv6 next hops */
	bool atomic_group_replace;
	bool acknowledges;             /* INSTALLED is proof, not hope */
	bool carrier_deletes_nexthops; /* loss of carrier deletes next hops, shrinks groups, deletes emptied ones and
					  their routes */
	uint32_t batch;                /* best number of operations per submit */
	/*
	 * A group that is set with one member now outlives it: when that goes (with its carrier, or deleted), the group
	 * and its routes stay, and drop packets until the group is set again. Of each group its result tells.
	 */
	bool group_outlives;
	/*
	 * From so many IPv6 routes on a group of several next hops it is worth while that these are of its own: a change of
	 * such a group visits each of its routes, and the deletion of a next hop, which takes it out of its groups, visits
	 * none. 0: never; not 0 only where carrier_deletes_nexthops.
	 */
	uint32_t own_nexthops;
};

/* ---- operations ---- */

enum plat_kind { PLAT_NH_SET, PLAT_NH_DEL, PLAT_GROUP_SET, PLAT_GROUP_DEL, PLAT_ROUTE_SET, PLAT_ROUTE_DEL };
enum plat_route_type { PLAT_UNICAST, PLAT_UNREACHABLE, PLAT_BLACKHOLE };

struct plat_member {
	uint32_t nh;     /* id of a next hop */
	uint16_t weight; /* 1.. */
};

struct plat_route {
	uint32_t table; /* 0: the main table */
	struct prefix prefix;
	uint8_t type;     /* enum plat_route_type */
	bool group_is_nh; /* `group` is the id of a single next hop */
	uint32_t group;   /* PLAT_UNICAST */
	uint32_t metric;  /* part of the route's identity, as in the kernel */
	struct ip source; /* preferred source; zero: none */
};

struct plat_op {
	enum plat_kind kind;
	uint32_t id; /* of the next hop or group */
	union {
		struct {
			uint32_t ifindex;
			struct ip gateway; /* zero: directly connected */
		} nh;
		struct {
			const struct plat_member *members; /* valid until submit() returns */
			size_t n;                          /* dumped: 0 when it has outlived its members */
			/*
			 * Set: it shall outlive its members though it has several now, where one that is alone would be
			 * outlived anyhow. Weights may be multiplied by one number for that. Dumped: see plat_result.
			 */
			bool outlives;
		} group;
		struct plat_route route;
	};
	/*
	 * A set of something that the caller believes is not there. When an object of another owner stands in its place
	 * (same id; same prefix, table and metric) the operation fails with -EEXIST, and that object stays as it was.
	 */
	bool only_new;
	uint64_t cookie; /* given back with the result */
};

enum plat_outcome {
	PLAT_INSTALLED,  /* proved by the forwarding plane */
	PLAT_FAILED,     /* refused: see error; the state is as before the operation */
	PLAT_WAITS_LINK, /* refused since the port has no carrier; to be repeated when it has */
	PLAT_TABLE_FULL, /* routes, groups or members are used up */
	PLAT_TRANSIENT,  /* repeat later */
};

struct plat_result {
	uint64_t cookie;
	enum plat_outcome outcome;
	int error;          /* -errno, 0 when installed */
	const char *detail; /* the forwarding plane's own words (extack), or NULL; valid during the call */
	bool outlives;      /* PLAT_GROUP_SET, installed: the group stays when its last member goes */
};

/* ---- ports ---- */

struct plat_port {
	char name[PLATFORM_PORT_NAME];
	uint32_t ifindex;
	uint8_t mac[6];
	bool admin_up, carrier;
	uint32_t mtu, max_mtu;
	uint64_t speed_bps;   /* 0: unknown */
	struct ip link_local; /* usable link-local address, zero: none yet */
	bool gone;            /* the port was removed */
};

struct plat_port_config {
	bool fabric; /* accept_dad=0, accept_ra=0, autoconf=0 before link up */
	bool up;
	uint32_t mtu;                    /* 0: leave; else the lesser of it and the port's largest */
	char bridge[PLATFORM_PORT_NAME]; /* enslave to this bridge, "" none */
};

struct plat_system_config {
	uint64_t hash_seed; /* never 0 */
	bool kernel_compat; /* nexthop_compat_mode=1 */
	uint32_t table;
};

/* ---- what the backend tells; all from the loop ---- */

struct platform_client {
	/*
	 * New, changed or gone. A loss of carrier is told even when the carrier is back by then: as two events, since
	 * the forwarding plane may have dropped what was on the port.
	 */
	void (*port)(void *arg, const struct plat_port *);
	void (*results)(void *arg, const struct plat_result *, size_t n);
	/* Something of ours was changed by another hand, or messages were lost (ENOBUFS): audit. */
	void (*desync)(void *arg, const char *why);
	/*
	 * Exactly this object of ours was removed or replaced by another hand: put it back. `what` is the deletion
	 * (PLAT_NH_DEL, PLAT_GROUP_DEL, PLAT_ROUTE_DEL). May be NULL: then desync() is called instead.
	 */
	void (*lost)(void *arg, const struct plat_op *what, const char *why);
	/* A sentence for the operator: what could not be set, and what to do. */
	void (*problem)(void *arg, const char *text);
};

/* What is installed, item by item; only objects of our own. Foreign objects that stand in the way come with foreign
 * set. */
struct plat_dumped {
	enum plat_kind kind; /* PLAT_NH_SET, PLAT_GROUP_SET or PLAT_ROUTE_SET */
	bool foreign;
	struct plat_op op;
};
typedef void plat_dump_fn(void *arg, const struct plat_dumped *);

struct platform;

struct platform_ops {
	const char *name; /* "linux", "model", "null" */
	void (*close)(struct platform *);

	int (*system_setup)(struct platform *, const struct plat_system_config *);
	int (*port_setup)(
	    struct platform *, const char *name, const struct plat_port_config *); /* -ENODEV: no such port */
	int (*address_set)(struct platform *, const char *port, const struct ip *, uint8_t len, bool present);
	int (*bridge_setup)(struct platform *, const char *name, bool create); /* creates it and brings it up */

	/*
	 * Hands over operations; results follow by client->results. Takes at least one when it returns > 0; 0: its
	 * queue is full, try again after results. The order of operations of a series is kept, within and across calls.
	 */
	size_t (*submit)(struct platform *, const struct plat_op *, size_t n);
	/* Walks what is installed now, next hops, groups, routes in this order. -errno when it could not be read whole;
	 * -ENOTSUP: this forwarding plane cannot be read back at all. */
	int (*dump)(struct platform *, plat_dump_fn *, void *arg);
	/*
	 * The same in pieces of at most some 2 ms: begin, then step until it returns 0 (ended) or -errno (not read
	 * whole, begin again); 1: more to come. One at a time; begin() drops an unfinished one. NULL: only dump()
	 * exists.
	 */
	int (*dump_begin)(struct platform *);
	int (*dump_step)(struct platform *, plat_dump_fn *, void *arg);
	/*
	 * A long series of route operations begins (true) or has ended (false): a hint. NULL: it makes no difference.
	 */
	void (*bulk)(struct platform *, bool on);
	/* What it counts itself, for people; valid as long as it. NULL: nothing. */
	void (*counters)(const struct platform *, struct counters *out);
};

/* Implementations embed this as their first member. */
struct platform {
	const struct platform_ops *ops;
	const struct platform_client *client;
	void *client_arg;
	struct platform_caps caps;
};

#endif
