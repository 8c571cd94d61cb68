/* tests/unit/platform_linux/flows.h -- many flows from this namespace, and what left by which port; behind lab.h */
#ifndef TESTS_UNIT_PLATFORM_LINUX_FLOWS_H
#define TESTS_UNIT_PLATFORM_LINUX_FLOWS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/platform_linux/lab.h"

/* Packets that have left by a port. */
static inline long
sent(const char *port)
{
	const char *out = sh_read("ip -s link show %s", port);
	long bytes, packets = 0;

	out = strstr(out, "TX:");
	out = out ? strchr(out, '\n') : NULL;
	if (!out || sscanf(out, "%ld %ld", &bytes, &packets) != 2)
		fail_msg("no counters of %s", port);
	return packets;
}

/* One packet of each of so many flows, of either family, to 10.1.0.7 and 2001:db8:1::7. */
static inline void
send_flows(int flows)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	int s4 = socket(AF_INET, SOCK_DGRAM, 0), s6 = socket(AF_INET6, SOCK_DGRAM, 0);
	struct ip a;

	assert_true(s4 >= 0 && s6 >= 0);
	assert_true(ip_parse("10.1.0.7", &a));
	memcpy(&to4.sin_addr, a.b, 4);
	assert_true(ip_parse("2001:db8:1::7", &a));
	memcpy(&to6.sin6_addr, a.b, 16);
	for (int i = 0; i < flows; i++) {
		to4.sin_port = to6.sin6_port = htons((uint16_t)(1000 + i));
		(void)sendto(s4, "x", 1, 0, (struct sockaddr *)&to4, sizeof(to4));
		(void)sendto(s6, "x", 1, 0, (struct sockaddr *)&to6, sizeof(to6));
	}
	close(s4);
	close(s6);
}

#endif
