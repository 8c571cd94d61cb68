/*
 * fabricd/runtime/event/stream.c -- TCP and UNIX streams on non-blocking sockets
 *
 *   readable --> `ready` list --> recv into the runtime's one buffer, behind what was left over --> input() --> the
 * rest is kept rt_write --> send at once; when the kernel takes less: EV_WRITE --> writable() errors,
 * rt_stream_again(), resume --> `ready` list --> callbacks in the same turn, never from inside a call
 *
 * Only a stream whose handler left bytes over holds memory for input. While it waits for rt_stream_again() to come, and
 * above LEFTOVER_MAX, it does not read, so TCP stops the sender.
 *
 * A close in order must not lose what was written: with unread input in its queue the kernel would send a reset. So
 * the write side is shut, and the descriptor is drained for a few seconds, after the handle is gone.
 *
 * Descriptors: when less than FD_RESERVE are left, listeners close what they accept and rest for a while; they never
 * spin on EMFILE. What the reserve is for are our own connects, files and the lock.
 *
 * Always true: a stream on the ready list is in it once; a released handle gets no callback, and is freed when the last
 * callback of it has returned; a drain has no handler.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabricd/runtime/event/impl.h"
#include "fabricd/runtime/socket.h"

#define READY_TURN_US  MS(4)
#define LEFTOVER_MAX   (4 * 1024 * 1024)
#define READ_MIN       (64 * 1024)
#define ACCEPTS_A_TURN 64
#define BACKLOG        256
#define DRAIN_US       SECONDS(5)
#define ACCEPT_REST_US MS(200)
#define SMALL_BUFFER   (64 * 1024)

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_DRAINS };

struct rt_listener {
	struct ev_handle h;
	int fd;
	int family;
	uint32_t ifindex;
	bool resting, paused, busy, released;
	struct event ev;
	rt_accept_fn *fn;
	void *arg;
	char *path; /* UNIX: removed with the listener */
};

struct rt_stream {
	struct ev_handle h;
	int fd;
	enum stream_state state;
	struct event readable, writable;
	bool reading, writing, paused, blocked, again, is_unix;
	bool first; /* is read before all others */
	bool released, failed;
	unsigned int busy;
	int error;
	bool queued; /* in the ready list */
	bool read_due;
	struct rt_stream *ready_prev, *ready_next;
	const struct rt_stream_handler *handler;
	void *arg;
	uint8_t *left; /* leftover: left[off .. off + n) */
	size_t left_off, left_n, left_cap;
	struct rt_timer *drain;
};

/* ---- the ready list ---- */

/* What another process of this machine says to us, who asked it, is worth more than anybody's bytes: it is bfdd. */
static void
ready_add_first(struct rt_stream *s)
{
	struct ev_runtime *rt = s->h.rt;

	s->queued = true;
	s->ready_prev = NULL;
	s->ready_next = rt->ready;
	if (rt->ready)
		rt->ready->ready_prev = s;
	else
		rt->ready_last = s;
	rt->ready = s;
}

static void
ready_add(struct rt_stream *s)
{
	struct ev_runtime *rt = s->h.rt;

	if (s->queued)
		return;
	if (s->first) {
		ready_add_first(s);
		return;
	}
	s->queued = true;
	s->ready_next = NULL;
	s->ready_prev = rt->ready_last;
	if (rt->ready_last)
		rt->ready_last->ready_next = s;
	else
		rt->ready = s;
	rt->ready_last = s;
}

static void
ready_remove(struct rt_stream *s)
{
	struct ev_runtime *rt = s->h.rt;

	if (!s->queued)
		return;
	s->queued = false;
	if (s->ready_next)
		s->ready_next->ready_prev = s->ready_prev;
	else
		rt->ready_last = s->ready_prev;
	if (s->ready_prev)
		s->ready_prev->ready_next = s->ready_next;
	else
		rt->ready = s->ready_next;
}

/* ---- reading on and off ---- */

static void
want_read(struct rt_stream *s, bool on)
{
	if (s->reading == on)
		return;
	s->reading = on;
	if (on)
		event_add(&s->readable, NULL);
	else
		event_del(&s->readable);
}

static void
want_write(struct rt_stream *s, bool on)
{
	if (s->writing == on)
		return;
	s->writing = on;
	if (on)
		event_add(&s->writable, NULL);
	else
		event_del(&s->writable);
}

static void
refresh_read(struct rt_stream *s)
{
	want_read(s, s->state == STREAM_DRAINS || (s->state == STREAM_OPEN && s->handler && !s->paused && !s->again &&
						      !s->failed && s->left_n < LEFTOVER_MAX));
}

/* ---- life ---- */

static void
stream_free(struct rt_stream *s)
{
	struct ev_runtime *rt = s->h.rt;

	ready_remove(s);
	want_read(s, false);
	want_write(s, false);
	if (s->fd >= 0)
		close(s->fd);
	rt_timer_free(s->drain);
	rt->stats.leftover_bytes -= s->left_n;
	rt->stats.streams--;
	mem_free(rt->mem, MEM_RUNTIME, s->left);
	ev_handle_free(&s->h);
}

static void
stream_destroy(struct ev_handle *h)
{
	stream_free((struct rt_stream *)h);
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static struct rt_stream *
stream_new(struct ev_runtime *rt, int fd, bool is_unix)
{
	struct rt_stream *s = ev_handle_new(rt, sizeof(*s), stream_destroy);

	s->fd = fd;
	s->is_unix = is_unix;
	s->state = STREAM_OPEN;
	event_assign(&s->readable, rt->base, fd, EV_READ | EV_PERSIST, on_readable, s);
	event_assign(&s->writable, rt->base, fd, EV_WRITE | EV_PERSIST, on_writable, s);
	rt->stats.streams++;
	return s;
}

/* Tells the end, and frees. Only from the loop. */
static void
finish(struct rt_stream *s, int error)
{
	s->released = true;
	want_read(s, false);
	want_write(s, false);
	close(s->fd);
	s->fd = -1;
	s->busy++;
	if (s->handler && s->handler->closed)
		s->handler->closed(s->arg, error);
	if (--s->busy == 0)
		stream_free(s);
}

static void
fail_later(struct rt_stream *s, int error)
{
	if (s->failed)
		return;
	s->failed = true;
	s->error = error;
	refresh_read(s);
	want_write(s, false);
	ready_add(s);
}

/* ---- input ---- */

static void
keep(struct rt_stream *s, const uint8_t *bytes, size_t n)
{
	struct ev_runtime *rt = s->h.rt;

	rt->stats.leftover_bytes += n;
	rt->stats.leftover_bytes -= s->left_n;
	if (n == 0) {
		mem_free(rt->mem, MEM_RUNTIME, s->left);
		s->left = NULL;
		s->left_off = s->left_n = s->left_cap = 0;
		return;
	}
	if (bytes >= s->left && bytes < s->left + s->left_cap) {
		s->left_off = (size_t)(bytes - s->left);
	} else {
		s->left = mem_grow(rt->mem, MEM_RUNTIME, s->left, &s->left_cap, n, 1);
		memcpy(s->left, bytes, n);
		s->left_off = 0;
	}
	s->left_n = n;
}

/* Gives n bytes to the handler and keeps what it leaves. False when the stream is gone. */
static bool
give(struct rt_stream *s, const uint8_t *bytes, size_t n)
{
	size_t used;

	s->busy++;
	used = s->handler->input(s->arg, bytes, n);
	if (--s->busy == 0 && s->released) {
		stream_free(s);
		return false;
	}
	if (s->released)
		return false;
	used = MIN_OF(used, n);
	keep(s, bytes + used, n - used);
	refresh_read(s);
	return true;
}

/*
 * Where to read to: behind a copy of the leftover in the shared buffer, or, when much was left over, behind the
 * leftover itself.
 */
static uint8_t *
read_place(struct rt_stream *s, size_t *room, bool *shared)
{
	struct ev_runtime *rt = s->h.rt;

	*shared = s->left_n <= READ_BUFFER - READ_MIN;
	if (*shared) {
		if (s->left_n)
			memcpy(rt->buffer, s->left + s->left_off, s->left_n);
		*room = READ_BUFFER - s->left_n;
		return rt->buffer + s->left_n;
	}
	if (s->left_off) {
		memmove(s->left, s->left + s->left_off, s->left_n);
		s->left_off = 0;
	}
	s->left = mem_grow(rt->mem, MEM_RUNTIME, s->left, &s->left_cap, s->left_n + READ_MIN, 1);
	*room = s->left_cap - s->left_n;
	return s->left + s->left_n;
}

static void
drain_read(struct rt_stream *s)
{
	ssize_t n = recv(s->fd, s->h.rt->buffer, READ_BUFFER, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		stream_free(s);
}

static void
read_some(struct rt_stream *s)
{
	struct ev_runtime *rt = s->h.rt;
	size_t room;
	bool shared;
	uint8_t *to = read_place(s, &room, &shared);
	ssize_t n = recv(s->fd, to, room, 0);

	if (n > 0) {
		rt->stats.bytes_in += (uint64_t)n;
		if (!shared) {
			rt->stats.leftover_bytes += (size_t)n;
			s->left_n += (size_t)n;
			give(s, s->left, s->left_n);
		} else {
			give(s, rt->buffer, s->left_n + (size_t)n);
		}
	} else if (n == 0) {
		finish(s, 0);
	} else if (errno != EAGAIN && errno != EINTR) {
		finish(s, -errno);
	}
}

/* Reading is done by ev_ready_run(), in the order in which streams became readable: so a turn can end between two. */
static void
on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct rt_stream *s = arg;

	if (s->state == STREAM_DRAINS) {
		drain_read(s);
		return;
	}
	s->read_due = true;
	ready_add(s);
}

/* ---- output ---- */

static void
on_connected(struct rt_stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		finish(s, -error);
		return;
	}
	s->state = STREAM_OPEN;
	want_write(s, s->blocked);
	s->busy++;
	if (s->handler->opened)
		s->handler->opened(s->arg);
	if (--s->busy == 0 && s->released)
		stream_free(s);
	else if (!s->released)
		refresh_read(s);
}

static void
on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct rt_stream *s = arg;

	if (s->state == STREAM_CONNECTING) {
		on_connected(s);
		return;
	}
	want_write(s, false);
	if (!s->blocked || s->released || s->failed)
		return;
	s->blocked = false;
	if (s->handler && s->handler->writable)
		s->handler->writable(s->arg);
}

ssize_t
ev_stream_write(struct rt_stream *s, const uint8_t *bytes, size_t n)
{
	ssize_t sent;

	if (s->released || s->failed || s->state == STREAM_DRAINS)
		return -EPIPE;
	if (n == 0)
		return 0;
	if (s->state == STREAM_CONNECTING) {
		s->blocked = true;
		return 0;
	}
	sent = send(s->fd, bytes, n, MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
			int error = -errno;

			fail_later(s, error);
			return error;
		}
		sent = 0;
	}
	s->h.rt->stats.bytes_out += (uint64_t)sent;
	if ((size_t)sent < n) {
		s->blocked = true;
		want_write(s, true);
	}
	return sent;
}

/* ---- what is asked of a stream ---- */

void
ev_stream_handle(struct rt_stream *s, const struct rt_stream_handler *h, void *arg)
{
	s->handler = h;
	s->arg = arg;
	if (s->left_n)
		ev_stream_again(s);
	refresh_read(s);
}

void
ev_stream_again(struct rt_stream *s)
{
	if (s->released || s->state != STREAM_OPEN)
		return;
	s->again = true;
	refresh_read(s);
	ready_add(s);
}

void
ev_stream_pause(struct rt_stream *s, bool paused)
{
	if (s->released || s->paused == paused)
		return;
	s->paused = paused;
	if (!paused && s->left_n)
		ev_stream_again(s);
	refresh_read(s);
}

static void
drain_over(void *arg)
{
	stream_free(arg);
}

static void
drain_start(struct rt_stream *s)
{
	struct runtime *rt = &s->h.rt->rt;

	ready_remove(s);
	keep(s, NULL, 0);
	s->handler = NULL;
	s->state = STREAM_DRAINS;
	s->released = false; /* nobody outside knows it any more; it is freed by the drain itself */
	want_write(s, false);
	refresh_read(s);
	s->drain = rt_timer_new(rt, drain_over, s);
	rt_timer_set(s->drain, mono_add(rt_now(rt), DRAIN_US));
}

void
ev_stream_close(struct rt_stream *s, bool reset)
{
	static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	if (s->released || s->state == STREAM_DRAINS)
		return;
	if (reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	else if (s->state == STREAM_OPEN && !s->failed && s->busy == 0 && shutdown(s->fd, SHUT_WR) == 0) {
		drain_start(s);
		return;
	}
	if (!reset && s->state == STREAM_OPEN && !s->failed && s->busy) {
		/* From inside its own callback: the descriptor goes to a drain of its own. */
		int fd = s->fd;

		if (shutdown(fd, SHUT_WR) == 0) {
			want_read(s, false);
			want_write(s, false);
			s->fd = -1;
			drain_start(stream_new(s->h.rt, fd, s->is_unix));
		}
	}
	s->released = true;
	want_read(s, false);
	want_write(s, false);
	ready_remove(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (!s->busy)
		stream_free(s);
}

static void
serve(struct rt_stream *s)
{
	bool read_due = s->read_due;

	s->read_due = false;
	if (s->failed) {
		finish(s, s->error);
	} else if (s->again) {
		s->again = false;
		if (s->left_n && s->handler && !s->paused)
			give(s, s->left + s->left_off, s->left_n);
		else
			refresh_read(s);
	} else if (read_due && s->reading) {
		read_some(s);
	}
}

/* At least one, then for as long as the turn has time; who is left, and who joins meanwhile, waits for the next turn.
 */
void
ev_ready_run(struct ev_runtime *rt)
{
	struct mono until = mono_add(rt_clock(&rt->rt), READY_TURN_US);
	struct rt_stream *s;
	size_t n = 0;

	for (s = rt->ready; s; s = s->ready_next)
		n++;
	for (; n && (s = rt->ready); n--) {
		ready_remove(s);
		serve(s);
		if (n > 1 && mono_due(until, rt_clock(&rt->rt))) {
			rt->stats.put_off += n - 1;
			return;
		}
	}
}

int
ev_stream_local(struct rt_stream *s, struct ip *local, struct ip *peer)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	uint16_t port;

	if (s->is_unix)
		return -ENOTSUP;
	if (getsockname(s->fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	*local = socket_ip(&ss, &port);
	len = sizeof(ss);
	if (getpeername(s->fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	*peer = socket_ip(&ss, &port);
	return 0;
}

int
ev_stream_peer_uid(struct rt_stream *s, uint32_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!s->is_unix)
		return -ENOTSUP;
	if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*uid = cred.uid;
	return 0;
}

/* ---- socket options ---- */

static int
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * RFC 5082, two halves that do not depend on each other: with gtsm the kernel drops whatever came with less than 255
 * before TCP sees it; and we send what rt_sent_hop_limit() says.
 */
static int
set_hop_limit(int fd, int family, const struct rt_stream_options *o)
{
	int send = rt_sent_hop_limit(o) ? rt_sent_hop_limit(o) : -1; /* -1: the system's */
	int err = 0;

	if (family == AF_INET6) {
		err = set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, send);
		if (!err && o->gtsm)
			err = set_int(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, 255);
	}
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_TTL, send);
	if (!err && o->gtsm)
		err = set_int(fd, IPPROTO_IP, IP_MINTTL, 255);
	return err;
}

static int
set_md5(int fd, int family, const char *key, const struct prefix *peer, uint32_t ifindex)
{
	struct tcp_md5sig sig = { .tcpm_flags = TCP_MD5SIG_FLAG_PREFIX, .tcpm_prefixlen = peer->len };
	struct ip a = prefix_addr(peer);
	size_t n = strlen(key);

	if (n == 0 || n > TCP_MD5SIG_MAXKEYLEN)
		return -EINVAL;
	socket_address(family, &a, 0, ifindex, &sig.tcpm_addr);
	if (family == AF_INET6 && peer->family == FAMILY_IPV4) { /* mapped, on a socket for both families */
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&sig.tcpm_addr;

		six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
		memcpy(six->sin6_addr.s6_addr + 12, a.b, 4);
		sig.tcpm_prefixlen = (uint8_t)(peer->len + 96);
	}
	sig.tcpm_keylen = (uint16_t)n;
	memcpy(sig.tcpm_key, key, n);
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &sig, sizeof(sig)) < 0 ? -errno : 0;
}

static void
set_small(int fd)
{
	set_int(fd, SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, SMALL_BUFFER);
}

/* What listeners and connects have in common, before bind(). */
static int
set_options(int fd, int family, const struct rt_stream_options *o, const struct prefix *md5_peer)
{
	int err = socket_bind_port(fd, o->ifindex);

	if (!err)
		err = set_hop_limit(fd, family, o);
	if (!err && o->md5_key)
		err = set_md5(fd, family, o->md5_key, md5_peer, o->ifindex);
	if (!err && o->tclass) {
		if (family == AF_INET6)
			set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, o->tclass);
		set_int(fd, IPPROTO_IP, IP_TOS, o->tclass);
	}
	if (!err && o->keep_small)
		set_small(fd);
	if (!err)
		err = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return err;
}

/* ---- connecting ---- */

static int
start_connect(struct ev_runtime *rt, int fd, bool is_unix, const struct sockaddr *to, socklen_t len,
    const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	struct rt_stream *s;

	if (connect(fd, to, len) < 0 && errno != EINPROGRESS) {
		int err = -errno;

		close(fd);
		return err;
	}
	s = stream_new(rt, fd, is_unix);
	s->state = STREAM_CONNECTING;
	s->handler = h;
	s->arg = arg;
	want_write(s, true); /* also when it is open already: opened() comes from the loop */
	*out = s;
	return 0;
}

int
ev_connect(struct runtime *rt, const struct rt_stream_options *o, const struct ip *peer, uint16_t port,
    const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	int family = peer->family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
	struct prefix md5_peer = prefix_of(peer, family_bits(peer->family));
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, err;

	*out = NULL;
	if (ip_is_link_local(peer) && !o->ifindex)
		return -EINVAL;
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = set_options(fd, family, o, &md5_peer);
	if (!err && (o->local_port || !ip_is_zero(&o->local))) {
		struct ip any = { .family = peer->family };

		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		len = socket_address(family, ip_is_zero(&o->local) ? &any : &o->local, o->local_port, o->ifindex, &ss);
		if (bind(fd, (struct sockaddr *)&ss, len) < 0)
			err = -errno;
	}
	if (err) {
		close(fd);
		return err;
	}
	len = socket_address(family, peer, port, o->ifindex, &ss);
	return start_connect(ev_of(rt), fd, false, (struct sockaddr *)&ss, len, h, arg, out);
}

static int
unix_address(const char *path, struct sockaddr_un *un)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	strcpy(un->sun_path, path);
	return 0;
}

int
ev_connect_unix(
    struct runtime *rt, const char *path, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	struct sockaddr_un un;
	int fd, err = unix_address(path, &un);

	*out = NULL;
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = start_connect(ev_of(rt), fd, true, (struct sockaddr *)&un, sizeof(un), h, arg, out);
	if (!err)
		(*out)->first = true;
	return err;
}

/* ---- listening ---- */

static void
listener_rest(struct rt_listener *l, bool rest)
{
	rest |= l->paused;
	if (l->resting == rest)
		return;
	l->resting = rest;
	if (rest)
		event_del(&l->ev);
	else
		event_add(&l->ev, NULL);
}

static void
listener_destroy(struct ev_handle *h)
{
	struct rt_listener *l = (struct rt_listener *)h;

	listener_rest(l, true);
	close(l->fd);
	if (l->path)
		unlink(l->path);
	mem_free(h->rt->mem, MEM_RUNTIME, l->path);
	h->rt->stats.listeners--;
	ev_handle_free(h);
}

static void
all_listeners(struct ev_runtime *rt, bool rest)
{
	for (struct ev_handle *h = rt->handles.next; h != &rt->handles; h = h->next)
		if (h->destroy == listener_destroy)
			listener_rest((struct rt_listener *)h, rest);
}

static void
accept_again(void *arg)
{
	struct ev_runtime *rt = arg;

	rt->accept_paused = false;
	all_listeners(rt, false);
}

/* Descriptors are short: what waits in the backlogs waits longer. */
static void
accept_pause(struct ev_runtime *rt)
{
	rt->stats.accept_pauses++;
	rt->accept_paused = true;
	if (!rt->accept_timer)
		rt->accept_timer = rt_timer_new(&rt->rt, accept_again, rt);
	rt_timer_set(rt->accept_timer, mono_add(rt_now(&rt->rt), ACCEPT_REST_US));
	all_listeners(rt, true);
}

static bool
in_reserve(int fd)
{
	struct rlimit r;

	return getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
	       (rlim_t)fd + FD_RESERVE >= r.rlim_cur;
}

static void
accepted(struct rt_listener *l, int fd, const struct sockaddr_storage *from)
{
	struct rt_stream *s = stream_new(l->h.rt, fd, l->path != NULL);
	uint16_t port;
	struct ip peer = socket_ip(from, &port);

	l->h.rt->stats.accepted++;
	s->busy++;
	l->fn(l->arg, s, &peer, port);
	s->busy--;
	if (s->released)
		stream_free(s);
	else if (!s->handler)
		ev_stream_close(s, true);
}

static void
on_connection(evutil_socket_t listen_fd, short what UNUSED, void *arg)
{
	struct rt_listener *l = arg;
	struct ev_runtime *rt = l->h.rt;

	l->busy = true;
	for (int i = 0; i < ACCEPTS_A_TURN && !l->released; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		int fd = accept4((int)listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				accept_pause(rt);
			break;
		}
		if (in_reserve(fd)) {
			close(fd);
			accept_pause(rt);
			break;
		}
		accepted(l, fd, &ss);
	}
	l->busy = false;
	if (l->released)
		listener_destroy(&l->h);
}

static struct rt_listener *
listener_new(struct ev_runtime *rt, int fd, rt_accept_fn *fn, void *arg)
{
	struct rt_listener *l = ev_handle_new(rt, sizeof(*l), listener_destroy);

	l->fd = fd;
	l->fn = fn;
	l->arg = arg;
	l->resting = true;
	event_assign(&l->ev, rt->base, fd, EV_READ | EV_PERSIST, on_connection, l);
	if (!rt->accept_paused)
		listener_rest(l, false);
	rt->stats.listeners++;
	return l;
}

int
ev_listen(struct runtime *rt, const struct rt_stream_options *o, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	bool any = ip_is_zero(&o->local), six = any || o->local.family == FAMILY_IPV6;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;
	struct sockaddr_storage ss;
	socklen_t len;

	*out = NULL;
	if (fd < 0)
		return -errno;
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	err = six ? set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->local.family == FAMILY_IPV6) : 0;
	if (!err)
		err = set_options(fd, six ? AF_INET6 : AF_INET, o, &o->md5_peer);
	len = socket_address(six ? AF_INET6 : AF_INET, &o->local, o->local_port, o->ifindex, &ss);
	if (!err && (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*out = listener_new(ev_of(rt), fd, fn, arg);
	(*out)->family = six ? AF_INET6 : AF_INET;
	(*out)->ifindex = o->ifindex;
	return 0;
}

int
ev_listener_key(struct rt_listener *l, const struct prefix *peer, const char *key)
{
	return l->path ? -ENOTSUP : set_md5(l->fd, l->family, key, peer, l->ifindex);
}

/* Whether somebody listens there. A socket file without a listener was left by a crash. */
static bool
unix_in_use(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool used = fd < 0 || connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN;

	if (fd >= 0)
		close(fd);
	return used;
}

int
ev_listen_unix(
    struct runtime *rt, const char *path, unsigned int mode, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct sockaddr_un un;
	struct stat st;
	int fd, err = unix_address(path, &un);
	mode_t mask;

	*out = NULL;
	if (err)
		return err;
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		if (unix_in_use(&un))
			return -EADDRINUSE;
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0777); /* nobody gets in before its mode is set */
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		err = -errno;
	umask(mask);
	if (!err && (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*out = listener_new(ev_of(rt), fd, fn, arg);
	(*out)->path = mem_strdup(ev_of(rt)->mem, MEM_RUNTIME, path);
	return 0;
}

void
ev_listener_close(struct rt_listener *l)
{
	l->released = true;
	if (!l->busy)
		listener_destroy(&l->h);
}

/* ---- on the way to a successor ---- */

int
ev_stream_pack(struct rt_stream *s, struct rt_parcel *out)
{
	if (s->released || s->failed || s->state != STREAM_OPEN)
		return -ENOTCONN;
	*out = (struct rt_parcel){ .fd = s->fd, .left = s->left_n ? s->left + s->left_off : NULL, .n_left = s->left_n };
	return 0;
}

int
ev_listener_pack(struct rt_listener *l, struct rt_parcel *out)
{
	*out = (struct rt_parcel){ .fd = l->fd };
	return 0;
}

int
ev_stream_unpack(
    struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	struct rt_stream *s = stream_new(ev_of(rt), p->fd, false);

	if (p->n_left)
		keep(s, p->left, p->n_left);
	ev_stream_handle(s, h, arg);
	*out = s;
	return 0;
}

int
ev_listener_unpack(struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_options *o, const char *path,
    rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct rt_listener *l = listener_new(ev_of(rt), p->fd, fn, arg);

	if (path) {
		l->path = mem_strdup(ev_of(rt)->mem, MEM_RUNTIME, path);
	} else {
		bool any = ip_is_zero(&o->local);

		l->family = any || o->local.family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
		l->ifindex = o->ifindex;
	}
	*out = l;
	return 0;
}

void
ev_listener_pause(struct rt_listener *l, bool paused)
{
	l->paused = paused;
	listener_rest(l, paused || l->h.rt->accept_paused);
}
