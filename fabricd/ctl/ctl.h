/*
 * fabricd/ctl/ctl.h -- what every command of fabctl is given, and how it fails
 *
 * stdout is data, stderr is talk. A command returns the process's exit code, enum query_status.
 */
#ifndef FABRICD_CTL_CTL_H
#define FABRICD_CTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mono.h"
#include "fabricd/query/protocol.h"

#define CTL_FILTERS 8
#define CTL_RUN_DIR "/run/fabricd"

enum ctl_format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_JSONL, FORMAT_CSV, FORMATS };

extern const char *const ctl_format_names[FORMATS];

struct ctl {
	enum ctl_format format;
	bool colour, pager;
	size_t width;        /* columns of the terminal that data goes to; 0: none, lines are as long as they are */
	const char *run_dir; /* of the daemon that is asked */
	const char *at;      /* NULL, or a switch of a laboratory on this machine */
	const char *lab;     /* name of the laboratory */
	int64_t timeout_us;
	bool allow_renumber;
	bool all;                         /* of counters: those that are 0, and what is routine, too */
	const char *filters[CTL_FILTERS]; /* KEY=VALUE; only rows that have all of them are shown */
	size_t n_filters;
	int64_t since_us;      /* only rows of the last so many us are shown, where they have a time; 0: all */
	FILE *out;             /* data */
	struct before *before; /* of --watch: the answer before this one (output.h); NULL: asked once */
};

/* "fabctl: cause", then the next step on a line of its own (NULL: none), on stderr. Returns `status`. */
int ctl_fail(enum query_status status, const char *next, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The whole file (or stdin for "-") as text to free(); NULL after ctl_fail() has spoken. At most `max` bytes. */
char *ctl_read_file(const char *path, size_t max, size_t *len);

/* Microseconds of "500ms", "2s", "5m", "1h", "3d", or a bare number of seconds; -1: not understood. */
int64_t ctl_duration(const char *text);

struct mono ctl_now(void);

/* The words behind a command: argv[0] is the first of them. */
typedef int ctl_fn(struct ctl *, int argc, char **argv);

ctl_fn ctl_topo_check, ctl_topo_fmt, ctl_topo_expand, ctl_topo_export, ctl_topo_plan, ctl_topo_upgrade, ctl_topo_import;
ctl_fn ctl_lab_up, ctl_lab_status, ctl_lab_exec, ctl_lab_cut, ctl_lab_heal, ctl_lab_wait, ctl_lab_down;

#endif
