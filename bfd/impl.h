/* bfd/impl.h -- what the files of the engine share: engine.c (table, deadlines, sending), receive.c (RFC 5880 6.8.6) */
#ifndef BFD_IMPL_H
#define BFD_IMPL_H

#include "bfd/engine.h"
#include "bfd/fsm.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/buckets.h"
#include "fabricd/lib/heap.h"

#define BFD_STALL_US MS(1) /* a lateness that may have hidden packets from us */
#define BFD_FINALS   4     /* answers to polls that may come in a burst */
#define BFD_ECHO_LEN 16
#define BFD_TOGETHER 64 /* sessions that may go along with what woke us: no burst without an end */

struct bfd_session {
	struct bfd_engine *engine;
	struct bfd_session *prev, *next;      /* in the order of creation */
	struct bucket_item by_discr, by_path; /* in the tables */
	struct bfd_path path;
	struct bfd_params want;
	void *user;
	bool unsolicited;

	/* RFC 5880 6.8.1, by its names */
	enum bfd_state state, remote_state;
	uint32_t local_discr, remote_discr;
	enum bfd_diag diag;
	uint8_t remote_diag;
	uint32_t desired_tx, required_rx; /* as they stand in our packets */
	uint32_t remote_min_rx;
	bool remote_demand;
	struct bfd_auth_state auth;

	/* What the neighbour said beside that. */
	uint32_t remote_desired_tx, remote_min_echo;
	uint8_t remote_multiplier; /* 0: it has said nothing yet */
	bool remote_independent;

	/* While a poll sequence runs, these may differ from what stands in our packets (6.8.3). */
	uint32_t tx_in_use, rx_in_use;
	bool polling, poll_again;
	unsigned int finals; /* that may be sent now */
	struct mono finals_at;

	struct mono tx_at, detect_at, forget_at, echo_at, echo_detect_at;
	struct mono last_tx, last_rx;
	int64_t tx_planned;      /* interval that tx_at was made from */
	struct heap_item due;    /* the least of the deadlines */
	int64_t stall_mark;      /* engine's stall_total when the neighbour was heard last, */
	int64_t echo_stall_mark; /* and when an echo came back */
	struct mono spared_to;   /* no verdict before: we were away; until the neighbour is heard */
	struct bfd_saved kept;   /* as ops->touched was told of it last */
	uint64_t looked;         /* the run in which its packets were asked for before their time */

	uint32_t echo_seq;
	uint64_t echo_salt;

	uint64_t tx, rx, dropped, missed, flaps, spared, unanswered, echo_tx, echo_rx;
	struct mono since, down_at;
	enum bfd_diag down_diag;
	struct bfd_hist tx_late, rx_late;
};

struct bfd_engine {
	struct mem *mem;
	uint64_t seed;
	uint16_t tag; /* upper half of the discriminators that we give */
	const struct bfd_engine_ops *ops;
	void *arg;

	struct bfd_session *first, *last;
	size_t n;
	struct buckets by_discr, by_path;
	struct heap heap; /* of those that have a deadline */

	struct mono asked;    /* the deadline that the host was given last */
	struct mono noted;    /* when it was last looked at how late we are */
	int64_t stall_total;  /* us for which we ran late, in all */
	struct mono stall_at; /* the last time we noticed */
	uint64_t runs;        /* of bfd_engine_run() */
	bool running, drawn;  /* within one run all intervals have the same jitter, */
	bool moved;           /* a state, since the run began */
	uint64_t dice;        /* from this draw */
	struct bfd_engine_stats stats;
};

/* engine.c */
void bfd_note_time(struct bfd_engine *, struct mono now);
struct bfd_session *bfd_session_make(
    struct bfd_engine *, const struct bfd_path *, const struct bfd_params *, struct mono now);
void bfd_refresh(struct bfd_session *, struct mono now); /* deadlines, after anything changed */
void bfd_keep(struct bfd_session *);                     /* after anything changed: tells who keeps it */
void bfd_send(struct bfd_session *, struct mono now, bool final);
void bfd_move(struct bfd_session *, struct bfd_step, struct mono now);
void bfd_poll_over(struct bfd_session *); /* bfd_refresh() is the caller's */
int64_t bfd_rx_interval(const struct bfd_session *);
int64_t bfd_echo_detect_us(const struct bfd_session *);
bool bfd_echo_wanted(const struct bfd_session *);

#endif
