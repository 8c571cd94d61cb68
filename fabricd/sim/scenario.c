/*
 * fabricd/sim/scenario.c -- see scenario.h
 *
 *   boot, warm up, compare -> faults; whenever there is rest between them, compare -> rest, compare -> cut all links,
 *   nothing may be left
 *
 * The node's own events go into the log, as do changes of forwarding and the faults themselves.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/sim/scenario.h"

#define LOOK_US   MS(100)     /* carriers are up by then */
#define EMPTY_US  SECONDS(30) /* so long after all links were cut nothing may be left */
#define AGAIN_US  SECONDS(20)
#define MARGIN_US SECONDS(1)

struct run {
	const struct scenario *sc;
	const struct scenario_watch *watch;
	struct outcome *out;
	struct simlog *log;
	struct world *w;
	struct check *c;
	struct mono compared; /* the last time */
	bool tapped;
	bool *did; /* by fault: its beginning had an effect */
};

static void
on_event(void *arg, const struct journal_event *e)
{
	struct world_node *wn = arg;
	struct simlog *log = world_config(wn->world)->log_arg;

	simlog_add(log, e->at, wn->topo->name, "%s %s %s", e->type, e->port[0] ? e->port : "-", e->text);
}

static bool
bad(const struct run *r)
{
	return check_violation(r->c)->kind != CHECK_NONE || r->out->error[0];
}

static void
go_on(struct run *r, struct mono to)
{
	if (r->watch && r->watch->tap && !r->tapped && to.us >= r->watch->tap_from.us) {
		check_run_until(r->c, r->watch->tap_from);
		check_tap(r->c, r->watch->tap, r->watch->tap_arg);
		r->tapped = true;
	}
	check_run_until(r->c, to);
}

/* Goes on to a time, and compares the whole fabric once on the way, when it has come to rest by then. */
static void
go_on_and_compare(struct run *r, struct mono to)
{
	struct mono calm = mono_add(check_calm_at(r->c), MARGIN_US);

	if (calm.us > r->compared.us && calm.us < to.us) {
		go_on(r, calm);
		if (!bad(r) && check_is_calm(r->c))
			check_quiet(r->c);
		r->compared = calm;
	}
	go_on(r, to);
}

static void
do_step(struct run *r, const struct fault_step *s)
{
	const struct fault *f = &r->sc->faults[s->fault];
	char text[FAULT_TEXT];
	int did;

	if (s->nth && !r->did[s->fault])
		return;
	if (s->nth < 2)
		simlog_add(r->log, s->at, "*", "%s %s", s->nth ? "ends:" : "fault:", fault_print(r->sc->topo, f, text));
	did = fault_do(r->w, r->c, f, s->nth);
	if (did < 0)
		snprintf(r->out->error, sizeof(r->out->error), "%s could not be booted again: %s",
		    r->sc->topo->nodes[f->node[0]].name, strerror(-did));
	if (s->nth)
		return;
	r->did[s->fault] = did > 0;
	if (did > 0)
		r->out->done[f->kind]++;
	else
		r->out->idle++;
}

static void
count_overlaps(struct run *r)
{
	const struct fault *f = r->sc->faults;

	for (size_t i = 0; i < r->sc->nfaults; i++)
		for (size_t k = 0; k < r->sc->nfaults; k++)
			if (i != k && r->did[i] && r->did[k] && f[i].at.us <= f[k].at.us + f[k].us &&
			    f[k].at.us <= f[i].at.us + f[i].us) {
				r->out->overlapping++;
				break;
			}
}

static void
set_all_links(struct run *r, bool up)
{
	const struct topo *t = r->sc->topo;

	simlog_add(r->log, sim_now(world_net(r->w)), "*", "all links are %s", up ? "healed" : "cut");
	for (size_t i = 0; i < t->nlinks; i++)
		world_link_set(r->w, t->nodes[t->links[i].lower].name, t->links[i].lower_port, up);
	world_outside_set(r->w, up);
	check_fault(r->c, 0, NULL, 0);
}

/*
 * Twice: after the first time nothing of others may be left, and after the second no node may hold more memory than
 * after the first.
 */
static void
withdraw_all(struct run *r)
{
	set_all_links(r, false);
	go_on(r, mono_add(sim_now(world_net(r->w)), EMPTY_US));
	if (!bad(r))
		check_empty(r->c);
	if (!bad(r))
		set_all_links(r, true);
	if (!bad(r))
		go_on(r, mono_add(sim_now(world_net(r->w)), AGAIN_US));
	if (!bad(r))
		set_all_links(r, false);
	if (!bad(r))
		go_on(r, mono_add(sim_now(world_net(r->w)), EMPTY_US));
	if (!bad(r))
		check_empty(r->c);
}

static void
run_all(struct run *r)
{
	size_t n;
	struct fault_step *steps = fault_steps(r->sc->faults, r->sc->nfaults, &n);
	struct mono end;

	go_on(r, mono_add(sim_now(world_net(r->w)), LOOK_US));
	check_fault(r->c, 0, NULL, 0);
	for (size_t i = 0; i < n && !bad(r); i++) {
		go_on_and_compare(r, steps[i].at);
		if (!bad(r))
			do_step(r, &steps[i]);
	}
	free(steps);
	end = mono_add(check_calm_at(r->c), 2 * MARGIN_US);
	end.us = MAX_OF(end.us, r->sc->until.us);
	if (!bad(r))
		go_on_and_compare(r, end);
	if (!bad(r))
		withdraw_all(r);
	count_overlaps(r);
}

void
scenario_run(const struct scenario *sc, const struct scenario_watch *watch, struct outcome *out)
{
	struct simlog *own = watch && watch->log ? NULL : mem_zalloc(NULL, MEM_OTHER, sizeof(*own));
	struct run r = { .sc = sc, .watch = watch, .out = out, .log = own ? own : watch->log };
	struct world_config cfg = { .topo = sc->topo,
		.seed = sc->seed,
		.bfd = sc->bfd,
		.outside = sc->outside,
		.feed = sc->feed,
		.cpu_us = sc->cpu_us,
		.log = on_event,
		.log_arg = r.log };
	struct check_config check = { .cold = true, .log = r.log };

	*out = (struct outcome){ 0 };
	r.w = world_new(&cfg, out->error, sizeof(out->error));
	if (r.w) {
		if (watch && watch->made)
			watch->made(watch->made_arg, r.w);
		r.did = mem_zalloc(NULL, MEM_OTHER, sc->nfaults + 1);
		r.c = check_new(r.w, &check);
		run_all(&r);
		out->violation = *check_violation(r.c);
		out->stats = *check_stats(r.c);
		out->done[FAULT_UPGRADE] -= (uint32_t)out->stats.put_off; /* known only in the end */
		out->idle += (uint32_t)out->stats.put_off;
		out->end = sim_now(world_net(r.w));
		sim_stats(world_net(r.w), &out->sim);
		check_free(r.c);
		world_free(r.w);
		mem_free(NULL, MEM_OTHER, r.did);
	}
	out->hash = r.log->hash;
	out->lines = r.log->lines;
	mem_free(NULL, MEM_OTHER, own);
}

/* ---- traces ---- */

struct parse {
	struct scenario *out;
	scenario_load_fn *load;
	void *arg;
	size_t cap;
	char *err;
	size_t errlen;
};

static bool
parse_line(struct parse *p, const char *s)
{
	static const struct {
		const char *word, *takes;
	} numbers[] = {
		{ "topology", "it names a file" },
		{ "seed", "it is a whole number" },
		{ "until", "it is a time in seconds" },
		{ "outside", "it is a number of prefixes, up to 1000000" },
		{ "cpu", "it is a time in microseconds, up to 100000" },
	};
	char file[256];
	unsigned long long n;
	double seconds;

	if (sscanf(s, "topology %255s", file) == 1) {
		if (p->out->topo) {
			snprintf(p->err, p->errlen, "a trace has one topology, and this line names another one");
			return false;
		}
		p->out->topo = p->load(p->arg, file, p->err, p->errlen);
		return p->out->topo != NULL;
	}
	if (sscanf(s, "seed %llu", &n) == 1 && !strchr(s, '-')) {
		p->out->seed = n;
		return true;
	}
	if (sscanf(s, "until %lf", &seconds) == 1 && seconds >= 0 && seconds < 1e9) {
		p->out->until.us = (int64_t)(seconds * 1e6);
		return true;
	}
	if (strcmp(s, "bfd") == 0) {
		p->out->bfd = true;
		return true;
	}
	if (sscanf(s, "outside %llu", &n) == 1 && n <= 1000000) {
		p->out->outside = true;
		p->out->feed = (uint32_t)n;
		return true;
	}
	if (sscanf(s, "cpu %llu", &n) == 1 && n <= 100000) {
		p->out->cpu_us = (int64_t)n;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strncmp(s, numbers[i].word, strlen(numbers[i].word)) == 0 &&
		    strchr(" \t", s[strlen(numbers[i].word)])) {
			snprintf(p->err, p->errlen, "\"%s\" is not understood: %s", s, numbers[i].takes);
			return false;
		}
	}
	if (!p->out->topo) {
		snprintf(p->err, p->errlen, "a trace begins with the line: topology FILE");
		return false;
	}
	p->out->faults = mem_grow(
	    NULL, MEM_OTHER, p->out->faults, &p->cap, p->out->nfaults + 1, sizeof(*p->out->faults));
	return fault_parse(p->out->topo, s, &p->out->faults[p->out->nfaults++], p->err, p->errlen);
}

/* Lines end with a newline or with ";". */
bool
scenario_parse(const char *text, scenario_load_fn *load, void *arg, struct scenario *out, char *err, size_t errlen)
{
	struct parse p = { .out = out, .load = load, .arg = arg, .err = err, .errlen = errlen };
	unsigned int line = 1;

	*out = (struct scenario){ .seed = 1 };
	while (*text) {
		size_t n = strcspn(text, ";\n");
		char buf[FAULT_TEXT + 256], *s = buf, why[256];
		size_t len = MIN_OF(strcspn(text, "#"), n);

		snprintf(buf, sizeof(buf), "%.*s", (int)MIN_OF(len, sizeof(buf) - 1), text);
		while (isspace((unsigned char)*s))
			s++;
		for (len = strlen(s); len && isspace((unsigned char)s[len - 1]);)
			s[--len] = '\0';
		p.err = why;
		p.errlen = sizeof(why);
		if (*s && !parse_line(&p, s)) {
			snprintf(err, errlen, "line %u: %s", line, why);
			return false;
		}
		line += text[n] == '\n';
		text += n + (text[n] != '\0');
	}
	if (!out->topo)
		snprintf(err, errlen, "no line names the topology");
	return out->topo != NULL;
}

static void
print(const struct scenario *sc, const char *file, const char *between, FILE *out)
{
	char text[FAULT_TEXT], time[SIMLOG_TIME];

	fprintf(out, "topology %s%sseed %llu%suntil %s", file, between, (unsigned long long)sc->seed, between,
	    simlog_time(sc->until, time));
	if (sc->bfd)
		fprintf(out, "%sbfd", between);
	if (sc->outside)
		fprintf(out, "%soutside %u", between, sc->feed);
	if (sc->cpu_us)
		fprintf(out, "%scpu %lld", between, (long long)sc->cpu_us);
	for (size_t i = 0; i < sc->nfaults; i++)
		fprintf(out, "%s%s", between, fault_print(sc->topo, &sc->faults[i], text));
	fputc('\n', out);
}

void
scenario_print(const struct scenario *sc, const char *file, FILE *out)
{
	print(sc, file, "\n", out);
}

void
scenario_print_line(const struct scenario *sc, const char *file, FILE *out)
{
	print(sc, file, "; ", out);
}
