/* platform/null/null.h -- a forwarding plane that accepts everything and stores nothing, to measure tables without a
 * FIB */
#ifndef PLATFORM_NULL_NULL_H
#define PLATFORM_NULL_NULL_H

#include "platform/platform.h"

/*
 * `ports` is a platform whose ports, addresses and bridges are used, and whose forwarding plane is left alone; it is
 * closed with this one. NULL: there are no ports. Never NULL; err is there for the shape that all platforms share.
 */
struct platform *null_platform_open(struct runtime *, struct mem *, struct platform *ports, char *err, size_t errlen);

#endif
