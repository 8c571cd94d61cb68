/*
 * bfd/engine.c, bfd/receive.c: one session, packet by packet and microsecond by microsecond
 *
 * The neighbour is the test: it says what it likes, when it likes, and looks at each packet that comes back. Also what
 * the heap and the tables promise (bfd/impl.h), and that all memory comes back.
 */
#include "desk.h"

/* ---- what is counted and shown ---- */

static void
counters(void **state)
{
	struct desk d;
	struct bfd_view v;
	uint64_t rx;

	(void)state;
	desk_begin(&d, &usual);
	assert_int_equal(view(&d).rx_us, 0);
	assert_true(mono_is_never(view(&d).down_at));
	assert_true(mono_is_never(view(&d).last_rx));
	assert_int_equal(stats(&d).up, 0);
	come_up(&d);
	assert_int_equal(stats(&d).up, 1);
	assert_int_equal(stats(&d).sessions, 1);
	rx = view(&d).rx;
	assert_int_equal(stats(&d).rx, rx);
	assert_true(rx >= 4);
	d.says.diag = BFD_DIAG_PATH_DOWN;
	say_state(&d, BFD_UP);
	v = view(&d);
	assert_int_equal(v.rx, rx + 1);
	assert_int_equal(v.remote_diag, BFD_DIAG_PATH_DOWN);
	assert_int_equal(v.remote_state, BFD_UP);
	d.now.us += 5;
	say_state(&d, BFD_DOWN);
	assert_int_equal(stats(&d).up, 0);
	assert_int_equal(view(&d).down_at.us, d.now.us);
	assert_int_equal(view(&d).down_diag, BFD_DIAG_NEIGHBOR_DOWN);
	assert_int_equal(view(&d).flaps, 1);
	desk_end(&d);
}

/* A gap of more than one and a half intervals is a packet that is missing; of two and a half, two. */
static void
missed(void **state)
{
	static const struct {
		int64_t gap_us;
		unsigned int missed;
	} cases[] = { { 100000, 0 }, { 150000, 0 }, { 150001, 1 }, { 249999, 1 }, { 250000, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct desk d;
		uint64_t before;

		desk_begin(&d, &usual);
		come_up(&d);
		before = view(&d).missed;
		d.now.us += cases[i].gap_us;
		say_state(&d, BFD_UP);
		if (view(&d).missed - before != cases[i].missed)
			fail_msg("%d us: %d", (int)cases[i].gap_us, (int)(view(&d).missed - before));
		desk_end(&d);
	}
}

static void
lateness(void **state)
{
	struct desk d;
	struct bfd_received r;
	struct mono due;
	uint8_t buf[BFD_PACKET_MAX];

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, 1);
	assert_int_equal(view(&d).rx_late_max, 0);
	d.says.your_discr = bfd_session_discr(d.s);
	r = received(&d, buf, bfd_packet_build(&d.says, 0, buf));
	d.now.us += 700;
	bfd_engine_receive(d.e, &r, d.now);
	assert_int_equal(view(&d).rx_late_max, 700);
	/* What waited on purpose is no measure. */
	r.waited = true;
	d.now.us += 200;
	bfd_engine_receive(d.e, &r, d.now);
	assert_int_equal(view(&d).rx_late_max, 700);
	/* A run that comes 650 us after its deadline, and a packet that goes out then. */
	due = bfd_engine_next(d.e);
	assert_int_equal(stats(&d).run_late.max_us, 0);
	d.now.us = due.us + 650;
	bfd_engine_run(d.e, d.now);
	assert_int_equal(stats(&d).run_late.max_us, 650);
	assert_int_equal(view(&d).tx_late_max, 650);
	desk_end(&d);
}

static void
goes_while_up(void **state)
{
	struct desk d;
	int user;

	(void)state;
	desk_begin(&d, &usual);
	bfd_session_set_user(d.s, &user);
	assert_ptr_equal(bfd_session_user(d.s), &user);
	come_up(&d);
	bfd_session_free(d.s);
	d.s = NULL;
	assert_int_equal(stats(&d).up, 0);
	assert_int_equal(stats(&d).sessions, 0);
	desk_end(&d);
}

/* What a neighbour had said is forgotten with it: Demand, and the poll that it owes an answer. */
static void
forgets_with_the_neighbor(void **state)
{
	struct bfd_params p = usual;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	d.says.demand = true;
	come_up(&d);
	assert_true(view(&d).remote_demand);
	assert_int_equal(view(&d).tx_us, 0);
	d.says.demand = false;
	say_state(&d, BFD_UP);
	p.min_tx_us = 200000;
	bfd_session_change(d.s, &p, d.now);
	assert_true(view(&d).polling);
	d.says.demand = true;
	say_state(&d, BFD_UP);
	turn(&d, SECONDS(1));
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	assert_false(view(&d).remote_demand);
	assert_false(view(&d).polling);
	assert_false(d.last.poll);
	assert_int_equal(view(&d).remote_discr, 0);
	desk_end(&d);
}

/* ---- our own absence ---- */

static void
stalls(void **state)
{
	static const struct {
		int64_t late_us;
		unsigned int stalls;
	} cases[] = { { 999, 0 }, { 1000, 1 }, { 5000, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct desk d;

		desk_begin(&d, &usual);
		come_up(&d);
		turn(&d, 0);
		d.now.us = bfd_engine_next(d.e).us + cases[i].late_us;
		bfd_engine_run(d.e, d.now);
		assert_int_equal(stats(&d).stalls, cases[i].stalls);
		assert_int_equal(stats(&d).stall_max, cases[i].stalls ? cases[i].late_us : 0);
		desk_end(&d);
	}
}

/* Silence since 0, asleep from 250 ms on: the verdict waits for the time that was lost, or one more interval. */
static void
stall_moves_verdict(void **state)
{
	struct desk d;
	struct mono heard, awake, asked;
	int64_t away;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	heard = d.now;
	turn(&d, MS(250));
	asked = bfd_engine_next(d.e);
	d.now.us = heard.us + MS(450);
	away = d.now.us - asked.us;
	bfd_engine_run(d.e, d.now);
	awake = d.now;
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	assert_int_equal(view(&d).spared, 1);
	assert_true(heard.us + MS(300) + away < awake.us + MS(100));
	turn(&d, MS(100) - 1);
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	turn(&d, 1);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	desk_end(&d);
}

/* Away for an eighth of the detection time: that counts; for less it does not. */
static void
short_stalls(void **state)
{
	(void)state;
	for (int counts = 0; counts <= 1; counts++) {
		struct bfd_params p = usual;
		struct desk d;

		p.passive = true; /* no packets of our own between: the verdict is the only deadline */
		desk_begin(&d, &p);
		d.says.min_rx_us = 0; /* nor answers */
		say_state(&d, BFD_DOWN);
		say_state(&d, BFD_INIT);
		say_state(&d, BFD_UP);
		assert_int_equal(bfd_session_state(d.s), BFD_UP);
		d.s->rx_in_use = 100000; /* as after the poll, which nothing is sent for here */
		bfd_refresh(d.s, d.now);
		assert_int_equal(bfd_engine_next(d.e).us, d.now.us + 300000);
		d.now.us += 300000 + 37500 - !counts;
		bfd_engine_run(d.e, d.now);
		assert_int_equal(bfd_session_state(d.s), counts ? BFD_UP : BFD_DOWN);
		assert_int_equal(view(&d).spared, counts);
		desk_end(&d);
	}
}

/* ---- echo ---- */

static void
echo_is_wished_for(void **state)
{
	struct bfd_params p = usual;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	d.says.min_echo_us = 20000;
	come_up(&d);
	turn(&d, MS(50));
	assert_int_equal(d.echoes, 0);
	assert_int_equal(d.last.min_echo_us, 0);
	p.echo_rx_us = 30000;
	bfd_session_change(d.s, &p, d.now);
	turn(&d, MS(100));
	assert_int_equal(d.echoes, 0);
	assert_int_equal(d.last.min_echo_us, 30000);
	desk_end(&d);
	/* Too fast a wish is raised to what is promised. */
	p.echo_us = 1;
	desk_begin(&d, &p);
	d.says.min_echo_us = 1;
	say_state(&d, BFD_DOWN);
	say_state(&d, BFD_INIT);
	assert_int_equal(view(&d).echo_us, BFD_MIN_US);
	desk_end(&d);
}

static enum bfd_drop
echo_back(struct desk *d, const uint8_t *bytes, uint8_t hops, bool *reflect)
{
	struct bfd_received r = received(d, bytes, 16);

	r.hop_limit = hops;
	*reflect = true;
	return bfd_engine_echo(d->e, &r, d->now, reflect);
}

static void
echo_lost(void **state)
{
	struct bfd_params p = usual;
	struct mono begun;
	struct desk d;

	(void)state;
	p.echo_us = 20000;
	desk_begin(&d, &p);
	d.says.min_echo_us = 20000;
	say_state(&d, BFD_DOWN);
	say_state(&d, BFD_INIT);
	say_state(&d, BFD_UP);
	begun = d.now;
	turn(&d, 0);
	assert_int_equal(view(&d).echo_tx, d.echoes);
	assert_int_equal(d.echoes, 1);
	turn(&d, MS(80) - 1);
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	turn(&d, 1);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	assert_int_equal(view(&d).down_diag, BFD_DIAG_ECHO);
	assert_int_equal(mono_sub(view(&d).down_at, begun), MS(80));
	/* And no more of them while it is Down. */
	p.multiplier = 3;
	turn(&d, SECONDS(1));
	assert_in_range(d.echoes, 4, 6);
	assert_int_equal(view(&d).echo_tx, d.echoes);
	desk_end(&d);
}

static void
echo_window(void **state)
{
	struct bfd_params p = usual;
	uint8_t old[4][16];
	bool reflect;
	struct desk d;

	(void)state;
	p.echo_us = 20000;
	p.echo_rx_us = 20000;
	desk_begin(&d, &p);
	d.says.min_echo_us = 20000;
	say_state(&d, BFD_DOWN);
	say_state(&d, BFD_INIT);
	for (int i = 0; i < 4; i++) {
		unsigned int n = d.echoes;

		for (int ms = 0; ms < 30 && d.echoes == n; ms++)
			turn(&d, MS(1));
		memcpy(old[i], d.echo, sizeof(old[i]));
		assert_int_equal(echo_back(&d, old[i], 254, &reflect), BFD_TAKEN);
		assert_false(reflect);
	}
	/* As old as the multiplier allows, and one more. */
	assert_int_equal(echo_back(&d, old[1], 254, &reflect), BFD_TAKEN);
	assert_int_equal(echo_back(&d, old[0], 254, &reflect), BFD_DROP_ECHO);
	assert_false(reflect);
	assert_int_equal(echo_back(&d, old[3], 253, &reflect), BFD_DROP_HOP_LIMIT);
	assert_false(reflect);
	assert_int_equal(echo_back(&d, old[3], 255, &reflect), BFD_TAKEN);
	assert_true(reflect);
	/* Of an earlier time in Up. */
	say_state(&d, BFD_DOWN);
	say_state(&d, BFD_DOWN);
	say_state(&d, BFD_INIT);
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	assert_int_equal(echo_back(&d, old[3], 254, &reflect), BFD_DROP_ECHO);
	desk_end(&d);
}

static void
no_echo_on_many_hops(void **state)
{
	struct bfd_params p = usual;
	struct desk d;

	(void)state;
	p.echo_rx_us = 20000;
	desk_begin(&d, NULL);
	d.path = (struct bfd_path){ .local = ip_v4(0x0a000001), .peer = ip_v4(0x0a000101), .multihop = true };
	assert_int_equal(bfd_session_new(d.e, &d.path, &p, d.now, &d.s), 0);
	turn(&d, 0);
	assert_int_equal(d.sent, 1);
	assert_int_equal(d.last.min_echo_us, 0);
	/* And any hop limit will do, unless it is said which. */
	{
		struct bfd_packet q = d.says;
		uint8_t buf[BFD_PACKET_MAX];
		struct bfd_received r;

		q.state = BFD_DOWN;
		r = received(&d, buf, bfd_packet_build(&q, 0, buf));
		r.hop_limit = 1;
		assert_int_equal(bfd_engine_receive(d.e, &r, d.now), BFD_TAKEN);
	}
	desk_end(&d);
}

/* ---- company on the way ---- */

/* Sixteen sessions, begun one after the other: they fall into step, within what jitter allows each of them. */
static void
in_step(void **state)
{
	struct bfd_session *s[16];
	struct desk d;
	uint64_t wakes = 0, before, sent;

	(void)state;
	desk_begin(&d, NULL);
	for (uint32_t i = 0; i < ARRAY_LEN(s); i++) {
		struct bfd_packet p = d.says;

		d.path.ifindex = 10 + i;
		assert_int_equal(bfd_session_new(d.e, &d.path, &usual, d.now, &s[i]), 0);
		d.s = s[i];
		p.min_tx_us = 10000000;
		p.state = BFD_DOWN;
		say(&d, p);
		p.state = BFD_INIT;
		p.final = true;
		say(&d, p);
		say(&d, p);
		assert_int_equal(view(&d).tx_us, 100000);
		turn(&d, MS(5));
	}
	turn(&d, MS(500));
	before = d.e->runs;
	sent = d.sent;
	for (int ms = 0; ms < 5000; ms++) {
		struct mono last[16];
		uint64_t tx[16];

		for (size_t i = 0; i < ARRAY_LEN(s); i++) {
			last[i] = s[i]->last_tx;
			tx[i] = s[i]->tx;
		}
		turn(&d, MS(1));
		for (size_t i = 0; i < ARRAY_LEN(s); i++) {
			assert_true(s[i]->tx <= tx[i] + 1);
			if (s[i]->tx != tx[i])
				assert_in_range(mono_sub(s[i]->last_tx, last[i]), 75000, 100000);
		}
	}
	wakes = d.e->runs - before - 5000; /* turn() itself runs it once a ms */
	sent = d.sent - sent;
	/* One draw for all: else the least of sixteen would be everybody's, and more be sent than jitter asks for. */
	assert_in_range(sent, 16 * 54, 16 * 61);
	assert_in_range(wakes, 50, 80);
	desk_end(&d);
}

/* A packet of the neighbour is no reason to send before the time: the two ends would fall into step. */
static void
not_in_step_with_the_neighbor(void **state)
{
	struct desk d;
	unsigned int sent;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	sent = d.sent;
	/* Until a packet is due in 2 ms and may be sent now. */
	for (int i = 0; i < 100000 && (mono_sub(d.s->tx_at, d.now) > 2000 || mono_sub(d.now, d.s->last_tx) < 80000);
	     i++) {
		turn(&d, 100);
		if (d.sent > sent + 3)
			say_state(&d, BFD_UP);
	}
	sent = d.sent;
	assert_true(mono_sub(d.now, d.s->last_tx) >= 80000);
	say_state(&d, BFD_UP);
	bfd_engine_run(d.e, d.now);
	assert_int_equal(d.sent, sent);
	desk_end(&d);
}

/* A run that brings a verdict sends nothing else: who is told of it comes first. */
static void
verdict_alone(void **state)
{
	struct bfd_params slow = usual;
	struct bfd_session *other;
	struct desk d;
	struct bfd_path path;
	uint64_t tx;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	path = d.path;
	path.ifindex++;
	slow.min_tx_us = slow.min_rx_us = 2000000;
	assert_int_equal(bfd_session_new(d.e, &path, &slow, d.now, &other), 0);
	say_state(&d, BFD_UP);
	turn(&d, MS(300) - 1);
	other->last_tx.us = d.now.us - 1600000; /* it might go along, if this were an ordinary run */
	other->tx_at.us = d.now.us + MS(300);
	bfd_refresh(other, d.now);
	tx = other->tx;
	d.now = d.s->detect_at;
	bfd_engine_run(d.e, d.now);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	assert_int_equal(other->tx, tx);
	desk_end(&d);
}

/* No run sends without an end, however many sessions could go along. */
static void
no_endless_burst(void **state)
{
	struct bfd_session *s;
	struct desk d;
	unsigned int sent, most = 0;

	(void)state;
	desk_begin(&d, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		d.path.ifindex = 10 + i;
		assert_int_equal(bfd_session_new(d.e, &d.path, &usual, d.now, &s), 0);
		turn(&d, 150);
	}
	for (int k = 0; k < 4000; k++) {
		sent = d.sent;
		turn(&d, 500);
		most = MAX_OF(most, d.sent - sent);
	}
	assert_in_range(most, 16, BFD_TOGETHER * 8);
	desk_end(&d);
}

/* Packets are looked for once before the verdict, with what wakes us anyway. */
static void
looks_early(void **state)
{
	struct desk d;
	unsigned int drains;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, 1);
	drains = d.drains;
	turn(&d, MS(300) - 2); /* ours go out at 75 to 100 ms; the verdict is due at 300 */
	assert_in_range(d.drains - drains, 1, 2);
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	desk_end(&d);
}

/* The verdict finds a word in the queue that is too old to save the session, and changes it: what follows is of the new state. */
static void
what_is_found_is_old(void **state)
{
	struct bfd_packet down;
	struct desk d;
	unsigned int changes;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	down = d.says;
	down.state = BFD_DOWN;
	d.waits = &down;
	d.waits_since = d.now;
	changes = d.changes;
	turn(&d, MS(400));
	assert_null(d.waits);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	assert_int_equal(view(&d).diag, BFD_DIAG_NEIGHBOR_DOWN);
	assert_int_equal(d.changes, changes + 1);
	/* and from Down to Init, of whom nothing is known any more */
	say_state(&d, BFD_ADMIN);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	d.waits = &down;
	d.waits_since = d.now;
	turn(&d, SECONDS(1));
	assert_null(d.waits);
	assert_int_equal(view(&d).remote_discr, 0);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	desk_end(&d);
}

/* One that is due takes at most BFD_TOGETHER others along, of those whose packets jitter could have made due. */
static void
so_many_go_along(void **state)
{
	static const struct {
		uint32_t sessions;
		unsigned int sent;
	} cases[] = { { 1, 1 }, { 40, 40 }, { BFD_TOGETHER + 1, BFD_TOGETHER + 1 }, { 100, BFD_TOGETHER + 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bfd_session *s;
		struct desk d;
		unsigned int sent;

		desk_begin(&d, NULL);
		for (uint32_t k = 0; k < cases[i].sessions; k++) {
			d.path.ifindex = 10 + k;
			assert_int_equal(bfd_session_new(d.e, &d.path, &usual, d.now, &s), 0);
			turn(&d, 1);
		}
		sent = d.sent;
		d.now = bfd_engine_next(d.e);
		bfd_engine_run(d.e, d.now);
		assert_int_equal(d.sent - sent, cases[i].sent);
		desk_end(&d);
	}
}

/* Packets are asked for within one of the neighbour's intervals before the verdict, when something else is due. */
static void
looks_an_interval_early(void **state)
{
	(void)state;
	for (int64_t early = 0; early < 2; early++) {
		struct bfd_session *other;
		struct desk d;

		desk_begin(&d, &usual);
		d.says.min_rx_us = SECONDS(10); /* ours do not come between */
		come_up(&d);
		turn(&d, MS(200) - early);
		d.drains = 0;
		d.path.ifindex++;
		assert_int_equal(bfd_session_new(d.e, &d.path, &usual, d.now, &other), 0);
		bfd_engine_run(d.e, d.now);
		assert_int_equal(d.drains, early ? 0 : 1);
		desk_end(&d);
	}
}

/* ---- heap, tables ---- */

static void
assert_sound(const struct bfd_engine *e)
{
	size_t n = 0;

	for (const struct bfd_session *s = e->first; s; s = s->next, n++) {
		struct mono at = mono_min(mono_min(s->tx_at, s->detect_at), mono_min(s->echo_at, s->echo_detect_at));

		assert_int_equal(s->due.at.us, mono_min(at, s->forget_at).us);
		assert_int_equal(s->due.pos == 0, mono_is_never(s->due.at));
		if (s->due.pos)
			assert_true(heap_first(&e->heap)->at.us <= s->due.at.us);
		assert_ptr_equal(bfd_session_by_discr(e, s->local_discr), s);
		assert_ptr_equal(bfd_session_find(e, &s->path), s);
		assert_int_equal(s->local_discr >> 16, bfd_engine_tag_of(e->seed));
	}
	assert_int_equal(e->n, n);
	assert_int_equal(e->by_discr.count, n);
	assert_int_equal(e->by_path.count, n);
}

static void
heap(void **state)
{
	struct bfd_session *s[64] = { 0 };
	struct desk d;

	(void)state;
	desk_begin(&d, NULL);
	for (int step = 0; step < 4000; step++) {
		uint64_t r = on_random(&d);
		size_t i = r % ARRAY_LEN(s);
		struct bfd_params p = usual;

		p.min_tx_us = 1000000 + (uint32_t)(r >> 8) % 3000000;
		d.path.ifindex = 10 + (uint32_t)i;
		d.s = s[i];
		if (!s[i]) {
			assert_int_equal(bfd_session_new(d.e, &d.path, &p, d.now, &s[i]), 0);
		} else if ((r >> 32) % 4 == 0) {
			bfd_session_free(s[i]);
			s[i] = NULL;
		} else if ((r >> 32) % 4 == 1) {
			bfd_session_change(s[i], &p, d.now);
		} else {
			d.says.min_tx_us = (uint32_t)(r >> 12) % 2000000;
			say_state(&d, (r >> 40) % 4);
		}
		turn(&d, (int64_t)(r >> 24) % 50000);
		assert_sound(d.e);
	}
	desk_end(&d);
}

/* A fall is told to whoever relies on the session before the neighbour hears of it; it is sent in the same call (6.8.7). */
static void
a_fall_is_told_first(void **state)
{
	(void)state;
	for (int expires = 0; expires < 2; expires++) {
		struct desk d;
		unsigned int sent, changes;

		desk_begin(&d, &usual);
		come_up(&d);
		sent = d.sent;
		changes = d.changes;
		if (expires) {
			d.now.us += SECONDS(1);
			d.s->tx_at = MONO_NEVER; /* but for the news, nothing is to be sent */
			bfd_note_time(d.e, d.now);
			d.s->stall_mark = d.e->stall_total; /* we were not away */
			bfd_engine_run(d.e, d.now);
		} else {
			say_state(&d, BFD_DOWN);
		}
		assert_int_equal(view(&d).state, BFD_DOWN);
		assert_int_equal(d.changes, changes + 1);
		assert_int_equal(d.sent_before, sent);
		assert_true(d.sent > sent);
		assert_int_equal(d.last.state, BFD_DOWN);
		desk_end(&d);
	}
}

static void
names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < BFD_STATES; i++)
		assert_string_not_equal(bfd_state_name(i), "?");
	assert_string_equal(bfd_state_name(BFD_STATES), "?");
	for (unsigned int i = 0; i < BFD_DIAGS; i++)
		assert_string_not_equal(bfd_diag_name(i), "unknown");
	assert_string_equal(bfd_diag_name(BFD_DIAGS), "unknown");
	for (unsigned int i = 0; i < BFD_DROPS; i++)
		assert_string_not_equal(bfd_drop_name(i), "?");
	assert_string_equal(bfd_drop_name(BFD_DROPS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters),
		cmocka_unit_test(missed),
		cmocka_unit_test(lateness),
		cmocka_unit_test(goes_while_up),
		cmocka_unit_test(forgets_with_the_neighbor),
		cmocka_unit_test(stalls),
		cmocka_unit_test(stall_moves_verdict),
		cmocka_unit_test(short_stalls),
		cmocka_unit_test(echo_is_wished_for),
		cmocka_unit_test(echo_lost),
		cmocka_unit_test(echo_window),
		cmocka_unit_test(no_echo_on_many_hops),
		cmocka_unit_test(in_step),
		cmocka_unit_test(not_in_step_with_the_neighbor),
		cmocka_unit_test(verdict_alone),
		cmocka_unit_test(no_endless_burst),
		cmocka_unit_test(looks_early),
		cmocka_unit_test(what_is_found_is_old),
		cmocka_unit_test(so_many_go_along),
		cmocka_unit_test(looks_an_interval_early),
		cmocka_unit_test(heap),
		cmocka_unit_test(a_fall_is_told_first),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
