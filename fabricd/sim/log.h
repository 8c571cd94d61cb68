/*
 * fabricd/sim/log.h -- everything that happened in a run, line by line, in virtual time, and the hash of it
 *
 * Two runs are the same when their hashes are. The last lines are kept, for what led to a violation.
 */
#ifndef FABRICD_SIM_LOG_H
#define FABRICD_SIM_LOG_H

#include <stdio.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mono.h"

#define SIMLOG_LINE 400
#define SIMLOG_KEEP 64

struct simlog {
	uint64_t hash, lines;
	FILE *out; /* NULL: not printed */
	char kept[SIMLOG_KEEP][SIMLOG_LINE];
};

/* `who`: a node, or "*" for the world. */
void simlog_add(struct simlog *, struct mono at, const char *who, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Prints the newest n of the kept lines. */
void simlog_tail(const struct simlog *, size_t n, FILE *out);
/* "12.000345": seconds, into a buffer of the caller. */
#define SIMLOG_TIME 32
char *simlog_time(struct mono at, char buf[SIMLOG_TIME]);

#endif
