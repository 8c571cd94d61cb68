/* topology/topology.c and text.c: names to nodes, near names, the digest */
#include "tests/unit/topology/load.h"
#include "topology/tree.h"

static const struct {
	const char *file, *name, *want; /* NULL: not found */
} names[] = {
	{ "4x2", "leaf1", "leaf1" },
	{ "4x2", "leaf4", "leaf4" },
	{ "4x2", "leaf5", NULL },
	{ "4x2", "leaf0", NULL },
	{ "4x2", "leaf01", NULL },
	{ "4x2", "leaf", NULL },
	{ "4x2", "leaf1 ", NULL },
	{ "4x2", "leaf4294967297", NULL },
	{ "4x2", "leaf99999999999999999999999", NULL },
	{ "4x2", "p1-leaf1", NULL },
	{ "4x2", "", NULL },
	{ "4x2", "1", NULL },
	{ "3tier-small", "p2-leaf1", "p2-leaf1" },
	{ "3tier-small", "super4", "super4" },
	{ "3tier-small", "p3-leaf1", NULL },
	{ "3tier-small", "p02-leaf1", NULL },
	{ "3tier-small", "p2-super1", NULL },
	{ "3tier-small", "p2leaf1", NULL },
	{ "3tier-small", "p2-", NULL },
	{ "3tier-small", "leaf1", NULL },
};

static void
names_to_nodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct topo *t = load_data(names[i].file);
		const struct topo_node *n = topo_node_find(t, names[i].name);

		if (!n != !names[i].want || (n && strcmp(n->name, names[i].want) != 0))
			fail_msg("%s: \"%s\" is %s", names[i].file, names[i].name, n ? n->name : "not found");
		topo_free(t);
	}
}

static const struct {
	const char *ports, *racks, *leaf, *port;
	const char *four, *six; /* NULL: none */
} host_networks[] = {
	{ "eth[3-6]", "{pool: 10.1.0.0/16, len: 24}", "leaf1", "eth3", "10.1.1.32/27", NULL },
	{ "eth[3-6]", "{pool: 10.1.0.0/16, len: 24}", "leaf3", "eth6", "10.1.3.128/27", NULL },
	{ "eth[3-5]", "{pool: 10.1.0.0/16, len: 24}", "leaf1", "eth5", "10.1.1.192/26", NULL },
	{ "eth3", "{pool: 10.1.0.0/16, len: 24}", "leaf2", "eth3", "10.1.2.128/25", NULL },
	{ "eth[3-6]", "{pool: \"fd00:1::/48\", len: 64}", "leaf10", "eth4", NULL, "fd00:1:0:a:4000::/67" },
	{ "eth[3-6]", "{pool: 10.1.0.0/16, len: 27}", "leaf1", "eth3", "10.1.0.36/30", NULL },
	{ "eth[3-6]", "{pool: 10.1.0.0/16, len: 24}", "leaf1", "eth1", NULL, NULL }, /* an uplink */
};

/* The networks of routed host ports lie side by side in the rack, and network 0 is nobody's. */
static void
networks_of_routed_host_ports(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(host_networks); i++) {
		char text[1024], got[PREFIX_TEXT];
		const struct topo_node *n;
		const struct topo_port *p;
		struct topo *t;

		snprintf(text, sizeof(text),
		    "schema: 1\nfabric: f\ntiers:\n  - {name: spine, count: 1, asn: 65000, loopback: 10.0.0.0/24}\n"
		    "  - {name: leaf, count: 12, asn: {base: 65000}, loopback: 10.0.1.0/24, up: {to: spine, local: "
		    "\"eth1\", "
		    "remote: \"eth[1-32]\"}, hosts: {bridge: none, ports: \"%s\", racks: %s}}\n",
		    host_networks[i].ports, host_networks[i].racks);
		t = load(text);
		n = topo_node_find(t, host_networks[i].leaf);
		p = topo_port_find(n, host_networks[i].port);
		for (unsigned int f = 0; f < FAMILIES; f++) {
			const char *want = f == FAMILY_IPV4 ? host_networks[i].four : host_networks[i].six;
			struct prefix net;
			bool has = topo_host_network(t, n, p, f, &net);

			if (has != !!want || (want && strcmp(prefix_print(&net, got), want) != 0))
				fail_msg("%zu: %s, not %s", i, has ? got : "none", want ? want : "none");
			if (has)
				assert_true(prefix_covers(&n->rack[f], &net));
		}
		topo_free(t);
	}
}

static void
near_names(void **state)
{
	struct topo *t = load_data("dc1-500");
	const char *near[3];

	(void)state;
	assert_int_equal(topo_node_near(t, "p3-laef7", near, 3), 3);
	assert_string_equal(near[0], "p3-leaf7");
	assert_int_equal(topo_node_near(t, "supre3", near, 1), 1);
	assert_string_equal(near[0], "super3");
	assert_int_equal(topo_node_near(t, "xyz", near, 3), 0);
	assert_int_equal(topo_node_near(t, "p3-leaf7", near, 0), 0);
	topo_free(t);
}

static void
distances(void **state)
{
	static const struct {
		const char *a, *b;
		size_t want;
	} pairs[] = {
		{ "", "", 0 },
		{ "loopback", "loopback", 0 },
		{ "lopback", "loopback", 1 },
		{ "looopback", "loopback", 1 },
		{ "lookback", "loopback", 1 },
		{ "looback", "loopback", 1 },
		{ "lopoback", "loopback", 1 }, /* a swap of neighbours */
		{ "abc", "", 3 },
		{ "leaf", "spine", 5 },
	};
	char longer[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		assert_int_equal(edit_distance(pairs[i].a, pairs[i].b), pairs[i].want);
		assert_int_equal(edit_distance(pairs[i].b, pairs[i].a), pairs[i].want);
	}
	memset(longer, 'a', sizeof(longer));
	longer[79] = '\0';
	assert_true(edit_distance(longer, "a") == SIZE_MAX);
	assert_false(edit_is_near(edit_distance(longer, "a"), longer));
}

/* First digits of what sha256sum says of the same bytes. */
static void
digest_of_the_bytes(void **state)
{
	struct topo *t = load(
	    "schema: 1\nfabric: x\ntiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n");

	(void)state;
	assert_string_equal(t->digest, "c21afa9");
	topo_free(t);
}

static void
nothing_at_all(void **state)
{
	struct topo_errors errs = { 0 };
	char *s;

	(void)state;
	assert_null(topo_load(NULL, 0, &errs));
	s = topo_errors_print(&errs, "f.yaml", "", 0);
	assert_non_null(strstr(s, "f.yaml: error: the file is empty\n"));
	free(s);
	topo_errors_free(&errs);
	topo_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_to_nodes),
		cmocka_unit_test(near_names),
		cmocka_unit_test(networks_of_routed_host_ports),
		cmocka_unit_test(distances),
		cmocka_unit_test(digest_of_the_bytes),
		cmocka_unit_test(nothing_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
