/*
 * bfd/bfd.h -- BFD as fabricd sees it: watch a neighbour, be told when it comes and goes
 *
 * A client is either a connection to bfdd (bfd_client_new) or an engine of its own in the same process and time
 * (bfd_client_local: the simulator, tests). Behind both are the same calls. All callbacks come from the loop.
 *
 * A watch outlives bfdd: when the connection is lost, its state stays what it was told last, and connected() says no;
 * when bfdd is back, the watch is asked for again, and told the state anew. bfdd in turn keeps the sessions of a client
 * that went without a word, for BFD_ORPHAN_US.
 */
#ifndef BFD_BFD_H
#define BFD_BFD_H

#include "bfd/engine.h"

struct runtime;
struct bfd_client;
struct bfd_watch;

#define BFD_SOCKET    "/run/bfdd/bfdd.sock"
#define BFD_ORPHAN_US SECONDS(180)

struct bfd_target {
	struct bfd_path path;
	char port[32]; /* name of the port, for humans; may be empty */
	struct bfd_params params;
};

struct bfd_status {
	enum bfd_state state;
	enum bfd_diag diag;          /* why it is not Up */
	enum bfd_state remote_state; /* BFD_ADMIN: the neighbour's operator, not a failure (RFC 5882 3.2) */
	bool independent;            /* the neighbour's C bit: its BFD survives its control plane (RFC 5882 4.3) */
	bool remote_said_down;       /* the neighbour took it down, not our own detection */
	const char *refused;         /* why bfdd refuses to watch, a sentence; NULL: it watches */
};

/* Each change of state, of the C bit, or of bfdd's willingness; and the present state when bfdd has just been asked. */
typedef void bfd_watch_fn(void *arg, const struct bfd_status *);

/* The connection to bfdd is made now, and again whenever it is lost. told: it came (true) or went; may be NULL. */
struct bfd_client *bfd_client_new(
    struct runtime *, struct mem *, const char *path, void (*told)(void *arg, bool connected), void *arg);
/* An engine in this process, over the runtime's datagrams. */
struct bfd_client *bfd_client_local(struct runtime *, struct mem *, uint64_t seed);
/*
 * Frees all watches that are left. keep: bfdd goes on with the sessions for BFD_ORPHAN_US, for a successor of this
 * process (a restart); else they are taken down administratively. NULL is allowed.
 */
void bfd_client_free(struct bfd_client *, bool keep);
bool bfd_client_connected(const struct bfd_client *);

/* The caller owns the watch. fn is called from the loop, never from inside this call. */
struct bfd_watch *bfd_watch_new(struct bfd_client *, const struct bfd_target *, bfd_watch_fn *fn, void *arg);
/* Other parameters of the same path. */
void bfd_watch_change(struct bfd_watch *, const struct bfd_params *);
/* After this fn is not called again. The session ends with its last watch. NULL is allowed. */
void bfd_watch_free(struct bfd_watch *);
const struct bfd_status *bfd_watch_status(const struct bfd_watch *);

/* One session, as `fabctl bfd` shows it. Times are ages in microseconds; -1: never. */
struct bfd_row {
	const char *port;
	struct bfd_view view; /* since, last_rx and down_at are not set */
	int64_t since_us, last_rx_us, down_us;
	unsigned int clients;
};
/* Called once per session, then with NULL. error: 0, or -errno when the connection was lost before the end. */
typedef void bfd_list_fn(void *arg, const struct bfd_row *, int error);
/* All sessions of bfdd, also those of others. One list at a time: -EBUSY; -ENOTCONN. */
int bfd_client_list(struct bfd_client *, bfd_list_fn *, void *arg);

/* One counter of bfdd; all texts are valid during the call. */
struct bfd_count {
	const char *name; /* of a-z and "-"; what: for people (struct counter) */
	const char *what;
	bool routine;
	uint64_t value;
	const struct bfd_path *path; /* of a session, on that port; NULL: of bfdd as a whole */
	const char *port;
};
/*
 * Called once for each, then with NULL and for how long those of bfdd as a whole have been counted.
 * error: 0, -EOPNOTSUPP: it is an older bfdd, which does not tell them, or -errno when the connection was lost.
 */
typedef void bfd_counters_fn(void *arg, const struct bfd_count *, int64_t counted_us, int error);
/* Of bfdd, then of each session. One question at a time: -EBUSY; it waits for a list. -ENOTCONN. */
int bfd_client_counters(struct bfd_client *, bfd_counters_fn *, void *arg);

/*
 * RFC 9468: strangers on a port may speak with us, at most `max` sessions on it; 0: no more of them, and those that are
 * there stay until they are silent. subnets are the port's (section 2): a stranger is of one of them, or link-local.
 */
#define BFD_SUBNETS 8u
struct bfd_strangers {
	uint32_t ifindex;
	struct bfd_params params;
	unsigned int max;
	struct prefix subnets[BFD_SUBNETS];
	unsigned int nsubnets;
};
void bfd_client_unsolicited(struct bfd_client *, const struct bfd_strangers *);

#endif
