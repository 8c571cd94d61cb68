/*
 * fabricd/bgp/export.c -- export groups: encode once, write to many; see export.h
 *
 *   export_changed(): changes of one slice -> per group, chained by (attributes, whom not to send to) -> builder ->
 *                     batch -> queue of each member but that one
 *   walk:             joiners of a group, together -> what was told of each prefix -> batches to the joiners ->
 * End-of-RIB
 *
 * A joiner hears live changes from the moment it joins, and the walk beside them: both speak of what the RIB has told,
 * in the order of one queue, so the last word on a prefix is the right one.
 *
 * A peer that reads slowly, or not at all: the RIB's run waits while a queue is long (back-pressure to whoever feeds
 * us), but only for who takes PACE bytes in each PATIENCE_US. Any other is set apart, and nobody waits for it any more:
 *   in a walk:    it walks on alone, at its own pace, and hears changes while its queue has room for them
 *   otherwise:    its queue is dropped and it lags: it hears nothing until its queue is empty, and then all again in a
 *                 walk of its own, between BoRR and EoRR (RFC 7313), or its session is reset when it knows no such marks;
 *                 when End-of-RIB was dropped, too, it is sent all as far as that first, for before it BoRR counts for
 *                 nothing
 *   no room for a change: it has missed something; it hears no more changes, and all again when its walk is over
 *   all of it read, and nothing missed: it is one of many again
 * So its walk comes to its end at any pace, whatever changes meanwhile: nothing makes it begin anew before.
 *
 * Always true: counters of a group say how many prefixes of a family its class is told of; a member's queue holds
 * whole batches in the order of the changes; who lags or has missed something is set apart; nobody is in two walks at
 * once, nor in one while it lags, so that BoRR comes behind End-of-RIB; what waits for a peer is at most QUEUE_FULL and
 * what one slice of the RIB's run makes, or QUEUE_MOST and a batch when it is set apart.
 */
#include <stdio.h>
#include <string.h>

#include "fabricd/bgp/export.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"

#define QUEUE_FULL  (4u << 20)   /* bytes: above this a peer is waited for */
#define QUEUE_MOST  (6u << 20)   /* above this one that is set apart hears no changes */
#define QUEUE_WALK  (1u << 20)   /* the same for the walk of one that is set apart: the rest is for changes */
#define PATIENCE_US SECONDS(2)   /* a peer is waited for so long, and again when it took */
#define PACE        (1u << 20)   /* so many bytes meanwhile */
#define BATCH_FULL  (256u << 10) /* bytes of a batch before it is handed to the queues */
#define WALK_SLICE  2048         /* prefixes a slice of a walk */
#define CHAINS      4096         /* buckets for chaining the changes of a slice; a power of two */
#define NONE        UINT32_MAX
#define ALL         UINT32_MAX

struct group {
	struct group *next;
	struct export *ex;
	struct bgp_encode_opts opts;
	uint32_t class;
	struct bgp_build *build;
	enum family family;            /* of the batch in the builder, */
	const struct rib_source *skip; /* whom it is not for, */
	const struct rib_source *only; /* and whom alone it is for; NULL: all but skip */
	struct export_peer *members;
	uint64_t told[FAMILIES];    /* prefixes that the class is told of, among the entries below counted */
	uint32_t counted[FAMILIES]; /* ALL: every entry */
};

struct walk {
	struct walk *next;
	struct group *group;
	struct bgp_build *build;
	struct export_peer **peers;
	size_t npeers;
	uint8_t families; /* bits still to do */
	bool marked;      /* between BoRR and EoRR */
	bool end_of_rib;
	bool began;
	enum family family;
	uint32_t at;
	const struct attrs *attrs;       /* begun in the builder */
	const struct rib_source *source; /* of the last prefix */
	const struct rib_source *skip;   /* whom the batch in the builder is not for */
};

struct export_peer {
	struct export *ex;
	struct group *group;
	struct export_peer *next; /* in the group */
	struct bgp_peer *bgp;
	const struct rib_source *source;
	bool joining;    /* waits for its first walk */
	bool apart;      /* it reads slowly: nobody waits for it, until it has read all */
	bool lagging;    /* hears nothing until its queue is empty, and then all again */
	bool missed;     /* a change found no room */
	bool timed;      /* its queue was full, and is not half empty yet: */
	uint8_t refresh; /* families asked for again */
	struct mono timed_since;
	uint64_t out_seen; /* bytes that it had taken by then */
};

struct export
{
	struct mem *mem;
	struct rib *rib;
	uint32_t table;
	const struct export_ops *ops;
	void *arg;
	struct group *groups;
	struct walk *walks;
	bool wants_walk; /* some peer is joining, caught up, or asked for a refresh */
	bool apart;      /* some peer reads slowly */
	bool missed;     /* some peer has missed a change since export_ready() */
	bool counting;   /* some group does not know yet how much it is told */
	bool held;       /* who joins waits */
	struct chain {
		const struct attrs *attrs;
		const struct rib_source *skip;
		uint32_t first, last;
	} * chains; /* of the slice in hand, in order of appearance */
	uint32_t nchains;
	uint32_t *heads; /* CHAINS buckets: chain + 1 */
	uint32_t *next;  /* per change: the next one of its chain */
	size_t cap;
};

static void walk_free(struct export *, struct walk *);

struct export *
export_new(struct mem *mem, struct rib *rib, uint32_t table, const struct export_ops *ops, void *arg)
{
	struct export *ex = mem_zalloc(mem, MEM_EXPORT, sizeof(*ex));

	ex->mem = mem;
	ex->rib = rib;
	ex->table = table;
	ex->ops = ops;
	ex->arg = arg;
	ex->heads = mem_zalloc(mem, MEM_EXPORT, CHAINS * sizeof(*ex->heads));
	return ex;
}

void
export_free(struct export *ex)
{
	struct group *g;

	if (!ex)
		return;
	while (ex->walks)
		walk_free(ex, ex->walks);
	while ((g = ex->groups)) {
		ex->groups = g->next;
		bgp_build_free(g->build);
		mem_free(ex->mem, MEM_EXPORT, g);
	}
	mem_free(ex->mem, MEM_EXPORT, ex->heads);
	mem_free(ex->mem, MEM_EXPORT, ex->next);
	mem_free(ex->mem, MEM_EXPORT, ex->chains);
	mem_free(ex->mem, MEM_EXPORT, ex);
}

/* ---- groups ---- */

/* Enough to be handed to the queues. */
static bool
batch_full(const struct bgp_build *b)
{
	return bgp_build_bytes(b) >= BATCH_FULL;
}

/* So much waits for the peer that it is waited for. */
static bool
queue_full(const struct export_peer *p)
{
	return bgp_queue_bytes(p->bgp) > QUEUE_FULL;
}

static const struct path *
best_of(const struct path_list *l)
{
	return l && l->width ? &l->paths[l->best] : NULL;
}

/* The path that the group is told of this prefix with that list, or NULL. */
static const struct path *
told_path(const struct group *g, const struct prefix *p, const struct path_list *l)
{
	const struct path *best = best_of(l);

	if (g->opts.form[p->family] == BGP_NH_NONE)
		return NULL;
	if (best && best->attrs->v.flags & ATTRS_LLGR_STALE && !g->opts.long_lived) /* RFC 9494 4.5 */
		return NULL;
	return best && g->ex->ops->allowed(g->ex->arg, g->class, p, best) ? best : NULL;
}

/* A slice of counting what a new group is told; changes of entries that were counted keep it right meanwhile. */
static void
count_some(struct export *ex)
{
	struct rib_view v;

	ex->counting = false;
	for (struct group *g = ex->groups; g; g = g->next)
		for (int f = 0; f < FAMILIES; f++)
			for (unsigned int i = 0; g->counted[f] != ALL; i++) {
				if (i == WALK_SLICE) {
					ex->counting = true;
					return;
				}
				if (!rib_next(ex->rib, ex->table, (enum family)f, &g->counted[f], &v))
					g->counted[f] = ALL;
				else
					g->told[f] += told_path(g, &v.prefix, v.told) != NULL;
			}
}

static struct group *
group_get(struct export *ex, const struct bgp_encode_opts *opts, uint32_t class)
{
	struct group *g;

	for (g = ex->groups; g; g = g->next)
		if (g->class == class && memcmp(&g->opts, opts, sizeof(*opts)) == 0)
			return g;
	g = mem_zalloc(ex->mem, MEM_EXPORT, sizeof(*g));
	g->ex = ex;
	g->opts = *opts;
	g->class = class;
	g->build = bgp_build_new(ex->mem, opts);
	g->next = ex->groups;
	ex->groups = g;
	ex->counting = true;
	return g;
}

static uint8_t
families_of(const struct export_peer *p)
{
	return bgp_peer_facts(p->bgp)->families;
}

static bool
is_addressed(const struct group *g, const struct export_peer *p)
{
	if (p->lagging || p->missed || (p->joining && g->ex->held) || !(families_of(p) & 1 << g->family))
		return false;
	return g->only ? p->source == g->only : !g->skip || p->source != g->skip;
}

static void
send_to_members(struct group *g)
{
	struct bgp_batch *b = bgp_build_take(g->build);

	if (!b)
		return;
	for (struct export_peer *p = g->members; p; p = p->next) {
		if (!is_addressed(g, p))
			continue;
		if (p->apart && bgp_queue_bytes(p->bgp) > QUEUE_MOST)
			p->missed = g->ex->missed = true;
		else
			bgp_send(p->bgp, b);
	}
	bgp_batch_unref(b);
}

static void
address(struct group *g, const struct rib_source *skip, const struct rib_source *only)
{
	if (g->skip == skip && g->only == only)
		return;
	send_to_members(g);
	g->skip = skip;
	g->only = only;
}

static void
too_large(struct export *ex, const struct prefix *p)
{
	char text[BGP_REASON_TEXT], prefix[PREFIX_TEXT];

	snprintf(text, sizeof(text),
	    "%s is not announced: its attributes leave no room for it in a BGP message; shorten them at their origin",
	    prefix_print(p, prefix));
	ex->ops->event(ex->arg, NULL, "UPDATE_TOO_LARGE", text);
}

/* ---- changes ---- */

static void
chain_room(struct export *ex, size_t n)
{
	size_t cap = ex->cap;

	ex->next = mem_grow(ex->mem, MEM_EXPORT, ex->next, &cap, n, sizeof(*ex->next));
	ex->chains = mem_grow(ex->mem, MEM_EXPORT, ex->chains, &ex->cap, n, sizeof(*ex->chains));
}

static void
chain_add(struct export *ex, uint32_t change, const struct attrs *attrs, const struct rib_source *skip)
{
	uint32_t *head = &ex->heads[hash_u64((uintptr_t)skip, (uintptr_t)attrs) % CHAINS];
	struct chain *c = *head ? &ex->chains[*head - 1] : NULL;

	ex->next[change] = NONE;
	/* Two chains in one bucket: the newer one takes it; the other is merely cut into two. */
	if (!c || c->attrs != attrs || c->skip != skip) {
		c = &ex->chains[ex->nchains++];
		*c = (struct chain){ .attrs = attrs, .skip = skip, .first = change, .last = change };
		*head = ex->nchains;
		return;
	}
	ex->next[c->last] = change;
	c->last = change;
}

static void
chains_clear(struct export *ex)
{
	for (uint32_t i = 0; i < ex->nchains; i++)
		ex->heads[hash_u64((uintptr_t)ex->chains[i].skip, (uintptr_t)ex->chains[i].attrs) % CHAINS] = 0;
	ex->nchains = 0;
}

static void
build_chain(struct group *g, enum family family, const struct chain *c, const struct rib_change *changes)
{
	address(g, c->skip, NULL);
	if (bgp_build_reach(g->build, family, &c->attrs->v) < 0) {
		/* What cannot be said must not leave the older path standing at the peers. */
		for (uint32_t i = c->first; i != NONE; i = g->ex->next[i])
			too_large(g->ex, &changes[i].prefix);
		bgp_build_unreach(g->build, family);
	}
	for (uint32_t i = c->first; i != NONE; i = g->ex->next[i])
		bgp_build_prefix(g->build, &changes[i].prefix);
	if (batch_full(g->build))
		send_to_members(g);
}

/* Who has become the best source of what it was told by us before: the older path must not stay with it. */
static void
take_back(struct group *g, enum family family, const struct rib_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct path *was = told_path(g, &changes[i].prefix, changes[i].was);
		const struct path *now = told_path(g, &changes[i].prefix, changes[i].now);

		if (!was || !now || was->source == now->source)
			continue;
		if (g->only != now->source) {
			address(g, NULL, now->source);
			bgp_build_unreach(g->build, family);
		}
		bgp_build_prefix(g->build, &changes[i].prefix);
	}
}

static void
group_changed(struct group *g, enum family family, const struct rib_change *changes, size_t n)
{
	struct export *ex = g->ex;
	bool unreach = false, moved = false;

	chains_clear(ex);
	g->family = family;
	for (size_t i = 0; i < n; i++) {
		const struct path *was = told_path(g, &changes[i].prefix, changes[i].was);
		const struct path *now = told_path(g, &changes[i].prefix, changes[i].now);

		if (changes[i].entry < g->counted[family]) {
			g->told[family] += (now ? 1 : 0);
			g->told[family] -= (was ? 1 : 0);
		}
		if (!g->members)
			continue;
		if (now) {
			chain_add(ex, (uint32_t)i, now->attrs, now->source);
			moved |= was && was->source != now->source;
		} else if (was) {
			if (!unreach) {
				address(g, NULL, NULL);
				bgp_build_unreach(g->build, family);
			}
			unreach = true;
			bgp_build_prefix(g->build, &changes[i].prefix);
		}
	}
	for (uint32_t c = 0; c < ex->nchains; c++)
		build_chain(g, family, &ex->chains[c], changes);
	send_to_members(g);
	if (moved) {
		take_back(g, family, changes, n);
		send_to_members(g);
	}
}

void
export_changed(struct export *ex, enum family family, const struct rib_change *changes, size_t n)
{
	chain_room(ex, n);
	for (struct group *g = ex->groups; g; g = g->next)
		group_changed(g, family, changes, n);
}

/* ---- who walks ---- */

static struct walk *
walk_new(struct group *g, uint8_t families, bool marked, bool end_of_rib)
{
	struct walk *w = mem_zalloc(g->ex->mem, MEM_EXPORT, sizeof(*w)), **at;

	w->group = g;
	w->families = families;
	w->marked = marked;
	w->end_of_rib = end_of_rib;
	w->build = bgp_build_new(g->ex->mem, &g->opts);
	for (at = &g->ex->walks; *at;)
		at = &(*at)->next;
	*at = w;
	return w;
}

static void
walk_add(struct walk *w, struct export_peer *p)
{
	struct mem *mem = w->group->ex->mem;

	w->peers = mem_realloc(mem, MEM_EXPORT, w->peers, (w->npeers + 1) * sizeof(struct export_peer *));
	w->peers[w->npeers++] = p;
}

static void
walk_free(struct export *ex, struct walk *w)
{
	struct walk **at;

	for (at = &ex->walks; *at != w;)
		at = &(*at)->next;
	*at = w->next;
	bgp_build_free(w->build);
	mem_free(ex->mem, MEM_EXPORT, w->peers);
	mem_free(ex->mem, MEM_EXPORT, w);
}

static bool
is_walking(const struct walk *w, const struct rib_source *source)
{
	for (size_t i = 0; i < w->npeers; i++)
		if (w->peers[i]->source == source)
			return true;
	return false;
}

static void
leave_walks(struct export_peer *p)
{
	for (struct walk *w = p->ex->walks; w; w = w->next)
		for (size_t i = 0; i < w->npeers; i++)
			if (w->peers[i] == p) {
				w->peers[i] = w->peers[--w->npeers];
				break;
			}
}

/* ---- slow peers ---- */

static bool
can_hear_again(const struct export_peer *p)
{
	return (bgp_peer_facts(p->bgp)->caps & BGP_CAP_ENHANCED_REFRESH) != 0;
}

/* Or will at once. */
static bool
walks(const struct export_peer *p)
{
	for (const struct walk *w = p->ex->walks; w; w = w->next)
		if (is_walking(w, p->source))
			return true;
	return p->joining;
}

/* Those who walk with it need not wait for it: it goes on from where they are. */
static void
walk_alone(struct export_peer *p)
{
	for (struct walk *w = p->ex->walks; w; w = w->next)
		for (size_t i = 0; w->npeers > 1 && i < w->npeers; i++) {
			struct walk *own;

			if (w->peers[i] != p)
				continue;
			w->peers[i] = w->peers[--w->npeers];
			own = walk_new(w->group, w->families, w->marked, w->end_of_rib);
			own->began = w->began;
			own->at = w->at;
			walk_add(own, p);
		}
}

/* p is gone on return. */
static void
reset_slow(struct export_peer *p, struct mono now)
{
	p->ex->ops->event(p->ex->arg, p->bgp, "PEER_SLOW",
	    "the peer reads too slowly and cannot be sent all again later; its session is reset");
	bgp_peer_reset(p->bgp, BGP_CEASE_RESOURCES, "the peer reads too slowly", SECONDS(1), now);
}

static void
lag(struct export_peer *p)
{
	bgp_queue_drop(p->bgp);
	p->lagging = true;
	p->missed = false;
	p->ex->wants_walk = true; /* when nothing is left in the queue, nobody will say that it drained */
}

/* p may be gone on return: its session can end in here. */
static void
set_apart(struct export_peer *p, struct mono now)
{
	struct export *ex = p->ex;

	p->timed = false;
	if (!walks(p) && !can_hear_again(p)) {
		reset_slow(p, now);
		return;
	}
	p->apart = ex->apart = true;
	if (walks(p)) {
		ex->ops->event(ex->arg, p->bgp, "PEER_SLOW",
		    "the peer reads slowly, or not at all; it is sent the rest at its own pace");
		walk_alone(p);
	} else {
		ex->ops->event(ex->arg, p->bgp, "PEER_SLOW",
		    "the peer reads slowly, or not at all; it is sent all again at its own pace");
		lag(p);
	}
}

/* p may be gone on return. While it walks, what it missed waits for the end of that. */
static void
see_to_missed(struct export_peer *p, struct mono now)
{
	if (!can_hear_again(p))
		reset_slow(p, now);
	else if (!walks(p))
		lag(p);
}

/* p may be gone on return. False: it is waited for. */
static bool
peer_ready(struct export_peer *p, struct mono now)
{
	uint64_t out = bgp_peer_counters(p->bgp)->out_bytes;
	bool over = p->timed && mono_sub(now, p->timed_since) >= PATIENCE_US;

	if (p->missed)
		see_to_missed(p, now);
	else if (p->apart)
		return true;
	else if (!queue_full(p))
		p->timed &= bgp_queue_bytes(p->bgp) > QUEUE_FULL / 2;
	else if (!p->timed || (over && out - p->out_seen >= PACE)) {
		p->timed = true;
		p->timed_since = now;
		p->out_seen = out;
		return false;
	} else if (over)
		set_apart(p, now);
	else
		return false;
	return true;
}

bool
export_ready(struct export *ex, struct mono now)
{
	bool ready = true;

	ex->missed = false;
	for (struct group *g = ex->groups; g; g = g->next)
		for (struct export_peer *p = g->members, *next; p; p = next) {
			next = p->next;
			ready &= peer_ready(p, now);
		}
	return ready;
}

/* ---- walks ---- */

/* The mark of the first walk was dropped with the queue. */
static bool
owes_end_of_rib(const struct export_peer *p)
{
	return (families_of(p) & ~bgp_peer_facts(p->bgp)->end_of_rib_out) != 0;
}

/* Its queue is empty. */
static void
has_read_all(struct export_peer *p)
{
	if (p->lagging) {
		p->lagging = false;
		p->joining = owes_end_of_rib(p); /* RFC 7313 4: that comes first, and the table before it */
		p->refresh = families_of(p);
	} else if (!p->missed && !walks(p)) {
		p->apart = false;
	}
}

/* Gathers who waits into walks: joiners of a group walk together. A refresh waits for the walk that it comes into. */
static void
begin_walks(struct export *ex)
{
	bool apart = false;

	ex->wants_walk = false;
	for (struct group *g = ex->groups; g; g = g->next) {
		struct walk *joint = NULL;

		for (struct export_peer *p = g->members; p; p = p->next) {
			bool marked = can_hear_again(p);

			if (p->apart && bgp_queue_bytes(p->bgp) == 0)
				has_read_all(p);
			apart |= p->apart;
			if (p->joining) {
				struct walk *w = p->apart ? NULL : joint;

				if (!w) /* End-of-RIB behind it */
					w = walk_new(g, (1 << FAMILY_IPV4) | (1 << FAMILY_IPV6), false, true);
				walk_add(w, p);
				joint = p->apart ? joint : w;
				p->joining = false;
			}
			if (p->refresh && !p->lagging && !walks(p)) {
				walk_add(walk_new(g, p->refresh, marked, !marked), p);
				p->refresh = 0;
			}
		}
	}
	ex->apart = apart;
}

static void
walk_send(struct walk *w)
{
	struct bgp_batch *b = bgp_build_take(w->build);

	w->attrs = NULL;
	if (!b)
		return;
	for (size_t i = 0; i < w->npeers; i++) {
		struct export_peer *p = w->peers[i];

		if (families_of(p) & 1 << w->family && p->source != w->skip)
			bgp_send(p->bgp, b);
	}
	bgp_batch_unref(b);
}

static void
walk_mark(struct walk *w, enum bgp_refresh subtype)
{
	for (size_t i = 0; i < w->npeers; i++)
		if (w->marked)
			bgp_send_refresh(w->peers[i]->bgp, w->family, subtype);
}

static void
walk_prefix(struct walk *w, const struct rib_view *v)
{
	const struct path *best = told_path(w->group, &v->prefix, v->told);

	if (!best || (w->npeers == 1 && best->source == w->peers[0]->source))
		return;
	if (w->source != best->source) {
		const struct rib_source *skip = is_walking(w, best->source) ? best->source : NULL;

		if (skip != w->skip)
			walk_send(w);
		w->skip = skip;
		w->source = best->source;
	}
	if (w->attrs != best->attrs) {
		if (bgp_build_reach(w->build, w->family, &best->attrs->v) < 0) {
			w->attrs = NULL;
			too_large(w->group->ex, &v->prefix);
			return;
		}
		w->attrs = best->attrs;
	}
	bgp_build_prefix(w->build, &v->prefix);
}

/* Whether all who walk have room. */
static bool
walk_ready(const struct walk *w)
{
	for (size_t i = 0; i < w->npeers; i++) {
		const struct export_peer *p = w->peers[i];

		if (bgp_queue_bytes(p->bgp) > (p->apart ? QUEUE_WALK : QUEUE_FULL))
			return false;
	}
	return true;
}

/* Who missed a change meanwhile has to hear all again, as has who asked for it. */
static void
walk_over(struct export *ex, struct walk *w)
{
	for (size_t i = 0; i < w->npeers; i++) {
		struct export_peer *p = w->peers[i];

		p->lagging |= p->missed;
		p->missed = false;
		ex->wants_walk |= p->refresh != 0;
	}
	ex->wants_walk |= ex->apart; /* they may have read all by now */
	walk_free(ex, w);
}

/* One slice; frees the walk when it is done. */
static void
walk_some(struct export *ex, struct walk *w)
{
	struct rib_view v;

	if (w->npeers == 0 || w->families == 0) {
		walk_over(ex, w);
		return;
	}
	w->family = w->families & 1 << FAMILY_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6;
	if (!w->began) {
		walk_mark(w, BGP_REFRESH_BEGIN);
		w->began = true;
		w->at = 0;
	}
	w->source = w->skip = NULL; /* who walks may have changed */
	for (unsigned int i = 0; i < WALK_SLICE && !batch_full(w->build); i++) {
		if (rib_next(ex->rib, ex->table, w->family, &w->at, &v)) {
			walk_prefix(w, &v);
			continue;
		}
		walk_send(w);
		w->skip = NULL;
		if (w->end_of_rib)
			bgp_build_end_of_rib(w->build, w->family);
		walk_send(w);
		walk_mark(w, BGP_REFRESH_END);
		w->families &= (uint8_t) ~(1u << w->family);
		w->began = false;
		break;
	}
	/* The attributes in hand may be gone by the next slice: nothing is kept open across slices. */
	walk_send(w);
}

void
export_hold(struct export *ex, bool held)
{
	ex->held = held;
}

bool
export_pending(const struct export *ex)
{
	return (!ex->held && (ex->walks || ex->wants_walk)) || ex->counting || ex->missed;
}

bool
export_able(const struct export *ex)
{
	if (ex->counting || ex->held)
		return ex->counting;
	for (const struct walk *w = ex->walks; w; w = w->next)
		if (walk_ready(w))
			return true;
	return ex->wants_walk;
}

bool
export_run(struct export *ex)
{
	if (ex->counting)
		count_some(ex);
	if (ex->held)
		return ex->counting;
	if (ex->wants_walk)
		begin_walks(ex);
	for (struct walk *w = ex->walks; w; w = w->next)
		if (walk_ready(w)) {
			walk_some(ex, w);
			return ex->walks || ex->counting;
		}
	return ex->counting;
}

void
export_counted(struct export_peer *p, enum family f, uint64_t told)
{
	p->group->told[f] = told;
	p->group->counted[f] = ALL;
}

void
export_drained(struct export *ex)
{
	ex->wants_walk |= ex->apart;
}

/* ---- peers ---- */

struct export_peer *
export_peer_new(struct export *ex, struct bgp_peer *bgp, const struct rib_source *source, uint32_t class)
{
	struct bgp_encode_opts opts = bgp_peer_encode_opts(bgp);
	struct export_peer *p = mem_zalloc(ex->mem, MEM_EXPORT, sizeof(*p));

	p->ex = ex;
	p->bgp = bgp;
	p->source = source;
	p->group = group_get(ex, &opts, class);
	p->next = p->group->members;
	p->group->members = p;
	p->joining = true;
	ex->wants_walk = true;
	return p;
}

struct export_peer *
export_peer_resume(struct export *ex, struct bgp_peer *bgp, const struct rib_source *source, uint32_t class, bool lags)
{
	struct export_peer *p = export_peer_new(ex, bgp, source, class);

	p->joining = false;
	p->apart = p->lagging = lags;
	ex->apart |= lags;
	return p;
}

const void *
export_peer_group(const struct export_peer *p)
{
	return p->group;
}

bool
export_peer_lags(const struct export_peer *p)
{
	return p->lagging;
}

bool
export_peer_walks(const struct export_peer *p)
{
	return walks(p) || (p->refresh && !p->lagging);
}

void
export_peer_free(struct export_peer *p)
{
	struct export_peer **at;

	if (!p)
		return;
	leave_walks(p);
	for (at = &p->group->members; *at != p;)
		at = &(*at)->next;
	*at = p->next;
	mem_free(p->ex->mem, MEM_EXPORT, p);
}

void
export_peer_refresh(struct export_peer *p, enum family family)
{
	p->refresh |= (uint8_t)(1u << family);
	p->ex->wants_walk = true;
}

/* ---- views ---- */

bool
export_told(const struct export_peer *p, const struct rib_view *v)
{
	const struct path *best = told_path(p->group, &v->prefix, v->told);

	return best && best->source != p->source;
}

bool
export_told_group(const struct export_peer *p, const struct rib_view *v)
{
	return told_path(p->group, &v->prefix, v->told) != NULL;
}

int
export_attrs(const struct export_peer *p, const struct rib_view *v, uint8_t *buf, size_t size)
{
	const struct path *best = told_path(p->group, &v->prefix, v->told);

	return best ? bgp_attrs_out(&p->group->opts, &best->attrs->v, buf, size) : 0;
}

uint64_t
export_count(const struct export_peer *p, enum family family)
{
	return p->group->told[family];
}
