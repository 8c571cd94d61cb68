/* fabricd/query/switch_view.c -- the switch itself: status, ports, FIB, journal, memory */
#include "fabricd/query/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- status ---- */

struct status {
	struct query_call *call;
	struct node *node;
	struct mono now;
	size_t links, links_up, planned, sessions, sessions_up;
};

static void
problem(struct status *s, const char *kind, const char *what, struct mono since, const char *reason, const char *next)
{
	json_t *row = json_object();

	put_text(row, "kind", kind);
	put_text(row, "what", what);
	put_since(row, "since_s", since, s->now);
	put_text(row, "reason", reason);
	put_text(row, "next", next);
	query_row(s->call, row);
	query_exit(s->call, QUERY_FINDINGS);
}

static bool
expected_dark(const struct node_port *port)
{
	return port->peer && peer_is_planned(port->peer);
}

/* Since when the link is what it is; not before the switch was. */
static struct mono
link_since(const struct node *node, const struct link_view *link)
{
	return link->since.us > node->started.us ? link->since : node->started;
}

static void
session_status(struct status *s, const struct node_peer *p, const struct link_view *link)
{
	const struct node_port *port = p->port;
	bool dark = port->link && link->state != LINK_UP, stuck = node_peer_stuck(p);
	char what[160], next[96], why[BGP_REASON_TEXT];

	if (!p->established && expected_dark(port))
		return;
	s->sessions++;
	s->sessions_up += p->established;
	if (p->established && !stuck)
		return;
	snprintf(what, sizeof(what), "%s:%s -- %s%s%s", s->node->self->name, port->name, peer_name(p),
	    p->far ? ":" : "", p->far ? port->topo->far_port : "");
	if (p->established)
		snprintf(why, sizeof(why),
		    "BFD is up, and %u sessions in a row fell silent: do large packets pass (MTU)?", p->stuck);
	else
		node_peer_why(p, why, sizeof(why));
	snprintf(next, sizeof(next), "fabctl bgp neighbor %s", port->peer->next ? peer_name(p) : port->name);
	problem(s,
	    dark    ? "link down"
	    : stuck ? "BGP stuck"
		    : "session down",
	    what, dark ? link_since(s->node, link) : session_since(p), why, next);
}

static void
port_status(struct status *s, const struct node_port *port)
{
	struct link_view link = { .since = MONO_NEVER };
	char what[160], why[BGP_REASON_TEXT];

	if (!port->peer)
		return;
	if (port->link)
		link_port_view(port->link, &link);
	if (port->link && link.state != LINK_UP && expected_dark(port)) {
		s->planned++;
		return;
	}
	s->links += port->link != NULL;
	s->links_up += port->link && link.state == LINK_UP;
	snprintf(what, sizeof(what), "%s:%s -- %s%s%s", s->node->self->name, port->name, peer_name(port->peer),
	    port->peer->far ? ":" : "", port->peer->far ? port->topo->far_port : "");
	if (port->setup_error && port->setup_error != -ENODEV) { /* its session says that it is missing */
		snprintf(why, sizeof(why), "the port could not be set up: %s", strerror(-port->setup_error));
		problem(s, "port", what, link_since(s->node, &link), why, "fabctl ports");
	}
	for (const struct node_peer *p = port->peer; p; p = p->next)
		session_status(s, p, &link);
	if (port->peer->established && port->link && link.mismatch[0])
		problem(s, "cabling", what, link.since, link.mismatch, "fabctl ports");
	if (port->link && link.mtu_mismatch)
		problem(s, "MTU", what, link.since, "the neighbour's largest frame differs", "fabctl ports -o wide");
}

bool
view_status(struct query_call *call)
{
	struct status s = { .call = call, .node = query_ctx(call), .now = query_now(call) };
	struct node *node = s.node;
	json_t *summary = json_object();
	struct sync_stats fib;
	struct rib_counts rib;
	char why[96];

	rib_counts(node->rib, &rib);
	sync_stats(node->sync, &fib);
	for (size_t i = 0; i < node->nports; i++)
		port_status(&s, &node->ports[i]);
	if (fib.routes_failed) {
		snprintf(why, sizeof(why), "%llu routes are refused by the forwarding plane",
		    (unsigned long long)fib.routes_failed);
		problem(&s, "FIB", node->self->name, MONO_NEVER, why, "fabctl fib check");
	}
	put_text(summary, "tier", node->topo->tiers[node->self->tier].name);
	put_count(summary, "as", node->self->asn);
	put_ip(summary, "router_id", &node->self->router_id);
	put_since(summary, "uptime_s", node->started, s.now);
	put_count(summary, "links", s.links);
	put_count(summary, "links_up", s.links_up);
	if (s.planned)
		put_count(summary, "links_planned", s.planned); /* not there, as the file says; not counted above */
	put_count(summary, "sessions", s.sessions);
	put_count(summary, "sessions_up", s.sessions_up);
	put_count(summary, "prefixes", rib.prefixes[FAMILY_IPV4] + rib.prefixes[FAMILY_IPV6]);
	put_count(summary, "fib_routes", fib.routes_installed[FAMILY_IPV4] + fib.routes_installed[FAMILY_IPV6]);
	put_count(summary, "fib_pending", fib.routes_pending);
	if (fib.routes_failed)
		put_count(summary, "fib_failed", fib.routes_failed);
	put_flag(summary, "quiet", node_quiet(node));
	put_flag(summary, "isolated", node->isolated);
	put_flag(summary, "rack_announced", node->rack_active);
	put_since(summary, "last_change_s", node->last_change, s.now);
	put_own_restart(summary, node, s.now);
	query_summary(call, summary);
	return false;
}

/* ---- ports ---- */

static void
put_seen(json_t *row, const struct link_view *link)
{
	if (!link->lldp)
		return;
	put_text(row, "seen_peer", link->lldp->ours.present ? link->lldp->ours.node : link->lldp->system_name);
	put_text(row, "seen_port", link->lldp->port_name);
}

/* One name; of an external port with several sessions, all of them. */
static void
put_peers(json_t *row, const struct node_port *port)
{
	char names[256] = "";
	size_t at = 0;

	for (const struct node_peer *p = port->peer; p && at < sizeof(names); p = p->next)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", at ? ", " : "", peer_name(p));
	put_text(row, "peer", names);
}

static json_t *
port_row(const struct node_port *port, struct mono now)
{
	static const char *const kinds[] = {
		[TOPO_UP] = "up", [TOPO_DOWN] = "down", [TOPO_HOST] = "host", [TOPO_EXTERNAL] = "external"
	};
	json_t *row = json_object();
	struct link_view link = { 0 };
	char why[128];

	put_text(row, "port", port->name);
	put_text(row, "kind", kinds[port->topo->kind]);
	if (port->peer) {
		put_peers(row, port);
		put_text(row, "peer_port", port->topo->far_port);
	}
	if (port->link) {
		link_port_view(port->link, &link);
		put_text(row, "state", link_state_name(link.state));
		put_since(row, "since_s", link_since(port->node, &link), now);
		put_text(row, "cabling", link_match_name(link.match));
		put_seen(row, &link);
		put_count(row, "transitions", link.counters.transitions);
		put_flag(row, "mtu_mismatch", link.mtu_mismatch);
	} else {
		put_text(row, "state",
		    !port->present         ? "missing"
		    : !port->plat.admin_up ? "admin-down"
		    : port->plat.carrier   ? "up"
					   : "no-carrier");
	}
	if (port->present) {
		put_count(row, "ifindex", port->plat.ifindex);
		put_count(row, "mtu_bytes", port->plat.mtu);
		if (port->plat.speed_bps)
			put_count(row, "speed_bits_per_s", port->plat.speed_bps);
		put_textf(row, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", port->plat.mac[0], port->plat.mac[1],
		    port->plat.mac[2], port->plat.mac[3], port->plat.mac[4], port->plat.mac[5]);
		put_ip(row, "link_local", &port->plat.link_local);
	}
	if (port->damp.flaps) {
		put_count(row, "flaps", port->damp.flaps);
		json_object_set_new(row, "penalty", json_real((double)node_damp_penalty(port) / DAMP_FLAP));
		put_flag(row, "damped", port->damp.suppressed);
	}
	if (port->damp.suppressed)
		json_object_set_new(row, "release_s", json_real(node_damp_left(port)));
	if (port->setup_error)
		put_text(row, "setup_error", strerror(-port->setup_error));
	if (port->link && port->peer && (link.mismatch[0] || (link.state != LINK_UP && !expected_dark(port))))
		put_problem(row, port->name, link.mismatch[0] ? link.mismatch : link_state_name(link.state),
		    "fabctl bgp neighbor %s", port->name);
	else if (port->damp.suppressed) {
		node_damp_why(port, why, sizeof(why));
		put_problem(row, port->name, why, "fabctl log");
	}
	return row;
}

bool
view_ports(struct query_call *call)
{
	struct node *node = query_ctx(call);

	for (size_t i = 0; i < node->nports; i++) {
		const struct node_port *port = &node->ports[i];
		json_t *row;

		/* Reserved slots that nobody uses and host ports that are not there say nothing. */
		if (!port->present && !port->peer)
			continue;
		row = port_row(port, query_now(call));
		if (json_object_get(row, "next"))
			query_exit(call, QUERY_FINDINGS);
		query_row(call, row);
	}
	return false;
}

/* ---- FIB ---- */

bool
view_fib(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	json_t *row = json_object();
	struct sync_stats s;

	sync_stats(node->sync, &s);
	put_text(row, "platform", node->platform->ops->name);
	put_count(row, "ipv4_wanted", s.routes_wanted[FAMILY_IPV4]);
	put_count(row, "ipv4_installed", s.routes_installed[FAMILY_IPV4]);
	put_count(row, "ipv6_wanted", s.routes_wanted[FAMILY_IPV6]);
	put_count(row, "ipv6_installed", s.routes_installed[FAMILY_IPV6]);
	put_count(row, "pending", s.routes_pending);
	put_count(row, "failed", s.routes_failed);
	put_count(row, "waiting_for_link", s.routes_waiting);
	put_count(row, "groups", s.groups);
	put_count(row, "members", s.members);
	put_count(row, "next_hops", s.nexthops);
	put_count(row, "operations", s.ops_sent);
	put_count(row, "operations_failed", s.ops_failed);
	put_count(row, "group_messages", s.group_messages);
	put_count(row, "route_messages", s.route_messages);
	put_count(row, "audits", s.audits);
	put_count(row, "repairs", s.repairs);
	put_count(row, "foreign_conflicts", s.foreign_conflicts);
	if (s.audits)
		put_since(row, "last_audit_s", s.last_audit, query_now(call));
	query_row(call, row);
	if (s.routes_failed)
		query_exit(call, QUERY_FINDINGS);
	return false;
}

static void
one_difference(void *arg, const char *what, const struct prefix *prefix, const char *text)
{
	struct query_call *call = arg;
	json_t *row = json_object();

	if (prefix)
		put_prefix(row, "prefix", prefix);
	put_problem(row, what, text, "fabctl log");
	query_row(call, row);
}

/* A check begins again when an audit comes between; a plane that never stands still is read in one go at last. */
#define CHECK_ATTEMPTS 5

/* 1: more to come; 0: ended; -errno. The forwarding plane is read back piece by piece. */
static int
check_step(struct query_call *call, struct fib_check *c, int *differences)
{
	struct sync *sync = ((struct node *)query_ctx(call))->sync;
	int err;

	if (!c->walk) {
		err = sync_check_begin(sync, c->attempts >= CHECK_ATTEMPTS, &c->walk);
		return err && err != -EBUSY ? err : 1;
	}
	err = sync_check_step(sync, c->walk, one_difference, call, differences);
	if (err != -EAGAIN && err != -EINTR)
		return err;
	c->walk = 0;
	c->attempts++;
	return 1;
}

static void
check_summary(struct query_call *call, int differences)
{
	const struct node *node = query_ctx(call);
	json_t *summary = json_object();
	struct sync_stats s;

	sync_stats(node->sync, &s);
	put_text(summary, "platform", node->platform->ops->name);
	put_count(summary, "wanted", s.routes_wanted[FAMILY_IPV4] + s.routes_wanted[FAMILY_IPV6]);
	put_count(summary, "installed", s.routes_installed[FAMILY_IPV4] + s.routes_installed[FAMILY_IPV6]);
	put_count(summary, "pending", s.routes_pending);
	put_count(summary, "groups", s.groups);
	put_count(summary, "members", s.members);
	put_count(summary, "differences", (uint64_t)differences);
	query_summary(call, summary);
	if (differences)
		query_exit(call, QUERY_FINDINGS);
}

/* The summary goes before the first rows, of which there may be more in later steps. */
bool
view_fib_check(struct query_call *call)
{
	struct fib_check *c = query_cursor(call);
	int differences = -1, err = check_step(call, c, &differences);

	if (err < 0) {
		query_fail(call, QUERY_INCOMPLETE, "fabctl log", "the forwarding plane could not be read back: %s",
		    strerror(-err));
		return false;
	}
	if (differences >= 0 && !c->summed) {
		c->summed = true;
		check_summary(call, differences);
	}
	return err > 0;
}

/* ---- journal ---- */

bool
view_log(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	uint64_t *next = query_cursor(call), last = journal_last(node->journal);
	const char *arg = query_arg(call, 0);
	const struct journal_event *e;
	char time[QUERY_TIME_TEXT], *end;

	if (!*next) {
		unsigned long count = arg ? strtoul(arg, &end, 10) : JOURNAL_EVENTS;

		if (arg && (*end || *arg == '-' || count == 0)) {
			query_fail(call, QUERY_USAGE, "fabctl log 20", "\"%.20s\" is no number of events", arg);
			return false;
		}
		*next = last > count ? last - count + 1 : 1;
	}
	for (; !query_full(call) && (e = journal_from(node->journal, *next)); *next = e->id + 1) {
		json_t *row = json_object();

		put_count(row, "id", e->id);
		put_text(row, "time", query_time_print(e->wall_us, time));
		put_text(row, "event", e->type);
		put_text(row, "port", e->port);
		put_text(row, "text", e->text);
		if (e->cause)
			put_count(row, "cause_id", e->cause);
		if (e->suppressed)
			put_count(row, "suppressed", e->suppressed);
		query_row(call, row);
	}
	return query_full(call);
}

/* ---- memory ---- */

bool
view_memory(struct query_call *call)
{
	const struct node *node = query_ctx(call);

	for (int k = 0; k < MEM_KINDS; k++) {
		const struct mem_count *c = &node->mem.by[k];
		json_t *row = json_object();

		put_text(row, "kind", mem_kind_name((enum mem_kind)k));
		put_count(row, "bytes", c->bytes);
		put_count(row, "peak_bytes", c->peak_bytes);
		put_count(row, "allocations", c->allocs);
		put_count(row, "frees", c->frees);
		query_row(call, row);
	}
	return false;
}

/* ---- the topology file ---- */

bool
view_topology(struct query_call *call)
{
	struct topology_text *t = query_cursor(call);
	const struct node *node = query_ctx(call);

	if (!t->text)
		t->at = t->text = topo_print(node->topo);
	while (*t->at && !query_full(call)) {
		size_t n = strcspn(t->at, "\n");
		json_t *row = json_object();

		json_object_set_new(row, "line", json_stringn(t->at, n));
		query_row(call, row);
		t->at += n + (t->at[n] == '\n');
	}
	return *t->at != '\0';
}

void
view_topology_done(struct query_call *call)
{
	struct topology_text *t = query_cursor(call);

	free(t->text);
	t->text = NULL;
}
