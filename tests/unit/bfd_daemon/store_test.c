/* tests/unit/bfd_daemon/store_test.c -- the file in which bfdd's sessions outlive it: whose it is, and what is begun anew */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bfd/daemon/store.h"

static const struct mono now = { SECONDS(1000) };
static const uint8_t six[2][16] = { { 0xfe, 0x80, [15] = 1 }, { 0xfe, 0x80, [15] = 2 } };

struct place {
	struct mem mem;
	char folder[64], path[80];
};

static void
place_new(struct place *p)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->folder, sizeof(p->folder), "/tmp/bfdd-store-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/bfdd.state", p->folder);
}

static void
place_free(struct place *p)
{
	unlink(p->path);
	assert_int_equal(rmdir(p->folder), 0);
	for (int k = 0; k < MEM_KINDS; k++)
		assert_int_equal(p->mem.by[k].bytes, 0);
}

static struct bfd_record
record(void)
{
	return (struct bfd_record){ .path = { .ifindex = 4, .local = ip_v6(six[0]), .peer = ip_v6(six[1]) },
		.params = { .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3 },
		.port = "swp1",
		.source = 50000,
		.saved = { .local_discr = 7, .desired_tx = 50000, .required_rx = 50000 } };
}

/* A bfdd with one session. */
static struct bfd_store *
first_one(struct place *p)
{
	struct bfd_store_found found;
	struct bfd_store *s = bfd_store_open(&p->mem, p->path, 11, false, now, &found);
	struct bfd_record rec = record();
	uint32_t slot = 0;

	assert_non_null(s);
	assert_int_equal(found.away_us, -1);
	bfd_store_keep(s, &slot, &rec);
	assert_int_equal(slot, 1);
	return s;
}

/* Another one is started by mistake, again and again until it begins anew: that costs the first one nothing. */
static void
it_belongs_to_who_has_it(void **state)
{
	struct bfd_store_found found;
	struct bfd_store *s;
	struct place p;

	(void)state;
	place_new(&p);
	s = first_one(&p);
	for (int anew = 0; anew < 2; anew++) {
		errno = 0;
		assert_null(bfd_store_open(&p.mem, p.path, 12, anew, now, &found));
		assert_int_equal(errno, EWOULDBLOCK);
		assert_int_equal(access(p.path, F_OK), 0);
	}
	bfd_store_close(s, false); /* it dies */
	s = bfd_store_open(&p.mem, p.path, 13, false, mono_add(now, MS(20)), &found);
	assert_non_null(s);
	assert_null(found.why);
	assert_int_equal(found.away_us, MS(20));
	assert_int_equal(found.seed, 11);
	assert_int_equal(found.image.sessions, 1);
	bfd_store_close(s, true);
	assert_int_equal(access(p.path, F_OK), -1);
	place_free(&p);
}

static void
begun_anew(void **state)
{
	struct bfd_store_found found;
	struct bfd_store *s;
	struct place p;

	(void)state;
	place_new(&p);
	bfd_store_close(first_one(&p), false);
	s = bfd_store_open(&p.mem, p.path, 12, true, mono_add(now, MS(20)), &found);
	assert_non_null(s);
	assert_non_null(found.why);
	assert_int_equal(found.away_us, -1);
	assert_int_equal(found.seed, 12);
	bfd_store_close(s, false);
	s = bfd_store_open(&p.mem, p.path, 13, false, mono_add(now, MS(40)), &found);
	assert_int_equal(found.image.sessions, 0);
	assert_int_equal(found.seed, 12);
	bfd_store_close(s, true);
	place_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_belongs_to_who_has_it),
		cmocka_unit_test(begun_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
