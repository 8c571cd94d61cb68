/*
 * fabricd/bgp/encode.h -- UPDATE messages, encoded once and written to many peers
 *
 *   canonical attributes + prefixes -> struct bgp_build -> struct bgp_batch (refcounted, whole framed messages)
 *                                                              -> each peer's queue, next hop patched as it is copied
 * out
 *
 * MP_REACH_NLRI, or NEXT_HOP for classic IPv4, is the first attribute, so that the next hop has a fixed place in the
 * message (RFC 7606 5.1 asks for that order too) and bgp_patch_next_hop() can set it per peer.
 */
#ifndef FABRICD_BGP_ENCODE_H
#define FABRICD_BGP_ENCODE_H

#include "fabricd/bgp/attr.h"
#include "fabricd/lib/mem.h"

/* Room that is left for the next hop; which one a peer needs follows from its session. */
enum bgp_next_hop_form {
	BGP_NH_IPV4,     /* 4 octets: NEXT_HOP, classic IPv4 */
	BGP_NH_IPV6,     /* 16 octets: one address, global or link-local */
	BGP_NH_IPV6_TWO, /* 32 octets: global and link-local; the link-local twice when there is no global (as FRR) */
	BGP_NH_NONE,     /* none that the peer would take: nothing of the family can be announced to it */
};

/* What peers must have in common to share encoded messages. Compare field by field, or zero it before filling. */
struct bgp_encode_opts {
	uint32_t local_as;        /* prepended */
	uint8_t prepend;          /* how many times; 0 only for internal */
	bool internal;            /* IBGP: nothing prepended, LOCAL_PREF and MED kept */
	bool as4;                 /* 4-octet AS negotiated; else AS_TRANS and AS4_PATH (RFC 6793 4.2.2) */
	bool long_lived;          /* it knows what the community LLGR_STALE means (RFC 9494 4.5) */
	bool extended;            /* messages of up to 65,535 octets */
	bool keep_local_extended; /* non-transitive extended communities go along (RFC 4360 6 removes them) */
	bool has_med;
	uint32_t med;               /* MED to send; otherwise none is sent to external peers */
	bool add_graceful_shutdown; /* append community 65535:0 */
	uint8_t form[FAMILIES];     /* enum bgp_next_hop_form */
};

/* Whole messages that many peers share. Immutable once it is taken from a builder. */
struct bgp_batch {
	uint32_t refs;
	uint32_t messages;
	uint32_t announced[FAMILIES], withdrawn[FAMILIES]; /* prefixes in it */
	size_t len;
	struct mem *mem;
	uint8_t bytes[];
};

static inline struct bgp_batch *
bgp_batch_ref(struct bgp_batch *b)
{
	b->refs++;
	return b;
}
void bgp_batch_unref(struct bgp_batch *); /* NULL is allowed */

/*
 * The builder: begin with reach or unreach, add prefixes, begin the next; take what has been built. Prefixes are
 * packed into as few messages as they need.
 */
struct bgp_build;

struct bgp_build *bgp_build_new(struct mem *, const struct bgp_encode_opts *);
void bgp_build_free(struct bgp_build *); /* NULL is allowed; drops what was not taken */

/*
 * Prefixes that follow are announced with these attributes. -EMSGSIZE: the set leaves no room for a prefix in a
 * message of this peer (or cannot be expressed); nothing was begun, and prefixes must not follow.
 */
int bgp_build_reach(struct bgp_build *, enum family, const struct attrs_view *);
/* Prefixes that follow are withdrawn: classic withdrawn routes when form is BGP_NH_IPV4, else MP_UNREACH_NLRI. */
void bgp_build_unreach(struct bgp_build *, enum family);
/* p has the family that was begun. */
void bgp_build_prefix(struct bgp_build *, const struct prefix *p);
void bgp_build_end_of_rib(struct bgp_build *, enum family);
/* Bytes built so far: take before they grow past what a queue should hold. */
size_t bgp_build_bytes(const struct bgp_build *);
/* Ends the message in hand and gives all of it away with one reference; NULL when there is nothing. */
struct bgp_batch *bgp_build_take(struct bgp_build *);

/*
 * Attributes as they go out to such a peer, without next hop and NLRI: own AS in front, what must not leave removed,
 * AS4_PATH for old peers. Returns their length, or -EMSGSIZE. What bgp_build_reach() sends, for `advertised` views.
 */
int bgp_attrs_out(const struct bgp_encode_opts *, const struct attrs_view *, uint8_t *buf, size_t size);

/*
 * Sets the next hop of one message in place, in the form that it has room for. Withdrawals and other messages are
 * left alone. False: nh has no address that fits (a 16 or 32 octet slot and only an IPv4 address, or the reverse).
 */
bool bgp_patch_next_hop(uint8_t *msg, size_t len, const struct bgp_next_hop *nh);
/* Where the next hop of a message stands: offset, with *n octets; 0 when it has none. */
size_t bgp_next_hop_slot(const uint8_t *msg, size_t len, size_t *n, enum family *f);

#endif
