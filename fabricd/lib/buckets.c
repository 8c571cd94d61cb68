/* fabricd/lib/buckets.c -- see buckets.h */
#include "fabricd/lib/buckets.h"

#define FIRST 16 /* a power of two */
#define AHEAD 8  /* the items of a bucket are fetched so many splits before its turn */

static void
push(struct buckets *b, struct bucket_item *i)
{
	struct bucket_item **at = bucket_of(b, i->hash);

	i->next = *at;
	*at = i;
}

static void
make(struct buckets *b)
{
	b->heads = mem_zalloc(b->mem, b->kind, FIRST * sizeof(struct bucket_item *));
	b->n = b->half = b->cap = FIRST;
}

/* One bucket more: it takes its part of the one that held both until now. */
static void
split(struct buckets *b)
{
	size_t from = b->n - b->half;
	struct bucket_item *i, *next;

	b->heads = mem_grow(b->mem, b->kind, b->heads, &b->cap, b->n + 1, sizeof(struct bucket_item *));
	if (from + AHEAD < b->half && b->heads[from + AHEAD])
		__builtin_prefetch(b->heads[from + AHEAD]);
	i = b->heads[from];
	b->heads[from] = b->heads[b->n++] = NULL;
	for (; i; i = next) {
		next = i->next;
		push(b, i);
	}
	if (b->n == 2 * b->half)
		b->half = b->n;
}

void
buckets_add(struct buckets *b, struct bucket_item *i, uint32_t hash)
{
	if (!b->n)
		make(b);
	else if (b->count >= b->n)
		split(b);
	i->hash = hash;
	push(b, i);
	b->count++;
}

void
buckets_remove(struct buckets *b, struct bucket_item *item)
{
	for (struct bucket_item **at = b->n ? bucket_of(b, item->hash) : NULL; at && *at; at = &(*at)->next)
		if (*at == item) {
			*at = item->next;
			b->count--;
			return;
		}
}

void
buckets_done(struct buckets *b)
{
	mem_free(b->mem, b->kind, b->heads);
	*b = (struct buckets){ .mem = b->mem, .kind = b->kind };
}
