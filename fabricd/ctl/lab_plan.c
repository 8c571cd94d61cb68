/* fabricd/ctl/lab_plan.c -- from a size or a topology file to the nodes and wires of a laboratory */
#include "fabricd/ctl/lab.h"

#include <stdlib.h>
#include <string.h>

#define LEAVES_MAX 250u
#define SPINES_MAX 60u

const char *
lab_kind_name(enum lab_kind kind)
{
	static const char *const names[] = { "switch", "foreign", "host" };

	return names[kind];
}

bool
lab_size(const char *text, unsigned int *leaves, unsigned int *spines)
{
	char rest;

	return sscanf(text, "%3ux%3u%c", leaves, spines, &rest) == 2 && *leaves > 0 && *leaves <= LEAVES_MAX &&
	       *spines > 0 && *spines <= SPINES_MAX;
}

bool
lab_size_meant(const char *text, char *why, size_t size)
{
	size_t digits = strspn(text, "0123456789");
	const char *x = text + digits, *rest = x + 1 + (*x ? strspn(x + 1, "0123456789") : 0);

	if (digits == 0 || *x != 'x' || rest == x + 1 || *rest)
		return false;
	snprintf(
	    why, size, "1x1 to %ux%u, LEAVES x SPINES; what is larger needs a topology file", LEAVES_MAX, SPINES_MAX);
	return true;
}

char *
lab_generate(unsigned int leaves, unsigned int spines)
{
	unsigned int slots = leaves <= 32 ? 32 : LEAVES_MAX;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	fprintf(f,
	    "# %u leaves, %u spines: a complete file\n"
	    "schema: 1\n"
	    "fabric: lab\n"
	    "tiers: # top of the fabric first\n"
	    "  - {name: spine, count: %u, asn: 65000, loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]}\n"
	    "  - {name: leaf, count: %u, asn: {base: 65000}, loopback: [10.0.1.0/24, \"fd00:0:0:1::/64\"],\n"
	    "     up: {to: spine, local: \"eth[1-%u]\", remote: \"eth[1-%u]\"},\n"
	    "     hosts: {ports: \"eth[%u-%u]\", racks: [{pool: 10.1.0.0/16, len: 24}, {pool: \"fd00:1::/48\", len: "
	    "64}]}}\n",
	    leaves, spines, spines, leaves, spines, slots, spines + 1, spines + 4);
	fclose(f);
	return text;
}

static struct lab_node *
node_add(struct lab *lab, const char *name, enum lab_kind kind)
{
	struct lab_node *node;

	lab->nodes = mem_grow(NULL, MEM_OTHER, lab->nodes, &lab->cap_nodes, lab->n_nodes + 1, sizeof(*lab->nodes));
	node = &lab->nodes[lab->n_nodes++];
	*node = (struct lab_node){ .kind = kind };
	snprintf(node->name, sizeof(node->name), "%s", name);
	return node;
}

static void
wire_add(struct lab *lab, uint32_t a, const char *a_port, uint32_t b, const char *b_port)
{
	struct lab_wire *w;

	lab->wires = mem_grow(NULL, MEM_OTHER, lab->wires, &lab->cap_wires, lab->n_wires + 1, sizeof(*lab->wires));
	w = &lab->wires[lab->n_wires++];
	*w = (struct lab_wire){ .end = { { .node = a }, { .node = b } } };
	snprintf(w->end[0].port, sizeof(w->end[0].port), "%s", a_port);
	snprintf(w->end[1].port, sizeof(w->end[1].port), "%s", b_port);
}

struct lab_node *
lab_node_find(const struct lab *lab, const char *name)
{
	for (size_t i = 0; i < lab->n_nodes; i++) {
		if (strcmp(lab->nodes[i].name, name) == 0)
			return &lab->nodes[i];
	}
	return NULL;
}

/* A host on the first host port: second address of each rack prefix, or of a routed port's part of it; the first is its
 * gateway. */
static void
host_add(
    struct lab *lab, const struct topo *topo, const struct topo_node *leaf, uint32_t leaf_index, unsigned int number)
{
	const struct topo_port *port = NULL;
	char name[TOPO_NAME_MAX];
	struct lab_node *host;

	for (uint32_t i = 0; i < leaf->nports && !port; i++) {
		if (leaf->ports[i].kind == TOPO_HOST)
			port = &leaf->ports[i];
	}
	if (!port || (!leaf->has_rack[FAMILY_IPV4] && !leaf->has_rack[FAMILY_IPV6]))
		return;
	snprintf(name, sizeof(name), "h%u", number);
	if (topo_node_find(topo, name))
		snprintf(name, sizeof(name), "host-%u", number);
	host = node_add(lab, name, LAB_HOST);
	for (int f = 0; f < FAMILIES; f++) {
		struct prefix one, net = leaf->rack[f];

		if (!leaf->has_rack[f])
			continue;
		topo_host_network(topo, leaf, port, (unsigned int)f, &net);
		if (!prefix_sub(&net, family_bits(f), 1, &one))
			continue;
		host->net[f].gateway = prefix_addr(&one);
		if (!prefix_sub(&net, family_bits(f), 2, &one))
			continue;
		host->net[f].address = prefix_addr(&one);
		host->net[f].len = net.len;
		host->net[f].set = true;
	}
	wire_add(lab, (uint32_t)(lab->n_nodes - 1), "eth0", leaf_index, port->name);
}

int
lab_no_node(const struct lab *lab, const char *name)
{
	const char **names = mem_alloc(NULL, MEM_OTHER, (lab->n_nodes + 1) * sizeof(*names));
	char next[160];

	for (size_t i = 0; i < lab->n_nodes; i++)
		names[i] = lab->nodes[i].name;
	if (!topo_did_you_mean(name, names, lab->n_nodes, next, sizeof(next)))
		snprintf(next, sizeof(next), "fabctl lab status");
	mem_free(NULL, MEM_OTHER, names);
	return ctl_fail(QUERY_USAGE, next, "the laboratory \"%s\" has no node \"%s\"", lab->name, name);
}

/* Whether a file and a namespace may be called so, and no other node is. */
static bool
name_is_free(const struct lab *lab, const struct topo *topo, const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < TOPO_NAME_MAX &&
	       !lab_node_find(lab, name) && !topo_node_find(topo, name);
}

/*
 * Whoever is behind a port to the outside: one foreign node, with the address of its first session of each family. It
 * is called as that session is, or x1, x2, ...
 */
static void
external_add(struct lab *lab, const struct topo *topo, uint32_t border, uint32_t index, const struct topo_port *port,
    unsigned int number)
{
	char name[TOPO_NAME_MAX];
	struct lab_node *peer;

	snprintf(name, sizeof(name), "%.31s", topo->externals[port->external].name);
	if (!name_is_free(lab, topo, topo->externals[port->external].name))
		snprintf(name, sizeof(name), "x%u", number);
	if (!name_is_free(lab, topo, name))
		snprintf(name, sizeof(name), "external-%u", number);
	peer = node_add(lab, name, LAB_FOREIGN);
	for (size_t i = port->external; i < topo->nexternals; i++) {
		const struct topo_external *x = &topo->externals[i];

		if (x->node != border || strcmp(x->port, port->name) != 0 || peer->net[x->peer.family].set)
			continue;
		peer->net[x->peer.family].set = true;
		peer->net[x->peer.family].address = x->peer;
		peer->net[x->peer.family].gateway = x->local;
		peer->net[x->peer.family].len = x->len;
	}
	wire_add(lab, (uint32_t)(lab->n_nodes - 1), "eth0", index, port->name);
}

static void
externals_add(struct lab *lab, const struct topo *topo, const uint32_t *index)
{
	unsigned int number = 0;

	for (uint32_t i = 0; i < topo->nnodes; i++) {
		const struct topo_node *node = &topo->nodes[i];

		for (uint32_t p = 0; p < node->nports; p++) {
			if (node->ports[p].kind != TOPO_EXTERNAL)
				continue;
			number++;
			if (index[i] != TOPO_NONE)
				external_add(lab, topo, i, index[i], &node->ports[p], number);
		}
	}
}

void
lab_plan(struct lab *lab, const struct topo *topo, bool hosts, bool externals)
{
	uint32_t *index = mem_alloc(NULL, MEM_OTHER, (topo->nnodes + 1) * sizeof(*index));
	unsigned int number = 0;

	snprintf(lab->fabric, sizeof(lab->fabric), "%s", topo->fabric);
	for (size_t i = 0; i < topo->nnodes; i++) {
		const struct topo_node *node = &topo->nodes[i];

		index[i] = TOPO_NONE;
		if (node->state == TOPO_PLANNED)
			continue;
		index[i] = (uint32_t)lab->n_nodes;
		node_add(lab, node->name, node->foreign ? LAB_FOREIGN : LAB_SWITCH);
	}
	for (size_t i = 0; i < topo->nlinks; i++) {
		const struct topo_link *l = &topo->links[i];

		if (index[l->lower] != TOPO_NONE && index[l->upper] != TOPO_NONE)
			wire_add(lab, index[l->lower], l->lower_port, index[l->upper], l->upper_port);
	}
	for (size_t i = 0; i < topo->nnodes; i++) {
		const struct topo_node *node = &topo->nodes[i];

		if (!node->has_rack[FAMILY_IPV4] && !node->has_rack[FAMILY_IPV6])
			continue;
		number++; /* the number of a host is that of its rack, whatever is left out */
		if (hosts && index[i] != TOPO_NONE && !node->foreign)
			host_add(lab, topo, node, index[i], number);
	}
	if (externals)
		externals_add(lab, topo, index);
	mem_free(NULL, MEM_OTHER, index);
}

void
lab_clear(struct lab *lab)
{
	mem_free(NULL, MEM_OTHER, lab->nodes);
	mem_free(NULL, MEM_OTHER, lab->wires);
	*lab = (struct lab){ 0 };
}
