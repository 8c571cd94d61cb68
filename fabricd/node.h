/*
 * fabricd/node.h -- one switch: everything wired together, no I/O of its own
 *
 * A node is given a checked topology, its own name, a runtime and a platform, and does the rest. What stands in the
 * structs below is read by fabricd/query; only fabricd/node*.c write it.
 */
#ifndef FABRICD_NODE_H
#define FABRICD_NODE_H

#include "bfd/bfd.h"
#include "fabricd/bgp/export.h"
#include "fabricd/bgp/session.h"
#include "fabricd/lib/journal.h"
#include "fabricd/link/advertiser.h"
#include "fabricd/link/damp.h"
#include "fabricd/link/port.h"
#include "fabricd/policy/policy.h"
#include "fabricd/rib/rib.h"
#include "fabricd/runtime/runtime.h"
#include "platform/platform.h"
#include "platform/sync.h"
#include "topology/topology.h"

struct node;
struct node_port;
struct node_upgrader;

/* One BFD session as bfdd knows it, also those of others; see struct bfd_row. */
struct node_bfd_row {
	char port[32];
	struct bfd_view view;
	int64_t since_us, last_rx_us, down_us;
};

/* bfdd, or one of its sessions: where its counters are (node_bfd_counters.c). */
struct node_bfd_owner {
	bool of_session;
	char port[32]; /* of a session: the name that its client gave; may be empty */
	uint32_t ifindex;
	struct ip local, peer;
	size_t first, n;
};

/* What bfdd told of its counters. */
struct node_bfd_told {
	struct node_bfd_counters *counters, *coming; /* the last whole answer; the one that is on its way. NULL: none */
	uint64_t answers;                            /* that came, whole or not */
	int error;                                   /* of the last one: see bfd_counters_fn */
	struct mono at;                              /* when `counters` came */
	int64_t counted_us;                          /* for how long bfdd had counted them then */
};

/* One TCP connection of a session, and the bytes that TCP has not taken yet. */
struct node_conn {
	struct node_peer *peer;
	struct bgp_conn *conn; /* NULL: only `out` is still to be sent */
	struct rt_stream *stream;
	bool open; /* connected */
	bool want_write;
	int error;    /* of rt_connect(), still to be told */
	uint8_t *out; /* taken from the engine, and TCP had no room for it */
	size_t out_len, out_at;
	struct node_conn *dead_next;
};

/* One configured session. */
struct node_peer {
	struct node *node;
	struct node_port *port;
	struct node_peer *next;      /* of the same port, in the order of the file: external ports may have several */
	const struct topo_node *far; /* NULL: external */
	const struct topo_external *external; /* NULL: fabric */
	char label[80];                       /* "swp49 (p3-spine1)" */
	struct bgp_peer *bgp;
	struct rt_listener *listener; /* NULL: an earlier session of the port listens on the same address */
	int listen_error;
	struct rib_source source;
	struct export_peer *export; /* while Established */
	struct policy_peer *policy;
	struct ip address; /* of the neighbour; zero: not known yet */
	struct node_conn *conns[BGP_SIDES];
	struct node_conn *dead; /* closed, not freed yet */
	char *key;              /* TCP MD5, or NULL */
	struct rt_timer *timer;
	struct mono timer_at;
	bool established;
	struct bfd_watch *bfd;             /* NULL: none */
	bool bfd_up, bfd_fell;             /* fell: while the node was held */
	uint64_t bfd_event;                /* id of the event that took BFD down last */
	int closed_by;                     /* of the connection that ended last, -errno; 0: the peer closed it */
	bool kept_by_bfd;                  /* stale paths, since BFD was up when it had fallen silent */
	uint8_t stale_over;                /* families whose stale paths go as soon as the RIB is between two runs */
	uint32_t long_at, long_family;     /* how far its paths have been looked through for long-lived ones */
	bool reachable;                    /* carrier, and an address that answers */
	bool guest;                        /* that of who has connected, and the link engine chose another */
	bool unheard;                      /* the link engine has given it up, and its paths are kept all the same */
	bool input_paused;                 /* input waits for the RIB's run */
	uint64_t refused[POLICY_VERDICTS]; /* announcements that the import policy refused, by reason */
	struct prefix refused_last[POLICY_VERDICTS];
	uint64_t down_event;            /* id of the event that took it down last */
	uint32_t stuck;                 /* sessions in a row that ended with BGP silent while BFD was up */
	char identity[BGP_REASON_TEXT]; /* what is wrong with who answered, or with its key; "": nothing */
};

/* Connections that were closed before a session, or the link engine, had to do with them. */
struct node_port_counters {
	uint64_t strangers; /* the file has no session with that address */
	uint64_t
	    unchecked; /* TTL security is wanted, and the listener serves others without it: that session is dialled */
	uint64_t second; /* the session with another address is Established */
	uint64_t
	    not_accepted; /* by bgp_accept(): both ends dialled, and the session has the other connection, for one */
};

struct node_port {
	struct node *node;
	const struct topo_port *topo;
	const char *name;
	bool present;           /* the switch has such a port */
	struct plat_port plat;  /* last news of the platform */
	int setup_error;        /* -errno of port_setup, 0: fine */
	struct link_port *link; /* fabric ports; else NULL */
	struct rt_packets *nd, *lldp;
	struct rt_timer *timer;
	struct mono timer_at;
	struct node_peer *peer; /* the first session here, others by its `next`; NULL: none */
	struct node_port_counters counters;
	uint64_t carrier_event;      /* id of the last event of its carrier */
	struct damp damp;            /* suppressed: its sessions wait */
	struct rt_timer *damp_timer; /* its release; NULL: it never was */
};

/* What a node that goes on from another fabricd is born with: so it does nothing anew that is done. */
struct node_inherit {
	struct mono started;
	bool isolated, rack_active;
	const struct journal_event *events; /* of its journal, oldest first; ids grow by one */
	size_t n_events;
};

struct node_config {
	const struct topo *topo; /* must outlive the node */
	const char *name;        /* of this switch, in the file */
	struct runtime *rt;
	struct platform *platform; /* its client is set by the node; closed by the caller */
	uint64_t seed;             /* of all keyed hashes; 0: taken from the runtime */
	bool no_fib;               /* platform null: no groups and routes are made, and nothing is waited for */
	struct bfd_client *bfd;    /* NULL: no BFD; freed by the caller, after the node */
	bool bfd_inside;           /* BFD ends with this process: its C bit is clear (RFC 5882 4.3) */
	const struct node_inherit *inherit; /* NULL: a start of its own; else it is held until node_take_over() */
	const char *key_dir;                /* "/etc/fabricd/keys" */
	/* Reads a key file of key_dir: 0 and a text to free(), or -errno. NULL: keys cannot be had. */
	int (*read_key)(void *arg, const char *name, char **key);
	const struct node_upgrader *upgrader; /* NULL: the process cannot be replaced */
	journal_fn *log;                      /* each event, for stderr or the system log; NULL: nobody */
	void *arg;                            /* of read_key, upgrader and log */
};

enum node_phase { NODE_RUNS, NODE_DEFERS, NODE_SETTLES }; /* see node_restart.c */

/* Our own start. */
struct node_restart {
	enum node_phase phase;
	bool preserved; /* routes of ours were found in the forwarding plane */
	bool recent;    /* neighbours are told that we have restarted (R bit) */
	bool unswept;   /* what nobody wants in the forwarding plane is still there */
	uint64_t found; /* routes, then */
	struct mono until;
	struct mono sweep_at; /* not before */
	struct rt_timer *timer;
};

/* The bridge of the host ports. */
struct node_rack {
	uint32_t ifindex;
	struct advertiser *advertiser; /* NULL: no IPv6 rack here */
	struct rt_packets *nd;
	struct rt_timer *timer;
};

struct node {
	struct node_config cfg;
	struct mem mem;
	const struct topo *topo;
	const struct topo_node *self;
	struct runtime *rt;
	struct platform *platform;
	struct sync *sync;
	struct rib *rib;
	struct export *export;
	struct policy *policy;
	struct journal *journal;
	struct bgp_scratch *scratch;
	uint8_t *chunk; /* scratch for writing */
	struct link_pace pace;
	struct node_port *ports; /* in the order of the file */
	size_t nports;
	struct rib_source local;                    /* the switch's own prefixes */
	struct node_bfd_row *bfd_rows, *bfd_coming; /* what bfdd listed last; the list that is on its way */
	size_t n_bfd_rows, n_bfd_coming, cap_bfd_coming;
	uint64_t bfd_lists; /* that came */
	bool bfd_asked;
	struct node_bfd_told bfd_told;
	struct rt_work *groups, *work;
	struct rt_timer *dwell;
	struct mono started;
	struct mono born; /* in this process: what is not handed over, such as counters, began then */
	struct mono dirty_since;
	bool rib_news;      /* something was announced, withdrawn or acknowledged since the last run began */
	bool rack_active;   /* the rack prefixes are announced */
	bool held;          /* not in charge yet: nothing is sent, no session begins (node_upgrade.h) */
	bool frozen;        /* on the way to a successor: nothing is read, nothing begins but keepalives */
	bool given;         /* the successor has the sockets: nothing is written */
	uint64_t disturbed; /* while frozen: changes of sessions and ports */
	bool stopping;      /* what happens to sessions from now on is no news for the forwarding plane and the hosts */
	bool isolated;      /* no session to the tier above is Established */
	bool hosts_shut;    /* on_isolated: shut_hosts, and we are */
	struct node_rack rack;
	struct node_restart restart;
	struct mono last_change; /* of the FIB or of a session */
	uint64_t state_changes;
	uint64_t updates, updates_seen; /* received; by the last look of the RIB */
};

/*
 * 0 or -errno, with a sentence for the operator in err. -ENOENT: no such node in the file. What is found in the
 * forwarding plane is adopted. Callbacks begin with the next turn of the loop.
 */
int node_new(const struct node_config *, struct node **, char *err, size_t errlen);
/*
 * Ends all sessions, so that peers that know graceful restart keep what we told them for a while; the forwarding plane is
 * left as it is, and with it what BFD watches: bfd_client_free() with keep. NULL is allowed.
 */
void node_stop(struct node *, const char *communication);
/* Frees all; after node_stop() and a moment for what is still to be sent. */
void node_free(struct node *);

/* The port of that name, or NULL. */
struct node_port *node_port_find(struct node *, const char *name);
struct node_port *node_port_by_ifindex(struct node *, uint32_t ifindex);
/* Its counters with what each is called; they live as long as the node. */
void node_port_counters(const struct node_port *, struct counters *out);

/* Writes an event into the journal. cause 0: none known. Returns its id. */
uint64_t node_event(struct node *, const char *type, const char *port, uint64_t cause, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/*
 * The first rung of nine that a fabric session has not reached: 1 admin up, 2 carrier, 3 own link-local address,
 * 4 neighbour seen, 5 LLDP names the right node, 6 TCP, 7 OPEN accepted, 8 capabilities, 9 End-of-RIB; 10: all reached.
 * LLDP is no condition of a session: rung 5 is reached unless the wrong node is seen.
 */
int node_peer_rung(const struct node_peer *);
/* Why the session is not Established, in a few words for a table: "port dark", "wrong node: expected ..., saw ...". */
void node_peer_why(const struct node_peer *, char *buf, size_t size);

/*
 * BFD is up, but what BGP sent did not arrive for the hold time, at one of the ends: small packets pass and large ones do
 * not (an MTU somewhere between), or the process there does not run. Counts until a session has lasted.
 */
bool node_peer_stuck(const struct node_peer *);

/*
 * The restart of this switch itself: "deferring" (routes are not selected yet), "settling" (they are, and the forwarding
 * plane follows), "sweeping" (neighbours are told, and what nobody wants is still to go); NULL: it is over. *until: the
 * last resort.
 */
const char *node_restart_phase(const struct node *, struct mono *until);
/* Those that it waits for, one after the other, first with NULL; *why: "no session", "no End-of-RIB". NULL: no other. */
const struct node_peer *node_restart_awaited(const struct node *, const struct node_peer *after, const char **why);

/* Of a port that is damped: why, and for how long. Its penalty, a flap is DAMP_FLAP; and the seconds until its release. */
void node_damp_why(const struct node_port *, char *buf, size_t size);
uint64_t node_damp_penalty(const struct node_port *);
double node_damp_left(const struct node_port *);

/* The gateway of a rack prefix: its first address. */
struct ip node_rack_gateway(const struct prefix *rack);

/* There is a bfdd, or none any more: what waited for it does not wait for what will not come. */
void node_bfd_told(struct node *, bool connected);

/* Asks bfdd for its sessions: bfd_lists grows when they are in bfd_rows. -ENOTCONN: there is no bfdd. */
int node_bfd_list(struct node *);
/* The same for its counters: bfd_told.answers grows when the answer has come. -ENOTCONN. */
int node_bfd_ask_counters(struct node *);
/* Those of the i-th owner in the last whole answer: 0 is bfdd itself; valid until the next one. NULL: there are no more. */
const struct node_bfd_owner *node_bfd_counters(const struct node *, size_t i, struct counters *out);

/* Whether nothing waits: no dirty prefix, no walk, no pending FIB operation. */
bool node_quiet(const struct node *);

#endif
