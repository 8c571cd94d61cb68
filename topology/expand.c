/*
 * topology/expand.c -- the derived model as text, for people to review and to diff
 *
 * YAML, one map per node, in display order; links as "port -- node:port" from the node's own side. Nothing here is
 * read back.
 */
#include <stdio.h>
#include <string.h>

#include "topology/tree.h"

static const char *const role_names[] = { [TOPO_FABRIC] = "fabric", [TOPO_BORDER] = "border" };
static const char *const state_names[] = {
	[TOPO_ACTIVE] = "active", [TOPO_PLANNED] = "planned", [TOPO_DRAINED] = "drained"
};

static void
add_prefixes(struct buf *out, const char *key, const bool has[FAMILIES], const struct prefix prefix[FAMILIES])
{
	char text[PREFIX_TEXT];

	if (!has[FAMILY_IPV4] && !has[FAMILY_IPV6])
		return;
	buf_add(out, "  %s: [", key);
	for (unsigned int f = 0; f < FAMILIES; f++)
		if (has[f])
			buf_add(out, "%s\"%s\"", f && has[0] ? ", " : "", prefix_print(&prefix[f], text));
	buf_text(out, "]\n");
}

static void
add_links(struct buf *out, const struct topo *t, const struct topo_node *n, enum topo_port_kind kind, const char *key)
{
	bool any = false;

	for (uint32_t i = 0; i < n->nports; i++) {
		const struct topo_port *p = &n->ports[i];
		const struct topo_link *l = p->link == TOPO_NONE ? NULL : &t->links[p->link];

		if (p->kind != kind || !l)
			continue;
		if (!any)
			buf_add(out, "  %s:\n", key);
		any = true;
		buf_add(out, "    - \"%s -- %s:%s\"  # AS %u", p->name, t->nodes[p->far_node].name, p->far_port,
		    t->nodes[p->far_node].asn);
		buf_add(
		    out, "%s%s%s\n", l->planned ? ", planned" : "", l->added ? ", added: " : "", l->why ? l->why : "");
	}
}

/* Ports that the file reserves, or gives to hosts: names alone. */
static void
add_names(struct buf *out, const struct topo_node *n, const char *key, bool hosts)
{
	bool any = false;

	for (uint32_t i = 0; i < n->nports; i++) {
		const struct topo_port *p = &n->ports[i];
		bool want = hosts ? p->kind == TOPO_HOST : (p->kind <= TOPO_DOWN && p->link == TOPO_NONE);

		if (!want)
			continue;
		if (any)
			buf_text(out, ", ");
		else
			buf_add(out, "  %s: [", key);
		any = true;
		buf_text(out, p->name);
	}
	if (any)
		buf_text(out, "]\n");
}

/* Routed host ports: the network that each has for itself. */
static void
add_host_networks(struct buf *out, const struct topo *t, const struct topo_node *n)
{
	const char *head = "  host_networks:\n";

	for (uint32_t i = 0; i < n->nports; i++) {
		const char *comma = "";
		struct prefix net;
		char text[PREFIX_TEXT];

		for (unsigned int f = 0; f < FAMILIES; f++) {
			if (!topo_host_network(t, n, &n->ports[i], f, &net))
				continue;
			if (!*comma)
				buf_add(out, "%s    %s: [", head, n->ports[i].name);
			head = "";
			buf_add(out, "%s\"%s\"", comma, prefix_print(&net, text));
			comma = ", ";
		}
		if (*comma)
			buf_text(out, "]\n");
	}
}

static void
add_sessions(struct buf *out, const struct topo *t, const struct topo_node *n)
{
	static const char *const adverts[] = { "none", "default", "full", "prefixes", "aggregates" };
	bool any = false;

	for (size_t i = 0; i < t->nexternals; i++) {
		const struct topo_external *x = &t->externals[i];
		char local[IP_TEXT], peer[IP_TEXT];

		if (x->node != n->index)
			continue;
		if (!any)
			buf_text(out, "  external:\n");
		any = true;
		buf_add(out,
		    "    - {name: \"%s\", port: %s, asn: %u, local: \"%s/%u\", peer: \"%s\", in: %s, out: %s}\n",
		    x->name, x->port, x->asn, ip_print(&x->local, local), x->len, ip_print(&x->peer, peer),
		    adverts[x->in], adverts[x->out]);
	}
}

static void
add_node(struct buf *out, const struct topo *t, const struct topo_node *n)
{
	char id[IP_TEXT];

	buf_add(out, "- node: %s\n  tier: %s\n  level: %u\n  role: %s\n", n->name, t->tiers[n->tier].name, n->level,
	    role_names[n->role]);
	if (n->foreign)
		buf_text(out, "  vendor: other\n");
	if (n->pod)
		buf_add(out, "  pod: %u\n", n->pod);
	if (n->plane)
		buf_add(out, "  plane: %u\n", n->plane);
	if (n->state != TOPO_ACTIVE)
		buf_add(out, "  state: %s\n", state_names[n->state]);
	buf_add(out, "  asn: %u\n", n->asn);
	if (!ip_is_zero(&n->router_id))
		buf_add(out, "  router_id: %s\n", ip_print(&n->router_id, id));
	add_prefixes(out, "loopback", n->has_loopback, n->loopback);
	add_prefixes(out, "rack", n->has_rack, n->rack);
	add_links(out, t, n, TOPO_UP, "up");
	add_links(out, t, n, TOPO_DOWN, "down");
	add_names(out, n, "hosts", true);
	add_host_networks(out, t, n);
	add_names(out, n, "reserved", false);
	add_sessions(out, t, n);
}

char *
topo_expand(const struct topo *t, const char *node)
{
	struct buf out = { 0 };
	const struct topo_node *one = node ? topo_node_find(t, node) : NULL;

	if (one)
		add_node(&out, t, one);
	for (size_t i = 0; i < t->nnodes && !node; i++)
		add_node(&out, t, &t->nodes[i]);
	return buf_take(&out);
}
