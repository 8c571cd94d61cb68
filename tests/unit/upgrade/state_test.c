/*
 * tests/unit/upgrade/state_test.c -- a switch of a fabric gives way to its successor, and nobody notices
 *
 * Everything that a view can show of sessions and routes is written into one text before and after; the texts must be
 * equal. What neighbours see is counted: no flap, and no UPDATE that tells nothing new.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/bgp/session_snapshot.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/node_impl.h"
#include "fabricd/rib/restore.h"
#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"
#include "platform/model/model.h"
#include "tests/unit/node/puppet.h"
#include "tests/unit/topology/file.h"
#include "tests/unit/upgrade/successor.h"

static struct world *
make(const struct topo *t, uint64_t seed, bool bfd)
{
	struct world_config cfg = { .topo = t, .seed = seed, .bfd = bfd, .log = print_event };
	char err[256];
	struct world *w = world_new(&cfg, err, sizeof(err));

	if (!w)
		fail_msg("%s", err);
	if (!world_settle(w, MS(300), mono_add(sim_now(world_net(w)), SECONDS(60))))
		fail_msg("the fabric did not become quiet");
	world_run(w, SECONDS(20));
	return w;
}

/* ---- all that can be seen ---- */

struct text {
	char *s;
	size_t n, cap;
};

static void PRINTF_LIKE(2, 3) add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	t->s = mem_grow(NULL, MEM_OTHER, t->s, &t->cap, t->n + 1024, 1);
	va_start(ap, fmt);
	n = vsnprintf(t->s + t->n, 1024, fmt, ap);
	va_end(ap);
	assert_in_range(n, 0, 1023);
	t->n += (size_t)n;
}

static void
add_open(struct text *t, const struct bgp_open *o)
{
	add(t, " open v%u as %u hold %u id %x caps %x %d host %s.%s gr %x %u %x %x role %u others %u\n", o->version,
	    o->asn, o->hold_s, o->id, o->caps, o->bare, o->hostname, o->domain, o->gr_flags, o->gr_restart_s,
	    o->gr_families, o->gr_forwarding, o->role, o->nothers);
}

static void
add_reason(struct text *t, const struct bgp_reason *r)
{
	add(t, " reason %d %u/%u %d%d %lld %s\n", r->cause, r->code, r->subcode, r->sent, r->received,
	    (long long)r->at.us, r->text);
}

/* Keepalives come and go meanwhile, and with them bytes. */
static void
add_session(struct text *t, const struct node_peer *p)
{
	const struct bgp_session_facts *f = bgp_peer_facts(p->bgp);
	struct bgp_counters c = *bgp_peer_counters(p->bgp);
	const uint64_t *all = (const uint64_t *)&c;
	char address[IP_TEXT];

	c.in[BGP_KEEPALIVE] = c.out[BGP_KEEPALIVE] = c.in_bytes = c.out_bytes = 0;
	add(t, "%s state %d since %lld address %s bfd %d up %d stuck %u rung %d identity %s\n", p->label,
	    bgp_peer_state(p->bgp), (long long)bgp_peer_since(p->bgp).us, ip_print(&p->address, address), p->bfd_up,
	    p->established, p->stuck, node_peer_rung(p), p->identity);
	add(t, " facts %d caps %x hold %u %u families %u internal %d eor %u %u side %d in %s out %s\n", f->valid,
	    f->caps, f->hold_s, f->keepalive_s, f->families, f->internal, f->end_of_rib_in, f->end_of_rib_out, f->side,
	    bgp_peer_notice_in(p->bgp), bgp_peer_notice_out(p->bgp));
	add_open(t, &f->local);
	add_open(t, &f->remote);
	add_reason(t, bgp_peer_reason(p->bgp));
	add_reason(t, bgp_peer_last_reset(p->bgp));
	for (size_t i = 0; i < sizeof(c) / sizeof(*all); i++)
		add(t, " %llu", (unsigned long long)all[i]);
	for (int i = 0; i < POLICY_VERDICTS; i++)
		add(t, " r%llu", (unsigned long long)p->refused[i]);
	add(t, " paths %llu %llu told %llu %llu\n", (unsigned long long)p->source.paths[0],
	    (unsigned long long)p->source.paths[1], (unsigned long long)(p->export ? export_count(p->export, 0) : 0),
	    (unsigned long long)(p->export ? export_count(p->export, 1) : 0));
}

static int
by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_path(struct text *t, const struct path *p)
{
	char gateway[IP_TEXT] = "-";

	if (p->nexthop)
		ip_print(&p->nexthop->gateway, gateway);
	add(t, " [%s as %u via %u %s path %u origin %u fate %x flags %x len %u]", p->source->name, p->source->asn,
	    p->nexthop ? p->nexthop->ifindex : 0, gateway, p->attrs->v.path_len, p->attrs->v.origin_as,
	    p->attrs->v.fate, p->attrs->v.flags, p->attrs->v.wire_len);
	for (size_t i = 0; i < p->attrs->v.wire_len; i++)
		add(t, "%02x", p->attrs->v.wire[i]);
}

static void
add_route(struct text *t, const struct node *n, const struct rib_view *v)
{
	char prefix[PREFIX_TEXT];
	uint8_t wire[4096];

	add(t, "%s installed %d failed %d", prefix_print(&v->prefix, prefix), v->fib_installed, v->fib_failed);
	for (size_t i = 0; v->list && i < v->list->n; i++)
		add_path(t, &v->list->paths[i]);
	if (v->list)
		add(t, " best %u width %u why %s", v->list->best, v->list->width,
		    tiebreak_text((enum tiebreak)v->list->reason));
	if (v->told && v->told->width)
		add_path(t, &v->told->paths[v->told->best]);
	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *p = n->ports[i].peer; p; p = p->next) {
			int len = p->export ? export_attrs(p->export, v, wire, sizeof(wire)) : 0;

			add(t, " %s:%d:", p->label, p->export ? export_told(p->export, v) : 0);
			for (int k = 0; k < len; k++)
				add(t, "%02x", wire[k]);
		}
	add(t, "\n");
}

static void
add_link(struct text *t, const struct node_port *p)
{
	struct link_view v;

	link_port_view(p->link, &v);
	add(t, "%s %s since %lld lldp %zu %s %s match %d %s mtu %d\n", p->name, link_state_name(v.state),
	    (long long)v.since.us, v.nlldp, v.lldp ? v.lldp->ours.node : "-", v.lldp ? v.lldp->chassis_name : "-",
	    v.match, v.mismatch, v.mtu_mismatch);
}

/* Routes in the order of their texts: tables are walked in no order. */
static char *
views(const struct node *n)
{
	struct text t = { 0 }, routes = { 0 };
	char **lines = NULL, *save = NULL;
	size_t count = 0;
	struct rib_view v;

	add(&t, "isolated %d rack %d started %lld\n", n->isolated, n->rack_active, (long long)n->started.us);
	for (size_t i = 0; i < n->nports; i++) {
		const struct damp *d = &n->ports[i].damp;

		add(&t, "%s damp %llu at %lld %d flaps %llu times %llu row %u released %lld\n", n->ports[i].name,
		    (unsigned long long)d->penalty, (long long)d->at.us, d->suppressed, (unsigned long long)d->flaps,
		    (unsigned long long)d->times, d->row, (long long)d->released.us);
		if (n->ports[i].link)
			add_link(&t, &n->ports[i]);
	}
	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *p = n->ports[i].peer; p; p = p->next)
			add_session(&t, p);
	add(&routes, "\n");
	for (int f = 0; f < FAMILIES; f++)
		for (uint32_t at = 0; rib_next(n->rib, RIB_MAIN_TABLE, (enum family)f, &at, &v);)
			add_route(&routes, n, &v);
	for (char *line = strtok_r(routes.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		lines = realloc(lines, (count + 1) * sizeof(*lines));
		lines[count++] = line;
	}
	qsort(lines, count, sizeof(*lines), by_line);
	for (size_t i = 0; i < count; i++) {
		t.s = mem_grow(NULL, MEM_OTHER, t.s, &t.cap, t.n + strlen(lines[i]) + 2, 1);
		t.n += (size_t)sprintf(t.s + t.n, "%s\n", lines[i]);
	}
	free(lines);
	mem_free(NULL, MEM_OTHER, routes.s);
	return t.s;
}

static void
expect_same(const char *what, char *was, char *is)
{
	char *a = was, *b = is;

	if (strcmp(was, is) != 0) {
		while (*a == *b)
			a++, b++;
		while (a > was && a[-1] != '\n')
			a--, b--;
		fail_msg("%s: was\n%.*s\nis\n%.*s", what, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
	}
	free(was);
	free(is);
}

/* ---- what the neighbours see ---- */

static uint64_t
seen_by_others(struct world *w, bool flaps)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < world_topo(w)->nnodes; i++) {
		struct node *n = world_node_at(w, i)->node;

		for (size_t k = 0; n && k < n->nports; k++)
			for (const struct node_peer *p = n->ports[k].peer; p; p = p->next) {
				const struct bgp_counters *c = bgp_peer_counters(p->bgp);

				sum += flaps ? c->flaps + c->established : c->in[BGP_UPDATE] + c->in[BGP_ROUTE_REFRESH];
			}
	}
	return sum;
}

struct ended {
	bool ended;
	int e;
	char why[256];
};

static void
note_end(void *arg, struct world_node *wn, int e, const char *why)
{
	struct ended *end = arg;

	(void)wn;
	*end = (struct ended){ .ended = true, .e = e };
	snprintf(end->why, sizeof(end->why), "%s", why);
}

static void
check_upgrade(struct world *w, struct world_node *wn)
{
	uint64_t flaps = seen_by_others(w, true), updates = seen_by_others(w, false);
	char *was = views(wn->node);
	struct node *old = wn->node;

	upgrade_ok(wn);
	assert_true(wn->node != old || !old);
	expect_same(wn->topo->name, was, views(wn->node));
	world_run(w, SECONDS(30));
	assert_int_equal(seen_by_others(w, true), flaps);
	assert_int_equal(seen_by_others(w, false), updates);
}

static void
nobody_notices(const char *file, bool bfd)
{
	struct topo *t = load_file(file);
	struct world *w = make(t, 5, bfd);

	for (uint32_t i = 0; i < t->nnodes; i++)
		if (world_node_at(w, i)->node)
			check_upgrade(w, world_node_at(w, i));
	world_free(w);
	topo_free(t);
}

static void
test_every_switch_in_turn(void **state)
{
	(void)state;
	nobody_notices("4x2.yaml", false);
}

static void
test_every_switch_with_bfd(void **state)
{
	(void)state;
	nobody_notices("4x2.yaml", true);
}

/* ---- damage ---- */

struct damage {
	size_t at; /* bit, counted from the end when `cut` */
	bool cut;
};

static void
spoil(void *arg, struct snapshot *s)
{
	const struct damage *d = arg;

	if (d->cut)
		s->n = s->n > d->at ? s->n - d->at : 0;
	else
		s->bytes[d->at / 8 % s->n] ^= (uint8_t)(1u << d->at % 8);
}

/* Each refusal has a sentence, and leaves everything as it was. */
static void
expect_refused(struct world *w, struct world_node *wn, struct damage d)
{
	uint64_t flaps = seen_by_others(w, true), updates = seen_by_others(w, false);
	char err[256] = "", *was = views(wn->node);
	struct node *old = wn->node;

	assert_int_not_equal(world_upgrade(wn, spoil, &d, err, sizeof(err)), 0);
	assert_true(err[0]);
	assert_ptr_equal(wn->node, old);
	expect_same("refused", was, views(wn->node));
	assert_int_equal(seen_by_others(w, true), flaps);
	assert_int_equal(seen_by_others(w, false), updates);
}

static void
test_a_damaged_snapshot_is_refused(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf2");
	uint64_t random = 1;

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		expect_refused(w, wn, (struct damage){ .at = i < 32 * 8 ? i : (size_t)(random >> 33) });
	}
	for (size_t i = 1; i < 40; i++)
		expect_refused(w, wn, (struct damage){ .at = i * i, .cut = true });
	expect_refused(w, wn, (struct damage){ .at = SIZE_MAX, .cut = true });
	check_upgrade(w, wn);
	world_run(w, SECONDS(20));
	world_free(w);
	topo_free(t);
}

/* The snapshot of another switch, whole as it is. */
struct other {
	uint8_t *bytes;
	size_t n;
};

static void
keep(void *arg, struct snapshot *s)
{
	struct other *o = arg;

	o->bytes = malloc(s->n);
	memcpy(o->bytes, s->bytes, s->n);
	o->n = s->n;
}

static void
exchange(void *arg, struct snapshot *s)
{
	const struct other *o = arg;

	if (o->n > s->n)
		s->bytes = mem_grow(s->mem, MEM_OTHER, s->bytes, &s->cap, o->n, 1);
	memcpy(s->bytes, o->bytes, o->n);
	s->n = o->n;
}

static void
test_what_is_not_its_own_or_old_is_refused(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *leaf2 = world_node_find(w, "leaf2"), *leaf3 = world_node_find(w, "leaf3");
	struct other o;
	char err[256];

	(void)state;
	assert_int_equal(world_upgrade(leaf3, keep, &o, err, sizeof(err)), 0);
	assert_int_not_equal(world_upgrade(leaf2, exchange, &o, err, sizeof(err)), 0);
	assert_non_null(strstr(err, "of leaf3"));
	/* leaf3's own, and out of date: a neighbour has gone since, and its paths with it */
	world_crash(world_node_find(w, "spine1"), SIM_DARK);
	world_run(w, SECONDS(40));
	assert_int_not_equal(world_upgrade(leaf3, exchange, &o, err, sizeof(err)), 0);
	assert_non_null(strstr(err, "port eth1"));
	check_upgrade(w, leaf3);
	free(o.bytes);
	world_free(w);
	topo_free(t);
}

/* ---- changes meanwhile ---- */

static void
test_what_happens_meanwhile_ends_it(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "spine1");

	(void)state;
	node_freeze(wn->node);
	world_run(w, SECONDS(2)); /* nothing is read, and keepalives go out */
	assert_int_equal(wn->node->disturbed, 0);
	world_link_set(w, "leaf1", "eth1", false);
	world_run(w, MS(10));
	assert_true(wn->node->disturbed > 0);
	node_thaw(wn->node);
	world_link_set(w, "leaf1", "eth1", true);
	world_run(w, SECONDS(20));
	for (uint32_t i = 0; i < t->nnodes; i++) {
		struct node *n = world_node_at(w, i)->node;

		for (size_t k = 0; n && k < n->nports; k++)
			assert_true(!n->ports[k].peer || n->ports[k].peer->established);
	}
	check_upgrade(w, wn);
	world_free(w);
	topo_free(t);
}

/* A freeze is no silence: the peers hear keepalives for as long as it takes. */
static void
test_a_long_freeze_loses_no_session(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf1");
	uint64_t flaps = seen_by_others(w, true);

	(void)state;
	node_freeze(wn->node);
	world_run(w, SECONDS(30)); /* three hold times */
	node_thaw(wn->node);
	for (size_t i = 0; i < wn->node->nports; i++) { /* and who was not listened to is not silent */
		const struct node_peer *p = wn->node->ports[i].peer;

		assert_true(!p || bgp_deadline(p->bgp).us > sim_now(world_net(w)).us);
	}
	world_run(w, SECONDS(30));
	assert_int_equal(seen_by_others(w, true), flaps);
	check_upgrade(w, wn);
	world_free(w);
	topo_free(t);
}

/* A session that is held back after an error stays so, and one that is down comes up with the successor. */
static void
test_sessions_that_are_down(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "spine1");
	struct bgp_peer *bgp = node_port_find(wn->node, "eth2")->peer->bgp;
	char *was;

	(void)state;
	world_link_set(w, "leaf1", "eth1", false);
	bgp_peer_max_prefixes(bgp, FAMILY_IPV4, 7, SECONDS(90), sim_now(world_net(w)));
	world_run(w, SECONDS(2));
	was = views(wn->node);
	upgrade_ok(wn);
	expect_same("down", was, views(wn->node));
	world_run(w, SECONDS(30));
	assert_false(node_port_find(wn->node, "eth1")->peer->established);
	assert_false(node_port_find(wn->node, "eth2")->peer->established); /* 90 s are not over */
	world_link_set(w, "leaf1", "eth1", true);
	world_run(w, SECONDS(90));
	assert_true(node_port_find(wn->node, "eth1")->peer->established);
	assert_true(node_port_find(wn->node, "eth2")->peer->established);
	world_free(w);
	topo_free(t);
}

/* ---- in the middle of everything ---- */

static uint64_t
draw(uint64_t *random)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return *random >> 33;
}

/* Paths of all nodes together, and sessions that ended between nodes other than leaf4. */
static uint64_t
all_paths(struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < world_topo(w)->nnodes; i++) {
		struct rib_counts c;

		rib_counts(world_node_at(w, i)->node->rib, &c);
		sum += c.paths[0] + c.paths[1];
	}
	return sum;
}

static uint64_t
flaps_elsewhere(struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < world_topo(w)->nnodes; i++) {
		struct node *n = world_node_at(w, i)->node;

		for (size_t k = 0; k < n->nports; k++)
			for (const struct node_peer *p = n->ports[k].peer; p; p = p->next)
				if (strcmp(n->self->name, "leaf4") != 0 && strcmp(p->far->name, "leaf4") != 0)
					sum += bgp_peer_counters(p->bgp)->flaps;
	}
	return sum;
}

/*
 * leaf4 comes and goes while the others are upgraded, over connections that take a few octets at a time: so messages are
 * cut in two in both directions. In the end all is as it was in the beginning.
 */
static void
test_in_the_middle_of_changes(void **state)
{
	static const struct sim_tcp narrow = {
		.window = 48, .segment = 16, .hold_us = SECONDS(900), .connect_us = SECONDS(127)
	};
	struct topo *t = load_file("4x2.yaml");
	unsigned int done = 0, put_off = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct world_config cfg = { .topo = t, .seed = seed, .log = print_event };
		uint64_t random = seed, paths;
		char err[256];
		struct world *w = world_new(&cfg, err, sizeof(err));

		sim_tcp_set(world_net(w), &narrow);
		assert_true(world_settle(w, MS(300), mono_add(sim_now(world_net(w)), SECONDS(60))));
		world_run(w, SECONDS(10));
		paths = all_paths(w);
		for (int i = 0; i < 40; i++) {
			world_link_set(w, "leaf4", draw(&random) % 2 ? "eth1" : "eth2", draw(&random) % 3 != 0);
			/* who does not read for a moment: what is for him waits on the other side */
			sim_node_stall(world_node_at(w, (uint32_t)(draw(&random) % 5))->rt, MS(2500));
			world_run(w, (int64_t)(draw(&random) % (i % 2 ? 400 : 60000)));
			if (world_upgrade(
				world_node_at(w, (uint32_t)(draw(&random) % 5)), NULL, NULL, err, sizeof(err)))
				put_off++;
			else
				done++;
		}
		world_link_set(w, "leaf4", "eth1", true);
		world_link_set(w, "leaf4", "eth2", true);
		world_run(w, SECONDS(120));
		if (all_paths(w) != paths || flaps_elsewhere(w))
			fail_msg("seed %llu: %llu paths, not %llu; %llu flaps", (unsigned long long)seed,
			    (unsigned long long)all_paths(w), (unsigned long long)paths,
			    (unsigned long long)flaps_elsewhere(w));
		world_free(w);
	}
	if (done < 100)
		fail_msg("%u upgrades, %u put off", done, put_off);
	topo_free(t);
}

/* A successor that has a decision still to make says so, and of how many prefixes; and what came of it. */
static void
test_what_is_left_is_said(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	char err[256] = "", want[128];
	struct successor x;
	struct node *next;

	(void)state;
	successor_begin(&x, world_node_find(w, "leaf1"), NULL, NULL);
	next = x.node;
	node_announce_own(next, &next->self->loopback[FAMILY_IPV4], false);
	assert_false(state_agrees(x.st, next, err, sizeof(err)));
	assert_string_equal(err, "its decisions are not all made: 1 prefixes wait for one, 0 are being decided");
	world_run(w, MS(100));
	assert_false(state_agrees(x.st, next, err, sizeof(err)));
	snprintf(want, sizeof(want), "it has %llu paths, the old one %llu", (unsigned long long)x.facts.paths - 1,
	    (unsigned long long)x.facts.paths);
	assert_string_equal(err, want);
	successor_end(&x);
	world_free(w);
	topo_free(t);
}

/* What the fuzzer begins with is of this format: else each input would be made of what no fabricd writes any more. */
static void
test_seeds_are_of_this_format(void **state)
{
	static const char *const names[] = { "made-leaf1", "made-leaf1-one-down", "made-leaf1-damped" };
	static uint8_t bytes[1 << 16];
	char path[256], err[256];
	struct state *st;
	struct mem mem = { 0 };
	FILE *f;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "tests/fuzz/seeds/snapshot/%s", names[i]);
		f = fopen(path, "rb");
		if (!f)
			fail_msg("%s: run the test at the top of the tree", path);
		n = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		st = state_open(&mem, bytes, n, err, sizeof(err));
		if (!st)
			fail_msg("%s: %s; see SOURCES beside it", path, err);
		assert_true(state_facts(st)->peers > 0);
		state_free(st);
	}
}

/* ---- flaps, and the journal ---- */

/* leaf2's port flaps until it is kept out: the successor keeps it out for as long as the one before would have. */
static void
test_a_port_that_is_kept_out_stays_so(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf2");
	struct node_port *port = node_port_find(wn->node, "eth1");
	double left;

	(void)state;
	for (int i = 0; i < 4; i++) {
		world_link_set(w, "leaf2", "eth1", false);
		world_run(w, MS(50));
		world_link_set(w, "leaf2", "eth1", true);
		world_run(w, MS(150));
	}
	assert_true(port->damp.suppressed);
	left = node_damp_left(port);
	assert_true(left > 4);
	upgrade_ok(wn);
	port = node_port_find(wn->node, "eth1");
	assert_true(port->damp.suppressed && port->damp.flaps == 4);
	assert_true(node_damp_left(port) > left - 2 && node_damp_left(port) <= left);
	assert_false(port->peer->established);
	world_run(w, (int64_t)(node_damp_left(port) * 1e6) - MS(20));
	assert_true(port->damp.suppressed && !port->peer->established);
	world_run(w, SECONDS(2));
	assert_true(!port->damp.suppressed && port->peer->established);
	world_free(w);
	topo_free(t);
}

/* However it is cut: the same octets; and what changes in between makes it worth nothing. */
static void
test_slices(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 7, 50, SIZE_MAX };
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "spine1");
	struct snapshot whole, s;
	struct parcels parcels;
	struct state_facts facts;
	struct saving *v;
	int slices = 0;

	(void)state;
	parcels = (struct parcels){ .mem = &wn->mem };
	snapshot_begin(&whole, &wn->mem);
	assert_int_equal(state_save(wn->node, &whole, &parcels, &facts), 0);
	snapshot_end(&whole);
	parcels_free(&parcels);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		snapshot_begin(&s, &wn->mem);
		v = state_save_begin(wn->node, &s, &parcels, &facts);
		for (slices = 1; state_save_more(v, steps[i]) == 1; slices++)
			;
		state_save_end(v);
		snapshot_end(&s);
		assert_int_equal(s.n, whole.n);
		assert_memory_equal(s.bytes, whole.bytes, whole.n);
		if (steps[i] == 1)
			assert_true(slices > 60);
		snapshot_free(&s);
		parcels_free(&parcels);
	}
	assert_int_equal(slices, 1);
	for (int k = 0; k < 2; k++) { /* a route, or a port, changes after some slices; and it is given up in between */
		snapshot_begin(&s, &wn->mem);
		wn->node->disturbed = 0;
		v = state_save_begin(wn->node, &s, &parcels, &facts);
		for (int i = 0; i < 20; i++)
			assert_int_equal(state_save_more(v, 1), 1);
		if (k)
			wn->node->disturbed = 1;
		else
			node_announce_own(wn->node, &wn->node->self->loopback[FAMILY_IPV4], false);
		assert_int_equal(state_save_more(v, 1), -ESTALE);
		world_run(w, SECONDS(1));
		assert_int_equal(state_save_more(v, 1), -ESTALE);
		state_save_end(v);
		snapshot_free(&s);
		parcels_free(&parcels);
	}
	snapshot_free(&whole);
	world_free(w);
	topo_free(t);
}

/* While withdrawals are awaited nothing is frozen: their silence would be taken for an answer. */
static void
test_cuts_are_waited_for(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf2");
	char why[160] = "";
	int waits = 0;

	(void)state;
	world_link_set(w, "leaf1", "eth1", false);
	for (int ms = 0; ms < 3000; ms++) {
		world_run(w, MS(1));
		assert_true(!rib_has_cuts(wn->node->rib) || node_upgrade_waits(wn->node, why, sizeof(why)));
		waits += rib_has_cuts(wn->node->rib);
	}
	assert_true(waits > 20);
	assert_non_null(strstr(why, "has not withdrawn all routes"));
	assert_false(node_upgrade_waits(wn->node, why, sizeof(why)));
	check_upgrade(w, wn);
	world_free(w);
	topo_free(t);
}

/* Between freezing and saving it goes into restart: nothing can be handed over now, and that is what is said. */
static void
test_a_restart_while_frozen_is_waited_for(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "spine1");
	struct node *leaf3 = world_node_find(w, "leaf3")->node;
	struct prefix rack;
	struct ended end = { 0 };
	struct world_upgrade_config cfg = { .done = note_end, .arg = &end };

	(void)state;
	assert_true(prefix_parse("10.1.3.0/24", &rack));
	model_hang(wn->platform, true); /* so that it is not settled soon */
	node_announce_own(leaf3, &rack, false);
	world_run(w, MS(100));
	assert_int_equal(world_upgrade_begin(wn, &cfg), 0);
	world_run(w, MS(100));
	assert_true(world_upgrade_frozen(wn));
	assert_true(sim_stream_kill(wn->rt, world_ifindex(wn, "eth2"), -ECONNRESET) > 0);
	world_run(w, MS(100));
	assert_true(bgp_peer_restart(node_port_find(wn->node, "eth2")->peer->bgp)->stale);
	assert_false(end.ended);
	model_hang(wn->platform, false);
	world_run(w, SECONDS(1));
	assert_true(end.ended);
	assert_int_equal(end.e, -EBUSY);
	assert_string_equal(end.why, "eth2 (leaf2) restarts, and its paths are kept meanwhile");
	world_run(w, SECONDS(30));
	assert_true(node_port_find(wn->node, "eth2")->peer->established);
	check_upgrade(w, wn);
	world_free(w);
	topo_free(t);
}

static struct state_facts
facts_of(struct world_node *wn)
{
	struct parcels parcels = { .mem = &wn->mem };
	struct state_facts facts;
	struct snapshot s;

	snapshot_begin(&s, &wn->mem);
	assert_int_equal(state_save(wn->node, &s, &parcels, &facts), 0);
	snapshot_free(&s);
	parcels_free(&parcels);
	return facts;
}

/* The successor tries nothing before it is in charge; so it does not wait for what the one before was refused. */
static void
test_a_refused_route_is_no_obstacle(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf1");
	struct plat_route theirs = { .type = PLAT_BLACKHOLE, .metric = 20 };
	struct rib_view v;

	(void)state;
	assert_true(prefix_parse("10.1.4.0/24", &theirs.prefix));
	world_link_set(w, "leaf4", "eth1", false);
	world_link_set(w, "leaf4", "eth2", false);
	world_run(w, SECONDS(5));
	assert_int_equal(model_foreign_route(wn->platform, &theirs), 0);
	world_link_set(w, "leaf4", "eth1", true);
	world_link_set(w, "leaf4", "eth2", true);
	world_run(w, SECONDS(30));
	assert_true(rib_get(wn->node->rib, RIB_MAIN_TABLE, &theirs.prefix, &v) && v.fib_failed);
	assert_int_equal(facts_of(wn).wrong, 1);
	upgrade_ok(wn);
	world_run(w, SECONDS(5));
	assert_true(rib_get(wn->node->rib, RIB_MAIN_TABLE, &theirs.prefix, &v) && v.fib_failed);
	assert_int_equal(facts_of(wn).wrong, 1);
	upgrade_ok(wn);
	world_free(w);
	topo_free(t);
}

/* What another one before was told of a session and of a link stays known: no alarm comes twice, none goes unseen. */
static void
test_alarms_stay(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, true);
	struct world_node *wn = world_node_find(w, "leaf2");
	struct node_peer *peer = node_port_find(wn->node, "eth1")->peer;
	char *was;

	(void)state;
	peer->stuck = 2;
	bgp_peer_link_down(peer->bgp, "for a moment", sim_now(world_net(w)));
	bgp_peer_link_up(peer->bgp, sim_now(world_net(w)));
	world_run(w, SECONDS(3));
	assert_true(node_peer_stuck(peer));
	was = views(wn->node);
	upgrade_ok(wn);
	expect_same("stuck", was, views(wn->node));
	assert_true(node_peer_stuck(node_port_find(wn->node, "eth1")->peer));
	world_run(w, SECONDS(60));
	assert_false(node_peer_stuck(node_port_find(wn->node, "eth1")->peer));
	world_free(w);
	topo_free(t);
}

/* BFD falls when the new one has seen it up, and the old one hears nothing any more: it is answered on taking over. */
static void
test_a_fall_before_it_is_in_charge(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, true);
	struct world_node *wn = world_node_find(w, "spine1");
	struct node_peer *peer = node_port_find(wn->node, "eth2")->peer;
	struct node *n = wn->node;

	(void)state;
	assert_true(peer->established && peer->bfd_up);
	n->held = true;
	sync_hold(n->sync, true);
	assert_int_equal(world_black(w, "spine1", "eth2", true), 0);
	assert_int_equal(world_black(w, "leaf2", "eth1", true), 0);
	world_run(w, SECONDS(1));
	assert_true(peer->established && !peer->bfd_up);
	node_take_over(n);
	assert_false(peer->established);
	assert_int_equal(bgp_peer_last_reset(peer->bgp)->cause, BGP_CAUSE_BFD);
	world_run(w, MS(10));
	assert_int_equal(peer->source.paths[FAMILY_IPV4], 0);
	world_free(w);
	topo_free(t);
}

/* Event by event what the one before had, then its own; also of a successor's successor. */
static void
test_the_journal_goes_on(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "spine1");
	struct journal_event *was = calloc(JOURNAL_EVENTS, sizeof(*was));
	const struct journal_event *e;
	size_t n = 0;

	(void)state;
	world_link_set(w, "leaf2", "eth1", false);
	world_run(w, SECONDS(1));
	world_link_set(w, "leaf2", "eth1", true);
	world_run(w, SECONDS(10));
	for (uint64_t id = 0; (e = journal_from(wn->node->journal, id)); id = e->id + 1) {
		was[n] = *e;
		was[n++].type = strdup(e->type);
	}
	assert_true(n > 8);
	for (int i = 0; i < 3; i++) {
		uint64_t last = journal_last(wn->node->journal);

		upgrade_ok(wn);
		assert_true(journal_last(wn->node->journal) > last);
		assert_string_equal(journal_from(wn->node->journal, last + 1)->type, "TAKING_OVER");
		for (size_t k = 0; k < n; k++) {
			e = journal_from(wn->node->journal, was[k].id);
			assert_string_equal(e->type, was[k].type);
			assert_string_equal(e->port, was[k].port);
			assert_string_equal(e->text, was[k].text);
			assert_true(e->id == was[k].id && e->cause == was[k].cause && e->at.us == was[k].at.us &&
				    e->wall_us == was[k].wall_us);
		}
	}
	for (size_t k = 0; k < n; k++)
		free((char *)(uintptr_t)was[k].type);
	free(was);
	world_free(w);
	topo_free(t);
}

/* ---- octets that are on their way ---- */

/* leaf4, and leaf3 if it is wanted, are played on their ports of spine1, over connections that take little at a time. */
static struct world *
with_puppets(const struct topo *t, struct puppet **four, struct puppet **three)
{
	static const struct sim_tcp narrow = {
		.window = 1500, .segment = 333, .hold_us = SECONDS(900), .connect_us = SECONDS(127)
	};
	struct world *w = make(t, 5, false);
	struct world_node *wn = world_node_find(w, "leaf4");

	sim_tcp_set(world_net(w), &narrow);
	world_crash(wn, SIM_KILLED);
	sim_node_boot(wn->rt);
	*four = puppet_new(wn, world_ifindex(wn, "eth1"), 65004, 0x0a000104);
	if (three) {
		wn = world_node_find(w, "leaf3");
		world_crash(wn, SIM_KILLED);
		sim_node_boot(wn->rt);
		*three = puppet_new(wn, world_ifindex(wn, "eth1"), 65003, 0x0a000103);
	}
	world_run(w, SECONDS(40));
	assert_true((*four)->established && (!three || (*three)->established));
	return w;
}

/* What is unsent to the neighbour on eth4 of a node and begun: TCP has taken a part of a message, and not the rest. */
static size_t
begun_for_leaf4(struct world_node *wn)
{
	struct node_conn *c = bgp_conn_io(bgp_peer_conn(node_port_find(wn->node, "eth4")->peer->bgp));

	return c->out_len - c->out_at;
}

/* Its rack, with so many communities, of which the first is this one. */
static void
say_rack_fat(struct puppet *p, uint16_t n, uint16_t count)
{
	uint8_t wire[1400] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xd0, 8 };
	const struct attrs_view v = { .wire = wire, .wire_len = (uint16_t)(11 + 4 * count) };
	struct prefix rack;

	assert_true(prefix_parse("10.1.3.0/24", &rack));
	put_u16(wire + 9, (uint16_t)(4 * count));
	for (uint16_t i = 0; i < count; i++)
		put_u32(wire + 11 + 4 * i, 65004u << 16 | (i ? 0x8000u + i : n));
	puppet_say_with(p, &v, &rack, 1);
}

static void
say_rack(struct puppet *p, uint16_t n)
{
	uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0, 0xc0, 8, 4, 0xfd, 0xec, (uint8_t)(n >> 8), (uint8_t)n };
	const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct prefix rack;

	assert_true(prefix_parse("10.1.3.0/24", &rack));
	puppet_say_with(p, &v, &rack, 1);
}

/*
 * leaf4 does not read for a moment, while leaf3 changes its rack again and again: spine1 has written what TCP takes, which ends
 * within a message, and has more. Then it is upgraded, and leaf4 reads on: one stream without a gap, and each change in it.
 */
static void
test_unsent_octets_go_along(void **state)
{
	struct topo *t = load_file("4x2.yaml");

	(void)state;
	for (unsigned int more = 0; more < 60; more++) {
		struct puppet *four, *three;
		struct world *w = with_puppets(t, &four, &three);
		struct world_node *wn = world_node_find(w, "spine1");
		uint64_t heard = four->reached[FAMILY_IPV4];
		uint16_t changes = (uint16_t)(30 + more);

		rt_stream_pause(four->stream, true);
		for (uint16_t i = 1; i <= changes; i++) {
			say_rack(three, i);
			world_run(w, MS(5));
		}
		assert_true(begun_for_leaf4(wn) > 0 && node_unsent(wn->node) > 0);
		upgrade_ok(wn);
		rt_stream_pause(four->stream, false);
		rt_stream_again(four->stream);
		world_run(w, SECONDS(20));
		assert_true(four->established && four->downs == 0);
		assert_int_equal(four->reached[FAMILY_IPV4] - heard, changes);
		assert_int_equal(bgp_peer_counters(four->bgp)->notices_out, 0);
		assert_int_equal(node_unsent(wn->node), 0);
		assert_true(node_port_find(wn->node, "eth4")->peer->established);
		puppet_free(four);
		puppet_free(three);
		world_free(w);
	}
	topo_free(t);
}

/* As many as are more than one piece for TCP; the successor's successor has them as well. */
static void
test_a_long_queue_goes_along(void **state)
{
	enum { CHANGES = 120 };
	struct topo *t = load_file("4x2.yaml");
	struct puppet *four, *three;
	struct world *w = with_puppets(t, &four, &three);
	struct world_node *wn = world_node_find(w, "spine1");
	uint64_t heard = four->reached[FAMILY_IPV4];
	size_t unsent;

	(void)state;
	rt_stream_pause(four->stream, true);
	for (uint16_t i = 1; i <= CHANGES; i++) {
		say_rack_fat(three, i, 300); /* a message fits into a window */
		world_run(w, MS(10));
	}
	unsent = node_unsent(wn->node);
	assert_true(unsent > 2 * 65536 && begun_for_leaf4(wn) < unsent);
	upgrade_ok(wn);
	assert_int_equal(begun_for_leaf4(wn), node_unsent(wn->node));
	upgrade_ok(wn);
	assert_true(node_unsent(wn->node) > 2 * 65536);
	rt_stream_pause(four->stream, false);
	rt_stream_again(four->stream);
	world_run(w, SECONDS(20));
	assert_true(four->established && four->downs == 0);
	assert_int_equal(four->reached[FAMILY_IPV4] - heard, CHANGES);
	assert_int_equal(node_unsent(wn->node), 0);
	puppet_free(four);
	puppet_free(three);
	world_free(w);
	topo_free(t);
}

/* A message of leaf4 is cut at each octet by an upgrade of spine1; what it says is understood, and once. */
static void
test_half_a_message_goes_along(void **state)
{
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct topo *t = load_file("4x2.yaml");
	struct puppet *four;
	struct world *w = with_puppets(t, &four, NULL);
	struct world_node *wn = world_node_find(w, "spine1");
	struct rt_stream *stream;
	struct node_peer *peer;
	uint8_t message[512];
	struct prefix rack;
	struct rib_view view;
	size_t len = 2, n;

	(void)state;
	assert_true(prefix_parse("10.1.4.0/24", &rack));
	for (size_t i = 2; i / 2 < len; i++) {
		bool reach = i % 2;
		size_t cut = i / 2;
		struct bgp_encode_opts opts = bgp_peer_encode_opts(four->bgp);
		struct bgp_build *build = bgp_build_new(NULL, &opts);
		struct bgp_batch *batch;

		if (reach)
			bgp_build_reach(build, FAMILY_IPV4, &v);
		else
			bgp_build_unreach(build, FAMILY_IPV4);
		bgp_build_prefix(build, &rack);
		batch = bgp_build_take(build);
		bgp_send(four->bgp, batch);
		bgp_batch_unref(batch);
		bgp_build_free(build);
		n = bgp_output(four->conn, message, sizeof(message), rt_now(four->rt));
		bgp_wrote(four->conn, n, rt_now(four->rt));
		len = i < 4 ? MAX_OF(len, n) : len;
		cut = MIN_OF(cut, n - 1);
		assert_int_equal(rt_write(four->stream, message, cut), cut);
		stream = four->stream;
		four->stream = NULL; /* it says nothing else meanwhile */
		world_run(w, MS(100));
		upgrade_ok(wn);
		four->stream = stream;
		assert_int_equal(rt_write(four->stream, message + cut, n - cut), n - cut);
		world_run(w, MS(200));
		peer = node_port_find(wn->node, "eth4")->peer;
		assert_true(peer->established && four->established && four->downs == 0);
		if ((rib_get(wn->node->rib, RIB_MAIN_TABLE, &rack, &view) && view.list &&
			path_list_find(view.list, &peer->source)) != reach)
			fail_msg("cut behind octet %zu of %zu", cut, n);
		puppet_settle(four);
	}
	assert_true(len > 40 && len < 200);
	puppet_free(four);
	world_free(w);
	topo_free(t);
}

/* ---- another version ---- */

/* As if the one before had told it in other words: the digest of each group is another, and the checksum right. */
static void
other_words(void *arg, struct snapshot *s)
{
	struct rd walk = rd_make(s->bytes + SNAPSHOT_HEAD, s->n - SNAPSHOT_HEAD), one;
	unsigned int kind, *changed = arg;
	uint64_t sum;

	while (snapshot_next(&walk, &kind, &one)) {
		uint8_t *told;

		if (kind != SNAPSHOT_PEER)
			continue;
		(void)rd_sub(&one, rd_u16(&one)); /* port */
		(void)rd_sub(&one, rd_u16(&one)); /* external */
		(void)rd_take(&one, 17 + 1 + 1 + 2 + 2);
		(void)rd_sub(&one, rd_u32(&one)); /* left over */
		told = (uint8_t *)(uintptr_t)rd_take(&one, 8);
		assert_non_null(told);
		if (get_u32(told) || get_u32(told + 4)) {
			told[3] ^= 1;
			++*changed;
		}
	}
	sum = hash_bytes(0, s->bytes + SNAPSHOT_HEAD, s->n - SNAPSHOT_HEAD);
	put_u32(s->bytes + 24, (uint32_t)(sum >> 32));
	put_u32(s->bytes + 28, (uint32_t)sum);
}

static void
test_what_is_told_otherwise_is_told_again(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	uint64_t flaps = seen_by_others(w, true), updates = seen_by_others(w, false), paths[8];
	struct world_node *wn = world_node_find(w, "spine1");
	unsigned int changed = 0;
	char err[256] = "";

	(void)state;
	for (uint32_t i = 0; i < t->nnodes; i++) {
		struct rib_counts c;

		rib_counts(world_node_at(w, i)->node->rib, &c);
		paths[i] = c.paths[0] + c.paths[1];
	}
	if (world_upgrade(wn, other_words, &changed, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(changed, 1); /* all leaves are one group */
	world_run(w, SECONDS(30));
	assert_int_equal(seen_by_others(w, true), flaps);
	assert_true(seen_by_others(w, false) >= updates + 4 * 3); /* BoRR, routes, EoRR at each leaf */
	for (uint32_t i = 0; i < t->nnodes; i++) {
		struct rib_counts c;

		rib_counts(world_node_at(w, i)->node->rib, &c);
		assert_int_equal(c.paths[0] + c.paths[1], paths[i]);
	}
	check_upgrade(w, wn);
	world_free(w);
	topo_free(t);
}

/* A walk of a table that is larger than a queue cannot end while nothing is sent: it begins when it can. */
static void
test_nothing_is_told_again_while_it_is_held(void **state)
{
	struct topo *t = load_file("4x2.yaml");
	struct world *w = make(t, 5, false);
	unsigned int changed = 0;
	struct successor x;

	(void)state;
	successor_begin(&x, world_node_find(w, "spine1"), other_words, &changed);
	assert_int_equal(changed, 1);
	world_run(w, MS(100));
	assert_int_equal(node_unsent(x.node), 0);
	successor_end(&x);
	world_free(w);
	topo_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_switch_in_turn),
		cmocka_unit_test(test_every_switch_with_bfd),
		cmocka_unit_test(test_a_damaged_snapshot_is_refused),
		cmocka_unit_test(test_what_is_not_its_own_or_old_is_refused),
		cmocka_unit_test(test_what_happens_meanwhile_ends_it),
		cmocka_unit_test(test_a_long_freeze_loses_no_session),
		cmocka_unit_test(test_sessions_that_are_down),
		cmocka_unit_test(test_in_the_middle_of_changes),
		cmocka_unit_test(test_what_is_left_is_said),
		cmocka_unit_test(test_seeds_are_of_this_format),
		cmocka_unit_test(test_a_port_that_is_kept_out_stays_so),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_cuts_are_waited_for),
		cmocka_unit_test(test_a_restart_while_frozen_is_waited_for),
		cmocka_unit_test(test_a_refused_route_is_no_obstacle),
		cmocka_unit_test(test_alarms_stay),
		cmocka_unit_test(test_a_fall_before_it_is_in_charge),
		cmocka_unit_test(test_the_journal_goes_on),
		cmocka_unit_test(test_unsent_octets_go_along),
		cmocka_unit_test(test_a_long_queue_goes_along),
		cmocka_unit_test(test_half_a_message_goes_along),
		cmocka_unit_test(test_what_is_told_otherwise_is_told_again),
		cmocka_unit_test(test_nothing_is_told_again_while_it_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
