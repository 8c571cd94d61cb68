/*
 * platform/linux/linux.c -- the Linux kernel as a forwarding plane: opening, telling, closing
 *
 *   submit --> batch.c --> command socket --> kernel, inside sendto()
 *                 |  |  answers at once
 *                 |  +--> results wait --> told from the loop (linux_deliver)
 *                 +--> writer.c: routes of a long series, by a thread and a socket of its own
 *   dump   --> dump.c  --> read socket, piece by piece
 *   port.c <-- link socket     links and addresses: small, never flooded by routes
 *   ours.c <-- "ours" socket   changes of our objects by other hands, filtered in the kernel
 *   carrier.c <-- "flushed" socket   a neighbour of ours that goes with the carrier: the first word of its loss
 *   drop.c                     the second member of groups of one
 *
 * Owns the sockets and the table of ports; holds no routes. The namespace is that in which it was opened.
 *
 * Always true: results of next hops and groups are told in the order of submission, and before an event that was read
 * after them; those of routes in an order of their own.
 */
#include <errno.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/linux/internal.h"

void
linux_problem(struct linux_platform *lp, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (!lp->base.client || !lp->base.client->problem)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lp->base.client->problem(lp->base.client_arg, text);
}

/* What was answered at once first: routes among it went before those that the writer has. */
void
linux_deliver(struct linux_platform *lp)
{
	size_t n = lp->n_results;

	if (n && lp->base.client && lp->base.client->results)
		lp->base.client->results(lp->base.client_arg, lp->results, n);
	for (size_t i = 0; i < n; i++)
		mem_free(lp->mem, MEM_FIB, lp->details[i]);
	/* What was submitted from inside stands behind. */
	lp->n_results -= n;
	memmove(lp->results, lp->results + n, lp->n_results * sizeof(*lp->results));
	memmove(lp->details, lp->details + n, lp->n_results * sizeof(*lp->details));
	if (!lp->writer)
		return;
	linux_writer_tell(lp->writer);
	if (!lp->bulk && linux_writer_idle(lp->writer)) {
		linux_writer_free(lp->writer);
		lp->writer = NULL;
	}
}

static bool
tell(void *arg)
{
	struct linux_platform *lp = arg;

	linux_deliver(lp);
	linux_ports_tell(lp);
	return false;
}

static void
linux_bulk(struct platform *p, bool on)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	int e = 0;

	lp->bulk = on;
	lp->count.bulks += on;
	if (on && !lp->writer)
		e = linux_writer_new(lp, &lp->writer);
	if (e)
		linux_problem(lp,
		    "a thread for long series of routes cannot be started: %s; without it they take longer",
		    strerror(-e));
	rt_work_schedule(lp->tell); /* frees the writer when it has nothing under way */
}

static void
linux_close(struct platform *p)
{
	struct linux_platform *lp = (struct linux_platform *)p;

	linux_writer_free(lp->writer);
	rt_watch_free(lp->watch_links);
	rt_watch_free(lp->watch_ours);
	rt_watch_free(lp->watch_flushed);
	rt_work_free(lp->tell);
	rt_timer_free(lp->drop.timer);
	nl_socket_free(lp->cmd);
	nl_socket_free(lp->routes);
	nl_socket_free(lp->read);
	nl_socket_free(lp->links);
	nl_socket_free(lp->ours);
	nl_socket_free(lp->flushed);
	if (lp->ioctl_fd >= 0)
		close(lp->ioctl_fd);
	linux_ports_free(lp);
	for (size_t i = 0; i < lp->n_results; i++)
		mem_free(lp->mem, MEM_FIB, lp->details[i]);
	mem_free(lp->mem, MEM_FIB, lp->out.bytes);
	mem_free(lp->mem, MEM_FIB, lp->in);
	mem_free(lp->mem, MEM_FIB, lp->answers);
	mem_free(lp->mem, MEM_FIB, lp->members);
	mem_free(lp->mem, MEM_FIB, lp);
}

/*
 * One request that no kernel carries out tells whether we may change routes, and how wide weights are: a group of an
 * unknown next hop whose weight has a high byte. Kernels before 6.12 refuse the byte, later ones the next hop.
 */
static int
probe(struct linux_platform *lp, char *err, size_t errlen)
{
	struct plat_member m = { .nh = UINT32_MAX, .weight = 1000 };
	struct plat_op op = {
		.kind = PLAT_GROUP_SET, .id = UINT32_MAX - 1, .only_new = true, .group = { .members = &m, .n = 1 }
	};
	char text[160];
	int e;

	lp->out.n = 0;
	nl_put_op(&lp->out, &op, lp->protocol, 0, ++lp->seq);
	e = linux_request(lp, text, sizeof(text));
	lp->base.caps.weight_bits = strstr(text, "eserved") ? 8 : 16;
	if (e == -EPERM) {
		snprintf(err, errlen,
		    "CAP_NET_ADMIN is missing: the routes of this network namespace cannot be changed; run as root, or "
		    "in a user "
		    "namespace that owns the network namespace, or give the service AmbientCapabilities=CAP_NET_ADMIN");
		return e;
	}
	if (e == -EOPNOTSUPP) {
		snprintf(err, errlen, "this kernel has no next-hop objects; Linux 5.3 or newer is needed");
		return e;
	}
	return 0;
}

static int
open_sockets(struct linux_platform *lp, char *err, size_t errlen)
{
	int e;

	lp->cmd = linux_socket(lp, CMD_BUFFER, err, errlen);
	lp->routes = lp->cmd ? linux_socket(lp, CMD_BUFFER, err, errlen) : NULL;
	lp->read = lp->routes ? linux_socket(lp, CMD_BUFFER, err, errlen) : NULL;
	lp->links = lp->read ? linux_socket(lp, lp->event_buffer ? lp->event_buffer : 4u << 20, err, errlen) : NULL;
	if (!lp->links)
		return -EIO;
	lp->cmd_pid = nl_socket_get_local_port(lp->cmd);
	lp->routes_pid = nl_socket_get_local_port(lp->routes);
	nl_socket_set_buffer_size(lp->cmd, 0, CMD_BUFFER);
	e = CMD_BUFFER;
	setsockopt(nl_socket_get_fd(lp->cmd), SOL_SOCKET, SO_RCVBUFFORCE, &e, sizeof(e));
	e = nl_socket_add_memberships(lp->links, RTNLGRP_LINK, RTNLGRP_IPV6_IFADDR, 0);
	if (e < 0) {
		snprintf(err, errlen, "netlink events of links: %s", nl_geterror(e));
		return -EIO;
	}
	e = linux_carrier_open(lp, err, errlen);
	return e ? e : linux_ours_open(lp, err, errlen);
}

static int
watch(struct linux_platform *lp, struct nl_sock *sock, rt_watch_fn *fn, struct rt_watch **out)
{
	int e = rt_watch_new(lp->rt, nl_socket_get_fd(sock), fn, lp, out);

	if (!e)
		rt_watch_set(*out, RT_READ);
	return e;
}

#define COUNTS(member) offsetof(struct linux_counters, member)

static const struct counter counter_list[] = {
	{ "refused", "requests that the kernel refused", COUNTS(refused), false },
	{ "overruns", "queues of the kernel's messages that overflowed (ENOBUFS): all was read again", COUNTS(overruns),
	    false },
	{ "interrupted", "dumps during which something changed (NLM_F_DUMP_INTR): begun again", COUNTS(interrupted),
	    false },
	{ "malformed", "netlink messages dropped: they could not be read", COUNTS(malformed), false },
	{ "not-kernel", "netlink messages dropped: not from the kernel", COUNTS(not_kernel), false },
	{ "foreign", "changes of our routes, next hops and devices by other programs", COUNTS(foreign), false },
	{ "early", "losses of carrier known before the kernel's link event", COUNTS(early), true },
	{ "requests", "requests for next hops, groups and routes", COUNTS(messages), true },
	{ "batches", "batches in which they were sent", COUNTS(batches), true },
	{ "bulks", "long series of routes, written by a thread", COUNTS(bulks), true },
};
_Static_assert(ARRAY_LEN(counter_list) == sizeof(struct linux_counters) / sizeof(uint64_t), "a counter is not told");

static void
linux_counters(const struct platform *p, struct counters *out)
{
	*out = (struct counters){
		.list = counter_list, .n = ARRAY_LEN(counter_list), .of = linux_platform_counters(p)
	};
}

static const struct platform_ops linux_ops = {
	.name = "linux",
	.close = linux_close,
	.system_setup = linux_system_setup,
	.port_setup = linux_port_setup,
	.address_set = linux_address_set,
	.bridge_setup = linux_bridge_setup,
	.submit = linux_submit,
	.dump = linux_dump_all,
	.dump_begin = linux_dump_begin,
	.dump_step = linux_dump_step,
	.bulk = linux_bulk,
	.counters = linux_counters,
};

/*
 * A group of so many IPv6 routes is set in some 60 us (0.08 to 0.4 us per route), and a next hop is deleted in 30 to 50, most of which is
 * waiting for the other processors.
 */
#define OWN_NEXTHOPS 512

static const struct platform_caps linux_caps = {
	.max_routes = { UINT32_MAX, UINT32_MAX },
	.max_nexthops = UINT32_MAX,
	.max_groups = UINT32_MAX,
	.max_members = UINT32_MAX,
	.max_group_size = GROUP_WIDE, /* the kernel takes more, but checks for doubles in quadratic time */
	.shared_group = true,
	.v4_over_v6 = true,
	.atomic_group_replace = true,
	.acknowledges = true,
	.carrier_deletes_nexthops = true,
	.batch = BATCH,
	.own_nexthops = OWN_NEXTHOPS,
};

struct platform *
linux_platform_open(struct runtime *rt, struct mem *mem, const struct linux_options *opt, char *err, size_t errlen)
{
	struct linux_platform *lp = mem_zalloc(mem, MEM_FIB, sizeof(*lp));
	int e;

	lp->base.ops = &linux_ops;
	lp->base.caps = linux_caps;
	lp->rt = rt;
	lp->mem = mem;
	lp->protocol = opt && opt->protocol ? opt->protocol : LINUX_PROTOCOL;
	lp->event_buffer = opt ? opt->event_buffer : 0;
	snprintf(lp->proc_sys, sizeof(lp->proc_sys), "%s", opt && opt->proc_sys ? opt->proc_sys : "/proc/sys");
	lp->out = (struct nl_out){ .bytes = mem_alloc(mem, MEM_FIB, OUT_BYTES), .cap = OUT_BYTES };
	lp->in = mem_alloc(mem, MEM_FIB, IN_BYTES);
	lp->answers = mem_alloc(mem, MEM_FIB, IN_BYTES);
	lp->members = mem_alloc(mem, MEM_FIB, MAX_MEMBERS * sizeof(*lp->members));
	lp->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lp->tell = rt_work_new(rt, RT_URGENT, tell, lp);
	e = open_sockets(lp, err, errlen);
	if (!e)
		e = probe(lp, err, errlen);
	if (e)
		goto fail;
	e = linux_ports_read(lp);
	if (!e)
		e = watch(lp, lp->links, linux_links_ready, &lp->watch_links);
	if (!e)
		e = watch(lp, lp->ours, linux_ours_ready, &lp->watch_ours);
	if (!e)
		e = watch(lp, lp->flushed, linux_carrier_ready, &lp->watch_flushed);
	if (e) {
		snprintf(err, errlen, "the ports of this network namespace cannot be read: %s", strerror(-e));
		goto fail;
	}
	rt_work_schedule(lp->tell);
	return &lp->base;

fail:
	linux_close(&lp->base);
	return NULL;
}

const struct linux_counters *
linux_platform_counters(const struct platform *p)
{
	return &((const struct linux_platform *)p)->count;
}
