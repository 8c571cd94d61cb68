/*
 * topology/error.c -- the list of all errors of one file, and how they are shown
 *
 *   error_add, error_at --> struct topo_errors --> errors_sort --> topo_errors_print: place, sentence, line, caret
 *
 * Always true: the list has at most TOPO_ERRORS_MAX entries and then one that says so; no text in it holds a control
 * character or a line end; what is printed of the file is safe for a terminal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/tree.h"

#define SHOWN_MAX 160 /* bytes of a line that are shown; longer lines are cut around the caret */

static char *PRINTF_LIKE(1, 0) format(const char *fmt, va_list args)
{
	va_list again;
	char *s;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	s = mem_zalloc(NULL, MEM_TOPOLOGY, n < 0 ? 1 : (size_t)n + 1);
	if (n > 0)
		vsnprintf(s, (size_t)n + 1, fmt, args);
	/* names of the file stand in there: nothing that a terminal would act upon, nothing that ends the line */
	for (unsigned char *p = (unsigned char *)s; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
	return s;
}

static struct topo_error *PRINTF_LIKE(5, 0) add(struct topo_errors *errs, enum topo_severity severity,
    unsigned int line, unsigned int col, const char *fmt, va_list args)
{
	static const char more[] = "there are more errors than are shown; correct these first";
	struct topo_error *e;

	if (errs->n > TOPO_ERRORS_MAX)
		return NULL;
	errs->list = mem_grow(NULL, MEM_TOPOLOGY, errs->list, &errs->cap, errs->n + 1, sizeof(*errs->list));
	e = &errs->list[errs->n++];
	*e = (struct topo_error){ .severity = severity, .line = line, .col = col };
	if (errs->n > TOPO_ERRORS_MAX) {
		*e = (struct topo_error){ .severity = TOPO_ERROR, .text = mem_strdup(NULL, MEM_TOPOLOGY, more) };
		return NULL;
	}
	e->text = format(fmt, args);
	return e;
}

struct topo_error *
error_add(struct topo_errors *errs, const struct tree *at, const char *fmt, ...)
{
	struct topo_error *e;
	va_list args;

	va_start(args, fmt);
	e = add(errs, TOPO_ERROR, at ? at->line : 0, at ? at->col : 0, fmt, args);
	va_end(args);
	return e;
}

struct topo_error *
warning_add(struct topo_errors *errs, const struct tree *at, const char *fmt, ...)
{
	struct topo_error *e;
	va_list args;

	va_start(args, fmt);
	e = add(errs, TOPO_WARNING, at ? at->line : 0, at ? at->col : 0, fmt, args);
	va_end(args);
	return e;
}

struct topo_error *
error_at(struct topo_errors *errs, unsigned int line, unsigned int col, const char *fmt, ...)
{
	struct topo_error *e;
	va_list args;

	va_start(args, fmt);
	e = add(errs, TOPO_ERROR, line, col, fmt, args);
	va_end(args);
	return e;
}

void
error_hint(struct topo_error *e, const char *fmt, ...)
{
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	mem_free(NULL, MEM_TOPOLOGY, e->hint);
	e->hint = format(fmt, args);
	va_end(args);
}

void
error_other(struct topo_error *e, const struct tree *other)
{
	if (!e || !other || (other->line == e->line && other->col == e->col))
		return;
	e->other_line = other->line;
	e->other_col = other->col;
}

/* By place; what is about the whole file comes last. */
static int
by_place(const void *pa, const void *pb)
{
	const struct topo_error *a = pa, *b = pb;

	if ((a->line == 0) != (b->line == 0))
		return a->line == 0 ? 1 : -1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	return strcmp(a->text, b->text);
}

void
errors_sort(struct topo_errors *errs)
{
	if (errs->n)
		qsort(errs->list, errs->n, sizeof(*errs->list), by_place);
}

size_t
topo_errors_count(const struct topo_errors *errs, enum topo_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < errs->n; i++)
		n += errs->list[i].severity == severity;
	return n;
}

void
topo_errors_free(struct topo_errors *errs)
{
	for (size_t i = 0; i < errs->n; i++) {
		mem_free(NULL, MEM_TOPOLOGY, errs->list[i].text);
		mem_free(NULL, MEM_TOPOLOGY, errs->list[i].hint);
	}
	mem_free(NULL, MEM_TOPOLOGY, errs->list);
	*errs = (struct topo_errors){ 0 };
}

/* The bytes of a line, without its end; empty when there is no such line. */
static const char *
find_line(const char *text, size_t len, unsigned int line, size_t *n)
{
	const char *at = text, *end = text + len, *stop;

	*n = 0;
	for (unsigned int i = 1; at < end; i++) {
		stop = memchr(at, '\n', (size_t)(end - at));
		if (!stop)
			stop = end;
		if (i == line) {
			*n = (size_t)(stop - at);
			return at;
		}
		at = stop < end ? stop + 1 : end;
	}
	return end;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The line with a caret below the column. Bytes that a terminal could act upon are shown as '?'. */
static void
print_place(struct buf *out, const char *text, size_t len, unsigned int line, unsigned int col)
{
	size_t n, at = 0, from = 0, to;
	const char *s = find_line(text, len, line, &n);
	bool readable;

	for (unsigned int c = 1; c < col && at < n; c++) {
		at++;
		while (at < n && is_continuation(s[at]))
			at++;
	}
	if (at > SHOWN_MAX * 3 / 4)
		from = at - SHOWN_MAX / 2;
	while (from > 0 && from < n && is_continuation(s[from]))
		from++;
	to = MIN_OF(n, from + SHOWN_MAX);
	buf_add(out, "%6u | %s", line, from ? "..." : "");
	readable = utf8_bad(s, n) == n;
	for (size_t i = from; i < to; i++) {
		unsigned char c = (unsigned char)s[i];
		bool c1 = i + 1 < n && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0;

		if (c < 0x20 || c == 0x7f || c1 || (c >= 0x80 && !readable))
			buf_text(out, c == '\t' ? " " : "?");
		else
			buf_bytes(out, s + i, 1);
		i += c1;
	}
	buf_add(out, "%s\n       | %s", to < n ? "..." : "", from ? "   " : "");
	for (size_t i = from; i < at; i++)
		if (!is_continuation(s[i]))
			buf_text(out, " ");
	buf_text(out, "^\n");
}

char *
topo_errors_print(const struct topo_errors *errs, const char *file, const char *text, size_t len)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < errs->n; i++) {
		const struct topo_error *e = &errs->list[i];

		buf_text(&out, file);
		if (e->line)
			buf_add(&out, ":%u:%u", e->line, e->col);
		buf_add(&out, ": %s: %s", e->severity == TOPO_ERROR ? "error" : "warning", e->text);
		buf_text(&out, "\n");
		if (e->line)
			print_place(&out, text, len, e->line, e->col);
		if (e->hint)
			buf_add(&out, "         %s\n", e->hint);
		if (e->other_line) {
			buf_add(&out, "%s:%u:%u: note: the other place\n", file, e->other_line, e->other_col);
			print_place(&out, text, len, e->other_line, e->other_col);
		}
	}
	return buf_take(&out);
}
