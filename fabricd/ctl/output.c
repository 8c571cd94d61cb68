/*
 * fabricd/ctl/output.c -- the forms of an answer
 *
 *   header, rows, end --> json:  as they come, inside one envelope
 *                         jsonl: each row as it comes
 *                         csv:   the columns' keys, then values as the machine has them
 *                         table: cells as people read them, by libsmartcols, BATCH rows at a time; fit.c has narrow terminals
 *
 * Always true: a key that a row lacks is "-" in a table and nothing in CSV, never 0. Numbers for machines keep base
 * units. Answers of any length are shown in bounded memory: a table of more than BATCH rows is aligned batch by batch.
 */
#include "fabricd/ctl/output.h"

#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fabricd/ctl/fit.h"
#include "fabricd/ctl/sift.h"
#include "fabricd/lib/mem.h"

#define BATCH      5000
#define REMEMBERED 5000 /* rows that --watch compares */

struct out {
	const struct ctl *ctl;
	const struct view *view;
	FILE *to;   /* where a table is collected; ctl->out else */
	char *page; /* what `to` writes to, when a pager may be needed */
	size_t page_len;
	json_t *envelope;
	json_t *problems; /* rows that have "next" */
	struct libscols_table *table;
	struct sift sift;
	size_t rows, in_table;
	bool headed, failed, ended;
	enum query_status status; /* when it has ended */
};

/* ---- values ---- */

char *
human_duration(double s, char buf[HUMAN_TEXT])
{
	static const struct {
		double below, unit;
		const char *name;
	} steps[] = { { 1, 0.001, "ms" }, { 120, 1, "s" }, { 7200, 60, "m" }, { 172800, 3600, "h" } };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (s < steps[i].below) {
			snprintf(buf, HUMAN_TEXT, "%ld%s", (long)(s / steps[i].unit + 1e-6), steps[i].name);
			return buf;
		}
	}
	snprintf(buf, HUMAN_TEXT, "%ldd", (long)(s / 86400));
	return buf;
}

char *
human_us(double us, char buf[HUMAN_TEXT])
{
	if (us < 1000)
		snprintf(buf, HUMAN_TEXT, "%.0fus", us);
	else if (us < 1000000)
		snprintf(buf, HUMAN_TEXT, "%.3gms", us / 1000);
	else
		snprintf(buf, HUMAN_TEXT, "%.3gs", us / 1000000);
	return buf;
}

char *
human_time(const char *rfc3339, char buf[HUMAN_TEXT])
{
	struct tm tm = { 0 }, local;
	const char *rest = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t t = rest ? timegm(&tm) : 0;
	size_t n;

	snprintf(buf, HUMAN_TEXT, "%s", rfc3339);
	if (!rest || strlen(rest) < 1 || rest[strlen(rest) - 1] != 'Z' || !localtime_r(&t, &local))
		return buf;
	n = strftime(buf, HUMAN_TEXT, "%Y-%m-%d %H:%M:%S", &local);
	snprintf(buf + n, HUMAN_TEXT - n, "%.*s", (int)strlen(rest) - 1, rest); /* the fraction */
	return buf;
}

char *
human_rate(double bps, char buf[HUMAN_TEXT])
{
	static const char *const units[] = { "b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s" };
	size_t u = 0;

	for (; bps >= 1000 && u + 1 < ARRAY_LEN(units); u++)
		bps /= 1000;
	snprintf(buf, HUMAN_TEXT, "%.3g %s", bps, units[u]);
	return buf;
}

const char *
row_text(const json_t *row, const char *key, const char *missing)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : missing;
}

double
row_number(const json_t *row, const char *key, double missing)
{
	const json_t *v = json_object_get(row, key);

	return json_is_number(v) ? json_number_value(v) : missing;
}

/* The value as a machine has it: text bare, lists with blanks between, the rest as JSON. To free(). */
char *
value_text(const json_t *v)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f;

	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (!json_is_array(v))
		return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (!(f = open_memstream(&text, &n)))
		return NULL;
	for (size_t i = 0; i < json_array_size(v); i++) {
		char *one = value_text(json_array_get(v, i));

		fprintf(f, "%s%s", i ? " " : "", one ? one : "");
		free(one);
	}
	fclose(f);
	return text;
}

/* The value as people read it, to free(). */
static char *
readable(const struct column *c, const json_t *v)
{
	char buf[HUMAN_TEXT];

	if (!v || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0))
		return strdup("-");
	if (c->kind == CELL_DURATION && json_is_number(v))
		return strdup(human_duration(json_number_value(v), buf));
	if (c->kind == CELL_MS && json_is_number(v))
		return strdup(human_duration(json_number_value(v) / 1000, buf));
	if (c->kind == CELL_US && json_is_number(v))
		return strdup(human_us(json_number_value(v), buf));
	if (c->kind == CELL_TIME && json_is_string(v))
		return strdup(human_time(json_string_value(v), buf));
	if (c->kind == CELL_RATE && json_is_number(v))
		return strdup(human_rate(json_number_value(v), buf));
	if (json_is_boolean(v))
		return strdup(json_is_true(v) ? "yes" : "no");
	return value_text(v);
}

/* ---- tables ---- */

static bool
shown(const struct out *o, const struct column *c)
{
	return !c->wide || o->ctl->format == FORMAT_WIDE;
}

static void
table_new(struct out *o)
{
	o->table = scols_new_table();
	scols_table_set_stream(o->table, o->to);
	scols_table_set_column_separator(o->table, "  ");
	scols_table_set_termforce(o->table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_colors(o->table, o->ctl->colour);
	scols_table_enable_noheadings(o->table, o->rows > 0);
	for (size_t i = 0; i < o->view->n_columns; i++) {
		const struct column *c = &o->view->columns[i];

		if (shown(o, c))
			scols_table_new_column(o->table, c->title, 0, c->kind == CELL_NUMBER ? SCOLS_FL_RIGHT : 0);
	}
	o->in_table = 0;
}

static void
table_flush(struct out *o)
{
	if (o->table && o->in_table)
		fit_print(o->table, o->to, o->ctl->width);
	scols_unref_table(o->table);
	o->table = NULL;
}

static const char *
state_colour(const json_t *row)
{
	return json_object_get(row, "next") ? "red" : "green";
}

/* ---- what --watch remembers ---- */

struct remembered {
	char *key;
	char **cells;
	size_t n;
};

struct before {
	struct remembered *rows, *next;
	size_t n_rows, n_next, cap_next;
	size_t hint;   /* where the row of before is looked for first */
	bool compares; /* there was an answer before this one */
};

struct before *
before_new(void)
{
	return mem_zalloc(NULL, MEM_OTHER, sizeof(struct before));
}

static void
forget(struct remembered *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t c = 0; c < rows[i].n; c++)
			free(rows[i].cells[c]);
		mem_free(NULL, MEM_OTHER, rows[i].cells);
		free(rows[i].key);
	}
	mem_free(NULL, MEM_OTHER, rows);
}

void
before_free(struct before *b)
{
	if (!b)
		return;
	forget(b->rows, b->n_rows);
	forget(b->next, b->n_next);
	mem_free(NULL, MEM_OTHER, b);
}

/* The next answer is compared with this one. */
static void
before_turn(struct before *b)
{
	forget(b->rows, b->n_rows);
	b->rows = b->next;
	b->n_rows = b->n_next;
	b->next = NULL;
	b->n_next = b->cap_next = b->hint = 0;
	b->compares = true;
}

static const struct remembered *
before_find(struct before *b, const char *key)
{
	for (size_t i = 0; i < b->n_rows; i++) {
		size_t at = (b->hint + i) % b->n_rows;

		if (b->rows[at].key && strcmp(b->rows[at].key, key) == 0) {
			b->hint = at + 1;
			return &b->rows[at];
		}
	}
	return NULL;
}

/* The texts that tell the row from the others; rows that are alike in them are told apart by nothing. To free(). */
static char *
row_key(const struct view *view, const json_t *row)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	for (size_t i = 0; f && i < MIN_OF((size_t)MAX_OF(view->key_columns, 1u), view->n_columns); i++) {
		const json_t *v = json_object_get(row, view->columns[i].key);
		char *one = v ? value_text(v) : NULL;

		fprintf(f, "%s\n", one ? one : "");
		free(one);
	}
	if (f)
		fclose(f);
	return text;
}

/* Times run on by themselves: that they do is no change. */
static bool
ticks(enum cell kind)
{
	return kind == CELL_DURATION || kind == CELL_MS;
}

/* Remembers the row; the row that stood there before, NULL: it is new. */
static const struct remembered *
remember(struct out *o, const json_t *row, struct remembered **mine)
{
	struct before *b = o->ctl->before;
	const struct remembered *old;

	*mine = NULL;
	if (!b || !o->view->verb || b->n_next == REMEMBERED)
		return NULL;
	b->next = mem_grow(NULL, MEM_OTHER, b->next, &b->cap_next, b->n_next + 1, sizeof(*b->next));
	*mine = &b->next[b->n_next++];
	**mine = (struct remembered){ .key = row_key(o->view, row) };
	(*mine)->cells = mem_zalloc(NULL, MEM_OTHER, (o->view->n_columns + 1) * sizeof(char *));
	old = (*mine)->key ? before_find(b, (*mine)->key) : NULL;
	return old;
}

static void
table_row(struct out *o, const json_t *row)
{
	const struct remembered *old;
	struct remembered *mine;
	struct libscols_line *line;
	size_t at = 0;

	if (!o->table)
		table_new(o);
	if (!(line = scols_table_new_line(o->table, NULL)))
		return;
	old = remember(o, row, &mine);
	for (size_t i = 0; i < o->view->n_columns; i++) {
		const struct column *c = &o->view->columns[i];
		char *text;

		if (!shown(o, c))
			continue;
		text = readable(c, json_object_get(row, c->key));
		if (strcmp(c->key, "state") == 0)
			scols_cell_set_color(scols_line_get_cell(line, at), state_colour(row));
		if (mine && text) {
			bool changed = o->ctl->before->compares && !ticks(c->kind) &&
				       (!old || at >= old->n || strcmp(old->cells[at], text) != 0);

			mine->cells[mine->n++] = strdup(text);
			if (changed)
				scols_cell_set_color(scols_line_get_cell(line, at), "reverse");
		}
		scols_line_refer_data(line, at++, text);
	}
	if (++o->in_table == BATCH)
		table_flush(o);
}

/* "Every problem ends with its cause and the next command." */
static void
print_problems(struct out *o)
{
	static const struct column columns[] = { { .key = "what" }, { .key = "since_s", .kind = CELL_DURATION },
		{ .key = "reason" }, { .key = "next" } };
	const struct view *view = o->view, list = { .columns = columns, .n_columns = ARRAY_LEN(columns) };
	size_t i;
	json_t *row;

	if (json_array_size(o->problems) == 0)
		return;
	fprintf(o->to, "PROBLEMS\n");
	o->view = &list;
	o->rows = 1; /* no headings */
	json_array_foreach(o->problems, i, row) table_row(o, row);
	table_flush(o);
	o->view = view;
}

/* ---- CSV ---- */

static void
csv_cell(FILE *f, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, f);
		return;
	}
	putc('"', f);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', f);
		putc(*text, f);
	}
	putc('"', f);
}

static void
csv_row(struct out *o, const json_t *row)
{
	for (size_t i = 0; i < o->view->n_columns; i++) {
		const json_t *v = row ? json_object_get(row, o->view->columns[i].key) : NULL;
		char *text = !row                    ? strdup(o->view->columns[i].key)
			     : v && !json_is_null(v) ? value_text(v)
						     : strdup("");

		if (i)
			putc(',', o->to);
		csv_cell(o->to, text ? text : "");
		free(text);
	}
	putc('\n', o->to);
}

/* ---- the answer ---- */

struct out *
out_new(const struct ctl *ctl, const struct view *view)
{
	struct out *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->ctl = ctl;
	o->view = view;
	o->problems = json_array();
	o->to = ctl->out;
	sift_init(&o->sift, ctl);
	if (ctl->pager && ctl->format <= FORMAT_WIDE)
		o->to = open_memstream(&o->page, &o->page_len);
	if (!o->to)
		o->to = ctl->out;
	return o;
}

void
out_free(struct out *o)
{
	if (!o)
		return;
	scols_unref_table(o->table);
	json_decref(o->envelope);
	json_decref(o->problems);
	sift_clear(&o->sift);
	if (o->to != o->ctl->out)
		fclose(o->to);
	free(o->page);
	free(o);
}

/* What stands before the first row. */
static void
head(struct out *o)
{
	char *text;

	if (o->headed)
		return;
	o->headed = true;
	if (o->ctl->format == FORMAT_CSV) {
		csv_row(o, NULL);
	} else if (o->ctl->format == FORMAT_JSON) {
		/* The envelope stays open: rows, "complete" and "missing" come behind it. */
		text = json_dumps(o->envelope, JSON_COMPACT | JSON_REAL_PRECISION(15));
		fprintf(o->to, "%.*s,\"data\":[", text ? (int)strlen(text) - 1 : 1, text ? text : "{");
		free(text);
	} else if (o->ctl->format <= FORMAT_WIDE && o->view->heading) {
		o->view->heading(o->to, o->envelope);
	}
}

void
out_header(struct out *o, json_t *envelope)
{
	json_decref(o->envelope);
	o->envelope = envelope;
}

static void
show_row(struct out *o, json_t *row)
{
	head(o);
	if (o->ctl->format == FORMAT_CSV) {
		csv_row(o, row);
	} else if (o->view->page) {
		o->view->page(o->to, row, o->envelope);
	} else {
		table_row(o, row);
		if (o->view->problems && json_object_get(row, "next"))
			json_array_append(o->problems, row);
	}
	o->rows++;
}

/* JSON forms pass a row's text on as it is. */
static bool
show_text(struct out *o, const char *text, size_t n)
{
	json_t *row;

	if (!sift_row(&o->sift, text, n)) {
		/* not asked for */
	} else if (o->ctl->format == FORMAT_JSON) {
		head(o);
		fprintf(o->to, "%s\n", o->rows ? "," : "");
		fwrite(text, 1, n, o->to);
		o->rows++;
	} else if (o->ctl->format == FORMAT_JSONL) {
		fwrite(text, 1, n, o->to);
		putc('\n', o->to);
		o->rows++;
	} else if ((row = json_loadb(text, n, 0, NULL))) {
		show_row(o, row);
		json_decref(row);
	}
	return !ferror(o->to);
}

void
out_row(struct out *o, json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (text)
		show_text(o, text, strlen(text));
	free(text);
	json_decref(row);
}

/* A collected page goes through the pager when the screen is too small for it. */
static void
print_page(struct out *o)
{
	const char *pager = getenv("FABCTL_PAGER");
	struct winsize screen = { .ws_row = 24 };
	size_t lines = 0;
	FILE *f = NULL;

	fflush(o->to);
	for (const char *at = o->page; at && (at = strchr(at, '\n')); at++)
		lines++;
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &screen);
	if (lines >= screen.ws_row && (!pager || *pager))
		f = popen(pager ? pager : "less -FRSX", "w");
	if (f) {
		fwrite(o->page, 1, o->page_len, f); /* not all: whoever reads it has seen enough */
		if (pclose(f) == 0)
			return;
	}
	fwrite(o->page, 1, o->page_len, o->ctl->out);
}

int
out_end(struct out *o, enum query_status status)
{
	bool table = o->ctl->format <= FORMAT_WIDE;

	if (o->failed)
		return (int)o->status;
	if (!o->envelope)
		o->envelope = json_object();
	head(o);
	table_flush(o);
	if (table)
		print_problems(o);
	if (o->ctl->before)
		before_turn(o->ctl->before);
	if (o->ctl->format == FORMAT_JSON) {
		json_t *missing = json_object_get(o->envelope, "missing");
		char *text = missing ? json_dumps(missing, JSON_COMPACT) : NULL;

		fprintf(o->to, "%s],\"complete\":%s,\"missing\":%s}\n", o->rows ? "\n" : "",
		    json_array_size(missing) ? "false" : "true", text ? text : "[]");
		free(text);
	}
	if (o->page || o->to != o->ctl->out)
		print_page(o);
	fflush(o->ctl->out);
	if (table && !o->rows && o->sift.left_out)
		fprintf(stderr, "none of %zu row%s passes\n", o->sift.left_out, o->sift.left_out == 1 ? "" : "s");
	else if (table && !o->rows && o->view->empty)
		fprintf(stderr, "%s\n", o->view->empty);
	o->ended = true;
	o->status = sift_status(&o->sift, o->view, status);
	return (int)o->status;
}

enum query_status
out_status(const struct out *o, enum query_status status)
{
	return o->ended ? o->status : status;
}

json_t *
out_envelope(const char *schema, const char *fabric)
{
	char time_text[40];
	time_t now = time(NULL);
	struct tm tm;
	json_t *e = json_pack("{s:s}", "schema", schema);

	if (fabric)
		json_object_set_new(e, "fabric", json_string(fabric));
	strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_set_new(e, "generated", json_string(time_text));
	return e;
}

/* ---- as a sink of a daemon's answer ---- */

static bool
sink_header(void *arg, json_t *envelope)
{
	out_header(arg, json_incref(envelope));
	return true;
}

static bool
sink_row(void *arg, const char *text, size_t n)
{
	return show_text(arg, text, n);
}

static bool
sink_end(void *arg, json_t *end, enum query_status status)
{
	struct out *o = arg;
	json_t *missing = json_object_get(end, "missing");
	size_t i;
	json_t *one;

	if (json_array_size(missing) && o->envelope) {
		head(o);
		json_object_set(o->envelope, "missing", missing);
		json_array_foreach(missing, i, one)
		    fprintf(stderr, "fabctl: not in this answer: %s\n", json_string_value(one));
	}
	out_end(o, status);
	return true;
}

static void
sink_error(void *arg, const char *cause, const char *next)
{
	struct out *o = arg;

	/* Half a JSON document stays half: a reader must not take it for the whole answer. */
	table_flush(o);
	o->failed = true;
	o->status = QUERY_UNREACHABLE;
	ctl_fail(QUERY_UNREACHABLE, next, "%s", cause ? cause : "fabricd gave an error that has no text");
}

const struct query_sink out_sink = {
	.header = sink_header,
	.row = sink_row,
	.end = sink_end,
	.error = sink_error,
};
