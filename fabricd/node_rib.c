/*
 * fabricd/node_rib.c -- the RIB's surroundings: its FIB (sync), its exporter, and when it runs
 *
 * A run begins when nothing has come in for a turn of the loop, so that all prefixes of one origin move in one batch;
 * at latest DWELL_US after the first of them, or when many have gathered. While a run is cut into slices no input is
 * taken. When the exporter has no room, the run waits for peers to read, and is looked at again every POLL_US; it does not
 * wait for who reads slowly (export.c).
 */
#include <errno.h>
#include <string.h>

#include "fabricd/node_impl.h"

#define DWELL_US MS(20)
#define POLL_US  MS(50)
#define MANY     65536

/* ---- rib -> sync ---- */

static size_t
to_nexthops(const struct rib_member *m, size_t n, struct sync_nexthop *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (struct sync_nexthop){
			.ifindex = m[i].ifindex, .gateway = m[i].gateway, .weight = m[i].weight
		};
	return n;
}

static uint32_t
rib_group_new(void *arg, const struct rib_member *m, size_t n)
{
	struct node *node = arg;
	struct sync_nexthop hops[RIB_MAX_WIDTH];

	return sync_group_new(node->sync, hops, to_nexthops(m, n, hops));
}

static void
rib_group_change(void *arg, uint32_t group, const struct rib_member *m, size_t n)
{
	struct node *node = arg;
	struct sync_nexthop hops[RIB_MAX_WIDTH];

	sync_group_change(node->sync, group, hops, to_nexthops(m, n, hops));
}

static void
rib_group_free(void *arg, uint32_t group)
{
	struct node *node = arg;

	sync_group_free(node->sync, group);
}

static void
rib_route_set(void *arg, uint32_t table, const struct prefix *p, uint32_t group)
{
	struct node *node = arg;

	node->last_change = node_now(node);
	sync_route_set(node->sync, table, p, group);
}

static void
rib_routes_soon(void *arg, uint32_t table, const struct prefix *p, size_t n)
{
	struct node *node = arg;

	sync_routes_soon(node->sync, table, p, n);
}

static void
rib_route_del(void *arg, uint32_t table, const struct prefix *p)
{
	struct node *node = arg;

	node->last_change = node_now(node);
	sync_route_del(node->sync, table, p);
}

static void
rib_changed(void *arg, uint32_t table, enum family family, const struct rib_change *changes, size_t n)
{
	struct node *node = arg;

	if (table == RIB_MAIN_TABLE)
		export_changed(node->export, family, changes, n);
}

static bool
rib_export_ready(void *arg)
{
	struct node *node = arg;

	return export_ready(node->export, node_now(node));
}

static struct mono
rib_clock(void *arg)
{
	struct node *node = arg;

	return rt_clock(node->rt);
}

const struct rib_ops node_rib_ops = {
	.group_new = rib_group_new,
	.group_change = rib_group_change,
	.group_free = rib_group_free,
	.route_set = rib_route_set,
	.routes_soon = rib_routes_soon,
	.route_del = rib_route_del,
	.changed = rib_changed,
	.export_ready = rib_export_ready,
	.now = rib_clock,
};

/* ---- sync -> rib ---- */

static void
sync_route_state_changed(
    void *arg, uint32_t table, const struct prefix *p, enum sync_route_state state, int error, const char *detail)
{
	struct node *n = arg;
	char text[PREFIX_TEXT];

	if (state == SYNC_FAILED)
		node_event(n, "FIB_FAILED", "", 0, "%s: %s%s%s; it is tried again, and not announced meanwhile",
		    prefix_print(p, text), strerror(-error), detail ? ": " : "", detail ? detail : "");
	rib_fib_result(n->rib, table, p, state == SYNC_INSTALLED);
	n->last_change = node_now(n);
	node_rib_changed(n);
}

static void
sync_routes_told_soon(void *arg, uint32_t table, const struct prefix *p, size_t count)
{
	struct node *n = arg;

	rib_prefetch(n->rib, table, p, count);
}

static void
sync_group_state_changed(void *arg, uint32_t group, bool usable)
{
	struct node *n = arg;

	(void)group;
	(void)usable;
	n->last_change = node_now(n);
}

static void
sync_event(void *arg, const char *type, const char *text)
{
	node_event(arg, type, "", 0, "%s", text);
}

const struct sync_client node_sync_client = {
	.route_state = sync_route_state_changed,
	.routes_soon = sync_routes_told_soon,
	.group_state = sync_group_state_changed,
	.event = sync_event,
};

/* ---- export -> policy ---- */

static bool
export_allowed(void *arg, uint32_t export_class, const struct prefix *p, const struct path *best)
{
	struct node *n = arg;

	return policy_export(n->policy, export_class, p, best);
}

static void
export_event(void *arg, struct bgp_peer *bgp, const char *type, const char *text)
{
	struct node *n = arg;
	struct node_peer *peer = bgp ? bgp_peer_arg(bgp) : NULL;

	node_event(n, type, peer ? peer->port->name : "", 0, "%s", text);
}

const struct export_ops node_export_ops = { .allowed = export_allowed, .event = export_event };

/* ---- when it runs ---- */

bool
node_takes_input(const struct node *n)
{
	return !n->frozen && !rib_running(n->rib) && (rib_dirty(n->rib) < MANY || n->restart.phase == NODE_DEFERS);
}

void
node_rib_changed(struct node *n)
{
	if (n->dirty_since.us == 0)
		n->dirty_since = node_now(n);
	n->rib_news = true;
	rt_work_schedule(n->work);
}

bool
node_groups_work(void *arg)
{
	struct node *n = arg;

	if (rib_run_groups(n->rib))
		node_peers_settle(n); /* the loss of an origin goes out at once */
	return false;
}

/* Whether more of the same batch is likely to come at once. */
static bool
wait_for_more(struct node *n)
{
	bool came = n->updates != n->updates_seen;

	n->updates_seen = n->updates;
	return came && rib_dirty(n->rib) < MANY && mono_sub(rt_clock(n->rt), n->dirty_since) < DWELL_US;
}

/* Nothing but routes that are held back for the others of their set. */
static bool
only_held(const struct node *n)
{
	return !n->rib_news && !mono_due(rib_held_until(n->rib), rt_clock(n->rt));
}

/* One slice of the RIB's run, if it is time for one; returns whether there is more to do now. */
static bool
run_rib(struct node *n)
{
	if (n->restart.phase == NODE_DEFERS)
		return rib_run_clear(n->rib);
	if (!rib_pending(n->rib))
		return false;
	if (!rib_running(n->rib)) {
		if (only_held(n)) {
			rt_timer_set(n->dwell, rib_held_until(n->rib));
			return false;
		}
		if (wait_for_more(n))
			return true;
		n->rib_news = false;
	}
	return rib_run(n->rib);
}

bool
node_rib_work(void *arg)
{
	struct node *n = arg;
	bool more = run_rib(n);

	if (!rib_running(n->rib)) {
		n->dirty_since = rib_pending(n->rib) ? node_now(n) : (struct mono){ 0 };
		node_peers_resume(n);
	}
	if (export_pending(n->export))
		more |= export_run(n->export);
	node_peers_settle(n);
	if (!more && !export_pending(n->export)) /* walks that wait for a peer to read are more, too */
		return false;
	if (!export_ready(n->export, node_now(n)) || (!more && !export_able(n->export))) {
		rt_timer_set(n->dwell, mono_add(node_now(n), POLL_US));
		return false;
	}
	return true;
}

void
node_dwell(void *arg)
{
	struct node *n = arg;

	rt_work_schedule(n->work);
}

/* ---- own prefixes ---- */

/* Some session of ours is told aggregates. */
static bool
tells_aggregates(const struct node *n)
{
	for (size_t i = 0; i < n->topo->nexternals; i++)
		if (n->topo->externals[i].node == n->self->index && n->topo->externals[i].out == TOPO_ADVERT_AGGREGATES)
			return true;
	return false;
}

/* Announced anyhow, by another rule. */
static bool
is_own_prefix(const struct node *n, const struct prefix *p)
{
	enum family f = (enum family)p->family;

	for (size_t i = 0; i < n->topo->nexternals; i++)
		for (size_t k = 0; n->topo->externals[i].node == n->self->index && k < n->topo->externals[i].noriginate;
		     k++)
			if (prefix_equal(p, &n->topo->externals[i].originate[k]))
				return true;
	return (n->self->has_rack[f] && prefix_equal(p, &n->self->rack[f])) ||
	       (n->self->has_loopback[f] && prefix_equal(p, &n->self->loopback[f]));
}

/*
 * The aggregates of the file come from every switch that tells them to the outside, while it can reach the fabric. A
 * route that discards stands behind them, so that what has no longer route does not come back by a default.
 */
void
node_aggregates_update(struct node *n)
{
	if (!tells_aggregates(n))
		return;
	for (size_t i = 0; i < n->topo->naggregates; i++) {
		const struct prefix *p = &n->topo->aggregates[i];

		if (is_own_prefix(n, p))
			continue;
		sync_route_cover(n->sync, RIB_MAIN_TABLE, p, PLAT_BLACKHOLE);
		node_announce_own(n, p, !n->isolated);
	}
}

void
node_announce_own(struct node *n, const struct prefix *p, bool present)
{
	/* ORIGIN IGP and an empty AS_PATH, in canonical form. */
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };
	struct attrs *attrs;

	if (!present) {
		rib_withdraw(n->rib, RIB_MAIN_TABLE, &n->local, p);
	} else {
		attrs = attrs_intern(rib_attrs(n->rib), &v);
		rib_announce(n->rib, RIB_MAIN_TABLE, &n->local, p, attrs, NULL);
		attrs_unref(rib_attrs(n->rib), attrs);
	}
	node_rib_changed(n);
}
