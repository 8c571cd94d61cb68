/* fabricd/query/client.c -- the asking end of the query socket, with blocking calls and deadlines */
#include "fabricd/query/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabricd/lib/mono.h"
#include "fabricd/runtime/clock.h"

struct query_client {
	int fd;
	int64_t timeout_us;
	uint32_t last_id;
	uint8_t *in;
	size_t at, end, cap;
};

/* 0 when the socket is ready for `what`, -ETIMEDOUT, or -errno. */
static int
wait_for(struct query_client *c, short what, struct mono until)
{
	struct pollfd p = { .fd = c->fd, .events = what };

	for (;;) {
		int64_t left_ms = (mono_sub(until, clock_mono()) + 999) / 1000;
		int n = poll(&p, 1, left_ms < 0 ? 0 : (int)left_ms);

		if (n > 0)
			return 0;
		if (n == 0 && left_ms <= 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int
query_client_open(const char *run_dir, int64_t timeout_us, struct query_client **out)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct query_client *c;
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", run_dir, QUERY_SOCKET);
	int fd, err;

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return -errno;
	/* A UNIX connect does not wait: with a full backlog it fails with EAGAIN at once. */
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		err = -errno;
		close(fd);
		return err;
	}
	c = mem_zalloc(NULL, MEM_QUERY, sizeof(*c));
	c->fd = fd;
	c->timeout_us = timeout_us;
	*out = c;
	return 0;
}

void
query_client_close(struct query_client *c)
{
	if (!c)
		return;
	close(c->fd);
	mem_free(NULL, MEM_QUERY, c->in);
	mem_free(NULL, MEM_QUERY, c);
}

static int
send_all(struct query_client *c, const uint8_t *bytes, size_t n)
{
	struct mono until = mono_add(clock_mono(), c->timeout_us);

	while (n) {
		ssize_t did = send(c->fd, bytes, n, MSG_NOSIGNAL);
		int err;

		if (did > 0) {
			bytes += did;
			n -= (size_t)did;
		} else if (errno == EAGAIN || errno == EINTR) {
			if ((err = wait_for(c, POLLOUT, until)))
				return err;
		} else {
			return -errno;
		}
	}
	return 0;
}

/* The next whole frame's body; valid until the next call. */
static int
next_frame(struct query_client *c, struct rd *body)
{
	struct mono until = mono_add(clock_mono(), c->timeout_us);

	for (;;) {
		struct rd r = rd_make(c->in + c->at, c->end - c->at);
		int got = query_frame(&r, QUERY_MAX_REPLY, body), err;
		ssize_t n;

		if (got) {
			c->at = c->end - rd_left(&r);
			return got < 0 ? got : 0;
		}
		if (c->at) {
			memmove(c->in, c->in + c->at, c->end - c->at);
			c->end -= c->at;
			c->at = 0;
		}
		c->in = mem_grow(NULL, MEM_QUERY, c->in, &c->cap, c->end + 65536, 1);
		n = recv(c->fd, c->in + c->end, c->cap - c->end, 0);
		if (n > 0)
			c->end += (size_t)n;
		else if (n == 0)
			return -ECONNRESET;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		else if ((err = wait_for(c, POLLIN, until)))
			return err;
	}
}

/* Hands out the rows of one ROWS reply, a line each. */
static bool
give_rows(const struct query_reply *r, const struct query_sink *sink, void *arg)
{
	const char *at = r->json, *end = at + r->n, *nl;

	for (; sink->row && at < end; at = nl + 1) {
		if (!(nl = memchr(at, '\n', (size_t)(end - at))))
			nl = end;
		if (nl > at && !sink->row(arg, at, (size_t)(nl - at)))
			return false;
	}
	return true;
}

/* One reply. Returns whether more is to come; else *status is the answer's. */
static bool
take_reply(const struct query_reply *r, const struct query_sink *sink, void *arg, enum query_status *status)
{
	json_t *json = NULL;
	bool more = true;

	if (r->kind != QUERY_ROWS)
		json = json_loadb(r->json, r->n, 0, NULL);
	switch (r->kind) {
	case QUERY_HEADER:
		more = !sink->header || sink->header(arg, json);
		*status = QUERY_OK;
		break;
	case QUERY_ROWS:
		more = give_rows(r, sink, arg);
		*status = QUERY_OK;
		break;
	case QUERY_END:
		if (sink->end)
			sink->end(arg, json, (enum query_status)r->status);
		*status = (enum query_status)r->status;
		more = false;
		break;
	default:
		if (sink->error)
			sink->error(arg, json ? json_string_value(json_object_get(json, "error")) : NULL,
			    json ? json_string_value(json_object_get(json, "next")) : NULL);
		*status = (enum query_status)r->status;
		more = false;
	}
	json_decref(json);
	return more;
}

enum query_status
query_client_ask(struct query_client *c, const char *verb, const char *const *args, size_t n_args,
    const struct query_sink *sink, void *arg)
{
	struct query_request request = { .id = ++c->last_id, .verb = verb, .args = args, .n_args = n_args };
	size_t n = query_request_size(&request);
	uint8_t *bytes = mem_alloc(NULL, MEM_QUERY, n);
	enum query_status status = QUERY_OK;
	struct rd body;
	int err;

	query_request_encode(&request, bytes);
	err = send_all(c, bytes, n);
	mem_free(NULL, MEM_QUERY, bytes);
	while (!err && !(err = next_frame(c, &body))) {
		struct query_reply r;
		bool more;

		if ((err = query_reply_decode(NULL, body, &r)))
			break;
		/* id 0: about the connection as a whole. Others: of an answer that we stopped reading. */
		if (r.id && r.id != request.id) {
			query_reply_free(NULL, &r);
			continue;
		}
		more = take_reply(&r, sink, arg, &status);
		query_reply_free(NULL, &r);
		if (!more)
			return status;
	}
	if (sink->error)
		sink->error(arg,
		    err == -ETIMEDOUT    ? "fabricd did not answer in time"
		    : err == -ECONNRESET ? "fabricd closed the connection before the answer was whole"
		    : err == -EPIPE      ? "fabricd closed the connection (it serves at most 64 clients)"
					 : strerror(-err),
		    "is it running? fabctl status");
	return QUERY_UNREACHABLE;
}
