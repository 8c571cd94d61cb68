/*
 * fabricd/lib/buckets.h -- a chained hash table of things that embed their place in it
 *
 * The caller brings the hash (keyed, see hash.h) and says what is equal; here things are only chained. The table grows
 * with what is in it, a bucket at a time (linear hashing): no call has to move them all. It never shrinks.
 *
 *   for (struct bucket_item *i = buckets_first(&t, hash); i; i = buckets_next(i))
 *           if (equal(CONTAINER_OF(i, struct thing, item)))
 *
 * A zeroed struct with mem and kind is an empty table.
 */
#ifndef FABRICD_LIB_BUCKETS_H
#define FABRICD_LIB_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fabricd/lib/mem.h"

struct bucket_item {
	struct bucket_item *next;
	uint32_t hash;
	uint32_t refs; /* the owner's, for whom it is free: the place would be padding */
};

struct buckets {
	struct mem *mem;
	enum mem_kind kind;
	struct bucket_item **heads;
	size_t n, cap;
	size_t half; /* power of two; buckets below n - half are split */
	size_t count;
};

static inline struct bucket_item **
bucket_of(const struct buckets *b, uint32_t hash)
{
	size_t i = hash & (2 * b->half - 1);

	return &b->heads[i < b->n ? i : hash & (b->half - 1)];
}

/* This one or the first behind it that has the hash. */
static inline struct bucket_item *
bucket_skip(struct bucket_item *i, uint32_t hash)
{
	while (i && i->hash != hash)
		i = i->next;
	return i;
}

/* All items of one hash, in no order; NULL: no more. */
static inline struct bucket_item *
buckets_first(const struct buckets *b, uint32_t hash)
{
	return b->n ? bucket_skip(*bucket_of(b, hash), hash) : NULL;
}

static inline struct bucket_item *
buckets_next(const struct bucket_item *i)
{
	return bucket_skip(i->next, i->hash);
}

void buckets_add(struct buckets *, struct bucket_item *, uint32_t hash);
void buckets_remove(struct buckets *, struct bucket_item *); /* nothing when it is not in the table */
void buckets_done(struct buckets *);                         /* leaves the items alone */

#endif
