/* bfd/client/protocol.c: what is written is read as it was; what is impossible is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "bfd/client/protocol.h"
#include "fabricd/lib/base.h"

static int
request_again(const struct bfd_request *r, struct bfd_request *back)
{
	uint8_t buf[BFD_FRAME_MAX];
	struct rd rd = rd_make(buf, bfd_request_encode(r, buf)), body;

	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(rd_left(&rd), 0);
	return bfd_request_decode(body, back);
}

static void
requests(void **state)
{
	struct bfd_request r = { .ask = BFD_ASK_WATCH,
		.id = 7,
		.target = { .path = { .ifindex = 9, .local = ip_v4(0x0a000001), .peer = ip_v4(0x0a000002) },
		    .port = "swp49",
		    .params = { .min_tx_us = 3300,
			.min_rx_us = UINT32_MAX,
			.multiplier = 255,
			.passive = true,
			.independent = true,
			.echo_us = 1,
			.echo_rx_us = 2,
			.min_hops = 254,
			.auth = { .type = BFD_AUTH_SHA1_METICULOUS,
			    .nkeys = 2,
			    .keys = { { 1, 3, "abc" }, { 255, 20, "12345678901234567890" } } } } } };
	struct bfd_request back;

	(void)state;
	assert_int_equal(request_again(&r, &back), 0);
	assert_memory_equal(&r.target, &back.target, sizeof(r.target));
	assert_int_equal(back.id, 7);
	for (int ask = BFD_ASK_UNWATCH; ask <= BFD_ASK_BYE; ask++) {
		r.ask = (enum bfd_ask)ask;
		r.has_params = true;
		r.max = 5;
		assert_int_equal(request_again(&r, &back), 0);
		assert_int_equal(back.ask, ask);
	}
	r.has_params = false;
	r.ask = BFD_ASK_UNSOLICITED;
	assert_int_equal(request_again(&r, &back), 0);
	assert_false(back.has_params);
}

static void
replies(void **state)
{
	struct bfd_reply r = { .tell = BFD_TELL_STATE,
		.id = 3,
		.status = { .state = BFD_UP,
		    .diag = BFD_DIAG_TIMEOUT,
		    .remote_state = BFD_ADMIN,
		    .independent = true,
		    .remote_said_down = true,
		    .refused = "because" } };
	uint8_t buf[BFD_FRAME_MAX];
	struct bfd_reply back;
	struct rd rd, body;

	(void)state;
	rd = rd_make(buf, bfd_reply_encode(&r, buf));
	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(bfd_reply_decode(body, &back), 0);
	assert_int_equal(back.id, 3);
	assert_int_equal(back.status.state, BFD_UP);
	assert_int_equal(back.status.diag, BFD_DIAG_TIMEOUT);
	assert_int_equal(back.status.remote_state, BFD_ADMIN);
	assert_true(back.status.independent && back.status.remote_said_down);
	assert_string_equal(back.status.refused, "because");
	r = (struct bfd_reply){ .tell = BFD_TELL_ROW,
		.row = { .port = "eth1",
		    .clients = 2,
		    .since_us = 5,
		    .last_rx_us = -1,
		    .down_us = -1,
		    .view = { .path = { .ifindex = 1, .local = ip_v4(1), .peer = ip_v4(2) },
			.state = BFD_INIT,
			.multiplier = 3,
			.local_discr = UINT32_MAX,
			.detect_us = 255ll * UINT32_MAX,
			.tx = UINT64_MAX,
			.flaps = 4,
			.rx_late_p99 = 99 } } };
	rd = rd_make(buf, bfd_reply_encode(&r, buf));
	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(bfd_reply_decode(body, &back), 0);
	assert_string_equal(back.row.port, "eth1");
	assert_int_equal(back.row.view.detect_us, 255ll * UINT32_MAX);
	assert_true(back.row.view.tx == UINT64_MAX);
	assert_int_equal(back.row.last_rx_us, -1);
	assert_int_equal(back.row.view.flaps, 4);
}

static void
frames(void **state)
{
	uint8_t buf[BFD_FRAME_MAX];
	struct bfd_request r = { .ask = BFD_ASK_LIST }, back;
	size_t n = bfd_request_encode(&r, buf);
	struct rd rd, body;

	(void)state;
	for (size_t i = 0; i < n; i++) { /* no whole frame yet */
		rd = rd_make(buf, i);
		assert_int_equal(bfd_frame(&rd, &body), 0);
		assert_int_equal(rd_left(&rd), i);
	}
	put_u32(buf, BFD_FRAME_MAX - 3);
	rd = rd_make(buf, 4);
	assert_int_equal(bfd_frame(&rd, &body), -EMSGSIZE);
	assert_int_equal(bfd_request_decode(rd_make(buf, 0), &back), -EPROTO);
	assert_int_equal(bfd_request_decode(rd_make("\xff\xff\xff", 3), &back), -EPROTO);
}

/* Values that no field of ours can hold. */
static void
impossible(void **state)
{
	struct bfd_request r = { .ask = BFD_ASK_WATCH,
		.target.params = { .multiplier = 3, .min_tx_us = 1, .min_rx_us = 1 } },
			   back;
	uint8_t buf[BFD_FRAME_MAX + 1];
	struct bfd_reply reply = { .tell = BFD_TELL_STATE, .status.state = (enum bfd_state)4 }, rback;
	struct rd rd, body;
	size_t n;

	(void)state;
	n = bfd_request_encode(&r, buf);
	/* the multiplier's varint: field 3 is 0x18 */
	for (size_t i = 4; i + 1 < n; i++) {
		if (buf[i] == 0x18 && buf[i + 1] == 3) {
			buf[i + 1] = 0;
			break;
		}
	}
	rd = rd_make(buf, n);
	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(bfd_request_decode(body, &back), 0); /* 0 is told by bfd_params_wrong(), with a sentence */
	assert_non_null(bfd_params_wrong(&back.target.path, &back.target.params));
	rd = rd_make(buf, bfd_reply_encode(&reply, buf));
	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(bfd_reply_decode(body, &rback), -EPROTO);
	/* An address of five bytes. */
	{
		static const uint8_t five[] = { 0x0a, 0x0f, 0x12, 0x0b, 0x12, 0x05, 1, 2, 3, 4, 5, 0x1a, 0x04, 1, 2, 3,
			4, 0x22, 0x00 };

		assert_int_equal(bfd_request_decode(rd_make(five, sizeof(five)), &back), -EPROTO);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(replies),
		cmocka_unit_test(frames),
		cmocka_unit_test(impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
