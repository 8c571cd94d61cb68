/*
 * platform/model/model.c -- the contract of platform.h, kept by tables in memory
 *
 *   submit --> ring of copied operations, each with the time at which it is done
 *   timer ---> what is due: fault? else model_apply() --> results, in order
 *          --> lost objects, desync, ports that changed
 *
 * One timer serves all that is told to the client, so every callback comes from the loop, and results come before what
 * happened after them. The ports are what the glue says; carrier loss changes the tables in the same moment, and says
 * nothing but the port event, as the kernel does.
 *
 * Always true: an operation is done when it is due, not when it is submitted; the queue keeps its order, whatever
 * fails.
 */
#include <stdio.h>
#include <string.h>

#include "platform/model/impl.h"

#define QUEUE_DEFAULT  4096
#define QUEUE_FIRST    32
#define RESULTS_MAX    256
#define DUMP_BUCKETS   512
#define BRIDGE_IFINDEX 1000000
#define LO_IFINDEX     (1u << 31)

static void
wake(struct model *m, struct mono at)
{
	if (m->timer)
		rt_timer_set(m->timer, at);
}

/* When there is something to tell, at once; else when the first operation is done. */
static void
rearm(struct model *m)
{
	bool now = m->nlost || m->reset;

	for (struct model_port *p = m->ports; p && !now; p = p->next)
		now = p->dirty || p->admin_dirty;
	if (now)
		wake(m, rt_now(m->rt));
	else if (m->qlen && !m->hung)
		wake(m, m->queue[m->qhead].due);
	else
		wake(m, MONO_NEVER);
}

/* ---- operations ---- */

static bool
fault_hits(struct model *m, const struct plat_op *op, struct model_answer *a)
{
	static const struct model_answer by_kind[] = {
		[MODEL_FAIL] = { PLAT_FAILED, -EINVAL, NULL, false },
		[MODEL_TRANSIENT] = { PLAT_TRANSIENT, -EBUSY, NULL, false },
		[MODEL_FULL] = { PLAT_TABLE_FULL, -ENOSPC, NULL, false },
		[MODEL_LIE] = { PLAT_INSTALLED, 0, NULL, false },
	};
	const struct model_fault *f = &m->fault;

	if (!m->has_fault || (f->kinds && !(f->kinds & 1u << op->kind)))
		return false;
	if (m->fault_seen++ < f->after || (f->count && m->fault_hits >= f->count))
		return false;
	m->fault_hits++;
	*a = by_kind[f->kind];
	if (f->error && f->kind != MODEL_LIE)
		a->error = f->error;
	a->detail = f->detail;
	return true;
}

static void
count(struct model *m, const struct plat_op *op, const struct model_answer *a)
{
	m->stats.ops++;
	m->stats.by_kind[op->kind]++;
	m->stats.installed += a->outcome == PLAT_INSTALLED;
	m->stats.failed += a->outcome == PLAT_FAILED;
	m->stats.full += a->outcome == PLAT_TABLE_FULL;
	m->stats.waits_link += a->outcome == PLAT_WAITS_LINK;
	m->stats.transient += a->outcome == PLAT_TRANSIENT;
}

/* The first one that is open, from this one on. */
static struct model_client *
open_client(struct model_client *c)
{
	while (c && c->closed)
		c = c->next;
	return c;
}

static struct plat_result
do_first(struct model *m)
{
	struct model_queued *q = &m->queue[m->qhead];
	struct plat_result r;
	struct model_answer a;

	if (!fault_hits(m, &q->op, &a))
		a = model_apply(m, &q->op);
	count(m, &q->op, &a);
	r = (struct plat_result){ q->op.cookie, a.outcome, a.error, a.detail, a.outlives };
	mem_free(m->mem, MEM_OTHER, q->members);
	m->qlen--;
	m->qhead = (m->qhead + 1) % m->qcap;
	if (!m->qlen) { /* thousands of idle switches hold no memory for it */
		mem_free(m->mem, MEM_OTHER, m->queue);
		m->queue = NULL;
		m->qcap = m->qhead = 0;
	}
	return r;
}

static bool
is_due(const struct model *m, struct mono now)
{
	return open_client(m->clients) && !m->hung && m->qlen && mono_due(m->queue[m->qhead].due, now);
}

static void
do_due(struct model *m)
{
	struct plat_result r[RESULTS_MAX];
	struct mono now = rt_now(m->rt);
	size_t n;

	while (is_due(m, now)) {
		struct model_client *to = m->queue[m->qhead].from;

		for (n = 0; n < RESULTS_MAX && is_due(m, now) && m->queue[m->qhead].from == to; n++)
			r[n] = do_first(m);
		if (to && !to->closed && to->base.client && to->base.client->results)
			to->base.client->results(to->base.client_arg, r, n);
	}
}

/* op NULL: all of it. */
static void
tell_one_lost(struct model *m, const struct plat_op *op)
{
	for (struct model_client *to = open_client(m->clients); to; to = open_client(to->next)) {
		const struct platform_client *c = to->base.client;

		if (c && c->lost && op)
			c->lost(to->base.client_arg, op, "removed by another hand");
		else if (c && c->desync)
			c->desync(to->base.client_arg,
			    op ? "an object was removed by another hand" : "the forwarding plane was reset");
	}
}

static void
tell_lost(struct model *m)
{
	while (m->nlost) {
		struct plat_op op = m->lost[0];

		memmove(&m->lost[0], &m->lost[1], --m->nlost * sizeof(m->lost[0]));
		tell_one_lost(m, &op);
	}
	if (m->reset) {
		m->reset = false;
		tell_one_lost(m, NULL);
	}
}

static void
tell_port(struct model *m, const struct plat_port *p)
{
	for (struct model_client *to = open_client(m->clients); to; to = open_client(to->next))
		if (to->base.client && to->base.client->port)
			to->base.client->port(to->base.client_arg, p);
}

static void
tell_ports(struct model *m)
{
	struct model_port *p, **at;

	for (p = m->ports; p && open_client(m->clients);) {
		if (p->admin_dirty) {
			p->admin_dirty = false;
			if (m->admin_fn)
				m->admin_fn(m->admin_arg, p->p.ifindex, p->p.admin_up);
		}
		if (p->dirty) {
			struct plat_port view = p->p;

			p->dirty = p->lost && view.carrier; /* then its return is told in the next round */
			if (p->lost)
				view.carrier = false;
			p->lost = false;
			tell_port(m, &view);
			p = m->ports; /* the list may have changed */
			continue;
		}
		p = p->next;
	}
	for (at = &m->ports; (p = *at);) {
		if (!p->p.gone || p->dirty) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		mem_free(m->mem, MEM_OTHER, p->addresses);
		mem_free(m->mem, MEM_OTHER, p);
	}
}

static void
model_destroy(struct model *m)
{
	struct model_port *p;

	m->watch_fn = NULL;
	model_table_clear(m);
	for (size_t i = 0; i < m->routes.nbuckets; i++)
		while (m->routes.buckets[i])
			model_route_remove(m, (struct model_route *)m->routes.buckets[i]);
	while (m->qlen) {
		mem_free(m->mem, MEM_OTHER, m->queue[m->qhead].members);
		m->qhead = (m->qhead + 1) % m->qcap;
		m->qlen--;
	}
	while ((p = m->ports)) {
		m->ports = p->next;
		mem_free(m->mem, MEM_OTHER, p->addresses);
		mem_free(m->mem, MEM_OTHER, p);
	}
	mem_free(m->mem, MEM_OTHER, m->queue);
	mem_free(m->mem, MEM_OTHER, m->lost);
	mem_free(m->mem, MEM_OTHER, m->hops);
	mem_free(m->mem, MEM_OTHER, m->routes.buckets);
	mem_free(m->mem, MEM_OTHER, m->groups.buckets);
	mem_free(m->mem, MEM_OTHER, m->nexthops.buckets);
	rt_timer_free(m->timer);
	mem_free(m->mem, MEM_OTHER, m);
}

/* Frees what was closed; with the last client, all of it. */
static void
reap(struct model *m)
{
	struct model_client **at = &m->clients, *c;

	while ((c = *at)) {
		if (!c->closed) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		for (size_t i = 0; i < m->qlen; i++)
			if (m->queue[(m->qhead + i) % m->qcap].from == c)
				m->queue[(m->qhead + i) % m->qcap].from = NULL;
		mem_free(m->mem, MEM_OTHER, c);
	}
	if (!m->clients)
		model_destroy(m);
}

static void
fire(void *arg)
{
	struct model *m = arg;

	m->busy++;
	do_due(m);
	tell_lost(m);
	tell_ports(m);
	m->busy--;
	rearm(m);
	reap(m);
}

/* Room for n more operations in the ring, in the end of which the first ones may stand. */
static void
make_room(struct model *m, size_t n)
{
	struct model_queued *queue;
	size_t cap = MAX_OF(m->qcap, (size_t)QUEUE_FIRST);

	while (cap < m->qlen + n)
		cap *= 2;
	if (cap == m->qcap)
		return;
	queue = mem_alloc(m->mem, MEM_OTHER, cap * sizeof(*queue));
	for (size_t i = 0; i < m->qlen; i++)
		queue[i] = m->queue[(m->qhead + i) % m->qcap];
	mem_free(m->mem, MEM_OTHER, m->queue);
	m->queue = queue;
	m->qcap = cap;
	m->qhead = 0;
}

static size_t
model_submit(struct platform *platform, const struct plat_op *ops, size_t n)
{
	struct model *m = model_of(platform);
	size_t i, room = m->qmax - m->qlen;

	if (n)
		make_room(m, MIN_OF(n, room));
	for (i = 0; i < n && i < room; i++) {
		struct model_queued *q = &m->queue[(m->qhead + m->qlen) % m->qcap];

		*q = (struct model_queued){ .op = ops[i], .from = (struct model_client *)platform };
		q->due = mono_add(rt_now(m->rt), m->cfg.ack_us + (int64_t)i * m->cfg.op_us);
		q->due.us = MAX_OF(q->due.us, m->last_due.us);
		m->last_due = q->due;
		if (ops[i].kind == PLAT_GROUP_SET && ops[i].group.n) {
			q->members = mem_alloc(m->mem, MEM_OTHER, ops[i].group.n * sizeof(*q->members));
			memcpy(q->members, ops[i].group.members, ops[i].group.n * sizeof(*q->members));
			q->op.group.members = q->members;
		}
		m->qlen++;
	}
	if (i) {
		m->stats.batches++;
		if (!m->busy)
			rearm(m);
	}
	return i;
}

/* ---- dump ---- */

static void
dump_bucket(const struct model_node *e, int stage, plat_dump_fn *fn, void *arg)
{
	for (const struct model_node *next; e; e = next) {
		struct plat_dumped d = { .foreign = false };

		next = e->next;
		if (stage == 0) {
			const struct model_nh *nh = (const struct model_nh *)e;

			d.kind = PLAT_NH_SET;
			d.op.id = nh->id;
			d.op.nh.ifindex = nh->ifindex;
			d.op.nh.gateway = nh->gateway;
		} else if (stage == 1) {
			const struct model_group *g = (const struct model_group *)e;

			d.kind = PLAT_GROUP_SET;
			d.op.id = g->id;
			d.op.group.members = g->members;
			d.op.group.n = g->n;
			d.op.group.outlives = g->outlives;
		} else {
			d.kind = PLAT_ROUTE_SET;
			d.op.route = ((const struct model_route *)e)->r;
			d.foreign = ((const struct model_route *)e)->foreign;
		}
		d.op.kind = d.kind;
		fn(arg, &d);
	}
}

static int
model_dump_begin(struct platform *platform)
{
	struct model_client *c = (struct model_client *)platform;

	c->dump_stage = 0;
	c->dump_bucket = 0;
	c->dump_epoch = c->m->nexthops.epoch + c->m->groups.epoch + c->m->routes.epoch;
	return 0;
}

/* As a kernel's dump: what changes meanwhile may or may not be seen; only a rebuilt table breaks it off. */
static int
model_dump_step(struct platform *platform, plat_dump_fn *fn, void *arg)
{
	struct model_client *c = (struct model_client *)platform;
	const struct model *m = c->m;
	const struct model_table *tables[] = { &m->nexthops, &m->groups, &m->routes };

	if (c->dump_epoch != m->nexthops.epoch + m->groups.epoch + m->routes.epoch)
		return -EINTR;
	for (int left = DUMP_BUCKETS; left > 0; left--) {
		const struct model_table *t = tables[c->dump_stage];

		if (c->dump_bucket < t->nbuckets) {
			dump_bucket(t->buckets[c->dump_bucket++], c->dump_stage, fn, arg);
			continue;
		}
		c->dump_bucket = 0;
		if (++c->dump_stage == (int)ARRAY_LEN(tables)) {
			c->dump_stage = 0;
			return 0;
		}
	}
	return 1;
}

static int
model_dump(struct platform *platform, plat_dump_fn *fn, void *arg)
{
	int more;

	model_dump_begin(platform);
	while ((more = model_dump_step(platform, fn, arg)) > 0)
		;
	return more;
}

/* ---- ports, addresses, system ---- */

static struct model_port *
port_by_name(const struct model *m, const char *name)
{
	for (struct model_port *p = m->ports; p; p = p->next)
		if (!p->p.gone && strcmp(p->p.name, name) == 0)
			return p;
	return NULL;
}

/* Works out the carrier of all ports anew, and does what follows from its loss. */
static void
carrier_refresh(struct model *m)
{
	for (struct model_port *p = m->ports; p; p = p->next) {
		bool lit = model_port_lit(m, p);

		if (lit == p->p.carrier)
			continue;
		p->p.carrier = lit;
		p->dirty = true;
		if (!lit) {
			p->lost = true;
			model_port_dark(m, p->p.ifindex);
		}
	}
	if (!m->busy)
		rearm(m);
}

static struct model_port *
port_add(struct model *m, const char *name, uint32_t ifindex)
{
	struct model_port *p = mem_zalloc(m->mem, MEM_OTHER, sizeof(*p)), **at;

	snprintf(p->p.name, sizeof(p->p.name), "%s", name);
	p->p.ifindex = ifindex;
	p->p.admin_up = true;
	p->p.mtu = 1500;
	p->p.max_mtu = 9216;
	p->p.speed_bps = 100000000000;
	p->dirty = true;
	for (at = &m->ports; *at; at = &(*at)->next) /* in the order in which they came */
		;
	*at = p;
	return p;
}

void
model_port_set(struct platform *platform, const char *name, uint32_t ifindex, const uint8_t mac[6], bool carrier,
    const struct ip *link_local)
{
	struct model *m = model_of(platform);
	struct model_port *p = model_port_find(m, ifindex);
	struct ip ll = link_local ? *link_local : (struct ip){ .family = FAMILY_IPV6 };

	if (!p)
		p = port_add(m, name, ifindex);
	if (memcmp(p->p.mac, mac, 6) != 0 || !ip_equal(&p->p.link_local, &ll))
		p->dirty = true;
	memcpy(p->p.mac, mac, 6);
	p->p.link_local = ll;
	p->wire = carrier;
	carrier_refresh(m);
}

void
model_port_remove(struct platform *platform, uint32_t ifindex)
{
	struct model *m = model_of(platform);
	struct model_port *p = model_port_find(m, ifindex);

	if (!p)
		return;
	p->wire = false;
	p->bridge[0] = '\0';
	carrier_refresh(m);
	p->p.gone = p->dirty = true;
	p->naddresses = 0;
	if (!m->busy)
		rearm(m);
}

void
model_admin_watch(struct platform *platform, model_admin_fn *fn, void *arg)
{
	struct model *m = model_of(platform);

	m->admin_fn = fn;
	m->admin_arg = arg;
}

void
model_watch(struct platform *platform, model_watch_fn *fn, void *arg)
{
	struct model *m = model_of(platform);

	m->watch_fn = fn;
	m->watch_arg = arg;
}

static int
model_system_setup(struct platform *platform, const struct plat_system_config *cfg)
{
	model_of(platform)->hash_seed = cfg->hash_seed;
	return 0;
}

static int
model_port_setup(struct platform *platform, const char *name, const struct plat_port_config *cfg)
{
	struct model *m = model_of(platform);
	struct model_port *p = port_by_name(m, name);
	uint32_t mtu;

	if (!p)
		return -ENODEV;
	if (cfg->bridge[0] && !port_by_name(m, cfg->bridge))
		return -ENODEV;
	mtu = cfg->mtu ? MIN_OF(cfg->mtu, p->p.max_mtu) : p->p.mtu;
	if (p->p.admin_up != cfg->up) {
		p->p.admin_up = cfg->up;
		p->dirty = p->admin_dirty = true;
	}
	if (p->p.mtu != mtu) {
		p->p.mtu = mtu;
		p->dirty = true;
	}
	memcpy(p->bridge, cfg->bridge, sizeof(p->bridge));
	carrier_refresh(m);
	return 0;
}

static int
model_address_set(struct platform *platform, const char *port, const struct ip *a, uint8_t len, bool present)
{
	struct model *m = model_of(platform);
	struct model_port *p = port_by_name(m, port);
	size_t i;

	if (!p)
		return -ENODEV;
	if (len > family_bits(a->family))
		return -EINVAL;
	for (i = 0; i < p->naddresses; i++)
		if (ip_equal(&p->addresses[i].addr, a))
			break;
	if (!present) {
		if (i < p->naddresses)
			p->addresses[i] = p->addresses[--p->naddresses];
		return 0;
	}
	if (i == p->naddresses) {
		p->addresses = mem_grow(
		    m->mem, MEM_OTHER, p->addresses, &p->cap, p->naddresses + 1, sizeof(p->addresses[0]));
		p->naddresses++;
	}
	p->addresses[i] = (struct model_address){ *a, len };
	return 0;
}

static int
model_bridge_setup(struct platform *platform, const char *name, bool create)
{
	struct model *m = model_of(platform);
	struct model_port *p = port_by_name(m, name);

	if (p)
		return p->is_bridge ? 0 : -EEXIST;
	if (!create)
		return -ENODEV;
	p = port_add(m, name, m->bridge_ifindex++);
	p->is_bridge = true;
	put_u32(p->p.mac + 2, p->p.ifindex);
	p->p.mac[0] = 2;
	carrier_refresh(m);
	return 0;
}

static void
model_close(struct platform *platform)
{
	struct model *m = model_of(platform);

	((struct model_client *)platform)->closed = true;
	if (!m->busy)
		reap(m);
}

#define COUNTS(member) offsetof(struct model_stats, member)

static const struct counter counter_list[] = {
	{ "refused", "operations refused", COUNTS(failed), false },
	{ "table-full", "operations refused: the table is full", COUNTS(full), false },
	{ "no-carrier", "operations refused: the port has no carrier", COUNTS(waits_link), false },
	{ "transient", "operations refused for the moment", COUNTS(transient), false },
	{ "operations", "operations", COUNTS(ops), true },
	{ "installed", "operations done", COUNTS(installed), true },
	{ "batches", "batches in which they were told", COUNTS(batches), true },
	{ "next-hops-set", "next hops to set", COUNTS(by_kind[PLAT_NH_SET]), true },
	{ "next-hops-deleted", "next hops to delete", COUNTS(by_kind[PLAT_NH_DEL]), true },
	{ "groups-set", "groups to set", COUNTS(by_kind[PLAT_GROUP_SET]), true },
	{ "groups-deleted", "groups to delete", COUNTS(by_kind[PLAT_GROUP_DEL]), true },
	{ "routes-set", "routes to set", COUNTS(by_kind[PLAT_ROUTE_SET]), true },
	{ "routes-deleted", "routes to delete", COUNTS(by_kind[PLAT_ROUTE_DEL]), true },
	{ "carrier-next-hops", "next hops that went with the carrier of their port", COUNTS(carrier_nexthops), true },
	{ "carrier-groups", "groups that went with the carrier of their ports", COUNTS(carrier_groups), true },
	{ "carrier-routes", "routes that went with the carrier of their ports", COUNTS(carrier_routes), true },
};
_Static_assert(ARRAY_LEN(counter_list) == COUNTS(routes) / sizeof(uint64_t), "a counter is not told");

static void
model_counters(const struct platform *platform, struct counters *out)
{
	*out = (struct counters){
		.list = counter_list, .n = ARRAY_LEN(counter_list), .of = &model_of(platform)->stats
	};
}

static const struct platform_ops model_ops = {
	.name = "model",
	.close = model_close,
	.system_setup = model_system_setup,
	.port_setup = model_port_setup,
	.address_set = model_address_set,
	.bridge_setup = model_bridge_setup,
	.submit = model_submit,
	.dump = model_dump,
	.dump_begin = model_dump_begin,
	.dump_step = model_dump_step,
	.counters = model_counters,
};

static void
tell_all_ports(struct model *m)
{
	for (struct model_port *p = m->ports; p; p = p->next)
		p->dirty = p->p.ifindex != LO_IFINDEX;
	rearm(m);
}

void
model_orphan(struct platform *platform)
{
	struct model *m = model_of(platform);

	platform->client = NULL;
	platform->client_arg = NULL;
	while (m->qlen)
		do_first(m);
	m->nlost = 0;
	m->reset = false;
	rt_timer_free(m->timer);
	m->timer = NULL;
}

void
model_adopt(struct platform *platform)
{
	struct model *m = model_of(platform);

	m->timer = rt_timer_new(m->rt, fire, m);
	tell_all_ports(m);
}

static uint32_t
limit(uint32_t n)
{
	return n ? n : UINT32_MAX;
}

struct platform *
model_open(struct runtime *rt, struct mem *mem, const struct model_config *cfg, const struct platform_client *client,
    void *client_arg)
{
	struct model *m = mem_zalloc(mem, MEM_OTHER, sizeof(*m));
	struct model_client *c = m->clients = mem_zalloc(mem, MEM_OTHER, sizeof(*c));
	struct model_port *lo;

	c->base.ops = &model_ops;
	c->base.client = client;
	c->base.client_arg = client_arg;
	c->m = m;
	m->rt = rt;
	m->mem = mem;
	if (cfg)
		m->cfg = *cfg;
	m->seed = rt_random(rt);
	m->hash_seed = m->seed;
	m->bridge_ifindex = BRIDGE_IFINDEX;
	m->qmax = m->cfg.queue ? m->cfg.queue : QUEUE_DEFAULT;
	m->timer = rt_timer_new(rt, fire, m);
	c->base.caps = (struct platform_caps){
		.max_routes = { limit(m->cfg.max_routes[0]), limit(m->cfg.max_routes[1]) },
		.max_nexthops = limit(m->cfg.max_nexthops),
		.max_groups = limit(m->cfg.max_groups),
		.max_members = limit(m->cfg.max_members),
		.max_group_size = limit(m->cfg.max_group_size),
		.weight_bits = 16,
		.shared_group = true,
		.v4_over_v6 = true,
		.atomic_group_replace = true,
		.acknowledges = true,
		.carrier_deletes_nexthops = !m->cfg.keep_nexthops,
		.batch = 128,
		.group_outlives = m->cfg.group_outlives,
		.own_nexthops = m->cfg.keep_nexthops ? 0 : m->cfg.own_nexthops,
	};
	lo = port_add(m, "lo", LO_IFINDEX);
	lo->wire = lo->p.carrier = true;
	lo->dirty = false;
	return &c->base;
}

struct platform *
model_share(struct platform *platform)
{
	struct model *m = model_of(platform);
	struct model_client *c = mem_zalloc(m->mem, MEM_OTHER, sizeof(*c));

	c->base.ops = &model_ops;
	c->base.caps = platform->caps;
	c->m = m;
	c->next = m->clients;
	m->clients = c;
	tell_all_ports(m);
	return &c->base;
}

/* ---- faults ---- */

void
model_fault_set(struct platform *platform, const struct model_fault *f)
{
	struct model *m = model_of(platform);

	m->has_fault = f != NULL;
	if (f)
		m->fault = *f;
	m->fault_seen = m->fault_hits = 0;
}

static void
lose(struct model *m, const struct plat_op *op, bool tell)
{
	if (!tell)
		return;
	m->lost = mem_grow(m->mem, MEM_OTHER, m->lost, &m->lost_cap, m->nlost + 1, sizeof(m->lost[0]));
	m->lost[m->nlost++] = *op;
	if (!m->busy)
		rearm(m);
}

int
model_lose_route(struct platform *platform, uint32_t table, const struct prefix *p, uint32_t metric, bool tell)
{
	struct model *m = model_of(platform);
	struct model_route *r = model_route_find(m, table, p, metric);
	struct plat_op op = { .kind = PLAT_ROUTE_DEL };

	if (!r)
		return -ENOENT;
	op.route = r->r;
	model_route_remove(m, r);
	lose(m, &op, tell);
	return 0;
}

int
model_lose_nexthop(struct platform *platform, uint32_t id, bool tell)
{
	struct model *m = model_of(platform);
	struct model_nh *nh = model_nh_find(m, id);
	struct plat_op op = { .kind = PLAT_NH_DEL, .id = id };

	if (!nh)
		return -ENOENT;
	op.nh.ifindex = nh->ifindex;
	op.nh.gateway = nh->gateway;
	model_nh_remove(m, nh);
	lose(m, &op, tell);
	return 0;
}

int
model_lose_group(struct platform *platform, uint32_t id, bool tell)
{
	struct model *m = model_of(platform);
	struct model_group *g = model_group_find(m, id);
	struct plat_op op = { .kind = PLAT_GROUP_DEL, .id = id };

	if (!g)
		return -ENOENT;
	model_group_remove(m, g);
	lose(m, &op, tell);
	return 0;
}

int
model_foreign_route(struct platform *platform, const struct plat_route *r)
{
	struct model *m = model_of(platform);
	struct plat_op op = { .kind = PLAT_ROUTE_SET, .route = *r };
	struct model_answer a;

	op.route.type = r->type == PLAT_UNICAST ? PLAT_BLACKHOLE : r->type; /* its next hops are not ours to know */
	a = model_apply(m, &op);
	if (a.outcome != PLAT_INSTALLED)
		return a.error;
	model_route_find(m, r->table, &r->prefix, r->metric)->foreign = true;
	return 0;
}

void
model_hang(struct platform *platform, bool hung)
{
	struct model *m = model_of(platform);

	m->hung = hung;
	if (!m->busy)
		rearm(m);
}

void
model_outlive(struct platform *platform, bool can)
{
	struct model *m = model_of(platform);

	m->cfg.group_outlives = can;
	for (struct model_client *c = m->clients; c; c = c->next)
		c->base.caps.group_outlives = can;
	if (!can) {
		model_groups_weaken(m);
		return;
	}
	m->reset = true;
	if (!m->busy)
		rearm(m);
}

void
model_reset(struct platform *platform)
{
	struct model *m = model_of(platform);

	model_table_clear(m);
	m->reset = true;
	if (!m->busy)
		rearm(m);
}

void
model_stats(const struct platform *platform, struct model_stats *out)
{
	const struct model *m = model_of(platform);

	*out = m->stats;
	memcpy(out->routes, m->by_family, sizeof(out->routes));
	out->nexthops = m->nexthops.n;
	out->groups = m->groups.n;
	out->members = m->members;
	out->in_flight = m->qlen;
}
