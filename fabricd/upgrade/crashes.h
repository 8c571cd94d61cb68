/*
 * fabricd/upgrade/crashes.h -- a fabricd that crashed, or could not start: how often, and how long the next one waits
 *
 *   start: crashes_read() -> crashes_wait() -> wait, or stay down -> crashes_write(running) ... a planned end: not running
 *
 * The supervisor starts a process again whenever it has ended; that this becomes a slow loop, and then ends, is decided
 * here, by a file beside the lock: 0, 1, 2, 4 ... 60 s, and after CRASHES_LIMIT ends within CRASHES_SPAN_MS none any more.
 * Forwarding stays as it is meanwhile, and the neighbours wait for their restart time.
 *
 * A file that is missing, damaged, or of another boot says nothing, and nobody waits for it.
 */
#ifndef FABRICD_UPGRADE_CRASHES_H
#define FABRICD_UPGRADE_CRASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASHES_LIMIT   5
#define CRASHES_SPAN_MS (10 * 60 * 1000)
#define CRASHES_MOST_MS (60 * 1000)
#define CRASHES_NEVER   (-1)

struct crashes {
	int64_t at_ms[CRASHES_LIMIT]; /* since the boot, oldest first; those of the last ten minutes */
	size_t n;
	bool unclean; /* the last process ended without a word: the newest of them */
};

/* What the file in `dir` says at a time (milliseconds since the boot). A running process that is no more counts as ended now. */
void crashes_read(const char *dir, int64_t now_ms, struct crashes *out);
/* Milliseconds to wait before the start; CRASHES_NEVER: stay down. */
int64_t crashes_wait(const struct crashes *);
/* 0 or -errno. running: from now on an end without another call is a crash. */
int crashes_write(const char *dir, const struct crashes *, bool running);
/* A planned end of a process that took over from the one that wrote the file: as crashes_write() by that one. */
int crashes_end(const char *dir);
int64_t crashes_now(void); /* milliseconds since the boot, sleep included */

#endif
