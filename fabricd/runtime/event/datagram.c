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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabricd/runtime/clock.h"
#include "fabricd/runtime/event/impl.h"
#include "fabricd/runtime/socket.h"

#define DATAGRAMS_A_TURN  64
#define DATAGRAMS_A_DRAIN 1024
#define DATAGRAM_MAX      2048
#define PROMPT_US         200
#define RECEIVE_BUFFER    (1 << 20)
#define SEND_ONLY_BUFFER  2048 /* for what comes to a socket that nobody reads */

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
	struct timespec then;

	memcpy(&then, CMSG_DATA(c), sizeof(then));
	return clock_wall_us() - (SECONDS(then.tv_sec) + then.tv_nsec / 1000);
}

/* False when something is missing. */
static bool
read_control(struct rt_datagrams *d, struct msghdr *msg, struct rt_datagram *out)
{
	struct mono now = rt_clock(&d->h.rt->rt);
	unsigned int has = 0;

	out->at = now;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		has |= socket_control(c, out);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			int64_t age = age_of(c);

			if (age > 0)
				out->at.us = MAX_OF(now.us - age, MIN_OF(d->empty_at.us, now.us));
		}
	}
	return has == SOCKET_HAS_ALL;
}

/* One datagram: 1, nothing there: 0, one that cannot be used: -1. */
static int
receive(struct rt_datagrams *d, uint8_t *buf, struct rt_datagram *out)
{
	struct sockaddr_storage from;
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
	out->src = socket_ip(&from, &out->src_port);
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
			rt->stats.packets_unread++;
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

int
ev_datagrams_open(
    struct runtime *rt, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	const struct socket_option stamps = { SOL_SOCKET, SO_TIMESTAMPNS, 1 };
	int family = socket_family(o->local.family), err;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct rt_datagrams *d;

	*out = NULL;
	if (fd < 0)
		return -errno;
	err = socket_set(fd, &stamps, 1);
	if (!err)
		err = socket_bind_datagrams(fd, o, fn ? RECEIVE_BUFFER : SEND_ONLY_BUFFER);
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
	socklen_t len = socket_address(d->family, dst, dst_port, d->ifindex, &ss);

	if (d->released)
		return -EPIPE;
	if (sendto(d->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, len) < 0) {
		d->h.rt->stats.packets_unsent++;
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
