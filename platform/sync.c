/*
 * platform/sync.c -- the engine of sync: what leaves in which order, what comes back, and when it is tried again
 *
 *   RIB: groups, routes --> queues --> batch --> platform.submit --> results --> have, and the RIB is told
 *   ports -------------------^                                         |
 *   dumps, lost objects -----^          refused: retry timer <---------+
 *
 * Two pieces of work: `urgent` (next hops and groups) and `normal` (routes, sweeps, the audit), each with a lane of its
 * own to the platform. Each slice of `normal` first does what is urgent. Both stop when the platform takes no more;
 * results wake them again.
 *
 * See sync_internal.h for the objects and what is always true of them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/sync_internal.h"

void
vec32_push(struct sync *s, struct vec32 *q, uint32_t v)
{
	q->v = mem_grow(s->cfg.mem, MEM_FIB, q->v, &q->cap, q->n + 1, sizeof(*q->v));
	q->v[q->n++] = v;
}

void
sync_wake(struct sync *s, bool urgent)
{
	rt_work_schedule(urgent ? s->urgent : s->normal);
}

void
sync_event(struct sync *s, const char *type, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (!s->client->event)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->client->event(s->arg, type, text);
}

/* Pairs of error and words are few; when they are not, the last slot stands for all the others. */
uint8_t
sync_error_slot(struct sync *s, int error, const char *detail)
{
	size_t i;

	for (i = 1; i < SYNC_ERRORS && s->errors[i].error; i++) {
		const char *d = s->errors[i].detail;

		if (s->errors[i].error == error && (d == detail || (d && detail && strcmp(d, detail) == 0)))
			return (uint8_t)i;
	}
	mem_free(s->cfg.mem, MEM_FIB, s->errors[i].detail);
	s->errors[i].error = error ? error : -EIO;
	s->errors[i].detail = detail ? mem_strdup(s->cfg.mem, MEM_FIB, detail) : NULL;
	return (uint8_t)i;
}

/* ---- handing over ---- */

static bool
flush(struct sync *s, struct lane *l)
{
	size_t taken;

	if (!l->n)
		return true;
	taken = s->platform->ops->submit(s->platform, l->batch, l->n);
	for (size_t i = 0; i < taken; i++) {
		if (l->batch[i].kind == PLAT_GROUP_SET)
			mem_free(s->cfg.mem, MEM_FIB, (void *)(uintptr_t)l->batch[i].group.members);
	}
	s->stats.ops_sent += taken;
	l->n -= taken;
	memmove(l->batch, l->batch + taken, l->n * sizeof(*l->batch));
	return l->n == 0;
}

bool
sync_flush(struct sync *s)
{
	bool all = flush(s, &s->lanes[LANE_OBJECTS]);

	return flush(s, &s->lanes[LANE_ROUTES]) && all;
}

bool
sync_room(const struct sync *s, unsigned int lane)
{
	const struct lane *l = &s->lanes[lane];

	return l->n < SYNC_BATCH && l->tail - l->head < SYNC_RING;
}

void
sync_emit(struct sync *s, const struct plat_op *op, const struct flight *flight)
{
	unsigned int lane = op->kind == PLAT_ROUTE_SET || op->kind == PLAT_ROUTE_DEL ? LANE_ROUTES : LANE_OBJECTS;
	struct lane *l = &s->lanes[lane];
	struct plat_op *slot = &l->batch[l->n++];

	*slot = *op;
	slot->cookie = (uint64_t)lane << LANE_SHIFT | l->tail;
	l->ring[l->tail++ % SYNC_RING] = *flight;
	if (l->n == SYNC_BATCH)
		flush(s, l);
}

/*
 * The forwarding plane is told when thousands of routes a second leave. BULK_US is a window of time in which the
 * messages are counted.
 */
static void
bulk_look(struct sync *s)
{
	struct mono now = rt_now(s->cfg.rt);

	if (!s->platform->ops->bulk || s->bulk)
		return;
	if (mono_sub(now, s->bulk_at) > BULK_US) {
		s->bulk_at = now;
		s->bulk_from = s->stats.route_messages;
	}
	if (s->stats.route_messages - s->bulk_from < BULK_MANY)
		return;
	s->bulk = true;
	s->bulk_from = s->stats.route_messages;
	s->platform->ops->bulk(s->platform, true);
	rt_timer_set(s->bulk_timer, mono_add(now, BULK_US));
}

static void
bulk_due(void *arg)
{
	struct sync *s = arg;

	if (s->stats.route_messages - s->bulk_from >= BULK_MANY) {
		s->bulk_from = s->stats.route_messages;
		rt_timer_set(s->bulk_timer, mono_add(rt_now(s->cfg.rt), BULK_US));
		return;
	}
	s->bulk = false;
	s->platform->ops->bulk(s->platform, false);
}

static bool
urgent_work(void *arg)
{
	struct sync *s = arg;

	if (s->stopped)
		return false;
	urgent_push(s);
	sync_flush(s);
	return false; /* what is left waits for results */
}

static bool
normal_work(void *arg)
{
	struct sync *s = arg;
	bool more = false;

	if (!s->started || s->stopped)
		return false;
	if (urgent_push(s)) {
		if (s->replaying)
			replay_step(s);
		if (s->retrying)
			retry_step(s);
		more = routes_push(s) || s->replaying || s->retrying;
		bulk_look(s);
	}
	if (!sync_flush(s) || !sync_room(s, LANE_ROUTES))
		return false; /* results() wakes us */
	return audit_step(s) || more;
}

/* ---- what comes back ---- */

#define SOON 32u /* results whose routes are brought into the cache before their turn */

/* What this result belongs to, when it is its turn. */
static const struct flight *
flight_of(const struct sync *s, const struct plat_result *res)
{
	const struct lane *l = &s->lanes[res->cookie >> LANE_SHIFT];

	return &l->ring[res->cookie % SYNC_RING];
}

/* Of results that are about to be told: where the client keeps their routes is brought into its cache. */
static void
announce_results(struct sync *s, const struct plat_result *res, size_t n)
{
	struct prefix list[SOON];
	uint32_t table = 0, family = 0;
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct flight *flight = flight_of(s, &res[i]);
		uint32_t its_table;

		if (flight->kind != F_ROUTE || !route_to_tell(s, flight, &list[count], &its_table))
			continue;
		if (count && (its_table != table || flight->family != family))
			break; /* the others are of no less use without it */
		table = its_table;
		family = flight->family;
		count++;
	}
	if (count)
		s->client->routes_soon(s->arg, table, list, count);
}

static void
one_result(struct sync *s, const struct plat_result *res)
{
	struct lane *l = &s->lanes[res->cookie >> LANE_SHIFT];
	const struct flight flight = *flight_of(s, res);

	/* A backend that breaks the order: read everything again. */
	if (((uint64_t)(l - s->lanes) << LANE_SHIFT | l->head) != res->cookie) {
		audit_soon(s);
		return;
	}
	l->head++;
	if (res->outcome != PLAT_INSTALLED)
		s->stats.ops_failed++;
	switch ((enum flight_kind)flight.kind) {
	case F_NH:
	case F_NH_DEL:
		nh_result(s, &flight, res);
		break;
	case F_GROUP:
	case F_GROUP_DEL:
		group_result(s, &flight, res);
		break;
	case F_ROUTE:
		route_result(s, &flight, res);
		break;
	case F_EXTRA:
		break;
	}
}

static void
results(void *arg, const struct plat_result *res, size_t n)
{
	struct sync *s = arg;

	for (size_t at = 0; at < n; at += SOON) {
		size_t end = MIN_OF(n, at + SOON);

		if (s->client->routes_soon)
			announce_results(s, res + at, end - at);
		for (size_t i = at; i < end; i++)
			one_result(s, &res[i]);
	}
	sync_wake(s, true);
	sync_wake(s, false);
}

static void
port_event(void *arg, const struct plat_port *port)
{
	struct sync *s = arg;

	if (port->gone || !port->carrier || !port->admin_up)
		sync_port_down(s, port->ifindex);
	else
		sync_port_up(s, port->ifindex);
	if (s->outer && s->outer->port)
		s->outer->port(s->outer_arg, port);
}

static void
desync(void *arg, const char *why)
{
	struct sync *s = arg;

	sync_event(s, "FIB_DESYNC", "%s", why);
	audit_soon(s);
	if (s->outer && s->outer->desync)
		s->outer->desync(s->outer_arg, why);
}

static void
problem(void *arg, const char *text)
{
	struct sync *s = arg;

	if (s->outer && s->outer->problem)
		s->outer->problem(s->outer_arg, text);
	else
		sync_event(s, "FIB_PROBLEM", "%s", text);
}

static const struct platform_client platform_client = {
	.port = port_event,
	.results = results,
	.desync = desync,
	.lost = audit_lost,
	.problem = problem,
};

/* ---- trying again ---- */

void
sync_retry_at(struct sync *s, const struct backoff *b)
{
	if (!b->times || b->at.us >= s->retry_next.us)
		return;
	s->retry_next = b->at;
	rt_timer_set(s->retry_timer, b->at);
}

void
sync_refused(struct sync *s, struct backoff *b)
{
	int64_t pause = MIN_OF(RETRY_MIN_US << b->times, RETRY_MAX_US);

	b->times += b->times < RETRY_DOUBLINGS;
	b->at = mono_add(rt_now(s->cfg.rt), pause);
	sync_retry_at(s, b);
}

bool
sync_retry_due(const struct sync *s, const struct backoff *b)
{
	return !b->times || mono_due(b->at, rt_now(s->cfg.rt));
}

static void
routes_retry(struct sync *s)
{
	if (!sync_retry_due(s, &s->retry)) {
		sync_retry_at(s, &s->retry);
		return;
	}
	if (!s->refused[FAMILY_IPV4] && !s->refused[FAMILY_IPV6]) {
		s->retry.times = 0;
		return;
	}
	if (s->progress)
		s->retry.times = 0;
	retry_begin(s);
	s->progress = false;
	sync_refused(s, &s->retry);
}

static void
retry(void *arg)
{
	struct sync *s = arg;

	s->retry_next = MONO_NEVER;
	objects_retry(s);
	routes_retry(s);
}

static void
audit_due(void *arg)
{
	struct sync *s = arg;

	if (s->cfg.audit_us)
		rt_timer_set(s->audit_timer, mono_add(rt_now(s->cfg.rt), s->cfg.audit_us));
	s->audit_wanted = true;
	s->audit_after = rt_now(s->cfg.rt);
	sync_wake(s, false);
}

/* ---- life ---- */

struct sync *
sync_new(struct platform *platform, const struct sync_config *cfg, const struct sync_client *client, void *arg)
{
	struct sync *s = mem_alloc(cfg->mem, MEM_FIB, sizeof(*s));

	memset(s, 0, offsetof(struct sync, lanes));
	for (int i = 0; i < LANES; i++)
		s->lanes[i].n = s->lanes[i].head = s->lanes[i].tail = 0;
	s->platform = platform;
	s->cfg = *cfg;
	s->client = client;
	s->arg = arg;
	s->retry_next = MONO_NEVER;
	table_init(&s->routes[FAMILY_IPV4], FAMILY_IPV4);
	table_init(&s->routes[FAMILY_IPV6], FAMILY_IPV6);
	s->urgent = rt_work_new(cfg->rt, RT_URGENT, urgent_work, s);
	s->normal = rt_work_new(cfg->rt, RT_NORMAL, normal_work, s);
	s->retry_timer = rt_timer_new(cfg->rt, retry, s);
	s->audit_timer = rt_timer_new(cfg->rt, audit_due, s);
	s->bulk_timer = rt_timer_new(cfg->rt, bulk_due, s);
	s->outer = platform->client;
	s->outer_arg = platform->client_arg;
	platform->client = &platform_client;
	platform->client_arg = s;
	return s;
}

void
sync_free(struct sync *s)
{
	struct mem *mem;

	if (!s)
		return;
	mem = s->cfg.mem;
	s->platform->client = s->outer;
	s->platform->client_arg = s->outer_arg;
	rt_work_free(s->urgent);
	rt_work_free(s->normal);
	rt_timer_free(s->retry_timer);
	rt_timer_free(s->audit_timer);
	rt_timer_free(s->bulk_timer);
	if (s->bulk)
		s->platform->ops->bulk(s->platform, false);
	for (size_t i = 0; i < s->lanes[LANE_OBJECTS].n; i++) {
		const struct plat_op *op = &s->lanes[LANE_OBJECTS].batch[i];

		if (op->kind == PLAT_GROUP_SET)
			mem_free(mem, MEM_FIB, (void *)(uintptr_t)op->group.members);
	}
	for (size_t i = 0; i < s->n_groups; i++)
		mem_free(mem, MEM_FIB, s->groups[i].want.m);
	for (size_t i = 0; i < s->n_pgs; i++) {
		mem_free(mem, MEM_FIB, s->pgs[i].have.m);
		mem_free(mem, MEM_FIB, s->pgs[i].sent.m);
		mem_free(mem, MEM_FIB, s->pgs[i].own.m);
	}
	for (size_t i = 0; i < ARRAY_LEN(s->errors); i++)
		mem_free(mem, MEM_FIB, s->errors[i].detail);
	table_free(s, &s->routes[FAMILY_IPV4]);
	table_free(s, &s->routes[FAMILY_IPV6]);
	mem_free(mem, MEM_FIB, s->tables);
	mem_free(mem, MEM_FIB, s->nhs);
	mem_free(mem, MEM_FIB, s->groups);
	mem_free(mem, MEM_FIB, s->pgs);
	mem_free(mem, MEM_FIB, s->nh_slots);
	mem_free(mem, MEM_FIB, s->ids);
	mem_free(mem, MEM_FIB, s->ports);
	mem_free(mem, MEM_FIB, s->extras);
	check_drop(s);
	mem_free(mem, MEM_FIB, s->check.found);
	for (int f = 0; f < FAMILIES; f++)
		mem_free(mem, MEM_FIB, s->first[f].v);
	mem_free(mem, MEM_FIB, s->nh_queue.v);
	mem_free(mem, MEM_FIB, s->group_queue.v);
	mem_free(mem, MEM_FIB, s->pg_queue.v);
	mem_free(mem, MEM_FIB, s);
}

int
sync_start(struct sync *s)
{
	int err = audit_whole(s, true, NULL, NULL);

	if (err < 0 && err != -ENOTSUP)
		return err;
	s->started = true;
	s->stats.repairs = 0; /* what was adopted is not a repair */
	if (s->cfg.audit_us)
		rt_timer_set(s->audit_timer, mono_add(rt_now(s->cfg.rt), s->cfg.audit_us));
	sync_wake(s, true);
	sync_wake(s, false);
	return 0;
}

void
sync_sweep(struct sync *s)
{
	if (s->swept)
		return;
	s->swept = true;
	for (int f = 0; f < FAMILIES; f++) {
		for (uint32_t i = 1; i <= s->routes[f].top; i++) {
			struct sroute *r = table_at(&s->routes[f], i);

			if (!(r->flags & R_ADOPTED))
				continue;
			r->flags &= (uint8_t)~R_ADOPTED;
			route_touch(s, (enum family)f, i);
		}
	}
	for (uint32_t i = 1; i <= s->n_pgs; i++) {
		pg_at(s, i)->adopted = false;
		if (pg_at(s, i)->live)
			pg_queue(s, i);
	}
	for (uint32_t i = 0; i < s->n_nhs; i++) {
		s->nhs[i].adopted = false;
		if (s->nhs[i].live)
			nh_queue(s, i);
	}
	audit_soon(s); /* finds what could not be adopted */
}

void
sync_stop(struct sync *s)
{
	s->stopped = true;
}

void
sync_stats(const struct sync *s, struct sync_stats *out)
{
	uint64_t wanted, installed;

	*out = s->stats;
	for (size_t i = 0; i < s->n_groups; i++) {
		const struct group *g = &s->groups[i];

		if (!g->live)
			continue;
		out->groups++;
		out->members += g->want.n;
		if (!group_ready(s, g))
			out->routes_waiting += g->wants;
	}
	for (size_t i = 0; i < s->n_nhs; i++)
		out->nexthops += s->nhs[i].live && !s->nhs[i].own;
	out->routes_failed = (uint64_t)s->refused[FAMILY_IPV4] + s->refused[FAMILY_IPV6];
	wanted = out->routes_wanted[FAMILY_IPV4] + out->routes_wanted[FAMILY_IPV6];
	installed = out->routes_installed[FAMILY_IPV4] + out->routes_installed[FAMILY_IPV6];
	installed += out->routes_failed + out->routes_waiting;
	if (wanted > installed) /* while all is held, this may be a walk over all routes */
		installed += sync_alike(s);
	out->routes_pending = wanted > installed ? wanted - installed : 0;
}
