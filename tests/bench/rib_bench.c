/*
 * tests/bench/rib_bench.c -- what the RIB alone costs: nanoseconds and bytes per prefix, and its longest slice
 *
 *   table:  1,000,000 IPv4 prefixes with 200,000 attribute sets from one source: announce, run, withdraw
 *   fabric: 64 sources x the same 20,000 prefixes (half IPv6), each set of attributes shared by 5: announce, run, then
 *           all sources go down, one after the other, a run behind each
 *
 * The FIB and the exporter count, and do nothing else. Figures are CPU time of this process; "stall" is the longest
 * single call in wall time, which is what a keepalive would wait for, and counts only on a machine that is idle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/rib/rib.h"

#define SOURCES 64

struct bench {
	struct mem mem;
	struct rib *rib;
	struct rib_source sources[SOURCES];
	uint32_t next_group;
	uint64_t groups, group_changes, routes, changes;
	int64_t stall_ns, began_ns;
};

static int64_t
read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t
cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static uint32_t
group_new(void *arg, const struct rib_member *m UNUSED, size_t n UNUSED)
{
	struct bench *b = arg;

	b->groups++;
	return ++b->next_group;
}

static void
group_change(void *arg, uint32_t group UNUSED, const struct rib_member *m UNUSED, size_t n UNUSED)
{
	((struct bench *)arg)->group_changes++;
}

static void
group_free(void *arg, uint32_t group UNUSED)
{
	((struct bench *)arg)->groups--;
}

static void
route_set(void *arg, uint32_t table UNUSED, const struct prefix *p UNUSED, uint32_t group UNUSED)
{
	((struct bench *)arg)->routes++;
}

static void
route_del(void *arg, uint32_t table UNUSED, const struct prefix *p UNUSED)
{
	((struct bench *)arg)->routes--;
}

static void
changed(void *arg, uint32_t table UNUSED, enum family f UNUSED, const struct rib_change *c UNUSED, size_t n)
{
	((struct bench *)arg)->changes += n;
}

static struct mono
clock_now(void *arg UNUSED)
{
	return (struct mono){ now_ns() / 1000 };
}

static const struct rib_ops ops = { .group_new = group_new,
	.group_change = group_change,
	.group_free = group_free,
	.route_set = route_set,
	.route_del = route_del,
	.changed = changed,
	.now = clock_now };

static void
begin(struct bench *b)
{
	b->stall_ns = 0;
	b->began_ns = cpu_ns();
}

static size_t
bytes_of(const struct bench *b)
{
	return b->mem.by[MEM_PREFIX].bytes + b->mem.by[MEM_PATH_LIST].bytes + b->mem.by[MEM_ATTRS].bytes;
}

static void
end(struct bench *b, const char *what, size_t n)
{
	int64_t ns = cpu_ns() - b->began_ns;

	printf(
	    "  %-22s %8.1f ms %7.0f ns each   stall %6.2f ms   %5.1f MB: prefixes %.1f, lists %.1f, attributes %.1f\n",
	    what, (double)ns / 1e6, (double)ns / (double)n, (double)b->stall_ns / 1e6, (double)bytes_of(b) / 1e6,
	    (double)b->mem.by[MEM_PREFIX].bytes / 1e6, (double)b->mem.by[MEM_PATH_LIST].bytes / 1e6,
	    (double)b->mem.by[MEM_ATTRS].bytes / 1e6);
	fflush(stdout);
}

/* A call that was begun at `at` is over. */
static void
called(struct bench *b, int64_t at)
{
	b->stall_ns = MAX_OF(b->stall_ns, now_ns() - at);
}

static void
run(struct bench *b)
{
	bool more = true;

	while (more) {
		int64_t at = now_ns();

		more = rib_run(b->rib);
		called(b, at);
	}
}

static struct bench *
bench_new(unsigned int sources)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct rib_config cfg = { .mem = &b->mem, .seed = 42 };

	b->rib = rib_new(&cfg, &ops, b);
	for (unsigned int i = 0; i < sources; i++) {
		b->sources[i] = (struct rib_source){ .side = RIB_ABOVE, .router_id = i + 1 };
		rib_source_add(b->rib, &b->sources[i]);
		rib_source_up(b->rib, &b->sources[i]);
	}
	return b;
}

/* ORIGIN and an AS_PATH of four; `first` is the neighbour, `last` the origin. */
static struct attrs *
make_attrs(struct bench *b, uint32_t first, uint32_t last)
{
	uint8_t wire[64];
	struct wr w = wr_make(wire, sizeof(wire));
	struct attrs_view v = { .path_len = 4, .first_as = first, .origin_as = last };

	wr_u32(&w, 0x40010100);
	wr_bytes(&w, (uint8_t[]){ 0x40, 2, 18, 2, 4 }, 5);
	wr_u32(&w, first);
	wr_u32(&w, 3356);
	wr_u32(&w, 1299);
	wr_u32(&w, last);
	v.wire = wire;
	v.wire_len = (uint16_t)wr_len(&w);
	return attrs_intern(rib_attrs(b->rib), &v);
}

static struct prefix
prefix_no(enum family f, uint32_t i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 64 };

	if (f == FAMILY_IPV4) {
		put_u32(p.b, 0x01000000 + (i << 8));
	} else {
		p.b[0] = 0xfd;
		put_u32(p.b + 4, i);
	}
	return p;
}

static void
announce(struct bench *b, unsigned int s, enum family f, uint32_t i, uint32_t first, uint32_t last)
{
	struct ip gateway = ip_v4(0x0a000001 + s);
	int64_t at = now_ns();
	struct attrs *a = make_attrs(b, first, last);
	struct rib_nexthop *nh = nexthop_intern(rib_hops(b->rib), s + 1, &gateway);
	struct prefix p = prefix_no(f, i);

	rib_announce(b->rib, RIB_MAIN_TABLE, &b->sources[s], &p, a, nh);
	attrs_unref(rib_attrs(b->rib), a);
	nexthop_unref(rib_hops(b->rib), nh);
	called(b, at);
}

static void
bench_table(uint32_t prefixes, uint32_t sets)
{
	struct bench *b = bench_new(1);

	printf("%u prefixes, %u attribute sets, one source\n", prefixes, sets);
	begin(b);
	for (uint32_t i = 0; i < prefixes; i++)
		announce(b, 0, FAMILY_IPV4, i, 65001, i / (prefixes / sets));
	end(b, "announce", prefixes);
	begin(b);
	run(b);
	end(b, "run", prefixes);
	printf("  %.1f bytes a prefix, attributes included; %lu groups\n", (double)bytes_of(b) / prefixes, b->groups);
	begin(b);
	for (int k = 0; k < 2; k++) { /* a refresh that changes nothing */
		int64_t at = now_ns();

		if (k == 0) {
			rib_refresh_begin(b->rib, &b->sources[0], FAMILY_IPV4);
			called(b, at);
			for (uint32_t i = 0; i < prefixes; i++)
				announce(b, 0, FAMILY_IPV4, i, 65001, i / (prefixes / sets));
		} else {
			rib_refresh_end(b->rib, &b->sources[0], FAMILY_IPV4);
			called(b, at);
		}
	}
	run(b);
	end(b, "refresh", prefixes);
	begin(b);
	for (uint32_t i = 0; i < prefixes; i++) {
		struct prefix p = prefix_no(FAMILY_IPV4, i);
		int64_t at = now_ns();

		rib_withdraw(b->rib, RIB_MAIN_TABLE, &b->sources[0], &p);
		called(b, at);
	}
	end(b, "withdraw", prefixes);
	begin(b);
	run(b);
	end(b, "run", prefixes);
	for (uint32_t i = 0; i < prefixes; i++)
		announce(b, 0, FAMILY_IPV4, i, 65001, i / (prefixes / sets));
	run(b);
	begin(b);
	{
		int64_t at = now_ns();

		rib_source_down(b->rib, &b->sources[0]);
		rib_run_groups(b->rib);
		called(b, at);
	}
	end(b, "all again, source down", prefixes);
	begin(b);
	run(b);
	end(b, "run", prefixes);
	rib_free(b->rib);
	free(b);
}

static void
bench_fabric(uint32_t prefixes)
{
	struct bench *b = bench_new(SOURCES);
	int64_t total;

	printf("%u sources x %u prefixes, sets shared by 5\n", SOURCES, prefixes);
	begin(b);
	total = b->began_ns;
	/* sources take turns in pieces, as their sockets are read */
	for (uint32_t from = 0; from < prefixes; from += 1000) {
		for (unsigned int s = 0; s < SOURCES; s++)
			for (uint32_t i = from; i < from + 1000; i++)
				announce(b, s, i % 2 ? FAMILY_IPV6 : FAMILY_IPV4, i, 65001 + s, i / 5);
		run(b);
	}
	end(b, "announce and run", (size_t)prefixes * SOURCES);
	printf("  %.1f bytes a prefix, %.1f a path; %lu groups, %lu group changes\n", (double)bytes_of(b) / prefixes,
	    (double)bytes_of(b) / prefixes / SOURCES, b->groups, b->group_changes);
	b->changes = b->group_changes = 0;
	begin(b);
	for (unsigned int s = 0; s < SOURCES; s++) {
		int64_t at = now_ns();

		rib_source_down(b->rib, &b->sources[s]);
		rib_run_groups(b->rib);
		called(b, at);
		run(b);
	}
	end(b, "all sources down", (size_t)prefixes * SOURCES);
	printf("  %lu group changes, %lu changes told; %.0f ms in all\n", b->group_changes, b->changes,
	    (double)(cpu_ns() - total) / 1e6);
	rib_free(b->rib);
	free(b);
}

int
main(int argc, char **argv)
{
	const char *which = argc > 1 ? argv[1] : "";

	if (strcmp(which, "fabric") != 0)
		bench_table(1000000, 200000);
	if (strcmp(which, "table") != 0)
		bench_fabric(20000);
	return 0;
}
