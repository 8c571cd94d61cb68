/* topology/ranges.c: port ranges to names */
#include "tests/unit/topology/load.h"
#include "topology/model.h"

static const struct {
	const char *range, *want; /* names with spaces, or NULL: refused */
} cases[] = {
	{ "eth1", "eth1" },
	{ "swp[1-3]", "swp1 swp2 swp3" },
	{ "swp[7]", "swp7" },
	{ "Ethernet[0-12/4]", "Ethernet0 Ethernet4 Ethernet8 Ethernet12" },
	{ "eth[1-2,5]", "eth1 eth2 eth5" },
	{ "eth[1,3-7/2,9]", "eth1 eth3 eth5 eth7 eth9" },
	{ "swp[1-2]s[0-3]", "swp1s0 swp1s1 swp1s2 swp1s3 swp2s0 swp2s1 swp2s2 swp2s3" },
	{ "e[1-2]_[0-4/4].x", "e1_0.x e1_4.x e2_0.x e2_4.x" },
	{ "Ethernet1/[1-2]", "Ethernet1/1 Ethernet1/2" },
	{ "swp[1-", NULL },
	{ "swp[]", NULL },
	{ "swp[a-b]", NULL },
	{ "swp[01-04]", NULL },
	{ "swp[3-1]", NULL },
	{ "swp[1-4/0]", NULL },
	{ "swp[0-10/4]", NULL },
	{ "swp[1,1]", NULL },
	{ "swp[1-3,2]", NULL },
	{ "swp[1 - 3]", NULL },
	{ "swp[1-99999999999]", NULL },
	{ "swp[1-5000]", NULL },
	{ "a[1-100]b[1-100]", NULL },
	{ "a[1][1][1][1][1]", NULL },
	{ "sw p[1-2]", NULL },
	{ "swp]1[", NULL },
	{ "-swp1", NULL },
	{ "", NULL },
	{ "abcdefghijabcdefghijabcdefghija", "abcdefghijabcdefghijabcdefghija" },
	{ "abcdefghijabcdefghijabcdefghijab", NULL },
};

static void
expansions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new();
		const char *why = NULL;
		struct buf got = { 0 };
		uint32_t n;
		char(*names)[TOPO_NAME_MAX] = range_expand(a, cases[i].range, &n, &why);

		for (uint32_t k = 0; names && k < n; k++)
			buf_add(&got, "%s%s", k ? " " : "", names[k]);
		if (!names != !cases[i].want)
			fail_msg("\"%s\": %s", cases[i].range, names ? "accepted" : why);
		if (names)
			assert_string_equal(got.at, cases[i].want);
		else
			assert_true(why && why[0]);
		free(got.at);
		arena_free(a);
	}
}

static void
slots_are_bounded(void **state)
{
	struct arena *a = arena_new();
	const char *why = NULL;
	uint32_t n;

	(void)state;
	assert_non_null(range_expand(a, "p[1-64]s[1-64]", &n, &why));
	assert_int_equal(n, SLOTS_MAX);
	assert_null(range_expand(a, "p[1-64]s[1-65]", &n, &why));
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expansions),
		cmocka_unit_test(slots_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
