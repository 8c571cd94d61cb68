/*
 * fabricd/sim/scenario.h -- one run of a fabric with a list of faults, judged all along
 *
 *   trace file or chaos --> struct scenario --scenario_run()--> struct outcome: violation, log hash, counts
 *
 * A scenario is known by its topology, seed and faults: the same ones give the same run, line by line, everywhere.
 */
#ifndef FABRICD_SIM_SCENARIO_H
#define FABRICD_SIM_SCENARIO_H

#include "fabricd/sim/fault.h"

struct scenario {
	const struct topo *topo;
	uint64_t seed;
	bool bfd;             /* on every link between switches; else silence ends by hold time */
	bool outside;         /* routers at the other end of external ports */
	uint32_t feed;        /* prefixes that each of them announces beside a default route */
	int64_t cpu_us;       /* as in struct world_config */
	struct fault *faults; /* any order */
	size_t nfaults;
	struct mono until; /* at least; the end of the last fault, and some rest, are waited for */
};

struct outcome {
	struct check_violation violation;
	struct check_stats stats;
	uint64_t hash, lines; /* of the log */
	struct mono end;
	struct sim_stats sim;
	uint32_t done[FAULT_KINDS]; /* faults that had an effect, by kind */
	uint32_t idle;              /* faults that had none */
	uint32_t overlapping;       /* of those with an effect: another was going on meanwhile */
	char error[256];            /* the run could not be made; "" */
};

struct scenario_watch {
	struct simlog *log; /* filled in; NULL: one of its own */
	sim_tap_fn *tap;    /* of all bytes between nodes, from tap_from on */
	void *tap_arg;
	struct mono tap_from;
	/* Called when the world has been made, so that the tap can ask it for the time. */
	void (*made)(void *arg, struct world *);
	void *made_arg;
};

void scenario_run(const struct scenario *, const struct scenario_watch *, struct outcome *);

/* When faults may begin: the fabric has come up and is counted on by then. */
#define SCENARIO_WARM_US SECONDS(100)

/*
 * A trace: lines "topology FILE", "seed N", "until SECONDS", "bfd", "outside N", "cpu US", and
 * faults; # begins a comment. `load` gives the
 * topology for a file's name. False with a sentence in err, which names the line.
 */
typedef const struct topo *scenario_load_fn(void *arg, const char *file, char *err, size_t errlen);
bool scenario_parse(const char *text, scenario_load_fn *, void *arg, struct scenario *out, char *err, size_t errlen);
void scenario_print(const struct scenario *, const char *file, FILE *);
/* The same on one line, as in tests/sim/seeds: FILE; seed N; until SECONDS; fault; fault ... */
void scenario_print_line(const struct scenario *, const char *file, FILE *);

#endif
