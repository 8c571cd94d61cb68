/*
 * fabricd/runtime/sim/datagram.c -- UDP over the links of the simulator, one hop
 *
 * A socket bound to a port sends over that port's link; one that is not sends over the port whose far end has the
 * destination. A datagram in flight is an event of the far node, so a stalled node gets it late; it is lost with the
 * carrier, as packets are. Which sockets get it is decided on arrival: same UDP port, port and address fit.
 *
 * Not here: several hops (the hop limit arrives as it was sent), fragments, ICMP errors.
 */
#include <string.h>

#include "fabricd/runtime/sim/impl.h"

#define FIRST_FREE 32768

struct rt_datagrams {
	struct sim_handle h;
	struct rt_datagrams *next; /* of the node */
	uint64_t id;               /* grows: deliveries walk by it, since callbacks may close any */
	struct rt_datagram_options o;
	rt_datagram_fn *fn;
	void *arg;
};

struct flight {
	struct sim_event ev;
	struct sim_net *net;
	struct sim_port *port;       /* where it arrives */
	const struct sim_link *link; /* only compared; NULL: injected */
	uint32_t generation;
	uint16_t dst_port;
	struct rt_datagram d;
	uint8_t bytes[];
};

static bool
wants(const struct rt_datagrams *s, const struct flight *f)
{
	if (s->h.dead || !s->fn || s->o.local_port != f->dst_port || s->o.local.family != f->d.dst.family)
		return false;
	if (s->o.ifindex && s->o.ifindex != f->port->ifindex)
		return false;
	return ip_is_zero(&s->o.local) || ip_equal(&s->o.local, &f->d.dst);
}

static void
flight_drop(struct sim_event *ev)
{
	struct flight *f = CONTAINER_OF(ev, struct flight, ev);

	mem_free(f->net->mem, MEM_RUNTIME, f);
}

static void
arrive(struct sim_event *ev)
{
	struct flight *f = CONTAINER_OF(ev, struct flight, ev);
	const struct sim_link *link = f->port->link;
	uint64_t last = 0;

	if (f->link && (link != f->link || !link->carrier || link->generation != f->generation)) {
		f->net->stats.packets_lost++;
		flight_drop(ev);
		return;
	}
	f->d.at = f->net->now;
	for (;;) {
		struct rt_datagrams *next = NULL;

		for (struct rt_datagrams *s = f->port->node->datagrams; s; s = s->next)
			if (s->id > last && wants(s, f) && (!next || s->id < next->id))
				next = s;
		if (!next)
			break;
		last = next->id;
		next->fn(next->arg, &f->d);
	}
	flight_drop(ev);
}

static struct flight *
flight_new(struct sim_port *to, const struct rt_datagram *d, uint16_t dst_port)
{
	struct sim_net *net = to->node->net;
	struct flight *f = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*f) + d->n);

	f->ev.node = to->node;
	f->ev.fn = arrive;
	f->ev.drop = flight_drop;
	f->net = net;
	f->port = to;
	f->dst_port = dst_port;
	f->d = *d;
	f->d.ifindex = to->ifindex;
	if (d->n)
		memcpy(f->bytes, d->bytes, d->n);
	f->d.bytes = f->bytes;
	net->stats.packets++;
	return f;
}

int
sim_inject_datagram(struct runtime *rt, uint32_t ifindex, const struct rt_datagram *d, uint16_t dst_port)
{
	struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex);

	if (!port)
		return -ENODEV;
	sim_event_set(port->node->net, &flight_new(port, d, dst_port)->ev, port->node->net->now);
	return 0;
}

static bool
port_taken(const struct sim_node *node, const struct rt_datagram_options *o)
{
	for (const struct rt_datagrams *s = node->datagrams; s; s = s->next)
		if (!s->h.dead && s->o.local_port == o->local_port && s->o.local.family == o->local.family &&
		    (!s->o.ifindex || !o->ifindex || s->o.ifindex == o->ifindex) &&
		    (ip_is_zero(&s->o.local) || ip_is_zero(&o->local) || ip_equal(&s->o.local, &o->local)))
			return true;
	return false;
}

static void
datagrams_destroy(struct sim_handle *h)
{
	struct rt_datagrams *s = (struct rt_datagrams *)h, **at;

	for (at = &h->node->datagrams; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	sim_handle_unlink(h);
	mem_free(h->node->net->mem, MEM_RUNTIME, s);
}

int
sim_datagrams_open(
    struct runtime *rt, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	struct sim_node *node = sim_node_of(rt);
	struct rt_datagram_options mine = *o;
	struct sim_port *port = o->ifindex ? sim_port_find(node, o->ifindex) : NULL;
	struct rt_datagrams *s;

	*out = NULL;
	if (o->ifindex && !port)
		return -ENODEV;
	if (port && !ip_is_zero(&o->local) && !sim_port_has(port, &o->local))
		return -EADDRNOTAVAIL;
	for (mine.local_port = o->local_port ? o->local_port : FIRST_FREE; port_taken(node, &mine); mine.local_port++)
		if (o->local_port || mine.local_port == UINT16_MAX)
			return -EADDRINUSE;
	s = sim_handle_new(node, sizeof(*s), datagrams_destroy);
	s->id = ++node->net->packet_ids;
	s->next = node->datagrams;
	node->datagrams = s;
	s->o = mine;
	s->fn = fn;
	s->arg = arg;
	*out = s;
	return 0;
}

/* The port over which a destination is one hop away. */
static struct sim_port *
port_towards(const struct rt_datagrams *s, const struct ip *dst)
{
	struct sim_node *node = s->h.node;

	if (s->o.ifindex)
		return sim_port_find(node, s->o.ifindex);
	for (size_t i = 0; i < node->nports; i++) {
		struct sim_port *far = sim_port_far(node->ports[i]);

		if (far && sim_port_has(far, dst))
			return node->ports[i];
	}
	return NULL;
}

/* The address that it is sent from: the socket's, else the port's first of the family. */
static struct ip
source(const struct rt_datagrams *s, const struct sim_port *port, const struct ip *dst)
{
	if (!ip_is_zero(&s->o.local))
		return s->o.local;
	if (dst->family == FAMILY_IPV6)
		return port->link_local;
	for (size_t i = 0; i < port->naddresses; i++)
		if (port->addresses[i].family == dst->family)
			return port->addresses[i];
	return s->o.local;
}

int
sim_datagram_send(struct rt_datagrams *s, const struct ip *dst, uint16_t dst_port, const uint8_t *bytes, size_t n)
{
	struct sim_port *port = s->h.dead ? NULL : port_towards(s, dst), *to;
	struct rt_datagram d = { .bytes = bytes, .n = n, .dst = *dst };
	struct sim_net *net = s->h.node->net;
	struct sim_link *link;
	int copies = 1;

	if (!port)
		return -ENETUNREACH;
	if (!port->up)
		return -ENETDOWN;
	link = port->link;
	to = sim_port_far(port);
	d.src = source(s, port, dst);
	d.src_port = s->o.local_port;
	d.hop_limit = s->o.hop_limit ? s->o.hop_limit : 64;
	if (!link || !sim_link_passes(link, port->side) || sim_link_too_large(link, port->side, n + 48) ||
	    sim_chance(net, link->impair[port->side].loss_ppm)) {
		net->stats.packets_lost++;
		return 0;
	}
	if (!sim_port_has(to, dst))
		return 0;
	copies += sim_chance(net, link->impair[port->side].duplicate_ppm);
	for (; copies > 0; copies--) {
		struct flight *f = flight_new(to, &d, dst_port);

		f->link = link;
		f->generation = link->generation;
		sim_event_set(net, &f->ev, sim_link_arrival(link, port->side, n));
	}
	return 0;
}

/* What has arrived was given on arrival; of a stalled node nothing runs, so nobody asks. */
void
sim_datagrams_drain(struct rt_datagrams *s UNUSED)
{
}

void
sim_datagrams_close(struct rt_datagrams *s)
{
	datagrams_destroy(&s->h);
}
