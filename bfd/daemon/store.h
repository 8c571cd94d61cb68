/* bfd/daemon/store.h -- the file in shared memory in which bfdd's sessions outlive it */
#ifndef BFD_DAEMON_STORE_H
#define BFD_DAEMON_STORE_H

#include "bfd/host/host.h"

struct bfd_store;

struct bfd_store_found {
	struct bfd_image_found image;
	uint64_t seed;   /* for the engine */
	uint16_t tag;    /* the same */
	int64_t away_us; /* since the process before was last at work; -1: there is nothing to go on with */
	const char *why; /* there is nothing, a constant; NULL: none was looked for */
};

/*
 * Opens or makes the file; what cannot be read is begun anew, and so is everything when `anew`. NULL: there can be no such
 * file, or another bfdd has it (EWOULDBLOCK), which is left as it is; errno says why. seed: of a new one. now: monotonic.
 */
struct bfd_store *bfd_store_open(
    struct mem *, const char *path, uint64_t seed, bool anew, struct mono now, struct bfd_store_found *);
/* Gives what was found to the host, once. Returns how many sessions go on. */
size_t bfd_store_restore(struct bfd_store *, struct bfd_host *);
/* For bfd_host_config. */
void bfd_store_keep(void *store, uint32_t *slot, const struct bfd_record *);
void bfd_store_alive(struct bfd_store *, struct mono now);
/* remove: the sessions have ended with us. NULL is allowed. */
void bfd_store_close(struct bfd_store *, bool remove);

#endif
