/* tests/unit/rib/decision_test.c -- one case for each step of the decision, and for what shares the load */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/path.h"

#define MAX_PATHS 4

/* A path as the cases write it; zero is the ordinary. */
struct p {
	uint8_t side;
	bool down;
	uint16_t flags;
	uint8_t origin;
	uint16_t path_len;
	uint32_t first_as, med, local_pref, router_id;
	const char *address;
};

#define A ATTRS_HAS_MED

static const struct {
	const char *name;
	struct p p[MAX_PATHS];
	unsigned int n, best, shares; /* shares: bits of the paths that carry traffic */
	enum tiebreak why;
} cases[] = {
	{ "one path", { { .path_len = 1 } }, 1, 0, 1, WHY_ONLY },
	{ "none is usable", { { .down = true }, { .flags = ATTRS_LOOP } }, 2, 0, 0, WHY_ONLY },
	{ "a source that is down", { { .down = true }, { .path_len = 9 } }, 2, 1, 2, WHY_UNUSABLE },
	{ "long-lived stale: the last resort, whatever it says of itself",
	    { { .flags = ATTRS_LLGR_STALE | ATTRS_HAS_LOCAL_PREF, .local_pref = 900, .path_len = 1 },
		{ .flags = ATTRS_GRACEFUL_SHUTDOWN, .path_len = 7 } },
	    2, 1, 2, WHY_STALE },
	{ "two that are stale share the load",
	    { { .flags = ATTRS_LLGR_STALE, .router_id = 2 }, { .flags = ATTRS_LLGR_STALE, .router_id = 1 } }, 2, 1, 3,
	    WHY_ROUTER_ID },
	{ "an AS loop", { { .path_len = 9 }, { .flags = ATTRS_LOOP } }, 2, 0, 1, WHY_UNUSABLE },
	{ "local preference before AS path",
	    { { .flags = ATTRS_HAS_LOCAL_PREF, .local_pref = 200, .path_len = 9 }, { .path_len = 1 } }, 2, 0, 1,
	    WHY_LOCAL_PREF },
	{ "without the attribute it is 100", { { .flags = ATTRS_HAS_LOCAL_PREF, .local_pref = 99 }, { .path_len = 1 } },
	    2, 1, 2, WHY_LOCAL_PREF },
	{ "100 given and 100 meant are the same",
	    { { .flags = ATTRS_HAS_LOCAL_PREF, .local_pref = 100 }, { .router_id = 1 } }, 2, 0, 3, WHY_ROUTER_ID },
	{ "graceful shutdown loses to a longer path", /* RFC 8326 */
	    { { .flags = ATTRS_GRACEFUL_SHUTDOWN, .path_len = 1 }, { .path_len = 5 } }, 2, 1, 2, WHY_LOCAL_PREF },
	{ "graceful shutdown beats what preference says",
	    { { .flags = ATTRS_GRACEFUL_SHUTDOWN | ATTRS_HAS_LOCAL_PREF, .local_pref = 500 }, { .path_len = 5 } }, 2, 1,
	    2, WHY_LOCAL_PREF },
	{ "graceful shutdown is a preference of 0",
	    { { .flags = ATTRS_GRACEFUL_SHUTDOWN, .path_len = 2 },
		{ .flags = ATTRS_HAS_LOCAL_PREF, .local_pref = 0, .path_len = 1 } },
	    2, 1, 2, WHY_AS_PATH },
	{ "and loses to one of 1",
	    { { .flags = ATTRS_GRACEFUL_SHUTDOWN, .path_len = 1 },
		{ .flags = ATTRS_HAS_LOCAL_PREF, .local_pref = 1, .path_len = 2 } },
	    2, 1, 2, WHY_LOCAL_PREF },
	{ "graceful shutdown is used when nothing else is there",
	    { { .flags = ATTRS_GRACEFUL_SHUTDOWN }, { .flags = ATTRS_GRACEFUL_SHUTDOWN, .router_id = 1 } }, 2, 0, 3,
	    WHY_ROUTER_ID },
	{ "a local route", { { .side = RIB_BELOW }, { .side = RIB_LOCAL, .origin = 2 } }, 2, 1, 2, WHY_LOCAL },
	{ "the shorter AS path", { { .path_len = 3, .origin = 0 }, { .path_len = 2, .origin = 2 } }, 2, 1, 2,
	    WHY_AS_PATH },
	{ "the lower origin", { { .origin = 1 }, { .origin = 2 } }, 2, 0, 1, WHY_ORIGIN },
	{ "the lower MED of one AS",
	    { { .first_as = 1, .med = 9, .flags = A }, { .first_as = 1, .med = 8, .flags = A } }, 2, 1, 2, WHY_MED },
	{ "no MED is the lowest", { { .first_as = 1, .med = 1, .flags = A }, { .first_as = 1 } }, 2, 1, 2, WHY_MED },
	{ "MEDs of two ASes are not compared",
	    { { .first_as = 1, .med = 9, .flags = A }, { .first_as = 2, .med = 8, .flags = A, .router_id = 1 } }, 2, 0,
	    3, WHY_ROUTER_ID },
	{ "an equal MED shares",
	    { { .first_as = 1, .med = 7, .flags = A }, { .first_as = 1, .med = 7, .flags = A, .router_id = 1 } }, 2, 0,
	    3, WHY_ROUTER_ID },
	{ "from below rather than from above", { { .side = RIB_ABOVE }, { .side = RIB_BELOW, .router_id = 9 } }, 2, 1,
	    2, WHY_SIDE },
	{ "side comes behind the AS path",
	    { { .side = RIB_ABOVE, .path_len = 1 }, { .side = RIB_BELOW, .path_len = 2 } }, 2, 0, 1, WHY_AS_PATH },
	{ "two ASes of equal length share", { { .first_as = 2, .router_id = 4 }, { .first_as = 1, .router_id = 3 } }, 2,
	    1, 3, WHY_ROUTER_ID },
	{ "the lower address, at last", { { .address = "10.0.0.2" }, { .address = "10.0.0.1" } }, 2, 1, 3,
	    WHY_ADDRESS },
	{ "parallel links: the same router, the same address", { { .router_id = 5 }, { .router_id = 5 } }, 2, 0, 3,
	    WHY_ADDRESS },
	{ "three share, one is longer",
	    { { .path_len = 2 }, { .path_len = 3 }, { .path_len = 2, .router_id = 7 },
		{ .path_len = 2, .router_id = 8 } },
	    4, 0, 13, WHY_ROUTER_ID },
};

static struct path_list *
make_list(const struct p *p, unsigned int n, const unsigned int *order)
{
	struct path_list *l = calloc(1, sizeof(*l) + n * sizeof(struct path));

	for (unsigned int k = 0; k < n; k++) {
		const struct p *c = &p[order ? order[k] : k];
		struct rib_source *s = calloc(1, sizeof(*s));
		struct attrs *a = calloc(1, sizeof(*a));

		*s = (struct rib_source){
			.index = (uint16_t)(k + 1), .side = c->side, .up = !c->down, .router_id = c->router_id
		};
		if (!ip_parse(c->address ? c->address : "10.0.0.1", &s->address))
			fail();
		a->v = (struct attrs_view){ .flags = c->flags,
			.origin = c->origin,
			.path_len = c->path_len,
			.first_as = c->first_as,
			.med = c->med,
			.local_pref = c->local_pref };
		l->paths[l->n++] = (struct path){ .source = s, .attrs = a };
	}
	return l;
}

static void
free_list(struct path_list *l)
{
	for (unsigned int i = 0; i < l->n; i++) {
		free(l->paths[i].source);
		free(l->paths[i].attrs);
	}
	free(l);
}

static void
test_each_step(void **state)
{
	bool seen[TIEBREAKS] = { false };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct path_list *l = make_list(cases[i].p, cases[i].n, NULL);
		unsigned int shares = 0;

		path_list_decide(l, 64);
		for (unsigned int k = 0; k < l->n; k++)
			shares |= path_is_multipath(l, k) ? 1u << k : 0;
		if (l->best != cases[i].best || shares != cases[i].shares || l->reason != cases[i].why ||
		    l->width != (unsigned int)__builtin_popcount(shares))
			fail_msg("%s: best %u (%s), shares %x, width %u; wanted %u (%s), %x", cases[i].name, l->best,
			    tiebreak_text((enum tiebreak)l->reason), shares, l->width, cases[i].best,
			    tiebreak_text(cases[i].why), cases[i].shares);
		seen[l->reason] = true;
		free_list(l);
	}
	for (int t = 0; t < TIEBREAKS; t++)
		if (!seen[t])
			fail_msg("no case ends at \"%s\"", tiebreak_text((enum tiebreak)t));
}

/*
 * The classic trap: X1 beats Y, Y beats X2, X2 beats X1 by MED. Whatever the order of arrival, the best is the same:
 * first X1 goes, by the MED of its AS, then Y against X2 is told by the router id.
 */
static void
test_med_is_deterministic(void **state)
{
	static const struct p paths[] = {
		{ .first_as = 1, .med = 10, .flags = A, .router_id = 1 }, /* X1 */
		{ .first_as = 1, .med = 5, .flags = A, .router_id = 3 },  /* X2 */
		{ .first_as = 2, .med = 0, .flags = A, .router_id = 2 },  /* Y */
	};
	static const unsigned int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 },
		{ 2, 1, 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct path_list *l = make_list(paths, 3, orders[i]);

		path_list_decide(l, 64);
		assert_int_equal(l->paths[l->best].source->router_id, 2);
		assert_int_equal(l->width, 2); /* Y and X2 share; X1 does not */
		for (unsigned int k = 0; k < 3; k++)
			assert_int_equal(path_is_multipath(l, k), l->paths[k].source->router_id != 1);
		free_list(l);
	}
}

/* The best does not hang on the order, and a path that shares is equal to the best in every step that matters. */
static void
test_random_lists_in_any_order(void **state)
{
	uint32_t rnd = 1;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		struct p p[MAX_PATHS];
		unsigned int order[MAX_PATHS] = { 0, 1, 2, 3 };
		struct path_list *a, *b;

		for (unsigned int i = 0; i < MAX_PATHS; i++) {
			rnd = rnd * 1664525 + 1013904223;
			p[i] = (struct p){ .side = rnd >> 30 ? RIB_ABOVE : RIB_BELOW,
				.down = (rnd >> 8) % 8 == 0,
				.flags = (rnd >> 11) % 2 ? A : 0,
				.origin = (rnd >> 12) % 4 == 0,
				.path_len = (rnd >> 14) % 4 == 0,
				.first_as = (rnd >> 16) % 2,
				.med = (rnd >> 11) % 2 ? (rnd >> 17) % 3 : 0,
				.router_id = i };
		}
		for (unsigned int i = MAX_PATHS - 1; i > 0; i--) {
			unsigned int k = (rnd = rnd * 1664525 + 1013904223, (rnd >> 16) % (i + 1)), was = order[i];

			order[i] = order[k];
			order[k] = was;
		}
		a = make_list(p, MAX_PATHS, NULL);
		b = make_list(p, MAX_PATHS, order);
		path_list_decide(a, 64);
		path_list_decide(b, 64);
		assert_int_equal(a->width, b->width);
		if (a->width) {
			assert_int_equal(a->paths[a->best].source->router_id, b->paths[b->best].source->router_id);
			assert_true(path_usable(&a->paths[a->best]));
		}
		for (unsigned int k = 0; a->width && k < a->n; k++) {
			const struct attrs_view *x = &a->paths[k].attrs->v, *y = &a->paths[a->best].attrs->v;

			if (!path_is_multipath(a, k))
				continue;
			assert_true(path_usable(&a->paths[k]));
			assert_int_equal(x->path_len, y->path_len);
			assert_int_equal(x->origin, y->origin);
			assert_int_equal(a->paths[k].source->side, a->paths[a->best].source->side);
			if (x->first_as == y->first_as)
				assert_int_equal(x->med, y->med);
		}
		free_list(a);
		free_list(b);
	}
}

static void
test_width_is_bounded(void **state)
{
	static const struct p equal[MAX_PATHS];

	(void)state;
	for (unsigned int max = 1; max <= MAX_PATHS + 1; max++) {
		struct path_list *l = make_list(equal, MAX_PATHS, NULL);

		path_list_decide(l, max);
		assert_int_equal(l->width, MIN_OF(max, (unsigned int)MAX_PATHS));
		free_list(l);
	}
}

/* In no step better than itself: the last one is reached, and tells nothing. */
static void
test_a_path_equals_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct path_list *l = make_list(cases[i].p, cases[i].n, NULL);

		for (unsigned int k = 0; k < l->n; k++) {
			enum tiebreak why = WHY_ONLY;

			assert_int_equal(path_compare(&l->paths[k], &l->paths[k], &why), 0);
			assert_int_equal(why, WHY_ADDRESS);
		}
		free_list(l);
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(rib_side_name(RIB_ABOVE), "above");
	assert_string_equal(rib_side_name(RIB_SIDES), "?");
	assert_string_equal(tiebreak_text(WHY_MED), "lower MED");
	assert_string_equal(tiebreak_text(TIEBREAKS), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_step),
		cmocka_unit_test(test_med_is_deterministic),
		cmocka_unit_test(test_random_lists_in_any_order),
		cmocka_unit_test(test_width_is_bounded),
		cmocka_unit_test(test_a_path_equals_itself),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("decision", tests, NULL, NULL);
}
