/*
 * topology/import_csv.c -- tables of cables and of devices, as RFC 4180 writes them
 *
 * The first line names the columns; their order does not matter, others than ours are passed by. Cables have the columns
 * of NetBox's import (side_a_device, side_a_name, side_b_device, side_b_name), which export writes. Devices have `name`
 * and any of serial, mac (or mac_address), model and state; they become the `devices` section of a topology file.
 *
 * A file is understood as a whole or not at all; the error names the line.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

#define FIELDS     64
#define FIELD_TEXT 128
#define ROWS_MAX   200000u

struct row {
	char field[FIELDS][FIELD_TEXT];
	size_t n;
	unsigned int line; /* where it begins */
};

struct reader {
	const char *at, *end;
	unsigned int line;
	const char *bad; /* what is wrong; NULL: nothing */
};

static void
field_end(struct reader *r, struct row *row, size_t len)
{
	if (row->n < FIELDS)
		row->field[row->n++][len] = '\0';
	else
		r->bad = "more than 64 columns";
}

/* One field into the row; returns whether the row goes on. A quoted one may hold commas, quotes and line ends. */
static bool
read_field(struct reader *r, struct row *row)
{
	bool quoted = r->at < r->end && *r->at == '"';
	char *to = row->field[MIN_OF(row->n, (size_t)FIELDS - 1)];
	size_t len = 0;

	for (r->at += quoted; r->at < r->end; r->at++) {
		char c = *r->at;

		if (quoted && c == '"') {
			if (r->at + 1 == r->end || r->at[1] != '"') {
				quoted = false;
				continue;
			}
			r->at++;
		} else if (!quoted && (c == ',' || c == '\n')) {
			break;
		} else if (!quoted && c == '\r') {
			continue;
		}
		r->line += c == '\n';
		if (c == '\0' || len + 1 == FIELD_TEXT)
			r->bad = c ? "a field of more than 127 bytes" : "a zero byte";
		else
			to[len++] = c;
	}
	if (quoted)
		r->bad = "a quote that does not end";
	field_end(r, row, len);
	if (r->at == r->end)
		return false;
	return *r->at++ == ',';
}

/* The next row that is not empty; false: there is none, or r->bad. */
static bool
read_row(struct reader *r, struct row *row)
{
	while (r->at < r->end && !r->bad) {
		*row = (struct row){ .line = r->line };
		while (read_field(r, row) && !r->bad)
			;
		r->line++;
		if (!r->bad && (row->n > 1 || row->field[0][0]))
			return true;
	}
	return false;
}

static size_t
column(const struct row *head, const char *name)
{
	for (size_t i = 0; i < head->n; i++)
		if (strcmp(head->field[i], name) == 0)
			return i;
	return SIZE_MAX;
}

static const char *
value(const struct row *row, size_t column)
{
	return column < row->n ? row->field[column] : "";
}

/* What may stand in a file without being taken for something else. */
static bool
is_plain(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._:-/ ", *s))
			return false;
	return true;
}

static void
complain(struct topo_errors *errs, const struct reader *r, const char *what)
{
	error_hint(
	    error_at(errs, r->line, 1, "%s", what), "a table with commas between its fields, as RFC 4180 has it");
}

int
topo_import_csv(const char *text, size_t len, struct topo_cable **out, size_t *n, struct topo_errors *errs)
{
	static const char *const names[4] = { "side_a_device", "side_a_name", "side_b_device", "side_b_name" };
	struct reader r = { text, text + len, 1, NULL };
	struct row *head = mem_zalloc(NULL, MEM_TOPOLOGY, 2 * sizeof(*head)), *row = head + 1;
	struct topo_cable *v = NULL;
	size_t cap = 0, at[4];

	*n = 0;
	*out = NULL;
	if (!read_row(&r, head) && !r.bad)
		r.bad = "the file is empty";
	for (size_t i = 0; i < 4 && !r.bad; i++)
		if ((at[i] = column(head, names[i])) == SIZE_MAX)
			error_hint(error_at(errs, 1, 1, "there is no column `%s`", names[i]),
			    "side_a_device,side_a_name,side_b_device,side_b_name, as `fabctl topo export csv` writes "
			    "them");
	while (!r.bad && !errs->n && read_row(&r, row)) {
		struct topo_cable *c;
		char *to[4];

		v = mem_grow(NULL, MEM_TOPOLOGY, v, &cap, *n + 1, sizeof(*v));
		c = &v[(*n)++];
		to[0] = c->a, to[1] = c->a_port, to[2] = c->b, to[3] = c->b_port;
		for (size_t i = 0; i < 4; i++) {
			const char *name = value(row, at[i]);

			if (!*name || strlen(name) >= TOPO_NAME_MAX || !is_plain(name))
				error_at(errs, row->line, 1, "`%s` is \"%s\"", names[i], name);
			snprintf(to[i], TOPO_NAME_MAX, "%.*s", TOPO_NAME_MAX - 1, name);
		}
		if (*n > ROWS_MAX)
			r.bad = "more than 200000 rows";
	}
	if (r.bad)
		complain(errs, &r, r.bad);
	mem_free(NULL, MEM_TOPOLOGY, head);
	if (errs->n) {
		mem_free(NULL, MEM_TOPOLOGY, v);
		*n = 0;
		return -1;
	}
	*out = v;
	return 0;
}

char *
topo_import_devices(const char *text, size_t len, struct topo_errors *errs)
{
	static const struct {
		const char *column, *other, *key;
		bool quoted;
	} keys[] = { { "serial", "serial_number", "serial", true }, { "mac", "mac_address", "mac", true },
		{ "model", "device_type", "model", false }, { "state", "status", "state", false } };
	struct reader r = { text, text + len, 1, NULL };
	struct row *head = mem_zalloc(NULL, MEM_TOPOLOGY, 2 * sizeof(*head)), *row = head + 1;
	struct buf out = { 0 };
	size_t name, at[ARRAY_LEN(keys)];

	if (!read_row(&r, head) && !r.bad)
		r.bad = "the file is empty";
	name = column(head, "name");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if ((at[i] = column(head, keys[i].column)) == SIZE_MAX)
			at[i] = column(head, keys[i].other);
	if (!r.bad && name == SIZE_MAX)
		error_hint(
		    error_at(errs, 1, 1, "there is no column `name`"), "name, and any of serial, mac, model, state");
	buf_text(&out, "devices:\n");
	while (!r.bad && !errs->n && read_row(&r, row)) {
		const char *comma = "";

		if (!*value(row, name) || !is_plain(value(row, name)) || strchr(value(row, name), ' '))
			error_at(errs, row->line, 1, "`name` is \"%s\"", value(row, name));
		buf_add(&out, "  %s: {", value(row, name));
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			const char *v = value(row, at[i]), *quote = keys[i].quoted || strchr(v, ' ') ? "\"" : "";

			if (!*v)
				continue;
			if (!is_plain(v))
				error_at(errs, row->line, 1, "`%s` is \"%s\"", keys[i].column, v);
			buf_add(&out, "%s%s: %s%s%s", comma, keys[i].key, quote, v, quote);
			comma = ", ";
		}
		buf_text(&out, "}\n");
	}
	if (r.bad)
		complain(errs, &r, r.bad);
	mem_free(NULL, MEM_TOPOLOGY, head);
	if (errs->n) {
		mem_free(NULL, MEM_TOPOLOGY, out.at);
		return NULL;
	}
	return buf_take(&out);
}
