/*
 * fabricd/lib/ip.h -- addresses and prefixes of both families, as plain values
 *
 * Bytes are in network order; an IPv4 address uses the first four, the rest is zero. Both structs
 * have no padding and no spare bits, so equal values are equal bytes (memcmp and hashing are right).
 */
#ifndef FABRICD_LIB_IP_H
#define FABRICD_LIB_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

struct ip {
	uint8_t family; /* enum family */
	uint8_t b[16];
};

/* A network: bits past len are zero, always. */
struct prefix {
	uint8_t family;
	uint8_t len;
	uint8_t b[16];
};

#define IP_TEXT     46 /* room for any address as text, with the NUL */
#define PREFIX_TEXT 50

static inline unsigned int
family_bits(enum family f)
{
	return f == FAMILY_IPV4 ? 32 : 128;
}

static inline size_t
family_bytes(enum family f)
{
	return f == FAMILY_IPV4 ? 4 : 16;
}

const char *family_name(enum family f); /* "ipv4", "ipv6" */

struct ip ip_v4(uint32_t host_order);
struct ip ip_v6(const uint8_t bytes[16]);
uint32_t ip_to_v4(const struct ip *a);           /* host order; 0 for IPv6 */
bool ip_parse(const char *text, struct ip *out); /* exactly one address, nothing after it */
char *ip_print(const struct ip *a, char buf[IP_TEXT]);
bool ip_equal(const struct ip *a, const struct ip *b);
int ip_cmp(const struct ip *a, const struct ip *b);
bool ip_is_zero(const struct ip *a);
bool ip_is_link_local(const struct ip *a); /* fe80::/10 */
bool ip_is_multicast(const struct ip *a);
bool ip_is_loopback(const struct ip *a); /* 127.0.0.0/8, ::1 */

/* Network of `len` bits that holds the address; host bits are cleared. */
struct prefix prefix_of(const struct ip *a, unsigned int len);
/* Address bits as an address (the network's first address). */
struct ip prefix_addr(const struct prefix *p);
/* The address and the length as they stand in "10.0.0.1/24", host bits kept. */
bool ip_len_parse(const char *text, struct ip *addr, unsigned int *len);
/* A network in text; false when host bits are set or anything else is wrong. */
bool prefix_parse(const char *text, struct prefix *out);
char *prefix_print(const struct prefix *p, char buf[PREFIX_TEXT]);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
int prefix_cmp(const struct prefix *a, const struct prefix *b); /* family, address, length */
bool prefix_has(const struct prefix *p, const struct ip *a);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner); /* equal counts */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/*
 * Sub-network number `index` of length `len` inside p (len >= p->len; at most 64 bits of index).
 * False when index does not fit into len - p->len bits. prefix_sub(10.1.0.0/16, 24, 3) = 10.1.3.0/24;
 * prefix_sub(10.0.1.0/24, 32, 3) = 10.0.1.3/32.
 */
bool prefix_sub(const struct prefix *p, unsigned int len, uint64_t index, struct prefix *out);

#endif
