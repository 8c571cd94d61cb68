/*
 * tests/unit/bgp/export_test.c -- export groups against real sessions and a plain model of who must know what
 *
 *   RIB --> export --> near engine ==byte pipe==> far engine --> what the far side holds, by number
 *
 * Each line is one neighbour: a near engine that belongs to the switch under test and the far engine of the neighbour,
 * which keeps what it hears as a router would, refreshes included. Each line is a source of the RIB as well. The model
 * knows who offers which attributes for which prefix, and says what each neighbour must hold: the best path, unless it
 * is its own, its class is not told of it, or it does not fit into a message.
 */
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

static struct prefix
prefix_no(enum family f, unsigned int i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 64 };

	p.b[0] = f == FAMILY_IPV4 ? 10 : 0xfd;
	put_u16(p.b + 1, (uint16_t)i);
	return p;
}

static unsigned int
number_of(const struct prefix *p)
{
	return get_u16(p->b + 1);
}

/* ---- the far side ---- */

static void
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

static void
far_refresh(struct bgp_peer *p UNUSED, enum family f, enum bgp_refresh what, void *arg)
{
	struct line *l = arg;

	if (what == BGP_REFRESH_BEGIN) {
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

static void
far_forget(struct line *l)
{
	memset(l->holds, 0xff, sizeof(l->holds));
	memset(l->stale, 0, sizeof(l->stale));
	l->end_of_rib = 0;
}

static void
far_up(struct bgp_peer *p UNUSED, void *arg)
{
	far_forget(arg);
}

static void
far_down(struct bgp_peer *p UNUSED, const struct bgp_reason *why UNUSED, void *arg)
{
	far_forget(arg);
}

/* ---- the near side, as a node does it ---- */

static void
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

static void
near_down(struct bgp_peer *p UNUSED, const struct bgp_reason *why UNUSED, void *arg)
{
	struct line *l = arg;

	export_peer_free(l->export);
	l->export = NULL;
	rib_source_down(l->t->rib, &l->source);
	for (int f = 0; f < FAMILIES; f++)
		for (unsigned int i = 0; i < PREFIXES; i++)
			l->t->offers[f][i][l->index] = NOTHING;
}

static void
near_refresh(struct bgp_peer *p UNUSED, enum family f, enum bgp_refresh what, void *arg)
{
	struct line *l = arg;

	if (what == BGP_REFRESH_REQUEST)
		export_peer_refresh(l->export, f);
}

static void
near_update(struct bgp_peer *p UNUSED, const struct bgp_update *u UNUSED, void *arg UNUSED)
{
}

/* ---- both ---- */

static void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct line *l = arg;

	l->near_conn = c;
	l->dials = true;
}

static void
op_close(struct bgp_conn *c, const uint8_t *last UNUSED, size_t n UNUSED, void *arg)
{
	struct line *l = arg;

	if (c == l->near_conn)
		l->near_conn = NULL;
	else if (c == l->far_conn)
		l->far_conn = NULL;
	l->to_far.n = l->to_near.n = 0;
}

static void
op_ready(struct bgp_conn *c UNUSED, void *arg UNUSED)
{
}

static void
op_state(struct bgp_peer *p UNUSED, enum bgp_state was UNUSED, enum bgp_state is UNUSED, const char *why UNUSED,
    void *arg UNUSED)
{
}

static void
op_identity(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg UNUSED)
{
	fail_msg("%s", text);
}

static void
op_event(struct bgp_peer *p UNUSED, enum bgp_event_kind kind UNUSED, const char *text UNUSED,
    uint64_t suppressed UNUSED, void *arg UNUSED)
{
}

static uint32_t
op_random(void *arg UNUSED)
{
	return 0;
}

static const struct bgp_ops near_ops = { .connect = op_connect,
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
static const struct bgp_ops far_ops = { .connect = op_connect,
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

static void
pipe_room(struct pipe *p, size_t n)
{
	if (p->cap < p->n + n)
		p->bytes = realloc(p->bytes, p->cap = 2 * (p->n + n));
}

/* Moves what one end has to say; true: something moved. */
static bool
carry(struct line *l, struct bgp_conn **from, struct pipe *p, struct bgp_conn **to, bool reads)
{
	size_t got = 0, used = 0;

	if (*from && p->n < PIPE) {
		pipe_room(p, PIPE);
		got = bgp_output(*from, p->bytes + p->n, PIPE - p->n, l->t->now);
		p->n += got;
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

static bool
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
static bool
turn(struct fixture *t)
{
	bool more = rib_run(t->rib);

	if (export_pending(t->export))
		more |= export_run(t->export);
	return (more || export_pending(t->export)) && export_ready(t->export, t->now);
}

static void
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

static void
pass_time(struct fixture *t, int64_t us)
{
	t->now.us += us;
	settle(t);
}

/* ---- the switch ---- */

static bool
allowed(void *arg UNUSED, uint32_t export_class, const struct prefix *p, const struct path *best)
{
	if (export_class == CLASS_ABOVE)
		return best->source->side != RIB_ABOVE;
	return export_class == CLASS_BELOW || number_of(p) % 2 == 0;
}

static void
event(void *arg, struct bgp_peer *bgp UNUSED, const char *type, const char *text)
{
	struct fixture *t = arg;

	assert_true(strlen(text) > 20);
	t->slow_events += strcmp(type, "PEER_SLOW") == 0;
	t->large_events += strcmp(type, "UPDATE_TOO_LARGE") == 0;
}

static void
changed(void *arg, uint32_t table UNUSED, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	export_changed(t->export, f, c, n);
}

static bool
ready(void *arg)
{
	struct fixture *t = arg;

	return export_ready(t->export, t->now);
}

static struct mono
now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

/* Local paths have no route in the FIB, so nothing of it is needed. */
static const struct rib_ops rib_ops = { .changed = changed, .export_ready = ready, .now = now };
static const struct export_ops export_ops = { .allowed = allowed, .event = event };

static void
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
static struct fixture *
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

static void
line_up(struct fixture *t, unsigned int i)
{
	bgp_peer_link_up(t->line[i].near, t->now);
	bgp_peer_link_up(t->line[i].far, t->now);
	pass_time(t, MS(100));
	assert_int_equal(bgp_peer_state(t->line[i].near), BGP_ESTABLISHED);
	assert_int_equal(bgp_peer_state(t->line[i].far), BGP_ESTABLISHED);
}

static void
line_down(struct fixture *t, unsigned int i)
{
	bgp_peer_link_down(t->line[i].near, "cut", t->now);
	bgp_peer_link_down(t->line[i].far, "cut", t->now);
}

static struct fixture *
all_up(void)
{
	struct fixture *t = fixture();

	for (unsigned int i = 0; i < LINES; i++)
		line_up(t, i);
	return t;
}

static void
done(struct fixture *t)
{
	for (unsigned int i = 0; i < LINES; i++)
		line_down(t, i);
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
static struct attrs *
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

static void
offer(struct fixture *t, unsigned int line, enum family f, unsigned int i, unsigned int set, size_t octets)
{
	struct prefix p = prefix_no(f, i);

	rib_announce(t->rib, RIB_MAIN_TABLE, &t->line[line].source, &p, set_no(t, set, octets), NULL);
	t->offers[f][i][line] = (int16_t)set;
}

static void
retract(struct fixture *t, unsigned int line, enum family f, unsigned int i)
{
	struct prefix p = prefix_no(f, i);

	rib_withdraw(t->rib, RIB_MAIN_TABLE, &t->line[line].source, &p);
	t->offers[f][i][line] = NOTHING;
}

/* ---- the model ---- */

static int
best_line(const struct fixture *t, int f, unsigned int i)
{
	int best = NOTHING;

	for (int k = 0; k < LINES; k++)
		if (t->offers[f][i][k] != NOTHING &&
		    (best == NOTHING || t->line[k].source.side < t->line[best].source.side))
			best = k; /* the nearer side, then the lower router id */
	return best;
}

static int
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

static void
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
static void
compare_views(const struct fixture *t)
{
	struct export_stats s;
	size_t peers = 0;

	for (unsigned int k = 0; k < LINES; k++) {
		const struct line *l = &t->line[k];

		peers += l->export != NULL;
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
	export_stats(t->export, &s);
	assert_int_equal(s.peers, peers);
}

/* ---- cases ---- */

static void
test_everyone_hears_what_it_is_told(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	for (unsigned int i = 0; i < 60; i++)
		for (int f = 0; f < FAMILIES; f++)
			offer(t, i % LINES, (enum family)f, i, i / 10, 0);
	settle(t);
	compare(t, "after announcements");
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].end_of_rib, t->line[k].caps & BGP_CAP_MP_IPV6 ? 3 : 1);
	for (unsigned int i = 0; i < 60; i += 3)
		for (int f = 0; f < FAMILIES; f++)
			retract(t, i % LINES, (enum family)f, i);
	settle(t);
	compare(t, "after withdrawals");
	done(t);
}

static void
test_late_joiners_get_all_of_it(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	for (unsigned int i = 0; i < 3000; i++) /* more than a slice of a walk */
		offer(t, 2, FAMILY_IPV4, i, i % 50, 0);
	settle(t);
	line_up(t, 0);
	compare(t, "after a first joiner");
	for (unsigned int i = 1; i < LINES; i++) { /* several at once walk together */
		bgp_peer_link_up(t->line[i].near, t->now);
		bgp_peer_link_up(t->line[i].far, t->now);
	}
	pass_time(t, MS(100));
	compare(t, "after many joiners");
	assert_int_equal(t->line[5].end_of_rib, 1);
	done(t);
}

static void
test_changes_beside_a_walk(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	for (unsigned int i = 0; i < PREFIXES; i++)
		offer(t, 2, FAMILY_IPV4, i, 1, 0);
	settle(t);
	bgp_peer_link_up(t->line[0].near, t->now);
	bgp_peer_link_up(t->line[0].far, t->now);
	for (unsigned int n = 0; !t->line[0].export && n < 10; n++) {
		t->now.us += MS(100);
		pump(&t->line[0]);
	}
	assert_true(export_pending(t->export));
	export_run(t->export); /* half of the walk */
	assert_true(export_pending(t->export));
	for (unsigned int i = 0; i < PREFIXES; i += 2) { /* before and behind the cursor */
		if (i % 4)
			retract(t, 2, FAMILY_IPV4, i);
		else
			offer(t, 2, FAMILY_IPV4, i, 2, 0);
	}
	settle(t);
	compare(t, "after changes beside a walk");
	done(t);
}

/* Who becomes the best source of what it was told by us must not keep the older path, nor hear its own. */
static void
test_who_becomes_the_source(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	offer(t, 3, FAMILY_IPV4, 0, 1, 0);
	settle(t);
	compare(t, "line 3 is the source");
	offer(t, 2, FAMILY_IPV4, 0, 2, 0); /* a lower router id */
	settle(t);
	compare(t, "line 2 took over");
	offer(t, 2, FAMILY_IPV4, 0, 3, 0);
	settle(t);
	compare(t, "with other attributes");
	retract(t, 2, FAMILY_IPV4, 0);
	settle(t);
	compare(t, "and gave back");
	done(t);
}

/* Prefixes of one set of attributes go out together, when all is told again, too. */
static void
test_a_refresh_is_packed(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, 1, 0);
	settle(t);
	updates = t->line[0].updates;
	assert_true(bgp_send_refresh(t->line[0].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_in_range(t->line[0].updates - updates, 1, 4);
	compare(t, "after a refresh");
	done(t);
}

static void
test_a_refresh_is_marked(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 7, 0);
	settle(t);
	updates = t->line[3].updates;
	t->line[0].holds[FAMILY_IPV4][500] = 1; /* something that the far side should not have */
	assert_true(bgp_send_refresh(t->line[0].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_int_equal(t->line[0].begins, 1);
	assert_int_equal(t->line[0].ends, 1);
	assert_int_equal(t->line[3].updates, updates); /* nobody else hears of it */
	compare(t, "after a marked refresh");
	/* Without enhanced refresh: all again, no marks, End-of-RIB behind. */
	t->line[4].end_of_rib = 0;
	memset(t->line[4].holds, 0xff, sizeof(t->line[4].holds));
	assert_true(bgp_send_refresh(t->line[4].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	settle(t);
	assert_int_equal(t->line[4].begins, 0);
	assert_int_equal(t->line[4].end_of_rib, 1);
	compare(t, "after a plain refresh");
	done(t);
}

/* A refresh that is asked for before the first walk began is answered as well. */
static void
test_a_refresh_while_joining(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	offer(t, 2, FAMILY_IPV4, 1, 1, 0);
	settle(t);
	bgp_peer_link_up(t->line[0].near, t->now);
	bgp_peer_link_up(t->line[0].far, t->now);
	for (unsigned int n = 0; !t->line[0].export && n < 10; n++) {
		t->now.us += MS(100);
		pump(&t->line[0]);
	}
	assert_non_null(t->line[0].export);
	export_peer_refresh(t->line[0].export, FAMILY_IPV4);
	settle(t);
	assert_int_equal(t->line[0].end_of_rib, 3);
	assert_int_equal(t->line[0].begins, 1);
	assert_int_equal(t->line[0].ends, 1);
	compare(t, "after both");
	done(t);
}

static void
test_W10_attributes_that_leave_no_room(void **state)
{
	struct fixture *t = all_up();
	struct export_stats s;

	(void)state;
	offer(t, 2, FAMILY_IPV4, 0, 1, 0);
	offer(t, 2, FAMILY_IPV4, 1, 2, TOO_BIG);
	offer(t, 2, FAMILY_IPV4, 2, 3, BIG);
	settle(t);
	compare(t, "one set is too large for short messages"); /* line 4; the others have long ones */
	export_stats(t->export, &s);
	assert_int_equal(s.too_large, 1);
	assert_int_equal(t->large_events, 1);
	offer(t, 2, FAMILY_IPV4, 0, 2, TOO_BIG); /* what was told before must go */
	offer(t, 2, FAMILY_IPV4, 1, 1, 0);
	settle(t);
	compare(t, "and another one took its place");
	assert_int_equal(bgp_peer_state(t->line[4].near), BGP_ESTABLISHED);
	line_down(t, 4);
	settle(t);
	line_up(t, 4); /* a walk leaves it out, too */
	compare(t, "after a walk");
	done(t);
}

/* Large sets, so that little work fills a queue; each turn changes all of them. */
static void
flood(struct fixture *t, unsigned int turn_no)
{
	for (unsigned int i = 0; i < 1500; i++)
		offer(t, 2, FAMILY_IPV4, i, (i + turn_no * 700) % 4000, BIG);
}

static void
test_a_slow_peer_lags_and_is_told_all_again(void **state)
{
	struct fixture *t = all_up();
	size_t most = 0;

	(void)state;
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 12; n++) {
		flood(t, n);
		pass_time(t, SECONDS(1)); /* waits for it, but not for ever */
		most = MAX_OF(most, bgp_queue_bytes(t->line[3].near));
	}
	pass_time(t, SECONDS(3));
	pass_time(t, SECONDS(3));
	assert_int_equal(t->slow_events, 1);
	assert_in_range(most, 4u << 20, 6u << 20); /* it was filled, and bounded */
	assert_in_range(bgp_queue_bytes(t->line[3].near), 0, 1u << 20);
	assert_false(rib_pending(t->rib)); /* nobody waits for it any more */
	compare(t, "the others, while one does not read");
	retract(t, 2, FAMILY_IPV4, 7);
	settle(t);
	t->line[3].reads = true;
	settle(t);
	assert_int_equal(t->line[3].begins, 2); /* both families */
	assert_int_equal(t->line[3].ends, 2);
	compare(t, "after it read on");
	offer(t, 2, FAMILY_IPV4, 7, 1, BIG);
	settle(t);
	compare(t, "and is one of many again");
	done(t);
}

static void
test_a_slow_peer_without_marks_is_reset(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	t->line[4].reads = false; /* knows no BoRR */
	for (unsigned int n = 0; n < 6; n++) {
		flood(t, n);
		pass_time(t, SECONDS(1));
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 1);
	assert_true(
	    bgp_peer_state(t->line[4].near) != BGP_ESTABLISHED || bgp_peer_counters(t->line[4].near)->flaps == 1);
	t->line[4].reads = true;
	for (int n = 0; n < 100 && bgp_peer_state(t->line[4].near) != BGP_ESTABLISHED; n++)
		pass_time(t, SECONDS(1));
	pass_time(t, MS(100));
	assert_int_equal(bgp_peer_counters(t->line[4].near)->flaps, 1);
	assert_non_null(t->line[4].export);
	compare(t, "after its session came back");
	done(t);
}

/* It joins, does not read, and many others join with it: they do not wait for it for ever. */
static void
test_a_joiner_that_does_not_read(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	flood(t, 0);
	for (unsigned int i = 1500; i < 3000; i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
	settle(t);
	for (unsigned int i = 3; i < LINES; i++) {
		bgp_peer_link_up(t->line[i].near, t->now);
		bgp_peer_link_up(t->line[i].far, t->now);
	}
	for (unsigned int n = 0; !t->line[3].export && n < 10; n++) {
		t->now.us += MS(100);
		for (unsigned int i = 0; i < LINES; i++)
			pump(&t->line[i]);
	}
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 8; n++)
		pass_time(t, SECONDS(1));
	compare(t, "the others");
	assert_int_equal(t->slow_events, 1);
	t->line[3].reads = true;
	settle(t);
	compare(t, "after it read on");
	assert_int_equal(t->line[3].end_of_rib, 3); /* it still is told that this was all */
	done(t);
}

/* Its walk goes on when it begins to lag: nothing may tell it to forget what it was not sent again. */
static void
test_a_refresh_cut_short(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	flood(t, 0);
	for (unsigned int i = 1500; i < 3500; i++)
		offer(t, 2, FAMILY_IPV4, i, i, BIG);
	settle(t);
	assert_true(bgp_send_refresh(t->line[3].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	pump(&t->line[3]);
	t->line[3].reads = false;
	for (unsigned int n = 0; n < 8; n++) {
		offer(t, 2, FAMILY_IPV4, 0, n, BIG);
		pass_time(t, SECONDS(1));
	}
	assert_int_equal(t->slow_events, 1);
	t->line[3].reads = true;
	for (unsigned int n = 0; n < 100000 && (bgp_queue_bytes(t->line[3].near) || t->line[3].to_far.n); n++)
		pump(&t->line[3]); /* reads what was left, before the switch does anything */
	assert_int_equal(t->line[3].begins, 1);
	assert_int_equal(t->line[3].ends, 0);
	export_drained(t->export);
	settle(t);
	compare(t, "after it read on");
	done(t);
}

static void
test_a_group_made_while_a_source_is_going(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	line_up(t, 2);
	line_up(t, 3);
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 5, 0);
	settle(t);
	line_down(t, 2); /* lists are shrunk, nobody was told yet */
	bgp_peer_link_up(t->line[0].near, t->now);
	bgp_peer_link_up(t->line[0].far, t->now);
	for (unsigned int n = 0; !t->line[0].export && n < 10; n++) {
		t->now.us += MS(100);
		pump(&t->line[0]);
	}
	assert_non_null(t->line[0].export);
	assert_true(rib_pending(t->rib));
	settle(t);
	compare(t, "after both");
	done(t);
}

/* ---- the rule, prefix by prefix, counted on the wire ---- */

static bool
class_hears(const struct fixture *t, const struct line *l, unsigned int i, int from)
{
	if (from == NOTHING)
		return false;
	return l->class == CLASS_BELOW || (l->class == CLASS_EVEN && i % 2 == 0) ||
	       (l->class == CLASS_ABOVE && t->line[from].source.side != RIB_ABOVE);
}

/*
 * One change at a time: a path that is told now goes once to each neighbour of the class but its source, which is sent
 * a withdrawal when it was told another's path before; a path that is told no more is withdrawn once from all of them.
 */
static void
test_each_change_is_said_once_to_whom_it_concerns(void **state)
{
	struct fixture *t = all_up();
	uint32_t rnd = 5;

	(void)state;
	for (unsigned int step = 0; step < 1500; step++) {
		uint64_t out[LINES], withdrawn[LINES];
		unsigned int i, k, set;
		int was, now;
		int16_t had;
		bool moved;

		rnd = rnd * 1664525u + 1013904223u;
		i = (rnd >> 8) % 8;
		k = (rnd >> 12) % LINES;
		set = (rnd >> 16) % 3;
		was = best_line(t, FAMILY_IPV4, i);
		had = was == NOTHING ? NOTHING : t->offers[FAMILY_IPV4][i][was];
		for (unsigned int n = 0; n < LINES; n++) {
			out[n] = bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4];
			withdrawn[n] = bgp_peer_counters(t->line[n].near)->withdrawn_out[FAMILY_IPV4];
		}
		if (rnd >> 30)
			offer(t, k, FAMILY_IPV4, i, set, 0);
		else
			retract(t, k, FAMILY_IPV4, i);
		settle(t);
		now = best_line(t, FAMILY_IPV4, i);
		moved = was != now || (now != NOTHING && had != t->offers[FAMILY_IPV4][i][now]);
		for (unsigned int n = 0; n < LINES; n++) {
			const struct line *l = &t->line[n];
			const struct bgp_counters *c = bgp_peer_counters(l->near);
			bool before = class_hears(t, l, i, was), after = class_hears(t, l, i, now), own = now == (int)n;

			out[n] += moved && after && !own;
			withdrawn[n] += moved && ((before && !after) || (before && after && own && was != now));
			if (c->prefixes_out[FAMILY_IPV4] != out[n] || c->withdrawn_out[FAMILY_IPV4] != withdrawn[n])
				fail_msg("step %u, line %u: %d announcements and %d withdrawals too many", step, n,
				    (int)(c->prefixes_out[FAMILY_IPV4] - out[n]),
				    (int)(c->withdrawn_out[FAMILY_IPV4] - withdrawn[n]));
		}
		compare(t, "after one change");
		compare_views(t);
	}
	done(t);
}

/* A refresh, and a new neighbour, hear each prefix once; nobody else hears any. */
static void
test_a_walk_says_each_prefix_once(void **state)
{
	struct fixture *t = all_up();

	(void)state;
	for (unsigned int i = 0; i < 60; i++)
		offer(t, i % 3 + 1, FAMILY_IPV4, i, i % 4, 0);
	settle(t);
	for (unsigned int asks = 0; asks < LINES; asks++)
		for (int joins = 0; joins < 2; joins++) {
			uint64_t out[LINES], want = 0;

			if (joins && asks >= 1 && asks <= 3)
				continue; /* it would take its own along */
			for (unsigned int n = 0; n < LINES; n++)
				out[n] = bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4];
			for (unsigned int i = 0; i < 60; i++)
				want += must_hold(t, &t->line[asks], FAMILY_IPV4, i) != NOTHING;
			if (joins) {
				line_down(t, asks);
				settle(t);
				compare_views(t);
				line_up(t, asks);
			} else {
				assert_true(bgp_send_refresh(t->line[asks].far, FAMILY_IPV4, BGP_REFRESH_REQUEST));
				settle(t);
			}
			for (unsigned int n = 0; n < LINES; n++)
				assert_int_equal(bgp_peer_counters(t->line[n].near)->prefixes_out[FAMILY_IPV4] - out[n],
				    n == asks ? want : 0);
			compare(t, "after a walk");
			compare_views(t);
		}
	done(t);
}

/* What one source says with one set of attributes goes out in one message, whatever it stands between. */
static void
test_changes_of_one_set_are_packed(void **state)
{
	struct fixture *t = all_up();
	unsigned int updates[LINES];
	struct export_stats before, after;

	(void)state;
	for (unsigned int k = 0; k < LINES; k++)
		updates[k] = t->line[k].updates;
	export_stats(t->export, &before);
	for (unsigned int i = 0; i < 100; i++)
		offer(t, 2, FAMILY_IPV4, i, i % 5, 0);
	settle(t);
	export_stats(t->export, &after);
	assert_int_equal(after.changes - before.changes, 100);
	assert_int_equal(after.groups, before.groups);
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].updates - updates[k], k == 2 ? 0 : 5);
	assert_true(after.sent_bytes - before.sent_bytes > after.batch_bytes - before.batch_bytes);
	for (unsigned int k = 0; k < LINES; k++)
		updates[k] = t->line[k].updates;
	for (unsigned int i = 0; i < 100; i++)
		retract(t, 2, FAMILY_IPV4, i);
	settle(t);
	for (unsigned int k = 0; k < LINES; k++)
		assert_int_equal(t->line[k].updates - updates[k], 1);
	done(t);
}

/* ---- at random ---- */

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static void
random_step(struct fixture *t, uint32_t *rnd)
{
	struct line *l = &t->line[draw(rnd, LINES)];
	unsigned int kind = draw(rnd, 16), from = draw(rnd, 60), n = draw(rnd, 60 - from) + 1, set = draw(rnd, 8);
	enum family f = draw(rnd, FAMILIES);

	if (kind == 0) {
		line_down(t, l->index);
	} else if (kind < 3) {
		bgp_peer_link_up(l->near, t->now);
		bgp_peer_link_up(l->far, t->now);
		t->now.us += MS(200);
	} else if (kind == 3) {
		bgp_send_refresh(l->far, f, BGP_REFRESH_REQUEST);
	} else if (kind == 4) {
		l->reads = draw(rnd, 3) != 0;
	} else if (l->export && !rib_running(t->rib)) {
		for (unsigned int i = from; i < from + (kind % 2 ? 1 : n); i++) {
			if (kind < 12)
				offer(t, l->index, f, i, set, set == 7 ? TOO_BIG : 0);
			else
				retract(t, l->index, f, i);
		}
	}
}

static void
test_at_random_against_the_model(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct fixture *t = fixture();
		uint32_t rnd = seed;

		for (unsigned int i = 0; i < LINES; i++)
			line_up(t, i);
		for (unsigned int step = 0; step < 400; step++) {
			char when[64];

			random_step(t, &rnd);
			for (unsigned int k = draw(&rnd, 4); k > 0; k--) {
				turn(t);
				pump(&t->line[draw(&rnd, LINES)]);
			}
			if (draw(&rnd, 8))
				continue;
			for (unsigned int i = 0; i < LINES; i++)
				t->line[i].reads = true;
			pass_time(t, SECONDS(100)); /* idle hold times are over */
			pass_time(t, MS(100));
			snprintf(when, sizeof(when), "seed %u, step %u", seed, step);
			compare(t, when);
		}
		done(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everyone_hears_what_it_is_told),
		cmocka_unit_test(test_late_joiners_get_all_of_it),
		cmocka_unit_test(test_changes_beside_a_walk),
		cmocka_unit_test(test_who_becomes_the_source),
		cmocka_unit_test(test_a_refresh_is_packed),
		cmocka_unit_test(test_a_refresh_is_marked),
		cmocka_unit_test(test_a_refresh_while_joining),
		cmocka_unit_test(test_W10_attributes_that_leave_no_room),
		cmocka_unit_test(test_a_slow_peer_lags_and_is_told_all_again),
		cmocka_unit_test(test_a_slow_peer_without_marks_is_reset),
		cmocka_unit_test(test_a_joiner_that_does_not_read),
		cmocka_unit_test(test_a_refresh_cut_short),
		cmocka_unit_test(test_a_group_made_while_a_source_is_going),
		cmocka_unit_test(test_each_change_is_said_once_to_whom_it_concerns),
		cmocka_unit_test(test_a_walk_says_each_prefix_once),
		cmocka_unit_test(test_changes_of_one_set_are_packed),
		cmocka_unit_test(test_at_random_against_the_model),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
