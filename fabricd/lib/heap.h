/*
 * fabricd/lib/heap.h -- deadlines in order: a binary heap of things that know their own place in it
 *
 * What waits for a time embeds a struct heap_item. Equal times come in the order in which they were set. An item is in at
 * most one heap; the heap holds pointers only, and the item must leave it before it is freed.
 */
#ifndef FABRICD_LIB_HEAP_H
#define FABRICD_LIB_HEAP_H

#include <stddef.h>

#include "fabricd/lib/mem.h"
#include "fabricd/lib/mono.h"

struct heap_item {
	struct mono at;
	uint64_t seq; /* order among equal times */
	size_t pos;   /* from 1; 0: in no heap */
};

struct heap {
	struct mem *mem;
	enum mem_kind kind;
	struct heap_item **items; /* from 1 */
	size_t n, cap;
	uint64_t seq;
};

static inline struct heap
heap_make(struct mem *mem, enum mem_kind kind)
{
	return (struct heap){ .mem = mem, .kind = kind };
}
void heap_done(struct heap *); /* leaves the items alone */

/* The item with the least time; NULL when there is none. */
static inline struct heap_item *
heap_first(const struct heap *h)
{
	return h->n ? h->items[1] : NULL;
}

/* Puts the item in, or moves it to its new time, behind those of the same time; MONO_NEVER takes it out. */
void heap_set(struct heap *, struct heap_item *, struct mono at);
void heap_remove(struct heap *, struct heap_item *); /* nothing when it is in none */

#endif
