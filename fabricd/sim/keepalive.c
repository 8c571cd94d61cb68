/*
 * fabricd/sim/keepalive.c -- no keepalive comes later than a slice of work may hold it up; see check.h
 *
 *   tap: segment of BGP from a port --> when the one before it came --> too long ago, and nothing was in its way?
 *
 * A switch sends something at least each third of the hold time, once the session is Established. What may hold that up is a slice of work of its own,
 * and one of who reads it. A stall of either, and a fault of the link between them, is another matter.
 */
#include "fabricd/sim/check_impl.h"

#define BGP_PORT 179
#define SLICE_US MS(2) /* architecture: the longest slice of work */

static bool
was_stalled(const struct runtime *rt, struct mono since)
{
	return sim_node_stalled(rt).us > since.us;
}

static bool
was_touched(const struct check *c, uint32_t link, struct mono since)
{
	return c->touched[link].us >= since.us || c->unsafe[link].us >= since.us;
}

static bool
is_established(const struct world_node *wn, const struct topo_port *port)
{
	const struct node_port *p = wn->node ? node_port_find(wn->node, port->name) : NULL;

	return p && p->peer && p->peer->established;
}

static void
on_segment(void *arg, const struct sim_segment *s)
{
	struct check *c = arg;
	const struct world_node *from = sim_node_owner(s->from), *to = sim_node_owner(s->to);
	const struct topo_port *p;
	struct check_heard *heard, was;
	int64_t late;

	if (c->tap)
		c->tap(c->tap_arg, s);
	if (s->port != BGP_PORT || from->file != c->t || to->file != c->t || s->from_ifindex > from->topo->nports)
		return;
	p = &from->topo->ports[s->from_ifindex - 1];
	if (p->link == TOPO_NONE || s->from_ifindex > c->width)
		return;
	heard = &c->heard[from->topo->index * c->width + s->from_ifindex - 1];
	was = *heard;
	*heard = (struct check_heard){ check_now(c), s->conn, is_established(from, p) };
	late = mono_sub(check_now(c), was.at) - c->t->timers.hold_us / 3;
	if (was.conn != s->conn || !was.established || late <= 2 * SLICE_US + 4 * world_config(c->w)->cpu_us ||
	    was_stalled(s->from, was.at) || was_stalled(s->to, was.at) || was_touched(c, p->link, was.at))
		return;
	check_fail(c, CHECK_LATE, "%s said nothing on %s for %lld us, %lld us longer than a third of the hold time",
	    from->topo->name, p->name, (long long)mono_sub(check_now(c), was.at), (long long)late);
}

void
check_heard_init(struct check *c)
{
	c->width = c->words * 64;
	c->heard = mem_zalloc(NULL, MEM_OTHER, (c->n * c->width + 1) * sizeof(*c->heard));
	c->touched = mem_zalloc(NULL, MEM_OTHER, (c->t->nlinks + 1) * sizeof(*c->touched));
	sim_stream_tap(world_net(c->w), on_segment, c);
}

void
check_heard_done(struct check *c)
{
	sim_stream_tap(world_net(c->w), NULL, NULL);
	mem_free(NULL, MEM_OTHER, c->heard);
	mem_free(NULL, MEM_OTHER, c->touched);
}

void
check_tap(struct check *c, sim_tap_fn *fn, void *arg)
{
	c->tap = fn;
	c->tap_arg = arg;
}
