/*
 * platform/linux/carrier.c -- word of a lost carrier while the kernel is still clearing up behind it
 *
 * The kernel tells of a lost carrier (RTM_NEWLINK) only after it has looked at every IPv6 route of the namespace, 0.3 us
 * each. Before that it flushes the port's neighbours of IPv4, and says so at once:
 *
 *   carrier lost -> next hops of the port deleted -> neighbours flushed: RTM_DELNEIGH -> IPv6 routes walked -> RTM_NEWLINK
 *                                                          |
 *        our entry, 192.0.0.8 on each routed port  <-------+--> is the port running? no -> the loss is told now
 *
 * The address is the dummy of RFC 7600, which is nobody's and to which nothing is ever sent. A filter on the socket keeps
 * all other neighbours away, of which a switch with many hosts hears all day.
 *
 * Always true: RTM_NEWLINK alone would do, it is only later. A loss is told once, by the first of the two. What was told
 * before the flush has been read before the loss is told, and until RTM_NEWLINK the kernel tells nothing else of the port,
 * since it holds the lock of all changes (RTNL). An entry that another program deletes is set again; that of a port that
 * is no longer routed goes with its next loss of carrier.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "platform/linux/internal.h"

#define DUMMY 0xc0000008u /* 192.0.0.8 */

static const struct ip dummy = { .family = FAMILY_IPV4, .b = { 192, 0, 0, 8 } };

/* Classic BPF loads in network order, netlink writes in host order: so the constants are turned, but for the address. */
static int
filter_set(struct nl_sock *sock)
{
	enum { TYPE = 4, FAMILY = 16, ATTRIBUTE = 16 + 12 + 2, ADDRESS = 16 + 12 + 4 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEIGH), 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FAMILY),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ATTRIBUTE), /* the kernel writes the address first */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NDA_DST), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ADDRESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DUMMY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };

	return setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

int
linux_carrier_open(struct linux_platform *lp, char *err, size_t errlen)
{
	int e;

	lp->flushed = linux_socket(lp, CMD_BUFFER, err, errlen);
	if (!lp->flushed)
		return -EIO;
	e = filter_set(lp->flushed);
	if (e) {
		snprintf(err, errlen, "netlink socket filter: %s", strerror(-e));
		return e;
	}
	e = nl_socket_add_memberships(lp->flushed, RTNLGRP_NEIGH, 0);
	if (e < 0) {
		snprintf(err, errlen, "netlink events of neighbours: %s", nl_geterror(e));
		return -EIO;
	}
	return 0;
}

/* NOARP: valid without a word on the wire, and yet flushed with the carrier, as a permanent one is not. */
void
linux_carrier_watch(struct linux_platform *lp, const struct port *port)
{
	char text[160];
	int err;

	if (!port->routed || port->p.gone)
		return;
	linux_neighbour_begin(lp, port->p.ifindex, &dummy, NUD_NOARP);
	nl_put(&lp->out, NDA_LLADDR, port->p.mac, sizeof(port->p.mac)); /* its own: a frame to it is nobody's */
	nl_put(&lp->out, NDA_PROTOCOL, &lp->protocol, 1);
	err = linux_request(lp, text, sizeof(text));
	if (err && err != -ENODEV && !lp->unwatched)
		linux_problem(lp,
		    "port %s: neighbour entry 192.0.0.8 cannot be set: %s%s%s; without it, the loss of its carrier is "
		    "told the later the more IPv6 routes there are",
		    port->p.name, strerror(-err), text[0] ? ": " : "", text);
	lp->unwatched = err && err != -ENODEV;
}

/* RFC 2863: not running is not up, or without carrier. Asked without RTNL, which whoever flushes holds. */
static bool
is_running(const struct linux_platform *lp, const char *name)
{
	struct ifreq req = { 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	if (lp->ioctl_fd < 0)
		return true;
	if (ioctl(lp->ioctl_fd, SIOCGIFFLAGS, &req))
		return errno != ENODEV;
	return req.ifr_flags & IFF_RUNNING;
}

static bool
flushed(void *arg, const struct nl_in *in)
{
	struct linux_platform *lp = arg;
	struct port *port;
	uint32_t ifindex;

	if (!nl_parse_neigh(in, &ifindex)) {
		lp->count.malformed++;
		return true;
	}
	port = linux_port_find(lp, ifindex);
	if (!port || !port->routed || !port->p.carrier) /* RTM_NEWLINK was first */
		return true;
	if (!is_running(lp, port->p.name)) {
		lp->count.early++;
		linux_port_dark(lp, port);
		return true;
	}
	lp->count.foreign++;
	linux_carrier_watch(lp, port);
	return true;
}

void
linux_carrier_ready(void *arg, unsigned int what)
{
	struct linux_platform *lp = arg;
	int got = 1;

	linux_links_ready(lp, what); /* what is older than the flush must not be taken for newer */
	for (int budget = 64; budget && got > 0; budget--)
		got = linux_recv(lp, lp->flushed, flushed, lp);
	lp->count.overruns += got == -ENOBUFS; /* nothing is lost by it: RTM_NEWLINK comes */
}
