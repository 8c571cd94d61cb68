/*
 * platform/model/lookup.c -- forwarding: an address, a connected network, or the longest route
 *
 * Lengths that no route has are skipped, so a lookup costs one hash per length in use. Among routes of one network the
 * least metric wins. A connected network wins over a route of the same length.
 */
#include <string.h>

#include "platform/model/impl.h"

static const struct model_port *
connected(const struct model *m, const struct ip *dst, uint8_t *len, bool *local)
{
	const struct model_port *best = NULL;

	*len = 0;
	*local = false;
	for (const struct model_port *p = m->ports; p; p = p->next) {
		for (size_t i = 0; i < p->naddresses; i++) {
			const struct model_address *a = &p->addresses[i];
			struct prefix net = prefix_of(&a->addr, a->len);

			if (ip_equal(&a->addr, dst)) {
				*local = true;
				return p;
			}
			if (prefix_has(&net, dst) && (!best || a->len > *len)) {
				best = p;
				*len = a->len;
			}
		}
	}
	return best;
}

static void
add_hop(struct model *m, struct model_result *out, uint32_t id, uint32_t weight)
{
	const struct model_nh *nh = model_nh_find(m, id);
	const struct model_port *port = nh ? model_port_find(m, nh->ifindex) : NULL;

	if (!nh)
		return;
	m->hops = mem_grow(m->mem, MEM_OTHER, m->hops, &m->hops_cap, out->nhops + 1, sizeof(m->hops[0]));
	m->hops[out->nhops++] = (struct model_hop){ .ifindex = nh->ifindex,
		.gateway = nh->gateway,
		.weight = weight,
		.dark = !port || !model_port_lit(m, port) };
	out->hops = m->hops;
}

static enum model_verdict
by_route(struct model *m, const struct model_route *r, struct model_result *out)
{
	const struct model_group *g;

	out->prefix = r->r.prefix;
	out->metric = r->r.metric;
	if (r->r.type == PLAT_UNREACHABLE)
		return MODEL_UNREACHABLE;
	if (r->r.type == PLAT_BLACKHOLE)
		return MODEL_BLACKHOLE;
	out->group = r->r.group;
	if (r->r.group_is_nh) {
		add_hop(m, out, r->r.group, 1);
	} else {
		g = model_group_find(m, r->r.group);
		for (size_t i = 0; g && i < g->n; i++)
			add_hop(m, out, g->members[i].nh, g->members[i].weight);
		if (g && !g->n)
			return MODEL_BLACKHOLE;
	}
	return MODEL_FORWARD;
}

enum model_verdict
model_lookup(struct platform *platform, uint32_t table, const struct ip *dst, struct model_result *out)
{
	struct model *m = model_of(platform);
	const struct model_route *r = NULL;
	const struct model_port *port;
	uint8_t port_len;
	bool local;

	*out = (struct model_result){ .verdict = MODEL_NO_ROUTE };
	port = connected(m, dst, &port_len, &local);
	if (local) {
		out->prefix = prefix_of(dst, family_bits(dst->family));
		return out->verdict = MODEL_LOCAL;
	}
	for (int len = (int)family_bits(dst->family); len >= 0 && !r; len--) {
		struct prefix p;

		if (port && len == port_len)
			break;
		if (!m->by_len[dst->family][len])
			continue;
		p = prefix_of(dst, (unsigned int)len);
		r = model_route_best(m, table, &p);
	}
	if (r)
		return out->verdict = by_route(m, r, out);
	if (!port)
		return MODEL_NO_ROUTE;
	out->prefix = prefix_of(dst, port_len);
	memcpy(out->port, port->p.name, sizeof(out->port));
	return out->verdict = MODEL_CONNECTED;
}

uint32_t
model_pick(struct platform *platform, const struct model_result *r, uint64_t flow)
{
	uint64_t total = 0, at;
	uint32_t i;

	for (i = 0; i < r->nhops; i++)
		total += r->hops[i].weight;
	if (!total)
		return UINT32_MAX;
	at = hash_u64(model_of(platform)->hash_seed, flow) % total;
	for (i = 0; at >= r->hops[i].weight; i++)
		at -= r->hops[i].weight;
	return i;
}
