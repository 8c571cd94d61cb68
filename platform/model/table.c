/*
 * platform/model/table.c -- the objects: next hops, groups, routes, and what depends on what
 *
 *   route --on--> group --members--> next hops --on--> port
 *   route --on--> next hop
 *
 * Each next hop and group has the list of the routes on it, so that removing it removes them, as a kernel does. Next
 * hops and groups share one space of ids. What is refused leaves everything as it was.
 *
 * Always true: a group has at least one member, or outlives it, and all its members exist; a unicast route of ours is on something that
 * exists. Foreign routes are on nothing.
 */
#include <string.h>

#include "platform/model/impl.h"

#define OK_ANSWER ((struct model_answer){ PLAT_INSTALLED, 0, NULL, false })

static struct model_answer
refuse(enum plat_outcome outcome, int error, const char *detail)
{
	return (struct model_answer){ outcome, error, detail, false };
}

/* ---- hash tables ---- */

static void
table_rehash(struct model *m, struct model_table *t)
{
	size_t n = t->nbuckets ? t->nbuckets * 2 : 16;
	struct model_node **buckets = mem_zalloc(m->mem, MEM_OTHER, n * sizeof(*buckets)), *e, *next;

	for (size_t i = 0; i < t->nbuckets; i++) {
		for (e = t->buckets[i]; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	mem_free(m->mem, MEM_OTHER, t->buckets);
	t->buckets = buckets;
	t->nbuckets = n;
	t->epoch++;
}

static void
table_add(struct model *m, struct model_table *t, struct model_node *e, uint64_t hash)
{
	struct model_node **at;

	if (t->n >= t->nbuckets)
		table_rehash(m, t);
	at = &t->buckets[hash & (t->nbuckets - 1)];
	e->hash = hash;
	e->next = *at;
	*at = e;
	t->n++;
}

static void
table_remove(struct model_table *t, struct model_node *e)
{
	struct model_node **at = &t->buckets[e->hash & (t->nbuckets - 1)];

	for (; *at != e; at = &(*at)->next)
		;
	*at = e->next;
	t->n--;
}

static struct model_node *
table_first(const struct model_table *t, uint64_t hash)
{
	return t->nbuckets ? t->buckets[hash & (t->nbuckets - 1)] : NULL;
}

/* ---- finding ---- */

static uint64_t
id_hash(const struct model *m, uint32_t id)
{
	return hash_u64(m->seed, id);
}

static uint64_t
prefix_hash(const struct model *m, uint32_t table, const struct prefix *p)
{
	return hash_bytes(hash_u64(m->seed, table), p, sizeof(*p));
}

struct model_nh *
model_nh_find(const struct model *m, uint32_t id)
{
	for (struct model_node *e = table_first(&m->nexthops, id_hash(m, id)); e; e = e->next)
		if (((struct model_nh *)e)->id == id)
			return (struct model_nh *)e;
	return NULL;
}

struct model_group *
model_group_find(const struct model *m, uint32_t id)
{
	for (struct model_node *e = table_first(&m->groups, id_hash(m, id)); e; e = e->next)
		if (((struct model_group *)e)->id == id)
			return (struct model_group *)e;
	return NULL;
}

struct model_route *
model_route_find(const struct model *m, uint32_t table, const struct prefix *p, uint32_t metric)
{
	for (struct model_node *e = table_first(&m->routes, prefix_hash(m, table, p)); e; e = e->next) {
		struct model_route *r = (struct model_route *)e;

		if (r->r.table == table && r->r.metric == metric && prefix_equal(&r->r.prefix, p))
			return r;
	}
	return NULL;
}

struct model_route *
model_route_best(const struct model *m, uint32_t table, const struct prefix *p)
{
	struct model_route *best = NULL;

	for (struct model_node *e = table_first(&m->routes, prefix_hash(m, table, p)); e; e = e->next) {
		struct model_route *r = (struct model_route *)e;

		if (r->r.table == table && prefix_equal(&r->r.prefix, p) && (!best || r->r.metric < best->r.metric))
			best = r;
	}
	return best;
}

struct model_port *
model_port_find(const struct model *m, uint32_t ifindex)
{
	for (struct model_port *p = m->ports; p; p = p->next)
		if (p->p.ifindex == ifindex && !p->p.gone)
			return p;
	return NULL;
}

/* A bridge has carrier while one of its ports has. */
bool
model_port_lit(const struct model *m, const struct model_port *p)
{
	if (!p->p.admin_up)
		return false;
	if (!p->is_bridge)
		return p->wire;
	for (const struct model_port *q = m->ports; q; q = q->next)
		if (!q->is_bridge && strcmp(q->bridge, p->p.name) == 0 && q->wire && q->p.admin_up)
			return true;
	return false;
}

/* ---- routes ---- */

static void
route_off(struct model_route *r)
{
	if (!r->user_prev)
		return;
	*r->user_prev = r->user_next;
	if (r->user_next)
		r->user_next->user_prev = r->user_prev;
	r->user_prev = NULL;
	r->user_next = NULL;
}

static void
route_on(struct model_route *r, struct model_route **users)
{
	r->user_next = *users;
	r->user_prev = users;
	if (r->user_next)
		r->user_next->user_prev = &r->user_next;
	*users = r;
}

void
model_route_remove(struct model *m, struct model_route *r)
{
	model_changed(m, r);
	route_off(r);
	table_remove(&m->routes, &r->node);
	m->by_len[r->r.prefix.family][r->r.prefix.len]--;
	m->by_family[r->r.prefix.family]--;
	mem_free(m->mem, MEM_OTHER, r);
}

static struct model_answer
check_route(const struct model *m, const struct plat_route *r, struct model_route ***users)
{
	struct model_group *g;
	struct model_nh *nh;

	*users = NULL;
	if (r->type != PLAT_UNICAST)
		return OK_ANSWER;
	if (r->group_is_nh) {
		nh = model_nh_find(m, r->group);
		if (!nh)
			return refuse(PLAT_FAILED, -EINVAL, "Nexthop id does not exist");
		*users = &nh->users;
	} else {
		g = model_group_find(m, r->group);
		if (!g)
			return refuse(PLAT_FAILED, -EINVAL, "Nexthop id does not exist");
		*users = &g->users;
		nh = NULL;
		for (size_t i = 0; i < g->n && r->prefix.family == FAMILY_IPV6; i++) {
			nh = model_nh_find(m, g->members[i].nh);
			if (nh->gateway.family == FAMILY_IPV4 && !ip_is_zero(&nh->gateway))
				break;
			nh = NULL;
		}
	}
	if (r->prefix.family == FAMILY_IPV6 && nh && nh->gateway.family == FAMILY_IPV4 && !ip_is_zero(&nh->gateway))
		return refuse(PLAT_FAILED, -EINVAL, "IPv6 routes can not use an IPv4 nexthop");
	return OK_ANSWER;
}

static struct model_answer
route_set(struct model *m, const struct plat_op *op)
{
	const struct plat_route *want = &op->route;
	struct model_route *r = model_route_find(m, want->table, &want->prefix, want->metric), **users;
	struct model_answer a = check_route(m, want, &users);
	uint32_t max = m->cfg.max_routes[want->prefix.family];

	if (a.outcome != PLAT_INSTALLED)
		return a;
	if (r && r->foreign && op->only_new)
		return refuse(PLAT_FAILED, -EEXIST, "File exists");
	if (!r) {
		if (max && m->by_family[want->prefix.family] >= max)
			return refuse(PLAT_TABLE_FULL, -ENOSPC, "the route table is full");
		r = mem_zalloc(m->mem, MEM_OTHER, sizeof(*r));
		table_add(m, &m->routes, &r->node, prefix_hash(m, want->table, &want->prefix));
		m->by_len[want->prefix.family][want->prefix.len]++;
		m->by_family[want->prefix.family]++;
	}
	route_off(r);
	r->r = *want;
	r->foreign = false;
	if (users)
		route_on(r, users);
	model_changed(m, r);
	return OK_ANSWER;
}

static struct model_answer
route_del(struct model *m, const struct plat_op *op)
{
	struct model_route *r = model_route_find(m, op->route.table, &op->route.prefix, op->route.metric);

	if (r && !r->foreign)
		model_route_remove(m, r);
	return OK_ANSWER;
}

/* ---- groups ---- */

static void
users_changed(const struct model *m, const struct model_route *users)
{
	if (!m->watch_fn)
		return;
	for (; users; users = users->user_next)
		model_changed(m, users);
}

static void
group_drop_members(struct model *m, struct model_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		model_nh_find(m, g->members[i].nh)->groups--;
	m->members -= g->n;
	mem_free(m->mem, MEM_OTHER, g->members);
	g->members = NULL;
	g->n = 0;
}

void
model_group_remove(struct model *m, struct model_group *g)
{
	while (g->users)
		model_route_remove(m, g->users);
	group_drop_members(m, g);
	table_remove(&m->groups, &g->node);
	mem_free(m->mem, MEM_OTHER, g);
}

static struct model_answer
check_members(const struct model *m, const struct plat_member *members, size_t n)
{
	if (n == 0)
		return refuse(PLAT_FAILED, -EINVAL, "Invalid length or attribute is missing: a group needs a member");
	if (m->cfg.max_group_size && n > m->cfg.max_group_size)
		return refuse(PLAT_FAILED, -EINVAL, "the group is wider than this forwarding plane allows");
	for (size_t i = 0; i < n; i++) {
		if (!model_nh_find(m, members[i].nh))
			return refuse(PLAT_FAILED, -EINVAL, "Invalid nexthop id");
		if (members[i].weight == 0)
			return refuse(PLAT_FAILED, -EINVAL, "Invalid weight");
		for (size_t j = 0; j < i; j++)
			if (members[j].nh == members[i].nh)
				return refuse(PLAT_FAILED, -EINVAL, "Nexthop id can not be used twice in a group");
	}
	return OK_ANSWER;
}

static struct model_answer
group_set(struct model *m, const struct plat_op *op)
{
	struct model_group *g = model_group_find(m, op->id);
	struct model_answer a = check_members(m, op->group.members, op->group.n);
	size_t had = g ? g->n : 0;
	struct plat_member *members;

	if (a.outcome != PLAT_INSTALLED)
		return a;
	if (model_nh_find(m, op->id))
		return refuse(PLAT_FAILED, -EINVAL, "Can not replace a nexthop with a nexthop group");
	if (m->cfg.max_members && m->members - had + op->group.n > m->cfg.max_members)
		return refuse(PLAT_TABLE_FULL, -ENOSPC, "the table of group members is full");
	if (!g && m->cfg.max_groups && m->groups.n >= m->cfg.max_groups)
		return refuse(PLAT_TABLE_FULL, -ENOSPC, "the table of groups is full");
	if (!g) {
		g = mem_zalloc(m->mem, MEM_OTHER, sizeof(*g));
		g->id = op->id;
		table_add(m, &m->groups, &g->node, id_hash(m, g->id));
	}
	members = mem_alloc(m->mem, MEM_OTHER, op->group.n * sizeof(*members));
	memcpy(members, op->group.members, op->group.n * sizeof(*members));
	group_drop_members(m, g);
	g->members = members;
	g->n = op->group.n;
	g->outlives = (g->n == 1 || op->group.outlives) && m->cfg.group_outlives;
	m->members += g->n;
	for (size_t i = 0; i < g->n; i++)
		model_nh_find(m, members[i].nh)->groups++;
	users_changed(m, g->users);
	a.outlives = g->outlives;
	return a;
}

static struct model_answer
group_del(struct model *m, const struct plat_op *op)
{
	struct model_group *g = model_group_find(m, op->id);

	if (g)
		model_group_remove(m, g);
	return OK_ANSWER;
}

/* ---- next hops ---- */

static bool
group_shrink(struct model *m, struct model_group *g, struct model_nh *nh)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->members[i].nh != nh->id)
			continue;
		memmove(&g->members[i], &g->members[i + 1], (g->n - i - 1) * sizeof(g->members[0]));
		g->n--;
		m->members--;
		nh->groups--;
		users_changed(m, g->users);
		return true;
	}
	return false;
}

void
model_nh_remove(struct model *m, struct model_nh *nh)
{
	while (nh->users)
		model_route_remove(m, nh->users);
	for (size_t i = 0; i < m->groups.nbuckets && nh->groups; i++) {
		struct model_node *e, *next;

		for (e = m->groups.buckets[i]; e; e = next) {
			struct model_group *g = (struct model_group *)e;

			next = e->next;
			if (group_shrink(m, g, nh) && g->n == 0 && !g->outlives)
				model_group_remove(m, g);
		}
	}
	table_remove(&m->nexthops, &nh->node);
	mem_free(m->mem, MEM_OTHER, nh);
}

static struct model_answer
nh_set(struct model *m, const struct plat_op *op)
{
	struct model_nh *nh = model_nh_find(m, op->id);
	struct model_port *port = model_port_find(m, op->nh.ifindex);

	if (!port)
		return refuse(PLAT_FAILED, -ENODEV, "Invalid device index");
	if (!m->cfg.eager && !model_port_lit(m, port))
		return refuse(PLAT_WAITS_LINK, -ENETDOWN, "Carrier for nexthop device is down");
	if (model_group_find(m, op->id))
		return refuse(PLAT_FAILED, -EINVAL, "Can not replace a nexthop group with a nexthop");
	if (!nh) {
		if (m->cfg.max_nexthops && m->nexthops.n >= m->cfg.max_nexthops)
			return refuse(PLAT_TABLE_FULL, -ENOSPC, "the table of next hops is full");
		nh = mem_zalloc(m->mem, MEM_OTHER, sizeof(*nh));
		nh->id = op->id;
		table_add(m, &m->nexthops, &nh->node, id_hash(m, nh->id));
	}
	if (m->watch_fn && (nh->ifindex != op->nh.ifindex || !ip_equal(&nh->gateway, &op->nh.gateway)))
		m->watch_fn(m->watch_arg, 0, NULL);
	nh->ifindex = op->nh.ifindex;
	nh->gateway = op->nh.gateway;
	return OK_ANSWER;
}

static struct model_answer
nh_del(struct model *m, const struct plat_op *op)
{
	struct model_nh *nh = model_nh_find(m, op->id);

	if (nh)
		model_nh_remove(m, nh);
	return OK_ANSWER;
}

/* ---- for the rest of the model ---- */

struct model_answer
model_apply(struct model *m, const struct plat_op *op)
{
	static struct model_answer (*const apply[])(struct model *, const struct plat_op *) = {
		[PLAT_NH_SET] = nh_set,
		[PLAT_NH_DEL] = nh_del,
		[PLAT_GROUP_SET] = group_set,
		[PLAT_GROUP_DEL] = group_del,
		[PLAT_ROUTE_SET] = route_set,
		[PLAT_ROUTE_DEL] = route_del,
	};

	if ((size_t)op->kind >= ARRAY_LEN(apply))
		return refuse(PLAT_FAILED, -EOPNOTSUPP, "unknown operation");
	return apply[op->kind](m, op);
}

void
model_port_dark(struct model *m, uint32_t ifindex)
{
	size_t nh = m->nexthops.n, groups = m->groups.n, routes = m->routes.n;

	if (m->cfg.keep_nexthops)
		return;
	for (size_t i = 0; i < m->nexthops.nbuckets; i++) {
		struct model_node *e, *next;

		for (e = m->nexthops.buckets[i]; e; e = next) {
			next = e->next;
			if (((struct model_nh *)e)->ifindex == ifindex)
				model_nh_remove(m, (struct model_nh *)e);
		}
	}
	m->stats.carrier_nexthops += nh - m->nexthops.n;
	m->stats.carrier_groups += groups - m->groups.n;
	m->stats.carrier_routes += routes - m->routes.n;
}

void
model_groups_weaken(struct model *m)
{
	for (size_t i = 0; i < m->groups.nbuckets; i++) {
		struct model_node *e, *next;

		for (e = m->groups.buckets[i]; e; e = next) {
			struct model_group *g = (struct model_group *)e;

			next = e->next;
			g->outlives = false;
			if (!g->n)
				model_group_remove(m, g);
		}
	}
}

/* All that is ours goes; foreign routes stay. */
void
model_table_clear(struct model *m)
{
	for (size_t i = 0; i < m->routes.nbuckets; i++) {
		struct model_node *e, *next;

		for (e = m->routes.buckets[i]; e; e = next) {
			next = e->next;
			if (!((struct model_route *)e)->foreign)
				model_route_remove(m, (struct model_route *)e);
		}
	}
	for (size_t i = 0; i < m->groups.nbuckets; i++)
		while (m->groups.buckets[i])
			model_group_remove(m, (struct model_group *)m->groups.buckets[i]);
	for (size_t i = 0; i < m->nexthops.nbuckets; i++)
		while (m->nexthops.buckets[i])
			model_nh_remove(m, (struct model_nh *)m->nexthops.buckets[i]);
}
