/* topology/infer.c: cables back to a file that derives exactly them, or the reason why there is none */
#include "tests/unit/topology/load.h"

static struct topo_cable
cable(const char *text)
{
	struct topo_cable c = { 0 };

	if (sscanf(text, "%31[^:]:%31s -- %31[^:]:%31s", c.a, c.a_port, c.b, c.b_port) != 4)
		fail_msg("\"%s\" is no cable", text);
	return c;
}

static bool
derives(const struct topo *t, const struct topo_cable *c)
{
	const struct topo_node *n = topo_node_find(t, c->a);
	const struct topo_port *p = n ? topo_port_find(n, c->a_port) : NULL;

	return p && p->far_node != TOPO_NONE && strcmp(t->nodes[p->far_node].name, c->b) == 0 &&
	       strcmp(p->far_port, c->b_port) == 0;
}

/* Every file's cables, by both exports: what is inferred derives all of them and no other. */
static void
exports_come_back(void **state)
{
	static const char *const files[] = { "4x2", "16x4", "3tier-small", "border", "dc1-500" };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(files); i++) {
		struct topo *t = load_data(files[i / 2]), *again;
		char *text = i % 2 ? topo_export_dot(t) : topo_export_containerlab(t), *file;
		struct topo_cable *cables;
		struct topo_errors errs = { 0 };
		size_t n;

		assert_int_equal(
		    (i % 2 ? topo_import_dot : topo_import_containerlab)(text, strlen(text), &cables, &n), 0);
		assert_int_equal(n, t->nlinks);
		file = topo_infer(cables, n, "again", &errs);
		if (!file)
			fail_msg("%s: %s", files[i / 2], topo_errors_print(&errs, "f", "", 0));
		again = load(file);
		assert_int_equal(again->nlinks, t->nlinks);
		assert_int_equal(again->nnodes, t->nnodes);
		for (size_t k = 0; k < n; k++)
			if (!derives(again, &cables[k]))
				fail_msg("%s: %s:%s is not derived", files[i / 2], cables[k].a, cables[k].a_port);
		topo_errors_free(&errs);
		topo_free(t);
		topo_free(again);
		free(cables);
		free(text);
		free(file);
	}
}

static const struct {
	const char *name, *cables[8];
	const char *want;   /* in the file; or, without one, in the errors */
	const char *reason; /* what the errors say; NULL: there is a file */
} cases[] = {
	{ "two tiers",
	    { "leaf1:eth1 -- spine1:eth1", "leaf1:eth2 -- spine2:eth1", "leaf2:eth1 -- spine1:eth2",
		"leaf2:eth2 -- spine2:eth2" },
	    "up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-2]\"}", NULL },
	{ "turned ends", { "spine1:eth1 -- leaf1:eth1", "leaf1:eth2 -- spine2:eth1" },
	    "up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1]\"}", NULL },
	{ "parallel cables",
	    { "leaf1:eth1 -- spine1:eth1", "leaf1:eth2 -- spine1:eth2", "leaf2:eth1 -- spine1:eth3",
		"leaf2:eth2 -- spine1:eth4" },
	    "links: 2", NULL },
	{ "steps",
	    { "leaf1:Ethernet0 -- spine1:Ethernet0", "leaf1:Ethernet4 -- spine2:Ethernet0",
		"leaf2:Ethernet0 -- spine1:Ethernet4", "leaf2:Ethernet4 -- spine2:Ethernet4" },
	    "local: \"Ethernet[0,4]\"", NULL },
	{ "a cable less", { "leaf1:eth1 -- spine1:eth1", "leaf1:eth2 -- spine2:eth1", "leaf2:eth1 -- spine1:eth2" },
	    "drop: \"leaf2:eth2 -- spine2:eth2\"", NULL },
	{ "one elsewhere",
	    { "leaf1:eth1 -- spine1:eth1", "leaf2:eth1 -- spine1:eth2", "leaf3:eth9 -- spine1:eth30",
		"leaf1:eth2 -- spine2:eth1", "leaf2:eth2 -- spine2:eth2", "leaf3:eth2 -- spine2:eth3" },
	    "add: \"leaf3:eth9 -- spine1:eth30\"", NULL },
	{ "hosts",
	    { "leaf1:eth1 -- spine1:eth1", "leaf2:eth1 -- spine1:eth2", "h1:eth1 -- leaf1:eth9",
		"h2:eth1 -- leaf2:eth9" },
	    "hosts: {ports: \"eth[9]\"}", NULL },
	{ "a strange name", { "leaf1:eth1 -- spine1:eth1", "Core-A:eth1 -- spine1:eth2" }, "Core-A",
	    "is no name of this language" },
	{ "a zero in front", { "leaf01:eth1 -- spine1:eth1" }, "leaf01", "is no name of this language" },
	{ "two islands", { "leaf1:eth1 -- spine1:eth1", "a1:eth1 -- b1:eth1" }, "has no way to tier", "has no way" },
	{ "a ring of tiers", { "a1:eth1 -- b1:eth1", "b1:eth2 -- c1:eth1", "c1:eth2 -- a1:eth2" }, "", "are joined" },
	{ "within a tier", { "leaf1:eth1 -- spine1:eth1", "leaf1:eth2 -- leaf2:eth2" }, "", "are joined" },
	{ "ports of no kind", { "leaf1:eth1 -- spine1:eth1", "leaf1:wan -- spine2:eth1" }, "", "form no range" },
	{ "a number far off", { "leaf1:eth1 -- spine1:eth1", "leaf900:eth1 -- spine1:eth900" }, "only 2 are there",
	    "the names imply" },
	{ "nothing", { NULL }, "", "no cable" },
};

static void
files_and_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct topo_cable cables[8];
		struct topo_errors errs = { 0 };
		size_t n = 0;
		char *file, *told;

		for (; n < 8 && cases[i].cables[n]; n++)
			cables[n] = cable(cases[i].cables[n]);
		file = topo_infer(cables, n, "f", &errs);
		told = topo_errors_print(&errs, "f", "", 0);
		if (!file != !!cases[i].reason)
			fail_msg("%s: %s", cases[i].name, file ? file : told);
		if (!strstr(file ? file : told, cases[i].want) || (!file && !strstr(told, cases[i].reason)))
			fail_msg("%s: no \"%s\" in:\n%s", cases[i].name, cases[i].want, file ? file : told);
		if (file) {
			struct topo *t = load(file);
			size_t derived = 0;

			for (size_t k = 0; k < n; k++)
				derived += derives(t, &cables[k]);
			if (derived != t->nlinks)
				fail_msg("%s: %zu cables of %zu links in\n%s", cases[i].name, derived, t->nlinks, file);
			topo_free(t);
		}
		topo_errors_free(&errs);
		free(told);
		free(file);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_come_back),
		cmocka_unit_test(files_and_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
