/*
 * fabricd/runtime/sim/sim.h -- many nodes in one process, in virtual time
 *
 *   sim_net: clock, event queue, seed
 *     node (a struct runtime): timers, work, listeners, sockets for packets; can stall, crash, boot
 *       port (by ifindex): MAC, link-local address, other addresses
 *     link between two ports: latency, bandwidth; impairment per direction; carrier
 *     connection: two rt_streams and the bytes between them
 *
 * Always true: the same seed and the same calls give the same run, byte for byte. Time moves only from event to event;
 * events of one instant run in the order in which they were made. Nothing here reads a clock, a file or an environment.
 *
 * The carrier of a port is: the link is not cut, both ports are up, both nodes have power. sim_carrier_watch() tells
 * changes to the glue, which tells them to the node's forwarding plane (platform/model).
 */
#ifndef FABRICD_RUNTIME_SIM_SIM_H
#define FABRICD_RUNTIME_SIM_SIM_H

#include "fabricd/lib/mem.h"
#include "fabricd/runtime/runtime.h"

struct sim_net;

/* ---- the world ---- */

struct sim_net *sim_net_new(struct mem *, uint64_t seed);
/* Frees all nodes and every handle that their owners left; no callback is called. NULL is allowed. */
void sim_net_free(struct sim_net *);

struct mono sim_now(const struct sim_net *);
uint64_t sim_random(struct sim_net *);

/* One event. False when there is none. */
bool sim_step(struct sim_net *);
/* All events up to and at `until`; the clock then stands at `until`. Returns how many events ran. */
uint64_t sim_run_until(struct sim_net *, struct mono until);
/*
 * Runs while more(arg) is true, asked after each instant. False: `limit` came, or no event was left, and it still is.
 * The clock then stands at `limit`.
 */
bool sim_run_while(struct sim_net *, bool (*more)(void *arg), void *arg, struct mono limit);
/* Time of the next event; MONO_NEVER when there is none. */
struct mono sim_next(const struct sim_net *);

/* A callback of the world itself (scenarios, traffic), at a time; not of any node, so neither stalled nor crashed. */
struct sim_alarm;
struct sim_alarm *sim_alarm_new(struct sim_net *, rt_timer_fn *, void *arg);
void sim_alarm_set(struct sim_alarm *, struct mono at);
void sim_alarm_free(struct sim_alarm *);

/* ---- nodes ---- */

/* The node's runtime. It lives as long as the net; names need not be unique, but sim_node_find() gives the first. */
struct runtime *sim_node_new(struct sim_net *, const char *name);
const char *sim_node_name(const struct runtime *);
/* What the glue wants to find again from a runtime; NULL until it is set. */
void sim_node_set_owner(struct runtime *, void *owner);
void *sim_node_owner(const struct runtime *);
struct runtime *sim_node_find(const struct sim_net *, const char *name); /* NULL: none */

/* Nothing of this node runs for so long; what happens meanwhile is kept, as behind SIGSTOP. */
void sim_node_stall(struct runtime *, int64_t us);
struct mono sim_node_stalled(const struct runtime *); /* until when; in the past: it is not */

enum sim_crash {
	SIM_KILLED, /* the process ended: its kernel ends the connections, carriers stay */
	SIM_DARK,   /* no power: carriers go, peers hear nothing more */
};
/*
 * All handles go dead: no callback of them is called again, and what they are asked to do has no effect; their owner
 * still frees them. sim_node_boot() lets new ones be made.
 */
void sim_node_crash(struct runtime *, enum sim_crash);
void sim_node_boot(struct runtime *);
bool sim_node_running(const struct runtime *);
/* Shifts what wall_us() gives, as NTP or an operator would. The monotonic clock does not see it. */
void sim_node_wall_shift(struct runtime *, int64_t us);
/* Virtual time that one slice of work takes (default 1 us; at least 1, so that endless work cannot stop the clock). */
void sim_node_slice_cost(struct runtime *, int64_t us);
/*
 * The CPU time of a node: each of its callbacks takes `callback_us`, and `look_us` more for each time that it looks at
 * the clock, which long work does after a fixed number of steps. While it is busy, nothing else of it runs. 0, 0: it
 * takes no time (the default).
 */
void sim_node_cpu(struct runtime *, int64_t callback_us, int64_t look_us);

/* ---- ports and links ---- */

/* Port up, without a link. `link_local` NULL: fe80:: with the EUI-64 of the MAC. -EEXIST: ifindex is taken. */
int sim_port_add(
    struct runtime *, uint32_t ifindex, const char *name, const uint8_t mac[6], const struct ip *link_local);
/* A further address, for numbered (`external`) sessions. */
int sim_port_address(struct runtime *, uint32_t ifindex, const struct ip *);
int sim_port_set(struct runtime *, uint32_t ifindex, bool up); /* administratively */

struct sim_port_view {
	const char *name;
	uint32_t ifindex;
	uint8_t mac[6];
	struct ip link_local;
	bool up, carrier;
	bool passes;              /* what this port sends now would arrive */
	struct runtime *far_node; /* NULL: no link */
	uint32_t far_ifindex;
};
int sim_port_get(const struct runtime *, uint32_t ifindex, struct sim_port_view *);

/* Joins two ports. -ENODEV: no such port; -EBUSY: one of them has a link. The carrier comes up from the loop. */
int sim_link_connect(struct runtime *a, uint32_t ifindex_a, struct runtime *b, uint32_t ifindex_b, int64_t latency_us);
/* Takes the link away (to be wired otherwise). Connections over it stay, and hear nothing more. */
int sim_link_disconnect(struct runtime *, uint32_t ifindex);
/* Cuts or heals the link of this port; both ends lose or gain carrier. */
int sim_link_set(struct runtime *, uint32_t ifindex, bool up);
int sim_link_bandwidth(struct runtime *, uint32_t ifindex, uint64_t bits_per_second); /* 0: no limit; both directions */

/* What becomes of bytes that this port sends. All zero: nothing bad. */
struct sim_impair {
	uint32_t loss_ppm, duplicate_ppm; /* of packets; a lost segment of a stream comes later, as TCP repeats it */
	int64_t delay_us, jitter_us;      /* jitter may change the order of packets, never of a stream */
	bool black;                       /* silent loss of all; carrier stays */
	uint32_t mtu;                     /* larger IP packets are lost in silence, however often repeated; 0: none */
};
int sim_link_impair(struct runtime *, uint32_t ifindex, const struct sim_impair *);

/* Called from the loop when the carrier of a port changes; `delay_us` is what the port needs to see it (default 0). */
typedef void sim_carrier_fn(void *arg, struct runtime *node, uint32_t ifindex, bool up);
void sim_carrier_watch(struct sim_net *, sim_carrier_fn *, void *arg, int64_t delay_us);

/* ---- streams ---- */

struct sim_tcp {
	size_t window;      /* bytes not yet read by the far end that a stream holds at most; 256 KiB */
	size_t segment;     /* the most that arrives at once; 16 KiB */
	int64_t hold_us;    /* how long bytes wait for a dead link, then the stream is deaf for ever; 900 s */
	int64_t connect_us; /* a connect without answer fails with -ETIMEDOUT after this; 127 s */
};
void sim_tcp_set(struct sim_net *, const struct sim_tcp *); /* for new connections */

/* Ends every connection over this port at both ends with `error` (-ETIMEDOUT, -ECONNRESET). Returns how many. */
size_t sim_stream_kill(struct runtime *, uint32_t ifindex, int error);

/* A client outside all nodes connects to a UNIX socket of a node; `client` is the runtime that gets the callbacks. */
int sim_unix_connect(struct runtime *client, struct runtime *server, const char *path, const struct rt_stream_handler *,
    void *arg, struct rt_stream **);

/* Looks at the bytes of connections over links as they arrive; NULL: nobody. It must change nothing. */
struct sim_segment {
	const struct runtime *from, *to;
	uint32_t from_ifindex;
	uint64_t conn; /* of the connection, the same for both directions */
	uint16_t port; /* that was connected to */
	const uint8_t *bytes;
	size_t n;
};
typedef void sim_tap_fn(void *arg, const struct sim_segment *);
void sim_stream_tap(struct sim_net *, sim_tap_fn *, void *arg);

/* ---- packets ---- */

/* A datagram appears at this port as if it had come from the wire, for hostile neighbours: for sockets of `dst_port`; d->ifindex and d->at are filled in. */
int sim_inject_datagram(struct runtime *, uint32_t ifindex, const struct rt_datagram *, uint16_t dst_port);

/* ---- counters ---- */

struct sim_stats {
	uint64_t events, packets, packets_lost, segments, bytes, connects, refused, resets;
	size_t queue, nodes, links, connections;
};
void sim_stats(const struct sim_net *, struct sim_stats *);

#endif
