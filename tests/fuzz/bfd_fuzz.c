/*
 * BFD: packets, echo packets, and the messages of bfdd's clients, one after the other in one input
 *
 * Each record is a byte that says what it is and how it comes, a byte of length, and its bytes. A session with and one
 * without authentication listen, and strangers may speak. What never may happen: a dropped packet that changes a
 * session, an answer longer than a packet, more sessions than are allowed.
 */
#include <stdlib.h>
#include <string.h>

#include "bfd/client/protocol.h"
#include "tests/fuzz/bfd_ops.h"

static enum bfd_drop
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *p)
{
	(void)arg;
	(void)path;
	*p = (struct bfd_params){ .min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3 };
	return BFD_TAKEN;
}

static void
messages(const uint8_t *bytes, size_t n)
{
	struct bfd_request request, again;
	struct bfd_reply reply, same;
	uint8_t buf[BFD_FRAME_MAX];
	struct rd rd = rd_make(bytes, n), body;

	if (bfd_request_decode(rd, &request) == 0) {
		size_t len = bfd_request_encode(&request, buf);

		rd = rd_make(buf, len);
		must(bfd_frame(&rd, &body) == 1 && bfd_request_decode(body, &again) == 0 && again.ask == request.ask &&
			 again.id == request.id && strcmp(again.target.port, request.target.port) == 0,
		    "a request reads back the same");
	}
	rd = rd_make(bytes, n);
	if (bfd_reply_decode(rd, &reply) == 0) {
		size_t len = bfd_reply_encode(&reply, buf);

		rd = rd_make(buf, len);
		must(reply.tell != BFD_TELL_COUNTER ||
			 (bfd_frame(&rd, &body) == 1 && bfd_reply_decode(body, &same) == 0 &&
			     same.tell == BFD_TELL_COUNTER && same.count.value == reply.count.value &&
			     strcmp(same.count.name, reply.count.name) == 0 &&
			     strcmp(same.count.what, reply.count.what) == 0),
		    "a counter reads back the same");
	}
	rd = rd_make(bytes, n);
	while (bfd_frame(&rd, &body) == 1)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct bfd_engine_ops ops = {
		.send = on_send, .changed = on_changed, .random = on_random, .unsolicited = on_unsolicited
	};
	struct bfd_path plain = { .ifindex = 1, .local = ip_v4(1), .peer = ip_v4(2) }, keyed = plain;
	struct bfd_params params = {
		.min_tx_us = 50000, .min_rx_us = 50000, .multiplier = 3, .echo_us = 50000, .echo_rx_us = 50000
	};
	struct mono now = { SECONDS(1) };
	struct bfd_session *s[2];
	uint64_t random = 0; /* discriminators 1 and so on, so that an input can meet them */
	struct bfd_engine *e = bfd_engine_new(NULL, 1, &ops, &random);
	struct rd rd = rd_make(data, n);

	bfd_session_new(e, &plain, &params, now, &s[0]);
	keyed.ifindex = 2;
	params.auth = (struct bfd_auth){ .type = BFD_AUTH_SHA1, .nkeys = 1, .keys[0] = { 1, 1, "k" } };
	bfd_session_new(e, &keyed, &params, now, &s[1]);
	while (!rd_done(&rd)) {
		uint8_t how = rd_u8(&rd), len = rd_u8(&rd);
		size_t take = MIN_OF((size_t)len, rd_left(&rd));
		const uint8_t *bytes = rd_take(&rd, take);
		struct bfd_received r = { .bytes = bytes,
			.n = bytes ? take : 0,
			.src = ip_v4(2),
			.dst = ip_v4(1),
			.ifindex = 1 + (how & 3),
			.hop_limit = how & 4 ? 254 : 255,
			.multihop = how & 8,
			.at = now };
		struct bfd_view before, after;
		enum bfd_drop got;
		bool reflect;

		if (how & 0x80) {
			messages(bytes, r.n);
			continue;
		}
		bfd_session_view(s[0], &before);
		got = how & 0x10 ? bfd_engine_echo(e, &r, now, &reflect) : bfd_engine_receive(e, &r, now);
		bfd_session_view(s[0], &after);
		must(got == BFD_TAKEN || (before.state == after.state && before.last_rx.us == after.last_rx.us &&
					     before.remote_discr == after.remote_discr),
		    "what is dropped changes nothing");
		bfd_engine_run(e, now);
		now = mono_add(now, how & 0x20 ? MS(400) : MS(1));
		bfd_engine_run(e, now);
		must(bfd_engine_next(e).us > now.us, "it does not run for ever");
	}
	bfd_engine_free(e);
	return 0;
}
