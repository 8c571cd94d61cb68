/*
 * topology/tree.h -- private: the document tree of a topology file, its arena, its error list
 *
 * The tree is what the text says before any schema: maps, lists and scalars, each with its position, and each entry
 * with the comments that belong to it. Every scalar is text. The arena owns the tree and all that is built from it.
 */
#ifndef TOPOLOGY_TREE_H
#define TOPOLOGY_TREE_H

#include "fabricd/lib/base.h"
#include "topology/topology.h"

#define TREE_DEPTH_MAX  16                 /* collections inside each other */
#define TREE_SIZE_MAX   (4u * 1024 * 1024) /* bytes of text */
#define TREE_LINE_MAX   (1024u * 1024)     /* bytes of one line */
#define TREE_KEY_MAX    64u                /* bytes of a key */
#define TOPO_ERRORS_MAX 200                /* then one line says that there are more */

/* ---- memory: all of one file's structs go at once ---- */

struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *);                           /* NULL is allowed */
void *arena_alloc(struct arena *, size_t n);               /* zeroed; never NULL */
char *arena_text(struct arena *, const char *s, size_t n); /* a copy with a NUL */

/* A text that grows; buf_take gives it away (free() it). */
struct buf {
	char *at;
	size_t n, cap;
};
void buf_bytes(struct buf *, const char *bytes, size_t n);
void buf_text(struct buf *, const char *s);
void buf_add(struct buf *, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *buf_take(struct buf *); /* never NULL */

/* ---- the tree ---- */

enum tree_kind { TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree {
	enum tree_kind kind;
	unsigned int line, col; /* from 1, in characters */
	size_t start, end;      /* byte offsets of the text, end not included */
	bool flow;              /* collections: written as {} or [] */
	bool quoted;            /* scalars: written in quotes */
	bool force_quotes;      /* the schema wants quotes in the canonical form */
	const char *text;       /* scalars: ends with a NUL, holds none */
	struct tree_entry *entries;
	size_t n, cap;
};

struct tree_comment {
	struct tree_comment *next;
	const char *text; /* with its '#' */
	bool blank_before;
};

struct tree_entry {
	struct tree *key; /* NULL in a list */
	struct tree *value;
	struct tree_comment *before; /* on lines of their own */
	const char *head;            /* behind "key:", the value begins below */
	const char *trailing;        /* behind the value */
	bool blank_before;           /* an empty line stood before it */
	struct tree_entry *parent;
};

struct topo_doc {
	struct arena *arena;
	struct tree *root;
	struct tree_comment *tail; /* comments after the last entry */
};

/* NULL, with errors added, when the text is not the strict subset of YAML that we read. */
struct topo_doc *tree_parse(const char *text, size_t len, struct topo_errors *);
void tree_comments(struct topo_doc *, const char *text, size_t len, const struct tree *const *scalars, size_t n);
void topo_doc_free(struct topo_doc *);

/* Offset of the first byte that is not well-formed UTF-8 (RFC 3629), or n. */
size_t utf8_bad(const char *s, size_t n);

/* The value of a key, or NULL; m may be NULL or no map. */
struct tree *tree_get(const struct tree *m, const char *key);
/* Where an error about a key of m is shown: its value when it is there, else m. */
const struct tree *tree_at(const struct tree *m, const char *key);

/* ---- errors ---- */

/*
 * Adds an error at a place of the file (at may be NULL: the file as a whole). The result is for error_hint and
 * error_other, until the next error is added; NULL once there are too many.
 */
struct topo_error *error_add(struct topo_errors *, const struct tree *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct topo_error *warning_add(struct topo_errors *, const struct tree *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct topo_error *error_at(struct topo_errors *, unsigned int line, unsigned int col, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
void error_hint(struct topo_error *, const char *fmt, ...) PRINTF_LIKE(2, 3); /* NULL is allowed */
void error_other(struct topo_error *, const struct tree *other);              /* NULLs are allowed */
void errors_sort(struct topo_errors *);

/* Edits (insert, delete, replace, swap of two neighbours) from a to b; SIZE_MAX for texts above 64 bytes. */
size_t edit_distance(const char *a, const char *b);
/* Whether so many edits are few enough for a suggestion. */
bool edit_is_near(size_t distance, const char *word);

#endif
