/* fabricd/ctl/main.c -- fabctl: options, the right daemon, one question or command, an exit code */
#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fabricd/ctl/command.h"
#include "fabricd/ctl/lab.h"
#include "fabricd/ctl/views.h"
#include "fabricd/lib/mono.h"
#include "fabricd/lib/version.h"
#include "fabricd/query/client.h"

#define COMMANDS_MAX 16 /* -c */

struct options {
	struct ctl ctl;
	const char *words[COMMAND_WORDS];
	size_t n_words;
	size_t ends[COMMANDS_MAX]; /* of each "-c", how many words there are with it */
	size_t n_ends;
	const char *colour;
	int64_t watch_us; /* 0: once */
	bool help, version, lab_given;
	char run_dir[LAB_PATH];
};

/* ---- options ---- */

enum {
	OPT_RUN_DIR = 256,
	OPT_AT,
	OPT_LAB,
	OPT_TIMEOUT,
	OPT_COLOUR,
	OPT_WATCH,
	OPT_RENUMBER,
	OPT_ALL,
	OPT_FILTER,
	OPT_SINCE,
	OPT_HELP,
	OPT_VERSION
};

static const struct {
	const char *name;
	int id;
	bool takes_value, value_is_optional;
} long_options[] = {
	{ "run-dir", OPT_RUN_DIR, true, false },
	{ "at", OPT_AT, true, false },
	{ "lab", OPT_LAB, true, false },
	{ "name", OPT_LAB, true, false },
	{ "timeout", OPT_TIMEOUT, true, false },
	{ "color", OPT_COLOUR, true, true },
	{ "colour", OPT_COLOUR, true, true },
	{ "watch", OPT_WATCH, true, true },
	{ "filter", OPT_FILTER, true, false },
	{ "since", OPT_SINCE, true, false },
	{ "allow-renumber", OPT_RENUMBER, false, false },
	{ "all", OPT_ALL, false, false },
	{ "json", 'j', false, false },
	{ "output", 'o', true, false },
	{ "help", OPT_HELP, false, false },
	{ "version", OPT_VERSION, false, false },
};

static int
set_format(struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(name, ctl_format_names[i]) == 0) {
			ctl->format = (enum ctl_format)i;
			return QUERY_OK;
		}
	}
	return ctl_fail(QUERY_USAGE, "one of: table wide json jsonl csv", "there is no format \"%s\"", name);
}

static int
add_filter(struct ctl *ctl, const char *text)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return ctl_fail(QUERY_USAGE, "such as --filter state=Idle; the keys are those of -j",
		    "\"%s\" is not KEY=VALUE", text);
	if (ctl->n_filters == CTL_FILTERS)
		return ctl_fail(QUERY_USAGE, NULL, "more than %d filters", CTL_FILTERS);
	ctl->filters[ctl->n_filters++] = text;
	return QUERY_OK;
}

static int
set_option(struct options *o, int id, const char *value)
{
	int64_t us;

	switch (id) {
	case OPT_RUN_DIR:
		o->ctl.run_dir = value;
		return QUERY_OK;
	case OPT_AT:
		o->ctl.at = value;
		return QUERY_OK;
	case OPT_LAB:
		o->ctl.lab = value;
		o->lab_given = true;
		return QUERY_OK;
	case OPT_FILTER:
		return add_filter(&o->ctl, value);
	case OPT_TIMEOUT:
	case OPT_SINCE:
	case OPT_WATCH:
		us = value ? ctl_duration(value) : SECONDS(2);
		if (us <= 0)
			return ctl_fail(QUERY_USAGE, "such as 500ms, 2s, 5m, 1h, 3d", "\"%s\" is no duration", value);
		*(id == OPT_WATCH ? &o->watch_us : id == OPT_SINCE ? &o->ctl.since_us : &o->ctl.timeout_us) = us;
		return QUERY_OK;
	case OPT_COLOUR:
		o->colour = value ? value : "always";
		if (strcmp(o->colour, "always") && strcmp(o->colour, "never") && strcmp(o->colour, "auto"))
			return ctl_fail(QUERY_USAGE, "one of: always never auto", "there is no --color=%s", value);
		return QUERY_OK;
	case 'j':
		o->ctl.format = FORMAT_JSON;
		return QUERY_OK;
	case 'o':
		return set_format(&o->ctl, value);
	case OPT_RENUMBER:
		o->ctl.allow_renumber = true;
		return QUERY_OK;
	case OPT_ALL:
		o->ctl.all = true;
		return QUERY_OK;
	case OPT_VERSION:
		o->version = true;
		return QUERY_OK;
	default:
		o->help = true;
		return QUERY_OK;
	}
}

/* "--name value", "--name=value"; -1: not one of ours. */
static int
long_option(struct options *o, char **argv, int argc, int *i)
{
	const char *text = argv[*i] + 2, *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : strlen(text);

	for (size_t k = 0; k < ARRAY_LEN(long_options); k++) {
		if (strlen(long_options[k].name) != len || strncmp(long_options[k].name, text, len) != 0)
			continue;
		if (eq || !long_options[k].takes_value || long_options[k].value_is_optional)
			return set_option(o, long_options[k].id, eq ? eq + 1 : NULL);
		if (*i + 1 >= argc)
			return ctl_fail(QUERY_USAGE, "fabctl help", "--%s needs a value", long_options[k].name);
		return set_option(o, long_options[k].id, argv[++*i]);
	}
	return -1;
}

static int
short_option(struct options *o, char **argv, int argc, int *i)
{
	char c = argv[*i][1];
	const char *value = argv[*i][2] ? argv[*i] + 2 : NULL;

	if (c == 'j' && !value)
		return set_option(o, 'j', NULL);
	if (c == 'h' && !value)
		return set_option(o, OPT_HELP, NULL);
	if (c != 'o' && c != 'c')
		return ctl_fail(QUERY_USAGE, "fabctl help", "there is no option %s", argv[*i]);
	if (!value && *i + 1 >= argc)
		return ctl_fail(QUERY_USAGE, "fabctl help", "-%c needs a value", c);
	if (!value)
		value = argv[++*i];
	if (c == 'o')
		return set_option(o, 'o', value);
	/* vtysh's -c "show bgp summary": its words, as if they had been typed one by one; each -c is a command. */
	if (o->n_ends == COMMANDS_MAX)
		return ctl_fail(QUERY_USAGE, NULL, "more than %d commands", COMMANDS_MAX);
	for (char *save = NULL, *w = strtok_r((char *)value, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (o->n_words < COMMAND_WORDS)
			o->words[o->n_words++] = w;
	}
	o->ends[o->n_ends++] = o->n_words;
	return QUERY_OK;
}

static int
read_options(struct options *o, int argc, char **argv)
{
	bool ours = true;
	int status;

	for (int i = 1; i < argc; i++) {
		if (o->n_words == COMMAND_WORDS)
			return ctl_fail(QUERY_USAGE, NULL, "more than %d words", COMMAND_WORDS);
		if (ours && strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
			if ((status = long_option(o, argv, argc, &i)) < 0)
				status = ctl_fail(QUERY_USAGE, "fabctl help", "there is no option %s", argv[i]);
			if (status)
				return status;
		} else if (ours && argv[i][0] == '-' && argv[i][1] && argv[i][1] != '-') {
			if ((status = short_option(o, argv, argc, &i)))
				return status;
		} else {
			o->words[o->n_words++] = argv[i];
			ours = ours && !command_is_raw(o->words, o->n_words);
		}
	}
	return QUERY_OK;
}

static bool
want_colour(const struct options *o)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (o->colour)
		return strcmp(o->colour, "always") == 0 || (strcmp(o->colour, "auto") == 0 && isatty(STDOUT_FILENO));
	return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

/* Columns of the terminal; 0: data goes elsewhere, or the terminal does not know. */
static size_t
screen_width(void)
{
	struct winsize screen = { .ws_col = 0 };

	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &screen) == 0 ? screen.ws_col : 0;
}

/* ---- the daemon ---- */

static int
find_run_dir(struct options *o)
{
	const char *env = getenv("FABRICD_RUN_DIR");
	const struct lab_node *node;
	struct lab lab;
	int status;

	if (o->ctl.run_dir)
		return QUERY_OK;
	o->ctl.run_dir = env && *env ? env : CTL_RUN_DIR;
	if (!o->ctl.at && o->lab_given)
		return ctl_fail(QUERY_USAGE, "--at NODE; fabctl lab status lists them",
		    "which switch of the laboratory \"%s\"?", o->ctl.lab);
	if (!o->ctl.at)
		return QUERY_OK;
	if ((status = lab_open(&o->ctl, &lab)))
		return status;
	if (!(node = lab_node_find(&lab, o->ctl.at)))
		return lab_no_node(&lab, o->ctl.at);
	if (node->kind != LAB_SWITCH)
		return ctl_fail(QUERY_USAGE, "fabctl lab status", "%s runs no fabricd: it is a %s", node->name,
		    node->kind == LAB_HOST ? "host" : "foreign switch");
	o->ctl.run_dir = lab_path(&lab, "run", o->ctl.at, "", o->run_dir);
	lab_clear(&lab);
	return QUERY_OK;
}

static int
ask(const struct options *o, const struct view *view, const struct command_match *m)
{
	struct query_client *client;
	enum query_status status;
	struct out *out;
	int err;

	if ((err = query_client_open(o->ctl.run_dir, o->ctl.timeout_us, &client)))
		return ctl_fail(QUERY_UNREACHABLE,
		    err == -EACCES ? "as root, or as a member of the socket's group"
		    : o->ctl.at    ? "fabctl lab status"
				   : "systemctl status fabricd; in a laboratory: fabctl --at NODE ...",
		    "no fabricd answers at %s/%s: %s", o->ctl.run_dir, QUERY_SOCKET, strerror(-err));
	out = out_new(&o->ctl, view);
	status = query_client_ask(client, view->verb, m->argv, (size_t)m->argc, &out_sink, out);
	status = out_status(out, status);
	out_free(out);
	query_client_close(client);
	return (int)status;
}

/* The same question again and again, on a screen of its own. */
static int
watch(struct options *o, const struct view *view, const struct command_match *m)
{
	int status;

	o->ctl.before = o->ctl.colour ? before_new() : NULL;
	do {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		o->ctl.width = screen_width(); /* it may have changed */
		status = ask(o, view, m);
		fflush(stdout);
		poll(NULL, 0, (int)(o->watch_us / 1000));
	} while (!ferror(stdout) && status != QUERY_USAGE);
	before_free(o->ctl.before);
	o->ctl.before = NULL;
	return status;
}

static int
usage(FILE *f, const char *const words[], size_t n)
{
	if (!n)
		fprintf(f,
		    "fabctl [-j | -o table|wide|json|jsonl|csv] [--at NODE] [--run-dir DIR] [--watch[=2s]] [--timeout "
		    "2s]\n       [--filter KEY=VALUE] [--since 10m] COMMAND\n"
		    "words may be cut short (fabctl b s); \"show\" in front and \"json\" behind are understood\n");
	if (!command_help(f, words, n))
		return ctl_fail(QUERY_USAGE, "fabctl help", "no command has to do with \"%s\"", words[n - 1]);
	if (!n)
		fprintf(f, "exit codes: 0 fine, 1 findings, 2 usage, 3 incomplete answer, 4 no daemon, 5 refused by a "
			   "safety rule\n");
	return QUERY_OK;
}

static int
run(struct options *o, const char *const words[], size_t n)
{
	struct command_match m;
	const struct view *view;
	char path[PATH_MAX];
	bool help = n && strcmp(words[0], "help") == 0;
	int status;

	if (o->version || (n == 1 && strcmp(words[0], "version") == 0) ||
	    (n == 2 && strcmp(words[0], "show") == 0 && strcmp(words[1], "version") == 0)) {
		fprintf(o->ctl.out, "fabctl %s\n", FABRICD_VERSION);
		return QUERY_OK;
	}
	if (o->help || help)
		return usage(o->ctl.out, words + help, n - help);
	if (n == 0) {
		usage(stderr, NULL, 0);
		return QUERY_USAGE;
	}
	command_find(words, n, &m);
	if (!m.command)
		return ctl_fail(QUERY_USAGE, m.next, "%s", m.error);
	if (m.json)
		o->ctl.format = FORMAT_JSON;
	if (m.command->fn == ctl_topo_plan && (status = find_run_dir(o)))
		return status;
	if (m.command->fn) {
		char *argv[COMMAND_WORDS + 2] = { (char *)m.command->words };

		memcpy(argv + 1, m.argv, (size_t)m.argc * sizeof(*argv));
		return m.command->fn(&o->ctl, m.argc + 1, argv);
	}
	if ((status = find_run_dir(o)))
		return status;
	view = m.argc && m.command->view_with_args && strcmp(m.argv[0], "ipv4") && strcmp(m.argv[0], "ipv6")
		   ? m.command->view_with_args
		   : m.command->view;
	if (view == &view_upgrade && m.argc && m.argv[0][0] != '/' &&
	    realpath(m.argv[0], path)) /* the daemon is elsewhere */
		m.argv[0] = path;
	if (view == &view_counters && o->ctl.all)
		m.argv[m.argc++] = "all";
	return o->watch_us ? watch(o, view, &m) : ask(o, view, &m);
}

/* What could not be written is missing in the answer, unless its reader wanted no more of it (| head). */
static int
written(int status)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	int err = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;

	if (!err || err == EPIPE || (poll(&out, 1, 0) == 1 && (out.revents & POLLERR)))
		return status;
	return ctl_fail(MAX_OF(status, QUERY_INCOMPLETE), "room on the disk, or a place that may be written to",
	    "the answer could not be written: %s", strerror(err));
}

int
main(int argc, char **argv)
{
	struct options o = { .ctl = { .lab = "lab", .timeout_us = SECONDS(10), .out = stdout } };
	int status;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	if ((status = read_options(&o, argc, argv)))
		return status;
	o.ctl.colour = want_colour(&o);
	o.ctl.width = screen_width();
	o.ctl.pager = isatty(STDOUT_FILENO) && !o.watch_us && o.n_ends < 2;
	if (o.n_ends < 2)
		return written(run(&o, o.words, o.n_words));
	for (size_t i = 0; i < o.n_ends; i++) {
		size_t from = i ? o.ends[i - 1] : 0;
		int one = run(&o, o.words + from, o.ends[i] - from);

		status = MAX_OF(status, one);
	}
	return written(status);
}
