/* bfd/state.h -- states and diagnostics of a BFD session (RFC 5880 4.1), and why packets are dropped; with names. */
#ifndef BFD_STATE_H
#define BFD_STATE_H

#include <stdint.h>

/* The values are those of the wire. */
enum bfd_state { BFD_ADMIN, BFD_DOWN, BFD_INIT, BFD_UP, BFD_STATES };

enum bfd_diag {
	BFD_DIAG_NONE,
	BFD_DIAG_TIMEOUT, /* control detection time expired */
	BFD_DIAG_ECHO,    /* echo function failed */
	BFD_DIAG_NEIGHBOR_DOWN,
	BFD_DIAG_FORWARDING_RESET,
	BFD_DIAG_PATH_DOWN,
	BFD_DIAG_CONCATENATED_DOWN,
	BFD_DIAG_ADMIN_DOWN,
	BFD_DIAG_REVERSE_CONCATENATED_DOWN,
	BFD_DIAGS,
};

/* What became of a received packet; each is a counter (counters.c). The first block is RFC 5880 6.8.6 in its order. */
enum bfd_drop {
	BFD_TAKEN, /* not dropped */
	BFD_DROP_SHORT,
	BFD_DROP_VERSION,
	BFD_DROP_LENGTH_SMALL,
	BFD_DROP_LENGTH_LARGE,
	BFD_DROP_MULTIPLIER,
	BFD_DROP_MULTIPOINT,
	BFD_DROP_MY_DISCR,
	BFD_DROP_YOUR_DISCR,
	BFD_DROP_STATE,
	BFD_DROP_NO_SESSION,
	BFD_DROP_AUTH_UNEXPECTED,
	BFD_DROP_AUTH_MISSING,
	BFD_DROP_AUTH_TYPE,
	BFD_DROP_AUTH_KEY_ID,
	BFD_DROP_AUTH_SEQUENCE,
	BFD_DROP_AUTH_DIGEST,
	BFD_DROP_ADMIN_DOWN,
	/* RFC 5881 5, 5883 5, and what a session expects of its path */
	BFD_DROP_HOP_LIMIT,
	BFD_DROP_PORT,
	BFD_DROP_ADDRESS,
	BFD_DROP_ECHO, /* an echo packet that is not ours, or came too late */
	BFD_DROPS,
};

const char *bfd_state_name(enum bfd_state); /* "Up"; "?" when there is no such state */
const char *bfd_diag_name(unsigned int);    /* "control detection time expired"; "unknown" */
const char *bfd_drop_name(enum bfd_drop);   /* "version", a word for tables and metrics */

#endif
