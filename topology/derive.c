/*
 * topology/derive.c -- the accepted plan to nodes, ports, links and sessions
 *
 *   tiers --> nodes (numbers to addresses, AS numbers)
 *         --> ports of their ranges --> links of the pattern --> exceptions: drop, then add
 *         --> ports outside of ranges (added links, external sessions) --> one array per node
 *
 * Every number is a pure function of (file, node name). Until the end, `ports` of a node holds its ranges only, in the
 * order up, down, host, so that slots are offsets; what exceptions and sessions add waits in chains of struct extra.
 *
 * Not here: whether the result is a whole fabric (check.c, check_graph).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/model.h"

#define EXTRAS_MAX     1024u /* ports of one node outside of its ranges */
#define NEAR_NODES_MAX 5000u /* above that, comparing all names with a misspelt one takes too long for a hint */

struct extra {
	struct extra *next;
	struct topo_port port;
	const struct tree *at;
};

struct extras {
	struct extra *first;
	uint32_t n;
};

struct derive {
	struct topo *t;
	const struct plan *plan;
	struct arena *arena;
	struct topo_errors *errs;
	uint32_t *down_at;     /* by lower tier: where its remote range begins among the upper node's ports */
	struct extras *extras; /* by node */
	bool *dropped;         /* by link */
	size_t links_cap;
};

/* ---- nodes ---- */

static struct prefix
from_pool(const struct file_pool *pool, unsigned int len, uint32_t pod, uint32_t number)
{
	struct prefix slice = pool->prefix, out = pool->prefix;

	if (pod)
		prefix_sub(&pool->prefix, pool->pod_len, pod, &slice);
	prefix_sub(&slice, len, number, &out);
	return out;
}

static uint32_t
asn_of(const struct file_asn *a, uint32_t pod, uint32_t number)
{
	switch (a->form) {
	case ASN_ONE:
		return a->number;
	case ASN_BY_NUMBER:
		return a->base + number;
	case ASN_BY_POD:
		return a->base + pod;
	case ASN_BY_STEP:
		return a->base + a->pod_step * pod + number;
	}
	return 0;
}

static void
number_node(struct topo_node *n, const struct file_tier *f)
{
	const struct file_pool *loopback = f->loopback.v, *rack = f->hosts.racks.v, *id = f->router_id.v;
	uint32_t pod = f->per_pod ? n->pod : 0;

	n->asn = asn_of(&f->asn, n->pod, n->number);
	for (size_t i = 0; i < f->loopback.n; i++) {
		uint8_t family = loopback[i].prefix.family;

		n->has_loopback[family] = true;
		n->loopback[family] = from_pool(&loopback[i], family_bits(family), pod, n->number);
	}
	for (size_t i = 0; i < f->hosts.racks.n; i++) {
		uint8_t family = rack[i].prefix.family;

		n->has_rack[family] = true;
		n->rack[family] = from_pool(&rack[i], rack[i].len, pod, n->number);
	}
	if (n->has_loopback[FAMILY_IPV4]) {
		n->router_id = prefix_addr(&n->loopback[FAMILY_IPV4]);
	} else if (f->router_id.n) {
		struct prefix p = from_pool(&id[0], 32, pod, n->number);

		n->router_id = prefix_addr(&p);
	}
}

/* In which plane, from 1: its device number when it goes up by planes, its striping when others come up to it so. */
static uint32_t
plane_of(const struct plan *p, size_t tier, uint32_t number)
{
	if (p->tiers[tier].pattern == PATTERN_PLANE)
		return number;
	for (size_t i = 0; i < p->n; i++)
		if (p->tiers[i].up == tier && p->tiers[i].pattern == PATTERN_PLANE)
			return (number - 1) % p->planes + 1;
	return 0;
}

/* A tier's name has at most 15 characters, so TOPO_NAME_MAX holds any of these. */
static void
name_node(struct topo_node *n, const char *tier)
{
	char name[48];

	if (n->pod)
		snprintf(name, sizeof(name), "p%u-%.15s%u", n->pod, tier, n->number);
	else
		snprintf(name, sizeof(name), "%.15s%u", tier, n->number);
	memcpy(n->name, name, sizeof(n->name) - 1);
}

static void
make_nodes(struct derive *d)
{
	const struct plan *p = d->plan;

	d->t->nnodes = p->nodes;
	d->t->nodes = arena_alloc(d->arena, p->nodes * sizeof(*d->t->nodes));
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_tier *pt = &p->tiers[i];
		const struct file_tier *f = pt->file;

		for (uint32_t k = 0; k < pt->nodes; k++) {
			struct topo_node *n = &d->t->nodes[pt->first + k];

			n->index = pt->first + k;
			n->tier = (uint32_t)i;
			n->pod = f->per_pod ? k / f->per_pod + 1 : 0;
			n->number = f->per_pod ? k % f->per_pod + 1 : k + 1;
			n->plane = plane_of(p, i, n->number);
			n->level = pt->level;
			n->role = (enum topo_role)f->role;
			n->foreign = f->vendor != 0;
			name_node(n, f->name);
			number_node(n, f);
		}
	}
}

/* ---- ports of ranges ---- */

static uint32_t
put_ports(struct topo_port *ports, uint32_t n, const struct port_range *range, enum topo_port_kind kind)
{
	for (uint32_t i = 0; i < range->n; i++) {
		struct topo_port *p = &ports[n++];

		p->kind = kind;
		p->link = p->far_node = p->external = TOPO_NONE;
		memcpy(p->name, range->names[i], sizeof(p->name));
	}
	return n;
}

static void
make_ports(struct derive *d)
{
	const struct plan *p = d->plan;

	d->down_at = arena_alloc(d->arena, p->n * sizeof(*d->down_at));
	for (size_t i = 0; i < p->n; i++) {
		const struct file_tier *f = p->tiers[i].file;
		uint32_t n = f->up.local.n;

		for (size_t k = 0; k < p->n; k++) {
			if (p->tiers[k].up == i) {
				d->down_at[k] = n;
				n += p->tiers[k].file->up.remote.n;
			}
		}
		n += f->hosts.ports.n;
		for (uint32_t k = 0; k < p->tiers[i].nodes; k++) {
			struct topo_node *node = &d->t->nodes[p->tiers[i].first + k];

			node->ports = arena_alloc(d->arena, n * sizeof(*node->ports));
			node->nports = put_ports(node->ports, 0, &f->up.local, TOPO_UP);
			for (size_t m = 0; m < p->n; m++)
				if (p->tiers[m].up == i)
					node->nports = put_ports(
					    node->ports, node->nports, &p->tiers[m].file->up.remote, TOPO_DOWN);
			node->nports = put_ports(node->ports, node->nports, &f->hosts.ports, TOPO_HOST);
		}
	}
}

/* ---- links of the pattern ---- */

static void
wire(struct topo_port *port, uint32_t link, const struct topo_node *far, const char *far_port)
{
	port->link = link;
	port->far_node = far->index;
	memcpy(port->far_port, far_port, sizeof(port->far_port));
}

static struct topo_link *
new_link(struct derive *d)
{
	struct topo *t = d->t;

	if (t->nlinks == d->links_cap) {
		size_t cap = MAX_OF(d->links_cap * 2, 64u);
		struct topo_link *more = arena_alloc(d->arena, cap * sizeof(*more));

		if (t->nlinks)
			memcpy(more, t->links, t->nlinks * sizeof(*more));
		t->links = more;
		d->links_cap = cap;
	}
	return &t->links[t->nlinks++];
}

static void
add_link(struct derive *d, const struct topo_node *lower, struct topo_port *lower_port, const struct topo_node *upper,
    struct topo_port *upper_port)
{
	struct topo_link *l = new_link(d);
	uint32_t index = (uint32_t)(l - d->t->links);

	l->lower = lower->index;
	l->upper = upper->index;
	memcpy(l->lower_port, lower_port->name, sizeof(l->lower_port));
	memcpy(l->upper_port, upper_port->name, sizeof(l->upper_port));
	wire(lower_port, index, upper, l->upper_port);
	wire(upper_port, index, lower, l->lower_port);
}

/* The links of one lower node: see plan.c for the slots. */
static void
link_node(struct derive *d, size_t tier, struct topo_node *lower)
{
	const struct plan *p = d->plan;
	const struct plan_tier *pt = &p->tiers[tier], *up = &p->tiers[pt->up];
	uint32_t peers = up->file->per_pod ? up->file->per_pod : up->file->count, first = up->first, stride = 1;
	uint32_t slot = lower->number;

	if (up->file->per_pod)
		first += (lower->pod - 1) * up->file->per_pod;
	if (pt->pattern == PATTERN_PLANE) {
		first += lower->number - 1;
		stride = p->planes;
		peers /= p->planes;
		slot = lower->pod;
	} else if (pt->pod_width) {
		slot = (lower->pod - 1) * pt->pod_width + lower->number;
	}
	for (uint32_t k = 1; k <= peers; k++) {
		struct topo_node *upper = &d->t->nodes[first + (k - 1) * stride];

		for (uint32_t j = 1; j <= pt->links; j++)
			add_link(d, lower, &lower->ports[(k - 1) * pt->links + j - 1], upper,
			    &upper->ports[d->down_at[tier] + (slot - 1) * pt->links + j - 1]);
	}
}

static void
make_links(struct derive *d)
{
	for (size_t i = 0; i < d->plan->n; i++) {
		const struct plan_tier *pt = &d->plan->tiers[i];

		for (uint32_t k = 0; pt->up != TOPO_NONE && k < pt->nodes; k++)
			link_node(d, i, &d->t->nodes[pt->first + k]);
	}
}

/* ---- places of the file: "leaf3:swp50" ---- */

static void
hint_node(const struct topo *t, const char *name, struct topo_error *e)
{
	const char *near[1], *digits = name + strcspn(name, "0123456789");

	if (!e)
		return;
	for (size_t i = 0; i < t->ntiers; i++) {
		const struct topo_tier *tier = &t->tiers[i];
		size_t n = strlen(tier->name);

		if (strncmp(name, tier->name, n) == 0 && name[n] == '0') {
			error_hint(e, "numbers are written without zeros in front: %s%s", tier->name,
			    name + n + strspn(name + n, "0"));
			return;
		}
		if (strncmp(name, tier->name, n) == 0 && digits == name + n &&
		    digits[strspn(digits, "0123456789")] == '\0' && tier->count && *digits) {
			error_hint(e, "tier `%s` has %s to %s", tier->name, t->nodes[tier->first].name,
			    t->nodes[tier->first + tier->count - 1].name);
			return;
		}
	}
	if (t->nnodes <= NEAR_NODES_MAX && topo_node_near(t, name, near, 1))
		error_hint(e, "did you mean %s?", near[0]);
}

static struct topo_node *
find_node(struct derive *d, const char *name, const struct tree *at)
{
	const struct topo_node *n = topo_node_find(d->t, name);

	if (!n) {
		hint_node(d->t, name, error_add(d->errs, at, "there is no node `%s` in this fabric", name));
		return NULL;
	}
	return &d->t->nodes[n->index];
}

/* Splits "NODE:PORT"; the port need not exist. */
static struct topo_node *
find_place(struct derive *d, const char *text, size_t len, const struct tree *at, char port[TOPO_NAME_MAX])
{
	const char *colon = memchr(text, ':', len);
	size_t n = colon ? len - (size_t)(colon - text) - 1 : 0;

	port[0] = '\0';
	if (n > 0 && n < TOPO_NAME_MAX) {
		memcpy(port, colon + 1, n);
		port[n] = '\0';
	}
	if (!colon || !port_name_ok(port)) {
		error_hint(error_add(d->errs, at, "`%.*s` is not NODE:PORT", (int)MIN_OF(len, 100u), text),
		    "write it like \"leaf3:swp50\"");
		return NULL;
	}
	return find_node(d, arena_text(d->arena, text, (size_t)(colon - text)), at);
}

static struct topo_port *
range_port(const struct topo_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->nports; i++)
		if (strcmp(n->ports[i].name, name) == 0)
			return &n->ports[i];
	return NULL;
}

static struct extra *
find_extra(const struct derive *d, const struct topo_node *n, const char *port)
{
	for (struct extra *e = d->extras[n->index].first; e; e = e->next)
		if (strcmp(e->port.name, port) == 0)
			return e;
	return NULL;
}

static struct extra *
new_extra(
    struct derive *d, const struct topo_node *n, const char *port, enum topo_port_kind kind, const struct tree *at)
{
	struct extras *x = &d->extras[n->index];
	struct extra *e = arena_alloc(d->arena, sizeof(*e)), **end = &x->first;

	while (*end)
		end = &(*end)->next;
	*end = e;
	x->n++;
	e->at = at;
	e->port.kind = kind;
	e->port.link = e->port.far_node = e->port.external = TOPO_NONE;
	memcpy(e->port.name, port, strlen(port) + 1);
	return e;
}

/* Whether a port is still nobody's: in no range, no exception, no session. */
static bool
is_free(struct derive *d, const struct topo_node *n, const char *port, const struct tree *at)
{
	static const char *const uses[] = { "its uplinks", "the tier below", "hosts", "external sessions" };
	const struct topo_port *range = range_port(n, port);
	const struct extra *extra = find_extra(d, n, port);

	if (range) {
		const struct topo_port *r = range;

		if (r->far_node != TOPO_NONE)
			error_hint(error_add(d->errs, at,
				       "%s:%s is a reserved port: its range is for %s, and it goes to %s:%s", n->name,
				       port, uses[r->kind], d->t->nodes[r->far_node].name, r->far_port),
			    "take a port that is in no range");
		else
			error_hint(error_add(d->errs, at, "%s:%s is a reserved port: its range is for %s", n->name,
				       port, uses[r->kind]),
			    "take a port that is in no range");
	} else if (extra) {
		error_other(
		    error_add(d->errs, at, "%s:%s is taken already, in line %u", n->name, port, extra->at->line),
		    extra->at);
	} else if (d->extras[n->index].n >= EXTRAS_MAX) {
		error_add(d->errs, at, "%s has more than %u ports outside of its ranges", n->name, EXTRAS_MAX);
	} else if (strlen(port) > 15 && !n->foreign) {
		error_add(d->errs, at, "port %s: an interface name has at most 15 characters", port);
	} else {
		return true;
	}
	return false;
}

/* ---- exceptions ---- */

struct ends {
	struct topo_node *node[2];
	char port[2][TOPO_NAME_MAX];
};

/* "leaf3:swp50 -- spine2:swp3" */
static bool
find_ends(struct derive *d, const char *text, const struct tree *at, struct ends *ends)
{
	const char *dash = strstr(text, " -- ");

	if (!dash) {
		error_hint(error_add(d->errs, at, "`%.100s` is not a link", text),
		    "write it like \"leaf3:swp50 -- spine2:swp3\"");
		return false;
	}
	ends->node[0] = find_place(d, text, (size_t)(dash - text), at, ends->port[0]);
	ends->node[1] = find_place(d, dash + 4, strlen(dash + 4), at, ends->port[1]);
	if (!ends->node[0] || !ends->node[1])
		return false;
	if (ends->node[0] == ends->node[1]) {
		error_add(d->errs, at, "the link joins %s to itself", ends->node[0]->name);
		return false;
	}
	return true;
}

static void
drop_link(struct derive *d, const struct file_except *x)
{
	const struct tree *at = tree_at(x->is.at, "drop");
	struct ends ends = { 0 };
	const struct topo_port *p;

	if (!find_ends(d, x->drop, at, &ends))
		return;
	p = range_port(ends.node[0], ends.port[0]);
	if (!p || p->far_node != ends.node[1]->index || strcmp(p->far_port, ends.port[1]) != 0) {
		struct topo_error *e = error_add(d->errs, at, "there is no link %s to drop", x->drop);

		if (p && p->far_node != TOPO_NONE)
			error_hint(e, "%s:%s goes to %s:%s", ends.node[0]->name, p->name, d->t->nodes[p->far_node].name,
			    p->far_port);
		else if (p)
			error_hint(e, "%s:%s is in a range, but has no far end", ends.node[0]->name, p->name);
		else
			error_hint(e, "%s:%s is in no range", ends.node[0]->name, ends.port[0]);
		return;
	}
	if (d->dropped[p->link])
		error_add(d->errs, at, "the link %s is dropped twice", x->drop);
	d->dropped[p->link] = true;
}

static void
add_exception(struct derive *d, const struct file_except *x)
{
	const struct tree *at = tree_at(x->is.at, "add");
	struct ends ends = { 0 };
	struct extra *extra[2];
	struct topo_link *link;
	unsigned int low;

	if (!find_ends(d, x->add, at, &ends))
		return;
	low = d->t->tiers[ends.node[0]->tier].up == ends.node[1]->tier ? 0 : 1;
	if (d->t->tiers[ends.node[low]->tier].up != ends.node[!low]->tier) {
		error_hint(error_add(d->errs, at, "%s and %s are not in tiers that are joined by `up`",
			       ends.node[0]->name, ends.node[1]->name),
		    "an added link goes from a tier to the one above it");
		return;
	}
	if (!is_free(d, ends.node[0], ends.port[0], at) || !is_free(d, ends.node[1], ends.port[1], at))
		return;
	extra[low] = new_extra(d, ends.node[low], ends.port[low], TOPO_UP, at);
	extra[!low] = new_extra(d, ends.node[!low], ends.port[!low], TOPO_DOWN, at);
	add_link(d, ends.node[low], &extra[low]->port, ends.node[!low], &extra[!low]->port);
	link = &d->t->links[d->t->nlinks - 1];
	link->added = true;
	link->why = x->why;
}

/* Closes the gaps that dropped links left, and tells ports their links' new places. */
static void
remove_dropped(struct derive *d, size_t regular)
{
	struct topo *t = d->t;
	uint32_t *moved = mem_zalloc(NULL, MEM_TOPOLOGY, t->nlinks * sizeof(*moved));
	size_t kept = 0;

	for (size_t i = 0; i < t->nlinks; i++) {
		bool gone = i < regular && d->dropped[i];

		moved[i] = gone ? TOPO_NONE : (uint32_t)kept;
		if (!gone)
			t->links[kept++] = t->links[i];
	}
	t->nlinks = kept;
	for (size_t i = 0; i < t->nnodes; i++) {
		for (uint32_t k = 0; k < t->nodes[i].nports; k++) {
			struct topo_port *p = &t->nodes[i].ports[k];

			if (p->link == TOPO_NONE)
				continue;
			p->link = moved[p->link];
			if (p->link == TOPO_NONE) {
				p->far_node = TOPO_NONE;
				memset(p->far_port, 0, sizeof(p->far_port));
			}
		}
		for (struct extra *e = d->extras[i].first; e; e = e->next)
			if (e->port.link != TOPO_NONE)
				e->port.link = moved[e->port.link];
	}
	mem_free(NULL, MEM_TOPOLOGY, moved);
}

static void
apply_exceptions(struct derive *d)
{
	const struct file_except *x = d->plan->file->except.v;
	size_t n = d->plan->file->except.n, regular = d->t->nlinks;

	d->dropped = arena_alloc(d->arena, regular * sizeof(bool));
	for (size_t i = 0; i < n; i++) {
		if (x[i].is.bad)
			continue;
		if (!x[i].drop == !x[i].add)
			error_hint(error_add(d->errs, x[i].is.at, "an exception has one of `drop` and `add`"),
			    "to move a cable, write two exceptions");
		else if (x[i].drop)
			drop_link(d, &x[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (!x[i].is.bad && x[i].add && !x[i].drop)
			add_exception(d, &x[i]);
	remove_dropped(d, regular);
}

/* ---- external sessions ---- */

static void
check_session(struct derive *d, const struct file_external *x)
{
	const struct tree *at = tree_at(x->is.at, "peer");
	struct prefix net = prefix_of(&x->local.addr, x->local.len);
	char text[PREFIX_TEXT];

	if (x->peer.family != x->local.addr.family)
		error_add(d->errs, at, "`local` and `peer` are of different families");
	else if (ip_equal(&x->peer, &x->local.addr))
		error_add(d->errs, at, "`peer` is the same address as `local`");
	else if (!prefix_has(&net, &x->peer))
		error_hint(
		    error_add(d->errs, at, "`peer` is not on the network of `local`, %s", prefix_print(&net, text)),
		    "sessions over several hops are not supported");
	if (x->source.family == x->peer.family && !ip_is_zero(&x->source) &&
	    (ip_is_multicast(&x->source) || ip_is_loopback(&x->source)))
		error_add(d->errs, tree_at(x->is.at, "source"), "`source` cannot be the source of packets");
	if ((x->in == TOPO_ADVERT_PREFIXES || x->out == TOPO_ADVERT_PREFIXES) && !x->prefixes)
		error_hint(
		    error_add(d->errs, x->is.at, "`in` or `out` is `prefixes`, but the session names no file of them"),
		    "add `prefixes: FILE.json`, as bgpq4 writes it");
	if (x->local_as == x->asn && x->local_as)
		error_add(d->errs, tree_at(x->is.at, "local_as"), "`local_as` is the neighbour's own AS");
}

static void
make_external(struct derive *d, const struct file_external *x, struct topo_external *out)
{
	const struct tree *at = tree_at(x->is.at, "at");
	const struct tree *with = tree_get(tree_get(d->plan->file->is.at, "templates"), x->template ? x->template : "");
	char port[TOPO_NAME_MAX];
	struct topo_node *n = find_place(d, x->at, strlen(x->at), at, port);
	struct extra *e;

	check_session(d, x);
	if (x->name && topo_node_find(d->t, x->name))
		error_hint(error_add(d->errs, tree_at(x->is.at, "name"), "`%s` is the name of a switch", x->name),
		    "a session is asked for by its name, as a neighbour inside the fabric is: it needs another one");
	*out = (struct topo_external){ .asn = x->asn,
		.local_as = x->local_as,
		.local = x->local.addr,
		.peer = x->peer,
		.len = (uint8_t)x->local.len,
		.in = (enum topo_advert)x->in,
		.out = (enum topo_advert)x->out,
		.max_prefixes = x->max_prefixes,
		.originate = x->originate.v,
		.noriginate = x->originate.n,
		.auth = x->auth,
		.type = (enum topo_session_type)x->type,
		.prefixes = x->prefixes,
		.as_set = x->as_set,
		.rpki = (enum topo_rpki)x->rpki,
		.local_pref = x->local_pref,
		.med = x->med,
		.prepend = x->prepend,
		.communities = x->communities.v,
		.ncommunities = x->communities.n,
		.prepend_local_as = x->prepend_local_as,
		.blackhole = x->blackhole,
		.gtsm = x->gtsm,
		.long_lived_us = x->long_lived,
		.bfd = x->bfd,
		.source = x->source };
	out->has_local_pref = tree_get(x->is.at, "local_pref") || tree_get(with, "local_pref");
	out->has_med = tree_get(x->is.at, "med") || tree_get(with, "med");
	out->has_source = tree_get(x->is.at, "source") || tree_get(with, "source");
	snprintf(out->name, sizeof(out->name), "%s", x->name ? x->name : x->at);
	memcpy(out->port, port, sizeof(port));
	out->node = n ? n->index : TOPO_NONE;
	if (!n)
		return;
	e = find_extra(d, n, port);
	if (e && e->port.kind == TOPO_EXTERNAL) /* several sessions share a port, as on an exchange */
		return;
	if (!is_free(d, n, port, at))
		return;
	e = new_extra(d, n, port, TOPO_EXTERNAL, at);
	e->port.external = (uint32_t)(out - d->t->externals);
}

struct named {
	const char *name;
	const struct topo_external *session;
	const struct tree *at;
};

static int
by_name(const void *pa, const void *pb)
{
	const struct named *a = pa, *b = pb;
	int c = strcmp(a->name, b->name);

	return c ? c : (a->at->start > b->at->start) - (a->at->start < b->at->start);
}

static int
by_peer(const void *pa, const void *pb)
{
	const struct named *a = pa, *b = pb;
	int c = (a->session->node > b->session->node) - (a->session->node < b->session->node);

	if (c == 0)
		c = strcmp(a->session->port, b->session->port);
	if (c == 0)
		c = ip_cmp(&a->session->peer, &b->session->peer);
	return c ? c : (a->at->start > b->at->start) - (a->at->start < b->at->start);
}

static int
by_local(const void *pa, const void *pb)
{
	const struct named *a = pa, *b = pb;
	int c = (a->session->node > b->session->node) - (a->session->node < b->session->node);

	if (c == 0)
		c = ip_cmp(&a->session->local, &b->session->local);
	return c ? c : (a->at->start > b->at->start) - (a->at->start < b->at->start);
}

/* Names that the file gives stand once. Sessions of one port without any cannot be told apart: that is told once a port. */
static void
check_session_names(struct derive *d, struct named *named, size_t n)
{
	qsort(named, n, sizeof(*named), by_name);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (strcmp(named[i].name, named[first].name) != 0)
			first = i;
		else if (tree_get(named[i].at, "name"))
			error_other(error_add(d->errs, tree_at(named[i].at, "name"), "two sessions are called `%s`",
					named[i].name),
			    tree_at(named[first].at, "name"));
		else if (i == first + 1)
			error_hint(
			    warning_add(d->errs, named[i].at,
				"a second session without a `name` on %s; nothing tells it from the one in line %u",
				named[i].name, named[first].at->line),
			    "give each a `name`: status and events call it so, and `fabctl bgp neighbor NAME` finds "
			    "it");
	}
}

/* An address is on one link; link-local ones are on all of them. */
static void
check_session_addresses(struct derive *d, struct named *named, size_t n)
{
	char text[IP_TEXT];

	qsort(named, n, sizeof(*named), by_local);
	for (size_t i = 1, first = 0; i < n; i++) {
		const struct topo_external *a = named[first].session, *b = named[i].session;

		if (a->node != b->node || !ip_equal(&a->local, &b->local))
			first = i;
		else if (b->node != TOPO_NONE && strcmp(a->port, b->port) != 0 && !ip_is_link_local(&b->local))
			error_other(error_add(d->errs, tree_at(named[i].at, "local"),
					"%s has the address %s on two ports: on %s here, on %s in line %u",
					d->t->nodes[b->node].name, ip_print(&b->local, text), b->port, a->port,
					tree_at(named[first].at, "local")->line),
			    tree_at(named[first].at, "local"));
	}
}

static void
check_doubles(struct derive *d, struct named *named, size_t n)
{
	if (n == 0)
		return;
	check_session_names(d, named, n);
	check_session_addresses(d, named, n);
	qsort(named, n, sizeof(*named), by_peer);
	for (size_t i = 1; i < n; i++) {
		const struct topo_external *a = named[i - 1].session, *b = named[i].session;

		if (b->node != TOPO_NONE && a->node == b->node && strcmp(a->port, b->port) == 0 &&
		    ip_equal(&a->peer, &b->peer))
			error_other(error_add(d->errs, tree_at(named[i].at, "peer"),
					"a second session to this peer on %s:%s", d->t->nodes[b->node].name, b->port),
			    tree_at(named[i - 1].at, "peer"));
	}
}

static void
make_externals(struct derive *d)
{
	const struct file_external *x = d->plan->file->external.v;
	size_t n = d->plan->file->external.n, made = 0;
	struct named *named = arena_alloc(d->arena, n * sizeof(*named));

	d->t->externals = arena_alloc(d->arena, n * sizeof(*d->t->externals));
	for (size_t i = 0; i < n; i++) {
		struct topo_external *out = &d->t->externals[made];

		if (x[i].is.bad)
			continue;
		make_external(d, &x[i], out);
		named[made++] = (struct named){ out->name, out, x[i].is.at };
	}
	d->t->nexternals = made;
	check_doubles(d, named, made);
}

/* ---- devices, services ---- */

struct identity {
	const char *text;
	const struct tree *at;
	const char *what;
};

static int
by_identity(const void *pa, const void *pb)
{
	const struct identity *a = pa, *b = pb;
	int c = strcmp(a->what, b->what);

	if (c == 0)
		c = strcmp(a->text, b->text);
	return c ? c : (a->at->start > b->at->start) - (a->at->start < b->at->start);
}

static void
make_devices(struct derive *d)
{
	const struct file_device *x = d->plan->file->devices.v;
	size_t n = d->plan->file->devices.n, ids = 0;
	struct identity *id = arena_alloc(d->arena, 2 * n * sizeof(*id));

	for (size_t i = 0; i < n; i++) {
		struct topo_node *node = find_node(d, x[i].is.key, x[i].is.key_at);

		if (!node || x[i].is.bad)
			continue;
		node->state = (enum topo_state)x[i].state;
		if (x[i].serial) {
			snprintf(node->serial, sizeof(node->serial), "%s", x[i].serial);
			id[ids++] = (struct identity){ x[i].serial, tree_at(x[i].is.at, "serial"), "serial number" };
		}
		if (x[i].mac) {
			snprintf(node->mac, sizeof(node->mac), "%s", x[i].mac);
			id[ids++] = (struct identity){ x[i].mac, tree_at(x[i].is.at, "mac"), "MAC" };
		}
		if (x[i].model)
			snprintf(node->model, sizeof(node->model), "%s", x[i].model);
	}
	if (ids)
		qsort(id, ids, sizeof(*id), by_identity);
	for (size_t i = 1; i < ids; i++)
		if (id[i].what == id[i - 1].what && strcmp(id[i].text, id[i - 1].text) == 0)
			error_other(error_add(d->errs, id[i].at, "two devices have the %s %s", id[i].what, id[i].text),
			    id[i - 1].at);
}

static int
by_service(const void *pa, const void *pb)
{
	const struct file_service *a = *(const struct file_service *const *)pa,
				  *b = *(const struct file_service *const *)pb;
	int c = prefix_cmp(&a->prefix, &b->prefix);

	return c ? c : (a->is.at->start > b->is.at->start) - (a->is.at->start < b->is.at->start);
}

/* Several owners of an address stand in one service. */
static void
check_services(struct derive *d)
{
	const struct file_service *x = d->plan->file->services.v;
	size_t n = 0;
	const struct file_service **by = mem_alloc(
	    NULL, MEM_TOPOLOGY, (d->plan->file->services.n + 1) * sizeof(const struct file_service *));

	for (size_t i = 0; i < d->plan->file->services.n; i++)
		if (!x[i].is.bad)
			by[n++] = &x[i];
	if (n)
		qsort(by, n, sizeof(const struct file_service *), by_service);
	for (size_t i = 1, first = 0; i < n; i++) {
		const struct tree *at = tree_at(by[i]->is.at, "prefix"), *other = tree_at(by[first]->is.at, "prefix");
		struct topo_error *e;

		if (!prefix_equal(&by[i]->prefix, &by[first]->prefix)) {
			first = i;
			continue;
		}
		e = error_add(d->errs, at, "a second service %s; it is also in line %u", at->text, other->line);
		error_hint(e, "name all `owners` in one, with `anycast: true`");
		error_other(e, other);
	}
	mem_free(NULL, MEM_TOPOLOGY, by);
}

static void
make_services(struct derive *d)
{
	const struct file_service *x = d->plan->file->services.v;
	size_t n = d->plan->file->services.n;

	check_services(d);
	d->t->services = arena_alloc(d->arena, n * sizeof(*d->t->services));
	for (size_t i = 0; i < n; i++) {
		struct topo_service *s = &d->t->services[d->t->nservices];
		const char *const *owners = x[i].owners.v;

		if (x[i].is.bad)
			continue;
		d->t->nservices++;
		*s = (struct topo_service){ .prefix = x[i].prefix, .anycast = x[i].anycast };
		s->owners = arena_alloc(d->arena, x[i].owners.n * sizeof(*s->owners));
		for (size_t k = 0; k < x[i].owners.n; k++) {
			const struct topo_node *node = find_node(d, owners[k], tree_at(x[i].is.at, "owners"));

			if (node)
				s->owners[s->nowners++] = node->index;
		}
		if (x[i].owners.n > 1 && !s->anycast)
			error_hint(error_add(d->errs, tree_at(x[i].is.at, "owners"),
				       "a service with several owners is anycast"),
			    "add `anycast: true`, or name one owner");
	}
}

/* ---- the end ---- */

/* One array per node: ranges and what was added, in the order up, down, host, external. */
static void
join_ports(struct derive *d, struct topo_node *n)
{
	const struct extras *x = &d->extras[n->index];
	struct topo_port *ports;
	uint32_t made = 0;

	if (x->n == 0)
		return;
	ports = arena_alloc(d->arena, (n->nports + x->n) * sizeof(*ports));
	for (unsigned int kind = TOPO_UP; kind <= TOPO_EXTERNAL; kind++) {
		for (uint32_t i = 0; i < n->nports; i++)
			if (n->ports[i].kind == kind)
				ports[made++] = n->ports[i];
		for (const struct extra *e = x->first; e; e = e->next)
			if (e->port.kind == kind)
				ports[made++] = e->port;
	}
	n->ports = ports;
	n->nports = made;
}

static void
finish(struct derive *d)
{
	struct topo *t = d->t;

	for (size_t i = 0; i < t->nnodes; i++)
		join_ports(d, &t->nodes[i]);
	for (size_t i = 0; i < t->nlinks; i++) {
		struct topo_link *l = &t->links[i];

		t->nodes[l->lower].uplinks++;
		l->planned = t->nodes[l->lower].state == TOPO_PLANNED || t->nodes[l->upper].state == TOPO_PLANNED;
	}
}

/* Told once a tier. */
static void
check_session_counts(const struct derive *d)
{
	const struct topo *t = d->t;
	uint32_t *count = arena_alloc(d->arena, t->nnodes * sizeof(*count));

	for (size_t i = 0; i < t->nlinks; i++) {
		count[t->links[i].lower]++;
		count[t->links[i].upper]++;
	}
	for (size_t i = 0; i < t->nexternals; i++)
		if (t->externals[i].node != TOPO_NONE)
			count[t->externals[i].node]++;
	for (size_t i = 0; i < d->plan->n; i++) {
		const struct plan_tier *tier = &d->plan->tiers[i];

		for (uint32_t k = tier->first; k < tier->first + tier->nodes; k++)
			if (count[k] > TOPO_SESSIONS_MAX) {
				error_add(d->errs, tier->file->is.at, "%s has %u sessions; at most %d are allowed",
				    t->nodes[k].name, count[k], TOPO_SESSIONS_MAX);
				break;
			}
	}
}

void
derive(struct topo *t, const struct plan *p, struct topo_errors *errs)
{
	struct derive d = { .t = t, .plan = p, .arena = t->doc->arena, .errs = errs };

	make_nodes(&d);
	make_ports(&d);
	make_links(&d);
	d.extras = arena_alloc(d.arena, t->nnodes * sizeof(*d.extras));
	apply_exceptions(&d);
	make_externals(&d);
	make_devices(&d);
	make_services(&d);
	finish(&d);
	check_session_counts(&d);
}
