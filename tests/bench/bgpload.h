/*
 * tests/bench/bgpload.h -- the parts of bgpload to each other
 *
 *   bgpload.c          options, commands, the loop
 *   bgpload_make.c     prefixes and attributes by number, or from a table; UPDATEs of them
 *   bgpload_sink.c     UPDATEs that arrive: which prefixes a sink holds
 *   bgpload_session.c  the sessions: TCP, state, reading, writing; progress as events
 *
 * One process is one load, so what all parts need to know stands in one variable, `load`.
 */
#ifndef TESTS_BENCH_BGPLOAD_H
#define TESTS_BENCH_BGPLOAD_H

#include <sys/socket.h>
#include "tool.h"

#define MSG_MAX  4096
#define HEADER   19
#define SESSIONS 512
#define RBUF     (512 << 10)

enum { OPEN = 1, UPDATE, NOTIFICATION, KEEPALIVE };
enum { V4, V6 };
enum state { DOWN, CONNECTING, OPEN_SENT, OPEN_CONFIRM, UP };

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

/* Which prefixes a sink has now. */
struct set {
	uint64_t *bits[33]; /* v4 by length up to 24, each 2^length bits */
	uint64_t *bits6;    /* our own v6 prefixes, by number */
	struct key {
		uint64_t hi,
		    lo; /* lo: length; hi: v4 address or the upper half of a v6 one; lo 0: free, 1<<63: deleted */
	} * keys;       /* all others: open addressing */
	size_t nkeys, cap;
	size_t present;
};

struct session {
	bool feeder;
	struct sockaddr_storage local, remote;
	uint32_t local_as, remote_as;
	uint8_t nh6[32]; /* next hop of IPv6 prefixes: global, and the link-local one when nh6_len is 32 */
	unsigned int nh6_len;
	enum state state;
	int fd;
	int64_t retry_at, sent_at;
	int64_t keepalive_ns;
	uint8_t *rbuf;
	size_t rlen;
	struct bytes small; /* OPEN, KEEPALIVE */
	size_t small_at;
	const struct bytes *bulk; /* being written, or NULL */
	size_t bulk_at;
	int64_t bulk_done;
	struct bytes feed, withdraw;
	bool told; /* has had `go`: a session that comes back gets all of it again */
	struct set set;
	uint64_t announced, withdrawn, bad, updates;
	int64_t first_t, full_t, empty_t;
};

struct load {
	struct session sessions[SESSIONS];
	size_t nsessions;
	int epoll;
	uint32_t count4, count6, first4, first6, expect;
	uint64_t seed;
	bool shared, listening, v6_wanted, helper;
	bool dropped;
	unsigned int port;
	const char *table;
	uint32_t churn_rate, churned; /* changes/s; how many there were */
	int64_t churn_at;             /* when the next one is due; 0: none */
};

extern struct load load;

static inline uint64_t
mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* ---- bgpload_make.c ---- */
uint8_t *grow(struct bytes *b, size_t n);
void put8(struct bytes *b, unsigned int v);
void put16(struct bytes *b, unsigned int v);
void put32(struct bytes *b, uint32_t v);
void put(struct bytes *b, const void *p, size_t n);
size_t msg_begin(struct bytes *b, unsigned int type);
void msg_end(struct bytes *b, size_t at);
/* Both streams of a feeder, the index-th of all. */
void make_feed(struct session *s, size_t index);
/* The n-th change: prefixes behind those of the feed, CHURN of them announced one by one, then withdrawn, and so on. */
void make_change(struct bytes *b, const struct session *s, uint32_t n);

/* ---- bgpload_sink.c ---- */
/* The body of an UPDATE. False: it is malformed. */
bool sink_update(struct session *s, const uint8_t *p, size_t n);

/* ---- bgpload_session.c ---- */
void say(const char *event, int64_t t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void stat_print(void);
void feed_begin(struct session *s, const struct bytes *b);
void session_down(struct session *s, const char *why);
void session_event(struct session *s, uint32_t events);
socklen_t sa_len(const struct sockaddr_storage *sa);
void accept_one(int fd);
/* Everything that is due; returns the time of the next. */
int64_t timers(void);
void progress_forget_sent(void);

#endif
