/*
 * bfd/client/remote.c -- a client of bfdd, over its UNIX socket
 *
 * All that is wanted stands in the watches and the list of ports for strangers, so a lost connection loses nothing:
 * with each new one everything is asked for again, and bfdd, which kept the sessions, tells their states. Requests
 * that the socket does not take at once wait in `out`.
 *
 * Sessions and counters are asked for by one message, one after the other: the end of an answer does not say of which.
 *
 * Who is refused is asked for again each AGAIN_US: what stands in the way (another program has the port of BFD, another
 * client other keys) may be gone by then, and bfdd does not say when it is.
 *
 * Always true: a message that cannot be understood ends the connection, not the client; it is tried again after
 * RETRY_US at first, and less often the longer there is no bfdd that answers.
 */
#include "bfd/client/impl.h"
#include "bfd/client/protocol.h"

#define RETRY_US     MS(5)
#define RETRY_MAX_US SECONDS(3)
#define AGAIN_US     SECONDS(3)

struct stranger_port {
	struct stranger_port *next;
	struct bfd_strangers wanted;
};

struct remote {
	struct bfd_client c;
	char *path;
	struct rt_stream *stream;
	struct rt_timer *retry;
	int64_t wait_us;        /* before the next attempt */
	struct rt_timer *again; /* for those who were refused */
	bool some_refused;      /* it runs */
	bool open;
	void (*told)(void *arg, bool connected);
	void *arg;
	uint8_t *out;
	size_t out_at, out_len, out_cap;
	bfd_list_fn *list_fn; /* wants the sessions; NULL: nobody does */
	void *list_arg;
	bfd_counters_fn *counters_fn;
	void *counters_arg;
	bool any_counters;                                        /* came */
	enum { ASKED_NOTHING, ASKED_LIST, ASKED_COUNTERS } asked; /* what is being answered */
	struct stranger_port *strangers;
};

static struct remote *
remote_of(struct bfd_client *c)
{
	return CONTAINER_OF(c, struct remote, c);
}

/* ---- requests ---- */

static void
flush(struct remote *r)
{
	while (r->open && r->out_at < r->out_len) {
		ssize_t n = rt_write(r->stream, r->out + r->out_at, r->out_len - r->out_at);

		if (n <= 0)
			return; /* an error: closed() follows */
		r->out_at += (size_t)n;
	}
	r->out_at = r->out_len = 0;
}

static void
ask(struct remote *r, const struct bfd_request *request)
{
	size_t n;

	if (!r->open)
		return; /* asked for when it is */
	r->out = mem_grow(r->c.mem, MEM_SESSION, r->out, &r->out_cap, r->out_len + BFD_FRAME_MAX, 1);
	n = bfd_request_encode(request, r->out + r->out_len);
	r->out_len += n;
	flush(r);
}

static void
ask_watch(struct remote *r, const struct bfd_watch *w)
{
	struct bfd_request request = { .ask = BFD_ASK_WATCH, .id = w->id, .target = w->target };

	ask(r, &request);
}

static void
ask_strangers(struct remote *r, const struct bfd_strangers *s)
{
	struct bfd_request request = { .ask = BFD_ASK_UNSOLICITED, .strangers = *s };

	ask(r, &request);
}

/* ---- the connection ---- */

static void
ask_next(struct remote *r)
{
	if (!r->open || r->asked != ASKED_NOTHING || (!r->list_fn && !r->counters_fn))
		return;
	r->asked = r->list_fn ? ASKED_LIST : ASKED_COUNTERS;
	r->any_counters = false;
	ask(r, &(struct bfd_request){ .ask = BFD_ASK_LIST, .counters = r->asked == ASKED_COUNTERS });
}

static void
list_over(struct remote *r, int error)
{
	bfd_list_fn *fn = r->list_fn;

	r->list_fn = NULL;
	if (fn)
		fn(r->list_arg, NULL, error);
}

static void
counters_over(struct remote *r, int64_t counted_us, int error)
{
	bfd_counters_fn *fn = r->counters_fn;

	r->counters_fn = NULL;
	if (fn)
		fn(r->counters_arg, NULL, counted_us, error);
}

static void
on_end(struct remote *r, const struct bfd_reply *reply)
{
	bool list = r->asked == ASKED_LIST;

	r->asked = ASKED_NOTHING;
	if (list)
		list_over(r, 0);
	else
		counters_over(r, reply->counted_us, r->any_counters ? 0 : -EOPNOTSUPP);
	ask_next(r);
}

static void
on_again(void *arg)
{
	struct remote *r = arg;

	r->some_refused = false;
	for (struct bfd_watch *w = r->c.watches; w; w = w->next)
		if (w->status.refused)
			ask_watch(r, w);
}

static void
on_open(void *arg)
{
	struct remote *r = arg;

	r->open = true;
	for (struct bfd_watch *w = r->c.watches; w; w = w->next)
		ask_watch(r, w);
	for (struct stranger_port *s = r->strangers; s; s = s->next)
		ask_strangers(r, &s->wanted);
	if (r->told)
		r->told(r->arg, true);
}

static void
on_state(struct remote *r, const struct bfd_reply *reply)
{
	struct bfd_watch *w = r->c.watches;

	while (w && w->id != reply->id)
		w = w->next;
	if (!w) /* its end and this crossed */
		return;
	bfd_watch_news(w, &reply->status);
	if (w->status.refused && !r->some_refused) {
		r->some_refused = true;
		rt_timer_set(r->again, mono_add(rt_now(r->c.rt), AGAIN_US));
	}
}

/* False when the connection is of no use any more. */
static bool
take(struct remote *r, struct rd body)
{
	struct bfd_reply reply;

	if (bfd_reply_decode(body, &reply))
		return false;
	r->wait_us = RETRY_US;
	if (reply.tell == BFD_TELL_STATE)
		on_state(r, &reply);
	else if (reply.tell == BFD_TELL_END && r->asked != ASKED_NOTHING)
		on_end(r, &reply);
	else if (reply.tell == BFD_TELL_ROW && r->asked == ASKED_LIST)
		r->list_fn(r->list_arg, &reply.row, 0);
	else if (reply.tell == BFD_TELL_COUNTER && r->asked == ASKED_COUNTERS) {
		r->any_counters = true;
		r->counters_fn(r->counters_arg, &reply.count, 0, 0);
	}
	return true;
}

static void
try_again(struct remote *r)
{
	rt_timer_set(r->retry, mono_add(rt_now(r->c.rt), r->wait_us));
	r->wait_us = MIN_OF(2 * r->wait_us, RETRY_MAX_US);
}

static void
lost(struct remote *r, int error)
{
	bool was = r->open;

	r->stream = NULL;
	r->open = false;
	r->out_at = r->out_len = 0;
	r->asked = ASKED_NOTHING;
	try_again(r);
	list_over(r, error ? error : -ECONNRESET);
	counters_over(r, 0, error ? error : -ECONNRESET);
	if (was && r->told)
		r->told(r->arg, false);
}

static size_t
on_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct remote *r = arg;
	struct rd rd = rd_make(bytes, n), body;
	int got;

	while ((got = bfd_frame(&rd, &body)) > 0 && take(r, body))
		;
	if (got != 0) {
		rt_stream_close(r->stream, true);
		lost(r, -EPROTO);
		return n;
	}
	return n - rd_left(&rd);
}

static void
on_writable(void *arg)
{
	flush(arg);
}

static void
on_closed(void *arg, int error)
{
	lost(arg, error);
}

static void
connect_now(void *arg)
{
	static const struct rt_stream_handler handler = {
		.opened = on_open, .input = on_input, .writable = on_writable, .closed = on_closed
	};
	struct remote *r = arg;

	if (rt_connect_unix(r->c.rt, r->path, &handler, r, &r->stream)) {
		r->stream = NULL;
		try_again(r);
	}
}

/* ---- what is asked of a client ---- */

static void
remote_begin(struct bfd_client *c, struct bfd_watch *w)
{
	ask_watch(remote_of(c), w);
}

static void
remote_end(struct bfd_client *c, struct bfd_watch *w)
{
	ask(remote_of(c), &(struct bfd_request){ .ask = BFD_ASK_UNWATCH, .id = w->id });
}

static bool
remote_connected(const struct bfd_client *c)
{
	return CONTAINER_OF(c, const struct remote, c)->open;
}

static int
remote_list(struct bfd_client *c, bfd_list_fn *fn, void *arg)
{
	struct remote *r = remote_of(c);

	if (!r->open)
		return -ENOTCONN;
	if (r->list_fn)
		return -EBUSY;
	r->list_fn = fn;
	r->list_arg = arg;
	ask_next(r);
	return 0;
}

static int
remote_counters(struct bfd_client *c, bfd_counters_fn *fn, void *arg)
{
	struct remote *r = remote_of(c);

	if (!r->open)
		return -ENOTCONN;
	if (r->counters_fn)
		return -EBUSY;
	r->counters_fn = fn;
	r->counters_arg = arg;
	ask_next(r);
	return 0;
}

static void
remote_unsolicited(struct bfd_client *c, const struct bfd_strangers *strangers)
{
	struct remote *r = remote_of(c);
	struct stranger_port **at = &r->strangers, *s;

	ask_strangers(r, strangers);
	while (*at && (*at)->wanted.ifindex != strangers->ifindex)
		at = &(*at)->next;
	s = *at;
	if (!strangers->max) {
		if (s)
			*at = s->next;
		mem_free(c->mem, MEM_SESSION, s);
		return;
	}
	if (!s)
		*at = s = mem_zalloc(c->mem, MEM_SESSION, sizeof(*s));
	s->wanted = *strangers;
}

static void
remote_free(struct bfd_client *c, bool keep)
{
	struct remote *r = remote_of(c);

	if (!keep)
		ask(r, &(struct bfd_request){ .ask = BFD_ASK_BYE });
	rt_stream_close(r->stream, false);
	rt_timer_free(r->retry);
	rt_timer_free(r->again);
	while (r->strangers) {
		struct stranger_port *s = r->strangers;

		r->strangers = s->next;
		mem_free(c->mem, MEM_SESSION, s);
	}
	mem_free(c->mem, MEM_SESSION, r->out);
	mem_free(c->mem, MEM_SESSION, r->path);
}

struct bfd_client *
bfd_client_new(
    struct runtime *rt, struct mem *mem, const char *path, void (*told)(void *arg, bool connected), void *arg)
{
	static const struct bfd_client_ops ops = {
		.begin = remote_begin,
		.change = remote_begin, /* the same id again: only the parameters count */
		.end = remote_end,
		.connected = remote_connected,
		.list = remote_list,
		.counters = remote_counters,
		.unsolicited = remote_unsolicited,
		.free = remote_free,
	};
	struct remote *r = mem_zalloc(mem, MEM_SESSION, sizeof(*r));

	bfd_client_init(&r->c, &ops, rt, mem);
	r->path = mem_strdup(mem, MEM_SESSION, path);
	r->told = told;
	r->arg = arg;
	r->wait_us = RETRY_US;
	r->retry = rt_timer_new(rt, connect_now, r);
	r->again = rt_timer_new(rt, on_again, r);
	connect_now(r);
	return &r->c;
}
