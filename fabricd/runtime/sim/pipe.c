/*
 * fabricd/runtime/sim/pipe.c -- the bytes between two streams: on their way, lost, sent again, there, used up
 *
 *   append --> buf: [ arrived | in segments on their way ] --arrive--> deliver to the far stream --consume--> room is told
 *
 * What it does for TCP stands in stream.c.
 */
#include <string.h>

#include "fabricd/runtime/sim/stream_impl.h"

#define RTO_US     MS(200)
#define RTO_MAX_US SECONDS(120)

void
sim_pipe_free(struct sim_conn *c, struct pipe *p)
{
	sim_event_set(c->net, &p->ev, MONO_NEVER);
	sim_event_set(c->net, &p->there, MONO_NEVER);
	mem_free(c->net->mem, MEM_RUNTIME, p->buf);
	mem_free(c->net->mem, MEM_RUNTIME, p->segs);
}

void
sim_pipe_schedule(struct pipe *p, struct mono at)
{
	sim_event_set(p->conn->net, &p->ev, at);
}

/* The writer may go on when a quarter of the window is free. */
void
sim_pipe_tell_room(struct pipe *p)
{
	struct sim_conn *c = p->conn;
	struct rt_stream *writer = c->end[p->from];

	if (!writer || !writer->blocked || writer->connecting || writer->writable.due.pos)
		return;
	if ((c->tcp.window - MIN_OF(p->len, c->tcp.window)) * 4 >= c->tcp.window)
		sim_event_set(c->net, &writer->writable, mono_add(c->net->now, sim_conn_latency(c, !p->from)));
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
	sim_pipe_tell_room(p);
}

void
sim_pipe_append(struct pipe *p, const uint8_t *bytes, size_t n)
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
void
sim_pipe_send(struct pipe *p, size_t n)
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
		sim_pipe_schedule(p, seg.at);
}

void
sim_pipe_send_fin(struct pipe *p)
{
	if (p->fin_sent)
		return;
	p->fin_sent = true;
	sim_pipe_send(p, 0);
}

/* All that is on its way will be sent again. */
void
sim_pipe_renew(struct pipe *p)
{
	if (p->conn->link)
		for (size_t i = p->seg_first; i < p->seg_end; i++)
			p->segs[i].generation = p->conn->link->generation;
}

/* When TCP's next repetition falls at or after the present moment. */
struct mono
sim_pipe_next_try(struct pipe *p)
{
	struct mono at = mono_add(p->lost_since, RTO_US);

	for (p->rto = RTO_US; at.us < p->conn->net->now.us;) {
		p->rto = MIN_OF(p->rto * 2, RTO_MAX_US);
		at = mono_add(at, p->rto);
	}
	return at;
}

bool
sim_pipe_gives_up(struct pipe *p)
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
	if (sim_pipe_gives_up(p))
		return;
	if (!c->link) {
		p->deaf = true;
		return;
	}
	if (!c->link->carrier) {
		p->waits_carrier = true;
		return;
	}
	sim_pipe_renew(p);
	sim_pipe_schedule(p, mono_add(mono_add(sim_pipe_next_try(p), 1), sim_conn_latency(c, p->from)));
}

/* However often it is repeated: TCP cuts no segment in smaller ones for a path that tells nobody what it cannot carry. */
static bool
too_large(const struct pipe *p, const struct segment *seg)
{
	const struct sim_conn *c = p->conn;

	return c->link && sim_link_too_large(c->link, p->from == 0 ? c->side : !c->side, seg->n + 60);
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
		sim_stream_free(s);
}

/* Gives the reader what is there, then the end. */
void
sim_pipe_deliver(struct pipe *p)
{
	struct sim_conn *c = p->conn;
	struct rt_stream *s = c->end[!p->from];

	if (!s || s->connecting || s->paused || !s->handler || p->lent)
		return;
	c->busy++;
	if (p->arrived)
		hand_over(c, s, p);
	if (p->fin_arrived && c->end[!p->from] && !c->end[!p->from]->paused)
		sim_stream_finish(c->end[!p->from], 0);
	c->busy--;
	sim_conn_check(c);
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

void
sim_pipe_there(struct sim_event *ev)
{
	sim_pipe_deliver(CONTAINER_OF(ev, struct pipe, there));
}

/* At once, or when the reader's process runs: its kernel has taken the bytes anyhow, and a cut takes none of them away. */
static void
pipe_give(struct pipe *p)
{
	struct sim_conn *c = p->conn;
	struct sim_node *reader = c->node[!p->from];

	if (reader->stalled.us <= c->net->now.us && !reader->callback_us) {
		sim_pipe_deliver(p);
	} else if (!p->there.due.pos) {
		p->there.node = reader;
		sim_event_set(c->net, &p->there, c->net->now);
	}
}

void
sim_pipe_arrive(struct sim_event *ev)
{
	struct pipe *p = CONTAINER_OF(ev, struct pipe, ev);
	struct sim_conn *c = p->conn;
	struct segment seg = p->segs[p->seg_first];

	if (!sim_conn_passes(c, p->from) || (c->link && seg.generation != c->link->generation) || too_large(p, &seg)) {
		pipe_lose(p);
		return;
	}
	p->lost_since = MONO_NEVER;
	p->seg_first++;
	if (p->seg_first == p->seg_end)
		p->seg_first = p->seg_end = 0;
	else
		sim_pipe_schedule(p, p->segs[p->seg_first].at);
	if (seg.n && c->link && c->net->tap_fn)
		pipe_tap(p, seg.n);
	if (seg.n)
		p->arrived += seg.n;
	else
		p->fin_arrived = true;
	if (c->end[!p->from]) {
		pipe_give(p);
	} else if (c->crashed[!p->from]) {
		sim_send_reset(c, !p->from);
	} else { /* closed in order: the far kernel reads on and throws away */
		pipe_consume(p, p->arrived);
	}
}
