/*
 * fabricd/link/nd.h -- neighbour discovery messages: bytes to structs and back (RFC 4861 4, 6.1, 7.1)
 *
 * Pure. What is received has been through the checks that the RFC demands before anybody sees a struct nd_msg.
 */
#ifndef FABRICD_LINK_ND_H
#define FABRICD_LINK_ND_H

#include "fabricd/lib/ip.h"

enum nd_type { ND_RS = 133, ND_RA = 134, ND_NS = 135, ND_NA = 136 };

#define ND_MESSAGE_MAX 128 /* the longest message that nd_build_*() writes */

struct nd_msg {
	uint8_t type;        /* enum nd_type */
	uint8_t flags;       /* RA: M, O, ...; NA: R, S, O */
	uint8_t hop_limit;   /* RA: for the hosts' packets */
	uint16_t lifetime_s; /* RA: router lifetime */
	uint32_t reachable_ms, retrans_ms;
	struct ip target; /* NS, NA */
	bool has_mac;     /* source (RS, RA, NS) or target (NA) link-layer address option */
	uint8_t mac[6];
	uint32_t mtu;         /* RA: MTU option, 0: none */
	unsigned int options; /* how many there were */
};

/* Why a message was dropped; counters are kept by it. */
enum nd_verdict {
	ND_OK,
	ND_BAD_TYPE,      /* none of the four */
	ND_BAD_SHORT,     /* shorter than its fixed part */
	ND_BAD_HOP_LIMIT, /* not 255: it came through a router */
	ND_BAD_CODE,
	ND_BAD_CHECKSUM,
	ND_BAD_SOURCE, /* not link-local where it must be, or unspecified with a link-layer address */
	ND_BAD_DEST,
	ND_BAD_TARGET,    /* multicast */
	ND_BAD_OPTION,    /* length zero */
	ND_BAD_TRUNCATED, /* an option reaches past the end */
	ND_VERDICTS,
};
const char *nd_verdict_text(enum nd_verdict);

/*
 * Reads one ICMPv6 message from the type octet on. `dst` zero: destination not known, then neither it nor the checksum
 * is checked. out is filled only with ND_OK.
 */
enum nd_verdict nd_parse(
    const uint8_t *bytes, size_t n, const struct ip *src, const struct ip *dst, uint8_t hop_limit, struct nd_msg *out);

struct nd_router_advert {
	uint8_t hop_limit;
	uint8_t flags;
	uint16_t lifetime_s;
	uint32_t reachable_ms, retrans_ms;
	uint32_t mtu;       /* 0: no option */
	const uint8_t *mac; /* NULL: no option */
	/* The prefix that hosts may form addresses from; len 0: no option. */
	struct prefix on_link;
	uint32_t valid_s, preferred_s;
};

/* Write one message with checksum 0, which the kernel fills in. Return its length, 0 when there is no room. */
size_t nd_build_rs(uint8_t *out, size_t room, const uint8_t mac[6]);
size_t nd_build_ra(uint8_t *out, size_t room, const struct nd_router_advert *);

struct ip nd_all_nodes(void);   /* ff02::1 */
struct ip nd_all_routers(void); /* ff02::2 */
/* fe80:: with the modified EUI-64 of the MAC (RFC 4291 appendix A). */
struct ip nd_link_local(const uint8_t mac[6]);

#endif
