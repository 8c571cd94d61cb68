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
		cmocka_unit_test(distances),
		cmocka_unit_test(digest_of_the_bytes),
		cmocka_unit_test(nothing_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
