/*
 * tests/fuzz/bgp_open_fuzz.c -- any bytes as the body of an OPEN, of a NOTIFICATION and of a ROUTE-REFRESH
 *
 * Promises: what is accepted can be written and reads back the same; names and texts are printable.
 */

#include "fabricd/bgp/message.h"
#include "tests/fuzz/fuzz.h"

static void
try_open(const uint8_t *bytes, size_t n)
{
	struct bgp_open o, back;
	struct bgp_notice err = { 0 };
	struct bgp_message m;
	uint8_t buf[BGP_MAX];
	struct wr w = wr_make(buf, sizeof(buf));
	uint32_t ours = BGP_CAP_MP | BGP_CAP_REFRESH | BGP_CAP_IPV4_OVER_IPV6 | BGP_CAP_EXTENDED_MESSAGE | BGP_CAP_AS4 |
			BGP_CAP_ENHANCED_REFRESH | BGP_CAP_HOSTNAME | BGP_CAP_ROLE;

	if (!bgp_open_parse(rd_make(bytes, n), &o, &err)) {
		must(err.code == BGP_ERR_OPEN, "a refusal has a NOTIFICATION");
		return;
	}
	must_print(o.hostname);
	must_print(o.domain);
	must(o.asn && o.id && o.hold_s != 1 && o.hold_s != 2, "what is accepted is sound");
	must(o.caps & BGP_CAP_MP || !o.bare, "IPv4 unicast when nothing is said");
	if (o.asn > 65535)
		o.caps |= BGP_CAP_AS4;
	bgp_open_write(&w, &o);
	must(!w.full && bgp_frame(buf, wr_len(&w), false, &m, &err) == BGP_FRAME_WHOLE, "it can be written");
	must(bgp_open_parse(m.body, &back, &err), "and read back");
	must(back.asn == o.asn && back.id == o.id && back.hold_s == o.hold_s, "with the same values");
	if (o.caps & BGP_CAP_MP)
		must((back.caps & ours) == (o.caps & ours), "and capabilities");
}

static void
try_notice(const uint8_t *bytes, size_t n)
{
	struct bgp_notice notice, back;
	struct bgp_message m;
	uint8_t buf[BGP_MAX];
	struct wr w = wr_make(buf, sizeof(buf));
	char text[BGP_NOTICE_TEXT], small[20];

	if (!bgp_notice_parse(rd_make(bytes, n), &notice))
		return;
	bgp_notice_text(&notice, text, sizeof(text));
	must_print(text);
	must_print(bgp_notice_text(&notice, small, sizeof(small)));
	bgp_notice_write(&w, &notice);
	must(bgp_frame(buf, wr_len(&w), false, &m, &back) == BGP_FRAME_WHOLE && bgp_notice_parse(m.body, &back),
	    "read back");
	must(back.code == notice.code && back.len == notice.len, "with the same values");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct bgp_message m = { .type = BGP_ROUTE_REFRESH, .len = (uint16_t)n, .start = bytes };
	struct bgp_refresh_message r;
	struct bgp_notice err;

	try_open(bytes, n);
	try_notice(bytes, n);
	if (n >= BGP_HEADER && n <= BGP_MAX_EXTENDED) {
		m.body = rd_make(bytes + BGP_HEADER, n - BGP_HEADER);
		bgp_refresh_parse(&m, bytes[0] & 1, &r, &err);
	}
	return 0;
}
