/*
 * fabricd/bgp/peer.h -- inside of a peer, shared by session.c, receive.c and send.c; nobody else includes it
 *
 *   session.c  life, state machine, timers, collisions      receive.c  bytes to events
 *   send.c     queues, output, send hold                    restart.c  graceful restart: what is kept, for how long
 *
 * Every public call is wrapped in peer_enter() and peer_leave(): the outermost leave does what ops asked for while
 * they ran (reset, stop), starts again what may start, and tells a changed state.
 */
#ifndef FABRICD_BGP_PEER_H
#define FABRICD_BGP_PEER_H

#include "fabricd/bgp/session.h"
#include "fabricd/lib/base.h"

#define CONTROL_MAX 512 /* an OPEN, a KEEPALIVE and some ROUTE-REFRESHs */

struct bgp_conn {
	struct bgp_peer *peer;
	void *io;
	uint8_t side;  /* enum bgp_side */
	uint8_t state; /* enum bgp_state */
	bool open;     /* the owner holds a connection for it, or an attempt */
	bool has_remote;
	bool waits; /* its OPEN is not confirmed yet, see conn_wait(); until `keepalive` at latest */
	bool input_more;
	bool unread;       /* bgp_input_waits() */
	bool ready_told;   /* output_ready was called and output not yet drained */
	bool hold_granted; /* since the last message */
	uint32_t told;     /* prefixes of the UPDATE in hand that the owner has been told; 0: none is in hand */
	struct mono hold, keepalive;
	struct bgp_open remote;
	uint32_t caps; /* both have; from OpenConfirm on */
	uint16_t hold_s;
	/* control messages, first in first out; sent before UPDATEs */
	uint16_t control_len;
	uint8_t control[CONTROL_MAX];
	uint64_t produced, written; /* octets by bgp_output(), by bgp_wrote() */
};

/* Batches that wait, and how far the first one has been copied out. One queue per peer: one session at a time. */
struct queue {
	struct bgp_batch **ring;
	size_t cap, head, n; /* cap is 0 or a power of two */
	size_t bytes;        /* not yet copied out */
	size_t off;          /* in the first batch */
	size_t msg, msg_len; /* message in hand: begins at msg; msg_len 0: none is begun */
};

enum ask { ASK_NOTHING, ASK_STOP, ASK_RESET, ASK_BFD };

struct bgp_peer {
	struct mem *mem;
	struct bgp_scratch *scratch;
	struct bgp_config cfg;
	struct bgp_ops ops;
	void *arg;
	char *name, *hostname;

	bool started, link;
	bool refuse;         /* while idle runs, the peer's connections are refused: the error was its own */
	uint8_t state;       /* as told last */
	unsigned int inside; /* nesting of public calls */
	struct mono now;     /* of the call in hand */
	struct mono since;   /* of state */
	struct mono retry, idle;
	struct mono probed;    /* a KEEPALIVE was sent since somebody connects */
	unsigned int failures; /* attempts to connect in a row */
	unsigned int penalty;  /* errors in a row: doubles the idle hold time */

	enum ask ask; /* what an op asked for */
	struct bgp_notice ask_notice;
	int64_t ask_idle_us;
	char ask_text[160];

	struct bgp_conn conns[BGP_SIDES];
	struct bgp_session_facts facts;
	struct bgp_reason reason, last_reset;
	struct bgp_counters counters;
	char notice_in[BGP_NOTICE_TEXT], notice_out[BGP_NOTICE_TEXT];
	struct {
		bool told;
		struct mono at;
		uint64_t suppressed;
	} events[BGP_EVENT_KINDS];

	struct {
		bool begun;       /* by the peer */
		bool pending;     /* asked for, not yet told to the owner */
		struct mono next; /* earliest time of the next answer */
	} refresh[FAMILIES];

	struct bgp_restart restart;
	uint8_t early;                  /* families whose End-of-RIB came before their routes, */
	struct mono early_until;        /* which have until then */
	uint64_t told_before[FAMILIES]; /* counters.prefixes_in when the session came up */
	bool restarted;                 /* of the next OPEN: R bit, */
	uint8_t forwarding;             /* and F bits */
	bool silent;                    /* while stopping: no NOTIFICATION */

	struct queue queue;
	struct mono send_hold;
	bool
	    send_unclocked; /* send_hold was armed without knowing the time; the next call that brings it corrects it */
	uint64_t send_goal; /* conn.written must reach this before send_hold */
	struct bgp_next_hop next_hop[FAMILIES];
	bool has_next_hop[FAMILIES];
};

/* ---- session.c ---- */

void peer_enter(struct bgp_peer *, struct mono now);
void peer_leave(struct bgp_peer *);
/* One step of the state machine. notice: what to send with NOTIFY, or what came; NULL: the step's own, or none. */
void conn_event(struct bgp_conn *, enum bgp_event, const struct bgp_notice *);
/* Whether c is what the peer's state rests on: the other connection has not got further. */
bool conn_leads(const struct bgp_conn *c);
/* Sets why the peer is not up, before the event that takes it down. */
void peer_blame(struct bgp_peer *, enum bgp_cause, const char *fmt, ...) PRINTF_LIKE(3, 4);
void peer_event(struct bgp_peer *, enum bgp_event_kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Decides between two connections, as far as it can be decided; c is the one that something happened to. */
void peer_resolve_collision(struct bgp_peer *, struct bgp_conn *c);
bool conn_wait(struct bgp_conn *);                    /* whether its OPEN is to be confirmed later */
void conn_confirm(struct bgp_conn *);                 /* OPEN is accepted: on to OpenConfirm */
struct bgp_conn *peer_established(struct bgp_peer *); /* or NULL */

/* ---- restart.c ---- */

/* Both have the capability, and both their N bit. */
bool restart_agreed(const struct bgp_peer *);
bool restart_notified(const struct bgp_peer *);
/* The NOTIFICATION as a hard reset, when the peer would take a plain one for a restart. */
struct bgp_notice restart_hard(const struct bgp_peer *, const struct bgp_notice *);
void restart_session_ended(struct bgp_peer *); /* the reason is set; before ops.down */
void restart_session_up(struct bgp_peer *);    /* before the owner is told */
void restart_end_of_rib(struct bgp_peer *, uint8_t families);
void restart_abort(struct bgp_peer *, enum bgp_stale_end, const char *text);
void restart_timer(struct bgp_peer *);

/* ---- send.c ---- */

void send_open(struct bgp_conn *);
void send_keepalive(struct bgp_conn *);
/* What is to follow on the wire when the connection ends: the rest of a message, then the notice (NULL: none). The
 * caller frees *out (MEM_SESSION). */
size_t send_last(struct bgp_conn *, const struct bgp_notice *, uint8_t **out);
void send_forget(
    struct bgp_peer *, struct bgp_conn *); /* drops control messages, and the queue of an Established one */
void send_timer(struct bgp_peer *);
void send_clock(struct bgp_peer *);

#endif
