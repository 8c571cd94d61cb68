/*
 * tests/unit/node/restart_test.c -- restarts in virtual time: what stays in forwarding planes, what goes, and when
 *
 * leaf4 of the 4x2 fabric is killed: its forwarding plane stays, its neighbours' kernels see the end of the connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/link/nd.h"
#include "tests/unit/node/puppet.h"
#include "tests/unit/node/stage.h"

static struct stage
begin(uint64_t seed)
{
	return stage_begin("4x2.yaml", (struct world_config){ .seed = seed });
}

static void
boot(struct world_node *wn)
{
	char err[256];

	assert_int_equal(world_boot(wn, err, sizeof(err)), 0);
}

/* The newest event of that type; NULL: there is none. */
static const struct journal_event *
event_of(const struct world_node *wn, const char *type)
{
	const struct journal_event *newest;

	events_of(wn, type, NULL, &newest);
	return newest;
}

static struct node_peer *
spine_session(struct stage *s)
{
	return node_port_find(s->spine1->node, "eth4")->peer;
}

static void
test_P01_kept_and_told_again(void **state)
{
	struct stage s = begin(31);
	struct sync_stats fib;

	(void)state;
	assert_int_equal(ways(s.leaf1, s.leaf4), 2);
	world_crash(s.leaf4, SIM_KILLED);
	world_run(s.w, SECONDS(10));
	assert_false(spine_session(&s)->established);
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->stale, 3);
	assert_int_equal(ways(s.leaf1, s.leaf4), 2);
	assert_int_equal(ways(s.spine1, s.leaf4), 1);
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	boot(s.leaf4);
	assert_int_equal(s.leaf4->node->restart.phase, NODE_DEFERS);
	assert_false(s.leaf4->node->isolated);
	world_run(s.w, SECONDS(2));
	assert_int_equal(s.leaf4->node->restart.phase, NODE_RUNS);
	assert_false(s.leaf4->node->restart.unswept);
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->ended, BGP_STALE_TOLD);
	assert_non_null(event_of(s.leaf4, "RESTART_HEARD"));
	assert_null(event_of(s.spine1, "RESTART_LOST"));
	/* what it found was right, so that nothing of it was written anew */
	sync_stats(s.leaf4->node->sync, &fib);
	assert_true(fib.routes_found[FAMILY_IPV4] >= 5);
	assert_int_equal(fib.route_messages, 0);
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	/* the next session knows of no restart */
	assert_true(bgp_peer_facts(spine_session(&s)->bgp)->remote.gr_flags & BGP_RESTARTED);
	bgp_peer_reset(spine_session(&s)->bgp, BGP_CEASE_RESET, "again", 0, rt_now(s.spine1->rt));
	world_run(s.w, SECONDS(5));
	assert_int_equal(bgp_peer_facts(spine_session(&s)->bgp)->remote.gr_flags, BGP_KEEPS_NOTIFIED);
	assert_int_equal(bgp_peer_facts(spine_session(&s)->bgp)->remote.gr_forwarding, 3);
	end(&s);
}

static void
test_P01_never_comes_back(void **state)
{
	struct stage s = begin(32);

	(void)state;
	world_crash(s.leaf4, SIM_KILLED);
	world_run(s.w, SECONDS(30) - MS(100));
	assert_int_equal(ways(s.leaf1, s.leaf4), 2);
	world_run(s.w, MS(200));
	assert_int_equal(ways(s.leaf1, s.leaf4), 0);
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->ended, BGP_STALE_RESTART);
	assert_non_null(event_of(s.spine1, "RESTART_LOST"));
	end(&s);
}

/* What is gone when it comes back is swept once all have told what there is, and not before. */
static void
test_P01_what_went_meanwhile_is_swept(void **state)
{
	struct stage s = begin(33);

	(void)state;
	world_crash(s.leaf4, SIM_KILLED);
	world_run(s.w, SECONDS(1));
	world_crash(s.leaf3, SIM_DARK);
	world_run(s.w, SECONDS(5));
	assert_int_equal(ways(s.leaf4, s.leaf3), 2);
	boot(s.leaf4);
	assert_int_equal(ways(s.leaf4, s.leaf3), 2);
	world_run(s.w, SECONDS(3));
	assert_int_equal(ways(s.leaf4, s.leaf3), 0);
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	end(&s);
}

/* One of its two spines is not heard: nothing is selected, then it is given up, long before the last resort. */
static void
test_P01_who_is_not_heard_is_given_up(void **state)
{
	struct stage s = begin(34);

	(void)state;
	world_crash(s.leaf4, SIM_KILLED);
	world_run(s.w, MS(100));
	assert_int_equal(world_black(s.w, "leaf4", "eth1", true), 0);
	assert_int_equal(world_black(s.w, "spine1", "eth4", true), 0);
	boot(s.leaf4);
	world_run(s.w, SECONDS(2));
	assert_int_equal(s.leaf4->node->restart.phase, NODE_DEFERS);
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	world_run(s.w, SECONDS(2));
	assert_int_equal(s.leaf4->node->restart.phase, NODE_RUNS);
	assert_int_equal(ways(s.leaf4, s.leaf1), 1);
	end(&s);
}

/* A neighbour that is up and never tells that it has told all: three quarters of the restart time, and no longer. */
static void
test_W15_no_end_of_rib_for_us(void **state)
{
	struct stage s = begin(35);
	const struct journal_event *late;

	(void)state;
	world_crash(s.leaf4, SIM_KILLED);
	boot(s.leaf4);
	/* spine1 comes up, and what it would tell is held back there */
	export_hold(s.spine1->node->export, true);
	world_run(s.w, SECONDS(20));
	assert_int_equal(s.leaf4->node->restart.phase, NODE_DEFERS);
	assert_int_equal(ways(s.leaf4, s.leaf1), 2);
	world_run(s.w, SECONDS(3));
	assert_int_equal(s.leaf4->node->restart.phase, NODE_RUNS);
	late = event_of(s.leaf4, "RESTART_LATE");
	assert_non_null(late);
	assert_string_equal(late->port, "eth1");
	assert_non_null(strstr(late->text, "no End-of-RIB"));
	assert_int_equal(ways(s.leaf4, s.leaf1), 1);
	export_hold(s.spine1->node->export, false);
	end(&s);
}

/* A link that dies while we wait for somebody's last word: what was found is right no more, and we wait a second longer. */
static void
test_P02_carrier_lost_while_deferring(void **state)
{
	struct stage s = begin(51);

	(void)state;
	export_hold(s.leaf1->node->export, true);
	world_crash(s.spine1, SIM_KILLED);
	world_run(s.w, MS(100));
	boot(s.spine1);
	world_run(s.w, SECONDS(4));
	assert_int_equal(s.spine1->node->restart.phase, NODE_DEFERS);
	assert_int_equal(ways(s.leaf3, s.leaf4), 2);
	world_link_set(s.w, "leaf4", "eth1", false);
	world_run(s.w, SECONDS(2));
	assert_int_equal(s.spine1->node->restart.phase, NODE_RUNS);
	assert_int_equal(ways(s.leaf3, s.leaf4), 1);
	export_hold(s.leaf1->node->export, false);
	end(&s);
}

/* All at once, in any order: nobody waits for another's last word before he has his own, and no route is lost. */
static void
test_P01_all_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 40; seed < 50; seed++) {
		struct stage s = begin(seed);

		for (uint32_t i = 0; i < s.topo->nnodes; i++)
			world_crash(world_node_at(s.w, i), SIM_KILLED);
		for (uint32_t i = 0; i < s.topo->nnodes; i++) {
			boot(world_node_at(s.w, (i + (uint32_t)seed) % (uint32_t)s.topo->nnodes));
			world_run(s.w, (int64_t)(seed % 4) * MS(70));
		}
		for (int ms = 0; ms < 10000; ms += 5) {
			world_run(s.w, MS(5));
			if (ways(s.leaf1, s.leaf4) < 1 || ways(s.leaf4, s.leaf1) < 1 || ways(s.spine1, s.leaf4) < 1)
				fail_msg("seed %d, %d ms: %d, %d, %d ways", (int)seed, ms, ways(s.leaf1, s.leaf4),
				    ways(s.leaf4, s.leaf1), ways(s.spine1, s.leaf4));
		}
		assert_int_equal(ways(s.leaf1, s.leaf4), 2);
		assert_int_equal(ways(s.leaf4, s.leaf1), 2);
		for (uint32_t i = 0; i < s.topo->nnodes; i++) {
			assert_false(world_node_at(s.w, i)->node->restart.unswept);
			assert_null(event_of(world_node_at(s.w, i), "RESTART_LATE"));
		}
		end(&s);
	}
}

/*
 * A leaf and a spine within the same moment: the spine says that it has told all when it has heard the leaf, so that the
 * third keeps both ways all the time.
 */
static void
test_P01_both_ends_in_the_same_moment(void **state)
{
	(void)state;
	for (uint64_t seed = 60; seed < 80; seed++) {
		struct stage s = begin(seed);
		struct world_node *first = seed % 2 ? s.leaf4 : s.spine1;
		struct sync_stats before, after;

		world_crash(s.leaf4, SIM_KILLED);
		world_crash(s.spine1, SIM_KILLED);
		world_run(s.w, MS(300));
		sync_stats(s.leaf1->node->sync, &before);
		boot(first);
		world_run(s.w, (int64_t)(seed % 10) * MS(10));
		boot(first == s.leaf4 ? s.spine1 : s.leaf4);
		for (int ms = 0; ms < 5000; ms += 5) {
			world_run(s.w, MS(5));
			if (ways(s.leaf1, s.leaf4) != 2 || ways(s.spine1, s.leaf4) != 1)
				fail_msg("seed %d, %d ms: %d and %d ways", (int)seed, ms, ways(s.leaf1, s.leaf4),
				    ways(s.spine1, s.leaf4));
		}
		sync_stats(s.leaf1->node->sync, &after);
		assert_int_equal(after.route_messages, before.route_messages);
		assert_int_equal(after.group_messages, before.group_messages);
		assert_null(event_of(s.spine1, "RESTART_LATE"));
		assert_false(s.spine1->node->restart.unswept || s.leaf4->node->restart.unswept);
		end(&s);
	}
}

/* A planned end: no word of it that would make neighbours forget, and nobody is told that the switch went. */
static void
test_stopped_for_a_restart(void **state)
{
	struct stage s = begin(36);

	(void)state;
	node_stop(s.leaf4->node, "stopped by SIGTERM");
	world_run(s.w, MS(200));
	world_crash(s.leaf4, SIM_KILLED);
	world_run(s.w, SECONDS(5));
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->stale, 3);
	assert_string_equal(
	    bgp_peer_notice_in(spine_session(&s)->bgp), "cease (6/4): administrative reset, \"stopped by SIGTERM\"");
	assert_int_equal(ways(s.leaf1, s.leaf4), 2);
	boot(s.leaf4);
	world_run(s.w, SECONDS(5));
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->ended, BGP_STALE_TOLD);
	end(&s);
}

/* ---- the neighbour is a router of another make ---- */

struct router {
	struct stage s;
	struct puppet *bgp; /* on leaf4:eth1 */
	struct rt_packets *nd;
};

static void
deaf(void *arg, const struct rt_packet *pkt)
{
	(void)arg;
	(void)pkt;
}

static void
advertise(struct router *r, uint16_t lifetime_s)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 4 };
	struct nd_router_advert ra = { .hop_limit = 64, .lifetime_s = lifetime_s, .mac = mac };
	struct ip all = nd_all_nodes();
	uint8_t buf[128];

	rt_packet_send(r->nd, &all, buf, nd_build_ra(buf, sizeof(buf), &ra));
	world_run(r->s.w, MS(100));
}

/* With graceful restart, its rack told, and router advertisements. */
static struct router
router_begin(uint64_t seed)
{
	struct router r = { .s = begin(seed) };
	uint32_t ifindex = world_ifindex(r.s.leaf4, "eth1");
	const struct bgp_config cfg = {
		.name = "puppet", .local_as = 65004, .router_id = 0x0a000104, .link_local_ok = true, .restart_s = 30
	};
	struct prefix rack;

	world_crash(r.s.leaf4, SIM_KILLED);
	sim_node_boot(r.s.leaf4->rt);
	assert_int_equal(rt_nd_open(r.s.leaf4->rt, ifindex, deaf, NULL, &r.nd), 0);
	r.bgp = puppet_as(r.s.leaf4, ifindex, &cfg);
	advertise(&r, 1800);
	world_run(r.s.w, SECONDS(40));
	assert_true(prefix_parse("10.1.4.0/24", &rack));
	puppet_say(r.bgp, true, &rack, 1);
	world_run(r.s.w, SECONDS(1));
	assert_int_equal(ways(r.s.leaf1, r.s.leaf4), 1);
	return r;
}

static void
router_end(struct router *r)
{
	rt_packets_close(r->nd);
	puppet_free(r->bgp);
	end(&r->s);
}

static void
leave(struct router *r)
{
	bgp_peer_leave(r->bgp->bgp, "restart", rt_now(r->bgp->rt));
	puppet_settle(r->bgp);
	world_run(r->s.w, MS(100));
	assert_false(spine_session(&r->s)->established);
}

/*
 * RFC 4861 6.2.5: who advertises a lifetime of 0 is nobody's default router any more, as a router's daemons say when they
 * are stopped for a restart. It forwards; what it told stays until its restart time is over, and then nobody looks for it.
 */
static void
test_kept_without_advertisements(void **state)
{
	struct router r = router_begin(38);
	const struct node_peer *peer = spine_session(&r.s);

	(void)state;
	leave(&r);
	assert_int_equal(bgp_peer_restart(peer->bgp)->stale, 3);
	advertise(&r, 0);
	assert_int_equal(bgp_peer_restart(peer->bgp)->stale, 3);
	assert_int_equal(ways(r.s.leaf1, r.s.leaf4), 1);
	world_run(r.s.w, SECONDS(29));
	assert_int_equal(ways(r.s.leaf1, r.s.leaf4), 1);
	world_run(r.s.w, SECONDS(2));
	assert_int_equal(bgp_peer_restart(peer->bgp)->ended, BGP_STALE_RESTART);
	assert_int_equal(ways(r.s.leaf1, r.s.leaf4), 0);
	assert_false(peer->reachable);
	assert_true(ip_is_zero(&peer->address));
	/* it is back after all */
	advertise(&r, 1800);
	assert_true(peer->reachable);
	router_end(&r);
}

/* In the other order: the session outlives the advertisements, ends for its own reason, and its paths are kept. */
static void
test_last_advertisement_comes_first(void **state)
{
	struct router r = router_begin(39);

	(void)state;
	advertise(&r, 0);
	assert_true(spine_session(&r.s)->established);
	leave(&r);
	assert_string_equal(event_of(r.s.spine1, "BGP_DOWN")->text,
	    "leaf4 reason=notification: the peer says: cease (6/4): administrative reset, \"restart\"");
	assert_int_equal(bgp_peer_restart(spine_session(&r.s)->bgp)->stale, 3);
	assert_int_equal(ways(r.s.leaf1, r.s.leaf4), 1);
	router_end(&r);
}

/* ---- long-lived ---- */

static const struct path *
path_from(const struct world_node *wn, const char *port, const char *prefix)
{
	struct rib_view v;
	struct prefix p;

	assert_true(prefix_parse(prefix, &p));
	return rib_get(wn->node->rib, RIB_MAIN_TABLE, &p, &v) && v.list
		   ? path_list_find(v.list, &node_port_find(wn->node, port)->peer->source)
		   : NULL;
}

static bool
is_stale(const struct path *p)
{
	return p && p->attrs->v.flags & ATTRS_LLGR_STALE;
}

/*
 * RFC 9494 at a border with two providers, one of which asks for a long life: its paths outlive its restart time, as the
 * last resort. While the other is there, nobody uses them; when that goes, everybody does, and they say what they are.
 */
static void
test_long_lived(void **state)
{
	struct world_config cfg = { .seed = 9, .outside = true, .feed = 3 };
	struct world_node *border, *leaf, *outside;
	const struct bgp_restart *a, *b;
	struct model_result route;
	char err[256];
	struct ip probe;
	struct world *w;
	size_t n;

	(void)state;
	cfg.topo = load_file("long-lived.yaml");
	assert_non_null(w = world_new(&cfg, err, sizeof(err)));
	border = world_node_find(w, "border1");
	leaf = world_node_find(w, "leaf1");
	outside = world_outside(w, &n);
	assert_int_equal(n, 2);
	world_run(w, SECONDS(40));
	assert_true(ip_parse("20.0.1.9", &probe));
	assert_non_null(path_from(border, "eth9", "20.0.1.0/24"));
	a = bgp_peer_restart(node_port_find(border->node, "eth9")->peer->bgp);
	b = bgp_peer_restart(node_port_find(border->node, "eth10")->peer->bgp);
	world_crash(&outside[0], SIM_KILLED);
	world_run(w, SECONDS(29));
	assert_false(is_stale(path_from(border, "eth9", "20.0.1.0/24")));
	world_run(w, SECONDS(3));
	assert_true(a->stale && a->long_lived);
	assert_true(is_stale(path_from(border, "eth9", "20.0.1.0/24")));
	/* the last resort: not used, and not beside the other */
	assert_int_equal(model_lookup(border->platform, 0, &probe, &route), MODEL_FORWARD);
	assert_int_equal(route.nhops, 1);
	assert_int_equal(route.hops[0].ifindex, world_ifindex(border, "eth10"));
	assert_false(is_stale(path_from(leaf, "eth1", "20.0.1.0/24")));
	/* the other one goes, and asks for no such thing */
	world_crash(&outside[1], SIM_KILLED);
	world_run(w, SECONDS(35));
	assert_int_equal(b->stale, 0);
	assert_int_equal(model_lookup(border->platform, 0, &probe, &route), MODEL_FORWARD);
	assert_int_equal(route.hops[0].ifindex, world_ifindex(border, "eth9"));
	assert_true(is_stale(path_from(leaf, "eth1", "20.0.1.0/24")));
	/* it comes back after half an hour, with what it had */
	world_run(w, SECONDS(1800));
	assert_int_equal(world_boot(&outside[0], err, sizeof(err)), 0);
	bgp_peer_restarted(outside[0].node->ports[0].peer->bgp, true, (1 << FAMILY_IPV4) | (1 << FAMILY_IPV6));
	world_run(w, SECONDS(10));
	if (a->ended != BGP_STALE_TOLD)
		fail_msg("%s: %s", bgp_stale_end_name(a->ended), a->text);
	assert_true(path_from(border, "eth9", "20.0.1.0/24") && !is_stale(path_from(border, "eth9", "20.0.1.0/24")));
	assert_true(path_from(leaf, "eth1", "20.0.1.0/24") && !is_stale(path_from(leaf, "eth1", "20.0.1.0/24")));
	/* and the next time it does not */
	world_run(w, SECONDS(60));
	world_crash(&outside[0], SIM_KILLED);
	world_run(w, SECONDS(3600 + 29));
	assert_true(is_stale(path_from(border, "eth9", "20.0.1.0/24")));
	world_run(w, SECONDS(2));
	assert_null(path_from(border, "eth9", "20.0.1.0/24"));
	assert_int_equal(a->ended, BGP_STALE_LONG);
	assert_null(path_from(leaf, "eth1", "20.0.1.0/24"));
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* How many paths the port's neighbour has told, and how many of them are the last resort. */
static size_t
paths_from(const struct world_node *wn, const char *port, size_t *last_resort)
{
	const struct node_peer *peer = node_port_find(wn->node, port)->peer;
	struct rib_view v;
	size_t all = 0;

	*last_resort = 0;
	for (unsigned int f = 0; f < FAMILIES; f++)
		for (uint32_t at = 0; rib_next(wn->node->rib, RIB_MAIN_TABLE, (enum family)f, &at, &v);) {
			const struct path *p = v.list ? path_list_find(v.list, &peer->source) : NULL;

			all += p != NULL;
			*last_resort += is_stale(p);
		}
	return all;
}

/* A whole table becomes the last resort in slices, so that all else goes on in between; also when it comes back meanwhile. */
static void
test_long_lived_table(void **state)
{
	(void)state;
	for (int back = 0; back < 2; back++) {
		struct world_config cfg = { .seed = 9, .outside = true, .feed = 6000 };
		struct world_node *border, *outside;
		const struct bgp_restart *r;
		size_t n, all, some = 0;
		char err[256];
		struct world *w;

		cfg.topo = load_file("long-lived.yaml");
		assert_non_null(w = world_new(&cfg, err, sizeof(err)));
		border = world_node_find(w, "border1");
		outside = world_outside(w, &n);
		world_run(w, SECONDS(60));
		r = bgp_peer_restart(node_port_find(border->node, "eth9")->peer->bgp);
		all = paths_from(border, "eth9", &some);
		assert_true(all >= 6000 && some == 0);
		world_crash(&outside[0], SIM_KILLED);
		world_run(w, SECONDS(29));
		for (int ms = 0; ms < 3000 && some == 0; ms++) {
			world_run(w, MS(1));
			assert_int_equal(paths_from(border, "eth9", &some), all);
		}
		assert_in_range(some, 1, all / 2);
		assert_null(event_of(border, "RESTART_LONG"));
		if (back) {
			assert_int_equal(world_boot(&outside[0], err, sizeof(err)), 0);
			bgp_peer_restarted(outside[0].node->ports[0].peer->bgp, true, 3);
		}
		world_run(w, SECONDS(30));
		assert_int_equal(paths_from(border, "eth9", &some), all);
		assert_int_equal(some, back ? 0 : all);
		assert_int_equal(event_of(border, "RESTART_LONG") == NULL, back && r->ended == BGP_STALE_TOLD);
		assert_int_equal(r->stale != 0, !back);
		/* none of them has been forgotten: they go with the end of their time, or the session's */
		world_crash(&outside[0], SIM_DARK);
		world_run(w, SECONDS(3700));
		assert_int_equal(paths_from(border, "eth9", &some), 0);
		world_free(w);
		topo_free((struct topo *)(uintptr_t)cfg.topo);
	}
}

/* RFC 4724 4.2: what it told before its first restart does not outlive the second, however much that is. */
static void
test_a_table_of_one_that_restarts_twice(void **state)
{
	struct world_config cfg = { .seed = 9, .outside = true, .feed = 6000 };
	struct world_node *border, *outside;
	const struct node_peer *peer;
	char err[256];
	struct world *w;
	size_t n, some;

	(void)state;
	cfg.topo = load_file("long-lived.yaml");
	assert_non_null(w = world_new(&cfg, err, sizeof(err)));
	border = world_node_find(w, "border1");
	outside = world_outside(w, &n);
	world_run(w, SECONDS(60));
	peer = node_port_find(border->node, "eth9")->peer;
	assert_true(paths_from(border, "eth9", &some) >= 6000);
	world_crash(&outside[0], SIM_KILLED);
	world_run(w, SECONDS(1));
	assert_int_equal(world_boot(&outside[0], err, sizeof(err)), 0);
	bgp_peer_restarted(outside[0].node->ports[0].peer->bgp, true, 3);
	export_hold(outside[0].node->export, true); /* it tells nothing */
	for (int s = 0; s < 20 && !peer->established; s++)
		world_run(w, SECONDS(1));
	assert_true(peer->established);
	assert_int_equal(bgp_peer_restart(peer->bgp)->stale, 3);
	assert_true(paths_from(border, "eth9", &some) >= 6000);
	world_crash(&outside[0], SIM_KILLED);
	world_run(w, SECONDS(1));
	assert_int_equal(bgp_peer_restart(peer->bgp)->begun, 2);
	assert_int_equal(paths_from(border, "eth9", &some), 0);
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* Nobody speaks BGP behind a port that is lit: a router outside is waited for a while, since it may be slow, not for ever. */
static void
test_a_silent_router_outside(void **state)
{
	struct world_config cfg = { .seed = 9, .outside = true, .feed = 3 };
	struct world_node *border;
	char err[256];
	struct world *w;
	size_t n;

	(void)state;
	cfg.topo = load_file("long-lived.yaml");
	assert_non_null(w = world_new(&cfg, err, sizeof(err)));
	border = world_node_find(w, "border1");
	world_run(w, SECONDS(40));
	world_crash(world_outside(w, &n), SIM_KILLED);
	world_run(w, SECONDS(1));
	world_crash(border, SIM_KILLED);
	world_run(w, MS(100));
	boot(border);
	world_run(w, SECONDS(8));
	assert_int_equal(border->node->restart.phase, NODE_DEFERS);
	world_run(w, SECONDS(4));
	assert_int_equal(border->node->restart.phase, NODE_RUNS);
	assert_null(event_of(border, "RESTART_LATE"));
	world_free(w);
	topo_free((struct topo *)(uintptr_t)cfg.topo);
}

/* A start that finds nothing of ours says that nothing was preserved, and uses at once what it is told. */
static void
test_a_cold_start_waits_for_nobody(void **state)
{
	struct stage s = begin(37);

	(void)state;
	world_crash(s.leaf4, SIM_DARK);
	world_run(s.w, SECONDS(5));
	assert_int_equal(bgp_peer_restart(spine_session(&s)->bgp)->begun, 0);
	assert_int_equal(ways(s.leaf1, s.leaf4), 0);
	boot(s.leaf4);
	assert_int_equal(s.leaf4->node->restart.phase, NODE_RUNS);
	world_run(s.w, SECONDS(2));
	assert_int_equal(ways(s.leaf1, s.leaf4), 2);
	assert_int_equal(bgp_peer_facts(spine_session(&s)->bgp)->remote.gr_flags, BGP_KEEPS_NOTIFIED | BGP_RESTARTED);
	assert_int_equal(bgp_peer_facts(spine_session(&s)->bgp)->remote.gr_forwarding, 0);
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_P01_kept_and_told_again),
		cmocka_unit_test(test_P01_never_comes_back),
		cmocka_unit_test(test_P01_what_went_meanwhile_is_swept),
		cmocka_unit_test(test_P01_who_is_not_heard_is_given_up),
		cmocka_unit_test(test_W15_no_end_of_rib_for_us),
		cmocka_unit_test(test_P02_carrier_lost_while_deferring),
		cmocka_unit_test(test_P01_all_restart),
		cmocka_unit_test(test_P01_both_ends_in_the_same_moment),
		cmocka_unit_test(test_stopped_for_a_restart),
		cmocka_unit_test(test_a_cold_start_waits_for_nobody),
		cmocka_unit_test(test_kept_without_advertisements),
		cmocka_unit_test(test_last_advertisement_comes_first),
		cmocka_unit_test(test_long_lived),
		cmocka_unit_test(test_long_lived_table),
		cmocka_unit_test(test_a_table_of_one_that_restarts_twice),
		cmocka_unit_test(test_a_silent_router_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
