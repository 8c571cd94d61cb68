/*
 * fabricd/lib/ip.c -- see ip.h
 *
 * Text is read and written by the C library's inet_pton and inet_ntop, which do no I/O: the one use of
 * <arpa/inet.h> in a pure folder.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/ip.h"

const char *
family_name(enum family f)
{
	return f == FAMILY_IPV4 ? "ipv4" : "ipv6";
}

struct ip
ip_v4(uint32_t v)
{
	return (struct ip){ .family = FAMILY_IPV4,
		.b = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v } };
}

struct ip
ip_v6(const uint8_t bytes[16])
{
	struct ip a = { .family = FAMILY_IPV6 };

	memcpy(a.b, bytes, 16);
	return a;
}

uint32_t
ip_to_v4(const struct ip *a)
{
	if (a->family != FAMILY_IPV4)
		return 0;
	return (uint32_t)a->b[0] << 24 | (uint32_t)a->b[1] << 16 | (uint32_t)a->b[2] << 8 | a->b[3];
}

bool
ip_parse(const char *text, struct ip *out)
{
	*out = (struct ip){ .family = FAMILY_IPV4 };
	if (inet_pton(AF_INET, text, out->b) == 1)
		return true;
	*out = (struct ip){ .family = FAMILY_IPV6 };
	return inet_pton(AF_INET6, text, out->b) == 1;
}

char *
ip_print(const struct ip *a, char buf[IP_TEXT])
{
	if (!inet_ntop(a->family == FAMILY_IPV4 ? AF_INET : AF_INET6, a->b, buf, IP_TEXT))
		buf[0] = '\0';
	return buf;
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int
ip_cmp(const struct ip *a, const struct ip *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool
ip_is_zero(const struct ip *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

bool
ip_is_link_local(const struct ip *a)
{
	return a->family == FAMILY_IPV6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool
ip_is_multicast(const struct ip *a)
{
	return a->family == FAMILY_IPV6 ? a->b[0] == 0xff : (a->b[0] & 0xf0) == 0xe0;
}

bool
ip_is_loopback(const struct ip *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == FAMILY_IPV6 ? memcmp(a->b, one, sizeof(one)) == 0 : a->b[0] == 127;
}

struct prefix
prefix_of(const struct ip *a, unsigned int len)
{
	struct prefix p = { .family = a->family, .len = (uint8_t)MIN_OF(len, family_bits(a->family)) };
	unsigned int whole = p.len / 8, rest = p.len % 8;

	memcpy(p.b, a->b, whole);
	if (rest)
		p.b[whole] = (uint8_t)(a->b[whole] & (0xff00u >> rest));
	return p;
}

struct ip
prefix_addr(const struct prefix *p)
{
	struct ip a = { .family = p->family };

	memcpy(a.b, p->b, sizeof(a.b));
	return a;
}

bool
ip_len_parse(const char *text, struct ip *addr, unsigned int *len)
{
	char buf[IP_TEXT], *end;
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : 0;
	unsigned long v;

	if (!slash || n >= sizeof(buf))
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (!ip_parse(buf, addr))
		return false;
	if (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2] != '\0'))
		return false;
	v = strtoul(slash + 1, &end, 10);
	if (*end || v > family_bits(addr->family))
		return false;
	*len = (unsigned int)v;
	return true;
}

bool
prefix_parse(const char *text, struct prefix *out)
{
	struct ip a;
	unsigned int len;

	if (!ip_len_parse(text, &a, &len))
		return false;
	*out = prefix_of(&a, len);
	return memcmp(out->b, a.b, sizeof(a.b)) == 0;
}

char *
prefix_print(const struct prefix *p, char buf[PREFIX_TEXT])
{
	struct ip a = prefix_addr(p);
	size_t n;

	ip_print(&a, buf);
	n = strlen(buf);
	snprintf(buf + n, PREFIX_TEXT - n, "/%u", p->len);
	return buf;
}

bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int
prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int c = (int)a->family - (int)b->family;

	if (c == 0)
		c = memcmp(a->b, b->b, sizeof(a->b));
	return c ? c : (int)a->len - (int)b->len;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

bool
prefix_has(const struct prefix *p, const struct ip *a)
{
	return p->family == a->family && same_bits(p->b, a->b, p->len);
}

bool
prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->family == inner->family && outer->len <= inner->len && same_bits(outer->b, inner->b, outer->len);
}

bool
prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

bool
prefix_sub(const struct prefix *p, unsigned int len, uint64_t index, struct prefix *out)
{
	unsigned int room;

	if (len < p->len || len > family_bits(p->family))
		return false;
	room = len - p->len;
	if (room < 64 && index >> room)
		return false;
	*out = *p;
	out->len = (uint8_t)len;
	for (unsigned int bit = len; index; bit--, index >>= 1)
		if (index & 1)
			out->b[(bit - 1) / 8] |= (uint8_t)(0x80u >> ((bit - 1) % 8));
	return true;
}
