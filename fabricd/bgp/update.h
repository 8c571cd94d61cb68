/*
 * fabricd/bgp/update.h -- an UPDATE from the wire to what it means, in one call that knows no peer and no node
 *
 *   body -> withdrawn routes | path attributes (attr.h) | NLRI -> sections with validated prefixes + one verdict
 *
 * Always true of the result: every iterator in it has been walked once and holds only well-formed prefixes of its
 * family; with a fate of WITHDRAW all that was announced stands among the withdrawn, and nothing is announced; with
 * RESET there are no sections at all, and the notice is set.
 */
#ifndef FABRICD_BGP_UPDATE_H
#define FABRICD_BGP_UPDATE_H

#include "fabricd/bgp/attr.h"

/* Prefixes that were checked already; copy it to walk it again. */
struct bgp_nlri {
	struct rd r;
	uint8_t family;
	uint32_t count;
};

struct bgp_reach {
	struct bgp_nlri nlri;
	struct bgp_next_hop next_hop;
};

struct bgp_update {
	enum bgp_fate fate; /* OK and DISCARD: go on; WITHDRAW: the same, what was announced is withdrawn */
	bool malformed;     /* as in struct bgp_attrs; worth a line */
	uint8_t bad_attr;   /* as in struct bgp_attrs */
	const char *why;    /* static; NULL when fate is OK */
	uint8_t ndiscarded;
	uint8_t discarded[BGP_DISCARDS];
	uint8_t end_of_rib; /* bit 1 << family */
	uint8_t nwithdrawn, nreach;
	struct bgp_nlri withdrawn[4]; /* to be handled before reach */
	struct bgp_reach reach[2];
	struct attrs_view attrs;  /* of all in reach; borrows from the scratch */
	struct bgp_notice notice; /* set only with RESET */
};

/* The next prefix; false at the end. */
static inline bool
bgp_nlri_next(struct bgp_nlri *n, struct prefix *p)
{
	const uint8_t *bytes;
	unsigned int len, whole;

	if (rd_done(&n->r))
		return false;
	len = rd_u8(&n->r);
	whole = (len + 7) / 8;
	bytes = rd_take(&n->r, whole);
	if (!bytes || whole > sizeof(p->b))
		return false;
	*p = (struct prefix){ .family = n->family, .len = (uint8_t)len };
	memcpy(p->b, bytes, whole);
	if (len % 8) /* RFC 4271 4.3: trailing bits are irrelevant */
		p->b[whole - 1] &= (uint8_t)(0xff00u >> (len % 8));
	return true;
}

/* Never fails; the outcome stands in *out, which borrows from the body and from the scratch. */
void bgp_update_parse(struct rd body, const struct bgp_update_opts *, struct bgp_scratch *, struct bgp_update *out);

#endif
