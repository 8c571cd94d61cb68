/*
 * tests/bench/tool.h -- what the small measuring programs share: time, ends of the road, network namespaces
 *
 * The programs are stand-alone: they link nothing of the product, so that a fault there cannot hide here.
 */
#ifndef TESTS_BENCH_TOOL_H
#define TESTS_BENCH_TOOL_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* CLOCK_MONOTONIC is one clock for all processes and namespaces, so figures of different tools can be subtracted. */
static inline int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static inline void *
take(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

/* Enters a namespace of `ip netns`; "" stays where we are. */
static inline void
enter_ns(const char *name)
{
	char path[256];
	int fd;

	if (!*name)
		return;
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("namespace %s: %s", name, strerror(errno));
	close(fd);
}

/*
 * The prefixes of every load are functions of their number below 2^20, in an order and spread like those of a real
 * table: neighbouring numbers are far apart in 11.0.0.0 to 123.0.0.0, half are /24, the rest /23 to /18. (Numbers in
 * the order of addresses would be the worst case of the kernel's trie, three times slower than this.)
 */
static inline uint32_t
load_spread(uint32_t n)
{
	return n * 0x9e3b1u & 0xfffff; /* odd factor: a permutation */
}

static inline uint32_t
load_prefix4(uint32_t n, uint8_t *len)
{
	uint32_t m = load_spread(n);

	*len = 24 - (m & 63 ? __builtin_ctz(m) : 6);
	return 0x0b000000u + (m * 7 << 8);
}

#endif
