/*
 * fabricd/sim/fault.h -- what can go wrong with a fabric, as lists that people can read, and how it is done
 *
 *   @12.500000 cut leaf1:eth1 for 3.000000
 *   @14 swap leaf1:eth1 leaf2:eth2 for 20
 *   @15 kill spine1 for 2
 *   @16 lose leaf3 with 17
 *
 * Times are seconds of virtual time. `with` is a number that chooses among variants, as the table in docs/simulator.md
 * says. A fault changes only what works when it comes: otherwise it has no effect, and neither has its end.
 */
#ifndef FABRICD_SIM_FAULT_H
#define FABRICD_SIM_FAULT_H

#include "fabricd/sim/check.h"

enum fault_kind {
	FAULT_CUT,
	FAULT_FLAP,
	FAULT_DARK,
	FAULT_KILL,
	FAULT_ONE_WAY,
	FAULT_TWO_WAY,
	FAULT_STALL,
	FAULT_SWAP,
	FAULT_REFUSE,
	FAULT_LOSE,
	FAULT_HANG,
	FAULT_CLOCK,
	FAULT_LIE,
	FAULT_LATE,
	FAULT_LOSSY,
	FAULT_STOP,
	FAULT_UPGRADE,
	FAULT_KINDS,
};
const char *fault_kind_name(enum fault_kind);

enum fault_target { FAULT_AT_LINK, FAULT_AT_LINKS, FAULT_AT_NODE };
enum fault_target fault_target(enum fault_kind);

struct fault {
	enum fault_kind kind;
	struct mono at;
	int64_t us;       /* how long; 0: it has no end of its own */
	uint32_t node[2]; /* [1] only for FAULT_AT_LINKS */
	uint32_t port[2]; /* place in topo_node.ports; only for links */
	uint64_t with;
};

#define FAULT_TEXT 200
char *fault_print(const struct topo *, const struct fault *, char buf[FAULT_TEXT]);
/* One fault in the form above. False with a sentence in err. */
bool fault_parse(const struct topo *, const char *text, struct fault *out, char *err, size_t errlen);

/*
 * "NODE" or "NODE:PORT" (a wired port between switches) into places; *port TOPO_NONE for a node alone. False with a
 * sentence that names near matches.
 */
bool fault_place(const struct topo *, const char *text, uint32_t *node, uint32_t *port, char *err, size_t errlen);

/* ---- doing it ---- */

struct fault_step {
	struct mono at;
	uint32_t fault; /* index in its list */
	uint32_t nth;   /* of the fault's steps; odd ones undo */
};

/* The steps of all faults, in order of time; *n of them, free() it. */
struct fault_step *fault_steps(const struct fault *, size_t nfaults, size_t *n);

/*
 * Does one step to a world, and tells its checks (c may be NULL). Returns whether it had an effect; -errno when a node
 * could not be booted.
 */
int fault_do(struct world *, struct check *, const struct fault *, uint32_t nth);

/* Whether its node does not run, once it has begun, until it ends. */
bool fault_ends_process(enum fault_kind);

#endif
