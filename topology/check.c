/*
 * topology/check.c -- do numbers, pools and AS ranges fit each other and the slots; is the graph whole
 *
 *   check_numbers   before anything is derived: AS ranges and pools of the tiers, over all slots
 *   check_graph     after: every node reachable, every leaf and border with enough uplinks
 *
 * All comparisons are of ranges as declared, never of the nodes of today, so that a file that is accepted stays
 * acceptable while it grows within its slots.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/model.h"

/* ---- AS numbers ---- */

struct as_range {
	uint64_t min, max;
	const struct tree *at;
	const char *what; /* "tier", "hosts of tier" */
	const char *name;
	bool hosts;
};

static const struct {
	uint64_t min, max;
	const char *why;
} reserved_as[] = {
	{ 0, 0, "reserved (RFC 7607)" },
	{ 23456, 23456, "AS_TRANS (RFC 6793)" },
	{ 64496, 64511, "for documentation (RFC 5398)" },
	{ 65535, 65535, "reserved (RFC 7300)" },
	{ 65536, 65551, "for documentation (RFC 5398)" },
	{ 4294967295, 4294967295, "reserved (RFC 7300)" },
};

/* "65001-65032", or "65001". */
#define AS_TEXT 44
static const char *
as_text(const struct as_range *r, char buf[AS_TEXT])
{
	if (r->min == r->max)
		snprintf(buf, AS_TEXT, "%llu", (unsigned long long)r->min);
	else
		snprintf(buf, AS_TEXT, "%llu-%llu", (unsigned long long)r->min, (unsigned long long)r->max);
	return buf;
}

/* Private use, RFC 6996. */
static bool
is_private(uint64_t min, uint64_t max)
{
	return (min >= 64512 && max <= 65534) || (min >= 4200000000 && max <= 4294967294);
}

static void
check_as_range(const struct as_range *r, bool public_allowed, struct topo_errors *errs)
{
	bool one = r->min == r->max;
	struct topo_error *e;
	char text[AS_TEXT];

	if (r->max > UINT32_MAX) {
		error_hint(error_add(errs, r->at, "%s `%s`: AS numbers would run to %llu, above 4294967295", r->what,
			       r->name, (unsigned long long)r->max),
		    "the range is for all slots, not for today's count; take a lower base or step");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(reserved_as); i++) {
		if (r->max < reserved_as[i].min || r->min > reserved_as[i].max)
			continue;
		if (one)
			e = error_add(errs, r->at, "%s `%s`: AS number %s is %s", r->what, r->name, as_text(r, text),
			    reserved_as[i].why);
		else
			e = error_add(errs, r->at, "%s `%s`: AS numbers %s hold %llu, which is %s", r->what, r->name,
			    as_text(r, text), (unsigned long long)MAX_OF(r->min, reserved_as[i].min),
			    reserved_as[i].why);
		error_hint(e, "private AS numbers are 64512-65534 and 4200000000-4294967294 (RFC 6996)");
		return;
	}
	if (!public_allowed && !is_private(r->min, r->max))
		error_hint(
		    error_add(errs, r->at,
			one ? "%s `%s`: AS number %s is not private" : "%s `%s`: AS numbers %s are not all private",
			r->what, r->name, as_text(r, text)),
		    "take 64512-65534 or 4200000000-4294967294, or say `allow_public_asn: true` when they are yours");
}

/* `per: pod` and `pod_step` mean nothing in a tier that is not in pods. */
static bool
form_fits(const struct file_tier *f)
{
	return f->per_pod || (f->asn.form != ASN_BY_POD && f->asn.form != ASN_BY_STEP);
}

static size_t
collect_as(const struct plan *p, struct as_range *ranges)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct plan_tier *t = &p->tiers[i];
		const struct file_host_bgp *bgp = &t->file->hosts.bgp;
		struct as_range r = { .at = t->file->asn.is.at, .what = "tier", .name = t->file->name };

		plan_asn_range(p, t, &r.min, &r.max);
		if (form_fits(t->file))
			ranges[n++] = r;
		if (bgp->is.at)
			ranges[n++] = (struct as_range){ bgp->asn[0], bgp->asn[1], tree_at(bgp->is.at, "asn"),
				"hosts of tier", t->file->name, true };
	}
	return n;
}

static bool
has_tier_below(const struct plan *p, const struct plan_tier *t)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->tiers[i].up != TOPO_NONE && &p->tiers[p->tiers[i].up] == t)
			return true;
	return false;
}

/*
 * Switches in the middle that join the same switches above and below, and have a number each (RFC 7938, 5.2.1 has them share
 * one): who loses its way down takes that of another one, over a switch above that still sends packets down to it.
 */
static bool
is_hunting(const struct plan *p, const struct plan_tier *t)
{
	enum asn_form form = t->file->asn.form;

	return t->up != TOPO_NONE && t->pattern == PATTERN_FULL && has_tier_below(p, t) &&
	       (form == ASN_BY_NUMBER || form == ASN_BY_STEP) && t->nodes > MAX_OF(p->pods, 1u);
}

/* An AS number that two switches share makes each drop the routes of the other as a loop (RFC 4271 9.1.2). */
static void
check_as_form(const struct plan *p, const struct plan_tier *t, struct topo_errors *errs)
{
	const struct file_tier *f = t->file;
	const struct file_asn *a = &f->asn;

	if (!form_fits(f))
		error_hint(error_add(errs, a->is.at,
			       "tier `%s` is not in pods; `per: pod` and `pod_step` need `per_pod`", f->name),
		    "{base: N} gives each node of the tier its own AS number");
	else if (a->form == ASN_BY_STEP && a->pod_step <= t->number_max)
		error_hint(error_add(errs, tree_at(a->is.at, "pod_step"),
			       "`pod_step` %u is not above the %u slots of a pod: AS numbers of two pods would meet",
			       a->pod_step, t->number_max),
		    "take %u or more", t->number_max + 1);
	else if (a->form == ASN_BY_NUMBER && f->per_pod && p->pods > 1)
		warning_add(errs, a->is.at,
		    "tier `%s`: the same AS numbers in each pod; switches of two pods drop each other's routes as "
		    "loops",
		    f->name);
	else if (a->form == ASN_ONE && t->up != TOPO_NONE && t->nodes > 1 &&
		 (!has_tier_below(p, t) || (f->per_pod && p->pods > 1)))
		warning_add(errs, a->is.at,
		    "tier `%s`: one AS number for a tier that is not the top; its switches drop each other's routes as "
		    "loops",
		    f->name);
	else if (is_hunting(p, t))
		error_hint(
		    warning_add(errs, a->is.at,
			"tier `%s`: an AS number for each switch, though they go up to the same switches; when one "
			"loses its way down, packets may for a moment go up and down between them",
			f->name),
		    f->per_pod ? "{base: N, per: pod} gives those of a pod one number (RFC 7938, 5.2.1)"
			       : "`asn: N` gives the tier one number (RFC 7938, 5.2.1)");
}

static void
check_as(const struct plan *p, struct topo_errors *errs)
{
	struct as_range *r = mem_zalloc(NULL, MEM_TOPOLOGY, 2 * p->n * sizeof(*r));
	bool any = p->file->allow_public_asn || filled_unread(&p->file->is, "allow_public_asn");
	size_t n = collect_as(p, r);
	char a[AS_TEXT], b[AS_TEXT];

	for (size_t i = 0; i < p->n; i++)
		check_as_form(p, &p->tiers[i], errs);
	for (size_t i = 0; i < n; i++) {
		check_as_range(&r[i], any, errs);
		for (size_t k = 0; k < i; k++) {
			if (r[i].max < r[k].min || r[k].max < r[i].min || (r[i].hosts && r[k].hosts))
				continue;
			error_other(
			    error_add(errs, r[i].at,
				"AS clash: %s `%s` ha%s %s over all %s slots, %s `%s` in line %u ha%s %s", r[i].what,
				r[i].name, r[i].hosts ? "ve" : "s", as_text(&r[i], a), r[i].hosts ? "their" : "its",
				r[k].what, r[k].name, r[k].at->line, r[k].hosts ? "ve" : "s", as_text(&r[k], b)),
			    r[k].at);
		}
	}
	mem_free(NULL, MEM_TOPOLOGY, r);
}

/* AS numbers outside are others' business, but for those that no session can have. */
static void
check_outside_as(const struct plan *p, uint64_t asn, const struct tree *at, struct topo_errors *errs)
{
	static const uint32_t never[] = { 0, 23456, 65535, 4294967295 };

	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (asn == never[i])
			error_add(errs, at, "AS %llu is reserved; no neighbour can have it (RFC 7607, 6793, 7300)",
			    (unsigned long long)asn);
	for (size_t i = 0; i < p->n; i++) {
		uint64_t min, max;

		plan_asn_range(p, &p->tiers[i], &min, &max);
		if (form_fits(p->tiers[i].file) && asn >= min && asn <= max)
			error_other(
			    error_add(errs, at, "AS clash: %llu belongs to tier `%s` (%llu-%llu over all its slots)",
				(unsigned long long)asn, p->tiers[i].file->name, (unsigned long long)min,
				(unsigned long long)max),
			    p->tiers[i].file->asn.is.at);
	}
}

static void
check_external_as(const struct plan *p, struct topo_errors *errs)
{
	const struct file_external *x = p->file->external.v;

	for (size_t i = 0; i < p->file->external.n; i++) {
		if (x[i].is.bad)
			continue;
		check_outside_as(p, x[i].asn, tree_at(x[i].is.at, "asn"), errs);
		if (x[i].local_as)
			check_outside_as(p, x[i].local_as, tree_at(x[i].is.at, "local_as"), errs);
	}
	if (p->file->public_asn)
		check_outside_as(p, p->file->public_asn, tree_at(p->file->is.at, "public_asn"), errs);
}

/* ---- pools ---- */

struct used_pool {
	struct prefix prefix;
	const struct tree *at;
	const char *what; /* "loopback", "racks", "router_id" */
	const char *tier;
};

/* Numbers 1 to `max` in `bits` bits. */
static bool
fits(uint64_t max, unsigned int bits)
{
	return bits >= 64 || max <= ((uint64_t)1 << bits) - 1;
}

static const struct {
	const char *net, *why;
} not_for_nodes[] = {
	{ "0.0.0.0/8", "this network (RFC 791)" },
	{ "127.0.0.0/8", "loopback of the host itself" },
	{ "169.254.0.0/16", "link-local (RFC 3927)" },
	{ "224.0.0.0/3", "multicast and reserved" },
	{ "fe80::/10", "link-local (RFC 4291)" },
	{ "ff00::/8", "multicast (RFC 4291)" },
	{ "::/8", "reserved (RFC 4291)" },
};

static void
check_unicast(const struct file_pool *pool, struct topo_errors *errs)
{
	for (size_t i = 0; i < ARRAY_LEN(not_for_nodes); i++) {
		struct prefix net;
		char text[PREFIX_TEXT];

		if (prefix_parse(not_for_nodes[i].net, &net) && prefix_overlaps(&net, &pool->prefix)) {
			error_add(errs, pool->is.at, "pool %s meets %s: %s", prefix_print(&pool->prefix, text),
			    not_for_nodes[i].net, not_for_nodes[i].why);
			return;
		}
	}
}

static void
too_small(const struct file_pool *pool, const struct plan_tier *t, const char *what, const char *of, uint64_t need,
    unsigned int bits, struct topo_errors *errs)
{
	char text[PREFIX_TEXT];

	error_hint(error_add(errs, pool->is.at,
		       "tier `%s`, %s: pool %s is too small: the port ranges reserve %llu %s, it has numbers 1 to %llu",
		       t->file->name, what, prefix_print(&pool->prefix, text), (unsigned long long)need, of,
		       (unsigned long long)(((uint64_t)1 << bits) - 1)),
	    "number 0 is not used; pools are held against the slots, not against the count");
}

static void
check_pool(const struct plan *p, const struct plan_tier *t, const struct file_pool *pool, const char *what, bool rack,
    struct topo_errors *errs)
{
	unsigned int bits = family_bits(pool->prefix.family), len = rack ? pool->len : bits, base = pool->prefix.len;
	bool pods = t->file->per_pod != 0;

	check_unicast(pool, errs);
	if (rack && !pool->len) {
		error_hint(error_add(errs, pool->is.at, "tier `%s`, %s: how long is the prefix of one rack?",
			       t->file->name, what),
		    "write {pool: ..., len: %u}", pool->prefix.family == FAMILY_IPV4 ? 24 : 64);
		return;
	}
	if (!rack && pool->len && pool->len != bits) {
		error_add(errs, tree_at(pool->is.at, "len"), "tier `%s`, %s: `len` is always %u here", t->file->name,
		    what, bits);
		return;
	}
	if (pods != (pool->pod_len != 0)) {
		error_hint(error_add(errs, tree_at(pool->is.at, "pod_len"),
			       pods ? "tier `%s`, %s: `pod_len` is missing: how long is the slice of one pod?"
				    : "tier `%s`, %s: `pod_len` is for tiers with `per_pod`",
			       t->file->name, what),
		    pods ? "write {pool: ..., pod_len: N}" : "remove it");
		return;
	}
	if (pods && (pool->pod_len < base || pool->pod_len > len)) {
		error_add(errs, tree_at(pool->is.at, "pod_len"),
		    "tier `%s`, %s: `pod_len` %u is not between /%u and /%u", t->file->name, what, pool->pod_len, base,
		    len);
		return;
	}
	if (len > bits || len < base) {
		error_add(errs, tree_at(pool->is.at, "len"), "tier `%s`, %s: `len` %u is not between /%u and /%u",
		    t->file->name, what, len, base, bits);
		return;
	}
	if (rack && len + 2 > bits) {
		error_hint(
		    error_add(errs, tree_at(pool->is.at, "len"),
			"tier `%s`, %s: a rack of /%u has no room for a gateway and a host", t->file->name, what, len),
		    "take /%u or shorter", bits - 2);
		return;
	}
	if (rack && strcmp(t->file->hosts.bridge, "none") == 0 &&
	    len + topo_slot_bits(t->file->hosts.ports.n) + 2 > bits) { /* two bits: a gateway and a host */
		error_hint(error_add(errs, tree_at(pool->is.at, "len"),
			       "tier `%s`, %s: a rack of /%u has no room for a network on each of %u routed host ports",
			       t->file->name, what, len, t->file->hosts.ports.n),
		    "`bridge: none` needs /%u or more", bits - 2 - topo_slot_bits(t->file->hosts.ports.n));
		return;
	}
	if (pods && !fits(p->pods_max, pool->pod_len - base))
		too_small(pool, t, what, "pods", p->pods_max, pool->pod_len - base, errs);
	if (!fits(t->number_max, len - (pods ? pool->pod_len : base)))
		too_small(pool, t, what, pods ? "nodes in each pod" : "nodes", t->number_max,
		    len - (pods ? pool->pod_len : base), errs);
}

static void
check_overlap(const struct used_pool *used, size_t n, const struct used_pool *now, struct topo_errors *errs)
{
	char a[PREFIX_TEXT], b[PREFIX_TEXT];

	for (size_t i = 0; i < n; i++)
		if (prefix_overlaps(&used[i].prefix, &now->prefix))
			error_other(error_add(errs, now->at,
					"overlapping pools: %s (%s of tier `%s`) and %s (%s of tier `%s`) in line %u",
					prefix_print(&now->prefix, a), now->what, now->tier,
					prefix_print(&used[i].prefix, b), used[i].what, used[i].tier, used[i].at->line),
			    used[i].at);
}

static const struct file_pool *
of_family(const struct list *pools, enum family family)
{
	const struct file_pool *p = pools->v;

	for (size_t i = 0; i < pools->n; i++)
		if (p[i].prefix.family == family)
			return &p[i];
	return NULL;
}

static size_t
check_pools_of(const struct plan *p, const struct plan_tier *t, const struct list *pools, const char *what,
    struct used_pool *used, size_t n, struct topo_errors *errs)
{
	const struct file_pool *pool = pools->v;

	for (size_t i = 0; i < pools->n; i++) {
		struct used_pool now = { pool[i].prefix, pool[i].is.at, what, t->file->name };
		const struct file_pool *first = of_family(pools, pool[i].prefix.family);

		if (first != &pool[i]) {
			error_other(error_add(errs, pool[i].is.at,
					"tier `%s`, %s: a second %s pool; one of each family is allowed", t->file->name,
					what, pool[i].prefix.family == FAMILY_IPV4 ? "IPv4" : "IPv6"),
			    first->is.at);
			continue;
		}
		check_pool(p, t, &pool[i], what, strcmp(what, "racks") == 0, errs);
		check_overlap(used, n, &now, errs);
		used[n++] = now;
	}
	return n;
}

/* The router id is the IPv4 loopback; without one it has a pool of its own. */
static void
check_router_id(const struct plan_tier *t, struct topo_errors *errs)
{
	const struct file_tier *f = t->file;
	bool v4 = of_family(&f->loopback, FAMILY_IPV4) != NULL;
	const struct file_pool *id = f->router_id.v;

	for (size_t i = 0; i < f->router_id.n; i++)
		if (id[i].prefix.family != FAMILY_IPV4)
			error_add(errs, id[i].is.at,
			    "tier `%s`: a router id is an IPv4 number (RFC 6286); `router_id` needs an IPv4 pool",
			    f->name);
	if (v4 && f->router_id.n)
		error_hint(
		    error_add(errs, tree_at(f->is.at, "router_id"),
			"tier `%s`: the router id is the IPv4 loopback; a second source of it is refused", f->name),
		    "remove `router_id`");
	else if (f->vendor)
		return;
	else if (!f->loopback.n)
		error_hint(error_add(errs, f->is.at, "a tier needs the key `loopback`"),
		    "write a pool, like `loopback: 10.0.0.0/24`; only foreign switches (vendor: other) go without");
	else if (!v4 && !f->router_id.n)
		error_hint(error_add(errs, tree_at(f->is.at, "loopback"),
			       "tier `%s` has IPv6 loopbacks only, so it has no router ids", f->name),
		    "add `router_id: POOL` to the tier, with an IPv4 pool; its addresses are on no interface");
}

static void
check_outside_nets(const struct plan *p, const struct used_pool *used, size_t n, struct topo_errors *errs)
{
	const struct file_external *x = p->file->external.v;
	char a[PREFIX_TEXT], b[PREFIX_TEXT];

	for (size_t i = 0; i < p->file->external.n; i++) {
		struct prefix net;

		if (x[i].is.bad)
			continue;
		net = prefix_of(&x[i].local.addr, x[i].local.len);
		for (size_t k = 0; k < n; k++)
			if (prefix_overlaps(&net, &used[k].prefix))
				error_other(
				    error_add(errs, tree_at(x[i].is.at, "local"),
					"the network %s overlaps the pool %s (%s of tier `%s`)", prefix_print(&net, a),
					prefix_print(&used[k].prefix, b), used[k].what, used[k].tier),
				    used[k].at);
	}
}

/* What hosts may announce must not be the address of a switch. */
static void
check_host_accept(const struct plan *p, const struct used_pool *used, size_t n, struct topo_errors *errs)
{
	char a[PREFIX_TEXT], b[PREFIX_TEXT];

	for (size_t i = 0; i < p->n; i++) {
		const struct file_host_bgp *bgp = &p->tiers[i].file->hosts.bgp;
		const struct topo_prefix_rule *r = bgp->accept.v;

		for (size_t k = 0; k < bgp->accept.n; k++)
			for (size_t m = 0; m < n; m++)
				if (strcmp(used[m].what, "racks") != 0 &&
				    prefix_overlaps(&r[k].prefix, &used[m].prefix))
					error_other(error_add(errs, tree_at(bgp->is.at, "accept"),
							"hosts could announce %s, where the switches have their own "
							"addresses (%s: %s of tier `%s`)",
							prefix_print(&r[k].prefix, a), prefix_print(&used[m].prefix, b),
							used[m].what, used[m].tier),
					    used[m].at);
	}
}

static void
check_pools(const struct plan *p, struct topo_errors *errs)
{
	size_t max = 0, n = 0;
	struct used_pool *used;

	for (size_t i = 0; i < p->n; i++)
		max += p->tiers[i].file->loopback.n + p->tiers[i].file->router_id.n + p->tiers[i].file->hosts.racks.n;
	used = mem_zalloc(NULL, MEM_TOPOLOGY, max * sizeof(*used));
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_tier *t = &p->tiers[i];

		check_router_id(t, errs);
		n = check_pools_of(p, t, &t->file->loopback, "loopback", used, n, errs);
		n = check_pools_of(p, t, &t->file->router_id, "router_id", used, n, errs);
		n = check_pools_of(p, t, &t->file->hosts.racks, "racks", used, n, errs);
	}
	check_outside_nets(p, used, n, errs);
	check_host_accept(p, used, n, errs);
	mem_free(NULL, MEM_TOPOLOGY, used);
}

void
check_numbers(const struct plan *p, struct topo_errors *errs)
{
	check_as(p, errs);
	check_external_as(p, errs);
	check_pools(p, errs);
}

/* ---- the graph ---- */

static uint32_t
root_of(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

/* "leaf2", "leaf2 and leaf3", "leaf2, leaf3, leaf4 and 13 more": nodes of one tier with the same fault. */
#define NAMED_MAX 3
struct same {
	char names[NAMED_MAX][TOPO_NAME_MAX];
	size_t n;
};

static const char *
same_text(const struct same *s, char *buf, size_t size)
{
	size_t named = MIN_OF(s->n, (size_t)NAMED_MAX), at = 0;

	for (size_t i = 0; i < named && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s",
		    i == 0          ? ""
		    : i + 1 == s->n ? " and "
				    : ", ",
		    s->names[i]);
	if (s->n > named && at < size)
		snprintf(buf + at, size - at, " and %zu more", s->n - named);
	return buf;
}

static void
same_add(struct same *s, const struct topo_node *n)
{
	if (s->n < NAMED_MAX)
		memcpy(s->names[s->n], n->name, sizeof(n->name));
	s->n++;
}

/* Nodes outside of the largest part of the graph; the first node's part wins a tie. */
static void
check_reachable(const struct topo *t, const struct file *f, struct topo_errors *errs)
{
	uint32_t *parent = mem_zalloc(NULL, MEM_TOPOLOGY, t->nnodes * sizeof(*parent));
	uint32_t *size = mem_zalloc(NULL, MEM_TOPOLOGY, t->nnodes * sizeof(*size)), best = 0;
	const struct file_tier *tiers = f->tiers.v;
	char text[NAMED_MAX * TOPO_NAME_MAX + 40];

	for (uint32_t i = 0; i < t->nnodes; i++)
		parent[i] = i;
	for (size_t i = 0; i < t->nlinks; i++)
		parent[root_of(parent, t->links[i].lower)] = root_of(parent, t->links[i].upper);
	for (uint32_t i = 0; i < t->nnodes; i++)
		size[root_of(parent, i)]++;
	best = root_of(parent, 0);
	for (uint32_t i = 0; i < t->nnodes; i++)
		if (size[i] > size[best])
			best = i;
	for (size_t k = 0; k < t->ntiers; k++) {
		const struct topo_tier *tier = &t->tiers[k];
		struct same cut = { .n = 0 };

		for (uint32_t i = tier->first; i < tier->first + tier->count; i++)
			if (root_of(parent, i) != best)
				same_add(&cut, &t->nodes[i]);
		if (cut.n)
			error_hint(
			    error_add(errs, tiers[k].is.at, "%s %s unreachable: no chain of links joins %s to %s",
				same_text(&cut, text, sizeof(text)), cut.n == 1 ? "is" : "are",
				cut.n == 1 ? "it" : "them", t->nodes[best].name),
			    "see `up` of the tiers and the list `except`");
	}
	mem_free(NULL, MEM_TOPOLOGY, parent);
	mem_free(NULL, MEM_TOPOLOGY, size);
}

/* The nodes of a tier that have `uplinks` of them, which are too few. */
static void
too_few_uplinks(const struct topo *t, const struct file *f, const struct topo_tier *tier, uint32_t uplinks,
    struct topo_errors *errs)
{
	const struct tree *at = tree_get(f->policy.is.at, "min_uplinks");
	const struct file_tier *tiers = f->tiers.v;
	char text[NAMED_MAX * TOPO_NAME_MAX + 40];
	struct same few = { .n = 0 };
	struct topo_error *e;

	for (uint32_t i = tier->first; i < tier->first + tier->count; i++)
		if (t->nodes[i].uplinks == uplinks)
			same_add(&few, &t->nodes[i]);
	if (!few.n)
		return;
	e = error_add(errs, at ? at : tiers[tier - t->tiers].is.at,
	    "%s ha%s %u uplink%s after all exceptions, below min_uplinks %u", same_text(&few, text, sizeof(text)),
	    few.n == 1 ? "s" : "ve", uplinks, uplinks == 1 ? "" : "s", t->min_uplinks);
	if (few.n == tier->count && few.n > 1)
		error_hint(e, "lower `min_uplinks`, or give tier `%s` more ports in `up.local`", tier->name);
	else
		error_hint(
		    e, "lower `min_uplinks`, or look at the exceptions that name %s", few.n == 1 ? text : "them");
}

static void
check_uplinks(const struct topo *t, const struct file *f, struct topo_errors *errs)
{
	for (size_t k = 0; k < t->ntiers; k++) {
		const struct topo_tier *tier = &t->tiers[k];

		for (uint32_t n = 0; tier->level == 0 && tier->up != TOPO_NONE && n < t->min_uplinks; n++)
			too_few_uplinks(t, f, tier, n, errs);
	}
}

void
check_graph(const struct topo *t, const struct file *f, struct topo_errors *errs)
{
	if (filled_unread(&f->is, "except")) /* a link that nobody could read may be the one that is missed */
		return;
	check_reachable(t, f, errs);
	check_uplinks(t, f, errs);
}
