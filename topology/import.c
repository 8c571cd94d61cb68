/*
 * topology/import.c -- cables out of other tools' files: PTM's DOT and containerlab's YAML
 *
 * DOT: statements `"node":"port" -- "node":"port"`, in chains too; attributes, node statements and comments are passed
 * by. Containerlab: topology.links[].endpoints, as "node:port" or as {node: N, interface: P}.
 * A file is understood as a whole or not at all.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

#define IMPORT_MAX (4u * 1024 * 1024) /* bytes */

struct cables {
	struct topo_cable *v;
	size_t n, cap;
};

struct end {
	char node[TOPO_NAME_MAX], port[TOPO_NAME_MAX];
};

static void
add_cable(struct cables *c, const struct end *a, const struct end *b)
{
	struct topo_cable *cable;

	c->v = mem_grow(NULL, MEM_TOPOLOGY, c->v, &c->cap, c->n + 1, sizeof(*c->v));
	cable = &c->v[c->n++];
	memcpy(cable->a, a->node, sizeof(cable->a));
	memcpy(cable->a_port, a->port, sizeof(cable->a_port));
	memcpy(cable->b, b->node, sizeof(cable->b));
	memcpy(cable->b_port, b->port, sizeof(cable->b_port));
}

static int
give(struct cables *c, bool ok, struct topo_cable **out, size_t *n)
{
	if (!ok) {
		mem_free(NULL, MEM_TOPOLOGY, c->v);
		*c = (struct cables){ 0 };
	}
	*out = c->v;
	*n = c->n;
	return ok ? 0 : -1;
}

/* ---- DOT ---- */

enum token {
	T_END,
	T_ID,
	T_EDGE,
	T_COLON,
	T_SEMICOLON,
	T_COMMA,
	T_EQUALS,
	T_OPEN,
	T_CLOSE,
	T_ATTR_OPEN,
	T_ATTR_CLOSE,
	T_BAD
};

struct lexer {
	struct rd r;
	enum token token;
	char id[TOPO_NAME_MAX]; /* of T_ID; empty when it does not fit: no name of ours */
	bool quoted;
};

static int
peek(const struct rd *r, size_t ahead)
{
	return rd_left(r) > ahead ? r->at[ahead] : -1;
}

static void
skip_line(struct rd *r)
{
	while (!rd_done(r) && rd_u8(r) != '\n')
		;
}

static void
skip_blanks(struct rd *r)
{
	for (;;) {
		int c = peek(r, 0);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			rd_u8(r);
		} else if (c == '#' || (c == '/' && peek(r, 1) == '/')) {
			skip_line(r);
		} else if (c == '/' && peek(r, 1) == '*') {
			rd_take(r, 2);
			while (!rd_done(r) && !(peek(r, 0) == '*' && peek(r, 1) == '/'))
				rd_u8(r);
			rd_take(r, 2);
		} else {
			return;
		}
	}
}

static bool
id_char(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
	       c >= 0x80;
}

static void
keep(struct lexer *l, size_t *n, uint8_t c)
{
	if (*n < sizeof(l->id) - 1)
		l->id[*n] = (char)c;
	++*n;
}

static enum token
read_id(struct lexer *l)
{
	size_t n = 0;

	memset(l->id, 0, sizeof(l->id));
	l->quoted = peek(&l->r, 0) == '"';
	if (!l->quoted) {
		while (id_char(peek(&l->r, 0)))
			keep(l, &n, rd_u8(&l->r));
	} else {
		rd_u8(&l->r);
		while (!rd_done(&l->r) && peek(&l->r, 0) != '"') {
			if (peek(&l->r, 0) == '\\' && peek(&l->r, 1) == '"')
				rd_u8(&l->r);
			keep(l, &n, rd_u8(&l->r));
		}
		if (rd_done(&l->r))
			return T_BAD;
		rd_u8(&l->r);
	}
	if (n >= sizeof(l->id))
		l->id[0] = '\0';
	return n || l->quoted ? T_ID : T_BAD;
}

static void
next(struct lexer *l)
{
	static const char marks[] = ":;,={}[]";
	static const enum token tokens[] = { T_COLON, T_SEMICOLON, T_COMMA, T_EQUALS, T_OPEN, T_CLOSE, T_ATTR_OPEN,
		T_ATTR_CLOSE };
	const char *mark;
	int c;

	skip_blanks(&l->r);
	c = peek(&l->r, 0);
	mark = c > 0 ? strchr(marks, c) : NULL;
	if (c < 0) {
		l->token = l->r.bad ? T_BAD : T_END;
	} else if (mark) {
		rd_u8(&l->r);
		l->token = tokens[mark - marks];
	} else if (c == '-' && (peek(&l->r, 1) == '-' || peek(&l->r, 1) == '>')) {
		rd_take(&l->r, 2);
		l->token = T_EDGE;
	} else {
		l->token = read_id(l);
	}
}

static bool
accept(struct lexer *l, enum token t)
{
	if (l->token != t)
		return false;
	next(l);
	return true;
}

static bool
is_word(const struct lexer *l, const char *word)
{
	return l->token == T_ID && !l->quoted && strcasecmp(l->id, word) == 0;
}

/* [a=b, c=d] ... */
static bool
skip_attributes(struct lexer *l)
{
	while (accept(l, T_ATTR_OPEN)) {
		while (!accept(l, T_ATTR_CLOSE)) {
			if (l->token == T_END || l->token == T_BAD || l->token == T_OPEN)
				return false;
			next(l);
		}
	}
	return true;
}

/* node, node:port, node:port:compass */
static bool
read_end(struct lexer *l, struct end *e)
{
	memset(e, 0, sizeof(*e));
	if (l->token != T_ID)
		return false;
	memcpy(e->node, l->id, sizeof(e->node));
	next(l);
	if (!accept(l, T_COLON))
		return true;
	if (l->token != T_ID)
		return false;
	memcpy(e->port, l->id, sizeof(e->port));
	next(l);
	return !accept(l, T_COLON) || accept(l, T_ID);
}

static bool
read_statement(struct lexer *l, struct cables *c)
{
	struct end a, b;

	if (!read_end(l, &a))
		return false;
	if (accept(l, T_EQUALS))
		return accept(l, T_ID);
	while (accept(l, T_EDGE)) {
		if (!read_end(l, &b) || !a.node[0] || !a.port[0] || !b.node[0] || !b.port[0])
			return false;
		add_cable(c, &a, &b);
		a = b;
	}
	return skip_attributes(l);
}

static bool
read_graph(struct lexer *l, struct cables *c)
{
	next(l);
	if (is_word(l, "strict"))
		next(l);
	if (!is_word(l, "graph") && !is_word(l, "digraph"))
		return false;
	next(l);
	accept(l, T_ID);
	if (!accept(l, T_OPEN))
		return false;
	while (l->token != T_CLOSE) {
		if (!accept(l, T_SEMICOLON) && !read_statement(l, c))
			return false;
	}
	next(l);
	return l->token == T_END;
}

int
topo_import_dot(const char *text, size_t len, struct topo_cable **out, size_t *n)
{
	struct lexer l = { .r = rd_make(text, len) };
	struct cables c = { 0 };

	return give(&c, len <= IMPORT_MAX && read_graph(&l, &c), out, n);
}

/* ---- containerlab ---- */

static bool
fill_end(struct end *e, const char *node, size_t nnode, const char *port)
{
	size_t nport = strlen(port);

	memset(e, 0, sizeof(*e));
	if (nnode == 0 || nport == 0 || nnode >= sizeof(e->node) || nport >= sizeof(e->port))
		return false;
	memcpy(e->node, node, nnode);
	memcpy(e->port, port, nport);
	return true;
}

static bool
read_endpoint_of(const struct tree *v, struct end *e)
{
	const struct tree *node = tree_get(v, "node"), *port = tree_get(v, "interface");
	const char *colon;

	if (v->kind == TREE_SCALAR) {
		colon = strchr(v->text, ':');
		return colon && fill_end(e, v->text, (size_t)(colon - v->text), colon + 1);
	}
	return node && port && node->kind == TREE_SCALAR && port->kind == TREE_SCALAR &&
	       fill_end(e, node->text, strlen(node->text), port->text);
}

static bool
read_links(const struct tree *links, struct cables *c)
{
	if (!links || links->kind != TREE_LIST)
		return false;
	for (size_t i = 0; i < links->n; i++) {
		const struct tree *ends = tree_get(links->entries[i].value, "endpoints");
		struct end a, b;

		if (!ends || ends->kind != TREE_LIST || ends->n != 2 || !read_endpoint_of(ends->entries[0].value, &a) ||
		    !read_endpoint_of(ends->entries[1].value, &b))
			return false;
		add_cable(c, &a, &b);
	}
	return true;
}

int
topo_import_containerlab(const char *text, size_t len, struct topo_cable **out, size_t *n)
{
	struct topo_errors errs = { 0 };
	struct topo_doc *doc = tree_parse(text, len, &errs);
	struct cables c = { 0 };
	bool ok = doc && read_links(tree_get(tree_get(doc->root, "topology"), "links"), &c);

	topo_doc_free(doc);
	topo_errors_free(&errs);
	return give(&c, ok, out, n);
}

/* ---- names ---- */

bool
topo_import_name(const char *text, size_t len, char name[TOPO_NAME_MAX])
{
	struct lexer l = { .r = rd_make(text, len) };
	struct topo_errors errs = { 0 };
	const struct tree *v;
	struct topo_doc *doc;

	name[0] = '\0';
	next(&l);
	if (is_word(&l, "strict"))
		next(&l);
	if (is_word(&l, "graph") || is_word(&l, "digraph")) {
		next(&l);
		if (l.token == T_ID)
			memcpy(name, l.id, TOPO_NAME_MAX);
		return name[0] != '\0';
	}
	doc = tree_parse(text, len, &errs);
	v = doc ? tree_get(doc->root, "name") : NULL;
	if (v && v->kind == TREE_SCALAR && strlen(v->text) < TOPO_NAME_MAX)
		memcpy(name, v->text, strlen(v->text) + 1);
	topo_doc_free(doc);
	topo_errors_free(&errs);
	return name[0] != '\0';
}
