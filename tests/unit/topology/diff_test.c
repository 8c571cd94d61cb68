/* topology/diff.c: one edit of a file, and the changes that the switches would see */
#include "tests/unit/topology/load.h"

static const struct {
	const char *name, *file, *find, *with;
	size_t n;                                  /* changes */
	const char *node, *what, *key, *from, *to; /* of one of them */
	enum topo_effect effect;
	bool moved;
} edits[] = {
	{ "a comment", "4x2", "schema: 1", "schema: 1 # same", 0, NULL, NULL, NULL, NULL, NULL, TOPO_LIVE, false },
	{ "the order of keys", "4x2", "count: 2, asn: 65000", "asn: 65000, count: 2", 0, NULL, NULL, NULL, NULL, NULL,
	    TOPO_LIVE, false },
	{ "a leaf more", "4x2", "count: 4,", "count: 5,", 3, "spine2", "port", "eth5", "", "leaf5:eth2", TOPO_SESSION,
	    false },
	{ "the new switch", "4x2", "count: 4,", "count: 5,", 3, "leaf5", "switch", "", "", "present", TOPO_SESSION,
	    false },
	{ "a leaf less", "4x2", "count: 4,", "count: 3,", 3, "spine1", "port", "eth4", "leaf4:eth1", "", TOPO_SESSION,
	    false },
	{ "the AS", "4x2", "{base: 65000}", "{base: 65100}", 4, "leaf2", "AS", "", "65002", "65102", TOPO_RESTART,
	    true },
	{ "the rack", "4x2", "10.1.0.0/16, len: 24", "10.1.0.0/16, len: 25", 4, "leaf1", "rack", "IPv4", "10.1.1.0/24",
	    "10.1.0.128/25", TOPO_RESTART, true },
	{ "the ports above", "4x2", "eth[1-32]", "eth[33-64]", 24, "leaf1", "port", "eth1", "spine1:eth1",
	    "spine1:eth33", TOPO_SESSION, true },
	{ "host ports", "4x2", "eth[3-6]", "eth[3-7]", 4, "leaf1", "port", "eth7", "", "host", TOPO_LIVE, false },
	{ "routed host ports", "4x2", "ports: \"eth[3-6]\",", "ports: \"eth[3-6]\", bridge: none,", 33, "leaf3",
	    "host network", "eth4", "", "10.1.3.64/27", TOPO_RESTART, false },
	{ "the hold time", "dc1-500", "hold: 9s", "hold: 30s", 1, "", "setting", "timers.hold", "9000ms", "30000ms",
	    TOPO_RESTART, false },
	{ "BFD", "dc1-500", "3x50ms", "3x100ms", 1, "", "setting", "timers.bfd", "50ms", "100ms", TOPO_LIVE, false },
	{ "a pod more", "dc1-500", "pods: 13", "pods: 14", 0, "p14-leaf1", "switch", "", "", "present", TOPO_SESSION,
	    false },
	{ "a policy", "dc1-500", "on_wrong_port: warn", "on_wrong_port: block", 1, "", "setting",
	    "policy.on_wrong_port", "warn", "block", TOPO_LIVE, false },
	{ "a session outside", "border", "asn: 64500", "asn: 64501", 1, "border1", "external", "isp-a", NULL, NULL,
	    TOPO_SESSION, false },
};

static bool
is_it(const struct topo_change *c, size_t i)
{
	return strcmp(c->node, edits[i].node) == 0 && strcmp(c->what, edits[i].what) == 0 &&
	       strcmp(c->key, edits[i].key) == 0 && (!edits[i].from || strcmp(c->from, edits[i].from) == 0) &&
	       (!edits[i].to || strcmp(c->to, edits[i].to) == 0) && c->effect == edits[i].effect &&
	       c->moved == edits[i].moved;
}

static void
edits_and_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		struct topo *before = load_data(edits[i].file), *after;
		char *text = edited(data(edits[i].file), edits[i].find, edits[i].with);
		struct topo_changes c = { 0 };
		struct topo_errors errs = { 0 };
		size_t moved = 0, found = 0;

		after = load(text);
		topo_diff(before, after, &c);
		for (size_t k = 0; k < c.n; k++) {
			found += edits[i].node && is_it(&c.list[k], i);
			moved += c.list[k].moved;
		}
		if ((edits[i].n || !edits[i].node) && c.n != edits[i].n)
			fail_msg("%s: %zu changes, the first %s %s %s", edits[i].name, c.n, c.n ? c.list[0].node : "",
			    c.n ? c.list[0].what : "", c.n ? c.list[0].key : "");
		if (edits[i].node && found != 1)
			fail_msg("%s: seen %zu times among %zu changes", edits[i].name, found, c.n);
		if (!moved != !topo_moved(before, after, &errs))
			fail_msg("%s: %zu changes are moves", edits[i].name, moved);
		topo_changes_free(&c);
		topo_errors_free(&errs);
		topo_free(before);
		topo_free(after);
		free(text);
	}
}

/* The way back has as many changes, and a file against itself none. */
static void
there_and_back(void **state)
{
	static const char *const files[] = { "4x2", "16x4", "3tier-small", "border", "all-keys" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		for (size_t k = 0; k < ARRAY_LEN(files); k++) {
			struct topo *a = load_data(files[i]), *b = load_data(files[k]);
			struct topo_changes there = { 0 }, back = { 0 };

			topo_diff(a, b, &there);
			topo_diff(b, a, &back);
			assert_int_equal(!there.n, i == k);
			for (size_t n = 0; n < there.n; n++)
				if (strcmp(there.list[n].from, there.list[n].to) == 0)
					fail_msg("%s to %s: %s %s changes to itself", files[i], files[k],
					    there.list[n].node, there.list[n].what);
			assert_int_equal(!back.n, i == k);
			topo_changes_free(&there);
			topo_changes_free(&back);
			topo_free(a);
			topo_free(b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_and_changes),
		cmocka_unit_test(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
