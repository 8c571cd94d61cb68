/* bfd/daemon/guard.h -- a thread that moves bfdd to another processor when the one that it is on does not run it */
#ifndef BFD_DAEMON_GUARD_H
#define BFD_DAEMON_GUARD_H

#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"

struct bfd_guard;

/*
 * Puts the calling thread on the last processor that it may use, and guards it from the one before. priority: of
 * SCHED_FIFO, for the guard. *out: NULL when there is only one processor, which is no error. 0 or -errno.
 */
int bfd_guard_new(struct mem *, int priority, struct bfd_guard **out);
/* When the guarded thread means to run next; MONO_NEVER: it waits for nothing. Costs one system call. */
void bfd_guard_expect(struct bfd_guard *, struct mono at);
/* It runs, however long that may take. */
void bfd_guard_runs(struct bfd_guard *);
/* How often it was moved. */
uint64_t bfd_guard_moves(const struct bfd_guard *);
/* Ends the thread. NULL is allowed. */
void bfd_guard_free(struct bfd_guard *);

#endif
