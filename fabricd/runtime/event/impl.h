/* fabricd/runtime/event/impl.h -- what the files of this runtime share: event.c (loop), stream.c, packet.c, datagram.c */
#ifndef FABRICD_RUNTIME_EVENT_IMPL_H
#define FABRICD_RUNTIME_EVENT_IMPL_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "fabricd/lib/heap.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/runtime/event/event.h"
#include "fabricd/runtime/work_queue.h"

#define READ_BUFFER (256 * 1024)
#define FD_RESERVE  16

struct ev_runtime;

/* First member of every handle. */
struct ev_handle {
	struct runtime head;
	struct ev_runtime *rt;
	struct ev_handle *prev, *next; /* of the runtime: what is left over is closed with it */
	void (*destroy)(struct ev_handle *);
};

struct ev_runtime {
	struct runtime rt; /* first: a struct runtime * is a struct ev_runtime * */
	struct mem *mem;
	struct event_base *base;
	struct event wake;        /* ends the wait for I/O */
	struct ev_handle handles; /* ring */
	bool stop, now_fresh;
	struct mono now;

	struct heap timers;

	struct work_queue work;
	struct rt_work *running;

	struct rt_stream *ready; /* streams that are owed a callback, in order */
	struct rt_stream *ready_last;
	struct rt_timer *accept_timer; /* while descriptors are short */
	bool accept_paused;
	uint8_t *buffer; /* READ_BUFFER bytes, for whoever reads now */

	uint64_t random[32];
	size_t nrandom;
	struct rt_event_stats stats;
};

static inline struct ev_runtime *
ev_of(const struct runtime *rt)
{
	return (struct ev_runtime *)(uintptr_t)rt;
}

/* event.c */
void *ev_handle_new(struct ev_runtime *, size_t size, void (*destroy)(struct ev_handle *));
void ev_handle_free(struct ev_handle *); /* takes it off the ring and frees it */

/* stream.c */
void ev_ready_run(struct ev_runtime *);
int ev_listen(struct runtime *, const struct rt_stream_options *, rt_accept_fn *, void *arg, struct rt_listener **);
int ev_listen_unix(
    struct runtime *, const char *path, unsigned int mode, rt_accept_fn *, void *arg, struct rt_listener **);
int ev_listener_key(struct rt_listener *, const struct prefix *peer, const char *key);
void ev_listener_close(struct rt_listener *);
int ev_connect(struct runtime *, const struct rt_stream_options *, const struct ip *peer, uint16_t port,
    const struct rt_stream_handler *, void *arg, struct rt_stream **);
int ev_connect_unix(
    struct runtime *, const char *path, const struct rt_stream_handler *, void *arg, struct rt_stream **);
void ev_stream_handle(struct rt_stream *, const struct rt_stream_handler *, void *arg);
ssize_t ev_stream_write(struct rt_stream *, const uint8_t *bytes, size_t n);
void ev_stream_pause(struct rt_stream *, bool paused);
void ev_stream_again(struct rt_stream *);
void ev_stream_close(struct rt_stream *, bool reset);
int ev_stream_local(struct rt_stream *, struct ip *local, struct ip *peer);
int ev_stream_peer_uid(struct rt_stream *, uint32_t *uid);
int ev_stream_pack(struct rt_stream *, struct rt_parcel *);
int ev_listener_pack(struct rt_listener *, struct rt_parcel *);
int ev_stream_unpack(
    struct runtime *, const struct rt_parcel *, const struct rt_stream_handler *, void *arg, struct rt_stream **);
int ev_listener_unpack(struct runtime *, const struct rt_parcel *, const struct rt_stream_options *, const char *path,
    rt_accept_fn *, void *arg, struct rt_listener **);
void ev_listener_pause(struct rt_listener *, bool paused);

/* packet.c */
int ev_nd_open(struct runtime *, uint32_t ifindex, rt_packet_fn *, void *arg, struct rt_packets **);
int ev_frames_open(struct runtime *, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6], rt_packet_fn *,
    void *arg, struct rt_packets **);
int ev_packet_send(struct rt_packets *, const struct ip *dst, const uint8_t *bytes, size_t n);
void ev_packets_close(struct rt_packets *);

/* datagram.c */
int ev_datagrams_open(
    struct runtime *, const struct rt_datagram_options *, rt_datagram_fn *, void *arg, struct rt_datagrams **);
int ev_datagram_send(struct rt_datagrams *, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n);
void ev_datagrams_drain(struct rt_datagrams *);
void ev_datagrams_close(struct rt_datagrams *);

#endif
