/*
 * tests/unit/platform/sync_env.h -- sync over the forwarding plane in memory, with eight ports that have carrier
 *
 * Time stands still unless a test moves it. What is there is asked of the model, never of sync.
 */
#ifndef TESTS_UNIT_PLATFORM_SYNC_ENV_H
#define TESTS_UNIT_PLATFORM_SYNC_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "platform/model/model.h"
#include "platform/sync.h"
#include "tests/support/tiny_runtime.h"

#define PORTS  8
#define METRIC 20
#define COVER  9999

struct env {
	struct tiny tiny;
	struct mem mem;
	struct platform *p;
	struct sync *s;
	size_t installed, failed, waiting, dark, back, events;
	char detail[100], event[400];
};

static inline void
on_route(void *arg, uint32_t table, const struct prefix *p, enum sync_route_state state, int error, const char *detail)
{
	struct env *e = arg;

	(void)table;
	(void)p;
	(void)error;
	e->installed += state == SYNC_INSTALLED;
	e->failed += state == SYNC_FAILED;
	e->waiting += state == SYNC_WAITS_LINK;
	if (detail)
		snprintf(e->detail, sizeof(e->detail), "%s", detail);
}

static inline void
on_group(void *arg, uint32_t group, bool usable)
{
	struct env *e = arg;

	(void)group;
	e->dark += !usable;
	e->back += usable;
}

static inline void
on_event(void *arg, const char *type, const char *text)
{
	struct env *e = arg;

	e->events++;
	snprintf(e->event, sizeof(e->event), "%s %s", type, text);
}

UNUSED static const struct sync_client client = { .route_state = on_route, .group_state = on_group, .event = on_event };

static inline void
carrier(struct env *e, int port, bool up)
{
	uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)port };
	char name[16];

	snprintf(name, sizeof(name), "p%d", port);
	model_port_set(e->p, name, (uint32_t)port + 1, mac, up, NULL);
}

static inline void
settle(struct env *e)
{
	tiny_settle(&e->tiny);
}

static inline void
pass(struct env *e, int64_t us)
{
	tiny_pass(&e->tiny, us);
}

static inline void
start_sync(struct env *e)
{
	struct sync_config cfg = {
		.mem = &e->mem, .rt = &e->tiny.rt, .seed = 3, .id_base = 1000, .metric = METRIC, .cover_metric = COVER
	};

	e->s = sync_new(e->p, &cfg, &client, e);
	assert_int_equal(sync_start(e->s), 0);
	settle(e);
}

static inline void
env_open(struct env *e, const struct model_config *cfg)
{
	memset(e, 0, sizeof(*e));
	tiny_init(&e->tiny, true);
	e->p = model_open(&e->tiny.rt, &e->mem, cfg, NULL, NULL);
	for (int i = 0; i < PORTS; i++)
		carrier(e, i, true);
	start_sync(e);
}

static inline void
env_close(struct env *e)
{
	sync_free(e->s);
	e->p->ops->close(e->p);
	for (size_t i = 0; i < MEM_KINDS; i++) {
		if (e->mem.by[i].bytes)
			fail_msg(
			    "%zu bytes of kind %s were not freed", e->mem.by[i].bytes, mem_kind_name((enum mem_kind)i));
	}
}

static inline struct prefix
prefix(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, &p));
	return p;
}

static inline size_t
hops_of_mask(unsigned int mask, struct sync_nexthop *out)
{
	size_t n = 0;

	for (unsigned int i = 0; i < PORTS; i++) {
		if (!(mask & 1u << i))
			continue;
		out[n] = (struct sync_nexthop){ .ifindex = i + 1 };
		assert_true(ip_parse("fe80::2", &out[n++].gateway));
	}
	return n;
}

/* A group over the ports whose bits are set. */
static inline uint32_t
group(struct env *e, unsigned int mask)
{
	struct sync_nexthop nh[PORTS];

	return sync_group_new(e->s, nh, hops_of_mask(mask, nh));
}

static inline void
route(struct env *e, const char *text, uint32_t g)
{
	struct prefix p = prefix(text);

	if (g)
		sync_route_set(e->s, 0, &p, g);
	else
		sync_route_del(e->s, 0, &p);
}

/* The ports to which the model forwards this prefix as bits; 0: it does not. */
static inline unsigned int
forwards(struct env *e, const char *text)
{
	struct prefix p = prefix(text);
	struct ip a = prefix_addr(&p);
	struct model_result r;
	unsigned int mask = 0;

	if (model_lookup(e->p, 0, &a, &r) != MODEL_FORWARD || r.metric != METRIC || !prefix_equal(&r.prefix, &p))
		return 0;
	for (size_t i = 0; i < r.nhops; i++)
		mask |= 1u << (r.hops[i].ifindex - 1);
	return mask;
}

static inline enum sync_route_state
state_of(struct env *e, const char *text)
{
	struct prefix p = prefix(text);
	struct sync_route_view v;

	return sync_route_get(e->s, 0, &p, &v) ? v.state : SYNC_ABSENT;
}

static inline struct sync_stats
stats(struct env *e)
{
	struct sync_stats st;

	sync_stats(e->s, &st);
	return st;
}

static inline void
taken_by_another_hand(struct env *e, const char *text)
{
	struct plat_op op = { .kind = PLAT_ROUTE_DEL, .route = { .prefix = prefix(text), .metric = METRIC } };

	if (model_lose_route(e->p, 0, &op.route.prefix, METRIC, false) == 0)
		e->p->client->lost(e->p->client_arg, &op, "another hand deleted it");
}

#endif
