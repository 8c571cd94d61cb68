/*
 * tests/unit/bgp/session_snapshot_test.c -- a peer is saved, and another one that is made of it goes on with the session
 *
 * Host a's engine is exchanged for a new one under a running session; b must not notice.
 */
#include "tests/unit/bgp/pair.h"

#include <errno.h>

#include "fabricd/bgp/session_snapshot.h"

static struct end *
end_of(struct host *h)
{
	struct bgp_conn *c = bgp_peer_conn(h->peer);

	return c ? bgp_conn_io(c) : NULL;
}

static size_t
save(const struct bgp_peer *p, uint8_t *buf)
{
	struct wr w = wr_make(buf, BGP_SNAPSHOT_MAX);

	bgp_peer_save(p, &w);
	assert_false(w.full);
	return wr_len(&w);
}

static struct bgp_peer *
fresh(struct host *h)
{
	return bgp_peer_new(&h->mem, &h->scratch, &h->cfg, &test_ops, h);
}

/* The old engine goes without a word: its connection is taken away from it first. */
static void
exchange(struct host *h)
{
	uint8_t was[BGP_SNAPSHOT_MAX], is[BGP_SNAPSHOT_MAX];
	struct end *e = end_of(h);
	struct bgp_peer *next = fresh(h);
	size_t n = save(h->peer, was);

	assert_int_equal(bgp_peer_restore(next, rd_make(was, n)), 0);
	assert_int_equal(save(next, is), n); /* what comes out is what went in, all of it */
	assert_memory_equal(was, is, n);
	if (e) {
		bgp_conn_set_io(bgp_peer_conn(h->peer), NULL);
		e->conn = bgp_peer_conn(next);
		bgp_conn_set_io(e->conn, e);
	}
	bgp_peer_free(h->peer);
	h->peer = next;
	bgp_peer_resume(next, 0, h->world->now);
}

static void
bring_up(struct world *w)
{
	world_make(w);
	links_up(w);
	assert_true(world_run(w, SECONDS(5), both_up));
}

static void
test_the_session_goes_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 60; seed++) {
		struct world *w = world_new(seed);
		struct mono since;

		w->chunk = seed % 40;
		w->a.cfg.restart_s = w->b.cfg.restart_s = seed % 2 ? 30 : 0;
		w->a.cfg.long_lived_s = seed % 4 == 1 ? 3600 : 0;
		bring_up(w);
		since = bgp_peer_since(w->a.peer);
		world_run(w, SECONDS(seed % 12), NULL);
		exchange(&w->a);
		assert_int_equal(bgp_peer_since(w->a.peer).us, since.us);
		for (int i = 0; i < 3; i++) {
			world_run(w, SECONDS(20), NULL);
			assert_true(both_up(w));
			exchange(i & 1 ? &w->a : &w->b);
		}
		world_run(w, SECONDS(60), NULL);
		assert_true(both_up(w));
		assert_int_equal(w->a.down + w->b.down, 0);
		assert_int_equal(w->connects, 1);
		assert_int_equal(bgp_peer_counters(w->b.peer)->flaps, 0);
		assert_int_equal(bgp_peer_counters(w->a.peer)->established, 1);
		world_free(w);
	}
}

/* The successor is a whole engine: it sees a silent peer, a stop, a restart of the peer as any other. */
static void
test_it_can_end_as_well(void **state)
{
	struct world *w = world_new(5);

	(void)state;
	bring_up(w);
	exchange(&w->a);
	bgp_peer_stop(w->b.peer, "enough", w->now);
	world_run(w, SECONDS(1), NULL);
	assert_int_equal(bgp_peer_last_reset(w->a.peer)->cause, BGP_CAUSE_NOTICE);
	assert_int_equal(w->a.down, 1);
	exchange(&w->a);
	assert_string_equal(bgp_peer_notice_in(w->a.peer), "cease (6/2): administrative shutdown, \"enough\"");
	bgp_peer_start(w->b.peer, w->now);
	assert_true(world_run(w, SECONDS(90), both_up));
	exchange(&w->a);
	end_of(&w->a)->stuck = true; /* b reads nothing more, and says nothing */
	end_of(&w->b)->stuck = true;
	world_run(w, SECONDS(30), NULL);
	assert_int_equal(w->a.down, 2);
	world_free(w);
}

/* While it is handed over: keepalives, and nothing else, however long it takes. */
static void
test_keepalives_alone(void **state)
{
	struct world *w = world_new(9);
	struct mono start;
	uint64_t sent;

	(void)state;
	bring_up(w);
	start = w->now;
	sent = bgp_peer_counters(w->a.peer)->out[BGP_KEEPALIVE];
	for (struct mono t = start, next; t.us < start.us + SECONDS(60); t = next) {
		uint8_t out[64];

		next = bgp_peer_keep(w->a.peer, t);
		assert_true(next.us > t.us && next.us <= t.us + SECONDS(3));
		while (bgp_output(bgp_peer_conn(w->a.peer), out, sizeof(out), t))
			;
	}
	assert_int_equal(
	    bgp_peer_state(w->a.peer), BGP_ESTABLISHED); /* nothing was heard for 60 s, which is our doing */
	assert_in_range(bgp_peer_counters(w->a.peer)->out[BGP_KEEPALIVE] - sent, 20, 30);
	world_free(w);
}

/* Whatever is cut off or flipped: refused with nothing changed, or read as something that fits. */
static void
test_damage(void **state)
{
	uint8_t whole[BGP_SNAPSHOT_MAX], one[BGP_SNAPSHOT_MAX], before[BGP_SNAPSHOT_MAX], after[BGP_SNAPSHOT_MAX];
	struct world *w = world_new(3);
	size_t n, refused = 0;

	(void)state;
	bring_up(w);
	n = save(w->a.peer, whole);
	for (size_t cut = 0; cut < n; cut++) {
		struct bgp_peer *p = fresh(&w->a);
		size_t len = save(p, before);

		assert_int_equal(bgp_peer_restore(p, rd_make(whole, cut)), -EBADMSG);
		assert_int_equal(save(p, after), len);
		assert_memory_equal(before, after, len);
		bgp_peer_free(p);
	}
	for (size_t bit = 0; bit < n * 8; bit++) {
		struct bgp_peer *p = fresh(&w->a);

		memcpy(one, whole, n);
		one[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (bgp_peer_restore(p, rd_make(one, n)) == -EBADMSG) {
			refused++;
			assert_null(bgp_peer_conn(p));
		} else if (bgp_peer_conn(p)) {
			const struct bgp_session_facts *f = bgp_peer_facts(p);

			assert_true(f->families && f->caps && (f->caps & ~bgp_peer_config(p)->caps) == 0);
			bgp_peer_resume(p, 0, w->now);
			bgp_timer(p, w->now);
		}
		bgp_peer_free(p);
	}
	assert_true(refused > 100);
	world_free(w);
}

/* A session of another neighbour than the file's is refused, and so is one for a peer that has begun. */
static void
test_what_does_not_fit(void **state)
{
	uint8_t buf[BGP_SNAPSHOT_MAX];
	struct world *w = world_new(3);
	struct bgp_config cfg;
	struct bgp_peer *p;
	size_t n;

	(void)state;
	bring_up(w);
	n = save(w->a.peer, buf);
	cfg = w->a.cfg;
	cfg.peer_as++;
	p = bgp_peer_new(&w->a.mem, &w->a.scratch, &cfg, &test_ops, &w->a);
	assert_int_equal(bgp_peer_restore(p, rd_make(buf, n)), -EBADMSG);
	bgp_peer_free(p);
	cfg = w->a.cfg;
	cfg.caps = BGP_CAP_MP_IPV4; /* less than the session has */
	p = bgp_peer_new(&w->a.mem, &w->a.scratch, &cfg, &test_ops, &w->a);
	assert_int_equal(bgp_peer_restore(p, rd_make(buf, n)), -EBADMSG);
	bgp_peer_free(p);
	assert_int_equal(bgp_peer_restore(w->a.peer, rd_make(buf, n)), -EBADMSG);
	assert_true(both_up(w));
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_session_goes_on),
		cmocka_unit_test(test_it_can_end_as_well),
		cmocka_unit_test(test_keepalives_alone),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
