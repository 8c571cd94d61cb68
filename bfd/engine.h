/*
 * bfd/engine.h -- every BFD session of a switch: bytes and the time in, bytes, deadlines and changes of state out
 *
 * Pure: the same engine runs in bfdd and in the simulator. Its host calls
 *   bfd_engine_receive()  for each packet, with where it came from and when the kernel had it;
 *   bfd_engine_run()      when the time bfd_engine_next() has come, and after each batch of packets or calls.
 * It calls back through struct bfd_engine_ops, only from receive, run and the calls that change a session.
 */
#ifndef BFD_ENGINE_H
#define BFD_ENGINE_H

#include "bfd/auth.h"
#include "bfd/hist.h"
#include "bfd/state.h"
#include "fabricd/lib/counters.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"

#define BFD_SLOW_US      SECONDS(1) /* the least transmit interval while not Up (RFC 5880 6.8.3) */
#define BFD_MIN_US       3300       /* nothing faster is promised or asked for */
#define BFD_HOP_LIMIT    255
#define BFD_PORT         3784
#define BFD_PORT_ECHO    3785
#define BFD_PORT_MULTI   4784
#define BFD_SOURCE_FIRST 49152 /* RFC 5881 4; the last is 65535 */

struct bfd_engine;
struct bfd_session;

/* What tells one session from another. */
struct bfd_path {
	uint32_t ifindex; /* 0 for multihop */
	struct ip local, peer;
	bool multihop;
};

struct bfd_params {
	uint32_t min_tx_us, min_rx_us; /* at least BFD_MIN_US; less is raised to it */
	uint8_t multiplier;            /* 1..255 */
	bool passive;                  /* sends nothing before the neighbour does (RFC 5880 6.1) */
	bool admin_down;
	bool independent;    /* C bit: lives apart from the control plane */
	uint32_t echo_us;    /* interval of echo packets; 0: none are sent */
	uint32_t echo_rx_us; /* Required Min Echo RX: what we loop back at most; 0: none */
	uint8_t min_hops;    /* least hop limit accepted; 0: 255 on one hop, 1 on many */
	struct bfd_auth auth;
};

struct bfd_received {
	const uint8_t *bytes; /* UDP payload */
	size_t n;
	struct ip src, dst;
	uint32_t ifindex;
	uint8_t hop_limit;
	bool multihop;  /* came to port 4784 */
	struct mono at; /* when the kernel had it; not after the present */
	bool waited;    /* on purpose, until it was drained: no measure of how punctual we are */
};

/* What of a session outlives the process that held it: all that the neighbour knows of us, and we of it. */
struct bfd_saved {
	uint32_t local_discr, remote_discr;
	uint32_t desired_tx, required_rx, tx_in_use, rx_in_use;
	uint32_t remote_min_rx, remote_desired_tx, remote_min_echo;
	struct bfd_auth_state auth;
	uint8_t state, remote_state, diag, remote_diag, down_diag, remote_multiplier;
	bool remote_demand, remote_independent, polling, poll_again, unsolicited;
	uint64_t flaps;
	struct mono since, down_at; /* of the same clock, or they are put right */
};

struct bfd_engine_ops {
	/* Sends a control packet, or an echo packet to port 3785, of the session. */
	void (*send)(void *arg, struct bfd_session *, const uint8_t *bytes, size_t n, bool echo);
	/* The state changed (also between Down and Init), or the neighbour's C bit. The session must not be freed. */
	void (*changed)(void *arg, struct bfd_session *);
	/* Gives all packets that have arrived for the session's port to bfd_engine_receive() now; NULL: nothing waits.
	 */
	void (*drain)(void *arg, struct bfd_session *);
	uint64_t (*random)(void *arg);
	/* RFC 9468, of a stranger's first packet: BFD_TAKEN, and it makes a session of that kind, or why it is dropped.
	 * NULL: nobody speaks with strangers. */
	enum bfd_drop (*unsolicited)(void *arg, const struct bfd_path *, struct bfd_params *);
	/* What bfd_session_save() gives is not what it was; NULL: nobody keeps it. */
	void (*touched)(void *arg, struct bfd_session *);
	/* An unsolicited session that fell silent is freed after this. */
	void (*forgotten)(void *arg, struct bfd_session *);
};

struct bfd_engine_stats {
	uint64_t rx, tx, dropped[BFD_DROPS];
	uint64_t stalls;          /* times that we ran late by more than BFD_STALL_US */
	int64_t stall_max;        /* us */
	struct bfd_hist run_late; /* how late bfd_engine_run() came after its deadline */
	size_t sessions, up;
};

/* All that is known of one session, by value. Times in microseconds. */
struct bfd_view {
	struct bfd_path path;
	enum bfd_state state, remote_state;
	uint8_t diag, remote_diag, multiplier, remote_multiplier;
	bool remote_independent, remote_demand, unsolicited, polling, authenticated;
	uint32_t local_discr, remote_discr;
	int64_t tx_us, rx_us, detect_us; /* agreed intervals; 0: nothing is sent, nothing is known */
	int64_t echo_us;                 /* 0: no echo now */
	uint64_t tx, rx, dropped, missed, flaps, spared, polls_unanswered;
	uint64_t echo_tx, echo_rx;
	struct mono since;   /* of this state */
	struct mono last_rx; /* MONO_NEVER: none yet */
	int64_t tx_late_p99, tx_late_max, rx_late_p99, rx_late_max;
	enum bfd_diag down_diag; /* why it left Up the last time */
	struct mono down_at;     /* MONO_NEVER: never */
};

struct bfd_engine *bfd_engine_new(struct mem *, uint64_t seed, const struct bfd_engine_ops *, void *arg);
/* The upper half of all discriminators that an engine of that seed gives. Whoever speaks with us knows it. Never 0. */
uint16_t bfd_engine_tag_of(uint64_t seed);
/* The one that is given from now on: that of who had the sessions before, however it came by it. */
void bfd_engine_set_tag(struct bfd_engine *, uint16_t tag);
void bfd_engine_free(struct bfd_engine *); /* and all sessions, without a word to anybody; NULL is allowed */

/* When to call bfd_engine_run(); MONO_NEVER: not before something happens. */
struct mono bfd_engine_next(struct bfd_engine *);
void bfd_engine_run(struct bfd_engine *, struct mono now);
/* One packet of port 3784 or 4784. Returns what became of it; it is counted already. */
enum bfd_drop bfd_engine_receive(struct bfd_engine *, const struct bfd_received *, struct mono now);
/*
 * One packet of port 3785. BFD_TAKEN and *reflect: the host sends the same bytes back to its source with hop limit
 * 254, as a forwarding plane would; else it was our own that came back, or it is dropped.
 */
enum bfd_drop bfd_engine_echo(struct bfd_engine *, const struct bfd_received *, struct mono now, bool *reflect);
void bfd_engine_stats(const struct bfd_engine *, struct bfd_engine_stats *);
/* What each counter is and what it stands at: those of the engine live as long as it, those of a view as long as that. */
void bfd_engine_counters(const struct bfd_engine *, struct counters *out);
void bfd_view_counters(const struct bfd_view *, struct counters *out);

/* What is wrong with the parameters or the path, as a sentence; NULL: nothing. */
const char *bfd_params_wrong(const struct bfd_path *, const struct bfd_params *);

/* -EEXIST: there is one with this path; -EINVAL: bfd_params_wrong(). */
int bfd_session_new(
    struct bfd_engine *, const struct bfd_path *, const struct bfd_params *, struct mono now, struct bfd_session **);
/* Takes effect by a poll sequence (RFC 5880 6.8.3). An unsolicited session becomes a wanted one. -EINVAL as above. */
int bfd_session_change(struct bfd_session *, const struct bfd_params *, struct mono now);
/* Not from inside ops->changed or ops->drain. NULL is allowed. */
void bfd_session_free(struct bfd_session *);

void bfd_session_save(const struct bfd_session *, struct bfd_saved *);
/*
 * Goes on where another process ended: the next run sends, and the neighbour has a whole detection time from now on,
 * since what came meanwhile is not known. -EINVAL: values that no session has; -EEXIST: the path or the discriminator.
 */
int bfd_session_restore(struct bfd_engine *, const struct bfd_path *, const struct bfd_params *,
    const struct bfd_saved *, struct mono now, struct bfd_session **);

struct bfd_session *bfd_session_find(const struct bfd_engine *, const struct bfd_path *);
struct bfd_session *bfd_session_by_discr(const struct bfd_engine *, uint32_t local_discr);
/* In the order of creation; NULL starts, NULL ends. */
struct bfd_session *bfd_session_after(const struct bfd_engine *, const struct bfd_session *);

enum bfd_state bfd_session_state(const struct bfd_session *);
enum bfd_diag bfd_session_diag(const struct bfd_session *);
const struct bfd_path *bfd_session_path(const struct bfd_session *);
const struct bfd_params *bfd_session_params(const struct bfd_session *);
uint32_t bfd_session_discr(const struct bfd_session *);
/* How long the neighbour goes on believing in us: its detection time, as far as it is known. */
int64_t bfd_session_remote_detect_us(const struct bfd_session *);
void bfd_session_set_user(struct bfd_session *, void *user); /* whatever the host wants to find again */
void *bfd_session_user(const struct bfd_session *);
void bfd_session_view(const struct bfd_session *, struct bfd_view *);

#endif
