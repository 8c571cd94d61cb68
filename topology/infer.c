/*
 * topology/infer.c -- a topology file out of nothing but cables: tiers, ranges and exceptions
 *
 *   cables -> nodes (tier, pod, number, from their names) -> which tier is above which -> a port for each slot,
 *   by majority -> a file -> what it derives, held against the cables -> what differs, as `except`
 *
 * The language counts by names, so names that are no tier's name and a number are refused, as are tiers that do not
 * form a tree and ports that form no range. AS numbers and addresses are in no cable plan: the file proposes some, and says
 * so. Hosts (a tier of that name whose nodes have one cable each) become the `hosts` of the tier that they hang on.
 *
 * Always true of a file that is given back: it derives exactly the cables that were put in.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

#define TIERS_MAX  16u
#define NUMBER_MAX 4096u
#define CABLES_MAX 20000u /* all are held against all */
#define LINKS_MAX  64u
#define ASN_BASE   4200000000u
#define ASN_TIER   1000000u
#define ASN_POD    1000u

struct member { /* an end of a cable */
	uint32_t tier, pod, number;
};

struct vote {
	uint32_t slot;
	char name[TOPO_NAME_MAX];
};

struct votes {
	struct vote *v;
	size_t n, cap;
};

struct itier {
	char name[TOPO_NAME_MAX];
	uint32_t nodes, numbers, pods; /* seen; highest number; highest pod (0: none) */
	size_t cables;                 /* ends */
	bool host;
	uint32_t up, level; /* TOPO_NONE: the top; distance from the top */
	uint32_t links;
	bool plane;
	struct votes local, remote, hosts;
};

struct infer {
	const struct topo_cable *cables;
	size_t n;
	struct member *ends; /* 2 for each cable: a, b */
	struct itier tiers[TIERS_MAX];
	uint32_t ntiers, top;
	uint32_t pods, planes;
	struct topo_errors *errs;
};

/* ---- names ---- */

/* "p3-leaf7": pod 3, tier "leaf", number 7. */
static bool
name_parts(const char *name, char tier[TOPO_NAME_MAX], struct member *m)
{
	const char *p = name, *digits;
	char *end;
	size_t n;

	*m = (struct member){ 0 };
	if (p[0] == 'p' && isdigit((unsigned char)p[1])) {
		unsigned long pod = strtoul(p + 1, &end, 10);

		if (*end == '-' && p[1] != '0' && pod <= NUMBER_MAX) {
			m->pod = (uint32_t)pod;
			p = end + 1;
		}
	}
	n = strlen(p);
	for (digits = p + n; digits > p && isdigit((unsigned char)digits[-1]);)
		digits--;
	n = (size_t)(digits - p);
	if (!n || !*digits || *digits == '0' || strlen(digits) > 4 || !islower((unsigned char)*p))
		return false;
	if (*p == 'p' && n > 1 && strspn(p + 1, "0123456789") == n - 1)
		return false;
	if (strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789") < n)
		return false;
	memcpy(tier, p, n);
	tier[n] = '\0';
	m->number = (uint32_t)strtoul(digits, NULL, 10);
	return m->number <= NUMBER_MAX;
}

static uint32_t
tier_of(struct infer *in, const char *name)
{
	uint32_t i = 0;

	for (; i < in->ntiers; i++)
		if (strcmp(in->tiers[i].name, name) == 0)
			return i;
	if (i == TIERS_MAX)
		return TOPO_NONE;
	snprintf(in->tiers[i].name, sizeof(in->tiers[i].name), "%s", name);
	in->tiers[i].up = TOPO_NONE;
	in->ntiers++;
	return i;
}

static bool
read_end(struct infer *in, const char *name, struct member *m)
{
	char tier[TOPO_NAME_MAX];

	if (!name_parts(name, tier, m)) {
		error_hint(error_add(in->errs, NULL, "\"%s\" is no name of this language", name),
		    "a tier's name in small letters and a number without zeros in front, with `p<pod>-` before it in "
		    "pods: leaf3, p2-leaf3");
		return false;
	}
	m->tier = tier_of(in, tier);
	if (m->tier == TOPO_NONE) {
		error_add(in->errs, NULL, "more than %u tiers, by the names: is the number not the last part of them?",
		    TIERS_MAX);
		return false;
	}
	in->tiers[m->tier].numbers = MAX_OF(in->tiers[m->tier].numbers, m->number);
	in->tiers[m->tier].pods = MAX_OF(in->tiers[m->tier].pods, m->pod);
	in->tiers[m->tier].cables++;
	return true;
}

static bool
read_names(struct infer *in)
{
	bool ok = true;

	for (size_t i = 0; i < in->n; i++) {
		ok &= read_end(in, in->cables[i].a, &in->ends[2 * i]);
		ok &= read_end(in, in->cables[i].b, &in->ends[2 * i + 1]);
	}
	for (uint32_t t = 0; t < in->ntiers; t++) {
		struct itier *tier = &in->tiers[t];

		tier->nodes = tier->numbers * MAX_OF(tier->pods, 1u);
		in->pods = MAX_OF(in->pods, tier->pods);
	}
	return ok;
}

/* ---- who is above whom ---- */

static bool
joined(const struct infer *in, uint32_t a, uint32_t b)
{
	for (size_t i = 0; i < in->n; i++) {
		uint32_t x = in->ends[2 * i].tier, y = in->ends[2 * i + 1].tier;

		if ((x == a && y == b) || (x == b && y == a))
			return true;
	}
	return false;
}

static bool
same_member(const struct member *a, const struct member *b)
{
	return a->tier == b->tier && a->pod == b->pod && a->number == b->number;
}

static void
find_hosts(struct infer *in)
{
	static const char *const names[] = { "h", "host", "server", "srv", "client", "pc" };

	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		for (uint32_t t = 0; t < in->ntiers; t++)
			if (strcmp(in->tiers[t].name, names[k]) == 0)
				in->tiers[t].host = true;
	for (size_t i = 0; i < 2 * in->n; i++)
		for (size_t k = 0; in->tiers[in->ends[i].tier].host && k < i; k++)
			if (same_member(&in->ends[i], &in->ends[k]))
				in->tiers[in->ends[i].tier].host = false; /* two cables: a switch after all */
}

/* By its name; else the only one outside of pods; else the one with the most cables for each node. */
static uint32_t
find_top(const struct infer *in)
{
	static const char *const names[] = { "super", "superspine", "core", "spine" };
	uint32_t best = TOPO_NONE;

	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		for (uint32_t t = 0; t < in->ntiers; t++)
			if (strcmp(in->tiers[t].name, names[k]) == 0 && (!in->pods || !in->tiers[t].pods))
				return t;
	for (uint32_t t = 0; t < in->ntiers; t++) {
		const struct itier *a = &in->tiers[t], *b = best == TOPO_NONE ? NULL : &in->tiers[best];

		if (a->host)
			continue;
		if (!b || (!a->pods && b->pods) ||
		    (!a->pods == !b->pods && a->cables * b->nodes > b->cables * a->nodes))
			best = t;
	}
	return best;
}

/* A tree from the top: breadth first, each tier once. */
static bool
find_ups(struct infer *in)
{
	uint32_t queue[TIERS_MAX], head = 0, tail = 0;
	bool seen[TIERS_MAX] = { false }, ok = true;

	in->top = find_top(in);
	if (in->top == TOPO_NONE) {
		error_add(in->errs, NULL, "there are no switches in it, only hosts");
		return false;
	}
	queue[tail++] = in->top;
	seen[in->top] = true;
	while (head < tail) {
		uint32_t above = queue[head++];

		for (uint32_t t = 0; t < in->ntiers; t++) {
			if (!joined(in, above, t) || t == in->tiers[above].up)
				continue;
			if (seen[t]) {
				error_hint(
				    error_add(in->errs, NULL,
					"tiers `%s` and `%s` are joined, but neither is the only tier above the other",
					in->tiers[above].name, in->tiers[t].name),
				    "a tier goes up to one other tier, and not to itself");
				return false;
			}
			seen[t] = true;
			in->tiers[t].up = above;
			in->tiers[t].level = in->tiers[above].level + 1;
			queue[tail++] = t;
		}
	}
	for (uint32_t t = 0; t < in->ntiers; t++)
		if (!seen[t]) {
			error_add(in->errs, NULL, "tier `%s` has no way to tier `%s`", in->tiers[t].name,
			    in->tiers[in->top].name);
			ok = false;
		}
	return ok;
}

/* ---- slots ---- */

/* Length first, so that eth2 comes before eth10. */
static int
natural(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	return x != y ? (x > y) - (x < y) : strcmp(a, b);
}

/* Cable i, seen from the lower tier t: its ends and ports; false when it is another's. */
static bool
seen_from(const struct infer *in, size_t i, uint32_t t, const struct member **low, const struct member **high,
    const char **low_port, const char **high_port)
{
	const struct member *a = &in->ends[2 * i], *b = a + 1;
	bool turned = b->tier == t && a->tier == in->tiers[t].up;

	if (!turned && (a->tier != t || b->tier != in->tiers[t].up))
		return false;
	*low = turned ? b : a;
	*high = turned ? a : b;
	*low_port = turned ? in->cables[i].b_port : in->cables[i].a_port;
	*high_port = turned ? in->cables[i].a_port : in->cables[i].b_port;
	return true;
}

/* Which of the parallel cables of its two nodes it is, from 1. */
static uint32_t
parallel(const struct infer *in, size_t i, uint32_t t)
{
	const struct member *low, *high, *l, *h;
	const char *port, *other, *p, *o;
	uint32_t j = 1;

	seen_from(in, i, t, &low, &high, &port, &other);
	for (size_t k = 0; k < in->n; k++)
		if (seen_from(in, k, t, &l, &h, &p, &o) && same_member(l, low) && same_member(h, high) &&
		    natural(p, port) < 0)
			j++;
	return j;
}

static void
vote(struct votes *v, uint32_t slot, const char *name)
{
	v->v = mem_grow(NULL, MEM_TOPOLOGY, v->v, &v->cap, v->n + 1, sizeof(*v->v));
	v->v[v->n].slot = slot;
	snprintf(v->v[v->n++].name, sizeof(v->v->name), "%s", name);
}

static bool
is_plane(const struct infer *in, uint32_t t)
{
	const struct itier *tier = &in->tiers[t], *up = &in->tiers[tier->up];
	const struct member *low, *high;
	const char *p, *q;

	if (!tier->pods || up->pods || tier->numbers < 2 || up->numbers % tier->numbers)
		return false;
	for (size_t i = 0; i < in->n; i++)
		if (seen_from(in, i, t, &low, &high, &p, &q) && (high->number - 1) % tier->numbers + 1 != low->number)
			return false;
	return true;
}

static bool
cast_votes(struct infer *in, uint32_t t)
{
	struct itier *tier = &in->tiers[t];
	const struct member *low, *high;
	const char *low_port, *high_port;

	tier->links = 1;
	tier->plane = !tier->host && is_plane(in, t);
	if (tier->plane)
		in->planes = tier->numbers;
	for (size_t i = 0; i < in->n && !tier->host; i++)
		if (seen_from(in, i, t, &low, &high, &low_port, &high_port))
			tier->links = MAX_OF(tier->links, parallel(in, i, t));
	if (tier->links > LINKS_MAX) {
		error_add(in->errs, NULL, "more than %u parallel cables between two nodes of `%s` and `%s`", LINKS_MAX,
		    tier->name, in->tiers[tier->up].name);
		return false;
	}
	for (size_t i = 0; i < in->n; i++) {
		uint32_t j, k, n;

		if (!seen_from(in, i, t, &low, &high, &low_port, &high_port))
			continue;
		if (tier->host) {
			vote(&in->tiers[tier->up].hosts, 0, high_port);
			continue;
		}
		j = parallel(in, i, t);
		k = tier->plane ? (high->number - 1) / tier->numbers + 1 : high->number;
		n = tier->plane ? low->pod : low->number;
		if (low->pod && !high->pod &&
		    !tier->plane) /* pods in full: as many slots each as the tier has devices */
			n = (low->pod - 1) * tier->numbers + low->number;
		vote(&tier->local, (k - 1) * tier->links + j, low_port);
		vote(&tier->remote, (n - 1) * tier->links + j, high_port);
	}
	return true;
}

static int
by_slot(const void *pa, const void *pb)
{
	const struct vote *a = pa, *b = pb;

	return a->slot != b->slot ? (a->slot > b->slot) - (a->slot < b->slot) : natural(a->name, b->name);
}

/* One vote for each slot, or for each name when all have slot 0: the most frequent. */
static void
count_votes(struct votes *v, bool by_name)
{
	size_t kept = 0, best = 0;

	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_slot);
	for (size_t i = 0, run; i < v->n; i += run) {
		for (run = 1; i + run < v->n && by_slot(&v->v[i], &v->v[i + run]) == 0; run++)
			;
		if (!by_name && kept && v->v[kept - 1].slot == v->v[i].slot) {
			if (run > best)
				v->v[kept - 1] = v->v[i];
			best = MAX_OF(best, run);
			continue;
		}
		best = run;
		v->v[kept++] = v->v[i];
	}
	v->n = kept;
}

/* ---- a range of the names ---- */

struct port_name {
	size_t head, digits; /* bytes before the last run of digits, and of it */
	uint32_t number;
};

static bool
port_parts(const char *name, struct port_name *p)
{
	size_t end = strlen(name), begin;

	while (end && !isdigit((unsigned char)name[end - 1]))
		end--;
	for (begin = end; begin && isdigit((unsigned char)name[begin - 1]);)
		begin--;
	*p = (struct port_name){ begin, end - begin, (uint32_t)strtoul(name + begin, NULL, 10) };
	return end && p->digits < 8;
}

/* "eth[1-4,7]" of the slots in order; false when they are not of one kind, or a slot between them has no port. */
static bool
range_text(const struct votes *v, bool by_name, struct buf *out)
{
	struct port_name first, p, q = { 0 };
	uint32_t from = 0;

	if (!v->n || !port_parts(v->v[0].name, &first))
		return false;
	buf_text(out, "\"");
	buf_bytes(out, v->v[0].name, first.head);
	buf_text(out, "[");
	for (size_t i = 0; i < v->n; i++) {
		if (!port_parts(v->v[i].name, &p) || p.head != first.head ||
		    strncmp(v->v[i].name, v->v[0].name, p.head) != 0 ||
		    strcmp(v->v[i].name + p.head + p.digits, v->v[0].name + first.head + first.digits) != 0 ||
		    (p.digits > 1 && v->v[i].name[p.head] == '0'))
			return false;
		if (!by_name && v->v[i].slot != (i ? v->v[i - 1].slot : 0) + 1)
			return false;
		if (i == 0 || p.number != q.number + 1) {
			if (i && from != q.number)
				buf_add(out, "-%u", q.number);
			buf_add(out, "%s%u", i ? "," : "", p.number);
			from = p.number;
		}
		q = p;
	}
	if (from != q.number)
		buf_add(out, "-%u", q.number);
	buf_add(out, "]%s\"", v->v[0].name + first.head + first.digits);
	return true;
}

/* A slot that no cable speaks of gets the port that stands between its neighbours, when they count one by one. */
static void
fill_gaps(struct votes *v)
{
	struct port_name p;
	size_t n = v->n;

	for (size_t i = 0; i < n; i++) {
		uint32_t before = i ? v->v[i - 1].slot : 0;

		if (!port_parts(v->v[i].name, &p) || v->v[i].slot - before > NUMBER_MAX)
			return;
		for (uint32_t slot = before + 1; slot < v->v[i].slot && p.number >= v->v[i].slot - slot; slot++) {
			char name[TOPO_NAME_MAX + 16];

			snprintf(name, sizeof(name), "%.*s%u%s", (int)p.head, v->v[i].name,
			    p.number - (v->v[i].slot - slot), v->v[i].name + p.head + p.digits);
			vote(v, slot, name);
		}
	}
	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_slot);
}

static bool
put_range(struct infer *in, struct buf *out, const char *key, struct votes *v, bool by_name, const struct itier *t)
{
	struct buf range = { 0 };
	bool ok;

	count_votes(v, by_name);
	if (!by_name)
		fill_gaps(v);
	ok = range_text(v, by_name, &range);
	if (ok)
		buf_add(out, "%s: %s", key, range.at);
	else
		error_hint(error_add(in->errs, NULL, "the ports for `%s` of tier `%s` form no range, from %s to %s",
			       key, t->name, v->n ? v->v[0].name : "-", v->n ? v->v[v->n - 1].name : "-"),
		    "ports of one kind, counted in the order of the nodes at the other end: eth[1-4]");
	mem_free(NULL, MEM_TOPOLOGY, range.at);
	return ok;
}

/* ---- the file ---- */

static bool
put_tier(struct infer *in, struct buf *out, uint32_t t, uint32_t rank)
{
	struct itier *tier = &in->tiers[t];
	uint32_t asn = ASN_BASE + rank * ASN_TIER;
	bool ok = true;

	buf_add(out, "  - name: %s\n    %s: %u\n", tier->name, tier->pods ? "per_pod" : "count", tier->numbers);
	if (tier->pods)
		buf_add(out, "    asn: {base: %u, pod_step: %u}\n    loopback: {pool: 10.%u.0.0/16, pod_len: 24}\n",
		    asn, ASN_POD, 240 + rank);
	else if (t == in->top)
		buf_add(out, "    asn: %u\n    loopback: 10.%u.0.0/16\n", asn, 240 + rank);
	else
		buf_add(out, "    asn: {base: %u}\n    loopback: 10.%u.0.0/16\n", asn, 240 + rank);
	if (t != in->top) {
		buf_add(out, "    up: {to: %s, ", in->tiers[tier->up].name);
		ok &= put_range(in, out, "local", &tier->local, false, tier);
		buf_text(out, ", ");
		ok &= put_range(in, out, "remote", &tier->remote, false, tier);
		if (tier->links > 1)
			buf_add(out, ", links: %u", tier->links);
		buf_text(out, tier->plane ? ", pattern: plane}\n" : "}\n");
	}
	if (tier->hosts.n) {
		buf_text(out, "    hosts: {");
		ok &= put_range(in, out, "ports", &tier->hosts, true, tier);
		buf_text(out, "}\n");
	}
	return ok;
}

static bool
put_file(struct infer *in, struct buf *out, const char *fabric)
{
	uint32_t rank = 0;
	bool ok = true;

	buf_add(out,
	    "# AS numbers and loopbacks are proposals: no cable plan holds them. Ranges reserve what is cabled today; "
	    "widen\n"
	    "# them before the fabric grows.\n"
	    "schema: 1\nfabric: %s\n",
	    fabric);
	if (in->pods)
		buf_add(out, "pods: %u\n", in->pods);
	if (in->planes)
		buf_add(out, "planes: %u\n", in->planes);
	buf_text(out, "tiers:\n");
	for (uint32_t level = 0; level < TIERS_MAX; level++)
		for (uint32_t t = 0; t < in->ntiers; t++)
			if (!in->tiers[t].host && in->tiers[t].level == level)
				ok &= put_tier(in, out, t, rank++);
	return ok;
}

/* ---- what is left over ---- */

static bool
cable_is(const struct topo_cable *c, const char *a, const char *ap, const char *b, const char *bp)
{
	return strcmp(c->a, a) == 0 && strcmp(c->a_port, ap) == 0 && strcmp(c->b, b) == 0 && strcmp(c->b_port, bp) == 0;
}

static void
put_leftovers(const struct infer *in, const struct topo *t, struct buf *out)
{
	bool *matched = mem_zalloc(NULL, MEM_TOPOLOGY, in->n + 1);
	const char *head = "except:\n";

	for (size_t k = 0; k < t->nlinks; k++) {
		const struct topo_link *l = &t->links[k];
		const char *a = t->nodes[l->lower].name, *b = t->nodes[l->upper].name;
		size_t i;

		for (i = 0; i < in->n && !cable_is(&in->cables[i], a, l->lower_port, b, l->upper_port) &&
			    !cable_is(&in->cables[i], b, l->upper_port, a, l->lower_port);
		     i++)
			;
		if (i < in->n) {
			matched[i] = true;
			continue;
		}
		buf_add(out, "%s  - {drop: \"%s:%s -- %s:%s\", why: not in the import}\n", head, a, l->lower_port, b,
		    l->upper_port);
		head = "";
	}
	for (size_t i = 0; i < in->n; i++) {
		const struct topo_cable *c = &in->cables[i];

		if (matched[i] || in->tiers[in->ends[2 * i].tier].host || in->tiers[in->ends[2 * i + 1].tier].host)
			continue;
		buf_add(
		    out, "%s  - {add: \"%s:%s -- %s:%s\", why: as imported}\n", head, c->a, c->a_port, c->b, c->b_port);
		head = "";
	}
	mem_free(NULL, MEM_TOPOLOGY, matched);
}

static void
infer_free(struct infer *in)
{
	for (uint32_t t = 0; t < in->ntiers; t++) {
		mem_free(NULL, MEM_TOPOLOGY, in->tiers[t].local.v);
		mem_free(NULL, MEM_TOPOLOGY, in->tiers[t].remote.v);
		mem_free(NULL, MEM_TOPOLOGY, in->tiers[t].hosts.v);
	}
	mem_free(NULL, MEM_TOPOLOGY, in->ends);
}

char *
topo_infer(const struct topo_cable *cables, size_t n, const char *fabric, struct topo_errors *errs)
{
	struct infer in = { .cables = cables, .n = n, .errs = errs };
	struct buf out = { 0 };
	struct topo *t = NULL;
	bool ok;

	in.ends = mem_zalloc(NULL, MEM_TOPOLOGY, (2 * n + 1) * sizeof(*in.ends));
	if (!n)
		error_add(errs, NULL, "there is no cable in it");
	if (n > CABLES_MAX)
		error_add(errs, NULL, "%zu cables; at most %u are allowed", n, CABLES_MAX);
	ok = n && n <= CABLES_MAX && read_names(&in);
	if (ok) {
		find_hosts(&in);
		ok = find_ups(&in);
	}
	for (uint32_t i = 0; ok && i < in.ntiers; i++)
		ok = i == in.top || cast_votes(&in, i);
	ok = ok && put_file(&in, &out, fabric) && (t = topo_load(out.at, out.n, errs));
	if (ok && t->nlinks > 4 * n + 64) {
		error_hint(error_add(errs, NULL, "the names imply %zu cables, and only %zu are there", t->nlinks, n),
		    "nodes of a tier are numbered from 1 without large gaps");
		topo_free(t);
		t = NULL;
		ok = false;
	}
	if (ok) {
		put_leftovers(&in, t, &out);
		topo_free(t);
		topo_errors_free(errs);
		t = topo_load(out.at, out.n, errs);
	}
	infer_free(&in);
	if (!t) {
		mem_free(NULL, MEM_TOPOLOGY, out.at);
		return NULL;
	}
	topo_free(t);
	return buf_take(&out);
}
