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

const char *
bfd_drop_name(enum bfd_drop d)
{
	static const char *const names[BFD_DROPS] = {
		[BFD_TAKEN] = "taken",
		[BFD_DROP_SHORT] = "short",
		[BFD_DROP_VERSION] = "version",
		[BFD_DROP_LENGTH_SMALL] = "length-small",
		[BFD_DROP_LENGTH_LARGE] = "length-large",
		[BFD_DROP_MULTIPLIER] = "multiplier",
		[BFD_DROP_MULTIPOINT] = "multipoint",
		[BFD_DROP_MY_DISCR] = "my-discriminator",
		[BFD_DROP_YOUR_DISCR] = "your-discriminator",
		[BFD_DROP_STATE] = "state",
		[BFD_DROP_NO_SESSION] = "no-session",
		[BFD_DROP_AUTH_UNEXPECTED] = "auth-unexpected",
		[BFD_DROP_AUTH_MISSING] = "auth-missing",
		[BFD_DROP_AUTH_TYPE] = "auth-type",
		[BFD_DROP_AUTH_KEY_ID] = "auth-key-id",
		[BFD_DROP_AUTH_SEQUENCE] = "auth-sequence",
		[BFD_DROP_AUTH_DIGEST] = "auth-digest",
		[BFD_DROP_ADMIN_DOWN] = "admin-down",
		[BFD_DROP_HOP_LIMIT] = "hop-limit",
		[BFD_DROP_PORT] = "port",
		[BFD_DROP_ADDRESS] = "address",
		[BFD_DROP_ECHO] = "echo",
	};

	return (unsigned int)d < BFD_DROPS ? names[d] : "?";
}
