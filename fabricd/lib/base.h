/* fabricd/lib/base.h -- the few macros that every file may use. */
#ifndef FABRICD_LIB_BASE_H
#define FABRICD_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)             (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, m) ((type *)((char *)(p)-offsetof(type, m)))
#define MIN_OF(a, b)             ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)             ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args)   __attribute__((format(printf, fmt, args)))
#define UNUSED                   __attribute__((unused))

#endif
