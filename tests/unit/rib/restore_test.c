/* tests/unit/rib/restore_test.c -- what peers were told before a restart is what the next run tells a change of */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "fabricd/rib/restore.h"

struct fixture {
	struct mem mem;
	struct rib *rib;
	struct rib_source sources[2];
	struct attrs *attrs[2];
	unsigned int changes;
	const struct rib_source *was, *now; /* of the last change */
	const struct attrs *was_attrs;
};

static void
changed(void *arg, uint32_t table, enum family f, const struct rib_change *c, size_t n)
{
	struct fixture *t = arg;

	(void)table;
	(void)f;
	t->changes += (unsigned int)n;
	t->was = c[n - 1].was ? c[n - 1].was->paths[c[n - 1].was->best].source : NULL;
	t->was_attrs = c[n - 1].was ? c[n - 1].was->paths[c[n - 1].was->best].attrs : NULL;
	t->now = c[n - 1].now ? c[n - 1].now->paths[c[n - 1].now->best].source : NULL;
}

static struct mono
now(void *arg)
{
	(void)arg;
	return (struct mono){ 1 };
}

static const struct rib_ops ops = { .changed = changed, .now = now };

static const struct prefix prefix = { .family = FAMILY_IPV4, .len = 24, .b = { 10, 1, 2 } };

static struct fixture *
fixture(void)
{
	struct fixture *t = calloc(1, sizeof(*t));
	struct rib_config cfg = { .mem = &t->mem, .seed = 1, .no_fib = true };

	t->rib = rib_new(&cfg, &ops, t);
	for (uint8_t i = 0; i < 2; i++) {
		struct attrs_view v = { .wire = &i, .wire_len = 1, .path_len = 1 };

		t->sources[i].router_id = i;
		assert_int_equal(rib_source_add(t->rib, &t->sources[i]), 0);
		rib_source_up(t->rib, &t->sources[i]);
		t->attrs[i] = attrs_intern(rib_attrs(t->rib), &v);
	}
	return t;
}

static void
run(struct fixture *t)
{
	while (rib_run(t->rib))
		;
}

static void
done(struct fixture *t)
{
	struct rib_counts c;

	for (int i = 0; i < 2; i++) {
		rib_source_remove(t->rib, &t->sources[i]);
		attrs_unref(rib_attrs(t->rib), t->attrs[i]);
	}
	run(t);
	rib_counts(t->rib, &c);
	assert_int_equal(c.lists + c.attrs + c.prefixes[FAMILY_IPV4], 0);
	rib_free(t->rib);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(t->mem.by[k].bytes, 0);
	free(t);
}

/* The prefix is offered by source 0 with attributes 0; what was told differs in the source, the attributes, or not. */
static void
test_only_what_differs_is_told_anew(void **state)
{
	static const struct {
		int source, attrs;
		bool differs;
	} cases[] = { { 0, 0, false }, { 1, 0, true }, { 0, 1, true }, { 1, 1, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int installed = 0; installed < 2; installed++) {
			struct fixture *t = fixture();
			struct rib_view v;

			rib_announce(t->rib, 0, &t->sources[0], &prefix, t->attrs[0], NULL);
			assert_true(rib_restore_told(t->rib, 0, &prefix, &t->sources[cases[i].source],
			    t->attrs[cases[i].attrs], NULL, installed));
			assert_true(rib_get(t->rib, 0, &prefix, &v));
			assert_int_equal(v.fib_installed, installed);
			assert_ptr_equal(v.told->paths[v.told->best].source, &t->sources[cases[i].source]);
			run(t);
			assert_int_equal(t->changes, cases[i].differs);
			if (cases[i].differs) {
				assert_ptr_equal(t->was, &t->sources[cases[i].source]);
				assert_ptr_equal(t->was_attrs, t->attrs[cases[i].attrs]);
				assert_ptr_equal(t->now, &t->sources[0]);
			}
			done(t);
		}
}

static void
test_what_nobody_was_told_is_news(void **state)
{
	struct fixture *t = fixture();
	struct rib_view v;

	(void)state;
	assert_false(rib_restore_told(t->rib, 0, &prefix, &t->sources[0], t->attrs[0], NULL, true));
	rib_announce(t->rib, 0, &t->sources[0], &prefix, t->attrs[0], NULL);
	assert_false(rib_restore_told(t->rib, 1, &prefix, &t->sources[0], t->attrs[0], NULL, true));
	assert_true(rib_restore_told(t->rib, 0, &prefix, NULL, NULL, NULL, true));
	assert_true(rib_get(t->rib, 0, &prefix, &v));
	assert_true(v.fib_installed && !v.told);
	run(t);
	assert_int_equal(t->changes, 1);
	assert_null(t->was);
	done(t);
}

static void
test_a_refresh_is_under_way(void **state)
{
	struct fixture *t = fixture();

	(void)state;
	rib_announce(t->rib, 0, &t->sources[0], &prefix, t->attrs[0], NULL);
	assert_false(rib_refreshing(t->rib));
	rib_refresh_begin(t->rib, &t->sources[0], FAMILY_IPV4);
	assert_true(rib_refreshing(t->rib));
	rib_refresh_end(t->rib, &t->sources[0], FAMILY_IPV4);
	assert_false(rib_refreshing(t->rib));
	done(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_differs_is_told_anew),
		cmocka_unit_test(test_what_nobody_was_told_is_news),
		cmocka_unit_test(test_a_refresh_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
