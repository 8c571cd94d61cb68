/*
 * bfd/daemon/server.c -- the clients of bfdd
 *
 *   bytes -> frame -> request -> subscription of the host
 *   change of state -> frame in the client's buffer -> socket
 *
 * A client has a buffer of fixed size, made when it comes: nothing is allocated when states change. Who sends nonsense,
 * asks for too much, or does not read until its buffer is full is cut off; it alone. Its subscriptions are then kept as
 * orphans for BFD_ORPHAN_US, as those of a client that crashed: a neighbour must not pay for it. A client that says
 * Bye takes its sessions along.
 *
 * Always true: a subscription's client is its `arg`, or it is an orphan; a client is freed only from the loop, never
 * from inside a function of the host.
 */
#include "bfd/daemon/server.h"

#include "bfd/client/protocol.h"
#include "fabricd/lib/base.h"

#define OUT_BYTES      (256 * 1024)
#define CLIENTS_MAX    32
#define WATCHES_MAX    4096
#define STRANGERS_MAX  64u  /* sessions that a client may allow on one port */
#define STRANGER_PORTS 4096 /* on which a client may allow them */
#define LIST_SLICE     32
#define COUNT_SLICE    4 /* sessions, each with its counters; beside all those of bfdd in the first */

struct watch {
	struct client *client;
	struct watch *next;
	uint32_t id;
	struct bfd_sub *sub;
	const char *why; /* why its last change was refused; NULL: it was not */
};

/* A port on which the client wants strangers. Another client that asks for the same one takes it over. */
struct stranger_port {
	struct stranger_port *next;
	uint32_t ifindex;
};

struct client {
	struct bfd_server *server;
	struct client *prev, *next;
	struct rt_stream *stream;
	struct watch *watches;
	struct stranger_port *strangers;
	size_t nwatches, nstrangers;
	uint8_t *out;
	size_t out_at, out_len;
	bool doomed; /* cut off; freed by the server's work */
	bool listing;
	bool counting; /* what is listed are counters */
	size_t listed; /* sessions */
};

struct bfd_server {
	struct runtime *rt;
	struct mem *mem;
	struct bfd_host *host;
	struct rt_listener *listener;
	struct rt_work *work; /* frees the doomed, fills lists */
	struct client *clients;
	struct bfd_server_stats stats;
	void (*more)(void *arg, bfd_count_fn *, void *to); /* counters of others; may be NULL */
	void *more_arg;
};

/* ---- replies ---- */

static void
doom(struct client *c)
{
	if (!c->doomed)
		c->server->stats.cut_off++;
	c->doomed = true;
	rt_work_schedule(c->server->work);
}

static void
flush(struct client *c)
{
	while (c->stream && !c->doomed && c->out_at < c->out_len) {
		ssize_t n = rt_write(c->stream, c->out + c->out_at, c->out_len - c->out_at);

		if (n <= 0)
			return;
		c->out_at += (size_t)n;
	}
	if (c->out_at == c->out_len)
		c->out_at = c->out_len = 0;
}

/* The place for one more frame, or NULL. */
static uint8_t *
room(struct client *c)
{
	if (OUT_BYTES - c->out_len < BFD_FRAME_MAX && c->out_at) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	return OUT_BYTES - c->out_len < BFD_FRAME_MAX ? NULL : c->out + c->out_len;
}

static void
tell(struct client *c, const struct bfd_reply *reply)
{
	uint8_t *to = c->doomed ? NULL : room(c);

	if (!to) {
		doom(c);
		return;
	}
	c->out_len += bfd_reply_encode(reply, to);
}

static void
tell_state(struct client *c, uint32_t id, const struct bfd_status *status)
{
	struct bfd_reply reply = { .tell = BFD_TELL_STATE, .id = id, .status = *status };

	tell(c, &reply);
	flush(c);
}

static void
on_status(void *arg, struct bfd_sub *sub UNUSED, const struct bfd_status *status)
{
	struct watch *w = arg;
	struct bfd_status told = *status;

	told.refused = w->why; /* or else nobody would ask for it again */
	tell_state(w->client, w->id, &told);
}

static void
refuse(struct client *c, uint32_t id, const char *why)
{
	c->server->stats.refused++;
	tell_state(c, id, &(struct bfd_status){ .state = BFD_DOWN, .remote_state = BFD_DOWN, .refused = why });
}

/* Other parameters; if they are refused, the session stays what it is. */
static void
change(struct client *c, struct watch *w, const struct bfd_params *params)
{
	struct bfd_status status;

	if (bfd_sub_change(w->sub, params, &w->why))
		c->server->stats.refused++;
	bfd_sub_status(w->sub, &status);
	on_status(w, w->sub, &status);
}

/* ---- requests ---- */

static struct watch **
find(struct client *c, uint32_t id)
{
	struct watch **at = &c->watches;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void
do_watch(struct client *c, const struct bfd_request *r)
{
	struct watch **at = find(c, r->id), *w = *at;
	struct bfd_status status;
	const char *why;

	if (w) {
		change(c, w, &r->target.params);
		return;
	}
	if (c->nwatches >= WATCHES_MAX) {
		refuse(c, r->id, "this client watches too many neighbors");
		return;
	}
	w = mem_zalloc(c->server->mem, MEM_SESSION, sizeof(*w));
	*w = (struct watch){ .client = c, .id = r->id };
	if (bfd_sub_new(c->server->host, &r->target, on_status, w, &w->sub, &why)) {
		mem_free(c->server->mem, MEM_SESSION, w);
		refuse(c, r->id, why);
		return;
	}
	w->next = c->watches;
	c->watches = w;
	c->nwatches++;
	bfd_sub_status(w->sub, &status);
	tell_state(c, w->id, &status);
}

static void
watch_end(struct watch **at, bool keep)
{
	struct watch *w = *at;

	*at = w->next;
	w->client->nwatches--;
	if (keep)
		bfd_sub_orphan(w->sub, BFD_ORPHAN_US);
	else
		bfd_sub_free(w->sub);
	mem_free(w->client->server->mem, MEM_SESSION, w);
}

/* False: the client did not ask for strangers on that port, or somebody else has done so since. */
static bool
strangers_forget(struct client *c, uint32_t ifindex)
{
	struct stranger_port **at = &c->strangers, *s;

	while (*at && (*at)->ifindex != ifindex)
		at = &(*at)->next;
	s = *at;
	if (!s)
		return false;
	*at = s->next;
	c->nstrangers--;
	mem_free(c->server->mem, MEM_SESSION, s);
	return true;
}

static void
strangers_end(struct client *c, uint32_t ifindex)
{
	if (strangers_forget(c, ifindex))
		bfd_host_unsolicited(c->server->host, &(struct bfd_strangers){ .ifindex = ifindex });
}

static void
do_strangers(struct client *c, const struct bfd_strangers *wanted)
{
	struct bfd_strangers within = *wanted;
	struct stranger_port *s;

	if (!wanted->max) {
		strangers_end(c, wanted->ifindex);
		return;
	}
	if (c->nstrangers >= STRANGER_PORTS) {
		doom(c);
		return;
	}
	for (struct client *other = c->server->clients; other; other = other->next)
		strangers_forget(other, wanted->ifindex);
	s = mem_zalloc(c->server->mem, MEM_SESSION, sizeof(*s));
	*s = (struct stranger_port){ .next = c->strangers, .ifindex = wanted->ifindex };
	c->strangers = s;
	c->nstrangers++;
	within.max = MIN_OF(within.max, STRANGERS_MAX);
	bfd_host_unsolicited(c->server->host, &within);
}

static void
do_request(struct client *c, const struct bfd_request *r)
{
	struct watch **at;

	c->server->stats.requests++;
	switch (r->ask) {
	case BFD_ASK_WATCH:
		do_watch(c, r);
		break;
	case BFD_ASK_UNWATCH:
		at = find(c, r->id);
		if (*at)
			watch_end(at, false);
		break;
	case BFD_ASK_LIST:
		c->listing = true;
		c->counting = r->counters;
		c->listed = 0;
		rt_work_schedule(c->server->work);
		break;
	case BFD_ASK_UNSOLICITED:
		do_strangers(c, &r->strangers);
		break;
	case BFD_ASK_BYE:
		while (c->watches)
			watch_end(&c->watches, false);
		while (c->strangers)
			strangers_end(c, c->strangers->ifindex);
		break;
	}
}

static size_t
on_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct client *c = arg;
	struct rd rd = rd_make(bytes, n), body;
	struct bfd_request request;
	int got = 0;

	while (!c->doomed && (got = bfd_frame(&rd, &body)) > 0) {
		if (bfd_request_decode(body, &request))
			doom(c);
		else
			do_request(c, &request);
	}
	if (got < 0)
		doom(c);
	return c->doomed ? n : n - rd_left(&rd);
}

static void
on_writable(void *arg)
{
	struct client *c = arg;

	flush(c);
	if (c->listing)
		rt_work_schedule(c->server->work);
}

/* ---- coming and going ---- */

static void
client_free(struct client *c)
{
	struct bfd_server *s = c->server;

	rt_stream_close(c->stream, true);
	while (c->watches)
		watch_end(&c->watches, true);
	while (c->strangers) /* sessions that are there live on, as those that were watched */
		strangers_end(c, c->strangers->ifindex);
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	s->stats.clients--;
	mem_free(s->mem, MEM_SESSION, c->out);
	mem_free(s->mem, MEM_SESSION, c);
}

static void
on_closed(void *arg, int error UNUSED)
{
	struct client *c = arg;

	c->stream = NULL;
	client_free(c);
}

static void
on_client(void *arg, struct rt_stream *stream, const struct ip *peer UNUSED, uint16_t port UNUSED)
{
	static const struct rt_stream_handler handler = {
		.input = on_input, .writable = on_writable, .closed = on_closed
	};
	struct bfd_server *s = arg;
	struct client *c;

	if (s->stats.clients >= CLIENTS_MAX) {
		s->stats.turned_away++;
		rt_stream_close(stream, true);
		return;
	}
	c = mem_zalloc(s->mem, MEM_SESSION, sizeof(*c));
	*c = (struct client){ .server = s, .next = s->clients, .stream = stream };
	c->out = mem_alloc(s->mem, MEM_SESSION, OUT_BYTES);
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->stats.clients++;
	s->stats.accepted++;
	rt_stream_handle(stream, &handler, c);
}

/* ---- work ---- */

static void
give_row(void *arg, const struct bfd_row *row)
{
	struct bfd_reply reply = { .tell = BFD_TELL_ROW, .row = *row };

	tell(arg, &reply);
}

#define COUNTS(member) offsetof(struct bfd_server_stats, member)

static const struct counter counter_list[] = {
	{ "clients-cut-off", "clients cut off: they sent nonsense, or did not read", COUNTS(cut_off), false },
	{ "clients-refused", "clients refused: so many at a time are not served", COUNTS(turned_away), false },
	{ "watches-refused", "sessions refused to a client: wrong parameters, or too many", COUNTS(refused), false },
	{ "clients", "clients taken", COUNTS(accepted), true },
	{ "requests", "requests of clients", COUNTS(requests), true },
};
_Static_assert(ARRAY_LEN(counter_list) == COUNTS(clients) / sizeof(uint64_t), "a counter is not told");

static void
give_count(void *arg, const struct bfd_count *count)
{
	struct bfd_reply reply = { .tell = BFD_TELL_COUNTER, .count = *count };

	tell(arg, &reply);
}

static void
give_counters(void *arg, const struct bfd_row *row)
{
	bfd_row_counters(row, give_count, arg);
}

/* What nobody's session alone has counted. */
static void
give_common(struct client *c)
{
	struct bfd_server *s = c->server;
	struct counters own = { .list = counter_list, .n = ARRAY_LEN(counter_list), .of = &s->stats };

	bfd_host_counters(s->host, give_count, c);
	if (s->more)
		s->more(s->more_arg, give_count, c);
	bfd_counters_tell(&own, NULL, give_count, c);
}

static size_t
count_some(struct client *c)
{
	if (c->listed == 0)
		give_common(c);
	return bfd_host_list(c->server->host, c->listed, COUNT_SLICE, give_counters, c);
}

/* A list takes only the first half of a buffer, so that it never takes the room of a change of state. */
static bool
list_some(struct client *c)
{
	size_t n;

	if (c->out_len - c->out_at > OUT_BYTES / 2 - LIST_SLICE * BFD_FRAME_MAX)
		return false; /* writable() goes on */
	n = c->counting ? count_some(c) : bfd_host_list(c->server->host, c->listed, LIST_SLICE, give_row, c);
	c->listed += n;
	if (n == 0) {
		int64_t counted_us = c->counting ? bfd_host_counted_us(c->server->host) : 0;

		tell(c, &(struct bfd_reply){ .tell = BFD_TELL_END, .counted_us = counted_us });
		c->listing = false;
	}
	flush(c);
	return c->listing;
}

static bool
work(void *arg)
{
	struct bfd_server *s = arg;
	struct client *c, *next;
	bool more = false;

	for (c = s->clients; c; c = next) {
		next = c->next;
		if (c->doomed)
			client_free(c);
		else if (c->listing)
			more = list_some(c) || more;
	}
	return more;
}

int
bfd_server_new(struct runtime *rt, struct mem *mem, struct bfd_host *host, const char *path, unsigned int mode,
    struct bfd_server **out)
{
	struct bfd_server *s = mem_zalloc(mem, MEM_SESSION, sizeof(*s));
	int err;

	*out = NULL;
	*s = (struct bfd_server){ .rt = rt, .mem = mem, .host = host };
	err = rt_listen_unix(rt, path, mode, on_client, s, &s->listener);
	if (err) {
		mem_free(mem, MEM_SESSION, s);
		return err;
	}
	s->work = rt_work_new(rt, RT_NORMAL, work, s);
	*out = s;
	return 0;
}

void
bfd_server_free(struct bfd_server *s)
{
	if (!s)
		return;
	while (s->clients)
		client_free(s->clients);
	rt_listener_close(s->listener);
	rt_work_free(s->work);
	mem_free(s->mem, MEM_SESSION, s);
}

void
bfd_server_more_counters(struct bfd_server *s, void (*more)(void *arg, bfd_count_fn *, void *to), void *arg)
{
	s->more = more;
	s->more_arg = arg;
}

void
bfd_server_stats(const struct bfd_server *s, struct bfd_server_stats *out)
{
	*out = s->stats;
}
