/*
 * tests/unit/sim/world_test.c -- whole fabrics of real nodes in virtual time: they come up, forward, and heal
 *
 * What is asked of a fabric is asked of its packets: every pair of switches, both families, every equal path. How many
 * equal paths there should be is computed here from the file's links alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/world.h"
#include "tests/unit/sim/fixture.h"

#define CALM MS(300)

static void
print_event(void *arg, const struct journal_event *e)
{
	struct world_node *wn = arg;

	if (getenv("WORLD_LOG"))
		printf("%9.6f %-8s %-14s %-6s %s\n", (double)e->at.us / 1e6, wn->topo->name, e->type, e->port, e->text);
}

static struct world *
make(const struct topo *t, uint64_t seed)
{
	struct world_config cfg = { .topo = t, .seed = seed, .log = print_event };
	char err[256];
	struct world *w = world_new(&cfg, err, sizeof(err));

	if (!w)
		fail_msg("%s", err);
	return w;
}

static void
settle(struct world *w, int64_t within)
{
	struct mono limit = mono_add(sim_now(world_net(w)), within);

	if (!world_settle(w, CALM, limit))
		fail_msg("the fabric did not become quiet within %lld ms", (long long)(within / 1000));
}

static void
end(struct world *w, struct topo *t)
{
	world_free(w);
	topo_free(t);
}

struct tally {
	size_t arrived, other, valleys;
};

static void
count_walk(void *arg, const struct world_walk *walk)
{
	struct tally *t = arg;

	if (walk->fate == WORLD_ARRIVED)
		t->arrived++;
	else
		t->other++;
	t->valleys += walk->valley;
}

/* Every equal path of every pair of leaves' racks, both families: each arrives, there are `width` of them, no valley.
 */
static void
expect_leaf_mesh(struct world *w, const struct topo *t, size_t width)
{
	for (size_t i = 0; i < t->nnodes; i++)
		for (size_t k = 0; k < t->nnodes; k++)
			for (int f = 0; f < FAMILIES; f++) {
				struct tally tally = { 0 };
				struct ip dst;

				if (i == k || t->nodes[i].level || !t->nodes[k].has_rack[f] || !t->nodes[i].has_rack[f])
					continue;
				dst = node_rack_gateway(&t->nodes[k].rack[f]);
				world_walk_all(w, (uint32_t)i, &dst, count_walk, &tally);
				if (tally.arrived != width || tally.other || tally.valleys)
					fail_msg("%s to %s, %s: %zu paths arrive, %zu do not, %zu valleys; wanted %zu",
					    t->nodes[i].name, t->nodes[k].name, family_name((enum family)f),
					    tally.arrived, tally.other, tally.valleys, width);
			}
}

static void
expect_leaf_pair(struct world *w, const struct topo *t, const char *from, const char *to, size_t width)
{
	struct ip dst = node_rack_gateway(&topo_node_find(t, to)->rack[FAMILY_IPV4]);
	struct tally tally = { 0 };

	world_walk_all(w, topo_node_find(t, from)->index, &dst, count_walk, &tally);
	assert_int_equal(tally.other, 0);
	assert_int_equal(tally.arrived, width);
}

static void
test_4x2_converges_and_uses_both_spines(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 1);

	(void)state;
	settle(w, SECONDS(30));
	expect_leaf_mesh(w, t, 2);
	end(w, t);
}

static void
test_16x4_converges(void **state)
{
	struct topo *t = load_file("16x4.yaml");
	struct world *w = make(t, 2);

	(void)state;
	settle(w, SECONDS(30));
	expect_leaf_mesh(w, t, 4);
	end(w, t);
}

static void
test_three_tiers_converge(void **state)
{
	struct topo *t = load_file("3tier-small.yaml");
	struct world *w = make(t, 3);
	size_t arrived = 0;

	(void)state;
	settle(w, SECONDS(30));
	for (size_t i = 0; i < t->nnodes; i++)
		for (size_t k = 0; k < t->nnodes; k++) {
			struct tally tally = { 0 };
			struct ip dst;

			if (i == k || t->nodes[i].level || !t->nodes[k].has_rack[FAMILY_IPV4])
				continue;
			dst = node_rack_gateway(&t->nodes[k].rack[FAMILY_IPV4]);
			world_walk_all(w, (uint32_t)i, &dst, count_walk, &tally);
			assert_int_equal(tally.other, 0);
			assert_int_equal(tally.valleys, 0);
			/* two spines of the pod; to another pod each spine has the supers of its plane */
			assert_int_equal(tally.arrived, t->nodes[i].pod == t->nodes[k].pod ? 2 : 4);
			arrived += tally.arrived;
		}
	assert_int_not_equal(arrived, 0);
	end(w, t);
}

static void
test_a_cut_link_narrows_and_heals(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 4);
	struct tally tally = { 0 };
	struct ip dst;

	(void)state;
	settle(w, SECONDS(30));
	assert_int_equal(world_link_set(w, "leaf1", "eth1", false), 0);
	settle(w, SECONDS(30));
	dst = node_rack_gateway(&topo_node_find(t, "leaf1")->rack[FAMILY_IPV6]);
	world_walk_all(w, topo_node_find(t, "leaf3")->index, &dst, count_walk, &tally);
	assert_int_equal(tally.arrived, 1);
	assert_int_equal(tally.other, 0);
	assert_int_equal(world_link_set(w, "leaf1", "eth1", true), 0);
	settle(w, SECONDS(30));
	expect_leaf_mesh(w, t, 2);
	end(w, t);
}

static void
test_a_spine_that_goes_dark_is_routed_around(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5);
	char err[256];

	(void)state;
	settle(w, SECONDS(30));
	world_crash(world_node_find(w, "spine2"), SIM_DARK);
	settle(w, SECONDS(30));
	expect_leaf_mesh(w, t, 1);
	assert_int_equal(world_boot(world_node_find(w, "spine2"), err, sizeof(err)), 0);
	settle(w, SECONDS(30));
	expect_leaf_mesh(w, t, 2);
	end(w, t);
}

/* What a port sends is lost, its carrier stays: BFD finds it in its detection time, hold time in seconds. */
static void
test_silent_loss_is_found_by_bfd(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world_config cfg = { .topo = t, .seed = 21, .log = print_event, .bfd = true };
	char err[256];
	struct world *w = world_new(&cfg, err, sizeof(err));
	struct node_peer *peer;
	int64_t detect = t->timers.bfd_us * t->timers.bfd_multiplier;

	(void)state;
	assert_non_null(w);
	world_run(w, SECONDS(10));
	peer = node_port_find(world_node_find(w, "leaf1")->node, "eth1")->peer;
	assert_true(peer->established);
	assert_true(peer->bfd_up);
	assert_int_equal(world_black(w, "leaf1", "eth1", true), 0);
	world_run(w, detect - MS(110));
	assert_true(peer->established);
	world_run(w, MS(120));
	assert_false(peer->bfd_up);
	assert_false(peer->established);
	/* Only what leaf1 sends is lost: the spine finds it, and says so in a hard reset (RFC 9384, 8538). */
	assert_int_equal(bgp_peer_last_reset(peer->bgp)->code, BGP_ERR_CEASE);
	assert_int_equal(bgp_peer_last_reset(peer->bgp)->subcode, BGP_CEASE_HARD_RESET);
	assert_non_null(strstr(bgp_peer_notice_in(peer->bgp), "(6/10): BFD down"));
	world_run(w, MS(50));
	expect_leaf_pair(w, t, "leaf1", "leaf3", 1);
	assert_int_equal(world_black(w, "leaf1", "eth1", false), 0);
	world_run(w, SECONDS(20));
	expect_leaf_pair(w, t, "leaf1", "leaf3", 2);
	end(w, t);
}

/* Spines share one AS number: only the BGP Identifier tells them apart (2/3). */
static void
test_T10_swapped_spine_cables_are_refused(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 6);
	struct node_port *p;
	char why[BGP_REASON_TEXT];

	(void)state;
	assert_int_equal(world_swap(w, "leaf1", "eth1", "leaf1", "eth2"), 0);
	world_run(w, SECONDS(20));
	p = node_port_find(world_node_find(w, "leaf1")->node, "eth1");
	assert_false(p->peer->established);
	node_peer_why(p->peer, why, sizeof(why));
	if (!strstr(why, "spine1") && !strstr(why, "10.0.0.1"))
		fail_msg("the reason does not say who was wanted: %s", why);
	if (!strstr(why, "10.0.0.2") && !strstr(why, "spine2"))
		fail_msg("the reason does not say who was seen: %s", why);
	end(w, t);
}

static void
test_the_same_seed_gives_the_same_run(void **state)
{
	uint64_t events[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct topo *t = load_file("4x2.yaml");
		struct world *w = make(t, i < 2 ? 7 : 8);
		struct sim_stats s;

		world_run(w, SECONDS(30));
		world_link_set(w, "leaf2", "eth2", false);
		world_run(w, SECONDS(30));
		sim_stats(world_net(w), &s);
		events[i] = s.events * 1000003u + s.bytes;
		end(w, t);
	}
	assert_int_equal(events[0], events[1]);
	assert_int_not_equal(events[0], events[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_4x2_converges_and_uses_both_spines),
		cmocka_unit_test(test_16x4_converges),
		cmocka_unit_test(test_three_tiers_converge),
		cmocka_unit_test(test_a_cut_link_narrows_and_heals),
		cmocka_unit_test(test_a_spine_that_goes_dark_is_routed_around),
		cmocka_unit_test(test_silent_loss_is_found_by_bfd),
		cmocka_unit_test(test_T10_swapped_spine_cables_are_refused),
		cmocka_unit_test(test_the_same_seed_gives_the_same_run),
	};

	return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
