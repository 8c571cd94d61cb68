/*
 * topology/topology.h -- the topology file as checked intent, and what each switch derives from it
 *
 *   text --parse--> struct topo (what the file says, with positions) --derive--> nodes, ports, links
 *                          |                                          --check---> errors, all at once
 *                          +--print (fmt): the same file, in canonical form
 *
 * Pure: bytes in, structs and texts out; nothing here reads a file, a clock or an environment. A struct topo is
 * immutable once it is loaded; everything in it lives as long as it does. The language itself is described in
 * docs/topology-file.md.
 */
#ifndef TOPOLOGY_TOPOLOGY_H
#define TOPOLOGY_TOPOLOGY_H

#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"

#define TOPO_NAME_MAX     32 /* node and port names, with the NUL */
#define TOPO_NONE         UINT32_MAX
#define TOPO_SESSIONS_MAX 4000 /* of BGP on one switch, which numbers them */

/* ---- errors ---- */

enum topo_severity { TOPO_ERROR, TOPO_WARNING };

struct topo_error {
	enum topo_severity severity;
	unsigned int line, col;             /* from 1; 0 = about the file as a whole */
	unsigned int other_line, other_col; /* a second place that the text speaks of, or 0 */
	char *text;                         /* a sentence: what is wrong */
	char *hint;                         /* the next step ("did you mean loopback?"), or NULL */
};

struct topo_errors {
	struct topo_error *list;
	size_t n, cap;
};

/* "fabric.yaml:7:3: error: ...", the line, a caret, the hint; as one text the caller frees with free(). */
char *topo_errors_print(const struct topo_errors *, const char *file, const char *text, size_t len);
void topo_errors_free(struct topo_errors *);
size_t topo_errors_count(const struct topo_errors *, enum topo_severity);

/* ---- the derived model ---- */

enum topo_role { TOPO_FABRIC, TOPO_BORDER };
enum topo_state { TOPO_ACTIVE, TOPO_PLANNED, TOPO_DRAINED };
enum topo_port_kind { TOPO_UP, TOPO_DOWN, TOPO_HOST, TOPO_EXTERNAL }; /* where the port leads, seen from its node */
enum topo_port_policy { TOPO_WARN, TOPO_BLOCK };

struct topo_port {
	char name[TOPO_NAME_MAX];
	enum topo_port_kind kind;
	uint32_t link;     /* UP, DOWN: index into topo.links; TOPO_NONE: a reserved slot without a far node */
	uint32_t far_node; /* index into topo.nodes, or TOPO_NONE */
	char far_port[TOPO_NAME_MAX]; /* "" without a far node */
	uint32_t external; /* EXTERNAL: first of its sessions in topo.externals; others may share (node, port) */
};

struct topo_node {
	char name[TOPO_NAME_MAX];
	uint32_t index;       /* of itself in topo.nodes */
	uint32_t tier;        /* index into topo.tiers */
	uint32_t pod, number; /* pod 0: not in a pod */
	uint32_t plane;       /* 1.. when the fabric has planes and the node is in one; else 0 */
	uint32_t level;       /* 0: nothing names an up of it ... leaves; tiers above count up from there */
	enum topo_role role;
	enum topo_state state;
	bool foreign; /* vendor: other */
	uint32_t asn;
	struct ip router_id; /* IPv4 */
	bool has_loopback[FAMILIES];
	struct prefix loopback[FAMILIES]; /* /32, /128 */
	bool has_rack[FAMILIES];
	struct prefix rack[FAMILIES];
	struct topo_port
	    *ports; /* UP, DOWN, HOST, EXTERNAL; wired or reserved; in the order up, down, host, external */
	uint32_t nports;
	uint32_t uplinks;                    /* links to the tier above, after exceptions */
	char serial[64], mac[18], model[64]; /* "" when the file does not say */
};

struct topo_link {
	uint32_t lower, upper; /* nodes; lower is the one whose tier has the `up` */
	char lower_port[TOPO_NAME_MAX], upper_port[TOPO_NAME_MAX];
	bool added;      /* by an exception */
	bool planned;    /* one end is state: planned; expected dark */
	const char *why; /* the exception's reason, or NULL */
};

struct topo_pool { /* addresses that a tier may use */
	struct prefix prefix;
	uint8_t len; /* length of what is taken from it: 32/128 for loopbacks, rack len */
};

struct topo_prefix_rule { /* "PREFIX", "PREFIX le N", "PREFIX ge M le N" */
	struct prefix prefix;
	uint8_t ge, le; /* lengths accepted, both included */
};

enum topo_bridge { TOPO_BRIDGE_OWN, TOPO_BRIDGE_NAMED, TOPO_BRIDGE_NONE };

struct topo_tier {
	char name[TOPO_NAME_MAX];
	enum topo_role role;
	bool foreign;
	uint32_t count;   /* nodes in all */
	uint32_t per_pod; /* 0: the tier is given by count */
	uint32_t level;
	uint32_t up;    /* tier above, or TOPO_NONE */
	uint32_t links; /* parallel links per pair */
	uint32_t first; /* index of its first node; its `count` nodes stand together */
	uint32_t number_max,
	    pods_max; /* how far device and pod numbers may grow within the slots; pods 0: not per_pod */
	struct topo_pool *loopbacks, *racks;
	size_t nloopbacks, nracks;
	uint32_t asn_min, asn_max; /* range checked against the slots */
	/* hosts: */
	enum topo_bridge bridge;
	char bridge_name[TOPO_NAME_MAX]; /* "rack0" by default */
	bool rack_always;
	bool shut_hosts_when_isolated;
	bool has_host_bgp; /* hosts may open sessions: */
	uint32_t host_asn_min, host_asn_max;
	struct topo_prefix_rule *host_accept;
	size_t nhost_accept;
	uint32_t host_max_prefixes; /* 0: no limit of its own */
	bool host_send_full;        /* the whole table; false: a default route only */
	bool host_bfd, host_reflect;
};

enum topo_advert {
	TOPO_ADVERT_NONE,
	TOPO_ADVERT_DEFAULT,
	TOPO_ADVERT_FULL,
	TOPO_ADVERT_PREFIXES,
	TOPO_ADVERT_AGGREGATES
};

enum topo_session_type {
	TOPO_SESSION_UNSET,
	TOPO_SESSION_TRANSIT,
	TOPO_SESSION_PEER,
	TOPO_SESSION_CUSTOMER,
	TOPO_SESSION_ROUTE_SERVER
};
enum topo_rpki { TOPO_RPKI_OFF, TOPO_RPKI_TAG, TOPO_RPKI_REJECT_INVALID };

struct topo_external {
	char name[64];
	uint32_t node;
	char port[TOPO_NAME_MAX];
	uint32_t asn;          /* theirs */
	uint32_t local_as;     /* 0: the node's own */
	struct ip local, peer; /* same family */
	uint8_t len;           /* of the link's network */
	enum topo_advert in, out;
	uint32_t max_prefixes;    /* 0: no limit of its own */
	struct prefix *originate; /* prefixes that this switch announces to everyone because of this session */
	size_t noriginate;
	const char *auth; /* key file name under /etc/fabricd/keys, or NULL */
	/* parsed, checked and kept for the border's policy; what its template says is in here already */
	enum topo_session_type type;
	const char *prefixes, *as_set; /* bgpq4 file name; IRR object; or NULL */
	enum topo_rpki rpki;
	bool has_local_pref, has_med;
	uint32_t local_pref, med, prepend;
	const char **communities; /* "64500:100", "64500:1:2", "no-export" */
	size_t ncommunities;
	bool prepend_local_as, blackhole, gtsm, bfd;
	int64_t
	    long_lived_us; /* its paths are kept for so long when it is away (RFC 9494), 0: for its restart time alone */
	bool has_source;
	struct ip source; /* preferred source of its routes in the FIB */
};

struct topo_service { /* an address that several nodes may announce */
	struct prefix prefix;
	uint32_t *owners; /* nodes */
	size_t nowners;
	bool anycast;
};

struct topo_timers {
	uint32_t bfd_multiplier;
	int64_t bfd_us, hold_us, restart_us; /* keepalive = hold / 3 */
	int64_t damping_half_life_us;
	uint32_t damping_suppress;
};

enum topo_weights { TOPO_WEIGHTS_OFF, TOPO_WEIGHTS_COMMUNITY, TOPO_WEIGHTS_AUTO };

struct topo {
	uint32_t schema;
	char fabric[64];
	uint64_t revision;       /* 0: none in the file */
	char digest[8];          /* first 7 hex digits of the SHA-256 of the file's bytes, "8c1f02a" */
	uint32_t pods, planes;   /* 0: none */
	struct topo_tier *tiers; /* in the file's order */
	size_t ntiers;
	struct topo_node *nodes; /* in display order: tiers as in the file, then pod, then number */
	size_t nnodes;
	struct topo_link *links;
	size_t nlinks;
	struct topo_external *externals;
	size_t nexternals;
	struct prefix *aggregates;
	size_t naggregates;
	struct topo_prefix_rule *host_accept; /* what hosts may announce, all tiers together */
	size_t nhost_accept;
	struct topo_timers timers;
	bool bfd_strict, bfd_echo;
	enum topo_weights weights;
	bool resilient;
	uint32_t mtu;
	bool kernel_compat;
	char listen_web[64];
	const char **listen_bmp, **rpki_caches; /* HOST:PORT */
	size_t nlisten_bmp, nrpki_caches;
	struct topo_service *services;
	size_t nservices;
	uint32_t public_asn; /* 0: none */
	bool allow_public_asn;
	uint32_t min_uplinks, border_min_uplinks;
	enum topo_port_policy on_wrong_port, on_wrong_node;
	uint32_t max_load_after_drain; /* per cent */
	struct topo_doc *doc;          /* what fmt prints: the file's own tree */
};

/*
 * Parses, derives and checks. NULL when there is at least one error; warnings alone do not refuse a file. `errs`
 * must be zeroed by the caller and is filled in either case, sorted by line. The file's name is only printed.
 */
struct topo *topo_load(const char *text, size_t len, struct topo_errors *errs);
void topo_free(struct topo *);

/* The file in canonical form (comments of the input are kept); free() it. parse(print(x)) = x. */
char *topo_print(const struct topo *);

/* NULL when there is none. */
const struct topo_node *topo_node_find(const struct topo *, const char *name);
const struct topo_port *topo_port_find(const struct topo_node *, const char *name);
/*
 * The network that a host port has for itself where hosts hang on routed ports (`bridge: none`): network k of the rack
 * prefix for slot k, of the least number of bits that counts all slots. Its first address is the gateway. False: the port is no
 * such port, or there is no rack of that family.
 */
bool topo_host_network(
    const struct topo *, const struct topo_node *, const struct topo_port *, unsigned int family, struct prefix *);
/* Bits that count `slots` ports, network 0 left out. */
unsigned int topo_slot_bits(uint64_t slots);
/*
 * "did you mean eth1 or eth2?" of the words that are nearest to a misspelt one, at most three of them; false: none is
 * near, and buf is empty. Words that are NULL are passed over.
 */
bool topo_did_you_mean(const char *typed, const char *const words[], size_t n, char *buf, size_t size);

/* The node names nearest to a misspelt one, best first; at most max; returns how many. */
size_t topo_node_near(const struct topo *, const char *name, const char *near[], size_t max);

/*
 * Adds an error for each node of `running` whose AS number, router id, loopback, rack or wired port is another in
 * `next` (nodes, or links, that went or came are no error). Returns how many nodes moved.
 */
size_t topo_moved(const struct topo *running, const struct topo *next, struct topo_errors *errs);

/* What a change does to a running switch, the least first. */
enum topo_effect { TOPO_LIVE, TOPO_SESSION, TOPO_RESTART };

#define TOPO_CHANGE_TEXT 160

struct topo_change {
	char node[TOPO_NAME_MAX];                          /* "": all switches */
	const char *what;                                  /* "AS", "port", "setting", ... */
	char key[64];                                      /* which: a port, a session, a setting; or "" */
	char from[TOPO_CHANGE_TEXT], to[TOPO_CHANGE_TEXT]; /* "": was not, will not be */
	enum topo_effect effect;
	bool moved; /* what topo_moved() is about */
};

struct topo_changes {
	struct topo_change *list;
	size_t n, cap;
};

/* All that is another in `next`, as the switches derive it, in the order of the files. `out` is zeroed by the caller. */
void topo_diff(const struct topo *running, const struct topo *next, struct topo_changes *out);
void topo_changes_free(struct topo_changes *);

/* ---- views of the derived model, as texts to free() ---- */

char *topo_expand(const struct topo *, const char *node); /* node NULL: all; unknown: ""; YAML to review and diff */
char *topo_export_dot(const struct topo *);               /* PTM's DOT: "leaf1":"eth1" -- "spine1":"eth1" */
char *topo_export_containerlab(const struct topo *);
char *topo_export_csv(const struct topo *); /* NetBox's cable columns */
char *topo_export_mermaid(const struct topo *);
char *topo_export_svg(const struct topo *);

/* Reads links back from DOT or containerlab: for `topo import` and for the tests of export. -1: not understood. */
struct topo_cable {
	char a[TOPO_NAME_MAX], a_port[TOPO_NAME_MAX], b[TOPO_NAME_MAX], b_port[TOPO_NAME_MAX];
};
int topo_import_dot(const char *text, size_t len, struct topo_cable **out, size_t *n); /* free(*out) */
int topo_import_containerlab(const char *text, size_t len, struct topo_cable **out, size_t *n);
/* What a DOT graph or a containerlab file calls itself; false: nothing, or it is longer than names here may be. */
bool topo_import_name(const char *text, size_t len, char name[TOPO_NAME_MAX]);
/* Cables from a table with NetBox's columns; -1 with the reasons in `errs`. */
int topo_import_csv(const char *text, size_t len, struct topo_cable **out, size_t *n, struct topo_errors *errs);
/* The `devices` section of a file from a table of devices, to free(); NULL with the reasons in `errs`. */
char *topo_import_devices(const char *text, size_t len, struct topo_errors *errs);
/*
 * A file that derives these cables, to free(); tiers, ranges and exceptions are inferred, numbers proposed. NULL with
 * the reasons in `errs` (zeroed by the caller) when this language has no words for them. Quadratic in the cables.
 */
char *topo_infer(const struct topo_cable *, size_t n, const char *fabric, struct topo_errors *errs);

#endif
