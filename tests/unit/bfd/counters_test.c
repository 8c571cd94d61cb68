/* bfd/counters.c: every rule has a counter of its own, with a name and with words, and what is told is what was counted */
#include "tests/support/counters.h"
#include "tests/unit/bfd/desk.h"

static void
tables_are_sound(void **state)
{
	struct bfd_view v = { 0 };
	struct counters c;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	bfd_engine_counters(d.e, &c);
	counters_are_sound(&c, sizeof(struct bfd_engine_stats));
	bfd_view_counters(&v, &c);
	counters_are_sound(&c, sizeof(v));
	desk_end(&d);
}

/* The words are read by people, the names by programs: a rule is known by the same name wherever it is told. */
static void
each_rule_is_told(void **state)
{
	struct counters c;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	bfd_engine_counters(d.e, &c);
	for (int i = BFD_TAKEN + 1; i < BFD_DROPS; i++) {
		d.e->stats.dropped[i] = 100 + (uint64_t)i;
		assert_int_equal(counter_named(&c, bfd_drop_name((enum bfd_drop)i)), 100 + i);
	}
	bfd_engine_run(d.e, d.now);
	assert_int_equal(counter_named(&c, "packets-sent"), stats(&d).tx);
	desk_end(&d);
}

/* Of whose session a packet is that may have come through a router is not known, so only the rule is counted. */
static void
what_is_counted_is_told(void **state)
{
	struct counters engine, session;
	struct bfd_view v;
	struct desk d;

	(void)state;
	desk_begin(&d, &usual);
	bfd_engine_counters(d.e, &engine);
	bfd_view_counters(&v, &session);
	for (unsigned int i = 1; i <= 3; i++) {
		uint8_t bytes[BFD_PACKET_MAX];
		struct bfd_received r;

		d.says.your_discr = bfd_session_discr(d.s);
		r = received(&d, bytes, bfd_packet_build(&d.says, 0, bytes));
		r.ifindex++;
		assert_int_equal(bfd_engine_receive(d.e, &r, d.now), BFD_DROP_PORT);
		r.hop_limit--;
		assert_int_equal(bfd_engine_receive(d.e, &r, d.now), BFD_DROP_HOP_LIMIT);
		v = view(&d);
		assert_int_equal(counter_named(&engine, "port"), i);
		assert_int_equal(counter_named(&engine, "hop-limit"), i);
		assert_int_equal(counter_named(&session, "dropped"), i);
	}
	assert_int_equal(counters_trouble(&engine), 6);
	assert_int_equal(counters_trouble(&session), 3);
	desk_end(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(each_rule_is_told),
		cmocka_unit_test(what_is_counted_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
