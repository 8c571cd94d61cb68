/*
 * fabricd/node_rack.c -- the hosts' side of a leaf: their bridge, its gateway, its advertisements, their prefixes
 *
 *   host ports -> bridge (rack0) with the gateway addresses -> router advertisements
 *              or routed (`bridge: none`): each with a network of its own out of the rack, see topo_host_network();
 *                 the hosts' addresses are given by hand there, so nothing is advertised to them
 *   carrier of any host port -> the rack prefixes are announced, or withdrawn
 *   no way up left -> the host ports are kept or shut, as the file says (on_isolated)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/node_impl.h"

struct ip
node_rack_gateway(const struct prefix *rack)
{
	struct prefix first;

	/* A rack of one address has no room for a gateway beside the host. */
	return prefix_sub(rack, family_bits(rack->family), 1, &first) ? prefix_addr(&first) : prefix_addr(rack);
}

const struct topo_tier *
node_tier(const struct node *n)
{
	return &n->topo->tiers[n->self->tier];
}

bool
node_has_bridge(const struct node *n)
{
	return (n->self->has_rack[FAMILY_IPV4] || n->self->has_rack[FAMILY_IPV6]) &&
	       node_tier(n)->bridge != TOPO_BRIDGE_NONE;
}

/* ---- advertisements ---- */

static void
send_ra(void *arg, const struct ip *dst, const uint8_t *bytes, size_t len)
{
	struct node *n = arg;

	if (n->rack.nd)
		rt_packet_send(n->rack.nd, dst, bytes, len);
}

static uint64_t
draw(void *arg)
{
	struct node *n = arg;

	return rt_random(n->rt);
}

static const struct advertiser_ops advertiser_ops = { .send = send_ra, .random = draw };

static void
settle(struct node *n)
{
	rt_timer_set(n->rack.timer, advertiser_deadline(n->rack.advertiser));
}

static void
on_timer(void *arg)
{
	struct node *n = arg;

	advertiser_timer(n->rack.advertiser, node_now(n));
	settle(n);
}

static void
on_nd(void *arg, const struct rt_packet *p)
{
	struct node *n = arg;

	advertiser_nd(n->rack.advertiser, &p->src, &p->dst, p->hop_limit, p->bytes, p->n, node_now(n));
	settle(n);
}

static void
advertise(struct node *n, const struct plat_port *news)
{
	int e;

	if (!news->carrier || news->gone || ip_is_zero(&news->link_local)) {
		advertiser_down(n->rack.advertiser);
		settle(n);
		return;
	}
	if (!n->rack.nd) {
		e = rt_nd_open(n->rt, news->ifindex, on_nd, n, &n->rack.nd);
		if (e)
			node_event(n, "ND_FAILED", news->name, 0,
			    "no router advertisements to hosts: %s; fabricd needs the capability CAP_NET_RAW",
			    strerror(-e));
	}
	advertiser_up(n->rack.advertiser, news->mac, news->mtu, node_now(n));
	settle(n);
}

/* News of ports that the file does not name: the bridge is one of them. */
void
node_rack_news(struct node *n, const struct plat_port *news)
{
	if (!n->rack.advertiser || strcmp(news->name, node_tier(n)->bridge_name) != 0)
		return;
	if (n->rack.nd && (news->gone || news->ifindex != n->rack.ifindex)) {
		rt_packets_close(n->rack.nd);
		n->rack.nd = NULL;
	}
	n->rack.ifindex = news->ifindex;
	advertise(n, news);
}

/* ---- the bridge ---- */

static void
set_gateways(struct node *n)
{
	for (int f = 0; f < FAMILIES; f++) {
		struct ip gateway;
		int e;

		if (!n->self->has_rack[f])
			continue;
		gateway = node_rack_gateway(&n->self->rack[f]);
		e = n->platform->ops->address_set(
		    n->platform, node_tier(n)->bridge_name, &gateway, n->self->rack[f].len, true);
		if (e)
			node_event(n, "PLATFORM", node_tier(n)->bridge_name, 0, "the gateway address cannot be set: %s",
			    strerror(-e));
	}
}

void
node_rack_init(struct node *n)
{
	const struct topo_tier *tier = node_tier(n);
	struct advertiser_config cfg = { 0 };
	int e;

	if (!node_has_bridge(n))
		return;
	e = n->platform->ops->bridge_setup(n->platform, tier->bridge_name, tier->bridge == TOPO_BRIDGE_OWN);
	if (e) {
		node_event(n, "PLATFORM", tier->bridge_name, 0, "the bridge of the host ports cannot be had: %s",
		    strerror(-e));
		return;
	}
	set_gateways(n);
	if (!n->self->has_rack[FAMILY_IPV6])
		return;
	cfg.prefix = n->self->rack[FAMILY_IPV6];
	n->rack.advertiser = advertiser_new(&n->mem, &cfg, &advertiser_ops, n);
	n->rack.timer = rt_timer_new(n->rt, on_timer, n);
}

void
node_rack_free(struct node *n)
{
	rt_packets_close(n->rack.nd);
	rt_timer_free(n->rack.timer);
	advertiser_free(n->rack.advertiser);
}

/* ---- the prefixes ---- */

/* The rack is announced while a host port has carrier, or always if the file says so. */
void
node_rack_update(struct node *n)
{
	bool active = node_tier(n)->rack_always;

	if (n->held) /* the ports are not known yet */
		return;
	for (size_t i = 0; i < n->nports && !active; i++)
		active = n->ports[i].topo->kind == TOPO_HOST && n->ports[i].present && n->ports[i].plat.carrier;
	if (active == n->rack_active)
		return;
	n->rack_active = active;
	for (int f = 0; f < FAMILIES; f++)
		if (n->self->has_rack[f])
			node_announce_own(n, &n->self->rack[f], active);
	node_event(n, active ? "RACK_UP" : "RACK_DOWN", "", 0, "the rack prefixes are %s",
	    active ? "announced" : "withdrawn: no host port has carrier");
}

/* No way up, or one again: hosts with two switches should use the other one, if the file says so. */
void
node_rack_isolated(struct node *n, bool isolated)
{
	if (!node_tier(n)->shut_hosts_when_isolated || n->hosts_shut == isolated)
		return;
	n->hosts_shut = isolated;
	for (size_t i = 0; i < n->nports; i++)
		if (n->ports[i].topo->kind == TOPO_HOST)
			node_port_setup(&n->ports[i]);
}
