/*
 * fabricd/lib/slots.h -- things known by small numbers: given out from 1 on, and given to others when they come back
 *
 * A zeroed struct with mem and kind is empty. 0 is the number of nothing.
 */
#ifndef FABRICD_LIB_SLOTS_H
#define FABRICD_LIB_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "fabricd/lib/mem.h"

struct slots {
	struct mem *mem;
	enum mem_kind kind;
	void **things;
	size_t cap;
	uint32_t limit; /* all numbers are below */
	uint32_t *back; /* numbers that came back */
	size_t nback, cap_back;
};

/* NULL: nothing has that number. */
static inline void *
slots_get(const struct slots *s, uint32_t number)
{
	return number < s->limit ? s->things[number] : NULL;
}

/* The first thing behind number *at, which becomes its number; NULL: no more. Walks them all from 0. */
static inline void *
slots_next(const struct slots *s, uint32_t *at)
{
	void *thing = NULL;

	while (!thing && *at + 1 < s->limit)
		thing = s->things[++*at];
	return thing;
}

static inline size_t
slots_count(const struct slots *s)
{
	return s->limit ? s->limit - 1 - s->nback : 0;
}

uint32_t slots_take(struct slots *, void *thing);
void slots_put(struct slots *, uint32_t number);
void slots_done(struct slots *); /* leaves the things alone */

#endif
