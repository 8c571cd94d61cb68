/* fabricd/lib/base.h -- the few macros that every file may use. */
#ifndef FABRICD_LIB_BASE_H
#define FABRICD_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)             (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, m) ((type *)((char *)(p)-offsetof(type, m)))
#define PRINTF_LIKE(fmt, args)   __attribute__((format(printf, fmt, args)))
#define UNUSED                   __attribute__((unused))

/*
 * The lesser and the greater of two, each evaluated once. __COUNTER__ gives each use names of its own, so that uses
 * can be nested.
 */
#define MIN_OF(a, b)          PICK_OF((a), (b), <, __COUNTER__)
#define MAX_OF(a, b)          PICK_OF((a), (b), >, __COUNTER__)

#define PICK_OF(a, b, op, id) PICK_OF_(a, b, op, id)
#ifndef PICK_OF_ /* cppcheck knows no statements in expressions: tests/cppcheck.h */
#define PICK_OF_(a, b, op, id)                                                                                         \
	__extension__({                                                                                                \
		__auto_type pick_a##id = (a);                                                                          \
		__auto_type pick_b##id = (b);                                                                          \
		pick_a##id op pick_b##id ? pick_a##id : pick_b##id;                                                    \
	})
#endif

#endif
