/* platform/model/impl.h -- what the files of the model share: model.c (contract), table.c (objects), lookup.c */
#ifndef PLATFORM_MODEL_IMPL_H
#define PLATFORM_MODEL_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/lib/wire.h"
#include "platform/model/model.h"

struct model_group;

/* Objects are kept in hash tables of chains; each begins with this. */
struct model_node {
	struct model_node *next;
	uint64_t hash;
};

struct model_table {
	struct model_node **buckets;
	size_t n, nbuckets; /* nbuckets: a power of two, or 0 */
	uint32_t epoch;     /* grows when chains are built anew: a walk by buckets must begin again */
};

struct model_route {
	struct model_node node;
	struct plat_route r;
	bool foreign;
	struct model_route **user_prev, *user_next; /* of the next hop or group it is on */
};

struct model_nh {
	struct model_node node;
	uint32_t id, ifindex;
	struct ip gateway;
	size_t groups; /* memberships */
	struct model_route *users;
};

struct model_group {
	struct model_node node;
	uint32_t id;
	struct plat_member *members;
	size_t n; /* 0: it has outlived its member, and drops packets */
	bool outlives;
	struct model_route *users;
};

struct model_address {
	struct ip addr;
	uint8_t len;
};

struct model_port {
	struct plat_port p;
	char bridge[PLATFORM_PORT_NAME];
	bool is_bridge, wire; /* wire: what the glue says of the carrier */
	bool dirty;           /* the client is to be told */
	bool lost;            /* it lost carrier since it was told: to be told first, even when it is back */
	bool admin_dirty;     /* the glue is to be told */
	struct model_address *addresses;
	size_t naddresses, cap;
	struct model_port *next;
};

/* Who uses the forwarding plane: one, but for the moments in which one fabricd gives way to another. */
struct model_client {
	struct platform base;
	struct model *m;
	struct model_client *next;
	bool closed; /* to be freed when no callback runs */
	int dump_stage;
	size_t dump_bucket;
	uint32_t dump_epoch;
};

struct model_queued {
	struct plat_op op;
	struct model_client *from;   /* who gets the result; NULL: nobody */
	struct plat_member *members; /* a copy; NULL: none */
	struct mono due;
};

struct model {
	struct model_client *clients;
	struct runtime *rt;
	struct mem *mem;
	struct model_config cfg;
	uint64_t seed, hash_seed;

	struct model_table nexthops, groups, routes;
	size_t by_len[FAMILIES][129]; /* routes of each length, in all tables */
	size_t by_family[FAMILIES], members;
	struct model_port *ports;
	uint32_t bridge_ifindex;

	struct model_queued *queue; /* ring of qcap, as large as it had to be since it was empty; NULL then */
	size_t qmax, qcap, qhead, qlen;
	struct mono last_due;
	struct rt_timer *timer;
	bool hung, reset;
	struct plat_op *lost; /* to be told */
	size_t nlost, lost_cap;
	unsigned int busy;

	bool has_fault;
	struct model_fault fault;
	uint64_t fault_seen, fault_hits;
	model_admin_fn *admin_fn;
	void *admin_arg;
	model_watch_fn *watch_fn;
	void *watch_arg;

	struct model_hop *hops; /* of the last lookup */
	size_t hops_cap;
	struct model_stats stats;
};

static inline struct model *
model_of(const struct platform *p)
{
	return ((struct model_client *)(uintptr_t)p)->m;
}

static inline void
model_changed(const struct model *m, const struct model_route *r)
{
	if (m->watch_fn)
		m->watch_fn(m->watch_arg, r->r.table, &r->r.prefix);
}

/* table.c: what became of one operation */
struct model_answer {
	enum plat_outcome outcome;
	int error;
	const char *detail;
	bool outlives;
};
struct model_answer model_apply(struct model *, const struct plat_op *);
struct model_nh *model_nh_find(const struct model *, uint32_t id);
struct model_group *model_group_find(const struct model *, uint32_t id);
struct model_route *model_route_find(const struct model *, uint32_t table, const struct prefix *, uint32_t metric);
/* The route of this network with the least metric, or NULL. */
struct model_route *model_route_best(const struct model *, uint32_t table, const struct prefix *);
void model_nh_remove(struct model *, struct model_nh *);
void model_group_remove(struct model *, struct model_group *);
void model_route_remove(struct model *, struct model_route *);
/* What Linux does when a port loses its carrier. */
void model_port_dark(struct model *, uint32_t ifindex);
void model_table_clear(struct model *);
void model_groups_weaken(struct model *); /* what they outlive their members by is gone */
struct model_port *model_port_find(const struct model *, uint32_t ifindex);
bool model_port_lit(const struct model *, const struct model_port *);

#endif
