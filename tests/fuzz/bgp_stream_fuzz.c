/*
 * tests/fuzz/bgp_stream_fuzz.c -- a peer's whole session out of any bytes: stream, time, connections
 *
 * The input is a script: an octet says what happens next (bytes arrive, time passes, output is pulled, a second
 * connection comes, the link goes); bytes follow with a length. Bytes may be framed for the fuzzer's sake, so that it
 * gets past the marker. Promises: input is consumed in whole messages, a state has a reason, nothing is left behind.
 */
#include <stdlib.h>

#include "fabricd/bgp/session.h"
#include "fabricd/lib/base.h"
#include "tests/fuzz/fuzz.h"

#define ENDS 2

struct world {
	struct mem mem;
	struct mono now;
	struct bgp_peer *peer;
	struct bgp_conn *conns[ENDS]; /* by side; NULL: closed */
	uint8_t in[ENDS][70000];
	size_t nin[ENDS];
	uint32_t random;
};

static void
op_connect(struct bgp_peer *p UNUSED, struct bgp_conn *c, void *arg)
{
	struct world *w = arg;

	must(w->conns[BGP_DIALLED] == NULL, "one connection of ours at a time");
	w->conns[BGP_DIALLED] = c;
}

static void
op_close(struct bgp_conn *c, const uint8_t *last UNUSED, size_t n, void *arg)
{
	struct world *w = arg;
	enum bgp_side side = bgp_conn_side(c);

	must(w->conns[side] == c, "what is closed was open");
	must(n == 0 || last, "last octets");
	w->conns[side] = NULL;
	w->nin[side] = 0;
}

static void
op_ready(struct bgp_conn *c, void *arg)
{
	struct world *w = arg;

	must(w->conns[bgp_conn_side(c)] == c, "output of an open connection");
}

static void
op_established(struct bgp_peer *p, void *arg UNUSED)
{
	must(bgp_peer_state(p) == BGP_ESTABLISHED, "established");
}

static void
op_down(struct bgp_peer *p UNUSED, const struct bgp_reason *r, void *arg UNUSED)
{
	must(r->cause != BGP_CAUSE_NONE && r->text[0], "down for a reason");
}

static void
op_update(struct bgp_peer *p, const struct bgp_update *u, void *arg)
{
	struct world *w = arg;

	must(u->fate != BGP_FATE_RESET, "no UPDATE of a reset");
	if (u->nreach && u->attrs.origin_as == 0xfffe)
		bgp_peer_max_prefixes(p, FAMILY_IPV4, 5, SECONDS(5), w->now);
}

static void
op_refresh(struct bgp_peer *p UNUSED, enum family f UNUSED, enum bgp_refresh what UNUSED, void *arg UNUSED)
{
}

static void
op_state(struct bgp_peer *p UNUSED, enum bgp_state was, enum bgp_state is, const char *why, void *arg UNUSED)
{
	must(was != is, "a change is one");
	must(is != BGP_IDLE || why[0], "Idle for a reason");
}

static void
op_text(struct bgp_peer *p UNUSED, const struct bgp_open *seen UNUSED, const char *text, void *arg UNUSED)
{
	must_print(text);
}

static void
op_event(struct bgp_peer *p, enum bgp_event_kind kind UNUSED, const char *text, uint64_t suppressed UNUSED, void *arg)
{
	op_text(p, NULL, text, arg);
}

static uint32_t
op_random(void *arg)
{
	struct world *w = arg;

	return w->random = w->random * 1664525u + 1013904223u;
}

static uint8_t
op_keep(struct bgp_peer *p UNUSED, const struct bgp_reason *r, uint8_t families, void *arg)
{
	struct world *w = arg;

	must(families && !(families >> FAMILIES), "families of ours");
	must(r->cause != BGP_CAUSE_LINK_DOWN && r->cause != BGP_CAUSE_BFD, "a dead link is no restart");
	return families & (uint8_t)op_random(w);
}

static void
op_stale_end(struct bgp_peer *p, uint8_t families, enum bgp_stale_end why, const char *text, void *arg UNUSED)
{
	must(families && !(families & bgp_peer_restart(p)->stale), "ended is not stale any more");
	must(why != BGP_STALE_NEVER && text[0], "ended for a reason");
}

static void
check_restart(const struct world *w)
{
	const struct bgp_restart *r = bgp_peer_restart(w->peer);

	must(!r->stale == mono_is_never(r->until), "a timer runs while something is stale");
	must(!r->stale || mono_sub(r->until, r->since) <= 2 * SECONDS(4095), "not for ever");
}

static const struct bgp_ops ops = { .connect = op_connect,
	.close = op_close,
	.output_ready = op_ready,
	.established = op_established,
	.down = op_down,
	.keep = op_keep,
	.stale_end = op_stale_end,
	.update = op_update,
	.refresh = op_refresh,
	.state_changed = op_state,
	.identity = op_text,
	.event = op_event,
	.random = op_random };

static void
feed(struct world *w, int side)
{
	int pieces = 0; /* of a long UPDATE: 2,048 prefixes each, of at least an octet */

	while (w->conns[side] && w->nin[side]) {
		size_t n = bgp_input(w->conns[side], w->in[side], w->nin[side], w->now);

		if (!w->conns[side])
			return;
		must(n <= w->nin[side], "not more than there is");
		memmove(w->in[side], w->in[side] + n, w->nin[side] - n);
		w->nin[side] -= n;
		if (!bgp_input_pending(w->conns[side])) {
			must(w->nin[side] < bgp_input_max(w->conns[side]), "no more kept than a message");
			return;
		}
		pieces = n ? 0 : pieces + 1;
		must(pieces <= 65535 / 2048, "progress");
	}
}

/* Octets of the script arrive; framed: as one message of this type. */
static void
arrive(struct world *w, int side, struct rd *r, size_t n, int type)
{
	uint8_t *at = w->in[side] + w->nin[side];
	const uint8_t *bytes;
	size_t head = type ? BGP_HEADER : 0;

	n = MIN_OF(n, rd_left(r));
	bytes = rd_take(r, n);
	if (!w->conns[side] || w->nin[side] + n + head > sizeof(w->in[side]))
		return;
	if (type) {
		memset(at, 0xff, 16);
		put_u16(at + 16, (uint16_t)(n + head));
		at[18] = (uint8_t)type;
	}
	if (n)
		memcpy(at + head, bytes, n);
	w->nin[side] += n + head;
	feed(w, side);
}

static void
pull(struct world *w, int side, size_t cap)
{
	static uint8_t buf[70000];
	size_t n;

	if (!w->conns[side] || bgp_conn_state(w->conns[side]) < BGP_OPEN_SENT)
		return;
	n = bgp_output(w->conns[side], buf, cap, w->now);
	must(n <= cap, "not more than there is room for");
	if (w->conns[side])
		bgp_wrote(w->conns[side], n, w->now);
}

static void
pass_time(struct world *w, int64_t us)
{
	struct mono until = mono_add(w->now, us);
	int turns = 0;

	while (bgp_deadline(w->peer).us <= until.us) {
		w->now.us = MAX_OF(w->now.us, bgp_deadline(w->peer).us);
		bgp_timer(w->peer, w->now);
		must(++turns < 100000, "timers make progress");
	}
	w->now = until;
}

static void
step(struct world *w, struct rd *r, uint8_t op)
{
	int side = op >> 7;

	switch (op & 15) {
	case 0:
		arrive(w, side, r, rd_u8(r), 0);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		arrive(w, side, r, rd_u8(r), op & 15);
		break;
	case 6:
		arrive(w, side, r, rd_u16(r), BGP_UPDATE);
		break;
	case 7:
		pass_time(w, MS(rd_u16(r)));
		break;
	case 8:
		pull(w, side, 1 + rd_u8(r));
		break;
	case 9:
		if (w->conns[BGP_DIALLED])
			bgp_connected(w->conns[BGP_DIALLED], w->now);
		break;
	case 10: {
		struct bgp_conn *was = w->conns[BGP_ACCEPTED], *c;

		c = bgp_accept(w->peer, w->now, NULL);
		must(!c || !was || w->conns[BGP_ACCEPTED] == NULL, "the older one was closed");
		if (c)
			w->conns[BGP_ACCEPTED] = c;
		break;
	}
	case 11:
		if (w->conns[side])
			bgp_closed(w->conns[side], "closed", w->now);
		break;
	case 12:
		if (op & 16)
			bgp_peer_link_up(w->peer, w->now);
		else
			bgp_peer_link_down(w->peer, "port down", w->now);
		break;
	case 13:
		if (op & 16)
			bgp_peer_start(w->peer, w->now);
		else if (op & 32)
			bgp_peer_bfd_down(w->peer, side, w->now);
		else if (op & 64)
			bgp_peer_leave(w->peer, "so", w->now);
		else
			bgp_peer_stop(w->peer, "so", w->now);
		break;
	case 14:
		bgp_send_refresh(w->peer, op & 16 ? FAMILY_IPV4 : FAMILY_IPV6, (enum bgp_refresh)(rd_u8(r) % 3));
		break;
	default:
		w->now.us += SECONDS(rd_u8(r)); /* not running for a while */
		bgp_timer(w->peer, w->now);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct bgp_scratch scratch;
	static struct world w;
	struct bgp_config cfg = { .name = "fuzz",
		.local_as = 65001,
		.router_id = 0x0a000001,
		.peer_as = 65002,
		.hostname = "me",
		.restart_s = 30,
		.link_local_ok = true };
	struct rd r = rd_make(bytes, n);

	if (n > 20000)
		return 0;
	memset(&w.mem, 0, sizeof(w.mem));
	memset(w.conns, 0, sizeof(w.conns));
	memset(w.nin, 0, sizeof(w.nin));
	w.now.us = SECONDS(100);
	w.random = 1;
	if (rd_u8(&r) & 1)
		cfg.peer_id = 0x0a000002;
	w.peer = bgp_peer_new(&w.mem, &scratch, &cfg, &ops, &w);
	bgp_peer_start(w.peer, w.now);
	bgp_peer_link_up(w.peer, w.now);
	while (!rd_done(&r)) {
		step(&w, &r, rd_u8(&r));
		must(bgp_peer_reason(w.peer)->text[0], "a reason at all times");
		check_restart(&w);
		must(w.mem.by[MEM_SESSION].bytes < 65536, "bounded memory");
	}
	bgp_peer_free(w.peer);
	must(w.conns[0] == NULL && w.conns[1] == NULL, "connections are given back");
	must(w.mem.by[MEM_SESSION].bytes == 0 && w.mem.by[MEM_EXPORT].bytes == 0, "memory is given back");
	return 0;
}
