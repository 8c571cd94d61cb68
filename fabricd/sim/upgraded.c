/*
 * fabricd/sim/upgraded.c -- nobody notices that a switch gets another fabricd; see check.h
 *
 *   begins --> what is there: sessions, operations of the forwarding plane, UPDATEs that neighbours had
 *   ends ----> a moment later compared, if nothing else went on; sessions again when a hold time is over
 *
 * That no packet is lost needs nothing here: an upgrade moves no bound, so that any loss is one too many. But who is frozen
 * does not hear what others tell, so that the consequences of other faults may take so much longer.
 */
#include <errno.h>
#include <string.h>

#include "fabricd/sim/check_impl.h"

#define SOON_US SECONDS(1)

/* ---- what is there ---- */

/*
 * Those of next hops, and deletions of routes: a successor has no cause for any. It may put routes of two groups that have
 * become equal on one of them.
 */
static uint64_t
operations(const struct check *c, uint32_t node)
{
	const struct world_node *wn = world_node_at(c->w, node);
	struct model_stats s = { 0 };

	if (wn->platform)
		model_stats(wn->platform, &s);
	return s.by_kind[PLAT_NH_SET] + s.by_kind[PLAT_NH_DEL] + s.by_kind[PLAT_ROUTE_DEL];
}

/* UPDATEs and requests for them that its neighbours have had from it. */
static uint64_t
updates_from(const struct check *c, uint32_t node)
{
	const struct world_node *wn = world_node_at(c->w, node);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < wn->topo->nports; i++) {
		const struct node_port *p;
		const struct world_node *far;
		struct sim_port_view v;

		if (sim_port_get(wn->rt, i + 1, &v) < 0 || !v.far_node)
			continue;
		far = sim_node_owner(v.far_node);
		p = far->node ? node_port_find(far->node, far->topo->ports[v.far_ifindex - 1].name) : NULL;
		for (const struct node_peer *peer = p ? p->peer : NULL; peer; peer = peer->next)
			sum += bgp_peer_counters(peer->bgp)->in[BGP_UPDATE] +
			       bgp_peer_counters(peer->bgp)->in[BGP_ROUTE_REFRESH];
	}
	return sum;
}

/* Whether nothing that went wrong before now can still have an effect on a session. */
static bool
is_undisturbed(const struct check *c, uint32_t node, const struct node_peer *peer, struct mono now)
{
	const struct topo_port *p = peer->port->topo;

	if (p->link == TOPO_NONE)
		return c->deadline.us < now.us;
	return c->end_sure[2 * p->link] && c->end_sure[2 * p->link + 1] && c->node_sure[node] &&
	       c->node_sure[p->far_node] && bound_of(c->bound, node, p->far_node).us < now.us &&
	       bound_of(c->bound, p->far_node, node).us < now.us;
}

/* Since when its sessions are Established, in order; 0: it is not, or may end. Returns how many; since NULL: counts. */
static size_t
sessions(const struct check *c, uint32_t node, struct mono since, struct mono *out)
{
	const struct node *n = world_node_at(c->w, node)->node;
	size_t k = 0;

	for (size_t i = 0; n && i < n->nports; i++)
		for (const struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next, k++)
			if (out)
				out[k] = peer->established && is_undisturbed(c, node, peer, since)
					     ? bgp_peer_since(peer->bgp)
					     : (struct mono){ 0 };
	return k;
}

/* ---- begin and end ---- */

/* Whoever may be lost, since something else went wrong, may be so for longer where this node has to help. */
static void
hold_up(struct check *c, uint32_t node, int64_t us)
{
	struct mono now = check_now(c), until = mono_add(now, us);
	struct place place = { TOPO_NONE, node };

	for (uint32_t to = 0; to < c->n; to++) {
		bound_concerned(c->bound, &place, 1, to, c->concerned);
		for (uint32_t from = 0; from < c->n; from++)
			if (c->concerned[from / 64] >> from % 64 & 1 && bound_of(c->bound, from, to).us > now.us)
				bound_raise(c->bound, from, to, mono_add(bound_of(c->bound, from, to), us));
	}
	if (c->deadline.us > now.us)
		c->deadline = mono_add(c->deadline, us);
	c->frozen_until[node].us = MAX_OF(c->frozen_until[node].us, until.us);
}

void
check_upgrade_begins(struct check *c, uint32_t node, int64_t us)
{
	struct mono now = check_now(c);
	struct check_upgrade u = { .node = node, .began = now, .look_at = MONO_NEVER, .calm = check_is_calm(c) };

	u.ops = operations(c, node);
	u.changes = c->stats.flow_changes;
	u.updates = updates_from(c, node);
	u.nsince = sessions(c, node, now, NULL);
	u.since = mem_zalloc(NULL, MEM_OTHER, (u.nsince + 1) * sizeof(*u.since));
	sessions(c, node, now, u.since);
	hold_up(c, node, us);
	c->upgrades = mem_grow(NULL, MEM_OTHER, c->upgrades, &c->cap_upgrades, c->nupgrades + 1, sizeof(*c->upgrades));
	c->upgrades[c->nupgrades++] = u;
}

void
check_upgrade_ended(struct check *c, uint32_t node, int e, const char *why)
{
	const char *name = c->t->nodes[node].name;
	struct mono now = check_now(c);

	if (c->cfg.log)
		simlog_add(c->cfg.log, now, name, "upgrade %s%s", e ? "given up: " : "done", why);
	c->stats.upgrades += e == 0;
	c->stats.put_off += e == -EBUSY;
	c->stats.given_up += e && e != -EBUSY;
	c->frozen_until[node] = now;
	c->next_sure = mono_min(c->next_sure, now);
	for (size_t i = 0; i < c->nupgrades; i++) {
		struct check_upgrade *u = &c->upgrades[i];

		if (u->node != node || u->ended.us)
			continue;
		u->ended = now;
		u->look_at = mono_add(now, SOON_US);
		if (e == -ECONNABORTED)
			check_fail(c, CHECK_UPGRADE, "%s cannot take over what it was given: %s", name, why);
		else if (e && u->calm && c->last_fault.us < u->began.us)
			check_fail(c, CHECK_UPGRADE, "%s gives up though nothing else goes on: %s", name, why);
	}
}

/* ---- afterwards ---- */

static void
compare(struct check *c, const struct check_upgrade *u)
{
	const char *name = c->t->nodes[u->node].name;
	uint64_t ops = operations(c, u->node) - u->ops, updates = updates_from(c, u->node) - u->updates;

	if (c->stats.flow_changes != u->changes)
		check_fail(c, CHECK_UPGRADE, "%s: packets go elsewhere", name);
	if (ops)
		check_fail(c, CHECK_UPGRADE, "%s: %llu operations were sent to the forwarding plane", name,
		    (unsigned long long)ops);
	if (updates)
		check_fail(c, CHECK_UPGRADE, "%s: neighbours had %llu messages", name, (unsigned long long)updates);
	c->stats.unnoticed++;
}

/* Of a session that nothing else may have ended, before or since. */
static void
compare_sessions(struct check *c, const struct check_upgrade *u)
{
	const struct node *n = world_node_at(c->w, u->node)->node;
	size_t k = 0;

	for (size_t i = 0; n && i < n->nports; i++)
		for (const struct node_peer *peer = n->ports[i].peer; peer && k < u->nsince; peer = peer->next, k++) {
			if (!u->since[k].us || !is_undisturbed(c, u->node, peer, u->began))
				continue;
			if (!peer->established || bgp_peer_since(peer->bgp).us != u->since[k].us)
				check_fail(c, CHECK_UPGRADE, "%s: the session %s was reset", c->t->nodes[u->node].name,
				    peer->label);
		}
}

struct mono
check_upgrades_next(const struct check *c)
{
	struct mono next = MONO_NEVER;

	for (size_t i = 0; i < c->nupgrades; i++)
		next = mono_min(next, c->upgrades[i].look_at);
	return next;
}

void
check_upgrades_look(struct check *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->nupgrades; i++) {
		struct check_upgrade u = c->upgrades[i];

		if (mono_due(u.look_at, check_now(c)) && !u.compared) {
			if (u.calm && c->last_fault.us < u.began.us)
				compare(c, &u);
			u.compared = true;
			u.look_at = mono_add(u.ended, c->t->timers.hold_us + SOON_US);
		} else if (mono_due(u.look_at, check_now(c))) {
			compare_sessions(c, &u);
			mem_free(NULL, MEM_OTHER, u.since);
			continue;
		}
		c->upgrades[kept++] = u;
	}
	c->nupgrades = kept;
}

void
check_upgrades_done(struct check *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		world_upgrade_cancel(world_node_at(c->w, i), true); /* it would tell us */
	for (size_t i = 0; i < c->nupgrades; i++)
		mem_free(NULL, MEM_OTHER, c->upgrades[i].since);
	mem_free(NULL, MEM_OTHER, c->upgrades);
}
