/*
 * tests/unit/sim/fault_test.c -- a fault does what it is called: each kind has an effect that can be seen, and its end undoes it
 *
 * What routing makes of them is judged elsewhere (scenario_test.c); here it would not be noticed if a fault were none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/sim/fixture.h"

/* What of the world is looked at, of leaf1 and its port eth1. */
struct seen {
	struct sim_port_view port, back; /* eth1, and what is at its other end */
	struct node *node;
	bool told_carrier; /* the switch was */
	bool powered, stalled;
	bool outlives;   /* groups of one member, that member */
	int64_t wall_us; /* less the virtual time */
	uint64_t lost, failed;
	size_t routes, in_flight;
};

static void
look(struct bench *b, struct seen *s)
{
	struct world_node *wn = world_node_find(b->w, "leaf1");
	const struct node_port *p = wn->node ? node_port_find(wn->node, "eth1") : NULL;
	struct model_stats m = { 0 };
	struct sim_stats sim;

	*s = (struct seen){ .node = wn->node, .powered = wn->platform != NULL };
	sim_port_get(wn->rt, 1, &s->port);
	if (s->port.far_node)
		sim_port_get(s->port.far_node, s->port.far_ifindex, &s->back);
	s->told_carrier = p && p->plat.carrier;
	s->stalled = sim_node_stalled(wn->rt).us > sim_now(world_net(b->w)).us;
	if (wn->node)
		s->wall_us = rt_wall_us(wn->rt) - sim_now(world_net(b->w)).us;
	sim_stats(world_net(b->w), &sim);
	s->lost = sim.packets_lost;
	if (wn->platform) {
		model_stats(wn->platform, &m);
		s->outlives = wn->platform->caps.group_outlives;
	}
	s->failed = m.failed + m.full + m.transient;
	s->routes = m.routes[FAMILY_IPV4];
	s->in_flight = m.in_flight;
}

/* `was` before the fault, `is` in it. */
typedef bool effect_fn(const struct seen *was, const struct seen *is);

static bool
no_carrier(const struct seen *was, const struct seen *is)
{
	return was->port.carrier && !is->port.carrier && !is->told_carrier;
}

static bool
no_power(const struct seen *was, const struct seen *is)
{
	return was->powered && !is->powered && !is->node && !is->port.carrier;
}

static bool
no_process(const struct seen *was, const struct seen *is)
{
	return was->node && !is->node && is->powered && is->port.carrier && is->routes == was->routes;
}

static bool
deaf_one_way(const struct seen *was, const struct seen *is)
{
	return was->port.passes && !is->port.passes && is->back.passes && is->port.carrier;
}

static bool
deaf_both_ways(const struct seen *was, const struct seen *is)
{
	return was->port.passes && !is->port.passes && !is->back.passes && is->port.carrier;
}

static bool
stands_still(const struct seen *was, const struct seen *is)
{
	return !was->stalled && is->stalled && is->node == was->node;
}

static bool
leads_elsewhere(const struct seen *was, const struct seen *is)
{
	return is->port.far_node && is->port.far_node != was->port.far_node;
}

static bool
refuses(const struct seen *was, const struct seen *is)
{
	return is->failed > was->failed && is->routes < was->routes;
}

static bool
has_lost_a_route(const struct seen *was, const struct seen *is)
{
	return is->routes + 1 == was->routes;
}

static bool
has_weak_groups(const struct seen *was, const struct seen *is)
{
	return is->outlives != was->outlives;
}

static bool
does_nothing(const struct seen *was, const struct seen *is)
{
	return is->in_flight > was->in_flight && is->routes < was->routes;
}

/* Told that it is there again, the node has no cause to put it back. */
static bool
lies(const struct seen *was, const struct seen *is)
{
	return is->routes < was->routes && is->in_flight == 0 && is->failed == was->failed;
}

static bool
lives_in_another_time(const struct seen *was, const struct seen *is)
{
	return is->wall_us == was->wall_us + SECONDS(1 << 37 % 24);
}

static bool
hears_it_late(const struct seen *was, const struct seen *is)
{
	return was->told_carrier && !is->port.carrier && is->told_carrier;
}

static bool
loses_packets(const struct seen *was, const struct seen *is)
{
	return is->lost > was->lost && is->port.passes;
}

static bool
is_another_one(const struct seen *was, const struct seen *is)
{
	return is->node && is->node != was->node && is->routes == was->routes;
}

static const struct {
	enum fault_kind kind;
	const char *text;
	int64_t after_us; /* when the effect is looked at */
	effect_fn *effect;
	bool stays; /* it has no end of its own: the clock is as it is, routing puts the route back */
} cases[] = {
	{ FAULT_CUT, "@8 cut leaf1:eth1 for 3", MS(1), no_carrier, false },
	{ FAULT_FLAP, "@8 flap leaf1:eth1 for 3", MS(1), no_carrier, false },
	{ FAULT_DARK, "@8 dark leaf1 for 3", MS(1), no_power, false },
	{ FAULT_KILL, "@8 kill leaf1 for 3", MS(1), no_process, false },
	{ FAULT_STOP, "@8 stop leaf1 for 3", WORLD_LINGER_US + MS(1), no_process, false },
	{ FAULT_ONE_WAY, "@8 one-way leaf1:eth1 for 3", MS(1), deaf_one_way, false },
	{ FAULT_TWO_WAY, "@8 two-way leaf1:eth1 for 3", MS(1), deaf_both_ways, false },
	{ FAULT_STALL, "@8 stall leaf1 for 3", MS(1), stands_still, false },
	{ FAULT_SWAP, "@8 swap leaf1:eth1 leaf2:eth2 for 3", MS(1), leads_elsewhere, false },
	{ FAULT_REFUSE, "@8 refuse leaf1 for 3 with 40", MS(1), refuses, false },
	{ FAULT_LOSE, "@8 lose leaf1 with 16", MS(1), has_lost_a_route, true },
	{ FAULT_LOSE, "@8 lose leaf1 with 2", MS(1), has_weak_groups, true },
	{ FAULT_HANG, "@8 hang leaf1 for 3 with 8", MS(1), does_nothing, false },
	{ FAULT_LIE, "@8 lie leaf1 for 3 with 8", MS(1), lies, true },
	{ FAULT_CLOCK, "@8 clock leaf1 with 37", MS(1), lives_in_another_time, true },
	{ FAULT_LATE, "@8 late leaf1:eth1 for 3 with 9", MS(500), hears_it_late, false },
	{ FAULT_LOSSY, "@8 lossy leaf1:eth1 for 300 with 5", SECONDS(299), loses_packets, true },
	{ FAULT_UPGRADE, "@8 upgrade leaf1", SECONDS(1), is_another_one, true },
};

static void
each_kind_has_an_effect(void **state)
{
	bool tried[FAULT_KINDS] = { false };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct seen was, is;
		struct fault f;
		struct bench b;
		char err[256];

		bench_init(&b, "4x2.yaml");
		assert_true(fault_parse(b.t, cases[i].text, &f, err, sizeof(err)));
		assert_int_equal(f.kind, cases[i].kind);
		tried[f.kind] = true;
		look(&b, &was);
		assert_false(cases[i].effect(&was, &was));
		assert_int_equal(fault_do(b.w, b.c, &f, 0), 1);
		check_run_until(b.c, mono_add(f.at, cases[i].after_us));
		look(&b, &is);
		if (!cases[i].effect(&was, &is))
			fail_msg("%s: no effect", cases[i].text);
		fault_do(b.w, b.c, &f, 1);
		check_run_until(b.c, mono_add(f.at, cases[i].after_us + SECONDS(3)));
		look(&b, &is);
		if (!cases[i].stays && cases[i].effect(&was, &is))
			fail_msg("%s: it has no end", cases[i].text);
		bench_done(&b, CHECK_NONE);
	}
	for (int k = 0; k < FAULT_KINDS; k++)
		assert_true(tried[k]);
}

/* ---- forwarding planes that are small or slow ---- */

/* The groups do not fit: what does not is refused, the switch says so, and nothing is sent astray. */
static void
a_limit_of_groups(void **state)
{
	struct topo *t = load_file("4x2.yaml");

	(void)state;
	for (uint32_t most = 1; most < 4; most++) {
		struct world_config cfg = { .topo = t, .seed = 3, .model = { .max_groups = most } };
		struct check_config cold = { .cold = true };
		struct sync_stats s;
		char err[256];
		struct world *w = world_new(&cfg, err, sizeof(err));
		struct check *c = check_new(w, &cold);

		check_fault(c, SECONDS(600), NULL, 0); /* that not all is reached is not the point */
		check_run_until(c, (struct mono){ SECONDS(20) });
		assert_int_equal(check_violation(c)->kind, CHECK_NONE);
		sync_stats(world_node_find(w, "spine1")->node->sync, &s); /* wants a group for each of four leaves */
		assert_true(s.groups > most);
		assert_true(s.routes_waiting + s.routes_failed > 0);
		check_free(c);
		world_free(w);
	}
	topo_free(t);
}

/* Nobody is told of a route before the forwarding plane has it (slow by 50 ms), so that the fabric comes up later, and whole. */
static void
slow_acknowledgement(void **state)
{
	uint64_t reached[2];

	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		struct bench b;
		struct world_walk walk;
		struct ip dst;

		bench_init_as(&b, "4x2.yaml", (struct world_config){ .model = { .ack_us = slow ? MS(50) : 0 } });
		dst = prefix_addr(&topo_node_find(b.t, "leaf4")->loopback[FAMILY_IPV4]);
		world_link_set(b.w, "leaf4", "eth1", false);
		world_link_set(b.w, "leaf4", "eth2", false);
		check_fault(b.c, 0, NULL, 0);
		check_run_until(b.c, mono_add(sim_now(world_net(b.w)), SECONDS(1)));
		world_link_set(b.w, "leaf4", "eth1", true);
		check_fault(b.c, 0, NULL, 0);
		for (reached[slow] = 0; reached[slow] < 1000; reached[slow]++) {
			if (world_walk(b.w, 2, &dst, 1, &walk) == WORLD_ARRIVED)
				break;
			check_run_until(b.c, mono_add(sim_now(world_net(b.w)), MS(1)));
		}
		bench_done(&b, CHECK_NONE);
	}
	assert_in_range(reached[1], reached[0] + 99, reached[0] + 300); /* at the spine, then at the leaf */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_an_effect),
		cmocka_unit_test(a_limit_of_groups),
		cmocka_unit_test(slow_acknowledgement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
