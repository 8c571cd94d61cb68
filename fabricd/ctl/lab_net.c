/*
 * fabricd/ctl/lab_net.c -- what the laboratory asks of the kernel
 *
 * A network namespace is pinned as `ip netns` does it, by a bind mount of /proc/self/ns/net on an empty file, but in
 * the laboratory's own folder. A veth pair is made by one message that names both ends and both namespaces, so no port
 * ever shows up in a namespace where it does not belong.
 *
 * Not here: which namespaces and pairs there are (lab_plan.c), and what runs in them (lab.c).
 */
#include "fabricd/ctl/lab_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fabricd/ctl/ctl.h"
#include "fabricd/lib/base.h"

/* ---- messages ---- */

struct message {
	union {
		struct nlmsghdr head;
		uint8_t bytes[1024];
	};
};

static void
message_begin(struct message *m, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_type = type;
	m->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m->head.nlmsg_len = NLMSG_LENGTH(n);
	memcpy(NLMSG_DATA(&m->head), body, n);
}

static struct rtattr *
message_attr(struct message *m, uint16_t type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)(m->bytes + NLMSG_ALIGN(m->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), data, n);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void
message_nest_end(struct message *m, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)(m->bytes + m->head.nlmsg_len - (uint8_t *)nest);
}

/* Sends m and reads up to its acknowledgement; a reply before it (a link) goes to *reply, when given. */
static int
talk(struct lab_nl *nl, struct message *m, void *reply, size_t room)
{
	uint8_t buf[16384] __attribute__((aligned(8)));

	m->head.nlmsg_seq = ++nl->seq;
	if (send(nl->fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(nl->fd, buf, sizeof(buf), 0);
		size_t left = n > 0 ? (size_t)n : 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_seq != nl->seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (reply)
				memcpy(reply, h, MIN_OF(room, (size_t)h->nlmsg_len));
		}
	}
}

int
lab_nl_open(struct lab_nl *nl)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	struct timeval patience = { .tv_sec = 5 };

	*nl = (struct lab_nl){ .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) };
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return bind(nl->fd, (struct sockaddr *)&local, sizeof(local)) ? -errno : 0;
}

void
lab_nl_close(struct lab_nl *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

/* ---- links, addresses, routes ---- */

static void
put_name(struct message *m, const char *name)
{
	message_attr(m, IFLA_IFNAME, name, strlen(name) + 1);
}

int
lab_nl_veth(struct lab_nl *nl, int ns_a, const char *a, int ns_b, const char *b, uint32_t ifindex)
{
	struct ifinfomsg one = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct ifinfomsg other = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex + 1 };
	struct message m;
	struct rtattr *info, *data, *peer;

	if (strlen(a) >= IFNAMSIZ || strlen(b) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	message_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &one, sizeof(one));
	put_name(&m, a);
	message_attr(&m, IFLA_NET_NS_FD, &(uint32_t){ (uint32_t)ns_a }, 4);
	info = message_attr(&m, IFLA_LINKINFO, NULL, 0);
	message_attr(&m, IFLA_INFO_KIND, "veth", 5);
	data = message_attr(&m, IFLA_INFO_DATA, NULL, 0);
	peer = message_attr(&m, VETH_INFO_PEER, &other, sizeof(other));
	put_name(&m, b);
	message_attr(&m, IFLA_NET_NS_FD, &(uint32_t){ (uint32_t)ns_b }, 4);
	message_nest_end(&m, peer);
	message_nest_end(&m, data);
	message_nest_end(&m, info);
	return talk(nl, &m, NULL, 0);
}

int
lab_nl_link_up(struct lab_nl *nl, const char *port, bool up)
{
	struct ifinfomsg link = { .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP };
	struct message m;

	message_begin(&m, RTM_NEWLINK, 0, &link, sizeof(link));
	put_name(&m, port);
	return talk(nl, &m, NULL, 0);
}

int
lab_nl_port(struct lab_nl *nl, const char *port, struct lab_port *out)
{
	struct ifinfomsg any = { 0 };
	struct message m, got = { 0 };
	const struct ifinfomsg *link = NLMSG_DATA(&got.head);
	int err;

	message_begin(&m, RTM_GETLINK, 0, &any, sizeof(any));
	put_name(&m, port);
	if ((err = talk(nl, &m, &got, sizeof(got))))
		return err;
	*out = (struct lab_port){
		.ifindex = (uint32_t)link->ifi_index,
		.up = link->ifi_flags & IFF_UP,
		.carrier = link->ifi_flags & IFF_LOWER_UP,
	};
	return 0;
}

static uint8_t
af_of(const struct ip *a)
{
	return a->family == FAMILY_IPV4 ? AF_INET : AF_INET6;
}

int
lab_nl_address(struct lab_nl *nl, const char *port, const struct ip *ip, unsigned int len)
{
	struct ifaddrmsg a = { .ifa_family = af_of(ip), .ifa_prefixlen = (uint8_t)len, .ifa_flags = IFA_F_NODAD };
	struct lab_port p;
	struct message m;
	int err;

	if ((err = lab_nl_port(nl, port, &p)))
		return err;
	a.ifa_index = p.ifindex;
	message_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &a, sizeof(a));
	message_attr(&m, IFA_LOCAL, ip->b, family_bytes(ip->family));
	message_attr(&m, IFA_ADDRESS, ip->b, family_bytes(ip->family));
	return talk(nl, &m, NULL, 0);
}

int
lab_nl_default(struct lab_nl *nl, const char *port, const struct ip *gateway)
{
	/* On-link, since the far end may not have carrier yet. */
	struct rtmsg r = {
		.rtm_family = af_of(gateway),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = RTNH_F_ONLINK,
	};
	struct lab_port p;
	struct message m;
	int err;

	if ((err = lab_nl_port(nl, port, &p)))
		return err;
	message_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &r, sizeof(r));
	message_attr(&m, RTA_GATEWAY, gateway->b, family_bytes(gateway->family));
	message_attr(&m, RTA_OIF, &p.ifindex, sizeof(p.ifindex));
	return talk(nl, &m, NULL, 0);
}

/* ---- namespaces ---- */

int
lab_ns_make(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	if (unshare(CLONE_NEWNET))
		return -errno;
	return mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) ? -errno : 0;
}

int
lab_ns_enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return err;
}

int
lab_ns_unpin(const char *path)
{
	int err = umount2(path, MNT_DETACH) ? -errno : 0;

	return unlink(path) && errno != ENOENT ? -errno : err == -EINVAL || err == -ENOENT ? 0 : err;
}

static int
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int
lab_sysctl(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return write_text(path, value);
}

int
lab_user_ns(const char **stage)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[64];
	int err;

	*stage = "user";
	if (unshare(CLONE_NEWUSER))
		return -errno;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if ((err = write_text("/proc/self/uid_map", map)) || (err = write_text("/proc/self/setgroups", "deny")))
		return err;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if ((err = write_text("/proc/self/gid_map", map)))
		return err;
	/* Some kernels let a user namespace be made and then give no rights in it. */
	*stage = "mount";
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return 0;
}

static int
read_number(const char *path, long missing)
{
	FILE *f = fopen(path, "re");
	long n = missing;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = missing;
	if (f)
		fclose(f);
	return (int)n;
}

const char *
lab_user_ns_sysctl(void)
{
	if (read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
		return "kernel.unprivileged_userns_clone=1";
	if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
		return "kernel.apparmor_restrict_unprivileged_userns=0";
	return "user.max_user_namespaces=16384";
}

/* ---- processes ---- */

struct lab_process
lab_process_of(pid_t pid)
{
	struct lab_process p = { .pid = pid };
	char path[64], line[1024], *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!(f = fopen(path, "re")))
		return (struct lab_process){ 0 };
	at = fgets(line, sizeof(line), f);
	fclose(f);
	/* The name in brackets may hold anything: count fields from its end. Field 22 is the start time (proc(5)). */
	at = at ? strrchr(line, ')') : NULL;
	for (int field = 2; at && field < 22; field++) {
		if ((at = strchr(at, ' ')))
			at++;
		/* A zombie has ended; it only waits for whoever started it. */
		if (at && field == 2 && (*at == 'Z' || *at == 'X'))
			return (struct lab_process){ 0 };
	}
	if (!at)
		return (struct lab_process){ 0 };
	p.start = strtoull(at, NULL, 10);
	return p;
}

bool
lab_process_alive(const struct lab_process *p)
{
	return p->pid > 0 && lab_process_of(p->pid).pid && lab_process_of(p->pid).start == p->start;
}

size_t
lab_process_end(struct lab_process *const list[], size_t n, int grace_ms)
{
	struct pollfd *fds = calloc(n ? n : 1, sizeof(*fds));
	int64_t until = ctl_now().us / 1000 + grace_ms;
	size_t killed = 0, left = 0;

	for (size_t i = 0; fds && i < n; i++) {
		/* The descriptor holds on to one process; whether it is ours is asked after it was taken. */
		fds[i] = (struct pollfd){ .fd = list[i]->pid > 0 ? (int)syscall(SYS_pidfd_open, list[i]->pid, 0) : -1,
			.events = POLLIN };
		if (fds[i].fd >= 0 && !lab_process_alive(list[i])) {
			close(fds[i].fd);
			fds[i].fd = -1;
		}
		if (fds[i].fd >= 0 && ++left)
			syscall(SYS_pidfd_send_signal, fds[i].fd, SIGTERM, NULL, 0);
	}
	for (bool hard = false; fds && left;) {
		int64_t wait = until - ctl_now().us / 1000;

		if (wait <= 0 && hard)
			break;
		if (wait <= 0) {
			for (size_t i = 0; i < n; i++) {
				if (fds[i].fd >= 0 && ++killed)
					syscall(SYS_pidfd_send_signal, fds[i].fd, SIGKILL, NULL, 0);
			}
			hard = true;
			until = ctl_now().us / 1000 + 2000;
			continue;
		}
		poll(fds, n, (int)wait);
		for (size_t i = 0; i < n; i++) {
			if (fds[i].fd >= 0 && fds[i].revents) {
				close(fds[i].fd);
				fds[i].fd = -1;
				left--;
			}
		}
	}
	for (size_t i = 0; fds && i < n; i++) {
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	}
	free(fds);
	return killed;
}
