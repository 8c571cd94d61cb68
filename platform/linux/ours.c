/*
 * platform/linux/ours.c -- noticing that another program changed what is ours
 *
 * The kernel tells everybody of every change of a route or next hop, our own millions included. A filter on the socket
 * keeps what carries our own port ids, and what does not concern us, from ever being queued:
 *
 *   one of our port ids       -> drop
 *   any next-hop message      -> keep
 *   route deleted, our protocol -> keep
 *   route replaced by another -> keep
 *   anything else             -> drop
 *
 * That costs the kernel 0.2 us per route of our own, a twelfth of the route, also in a long series of them: without it a
 * route that another hand deletes meanwhile stayed away until an audit at the end of the series.
 *
 * What the kernel does by itself on carrier loss it does not tell; the link event says it all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/linux/internal.h"

/* Classic BPF loads in network order, netlink writes in host order: so the constants are turned. */
static int
filter_set(struct linux_platform *lp)
{
	enum { TYPE = 4, FLAGS = 6, PID = 12, ROUTE_PROTOCOL = 16 + 5 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, PID),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(lp->cmd_pid), 11, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(lp->routes_pid), 10, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEXTHOP), 7, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEXTHOP), 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, FLAGS),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NLM_F_REPLACE), 2, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ROUTE_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, lp->protocol, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };

	if (setsockopt(nl_socket_get_fd(lp->ours), SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		return -errno;
	return 0;
}

int
linux_ours_open(struct linux_platform *lp, char *err, size_t errlen)
{
	static const int groups[] = { RTNLGRP_NEXTHOP, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE };
	int e;

	lp->ours = linux_socket(lp, lp->event_buffer ? lp->event_buffer : 8u << 20, err, errlen);
	if (!lp->ours)
		return -EIO;
	e = filter_set(lp);
	if (e) {
		snprintf(err, errlen, "netlink socket filter: %s", strerror(-e));
		return e;
	}
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		e = nl_socket_add_memberships(lp->ours, groups[i], 0);
		if (e < 0) {
			snprintf(err, errlen, "netlink events (group %d): %s", groups[i], nl_geterror(e));
			return -EIO;
		}
	}
	return 0;
}

static void
lost(struct linux_platform *lp, const struct plat_op *what, const char *why)
{
	lp->count.foreign++;
	if (!lp->base.client)
		return;
	if (lp->base.client->lost)
		lp->base.client->lost(lp->base.client_arg, what, why);
	else
		lp->base.client->desync(lp->base.client_arg, why);
}

static void
route_event(struct linux_platform *lp, const struct nl_in *in)
{
	char text[PREFIX_TEXT], why[160];
	struct plat_op op;
	uint8_t protocol;

	if (!nl_parse_route(in, &protocol, &op)) {
		lp->count.malformed++;
		return;
	}
	op.kind = PLAT_ROUTE_DEL;
	prefix_print(&op.route.prefix, text);
	if (in->type == RTM_DELROUTE)
		snprintf(why, sizeof(why), "another program (port id %u) deleted our route %s", in->pid, text);
	else
		snprintf(why, sizeof(why), "another program (port id %u) replaced the route %s", in->pid, text);
	lost(lp, &op, why);
}

static void
nexthop_event(struct linux_platform *lp, const struct nl_in *in)
{
	char why[160];
	struct plat_op op;
	uint8_t protocol;

	if (!nl_parse_nexthop(in, lp->members, MAX_MEMBERS, &protocol, &op)) {
		lp->count.malformed++;
		return;
	}
	if (op.id == LINUX_DROP_NEXTHOP) {
		linux_drop_suspect(lp);
		return;
	}
	if (in->type == RTM_DELNEXTHOP && protocol == lp->protocol) {
		op.kind = op.kind == PLAT_GROUP_SET ? PLAT_GROUP_DEL : PLAT_NH_DEL;
		snprintf(why, sizeof(why), "another program (port id %u) deleted our %s %u", in->pid,
		    op.kind == PLAT_NH_DEL ? "next hop" : "group", op.id);
		lost(lp, &op, why);
	} else if (in->type == RTM_NEWNEXTHOP && (in->flags & NLM_F_REPLACE || protocol == lp->protocol)) {
		lp->count.foreign++;
		snprintf(why, sizeof(why), "another program (port id %u) changed next hop %u", in->pid, op.id);
		if (lp->base.client && lp->base.client->desync)
			lp->base.client->desync(lp->base.client_arg, why);
	}
}

static bool
event(void *arg, const struct nl_in *in)
{
	struct linux_platform *lp = arg;

	if (in->pid == lp->cmd_pid ||
	    in->pid == lp->routes_pid) /* the filter keeps these away; it may have been set too late for the first */
		return true;
	if (in->type == RTM_NEWROUTE || in->type == RTM_DELROUTE)
		route_event(lp, in);
	else if (in->type == RTM_NEWNEXTHOP || in->type == RTM_DELNEXTHOP)
		nexthop_event(lp, in);
	return true;
}

void
linux_ours_ready(void *arg, unsigned int what)
{
	struct linux_platform *lp = arg;
	int got = 1;

	(void)what;
	linux_deliver(lp); /* what we did before is known before we hear of what others did */
	for (int budget = 64; budget && got > 0; budget--)
		got = linux_recv(lp, lp->ours, event, lp);
	if (got >= 0)
		return;
	lp->count.overruns += got == -ENOBUFS;
	if (lp->base.client && lp->base.client->desync)
		lp->base.client->desync(
		    lp->base.client_arg, "the kernel told of more changes than we could take; reading all of it");
}
