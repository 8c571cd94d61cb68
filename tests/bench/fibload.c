/*
 * tests/bench/fibload.c -- the bare cost of a kernel table: routes on one next-hop group, by nothing but netlink
 *
 *   fibload NAMESPACE PORT COUNT ADDRESS
 *                                 COUNT IPv4 routes (those of bgpload) on a group of one member out of PORT, with the
 *                                 attributes that fabricd's have: a metric, and ADDRESS, the loopback, as their source
 *
 * The floor for any routing daemon on the same machine: next-hop objects, batches of 128 messages per sendmsg, an
 * acknowledgement asked for on the last of each batch, nexthop_compat_mode=0. Prints {"routes", "add_ns", "delete_ns"}.
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include "tool.h"

#define BATCH    128
#define PROTOCOL 198
#define MEMBER   77001
#define GROUP    77002
#define METRIC   20

struct batch {
	uint8_t buf[BATCH * 128];
	size_t len;
	struct nlmsghdr *last;
};

static int nl;
static uint8_t source[4];

static struct nlmsghdr *
begin(struct batch *b, uint16_t type, uint16_t flags, const void *head, size_t n)
{
	struct nlmsghdr *h = (void *)(b->buf + b->len);

	memset(h, 0, NLMSG_SPACE(n));
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_len = NLMSG_LENGTH(n);
	memcpy(NLMSG_DATA(h), head, n);
	b->last = h;
	return h;
}

static void
attr(struct nlmsghdr *h, uint16_t type, const void *p, size_t n)
{
	struct rtattr *a = (void *)((uint8_t *)h + NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(n);
	memcpy(RTA_DATA(a), p, n);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_LENGTH(n);
}

/* Sends the batch and waits for its one acknowledgement; any refusal ends the program. */
static void
flush(struct batch *b)
{
	uint8_t answer[8192];
	ssize_t n;

	if (!b->len)
		return;
	b->last->nlmsg_flags |= NLM_F_ACK;
	if (send(nl, b->buf, b->len, 0) != (ssize_t)b->len)
		die("netlink: %s", strerror(errno));
	n = recv(nl, answer, sizeof(answer), 0);
	for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_ERROR && e->error)
			die("netlink: %s", strerror(-e->error));
	}
	b->len = 0;
}

static void
end(struct batch *b, const struct nlmsghdr *h, bool now)
{
	b->len += NLMSG_ALIGN(h->nlmsg_len);
	if (now || b->len + 128 > sizeof(b->buf))
		flush(b);
}

static void
group_setup(struct batch *b, uint32_t ifindex)
{
	struct nhmsg m = { .nh_family = AF_INET6, .nh_protocol = PROTOCOL }, g = { .nh_protocol = PROTOCOL };
	uint8_t gateway[16] = { 0xfe, 0x80, [15] = 0x77 };
	struct nexthop_grp member = { .id = MEMBER };
	uint32_t id = MEMBER;
	struct nlmsghdr *h = begin(b, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));

	attr(h, NHA_ID, &id, 4);
	attr(h, NHA_OIF, &ifindex, 4);
	attr(h, NHA_GATEWAY, gateway, 16);
	end(b, h, true);
	id = GROUP;
	h = begin(b, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_REPLACE, &g, sizeof(g));
	attr(h, NHA_ID, &id, 4);
	attr(h, NHA_GROUP, &member, sizeof(member));
	end(b, h, true);
}

static int64_t
routes(struct batch *b, uint32_t count, bool add)
{
	int64_t start = now_ns();
	uint32_t group = GROUP, metric = METRIC;

	for (uint32_t n = 0; n < count; n++) {
		uint8_t len;
		uint32_t a = load_prefix4(n, &len);
		uint8_t dst[4] = { a >> 24, a >> 16, a >> 8, a };
		struct rtmsg r = { .rtm_family = AF_INET,
			.rtm_protocol = PROTOCOL,
			.rtm_table = RT_TABLE_MAIN,
			.rtm_scope = add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
			.rtm_type = add ? RTN_UNICAST : RTN_UNSPEC };
		struct nlmsghdr *h;

		r.rtm_dst_len = len;
		h = begin(b, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &r, sizeof(r));
		attr(h, RTA_DST, dst, 4);
		attr(h, RTA_PRIORITY, &metric, 4);
		if (add) {
			attr(h, RTA_NH_ID, &group, 4);
			attr(h, RTA_PREFSRC, source, 4);
		}
		end(b, h, false);
	}
	flush(b);
	return now_ns() - start;
}

int
main(int argc, char **argv)
{
	static struct batch b;
	int64_t add, del;
	uint32_t count, ifindex;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (argc != 5 || inet_pton(AF_INET, argv[4], source) != 1)
		die("usage: fibload NAMESPACE PORT COUNT ADDRESS");
	enter_ns(argv[1]);
	count = strtoul(argv[3], NULL, 10);
	ifindex = if_nametoindex(argv[2]);
	if (!ifindex)
		die("no port %s", argv[2]);
	fd = open("/proc/sys/net/ipv4/nexthop_compat_mode", O_WRONLY);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		die("nexthop_compat_mode: %s", strerror(errno));
	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	group_setup(&b, ifindex);
	add = routes(&b, count, true);
	del = routes(&b, count, false);
	printf("{\"routes\": %u, \"add_ns\": %lld, \"delete_ns\": %lld}\n", count, (long long)add, (long long)del);
	return 0;
}
