/* tests/unit/ctl/lab_plan_test.c -- from a size or a file to nodes and wires */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/ctl/lab.h"

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		bool good;
		unsigned int leaves, spines;
	} cases[] = {
		{ "4x2", true, 4, 2 },
		{ "1x1", true, 1, 1 },
		{ "250x60", true, 250, 60 },
		{ "251x2", false, 0, 0 },
		{ "2x61", false, 0, 0 },
		{ "0x2", false, 0, 0 },
		{ "4x", false, 0, 0 },
		{ "4x2x1", false, 0, 0 },
		{ "4x2.yaml", false, 0, 0 },
		{ "x", false, 0, 0 },
		{ "-4x2", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned int leaves = 0, spines = 0;

		if (lab_size(cases[i].text, &leaves, &spines) != cases[i].good ||
		    (cases[i].good && (leaves != cases[i].leaves || spines != cases[i].spines)))
			fail_msg("%s: %u x %u", cases[i].text, leaves, spines);
	}
}

static struct topo *
load(const char *text)
{
	struct topo_errors errs = { 0 };
	struct topo *topo = topo_load(text, strlen(text), &errs);

	for (size_t i = 0; i < errs.n; i++)
		print_message("line %u: %s\n", errs.list[i].line, errs.list[i].text);
	topo_errors_free(&errs);
	return topo;
}

/* Every size that is accepted gives a file without errors, fully meshed. */
static void
generated_files_are_right(void **state)
{
	static const unsigned int sides[][2] = { { 1, 1 }, { 4, 2 }, { 16, 4 }, { 32, 60 }, { 33, 3 }, { 250, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		char *text = lab_generate(sides[i][0], sides[i][1]);
		struct topo *topo = load(text);
		struct lab lab = { 0 };

		if (!topo)
			fail_msg("%ux%u:\n%s", sides[i][0], sides[i][1], text);
		assert_int_equal(topo->nnodes, sides[i][0] + sides[i][1]);
		assert_int_equal(topo->nlinks, sides[i][0] * sides[i][1]);
		lab_plan(&lab, topo, true, false);
		assert_int_equal(lab.n_nodes, topo->nnodes + sides[i][0]);
		assert_int_equal(lab.n_wires, topo->nlinks + sides[i][0]);
		lab_clear(&lab);
		topo_free(topo);
		free(text);
	}
}

static void
hosts_stand_in_their_racks(void **state)
{
	char *text = lab_generate(4, 2), a[IP_TEXT];
	struct topo *topo = load(text);
	const struct lab_node *h3;
	struct lab lab = { 0 };
	const struct lab_wire *w;

	(void)state;
	lab_plan(&lab, topo, true, false);
	assert_non_null(h3 = lab_node_find(&lab, "h3"));
	assert_int_equal(h3->kind, LAB_HOST);
	assert_string_equal(ip_print(&h3->net[FAMILY_IPV4].address, a), "10.1.3.2");
	assert_string_equal(ip_print(&h3->net[FAMILY_IPV4].gateway, a), "10.1.3.1");
	assert_int_equal(h3->net[FAMILY_IPV4].len, 24);
	assert_string_equal(ip_print(&h3->net[FAMILY_IPV6].address, a), "fd00:1:0:3::2");
	assert_string_equal(ip_print(&h3->net[FAMILY_IPV6].gateway, a), "fd00:1:0:3::1");
	w = &lab.wires[lab.n_wires - 2];
	assert_string_equal(lab.nodes[w->end[0].node].name, "h3");
	assert_string_equal(w->end[0].port, "eth0");
	assert_string_equal(lab.nodes[w->end[1].node].name, "leaf3");
	assert_string_equal(w->end[1].port, "eth3");
	lab_clear(&lab);
	lab_plan(&lab, topo, false, false);
	assert_null(lab_node_find(&lab, "h3"));
	assert_int_equal(lab.n_nodes, 6);
	lab_clear(&lab);
	topo_free(topo);
	free(text);
}

/* What is planned is not raised, what is foreign has no host, and numbers do not move for it. */
static void
planned_and_foreign(void **state)
{
	static const char text[] = "schema: 1\nfabric: t\ntiers:\n"
				   "  - {name: spine, count: 2, asn: 65000, loopback: 10.0.0.0/24, vendor: other}\n"
				   "  - {name: leaf, count: 3, asn: {base: 65000}, loopback: 10.0.1.0/24,\n"
				   "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-32]\"},\n"
				   "     hosts: {ports: \"eth[3-6]\", racks: {pool: 10.1.0.0/16, len: 24}}}\n"
				   "devices:\n  leaf2: {state: planned}\n";
	struct topo *topo = load(text);
	struct lab lab = { 0 };

	(void)state;
	assert_non_null(topo);
	lab_plan(&lab, topo, true, false);
	assert_int_equal(lab_node_find(&lab, "spine1")->kind, LAB_FOREIGN);
	assert_null(lab_node_find(&lab, "leaf2"));
	assert_null(lab_node_find(&lab, "h2"));
	assert_non_null(lab_node_find(&lab, "h3"));
	assert_false(lab_node_find(&lab, "h3")->net[FAMILY_IPV6].set);
	assert_int_equal(lab.n_wires, 4 + 2);
	lab_clear(&lab);
	topo_free(topo);
}

/* Behind a port to the outside is one node, with the first address of each family; names that are taken are not. */
static void
neighbours_outside(void **state)
{
	static const char text[] =
	    "schema: 1\nfabric: t\ntiers:\n"
	    "  - {name: spine, count: 1, asn: 65000, loopback: 10.0.0.0/24}\n"
	    "  - {name: edge, count: 2, role: border, asn: {base: 65000}, loopback: 10.0.1.0/24,\n"
	    "     up: {to: spine, local: \"eth1\", remote: \"eth[1-32]\"}}\n"
	    "external:\n"
	    "  - {at: \"edge1:eth9\", name: isp, asn: 64999, local: 192.0.2.1/31, peer: 192.0.2.0}\n"
	    "  - {at: \"edge1:eth9\", asn: 64999, local: \"2001:db8::1/64\", peer: \"2001:db8::2\"}\n"
	    "  - {at: \"edge1:eth9\", asn: 64998, local: 192.0.2.9/29, peer: 192.0.2.10}\n"
	    "  - {at: \"edge2:eth9\", name: isp-of-the-second-edge-in-the-east, asn: 64999, local: 192.0.2.3/31, peer: "
	    "192.0.2.2}\n";
	struct topo *topo = load(text);
	const struct lab_node *isp, *x2;
	struct lab lab = { 0 };
	char a[IP_TEXT];

	(void)state;
	assert_non_null(topo);
	lab_plan(&lab, topo, true, false);
	assert_int_equal(lab.n_nodes, 3);
	lab_clear(&lab);
	lab_plan(&lab, topo, true, true);
	assert_int_equal(lab.n_nodes, 5);
	assert_int_equal(lab.n_wires, 4);
	assert_non_null(isp = lab_node_find(&lab, "isp"));
	assert_int_equal(isp->kind, LAB_FOREIGN);
	assert_string_equal(ip_print(&isp->net[FAMILY_IPV4].address, a), "192.0.2.0");
	assert_int_equal(isp->net[FAMILY_IPV4].len, 31);
	assert_string_equal(ip_print(&isp->net[FAMILY_IPV6].address, a), "2001:db8::2");
	assert_int_equal(isp->net[FAMILY_IPV6].len, 64);
	assert_non_null(x2 = lab_node_find(&lab, "x2"));
	assert_string_equal(ip_print(&x2->net[FAMILY_IPV4].address, a), "192.0.2.2");
	assert_string_equal(lab.wires[3].end[0].port, "eth0");
	assert_string_equal(lab.wires[3].end[1].port, "eth9");
	assert_string_equal(lab.nodes[lab.wires[3].end[1].node].name, "edge2");
	lab_clear(&lab);
	topo_free(topo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(generated_files_are_right),
		cmocka_unit_test(hosts_stand_in_their_racks),
		cmocka_unit_test(planned_and_foreign),
		cmocka_unit_test(neighbours_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
