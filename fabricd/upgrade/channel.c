/* fabricd/upgrade/channel.c -- see channel.h */
#include "fabricd/upgrade/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/clock.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

union fd_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
};

int
channel_send(int fd, enum channel_kind kind, const void *body, size_t n, const int *fds, size_t nfds)
{
	uint8_t head[2] = { (uint8_t)kind, 0 };
	struct iovec iov[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)body, n } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n ? 2 : 1 };
	union fd_room room;

	if (n + sizeof(head) > CHANNEL_MAX || nfds > CHANNEL_FDS)
		return -EMSGSIZE;
	if (nfds) {
		struct cmsghdr *c;

		memset(&room, 0, sizeof(room));
		m.msg_control = room.bytes;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	while (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int
channel_say(int fd, enum channel_kind kind, const char *text)
{
	size_t n = strlen(text);

	return channel_send(fd, kind, text, MIN_OF(n, (size_t)CHANNEL_MAX - 2), NULL, 0);
}

static void
take_fds(struct msghdr *m, struct channel_message *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = MIN_OF(n, CHANNEL_FDS - out->nfds);
		memcpy(out->fds + out->nfds, CMSG_DATA(c), n * sizeof(int));
		out->nfds += n;
	}
}

int
channel_receive(int fd, struct channel_message *out)
{
	struct iovec iov = { out->bytes, sizeof(out->bytes) };
	union fd_room room;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)
	};
	ssize_t n;

	out->nfds = 0;
	while ((n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0)
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	take_fds(&m, out);
	if (m.msg_flags & MSG_CTRUNC) { /* there is room for all that may come: we are out of descriptors */
		channel_close_fds(out);
		return -EMFILE;
	}
	if (n < 2 || m.msg_flags & MSG_TRUNC || out->bytes[0] == 0 || out->bytes[0] >= CHANNEL_KINDS) {
		channel_close_fds(out);
		return -EBADMSG;
	}
	out->kind = (enum channel_kind)out->bytes[0];
	out->body = rd_make(out->bytes + 2, (size_t)n - 2);
	return 0;
}

int
channel_wait(int fd, struct channel_message *out, int timeout_ms)
{
	int64_t until = clock_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int e = channel_receive(fd, out);
		int64_t left = until - clock_ms();

		if (e != -EAGAIN)
			return e;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
}

void
channel_close_fds(struct channel_message *m)
{
	for (size_t i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nfds = 0;
}

/* ---- bodies ---- */

static void
write_text(struct wr *w, const char *text)
{
	size_t n = strlen(text);

	wr_u16(w, (uint16_t)n);
	wr_bytes(w, text, n);
}

static void
read_text(struct rd *r, char *buf, size_t size)
{
	size_t n = rd_u16(r);
	struct rd text = rd_sub(r, n);

	if (n >= size)
		r->bad = true;
	channel_text(text, buf, size);
}

int
channel_hello(int fd, const struct channel_hello *h)
{
	uint8_t body[512];
	struct wr w = wr_make(body, sizeof(body));

	wr_u16(&w, h->protocol);
	wr_u16(&w, h->format);
	write_text(&w, h->version);
	write_text(&w, h->node);
	write_text(&w, h->digest);
	return w.full ? -EMSGSIZE : channel_send(fd, CHANNEL_HELLO, body, wr_len(&w), NULL, 0);
}

bool
channel_hello_read(struct rd r, struct channel_hello *h)
{
	h->protocol = rd_u16(&r);
	h->format = rd_u16(&r);
	read_text(&r, h->version, sizeof(h->version));
	read_text(&r, h->node, sizeof(h->node));
	read_text(&r, h->digest, sizeof(h->digest));
	return !r.bad; /* a later protocol may say more */
}

char *
channel_text(struct rd r, char *buf, size_t size)
{
	size_t n = MIN_OF(rd_left(&r), size - 1);

	rd_bytes(&r, buf, n);
	buf[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			buf[i] = '?';
	return buf;
}

/* ---- memory ---- */

int
channel_memory_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3; later ones may insist on it (vm.memfd_noexec) */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int
channel_memory_write(int fd, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n) {
		ssize_t did = write(fd, at, n);

		if (did < 0 && errno == EINTR)
			continue;
		if (did <= 0)
			return did < 0 ? -errno : -EIO;
		at += did;
		n -= (size_t)did;
	}
	return 0;
}

int
channel_memory_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? 0 : -errno;
}

int
channel_memory(const char *name, const void *bytes, size_t n)
{
	int fd = channel_memory_new(name), e;

	if (fd < 0)
		return fd;
	e = channel_memory_write(fd, bytes, n);
	if (!e)
		e = channel_memory_seal(fd);
	if (!e)
		return fd;
	close(fd);
	return e;
}

const void *
channel_map(int fd, size_t *n)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	/* A file that could still shrink would end us by SIGBUS. There may be other seals (F_SEAL_EXEC). */
	if (seals < 0 || (seals & SEALS) != SEALS) {
		errno = EBADF;
		return NULL;
	}
	if (fstat(fd, &st) < 0)
		return NULL;
	*n = (size_t)st.st_size;
	p = mmap(NULL, *n ? *n : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

void
channel_unmap(const void *p, size_t n)
{
	if (p)
		munmap((void *)(uintptr_t)p, n ? n : 1);
}
