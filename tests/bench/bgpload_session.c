/*
 * tests/bench/bgpload_session.c -- the sessions: TCP, their state, reading and writing; progress as events
 *
 * A feeder writes its encoded bytes as fast as the socket takes them; a sink reads at most until its buffer runs low, so
 * that all have their turn. A session that is lost is opened again, and a feeder then sends what it had sent before.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "bgpload.h"

#define CHUNK    (1 << 20)
#define RETRY_NS 20000000LL

static bool done_full, done_empty, done_sent;

void
progress_forget_sent(void)
{
	done_sent = false;
}

/* ---- progress ---- */

void
say(const char *event, int64_t t, const char *fmt, ...)
{
	va_list ap;

	printf("{\"event\": \"%s\", \"t\": %lld", event, (long long)t);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("}\n");
	fflush(stdout);
}

static void
sink_progress(struct session *s)
{
	size_t present = s->set.present;
	int64_t last = 0;

	if (!s->first_t && present)
		s->first_t = now_ns();
	if (!s->full_t && load.expect && present >= load.expect)
		s->full_t = now_ns();
	if (s->full_t && !s->empty_t && !present)
		s->empty_t = now_ns();
	if (!done_full && s->full_t) {
		for (size_t i = 0; i < load.nsessions; i++) {
			if (!load.sessions[i].feeder && !load.sessions[i].full_t)
				return;
			last = load.sessions[i].full_t > last ? load.sessions[i].full_t : last;
		}
		done_full = true;
		say("full", last, ", \"first\": %lld", (long long)s->first_t);
	}
	if (done_full && !done_empty && s->empty_t) {
		for (size_t i = 0; i < load.nsessions; i++)
			if (!load.sessions[i].feeder && !load.sessions[i].empty_t)
				return;
		done_empty = true;
		say("empty", s->empty_t, "%s", "");
	}
}

static void
feed_progress(void)
{
	int64_t last = 0;

	for (size_t i = 0; i < load.nsessions; i++) {
		if (load.sessions[i].bulk)
			return;
		last = load.sessions[i].bulk_done > last ? load.sessions[i].bulk_done : last;
	}
	if (!done_sent && last) {
		done_sent = true;
		say("sent", last, "%s", "");
	}
}

void
stat_print(void)
{
	size_t up = 0, least = SIZE_MAX, most = 0, bytes = 0;
	uint64_t announced = 0, withdrawn = 0, bad = 0, updates = 0;

	for (size_t i = 0; i < load.nsessions; i++) {
		const struct session *s = &load.sessions[i];

		up += s->state == UP;
		bytes += s->feed.n;
		if (s->feeder)
			continue;
		least = s->set.present < least ? s->set.present : least;
		most = s->set.present > most ? s->set.present : most;
		announced += s->announced;
		withdrawn += s->withdrawn;
		bad += s->bad;
		updates += s->updates;
	}
	say("stat", now_ns(),
	    ", \"sessions\": %zu, \"up\": %zu, \"feed_bytes\": %zu, \"least\": %zu, \"most\": %zu, \"announced\": "
	    "%llu, "
	    "\"withdrawn\": %llu, \"updates\": %llu, \"bad\": %llu",
	    load.nsessions, up, bytes, least == SIZE_MAX ? 0 : least, most, (unsigned long long)announced,
	    (unsigned long long)withdrawn, (unsigned long long)updates, (unsigned long long)bad);
}

/* ---- load.sessions ---- */

static void
watch(struct session *s, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.u32 = s - load.sessions };

	if (epoll_ctl(load.epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 &&
	    epoll_ctl(load.epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		die("epoll: %s", strerror(errno));
}

void
session_down(struct session *s, const char *why)
{
	bool was_up = s->state == UP;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = DOWN;
	s->rlen = s->small.n = s->small_at = s->bulk_at = 0;
	s->bulk = NULL;
	s->retry_at = now_ns() + RETRY_NS;
	if (was_up)
		say("lost", now_ns(), ", \"session\": %zu, \"why\": \"%s\"", (size_t)(s - load.sessions), why);
}

static void
session_flush(struct session *s)
{
	while (s->small_at < s->small.n) {
		ssize_t n = send(s->fd, s->small.p + s->small_at, s->small.n - s->small_at, MSG_NOSIGNAL);

		if (n < 0) {
			watch(s, true);
			return;
		}
		s->small_at += n;
	}
	s->small.n = s->small_at = 0;
	while (s->bulk) {
		size_t left = s->bulk->n - s->bulk_at;
		ssize_t n = send(s->fd, s->bulk->p + s->bulk_at, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);

		if (n < 0) {
			watch(s, true);
			return;
		}
		s->sent_at = now_ns();
		s->bulk_at += n;
		if (s->bulk_at == s->bulk->n) {
			s->bulk = NULL;
			s->bulk_at = 0;
			s->bulk_done = s->sent_at;
			feed_progress();
		}
	}
	watch(s, false);
}

void
feed_begin(struct session *s, const struct bytes *b)
{
	s->bulk = b;
	s->bulk_at = 0;
	s->bulk_done = 0;
	watch(s, true);
}

static void
send_open(struct session *s)
{
	struct bytes *b = &s->small;
	size_t msg = msg_begin(b, OPEN), at;

	put8(b, 4);
	put16(b, s->local_as > 0xffff ? 23456 : s->local_as);
	put16(b, 180);
	/* BGP Identifier: anything unique among our load.sessions */
	put32(b, 0xc6120000u + 1 + (uint32_t)(s - load.sessions) + (s->feeder ? 0 : 0x8000));
	at = b->n;
	put8(b, 0);
	put(b, (uint8_t[]){ 2, 0, 1, 4, 0, 1, 0, 1, 2, 0, 65, 4 }, 12);
	put32(b, s->local_as);
	if (load.v6_wanted)
		put(b, (uint8_t[]){ 1, 4, 0, 2, 0, 1 }, 6);
	if (load.helper) /* no family in it: nothing of ours outlives a restart of ours (RFC 4724 3) */
		put(b, (uint8_t[]){ 64, 2, 0, 0 }, 4);
	b->p[at] = b->n - at - 1;
	b->p[at + 2] = b->n - at - 3;
	msg_end(b, msg);
	s->sent_at = now_ns();
	s->state = OPEN_SENT;
	session_flush(s);
}

static void
send_keepalive(struct session *s)
{
	if (s->bulk) /* mid-message, and UPDATEs serve as well */
		return;
	msg_end(&s->small, msg_begin(&s->small, KEEPALIVE));
	s->sent_at = now_ns();
	session_flush(s);
}

socklen_t
sa_len(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void
socket_setup(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
session_connect(struct session *s)
{
	int on = 1;

	s->fd = socket(s->remote.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	socket_setup(s->fd);
	if (bind(s->fd, (void *)&s->local, sa_len(&s->local)) < 0)
		die("a local address of session %zu: %s", (size_t)(s - load.sessions), strerror(errno));
	if (connect(s->fd, (void *)&s->remote, sa_len(&s->remote)) < 0 && errno != EINPROGRESS) {
		session_down(s, "connect");
		return;
	}
	s->state = CONNECTING;
	watch(s, true);
}

static void
became_up(struct session *s)
{
	s->state = UP;
	if (s->told)
		feed_begin(s, &s->feed);
	for (size_t i = 0; i < load.nsessions; i++)
		if (load.sessions[i].state != UP)
			return;
	say("up", now_ns(), ", \"sessions\": %zu", load.nsessions);
}

static const char *
message(struct session *s, unsigned int type, const uint8_t *p, size_t n)
{
	static char text[64];
	unsigned int hold;

	switch (type) {
	case OPEN:
		if (s->state != OPEN_SENT || n < 10)
			return "unexpected OPEN";
		hold = p[3] << 8 | p[4];
		hold = hold > 180 ? 180 : hold;
		s->keepalive_ns = hold ? hold * 1000000000LL / 3 : INT64_MAX;
		s->state = OPEN_CONFIRM;
		send_keepalive(s);
		return NULL;
	case KEEPALIVE:
		if (s->state == OPEN_CONFIRM)
			became_up(s);
		return NULL;
	case UPDATE:
		if (s->state == OPEN_CONFIRM)
			became_up(s);
		s->updates++;
		return s->feeder || sink_update(s, p, n) ? NULL : "malformed UPDATE";
	case NOTIFICATION:
		snprintf(text, sizeof(text), "NOTIFICATION %u/%u", n > 1 ? p[0] : 0, n > 1 ? p[1] : 0);
		return text;
	default:
		return NULL; /* ROUTE-REFRESH */
	}
}

static void
session_read(struct session *s)
{
	for (;;) {
		ssize_t n = recv(s->fd, s->rbuf + s->rlen, RBUF - s->rlen, MSG_DONTWAIT);
		size_t at = 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			session_down(s, n ? strerror(errno) : "closed by the peer");
			return;
		}
		s->rlen += n;
		while (s->rlen - at >= HEADER) {
			const uint8_t *m = s->rbuf + at;
			size_t len = m[16] << 8 | m[17];
			const char *why;

			if (len < HEADER || len > MSG_MAX) {
				session_down(s, "message length");
				return;
			}
			if (s->rlen - at < len)
				break;
			why = message(s, m[18], m + HEADER, len - HEADER);
			if (why) {
				session_down(s, why);
				return;
			}
			if (s->fd < 0)
				return;
			at += len;
		}
		memmove(s->rbuf, s->rbuf + at, s->rlen - at);
		s->rlen -= at;
		if (!s->feeder)
			sink_progress(s);
		if (s->rlen == RBUF)
			die("a message does not fit");
		if ((size_t)n < RBUF / 4)
			return; /* nothing more for now: let the others have their turn */
	}
}

void
accept_one(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int c = accept4(fd, (void *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c < 0)
		return;
	for (size_t i = 0; i < load.nsessions; i++) {
		struct session *s = &load.sessions[i];
		bool same = s->remote.ss_family == from.ss_family;

		if (same && from.ss_family == AF_INET)
			same = ((struct sockaddr_in *)&from)->sin_addr.s_addr ==
			       ((struct sockaddr_in *)&s->remote)->sin_addr.s_addr;
		else if (same)
			same = !memcmp(&((struct sockaddr_in6 *)&from)->sin6_addr,
			    &((struct sockaddr_in6 *)&s->remote)->sin6_addr, 16);
		if (same && s->fd < 0) {
			s->fd = c;
			socket_setup(c);
			send_open(s);
			return;
		}
	}
	close(c);
}

void
session_event(struct session *s, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (s->fd < 0)
		return;
	if (s->state == CONNECTING) {
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error)
			session_down(s, strerror(error));
		else if (events & EPOLLOUT)
			send_open(s);
		return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		session_read(s);
	if (s->fd >= 0 && events & EPOLLOUT)
		session_flush(s);
}

/* One change for each interval that has passed, but never many at once: what was missed while the session was down is gone. */
static void
churn(int64_t now)
{
	struct session *s = load.sessions;
	int64_t every = 1000000000LL / load.churn_rate;

	if (now - load.churn_at > 8 * every)
		load.churn_at = now;
	for (; load.churn_at <= now; load.churn_at += every)
		if (s->state == UP && !s->bulk)
			make_change(&s->small, s, load.churned++);
	if (s->state == UP && !s->bulk && s->small.n)
		session_flush(s);
}

int64_t
timers(void)
{
	int64_t now = now_ns(), next = now + 1000000000LL;

	if (load.churn_at) {
		if (load.churn_at <= now)
			churn(now);
		next = load.churn_at < next ? load.churn_at : next;
	}

	for (size_t i = 0; i < load.nsessions; i++) {
		struct session *s = &load.sessions[i];

		if (s->state == DOWN && !load.listening && !(load.dropped && s->feeder)) {
			if (s->retry_at <= now)
				session_connect(s);
			else
				next = s->retry_at < next ? s->retry_at : next;
		}
		if (s->state == UP && now - s->sent_at >= s->keepalive_ns)
			send_keepalive(s);
	}
	return next;
}
