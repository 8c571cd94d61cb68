/*
 * fabricd/sim/cmd_run.c -- fabsim run: a cold start, and what chosen failures do to it
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/sim/cmd.h"
#include "fabricd/sim/study.h"

#define EACH_NODE 64 /* more nodes than this are told by tier */
#define SHOW      8

/* ---- the cold start ---- */

struct facts {
	uint64_t sessions, prefixes[FAMILIES], groups, in, out;
	uint32_t narrow, wide; /* ports of a route */
};

static uint64_t
sum(const uint64_t *v, size_t n)
{
	uint64_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += v[i];
	return all;
}

static void
node_facts(const struct study *s, uint32_t node, struct facts *out)
{
	const struct flow *f = check_flow(s->c);
	const struct node *n = world_node_at(s->w, node)->node;
	struct rib_counts r;

	*out = (struct facts){ .narrow = UINT32_MAX };
	if (!n)
		return;
	rib_counts(n->rib, &r);
	for (int v = 0; v < FAMILIES; v++)
		out->prefixes[v] = r.prefixes[v];
	out->groups = r.groups;
	for (size_t i = 0; i < n->nports; i++) {
		const struct bgp_counters *c = n->ports[i].peer ? bgp_peer_counters(n->ports[i].peer->bgp) : NULL;

		if (!c)
			continue;
		out->sessions += n->ports[i].peer->established;
		out->in += sum(c->in, ARRAY_LEN(c->in));
		out->out += sum(c->out, ARRAY_LEN(c->out));
	}
	for (size_t d = 0; d < flow_dests(f); d++) {
		const uint64_t *ports = flow_ports(f, d, node);
		uint32_t width = 0;

		for (size_t w = 0; w < flow_words(f); w++)
			width += (uint32_t)__builtin_popcountll(ports[w]);
		if (!width)
			continue;
		out->narrow = MIN_OF(out->narrow, width);
		out->wide = MAX_OF(out->wide, width);
	}
}

static void
print_facts(const char *name, const struct facts *f)
{
	char width[32];

	snprintf(width, sizeof(width), f->narrow == f->wide ? "%u" : "%u-%u", f->wide ? f->narrow : 0, f->wide);
	printf("%-16s %8llu %8llu %8llu %8llu %9s %8llu %8llu\n", name, (unsigned long long)f->sessions,
	    (unsigned long long)f->prefixes[FAMILY_IPV4], (unsigned long long)f->prefixes[FAMILY_IPV6],
	    (unsigned long long)f->groups, width, (unsigned long long)f->in, (unsigned long long)f->out);
}

static void
add_most(struct facts *a, const struct facts *b)
{
	a->sessions = MAX_OF(a->sessions, b->sessions);
	for (int v = 0; v < FAMILIES; v++)
		a->prefixes[v] = MAX_OF(a->prefixes[v], b->prefixes[v]);
	a->groups = MAX_OF(a->groups, b->groups);
	a->narrow = MIN_OF(a->narrow, b->narrow);
	a->wide = MAX_OF(a->wide, b->wide);
	a->in = MAX_OF(a->in, b->in);
	a->out = MAX_OF(a->out, b->out);
}

static void
print_table(const struct study *s)
{
	const struct topo *t = s->topo;
	bool each = t->nnodes <= EACH_NODE;

	printf("%-16s %8s %8s %8s %8s %9s %8s %8s\n", each ? "switch" : "tier (most)", "sessions", "ipv4", "ipv6",
	    "groups", "width", "msgs in", "out");
	for (uint32_t k = 0; k < t->ntiers; k++) {
		struct facts most = { .narrow = UINT32_MAX };

		for (uint32_t i = t->tiers[k].first; i < t->tiers[k].first + t->tiers[k].count; i++) {
			struct facts f;

			if (t->nodes[i].foreign)
				continue;
			node_facts(s, i, &f);
			add_most(&most, &f);
			if (each)
				print_facts(t->nodes[i].name, &f);
		}
		if (!each)
			print_facts(t->tiers[k].name, &most);
	}
}

static void
print_cold(const struct study *s)
{
	struct sim_stats sim;

	sim_stats(world_net(s->w), &sim);
	printf("cold start of %s: %zu switches, %zu links\n", s->topo->fabric, s->topo->nnodes, s->topo->nlinks);
	printf("converged after %.6f s virtual; %llu events, %llu bytes of BGP\n",
	    (double)mono_sub(s->converged, s->began) / 1e6, (unsigned long long)sim.events,
	    (unsigned long long)sim.bytes);
	print_table(s);
}

/* ---- failures ---- */

static int
read_failures(const struct cmd *c, struct fault *f)
{
	char err[256];

	for (size_t i = 0; i < c->nfail; i++) {
		f[i] = (struct fault){ 0 };
		if (!fault_place(c->topo, c->fail[i], &f[i].node[0], &f[i].port[0], err, sizeof(err))) {
			fprintf(stderr, "fabsim: --fail %s: %s\n", c->fail[i], err);
			return EXIT_USAGE;
		}
		f[i].kind = f[i].port[0] == TOPO_NONE ? FAULT_DARK : FAULT_CUT;
	}
	return 0;
}

/* Begins (0) or ends (1) all failures in this moment. */
static void
all_at_once(const struct study *s, struct fault *f, size_t n, uint32_t nth)
{
	char text[FAULT_TEXT];

	for (size_t i = 0; i < n; i++) {
		f[i].at = sim_now(world_net(s->w));
		printf("%s %s\n", nth ? "healed:" : "failed:", fault_print(s->topo, &f[i], text));
		fault_do(s->w, s->c, &f[i], nth);
	}
}

static void
print_losses(const struct study *s, const struct findings *r)
{
	size_t n = s->topo->nnodes, shown = 0;

	if (r->lost_pairs)
		printf("%u pairs of switches were lost for a while, the longest for %lld us\n", r->lost_pairs,
		    (long long)r->worst_us);
	else
		printf("no pair of switches that can be reached was lost\n");
	for (int64_t us = r->worst_us; us > 0 && shown < SHOW;) { /* the longest first */
		int64_t next = 0;

		for (size_t i = 0; i < n * n; i++) {
			if (s->loss[i] == us && shown++ < SHOW)
				printf("  %s to %s: %lld us\n", s->topo->nodes[i / n].name, s->topo->nodes[i % n].name,
				    (long long)us);
			if (s->loss[i] < us)
				next = MAX_OF(next, s->loss[i]);
		}
		us = next;
	}
	if (r->inside)
		printf("%u switches have no way out of the fabric any more\n", r->inside);
	if (r->lost_outside)
		printf("%u switches did not get out of the fabric for a while, the longest for %lld us\n",
		    r->lost_outside, (long long)r->worst_outside_us);
	if (r->parted)
		printf("partition: %u pairs of switches are not connected any more, by no path at all\n", r->parted);
	if (r->isolated)
		printf(
		    "isolated by design: %u pairs of switches are connected only through a valley, or through a switch "
		    "with the AS number of one of them\n",
		    r->isolated);
	if (r->racks)
		printf("of these pairs, %u have hosts on both sides\n", r->racks);
}

static void
print_load(const struct study *s, const struct findings *r)
{
	size_t width = s->nports / s->topo->nnodes;
	double *now = study_load(s);
	bool *told = calloc(s->nports + 1, sizeof(*told));

	printf("the busiest port carries %.2f times what the busiest carried before; the narrowest leaf has %u equal "
	       "paths\n",
	    r->most, r->narrowest);
	for (int shown = 0; now && told && shown < SHOW; shown++) {
		size_t best = SIZE_MAX;

		for (size_t i = 0; i < s->nports; i++)
			if (!told[i] && now[i] - s->load[i] > 0.005 &&
			    (best == SIZE_MAX || now[i] - s->load[i] > now[best] - s->load[best]))
				best = i;
		if (best == SIZE_MAX)
			break;
		told[best] = true;
		printf("  %s:%s to %s: load %.2f, before %.2f\n", s->topo->nodes[best / width].name,
		    s->topo->nodes[best / width].ports[best % width].name,
		    s->topo->nodes[s->topo->nodes[best / width].ports[best % width].far_node].name, now[best],
		    s->load[best]);
	}
	free(now);
	free(told);
}

static int
fail_and_heal(const struct cmd *c, struct study *s, struct fault *f)
{
	struct findings r;
	struct mono at = mono_add(sim_now(world_net(s->w)), c->at.us);
	bool met;

	check_run_until(s->c, at);
	study_forget(s);
	all_at_once(s, f, c->nfail, 0);
	study_look(s, at, &r);
	printf("the last change of forwarding came %lld us later\n", (long long)r.settled_us);
	print_losses(s, &r);
	print_load(s, &r);
	met = !r.parted && !r.racks && !r.inside;
	if (!r.violation && !mono_is_never(c->heal)) {
		at = mono_add(at, c->heal.us);
		if (at.us < sim_now(world_net(s->w)).us)
			at = sim_now(world_net(s->w));
		check_run_until(s->c, at);
		study_forget(s);
		all_at_once(s, f, c->nfail, 1);
		study_look(s, at, &r);
		printf("all as before after %lld us; ", (long long)r.settled_us);
		print_losses(s, &r);
	}
	if (r.violation) {
		printf("VIOLATION: %s: %s\n", check_kind_name(r.violation), r.text);
		simlog_tail(&s->log, SHOW * 2, stdout);
		met = false;
	}
	return met ? EXIT_MET : EXIT_UNMET;
}

int
cmd_run(const struct cmd *c)
{
	struct fault faults[CMD_FAILS];
	char err[256];
	int rc = read_failures(c, faults);
	struct study_config sc = { c->topo, c->seed, c->bfd, c->outside, c->feed, c->cpu_us, c->log ? stdout : NULL };
	struct study *s;

	if (rc)
		return rc;
	s = study_new(&sc, err, sizeof(err));
	if (!s) {
		fprintf(stderr, "fabsim: %s\n", err);
		return EXIT_UNMET;
	}
	print_cold(s);
	if (check_violation(s->c)->kind) {
		printf("intent is not met: %s: %s\n", check_kind_name(check_violation(s->c)->kind),
		    check_violation(s->c)->text);
		rc = EXIT_UNMET;
	} else if (s->barred) {
		printf(
		    "intent is not met: of the switches with hosts, %u pairs are isolated by design of the file: only "
		    "a "
		    "valley leads from one to the other, or a switch on the way has the AS number of one before it\n",
		    s->barred);
		rc = EXIT_UNMET;
	} else {
		printf("intent is met: every switch uses the full set of shortest paths to every other\n");
		if (c->nfail)
			rc = fail_and_heal(c, s, faults);
	}
	study_free(s);
	return rc;
}
