/* bfd/packet.c -- the control packet of RFC 5880 4.1 */
#include "bfd/packet.h"

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

#define VERSION 1

enum { BIT_POLL = 0x20, BIT_FINAL = 0x10, BIT_C = 0x08, BIT_AUTH = 0x04, BIT_DEMAND = 0x02, BIT_MULTIPOINT = 0x01 };

enum bfd_drop
bfd_packet_parse(const uint8_t *bytes, size_t n, struct bfd_packet *out)
{
	struct rd r = rd_make(bytes, n), auth;
	uint8_t first = rd_u8(&r), flags = rd_u8(&r), multiplier = rd_u8(&r), length = rd_u8(&r);

	if (r.bad)
		return BFD_DROP_SHORT;
	if (first >> 5 != VERSION)
		return BFD_DROP_VERSION;
	if (length < BFD_PACKET_MIN + ((flags & BIT_AUTH) ? 2 : 0))
		return BFD_DROP_LENGTH_SMALL;
	if (length > n)
		return BFD_DROP_LENGTH_LARGE;
	if (multiplier == 0)
		return BFD_DROP_MULTIPLIER;
	if (flags & BIT_MULTIPOINT)
		return BFD_DROP_MULTIPOINT;
	*out = (struct bfd_packet){ .diag = first & 0x1f,
		.state = flags >> 6,
		.multiplier = multiplier,
		.poll = flags & BIT_POLL,
		.final = flags & BIT_FINAL,
		.independent = flags & BIT_C,
		.authenticated = flags & BIT_AUTH,
		.demand = flags & BIT_DEMAND };
	out->my_discr = rd_u32(&r);
	out->your_discr = rd_u32(&r);
	out->min_tx_us = rd_u32(&r);
	out->min_rx_us = rd_u32(&r);
	out->min_echo_us = rd_u32(&r);
	auth = rd_sub(&r, (size_t)length - BFD_PACKET_MIN);
	if (r.bad)
		return BFD_DROP_SHORT;
	if (out->my_discr == 0)
		return BFD_DROP_MY_DISCR;
	if (out->your_discr == 0 && out->state != BFD_DOWN && out->state != BFD_ADMIN)
		return BFD_DROP_STATE;
	if (out->authenticated) {
		out->auth_len = rd_left(&auth);
		out->auth = rd_take(&auth, out->auth_len);
	}
	return BFD_TAKEN;
}

size_t
bfd_packet_build(const struct bfd_packet *p, size_t auth_len, uint8_t *buf)
{
	struct wr w = wr_make(buf, BFD_PACKET_MIN);
	unsigned int flags = (unsigned int)p->state << 6;

	flags |= (p->poll ? BIT_POLL : 0u) | (p->final ? BIT_FINAL : 0u) | (p->independent ? BIT_C : 0u) |
		 (auth_len ? BIT_AUTH : 0u) | (p->demand ? BIT_DEMAND : 0u);
	wr_u8(&w, (uint8_t)(VERSION << 5 | (p->diag & 0x1f)));
	wr_u8(&w, (uint8_t)flags);
	wr_u8(&w, p->multiplier);
	wr_u8(&w, (uint8_t)(BFD_PACKET_MIN + auth_len));
	wr_u32(&w, p->my_discr);
	wr_u32(&w, p->your_discr);
	wr_u32(&w, p->min_tx_us);
	wr_u32(&w, p->min_rx_us);
	wr_u32(&w, p->min_echo_us);
	return BFD_PACKET_MIN + auth_len;
}
