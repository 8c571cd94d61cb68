/* bfd/daemon/keeper.h -- the process that holds bfdd's sockets, and starts the one that works with them */
#ifndef BFD_DAEMON_KEEPER_H
#define BFD_DAEMON_KEEPER_H

#include "bfd/daemon/sockets.h"

/*
 * Runs until it is told to end by SIGTERM or SIGINT: returns the exit status. argv: of the worker, without its program
 * and without `--worker FD`, which is added; NULL ends it.
 */
int bfd_keeper_run(const char *const *argv);

/* ---- the worker's end; fd: what `--worker` said ---- */

/*
 * Says that the worker is ready, and waits until it is its turn; fn is given each descriptor that was kept meanwhile.
 * 0, or -errno: the keeper is gone.
 */
int bfd_keeper_wait(int fd, void (*fn)(void *arg, const struct bfd_fd_key *, int kept), void *arg);
/* What the keeper has no room for yet, in its order, with copies of the descriptors. All 0 at first. */
struct bfd_keeper_late {
	struct bfd_kept *list;
	size_t n, cap;
};
/*
 * Keeps a copy of `kept` for the next worker; -1: no more. Never waits. True: it is late, so bfd_keeper_flush() is to be
 * called when fd is writable. What cannot be kept at all is opened anew by the next worker.
 */
bool bfd_keeper_keep(int fd, struct bfd_keeper_late *, const struct bfd_fd_key *, int kept);
/* True: something is late still. */
bool bfd_keeper_flush(int fd, struct bfd_keeper_late *);
void bfd_keeper_late_free(struct bfd_keeper_late *);
/* Whether the keeper wants this worker to make room for the next one; -EPIPE: it is gone. Never waits. */
int bfd_keeper_wants_room(int fd);

#endif
