/*
 * fabricd/ctl/command.c -- the table of commands, and the search in it
 *
 * Words are matched one by one against the next words that the table still allows; a word that none of them begins
 * with is the first argument. Habits of other tools are rewritten before that, from a table too.
 */
#include "fabricd/ctl/command.h"

#include <string.h>

#include "fabricd/ctl/views.h"
#include "topology/topology.h"

const struct command commands[] = {
	{ "status", "", "what this switch should be, what it is, and every problem", &view_status, NULL, NULL, 0, 0,
	    false },
	{ "bfd", "", "BFD sessions: timers, lateness, flaps", &view_bfd, NULL, NULL, 0, 0, false },
	{ "bgp", "", "sessions, expected against seen", &view_bgp, NULL, NULL, 0, 0, false },
	{ "bgp summary", "", "the same", &view_bgp, NULL, NULL, 0, 0, false },
	{ "bgp neighbor", "PORT", "how far one session got, in nine steps", &view_neighbor, NULL, NULL, 1, 1, false },
	{ "bgp received", "PORT", "routes that the neighbour offers", &view_received, NULL, NULL, 1, 1, false },
	{ "bgp advertised", "PORT", "routes that the neighbour is told", &view_advertised, NULL, NULL, 1, 1, false },
	{ "bgp why", "PREFIX", "every path of a prefix, and why the best is best", &view_why, NULL, NULL, 1, 1, false },
	{ "routes", "[PREFIX|ADDRESS|ipv4|ipv6]", "the routing table, or one route in full", &view_routes, &view_route,
	    NULL, 0, 1, false },
	{ "fib", "", "wanted, sent and proved routes in numbers", &view_fib, NULL, NULL, 0, 0, false },
	{ "fib check", "", "reads the forwarding plane back and compares", &view_fib_check, NULL, NULL, 0, 0, false },
	{ "ports", "", "ports, cabling expected against seen", &view_ports, NULL, NULL, 0, 0, false },
	{ "log", "[COUNT]", "what happened on this switch, newest last", &view_log, NULL, NULL, 0, 1, false },
	{ "events", "[COUNT]", "the same", &view_log, NULL, NULL, 0, 1, false },
	{ "counters", "[PART] [--all]",
	    "what was dropped, refused or lost, by kind: link, bgp, bfd, platform, query, runtime", &view_counters,
	    NULL, NULL, 0, 1, false },
	{ "memory", "", "memory by kind", &view_memory, NULL, NULL, 0, 0, false },
	{ "upgrade", "[BINARY]", "another fabricd takes over: no session is lost, no packet", &view_upgrade, NULL, NULL,
	    0, 1, false },
	{ "topo check", "FILE", "all errors of a topology file at once", NULL, NULL, ctl_topo_check, 1, 1, false },
	{ "topo expand", "FILE [NODE]", "what each switch derives from it", NULL, NULL, ctl_topo_expand, 1, 2, false },
	{ "topo export", "dot|containerlab|csv|mermaid|svg FILE", "its cabling for other tools", NULL, NULL,
	    ctl_topo_export, 2, 2, false },
	{ "topo fmt", "FILE", "the file in canonical form", NULL, NULL, ctl_topo_fmt, 1, 1, false },
	{ "topo plan", "FILE [RUNNING] [--allow-renumber]",
	    "what it changes of the file that runs, and what that costs", NULL, NULL, ctl_topo_plan, 1, 2, false },
	{ "topo import", "dot|containerlab|csv|devices FILE",
	    "a topology file from another tool's cabling or inventory", NULL, NULL, ctl_topo_import, 2, 2, false },
	{ "topo show", "", "the file that the daemon runs", &view_topology, NULL, NULL, 0, 0, false },
	{ "topo upgrade", "FILE", "the file in the newest version of the language", NULL, NULL, ctl_topo_upgrade, 1, 1,
	    false },
	{ "lab up", "4x2|FILE [--no-hosts] [--externals] [--bare] [--bfd] [--name N]",
	    "raises a fabric in network namespaces", NULL, NULL, ctl_lab_up, 0, 0, true },
	{ "lab status", "", "its nodes, processes and cuts", NULL, NULL, ctl_lab_status, 0, 0, false },
	{ "lab exec", "NODE COMMAND...", "runs a command on a switch or host", NULL, NULL, ctl_lab_exec, 0, 0, true },
	{ "lab cut", "NODE:PORT|NODE...", "takes the carrier from a port, or from all of a node's neighbours", NULL,
	    NULL, ctl_lab_cut, 0, 32, false },
	{ "lab heal", "[NODE:PORT|NODE...]", "gives it back; without a name: everywhere", NULL, NULL, ctl_lab_heal, 0,
	    32, false },
	{ "lab wait", "[--timeout 60s]", "until all sessions are up and all FIBs in sync", NULL, NULL, ctl_lab_wait, 0,
	    2, true },
	{ "lab down", "", "ends it", NULL, NULL, ctl_lab_down, 0, 0, false },
};
const size_t n_commands = ARRAY_LEN(commands);

/*
 * ---- habits: what others call it. "*" stands for one word that is kept and put behind, "%" for one that is written
 * as an address or a prefix. The table is gone through until no line of it fits any more.
 */

static const struct {
	const char *typed, *meant;
} habits[] = {
	{ "ip bgp", "bgp" },
	{ "bgp ipv4 unicast", "bgp" },
	{ "bgp ipv6 unicast", "bgp" },
	{ "bgp unicast", "bgp" },
	{ "bgp ipv4", "bgp" },
	{ "bgp ipv6", "bgp" },
	{ "bgp neighbors * received-routes", "bgp received" },
	{ "bgp neighbors * advertised-routes", "bgp advertised" },
	{ "bgp neighbors * routes", "bgp received" },
	{ "bgp neighbors", "bgp neighbor" },
	{ "bgp neighbours", "bgp neighbor" },
	{ "bgp neighbour", "bgp neighbor" },
	{ "bgp %", "bgp why" },
	{ "ip route %", "routes" },
	{ "ipv6 route %", "routes" },
	{ "ip route", "routes ipv4" },
	{ "ipv6 route", "routes ipv6" },
	{ "route for", "routes" },
	{ "route", "routes" },
	{ "interfaces counters errors", "counters link" },
	{ "interfaces counters", "counters link" },
	{ "interface counters", "counters link" },
	{ "interfaces", "ports" },
	{ "interface", "ports" },
	{ "ports brief", "ports" },
	{ "ports status", "ports" },
	{ "lldp neighbors", "ports" },
	{ "lldp", "ports" },
	{ "bfd peers brief", "bfd" },
	{ "bfd peers", "bfd" },
	{ "protocols", "bgp" },
	{ "logging", "log" },
	{ "running-config", "topo show" },
};
#define HABIT_PASSES 4 /* one may lead to another, and no further than this */

static bool
is_address(const char *word)
{
	return strpbrk(word, ".:") && !word[strspn(word, "0123456789abcdefABCDEF.:/")];
}

/* The number of words that `typed` takes from the front, 0: it does not stand there. *kept is the word at "*" or "%". */
static size_t
habit_takes(const char *typed, const char *const words[], size_t n, const char **kept)
{
	size_t at = 0;

	*kept = NULL;
	while (*typed) {
		size_t len = strcspn(typed, " ");

		if (at >= n)
			return 0;
		if (len == 1 && (*typed == '*' || (*typed == '%' && is_address(words[at]))))
			*kept = words[at];
		else if (strlen(words[at]) != len || strncmp(words[at], typed, len) != 0)
			return 0;
		at++;
		typed += len + (typed[len] == ' ');
	}
	return at;
}

/* One habit, or none: then false. Words that are taken apart live in `store`. */
static bool
apply_habit(const char *words[COMMAND_WORDS], size_t *n, char *store, size_t room)
{
	const char *kept = NULL, *out[COMMAND_WORDS];
	size_t takes = 0, n_out = 0, i;
	char *save = NULL;

	for (i = 0; i < ARRAY_LEN(habits) && !takes; i++)
		takes = habit_takes(habits[i].typed, words, *n, &kept);
	if (!takes)
		return false;
	snprintf(store, room, "%s", habits[i - 1].meant);
	for (char *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save))
		out[n_out++] = w;
	if (kept)
		out[n_out++] = kept;
	for (; takes < *n && n_out < COMMAND_WORDS; takes++)
		out[n_out++] = words[takes];
	memcpy(words, out, n_out * sizeof(*out));
	*n = n_out;
	return true;
}

/* ---- the search ---- */

/* Word number `depth` of a command; NULL: it has fewer. */
static const char *
word_at(const struct command *c, size_t depth, size_t *len)
{
	const char *w = c->words;

	for (; depth && w; depth--) {
		if ((w = strchr(w, ' ')))
			w++;
	}
	if (w)
		*len = strcspn(w, " ");
	return w;
}

/* Whether the first `depth` words of both are the same. */
static bool
same_path(const struct command *a, const struct command *b, size_t depth)
{
	for (size_t d = 0; d < depth; d++) {
		size_t la = 0, lb = 0;
		const char *wa = word_at(a, d, &la), *wb = word_at(b, d, &lb);

		if (!wa || !wb || la != lb || strncmp(wa, wb, la) != 0)
			return false;
	}
	return true;
}

static bool
is_prefix(const char *typed, const char *word, size_t len)
{
	size_t n = strlen(typed);

	return n <= len && strncmp(typed, word, n) == 0;
}

/* Whether word number `depth` of the command begins with `typed`. */
static bool
begins_at(const struct command *c, size_t depth, const char *typed)
{
	size_t len = 0;
	const char *w = word_at(c, depth, &len);

	return w && is_prefix(typed, w, len);
}

/* Bytes of the first `depth` words of a command, which has that many. */
static int
words_length(const struct command *c, size_t depth)
{
	size_t len = 0;
	const char *w = word_at(c, depth - 1, &len);

	return (int)((size_t)(w - c->words) + len);
}

/* Whether some command has a word here that `typed` begins, and behind it one that `next` begins. */
static bool
goes_on(const struct command *path, size_t depth, const char *typed, const char *next)
{
	for (size_t i = 0; next && i < n_commands; i++)
		if ((!path || same_path(path, &commands[i], depth)) && begins_at(&commands[i], depth, typed) &&
		    begins_at(&commands[i], depth + 1, next))
			return true;
	return false;
}

/*
 * A command that goes on from `path` (its first `depth` words) with a word that `typed` begins, NULL: none. An exact
 * word counts above all; then those that the word after it (`next`, may be NULL) goes on with; several different ones
 * are an error.
 */
static const struct command *
descend(const struct command *path, size_t depth, const char *typed, const char *next, struct command_match *m)
{
	const struct command *found = NULL, *named = NULL;
	bool ahead = goes_on(path, depth, typed, next);
	size_t used = 0;

	for (size_t i = 0; i < n_commands; i++) {
		const struct command *c = &commands[i];
		size_t len = 0;
		const char *w = word_at(c, depth, &len);

		if (!w || (path && !same_path(path, c, depth)) || !is_prefix(typed, w, len))
			continue;
		if (strlen(typed) == len) {
			m->error[0] = '\0';
			return c;
		}
		if (ahead && !begins_at(c, depth + 1, next))
			continue;
		if (!found) {
			found = named = c;
		} else if (!same_path(named, c, depth + 1)) { /* those of one word stand together in the table */
			if (!m->error[0])
				used = (size_t)snprintf(m->error, sizeof(m->error),
				    "\"%.40s\" is short for several: %.*s", typed, words_length(found, depth + 1),
				    found->words);
			if (used < sizeof(m->error))
				used += (size_t)snprintf(m->error + used, sizeof(m->error) - used, ", %.*s",
				    words_length(c, depth + 1), c->words);
			named = c;
		}
	}
	return m->error[0] ? NULL : found;
}

/* The entry whose words are exactly the first `depth` of path. */
static const struct command *
entry_of(const struct command *path, size_t depth)
{
	for (size_t i = 0; path && i < n_commands; i++) {
		size_t len;

		if (same_path(path, &commands[i], depth) && !word_at(&commands[i], depth, &len))
			return &commands[i];
	}
	return NULL;
}

/* Follows the words as far as they name a command; returns how many that were. */
static size_t
follow(const char *const words[], size_t n, const struct command **path, struct command_match *m)
{
	size_t depth = 0;

	for (*path = NULL; depth < n; depth++) {
		const struct command *next = descend(
		    *path, depth, words[depth], depth + 1 < n ? words[depth + 1] : NULL, m);

		if (!next)
			break;
		*path = next;
	}
	return depth;
}

static bool
is_show(const char *word)
{
	return strlen(word) >= 2 && is_prefix(word, "show", 4);
}

bool
command_is_raw(const char *const words[], size_t n)
{
	struct command_match m = { 0 };
	const struct command *path;
	size_t depth = follow(words, n, &path, &m);

	path = entry_of(path, depth);
	return path && path->raw;
}

/* What may follow the first `depth` words of `path` (NULL: what a command may begin with), each word once. */
static size_t
followers(const struct command *path, size_t depth, char store[][24], const char *out[], size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < n_commands && n < max; i++) {
		const struct command *c = &commands[i];
		size_t len = 0;
		const char *w = word_at(c, depth, &len);

		if (!w || (path && !same_path(path, c, depth)))
			continue;
		snprintf(store[n], sizeof(store[n]), "%.*s", (int)len, w);
		if (n && strcmp(store[n], store[n - 1]) == 0)
			continue;
		out[n] = store[n];
		n++;
	}
	return n;
}

#define FOLLOWERS 32

/* The next step after a word that does not go on from `path`; "": there is nothing to advise. */
static void
advise(const struct command *path, size_t depth, const char *typed, char *next, size_t size)
{
	char store[FOLLOWERS + 1][24];
	const char *words[FOLLOWERS];
	size_t n = followers(path, depth, store, words, FOLLOWERS), at;

	if (typed && topo_did_you_mean(typed, words, n, next, size))
		return;
	*next = '\0';
	if (!path || !n)
		return;
	at = (size_t)snprintf(next, size, "one of: %.*s", words_length(path, depth), path->words);
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(next + at, size - at, "%s%s", i ? ", " : " ", words[i]);
}

/* Words that are no command. */
static void
refuse(const struct command *path, size_t depth, const char *const words[], size_t n, struct command_match *out)
{
	const char *typed = depth < n ? words[depth] : NULL;

	if (n == 0)
		snprintf(out->error, sizeof(out->error), "no command");
	else if (!path)
		snprintf(out->error, sizeof(out->error), "there is no command \"%.100s\"", typed);
	else if (typed)
		snprintf(out->error, sizeof(out->error), "there is no command \"%.*s %.100s\"",
		    words_length(path, depth), path->words, typed);
	else
		snprintf(out->error, sizeof(out->error), "\"%.*s\" is not a whole command", words_length(path, depth),
		    path->words);
	advise(path, depth, typed, out->next, sizeof(out->next));
	if (!out->next[0])
		snprintf(out->next, sizeof(out->next), "fabctl help");
}

void
command_find(const char *const words[], size_t n, struct command_match *out)
{
	const char *mapped[COMMAND_WORDS];
	const struct command *path, *entry;
	size_t depth;

	*out = (struct command_match){ 0 };
	n = MIN_OF(n, (size_t)COMMAND_WORDS - 4);
	if (n && is_show(words[0])) {
		words++;
		n--;
	}
	memcpy(mapped, words, n * sizeof(*mapped));
	for (int i = 0; i < HABIT_PASSES && apply_habit(mapped, &n, out->store[i], sizeof(out->store[i])); i++)
		;
	depth = follow(mapped, n, &path, out);
	entry = entry_of(path, depth);
	if (out->error[0]) {
		snprintf(out->next, sizeof(out->next), "write a letter more");
		return;
	}
	if (!entry) {
		refuse(path, depth, mapped, n, out);
		return;
	}
	if (!entry->raw && n > depth && strcmp(mapped[n - 1], "json") == 0) {
		out->json = true;
		n--;
	}
	for (size_t i = depth; i < n; i++)
		out->argv[out->argc++] = mapped[i];
	if (!entry->raw && (out->argc < entry->min || out->argc > entry->max)) {
		if (*entry->args)
			snprintf(out->error, sizeof(out->error), "%s takes %s", entry->words, entry->args);
		else
			snprintf(out->error, sizeof(out->error), "\"%.40s\" cannot follow %s, which takes no arguments",
			    out->argv[0], entry->words);
		if (out->argc && !*entry->args)
			advise(path, depth, out->argv[0], out->next, sizeof(out->next));
		if (!out->next[0])
			snprintf(out->next, sizeof(out->next), "fabctl help %.40s", entry->words);
		return;
	}
	out->command = entry;
}

/* ---- help ---- */

static void
help_line(FILE *f, const struct command *c)
{
	char line[96];

	snprintf(line, sizeof(line), "%s%s%s", c->words, *c->args ? " " : "", c->args);
	if (strlen(line) <= 42)
		fprintf(f, "  %-42s %s\n", line, c->help);
	else
		fprintf(f, "  %s\n  %-42s %s\n", line, "", c->help);
}

/* Whether the command begins with these words, cut short or not. */
static bool
begins_with(const struct command *c, const char *const words[], size_t n)
{
	for (size_t d = 0; d < n; d++)
		if (!begins_at(c, d, words[d]))
			return false;
	return true;
}

/* Whether it begins with them and the last of them stands there in full. */
static bool
names(const struct command *c, const char *const words[], size_t n)
{
	size_t len = 0;
	const char *w = n ? word_at(c, n - 1, &len) : NULL;

	return w && begins_with(c, words, n) && strlen(words[n - 1]) == len;
}

bool
command_help(FILE *f, const char *const words[], size_t n)
{
	bool any = false, exact = false, begun = false;

	for (size_t i = 0; i < n_commands; i++) {
		exact |= names(&commands[i], words, n);
		begun |= begins_with(&commands[i], words, n);
	}
	for (size_t i = 0; i < n_commands; i++) {
		const struct command *c = &commands[i];

		if (exact   ? !names(c, words, n)
		    : begun ? !begins_with(c, words, n)
			    : !strstr(c->words, words[n - 1]) && !strstr(c->help, words[n - 1]))
			continue;
		help_line(f, c);
		any = true;
	}
	return any;
}
