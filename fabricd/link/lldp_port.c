/*
 * fabricd/link/lldp_port.c -- LLDP on one port: what we say, what the neighbours say, and whether it fits the file
 *
 * Transmission: four frames a second apart after carrier up, after a new neighbour, and after a change of what we say
 * (802.1AB-2016 9.2.5: txFastInit, msgFastTx); then one per period. Reception: at most four neighbours by (chassis,
 * port); each ages by its TTL. The one that speaks as a fabricd does is preferred as "the neighbour".
 */
#include <stdio.h>
#include <string.h>

#include "fabricd/link/impl.h"

#define FAST_FRAMES 4
#define FAST_US     SECONDS(1)
#define FRAME_EXTRA 18 /* Ethernet header and check sequence: 802.3 counts them in a frame, an MTU does not */

static const char *const match_names[] = {
	[LINK_MATCH_UNKNOWN] = "unknown",
	[LINK_MATCH] = "ok",
	[LINK_WRONG_FABRIC] = "wrong-fabric",
	[LINK_WRONG_NODE] = "wrong-node",
	[LINK_WRONG_PORT] = "wrong-port",
};

const char *
link_match_name(enum link_match m)
{
	return (size_t)m < ARRAY_LEN(match_names) ? match_names[m] : "?";
}

/* ---- sending ---- */

static void
link_lldp_send(struct link_port *p)
{
	uint8_t frame[LLDP_FRAME_MAX];
	int64_t ttl = p->cfg.lldp_us / SECONDS(1) * p->cfg.lldp_hold + 1;
	struct lldp_advert a = { .port_name = p->name,
		.system_name = p->me.node[0] ? p->me.node : "unprovisioned",
		.system_description = p->description,
		.ttl_s = (uint16_t)MIN_OF(ttl, UINT16_MAX),
		.ours = p->me };
	size_t n;

	memcpy(a.mac, p->status.mac, 6);
	if (p->status.mtu && p->status.mtu + FRAME_EXTRA <= UINT16_MAX)
		a.max_frame = (uint16_t)(p->status.mtu + FRAME_EXTRA);
	a.ours.present = true;
	n = lldp_build(frame, sizeof(frame), &a);
	if (!n)
		return;
	p->counters.tx_lldp++;
	p->ops->send_frame(p->arg, frame, n);
}

static void
send_due(struct link_port *p, struct mono now)
{
	int64_t wait = p->cfg.lldp_us;

	if (p->lldp_fast)
		p->lldp_fast--;
	if (p->lldp_fast)
		wait = FAST_US;
	else /* so that ports do not stay in step */
		wait -= (int64_t)link_random(p, (uint64_t)wait / 10 + 1);
	p->lldp_at = mono_add(now, wait);
	link_lldp_send(p);
}

void
link_lldp_start(struct link_port *p, struct mono now)
{
	if (p->cfg.no_lldp)
		return;
	p->lldp_fast = FAST_FRAMES;
	p->lldp_at = link_pace_take(p->pace, 1, now);
	if (mono_due(p->lldp_at, now))
		send_due(p, now);
}

/* ---- the neighbours ---- */

static void
remove_entry(struct link_port *p, size_t i)
{
	mem_free(p->mem, MEM_LINK, p->lldp[i]);
	p->lldp[i] = p->lldp[--p->nlldp];
}

static void
changed(struct link_port *p, struct mono now)
{
	link_lldp_judge(p, now);
	if (p->ops->lldp)
		p->ops->lldp(p->arg);
}

void
link_lldp_clear(struct link_port *p)
{
	p->lldp_at = MONO_NEVER;
	p->told_cabling = p->told_mtu = false;
	if (!p->nlldp)
		return;
	while (p->nlldp)
		remove_entry(p, 0);
	if (p->ops->lldp)
		p->ops->lldp(p->arg);
}

void
link_lldp_timer(struct link_port *p, struct mono now)
{
	bool gone = false;

	if (mono_due(p->lldp_at, now))
		send_due(p, now);
	for (size_t i = 0; i < p->nlldp;) {
		if (mono_due(p->lldp[i]->expires, now)) {
			remove_entry(p, i);
			gone = true;
		} else {
			i++;
		}
	}
	if (gone)
		changed(p, now);
}

struct mono
link_lldp_deadline(const struct link_port *p)
{
	struct mono d = p->lldp_at;

	for (size_t i = 0; i < p->nlldp; i++)
		d = mono_min(d, p->lldp[i]->expires);
	return d;
}

static bool
same_neighbor(const struct lldp_info *a, const struct lldp_info *b)
{
	return a->chassis_subtype == b->chassis_subtype && a->chassis_n == b->chassis_n &&
	       a->port_subtype == b->port_subtype && a->port_n == b->port_n &&
	       memcmp(a->chassis, b->chassis, a->chassis_n) == 0 && memcmp(a->port, b->port, a->port_n) == 0;
}

static bool
is_own_frame(const struct link_port *p, const uint8_t *frame, const struct lldp_info *info)
{
	return memcmp(frame + 6, p->status.mac, 6) == 0 && info->chassis_n == 6 &&
	       memcmp(info->chassis, p->status.mac, 6) == 0 && strcmp(info->port_name, p->name) == 0 &&
	       strcmp(info->ours.node, p->me.node) == 0;
}

static void
learn(struct link_port *p, const struct lldp_info *info, struct mono now)
{
	size_t i;
	bool news = true, first = false;

	for (i = 0; i < p->nlldp && !same_neighbor(&p->lldp[i]->info, info); i++)
		;
	if (info->ttl_s == 0) {
		if (i == p->nlldp)
			return;
		remove_entry(p, i);
		changed(p, now);
		return;
	}
	if (i == p->nlldp) {
		if (i == LINK_LLDP) {
			p->counters.table_full++;
			return;
		}
		p->lldp[p->nlldp++] = mem_zalloc(p->mem, MEM_LINK, sizeof(*p->lldp[0]));
		first = true;
	} else {
		news = memcmp(&p->lldp[i]->info, info, sizeof(*info)) != 0;
	}
	p->lldp[i]->info = *info;
	p->lldp[i]->heard = now;
	p->lldp[i]->expires = mono_add(now, SECONDS((int64_t)info->ttl_s));
	if (first && !p->lldp_fast)
		link_lldp_start(p, now);
	if (news)
		changed(p, now);
}

void
link_port_frame(struct link_port *p, const uint8_t *frame, size_t n, struct mono now)
{
	struct lldp_info info;
	enum lldp_verdict v;

	if (p->cfg.no_lldp)
		return;
	if (!link_lit(p)) {
		p->counters.lldp_not_up++;
		return;
	}
	memset(&info, 0, sizeof(info));
	v = lldp_parse(frame, n, &info);
	if (v != LLDP_OK) {
		p->counters.lldp_dropped[v]++;
		return;
	}
	p->counters.rx_lldp++;
	if (is_own_frame(p, frame, &info))
		link_refuse(p, LINK_LOOPED, now);
	else
		learn(p, &info, now);
}

/* ---- does it fit the file? ---- */

const struct lldp_info *
link_lldp_best(const struct link_port *p)
{
	const struct link_lldp_entry *best = NULL;

	for (size_t i = 0; i < p->nlldp; i++) {
		const struct link_lldp_entry *e = p->lldp[i];

		if (!best || e->info.ours.present > best->info.ours.present ||
		    (e->info.ours.present == best->info.ours.present && e->heard.us > best->heard.us))
			best = e;
	}
	return best ? &best->info : NULL;
}

/* "leaf1" is also "leaf1.example.net" */
static bool
same_host(const char *want, const char *seen)
{
	size_t n = strlen(want);

	return strncmp(want, seen, n) == 0 && (seen[n] == '\0' || seen[n] == '.');
}

static enum link_match
compare(const struct link_port *p, const struct lldp_info *l, const char **node, const char **port)
{
	const struct lldp_fabric *f = &l->ours;

	*node = f->present ? f->node : l->system_name;
	*port = f->present && f->port[0] ? f->port : l->port_name;
	if (!p->want_node[0])
		return LINK_MATCH_UNKNOWN;
	if (f->present && !f->node[0])
		return LINK_MATCH_UNKNOWN; /* unprovisioned: it does not know yet who it is */
	if (f->present && p->want_fabric[0] && strcmp(f->fabric, p->want_fabric) != 0)
		return LINK_WRONG_FABRIC;
	if (!**node)
		return LINK_MATCH_UNKNOWN;
	if (f->present ? strcmp(*node, p->want_node) != 0 : !same_host(p->want_node, *node))
		return LINK_WRONG_NODE;
	if (p->want_port[0] && strcmp(*port, p->want_port) != 0 &&
	    (f->present || strcmp(l->port_description, p->want_port) != 0))
		return LINK_WRONG_PORT;
	return LINK_MATCH;
}

enum link_match
link_lldp_match(const struct link_port *p, char *text, size_t room)
{
	const struct lldp_info *l = link_lldp_best(p);
	const char *node, *port;
	enum link_match m;

	text[0] = '\0';
	if (!l)
		return LINK_MATCH_UNKNOWN;
	m = compare(p, l, &node, &port);
	if (m == LINK_WRONG_FABRIC)
		snprintf(text, room, "expected fabric %.60s, found fabric %.60s (%.30s)", p->want_fabric,
		    l->ours.fabric, node);
	else if (m == LINK_WRONG_NODE || m == LINK_WRONG_PORT)
		snprintf(text, room, "expected %.40s %.30s, found %.40s %.30s", p->want_node, p->want_port, node, port);
	return m;
}

bool
link_lldp_mtu_differs(const struct link_port *p)
{
	const struct lldp_info *l = link_lldp_best(p);

	if (!l || !l->max_frame || !p->status.mtu)
		return false;
	/* Others tell what their hardware can take, or count headers in ways of their own: too small is all that is sure. */
	return l->ours.present ? l->max_frame != p->status.mtu + FRAME_EXTRA : l->max_frame < p->status.mtu;
}

void
link_lldp_judge(struct link_port *p, struct mono now)
{
	const struct lldp_info *l = link_lldp_best(p);
	char text[192];
	enum link_match m = link_lldp_match(p, text, sizeof(text));

	if (m <= LINK_MATCH) {
		p->told_cabling = false;
	} else if (!p->told_cabling) {
		p->told_cabling = true;
		link_alarm(p, ALARM_CABLING, now, "%s: %s; check the cable", p->name, text);
	}
	if (!link_lldp_mtu_differs(p)) {
		p->told_mtu = false;
	} else if (!p->told_mtu) {
		p->told_mtu = true;
		link_alarm(p, ALARM_MTU, now, "%s: our MTU is %u, the neighbour's %u; set both alike", p->name,
		    p->status.mtu, (unsigned int)MAX_OF(l->max_frame - FRAME_EXTRA, 0));
	}
}
