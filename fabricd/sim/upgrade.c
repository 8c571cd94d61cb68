/*
 * fabricd/sim/upgrade.c -- a fabricd gives way to another one in virtual time
 *
 * The way of fabricd/upgrade with processes left out: both nodes live in one runtime for a moment, the old one frozen, the
 * new one held. Streams and listeners go over by their handles.
 */
#include <errno.h>
#include <stdio.h>

#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"

#define SETTLE_US SECONDS(1) /* for the old one to end what it began */
#define AGREE_US  SECONDS(2) /* for the new one to be what the old one is */

struct waits {
	struct world_node *wn;
	struct node *next;
	struct state *state;
	char why[256];
};

static bool
waits_for_old(void *arg)
{
	const struct waits *w = arg;

	return !node_settled(w->wn->node);
}

static bool
waits_for_new(void *arg)
{
	struct waits *w = arg;

	return !w->wn->node->disturbed && !state_agrees(w->state, w->next, w->why, sizeof(w->why));
}

/* The platform speaks to one node at a time. */
static void
old_goes_on(struct waits *w, const struct platform_client *client, void *client_arg)
{
	struct platform *p = w->wn->platform;

	node_free(w->next);
	w->next = NULL;
	model_orphan(p);
	p->client = client;
	p->client_arg = client_arg;
	model_adopt(p);
	node_thaw(w->wn->node);
}

static int
new_is_born(struct waits *w, char *err, size_t errlen)
{
	struct node_config cfg = world_node_config(w->wn);
	int e;

	cfg.inherit = state_inherit(w->state);
	model_orphan(w->wn->platform);
	model_adopt(w->wn->platform);
	e = node_new(&cfg, &w->next, err, errlen);
	if (!e)
		e = state_restore(w->state, w->next, err, errlen);
	return e;
}

static int
new_takes_over(struct waits *w, const struct parcels *parcels, char *err, size_t errlen)
{
	struct platform *p = w->wn->platform;
	const struct platform_client *client = p->client;
	void *client_arg = p->client_arg;
	struct snapshot output;
	int e;

	node_give(w->wn->node);
	snapshot_begin(&output, &w->wn->mem);
	state_save_output(w->wn->node, &output);
	snapshot_end(&output);
	node_forget(w->wn->node);
	e = state_adopt(w->state, parcels->list, parcels->n, output.bytes, output.n, err, errlen);
	snapshot_free(&output);
	if (!e)
		node_take_over(w->next);
	node_free(w->wn->node);
	w->wn->node = w->next;
	p->client = client;
	p->client_arg = client_arg;
	return e;
}

static int
hand_over(struct waits *w, const struct snapshot *s, const struct parcels *parcels, char *err, size_t errlen)
{
	struct platform *p = w->wn->platform;
	struct sim_net *net = world_net(w->wn->world);
	const struct platform_client *client = p->client;
	void *client_arg = p->client_arg;
	int e = -EBADMSG;

	w->state = state_open(&w->wn->mem, s->bytes, s->n, err, errlen);
	if (w->state)
		e = new_is_born(w, err, errlen);
	if (!e && (!sim_run_while(net, waits_for_new, w, mono_add(sim_now(net), AGREE_US)) || w->wn->node->disturbed)) {
		snprintf(err, errlen, "%s", w->wn->node->disturbed ? "something happened meanwhile" : w->why);
		e = -EAGAIN;
	}
	if (!e)
		e = new_takes_over(w, parcels, err, errlen);
	else if (w->state)
		old_goes_on(w, client, client_arg);
	else
		node_thaw(w->wn->node);
	state_free(w->state);
	return e;
}

int
world_upgrade(struct world_node *wn, world_spoil_fn *spoil, void *arg, char *err, size_t errlen)
{
	struct sim_net *net = world_net(wn->world);
	struct parcels parcels = { .mem = &wn->mem };
	struct waits w = { .wn = wn };
	struct state_facts facts;
	struct snapshot s;
	int e;

	if (!wn->node) {
		snprintf(err, errlen, "it does not run");
		return -ESRCH;
	}
	if (node_upgrade_waits(wn->node, err, errlen))
		return -EAGAIN;
	node_freeze(wn->node);
	if (!sim_run_while(net, waits_for_old, &w, mono_add(sim_now(net), SETTLE_US))) {
		snprintf(err, errlen, "it has too much to do");
		node_thaw(wn->node);
		return -EAGAIN;
	}
	snapshot_begin(&s, &wn->mem);
	state_save(wn->node, &s, &parcels, &facts);
	snapshot_end(&s);
	if (spoil)
		spoil(arg, &s);
	e = hand_over(&w, &s, &parcels, err, errlen);
	snapshot_free(&s);
	parcels_free(&parcels);
	return e;
}
