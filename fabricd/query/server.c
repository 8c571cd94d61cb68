/*
 * fabricd/query/server.c -- the query socket of a node
 *
 *   client bytes -> query_frame() -> Request -> verb -> struct query_call --+
 *                                                                           | one slice: at most QUERY_SLICE_ROWS rows
 *   client <- rt_write() <- out buffer <- HEADER, ROWS, END or ERROR <------+
 *
 * One request of a client is answered at a time; while it is, the client's input is paused, so what it may pile up is
 * what the socket holds. One piece of work serves the clients in turn, one slice each time, and sleeps when nobody can
 * take more: a client whose buffer is above QUERY_BUFFER is skipped until it has read. So a client costs at most
 * QUERY_BUFFER plus one slice, however large the answer and however slow the reader.
 *
 * Always true: an answer ends with END or ERROR, or with the end of the connection; a row is never split; nothing that
 * a client sends is trusted before protocol.c has decoded it under its bounds; the listing of a call's rows may see
 * the node change between two slices, and each verb says in its own file what it then shows.
 *
 * Not here: what can be asked (views), who may open the socket (its mode, 0660).
 */
#include "fabricd/query/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* One line; 15 digits, so that 0.028 stays 0.028. */
#define ROW_FORM (JSON_COMPACT | JSON_REAL_PRECISION(15))

struct buffer {
	uint8_t *bytes;
	size_t at, end, cap; /* bytes[at..end) wait to be written */
};

struct query_call {
	struct client *client;
	const struct query_verb *verb;
	struct query_request request;
	void *cursor;
	json_t *summary, *missing;
	struct buffer rows; /* of the present slice */
	size_t n_rows;
	enum query_status status;
	bool header_sent, failed;
	struct mono nap; /* until then its step has nothing to say */
};

struct client {
	struct query_server *server;
	struct client *next, **link;
	struct rt_stream *stream;
	struct rt_timer *timer; /* stalled or idle */
	struct buffer out;
	struct query_call *call; /* being answered, or NULL */
	uint64_t served;         /* the server's turn in which it had its last slice */
	bool may_change;
	bool closing; /* once `out` is written */
};

struct query_server {
	struct query_config cfg;
	struct rt_listener *listener;
	struct rt_work *work;
	struct rt_timer *nap; /* wakes the work for calls that nap */
	struct client *clients;
	struct query_stats stats;
	uint64_t turns;
};

/* ---- buffers ---- */

static uint8_t *
buffer_room(struct mem *mem, struct buffer *b, size_t n)
{
	uint8_t *p;

	if (b->at == b->end)
		b->at = b->end = 0;
	if (b->at && b->end + n > b->cap) {
		memmove(b->bytes, b->bytes + b->at, b->end - b->at);
		b->end -= b->at;
		b->at = 0;
	}
	b->bytes = mem_grow(mem, MEM_QUERY, b->bytes, &b->cap, b->end + n, 1);
	p = b->bytes + b->end;
	b->end += n;
	return p;
}

static void
buffer_free(struct mem *mem, struct buffer *b)
{
	mem_free(mem, MEM_QUERY, b->bytes);
	*b = (struct buffer){ 0 };
}

/* ---- replies ---- */

static void
reply(struct client *c, uint32_t id, enum query_kind kind, enum query_status status, const void *json, size_t n)
{
	struct query_reply r = { .id = id, .kind = kind, .status = status, .json = json, .n = n };
	uint8_t *room = buffer_room(c->server->cfg.mem, &c->out, query_reply_size(&r));

	query_reply_encode(&r, room);
}

static void
reply_json(struct client *c, uint32_t id, enum query_kind kind, enum query_status status, json_t *json)
{
	char *text = json_dumps(json, ROW_FORM);

	json_decref(json);
	reply(c, id, kind, status, text ? text : "{}", text ? strlen(text) : 2);
	free(text);
}

static void
reply_error(struct client *c, uint32_t id, enum query_status status, const char *cause, const char *next)
{
	c->server->stats.errors++;
	reply_json(c, id, QUERY_ERROR, status, json_pack("{s:s, s:s}", "error", cause, "next", next));
}

char *
query_time_print(int64_t wall_us, char buf[QUERY_TIME_TEXT])
{
	time_t s = (time_t)(wall_us / SECONDS(1));
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, QUERY_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, QUERY_TIME_TEXT - n, ".%03dZ", (int)(wall_us % SECONDS(1) / 1000));
	return buf;
}

static void
reply_header(struct query_call *call)
{
	struct query_server *s = call->client->server;
	json_t *header = json_pack("{s:s}", "schema", call->verb->schema);
	char time[QUERY_TIME_TEXT];

	if (s->cfg.envelope)
		s->cfg.envelope(s->cfg.ctx, header);
	json_object_set_new(header, "generated", json_string(query_time_print(rt_wall_us(s->cfg.rt), time)));
	if (call->summary)
		json_object_set(header, "summary", call->summary);
	reply_json(call->client, call->request.id, QUERY_HEADER, QUERY_OK, header);
	call->header_sent = true;
}

/* ---- calls ---- */

static void
call_free(struct query_call *call)
{
	struct mem *mem = call->client->server->cfg.mem;

	if (call->verb->done)
		call->verb->done(call);
	json_decref(call->summary);
	json_decref(call->missing);
	buffer_free(mem, &call->rows);
	query_request_free(mem, &call->request);
	mem_free(mem, MEM_QUERY, call->cursor);
	call->client->call = NULL;
	mem_free(mem, MEM_QUERY, call);
}

/* No frame is longer than a client takes, however much one slice has made; a row is at most half of that. */
static void
reply_rows(struct query_call *call)
{
	const uint8_t *at = call->rows.bytes;
	size_t left = call->rows.end;

	while (left) {
		size_t n = MIN_OF(left, (size_t)QUERY_MAX_REPLY / 2);

		while (at[n - 1] != '\n')
			n--;
		reply(call->client, call->request.id, QUERY_ROWS, QUERY_OK, at, n);
		at += n;
		left -= n;
	}
	call->rows.end = call->n_rows = 0;
}

/* One slice of the answer. */
static void
call_step(struct query_call *call)
{
	struct client *c = call->client;
	bool more = call->verb->step(call);
	bool complete = json_array_size(call->missing) == 0;

	if (!call->failed) {
		/* A step that has nothing to say yet may still give the summary, which is part of the header. */
		if (!call->header_sent && (call->rows.end || call->summary || !more))
			reply_header(call);
		c->server->stats.rows += call->n_rows;
		reply_rows(call);
	}
	if (more && !call->failed)
		return;
	if (!call->failed)
		reply_json(c, call->request.id, QUERY_END,
		    complete                          ? call->status
		    : call->status > QUERY_INCOMPLETE ? call->status
						      : QUERY_INCOMPLETE,
		    json_pack("{s:b, s:O}", "complete", complete, "missing", call->missing));
	call_free(call);
}

void *
query_ctx(const struct query_call *call)
{
	return call->client->server->cfg.ctx;
}

void *
query_cursor(struct query_call *call)
{
	return call->cursor;
}

const char *
query_arg(const struct query_call *call, size_t i)
{
	return i < call->request.n_args ? call->request.args[i] : NULL;
}

struct mono
query_now(const struct query_call *call)
{
	return rt_now(call->client->server->cfg.rt);
}

void
query_summary(struct query_call *call, json_t *summary)
{
	json_decref(call->summary);
	call->summary = summary;
}

void
query_row(struct query_call *call, json_t *row)
{
	size_t n = row ? json_dumpb(row, NULL, 0, ROW_FORM) : 0;
	struct mem *mem = call->client->server->cfg.mem;

	if (!call->failed && n && n < QUERY_MAX_REPLY / 2) { /* and its end of line */
		uint8_t *room = buffer_room(mem, &call->rows, n + 1);

		json_dumpb(row, (char *)room, n, ROW_FORM);
		room[n] = '\n';
		call->n_rows++;
	} else if (!call->failed) {
		query_missing(call, "a row that is too large to show");
	}
	json_decref(row);
}

void
query_nap(struct query_call *call, int64_t us)
{
	struct query_server *s = call->client->server;

	call->nap = mono_add(rt_now(s->cfg.rt), us);
	rt_timer_set(s->nap, call->nap);
}

bool
query_full(const struct query_call *call)
{
	return call->failed || call->n_rows >= QUERY_SLICE_ROWS || call->rows.end >= QUERY_MAX_REPLY / 4;
}

void
query_exit(struct query_call *call, enum query_status status)
{
	call->status = MAX_OF(call->status, status);
}

void
query_missing(struct query_call *call, const char *what)
{
	json_array_append_new(call->missing, json_string(what));
}

void
query_fail(struct query_call *call, enum query_status status, const char *next, const char *fmt, ...)
{
	char cause[512];
	va_list ap;

	if (call->failed)
		return;
	va_start(ap, fmt);
	vsnprintf(cause, sizeof(cause), fmt, ap);
	va_end(ap);
	call->failed = true;
	reply_error(call->client, call->request.id, status, cause, next);
}

/* ---- clients ---- */

static void
client_free(struct client *c, bool reset)
{
	struct query_server *s = c->server;

	if (c->call)
		call_free(c->call);
	rt_timer_free(c->timer);
	rt_stream_close(c->stream, reset);
	buffer_free(s->cfg.mem, &c->out);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->stats.clients--;
	mem_free(s->cfg.mem, MEM_QUERY, c);
}

static size_t
client_waiting(const struct client *c)
{
	return c->out.end - c->out.at;
}

/* The deadline moves whenever the client does something. */
static void
client_alive(struct client *c)
{
	bool busy = c->call || client_waiting(c);

	rt_timer_set(c->timer, mono_add(rt_now(c->server->cfg.rt), busy ? QUERY_STALL_US : QUERY_IDLE_US));
}

/* Writes what the stream takes. False: the client is no more. */
static bool
client_flush(struct client *c)
{
	ssize_t n = 0;
	bool moved = false;

	while (client_waiting(c) && (n = rt_write(c->stream, c->out.bytes + c->out.at, client_waiting(c))) > 0) {
		c->out.at += (size_t)n;
		moved = true;
	}
	if (n < 0 || (c->closing && !client_waiting(c))) {
		client_free(c, n < 0);
		return false;
	}
	if (moved)
		client_alive(c);
	return true;
}

/* Looks for the verb and begins its call, or answers why not. */
static void
client_begin(struct client *c, struct query_request *request)
{
	const struct query_config *cfg = &c->server->cfg;
	const struct query_verb *verb = NULL;
	char cause[256];

	for (size_t i = 0; i < cfg->n_verbs && !verb; i++) {
		if (strcmp(cfg->verbs[i].name, request->verb) == 0)
			verb = &cfg->verbs[i];
	}
	if (!verb) {
		snprintf(cause, sizeof(cause), "this fabricd does not know the question \"%.64s\"", request->verb);
		reply_error(c, request->id, QUERY_USAGE, cause, "use a fabctl of the same version");
	} else if (request->n_args < verb->min_args || request->n_args > verb->max_args) {
		snprintf(cause, sizeof(cause), "%s takes %s, not %zu words", verb->name,
		    verb->usage ? verb->usage : "no argument", request->n_args);
		reply_error(c, request->id, QUERY_USAGE, cause, "fabctl help");
	} else if (verb->changes && !c->may_change) {
		snprintf(cause, sizeof(cause),
		    "%s changes the switch, which only root and fabricd's own user may ask for", verb->name);
		reply_error(c, request->id, QUERY_REFUSED, cause, "repeat it as root");
	} else {
		c->call = mem_zalloc(cfg->mem, MEM_QUERY, sizeof(*c->call));
		c->call->client = c;
		c->call->verb = verb;
		c->call->request = *request;
		c->call->missing = json_array();
		c->call->cursor = mem_zalloc(cfg->mem, MEM_QUERY, verb->cursor_size + 1);
		return;
	}
	query_request_free(cfg->mem, request);
}

static size_t
client_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct client *c = arg;
	struct query_server *s = c->server;
	struct rd r = rd_make(bytes, n), body;
	struct query_request request;
	int got = 0, err = 0;

	while (!c->call && !c->closing && (got = query_frame(&r, QUERY_MAX_REQUEST, &body)) > 0) {
		s->stats.requests++;
		if ((err = query_request_decode(s->cfg.mem, body, &request)))
			break;
		client_begin(c, &request);
	}
	if (got < 0 || err) {
		reply_error(c, 0, QUERY_USAGE,
		    got < 0          ? "the request is longer than 16 KiB"
		    : err == -ENOMEM ? "the request needs more than 1 MiB to be read"
		    : err == -E2BIG  ? "the request has more than 32 arguments"
				     : "the request is not a fabricd query",
		    "use a fabctl of the same version");
		c->closing = true;
	}
	if (c->closing)
		r.at = r.end;
	rt_stream_pause(c->stream, c->call || c->closing);
	if (c->call)
		rt_work_schedule(s->work);
	n = (size_t)(r.at - bytes);
	/* Half a request must be completed soon; QUERY_IDLE_US is for who asks nothing at all. */
	if (n || rd_left(&r))
		rt_timer_set(c->timer, mono_add(rt_now(s->cfg.rt), QUERY_STALL_US));
	client_flush(c);
	return n;
}

static void
client_writable(void *arg)
{
	struct client *c = arg;

	if (client_flush(c) && c->call)
		rt_work_schedule(c->server->work);
}

static void
client_closed(void *arg, int error)
{
	struct client *c = arg;

	(void)error;
	c->stream = NULL; /* the runtime frees it */
	client_free(c, true);
}

static void
client_stalled(void *arg)
{
	struct client *c = arg;

	c->server->stats.stalled++;
	client_free(c, true);
}

static const struct rt_stream_handler client_handler = {
	.input = client_input,
	.writable = client_writable,
	.closed = client_closed,
};

/* ---- the server ---- */

/* Whose turn it is: of those that have a call and can take rows, the one served longest ago. */
static struct client *
server_next(struct query_server *s)
{
	struct mono now = rt_now(s->cfg.rt);
	struct client *best = NULL;

	for (struct client *c = s->clients; c; c = c->next) {
		if (c->call && mono_due(c->call->nap, now) && client_waiting(c) < QUERY_BUFFER &&
		    (!best || c->served < best->served))
			best = c;
	}
	return best;
}

/* The first that still naps sets the timer anew. */
static void
server_wake(void *arg)
{
	struct query_server *s = arg;
	struct mono next = MONO_NEVER, now = rt_now(s->cfg.rt);

	for (struct client *c = s->clients; c; c = c->next)
		if (c->call && !mono_due(c->call->nap, now))
			next = mono_min(next, c->call->nap);
	rt_timer_set(s->nap, next);
	rt_work_schedule(s->work);
}

/* One slice for one client. */
static bool
server_work(void *arg)
{
	struct query_server *s = arg;
	struct client *c = server_next(s);

	if (!c)
		return false;
	c->served = ++s->turns;
	call_step(c->call);
	if (client_flush(c) && !c->call) {
		client_alive(c);
		rt_stream_pause(c->stream, false);
		rt_stream_again(c->stream); /* the next request may be here already */
	}
	return server_next(s) != NULL;
}

static void
server_accept(void *arg, struct rt_stream *stream, const struct ip *peer, uint16_t port)
{
	struct query_server *s = arg;
	uint32_t uid = 0;
	struct client *c;

	(void)peer;
	(void)port;
	if (s->stats.clients >= QUERY_CLIENTS) {
		s->stats.refused++;
		rt_stream_close(stream, true);
		return;
	}
	c = mem_zalloc(s->cfg.mem, MEM_QUERY, sizeof(*c));
	c->server = s;
	c->stream = stream;
	c->may_change = rt_stream_peer_uid(stream, &uid) == 0 && (uid == 0 || uid == s->cfg.own_uid);
	c->timer = rt_timer_new(s->cfg.rt, client_stalled, c);
	c->next = s->clients;
	c->link = &s->clients;
	if (c->next)
		c->next->link = &c->next;
	s->clients = c;
	s->stats.clients++;
	s->stats.accepted++;
	rt_stream_handle(stream, &client_handler, c);
	client_alive(c);
}

static struct query_server *
server_make(const struct query_config *cfg)
{
	struct query_server *s = mem_zalloc(cfg->mem, MEM_QUERY, sizeof(*s));

	s->cfg = *cfg;
	s->work = rt_work_new(cfg->rt, RT_NORMAL, server_work, s);
	s->nap = rt_timer_new(cfg->rt, server_wake, s);
	return s;
}

static int
server_made(struct query_server *s, int err, struct query_server **out)
{
	if (err)
		query_server_free(s);
	else
		*out = s;
	return err;
}

int
query_server_new(const struct query_config *cfg, struct query_server **out)
{
	struct query_server *s = server_make(cfg);

	return server_made(s, rt_listen_unix(cfg->rt, cfg->path, 0660, server_accept, s, &s->listener), out);
}

int
query_server_adopt(const struct query_config *cfg, const struct rt_parcel *parcel, struct query_server **out)
{
	struct query_server *s = server_make(cfg);

	return server_made(
	    s, rt_listener_unpack(cfg->rt, parcel, NULL, cfg->path, server_accept, s, &s->listener), out);
}

int
query_server_pack(struct query_server *s, struct rt_parcel *out)
{
	return rt_listener_pack(s->listener, out);
}

void
query_server_retire(struct query_server *s)
{
	rt_listener_pause(s->listener, true);
}

bool
query_server_owes(const struct query_server *s)
{
	for (const struct client *c = s->clients; c; c = c->next)
		if (c->call || client_waiting(c))
			return true;
	return false;
}

void
query_server_free(struct query_server *s)
{
	if (!s)
		return;
	while (s->clients)
		client_free(s->clients, true);
	rt_listener_close(s->listener);
	rt_work_free(s->work);
	rt_timer_free(s->nap);
	mem_free(s->cfg.mem, MEM_QUERY, s);
}

void
query_stats(const struct query_server *s, struct query_stats *out)
{
	*out = s->stats;
	out->buffered = 0;
	for (const struct client *c = s->clients; c; c = c->next)
		out->buffered += client_waiting(c);
}

#define COUNTS(member) offsetof(struct query_stats, member)

static const struct counter counter_list[] = {
	{ "clients-refused", "clients refused: so many at a time are not served", COUNTS(refused), false },
	{ "clients-closed", "clients closed: they took nothing for 30 s, or asked nothing for 5 min", COUNTS(stalled),
	    false },
	{ "errors", "questions answered with an error", COUNTS(errors), false },
	{ "clients", "clients taken", COUNTS(accepted), true },
	{ "questions", "questions", COUNTS(requests), true },
	{ "rows", "rows of answers", COUNTS(rows), true },
};
_Static_assert(ARRAY_LEN(counter_list) == COUNTS(clients) / sizeof(uint64_t), "a counter is not told");

void
query_counters(const struct query_call *call, struct counters *out)
{
	*out = (struct counters){
		.list = counter_list, .n = ARRAY_LEN(counter_list), .of = &call->client->server->stats
	};
}
