/*
 * bfd/auth.h -- keyed and meticulous keyed SHA1 (RFC 5880 4.4, 6.7.4)
 *
 * Simple passwords and MD5 are not here: the first protects nothing, the second is what SHA1 replaced.
 */
#ifndef BFD_AUTH_H
#define BFD_AUTH_H

#include "bfd/packet.h"

#define BFD_AUTH_LEN 28
#define BFD_KEY_MAX  20
#define BFD_KEYS     4

/* The values are those of the wire; 0: no authentication. */
enum bfd_auth_type { BFD_AUTH_NONE = 0, BFD_AUTH_SHA1 = 4, BFD_AUTH_SHA1_METICULOUS = 5 };

struct bfd_key {
	uint8_t id;
	uint8_t len; /* 1..20 */
	uint8_t bytes[BFD_KEY_MAX];
};

struct bfd_auth {
	uint8_t type; /* enum bfd_auth_type */
	uint8_t nkeys;
	struct bfd_key keys[BFD_KEYS]; /* the first signs; each is accepted, so that keys can be changed one by one */
};

/* What a session remembers (RFC 5880 6.8.1). */
struct bfd_auth_state {
	uint32_t sent;     /* bfd.XmitAuthSeq */
	uint32_t received; /* bfd.RcvAuthSeq */
	bool known;        /* bfd.AuthSeqKnown */
};

/* Whether a type and its keys can be used at all. */
bool bfd_auth_valid(const struct bfd_auth *);
/* Fills in the section behind the 24 bytes of a packet that bfd_packet_build() wrote with BFD_AUTH_LEN. */
void bfd_auth_sign(const struct bfd_auth *, struct bfd_auth_state *, uint8_t *packet);
/*
 * Judges the section of a parsed packet, whose bytes are given again. BFD_TAKEN: right, and the sequence number is
 * remembered; else nothing is. multiplier is that of the session (bfd.DetectMult).
 */
enum bfd_drop bfd_auth_check(const struct bfd_auth *, struct bfd_auth_state *, uint8_t multiplier,
    const struct bfd_packet *, const uint8_t *bytes);

/* SHA1 of n bytes (FIPS 180-4). */
void bfd_sha1(const uint8_t *bytes, size_t n, uint8_t out[20]);

#endif
