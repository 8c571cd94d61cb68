/*
 * tests/unit/bgp/lines.h -- export against real sessions, and a plain model of who must know what
 *
 *   RIB --> export --> near engine ==byte pipe==> far engine --> what the far side holds, by number
 *
 * Each line is one neighbour: a near engine that belongs to the switch under test and the far engine of the neighbour,
 * which keeps what it hears as a router would, refreshes included. Each line is a source of the RIB as well. The model
 * knows who offers which attributes for which prefix, and says what each neighbour must hold: the best path, unless it
 * is its own, its class is not told of it, or it does not fit into a message.
 */
#ifndef TESTS_UNIT_BGP_LINES_H
#define TESTS_UNIT_BGP_LINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/bgp/export.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

#define LINES    6
#define PREFIXES 4096
#define SETS     4100
#define FIRST_AS 70000 /* the origin AS of set number 0 */
#define NOTHING  (-1)
#define PIPE     (64u << 10) /* octets that a pipe takes when nobody reads */
#define BIG      3800        /* octets of communities that fill most of a message */
#define TOO_BIG  4064        /* that leave no room for a prefix in 4,096 octets */

enum { CLASS_ABOVE, CLASS_BELOW, CLASS_EVEN };

struct fixture;

struct pipe {
	uint8_t *bytes;
	size_t n, cap;
};

struct line {
	struct fixture *t;
	unsigned int index;
	struct bgp_peer *near, *far;
	struct bgp_conn *near_conn, *far_conn;
	bool dials, reads;
	size_t pace, credit; /* octets that TCP takes in a second, if not all at once; that it takes now */
	bool kept;           /* its paths stay when its session ends, as over a restart */
	struct pipe to_far, to_near;
	struct rib_source source;
	struct export_peer *export;
	uint32_t class, caps;
	/* what the far side holds */
	int16_t holds[FAMILIES][PREFIXES];
	bool stale[FAMILIES][PREFIXES];
	uint8_t end_of_rib;
	unsigned int begins, ends, updates;
};

struct fixture {
	struct mem mem;
	struct bgp_scratch scratch;
	struct rib *rib;
	struct export *export;
	struct line line[LINES];
	struct attrs *set[SETS];
	size_t set_octets[SETS];
	struct mono now;
	int16_t offers[FAMILIES][PREFIXES][LINES];
	unsigned int slow_events, large_events;
};

static inline struct prefix
prefix_no(enum family f, unsigned int i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 64 };

	p.b[0] = f == FAMILY_IPV4 ? 10 : 0xfd;
	put_u16(p.b + 1, (uint16_t)i);
	return p;
}

static inline unsigned int
number_of(const struct prefix *p)
{
	return get_u16(p->b + 1);
}

/* ---- the far side ---- */

static inline void
far_update(struct bgp_peer *p UNUSED, const struct bgp_update *u, void *arg)
{
	struct line *l = arg;
	struct prefix prefix;

	l->updates++;
	l->end_of_rib |= u->end_of_rib;
	assert_true(u->fate <= BGP_FATE_DISCARD);
	for (unsigned int i = 0; i < u->nwithdrawn; i++)
		for (struct bgp_nlri n = u->withdrawn[i]; bgp_nlri_next(&n, &prefix);)
			l->holds[prefix.family][number_of(&prefix)] = NOTHING;
	for (unsigned int i = 0; i < u->nreach; i++)
		for (struct bgp_nlri n = u->reach[i].nlri; bgp_nlri_next(&n, &prefix);) {
			l->holds[prefix.family][number_of(&prefix)] = (int16_t)(u->attrs.origin_as - FIRST_AS);
			l->stale[prefix.family][number_of(&prefix)] = false;
			assert_int_equal(u->attrs.first_as, 65000);
			/* the next hop of this very line */
			if (prefix.family == FAMILY_IPV4)
				assert_int_equal(ip_to_v4(&u->reach[i].next_hop.global), 0xc0000200 + l->index);
			else
				assert_int_equal(u->reach[i].next_hop.link_local.b[15], l->index + 1);
		}
}

/* RFC 7313 4: before End-of-RIB a beginning is not heeded, and then nothing is in doubt at the end. */
static inline void
far_refresh(struct bgp_peer *p, enum family f, enum bgp_refresh what, void *arg)
{
	struct line *l = arg;

	if (what == BGP_REFRESH_BEGIN) {
		if (!(bgp_peer_facts(p)->end_of_rib_in & 1 << f))
			return;
		l->begins++;
		for (unsigned int i = 0; i < PREFIXES; i++)
			l->stale[f][i] = l->holds[f][i] != NOTHING;
	} else if (what == BGP_REFRESH_END) {
		l->ends++;
		for (unsigned int i = 0; i < PREFIXES; i++)
			if (l->stale[f][i])
				l->holds[f][i] = NOTHING;
		memset(l->stale[f], 0, sizeof(l->stale[f]));
	}
}

static inline void
far_forget(struct line *l)
{
	memset(l->holds, 0xff, sizeof(l->holds));
	memset(l->stale, 0, sizeof(l->stale));
	l->end_of_rib = 0;
}

static inline void
far_up(struct bgp_peer *p UNUSED, void *arg)
{
	far_forget(arg);
}

static inline void
far_down(struct bgp_peer *p UNUSED, const struct bgp_reason *why UNUSED, void *arg)
{
	far_forget(arg);
}

/* ---- the near side, as a node does it ---- */

static inline void
near_up(struct bgp_peer *p, void *arg)
{
	struct line *l = arg;
	struct bgp_next_hop v4 = { .has_global = true, .global = ip_v4(0xc0000200 + l->index) }, v6 = { 0 };

	v6.has_link_local = true;
	v6.link_local = (struct ip){ .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [15] = (uint8_t)(l->index + 1) } };
	bgp_peer_set_next_hop(p, FAMILY_IPV4, &v4);
	bgp_peer_set_next_hop(p, FAMILY_IPV6, &v6);
	rib_source_up(l->t->rib, &l->source);
	l->export = export_peer_new(l->t->export, p, &l->source, l->class);
}

static inline void
near_down(struct bgp_peer *p UNUSED, const struct bgp_reason *why UNUSED, void *arg)
{
	struct line *l = arg;

	export_peer_free(l->export);
	l->export = NULL;
	if (l->kept)
		return;
	rib_source_down(l->t->rib, &l->source);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++)
			l->t->offers[f][i][l->index] = NOTHING;
}

static inline void
near_refresh(struct bgp_peer *p UNUSED, enum family f, enum bgp_refresh what, void *arg)
{
	struct line *l = arg;

	if (what == BGP_REFRESH_REQUEST)
		export_peer_refresh(l->export, f);
}

static inline void
near_update(struct bgp_peer *p UNUSED, const struct bgp_update *u UNUSED, void *arg UNUSED)
{
}

/* ---- both ---- */

static inline void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct line *l = arg;

	l->near_conn = c;
	l->dials = true;
}

static inline void
op_close(struct bgp_conn *c, const uint8_t *last UNUSED, size_t n UNUSED, void *arg)
{
	struct line *l = arg;

	if (c == l->near_conn)
		l->near_conn = NULL;
	else if (c == l->far_conn)
		l->far_conn = NULL;
	l->to_far.n = l->to_near.n = 0;
}

static inline void
op_ready(struct bgp_conn *c UNUSED, void *arg UNUSED)
{
}

static inline void
op_state(struct bgp_peer *p UNUSED, enum bgp_state was UNUSED, enum bgp_state is UNUSED, const char *why UNUSED,
    void *arg UNUSED)
{
}

static inline void
op_identity(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg UNUSED)
{
	fail_msg("%s", text);
}

static inline void
op_event(struct bgp_peer *p UNUSED, enum bgp_event_kind kind UNUSED, const char *text UNUSED,
    uint64_t suppressed UNUSED, void *arg UNUSED)
{
}

static inline uint32_t
op_random(void *arg UNUSED)
{
	return 0;
}

UNUSED static const struct bgp_ops near_ops = { .connect = op_connect,
	.close = op_close,
	.output_ready = op_ready,
	.established = near_up,
	.down = near_down,
	.update = near_update,
	.refresh = near_refresh,
	.state_changed = op_state,
	.identity = op_identity,
	.event = op_event,
	.random = op_random };
UNUSED static const struct bgp_ops far_ops = { .connect = op_connect,
	.close = op_close,
	.output_ready = op_ready,
	.established = far_up,
	.down = far_down,
	.update = far_update,
	.refresh = far_refresh,
	.state_changed = op_state,
	.identity = op_identity,
	.event = op_event,
	.random = op_random };

static inline void
pipe_room(struct pipe *p, size_t n)
{
	if (p->cap < p->n + n)
		p->bytes = realloc(p->bytes, p->cap = 2 * (p->n + n));
}

/* Octets that are taken from the end that writes into the pipe. */
static inline size_t
room(const struct line *l, const struct pipe *p)
{
	size_t n = PIPE - MIN_OF(p->n, PIPE);

	return l->pace && p == &l->to_far ? MIN_OF(n, l->credit) : n;
}

/* Moves what one end has to say; true: something moved. */
static inline bool
carry(struct line *l, struct bgp_conn **from, struct pipe *p, struct bgp_conn **to, bool reads)
{
	size_t got = 0, used = 0;

	if (*from && room(l, p)) {
		pipe_room(p, PIPE);
		got = bgp_output(*from, p->bytes + p->n, room(l, p), l->t->now);
		p->n += got;
		l->credit -= l->pace && p == &l->to_far ? got : 0;
		if (*from)
			bgp_wrote(*from, got, l->t->now);
	}
	if (*to && reads && p->n) {
		used = bgp_input(*to, p->bytes, p->n, l->t->now);
		used = MIN_OF(used, p->n); /* closed from within: the pipe is empty */
		memmove(p->bytes, p->bytes + used, p->n - used);
		p->n -= used;
	}
	return got || used;
}

static inline bool
pump(struct line *l)
{
	bool moved = false;

	if (l->dials && l->near_conn) {
		l->dials = false;
		moved = true;
		l->far_conn = bgp_accept(l->far, l->t->now, NULL);
		if (l->far_conn)
			bgp_connected(l->near_conn, l->t->now);
		else
			bgp_connect_failed(l->near_conn, "refused", l->t->now);
	}
	moved |= carry(l, &l->near_conn, &l->to_far, &l->far_conn, l->reads);
	moved |= carry(l, &l->far_conn, &l->to_near, &l->near_conn, true);
	if (!l->near_conn != !l->far_conn && !l->dials) { /* one end closed: so does the other */
		if (l->near_conn)
			bgp_closed(l->near_conn, "closed by the peer", l->t->now);
		else
			bgp_closed(l->far_conn, "closed by the peer", l->t->now);
		moved = true;
	}
	if (mono_due(bgp_deadline(l->near), l->t->now))
		bgp_timer(l->near, l->t->now);
	if (mono_due(bgp_deadline(l->far), l->t->now))
		bgp_timer(l->far, l->t->now);
	return moved;
}

/* One turn of the switch's work; true: there is more. */
static inline bool
turn(struct fixture *t)
{
	bool more = rib_run(t->rib);

	if (export_pending(t->export))
		more |= export_run(t->export);
	if (!more && !export_pending(t->export))
		return false;
	return export_ready(t->export, t->now) && (more || export_able(t->export));
}

static inline void
settle(struct fixture *t)
{
	for (bool moved = true; moved;) {
		moved = turn(t);
		for (unsigned int i = 0; i < LINES; i++)
			if (pump(&t->line[i])) {
				export_drained(t->export);
				moved = true;
			}
		t->now.us++;
	}
}

static inline void
pass_time(struct fixture *t, int64_t us)
{
	t->now.us += us;
	for (unsigned int i = 0; i < LINES; i++)
		t->line[i].credit = MIN_OF(t->line[i].credit + t->line[i].pace * (size_t)us / SECONDS(1), PIPE);
	settle(t);
}

/* ---- the switch ---- */

static inline bool
allowed(void *arg UNUSED, uint32_t export_class, const struct prefix *p, const struct path *best)
{
	if (export_class == CLASS_ABOVE)
		return best->source->side != RIB_ABOVE;
	return export_class == CLASS_BELOW || number_of(p) % 2 == 0;
}

static inline void
event(void *arg, struct bgp_peer *bgp UNUSED, const char *type, const char *text)
{
	struct fixture *t = arg;

	assert_true(strlen(text) > 20);
	t->slow_events += strcmp(type, "PEER_SLOW") == 0;
	t->large_events += strcmp(type, "UPDATE_TOO_LARGE") == 0;
}

static inline void
changed(void *arg, uint32_t table UNUSED, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	export_changed(t->export, f, c, n);
}

static inline bool
ready(void *arg)
{
	struct fixture *t = arg;

	return export_ready(t->export, t->now);
}

static inline struct mono
now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

/* Local paths have no route in the FIB, so nothing of it is needed. */
UNUSED static const struct rib_ops rib_ops = { .changed = changed, .export_ready = ready, .now = now };
UNUSED static const struct export_ops export_ops = { .allowed = allowed, .event = event };

static inline void
line_init(struct line *l, uint32_t caps)
{
	struct bgp_config near = { .name = "near",
		.local_as = 65000,
		.router_id = 0x0a000001,
		.peer_as = 65100 + l->index,
		.hold_s = 60000,
		.caps = caps,
		.polite_us = -1,
		.retry_us = MS(1),
		.idle_hold_us = MS(1),
		.link_local_ok = true,
		.send_hold_us = -1,
		.refresh_us = 1 };
	struct bgp_config far = near;

	far.name = "far";
	far.local_as = near.peer_as;
	far.router_id = 0x0a000002 + l->index;
	far.peer_as = near.local_as;
	far.passive = true;
	far_forget(l);
	l->reads = true;
	l->caps = caps;
	l->near = bgp_peer_new(&l->t->mem, &l->t->scratch, &near, &near_ops, l);
	l->far = bgp_peer_new(&l->t->mem, &l->t->scratch, &far, &far_ops, l);
	l->source = (struct rib_source){ .router_id = 100 + l->index, .owner = l };
	assert_int_equal(rib_source_add(l->t->rib, &l->source), 0);
	bgp_peer_start(l->near, l->t->now);
	bgp_peer_start(l->far, l->t->now);
}

#define CAPS                                                                                                           \
	(BGP_CAP_MP_IPV4 | BGP_CAP_MP_IPV6 | BGP_CAP_REFRESH | BGP_CAP_AS4 | BGP_CAP_ENHANCED_REFRESH |                \
	    BGP_CAP_EXTENDED_MESSAGE)

/* Lines 0 and 1 above; 2 and 3 below; 4 below with short messages; 5 hears the even ones, IPv4 alone. */
static inline struct fixture *
fixture(void)
{
	static const struct {
		uint32_t class, caps;
		enum rib_side side;
	} lines[LINES] = {
		{ CLASS_ABOVE, CAPS, RIB_ABOVE },
		{ CLASS_ABOVE, CAPS, RIB_ABOVE },
		{ CLASS_BELOW, CAPS, RIB_BELOW },
		{ CLASS_BELOW, CAPS, RIB_BELOW },
		{ CLASS_BELOW, CAPS & ~(uint32_t)(BGP_CAP_EXTENDED_MESSAGE | BGP_CAP_ENHANCED_REFRESH), RIB_BELOW },
		{ CLASS_EVEN, CAPS & ~(uint32_t)BGP_CAP_MP_IPV6, RIB_EXTERNAL },
	};
	struct fixture *t = calloc(1, sizeof(*t));
	struct rib_config cfg = { .mem = &t->mem, .seed = 3 };

	memset(t->offers, 0xff, sizeof(t->offers));
	t->now.us = SECONDS(10);
	t->rib = rib_new(&cfg, &rib_ops, t);
	t->export = export_new(&t->mem, t->rib, RIB_MAIN_TABLE, &export_ops, t);
	for (unsigned int i = 0; i < LINES; i++) {
		t->line[i].t = t;
		t->line[i].index = i;
		t->line[i].class = lines[i].class;
		line_init(&t->line[i], lines[i].caps);
		t->line[i].source.side = (uint8_t)lines[i].side;
	}
	return t;
}

static inline void
line_up(struct fixture *t, unsigned int i)
{
	bgp_peer_link_up(t->line[i].near, t->now);
	bgp_peer_link_up(t->line[i].far, t->now);
	pass_time(t, MS(100));
	assert_int_equal(bgp_peer_state(t->line[i].near), BGP_ESTABLISHED);
	assert_int_equal(bgp_peer_state(t->line[i].far), BGP_ESTABLISHED);
}

static inline void
line_down(struct fixture *t, unsigned int i)
{
	bgp_peer_link_down(t->line[i].near, "cut", t->now);
	bgp_peer_link_down(t->line[i].far, "cut", t->now);
}

static inline struct fixture *
all_up(void)
{
	struct fixture *t = fixture();

	for (unsigned int i = 0; i < LINES; i++)
		line_up(t, i);
	return t;
}

static inline void
done(struct fixture *t)
{
	for (unsigned int i = 0; i < LINES; i++) {
		t->line[i].kept = false;
		line_down(t, i);
		rib_source_down(t->rib, &t->line[i].source);
	}
	settle(t);
	for (unsigned int i = 0; i < LINES; i++) {
		struct line *l = &t->line[i];

		if (!(l->caps & BGP_CAP_MP_IPV6)) { /* nothing of a family that was not agreed upon */
			assert_int_equal(bgp_peer_counters(l->near)->prefixes_out[FAMILY_IPV6], 0);
			assert_int_equal(bgp_peer_counters(l->near)->withdrawn_out[FAMILY_IPV6], 0);
		}
		bgp_peer_free(l->near);
		bgp_peer_free(l->far);
		rib_source_remove(t->rib, &l->source);
		free(l->to_far.bytes);
		free(l->to_near.bytes);
	}
	for (unsigned int i = 0; i < SETS; i++)
		attrs_unref(rib_attrs(t->rib), t->set[i]);
	assert_int_equal(attrs_table_count(rib_attrs(t->rib)), 0);
	export_free(t->export);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

/* Set number i, with so many octets of communities. */
static inline struct attrs *
set_no(struct fixture *t, unsigned int i, size_t octets)
{
	uint8_t wire[8192];
	struct wr w = wr_make(wire, sizeof(wire));
	struct attrs_view v = { .path_len = 1, .first_as = FIRST_AS + i, .origin_as = FIRST_AS + i };

	if (t->set[i])
		return t->set[i];
	wr_u32(&w, 0x40010100);
	wr_bytes(&w, (uint8_t[]){ 0x40, 2, 6, 2, 1 }, 5);
	wr_u32(&w, FIRST_AS + i);
	if (octets) {
		wr_bytes(&w, (uint8_t[]){ 0xd0, 8 }, 2);
		wr_u16(&w, (uint16_t)octets);
		for (size_t k = 0; k < octets; k += 4)
			wr_u32(&w, 0xfde80000u + (uint32_t)k);
	}
	v.wire = wire;
	v.wire_len = (uint16_t)wr_len(&w);
	t->set_octets[i] = octets;
	return t->set[i] = attrs_intern(rib_attrs(t->rib), &v);
}

static inline void
offer(struct fixture *t, unsigned int line, enum family f, unsigned int i, unsigned int set, size_t octets)
{
	struct prefix p = prefix_no(f, i);

	rib_announce(t->rib, RIB_MAIN_TABLE, &t->line[line].source, &p, set_no(t, set, octets), NULL);
	t->offers[f][i][line] = (int16_t)set;
}

static inline void
retract(struct fixture *t, unsigned int line, enum family f, unsigned int i)
{
	struct prefix p = prefix_no(f, i);

	rib_withdraw(t->rib, RIB_MAIN_TABLE, &t->line[line].source, &p);
	t->offers[f][i][line] = NOTHING;
}

/* The session of a line comes up, and nothing is done for it yet. */
static inline void
joins(struct fixture *t, unsigned int i)
{
	bgp_peer_link_up(t->line[i].near, t->now);
	bgp_peer_link_up(t->line[i].far, t->now);
	for (unsigned int n = 0; !t->line[i].export && n < 10; n++) {
		t->now.us += MS(100);
		pump(&t->line[i]);
	}
	assert_non_null(t->line[i].export);
}

/* ---- the model ---- */

static inline int
best_line(const struct fixture *t, int f, unsigned int i)
{
	int best = NOTHING;

	for (int k = 0; k < LINES; k++)
		if (t->offers[f][i][k] != NOTHING &&
		    (best == NOTHING || t->line[k].source.side < t->line[best].source.side))
			best = k; /* the nearer side, then the lower router id */
	return best;
}

static inline int
must_hold(const struct fixture *t, const struct line *l, int f, unsigned int i)
{
	int best = best_line(t, f, i);
	int16_t set = best == NOTHING ? NOTHING : t->offers[f][i][best];

	if (best == NOTHING || best == (int)l->index)
		return NOTHING;
	if (!(l->caps & (f == FAMILY_IPV4 ? BGP_CAP_MP_IPV4 : BGP_CAP_MP_IPV6)))
		return NOTHING;
	if (l->class == CLASS_ABOVE && t->line[best].source.side == RIB_ABOVE)
		return NOTHING;
	if (l->class == CLASS_EVEN && i % 2)
		return NOTHING;
	if (t->set_octets[set] == TOO_BIG && !(l->caps & BGP_CAP_EXTENDED_MESSAGE))
		return NOTHING;
	return set;
}

static inline void
compare(const struct fixture *t, const char *when)
{
	for (unsigned int k = 0; k < LINES; k++) {
		const struct line *l = &t->line[k];

		if (!l->export || !l->reads)
			continue;
		for (int f = 0; f < FAMILIES; f++) {
			uint64_t told = 0;

			for (unsigned int i = 0; i < PREFIXES; i++) {
				int want = must_hold(t, l, f, i), best = best_line(t, f, i);

				if (l->holds[f][i] != want)
					fail_msg("%s: line %u holds %d for %s prefix %u, must hold %d", when, k,
					    l->holds[f][i], family_name((enum family)f), i, want);
				told += best != NOTHING &&
					!(l->class == CLASS_ABOVE && t->line[best].source.side == RIB_ABOVE) &&
					!(l->class == CLASS_EVEN && i % 2);
			}
			assert_int_equal(export_count(l->export, (enum family)f), told);
		}
	}
}

/* What export says that each line was told, prefix by prefix, and with how many octets of attributes. */
static inline void
compare_views(const struct fixture *t)
{
	for (unsigned int k = 0; k < LINES; k++) {
		const struct line *l = &t->line[k];

		for (unsigned int i = 0; l->export && i < 64; i++) {
			struct prefix p = prefix_no(FAMILY_IPV4, i);
			int best = best_line(t, FAMILY_IPV4, i);
			uint8_t buf[8192];
			struct rib_view v;
			bool told;

			if (!rib_get(t->rib, RIB_MAIN_TABLE, &p, &v))
				continue;
			told = best != NOTHING &&
			       !(l->class == CLASS_ABOVE && t->line[best].source.side == RIB_ABOVE) &&
			       !(l->class == CLASS_EVEN && i % 2);
			assert_int_equal(export_told(l->export, &v), told && best != (int)k);
			assert_int_equal(export_attrs(l->export, &v, buf, sizeof(buf)) > 0, told);
		}
	}
}

#endif
