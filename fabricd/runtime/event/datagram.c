/*
 * fabricd/runtime/event/datagram.c -- UDP sockets, with the port, hop limit and time of each datagram that comes
 *
 * The time of arrival is the kernel's (SO_TIMESTAMPNS). That is wall-clock time: it is taken as an age against the
 * wall clock of now, and an age is believed only as far back as the queue was last seen empty, since the wall clock
 * may be set meanwhile.
 *
 * Always true: what is given has port, destination and hop limit; nothing is allocated to receive or to send.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fabricd/runtime/event/impl.h"

#define DATAGRAMS_A_TURN  64
#define DATAGRAMS_A_DRAIN 1024
#define DATAGRAM_MAX      2048
#define PROMPT_US         200
#define RECEIVE_BUFFER    (1 << 20)
#define SEND_ONLY_BUFFER  2048 /* for what comes to a socket that nobody reads */
#define TC_CONTROL        7    /* SO_PRIORITY: before all other packets of the port's queue */

struct rt_datagrams {
	struct ev_handle h;
	int fd;
	int family; /* AF_INET, AF_INET6 */
	uint32_t ifindex;
	struct event readable;
	rt_datagram_fn *fn;
	void *arg;
	struct mono empty_at; /* when nothing waited, or what was read last had come */
	bool busy, released;
};

static void
datagrams_destroy(struct ev_handle *h)
{
	struct rt_datagrams *d = (struct rt_datagrams *)h;

	if (d->fn)
		event_del(&d->readable);
	close(d->fd);
	ev_handle_free(h);
}

/* ---- receiving ---- */

/* How long ago, in microseconds; 0 when that is not known. */
static int64_t
age_of(const struct cmsghdr *c)
{
	struct timespec then, now;

	memcpy(&then, CMSG_DATA(c), sizeof(then));
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)(now.tv_sec - then.tv_sec) * 1000000 + (now.tv_nsec - then.tv_nsec) / 1000;
}

enum { HAS_DST = 1, HAS_HOPS = 2 };

static unsigned int
control_six(const struct cmsghdr *c, struct rt_datagram *out)
{
	struct in6_pktinfo info;
	int hops;

	if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info))) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		out->dst = ip_v6(info.ipi6_addr.s6_addr);
		out->ifindex = info.ipi6_ifindex;
		return HAS_DST;
	}
	if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(hops))) {
		memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		out->hop_limit = (uint8_t)hops;
		return HAS_HOPS;
	}
	return 0;
}

static unsigned int
control_four(const struct cmsghdr *c, struct rt_datagram *out)
{
	struct in_pktinfo info;
	int hops;

	if (c->cmsg_type == IP_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info))) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		out->dst = ip_v4(ntohl(info.ipi_addr.s_addr));
		out->ifindex = (uint32_t)info.ipi_ifindex;
		return HAS_DST;
	}
	if (c->cmsg_type == IP_TTL && c->cmsg_len >= CMSG_LEN(sizeof(hops))) {
		memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		out->hop_limit = (uint8_t)hops;
		return HAS_HOPS;
	}
	return 0;
}

/* False when something is missing. */
static bool
read_control(struct rt_datagrams *d, struct msghdr *msg, struct rt_datagram *out)
{
	struct mono now = rt_clock(&d->h.rt->rt);
	unsigned int has = 0;

	out->at = now;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6) {
			has |= control_six(c, out);
		} else if (c->cmsg_level == IPPROTO_IP) {
			has |= control_four(c, out);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			int64_t age = age_of(c);

			if (age > 0)
				out->at.us = MAX_OF(now.us - age, MIN_OF(d->empty_at.us, now.us));
		}
	}
	return has == (HAS_DST | HAS_HOPS);
}

/* One datagram: 1, nothing there: 0, one that cannot be used: -1. */
static int
receive(struct rt_datagrams *d, uint8_t *buf, struct rt_datagram *out)
{
	union {
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} from;
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = DATAGRAM_MAX };
	struct msghdr msg = { .msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct mono before = rt_clock(&d->h.rt->rt);
	ssize_t n = recvmsg(d->fd, &msg, 0);

	if (n < 0) {
		if (errno == EAGAIN)
			d->empty_at = before;
		return errno == EINTR || errno == ENETDOWN ? -1 : 0;
	}
	*out = (struct rt_datagram){ .bytes = buf, .n = (size_t)n };
	if (d->family == AF_INET6) {
		out->src = ip_v6(from.six.sin6_addr.s6_addr);
		out->src_port = ntohs(from.six.sin6_port);
	} else {
		out->src = ip_v4(ntohl(from.four.sin_addr.s_addr));
		out->src_port = ntohs(from.four.sin_port);
	}
	return !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && read_control(d, &msg, out) ? 1 : -1;
}

static void
receive_some(struct rt_datagrams *d, int most, bool all)
{
	struct ev_runtime *rt = d->h.rt;
	uint8_t buf[DATAGRAM_MAX];
	struct rt_datagram datagram;
	bool waited;

	for (int i = 0; i < most && !d->released; i++) {
		int got = receive(d, buf, &datagram);

		if (got == 0)
			break;
		if (got < 0) {
			rt->stats.packet_errors++;
			continue;
		}
		rt->stats.packets_in++;
		d->empty_at = datagram.at;
		waited = mono_sub(rt_clock(&rt->rt), datagram.at) > PROMPT_US;
		d->fn(d->arg, &datagram);
		if (!all && !waited)
			break; /* it had just come: that there is another is less likely than that asking is in vain */
	}
}

static void
on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct rt_datagrams *d = arg;

	d->busy = true;
	receive_some(d, DATAGRAMS_A_TURN, false);
	d->busy = false;
	if (d->released)
		datagrams_destroy(&d->h);
}

void
ev_datagrams_drain(struct rt_datagrams *d)
{
	if (d->fn && !d->released)
		receive_some(d, DATAGRAMS_A_DRAIN, true);
}

/* ---- opening ---- */

struct option {
	int level, name, value;
};

static int
set_options(int fd, const struct option *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, o[i].level, o[i].name, &o[i].value, sizeof(o[i].value)) < 0)
			return -errno;
	return 0;
}

static int
options_six(int fd, const struct rt_datagram_options *o)
{
	const struct option options[] = {
		{ IPPROTO_IPV6, IPV6_V6ONLY, 1 },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
		{ IPPROTO_IPV6, IPV6_TCLASS, o->tclass },
		{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, o->hop_limit ? o->hop_limit : -1 },
	};

	return set_options(fd, options, ARRAY_LEN(options));
}

static int
options_four(int fd, const struct rt_datagram_options *o)
{
	const struct option options[] = {
		{ IPPROTO_IP, IP_PKTINFO, 1 },
		{ IPPROTO_IP, IP_RECVTTL, 1 },
		{ IPPROTO_IP, IP_TOS, o->tclass },
		{ IPPROTO_IP, IP_TTL, o->hop_limit ? o->hop_limit : -1 },
	};

	return set_options(fd, options, ARRAY_LEN(options));
}

static socklen_t
to_sockaddr(const struct ip *a, uint16_t port, uint32_t ifindex, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *four = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*six));
	if (a->family == FAMILY_IPV4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		four->sin_addr.s_addr = htonl(ip_to_v4(a));
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, a->b, 16);
	if (ip_is_link_local(a))
		six->sin6_scope_id = ifindex;
	return sizeof(*six);
}

static int
set_all(int fd, const struct rt_datagram_options *o, bool receives)
{
	int one = 1, priority = TC_CONTROL, size = receives ? RECEIVE_BUFFER : SEND_ONLY_BUFFER;
	int err = ev_bind_port(fd, o->ifindex);
	struct sockaddr_storage ss;
	socklen_t len;

	if (!err)
		err = o->local.family == FAMILY_IPV6 ? options_six(fd, o) : options_four(fd, o);
	if (!err && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
		err = -errno;
	if (err)
		return err;
	/* Both better, neither needed; without privilege the system's limit holds. */
	setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	len = to_sockaddr(&o->local, o->local_port, o->ifindex, &ss);
	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

int
ev_datagrams_open(
    struct runtime *rt, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	int family = o->local.family == FAMILY_IPV6 ? AF_INET6 : AF_INET, err;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct rt_datagrams *d;

	*out = NULL;
	if (fd < 0)
		return -errno;
	err = set_all(fd, o, fn != NULL);
	if (err) {
		close(fd);
		return err;
	}
	d = ev_handle_new(ev_of(rt), sizeof(*d), datagrams_destroy);
	d->fd = fd;
	d->family = family;
	d->ifindex = o->ifindex;
	d->fn = fn;
	d->arg = arg;
	d->empty_at = rt_clock(rt);
	if (fn) {
		event_assign(&d->readable, d->h.rt->base, fd, EV_READ | EV_PERSIST, on_readable, d);
		event_add(&d->readable, NULL);
	}
	*out = d;
	return 0;
}

int
ev_datagram_send(struct rt_datagrams *d, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n)
{
	struct sockaddr_storage ss;
	socklen_t len = to_sockaddr(dst, dst_port, d->ifindex, &ss);

	if (d->released)
		return -EPIPE;
	if (sendto(d->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, len) < 0) {
		d->h.rt->stats.packet_errors++;
		return -errno;
	}
	d->h.rt->stats.packets_out++;
	return 0;
}

void
ev_datagrams_close(struct rt_datagrams *d)
{
	d->released = true;
	if (!d->busy)
		datagrams_destroy(&d->h);
}
