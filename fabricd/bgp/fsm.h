/*
 * fabricd/bgp/fsm.h -- the state machine of RFC 4271 section 8 as one table, pure
 *
 * A step says where to go and what to do; session.c does it. One machine runs per connection (RFC 4271 8.2.1).
 */
#ifndef FABRICD_BGP_FSM_H
#define FABRICD_BGP_FSM_H

#include <stdbool.h>
#include <stdint.h>

enum bgp_state {
	BGP_IDLE,
	BGP_CONNECT,
	BGP_ACTIVE,
	BGP_OPEN_SENT,
	BGP_OPEN_CONFIRM,
	BGP_ESTABLISHED,
	BGP_STATES,
};

enum bgp_event {                  /* the RFC's numbers in the comments */
	BGP_EV_START,             /* 1, 3 */
	BGP_EV_START_PASSIVE,     /* 4, 5 */
	BGP_EV_STOP,              /* 2, 8 */
	BGP_EV_RETRY_EXPIRES,     /* 9 */
	BGP_EV_HOLD_EXPIRES,      /* 10 */
	BGP_EV_KEEPALIVE_EXPIRES, /* 11 */
	BGP_EV_SEND_HOLD_EXPIRES, /* 29, RFC 9687 */
	BGP_EV_TCP_UP,            /* 16, 17 */
	BGP_EV_TCP_FAILS,         /* 18 */
	BGP_EV_OPEN,              /* 19 */
	BGP_EV_HEADER_ERROR,      /* 21 */
	BGP_EV_OPEN_ERROR,        /* 22 */
	BGP_EV_COLLISION,         /* 23 */
	BGP_EV_NOTICE_VERSION,    /* 24 */
	BGP_EV_NOTICE,            /* 25 */
	BGP_EV_KEEPALIVE,         /* 26 */
	BGP_EV_UPDATE,            /* 27 */
	BGP_EV_UPDATE_ERROR,      /* 28 */
	BGP_EV_REFRESH,           /* RFC 2918 */
	BGP_EVENTS,
};

enum bgp_action {               /* done in this order */
	BGP_DO_NOTIFY = 1 << 0, /* send the NOTIFICATION of the event, or the step's own */
	BGP_DO_DOWN = 1 << 1,   /* routes of the peer go */
	BGP_DO_CLOSE = 1 << 2,  /* the connection goes */
	BGP_DO_DIAL = 1 << 3,   /* begin a TCP connection */
	BGP_DO_ARM_RETRY = 1 << 4,
	BGP_DO_STOP_RETRY = 1 << 5,
	BGP_DO_SEND_OPEN = 1 << 6,
	BGP_DO_ARM_LARGE_HOLD = 1 << 7, /* four minutes (RFC 4271 8.2.2) */
	BGP_DO_SEND_KEEPALIVE = 1 << 8,
	BGP_DO_ARM_HOLD = 1 << 9, /* negotiated; none when it is 0 */
	BGP_DO_ARM_KEEPALIVE = 1 << 10,
	BGP_DO_UP = 1 << 11,        /* established */
	BGP_DO_DELIVER = 1 << 12,   /* the message goes to its consumer */
	BGP_DO_IDLE_HOLD = 1 << 13, /* wait before the next start */
};

struct bgp_step {
	bool moves;            /* false: `to` is not looked at */
	uint8_t to;            /* enum bgp_state */
	uint16_t actions;      /* enum bgp_action */
	uint8_t code, subcode; /* NOTIFICATION when the event brings none of its own */
};

/* Never NULL. A step without moves and actions means that the event is ignored. */
const struct bgp_step *bgp_fsm_step(enum bgp_state, enum bgp_event);

const char *bgp_state_name(enum bgp_state); /* "OpenSent" */
const char *bgp_event_name(enum bgp_event);

#endif
