/*
 * topology/topology.c -- from text to struct topo, and looking things up in it; see topology.h
 *
 * topo_load runs the stages in order and lets as many of them speak as can: syntax, then schema and semantics of the
 * tiers together, then, when the tiers stand, the whole derived graph.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/model.h"

/* ---- typed file to struct topo: what needs no deriving ---- */

static void
copy_tier(struct topo_tier *out, const struct plan *p, size_t index, struct arena *a)
{
	const struct plan_tier *pt = &p->tiers[index];
	const struct file_tier *f = pt->file;
	const struct file_hosts *h = &f->hosts;
	const struct file_pool *loopback = f->loopback.v, *rack = h->racks.v;
	uint64_t min, max;

	snprintf(out->name, sizeof(out->name), "%s", f->name);
	out->role = (enum topo_role)f->role;
	out->foreign = f->vendor != 0;
	out->count = pt->nodes;
	out->per_pod = f->per_pod;
	out->level = pt->level;
	out->up = pt->up;
	out->links = pt->up == TOPO_NONE ? 0 : pt->links;
	out->first = pt->first;
	out->number_max = pt->number_max;
	out->pods_max = f->per_pod ? p->pods_max : 0;
	out->nloopbacks = f->loopback.n;
	out->loopbacks = arena_alloc(a, out->nloopbacks * sizeof(*out->loopbacks));
	for (size_t i = 0; i < out->nloopbacks; i++)
		out->loopbacks[i] = (struct topo_pool){ loopback[i].prefix,
			(uint8_t)family_bits(loopback[i].prefix.family) };
	out->nracks = h->racks.n;
	out->racks = arena_alloc(a, out->nracks * sizeof(*out->racks));
	for (size_t i = 0; i < out->nracks; i++)
		out->racks[i] = (struct topo_pool){ rack[i].prefix, (uint8_t)rack[i].len };
	plan_asn_range(p, pt, &min, &max);
	out->asn_min = (uint32_t)min;
	out->asn_max = (uint32_t)max;
	snprintf(out->bridge_name, sizeof(out->bridge_name), "%s", h->bridge);
	out->bridge = strcmp(h->bridge, "none") == 0    ? TOPO_BRIDGE_NONE
		      : strcmp(h->bridge, "rack0") == 0 ? TOPO_BRIDGE_OWN
							: TOPO_BRIDGE_NAMED;
	out->rack_always = h->rack_always;
	out->shut_hosts_when_isolated = h->on_isolated != 0;
	out->has_host_bgp = h->bgp.is.at != NULL;
	out->host_asn_min = h->bgp.asn[0];
	out->host_asn_max = h->bgp.asn[1];
	out->host_accept = h->bgp.accept.v;
	out->nhost_accept = h->bgp.accept.n;
	out->host_max_prefixes = h->bgp.max_prefixes;
	out->host_send_full = h->bgp.send == TOPO_ADVERT_FULL;
	out->host_bfd = h->bgp.bfd;
	out->host_reflect = h->bgp.reflect;
}

static void
copy_tiers(struct topo *t, const struct plan *p, struct arena *a)
{
	t->ntiers = p->n;
	t->tiers = arena_alloc(a, p->n * sizeof(*t->tiers));
	for (size_t i = 0; i < p->n; i++) {
		copy_tier(&t->tiers[i], p, i, a);
		t->nhost_accept += t->tiers[i].nhost_accept;
	}
	t->host_accept = arena_alloc(a, t->nhost_accept * sizeof(*t->host_accept));
	for (size_t i = 0, n = 0; i < p->n; i++) {
		if (t->tiers[i].nhost_accept)
			memcpy(t->host_accept + n, t->tiers[i].host_accept,
			    t->tiers[i].nhost_accept * sizeof(*t->host_accept));
		n += t->tiers[i].nhost_accept;
	}
}

static void
copy_settings(struct topo *t, const struct file *f)
{
	t->schema = f->schema;
	snprintf(t->fabric, sizeof(t->fabric), "%s", f->fabric ? f->fabric : "");
	t->revision = f->revision;
	t->public_asn = f->public_asn;
	t->allow_public_asn = f->allow_public_asn;
	t->pods = f->pods;
	t->planes = f->planes;
	t->aggregates = f->aggregates.v;
	t->naggregates = f->aggregates.n;
	t->timers = (struct topo_timers){ .bfd_multiplier = f->timers.bfd.multiplier,
		.bfd_us = f->timers.bfd.interval_us,
		.hold_us = f->timers.hold,
		.restart_us = f->timers.restart,
		.damping_half_life_us = f->timers.damping.half_life,
		.damping_suppress = f->timers.damping.suppress };
	t->bfd_strict = f->bfd.strict;
	t->bfd_echo = f->bfd.echo;
	t->weights = (enum topo_weights)f->ecmp.weights;
	t->resilient = f->ecmp.resilient;
	t->mtu = f->mtu;
	t->kernel_compat = f->kernel_compat;
	snprintf(t->listen_web, sizeof(t->listen_web), "%s", f->listen.web ? f->listen.web : "");
	t->listen_bmp = f->listen.bmp.v;
	t->nlisten_bmp = f->listen.bmp.n;
	t->rpki_caches = f->rpki.caches.v;
	t->nrpki_caches = f->rpki.caches.n;
	t->min_uplinks = f->policy.min_uplinks;
	t->border_min_uplinks = f->borders.min_uplinks;
	t->on_wrong_port = (enum topo_port_policy)f->policy.on_wrong_port;
	t->on_wrong_node = (enum topo_port_policy)f->policy.on_wrong_node;
	t->max_load_after_drain = f->policy.max_load_after_drain;
}

static void
check_settings(const struct file *f, struct topo_errors *errs)
{
	if (f->timers.hold % 1000000)
		error_add(errs, tree_at(f->timers.is.at, "hold"), "`hold` is in whole seconds (RFC 4271 4.2)");
	if (f->timers.restart % 1000000)
		error_add(errs, tree_at(f->timers.is.at, "restart"), "`restart` is in whole seconds (RFC 4724 3)");
}

static void
digest(const char *text, size_t len, char out[8])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const unsigned char *)text, len);
	snprintf(out, 8, "%02x%02x%02x%x", hash[0], hash[1], hash[2], hash[3] >> 4);
}

struct topo *
topo_load(const char *text, size_t len, struct topo_errors *errs)
{
	struct topo_doc *doc = tree_parse(text, len, errs);
	struct plan plan = { 0 };
	struct file *f;
	struct topo *t;
	bool whole;

	if (!doc) {
		errors_sort(errs);
		return NULL;
	}
	f = file_read(doc, errs);
	t = arena_alloc(doc->arena, sizeof(*t));
	t->doc = doc;
	copy_settings(t, f);
	check_settings(f, errs);
	digest(text, len, t->digest);
	whole = plan_make(&plan, f, doc->arena, errs);
	if (plan.bounded)
		check_numbers(&plan, errs);
	if (whole) {
		size_t before = topo_errors_count(errs, TOPO_ERROR);

		copy_tiers(t, &plan, doc->arena);
		derive(t, &plan, errs);
		if (topo_errors_count(errs, TOPO_ERROR) == before) /* else its findings would only follow from others */
			check_graph(t, f, errs);
	}
	errors_sort(errs);
	if (topo_errors_count(errs, TOPO_ERROR) == 0)
		return t;
	topo_doc_free(doc);
	return NULL;
}

void
topo_free(struct topo *t)
{
	if (t)
		topo_doc_free(t->doc); /* t itself lives in its arena */
}

/* ---- looking up ---- */

/* A number from 1 without a leading zero; 0 when it is none. */
static uint32_t
read_number_at(const char *s, const char **end)
{
	uint64_t v = 0;

	*end = s;
	if (*s == '0')
		return 0;
	for (; **end >= '0' && **end <= '9' && v <= UINT32_MAX; ++*end)
		v = v * 10 + (uint64_t)(**end - '0');
	return v > UINT32_MAX ? 0 : (uint32_t)v;
}

/* Names are their own index: tier, pod and number give the place in the array. */
const struct topo_node *
topo_node_find(const struct topo *t, const char *name)
{
	const char *rest = name, *end;
	uint32_t pod = 0, number;

	if (name[0] == 'p' && name[1] >= '1' && name[1] <= '9') {
		pod = read_number_at(name + 1, &rest);
		rest = pod && *rest == '-' ? rest + 1 : name;
		pod = rest == name ? 0 : pod;
	}
	for (size_t i = 0; i < t->ntiers; i++) {
		const struct topo_tier *tier = &t->tiers[i];
		size_t n = strlen(tier->name);

		if (strncmp(rest, tier->name, n) != 0 || (tier->per_pod != 0) != (pod != 0))
			continue;
		number = read_number_at(rest + n, &end);
		if (!number || *end || number > (tier->per_pod ? tier->per_pod : tier->count) || (pod && pod > t->pods))
			continue;
		return &t->nodes[tier->first + (pod ? (pod - 1) * tier->per_pod : 0) + number - 1];
	}
	return NULL;
}

const struct topo_port *
topo_port_find(const struct topo_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->nports; i++)
		if (strcmp(n->ports[i].name, name) == 0)
			return &n->ports[i];
	return NULL;
}

unsigned int
topo_slot_bits(uint64_t slots)
{
	unsigned int bits = 0;

	while (slots >> bits)
		bits++;
	return bits;
}

bool
topo_host_network(const struct topo *t, const struct topo_node *n, const struct topo_port *port, unsigned int family,
    struct prefix *out)
{
	uint64_t slots = 0, slot = 0;

	if (port->kind != TOPO_HOST || t->tiers[n->tier].bridge != TOPO_BRIDGE_NONE || !n->has_rack[family])
		return false;
	for (uint32_t i = 0; i < n->nports; i++) {
		slots += n->ports[i].kind == TOPO_HOST;
		if (&n->ports[i] == port)
			slot = slots;
	}
	return slot && prefix_sub(&n->rack[family], n->rack[family].len + topo_slot_bits(slots), slot, out);
}

size_t
topo_node_near(const struct topo *t, const char *name, const char *near[], size_t max)
{
	size_t n = 0, *distance = mem_zalloc(NULL, MEM_TOPOLOGY, (max + 1) * sizeof(*distance)), len = strlen(name);

	for (size_t i = 0; i < t->nnodes && max; i++) {
		const char *candidate = t->nodes[i].name;
		size_t other = strlen(candidate), d, k;

		if (other > len + 3 || len > other + 3) /* no near name differs so much in length */
			continue;
		d = edit_distance(name, candidate);
		if (!edit_is_near(d, candidate) || (n == max && d >= distance[n - 1]))
			continue;
		for (k = n < max ? n++ : n - 1; k > 0 && distance[k - 1] > d; k--) {
			distance[k] = distance[k - 1];
			near[k] = near[k - 1];
		}
		distance[k] = d;
		near[k] = candidate;
	}
	mem_free(NULL, MEM_TOPOLOGY, distance);
	return n;
}

/* ---- what moved since another revision ---- */

static void
same_prefix(struct buf *moved, const char *what, bool had, const struct prefix *old, bool has, const struct prefix *now)
{
	char a[PREFIX_TEXT], b[PREFIX_TEXT];

	if (had && has && !prefix_equal(old, now))
		buf_add(moved, "%s%s %s becomes %s", moved->n ? ", " : "", what, prefix_print(old, a),
		    prefix_print(now, b));
}

static void
compare_ports(struct buf *moved, const struct topo *old, const struct topo_node *a, const struct topo *now,
    const struct topo_node *b)
{
	for (uint32_t i = 0; i < a->nports; i++) {
		const struct topo_port *p = &a->ports[i], *q = topo_port_find(b, p->name);

		for (unsigned int f = 0; q && p->kind == TOPO_HOST && f < FAMILIES; f++) {
			struct prefix x, y;
			bool had = topo_host_network(old, a, p, f, &x), has = topo_host_network(now, b, q, f, &y);

			same_prefix(moved, p->name, had, &x, has, &y);
		}
		if (p->far_node == TOPO_NONE)
			continue;
		if (!q || q->far_node == TOPO_NONE)
			continue;
		if (strcmp(old->nodes[p->far_node].name, now->nodes[q->far_node].name) != 0 ||
		    strcmp(p->far_port, q->far_port) != 0)
			buf_add(moved, "%s%s goes to %s:%s instead of %s:%s", moved->n ? ", " : "", p->name,
			    now->nodes[q->far_node].name, q->far_port, old->nodes[p->far_node].name, p->far_port);
	}
}

size_t
topo_moved(const struct topo *running, const struct topo *next, struct topo_errors *errs)
{
	size_t count = 0;

	for (size_t i = 0; i < running->nnodes; i++) {
		const struct topo_node *a = &running->nodes[i], *b = topo_node_find(next, a->name);
		char x[IP_TEXT], y[IP_TEXT];
		struct buf moved = { 0 };

		if (!b)
			continue;
		if (a->asn != b->asn)
			buf_add(&moved, "AS %u becomes %u", a->asn, b->asn);
		if (!ip_equal(&a->router_id, &b->router_id))
			buf_add(&moved, "%srouter id %s becomes %s", moved.n ? ", " : "", ip_print(&a->router_id, x),
			    ip_print(&b->router_id, y));
		for (unsigned int f = 0; f < FAMILIES; f++) {
			same_prefix(&moved, "loopback", a->has_loopback[f], &a->loopback[f], b->has_loopback[f],
			    &b->loopback[f]);
			same_prefix(&moved, "rack", a->has_rack[f], &a->rack[f], b->has_rack[f], &b->rack[f]);
		}
		compare_ports(&moved, running, a, next, b);
		if (moved.n) {
			count++;
			error_hint(error_add(errs, NULL, "%s is renumbered: %s", a->name, moved.at),
			    "growth within the slots renumbers nothing; with --allow-renumber it is done all the same");
		}
		mem_free(NULL, MEM_TOPOLOGY, moved.at);
	}
	return count;
}
