/* fabricd/runtime/sim/stream_impl.h -- what the files of the streams share: stream.c, pipe.c, listener.c */
#ifndef FABRICD_RUNTIME_SIM_STREAM_IMPL_H
#define FABRICD_RUNTIME_SIM_STREAM_IMPL_H

#include "fabricd/runtime/sim/impl.h"

#define UNIX_US 10

struct segment {
	size_t n; /* 0: the end of the stream */
	struct mono at;
	uint32_t generation; /* of the link when it was sent */
};

struct pipe {
	struct sim_conn *conn;
	unsigned int from;
	struct sim_event ev;    /* arrival of the first segment, at the kernel: whatever the reader's process does */
	struct sim_event there; /* the reader, who is stalled or busy, is given what has arrived */
	uint8_t *buf;
	size_t cap, off, len; /* unread bytes: buf[off .. off + len) */
	size_t arrived;
	struct segment *segs;
	size_t seg_cap, seg_first, seg_end;
	bool lent; /* its bytes are in a callback's hands: they must not move */
	bool fin_sent, fin_arrived, waits_carrier, deaf;
	struct mono lost_since; /* MONO_NEVER: nothing is missing */
	int64_t rto;
};

enum conn_phase { CONN_SYN, CONN_RETRY, CONN_REFUSED, CONN_SYNACK, CONN_OPEN };

struct sim_conn {
	struct sim_net *net;
	struct sim_link *link; /* NULL: UNIX, or the link was taken away */
	struct sim_conn *net_prev, *net_next, *link_prev, *link_next;
	uint64_t id;
	unsigned int side; /* of end 0 in the link */
	bool is_unix;
	bool crashed[2]; /* the end's node crashed: whatever arrives there is answered with a reset */
	struct rt_stream *end[2];
	struct sim_node *node[2];
	struct ip addr[2];
	uint16_t port[2];
	struct pipe pipe[2]; /* pipe[i]: from end i */
	struct sim_tcp tcp;
	unsigned int busy;

	enum conn_phase phase;
	struct sim_event ev; /* of the phase */
	struct mono started;
	int64_t backoff;
	uint32_t generation; /* of the link when the SYN went */
	int refusal;
	bool gtsm;         /* of end 0; the listener's is in struct rt_listener */
	uint8_t hop_limit; /* that end 0 sends */
	char *md5_key;
	char *path; /* UNIX */
};

struct rt_stream {
	struct sim_handle h;
	struct sim_conn *conn; /* NULL: closed */
	unsigned int side;
	unsigned int busy;
	bool paused, blocked, connecting, released;
	int error;
	const struct rt_stream_handler *handler;
	void *arg;
	struct ip local, peer;
	bool is_unix;
	struct sim_event writable, again, closed;
};

/* stream.c */
void sim_conn_check(struct sim_conn *c);
void sim_stream_free(struct rt_stream *s);
void sim_stream_finish(struct rt_stream *s, int error);
int64_t sim_conn_latency(const struct sim_conn *c, unsigned int from);
bool sim_conn_passes(const struct sim_conn *c, unsigned int from);
void sim_send_reset(struct sim_conn *c, unsigned int from);
/* pipe.c */
void sim_pipe_free(struct sim_conn *c, struct pipe *p);
void sim_pipe_schedule(struct pipe *p, struct mono at);
void sim_pipe_tell_room(struct pipe *p);
void sim_pipe_append(struct pipe *p, const uint8_t *bytes, size_t n);
void sim_pipe_send(struct pipe *p, size_t n);
void sim_pipe_send_fin(struct pipe *p);
void sim_pipe_renew(struct pipe *p);
struct mono sim_pipe_next_try(struct pipe *p);
bool sim_pipe_gives_up(struct pipe *p);
void sim_pipe_deliver(struct pipe *p);
void sim_pipe_arrive(struct sim_event *ev);
void sim_pipe_there(struct sim_event *ev);
/* listener.c */
struct rt_listener *sim_find_listener(
    const struct sim_node *node, uint32_t ifindex, const struct ip *local, uint16_t port);
struct rt_listener *sim_find_unix(const struct sim_node *node, const char *path);
bool sim_same_key(const struct rt_listener *l, const struct sim_conn *c);
bool sim_same_cable(const struct rt_listener *l, const struct sim_conn *c);

#endif
