/* tests/unit/rib/path_test.c -- path lists: one object for one set, however it came to be; steps; references */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/path.h"

#define SOURCES 8
#define SETS    4

struct fixture {
	struct mem mem;
	struct attrs_table *attrs;
	struct path_lists *lists;
	struct rib_source sources[SOURCES];
	struct attrs *set[SETS];
	struct rib_nexthop *nh[SOURCES];
};

static struct fixture *
fixture(void)
{
	struct fixture *t = calloc(1, sizeof(*t));

	t->attrs = attrs_table_new(&t->mem, 5);
	t->lists = path_lists_new(&t->mem, 5, t->attrs);
	for (unsigned int i = 0; i < SOURCES; i++) {
		struct ip gateway = ip_v4(0x0a000001 + i);

		t->sources[i] = (struct rib_source){ .index = (uint16_t)(i + 1), .up = true, .router_id = i };
		t->nh[i] = nexthop_intern(path_lists_hops(t->lists), i + 1, &gateway);
	}
	for (uint8_t i = 0; i < SETS; i++)
		t->set[i] = attrs_intern(t->attrs, &(struct attrs_view){ .wire = &i, .wire_len = 1 });
	return t;
}

static void
done(struct fixture *t)
{
	assert_int_equal(path_lists_count(t->lists), 0);
	for (unsigned int i = 0; i < SOURCES; i++) {
		assert_int_equal(t->nh[i]->refs, 1); /* lists gave back what they held */
		nexthop_unref(path_lists_hops(t->lists), t->nh[i]);
	}
	for (unsigned int i = 0; i < SETS; i++) {
		assert_int_equal(t->set[i]->item.refs, 1);
		attrs_unref(t->attrs, t->set[i]);
	}
	path_lists_free(t->lists);
	assert_int_equal(attrs_table_count(t->attrs), 0);
	attrs_table_free(t->attrs);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

/* Gives the reference of `from` for one of the list with source s replaced; set < 0: removed. */
static uint32_t
step(struct fixture *t, uint32_t from, unsigned int s, int set)
{
	struct path p = { .source = &t->sources[s], .nexthop = t->nh[s] };
	uint32_t to;

	p.attrs = set >= 0 ? t->set[set] : NULL;
	to = path_list_with(t->lists, from, &t->sources[s], set >= 0 ? &p : NULL);
	path_list_unref(t->lists, from);
	return to;
}

static void
test_any_way_leads_to_the_same_list(void **state)
{
	struct fixture *t = fixture();
	uint32_t a, b, c;

	(void)state;
	a = step(t, step(t, step(t, 0, 0, 1), 3, 2), 5, 0);
	b = step(t, step(t, step(t, 0, 5, 0), 0, 1), 3, 2);
	c = step(t, step(t, step(t, step(t, step(t, 0, 3, 1), 7, 3), 5, 0), 3, 2), 0, 1);
	c = step(t, c, 7, -1);
	assert_int_not_equal(a, 0);
	assert_int_equal(a, b);
	assert_int_equal(a, c);
	assert_int_equal(path_list_get(t->lists, a)->refs, 3);
	assert_int_equal(path_lists_count(t->lists), 1);
	path_list_unref(t->lists, a);
	path_list_unref(t->lists, a);
	path_list_unref(t->lists, a);
	done(t);
}

static void
test_steps_that_change_nothing(void **state)
{
	struct fixture *t = fixture();
	uint32_t a;

	(void)state;
	assert_int_equal(step(t, 0, 0, -1), 0);
	a = step(t, 0, 2, 1);
	assert_int_equal(step(t, a, 2, 1), a);
	assert_int_equal(step(t, a, 4, -1), a);
	assert_int_equal(path_list_get(t->lists, a)->refs, 1);
	assert_int_equal(step(t, a, 2, -1), 0);
	done(t);
}

/* Attributes, next hop and source each make another list; a step that is remembered is not taken for another. */
static void
test_what_makes_another_list(void **state)
{
	struct fixture *t = fixture();
	struct path p = { .source = &t->sources[0], .attrs = t->set[0], .nexthop = t->nh[0] };
	uint32_t ids[4];

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		ids[0] = path_list_with(t->lists, 0, p.source, &p);
		p.nexthop = NULL;
		ids[1] = path_list_with(t->lists, 0, p.source, &p);
		p.nexthop = t->nh[1];
		ids[2] = path_list_with(t->lists, 0, p.source, &p);
		p.attrs = t->set[1];
		ids[3] = path_list_with(t->lists, 0, p.source, &p);
		for (int i = 0; i < 4; i++)
			for (int k = 0; k < i; k++) /* nor do they meet in one bucket, but by chance */
				assert_int_not_equal(path_list_get(t->lists, ids[i])->item.hash,
				    path_list_get(t->lists, ids[k])->item.hash);
		for (int i = 0; i < 4; i++)
			for (int k = 0; k < i; k++)
				assert_int_not_equal(ids[i], ids[k]);
		for (int i = 0; i < 4; i++)
			path_list_unref(t->lists, ids[i]);
		p = (struct path){ .source = &t->sources[0], .attrs = t->set[0], .nexthop = t->nh[0] };
	}
	done(t);
}

static void
test_an_id_that_is_used_again(void **state)
{
	struct fixture *t = fixture();
	uint32_t a = step(t, 0, 0, 0), b;

	(void)state;
	a = step(t, a, 1, 1); /* remembered: from the list of source 0 */
	path_list_unref(t->lists, a);
	b = step(t, 0, 5, 2); /* takes an id that was free; the remembered step is not for it */
	b = step(t, b, 1, 1);
	assert_int_equal(path_list_get(t->lists, b)->n, 2);
	assert_non_null(path_list_find(path_list_get(t->lists, b), &t->sources[5]));
	assert_null(path_list_find(path_list_get(t->lists, b), &t->sources[0]));
	path_list_unref(t->lists, b);
	done(t);
}

static void
test_a_drop_in_place(void **state)
{
	struct fixture *t = fixture();
	uint32_t a = step(t, step(t, step(t, 0, 0, 0), 1, 1), 2, 2), was, smaller;
	struct path_list *l = path_list_get(t->lists, a);

	(void)state;
	path_list_decide(l, 64);
	assert_int_equal(l->best, 0);
	was = path_list_snapshot(t->lists, l);
	path_list_drop(t->lists, l, &t->sources[1]);
	path_list_drop(t->lists, l, &t->sources[7]); /* is not in it */
	assert_int_equal(l->n, 2);
	assert_false(l->decided);
	assert_int_equal(path_list_get(t->lists, was)->n, 1); /* a list of its own, of the best */
	assert_ptr_equal(path_list_get(t->lists, was)->paths[0].source, &t->sources[0]);
	assert_int_equal(path_list_get(t->lists, was)->width, 1);
	assert_true(path_list_get(t->lists, was)->decided);
	smaller = step(t, step(t, 0, 0, 0), 2, 2);
	assert_int_equal(smaller, a); /* it is found by what it holds now */
	path_list_unref(t->lists, smaller);
	smaller = step(t, step(t, step(t, 0, 0, 0), 1, 1), 2, 2); /* and by nothing else; nor is the snapshot */
	assert_int_not_equal(smaller, a);
	assert_int_not_equal(smaller, was);
	path_list_unref(t->lists, smaller);
	path_list_drop(t->lists, l, &t->sources[0]);
	path_list_drop(t->lists, l, &t->sources[2]);
	assert_int_equal(l->n, 0);
	assert_ptr_equal(path_list_get(t->lists, a), l);
	smaller = step(t, 0, 3, 3); /* nothing is hurt by an empty list that still has its id */
	path_list_unref(t->lists, smaller);
	path_list_unref(t->lists, a);
	path_list_unref(t->lists, was);
	done(t);
}

/* After a drop the decision is the same as for a list that is made new of what is left. */
static void
test_a_drop_decides_as_anew(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 2000; seed++) {
		struct fixture *t = fixture();
		uint32_t a = 0, b = 0, rnd = seed * 2654435761u + 1;
		struct path_list *l, *anew;

		for (unsigned int i = 0; i < SETS; i++) { /* mostly equal, at times a longer path or a MED */
			rnd = rnd * 1664525 + 1013904223;
			t->set[i]->v.path_len = (rnd >> 16) % 6 == 0;
			t->set[i]->v.med = (rnd >> 20) % 6 == 0;
			t->set[i]->v.flags = t->set[i]->v.med ? ATTRS_HAS_MED : 0;
		}
		for (unsigned int i = 0; i < SOURCES; i++)
			t->sources[i].router_id = (rnd >> i) % 4;
		for (unsigned int i = 0; i < SOURCES; i++)
			a = step(t, a, i, (int)((rnd >> (2 * i)) % SETS));
		l = path_list_get(t->lists, a);
		path_list_decide(l, 64);
		for (unsigned int gone = 0; gone < SOURCES; gone++) {
			path_list_drop(t->lists, l, &t->sources[(gone * 3 + seed) % SOURCES]);
			path_list_decide(l, 64);
			b = 0;
			for (unsigned int k = 0; k < l->n; k++) {
				uint32_t next = path_list_with(t->lists, b, l->paths[k].source, &l->paths[k]);

				path_list_unref(t->lists, b);
				b = next;
			}
			if (b && b != a) /* found by its content */
				fail_msg("another list");
			anew = calloc(1, sizeof(*anew) + SOURCES * sizeof(struct path));
			anew->n = l->n;
			memcpy(anew->paths, l->paths, l->n * sizeof(struct path));
			path_list_decide(anew, 64);
			assert_int_equal(l->best, anew->best);
			assert_int_equal(l->width, anew->width);
			assert_int_equal(l->reason, anew->reason);
			for (unsigned int k = 0; k < l->n; k++)
				assert_int_equal(path_is_multipath(l, k), path_is_multipath(anew, k));
			free(anew);
			path_list_unref(t->lists, b);
		}
		path_list_unref(t->lists, a);
		done(t);
	}
}

static void
test_next_hops_are_shared(void **state)
{
	struct fixture *t = fixture();
	struct ip gateway = ip_v4(0x0a000001), other = ip_v4(0x0a0000ff);
	struct rib_nexthop *a = nexthop_intern(path_lists_hops(t->lists), 1, &gateway),
			   *b = nexthop_intern(path_lists_hops(t->lists), 2, &gateway),
			   *c = nexthop_intern(path_lists_hops(t->lists), 1, &other);

	(void)state;
	assert_ptr_equal(a, t->nh[0]);
	assert_ptr_not_equal(a, b); /* the same address on another link */
	assert_ptr_not_equal(a, c);
	nexthop_unref(path_lists_hops(t->lists), a);
	nexthop_unref(path_lists_hops(t->lists), b);
	nexthop_unref(path_lists_hops(t->lists), c);
	nexthop_unref(path_lists_hops(t->lists), NULL);
	done(t);
}

/* Random walks of many holders: equal sets have equal ids, different sets different ids, at every moment. */
static void
test_random_walks(void **state)
{
	struct fixture *t = fixture();
	enum { HOLDERS = 200 };
	uint32_t id[HOLDERS] = { 0 }, rnd = 9;
	int8_t set[HOLDERS][SOURCES];

	(void)state;
	memset(set, -1, sizeof(set));
	for (unsigned int round = 0; round < 40000; round++) {
		unsigned int h, s;

		rnd = rnd * 1664525 + 1013904223;
		h = (rnd >> 8) % HOLDERS;
		s = (rnd >> 16) % SOURCES;
		set[h][s] = (int8_t)((int)((rnd >> 24) % (SETS + 1)) - 1);
		id[h] = step(t, id[h], s, set[h][s]);
		if (round % 2000)
			continue;
		for (unsigned int i = 0; i < HOLDERS; i++) {
			const struct path_list *l = path_list_get(t->lists, id[i]);

			for (unsigned int k = 0; k < SOURCES; k++) {
				const struct path *p = path_list_find(l, &t->sources[k]);

				assert_ptr_equal(p ? p->attrs : NULL, set[i][k] < 0 ? NULL : t->set[set[i][k]]);
			}
			for (unsigned int k = 0; k < i; k++)
				assert_int_equal(id[i] == id[k], memcmp(set[i], set[k], SOURCES) == 0);
		}
	}
	for (unsigned int i = 0; i < HOLDERS; i++)
		path_list_unref(t->lists, id[i]);
	done(t);
}

/* Hundreds of lists: each is found by its id, no other id is one; a source that is in none of them leaves them be. */
static void
test_ids_are_those_of_lists(void **state)
{
	struct fixture *t = fixture();
	struct rib_source above = { .index = 4000, .up = true }, below = { .index = 0, .up = true };
	uint32_t ids[256];

	(void)state;
	for (unsigned int i = 0; i < 256; i++) { /* attributes of four sources, in each combination */
		ids[i] = 0;
		for (unsigned int s = 0; s < 4; s++)
			ids[i] = step(t, ids[i], s + 1, (int)(i >> 2 * s) % SETS);
		assert_null(path_list_get(t->lists, path_lists_limit(t->lists)));
	}
	assert_null(path_list_get(t->lists, 0));
	assert_int_equal(path_lists_count(t->lists), 256);
	for (unsigned int i = 0; i < 256; i++) {
		struct path_list *l = path_list_get(t->lists, ids[i]);
		uint32_t serial = l->serial;

		assert_int_equal(l->id, ids[i]);
		path_list_drop(t->lists, l, &above);
		path_list_drop(t->lists, l, &below);
		path_list_drop(t->lists, l, &t->sources[0]);
		path_list_drop(t->lists, l, &t->sources[7]);
		assert_int_equal(l->n, 4);
		assert_int_equal(l->serial, serial);
		assert_null(path_list_find(l, &above));
		assert_null(path_list_find(l, &below));
		for (unsigned int s = 0; s < 4; s++)
			assert_ptr_equal(path_list_find(l, &t->sources[s + 1])->attrs, t->set[(i >> 2 * s) % SETS]);
	}
	for (unsigned int i = 0; i < 256; i++)
		path_list_unref(t->lists, ids[i]);
	done(t);
}

/* Whatever is left when the lists are freed goes with them, with what it held. */
static void
test_lists_that_are_left_are_freed(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		step(t, step(t, 0, i % SOURCES, (int)i % SETS), (i + 1) % SOURCES, 0);
	for (unsigned int i = 0; i < SOURCES; i++)
		nexthop_unref(path_lists_hops(t->lists), t->nh[i]);
	path_lists_free(t->lists);
	path_lists_free(NULL);
	for (unsigned int i = 0; i < SETS; i++) {
		assert_int_equal(t->set[i]->item.refs, 1);
		attrs_unref(t->attrs, t->set[i]);
	}
	attrs_table_free(t->attrs);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

/* The next hops of a list: those that share the load, at most so many, and none for a local path. */
static void
test_hops_of_a_list(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= SOURCES; n++)
		for (unsigned int max = 1; max <= SOURCES; max++)
			for (int local = 0; local < 2; local++) {
				struct fixture *t = fixture();
				struct hop *out = calloc(max, sizeof(*out)); /* to the byte, for the sanitizers */
				struct path p = { .source = &t->sources[0], .attrs = t->set[0] };
				struct path_list *l;
				uint32_t id = 0;

				t->sources[0].side = local ? RIB_LOCAL : RIB_ABOVE;
				for (unsigned int i = 0; i < n; i++)
					t->sources[i].side = i ? RIB_ABOVE : t->sources[0].side;
				if (local)
					id = path_list_with(t->lists, 0, p.source, &p);
				for (unsigned int i = (unsigned int)local; i < n; i++)
					id = step(t, id, i, 0);
				l = path_list_get(t->lists, id);
				path_list_decide(l, 64);
				assert_int_equal(l->width, local ? 1 : n);
				assert_int_equal(path_list_hops(l, false, out, max), local ? 0 : MIN_OF(n, max));
				for (unsigned int i = 0; !local && i < MIN_OF(n, max); i++) {
					assert_ptr_equal(out[i].source, &t->sources[i]);
					assert_ptr_equal(out[i].nexthop, t->nh[i]);
					assert_int_equal(out[i].weight, 1);
				}
				free(out);
				path_list_unref(t->lists, id);
				done(t);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_way_leads_to_the_same_list),
		cmocka_unit_test(test_steps_that_change_nothing),
		cmocka_unit_test(test_what_makes_another_list),
		cmocka_unit_test(test_an_id_that_is_used_again),
		cmocka_unit_test(test_a_drop_in_place),
		cmocka_unit_test(test_a_drop_decides_as_anew),
		cmocka_unit_test(test_next_hops_are_shared),
		cmocka_unit_test(test_ids_are_those_of_lists),
		cmocka_unit_test(test_lists_that_are_left_are_freed),
		cmocka_unit_test(test_hops_of_a_list),
		cmocka_unit_test(test_random_walks),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
