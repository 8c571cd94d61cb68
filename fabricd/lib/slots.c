/* fabricd/lib/slots.c -- see slots.h */
#include "fabricd/lib/slots.h"

static uint32_t
new_number(struct slots *s)
{
	if (s->nback)
		return s->back[--s->nback];
	if (!s->limit)
		s->limit = 1;
	s->things = mem_grow(s->mem, s->kind, s->things, &s->cap, (size_t)s->limit + 1, sizeof(void *));
	s->things[0] = NULL;
	return s->limit++;
}

uint32_t
slots_take(struct slots *s, void *thing)
{
	uint32_t number = new_number(s);

	s->things[number] = thing;
	return number;
}

void
slots_put(struct slots *s, uint32_t number)
{
	s->things[number] = NULL;
	s->back = mem_grow(s->mem, s->kind, s->back, &s->cap_back, s->nback + 1, sizeof(*s->back));
	s->back[s->nback++] = number;
}

void
slots_done(struct slots *s)
{
	mem_free(s->mem, s->kind, s->things);
	mem_free(s->mem, s->kind, s->back);
	*s = (struct slots){ .mem = s->mem, .kind = s->kind };
}
