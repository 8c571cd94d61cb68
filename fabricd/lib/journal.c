/* fabricd/lib/journal.c -- see journal.h; a ring that grows to its bound as it is used */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/journal.h"

#define LIMITS 64 /* (type, port) pairs that are watched for rate at a time */

struct limit {
	const char *type;
	char port[32];
	struct mono since;
	uint32_t passed, suppressed;
};

struct journal {
	struct mem *mem;
	journal_fn *tell;
	void *arg;
	struct journal_event *ring;
	size_t cap;
	uint64_t last; /* id */
	struct limit limits[LIMITS];
};

struct journal *
journal_new(struct mem *mem, journal_fn *tell, void *arg)
{
	struct journal *j = mem_zalloc(mem, MEM_EVENT, sizeof(*j));

	j->mem = mem;
	j->tell = tell;
	j->arg = arg;
	return j;
}

void
journal_free(struct journal *j)
{
	if (!j)
		return;
	mem_free(j->mem, MEM_EVENT, j->ring);
	mem_free(j->mem, MEM_EVENT, j);
}

static bool
is_limit_of(const struct limit *l, const char *type, const char *port)
{
	return l->type && strcmp(l->type, type) == 0 && strncmp(l->port, port, sizeof(l->port) - 1) == 0;
}

/* The pair's place, or a free one, or that of the pair whose window began first. */
static struct limit *
limit_of(struct journal *j, const char *type, const char *port)
{
	struct limit *oldest = &j->limits[0];

	for (size_t i = 0; i < LIMITS; i++) {
		struct limit *l = &j->limits[i];

		if (!l->type || is_limit_of(l, type, port))
			return l;
		if (l->since.us < oldest->since.us)
			oldest = l;
	}
	return oldest;
}

static bool
passes(struct journal *j, struct mono now, const char *type, const char *port, uint32_t *suppressed)
{
	struct limit *l = limit_of(j, type, port);
	bool known = is_limit_of(l, type, port);

	*suppressed = 0;
	if (!known || mono_sub(now, l->since) >= JOURNAL_WINDOW) {
		*suppressed = known ? l->suppressed : 0;
		*l = (struct limit){ .type = type, .since = now };
		snprintf(l->port, sizeof(l->port), "%s", port);
	}
	if (l->passed < JOURNAL_RATE) {
		l->passed++;
		return true;
	}
	l->suppressed++;
	return false;
}

static struct journal_event *
next_slot(struct journal *j)
{
	if (j->last >= j->cap && j->cap < JOURNAL_EVENTS)
		j->ring = mem_grow(j->mem, MEM_EVENT, j->ring, &j->cap, j->last + 1, sizeof(*j->ring));
	return &j->ring[j->last++ % j->cap];
}

uint64_t
journal_add(struct journal *j, struct mono now, int64_t wall_us, const char *type, const char *port, uint64_t cause,
    const char *fmt, ...)
{
	struct journal_event *e;
	uint32_t suppressed;
	va_list ap;

	if (!passes(j, now, type, port, &suppressed))
		return 0;
	e = next_slot(j);
	*e = (struct journal_event){
		.id = j->last, .cause = cause, .at = now, .wall_us = wall_us, .type = type, .suppressed = suppressed
	};
	snprintf(e->port, sizeof(e->port), "%s", port);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	for (char *c = e->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (j->tell)
		j->tell(j->arg, e);
	return e->id;
}

const struct journal_event *
journal_from(const struct journal *j, uint64_t id)
{
	uint64_t oldest = j->last > j->cap ? j->last - j->cap + 1 : 1;

	if (id < oldest)
		id = oldest;
	return id <= j->last && j->last ? &j->ring[(id - 1) % j->cap] : NULL;
}

uint64_t
journal_last(const struct journal *j)
{
	return j->last;
}
