/*
 * tests/unit/node/node_test.c -- a spine among honest leaves, and one neighbour that misbehaves
 *
 * leaf4 of the 4x2 fabric is played by a puppet on its link to spine1. Whatever it says, the others lose nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/support/counters.h"
#include "tests/unit/node/puppet.h"
#include "tests/unit/topology/file.h"

#define LEAF4_AS 65004
#define LEAF4_ID 0x0a000104 /* 10.0.1.4 */

struct stage {
	struct topo *topo;
	struct world *w;
	struct world_node *spine1, *leaf1;
	struct node_peer *session; /* spine1's, to the puppet */
	struct puppet *puppet;
};

static void
begin_with(struct stage *s, uint32_t asn, uint32_t id, uint32_t caps)
{
	struct world_config cfg = { .seed = 11 };
	struct world_node *leaf4;
	char err[256];

	memset(s, 0, sizeof(*s));
	cfg.topo = s->topo = load_file("4x2.yaml");
	s->w = world_new(&cfg, err, sizeof(err));
	assert_non_null(s->w);
	s->spine1 = world_node_find(s->w, "spine1");
	s->leaf1 = world_node_find(s->w, "leaf1");
	leaf4 = world_node_find(s->w, "leaf4");
	world_crash(leaf4, SIM_KILLED);
	sim_node_boot(leaf4->rt);
	s->session = node_port_find(s->spine1->node, "eth4")->peer;
	s->puppet = puppet_with(leaf4, world_ifindex(leaf4, "eth1"), asn, id, caps);
	/* The puppet sends no RA: an inbound connection from a link-local address is enough. */
	world_run(s->w, SECONDS(30));
}

static void
begin(struct stage *s, uint32_t asn, uint32_t id)
{
	begin_with(s, asn, id, 0);
}

static void
end(struct stage *s)
{
	puppet_free(s->puppet);
	world_free(s->w);
	topo_free(s->topo);
}

static void
say(struct stage *s, bool reach, const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	puppet_say(s->puppet, reach, &p, 1);
	world_run(s->w, SECONDS(1));
}

static const struct path_list *
at_spine(struct stage *s, const char *text)
{
	struct rib_view v;
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	return rib_get(s->spine1->node->rib, RIB_MAIN_TABLE, &p, &v) ? v.list : NULL;
}

static uint64_t
memory_of(const struct world_node *n)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < MEM_KINDS; k++)
		sum += n->node->mem.by[k].bytes;
	return sum;
}

static void
test_what_is_its_own_is_taken(void **state)
{
	struct stage s;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	assert_true(s.session->established);
	assert_true(s.puppet->established);
	say(&s, true, "10.1.4.0/24");
	assert_non_null(at_spine(&s, "10.1.4.0/24"));
	say(&s, false, "10.1.4.0/24");
	assert_null(at_spine(&s, "10.1.4.0/24"));
	end(&s);
}

static void
test_what_is_not_its_own_is_refused_and_counted(void **state)
{
	static const struct {
		const char *prefix;
		enum policy_verdict want;
	} cases[] = {
		{ "10.1.1.0/24", POLICY_NOT_FROM_THERE }, /* leaf1's rack */
		{ "10.0.1.1/32", POLICY_NOT_FROM_THERE }, /* leaf1's loopback */
		{ "fd00:1:0:1::/64", POLICY_NOT_FROM_THERE },
		{ "0.0.0.0/0", POLICY_NOT_FROM_THERE },
		{ "::/0", POLICY_NOT_FROM_THERE },
		{ "192.0.2.0/24", POLICY_NOT_FROM_THERE },
		{ "10.1.4.128/25", POLICY_LENGTH },
		{ "10.1.0.0/16", POLICY_LENGTH },
		{ "10.0.0.1/32", POLICY_OWN }, /* the spine's own loopback */
		{ "127.0.0.0/8", POLICY_MARTIAN },
		{ "ff00::/8", POLICY_MARTIAN },
	};
	struct stage s;
	struct ip leaf1_host = ip_v4(0x0a010101);
	struct world_walk walk;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t before = s.session->refused[cases[i].want];
		const struct path_list *l;

		say(&s, true, cases[i].prefix);
		l = at_spine(&s, cases[i].prefix);
		if (l && path_list_find(l, &s.session->source))
			fail_msg("%s was taken", cases[i].prefix);
		if (s.session->refused[cases[i].want] != before + 1)
			fail_msg("%s: not counted as %s", cases[i].prefix, policy_verdict_name(cases[i].want));
	}
	assert_true(s.session->established);
	assert_int_equal(
	    world_walk(s.w, world_node_find(s.w, "leaf2")->topo->index, &leaf1_host, 5, &walk), WORLD_ARRIVED);
	assert_int_equal(walk.hops[walk.nhops - 1], s.leaf1->topo->index);
	end(&s);
}

/* S03: a million of them, in its own good time: they cost memory neither here nor there. */
static void
test_S03_a_flood_of_foreign_prefixes_harms_nobody(void **state)
{
	struct stage s;
	struct prefix *flood = calloc(1000000, sizeof(*flood));
	struct rib_counts before, after;
	uint64_t memory;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	rib_counts(s.spine1->node->rib, &before);
	memory = memory_of(s.spine1);
	for (uint32_t i = 0; i < 1000000; i++) {
		struct ip a = ip_v4(0x14000000u + i);

		flood[i] = prefix_of(&a, 32);
	}
	puppet_say(s.puppet, true, flood, 1000); /* what the window takes at once; the rest follows */
	for (size_t i = 1000; i < 1000000; i += 1000) {
		world_run(s.w, MS(10));
		puppet_say(s.puppet, true, flood + i, 1000);
	}
	world_run(s.w, SECONDS(5));
	assert_true(s.session->established);
	assert_int_equal(s.session->refused[POLICY_NOT_FROM_THERE], 1000000);
	assert_in_range(memory_of(s.spine1), 0, memory + (1 << 20));
	rib_counts(s.spine1->node->rib, &after);
	assert_int_equal(after.prefixes[FAMILY_IPV4], before.prefixes[FAMILY_IPV4]);
	for (int port = 1; port <= 3; port++) {
		char name[8];

		snprintf(name, sizeof(name), "eth%d", port);
		assert_true(node_port_find(s.spine1->node, name)->peer->established);
		assert_int_equal(bgp_peer_counters(node_port_find(s.spine1->node, name)->peer->bgp)->flaps, 0);
	}
	free(flood);
	end(&s);
}

/* C07: the session is refused, and says who was wanted and who was seen. */
static void
test_C07_wrong_as_and_wrong_identifier(void **state)
{
	static const struct {
		uint32_t asn, id;
		const char *notice;
	} cases[] = { { 65003, LEAF4_ID, "(2/2)" }, { LEAF4_AS, 0x0a000103, "(2/3)" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stage s;
		char why[BGP_REASON_TEXT];

		begin(&s, cases[i].asn, cases[i].id);
		assert_false(s.session->established);
		if (!strstr(bgp_peer_notice_out(s.session->bgp), cases[i].notice))
			fail_msg("sent: %s", bgp_peer_notice_out(s.session->bgp));
		node_peer_why(s.session, why, sizeof(why));
		assert_non_null(strstr(why, i ? "10.0.1.4" : "65004"));
		assert_non_null(strstr(why, i ? "10.0.1.3" : "65003"));
		end(&s);
	}
}

/* Who was wrong is forgotten with him: what is told later is of later. */
static void
test_C07_a_wrong_neighbour_that_left_is_not_blamed(void **state)
{
	struct stage s;
	char why[BGP_REASON_TEXT];

	(void)state;
	begin(&s, 65003, LEAF4_ID);
	node_peer_why(s.session, why, sizeof(why));
	assert_non_null(strstr(why, "65003"));
	bgp_peer_stop(s.puppet->bgp, NULL, rt_now(s.puppet->rt));
	puppet_settle(s.puppet);
	world_link_set(s.w, "spine1", "eth4", false);
	world_run(s.w, SECONDS(1));
	world_link_set(s.w, "spine1", "eth4", true);
	world_run(s.w, SECONDS(5));
	node_peer_why(s.session, why, sizeof(why));
	assert_string_equal(why, "no neighbour heard");
	end(&s);
}

/* RFC 8950 4: a neighbour that did not ask for IPv4 routes with IPv6 next hops is told none, and an event says so. */
static void
test_no_ipv4_for_who_takes_no_ipv6_next_hop(void **state)
{
	struct stage s;
	const struct journal_event *e;
	size_t events = 0;

	(void)state;
	begin_with(&s, LEAF4_AS, LEAF4_ID, BGP_CAP_MP | BGP_CAP_AS4 | BGP_CAP_REFRESH);
	assert_true(s.session->established);
	assert_int_equal(bgp_peer_counters(s.session->bgp)->flaps, 0);
	assert_int_equal(s.puppet->reached[FAMILY_IPV4], 0);
	assert_true(s.puppet->reached[FAMILY_IPV6] > 0);
	assert_int_equal(bgp_peer_facts(s.session->bgp)->end_of_rib_out, 3);
	assert_int_equal(export_count(s.session->export, FAMILY_IPV4), 0);
	for (uint64_t id = 1; (e = journal_from(s.spine1->node->journal, id)); id = e->id + 1)
		events += strcmp(e->type, "FAMILY_NOT_TOLD") == 0;
	assert_int_equal(events, 1);
	end(&s);
}

/* RFC 4271 6.3: a route by way of ourselves is refused, and the session stays. */
static void
test_our_own_address_is_no_next_hop(void **state)
{
	struct bgp_next_hop nh = { .has_link_local = true };
	struct stage s;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	nh.link_local = s.puppet->far;
	bgp_peer_set_next_hop(s.puppet->bgp, FAMILY_IPV4, &nh);
	say(&s, true, "10.1.4.0/24");
	assert_null(at_spine(&s, "10.1.4.0/24"));
	assert_int_equal(s.session->refused[POLICY_NEXT_HOP], 1);
	nh.link_local = s.puppet->link_local;
	bgp_peer_set_next_hop(s.puppet->bgp, FAMILY_IPV4, &nh);
	say(&s, true, "10.1.4.0/24");
	assert_non_null(at_spine(&s, "10.1.4.0/24"));
	assert_true(s.session->established);
	end(&s);
}

/* F06 in small: a route that the forwarding plane refuses is not announced, and is when it is there at last. */
static void
test_a_route_that_the_fib_refuses_is_not_announced(void **state)
{
	struct model_fault full = { .kind = MODEL_FULL, .kinds = 1u << PLAT_ROUTE_SET };
	struct stage s;
	struct rib_view v;
	struct prefix p;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	assert_true(prefix_parse("10.1.4.0/24", &p));
	model_fault_set(s.spine1->platform, &full);
	say(&s, true, "10.1.4.0/24");
	assert_true(rib_get(s.spine1->node->rib, RIB_MAIN_TABLE, &p, &v));
	assert_null(v.told);
	assert_false(rib_get(s.leaf1->node->rib, RIB_MAIN_TABLE, &p, &v) && v.list &&
		     path_list_find(v.list, &node_port_find(s.leaf1->node, "eth1")->peer->source));
	model_fault_set(s.spine1->platform, NULL);
	world_run(s.w, SECONDS(120));
	assert_true(rib_get(s.leaf1->node->rib, RIB_MAIN_TABLE, &p, &v));
	assert_non_null(path_list_find(v.list, &node_port_find(s.leaf1->node, "eth1")->peer->source));
	end(&s);
}

/* One UPDATE for one prefix, with the community 65004:n. */
static void
say_with_community(struct stage *s, const struct prefix *p, uint16_t n)
{
	uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 4, 0xfd, 0xec, (uint8_t)(n >> 8), (uint8_t)n };
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };

	puppet_say_with(s->puppet, &v, p, 1);
}

/* The last octets of the attributes that a node has of a prefix from a port; -1: it has no such path. */
static int
community_at(struct world_node *at, const char *port, const struct prefix *p)
{
	const struct path *path;
	struct rib_view v;
	struct rd value;

	if (!rib_get(at->node->rib, RIB_MAIN_TABLE, p, &v) || !v.list ||
	    !(path = path_list_find(v.list, &node_port_find(at->node, port)->peer->source)))
		return -1;
	if (!bgp_attr_find(path->attrs->v.wire, path->attrs->v.wire_len, BGP_ATTR_COMMUNITIES, &value))
		return -1;
	return (int)(rd_u32(&value) & 0xffff);
}

/*
 * W12: its own prefix 20,000 times a second, each time with other attributes, while one of those who are told does not
 * read. What waits for that one has a bound (QUEUE_FULL of the exporter: 4 MiB, and what carries them), and goes when
 * it has made no progress for two seconds; the others are told at once; in the end all have the latest.
 */
static void
test_W12_latest_wins(void **state)
{
	enum { STORM = 60000, BOUND = 8 << 20 };
	const struct bgp_counters *told;
	struct world_node *leaf2;
	uint64_t before, most = 0, updates;
	struct stage s;
	struct prefix p;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	leaf2 = world_node_find(s.w, "leaf2");
	assert_true(prefix_parse("10.1.4.0/24", &p));
	say_with_community(&s, &p, 0);
	world_run(s.w, SECONDS(1));
	assert_int_equal(community_at(s.leaf1, "eth1", &p), 0);
	before = memory_of(s.spine1);
	told = bgp_peer_counters(node_port_find(s.leaf1->node, "eth1")->peer->bgp);
	updates = told->in[BGP_UPDATE];
	sim_node_stall(s.leaf1->rt, MS(5500)); /* and up to 3 s since its last KEEPALIVE: less than the hold time */
	for (int i = 1; i <= STORM; i++) {
		say_with_community(&s, &p, (uint16_t)i);
		world_run(s.w, 50);
		most = MAX_OF(most, memory_of(s.spine1));
	}
	assert_in_range(most, before, before + BOUND);
	world_run(s.w, MS(1700));
	assert_in_range(memory_of(s.spine1), 0, before + BOUND / 8);
	assert_int_equal(community_at(leaf2, "eth1", &p), STORM);
	assert_true(s.session->established);
	world_run(s.w, SECONDS(5));
	assert_int_equal(community_at(s.spine1, "eth4", &p), STORM);
	assert_int_equal(community_at(s.leaf1, "eth1", &p), STORM);
	assert_in_range(told->in[BGP_UPDATE] - updates, 1, STORM - 1);
	assert_int_equal(told->flaps, 0);
	assert_in_range(memory_of(s.spine1), 0, before + 16 * 1024);
	end(&s);
}

/* ---- witnesses ---- */

/* How many next hops leaf1 has for it. */
static unsigned int
width_at_leaf1(struct stage *s, const char *text)
{
	struct rib *rib = s->leaf1->node->rib;
	const struct hop_set *hops;
	struct rib_view v;
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	if (!rib_get(rib, RIB_MAIN_TABLE, &p, &v) || !v.list)
		return 0;
	hops = hop_set_get(rib_hops(rib), v.list->hops);
	assert_non_null(hops);
	assert_int_equal(hops->group, v.group); /* it is what the FIB has */
	return hops->n;
}

static void
spine2_says(struct stage *s, bool reach, const char *text)
{
	/* As the puppet encodes it, 65000 comes before leaf2's 65002. */
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xea };
	const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	puppet_say_with(s->puppet, reach ? &v : NULL, &p, 1);
}

/* spine2 is played, and offers leaf1 all that leaf2 has, as spine1 does. */
static void
begin_beside_spine1(struct stage *s)
{
	struct world_config cfg = { .seed = 12 };
	struct world_node *spine2;
	char err[256];

	memset(s, 0, sizeof(*s));
	cfg.topo = s->topo = load_file("4x2.yaml");
	s->w = world_new(&cfg, err, sizeof(err));
	assert_non_null(s->w);
	s->leaf1 = world_node_find(s->w, "leaf1");
	spine2 = world_node_find(s->w, "spine2");
	world_crash(spine2, SIM_KILLED);
	sim_node_boot(spine2->rt);
	s->puppet = puppet_new(spine2, world_ifindex(spine2, "eth1"), 65000, 0x0a000002);
	world_run(s->w, SECONDS(30));
	assert_true(s->puppet->established);
	spine2_says(s, true, "10.0.1.2/32");
	spine2_says(s, true, "fd00:0:0:1::2/128");
	spine2_says(s, true, "10.1.2.0/24");
	spine2_says(s, true, "fd00:1:0:2::/64");
	world_run(s->w, SECONDS(2));
	assert_int_equal(width_at_leaf1(s, "10.1.2.0/24"), 2);
	assert_int_equal(width_at_leaf1(s, "fd00:1:0:2::/64"), 2);
}

/* The loopbacks alone are withdrawn: the racks behind them do not wait for their own withdrawals. */
static void
test_a_lost_loopback_takes_its_origin_along(void **state)
{
	struct stage s;

	(void)state;
	begin_beside_spine1(&s);
	spine2_says(&s, false, "10.0.1.2/32");
	spine2_says(&s, false, "fd00:0:0:1::2/128");
	world_run(s.w, MS(2));
	assert_int_equal(width_at_leaf1(&s, "10.1.2.0/24"), 1);
	assert_int_equal(width_at_leaf1(&s, "fd00:1:0:2::/64"), 1);
	assert_int_equal(width_at_leaf1(&s, "10.1.3.0/24"), 1); /* the puppet never had it */
	spine2_says(&s, false, "10.1.2.0/24");
	spine2_says(&s, false, "fd00:1:0:2::/64");
	world_run(s.w, SECONDS(3));
	assert_int_equal(width_at_leaf1(&s, "10.1.2.0/24"), 1);
	assert_true(node_quiet(s.leaf1->node));
	end(&s);
}

static void
test_a_loopback_that_was_only_removed_costs_width_for_a_moment(void **state)
{
	struct stage s;

	(void)state;
	begin_beside_spine1(&s);
	spine2_says(&s, false, "fd00:0:0:1::2/128"); /* one of two says nothing */
	world_run(s.w, MS(100));
	assert_int_equal(width_at_leaf1(&s, "10.1.2.0/24"), 2);
	spine2_says(&s, false, "10.0.1.2/32");
	world_run(s.w, MS(100));
	assert_int_equal(width_at_leaf1(&s, "10.1.2.0/24"), 1);
	world_run(s.w, SECONDS(2));
	assert_int_equal(width_at_leaf1(&s, "10.1.2.0/24"), 2);
	assert_int_equal(width_at_leaf1(&s, "fd00:1:0:2::/64"), 2);
	assert_true(node_quiet(s.leaf1->node));
	end(&s);
}

static void
on_closed(void *arg, int error)
{
	(void)error;
	*(bool *)arg = true;
}

static size_t
on_input(void *arg, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	return n;
}

/* Another connection to port 179 of the spine, from that address on the puppet's port: it is closed. */
static void
dial(struct stage *s, const struct ip *from)
{
	static const struct rt_stream_handler handler = { .input = on_input, .closed = on_closed };
	struct rt_stream_options o = { .ifindex = s->puppet->ifindex, .gtsm = true, .local = *from };
	struct rt_stream *stream;
	bool closed = false;

	assert_int_equal(rt_connect(s->puppet->rt, &o, &s->puppet->far, BGP_PORT, &handler, &closed, &stream), 0);
	world_run(s->w, SECONDS(1));
	assert_true(closed);
}

/* Each by its own counter; the session that is there goes on. */
static void
test_refused_connections_are_counted(void **state)
{
	static const struct {
		const char *from; /* NULL: the neighbour's own address */
		bool of_link;     /* the link engine refuses it */
		const char *counter;
	} cases[] = {
		{ "fd00::99", false, "stranger" },
		{ "fe80::99", true, "second-router" },
		{ NULL, false, "not-accepted" },
	};
	struct counters at_link, counters, *c;
	struct stage s;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	link_port_counters(s.session->port->link, &at_link);
	node_port_counters(s.session->port, &counters);
	counters_are_sound(&counters, sizeof(struct node_port_counters));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t trouble = counters_trouble(&at_link) + counters_trouble(&counters), was;
		struct ip from = s.puppet->link_local;

		c = cases[i].of_link ? &at_link : &counters;
		was = counter_named(c, cases[i].counter);
		if (cases[i].from) {
			assert_true(ip_parse(cases[i].from, &from));
			assert_int_equal(sim_port_address(s.puppet->rt, s.puppet->ifindex, &from), 0);
		}
		dial(&s, &from);
		if (counter_named(c, cases[i].counter) != was + 1 ||
		    counters_trouble(&at_link) + counters_trouble(&counters) != trouble + (cases[i].from != NULL))
			fail_msg("%s: %llu", cases[i].counter, (unsigned long long)counter_named(c, cases[i].counter));
		assert_true(s.session->established);
	}
	end(&s);
}

/* Somebody else on the link connects, says nothing and goes: the neighbour is dialled again, and not him. */
static void
test_a_guest_does_not_stay(void **state)
{
	static const struct rt_stream_handler handler = { .input = on_input, .closed = on_closed };
	struct rt_stream_options o = { .gtsm = true };
	struct rt_stream *stream;
	bool closed = false;
	struct ip guest;
	struct stage s;

	(void)state;
	begin(&s, LEAF4_AS, LEAF4_ID);
	assert_true(s.session->established);
	bgp_peer_stop(s.puppet->bgp, NULL, rt_now(s.puppet->rt));
	puppet_settle(s.puppet);
	world_run(s.w, SECONDS(1));
	assert_false(s.session->established);
	assert_true(ip_parse("fe80::99", &guest));
	assert_int_equal(sim_port_address(s.puppet->rt, s.puppet->ifindex, &guest), 0);
	o.ifindex = s.puppet->ifindex;
	o.local = guest;
	assert_int_equal(rt_connect(s.puppet->rt, &o, &s.puppet->far, BGP_PORT, &handler, &closed, &stream), 0);
	world_run(s.w, SECONDS(1));
	assert_false(closed);
	assert_int_equal(bgp_peer_state(s.session->bgp), BGP_OPEN_SENT);
	assert_true(ip_equal(&s.session->address, &guest));
	rt_stream_close(stream, false);
	world_run(s.w, SECONDS(1));
	assert_true(ip_equal(&s.session->address, &s.puppet->link_local));
	bgp_peer_start(s.puppet->bgp, rt_now(s.puppet->rt));
	puppet_settle(s.puppet);
	world_run(s.w, SECONDS(5));
	assert_true(s.session->established);
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_its_own_is_taken),
		cmocka_unit_test(test_what_is_not_its_own_is_refused_and_counted),
		cmocka_unit_test(test_refused_connections_are_counted),
		cmocka_unit_test(test_S03_a_flood_of_foreign_prefixes_harms_nobody),
		cmocka_unit_test(test_C07_wrong_as_and_wrong_identifier),
		cmocka_unit_test(test_C07_a_wrong_neighbour_that_left_is_not_blamed),
		cmocka_unit_test(test_no_ipv4_for_who_takes_no_ipv6_next_hop),
		cmocka_unit_test(test_our_own_address_is_no_next_hop),
		cmocka_unit_test(test_a_guest_does_not_stay),
		cmocka_unit_test(test_a_route_that_the_fib_refuses_is_not_announced),
		cmocka_unit_test(test_W12_latest_wins),
		cmocka_unit_test(test_a_lost_loopback_takes_its_origin_along),
		cmocka_unit_test(test_a_loopback_that_was_only_removed_costs_width_for_a_moment),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
