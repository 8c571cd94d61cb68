/*
 * tests/unit/upgrade/successor.h -- a switch of a simulated fabric and the one that follows it; behind cmocka.h
 *
 * upgrade_ok() goes the whole way at once. successor_begin() stops where both are there: the old one works on, the new
 * one is held; then successor_takes_over(), or not; and successor_end() takes down what is left of the new one.
 */
#ifndef TESTS_UNIT_UPGRADE_SUCCESSOR_H
#define TESTS_UNIT_UPGRADE_SUCCESSOR_H

#include <stdio.h>
#include <stdlib.h>

#include "fabricd/node_impl.h"
#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"
#include "platform/model/model.h"

UNUSED static void
print_event(void *arg, const struct journal_event *e)
{
	struct world_node *wn = arg;

	if (getenv("WORLD_LOG"))
		printf("%9.6f %-8s %-14s %-6s %s\n", (double)e->at.us / 1e6, wn->topo->name, e->type, e->port, e->text);
}

UNUSED static void
upgrade_ok(struct world_node *wn)
{
	char err[256] = "";

	if (world_upgrade(wn, NULL, NULL, err, sizeof(err)))
		fail_msg("%s: %s", wn->topo->name, err);
}

/* A successor that is held, beside the one before. */
struct successor {
	struct world_node *wn;
	struct snapshot snapshot;
	struct parcels parcels;
	struct state_facts facts;
	struct state *st;
	struct node *node;
	struct platform *platform;
};

UNUSED static void
successor_begin(struct successor *x, struct world_node *wn, world_spoil_fn *fn, void *arg)
{
	struct node_config cfg = world_node_config(wn);
	char err[256] = "";

	*x = (struct successor){ .wn = wn, .parcels.mem = &wn->mem };
	snapshot_begin(&x->snapshot, &wn->mem);
	assert_int_equal(state_save(wn->node, &x->snapshot, &x->parcels, &x->facts), 0);
	snapshot_end(&x->snapshot);
	if (fn)
		fn(arg, &x->snapshot);
	x->st = state_open(&wn->mem, x->snapshot.bytes, x->snapshot.n, err, sizeof(err));
	assert_non_null(x->st);
	cfg.inherit = state_inherit(x->st);
	cfg.platform = x->platform = model_share(wn->platform);
	assert_int_equal(node_new(&cfg, &x->node, err, sizeof(err)), 0);
	assert_int_equal(state_restore(x->st, x->node, err, sizeof(err)), 0);
	for (int ms = 0; ms < 1000 && !state_agrees(x->st, x->node, err, sizeof(err)); ms++)
		world_run(wn->world, MS(1));
	if (!state_agrees(x->st, x->node, err, sizeof(err)))
		fail_msg("%s", err);
}

UNUSED static void
successor_end(struct successor *x)
{
	node_free(x->node);
	x->platform->ops->close(x->platform);
	state_free(x->st);
	snapshot_free(&x->snapshot);
	parcels_free(&x->parcels);
}

/* From here on it is the node. */
UNUSED static void
successor_takes_over(struct successor *x)
{
	struct world_node *wn = x->wn;
	struct snapshot output;
	char err[256] = "";

	node_give(wn->node);
	snapshot_begin(&output, &wn->mem);
	state_save_output(wn->node, &output);
	snapshot_end(&output);
	node_forget(wn->node);
	assert_int_equal(
	    state_adopt(x->st, x->parcels.list, x->parcels.n, output.bytes, output.n, err, sizeof(err)), 0);
	node_take_over(x->node);
	snapshot_free(&output);
	node_free(wn->node);
	wn->node = x->node;
}

#endif
