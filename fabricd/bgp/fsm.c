/*
 * fabricd/bgp/fsm.c -- see fsm.h
 *
 * The table shows what happens; an empty place is an event that is ignored in that state. Where it leaves the RFC's
 * letter: a connection that fails before it is up leads to Active and not to Idle, so that our next attempt waits for the
 * retry timer, and the peer's own is welcome in between (DelayOpen is not there).
 */
#include "fabricd/bgp/fsm.h"

#include <stddef.h>

#include "fabricd/bgp/message.h"
#include "fabricd/lib/base.h"

#define DO(x) BGP_DO_##x
#define GO(state, ...)                                                                                                 \
	{                                                                                                              \
		.moves = true, .to = BGP_##state, .actions = 0 __VA_ARGS__                                             \
	}
#define STAY(does)                                                                                                     \
	{                                                                                                              \
		.actions = (does)                                                                                      \
	}
#define END(does)                                                                                                      \
	{                                                                                                              \
		.moves = true, .to = BGP_IDLE, .actions = DO(CLOSE) | (does)                                           \
	}
#define TELL(code_, sub, does)                                                                                         \
	{                                                                                                              \
		.moves = true, .to = BGP_IDLE, .actions = DO(NOTIFY) | DO(CLOSE) | (does), .code = (code_),            \
		.subcode = (sub)                                                                                       \
	}

#define FSM_ERROR(sub, does) TELL(BGP_ERR_FSM, sub, DO(IDLE_HOLD) | (does)) /* RFC 6608 */
#define OWN_ERROR(does)      TELL(0, 0, DO(IDLE_HOLD) | (does))             /* the event brings its NOTIFICATION */

/* clang-format off */
static const struct bgp_step steps[BGP_STATES][BGP_EVENTS] = { /* RFC 4271 8.2.2 */
	[BGP_IDLE] = {
		[BGP_EV_START]		   = GO(CONNECT, | DO(DIAL) | DO(ARM_RETRY)),
		[BGP_EV_START_PASSIVE]	   = GO(ACTIVE),
	},
	[BGP_CONNECT] = {
		[BGP_EV_STOP]		   = END(DO(STOP_RETRY)),
		[BGP_EV_RETRY_EXPIRES]	   = GO(CONNECT, | DO(CLOSE) | DO(DIAL) | DO(ARM_RETRY)),
		[BGP_EV_TCP_UP]		   = GO(OPEN_SENT, | DO(STOP_RETRY) | DO(SEND_OPEN) | DO(ARM_LARGE_HOLD)),
		[BGP_EV_TCP_FAILS]	   = GO(ACTIVE, | DO(CLOSE) | DO(ARM_RETRY)),
		[BGP_EV_COLLISION]	   = END(DO(STOP_RETRY)),
	},
	[BGP_ACTIVE] = {
		[BGP_EV_STOP]		   = GO(IDLE, | DO(STOP_RETRY)),
		[BGP_EV_RETRY_EXPIRES]	   = GO(CONNECT, | DO(DIAL) | DO(ARM_RETRY)),
		[BGP_EV_TCP_UP]		   = GO(OPEN_SENT, | DO(STOP_RETRY) | DO(SEND_OPEN) | DO(ARM_LARGE_HOLD)),
		[BGP_EV_COLLISION]	   = GO(IDLE, | DO(STOP_RETRY)),
	},
	[BGP_OPEN_SENT] = {
		[BGP_EV_STOP]		   = TELL(BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, 0),
		[BGP_EV_HOLD_EXPIRES]	   = TELL(BGP_ERR_HOLD, 0, DO(IDLE_HOLD)),
		[BGP_EV_TCP_FAILS]	   = GO(ACTIVE, | DO(CLOSE) | DO(ARM_RETRY)),
		[BGP_EV_OPEN]		   = GO(OPEN_CONFIRM, | DO(SEND_KEEPALIVE) | DO(ARM_HOLD) | DO(ARM_KEEPALIVE)),
		[BGP_EV_HEADER_ERROR]	   = OWN_ERROR(0),
		[BGP_EV_OPEN_ERROR]	   = OWN_ERROR(0),
		[BGP_EV_COLLISION]	   = TELL(BGP_ERR_CEASE, BGP_CEASE_COLLISION, 0),
		[BGP_EV_NOTICE_VERSION]	   = END(DO(IDLE_HOLD)),
		[BGP_EV_NOTICE]		   = END(DO(IDLE_HOLD)),
		[BGP_EV_KEEPALIVE]	   = FSM_ERROR(1, 0),
		[BGP_EV_UPDATE]		   = FSM_ERROR(1, 0),
		[BGP_EV_UPDATE_ERROR]	   = FSM_ERROR(1, 0),
		[BGP_EV_REFRESH]	   = FSM_ERROR(1, 0),
	},
	[BGP_OPEN_CONFIRM] = {
		[BGP_EV_STOP]		   = TELL(BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, 0),
		[BGP_EV_HOLD_EXPIRES]	   = TELL(BGP_ERR_HOLD, 0, DO(IDLE_HOLD)),
		[BGP_EV_KEEPALIVE_EXPIRES] = STAY(DO(SEND_KEEPALIVE) | DO(ARM_KEEPALIVE)),
		[BGP_EV_TCP_FAILS]	   = GO(ACTIVE, | DO(CLOSE) | DO(ARM_RETRY)),
		[BGP_EV_OPEN]		   = FSM_ERROR(2, 0),
		[BGP_EV_HEADER_ERROR]	   = OWN_ERROR(0),
		[BGP_EV_OPEN_ERROR]	   = OWN_ERROR(0),
		[BGP_EV_COLLISION]	   = TELL(BGP_ERR_CEASE, BGP_CEASE_COLLISION, 0),
		[BGP_EV_NOTICE_VERSION]	   = END(DO(IDLE_HOLD)),
		[BGP_EV_NOTICE]		   = END(DO(IDLE_HOLD)),
		[BGP_EV_KEEPALIVE]	   = GO(ESTABLISHED, | DO(ARM_HOLD) | DO(UP)),
		[BGP_EV_UPDATE]		   = FSM_ERROR(2, 0),
		[BGP_EV_UPDATE_ERROR]	   = FSM_ERROR(2, 0),
		[BGP_EV_REFRESH]	   = FSM_ERROR(2, 0),
	},
	[BGP_ESTABLISHED] = {
		[BGP_EV_STOP]		   = TELL(BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, DO(DOWN)),
		[BGP_EV_HOLD_EXPIRES]	   = TELL(BGP_ERR_HOLD, 0, DO(DOWN)),
		[BGP_EV_KEEPALIVE_EXPIRES] = STAY(DO(SEND_KEEPALIVE) | DO(ARM_KEEPALIVE)),
		[BGP_EV_SEND_HOLD_EXPIRES] = TELL(BGP_ERR_SEND_HOLD, 0, DO(DOWN) | DO(IDLE_HOLD)),
		[BGP_EV_TCP_FAILS]	   = END(DO(DOWN)),
		[BGP_EV_OPEN]		   = FSM_ERROR(3, DO(DOWN)),
		[BGP_EV_HEADER_ERROR]	   = OWN_ERROR(DO(DOWN)),
		[BGP_EV_OPEN_ERROR]	   = FSM_ERROR(3, DO(DOWN)),
		[BGP_EV_NOTICE_VERSION]	   = END(DO(DOWN) | DO(IDLE_HOLD)),
		[BGP_EV_NOTICE]		   = END(DO(DOWN) | DO(IDLE_HOLD)),
		[BGP_EV_KEEPALIVE]	   = STAY(DO(ARM_HOLD)),
		[BGP_EV_UPDATE]		   = STAY(DO(ARM_HOLD) | DO(DELIVER)),
		[BGP_EV_UPDATE_ERROR]	   = OWN_ERROR(DO(DOWN)),
		[BGP_EV_REFRESH]	   = STAY(DO(ARM_HOLD) | DO(DELIVER)),
	},
};
/* clang-format on */

const struct bgp_step *
bgp_fsm_step(enum bgp_state state, enum bgp_event event)
{
	static const struct bgp_step nothing;

	if ((size_t)state >= BGP_STATES || (size_t)event >= BGP_EVENTS)
		return &nothing;
	return &steps[state][event];
}

const char *
bgp_state_name(enum bgp_state state)
{
	static const char *const names[BGP_STATES] = { "Idle", "Connect", "Active", "OpenSent", "OpenConfirm",
		"Established" };

	return (size_t)state < BGP_STATES ? names[state] : "?";
}

const char *
bgp_event_name(enum bgp_event event)
{
	static const char *const names[BGP_EVENTS] = {
		[BGP_EV_START] = "start",
		[BGP_EV_START_PASSIVE] = "passive start",
		[BGP_EV_STOP] = "stop",
		[BGP_EV_RETRY_EXPIRES] = "connect retry timer",
		[BGP_EV_HOLD_EXPIRES] = "hold timer",
		[BGP_EV_KEEPALIVE_EXPIRES] = "keepalive timer",
		[BGP_EV_SEND_HOLD_EXPIRES] = "send hold timer",
		[BGP_EV_TCP_UP] = "connected",
		[BGP_EV_TCP_FAILS] = "connection failed",
		[BGP_EV_OPEN] = "OPEN",
		[BGP_EV_HEADER_ERROR] = "header error",
		[BGP_EV_OPEN_ERROR] = "OPEN error",
		[BGP_EV_COLLISION] = "collision",
		[BGP_EV_NOTICE_VERSION] = "NOTIFICATION of a version error",
		[BGP_EV_NOTICE] = "NOTIFICATION",
		[BGP_EV_KEEPALIVE] = "KEEPALIVE",
		[BGP_EV_UPDATE] = "UPDATE",
		[BGP_EV_UPDATE_ERROR] = "UPDATE error",
		[BGP_EV_REFRESH] = "ROUTE-REFRESH",
	};

	return (size_t)event < BGP_EVENTS ? names[event] : "?";
}
