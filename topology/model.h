/*
 * topology/model.h -- private: the typed form of the file, as the schema walker fills it, and the plan made of it
 *
 *   struct tree --schema.c--> struct file (values typed, nothing related to each other yet)
 *               --plan.c----> struct plan (tiers resolved: levels, slots, how far numbers may grow)
 *               --check.c---> errors about numbers, pools, AS ranges
 *               --derive.c--> struct topo (nodes, ports, links)
 */
#ifndef TOPOLOGY_MODEL_H
#define TOPOLOGY_MODEL_H

#include "topology/tree.h"

#define SLOTS_MAX 4096u /* ports of one range */
#define PODS_MAX  65535u
#define NODES_MAX 100000u  /* of one fabric */
#define PORTS_MAX 2000000u /* of all nodes together */

struct list {
	void *v;
	size_t n;
};

/* The head of each struct that a map of the file fills. */
struct filled {
	const struct tree *at; /* NULL: the map is not in the file, all values are defaults */
	const char *key;       /* in maps of names: the name */
	const struct tree *key_at;
	bool bad; /* a value is missing or unreadable */
	const struct schema *of;
	uint64_t
	    unread; /* bit i: the key of row i of its schema stands there, but misspelt or with a value that cannot be read */
};

/*
 * Whether somebody wrote the key and was told already that it cannot be read: whatever only follows from its absence
 * is not to be told as an error of its own.
 */
bool filled_unread(const struct filled *, const char *key);

struct file_pool {
	struct filled is;
	struct prefix prefix;
	uint32_t len, pod_len; /* 0: not given */
};

enum asn_form { ASN_ONE, ASN_BY_NUMBER, ASN_BY_POD, ASN_BY_STEP };

struct file_asn {
	struct filled is;
	uint32_t number; /* ASN_ONE */
	uint32_t base, pod_step;
	unsigned int per; /* 1: per: pod */
	enum asn_form form;
};

enum pattern { PATTERN_UNSET, PATTERN_FULL, PATTERN_PLANE };

struct port_range {
	const struct tree *at;
	char (*names)[TOPO_NAME_MAX];
	uint32_t n;
};

struct file_up {
	struct filled is;
	const char *to;
	unsigned int pattern;
	struct port_range local, remote;
	uint32_t links;
};

struct file_host_bgp {
	struct filled is;
	uint32_t asn[2];    /* first, last */
	struct list accept; /* struct topo_prefix_rule */
	uint32_t max_prefixes;
	unsigned int send; /* enum topo_advert */
	bool bfd, reflect;
};

struct file_hosts {
	struct filled is;
	struct port_range ports;
	struct list racks; /* struct file_pool */
	struct file_host_bgp bgp;
	const char *bridge;
	bool rack_always;
	unsigned int on_isolated;
};

struct file_tier {
	struct filled is;
	const char *name;
	uint32_t count, per_pod;
	unsigned int role, vendor;
	struct file_asn asn;
	struct list loopback, router_id; /* struct file_pool */
	struct file_up up;
	struct file_hosts hosts;
};

struct file_damping {
	struct filled is;
	int64_t half_life;
	uint32_t suppress;
};

struct bfd_timer {
	uint32_t multiplier;
	int64_t interval_us;
};

struct file_timers {
	struct filled is;
	struct bfd_timer bfd;
	int64_t hold, restart;
	struct file_damping damping;
};

struct file_policy {
	struct filled is;
	uint32_t min_uplinks;
	unsigned int on_wrong_port, on_wrong_node;
	uint32_t max_load_after_drain;
};

struct file_bfd {
	struct filled is;
	bool strict, echo;
};

struct file_ecmp {
	struct filled is;
	unsigned int weights;
	bool resilient;
};

struct file_listen {
	struct filled is;
	const char *web;
	struct list bmp; /* const char * */
};

struct file_rpki {
	struct filled is;
	struct list caches; /* const char * */
};

struct file_borders {
	struct filled is;
	uint32_t min_uplinks;
};

struct file_local {
	struct ip addr;
	uint32_t len;
};

/* A session of `external`, or what a template says of many. */
struct file_external {
	struct filled is;
	const char *at, *name;
	uint32_t asn, local_as;
	bool prepend_local_as;
	struct file_local local;
	struct ip peer;
	const char *template;
	unsigned int type, in, out, rpki;
	const char *prefixes, *as_set, *auth;
	uint32_t max_prefixes, local_pref, prepend, med;
	struct list communities; /* const char * */
	bool blackhole, gtsm, bfd;
	int64_t long_lived; /* microseconds; 0: off */
	struct ip source;
	struct list originate; /* struct prefix */
};

struct file_except {
	struct filled is;
	const char *drop, *add, *why;
};

struct file_device {
	struct filled is;
	const char *serial, *mac, *model;
	unsigned int state;
};

struct file_service {
	struct filled is;
	struct prefix prefix;
	struct list owners; /* const char * */
	bool anycast;
};

struct file {
	struct filled is;
	uint32_t schema;
	const char *fabric;
	uint64_t revision;
	uint32_t public_asn;
	bool allow_public_asn;
	uint32_t pods, planes;
	struct list tiers;      /* struct file_tier */
	struct list external;   /* struct file_external */
	struct list templates;  /* struct file_external */
	struct list aggregates; /* struct prefix */
	struct list except;     /* struct file_except */
	struct list devices;    /* struct file_device */
	struct list services;   /* struct file_service */
	struct file_timers timers;
	struct file_policy policy;
	struct file_bfd bfd;
	struct file_ecmp ecmp;
	struct file_listen listen;
	struct file_rpki rpki;
	struct file_borders borders;
	uint32_t mtu;
	bool kernel_compat;
};

/* ---- the schema ---- */

struct walk {
	struct arena *arena;
	struct topo_errors *errs;
	const struct file *file;       /* its `templates` are read first: where `template: NAME` of a session looks */
	const struct rule *warned[32]; /* of which keys without effect it was told: once each */
	size_t nwarned;
};

struct rule;
/* Types a value into *out. False, with an error added, when it cannot. */
typedef bool read_fn(struct walk *, const struct rule *, struct tree *, void *out);

/* One key of the language. */
struct rule {
	const char *name;
	read_fn *read;
	size_t offset;    /* of the field in the struct that the map fills */
	const char *dflt; /* read when the key is absent; NULL: the field stays zero */
	unsigned int flags;
	int64_t min, max;
	const void *arg; /* words of an enumeration, rules of a map, test of a word */
	/* What holds instead of a key that is read and has no effect yet; NULL: it has. */
	const char *unused;
	const char *inert; /* the one value that needs no warning, beside the default */
};

#define RULE_REQUIRED 1u
#define RULE_QUOTED   2u /* fmt always puts the value in quotes */

/* A map of the language: its keys. An end row has no name. */
struct schema {
	const char *what; /* "a tier" */
	size_t size;      /* of the struct it fills, which begins with struct filled */
	const struct rule *rules;
};

extern const struct schema schema_file;

/*
 * Fills out (of schema->size) from a map; a key that is absent is looked for in `fallback` (may be NULL), then has its
 * default. What is wrong with a value of `fallback` is told where that is read itself. Of a map that is `bad` before, no
 * key is missed.
 */
bool walk_map(struct walk *, const struct schema *, struct tree *, struct tree *fallback, void *out);

/* Types the whole file; what could not be read is marked `bad`. Never NULL. */
struct file *file_read(struct topo_doc *, struct topo_errors *);

read_fn read_number, read_number64, read_bool, read_enum, read_word, read_duration, read_share, read_bfd_timer,
    read_prefix, read_prefixes, read_prefix_rules, read_pools, read_asn, read_asn_range, read_range, read_endpoint,
    read_endpoints, read_words, read_mac, read_ip, read_ip_len, read_map, read_maps, read_names, read_schema;

/* ---- words (their rules are in docs/topology-file.md) ---- */

struct word_rule {
	const char *what; /* "a tier name: a letter, then letters and digits" */
	bool (*ok)(const char *);
};

/* ---- ranges ---- */

/*
 * Expands "swp[1-4]s[0-3]" into names, left to right, the last bracket fastest. Returns NULL and the reason (a static
 * text) in *why.
 */
char (*range_expand(struct arena *, const char *text, uint32_t *n, const char **why))[TOPO_NAME_MAX];
bool port_name_ok(const char *);

/* ---- the plan ---- */

struct plan_tier {
	const struct file_tier *file;
	uint32_t up;          /* index, or TOPO_NONE */
	enum pattern pattern; /* FULL or PLANE when there is an up */
	uint32_t links;
	uint32_t level;
	uint32_t number_max; /* the largest device number that the slots allow */
	uint32_t pod_width;  /* per_pod to count, full: slots of a pod on the upper side */
	uint32_t first;      /* index of its first node */
	uint32_t nodes;
	bool sized; /* it has one of `count` and `per_pod` */
};

struct plan {
	const struct file *file;
	struct plan_tier *tiers;
	size_t n;
	uint32_t pods, pods_max; /* 0: no pods */
	uint32_t planes;
	uint32_t nodes;
	bool bounded; /* levels and bounds stand, so numbers can be checked, whatever else is wrong */
};

/* Resolves the tiers. False with errors when nodes and links cannot be derived. */
bool plan_make(struct plan *, const struct file *, struct arena *, struct topo_errors *);

/* Numbers, pools and AS ranges, against the slots. */
void check_numbers(const struct plan *, struct topo_errors *);
/* AS range of a tier over all slots. */
void plan_asn_range(const struct plan *, const struct plan_tier *, uint64_t *min, uint64_t *max);

/* Nodes, ports, links, sessions: fills t (its arena is doc's). */
void derive(struct topo *t, const struct plan *, struct topo_errors *);
/* What only the whole graph shows: reachability, uplinks. */
void check_graph(const struct topo *, const struct file *, struct topo_errors *);

#endif
