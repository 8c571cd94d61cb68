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
 * is a segment behind the last bytes; a reset overtakes them. The kernel takes what arrives, whether its process runs or not. A SYN is repeated after 1, 2, 4 ... s; it is refused
 * when nobody listens, and dropped in silence on a wrong MD5 key or hop limit.
 *
 * Always true: a handle that was closed, or told that it is closed, has no connection (conn NULL); a connection lives
 * while an end has a handle. `busy` counts the callbacks that a handle or a connection must survive.
 *
 * The pipes are in pipe.c, who listens in listener.c.
 *
 * Not here: half-open use after a close, urgent data, the kernel's accept queue (a stalled node answers a SYN late).
 */
#include <string.h>

#include "fabricd/runtime/sim/stream_impl.h"

#define UNIX_WINDOW (4 * 1024 * 1024) /* as much as the real runtime keeps for a reader that wants a message whole */
#define NO_NEIGH_US SECONDS(3)        /* until an address that nobody answers for is unreachable */

/* ---- life of connections and handles ---- */

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
	sim_pipe_free(c, &c->pipe[0]);
	sim_pipe_free(c, &c->pipe[1]);
	mem_free(net->mem, MEM_RUNTIME, c->md5_key);
	mem_free(net->mem, MEM_RUNTIME, c->path);
	mem_free(net->mem, MEM_RUNTIME, c);
}

void
sim_conn_check(struct sim_conn *c)
{
	if (!c->end[0] && !c->end[1] && !c->busy)
		conn_free(c);
}

void
sim_stream_free(struct rt_stream *s)
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
		sim_conn_check(c);
	sim_stream_free(s);
}

/* Tells that the stream has ended, and frees it. Only from the loop. */
void
sim_stream_finish(struct rt_stream *s, int error)
{
	struct sim_conn *c = stream_detach(s);

	if (c)
		sim_conn_check(c);
	s->released = true;
	s->busy++;
	if (s->handler && s->handler->closed)
		s->handler->closed(s->arg, error);
	if (--s->busy == 0)
		sim_stream_free(s);
}

static void
stream_closed_event(struct sim_event *ev)
{
	struct rt_stream *s = CONTAINER_OF(ev, struct rt_stream, closed);

	sim_stream_finish(s, s->error);
}

int64_t
sim_conn_latency(const struct sim_conn *c, unsigned int from)
{
	unsigned int side = from == 0 ? c->side : !c->side;

	return c->link ? c->link->latency_us + c->link->impair[side].delay_us : UNIX_US;
}

bool
sim_conn_passes(const struct sim_conn *c, unsigned int from)
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

void
sim_send_reset(struct sim_conn *c, unsigned int from)
{
	struct rt_stream *far = c->end[!from];

	if (!far || !sim_conn_passes(c, from))
		return;
	c->net->stats.resets++;
	stream_fail(far, -ECONNRESET, sim_conn_latency(c, from));
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
		c->pipe[i].ev.fn = sim_pipe_arrive;
		c->pipe[i].there.fn = sim_pipe_there;
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

	sim_pipe_deliver(&s->conn->pipe[!s->side]);
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

	if (!sim_conn_passes(c, 0)) {
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

	if (!sim_conn_passes(c, 0) || !sim_conn_passes(c, 1) || (c->link && c->generation != c->link->generation)) {
		conn_phase(c, CONN_RETRY, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	l = c->is_unix ? sim_find_unix(c->node[1], c->path)
		       : sim_find_listener(c->node[1], c->link->port[!c->side]->ifindex, &c->addr[1], c->port[1]);
	if (!l) {
		c->refusal = -ECONNREFUSED;
		c->net->stats.refused++;
		conn_phase(c, CONN_REFUSED, c->node[0], mono_add(c->net->now, sim_conn_latency(c, 1)));
		return;
	}
	if (!c->is_unix && (!sim_same_cable(l, c) || !sim_same_key(l, c))) {
		conn_phase(c, CONN_RETRY, c->node[0], mono_add(c->net->now, c->backoff));
		c->backoff *= 2;
		return;
	}
	conn_phase(c, CONN_SYNACK, c->node[0], mono_add(c->net->now, sim_conn_latency(c, 1)));
	s = stream_new(c->node[1], c, 1);
	c->busy++;
	s->busy++;
	l->fn(l->arg, s, &c->addr[0], c->port[0]);
	s->busy--;
	if (s->released)
		sim_stream_free(s);
	else if (!s->handler && c->end[1] == s)
		sim_stream_close(s, true);
	c->busy--;
	sim_conn_check(c);
}

static void
synack_arrives(struct sim_conn *c)
{
	struct rt_stream *s = c->end[0];

	if (!sim_conn_passes(c, 1)) {
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
		sim_stream_free(s);
	} else if (c->end[0] == s) {
		if (s->blocked)
			sim_pipe_tell_room(&c->pipe[0]);
		if (c->pipe[1].arrived || c->pipe[1].fin_arrived)
			sim_pipe_deliver(&c->pipe[1]);
	}
	c->busy--;
	sim_conn_check(c);
}

static void
conn_event(struct sim_event *ev)
{
	struct sim_conn *c = CONTAINER_OF(ev, struct sim_conn, ev);

	if (!c->end[0])
		return;
	if (c->phase != CONN_REFUSED && !c->is_unix && mono_sub(c->net->now, c->started) >= c->tcp.connect_us) {
		sim_stream_finish(c->end[0], -ETIMEDOUT);
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
		sim_stream_finish(c->end[0], c->refusal);
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
	c->hop_limit = rt_sent_hop_limit(o);
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
	if (!sim_find_unix(to, path))
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
	sim_pipe_append(p, bytes, n);
	for (left = n; left; left -= piece) {
		piece = MIN_OF(left, c->tcp.segment);
		if (sim_random(c->net) % 4 == 0)
			piece = 1 + sim_random(c->net) % piece;
		sim_pipe_send(p, piece);
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
			sim_send_reset(c, s->side);
		else if (c->end[!s->side])
			sim_pipe_send_fin(&c->pipe[s->side]);
		if (s->side == 0 && c->phase != CONN_OPEN) {
			sim_event_set(c->net, &c->ev, MONO_NEVER);
			c->phase = CONN_OPEN;
		}
		sim_conn_check(c);
	}
	s->released = true;
	if (!s->busy)
		sim_stream_free(s);
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
sim_stream_unpack(
    struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_handler *h, void *arg, struct rt_stream **out)
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
				sim_send_reset(c, s->side);
			else
				sim_pipe_send_fin(&c->pipe[s->side]);
		}
		if (s->side == 0 && c->phase != CONN_OPEN)
			sim_event_set(c->net, &c->ev, MONO_NEVER);
		sim_conn_check(c);
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
			if (sim_pipe_gives_up(p))
				continue;
			sim_pipe_renew(p);
			sim_pipe_schedule(p, mono_add(sim_pipe_next_try(p), sim_conn_latency(c, p->from)));
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
