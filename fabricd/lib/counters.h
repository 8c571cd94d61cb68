/*
 * fabricd/lib/counters.h -- counters as their owner describes them
 *
 * Who counts keeps a plain struct of uint64_t, adds to it where things happen, and has beside it one table that says of
 * each what it is. Whoever shows counters is given the table and the struct, and knows nothing of either.
 */
#ifndef FABRICD_LIB_COUNTERS_H
#define FABRICD_LIB_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct counter {
	const char *name; /* for programs, such as "nd-checksum"; it keeps its meaning */
	const char *what; /* for people: what happened so often, in the words of the RFC where there is one */
	size_t at;        /* offset of the uint64_t in the owner's struct */
	bool routine;     /* it grows while all is well; else it counts what was dropped, refused, lost or done again */
};

struct counters {
	const struct counter *list;
	size_t n;
	const void *of; /* the owner's struct, as it is now; NULL: there is none */
};

static inline uint64_t
counters_value(const struct counters *c, size_t i)
{
	uint64_t v;

	memcpy(&v, (const char *)c->of + c->list[i].at, sizeof(v));
	return v;
}

#endif
