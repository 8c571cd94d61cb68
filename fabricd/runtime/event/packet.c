/*
 * fabricd/runtime/event/packet.c -- ICMPv6 and Ethernet frames on one port each
 *
 * One socket per port and kind, bound to it. The kernel filters: ICMPv6 by type (RFC 3542 3.2), frames by a BPF program
 * on the ethertype, and by the socket's own protocol. What we send ourselves does not come back. A port that goes down
 * makes sockets report ENETDOWN; they stay, and work again when it is up.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabricd/runtime/event/impl.h"
#include "fabricd/runtime/socket.h"

#define PACKETS_A_TURN 32
#define PACKET_MAX     9216
#define CS6            0xc0

struct rt_packets {
	struct ev_handle h;
	int fd;
	bool nd;
	uint32_t ifindex;
	uint32_t overflowed; /* packets that found its queue full, as the kernel counts them */
	struct event readable;
	rt_packet_fn *fn;
	void *arg;
	bool busy, released;
};

static void
packets_destroy(struct ev_handle *h)
{
	struct rt_packets *p = (struct rt_packets *)h;

	event_del(&p->readable);
	close(p->fd);
	ev_handle_free(h);
}

/* ---- receiving ---- */

/* With each packet the kernel says how many were dropped before it (SO_RXQ_OVFL); nothing as long as none was. */
static void
count_lost(struct rt_packets *p, struct msghdr *msg)
{
	uint32_t total;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL || c->cmsg_len < CMSG_LEN(sizeof(total)))
			continue;
		memcpy(&total, CMSG_DATA(c), sizeof(total));
		p->h.rt->stats.packets_lost += total - p->overflowed;
		p->overflowed = total;
	}
}

/*
 * Destination and hop limit from the control messages (RFC 3542 6). False when one is missing, or when it came to another
 * port: between its creation and its binding a raw socket gets the packets of all ports.
 */
static bool
read_control(struct msghdr *msg, uint32_t ifindex, struct rt_packet *out)
{
	bool has_dst = false, has_hops = false;
	struct in6_pktinfo info;
	int hops;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info))) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			out->dst = ip_v6(info.ipi6_addr.s6_addr);
			has_dst = info.ipi6_ifindex == ifindex;
		} else if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(hops))) {
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
			out->hop_limit = (uint8_t)hops;
			has_hops = true;
		}
	}
	return has_dst && has_hops;
}

/* One packet: 1, nothing there: 0, not for us: -1. */
static int
receive(struct rt_packets *p, uint8_t *buf, struct rt_packet *out)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[256];
	} control;
	union {
		struct sockaddr_in6 six;
		struct sockaddr_ll ll;
	} from = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = PACKET_MAX };
	struct msghdr msg = { .msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(p->fd, &msg, 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : errno == ENETDOWN || errno == EINTR ? -1 : 0;
	count_lost(p, &msg);
	if (msg.msg_flags & MSG_TRUNC)
		return -1;
	*out = (struct rt_packet){ .bytes = buf, .n = (size_t)n };
	if (p->nd) {
		out->src = ip_v6(from.six.sin6_addr.s6_addr);
		return read_control(&msg, p->ifindex, out) ? 1 : -1;
	}
	if (from.ll.sll_pkttype == PACKET_OUTGOING || n < ETHER_HDR_LEN)
		return -1;
	memcpy(out->src_mac, buf + 6, 6);
	return 1;
}

static void
on_packet(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct rt_packets *p = arg;
	struct ev_runtime *rt = p->h.rt;
	uint8_t buf[PACKET_MAX];
	struct rt_packet packet;

	p->busy = true;
	for (int i = 0; i < PACKETS_A_TURN && !p->released; i++) {
		int got = receive(p, buf, &packet);

		if (got == 0)
			break;
		if (got < 0) {
			rt->stats.packets_unread++;
			continue;
		}
		rt->stats.packets_in++;
		p->fn(p->arg, &packet);
	}
	p->busy = false;
	if (p->released)
		packets_destroy(&p->h);
}

static struct rt_packets *
packets_new(struct runtime *rt, int fd, uint32_t ifindex, bool nd, rt_packet_fn *fn, void *arg)
{
	struct rt_packets *p = ev_handle_new(ev_of(rt), sizeof(*p), packets_destroy);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one)); /* without it nothing is missing but a counter */
	p->fd = fd;
	p->ifindex = ifindex;
	p->nd = nd;
	p->fn = fn;
	p->arg = arg;
	event_assign(&p->readable, p->h.rt->base, fd, EV_READ | EV_PERSIST, on_packet, p);
	event_add(&p->readable, NULL);
	return p;
}

/* ---- neighbour discovery ---- */

static int
set_six(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int
nd_options(int fd, uint32_t ifindex)
{
	static const struct {
		int option, value;
	} options[] = {
		{ IPV6_UNICAST_HOPS, 255 },
		{ IPV6_MULTICAST_HOPS, 255 },
		{ IPV6_MULTICAST_LOOP, 0 },
		{ IPV6_RECVPKTINFO, 1 },
		{ IPV6_RECVHOPLIMIT, 1 },
		{ IPV6_TCLASS, CS6 },
	};
	struct ipv6_mreq routers = { .ipv6mr_multiaddr.s6_addr = { 0xff, 2, [15] = 2 }, .ipv6mr_interface = ifindex };
	struct icmp6_filter filter;
	int err = socket_bind_port(fd, ifindex);

	ICMP6_FILTER_SETBLOCKALL(&filter);
	for (int type = ND_ROUTER_SOLICIT; type <= ND_NEIGHBOR_ADVERT; type++)
		ICMP6_FILTER_SETPASS(type, &filter);
	if (!err && setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0)
		err = -errno;
	for (size_t i = 0; i < ARRAY_LEN(options) && !err; i++)
		err = set_six(fd, options[i].option, options[i].value);
	if (!err)
		err = set_six(fd, IPV6_MULTICAST_IF, (int)ifindex);
	/* The kernel joins all-routers itself while it forwards; that may be set later than this. */
	if (!err && setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &routers, sizeof(routers)) < 0 && errno != EADDRINUSE)
		err = -errno;
	return err;
}

int
ev_nd_open(struct runtime *rt, uint32_t ifindex, rt_packet_fn *fn, void *arg, struct rt_packets **out)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6), err;

	*out = NULL;
	if (fd < 0)
		return -errno;
	err = nd_options(fd, ifindex);
	if (err) {
		close(fd);
		return err;
	}
	*out = packets_new(rt, fd, ifindex, true, fn, arg);
	return 0;
}

/* ---- frames ---- */

static int
frame_options(int fd, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6])
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ethertype, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };
	struct packet_mreq join = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6 };
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ethertype), .sll_ifindex = (int)ifindex
	};
	int one = 1;

	memcpy(join.mr_address, group, 6);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	/* Since Linux 4.20; receive() looks at the packet type in any case. */
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &join, sizeof(join)) < 0)
		return -errno;
	/* Bound last: the socket has no protocol until then, so nothing unfiltered is in its queue. */
	return bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 ? -errno : 0;
}

int
ev_frames_open(struct runtime *rt, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6], rt_packet_fn *fn,
    void *arg, struct rt_packets **out)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	*out = NULL;
	if (fd < 0)
		return -errno;
	err = frame_options(fd, ifindex, ethertype, group);
	if (err) {
		close(fd);
		return err;
	}
	*out = packets_new(rt, fd, ifindex, false, fn, arg);
	return 0;
}

/* ---- sending ---- */

int
ev_packet_send(struct rt_packets *p, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = p->ifindex };
	ssize_t sent;

	if (p->nd) {
		memcpy(&to.sin6_addr, dst->b, 16);
		sent = sendto(p->fd, bytes, n, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
	} else {
		sent = send(p->fd, bytes, n, MSG_NOSIGNAL);
	}
	if (sent < 0) {
		p->h.rt->stats.packets_unsent++;
		return -errno;
	}
	p->h.rt->stats.packets_out++;
	return 0;
}

void
ev_packets_close(struct rt_packets *p)
{
	p->released = true;
	if (!p->busy)
		packets_destroy(&p->h);
}
