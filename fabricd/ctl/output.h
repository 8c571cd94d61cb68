/*
 * fabricd/ctl/output.h -- one answer, as table, JSON, JSON lines or CSV
 *
 * All forms are made from the same JSON rows that the daemon (or a local command) gives, so they cannot disagree.
 */
#ifndef FABRICD_CTL_OUTPUT_H
#define FABRICD_CTL_OUTPUT_H

#include <jansson.h>

#include "fabricd/ctl/ctl.h"
#include "fabricd/query/client.h"

enum cell {
	CELL_TEXT,
	CELL_NUMBER,   /* right-aligned */
	CELL_DURATION, /* seconds -> 4m */
	CELL_MS,       /* milliseconds -> 150ms */
	CELL_US,       /* microseconds -> 48us, 3.3ms, 150ms */
	CELL_RATE,     /* bits per second -> 10 Gb/s */
	CELL_LIST,     /* of texts, with blanks between */
	CELL_YES,      /* true -> yes */
	CELL_TIME,     /* RFC 3339, UTC -> local time */
};

struct column {
	const char *key, *title;
	enum cell kind;
	bool wide; /* only in -o wide and csv */
};

/* How an answer is shown to people. */
struct view {
	const char *verb; /* what the daemon is asked; NULL for local commands */
	const struct column *columns;
	size_t n_columns;
	void (*heading)(FILE *, const json_t *envelope); /* lines above the table; NULL: none */
	void (*page)(
	    FILE *, const json_t *row, const json_t *envelope); /* shows a row in a form of its own, no table */
	bool problems;       /* rows with "next" are problems, repeated below with cause and next command */
	const char *empty;   /* said on stderr when a table has no rows */
	const char *more;    /* keys that rows may have beside those of the columns, with blanks between; NULL: none */
	uint8_t key_columns; /* that tell a row from the others, for --watch; 0: the first one does */
};

struct out;

struct out *out_new(const struct ctl *, const struct view *);
void out_free(struct out *);

/*
 * What --watch remembers of one answer for the next: cells that changed since are shown in reverse. With ctl->before
 * set, each struct out compares with it and leaves its own rows there.
 */
struct before *before_new(void);
void before_free(struct before *);

/* A struct out takes an answer as this sink's arg. */
extern const struct query_sink out_sink;

/* The same, from JSON values, for local commands. The references are taken. */
void out_header(struct out *, json_t *envelope);
void out_row(struct out *, json_t *row);
/* The exit code: `status`, or what the filters make of it, or QUERY_UNREACHABLE after an error that was told. */
int out_end(struct out *, enum query_status status);
/* The exit code of an answer that ended; `status` of one that did not. */
enum query_status out_status(const struct out *, enum query_status status);

/* An envelope for answers that no daemon made. */
json_t *out_envelope(const char *schema, const char *fabric);

#define HUMAN_TEXT 32
char *human_duration(double seconds, char buf[HUMAN_TEXT]);     /* 350ms, 42s, 4m, 3h, 12d */
char *human_us(double us, char buf[HUMAN_TEXT]);                /* 48us, 3.3ms, 150ms */
char *human_time(const char *rfc3339, char buf[HUMAN_TEXT]);    /* local, 2026-11-21 03:25:08.711; else as it is */
char *human_rate(double bits_per_second, char buf[HUMAN_TEXT]); /* 71 Gb/s */

/* The value as a machine has it: text bare, lists with blanks between, the rest as JSON. To free(). */
char *value_text(const json_t *);

/* Shorthands over rows; NULL or `missing` when the key is absent or of another type. */
const char *row_text(const json_t *row, const char *key, const char *missing);
double row_number(const json_t *row, const char *key, double missing);

#endif
