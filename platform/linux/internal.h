/* platform/linux/internal.h -- what the files of the Linux backend share */
#ifndef PLATFORM_LINUX_INTERNAL_H
#define PLATFORM_LINUX_INTERNAL_H

#include <netlink/netlink.h>

#include "fabricd/lib/base.h"
#include "platform/linux/linux.h"
#include "platform/linux/nlmsg.h"

#define BATCH       128
#define QUEUE       1024 /* results that wait to be told */
#define OUT_BYTES   (128 * 1024)
#define IN_BYTES    (64 * 1024)   /* the kernel makes datagrams of 32 KiB at most */
#define CMD_BUFFER  (1024 * 1024) /* 832 bytes are charged per answer: holds a batch of which all fail */
#define MAX_MEMBERS 2048
#define GROUP_WIDE  512 /* members that we set */

/* How a datagram is handed over: false stops reading. */
typedef bool nl_in_fn(void *arg, const struct nl_in *);

struct port {
	struct plat_port p;
	uint32_t carrier_downs;
	uint32_t master;
	bool in_bridge;
	bool routed; /* set up as a port of its own: see carrier.c */
	bool told, changed;
	bool seen;       /* by the dump under way */
	struct ip found; /* the same: its link-local address */
};

/* ---- the writer's part of a batch; see writer.c ---- */

#define WRITE_BYTES  (16 * 1024) /* 128 routes of IPv6 are 12 KB */
#define ANSWER_BYTES (32 * 1024) /* 128 refusals with their words */

struct batch_op { /* what is needed of an operation when its answer comes */
	uint64_t cookie;
	uint8_t kind;
	bool only_new;
	bool outlives; /* a group, sent with the member that is never usable */
};
struct write_job {
	/* written before it is put, then not touched until it is done */
	struct nl_out out;
	struct batch_op ops[BATCH];
	size_t n_ops;
	uint32_t first; /* sequence number of ops[0] */
	/* written by the writer */
	uint8_t *answers;
	size_t answered;
	bool lost; /* not all answers came, or not all fit */
	int error; /* of the sending: 0 or -errno */
};
struct writer;

/* See drop.c. */
#define LINUX_DROP_NEXTHOP 0x0fbb0000u /* behind the ids that sync gives out */
struct linux_drop {
	uint32_t device, end; /* interface indexes, 0: never made */
	bool ready;           /* groups may have it as a member */
	bool first;           /* its place in them */
	bool due, failing;
	struct rt_timer *timer; /* NULL: never needed */
	struct mono made;
	int64_t pause;
};

enum dump_stage { DUMP_IDLE, DUMP_NEXTHOPS, DUMP_GROUPS, DUMP_ROUTES4, DUMP_ROUTES6 };

struct linux_platform {
	struct platform base;
	struct runtime *rt;
	struct mem *mem;
	uint8_t protocol;
	char proc_sys[128];
	uint32_t event_buffer;

	struct nl_sock *cmd;     /* requests of all kinds, answered at once */
	struct nl_sock *read;    /* dumps */
	struct nl_sock *links;   /* events of links and addresses; never flooded by routes */
	struct nl_sock *ours;    /* changes of our routes and next hops by others */
	struct nl_sock *flushed; /* neighbours that go with the carrier of their port */
	struct rt_watch *watch_links, *watch_ours, *watch_flushed;
	struct nl_sock *routes; /* the writer's: batches of routes in a long series */
	struct writer *writer;  /* while such a series lasts, and until all is told */
	bool bulk;
	uint32_t cmd_pid, routes_pid;
	uint32_t seq;
	int ioctl_fd;

	struct nl_out out;
	uint8_t *in, *answers; /* datagrams: of dumps and events, of the command socket */
	struct plat_member *members;

	struct plat_result results[QUEUE];
	char *details[QUEUE];
	size_t n_results;
	struct rt_work *tell;

	struct port **ports;
	size_t n_ports, ports_cap;
	bool addresses_due; /* that of a port has gone */

	bool unwatched; /* an entry of carrier.c could not be set, which was told */

	struct linux_drop drop;

	enum dump_stage stage;
	uint32_t dump_seq;
	uint32_t dump_last; /* the id of the last next hop or group that was read; they come in the order of ids */
	bool unreadable;    /* a group is too wide, which was told */
	plat_dump_fn *dump_fn;
	void *dump_arg;

	struct linux_counters count;
};

/* ---- linux.c ---- */

void linux_deliver(struct linux_platform *); /* tells the results that wait */
void linux_problem(struct linux_platform *, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- socket.c ---- */

struct nl_sock *linux_socket(struct linux_platform *, uint32_t rcvbuf, char *err, size_t errlen);
int linux_send(struct nl_sock *, const void *bytes, size_t n);
/*
 * One datagram, message by message. 1: read; 0: nothing there; -ENOBUFS: messages were lost; other -errno. What is not
 * from the kernel is counted and skipped; *bad is set when a message could not be read.
 */
int linux_recv(struct linux_platform *, struct nl_sock *, nl_in_fn *, void *arg);
/* Sends the one message in `out` and waits for its answer; 0 or -errno; text takes the kernel's words (may be NULL). */
int linux_request(struct linux_platform *, char *text, size_t n);
/* An entry of our own in the neighbour table, in `out`: for more attributes, and linux_request(). state: NUD_*. */
void linux_neighbour_begin(struct linux_platform *, uint32_t ifindex, const struct ip *, uint16_t state);
/* As linux_request(), and hands the reply to fn. */
int linux_query(struct linux_platform *, nl_in_fn *, void *arg);
int linux_dump(struct linux_platform *, uint16_t type, const void *head, size_t n, nl_in_fn *, void *arg);

/* ---- batch.c ---- */

size_t linux_submit(struct platform *, const struct plat_op *, size_t n);
void linux_written(struct linux_platform *, const struct write_job *); /* tells the results of one job */

/* ---- writer.c ---- */

int linux_writer_new(struct linux_platform *, struct writer **); /* 0 or -errno */
struct write_job *linux_writer_room(struct writer *);            /* the next free job; NULL: all are under way */
void linux_writer_put(struct writer *);                          /* hands over the job that linux_writer_room() gave */
void linux_writer_tell(struct writer *);       /* tells the results of the jobs that are done; from the loop */
bool linux_writer_idle(const struct writer *); /* all that was put is done and told */
void linux_writer_free(struct writer *);       /* waits for the jobs under way, and tells nothing of them */

/* ---- dump.c ---- */

int linux_dump_all(struct platform *, plat_dump_fn *, void *arg);
int linux_dump_begin(struct platform *);
void linux_dump_drop(struct linux_platform *);
int linux_dump_step(struct platform *, plat_dump_fn *, void *arg);

/* ---- port.c ---- */

int linux_ports_read(struct linux_platform *); /* all of them anew; what changed waits for linux_ports_tell() */
bool linux_ports_tell(struct linux_platform *);
void linux_links_ready(void *arg, unsigned int what);
struct port *linux_port_find(struct linux_platform *, uint32_t ifindex); /* NULL: none */
void linux_port_dark(struct linux_platform *, struct port *);            /* its carrier is lost: tells it now */
int linux_port_setup(struct platform *, const char *name, const struct plat_port_config *);
int linux_address_set(struct platform *, const char *port, const struct ip *, uint8_t len, bool present);
int linux_bridge_setup(struct platform *, const char *name, bool create);
void linux_ports_free(struct linux_platform *);

/* ---- carrier.c ---- */

int linux_carrier_open(struct linux_platform *, char *err, size_t errlen);
void linux_carrier_ready(void *arg, unsigned int what);
/* When a routed port is set up, or has carrier again; tells when it cannot. */
void linux_carrier_watch(struct linux_platform *, const struct port *);

/* ---- ours.c ---- */

int linux_ours_open(struct linux_platform *, char *err, size_t errlen);
void linux_ours_ready(void *arg, unsigned int what);

/* ---- drop.c ---- */

void linux_drop_setup(struct linux_platform *);   /* makes what it needs, or takes it over; tells when it cannot */
void linux_drop_suspect(struct linux_platform *); /* it may be gone: looks in a moment, and makes it again */
void linux_drop_refresh(struct linux_platform *); /* what nobody tells us of is set again */
/* A link event: whether it is about a device of its own, which is no port. */
bool linux_drop_link(struct linux_platform *, const struct nl_link *, bool gone);
/* A group of one, or one that is to outlive its members, gets one member more, in `all`; false: it stays as it is. */
bool linux_drop_join(const struct linux_platform *, struct plat_op *, struct plat_member all[GROUP_WIDE + 1]);
/* Takes it out of what was read, whose members are in `members`; true: it is the next hop itself. */
bool linux_drop_part(struct plat_op *, struct plat_member *members);

/* ---- sysctl.c ---- */

int linux_sysctl(struct linux_platform *, const char *key, uint64_t value); /* 0, -ENOENT: not in this kernel, -errno */
int linux_system_setup(struct platform *, const struct plat_system_config *);

#endif
