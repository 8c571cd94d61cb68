/* fabricd/link/counters.c -- what is told of the counters of a port, and of the advertiser on the hosts' bridge */
#include "fabricd/link/advertiser.h"
#include "fabricd/link/impl.h"

/* RFC 4861 6.1 and 7.1: what a message must be, lest it is dropped silently. */
#define ND(owner, name, text, verdict)                                                                                 \
	{                                                                                                              \
		name, "ND dropped: " text, offsetof(owner, nd_dropped[verdict]), false                                 \
	}
#define ND_DROPPED(owner)                                                                                              \
	ND(owner, "nd-type", "none of RS, RA, NS, NA", ND_BAD_TYPE),                                                   \
	    ND(owner, "nd-short", "message too short", ND_BAD_SHORT),                                                  \
	    ND(owner, "nd-hop-limit", "hop limit is not 255, it may have come through a router", ND_BAD_HOP_LIMIT),    \
	    ND(owner, "nd-code", "code is not 0", ND_BAD_CODE),                                                        \
	    ND(owner, "nd-checksum", "checksum is wrong", ND_BAD_CHECKSUM),                                            \
	    ND(owner, "nd-source", "source address is not allowed", ND_BAD_SOURCE),                                    \
	    ND(owner, "nd-destination", "destination address is not allowed", ND_BAD_DEST),                            \
	    ND(owner, "nd-target", "target address is multicast", ND_BAD_TARGET),                                      \
	    ND(owner, "nd-option", "option of length zero", ND_BAD_OPTION),                                            \
	    ND(owner, "nd-truncated", "option reaches past the end", ND_BAD_TRUNCATED)

#define COUNTS(member) offsetof(struct link_counters, member)

static const struct counter port_list[] = {
	ND_DROPPED(struct link_counters),
	{ "nd-not-up", "ND dropped: the port is not up", COUNTS(nd_not_up), false },
	{ "rs-source", "RS not answered: its source address is not link-local", COUNTS(rs_source), false },
	{ "second-router", "RA or connection ignored: the port has another neighbour", COUNTS(ignored_routers), false },
	{ "connection", "connection refused: the port is not up, or the address not link-local",
	    COUNTS(refused_connections), false },
	{ "own-address", "our own address was another's source: the port was refused", COUNTS(own_seen), false },
	{ "neighbors-full", "neighbour not kept: the table of the port is full", COUNTS(table_full), false },
	{ "ra-held-back", "RA sent to all later, not to the neighbour at once: rate limit", COUNTS(held_back), false },
	{ "lldp-short", "LLDP dropped: frame too short", COUNTS(lldp_dropped[LLDP_BAD_SHORT]), false },
	{ "lldp-ethertype", "LLDP dropped: another EtherType", COUNTS(lldp_dropped[LLDP_BAD_ETHERTYPE]), false },
	{ "lldp-destination", "LLDP dropped: not sent to an LLDP group address", COUNTS(lldp_dropped[LLDP_BAD_DEST]),
	    false },
	{ "lldp-order", "LLDP dropped: chassis id, port id and TTL do not come first",
	    COUNTS(lldp_dropped[LLDP_BAD_ORDER]), false },
	{ "lldp-length", "LLDP dropped: wrong length of a TLV", COUNTS(lldp_dropped[LLDP_BAD_LENGTH]), false },
	{ "lldp-end", "LLDP dropped: End TLV is not empty", COUNTS(lldp_dropped[LLDP_BAD_END]), false },
	{ "lldp-not-up", "LLDP dropped: the port has no carrier", COUNTS(lldp_not_up), false },
	{ "rs-received", "RS received", COUNTS(rx_rs), true },
	{ "ra-received", "RA received", COUNTS(rx_ra), true },
	{ "ns-received", "NS received", COUNTS(rx_ns), true },
	{ "na-received", "NA received", COUNTS(rx_na), true },
	{ "lldp-received", "LLDP frames received", COUNTS(rx_lldp), true },
	{ "rs-sent", "RS sent", COUNTS(tx_rs), true },
	{ "ra-sent", "RA sent", COUNTS(tx_ra), true },
	{ "lldp-sent", "LLDP frames sent", COUNTS(tx_lldp), true },
	{ "transitions", "changes between up and not up", COUNTS(transitions), true },
};
/* All of them, but for the place of what was fine: ND_OK, LLDP_OK. */
_Static_assert(ARRAY_LEN(port_list) + 2 == sizeof(struct link_counters) / sizeof(uint64_t), "a counter is not told");

void
link_port_counters(const struct link_port *p, struct counters *out)
{
	*out = (struct counters){ .list = port_list, .n = ARRAY_LEN(port_list), .of = &p->counters };
}

static const struct counter advertiser_list[] = {
	ND_DROPPED(struct advertiser_counters),
	{ "nd-not-up", "ND dropped: the bridge is not up", offsetof(struct advertiser_counters, not_up), false },
	{ "second-router", "RA ignored: of another router on the hosts' bridge",
	    offsetof(struct advertiser_counters, other_routers), false },
	{ "rs-received", "RS received", offsetof(struct advertiser_counters, rx_rs), true },
	{ "ra-sent", "RA sent", offsetof(struct advertiser_counters, tx_ra), true },
};
_Static_assert(
    ARRAY_LEN(advertiser_list) + 1 == sizeof(struct advertiser_counters) / sizeof(uint64_t), "a counter is not told");

void
advertiser_describe(const struct advertiser *a, struct counters *out)
{
	*out = (struct counters){
		.list = advertiser_list, .n = ARRAY_LEN(advertiser_list), .of = advertiser_counters(a)
	};
}
