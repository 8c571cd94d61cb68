/* tests/unit/sim/bound_test.c -- which pairs of switches a fault concerns, and that bounds only grow */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/bound.h"
#include "tests/unit/sim/fixture.h"

static const struct {
	const char *name, *file, *node, *port, *from, *to;
	bool concerns;
} cases[] = {
	{ "an uplink of one of them", "4x2.yaml", "leaf1", "eth1", "leaf1", "leaf3", true },
	{ "an uplink of the other", "4x2.yaml", "leaf3", "eth1", "leaf1", "leaf3", true },
	{ "an uplink of a third", "4x2.yaml", "leaf2", "eth1", "leaf1", "leaf3", false },
	{ "the same, given by its upper end", "4x2.yaml", "spine1", "eth2", "leaf1", "leaf3", false },
	{ "a spine", "4x2.yaml", "spine2", NULL, "leaf1", "leaf3", true },
	{ "a third leaf", "4x2.yaml", "leaf2", NULL, "leaf1", "leaf3", false },
	{ "one of them", "4x2.yaml", "leaf1", NULL, "leaf1", "leaf3", true },
	{ "the other spine, for a spine", "4x2.yaml", "spine2", NULL, "spine1", "leaf3", false },
	{ "another uplink, for a spine", "4x2.yaml", "leaf3", "eth2", "spine1", "leaf3", false },
	{ "the link itself, for a spine", "4x2.yaml", "leaf3", "eth1", "spine1", "leaf3", true },
	{ "a super between pods", "3tier-small.yaml", "super1", NULL, "p1-leaf1", "p2-leaf1", true },
	{ "a super may be taken within a pod", "3tier-small.yaml", "super1", NULL, "p1-leaf1", "p1-leaf2", true },
	{ "a spine of a third pod's leaf", "3tier-small.yaml", "p2-leaf1", "eth1", "p1-leaf1", "p1-leaf2", false },
	{ "a super of another plane", "3tier-small.yaml", "super1", NULL, "p1-spine2", "p2-leaf1", false },
};

static void
concerned(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct topo *t = load_file(cases[i].file);
		struct bound *b = bound_new(t, (struct mono){ 7 });
		const struct topo_node *n = topo_node_find(t, cases[i].node);
		uint32_t from = topo_node_find(t, cases[i].from)->index, to = topo_node_find(t, cases[i].to)->index;
		struct place p = { cases[i].port ? topo_port_find(n, cases[i].port)->link : TOPO_NONE, n->index };

		if (bound_concerns(b, &p, from, to) != cases[i].concerns ||
		    bound_concerns(b, &p, to, from) != cases[i].concerns)
			fail_msg("%s: the wrong answer", cases[i].name);
		bound_free(b);
		topo_free(t);
	}
}

static void
only_grows(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct bound *b = bound_new(t, (struct mono){ 7 });

	(void)state;
	assert_int_equal(bound_of(b, 0, 1).us, 7);
	bound_raise(b, 0, 1, (struct mono){ 100 });
	bound_raise(b, 0, 1, (struct mono){ 50 });
	assert_int_equal(bound_of(b, 0, 1).us, 100);
	assert_int_equal(bound_of(b, 1, 0).us, 7);
	bound_free(b);
	topo_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(concerned),
		cmocka_unit_test(only_grows),
	};

	return cmocka_run_group_tests_name("bound", tests, NULL, NULL);
}
