/* fabricd/sim/bound.c -- see bound.h */
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/mem.h"
#include "fabricd/sim/bound.h"

struct bound {
	const struct topo *t;
	size_t n, words;
	uint64_t *above; /* [node][words]: whom it reaches by going up alone; itself, too */
	uint64_t *below; /* [node][words]: who reaches it so */
	uint64_t *meet;  /* [node][words]: whom it reaches by going up, then down */
	struct mono *until;
};

static bool
has(const struct bound *b, const uint64_t *sets, uint32_t of, uint32_t node)
{
	return sets[of * b->words + node / 64] >> node % 64 & 1;
}

static void
fill_above(struct bound *b)
{
	bool more = true;

	for (uint32_t i = 0; i < b->n; i++)
		b->above[i * b->words + i / 64] |= 1ull << i % 64;
	while (more) { /* once for each level */
		more = false;
		for (size_t i = 0; i < b->t->nlinks; i++) {
			uint64_t *to = &b->above[b->t->links[i].lower * b->words];
			const uint64_t *from = &b->above[b->t->links[i].upper * b->words];

			for (size_t w = 0; w < b->words; w++) {
				more |= (from[w] & ~to[w]) != 0;
				to[w] |= from[w];
			}
		}
	}
}

static void
fill_below(struct bound *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		for (uint32_t k = 0; k < b->n; k++)
			if (has(b, b->above, i, k))
				b->below[k * b->words + i / 64] |= 1ull << i % 64;
}

static void
fill_meet(struct bound *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		for (uint32_t k = 0; k < b->n; k++) {
			uint64_t common = 0;

			for (size_t w = 0; w < b->words && !common; w++)
				common = b->above[i * b->words + w] & b->above[k * b->words + w];
			if (common)
				b->meet[i * b->words + k / 64] |= 1ull << k % 64;
		}
}

struct bound *
bound_new(const struct topo *t, struct mono now)
{
	struct bound *b = mem_zalloc(NULL, MEM_OTHER, sizeof(*b));

	b->t = t;
	b->n = t->nnodes;
	b->words = (b->n + 63) / 64;
	b->above = mem_zalloc(NULL, MEM_OTHER, (b->n * b->words + 1) * sizeof(*b->above));
	b->below = mem_zalloc(NULL, MEM_OTHER, (b->n * b->words + 1) * sizeof(*b->below));
	b->meet = mem_zalloc(NULL, MEM_OTHER, (b->n * b->words + 1) * sizeof(*b->meet));
	b->until = mem_zalloc(NULL, MEM_OTHER, (b->n * b->n + 1) * sizeof(*b->until));
	for (size_t i = 0; i < b->n * b->n; i++)
		b->until[i] = now;
	fill_above(b);
	fill_below(b);
	fill_meet(b);
	return b;
}

void
bound_free(struct bound *b)
{
	if (!b)
		return;
	mem_free(NULL, MEM_OTHER, b->above);
	mem_free(NULL, MEM_OTHER, b->below);
	mem_free(NULL, MEM_OTHER, b->meet);
	mem_free(NULL, MEM_OTHER, b->until);
	mem_free(NULL, MEM_OTHER, b);
}

/* On the way up from one of them, with a way down to the other above it. */
bool
bound_concerns(const struct bound *b, const struct place *p, uint32_t from, uint32_t to)
{
	uint32_t lower = p->link == TOPO_NONE ? p->node : b->t->links[p->link].lower,
		 upper = p->link == TOPO_NONE ? p->node : b->t->links[p->link].upper;

	return (has(b, b->above, from, lower) && has(b, b->meet, upper, to)) ||
	       (has(b, b->above, to, lower) && has(b, b->meet, upper, from));
}

size_t
bound_words(const struct bound *b)
{
	return b->words;
}

void
bound_concerned(const struct bound *b, const struct place *p, size_t n, uint32_t to, uint64_t *from)
{
	memset(from, 0, b->words * sizeof(*from));
	for (; n--; p++) {
		uint32_t lower = p->link == TOPO_NONE ? p->node : b->t->links[p->link].lower,
			 upper = p->link == TOPO_NONE ? p->node : b->t->links[p->link].upper;
		bool down = has(b, b->meet, upper, to), up = has(b, b->above, to, lower);

		for (size_t w = 0; w < b->words; w++)
			from[w] |= (down ? b->below[lower * b->words + w] : 0) |
				   (up ? b->meet[upper * b->words + w] : 0);
	}
}

struct mono
bound_of(const struct bound *b, uint32_t from, uint32_t to)
{
	return b->until[to * b->n + from];
}

void
bound_raise(struct bound *b, uint32_t from, uint32_t to, struct mono until)
{
	struct mono *at = &b->until[to * b->n + from];

	if (at->us < until.us)
		*at = until;
}
