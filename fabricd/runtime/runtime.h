/*
 * fabricd/runtime/runtime.h -- the contract of time, timers, work, streams and packets
 *
 * A node sees the world only through this and through platform/platform.h. runtime/event implements it with libevent
 * on a real switch or in a namespace; runtime/sim implements it in virtual time, many nodes in one process.
 *
 * Always true: every callback comes from the loop, never from inside the call that asked for it. A handle may be
 * freed or closed from inside any callback, its own too; after that no callback of it is called again. All calls
 * come from one thread. Errors are -errno.
 */
#ifndef FABRICD_RUNTIME_RUNTIME_H
#define FABRICD_RUNTIME_RUNTIME_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fabricd/lib/counters.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/mono.h"

struct runtime;
struct rt_timer;
struct rt_work;
struct rt_listener;
struct rt_stream;
struct rt_packets;
struct rt_datagrams;
struct rt_watch;

/* ---- timers: one shot ---- */

typedef void rt_timer_fn(void *arg);

/* ---- work: long work in slices, run between I/O, urgent first ---- */

enum rt_priority { RT_URGENT, RT_NORMAL, RT_IDLE, RT_PRIORITIES };

/* One slice, at most some 2 ms. Returns whether there is more to do: then it runs again after pending I/O. */
typedef bool rt_work_fn(void *arg);

/* ---- streams: TCP on a port, or UNIX ---- */

struct rt_stream_options {
	uint32_t ifindex;    /* bound to this port; 0: any */
	struct ip local;     /* zero: the system's choice; rt_listen: zero of IPv6 only IPv6, zero of IPv4 both */
	uint16_t local_port; /* 0: any (for rt_listen: the port to listen on) */
	bool gtsm;           /* drop what comes with a hop limit below 255 (RFC 5082) */
	uint8_t hop_limit;   /* to send; 0: 255 with gtsm or when bound to a port, else the system's */
	uint8_t tclass;      /* 0xc0: CS6 */
	const char *md5_key; /* TCP MD5 signature (RFC 2385), or NULL; key valid for md5_peer */
	struct prefix md5_peer;
	bool keep_small; /* no large socket buffers (many idle sessions) */
};

/* The hop limit that is sent: to the other end of a cable 255 in any case, since that end may want it of us; 0: the system's. */
static inline uint8_t
rt_sent_hop_limit(const struct rt_stream_options *o)
{
	return o->hop_limit ? o->hop_limit : o->ifindex || o->gtsm ? 255 : 0;
}

struct rt_stream_handler {
	void (*opened)(void *arg); /* connect succeeded; not called for accepted streams */
	/* Bytes that came. Returns how many were used up; the rest is kept and given again, with more behind it. */
	size_t (*input)(void *arg, const uint8_t *bytes, size_t n);
	void (*writable)(void *arg);          /* there is room again after a short rt_write() */
	void (*closed)(void *arg, int error); /* error -errno, 0: the peer closed. The stream is freed after it. */
};

/* A new inbound stream, not yet bound to a handler: call rt_stream_handle() or rt_stream_close() before returning. */
typedef void rt_accept_fn(void *arg, struct rt_stream *, const struct ip *peer, uint16_t peer_port);

/*
 * A stream or a listener on its way to a successor of its owner, who goes on exactly where it stopped: in another
 * process by its descriptor, in the simulator by its handle.
 */
struct rt_parcel {
	int fd;              /* -1: none, in the simulator */
	void *handle;        /* the simulator's; else NULL */
	const uint8_t *left; /* bytes that came and were not used up; borrowed from the stream */
	size_t n_left;
};

/* ---- packets: ICMPv6 neighbour discovery and Ethernet frames on one port ---- */

struct rt_packet {
	const uint8_t *bytes;
	size_t n;
	struct ip src, dst; /* ICMPv6 */
	uint8_t hop_limit;  /* ICMPv6 */
	uint8_t src_mac[6]; /* frames */
};
typedef void rt_packet_fn(void *arg, const struct rt_packet *);

/* ---- datagrams: UDP on a port ---- */

struct rt_datagram_options {
	uint32_t ifindex;    /* bound to this port; 0: any */
	struct ip local;     /* zero: every address of its family */
	uint16_t local_port; /* 0: any */
	uint8_t hop_limit;   /* of what is sent; 0: the system's choice */
	uint8_t tclass;      /* 0xc0: CS6 */
};

struct rt_datagram {
	const uint8_t *bytes;
	size_t n;
	struct ip src, dst;
	uint16_t src_port;
	uint32_t ifindex; /* where it came in */
	uint8_t hop_limit;
	struct mono at; /* when the kernel had it; at most the present */
};
typedef void rt_datagram_fn(void *arg, const struct rt_datagram *);

/* ---- descriptors that a platform backend owns (netlink); the simulator has none ---- */

enum { RT_READ = 1, RT_WRITE = 2 };

/* `what`: RT_READ, RT_WRITE or both, of those that were asked for. */
typedef void rt_watch_fn(void *arg, unsigned int what);

/* ---- what an implementation provides ---- */

struct runtime_ops {
	const char *name;
	struct mono (*now)(struct runtime *); /* cached per turn of the loop */
	/*
	 * Monotonic time read anew, to measure slices of work; NULL: now. The simulator's stands still within a turn,
	 * unless CPU time is modelled.
	 */
	struct mono (*clock)(struct runtime *);
	int64_t (*wall_us)(struct runtime *); /* microseconds since the epoch; for humans only */
	uint64_t (*random)(struct runtime *);

	struct rt_timer *(*timer_new)(struct runtime *, rt_timer_fn *, void *arg);
	void (*timer_set)(struct rt_timer *, struct mono at); /* replaces an earlier deadline; MONO_NEVER stops it */
	void (*timer_free)(struct rt_timer *);

	struct rt_work *(*work_new)(struct runtime *, enum rt_priority, rt_work_fn *, void *arg);
	void (*work_schedule)(struct rt_work *); /* idempotent until it runs */
	void (*work_free)(struct rt_work *);

	int (*listen)(
	    struct runtime *, const struct rt_stream_options *, rt_accept_fn *, void *arg, struct rt_listener **);
	int (*listen_unix)(
	    struct runtime *, const char *path, unsigned int mode, rt_accept_fn *, void *arg, struct rt_listener **);
	/* A further key of a TCP listener (RFC 2385), for what comes from `peer`; replaces one that was for the same.
	 */
	int (*listener_key)(struct rt_listener *, const struct prefix *peer, const char *key);
	void (*listener_close)(struct rt_listener *);

	int (*connect)(struct runtime *, const struct rt_stream_options *, const struct ip *peer, uint16_t port,
	    const struct rt_stream_handler *, void *arg, struct rt_stream **);
	int (*connect_unix)(
	    struct runtime *, const char *path, const struct rt_stream_handler *, void *arg, struct rt_stream **);
	/* NULL: its owner has gone, and somebody else has its parcel; of such a stream nothing is told any more. */
	void (*stream_handle)(struct rt_stream *, const struct rt_stream_handler *, void *arg);
	/* Takes as much as there is room for and returns that, 0 when there is none; writable() comes later. */
	ssize_t (*stream_write)(struct rt_stream *, const uint8_t *bytes, size_t n);
	void (*stream_pause)(struct rt_stream *, bool paused); /* stops and resumes input() */
	void (*stream_again)(struct rt_stream *); /* calls input() again from the loop with what was left over */
	void (*stream_close)(struct rt_stream *, bool reset); /* what was written is still sent, unless reset */
	int (*stream_local)(struct rt_stream *, struct ip *local, struct ip *peer);
	/* The user behind the far end of a UNIX stream (SO_PEERCRED). NULL or -ENOTSUP: unknown, which nobody may
	 * trust. */
	int (*stream_peer_uid)(struct rt_stream *, uint32_t *uid);

	/*
	 * What a successor needs of a stream that is paused, or of a listener that is; nothing changes by it. The
	 * descriptor stays the stream's. -ENOTCONN: it is not open.
	 */
	int (*stream_pack)(struct rt_stream *, struct rt_parcel *out);
	int (*listener_pack)(struct rt_listener *, struct rt_parcel *out);
	/* The successor's end: takes over parcel->fd, also when it fails; copies what was left over. */
	int (*stream_unpack)(struct runtime *, const struct rt_parcel *, const struct rt_stream_handler *, void *arg,
	    struct rt_stream **);
	/* `o` as for listen; path instead of it: a UNIX listener, whose file is removed with it. */
	int (*listener_unpack)(struct runtime *, const struct rt_parcel *, const struct rt_stream_options *o,
	    const char *path, rt_accept_fn *, void *arg, struct rt_listener **);
	void (*listener_pause)(struct rt_listener *, bool paused); /* who connects waits in the backlog */

	/* ICMPv6 types RS, RA, NS, NA on one port, sent and received with hop limit 255. */
	int (*nd_open)(struct runtime *, uint32_t ifindex, rt_packet_fn *, void *arg, struct rt_packets **);
	/* Whole Ethernet frames of one ethertype (host order) on one port; joins `group` (a multicast MAC). */
	int (*frames_open)(struct runtime *, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6],
	    rt_packet_fn *, void *arg, struct rt_packets **);
	/* dst is only read for nd. For frames, bytes start at the destination MAC. */
	int (*packet_send)(struct rt_packets *, const struct ip *dst, const uint8_t *bytes, size_t n);
	void (*packets_close)(struct rt_packets *);

	/* fn NULL: only for sending. -EADDRINUSE: somebody has that local port. */
	int (*datagrams_open)(
	    struct runtime *, const struct rt_datagram_options *, rt_datagram_fn *, void *arg, struct rt_datagrams **);
	int (*datagram_send)(
	    struct rt_datagrams *, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n);
	/*
	 * Gives what has arrived and waits, at most some hundreds, before it returns: the one exception from "callbacks
	 * come from the loop", for who must know before a verdict that nothing waits. fn must close nothing then.
	 */
	void (*datagrams_drain)(struct rt_datagrams *);
	void (*datagrams_close)(struct rt_datagrams *);

	/* Level-triggered; nothing is watched until watch_set(). The descriptor stays the caller's. -ENOTSUP in the
	 * simulator. */
	int (*watch_new)(struct runtime *, int fd, rt_watch_fn *, void *arg, struct rt_watch **);
	void (*watch_set)(struct rt_watch *, unsigned int what); /* replaces what was asked before; 0: nothing */
	void (*watch_free)(struct rt_watch *);                   /* before the descriptor is closed */

	void (*counters)(const struct runtime *, struct counters *out); /* NULL: nothing is counted */
};

/* Implementations embed this as their first member; so do the handles, so that a handle finds its operations. */
struct runtime {
	const struct runtime_ops *ops;
};

/* ---- the calls, by short names ---- */

static inline struct mono
rt_now(struct runtime *rt)
{
	return rt->ops->now(rt);
}

static inline struct mono
rt_clock(struct runtime *rt)
{
	return rt->ops->clock ? rt->ops->clock(rt) : rt->ops->now(rt);
}

static inline uint64_t
rt_random(struct runtime *rt)
{
	return rt->ops->random(rt);
}

static inline int64_t
rt_wall_us(struct runtime *rt)
{
	return rt->ops->wall_us(rt);
}

/* Every handle begins with a struct runtime, which holds its operations. */
static inline const struct runtime_ops *
rt_ops_of(const void *handle)
{
	return ((const struct runtime *)handle)->ops;
}

static inline struct rt_timer *
rt_timer_new(struct runtime *rt, rt_timer_fn *fn, void *arg)
{
	return rt->ops->timer_new(rt, fn, arg);
}

static inline void
rt_timer_set(struct rt_timer *t, struct mono at)
{
	rt_ops_of(t)->timer_set(t, at);
}

/* All the calls that give a handle back allow NULL. */
static inline void
rt_timer_free(struct rt_timer *t)
{
	if (t)
		rt_ops_of(t)->timer_free(t);
}

static inline struct rt_work *
rt_work_new(struct runtime *rt, enum rt_priority priority, rt_work_fn *fn, void *arg)
{
	return rt->ops->work_new(rt, priority, fn, arg);
}

static inline void
rt_work_schedule(struct rt_work *w)
{
	rt_ops_of(w)->work_schedule(w);
}

static inline void
rt_work_free(struct rt_work *w)
{
	if (w)
		rt_ops_of(w)->work_free(w);
}

static inline int
rt_listen(struct runtime *rt, const struct rt_stream_options *o, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	return rt->ops->listen(rt, o, fn, arg, out);
}

static inline int
rt_listen_unix(
    struct runtime *rt, const char *path, unsigned int mode, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	return rt->ops->listen_unix(rt, path, mode, fn, arg, out);
}

static inline int
rt_listener_key(struct rt_listener *l, const struct prefix *peer, const char *key)
{
	return rt_ops_of(l)->listener_key(l, peer, key);
}

static inline void
rt_listener_close(struct rt_listener *l)
{
	if (l)
		rt_ops_of(l)->listener_close(l);
}

static inline int
rt_connect(struct runtime *rt, const struct rt_stream_options *o, const struct ip *peer, uint16_t port,
    const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	return rt->ops->connect(rt, o, peer, port, h, arg, out);
}

static inline int
rt_connect_unix(
    struct runtime *rt, const char *path, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	return rt->ops->connect_unix(rt, path, h, arg, out);
}

static inline void
rt_stream_handle(struct rt_stream *s, const struct rt_stream_handler *h, void *arg)
{
	rt_ops_of(s)->stream_handle(s, h, arg);
}

static inline ssize_t
rt_write(struct rt_stream *s, const uint8_t *bytes, size_t n)
{
	return rt_ops_of(s)->stream_write(s, bytes, n);
}

static inline void
rt_stream_pause(struct rt_stream *s, bool paused)
{
	rt_ops_of(s)->stream_pause(s, paused);
}

static inline void
rt_stream_again(struct rt_stream *s)
{
	rt_ops_of(s)->stream_again(s);
}

static inline void
rt_stream_close(struct rt_stream *s, bool reset)
{
	if (s)
		rt_ops_of(s)->stream_close(s, reset);
}

static inline int
rt_stream_local(struct rt_stream *s, struct ip *local, struct ip *peer)
{
	return rt_ops_of(s)->stream_local(s, local, peer);
}

static inline int
rt_stream_peer_uid(struct rt_stream *s, uint32_t *uid)
{
	return rt_ops_of(s)->stream_peer_uid ? rt_ops_of(s)->stream_peer_uid(s, uid) : -ENOTSUP;
}

static inline int
rt_stream_pack(struct rt_stream *s, struct rt_parcel *out)
{
	return rt_ops_of(s)->stream_pack ? rt_ops_of(s)->stream_pack(s, out) : -ENOTSUP;
}

static inline int
rt_listener_pack(struct rt_listener *l, struct rt_parcel *out)
{
	return rt_ops_of(l)->listener_pack ? rt_ops_of(l)->listener_pack(l, out) : -ENOTSUP;
}

static inline int
rt_stream_unpack(
    struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	return rt->ops->stream_unpack ? rt->ops->stream_unpack(rt, p, h, arg, out) : -ENOTSUP;
}

static inline int
rt_listener_unpack(struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_options *o, const char *path,
    rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	return rt->ops->listener_unpack ? rt->ops->listener_unpack(rt, p, o, path, fn, arg, out) : -ENOTSUP;
}

static inline void
rt_listener_pause(struct rt_listener *l, bool paused)
{
	if (l && rt_ops_of(l)->listener_pause)
		rt_ops_of(l)->listener_pause(l, paused);
}

static inline int
rt_nd_open(struct runtime *rt, uint32_t ifindex, rt_packet_fn *fn, void *arg, struct rt_packets **out)
{
	return rt->ops->nd_open(rt, ifindex, fn, arg, out);
}

static inline int
rt_frames_open(struct runtime *rt, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6], rt_packet_fn *fn,
    void *arg, struct rt_packets **out)
{
	return rt->ops->frames_open(rt, ifindex, ethertype, group, fn, arg, out);
}

static inline int
rt_packet_send(struct rt_packets *p, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	return rt_ops_of(p)->packet_send(p, dst, bytes, n);
}

static inline void
rt_packets_close(struct rt_packets *p)
{
	if (p)
		rt_ops_of(p)->packets_close(p);
}

static inline int
rt_datagrams_open(
    struct runtime *rt, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	return rt->ops->datagrams_open(rt, o, fn, arg, out);
}

static inline int
rt_datagram_send(struct rt_datagrams *d, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n)
{
	return rt_ops_of(d)->datagram_send(d, dst, dst_port, bytes, n);
}

static inline void
rt_datagrams_drain(struct rt_datagrams *d)
{
	rt_ops_of(d)->datagrams_drain(d);
}

static inline void
rt_datagrams_close(struct rt_datagrams *d)
{
	if (d)
		rt_ops_of(d)->datagrams_close(d);
}

static inline int
rt_watch_new(struct runtime *rt, int fd, rt_watch_fn *fn, void *arg, struct rt_watch **out)
{
	return rt->ops->watch_new(rt, fd, fn, arg, out);
}

static inline void
rt_watch_set(struct rt_watch *w, unsigned int what)
{
	rt_ops_of(w)->watch_set(w, what);
}

static inline void
rt_watch_free(struct rt_watch *w)
{
	if (w)
		rt_ops_of(w)->watch_free(w);
}

/* What the runtime counts itself, for people; valid as long as it. */
static inline void
rt_counters(const struct runtime *rt, struct counters *out)
{
	*out = (struct counters){ 0 };
	if (rt->ops->counters)
		rt->ops->counters(rt, out);
}

#endif
