/*
 * fabricd/node_restart.c -- graceful restart: of a neighbour, whose paths are kept, and of this switch
 *
 * Of a neighbour: the engine (bgp/restart.c) says what may be kept and when that ends; the RIB marks. Paths are kept
 * only while nothing says that the neighbour does not forward: carrier, BFD, and after a silence BFD alone.
 *
 * Of ourselves: a start that finds our routes in the forwarding plane goes through
 *
 *   DEFERS   the RIB takes everything in and decides nothing: the forwarding plane stays as it was found
 *   SETTLES  all who are expected sent End-of-RIB: it decides, the forwarding plane follows; nobody is told anything
 *   RUNS     it is installed: neighbours get their table and End-of-RIB (RFC 4724 4.1), and what nobody wants is swept
 *
 * A start that finds nothing RUNS at once, and sweeps when all was told. Expected is who has carrier, but for: who says
 * that he restarts himself (or both would wait for each other), who is down by BFD or is nobody or the wrong one, and
 * who sends no End-of-RIB. Of two that restart, the upper one does wait a while for the lower: it would else tell its
 * other neighbours that it has told them all, without what only the lower can tell it. Where others restart with us, what
 * they tell first is not all that they will know: the sweep waits for their End-of-RIB, and a while longer.
 * timers.restart is but the last resort, three quarters of it for DEFERS, so that the neighbours, who wait as long, hear
 * from us in time.
 *
 * Always true: R bits are sent until RUNS, F bits when the forwarding state was kept since the neighbour knew us.
 */
#include <errno.h>
#include <stdio.h>

#include "fabricd/node_impl.h"

#define LOOK_US   MS(50)
#define LEAST_US  MS(500)     /* for ports and bfdd to be heard at all */
#define NOBODY_US SECONDS(3)  /* without a neighbour's word, and for the table of one that sends no End-of-RIB */
#define ANSWER_US SECONDS(10) /* the same outside of the fabric, where some wait for 5 s before they connect again */
#define BELOW_US  SECONDS(1)  /* with a session: for who restarts as well, and needs LEAST_US to know what it tells */
#define BROKEN_US SECONDS(1)  /* left to defer, when a link died meanwhile: what was found is right no more */
#define SOME_LONG 1024 /* prefixes looked through for long-lived paths in one turn of the loop: a millisecond or so */
#define ALL       ((1 << FAMILY_IPV4) | (1 << FAMILY_IPV6))

/* ---- of a neighbour ---- */

static uint64_t
paths_of(const struct node_peer *peer)
{
	return peer->source.paths[FAMILY_IPV4] + peer->source.paths[FAMILY_IPV6];
}

/*
 * One of the two was not heard by the other: a stopped process, or a wire that passes nothing. Only BFD knows which. The
 * kernel of a process that died, on the other hand, speaks for itself: FIN or RST.
 */
bool
node_restart_silence(const struct node_peer *peer, const struct bgp_reason *why)
{
	if (why->cause == BGP_CAUSE_TCP)
		return peer->closed_by && peer->closed_by != -ECONNRESET && peer->closed_by != -EPIPE;
	return why->cause == BGP_CAUSE_HOLD || why->cause == BGP_CAUSE_SEND_HOLD ||
	       (why->cause == BGP_CAUSE_NOTICE && (why->code == BGP_ERR_HOLD || why->code == BGP_ERR_SEND_HOLD));
}

static bool
is_forwarding(const struct node_peer *peer, const struct bgp_reason *why)
{
	const struct node_port *p = peer->port;

	if (!p->present || !p->plat.carrier)
		return false;
	if (node_restart_silence(peer, why))
		return peer->bfd && peer->bfd_up && bfd_client_connected(peer->node->cfg.bfd);
	return true;
}

uint8_t
node_restart_keep(struct node_peer *peer, const struct bgp_reason *why, uint8_t families)
{
	struct node *n = peer->node;
	uint8_t was = bgp_peer_restart(peer->bgp)->stale | peer->stale_over;

	if (n->stopping || (was && rib_running(n->rib)) || !is_forwarding(peer, why) || paths_of(peer) == 0)
		return 0;
	for (int f = 0; f < FAMILIES; f++) {
		if (was & 1 << f) /* RFC 4724 4.2: consecutive restarts */
			rib_refresh_end(n->rib, &peer->source, (enum family)f);
		rib_refresh_begin(n->rib, &peer->source, (enum family)f);
	}
	peer->kept_by_bfd = node_restart_silence(peer, why);
	peer->stale_over = (uint8_t)(ALL & ~families);
	peer->long_at = peer->long_family = 0;
	if (rib_pending(n->rib)) /* what went with the refresh before; input waits while it is cleared */
		node_rib_changed(n);
	return families;
}

void
node_restart_kept(struct node_peer *peer)
{
	const struct bgp_restart *r = bgp_peer_restart(peer->bgp);

	node_event(peer->node, "RESTART_HELP", peer->port->name, peer->down_event,
	    "%s restarts: its %llu paths are kept for %lld s", peer->far ? peer->far->name : peer->external->name,
	    (unsigned long long)paths_of(peer),
	    (long long)((mono_sub(r->until, node_now(peer->node)) + SECONDS(1) - 1) / SECONDS(1)));
}

/* Between two slices of the RIB nothing may be withdrawn. */
void
node_restart_drop(struct node_peer *peer)
{
	struct node *n = peer->node;

	if (!peer->stale_over || rib_running(n->rib))
		return;
	for (int f = 0; f < FAMILIES; f++)
		if (peer->stale_over & 1 << f)
			rib_refresh_end(n->rib, &peer->source, (enum family)f);
	peer->stale_over = 0;
	if (rib_pending(n->rib))
		node_rib_changed(n);
}

void
node_restart_stale_end(struct node_peer *peer, uint8_t families, enum bgp_stale_end why, const char *text)
{
	struct node *n = peer->node;
	unsigned long long left = 0;
	bool down = !peer->established && bgp_peer_restart(peer->bgp)->stale == 0;

	for (int f = 0; f < FAMILIES; f++)
		if (families & 1 << f)
			left += rib_refresh_left(n->rib, &peer->source, (enum family)f);
	node_event(n, why == BGP_STALE_TOLD ? "RESTART_TOLD" : "RESTART_LOST", peer->port->name, peer->down_event,
	    "%s: %s; %llu paths that were kept are dropped", peer->far ? peer->far->name : peer->external->name, text,
	    left);
	if (down) {
		peer->stale_over = 0;
		node_peer_lost(peer);
	} else {
		peer->stale_over |= families;
		node_restart_drop(peer);
	}
}

/* One path of a neighbour that is long gone: as the last resort, or not at all. */
static void
keep_long(struct node_peer *peer, const struct rib_view *v, const struct path *path)
{
	struct node *n = peer->node;
	struct attrs_view view = path->attrs->v;
	struct attrs *attrs;
	size_t len;

	if (view.flags & ATTRS_LLGR_STALE)
		return;
	len = bgp_attrs_with_community(&view, BGP_LLGR_STALE, n->scratch->wire, sizeof(n->scratch->wire));
	if (view.flags & ATTRS_NO_LLGR || !len) {
		rib_withdraw(n->rib, RIB_MAIN_TABLE, &peer->source, &v->prefix);
		return;
	}
	view.wire = n->scratch->wire;
	view.wire_len = (uint16_t)len;
	view.flags |= ATTRS_LLGR_STALE;
	attrs = attrs_intern(rib_attrs(n->rib), &view);
	rib_announce(n->rib, RIB_MAIN_TABLE, &peer->source, &v->prefix, attrs, path->nexthop);
	attrs_unref(rib_attrs(n->rib), attrs);
}

/* Some of its paths, where the turn before has stopped; true: that was the last of them. */
static bool
keep_some_long(struct node_peer *peer, uint8_t families)
{
	struct node *n = peer->node;
	struct rib_view v;

	for (unsigned int i = 0; i < SOME_LONG && peer->long_family < FAMILIES; i++) {
		enum family f = (enum family)peer->long_family;
		const struct path *path;

		if (!(families & 1 << f) || !rib_next(n->rib, RIB_MAIN_TABLE, f, &peer->long_at, &v)) {
			peer->long_family++;
			peer->long_at = 0;
			continue;
		}
		path = v.list ? path_list_find(v.list, &peer->source) : NULL;
		if (path)
			keep_long(peer, &v, path);
	}
	return peer->long_family == FAMILIES;
}

/* RFC 9494 4.2, in slices. What stays is stale as before, after each of them: it goes with what ends the waiting. */
bool
node_restart_long_lived(struct node_peer *peer, uint8_t families)
{
	struct node *n = peer->node;
	bool all;

	if (rib_running(n->rib))
		return false;
	all = keep_some_long(peer, families);
	for (int f = 0; f < FAMILIES; f++)
		if (families & 1 << f)
			rib_refresh_begin(n->rib, &peer->source, (enum family)f);
	node_rib_changed(n);
	if (!all)
		return false;
	node_event(n, "RESTART_LONG", peer->port->name, peer->down_event,
	    "%s is away for longer than a restart takes: %llu paths of it are kept as the last resort",
	    peer->far ? peer->far->name : peer->external->name, (unsigned long long)paths_of(peer));
	return true;
}

/* ---- of ourselves ---- */

static void
tell_peers(struct node *n)
{
	const struct node_restart *r = &n->restart;
	uint8_t forwarding = n->cfg.no_fib || (r->recent && !r->preserved) ? 0 : ALL;

	for (size_t i = 0; i < n->nports; i++)
		for (struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			bgp_peer_restarted(peer->bgp, r->recent, forwarding);
}

static bool
restarts_too(const struct node_peer *peer)
{
	return peer->established && (bgp_peer_facts(peer->bgp)->remote.gr_flags & BGP_RESTARTED);
}

/* RFC 4724 4.1 does not wait for who restarts, too: one of the two must decide first, and the lower needs us less. */
static bool
is_let_off(const struct node_peer *peer)
{
	const struct node *n = peer->node;
	bool below = peer->far && peer->far->level < n->self->level;

	return restarts_too(peer) && !(below && mono_sub(node_now(n), bgp_peer_since(peer->bgp)) < BELOW_US);
}

/* Whether its table is still to come; *why says what it is that we wait for. all: of those that restart as well. */
static bool
is_awaited(const struct node_peer *peer, bool all, const char **why)
{
	const struct node *n = peer->node;
	const struct node_port *p = peer->port;
	const struct bgp_session_facts *f = bgp_peer_facts(peer->bgp);
	int64_t age_us = mono_sub(node_now(n), n->started);

	if (!p->present || !p->plat.carrier || peer->identity[0])
		return false;
	if (!peer->established) {
		*why = "no session";
		if (age_us < (peer->external ? ANSWER_US : NOBODY_US))
			return true;
		if (peer->bfd && !peer->bfd_up && bfd_client_connected(n->cfg.bfd))
			return false;
		if (peer->external) /* its address is the file's: only an answer says that somebody is there */
			return bgp_peer_state(peer->bgp) >= BGP_OPEN_SENT;
		return !ip_is_zero(&peer->address);
	}
	*why = "no End-of-RIB";
	if (!(f->caps & BGP_CAP_GRACEFUL_RESTART) && mono_sub(node_now(n), bgp_peer_since(peer->bgp)) >= NOBODY_US)
		return false;
	if (!all && is_let_off(peer))
		return false;
	return (f->end_of_rib_in & f->families) != f->families;
}

const struct node_peer *
node_restart_awaited(const struct node *n, const struct node_peer *after, const char **why)
{
	bool passed = after == NULL;

	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next) {
			if (passed && is_awaited(peer, n->restart.phase == NODE_RUNS, why))
				return peer;
			passed |= peer == after;
		}
	return NULL;
}

const char *
node_restart_phase(const struct node *n, struct mono *until)
{
	*until = n->restart.until;
	if (!n->restart.unswept || !n->restart.found || n->stopping || n->held)
		return NULL;
	return n->restart.phase == NODE_DEFERS    ? "deferring"
	       : n->restart.phase == NODE_SETTLES ? "settling"
						  : "sweeping";
}

static bool
is_installed(const struct node *n)
{
	struct sync_stats s;

	sync_stats(n->sync, &s);
	return !rib_pending(n->rib) && s.routes_pending == 0;
}

static void
select_routes(struct node *n, const struct node_peer *missed, const char *why)
{
	struct node_restart *r = &n->restart;
	double s = (double)mono_sub(node_now(n), n->started) / 1e6;

	r->phase = NODE_SETTLES;
	r->until = mono_add(n->started, n->topo->timers.restart_us);
	if (missed)
		node_event(n, "RESTART_LATE", missed->port->name, 0,
		    "routes are selected after %.1f s without waiting for %s any longer: %s", s, missed->label, why);
	else
		node_event(n, "RESTART_HEARD", "", 0, "all neighbours have told their routes after %.1f s", s);
	node_rib_changed(n);
}

static bool
others_restart(const struct node *n)
{
	for (size_t i = 0; i < n->nports; i++)
		for (const struct node_peer *peer = n->ports[i].peer; peer; peer = peer->next)
			if (restarts_too(peer))
				return true;
	return false;
}

/* The neighbours know of no restart any more. */
static void
is_over(struct node *n)
{
	n->restart.recent = false;
	tell_peers(n);
}

static void
run(struct node *n)
{
	struct node_restart *r = &n->restart;

	r->phase = NODE_RUNS;
	r->sweep_at = mono_add(node_now(n), others_restart(n) ? NOBODY_US : 0);
	is_over(n);
	export_hold(n->export, false);
	node_isolation_update(n);
	rt_work_schedule(n->work);
}

/* Whether it is time for the next phase. */
static void
node_restart_look(void *arg)
{
	struct node *n = arg;
	struct node_restart *r = &n->restart;
	struct mono now = node_now(n);
	const char *why = NULL;
	const struct node_peer *missed = node_restart_awaited(n, NULL, &why);
	bool late = mono_due(r->until, now);

	if (!r->unswept || n->stopping || n->held)
		return;
	if (r->phase == NODE_DEFERS && (late || (!missed && mono_sub(now, n->started) >= LEAST_US)))
		select_routes(n, missed, why);
	else if (r->phase == NODE_SETTLES && (late || is_installed(n)))
		run(n);
	else if (r->phase == NODE_RUNS && (late || (!missed && node_quiet(n) && mono_due(r->sweep_at, now)))) {
		r->unswept = false;
		sync_sweep(n->sync);
		is_over(n);
	}
	if (r->unswept)
		rt_timer_set(r->timer, mono_add(now, LOOK_US));
}

void
node_restart_hurry(struct node *n)
{
	if (n->restart.phase == NODE_DEFERS)
		n->restart.until = mono_min(n->restart.until, mono_add(node_now(n), BROKEN_US));
}

static void
start_looking(struct node *n, int64_t us)
{
	struct node_restart *r = &n->restart;

	r->unswept = true;
	r->until = mono_add(node_now(n), us);
	r->sweep_at = mono_add(node_now(n), NOBODY_US);
	rt_timer_set(r->timer, mono_add(node_now(n), LOOK_US));
}

/* From a predecessor (node_upgrade.h): neighbours know of no restart. */
void
node_restart_taken_over(struct node *n)
{
	tell_peers(n);
	start_looking(n, n->topo->timers.restart_us);
}

void
node_restart_init(struct node *n)
{
	struct node_restart *r = &n->restart;
	int64_t restart_us = n->topo->timers.restart_us;
	struct sync_stats s;

	r->timer = rt_timer_new(n->rt, node_restart_look, n);
	if (n->held)
		return;
	sync_stats(n->sync, &s);
	r->found = s.routes_found[FAMILY_IPV4] + s.routes_found[FAMILY_IPV6];
	r->preserved = r->found && !n->cfg.no_fib;
	r->recent = true;
	r->phase = r->preserved ? NODE_DEFERS : NODE_RUNS;
	start_looking(n, r->preserved ? restart_us / 4 * 3 : restart_us);
	tell_peers(n);
	if (!r->preserved)
		return;
	n->isolated = n->hosts_shut = false; /* what the hosts are told does not change either, before we know better */
	export_hold(n->export, true);
	node_event(n, "RESTARTED", "", 0,
	    "%llu routes of ours are in the forwarding plane, and stay until all neighbours have told theirs",
	    (unsigned long long)r->found);
}
