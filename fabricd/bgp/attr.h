/*
 * fabricd/bgp/attr.h -- path attributes: rules, decoding into canonical form, text
 *
 * One table says of each attribute what it may look like and what happens when it does not (RFC 7606). The result
 * of decoding is the canonical form that fabricd/rib/attrs.h asks for, written into the caller's scratch.
 */
#ifndef FABRICD_BGP_ATTR_H
#define FABRICD_BGP_ATTR_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/bgp/message.h"
#include "fabricd/lib/ip.h"
#include "fabricd/lib/wire.h"
#include "fabricd/rib/attrs.h"

enum bgp_attr {
	BGP_ATTR_ORIGIN = 1,
	BGP_ATTR_AS_PATH,
	BGP_ATTR_NEXT_HOP,
	BGP_ATTR_MED,
	BGP_ATTR_LOCAL_PREF,
	BGP_ATTR_ATOMIC_AGGREGATE,
	BGP_ATTR_AGGREGATOR,
	BGP_ATTR_COMMUNITIES,
	BGP_ATTR_ORIGINATOR_ID,
	BGP_ATTR_CLUSTER_LIST,
	BGP_ATTR_MP_REACH = 14,
	BGP_ATTR_MP_UNREACH,
	BGP_ATTR_EXT_COMMUNITIES,
	BGP_ATTR_AS4_PATH,
	BGP_ATTR_AS4_AGGREGATOR,
	BGP_ATTR_PMSI_TUNNEL = 22,
	BGP_ATTR_TUNNEL_ENCAP,
	BGP_ATTR_TRAFFIC_ENGINEERING,
	BGP_ATTR_IPV6_EXT_COMMUNITIES,
	BGP_ATTR_AIGP,
	BGP_ATTR_PE_DISTINGUISHER,
	BGP_ATTR_LINK_STATE = 29,
	BGP_ATTR_LARGE_COMMUNITIES = 32,
	BGP_ATTR_BGPSEC_PATH,
	BGP_ATTR_ONLY_TO_CUSTOMER = 35,
	BGP_ATTR_DOMAIN_PATH,
	BGP_ATTR_SFP,
	BGP_ATTR_BFD_DISCRIMINATOR,
	BGP_ATTR_NEXT_HOP_CAPABILITIES,
	BGP_ATTR_PREFIX_SID,
	BGP_ATTR_ATTR_SET = 128,
	BGP_ATTR_DEVELOPMENT = 255,
};

enum bgp_attr_flag {
	BGP_FLAG_OPTIONAL = 0x80,
	BGP_FLAG_TRANSITIVE = 0x40,
	BGP_FLAG_PARTIAL = 0x20,
	BGP_FLAG_EXTENDED = 0x10,
};

enum bgp_segment { BGP_AS_SET = 1, BGP_AS_SEQUENCE, BGP_CONFED_SEQUENCE, BGP_CONFED_SET };

/* What becomes of an UPDATE, mildest first (RFC 7606 2). */
enum bgp_fate { BGP_FATE_OK, BGP_FATE_DISCARD, BGP_FATE_WITHDRAW, BGP_FATE_RESET, BGP_FATES };

const char *bgp_fate_name(enum bgp_fate f); /* "ok", "attribute discard", "treat as withdraw", "session reset" */

/* What the session has agreed upon, as far as a decoder must know. */
struct bgp_update_opts {
	uint32_t local_as;  /* for ATTRS_LOOP */
	uint32_t peer_as;   /* the leftmost AS of AS_PATH must be this (RFC 4271 6.3); 0: not checked */
	uint32_t caps;      /* what both sides have: enum bgp_cap; MP bits say which families may come */
	bool internal;      /* an IBGP session: LOCAL_PREF and the reflector's attributes count */
	bool keep_unknown;  /* unknown optional transitive attributes are kept, with Partial set; else dropped */
	bool link_local_ok; /* a link-local next hop makes sense: the peer is on this very link */
	struct ip
	    local; /* own address on the session: as a next hop it is refused; family as it is, zero: not checked */
};

#define BGP_DISCARDS 8

/*
 * Where the decoder keeps what does not fit on the stack, one per node: the canonical form of the UPDATE in hand.
 * Content is valid until the next parse with the same scratch.
 */
struct bgp_scratch {
	uint8_t wire[65536];
	uint8_t large[65536]; /* large communities without those that stand twice */
};

/* A next hop as it is carried, one or both addresses. */
struct bgp_next_hop {
	bool has_global, has_link_local;
	struct ip global;     /* IPv4 or IPv6 */
	struct ip link_local; /* fe80::/10 */
};

/* What the path attributes of one UPDATE say, and what is wrong with them; filled by bgp_attrs_parse(). */
struct bgp_attrs {
	struct attrs_view view; /* borrows from the scratch */
	bool has_origin, has_as_path, has_next_hop, has_mp_reach, has_mp_unreach;
	bool only_mp_unreach;           /* no attribute but this one */
	uint32_t next_hop;              /* host order */
	struct rd mp_reach, mp_unreach; /* values */
	enum bgp_fate fate;
	bool malformed;     /* something was wrong; a DISCARD of what we merely do not use is not */
	uint8_t subcode;    /* of an UPDATE message error, should it come to a NOTIFICATION */
	uint8_t bad_attr;   /* what the fate is about, 0: nothing in particular */
	struct rd bad;      /* that attribute with its header, as far as it is there */
	const char *why;    /* in words, static; NULL when fate is OK */
	uint8_t ndiscarded; /* how many were discarded; the first BGP_DISCARDS are named */
	uint8_t discarded[BGP_DISCARDS];
};

/*
 * Reads the path attributes of an UPDATE. `r` spans exactly the attributes. Sets all of *out. Missing mandatory
 * attributes, next hops and NLRI are not judged here, since they hang together (update.c).
 */
void bgp_attrs_parse(struct rd r, const struct bgp_update_opts *, struct bgp_scratch *, struct bgp_attrs *out);

/* Worse fate wins; the first reason of the worst fate stays. */
void bgp_attrs_condemn(
    struct bgp_attrs *, enum bgp_fate, uint8_t subcode, uint8_t attr, struct rd bad, const char *why);

const char *bgp_attr_name(uint8_t type); /* "ORIGIN"; "attribute" when we have no name: print the number beside it */

/* ---- writing ---- */

/* An attribute of unknown length: returns where it begins, for bgp_attr_end(), which takes the Extended Length bit back
 * when one octet of length is enough (RFC 4271 4.3). A buffer that is full stays as it is. */
size_t bgp_attr_begin(struct wr *, uint8_t flags, uint8_t type);
void bgp_attr_end(struct wr *, size_t begin);

/* ---- reading the canonical form ---- */

/* Walks attributes: false at the end. */
bool bgp_attr_next(struct rd *r, uint8_t *flags, uint8_t *type, struct rd *value);
/* The value of one attribute; false when it is not there. */
bool bgp_attr_find(const uint8_t *wire, size_t len, uint8_t type, struct rd *value);
#define BGP_LLGR_STALE 0xffff0006u /* RFC 9494 */
#define BGP_NO_LLGR    0xffff0007u

/* A canonical set with one community more, canonical again. Returns its length; 0: it does not fit. */
size_t bgp_attrs_with_community(const struct attrs_view *, uint32_t community, uint8_t *buf, size_t size);
/* The AS numbers of all segments in order, at most max; returns how many there are. */
size_t bgp_as_path_list(const uint8_t *wire, size_t len, uint32_t *out, size_t max);

/*
 * Texts of one attribute of a canonical set, "" when it is not there. Cut with "..." when size is short; always NUL
 * terminated; return buf. AS_PATH "65001 65002 {65003,65004} (65005)"; communities "65001:7 no-export";
 * large "1:2:3"; extended "rt:65001:7 bandwidth:65001:1250000000".
 */
char *bgp_as_path_text(const uint8_t *wire, size_t len, char *buf, size_t size);
char *bgp_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size);
char *bgp_large_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size);
char *bgp_ext_communities_text(const uint8_t *wire, size_t len, char *buf, size_t size);
/* "65001:7", "no-export", "graceful-shutdown", "blackhole". */
char *bgp_community_text(uint32_t community, char *buf, size_t size);
const char *bgp_origin_name(uint8_t origin); /* "IGP" */

/* Bytes per second of a link bandwidth community as the 16-bit relative weight of attrs_view: units of 100 Mb/s. */
uint16_t bgp_bandwidth_weight(float bytes_per_second);

#endif
