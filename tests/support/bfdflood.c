/*
 * tests/support/bfdflood.c -- as many UDP packets to one port as can be sent, and how many those were
 *
 *   bfdflood PORT ADDRESS SECONDS junk|up|polls|begin|strangers MY YOUR [udp|frames|bunches [THREADS]]
 *
 * junk: random bytes; up: well-formed packets for sessions that do not exist; polls: P of the session with those two
 * discriminators, 50 ms x 3; begin: the first word of a neighbour, Down, that knows no discriminator of ours; strangers:
 * the same, in frames from addresses of nobody. With hop limit 255.
 *
 * udp: through a socket, 128 a call. frames: whole frames, past the queueing discipline, which is the fastest way for
 * packets of their own. bunches: 64 packets in one, which the kernel takes apart only where they arrive (UDP_SEGMENT): more
 * than any sender could bring about one by one. Address and MAC of the other end must belong together (EUI-64).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH   128
#define BYTES   24
#define HEADERS (14 + 40 + 8)
#define SEGMENT 103 /* UDP_SEGMENT, where the headers do not have it */
#define BUNCH   64
#define THREADS 16

struct flood {
	struct sockaddr_in6 from, to;
	struct sockaddr_ll port;
	const char *what, *how;
	unsigned int my, your;
	double end;
};

struct sender {
	const struct flood *flood;
	pthread_t thread;
	unsigned int seed;
	unsigned long long sent;
	int err;
};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
fill(unsigned char *p, const struct flood *f, unsigned int *seed)
{
	for (int i = 0; i < BYTES; i++)
		p[i] = (unsigned char)rand_r(seed);
	if (strcmp(f->what, "junk") == 0)
		return;
	p[0] = 0x20;
	p[1] = 0xc0;
	p[2] = 3;
	p[3] = BYTES;
	if (strcmp(f->what, "begin") == 0 || strcmp(f->what, "strangers") == 0) {
		p[1] = 0x40;
		memset(p + 8, 0, 4);
	}
	if (strcmp(f->what, "polls") == 0) {
		const unsigned int words[5] = { htonl(f->my), htonl(f->your), htonl(50000), htonl(50000), 0 };

		p[1] = 0xe8;
		memcpy(p + 4, words, sizeof(words));
	}
}

static unsigned int
sum_of(const void *bytes, size_t n, unsigned int sum)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i < n; i += 2)
		sum += (unsigned int)b[i] << 8 | b[i + 1];
	return sum;
}

/* Ethernet, IPv6 and UDP in front of what is said. */
static void
frame(unsigned char *p, const struct flood *f, const unsigned char *mac)
{
	const unsigned char *iid = f->to.sin6_addr.s6_addr + 8;
	const unsigned char to[6] = { iid[0] ^ 2, iid[1], iid[2], iid[5], iid[6], iid[7] };
	const unsigned short ports[3] = { f->from.sin6_port, f->to.sin6_port, htons(8 + BYTES) };
	unsigned int sum;

	memcpy(p, to, 6);
	memcpy(p + 6, mac, 6);
	memcpy(p + 12, "\x86\xdd\x60\0\0\0\0\x20\x11\xff", 10);
	memcpy(p + 22, &f->from.sin6_addr, 16);
	if (strcmp(f->what, "strangers") == 0)
		memcpy(p + 34, p + HEADERS + 4, 4); /* a random number, too */
	memcpy(p + 38, &f->to.sin6_addr, 16);
	memcpy(p + 54, ports, 6);
	memset(p + 60, 0, 2);
	sum = sum_of(p + 22, 32 + 8 + BYTES, 8 + BYTES + IPPROTO_UDP);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff ? ~sum & 0xffff : 0xffff;
	p[60] = (unsigned char)(sum >> 8);
	p[61] = (unsigned char)sum;
}

static int
open_udp(const struct flood *f, int segment)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), hops = 255;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) < 0 ||
	    (segment && setsockopt(fd, IPPROTO_UDP, SEGMENT, &segment, sizeof(segment)) < 0) ||
	    connect(fd, (const struct sockaddr *)&f->to, sizeof(f->to)) < 0)
		return -1;
	return fd;
}

static int
open_frames(const struct flood *f, unsigned char *mac)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	struct ifreq ifr = { 0 };

	if (fd < 0 || !if_indextoname((unsigned int)f->port.sll_ifindex, ifr.ifr_name) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&f->port, sizeof(f->port)) < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -1;
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	return fd;
}

static void *
run(void *arg)
{
	struct sender *s = arg;
	const struct flood *f = s->flood;
	bool frames = strcmp(f->how, "frames") == 0, bunches = strcmp(f->how, "bunches") == 0;
	size_t each = frames ? HEADERS + BYTES : bunches ? BUNCH * BYTES : BYTES;
	unsigned char mac[6] = { 0 }, *bytes = calloc(BATCH, each);
	int fd = frames ? open_frames(f, mac) : open_udp(f, bunches ? BYTES : 0);
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];

	if (fd < 0 || !bytes) {
		s->err = errno;
		return NULL;
	}
	for (int i = 0; i < BATCH; i++) {
		unsigned char *p = bytes + (size_t)i * each;

		for (size_t at = frames ? HEADERS : 0; at < each; at += BYTES)
			fill(p + at, f, &s->seed);
		if (frames)
			frame(p, f, mac);
		iov[i] = (struct iovec){ p, each };
		msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (now() < f->end) {
		int n = sendmmsg(fd, msgs, BATCH, 0);

		s->sent += (n > 0 ? (unsigned int)n : 0) * (bunches ? BUNCH : 1ull);
	}
	free(bytes);
	return NULL;
}

/* Where packets to the other end come from. */
static int
find_source(struct flood *f)
{
	int fd = open_udp(f, 0);
	socklen_t len = sizeof(f->from);

	return fd < 0 ? -1 : getsockname(fd, (struct sockaddr *)&f->from, &len);
}

int
main(int argc, char **argv)
{
	struct flood f = { .to = { .sin6_family = AF_INET6, .sin6_port = htons(3784) },
		.port = { .sll_family = AF_PACKET, .sll_protocol = htons(0x86dd) } };
	struct sender senders[THREADS] = { 0 };
	unsigned long long sent = 0;
	unsigned int n;

	if (argc < 7 || argc > 9 || inet_pton(AF_INET6, argv[2], &f.to.sin6_addr) != 1) {
		fputs("bfdflood PORT ADDRESS SECONDS junk|up|polls|begin|strangers MY YOUR [udp|frames|bunches "
		      "[THREADS]]\n",
		    stderr);
		return 2;
	}
	f.to.sin6_scope_id = if_nametoindex(argv[1]);
	f.port.sll_ifindex = (int)f.to.sin6_scope_id;
	f.what = argv[4];
	f.my = (unsigned int)strtoul(argv[5], NULL, 10);
	f.your = (unsigned int)strtoul(argv[6], NULL, 10);
	f.how = argc > 7 ? argv[7] : "udp";
	n = argc > 8 ? (unsigned int)strtoul(argv[8], NULL, 10) : 1;
	if (find_source(&f) < 0 || n < 1 || n > THREADS) {
		fprintf(stderr, "bfdflood: %s\n", strerror(errno));
		return 1;
	}
	f.end = now() + atof(argv[3]);
	for (unsigned int i = 0; i < n; i++) {
		senders[i] = (struct sender){ .flood = &f, .seed = i + 1 };
		if (pthread_create(&senders[i].thread, NULL, run, &senders[i]))
			return 1;
	}
	for (unsigned int i = 0; i < n; i++) {
		pthread_join(senders[i].thread, NULL);
		sent += senders[i].sent;
		if (senders[i].err) {
			fprintf(stderr, "bfdflood: %s\n", strerror(senders[i].err));
			return 1;
		}
	}
	printf("%llu\n", sent);
	return 0;
}
