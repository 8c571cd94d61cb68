/*
 * tests/unit/rib/run_model_test.c -- runs of the RIB against a naive model that knows only who offers what
 *
 * After each run of the random test all that the FIB was told, and every counter and view, is held against the model.
 * Also refreshes, many lists, and changes told in batches.
 */
#include "switch.h"

/* ---- refresh (RFC 7313) ---- */

/* What comes between begin and end stays, also when it is new; a second begin starts anew; each family for itself. */
static void
test_a_refresh_keeps_what_is_told_again(void **state)
{
	(void)state;
	for (unsigned int kept = 0; kept <= PREFIXES; kept++) {
		struct fixture *t = fixture((struct rib_config){ .seed = 1 });

		for (unsigned int i = 0; i + 1 < PREFIXES; i++) {
			announce(t, 0, FAMILY_IPV4, i, 0);
			announce(t, 1, FAMILY_IPV4, i, 0);
			announce(t, 0, FAMILY_IPV6, i, 0);
		}
		run(t);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV6);
		for (unsigned int i = 0; i < PREFIXES - 1; i++)
			announce(t, 0, FAMILY_IPV4, i, 0);
		rib_refresh_begin(t->rib, &t->sources[1], FAMILY_IPV4);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4); /* anew */
		for (unsigned int i = 0; i < kept; i++)
			announce(t, 0, FAMILY_IPV4, i, i % 2); /* the last of all is new */
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
		for (unsigned int i = kept; i < PREFIXES; i++)
			t->offer[FAMILY_IPV4][i][0] = -1;
		run(t);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV4], kept);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV6], PREFIXES - 1);
		assert_int_equal(t->sources[1].paths[FAMILY_IPV4], PREFIXES - 1);
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4); /* without a begin: nothing */
		assert_false(rib_pending(t->rib));
		rib_refresh_end(t->rib, &t->sources[1], FAMILY_IPV4); /* which told nothing again */
		run(t);
		assert_int_equal(t->sources[1].paths[FAMILY_IPV4], 0);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV4], kept);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV6], PREFIXES - 1);
		for (unsigned int i = 0; i < 5; i++)
			announce(t, 0, FAMILY_IPV6, i, 0);
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV6);
		run(t);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV6], 5);
		assert_int_equal(t->sources[0].paths[FAMILY_IPV4], kept);
		done(t);
	}
}

/* More prefixes than a byte of the notes holds, refreshed in any pattern; those that came after the begin are not lost. */
static void
test_prefixes_that_come_during_a_refresh_stay(void **state)
{
	(void)state;
	for (unsigned int first = 1; first < 20; first++) {
		struct fixture *t = fixture((struct rib_config){ .no_fib = true });

		for (unsigned int i = 0; i < first; i++)
			announce(t, 0, FAMILY_IPV4, i, 0);
		run(t);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
		for (unsigned int i = 0; i < PREFIXES; i++)
			if (i >= first || i % 3)
				announce(t, 0, FAMILY_IPV4, i, 0);
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
		run(t);
		for (unsigned int i = 0; i < PREFIXES; i++) {
			struct prefix p = prefix_no(FAMILY_IPV4, i);
			struct rib_view v;

			assert_int_equal(rib_get(t->rib, 7, &p, &v), i >= first || i % 3);
		}
		done(t);
	}
}

static uint32_t
draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

/* Each prefix that is told again, or withdrawn, is one less; others', new ones, and the same once more are none. */
static void
test_what_is_left_of_a_refresh_is_counted(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 20; seed++) {
		struct fixture *t = fixture((struct rib_config){ .no_fib = true });
		bool stale[PREFIXES] = { false };
		uint32_t rnd = seed;
		unsigned int left = 0;

		assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), 0);
		for (unsigned int i = 0; i < PREFIXES; i++) {
			announce(t, 1, FAMILY_IPV4, i, 0);
			announce(t, 0, FAMILY_IPV6, i, 0);
			stale[i] = draw(&rnd, 2);
			if (stale[i])
				announce(t, 0, FAMILY_IPV4, i, 0);
			left += stale[i];
		}
		run(t);
		rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
		for (unsigned int step = 0; step < 200; step++) {
			unsigned int i = draw(&rnd, PREFIXES), s = draw(&rnd, 2);
			int f = draw(&rnd, 4) == 0;

			assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), left);
			assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV6), 0);
			assert_int_equal(rib_refresh_left(t->rib, &t->sources[1], FAMILY_IPV4), 0);
			if (draw(&rnd, 2))
				announce(t, s, f, i, (int)draw(&rnd, 3));
			else
				withdraw(t, s, f, i);
			if (s == 0 && f == FAMILY_IPV4) {
				left -= stale[i];
				stale[i] = false;
			}
			if (step == 20) { /* all that it offers is in doubt again */
				rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
				left = 0;
				for (unsigned int k = 0; k < PREFIXES; k++) {
					stale[k] = t->offer[FAMILY_IPV4][k][0] >= 0;
					left += stale[k];
				}
			}
		}
		rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
		assert_int_equal(rib_refresh_left(t->rib, &t->sources[0], FAMILY_IPV4), 0);
		run(t);
		done(t);
	}
}

/* A hint for any number of prefixes reads these and no others, known or not; without a table it is none. */
static void
test_prefixes_may_be_fetched_before(void **state)
{
	struct fixture *t = fixture((struct rib_config){ .no_fib = true });

	(void)state;
	for (size_t n = 0; n < 70; n++) {
		struct prefix *p = malloc(n * sizeof(*p) + 1);

		for (size_t i = 0; i < n; i++)
			p[i] = prefix_no(FAMILY_IPV4, (unsigned int)i % PREFIXES);
		rib_prefetch(t->rib, 7, p, n);
		free(p);
		if (n == 10)
			announce(t, 0, FAMILY_IPV4, 5, 0);
	}
	done(t);
}

/* ---- against a naive model, with everything at once ---- */

static bool
usable(const struct fixture *t, int f, unsigned int i, unsigned int s)
{
	return t->offer[f][i][s] >= 0 && t->offer[f][i][s] != 4;
}

/* The hops of a prefix in the order of their sources; its best source, or -1. */
static size_t
wanted(const struct fixture *t, int f, unsigned int i, struct member *m, uint32_t *fates, int *best)
{
	unsigned int shortest = 99, most = t->cfg.max_width ? t->cfg.max_width : SOURCES;
	bool none = false;
	size_t n = 0;

	*best = -1;
	for (unsigned int s = 0; s < SOURCES; s++)
		if (usable(t, f, i, s))
			shortest = MIN_OF(shortest, t->attrs[t->offer[f][i][s]]->v.path_len);
	for (unsigned int s = 0; s < SOURCES; s++) {
		const struct attrs_view *v = usable(t, f, i, s) ? &t->attrs[t->offer[f][i][s]]->v : NULL;

		if (!v || v->path_len != shortest)
			continue;
		if (*best < 0)
			*best = (int)s; /* router ids go up */
		if (n == most)
			continue;
		fates[n] = v->fate;
		m[n].ifindex = s + 1;
		m[n].weight = t->cfg.weights ? v->link_bandwidth_weight : 1;
		none |= m[n++].weight == 0;
	}
	for (size_t k = 0; k < n && none; k++) /* they count when all have one */
		m[k].weight = 1;
	return n;
}

/* The longest prefix with a usable path that holds the address; -1: none. */
static int
longest(const struct fixture *t, int f, const struct ip *a)
{
	int found = -1, len = -1;

	for (unsigned int i = 0; i < PREFIXES; i++) {
		struct prefix p = prefix_no(f, i), q;
		bool any = false;

		q = prefix_of(a, p.len);
		for (unsigned int s = 0; s < SOURCES; s++)
			any |= usable(t, f, i, s);
		if (any && prefix_equal(&p, &q) && p.len > len) {
			found = (int)i;
			len = p.len;
		}
	}
	return found;
}

static void
compare_prefix(const struct fixture *t, int f, unsigned int i, unsigned int step)
{
	struct prefix p = prefix_no(f, i);
	struct ip a = prefix_addr(&p);
	struct member m[SOURCES];
	uint32_t fates[SOURCES];
	const struct group *g = &t->groups[t->route[f][i]];
	struct rib_view v;
	bool offered = false;
	int best, found;
	size_t n = wanted(t, f, i, m, fates, &best);

	for (unsigned int s = 0; s < SOURCES; s++)
		offered |= t->offer[f][i][s] >= 0;
	if (!t->route[f][i] != (n == 0))
		fail_msg("step %u: family %d, prefix %u: %s route", step, f, i, n ? "no" : "a");
	if (n && (g->n != n || memcmp(g->m, m, n * sizeof(m[0])) != 0))
		fail_msg("step %u: family %d, prefix %u: other members", step, f, i);
	assert_ptr_equal(t->told[f][i], best < 0 ? NULL : t->attrs[t->offer[f][i][best]]);
	assert_int_equal(rib_get(t->rib, 7, &p, &v), offered);
	if (offered) {
		const struct path_list *l = v.list;
		size_t k = 0;

		assert_true(prefix_equal(&v.prefix, &p));
		assert_int_equal(v.table, 7);
		assert_int_equal(v.group, t->route[f][i]);
		assert_int_equal(l->width != 0, best >= 0);
		for (unsigned int s = 0; s < SOURCES; s++)
			if (t->offer[f][i][s] >= 0) {
				assert_ptr_equal(l->paths[k].source, &t->sources[s]);
				assert_ptr_equal(l->paths[k++].attrs, t->attrs[t->offer[f][i][s]]);
			}
		assert_int_equal(l->n, k);
		if (best >= 0)
			assert_ptr_equal(l->paths[l->best].source, &t->sources[best]);
		assert_int_equal(v.told != NULL, best >= 0);
		assert_int_equal(v.fib_installed, t->acks && n);
	}
	found = longest(t, f, &a);
	assert_int_equal(rib_match(t->rib, 7, &a, &v), found >= 0);
	if (found >= 0)
		assert_int_equal(number_of(&v.prefix), found);
}

/* Numbers of different things, by comparing each with all before it. */
static void
compare_counts(const struct fixture *t, bool exact)
{
	struct rib_counts c = counts(t);
	uint64_t lists = 0, sets = 0, used = 0;

	for (int f = 0; f < FAMILIES; f++) {
		uint64_t prefixes = 0, paths = 0, routes = 0, walked = 0, by_source[SOURCES] = { 0 };
		struct rib_view v;
		uint32_t at = 0;

		for (unsigned int i = 0; i < PREFIXES; i++) {
			bool any = false;

			for (unsigned int s = 0; s < SOURCES; s++)
				if (t->offer[f][i][s] >= 0) {
					any = true;
					by_source[s]++;
					paths++;
				}
			prefixes += any;
			routes += t->route[f][i] != 0;
		}
		while (rib_next(t->rib, 7, (enum family)f, &at, &v))
			walked++;
		assert_int_equal(walked, prefixes);
		assert_int_equal(c.prefixes[f], prefixes);
		assert_int_equal(c.paths[f], paths);
		assert_int_equal(c.fib_routes[f], routes);
		for (unsigned int s = 0; s < SOURCES; s++)
			assert_int_equal(t->sources[s].paths[f], by_source[s]);
	}
	for (uint32_t g = 1; g <= t->last_group; g++)
		used += t->groups[g].used;
	assert_int_equal(c.groups, used);
	assert_int_equal(c.groups_new, t->news);
	assert_int_equal(c.routes_rewritten, t->resets);
	assert_int_equal(c.attrs, ATTRS);
	for (uint32_t g = 1; g <= t->last_group; g++) { /* none is kept that no route is on */
		bool any = false;

		for (int f = 0; f < FAMILIES; f++)
			for (unsigned int i = 0; i < PREFIXES; i++)
				any |= t->route[f][i] == g;
		assert_int_equal(any, t->groups[g].used);
	}
	for (unsigned int x = 0; exact && x < FAMILIES * PREFIXES; x++) {
		const int *a = t->offer[x / PREFIXES][x % PREFIXES];
		struct member m[SOURCES], mm[SOURCES];
		uint32_t fates[SOURCES], ff[SOURCES];
		bool list = false, set;
		int best;
		size_t n = wanted(t, (int)(x / PREFIXES), x % PREFIXES, m, fates, &best);

		for (unsigned int s = 0; s < SOURCES; s++)
			list |= a[s] >= 0;
		set = n != 0;
		for (unsigned int y = 0; y < x; y++) {
			size_t k = wanted(t, (int)(y / PREFIXES), y % PREFIXES, mm, ff, &best);

			list &= memcmp(t->offer[y / PREFIXES][y % PREFIXES], a, sizeof(t->offer[0][0])) != 0;
			set &= n != k || memcmp(m, mm, n * sizeof(m[0])) != 0 ||
			       memcmp(fates, ff, n * sizeof(fates[0])) != 0;
		}
		lists += list;
		sets += set;
	}
	if (exact) {
		assert_int_equal(c.lists, lists);
		assert_int_equal(c.hop_sets, sets);
	}
}

static void
random_step(struct fixture *t, uint32_t *rnd, bool downs)
{
	unsigned int s = draw(rnd, SOURCES), kind = draw(rnd, 10), i = draw(rnd, PREFIXES), n = 1;
	int f = (int)draw(rnd, FAMILIES), a = (int)draw(rnd, ATTRS);

	if (downs && kind == 9) {
		if (t->sources[s].up)
			down(t, s);
		else
			rib_source_up(t->rib, &t->sources[s]);
		return;
	}
	if (!t->sources[s].up)
		return;
	if (kind == 8 && draw(rnd, 3) == 0) {
		refresh(t, s, f, draw(rnd, 2));
		return;
	}
	if (kind < 3)
		n = draw(rnd, PREFIXES - i) + 1;
	for (; n > 0; n--, i++) {
		if (kind % 3 == 2)
			withdraw(t, s, f, i);
		else
			announce(t, s, f, i, a);
	}
}

static void
test_all_of_it_agrees_with_a_naive_model(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 48; seed++) {
		struct fixture *t = fixture((struct rib_config){ .wait_fib = seed & 1,
		    .weights = seed & 2,
		    .max_width = seed % 5 == 0 ? 2 : 0,
		    .slice_us = seed % 3 == 0 ? 2 : 0 });
		bool downs = seed & 4;
		uint32_t rnd = seed;

		t->acks = t->cfg.wait_fib || seed & 8;
		for (unsigned int step = 0; step < 60; step++) {
			t->tick = 1;
			for (unsigned int k = draw(&rnd, 6); k > 0; k--) {
				/* After the first, sources may be down and refreshes ended that are not cleared yet. */
				for (unsigned int n = rib_running(t->rib) ? 0 : draw(&rnd, 3) + 1; n > 0; n--)
					random_step(t, &rnd, downs);
				if (draw(&rnd, 2))
					rib_run(t->rib);
				if (rib_running(t->rib) && downs && draw(&rnd, 6) == 0)
					down(t, draw(&rnd, SOURCES));
			}
			run(t);
			t->tick = 0;
			for (int f = 0; f < FAMILIES; f++)
				for (unsigned int i = 0; i < PREFIXES; i++)
					compare_prefix(t, f, i, step);
			compare_counts(t, !downs);
			assert_sound(t->rib);
		}
		t->acks = false;
		done(t);
	}
}

/* ---- many lists ---- */

#define LISTS 5000

/* As many lists as prefixes, each of paths of two sources; the clock goes 100 us with every look. */
struct crowd {
	struct fixture t;
	struct rib_source two[2];
	struct attrs *attrs[LISTS];
};

static struct prefix
crowd_prefix(unsigned int i)
{
	return (struct prefix){ .family = FAMILY_IPV4, .len = 32, .b = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
}

static void
crowd_announce(struct crowd *c, unsigned int source, unsigned int i)
{
	struct prefix p = crowd_prefix(i);

	rib_announce(c->t.rib, 0, &c->two[source], &p, c->attrs[i], NULL);
}

static void
count_told(void *arg, uint32_t table, enum family f, const struct rib_change *c, size_t n)
{
	struct crowd *crowd = arg;

	(void)table;
	(void)f;
	for (size_t i = 0; i < n; i++)
		crowd->t.changes += c[i].now && c[i].now->paths[c[i].now->best].source == &crowd->two[1];
}

static struct crowd *
crowd(void)
{
	static const struct rib_ops counting = { .changed = count_told, .now = now };
	struct crowd *c = calloc(1, sizeof(*c));
	struct rib_config cfg = { .mem = &c->t.mem, .seed = 1, .no_fib = true };

	c->t.tick = 100;
	c->t.rib = rib_new(&cfg, &counting, c);
	for (unsigned int s = 0; s < 2; s++) {
		c->two[s] = (struct rib_source){ .router_id = s + 1 };
		assert_int_equal(rib_source_add(c->t.rib, &c->two[s]), 0);
		rib_source_up(c->t.rib, &c->two[s]);
	}
	for (unsigned int i = 0; i < LISTS; i++) {
		uint8_t wire[2] = { (uint8_t)(i >> 8), (uint8_t)i };
		struct attrs_view view = { .wire = wire, .wire_len = 2 };

		c->attrs[i] = attrs_intern(rib_attrs(c->t.rib), &view);
		for (unsigned int s = 0; s < 2; s++)
			crowd_announce(c, s, i);
	}
	while (rib_run(c->t.rib))
		;
	assert_int_equal(counts(&c->t).lists, LISTS);
	return c;
}

static void
crowd_done(struct crowd *c)
{
	for (unsigned int s = 0; s < 2; s++)
		rib_source_down(c->t.rib, &c->two[s]);
	while (rib_run(c->t.rib))
		;
	for (unsigned int i = 0; i < LISTS; i++)
		attrs_unref(rib_attrs(c->t.rib), c->attrs[i]);
	for (unsigned int s = 0; s < 2; s++)
		rib_source_remove(c->t.rib, &c->two[s]);
	assert_int_equal(counts(&c->t).attrs + counts(&c->t).lists + counts(&c->t).prefixes[FAMILY_IPV4], 0);
	rib_free(c->t.rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(c->t.mem.by[k].bytes, 0);
	free(c);
}

/* Prefixes whose list holds a path of the source. */
static unsigned int
crowd_holds(const struct crowd *c, unsigned int source)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LISTS; i++) {
		struct prefix p = crowd_prefix(i);
		struct rib_view v;

		n += rib_get(c->t.rib, 0, &p, &v) && path_list_find(v.list, &c->two[source]);
	}
	return n;
}

/* 2 ms, looked at every 100 us and every 8 lists. */
#define SLICE_LISTS (20 * 8 + 8)

/* The call itself touches no list when they are many; then each slice clears no more than its share. */
static void
test_a_source_goes_down_in_slices(void **state)
{
	struct crowd *c = crowd();
	unsigned int holds, slices = 0;

	(void)state;
	c->t.changes = 0;
	rib_source_down(c->t.rib, &c->two[0]);
	assert_int_equal(c->two[0].paths[FAMILY_IPV4], 0);
	assert_int_equal(holds = crowd_holds(c, 0), LISTS);
	for (; holds; slices++) {
		unsigned int left;

		assert_true(rib_running(c->t.rib));
		assert_true(rib_run(c->t.rib));
		left = crowd_holds(c, 0);
		assert_in_range(holds - left, 1, SLICE_LISTS);
		holds = left;
	}
	assert_in_range(slices, LISTS / SLICE_LISTS, LISTS);
	while (rib_run(c->t.rib))
		;
	assert_int_equal(c->t.changes, LISTS); /* all are told of the other one */
	assert_int_equal(crowd_holds(c, 1), LISTS);
	crowd_done(c);
}

/* Two at once, the second in the middle of the first; one comes back before it was cleared, with less than it had. */
static void
test_sources_go_and_come_while_lists_are_cleared(void **state)
{
	struct crowd *c = crowd();
	struct prefix p = crowd_prefix(LISTS - 1);
	unsigned int holds;

	(void)state;
	rib_source_down(c->t.rib, &c->two[0]);
	for (int i = 0; i < 5; i++)
		rib_run(c->t.rib);
	holds = crowd_holds(c, 0);
	rib_withdraw(c->t.rib, 0, &c->two[1], &p); /* of a list that is not clear yet: it is now */
	assert_int_equal(crowd_holds(c, 0), holds - 1);
	assert_int_equal(crowd_holds(c, 1), LISTS - 1);
	crowd_announce(c, 1, LISTS - 2);
	assert_int_equal(crowd_holds(c, 0), holds - 2);
	rib_source_down(c->t.rib, &c->two[1]);
	for (int i = 0; i < 5; i++)
		rib_run(c->t.rib);
	assert_true(crowd_holds(c, 0) && crowd_holds(c, 1));
	rib_source_up(c->t.rib, &c->two[1]);
	crowd_announce(c, 1, 7);
	crowd_announce(c, 1, LISTS - 1);
	while (rib_run(c->t.rib))
		;
	assert_int_equal(crowd_holds(c, 0), 0);
	assert_int_equal(crowd_holds(c, 1), 2);
	assert_int_equal(c->two[1].paths[FAMILY_IPV4], 2);
	assert_int_equal(counts(&c->t).prefixes[FAMILY_IPV4], 2);
	crowd_done(c);
}

/* What a refresh leaves is withdrawn in slices; what is announced in the middle stays. */
static void
test_a_refresh_ends_in_slices(void **state)
{
	struct crowd *c = crowd();
	unsigned int holds, kept = 0;

	(void)state;
	rib_refresh_begin(c->t.rib, &c->two[0], FAMILY_IPV4);
	rib_refresh_end(c->t.rib, &c->two[0], FAMILY_IPV4);
	assert_int_equal(rib_refresh_left(c->t.rib, &c->two[0], FAMILY_IPV4), 0);
	holds = crowd_holds(c, 0);
	assert_int_equal(holds, LISTS - 1000); /* the call itself does half a slice */
	while (rib_running(c->t.rib)) {
		unsigned int left;

		rib_run(c->t.rib);
		left = crowd_holds(c, 0);
		assert_in_range(holds - left, 0, SLICE_LISTS);
		if (left > kept && kept == 0 && left < LISTS / 2) {
			crowd_announce(c, 0, LISTS - 1);
			kept = 1;
		}
		holds = left;
	}
	while (rib_run(c->t.rib))
		;
	assert_int_equal(crowd_holds(c, 0), 1);
	assert_int_equal(crowd_holds(c, 1), LISTS);
	assert_int_equal(c->two[0].paths[FAMILY_IPV4], 1);
	crowd_done(c);
}

/* ---- what is told comes in batches ---- */

static void
count_changed(void *arg, uint32_t table, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	(void)table;
	(void)f;
	t->batches++;
	t->biggest = MAX_OF(t->biggest, n);
	for (size_t i = 0; i < n; i++)
		t->changes += c[i].now != NULL;
}

static void
test_changes_are_told_a_thousand_at_a_time(void **state)
{
	static const struct rib_ops counting = { .changed = count_changed, .now = now };
	struct fixture *t = calloc(1, sizeof(*t));
	struct rib_config cfg = { .mem = &t->mem, .seed = 1, .no_fib = true };
	struct rib_source source = { .up = true };
	struct attrs_view view = { .wire = (const uint8_t *)"", .wire_len = 0 };
	struct attrs *attrs;
	uint32_t at = 0;
	struct rib_view v;
	unsigned int n = 0;

	(void)state;
	t->rib = rib_new(&cfg, &counting, t);
	assert_int_equal(rib_source_add(t->rib, &source), 0);
	attrs = attrs_intern(rib_attrs(t->rib), &view);
	for (unsigned int i = 0; i < 5000; i++) {
		struct prefix p = { .family = FAMILY_IPV4, .len = 32, .b = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };

		if (i % 16 == 0)
			rib_prefetch(t->rib, 0, &p, 1);
		rib_announce(t->rib, 0, &source, &p, attrs, NULL);
		assert_int_equal(rib_dirty(t->rib), i + 1);
	}
	while (rib_run(t->rib))
		;
	assert_int_equal(t->changes, 5000);
	assert_int_equal(t->batches, 5);
	assert_int_equal(t->biggest, 1024);
	assert_int_equal(counts(t).prefixes_run, 5000);
	assert_int_equal(rib_entries_limit(t->rib, 0, FAMILY_IPV4), 5000);
	assert_int_equal(rib_entries_limit(t->rib, 0, FAMILY_IPV6), 0);
	while (rib_next(t->rib, 0, FAMILY_IPV4, &at, &v))
		assert_int_equal(v.entry, n++);
	assert_int_equal(n, 5000);
	attrs_unref(rib_attrs(t->rib), attrs);
	rib_source_remove(t->rib, &source);
	while (rib_run(t->rib))
		;
	assert_int_equal(counts(t).attrs + counts(t).lists + counts(t).prefixes[FAMILY_IPV4], 0);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refresh_keeps_what_is_told_again),
		cmocka_unit_test(test_prefixes_that_come_during_a_refresh_stay),
		cmocka_unit_test(test_what_is_left_of_a_refresh_is_counted),
		cmocka_unit_test(test_prefixes_may_be_fetched_before),
		cmocka_unit_test(test_all_of_it_agrees_with_a_naive_model),
		cmocka_unit_test(test_a_source_goes_down_in_slices),
		cmocka_unit_test(test_sources_go_and_come_while_lists_are_cleared),
		cmocka_unit_test(test_a_refresh_ends_in_slices),
		cmocka_unit_test(test_changes_are_told_a_thousand_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
