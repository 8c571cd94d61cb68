/*
 * fabricd/link/neighbor.c -- who is at the other end, from RS, RA and inbound connections
 *
 *   RA, RS, inbound --> table of at most 8 --> one is chosen --> neighbor() : open a session to it
 *
 * The first router that is heard is chosen, and stays so. A second one on the port is ignored, with an alarm, since two
 * routers taking turns would make the port oscillate. But a neighbour may come back under another address (its MAC was
 * changed), so the chosen one can be challenged, once it has no established session: an RS goes out, and if it is not
 * heard within a second while another is, the other takes its place.
 *
 * The lifetime of an RA ages its sender; it never ends an established session. Answers are limited by a token bucket;
 * what is held back is made good by one multicast RA.
 *
 * Always true: `chosen` is in the table; the table is empty when the port is not up.
 */
#include <string.h>

#include "fabricd/link/impl.h"

#define CHALLENGE_US    SECONDS(1)
#define MIN_RA_DELAY_US SECONDS(3) /* RFC 4861 10: MIN_DELAY_BETWEEN_RAS */
#define TOKENS_MAX      8
#define TOKEN_US        MS(250)
#define OLD_US          SECONDS(1) /* a neighbour younger than this keeps its place in a full table */

/* ---- the table ---- */

static struct link_neighbor *
find(struct link_port *p, const struct ip *addr)
{
	for (size_t i = 0; i < p->nneighbors; i++)
		if (ip_equal(&p->neighbors[i].addr, addr))
			return &p->neighbors[i];
	return NULL;
}

static bool
is_chosen(const struct link_port *p, const struct link_neighbor *n)
{
	return p->has_chosen && ip_equal(&p->chosen, &n->addr);
}

static void
forget(struct link_port *p, struct link_neighbor *n)
{
	size_t i = (size_t)(n - p->neighbors), last = --p->nneighbors;

	p->neighbors[i] = p->neighbors[last];
	p->answer_at[i] = p->answer_at[last];
}

/* Room for one more: the one that was silent for longest goes, but never the chosen one. */
static struct link_neighbor *
add(struct link_port *p, const struct ip *addr, enum link_how how, struct mono now)
{
	struct link_neighbor *n, *oldest = NULL;

	if (p->nneighbors == LINK_NEIGHBORS) {
		for (size_t i = 0; i < p->nneighbors; i++) {
			n = &p->neighbors[i];
			if (!is_chosen(p, n) && !n->established && (!oldest || n->heard.us < oldest->heard.us))
				oldest = n;
		}
		if (!oldest || mono_sub(now, oldest->heard) < OLD_US) {
			p->counters.table_full++;
			return NULL;
		}
		forget(p, oldest);
	}
	n = &p->neighbors[p->nneighbors];
	p->answer_at[p->nneighbors++] = MONO_NEVER;
	*n = (struct link_neighbor){ .addr = *addr, .how = how, .first = now, .heard = now, .expires = MONO_NEVER };
	return n;
}

/* ---- the choice ---- */

static void
choose(struct link_port *p, const struct link_neighbor *n, enum link_how how)
{
	struct ip addr = n->addr;

	p->has_chosen = true;
	p->chosen = addr;
	p->challenge_at = MONO_NEVER;
	p->ops->neighbor(p->arg, &addr, how);
}

static void
unchoose(struct link_port *p)
{
	struct ip addr = p->chosen;

	if (!p->has_chosen)
		return;
	p->has_chosen = false;
	p->challenge_at = MONO_NEVER;
	p->ops->neighbor(p->arg, &addr, LINK_BY_NONE);
}

static bool
alive(const struct link_neighbor *n, struct mono now)
{
	return n->router && !mono_due(n->expires, now);
}

/* The router that was heard last, or NULL. */
static struct link_neighbor *
best_router(struct link_port *p, struct mono now)
{
	struct link_neighbor *best = NULL;

	for (size_t i = 0; i < p->nneighbors; i++) {
		struct link_neighbor *n = &p->neighbors[i];

		if (alive(n, now) && (!best || n->heard.us > best->heard.us))
			best = n;
	}
	return best;
}

/* The chosen one is gone: the next router, if there is one. */
static void
choose_next(struct link_port *p, struct mono now)
{
	struct link_neighbor *n;

	unchoose(p);
	n = p->state == LINK_UP ? best_router(p, now) : NULL;
	if (n)
		choose(p, n, LINK_BY_RA);
}

static void
challenge(struct link_port *p, struct mono now)
{
	if (!mono_is_never(p->challenge_at))
		return;
	p->challenge_from = now;
	p->challenge_at = mono_add(now, CHALLENGE_US);
	link_send_rs(p);
}

static void
challenge_ends(struct link_port *p, struct mono now)
{
	struct link_neighbor *n = find(p, &p->chosen), *other;

	p->challenge_at = MONO_NEVER;
	if (!p->has_chosen || !n || n->established || n->heard.us >= p->challenge_from.us)
		return;
	other = best_router(p, now);
	if (!other || other == n || other->heard.us <= n->heard.us)
		return;
	forget(p, n);
	choose_next(p, now);
}

/* ---- answers ---- */

static bool
take_token(struct link_port *p, struct mono now)
{
	int64_t fresh = mono_sub(now, p->tokens_at) / TOKEN_US;

	if (fresh > 0) {
		p->tokens = (unsigned int)MIN_OF((int64_t)p->tokens + fresh, TOKENS_MAX);
		p->tokens_at = mono_add(p->tokens_at, fresh * TOKEN_US);
	}
	if (p->tokens == 0)
		return false;
	p->tokens--;
	return true;
}

/* Unicast at once, as far as many ports do not want the same; or, held back, one multicast RA for all. */
static void
answer(struct link_port *p, const struct link_neighbor *n, struct mono now)
{
	struct mono at, soon;

	if (n && take_token(p, now)) {
		at = link_pace_take(p->pace, 1, now);
		if (mono_due(at, now))
			link_send_ra(p, &n->addr, now);
		else
			p->answer_at[n - p->neighbors] = at;
		return;
	}
	p->counters.held_back++;
	soon = mono_add(p->last_ra, MIN_RA_DELAY_US);
	soon.us = MAX_OF(soon.us, now.us + (int64_t)link_random(p, MS(500)));
	p->ra_at = mono_min(p->ra_at, soon);
}

/* ---- what is heard ---- */

static void
on_rs(struct link_port *p, const struct ip *src, const struct nd_msg *m, struct mono now)
{
	struct link_neighbor *n;

	p->counters.rx_rs++;
	if (ip_is_zero(src)) {
		answer(p, NULL, now);
		return;
	}
	if (!ip_is_link_local(src)) {
		p->counters.rs_source++;
		return;
	}
	n = find(p, src);
	if (!n)
		n = add(p, src, LINK_BY_RS, now);
	if (n) {
		n->heard = now;
		n->has_mac = m->has_mac;
		memcpy(n->mac, m->mac, 6);
	}
	answer(p, n, now);
}

static void
router_leaves(struct link_port *p, struct link_neighbor *n, struct mono now)
{
	n->router = false;
	n->expires = now;
	if (is_chosen(p, n) && !n->established)
		choose_next(p, now);
}

static void
on_ra(struct link_port *p, const struct ip *src, const struct nd_msg *m, struct mono now)
{
	struct link_neighbor *n = find(p, src);
	bool first = !n || n->how == LINK_BY_OPEN; /* an RS before it was answered already */
	char a[IP_TEXT], b[IP_TEXT];

	p->counters.rx_ra++;
	if (!n)
		n = add(p, src, LINK_BY_RA, now);
	if (p->has_chosen && !ip_equal(&p->chosen, src) && m->lifetime_s) {
		p->counters.ignored_routers++;
		link_alarm(p, ALARM_SECOND_ROUTER, now,
		    "%s: a second router %s beside %s is ignored; a fabric port leads to one neighbour only", p->name,
		    ip_print(src, a), ip_print(&p->chosen, b));
	}
	if (!n)
		return;
	n->how = LINK_BY_RA;
	n->heard = now;
	n->has_mac = m->has_mac;
	memcpy(n->mac, m->mac, 6);
	if (m->lifetime_s == 0) {
		router_leaves(p, n, now);
		return;
	}
	n->router = true;
	n->expires = mono_add(now, SECONDS((int64_t)m->lifetime_s));
	if (first)
		answer(p, n, now);
	if (!p->has_chosen)
		choose(p, n, LINK_BY_RA);
	else if (!is_chosen(p, n) && !find(p, &p->chosen)->established)
		challenge(p, now);
}

/* Neighbour solicitations and advertisements matter only when they speak of our own address. */
static bool
speaks_of_us(const struct link_port *p, const struct ip *src, const struct nd_msg *m)
{
	const struct ip *own = &p->status.link_local;

	if (ip_equal(src, own))
		return true;
	if (m->type == ND_NS) /* RFC 4862 5.4.3: from nobody, for our address: another is about to take it */
		return ip_is_zero(src) && ip_equal(&m->target, own);
	return m->type == ND_NA && ip_equal(&m->target, own);
}

void
link_port_nd(struct link_port *p, const struct ip *src, const struct ip *dst, uint8_t hop_limit, const uint8_t *bytes,
    size_t n, struct mono now)
{
	struct nd_msg m;
	enum nd_verdict v;

	if (!link_lit(p)) {
		p->counters.nd_not_up++;
		return;
	}
	v = nd_parse(bytes, n, src, dst, hop_limit, &m);
	if (v != ND_OK) {
		p->counters.nd_dropped[v]++;
		return;
	}
	if (!ip_is_zero(&p->status.link_local) && speaks_of_us(p, src, &m)) {
		bool mine = m.has_mac && memcmp(m.mac, p->status.mac, 6) == 0;

		link_refuse(p, mine ? LINK_LOOPED : LINK_DUPLICATE, now);
		return;
	}
	if (m.type == ND_NS)
		p->counters.rx_ns++;
	else if (m.type == ND_NA)
		p->counters.rx_na++;
	else if (p->state != LINK_UP)
		p->counters.nd_not_up++;
	else if (m.type == ND_RS)
		on_rs(p, src, &m, now);
	else
		on_ra(p, src, &m, now);
}

bool
link_port_inbound(struct link_port *p, const struct ip *peer, struct mono now)
{
	struct link_neighbor *n, *chosen;
	char a[IP_TEXT], b[IP_TEXT];

	if (!ip_is_zero(&p->status.link_local) && ip_equal(peer, &p->status.link_local)) {
		link_refuse(p, LINK_DUPLICATE, now);
		return false;
	}
	if (p->state != LINK_UP || !ip_is_link_local(peer)) {
		p->counters.refused_connections++;
		return false;
	}
	chosen = p->has_chosen ? find(p, &p->chosen) : NULL;
	if (chosen && chosen->established && !is_chosen(p, &(struct link_neighbor){ .addr = *peer })) {
		p->counters.ignored_routers++;
		link_alarm(p, ALARM_SECOND_ROUTER, now,
		    "%s: a connection from %s is refused, since the session with %s is established", p->name,
		    ip_print(peer, a), ip_print(&p->chosen, b));
		return false;
	}
	n = find(p, peer);
	if (!n)
		n = add(p, peer, LINK_BY_OPEN, now);
	if (!n)
		return false;
	n->heard = now;
	if (!p->has_chosen)
		choose(p, n, LINK_BY_OPEN);
	return true;
}

void
link_port_session(struct link_port *p, const struct ip *peer, bool established, struct mono now)
{
	struct link_neighbor *n = find(p, peer), *other;

	if (!n && established && p->state == LINK_UP && ip_is_link_local(peer))
		n = add(p, peer, LINK_BY_OPEN, now);
	if (!n)
		return;
	if (established) {
		n->established = true;
		n->heard = now;
		if (!p->has_chosen)
			choose(p, n, LINK_BY_OPEN);
		else
			p->chosen = n->addr; /* it came in first, and won */
		p->challenge_at = MONO_NEVER;
		return;
	}
	if (!n->established)
		return;
	n->established = false; /* if it said goodbye meanwhile, the deadline is now */
	other = is_chosen(p, n) ? best_router(p, now) : NULL;
	if (other && other != n)
		challenge(p, now);
}

/* ---- time ---- */

void
link_neighbors_timer(struct link_port *p, struct mono now)
{
	for (size_t i = 0; i < p->nneighbors; i++) {
		if (mono_due(p->answer_at[i], now)) {
			p->answer_at[i] = MONO_NEVER;
			link_send_ra(p, &p->neighbors[i].addr, now);
		}
	}
	if (mono_due(p->challenge_at, now))
		challenge_ends(p, now);
	for (size_t i = 0; i < p->nneighbors;) {
		struct link_neighbor *n = &p->neighbors[i];
		bool was_chosen = is_chosen(p, n);

		if (n->established || !mono_due(n->expires, now)) {
			i++;
			continue;
		}
		forget(p, n);
		if (was_chosen)
			choose_next(p, now);
		if (p->state != LINK_UP)
			return;
		i = 0;
	}
}

struct mono
link_neighbors_deadline(const struct link_port *p)
{
	struct mono d = p->challenge_at;

	for (size_t i = 0; i < p->nneighbors; i++) {
		d = mono_min(d, p->answer_at[i]);
		if (!p->neighbors[i].established)
			d = mono_min(d, p->neighbors[i].expires);
	}
	return d;
}

void
link_neighbors_clear(struct link_port *p)
{
	p->nneighbors = 0;
	unchoose(p);
}
