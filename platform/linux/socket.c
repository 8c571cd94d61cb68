/* platform/linux/socket.c -- netlink sockets: opening, one request and its answer, dumps; entries of our own in the neighbour table */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/linux/internal.h"

static void
set_buffer(int fd, uint32_t bytes)
{
	int value = (int)bytes;

	/* FORCE goes beyond net.core.rmem_max, and needs CAP_NET_ADMIN in the first user namespace. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value));
}

struct nl_sock *
linux_socket(struct linux_platform *lp, uint32_t rcvbuf, char *err, size_t errlen)
{
	struct nl_sock *sock = nl_socket_alloc();
	int on = 1, fd, e;

	(void)lp;
	if (!sock) {
		snprintf(err, errlen, "no memory for a netlink socket");
		return NULL;
	}
	e = nl_connect(sock, NETLINK_ROUTE);
	if (e < 0) {
		snprintf(err, errlen, "netlink socket: %s; does the kernel have CONFIG_NET?", nl_geterror(e));
		nl_socket_free(sock);
		return NULL;
	}
	fd = nl_socket_get_fd(sock);
	set_buffer(fd, rcvbuf);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return sock;
}

int
linux_send(struct nl_sock *sock, const void *bytes, size_t n)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	ssize_t got;

	do
		got = sendto(nl_socket_get_fd(sock), bytes, n, 0, (struct sockaddr *)&to, sizeof(to));
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : 0;
}

int
linux_recv(struct linux_platform *lp, struct nl_sock *sock, nl_in_fn *fn, void *arg)
{
	struct sockaddr_nl from;
	socklen_t len = sizeof(from);
	/* Answers have a buffer of their own: a request may be made while a dump or an event is being told. */
	uint8_t *bytes = sock == lp->cmd ? lp->answers : lp->in;
	struct rd all;
	struct nl_in in;
	ssize_t n;

	do
		n = recvfrom(
		    nl_socket_get_fd(sock), bytes, IN_BYTES, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (len < sizeof(from) || from.nl_family != AF_NETLINK || from.nl_pid != 0) {
		lp->count.not_kernel++;
		return 1;
	}
	if ((size_t)n > IN_BYTES) {
		lp->count.malformed++;
		return -EMSGSIZE;
	}
	all = rd_make(bytes, (size_t)n);
	while (nl_next(&all, &in)) {
		if (!fn(arg, &in))
			return 1;
	}
	if (all.bad) {
		lp->count.malformed++;
		return -EBADMSG;
	}
	return 1;
}

/* ---- one request ---- */

struct answer {
	uint32_t seq;
	bool came;
	int error;
	char *text;
	size_t room;
	nl_in_fn *fn;
	void *arg;
};

static bool
answer(void *arg, const struct nl_in *in)
{
	struct answer *a = arg;
	struct nl_error e;

	if (in->type != NLMSG_ERROR) {
		if (in->seq == a->seq && a->fn)
			a->fn(a->arg, in);
		return true;
	}
	if (!nl_parse_error(in, &e) || e.seq != a->seq)
		return true;
	a->came = true;
	a->error = e.error;
	if (a->text && a->room)
		snprintf(a->text, a->room, "%s", e.text);
	return true;
}

/* The kernel answers before sendto() returns, so there is nothing to wait for. */
static int
request(struct linux_platform *lp, struct answer *a)
{
	int err;

	a->seq = nl_head(&lp->out)->nlmsg_seq;
	if (a->text && a->room)
		a->text[0] = '\0';
	err = lp->out.full ? -EMSGSIZE : linux_send(lp->cmd, lp->out.bytes, lp->out.n);
	lp->out.n = 0;
	if (err)
		return err;
	while (!a->came) {
		err = linux_recv(lp, lp->cmd, answer, a);
		if (err <= 0)
			return err ? err : -EIO;
	}
	return a->error;
}

int
linux_request(struct linux_platform *lp, char *text, size_t n)
{
	struct answer a = { .text = text, .room = n };

	nl_head(&lp->out)->nlmsg_flags |= NLM_F_ACK;
	return request(lp, &a);
}

int
linux_query(struct linux_platform *lp, nl_in_fn *fn, void *arg)
{
	struct answer a = { .fn = fn, .arg = arg };

	nl_head(&lp->out)->nlmsg_flags |= NLM_F_ACK;
	return request(lp, &a);
}

void
linux_neighbour_begin(struct linux_platform *lp, uint32_t ifindex, const struct ip *a, uint16_t state)
{
	struct ndmsg *m;

	lp->out.n = 0;
	m = nl_begin(&lp->out, RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, ++lp->seq, sizeof(*m));
	m->ndm_family = a->family == FAMILY_IPV4 ? AF_INET : AF_INET6;
	m->ndm_ifindex = (int)ifindex;
	m->ndm_state = state;
	m->ndm_flags = NTF_EXT_LEARNED; /* so that it is not collected as garbage */
	nl_put(&lp->out, NDA_DST, a->b, family_bytes((enum family)a->family));
}

/* ---- small dumps, read at once ---- */

struct dump {
	uint32_t seq;
	bool done, interrupted;
	int error;
	nl_in_fn *fn;
	void *arg;
};

static bool
dump_message(void *arg, const struct nl_in *in)
{
	struct dump *d = arg;
	struct nl_error e;

	if (in->seq != d->seq)
		return true;
	if (in->flags & NLM_F_DUMP_INTR)
		d->interrupted = true;
	if (in->type == NLMSG_DONE) {
		d->done = true;
		d->error = nl_parse_done(in);
	} else if (in->type == NLMSG_ERROR) {
		d->done = true;
		d->error = nl_parse_error(in, &e) ? e.error : -EBADMSG;
	} else {
		d->fn(d->arg, in);
	}
	return true;
}

int
linux_dump(struct linux_platform *lp, uint16_t type, const void *head, size_t n, nl_in_fn *fn, void *arg)
{
	struct dump d = { .seq = ++lp->seq, .fn = fn, .arg = arg };
	void *room;
	int err;

	linux_dump_drop(lp); /* the audit's dump, if there is one, begins anew */
	lp->out.n = 0;
	room = nl_begin(&lp->out, type, NLM_F_REQUEST | NLM_F_DUMP, d.seq, n);
	memcpy(room, head, n);
	err = linux_send(lp->read, lp->out.bytes, lp->out.n);
	lp->out.n = 0;
	while (!err && !d.done) {
		err = linux_recv(lp, lp->read, dump_message, &d);
		err = err > 0 ? 0 : err ? err : -EIO;
	}
	if (!err && d.interrupted) {
		lp->count.interrupted++;
		return -EINTR;
	}
	return err ? err : d.error;
}
