/*
 * topology/diff.c -- what becomes another when one file takes the place of another
 *
 * Both files are compared as each switch derives them, not as they are written: comments, order and spelling do not
 * count. A change is one line about one switch (or about all of them), with what it does to running sessions:
 *
 *   live      no session and no address of a running switch is touched
 *   session   the session on that port begins, ends or starts anew
 *   restart   all sessions of the switch start anew, or its addresses move
 *
 * Always true: two files with equal models give no change, and a change of one switch's AS number, router id, address
 * or far end is marked as moved, exactly where topo_moved() names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/tree.h"

static const char *const families[FAMILIES] = { [FAMILY_IPV4] = "IPv4", [FAMILY_IPV6] = "IPv6" };

struct diff {
	const struct topo *old, *now;
	struct topo_changes *out;
};

/* ---- lines ---- */

static struct topo_change *
add(struct diff *d, const char *node, const char *what, const char *key, enum topo_effect effect)
{
	struct topo_changes *c = d->out;
	struct topo_change *one;

	c->list = mem_grow(NULL, MEM_TOPOLOGY, c->list, &c->cap, c->n + 1, sizeof(*c->list));
	one = &c->list[c->n++];
	*one = (struct topo_change){ .what = what, .effect = effect };
	snprintf(one->node, sizeof(one->node), "%s", node);
	snprintf(one->key, sizeof(one->key), "%s", key);
	return one;
}

static void
text_line(struct diff *d, const char *node, const char *what, const char *key, const char *from, const char *to,
    enum topo_effect effect)
{
	struct topo_change *c;

	if (strcmp(from, to) == 0)
		return;
	c = add(d, node, what, key, effect);
	snprintf(c->from, sizeof(c->from), "%s", from);
	snprintf(c->to, sizeof(c->to), "%s", to);
}

static void
number_line(struct diff *d, const char *node, const char *what, const char *key, uint64_t from, uint64_t to,
    enum topo_effect effect)
{
	char a[24], b[24];

	snprintf(a, sizeof(a), "%llu", (unsigned long long)from);
	snprintf(b, sizeof(b), "%llu", (unsigned long long)to);
	text_line(d, node, what, key, a, b, effect);
}

static void
flag_line(struct diff *d, const char *key, bool from, bool to, enum topo_effect effect)
{
	text_line(d, "", "setting", key, from ? "true" : "false", to ? "true" : "false", effect);
}

static void
time_line(struct diff *d, const char *key, int64_t from, int64_t to, enum topo_effect effect)
{
	char a[24], b[24];

	snprintf(a, sizeof(a), "%gms", (double)from / 1000);
	snprintf(b, sizeof(b), "%gms", (double)to / 1000);
	text_line(d, "", "setting", key, a, b, effect);
}

static void
moved(struct diff *d, size_t before)
{
	for (; before < d->out->n; before++)
		d->out->list[before].moved = true;
}

/* ---- one switch ---- */

static void
prefix_line(struct diff *d, const char *node, const char *what, const char *key, bool had, const struct prefix *from,
    bool has, const struct prefix *to)
{
	char a[PREFIX_TEXT] = "", b[PREFIX_TEXT] = "";
	size_t before = d->out->n;

	if (had)
		prefix_print(from, a);
	if (has)
		prefix_print(to, b);
	text_line(d, node, what, key, a, b, TOPO_RESTART);
	if (had && has)
		moved(d, before);
}

static const char *
far_end(const struct topo *t, const struct topo_port *p, char buf[TOPO_CHANGE_TEXT])
{
	buf[0] = '\0';
	if (p && p->far_node != TOPO_NONE)
		snprintf(buf, TOPO_CHANGE_TEXT, "%s:%s", t->nodes[p->far_node].name, p->far_port);
	return buf;
}

/* Wired ports; a host port that comes or goes is told as well, a reserved slot is not. */
static void
port_lines(struct diff *d, const struct topo_node *a, const struct topo_node *b)
{
	char from[TOPO_CHANGE_TEXT], to[TOPO_CHANGE_TEXT];

	for (uint32_t i = 0; i < a->nports; i++) {
		const struct topo_port *p = &a->ports[i], *q = topo_port_find(b, p->name);
		size_t before = d->out->n;

		for (unsigned int f = 0; q && p->kind == TOPO_HOST && f < FAMILIES; f++) {
			struct prefix x, y;
			bool had = topo_host_network(d->old, a, p, f, &x), has = topo_host_network(d->now, b, q, f, &y);

			prefix_line(d, a->name, "host network", p->name, had, &x, has, &y);
		}
		if (p->kind == TOPO_HOST && (!q || q->kind != TOPO_HOST))
			text_line(d, a->name, "port", p->name, "host", far_end(d->now, q, to), TOPO_LIVE);
		if (p->kind == TOPO_HOST || p->kind == TOPO_EXTERNAL)
			continue;
		far_end(d->old, p, from);
		far_end(d->now, q, to);
		text_line(d, a->name, "port", p->name, from, to, TOPO_SESSION);
		if (*from && *to)
			moved(d, before);
	}
	for (uint32_t i = 0; i < b->nports; i++) {
		const struct topo_port *q = &b->ports[i], *p = topo_port_find(a, q->name);

		if (q->kind == TOPO_HOST && !p)
			text_line(d, b->name, "port", q->name, "", "host", TOPO_LIVE);
		else if ((q->kind == TOPO_UP || q->kind == TOPO_DOWN) &&
			 (!p || p->kind == TOPO_HOST || p->kind == TOPO_EXTERNAL))
			text_line(d, b->name, "port", q->name, "", far_end(d->now, q, to), TOPO_SESSION);
	}
}

static void
node_lines(struct diff *d, const struct topo_node *a, const struct topo_node *b)
{
	static const char *const states[] = {
		[TOPO_ACTIVE] = "active", [TOPO_PLANNED] = "planned", [TOPO_DRAINED] = "drained"
	};
	char x[IP_TEXT], y[IP_TEXT];
	size_t before = d->out->n;

	number_line(d, a->name, "AS", "", a->asn, b->asn, TOPO_RESTART);
	text_line(d, a->name, "router id", "", ip_print(&a->router_id, x), ip_print(&b->router_id, y), TOPO_RESTART);
	moved(d, before);
	for (unsigned int f = 0; f < FAMILIES; f++) {
		prefix_line(d, a->name, "loopback", families[f], a->has_loopback[f], &a->loopback[f],
		    b->has_loopback[f], &b->loopback[f]);
		prefix_line(d, a->name, "rack", families[f], a->has_rack[f], &a->rack[f], b->has_rack[f], &b->rack[f]);
	}
	text_line(d, a->name, "state", "", states[a->state], states[b->state], TOPO_LIVE);
	text_line(
	    d, a->name, "vendor", "", a->foreign ? "other" : "fabricd", b->foreign ? "other" : "fabricd", TOPO_RESTART);
	text_line(d, a->name, "role", "", a->role == TOPO_BORDER ? "border" : "fabric",
	    b->role == TOPO_BORDER ? "border" : "fabric", TOPO_RESTART);
	text_line(d, a->name, "device", "serial", a->serial, b->serial, TOPO_LIVE);
	text_line(d, a->name, "device", "mac", a->mac, b->mac, TOPO_LIVE);
	text_line(d, a->name, "device", "model", a->model, b->model, TOPO_LIVE);
	port_lines(d, a, b);
}

/* ---- sessions to the outside ---- */

static const struct topo_external *
external_find(const struct topo *t, const struct topo *of, const struct topo_external *e)
{
	const char *node = of->nodes[e->node].name;

	for (size_t i = 0; i < t->nexternals; i++)
		if (strcmp(t->externals[i].name, e->name) == 0 &&
		    strcmp(t->nodes[t->externals[i].node].name, node) == 0)
			return &t->externals[i];
	return NULL;
}

static const char *
external_text(const struct topo_external *e, char buf[TOPO_CHANGE_TEXT])
{
	char a[IP_TEXT], b[IP_TEXT];

	buf[0] = '\0';
	if (e)
		snprintf(buf, TOPO_CHANGE_TEXT, "%s AS %u, %s/%u to %s%s%s", e->port, e->asn, ip_print(&e->local, a),
		    e->len, ip_print(&e->peer, b), e->auth ? ", key " : "", e->auth ? e->auth : "");
	return buf;
}

static bool
same_texts(const char *const *a, size_t na, const char *const *b, size_t nb)
{
	bool same = na == nb;

	for (size_t i = 0; same && i < na; i++)
		same = strcmp(a[i], b[i]) == 0;
	return same;
}

static bool
same_name(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool
same_prefixes(const struct prefix *a, size_t na, const struct prefix *b, size_t nb)
{
	bool same = na == nb;

	for (size_t i = 0; same && i < na; i++)
		same = prefix_equal(&a[i], &b[i]);
	return same;
}

/* What is accepted and announced, beside who it is. */
static bool
same_policy(const struct topo_external *a, const struct topo_external *b)
{
	return a->in == b->in && a->out == b->out && a->max_prefixes == b->max_prefixes && a->type == b->type &&
	       a->rpki == b->rpki && a->has_local_pref == b->has_local_pref && a->local_pref == b->local_pref &&
	       a->has_med == b->has_med && a->med == b->med && a->prepend == b->prepend &&
	       a->prepend_local_as == b->prepend_local_as && a->blackhole == b->blackhole &&
	       a->has_source == b->has_source && (!a->has_source || ip_equal(&a->source, &b->source)) &&
	       same_name(a->prefixes, b->prefixes) && same_name(a->as_set, b->as_set) &&
	       same_texts(a->communities, a->ncommunities, b->communities, b->ncommunities) &&
	       same_prefixes(a->originate, a->noriginate, b->originate, b->noriginate);
}

static void
external_lines(struct diff *d)
{
	char from[TOPO_CHANGE_TEXT], to[TOPO_CHANGE_TEXT];

	for (size_t i = 0; i < d->old->nexternals; i++) {
		const struct topo_external *a = &d->old->externals[i], *b = external_find(d->now, d->old, a);
		const char *node = d->old->nodes[a->node].name;

		text_line(d, node, "external", a->name, external_text(a, from), external_text(b, to), TOPO_SESSION);
		if (!b)
			continue;
		number_line(d, node, "external local_as", a->name, a->local_as, b->local_as, TOPO_SESSION);
		text_line(
		    d, node, "external gtsm", a->name, a->gtsm ? "on" : "off", b->gtsm ? "on" : "off", TOPO_SESSION);
		number_line(d, node, "external long_lived", a->name, (uint64_t)a->long_lived_us / 1000000,
		    (uint64_t)b->long_lived_us / 1000000, TOPO_SESSION);
		text_line(d, node, "external bfd", a->name, a->bfd ? "on" : "off", b->bfd ? "on" : "off", TOPO_SESSION);
		if (!same_policy(a, b))
			text_line(d, node, "external policy", a->name, "as before", "another", TOPO_LIVE);
	}
	for (size_t i = 0; i < d->now->nexternals; i++) {
		const struct topo_external *b = &d->now->externals[i];

		if (!external_find(d->old, d->now, b))
			text_line(d, d->now->nodes[b->node].name, "external", b->name, "", external_text(b, to),
			    TOPO_SESSION);
	}
}

/* ---- what is the same for all switches ---- */

static void
pools_text(struct buf *b, const struct topo_pool *pools, size_t n)
{
	char text[PREFIX_TEXT];

	for (size_t i = 0; i < n; i++)
		buf_add(b, "%s%s", i ? " " : "", prefix_print(&pools[i].prefix, text));
}

static void
pools_line(struct diff *d, const char *tier, const char *key, const struct topo_pool *a, size_t na,
    const struct topo_pool *b, size_t nb)
{
	struct buf from = { 0 }, to = { 0 };
	char what[TOPO_NAME_MAX + 16];

	pools_text(&from, a, na);
	pools_text(&to, b, nb);
	snprintf(what, sizeof(what), "%s %s", tier, key);
	text_line(d, "", "pool", what, from.at ? from.at : "", to.at ? to.at : "", TOPO_RESTART);
	mem_free(NULL, MEM_TOPOLOGY, from.at);
	mem_free(NULL, MEM_TOPOLOGY, to.at);
}

static void
tier_lines(struct diff *d)
{
	for (size_t i = 0; i < d->old->ntiers; i++)
		for (size_t k = 0; k < d->now->ntiers; k++) {
			const struct topo_tier *a = &d->old->tiers[i], *b = &d->now->tiers[k];

			if (strcmp(a->name, b->name) != 0)
				continue;
			pools_line(d, a->name, "loopback", a->loopbacks, a->nloopbacks, b->loopbacks, b->nloopbacks);
			pools_line(d, a->name, "racks", a->racks, a->nracks, b->racks, b->nracks);
			text_line(d, "", "hosts.bridge", a->name,
			    a->bridge == TOPO_BRIDGE_NONE ? "none" : a->bridge_name,
			    b->bridge == TOPO_BRIDGE_NONE ? "none" : b->bridge_name, TOPO_RESTART);
			text_line(d, "", "hosts.rack_always", a->name, a->rack_always ? "true" : "false",
			    b->rack_always ? "true" : "false", TOPO_LIVE);
			text_line(d, "", "hosts.on_isolated", a->name,
			    a->shut_hosts_when_isolated ? "shut_hosts" : "keep",
			    b->shut_hosts_when_isolated ? "shut_hosts" : "keep", TOPO_LIVE);
		}
}

static void
setting_lines(struct diff *d)
{
	static const char *const policies[] = { [TOPO_WARN] = "warn", [TOPO_BLOCK] = "block" };
	const struct topo *a = d->old, *b = d->now;

	text_line(d, "", "setting", "fabric", a->fabric, b->fabric, TOPO_RESTART);
	number_line(d, "", "setting", "revision", a->revision, b->revision, TOPO_LIVE);
	number_line(
	    d, "", "setting", "timers.bfd, how many", a->timers.bfd_multiplier, b->timers.bfd_multiplier, TOPO_LIVE);
	time_line(d, "timers.bfd", a->timers.bfd_us, b->timers.bfd_us, TOPO_LIVE);
	time_line(d, "timers.hold", a->timers.hold_us, b->timers.hold_us, TOPO_RESTART);
	time_line(d, "timers.restart", a->timers.restart_us, b->timers.restart_us, TOPO_RESTART);
	time_line(
	    d, "timers.damping.half_life", a->timers.damping_half_life_us, b->timers.damping_half_life_us, TOPO_LIVE);
	number_line(d, "", "setting", "timers.damping.suppress", a->timers.damping_suppress, b->timers.damping_suppress,
	    TOPO_LIVE);
	flag_line(d, "bfd.strict", a->bfd_strict, b->bfd_strict, TOPO_RESTART);
	flag_line(d, "bfd.echo", a->bfd_echo, b->bfd_echo, TOPO_LIVE);
	number_line(d, "", "setting", "ecmp.weights", a->weights, b->weights, TOPO_LIVE);
	flag_line(d, "ecmp.resilient", a->resilient, b->resilient, TOPO_LIVE);
	number_line(d, "", "setting", "mtu", a->mtu, b->mtu, TOPO_LIVE);
	flag_line(d, "kernel_compat", a->kernel_compat, b->kernel_compat, TOPO_LIVE);
	number_line(d, "", "setting", "public_asn", a->public_asn, b->public_asn, TOPO_LIVE);
	number_line(d, "", "setting", "policy.min_uplinks", a->min_uplinks, b->min_uplinks, TOPO_LIVE);
	number_line(d, "", "setting", "borders.min_uplinks", a->border_min_uplinks, b->border_min_uplinks, TOPO_LIVE);
	text_line(d, "", "setting", "policy.on_wrong_port", policies[a->on_wrong_port], policies[b->on_wrong_port],
	    TOPO_LIVE);
	text_line(d, "", "setting", "policy.on_wrong_node", policies[a->on_wrong_node], policies[b->on_wrong_node],
	    TOPO_LIVE);
	number_line(d, "", "setting", "policy.max_load_after_drain", a->max_load_after_drain, b->max_load_after_drain,
	    TOPO_LIVE);
	text_line(d, "", "setting", "listen.web", a->listen_web, b->listen_web, TOPO_LIVE);
	if (!same_texts(a->listen_bmp, a->nlisten_bmp, b->listen_bmp, b->nlisten_bmp))
		text_line(d, "", "setting", "listen.bmp", "as before", "another", TOPO_LIVE);
	if (!same_texts(a->rpki_caches, a->nrpki_caches, b->rpki_caches, b->nrpki_caches))
		text_line(d, "", "setting", "rpki.caches", "as before", "another", TOPO_LIVE);
	if (!same_prefixes(a->aggregates, a->naggregates, b->aggregates, b->naggregates))
		text_line(d, "", "setting", "aggregates", "as before", "another", TOPO_LIVE);
	number_line(d, "", "setting", "services", a->nservices, b->nservices, TOPO_LIVE);
}

void
topo_diff(const struct topo *running, const struct topo *next, struct topo_changes *out)
{
	struct diff d = { running, next, out };

	setting_lines(&d);
	tier_lines(&d);
	for (size_t i = 0; i < running->nnodes; i++) {
		const struct topo_node *a = &running->nodes[i], *b = topo_node_find(next, a->name);

		if (b)
			node_lines(&d, a, b);
		else
			text_line(&d, a->name, "switch", "", "present", "", TOPO_SESSION);
	}
	for (size_t i = 0; i < next->nnodes; i++)
		if (!topo_node_find(running, next->nodes[i].name))
			text_line(&d, next->nodes[i].name, "switch", "", "", "present", TOPO_SESSION);
	external_lines(&d);
}

void
topo_changes_free(struct topo_changes *c)
{
	mem_free(NULL, MEM_TOPOLOGY, c->list);
	*c = (struct topo_changes){ 0 };
}
