/* fabricd/runtime/sim/impl.h -- what the files of the simulator's runtime share: net.c, wire.c, stream.c */
#ifndef FABRICD_RUNTIME_SIM_IMPL_H
#define FABRICD_RUNTIME_SIM_IMPL_H

#include "fabricd/lib/base.h"
#include "fabricd/lib/heap.h"
#include "fabricd/runtime/sim/sim.h"
#include "fabricd/runtime/work_queue.h"

struct sim_node;
struct sim_port;
struct sim_link;
struct sim_conn;

/* Something that happens at a time. Embedded in what it happens to. */
struct sim_event {
	struct heap_item due;
	struct sim_node *node; /* whose; NULL: the world's, never stalled */
	void (*fn)(struct sim_event *);
	void (*drop)(struct sim_event *); /* frees it at the end of the world; NULL: its owner does */
};

/* First member of every handle. */
struct sim_handle {
	struct runtime head;
	struct sim_node *node;
	struct sim_handle *prev, *next; /* of the node */
	void (*destroy)(struct sim_handle *);
	bool dead; /* its node crashed: only good to be freed */
};

struct rt_work {
	struct sim_handle h;
	rt_work_fn *fn;
	void *arg;
	struct work_item item;
};

struct rt_packets {
	struct sim_handle h;
	struct sim_port *port;
	uint64_t id; /* grows: deliveries walk by it, since callbacks may close any */
	struct rt_packets *next;
	bool nd;
	uint16_t ethertype;
	uint8_t group[6];
	rt_packet_fn *fn;
	void *arg;
};

struct sim_key { /* RFC 2385 */
	struct sim_key *next;
	struct prefix peer;
	char *text;
};

struct rt_listener {
	struct sim_handle h;
	struct rt_listener *next; /* of the node */
	uint32_t ifindex;
	struct ip local;
	uint16_t port;
	bool gtsm;
	uint8_t hop_limit; /* sent */
	struct sim_key *keys;
	char *path; /* UNIX; else NULL */
	rt_accept_fn *fn;
	void *arg;
};

struct sim_port {
	struct sim_node *node;
	char *name;
	uint32_t ifindex;
	uint8_t mac[6];
	struct ip link_local;
	struct ip *addresses;
	size_t naddresses, cap;
	bool up;
	bool told;                /* carrier as the watcher knows it */
	struct sim_event carrier; /* tells the watcher */
	struct sim_link *link;    /* NULL: not wired */
	unsigned int side;        /* in the link */
	struct rt_packets *packets;
};

struct sim_link {
	struct sim_net *net;
	struct sim_port *port[2];
	int64_t latency_us;
	uint64_t bps;
	bool cut, carrier;
	uint32_t generation;         /* of the carrier: a segment sent in an earlier one is lost */
	struct sim_impair impair[2]; /* of what port[i] sends */
	struct mono busy[2];         /* until when the bandwidth is used up */
	struct sim_conn *conns;
	struct sim_link *prev, *next;
};

struct sim_node {
	struct runtime rt; /* first: a struct runtime * is a struct sim_node * */
	struct sim_net *net;
	struct sim_node *next;
	char *name;
	void *owner;
	uint64_t random;
	struct mono stalled; /* until */
	bool off, dark;
	int64_t wall_shift, slice_us;
	int64_t callback_us, look_us, spent_us; /* CPU time: of each callback, of each look at the clock; of this one */
	struct mono busy;                       /* until when its CPU is */
	struct sim_handle handles;              /* ring */
	struct sim_port **ports;                /* by ifindex */
	size_t nports, cap_ports;
	struct rt_listener *listeners;
	struct rt_datagrams *datagrams;
	uint16_t ephemeral;

	struct sim_event turn; /* of the work queues */
	struct work_queue work;
	struct rt_work *running;
};

struct sim_net {
	struct mem *mem;
	uint64_t seed, random;
	struct mono now;
	struct heap queue;
	uint64_t packet_ids, conn_ids;
	struct sim_node *nodes, *last_node;
	struct sim_link *links;
	struct sim_conn *conns;
	struct sim_alarm *alarms;
	struct sim_tcp tcp;
	sim_carrier_fn *carrier_fn;
	void *carrier_arg;
	int64_t carrier_us;
	sim_tap_fn *tap_fn;
	void *tap_arg;
	struct sim_stats stats;
};

/* net.c */
void sim_event_set(struct sim_net *, struct sim_event *, struct mono at); /* replaces; MONO_NEVER takes it out */
bool sim_chance(struct sim_net *, uint32_t ppm);
void *sim_handle_new(struct sim_node *, size_t size, void (*destroy)(struct sim_handle *));
void sim_handle_unlink(struct sim_handle *);
static inline struct sim_node *
sim_node_of(const struct runtime *rt)
{
	return (struct sim_node *)(uintptr_t)rt;
}

/* wire.c */
struct sim_port *sim_port_find(const struct sim_node *, uint32_t ifindex);
struct sim_port *sim_port_far(const struct sim_port *); /* NULL: no link */
bool sim_port_has(const struct sim_port *, const struct ip *);
bool sim_link_passes(const struct sim_link *, unsigned int from);              /* whether bytes from that side arrive */
bool sim_link_too_large(const struct sim_link *, unsigned int from, size_t n); /* an IP packet of n octets */
/* When `n` bytes sent now from that side arrive; takes the bandwidth that they need. */
struct mono sim_link_arrival(struct sim_link *, unsigned int from, size_t n);
void sim_wire_power(struct sim_node *); /* the node's power changed */
void sim_wire_free(struct sim_net *);
int sim_nd_open(struct runtime *, uint32_t ifindex, rt_packet_fn *, void *arg, struct rt_packets **);
int sim_frames_open(struct runtime *, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6], rt_packet_fn *,
    void *arg, struct rt_packets **);
int sim_packet_send(struct rt_packets *, const struct ip *dst, const uint8_t *bytes, size_t n);
void sim_packets_close(struct rt_packets *);

/* datagram.c */
int sim_datagrams_open(
    struct runtime *, const struct rt_datagram_options *, rt_datagram_fn *, void *arg, struct rt_datagrams **);
int sim_datagram_send(struct rt_datagrams *, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n);
void sim_datagrams_drain(struct rt_datagrams *);
void sim_datagrams_close(struct rt_datagrams *);

/* stream.c */
int sim_listen(struct runtime *, const struct rt_stream_options *, rt_accept_fn *, void *arg, struct rt_listener **);
int sim_listen_unix(
    struct runtime *, const char *path, unsigned int mode, rt_accept_fn *, void *arg, struct rt_listener **);
int sim_listener_key(struct rt_listener *, const struct prefix *peer, const char *key);
void sim_listener_close(struct rt_listener *);
int sim_connect(struct runtime *, const struct rt_stream_options *, const struct ip *peer, uint16_t port,
    const struct rt_stream_handler *, void *arg, struct rt_stream **);
int sim_connect_unix(
    struct runtime *, const char *path, const struct rt_stream_handler *, void *arg, struct rt_stream **);
void sim_stream_handle(struct rt_stream *, const struct rt_stream_handler *, void *arg);
ssize_t sim_stream_write(struct rt_stream *, const uint8_t *bytes, size_t n);
void sim_stream_pause(struct rt_stream *, bool paused);
void sim_stream_again(struct rt_stream *);
void sim_stream_close(struct rt_stream *, bool reset);
int sim_stream_local(struct rt_stream *, struct ip *local, struct ip *peer);
int sim_stream_peer_uid(struct rt_stream *, uint32_t *uid);
int sim_stream_pack(struct rt_stream *, struct rt_parcel *);
int sim_listener_pack(struct rt_listener *, struct rt_parcel *);
int sim_stream_unpack(
    struct runtime *, const struct rt_parcel *, const struct rt_stream_handler *, void *arg, struct rt_stream **);
int sim_listener_unpack(struct runtime *, const struct rt_parcel *, const struct rt_stream_options *, const char *path,
    rt_accept_fn *, void *arg, struct rt_listener **);
void sim_streams_crash(struct sim_node *, enum sim_crash);
void sim_streams_resume(struct sim_link *); /* the carrier is back */
void sim_streams_deafen(struct sim_link *); /* the link is taken away */
void sim_streams_free(struct sim_net *);

#endif
