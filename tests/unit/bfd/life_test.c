/* tests/unit/bfd/life_test.c -- what a session keeps over its changes, over a restart of its process, and no longer */
#include "desk.h"

/* ---- what outlives the process ---- */

/* Another engine goes on: the same words to the neighbour, at once, and a whole detection time for it. */
static void
restored(void **state)
{
	struct bfd_params keyed = usual;
	const struct bfd_params *all[] = { &usual, &keyed };
	struct bfd_saved saved, again;
	struct bfd_session *s;
	struct desk d, e;

	(void)state;
	keyed.auth = (struct bfd_auth){
		.type = BFD_AUTH_SHA1_METICULOUS, .nkeys = 1, .keys[0] = { .id = 1, .len = 1, .bytes = { 's' } }
	};
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, MS(30));
	bfd_session_save(d.s, &saved);
	/* Each value one that no session begins with. */
	saved.auth.sent = 700;
	saved.auth.received = 900;
	saved.auth.known = true;
	saved.local_discr ^= 0x55;
	saved.remote_independent = saved.polling = saved.poll_again = true;
	saved.remote_diag = 5;
	saved.down_diag = BFD_DIAG_ECHO;
	saved.remote_min_echo = 7;
	saved.remote_min_rx = 110000;
	saved.remote_desired_tx = 120000;
	saved.rx_in_use = 130000;
	saved.tx_in_use = 140000;
	saved.desired_tx = 150000;
	saved.required_rx = BFD_MIN_US;
	saved.flaps = 3;
	saved.down_at.us = 5;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		desk_begin(&e, NULL);
		e.now = mono_add(d.now, MS(20));
		assert_int_equal(bfd_session_restore(e.e, &d.path, all[i], &saved, e.now, &e.s), 0);
		bfd_session_save(e.s, &again);
		assert_memory_equal(&again, &saved, sizeof(saved));
		assert_int_equal(stats(&e).up, 1);
		assert_int_equal(e.changes, 0);
		assert_int_equal(e.touches, 1);
		assert_ptr_equal(bfd_session_by_discr(e.e, saved.local_discr), e.s);
		turn(&e, 0);
		assert_int_equal(e.sent, 1);
		assert_int_equal(e.last.state, BFD_UP);
		assert_int_equal(e.last.my_discr, saved.local_discr);
		assert_int_equal(e.last.your_discr, THEIRS);
		assert_int_equal(e.last.min_tx_us, 150000);
		assert_int_equal(e.last.min_rx_us, BFD_MIN_US);
		assert_true(e.last.poll);
		if (i)
			assert_memory_equal(e.bytes + 28, "\0\0\x02\xbd", 4);
		assert_int_equal(bfd_session_restore(e.e, &d.path, all[i], &saved, e.now, &s), -EEXIST);
		turn(&e, MS(390) - 1);
		assert_int_equal(bfd_session_state(e.s), BFD_UP);
		turn(&e, 1);
		assert_int_equal(bfd_session_state(e.s), BFD_DOWN);
		assert_int_equal(stats(&e).up, 0);
		desk_end(&e);
	}
	/* The least interval that there is, for both. */
	saved.rx_in_use = BFD_MIN_US;
	desk_begin(&e, NULL);
	assert_int_equal(bfd_session_restore(e.e, &d.path, &usual, &saved, e.now, &e.s), 0);
	desk_end(&e);
	desk_end(&d);
}

/* Who keeps it is told of what another process would have to know, and of nothing else. */
static void
touched(void **state)
{
	struct bfd_params keyed = usual, p = usual;
	struct desk d;
	unsigned int n;

	(void)state;
	desk_begin(&d, &usual);
	assert_int_equal(d.touches, 1);
	come_up(&d);
	n = d.touches;
	for (int i = 0; i < 20; i++) {
		turn(&d, MS(90));
		say_state(&d, BFD_UP);
	}
	assert_int_equal(d.touches, n); /* nothing but time went by */
	d.says.min_rx_us = 200000;
	say_state(&d, BFD_UP);
	assert_int_equal(d.touches, n + 1);
	p.min_tx_us = 300000;
	bfd_session_change(d.s, &p, d.now);
	assert_int_equal(d.touches, n + 2);
	p.admin_down = true;
	bfd_session_change(d.s, &p, d.now);
	assert_int_equal(d.touches, n + 3);
	d.says.min_rx_us = 400000;
	say_state(&d, BFD_UP);
	assert_int_equal(d.touches, n + 4);
	desk_end(&d);
	/* Sequence numbers: each packet. */
	keyed.auth = (struct bfd_auth){
		.type = BFD_AUTH_SHA1_METICULOUS, .nkeys = 1, .keys[0] = { .id = 1, .len = 1, .bytes = { 's' } }
	};
	desk_begin(&d, &keyed);
	turn(&d, SECONDS(10));
	assert_in_range(d.touches, d.sent, d.sent + 2);
	desk_end(&d);
	/* Silence in Up, and then in Down. */
	desk_begin(&d, &usual);
	come_up(&d);
	n = d.touches;
	turn(&d, SECONDS(2));
	assert_int_equal(d.touches, n + 1);
	desk_end(&d);
}

/* Values that no session has are refused, whatever wrote them. */
static void
not_restored(void **state)
{
	enum {
		NO_DISCR,
		STATE,
		REMOTE_STATE,
		DIAG,
		DOWN_DIAG,
		ADMIN,
		TX,
		TX_USE,
		RX,
		RX_USE,
		REMOTE,
		MULTIPLIER,
		CASES
	};
	struct bfd_saved good, v;
	struct bfd_session *s;
	struct desk d, e;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	bfd_session_save(d.s, &good);
	desk_begin(&e, NULL);
	for (int c = 0; c < CASES; c++) {
		v = good;
		v.local_discr = c == NO_DISCR ? 0 : v.local_discr;
		v.state = c == STATE ? BFD_STATES : c == ADMIN ? BFD_ADMIN : v.state;
		v.remote_state = c == REMOTE_STATE ? BFD_STATES : v.remote_state;
		v.diag = c == DIAG ? BFD_DIAGS : v.diag;
		v.down_diag = c == DOWN_DIAG ? BFD_DIAGS : v.down_diag;
		v.desired_tx = c == TX ? 0 : v.desired_tx;
		v.tx_in_use = c == TX_USE ? 0 : v.tx_in_use;
		v.required_rx = c == RX ? BFD_MIN_US - 1 : v.required_rx;
		v.rx_in_use = c == RX_USE ? BFD_MIN_US - 1 : v.rx_in_use;
		v.remote_discr = c == REMOTE ? 0 : v.remote_discr;
		v.remote_multiplier = c == MULTIPLIER ? 0 : v.remote_multiplier;
		if (bfd_session_restore(e.e, &d.path, &usual, &v, e.now, &s) != -EINVAL)
			fail_msg("case %d is taken", c);
		assert_null(s);
	}
	assert_int_equal(stats(&e).sessions, 0);
	desk_end(&e);
	desk_end(&d);
}

/* Bytes that are compared and written out hold the values and nothing else. */
static void
saved_to_the_byte(void **state)
{
	struct bfd_saved v, w;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	memset(&v, 0x55, sizeof(v));
	bfd_session_save(d.s, &v);
	memset(&w, 0, sizeof(w));
#define SAME(field) w.field = v.field
	SAME(local_discr), SAME(remote_discr), SAME(desired_tx), SAME(required_rx), SAME(tx_in_use), SAME(rx_in_use);
	SAME(remote_min_rx), SAME(remote_desired_tx), SAME(remote_min_echo), SAME(state), SAME(remote_state);
	SAME(auth.sent), SAME(auth.received), SAME(auth.known), SAME(diag), SAME(remote_diag), SAME(down_diag);
	SAME(remote_multiplier), SAME(remote_demand), SAME(remote_independent), SAME(polling), SAME(poll_again);
	SAME(unsolicited), SAME(flaps), SAME(since), SAME(down_at);
#undef SAME
	assert_memory_equal(&v, &w, sizeof(v));
	desk_end(&d);
}

/* RFC 5880 6.8.1 and 6.8.18: of one who has said nothing, or is forgotten, the Required Min RX is 1. */
static void
nothing_said(void **state)
{
	struct bfd_saved v;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	bfd_session_save(d.s, &v);
	assert_int_equal(v.remote_min_rx, 1);
	assert_int_equal(v.remote_state, BFD_DOWN);
	assert_int_equal(v.remote_discr, 0);
	come_up(&d);
	bfd_session_save(d.s, &v);
	assert_int_equal(v.remote_min_rx, 100000);
	turn(&d, MS(400));
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	bfd_session_save(d.s, &v);
	assert_int_equal(v.remote_min_rx, 1);
	assert_int_equal(v.remote_state, BFD_DOWN);
	assert_int_equal(v.remote_discr, 0);
	assert_false(v.remote_demand);
	desk_end(&d);
}

/* ---- changes ---- */

static void
changes_take_effect(void **state)
{
	struct desk d;
	struct bfd_params p = usual;
	unsigned int sent;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, MS(1));
	/* The same again: nothing to tell. Another multiplier: told at once (6.8.12). */
	sent = d.sent;
	assert_int_equal(bfd_session_change(d.s, &p, d.now), 0);
	assert_int_equal(d.sent, sent);
	p.multiplier = 7;
	assert_int_equal(bfd_session_change(d.s, &p, d.now), 0);
	assert_int_equal(d.sent, sent + 1);
	assert_int_equal(d.last.multiplier, 7);
	/* To wait longer holds at once, for the verdict too (6.8.3). */
	p.min_rx_us = 1000000;
	say_state(&d, BFD_UP);
	assert_int_equal(bfd_session_change(d.s, &p, d.now), 0);
	turn(&d, SECONDS(3) - 1);
	assert_int_equal(bfd_session_state(d.s), BFD_UP);
	turn(&d, 1);
	assert_int_equal(bfd_session_state(d.s), BFD_DOWN);
	desk_end(&d);
}

/* A poll is over with its F; one that was overtaken by another change is followed by one more (6.5). */
static void
polls(void **state)
{
	struct bfd_params p = usual;
	struct bfd_packet f;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	f = d.says;
	f.final = true;
	p.min_tx_us = 200000;
	bfd_session_change(d.s, &p, d.now);
	assert_true(view(&d).polling);
	say(&d, f);
	assert_false(view(&d).polling);
	assert_int_equal(view(&d).tx_us, 200000);
	p.min_tx_us = 300000;
	bfd_session_change(d.s, &p, d.now);
	p.min_tx_us = 400000;
	bfd_session_change(d.s, &p, d.now);
	say(&d, f);
	assert_true(view(&d).polling);
	assert_int_equal(view(&d).tx_us, 200000);
	say(&d, f);
	assert_false(view(&d).polling);
	assert_int_equal(view(&d).tx_us, 400000);
	desk_end(&d);
}

/* AdminDown is told at once, and then once a second, not with what was planned before. */
static void
admin_down(void **state)
{
	struct bfd_params p = usual;
	struct desk d;
	unsigned int sent;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, MS(10));
	p.admin_down = true;
	sent = d.sent;
	bfd_session_change(d.s, &p, d.now);
	assert_int_equal(d.sent, sent + 1);
	assert_int_equal(d.last.state, BFD_ADMIN);
	turn(&d, MS(749));
	assert_int_equal(d.sent, sent + 1);
	turn(&d, MS(252));
	assert_int_equal(d.sent, sent + 2);
	/* What the neighbour says is dropped, but known: so that we do not send faster than it wants. */
	d.says.diag = BFD_DIAG_NEIGHBOR_DOWN;
	d.says.min_rx_us = 5000000;
	assert_int_equal(say_state(&d, BFD_DOWN), BFD_DROP_ADMIN_DOWN);
	assert_int_equal(view(&d).remote_diag, BFD_DIAG_NEIGHBOR_DOWN);
	assert_int_equal(view(&d).tx_us, 5000000);
	assert_int_equal(bfd_session_state(d.s), BFD_ADMIN);
	desk_end(&d);
}

/* In AdminDown, too, what the neighbour says holds for its detection time, and no longer (RFC 5880 6.8.1, 6.8.7). */
static void
what_is_known_in_admin_down(void **state)
{
	(void)state;
	for (int born = 0; born < 2; born++) {
		struct bfd_params p = usual;
		struct desk d;

		p.admin_down = born;
		desk_begin(&d, &p);
		if (!born) {
			come_up(&d);
			p.admin_down = true;
			bfd_session_change(d.s, &p, d.now);
		}
		turn(&d, SECONDS(10));
		d.says.min_rx_us = 5000000;
		assert_int_equal(say_state(&d, BFD_DOWN), BFD_DROP_ADMIN_DOWN);
		turn(&d, MS(200));
		assert_int_equal(view(&d).tx_us, 5000000);
		assert_int_equal(view(&d).remote_discr, THEIRS);
		turn(&d, SECONDS(10));
		assert_int_equal(view(&d).remote_discr, 0);
		assert_int_equal(view(&d).tx_us, BFD_SLOW_US);
		desk_end(&d);
	}
}

static void
passive(void **state)
{
	struct bfd_params p = usual;
	struct desk d;

	(void)state;
	p.passive = true;
	desk_begin(&d, &p);
	turn(&d, SECONDS(5));
	p.multiplier = 9;
	bfd_session_change(d.s, &p, d.now);
	turn(&d, SECONDS(5));
	assert_int_equal(d.sent, 0);
	say_state(&d, BFD_DOWN);
	assert_int_equal(d.sent, 1);
	desk_end(&d);
}

/* One F for a P: four in a burst, then one in three quarters of our Required Min RX. */
static void
finals(void **state)
{
	struct bfd_packet p;
	struct desk d;
	unsigned int sent;

	(void)state;
	desk_begin(&d, &usual);
	come_up(&d);
	turn(&d, MS(0));
	p = d.says;
	p.poll = true;
	say_state(&d, BFD_UP);
	d.s->finals = BFD_FINALS;
	d.s->finals_at = d.now;
	sent = d.sent;
	for (int i = 0; i < 10; i++)
		say(&d, p);
	assert_int_equal(d.sent, sent + 4);
	assert_true(d.last.final && !d.last.poll);
	assert_int_equal(view(&d).polls_unanswered, 6);
	d.now.us += 74999;
	say(&d, p);
	assert_int_equal(d.sent, sent + 4);
	d.now.us += 1;
	say(&d, p);
	assert_int_equal(d.sent, sent + 5);
	say(&d, p);
	assert_int_equal(d.sent, sent + 5);
	desk_end(&d);
}

/* ---- authentication: what is remembered, and for how long ---- */

static struct bfd_params
with_key(uint8_t id)
{
	struct bfd_params p = usual;

	p.auth = (struct bfd_auth){
		.type = BFD_AUTH_SHA1_METICULOUS, .nkeys = 1, .keys[0] = { .id = id, .len = 1, .bytes = { 's' } }
	};
	return p;
}

static enum bfd_drop
say_signed(struct desk *d, const struct bfd_params *with, uint32_t seq)
{
	struct bfd_auth_state s = { .sent = seq - 1 };
	uint8_t buf[BFD_PACKET_MAX];
	struct bfd_received r;

	d->says.your_discr = bfd_session_discr(d->s);
	r = received(d, buf, bfd_packet_build(&d->says, BFD_AUTH_LEN, buf));
	bfd_auth_sign(&with->auth, &s, buf);
	return bfd_engine_receive(d->e, &r, d->now);
}

static void
auth_is_remembered(void **state)
{
	struct bfd_params p = with_key(1), other = with_key(2), faster = with_key(1);
	struct desk d;

	(void)state;
	desk_begin(&d, &p);
	d.says.state = BFD_DOWN;
	assert_int_equal(say_signed(&d, &p, 1000), BFD_TAKEN);
	assert_int_equal(say_signed(&d, &p, 1000), BFD_DROP_AUTH_SEQUENCE);
	assert_int_equal(say_signed(&d, &p, 999), BFD_DROP_AUTH_SEQUENCE);
	assert_int_equal(say_signed(&d, &p, 1010), BFD_DROP_AUTH_SEQUENCE);
	assert_int_equal(say_signed(&d, &p, 1009), BFD_TAKEN);
	/* Other intervals change nothing about it; another key does. */
	faster.min_tx_us = 50000;
	bfd_session_change(d.s, &faster, d.now);
	assert_int_equal(say_signed(&d, &p, 500), BFD_DROP_AUTH_SEQUENCE);
	bfd_session_change(d.s, &other, d.now);
	assert_int_equal(say_signed(&d, &other, 500), BFD_TAKEN);
	desk_end(&d);
}

/* Twice the detection time without a word: then any sequence number will do (6.8.1). */
static void
auth_is_forgotten(void **state)
{
	struct bfd_params p = with_key(1);
	int64_t detect;
	struct desk d;

	(void)state;
	for (int late = 0; late <= 1; late++) {
		desk_begin(&d, &p);
		d.says.state = BFD_DOWN;
		assert_int_equal(say_signed(&d, &p, 1000), BFD_TAKEN);
		detect = view(&d).detect_us;
		assert_true(detect >= 300000);
		turn(&d, 2 * detect - !late);
		assert_int_equal(say_signed(&d, &p, 10), late ? BFD_TAKEN : BFD_DROP_AUTH_SEQUENCE);
		desk_end(&d);
	}
}

/* ---- strangers ---- */

static void
strangers(void **state)
{
	struct desk d;
	struct bfd_packet p;
	uint8_t buf[BFD_PACKET_MAX] = { 0 };
	struct bfd_received r;

	(void)state;
	desk_begin(&d, NULL);
	d.stranger = true;
	/* The first word is no good: as if it had never been. */
	p = d.says;
	p.state = BFD_DOWN;
	r = received(&d, buf, bfd_packet_build(&p, BFD_AUTH_LEN, buf));
	buf[24] = BFD_AUTH_SHA1;
	buf[25] = BFD_AUTH_LEN;
	assert_int_equal(bfd_engine_receive(d.e, &r, d.now), BFD_DROP_AUTH_UNEXPECTED);
	assert_int_equal(d.forgotten, 1);
	assert_int_equal(stats(&d).sessions, 0);
	assert_int_equal(d.sent, 0);
	/* A good one makes a session, passive; a bad one later does not end it. */
	assert_int_equal(say_state(&d, BFD_DOWN), BFD_TAKEN);
	d.s = bfd_session_find(d.e, &d.path);
	assert_non_null(d.s);
	assert_true(bfd_session_params(d.s)->passive && view(&d).unsolicited);
	assert_int_equal(bfd_engine_receive(d.e, &r, d.now), BFD_DROP_AUTH_UNEXPECTED);
	assert_int_equal(stats(&d).sessions, 1);
	/* Somebody wants it: then it stays when it falls silent. */
	bfd_session_change(d.s, &usual, d.now);
	assert_false(view(&d).unsolicited);
	turn(&d, SECONDS(20));
	assert_int_equal(d.forgotten, 1);
	assert_int_equal(stats(&d).sessions, 1);
	desk_end(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restored),
		cmocka_unit_test(not_restored),
		cmocka_unit_test(touched),
		cmocka_unit_test(saved_to_the_byte),
		cmocka_unit_test(nothing_said),
		cmocka_unit_test(changes_take_effect),
		cmocka_unit_test(polls),
		cmocka_unit_test(admin_down),
		cmocka_unit_test(what_is_known_in_admin_down),
		cmocka_unit_test(passive),
		cmocka_unit_test(finals),
		cmocka_unit_test(auth_is_remembered),
		cmocka_unit_test(auth_is_forgotten),
		cmocka_unit_test(strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
