/*
 * fabricd/link/port.h -- one port: is it usable, who is at its other end, and is that who the file says
 *
 *   status (platform) --+                   +--> RS, RA, LLDP frames out
 *   ND, LLDP in --------+--> link_port -----+--> neighbour() : an address to open a session to
 *   session up/down ----+    deadline/timer +--> state(), alarm()
 *
 * Pure: time comes in with each call, the next deadline is asked for. The callbacks are called from inside the calls
 * of this header; none of them may free the port.
 *
 * Always true: a neighbour is only announced while the port is LINK_UP; at most one is chosen at a time; the one with
 * an established session is never given up for what an RA says.
 */
#ifndef FABRICD_LINK_PORT_H
#define FABRICD_LINK_PORT_H

#include "fabricd/lib/counters.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"
#include "fabricd/link/lldp.h"
#include "fabricd/link/nd.h"

#define LINK_NEIGHBORS 8 /* per port; more are counted, not kept */
#define LINK_LLDP      4

struct link_port;

/* Why a port is not up, worst first; the first that applies is its state. */
enum link_state {
	LINK_MISSING, /* the file names it, the switch does not have it */
	LINK_ADMIN_DOWN,
	LINK_NO_CARRIER,
	LINK_NO_ADDRESS, /* no usable link-local address of our own */
	LINK_LOOPED,     /* our own messages come back */
	LINK_DUPLICATE,  /* somebody else has our link-local address */
	LINK_UP,
	LINK_STATES,
};
const char *link_state_name(enum link_state); /* "missing", "admin-down", "no-carrier", ... */

enum link_how { LINK_BY_NONE, LINK_BY_RA, LINK_BY_RS, LINK_BY_OPEN };
const char *link_how_name(enum link_how);

/* What LLDP says against what the file says. */
enum link_match { LINK_MATCH_UNKNOWN, LINK_MATCH, LINK_WRONG_FABRIC, LINK_WRONG_NODE, LINK_WRONG_PORT };
const char *link_match_name(enum link_match);

/*
 * Shared by all ports of a node: spreads what many ports want to send in the same moment (64 packets per 10 ms; the
 * first are sent at once). Zeroed is its start.
 */
struct link_pace {
	struct mono slot;
	unsigned int used;
};

struct link_config {
	int64_t ra_min_us, ra_max_us; /* 0: RFC 4861's 200 s and 600 s */
	uint16_t ra_lifetime_s;       /* 0: 1800 s */
	int64_t lldp_us;              /* 0: 30 s */
	uint8_t lldp_hold;            /* 0: 4 */
	int64_t refuse_us; /* how long a looped or duplicate port stays refused after the last sighting; 0: 60 s */
	bool no_lldp;
};

/* What a port says of itself; texts are copied. */
struct link_identity {
	const char *fabric, *node, *serial, *revision, *system_description; /* NULL or "": not known */
};

/* What the file wants at the other end; "" or NULL: nothing is expected. */
struct link_expect {
	const char *fabric, *node, *port;
};

struct link_status {
	bool present, admin_up, carrier;
	uint32_t ifindex;
	uint8_t mac[6];
	uint32_t mtu;
	struct ip link_local; /* zero: none */
};

struct link_ops {
	void (*send_nd)(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n);
	void (*send_frame)(void *arg, const uint8_t *bytes, size_t n);
	/* The neighbour to have a session with; how LINK_BY_NONE: there is none any more (addr is the one that was). */
	void (*neighbor)(void *arg, const struct ip *addr, enum link_how how);
	void (*state)(void *arg, enum link_state was, enum link_state is);
	/* type: a short constant ("second-router"); text: a sentence for the operator. Repeats are held back. */
	void (*alarm)(void *arg, const char *type, const char *text);
	/* LLDP information of the neighbour came, changed or aged out: ask link_port_view(). */
	void (*lldp)(void *arg);
	uint64_t (*random)(void *arg);
};

/* name, config and identity are copied. `pace` may be NULL. The port begins as LINK_MISSING. */
struct link_port *link_port_new(
    struct mem *, const char *name, const struct link_config *, struct link_pace *, const struct link_ops *, void *arg);
void link_port_free(struct link_port *); /* sends nothing; NULL is allowed */

void link_port_identity(struct link_port *, const struct link_identity *, struct mono now);
void link_port_expect(struct link_port *, const struct link_expect *, struct mono now);
void link_port_status(struct link_port *, const struct link_status *, struct mono now);

/* Packets as they came; anything may be in them. dst zero: not known. */
void link_port_nd(struct link_port *, const struct ip *src, const struct ip *dst, uint8_t hop_limit,
    const uint8_t *bytes, size_t n, struct mono now);
void link_port_frame(struct link_port *, const uint8_t *frame, size_t n, struct mono now);

/*
 * A connection from this address came in on the port. False: refuse it; it is our own address (the port becomes
 * LINK_DUPLICATE), or the port is not up.
 */
bool link_port_inbound(struct link_port *, const struct ip *peer, struct mono now);
/* The session with this address is established, or is so no more: then neighbor() is not called before the deadline. */
void link_port_session(struct link_port *, const struct ip *peer, bool established, struct mono now);
/* Says goodbye: RA with lifetime 0 and LLDP with TTL 0. For a wanted end; a crash says nothing. */
void link_port_goodbye(struct link_port *, struct mono now);

struct mono link_port_deadline(const struct link_port *);
void link_port_timer(struct link_port *, struct mono now);

/* ---- facts ---- */

struct link_neighbor {
	struct ip addr;
	bool has_mac;
	uint8_t mac[6];
	bool router; /* an RA was heard */
	bool established;
	enum link_how how; /* first heard by */
	struct mono first, heard;
	struct mono expires; /* MONO_NEVER: does not age */
};

struct link_counters {
	uint64_t rx_rs, rx_ra, rx_ns, rx_na, rx_lldp;
	uint64_t nd_dropped[ND_VERDICTS], lldp_dropped[LLDP_VERDICTS];
	uint64_t nd_not_up, lldp_not_up; /* came while the port was not up; without carrier */
	uint64_t rs_source; /* RSs that were not answered, since they did not come from a link-local address */
	uint64_t refused_connections; /* to a port that is not up, or from an address that is not link-local */
	uint64_t ignored_routers;     /* RAs of routers beside the chosen one */
	uint64_t table_full;          /* neighbours that found no room */
	uint64_t held_back;           /* answers not sent because of the rate limit */
	uint64_t own_seen;            /* our own address as a source */
	uint64_t tx_rs, tx_ra, tx_lldp;
	uint64_t transitions; /* between LINK_UP and anything else */
};

struct link_view {
	const char *name;
	enum link_state state;
	struct mono since; /* of the state */
	struct link_status status;
	const struct link_neighbor *neighbors;
	size_t nneighbors;
	const struct link_neighbor *chosen; /* NULL: none */
	const struct lldp_info *lldp;       /* the neighbour's best information, NULL: none */
	size_t nlldp;
	enum link_match match;
	char mismatch[192]; /* "expected spine2 swp1, found spine1 swp1"; "" when nothing is wrong */
	bool mtu_mismatch;
	struct link_counters counters;
};
void link_port_view(const struct link_port *, struct link_view *); /* pointers live until the next call */
/* Its counters with what each is called; they live as long as the port. */
void link_port_counters(const struct link_port *, struct counters *out);

#endif
