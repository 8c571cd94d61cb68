/* tests/unit/ctl/command_test.c -- abbreviations, habits of other tools, refusals */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/ctl/command.h"

static size_t
split(const char *line, char *store, const char *words[])
{
	size_t n = 0;

	strcpy(store, line);
	for (char *save = NULL, *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	return n;
}

static const struct {
	const char *typed, *command; /* NULL: refused */
	const char *args;            /* with blanks between; or what the error says */
	bool json;
} cases[] = {
	{ "bgp", "bgp", "", false },
	{ "bgp summary", "bgp summary", "", false },
	{ "b s", "bgp summary", "", false },
	{ "b n swp49", "bgp neighbor", "swp49", false },
	{ "show bgp summary json", "bgp summary", "", true },
	{ "sh bgp", "bgp", "", false },
	{ "sho bg json", "bgp", "", true },
	{ "show ip bgp summary", "bgp summary", "", false },
	{ "show bgp ipv6 unicast summary json", "bgp summary", "", true },
	{ "show bgp neighbors swp1", "bgp neighbor", "swp1", false },
	{ "show bgp neighbors swp1 received-routes", "bgp received", "swp1", false },
	{ "show bgp neighbors swp1 advertised-routes json", "bgp advertised", "swp1", true },
	{ "show ip route", "routes", "ipv4", false },
	{ "show ip route json", "routes", "ipv4", true },
	{ "show ipv6 route", "routes", "ipv6", false },
	{ "show route for 10.0.0.1", "routes", "10.0.0.1", false },
	{ "show ip bgp 10.1.3.0/24", "bgp why", "10.1.3.0/24", false },
	{ "show bgp ipv6 unicast fd00::1", "bgp why", "fd00::1", false },
	{ "show bgp ipv6 summary", "bgp summary", "", false },
	{ "show ip bgp neighbors swp1 advertised-routes", "bgp advertised", "swp1", false },
	{ "show interface brief", "ports", "", false },
	{ "show lldp neighbors", "ports", "", false },
	{ "show bfd peers", "bfd", "", false },
	{ "show running-config", "topo show", "", false },
	{ "routes ipv6", "routes", "ipv6", false },
	{ "bgpp", NULL, "there is no command \"bgpp\"", false },
	{ "topo chekc a.yaml", NULL, "there is no command \"topo chekc\"", false },
	{ "show ip route 10.0.0.1 json", "routes", "10.0.0.1", true },
	{ "show ipv6 route fd00::/64", "routes", "fd00::/64", false },
	{ "route 10.0.0.1", "routes", "10.0.0.1", false },
	{ "show interface", "ports", "", false },
	{ "counters", "counters", "", false },
	{ "c link", "counters", "link", false },
	{ "show counters json", "counters", "", true },
	{ "show interfaces counters", "counters", "link", false },
	{ "show interface counters json", "counters", "link", true },
	{ "show interfaces counters errors", "counters", "link", false },
	{ "counters link query", NULL, "counters takes [PART] [--all]", false },
	{ "fib", "fib", "", false },
	{ "fib c", "fib check", "", false },
	{ "r 10.0.0.0/8", "routes", "10.0.0.0/8", false },
	{ "log 20", "log", "20", false },
	{ "l", NULL, "\"l\" is short for several: log, lab", false },
	{ "b", NULL, "\"b\" is short for several: bfd, bgp", false },
	{ "topo e f", NULL, "short for several: topo expand, topo export", false },
	{ "topo plan a.yaml b.yaml", "topo plan", "a.yaml b.yaml", false },
	{ "topo import dot a.dot", "topo import", "dot a.dot", false },
	{ "topo import dot", NULL, "topo import takes dot|containerlab|csv|devices FILE", false },
	{ "topo upgrade a.yaml", "topo upgrade", "a.yaml", false },
	{ "l s", "lab status", "", false }, /* no other goes on with it */
	{ "la st", "lab status", "", false },
	{ "lab exec h1 ping json", "lab exec", "h1 ping json", false },
	{ "lab cut leaf1:eth1 spine2", "lab cut", "leaf1:eth1 spine2", false },
	{ "topo check a.yaml", "topo check", "a.yaml", false },
	{ "topo exp dot a.yaml", NULL, "short for several", false },
	{ "topo expo dot a.yaml", "topo export", "dot a.yaml", false },
	{ "topo", NULL, "not a whole command", false },
	{ "topo check", NULL, "topo check takes FILE", false },
	{ "bgp neighbor", NULL, "takes PORT", false },
	{ "bgp neighbor a b", NULL, "takes PORT", false },
	{ "bgp summary x", NULL, "takes no arguments", false },
	{ "nonsense", NULL, "there is no command \"nonsense\"", false },
	{ "show", NULL, "no command", false },
	{ "s", "status", "", false },
	{ "st json", "status", "", true },
};

static void
words_to_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *words[COMMAND_WORDS];
		struct command_match m;
		char store[256], args[256] = "";

		command_find(words, split(cases[i].typed, store, words), &m);
		for (int a = 0; a < m.argc; a++) {
			strcat(args, a ? " " : "");
			strcat(args, m.argv[a]);
		}
		if (!cases[i].command) {
			if (m.command || !strstr(m.error, cases[i].args) || !m.next[0])
				fail_msg("%s: %s, \"%s\", next \"%s\"", cases[i].typed,
				    m.command ? m.command->words : "refused", m.error, m.next);
			continue;
		}
		if (!m.command || strcmp(m.command->words, cases[i].command) != 0 || strcmp(args, cases[i].args) != 0 ||
		    m.json != cases[i].json)
			fail_msg("%s: %s (%s) json %d: %s", cases[i].typed, m.command ? m.command->words : "refused",
			    args, m.json, m.error);
	}
}

/* What a refusal advises. */
static void
next_steps(void **state)
{
	static const struct {
		const char *typed, *next;
	} steps[] = {
		{ "bgpp", "did you mean bgp?" },
		{ "topo chekc a.yaml", "did you mean check?" },
		{ "topo", "one of: topo check, expand, export, fmt, plan, import, show, upgrade" },
		{ "lab foo", "one of: lab up, status, exec, cut, heal, wait, down" },
		{ "bgp sumary", "did you mean summary?" },
		{ "bgp neighbor", "fabctl help bgp neighbor" },
		{ "nonsense", "fabctl help" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const char *words[COMMAND_WORDS];
		struct command_match m;
		char store[256];

		command_find(words, split(steps[i].typed, store, words), &m);
		if (m.command || strcmp(m.next, steps[i].next) != 0)
			fail_msg("%s: next \"%s\"", steps[i].typed, m.next);
	}
}

/* Which commands `help` shows for some words. */
static void
help_for_words(void **state)
{
	static const struct {
		const char *typed, *shown; /* one text that is there */
		size_t lines;
		const char *hidden; /* and one that is not; NULL: any */
	} helps[] = {
		{ "lab up", "lab up 4x2|FILE", 2, "upgrade" }, { "bgp why", "bgp why PREFIX", 1, "routes" },
		{ "fib", "fib check", 2, "bgp" }, { "la e", "lab exec", 1, "lab up" },
		{ "cabling", "topo export", 5, "bgp" }, /* what they are about */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(helps); i++) {
		const char *words[COMMAND_WORDS];
		char store[256], *text = NULL;
		size_t n = 0, lines = 0;
		FILE *f = open_memstream(&text, &n);

		assert_true(command_help(f, words, split(helps[i].typed, store, words)));
		fclose(f);
		for (const char *at = text; (at = strchr(at, '\n')); at++)
			lines++;
		if (lines != helps[i].lines || !strstr(text, helps[i].shown) || strstr(text, helps[i].hidden))
			fail_msg("%s: %zu lines\n%s", helps[i].typed, lines, text);
		free(text);
	}
}

/* Every command is found by its own words, and by each unambiguous cut of its last word. */
static void
every_command_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_commands; i++) {
		const char *words[COMMAND_WORDS];
		struct command_match m;
		char store[256], line[256];
		size_t n;

		snprintf(line, sizeof(line), "%s", commands[i].words);
		n = split(line, store, words);
		for (int a = 0; a < commands[i].min; a++)
			words[n++] = "x";
		command_find(words, n, &m);
		if (m.command != &commands[i])
			fail_msg("%s: %s", commands[i].words, m.command ? m.command->words : m.error);
		assert_true((commands[i].view != NULL) != (commands[i].fn != NULL));
		assert_true(commands[i].help && *commands[i].help);
	}
}

static void
raw_commands_keep_their_words(void **state)
{
	static const char *const exec[] = { "lab", "exec" }, *const up[] = { "la", "u" }, *const bgp[] = { "bgp" };

	(void)state;
	assert_true(command_is_raw(exec, 2));
	assert_true(command_is_raw(up, 2));
	assert_false(command_is_raw(exec, 1));
	assert_false(command_is_raw(bgp, 1));
}

/* However many words: no more are looked at than there is room for. */
static void
too_many_words(void **state)
{
	const char *words[COMMAND_WORDS];
	struct command_match m;

	(void)state;
	for (size_t i = 0; i < COMMAND_WORDS; i++)
		words[i] = i ? "x" : "lab";
	words[1] = "exec";
	command_find(words, COMMAND_WORDS, &m);
	assert_string_equal(m.command->words, "lab exec");
	assert_true(m.argc < COMMAND_WORDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_to_commands),
		cmocka_unit_test(next_steps),
		cmocka_unit_test(help_for_words),
		cmocka_unit_test(every_command_is_found),
		cmocka_unit_test(raw_commands_keep_their_words),
		cmocka_unit_test(too_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
