/*
 * tests/unit/sim/fixture.h -- what the tests of the simulator share: files, scenarios, and a fabric that has come up
 *
 * To be included behind cmocka.h.
 */
#ifndef TESTS_UNIT_SIM_FIXTURE_H
#define TESTS_UNIT_SIM_FIXTURE_H

#include "fabricd/lib/base.h"
#include "fabricd/sim/scenario.h"
#include "tests/unit/topology/file.h"

/* The topology of a trace is the one that arg is. */
static inline const struct topo *
give(void *arg, const char *file, char *err, size_t errlen)
{
	(void)file;
	(void)err;
	(void)errlen;
	return arg;
}

/* The scenario runs, and nothing is violated. */
static inline void
expect_nothing(const struct scenario *sc, struct outcome *out)
{
	scenario_run(sc, NULL, out);
	if (out->violation.kind || out->error[0]) {
		scenario_print(sc, "?", stdout);
		fail_msg("%s: %s%s", check_kind_name(out->violation.kind), out->violation.text, out->error);
	}
}

/* A fabric that has come up and is judged from now on; with routers outside where the file has external sessions. */
struct bench {
	struct topo *t;
	struct world *w;
	struct check *c;
};

static inline void
bench_init_as(struct bench *b, const char *file, struct world_config cfg)
{
	struct check_config check = { .cold = true, .reconnect_us = SECONDS(5) };
	char err[256];

	b->t = load_file(file);
	cfg.topo = b->t;
	cfg.seed = 3;
	cfg.outside = b->t->nexternals > 0;
	cfg.feed = cfg.feed ? cfg.feed : 10;
	b->w = world_new(&cfg, err, sizeof(err));
	assert_non_null(b->w);
	b->c = check_new(b->w, &check);
	check_run_until(b->c, (struct mono){ SECONDS(8) });
	check_quiet(b->c);
	assert_int_equal(check_violation(b->c)->kind, CHECK_NONE);
}

static inline void
bench_init(struct bench *b, const char *file)
{
	bench_init_as(b, file, (struct world_config){ 0 });
}

/* Frees it; it must have found this kind of violation, and no other. */
static inline void
bench_done(struct bench *b, enum check_kind want)
{
	if (check_violation(b->c)->kind != want)
		fail_msg("found \"%s\" (%s), wanted \"%s\"", check_kind_name(check_violation(b->c)->kind),
		    check_violation(b->c)->text, check_kind_name(want));
	check_free(b->c);
	world_free(b->w);
	topo_free(b->t);
}

#endif
