/* tests/unit/sim/oracle_test.c -- shortest valley-free paths, on graphs small enough to see them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/oracle.h"
#include "tests/unit/sim/fixture.h"

/* A graph in which everything works but a few links ("leaf1:eth1"), ends of links ("leaf1:eth1<") and nodes. */
struct graph {
	struct topo *t;
	struct oracle o;
	bool *ends, *nodes;
	struct oracle_graph g;
	struct oracle_paths p;
};

static void
break_link(struct graph *x, const struct topo_port *p, bool end)
{
	for (int side = 0; side < 2; side++)
		if (!end || side == (p->kind == TOPO_DOWN))
			x->ends[2 * p->link + (uint32_t)side] = false;
}

static void
graph_init(struct graph *x, const char *file, const char *broken)
{
	char copy[256], *save = NULL;

	x->t = load_file(file);
	oracle_init(&x->o, x->t);
	oracle_paths_init(&x->o, &x->p);
	x->ends = malloc(2 * x->t->nlinks);
	x->nodes = malloc(x->t->nnodes);
	memset(x->ends, 1, 2 * x->t->nlinks);
	memset(x->nodes, 1, x->t->nnodes);
	x->g = (struct oracle_graph){ x->ends, x->nodes };
	snprintf(copy, sizeof(copy), "%s", broken);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(s, ':');
		const struct topo_node *n;
		size_t len = strlen(s);
		bool end = s[len - 1] == '<';

		if (colon)
			*colon = '\0';
		if (end)
			s[len - 1] = '\0';
		n = topo_node_find(x->t, s);
		assert_non_null(n);
		if (colon)
			break_link(x, topo_port_find(n, colon + 1), end);
		else
			x->nodes[n->index] = false;
	}
}

static void
graph_done(struct graph *x)
{
	oracle_paths_done(&x->p);
	oracle_done(&x->o);
	topo_free(x->t);
	free(x->ends);
	free(x->nodes);
}

static char *
ports_of(const struct graph *x, const struct topo_node *n, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (uint32_t k = 0; k < n->nports && k < x->o.words * 64; k++)
		if (x->p.ports[n->index * x->o.words + k / 64] >> k % 64 & 1)
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? " " : "", n->ports[k].name);
	return buf;
}

static const struct {
	const char *name, *file, *broken, *from, *to;
	uint32_t distance;
	const char *ports;
} cases[] = {
	{ "both spines", "4x2.yaml", "", "leaf1", "leaf2", 2, "eth1 eth2" },
	{ "one spine left", "4x2.yaml", "leaf2:eth1", "leaf1", "leaf2", 2, "eth2" },
	{ "the other end's link counts", "4x2.yaml", "spine1:eth1", "leaf1", "leaf2", 2, "eth2" },
	{ "a spine without power", "4x2.yaml", "spine2", "leaf1", "leaf2", 2, "eth1" },
	{ "down only", "4x2.yaml", "", "spine1", "leaf3", 1, "eth3" },
	{ "up only", "4x2.yaml", "", "leaf3", "spine2", 1, "eth2" },
	{ "to itself", "4x2.yaml", "", "leaf3", "leaf3", 0, "" },
	{ "spine to spine would be a valley", "4x2.yaml", "", "spine1", "spine2", ORACLE_FAR, "" },
	{ "each has another spine", "4x2.yaml", "leaf1:eth1 leaf2:eth2", "leaf1", "leaf2", ORACLE_FAR, "" },
	{ "a spine does not go round by a leaf", "4x2.yaml", "leaf1:eth1", "spine1", "leaf1", ORACLE_FAR, "" },
	{ "a dead owner", "4x2.yaml", "leaf2", "leaf1", "leaf2", ORACLE_FAR, "" },
	{ "a dead sender", "4x2.yaml", "leaf1", "leaf1", "leaf2", ORACLE_FAR, "" },
	{ "within the pod", "3tier-small.yaml", "", "p1-leaf1", "p1-leaf2", 2, "eth1 eth2" },
	{ "to another pod", "3tier-small.yaml", "", "p1-leaf1", "p2-leaf1", 4, "eth1 eth2" },
	{ "a plane is lost for one leaf", "3tier-small.yaml", "p2-leaf1:eth1", "p1-leaf1", "p2-leaf1", 4, "eth2" },
	{ "supers of the plane", "3tier-small.yaml", "", "p1-spine1", "p2-leaf1", 3, "eth5 eth6" },
	{ "not the super that cannot", "3tier-small.yaml", "super1:eth2", "p1-spine1", "p2-leaf1", 3, "eth6" },
	{ "both of two parallel links", "parallel.yaml", "", "spine1", "leaf1", 1, "eth1 eth2" },
	{ "one of two parallel links", "parallel.yaml", "leaf1:eth1", "spine1", "leaf1", 1, "eth2" },
	{ "an end alone, seen from there", "parallel.yaml", "leaf1:eth1<", "leaf1", "spine1", 1, "eth2" },
	{ "an end alone, seen from the other", "parallel.yaml", "leaf1:eth1<", "spine1", "leaf1", 1, "eth1 eth2" },
	{ "crossed and cut, seen from below", "parallel.yaml", "leaf1:eth1< spine1:eth2<", "leaf1", "leaf2", 2,
	    "eth2 eth3 eth4" },
	{ "within the middle, one AS number", "middle.yaml", "", "agg1", "agg2", ORACLE_FAR, "" },
	{ "from the border to a leaf", "middle.yaml", "", "border1", "leaf1", 3, "eth1 eth2" },
	{ "each has another of one AS number", "middle.yaml", "leaf1:eth1 leaf2:eth2", "leaf1", "leaf2", ORACLE_FAR,
	    "" },
	{ "no way down of its own any more", "middle.yaml", "leaf1:eth1", "agg1", "leaf1", ORACLE_FAR, "" },
	{ "the others have", "middle.yaml", "leaf1:eth1", "core1", "leaf1", 2, "eth2" },
	{ "no other plane for a spine", "3tier-small.yaml", "p2-leaf1:eth1", "p1-spine1", "p2-leaf1", ORACLE_FAR, "" },
};

static void
searches(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct topo_node *from, *to;
		struct graph x;
		char ports[256];

		graph_init(&x, cases[i].file, cases[i].broken);
		from = topo_node_find(x.t, cases[i].from);
		to = topo_node_find(x.t, cases[i].to);
		oracle_search(&x.o, &x.g, to->index, &x.p);
		ports_of(&x, from, ports, sizeof(ports));
		if (x.p.distance[from->index] != cases[i].distance || strcmp(ports, cases[i].ports) != 0)
			fail_msg("%s: distance %u over \"%s\", wanted %u over \"%s\"", cases[i].name,
			    x.p.distance[from->index], ports, cases[i].distance, cases[i].ports);
		graph_done(&x);
	}
}

static void
parts(void **state)
{
	struct graph x;
	uint32_t part[64];

	(void)state;
	graph_init(&x, "4x2.yaml", "leaf1:eth1 leaf2:eth2"); /* a valley still joins them */
	oracle_parts(&x.o, &x.g, part);
	for (uint32_t i = 0; i < x.t->nnodes; i++)
		assert_int_equal(part[i], part[0]);
	graph_done(&x);
	graph_init(&x, "4x2.yaml", "leaf1:eth1 leaf1:eth2 spine2");
	oracle_parts(&x.o, &x.g, part);
	assert_int_not_equal(part[topo_node_find(x.t, "leaf1")->index], part[topo_node_find(x.t, "leaf2")->index]);
	assert_int_equal(part[topo_node_find(x.t, "leaf3")->index], part[topo_node_find(x.t, "leaf2")->index]);
	assert_int_not_equal(part[topo_node_find(x.t, "spine2")->index], part[topo_node_find(x.t, "leaf2")->index]);
	graph_done(&x);
}

/* What judges the engines shares no file with them. */
static void
includes_lib_and_topology_alone(void **state)
{
	static const char *const files[] = { "fabricd/sim/oracle.c", "fabricd/sim/oracle.h" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		FILE *f = fopen(files[i], "r");
		char line[512], name[256];
		int seen = 0;

		if (!f)
			fail_msg("%s: run the test at the top of the tree", files[i]);
		while (fgets(line, sizeof(line), f)) {
			if (sscanf(line, "#include \"%255[^\"]\"", name) != 1)
				continue;
			seen++;
			if (strncmp(name, "fabricd/lib/", 12) != 0 && strncmp(name, "topology/", 9) != 0 &&
			    strcmp(name, "fabricd/sim/oracle.h") != 0)
				fail_msg("%s includes %s", files[i], name);
		}
		fclose(f);
		assert_true(seen > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(searches),
		cmocka_unit_test(parts),
		cmocka_unit_test(includes_lib_and_topology_alone),
	};

	return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
