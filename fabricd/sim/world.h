/*
 * fabricd/sim/world.h -- a whole fabric of real nodes in one process: the file's switches, cabled as it says
 *
 * Each switch is the code that runs on a switch (struct node), on runtime/sim and platform/model. Its first host port
 * has carrier, as if a host were attached. Flows are walked through the modelled forwarding planes, so that what
 * counts is where packets go, not what the RIBs believe.
 */
#ifndef FABRICD_SIM_WORLD_H
#define FABRICD_SIM_WORLD_H

#include "fabricd/node.h"
#include "fabricd/runtime/sim/sim.h"
#include "platform/model/model.h"

struct world;

#define WORLD_LOOKS      5
#define WORLD_LATENCY_US 10 /* of a link, unless the configuration says otherwise */

struct world_node {
	struct world *world;
	const struct topo *file; /* that the node is given */
	const struct topo_node *topo;
	struct runtime *rt;
	struct platform *platform;
	struct bfd_client *bfd;
	struct node *node; /* NULL: not running, or of another vendor */
	struct mem mem;
	struct world_late *late;         /* ports whose carrier it is told late */
	struct world_takeover *takeover; /* while it is being upgraded */
	struct sim_alarm *lingers;       /* while it ends, by its own will */
};

struct world_config {
	const struct topo *topo; /* must outlive the world */
	uint64_t seed;
	int64_t latency_us;        /* of each link; 0: 10 us */
	bool bfd;                  /* an engine in each node; else silent loss ends by hold time */
	int64_t cpu_us;            /* CPU time of each callback of a node; WORLD_LOOKS times as much between two looks
				      at the clock, some 256 prefixes; 0: none */
	bool outside;              /* a router at the other end of each external port; see outside.h */
	uint32_t feed;             /* prefixes that each of these announces beside a default route */
	struct model_config model; /* of each forwarding plane; group_outlives: else drawn from the seed */
	journal_fn *log;           /* every event of every node; arg is the struct world_node */
	void *log_arg;             /* for who logs: world_config() gives it back */
};

/*
 * Somebody who looks on. fib: the forwarding of a prefix (NULL: of any) may have changed at a node; wire: what a port
 * leads to, or whether it passes packets, may have changed; both are called from inside the change, to be noted only.
 * after: an event in which one of them was called has ended.
 */
struct world_observer {
	void (*fib)(void *arg, struct world_node *, const struct prefix *);
	void (*wire)(void *arg, struct world_node *, uint32_t ifindex);
	void (*after)(void *arg);
};
void world_observe(struct world *, const struct world_observer *, void *arg); /* NULL: nobody */

/* All nodes boot at time 0. NULL with a sentence in err when a node cannot be made. */
struct world *world_new(const struct world_config *, char *err, size_t errlen);
void world_free(struct world *);

struct sim_net *world_net(struct world *);
const struct topo *world_topo(const struct world *);
const struct world_config *world_config(const struct world *);
struct world_node *world_node_find(struct world *, const char *name);
struct world_node *world_node_at(struct world *, uint32_t index); /* as in topo.nodes */

/* The routers outside; n of them. */
struct world_node *world_outside(struct world *, size_t *n);
/* Cuts or heals the links to all of them. */
void world_outside_set(struct world *, bool up);

/* The ifindex that the port of a node has in this world; 0: no such port. */
uint32_t world_ifindex(const struct world_node *, const char *port);

/* -ENOENT: no such node, port or link. */
int world_link_set(struct world *, const char *node, const char *port, bool up);
/* Exchanges the far ends of two ports, as a quick hand with two cables does: all ends lose carrier for a moment. */
int world_swap(struct world *, const char *node_a, const char *port_a, const char *node_b, const char *port_b);
/* Loses in silence what a port sends (one way); carrier stays. */
int world_black(struct world *, const char *node, const char *port, bool black);
/* Loses and doubles so many packets of a million that a port sends; segments of streams come later instead. */
int world_lossy(struct world *, const char *node, const char *port, uint32_t ppm);
/* From now on the switch is told so late what became of the carrier of a port, though that is so at once. */
int world_late(struct world *, const char *node, const char *port, int64_t us);
void world_crash(struct world_node *, enum sim_crash);
int world_boot(struct world_node *, char *err, size_t errlen);

/* As SIGTERM does it: the sessions are ended, and the process a moment later. */
#define WORLD_LINGER_US MS(200)
void world_stop(struct world_node *);

/* ---- upgrades ---- */

struct snapshot;
/* Called with the snapshot on its way; it may write to its bytes and shorten it. */
typedef void world_spoil_fn(void *arg, struct snapshot *);
/*
 * It has come to its end: e 0, the new one is in charge; else the old one goes on, and why is a sentence. -EBUSY: it was
 * never begun, something was in the way; -ECANCELED: the old one ended; -ECONNABORTED: after the point of no return.
 */
typedef void world_upgraded_fn(void *arg, struct world_node *, int e, const char *why);

struct world_upgrade_config {
	int64_t slow_us; /* so much longer the new one takes to be there */
	world_spoil_fn *spoil;
	world_upgraded_fn *done;
	void *arg;
};

#define WORLD_UPGRADE_US SECONDS(5) /* the longest that it takes */

/*
 * The switch's fabricd gives way to another one, as `fabctl upgrade` does it: the new one gets a snapshot, agrees with it, and
 * takes the connections over, while the world goes on. -EBUSY: it does not run, or is being upgraded or ended.
 */
int world_upgrade_begin(struct world_node *, const struct world_upgrade_config *);
/* Whether the old one reads nothing just now. */
bool world_upgrade_frozen(const struct world_node *);
/* Ends one that is under way; thaw: the old one goes on. */
void world_upgrade_cancel(struct world_node *, bool thaw);
/* All of it at once; spoil NULL: nothing happens to the snapshot. 0; or -errno with a sentence in err: the old one goes on. */
int world_upgrade(struct world_node *, world_spoil_fn *spoil, void *arg, char *err, size_t errlen);
/* As world_boot() makes it. */
struct node_config world_node_config(struct world_node *);

/* Runs until no node has anything to do but its timers, for `calm_us`; false: not by `limit`. */
bool world_settle(struct world *, int64_t calm_us, struct mono limit);
void world_run(struct world *, int64_t us);
void world_run_until(struct world *, struct mono until);
/* Whether no node has anything to do; *last becomes the time of the last change of any (at least what it was). */
bool world_quiet(const struct world *, struct mono *last);

/* ---- packets ---- */

enum world_fate { WORLD_ARRIVED, WORLD_NO_ROUTE, WORLD_UNREACHABLE, WORLD_DARK, WORLD_LOOP, WORLD_LEFT, WORLD_FATES };
const char *world_fate_name(enum world_fate);

#define WORLD_HOPS 32

struct world_walk {
	enum world_fate fate;
	size_t nhops;              /* switches passed, the first among them */
	uint32_t hops[WORLD_HOPS]; /* index of nodes */
	bool valley;               /* it went up again after having gone down */
};

/* One packet of a flow (any hash of its five-tuple) from a switch to an address. */
enum world_fate world_walk(struct world *, uint32_t from, const struct ip *dst, uint64_t flow, struct world_walk *);

/* The switch and the ifindex at the other end of a port whose packets arrive there; TOPO_NONE: nowhere. */
uint32_t world_far(struct world *, const struct world_node *, uint32_t ifindex, uint32_t *far_ifindex);

/* Where a packet on this hop arrives: nowhere, too, when nobody at the other end has the gateway's address. */
uint32_t world_next(struct world *, const struct world_node *, const struct model_hop *);

/* Calls fn for every equal path that flows from a switch to an address may take. Returns how many. */
typedef void world_walk_fn(void *arg, const struct world_walk *);
size_t world_walk_all(struct world *, uint32_t from, const struct ip *dst, world_walk_fn *, void *arg);

#endif
