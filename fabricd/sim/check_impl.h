/* fabricd/sim/check_impl.h -- what the files of the checks share: check.c (at every event), quiet.c (when quiet) */
#ifndef FABRICD_SIM_CHECK_IMPL_H
#define FABRICD_SIM_CHECK_IMPL_H

#include "fabricd/sim/bound.h"
#include "fabricd/sim/check.h"

/* A node or an end of a link: does it work, is it counted on. */
struct check_part {
	bool works, sure;
	bool passes;          /* as works, if nobody were slow */
	unsigned int strikes; /* how often it ceased to work lately */
	int64_t away_us;      /* how long it did not, the last time */
	struct mono since;    /* it works, or does not */
};

/* What the last comparison knew of a node's RIB. */
struct check_rib {
	const struct rib *rib;    /* NULL: not compared yet */
	uint64_t work;            /* it had done */
	bool moved;               /* its packets go elsewhere since then */
	uint32_t *dest[FAMILIES]; /* by entry of its table: the destination */
	size_t n[FAMILIES];
};

#define CHECK_LISTS 1024 /* places of the cache of path lists */

/* What a node held when it was empty, by kind of memory. */
struct check_empty {
	struct mono started; /* of the node; 0: it was not empty yet */
	uint64_t blocks[MEM_KINDS];
};

struct check_doubt {
	size_t dest;
	uint32_t node;
	struct mono since;
};

/* The last segment of BGP that came from a port. */
struct check_heard {
	struct mono at;
	uint64_t conn;
	bool established; /* at who sent it */
};

/* One switch that is being upgraded, or was a moment ago; see upgraded.c. */
struct check_upgrade {
	uint32_t node;
	struct mono began, ended; /* ended 0: not yet */
	struct mono look_at;
	bool calm, compared;
	uint64_t changes;      /* of where packets go */
	uint64_t ops, updates; /* of its forwarding plane; that its neighbours had from it */
	struct mono *since;    /* of its sessions, in order; 0: not Established, or not to be counted on */
	size_t nsince;
};

struct check {
	struct world *w;
	const struct topo *t;
	struct check_config cfg;
	struct flow *flow;
	struct oracle oracle;
	size_t n, words;
	uint64_t *scratch;
	struct check_part *nodes, *ends; /* ends: [link x 2], lower and upper */
	bool *node_sure, *end_sure;
	struct check_part *outs;   /* by external session of the file: the link to the router outside */
	struct mono *slow_until;   /* by node */
	struct mono *lies;         /* by node: its forwarding plane is not to be trusted before */
	struct mono *unsafe;       /* by link: not counted on before */
	struct mono tidy;          /* by then what faults left in forwarding planes has been found */
	int64_t slow_us;           /* how long a slow node may hold up others */
	struct mono *frozen_until; /* by node: it reads nothing */
	bool any_frozen;           /* just now */
	struct mono last_fault;    /* any of them began or ended */
	struct check_upgrade *upgrades;
	size_t nupgrades, cap_upgrades;
	struct mono next_sure;     /* when something that works is counted on next */
	struct check_heard *heard; /* [node][port] */
	size_t width;              /* of its rows */
	struct mono *touched;      /* by link: a fault began or ended there */
	sim_tap_fn *tap;
	void *tap_arg;
	bool light;
	uint8_t *moved;             /* [dest][node]: packets went elsewhere since light was set */
	uint64_t *concerned;        /* scratch: a set of nodes */
	struct oracle_paths *paths; /* by owner */
	struct mono *bad_since;     /* [dest][node]; 0: not bad */
	size_t nbad;
	struct mono began;
	struct bound *bound;
	struct mono soonest;  /* nobody who is lost may be so for longer before this */
	struct mono deadline; /* by then all consequences of all faults are over */
	struct check_doubt *doubts;
	size_t ndoubts, cap_doubts;
	struct check_rib *ribs; /* by node */
	struct check_empty *empty;
	const struct path_list **lists;
	uint64_t *list_ports; /* [CHECK_LISTS][words] */
	bool *seen;           /* by destination */
	struct check_violation violation;
	struct check_stats stats;
};

struct mono check_now(const struct check *);
/* Reads anew what works, without any leave to be lost. */
void check_look(struct check *);
/* keepalive.c */
void check_heard_init(struct check *);
void check_heard_done(struct check *);
/* upgraded.c */
void check_upgrades_look(struct check *);
struct mono check_upgrades_next(const struct check *); /* when that is due */
void check_upgrades_done(struct check *);
void check_fail(struct check *, enum check_kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
