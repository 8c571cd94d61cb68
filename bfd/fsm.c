/* bfd/fsm.c -- the state machine as a table, and the names of its words */
#include "bfd/fsm.h"

#include "fabricd/lib/base.h"

#define GO(s, d)                                                                                                       \
	{                                                                                                              \
		.moves = true, .to = BFD_##s, .diag = BFD_DIAG_##d                                                     \
	}

/* Rows and columns without an entry: nothing happens. AdminDown is left by the operator alone. */
static const struct bfd_step steps[BFD_STATES][BFD_EVENTS] = {
	[BFD_DOWN] = { [BFD_RX_DOWN] = GO(INIT, NONE), [BFD_RX_INIT] = GO(UP, NONE) },
	[BFD_INIT] = { [BFD_RX_ADMIN] = GO(DOWN, NEIGHBOR_DOWN),
	    [BFD_RX_INIT] = GO(UP, NONE),
	    [BFD_RX_UP] = GO(UP, NONE),
	    [BFD_EXPIRED] = GO(DOWN, TIMEOUT) },
	[BFD_UP] = { [BFD_RX_ADMIN] = GO(DOWN, NEIGHBOR_DOWN),
	    [BFD_RX_DOWN] = GO(DOWN, NEIGHBOR_DOWN),
	    [BFD_EXPIRED] = GO(DOWN, TIMEOUT),
	    [BFD_ECHO_EXPIRED] = GO(DOWN, ECHO) },
};

struct bfd_step
bfd_fsm_step(enum bfd_state state, enum bfd_event event)
{
	return steps[state][event];
}

const char *
bfd_state_name(enum bfd_state s)
{
	static const char *const names[BFD_STATES] = {
		[BFD_ADMIN] = "AdminDown", [BFD_DOWN] = "Down", [BFD_INIT] = "Init", [BFD_UP] = "Up"
	};

	return (unsigned int)s < BFD_STATES ? names[s] : "?";
}

const char *
bfd_diag_name(unsigned int d)
{
	static const char *const names[BFD_DIAGS] = {
		[BFD_DIAG_NONE] = "no diagnostic",
		[BFD_DIAG_TIMEOUT] = "control detection time expired",
		[BFD_DIAG_ECHO] = "echo function failed",
		[BFD_DIAG_NEIGHBOR_DOWN] = "neighbor signaled session down",
		[BFD_DIAG_FORWARDING_RESET] = "forwarding plane reset",
		[BFD_DIAG_PATH_DOWN] = "path down",
		[BFD_DIAG_CONCATENATED_DOWN] = "concatenated path down",
		[BFD_DIAG_ADMIN_DOWN] = "administratively down",
		[BFD_DIAG_REVERSE_CONCATENATED_DOWN] = "reverse concatenated path down",
	};

	return d < BFD_DIAGS ? names[d] : "unknown";
}
