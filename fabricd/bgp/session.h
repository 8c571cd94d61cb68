/*
 * fabricd/bgp/session.h -- one configured neighbour: its connections, timers, queues and facts
 *
 *   owner (node.c) --- connected, accepted, bytes, wrote, time, link up/down ---> struct bgp_peer
 *   owner <--- connect, close, output ready; established, update, refresh, down, state, identity, event --- ops
 *
 * Pure: no socket, clock or randomness in here. A peer has at most two connections, one that we dial and one that
 * we accept; RFC 4271 6.8 and RFC 6286 decide which of them stays. Time is given to every call that needs it. After
 * any call that takes a peer or a connection the owner re-reads bgp_deadline(), since it may have moved.
 *
 * Ops are called from within the calls below. They may call back into the same peer with these only: bgp_send(),
 * bgp_send_refresh(), bgp_peer_set_next_hop(), bgp_conn_set_io(), bgp_peer_reset() and bgp_peer_stop() (both act
 * after the running call), and everything const. bgp_peer_free() must not be called from an op.
 */
#ifndef FABRICD_BGP_SESSION_H
#define FABRICD_BGP_SESSION_H

#include "fabricd/bgp/encode.h"
#include "fabricd/bgp/fsm.h"
#include "fabricd/bgp/update.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"

struct bgp_peer;
struct bgp_conn;

enum bgp_side { BGP_DIALLED, BGP_ACCEPTED, BGP_SIDES };

/* Why a peer is not Established. The sentence beside it says it in full. */
enum bgp_cause {
	BGP_CAUSE_NONE,
	BGP_CAUSE_STOPPED, /* bgp_peer_stop(), or never started */
	BGP_CAUSE_LINK_DOWN,
	BGP_CAUSE_TCP,         /* could not connect, or the connection broke */
	BGP_CAUSE_HOLD,        /* nothing heard for the hold time */
	BGP_CAUSE_SEND_HOLD,   /* RFC 9687 */
	BGP_CAUSE_BAD_MESSAGE, /* we sent a NOTIFICATION: header, OPEN or UPDATE error, or state machine */
	BGP_CAUSE_IDENTITY,    /* we refused the OPEN: another AS or BGP Identifier than expected */
	BGP_CAUSE_NOTICE,      /* the peer sent a NOTIFICATION */
	BGP_CAUSE_RESET,       /* bgp_peer_reset() */
	BGP_CAUSE_BFD,         /* bgp_peer_bfd_down() */
	BGP_CAUSES,
};

const char *bgp_cause_name(enum bgp_cause); /* "link_down": for events and JSON */

#define BGP_REASON_TEXT 320

struct bgp_reason {
	enum bgp_cause cause;
	uint8_t code, subcode; /* of the NOTIFICATION sent or received, 0: none */
	bool sent, received;   /* that NOTIFICATION */
	struct mono at;
	char text[BGP_REASON_TEXT]; /* a sentence; printable ASCII only */
};

enum bgp_event_kind {
	BGP_EVENT_ERROR, /* something malformed from the peer; RFC 7606 verdicts and NOTIFICATIONs */
	BGP_EVENT_TCP,   /* connections that fail */
	BGP_EVENT_COLLISION,
	BGP_EVENT_TIMER, /* hold time granted once more, since we were not running */
	BGP_EVENT_KINDS,
};

/* Why paths that were kept over a restart of the peer are not stale any more. */
enum bgp_stale_end {
	BGP_STALE_NEVER,    /* nothing was kept yet, or it still is */
	BGP_STALE_TOLD,     /* End-of-RIB: the peer has told all again */
	BGP_STALE_RESTART,  /* it did not come back within its restart time */
	BGP_STALE_SILENT,   /* it came back, and no End-of-RIB within its restart time */
	BGP_STALE_FORGOT,   /* it came back without its forwarding state (F bit), or without the capability */
	BGP_STALE_STRANGER, /* another router answers */
	BGP_STALE_LINK,     /* the link went down */
	BGP_STALE_BFD,      /* BFD says that the forwarding plane is dead, too (RFC 5882 4.3.2) */
	BGP_STALE_HARD,     /* a hard reset, or an end that is not graceful, while we waited for End-of-RIB */
	BGP_STALE_STOPPED,  /* stopped by the operator */
	BGP_STALE_LONG,     /* it did not come back within its long-lived stale time either */
	BGP_STALE_ENDS,
};

const char *bgp_stale_end_name(enum bgp_stale_end); /* "end_of_rib": for events and JSON */

/* What we do while the peer restarts (RFC 4724 4.2: the receiving speaker). */
struct bgp_restart {
	uint8_t stale;      /* families whose paths are kept as stale */
	uint8_t long_lived; /* those of them that are kept beyond the restart time (RFC 9494), as the last resort */
	bool waits_rib;     /* it is back, its End-of-RIB is not */
	struct mono since;  /* the session ended */
	struct mono until;  /* of the timer that runs: the restart time, or the time for End-of-RIB; MONO_NEVER: none */
	enum bgp_stale_end ended; /* the last one */
	struct mono ended_at;
	char text[BGP_REASON_TEXT]; /* why, a sentence; "": nothing was ever kept */
	uint64_t begun, told;       /* restarts that were helped, and those that End-of-RIB ended */
};

struct bgp_ops {
	/* Begin a TCP connection to the peer; answer by bgp_connected() or bgp_connect_failed(), later or at once. */
	void (*connect)(struct bgp_peer *, struct bgp_conn *, void *arg);
	/*
	 * The connection is over for the engine: send `last` (the rest of a message that was begun, and a NOTIFICATION;
	 * may be empty) behind what bgp_output() gave before, as far as that goes without waiting long, and close. Also
	 * ends a connect() under way. No call may name this connection any more until the next connect() or
	 * bgp_accept().
	 */
	void (*close)(struct bgp_conn *, const uint8_t *last, size_t n, void *arg);
	/* bgp_output() has something to give. Told once, and again only after bgp_output() has given everything. */
	void (*output_ready)(struct bgp_conn *, void *arg);
	void (*established)(struct bgp_peer *, void *arg);
	/*
	 * Was Established and is not any more: the peer's routes go, but for those of bgp_peer_restart()->stale. The
	 * queue has been dropped.
	 */
	void (*down)(struct bgp_peer *, const struct bgp_reason *, void *arg);
	/*
	 * Before `down`: graceful restart lets the paths of these families (bit 1 << family) be kept, as stale. Returns
	 * those of them that the owner keeps; it marks them, and what is still stale from the restart before goes
	 * (RFC 4724 4.2). NULL: none is ever kept.
	 */
	uint8_t (*keep)(struct bgp_peer *, const struct bgp_reason *, uint8_t families, void *arg);
	/* What is still stale of these families goes; the session may be up or not. text: why, a sentence. */
	void (*stale_end)(struct bgp_peer *, uint8_t families, enum bgp_stale_end, const char *text, void *arg);
	/*
	 * The restart time is over, and the paths of these families are kept for longer: they become the last resort, but for
	 * those that say NO_LLGR, which go. False: not now, ask again in a moment. NULL: none is ever kept like that.
	 */
	bool (*long_lived)(struct bgp_peer *, uint8_t families, void *arg);
	/* The peer has told all that it has, of these families. May be NULL. */
	void (*end_of_rib)(struct bgp_peer *, uint8_t families, void *arg);
	void (*update)(struct bgp_peer *, const struct bgp_update *, void *arg);
	/* The peer asks for all routes of the family (REQUEST, at most one per cfg.refresh_us), or marks BEGIN and END.
	 */
	void (*refresh)(struct bgp_peer *, enum family, enum bgp_refresh, void *arg);
	void (*state_changed)(struct bgp_peer *, enum bgp_state was, enum bgp_state is, const char *why, void *arg);
	/* The one on the other end is not who was expected; text names wanted and seen. */
	void (*identity)(struct bgp_peer *, const struct bgp_open *seen, const char *text, void *arg);
	/* Worth a line; at most one a minute for each kind, `suppressed` counts those held back since the last. */
	void (*event)(struct bgp_peer *, enum bgp_event_kind, const char *text, uint64_t suppressed, void *arg);
	/* Any 32 bits; for jitter alone. */
	uint32_t (*random)(void *arg);
};

/* Zero means the default, everywhere. Strings are copied. Times in microseconds. */
struct bgp_config {
	const char *name;             /* for sentences: "swp49 (p3-spine1)" */
	uint32_t local_as, router_id; /* router_id in host order, never 0 */
	uint32_t peer_as;             /* 0: any is accepted */
	uint32_t peer_id;             /* expected BGP Identifier; 0: any */
	uint16_t hold_s;              /* what we offer; default 9; 0 cannot be offered, at least 3 */
	const char *hostname;         /* capability 73; NULL: not sent */
	uint32_t caps;                /* what we offer; 0: everything of ours */
	uint16_t restart_s;           /* how long the peer is to wait for us (RFC 4724); 0: no graceful restart */
	/* RFC 9494, of both families: how long the peer may keep our paths, and at most we those of the peer. 0: neither does,
	 * but the capability says that we know what long-lived stale paths are. Only with restart_s. */
	uint32_t long_lived_s;
	struct ip local;    /* own address on the session (see bgp_update_opts.local) */
	bool passive;       /* never dial */
	bool link_local_ok; /* as in bgp_update_opts */
	bool keep_unknown;
	bool any_first_as; /* a route server: AS_PATH need not begin with the peer's AS */
	int64_t retry_us;  /* between attempts to connect, jittered; default 1 s */
	int64_t polite_us; /* default 150 ms: when the peer's expected identifier is higher than ours, it dials, and we
			      only after this long; -1: never wait */
	int64_t idle_hold_us, idle_hold_max_us; /* after an error; default 1 s, doubling up to 60 s */
	int64_t large_hold_us;                  /* default 240 s */
	int64_t send_hold_us;                   /* default max(8 min, 2 x hold); -1: off */
	int64_t refresh_us;      /* least time between answers to ROUTE-REFRESH of a family; default 10 s */
	uint32_t input_messages; /* at most this many messages per bgp_input(); default 64 */
	uint32_t input_bytes;    /* and this many bytes, but at least one message; default 32 KiB */
};

struct bgp_counters {
	uint64_t in[BGP_TYPES], out[BGP_TYPES]; /* messages, by enum bgp_type; index 0: of a type that is none */
	uint64_t in_bytes, out_bytes;
	uint64_t prefixes_in[FAMILIES], withdrawn_in[FAMILIES]; /* in messages, not in the table */
	uint64_t prefixes_out[FAMILIES], withdrawn_out[FAMILIES];
	uint64_t fates[BGP_FATES]; /* UPDATEs by RFC 7606 verdict */
	uint64_t discarded_attrs;
	uint64_t notices_in, notices_out;
	uint64_t flaps;       /* left Established */
	uint64_t established; /* reached it */
	uint64_t dials, dial_failures, accepts, refused_accepts, collisions;
	uint64_t identity_refusals;
	uint64_t refresh_coalesced;
	uint64_t hold_grants; /* hold time granted once more, since the timer was late, or input waits unread */
};

/* What OPEN messages agreed upon; valid from OpenConfirm on, kept after the session for display. */
struct bgp_session_facts {
	bool valid;
	struct bgp_open local, remote; /* as sent, as received */
	uint32_t caps;                 /* both have */
	uint16_t hold_s, keepalive_s;  /* 0: none */
	uint8_t families;              /* bit 1 << family */
	bool internal;
	uint8_t end_of_rib_in, end_of_rib_out; /* bit 1 << family */
	enum bgp_side side;                    /* of the connection that is (was) Established */
};

/* ---- life ---- */

/* The scratch is borrowed, and may be shared by all peers of a node. Starts stopped, with the link down. */
struct bgp_peer *bgp_peer_new(
    struct mem *, struct bgp_scratch *, const struct bgp_config *, const struct bgp_ops *, void *arg);
/* Closes without a NOTIFICATION and without any op but close. NULL is allowed. */
void bgp_peer_free(struct bgp_peer *);

void bgp_peer_start(struct bgp_peer *, struct mono now);
/* Cease 6/2 with this shutdown communication (NULL: none); stays Idle until started again. */
void bgp_peer_stop(struct bgp_peer *, const char *communication, struct mono now);
/* Cease 6/3, for a neighbour that left the file; otherwise as stop. */
void bgp_peer_remove(struct bgp_peer *, struct mono now);
/*
 * An end that is followed by a start of the same program: the peer keeps our paths, if graceful restart was agreed upon
 * (without N bits there is no NOTIFICATION then, RFC 4724 4); otherwise as bgp_peer_stop().
 */
void bgp_peer_leave(struct bgp_peer *, const char *communication, struct mono now);
/*
 * What the next OPENs say of ourselves (RFC 4724 3): R bit, and the families whose forwarding state was kept since the
 * peer knew us last (bit 1 << family).
 */
void bgp_peer_restarted(struct bgp_peer *, bool restarted, uint8_t forwarding);
/* A neighbour that is reachable: carrier, an address. Down: closes at once, nothing can be sent. */
void bgp_peer_link_up(struct bgp_peer *, struct mono now);
void bgp_peer_link_down(struct bgp_peer *, const char *why, struct mono now);
/*
 * Cease with this subcode; text goes into the reason and, for subcodes 2 and 4, to the peer. Idle for idle_us, then
 * again from the start (0: at once). For maximum prefixes: BGP_CEASE_MAX_PREFIXES with data = AFI, SAFI, limit,
 * as a hard reset where the peer knows that (RFC 8538 5: its paths are not to be kept).
 */
void bgp_peer_reset(struct bgp_peer *, enum bgp_cease subcode, const char *text, int64_t idle_us, struct mono now);
void bgp_peer_max_prefixes(struct bgp_peer *, enum family, uint32_t limit, int64_t idle_us, struct mono now);
/* As link_down, but what is kept of a peer that restarts stays: the session waits for something else, as BFD. */
void bgp_peer_link_wait(struct bgp_peer *, const char *why, struct mono now);
/*
 * BFD says that the path is dead: a hard reset with Cease 6/10 (RFC 9384, 8538), then as after a broken connection.
 * While the peer restarts `ends` says whether this ends the waiting: its C bit is set, so that its forwarding plane is
 * dead, too; or BFD was all that spoke for it. Otherwise BFD shares the fate of what restarts, and says nothing (RFC 5882
 * 4.3.2).
 */
void bgp_peer_bfd_down(struct bgp_peer *, bool ends, struct mono now);

/* ---- connections ---- */

/* The owner's own object of a connection. NULL after connect() and accept until it is set. */
void bgp_conn_set_io(struct bgp_conn *, void *io);
void *bgp_conn_io(const struct bgp_conn *);
enum bgp_side bgp_conn_side(const struct bgp_conn *);
enum bgp_state bgp_conn_state(const struct bgp_conn *);

void bgp_connected(struct bgp_conn *, struct mono now);
/* why: "connection refused"; for the reason. */
void bgp_connect_failed(struct bgp_conn *, const char *why, struct mono now);
/*
 * The peer has connected to us. NULL: refused, the owner closes the socket (*why, when given, is a static sentence).
 * The OPEN is ready for bgp_output() on return. The owner sets io before anything else; close and output_ready may
 * not come before that.
 */
struct bgp_conn *bgp_accept(struct bgp_peer *, struct mono now, const char **why);
/* The connection broke or the peer closed it; why as above. close() is called as for any other end. */
void bgp_closed(struct bgp_conn *, const char *why, struct mono now);

/*
 * Bytes that have arrived. Consumes whole messages only, and returns how many bytes that was; the owner keeps the
 * rest and presents it again in front of what follows. When it closes the connection it returns n. A bounded amount
 * of work: when bgp_input_pending() is true afterwards there is a whole message left, or a piece of one that was too
 * long for one slice (then nothing of it is consumed yet), and the owner calls again in its next slice.
 */
size_t bgp_input(struct bgp_conn *, const uint8_t *bytes, size_t n, struct mono now);
/*
 * Bytes have arrived, and the owner takes no input now: until the next bgp_input() the hold time does not run out, since
 * it is not the peer that is silent.
 */
void bgp_input_waits(struct bgp_conn *);
bool bgp_input_pending(const struct bgp_conn *);
/* The largest message that may come: room that the owner's buffer must have. */
size_t bgp_input_max(const struct bgp_conn *);

/*
 * Copies what is to be sent, at most cap bytes, in the order of the wire; 0: nothing. Control messages go before
 * queued UPDATEs, at message borders. The owner reports what TCP has taken by bgp_wrote().
 */
size_t bgp_output(struct bgp_conn *, uint8_t *buf, size_t cap, struct mono now);
void bgp_wrote(struct bgp_conn *, size_t n, struct mono now);

/* ---- time ---- */

struct mono bgp_deadline(const struct bgp_peer *);  /* MONO_NEVER: none */
void bgp_timer(struct bgp_peer *, struct mono now); /* does all that is due */

/* ---- what an Established peer sends ---- */

/* Queues one reference of its own; false: not Established. */
bool bgp_send(struct bgp_peer *, struct bgp_batch *);
/* What is patched into UPDATEs of a family as they are copied out. Set it before sending any. */
void bgp_peer_set_next_hop(struct bgp_peer *, enum family, const struct bgp_next_hop *);
/* Asks the peer for its routes again, or marks begin and end of ours. False: not negotiated. */
bool bgp_send_refresh(struct bgp_peer *, enum family, enum bgp_refresh);
/*
 * Memory of what is queued and not yet copied out, the heads of batches with it: a slow peer shows here. 0: nothing
 * waits. The owner decides when it leaves its export group.
 */
size_t bgp_queue_bytes(const struct bgp_peer *);
/* Drops queued batches that nothing of was copied out yet; returns their bytes. For a slow peer that is resent later.
 */
size_t bgp_queue_drop(struct bgp_peer *);

/* ---- facts ---- */

enum bgp_state bgp_peer_state(const struct bgp_peer *);
void *bgp_peer_arg(const struct bgp_peer *);
/* Why it is not Established now; with cause NONE and the time of it while it is. Always has a sentence. */
const struct bgp_reason *bgp_peer_reason(const struct bgp_peer *);
/* The last time that Established ended; cause NONE: never. */
const struct bgp_reason *bgp_peer_last_reset(const struct bgp_peer *);
const struct bgp_counters *bgp_peer_counters(const struct bgp_peer *);
const struct bgp_session_facts *bgp_peer_facts(const struct bgp_peer *);
const struct bgp_restart *bgp_peer_restart(const struct bgp_peer *);
const struct bgp_config *bgp_peer_config(const struct bgp_peer *); /* defaults filled in */
struct mono bgp_peer_since(const struct bgp_peer *);               /* of the present state */
/* Text of the last NOTIFICATION either way, "" when there was none. */
const char *bgp_peer_notice_in(const struct bgp_peer *);
const char *bgp_peer_notice_out(const struct bgp_peer *);
/* Options with which UPDATEs are encoded for this peer: what its session allows. MED and such are the owner's. */
struct bgp_encode_opts bgp_peer_encode_opts(const struct bgp_peer *);

#endif
