/*
 * bfd/engine.c, bfd/receive.c: two engines on a wire of the test's own, in time that the test turns
 *
 * Each end records what it sends and each change of state. The wire holds packets for a while, may lose, repeat or
 * hold them back, and an end may be asleep: then nothing of it runs, and its packets wait with the time of arrival.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bfd/engine.h"
#include "bfd/packet.h"
#include "fabricd/lib/base.h"

#define LATENCY MS(1)

struct in_flight {
	struct mono at;
	unsigned int to;
	bool echo;
	uint8_t hop;
	size_t n;
	uint8_t bytes[64];
};

struct end {
	struct wire *w;
	unsigned int me;
	struct bfd_engine *e;
	struct bfd_session *s;
	uint64_t random;
	bool deaf, mute; /* what arrives, or leaves, is lost */
	bool asleep;
	bool lazy; /* deadlines before packets: what waits is given only when the engine asks for it */
	unsigned int ups, downs, changes, sent, finals, polls;
	struct mono last_sent, min_gap;
	struct bfd_packet last;
	bool allow; /* unsolicited */
	unsigned int forgotten;
};

struct wire {
	struct mono now;
	struct in_flight q[4096];
	size_t n;
	int64_t hold_us; /* packets on the wire live longer than usual */
	struct end end[2];
};

static const uint8_t six[2][16] = { { 0xfe, 0x80, [15] = 1 }, { 0xfe, 0x80, [15] = 2 } };

static struct bfd_path
path_of(unsigned int me)
{
	return (struct bfd_path){ .ifindex = 10 + me, .local = ip_v6(six[me]), .peer = ip_v6(six[!me]) };
}

static void
on_send(void *arg, struct bfd_session *s, const uint8_t *bytes, size_t n, bool echo)
{
	struct end *end = arg;
	struct wire *w = end->w;
	struct in_flight *f = &w->q[w->n];

	(void)s;
	if (!echo) {
		assert_int_equal(bfd_packet_parse(bytes, n, &end->last), BFD_TAKEN);
		end->sent++;
		end->finals += end->last.final;
		end->polls += end->last.poll;
		end->last_sent = w->now;
	}
	if (end->mute)
		return;
	assert_true(w->n < ARRAY_LEN(w->q) && n <= sizeof(f->bytes));
	*f = (struct in_flight){
		.at = mono_add(w->now, LATENCY + w->hold_us), .to = !end->me, .n = n, .echo = echo, .hop = 255
	};
	memcpy(f->bytes, bytes, n);
	w->n++;
}

static void
on_changed(void *arg, struct bfd_session *s)
{
	struct end *end = arg;

	end->changes++;
	end->ups += bfd_session_state(s) == BFD_UP;
	end->downs += bfd_session_state(s) == BFD_DOWN;
}

static void
give(struct wire *w, size_t i)
{
	struct in_flight f = w->q[i];
	struct end *end = &w->end[f.to];
	struct bfd_received r = { .bytes = f.bytes,
		.n = f.n,
		.src = ip_v6(six[!f.to]),
		.dst = ip_v6(six[f.to]),
		.ifindex = 10 + f.to,
		.hop_limit = f.hop,
		.at = f.at };
	bool reflect = false;

	memmove(w->q + i, w->q + i + 1, (w->n - i - 1) * sizeof(w->q[0]));
	w->n--;
	if (end->deaf)
		return;
	if (!f.echo) {
		bfd_engine_receive(end->e, &r, w->now);
		return;
	}
	bfd_engine_echo(end->e, &r, w->now, &reflect);
	if (reflect && !end->mute) {
		f.at = mono_add(w->now, LATENCY);
		f.to = !f.to;
		f.hop = 254;
		w->q[w->n++] = f;
	}
}

/* What has arrived at that end (or at any: 2). */
static void
arrivals(struct wire *w, unsigned int to)
{
	for (size_t i = 0; i < w->n;) {
		if (mono_due(w->q[i].at, w->now) && (to == 2 || w->q[i].to == to) && !w->end[w->q[i].to].asleep)
			give(w, i);
		else
			i++;
	}
}

static void
on_drain(void *arg, struct bfd_session *s)
{
	struct end *end = arg;

	(void)s;
	arrivals(end->w, end->me);
}

static uint64_t
on_random(void *arg)
{
	struct end *end = arg;

	end->random = end->random * 6364136223846793005ull + 1442695040888963407ull;
	return end->random >> 20;
}

static enum bfd_drop
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *p)
{
	struct end *end = arg;

	(void)path;
	*p = (struct bfd_params){ .min_tx_us = 100000, .min_rx_us = 100000, .multiplier = 3 };
	return end->allow ? BFD_TAKEN : BFD_DROP_NO_SESSION;
}

static void
on_forgotten(void *arg, struct bfd_session *s)
{
	(void)s;
	((struct end *)arg)->forgotten++;
}

static const struct bfd_engine_ops ops = { .send = on_send,
	.changed = on_changed,
	.drain = on_drain,
	.random = on_random,
	.unsolicited = on_unsolicited,
	.forgotten = on_forgotten };

static const struct bfd_params usual = {
	.min_tx_us = 100000, .min_rx_us = 100000, .multiplier = 3, .independent = true
};

static struct wire *
wire_new(const struct bfd_params *a, const struct bfd_params *b)
{
	const struct bfd_params *params[2] = { a, b };
	struct wire *w = calloc(1, sizeof(*w));

	w->now.us = SECONDS(100);
	for (unsigned int i = 0; i < 2; i++) {
		struct bfd_path path = path_of(i);

		w->end[i] = (struct end){ .w = w, .me = i, .random = 77 + i };
		w->end[i].e = bfd_engine_new(NULL, 5, &ops, &w->end[i]);
		if (params[i])
			assert_int_equal(bfd_session_new(w->end[i].e, &path, params[i], w->now, &w->end[i].s), 0);
	}
	return w;
}

static void
wire_free(struct wire *w)
{
	for (int i = 0; i < 2; i++)
		bfd_engine_free(w->end[i].e);
	free(w);
}

/* Turns the time to its end; each end that is awake runs at its deadlines exactly. */
static void
turn(struct wire *w, int64_t us)
{
	struct mono end = mono_add(w->now, us);

	for (;;) {
		struct mono next = end;

		for (size_t i = 0; i < w->n; i++)
			if (!w->end[w->q[i].to].asleep)
				next = mono_min(next, w->q[i].at);
		for (int i = 0; i < 2; i++)
			if (!w->end[i].asleep)
				next = mono_min(next, bfd_engine_next(w->end[i].e));
		w->now.us = MAX_OF(next.us, w->now.us);
		for (unsigned int i = 0; i < 2; i++) {
			struct end *d = &w->end[i];

			if (d->asleep)
				continue;
			if (!d->lazy)
				arrivals(w, i);
			bfd_engine_run(d->e, w->now);
			arrivals(w, i);
			bfd_engine_run(d->e, w->now);
		}
		if (w->now.us >= end.us)
			return;
	}
}

static struct bfd_view
view(struct wire *w, int i)
{
	struct bfd_view v;

	bfd_session_view(w->end[i].s, &v);
	return v;
}

static void
both_up(struct wire *w)
{
	turn(w, SECONDS(3));
	for (int i = 0; i < 2; i++)
		assert_int_equal(bfd_session_state(w->end[i].s), BFD_UP);
}

static uint64_t
drops(struct wire *w, int i, enum bfd_drop d)
{
	struct bfd_engine_stats s;

	bfd_engine_stats(w->end[i].e, &s);
	return s.dropped[d];
}

/* ---- the way up and down ---- */

static void
comes_up(void **state)
{
	struct wire *w = wire_new(&usual, &usual);

	(void)state;
	both_up(w);
	for (int i = 0; i < 2; i++) {
		struct bfd_view v = view(w, i);

		assert_int_equal(w->end[i].ups, 1);
		assert_int_equal(v.tx_us, 100000);
		assert_int_equal(v.rx_us, 100000);
		assert_int_equal(v.detect_us, 300000);
		assert_false(v.polling);
		assert_true(v.remote_independent);
		assert_int_equal(v.flaps + v.missed + v.spared, 0);
		assert_true(w->end[i].polls >= 1 && w->end[i].finals >= 1);
	}
	/* Until Up nothing is asked for faster than once a second (6.8.3). */
	assert_true(
	    view(w, 0).since.us - SECONDS(100) < MS(10)); /* both began at once, and answer each state at once */
	wire_free(w);
}

static void
slow_while_down(void **state)
{
	struct wire *w = wire_new(&usual, NULL);

	(void)state;
	turn(w, SECONDS(30));
	assert_in_range(w->end[0].sent, 30, 41);
	assert_int_equal(w->end[0].last.min_tx_us, SECONDS(1));
	assert_int_equal(w->end[0].last.min_rx_us, 100000);
	wire_free(w);
}

/* Silence: Down after the detection time since the last packet, not before and not later; told at once. */
static void
silence(void **state)
{
	struct wire *w = wire_new(&usual, &usual);
	struct mono heard;
	unsigned int sent;

	(void)state;
	both_up(w);
	w->end[1].mute = true;
	turn(w, LATENCY);
	heard = view(w, 0).last_rx;
	turn(w, heard.us + MS(300) - w->now.us - 1);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	sent = w->end[0].sent;
	turn(w, 1);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	assert_int_equal(bfd_session_diag(w->end[0].s), BFD_DIAG_TIMEOUT);
	assert_true(w->end[0].sent > sent);
	assert_int_equal(w->end[0].last.state, BFD_DOWN);
	assert_int_equal(w->end[0].last.your_discr, 0);
	turn(w, LATENCY);
	assert_int_equal(bfd_session_state(w->end[1].s), BFD_DOWN);
	assert_int_equal(bfd_session_diag(w->end[1].s), BFD_DIAG_NEIGHBOR_DOWN);
	assert_int_equal(view(w, 0).down_diag, BFD_DIAG_TIMEOUT);
	assert_int_equal(view(w, 0).flaps, 1);
	w->end[1].mute = false;
	both_up(w);
	wire_free(w);
}

static void
admin_down(void **state)
{
	struct wire *w = wire_new(&usual, &usual);
	struct bfd_params p = usual;

	(void)state;
	both_up(w);
	p.admin_down = true;
	assert_int_equal(bfd_session_change(w->end[0].s, &p, w->now), 0);
	turn(w, LATENCY);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_ADMIN);
	assert_int_equal(bfd_session_diag(w->end[0].s), BFD_DIAG_ADMIN_DOWN);
	assert_int_equal(bfd_session_state(w->end[1].s), BFD_DOWN);
	assert_int_equal(bfd_session_diag(w->end[1].s), BFD_DIAG_NEIGHBOR_DOWN);
	assert_int_equal(view(w, 1).remote_state, BFD_ADMIN); /* by this a client tells it from a failure */
	assert_int_equal(view(w, 0).flaps, 0);
	turn(w, SECONDS(5)); /* packets are still sent, and what comes is dropped */
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_ADMIN);
	assert_true(drops(w, 0, BFD_DROP_ADMIN_DOWN) > 0);
	p.admin_down = false;
	assert_int_equal(bfd_session_change(w->end[0].s, &p, w->now), 0);
	both_up(w);
	wire_free(w);
}

/* ---- timers ---- */

static void
negotiation(void **state)
{
	static const struct {
		const char *name;
		struct bfd_params a, b;
		int64_t tx, rx, detect; /* of a */
	} cases[] = {
		{ "a asks for more", { .min_tx_us = 50000, .min_rx_us = 60000, .multiplier = 3 },
		    { .min_tx_us = 100000, .min_rx_us = 200000, .multiplier = 5 }, 200000, 100000, 500000 },
		{ "test_B07_peer_asks_1us", { .min_tx_us = 50000, .min_rx_us = 60000, .multiplier = 3 },
		    { .min_tx_us = 1, .min_rx_us = 1, .multiplier = 1 }, 50000, 60000, 60000 },
		{ "we are asked for 1 us", { .min_tx_us = 1, .min_rx_us = 1, .multiplier = 3 },
		    { .min_tx_us = 1, .min_rx_us = 1, .multiplier = 3 }, 3300, 3300, 9900 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wire *w = wire_new(&cases[i].a, &cases[i].b);
		struct bfd_view v;

		both_up(w);
		v = view(w, 0);
		if (v.tx_us != cases[i].tx || v.rx_us != cases[i].rx || v.detect_us != cases[i].detect)
			fail_msg("%s: %d %d %d", cases[i].name, (int)v.tx_us, (int)v.rx_us, (int)v.detect_us);
		wire_free(w);
	}
}

/* 6.8.7: intervals of 75 to 100 %, with a multiplier of 1 of 75 to 90 %; spread over all of it. */
static void
jitter(void **state)
{
	(void)state;
	for (uint8_t multiplier = 1; multiplier <= 2; multiplier++) {
		struct bfd_params p = usual;
		int64_t least = INT64_MAX, most = 0;
		struct wire *w;
		struct mono last;
		unsigned int sent;

		p.multiplier = multiplier;
		w = wire_new(&p, &p);
		both_up(w);
		turn(w, SECONDS(1));
		last = w->end[0].last_sent;
		sent = w->end[0].sent;
		while (w->end[0].sent < sent + 500) {
			unsigned int was = w->end[0].sent;

			turn(w, 100);
			if (w->end[0].sent == was)
				continue;
			least = MIN_OF(least, w->end[0].last_sent.us - last.us);
			most = MAX_OF(most, w->end[0].last_sent.us - last.us);
			last = w->end[0].last_sent;
		}
		assert_in_range(least, 75000, 76000);
		assert_in_range(most, multiplier == 1 ? 89000 : 85000, multiplier == 1 ? 90000 : 100000);
		assert_int_equal(w->end[0].ups, 1);
		wire_free(w);
	}
}

/* 6.8.3: longer to send and shorter to wait take effect when the neighbour has said F. */
static void
poll_sequence(void **state)
{
	const struct bfd_params fast = { .min_tx_us = 20000, .min_rx_us = 100000, .multiplier = 3 };
	struct wire *w = wire_new(&usual, &fast);
	struct bfd_params p = usual;

	(void)state;
	both_up(w);
	p.min_tx_us = 400000;
	p.min_rx_us = 50000;
	w->end[1].deaf = true; /* no F */
	assert_int_equal(bfd_session_change(w->end[0].s, &p, w->now), 0);
	turn(w, MS(150));
	assert_true(view(w, 0).polling && w->end[0].last.poll);
	assert_int_equal(w->end[0].last.min_tx_us, 400000);
	assert_int_equal(w->end[0].last.min_rx_us, 50000);
	assert_int_equal(view(w, 0).tx_us, 100000);
	assert_int_equal(view(w, 0).rx_us, 100000);
	w->end[1].deaf = false;
	turn(w, MS(150));
	assert_false(view(w, 0).polling);
	assert_int_equal(view(w, 0).tx_us, 400000);
	assert_int_equal(view(w, 0).detect_us, 150000);
	/* A second change while a poll runs gets a poll of its own. */
	w->end[1].deaf = true;
	p.min_tx_us = 60000;
	bfd_session_change(w->end[0].s, &p, w->now);
	p.min_tx_us = 100000;
	bfd_session_change(w->end[0].s, &p, w->now);
	w->end[1].deaf = false;
	turn(w, SECONDS(2));
	assert_false(view(w, 0).polling);
	assert_int_equal(view(w, 0).tx_us, 100000);
	assert_int_equal(w->end[0].downs + w->end[1].downs, 0);
	wire_free(w);
}

static void
test_B08_64_bit_time(void **state)
{
	struct bfd_params p = { .min_tx_us = UINT32_MAX, .min_rx_us = UINT32_MAX, .multiplier = 255 };
	struct wire *w = wire_new(&p, &p);
	const int64_t detect = 255ll * UINT32_MAX;

	(void)state;
	both_up(w);
	assert_int_equal(view(w, 0).detect_us, detect);
	w->end[1].mute = true;
	turn(w, LATENCY);
	turn(w, view(w, 0).last_rx.us + detect - w->now.us - 1);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	turn(w, 1);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	wire_free(w);
}

/* Every multiplier: Up lasts through one packet less than it, and no longer than it. */
static void
multipliers(void **state)
{
	static const uint8_t all[] = { 1, 2, 3, 5, 50, 255 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct bfd_params p = usual;
		struct wire *w;

		p.multiplier = all[i];
		w = wire_new(&p, &p);
		both_up(w);
		turn(w, SECONDS(20));
		assert_int_equal(w->end[0].changes, w->end[0].ups + 1); /* Init or Down once */
		assert_int_equal(view(w, 0).detect_us, 100000 * all[i]);
		wire_free(w);
	}
}

/* A neighbour whose Required Min RX is 0 gets nothing; 6.8.18: after a detection time of silence it is asked again. */
static void
held_down(void **state)
{
	struct wire *w = wire_new(&usual, NULL);
	struct bfd_packet p = {
		.state = BFD_DOWN, .multiplier = 3, .my_discr = 9, .min_tx_us = 100000, .min_rx_us = 0
	};
	struct bfd_received r = {
		.n = 24, .src = ip_v6(six[1]), .dst = ip_v6(six[0]), .ifindex = 10, .hop_limit = 255
	};
	uint8_t buf[BFD_PACKET_MAX];
	unsigned int sent;

	(void)state;
	bfd_packet_build(&p, 0, buf);
	r.bytes = buf;
	turn(w, 1);
	r.at = w->now;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
	sent = w->end[0].sent;
	turn(w, MS(299));
	assert_int_equal(w->end[0].sent, sent);
	assert_int_equal(view(w, 0).tx_us, 0);
	turn(w, MS(2)); /* Init, and silence: Down, and the neighbour's wish is forgotten */
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	assert_int_equal(view(w, 0).remote_discr, 0);
	turn(w, SECONDS(1));
	assert_true(w->end[0].sent > sent);
	/* In Down, too, state is kept for a detection time and not longer. */
	p.state = BFD_ADMIN;
	bfd_packet_build(&p, 0, buf);
	r.at = w->now;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
	turn(w, MS(299));
	assert_int_equal(view(w, 0).remote_discr, 9);
	turn(w, MS(2));
	assert_int_equal(view(w, 0).remote_discr, 0);
	assert_true(view(w, 0).tx_us > 0);
	wire_free(w);
}

/* The neighbour in Demand mode (6.6): nothing periodic while both are Up; a poll of its own goes out. */
static void
demand(void **state)
{
	struct wire *w = wire_new(&usual, &usual);
	struct bfd_packet p;
	struct bfd_received r = {
		.n = 24, .src = ip_v6(six[1]), .dst = ip_v6(six[0]), .ifindex = 10, .hop_limit = 255
	};
	uint8_t buf[BFD_PACKET_MAX];
	unsigned int sent;

	(void)state;
	both_up(w);
	w->end[1].mute = true;
	turn(w, LATENCY);
	p = w->end[1].last;
	p.demand = true;
	p.poll = p.final = false;
	bfd_packet_build(&p, 0, buf);
	r.bytes = buf;
	r.at = w->now;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
	sent = w->end[0].sent;
	turn(w, MS(250));
	assert_int_equal(w->end[0].sent, sent);
	wire_free(w);
}

/* ---- what is dropped (6.8.6) ---- */

struct bad {
	const char *name;
	enum bfd_drop want;
	uint8_t hop, src_last, dst_last;
	uint32_t ifindex;
	bool multihop;
	int at; /* byte to be overwritten; -1: none */
	uint8_t value;
	size_t n;
	bool nobodys; /* neither its bytes nor the way it came are the session's */
};

static const struct bad bads[] = {
	{ "good", BFD_TAKEN, 255, 2, 1, 10, false, -1, 0, 24, false },
	{ "version", BFD_DROP_VERSION, 255, 2, 1, 10, false, 0, 0x40, 24, false },
	{ "too short for its flags", BFD_DROP_LENGTH_SMALL, 255, 2, 1, 10, false, 3, 23, 24, false },
	{ "longer than its payload", BFD_DROP_LENGTH_LARGE, 255, 2, 1, 10, false, 3, 25, 24, false },
	{ "cut", BFD_DROP_LENGTH_LARGE, 255, 2, 1, 10, false, -1, 0, 23, false },
	{ "nothing", BFD_DROP_SHORT, 255, 2, 1, 10, false, -1, 0, 0, false },
	{ "multiplier 0", BFD_DROP_MULTIPLIER, 255, 2, 1, 10, false, 2, 0, 24, false },
	{ "multipoint", BFD_DROP_MULTIPOINT, 255, 2, 1, 10, false, 1, 0xc1, 24, false },
	{ "your discriminator", BFD_DROP_YOUR_DISCR, 255, 2, 1, 10, false, 8, 0xee, 24, false },
	{ "test_B02 wrong interface", BFD_DROP_PORT, 255, 2, 1, 11, false, -1, 0, 24, false },
	{ "multihop port", BFD_DROP_PORT, 255, 2, 1, 10, true, -1, 0, 24, false },
	{ "test_B03 hop limit 254", BFD_DROP_HOP_LIMIT, 254, 2, 1, 10, false, -1, 0, 24, false },
	{ "test_B03 hop limit 254, of rubbish", BFD_DROP_HOP_LIMIT, 254, 2, 1, 10, false, 0, 0, 24, false },
	{ "from another", BFD_DROP_ADDRESS, 255, 3, 1, 10, false, -1, 0, 24, false },
	{ "to another", BFD_DROP_ADDRESS, 255, 2, 7, 10, false, -1, 0, 24, false },
	{ "authenticated", BFD_DROP_AUTH_UNEXPECTED, 255, 2, 1, 10, false, 1, 0xc4, 52, false },
	{ "version, from another", BFD_DROP_VERSION, 255, 3, 1, 10, false, 0, 0x40, 24, true },
	{ "hop limit 254, on another interface", BFD_DROP_HOP_LIMIT, 254, 2, 1, 11, false, -1, 0, 24, true },
	{ "your discriminator, to another", BFD_DROP_YOUR_DISCR, 255, 2, 7, 10, false, 8, 0xee, 24, true },
};

/* Each rule counts one, changes nothing, and does not keep a dying session alive. */
static void
test_B01_discard_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
		const struct bad *b = &bads[i];
		struct wire *w = wire_new(&usual, &usual);
		struct bfd_received r = {
			.n = b->n, .ifindex = b->ifindex, .hop_limit = b->hop, .multihop = b->multihop
		};
		uint8_t buf[BFD_PACKET_MAX] = { 0 }, a[16];
		struct bfd_packet p;
		struct bfd_view before, after;
		enum bfd_drop got;

		both_up(w);
		turn(w, SECONDS(1));
		w->end[1].mute = true;
		turn(w, LATENCY + 1);
		p = w->end[1].last;
		p.poll = p.final = false;
		bfd_packet_build(&p, b->n > 24 ? 28 : 0, buf);
		if (b->at >= 0)
			buf[b->at] = b->value;
		if (b->at == 8)
			memset(buf + 8, 0xee, 4);
		r.bytes = buf;
		memcpy(a, six[1], 16);
		a[15] = b->src_last;
		r.src = ip_v6(a);
		memcpy(a, six[0], 16);
		a[15] = b->dst_last;
		r.dst = ip_v6(a);
		turn(w, MS(150));
		r.at = w->now;
		before = view(w, 0);
		got = bfd_engine_receive(w->end[0].e, &r, w->now);
		after = view(w, 0);
		if (got != b->want)
			fail_msg("%s: %s", b->name, bfd_drop_name(got));
		if (b->want == BFD_TAKEN) {
			assert_int_equal(after.last_rx.us, w->now.us);
		} else {
			assert_int_equal(drops(w, 0, b->want), 1);
			if (after.dropped != before.dropped + !b->nobodys)
				fail_msg("%s: %s at the session", b->name, b->nobodys ? "counted" : "not counted");
			assert_int_equal(after.last_rx.us, before.last_rx.us);
			assert_int_equal(after.rx, before.rx);
			turn(w, before.last_rx.us + MS(300) - w->now.us);
			if (bfd_session_state(w->end[0].s) != BFD_DOWN)
				fail_msg("%s: keeps the session up", b->name);
		}
		wire_free(w);
	}
}

static void
strangers(void **state)
{
	struct wire *w = wire_new(NULL, &usual);

	(void)state;
	turn(w, SECONDS(3));
	assert_true(drops(w, 0, BFD_DROP_NO_SESSION) >= 3);
	wire_free(w);
}

static void
test_B05_spoofed_down(void **state)
{
	struct bfd_params keyed = usual;

	(void)state;
	keyed.auth = (struct bfd_auth){ .type = BFD_AUTH_SHA1_METICULOUS, .nkeys = 1, .keys[0] = { 1, 4, "key" } };
	for (int with = 0; with < 2; with++) {
		struct wire *w = wire_new(with ? &keyed : &usual, with ? &keyed : &usual);
		struct bfd_received r = { .src = ip_v6(six[1]), .dst = ip_v6(six[0]), .ifindex = 10, .hop_limit = 255 };
		uint8_t buf[BFD_PACKET_MAX] = { 0 };
		struct bfd_packet p;

		both_up(w);
		p = w->end[1].last;
		p.state = BFD_DOWN;
		p.poll = p.final = p.authenticated = false;
		r.n = bfd_packet_build(&p, 0, buf);
		r.bytes = buf;
		r.at = w->now;
		bfd_engine_receive(w->end[0].e, &r, w->now);
		assert_int_equal(bfd_session_state(w->end[0].s), with ? BFD_UP : BFD_DOWN);
		assert_int_equal(drops(w, 0, BFD_DROP_AUTH_MISSING), with);
		wire_free(w);
	}
}

static void
authenticated(void **state)
{
	struct bfd_params a = usual, b = usual;
	struct wire *w;

	(void)state;
	a.auth = (struct bfd_auth){ .type = BFD_AUTH_SHA1, .nkeys = 1, .keys[0] = { 1, 4, "key" } };
	b.auth = a.auth;
	w = wire_new(&a, &b);
	both_up(w);
	turn(w, SECONDS(20));
	assert_int_equal(view(w, 0).dropped, 0);
	/* The neighbour starts anew, with another sequence: refused until twice the detection time has passed. */
	bfd_session_free(w->end[1].s);
	assert_int_equal(bfd_session_new(w->end[1].e, &(struct bfd_path){ 11, ip_v6(six[1]), ip_v6(six[0]), false }, &b,
			     w->now, &w->end[1].s),
	    0);
	turn(w, SECONDS(10));
	both_up(w);
	assert_true(drops(w, 0, BFD_DROP_AUTH_SEQUENCE) > 0);
	/* Another key. */
	b.auth.keys[0].bytes[0] = 'x';
	bfd_session_change(w->end[1].s, &b, w->now);
	turn(w, SECONDS(2));
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	assert_true(drops(w, 0, BFD_DROP_AUTH_DIGEST) > 0);
	wire_free(w);
}

/* ---- hostile and unlucky neighbours ---- */

static void
test_B06_poll_storm(void **state)
{
	struct wire *w = wire_new(&usual, &usual);
	struct bfd_received r = {
		.n = 24, .src = ip_v6(six[1]), .dst = ip_v6(six[0]), .ifindex = 10, .hop_limit = 255
	};
	uint8_t buf[BFD_PACKET_MAX];
	struct bfd_packet p;
	unsigned int finals;

	(void)state;
	both_up(w);
	p = w->end[1].last;
	p.poll = true;
	p.final = false;
	bfd_packet_build(&p, 0, buf);
	r.bytes = buf;
	finals = w->end[0].finals;
	for (int i = 0; i < 10000; i++) { /* for a second */
		turn(w, 100);
		r.at = w->now;
		assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
	}
	assert_in_range(w->end[0].finals - finals, 10, 18);
	assert_true(view(w, 0).polls_unanswered > 9900);
	assert_int_equal(w->end[0].downs, 0);
	wire_free(w);
}

static void
test_B09_discriminator_changes(void **state)
{
	struct wire *w = wire_new(&usual, &usual);
	struct bfd_path path = path_of(1);
	struct bfd_engine_stats s;
	uint32_t was;

	(void)state;
	both_up(w);
	was = view(w, 0).remote_discr;
	bfd_session_free(w->end[1].s); /* restarts without a word */
	assert_int_equal(bfd_session_new(w->end[1].e, &path, &usual, w->now, &w->end[1].s), 0);
	both_up(w);
	assert_int_not_equal(view(w, 0).remote_discr, was);
	bfd_engine_stats(w->end[0].e, &s);
	assert_int_equal(s.sessions, 1);
	assert_int_equal(s.up, 1);
	wire_free(w);
}

/* Everything twice, and the second time late. */
static void
test_B10_duplicates(void **state)
{
	struct wire *w = wire_new(&usual, &usual);

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t n = w->n;

		turn(w, MS(20));
		for (size_t k = n; k < w->n && w->n < ARRAY_LEN(w->q); k += 2) {
			w->q[w->n] = w->q[k];
			w->q[w->n++].at.us += 500;
		}
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bfd_session_state(w->end[i].s), BFD_UP);
		assert_int_equal(w->end[i].ups, 1);
	}
	wire_free(w);
}

/* An older Init or Up that comes again while Up: nothing. */
static void
test_B10_reordered(void **state)
{
	static const enum bfd_state olds[] = { BFD_INIT, BFD_UP };
	struct wire *w = wire_new(&usual, &usual);
	struct bfd_received r = {
		.n = 24, .src = ip_v6(six[1]), .dst = ip_v6(six[0]), .ifindex = 10, .hop_limit = 255
	};
	uint8_t buf[BFD_PACKET_MAX];

	(void)state;
	both_up(w);
	for (size_t i = 0; i < ARRAY_LEN(olds); i++) {
		struct bfd_packet p = w->end[1].last;

		p.state = (uint8_t)olds[i];
		bfd_packet_build(&p, 0, buf);
		r.bytes = buf;
		r.at = (struct mono){ w->now.us - MS(50) };
		assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
		assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	}
	assert_int_equal(w->end[0].ups, 1);
	wire_free(w);
}

/* ---- our own absence ---- */

/* Not scheduled for a while; the neighbour's packets wait in the socket, whose queue is read first. */
static void
asleep_with_packets(void **state)
{
	struct wire *w = wire_new(&usual, &usual);

	(void)state;
	both_up(w);
	/* Half a second; the neighbour must not lose us for it. */
	w->end[0].lazy = true;
	bfd_session_change(
	    w->end[0].s, &(struct bfd_params){ .min_tx_us = 100000, .min_rx_us = 100000, .multiplier = 20 }, w->now);
	turn(w, SECONDS(1));
	w->end[0].asleep = true;
	turn(w, MS(900));
	w->end[0].asleep = false;
	turn(w, MS(500));
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	assert_int_equal(w->end[0].downs, 0);
	assert_int_equal(view(w, 0).spared, 0); /* the packets themselves spoke for the neighbour */
	wire_free(w);
}

/* The whole machine was away: nothing was received either. The neighbour, which lives, gets its chance. */
static void
asleep_without_packets(void **state)
{
	for (int64_t away = MS(250); away <= SECONDS(3); away += MS(173)) {
		struct bfd_params long_lived = usual;
		struct wire *w;

		(void)state;
		long_lived.multiplier = 100; /* so that the neighbour does not call us dead meanwhile */
		w = wire_new(&long_lived, &usual);
		both_up(w);
		turn(w, MS(317) + away % 89000);
		w->end[0].asleep = w->end[0].deaf = true;
		turn(w, away);
		for (size_t i = 0; i < w->n;) { /* what arrived meanwhile is lost */
			if (w->q[i].to == 0 && w->q[i].at.us < w->now.us)
				memmove(w->q + i, w->q + i + 1, (--w->n - i) * sizeof(w->q[0]));
			else
				i++;
		}
		w->end[0].asleep = w->end[0].deaf = false;
		turn(w, SECONDS(1));
		assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
		assert_int_equal(w->end[0].downs, 0);
		/* A neighbour that is gone is found all the same, after one detection time and the grace. */
		w->end[1].mute = true;
		turn(w, LATENCY + MS(300));
		assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
		wire_free(w);
	}
}

/* A neighbour that died while we slept is found after we woke, at most a detection time later. */
static void
died_while_asleep(void **state)
{
	struct bfd_params long_lived = usual;
	struct wire *w;

	(void)state;
	long_lived.multiplier = 100;
	w = wire_new(&long_lived, &usual);
	both_up(w);
	w->end[1].mute = true;
	w->end[0].asleep = true;
	turn(w, SECONDS(5));
	w->end[0].asleep = false;
	turn(w, MS(1));
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	assert_int_equal(view(w, 0).spared, 1);
	turn(w, MS(300));
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	wire_free(w);
}

/* ---- roles ---- */

static void
passive(void **state)
{
	struct bfd_params p = usual;
	struct wire *w;

	(void)state;
	p.passive = true;
	w = wire_new(&p, NULL);
	turn(w, SECONDS(5));
	assert_int_equal(w->end[0].sent, 0);
	wire_free(w);
	w = wire_new(&p, &usual);
	both_up(w);
	wire_free(w);
}

static void
unsolicited(void **state)
{
	struct wire *w = wire_new(NULL, &usual);
	struct bfd_engine_stats s;

	(void)state;
	w->end[0].allow = true;
	turn(w, SECONDS(3));
	assert_int_equal(bfd_session_state(w->end[1].s), BFD_UP);
	w->end[0].s = bfd_session_after(w->end[0].e, NULL);
	assert_true(view(w, 0).unsolicited);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_UP);
	w->end[1].mute = true;
	turn(w, MS(302)); /* Down, and nothing is known of the neighbour any more: it goes */
	bfd_engine_stats(w->end[0].e, &s);
	assert_int_equal(s.sessions, 0);
	assert_int_equal(w->end[0].forgotten, 1);
	wire_free(w);
}

static void
multihop(void **state)
{
	struct bfd_path path = { .local = ip_v4(0x0a000001), .peer = ip_v4(0x0a000002), .multihop = true };
	struct bfd_packet p = {
		.state = BFD_DOWN, .multiplier = 3, .my_discr = 9, .min_tx_us = 100000, .min_rx_us = 1000
	};
	struct bfd_received r = {
		.n = 24, .src = path.peer, .dst = path.local, .ifindex = 44, .hop_limit = 60, .multihop = true
	};
	struct wire *w = wire_new(NULL, NULL);
	struct bfd_params params = usual;
	struct bfd_session *s;
	uint8_t buf[BFD_PACKET_MAX];

	(void)state;
	params.min_hops = 61;
	assert_int_equal(bfd_session_new(w->end[0].e, &path, &params, w->now, &s), 0);
	bfd_packet_build(&p, 0, buf);
	r.bytes = buf;
	r.at = w->now;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_DROP_HOP_LIMIT);
	r.hop_limit = 61;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_TAKEN);
	assert_int_equal(bfd_session_state(s), BFD_INIT);
	r.multihop = false;
	r.hop_limit = 255;
	assert_int_equal(bfd_engine_receive(w->end[0].e, &r, w->now), BFD_DROP_NO_SESSION);
	wire_free(w);
}

static void
echo(void **state)
{
	struct bfd_params a = usual, b = usual;
	struct wire *w;

	(void)state;
	a.echo_us = 20000;
	b.echo_rx_us = 25000;
	w = wire_new(&a, &b);
	both_up(w);
	assert_int_equal(view(w, 0).echo_us, 25000);
	turn(w, SECONDS(2));
	assert_in_range(view(w, 0).echo_rx, 150, 300);
	assert_int_equal(w->end[0].downs, 0);
	/* Echo packets are looped no more: a failure of the path that control packets may not see. */
	{
		size_t lost = 0;

		for (int i = 0; i < 200 && bfd_session_state(w->end[0].s) == BFD_UP; i++) {
			turn(w, MS(1));
			for (size_t k = 0; k < w->n;) {
				if (w->q[k].echo) {
					memmove(w->q + k, w->q + k + 1, (--w->n - k) * sizeof(w->q[0]));
					lost++;
				} else {
					k++;
				}
			}
		}
		assert_true(lost >= 3);
	}
	assert_int_equal(view(w, 0).down_diag, BFD_DIAG_ECHO);
	assert_int_equal(bfd_session_state(w->end[0].s), BFD_DOWN);
	wire_free(w);
}

static void
wrong_params(void **state)
{
	struct bfd_path good = path_of(0), bad;
	struct bfd_params p = usual;
	struct wire *w = wire_new(&usual, NULL);
	struct bfd_session *s;

	(void)state;
	assert_int_equal(bfd_session_new(w->end[0].e, &good, &usual, w->now, &s), -EEXIST);
	assert_null(bfd_params_wrong(&good, &usual));
	bad = good;
	bad.ifindex = 0;
	assert_non_null(bfd_params_wrong(&bad, &usual));
	bad = good;
	bad.peer = ip_v4(1);
	assert_non_null(bfd_params_wrong(&bad, &usual));
	bad = good;
	bad.multihop = true;
	assert_non_null(bfd_params_wrong(&bad, &usual));
	p.multiplier = 0;
	assert_int_equal(bfd_session_new(w->end[1].e, &good, &p, w->now, &s), -EINVAL);
	p = usual;
	p.min_rx_us = 0;
	assert_int_equal(bfd_session_change(w->end[0].s, &p, w->now), -EINVAL);
	wire_free(w);
}

/* Ten thousand sessions: found by both keys, each deadline kept, nothing lost when every other goes. */
static void
many(void **state)
{
	struct wire *w = wire_new(NULL, NULL);
	struct bfd_session *s, *next;
	size_t n = 0;

	(void)state;
	w->end[0].mute = true;
	for (uint32_t i = 1; i <= 10000; i++) {
		struct bfd_path path = { .ifindex = i, .local = ip_v6(six[0]), .peer = ip_v6(six[1]) };

		assert_int_equal(bfd_session_new(w->end[0].e, &path, &usual, w->now, &s), 0);
		assert_ptr_equal(bfd_session_find(w->end[0].e, &path), s);
		assert_ptr_equal(bfd_session_by_discr(w->end[0].e, bfd_session_discr(s)), s);
	}
	turn(w, SECONDS(2));
	for (s = bfd_session_after(w->end[0].e, NULL); s; s = next) {
		struct bfd_view v;

		next = bfd_session_after(w->end[0].e, s);
		bfd_session_view(s, &v);
		assert_in_range(v.tx, 3, 4);
		if (++n % 2)
			bfd_session_free(s);
	}
	assert_int_equal(n, 10000);
	turn(w, SECONDS(2));
	for (n = 0, s = bfd_session_after(w->end[0].e, NULL); s; s = bfd_session_after(w->end[0].e, s))
		n++;
	assert_int_equal(n, 5000);
	wire_free(w);
}

static void
histogram(void **state)
{
	struct bfd_hist h = { 0 };

	(void)state;
	assert_int_equal(bfd_hist_quantile(&h, 990), 0);
	for (int64_t us = 0; us < 1000000; us += 7) {
		unsigned int b = bfd_hist_bucket(us);

		assert_true(us < bfd_hist_upper(b) && (b == 0 || us >= bfd_hist_upper(b - 1)));
	}
	for (int i = 0; i < 990; i++)
		bfd_hist_add(&h, 10);
	for (int i = 0; i < 10; i++)
		bfd_hist_add(&h, 5000);
	assert_in_range(bfd_hist_quantile(&h, 990), 10, 12);
	assert_int_equal(bfd_hist_quantile(&h, 1000), 5000);
	bfd_hist_add(&h, INT64_MAX);
	assert_int_equal(h.max_us, INT64_MAX);
	/* months of it */
	h = (struct bfd_hist){ .n = UINT32_MAX, .max_us = 900, .bucket[9] = UINT32_MAX };
	assert_int_equal(bfd_hist_bucket(10), 9);
	bfd_hist_add(&h, 10);
	assert_in_range(bfd_hist_quantile(&h, 990), 10, 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up),
		cmocka_unit_test(slow_while_down),
		cmocka_unit_test(silence),
		cmocka_unit_test(admin_down),
		cmocka_unit_test(negotiation),
		cmocka_unit_test(jitter),
		cmocka_unit_test(poll_sequence),
		cmocka_unit_test(test_B08_64_bit_time),
		cmocka_unit_test(multipliers),
		cmocka_unit_test(held_down),
		cmocka_unit_test(demand),
		cmocka_unit_test(test_B01_discard_rules),
		cmocka_unit_test(strangers),
		cmocka_unit_test(test_B05_spoofed_down),
		cmocka_unit_test(authenticated),
		cmocka_unit_test(test_B06_poll_storm),
		cmocka_unit_test(test_B09_discriminator_changes),
		cmocka_unit_test(test_B10_duplicates),
		cmocka_unit_test(test_B10_reordered),
		cmocka_unit_test(asleep_with_packets),
		cmocka_unit_test(asleep_without_packets),
		cmocka_unit_test(died_while_asleep),
		cmocka_unit_test(passive),
		cmocka_unit_test(unsolicited),
		cmocka_unit_test(multihop),
		cmocka_unit_test(echo),
		cmocka_unit_test(wrong_params),
		cmocka_unit_test(many),
		cmocka_unit_test(histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
