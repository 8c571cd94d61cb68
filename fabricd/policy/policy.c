/*
 * fabricd/policy/policy.c -- import filters and export classes derived from the file, see policy.h
 *
 *   from below: the exact prefixes of the nodes at and below that neighbour, sorted, and what their external peers
 *               may bring
 *   from above: the fabric's pools with the lengths taken from them, and what external peers may bring
 *   external:   what `in` says, but never a prefix of the fabric's own pools
 *
 * Always true: nothing is accepted that no rule names. Martians and our own prefixes are refused before any rule.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/policy/policy.h"

static const struct {
	const char *name, *text;
} verdicts[POLICY_VERDICTS] = {
	[POLICY_ACCEPT] = { "accepted", "accepted" },
	[POLICY_NOT_FROM_THERE] = { "not-from-there", "no node on that side of the fabric has it" },
	[POLICY_LENGTH] = { "wrong-length", "of a pool of the fabric, but not of the length that is taken from it" },
	[POLICY_MARTIAN] = { "martian", "no prefix that may be routed" },
	[POLICY_OWN] = { "own", "a prefix of this switch itself" },
	[POLICY_DENIED] = { "denied", "the topology file allows nothing from this external peer" },
	[POLICY_NEXT_HOP] = { "next-hop", "its next hop is no other router on the link of the session" },
	[POLICY_LOOP] = { "as-loop", "the own AS number is in AS_PATH" },
	[POLICY_TOO_MANY] = { "too-many", "above the limit of prefixes" },
};

const char *
policy_verdict_name(enum policy_verdict v)
{
	return (size_t)v < POLICY_VERDICTS ? verdicts[v].name : "?";
}

const char *
policy_verdict_text(enum policy_verdict v)
{
	return (size_t)v < POLICY_VERDICTS ? verdicts[v].text : "?";
}

/* What external peers bring into the fabric, seen from one side. */
struct outside {
	bool any;          /* some `in: full` */
	bool def;          /* some `in: default` */
	uint64_t expected; /* prefixes, as far as limits say; UINT64_MAX: no limit */
};

struct rule_set {
	struct topo_prefix_rule *list;
	size_t n, cap;
};

struct policy {
	struct mem *mem;
	const struct topo *topo;
	const struct topo_node *self;
	struct rule_set fabric;        /* every pool of the fabric, by the length that is taken from it */
	struct outside outside;        /* of the whole fabric */
	uint64_t prefixes;             /* loopbacks and racks of all nodes */
	uint32_t *loopbacks[FAMILIES]; /* nodes that have one, in its order */
	size_t nloopbacks[FAMILIES];
};

struct policy_peer {
	struct policy *policy;
	enum rib_side side;
	enum topo_advert in;
	uint32_t class;
	struct prefix *exact; /* sorted */
	size_t nexact, cap;
	struct outside outside;
	uint64_t max, expected;
};

/* Export classes: the side, and for external peers what they are told. */
enum export_class {
	CLASS_ABOVE,
	CLASS_BELOW,
	CLASS_NOTHING,
	CLASS_FULL,
	CLASS_DEFAULT,
	CLASS_AGGREGATES,
};

static void
rule_add(struct mem *mem, struct rule_set *s, const struct prefix *p, uint8_t ge, uint8_t le)
{
	s->list = mem_grow(mem, MEM_TOPOLOGY, s->list, &s->cap, s->n + 1, sizeof(*s->list));
	s->list[s->n++] = (struct topo_prefix_rule){ *p, ge, le };
}

static bool
rule_covers(const struct rule_set *s, const struct prefix *p, bool *wrong_length)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!prefix_covers(&s->list[i].prefix, p))
			continue;
		if (p->len >= s->list[i].ge && p->len <= s->list[i].le)
			return true;
		*wrong_length = true;
	}
	return false;
}

/* ---- what the outside brings ---- */

static void
outside_add(struct outside *o, const struct topo_external *x)
{
	uint64_t n = x->max_prefixes;

	o->any |= x->in == TOPO_ADVERT_FULL;
	o->def |= x->in == TOPO_ADVERT_DEFAULT;
	if (x->in == TOPO_ADVERT_DEFAULT)
		n = FAMILIES;
	else if (x->in == TOPO_ADVERT_FULL && n == 0)
		n = UINT64_MAX;
	n = n == UINT64_MAX || x->noriginate == 0 ? n : n + x->noriginate;
	o->expected = n > UINT64_MAX - o->expected ? UINT64_MAX : o->expected + n;
}

static bool
outside_accepts(const struct outside *o, const struct prefix *p)
{
	return o->any || (o->def && p->len == 0);
}

/* ---- nodes ---- */

typedef void node_prefix_fn(void *arg, const struct prefix *);

static void
node_prefixes(const struct topo_node *n, node_prefix_fn *fn, void *arg)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (n->has_loopback[f])
			fn(arg, &n->loopback[f]);
		if (n->has_rack[f])
			fn(arg, &n->rack[f]);
	}
}

static void
count_prefix(void *arg, const struct prefix *p)
{
	(void)p;
	++*(uint64_t *)arg;
}

static void
exact_add(void *arg, const struct prefix *p)
{
	struct policy_peer *pp = arg;

	pp->exact = mem_grow(pp->policy->mem, MEM_TOPOLOGY, pp->exact, &pp->cap, pp->nexact + 1, sizeof(*pp->exact));
	pp->exact[pp->nexact++] = *p;
}

static int
by_prefix(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Adds the node and all that hangs below it; `seen` marks nodes that were added. */
static void
add_below(struct policy_peer *pp, const struct topo_node *n, uint8_t *seen)
{
	const struct topo *t = pp->policy->topo;

	if (seen[n->index])
		return;
	seen[n->index] = 1;
	node_prefixes(n, exact_add, pp);
	for (size_t i = 0; i < t->nexternals; i++) {
		const struct topo_external *x = &t->externals[i];

		if (x->node != n->index)
			continue;
		outside_add(&pp->outside, x);
		for (size_t k = 0; k < x->noriginate; k++)
			exact_add(pp, &x->originate[k]);
	}
	for (uint32_t i = 0; i < n->nports; i++)
		if (n->ports[i].kind == TOPO_DOWN && n->ports[i].far_node != TOPO_NONE)
			add_below(pp, &t->nodes[n->ports[i].far_node], seen);
}

/* ---- life ---- */

static void
add_pools(struct policy *p, const struct topo_pool *pools, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rule_add(p->mem, &p->fabric, &pools[i].prefix, pools[i].len, pools[i].len);
}

static void sort_loopbacks(struct policy *, enum family);

struct policy *
policy_new(struct mem *mem, const struct topo *topo, const struct topo_node *self)
{
	struct policy *p = mem_zalloc(mem, MEM_TOPOLOGY, sizeof(*p));

	p->mem = mem;
	p->topo = topo;
	p->self = self;
	for (size_t i = 0; i < topo->ntiers; i++) {
		add_pools(p, topo->tiers[i].loopbacks, topo->tiers[i].nloopbacks);
		add_pools(p, topo->tiers[i].racks, topo->tiers[i].nracks);
	}
	for (size_t i = 0; i < topo->nhost_accept; i++)
		rule_add(
		    mem, &p->fabric, &topo->host_accept[i].prefix, topo->host_accept[i].ge, topo->host_accept[i].le);
	for (size_t i = 0; i < topo->nexternals; i++) {
		const struct topo_external *x = &topo->externals[i];

		outside_add(&p->outside, x);
		for (size_t k = 0; k < x->noriginate; k++)
			rule_add(mem, &p->fabric, &x->originate[k], x->originate[k].len, x->originate[k].len);
	}
	for (size_t i = 0; i < topo->nnodes; i++)
		node_prefixes(&topo->nodes[i], count_prefix, &p->prefixes);
	for (int f = 0; f < FAMILIES; f++)
		sort_loopbacks(p, (enum family)f);
	return p;
}

void
policy_free(struct policy *p)
{
	if (!p)
		return;
	for (int f = 0; f < FAMILIES; f++)
		mem_free(p->mem, MEM_TOPOLOGY, p->loopbacks[f]);
	mem_free(p->mem, MEM_TOPOLOGY, p->fabric.list);
	mem_free(p->mem, MEM_TOPOLOGY, p);
}

static void
set_limits(struct policy_peer *pp, uint64_t own)
{
	uint64_t outside = pp->outside.expected;

	if (outside == UINT64_MAX) {
		pp->expected = own;
		pp->max = UINT64_MAX;
		return;
	}
	pp->expected = own + outside;
	pp->max = 2 * pp->expected;
}

struct policy_peer *
policy_peer_fabric(struct policy *p, const struct topo_port *port)
{
	struct policy_peer *pp = mem_zalloc(p->mem, MEM_TOPOLOGY, sizeof(*pp));

	pp->policy = p;
	pp->in = TOPO_ADVERT_FULL;
	if (port->kind == TOPO_UP) {
		pp->side = RIB_ABOVE;
		pp->class = CLASS_ABOVE;
		pp->outside = p->outside;
		set_limits(pp, p->prefixes);
	} else {
		uint8_t *seen = mem_zalloc(p->mem, MEM_TOPOLOGY, p->topo->nnodes + 1);

		pp->side = RIB_BELOW;
		pp->class = CLASS_BELOW;
		add_below(pp, &p->topo->nodes[port->far_node], seen);
		mem_free(p->mem, MEM_TOPOLOGY, seen);
		if (pp->nexact) /* a foreign switch has none */
			qsort(pp->exact, pp->nexact, sizeof(*pp->exact), by_prefix);
		set_limits(pp, pp->nexact);
	}
	return pp;
}

struct policy_peer *
policy_peer_external(struct policy *p, const struct topo_external *x)
{
	static const uint32_t classes[] = {
		[TOPO_ADVERT_NONE] = CLASS_NOTHING,
		[TOPO_ADVERT_DEFAULT] = CLASS_DEFAULT,
		[TOPO_ADVERT_FULL] = CLASS_FULL,
		[TOPO_ADVERT_PREFIXES] = CLASS_NOTHING,
		[TOPO_ADVERT_AGGREGATES] = CLASS_AGGREGATES,
	};
	struct policy_peer *pp = mem_zalloc(p->mem, MEM_TOPOLOGY, sizeof(*pp));

	pp->policy = p;
	pp->side = RIB_EXTERNAL;
	pp->in = x->in;
	pp->class = classes[x->out];
	outside_add(&pp->outside, x);
	pp->expected = x->max_prefixes;
	pp->max = x->max_prefixes ? x->max_prefixes : UINT64_MAX;
	return pp;
}

void
policy_peer_free(struct policy_peer *pp)
{
	if (!pp)
		return;
	mem_free(pp->policy->mem, MEM_TOPOLOGY, pp->exact);
	mem_free(pp->policy->mem, MEM_TOPOLOGY, pp);
}

/* ---- import ---- */

/* What may be routed nowhere (RFC 6890); a default route may. */
static bool
is_martian(const struct prefix *p)
{
	static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip a = prefix_addr(p);

	if (p->len == 0)
		return false;
	if (p->family == FAMILY_IPV4)
		return a.b[0] == 0 || a.b[0] == 127 || a.b[0] >= 224 || (a.b[0] == 169 && a.b[1] == 254);
	return ip_is_multicast(&a) || ip_is_link_local(&a) || (ip_is_zero(&a) && p->len >= 8) || ip_is_loopback(&a) ||
	       memcmp(a.b, v4_mapped, sizeof(v4_mapped)) == 0;
}

static bool
is_own(const struct policy *p, const struct prefix *prefix)
{
	enum family f = prefix->family;
	const struct topo_node *n = p->self;

	return (n->has_loopback[f] && prefix_equal(prefix, &n->loopback[f])) ||
	       (n->has_rack[f] && prefix_covers(&n->rack[f], prefix));
}

static enum policy_verdict
import_external(const struct policy_peer *pp, const struct prefix *p)
{
	bool wrong_length = false;

	if (pp->in != TOPO_ADVERT_FULL && !(pp->in == TOPO_ADVERT_DEFAULT && p->len == 0))
		return POLICY_DENIED;
	if (p->len && (rule_covers(&pp->policy->fabric, p, &wrong_length) || wrong_length))
		return POLICY_NOT_FROM_THERE;
	return POLICY_ACCEPT;
}

static enum policy_verdict
import_below(const struct policy_peer *pp, const struct prefix *p)
{
	bool wrong_length = false;

	if (pp->nexact && bsearch(p, pp->exact, pp->nexact, sizeof(*p), by_prefix))
		return POLICY_ACCEPT;
	if (p->len && rule_covers(&pp->policy->fabric, p, &wrong_length))
		return POLICY_NOT_FROM_THERE; /* of the fabric, but of another node */
	if (p->len && wrong_length)
		return POLICY_LENGTH;
	return outside_accepts(&pp->outside, p) ? POLICY_ACCEPT : POLICY_NOT_FROM_THERE;
}

static enum policy_verdict
import_above(const struct policy_peer *pp, const struct prefix *p)
{
	bool wrong_length = false;

	if (p->len && rule_covers(&pp->policy->fabric, p, &wrong_length))
		return POLICY_ACCEPT;
	if (p->len && wrong_length)
		return POLICY_LENGTH;
	return outside_accepts(&pp->policy->outside, p) ? POLICY_ACCEPT : POLICY_NOT_FROM_THERE;
}

enum policy_verdict
policy_import(const struct policy_peer *pp, const struct prefix *p, const struct attrs_view *attrs)
{
	if (attrs->flags & ATTRS_LOOP)
		return POLICY_LOOP;
	if (is_martian(p))
		return POLICY_MARTIAN;
	if (p->len && is_own(pp->policy, p))
		return POLICY_OWN;
	if (pp->side == RIB_ABOVE)
		return import_above(pp, p);
	return pp->side == RIB_BELOW ? import_below(pp, p) : import_external(pp, p);
}

uint64_t
policy_max_prefixes(const struct policy_peer *pp)
{
	return pp->max;
}

uint64_t
policy_expected_prefixes(const struct policy_peer *pp)
{
	return pp->expected;
}

enum rib_side
policy_side(const struct policy_peer *pp)
{
	return pp->side;
}

/* ---- fate ---- */

static bool
is_of_fabric(const struct topo *t, uint32_t asn)
{
	for (size_t i = 0; i < t->ntiers; i++)
		if (asn >= t->tiers[i].asn_min && asn <= t->tiers[i].asn_max)
			return true;
	return false;
}

uint32_t
policy_fate(const struct policy *p, const uint32_t *as_path, size_t n)
{
	uint64_t fate = 0;

	for (size_t i = 0; i < n && is_of_fabric(p->topo, as_path[i]); i++)
		fate = hash_u64(fate, as_path[i]) | 1;
	return (uint32_t)fate;
}

/* ---- witnesses ---- */

struct by_loopback {
	const struct topo *topo;
	enum family family;
};

static int
cmp_loopback(const void *a, const void *b, void *arg)
{
	const struct by_loopback *by = arg;
	const uint32_t *x = a, *y = b;

	return prefix_cmp(&by->topo->nodes[*x].loopback[by->family], &by->topo->nodes[*y].loopback[by->family]);
}

static void
sort_loopbacks(struct policy *p, enum family f)
{
	struct by_loopback by = { p->topo, f };

	p->loopbacks[f] = mem_alloc(p->mem, MEM_TOPOLOGY, (p->topo->nnodes + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < p->topo->nnodes; i++)
		if (p->topo->nodes[i].has_loopback[f])
			p->loopbacks[f][p->nloopbacks[f]++] = (uint32_t)i;
	qsort_r(p->loopbacks[f], p->nloopbacks[f], sizeof(uint32_t), cmp_loopback, &by);
}

static const struct topo_node *
node_with_loopback(const struct policy *p, const struct prefix *prefix)
{
	size_t lo = 0, hi = p->nloopbacks[prefix->family];

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct topo_node *n = &p->topo->nodes[p->loopbacks[prefix->family][mid]];
		int c = prefix_cmp(prefix, &n->loopback[prefix->family]);

		if (c == 0)
			return n;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

bool
policy_is_witness(const struct policy_peer *pp, const struct prefix *p, const struct attrs_view *attrs)
{
	const struct topo_node *n;

	if (p->len != family_bits((enum family)p->family) || pp->side == RIB_EXTERNAL || attrs->fate == 0)
		return false;
	n = node_with_loopback(pp->policy, p);
	return n && n->asn == attrs->origin_as;
}

/* ---- export ---- */

uint32_t
policy_class(const struct policy_peer *pp)
{
	return pp->class;
}

static bool
is_aggregate(const struct topo *t, const struct prefix *p)
{
	for (size_t i = 0; i < t->naggregates; i++)
		if (prefix_equal(&t->aggregates[i], p))
			return true;
	return false;
}

/* Made here for the outside; inside the fabric everybody has what it stands for. */
static bool
is_our_aggregate(const struct policy *p, const struct prefix *prefix, const struct path *best)
{
	enum family f = (enum family)prefix->family;

	if (best->source->side != RIB_LOCAL || !is_aggregate(p->topo, prefix))
		return false;
	for (size_t i = 0; i < p->topo->nexternals; i++)
		for (size_t k = 0; k < p->topo->externals[i].noriginate; k++)
			if (prefix_equal(prefix, &p->topo->externals[i].originate[k]))
				return false;
	return !(p->self->has_rack[f] && prefix_equal(prefix, &p->self->rack[f]));
}

bool
policy_export(const struct policy *p, uint32_t export_class, const struct prefix *prefix, const struct path *best)
{
	uint16_t flags = best->attrs->v.flags;

	if (flags & ATTRS_NO_ADVERTISE)
		return false;
	switch (export_class) {
	case CLASS_ABOVE:
		return best->source->side != RIB_ABOVE && !is_our_aggregate(p, prefix, best);
	case CLASS_BELOW:
		return !is_our_aggregate(p, prefix, best);
	case CLASS_FULL:
		/* The fabric is one administration: NO_EXPORT (RFC 1997) holds at its border. */
		return !(flags & ATTRS_NO_EXPORT);
	case CLASS_DEFAULT:
		return prefix->len == 0 && !(flags & ATTRS_NO_EXPORT);
	case CLASS_AGGREGATES:
		return is_aggregate(p->topo, prefix) && !(flags & ATTRS_NO_EXPORT);
	default:
		return false;
	}
}

/* ---- cover routes ---- */

void
policy_covers(const struct policy *p, policy_prefix_fn *fn, void *arg)
{
	for (size_t i = 0; i < p->topo->ntiers; i++) {
		const struct topo_tier *t = &p->topo->tiers[i];

		for (size_t k = 0; k < t->nloopbacks; k++)
			fn(arg, &t->loopbacks[k].prefix);
		for (size_t k = 0; k < t->nracks; k++)
			fn(arg, &t->racks[k].prefix);
	}
	for (size_t i = 0; i < p->topo->nhost_accept; i++)
		fn(arg, &p->topo->host_accept[i].prefix);
}
