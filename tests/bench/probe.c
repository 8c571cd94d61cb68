/*
 * tests/bench/probe.c -- UDP flows from one namespace to another at a fixed spacing; which of them were lost
 *
 *   probe --from NS --to NS --spacing-us N --count N [--via NS/PORT] [--flows N] --flow ADDRESS ...
 *
 *   sender thread: each tick one datagram on every flow (flow, sequence) ----> receiver thread: marks it as seen
 *
 * One process holds the sockets of both ends, so nothing has to be correlated afterwards. The receiving namespace must
 * own the flows' addresses (a `local` route is enough: the sockets are bound to the wildcard address). A flow is a
 * fixed 5-tuple, so ECMP keeps it on one path as long as the paths do not change. The sender never catches up by a
 * burst: a late tick is sent at once and the following ones keep their own times, so a count of lost probes times the
 * spacing is the gap.
 *
 * Each address gets `flows` flows, of different source ports. With --via only flows that pass out of that port are
 * kept: each candidate sends a few datagrams and the port's counter tells. So a cut behind that port hits every flow.
 *
 * Prints one JSON object: per flow sent, lost, longest run of lost ones, times of the first and
 * the last lost one (ns of CLOCK_MONOTONIC, of its sending).
 */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include "tool.h"

#define PORT       9007
#define FLOWS      256
#define LINGER_NS  300000000LL /* how long the receiver waits after the last probe was sent */
#define TRIES      6           /* datagrams that tell whether a flow passes a port */
#define CANDIDATES 64
#define BATCH      64

struct flow {
	int fd;
	char address[64];
	unsigned int source_port;
	uint8_t *seen;
	int64_t *sent_at;
	uint32_t refused; /* sendmsg failed: no route at the sender; counts as lost */
};

struct datagram {
	uint32_t magic, flow, seq;
};

static struct flow flows[FLOWS];
static size_t nflows;
static uint32_t count = 1000, spacing_us = 500, per_address = 2, magic;
static int via = -1; /* netlink socket in the namespace of the port that every flow has to pass */
static unsigned int via_port;
static int rx[2];
static volatile bool sending = true;

/* "NAME/PORT" */
static void
via_open(const char *text)
{
	char name[128];
	const char *slash = strchr(text, '/');

	if (!slash || (size_t)(slash - text) >= sizeof(name))
		die("--via %s: want NS/PORT", text);
	memcpy(name, text, slash - text);
	name[slash - text] = '\0';
	enter_ns(name);
	via_port = if_nametoindex(slash + 1);
	via = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (!via_port || via < 0)
		die("--via %s: %s", text, strerror(errno));
}

static uint64_t
via_sent(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
	} q = { .h = { .nlmsg_type = RTM_GETLINK, .nlmsg_len = sizeof(q), .nlmsg_flags = NLM_F_REQUEST },
		.ifi = { .ifi_index = via_port } };
	static uint8_t buf[32768];
	const struct nlmsghdr *h = (void *)buf;
	ssize_t n;
	int len;

	if (send(via, &q, sizeof(q), 0) < 0 || (n = recv(via, buf, sizeof(buf), 0)) < 0)
		die("counters: %s", strerror(errno));
	len = (int)n - NLMSG_LENGTH(sizeof(q.ifi));
	for (const struct rtattr *a = IFLA_RTA(NLMSG_DATA(h)); h->nlmsg_type == RTM_NEWLINK && RTA_OK(a, len);
	     a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_STATS64) {
			struct rtnl_link_stats64 st;

			memcpy(&st, RTA_DATA(a), sizeof(st));
			return st.tx_packets;
		}
	die("no counters");
}

static void
flow_open(struct flow *f)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(f->source_port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(f->source_port) };
	bool v6 = strchr(f->address, ':');
	int on = 1;

	f->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(f->fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)) < 0)
		die("source port %u: %s", f->source_port, strerror(errno));
	f->seen = take(calloc(count, 1));
	f->sent_at = take(calloc(count, sizeof(*f->sent_at)));
}

/* Not connected: a connected socket would keep its route, and errors of one probe would be reported on the next. */
static void
flow_send(struct flow *f, uint32_t index, uint32_t seq)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct datagram d = { .magic = magic, .flow = index, .seq = seq };
	bool v6 = strchr(f->address, ':');

	inet_pton(v6 ? AF_INET6 : AF_INET, f->address, v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
	f->sent_at[seq] = now_ns();
	if (sendto(f->fd, &d, sizeof(d), MSG_DONTWAIT, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4)) <
	    0)
		f->refused++;
}

static bool
flow_passes(struct flow *f, uint32_t index)
{
	uint64_t before = via_sent();
	int64_t deadline = now_ns() + 20000000;

	for (int i = 0; i < TRIES; i++)
		flow_send(f, index, 0);
	while (now_ns() < deadline)
		if (via_sent() - before >= TRIES)
			return true;
	return false;
}

static void
flows_open(const char *address)
{
	static unsigned int source_port = 20000;

	for (unsigned int kept = 0, tried = 0; kept < per_address; tried++) {
		struct flow *f = &flows[nflows];

		if (nflows == FLOWS)
			die("at most %d flows", FLOWS);
		if (tried == CANDIDATES)
			die("none of %d flows to %s passes the port", CANDIDATES, address);
		snprintf(f->address, sizeof(f->address), "%s", address);
		f->source_port = source_port++;
		flow_open(f);
		if (via >= 0 && !flow_passes(f, nflows)) {
			close(f->fd);
			free(f->seen);
			free(f->sent_at);
			memset(f, 0, sizeof(*f));
			continue;
		}
		f->refused = 0;
		nflows++;
		kept++;
	}
}

/* Makes the road's neighbours known to each other before anything is counted: one flow after the other, since a kernel
 * keeps few packets while it resolves. */
static void
flows_warm(void)
{
	struct timespec pause = { .tv_nsec = 2000000 };

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < nflows; i++) {
			flow_send(&flows[i], (uint32_t)i, 0);
			flows[i].refused = 0;
			nanosleep(&pause, NULL);
		}
}

static void
receiver_open(void)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = in6addr_any };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int on = 1, size = 16 << 20;

	rx[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rx[1] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(rx[1], IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	for (int i = 0; i < 2; i++)
		if (setsockopt(rx[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(rx[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(rx[0], (void *)&a4, sizeof(a4)) < 0 || bind(rx[1], (void *)&a6, sizeof(a6)) < 0)
		die("port %d: %s", PORT, strerror(errno));
}

static void
receive_ready(int fd)
{
	struct datagram d[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr m[BATCH];
	int n;

	memset(m, 0, sizeof(m));
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ .iov_base = &d[i], .iov_len = sizeof(d[i]) };
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (m[i].msg_len == sizeof(d[i]) && d[i].magic == magic && d[i].flow < nflows && d[i].seq < count)
			flows[d[i].flow].seen[d[i].seq] = 1;
}

static void *
receiver(void *arg)
{
	int64_t end = 0;

	(void)arg;
	for (;;) {
		struct pollfd p[2] = { { .fd = rx[0], .events = POLLIN }, { .fd = rx[1], .events = POLLIN } };

		if (poll(p, 2, 20) > 0)
			for (int i = 0; i < 2; i++)
				if (p[i].revents)
					receive_ready(rx[i]);
		if (sending)
			continue;
		if (!end)
			end = now_ns() + LINGER_NS;
		if (now_ns() > end)
			return NULL;
	}
}

static void
send_all(void)
{
	int64_t start = now_ns() + 1000000, latest = 0;

	printf("{\"event\": \"start\", \"t\": %lld}\n", (long long)start);
	fflush(stdout);
	for (uint32_t seq = 0; seq < count; seq++) {
		int64_t due = start + (int64_t)seq * spacing_us * 1000, late;
		struct timespec ts = { .tv_sec = due / 1000000000LL, .tv_nsec = due % 1000000000LL };

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			;
		late = now_ns() - due;
		latest = late > latest ? late : latest;
		for (size_t i = 0; i < nflows; i++)
			flow_send(&flows[i], i, seq);
	}
	sending = false;
	printf("{\"event\": \"sent\", \"t\": %lld, \"worst_late_us\": %lld}\n", (long long)now_ns(),
	    (long long)(latest / 1000));
}

static void
report(void)
{
	printf("{\"event\": \"result\", \"spacing_us\": %u, \"count\": %u, \"flows\": [", spacing_us, count);
	for (size_t i = 0; i < nflows; i++) {
		const struct flow *f = &flows[i];
		uint32_t lost = 0, run = 0, longest = 0, first = 0, last = 0;

		for (uint32_t s = 0; s < count; s++) {
			run = f->seen[s] ? 0 : run + 1;
			longest = run > longest ? run : longest;
			if (f->seen[s])
				continue;
			if (!lost++)
				first = s;
			last = s;
		}
		printf("%s{\"to\": \"%s\", \"port\": %u, \"lost\": %u, \"run\": %u, \"refused\": %u, \"first\": %lld, "
		       "\"last\": %lld}",
		    i ? ", " : "", f->address, f->source_port, lost, longest, f->refused,
		    (long long)(lost ? f->sent_at[first] : 0), (long long)(lost ? f->sent_at[last] : 0));
	}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	const char *from = "", *to = "", *through = NULL, *addresses[FLOWS];
	size_t naddresses = 0;
	struct sched_param sp = { .sched_priority = 5 };
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--from"))
			from = value;
		else if (!strcmp(argv[i], "--to"))
			to = value;
		else if (!strcmp(argv[i], "--spacing-us"))
			spacing_us = strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "--count"))
			count = strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "--flows"))
			per_address = strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "--via"))
			through = value;
		else if (!strcmp(argv[i], "--flow") && naddresses < FLOWS)
			addresses[naddresses++] = value;
		else
			die("unknown option %s", argv[i]);
		i++;
	}
	if (!naddresses || !count || !spacing_us)
		die("usage: probe --from NS --to NS --spacing-us N --count N [--via NS/PORT] [--flows N] --flow "
		    "ADDRESS ...");
	magic = (uint32_t)now_ns() ^ (uint32_t)getpid() << 16;
	enter_ns(to);
	receiver_open();
	if (through)
		via_open(through);
	enter_ns(from);
	for (size_t i = 0; i < naddresses; i++)
		flows_open(addresses[i]);
	if (via < 0)
		flows_warm();
	sched_setscheduler(0, SCHED_FIFO, &sp); /* refused in a user namespace: probes are then later under load */
	if (pthread_create(&thread, NULL, receiver, NULL))
		die("no thread");
	send_all();
	pthread_join(thread, NULL);
	report();
	return 0;
}
