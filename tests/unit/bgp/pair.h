/*
 * tests/unit/bgp/pair.h -- two BGP engines back to back over byte pipes, in virtual time
 *
 * A world has two hosts; each has one peer, which is the other. connect() makes a pipe that is accepted, refused or
 * left hanging by the other host; bytes are delivered in pieces of random size from a seeded generator. run() moves
 * bytes until nothing moves, then turns the clock to the next deadline.
 */
#ifndef TESTS_UNIT_BGP_PAIR_H
#define TESTS_UNIT_BGP_PAIR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/bgp/session.h"
#include "fabricd/lib/base.h"

#define MAX_ENDS 64

struct host;

struct end {
	struct host *host;
	struct bgp_conn *conn; /* NULL: closed on this side */
	struct end *far;
	uint8_t *in; /* arrived, not yet consumed by the engine */
	size_t nin, cap_in;
	uint8_t *flight; /* on its way to far */
	size_t nflight, cap_flight;
	bool fin;   /* nothing follows what is in flight */
	bool stuck; /* far does not read: TCP takes nothing more than `window` */
	size_t window;
	bool pending; /* connect() not answered yet */
	bool lost;    /* a connect() that is never answered */
	bool used;
	size_t max_in; /* most that ever waited for the engine */
};

struct route {
	struct prefix prefix;
	struct bgp_next_hop next_hop;
	struct attrs_view attrs;
	uint8_t *wire;
};

struct host {
	struct world *world;
	const char *name;
	struct mem mem;
	struct bgp_scratch scratch;
	struct bgp_config cfg;
	struct bgp_peer *peer;
	struct host *other;
	bool refuses; /* connections to it fail */
	bool silent;  /* connections to it hang */
	/* what ops saw */
	unsigned int established, down, updates, refreshes[3], identities, states;
	unsigned int events[BGP_EVENT_KINDS];
	char last_event[512], last_identity[512], last_down[512], last_why[512];
	enum bgp_fate last_fate;
	uint8_t end_of_rib;
	uint8_t keeps; /* families whose paths it keeps while the peer restarts */
	uint8_t may_keep, ended_families;
	unsigned int stale_ends;
	enum bgp_stale_end last_end;
	uint64_t prefixes, withdrawn;
	struct route *routes;
	size_t nroutes, cap_routes;
	bool keep_routes;
	void (*on_update)(struct host *, const struct bgp_update *);
	void (*on_established)(struct host *);
	void (*tamper)(uint8_t *bytes, size_t n); /* with what it sends */
};

struct world {
	struct mono now;
	uint64_t rng;
	struct host a, b;
	struct end ends[MAX_ENDS];
	size_t chunk; /* pieces of 1 .. chunk octets; 0: all at once */
	unsigned int connects;
};

static uint32_t
world_random(struct world *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 16);
}

static struct end *
end_new(struct host *h)
{
	for (int i = 0; i < MAX_ENDS; i++) {
		struct end *e = &h->world->ends[i];

		if (e->used)
			continue;
		free(e->in);
		free(e->flight);
		memset(e, 0, sizeof(*e));
		e->used = true;
		e->host = h;
		e->window = SIZE_MAX;
		return e;
	}
	fail_msg("out of ends");
	return NULL;
}

static void
append(uint8_t **buf, size_t *n, size_t *cap, const uint8_t *bytes, size_t len)
{
	if (*n + len > *cap) {
		*cap = (*n + len) * 2;
		*buf = realloc(*buf, *cap);
	}
	if (len)
		memcpy(*buf + *n, bytes, len);
	*n += len;
}

/* ---- ops ---- */

static void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct host *h = arg;
	struct end *e = end_new(h), *f = end_new(h->other);

	h->world->connects++;
	e->conn = c;
	e->far = f;
	f->far = e;
	e->pending = true;
	bgp_conn_set_io(c, e);
}

static void
op_close(struct bgp_conn *c, const uint8_t *last, size_t n, void *arg UNUSED)
{
	struct end *e = bgp_conn_io(c);

	if (!e)
		return;
	if (n)
		append(&e->flight, &e->nflight, &e->cap_flight, last, n);
	e->conn = NULL;
	e->fin = true;
	e->nin = 0;
	if (e->pending) {
		e->pending = false;
		e->used = e->far->used = false;
	}
}

static void
op_ready(struct bgp_conn *c UNUSED, void *arg UNUSED)
{
}

static void
op_established(struct bgp_peer *p UNUSED, void *arg)
{
	struct host *h = arg;

	h->established++;
	if (h->on_established)
		h->on_established(h);
}

static void
op_down(struct bgp_peer *p UNUSED, const struct bgp_reason *r, void *arg)
{
	struct host *h = arg;

	h->down++;
	snprintf(h->last_down, sizeof(h->last_down), "%s", r->text);
}

static void
host_route(struct host *h, const struct prefix *p, const struct bgp_reach *reach, const struct attrs_view *v)
{
	struct route *r = NULL;

	for (size_t i = 0; i < h->nroutes && !r; i++)
		if (prefix_equal(&h->routes[i].prefix, p))
			r = &h->routes[i];
	if (!reach) {
		if (!r)
			return;
		free(r->wire);
		*r = h->routes[--h->nroutes];
		return;
	}
	if (!r) {
		if (h->nroutes == h->cap_routes) {
			h->cap_routes = h->cap_routes ? 2 * h->cap_routes : 64;
			h->routes = realloc(h->routes, h->cap_routes * sizeof(*r));
		}
		r = &h->routes[h->nroutes++];
		*r = (struct route){ .prefix = *p };
	}
	free(r->wire);
	r->next_hop = reach->next_hop;
	r->attrs = *v;
	r->wire = malloc(v->wire_len + 1u);
	memcpy(r->wire, v->wire, v->wire_len);
	r->attrs.wire = r->wire;
}

static void
op_update(struct bgp_peer *p UNUSED, const struct bgp_update *u, void *arg)
{
	struct host *h = arg;
	struct prefix prefix;

	h->updates++;
	h->last_fate = u->fate;
	h->end_of_rib |= u->end_of_rib;
	for (unsigned int i = 0; i < u->nwithdrawn; i++) {
		struct bgp_nlri n = u->withdrawn[i];

		while (bgp_nlri_next(&n, &prefix)) {
			h->withdrawn++;
			if (h->keep_routes)
				host_route(h, &prefix, NULL, NULL);
		}
	}
	for (unsigned int i = 0; i < u->nreach; i++) {
		struct bgp_nlri n = u->reach[i].nlri;

		while (bgp_nlri_next(&n, &prefix)) {
			h->prefixes++;
			if (h->keep_routes)
				host_route(h, &prefix, &u->reach[i], &u->attrs);
		}
	}
	if (h->on_update)
		h->on_update(h, u);
}

static void
op_refresh(struct bgp_peer *p UNUSED, enum family f UNUSED, enum bgp_refresh what, void *arg)
{
	struct host *h = arg;

	h->refreshes[what]++;
}

static void
op_state(struct bgp_peer *p UNUSED, enum bgp_state was, enum bgp_state is, const char *why, void *arg)
{
	struct host *h = arg;

	assert_int_not_equal(was, is);
	h->states++;
	snprintf(h->last_why, sizeof(h->last_why), "%s", why);
	if (is == BGP_IDLE)
		assert_true(strlen(why) > 0);
}

static void
op_identity(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg)
{
	struct host *h = arg;

	h->identities++;
	snprintf(h->last_identity, sizeof(h->last_identity), "%s", text);
}

static void
op_event(struct bgp_peer *p UNUSED, enum bgp_event_kind kind, const char *text, uint64_t suppressed UNUSED, void *arg)
{
	struct host *h = arg;

	h->events[kind]++;
	snprintf(h->last_event, sizeof(h->last_event), "%s", text);
}

static uint32_t
op_random(void *arg)
{
	return world_random(((struct host *)arg)->world);
}

static uint8_t
op_keep(struct bgp_peer *p UNUSED, const struct bgp_reason *r UNUSED, uint8_t families, void *arg)
{
	struct host *h = arg;

	h->may_keep = families;
	return families & h->keeps;
}

static void
op_stale_end(struct bgp_peer *p UNUSED, uint8_t families, enum bgp_stale_end why, const char *text, void *arg)
{
	struct host *h = arg;

	assert_true(families && strlen(text) > 0);
	h->stale_ends++;
	h->ended_families |= families;
	h->last_end = why;
}

static const struct bgp_ops test_ops = { .connect = op_connect,
	.close = op_close,
	.output_ready = op_ready,
	.established = op_established,
	.down = op_down,
	.update = op_update,
	.refresh = op_refresh,
	.state_changed = op_state,
	.identity = op_identity,
	.event = op_event,
	.random = op_random,
	.keep = op_keep,
	.stale_end = op_stale_end };

/* ---- the world ---- */

/* AS 65001 with identifier 10.0.0.1 and AS 65002 with 10.0.0.2, each knowing the other; not started. */
static struct world *
world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct host *h[2] = { &w->a, &w->b };

	w->rng = seed * 0x9e3779b97f4a7c15ull + 1;
	w->now.us = SECONDS(1000);
	for (uint32_t i = 0; i < 2; i++) {
		h[i]->world = w;
		h[i]->name = i ? "b" : "a";
		h[i]->other = h[!i];
		h[i]->cfg = (struct bgp_config){ .name = i ? "to-a" : "to-b",
			.local_as = 65001 + i,
			.router_id = 0x0a000001 + i,
			.peer_as = 65002 - i,
			.peer_id = 0x0a000002 - i,
			.hostname = i ? "host-b" : "host-a",
			.link_local_ok = true };
	}
	return w;
}

static void
world_make(struct world *w)
{
	struct host *h[2] = { &w->a, &w->b };

	for (int i = 0; i < 2; i++) {
		h[i]->peer = bgp_peer_new(&h[i]->mem, &h[i]->scratch, &h[i]->cfg, &test_ops, h[i]);
		bgp_peer_start(h[i]->peer, w->now);
	}
}

static void
world_free(struct world *w)
{
	struct host *h[2] = { &w->a, &w->b };

	for (int i = 0; i < 2; i++) {
		bgp_peer_free(h[i]->peer);
		for (size_t k = 0; k < h[i]->nroutes; k++)
			free(h[i]->routes[k].wire);
		free(h[i]->routes);
		for (int k = 0; k < MEM_KINDS; k++)
			if (h[i]->mem.by[k].bytes)
				fail_msg(
				    "%s leaks %zu bytes of %s", h[i]->name, h[i]->mem.by[k].bytes, mem_kind_name(k));
	}
	for (int i = 0; i < MAX_ENDS; i++) {
		free(w->ends[i].in);
		free(w->ends[i].flight);
	}
	free(w);
}

/* Lets the engine read what has arrived. True: something was consumed. */
static bool
end_read(struct end *e)
{
	struct world *w = e->host->world;
	bool moved = false;

	do {
		size_t n;

		if (!e->conn || e->nin == 0)
			break;
		n = bgp_input(e->conn, e->in, e->nin, w->now);
		if (!e->conn)
			return true;
		assert_true(n <= e->nin);
		memmove(e->in, e->in + n, e->nin - n);
		e->nin -= n;
		moved |= n > 0;
	} while (e->conn && bgp_input_pending(e->conn));
	return moved;
}

static bool
end_write(struct end *e)
{
	struct world *w = e->host->world;
	uint8_t buf[3000];
	size_t room = MIN_OF(sizeof(buf), e->window - MIN_OF(e->nflight, e->window)), n;

	if (!e->conn || e->pending || room == 0)
		return false;
	n = bgp_output(e->conn, buf, w->chunk ? 1 + world_random(w) % room : room, w->now);
	if (n == 0)
		return false;
	if (e->host->tamper)
		e->host->tamper(buf, n);
	append(&e->flight, &e->nflight, &e->cap_flight, buf, n);
	bgp_wrote(e->conn, n, w->now);
	return true;
}

/* Moves some bytes of e to its far end. */
static bool
end_deliver(struct end *e)
{
	struct world *w = e->host->world;
	struct end *f = e->far;
	size_t n = e->nflight;

	if (e->stuck || e->pending || !f)
		return false;
	if (n == 0) {
		if (!e->fin || !f->conn)
			return false;
		bgp_closed(f->conn, "closed by the peer", w->now);
		return true;
	}
	if (w->chunk) {
		size_t piece = 1 + world_random(w) % w->chunk;

		n = MIN_OF(n, piece);
	}
	if (f->conn) {
		append(&f->in, &f->nin, &f->cap_in, e->flight, n);
		f->max_in = MAX_OF(f->max_in, f->nin);
	}
	memmove(e->flight, e->flight + n, e->nflight - n);
	e->nflight -= n;
	end_read(f);
	return true;
}

static bool
end_connect(struct end *e)
{
	struct world *w = e->host->world;
	struct host *to = e->host->other;
	struct bgp_conn *c;

	if (!e->pending || e->lost || to->silent)
		return false;
	c = to->refuses ? NULL : bgp_accept(to->peer, w->now, NULL);
	if (!e->pending) /* accepting may have ended our own attempt by way of nothing: it cannot */
		return true;
	e->pending = false;
	if (!c) {
		struct bgp_conn *mine = e->conn;

		e->conn = NULL;
		e->used = e->far->used = false;
		bgp_conn_set_io(mine, NULL);
		bgp_connect_failed(mine, "connection refused", w->now);
		return true;
	}
	e->far->conn = c;
	bgp_conn_set_io(c, e->far);
	bgp_connected(e->conn, w->now);
	return true;
}

/* One round over all ends in random order. */
static bool
world_move(struct world *w)
{
	bool moved = false;
	uint32_t first = world_random(w) % MAX_ENDS;

	for (uint32_t i = 0; i < MAX_ENDS; i++) {
		struct end *e = &w->ends[(first + i) % MAX_ENDS];

		if (!e->used)
			continue;
		moved |= end_connect(e);
		moved |= end_write(e);
		moved |= end_deliver(e);
		if (!e->conn && e->far && !e->far->conn && !e->pending && !e->far->pending)
			e->used = e->far->used = false;
	}
	return moved;
}

/* Runs until the clock stands at `until`, or until done() holds. */
static bool
world_run(struct world *w, int64_t us, bool (*done)(struct world *))
{
	struct mono until = mono_add(w->now, us);

	for (;;) {
		struct mono next;

		while (world_move(w))
			if (done && done(w))
				return true;
		if (done && done(w))
			return true;
		next = mono_min(bgp_deadline(w->a.peer), bgp_deadline(w->b.peer));
		if (next.us > until.us) {
			w->now = until;
			return false;
		}
		if (next.us > w->now.us)
			w->now = next;
		bgp_timer(w->a.peer, w->now);
		bgp_timer(w->b.peer, w->now);
	}
}

static bool UNUSED
both_up(struct world *w)
{
	return bgp_peer_state(w->a.peer) == BGP_ESTABLISHED && bgp_peer_state(w->b.peer) == BGP_ESTABLISHED;
}

static void UNUSED
links_up(struct world *w)
{
	bgp_peer_link_up(w->a.peer, w->now);
	bgp_peer_link_up(w->b.peer, w->now);
}

/* The end of h's Established connection. */
static UNUSED struct end *
up_end(struct host *h)
{
	for (int i = 0; i < MAX_ENDS; i++) {
		struct end *e = &h->world->ends[i];

		if (e->used && e->host == h && e->conn && bgp_conn_state(e->conn) == BGP_ESTABLISHED)
			return e;
	}
	return NULL;
}

static size_t UNUSED
open_ends(struct host *h)
{
	size_t n = 0;

	for (int i = 0; i < MAX_ENDS; i++)
		n += h->world->ends[i].used && h->world->ends[i].host == h && h->world->ends[i].conn;
	return n;
}

#endif
