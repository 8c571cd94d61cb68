/* platform/linux/sysctl.c -- the switch-wide settings, through /proc/sys of the namespace that we are in */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/linux/internal.h"

/* Writes only what differs: writing forwarding again would reset other settings of the ports. */
int
linux_sysctl(struct linux_platform *lp, const char *key, uint64_t value)
{
	char path[256], want[32], now[32];
	int fd, err = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", lp->proc_sys, key);
	snprintf(want, sizeof(want), "%" PRIu64, value);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno != EACCES && errno != EROFS && errno != EPERM)
		return -errno;
	if (fd < 0) { /* cannot be written: that is no fault when it is right already */
		err = -errno;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err;
	}
	n = read(fd, now, sizeof(now) - 1);
	now[MAX_OF(n, 0)] = '\0';
	now[strcspn(now, "\n")] = '\0';
	if (strcmp(now, want) == 0)
		err = 0;
	else if (!err && pwrite(fd, want, strlen(want), 0) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int
loopback_up(struct linux_platform *lp)
{
	struct ifinfomsg *m;

	lp->out.n = 0;
	m = nl_begin(&lp->out, RTM_NEWLINK, NLM_F_REQUEST, ++lp->seq, sizeof(*m));
	m->ifi_index = 1; /* the loopback of every namespace */
	m->ifi_flags = m->ifi_change = IFF_UP;
	return linux_request(lp, NULL, 0);
}

/*
 * Addresses, protocol and ports (include/net/ip_fib.h), by policy 3. Policy 1 looks at the same, but takes a hash that
 * the packet brings along in its place: that of the NIC, or, between namespaces, of the socket that sent it. Those are
 * the same on every tier, whatever the seed.
 */
#define FLOW_FIELDS 0x37

int
linux_system_setup(struct platform *p, const struct plat_system_config *cfg)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	uint32_t seed = (uint32_t)(cfg->hash_seed ^ cfg->hash_seed >> 32);
	const struct {
		const char *key;
		uint64_t value;
		bool may_lack; /* not in every kernel that we support */
		const char *without;
	} settings[] = {
		{ "net/ipv4/ip_forward", 1, false, "IPv4 is not forwarded" },
		{ "net/ipv6/conf/all/forwarding", 1, false, "IPv6 is not forwarded" },
		{ "net/ipv6/conf/all/accept_dad", 0, false, "ports come up a second later" },
		{ "net/ipv4/nexthop_compat_mode", cfg->kernel_compat, false, "failover costs time for every route" },
		{ "net/ipv4/fib_multipath_hash_fields", FLOW_FIELDS, false,
		    "IPv4 flows between two hosts share one path" },
		{ "net/ipv6/fib_multipath_hash_fields", FLOW_FIELDS, false,
		    "IPv6 flows between two hosts share one path" },
		{ "net/ipv4/fib_multipath_hash_policy", 3, false, "IPv4 flows between two hosts share one path" },
		{ "net/ipv6/fib_multipath_hash_policy", 3, false, "IPv6 flows between two hosts share one path" },
		{ "net/ipv4/fib_multipath_hash_seed", seed ? seed : 1, true, "tiers hash alike" },
	};
	int err = loopback_up(lp), result = err;

	if (err)
		linux_problem(lp, "the loopback cannot be brought up: %s", strerror(-err));
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		err = linux_sysctl(lp, settings[i].key, settings[i].value);
		if (!err || (err == -ENOENT && settings[i].may_lack))
			continue;
		linux_problem(lp, "%s/%s cannot be set to %" PRIu64 ": %s; until it is set, %s", lp->proc_sys,
		    settings[i].key, settings[i].value, strerror(-err), settings[i].without);
		result = err;
	}
	linux_drop_setup(lp);
	return result;
}
