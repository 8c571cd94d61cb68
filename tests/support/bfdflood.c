/*
 * tests/support/bfdflood.c -- as many UDP packets to one port as one thread can send, and how many those were
 *
 *   bfdflood PORT ADDRESS SECONDS junk|up|polls MY YOUR
 *
 * junk: random bytes; up: well-formed packets for sessions that do not exist; polls: P of the session with those two
 * discriminators, 50 ms x 3. From port 49152 on, with hop limit 255.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 128
#define BYTES 24

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
fill(unsigned char *p, const char *what, unsigned int my, unsigned int your)
{
	for (int i = 0; i < BYTES; i++)
		p[i] = (unsigned char)random();
	if (strcmp(what, "junk") == 0)
		return;
	p[0] = 0x20;
	p[1] = 0xc0;
	p[2] = 3;
	p[3] = 24;
	if (strcmp(what, "polls") == 0) {
		const unsigned int words[5] = { htonl(my), htonl(your), htonl(50000), htonl(50000), 0 };

		p[1] = 0xe8;
		memcpy(p + 4, words, sizeof(words));
	}
}

int
main(int argc, char **argv)
{
	static unsigned char bytes[BATCH][BYTES];
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(3784) };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), hops = 255;
	unsigned long long sent = 0;
	double end;

	if (argc != 7 || fd < 0 || inet_pton(AF_INET6, argv[2], &to.sin6_addr) != 1) {
		fputs("bfdflood PORT ADDRESS SECONDS junk|up|polls MY YOUR\n", stderr);
		return 2;
	}
	to.sin6_scope_id = if_nametoindex(argv[1]);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "bfdflood: %s\n", strerror(errno));
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		fill(bytes[i], argv[4], (unsigned int)strtoul(argv[5], NULL, 10),
		    (unsigned int)strtoul(argv[6], NULL, 10));
		iov[i] = (struct iovec){ bytes[i], BYTES };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (end = now() + atof(argv[3]); now() < end;) {
		int n = sendmmsg(fd, msgs, BATCH, 0);

		sent += n > 0 ? (unsigned int)n : 0;
	}
	printf("%llu\n", sent);
	return 0;
}
