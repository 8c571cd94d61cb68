/* fabricd/query/restart_view.c -- graceful restart: of a session, in `fabctl bgp neighbor`; of the switch, in `fabctl status` */
#include "fabricd/lib/base.h"
#include "fabricd/query/view.h"

static json_t *
families(uint8_t mask)
{
	json_t *list = json_array();

	for (int f = 0; f < FAMILIES; f++)
		if (mask & 1 << f)
			json_array_append_new(list, json_string(family_name((enum family)f)));
	return list;
}

/* What one side's OPEN says; absent: it has no such capability. */
static void
put_side(json_t *row, const char *key, const struct bgp_open *o)
{
	json_t *one;
	uint32_t stale_s = 0;

	if (!(o->caps & BGP_CAP_GRACEFUL_RESTART))
		return;
	one = json_object();
	put_count(one, "restart_s", o->gr_restart_s);
	put_flag(one, "restarted", o->gr_flags & BGP_RESTARTED);
	put_flag(one, "notification", o->gr_flags & BGP_KEEPS_NOTIFIED);
	json_object_set_new(one, "families", families(o->gr_families));
	json_object_set_new(one, "forwarding", families(o->gr_forwarding));
	for (int f = 0; f < FAMILIES; f++)
		if (o->llgr_families & 1 << f)
			stale_s = MAX_OF(stale_s, o->llgr_stale_s[f]);
	if (o->caps & BGP_CAP_LONG_LIVED_RESTART)
		put_count(one, "long_lived_s", stale_s);
	json_object_set_new(row, key, one);
}

uint64_t
stale_paths(const struct node_peer *p)
{
	uint64_t n = 0;

	for (int f = 0; f < FAMILIES; f++)
		if (bgp_peer_restart(p->bgp)->stale & 1 << f)
			n += rib_refresh_left(p->node->rib, &p->source, (enum family)f);
	return n;
}

void
put_restart(json_t *row, const struct node_peer *p, struct mono now)
{
	const struct bgp_session_facts *f = bgp_peer_facts(p->bgp);
	const struct bgp_restart *r = bgp_peer_restart(p->bgp);
	json_t *one = json_object();

	if (f->valid) {
		put_side(one, "ours", &f->local);
		put_side(one, "theirs", &f->remote);
	}
	put_count(one, "stale_paths", stale_paths(p));
	if (r->stale) {
		put_text(one, "waits_for", r->waits_rib ? "end_of_rib" : "session");
		put_flag(one, "long_lived", r->long_lived != 0);
		put_since(one, "since_s", r->since, now);
		json_object_set_new(one, "left_s", json_real((double)MAX_OF(mono_sub(r->until, now), 0) / 1e6));
	}
	put_count(one, "helped", r->begun);
	put_count(one, "completed", r->told);
	if (r->ended != BGP_STALE_NEVER) {
		put_text(one, "ended", bgp_stale_end_name(r->ended));
		put_text(one, "ended_why", r->text);
		put_since(one, "ended_s", r->ended_at, now);
	}
	json_object_set_new(row, "graceful_restart", one);
}

void
put_own_restart(json_t *summary, const struct node *n, struct mono now)
{
	const struct node_peer *p = NULL;
	struct mono until;
	const char *phase = node_restart_phase(n, &until), *why;
	json_t *one, *list;

	if (!phase || !n->restart.found) /* a cold start: there is nothing to keep, and so nothing to tell */
		return;
	one = json_object();
	list = json_array();
	put_text(one, "phase", phase);
	put_count(one, "found_routes", n->restart.found);
	json_object_set_new(one, "left_s", json_real((double)MAX_OF(mono_sub(until, now), 0) / 1e6));
	while ((p = node_restart_awaited(n, p, &why))) {
		json_t *peer = json_object();

		put_text(peer, "port", p->port->name);
		put_text(peer, "peer", peer_name(p));
		put_text(peer, "missing", why);
		json_array_append_new(list, peer);
	}
	json_object_set_new(one, "waits_for", list);
	json_object_set_new(summary, "restart", one);
}
