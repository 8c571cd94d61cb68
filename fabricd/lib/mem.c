/* fabricd/lib/mem.c -- see mem.h */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"

static const char *const kind_names[MEM_KINDS] = {
	[MEM_OTHER] = "other",
	[MEM_TOPOLOGY] = "topology",
	[MEM_RUNTIME] = "runtime",
	[MEM_LINK] = "link",
	[MEM_SESSION] = "session",
	[MEM_ATTRS] = "attributes",
	[MEM_PATH_LIST] = "path lists",
	[MEM_PREFIX] = "prefixes",
	[MEM_EXPORT] = "export",
	[MEM_FIB] = "fib",
	[MEM_QUERY] = "query",
	[MEM_EVENT] = "events",
};

const char *
mem_kind_name(enum mem_kind kind)
{
	return (size_t)kind < MEM_KINDS ? kind_names[kind] : "?";
}

static _Noreturn void
mem_out_of_memory(enum mem_kind kind, size_t n)
{
	fprintf(stderr, "out of memory: %zu bytes for %s; forwarding is left as it is; give the process more memory\n",
	    n, mem_kind_name(kind));
	abort();
}

static void
count_add(struct mem *m, enum mem_kind kind, void *p)
{
	struct mem_count *c;

	if (!m)
		return;
	c = &m->by[kind];
	c->bytes += malloc_usable_size(p);
	c->peak_bytes = MAX_OF(c->peak_bytes, c->bytes);
	c->allocs++;
}

static void
count_sub(struct mem *m, enum mem_kind kind, void *p)
{
	if (!m || !p)
		return;
	m->by[kind].bytes -= malloc_usable_size(p);
	m->by[kind].frees++;
}

void *
mem_alloc(struct mem *m, enum mem_kind kind, size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		mem_out_of_memory(kind, n);
	count_add(m, kind, p);
	return p;
}

void *
mem_try(struct mem *m, enum mem_kind kind, size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (p)
		count_add(m, kind, p);
	return p;
}

void *
mem_zalloc(struct mem *m, enum mem_kind kind, size_t n)
{
	void *p = mem_try(m, kind, n);

	if (!p)
		mem_out_of_memory(kind, n);
	return p;
}

void *
mem_realloc(struct mem *m, enum mem_kind kind, void *old, size_t n)
{
	void *p;

	count_sub(m, kind, old);
	p = realloc(old, n ? n : 1);
	if (!p)
		mem_out_of_memory(kind, n);
	count_add(m, kind, p);
	return p;
}

char *
mem_strdup(struct mem *m, enum mem_kind kind, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(mem_alloc(m, kind, n), s, n);
}

void
mem_free(struct mem *m, enum mem_kind kind, void *p)
{
	count_sub(m, kind, p);
	free(p);
}

void *
mem_grow(struct mem *m, enum mem_kind kind, void *p, size_t *cap, size_t need, size_t size)
{
	size_t want = *cap ? *cap : 8;

	if (need <= *cap)
		return p;
	while (want < need)
		want *= 2;
	p = mem_realloc(m, kind, p, want * size);
	*cap = want;
	return p;
}
