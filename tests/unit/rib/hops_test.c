/* tests/unit/rib/hops_test.c -- hop sets: one object for equal hops, what tells two apart, references, ids used again */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/path.h"

#define SOURCES 6

struct fixture {
	struct mem mem;
	struct hop_sets *sets;
	struct rib_source sources[SOURCES];
	struct rib_nexthop *nh[SOURCES];
};

static struct fixture *
fixture(void)
{
	struct fixture *t = calloc(1, sizeof(*t));

	t->sets = hop_sets_new(&t->mem, 9);
	for (unsigned int i = 0; i < SOURCES; i++) {
		struct ip gateway = ip_v4(0x0a000001 + i);

		t->sources[i].index = (uint16_t)(i + 1);
		t->nh[i] = nexthop_intern(t->sets, i + 1, &gateway);
	}
	return t;
}

static void
done(struct fixture *t)
{
	assert_int_equal(hop_sets_count(t->sets), 0);
	for (unsigned int i = 0; i < SOURCES; i++) {
		assert_int_equal(t->nh[i]->refs, 1);
		nexthop_unref(t->sets, t->nh[i]);
	}
	hop_sets_free(t->sets);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

static struct hop
hop(const struct fixture *t, unsigned int i)
{
	return (struct hop){ (struct rib_source *)&t->sources[i], t->nh[i], 5, 2 };
}

/* Each field of each hop, and the number of hops. */
static void
test_what_tells_two_sets_apart(void **state)
{
	struct fixture *t = fixture();
	struct hop a[4] = { hop(t, 0), hop(t, 1), hop(t, 2), hop(t, 3) };
	uint32_t id = hop_set_intern(t->sets, a, 3);
	const struct hop_set *s = hop_set_get(t->sets, id);

	(void)state;
	assert_true(hop_set_equals(s, a, 3));
	assert_false(hop_set_equals(s, a, 2));
	assert_false(hop_set_equals(s, a, 4));
	assert_false(hop_set_equals(s, a, 0));
	assert_true(hop_set_equals(NULL, a, 0));
	assert_false(hop_set_equals(NULL, a, 1));
	for (unsigned int i = 0; i < 3; i++)
		for (int field = 0; field < 4; field++) {
			struct hop b[3] = { a[0], a[1], a[2] };
			uint32_t other;

			if (field == 0)
				b[i].source = &t->sources[5];
			else if (field == 1)
				b[i].nexthop = t->nh[5];
			else if (field == 2)
				b[i].fate++;
			else
				b[i].weight++;
			assert_false(hop_set_equals(s, b, 3));
			other = hop_set_intern(t->sets, b, 3);
			assert_int_not_equal(other, id);
			/* nor do they meet in one bucket, but by chance */
			assert_int_not_equal(hop_set_get(t->sets, other)->item.hash, s->item.hash);
			assert_int_equal(hop_sets_count(t->sets), 2);
			hop_set_unref(t->sets, other);
		}
	assert_int_equal(hop_set_intern(t->sets, a, 3), id);
	assert_int_equal(s->refs, 2);
	hop_set_ref(t->sets, id);
	assert_int_equal(s->refs, 3);
	for (int i = 0; i < 3; i++)
		hop_set_unref(t->sets, id);
	assert_int_equal(hop_set_intern(t->sets, a, 0), 0);
	hop_set_ref(t->sets, 0);
	hop_set_unref(t->sets, 0);
	assert_null(hop_set_get(t->sets, 0));
	assert_null(hop_set_get(t->sets, id));
	done(t);
}

/* Hundreds of them, found again however many there are; ids of those that went are given to others. */
static void
test_many_sets_are_found_again(void **state)
{
	struct fixture *t = fixture();
	uint32_t ids[300];

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		struct hop a[2] = { hop(t, 0), hop(t, 1) };

		a[1].fate = 100 + i;
		ids[i] = hop_set_intern(t->sets, a, 2);
		assert_int_equal(ids[i], i + 1);
		assert_int_equal(hop_sets_count(t->sets), i + 1);
		assert_null(hop_set_get(t->sets, ids[i] + 1));
		assert_int_equal(hop_set_get(t->sets, ids[i])->id, ids[i]);
	}
	for (unsigned int i = 0; i < 300; i++) {
		struct hop a[2] = { hop(t, 0), hop(t, 1) };

		a[1].fate = 100 + i;
		assert_int_equal(hop_set_intern(t->sets, a, 2), ids[i]);
		hop_set_unref(t->sets, ids[i]);
	}
	assert_int_equal(t->nh[0]->refs, 301);
	for (unsigned int i = 0; i < 300; i += 2)
		hop_set_unref(t->sets, ids[i]);
	assert_int_equal(hop_sets_count(t->sets), 150);
	for (unsigned int i = 0; i < 150; i++) {
		struct hop a[1] = { hop(t, 2) };

		a[0].fate = 1000 + i;
		assert_true(hop_set_intern(t->sets, a, 1) <= 300);
	}
	assert_null(hop_set_get(t->sets, 301));
	for (uint32_t at = 0, n = 0; n < 300; n++) {
		assert_int_equal(hop_sets_next(t->sets, &at)->id, n + 1);
		assert_int_equal(at, n + 1);
	}
	for (uint32_t id = 1; id <= 300; id++)
		hop_set_unref(t->sets, id);
	done(t);
}

/* Taken out in place, from any place: the rest keeps its order, and is found as what it is now. */
static void
test_a_hop_is_taken_out_in_place(void **state)
{
	(void)state;
	for (unsigned int gone = 0; gone < 4; gone++) {
		struct fixture *t = fixture();
		struct hop a[4] = { hop(t, 0), hop(t, 1), hop(t, 2), hop(t, 3) }, rest[3];
		uint32_t id = hop_set_intern(t->sets, a, 4);
		struct hop_set *s = hop_set_get(t->sets, id);

		for (unsigned int i = 0, n = 0; i < 4; i++)
			if (i != gone)
				rest[n++] = a[i];
		assert_false(hop_set_drop(t->sets, s, &t->sources[5]));
		assert_int_equal(s->n, 4);
		assert_true(hop_set_drop(t->sets, s, &t->sources[gone]));
		assert_true(hop_set_equals(s, rest, 3));
		assert_int_equal(t->nh[gone]->refs, 1);
		assert_int_equal(hop_set_intern(t->sets, rest, 3), id);
		hop_set_unref(t->sets, id);
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(hop_set_drop(t->sets, s, &t->sources[i]), i != gone);
		assert_int_equal(s->n, 0);
		hop_set_unref(t->sets, id);
		done(t);
	}
}

/* A next hop is its port and its gateway; many of them in few buckets, given back in any order. */
static void
test_next_hops_are_told_apart(void **state)
{
	struct fixture *t = fixture();
	struct rib_nexthop *nh[40][40];

	(void)state;
	for (unsigned int i = 0; i < 40; i++)
		for (unsigned int k = 0; k < 40; k++) {
			struct ip gateway = ip_v4(0x0b000000 + k);

			nh[i][k] = nexthop_intern(t->sets, 100 + i, &gateway);
			assert_int_equal(nh[i][k]->refs, 1);
			assert_int_equal(nh[i][k]->ifindex, 100 + i);
			assert_true(ip_equal(&nh[i][k]->gateway, &gateway));
			assert_ptr_equal(nexthop_intern(t->sets, 100 + i, &gateway), nh[i][k]);
		}
	for (unsigned int i = 0; i < 40; i++)
		for (unsigned int k = 0; k < 40; k++) {
			struct rib_nexthop *n = nh[(i * 7) % 40][(k * 11) % 40];

			assert_int_equal(n->refs, 2);
			nexthop_unref(t->sets, n);
			nexthop_unref(t->sets, n);
		}
	nexthop_unref(t->sets, NULL);
	assert_null(nexthop_ref(NULL));
	done(t);
}

/* Whatever is left when the sets are freed goes with them. */
static void
test_sets_that_are_left_are_freed(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	for (unsigned int i = 0; i < 70; i++) {
		struct hop a[2] = { hop(t, 0), hop(t, 1) };

		a[0].fate = i;
		hop_set_intern(t->sets, a, 2);
	}
	for (unsigned int i = 0; i < SOURCES; i++)
		nexthop_unref(t->sets, t->nh[i]);
	hop_sets_free(t->sets);
	hop_sets_free(NULL);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_tells_two_sets_apart),
		cmocka_unit_test(test_many_sets_are_found_again),
		cmocka_unit_test(test_a_hop_is_taken_out_in_place),
		cmocka_unit_test(test_next_hops_are_told_apart),
		cmocka_unit_test(test_sets_that_are_left_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
