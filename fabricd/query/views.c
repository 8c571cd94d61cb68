/* fabricd/query/views.c -- the verbs of a node, and what its views share */
#include "fabricd/query/views.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabricd/bgp/attr.h"
#include "fabricd/query/view.h"

static const struct query_verb node_verbs[] = {
	{ .name = "status", .schema = "fabricd.status/1", .step = view_status },
	{ .name = "topology",
	    .schema = "fabricd.topology/1",
	    .cursor_size = sizeof(struct topology_text),
	    .step = view_topology,
	    .done = view_topology_done },
	{ .name = "ports", .schema = "fabricd.ports/1", .step = view_ports },
	{ .name = "log",
	    .schema = "fabricd.log/1",
	    .max_args = 1,
	    .usage = "[COUNT]",
	    .cursor_size = sizeof(uint64_t),
	    .step = view_log },
	{ .name = "counters",
	    .schema = "fabricd.counters/1",
	    .max_args = 2,
	    .usage = "[PART] [all]",
	    .cursor_size = sizeof(struct counters_cursor),
	    .step = view_counters },
	{ .name = "memory", .schema = "fabricd.memory/1", .step = view_memory },
	{ .name = "fib", .schema = "fabricd.fib/1", .step = view_fib },
	{ .name = "fib.check",
	    .schema = "fabricd.fib.check/1",
	    .cursor_size = sizeof(struct fib_check),
	    .step = view_fib_check },
	{ .name = "bfd", .schema = "fabricd.bfd/1", .cursor_size = BFD_CURSOR, .step = view_bfd },
	{ .name = "upgrade",
	    .schema = "fabricd.upgrade/1",
	    .max_args = 1,
	    .usage = "[BINARY]",
	    .changes = true,
	    .cursor_size = sizeof(struct upgrade_watch),
	    .step = view_upgrade },
	{ .name = "bgp.summary", .schema = "fabricd.bgp.summary/1", .step = view_bgp },
	{ .name = "bgp.neighbor",
	    .schema = "fabricd.bgp.neighbor/1",
	    .min_args = 1,
	    .max_args = 1,
	    .usage = "PORT",
	    .step = view_neighbor },
	{ .name = "bgp.received",
	    .schema = "fabricd.bgp.received/1",
	    .min_args = 1,
	    .max_args = 1,
	    .usage = "PORT",
	    .cursor_size = sizeof(struct walk),
	    .step = view_received,
	    .done = view_walk_done },
	{ .name = "bgp.advertised",
	    .schema = "fabricd.bgp.advertised/1",
	    .min_args = 1,
	    .max_args = 1,
	    .usage = "PORT",
	    .cursor_size = sizeof(struct walk),
	    .step = view_advertised,
	    .done = view_walk_done },
	{ .name = "bgp.why",
	    .schema = "fabricd.bgp.why/1",
	    .min_args = 1,
	    .max_args = 1,
	    .usage = "PREFIX",
	    .step = view_why },
	{ .name = "routes",
	    .schema = "fabricd.routes/1",
	    .max_args = 1,
	    .usage = "[ipv4|ipv6]",
	    .cursor_size = sizeof(struct walk),
	    .step = view_routes,
	    .done = view_walk_done },
	{ .name = "route",
	    .schema = "fabricd.route/1",
	    .min_args = 1,
	    .max_args = 1,
	    .usage = "PREFIX or ADDRESS",
	    .step = view_route },
};

static void
node_envelope(void *ctx, json_t *header)
{
	const struct node *node = ctx;

	put_text(header, "fabric", node->topo->fabric);
	put_text(header, "node", node->self->name);
	if (node->topo->revision)
		put_textf(
		    header, "revision", "%llu (%s)", (unsigned long long)node->topo->revision, node->topo->digest);
	else
		put_text(header, "revision", node->topo->digest);
}

static int
open_socket(
    struct node *node, const char *run_dir, uint32_t own_uid, const struct rt_parcel *parcel, struct query_server **out)
{
	char path[256];
	struct query_config cfg = {
		.rt = node->rt,
		.mem = &node->mem,
		.path = path,
		.own_uid = own_uid,
		.verbs = node_verbs,
		.n_verbs = ARRAY_LEN(node_verbs),
		.ctx = node,
		.envelope = node_envelope,
	};

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run_dir, QUERY_SOCKET) >= sizeof(path))
		return -ENAMETOOLONG;
	return parcel ? query_server_adopt(&cfg, parcel, out) : query_server_new(&cfg, out);
}

int
node_query_open(struct node *node, const char *run_dir, uint32_t own_uid, struct query_server **out)
{
	return open_socket(node, run_dir, own_uid, NULL, out);
}

int
node_query_adopt(
    struct node *node, const char *run_dir, uint32_t own_uid, const struct rt_parcel *parcel, struct query_server **out)
{
	return open_socket(node, run_dir, own_uid, parcel, out);
}

#define NEAR_MAX 1024 /* names that are looked at for "did you mean" */

/* ---- keys ---- */

void
put_text(json_t *row, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(row, key, json_string(text));
}

void
put_textf(json_t *row, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(row, key, text);
}

void
put_count(json_t *row, const char *key, uint64_t n)
{
	json_object_set_new(row, key, json_integer((json_int_t)n));
}

void
put_flag(json_t *row, const char *key, bool yes)
{
	json_object_set_new(row, key, json_boolean(yes));
}

void
put_ip(json_t *row, const char *key, const struct ip *a)
{
	char text[IP_TEXT];

	if (!ip_is_zero(a))
		put_text(row, key, ip_print(a, text));
}

void
put_prefix(json_t *row, const char *key, const struct prefix *p)
{
	char text[PREFIX_TEXT];

	put_text(row, key, prefix_print(p, text));
}

void
put_since(json_t *row, const char *key, struct mono since, struct mono now)
{
	int64_t ms = mono_sub(now, since) / 1000;

	if (!mono_is_never(since))
		json_object_set_new(row, key, json_real((double)(ms < 0 ? 0 : ms) / 1000));
}

void
put_router_id(json_t *row, const char *key, uint32_t id)
{
	struct ip a = ip_v4(id);

	put_ip(row, key, &a);
}

void
put_problem(json_t *row, const char *what, const char *reason, const char *next_fmt, ...)
{
	char next[128];
	va_list ap;

	va_start(ap, next_fmt);
	vsnprintf(next, sizeof(next), next_fmt, ap);
	va_end(ap);
	put_text(row, "what", what);
	put_text(row, "reason", reason);
	put_text(row, "next", next);
}

/* ---- sessions and paths ---- */

const char *
peer_name(const struct node_peer *p)
{
	return p->far ? p->far->name : p->external ? p->external->name : "?";
}

struct mono
session_since(const struct node_peer *p)
{
	struct mono since = bgp_peer_since(p->bgp);

	return since.us > p->node->started.us ? since : p->node->started;
}

uint32_t
peer_as(const struct node_peer *p)
{
	return p->far ? p->far->asn : p->external ? p->external->asn : 0;
}

bool
peer_is_planned(const struct node_peer *p)
{
	return p->far && (p->far->state == TOPO_PLANNED || p->node->self->state == TOPO_PLANNED);
}

/* A port to the outside may have several; each has a name. */
static void
several_sessions(struct query_call *call, const struct node_port *port)
{
	char next[128] = "";
	size_t at = 0;

	for (const struct node_peer *p = port->peer; p && at < sizeof(next); p = p->next)
		at += (size_t)snprintf(next + at, sizeof(next) - at, "%s%s", at ? ", " : "one of ", peer_name(p));
	query_fail(call, QUERY_USAGE, next, "port %s has several sessions: give the name of one", port->name);
}

/* Its nearest are looked for among those that have a session. */
static void
no_such_peer(struct query_call *call, const struct node *node, const char *name)
{
	const char *known[NEAR_MAX];
	size_t n = 0;
	char next[160];

	for (size_t i = 0; i < node->nports; i++) {
		if (node->ports[i].peer && n < NEAR_MAX)
			known[n++] = node->ports[i].name;
		for (const struct node_peer *p = node->ports[i].peer; p && n < NEAR_MAX; p = p->next)
			known[n++] = peer_name(p);
	}
	if (!topo_did_you_mean(name, known, n, next, sizeof(next)))
		snprintf(next, sizeof(next), "fabctl ports");
	query_fail(call, QUERY_USAGE, next, "%s has neither a port nor a neighbour \"%.40s\" in the topology file",
	    node->self->name, name);
}

const struct node_peer *
peer_of_call(struct query_call *call)
{
	struct node *node = query_ctx(call);
	const char *name = query_arg(call, 0);
	struct node_port *port = node_port_find(node, name);

	/* People also think of the neighbour by its name. */
	for (size_t i = 0; !port && i < node->nports; i++)
		for (const struct node_peer *p = node->ports[i].peer; p; p = p->next)
			if (strcmp(peer_name(p), name) == 0)
				return p;
	if (port && port->peer && port->peer->next) {
		several_sessions(call, port);
		return NULL;
	}
	if (!port)
		no_such_peer(call, node, name);
	else if (!port->peer)
		query_fail(call, QUERY_USAGE, "fabctl bgp",
		    "port %s has no BGP session: the file does not say who is behind it", port->name);
	return port ? port->peer : NULL;
}

const char *
path_port(const struct path *p)
{
	return p->nexthop ? p->source->name : NULL;
}

void
put_attrs(json_t *row, const struct attrs_view *v)
{
	char text[1024];
	uint32_t as[256];
	size_t n = bgp_as_path_list(v->wire, v->wire_len, as, ARRAY_LEN(as));

	put_text(row, "as_path", bgp_as_path_text(v->wire, v->wire_len, text, sizeof(text)));
	put_count(row, "as_path_length", v->path_len);
	if (n)
		put_count(row, "origin_as", v->origin_as);
	put_text(row, "origin", bgp_origin_name(v->origin));
	if (v->flags & ATTRS_HAS_MED)
		put_count(row, "med", v->med);
	if (v->flags & ATTRS_HAS_LOCAL_PREF)
		put_count(row, "local_pref", v->local_pref);
	put_text(row, "communities", bgp_communities_text(v->wire, v->wire_len, text, sizeof(text)));
	put_text(row, "large_communities", bgp_large_communities_text(v->wire, v->wire_len, text, sizeof(text)));
	put_text(row, "ext_communities", bgp_ext_communities_text(v->wire, v->wire_len, text, sizeof(text)));
}

void
put_path(json_t *row, const struct path *p)
{
	const struct node_peer *peer = p->source->owner;

	put_text(row, "port", path_port(p));
	if (p->nexthop && peer)
		put_text(row, "peer", peer_name(peer));
	if (p->nexthop)
		put_ip(row, "next_hop", &p->nexthop->gateway);
	put_text(row, "learned_from", rib_side_name(p->source->side));
	put_attrs(row, &p->attrs->v);
}

/* ---- walks over the table ---- */

static int
compare_prefixes(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static void
walk_begin(const struct node *node, struct walk *w)
{
	struct rib_counts counts;
	struct rib_view v;
	size_t all = 0;

	w->begun = true;
	rib_counts(node->rib, &counts);
	for (int f = 0; f < FAMILIES; f++)
		all += counts.prefixes[f];
	if (all > WALK_SORTED)
		return;
	w->sorted = mem_alloc((struct mem *)&node->mem, MEM_QUERY, (all + 1) * sizeof(*w->sorted));
	for (int f = 0; f < FAMILIES; f++) {
		uint32_t at = 0;

		while (w->n < all && rib_next(node->rib, RIB_MAIN_TABLE, (enum family)f, &at, &v))
			w->sorted[w->n++] = v.prefix;
	}
	qsort(w->sorted, w->n, sizeof(*w->sorted), compare_prefixes);
}

bool
walk_next(const struct node *node, struct walk *w, struct rib_view *v)
{
	if (!w->begun)
		walk_begin(node, w);
	if (w->sorted) {
		while (w->i < w->n) {
			if (rib_get(node->rib, RIB_MAIN_TABLE, &w->sorted[w->i++], v))
				return true;
		}
		return false;
	}
	for (; w->family < FAMILIES; w->family++, w->at = 0) {
		if (rib_next(node->rib, RIB_MAIN_TABLE, (enum family)w->family, &w->at, v))
			return true;
	}
	return false;
}

void
walk_end(const struct node *node, struct walk *w)
{
	mem_free((struct mem *)&node->mem, MEM_QUERY, w->sorted);
	w->sorted = NULL;
}

void
view_walk_done(struct query_call *call)
{
	walk_end(query_ctx(call), query_cursor(call));
}
