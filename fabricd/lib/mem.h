/*
 * fabricd/lib/mem.h -- checked allocation with counters by kind
 *
 * Each node owns one struct mem and hands it down. mem_alloc() and its kin never return NULL:
 * out of memory is a controlled end of the process (mem_out_of_memory prints what asked for how
 * much, then aborts), forwarding stays as it is, and the supervisor starts us again. A size that
 * an outsider chose goes through mem_try(), which returns NULL.
 * A NULL struct mem is allowed (tools, tests): then nothing is counted.
 */
#ifndef FABRICD_LIB_MEM_H
#define FABRICD_LIB_MEM_H

#include <stddef.h>
#include <stdint.h>

enum mem_kind {
	MEM_OTHER,
	MEM_TOPOLOGY,
	MEM_RUNTIME,
	MEM_LINK,
	MEM_SESSION,   /* BGP sessions and their input buffers */
	MEM_ATTRS,     /* interned path attributes */
	MEM_PATH_LIST, /* interned path lists and next hops */
	MEM_PREFIX,    /* prefix tables */
	MEM_EXPORT,    /* encoded messages that wait to be sent */
	MEM_FIB,       /* shadow of the forwarding plane */
	MEM_QUERY,
	MEM_EVENT,
	MEM_KINDS,
};

struct mem {
	struct mem_count {
		size_t bytes, peak_bytes;
		uint64_t allocs, frees;
	} by[MEM_KINDS];
};

const char *mem_kind_name(enum mem_kind kind);

void *mem_alloc(struct mem *m, enum mem_kind kind, size_t n);  /* not zeroed */
void *mem_zalloc(struct mem *m, enum mem_kind kind, size_t n); /* zeroed */
void *mem_realloc(struct mem *m, enum mem_kind kind, void *p, size_t n);
void *mem_try(struct mem *m, enum mem_kind kind, size_t n); /* zeroed, or NULL */
char *mem_strdup(struct mem *m, enum mem_kind kind, const char *s);
void mem_free(struct mem *m, enum mem_kind kind, void *p); /* NULL is allowed */

/*
 * Makes room for at least `need` elements of `size` bytes in the array p of *cap elements: returns
 * the array, perhaps moved, and raises *cap by doubling. New room is not zeroed.
 */
void *mem_grow(struct mem *m, enum mem_kind kind, void *p, size_t *cap, size_t need, size_t size);

#endif
