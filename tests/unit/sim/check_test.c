/* tests/unit/sim/check_test.c -- a check that cannot fail is none: each invariant is broken on purpose, and is found */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/node_impl.h"
#include "tests/unit/sim/fixture.h"

/* A route of a switch to somebody's rack, straight in its forwarding plane, behind everybody's back. */
static void
force(struct bench *b, const char *node, const char *to, const char *port)
{
	struct world_node *wn = world_node_find(b->w, node);
	struct plat_op op[2] = { { .kind = PLAT_NH_SET, .id = 77 }, { .kind = PLAT_ROUTE_SET } };
	struct sim_port_view v, far;

	op[0].nh.ifindex = world_ifindex(wn, port);
	assert_int_equal(sim_port_get(wn->rt, op[0].nh.ifindex, &v), 0);
	if (v.far_node) {
		sim_port_get(v.far_node, v.far_ifindex, &far);
		op[0].nh.gateway = far.link_local;
	}
	op[1].route = (struct plat_route){ .prefix = topo_node_find(b->t, to)->rack[FAMILY_IPV4],
		.type = PLAT_UNICAST,
		.group_is_nh = true,
		.group = 77,
		.metric = 1 };
	wn->platform->client = NULL; /* its results are not for the node */
	assert_int_equal(wn->platform->ops->submit(wn->platform, op, 2), 2);
	world_run(b->w, MS(1));
}

static void
a_valley_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	world_link_set(b.w, "leaf1", "eth1", false);
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	force(&b, "spine1", "leaf1", "eth2"); /* by leaf2, which sends it up to spine2 */
	bench_done(&b, CHECK_VALLEY);
}

static void
a_packet_that_leaves_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	force(&b, "leaf2", "leaf1", "eth3"); /* a host port */
	bench_done(&b, CHECK_LEAVES);
}

/* With routers outside, and default routes to them everywhere. */
static void
a_packet_that_leaves_by_a_border_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "outside.yaml");
	force(&b, "border1", "leaf1", "eth9");
	bench_done(&b, CHECK_LEAVES);
}

/* The default route of a leaf goes: at once, and when all is compared though a fault would allow it. */
static void
an_outside_that_is_lost_is_found(void **state)
{
	struct world_node *wn;
	struct prefix p;
	struct bench b;

	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		bench_init(&b, "outside.yaml");
		wn = world_node_find(b.w, "leaf2");
		assert_true(prefix_parse("0.0.0.0/0", &p));
		if (allowed)
			check_fault(b.c, SECONDS(60), NULL, 0);
		assert_int_equal(model_lose_route(wn->platform, 0, &p, 20, false), 0);
		check_lightly(b.c); /* else the comparison with what sync wants finds it first */
		check_quiet(b.c);
		if (!allowed)
			assert_non_null(strstr(check_violation(b.c)->text, "leaf2 does not reach 0.0.0.0/0"));
		bench_done(&b, allowed ? CHECK_OUTSIDE : CHECK_BLACK_HOLE);
	}
}

/* A border loses its way out without a word: what that costs all who go out by it is counted, until the audit finds it. */
static void
the_way_out_is_measured(void **state)
{
	struct prefix p;
	struct bench b;

	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		bench_init(&b, "outside.yaml");
		assert_true(prefix_parse("0.0.0.0/0", &p));
		if (allowed)
			check_fault(b.c, SECONDS(66), NULL, 0);
		assert_int_equal(model_lose_route(world_node_find(b.w, "border1")->platform, 0, &p, 20, false), 0);
		check_run_until(b.c, mono_add(sim_now(world_net(b.w)), SECONDS(70)));
		if (allowed) {
			assert_in_range(check_stats(b.c)->losses, 5, 100); /* leaves and spines */
			assert_in_range(check_stats(b.c)->worst_us, SECONDS(20), SECONDS(66));
		} else {
			assert_non_null(strstr(check_violation(b.c)->text, "world outside"));
		}
		bench_done(&b, allowed ? CHECK_NONE : CHECK_BLACK_HOLE);
	}
}

/* A border that loses its sessions takes its default route back, and all go by the other. */
static void
the_other_border_takes_over(void **state)
{
	struct world_walk walk;
	struct ip probe = { .family = FAMILY_IPV4 };
	struct bench b;

	(void)state;
	bench_init(&b, "outside.yaml");
	assert_true(ip_parse("20.0.5.1", &probe)); /* one of the prefixes of those outside */
	world_outside_set(b.w, false);
	sim_link_set(world_outside(b.w, &(size_t){ 0 })[1].rt, 1, true); /* isp-b of border2 comes back */
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(20) });
	for (uint64_t flow = 0; flow < 16; flow++) {
		assert_int_equal(world_walk(b.w, topo_node_find(b.t, "leaf1")->index, &probe, flow, &walk), WORLD_LEFT);
		assert_int_equal(walk.nhops, 3);
		assert_string_equal(b.t->nodes[walk.hops[2]].name, "border2");
	}
	world_outside_set(b.w, false);
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(21) });
	assert_int_not_equal(world_walk(b.w, topo_node_find(b.t, "leaf1")->index, &probe, 0, &walk), WORLD_LEFT);
	bench_done(&b, CHECK_NONE);
}

static void
a_next_hop_that_did_not_advertise_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "3tier-small.yaml");
	world_link_set(b.w, "p1-leaf1", "eth1", false); /* plane 1 has no way to it */
	check_fault(b.c, 0, NULL, 0);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	check_fault(b.c, SECONDS(60), NULL, 0); /* that it does not arrive is not the point */
	force(&b, "p2-leaf1", "p1-leaf1", "eth1");
	check_run_until(b.c, (struct mono){ SECONDS(10) });
	bench_done(&b, CHECK_UNADVERTISED);
}

static void
a_black_hole_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	world_black(b.w, "leaf1", "eth1", true);
	check_fault(b.c, 0, NULL, 0); /* nobody says that it may take the hold time */
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	bench_done(&b, CHECK_BLACK_HOLE);
	bench_init(&b, "4x2.yaml");
	model_lose_route(
	    world_node_find(b.w, "leaf1")->platform, 0, &topo_node_find(b.t, "leaf2")->rack[FAMILY_IPV4], 20, false);
	check_run_until(b.c, (struct mono){ SECONDS(9) });
	bench_done(&b, CHECK_BLACK_HOLE);
}

static bool
is_counted_on(struct bench *b)
{
	size_t link = topo_node_find(b->t, "leaf1")->ports[0].link;

	return check_counted_on(b->c).ends[2 * link];
}

/*
 * A link falls for a second. How long after that it is counted on again is a matter of its name, and a name is mended by use
 * alone. From then on a hole is found that nobody has allowed.
 */
static void
a_link_is_counted_on_when_its_name_is_good(void **state)
{
	static const struct {
		const char *name;
		int64_t half_life_us;
		uint32_t suppress;
		int64_t lossy_us,
		    slow_us;        /* from 100 s on: frames are lost; the switch is slow, so that nothing is in use */
		int64_t falls_us;   /* after 100 s */
		int64_t counted_us; /* after it works again, and the switch is not slow */
	} cases[] = {
		{ "well", SECONDS(5), 3, 0, 0, SECONDS(100), SECONDS(5 + 1) },
		{ "while its switch was slow", SECONDS(5), 3, 0, SECONDS(400), SECONDS(350), SECONDS(10 + 31) },
		{ "it lost frames, and was not used since", SECONDS(5), 3, SECONDS(100), SECONDS(400), SECONDS(350),
		    SECONDS(90) },
		{ "it lost frames, and was used since for too short a time", SECONDS(5), 3, SECONDS(100), 0,
		    SECONDS(249), SECONDS(90) },
		{ "it lost frames, and was used since for long", SECONDS(5), 3, SECONDS(100), 0, SECONDS(251),
		    SECONDS(5 + 1) },
		{ "half-life of 20 s: too short", SECONDS(20), 3, SECONDS(100), 0, SECONDS(609), SECONDS(270) },
		{ "half-life of 20 s: long", SECONDS(20), 3, SECONDS(100), 0, SECONDS(611), SECONDS(5 + 1) },
		{ "half-life of 20 s, kept out for the first flap", SECONDS(20), 1, 0, 0, SECONDS(100), MS(23500) },
		{ "short half-life: idle hold remembers for longer", MS(100), 3, SECONDS(100), 0, SECONDS(249),
		    SECONDS(90) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct check_config cold = { .cold = true };
		struct bench b = { .t = load_file("4x2.yaml") };
		struct world_config cfg = { .topo = b.t, .seed = 3 };
		const struct topo_node *leaf1 = topo_node_find(b.t, "leaf1");
		const struct mono from = { SECONDS(100) };
		struct mono works;
		char err[256];

		b.t->timers.damping_half_life_us = cases[i].half_life_us;
		b.t->timers.damping_suppress = cases[i].suppress;
		b.w = world_new(&cfg, err, sizeof(err));
		b.c = check_new(b.w, &cold);
		check_run_until(b.c, from);
		check_unsafe(b.c, leaf1->ports[0].link, mono_add(from, cases[i].lossy_us));
		check_slow(b.c, leaf1->index, mono_add(from, cases[i].slow_us), 0);
		check_run_until(b.c, mono_add(from, cases[i].falls_us));
		world_link_set(b.w, "leaf1", "eth1", false);
		check_fault(b.c, 0, NULL, 0);
		check_run_until(b.c, mono_add(from, cases[i].falls_us + SECONDS(1)));
		world_link_set(b.w, "leaf1", "eth1", true);
		check_fault(b.c, 0, NULL, 0);
		works.us = MAX_OF(sim_now(world_net(b.w)).us, from.us + cases[i].slow_us);
		check_run_until(b.c, mono_add(works, cases[i].counted_us - MS(1)));
		if (is_counted_on(&b))
			fail_msg("%s: counted on too early", cases[i].name);
		check_run_until(b.c, mono_add(works, cases[i].counted_us + MS(1)));
		if (!is_counted_on(&b))
			fail_msg("%s: not counted on", cases[i].name);
		model_lose_route(world_node_find(b.w, "spine1")->platform, 0, &leaf1->rack[FAMILY_IPV4], 20, false);
		check_run_until(b.c, mono_add(sim_now(world_net(b.w)), SECONDS(1)));
		bench_done(&b, CHECK_BLACK_HOLE);
	}
}

static void
a_narrow_route_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	force(&b, "leaf2", "leaf1", "eth1"); /* it arrives, and should use both spines */
	check_quiet(b.c);
	bench_done(&b, CHECK_PATHS);
}

/* A switch whose every callback takes a second, and says so to nobody. */
static void
a_late_keepalive_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	check_run_until(b.c, (struct mono){ SECONDS(60) });
	assert_int_equal(check_violation(b.c)->kind, CHECK_NONE);
	sim_node_cpu(world_node_find(b.w, "leaf1")->rt, SECONDS(1), 0);
	check_run_until(b.c, (struct mono){ SECONDS(90) });
	bench_done(&b, CHECK_LATE);
}

/* With CPU time nothing is late, and time passes while a fabric comes up. */
static void
cpu_time_passes(void **state)
{
	struct topo *t = load_file("outside.yaml");
	struct scenario sc = { .topo = t, .seed = 5, .outside = true, .feed = 3000, .until = { SECONDS(150) } };
	struct outcome free_of_charge, slow;

	(void)state;
	expect_nothing(&sc, &free_of_charge);
	sc.cpu_us = 50;
	expect_nothing(&sc, &slow);
	assert_true(slow.hash != free_of_charge.hash);
	topo_free(t);
}

/* Whether no session of BFD has ever been down since it came up, and all are up. */
static bool
bfd_holds(struct bench *b)
{
	for (uint32_t i = 0; i < b->t->nnodes; i++) {
		const struct node *n = world_node_at(b->w, i)->node;

		for (size_t k = 0; n && k < n->nports; k++)
			for (const struct node_peer *p = n->ports[k].peer; p; p = p->next)
				if (p->far && (!p->established || !p->bfd_up || p->bfd_event))
					return false;
	}
	return true;
}

/*
 * CPU time for each callback, while tables of some thousand prefixes come from outside, go, and come back: BFD stays up
 * (detection 300 ms by the file), and no keepalive is late. With a hundred times as much it does not.
 */
static void
bfd_and_keepalives_hold_while_the_cpu_is_busy(void **state)
{
	struct bench b;

	(void)state;
	bench_init_as(&b, "outside.yaml", (struct world_config){ .bfd = true, .feed = 3000, .cpu_us = 50 });
	for (int i = 0; i < 4; i++) {
		world_outside_set(b.w, i % 2);
		check_fault(b.c, SECONDS(10), NULL, 0);
		check_run_until(b.c, mono_add(sim_now(world_net(b.w)), SECONDS(15)));
		if (check_violation(b.c)->kind)
			fail_msg("%s", check_violation(b.c)->text);
	}
	assert_true(bfd_holds(&b));
	for (uint32_t i = 0; i < b.t->nnodes; i++)
		sim_node_cpu(world_node_at(b.w, i)->rt, MS(5), MS(25));
	world_outside_set(b.w, false);
	check_fault(b.c, SECONDS(600), NULL, 0);
	check_run_until(b.c, mono_add(sim_now(world_net(b.w)), SECONDS(15)));
	assert_false(bfd_holds(&b));
	check_free(b.c);
	world_free(b.w);
	topo_free(b.t);
}

/* A session that is reset, and a next hop that goes, while a switch is being upgraded. */
static void
an_upgrade_that_is_noticed_is_found(void **state)
{
	struct bench b;
	uint32_t leaf1;

	(void)state;
	for (int how = 0; how < 4; how++) {
		bench_init(&b, "4x2.yaml");
		check_run_until(b.c, (struct mono){ SECONDS(30) });
		leaf1 = topo_node_find(b.t, "leaf1")->index;
		check_upgrade_begins(b.c, leaf1, SECONDS(5));
		check_run_until(b.c, (struct mono){ SECONDS(31) });
		if (how == 1)
			sim_stream_kill(
			    world_node_at(b.w, leaf1)->rt, 1, -ECONNRESET); /* graceful: no packet is lost */
		if (how == 2)
			bgp_send_refresh(node_port_find(world_node_find(b.w, "spine1")->node, "eth1")->peer->bgp,
			    FAMILY_IPV4, BGP_REFRESH_REQUEST);
		check_upgrade_ended(b.c, leaf1, how == 3 ? -EAGAIN : 0, "");
		check_run_until(b.c, (struct mono){ SECONDS(60) });
		bench_done(&b, how ? CHECK_UPGRADE : CHECK_NONE);
	}
}

/* A forwarding plane that does not answer: its switch waits for it, when all should be done. */
static void
who_has_work_left_is_found(void **state)
{
	struct world_node *leaf1;
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	leaf1 = world_node_find(b.w, "leaf1");
	model_hang(leaf1->platform, true);
	world_link_set(b.w, "leaf1", "eth1", false);
	check_fault(b.c, 0, NULL, 0);
	world_run(b.w, MS(1));
	check_quiet(b.c);
	bench_done(&b, CHECK_RESTLESS);
}

/* Down by hand, and nobody put down why. */
static void
a_state_without_a_reason_is_found(void **state)
{
	struct node_peer *peer;
	struct bgp_reason *reason;
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	peer = node_port_find(world_node_find(b.w, "leaf1")->node, "eth1")->peer;
	assert_true(peer->established);
	reason = (struct bgp_reason *)(uintptr_t)bgp_peer_reason(peer->bgp);
	reason->text[0] = '\0';
	peer->established = false;
	check_quiet(b.c);
	peer->established = true;
	bench_done(&b, CHECK_REASON);
}

static void
what_is_left_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b, "4x2.yaml");
	check_empty(b.c); /* nothing was withdrawn */
	bench_done(&b, CHECK_LEAK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valley_is_found),
		cmocka_unit_test(a_packet_that_leaves_is_found),
		cmocka_unit_test(a_packet_that_leaves_by_a_border_is_found),
		cmocka_unit_test(an_outside_that_is_lost_is_found),
		cmocka_unit_test(the_way_out_is_measured),
		cmocka_unit_test(the_other_border_takes_over),
		cmocka_unit_test(a_next_hop_that_did_not_advertise_is_found),
		cmocka_unit_test(a_black_hole_is_found),
		cmocka_unit_test(a_link_is_counted_on_when_its_name_is_good),
		cmocka_unit_test(a_narrow_route_is_found),
		cmocka_unit_test(a_late_keepalive_is_found),
		cmocka_unit_test(cpu_time_passes),
		cmocka_unit_test(bfd_and_keepalives_hold_while_the_cpu_is_busy),
		cmocka_unit_test(an_upgrade_that_is_noticed_is_found),
		cmocka_unit_test(who_has_work_left_is_found),
		cmocka_unit_test(a_state_without_a_reason_is_found),
		cmocka_unit_test(what_is_left_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
