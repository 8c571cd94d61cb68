/*
 * tests/unit/node/network_test.c -- what networks do to a fabric: silence, loss, delay, copies, flipped bits, partitions, clocks
 *
 * Whole switches in virtual time, with BFD at 100 ms x 3 where it says so. What counts is which ways packets have
 * (forwarding planes), who noticed, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/node/puppet.h"
#include "tests/unit/node/stage.h"

#define LEAF4_AS  65004
#define LEAF4_ID  0x0a000104 /* 10.0.1.4 */
#define DETECT_US MS(300)

static struct stage
begin(const char *file, bool bfd, uint64_t seed)
{
	struct stage s = stage_begin(file, (struct world_config){ .seed = seed, .bfd = bfd });

	s.down = node_port_find(s.spine1->node, "eth4")->peer;
	s.up = node_port_find(s.leaf4->node, "eth1")->peer;
	assert_true(s.down->established && s.up->established);
	return s;
}

static uint64_t
flaps(const struct node_peer *p)
{
	return bgp_peer_counters(p->bgp)->flaps;
}

/* Of all sessions of all switches. */
static uint64_t
all_flaps(struct stage *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->topo->nnodes; i++) {
		const struct node *n = world_node_at(s->w, i)->node;

		for (size_t k = 0; n && k < n->nports; k++)
			for (const struct node_peer *p = n->ports[k].peer; p; p = p->next)
				sum += flaps(p);
	}
	return sum;
}

/* Milliseconds, in fifths of one, until the condition holds; fails after `most`. */
#define UNTIL(s, most_us, condition)                                                                                   \
	__extension__({                                                                                                \
		int64_t us_ = 0;                                                                                       \
		while (!(condition)) {                                                                                 \
			if (us_ > (most_us))                                                                           \
				fail_msg("not within %lld ms: %s", (long long)(most_us) / 1000, #condition);           \
			world_run((s)->w, 200);                                                                        \
			us_ += 200;                                                                                    \
		}                                                                                                      \
		us_;                                                                                                   \
	})

static void
black(struct stage *s, bool from_leaf, bool from_spine, bool on)
{
	if (from_leaf)
		assert_int_equal(world_black(s->w, "leaf4", "eth1", on), 0);
	if (from_spine)
		assert_int_equal(world_black(s->w, "spine1", "eth4", on), 0);
}

/* T01: both ends notice within the detection time of the last packet, the others a moment later; nothing is kept. */
static void
test_T01_silent_loss(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stage s = begin("4x2.yaml", true, seed);
		int64_t us;

		world_run(s.w, (int64_t)seed * MS(17));
		assert_int_equal(ways(s.leaf1, s.leaf4), 2);
		black(&s, true, true, true);
		us = UNTIL(&s, DETECT_US + MS(5), ways(s.leaf4, s.leaf1) == 1 && ways(s.spine1, s.leaf4) == 0);
		assert_true(us >= DETECT_US - MS(100));
		UNTIL(&s, MS(20), ways(s.leaf1, s.leaf4) == 1);
		assert_int_equal(bgp_peer_last_reset(s.down->bgp)->cause, BGP_CAUSE_BFD);
		assert_int_equal(bgp_peer_restart(s.down->bgp)->stale, 0);
		black(&s, true, true, false);
		UNTIL(&s, SECONDS(5), ways(s.leaf1, s.leaf4) == 2 && ways(s.leaf4, s.leaf1) == 2);
		end(&s);
	}
}

/* T02: one direction is dead: the end that hears says Down to the other (RFC 5880 6.8.6), or notices by itself. */
static void
test_T02_one_way_loss(void **state)
{
	(void)state;
	for (int from_leaf = 0; from_leaf < 2; from_leaf++)
		for (uint64_t seed = 1; seed <= 5; seed++) {
			struct stage s = begin("4x2.yaml", true, seed);

			world_run(s.w, (int64_t)seed * MS(23));
			black(&s, from_leaf, !from_leaf, true);
			UNTIL(&s, 2 * DETECT_US, !s.down->established && !s.up->established);
			assert_int_equal(ways(s.spine1, s.leaf4), 0);
			assert_int_equal(ways(s.leaf4, s.leaf1), 1);
			/* and it stays so: no end begins a session that the other cannot have */
			for (int i = 0; i < 100; i++) {
				world_run(s.w, MS(100));
				assert_false(s.down->established || s.up->established);
				assert_int_equal(ways(s.leaf4, s.leaf1), 1);
			}
			black(&s, from_leaf, !from_leaf, false);
			UNTIL(&s, SECONDS(5), ways(s.leaf1, s.leaf4) == 2);
			end(&s);
		}
}

/*
 * T03: loss at random for ten minutes. A multiplier of 3 falls when three packets in a row are lost, p^3 of the packets
 * at most (jitter makes them some 11 a second, two directions); what falls too often is damped.
 */
static void
test_T03_random_loss(void **state)
{
	static const struct {
		uint32_t ppm;
		double p;
	} cases[] = { { 100000, 0.1 }, { 300000, 0.3 }, { 500000, 0.5 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stage s = begin("4x2.yaml", true, 7 + i);
		double theory = 600 * 12 * 2 * cases[i].p * cases[i].p * cases[i].p;
		size_t before = events_of(s.spine1, "BFD_DOWN", "eth4", NULL);
		int changes = 0, most = 0, was = ways(s.leaf1, s.leaf4), window[60] = { 0 };
		size_t downs;

		assert_int_equal(world_lossy(s.w, "leaf4", "eth1", cases[i].ppm), 0);
		assert_int_equal(world_lossy(s.w, "spine1", "eth4", cases[i].ppm), 0);
		for (int ms = 0; ms < 600000; ms += 10) {
			int now;

			world_run(s.w, MS(10));
			now = ways(s.leaf1, s.leaf4);
			assert_true(now == 1 || now == 2); /* never without a way */
			changes += now != was;
			window[ms / 10000] += now != was;
			was = now;
		}
		for (size_t k = 6; k < ARRAY_LEN(window); k++) /* once its penalty has built up */
			most = window[k] > most ? window[k] : most;
		downs = events_of(s.spine1, "BFD_DOWN", "eth4", NULL) - before;
		if ((double)downs > theory * 1.2 + 3)
			fail_msg("%u ppm: %zu flaps, theory %.1f", cases[i].ppm, downs, theory);
		if (changes > 600 / 10)
			fail_msg("%u ppm: %d changes in ten minutes, %d in ten seconds", cases[i].ppm, changes, most);
		assert_int_equal(world_lossy(s.w, "leaf4", "eth1", 0), 0);
		assert_int_equal(world_lossy(s.w, "spine1", "eth4", 0), 0);
		UNTIL(&s, SECONDS(20), ways(s.leaf1, s.leaf4) == 2 && ways(s.leaf4, s.leaf1) == 2);
		end(&s);
	}
}

/* So often the cable of leaf4 falls and is mended at once; what is then said of its port. */
static void
assert_flaps_say(struct stage *s, int flaps, const char *want)
{
	const struct journal_event *e;
	char why[192];

	for (int i = 0; i < flaps; i++) {
		world_link_set(s->w, "leaf4", "eth1", false);
		world_run(s->w, MS(1));
		world_link_set(s->w, "leaf4", "eth1", true);
		world_run(s->w, MS(1));
	}
	events_of(s->leaf4, "DAMPED", "eth1", &e);
	assert_string_equal(e->text, want);
	node_peer_why(node_port_find(s->leaf4->node, "eth1")->peer, why, sizeof(why));
	assert_memory_equal(why, want, strcspn(want, ":")); /* the same, some milliseconds later */
}

/* A port that is kept out for a minute with a penalty of 1 says why: it is not the first time. */
static void
test_damping_says_how_often(void **state)
{
	struct stage s = begin("4x2.yaml", true, 7);

	(void)state;
	assert_flaps_say(&s, 3, "damped: penalty 3.0; let in in 5.0 s if it stays quiet; 3 flaps so far");
	world_run(s.w, SECONDS(6));
	assert_flaps_say(&s, 2,
	    "damped (2 times in a row, so for longer): penalty 3.3; let in in 10.0 s if it stays quiet; 5 flaps so "
	    "far");
	world_run(s.w, SECONDS(11));
	for (int row = 3; row <= 5; row++) {
		static const double s_out[] = { 20, 40, 60 };
		char want[192];

		world_run(s.w, SECONDS(50)); /* its penalty has gone, its name has not come back */
		snprintf(want, sizeof(want),
		    "damped (%d times in a row, so for longer): penalty 1.0; let in in %.1f s if it stays quiet; %d "
		    "flaps so far",
		    row, s_out[row - 3], row + 3);
		assert_flaps_say(&s, 1, want);
	}
	world_run(s.w, SECONDS(60 + 61)); /* out for a minute, and in use for another one */
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	assert_flaps_say(&s, 3, "damped: penalty 3.0; let in in 5.0 s if it stays quiet; 11 flaps so far");
	end(&s);
}

/* What is kept out is let in at once when it has become the last way up, and its flaps count on. */
static void
test_damping_keeps_no_last_way_out(void **state)
{
	struct stage s = begin("4x2.yaml", true, 7);
	const struct journal_event *e;

	(void)state;
	assert_flaps_say(&s, 3, "damped: penalty 3.0; let in in 5.0 s if it stays quiet; 3 flaps so far");
	world_link_set(s.w, "leaf4", "eth2", false);
	UNTIL(&s, SECONDS(2), s.up->established && ways(s.leaf4, s.leaf1) == 1 && ways(s.leaf1, s.leaf4) == 1);
	assert_false(s.leaf4->node->isolated);
	events_of(s.leaf4, "DAMP_RELEASED", "eth1", &e);
	assert_string_equal(e->text, "it is the last way up now, and is used again");
	/* when there is another one again, the next flap finds its penalty as it was */
	world_link_set(s.w, "leaf4", "eth2", true);
	UNTIL(&s, SECONDS(2), ways(s.leaf4, s.leaf1) == 2);
	world_link_set(s.w, "leaf4", "eth1", false);
	world_run(s.w, MS(1));
	assert_true(s.up->port->damp.suppressed);
	end(&s);
}

/* The other way up carries packets while its switch restarts: it is a way. When it is lost after all, the damped one is let in. */
static void
test_damping_while_the_other_restarts(void **state)
{
	struct stage s = begin("4x2.yaml", false, 7);

	(void)state;
	assert_flaps_say(&s, 3, "damped: penalty 3.0; let in in 5.0 s if it stays quiet; 3 flaps so far");
	world_crash(s.spine2, SIM_KILLED);
	world_run(s.w, SECONDS(1));
	assert_false(node_port_find(s.leaf4->node, "eth2")->peer->established);
	assert_true(s.up->port->damp.suppressed);
	assert_int_equal(ways(s.leaf4, s.leaf1), 1);
	world_link_set(s.w, "leaf4", "eth2", false);
	UNTIL(&s, SECONDS(2), s.up->established && ways(s.leaf4, s.leaf1) == 1);
	assert_false(s.leaf4->node->isolated);
	end(&s);
}

/* A port that is lit, whose neighbour is heard and speaks no BFD: that is what it waits for, not a port that is dark. */
static void
test_lit_and_without_bfd(void **state)
{
	const struct sim_impair no_bfd = { .mtu = 71 }; /* such a packet is 72 octets long */
	struct stage s = begin("4x2.yaml", true, 7);
	char why[BGP_REASON_TEXT];

	(void)state;
	assert_int_equal(sim_link_impair(s.spine1->rt, world_ifindex(s.spine1, "eth4"), &no_bfd), 0);
	world_link_set(s.w, "leaf4", "eth1", false);
	world_run(s.w, SECONDS(1));
	node_peer_why(s.up, why, sizeof(why));
	assert_string_equal(why, "port dark");
	world_link_set(s.w, "leaf4", "eth1", true);
	world_run(s.w, SECONDS(3));
	node_peer_why(s.up, why, sizeof(why));
	assert_string_equal(why, "waits for BFD");
	end(&s);
}

/* ---- T05 ---- */

#define HOLD_US SECONDS(9)

/* The event, and the sentence that status and `bgp neighbor` show. */
static void
assert_stuck(struct stage *s)
{
	const struct node_peer *ends[] = { s->down, s->up };
	const struct world_node *at[] = { s->spine1, s->leaf3 };
	char why[BGP_REASON_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		assert_true(ends[i]->bfd_up);
		assert_true(node_peer_stuck(ends[i]));
		assert_int_equal(events_of(at[i], "BGP_STUCK", ends[i]->port->name, NULL), 1);
		node_peer_why(ends[i], why, sizeof(why));
		if (!ends[i]->established && !strstr(why, "MTU"))
			fail_msg("end %zu: %s", i, why);
	}
}

/*
 * T05: from now on IP packets above 1,280 octets are lost on the way from spine1 to leaf3, and BFD's and KEEPALIVEs are
 * not. A table of 2,000 prefixes comes: what TCP has behind its first UPDATE does not arrive either. leaf3 notices by its
 * hold time, spine1 by leaf3's NOTIFICATION, both say that BFD lives; they try again, seldom; nobody else is concerned.
 */
static void
test_T05_mtu_black_hole(void **state)
{
	const struct sim_impair narrow = { .mtu = 1280 }, none = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct stage s = stage_begin(
		    "outside.yaml", (struct world_config){ .seed = seed, .bfd = true, .outside = true, .feed = 2000 });
		uint32_t ifindex = world_ifindex(s.spine1, "eth3"), told;
		uint64_t others;
		int paused = 0;

		s.down = node_port_find(s.spine1->node, "eth3")->peer;
		s.up = node_port_find(s.leaf3->node, "eth1")->peer;
		assert_true(s.down->established && s.up->established);
		told = s.up->source.paths[FAMILY_IPV4];
		assert_true(told >= 2000);
		world_outside_set(s.w, false);
		world_run(s.w, SECONDS(60));
		assert_true(s.up->source.paths[FAMILY_IPV4] < 100);

		/* of small packets alone: nothing is the matter */
		assert_int_equal(sim_link_impair(s.spine1->rt, ifindex, &narrow), 0);
		world_run(s.w, SECONDS(60));
		assert_int_equal(flaps(s.up) + flaps(s.down), 0);
		others = all_flaps(&s);

		world_outside_set(s.w, true);
		UNTIL(&s, SECONDS(60),
		    s.down->source.paths[FAMILY_IPV4] + export_count(s.down->export, FAMILY_IPV4) > 2000);
		assert_true(s.down->established && s.up->established);
		UNTIL(&s, HOLD_US + SECONDS(1), flaps(s.up) == 1 && flaps(s.down) == 1);
		assert_int_equal(bgp_peer_last_reset(s.up->bgp)->cause, BGP_CAUSE_HOLD);
		assert_int_equal(bgp_peer_last_reset(s.down->bgp)->cause, BGP_CAUSE_NOTICE);
		assert_int_equal(bgp_peer_last_reset(s.down->bgp)->code, BGP_ERR_HOLD);
		assert_int_equal(events_of(s.leaf3, "BGP_STUCK", "eth1", NULL), 1);
		assert_int_equal(events_of(s.spine1, "BGP_STUCK", "eth3", NULL), 1);

		/* again and again, ever more seldom, and told once */
		UNTIL(&s, SECONDS(60), s.up->stuck == 2 && s.down->stuck >= 2);
		assert_stuck(&s);
		for (int i = 0; i < 3000; i++) {
			world_run(s.w, MS(100));
			assert_true(s.up->bfd_up && s.down->bfd_up);
			assert_true(node_peer_stuck(s.up) && node_peer_stuck(s.down));
			paused = s.down->input_paused ? paused + 1 : 0;
			assert_true(paused < 3);
			assert_true(ways(s.leaf1, s.leaf3) >= 1 && ways(s.leaf3, s.leaf1) >= 1);
		}
		assert_stuck(&s);
		assert_true(flaps(s.up) >= 3 && flaps(s.down) < 20); /* leaf3 does not always get to Established */
		assert_int_equal(all_flaps(&s) - flaps(s.up) - flaps(s.down), others);

		assert_int_equal(sim_link_impair(s.spine1->rt, ifindex, &none), 0);
		UNTIL(&s, SECONDS(90), s.up->established && s.up->source.paths[FAMILY_IPV4] == told);
		world_run(s.w, 3 * HOLD_US);
		assert_true(s.up->established && s.down->established);
		assert_false(node_peer_stuck(s.up) || node_peer_stuck(s.down));
		assert_int_equal(ways(s.leaf1, s.leaf3), 2);
		assert_int_equal(ways(s.leaf3, s.leaf1), 2);
		assert_int_equal(events_of(s.leaf3, "BFD_DOWN", NULL, NULL), 0);
		end(&s);
	}
}

/* BFD was all that spoke for leaf4 when it had fallen silent: when BFD falls, too, nothing does, whatever its C bit says. */
static void
test_T05_and_then_the_power_goes(void **state)
{
	const struct sim_impair bfd_alone = { .mtu = 75 };
	struct stage s = begin("4x2.yaml", true, 1);

	(void)state;
	assert_int_equal(sim_link_impair(s.spine1->rt, world_ifindex(s.spine1, "eth4"), &bfd_alone), 0);
	UNTIL(&s, HOLD_US + SECONDS(1), flaps(s.down) == 1);
	assert_int_equal(bgp_peer_last_reset(s.down->bgp)->code, BGP_ERR_HOLD);
	world_run(s.w, SECONDS(5));
	assert_true(s.down->bfd_up && !bfd_watch_status(s.down->bfd)->independent);
	assert_int_equal(bgp_peer_restart(s.down->bgp)->stale, 3);
	assert_int_equal(ways(s.spine1, s.leaf4), 1);
	black(&s, true, true, true);
	UNTIL(&s, DETECT_US + MS(20), bgp_peer_restart(s.down->bgp)->stale == 0 && ways(s.spine1, s.leaf4) == 0);
	assert_int_equal(bgp_peer_restart(s.down->bgp)->ended, BGP_STALE_BFD);
	assert_int_equal(flaps(s.down), 1);
	end(&s);
}

/* T06: each packet twice, in any order. */
static void
test_T06_copies_and_disorder(void **state)
{
	const struct sim_impair impair = { .duplicate_ppm = 1000000, .jitter_us = MS(50) };
	struct stage s = begin("4x2.yaml", true, 3);
	uint64_t before = all_flaps(&s);

	(void)state;
	for (uint32_t i = 0; i < s.topo->nnodes; i++)
		for (uint32_t k = 0; k < s.topo->nodes[i].nports; k++)
			if (s.topo->nodes[i].ports[k].far_node != TOPO_NONE)
				sim_link_impair(world_node_at(s.w, i)->rt, k + 1, &impair);
	for (int i = 0; i < 6000; i++) {
		world_run(s.w, MS(10));
		assert_int_equal(ways(s.leaf1, s.leaf4), 2);
		assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	}
	assert_int_equal(all_flaps(&s), before);
	for (uint32_t i = 0; i < s.topo->nnodes; i++)
		assert_int_equal(events_of(world_node_at(s.w, i), "BFD_DOWN", NULL, NULL), 0);
	/* and a session can begin like that */
	bgp_peer_reset(s.down->bgp, BGP_CEASE_RESET, "again", 0, rt_now(s.spine1->rt));
	UNTIL(&s, SECONDS(5), s.down->established && s.up->established && ways(s.leaf1, s.leaf4) == 2);
	end(&s);
}

/* T09: half a second of delay, 400 ms of jitter: BGP begins and stays; BFD needs its packets within 300 ms of each other. */
static void
test_T09_delay(void **state)
{
	static const struct {
		bool bfd;
		int64_t jitter_us;
		bool stays;
	} cases[] = { { false, MS(400), true }, { true, MS(150), true }, { true, MS(1200), false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct sim_impair impair = { .delay_us = MS(500), .jitter_us = cases[i].jitter_us };
		struct stage s = begin("4x2.yaml", cases[i].bfd, 5);
		uint64_t before;

		sim_link_impair(s.leaf4->rt, world_ifindex(s.leaf4, "eth1"), &impair);
		sim_link_impair(s.spine1->rt, world_ifindex(s.spine1, "eth4"), &impair);
		world_run(s.w, SECONDS(3)); /* the step itself is a gap of 500 ms */
		if (!cases[i].bfd)
			bgp_peer_reset(s.down->bgp, BGP_CEASE_RESET, "again", 0, rt_now(s.spine1->rt));
		world_run(s.w, SECONDS(30));
		before = flaps(s.down);
		if (cases[i].stays && !(s.down->established && s.up->established)) {
			char why[BGP_REASON_TEXT];

			node_peer_why(s.down, why, sizeof(why));
			fail_msg("case %zu: %s", i, why);
		}
		world_run(s.w, SECONDS(60));
		if (cases[i].stays) {
			assert_int_equal(flaps(s.down), before);
			assert_int_equal(ways(s.leaf1, s.leaf4), 2);
		} else {
			assert_true(events_of(s.spine1, "BFD_DOWN", "eth4", NULL) > 0);
		}
		assert_true(ways(s.leaf1, s.leaf4) >= 1);
		end(&s);
	}
}

/* ---- T07 ---- */

struct flipper {
	uint64_t rng;
	unsigned int flipped;
};

static struct flipper flipper;

/* One bit in some 100 octets, behind TCP's checksum; what was flipped is read by the switch as if the puppet meant it. */
static void
say_flipped(struct puppet *p)
{
	uint8_t buf[512];
	size_t n;

	while (p->conn && p->stream && (n = bgp_output(p->conn, buf, sizeof(buf), rt_now(p->rt)))) {
		for (size_t i = 0; i < n; i++) {
			flipper.rng = flipper.rng * 6364136223846793005u + 1442695040888963407u;
			if ((flipper.rng >> 33) % 100 == 0) {
				buf[i] ^= (uint8_t)(1u << (flipper.rng >> 60 & 7));
				flipper.flipped++;
			}
		}
		bgp_wrote(p->conn, rt_write(p->stream, buf, n), rt_now(p->rt));
	}
}

/* T07: whatever arrives flipped harms the session that it came on at most; and when that is over, all is as it was. */
static void
test_T07_flipped_bits(void **state)
{
	struct stage s = begin("4x2.yaml", false, 8);
	struct prefix list[64];
	struct puppet *p;
	uint64_t others;
	size_t refused = 0;

	(void)state;
	flipper = (struct flipper){ .rng = 99 };
	world_crash(s.leaf4, SIM_KILLED);
	sim_node_boot(s.leaf4->rt);
	p = puppet_new(s.leaf4, world_ifindex(s.leaf4, "eth1"), LEAF4_AS, LEAF4_ID);
	world_run(s.w, SECONDS(40));
	others = all_flaps(&s) - flaps(s.down);
	for (int round = 0; round < 3000; round++) {
		struct bgp_build *build;
		struct bgp_encode_opts opts;
		struct bgp_batch *batch;
		static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 8, 0xfd, 0xec, 0, 1, 0xfd, 0xec, 0,
			2 };
		const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };

		if (!p->established) {
			world_run(s.w, SECONDS(1));
			continue;
		}
		opts = bgp_peer_encode_opts(p->bgp);
		build = bgp_build_new(NULL, &opts);
		bgp_build_reach(build, FAMILY_IPV4, &v);
		for (uint32_t i = 0; i < ARRAY_LEN(list); i++) {
			struct ip a = ip_v4(0x0a010400u + i);

			list[i] = prefix_of(&a, i ? 32 : 24);
			bgp_build_prefix(build, &list[i]);
		}
		batch = bgp_build_take(build);
		bgp_send(p->bgp, batch);
		bgp_batch_unref(batch);
		bgp_build_free(build);
		say_flipped(p);
		world_run(s.w, MS(200));
	}
	assert_true(flipper.flipped > 100);
	for (int i = 0; i < POLICY_VERDICTS; i++)
		refused += s.down->refused[i];
	assert_true(bgp_peer_counters(s.down->bgp)->notices_out > 0 && refused > 0);
	assert_int_equal(all_flaps(&s) - flaps(s.down), others);
	assert_true(ways(s.leaf1, world_node_find(s.w, "leaf3")) == 2);
	/* unflipped again */
	world_run(s.w, SECONDS(90));
	assert_true(p->established && s.down->established);
	for (uint32_t i = 1; i < ARRAY_LEN(list); i++)
		puppet_say(p, false, &list[i], 1);
	puppet_say(p, true, list, 1);
	world_run(s.w, SECONDS(2));
	assert_true(ways(s.leaf1, s.leaf4) >= 1);
	puppet_free(p);
	end(&s);
}

/* ---- T11 ---- */

static size_t loops;

static void
count_loops(void *arg, const struct world_walk *walk)
{
	(void)arg;
	loops += walk->fate == WORLD_LOOP;
}

static void
look_for_loops(struct stage *s)
{
	for (uint32_t i = 0; i < s->topo->nnodes; i++)
		for (uint32_t k = 0; k < s->topo->nnodes; k++) {
			const struct topo_node *to = &s->topo->nodes[k];
			struct ip dst;

			if (!to->has_rack[FAMILY_IPV4] || i == k)
				continue;
			dst = node_rack_gateway(&to->rack[FAMILY_IPV4]);
			world_walk_all(s->w, i, &dst, count_loops, NULL);
		}
}

/* T11: a spine is cut off, in silence and by carrier, and comes back: no packet goes in circles, and soon all ways are there. */
static void
test_T11_partition(void **state)
{
	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		struct stage s = begin("4x2.yaml", true, 11);
		char port[8], leaf[8];
		int64_t us;

		loops = 0;
		for (int i = 1; i <= 4; i++) {
			snprintf(port, sizeof(port), "eth%d", i);
			snprintf(leaf, sizeof(leaf), "leaf%d", i);
			if (silent) {
				world_black(s.w, "spine1", port, true);
				world_black(s.w, leaf, "eth1", true);
			} else {
				world_link_set(s.w, "spine1", port, false);
			}
		}
		for (int ms = 0; ms < 2000; ms++) {
			world_run(s.w, MS(1));
			look_for_loops(&s);
		}
		assert_int_equal(ways(s.leaf1, s.leaf4), 1);
		for (int i = 1; i <= 4; i++) {
			snprintf(port, sizeof(port), "eth%d", i);
			snprintf(leaf, sizeof(leaf), "leaf%d", i);
			if (silent) {
				world_black(s.w, "spine1", port, false);
				world_black(s.w, leaf, "eth1", false);
			} else {
				world_link_set(s.w, "spine1", port, true);
			}
		}
		/* within a second of BFD */
		UNTIL(&s, SECONDS(5), (look_for_loops(&s), s.up->bfd_up && s.down->bfd_up));
		us = UNTIL(
		    &s, SECONDS(1), (look_for_loops(&s), ways(s.leaf1, s.leaf4) == 2 && ways(s.leaf4, s.leaf1) == 2));
		assert_true(us <= SECONDS(1));
		assert_int_equal(loops, 0);
		end(&s);
	}
}

/* ---- T12 ---- */

/*
 * T12: leaf4 has lost power for a moment and is there again, behind something that kept the carrier, and before anybody
 * noticed: nobody has told spine1 that its connection leads nowhere. Forwarding was lost, so nothing is kept.
 */
static void
test_T12_reboot_behind_the_same_port(void **state)
{
	(void)state;
	for (int empty = 0; empty < 2; empty++) {
		struct stage s = begin("4x2.yaml", false, 12);
		char err[256];
		int64_t us;

		black(&s, true, true, true);
		world_black(s.w, "leaf4", "eth2", true);
		world_black(s.w, "spine2", "eth4", true);
		world_crash(s.leaf4, SIM_KILLED);
		if (empty)
			model_reset(s.leaf4->platform);
		world_run(s.w, MS(500));
		assert_true(s.down->established);
		black(&s, true, true, false);
		world_black(s.w, "leaf4", "eth2", false);
		world_black(s.w, "spine2", "eth4", false);
		assert_int_equal(world_boot(s.leaf4, err, sizeof(err)), 0);
		s.up = node_port_find(s.leaf4->node, "eth1")->peer;
		us = UNTIL(&s, SECONDS(2), s.up->established && s.down->established);
		/* from the moment at which it dials: neighbours are heard first */
		assert_true(us <= SECONDS(2));
		assert_int_equal(flaps(s.down), 1);
		assert_int_equal(bgp_peer_last_reset(s.down->bgp)->cause, BGP_CAUSE_TCP);
		UNTIL(&s, SECONDS(5), ways(s.leaf1, s.leaf4) == 2 && ways(s.leaf4, s.leaf1) == 2);
		world_run(s.w, SECONDS(60));
		assert_int_equal(flaps(s.down), 1);
		assert_true(s.down->established);
		assert_int_equal(bgp_peer_restart(s.down->bgp)->stale, 0);
		end(&s);
	}
}

/* ---- W17 ---- */

static const struct path *
told_by_leaf4(struct stage *s, const struct prefix *p)
{
	struct rib_view v;

	return rib_get(s->spine1->node->rib, RIB_MAIN_TABLE, p, &v) && v.list ? path_list_find(v.list, &s->down->source)
									      : NULL;
}

/* W17: without graceful restart, a neighbour tells its table again between BoRR and EoRR and leaves a route out (RFC 7313 4). */
static void
test_W17_left_out_of_a_refresh(void **state)
{
	struct stage s = begin("4x2.yaml", false, 17);
	struct prefix rack, loopback;
	struct puppet *p;

	(void)state;
	world_crash(s.leaf4, SIM_KILLED);
	sim_node_boot(s.leaf4->rt);
	p = puppet_new(s.leaf4, world_ifindex(s.leaf4, "eth1"), LEAF4_AS, LEAF4_ID);
	world_run(s.w, SECONDS(40));
	assert_true(prefix_parse("10.1.4.0/24", &rack) && prefix_parse("10.0.1.4/32", &loopback));
	assert_false(bgp_peer_facts(s.down->bgp)->caps & BGP_CAP_GRACEFUL_RESTART);
	assert_true(bgp_peer_facts(s.down->bgp)->caps & BGP_CAP_ENHANCED_REFRESH);
	puppet_say(p, true, &rack, 1);
	puppet_say(p, true, &loopback, 1);
	world_run(s.w, SECONDS(1));
	assert_non_null(told_by_leaf4(&s, &rack));
	bgp_send_refresh(p->bgp, FAMILY_IPV4, BGP_REFRESH_BEGIN);
	puppet_say(p, true, &loopback, 1);
	world_run(s.w, SECONDS(2));
	assert_non_null(told_by_leaf4(&s, &rack)); /* it may still come */
	assert_int_equal(ways(s.leaf1, s.leaf4), 1);
	bgp_send_refresh(p->bgp, FAMILY_IPV4, BGP_REFRESH_END);
	puppet_settle(p);
	world_run(s.w, MS(100));
	assert_null(told_by_leaf4(&s, &rack));
	assert_non_null(told_by_leaf4(&s, &loopback));
	assert_int_equal(ways(s.leaf1, s.leaf4), 0);
	puppet_free(p);
	end(&s);
}

/* RFC 9494 4.5: a path that says that it is long-lived stale goes to those who know what that means, and is taken back from others. */
static void
test_stale_is_told_to_who_knows(void **state)
{
	static const uint8_t plain[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 4, 0xfd, 0xec, 0, 1 };
	static const uint8_t stale[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 4, 0xff, 0xff, 0, 6 };
	const struct attrs_view was = { .wire = plain, .wire_len = sizeof(plain) };
	const struct attrs_view is = { .wire = stale, .wire_len = sizeof(stale) };
	struct stage s = begin("4x2.yaml", false, 18);
	struct world_node *leaf3 = world_node_find(s.w, "leaf3");
	struct puppet *three, *four;
	struct prefix rack;
	struct rib_view v;
	uint64_t taken;

	(void)state;
	assert_true(prefix_parse("10.1.3.0/24", &rack));
	world_crash(s.leaf4, SIM_KILLED);
	sim_node_boot(s.leaf4->rt);
	world_crash(leaf3, SIM_KILLED);
	sim_node_boot(leaf3->rt);
	four = puppet_new(s.leaf4, world_ifindex(s.leaf4, "eth1"), LEAF4_AS, LEAF4_ID);
	three = puppet_new(leaf3, world_ifindex(leaf3, "eth1"), LEAF4_AS - 1, LEAF4_ID - 1);
	world_run(s.w, SECONDS(40));
	assert_true(three->established && four->established);
	puppet_say_with(three, &was, &rack, 1);
	world_run(s.w, SECONDS(1));
	assert_true(prefix_equal(&four->last, &rack));
	taken = four->withdrawn[FAMILY_IPV4];
	assert_int_equal(ways(s.leaf1, leaf3), 1);
	puppet_say_with(three, &is, &rack, 1);
	world_run(s.w, SECONDS(1));
	assert_int_equal(four->withdrawn[FAMILY_IPV4] - taken, 1);
	assert_int_equal(ways(s.leaf1, leaf3), 1);
	assert_true(rib_get(s.leaf1->node->rib, RIB_MAIN_TABLE, &rack, &v) && v.list && v.list->width == 1);
	assert_true(v.list->paths[v.list->best].attrs->v.flags & ATTRS_LLGR_STALE);
	puppet_say_with(three, &was, &rack, 1);
	world_run(s.w, SECONDS(1));
	assert_true(prefix_equal(&four->last, &rack));
	assert_int_equal(four->withdrawn[FAMILY_IPV4] - taken, 1);
	puppet_free(three);
	puppet_free(four);
	end(&s);
}

/* ---- P08 ---- */

/* P08: the wall clock jumps by years, to and fro, and creeps: nothing of the protocols looks at it. */
static void
test_P08_wall_clock(void **state)
{
	static const int64_t steps_s[] = { 315360000, -630720000, 315360000, 1, -1, 3600, -3600, 86400 * 400 };
	struct stage s = begin("4x2.yaml", true, 21);
	int64_t since = bgp_peer_since(s.down->bgp).us;
	uint64_t changes = s.leaf1->node->state_changes;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps_s); i++) {
		for (uint32_t k = 0; k < s.topo->nnodes; k++)
			if ((k + i) % 3) /* not all of them know */
				sim_node_wall_shift(world_node_at(s.w, k)->rt, steps_s[i] * 1000000);
		for (int slew = 0; slew < 100; slew++) { /* 500 ppm, as NTP does it */
			sim_node_wall_shift(s.spine1->rt, 50);
			world_run(s.w, MS(100));
			assert_int_equal(ways(s.leaf1, s.leaf4), 2);
		}
	}
	assert_int_equal(all_flaps(&s), 0);
	assert_int_equal(bgp_peer_since(s.down->bgp).us, since);
	assert_int_equal(s.leaf1->node->state_changes, changes);
	for (uint32_t i = 0; i < s.topo->nnodes; i++)
		assert_int_equal(events_of(world_node_at(s.w, i), "BFD_DOWN", NULL, NULL), 0);
	end(&s);
}

/* ---- what comes first ---- */

struct order {
	struct platform_ops ops;
	const struct platform_ops *was;
	const struct world_node *node;
	const struct node_peer *peer;
	bool seen, session_stood, nothing_noted;
};

static struct order order;

static size_t
noting_submit(struct platform *p, const struct plat_op *ops, size_t n)
{
	for (size_t i = 0; i < n && !order.seen; i++)
		if (ops[i].kind == PLAT_NH_DEL || ops[i].kind == PLAT_GROUP_SET) {
			order.seen = true;
			order.session_stood = bgp_peer_state(order.peer->bgp) == BGP_ESTABLISHED;
			order.nothing_noted = !events_of(order.node, "BFD_DOWN", NULL, NULL);
		}
	return order.was->submit(p, ops, n);
}

/* BFD down: the forwarding plane is told before the session is ended (its NOTIFICATION is written then), and before the journal. */
static void
test_forwarding_comes_first(void **state)
{
	(void)state;
	for (int leaf = 0; leaf < 2; leaf++) {
		struct stage s = begin("4x2.yaml", true, 31);
		struct world_node *at = leaf ? s.leaf4 : s.spine1;
		struct node_peer *peer = leaf ? s.up : s.down;

		black(&s, true, true, true);
		order = (struct order){ .ops = *at->platform->ops, .was = at->platform->ops, .node = at, .peer = peer };
		order.ops.submit = noting_submit;
		at->platform->ops = &order.ops;
		UNTIL(&s, MS(600), !peer->established);
		world_run(s.w, MS(1));
		/* spine1 knows no other way to leaf4: where groups do not outlive that, its routes leave, in their turn */
		assert_true(order.seen);
		if (leaf || at->platform->caps.group_outlives) {
			assert_true(order.session_stood);
			assert_true(order.nothing_noted);
		}
		assert_int_equal(events_of(at, "BFD_DOWN", NULL, NULL), 1);
		at->platform->ops = order.was;
		black(&s, true, true, false);
		UNTIL(&s, SECONDS(10), s.down->established && s.up->established && ways(s.leaf1, s.leaf4) == 2);
		end(&s);
	}
}

static struct runtime_ops noting_ops;
static const struct runtime_ops *ops_before;

static ssize_t
noting_write(struct rt_stream *stream, const uint8_t *bytes, size_t n)
{
	if (!order.seen) {
		order.seen = true;
		order.session_stood = bgp_peer_state(order.peer->bgp) == BGP_ESTABLISHED;
		order.nothing_noted = !events_of(order.node, "LINK_DOWN", NULL, NULL);
	}
	return ops_before->stream_write(stream, bytes, n);
}

/* Carrier is lost: a switch that can still reach leaf4 hears of it before spine1 ends the session, and notes anything. */
static void
test_others_hear_first(void **state)
{
	struct stage s = begin("4x2.yaml", false, 32);
	const struct node_peer *leaf1 = node_port_find(s.spine1->node, "eth1")->peer;
	struct runtime *head = NULL;

	(void)state;
	for (int side = 0; side < BGP_SIDES; side++)
		if (leaf1->conns[side] && leaf1->conns[side]->stream)
			head = (struct runtime *)leaf1->conns[side]->stream;
	assert_non_null(head);
	ops_before = head->ops;
	noting_ops = *ops_before;
	noting_ops.stream_write = noting_write;
	order = (struct order){ .node = s.spine1, .peer = s.down };
	head->ops = &noting_ops;
	world_link_set(s.w, "spine1", "eth4", false);
	UNTIL(&s, MS(20), !s.down->established);
	head->ops = ops_before;
	assert_true(order.seen);
	assert_true(order.session_stood);
	assert_true(order.nothing_noted);
	UNTIL(&s, MS(20), ways(s.leaf1, s.leaf4) == 1);
	world_link_set(s.w, "spine1", "eth4", true);
	UNTIL(&s, SECONDS(10), s.down->established && s.up->established && ways(s.leaf1, s.leaf4) == 2);
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T01_silent_loss),
		cmocka_unit_test(test_T02_one_way_loss),
		cmocka_unit_test(test_T03_random_loss),
		cmocka_unit_test(test_damping_says_how_often),
		cmocka_unit_test(test_damping_keeps_no_last_way_out),
		cmocka_unit_test(test_damping_while_the_other_restarts),
		cmocka_unit_test(test_lit_and_without_bfd),
		cmocka_unit_test(test_T05_mtu_black_hole),
		cmocka_unit_test(test_T05_and_then_the_power_goes),
		cmocka_unit_test(test_T06_copies_and_disorder),
		cmocka_unit_test(test_T07_flipped_bits),
		cmocka_unit_test(test_T09_delay),
		cmocka_unit_test(test_T11_partition),
		cmocka_unit_test(test_T12_reboot_behind_the_same_port),
		cmocka_unit_test(test_W17_left_out_of_a_refresh),
		cmocka_unit_test(test_stale_is_told_to_who_knows),
		cmocka_unit_test(test_P08_wall_clock),
		cmocka_unit_test(test_forwarding_comes_first),
		cmocka_unit_test(test_others_hear_first),
	};

	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
