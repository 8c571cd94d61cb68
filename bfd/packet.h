/* bfd/packet.h -- the control packet of RFC 5880 4.1, from bytes and to bytes */
#ifndef BFD_PACKET_H
#define BFD_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bfd/state.h"

#define BFD_PACKET_MIN 24
#define BFD_PACKET_MAX 52 /* with the longest authentication section that we write (SHA1: 28) */

struct bfd_packet {
	uint8_t diag, state, multiplier; /* enum bfd_diag as sent, perhaps unknown; enum bfd_state */
	bool poll, final, independent, authenticated, demand;
	uint32_t my_discr, your_discr;
	uint32_t min_tx_us, min_rx_us, min_echo_us;
	/* Of a parsed packet: the section inside the bytes that were parsed, at least 2 bytes; NULL: none. */
	const uint8_t *auth;
	size_t auth_len;
};

/*
 * The rules of RFC 5880 6.8.6 that need no session. BFD_TAKEN, or the rule that the bytes break; then *out is not
 * to be used. n may exceed the length that the packet gives itself: what is behind it is not looked at.
 */
enum bfd_drop bfd_packet_parse(const uint8_t *bytes, size_t n, struct bfd_packet *out);

/*
 * Writes the 24 bytes, with the length field raised by auth_len for a section that the caller then fills in.
 * Returns the whole length. buf has BFD_PACKET_MAX bytes, auth_len is at most BFD_PACKET_MAX - 24.
 */
size_t bfd_packet_build(const struct bfd_packet *, size_t auth_len, uint8_t *buf);

#endif
