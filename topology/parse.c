/*
 * topology/parse.c -- text to document tree: libyaml's events, held to a strict subset of YAML
 *
 *   bytes --look_over--> clean text --libyaml--> events --handlers--> struct tree
 *                                                                        +-- comments.c adds the comments
 *
 * Always true of a tree that leaves here: it has one map at its root, no key stands twice in a map, keys are
 * scalars, no scalar holds a control character, depth and size are bounded. What YAML offers beyond that is refused:
 * anchors, aliases, merge keys, tags, directives, several documents, tabs. JSON passes, being YAML's flow style.
 *
 * Positions: libyaml counts characters, we keep bytes too (for comments): struct place follows the marks through the
 * text, so that a long line costs no more than its length.
 *
 * Not here: what a key means (schema.c).
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

/* ---- the bytes, before YAML ---- */

size_t
utf8_bad(const char *s, size_t n)
{
	struct rd r = rd_make(s, n);

	while (!rd_done(&r)) {
		size_t at = n - rd_left(&r);
		uint8_t c = rd_u8(&r);
		unsigned int more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
		uint32_t v = more == 1 ? c & 0x1fu : more == 2 ? c & 0x0fu : c & 0x07u;

		if (more == 9)
			return at;
		for (unsigned int i = 0; i < more; i++) {
			uint8_t next = rd_u8(&r);

			if (r.bad || (next & 0xc0) != 0x80)
				return at;
			v = v << 6 | (next & 0x3fu);
		}
		if ((more == 2 && (v < 0x800 || (v >= 0xd800 && v <= 0xdfff))) ||
		    (more == 3 && (v < 0x10000 || v > 0x10ffff)))
			return at;
	}
	return n;
}

struct place {
	const char *text;
	size_t byte, chars;
};

/* Moves to the given character of the text. Marks go forward, but for a step or two. */
static size_t
place_go(struct place *p, size_t len, size_t chars)
{
	while (p->chars < chars && p->byte < len) {
		p->byte++;
		while (p->byte < len && ((unsigned char)p->text[p->byte] & 0xc0) == 0x80)
			p->byte++;
		p->chars++;
	}
	while (p->chars > chars && p->byte > 0) {
		p->byte--;
		while (p->byte > 0 && ((unsigned char)p->text[p->byte] & 0xc0) == 0x80)
			p->byte--;
		p->chars--;
	}
	return p->byte;
}

static void
error_at_byte(struct topo_errors *errs, const char *text, size_t at, const char *what, const char *hint)
{
	unsigned int line = 1, col = 1;

	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			line++;
			col = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			col++;
		}
	}
	error_hint(error_at(errs, line, col, "%s", what), "%s", hint);
}

/* What a text must not hold, each told once, at its first place. */
static const struct unwanted {
	const char *what, *hint;
	const char *bytes; /* any of the bytes, or, when `whole`, all of them in a row */
	size_t n;
	bool whole;
} unwanted[] = {
	{ "the file holds a NUL byte; it is binary or was cut by a crash", "write it again, or take it from its source",
	    "\0", 1, false },
	{ "the line ends with CR LF, as on Windows", "convert the file: sed -i 's/\\r$//' FILE", "\r", 1, false },
	{ "a tab", "indent and separate with spaces", "\t", 1, false },
	{ "a control character", "remove it",
	    "\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d"
	    "\x1e\x1f\x7f",
	    29, false },
	{ "a Unicode line separator (U+0085)", "replace it by a line end", "\xc2\x85", 2, true },
	{ "a Unicode line separator (U+2028)", "replace it by a line end", "\xe2\x80\xa8", 3, true },
	{ "a Unicode line separator (U+2029)", "replace it by a line end", "\xe2\x80\xa9", 3, true },
	{ "a byte order mark inside the file (U+FEFF)", "remove it", "\xef\xbb\xbf", 3, true },
};

static size_t
find_unwanted(const struct unwanted *u, const char *text, size_t len)
{
	bool is[256] = { false };

	if (u->whole) {
		const char *at = memmem(text, len, u->bytes, u->n);

		return at ? (size_t)(at - text) : len;
	}
	for (size_t i = 0; i < u->n; i++)
		is[(unsigned char)u->bytes[i]] = true;
	for (size_t i = 0; i < len; i++)
		if (is[(unsigned char)text[i]])
			return i;
	return len;
}

static bool
look_over(const char *text, size_t len, struct topo_errors *errs)
{
	size_t before = errs->n, bad, line = 0;

	if (len > TREE_SIZE_MAX) {
		error_add(errs, NULL, "the file has %zu bytes; at most %u (4 MiB) are read", len, TREE_SIZE_MAX);
		return false;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		error_at_byte(errs, text, 0, "the file begins with a byte order mark (BOM)",
		    "remove it: sed -i '1s/^\\xef\\xbb\\xbf//' FILE");
		text += 3;
		len -= 3;
	}
	bad = utf8_bad(text, len);
	if (bad < len)
		error_at_byte(errs, text, bad, "the text is not UTF-8",
		    "the file is binary or in another encoding; save it as UTF-8");
	for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
		size_t at = find_unwanted(&unwanted[i], text, len);

		if (at < len)
			error_at_byte(errs, text, at, unwanted[i].what, unwanted[i].hint);
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			line = i + 1;
		} else if (i - line >= TREE_LINE_MAX) {
			error_at_byte(errs, text, line, "the line is longer than 1 MiB", "break it into several lines");
			break;
		}
	}
	return errs->n == before;
}

/* ---- events to tree ---- */

struct builder {
	yaml_parser_t yaml;
	struct topo_doc *doc;
	struct topo_errors *errs;
	const char *text;
	size_t len;
	struct place place;
	struct tree *stack[TREE_DEPTH_MAX];
	struct tree *key[TREE_DEPTH_MAX]; /* of the map at that depth: a key that waits for its value */
	size_t depth;
	unsigned int documents;
	bool stop; /* nothing sensible can follow */
	const struct tree **scalars;
	size_t nscalars, cap;
};

static struct tree *
new_node(struct builder *b, enum tree_kind kind, const yaml_event_t *e)
{
	struct tree *t = arena_alloc(b->doc->arena, sizeof(*t));

	t->kind = kind;
	t->line = (unsigned int)e->start_mark.line + 1;
	t->col = (unsigned int)e->start_mark.column + 1;
	t->start = place_go(&b->place, b->len, e->start_mark.index);
	t->end = place_go(&b->place, b->len, e->end_mark.index);
	return t;
}

static void
refuse(struct builder *b, const yaml_event_t *e, const char *what, const char *hint)
{
	error_hint(
	    error_at(b->errs, (unsigned int)e->start_mark.line + 1, (unsigned int)e->start_mark.column + 1, "%s", what),
	    "%s", hint);
}

static struct tree_entry *
add_entry(struct builder *b, struct tree *to, struct tree *key, struct tree *value)
{
	if (to->n == to->cap) {
		size_t cap = to->cap ? to->cap * 2 : 4;
		struct tree_entry *more = arena_alloc(b->doc->arena, cap * sizeof(*more));

		if (to->n)
			memcpy(more, to->entries, to->n * sizeof(*more));
		to->entries = more;
		to->cap = cap;
	}
	to->entries[to->n] = (struct tree_entry){ .key = key, .value = value };
	return &to->entries[to->n++];
}

/* Hangs a complete node (or one that is about to be filled) into the collection in work. */
static void
hang(struct builder *b, struct tree *t)
{
	struct tree *in, **key;

	if (b->depth == 0) {
		b->doc->root = t;
		return;
	}
	in = b->stack[b->depth - 1];
	key = &b->key[b->depth - 1];
	if (in->kind == TREE_LIST) {
		add_entry(b, in, NULL, t);
	} else if (*key) {
		add_entry(b, in, *key, t);
		*key = NULL;
	} else {
		if (t->kind != TREE_SCALAR) {
			error_hint(error_add(b->errs, t, "a key must be a word, not a list or a map"),
			    "text with [ or { belongs in quotes");
			b->stop = true;
		} else if (!t->quoted && strcmp(t->text, "<<") == 0) {
			error_hint(error_add(b->errs, t, "merge keys (<<) are not part of the language"),
			    "write the keys out where they are meant");
		}
		if (t->kind == TREE_SCALAR && strlen(t->text) > TREE_KEY_MAX)
			error_add(b->errs, t, "a key is longer than %u bytes", TREE_KEY_MAX);
		*key = t;
	}
}

static void
refuse_props(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		refuse(b, e, "anchors (&) are not part of the language", "write the value out where it is meant");
	if (tag)
		refuse(b, e, "tags (!) are not part of the language", "the schema knows the type of each value");
}

static void
on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	size_t n = e->data.scalar.length;
	struct tree *t = new_node(b, TREE_SCALAR, e);

	refuse_props(b, e, e->data.scalar.anchor, e->data.scalar.tag);
	t->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	for (size_t i = 0; i < n; i++) {
		if (((unsigned char)value[i] < 0x20 && value[i] != '\n') || value[i] == 0x7f) {
			refuse(b, e, "the text holds a control character", "remove the escape sequence");
			n = i;
		}
	}
	t->text = arena_text(b->doc->arena, value, n);
	/* a block scalar's first line is its header, behind which a comment may stand */
	if (e->data.scalar.style == YAML_LITERAL_SCALAR_STYLE || e->data.scalar.style == YAML_FOLDED_SCALAR_STYLE)
		t->flow = true;
	if (b->nscalars == b->cap)
		b->scalars = mem_grow(NULL, MEM_TOPOLOGY, b->scalars, &b->cap, b->nscalars + 1, sizeof(*b->scalars));
	b->scalars[b->nscalars++] = t;
	hang(b, t);
}

static void
open_collection(struct builder *b, const yaml_event_t *e, enum tree_kind kind, bool flow)
{
	struct tree *t = new_node(b, kind, e);

	t->flow = flow;
	hang(b, t);
	if (b->depth == TREE_DEPTH_MAX) {
		error_hint(error_add(b->errs, t, "more than %u levels of nesting", TREE_DEPTH_MAX),
		    "no part of the language nests so deep");
		b->stop = true;
		return;
	}
	b->stack[b->depth] = t;
	b->key[b->depth++] = NULL;
}

static void
on_map(struct builder *b, const yaml_event_t *e)
{
	refuse_props(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	open_collection(b, e, TREE_MAP, e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
}

static void
on_list(struct builder *b, const yaml_event_t *e)
{
	refuse_props(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	open_collection(b, e, TREE_LIST, e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
}

static int
by_key(const void *pa, const void *pb)
{
	const struct tree *a = *(const struct tree *const *)pa, *b = *(const struct tree *const *)pb;
	int c = strcmp(a->text, b->text);

	return c ? c : (a->start > b->start) - (a->start < b->start);
}

static void
refuse_duplicate_keys(struct builder *b, const struct tree *map)
{
	const struct tree **keys = mem_alloc(NULL, MEM_TOPOLOGY, map->n * sizeof(const struct tree *));

	for (size_t i = 0; i < map->n; i++)
		keys[i] = map->entries[i].key;
	qsort(keys, map->n, sizeof(const struct tree *), by_key);
	for (size_t i = 1, first = 0; i < map->n; i++) {
		if (strcmp(keys[i]->text, keys[first]->text) != 0) {
			first = i;
			continue;
		}
		error_other(error_add(b->errs, keys[i], "the key `%s` stands here a second time; it is also in line %u",
				keys[i]->text, keys[first]->line),
		    keys[first]);
	}
	mem_free(NULL, MEM_TOPOLOGY, keys);
}

static void
on_end(struct builder *b, const yaml_event_t *e)
{
	struct tree *t = b->stack[--b->depth];

	if (t->flow)
		t->end = place_go(&b->place, b->len, e->end_mark.index);
	else if (t->n) /* libyaml's mark is behind the blank lines that follow */
		t->end = t->entries[t->n - 1].value->end;
	if (t->kind == TREE_MAP && t->n > 1)
		refuse_duplicate_keys(b, t);
}

static void
on_alias(struct builder *b, const yaml_event_t *e)
{
	struct tree *t = new_node(b, TREE_SCALAR, e);

	refuse(b, e, "aliases (*) are not part of the language",
	    "write the value out where it is meant; a text with * belongs in quotes");
	t->text = "";
	hang(b, t);
}

static void
on_document(struct builder *b, const yaml_event_t *e)
{
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
		refuse(b, e, "directives (%) are not part of the language", "remove the line");
	if (++b->documents > 1) {
		refuse(b, e, "a second document begins here", "one file holds one fabric: remove the line `---`");
		b->stop = true;
	}
}

static void (*const handlers[])(struct builder *, const yaml_event_t *) = {
	[YAML_DOCUMENT_START_EVENT] = on_document,
	[YAML_ALIAS_EVENT] = on_alias,
	[YAML_SCALAR_EVENT] = on_scalar,
	[YAML_SEQUENCE_START_EVENT] = on_list,
	[YAML_SEQUENCE_END_EVENT] = on_end,
	[YAML_MAPPING_START_EVENT] = on_map,
	[YAML_MAPPING_END_EVENT] = on_end,
};

/*
 * A port range without quotes in a map or a list: `local: eth[1-2]` in flow style. The mark of the problem counts
 * characters; a line before it that is not ASCII only costs the hint.
 */
static bool
ends_in_word(const char *text, size_t len, size_t at, char *word, size_t size)
{
	size_t from = at;

	if (at >= len || text[at] != '[')
		return false;
	while (from > 0 && at - from < size - 1 &&
	       strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-", text[from - 1]))
		from--;
	snprintf(word, size, "%.*s", (int)(at - from), text + from);
	return at > from;
}

static void
yaml_error(struct builder *b)
{
	const yaml_parser_t *y = &b->yaml;
	char word[32];
	struct topo_error *e = error_at(b->errs, (unsigned int)y->problem_mark.line + 1,
	    (unsigned int)y->problem_mark.column + 1, "this is not YAML: %s", y->problem ? y->problem : "unreadable");

	if (ends_in_word(b->text, b->len, y->problem_mark.index, word, sizeof(word)))
		error_hint(e, "a text with brackets in a map or list stands in quotes, like \"%s[1-4]\"", word);
	else if (y->context)
		error_hint(e, "%s that begins in line %zu; brackets, quotes and indentation are the usual causes",
		    y->context, y->context_mark.line + 1);
	else
		error_hint(e, "brackets, quotes and indentation are the usual causes");
}

static void
read_events(struct builder *b)
{
	yaml_event_t e;
	bool more = true;

	yaml_parser_set_encoding(&b->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b->yaml, (const unsigned char *)b->text, b->len);
	while (more && !b->stop) {
		if (!yaml_parser_parse(&b->yaml, &e)) {
			yaml_error(b);
			return;
		}
		if ((size_t)e.type < ARRAY_LEN(handlers) && handlers[e.type])
			handlers[e.type](b, &e);
		more = e.type != YAML_STREAM_END_EVENT && b->errs->n <= TOPO_ERRORS_MAX;
		yaml_event_delete(&e);
	}
}

struct topo_doc *
tree_parse(const char *text, size_t len, struct topo_errors *errs)
{
	static const char nothing[] = "";
	struct builder b = { .errs = errs, .text = text, .len = len, .place = { .text = text } };
	size_t before = errs->n;
	struct tree *root;

	if (len == 0)
		b.text = b.place.text = text = nothing; /* NULL is allowed */
	if (!look_over(text, len, errs))
		return NULL;
	if (!yaml_parser_initialize(&b.yaml)) {
		error_add(errs, NULL, "out of memory");
		return NULL;
	}
	b.doc = mem_zalloc(NULL, MEM_TOPOLOGY, sizeof(*b.doc));
	b.doc->arena = arena_new();
	read_events(&b);
	yaml_parser_delete(&b.yaml);
	root = b.doc->root;
	if (errs->n == before) {
		if (!root || (root->kind == TREE_SCALAR && root->text[0] == '\0'))
			error_hint(error_add(errs, NULL, "the file is empty"),
			    "a complete small file is the first example of docs/topology-file.md");
		else if (root->kind != TREE_MAP)
			error_hint(
			    error_add(errs, root, "the file must be a map of keys"), "it begins with `schema: 1`");
	}
	if (errs->n == before) {
		tree_comments(b.doc, text, len, b.scalars, b.nscalars);
	} else {
		topo_doc_free(b.doc);
		b.doc = NULL;
	}
	mem_free(NULL, MEM_TOPOLOGY, b.scalars);
	return b.doc;
}

void
topo_doc_free(struct topo_doc *doc)
{
	if (!doc)
		return;
	arena_free(doc->arena);
	mem_free(NULL, MEM_TOPOLOGY, doc);
}

struct tree *
tree_get(const struct tree *m, const char *key)
{
	if (!m || m->kind != TREE_MAP)
		return NULL;
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->entries[i].key->text, key) == 0)
			return m->entries[i].value;
	return NULL;
}

const struct tree *
tree_at(const struct tree *m, const char *key)
{
	const struct tree *v = tree_get(m, key);

	return v ? v : m;
}
