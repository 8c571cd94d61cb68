/*
 * fabricd/node_port.c -- the ports of the file: fabric ports with their link engine, external and host ports
 *
 *   port news -> setup when it is new -> packets, listener -> link_port_status() -> neighbour -> node_peer.c
 *   host ports -> node_rack.c
 *
 * A port that vanishes and comes back under another ifindex is set up anew. Ports outside the file are not touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/node_impl.h"

/* ---- link engine: what it asks for ---- */

static void
link_send_nd(void *arg, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	struct node_port *p = arg;

	if (p->nd)
		rt_packet_send(p->nd, dst, bytes, n);
}

static void
link_send_frame(void *arg, const uint8_t *bytes, size_t n)
{
	struct node_port *p = arg;

	if (p->lldp)
		rt_packet_send(p->lldp, NULL, bytes, n);
}

static void
link_neighbor(void *arg, const struct ip *addr, enum link_how how)
{
	struct node_port *p = arg;

	if (!p->peer)
		return;
	if (how != LINK_BY_NONE)
		node_peer_reachable(p->peer, addr);
	else if (!p->present || !p->plat.carrier)
		node_peer_unreachable(p->peer, "port dark");
	else
		node_peer_unheard(p->peer);
}

static void
link_state(void *arg, enum link_state was, enum link_state is)
{
	struct node_port *p = arg;
	char why[64];

	(void)was;
	if (is == LINK_UP || !p->peer)
		return;
	snprintf(why, sizeof(why), "port %s", link_state_name(is));
	node_peer_unreachable(p->peer, why);
}

static void
link_alarm(void *arg, const char *type, const char *text)
{
	struct node_port *p = arg;

	node_event(p->node, "LINK_ALARM", p->name, 0, "%s: %s", type, text);
}

static void
link_lldp(void *arg)
{
	struct node_port *p = arg;
	struct link_view v;

	link_port_view(p->link, &v);
	if (v.match > LINK_MATCH)
		node_event(p->node, "WRONG_CABLE", p->name, 0, "%s", v.mismatch);
}

static uint64_t
link_random(void *arg)
{
	struct node_port *p = arg;

	return rt_random(p->node->rt);
}

static const struct link_ops link_ops = {
	.send_nd = link_send_nd,
	.send_frame = link_send_frame,
	.neighbor = link_neighbor,
	.state = link_state,
	.alarm = link_alarm,
	.lldp = link_lldp,
	.random = link_random,
};

/* After every call into the link engine. */
static void
port_settle(struct node_port *p)
{
	struct mono at = link_port_deadline(p->link);

	if (at.us != p->timer_at.us) {
		p->timer_at = at;
		rt_timer_set(p->timer, at);
	}
	if (p->peer)
		node_peer_settle(p->peer);
}

/* The engine of the session is at work: what its end means to the link engine's choice has time until it is done. */
void
node_port_session_down(struct node_port *p, const struct ip *address)
{
	link_port_session(p->link, address, false, node_now(p->node));
	p->timer_at = node_now(p->node);
	rt_timer_set(p->timer, p->timer_at);
}

static void
port_timer(void *arg)
{
	struct node_port *p = arg;

	p->timer_at = MONO_NEVER;
	link_port_timer(p->link, node_now(p->node));
	port_settle(p);
}

static void
port_nd(void *arg, const struct rt_packet *pkt)
{
	struct node_port *p = arg;

	link_port_nd(p->link, &pkt->src, &pkt->dst, pkt->hop_limit, pkt->bytes, pkt->n, node_now(p->node));
	port_settle(p);
}

static void
port_frame(void *arg, const struct rt_packet *pkt)
{
	struct node_port *p = arg;

	link_port_frame(p->link, pkt->bytes, pkt->n, node_now(p->node));
	port_settle(p);
}

/* ---- life ---- */

static bool
is_fabric(const struct topo_port *t)
{
	return (t->kind == TOPO_UP || t->kind == TOPO_DOWN) && t->far_node != TOPO_NONE;
}

static void
link_init(struct node_port *p)
{
	struct node *n = p->node;
	const struct topo_node *far = &n->topo->nodes[p->topo->far_node];
	struct link_config cfg = { 0 };
	struct link_identity me = {
		.fabric = n->topo->fabric, .node = n->self->name, .serial = n->self->serial, .revision = n->topo->digest
	};
	struct link_expect expect = { .fabric = n->topo->fabric, .node = far->name, .port = p->topo->far_port };

	if (far->foreign)
		expect = (struct link_expect){ 0 }; /* checked by its AS number only */
	p->link = link_port_new(&n->mem, p->name, &cfg, &n->pace, &link_ops, p);
	p->timer = rt_timer_new(n->rt, port_timer, p);
	p->timer_at = MONO_NEVER;
	link_port_identity(p->link, &me, node_now(n));
	link_port_expect(p->link, &expect, node_now(n));
}

static void
externals_init(struct node_port *p)
{
	const struct topo *t = p->node->topo;
	struct node_peer **end = &p->peer;

	for (size_t i = p->topo->external; i < t->nexternals; i++)
		if (t->externals[i].node == p->node->self->index && strcmp(t->externals[i].port, p->name) == 0) {
			*end = node_peer_new(p, &t->externals[i]);
			end = &(*end)->next;
		}
}

int
node_ports_init(struct node *n)
{
	n->ports = mem_zalloc(&n->mem, MEM_LINK, (n->self->nports + 1) * sizeof(*n->ports));
	for (uint32_t i = 0; i < n->self->nports; i++) {
		const struct topo_port *t = &n->self->ports[i];
		struct node_port *p;

		if ((t->kind == TOPO_UP || t->kind == TOPO_DOWN) && !is_fabric(t))
			continue; /* a reserved slot: nothing is wired there */
		p = &n->ports[n->nports++];
		p->node = n;
		p->topo = t;
		p->name = t->name;
		if (is_fabric(t))
			link_init(p);
		if (is_fabric(t))
			p->peer = node_peer_new(p, NULL);
		else if (t->kind == TOPO_EXTERNAL)
			externals_init(p);
	}
	return 0;
}

void
node_port_deaf(struct node_port *p)
{
	rt_packets_close(p->nd);
	rt_packets_close(p->lldp);
	p->nd = p->lldp = NULL;
}

static void
port_close(struct node_port *p)
{
	node_port_deaf(p);
	for (struct node_peer *peer = p->peer; peer; peer = peer->next)
		node_peer_port_gone(peer);
}

void
node_ports_free(struct node *n)
{
	for (size_t i = 0; i < n->nports; i++) {
		struct node_port *p = &n->ports[i];

		port_close(p);
		while (p->peer) {
			struct node_peer *peer = p->peer;

			p->peer = peer->next;
			node_peer_free(peer);
		}
		rt_timer_free(p->timer);
		rt_timer_free(p->damp_timer);
		link_port_free(p->link);
	}
	mem_free(&n->mem, MEM_LINK, n->ports);
	n->nports = 0;
}

/* ---- setup ---- */

static void
port_config(const struct node_port *p, struct plat_port_config *cfg)
{
	const struct node *n = p->node;

	*cfg = (struct plat_port_config){ .up = p->topo->kind != TOPO_HOST || !n->hosts_shut };
	if (p->topo->kind == TOPO_UP || p->topo->kind == TOPO_DOWN) {
		cfg->fabric = true;
		cfg->mtu = n->topo->mtu;
	} else if (p->topo->kind == TOPO_HOST && node_has_bridge(n)) {
		snprintf(cfg->bridge, sizeof(cfg->bridge), "%s", node_tier(n)->bridge_name);
	} else if (p->topo->kind == TOPO_HOST && node_tier(n)->bridge == TOPO_BRIDGE_NONE) {
		cfg->fabric = true; /* a router's port: it learns no addresses, and its own are usable at once */
	}
}

/* Also when the port comes up again: the kernel forgets IPv6 addresses when it is taken down. */
static int
set_addresses(struct node_port *p)
{
	struct platform *plat = p->node->platform;
	struct prefix net;
	struct ip gateway;
	int e = 0;

	for (const struct node_peer *peer = p->peer; peer && e == 0; peer = peer->next)
		if (peer->external)
			e = plat->ops->address_set(plat, p->name, &peer->external->local, peer->external->len, true);
	for (unsigned int f = 0; f < FAMILIES && e == 0; f++)
		if (topo_host_network(p->node->topo, p->node->self, p->topo, f, &net)) {
			gateway = node_rack_gateway(&net);
			e = plat->ops->address_set(plat, p->name, &gateway, net.len, true);
		}
	return e;
}

void
node_port_setup(struct node_port *p)
{
	struct node *n = p->node;
	struct plat_port_config cfg;

	port_config(p, &cfg);
	p->setup_error = n->platform->ops->port_setup(n->platform, p->name, &cfg);
	if (p->setup_error == 0)
		p->setup_error = set_addresses(p);
	if (p->setup_error && p->setup_error != -ENODEV)
		node_event(n, "PLATFORM", p->name, 0, "the port cannot be set up: %s", strerror(-p->setup_error));
}

void
node_ports_setup(struct node *n)
{
	node_rack_init(n);
	for (size_t i = 0; i < n->nports; i++) {
		node_port_setup(&n->ports[i]);
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			node_peer_start(peer);
	}
	node_rack_update(n);
}

/* ---- news of the platform ---- */

static void
port_open(struct node_port *p)
{
	struct node *n = p->node;
	int e;

	if (p->link) {
		e = rt_nd_open(n->rt, p->plat.ifindex, port_nd, p, &p->nd);
		if (e)
			node_event(n, "ND_FAILED", p->name, 0,
			    "no neighbour discovery: %s; fabricd needs the capability CAP_NET_RAW", strerror(-e));
		e = rt_frames_open(n->rt, p->plat.ifindex, LLDP_ETHERTYPE, lldp_group, port_frame, p, &p->lldp);
		if (e)
			node_event(n, "LLDP_FAILED", p->name, 0,
			    "no LLDP: %s; fabricd needs the capability CAP_NET_RAW", strerror(-e));
	}
	for (struct node_peer *peer = p->peer; peer; peer = peer->next)
		node_peer_listen(peer);
}

static void
port_carrier_event(struct node_port *p, bool was, bool is)
{
	const struct topo_node *far = p->peer ? p->peer->far : NULL;

	if (was == is)
		return;
	p->carrier_event = node_event(p->node, is ? "LINK_UP" : "LINK_DOWN", p->name, 0, "%s%s%s%s%s",
	    far ? far->name : "", far ? ":" : "", far ? p->topo->far_port : "", far ? " " : "",
	    is             ? "carrier"
	    : p->plat.gone ? "port gone"
			   : "carrier lost");
	if (!was)
		return;
	if (p->peer)
		node_restart_hurry(p->node);
	node_damp_flap(p, p->carrier_event);
}

static void
fabric_port_news(struct node_port *p)
{
	struct link_status s = { .present = p->present,
		.admin_up = p->plat.admin_up,
		.carrier = p->plat.carrier,
		.ifindex = p->plat.ifindex,
		.mtu = p->plat.mtu,
		.link_local = p->plat.link_local };

	memcpy(s.mac, p->plat.mac, sizeof(s.mac));
	link_port_status(p->link, &s, node_now(p->node));
	if (p->peer)
		node_bfd_again(p->peer);
	port_settle(p);
}

static void
external_port_news(struct node_port *p, bool carrier_was)
{
	bool up = p->present && p->plat.carrier;

	if (up && !carrier_was)
		p->setup_error = set_addresses(p);
	for (struct node_peer *peer = p->peer; peer; peer = peer->next) {
		if (up)
			node_peer_reachable(peer, &peer->external->peer);
		else
			node_peer_unreachable(peer, p->present ? "port no-carrier" : "port missing");
		node_peer_settle(peer);
	}
}

static void
host_port_news(struct node_port *p, bool carrier_was)
{
	if (p->present && p->plat.carrier && !carrier_was)
		p->setup_error = set_addresses(p);
	node_rack_update(p->node);
}

void
node_port_news(struct node *n, const struct plat_port *news)
{
	struct node_port *p = node_port_find(n, news->name);
	bool carrier_was;

	if (!p) {
		node_rack_news(n, news);
		return;
	}
	carrier_was = p->present && p->plat.carrier;
	n->disturbed += n->frozen &&
			(news->gone || news->carrier != p->plat.carrier || !p->present ||
			    news->ifindex != p->plat.ifindex || !ip_equal(&news->link_local, &p->plat.link_local));
	if (carrier_was && !news->carrier && news->ifindex == p->plat.ifindex)
		for (struct node_peer *peer = p->peer; peer; peer = peer->next)
			node_peer_unplug(
			    peer); /* the neighbours hear of it before it is noted, and the session ended */
	if (p->present && (news->gone || news->ifindex != p->plat.ifindex)) {
		if (news->gone && news->ifindex != p->plat.ifindex)
			return; /* the one before has gone; ours is newer */
		port_close(p);
		p->present = false;
	}
	if (!news->gone && !p->present) {
		p->present = true;
		p->plat = *news;
		node_port_setup(p);
		port_open(p);
	}
	p->plat = *news;
	port_carrier_event(p, carrier_was, p->present && p->plat.carrier);
	if (p->link)
		fabric_port_news(p);
	else if (p->peer)
		external_port_news(p, carrier_was);
	else
		host_port_news(p, carrier_was);
}
