/*
 * topology/print.c -- the file in its one canonical form, with its comments
 *
 * Keys stay in the order of the file. A collection stands on one line, as {} or [], when it fits into WIDTH columns
 * and no comment is inside; at the top level lists and maps of maps always have a line per item. Quotes are put where
 * YAML needs them, and always around MACs and serial numbers.
 *
 * Always true: the text is read back as the same tree, with the same comments, and printing that gives the same text.
 * To keep the second half true, comments go only to places where comments.c finds them again for the same entry.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

#define WIDTH 120

/* ---- scalars ---- */

/* What other readers of YAML would take for a number, a truth value or nothing, though it was quoted as text. */
static bool
looks_typed(const char *s)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "null", "y", "n", "~" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return s[0] >= '0' && s[0] <= '9' && strspn(s, "0123456789abcdefxABCDEFX_.") == strlen(s);
}

static bool
plain_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || s[n - 1] == ' ')
		return false;
	if (strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/%+-= ") != n)
		return false;
	return (s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z') || (s[0] >= '0' && s[0] <= '9');
}

static uint32_t
next_char(struct rd *r)
{
	uint8_t c = rd_u8(r);
	unsigned int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t v = more == 0 ? c : more == 1 ? c & 0x1fu : more == 2 ? c & 0x0fu : c & 0x07u;

	for (; more; more--)
		v = v << 6 | (rd_u8(r) & 0x3fu);
	return v;
}

/* May stand in a YAML text as it is: printable, and no line separator or byte order mark. */
static bool
is_printable(uint32_t c)
{
	if (c < 0xa0)
		return c >= 0x20 && c < 0x7f;
	if (c == 0x2028 || c == 0x2029 || c == 0xfeff)
		return false;
	return c <= 0xd7ff || (c >= 0xe000 && c <= 0xfffd) || c >= 0x10000;
}

static void
print_quoted(struct buf *out, const char *s)
{
	struct rd r = rd_make(s, strlen(s));

	buf_text(out, "\"");
	while (!rd_done(&r)) {
		const char *from = (const char *)r.at;
		uint32_t c = next_char(&r);

		if (c == '"' || c == '\\')
			buf_add(out, "\\%c", (int)c);
		else if (c == '\n')
			buf_text(out, "\\n");
		else if (is_printable(c))
			buf_bytes(out, from, (size_t)((const char *)r.at - from));
		else
			buf_add(out, c > 0xffff ? "\\U%08X" : "\\u%04X", c);
	}
	buf_text(out, "\"");
}

static void
print_scalar(struct buf *out, const struct tree *t)
{
	bool plain = plain_ok(t->text) && !t->force_quotes && !(t->quoted && looks_typed(t->text));

	if (plain)
		buf_text(out, t->text);
	else
		print_quoted(out, t->text);
}

/* ---- one line ---- */

static void
print_flow(struct buf *out, const struct tree *t)
{
	if (t->kind == TREE_SCALAR) {
		print_scalar(out, t);
		return;
	}
	buf_text(out, t->kind == TREE_MAP ? "{" : "[");
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *e = &t->entries[i];

		if (i)
			buf_text(out, ", ");
		if (e->key) {
			print_scalar(out, e->key);
			buf_text(out, ": ");
		}
		print_flow(out, e->value);
	}
	buf_text(out, t->kind == TREE_MAP ? "}" : "]");
}

static bool
has_comments(const struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *e = &t->entries[i];

		if (e->before || e->head || e->trailing || has_comments(e->value))
			return true;
	}
	return false;
}

static bool
has_collections(const struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->entries[i].value->kind != TREE_SCALAR && t->entries[i].value->n)
			return true;
	return false;
}

/* Columns of a text; characters, not bytes. */
static size_t
columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* The value as one line to free(), or NULL when it belongs on several. `column` is where it would begin. */
static char *
one_line(const struct tree *t, size_t column, bool top)
{
	struct buf line = { 0 };
	char *s;

	if (t->kind != TREE_SCALAR && t->n && (has_comments(t) || (top && has_collections(t))))
		return NULL;
	print_flow(&line, t);
	s = buf_take(&line);
	if (t->kind == TREE_SCALAR || t->n == 0 || column + columns(s) <= WIDTH)
		return s;
	mem_free(NULL, MEM_TOPOLOGY, s);
	return NULL;
}

/* ---- several lines ---- */

static void
indent(struct buf *out, size_t n)
{
	buf_add(out, "%*s", (int)n, "");
}

static void
print_comments(struct buf *out, const struct tree_comment *c, size_t depth, bool top)
{
	for (; c; c = c->next) {
		if (top && c->blank_before && out->n)
			buf_text(out, "\n");
		indent(out, depth);
		buf_text(out, c->text);
		buf_text(out, "\n");
	}
}

static void
end_line(struct buf *out, const char *head, const char *trailing)
{
	if (head)
		buf_add(out, "  %s", head);
	if (trailing)
		buf_add(out, "%s%s", head ? " " : "  ", trailing);
	buf_text(out, "\n");
}

static void print_block(struct buf *out, const struct tree *t, size_t depth, bool first_indented);

static void
print_map_entry(struct buf *out, const struct tree_entry *e, size_t depth, bool top)
{
	size_t line = out->n;
	char *flow;

	print_scalar(out, e->key);
	buf_text(out, ":");
	flow = one_line(e->value, depth + (out->n - line) + 1, top);
	if (flow) {
		buf_text(out, " ");
		buf_text(out, flow);
		end_line(out, e->head, e->trailing);
		mem_free(NULL, MEM_TOPOLOGY, flow);
	} else {
		end_line(out, e->head, e->trailing);
		print_block(out, e->value, depth + 2, false);
	}
}

static void
print_item(struct buf *out, const struct tree_entry *e, size_t depth)
{
	char *flow = one_line(e->value, depth + 2, false);

	buf_text(out, "- ");
	if (flow) {
		buf_text(out, flow);
		end_line(out, e->head, e->trailing);
		mem_free(NULL, MEM_TOPOLOGY, flow);
	} else {
		print_block(out, e->value, depth + 2, true);
	}
}

static void
print_lone_comment(struct buf *out, const char *text, size_t depth)
{
	if (!text)
		return;
	indent(out, depth);
	buf_text(out, text);
	buf_text(out, "\n");
}

/*
 * The comments of an entry and of the first entries inside it, all of which go above the line that they would share:
 * a comment there belongs to the outermost entry that begins on that line when it is read again.
 */
static void
print_before(struct buf *out, const struct tree_entry *e, size_t depth, bool top)
{
	char *flow = NULL;

	print_comments(out, e->before, depth, top);
	if (e->key || e->value->kind == TREE_SCALAR || !e->value->n)
		return;
	flow = one_line(e->value, depth + 2, false);
	if (!flow) { /* an item of several lines has no line end of its own */
		print_lone_comment(out, e->head, depth);
		print_lone_comment(out, e->trailing, depth);
		print_before(out, &e->value->entries[0], depth, false);
	}
	mem_free(NULL, MEM_TOPOLOGY, flow);
}

/* The entries of a collection, each on a line; the first may stand behind a "- " that is written already. */
static void
print_block(struct buf *out, const struct tree *t, size_t depth, bool first_indented)
{
	bool top = depth == 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct tree_entry *e = &t->entries[i];

		if (i || !first_indented) {
			print_before(out, e, depth, top);
			if (top && e->blank_before && out->n)
				buf_text(out, "\n");
			indent(out, depth);
		}
		if (e->key)
			print_map_entry(out, e, depth, top);
		else
			print_item(out, e, depth);
	}
}

char *
topo_print(const struct topo *t)
{
	struct buf out = { 0 };

	print_block(&out, t->doc->root, 0, false);
	print_comments(&out, t->doc->tail, 0, true);
	return buf_take(&out);
}
