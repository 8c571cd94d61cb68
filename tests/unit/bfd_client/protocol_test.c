/* bfd/client/protocol.c: what is written is read as it was; what is impossible is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "bfd/client/protocol.h"
#include "bfd/host/host.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/sim/sim.h"

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
		assert_int_equal(request_again(&r, &back), 0);
		assert_int_equal(back.ask, ask);
	}
}

static void
strangers(void **state)
{
	struct bfd_request back, r = { .ask = BFD_ASK_UNSOLICITED,
		.strangers = { .ifindex = 9,
		    .params = { .min_tx_us = 3300, .min_rx_us = 1, .multiplier = 3, .independent = true },
		    .max = 5 } };
	struct bfd_strangers *s = &r.strangers;
	uint8_t buf[BFD_FRAME_MAX];
	size_t n;

	(void)state;
	while (s->nsubnets < BFD_SUBNETS) {
		struct ip a = s->nsubnets % 2 ? ip_v4(0x0a010000) : ip_v6((const uint8_t[16]){ 0x20, 1, 0x0d, 0xb8 });
		unsigned int len = s->nsubnets % 2 ? 24 + s->nsubnets : 128 - 16 * s->nsubnets;

		s->subnets[s->nsubnets++] = prefix_of(&a, len);
	}
	assert_int_equal(request_again(&r, &back), 0);
	assert_memory_equal(s, &back.strangers, sizeof(*s));
	s->nsubnets = 2;
	s->subnets[1].len = 32;
	n = bfd_request_encode(&r, buf);
	assert_int_equal(buf[n - 1], 32); /* the last octet is the last length */
	assert_int_equal(bfd_request_decode(rd_make(buf + 4, n - 4), &back), 0);
	buf[n - 1] = 33;
	assert_int_equal(bfd_request_decode(rd_make(buf + 4, n - 4), &back), -EPROTO);
	s->max = 0;
	assert_int_equal(request_again(&r, &back), 0);
	assert_int_equal(back.strangers.ifindex, 9);
	assert_int_equal(back.strangers.max, 0);
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

/* ---- counters ---- */

static int
reply_again(const struct bfd_reply *r, struct bfd_reply *back)
{
	uint8_t buf[BFD_FRAME_MAX];
	struct rd rd = rd_make(buf, bfd_reply_encode(r, buf)), body;

	assert_int_equal(bfd_frame(&rd, &body), 1);
	assert_int_equal(rd_left(&rd), 0);
	return bfd_reply_decode(body, back);
}

static void
counters(void **state)
{
	struct bfd_path path = { .ifindex = 9, .local = ip_v4(1), .peer = ip_v4(2) };
	struct bfd_reply back, r = { .tell = BFD_TELL_COUNTER,
		.count = { .name = "hop-limit", .what = "hop limit is not 255", .value = UINT64_MAX, .port = "swp1" } };

	(void)state;
	assert_int_equal(reply_again(&r, &back), 0);
	assert_int_equal(back.tell, BFD_TELL_COUNTER);
	assert_string_equal(back.count.name, "hop-limit");
	assert_string_equal(back.count.what, "hop limit is not 255");
	assert_true(back.count.value == UINT64_MAX && !back.count.routine);
	assert_null(back.count.path); /* of bfdd: of no port */
	assert_string_equal(back.count.port, "");
	r.count.path = &path;
	r.count.routine = true;
	r.count.value = 0;
	assert_int_equal(reply_again(&r, &back), 0);
	assert_true(back.count.value == 0 && back.count.routine);
	assert_memory_equal(back.count.path, &path, sizeof(path));
	assert_string_equal(back.count.port, "swp1");
	r = (struct bfd_reply){ .tell = BFD_TELL_END, .counted_us = SECONDS(5) };
	assert_int_equal(reply_again(&r, &back), 0);
	assert_int_equal(back.counted_us, SECONDS(5));
}

/* Each text that the engine and its host have comes whole, in one frame. */
static void
check_text(void *arg, const struct bfd_count *count)
{
	struct bfd_reply back, r = { .tell = BFD_TELL_COUNTER, .count = *count };

	assert_int_equal(reply_again(&r, &back), 0);
	assert_string_equal(back.count.name, count->name);
	assert_string_equal(back.count.what, count->what);
	++*(unsigned int *)arg;
}

static void
texts_of_counters(void **state)
{
	struct mem mem = { 0 };
	struct sim_net *net = sim_net_new(&mem, 1);
	struct bfd_host_config cfg = { .rt = sim_node_new(net, "a"), .mem = &mem, .seed = 1 };
	struct bfd_host *host = bfd_host_new(&cfg);
	struct bfd_row row = { .port = "eth1", .view.path = { .ifindex = 1, .local = ip_v4(1), .peer = ip_v4(2) } };
	unsigned int n = 0;

	(void)state;
	bfd_host_counters(host, check_text, &n);
	assert_true(n > BFD_DROPS);
	bfd_row_counters(&row, check_text, &n);
	bfd_host_free(host);
	sim_net_free(net);
}

/* A bfdd that is newer, broken or another's: what may be read is read, and nothing is ever longer than its place. */
static void
odd_counters(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t n;
		int want;
		const char *name;
	} cases[] = {
		{ "without a name", "\x22\x02\x20\x07", 4, -EPROTO, NULL },
		{ "an empty one", "\x22\0", 2, -EPROTO, NULL },
		{ "a name of control characters", "\x22\x04\x0a\x02\x01\x02", 6, -EPROTO, NULL },
		{ "a name of digits and blanks",
		    "\x22\x06\x0a\x04"
		    "a 7b",
		    8, 0, "a--b" },
		{ "a field that is new",
		    "\x22\x07\x0a\x01"
		    "a"
		    "\x7a\x02zz",
		    9, 0, "a" },
		{ "a name that reaches past the end",
		    "\x22\x03\x0a\x09"
		    "a",
		    5, -EPROTO, NULL },
		{ "a value of eleven bytes",
		    "\x22\x0f\x0a\x01"
		    "a"
		    "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		    17, -EPROTO, NULL },
		{ "a path without addresses",
		    "\x22\x05\x0a\x01"
		    "a"
		    "\x2a\x00",
		    7, -EPROTO, NULL },
		{ "another kind of answer", "\x7a\x00", 2, -EPROTO, NULL },
	};
	/* A name of 1010 bytes, and words of 1003. */
	uint8_t big[BFD_FRAME_MAX] = { 0x22, 0xe3, 0x0f, 0x0a, 0xf2, 0x07 };
	struct bfd_reply back;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int got = bfd_reply_decode(rd_make(cases[i].bytes, cases[i].n), &back);

		if (got != cases[i].want || (!got && strcmp(back.count.name, cases[i].name) != 0))
			fail_msg("%s: %d", cases[i].what, got);
	}
	memset(big + 6, 'n', 1010);
	big[1016] = 0x12;
	big[1017] = 0xeb;
	big[1018] = 0x07;
	memset(big + 1019, 'w', 1003);
	assert_int_equal(bfd_reply_decode(rd_make(big, 2022), &back), 0);
	assert_int_equal(strlen(back.count.name), sizeof(back.name) - 1);
	assert_int_equal(strlen(back.count.what), sizeof(back.what) - 1);
}

/* What an older bfdd makes of the question is a list: what is asked beside that stands in a field that it passes over. */
static void
older_ends(void **state)
{
	struct bfd_request r = { .ask = BFD_ASK_LIST, .counters = true }, back;
	uint8_t buf[BFD_FRAME_MAX];

	(void)state;
	assert_int_equal(request_again(&r, &back), 0);
	assert_true(back.ask == BFD_ASK_LIST && back.counters);
	assert_int_equal(bfd_request_encode(&r, buf), 8);
	assert_memory_equal(buf, "\0\0\0\4\x1a\2\x08\1", 8); /* field 3: List, as ever */
	r.counters = false;
	assert_int_equal(bfd_request_encode(&r, buf), 6);
	assert_int_equal(bfd_request_decode(rd_make("\x1a\0", 2), &back), 0);
	assert_true(back.ask == BFD_ASK_LIST && !back.counters); /* of an older client */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(strangers),
		cmocka_unit_test(replies),
		cmocka_unit_test(frames),
		cmocka_unit_test(impossible),
		cmocka_unit_test(counters),
		cmocka_unit_test(texts_of_counters),
		cmocka_unit_test(odd_counters),
		cmocka_unit_test(older_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
