/*
 * fabricd/runtime/sim/stream.c -- streams: connections over links, and UNIX ones inside a node
 *
 *   rt_stream (end 0) --write--> pipe[0]: bytes | segments in flight --arrive--> input() of rt_stream (end 1)
 *                     <--input-- pipe[1]                             <--write--
 *
 * A connection owns two pipes. A pipe holds all bytes that its reader has not used up: `arrived` of them are there, the
 * rest is in segments on its way. The window bounds all of it, so a reader that does not read stops the writer.
 *
 * As TCP does: order is kept always; a segment that is lost, or meets a dead link, is sent again after 200 ms, and then
 * after twice as long each time; when that has gone on for longer than tcp.hold_us the pipe is deaf for ever. A close
 * is a segment behind the last bytes; a reset overtakes them. A SYN is repeated after 1, 2, 4 ... s; it is refused
 * when nobody listens, and dropped in silence on a wrong MD5 key or hop limit.
 *
 * Always true: a handle that was closed, or told that it is closed, has no connection (conn NULL); a connection lives
 * while an end has a handle. `busy` counts the callbacks that a handle or a connection must survive.
 *
 * Not here: half-open use after a close, urgent data, the kernel's accept queue (a stalled node answers a SYN late).
 */
#include <string.h>

#include "fabricd/runtime/sim/impl.h"

#define RTO_US      MS(200)
#define RTO_MAX_US  SECONDS(120)
#define UNIX_US     10
#define UNIX_WINDOW (4 * 1024 * 1024) /* as much as the real runtime keeps for a reader that wants a message whole */
#define NO_NEIGH_US SECONDS(3)        /* until an address that nobody answers for is unreachable */

struct segment {
	size_t n; /* 0: the end of the stream */
	struct mono at;
	uint32_t generation; /* of the link when it was sent */
};

struct pipe {
	struct sim_conn *conn;
	unsigned int from;
	struct sim_event ev; /* arrival of the first segment */
	uint8_t *buf;
	size_t cap, off, len; /* unread bytes: buf[off .. off + len) */
	size_t arrived;
	struct segment *segs;
	size_t seg_cap, seg_first, seg_end;
	bool lent; /* its bytes are in a callback's hands: they must not move */
	bool fin_sent, fin_arrived, waits_carrier, deaf;
	struct mono lost_since; /* MONO_NEVER: nothing is missing */
	int64_t rto;
};

enum conn_phase { CONN_SYN, CONN_RETRY, CONN_REFUSED, CONN_SYNACK, CONN_OPEN };

struct sim_conn {
	struct sim_net *net;
	struct sim_link *link; /* NULL: UNIX, or the link was taken away */
	struct sim_conn *net_prev, *net_next, *link_prev, *link_next;
	uint64_t id;
	unsigned int side; /* of end 0 in the link */
	bool is_unix;
	bool crashed[2]; /* the end's node crashed: whatever arrives there is answered with a reset */
	struct rt_stream *end[2];
	struct sim_node *node[2];
	struct ip addr[2];
	uint16_t port[2];
	struct pipe pipe[2]; /* pipe[i]: from end i */
	struct sim_tcp tcp;
	unsigned int busy;

	enum conn_phase phase;
	struct sim_event ev; /* of the phase */
	struct mono started;
	int64_t backoff;
	uint32_t generation; /* of the link when the SYN went */
	int refusal;
	bool gtsm;         /* of end 0; the listener's is in struct rt_listener */
	uint8_t hop_limit; /* that end 0 sends */
	char *md5_key;
	char *path; /* UNIX */
};

struct rt_stream {
	struct sim_handle h;
	struct sim_conn *conn; /* NULL: closed */
	unsigned int side;
	unsigned int busy;
	bool paused, blocked, connecting, released;
	int error;
	const struct rt_stream_handler *handler;
	void *arg;
	struct ip local, peer;
	bool is_unix;
	struct sim_event writable, again, closed;
};

/* ---- life of connections and handles ---- */

static void
pipe_free(struct sim_conn *c, struct pipe *p)
{
	sim_event_set(c->net, &p->ev, MONO_NEVER);
	mem_free(c->net->mem, MEM_RUNTIME, p->buf);
	mem_free(c->net->mem, MEM_RUNTIME, p->segs);
}

static void
conn_unlink(struct sim_conn *c)
{
	if (!c->link)
		return;
	if (c->link_next)
		c->link_next->link_prev = c->link_prev;
	if (c->link_prev)
		c->link_prev->link_next = c->link_next;
	else
		c->link->conns = c->link_next;
	c->link = NULL;
}

static void
conn_free(struct sim_conn *c)
{
	struct sim_net *net = c->net;

	conn_unlink(c);
	if (c->net_next)
		c->net_next->net_prev = c->net_prev;
	if (c->net_prev)
		c->net_prev->net_next = c->net_next;
	else
		net->conns = c->net_next;
	net->stats.connections--;
	sim_event_set(net, &c->ev, MONO_NEVER);
	pipe_free(c, &c->pipe[0]);
	pipe_free(c, &c->pipe[1]);
	mem_free(net->mem, MEM_RUNTIME, c->md5_key);
	mem_free(net->mem, MEM_RUNTIME, c->path);
	mem_free(net->mem, MEM_RUNTIME, c);
}

static void
conn_check(struct sim_conn *c)
{
	if (!c->end[0] && !c->end[1] && !c->busy)
		conn_free(c);
}

static void
stream_free(struct rt_stream *s)
{
	struct sim_net *net = s->h.node->net;

	sim_event_set(net, &s->writable, MONO_NEVER);
	sim_event_set(net, &s->again, MONO_NEVER);
	sim_event_set(net, &s->closed, MONO_NEVER);
	sim_handle_unlink(&s->h);
	mem_free(net->mem, MEM_RUNTIME, s);
}

/* Takes the handle off its connection; nothing is sent. */
static struct sim_conn *
stream_detach(struct rt_stream *s)
{
	struct sim_conn *c = s->conn;
	struct sim_net *net = s->h.node->net;

	if (!c)
		return NULL;
	c->end[s->side] = NULL;
	s->conn = NULL;
	sim_event_set(net, &s->writable, MONO_NEVER);
	sim_event_set(net, &s->again, MONO_NEVER);
	sim_event_set(net, &s->closed, MONO_NEVER);
	return c;
}

static void
stream_destroy(struct sim_handle *h)
{
	struct rt_stream *s = (struct rt_stream *)h;
	struct sim_conn *c = stream_detach(s);

	if (c)
		conn_check(c);
	stream_free(s);
}

/* Tells that the stream has ended, and frees it. Only from the loop. */
static void
stream_finish(struct rt_stream *s, int error)
{
	struct sim_conn *c = stream_detach(s);

	if (c)
		conn_check(c);
	s->released = true;
	s->busy++;
	if (s->handler && s->handler->closed)
		s->handler->closed(s->arg, error);
	if (--s->busy == 0)
		stream_free(s);
}

static void
stream_closed_event(struct sim_event *ev)
{
	struct rt_stream *s = CONTAINER_OF(ev, struct rt_stream, closed);

	stream_finish(s, s->error);
}

static int64_t
conn_latency(const struct sim_conn *c, unsigned int from)
{
	unsigned int side = from == 0 ? c->side : !c->side;

	return c->link ? c->link->latency_us + c->link->impair[side].delay_us : UNIX_US;
}

static bool
conn_passes(const struct sim_conn *c, unsigned int from)
{
	if (c->is_unix)
		return true;
	return c->link && sim_link_passes(c->link, from == 0 ? c->side : !c->side);
}

/* The end hears of the error after so long, unless it closes itself before. */
static void
stream_fail(struct rt_stream *s, int error, int64_t after_us)
{
	struct sim_net *net = s->h.node->net;

	if (s->closed.due.pos)
		return;
	s->error = error;
	sim_event_set(net, &s->closed, mono_add(net->now, after_us));
}

static void
send_reset(struct sim_conn *c, unsigned int from)
{
	struct rt_stream *far = c->end[!from];

	if (!far || !conn_passes(c, from))
		return;
	c->net->stats.resets++;
	stream_fail(far, -ECONNRESET, conn_latency(c, from));
}

/* ---- pipes ---- */

static void
pipe_schedule(struct pipe *p, struct mono at)
{
	p->ev.node = p->conn->node[!p->from];
	sim_event_set(p->conn->net, &p->ev, at);
}

/* The writer may go on when a quarter of the window is free. */
static void
pipe_tell_room(struct pipe *p)
{
	struct sim_conn *c = p->conn;
	struct rt_stream *writer = c->end[p->from];

	if (!writer || !writer->blocked || writer->connecting || writer->writable.due.pos)
		return;
	if ((c->tcp.window - MIN_OF(p->len, c->tcp.window)) * 4 >= c->tcp.window)
		sim_event_set(c->net, &writer->writable, mono_add(c->net->now, conn_latency(c, !p->from)));
}

static void
pipe_consume(struct pipe *p, size_t n)
{
	p->off += n;
	p->len -= n;
	p->arrived -= n;
	if (p->len == 0) { /* thousands of idle sessions hold no memory */
		mem_free(p->conn->net->mem, MEM_RUNTIME, p->buf);
		p->buf = NULL;
		p->cap = p->off = 0;
	}
	pipe_tell_room(p);
}

static void
pipe_append(struct pipe *p, const uint8_t *bytes, size_t n)
{
	if (p->off + p->len + n > p->cap && p->off) {
		memmove(p->buf, p->buf + p->off, p->len);
		p->off = 0;
	}
	p->buf = mem_grow(p->conn->net->mem, MEM_RUNTIME, p->buf, &p->cap, p->off + p->len + n, 1);
	memcpy(p->buf + p->off + p->len, bytes, n);
	p->len += n;
}

/* Puts n bytes (0: the end) on their way, behind what is there. */
static void
pipe_send(struct pipe *p, size_t n)
{
	struct sim_conn *c = p->conn;
	unsigned int side = p->from == 0 ? c->side : !c->side;
	struct segment seg = { .n = n, .at = mono_add(c->net->now, UNIX_US) }, *last = NULL;

	if (c->link) {
		seg.at = sim_link_arrival(c->link, side, n + 60);
		seg.generation = c->link->generation;
		if (sim_chance(c->net, c->link->impair[side].loss_ppm))
			seg.at = mono_add(seg.at, RTO_US);
	}
	c->net->stats.segments++;
	if (p->seg_end > p->seg_first) {
		last = &p->segs[p->seg_end - 1];
		seg.at.us = MAX_OF(seg.at.us, last->at.us);
	}
	if (last && n && last->n && last->at.us == seg.at.us && last->generation == seg.generation &&
	    last->n + n <= c->tcp.segment && sim_random(c->net) % 8) {
		last->n += n;
		return;
	}
	if (p->seg_first > 16 && p->seg_first * 2 > p->seg_end) {
		memmove(p->segs, p->segs + p->seg_first, (p->seg_end - p->seg_first) * sizeof(p->segs[0]));
		p->seg_end -= p->seg_first;
		p->seg_first = 0;
	}
	p->segs = mem_grow(c->net->mem, MEM_RUNTIME, p->segs, &p->seg_cap, p->seg_end + 1, sizeof(p->segs[0]));
	p->segs[p->seg_end++] = seg;
	if (p->seg_end - p->seg_first == 1 && !p->deaf)
		pipe_schedule(p, seg.at);
}

static void
pipe_send_fin(struct pipe *p)
{
	if (p->fin_sent)
		return;
	p->fin_sent = true;
	pipe_send(p, 0);
}

/* All that is on its way will be sent again. */
static void
pipe_renew(struct pipe *p)
{
	if (p->conn->link)
		for (size_t i = p->seg_first; i < p->seg_end; i++)
			p->segs[i].generation = p->conn->link->generation;
}

/* When TCP's next repetition falls at or after the present moment. */
static struct mono
pipe_next_try(struct pipe *p)
{
	struct mono at = mono_add(p->lost_since, RTO_US);

	for (p->rto = RTO_US; at.us < p->conn->net->now.us;) {
		p->rto = MIN_OF(p->rto * 2, RTO_MAX_US);
		at = mono_add(at, p->rto);
	}
	return at;
}

static bool
pipe_gives_up(struct pipe *p)
{
	if (mono_sub(p->conn->net->now, p->lost_since) <= p->conn->tcp.hold_us)
		return false;
	p->deaf = true;
	return true;
}

/* The first segment did not arrive. */
static void
pipe_lose(struct pipe *p)
{
	struct sim_conn *c = p->conn;

	if (mono_is_never(p->lost_since))
		p->lost_since = c->net->now;
	if (pipe_gives_up(p))
		return;
	if (!c->link) {
		p->deaf = true;
		return;
	}
	if (!c->link->carrier) {
		p->waits_carrier = true;
		return;
	}
	pipe_renew(p);
	pipe_schedule(p, mono_add(mono_add(pipe_next_try(p), 1), conn_latency(c, p->from)));
}

static void
hand_over(struct sim_conn *c, struct rt_stream *s, struct pipe *p)
{
	size_t used;

	s->busy++;
	p->lent = true;
	used = s->handler->input(s->arg, p->buf + p->off, p->arrived);
	p->lent = false;
	c->net->stats.bytes += MIN_OF(used, p->arrived);
	pipe_consume(p, MIN_OF(used, p->arrived));
	if (--s->busy == 0 && s->released)
		stream_free(s);
}

/* Gives the reader what is there, then the end. */
static void
pipe_deliver(struct pipe *p)
{
	struct sim_conn *c = p->conn;
	struct rt_stream *s = c->end[!p->from];

	if (!s || s->connecting || s->paused || !s->handler || p->lent)
		return;
	c->busy++;
	if (p->arrived)
		hand_over(c, s, p);
	if (p->fin_arrived && c->end[!p->from] && !c->end[!p->from]->paused)
		stream_finish(c->end[!p->from], 0);
	c->busy--;
	conn_check(c);
}

static void
pipe_tap(const struct pipe *p, size_t n)
{
	const struct sim_conn *c = p->conn;
	struct sim_segment seg = { .from = &c->node[p->from]->rt,
		.to = &c->node[!p->from]->rt,
		.from_ifindex = c->link->port[p->from == 0 ? c->side : !c->side]->ifindex,
		.conn = c->id,
		.port = c->port[1],
		.bytes = p->buf + p->off + p->arrived,
		.n = n };

	c->net->tap_fn(c->net->tap_arg, &seg);
}

static void
pipe_arrive(struct sim_event *ev)
{
	struct pipe *p = CONTAINER_OF(ev, struct pipe, ev);
	struct sim_conn *c = p->conn;
	struct segment seg = p->segs[p->seg_first];

	if (!conn_passes(c, p->from) || (c->link && seg.generation != c->link->generation)) {
		pipe_lose(p);
		return;
	}
	p->lost_since = MONO_NEVER;
	p->seg_first++;
	if (p->seg_first == p->seg_end)
		p->seg_first = p->seg_end = 0;
	else
		pipe_schedule(p, p->segs[p->seg_first].at);
	if (seg.n && c->link && c->net->tap_fn)
		pipe_tap(p, seg.n);
	if (seg.n)
		p->arrived += seg.n;
	else
		p->fin_arrived = true;
	if (c->end[!p->from]) {
		pipe_deliver(p);
	} else if (c->crashed[!p->from]) {
		send_reset(c, !p->from);
	} else { /* closed in order: the far kernel reads on and throws away */
		pipe_consume(p, p->arrived);
	}
}

/* ---- opening ---- */

static struct sim_conn *
conn_new(struct sim_net *net)
{
	struct sim_conn *c = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*c));

	c->net = net;
	c->id = ++net->conn_ids;
	c->tcp = net->tcp;
	for (unsigned int i = 0; i < 2; i++) {
		c->pipe[i].conn = c;
		c->pipe[i].from = i;
		c->pipe[i].ev.fn = pipe_arrive;
		c->pipe[i].lost_since = MONO_NEVER;
	}
	c->net_next = net->conns;
	if (c->net_next)
		c->net_next->net_prev = c;
	net->conns = c;
	net->stats.connections++;
	return c;
}

static void
conn_on_link(struct sim_conn *c, struct sim_link *link)
{
	c->link = link;
	c->link_next = link->conns;
	if (c->link_next)
		c->link_next->link_prev = c;
	link->conns = c;
}

static void
writable_event(struct sim_event *ev)
{
	struct rt_stream *s = CONTAINER_OF(ev, struct rt_stream, writable);

	s->blocked = false;
	if (s->handler && s->handler->writable)
		s->handler->writable(s->arg);
}

static void
again_event(struct sim_event *ev)
{
	struct rt_stream *s = CONTAINER_OF(ev, struct rt_stream, again);

	pipe_deliver(&s->conn->pipe[!s->side]);
}

static struct rt_stream *
stream_new(struct sim_node *node, struct sim_conn *c, unsigned int side)
{
	struct rt_stream *s = sim_handle_new(node, sizeof(*s), stream_destroy);

	s->conn = c;
	s->side = side;
	s->local = c->addr[side];
	s->peer = c->addr[!side];
	s->is_unix = c->is_unix;
	s->writable.node = s->again.node = s->closed.node = node;
	s->writable.fn = writable_event;
	s->again.fn = again_event;
	s->closed.fn = stream_closed_event;
	c->end[side] = s;
	c->node[side] = node;
	return s;
}

/* The most particular one, as a kernel chooses: by address, then by port. */
static struct rt_listener *
find_listener(const struct sim_node *node, uint32_t ifindex, const struct ip *local, uint16_t port)
{
	struct rt_listener *best = NULL;
	int best_score = -1;

	for (struct rt_listener *l = node->listeners; l; l = l->next) {
		bool any = ip_is_zero(&l->local);
		int score = (any ? 0 : 2) + (l->ifindex ? 1 : 0);

		if (l->h.dead || l->path || l->port != port || (l->ifindex && l->ifindex != ifindex))
			continue;
		if (any ? l->local.family == FAMILY_IPV6 && local->family != FAMILY_IPV6 : !ip_equal(&l->local, local))
			continue;
		if (score > best_score) {
			best = l;
			best_score = score;
		}
	}
	return best;
}

static struct rt_listener *
find_unix(const struct sim_node *node, const char *path)
{
	for (struct rt_listener *l = node->listeners; l; l = l->next)
		if (!l->h.dead && l->path && strcmp(l->path, path) == 0)
			return l;
	return NULL;
}

/* RFC 2385: a segment without the right signature is dropped, and nobody is told. */
static bool
same_key(const struct rt_listener *l, const struct sim_conn *c)
{
	const char *have = c->md5_key ? c->md5_key : "";
	const struct sim_key *k = l->keys, *best = NULL; /* the longest prefix counts, as in Linux */

	for (; k; k = k->next)
		if (prefix_has(&k->peer, &c->addr[0]) && (!best || k->peer.len > best->peer.len))
			best = k;
	return strcmp(best ? best->text : "", have) == 0;
}

/* RFC 5082: what comes with less than 255 is dropped, at either end, and nobody is told. */
static bool
same_cable(const struct rt_listener *l, const struct sim_conn *c)
{
	return (!l->gtsm || c->hop_limit == 255) && (!c->gtsm || l->hop_limit == 255);
}

static void
conn_phase(struct sim_conn *c, enum conn_phase phase, struct sim_node *node, struct mono at)
{
	c->phase = phase;
	c->ev.node = node;
	sim_event_set(c->net, &c->ev, at);
}

static void
send_syn(struct sim_conn *c)
{
	struct sim_port *far;

	if (!conn_passes(c, 0)) {
		conn_phase(c, CONN_RETRY, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	if (c->is_unix) {
		conn_phase(c, CONN_SYN, c->node[1], mono_add(c->net->now, UNIX_US));
		return;
	}
	far = c->link->port[!c->side];
	c->node[1] = far->node;
	if (!sim_port_has(far, &c->addr[1])) { /* nobody answers for the address */
		c->refusal = -EHOSTUNREACH;
		conn_phase(c, CONN_REFUSED, c->node[0], mono_add(c->net->now, NO_NEIGH_US));
		return;
	}
	c->generation = c->link->generation;
	conn_phase(c, CONN_SYN, far->node, sim_link_arrival(c->link, c->side, 80));
}

static void
syn_arrives(struct sim_conn *c)
{
	struct rt_listener *l;
	struct rt_stream *s;

	if (!conn_passes(c, 0) || !conn_passes(c, 1) || (c->link && c->generation != c->link->generation)) {
		conn_phase(c, CONN_RETRY, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	l = c->is_unix ? find_unix(c->node[1], c->path)
		       : find_listener(c->node[1], c->link->port[!c->side]->ifindex, &c->addr[1], c->port[1]);
	if (!l) {
		c->refusal = -ECONNREFUSED;
		c->net->stats.refused++;
		conn_phase(c, CONN_REFUSED, c->node[0], mono_add(c->net->now, conn_latency(c, 1)));
		return;
	}
	if (!c->is_unix && (!same_cable(l, c) || !same_key(l, c))) {
		conn_phase(c, CONN_RETRY, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	conn_phase(c, CONN_SYNACK, c->node[0], mono_add(c->net->now, conn_latency(c, 1)));
	s = stream_new(c->node[1], c, 1);
	c->busy++;
	s->busy++;
	l->fn(l->arg, s, &c->addr[0], c->port[0]);
	s->busy--;
	if (s->released)
		stream_free(s);
	else if (!s->handler && c->end[1] == s)
		sim_stream_close(s, true);
	c->busy--;
	conn_check(c);
}

static void
synack_arrives(struct sim_conn *c)
{
	struct rt_stream *s = c->end[0];

	if (!conn_passes(c, 1)) {
		conn_phase(c, CONN_SYNACK, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	c->phase = CONN_OPEN;
	s->connecting = false;
	c->busy++;
	s->busy++;
	if (s->handler && s->handler->opened)
		s->handler->opened(s->arg);
	if (--s->busy == 0 && s->released) {
		stream_free(s);
	} else if (c->end[0] == s) {
		if (s->blocked)
			pipe_tell_room(&c->pipe[0]);
		if (c->pipe[1].arrived || c->pipe[1].fin_arrived)
			pipe_deliver(&c->pipe[1]);
	}
	c->busy--;
	conn_check(c);
}

static void
conn_event(struct sim_event *ev)
{
	struct sim_conn *c = CONTAINER_OF(ev, struct sim_conn, ev);

	if (!c->end[0])
		return;
	if (c->phase != CONN_REFUSED && !c->is_unix && mono_sub(c->net->now, c->started) >= c->tcp.connect_us) {
		stream_finish(c->end[0], -ETIMEDOUT);
		return;
	}
	switch (c->phase) {
	case CONN_SYN:
		syn_arrives(c);
		break;
	case CONN_RETRY:
		send_syn(c);
		break;
	case CONN_REFUSED:
		stream_finish(c->end[0], c->refusal);
		break;
	case CONN_SYNACK:
		synack_arrives(c);
		break;
	case CONN_OPEN:
		break;
	}
}

static void
conn_start(
    struct sim_conn *c, struct sim_node *node, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	struct rt_stream *s = stream_new(node, c, 0);

	s->connecting = true;
	s->handler = h;
	s->arg = arg;
	c->started = c->net->now;
	c->backoff = SECONDS(1);
	c->ev.fn = conn_event;
	c->net->stats.connects++;
	*out = s;
	if (!s->h.dead)
		send_syn(c);
}

/* The port over which the peer is reached. */
static struct sim_port *
route_to(const struct sim_node *node, uint32_t ifindex, const struct ip *peer)
{
	struct sim_port *far;

	if (ifindex)
		return sim_port_find(node, ifindex);
	for (size_t i = 0; i < node->nports; i++) {
		far = sim_port_far(node->ports[i]);
		if (far && sim_port_has(far, peer))
			return node->ports[i];
	}
	return NULL;
}

/* The source address that a kernel would choose: of the peer's kind. */
static bool
choose_local(const struct sim_port *port, const struct ip *want, const struct ip *peer, struct ip *out)
{
	if (!ip_is_zero(want)) {
		*out = *want;
		return sim_port_has(port, want);
	}
	if (ip_is_link_local(peer)) {
		*out = port->link_local;
		return true;
	}
	for (size_t i = 0; i < port->naddresses; i++) {
		if (port->addresses[i].family == peer->family) {
			*out = port->addresses[i];
			return true;
		}
	}
	return false;
}

static uint8_t
sent_hop_limit(const struct rt_stream_options *o)
{
	return o->hop_limit ? o->hop_limit : o->ifindex || o->gtsm ? 255 : 64;
}

int
sim_connect(struct runtime *rt, const struct rt_stream_options *o, const struct ip *peer, uint16_t port,
    const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	struct sim_node *node = sim_node_of(rt);
	struct sim_port *via = route_to(node, o->ifindex, peer);
	struct ip local;
	struct sim_conn *c;

	*out = NULL;
	if (o->ifindex && !via)
		return -ENODEV;
	if (ip_is_link_local(peer) && !o->ifindex)
		return -EINVAL;
	if (!via)
		return -ENETUNREACH;
	if (!choose_local(via, &o->local, peer, &local))
		return -EADDRNOTAVAIL;
	c = conn_new(node->net);
	c->addr[0] = local;
	c->addr[1] = *peer;
	if (!o->local_port && ++node->ephemeral < 32768)
		node->ephemeral = 32768;
	c->port[0] = o->local_port ? o->local_port : node->ephemeral;
	c->port[1] = port;
	c->gtsm = o->gtsm;
	c->hop_limit = sent_hop_limit(o);
	c->side = via->side;
	if (o->md5_key && (o->md5_peer.len == 0 || prefix_has(&o->md5_peer, peer)))
		c->md5_key = mem_strdup(node->net->mem, MEM_RUNTIME, o->md5_key);
	if (via->link)
		conn_on_link(c, via->link);
	conn_start(c, node, h, arg, out);
	return 0;
}

int
sim_unix_connect(struct runtime *client, struct runtime *server, const char *path, const struct rt_stream_handler *h,
    void *arg, struct rt_stream **out)
{
	struct sim_node *node = sim_node_of(client), *to = sim_node_of(server);
	struct sim_conn *c;

	*out = NULL;
	if (!find_unix(to, path))
		return -ENOENT;
	c = conn_new(node->net);
	c->is_unix = true;
	c->tcp.window = UNIX_WINDOW;
	c->path = mem_strdup(node->net->mem, MEM_RUNTIME, path);
	c->node[1] = to;
	conn_start(c, node, h, arg, out);
	return 0;
}

int
sim_connect_unix(
    struct runtime *rt, const char *path, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
{
	return sim_unix_connect(rt, rt, path, h, arg, out);
}

/* ---- listeners ---- */

static void
listener_destroy(struct sim_handle *h)
{
	struct rt_listener *l = (struct rt_listener *)h, **at;
	struct sim_net *net = h->node->net;

	for (at = &h->node->listeners; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	sim_handle_unlink(h);
	while (l->keys) {
		struct sim_key *k = l->keys;

		l->keys = k->next;
		mem_free(net->mem, MEM_RUNTIME, k->text);
		mem_free(net->mem, MEM_RUNTIME, k);
	}
	mem_free(net->mem, MEM_RUNTIME, l->path);
	mem_free(net->mem, MEM_RUNTIME, l);
}

static struct rt_listener *
listener_new(struct sim_node *node, rt_accept_fn *fn, void *arg)
{
	struct rt_listener *l = sim_handle_new(node, sizeof(*l), listener_destroy);

	l->fn = fn;
	l->arg = arg;
	l->next = node->listeners;
	node->listeners = l;
	return l;
}

int
sim_listen(struct runtime *rt, const struct rt_stream_options *o, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct sim_node *node = sim_node_of(rt);
	struct rt_listener *l;

	*out = NULL;
	if (o->ifindex && !sim_port_find(node, o->ifindex))
		return -ENODEV;
	for (l = node->listeners; l; l = l->next)
		if (!l->h.dead && !l->path && l->port == o->local_port && l->ifindex == o->ifindex &&
		    ip_equal(&l->local, &o->local))
			return -EADDRINUSE;
	l = listener_new(node, fn, arg);
	l->ifindex = o->ifindex;
	l->local = o->local;
	l->port = o->local_port;
	l->gtsm = o->gtsm;
	l->hop_limit = sent_hop_limit(o);
	if (o->md5_key)
		sim_listener_key(l, &o->md5_peer, o->md5_key);
	*out = l;
	return 0;
}

int
sim_listener_key(struct rt_listener *l, const struct prefix *peer, const char *key)
{
	struct mem *mem = l->h.node->net->mem;
	struct sim_key *k = l->keys;

	while (k && !prefix_equal(&k->peer, peer))
		k = k->next;
	if (!k) {
		k = mem_zalloc(mem, MEM_RUNTIME, sizeof(*k));
		k->peer = *peer;
		k->next = l->keys;
		l->keys = k;
	}
	mem_free(mem, MEM_RUNTIME, k->text);
	k->text = mem_strdup(mem, MEM_RUNTIME, key);
	return 0;
}

int
sim_listen_unix(struct runtime *rt, const char *path, unsigned int mode UNUSED, rt_accept_fn *fn, void *arg,
    struct rt_listener **out)
{
	struct sim_node *node = sim_node_of(rt);

	*out = NULL;
	if (find_unix(node, path))
		return -EADDRINUSE;
	*out = listener_new(node, fn, arg);
	(*out)->path = mem_strdup(node->net->mem, MEM_RUNTIME, path);
	return 0;
}

void
sim_listener_close(struct rt_listener *l)
{
	listener_destroy(&l->h);
}

/* ---- what is asked of a stream ---- */

void
sim_stream_handle(struct rt_stream *s, const struct rt_stream_handler *h, void *arg)
{
	s->handler = h;
	s->arg = arg;
	if (s->conn && !s->h.dead && s->conn->pipe[!s->side].arrived)
		sim_stream_again(s);
}

ssize_t
sim_stream_write(struct rt_stream *s, const uint8_t *bytes, size_t n)
{
	struct sim_conn *c = s->conn;
	struct pipe *p;
	size_t room, left, piece;

	if (!c || s->h.dead || s->closed.due.pos)
		return -EPIPE;
	p = &c->pipe[s->side];
	room = p->len < c->tcp.window ? c->tcp.window - p->len : 0;
	if (s->connecting || p->lent)
		room = 0;
	if (room < n)
		s->blocked = true;
	n = MIN_OF(n, room);
	if (!n)
		return 0;
	pipe_append(p, bytes, n);
	for (left = n; left; left -= piece) {
		piece = MIN_OF(left, c->tcp.segment);
		if (sim_random(c->net) % 4 == 0)
			piece = 1 + sim_random(c->net) % piece;
		pipe_send(p, piece);
	}
	return (ssize_t)n;
}

void
sim_stream_again(struct rt_stream *s)
{
	if (s->conn && !s->h.dead && !s->connecting && !s->again.due.pos)
		sim_event_set(s->h.node->net, &s->again, s->h.node->net->now);
}

void
sim_stream_pause(struct rt_stream *s, bool paused)
{
	if (s->paused && !paused)
		sim_stream_again(s);
	s->paused = paused;
}

void
sim_stream_close(struct rt_stream *s, bool reset)
{
	struct sim_conn *c;

	if (s->released)
		return;
	c = stream_detach(s);
	if (c) {
		if (reset)
			send_reset(c, s->side);
		else if (c->end[!s->side])
			pipe_send_fin(&c->pipe[s->side]);
		if (s->side == 0 && c->phase != CONN_OPEN) {
			sim_event_set(c->net, &c->ev, MONO_NEVER);
			c->phase = CONN_OPEN;
		}
		conn_check(c);
	}
	s->released = true;
	if (!s->busy)
		stream_free(s);
}

int
sim_stream_local(struct rt_stream *s, struct ip *local, struct ip *peer)
{
	if (s->is_unix)
		return -ENOTSUP;
	*local = s->local;
	*peer = s->peer;
	return 0;
}

/* A handle is the successor's when its callbacks are. */

int
sim_stream_pack(struct rt_stream *s, struct rt_parcel *out)
{
	*out = (struct rt_parcel){ .fd = -1, .handle = s };
	return s->conn && !s->connecting && !s->closed.due.pos ? 0 : -ENOTCONN;
}

int
sim_listener_pack(struct rt_listener *l, struct rt_parcel *out)
{
	*out = (struct rt_parcel){ .fd = -1, .handle = l };
	return l->h.dead ? -ENOTCONN : 0;
}

int
sim_stream_unpack(struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_handler *h, void *arg,
    struct rt_stream **out)
{
	struct rt_stream *s = p->handle;

	if (!s || s->h.node != sim_node_of(rt))
		return -EBADF;
	sim_stream_pause(s, false);
	sim_stream_handle(s, h, arg);
	*out = s;
	return 0;
}

int
sim_listener_unpack(struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_options *o, const char *path,
    rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct rt_listener *l = p->handle;

	(void)o;
	(void)path;
	if (!l || l->h.node != sim_node_of(rt))
		return -EBADF;
	l->fn = fn;
	l->arg = arg;
	*out = l;
	return 0;
}

int
sim_stream_peer_uid(struct rt_stream *s, uint32_t *uid)
{
	if (!s->is_unix)
		return -ENOTSUP;
	*uid = 0;
	return 0;
}

/* ---- what the world does to streams ---- */

void
sim_streams_crash(struct sim_node *node, enum sim_crash how)
{
	for (struct sim_handle *h = node->handles.next; h != &node->handles; h = h->next) {
		struct rt_stream *s = (struct rt_stream *)h;
		struct sim_conn *c;

		if (h->destroy != stream_destroy)
			continue;
		c = stream_detach(s);
		if (!c)
			continue;
		c->crashed[s->side] = true;
		if (how == SIM_KILLED && c->end[!s->side]) {
			if (c->pipe[!s->side].arrived) /* unread bytes: the kernel resets */
				send_reset(c, s->side);
			else
				pipe_send_fin(&c->pipe[s->side]);
		}
		if (s->side == 0 && c->phase != CONN_OPEN)
			sim_event_set(c->net, &c->ev, MONO_NEVER);
		conn_check(c);
	}
}

void
sim_streams_resume(struct sim_link *link)
{
	for (struct sim_conn *c = link->conns; c; c = c->link_next) {
		for (int i = 0; i < 2; i++) {
			struct pipe *p = &c->pipe[i];

			if (!p->waits_carrier)
				continue;
			p->waits_carrier = false;
			if (pipe_gives_up(p))
				continue;
			pipe_renew(p);
			pipe_schedule(p, mono_add(pipe_next_try(p), conn_latency(c, p->from)));
		}
	}
}

void
sim_streams_deafen(struct sim_link *link)
{
	while (link->conns)
		conn_unlink(link->conns);
}

size_t
sim_stream_kill(struct runtime *rt, uint32_t ifindex, int error)
{
	struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex);
	size_t n = 0;

	if (!port || !port->link)
		return 0;
	for (struct sim_conn *c = port->link->conns; c; c = c->link_next, n++)
		for (int i = 0; i < 2; i++)
			if (c->end[i])
				stream_fail(c->end[i], error, 0);
	return n;
}

void
sim_stream_tap(struct sim_net *net, sim_tap_fn *fn, void *arg)
{
	net->tap_fn = fn;
	net->tap_arg = arg;
}

void
sim_streams_free(struct sim_net *net)
{
	while (net->conns)
		conn_free(net->conns);
}
