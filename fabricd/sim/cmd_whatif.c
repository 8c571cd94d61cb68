/*
 * fabricd/sim/cmd_whatif.c -- fabsim whatif: every single (pair of) failure, from the fabric that has come up
 *
 *   study --fork()--> one worker per job --fork()--> one process per failure: it fails, settles, is looked at
 *
 * A process is the cheapest copy of a whole fabric: what a failure does not touch is never copied. Findings come back
 * in memory that all share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/lib/hash.h"
#include "fabricd/sim/cmd.h"
#include "fabricd/sim/study.h"

#define SHOW 20

struct trial {
	uint32_t what[2]; /* a link, or nlinks + node; [1] TOPO_NONE: alone */
	bool done;
	struct findings r;
};

struct whatif {
	const struct cmd *c;
	struct study *s;
	uint32_t *what; /* all that can fail: a link, or nlinks + node */
	uint32_t nwhat;
	struct trial *trials; /* shared */
	size_t n;
};

static void
make_fault(const struct topo *t, uint32_t what, struct fault *f)
{
	*f = (struct fault){ .kind = FAULT_DARK, .port = { TOPO_NONE } };
	if (what >= t->nlinks) {
		f->node[0] = what - (uint32_t)t->nlinks;
		return;
	}
	f->kind = FAULT_CUT;
	f->node[0] = t->links[what].lower;
	f->port[0] = (uint32_t)(topo_port_find(&t->nodes[f->node[0]], t->links[what].lower_port) -
				t->nodes[f->node[0]].ports);
}

static void
print_what(const struct topo *t, const struct trial *x, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < 2 && x->what[i] != TOPO_NONE && at < size; i++) {
		if (x->what[i] >= t->nlinks) {
			at += (size_t)snprintf(
			    buf + at, size - at, "%s%s", i ? " + " : "", t->nodes[x->what[i] - t->nlinks].name);
			continue;
		}
		at += (size_t)snprintf(buf + at, size - at, "%s%s:%s-%s", i ? " + " : "",
		    t->nodes[t->links[x->what[i]].lower].name, t->links[x->what[i]].lower_port,
		    t->nodes[t->links[x->what[i]].upper].name);
	}
}

/* ---- the work ---- */

static void
try_one(const struct whatif *w, struct trial *x)
{
	struct mono at = sim_now(world_net(w->s->w));

	for (int i = 0; i < 2 && x->what[i] != TOPO_NONE; i++) {
		struct fault f;

		make_fault(w->s->topo, x->what[i], &f);
		f.at = at;
		fault_do(w->s->w, w->s->c, &f, 0);
	}
	study_look(w->s, at, &x->r);
	x->done = true;
}

static bool
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
work(const struct whatif *w, size_t first, size_t step)
{
	for (size_t i = first; i < w->n; i += step) {
		pid_t pid = fork();

		if (pid == 0) {
			try_one(w, &w->trials[i]);
			_exit(0);
		}
		if (pid < 0 || !wait_for(pid))
			_exit(1);
	}
	_exit(0);
}

static bool
try_all(const struct whatif *w)
{
	pid_t *pids = calloc(w->c->jobs, sizeof(*pids));
	bool ok = pids != NULL;

	fflush(NULL);
	for (uint32_t i = 0; ok && i < w->c->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			work(w, i, w->c->jobs);
	}
	for (uint32_t i = 0; pids && i < w->c->jobs; i++)
		ok = pids[i] > 0 && wait_for(pids[i]) && ok;
	free(pids);
	return ok;
}

/* ---- which ---- */

/* What is no fabricd is no part of the simulation, nor are the links that end there. */
static bool
list_what(struct whatif *w)
{
	const struct topo *t = w->c->topo;

	w->what = calloc(t->nlinks + t->nnodes + 1, sizeof(*w->what));
	for (uint32_t i = 0; w->what && i < t->nlinks; i++)
		if (!t->nodes[t->links[i].lower].foreign && !t->nodes[t->links[i].upper].foreign)
			w->what[w->nwhat++] = i;
	for (uint32_t i = 0; w->what && i < t->nnodes; i++)
		if (!t->nodes[i].foreign)
			w->what[w->nwhat++] = (uint32_t)t->nlinks + i;
	return w->what != NULL;
}

static size_t
count_all(const struct whatif *w)
{
	return w->c->any == 1 ? w->nwhat : (size_t)w->nwhat * (w->nwhat - 1) / 2;
}

/* A sample takes none twice: each is taken with the chance that fills the sample from those that are left. */
static void
choose_trials(struct whatif *w)
{
	uint64_t random = hash_u64(w->c->seed, 0x77686174);
	size_t left = count_all(w), at = 0;

	for (uint32_t a = 0; a < w->nwhat && at < w->n; a++)
		for (uint32_t b = w->c->any == 1 ? w->nwhat - 1 : a + 1; b < w->nwhat && at < w->n; b++, left--)
			if (hash_u64(random, left) % left < w->n - at)
				w->trials[at++] = (struct trial){ .what = { w->what[a],
								      w->c->any == 1 ? TOPO_NONE : w->what[b] } };
}

/* ---- the table ---- */

/* The worst first: violations, then racks that are cut off, then switches that are, then loss, width, load. */
static int
by_harm(const void *a, const void *b)
{
	const struct findings *x = &((const struct trial *)a)->r, *y = &((const struct trial *)b)->r;
	uint32_t cx = x->parted + x->isolated, cy = y->parted + y->isolated;

	if (!!x->violation != !!y->violation)
		return x->violation ? -1 : 1;
	if (x->racks != y->racks)
		return x->racks > y->racks ? -1 : 1;
	if (x->inside != y->inside)
		return x->inside > y->inside ? -1 : 1;
	if (cx != cy)
		return cx > cy ? -1 : 1;
	if (x->worst_us != y->worst_us)
		return x->worst_us > y->worst_us ? -1 : 1;
	if (x->narrowest != y->narrowest)
		return x->narrowest < y->narrowest ? -1 : 1;
	if (x->most != y->most)
		return x->most > y->most ? -1 : 1;
	return memcmp(((const struct trial *)a)->what, ((const struct trial *)b)->what, sizeof(uint32_t[2]));
}

static int
print_trials(struct whatif *w)
{
	const struct topo *t = w->c->topo;
	uint32_t bad = 0, parted = 0, isolated = 0, racks = 0, inside = 0;

	qsort(w->trials, w->n, sizeof(*w->trials), by_harm);
	printf("%-44s %9s %7s %7s %8s %6s %6s%s %6s  %s\n", "failure", "loss us", "pairs", "parted", "isolated",
	    "racks", "width", w->c->outside ? " inside" : "", "load", "busiest port");
	for (size_t i = 0; i < w->n; i++) {
		const struct trial *x = &w->trials[i];
		const struct topo_node *busy = &t->nodes[x->r.most_node];
		char what[128];

		bad += x->r.violation != CHECK_NONE;
		parted += x->r.parted != 0;
		isolated += x->r.isolated != 0;
		racks += x->r.racks != 0;
		inside += x->r.inside != 0;
		if (i >= SHOW)
			continue;
		print_what(t, x, what, sizeof(what));
		printf("%-44s %9lld %7u %7u %8u %6u %6u", what, (long long)x->r.worst_us, x->r.lost_pairs, x->r.parted,
		    x->r.isolated, x->r.racks, x->r.narrowest);
		if (w->c->outside)
			printf(" %6u", x->r.inside);
		if (x->r.most > 0)
			printf(" %6.2f  %s:%s\n", x->r.most, busy->name, busy->ports[x->r.most_port].name);
		else
			printf(" %6.2f  -\n", x->r.most);
		if (x->r.violation)
			printf("  VIOLATION: %s: %s\n", check_kind_name(x->r.violation), x->r.text);
	}
	printf("%zu failures tried: %u part the fabric, %u isolate switches by design, %u part or isolate racks, ",
	    w->n, parted, isolated, racks);
	if (w->c->outside)
		printf("%u leave switches without a way out, ", inside);
	printf("%u violate an invariant\n", bad);
	return bad ? EXIT_UNMET : EXIT_MET;
}

int
cmd_whatif(const struct cmd *c)
{
	struct whatif w = { .c = c };
	struct study_config sc = { c->topo, c->seed, c->bfd, c->outside, c->feed, c->cpu_us, NULL };
	char err[256];
	int rc = EXIT_UNMET;

	if (!c->any) {
		fprintf(stderr, "fabsim: whatif needs --any 1 or --any 2\n");
		return EXIT_USAGE;
	}
	w.s = study_new(&sc, err, sizeof(err));
	if (!list_what(&w)) {
		fprintf(stderr, "fabsim: out of memory\n");
		study_free(w.s);
		return rc;
	}
	w.n = c->sample ? MIN_OF(c->sample, count_all(&w)) : count_all(&w);
	w.trials = mmap(NULL, (w.n + 1) * sizeof(*w.trials), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w.s && check_violation(w.s->c)->kind) {
		printf("intent is not met before anything fails: %s\n", check_violation(w.s->c)->text);
	} else if (w.s && w.trials != MAP_FAILED) {
		choose_trials(&w);
		check_lightly(w.s->c);
		if (try_all(&w))
			rc = print_trials(&w);
		else
			fprintf(stderr, "fabsim: a worker ended early: %s\n", strerror(errno));
	} else {
		fprintf(stderr, "fabsim: %s\n", w.s ? strerror(errno) : err);
	}
	free(w.what);
	if (w.trials != MAP_FAILED)
		munmap(w.trials, (w.n + 1) * sizeof(*w.trials));
	study_free(w.s);
	return rc;
}
