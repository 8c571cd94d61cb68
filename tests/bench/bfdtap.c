/*
 * tests/bench/bfdtap.c -- the last BFD packet that each end of a cable was still given
 *
 *   bfdtap NAMESPACE PORT ...     ports of the bridges inside the cables; commands on stdin, a line of JSON for each:
 *     stat      {"t", "ports": {PORT: {"last", "packets", "falls", "state", "multiplier", "tx_us", "rx_us"}}}
 *     (end of stdin ends the program)
 *
 * Only what leaves a port is counted: what the bridge hands out on port a reaches the switch that hangs on it, and what
 * it dropped is never seen here. Times are those of the kernel, turned into ns of CLOCK_MONOTONIC. tx_us and rx_us are
 * the Desired Min TX and Required Min RX intervals of the sender (RFC 5880 4.1), from which the detection time of
 * the receiver follows. falls: how often a packet said another state after one that said Up. A filter in the kernel keeps all other traffic away from this process.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "tool.h"

#define PORTS_MAX 128
#define BFD_PORT  3784
#define IP6_BYTES 40
#define UDP_BYTES 8
#define BFD_AT    (ETH_HLEN + IP6_BYTES + UDP_BYTES)
#define BFD_BYTES 24
#define BFD_UP    3 /* RFC 5880 4.1, Sta */

struct tap {
	const char *port;
	int64_t last;
	uint64_t packets, falls;
	unsigned int state, multiplier;
	uint32_t tx_us, rx_us;
};

static struct tap taps[PORTS_MAX];
static struct pollfd fds[PORTS_MAX + 1]; /* the last one is stdin */
static size_t ntaps;

static int
tap_open(const char *port)
{
	struct sock_filter code[] = {
		/* IPv6, next header UDP, destination port 3784: link-local sessions have no extension headers */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_HLEN + IP6_BYTES + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BFD_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 256),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(*code), .filter = code };
	/* only taps of all protocols see what goes out */
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	sa.sll_ifindex = (int)if_nametoindex(port);
	if (fd < 0 || !sa.sll_ifindex)
		die("port %s: %s", port, strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 || bind(fd, (void *)&sa, sizeof(sa)) < 0)
		die("port %s: %s", port, strerror(errno));
	return fd;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Kernel time stamps are of the wall clock; both clocks are read now, so that a step of the wall clock hardly matters. */
static int64_t
stamp(const struct msghdr *m)
{
	int64_t mono = now_ns(), wall;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	wall = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			return mono - (wall - (ts.tv_sec * 1000000000LL + ts.tv_nsec));
		}
	return mono;
}

static void
drain(struct tap *t, int fd)
{
	for (;;) {
		uint8_t buf[256], control[128];
		struct sockaddr_ll from;
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

		if (n < 0)
			return;
		if (from.sll_pkttype != PACKET_OUTGOING || n < BFD_AT + BFD_BYTES)
			continue;
		t->last = stamp(&m);
		t->packets++;
		t->falls += t->state == BFD_UP && buf[BFD_AT + 1] >> 6 != BFD_UP;
		t->state = buf[BFD_AT + 1] >> 6;
		t->multiplier = buf[BFD_AT + 2];
		t->tx_us = get32(buf + BFD_AT + 12);
		t->rx_us = get32(buf + BFD_AT + 16);
	}
}

static void
stat_print(void)
{
	for (size_t i = 0; i < ntaps; i++)
		drain(&taps[i], fds[i].fd);
	printf("{\"t\": %lld, \"ports\": {", (long long)now_ns());
	for (size_t i = 0; i < ntaps; i++) {
		const struct tap *t = &taps[i];

		printf("%s\"%s\": {\"last\": %lld, \"packets\": %llu, \"falls\": %llu, \"state\": %u, "
		       "\"multiplier\": %u, \"tx_us\": %u, \"rx_us\": %u}",
		    i ? ", " : "", t->port, (long long)t->last, (unsigned long long)t->packets,
		    (unsigned long long)t->falls, t->state, t->multiplier, t->tx_us, t->rx_us);
	}
	printf("}}\n");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char line[64];
	size_t at = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (argc < 3 || argc - 2 > PORTS_MAX)
		die("usage: bfdtap NAMESPACE PORT ... (at most %d)", PORTS_MAX);
	enter_ns(argv[1]);
	ntaps = argc - 2;
	for (size_t i = 0; i < ntaps; i++) {
		taps[i].port = argv[i + 2];
		fds[i] = (struct pollfd){ .fd = tap_open(argv[i + 2]), .events = POLLIN };
	}
	fds[ntaps] = (struct pollfd){ .fd = 0, .events = POLLIN };
	printf("{\"ready\": %zu}\n", ntaps);
	fflush(stdout);
	for (;;) {
		poll(fds, ntaps + 1, -1);
		for (size_t i = 0; i < ntaps; i++)
			if (fds[i].revents)
				drain(&taps[i], fds[i].fd);
		if (!fds[ntaps].revents)
			continue;
		if (read(0, &line[at], 1) <= 0)
			return 0;
		if (line[at] == '\n') {
			line[at] = '\0';
			at = 0;
			if (strcmp(line, "stat"))
				die("unknown command %s", line);
			stat_print();
		} else if (++at == sizeof(line)) {
			die("a command is one word");
		}
	}
}
