/* topology/derive.c: numbers, ports and links of each node; growth moves nobody */
#include "tests/unit/topology/load.h"

struct node_case {
	const char *file, *node;
	uint32_t asn, level, plane, uplinks;
	const char *router_id, *v4, *v6, *rack4, *rack6; /* NULL: none */
};

static const struct node_case nodes[] = {
	{ "4x2", "leaf3", 65003, 0, 0, 2, "10.0.1.3", "10.0.1.3/32", "fd00:0:0:1::3/128", "10.1.3.0/24",
	    "fd00:1:0:3::/64" },
	{ "4x2", "spine2", 65000, 1, 0, 0, "10.0.0.2", "10.0.0.2/32", "fd00::2/128", NULL, NULL },
	{ "16x4", "leaf10", 65010, 0, 0, 4, "10.0.1.10", "10.0.1.10/32", "fd00:0:0:1::a/128", "10.1.10.0/24",
	    "fd00:1:0:a::/64" },
	{ "dc1-500", "p3-leaf7", 4200103007, 0, 0, 4, "10.250.3.7", "10.250.3.7/32", NULL, "10.32.49.192/26", NULL },
	{ "dc1-500", "p9-leaf1", 4200109001, 0, 0, 4, "10.250.9.1", "10.250.9.1/32", NULL, "10.32.144.64/26", NULL },
	{ "dc1-500", "p13-spine4", 4200000113, 1, 4, 8, "10.254.13.4", "10.254.13.4/32", NULL, NULL, NULL },
	{ "dc1-500", "super30", 4200000000, 2, 2, 0, "10.255.0.30", "10.255.0.30/32", NULL, NULL, NULL },
	{ "border", "border2", 65202, 0, 0, 4, "10.0.2.2", "10.0.2.2/32", NULL, NULL, NULL },
	{ "border", "leaf3", 65003, 0, 0, 4, "10.0.1.3", "10.0.1.3/32", NULL, "10.32.3.0/24", NULL },
	{ "3tier-small", "p2-leaf1", 4200000201, 0, 0, 2, "10.3.2.1", "10.3.2.1/32", "fd00:0:3:2::1/128",
	    "10.32.129.0/24", "fd00:1:2:1::/64" },
	{ "3tier-small", "p2-spine1", 65102, 1, 1, 2, "10.2.2.1", "10.2.2.1/32", "fd00:0:2:2::1/128", NULL, NULL },
	{ "all-keys", "p2-leaf3", 4200102003, 0, 0, 2, "10.250.2.3", NULL, "fd00:250:0:2::3/128", "10.32.32.192/26",
	    "fd00:1:0:203::/64" },
	{ "all-keys", "super4", 4200000000, 2, 2, 0, "10.255.0.4", "10.255.0.4/32", "fd00:255::4/128", NULL, NULL },
	{ "all-keys", "p2-border1", 4201002001, 0, 0, 2, "10.253.2.1", "10.253.2.1/32", NULL, NULL, NULL },
};

static void
same_prefix(const struct node_case *c, const char *what, bool has, const struct prefix *got, const char *want)
{
	char text[PREFIX_TEXT] = "none";

	if (has)
		prefix_print(got, text);
	if (strcmp(text, want ? want : "none") != 0)
		fail_msg("%s %s: %s is %s, not %s", c->file, c->node, what, text, want ? want : "none");
}

static void
numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		const struct node_case *c = &nodes[i];
		struct topo *t = load_data(c->file);
		const struct topo_node *n = topo_node_find(t, c->node);
		char id[IP_TEXT];

		if (!n)
			fail_msg("%s: no %s", c->file, c->node);
		assert_string_equal(n->name, c->node);
		assert_ptr_equal(n, &t->nodes[n->index]);
		assert_int_equal(n->asn, c->asn);
		assert_int_equal(n->level, c->level);
		assert_int_equal(n->plane, c->plane);
		assert_int_equal(n->uplinks, c->uplinks);
		assert_string_equal(ip_print(&n->router_id, id), c->router_id);
		same_prefix(c, "loopback", n->has_loopback[FAMILY_IPV4], &n->loopback[FAMILY_IPV4], c->v4);
		same_prefix(c, "loopback", n->has_loopback[FAMILY_IPV6], &n->loopback[FAMILY_IPV6], c->v6);
		same_prefix(c, "rack", n->has_rack[FAMILY_IPV4], &n->rack[FAMILY_IPV4], c->rack4);
		same_prefix(c, "rack", n->has_rack[FAMILY_IPV6], &n->rack[FAMILY_IPV6], c->rack6);
		topo_free(t);
	}
}

/* What stands on each end of a port; "": nothing. */
static const struct {
	const char *file, *node, *port, *far;
	enum topo_port_kind kind;
} ports[] = {
	{ "4x2", "leaf3", "eth2", "spine2:eth3", TOPO_UP },
	{ "4x2", "spine2", "eth3", "leaf3:eth2", TOPO_DOWN },
	{ "4x2", "spine2", "eth5", "", TOPO_DOWN },
	{ "4x2", "leaf3", "eth3", "", TOPO_HOST },
	{ "dc1-500", "p3-leaf7", "swp50", "p3-spine2:swp7", TOPO_UP },
	{ "dc1-500", "p3-spine2", "swp7", "p3-leaf7:swp50", TOPO_DOWN },
	{ "dc1-500", "p3-spine2", "swp33", "super2:swp3", TOPO_UP },
	{ "dc1-500", "p3-spine2", "swp40", "super30:swp3", TOPO_UP },
	{ "dc1-500", "p3-spine3", "swp35", "super11:swp3", TOPO_UP },
	{ "dc1-500", "super32", "swp13", "p13-spine4:swp40", TOPO_DOWN },
	{ "dc1-500", "super32", "swp14", "", TOPO_DOWN },
	{ "border", "leaf3", "swp50", "", TOPO_UP },             /* dropped */
	{ "border", "spine2", "swp3", "", TOPO_DOWN },           /* dropped */
	{ "border", "leaf3", "swp53", "spine2:swp30", TOPO_UP }, /* added */
	{ "border", "spine2", "swp30", "leaf3:swp53", TOPO_DOWN },
	{ "border", "border2", "swp32", "spine4:swp32", TOPO_UP },
	{ "border", "spine4", "swp32", "border2:swp32", TOPO_DOWN },
	{ "border", "border1", "swp1", "", TOPO_EXTERNAL },
	{ "all-keys", "p2-spine1", "swp33", "super1:swp3", TOPO_UP }, /* links: 2, second pod */
	{ "all-keys", "p2-spine1", "swp34", "super1:swp4", TOPO_UP },
	{ "all-keys", "p2-spine1", "swp35", "super3:swp3", TOPO_UP },
	{ "all-keys", "p1-spine2", "swp36", "super4:swp2", TOPO_UP },
};

static void
wiring(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct topo *t = load_data(ports[i].file);
		const struct topo_node *n = topo_node_find(t, ports[i].node);
		const struct topo_port *p = n ? topo_port_find(n, ports[i].port) : NULL;
		char far[80] = "";

		if (!p)
			fail_msg("%s: no %s:%s", ports[i].file, ports[i].node, ports[i].port);
		if (p->far_node != TOPO_NONE)
			snprintf(far, sizeof(far), "%s:%s", t->nodes[p->far_node].name, p->far_port);
		if (strcmp(far, ports[i].far) != 0 || p->kind != ports[i].kind)
			fail_msg("%s %s:%s leads to \"%s\"", ports[i].file, n->name, p->name, far);
		topo_free(t);
	}
}

/* What must hold of every derived model. */
static void
check_model(const struct topo *t)
{
	size_t up = 0, down = 0;

	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];
		const struct topo_port *a = topo_port_find(&t->nodes[l->lower], l->lower_port);
		const struct topo_port *b = topo_port_find(&t->nodes[l->upper], l->upper_port);

		assert_true(a && b && a->link == i && b->link == i && a->kind == TOPO_UP && b->kind == TOPO_DOWN);
		assert_true(a->far_node == l->upper && b->far_node == l->lower);
		assert_string_equal(a->far_port, l->upper_port);
		assert_string_equal(b->far_port, l->lower_port);
		assert_int_equal(t->tiers[t->nodes[l->lower].tier].up, t->nodes[l->upper].tier);
	}
	for (size_t i = 0; i < t->nnodes; i++) {
		const struct topo_node *n = &t->nodes[i];
		unsigned int kind = TOPO_UP;

		assert_ptr_equal(topo_node_find(t, n->name), n);
		for (uint32_t k = 0; k < n->nports; k++) {
			assert_true(n->ports[k].kind >= kind);
			kind = n->ports[k].kind;
			assert_ptr_equal(topo_port_find(n, n->ports[k].name), &n->ports[k]);
			up += kind == TOPO_UP && n->ports[k].link != TOPO_NONE;
			down += kind == TOPO_DOWN && n->ports[k].link != TOPO_NONE;
			if (kind == TOPO_EXTERNAL)
				assert_int_equal(t->externals[n->ports[k].external].node, i);
		}
	}
	assert_int_equal(up, t->nlinks);
	assert_int_equal(down, t->nlinks);
}

static const struct {
	const char *file;
	size_t nodes, links;
} sizes[] = {
	{ "4x2", 6, 8 },
	{ "16x4", 20, 64 },
	{ "3tier-small", 12, 16 },
	{ "border", 22, 72 },
	{ "all-keys", 20, 40 },
	{ "dc1-500", 500, 2080 },
};

static void
models(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct topo *t = load_data(sizes[i].file);

		assert_int_equal(t->nnodes, sizes[i].nodes);
		assert_int_equal(t->nlinks, sizes[i].links);
		check_model(t);
		topo_free(t);
	}
}

/* 500 switches, 2,080 links, in under 100 ms; the best of five, so that a busy machine does not decide. */
static void
the_500_in_time(void **state)
{
	char *text = data("dc1-500");
	double best = 1e9;

	(void)state;
	for (int i = 0; i < 5; i++) {
		double start = seconds_now();
		struct topo *t = load(text);
		char *all = topo_expand(t, NULL);

		best = MIN_OF(best, seconds_now() - start);
		free(all);
		topo_free(t);
	}
	free(text);
#ifndef __SANITIZE_ADDRESS__
	assert_true(best < 0.1);
#endif
}

static void
exceptions(void **state)
{
	struct topo *t = load_data("border");
	const struct topo_link *added = NULL;

	(void)state;
	for (size_t i = 0; i < t->nlinks; i++) {
		const struct topo_link *l = &t->links[i];

		assert_int_equal(l->planned, strcmp(t->nodes[l->lower].name, "leaf3") == 0);
		assert_false(strcmp(t->nodes[l->lower].name, "leaf3") == 0 && strcmp(l->lower_port, "swp50") == 0);
		if (l->added)
			added = l;
	}
	assert_non_null(added);
	assert_string_equal(added->why, "RMA-4711");
	assert_int_equal(topo_node_find(t, "leaf3")->state, TOPO_PLANNED);
	assert_string_equal(topo_node_find(t, "leaf3")->serial, "MT2041X00203");
	assert_string_equal(topo_node_find(t, "leaf3")->model, "as7726");
	assert_string_equal(topo_node_find(t, "spine1")->mac, "52:54:00:12:34:56");
	topo_free(t);
}

static void
sessions(void **state)
{
	struct topo *t = load_data("all-keys");
	const struct topo_external *x = t->externals;
	char text[IP_TEXT];

	(void)state;
	assert_int_equal(t->nexternals, 3);
	assert_string_equal(x[0].name, "isp-a");
	assert_string_equal(t->nodes[x[0].node].name, "p1-border1");
	assert_int_equal(x[0].type, TOPO_SESSION_TRANSIT); /* of its template */
	assert_int_equal(x[0].in, TOPO_ADVERT_DEFAULT);
	assert_int_equal(x[0].out, TOPO_ADVERT_AGGREGATES);
	assert_int_equal(x[0].max_prefixes, 1000);
	assert_true(x[0].gtsm && x[0].bfd && x[0].has_local_pref && x[0].has_med && x[0].has_source);
	assert_int_equal(x[0].local_pref, 120);
	assert_int_equal(x[0].ncommunities, 3);
	assert_string_equal(x[0].communities[2], "no-export");
	assert_string_equal(ip_print(&x[0].source, text), "10.253.1.1");
	assert_string_equal(x[0].auth, "isp-a.key");
	assert_int_equal(x[1].max_prefixes, 300000);
	assert_int_equal(x[1].local_as, 64502);
	assert_true(x[1].prepend_local_as && x[1].blackhole && !x[1].gtsm && !x[1].has_med);
	assert_int_equal(x[1].noriginate, 1);
	assert_string_equal(x[1].as_set, "AS64501:AS-IX");
	assert_int_equal(x[2].in, TOPO_ADVERT_FULL);
	assert_int_equal(x[2].rpki, TOPO_RPKI_OFF);
	assert_null(x[2].auth);
	assert_int_equal(t->nservices, 1);
	assert_int_equal(t->services[0].nowners, 2);
	assert_string_equal(t->nodes[t->services[0].owners[1]].name, "p1-leaf4");
	topo_free(t);
}

/* RFC 8212: a session that says neither `in` nor `out` passes nothing. */
static void
settings(void **state)
{
	struct topo *t = load_data("4x2"), *full = load_data("all-keys"), *dc1 = load_data("dc1-500");
	char *text = edited(edited(data("border"), "in: default, ", ""), "out: aggregates, ", "");
	struct topo *quiet = load(text);

	(void)state;
	assert_int_equal(quiet->externals[0].in, TOPO_ADVERT_NONE);
	assert_int_equal(quiet->externals[0].out, TOPO_ADVERT_NONE);
	assert_int_equal(t->timers.bfd_multiplier, 3);
	assert_int_equal(t->timers.bfd_us, 100000);
	assert_int_equal(t->timers.hold_us, 9000000);
	assert_int_equal(t->timers.restart_us, 30000000);
	assert_int_equal(t->timers.damping_half_life_us, 5000000);
	assert_int_equal(t->timers.damping_suppress, 3);
	assert_int_equal(t->mtu, 9216);
	assert_true(t->bfd_strict && !t->bfd_echo && !t->resilient && !t->kernel_compat);
	assert_int_equal(t->weights, TOPO_WEIGHTS_OFF);
	assert_string_equal(t->listen_web, "127.0.0.1:8179");
	assert_int_equal(t->min_uplinks, 1);
	assert_int_equal(t->border_min_uplinks, 1);
	assert_int_equal(t->on_wrong_port, TOPO_WARN);
	assert_int_equal(t->on_wrong_node, TOPO_BLOCK);
	assert_int_equal(t->max_load_after_drain, 90);
	assert_int_equal(t->tiers[1].bridge, TOPO_BRIDGE_OWN);
	assert_string_equal(t->tiers[1].bridge_name, "rack0");
	assert_int_equal(dc1->timers.bfd_us, 50000);
	assert_int_equal(dc1->min_uplinks, 3);
	assert_int_equal(full->revision, 12);
	assert_int_equal(full->public_asn, 64500);
	assert_int_equal(full->nlisten_bmp, 1);
	assert_string_equal(full->rpki_caches[0], "192.0.2.10:3323");
	assert_int_equal(full->nhost_accept, 2);
	assert_int_equal(full->host_accept[0].ge, 12);
	assert_int_equal(full->host_accept[0].le, 32);
	assert_int_equal(full->host_accept[1].ge, 64);
	assert_true(full->tiers[2].has_host_bgp && !full->tiers[1].has_host_bgp);
	assert_int_equal(full->tiers[2].host_asn_max, 65534);
	assert_int_equal(full->naggregates, 2);
	assert_true(full->tiers[0].foreign && topo_node_find(full, "super1")->foreign);
	topo_free(t);
	topo_free(full);
	topo_free(dc1);
	topo_free(quiet);
	free(text);
}

static const struct {
	const char *name, *file, *find, *with;
	size_t more; /* nodes */
} growth[] = {
	{ "leaves", "4x2", "count: 4", "count: 32", 28 },
	{ "leaves of 16", "16x4", "count: 16", "count: 17", 1 },
	{ "leaves beside a border", "border", "count: 16", "count: 28", 12 },
	{ "pods", "dc1-500", "pods: 13", "pods: 32", 19 * 36 },
	{ "fewer supers", "dc1-500", "count: 32", "count: 28", (size_t)-4 },
	{ "fewer leaves in each pod", "dc1-500", "per_pod: 32", "per_pod: 20", (size_t) - (13 * 12) },
	{ "leaves in each pod", "3tier-small", "leaf, per_pod: 2", "leaf, per_pod: 4", 4 },
	{ "small pods", "3tier-small", "pods: 2", "pods: 8", 24 },
	{ "leaves in each pod, with all keys", "all-keys", "per_pod: 4", "per_pod: 28", 48 },
};

static void
growth_moves_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(growth); i++) {
		struct topo *before = load_data(growth[i].file), *after;
		struct topo_errors errs = { 0 };
		char *text = edited(data(growth[i].file), growth[i].find, growth[i].with);

		after = load(text);
		if (after->nnodes != before->nnodes + growth[i].more)
			fail_msg("%s: %zu nodes become %zu", growth[i].name, before->nnodes, after->nnodes);
		if (topo_moved(before, after, &errs) || topo_moved(after, before, &errs))
			fail_msg("%s: %s", growth[i].name, errs.list[0].text);
		check_model(after);
		topo_free(before);
		topo_free(after);
		free(text);
	}
}

/* All counts up to the slots, one by one: each step keeps all that was. */
static void
each_step_of_growth(void **state)
{
	struct topo *last = NULL;

	(void)state;
	for (unsigned int n = 1; n <= 32; n++) {
		char count[32], *text;
		struct topo_errors errs = { 0 };
		struct topo *t;

		snprintf(count, sizeof(count), "count: %u,", n);
		text = edited(data("4x2"), "count: 4,", count);
		t = load(text);
		assert_int_equal(t->nlinks, 2 * n);
		assert_int_equal(last ? topo_moved(last, t, &errs) : 0, 0);
		topo_free(last);
		last = t;
		free(text);
	}
	topo_free(last);
}

static const struct {
	const char *name, *file, *find, *with, *want;
} renumbering[] = {
	{ "base", "4x2", "{base: 65000}", "{base: 65100}", "leaf1 is renumbered: AS 65001 becomes 65101" },
	{ "pool", "4x2", "10.0.1.0/24, \"", "10.0.3.0/24, \"",
	    "leaf1 is renumbered: router id 10.0.1.1 becomes 10.0.3.1, loopback 10.0.1.1/32 becomes 10.0.3.1/32" },
	{ "len", "4x2", "10.1.0.0/16, len: 24", "10.1.0.0/16, len: 25",
	    "leaf1 is renumbered: rack 10.1.1.0/24 becomes 10.1.0.128/25" },
	{ "routed host ports", "routed", "eth[3-6]", "eth[3-10]",
	    "leaf1 is renumbered: eth3 10.1.1.32/27 becomes 10.1.1.16/28, eth3 fd00:1:0:1:2000::/67 becomes "
	    "fd00:1:0:1:1000::/68" },
	{ "pod_step", "dc1-500", "pod_step: 1000", "pod_step: 2000",
	    "p1-leaf1 is renumbered: AS 4200101001 becomes 4200102001" },
	{ "pod_len", "dc1-500", "10.32.0.0/11, pod_len: 20", "10.32.0.0/11, pod_len: 19",
	    "p1-leaf1 is renumbered: rack 10.32.16.64/26 becomes 10.32.32.64/26" },
	{ "ports", "4x2", "eth[1-32]", "eth[33-64]",
	    "leaf1 is renumbered: eth1 goes to spine1:eth33 instead of spine1:eth1" },
};

static void
what_moves_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(renumbering); i++) {
		struct topo *before = load_data(renumbering[i].file), *after;
		struct topo_errors errs = { 0 };
		char *text = edited(data(renumbering[i].file), renumbering[i].find, renumbering[i].with), *got;

		after = load(text);
		assert_true(topo_moved(before, after, &errs) > 0);
		got = topo_errors_print(&errs, "f.yaml", text, strlen(text));
		if (!strstr(got, renumbering[i].want))
			fail_msg("%s: wanted \"%s\", got %s", renumbering[i].name, renumbering[i].want, got);
		free(got);
		free(text);
		topo_errors_free(&errs);
		topo_free(before);
		topo_free(after);
	}
}

/* Pods that go up in full: each pod has a slice of the slots as wide as the tier below allows. */
static void
pods_in_full(void **state)
{
	char *text = edited(data("3tier-small"), "pattern: plane, local: \"eth[5-6]\", remote: \"eth[1-8]\"",
	    "local: \"eth[5-8]\", remote: \"eth[1-8]\"");
	struct topo *t = load(text);
	const struct topo_port *p = topo_port_find(topo_node_find(t, "p2-spine1"), "eth8");

	(void)state;
	assert_int_equal(t->nlinks, 8 + 16);
	assert_string_equal(t->nodes[p->far_node].name, "super4");
	assert_string_equal(p->far_port, "eth3"); /* pod 2, spine 1: (2-1)*2 + 1 */
	assert_int_equal(t->tiers[1].pods_max, 4);
	check_model(t);
	topo_free(t);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(wiring),
		cmocka_unit_test(models),
		cmocka_unit_test(the_500_in_time),
		cmocka_unit_test(exceptions),
		cmocka_unit_test(sessions),
		cmocka_unit_test(settings),
		cmocka_unit_test(growth_moves_nobody),
		cmocka_unit_test(each_step_of_growth),
		cmocka_unit_test(what_moves_is_named),
		cmocka_unit_test(pods_in_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
