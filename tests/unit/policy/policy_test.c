/* tests/unit/policy/policy_test.c -- what each place of a fabric hears and tells, from the topology file alone */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/policy/policy.h"

/* Two borders with an outside each: one takes a default, the other everything, at most 500 prefixes. */
static const char fabric[] =
    "schema: 1\n"
    "fabric: dc\n"
    "tiers:\n"
    "  - {name: spine, count: 2, asn: 65000, loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]}\n"
    "  - {name: leaf, count: 4, asn: {base: 65000}, loopback: [10.0.1.0/24, \"fd00:0:0:1::/64\"],\n"
    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-8]\"},\n"
    "     hosts: {ports: \"eth[3-6]\", racks: [{pool: 10.1.0.0/16, len: 24}, {pool: \"fd00:1::/48\", len: 64}]}}\n"
    "  - {name: border, count: 2, role: border, asn: {base: 65200}, loopback: 10.0.2.0/24,\n"
    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[11-12]\"}}\n";
static const char outside[] =
    "external:\n"
    "  - {at: \"border1:eth9\", name: isp-a, asn: 64500, local: 192.0.2.1/31, peer: 192.0.2.0, in: default, out: "
    "aggregates}\n"
    "  - {at: \"border2:eth9\", name: isp-b, asn: 64501, local: 192.0.2.3/31, peer: 192.0.2.2, in: full, out: full, "
    "max_prefixes: 500}\n"
    "  - {at: \"border2:eth8\", name: sink, asn: 64502, local: 192.0.2.5/31, peer: 192.0.2.4, out: default}\n"
    "  - {at: \"border2:eth7\", name: mute, asn: 64503, local: 192.0.2.7/31, peer: 192.0.2.6}\n"
    "aggregates: [10.1.0.0/16]\n";

struct fixture {
	struct mem mem;
	struct topo *topo;
	struct policy *policy; /* of one node */
};

static struct fixture
seen_from(const char *text, const char *more, const char *node)
{
	struct fixture t = { 0 };
	struct topo_errors errs = { 0 };
	char all[8192];

	snprintf(all, sizeof(all), "%s%s", text, more);
	t.topo = topo_load(all, strlen(all), &errs);
	if (!t.topo)
		fail_msg("%s", topo_errors_print(&errs, "fabric.yaml", all, strlen(all)));
	topo_errors_free(&errs);
	assert_non_null(topo_node_find(t.topo, node));
	t.policy = policy_new(NULL, t.topo, topo_node_find(t.topo, node));
	return t;
}

static struct fixture
seen_from_file(const char *path, const char *node)
{
	struct fixture t;
	char text[16384] = "";
	FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("%s: cannot read; tests run from the root of the tree", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	t = seen_from(text, "", node);
	return t;
}

static void
done(struct fixture *t)
{
	policy_free(t->policy);
	topo_free(t->topo);
}

static struct policy_peer *
on_port(const struct fixture *t, const char *node, const char *port)
{
	const struct topo_port *p = topo_port_find(topo_node_find(t->topo, node), port);

	if (!p)
		fail_msg("%s has no port %s", node, port);
	return policy_peer_fabric(t->policy, p);
}

static struct policy_peer *
outside_named(const struct fixture *t, const char *name)
{
	for (size_t i = 0; i < t->topo->nexternals; i++)
		if (strcmp(t->topo->externals[i].name, name) == 0)
			return policy_peer_external(t->policy, &t->topo->externals[i]);
	fail_msg("no external peer %s", name);
	return NULL;
}

struct hearing {
	const char *prefix;
	enum policy_verdict want;
};

static void
check_import(const char *who, const struct policy_peer *pp, const struct hearing *h, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct attrs_view v = { 0 };
		struct prefix p;
		enum policy_verdict got;

		if (!prefix_parse(h[i].prefix, &p))
			fail_msg("%s is no prefix", h[i].prefix);
		got = policy_import(pp, &p, &v);
		if (got != h[i].want)
			fail_msg("%s, %s: %s, wanted %s", who, h[i].prefix, policy_verdict_name(got),
			    policy_verdict_name(h[i].want));
		v.flags = ATTRS_LOOP; /* whatever it is, not with the own AS in its path */
		assert_int_equal(policy_import(pp, &p, &v), POLICY_LOOP);
	}
}

/* ---- import ---- */

static void
test_a_spine_hears_from_a_leaf_what_is_the_leafs(void **state)
{
	static const struct hearing from_leaf3[] = {
		{ "10.0.1.3/32", POLICY_ACCEPT }, { "fd00:0:0:1::3/128", POLICY_ACCEPT },
		{ "10.1.3.0/24", POLICY_ACCEPT }, { "fd00:1:0:3::/64", POLICY_ACCEPT },
		{ "10.1.2.0/24", POLICY_NOT_FROM_THERE },                                           /* another's rack */
		{ "10.0.1.2/32", POLICY_NOT_FROM_THERE }, { "10.0.0.2/32", POLICY_NOT_FROM_THERE }, /* a spine's */
		{ "10.1.3.0/25", POLICY_LENGTH }, { "10.1.3.7/32", POLICY_LENGTH },
		{ "fd00:1:0:3::/65", POLICY_LENGTH }, { "10.1.0.0/16", POLICY_LENGTH },
		{ "0.0.0.0/0", POLICY_NOT_FROM_THERE }, /* the outside is behind the borders */
		{ "::/0", POLICY_NOT_FROM_THERE }, { "198.51.100.0/24", POLICY_NOT_FROM_THERE },
		{ "10.0.0.1/32", POLICY_OWN }, { "127.0.0.0/8", POLICY_MARTIAN },
		{ "10.0.0.0/8", POLICY_NOT_FROM_THERE }, /* above all pools */
	};
	struct fixture t = seen_from(fabric, outside, "spine1");
	struct policy_peer *pp = on_port(&t, "spine1", "eth3");

	(void)state;
	check_import("leaf3", pp, from_leaf3, ARRAY_LEN(from_leaf3));
	assert_int_equal(policy_side(pp), RIB_BELOW);
	assert_int_equal(policy_expected_prefixes(pp), 4);
	assert_int_equal(policy_max_prefixes(pp), 8);
	policy_peer_free(pp);
	done(&t);
}

static void
test_a_spine_hears_the_outside_from_borders_alone(void **state)
{
	static const struct hearing from_border1[] = {
		{ "10.0.2.1/32", POLICY_ACCEPT },
		{ "0.0.0.0/0", POLICY_ACCEPT },
		{ "::/0", POLICY_ACCEPT },
		{ "198.51.100.0/24", POLICY_NOT_FROM_THERE }, /* its outside brings a default and no more */
		{ "10.1.1.0/24", POLICY_NOT_FROM_THERE },
	};
	static const struct hearing from_border2[] = {
		{ "198.51.100.0/24", POLICY_ACCEPT },
		{ "0.0.0.0/0", POLICY_ACCEPT },
		{ "10.1.1.0/24", POLICY_NOT_FROM_THERE }, /* of the fabric stays of the fabric */
		{ "10.1.1.128/25", POLICY_LENGTH },
		{ "224.0.0.0/4", POLICY_MARTIAN },
	};
	struct fixture t = seen_from(fabric, outside, "spine2");
	struct policy_peer *one = on_port(&t, "spine2", "eth11"), *two = on_port(&t, "spine2", "eth12");

	(void)state;
	check_import("border1", one, from_border1, ARRAY_LEN(from_border1));
	check_import("border2", two, from_border2, ARRAY_LEN(from_border2));
	assert_int_equal(policy_expected_prefixes(one), 1 + 2);
	assert_int_equal(policy_expected_prefixes(two), 1 + 500);
	policy_peer_free(one);
	policy_peer_free(two);
	done(&t);
}

static void
test_a_leaf_hears_the_fabric_from_above(void **state)
{
	static const struct hearing from_spine[] = {
		{ "10.0.0.1/32", POLICY_ACCEPT },
		{ "10.0.1.2/32", POLICY_ACCEPT },
		{ "10.1.2.0/24", POLICY_ACCEPT },
		{ "10.1.200.0/24", POLICY_ACCEPT }, /* of a leaf that our file does not know yet */
		{ "fd00:1:0:2::/64", POLICY_ACCEPT },
		{ "10.1.2.0/25", POLICY_LENGTH },
		{ "10.1.2.1/32", POLICY_LENGTH },
		{ "10.0.1.0/24", POLICY_LENGTH },
		{ "10.1.1.0/24", POLICY_OWN },
		{ "10.1.1.77/32", POLICY_OWN }, /* inside our rack */
		{ "10.0.1.1/32", POLICY_OWN },
		{ "fd00:0:0:1::1/128", POLICY_OWN },
		{ "0.0.0.0/0", POLICY_ACCEPT },
		{ "198.51.100.0/24", POLICY_ACCEPT }, /* external */
		{ "169.254.0.0/16", POLICY_MARTIAN },
		{ "fe80::/10", POLICY_MARTIAN },
		{ "ff00::/8", POLICY_MARTIAN },
		{ "::1/128", POLICY_MARTIAN },
		{ "::/128", POLICY_MARTIAN },
		{ "0.0.0.0/8", POLICY_MARTIAN },
		{ "240.0.0.0/4", POLICY_MARTIAN },
		{ "::ffff:10.0.0.0/104", POLICY_MARTIAN },
	};
	struct fixture t = seen_from(fabric, outside, "leaf1");
	struct policy_peer *pp = on_port(&t, "leaf1", "eth2");

	(void)state;
	check_import("spine2", pp, from_spine, ARRAY_LEN(from_spine));
	assert_int_equal(policy_side(pp), RIB_ABOVE);
	/* 2 + 4 nodes with two loopbacks, 2 with one; 4 leaves with two racks; outside 2 + 500 */
	assert_int_equal(policy_expected_prefixes(pp), 12 + 2 + 8 + 502);
	policy_peer_free(pp);
	done(&t);
}

static void
test_without_an_outside_nothing_foreign_is_heard(void **state)
{
	static const struct hearing foreign[] = {
		{ "0.0.0.0/0", POLICY_NOT_FROM_THERE },
		{ "198.51.100.0/24", POLICY_NOT_FROM_THERE },
		{ "10.1.2.0/24", POLICY_ACCEPT },
	};
	struct fixture t = seen_from(fabric, "", "leaf1");
	struct policy_peer *pp = on_port(&t, "leaf1", "eth1");

	(void)state;
	check_import("spine1", pp, foreign, ARRAY_LEN(foreign));
	policy_peer_free(pp);
	done(&t);
}

static void
test_the_outside_is_denied_until_allowed(void **state)
{
	static const struct hearing from_default[] = {
		{ "0.0.0.0/0", POLICY_ACCEPT },
		{ "::/0", POLICY_ACCEPT },
		{ "198.51.100.0/24", POLICY_DENIED },
		{ "10.1.1.0/24", POLICY_DENIED },
	};
	static const struct hearing from_full[] = {
		{ "198.51.100.0/24", POLICY_ACCEPT },
		{ "0.0.0.0/0", POLICY_ACCEPT },
		{ "10.1.1.0/24", POLICY_NOT_FROM_THERE }, /* ours does not come from outside */
		{ "10.1.1.0/30", POLICY_NOT_FROM_THERE },
		{ "10.0.2.2/32", POLICY_OWN },
		{ "10.0.0.0/8", POLICY_ACCEPT }, /* covers ours, and loses to it at each lookup */
		{ "127.0.0.1/32", POLICY_MARTIAN },
	};
	static const struct hearing from_none[] = {
		{ "198.51.100.0/24", POLICY_DENIED },
		{ "0.0.0.0/0", POLICY_DENIED },
	};
	struct fixture t = seen_from(fabric, outside, "border2");
	struct policy_peer *def = outside_named(&t, "isp-a"), *full = outside_named(&t, "isp-b"),
			   *none = outside_named(&t, "sink");

	(void)state;
	check_import("isp-a", def, from_default, ARRAY_LEN(from_default));
	check_import("isp-b", full, from_full, ARRAY_LEN(from_full));
	check_import("sink", none, from_none, ARRAY_LEN(from_none));
	assert_int_equal(policy_side(full), RIB_EXTERNAL);
	assert_int_equal(policy_max_prefixes(full), 500); /* as the file says, not twice that */
	assert_int_equal(policy_max_prefixes(def), UINT64_MAX);
	policy_peer_free(def);
	policy_peer_free(full);
	policy_peer_free(none);
	done(&t);
}

/* What hangs below a spine of three tiers is its pod; what hangs below a super spine is its plane. */
static void
test_three_tiers(void **state)
{
	static const struct hearing from_spine[] = {
		{ "10.3.1.1/32", POLICY_ACCEPT },         /* a leaf two levels below */
		{ "10.32.2.0/24", POLICY_ACCEPT },        /* its rack */
		{ "10.3.2.1/32", POLICY_NOT_FROM_THERE }, /* of the other pod */
	};
	struct fixture t = seen_from_file("tests/data/topology/3tier-small.yaml", "super1");
	const struct topo_node *super = topo_node_find(t.topo, "super1"), *leaf = topo_node_find(t.topo, "p1-leaf2");
	struct policy_peer *pp = NULL;

	(void)state;
	for (uint32_t i = 0; i < super->nports && !pp; i++)
		if (super->ports[i].far_node != TOPO_NONE &&
		    strcmp(t.topo->nodes[super->ports[i].far_node].name, "p1-spine1") == 0)
			pp = policy_peer_fabric(t.policy, &super->ports[i]);
	assert_non_null(pp);
	check_import("p1-spine1", pp, from_spine, 1);
	check_import("p1-spine1", pp, from_spine + 2, 1);
	{
		struct attrs_view v = { 0 };

		assert_int_equal(policy_import(pp, &leaf->rack[FAMILY_IPV4], &v), POLICY_ACCEPT);
	}
	assert_int_equal(policy_expected_prefixes(pp), 2 + 2 * 4); /* itself, and two leaves with a rack each */
	policy_peer_free(pp);
	done(&t);
}

/* ---- export ---- */

static void
test_valley_free(void **state)
{
	static const struct {
		enum rib_side from;
		bool above, below;
	} rules[] = {
		{ RIB_LOCAL, true, true }, { RIB_BELOW, true, true }, { RIB_HOST, true, true },
		{ RIB_EXTERNAL, true, true }, { RIB_ABOVE, false, true }, /* the one rule there is */
	};
	struct fixture t = seen_from_file("tests/data/topology/3tier-small.yaml", "p1-spine1");
	struct policy_peer *up = on_port(&t, "p1-spine1", "eth5"), *down = on_port(&t, "p1-spine1", "eth1");
	struct prefix p;

	(void)state;
	prefix_parse("10.3.2.1/32", &p);
	assert_int_not_equal(policy_class(up), policy_class(down));
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct rib_source s = { .side = (uint8_t)rules[i].from };
		struct attrs a = { 0 };
		struct path best = { .source = &s, .attrs = &a };

		if (policy_export(t.policy, policy_class(up), &p, &best) != rules[i].above ||
		    policy_export(t.policy, policy_class(down), &p, &best) != rules[i].below)
			fail_msg("from %s", rib_side_name(rules[i].from));
		a.v.flags = ATTRS_NO_ADVERTISE; /* RFC 1997 */
		assert_false(policy_export(t.policy, policy_class(up), &p, &best));
		assert_false(policy_export(t.policy, policy_class(down), &p, &best));
		a.v.flags = ATTRS_NO_EXPORT; /* holds at the border of the fabric, not within */
		assert_int_equal(policy_export(t.policy, policy_class(up), &p, &best), rules[i].above);
	}
	policy_peer_free(up);
	policy_peer_free(down);
	done(&t);
}

static void
test_what_the_outside_is_told(void **state)
{
	static const struct {
		const char *prefix;
		bool aggregates, full, def, none;
	} rules[] = {
		{ "10.1.0.0/16", true, true, false, false },
		{ "10.1.3.0/24", false, true, false, false },
		{ "0.0.0.0/0", false, true, true, false },
		{ "::/0", false, true, true, false },
		{ "198.51.100.0/24", false, true, false, false },
	};
	static const char *const names[] = { "isp-a", "isp-b", "sink", "mute" };
	struct fixture t = seen_from(fabric, outside, "border2");
	struct rib_source s = { .side = RIB_ABOVE };
	struct attrs a = { 0 };
	struct path best = { .source = &s, .attrs = &a };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		struct policy_peer *pp = outside_named(&t, names[k]);

		for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
			bool want[] = { rules[i].aggregates, rules[i].full, rules[i].def, rules[i].none };
			struct prefix p;

			prefix_parse(rules[i].prefix, &p);
			a.v.flags = 0;
			if (policy_export(t.policy, policy_class(pp), &p, &best) != want[k])
				fail_msg("%s, %s", names[k], rules[i].prefix);
			a.v.flags = ATTRS_NO_EXPORT;
			assert_false(policy_export(t.policy, policy_class(pp), &p, &best));
		}
		policy_peer_free(pp);
	}
	done(&t);
}

/* An aggregate that this border makes is for the outside; one that somebody else announces, or `originate`, is not. */
static void
test_aggregates_stay_outside(void **state)
{
	static const struct {
		const char *name, *prefix;
		enum rib_side from;
		bool inside;
	} cases[] = {
		{ "made here", "10.1.0.0/16", RIB_LOCAL, false },
		{ "heard from below", "10.1.0.0/16", RIB_BELOW, true },
		{ "own, no aggregate", "10.0.2.1/32", RIB_LOCAL, true },
		{ "originated here, too", "10.64.0.0/12", RIB_LOCAL, true },
	};
	static const char more[] =
	    "external:\n"
	    "  - {at: \"border1:eth9\", name: isp-a, asn: 64500, local: 192.0.2.1/31, peer: 192.0.2.0, out: "
	    "aggregates, originate: [10.64.0.0/12]}\n"
	    "aggregates: [10.1.0.0/16, 10.64.0.0/12]\n";
	struct fixture t = seen_from(fabric, more, "border1");
	struct policy_peer *up = on_port(&t, "border1", "eth1"), *isp = outside_named(&t, "isp-a");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rib_source s = { .side = (uint8_t)cases[i].from };
		struct attrs a = { 0 };
		struct path best = { .source = &s, .attrs = &a };
		struct prefix p;

		prefix_parse(cases[i].prefix, &p);
		if (policy_export(t.policy, policy_class(up), &p, &best) != cases[i].inside)
			fail_msg("%s", cases[i].name);
		assert_int_equal(policy_export(t.policy, policy_class(isp), &p, &best), i != 2);
	}
	policy_peer_free(up);
	policy_peer_free(isp);
	done(&t);
}

/* ---- the rest ---- */

static void
collect(void *arg, const struct prefix *p)
{
	char *text = arg, one[PREFIX_TEXT];

	strcat(strcat(text, prefix_print(p, one)), " ");
}

static void
test_covers(void **state)
{
	struct fixture t = seen_from(fabric, "", "leaf1");
	char text[1024] = "";

	(void)state;
	policy_covers(t.policy, collect, text);
	assert_string_equal(
	    text, "10.0.0.0/24 fd00::/64 10.0.1.0/24 fd00:0:0:1::/64 10.1.0.0/16 fd00:1::/48 10.0.2.0/24 ");
	done(&t);
}

/* A loopback speaks for its fate only when it comes from the node that has it. */
static void
test_witnesses(void **state)
{
	static const struct {
		const char *name, *prefix;
		uint32_t origin_as, fate;
		bool want;
	} cases[] = {
		{ "a leaf's loopback", "10.0.1.2/32", 65002, 7, true },
		{ "of the other family", "fd00:0:0:1::2/128", 65002, 7, true },
		{ "of the last node", "10.0.2.2/32", 65202, 7, true },
		{ "of the first node", "10.0.0.1/32", 65000, 7, true },
		{ "from another leaf", "10.0.1.2/32", 65003, 7, false },
		{ "from nobody's AS", "10.0.1.2/32", 0, 7, false },
		{ "of no fate", "10.0.1.2/32", 65002, 0, false },
		{ "of a pool, but nobody has it", "10.0.1.77/32", 65002, 7, false },
		{ "a rack", "10.1.2.0/24", 65002, 7, false },
		{ "the pool itself", "10.0.1.0/24", 65002, 7, false },
	};
	struct fixture t = seen_from(fabric, outside, "leaf1");
	struct policy_peer *above = on_port(&t, "leaf1", "eth1"), *isp = outside_named(&t, "isp-b");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct attrs_view v = { .origin_as = cases[i].origin_as, .fate = cases[i].fate };
		struct prefix p;

		assert_true(prefix_parse(cases[i].prefix, &p));
		if (policy_is_witness(above, &p, &v) != cases[i].want)
			fail_msg("%s", cases[i].name);
		assert_false(policy_is_witness(isp, &p, &v));
	}
	policy_peer_free(above);
	policy_peer_free(isp);
	done(&t);
}

static void
test_every_verdict_has_words(void **state)
{
	(void)state;
	for (int v = 0; v < POLICY_VERDICTS; v++) {
		assert_true(strlen(policy_verdict_name((enum policy_verdict)v)) > 1);
		assert_true(strlen(policy_verdict_text((enum policy_verdict)v)) > 1);
		assert_null(strchr(policy_verdict_name((enum policy_verdict)v), ' ')); /* for counters */
	}
	assert_string_equal(policy_verdict_name(POLICY_VERDICTS), "?");
}

static void
test_memory_is_given_back(void **state)
{
	struct fixture t = seen_from(fabric, outside, "spine1");
	struct mem m = { 0 };
	struct policy *p = policy_new(&m, t.topo, topo_node_find(t.topo, "spine1"));
	struct policy_peer *pp = policy_peer_fabric(p, topo_port_find(topo_node_find(t.topo, "spine1"), "eth1"));

	(void)state;
	assert_true(m.by[MEM_TOPOLOGY].bytes > 0);
	policy_peer_free(pp);
	policy_peer_free(NULL);
	policy_free(p);
	policy_free(NULL);
	assert_int_equal(m.by[MEM_TOPOLOGY].bytes, 0);
	done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_spine_hears_from_a_leaf_what_is_the_leafs),
		cmocka_unit_test(test_a_spine_hears_the_outside_from_borders_alone),
		cmocka_unit_test(test_a_leaf_hears_the_fabric_from_above),
		cmocka_unit_test(test_without_an_outside_nothing_foreign_is_heard),
		cmocka_unit_test(test_the_outside_is_denied_until_allowed),
		cmocka_unit_test(test_three_tiers),
		cmocka_unit_test(test_valley_free),
		cmocka_unit_test(test_what_the_outside_is_told),
		cmocka_unit_test(test_aggregates_stay_outside),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_witnesses),
		cmocka_unit_test(test_every_verdict_has_words),
		cmocka_unit_test(test_memory_is_given_back),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
