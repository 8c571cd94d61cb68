/*
 * fabricd/runtime/sim/wire.c -- ports, links, and the packets on them
 *
 *   rt_packet_send -> link: carrier? black? lost? twice? -> event at the far port -> sockets of that port
 *
 * The carrier of a link is worked out in one place, link_refresh(), from what it depends on: the link, the admin state
 * of both ports, the power of both nodes. When it goes, the generation grows, and whatever was on its way is lost.
 *
 * A packet in flight is an event of the far node, so that a stalled node gets it late. Which sockets get it is decided
 * on arrival. ICMPv6 checksums are filled in here, as a kernel does.
 */
#include <string.h>

#include "fabricd/lib/inet_sum.h"
#include "fabricd/runtime/sim/impl.h"

struct packet {
	struct sim_event ev;
	struct sim_net *net;
	struct sim_port *port; /* where it arrives */
	struct sim_link *link; /* NULL: injected */
	uint32_t generation;
	bool nd;
	struct rt_packet p;
	uint8_t bytes[];
};

/* ---- ports ---- */

static size_t
port_place(const struct sim_node *node, uint32_t ifindex)
{
	size_t lo = 0, hi = node->nports;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (node->ports[mid]->ifindex < ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct sim_port *
sim_port_find(const struct sim_node *node, uint32_t ifindex)
{
	size_t i = port_place(node, ifindex);

	return i < node->nports && node->ports[i]->ifindex == ifindex ? node->ports[i] : NULL;
}

struct sim_port *
sim_port_far(const struct sim_port *port)
{
	return port->link ? port->link->port[!port->side] : NULL;
}

bool
sim_port_has(const struct sim_port *port, const struct ip *a)
{
	if (ip_equal(&port->link_local, a))
		return true;
	for (size_t i = 0; i < port->naddresses; i++)
		if (ip_equal(&port->addresses[i], a))
			return true;
	return false;
}

/* fe80:: with the modified EUI-64 (RFC 4291 appendix A) */
static struct ip
eui64(const uint8_t mac[6])
{
	const uint8_t b[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4],
		mac[5] };

	return ip_v6(b);
}

static bool
port_carrier(const struct sim_port *port)
{
	return port->link && port->link->carrier;
}

/* The watcher is told what the carrier is now, once it differs from what it was told last. */
static void
carrier_tell(struct sim_event *ev)
{
	struct sim_port *port = CONTAINER_OF(ev, struct sim_port, carrier);
	struct sim_net *net = port->node->net;
	bool up = port_carrier(port);

	if (up == port->told)
		return;
	port->told = up;
	if (net->carrier_fn)
		net->carrier_fn(net->carrier_arg, &port->node->rt, port->ifindex, up);
}

static void
carrier_changed(struct sim_port *port)
{
	struct sim_net *net = port->node->net;

	sim_event_set(net, &port->carrier, mono_add(net->now, net->carrier_us));
}

static void
link_refresh(struct sim_link *link)
{
	bool up = !link->cut;

	for (int i = 0; i < 2; i++)
		up = up && link->port[i]->up && !link->port[i]->node->dark;
	if (up == link->carrier)
		return;
	link->carrier = up;
	carrier_changed(link->port[0]);
	carrier_changed(link->port[1]);
	if (up)
		sim_streams_resume(link);
	else
		link->generation++;
}

void
sim_wire_power(struct sim_node *node)
{
	for (size_t i = 0; i < node->nports; i++)
		if (node->ports[i]->link)
			link_refresh(node->ports[i]->link);
}

int
sim_port_add(struct runtime *rt, uint32_t ifindex, const char *name, const uint8_t mac[6], const struct ip *link_local)
{
	struct sim_node *node = sim_node_of(rt);
	struct sim_net *net = node->net;
	size_t i = port_place(node, ifindex);
	struct sim_port *port;

	if (i < node->nports && node->ports[i]->ifindex == ifindex)
		return -EEXIST;
	port = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*port));
	port->node = node;
	port->name = mem_strdup(net->mem, MEM_RUNTIME, name);
	port->ifindex = ifindex;
	memcpy(port->mac, mac, 6);
	port->link_local = link_local ? *link_local : eui64(mac);
	port->up = true;
	port->carrier.fn = carrier_tell;
	node->ports = mem_grow(
	    net->mem, MEM_RUNTIME, node->ports, &node->cap_ports, node->nports + 1, sizeof(node->ports[0]));
	memmove(&node->ports[i + 1], &node->ports[i], (node->nports - i) * sizeof(node->ports[0]));
	node->ports[i] = port;
	node->nports++;
	return 0;
}

int
sim_port_address(struct runtime *rt, uint32_t ifindex, const struct ip *a)
{
	struct sim_node *node = sim_node_of(rt);
	struct sim_port *port = sim_port_find(node, ifindex);

	if (!port)
		return -ENODEV;
	port->addresses = mem_grow(
	    node->net->mem, MEM_RUNTIME, port->addresses, &port->cap, port->naddresses + 1, sizeof(port->addresses[0]));
	port->addresses[port->naddresses++] = *a;
	return 0;
}

int
sim_port_set(struct runtime *rt, uint32_t ifindex, bool up)
{
	struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex);

	if (!port)
		return -ENODEV;
	port->up = up;
	if (port->link)
		link_refresh(port->link);
	return 0;
}

int
sim_port_get(const struct runtime *rt, uint32_t ifindex, struct sim_port_view *out)
{
	const struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex), *far;

	if (!port)
		return -ENODEV;
	*out = (struct sim_port_view){ .name = port->name,
		.ifindex = ifindex,
		.link_local = port->link_local,
		.up = port->up,
		.carrier = port_carrier(port),
		.passes = port->link && sim_link_passes(port->link, port->side) };
	memcpy(out->mac, port->mac, 6);
	far = sim_port_far(port);
	if (far) {
		out->far_node = &far->node->rt;
		out->far_ifindex = far->ifindex;
	}
	return 0;
}

/* ---- links ---- */

int
sim_link_connect(struct runtime *a, uint32_t ifindex_a, struct runtime *b, uint32_t ifindex_b, int64_t latency_us)
{
	struct sim_port *pa = sim_port_find(sim_node_of(a), ifindex_a), *pb = sim_port_find(sim_node_of(b), ifindex_b);
	struct sim_net *net = sim_node_of(a)->net;
	struct sim_link *link;

	if (!pa || !pb)
		return -ENODEV;
	if (pa->link || pb->link || pa == pb)
		return -EBUSY;
	link = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*link));
	link->net = net;
	link->port[0] = pa;
	link->port[1] = pb;
	link->latency_us = latency_us;
	link->next = net->links;
	if (link->next)
		link->next->prev = link;
	net->links = link;
	net->stats.links++;
	pa->link = pb->link = link;
	pa->side = 0;
	pb->side = 1;
	link_refresh(link);
	return 0;
}

static void
link_free(struct sim_link *link)
{
	struct sim_net *net = link->net;

	if (link->next)
		link->next->prev = link->prev;
	if (link->prev)
		link->prev->next = link->next;
	else
		net->links = link->next;
	net->stats.links--;
	mem_free(net->mem, MEM_RUNTIME, link);
}

static void packet_arrive(struct sim_event *);

int
sim_link_disconnect(struct runtime *rt, uint32_t ifindex)
{
	struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex);
	struct sim_link *link = port ? port->link : NULL;
	struct sim_net *net = sim_node_of(rt)->net;

	if (!link)
		return -ENODEV;
	link->cut = true;
	link_refresh(link);
	sim_streams_deafen(link);
	for (size_t i = 1; i <= net->queue.n; i++) { /* packets in flight must not look at it any more */
		struct packet *p = CONTAINER_OF(net->queue.items[i], struct packet, ev.due);

		if (p->ev.fn == packet_arrive && p->link == link)
			p->port = NULL;
	}
	for (int i = 0; i < 2; i++)
		link->port[i]->link = NULL;
	link_free(link);
	return 0;
}

static struct sim_link *
link_of(const struct runtime *rt, uint32_t ifindex, unsigned int *side)
{
	struct sim_port *port = sim_port_find(sim_node_of(rt), ifindex);

	if (!port || !port->link)
		return NULL;
	*side = port->side;
	return port->link;
}

int
sim_link_set(struct runtime *rt, uint32_t ifindex, bool up)
{
	unsigned int side;
	struct sim_link *link = link_of(rt, ifindex, &side);

	if (!link)
		return -ENODEV;
	link->cut = !up;
	link_refresh(link);
	return 0;
}

int
sim_link_bandwidth(struct runtime *rt, uint32_t ifindex, uint64_t bps)
{
	unsigned int side;
	struct sim_link *link = link_of(rt, ifindex, &side);

	if (!link)
		return -ENODEV;
	link->bps = bps;
	return 0;
}

int
sim_link_impair(struct runtime *rt, uint32_t ifindex, const struct sim_impair *impair)
{
	unsigned int side;
	struct sim_link *link = link_of(rt, ifindex, &side);

	if (!link)
		return -ENODEV;
	link->impair[side] = *impair;
	return 0;
}

void
sim_carrier_watch(struct sim_net *net, sim_carrier_fn *fn, void *arg, int64_t delay_us)
{
	net->carrier_fn = fn;
	net->carrier_arg = arg;
	net->carrier_us = delay_us;
}

bool
sim_link_passes(const struct sim_link *link, unsigned int from)
{
	return link->carrier && !link->impair[from].black;
}

bool
sim_link_too_large(const struct sim_link *link, unsigned int from, size_t n)
{
	return link->impair[from].mtu && n > link->impair[from].mtu;
}

struct mono
sim_link_arrival(struct sim_link *link, unsigned int from, size_t n)
{
	struct sim_net *net = link->net;
	const struct sim_impair *im = &link->impair[from];
	struct mono at = net->now;

	if (link->bps) {
		at.us = MAX_OF(at.us, link->busy[from].us) + (int64_t)((uint64_t)n * 8000000 / link->bps);
		link->busy[from] = at;
	}
	at.us += link->latency_us + im->delay_us;
	if (im->jitter_us > 0)
		at.us += (int64_t)(sim_random(net) % ((uint64_t)im->jitter_us + 1));
	return at;
}

/* ---- packets ---- */

static bool
socket_wants(const struct rt_packets *s, const struct packet *p)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const uint8_t *b = p->bytes;

	if (s->h.dead || s->nd != p->nd)
		return false;
	if (p->nd)
		return true;
	return get_u16(b + 12) == s->ethertype &&
	       (memcmp(b, s->group, 6) == 0 || memcmp(b, s->port->mac, 6) == 0 || memcmp(b, all, 6) == 0);
}

static void
packet_drop(struct sim_event *ev)
{
	struct packet *p = CONTAINER_OF(ev, struct packet, ev);

	mem_free(p->net->mem, MEM_RUNTIME, p);
}

/* Sockets are walked by their growing id: any of them may be closed, and new ones opened, by a callback. */
static void
packet_arrive(struct sim_event *ev)
{
	struct packet *p = CONTAINER_OF(ev, struct packet, ev);
	uint64_t last = 0;

	if (!p->port || (p->link && (!p->link->carrier || p->link->generation != p->generation))) {
		p->net->stats.packets_lost++;
		packet_drop(ev);
		return;
	}
	for (;;) {
		struct rt_packets *next = NULL;

		for (struct rt_packets *s = p->port->packets; s; s = s->next)
			if (s->id > last && socket_wants(s, p) && (!next || s->id < next->id))
				next = s;
		if (!next)
			break;
		last = next->id;
		next->fn(next->arg, &p->p);
	}
	packet_drop(ev);
}

static struct packet *
packet_new(struct sim_port *to, bool nd, const struct rt_packet *from)
{
	struct sim_net *net = to->node->net;
	struct packet *p = mem_zalloc(net->mem, MEM_RUNTIME, sizeof(*p) + from->n);

	p->ev.node = to->node;
	p->ev.fn = packet_arrive;
	p->ev.drop = packet_drop;
	p->net = net;
	p->port = to;
	p->nd = nd;
	p->p = *from;
	memcpy(p->bytes, from->bytes, from->n);
	p->p.bytes = p->bytes;
	net->stats.packets++;
	return p;
}

/* From a port over its link; the far end's address filter is applied here, what is lost is lost here. */
static void
transmit(struct sim_port *from, bool nd, const struct rt_packet *packet)
{
	struct sim_net *net = from->node->net;
	struct sim_link *link = from->link;
	struct sim_port *to = sim_port_far(from);
	int copies = 1;

	if (!link || !sim_link_passes(link, from->side) ||
	    sim_link_too_large(link, from->side, nd ? packet->n + 40 : packet->n - MIN_OF(packet->n, (size_t)14)) ||
	    sim_chance(net, link->impair[from->side].loss_ppm)) {
		net->stats.packets_lost++;
		return;
	}
	if (nd && !ip_is_multicast(&packet->dst) && !sim_port_has(to, &packet->dst))
		return;
	copies += sim_chance(net, link->impair[from->side].duplicate_ppm);
	for (; copies > 0; copies--) {
		struct packet *p = packet_new(to, nd, packet);

		p->link = link;
		p->generation = link->generation;
		sim_event_set(net, &p->ev, sim_link_arrival(link, from->side, packet->n));
	}
}

static void
packets_destroy(struct sim_handle *h)
{
	struct rt_packets *s = (struct rt_packets *)h, **at;

	for (at = &s->port->packets; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	sim_handle_unlink(h);
	mem_free(h->node->net->mem, MEM_RUNTIME, s);
}

static int
packets_open(struct runtime *rt, uint32_t ifindex, rt_packet_fn *fn, void *arg, struct rt_packets **out)
{
	struct sim_node *node = sim_node_of(rt);
	struct sim_port *port = sim_port_find(node, ifindex);
	struct rt_packets *s;

	*out = NULL;
	if (!port)
		return -ENODEV;
	s = sim_handle_new(node, sizeof(*s), packets_destroy);
	s->port = port;
	s->id = ++node->net->packet_ids;
	s->next = port->packets;
	port->packets = s;
	s->fn = fn;
	s->arg = arg;
	*out = s;
	return 0;
}

int
sim_nd_open(struct runtime *rt, uint32_t ifindex, rt_packet_fn *fn, void *arg, struct rt_packets **out)
{
	int err = packets_open(rt, ifindex, fn, arg, out);

	if (!err)
		(*out)->nd = true;
	return err;
}

int
sim_frames_open(struct runtime *rt, uint32_t ifindex, uint16_t ethertype, const uint8_t group[6], rt_packet_fn *fn,
    void *arg, struct rt_packets **out)
{
	int err = packets_open(rt, ifindex, fn, arg, out);

	if (err)
		return err;
	(*out)->ethertype = ethertype;
	memcpy((*out)->group, group, 6);
	return 0;
}

int
sim_packet_send(struct rt_packets *s, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct sim_port *port = s->port;
	struct rt_packet packet = { .bytes = bytes, .n = n };
	uint8_t copy[1500];

	if (s->h.dead || !port->up)
		return -ENETDOWN;
	if (!s->nd) {
		if (n < 14)
			return -EINVAL;
		memcpy(packet.src_mac, bytes + 6, 6);
		transmit(port, false, &packet);
		return 0;
	}
	if (n < 4)
		return -EINVAL;
	if (n > sizeof(copy))
		return -EMSGSIZE;
	packet.hop_limit = 255;
	packet.src = port->link_local;
	packet.dst = *dst;
	memcpy(copy, bytes, n);
	put_u16(copy + 2, 0);
	put_u16(copy + 2, icmp6_sum(&packet.src, dst, copy, n));
	packet.bytes = copy;
	transmit(port, true, &packet);
	return 0;
}

void
sim_packets_close(struct rt_packets *s)
{
	packets_destroy(&s->h);
}

void
sim_wire_free(struct sim_net *net)
{
	while (net->links)
		link_free(net->links);
	for (struct sim_node *node = net->nodes; node; node = node->next) {
		for (size_t i = 0; i < node->nports; i++) {
			mem_free(net->mem, MEM_RUNTIME, node->ports[i]->name);
			mem_free(net->mem, MEM_RUNTIME, node->ports[i]->addresses);
			mem_free(net->mem, MEM_RUNTIME, node->ports[i]);
		}
		mem_free(net->mem, MEM_RUNTIME, node->ports);
	}
}
