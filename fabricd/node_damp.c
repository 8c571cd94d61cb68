/*
 * fabricd/node_damp.c -- damping of ports that flap: their sessions wait until the port has been quiet for a while
 *
 *   carrier lost, BFD Down -> penalty of the port (link/damp.h) -> kept out: no session -> released -> session
 *
 * What is up is never taken down by this; what comes up again is not taken into use at once. Both ends of a link count,
 * but the lower one decides, since it alone knows whether it has another way up: the last one is never kept out, and one
 * that has become the last is let in at once. For a switch of another vendor below the upper end decides, unless the file
 * gives that switch one uplink only.
 */
#include <stdio.h>

#include "fabricd/node_impl.h"
#include "fabricd/node_upgrade.h"

static struct damp_config
config(const struct node *n)
{
	return (struct damp_config){ n->topo->timers.damping_half_life_us, n->topo->timers.damping_suppress };
}

static bool
may_not_wait(const struct node_port *p)
{
	const struct node *n = p->node;

	if (p->topo->kind == TOPO_DOWN)
		return !p->peer->far->foreign || p->peer->far->uplinks <= 1;
	if (p->topo->kind != TOPO_UP)
		return false;
	for (size_t i = 0; i < n->nports; i++)
		if (&n->ports[i] != p && n->ports[i].topo->kind == TOPO_UP && n->ports[i].peer &&
		    node_peer_is_used(n->ports[i].peer))
			return false;
	return true;
}

static double
seconds_left(const struct node_port *p)
{
	struct damp_config cfg = config(p->node);
	int64_t us = mono_sub(damp_release(&p->damp, &cfg), node_now(p->node));

	return us > 0 ? (double)us / 1e6 : 0;
}

void
node_damp_why(const struct node_port *p, char *buf, size_t size)
{
	struct damp_config cfg = config(p->node);
	char again[64] = "";

	if (p->damp.row > 1) /* else a penalty of 1, and a minute, would be a riddle */
		snprintf(again, sizeof(again), " (%u times in a row, so for longer)", p->damp.row);
	snprintf(buf, size, "damped%s: penalty %.1f; let in in %.1f s if it stays quiet; %llu flaps so far", again,
	    (double)damp_penalty(&p->damp, &cfg, node_now(p->node)) / DAMP_FLAP, seconds_left(p),
	    (unsigned long long)p->damp.flaps);
}

static void look(void *port);

/* That it is the last way up now may have been found inside of a session's engine: that waits for the timer, too. */
static void
wait_for_release(struct node_port *p)
{
	struct damp_config cfg = config(p->node);

	if (!p->damp_timer)
		p->damp_timer = rt_timer_new(p->node->rt, look, p);
	rt_timer_set(p->damp_timer, may_not_wait(p) ? node_now(p->node) : damp_release(&p->damp, &cfg));
}

static void
look(void *arg)
{
	struct node_port *p = arg;
	struct damp_config cfg = config(p->node);
	bool last = p->damp.suppressed && may_not_wait(p);

	if (last)
		damp_forgive(&p->damp);
	if (!last && !damp_look(&p->damp, &cfg, node_now(p->node))) {
		if (p->damp.suppressed)
			wait_for_release(p);
		return;
	}
	node_event(p->node, "DAMP_RELEASED", p->name, 0, "%s, and is used again",
	    last ? "it is the last way up now" : "the port has been quiet");
	for (struct node_peer *peer = p->peer; peer; peer = peer->next) {
		node_peer_try(peer);
		node_peer_settle(peer);
	}
}

void
node_damp_flap(struct node_port *p, uint64_t cause)
{
	struct node *n = p->node;
	struct damp_config cfg = config(n);
	char why[192];

	if (!p->peer || n->stopping || n->held)
		return;
	if (!damp_flap(&p->damp, &cfg, node_now(n)))
		return;
	if (may_not_wait(p)) {
		damp_forgive(&p->damp);
		return;
	}
	node_damp_why(p, why, sizeof(why));
	node_event(n, "DAMPED", p->name, cause, "%s", why);
	wait_for_release(p);
	for (struct node_peer *peer = p->peer; peer; peer = peer->next)
		bgp_peer_link_wait(peer->bgp, "the port is damped", node_now(n));
}

void
node_damp_restore(struct node_port *p, const struct damp *d)
{
	struct damp_config cfg = config(p->node);

	p->damp = *d;
	damp_sane(&p->damp, &cfg, node_now(p->node));
}

void
node_damp_again(struct node *n)
{
	for (size_t i = 0; i < n->nports && !n->stopping && !n->held; i++)
		if (n->ports[i].damp.suppressed)
			wait_for_release(&n->ports[i]);
}

uint64_t
node_damp_penalty(const struct node_port *p)
{
	struct damp_config cfg = config(p->node);

	return damp_penalty(&p->damp, &cfg, node_now(p->node));
}

double
node_damp_left(const struct node_port *p)
{
	return p->damp.suppressed ? seconds_left(p) : 0;
}
