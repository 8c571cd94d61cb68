/* bfd/host/record.c: what is written is read again; what is damaged is noticed, in each bit; one half is always whole */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bfd/host/record.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"

#define SLOTS 3

static const struct bfd_image_id here = { 11, 22 };

static struct bfd_record
some(uint32_t n)
{
	struct bfd_record r = { .path = { .ifindex = n, .local = ip_v4(0x0a000000 + n), .peer = ip_v4(0x0a000100 + n) },
		.params = { .min_tx_us = 10000 + n,
		    .min_rx_us = 20000 + n,
		    .multiplier = (uint8_t)(3 + n),
		    .passive = n & 1,
		    .admin_down = n & 2,
		    .independent = true,
		    .echo_us = n,
		    .echo_rx_us = n + 1,
		    .min_hops = 254,
		    .auth = { .type = 5, .nkeys = 2, .keys = { { 1, 3, "abc" }, { 2, 20, "01234567890123456789" } } } },
		.port = "Ethernet17/4",
		.source = (uint16_t)(50000 + n),
		.saved = { .local_discr = 0x01020304 + n,
		    .remote_discr = 5,
		    .desired_tx = 6,
		    .required_rx = 7,
		    .tx_in_use = 8,
		    .rx_in_use = 9,
		    .remote_min_rx = 10,
		    .remote_desired_tx = 11,
		    .remote_min_echo = 12,
		    .auth = { 13, 14, true },
		    .state = 3,
		    .remote_state = 2,
		    .diag = 1,
		    .remote_diag = 31,
		    .down_diag = 8,
		    .remote_multiplier = 255,
		    .remote_demand = true,
		    .remote_independent = true,
		    .polling = true,
		    .poll_again = true,
		    .unsolicited = true,
		    .flaps = 1ull << 40,
		    .since = { 123456789012 },
		    .down_at = MONO_NEVER } };

	return r;
}

/* Field by field: between members there may be anything. */
static void
assert_same(const struct bfd_record *a, const struct bfd_record *b)
{
	uint8_t x[BFD_HALF_BYTES], y[BFD_HALF_BYTES];
	size_t n = bfd_record_encode(a, x, sizeof(x));

	assert_true(n > 200 && n < BFD_HALF_BYTES - 20);
	assert_int_equal(bfd_record_encode(b, y, sizeof(y)), n);
	assert_memory_equal(x, y, n);
}

struct seen {
	unsigned int n;
	uint32_t number[SLOTS];
	struct bfd_record rec[SLOTS];
};

static void
see(void *arg, uint32_t number, const struct bfd_record *rec)
{
	struct seen *s = arg;

	assert_true(s->n < SLOTS);
	s->number[s->n] = number;
	s->rec[s->n++] = *rec;
}

static void
image(uint8_t *bytes)
{
	const struct bfd_image_header h = { .seed = 77, .tag = 0x1234, .id = here, .alive_us = 5000000 };

	memset(bytes, 0, BFD_IMAGE_HEADER + SLOTS * BFD_SLOT_BYTES);
	bfd_image_begin(&h, bytes);
}

static uint8_t *
slot(uint8_t *bytes, uint32_t n)
{
	return bytes + BFD_IMAGE_HEADER + n * BFD_SLOT_BYTES;
}

static void
there_and_back(void **state)
{
	struct bfd_record r = some(1), six = some(2), got;
	static const uint8_t ll[16] = { 0xfe, 0x80, [15] = 9 };
	uint8_t buf[BFD_HALF_BYTES];
	size_t n;

	(void)state;
	six.path.local = six.path.peer = ip_v6(ll);
	for (const struct bfd_record *one = &r; one; one = one == &r ? &six : NULL) {
		n = bfd_record_encode(one, buf, sizeof(buf));
		assert_true(bfd_record_decode(rd_make(buf, n), &got));
		assert_same(one, &got);
		assert_int_equal(got.params.auth.keys[1].len, 20);
		assert_memory_equal(got.params.auth.keys[1].bytes, "01234567890123456789", 20);
		assert_string_equal(got.port, "Ethernet17/4");
		assert_true(got.saved.auth.known && got.saved.poll_again && got.saved.unsolicited);
		assert_true(mono_is_never(got.saved.down_at));
		/* Any other length is none. */
		for (size_t cut = 0; cut < n; cut++)
			assert_false(bfd_record_decode(rd_make(buf, cut), &got));
		assert_false(bfd_record_decode(rd_make(buf, n + 1), &got));
	}
	assert_int_equal(bfd_record_encode(&r, buf, 100), 0);
	/* More keys than there is room for. */
	n = bfd_record_encode(&r, buf, sizeof(buf));
	r.params.auth.nkeys = BFD_KEYS + 1;
	assert_int_equal(bfd_record_encode(&r, buf, sizeof(buf)), n);
	assert_false(bfd_record_decode(rd_make(buf, n), &got));
}

static void
header(void **state)
{
	uint8_t bytes[BFD_IMAGE_HEADER + SLOTS * BFD_SLOT_BYTES];
	const struct bfd_image_id boot = { 12, 22 }, space = { 11, 23 };
	struct bfd_image_header h;

	(void)state;
	image(bytes);
	assert_int_equal(bfd_image_header(bytes, sizeof(bytes), &here, &h), 0);
	assert_int_equal(h.seed, 77);
	assert_int_equal(h.tag, 0x1234);
	assert_int_equal(h.alive_us, 5000000);
	bfd_image_alive(bytes, 6000000);
	assert_int_equal(bfd_image_header(bytes, sizeof(bytes), &here, &h), 0);
	assert_int_equal(h.alive_us, 6000000);
	assert_int_equal(bfd_image_header(bytes, sizeof(bytes), &boot, &h), -ESTALE);
	assert_int_equal(bfd_image_header(bytes, sizeof(bytes), &space, &h), -ESTALE);
	assert_int_equal(bfd_image_header(bytes, BFD_IMAGE_HEADER - 1, &here, &h), -EPROTO);
	for (size_t bit = 0; bit < 56 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (bfd_image_header(bytes, sizeof(bytes), &here, &h) == 0)
			fail_msg("bit %zu can be changed", bit);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	bytes[11]++;
	assert_int_equal(bfd_image_header(bytes, sizeof(bytes), &here, &h), -EPROTONOSUPPORT);
}

/* The last that was written counts; a free slot is none. */
static void
slots(void **state)
{
	uint8_t bytes[BFD_IMAGE_HEADER + SLOTS * BFD_SLOT_BYTES];
	struct bfd_record r[4] = { some(1), some(2), some(3), some(4) };
	struct bfd_image_found found;
	struct seen seen = { 0 };

	(void)state;
	image(bytes);
	bfd_image_read(bytes, sizeof(bytes), see, &seen, &found);
	assert_int_equal(seen.n + found.sessions + found.damaged, 0);
	for (int i = 0; i < 4; i++)
		bfd_image_put(slot(bytes, 1), 1, &r[i]);
	bfd_image_put(slot(bytes, 2), 2, &r[0]);
	bfd_image_put(slot(bytes, 0), 0, &r[0]);
	bfd_image_put(slot(bytes, 0), 0, NULL);
	bfd_image_read(bytes, sizeof(bytes), see, &seen, &found);
	assert_int_equal(found.sessions, 2);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.number[0], 1);
	assert_same(&seen.rec[0], &r[3]);
	assert_same(&seen.rec[1], &r[0]);
	/* In the place of another it is nobody's. */
	memcpy(slot(bytes, 0), slot(bytes, 2), BFD_SLOT_BYTES);
	seen.n = 0;
	bfd_image_read(bytes, sizeof(bytes), see, &seen, &found);
	assert_int_equal(found.sessions, 2);
	assert_int_equal(found.damaged, 1);
}

/* A process may die after any byte of a write: then what was before is there, or what is new. */
static void
torn(void **state)
{
	struct bfd_record a = some(1), b = some(2), c = some(3);
	uint8_t was[BFD_IMAGE_HEADER + SLOTS * BFD_SLOT_BYTES], is[sizeof(was)], torn[sizeof(was)];

	(void)state;
	image(was);
	bfd_image_put(slot(was, 0), 0, &a);
	bfd_image_put(slot(was, 0), 0, &b);
	memcpy(is, was, sizeof(is));
	bfd_image_put(slot(is, 0), 0, &c);
	for (int backwards = 0; backwards <= 1; backwards++) {
		for (size_t n = 0; n <= sizeof(was); n++) {
			struct bfd_image_found found;
			struct seen seen = { 0 };

			memcpy(torn, backwards ? is : was, sizeof(torn));
			memcpy(torn, backwards ? was : is, n);
			bfd_image_read(torn, sizeof(torn), see, &seen, &found);
			assert_int_equal(seen.n, 1);
			assert_int_equal(found.damaged, 0);
			assert_same(&seen.rec[0], seen.rec[0].path.ifindex == 2 ? &b : &c);
		}
	}
}

/* Any bit of a slot: what was before, or nothing, never something else. */
static void
damage(void **state)
{
	struct bfd_record a = some(1), b = some(2);
	uint8_t bytes[BFD_IMAGE_HEADER + SLOTS * BFD_SLOT_BYTES];
	unsigned int older = 0, nothing = 0;

	(void)state;
	image(bytes);
	bfd_image_put(slot(bytes, 0), 0, &b);
	for (int halves = 1; halves <= 2; halves++) {
		if (halves == 2)
			bfd_image_put(slot(bytes, 0), 0, &a);
		for (size_t bit = 0; bit < BFD_SLOT_BYTES * 8; bit++) {
			uint8_t *at = slot(bytes, 0) + bit / 8;
			struct bfd_image_found found;
			struct seen seen = { 0 };

			*at ^= (uint8_t)(1u << bit % 8);
			bfd_image_read(bytes, sizeof(bytes), see, &seen, &found);
			assert_int_equal(seen.n + found.damaged, 1);
			if (seen.n)
				assert_same(&seen.rec[0], seen.rec[0].path.ifindex == 1 ? &a : &b);
			older += halves == 2 && seen.n && seen.rec[0].path.ifindex == 2;
			nothing += !seen.n;
			*at ^= (uint8_t)(1u << bit % 8);
		}
	}
	assert_true(older > 2000 && nothing > 2000);
}

/*
 * What an earlier bfdd has written, byte for byte: the image among the seeds of bfd_state_fuzz.c, behind its first octet.
 * Whoever changes a hash or a field must change BFD_IMAGE_VERSION too, or sessions end with an upgrade.
 */
static void
of_an_earlier_bfdd(void **state)
{
	const struct bfd_image_id then = { 1, 2 };
	struct bfd_image_found found;
	struct bfd_image_header h;
	struct seen seen = { 0 };
	uint8_t bytes[4096];
	FILE *f = fopen("tests/fuzz/seeds/bfd_state/image", "r");
	size_t n;

	(void)state;
	assert_non_null(f);
	n = fread(bytes, 1, sizeof(bytes), f) - 1;
	fclose(f);
	assert_int_equal(bfd_image_header(bytes + 1, n, &then, &h), 0);
	assert_int_equal(h.seed, 3);
	assert_int_equal(h.tag, 0); /* it did not say: then it is the seed's */
	assert_int_equal(bfd_engine_tag_of(h.seed), 0x7d67);
	bfd_image_read(bytes + 1, n, see, &seen, &found);
	assert_int_equal(found.sessions, 1);
	assert_int_equal(found.damaged, 0);
	assert_int_equal(seen.rec[0].path.ifindex, 4);
	assert_string_equal(seen.rec[0].port, "swp1");
	assert_int_equal(hash_u64(4, 4026531840), 0x7711c66d1e98cefa); /* the id of a namespace */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(header),
		cmocka_unit_test(slots),
		cmocka_unit_test(torn),
		cmocka_unit_test(damage),
		cmocka_unit_test(of_an_earlier_bfdd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
