/*
 * bfd/host/host.h -- an engine on a runtime: sockets, deadlines, and who wants which session
 *
 * Used by bfdd for its clients, and by bfd_client_local() for one process alone.
 */
#ifndef BFD_HOST_HOST_H
#define BFD_HOST_HOST_H

#include "bfd/bfd.h"
#include "bfd/host/record.h"
#include "fabricd/runtime/runtime.h"

struct bfd_host;
struct bfd_sub;

struct bfd_host_config {
	struct runtime *rt;
	struct mem *mem;
	uint64_t seed;
	uint16_t tag; /* of all discriminators; 0: the one that goes with the seed */
	/* Calls bfd_host_run() at that time; NULL: a timer of the runtime does. */
	void (*arm)(void *arg, struct mono at);
	void *arg;
	size_t max_sessions; /* 0: 4096 */
	/*
	 * Sockets of the host's user instead of the runtime's: then it calls bfd_host_settle() after each reading, and
	 * attend() tells it whether packets of a port that say only "still Up" matter at once. NULL: the runtime's.
	 */
	int (*open)(void *io, const struct rt_datagram_options *, rt_datagram_fn *, void *arg, struct rt_datagrams **);
	void (*attend)(void *io, struct rt_datagrams *, bool);
	void *io;
	/*
	 * Keeps a session for the next process, each time that it is another; record NULL: there is none any more.
	 * *slot is 0 before the first time, and whatever the keeper makes of it from then on. NULL: nobody keeps them.
	 */
	void (*keep)(void *store, uint32_t *slot, const struct bfd_record *record);
	void *store;
};

/* What a subscriber is told, from inside the loop. The subscription must not be freed from it. */
typedef void bfd_sub_fn(void *arg, struct bfd_sub *, const struct bfd_status *);

struct bfd_host *bfd_host_new(const struct bfd_host_config *);
/* Without a word to the neighbours; NULL is allowed. */
void bfd_host_free(struct bfd_host *);
/* AdminDown to every neighbour: whoever is told so does not take our end for a failure. */
void bfd_host_admin_down(struct bfd_host *);
/* From here on nothing is kept for a next process. */
void bfd_host_forget(struct bfd_host *);
void bfd_host_run(struct bfd_host *);
void bfd_host_settle(struct bfd_host *); /* after packets were given */
struct bfd_engine *bfd_host_engine(struct bfd_host *);

/* 0 or -errno with a sentence in *why (a constant). Sessions with one path are shared: the fastest wish wins. */
int bfd_sub_new(
    struct bfd_host *, const struct bfd_target *, bfd_sub_fn *, void *arg, struct bfd_sub **, const char **why);
int bfd_sub_change(struct bfd_sub *, const struct bfd_params *, const char **why);
/* The last one takes the session to AdminDown, and after the neighbour's detection time it goes. NULL is allowed. */
void bfd_sub_free(struct bfd_sub *);
/* Nobody is told any more, but the session stays for so long: then the subscription frees itself. */
void bfd_sub_orphan(struct bfd_sub *, int64_t us);
void bfd_sub_status(const struct bfd_sub *, struct bfd_status *);

/*
 * A session of an earlier process goes on; until a client asks for it, nobody is told of it, for BFD_ORPHAN_US. slot:
 * what keep() made of it. 0 or -errno of bfd_session_restore() or of the port's socket.
 */
int bfd_host_restore(struct bfd_host *, uint32_t slot, const struct bfd_record *);

/*
 * Rows of at most `most` sessions from the `from`th on; text in a row is valid during the call. Returns how many there
 * were: 0 is the end. Between two calls sessions may come and go, so one may be missing or be given twice.
 */
size_t bfd_host_list(
    struct bfd_host *, size_t from, size_t most, void (*fn)(void *arg, const struct bfd_row *), void *arg);
/* As bfd_client_unsolicited() says. A port that cannot be listened on is tried again each few seconds. */
void bfd_host_unsolicited(struct bfd_host *, const struct bfd_strangers *);

struct bfd_host_stats {
	uint64_t send_errors;
	int last_error; /* -errno of a send */
	size_t ports, subs;
};
void bfd_host_stats(const struct bfd_host *, struct bfd_host_stats *);

/* ---- counters (counters.c), one call for each; nothing is allocated ---- */

typedef void bfd_count_fn(void *arg, const struct bfd_count *);
/* Those of the host and its engine, and since when: microseconds. */
void bfd_host_counters(struct bfd_host *, bfd_count_fn *, void *arg);
int64_t bfd_host_counted_us(const struct bfd_host *);
/* Those of the session of a row of bfd_host_list(). */
void bfd_row_counters(const struct bfd_row *, bfd_count_fn *, void *arg);
/* Those of somebody else; of: the session that they are of, or NULL. */
void bfd_counters_tell(const struct counters *, const struct bfd_row *of, bfd_count_fn *, void *arg);

#endif
