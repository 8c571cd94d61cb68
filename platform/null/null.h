/* platform/null/null.h -- a forwarding plane that accepts everything and stores nothing, to measure tables without a
 * FIB */
#ifndef PLATFORM_NULL_NULL_H
#define PLATFORM_NULL_NULL_H

#include "platform/platform.h"

/* It has no ports, and cannot be read back. Never NULL; err is there for the shape that all platforms share. */
struct platform *null_platform_open(struct runtime *, struct mem *, char *err, size_t errlen);

#endif
