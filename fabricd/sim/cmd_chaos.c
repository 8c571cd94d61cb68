/*
 * fabricd/sim/cmd_chaos.c -- fabsim chaos and fabsim replay: run, judge, and say what was found
 *
 *   scenario --run--> violation? --shrink--> the shortest list --run again, tapped--> sequence chart
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/sim/chart.h"
#include "fabricd/sim/cmd.h"

#define TAIL 30

static void
print_counts(const struct outcome *o)
{
	uint32_t all = 0;

	for (int k = 0; k < FAULT_KINDS; k++)
		all += o->done[k];
	printf("%u faults had an effect, %u had none; %u (%.0f %%) overlapped with another\n", all, o->idle,
	    o->overlapping, all ? 100.0 * o->overlapping / all : 0.0);
	for (int k = 0; k < FAULT_KINDS && all; k++)
		printf("  %-8s %6u  %4.1f %%\n", fault_kind_name((enum fault_kind)k), o->done[k],
		    100.0 * o->done[k] / all);
}

static void
print_outcome(const struct outcome *o)
{
	char time[SIMLOG_TIME];

	print_counts(o);
	printf("upgrades: %llu in charge, of these %llu while nothing else went on; %llu given up\n",
	    (unsigned long long)o->stats.upgrades, (unsigned long long)o->stats.unnoticed,
	    (unsigned long long)o->stats.given_up);
	printf("%s s virtual, %llu events, %llu segments, %llu changes of forwarding\n", simlog_time(o->end, time),
	    (unsigned long long)o->sim.events, (unsigned long long)o->sim.segments,
	    (unsigned long long)o->stats.flow_changes);
	printf("compared whole %llu times; %llu losses, the longest %lld us; at the end %llu pairs isolated by design, "
	       "%llu parted\n",
	    (unsigned long long)o->stats.quiet, (unsigned long long)o->stats.losses, (long long)o->stats.worst_us,
	    (unsigned long long)o->stats.isolated, (unsigned long long)o->stats.parted);
	printf("log: %llu lines, hash %016llx\n", (unsigned long long)o->lines, (unsigned long long)o->hash);
}

static void
print_violation(const struct outcome *o)
{
	char time[SIMLOG_TIME];

	printf("VIOLATION at %s s: %s: %s\n", simlog_time(o->violation.at, time), check_kind_name(o->violation.kind),
	    o->violation.text);
}

/* Runs it once more, and shows what led to the violation. */
static void
show(const struct scenario *sc, const struct outcome *found)
{
	struct simlog *log = calloc(1, sizeof(*log));
	struct chart *chart = chart_new(sc->topo);
	struct scenario_watch watch = {
		.log = log, .tap = chart_tap, .tap_arg = chart, .made = chart_made, .made_arg = chart
	};
	struct outcome out;

	if (!log || !chart)
		goto done;
	watch.tap_from.us = MAX_OF(found->violation.at.us - SECONDS(CHART_SECONDS), 0);
	scenario_run(sc, &watch, &out);
	printf("the last events:\n");
	simlog_tail(log, TAIL, stdout);
	chart_print(chart, found->violation.at, stdout);
done:
	chart_free(chart);
	free(log);
}

static int
judge(const struct cmd *c, struct scenario *sc, struct outcome *o)
{
	FILE *save;

	if (o->error[0]) {
		fprintf(stderr, "fabsim: %s\n", o->error);
		return EXIT_UNMET;
	}
	print_outcome(o);
	if (o->violation.kind == CHECK_NONE) {
		printf("no violation\n");
		return EXIT_MET;
	}
	print_violation(o);
	if (c->runs) {
		printf("seed %llu; looking for the shortest list of faults...\n", (unsigned long long)sc->seed);
		fflush(stdout);
		chaos_shrink(sc, o, c->runs);
		print_violation(o);
	}
	printf("the trace (fabsim replay FILE; or as a line of tests/sim/seeds):\n");
	scenario_print(sc, c->file, stdout);
	scenario_print_line(sc, c->file, stdout);
	save = c->save ? fopen(c->save, "w") : NULL;
	if (save) {
		scenario_print(sc, c->file, save);
		fclose(save);
	}
	show(sc, o);
	return EXIT_UNMET;
}

static int
run_and_judge(const struct cmd *c, struct scenario *sc)
{
	struct simlog *log = calloc(1, sizeof(*log));
	struct scenario_watch watch = { .log = log };
	struct outcome out;
	int rc;

	if (!log) {
		fprintf(stderr, "fabsim: out of memory\n");
		return EXIT_UNMET;
	}
	log->out = c->log ? stdout : NULL;
	scenario_run(sc, &watch, &out);
	free(log);
	rc = judge(c, sc, &out);
	return rc;
}

int
cmd_chaos(const struct cmd *c)
{
	struct chaos_config cfg = { .topo = c->topo,
		.seed = c->seed,
		.events = c->events,
		.us = c->us,
		.bfd = c->bfd,
		.outside = c->outside,
		.feed = c->feed,
		.cpu_us = c->cpu_us };
	struct scenario sc;
	int rc;

	chaos_make(&cfg, &sc);
	printf("%s: seed %llu, %zu faults\n", c->topo->fabric, (unsigned long long)c->seed, sc.nfaults);
	fflush(stdout);
	rc = run_and_judge(c, &sc);
	scenario_done(&sc);
	return rc;
}

int
cmd_replay(const struct cmd *c, const struct scenario *sc)
{
	struct scenario copy = *sc;

	return run_and_judge(c, &copy);
}
