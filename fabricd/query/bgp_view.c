/*
 * fabricd/query/bgp_view.c -- sessions and the paths that come and go over them
 *
 * Numbers of a session that is not Established are left out, never 0. A prefix in these lists is shown as it is at the
 * moment of its row; between two slices of a long list the table may change (see struct walk).
 */
#include "fabricd/query/view.h"

#include <stdio.h>

#include "fabricd/bgp/attr.h"

/* ---- bgp ---- */

static uint64_t
refused(const struct node_peer *p)
{
	uint64_t n = 0;

	for (int v = POLICY_ACCEPT + 1; v < POLICY_VERDICTS; v++)
		n += p->refused[v];
	return n;
}

/* What `fabctl bgp neighbor` wants to hear: the port, or where it has several sessions the name. */
static const char *
call_name(const struct node_peer *p)
{
	return p->port->peer->next ? peer_name(p) : p->port->name;
}

/* What an external session may bring and is told; nothing is a decision too, and a frequent surprise (RFC 8212). */
static void
put_policy(json_t *row, const struct node_peer *p)
{
	static const char *const names[] = {
		[TOPO_ADVERT_NONE] = "none",
		[TOPO_ADVERT_DEFAULT] = "default",
		[TOPO_ADVERT_FULL] = "full",
		[TOPO_ADVERT_PREFIXES] = "prefixes",
		[TOPO_ADVERT_AGGREGATES] = "aggregates",
	};
	enum topo_advert in, out;

	if (!p->external)
		return;
	in = p->external->in;
	out = p->external->out;
	put_text(row, "policy_in", names[in]);
	put_text(row, "policy_out", names[out]);
	if (p->established && (in == TOPO_ADVERT_NONE || out == TOPO_ADVERT_NONE))
		put_textf(row, "reason", "the file allows nothing %s (RFC 8212)",
		    in != out ? in == TOPO_ADVERT_NONE ? "in: add `in`" : "out: add `out`"
			      : "in or out: add `in`, `out`");
}

static void
put_session(json_t *row, const struct node_peer *p, struct mono now)
{
	const struct bgp_counters *c = bgp_peer_counters(p->bgp);
	char why[BGP_REASON_TEXT];

	put_text(row, "port", p->port->name);
	put_text(row, "peer", peer_name(p));
	if (p->far)
		put_text(row, "peer_port", p->port->topo->far_port);
	put_ip(row, "address", &p->address);
	put_text(row, "kind", p->far ? "fabric" : "external");
	put_count(row, "as", peer_as(p));
	put_text(row, "state", bgp_state_name(bgp_peer_state(p->bgp)));
	put_since(row, "since_s", session_since(p), now);
	if (p->established) {
		put_count(row, "accepted", p->source.paths[FAMILY_IPV4] + p->source.paths[FAMILY_IPV6]);
		if (p->export)
			put_count(row, "advertised",
			    export_count(p->export, FAMILY_IPV4) + export_count(p->export, FAMILY_IPV6));
		put_count(row, "queued_bytes", bgp_queue_bytes(p->bgp));
	}
	if (stale_paths(p))
		put_count(row, "stale", stale_paths(p));
	put_count(row, "refused", refused(p));
	put_count(row, "flaps", c->flaps);
	if (p->bfd)
		put_text(row, "bfd", !bfd_client_connected(p->node->cfg.bfd) ? "off" : p->bfd_up ? "up" : "down");
	put_policy(row, p);
	if (!p->established && peer_is_planned(p)) {
		node_peer_why(p, why, sizeof(why));
		put_textf(row, "reason", "planned: %s, as expected", why);
	} else if (!p->established) {
		node_peer_why(p, why, sizeof(why));
		put_problem(row, p->label, why, "fabctl bgp neighbor %s", call_name(p));
	}
}

bool
view_bgp(struct query_call *call)
{
	struct node *node = query_ctx(call);
	struct mono now = query_now(call);
	json_t *summary = json_object();
	struct sync_stats fib;
	struct rib_counts rib;

	rib_counts(node->rib, &rib);
	sync_stats(node->sync, &fib);
	put_count(summary, "as", node->self->asn);
	put_ip(summary, "router_id", &node->self->router_id);
	put_since(summary, "uptime_s", node->started, now);
	put_count(summary, "prefixes", rib.prefixes[FAMILY_IPV4] + rib.prefixes[FAMILY_IPV6]);
	put_flag(summary, "fib_in_sync",
	    fib.routes_pending == 0 && fib.routes_failed == 0 && !rib_pending(node->rib) && !rib_running(node->rib));
	put_count(summary, "updates", node->updates);
	query_summary(call, summary);
	/* A switch has some hundred sessions, rarely more: one slice. */
	for (size_t i = 0; i < node->nports; i++)
		for (const struct node_peer *p = node->ports[i].peer; p; p = p->next) {
			json_t *row = json_object();

			put_session(row, p, now);
			query_row(call, row);
			if (!p->established && !peer_is_planned(p))
				query_exit(call, QUERY_FINDINGS);
		}
	return false;
}

/* ---- bgp neighbor ---- */

enum { RUNGS = 9 };

static bool
rung_reached(const struct node_peer *p, int rung)
{
	return rung < node_peer_rung(p);
}

/* What is known about one rung, in words. */
static void
rung_detail(const struct node_peer *p, int rung, char *buf, size_t size)
{
	const struct node_port *port = p->port;
	const struct bgp_session_facts *facts = bgp_peer_facts(p->bgp);
	struct link_view link = { 0 };
	char text[IP_TEXT];
	size_t at = 0;

	buf[0] = '\0';
	if (port->link)
		link_port_view(port->link, &link);
	switch (rung) {
	case 1:
		snprintf(buf, size, "%s",
		    !port->present        ? "the switch has no such port"
		    : port->plat.admin_up ? ""
					  : "down");
		break;
	case 3:
		if (p->external)
			snprintf(buf, size, "%s/%u", ip_print(&p->external->local, text), p->external->len);
		else if (!ip_is_zero(&port->plat.link_local))
			snprintf(buf, size, "%s", ip_print(&port->plat.link_local, text));
		break;
	case 4:
		if (!ip_is_zero(&p->address))
			snprintf(buf, size, "%s%s%s", ip_print(&p->address, text), link.chosen ? " by " : "",
			    link.chosen ? link_how_name(link.chosen->how) : "");
		break;
	case 5:
		if (link.mismatch[0])
			snprintf(buf, size, "%s", link.mismatch);
		else if (link.lldp)
			snprintf(buf, size, "%.60s %.31s",
			    link.lldp->ours.present ? link.lldp->ours.node : link.lldp->system_name,
			    link.lldp->port_name);
		else if (port->link)
			snprintf(buf, size, "nothing heard yet");
		break;
	case 6:
		if (p->listen_error)
			snprintf(buf, size, "cannot listen: %s", strerror(-p->listen_error));
		else if (p->external)
			snprintf(buf, size, "%s%s",
			    p->key              ? "with a key (MD5)"
			    : p->external->auth ? "its key is missing"
						: "no key",
			    p->external->gtsm ? ", hop limit 255" : "");
		break;
	case 7:
		if (p->identity[0])
			snprintf(buf, size, "%s", p->identity);
		else if (facts->valid)
			snprintf(buf, size, "AS %u, hold %u s", facts->remote.asn, facts->hold_s);
		break;
	case 8:
		for (uint32_t bit = 1; facts->valid && bit < BGP_CAP_ALL && at < size; bit <<= 1) {
			if (facts->caps & bit && bgp_cap_name((enum bgp_cap)bit))
				at += (size_t)snprintf(
				    buf + at, size - at, "%s%s", at ? ", " : "", bgp_cap_name((enum bgp_cap)bit));
		}
		break;
	case RUNGS:
		if (p->established && !rung_reached(p, rung))
			snprintf(buf, size, "not sent by the neighbour yet; some send it with graceful restart only");
		break;
	default:
		break;
	}
}

/* What nobody was asked, or has answered yet, is not shown as reached: the session does not wait for LLDP. */
static const char *
rung_state(const struct node_peer *p, int rung, int first)
{
	struct link_view link = { 0 };

	if (rung == 5 && rung_reached(p, rung)) {
		if (!p->port->link)
			return "not asked";
		link_port_view(p->port->link, &link);
		return link.lldp ? "reached" : "awaited";
	}
	if (rung_reached(p, rung))
		return "reached";
	return p->established ? "awaited" : rung == first ? "stopped" : "not asked";
}

static json_t *
rungs(const struct node_peer *p)
{
	static const char *const fabric[RUNGS] = { "admin up", "carrier", "own link-local address", "neighbour seen",
		"LLDP names the right node", "TCP 179, hop limit 255", "OPEN accepted", "capabilities", "End-of-RIB" };
	static const char *const other[RUNGS] = { "admin up", "carrier", "own address", "neighbour's address",
		"LLDP (not asked for)", "TCP 179", "OPEN accepted", "capabilities", "End-of-RIB" };
	const char *const *names = p->external ? other : fabric;
	int first = node_peer_rung(p);
	json_t *list = json_array();
	char text[BGP_REASON_TEXT];

	for (int i = 1; i <= RUNGS; i++) {
		json_t *one = json_object();

		put_count(one, "rung", (uint64_t)i);
		put_text(one, "name", names[i - 1]);
		put_text(one, "state", rung_state(p, i, first));
		rung_detail(p, i, text, sizeof(text));
		if (i == first && !p->established && (!text[0] || i == 6))
			node_peer_why(p, text, sizeof(text));
		put_text(one, "detail", i <= first ? text : NULL);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
refusals(const struct node_peer *p)
{
	json_t *list = json_array();

	for (int v = POLICY_ACCEPT + 1; v < POLICY_VERDICTS; v++) {
		json_t *one;

		if (!p->refused[v])
			continue;
		one = json_object();
		put_text(one, "reason", policy_verdict_name((enum policy_verdict)v));
		put_text(one, "text", policy_verdict_text((enum policy_verdict)v));
		put_count(one, "announcements", p->refused[v]);
		put_prefix(one, "last_prefix", &p->refused_last[v]);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
messages(const struct bgp_counters *c)
{
	json_t *list = json_array();

	for (int t = BGP_OPEN; t < BGP_TYPES; t++) {
		json_t *one = json_object();

		put_text(one, "type", bgp_type_name((uint8_t)t));
		put_count(one, "received", c->in[t]);
		put_count(one, "sent", c->out[t]);
		json_array_append_new(list, one);
	}
	return list;
}

/* RFC 7606 verdicts that were not "ok". */
static json_t *
verdicts(const struct bgp_counters *c)
{
	json_t *list = json_array();

	for (int f = BGP_FATE_OK + 1; f < BGP_FATES; f++) {
		json_t *one = json_object();

		put_text(one, "verdict", bgp_fate_name((enum bgp_fate)f));
		put_count(one, "updates", c->fates[f]);
		json_array_append_new(list, one);
	}
	return list;
}

bool
view_neighbor(struct query_call *call)
{
	const struct node_peer *p = peer_of_call(call);
	struct mono now = query_now(call);
	const struct bgp_counters *c;
	const struct bgp_reason *last;
	json_t *row;

	if (!p)
		return false;
	c = bgp_peer_counters(p->bgp);
	last = bgp_peer_last_reset(p->bgp);
	put_session(row = json_object(), p, now);
	put_ip(row, "local_address", p->external ? &p->external->local : &p->port->plat.link_local);
	put_count(row, "rung", (uint64_t)node_peer_rung(p));
	json_object_set_new(row, "rungs", rungs(p));
	if (p->policy) {
		if (p->far)
			put_count(row, "expected_prefixes", policy_expected_prefixes(p->policy));
		if (policy_max_prefixes(p->policy) != UINT64_MAX) /* absent: no limit */
			put_count(row, "max_prefixes", policy_max_prefixes(p->policy));
	}
	if (bgp_peer_facts(p->bgp)->valid) {
		const struct bgp_session_facts *f = bgp_peer_facts(p->bgp);

		put_count(row, "hold_s", f->hold_s);
		put_count(row, "keepalive_s", f->keepalive_s);
		put_router_id(row, "peer_router_id", f->remote.id);
		put_text(row, "peer_hostname", f->remote.hostname);
	}
	put_restart(row, p, now);
	json_object_set_new(row, "refusals", refusals(p));
	json_object_set_new(row, "messages", messages(c));
	json_object_set_new(row, "verdicts", verdicts(c));
	put_count(row, "notifications_sent", c->notices_out);
	put_count(row, "notifications_received", c->notices_in);
	put_text(row, "last_notification_sent", bgp_peer_notice_out(p->bgp));
	put_text(row, "last_notification_received", bgp_peer_notice_in(p->bgp));
	put_count(row, "collisions", c->collisions);
	put_count(row, "connect_failures", c->dial_failures);
	put_count(row, "identity_refusals", c->identity_refusals);
	put_count(row, "attributes_discarded", c->discarded_attrs);
	if (last->cause != BGP_CAUSE_NONE) {
		put_text(row, "last_reset_cause", bgp_cause_name(last->cause));
		put_text(row, "last_reset", last->text);
		put_since(row, "last_reset_s", last->at, now);
	}
	query_row(call, row);
	if (!p->established)
		query_exit(call, QUERY_FINDINGS);
	return false;
}

/* ---- bgp received, bgp advertised ---- */

static const char *
neighbor_next(const struct node_peer *p, char *buf, size_t size)
{
	snprintf(buf, size, "fabctl bgp neighbor %s", call_name(p));
	return buf;
}

bool
view_received(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	struct walk *w = query_cursor(call);
	const struct node_peer *p = peer_of_call(call);
	char next[96];
	struct rib_view v;

	if (!p)
		return false;
	if (!p->established && !stale_paths(p)) {
		query_fail(call, QUERY_FINDINGS, neighbor_next(p, next, sizeof(next)),
		    "the session with %s is not Established, so nothing is offered", p->label);
		return false;
	}
	/* Most prefixes of a large table may not be this peer's: the slice is bounded by what is looked at, too. */
	for (size_t looked = 0; !query_full(call) && looked < 8 * QUERY_SLICE_ROWS; looked++) {
		const struct path *path;
		json_t *row;
		size_t i;

		if (!walk_next(node, w, &v))
			return false;
		if (!v.list || !(path = path_list_find(v.list, &p->source)))
			continue;
		i = (size_t)(path - v.list->paths);
		row = json_object();
		put_prefix(row, "prefix", &v.prefix);
		put_flag(row, "best", v.list->width && i == v.list->best);
		put_flag(row, "used", path_is_multipath(v.list, i));
		put_path(row, path);
		query_row(call, row);
	}
	return true;
}

bool
view_advertised(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	struct walk *w = query_cursor(call);
	const struct node_peer *p = peer_of_call(call);
	char next[96];
	struct rib_view v;

	if (!p)
		return false;
	if (!p->export) {
		query_fail(call, QUERY_FINDINGS, neighbor_next(p, next, sizeof(next)),
		    "the session with %s is not Established, so nothing is told", p->label);
		return false;
	}
	for (size_t looked = 0; !query_full(call) && looked < 8 * QUERY_SLICE_ROWS; looked++) {
		uint8_t wire[4096];
		struct attrs_view attrs = { .wire = wire };
		json_t *row;
		int n;

		if (!walk_next(node, w, &v))
			return false;
		if (!export_told(p->export, &v))
			continue;
		row = json_object();
		put_prefix(row, "prefix", &v.prefix);
		if ((n = export_attrs(p->export, &v, wire, sizeof(wire))) > 0) {
			char text[1024];

			attrs.wire_len = (uint16_t)n;
			put_text(row, "as_path", bgp_as_path_text(wire, attrs.wire_len, text, sizeof(text)));
			put_text(row, "communities", bgp_communities_text(wire, attrs.wire_len, text, sizeof(text)));
		}
		put_ip(row, "next_hop",
		    p->external && p->external->local.family == v.prefix.family ? &p->external->local
										: &p->port->plat.link_local);
		query_row(call, row);
	}
	return true;
}

/* ---- bgp why ---- */

/* Text that is no prefix: is it one with bits behind its length? */
static void
no_prefix(struct query_call *call, const char *text)
{
	char address[IP_TEXT], printed[PREFIX_TEXT], next[160];
	const char *slash = strchr(text, '/');
	struct prefix p;
	struct ip ip;
	unsigned int len;

	snprintf(address, sizeof(address), "%.*s", slash ? (int)MIN_OF(slash - text, (ptrdiff_t)IP_TEXT - 1) : 0, text);
	if (!slash || !ip_parse(address, &ip) || slash[1] < '0' || slash[1] > '9' ||
	    sscanf(slash + 1, "%3u", &len) != 1 || len > family_bits(ip.family)) {
		query_fail(call, QUERY_USAGE, "such as 10.0.1.3, 10.0.1.0/24, fd00::1 or fd00::/64",
		    "\"%.60s\" is neither a prefix nor an address", text);
		return;
	}
	p = prefix_of(&ip, len);
	snprintf(next, sizeof(next), "%s is the network; %s alone is looked up by longest match",
	    prefix_print(&p, printed), address);
	query_fail(call, QUERY_USAGE, next, "\"%.60s\" has bits set behind its length", text);
}

/* A prefix that is not there: what is there in its place? */
static void
no_such_prefix(struct query_call *call, const struct prefix *prefix, const char *text)
{
	const struct node *node = query_ctx(call);
	struct ip ip = prefix_addr(prefix);
	char printed[PREFIX_TEXT], next[PREFIX_TEXT * 2 + 40];
	struct rib_view v;

	snprintf(next, sizeof(next), "fabctl bgp (are all sessions up?)");
	if (rib_match(node->rib, RIB_MAIN_TABLE, &ip, &v) && v.prefix.len != prefix->len)
		snprintf(
		    next, sizeof(next), "%s is there: fabctl routes %s", prefix_print(&v.prefix, printed), printed);
	query_fail(call, QUERY_FINDINGS, next, "nobody offers %s", text);
}

/* An address that no route covers: whose is it by the file? */
static void
no_route(struct query_call *call, const struct ip *ip, const char *text)
{
	const struct topo *t = ((const struct node *)query_ctx(call))->topo;
	char next[96] = "fabctl routes";

	for (size_t i = 0; i < t->nnodes; i++) {
		const struct topo_node *n = &t->nodes[i];
		bool rack = n->has_rack[ip->family] && prefix_has(&n->rack[ip->family], ip);

		if (rack || (n->has_loopback[ip->family] && prefix_has(&n->loopback[ip->family], ip))) {
			query_fail(call, QUERY_FINDINGS, "fabctl status (what is cut off?)",
			    "no route covers %s, %s %s by the file", text,
			    rack ? "a host's address at" : "the loopback of", n->name);
			return;
		}
	}
	query_fail(call, QUERY_FINDINGS, next, "no route covers %s", text);
}

/* The argument as a prefix of the table: exactly, or as the longest match of an address. */
static bool
find_prefix(struct query_call *call, struct rib_view *v)
{
	const struct node *node = query_ctx(call);
	const char *text = query_arg(call, 0);
	struct prefix prefix;
	struct ip ip;

	if (ip_parse(text, &ip)) {
		if (rib_match(node->rib, RIB_MAIN_TABLE, &ip, v))
			return true;
		no_route(call, &ip, text);
		return false;
	}
	if (!prefix_parse(text, &prefix)) {
		no_prefix(call, text);
		return false;
	}
	if (rib_get(node->rib, RIB_MAIN_TABLE, &prefix, v) && v->list)
		return true;
	no_such_prefix(call, &prefix, text);
	return false;
}

/* What decided about path i, from its own side: why it is the best, or what the best has that it has not. */
static void
put_why(json_t *row, const struct path_list *l, size_t i)
{
	enum tiebreak why = WHY_ONLY;
	const char *step;

	if (!l->width || !path_usable(&l->paths[i])) {
		put_text(row, "why", "its next hop cannot be used");
		return;
	}
	if (i == l->best) {
		put_text(row, "why", tiebreak_text((enum tiebreak)l->reason));
		return;
	}
	path_compare(&l->paths[l->best], &l->paths[i], &why);
	step = tiebreak_text(why);
	if (path_is_multipath(l, i))
		put_textf(row, "why", "as good; the best only has the %s", step);
	else
		put_textf(row, "why", "the best has the %s", step);
}

bool
view_why(struct query_call *call)
{
	struct rib_view v;

	if (!find_prefix(call, &v))
		return false;
	for (size_t i = 0; v.list && i < v.list->n; i++) {
		json_t *row = json_object();
		bool best = v.list->width && i == v.list->best;

		put_prefix(row, "prefix", &v.prefix);
		put_text(row, "choice", best ? "best" : path_is_multipath(v.list, i) ? "shares" : "not used");
		put_why(row, v.list, i);
		put_path(row, &v.list->paths[i]);
		query_row(call, row);
	}
	if (!v.list || !v.list->width)
		query_exit(call, QUERY_FINDINGS);
	return false;
}

/* ---- routes ---- */

static const char *
route_state(const struct node *node, const struct rib_view *v, struct sync_route_view *fib)
{
	static const char *const names[] = {
		[SYNC_ABSENT] = "absent",
		[SYNC_PENDING] = "pending",
		[SYNC_INSTALLED] = "installed",
		[SYNC_FAILED] = "failed",
		[SYNC_WAITS_LINK] = "waits for link",
		[SYNC_DELETING] = "going",
	};

	*fib = (struct sync_route_view){ 0 };
	if (!v->list || !v->list->width)
		return "no usable path";
	if (!v->list->paths[v->list->best].nexthop)
		return "local";
	if (!sync_route_get(node->sync, v->table, &v->prefix, fib))
		return "absent";
	return fib->state < ARRAY_LEN(names) && names[fib->state] ? names[fib->state] : "unknown";
}

static json_t *
route_row(const struct node *node, const struct rib_view *v)
{
	json_t *row = json_object(), *ports = json_array();
	struct sync_route_view fib;

	put_prefix(row, "prefix", &v->prefix);
	put_text(row, "state", route_state(node, v, &fib));
	if (v->list && v->list->width) {
		put_count(row, "width", v->list->paths[v->list->best].nexthop ? v->list->width : 0);
		for (size_t i = 0; i < v->list->n; i++) {
			if (path_is_multipath(v->list, i) && path_port(&v->list->paths[i]))
				json_array_append_new(ports, json_string(path_port(&v->list->paths[i])));
		}
		put_attrs(row, &v->list->paths[v->list->best].attrs->v);
		put_text(row, "learned_from", rib_side_name(v->list->paths[v->list->best].source->side));
	}
	json_object_set_new(row, "ports", ports);
	return row;
}

bool
view_routes(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	const char *family = query_arg(call, 0);
	struct walk *w = query_cursor(call);
	struct rib_view v;

	if (family && strcmp(family, "ipv4") && strcmp(family, "ipv6")) {
		query_fail(
		    call, QUERY_USAGE, "fabctl routes ipv4, or fabctl routes ipv6", "\"%.40s\" is no family", family);
		return false;
	}
	/* The other family may be all of a large table: the slice is bounded by what is looked at, too. */
	for (size_t looked = 0; !query_full(call) && looked < 8 * QUERY_SLICE_ROWS; looked++) {
		if (!walk_next(node, w, &v))
			return false;
		if (v.list && (!family || (family[3] == '6') == (v.prefix.family == FAMILY_IPV6)))
			query_row(call, route_row(node, &v));
	}
	return true;
}

bool
view_route(struct query_call *call)
{
	const struct node *node = query_ctx(call);
	json_t *row, *paths = json_array(), *members = json_array();
	struct sync_nexthop installed[64];
	struct sync_route_view fib;
	const char *state;
	struct rib_view v;
	size_t n = 0;

	if (!find_prefix(call, &v)) {
		json_decref(paths);
		json_decref(members);
		return false;
	}
	row = route_row(node, &v);
	state = route_state(node, &v, &fib);
	if (fib.group) {
		put_count(row, "group", fib.platform_group);
		n = sync_group_members(node->sync, fib.group, installed, ARRAY_LEN(installed));
	}
	if (fib.state == SYNC_FAILED)
		put_textf(row, "fib_error", "%s%s%s", strerror(-fib.error), fib.detail ? ": " : "",
		    fib.detail ? fib.detail : "");
	for (size_t i = 0; i < MIN_OF(n, ARRAY_LEN(installed)); i++) {
		struct node_port *port = node_port_by_ifindex((struct node *)node, installed[i].ifindex);
		json_t *one = json_object();

		put_text(one, "port", port ? port->name : NULL);
		put_ip(one, "gateway", &installed[i].gateway);
		put_count(one, "weight", MAX_OF(installed[i].weight, 1));
		json_array_append_new(members, one);
	}
	json_object_set_new(row, "installed", members);
	for (size_t i = 0; v.list && i < v.list->n; i++) {
		json_t *one = json_object();

		put_text(one, "choice",
		    v.list->width && i == v.list->best ? "best"
		    : path_is_multipath(v.list, i)     ? "shares"
						       : "not used");
		put_why(one, v.list, i);
		put_path(one, &v.list->paths[i]);
		json_array_append_new(paths, one);
	}
	json_object_set_new(row, "paths", paths);
	query_row(call, row);
	if (strcmp(state, "installed") != 0 && strcmp(state, "local") != 0)
		query_exit(call, QUERY_FINDINGS);
	return false;
}
