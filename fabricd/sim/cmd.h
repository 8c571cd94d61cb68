/* fabricd/sim/cmd.h -- the commands of fabsim: what each does with the options that main.c has read */
#ifndef FABRICD_SIM_CMD_H
#define FABRICD_SIM_CMD_H

#include "fabricd/sim/chaos.h"

enum { EXIT_MET = 0, EXIT_UNMET = 1, EXIT_USAGE = 2 };

#define CMD_FAILS 64

struct cmd {
	const struct topo *topo;
	const char *file; /* as it was given */
	uint64_t seed;
	const char *fail[CMD_FAILS]; /* NODE or NODE:PORT */
	size_t nfail;
	struct mono at, heal; /* after the fabric has come up; heal NEVER: not */
	uint32_t events;
	int64_t us;   /* of chaos */
	uint32_t any; /* failures at a time: 1 or 2 */
	uint32_t sample;
	uint32_t jobs;
	uint32_t runs;    /* of shrinking */
	const char *save; /* where the shrunk trace goes, or NULL */
	bool bfd;         /* on all links between switches */
	bool outside;     /* routers at the other end of external ports */
	uint32_t feed;    /* prefixes of each */
	int64_t cpu_us;   /* CPU time of each callback of a switch */
	bool log;         /* print the event log */
};

int cmd_run(const struct cmd *);
int cmd_chaos(const struct cmd *);
int cmd_replay(const struct cmd *, const struct scenario *);
int cmd_whatif(const struct cmd *);

#endif
