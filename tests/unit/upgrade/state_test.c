/*
 * tests/unit/upgrade/state_test.c -- a switch of a fabric gives way to its successor, and nobody notices
 *
 * Everything that a view can show of sessions and routes is written into one text before and after; the texts must be
 * equal. What neighbours see is counted: no flap, and no UPDATE that tells nothing new.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"

static struct topo *
load(const char *file)
{
	struct topo_errors errs = { 0 };
	char path[256], *text = malloc(1 << 20);
	struct topo *t;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "tests/data/topology/%s", file);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: run the test at the top of the tree", path);
	n = fread(text, 1, 1 << 20, f);
	fclose(f);
	t = topo_load(text, n, &errs);
	assert_non_null(t);
	topo_errors_free(&errs);
	free(text);
	return t;
}

static void
print_event(void *arg, const struct journal_event *e)
{
	struct world_node *wn = arg;

	if (getenv("WORLD_LOG"))
		printf("%9.6f %-8s %-14s %-6s %s\n", (double)e->at.us / 1e6, wn->topo->name, e->type, e->port, e->text);
}

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
	add(t, "%s state %d since %lld address %s bfd %d up %d rung %d identity %s\n", p->label, bgp_peer_state(p->bgp),
	    (long long)bgp_peer_since(p->bgp).us, ip_print(&p->address, address), p->bfd_up, p->established,
	    node_peer_rung(p), p->identity);
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

/* Routes in the order of their texts: tables are walked in no order. */
static char *
views(const struct node *n)
{
	struct text t = { 0 }, routes = { 0 };
	char **lines = NULL, *save = NULL;
	size_t count = 0;
	struct rib_view v;

	add(&t, "isolated %d rack %d started %lld\n", n->isolated, n->rack_active, (long long)n->started.us);
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

static void
upgrade_ok(struct world_node *wn)
{
	char err[256] = "";

	if (world_upgrade(wn, 0, err, sizeof(err)))
		fail_msg("%s: %s", wn->topo->name, err);
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
	struct topo *t = load(file);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_switch_in_turn),
		cmocka_unit_test(test_every_switch_with_bfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
