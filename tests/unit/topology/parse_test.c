/* topology/parse.c: which bytes are a topology file at all, and where each complaint points */
#include "tests/unit/topology/load.h"
#include "topology/tree.h"

#define HEAD "schema: 1\nfabric: x\n"
#define TIER "tiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n"

struct text_case {
	const char *name;
	const char *text;
	size_t len;       /* 0: up to the NUL */
	const char *want; /* NULL: accepted */
};

static void
run(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
		char *got = all_errors(cases[i].text, len);

		if (cases[i].want ? !strstr(got, cases[i].want) : strstr(got, "error") != NULL)
			fail_msg("%s: wanted \"%s\", got: %s", cases[i].name, cases[i].want ? cases[i].want : "", got);
		free(got);
	}
}

#define BYTES(s) s, sizeof(s) - 1

static const struct text_case byte_cases[] = {
	{ "empty", "", 0, "f.yaml: error: the file is empty" },
	{ "only blanks", "  \n\n", 0, "the file is empty" },
	{ "only a comment", "# nothing\n", 0, "the file is empty" },
	{ "only a document mark", "---\n", 0, "the file is empty" },
	{ "binary",
	    BYTES("\x7f"
		  "ELF\x02\x01\x01\0\0\0"),
	    "f.yaml:1:8: error: the file holds a NUL byte" },
	{ "a NUL inside", BYTES(HEAD "x-a: \"b\0c\"\n" TIER), "f.yaml:3:8: error: the file holds a NUL byte" },
	{ "BOM", BYTES("\xef\xbb\xbf" HEAD TIER), "f.yaml:1:1: error: the file begins with a byte order mark" },
	{ "UTF-16", BYTES("\xff\xfes\0c\0h\0"), "f.yaml:1:1: error: the text is not UTF-8" },
	{ "CRLF", BYTES("schema: 1\r\nfabric: x\r\n"), "f.yaml:1:10: error: the line ends with CR LF" },
	{ "Latin-1", BYTES(HEAD "x-city: Z\xfcrich\n" TIER), "f.yaml:3:10: error: the text is not UTF-8" },
	{ "UTF-8 too long", BYTES(HEAD "x-a: \xc0\xaf\n" TIER), "f.yaml:3:6: error: the text is not UTF-8" },
	{ "UTF-8 surrogate", BYTES(HEAD "x-a: \xed\xa0\x80\n" TIER), "not UTF-8" },
	{ "UTF-8 above the end", BYTES(HEAD "x-a: \xf4\x90\x80\x80\n" TIER), "not UTF-8" },
	{ "UTF-8 cut", BYTES(HEAD "x-a: \xe2\x82"), "not UTF-8" },
	{ "UTF-8 as it should be", BYTES(HEAD "x-city: Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80\n" TIER), NULL },
	{ "a line separator",
	    BYTES(HEAD "x-a: a\xe2\x80\xa8"
		       "b\n" TIER),
	    "f.yaml:3:7: error: a Unicode line separator (U+2028)" },
	{ "a control character", BYTES(HEAD "x-a: a\x1b[2J\n" TIER), "f.yaml:3:7: error: a control character" },
	{ "no line end at the end", HEAD "tiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]", 0,
	    NULL },
};

static void
test_C01_bytes(void **state)
{
	(void)state;
	run(byte_cases, ARRAY_LEN(byte_cases));
}

/* The message never passes on what a terminal would act upon. */
static void
test_C01_shown_safely(void **state)
{
	static const char text[] = HEAD "x-a: a\x1b[2J\xc2\x9b"
					"31m \xff\n";
	char *got = all_errors(text, sizeof(text) - 1);

	(void)state;
	assert_null(strchr(got, 0x1b));
	assert_null(strchr(got, (char)0xff));
	assert_null(strstr(got, "\xc2\x9b"));
	free(got);
}

static void
test_C01_size_and_lines(void **state)
{
	size_t n = TREE_SIZE_MAX;
	char *big = malloc(n + 2), *got;
	double start = seconds_now();

	(void)state;
	memset(big, '#', n + 1);
	got = all_errors(big, n + 1);
	assert_non_null(strstr(got, "at most 4194304 (4 MiB)"));
	free(got);
	got = all_errors(big, n); /* the largest size, in one line */
	assert_non_null(strstr(got, "f.yaml:1:1: error: the line is longer than 1 MiB"));
	free(got);
	for (size_t i = 0; i < n; i += 80)
		big[i] = '\n';
	strcpy(big + n - sizeof(HEAD TIER), "\n" HEAD TIER);
	got = all_errors(big, n);
	assert_string_equal(got, "");
	free(got);
	free(big);
	assert_true(seconds_now() - start < 10);
}

/* One line of a megabyte, of the densest tokens, costs no more than its length. */
static void
test_C01_endless_line(void **state)
{
	static const char *const parts[] = { "[", "{", "a: ", "- ", "? ", "a,", "{a: 1}, ", "\xc3\xbc,", "\"\\\"" };
	double start = seconds_now();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t m = strlen(parts[i]), n = (TREE_LINE_MAX - 8) / m;
		char *text = calloc(1, TREE_LINE_MAX + 256), *got;

		strcpy(text, HEAD "x-a: [");
		for (size_t k = 0, at = strlen(text); k < n; k++, at += m)
			memcpy(text + at, parts[i], m);
		strcat(text, "]\n" TIER);
		got = all_errors(text, strlen(text));
		free(got);
		free(text);
	}
	assert_true(seconds_now() - start < 60);
}

static const struct text_case yaml_cases[] = {
	{ "JSON",
	    "{\"schema\": 1, \"fabric\": \"x\", \"tiers\": [{\"name\": \"leaf\", \"count\": 1, \"asn\": 65001, "
	    "\"loopback\": \"10.0.0.0/24\"}]}",
	    0, NULL },
	{ "JSON without spaces",
	    "{\"schema\":1,\"fabric\":\"x\",\"tiers\":[{\"name\":\"leaf\",\"count\":1,\"asn\":65001,"
	    "\"loopback\":\"10.0.0.0\\/24\"}]}",
	    0, NULL },
	{ "JSON over lines", "{\n\"schema\": 1,\n\"fabric\": \"x\",\n" TIER "\n}\n", 0, NULL },
	{ "document mark", "---\n" HEAD TIER, 0, NULL },
	{ "end mark", HEAD TIER "...\n", 0, NULL },
	{ "single quotes", "schema: '1'\nfabric: 'x'\n" TIER, 0, NULL },
	{ "block scalar in x-", HEAD "x-note: |  # why\n  one\n  # two\n" TIER, 0, NULL },
	{ "x- in a tier", HEAD "tiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24, x-a: {b: [c]}}]", 0,
	    NULL },
	{ "a list at the top", "- schema: 1\n", 0, "f.yaml:1:1: error: the file must be a map" },
	{ "a word at the top", "schema\n", 0, "f.yaml:1:1: error: the file must be a map" },
	{ "anchor", HEAD "x-a: &a 1\n" TIER, 0, "f.yaml:3:6: error: anchors" },
	{ "anchor on a list", HEAD "x-a: &a [1]\n" TIER, 0, "f.yaml:3:6: error: anchors" },
	{ "anchor on a map", HEAD "x-a: &a {b: 1}\n" TIER, 0, "f.yaml:3:6: error: anchors" },
	{ "alias", HEAD "x-a: *b\n" TIER, 0, "f.yaml:3:6: error: aliases" },
	{ "merge key", HEAD "x-a: {<<: {a: 1}}\n" TIER, 0, "f.yaml:3:7: error: merge keys" },
	{ "tag", HEAD "x-a: !!int 1\n" TIER, 0, "f.yaml:3:6: error: tags" },
	{ "tag on a map", HEAD "x-a: !foo {a: 1}\n" TIER, 0, "f.yaml:3:6: error: tags" },
	{ "lone tag", HEAD "x-a: ! 1\n" TIER, 0, "f.yaml:3:6: error: tags" },
	{ "directive", "%YAML 1.1\n---\n" HEAD TIER, 0, "f.yaml:1:1: error: directives" },
	{ "tag directive", "%TAG ! tag:example.com,2000:\n---\n" HEAD TIER, 0, "error: directives" },
	{ "two documents", HEAD TIER "---\n" HEAD TIER, 0, "f.yaml:4:1: error: a second document" },
	{ "tab as indentation", HEAD "x-a:\n\tb: 1\n" TIER, 0, "f.yaml:4:1: error: a tab" },
	{ "tab in a value", HEAD "x-a: \"a\tb\"\n" TIER, 0, "f.yaml:3:8: error: a tab" },
	{ "key twice", HEAD "fabric: y\n" TIER, 0,
	    "f.yaml:3:1: error: the key `fabric` stands here a second time; it is also in line 2" },
	{ "key twice in a flow map", HEAD "tiers: [{name: leaf, count: 1, count: 2}]", 0,
	    "f.yaml:3:32: error: the key `count`" },
	{ "key twice, quoted", HEAD "\"fabric\": y\n" TIER, 0, "f.yaml:3:1: error: the key `fabric`" },
	{ "key twice in x-", HEAD "x-a: {b: 1, b: 2}\n" TIER, 0, "f.yaml:3:13: error: the key `b`" },
	{ "a list as key", HEAD "? [a]\n: b\n" TIER, 0, "f.yaml:3:3: error: a key must be a word" },
	{ "a map as key", HEAD "{a: b}: c\n" TIER, 0, "error: a key must be a word" },
	{ "an unquoted port range", HEAD "x-r: swp[1-2\n" TIER, 0, NULL },
	{ "bracket not closed", HEAD "x-a: [1, 2\n" TIER, 0, "error: this is not YAML" },
	{ "quote not closed", HEAD "x-a: \"1\n" TIER, 0, "error: this is not YAML" },
	{ "bad indentation", HEAD "x-a:\n   b: 1\n  c: 2\n" TIER, 0, "f.yaml:5:3: error: this is not YAML" },
	{ "escaped control character", HEAD "x-a: \"\\e[2J\"\n" TIER, 0,
	    "f.yaml:3:6: error: the text holds a control character" },
	{ "escaped NUL", HEAD "x-a: \"\\0\"\n" TIER, 0, "f.yaml:3:6: error: the text holds a control character" },
	{ "a key too long",
	    HEAD "x-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n" TIER, 0,
	    "f.yaml:3:1: error: a key is longer than 64 bytes" },
	{ "depth 16", HEAD "x-a: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n" TIER, 0, NULL },
	{ "depth 17", HEAD "x-a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n" TIER, 0,
	    "f.yaml:3:21: error: more than 16 levels" },
};

static void
subset_of_yaml(void **state)
{
	(void)state;
	run(yaml_cases, ARRAY_LEN(yaml_cases));
}

static void
test_C06_nesting(void **state)
{
	static const char *const open[] = { "[", "{a: ", "- ", "? " };
	double start = seconds_now();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(open); i++) {
		struct buf b = { 0 };
		char *got;

		buf_text(&b, HEAD "x-a:\n  ");
		for (size_t k = 0; k < 10000; k++)
			buf_text(&b, open[i]);
		got = all_errors(b.at, b.n);
		assert_non_null(strstr(got, "error: "));
		free(got);
		free(b.at);
	}
	assert_true(seconds_now() - start < 5);
}

/* All errors of one text at once, each with its place; none twice, and no key is missed that is misspelt. */
static void
all_at_once(void **state)
{
	static const char text[] =
	    "schema: 1\nfabrik: x\ntiers:\n  - {nme: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}\nmtu: 100\n"
	    "timers: {hold: 9}\necmp: {weights: comunity}\n";
	static const char *const want[] = {
		"f.yaml:2:1: error: `fabrik` is not a key of the file\n     2 | fabrik: x\n       | ^\n         did "
		"you mean `fabric`?",
		"f.yaml:4:6: error: `nme` is not a key of a tier\n     4 |   - {nme: leaf, count: 1, asn: 65001, "
		"loopback: 10.0.0.0/24}\n       |      ^\n",
		"f.yaml:5:6: error: `mtu` is \"100\"; it must be a whole number from 1280 to 65535",
		"f.yaml:6:16: error: `hold` is \"9\"; it must be a time with its unit",
		"f.yaml:7:17: error: `comunity` is not known here; `weights` is one of: off, community, auto",
		"did you mean `community`?",
	};
	char *got = all_errors(text, strlen(text)), *at = got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		at = strstr(at, want[i]);
		if (!at)
			fail_msg("\"%s\" is missing, or not in its order, in: %s", want[i], got);
	}
	assert_null(strstr(got, "needs the key"));
	free(got);
}

/* One slip does not hide the others: counts, ports, pools and AS numbers of the same file. */
static void
all_kinds_at_once(void **state)
{
	static const char text[] =
	    "schema: 1\nfabric: x\ntiers:\n"
	    "  - {name: spine, count: 3, asn: 65001, loopback: 10.0.0.0/24}\n"
	    "  - {name: leaf, count: 4, asn: {base: 65000}, loopback: 10.0.0.0/28,\n"
	    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-32]\"}, hosts: {ports: \"eth[2-6]\"}}\n"
	    "mtu: 1\nmtuu: 1\n";
	static const char *const want[] = {
		"f.yaml:4:26: error: tier `spine`: 3 nodes, but the port range",
		"f.yaml:5:33: error: AS clash",
		"f.yaml:5:58: error: overlapping pools",
		"f.yaml:5:58: error: tier `leaf`, loopback: pool 10.0.0.0/28 is too small",
		"f.yaml:6:78: error: port eth2 of tier `leaf` is taken twice",
		"f.yaml:7:6: error: `mtu` is \"1\"",
		"f.yaml:8:1: error: `mtuu` is not a key",
	};
	char *got = all_errors(text, strlen(text)), *at = got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		at = strstr(at, want[i]);
		if (!at)
			fail_msg("\"%s\" is missing, or not in its order, in: %s", want[i], got);
	}
	free(got);
}

static void
many_errors_are_cut(void **state)
{
	struct buf b = { 0 };
	struct topo_errors errs = { 0 };

	(void)state;
	buf_text(&b, "schema: 1\n");
	for (int i = 0; i < 100000; i++)
		buf_add(&b, "key%d: 1\n", i);
	assert_null(topo_load(b.at, b.n, &errs));
	assert_int_equal(errs.n, TOPO_ERRORS_MAX + 1);
	assert_non_null(strstr(errs.list[errs.n - 1].text, "more errors"));
	topo_errors_free(&errs);
	free(b.at);
}

/* A line of UTF-8 before the caret, and one that is too long to show whole. */
static void
carets(void **state)
{
	static const char text[] = HEAD "x-a: {\xc3\xbc\xc3\xbc: 1, b: &c 2}\n";
	struct buf b = { 0 };
	char *got = all_errors(text, strlen(text));

	(void)state;
	assert_non_null(strstr(got, "f.yaml:3:17: error: anchors"));
	assert_non_null(strstr(got, "\xc3\xbc\xc3\xbc: 1, b: &c 2}\n       |                 ^\n"));
	free(got);
	buf_text(&b, HEAD "x-a: [");
	for (int i = 0; i < 500; i++)
		buf_text(&b, "1234567, ");
	buf_text(&b, "&here 1]\n");
	got = all_errors(b.at, b.n);
	assert_non_null(strstr(got, "f.yaml:3:4507: error: anchors"));
	assert_non_null(strstr(got, "&here 1]\n"));
	assert_true(strlen(got) < 600);
	free(got);
	free(b.at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_C01_bytes),
		cmocka_unit_test(test_C01_shown_safely),
		cmocka_unit_test(test_C01_size_and_lines),
		cmocka_unit_test(test_C01_endless_line),
		cmocka_unit_test(subset_of_yaml),
		cmocka_unit_test(test_C06_nesting),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(all_kinds_at_once),
		cmocka_unit_test(many_errors_are_cut),
		cmocka_unit_test(carets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
