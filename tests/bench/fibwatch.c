/*
 * tests/bench/fibwatch.c -- when the forwarding tables of many network namespaces changed last, and what is in them
 *
 *   fibwatch NAMESPACE ...       one netlink listener per namespace; commands on stdin, a line of JSON for each:
 *     mark      forgets all counters and times
 *     stat      {"t", "spaces": {NAME: {"first", "last", "changes", "lost", "up", "down", "ups", "downs"}}}
 *     dump      {"t", "spaces": {NAME: {"4": {WIDTH: routes}, "6": {WIDTH: routes}}}}: what the kernel holds now
 *     (end of stdin ends the program)
 *
 * A change is a route or next-hop message of a routing daemon: what the kernel itself, the boot scripts or router
 * advertisements put there is left out. first and last are ns of CLOCK_MONOTONIC, taken when the message is read: the
 * program runs at real-time priority where it may, so that this is soon. While messages come in thousands it looks every
 * half millisecond instead of at each: else it takes three quarters of a CPU from what is measured, and the sender pays
 * for waking it; times are late by that much then. up and down: the latest carrier change of any port. lost: messages that the kernel dropped (the times are then still right, the count is not).
 *
 * dump counts unicast routes of daemons by the number of their paths, read from inline multipath or from the group.
 */
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include "tool.h"

#define WIDTHS   520
#define DROP     0x0fbb0000 /* fabricd's next hop that no packet takes: no path */
#define PORTS    16384
#define BUFFER   (1 << 20)

#define AT_ONCE  32                 /* datagrams read by one call */
#define DATAGRAM (BUFFER / AT_ONCE) /* the kernel makes none larger than 32 KiB */
#define NAP_NS   500000             /* between two looks while messages come in thousands */
#define MANY     64                 /* so many in a nap are a flood */

struct space {
	const char *name;
	int watch, ask; /* listener; socket for dumps */
	int64_t first, last, up, down;
	uint64_t changes, lost, ups, downs;
	int8_t running[PORTS]; /* by ifindex: 1 carrier, -1 none, 0 not known */
};

struct group {
	uint32_t id;
	uint16_t members;
};

static struct space *spaces;
static size_t nspaces;
static uint8_t *buffer;
static struct group *groups; /* of the namespace that is being dumped, sorted by id once it is whole */
static size_t ngroups, groups_cap;
static uint64_t widths[2][WIDTHS];

static bool
of_a_daemon(uint8_t protocol)
{
	return protocol > RTPROT_STATIC && protocol != RTPROT_RA;
}

static int
netlink_open(uint32_t mcast)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = mcast };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), size = 64 << 20, on = 1,
	    nh = RTNLGRP_NEXTHOP;

	if (fd < 0 || bind(fd, (void *)&sa, sizeof(sa)) < 0)
		die("netlink: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mcast && setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &nh, sizeof(nh)) < 0)
		die("next-hop events: %s", strerror(errno));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return fd;
}

/* ---- events ---- */

static void
carrier(struct space *s, const struct ifinfomsg *ifi, int64_t t)
{
	int8_t is = (ifi->ifi_flags & IFF_RUNNING) && (ifi->ifi_flags & IFF_LOWER_UP) ? 1 : -1;

	if (ifi->ifi_index <= 0 || ifi->ifi_index >= PORTS || s->running[ifi->ifi_index] == is)
		return;
	if (is > 0) {
		s->up = t;
		s->ups++;
	} else if (s->running[ifi->ifi_index]) {
		s->down = t;
		s->downs++;
	}
	s->running[ifi->ifi_index] = is;
}

static void
event(struct space *s, const struct nlmsghdr *h, int64_t t)
{
	const struct rtmsg *r = NLMSG_DATA(h);
	const struct nhmsg *n = NLMSG_DATA(h);
	bool counts = false;

	switch (h->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		counts = of_a_daemon(r->rtm_protocol) && !(r->rtm_flags & RTM_F_CLONED);
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		counts = of_a_daemon(n->nh_protocol);
		break;
	case RTM_NEWLINK:
		carrier(s, NLMSG_DATA(h), t);
		break;
	}
	if (!counts)
		return;
	if (!s->changes++)
		s->first = t;
	s->last = t;
}

/* Reads what is there, a handful of datagrams at a time; returns how many. */
static size_t
drain(struct space *s)
{
	struct iovec room[AT_ONCE];
	struct mmsghdr got[AT_ONCE];
	size_t total = 0;

	for (;;) {
		int64_t t;
		int n;

		for (int i = 0; i < AT_ONCE; i++) {
			room[i] = (struct iovec){ .iov_base = buffer + i * DATAGRAM, .iov_len = DATAGRAM };
			got[i].msg_hdr = (struct msghdr){ .msg_iov = &room[i], .msg_iovlen = 1 };
		}
		n = recvmmsg(s->watch, got, AT_ONCE, MSG_DONTWAIT, NULL);
		t = now_ns();
		if (n < 0 && errno == ENOBUFS) {
			s->lost++;
			s->last = t;
			continue;
		}
		for (int i = 0; i < n; i++) {
			int left = got[i].msg_len;

			for (struct nlmsghdr *h = room[i].iov_base; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
				event(s, h, t);
		}
		total += n > 0 ? n : 0;
		if (n < AT_ONCE)
			return total;
	}
}

/* ---- dumps ---- */

static void
dump_route(const struct nlmsghdr *h)
{
	const struct rtmsg *r = NLMSG_DATA(h);
	int len = RTM_PAYLOAD(h), legs;
	unsigned int width = 1;

	if (!of_a_daemon(r->rtm_protocol) || r->rtm_type != RTN_UNICAST || (r->rtm_flags & RTM_F_CLONED))
		return;
	for (const struct rtattr *a = RTM_RTA(r); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == RTA_MULTIPATH) {
			const struct rtnexthop *nh = RTA_DATA(a);

			for (legs = RTA_PAYLOAD(a), width = 0; RTNH_OK(nh, legs); nh = RTNH_NEXT(nh)) {
				width += !(nh->rtnh_flags & RTNH_F_DEAD);
				legs -= RTNH_ALIGN(nh->rtnh_len);
			}
		} else if (a->rta_type == RTA_NH_ID) {
			uint32_t id = *(const uint32_t *)RTA_DATA(a);

			for (size_t lo = 0, hi = ngroups; lo < hi;) {
				size_t mid = (lo + hi) / 2;

				if (groups[mid].id == id) {
					width = groups[mid].members;
					break;
				}
				if (groups[mid].id < id)
					lo = mid + 1;
				else
					hi = mid;
			}
			break; /* the legs, when the kernel adds them, say the same again */
		}
	}
	widths[r->rtm_family == AF_INET6][width < WIDTHS ? width : WIDTHS - 1]++;
}

static void
dump_nexthop(const struct nlmsghdr *h)
{
	const struct nhmsg *n = NLMSG_DATA(h);
	const struct rtattr *a = (const void *)((const char *)n + NLMSG_ALIGN(sizeof(*n)));
	struct group g = { 0 };

	for (int len = h->nlmsg_len - NLMSG_SPACE(sizeof(*n)); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == NHA_ID)
			g.id = *(const uint32_t *)RTA_DATA(a);
		if (a->rta_type == NHA_GROUP)
			for (size_t i = 0; i < RTA_PAYLOAD(a) / sizeof(struct nexthop_grp); i++)
				g.members += ((const struct nexthop_grp *)RTA_DATA(a))[i].id != DROP;
	}
	if (!g.members)
		return;
	if (ngroups == groups_cap) {
		groups_cap = groups_cap ? 2 * groups_cap : 1024;
		groups = take(realloc(groups, groups_cap * sizeof(*groups)));
	}
	groups[ngroups++] = g;
}

static void
ask(struct space *s, uint16_t type, uint8_t family, void (*each)(const struct nlmsghdr *))
{
	struct {
		struct nlmsghdr h;
		union {
			struct rtmsg r;
			struct nhmsg n;
		};
	} q = { 0 };

	q.h.nlmsg_type = type;
	q.h.nlmsg_len = NLMSG_LENGTH(type == RTM_GETROUTE ? sizeof(q.r) : sizeof(q.n));
	q.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	q.r.rtm_family = family; /* nhmsg has its family in the same first byte */
	if (send(s->ask, &q, q.h.nlmsg_len, 0) < 0)
		die("%s: dump: %s", s->name, strerror(errno));
	for (;;) {
		ssize_t n = recv(s->ask, buffer, BUFFER, 0);

		if (n <= 0)
			die("%s: dump: %s", s->name, strerror(errno));
		for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return;
			if (h->nlmsg_type == NLMSG_ERROR)
				die("%s: dump: %s", s->name, strerror(-((struct nlmsgerr *)NLMSG_DATA(h))->error));
			each(h);
		}
	}
}

static int
group_order(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void
dump(struct space *s)
{
	memset(widths, 0, sizeof(widths));
	ngroups = 0;
	ask(s, RTM_GETNEXTHOP, AF_UNSPEC, dump_nexthop);
	if (ngroups)
		qsort(groups, ngroups, sizeof(*groups), group_order);
	ask(s, RTM_GETROUTE, AF_INET, dump_route);
	ask(s, RTM_GETROUTE, AF_INET6, dump_route);
	for (int f = 0; f < 2; f++) {
		const char *comma = "";

		printf("%s\"%d\": {", f ? ", " : "", f ? 6 : 4);
		for (size_t w = 0; w < WIDTHS; w++)
			if (widths[f][w]) {
				printf("%s\"%zu\": %llu", comma, w, (unsigned long long)widths[f][w]);
				comma = ", ";
			}
		putchar('}');
	}
}

/* ---- commands ---- */

static void
command(const char *line)
{
	bool whole = !strcmp(line, "dump");

	for (size_t i = 0; i < nspaces; i++)
		drain(&spaces[i]);
	if (!strcmp(line, "mark"))
		for (size_t i = 0; i < nspaces; i++) {
			struct space *s = &spaces[i];

			s->first = s->last = s->up = s->down = 0;
			s->changes = s->lost = s->ups = s->downs = 0;
		}
	printf("{\"t\": %lld, \"spaces\": {", (long long)now_ns());
	for (size_t i = 0; i < nspaces; i++) {
		const struct space *s = &spaces[i];

		printf("%s\"%s\": {", i ? ", " : "", s->name);
		if (whole)
			dump(&spaces[i]);
		else
			printf("\"first\": %lld, \"last\": %lld, \"changes\": %llu, \"lost\": %llu, \"up\": %lld, "
			       "\"down\": %lld, "
			       "\"ups\": %llu, \"downs\": %llu",
			    (long long)s->first, (long long)s->last, (unsigned long long)s->changes,
			    (unsigned long long)s->lost, (long long)s->up, (long long)s->down,
			    (unsigned long long)s->ups, (unsigned long long)s->downs);
		putchar('}');
	}
	printf("}}\n");
	fflush(stdout);
}

/* Learns the carrier of each port now, so that the first change seen is a change. */
static struct space *learning;

static void
learn(const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = NLMSG_DATA(h);

	if (ifi->ifi_index > 0 && ifi->ifi_index < PORTS)
		learning->running[ifi->ifi_index] = (ifi->ifi_flags & IFF_LOWER_UP) ? 1 : -1;
}

static void
open_spaces(char **names, int epoll)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	spaces = take(calloc(nspaces, sizeof(*spaces)));
	for (size_t i = 0; i < nspaces; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i + 1 };
		struct space *s = &spaces[i];
		struct {
			struct nlmsghdr h;
			struct ifinfomsg ifi;
		} q = { 0 };
		ssize_t n;

		s->name = names[i];
		if (setns(home, CLONE_NEWNET) < 0)
			die("setns: %s", strerror(errno));
		enter_ns(s->name);
		s->watch = netlink_open(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_LINK);
		s->ask = netlink_open(0);
		q.h.nlmsg_type = RTM_GETLINK;
		q.h.nlmsg_len = sizeof(q);
		q.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		learning = s;
		if (send(s->ask, &q, sizeof(q), 0) < 0)
			die("%s: links: %s", s->name, strerror(errno));
		for (bool more = true; more;) {
			n = recv(s->ask, buffer, BUFFER, 0);
			if (n <= 0)
				die("%s: links: %s", s->name, strerror(errno));
			for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n))
				if (h->nlmsg_type == RTM_NEWLINK)
					learn(h);
				else
					more = false;
		}
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->watch, &ev) < 0)
			die("epoll: %s", strerror(errno));
	}
	close(home);
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 0 };
	struct sched_param sp = { .sched_priority = 4 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	size_t at = 0, read_now = 0;
	bool flood = false;
	int64_t window = 0;
	char line[64];

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (argc < 2)
		die("usage: fibwatch NAMESPACE ...");
	buffer = take(malloc(BUFFER));
	nspaces = argc - 1;
	open_spaces(argv + 1, epoll);
	epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &ev);
	sched_setscheduler(0, SCHED_FIFO, &sp); /* refused in a user namespace: times are then a little later */
	printf("{\"ready\": %zu}\n", nspaces);
	fflush(stdout);
	for (;;) {
		struct epoll_event got[64];
		int n = epoll_wait(epoll, got, 64, -1);
		int64_t t = now_ns();

		if (t - window > NAP_NS) {
			flood = read_now >= MANY;
			read_now = 0;
			window = t;
		}
		for (int i = 0; i < n; i++) {
			if (got[i].data.u32) {
				read_now += drain(&spaces[got[i].data.u32 - 1]);
				continue;
			}
			if (read(0, &line[at], 1) <= 0)
				return 0;
			if (line[at] == '\n') {
				line[at] = '\0';
				at = 0;
				command(line);
			} else if (++at == sizeof(line)) {
				die("a command is one word");
			}
		}
		if (flood)
			nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	}
}
