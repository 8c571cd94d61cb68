/* bfd/fsm.h -- the state machine of RFC 5880 6.2 and 6.8.6, as a table */
#ifndef BFD_FSM_H
#define BFD_FSM_H

#include <stdbool.h>

#include "bfd/state.h"

/* What may happen: a packet with one of the four states, in their order; or silence. */
enum bfd_event { BFD_RX_ADMIN, BFD_RX_DOWN, BFD_RX_INIT, BFD_RX_UP, BFD_EXPIRED, BFD_ECHO_EXPIRED, BFD_EVENTS };

struct bfd_step {
	bool moves;
	enum bfd_state to;
	enum bfd_diag diag;
};

/* What the event does in that state; moves is false when nothing. */
struct bfd_step bfd_fsm_step(enum bfd_state, enum bfd_event);

#endif
