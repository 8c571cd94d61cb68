/* topology/print.c: the canonical form is the same file, keeps its comments, and is its own canonical form */
#include "tests/unit/topology/load.h"
#include "topology/tree.h"

#define HEAD "schema: 1\nfabric: x\n"
#define TIER "tiers:\n  - {name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}\n"

static const struct {
	const char *name, *text, *want;
} cases[] = {
	{ "as it should be", HEAD TIER, HEAD TIER },
	{ "spaces", "schema:    1\nfabric:   x\n\n\n" TIER, "schema: 1\nfabric: x\n\n" TIER },
	{ "JSON",
	    "{\"schema\": 1, \"fabric\": \"x\", \"tiers\": [{\"name\": \"leaf\", \"count\": 1, \"asn\": 65001,"
	    " \"loopback\": \"10.0.0.0/24\"}]}",
	    HEAD TIER },
	{ "quotes where YAML needs them",
	    HEAD TIER "x-a: ['a:b', \"c d\", 'e#f', \"it's\", 'g[1]', '', '-', \"a\\nb\"]\n",
	    HEAD TIER "x-a: [\"a:b\", c d, \"e#f\", \"it's\", \"g[1]\", \"\", \"-\", \"a\\nb\"]\n" },
	{ "quotes kept around what looks typed", HEAD TIER "x-a: ['12', 'true', 'off', 'null', 'word', off]\n",
	    HEAD TIER "x-a: [\"12\", \"true\", \"off\", \"null\", word, off]\n" },
	{ "serials and MACs in quotes",
	    HEAD TIER "devices: {leaf1: {serial: AB12, mac: 52-54-00-12-34-56, model: AB12}}\n",
	    HEAD TIER "devices:\n  leaf1: {serial: \"AB12\", mac: \"52-54-00-12-34-56\", model: AB12}\n" },
	{ "block scalar", HEAD TIER "x-a: |\n  one\n  # two\n", HEAD TIER "x-a: \"one\\n# two\\n\"\n" },
	{ "beyond ASCII", HEAD TIER "x-a: Z\xc3\xbcrich \"\xe2\x82\xac\n",
	    HEAD TIER "x-a: \"Z\xc3\xbcrich \\\"\xe2\x82\xac\"\n" },
	{ "escaped separators stay escaped", HEAD TIER "x-a: \"\\u2028\\uFEFF\\x85\\U0001F600\"\n",
	    HEAD TIER "x-a: \"\\u2028\\uFEFF\\u0085\xf0\x9f\x98\x80\"\n" },
	{ "long items take a line per key",
	    HEAD "tiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24, hosts: {ports: \"swp[1-32]\", "
		 "rack_always: true,"
		 " bridge: none, on_isolated: keep}}]\n",
	    HEAD "tiers:\n  - name: leaf\n    count: 1\n    asn: 65001\n    loopback: 10.0.0.0/24\n"
		 "    hosts: {ports: \"swp[1-32]\", rack_always: true, bridge: none, on_isolated: keep}\n" },
	{ "comments on lines of their own", "# one\n\n# two\nschema: 1\n# three\nfabric: x\n" TIER "# end\n",
	    "# one\n\n# two\nschema: 1\n# three\nfabric: x\n" TIER "# end\n" },
	{ "comments behind",
	    "schema: 1 # one\nfabric: x # two\ntiers: # three\n  - {name: leaf, count: 1, asn: 65001, loopback: "
	    "10.0.0.0/24} # four\n",
	    "schema: 1  # one\nfabric: x  # two\ntiers:  # three\n  - {name: leaf, count: 1, asn: 65001, loopback: "
	    "10.0.0.0/24}  # four\n" },
	{ "comments in a flow map",
	    HEAD
	    "tiers:\n  - {name: leaf, # a\n     # b\n     count: 1, asn: 65001,\n     loopback: 10.0.0.0/24} # c\n",
	    HEAD
	    "tiers:\n  # c\n  - name: leaf  # a\n    # b\n    count: 1\n    asn: 65001\n    loopback: 10.0.0.0/24\n" },
	{ "comments in a list", HEAD TIER "x-a: [ # a\n  b, # c\n  # d\n  e # f\n  ] # g\n",
	    HEAD TIER "x-a:  # a # g\n  - b  # c\n  # d\n  - e  # f\n" },
	{ "comment behind a closed map", HEAD TIER "x-a: {\n  b: 1 } # c\n", HEAD TIER "x-a: {b: 1}  # c\n" },
	{ "comment of a block scalar", HEAD TIER "x-a: |  # c\n  b\n# d\nx-e: f\n",
	    HEAD TIER "x-a: \"b\\n\"  # c\n# d\nx-e: f\n" },
	{ "lists in lists", HEAD TIER "x-a: [[1, [2]], # a\n  [3]]\n", HEAD TIER "x-a:\n  - [1, [2]]  # a\n  - [3]\n" },
	{ "comment deep inside", HEAD TIER "x-a: [[[1, # a\n  2]]]\n", HEAD TIER "x-a:\n  - - - 1  # a\n      - 2\n" },
	{ "before the first of nested lists", HEAD TIER "x-a:\n  -\n    # a\n    - 1 # b\n    - 2\n",
	    HEAD TIER "x-a:\n  # a\n  - - 1  # b\n    - 2\n" },
	{ "a hash inside quotes", HEAD TIER "x-a: '# no' # yes\n", HEAD TIER "x-a: \"# no\"  # yes\n" },
	{ "two comments behind one value", HEAD TIER "x-a: [b # c\n  , # d\n  e]   # f  \n",
	    HEAD TIER "x-a:  # f\n  - b  # c # d\n  - e\n" },
	{ "document mark", "--- # a\n" HEAD TIER "...\n# b\n", "# a\n" HEAD TIER "# b\n" },
	{ "empty collections", HEAD TIER "x-a: {}\nx-b: []\nx-c: [{}, [], '']\n",
	    HEAD TIER "x-a: {}\nx-b: []\nx-c: [{}, [], \"\"]\n" },
};

static char *
printed(const char *text)
{
	struct topo *t = load(text);
	char *s = topo_print(t);

	topo_free(t);
	return s;
}

static void
canonical_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *once = printed(cases[i].text), *twice = printed(once);

		if (strcmp(once, cases[i].want) != 0)
			fail_msg("%s: wanted:\n%s\ngot:\n%s", cases[i].name, cases[i].want, once);
		if (strcmp(once, twice) != 0)
			fail_msg("%s: not its own form:\n%s\nthen:\n%s", cases[i].name, once, twice);
		free(once);
		free(twice);
	}
}

/* The same tree: kinds, keys in order, texts. */
static void
same_tree(const struct tree *a, const struct tree *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->n, b->n);
	if (a->kind == TREE_SCALAR)
		assert_string_equal(a->text, b->text);
	for (size_t i = 0; i < a->n; i++) {
		if (a->entries[i].key)
			assert_string_equal(a->entries[i].key->text, b->entries[i].key->text);
		same_tree(a->entries[i].value, b->entries[i].value);
	}
}

static size_t
hashes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '#';
	return n;
}

static const char *const files[] = { "4x2", "16x4", "3tier-small", "border", "all-keys", "dc1-500" };

static void
parse_of_print_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = data(files[i]), *once, *twice, *a, *b;
		struct topo *t = load(text), *again;
		struct topo_errors errs = { 0 };

		once = topo_print(t);
		again = load(once);
		twice = topo_print(again);
		assert_string_equal(once, twice);
		same_tree(t->doc->root, again->doc->root);
		assert_int_equal(hashes(text), hashes(once)); /* no comment is lost */
		a = topo_expand(t, NULL);
		b = topo_expand(again, NULL);
		assert_string_equal(a, b);
		assert_int_equal(topo_moved(t, again, &errs), 0);
		free(a);
		free(b);
		free(once);
		free(twice);
		free(text);
		topo_free(t);
		topo_free(again);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_form),
		cmocka_unit_test(parse_of_print_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
