/*
 * platform/sync_internal.h -- what the files of sync share: the shadow of the forwarding plane
 *
 *   RIB's group ---> struct group ---(pg)---> struct pgroup (an object of the forwarding plane, has an id)
 *                        ^                         ^
 *                    want|                         |have
 *                        +------ struct sroute ----+           one per (table, prefix, cover or not)
 *
 * `want` is what the RIB says; `have` is what the forwarding plane has proved. They differ in kind so that a vanished
 * object costs nothing per route: when carrier loss empties a group, its pgroup is dead, and every route on it is by
 * that not installed; when the group comes back it gets a new pgroup, and a sweep finds the routes to send again. A
 * pgroup that outlives its members is hollow instead, and keeps its routes: whoever fills it within HOLLOW_US, be it the
 * RIB with other next hops or a port that is back, does so by one message. Else it is let go, and its routes leave.
 *
 * Always true:
 * - at most one operation is in flight per object; what changes meanwhile waits in `dirty`, so the latest wins and
 *   every queue is bounded by the number of objects;
 * - a pgroup is deleted only when no route has it and none is in flight to it; a next hop only when no pgroup, wanted
 *   or installed or in flight, uses it. So deletes need no ordering of their own;
 * - operations of a lane leave in the order in which they were put into its batch; results come back in that order.
 * - a next hop has one object that all groups share; a group with many IPv6 routes has one of its own for each of its
 *   next hops beside it (sync_own.c), which only this group refers to. Wanted members are always shared ones.
 */
#ifndef PLATFORM_SYNC_INTERNAL_H
#define PLATFORM_SYNC_INTERNAL_H

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "platform/sync.h"

#define SYNC_BATCH      128        /* operations handed over at once */
#define SYNC_RING       2048       /* operations in flight, a power of two */
#define SYNC_SLICE      512        /* routes looked at or repeated in one slice of work */
#define SEND_US         1500       /* a slice of sending */
#define SYNC_IDS        (1u << 20) /* size of our range of ids */
#define SYNC_OWN_IDS    (1u << 19) /* its upper part is for next hops of one group */
#define SYNC_ERRORS     255        /* different (error, detail) pairs that are kept */

#define BULK_US         MS(500) /* a window in which route messages are counted */
#define BULK_MANY       4096    /* so many in it are a bulk load */

#define RETRY_MIN_US    MS(100)
#define RETRY_MAX_US    SECONDS(30)
#define RETRY_DOUBLINGS 9       /* from the least pause beyond the longest */
#define AUDIT_GAP_US    MS(300) /* audits asked for by trouble are at least this far apart */
#define HOLLOW_US       MS(500) /* after which a group that nothing fills gives its routes up */

/* Values of sroute.want and .have beside 0 (nothing) and handles of groups (want) or pgroups (have). */
#define ROUTE_UNREACHABLE 0xfffffff0u
#define ROUTE_BLACKHOLE   0xfffffff1u
#define ROUTE_OTHER       0xfffffff2u /* have: something of ours that no object of the shadow stands for */
#define ROUTE_SPECIAL(v)  ((v) >= ROUTE_UNREACHABLE)

enum route_flag {
	R_COVER = 1,    /* part of the key: the cover route of this prefix */
	R_DIRTY = 2,    /* on the dirty queue */
	R_FLIGHT = 4,   /* an operation is under way */
	R_RETRY = 8,    /* refused; a retry sweep takes it up again */
	R_SEEN = 16,    /* equals sync.parity: seen or touched since the audit began */
	R_ADOPTED = 32, /* found at start, not yet wanted: stays until the sweep */
	R_WAITS = 64,   /* its group has no member in the forwarding plane; told as SYNC_WAITS_LINK */
	R_FIRST = 128,  /* another hand took it away: on the queue of repairs; with R_FLIGHT: will be when that ends */
};

/* 16 bytes and the address: 20 for IPv4, 32 for IPv6. */
struct sroute {
	uint32_t want, have;
	uint32_t next; /* on one of the queues, or the list of free entries; 0: last */
	uint8_t len;
	uint8_t table; /* index into sync.tables */
	uint8_t flags;
	uint8_t err; /* index into sync.errors, 0: none */
	uint8_t addr[];
};

/* Slabs that never move, and 256 small hash tables of indices, so that growth is never a long pause. */
#define SLAB  512
#define PARTS 256
struct route_part {
	struct route_slot {
		uint32_t hash, index; /* index of a route, 0: empty */
	} * slots;
	uint32_t size, used; /* size: a power of two, or 0 */
};
struct route_table {
	uint8_t family;
	uint32_t stride;
	uint8_t **slabs;
	size_t slabs_cap;
	uint32_t n_slabs, top; /* top: entries ever taken; indices are 1..top */
	uint32_t free, live;
	struct route_part parts[PARTS];
};

struct route_queue {
	uint32_t head[FAMILIES], tail[FAMILIES], n[FAMILIES];
};

/* How often something was refused in a row, and when it is tried again: after 100 ms, then twice as long each time. */
struct backoff {
	struct mono at;
	uint8_t times; /* 0: it was not refused */
};

enum nh_state { NH_ABSENT, NH_SENT, NH_PRESENT, NH_FAILED, NH_DELETING };
struct nexthop {
	uint32_t ifindex;
	struct ip gateway;
	uint32_t id;   /* in the forwarding plane, 0: none given yet */
	uint32_t uses; /* by groups that want it, and by pgroups that have it or are in flight with it */
	struct backoff retry;
	uint8_t state;
	uint8_t err;
	bool live, queued, adopted, parity;
	bool dark;  /* its port has no carrier, or the neighbour is lost */
	bool lost;  /* the neighbour, for as long as anybody wants it, or until sync_nexthop_up() */
	bool again; /* the port went dark while an operation was in flight: the result proves nothing */
	bool own;   /* of one group; there may be a shared one, and others of other groups, for the same neighbour */
	uint32_t owner; /* own: the pgroup, 0: not known (found at start), or no more */
	uint32_t next_free;
};

struct member {
	uint32_t nh; /* index into sync.nhs */
	uint16_t weight;
};
struct members {
	struct member *m; /* sorted by nh */
	uint32_t n;
};

struct group {
	struct members want;
	uint32_t pg;      /* index + 1, 0: none yet */
	uint32_t wants;   /* routes that want it */
	uint32_t waiters; /* of these, those with R_WAITS */
	struct backoff retry;
	uint8_t err;    /* why the forwarding plane refused it, index into sync.errors */
	uint8_t replay; /* its routes are to be sent again: 1 in this sweep, 2 in the next */
	bool live, released, queued;
	bool lost;      /* an object of it vanished with routes on it */
	bool mismatch;  /* a route of it was found on another object at start: no adoption any more */
	bool told_dark; /* group_state(false) was told last */
	bool full;      /* told that it does not fit */
	uint32_t next_free;
};

enum pg_state { PG_ABSENT, PG_SENT, PG_PRESENT, PG_DEAD, PG_DELETING };
struct pgroup {
	uint32_t id;
	uint32_t group; /* handle of its owner, 0: none (adopted and not wanted, or left behind) */
	struct members have, sent;
	struct members
	    own;       /* next hops of its own, for those that are wanted or were lately; weights have no meaning */
	uint32_t refs; /* routes that have it or are in flight to it */
	uint32_t right[FAMILIES]; /* routes that have it and want its owner */
	struct backoff retry;     /* of its deletion */
	uint8_t state;
	bool flight, live, queued, adopted, parity;
	bool again;           /* what is installed is not known exactly: send it whatever it was */
	bool taken;           /* over at start: routes may be on it that nobody has asked for yet */
	bool outlives;        /* it stays when its last member goes */
	bool private;         /* it is to have next hops of its own, from now on */
	bool weak;            /* it has one member and does not outlive it, but would if it were set again */
	bool hollow;          /* it has outlived its members: its routes drop packets, and do not count as installed */
	struct backoff empty; /* hollow: when its routes are given up */
	uint32_t next_free;
};

enum flight_kind { F_NH, F_NH_DEL, F_GROUP, F_GROUP_DEL, F_ROUTE, F_EXTRA };
struct flight {
	uint8_t kind, family;
	uint32_t index;
	uint32_t sent; /* F_ROUTE: the have that success will give */
};

struct sync_error {
	int error;
	char *detail;
};

struct id_slot { /* ids in use: 0 free */
	uint32_t id;
	uint32_t what; /* kind in the top two bits, index below */
};
#define ID_NH      (1u << 30)
#define ID_PG      (2u << 30)
#define ID_FOREIGN (3u << 30)
#define ID_KIND    (3u << 30)

struct sync_port {
	uint32_t ifindex;
	bool up;
};

struct vec32 {
	uint32_t *v;
	size_t n, cap;
};

enum audit_phase { AUDIT_IDLE, AUDIT_CLEAN, AUDIT_READ, AUDIT_SWEEP };
struct audit {
	enum audit_phase phase;
	bool repair;
	sync_diff_fn *diff; /* or NULL */
	void *arg;
	int differences;
	uint64_t walk; /* which one it is, from 1 */
	unsigned int attempts;
	unsigned int broken_off; /* walks since the last that ended, by new trouble */
	uint32_t at[FAMILIES];   /* the sweep for what was not seen */
};

/* A check that somebody asked for: what it found is told at its end, since a walk may have to begin again. */
struct check {
	uint64_t walk; /* 0: none */
	bool ended;
	struct mono stamp; /* when it was asked on; one that nobody asks on is given up */
	struct finding {
		char *what, *text;
		struct prefix prefix;
		bool has_prefix;
	} * found;
	size_t n, cap, told;
	int differences;
};

/*
 * Operations on next hops and groups, and those on routes, leave and come back each in an order of their own: so a
 * group change waits for no route. Nothing may depend on the order between the two.
 */
enum { LANE_OBJECTS, LANE_ROUTES, LANES };
#define LANE_SHIFT 63 /* of the cookie: the lane; below it, the place in its order */
struct lane {
	struct plat_op batch[SYNC_BATCH]; /* not yet handed over */
	size_t n;
	struct flight ring[SYNC_RING];
	uint64_t head, tail;
};

struct sync {
	struct platform *platform;
	struct sync_config cfg;
	const struct sync_client *client;
	void *arg;
	const struct platform_client *outer; /* the client that was there before */
	void *outer_arg;

	struct route_table routes[FAMILIES];
	struct route_queue dirty;
	struct vec32 first[FAMILIES]; /* repairs: they leave before all that is dirty */
	uint32_t later[FAMILIES];     /* see routes_push() */
	uint32_t refused[FAMILIES];   /* routes with R_RETRY */
	uint32_t *tables;
	size_t n_tables, tables_cap;

	struct nexthop *nhs;
	size_t n_nhs, nhs_cap;
	uint32_t free_nh;
	struct group *groups;
	size_t n_groups, groups_cap;
	uint32_t free_group;
	struct pgroup *pgs;
	size_t n_pgs, pgs_cap;
	uint32_t free_pg;
	uint32_t *nh_slots; /* hash of (ifindex, gateway): index + 1 */
	size_t nh_slots_size, nh_slots_used;
	struct id_slot *ids;
	size_t ids_size, ids_used;
	uint32_t next_id, next_own_id;
	uint32_t n_private; /* pgroups that are */
	struct sync_port *ports;
	size_t n_ports, ports_cap;
	struct plat_op *extras; /* ours, found, and wanted by nobody: deletions that wait for the sweep */
	size_t n_extras, extras_cap;

	struct vec32 nh_queue, group_queue, pg_queue; /* what may need an operation */

	struct rt_work *urgent, *normal;
	struct rt_timer *retry_timer, *audit_timer;
	struct mono retry_next; /* when the timer goes off; MONO_NEVER: it is not set */
	struct backoff retry;   /* of routes, all together */
	bool progress;          /* a route succeeded since the last retry */
	bool retrying;
	uint32_t retry_at[FAMILIES]; /* where the sweep for refused routes stands; goes on there the next time */
	size_t retry_budget;
	uint32_t replay_at[FAMILIES]; /* where the sweep for returned groups stands */
	bool replaying;

	struct rt_timer *bulk_timer;
	struct mono bulk_at; /* when the window began */
	uint64_t bulk_from;  /* stats.route_messages then */
	bool bulk;           /* the platform knows that a long series is under way */

	bool started, swept, stopped;
	bool held; /* stopped for a while, by sync_hold() */
	bool parity;
	bool marks_mixed; /* a walk did not come to its end: its marks are to be taken off before the next */
	uint64_t walks;
	struct audit audit;
	struct check check;
	bool audit_wanted;
	struct mono audit_after;

	struct sync_error errors[SYNC_ERRORS + 1];
	struct sync_stats stats; /* the counters; what can be computed is computed in sync_stats() */

	struct lane lanes[LANES]; /* last: their batches and rings are large, and written before they are read */
};

/* ---- sync_hold.c ---- */

/* Routes that wait to be sent while all is held, and are on another object with the members that they want. */
uint64_t sync_alike(const struct sync *);

/* ---- sync_table.c: routes by prefix, in slabs ---- */

void table_init(struct route_table *, enum family);
void table_free(struct sync *, struct route_table *);
static inline struct sroute *
table_at(const struct route_table *t, uint32_t index)
{
	uint32_t i = index - 1;

	return (struct sroute *)(void *)(t->slabs[i / SLAB] + (size_t)(i % SLAB) * t->stride);
}
/* Index of the route, 0: none. */
uint32_t table_find(const struct sync *, const struct route_table *, uint8_t table, const struct prefix *, bool cover);
uint32_t table_add(struct sync *, struct route_table *, uint8_t table, const struct prefix *, bool cover);
uint32_t table_get(struct sync *, struct route_table *, uint8_t table, const struct prefix *, bool cover); /* or adds */
void table_remove(struct sync *, struct route_table *, uint32_t index);
struct prefix route_prefix(const struct route_table *, const struct sroute *);
/* Brings what a look-up of these prefixes, of one family, will touch into the cache: worth it for a dozen or more. */
#define TABLE_PREFETCH 32
void table_prefetch(const struct sync *, const struct route_table *, uint8_t table, const struct prefix *, size_t n);

static inline bool
route_live(const struct sroute *r)
{
	return r->want || r->have || r->flags & (R_DIRTY | R_FLIGHT | R_FIRST);
}

/* The queue of dirty routes. */
void queue_push(struct sync *, enum family, uint32_t index);
uint32_t queue_pop(struct sync *, enum family); /* 0: empty */

/* ---- sync_group.c: next hops, groups and their objects; handles and pgroups count from 1, next hops from 0 ---- */

static inline struct group *
group_at(const struct sync *s, uint32_t handle)
{
	return &s->groups[handle - 1];
}

static inline struct pgroup *
pg_at(const struct sync *s, uint32_t pg)
{
	return &s->pgs[pg - 1];
}

bool nh_find(const struct sync *, uint32_t ifindex, const struct ip *gateway, uint32_t *out);
uint32_t nh_get(struct sync *, uint32_t ifindex, const struct ip *gateway); /* made when it is new */
void nh_use(struct sync *, uint32_t nh, int by);
void nh_queue(struct sync *, uint32_t nh);
void group_queue(struct sync *, uint32_t handle);
void pg_queue(struct sync *, uint32_t pg);
void pg_ref(struct sync *, uint32_t pg, int by);
uint32_t pg_new(struct sync *, uint32_t id);
void pg_dead(struct sync *, uint32_t pg);    /* it is not in the forwarding plane any more, nor are its routes */
void pg_emptied(struct sync *, uint32_t pg); /* its last member is gone */
void pg_set_have(struct sync *, struct pgroup *, struct members *); /* takes the members over */
void pg_bind(struct sync *, uint32_t handle, uint32_t pg);
bool group_ready(const struct sync *, const struct group *); /* routes may be sent to it */
bool group_dark(const struct sync *, const struct group *);  /* none of its next hops can be used */
bool members_equal(const struct members *, const struct members *);
/* The same, as far as can be read back: proportions are all that counts. */
bool members_proportional(const struct members *, const struct members *);
/* The same for packets: equal next hops, shared or not, in the same proportions. */
bool members_alike(const struct sync *, const struct members *, const struct members *);
bool members_have(const struct members *, uint32_t nh);
/* Takes out the members on a dark port, or of these the next hop `only`; returns whether there was any. */
#define NH_ALL UINT32_MAX
bool members_prune(struct sync *, struct members *, uint32_t ifindex, uint32_t only);
bool members_add(struct sync *, struct members *, uint32_t nh, uint16_t weight); /* keeps the order; merges */
void members_free(struct sync *, struct members *);
bool urgent_push(struct sync *); /* operations of next hops and groups; false: the platform is full */
void nh_result(struct sync *, const struct flight *, const struct plat_result *);
void group_result(struct sync *, const struct flight *, const struct plat_result *);
void objects_retry(struct sync *);

/* ---- sync_own.c: next hops of one group ---- */

bool nh_same(const struct sync *, uint32_t a, uint32_t b); /* of the same neighbour */
/* What stands for this wanted next hop in the messages of the group: its own, or the shared one. */
uint32_t own_or_shared(const struct sync *, const struct group *, uint32_t nh);
void own_update(
    struct sync *, uint32_t handle); /* the group gets those that it needs, and loses those that it does not */
/* The object has what is wanted and more: those leave that are not, if these are its own. False: nothing was done. */
bool own_narrow(struct sync *, uint32_t handle, const struct members *);
void own_release_all(struct sync *, uint32_t pg);
bool own_found(struct sync *, uint32_t pg, const struct members *); /* at start; false: they are another's */
void own_refused(struct sync *, uint32_t nh);                       /* its deletion: it is still in its group */

/* ---- sync_id.c: which ids of the forwarding plane are in use ---- */

struct id_slot *id_find(const struct sync *, uint32_t id);
void id_set(struct sync *, uint32_t id, uint32_t what);
void id_drop(struct sync *, uint32_t id);
uint32_t id_new(struct sync *, uint32_t what);
uint32_t id_new_own(struct sync *, uint32_t what); /* for a next hop of one group */
bool id_is_own(const struct sync *, uint32_t id);
uint32_t nh_new_own(struct sync *, uint32_t ifindex, const struct ip *gateway, uint32_t owner);
void nh_forget(struct sync *, uint32_t nh); /* nothing uses it, and it is not in the forwarding plane */

/* ---- sync_route.c: what routes want and have ---- */

/* Puts it on the dirty queue if it needs an operation or is to be told; removes the entry when nothing is left of it. */
void route_touch(struct sync *, enum family, uint32_t index);
/* Another hand took away what it had, or so it seems: it is sent before all that is dirty. */
void route_taken(struct sync *, enum family, uint32_t index);
void route_set_have(struct sync *, enum family, uint32_t index, uint32_t have);
bool route_is_right(const struct sync *, const struct sroute *);
bool route_has(const struct sync *, const struct sroute *); /* something of ours is in the forwarding plane */
void route_result(struct sync *, const struct flight *, const struct plat_result *);
/* The client will be told of the flight's result: its route. */
bool route_to_tell(const struct sync *, const struct flight *, struct prefix *, uint32_t *table);
bool routes_push(struct sync *); /* one slice; whether there is more to do */
void replay_begin(struct sync *);
void replay_step(struct sync *);
void retry_begin(struct sync *);
void retry_step(struct sync *);
int table_slot(struct sync *, uint32_t table, bool make); /* -1: not there, or 256 tables are in use */

/* ---- sync_audit.c: reading what is there, comparing, repairing ---- */

int audit_whole(struct sync *, bool repair, sync_diff_fn *, void *arg); /* at once; differences or -errno */
void check_drop(struct sync *);
bool audit_step(struct sync *);                                           /* whether there is more to do */
void audit_soon(struct sync *);                                           /* at the next occasion, not too often */
void audit_lost(void *sync, const struct plat_op *what, const char *why); /* platform_client.lost */

/* ---- sync.c ---- */

bool sync_room(const struct sync *, unsigned int lane); /* whether an operation can be put into the batch */
void sync_emit(struct sync *, const struct plat_op *, const struct flight *); /* on the lane of its kind */
bool sync_flush(struct sync *); /* false: the platform took none or not all */
void sync_wake(struct sync *, bool urgent);
void sync_refused(struct sync *, struct backoff *); /* again after a pause, longer than the last */
void sync_retry_at(struct sync *, const struct backoff *);
bool sync_retry_due(const struct sync *, const struct backoff *); /* also when it was not refused */
uint8_t sync_error_slot(struct sync *, int error, const char *detail);
void sync_event(struct sync *, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);
void vec32_push(struct sync *, struct vec32 *, uint32_t);

static inline enum family
ip_family(const struct prefix *p)
{
	return (enum family)p->family;
}

#endif
