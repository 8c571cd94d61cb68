/*
 * topology/comments.c -- finds the comments of a text and gives each to the entry that it belongs to
 *
 * libyaml drops comments, so they are found again: a '#' outside of every scalar begins one. Where it goes:
 *
 *   # before        a line of its own: to the next entry (the outermost that begins there), or the file's end
 *   key:  # head    behind a key whose value begins below
 *   key: 1  # trailing, to the outermost entry that has ended there; within {} and [] to the last element
 *
 * Always true: every comment of the text is in the tree exactly once.
 */
#include <string.h>

#include "topology/tree.h"

struct finder {
	struct topo_doc *doc;
	const char *text;
	size_t len;
	struct tree_entry **order; /* all entries as they begin in the text, outer before inner */
	size_t n, cap;
	struct tree_comment **list, **end; /* the list that the last comment went to, and its end */
};

static size_t
entry_start(const struct tree_entry *e)
{
	return e->key ? e->key->start : e->value->start;
}

static bool
blank_line_before(const struct finder *f, size_t at)
{
	size_t ends = 0;

	while (at > 0 && (f->text[at - 1] == ' ' || f->text[at - 1] == '\n' || f->text[at - 1] == '-'))
		ends += f->text[--at] == '\n';
	return ends > 1;
}

static void
flatten(struct finder *f, struct tree *in, struct tree_entry *parent)
{
	for (size_t i = 0; i < in->n; i++) {
		struct tree_entry *e = &in->entries[i];

		e->parent = parent;
		e->blank_before = blank_line_before(f, entry_start(e));
		f->order = mem_grow(NULL, MEM_TOPOLOGY, f->order, &f->cap, f->n + 1, sizeof(struct tree_entry *));
		f->order[f->n++] = e;
		if (e->value->kind != TREE_SCALAR)
			flatten(f, e->value, e); /* depth is bounded by the parser */
	}
}

/* How many entries begin at or before the place. */
static size_t
begun(const struct finder *f, size_t at)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (entry_start(f->order[mid]) <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const char *
joined(struct finder *f, const char *a, const char *b)
{
	struct buf both = { 0 };
	const char *s;

	if (!a)
		return b;
	buf_add(&both, "%s %s", a, b);
	s = arena_text(f->doc->arena, both.at, both.n);
	mem_free(NULL, MEM_TOPOLOGY, both.at);
	return s;
}

static void
own_line(struct finder *f, size_t at, const char *text)
{
	size_t next = begun(f, at);
	struct tree_comment *c = arena_alloc(f->doc->arena, sizeof(*c)), **list;

	c->text = text;
	c->blank_before = blank_line_before(f, at);
	list = next < f->n ? &f->order[next]->before : &f->doc->tail;
	if (list != f->list) /* comments come in order, so each list is filled in one go */
		f->list = f->end = list;
	*f->end = c;
	f->end = &c->next;
}

static void
same_line(struct finder *f, size_t at, const char *text)
{
	size_t n = begun(f, at);
	struct tree_entry *e;

	if (n == 0) { /* behind `---` or the root's bracket */
		own_line(f, at, text);
		return;
	}
	e = f->order[n - 1];
	if (e->value->end > at || (e->value->kind == TREE_SCALAR && e->value->flow)) {
		e->head = joined(f, e->head, text);
		return;
	}
	while (e->parent && e->parent->value->flow && e->parent->value->end <= at)
		e = e->parent;
	e->trailing = joined(f, e->trailing, text);
}

void
tree_comments(struct topo_doc *doc, const char *text, size_t len, const struct tree *const *scalars, size_t n)
{
	struct finder f = { .doc = doc, .text = text, .len = len };
	size_t next = 0;
	bool line_has_more = false;

	flatten(&f, doc->root, NULL);
	for (size_t at = 0; at < len; at++) {
		while (next < n && scalars[next]->end <= at)
			next++;
		if (next < n && scalars[next]->start <= at && scalars[next]->end > at) {
			const struct tree *s = scalars[next];
			const char *eol = memchr(text + at, '\n', len - at);

			line_has_more = true;
			/* the header line of a block scalar may hold a comment, its body may not */
			if (s->flow && text[at] != '#' && text[at] != '\n')
				continue;
			if (s->flow && text[at] == '#' && eol)
				same_line(&f, at, arena_text(doc->arena, text + at, (size_t)(eol - text) - at));
			at = s->end - 1;
			line_has_more = text[at] != '\n';
			continue;
		}
		if (text[at] == '\n') {
			line_has_more = false;
		} else if (text[at] == '#') {
			const char *eol = memchr(text + at, '\n', len - at);
			size_t stop = eol ? (size_t)(eol - text) : len, end = stop;
			const char *c;

			while (end > at && text[end - 1] == ' ')
				end--;
			c = arena_text(doc->arena, text + at, end - at);
			if (line_has_more)
				same_line(&f, at, c);
			else
				own_line(&f, at, c);
			at = stop - 1;
		} else if (text[at] != ' ') {
			line_has_more = true;
		}
	}
	mem_free(NULL, MEM_TOPOLOGY, f.order);
}
