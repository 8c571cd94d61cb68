/* topology/export.c, import.c and expand.c: cables out and in again, and the derived model as text */
#include "tests/unit/topology/load.h"

static const char *const files[] = { "4x2", "16x4", "3tier-small", "border", "all-keys", "dc1-500" };

static bool
is_link(const struct topo *t, const struct topo_link *l, const struct topo_cable *c)
{
	return strcmp(t->nodes[l->lower].name, c->a) == 0 && strcmp(l->lower_port, c->a_port) == 0 &&
	       strcmp(t->nodes[l->upper].name, c->b) == 0 && strcmp(l->upper_port, c->b_port) == 0;
}

static void
same_cables(const struct topo *t, char *text, int (*import)(const char *, size_t, struct topo_cable **, size_t *))
{
	struct topo_cable *cables;
	size_t n;

	assert_int_equal(import(text, strlen(text), &cables, &n), 0);
	assert_int_equal(n, t->nlinks);
	for (size_t i = 0; i < n; i++)
		assert_true(is_link(t, &t->links[i], &cables[i]));
	free(cables);
	free(text);
}

static void
cables_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct topo *t = load_data(files[i]);

		same_cables(t, topo_export_dot(t), topo_import_dot);
		same_cables(t, topo_export_containerlab(t), topo_import_containerlab);
		topo_free(t);
	}
}

static void
no_cables_read_back(void **state)
{
	struct topo *t = load(
	    "schema: 1\nfabric: x\ntiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n");

	(void)state;
	same_cables(t, topo_export_dot(t), topo_import_dot);
	same_cables(t, topo_export_containerlab(t), topo_import_containerlab);
	topo_free(t);
}

/* Cables as "a:p b:q; ...", or NULL: not understood. */
static const struct {
	const char *name;
	int (*import)(const char *, size_t, struct topo_cable **, size_t *);
	const char *text, *want;
} cases[] = {
	{ "quoted", topo_import_dot, "graph G {\"a\":\"p\" -- \"b\":\"q\";}", "a:p b:q; " },
	{ "bare, no semicolon", topo_import_dot, "graph { a:swp1 -- b:swp2\n c:x -- d:y }",
	    "a:swp1 b:swp2; c:x d:y; " },
	{ "strict and attributes", topo_import_dot,
	    "strict graph g { node [a=b, c=\"]\"]; a:p -- b:q [len=2] [x=y]; z [k=v]; }", "a:p b:q; " },
	{ "chain", topo_import_dot, "graph { a:p -- b:q -- c:r }", "a:p b:q; b:q c:r; " },
	{ "comments", topo_import_dot, "# x\ngraph { // y\n /* a:p -- b:q */ a:p -- b:q; # z\n }", "a:p b:q; " },
	{ "directed", topo_import_dot, "digraph { a:p -> b:q }", "a:p b:q; " },
	{ "compass", topo_import_dot, "graph { a:p:n -- b:q:s }", "a:p b:q; " },
	{ "setting", topo_import_dot, "graph { rankdir=LR; a:p -- b:q }", "a:p b:q; " },
	{ "empty", topo_import_dot, "graph {}", "" },
	{ "no port", topo_import_dot, "graph { a -- b }", NULL },
	{ "cut", topo_import_dot, "graph { \"a\":\"p\" -- \"b", NULL },
	{ "no end", topo_import_dot, "graph { a:p -- b:q", NULL },
	{ "attributes without end", topo_import_dot, "graph { a:p -- b:q [x=y }", NULL },
	{ "subgraph", topo_import_dot, "graph { subgraph s { a:p -- b:q } }", NULL },
	{ "more behind", topo_import_dot, "graph {} graph {}", NULL },
	{ "a name too long", topo_import_dot, "graph { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:p -- b:q }", NULL },
	{ "no graph", topo_import_dot, "", NULL },
	{ "brief", topo_import_containerlab, "topology: {links: [{endpoints: [\"a:p\", \"b:q\"]}]}", "a:p b:q; " },
	{ "extended", topo_import_containerlab,
	    "topology:\n  links:\n    - type: veth\n      endpoints:\n        - {node: a, interface: p}\n        - "
	    "{node: b, interface: q}\n",
	    "a:p b:q; " },
	{ "no links", topo_import_containerlab, "topology: {nodes: {}}", NULL },
	{ "one end", topo_import_containerlab, "topology: {links: [{endpoints: [\"a:p\"]}]}", NULL },
	{ "no port", topo_import_containerlab, "topology: {links: [{endpoints: [a, b]}]}", NULL },
	{ "no YAML", topo_import_containerlab, "topology: {", NULL },
};

static void
imports(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct topo_cable *c;
		char got[256] = "";
		size_t n;
		int rc = cases[i].import(cases[i].text, strlen(cases[i].text), &c, &n);

		for (size_t k = 0; k < n; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s:%s %s:%s; ", c[k].a, c[k].a_port,
			    c[k].b, c[k].b_port);
		free(c);
		if ((rc == 0) != (cases[i].want != NULL) || (cases[i].want && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: rc %d, \"%s\"", cases[i].name, rc, got);
	}
}

static void
dot(void **state)
{
	struct topo *t = load_data("4x2");
	char *s = topo_export_dot(t);

	(void)state;
	assert_string_equal(s,
	    "graph \"lab\" {\n"
	    "\t\"leaf1\":\"eth1\" -- \"spine1\":\"eth1\";\n\t\"leaf1\":\"eth2\" -- \"spine2\":\"eth1\";\n"
	    "\t\"leaf2\":\"eth1\" -- \"spine1\":\"eth2\";\n\t\"leaf2\":\"eth2\" -- \"spine2\":\"eth2\";\n"
	    "\t\"leaf3\":\"eth1\" -- \"spine1\":\"eth3\";\n\t\"leaf3\":\"eth2\" -- \"spine2\":\"eth3\";\n"
	    "\t\"leaf4\":\"eth1\" -- \"spine1\":\"eth4\";\n\t\"leaf4\":\"eth2\" -- \"spine2\":\"eth4\";\n"
	    "}\n");
	free(s);
	topo_free(t);
}

static size_t
count_of(const char *s, const char *what)
{
	size_t n = 0;

	while ((s = strstr(s, what))) {
		s += strlen(what);
		n++;
	}
	return n;
}

static void
tables_and_drawings(void **state)
{
	struct topo *t = load_data("border");
	char *csv = topo_export_csv(t), *mermaid = topo_export_mermaid(t), *svg = topo_export_svg(t);

	(void)state;
	assert_int_equal(count_of(csv, "\n"), 1 + t->nlinks);
	assert_non_null(strstr(csv, "leaf1,dcim.interface,swp49,spine1,dcim.interface,swp1,connected\n"));
	assert_non_null(strstr(csv, "leaf3,dcim.interface,swp53,spine2,dcim.interface,swp30,planned\n"));
	assert_int_equal(count_of(mermaid, " ---|"), t->nlinks);
	assert_int_equal(count_of(mermaid, "[\""), t->nnodes);
	assert_int_equal(count_of(svg, "<line "), t->nlinks);
	assert_int_equal(count_of(svg, "<rect "), t->nnodes);
	assert_int_equal(count_of(svg, "stroke-dasharray"), 4);
	free(csv);
	free(mermaid);
	free(svg);
	topo_free(t);
}

static void
expand_one(void **state)
{
	struct topo *t = load_data("4x2"), *b = load_data("border");
	char *s = topo_expand(t, "leaf3"), *none = topo_expand(t, "leaf9"), *x = topo_expand(b, "border1"),
	     *l = topo_expand(b, "leaf3");

	(void)state;
	assert_string_equal(s,
	    "- node: leaf3\n  tier: leaf\n  level: 0\n  role: fabric\n  asn: 65003\n  router_id: 10.0.1.3\n"
	    "  loopback: [\"10.0.1.3/32\", \"fd00:0:0:1::3/128\"]\n  rack: [\"10.1.3.0/24\", \"fd00:1:0:3::/64\"]\n"
	    "  up:\n    - \"eth1 -- spine1:eth3\"  # AS 65000\n    - \"eth2 -- spine2:eth3\"  # AS 65000\n"
	    "  hosts: [eth3, eth4, eth5, eth6]\n");
	assert_string_equal(none, "");
	assert_non_null(
	    strstr(x, "external:\n    - {name: \"isp-a\", port: swp1, asn: 64500, local: \"192.0.2.1/31\", peer: "
		      "\"192.0.2.0\", in: default, out: aggregates}\n"));
	assert_non_null(strstr(l, "state: planned"));
	assert_non_null(strstr(l, "- \"swp53 -- spine2:swp30\"  # AS 65000, planned, added: RMA-4711\n"));
	assert_non_null(strstr(l, "reserved: [swp50]\n"));
	free(s);
	free(none);
	free(x);
	free(l);
	topo_free(t);
	topo_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cables_read_back),
		cmocka_unit_test(no_cables_read_back),
		cmocka_unit_test(imports),
		cmocka_unit_test(dot),
		cmocka_unit_test(tables_and_drawings),
		cmocka_unit_test(expand_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
