/*
 * tests/unit/platform_linux/lab.h -- sync over the Linux backend in a namespace of its own
 *
 *   p0 ===veth=== q0      The p side are the switch's ports; taking a q down takes the carrier of its p away.
 *   p1 ===veth=== q1      Neighbours are fe80::2 on every port: the same address on all of them, as with one MAC.
 *   ...
 */
#ifndef TESTS_UNIT_PLATFORM_LINUX_LAB_H
#define TESTS_UNIT_PLATFORM_LINUX_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "platform/linux/linux.h"
#include "platform/sync.h"
#include "tests/support/netns.h"
#include "tests/support/tiny_runtime.h"

#define LAB_PORTS 8
#define METRIC    20
#define COVER     9999

struct lab {
	struct tiny tiny;
	struct mem mem;
	struct platform *platform;
	struct sync *sync;
	struct plat_port ports[64];
	size_t n_ports;
	size_t installed, failed, waiting;
	size_t groups_dark, groups_back, desyncs, problems;
	size_t losts;
	size_t carrier_lost, carrier_back, address_lost; /* how often that was told of p0 */
	char last[400];                                  /* the last event or detail */
	char problem[400];
	struct linux_options options;
};

static inline struct plat_port *
lab_port(struct lab *l, const char *name)
{
	for (size_t i = 0; i < l->n_ports; i++) {
		if (strcmp(l->ports[i].name, name) == 0 && !l->ports[i].gone)
			return &l->ports[i];
	}
	return NULL;
}

static inline void
lab_on_port(void *arg, const struct plat_port *p)
{
	struct lab *l = arg;

	for (size_t i = 0; i < l->n_ports; i++) {
		if (l->ports[i].ifindex == p->ifindex) {
			if (strcmp(p->name, "p0") == 0) {
				l->carrier_lost += l->ports[i].carrier && !p->carrier;
				l->carrier_back += !l->ports[i].carrier && p->carrier;
				l->address_lost += !ip_is_zero(&l->ports[i].link_local) && ip_is_zero(&p->link_local);
			}
			l->ports[i] = *p;
			return;
		}
	}
	assert_true(l->n_ports < ARRAY_LEN(l->ports));
	l->ports[l->n_ports++] = *p;
}

static inline void
lab_on_problem(void *arg, const char *text)
{
	struct lab *l = arg;

	l->problems++;
	snprintf(l->problem, sizeof(l->problem), "%s", text);
}

static inline void
lab_on_desync(void *arg, const char *why)
{
	struct lab *l = arg;

	(void)why;
	l->desyncs++;
}

static inline void
lab_on_route(
    void *arg, uint32_t table, const struct prefix *p, enum sync_route_state state, int error, const char *detail)
{
	struct lab *l = arg;

	(void)table;
	(void)p;
	(void)error;
	l->installed += state == SYNC_INSTALLED;
	l->failed += state == SYNC_FAILED;
	l->waiting += state == SYNC_WAITS_LINK;
	if (detail)
		snprintf(l->last, sizeof(l->last), "%s", detail);
}

static inline void
lab_on_group(void *arg, uint32_t group, bool usable)
{
	struct lab *l = arg;

	(void)group;
	if (usable)
		l->groups_back++;
	else
		l->groups_dark++;
}

static inline void
lab_on_event(void *arg, const char *type, const char *text)
{
	struct lab *l = arg;

	l->losts += strcmp(type, "FIB_LOST") == 0;
	if (getenv("LAB_VERBOSE"))
		fprintf(stderr, "   %s: %s\n", type, text);
}

static const struct platform_client lab_platform_client = {
	.port = lab_on_port, .desync = lab_on_desync, .problem = lab_on_problem
};
static const struct sync_client lab_sync_client = {
	.route_state = lab_on_route, .group_state = lab_on_group, .event = lab_on_event
};

/* Platform and sync begin, as after a start of the daemon; the kernel keeps what is there. */
static inline void
lab_start(struct lab *l)
{
	struct sync_config cfg = { .mem = &l->mem,
		.rt = &l->tiny.rt,
		.seed = 1,
		.id_base = 0x0fab0000,
		.metric = METRIC,
		.cover_metric = COVER };
	char err[300] = "";

	l->platform = linux_platform_open(&l->tiny.rt, &l->mem, &l->options, err, sizeof(err));
	if (!l->platform)
		fail_msg("%s", err);
	l->platform->client = &lab_platform_client;
	l->platform->client_arg = l;
	l->sync = sync_new(l->platform, &cfg, &lab_sync_client, l);
	assert_int_equal(sync_start(l->sync), 0);
	tiny_settle(&l->tiny);
}

static inline void
lab_stop(struct lab *l)
{
	sync_free(l->sync);
	l->platform->ops->close(l->platform);
	l->sync = NULL;
	l->platform = NULL;
}

/* A namespace with n pairs of ports, all up, switch-wide settings done. */
static inline void
lab_open(struct lab *l, int n)
{
	struct plat_system_config system = { .hash_seed = 42 };
	struct plat_port_config port = { .fabric = true, .up = true, .mtu = 9216 };
	char name[16];

	memset(l, 0, sizeof(*l));
	tiny_init(&l->tiny, false);
	if (!netns_new())
		skip();
	for (int i = 0; i < n; i++)
		assert_true(sh("ip link add p%d type veth peer name q%d && ip link set q%d up", i, i, i));
	lab_start(l);
	assert_int_equal(l->platform->ops->system_setup(l->platform, &system), 0);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_int_equal(l->platform->ops->port_setup(l->platform, name, &port), 0);
	}
	tiny_settle(&l->tiny);
}

static inline void
lab_close(struct lab *l)
{
	lab_stop(l);
	for (size_t i = 0; i < MEM_KINDS; i++) {
		if (l->mem.by[i].bytes)
			fail_msg(
			    "%zu bytes of kind %s were not freed", l->mem.by[i].bytes, mem_kind_name((enum mem_kind)i));
	}
}

static inline struct sync_nexthop
lab_nh(struct lab *l, int port)
{
	struct sync_nexthop nh = { .weight = 1 };
	char name[16];

	snprintf(name, sizeof(name), "p%d", port);
	assert_non_null(lab_port(l, name));
	nh.ifindex = lab_port(l, name)->ifindex;
	assert_true(ip_parse("fe80::2", &nh.gateway));
	return nh;
}

/* A group over the ports first..last. */
static inline uint32_t
lab_group(struct lab *l, int first, int last)
{
	struct sync_nexthop nh[LAB_PORTS];
	size_t n = 0;

	for (int i = first; i <= last; i++)
		nh[n++] = lab_nh(l, i);
	return sync_group_new(l->sync, nh, n);
}

static inline struct prefix
lab_prefix(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	return p;
}

static inline void
lab_route(struct lab *l, const char *text, uint32_t group)
{
	struct prefix p = lab_prefix(text);

	sync_route_set(l->sync, 0, &p, group);
}

static inline enum sync_route_state
lab_state(struct lab *l, const char *text)
{
	struct prefix p = lab_prefix(text);
	struct sync_route_view v;

	return sync_route_get(l->sync, 0, &p, &v) ? v.state : SYNC_ABSENT;
}

static inline void lab_run(struct lab *l, int ms);

/* Waits until the route is in this state. */
static inline bool
lab_wait_state(struct lab *l, const char *text, enum sync_route_state want, int ms)
{
	int64_t end = tiny_clock_us() + MS(ms);

	while (lab_state(l, text) != want) {
		if (tiny_clock_us() > end)
			return false;
		lab_run(l, 2);
	}
	return true;
}

static inline int
lab_width(struct lab *l, const char *text)
{
	struct prefix p = lab_prefix(text);
	struct sync_nexthop nh[64];
	struct sync_route_view v;

	return sync_route_get(l->sync, 0, &p, &v) ? (int)sync_group_members(l->sync, v.group, nh, 64) : -1;
}

#define LAB_DROP 0x0fbb0000u /* the second member of groups of one, which no packet takes; it is not counted */

/* What `ip` says: how many next hops the kernel has for this route, -1 when there is no such route of ours. */
static inline int
kernel_width(const char *text)
{
	const char *out = sh_read(
	    "ip -%d route show proto 211 metric %d exact %s", strchr(text, ':') ? 6 : 4, METRIC, text);
	const char *at = strstr(out, "nhid ");
	unsigned int id;
	int n = 0, used;

	if (!at || sscanf(at, "nhid %u", &id) != 1)
		return out[0] ? 0 : -1;
	out = sh_read("ip nexthop show id %u", id);
	at = strstr(out, "group ");
	if (!at)
		return -1;
	for (at += 6; sscanf(at, "%u%n", &id, &used) == 1; at += *at == '/') {
		n += id != LAB_DROP;
		for (at += used; *at == ','; at++) /* the weight */
			at += strspn(at + 1, "0123456789");
	}
	return n;
}

/* Waits until the kernel's width of the route is as wanted; tells the milliseconds, -1: it never was. */
static inline int
lab_wait_width(struct lab *l, const char *text, int want, int ms)
{
	int64_t began = tiny_clock_us();

	while (kernel_width(text) != want) {
		if (tiny_clock_us() - began > MS(ms))
			return -1;
		for (int i = 0; i < 50; i++)
			tiny_turn(&l->tiny, 1);
	}
	for (int i = 0; i < 20; i++)
		tiny_turn(&l->tiny, 0);
	return (int)((tiny_clock_us() - began) / 1000);
}

static inline void
lab_run(struct lab *l, int ms)
{
	int64_t end = tiny_clock_us() + MS(ms);

	while (tiny_clock_us() < end)
		tiny_turn(&l->tiny, 5);
}

#endif
