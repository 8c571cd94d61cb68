/*
 * fabricd/sim/check.h -- what must be true of a fabric at every event, after every fault, and when it is quiet
 *
 *   at every event   no valley and no loop; no packet leaves the fabric; no port is added to what a prefix's packets
 *                    take unless its neighbour advertises the prefix
 *   after a fault    whoever can be reached is reached again within detection + propagation + 10 ms, worst flow; only
 *                    pairs between which the fault lies may be lost at all
 *   between messages a session hears of a switch that is not stalled at least each third of its hold time, and a slice
 *   upgrade          nobody loses a packet or a session by it; where nothing else goes on, no packet
 *                    goes elsewhere, no next hop changes and no UPDATE is seen, and it succeeds
 *   when quiet       every switch sends to every destination over the full set of shortest valley-free paths, as the
 *                    oracle finds them; RIB = what sync wants = what the forwarding plane does; every session that is
 *                    down says why
 *   when withdrawn   with all links cut nothing is left of what neighbours have told
 *
 * "Can be reached" is said of links and nodes that have worked for a while: sessions wait longer after each of several
 * failures, from CHECK_FIRST_US after the first up to reconnect_us. The first violation is kept; what follows from it is
 * not looked at.
 */
#ifndef FABRICD_SIM_CHECK_H
#define FABRICD_SIM_CHECK_H

#include "fabricd/sim/bound.h"
#include "fabricd/sim/flow.h"
#include "fabricd/sim/log.h"
#include "fabricd/sim/oracle.h"

enum check_kind {
	CHECK_NONE,
	CHECK_VALLEY,
	CHECK_LEAVES,
	CHECK_UNADVERTISED,
	CHECK_BLACK_HOLE,
	CHECK_PATHS,
	CHECK_RIB_FIB,
	CHECK_REASON,
	CHECK_RESTLESS,
	CHECK_LEAK,
	CHECK_OUTSIDE,
	CHECK_LATE,
	CHECK_UPGRADE,
	CHECK_KINDS,
};
const char *check_kind_name(enum check_kind);

struct check_violation {
	enum check_kind kind; /* CHECK_NONE: none */
	struct mono at;
	char text[512];
};

struct check_stats {
	uint64_t flow_changes;   /* ports of (destination, node) that changed */
	struct mono last_change; /* of them */
	uint64_t quiet;          /* full comparisons done */
	uint64_t losses;         /* (destination, node) that could not be reached for a while, and should have been */
	int64_t worst_us;        /* the longest of them */
	uint64_t upgrades, unnoticed; /* switches that were upgraded; of these, while nothing else went on */
	uint64_t given_up, put_off;   /* upgrades that were broken off; that were never begun */
	uint64_t isolated,
	    parted; /* at the last comparison: pairs of switches without a valley-free path, by design or cut off */
};

/* One loss that has ended: from `since` on `node` had no good path to `dest`, for so long. */
typedef void check_loss_fn(void *arg, size_t dest, uint32_t node, struct mono since, int64_t us);

/* A link or a node that works again after it had worked for long is counted on after twice this. */
#define CHECK_FIRST_US MS(2500)

struct check_config {
	int64_t
	    reconnect_us; /* a link or a node that works again is counted on after this at the latest; 0: 90 s, or as damping asks */
	int64_t allowance_us; /* beside detection and propagation; 0: 10 ms */
	bool cold;            /* the fabric comes up: nothing is counted on yet; else all that works now is */
	struct simlog *log;   /* NULL: nothing is written down */
	check_loss_fn *loss;  /* NULL: nobody */
	void *arg;
};

struct check;

/* Takes the world's observer. */
struct check *check_new(struct world *, const struct check_config *);
void check_free(struct check *); /* NULL is allowed */

const struct flow *check_flow(const struct check *);
const struct oracle *check_oracle(const struct check *);
const struct check_violation *check_violation(const struct check *);
const struct check_stats *check_stats(const struct check *);
/* What works, and is counted on; valid until the next call. */
struct oracle_graph check_counted_on(const struct check *);
const struct oracle_paths *check_paths(const struct check *, uint32_t owner);

/*
 * A fault began or ended now at n places (n 0: anywhere): what works is read anew, and may be noticed only after
 * detection_us (0: at once). A node that is slow until some time (it is stalled, its forwarding plane hangs or refuses)
 * is not counted on until it has been well for a while, and what needs its help may last as long.
 */
void check_fault(struct check *, int64_t detection_us, const struct place *, size_t n);
void check_slow(struct check *, uint32_t node, struct mono until, int64_t detection_us);
/* Until then the forwarding plane of a node may do what nobody told it: it leads packets astray, and that is no fault of ours. */
void check_lies(struct check *, uint32_t node, struct mono until);
/* Nobody counts on a link until then, though it may be used. */
void check_unsafe(struct check *, uint32_t link, struct mono until);
/* What a fault left in a forwarding plane may be there until then, when its audit has found it: no rest before. */
void check_untidy(struct check *, struct mono until);

/*
 * The fabricd of a node gives way to another one, for at most so long: nothing may be lost by that, but what others have
 * to do waits for it. And it has ended, as world_upgraded_fn says.
 */
void check_upgrade_begins(struct check *, uint32_t node, int64_t us);
void check_upgrade_ended(struct check *, uint32_t node, int e, const char *why);

/* Also shows all segments to somebody, from now on; the check has the tap of the world. */
void check_tap(struct check *, sim_tap_fn *, void *arg);

/* Runs the world, and looks. Ends early, at the next millisecond or so, on a violation. */
void check_run_until(struct check *, struct mono);
/* Whether everything that works has worked for so long that it is counted on, and no node is slow. */
bool check_is_calm(const struct check *);
struct mono check_calm_at(const struct check *);
/* The comparison of the whole fabric; the fabric should be calm. */
void check_quiet(struct check *);
/*
 * From now on it compares what packets do everywhere, but RIBs only where packets have moved since, and reads no
 * forwarding plane back: for one of thousands of trials that begin with what was compared whole.
 */
void check_lightly(struct check *);
/*
 * Nothing may be left; all links should have been cut for a while. A node that was empty before, and has not been
 * restarted, may hold no more blocks of memory than then.
 */
void check_empty(struct check *);

#endif
