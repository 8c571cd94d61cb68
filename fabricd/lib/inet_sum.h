/* fabricd/lib/inet_sum.h -- the Internet checksum over ICMPv6 with its pseudo-header (RFC 1071, RFC 8200 8.1). */
#ifndef FABRICD_LIB_INET_SUM_H
#define FABRICD_LIB_INET_SUM_H

#include "fabricd/lib/ip.h"
#include "fabricd/lib/wire.h"

static inline uint32_t
inet_sum_add(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (; n > 1; bytes += 2, n -= 2) {
		sum += get_u16(bytes);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (n) {
		sum += (uint32_t)bytes[0] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/*
 * Over a message whose checksum field is as it is: 0 when that field is right. With the field zero it gives what
 * belongs into it.
 */
static inline uint16_t
icmp6_sum(const struct ip *src, const struct ip *dst, const uint8_t *bytes, size_t n)
{
	uint8_t tail[8] = { 0, 0, 0, 0, 0, 0, 0, 58 }; /* upper-layer length, next header ICMPv6 */
	uint32_t sum;

	put_u32(tail, (uint32_t)n);
	sum = inet_sum_add(0, src->b, 16);
	sum = inet_sum_add(sum, dst->b, 16);
	sum = inet_sum_add(sum, tail, sizeof(tail));
	sum = inet_sum_add(sum, bytes, n);
	return (uint16_t)~sum;
}

#endif
