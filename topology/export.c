/*
 * topology/export.c -- the cables of the fabric in the languages of other tools
 *
 *   DOT           PTM's dialect: one edge of "node":"port" pairs per cable
 *   containerlab  nodes and endpoints
 *   CSV           the columns of NetBox's cable import
 *   Mermaid, SVG  drawings, tiers as rows, top of the fabric first
 *
 * Names of nodes, ports and fabrics hold no character that any of these would take for its own (schema.c), so that
 * quotes suffice and nothing is escaped. import.c reads the first two back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/tree.h"

char *
topo_export_dot(const struct topo *t)
{
	struct buf out = { 0 };

	buf_add(&out, "graph \"%s\" {\n", t->fabric);
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];

		buf_add(&out, "\t\"%s\":\"%s\" -- \"%s\":\"%s\";\n", t->nodes[l->lower].name, l->lower_port,
		    t->nodes[l->upper].name, l->upper_port);
	}
	buf_text(&out, "}\n");
	return buf_take(&out);
}

char *
topo_export_containerlab(const struct topo *t)
{
	struct buf out = { 0 };

	/* A node of kind linux has to name an image; this one holds nothing but what is installed in it. */
	buf_add(&out, "name: \"%s\"\ntopology:\n  kinds:\n    linux: {image: \"debian:12\"}\n  nodes:\n", t->fabric);
	for (size_t i = 0; i < t->nnodes; i++)
		buf_add(&out, "    %s: {kind: linux, group: %s}\n", t->nodes[i].name, t->tiers[t->nodes[i].tier].name);
	buf_text(&out, t->nlinks ? "  links:\n" : "  links: []\n");
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];

		buf_add(&out, "    - endpoints: [\"%s:%s\", \"%s:%s\"]\n", t->nodes[l->lower].name, l->lower_port,
		    t->nodes[l->upper].name, l->upper_port);
	}
	return buf_take(&out);
}

char *
topo_export_csv(const struct topo *t)
{
	struct buf out = { 0 };

	buf_text(&out, "side_a_device,side_a_type,side_a_name,side_b_device,side_b_type,side_b_name,status\n");
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];

		buf_add(&out, "%s,dcim.interface,%s,%s,dcim.interface,%s,%s\n", t->nodes[l->lower].name, l->lower_port,
		    t->nodes[l->upper].name, l->upper_port, l->planned ? "planned" : "connected");
	}
	return buf_take(&out);
}

/* ---- drawings ---- */

static uint32_t
top_level(const struct topo *t)
{
	uint32_t top = 0;

	for (size_t i = 0; i < t->ntiers; i++)
		top = MAX_OF(top, t->tiers[i].level);
	return top;
}

char *
topo_export_mermaid(const struct topo *t)
{
	struct buf out = { 0 };

	buf_text(&out, "graph TB\n");
	for (uint32_t level = top_level(t) + 1; level-- > 0;)
		for (size_t i = 0; i < t->nnodes; i++)
			if (t->nodes[i].level == level)
				buf_add(&out, "  n%zu[\"%s\"]\n", i, t->nodes[i].name);
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];

		buf_add(&out, "  n%u ---|\"%s - %s\"| n%u\n", l->upper, l->upper_port, l->lower_port, l->lower);
	}
	return buf_take(&out);
}

#define ROW_HEIGHT 140
#define NODE_WIDTH 92
#define MARGIN     20

/* Nodes of a level stand in one row, each row centred. */
char *
topo_export_svg(const struct topo *t)
{
	struct buf out = { 0 };
	uint32_t levels = top_level(t) + 1;
	size_t *row = mem_zalloc(NULL, MEM_TOPOLOGY, levels * sizeof(*row));
	size_t *at = mem_zalloc(NULL, MEM_TOPOLOGY, t->nnodes * sizeof(*at)), widest = 0, width;

	for (size_t i = 0; i < t->nnodes; i++) {
		at[i] = row[t->nodes[i].level]++;
		widest = MAX_OF(widest, row[t->nodes[i].level]);
	}
	width = widest * NODE_WIDTH + 2 * MARGIN;
	for (size_t i = 0; i < t->nnodes; i++)
		at[i] = at[i] * NODE_WIDTH + (width - row[t->nodes[i].level] * NODE_WIDTH) / 2 + NODE_WIDTH / 2;
	buf_add(&out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %zu %u\" font-family=\"sans-serif\" "
	    "font-size=\"11\">\n",
	    width, levels * ROW_HEIGHT);
	buf_add(&out, "<title>%s</title>\n", t->fabric);
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];
		const struct topo_node *a = &t->nodes[l->upper], *b = &t->nodes[l->lower];

		buf_add(&out,
		    "<line x1=\"%zu\" y1=\"%u\" x2=\"%zu\" y2=\"%u\" stroke=\"#888\"%s><title>%s:%s -- "
		    "%s:%s</title></line>\n",
		    at[a->index], (levels - 1 - a->level) * ROW_HEIGHT + ROW_HEIGHT / 2, at[b->index],
		    (levels - 1 - b->level) * ROW_HEIGHT + ROW_HEIGHT / 2, l->planned ? " stroke-dasharray=\"4\"" : "",
		    a->name, l->upper_port, b->name, l->lower_port);
	}
	for (size_t i = 0; i < t->nnodes; i++) {
		unsigned int y = (levels - 1 - t->nodes[i].level) * ROW_HEIGHT + ROW_HEIGHT / 2;

		buf_add(&out,
		    "<rect x=\"%zu\" y=\"%u\" width=\"%u\" height=\"28\" rx=\"4\" fill=\"#fff\" stroke=\"#333\"/>",
		    at[i] - (NODE_WIDTH - 12) / 2, y - 14, NODE_WIDTH - 12);
		buf_add(&out, "<text x=\"%zu\" y=\"%u\" text-anchor=\"middle\">%s</text>\n", at[i], y + 4,
		    t->nodes[i].name);
	}
	buf_text(&out, "</svg>\n");
	mem_free(NULL, MEM_TOPOLOGY, row);
	mem_free(NULL, MEM_TOPOLOGY, at);
	return buf_take(&out);
}
