/*
 * bfd/daemon/sockets.c -- bfdd's UDP sockets: what may wait, waits; what is junk, does not stand in the way
 *
 * A port has three receiving sockets in one SO_REUSEPORT group, and a filter in the kernel puts each packet into the
 * queue of one of them:
 *
 *   urgent    may change something (another state than Up, P, F, a stranger): read at once, BURST of them in BURST_US
 *   routine   says only "still Up": waits until a verdict on its session is due, or anything else wakes us
 *   junk      nothing of ours (version, length, hop limit, discriminators): read at leisure, to be counted by its reason
 *
 * So a switch with many sessions sleeps for whole intervals, since the kernel notes when each packet came; and a flood
 * fills a queue of its own. What does not fit there is dropped by the kernel and counted as overflowed.
 *
 * The time of arrival is wall-clock time (SO_TIMESTAMPNS), taken as an age. An age is not believed when the wall clock
 * was set since the queue was last looked at, nor beyond that time: then the packet has just come.
 *
 * Each of these objects is a struct rt_datagrams with operations of its own, so that their user need not know them.
 * Sending sockets are connected, which spares the kernel a look-up of the route for each packet.
 *
 * Always true: nothing is allocated to receive or to send; at most BATCH packets of a socket are read in one turn; who
 * is given a packet neither reads nor drains from there, only closes: one set of buffers serves all.
 */
#include "bfd/daemon/sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/clock.h"
#include "fabricd/runtime/socket.h"

#define BATCH         32
#define DRAIN_MOST    64 /* batches */
#define PACKET_MAX    256
#define CONTROL_MAX   128
#define QUEUE_BYTES   (1 << 20)
#define JUNK_BYTES    (64 << 10)
#define SEND_BYTES    2048 /* for what comes to a socket that nobody reads */
#define JUNK_PAUSE_US MS(20)
#define BURST         256 /* urgent packets of a port in BURST_US: what comes beyond waits for as long */
#define BURST_US      MS(10)
#define STEP_US       2000 /* the wall clock against the monotonic one: more is a step, not a slew */
#define PORT_CONTROL  3784
#define PORT_MULTI    4784

struct pair {
	struct mono mono;
	int64_t wall_us;
};

struct receiver {
	struct rt_datagrams *d;
	int fd;
	enum bfd_fd_role role;
	struct rt_watch *watch;
	struct pair looked; /* when nothing waited, or what was read last had come */
	struct mono burst_at;
	unsigned int burst; /* packets since then */
};

struct rt_datagrams {
	struct runtime head; /* first: its operations */
	struct bfd_sockets *s;
	struct rt_datagrams *prev, *next;
	struct rt_datagram_options o;
	rt_datagram_fn *fn;
	void *arg;
	int tx; /* of one that only sends, or of an echo socket: its urgent one */
	struct ip to;
	uint16_t to_port; /* 0: not connected */
	struct receiver rx[BFD_FD_ROLES];
	struct rt_timer *pause; /* before junk is looked at again */
	struct rt_timer *pace;  /* before urgent packets are, when there were too many of them */
	unsigned int busy;      /* reads that go on; closed from inside one, it is freed after them */
	bool closed;
};

struct adopted {
	struct bfd_fd_key key;
	int fd;
};

struct bfd_sockets {
	struct bfd_sockets_config cfg;
	uint16_t tag;
	struct rt_datagrams *list;
	struct adopted *adopted;
	size_t nadopted, cap_adopted;
	uint64_t gone_overflowed; /* of sockets that were closed */
	/* for whoever reads now */
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t bytes[BATCH][PACKET_MAX];
	char control[BATCH][CONTROL_MAX] __attribute__((aligned(16)));
};

/* ---- time ---- */

static struct pair
clocks(void)
{
	return (struct pair){ clock_mono(), clock_wall_us() };
}

static bool
stepped(const struct pair *a, const struct pair *b)
{
	int64_t d = (b->wall_us - b->mono.us) - (a->wall_us - a->mono.us);

	return d > STEP_US || d < -STEP_US;
}

/* ---- receiving ---- */

/* False when something is missing. */
static bool
read_message(struct receiver *rx, struct mmsghdr *m, const struct pair *now, bool believe, struct rt_datagram *out)
{
	struct msghdr *msg = &m->msg_hdr;
	struct timespec then;
	int64_t wall_us = now->wall_us;
	unsigned int has = 0;

	*out = (struct rt_datagram){ .bytes = msg->msg_iov->iov_base, .n = m->msg_len };
	out->src = socket_ip(msg->msg_name, &out->src_port);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		has |= socket_control(c, out);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&then, CMSG_DATA(c), sizeof(then));
			wall_us = SECONDS(then.tv_sec) + then.tv_nsec / 1000;
		}
	}
	out->at = now->mono;
	if (believe && wall_us < now->wall_us)
		out->at.us = MAX_OF(now->mono.us - (now->wall_us - wall_us), MIN_OF(rx->looked.mono.us, now->mono.us));
	/* A long one is cut short here; its length field cannot fit either, so the engine counts it as it should. */
	return !(msg->msg_flags & MSG_CTRUNC) && has == SOCKET_HAS_ALL;
}

static void datagrams_close(struct rt_datagrams *);

/* One batch: how many there were; 0: nothing waits, or nobody wants more: then *rx may be gone. */
static int
receive(struct receiver *rx)
{
	struct rt_datagrams *d = rx->d;
	struct bfd_sockets *s = d->s;
	struct rt_datagram datagram;
	struct pair now;
	bool believe;
	int n;

	if (d->closed)
		return 0;
	for (int i = 0; i < BATCH; i++) {
		s->iov[i] = (struct iovec){ s->bytes[i], PACKET_MAX };
		s->msgs[i].msg_hdr = (struct msghdr){ .msg_name = &s->from[i],
			.msg_namelen = sizeof(s->from[i]),
			.msg_iov = &s->iov[i],
			.msg_iovlen = 1,
			.msg_control = s->control[i],
			.msg_controllen = CONTROL_MAX };
	}
	n = recvmmsg(rx->fd, s->msgs, BATCH, MSG_DONTWAIT, NULL);
	now = clocks();
	believe = !stepped(&rx->looked, &now);
	d->busy++;
	for (int i = 0; i < n && !d->closed; i++)
		if (read_message(rx, &s->msgs[i], &now, believe, &datagram))
			d->fn(d->arg, &datagram);
	if (n != BATCH || !believe)
		rx->looked = now;
	if (--d->busy == 0 && d->closed) {
		datagrams_close(d);
		return 0;
	}
	return n < 0 || d->closed ? 0 : n;
}

/*
 * Who says only what may change something, and says it without end, is on this link and either broken or an enemy: a port
 * gets a part of our time, so that the others have theirs. Verdicts still look into the queue (drain()).
 */
static void
pace(struct receiver *rx, unsigned int n)
{
	struct rt_datagrams *d = rx->d;
	struct mono now = rt_now(d->s->cfg.rt);

	if (mono_sub(now, rx->burst_at) >= BURST_US) {
		rx->burst_at = now;
		rx->burst = 0;
	}
	rx->burst += n;
	if (rx->burst < BURST)
		return;
	rt_watch_set(rx->watch, 0);
	rt_timer_set(d->pace, mono_add(now, BURST_US));
}

static void
on_pace(void *arg)
{
	struct rt_datagrams *d = arg;

	rt_watch_set(d->rx[BFD_FD_URGENT].watch, RT_READ);
}

/* What was said before the news, which would else be undone by it: "Up", "Down", and then the "Up" again. */
static void
read_routine(struct rt_datagrams *d)
{
	struct receiver *rx = &d->rx[BFD_FD_ROUTINE];

	for (int i = 0; rx->fd >= 0 && i < DRAIN_MOST && receive(rx) == BATCH; i++)
		;
}

static void
on_urgent(void *arg, unsigned int what UNUSED)
{
	struct receiver *rx = arg;
	struct rt_datagrams *d = rx->d;
	struct bfd_sockets *s = d->s;
	int n;

	d->busy++;
	if (rx->role == BFD_FD_URGENT)
		read_routine(d);
	n = receive(rx);
	if (n > 0 && rx->role == BFD_FD_URGENT)
		pace(rx, (unsigned int)n);
	if (--d->busy == 0 && d->closed)
		datagrams_close(d);
	s->cfg.read(s->cfg.arg);
}

/* Junk has its turn now and then, whatever the flood. */
static void
on_junk(void *arg, unsigned int what UNUSED)
{
	struct receiver *rx = arg;
	struct bfd_sockets *s = rx->d->s;

	rt_watch_set(rx->watch, 0);
	rt_timer_set(rx->d->pause, mono_add(rt_now(s->cfg.rt), JUNK_PAUSE_US));
	receive(rx);
	s->cfg.read(s->cfg.arg);
}

static void
on_pause(void *arg)
{
	struct rt_datagrams *d = arg;

	rt_watch_set(d->rx[BFD_FD_JUNK].watch, RT_READ);
}

static void
drain(struct rt_datagrams *d)
{
	struct receiver *urgent = &d->rx[BFD_FD_URGENT];

	d->busy++;
	read_routine(d);
	for (int i = 0; urgent->fd >= 0 && i < DRAIN_MOST && receive(urgent) == BATCH; i++)
		;
	if (--d->busy == 0 && d->closed)
		datagrams_close(d);
}

void
bfd_sockets_attend(void *sockets UNUSED, struct rt_datagrams *d, bool attend)
{
	if (d->rx[BFD_FD_ROUTINE].watch)
		rt_watch_set(d->rx[BFD_FD_ROUTINE].watch, attend ? RT_READ : 0);
}

/* ---- sending ---- */

/* Who is spoken with first is who the socket is connected with; a reflector's answers go to whoever asked. */
static int
transmit(struct rt_datagrams *d, const struct ip *dst, uint16_t port, const uint8_t *bytes, size_t n)
{
	struct sockaddr_storage ss;
	socklen_t len = 0;

	if (d->to_port != port || !ip_equal(&d->to, dst)) {
		len = socket_address(socket_family(dst->family), dst, port, d->o.ifindex, &ss);
		if (!d->to_port && (port == PORT_CONTROL || port == PORT_MULTI) &&
		    connect(d->tx, (struct sockaddr *)&ss, len) == 0) {
			d->to = *dst;
			d->to_port = port;
			len = 0;
		}
	}
	/* What ICMP said of the packet before is told with this one, which is not sent then. */
	for (int i = 0; i < 2; i++) {
		ssize_t sent = len ? sendto(d->tx, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, len)
				   : send(d->tx, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0)
			return 0;
		if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH)
			break;
	}
	return -errno;
}

/* ---- which queue a packet is for ---- */

enum { TO_URGENT, TO_ROUTINE, TO_JUNK };

/*
 * Returns the place of a socket in its group. What the packet says begins at 0; the IP header is at SKF_NET_OFF. Jumps
 * count from the next instruction. hops 0: any hop limit will do.
 */
static int
sort_packets(int fd, uint8_t family, unsigned int hops, uint16_t tag)
{
	const uint32_t at_hops = (uint32_t)SKF_NET_OFF + (family == FAMILY_IPV4 ? 8 : 7);
	struct sock_filter code[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 24, 0, 22), /* junk */
		/* 2 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
		/* 3 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 3), /* Length */
		/* 4 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 24, 0, 19),
		/* 5 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 18, 0),
		/* 6 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), /* Vers, Diag */
		/* 7 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xe0),
		/* 8 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x20, 0, 15),
		/* 9 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at_hops),
		/* 10 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, hops, 0, 13),
		/* 11 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 2), /* Detect Mult */
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 11, 0),
		/* 13 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4), /* My Discriminator */
		/* 14 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 9, 0),
		/* 15 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),        /* Your Discriminator */
		/* 16 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 0), /* urgent: a beginning */
		/* 17 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		/* 18 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, tag, 0, 5),
		/* 19 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1), /* Sta, P, F, C, A, D, M */
		/* 20 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf1),
		/* 21 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc0, 0, 1),
		/* 22 */ BPF_STMT(BPF_RET | BPF_K, TO_ROUTINE),
		/* 23 */ BPF_STMT(BPF_RET | BPF_K, TO_URGENT),
		/* 24 */ BPF_STMT(BPF_RET | BPF_K, TO_JUNK),
	};
	struct sock_fprog prog = { ARRAY_LEN(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

/* ---- opening ---- */

static int
set_all(int fd, const struct rt_datagram_options *o, enum bfd_fd_role role, bool shared)
{
	const struct socket_option needed[] = {
		{ SOL_SOCKET, SO_TIMESTAMPNS, role != BFD_FD_SEND },
		{ SOL_SOCKET, SO_REUSEPORT, shared },
	};
	int size = role == BFD_FD_SEND ? SEND_BYTES : role == BFD_FD_JUNK ? JUNK_BYTES : QUEUE_BYTES;
	int err = socket_set(fd, needed, ARRAY_LEN(needed));

	return err ? err : socket_bind_datagrams(fd, o, size);
}

static struct bfd_fd_key
key_of(const struct rt_datagram_options *o, enum bfd_fd_role role)
{
	struct bfd_fd_key k = { .role = (uint8_t)role,
		.family = o->local.family,
		.hop_limit = o->hop_limit,
		.port = o->local_port,
		.ifindex = o->ifindex };

	memcpy(k.local, o->local.b, sizeof(k.local));
	return k;
}

static int
take_adopted(struct bfd_sockets *s, const struct bfd_fd_key *key)
{
	for (size_t i = 0; i < s->nadopted; i++) {
		if (memcmp(&s->adopted[i].key, key, sizeof(*key)) == 0) {
			int fd = s->adopted[i].fd;

			s->adopted[i] = s->adopted[--s->nadopted];
			return fd;
		}
	}
	return -1;
}

/* The descriptor, or -errno. */
static int
open_one(struct bfd_sockets *s, const struct rt_datagram_options *o, enum bfd_fd_role role, bool shared)
{
	struct bfd_fd_key key = key_of(o, role);
	int fd = take_adopted(s, &key), err;

	if (fd >= 0)
		return fd;
	fd = socket(socket_family(o->local.family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = set_all(fd, o, role, shared);
	if (err) {
		close(fd);
		return err;
	}
	if (s->cfg.keep)
		s->cfg.keep(s->cfg.arg, &key, fd);
	return fd;
}

/* A group lets in whoever has our user id: that nobody else is there is asked without it. */
static int
is_free(const struct rt_datagram_options *o)
{
	int fd = socket(socket_family(o->local.family), SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = set_all(fd, o, BFD_FD_SEND, false);
	close(fd);
	return err;
}

static uint64_t
overflowed(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

static void
datagrams_close(struct rt_datagrams *d)
{
	d->closed = true;
	if (d->busy)
		return;
	for (int r = 0; r < BFD_FD_ROLES; r++) {
		struct receiver *rx = &d->rx[r];
		struct bfd_fd_key key = key_of(&d->o, r);

		rt_watch_free(rx->watch);
		if (rx->fd < 0)
			continue;
		d->s->gone_overflowed += overflowed(rx->fd);
		close(rx->fd);
		if (d->s->cfg.keep)
			d->s->cfg.keep(d->s->cfg.arg, &key, -1);
	}
	rt_timer_free(d->pause);
	rt_timer_free(d->pace);
	if (d->next)
		d->next->prev = d->prev;
	if (d->prev)
		d->prev->next = d->next;
	else
		d->s->list = d->next;
	mem_free(d->s->cfg.mem, MEM_RUNTIME, d);
}

static int
open_receiver(struct rt_datagrams *d, enum bfd_fd_role role, bool shared)
{
	static rt_watch_fn *const fns[BFD_FD_ROLES] = {
		[BFD_FD_URGENT] = on_urgent, [BFD_FD_ROUTINE] = on_urgent, [BFD_FD_JUNK] = on_junk
	};
	struct receiver *rx = &d->rx[role];
	int fd = open_one(d->s, &d->o, role, shared), err;

	if (fd < 0)
		return fd;
	*rx = (struct receiver){ .d = d, .fd = fd, .role = role, .looked = clocks() };
	if (!fns[role])
		return 0;
	err = rt_watch_new(d->s->cfg.rt, fd, fns[role], rx, &rx->watch);
	if (!err && role != BFD_FD_ROUTINE)
		rt_watch_set(rx->watch, RT_READ);
	return err;
}

/* The three of a port, in the order that the filter speaks of. */
static int
open_group(struct rt_datagrams *d)
{
	static const enum bfd_fd_role order[] = {
		[TO_URGENT] = BFD_FD_URGENT, [TO_ROUTINE] = BFD_FD_ROUTINE, [TO_JUNK] = BFD_FD_JUNK
	};
	unsigned int hops = d->o.local_port == PORT_CONTROL ? 255 : 0;
	struct bfd_fd_key key = key_of(&d->o, BFD_FD_URGENT);
	int err = 0;
	bool adopted = false;

	for (size_t i = 0; i < d->s->nadopted; i++)
		adopted = adopted || memcmp(&d->s->adopted[i].key, &key, sizeof(key)) == 0;
	if (!adopted)
		err = is_free(&d->o);
	for (size_t i = 0; !err && i < ARRAY_LEN(order); i++)
		err = open_receiver(d, order[i], true);
	d->pause = rt_timer_new(d->s->cfg.rt, on_pause, d);
	return err ? err : sort_packets(d->rx[BFD_FD_URGENT].fd, d->o.local.family, hops, d->s->tag);
}

int
bfd_sockets_open(
    void *sockets, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	static const struct runtime_ops ops = {
		.name = "bfdd", .datagram_send = transmit, .datagrams_drain = drain, .datagrams_close = datagrams_close
	};
	struct bfd_sockets *s = sockets;
	struct rt_datagrams *d = mem_zalloc(s->cfg.mem, MEM_RUNTIME, sizeof(*d));
	bool group = fn && (o->local_port == PORT_CONTROL || o->local_port == PORT_MULTI);
	int err;

	*out = NULL;
	*d = (struct rt_datagrams){ .head.ops = &ops, .s = s, .next = s->list, .o = *o, .fn = fn, .arg = arg };
	for (int r = 0; r < BFD_FD_ROLES; r++)
		d->rx[r].fd = -1;
	if (d->next)
		d->next->prev = d;
	s->list = d;
	if (fn) /* a port's, or that of its echo packets: either can be flooded */
		d->pace = rt_timer_new(s->cfg.rt, on_pace, d);
	err = group ? open_group(d) : open_receiver(d, fn ? BFD_FD_URGENT : BFD_FD_SEND, false);
	if (err) {
		datagrams_close(d);
		return err;
	}
	d->tx = d->rx[fn ? BFD_FD_URGENT : BFD_FD_SEND].fd;
	*out = d;
	return 0;
}

/* ---- all of it ---- */

struct bfd_sockets *
bfd_sockets_new(const struct bfd_sockets_config *cfg)
{
	struct bfd_sockets *s = mem_zalloc(cfg->mem, MEM_RUNTIME, sizeof(*s));

	s->cfg = *cfg;
	return s;
}

void
bfd_sockets_set_tag(struct bfd_sockets *s, uint16_t tag)
{
	s->tag = tag;
}

void
bfd_sockets_adopt(struct bfd_sockets *s, const struct bfd_fd_key *key, int fd)
{
	s->adopted = mem_grow(
	    s->cfg.mem, MEM_RUNTIME, s->adopted, &s->cap_adopted, s->nadopted + 1, sizeof(s->adopted[0]));
	s->adopted[s->nadopted++] = (struct adopted){ *key, fd };
}

void
bfd_sockets_settle(struct bfd_sockets *s)
{
	while (s->nadopted) {
		struct adopted *a = &s->adopted[--s->nadopted];

		close(a->fd);
		if (s->cfg.keep)
			s->cfg.keep(s->cfg.arg, &a->key, -1);
	}
}

void
bfd_sockets_stats(const struct bfd_sockets *s, struct bfd_sockets_stats *out)
{
	*out = (struct bfd_sockets_stats){ .overflowed = s->gone_overflowed };
	for (const struct rt_datagrams *d = s->list; d; d = d->next) {
		for (int r = 0; r < BFD_FD_ROLES; r++) {
			out->sockets += d->rx[r].fd >= 0;
			out->overflowed += r == BFD_FD_SEND ? 0 : overflowed(d->rx[r].fd);
		}
	}
}

void
bfd_sockets_free(struct bfd_sockets *s)
{
	if (!s)
		return;
	bfd_sockets_settle(s);
	mem_free(s->cfg.mem, MEM_RUNTIME, s->adopted);
	mem_free(s->cfg.mem, MEM_RUNTIME, s);
}
