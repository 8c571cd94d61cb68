/*
 * fabricd/sim/upgrade.c -- a fabricd gives way to another one in virtual time
 *
 * The way of fabricd/upgrade with processes and descriptors left out: both nodes live in one runtime for a moment, the old
 * one frozen, the new one held, each a client of its own of the forwarding plane. Streams and listeners go over by their
 * handles. Meanwhile the world goes on: faults may come in between, and end it.
 *
 *   WAITS --nothing is in the way--> SETTLES --all is done and told--> SAVES --> READS --born--> AGREES --ready--> in charge
 *      \_________________________________\_______________________________\_________\______________\--> the old one goes on
 *
 * Times are those of giver.c and taker.c. READS and AGREES take half of slow_us longer each: a machine that is slow to
 * start a program.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"

#define TICK_US    MS(1)
#define AGREE_US   MS(3500) /* for the new one to be what the old one is */
#define DRAIN_US   MS(300)  /* for peers to read what is queued for them */
#define SAVE_STEPS 50       /* prefixes in a turn */

enum phase { WAITS, SETTLES, SAVES, READS, AGREES };

struct world_takeover {
	struct world_node *wn;
	struct world_upgrade_config cfg;
	enum phase phase;
	struct sim_alarm *alarm;
	struct mono began, frozen, given, born;
	struct snapshot snapshot;
	struct parcels parcels;
	struct state_facts facts;
	struct saving *saving;
	struct state *state;
	struct node *next;
	struct platform *platform; /* of the new one */
};

static struct mono
now(const struct world_takeover *u)
{
	return sim_now(world_net(u->wn->world));
}

/* ---- its end ---- */

static void
end(struct world_takeover *u, int e, const char *why)
{
	struct world_upgrade_config cfg = u->cfg;
	struct world_node *wn = u->wn;

	state_save_end(u->saving);
	state_free(u->state);
	snapshot_free(&u->snapshot);
	parcels_free(&u->parcels);
	sim_alarm_free(u->alarm);
	wn->takeover = NULL;
	mem_free(NULL, MEM_OTHER, u);
	if (cfg.done)
		cfg.done(cfg.arg, wn, e, why);
}

/* The successor is no more. The old one goes on, unless it ends as well. */
PRINTF_LIKE(4, 5)
static void
give_up(struct world_takeover *u, bool thaw, int e, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	node_free(u->next);
	if (u->platform)
		u->platform->ops->close(u->platform);
	if (thaw && u->phase >= SETTLES)
		node_thaw(u->wn->node);
	end(u, e, why);
}

/* The same connections, another node. From here on there is no way back. */
static void
commit(struct world_takeover *u)
{
	struct world_node *wn = u->wn;
	struct snapshot output;
	char err[256] = "";
	int e;

	node_give(wn->node);
	snapshot_begin(&output, &wn->mem);
	state_save_output(wn->node, &output);
	snapshot_end(&output);
	node_forget(wn->node);
	e = state_adopt(u->state, u->parcels.list, u->parcels.n, output.bytes, output.n, err, sizeof(err));
	snapshot_free(&output);
	if (!e)
		node_take_over(u->next);
	node_free(wn->node);
	wn->platform->ops->close(wn->platform);
	wn->node = u->next;
	wn->platform = u->platform;
	end(u, e ? -ECONNABORTED : 0, err);
}

/* ---- its steps ---- */

static void
look_waits(struct world_takeover *u)
{
	char why[256];

	if (node_upgrade_waits(u->wn->node, why, sizeof(why))) {
		if (mono_sub(now(u), u->began) > WORLD_UPGRADE_US / 2)
			give_up(u, true, -EBUSY, "%s", why);
		return;
	}
	node_freeze(u->wn->node);
	u->frozen = now(u);
	u->phase = SETTLES;
}

static void
look_settled(struct world_takeover *u)
{
	char why[256];

	if (!node_settled(u->wn->node) || (node_unsent(u->wn->node) && mono_sub(now(u), u->frozen) < DRAIN_US))
		return;
	if (node_upgrade_waits(u->wn->node, why, sizeof(why))) {
		give_up(u, true, -EBUSY, "%s", why);
		return;
	}
	u->wn->node->disturbed = 0;
	u->saving = state_save_begin(u->wn->node, &u->snapshot, &u->parcels, &u->facts);
	u->phase = SAVES;
}

/* A slice in each turn, so that what happens may happen between any two. */
static void
save_some(struct world_takeover *u)
{
	int e = state_save_more(u->saving, SAVE_STEPS);

	if (e > 0)
		return;
	state_save_end(u->saving);
	u->saving = NULL;
	if (e) { /* routes changed of their own accord */
		snapshot_free(&u->snapshot);
		snapshot_begin(&u->snapshot, &u->wn->mem);
		parcels_free(&u->parcels);
		u->phase = SETTLES;
		return;
	}
	snapshot_end(&u->snapshot);
	if (u->cfg.spoil)
		u->cfg.spoil(u->cfg.arg, &u->snapshot);
	u->given = now(u);
	u->phase = READS;
}

static void
be_born(struct world_takeover *u)
{
	struct world_node *wn = u->wn;
	struct node_config cfg = world_node_config(wn);
	char err[256] = "";
	int e;

	if (mono_sub(now(u), u->given) < u->cfg.slow_us / 2)
		return;
	u->state = state_open(&wn->mem, u->snapshot.bytes, u->snapshot.n, err, sizeof(err));
	if (!u->state) {
		give_up(u, true, -EBADMSG, "%s", err);
		return;
	}
	cfg.inherit = state_inherit(u->state);
	cfg.platform = u->platform = model_share(wn->platform);
	e = node_new(&cfg, &u->next, err, sizeof(err));
	if (!e)
		e = state_restore(u->state, u->next, err, sizeof(err));
	if (e) {
		give_up(u, true, e, "%s", err);
		return;
	}
	u->born = now(u);
	u->phase = AGREES;
}

static void
look_agrees(struct world_takeover *u)
{
	char why[256] = "";

	if (mono_sub(now(u), u->born) < u->cfg.slow_us / 2)
		return;
	if (state_agrees(u->state, u->next, why, sizeof(why)))
		commit(u);
	else if (mono_sub(now(u), u->born) > AGREE_US)
		give_up(u, true, -EAGAIN, "%s", why);
}

static void
tick(void *arg)
{
	static void (*const steps[])(struct world_takeover *) = {
		[WAITS] = look_waits,
		[SETTLES] = look_settled,
		[SAVES] = save_some,
		[READS] = be_born,
		[AGREES] = look_agrees,
	};
	struct world_takeover *u = arg;
	struct mono stalled = sim_node_stalled(u->wn->rt), next = mono_add(now(u), TICK_US);

	sim_alarm_set(u->alarm, stalled.us > next.us ? stalled : next);
	if (stalled.us > now(u).us)
		return;
	if (mono_sub(now(u), u->began) > WORLD_UPGRADE_US)
		give_up(u, true, -ETIMEDOUT, "it took too long");
	else if (u->phase > SETTLES && u->wn->node->disturbed)
		give_up(u, true, -EAGAIN, "a session or a port changed meanwhile");
	else
		steps[u->phase](u);
}

int
world_upgrade_begin(struct world_node *wn, const struct world_upgrade_config *cfg)
{
	struct world_takeover *u;

	if (!wn->node || wn->takeover || wn->node->stopping)
		return -EBUSY;
	u = mem_zalloc(NULL, MEM_OTHER, sizeof(*u));
	u->wn = wn;
	u->cfg = *cfg;
	u->parcels.mem = &wn->mem;
	snapshot_begin(&u->snapshot, &wn->mem);
	u->began = now(u);
	u->alarm = sim_alarm_new(world_net(wn->world), tick, u);
	sim_alarm_set(u->alarm, u->began);
	wn->takeover = u;
	return 0;
}

void
world_upgrade_cancel(struct world_node *wn, bool thaw)
{
	if (wn->takeover)
		give_up(wn->takeover, thaw, -ECANCELED, "fabricd ends");
}

bool
world_upgrade_frozen(const struct world_node *wn)
{
	return wn->takeover && wn->takeover->phase >= SETTLES;
}

/* ---- and all of it at once ---- */

struct wait {
	world_spoil_fn *spoil;
	void *arg;
	bool ended;
	int e;
	char *err;
	size_t errlen;
};

static void
spoil(void *arg, struct snapshot *s)
{
	struct wait *w = arg;

	if (w->spoil)
		w->spoil(w->arg, s);
}

static void
ended(void *arg, struct world_node *wn, int e, const char *why)
{
	struct wait *w = arg;

	(void)wn;
	w->ended = true;
	w->e = e;
	snprintf(w->err, w->errlen, "%s", why);
}

static bool
goes_on(void *arg)
{
	const struct wait *w = arg;

	return !w->ended;
}

int
world_upgrade(struct world_node *wn, world_spoil_fn *fn, void *arg, char *err, size_t errlen)
{
	struct sim_net *net = world_net(wn->world);
	struct wait w = { .spoil = fn, .arg = arg, .err = err, .errlen = errlen };
	struct world_upgrade_config cfg = { .spoil = spoil, .done = ended, .arg = &w };
	int e;

	if (wn->node && node_upgrade_waits(wn->node, err, errlen))
		return -EAGAIN;
	e = world_upgrade_begin(wn, &cfg);
	if (e) {
		snprintf(err, errlen, wn->node ? "it is being upgraded or ended" : "it does not run");
		return e;
	}
	sim_run_while(net, goes_on, &w, MONO_NEVER);
	return w.e;
}
