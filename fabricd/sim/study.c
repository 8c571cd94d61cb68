/* fabricd/sim/study.c -- see study.h */
#include <stdlib.h>
#include <string.h>

#include "fabricd/sim/study.h"

#define COUNT_ON_US SECONDS(5) /* a fabric comes up within this */
#define REST_US     MS(100)    /* after a failure, beside what its detection may take */

static void
on_event(void *arg, const struct journal_event *e)
{
	struct world_node *wn = arg;
	struct simlog *log = world_config(wn->world)->log_arg;

	simlog_add(log, e->at, wn->topo->name, "%s %s %s", e->type, e->port[0] ? e->port : "-", e->text);
}

static void
on_loss(void *arg, size_t dest, uint32_t node, struct mono since, int64_t us)
{
	struct study *s = arg;
	uint32_t owner = flow_dest(check_flow(s->c), dest)->owner;
	int64_t *worst = owner == TOPO_NONE ? &s->loss_out[node] : &s->loss[node * s->topo->nnodes + owner];

	(void)since;
	*worst = MAX_OF(*worst, us);
}

double *
study_load(const struct study *s)
{
	double *load = calloc(s->nports + 1, sizeof(*load));

	if (load)
		flow_load(check_flow(s->c), s->family, load);
	return load;
}

static bool
works(const struct study *s, uint32_t node)
{
	return world_node_at(s->w, node)->node != NULL;
}

static bool
is_far(const struct study *s, uint32_t from, uint32_t to)
{
	return check_paths(s->c, to)->distance[from] == ORACLE_FAR;
}

static bool
has_rack(const struct topo_node *n)
{
	return n->has_rack[FAMILY_IPV4] || n->has_rack[FAMILY_IPV6];
}

/* Whether all that a node sends to the world outside gets there, in one family at least. */
static bool
gets_out(const struct study *s, uint32_t node)
{
	const struct flow *f = check_flow(s->c);

	for (size_t d = flow_dests(f); d < flow_all(f); d++)
		if (flow_good(f, d, node))
			return true;
	return false;
}

static void
note_baseline(struct study *s)
{
	size_t n = s->topo->nnodes;

	s->family = FAMILY_IPV6;
	for (size_t i = 0; i < n; i++)
		if (s->topo->nodes[i].has_rack[FAMILY_IPV4] || s->topo->nodes[i].has_loopback[FAMILY_IPV4])
			s->family = FAMILY_IPV4;
	s->nports = n * flow_words(check_flow(s->c)) * 64;
	s->load = study_load(s);
	for (uint32_t a = 0; a < n; a++)
		for (uint32_t b = 0; b < n; b++)
			s->far[a * n + b] = is_far(s, a, b);
	for (uint32_t a = 0; a < n; a++) {
		s->out[a] = gets_out(s, a);
		for (uint32_t b = 0; b < a; b++)
			s->barred += s->far[a * n + b] && has_rack(&s->topo->nodes[a]) &&
				     has_rack(&s->topo->nodes[b]) && works(s, a) && works(s, b);
	}
}

struct study *
study_new(const struct study_config *sc, char *err, size_t errlen)
{
	const struct topo *t = sc->topo;
	struct study *s = calloc(1, sizeof(*s));
	struct world_config cfg = { .topo = t,
		.seed = sc->seed,
		.bfd = sc->bfd,
		.outside = sc->outside,
		.feed = sc->feed,
		.cpu_us = sc->cpu_us,
		.model = { .group_outlives = true }, /* as Linux does */
		.log = on_event };
	struct check_config check = { .cold = true, .reconnect_us = COUNT_ON_US, .loss = on_loss };

	if (!s || !(s->far = calloc(t->nnodes * t->nnodes + 1, sizeof(*s->far))) ||
	    !(s->loss = calloc(t->nnodes * t->nnodes + 1, sizeof(*s->loss))) ||
	    !(s->loss_out = calloc(t->nnodes + 1, sizeof(*s->loss_out))) ||
	    !(s->out = calloc(t->nnodes + 1, sizeof(*s->out)))) {
		snprintf(err, errlen, "out of memory");
		study_free(s);
		return NULL;
	}
	s->topo = t;
	s->log.out = sc->log;
	cfg.log_arg = check.log = &s->log;
	check.arg = s;
	s->w = world_new(&cfg, err, errlen);
	if (!s->w) {
		study_free(s);
		return NULL;
	}
	s->began = sim_now(world_net(s->w));
	s->c = check_new(s->w, &check);
	check_run_until(s->c, mono_add(s->began, COUNT_ON_US + SECONDS(1)));
	if (!check_violation(s->c)->kind)
		check_quiet(s->c);
	s->converged.us = MAX_OF(check_stats(s->c)->last_change.us, s->began.us);
	note_baseline(s);
	return s;
}

void
study_free(struct study *s)
{
	if (!s)
		return;
	check_free(s->c);
	world_free(s->w);
	free(s->load);
	free(s->far);
	free(s->loss);
	free(s->loss_out);
	free(s->out);
	free(s);
}

void
study_forget(struct study *s)
{
	memset(s->loss, 0, s->topo->nnodes * s->topo->nnodes * sizeof(*s->loss));
	memset(s->loss_out, 0, s->topo->nnodes * sizeof(*s->loss_out));
}

/* Equal paths of a leaf to racks; loopbacks of spines have fewer by nature. */
static uint32_t
narrowest(const struct study *s)
{
	const struct flow *f = check_flow(s->c);
	uint32_t least = UINT32_MAX;

	for (size_t d = 0; d < flow_dests(f); d++) {
		const struct flow_dest *dest = flow_dest(f, d);
		const struct topo_node *owner = &s->topo->nodes[dest->owner];

		if (!owner->has_rack[dest->prefix.family] ||
		    !prefix_equal(&dest->prefix, &owner->rack[dest->prefix.family]))
			continue;
		for (uint32_t i = 0; i < s->topo->nnodes; i++) {
			const uint64_t *ports = flow_ports(f, d, i);
			uint32_t n = 0;

			if (s->topo->nodes[i].level || i == dest->owner)
				continue;
			for (size_t w = 0; w < flow_words(f); w++)
				n += (uint32_t)__builtin_popcountll(ports[w]);
			if (n)
				least = MIN_OF(least, n);
		}
	}
	return least == UINT32_MAX ? 0 : least;
}

static void
count_pairs(const struct study *s, struct findings *out)
{
	size_t n = s->topo->nnodes;
	struct oracle_graph g = check_counted_on(s->c);
	uint32_t *part = calloc(n + 1, sizeof(*part));

	if (part)
		oracle_parts(check_oracle(s->c), &g, part);
	for (uint32_t a = 0; a < n && part; a++)
		for (uint32_t b = 0; b < n; b++) {
			if (a == b || !works(s, a) || !works(s, b))
				continue;
			if (is_far(s, a, b)) {
				if (a > b || s->far[a * n + b]) /* once for both ways */
					continue;
				out->isolated += part[a] == part[b];
				out->parted += part[a] != part[b];
				out->racks += has_rack(&s->topo->nodes[a]) && has_rack(&s->topo->nodes[b]);
			} else if (s->loss[a * n + b]) {
				out->lost_pairs++;
				out->worst_us = MAX_OF(out->worst_us, s->loss[a * n + b]);
			}
		}
	for (uint32_t a = 0; a < n; a++) {
		out->inside += works(s, a) && s->out[a] && !gets_out(s, a);
		out->lost_outside += works(s, a) && s->loss_out[a];
		out->worst_outside_us = MAX_OF(out->worst_outside_us, works(s, a) ? s->loss_out[a] : 0);
	}
	free(part);
}

static void
compare_load(const struct study *s, struct findings *out)
{
	double *now = study_load(s), before = 0, most = 0;

	for (size_t i = 0; i < s->nports && now; i++) {
		before = MAX_OF(before, s->load[i]);
		if (now[i] <= most)
			continue;
		most = now[i];
		out->most_node = (uint32_t)(i / (s->nports / s->topo->nnodes));
		out->most_port = (uint32_t)(i % (s->nports / s->topo->nnodes));
	}
	out->most = before > 0 ? most / before : 0;
	free(now);
}

void
study_look(struct study *s, struct mono since, struct findings *out)
{
	const struct check_violation *v = check_violation(s->c);
	struct mono calm = check_calm_at(s->c), now = sim_now(world_net(s->w));

	*out = (struct findings){ 0 };
	check_run_until(s->c, mono_add((struct mono){ MAX_OF(calm.us, now.us) }, REST_US));
	if (!v->kind)
		check_quiet(s->c);
	if (check_stats(s->c)->last_change.us > since.us)
		out->settled_us = mono_sub(check_stats(s->c)->last_change, since);
	out->violation = v->kind;
	memcpy(out->text, v->text, sizeof(out->text));
	count_pairs(s, out);
	out->narrowest = narrowest(s);
	compare_load(s, out);
}
