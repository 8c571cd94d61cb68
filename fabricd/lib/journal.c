/* fabricd/lib/journal.c -- see journal.h; a ring that grows to its bound as it is used */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/journal.h"

/*
 * (type, port) pairs that are watched for rate at a time: all that a large switch can have (some ten types that a port
 * can repeat, times some hundred ports), so that a storm on all ports at once is limited as one on a single port is.
 */
#define LIMITS  4096
#define BUCKETS 512
#define TYPES   128 /* other names of types that a journal before this one may have brought */

struct limit {
	const char *type;
	char port[32];
	struct mono since;
	uint32_t passed, suppressed;
	uint32_t next; /* in its bucket, from 1; 0: the last */
};

struct journal {
	struct mem *mem;
	journal_fn *tell;
	void *arg;
	struct journal_event *ring;
	size_t cap;
	uint64_t last;               /* id */
	uint64_t first;              /* the oldest that it ever had; 0: 1 */
	char (*types)[JOURNAL_TYPE]; /* TYPES of them; NULL: nothing was restored */
	size_t n_types;
	struct limit *limits; /* grows with the pairs that are seen */
	size_t n_limits, cap_limits;
	uint32_t buckets[BUCKETS]; /* index of the first, from 1 */
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
	mem_free(j->mem, MEM_EVENT, j->limits);
	mem_free(j->mem, MEM_EVENT, j->ring);
	mem_free(j->mem, MEM_EVENT, j->types);
	mem_free(j->mem, MEM_EVENT, j);
}

static bool
is_limit_of(const struct limit *l, const char *type, const char *port)
{
	return strcmp(l->type, type) == 0 && strncmp(l->port, port, sizeof(l->port) - 1) == 0;
}

/* FNV-1a, of as much of the port's name as is kept. */
static uint32_t
bucket_of(const char *type, const char *port)
{
	uint32_t h = 2166136261u;

	for (; *type; type++)
		h = (h ^ (uint8_t)*type) * 16777619u;
	for (size_t i = 0; port[i] && i + 1 < sizeof(((struct limit *)0)->port); i++)
		h = (h ^ (uint8_t)port[i]) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

static void
unlink_limit(struct journal *j, uint32_t index)
{
	uint32_t *at = &j->buckets[bucket_of(j->limits[index - 1].type, j->limits[index - 1].port)];

	while (*at && *at != index)
		at = &j->limits[*at - 1].next;
	if (*at)
		*at = j->limits[index - 1].next;
}

/* A place for a new pair; at the bound, that of the pair whose window began first. */
static uint32_t
new_place(struct journal *j)
{
	uint32_t oldest = 1;

	if (j->n_limits < LIMITS) {
		j->limits = mem_grow(j->mem, MEM_EVENT, j->limits, &j->cap_limits, j->n_limits + 1, sizeof(*j->limits));
		return (uint32_t)++j->n_limits;
	}
	for (uint32_t i = 2; i <= LIMITS; i++)
		if (j->limits[i - 1].since.us < j->limits[oldest - 1].since.us)
			oldest = i;
	unlink_limit(j, oldest);
	return oldest;
}

/* The pair's place; *known: it was there before. */
static struct limit *
limit_of(struct journal *j, struct mono now, const char *type, const char *port, bool *known)
{
	uint32_t bucket = bucket_of(type, port), index;
	struct limit *l;

	for (index = j->buckets[bucket]; index; index = j->limits[index - 1].next)
		if (is_limit_of(&j->limits[index - 1], type, port)) {
			*known = true;
			return &j->limits[index - 1];
		}
	*known = false;
	index = new_place(j);
	l = &j->limits[index - 1];
	*l = (struct limit){ .type = type, .since = now, .next = j->buckets[bucket] };
	snprintf(l->port, sizeof(l->port), "%s", port);
	j->buckets[bucket] = index;
	return l;
}

static bool
passes(struct journal *j, struct mono now, const char *type, const char *port, uint32_t *suppressed)
{
	bool known;
	struct limit *l = limit_of(j, now, type, port, &known);

	*suppressed = 0;
	if (known && mono_sub(now, l->since) >= JOURNAL_WINDOW) {
		*suppressed = l->suppressed;
		l->since = now;
		l->passed = l->suppressed = 0;
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
	uint64_t n = j->last - (j->first ? j->first - 1 : 0); /* that it ever had */

	if (n >= j->cap && j->cap < JOURNAL_EVENTS)
		j->ring = mem_grow(j->mem, MEM_EVENT, j->ring, &j->cap, n + 1, sizeof(*j->ring));
	j->last++;
	return &j->ring[n % j->cap];
}

/* The same name as a text that lives as long as the journal; NULL: there are too many. */
static const char *
own_type(struct journal *j, const char *type)
{
	if (!j->types)
		j->types = mem_zalloc(j->mem, MEM_EVENT, TYPES * sizeof(*j->types));
	for (size_t i = 0; i < j->n_types; i++)
		if (strcmp(j->types[i], type) == 0)
			return j->types[i];
	if (j->n_types == TYPES || strlen(type) >= JOURNAL_TYPE)
		return NULL;
	snprintf(j->types[j->n_types], JOURNAL_TYPE, "%s", type);
	return j->types[j->n_types++];
}

bool
journal_restore(struct journal *j, const struct journal_event *e)
{
	const char *type = own_type(j, e->type);
	struct journal_event *slot;

	if (!type || e->id == 0 || e->id == UINT64_MAX || (j->first && e->id != j->last + 1) || (!j->first && j->last))
		return false;
	if (!j->first) {
		j->first = e->id;
		j->last = e->id - 1;
	}
	slot = next_slot(j);
	*slot = *e;
	slot->type = type;
	return true;
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
	uint64_t first = j->first ? j->first : 1;
	uint64_t oldest = MAX_OF(first, j->last > j->cap ? j->last - j->cap + 1 : 1);

	if (id < oldest)
		id = oldest;
	return id <= j->last && j->last ? &j->ring[(id - first) % j->cap] : NULL;
}

uint64_t
journal_last(const struct journal *j)
{
	return j->last;
}
