/*
 * fabricd/sim/chaos.c -- see chaos.h
 *
 * Faults come in bursts, with rest between them: in a burst they overlap and get into each other's way, in the rest the
 * fabric is compared with its graph. Kinds are drawn from a bag that holds each once and is filled again when it is
 * empty, so that all come about equally often.
 *
 * A fault is aimed only at what works then, as far as the list itself can tell: no dead link is cut, nobody is killed
 * twice. Nodes and links are kept apart, so that a link is cut at a switch that is stalled.
 */
#include <string.h>

#include "fabricd/lib/hash.h"
#include "fabricd/sim/chaos.h"

#define BURST      4 /* faults in it, on average */
#define WINDOW_US  SECONDS(15)
#define SHORT_US   MS(20)
#define LONG_US    SECONDS(40)
#define LONGEST_US SECONDS(400)
#define TRIES      200

struct plan {
	const struct chaos_config *cfg;
	uint64_t random;
	struct mono *link_free, *node_free, *node_dark; /* when they are whole again */
	struct mono *node_down;                         /* when its process runs again */
	enum fault_kind bag[FAULT_KINDS];
	size_t nbag;
};

/* splitmix64 */
static uint64_t
draw(struct plan *p)
{
	uint64_t z = p->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static int64_t
draw_between(struct plan *p, int64_t from, int64_t to)
{
	return from + (int64_t)(draw(p) % (uint64_t)(to - from + 1));
}

static enum fault_kind
draw_kind(struct plan *p)
{
	size_t i;
	enum fault_kind k;

	if (!p->nbag)
		for (; p->nbag < FAULT_KINDS; p->nbag++)
			p->bag[p->nbag] = (enum fault_kind)p->nbag;
	i = draw(p) % p->nbag;
	k = p->bag[i];
	p->bag[i] = p->bag[--p->nbag];
	return k;
}

/*
 * Half of them last long enough for hold timers, a few for all that a restart leaves behind; the others end in the
 * middle of what they have begun.
 */
static int64_t
draw_duration(struct plan *p)
{
	int64_t us = SHORT_US;

	if (draw(p) % 10 == 0)
		return draw_between(p, LONG_US, LONGEST_US);
	if (draw(p) & 1)
		return draw_between(p, SECONDS(5), LONG_US);
	us <<= draw(p) % 9;
	return draw_between(p, us, 2 * us);
}

static bool
link_is_whole(const struct plan *p, uint32_t link, struct mono at)
{
	const struct topo_link *l = &p->cfg->topo->links[link];

	return p->link_free[link].us <= at.us && p->node_dark[l->lower].us <= at.us &&
	       p->node_dark[l->upper].us <= at.us;
}

static bool
draw_link(struct plan *p, struct fault *f, int i, uint32_t *link)
{
	const struct topo *t = p->cfg->topo;
	uint32_t n = (uint32_t)(draw(p) % MAX_OF(t->nlinks, (size_t)1)), side = (uint32_t)(draw(p) & 1);

	if (!t->nlinks || !link_is_whole(p, n, f->at))
		return false;
	f->node[i] = side ? t->links[n].upper : t->links[n].lower;
	for (f->port[i] = 0; t->nodes[f->node[i]].ports[f->port[i]].link != n ||
			     (t->nodes[f->node[i]].ports[f->port[i]].kind != TOPO_UP &&
				 t->nodes[f->node[i]].ports[f->port[i]].kind != TOPO_DOWN);
	     f->port[i]++)
		;
	*link = n;
	return !t->nodes[t->links[n].upper].foreign && !t->nodes[t->links[n].lower].foreign;
}

static bool
aim_links(struct plan *p, struct fault *f, int n, struct mono end)
{
	uint32_t link[2] = { 0, 0 };

	for (int i = 0; i < n; i++)
		if (!draw_link(p, f, i, &link[i]))
			return false;
	if (n == 2 && link[0] == link[1])
		return false;
	for (int i = 0; i < n; i++)
		p->link_free[link[i]] = end;
	return true;
}

static bool
aim_node(struct plan *p, struct fault *f, struct mono end)
{
	const struct topo *t = p->cfg->topo;
	uint32_t n = (uint32_t)(draw(p) % t->nnodes);

	if (t->nodes[n].foreign || (f->kind == FAULT_UPGRADE ? p->node_down : p->node_free)[n].us > f->at.us)
		return false;
	for (uint32_t i = 0; f->kind == FAULT_DARK && i < t->nlinks; i++)
		if ((t->links[i].lower == n || t->links[i].upper == n) && !link_is_whole(p, i, f->at))
			return false;
	f->node[0] = n;
	if (f->kind == FAULT_UPGRADE) /* something else may well befall the switch meanwhile */
		return true;
	p->node_free[n] = end;
	if (fault_ends_process(f->kind))
		p->node_down[n] = end;
	if (f->kind == FAULT_DARK)
		p->node_dark[n] = end;
	return true;
}

/* False: nothing of this kind can be done now. */
static bool
aim(struct plan *p, struct fault *f)
{
	struct mono end = mono_add(f->at, f->us + SECONDS(1));

	for (int i = 0; i < TRIES; i++) {
		bool ok = fault_target(f->kind) == FAULT_AT_NODE
			      ? aim_node(p, f, end)
			      : aim_links(p, f, fault_target(f->kind) == FAULT_AT_LINKS ? 2 : 1, end);

		if (ok)
			return true;
	}
	return false;
}

void
chaos_make(const struct chaos_config *cfg, struct scenario *out)
{
	struct plan p = { .cfg = cfg, .random = hash_u64(cfg->seed, 0x6368616f73) };
	size_t nlinks = cfg->topo->nlinks + 1, nnodes = cfg->topo->nnodes + 1;
	uint32_t bursts = cfg->events / BURST + 1;
	int64_t period = MAX_OF(cfg->us / bursts, MS(1)), window = MIN_OF(WINDOW_US, MAX_OF(period / 4, 1));

	*out = (struct scenario){ .topo = cfg->topo,
		.seed = cfg->seed,
		.bfd = cfg->bfd,
		.outside = cfg->outside,
		.feed = cfg->feed,
		.cpu_us = cfg->cpu_us };
	out->faults = mem_zalloc(NULL, MEM_OTHER, (cfg->events + 1) * sizeof(*out->faults));
	p.link_free = mem_zalloc(NULL, MEM_OTHER, nlinks * sizeof(struct mono));
	p.node_free = mem_zalloc(NULL, MEM_OTHER, nnodes * sizeof(struct mono));
	p.node_dark = mem_zalloc(NULL, MEM_OTHER, nnodes * sizeof(struct mono));
	p.node_down = mem_zalloc(NULL, MEM_OTHER, nnodes * sizeof(struct mono));
	for (uint32_t b = 0, left = 0; out->nfaults < cfg->events && b < 4 * bursts; b++) {
		struct mono start = { SCENARIO_WARM_US + SECONDS(1) + period * b }, at[2 * BURST];

		left = (uint32_t)draw_between(&p, 1, 2 * BURST - 1);
		for (uint32_t i = 0; i < left; i++) { /* in order of time, since aiming looks at what came before */
			uint32_t k = i;
			struct mono t = mono_add(start, draw_between(&p, 0, window));

			for (; k > 0 && at[k - 1].us > t.us; k--)
				at[k] = at[k - 1];
			at[k] = t;
		}
		for (uint32_t i = 0; i < left && out->nfaults < cfg->events; i++) {
			struct fault *f = &out->faults[out->nfaults];

			*f = (struct fault){ .at = at[i] }; /* one draw after the other: the order counts */
			f->kind = draw_kind(&p);
			f->us = draw_duration(&p);
			f->with = draw(&p) % 4096;
			if (f->kind == FAULT_CLOCK || f->kind == FAULT_LOSE || f->kind == FAULT_UPGRADE)
				f->us = 0;
			out->nfaults += aim(&p, f);
		}
		out->until = mono_add(start, period);
	}
	mem_free(NULL, MEM_OTHER, p.link_free);
	mem_free(NULL, MEM_OTHER, p.node_free);
	mem_free(NULL, MEM_OTHER, p.node_dark);
	mem_free(NULL, MEM_OTHER, p.node_down);
}

void
scenario_done(struct scenario *sc)
{
	mem_free(NULL, MEM_OTHER, sc->faults);
	sc->faults = NULL;
	sc->nfaults = 0;
}

/* ---- shrinking ---- */

struct shrink {
	struct scenario *sc;
	struct outcome *out;
	uint32_t runs;
};

/* Takes the trial for the scenario if it shows the same kind of violation. */
static bool
still_shows(struct shrink *s, struct fault *faults, size_t n)
{
	struct scenario trial = *s->sc;
	struct outcome out;

	if (!s->runs)
		return false;
	s->runs--;
	trial.faults = faults;
	trial.nfaults = n;
	trial.until.us = 0;
	scenario_run(&trial, NULL, &out);
	if (out.violation.kind != s->out->violation.kind)
		return false;
	*s->out = out;
	s->sc->nfaults = n;
	s->sc->until.us = 0;
	memmove(s->sc->faults, faults, n * sizeof(*faults));
	return true;
}

/* What comes after the violation has nothing to do with it. */
static void
drop_later(struct shrink *s, struct fault *trial)
{
	size_t n = 0;

	for (size_t i = 0; i < s->sc->nfaults; i++)
		if (s->sc->faults[i].at.us <= s->out->violation.at.us)
			trial[n++] = s->sc->faults[i];
	still_shows(s, trial, n);
}

/* The newest few are most often to blame. */
static void
keep_newest(struct shrink *s, struct fault *trial)
{
	for (size_t n = 1; n < s->sc->nfaults; n *= 2) {
		memcpy(trial, &s->sc->faults[s->sc->nfaults - n], n * sizeof(*trial));
		if (still_shows(s, trial, n))
			return;
	}
}

static void
drop_pieces(struct shrink *s, struct fault *trial)
{
	for (size_t piece = (s->sc->nfaults + 1) / 2; piece && s->runs;) {
		bool dropped = false;

		for (size_t from = 0; from < s->sc->nfaults && s->runs;) {
			size_t n = MIN_OF(piece, s->sc->nfaults - from);

			memcpy(trial, s->sc->faults, from * sizeof(*trial));
			memcpy(&trial[from], &s->sc->faults[from + n], (s->sc->nfaults - from - n) * sizeof(*trial));
			if (still_shows(s, trial, s->sc->nfaults - n))
				dropped = true;
			else
				from += n;
		}
		if (!dropped || piece > 1)
			piece /= 2;
	}
}

/* Nobody wants to wait for hours of nothing. */
static void
move_forward(struct shrink *s, struct fault *trial)
{
	int64_t early = 0;

	if (!s->sc->nfaults)
		return;
	early = s->sc->faults[0].at.us - SCENARIO_WARM_US - SECONDS(1);
	memcpy(trial, s->sc->faults, s->sc->nfaults * sizeof(*trial));
	for (size_t i = 0; i < s->sc->nfaults; i++)
		trial[i].at.us -= early;
	if (early > 0)
		still_shows(s, trial, s->sc->nfaults);
}

void
chaos_shrink(struct scenario *sc, struct outcome *out, uint32_t runs)
{
	struct shrink s = { sc, out, runs };
	struct fault *trial = mem_zalloc(NULL, MEM_OTHER, (sc->nfaults + 1) * sizeof(*trial));

	drop_later(&s, trial);
	keep_newest(&s, trial);
	move_forward(&s, trial);
	drop_pieces(&s, trial);
	move_forward(&s, trial);
	mem_free(NULL, MEM_OTHER, trial);
}
