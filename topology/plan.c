/*
 * topology/plan.c -- tiers as written to tiers as related: who is above whom, and how far numbers may grow
 *
 * A port range reserves slots by number, so the ranges bound the numbers: `remote` bounds the devices (or, for planes,
 * the pods) of the lower tier, `local` bounds those of the upper tier. Pools and AS ranges are held against these
 * bounds, not against today's counts; that is why growth within the slots moves nothing.
 *
 *   lower tier n, upper tier k, parallel link j (all from 1), L links:
 *     lower port   slot (k-1)*L + j of `local`      k: number in the tier, or slot in the plane
 *     upper port   slot (n-1)*L + j of `remote`     n: device number; pod for `plane`;
 *                                                   (pod-1)*W + device number when pods go to a tier of all pods in
 *                                                   full, W being how many devices of a pod the tiers below allow
 *
 * Always true of a plan that plan_make accepted: `up` has no circle, every count is within the slots, the sizes are
 * bounded (NODES_MAX, PORTS_MAX), and a port belongs to one range of its tier.
 */
#include <stdlib.h>
#include <string.h>

#include "topology/model.h"

static const struct file_tier *
file_tier(const struct file *f, size_t i)
{
	return (const struct file_tier *)f->tiers.v + i;
}

/* ---- names ---- */

static bool
is_number(const char *s)
{
	return s[0] >= '1' && s[0] <= '9' && strspn(s, "0123456789") == strlen(s);
}

/* Two tiers may not share a name, nor may leaf and leaf1: leaf11 would be a node of both. */
static bool
check_names(const struct file *f, struct topo_errors *errs)
{
	size_t before = errs->n;

	for (size_t i = 0; i < f->tiers.n; i++) {
		const struct file_tier *a = file_tier(f, i);

		for (size_t k = 0; k < f->tiers.n; k++) {
			const struct file_tier *b = file_tier(f, k);
			size_t n = b->name ? strlen(b->name) : 0;

			if (k == i || !a->name || !b->name || strncmp(a->name, b->name, n) != 0)
				continue;
			if (a->name[n] == '\0' && k < i)
				error_other(
				    error_add(errs, tree_at(a->is.at, "name"),
					"two tiers are called `%s`; every node's name would stand for two nodes",
					a->name),
				    tree_at(b->is.at, "name"));
			else if (is_number(a->name + n))
				error_other(error_add(errs, tree_at(a->is.at, "name"),
						"tiers `%s` and `%s` share node names: %s1 would be a node of both",
						b->name, a->name, a->name),
				    tree_at(b->is.at, "name"));
		}
	}
	return errs->n == before;
}

/* ---- who is above whom ---- */

static uint32_t
find_tier(const struct file *f, const char *name)
{
	for (size_t i = 0; i < f->tiers.n; i++)
		if (file_tier(f, i)->name && strcmp(file_tier(f, i)->name, name) == 0)
			return (uint32_t)i;
	return TOPO_NONE;
}

static void
unknown_tier(const struct file *f, const struct tree *at, const char *name, struct topo_errors *errs)
{
	struct topo_error *e = error_add(errs, at, "`up.to` names a tier `%s` that is not in the file", name);
	const char *near = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < f->tiers.n; i++) {
		size_t d = file_tier(f, i)->name ? edit_distance(name, file_tier(f, i)->name) : SIZE_MAX;

		if (d < best) {
			best = d;
			near = file_tier(f, i)->name;
		}
	}
	if (near && edit_is_near(best, near))
		error_hint(e, "did you mean `%s`?", near);
}

/* Each tier has one of the keys that say how many nodes it has. That `pods` is missing is said at the first that needs it. */
static bool
check_sizes(struct plan *p, struct topo_errors *errs)
{
	size_t before = errs->n;
	bool told = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct file_tier *t = p->tiers[i].file;

		p->tiers[i].sized = !t->count != !t->per_pod;
		if (t->count && t->per_pod) {
			struct topo_error *e = error_add(errs, tree_at(t->is.at, "per_pod"),
			    "tier `%s` has both `count` and `per_pod`; a tier has one of them", t->name);

			error_hint(e, "count: nodes of the fabric; per_pod: nodes of each pod");
			error_other(e, tree_at(t->is.at, "count"));
		} else if (!p->tiers[i].sized) {
			error_hint(error_add(errs, t->is.at, "tier `%s` needs one of `count` and `per_pod`", t->name),
			    "count: nodes of the fabric; per_pod: nodes of each pod");
		} else if (t->per_pod && !p->pods && !told) {
			error_hint(error_add(errs, tree_at(t->is.at, "per_pod"), "`per_pod` without `pods`"),
			    "say at the top how many pods there are: `pods: 2`");
			told = true;
		}
	}
	return errs->n == before;
}

static bool
check_up(const struct plan *p, const struct plan_tier *t, struct topo_errors *errs)
{
	const struct file_tier *lower = t->file, *upper = p->tiers[t->up].file;
	const struct tree *at = lower->up.is.at;
	size_t before = errs->n;

	if (upper == lower)
		error_add(errs, tree_at(at, "to"), "tier `%s` goes up to itself", lower->name);
	if (lower->count && upper->per_pod)
		error_hint(error_add(errs, tree_at(at, "to"), "tier `%s` is not in pods, but goes up to `%s`, which is",
			       lower->name, upper->name),
		    "a tier with `count` goes up to a tier with `count`");
	if (t->pattern == PATTERN_PLANE) {
		if (!p->planes)
			error_hint(error_add(errs, tree_at(at, "pattern"), "`pattern: plane` without `planes`"),
			    "say at the top how many planes there are: `planes: 4`");
		else if (!lower->per_pod || !upper->count)
			error_hint(error_add(errs, tree_at(at, "pattern"),
				       "`pattern: plane` goes from a tier with `per_pod` to one with `count`"),
			    "remove `pattern`, or see the second example of docs/topology-file.md");
		else if (lower->per_pod != p->planes)
			error_other(error_add(errs, tree_at(lower->is.at, "per_pod"),
					"`pattern: plane` needs per_pod = planes, but tier `%s` has %u per pod and "
					"there are %u planes",
					lower->name, lower->per_pod, p->planes),
			    tree_at(p->file->is.at, "planes"));
		else if (upper->count % p->planes)
			error_hint(
			    error_add(errs, tree_at(upper->is.at, "count"),
				"striping would be asymmetric: %u nodes of tier `%s` do not divide into %u planes",
				upper->count, upper->name, p->planes),
			    "take a multiple of %u; nodes that are not there yet are `state: planned`", p->planes);
	}
	return errs->n == before;
}

static bool
resolve_ups(struct plan *p, struct topo_errors *errs)
{
	bool ok = check_sizes(p, errs);

	for (size_t i = 0; i < p->n; i++) {
		struct plan_tier *t = &p->tiers[i];
		const struct file_tier *f = t->file;

		if (!f->up.is.at)
			continue;
		t->up = find_tier(p->file, f->up.to);
		t->links = f->up.links;
		t->pattern = f->up.pattern ? (enum pattern)f->up.pattern : PATTERN_FULL;
		if (t->up == TOPO_NONE) {
			unknown_tier(p->file, tree_at(f->up.is.at, "to"), f->up.to, errs);
			ok = false;
		} else if (t->sized && p->tiers[t->up].sized) {
			ok &= check_up(p, t, errs);
		}
	}
	return ok;
}

/* Level: one above the tiers that name it. Tiers in a circle never come to rest. */
static bool
find_levels(struct plan *p, struct topo_errors *errs)
{
	bool moved = true;

	for (size_t round = 0; moved; round++) {
		moved = false;
		for (size_t i = 0; i < p->n; i++) {
			struct plan_tier *t = &p->tiers[i], *up = t->up == TOPO_NONE ? NULL : &p->tiers[t->up];

			if (!up || up->level > t->level)
				continue;
			if (round > p->n) {
				error_add(errs, tree_at(t->file->up.is.at, "to"),
				    "tiers go up in a circle: `%s` is above and below `%s`", up->file->name,
				    t->file->name);
				return false;
			}
			up->level = t->level + 1;
			moved = true;
		}
	}
	return true;
}

/* ---- how far numbers may grow ---- */

struct bound {
	uint64_t max;
	const struct tree *why; /* the range that sets it */
};

static void
lower_bound(struct bound *b, uint64_t max, const struct tree *why)
{
	if (max < b->max)
		*b = (struct bound){ max, why };
}

/* Bounds of device numbers from the tiers below: `local` has slots for so many of t. */
static void
bound_from_below(const struct plan *p, size_t index, struct bound *b)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_tier *s = &p->tiers[i];
		uint64_t peers;

		if (s->up != index)
			continue;
		peers = s->file->up.local.n / s->links;
		lower_bound(b, s->pattern == PATTERN_PLANE ? peers * p->planes : peers, s->file->up.local.at);
	}
}

static bool
from_pods_in_full(const struct plan *p, const struct plan_tier *t)
{
	return t->up != TOPO_NONE && t->pattern == PATTERN_FULL && t->file->per_pod && p->tiers[t->up].file->count;
}

static bool
check_bound(const struct bound *b, uint64_t value, const struct tree *at, const char *tier, const char *what,
    struct topo_errors *errs)
{
	if (value <= b->max)
		return true;
	error_hint(error_add(errs, at, "tier `%s`: %llu %s, but the port range in line %u has slots for %llu", tier,
		       (unsigned long long)value, what, b->why->line, (unsigned long long)b->max),
	    "widen \"%s\", or take fewer", b->why->text);
	return false;
}

static bool
find_bounds(struct plan *p, struct topo_errors *errs)
{
	struct bound pods = { p->pods ? PODS_MAX : 0, NULL };
	bool ok = true, pods_bound = false;

	for (size_t i = 0; i < p->n; i++) {
		struct plan_tier *t = &p->tiers[i];
		const struct file_tier *f = t->file;
		struct bound devices = { UINT32_MAX, NULL }, my_pods = { PODS_MAX, NULL };
		uint64_t slots = t->up == TOPO_NONE ? 0 : f->up.remote.n / t->links,
			 here = f->count ? f->count : f->per_pod;

		bound_from_below(p, i, &devices);
		if (from_pods_in_full(p, t)) {
			if (!devices.why && p->pods > 1) {
				error_hint(
				    error_add(errs, f->up.is.at,
					"nothing says how many slots of `remote` each pod of tier `%s` takes", f->name),
				    "a tier without tiers below it goes up to a tier of its pod, or has `count` "
				    "instead of `per_pod`");
				ok = false;
			}
			t->pod_width = devices.why ? (uint32_t)devices.max : (uint32_t)MAX_OF(slots, 1u);
			lower_bound(&my_pods, slots / MAX_OF(t->pod_width, 1u), f->up.remote.at);
		} else if (t->up != TOPO_NONE && t->pattern == PATTERN_PLANE) {
			lower_bound(&devices, p->planes, f->up.local.at);
			lower_bound(&my_pods, slots, f->up.remote.at);
		} else if (t->up != TOPO_NONE) {
			lower_bound(&devices, slots, f->up.remote.at);
		}
		if (my_pods.why) {
			ok &= check_bound(&my_pods, p->pods, tree_at(p->file->is.at, "pods"), f->name, "pods", errs);
			lower_bound(&pods, my_pods.max, my_pods.why);
			pods_bound = true;
		}
		if (devices.why)
			ok &= check_bound(&devices, here, tree_at(f->is.at, f->count ? "count" : "per_pod"), f->name,
			    f->count ? "nodes" : "nodes per pod", errs);
		t->number_max = (uint32_t)(devices.why ? devices.max : here);
	}
	p->pods_max = pods_bound ? (uint32_t)pods.max : p->pods;
	return ok;
}

/* Bounded before anything is made: a slip of the finger must not take the memory of a switch. */
static bool
find_sizes(struct plan *p, struct topo_errors *errs)
{
	uint64_t nodes = 0, ports = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct plan_tier *t = &p->tiers[i];
		const struct file_tier *f = t->file;
		uint64_t n = f->count ? f->count : (uint64_t)f->per_pod * p->pods,
			 each = f->up.local.n + f->hosts.ports.n;

		for (size_t k = 0; k < p->n; k++)
			if (p->tiers[k].up == i)
				each += p->tiers[k].file->up.remote.n;
		t->first = (uint32_t)MIN_OF(nodes, NODES_MAX);
		t->nodes = (uint32_t)MIN_OF(n, NODES_MAX + 1);
		nodes += n;
		ports += n * each;
		if (nodes > NODES_MAX || ports > PORTS_MAX) {
			error_hint(
			    error_add(errs, tree_at(f->is.at, f->count ? "count" : "per_pod"),
				"the fabric would have %llu nodes with %llu ports up to tier `%s`; at most %u and %u "
				"are allowed",
				(unsigned long long)nodes, (unsigned long long)ports, f->name, NODES_MAX, PORTS_MAX),
			    "is there a digit too many in `count`, `per_pod` or `pods`?");
			return false;
		}
	}
	p->nodes = (uint32_t)nodes;
	return true;
}

/* ---- a port belongs to one range of its tier ---- */

struct owned_port {
	const char *name;
	const struct port_range *range;
	const char *what;
};

static int
by_port(const void *pa, const void *pb)
{
	const struct owned_port *a = pa, *b = pb;
	int c = strcmp(a->name, b->name);

	return c ? c : (a->range->at->start > b->range->at->start) - (a->range->at->start < b->range->at->start);
}

static size_t
own(struct owned_port *ports, size_t n, const struct port_range *range, const char *what)
{
	for (uint32_t i = 0; i < range->n; i++)
		ports[n++] = (struct owned_port){ range->names[i], range, what };
	return n;
}

static bool
check_ports(const struct plan *p, size_t index, struct topo_errors *errs)
{
	const struct file_tier *f = p->tiers[index].file;
	size_t max = f->up.local.n + f->hosts.ports.n, n = 0;
	struct owned_port *ports;
	bool ok = true;

	for (size_t i = 0; i < p->n; i++)
		if (p->tiers[i].up == index)
			max += p->tiers[i].file->up.remote.n;
	ports = mem_zalloc(NULL, MEM_TOPOLOGY, max * sizeof(*ports));
	n = own(ports, n, &f->up.local, "uplinks");
	n = own(ports, n, &f->hosts.ports, "hosts");
	for (size_t i = 0; i < p->n; i++)
		if (p->tiers[i].up == index)
			n = own(ports, n, &p->tiers[i].file->up.remote, "a tier below");
	qsort(ports, n, sizeof(*ports), by_port);
	for (size_t i = 1; i < n && ok; i++) {
		const struct owned_port *a = &ports[i - 1], *b = &ports[i];

		if (strcmp(a->name, b->name) != 0)
			continue;
		ok = false;
		if (a->range == b->range)
			error_add(errs, b->range->at, "the range gives port %s twice", b->name);
		else
			error_other(error_add(errs, b->range->at,
					"port %s of tier `%s` is taken twice: for %s here, for %s in line %u", b->name,
					f->name, b->what, a->what, a->range->at->line),
			    a->range->at);
	}
	for (size_t i = 0; i < n && ok && !f->vendor; i++) {
		if (strchr(ports[i].name, '/')) {
			warning_add(errs, ports[i].range->at, "port %s: no interface of Linux has a `/` in its name",
			    ports[i].name);
			break;
		}
		if (strlen(ports[i].name) <= 15)
			continue;
		ok = false;
		error_add(
		    errs, ports[i].range->at, "port %s: an interface name has at most 15 characters", ports[i].name);
	}
	mem_free(NULL, MEM_TOPOLOGY, ports);
	return ok;
}

/* ---- all of it ---- */

static void
check_unused(const struct plan *p, struct topo_errors *errs)
{
	bool per_pod = false, plane = false;

	for (size_t i = 0; i < p->n; i++) {
		per_pod |= p->tiers[i].file->per_pod != 0;
		plane |= p->tiers[i].pattern == PATTERN_PLANE;
	}
	if (p->pods && !per_pod)
		error_hint(error_add(errs, tree_at(p->file->is.at, "pods"), "`pods` without a tier that has `per_pod`"),
		    "remove `pods`, or give a tier `per_pod` in place of `count`");
	if (p->planes && !plane)
		warning_add(
		    errs, tree_at(p->file->is.at, "planes"), "`planes` without a tier that has `pattern: plane`");
}

#define TIERS_MAX 64 /* a Clos of more stages than anyone builds; keeps the comparisons of all with all short */

bool
plan_make(struct plan *p, const struct file *f, struct arena *a, struct topo_errors *errs)
{
	/* what cannot be read is told already; nothing is derived without it */
	bool ok = !filled_unread(&f->is, "pods") && !filled_unread(&f->is, "planes"), named;

	if (f->tiers.n > TIERS_MAX) {
		error_add(errs, tree_at(f->is.at, "tiers"), "%zu tiers; at most %u are allowed", f->tiers.n, TIERS_MAX);
		return false;
	}
	named = check_names(f, errs);
	*p = (struct plan){ .file = f, .n = f->tiers.n, .pods = f->pods, .planes = f->planes };
	p->tiers = arena_alloc(a, p->n * sizeof(*p->tiers));
	for (size_t i = 0; i < p->n; i++) {
		p->tiers[i] = (struct plan_tier){ .file = file_tier(f, i), .up = TOPO_NONE };
		ok &= !p->tiers[i].file->is.bad;
	}
	if (p->n == 0 && f->tiers.v)
		error_add(errs, tree_at(f->is.at, "tiers"), "`tiers` is empty; a fabric has at least one tier");
	if (!ok || p->n == 0 || !resolve_ups(p, errs) || !find_levels(p, errs))
		return false;
	ok = find_bounds(p, errs);
	p->bounded = true;
	for (size_t i = 0; i < p->n; i++)
		ok &= check_ports(p, i, errs);
	check_unused(p, errs);
	return find_sizes(p, errs) && ok && named;
}

void
plan_asn_range(const struct plan *p, const struct plan_tier *t, uint64_t *min, uint64_t *max)
{
	const struct file_asn *a = &t->file->asn;
	uint64_t step = a->form == ASN_BY_STEP ? a->pod_step : 0;

	*min = *max = a->number;
	if (a->form == ASN_ONE)
		return;
	*min = (uint64_t)a->base + step + 1;
	*max = (uint64_t)a->base + (a->form == ASN_BY_POD ? p->pods_max : step * p->pods_max + t->number_max);
}
