/*
 * fabricd/ctl/command.h -- from words to a command: abbreviations, other tools' habits, help
 */
#ifndef FABRICD_CTL_COMMAND_H
#define FABRICD_CTL_COMMAND_H

#include "fabricd/ctl/ctl.h"
#include "fabricd/ctl/output.h"

#define COMMAND_WORDS 64

struct command {
	const char *words; /* "bgp neighbor" */
	const char *args;  /* "PORT", "[PREFIX]", "" */
	const char *help;
	const struct view *view;           /* asked of the daemon; NULL: fn does it */
	const struct view *view_with_args; /* instead of view when there are arguments; may be NULL */
	ctl_fn *fn;
	uint8_t min, max; /* arguments */
	bool raw;         /* its own options and words: nothing in them is ours */
};

extern const struct command commands[];
extern const size_t n_commands;

/* What was found for some words. */
struct command_match {
	const struct command *command; /* NULL: none; `error` and `next` say why */
	int argc;                      /* arguments left, in argv */
	const char *argv[COMMAND_WORDS];
	bool json; /* they ended with "json" */
	char error[256], next[200];
	char store[4][32]; /* words of argv that nobody has typed */
};

/* Each word of a command may be cut short as long as it stays unambiguous; "show" in front and "json" behind are taken.
 */
void command_find(const char *const words[], size_t n, struct command_match *out);

/* Whether the words so far begin a raw command, so that the rest is not to be looked at. */
bool command_is_raw(const char *const words[], size_t n);

/*
 * All commands (no words), those that begin with the words, or if there are none those that speak of the last of them;
 * false: there are none.
 */
bool command_help(FILE *, const char *const words[], size_t n);

#endif
