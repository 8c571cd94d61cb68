/*
 * fabricd/sim/main.c -- fabsim: whole fabrics in one process and in virtual time
 *
 * Reads options and files, hands them to the commands in cmd_*.c. Exit 0: the intent is met, 1: it is not, 2: what was
 * asked for is wrong.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fabricd/lib/version.h"
#include "fabricd/sim/cmd.h"

#define TOPO_BYTES (16u << 20)

static const char usage[] =
    "fabsim: a fabric in virtual time\n"
    "\n"
    "  fabsim run FILE [--fail NODE|NODE:PORT]... [--at 5s] [--heal 20s] [--seed S] [--bfd] [--outside N] [--log]\n"
    "      cold start; with --fail: what is lost, for how long, who carries the load\n"
    "  fabsim whatif FILE --any 1|2 [--sample N] [--seed S] [--bfd] [--outside N] [--jobs N]\n"
    "      every single (pair of) link and switch failure, the worst first\n"
    "  fabsim chaos FILE [--seed S] [--events N] [--hours H] [--bfd] [--outside N] [--save TRACE] [--runs N] [--log]\n"
    "      random faults, judged all along; a violation is shrunk to the shortest list of faults\n"
    "  fabsim replay TRACE [--topologies DIR] [--log] [--runs N]\n"
    "      the run that a trace describes, event by event the same; its topology: from here, beside the trace, or in "
    "DIR\n"
    "  fabsim seeds FILE [--topologies DIR]\n"
    "      every line of a list of traces\n"
    "\n"
    "  --bfd: BFD on every link between switches; --outside N: routers at the other end of external ports, each with "
    "a\n"
    "  default route and N prefixes\n"
    "  --cpu 20us: CPU time of each callback of a switch, and 5 times that for each 256 prefixes; default: none\n";

struct command;

struct options {
	struct cmd cmd;
	const struct command *command;
	const char *file, *dir;
};

/* "--at 5x: no time; such as 5s" */
static int
fail(const char *option, const char *given, const char *why, const char *hint)
{
	fprintf(stderr, "fabsim: %s%s%s: %s; %s\n", option, *option ? " " : "", given, why, hint);
	return EXIT_USAGE;
}

/* Of a command line that makes no sense as a whole. */
static int
misused(const char *what, const char *given)
{
	fprintf(stderr, "fabsim: %s%s; fabsim --help shows commands and options\n", what, given);
	return EXIT_USAGE;
}

/* ---- files ---- */

static char *
read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = f ? malloc(TOPO_BYTES) : NULL;

	if (text) {
		*len = fread(text, 1, TOPO_BYTES - 1, f);
		text[*len] = '\0';
		if (ferror(f)) {
			free(text);
			text = NULL;
		}
	}
	if (!text)
		fprintf(stderr, "fabsim: %s cannot be read: %s\n", path, strerror(errno));
	if (f)
		fclose(f);
	return text;
}

static struct topo *
load_topo(const char *path)
{
	struct topo_errors errs = { 0 };
	struct topo *t = NULL;
	size_t len;
	char *text = read_file(path, &len), *print;

	if (text) {
		t = topo_load(text, len, &errs);
		print = errs.n ? topo_errors_print(&errs, path, text, len) : NULL; /* warnings, too */
		if (print)
			fputs(print, stderr);
		else if (!t)
			fprintf(stderr, "fabsim: %s: out of memory\n", path);
		free(print);
	}
	topo_errors_free(&errs);
	free(text);
	return t;
}

/* Topologies that traces name, each loaded once. */
struct loaded {
	const char *dir, *trace; /* --topologies, or NULL; the file that names them */
	char file[256];
	struct topo *topo;
};

static const struct topo *
load_named(void *arg, const char *file, char *err, size_t errlen)
{
	struct loaded *l = arg;
	const char *slash = strrchr(l->trace, '/');
	char path[4096];

	if (l->topo && strcmp(l->file, file) == 0)
		return l->topo;
	topo_free(l->topo);
	snprintf(path, sizeof(path), "%s%s%s", l->dir ? l->dir : "", l->dir ? "/" : "", file);
	if (!l->dir && file[0] != '/' && access(path, R_OK) < 0) /* not from here: then beside the trace */
		snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - l->trace) + 1 : 0, l->trace, file);
	snprintf(l->file, sizeof(l->file), "%s", file);
	l->topo = load_topo(path);
	if (!l->topo)
		snprintf(err, errlen, "topology %s cannot be used; --topologies DIR says where to look for it", file);
	return l->topo;
}

static int
replay(const struct options *o)
{
	struct loaded l = { .dir = o->dir, .trace = o->file };
	struct cmd cmd = o->cmd;
	struct scenario sc = { 0 };
	char err[512];
	size_t len;
	char *text = read_file(o->file, &len);
	int rc = EXIT_USAGE;

	if (!text)
		return rc;
	if (!scenario_parse(text, load_named, &l, &sc, err, sizeof(err))) {
		fprintf(stderr, "fabsim: %s: %s\n", o->file, err);
	} else {
		cmd.topo = sc.topo;
		cmd.file = l.file;
		rc = cmd_replay(&cmd, &sc);
	}
	scenario_done(&sc);
	topo_free(l.topo);
	free(text);
	return rc;
}

/* Each line of the file is a trace of its own. */
static int
seeds(const struct options *o)
{
	struct loaded l = { .dir = o->dir, .trace = o->file };
	size_t len, n = 0, bad = 0;
	char *text = read_file(o->file, &len), *save = NULL, err[512];

	if (!text)
		return EXIT_USAGE;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct scenario sc;
		struct outcome out;

		if (!line[strspn(line, " \t")] || line[strspn(line, " \t")] == '#')
			continue;
		n++;
		if (!scenario_parse(line, load_named, &l, &sc, err, sizeof(err))) {
			fprintf(stderr, "fabsim: %s: %s: %s\n", o->file, line, err);
			bad++;
		} else {
			scenario_run(&sc, NULL, &out);
			if (out.violation.kind || out.error[0]) {
				printf("%s\n  %s: %s\n", line, check_kind_name(out.violation.kind),
				    out.error[0] ? out.error : out.violation.text);
				bad++;
			}
		}
		scenario_done(&sc);
	}
	printf("%zu traces, %zu with a violation\n", n, bad);
	topo_free(l.topo);
	free(text);
	return bad ? EXIT_UNMET : EXIT_MET;
}

/* ---- commands ---- */

struct command {
	const char *name;
	int (*own)(const struct options *); /* that reads its file itself; or */
	int (*fabric)(const struct cmd *);  /* one that is about the fabric of a topology file */
};

static const struct command commands[] = {
	{ "run", .fabric = cmd_run },
	{ "whatif", .fabric = cmd_whatif },
	{ "chaos", .fabric = cmd_chaos },
	{ "replay", .own = replay },
	{ "seeds", .own = seeds },
};

/* NULL, and a sentence on stderr: there is none of that name. */
static const struct command *
find_command(const char *name)
{
	const char *names[ARRAY_LEN(commands)];
	char near[128];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		names[i] = commands[i].name;
	}
	if (!topo_did_you_mean(name, names, ARRAY_LEN(names), near, sizeof(near)))
		snprintf(near, sizeof(near), "there are run, whatif, chaos, replay and seeds");
	fail("", name, "no command of fabsim", near);
	return NULL;
}

static int
run_command(struct options *o)
{
	struct topo *t;
	int rc;

	if (o->command->own)
		return o->command->own(o);
	t = load_topo(o->file);
	if (!t)
		return EXIT_USAGE;
	o->cmd.topo = t;
	o->cmd.file = o->file;
	rc = o->command->fabric(&o->cmd);
	topo_free(t);
	return rc;
}

/* ---- options ---- */

/* "5s", "200ms", "3m", "2h", "7" (seconds) */
static bool
read_span(const char *s, int64_t *us)
{
	static const struct {
		const char *name;
		double us;
	} units[] = { { "", 1e6 }, { "s", 1e6 }, { "ms", 1e3 }, { "us", 1 }, { "m", 60e6 }, { "h", 3600e6 } };
	char *end;
	double v = strtod(s, &end);

	if (end == s || !(v >= 0) || v > 1e9)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(end, units[i].name) == 0) {
			*us = (int64_t)(v * units[i].us);
			return true;
		}
	return false;
}

static bool
read_count(const char *s, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && *out <= max;
}

enum {
	O_FAIL = 256,
	O_AT,
	O_HEAL,
	O_SEED,
	O_EVENTS,
	O_HOURS,
	O_ANY,
	O_SAMPLE,
	O_JOBS,
	O_RUNS,
	O_SAVE,
	O_DIR,
	O_LOG,
	O_BFD,
	O_OUTSIDE,
	O_CPU,
	O_VERSION,
	O_HELP
};

static const struct option longs[] = {
	{ "fail", required_argument, NULL, O_FAIL },
	{ "at", required_argument, NULL, O_AT },
	{ "heal", required_argument, NULL, O_HEAL },
	{ "seed", required_argument, NULL, O_SEED },
	{ "events", required_argument, NULL, O_EVENTS },
	{ "hours", required_argument, NULL, O_HOURS },
	{ "any", required_argument, NULL, O_ANY },
	{ "sample", required_argument, NULL, O_SAMPLE },
	{ "jobs", required_argument, NULL, O_JOBS },
	{ "runs", required_argument, NULL, O_RUNS },
	{ "save", required_argument, NULL, O_SAVE },
	{ "topologies", required_argument, NULL, O_DIR },
	{ "log", no_argument, NULL, O_LOG },
	{ "bfd", no_argument, NULL, O_BFD },
	{ "cpu", required_argument, NULL, O_CPU },
	{ "outside", required_argument, NULL, O_OUTSIDE },
	{ "version", no_argument, NULL, O_VERSION },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool
read_number(struct options *o, int opt, const char *s)
{
	uint64_t n;

	if (!read_count(s, opt == O_SEED ? UINT64_MAX : opt == O_ANY ? 2 : 100000000, &n))
		return false;
	switch (opt) {
	case O_SEED:
		o->cmd.seed = n;
		return true;
	case O_EVENTS:
		o->cmd.events = (uint32_t)n;
		return true;
	case O_OUTSIDE:
		o->cmd.outside = true;
		o->cmd.feed = (uint32_t)n;
		return n <= 1000000;
	case O_ANY:
		o->cmd.any = (uint32_t)n;
		return n > 0;
	case O_SAMPLE:
		o->cmd.sample = (uint32_t)n;
		return true;
	case O_JOBS:
		o->cmd.jobs = (uint32_t)n;
		return n > 0 && n <= 256;
	default:
		o->cmd.runs = (uint32_t)n;
		return true;
	}
}

static const char *
option_name(int opt)
{
	static const char *const names[] = { [O_SEED - O_FAIL] = "--seed",
		[O_EVENTS - O_FAIL] = "--events",
		[O_ANY - O_FAIL] = "--any",
		[O_SAMPLE - O_FAIL] = "--sample",
		[O_JOBS - O_FAIL] = "--jobs",
		[O_RUNS - O_FAIL] = "--runs",
		[O_OUTSIDE - O_FAIL] = "--outside" };

	return (size_t)(opt - O_FAIL) < ARRAY_LEN(names) && names[opt - O_FAIL] ? names[opt - O_FAIL] : "";
}

static int
read_option(struct options *o, int opt)
{
	struct cmd *c = &o->cmd;
	double hours;
	char *end;

	switch (opt) {
	case O_FAIL:
		if (c->nfail == CMD_FAILS)
			return fail("--fail", optarg, "too many failures", "at most 64 at a time");
		c->fail[c->nfail++] = optarg;
		return 0;
	case O_AT:
		return read_span(optarg, &c->at.us) ? 0 : fail("--at", optarg, "no time", "such as 5s or 200ms");
	case O_HEAL:
		return read_span(optarg, &c->heal.us) ? 0 : fail("--heal", optarg, "no time", "such as 20s");
	case O_HOURS:
		hours = strtod(optarg, &end);
		if (end == optarg || *end || !(hours > 0) || hours > 100000)
			return fail("--hours", optarg, "no number of hours", "such as 24 or 0.5");
		c->us = (int64_t)(hours * 3600e6);
		return 0;
	case O_SAVE:
		c->save = optarg;
		return 0;
	case O_CPU:
		return read_span(optarg, &c->cpu_us) && c->cpu_us <= MS(100)
			   ? 0
			   : fail("--cpu", optarg, "no time up to 100ms", "such as 20us");
	case O_DIR:
		o->dir = optarg;
		return 0;
	case O_LOG:
		c->log = true;
		return 0;
	case O_BFD:
		c->bfd = true;
		return 0;
	default:
		return read_number(o, opt, optarg)
			   ? 0
			   : fail(option_name(opt), optarg, "no number that this option takes", "see fabsim --help");
	}
}

static int
read_options(struct options *o, int argc, char **argv)
{
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == O_HELP) {
			fputs(usage, stdout);
			exit(EXIT_MET);
		}
		if (opt == O_VERSION) {
			printf("fabsim %s\n", FABRICD_VERSION);
			exit(EXIT_MET);
		}
		if (opt == '?')
			return misused("an option cannot be used", "");
		rc = read_option(o, opt);
		if (rc)
			return rc;
	}
	if (argc == 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (argc == optind)
		return misused("no command was given", "");
	o->command = find_command(argv[optind]);
	if (!o->command)
		return EXIT_USAGE;
	if (argc - optind < 2)
		return misused("no file was given to ", argv[optind]);
	if (argc - optind > 2)
		return misused("one file at a time, and not also ", argv[optind + 2]);
	o->file = argv[optind + 1];
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = { .cmd = { .seed = 1,
				 .at = { SECONDS(5) },
				 .heal = MONO_NEVER,
				 .events = 1000,
				 .us = SECONDS(24 * 3600),
				 .jobs = 2,
				 .runs = 200 } };
	int rc = read_options(&o, argc, argv);

	return rc ? rc : run_command(&o);
}
