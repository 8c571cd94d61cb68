/*
 * fabricd/rib/attrs.h -- interned path attributes: equal bytes are one object
 *
 * The key is the canonical wire form: attributes in ascending type order, AS_PATH and AGGREGATOR with 4-octet AS
 * numbers, lengths minimal; without MP_REACH_NLRI, MP_UNREACH_NLRI, NEXT_HOP (next hops belong to the path, not to
 * its attributes), AS4_PATH and AS4_AGGREGATOR (merged, RFC 6793 4.2.3). fabricd/bgp makes that form; here the
 * bytes are only kept, counted and compared, beside the few values that the decision process needs.
 */
#ifndef FABRICD_RIB_ATTRS_H
#define FABRICD_RIB_ATTRS_H

#include <stdbool.h>
#include <stdint.h>

#include "fabricd/lib/buckets.h"
#include "fabricd/lib/mem.h"

enum attrs_flag {
	ATTRS_HAS_MED = 1 << 0,
	ATTRS_HAS_LOCAL_PREF = 1 << 1,
	ATTRS_LOOP = 1 << 2,              /* own AS in AS_PATH (RFC 4271 9.1.2) */
	ATTRS_GRACEFUL_SHUTDOWN = 1 << 3, /* 65535:0, RFC 8326 */
	ATTRS_BLACKHOLE = 1 << 4,         /* 65535:666, RFC 7999 */
	ATTRS_NO_EXPORT = 1 << 5,         /* 65535:65281 or 65535:65283 */
	ATTRS_NO_ADVERTISE = 1 << 6,      /* 65535:65282 */
	ATTRS_AGGREGATED = 1 << 7,        /* ATOMIC_AGGREGATE or AS_SET present */
	ATTRS_LLGR_STALE = 1 << 8,        /* 65535:6, RFC 9494: kept long after its neighbour went */
	ATTRS_NO_LLGR = 1 << 9,           /* 65535:7, RFC 9494: not to be kept like that */
};

/* What a decoded UPDATE says of its attributes; `wire` is only borrowed. */
struct attrs_view {
	const uint8_t *wire;
	uint16_t wire_len;
	uint16_t flags;     /* enum attrs_flag */
	uint8_t origin;     /* 0 IGP, 1 EGP, 2 INCOMPLETE */
	uint16_t path_len;  /* hops: an AS_SET counts one, confederation segments none (RFC 4271 9.1.2.2, RFC 5065) */
	uint32_t first_as;  /* leftmost of AS_PATH, 0: empty */
	uint32_t origin_as; /* rightmost, 0: empty or a set */
	uint32_t med, local_pref;
	uint32_t fate; /* how it came through the fabric: equal for prefixes that are cut off together; 0: no matter */
	uint16_t link_bandwidth_weight; /* relative weight from the link bandwidth community, 0: none */
};

struct attrs {
	struct attrs_view v;     /* v.wire points behind this struct */
	struct bucket_item item; /* counts the references */
};

struct attrs_table;

struct attrs_table *attrs_table_new(struct mem *, uint64_t seed);
/* Every reference must be given back before. NULL is allowed. */
void attrs_table_free(struct attrs_table *);
size_t attrs_table_count(const struct attrs_table *);

/* The one object with these bytes, with one more reference, which the caller gives back by attrs_unref(). */
struct attrs *attrs_intern(struct attrs_table *, const struct attrs_view *);
static inline struct attrs *
attrs_ref(struct attrs *a)
{
	a->item.refs++;
	return a;
}
void attrs_unref(struct attrs_table *, struct attrs *); /* NULL is allowed */

#endif
