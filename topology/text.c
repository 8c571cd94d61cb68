/*
 * topology/text.c -- the arena of one file, texts that grow, and the distance between two words
 *
 * The arena hands out zeroed memory in chunks that double up to LAST_CHUNK, and gives all of it back at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/tree.h"

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

struct arena {
	struct chunk *chunks;
	size_t next_size;
};

#define FIRST_CHUNK (16u * 1024)
#define LAST_CHUNK  (1024u * 1024)

struct arena *
arena_new(void)
{
	struct arena *a = mem_zalloc(NULL, MEM_TOPOLOGY, sizeof(*a));

	a->next_size = FIRST_CHUNK;
	return a;
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		mem_free(NULL, MEM_TOPOLOGY, c);
	}
	mem_free(NULL, MEM_TOPOLOGY, a);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct chunk *c = a->chunks;
	void *p;

	n = (n + 15) & ~(size_t)15;
	if (!c || c->size - c->used < n) {
		size_t size = MAX_OF(n, a->next_size);

		c = mem_zalloc(NULL, MEM_TOPOLOGY, sizeof(*c) + size);
		c->size = size;
		c->next = a->chunks;
		a->chunks = c;
		a->next_size = MIN_OF(a->next_size * 2, LAST_CHUNK);
	}
	p = c->bytes + c->used;
	c->used += n;
	return p;
}

char *
arena_text(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	return p;
}

void
buf_bytes(struct buf *b, const char *bytes, size_t n)
{
	b->at = mem_grow(NULL, MEM_TOPOLOGY, b->at, &b->cap, b->n + n + 1, 1);
	memcpy(b->at + b->n, bytes, n);
	b->n += n;
	b->at[b->n] = '\0';
}

void
buf_text(struct buf *b, const char *s)
{
	buf_bytes(b, s, strlen(s));
}

void
buf_add(struct buf *b, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	b->at = mem_grow(NULL, MEM_TOPOLOGY, b->at, &b->cap, b->n + (size_t)n + 1, 1);
	va_start(args, fmt);
	vsnprintf(b->at + b->n, (size_t)n + 1, fmt, args);
	va_end(args);
	b->n += (size_t)n;
}

char *
buf_take(struct buf *b)
{
	char *s;

	buf_bytes(b, "", 0);
	s = b->at;
	*b = (struct buf){ 0 };
	return s;
}

#define WORD_MAX 64

size_t
edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t row[3][WORD_MAX +
		      1]; /* the row in work, the one before, and the one before that: optimal string alignment */

	if (n > WORD_MAX || m > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *up = row[(i - 1) % 3], *two_up = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN_OF(best, up[j] + 1);
			best = MIN_OF(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN_OF(best, two_up[j - 2] + 1);
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

bool
edit_is_near(size_t distance, const char *word)
{
	return distance <= MAX_OF(strlen(word) / 3, 1u);
}

#define MEANT_MAX 3

bool
topo_did_you_mean(const char *typed, const char *const words[], size_t n, char *buf, size_t size)
{
	const char *meant[MEANT_MAX];
	size_t found = 0, best = SIZE_MAX, at;

	for (size_t i = 0; i < n; i++) {
		size_t d = words[i] ? edit_distance(typed, words[i]) : SIZE_MAX;
		bool again = false;

		if (d > best || !edit_is_near(d, typed))
			continue;
		if (d < best)
			found = 0;
		best = d;
		for (size_t k = 0; k < found; k++)
			again |= strcmp(meant[k], words[i]) == 0;
		if (!again && found < MEANT_MAX)
			meant[found++] = words[i];
	}
	buf[0] = '\0';
	at = found ? (size_t)snprintf(buf, size, "did you mean ") : 0;
	for (size_t i = 0; i < found && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s%s",
		    i == 0          ? ""
		    : i + 1 < found ? ", "
				    : " or ",
		    meant[i], i + 1 < found ? "" : "?");
	return found > 0;
}
