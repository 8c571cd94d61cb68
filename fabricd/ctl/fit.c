/*
 * fabricd/ctl/fit.c -- a table on a terminal that may be narrower than it
 *
 * In this order:
 *   as it is   when it fits, and always when it goes to a file or a pipe
 *   broken     texts are broken at blanks, as long as each column keeps its longest word, its title and FIT_TEXT
 *   folded     the first columns that fit stay a table; what the others have stands below each row, as "TITLE value"
 *
 * Always true: nothing is cut off. No word is broken, so that what is copied from a terminal is whole; one that is
 * longer than a line is left to the terminal. What a row does not have ("-") is left out where it is folded.
 */
#include "fabricd/ctl/fit.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"

#define FIT_TEXT  24 /* a text that is broken into narrower pieces is harder to read than a folded row */
#define SEPARATOR 2
#define INDENT    2

/* ---- how wide a text is ---- */

struct glyph {
	size_t bytes, width;
	bool shown;
};

/* The first character. What no terminal shows stands as \xNN, a byte each, as libsmartcols has it. */
static struct glyph
glyph_of(const char *s)
{
	mbstate_t state = { 0 };
	wchar_t c = 0;
	size_t n = mbrtowc(&c, s, strnlen(s, MB_LEN_MAX), &state);
	int width = n && n <= MB_LEN_MAX ? wcwidth(c) : -1;

	if (width >= 0)
		return (struct glyph){ n, (size_t)width, true };
	return (struct glyph){ 1, 4, false };
}

/* Columns up to the first of `stops`, or to the end; *bytes: of that part. */
static size_t
width_until(const char *s, const char *stops, size_t *bytes)
{
	size_t width = 0, at = 0;

	while (s[at] && !strchr(stops, s[at])) {
		struct glyph g = glyph_of(s + at);

		at += g.bytes;
		width += g.width;
	}
	*bytes = at;
	return width;
}

static size_t
width_of(const char *s)
{
	size_t bytes;

	return width_until(s, "", &bytes);
}

static size_t
longest_word(const char *s)
{
	size_t longest = 0, bytes;

	for (; *s; s += s[bytes] ? bytes + 1 : bytes) {
		size_t width = width_until(s, " ", &bytes);

		longest = MAX_OF(longest, width);
	}
	return longest;
}

/* ---- the columns ---- */

struct fit_column {
	struct libscols_column *is;
	const char *title;            /* NULL: there are no headings */
	size_t natural, least, width; /* as it is; what it needs at least; what it gets */
};

struct fit {
	struct libscols_table *table;
	struct fit_column *columns;
	size_t n, lines, width;
};

static const char *
cell_text(const struct fit *f, size_t line, size_t column)
{
	const char *text = scols_cell_get_data(scols_line_get_cell(scols_table_get_line(f->table, line), column));

	return text ? text : "";
}

static void
measure(struct fit *f)
{
	bool titles = !scols_table_is_noheadings(f->table);

	for (size_t c = 0; c < f->n; c++) {
		struct fit_column *column = &f->columns[c];
		size_t title, words = 0;

		column->is = scols_table_get_column(f->table, c);
		column->title = titles ? scols_cell_get_data(scols_column_get_header(column->is)) : NULL;
		title = column->title ? width_of(column->title) : 0;
		for (size_t i = 0; i < f->lines; i++) {
			const char *text = cell_text(f, i, c);
			size_t width = width_of(text);

			column->natural = MAX_OF(column->natural, width);
			if (width > words) {
				size_t longest = longest_word(text);

				words = MAX_OF(words, longest);
			}
		}
		column->natural = MAX_OF(column->natural, title);
		column->least = MIN_OF(column->natural, (size_t)FIT_TEXT);
		column->least = MAX_OF(column->least, MAX_OF(words, title));
		column->width = column->natural;
	}
}

/* Of the first n columns. */
static size_t
total(const struct fit *f, size_t n)
{
	size_t width = n ? (n - 1) * SEPARATOR : 0;

	for (size_t c = 0; c < n; c++)
		width += f->columns[c].width;
	return width;
}

/* ---- broken ---- */

/* Takes from the widest until all fit. */
static bool
squeeze(struct fit *f)
{
	for (size_t over = total(f, f->n) - f->width; over; over--) {
		struct fit_column *widest = NULL;

		for (size_t c = 0; c < f->n; c++) {
			struct fit_column *column = &f->columns[c];

			if (column->width > column->least && (!widest || column->width > widest->width))
				widest = column;
		}
		if (!widest)
			return false;
		widest->width--;
	}
	return true;
}

/* Line ends in place of the blanks at which it is broken, and nowhere else. To free(). */
static char *
broken(const char *text, size_t width)
{
	char *out = strdup(text), *blank = NULL, *at = out;
	size_t used = 0, bytes;

	for (char *c = out; c && *c; c++)
		if (*c == '\n')
			*c = ' ';
	while (out && *at) {
		size_t word = width_until(at, " ", &bytes);

		if (blank && used + 1 + word > width) {
			*blank = '\n';
			used = 0;
			blank = NULL;
		}
		used += word + (blank ? 1 : 0);
		at += bytes;
		if (*at)
			blank = at++;
	}
	return out;
}

static void
break_texts(struct fit *f)
{
	for (size_t c = 0; c < f->n; c++) {
		struct fit_column *column = &f->columns[c];

		if (column->width == column->natural)
			continue;
		scols_column_set_flags(column->is, scols_column_get_flags(column->is) | SCOLS_FL_WRAP);
		scols_column_set_safechars(column->is, "\n");
		scols_column_set_wrapfunc(column->is, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
		for (size_t i = 0; i < f->lines; i++)
			scols_cell_refer_data(scols_line_get_cell(scols_table_get_line(f->table, i), c),
			    broken(cell_text(f, i, c), column->width));
	}
}

/* ---- folded ---- */

/* What is written below a row, word by word. */
struct fold {
	FILE *to;
	size_t width, used; /* of the line; 0: nothing stands there yet */
};

static void
put_word(struct fold *o, const char *word, size_t bytes, size_t width, size_t gap, const char *colour)
{
	if (o->used && o->used + gap + width > o->width) {
		putc('\n', o->to);
		o->used = 0;
		gap = 2 * INDENT;
	} else if (!o->used) {
		gap = INDENT;
	}
	fprintf(o->to, "%*s%s", (int)gap, "", colour ? colour : "");
	for (size_t at = 0; at < bytes;) {
		struct glyph g = glyph_of(word + at);

		if (g.shown)
			fwrite(word + at, 1, g.bytes, o->to);
		else
			fprintf(o->to, "\\x%02x", (unsigned char)word[at]);
		at += g.bytes;
	}
	if (colour)
		fputs("\033[0m", o->to);
	o->used += gap + width;
}

static void
put_words(struct fold *o, const char *text, size_t gap, const char *colour)
{
	size_t bytes;

	for (; *text; text += text[bytes] ? bytes + 1 : bytes) {
		size_t width = width_until(text, " ", &bytes);

		if (bytes)
			put_word(o, text, bytes, width, gap, colour);
		gap = 1;
	}
}

static void
put_below(const struct fit *f, FILE *to, size_t line, size_t from)
{
	struct fold o = { .to = to, .width = f->width };

	for (size_t c = from; c < f->n; c++) {
		struct libscols_cell *cell = scols_line_get_cell(scols_table_get_line(f->table, line), c);
		const char *text = cell_text(f, line, c), *title = f->columns[c].title;
		const char *colour = scols_table_colors_wanted(f->table) ? scols_cell_get_color(cell) : NULL;
		size_t width = width_of(text) + (title ? width_of(title) + 1 : 0);

		if (!*text || strcmp(text, "-") == 0)
			continue;
		if (o.used && o.used + SEPARATOR + width > o.width) {
			putc('\n', to);
			o.used = 0;
		}
		if (title)
			put_words(&o, title, SEPARATOR, NULL);
		put_words(&o, text, title ? 1 : SEPARATOR, colour);
	}
	if (o.used)
		putc('\n', to);
}

static void
print_folded(struct fit *f, FILE *to)
{
	char *text = NULL, *at, *end;
	size_t stay = 1, line = 0;

	for (size_t c = 0; c < f->n; c++)
		f->columns[c].width = f->columns[c].natural;
	while (stay < f->n && total(f, stay + 1) <= f->width)
		stay++;
	for (size_t c = stay; c < f->n; c++)
		scols_column_set_flags(f->columns[c].is, scols_column_get_flags(f->columns[c].is) | SCOLS_FL_HIDDEN);
	if (scols_print_table_to_string(f->table, &text) || !text)
		return;
	if (!scols_table_is_noheadings(f->table) && (end = strchr(text, '\n'))) {
		fprintf(to, "%.*s\n", (int)(end - text), text);
		at = end + 1;
	} else {
		at = text;
	}
	for (; *at && line < f->lines; at = *end ? end + 1 : end, line++) {
		end = at + strcspn(at, "\n");
		fprintf(to, "%.*s\n", (int)(end - at), at);
		put_below(f, to, line, stay);
	}
	free(text);
}

void
fit_print(struct libscols_table *table, FILE *to, size_t width)
{
	struct fit f = { .table = table,
		.n = scols_table_get_ncols(table),
		.lines = scols_table_get_nlines(table),
		.width = MAX_OF(width, (size_t)FIT_LEAST) };

	if (width) {
		f.columns = mem_zalloc(NULL, MEM_OTHER, (f.n + 1) * sizeof(*f.columns));
		measure(&f);
	}
	if (width && total(&f, f.n) > f.width) {
		if (!squeeze(&f)) {
			print_folded(&f, to);
			mem_free(NULL, MEM_OTHER, f.columns);
			return;
		}
		break_texts(&f);
	}
	scols_print_table(table);
	mem_free(NULL, MEM_OTHER, f.columns);
}
