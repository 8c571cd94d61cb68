/*
 * platform/linux/port.c -- the ports: what the kernel tells of links and addresses, and how they are set up
 *
 * The table of ports follows RTM_NEWLINK, RTM_DELLINK and addresses; what changed is told once all datagrams that were
 * ready are read. Results of operations are told first, so that nobody takes what was installed before a loss of
 * carrier for something that outlived it. A loss and a return that were read together are told as both, since the
 * kernel has deleted the next hops in between: IFLA_CARRIER_DOWN_COUNT gives it away. A loss may be known before its
 * link event, by carrier.c.
 *
 * Of a port's link-local addresses one is remembered, the first. When it goes, another may have been there all the time,
 * of which no event will come: so all of them are read before anything is told.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "platform/linux/internal.h"

#define LOWER_UP      0x10000 /* IFF_LOWER_UP, which net/if.h does not have */
#define READ_ATTEMPTS 10      /* while something changes */

struct port *
linux_port_find(struct linux_platform *lp, uint32_t ifindex)
{
	for (size_t i = 0; i < lp->n_ports; i++) {
		if (lp->ports[i]->p.ifindex == ifindex)
			return lp->ports[i];
	}
	return NULL;
}

static struct port *
port_named(struct linux_platform *lp, const char *name)
{
	for (size_t i = 0; i < lp->n_ports; i++) {
		if (!lp->ports[i]->p.gone && strcmp(lp->ports[i]->p.name, name) == 0)
			return lp->ports[i];
	}
	return NULL;
}

static void
port_tell(struct linux_platform *lp, const struct plat_port *p)
{
	if (lp->base.client && lp->base.client->port)
		lp->base.client->port(lp->base.client_arg, p);
}

/* Bits per second; 0 when the driver does not say. */
static uint64_t
port_speed(struct linux_platform *lp, const char *name)
{
	struct ethtool_cmd cmd = { .cmd = ETHTOOL_GSET };
	struct ifreq req = { 0 };
	uint32_t mbit;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	req.ifr_data = (void *)&cmd;
	if (lp->ioctl_fd < 0 || ioctl(lp->ioctl_fd, SIOCETHTOOL, &req))
		return 0;
	mbit = (uint32_t)cmd.speed_hi << 16 | cmd.speed; /* ethtool_cmd_speed() shifts into the sign */
	return mbit == (uint32_t)SPEED_UNKNOWN || mbit == UINT16_MAX ? 0 : (uint64_t)mbit * 1000000;
}

static void
link_gone(struct linux_platform *lp, struct port *port)
{
	(void)lp;
	port->p.gone = true;
	port->p.carrier = port->p.admin_up = false;
	port->p.link_local = (struct ip){ 0 };
	port->changed = true;
}

static void
link_new(struct linux_platform *lp, const struct nl_link *l)
{
	struct port *port = linux_port_find(lp, l->ifindex);
	struct plat_port p = { 0 };
	bool flapped;

	if (!port) {
		lp->ports = mem_grow(
		    lp->mem, MEM_LINK, lp->ports, &lp->ports_cap, lp->n_ports + 1, sizeof(struct port *));
		port = lp->ports[lp->n_ports++] = mem_zalloc(lp->mem, MEM_LINK, sizeof(*port));
		port->carrier_downs = l->carrier_downs;
	} else if (port->told && strcmp(port->p.name, l->name) != 0) {
		p = port->p; /* renamed: to the reader the old one is gone */
		p.gone = true;
		p.carrier = p.admin_up = false;
		port_tell(lp, &p);
		port->told = false;
	}
	p = port->p;
	p.ifindex = l->ifindex;
	p.gone = false;
	memset(p.name, 0, sizeof(p.name));
	snprintf(p.name, sizeof(p.name), "%s", l->name);
	if (l->has_mac)
		memcpy(p.mac, l->mac, sizeof(p.mac));
	p.mtu = l->mtu;
	p.max_mtu = l->max_mtu;
	p.admin_up = l->flags & IFF_UP;
	p.carrier = p.admin_up && l->flags & LOWER_UP;
	flapped = port->told && port->p.carrier && p.carrier && l->carrier_downs != port->carrier_downs;
	if (flapped)
		linux_port_dark(lp, port);
	if (p.carrier && (!port->p.carrier || !p.speed_bps))
		p.speed_bps = port_speed(lp, p.name);
	port->carrier_downs = l->carrier_downs;
	port->master = l->master;
	port->in_bridge = l->in_bridge;
	port->seen = true;
	if (!port->told || memcmp(&p, &port->p, sizeof(p)) != 0)
		port->changed = true;
	/* A change of carrier is told at once, in its order: down and up again are two events. */
	if (port->told && p.carrier != port->p.carrier) {
		port->p = p;
		port->changed = false;
		if (p.carrier)
			linux_carrier_watch(lp, port);
		port_tell(lp, &port->p);
		return;
	}
	port->p = p;
}

void
linux_port_dark(struct linux_platform *lp, struct port *port)
{
	port->p.carrier = false;
	if (port->told) /* else with all that is new */
		port_tell(lp, &port->p);
}

/* The port whose link-local address this is; NULL: none. */
static struct port *
port_of(struct linux_platform *lp, const struct nl_addr *a)
{
	return a->addr.family == FAMILY_IPV6 && ip_is_link_local(&a->addr) ? linux_port_find(lp, a->ifindex) : NULL;
}

static bool
is_usable(const struct nl_addr *a)
{
	return !(a->flags & IFA_F_DADFAILED) && (!(a->flags & IFA_F_TENTATIVE) || a->flags & IFA_F_OPTIMISTIC);
}

static void
address(struct linux_platform *lp, const struct nl_addr *a, bool present)
{
	struct port *port = port_of(lp, a);
	bool usable = present && is_usable(a);

	if (port && usable && ip_is_zero(&port->p.link_local)) {
		port->p.link_local = a->addr;
		port->changed = true;
	} else if (port && !usable && ip_equal(&port->p.link_local, &a->addr)) {
		lp->addresses_due = true;
	}
}

/* Of those that a port has now: the one that it had, or else the first. */
static bool
address_found(void *arg, const struct nl_in *in)
{
	struct linux_platform *lp = arg;
	struct port *port;
	struct nl_addr a;

	if (!nl_parse_addr(in, &a)) {
		lp->count.malformed++;
		return true;
	}
	port = port_of(lp, &a);
	if (port && is_usable(&a) && (ip_is_zero(&port->found) || ip_equal(&a.addr, &port->p.link_local)))
		port->found = a.addr;
	return true;
}

static int
addresses_read(struct linux_platform *lp)
{
	struct ifaddrmsg head = { .ifa_family = AF_INET6 };
	int err = -EINTR;

	for (int attempt = 0; attempt < READ_ATTEMPTS && err == -EINTR; attempt++) {
		for (size_t i = 0; i < lp->n_ports; i++)
			lp->ports[i]->found = (struct ip){ 0 };
		err = linux_dump(lp, RTM_GETADDR, &head, sizeof(head), address_found, lp);
	}
	lp->addresses_due = err;
	if (err)
		return err;
	for (size_t i = 0; i < lp->n_ports; i++) {
		struct port *port = lp->ports[i];

		if (ip_equal(&port->found, &port->p.link_local))
			continue;
		port->p.link_local = port->found;
		port->changed = true;
	}
	return 0;
}

static bool
event(void *arg, const struct nl_in *in)
{
	struct linux_platform *lp = arg;
	struct nl_link l;
	struct nl_addr a;
	struct port *port;

	if (in->type == RTM_NEWLINK || in->type == RTM_DELLINK) {
		if (!nl_parse_link(in, &l)) {
			lp->count.malformed++;
			return true;
		}
		if (l.family != AF_UNSPEC) /* of a bridge: about membership, not about the port */
			return true;
		if (linux_drop_link(lp, &l, in->type == RTM_DELLINK))
			return true;
		port = linux_port_find(lp, l.ifindex);
		if (in->type == RTM_NEWLINK)
			link_new(lp, &l);
		else if (port)
			link_gone(lp, port);
	} else if (in->type == RTM_NEWADDR || in->type == RTM_DELADDR) {
		if (nl_parse_addr(in, &a))
			address(lp, &a, in->type == RTM_NEWADDR);
		else
			lp->count.malformed++;
	}
	return true;
}

bool
linux_ports_tell(struct linux_platform *lp)
{
	for (size_t i = 0; i < lp->n_ports; i++) {
		struct port *port = lp->ports[i];
		struct plat_port p;

		if (!port->changed)
			continue;
		port->changed = false;
		p = port->p;
		if (!p.gone || port->told)
			port_tell(lp, &p);
		port->told = true;
		if (p.gone) {
			mem_free(lp->mem, MEM_LINK, port);
			lp->ports[i--] = lp->ports[--lp->n_ports];
		}
	}
	return false;
}

void
linux_ports_free(struct linux_platform *lp)
{
	for (size_t i = 0; i < lp->n_ports; i++)
		mem_free(lp->mem, MEM_LINK, lp->ports[i]);
	mem_free(lp->mem, MEM_LINK, lp->ports);
}

int
linux_ports_read(struct linux_platform *lp)
{
	struct ifinfomsg link = { 0 };
	int err = -EINTR;

	for (int attempt = 0; attempt < READ_ATTEMPTS && err == -EINTR; attempt++) {
		for (size_t i = 0; i < lp->n_ports; i++)
			lp->ports[i]->seen = false;
		err = linux_dump(lp, RTM_GETLINK, &link, sizeof(link), event, lp);
	}
	if (err)
		return err;
	for (size_t i = 0; i < lp->n_ports; i++) {
		if (!lp->ports[i]->seen)
			link_gone(lp, lp->ports[i]);
	}
	return addresses_read(lp);
}

static bool
skip(void *arg, const struct nl_in *in)
{
	(void)arg;
	(void)in;
	return false;
}

/*
 * What is left of the events after some were lost may be older than what is read now, and what would have corrected it
 * is what was lost. What comes after this is newer, or is followed by what is.
 */
static void
events_drop(struct linux_platform *lp)
{
	int got = 1;

	for (int budget = 4096; budget && (got > 0 || got == -ENOBUFS); budget--)
		got = linux_recv(lp, lp->links, skip, lp);
}

void
linux_links_ready(void *arg, unsigned int what)
{
	struct linux_platform *lp = arg;
	int got = 1;

	(void)what;
	linux_deliver(lp);
	for (int budget = 64; budget && got > 0; budget--)
		got = linux_recv(lp, lp->links, event, lp);
	if (got < 0) { /* events were lost: the truth is in the kernel */
		lp->count.overruns += got == -ENOBUFS;
		events_drop(lp);
		got = linux_ports_read(lp);
		if (got)
			linux_problem(lp, "the ports cannot be read: %s", strerror(-got));
		if (lp->base.client && lp->base.client->desync)
			lp->base.client->desync(lp->base.client_arg, "link events were lost; reading all of it");
	} else if (lp->addresses_due) {
		got = addresses_read(lp);
		if (got)
			linux_problem(lp,
			    "the ports' addresses cannot be read: %s; tried again with the next event of a port",
			    strerror(-got));
	}
	linux_ports_tell(lp);
}

/* ---- setting up ---- */

static void
port_sysctls(struct linux_platform *lp, const char *name)
{
	static const struct {
		const char *key;
		uint64_t value;
	} settings[] = { { "disable_ipv6", 0 }, { "accept_dad", 0 }, { "accept_ra", 0 }, { "autoconf", 0 } };
	char key[128];

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		int err;

		snprintf(key, sizeof(key), "net/ipv6/conf/%s/%s", name, settings[i].key);
		err = linux_sysctl(lp, key, settings[i].value);
		if (err)
			linux_problem(lp, "port %s: %s/%s cannot be set to %u: %s", name, lp->proc_sys, key,
			    (unsigned int)settings[i].value, strerror(-err));
	}
}

/* One RTM_NEWLINK on the port; every attribute alone, so that one refusal does not undo the others. */
static int
link_change(struct linux_platform *lp, const struct port *port, uint16_t attr, uint32_t value, unsigned int flags,
    unsigned int mask, const char *what)
{
	struct ifinfomsg *m;
	char text[160];
	int err;

	lp->out.n = 0;
	m = nl_begin(&lp->out, RTM_NEWLINK, NLM_F_REQUEST, ++lp->seq, sizeof(*m));
	m->ifi_index = (int)port->p.ifindex;
	m->ifi_flags = flags;
	m->ifi_change = mask;
	if (attr)
		nl_put_u32(&lp->out, attr, value);
	err = linux_request(lp, text, sizeof(text));
	if (err)
		linux_problem(lp, "port %s: %s: %s%s%s", port->p.name, what, strerror(-err), text[0] ? ": " : "", text);
	return err;
}

/*
 * A routed port that is in a bridge gets no packets of its own: what an earlier file, or the image's default set-up, put it
 * into. A bond or a VRF is somebody's intention, and is told.
 */
static int
free_port(struct linux_platform *lp, const struct port *port)
{
	const char *name = port->p.name;

	if (port->in_bridge)
		return link_change(lp, port, IFLA_MASTER, 0, 0, 0, "cannot be taken out of its bridge");
	linux_problem(lp, "port %s is in another device; take it out: ip link set %s nomaster", name, name);
	return 0;
}

int
linux_port_setup(struct platform *p, const char *name, const struct plat_port_config *cfg)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	struct port *port = port_named(lp, name);
	uint32_t mtu, master = 0;
	int err = 0, e;

	if (!port)
		return -ENODEV;
	if (cfg->fabric)
		port_sysctls(lp, name);
	if (cfg->bridge[0]) {
		const struct port *bridge = port_named(lp, cfg->bridge);

		if (!bridge) {
			linux_problem(lp, "port %s: there is no bridge %s to put it into", name, cfg->bridge);
			return -ENODEV;
		}
		master = bridge->p.ifindex;
	}
	if (cfg->bridge[0] && port->master != master)
		err = link_change(lp, port, IFLA_MASTER, master, 0, 0, "cannot be put into its bridge");
	else if (cfg->fabric && port->master)
		err = free_port(lp, port);
	mtu = port->p.max_mtu ? MIN_OF(cfg->mtu, port->p.max_mtu) : cfg->mtu;
	if (mtu && mtu != port->p.mtu) {
		e = link_change(lp, port, IFLA_MTU, mtu, 0, 0, "the MTU cannot be set");
		err = err ? err : e;
	}
	if (cfg->up != port->p.admin_up) {
		e = link_change(
		    lp, port, 0, 0, cfg->up ? IFF_UP : 0, IFF_UP, cfg->up ? "cannot be brought up" : "cannot be shut");
		err = err ? err : e;
	}
	port->routed = !cfg->bridge[0];
	linux_carrier_watch(lp, port);
	return err;
}

int
linux_address_set(struct platform *p, const char *name, const struct ip *a, uint8_t len, bool present)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	const struct port *port = port_named(lp, name);
	size_t n = family_bytes((enum family)a->family);
	struct ifaddrmsg *m;
	char text[160], where[IP_TEXT];
	int err;

	if (!port)
		return -ENODEV;
	lp->out.n = 0;
	m = nl_begin(&lp->out, present ? RTM_NEWADDR : RTM_DELADDR,
	    (uint16_t)(NLM_F_REQUEST | (present ? NLM_F_CREATE | NLM_F_REPLACE : 0)), ++lp->seq, sizeof(*m));
	m->ifa_family = a->family == FAMILY_IPV4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = len;
	m->ifa_index = port->p.ifindex;
	nl_put(&lp->out, IFA_LOCAL, a->b, n);
	nl_put(&lp->out, IFA_ADDRESS, a->b, n);
	if (a->family == FAMILY_IPV6 && present)
		nl_put_u32(&lp->out, IFA_FLAGS, IFA_F_NODAD);
	err = linux_request(lp, text, sizeof(text));
	if ((present && err == -EEXIST) || (!present && (err == -EADDRNOTAVAIL || err == -ENOENT)))
		err = 0;
	if (err)
		linux_problem(lp, "port %s: address %s/%u cannot be %s: %s%s%s", name, ip_print(a, where), len,
		    present ? "set" : "removed", strerror(-err), text[0] ? ": " : "", text);
	return err;
}

int
linux_bridge_setup(struct platform *p, const char *name, bool create)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	const struct port *port = port_named(lp, name);
	char text[160];
	size_t nest;
	int err;

	if (!port && !create) {
		linux_problem(lp, "there is no bridge %s; create it, or let fabricd own one", name);
		return -ENODEV;
	}
	if (!port) {
		lp->out.n = 0;
		nl_begin(&lp->out, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, ++lp->seq,
		    sizeof(struct ifinfomsg));
		nl_put(&lp->out, IFLA_IFNAME, name, strlen(name) + 1);
		nest = nl_nest(&lp->out, IFLA_LINKINFO);
		nl_put(&lp->out, IFLA_INFO_KIND, "bridge", 7);
		nl_nest_end(&lp->out, nest);
		err = linux_request(lp, text, sizeof(text));
		if (err && err != -EEXIST) {
			linux_problem(
			    lp, "bridge %s cannot be created: %s%s%s", name, strerror(-err), text[0] ? ": " : "", text);
			return err;
		}
		err = linux_ports_read(lp); /* so that its index is known now; it is told from the loop */
		rt_work_schedule(lp->tell);
		port = port_named(lp, name);
		if (err || !port)
			return err ? err : -ENODEV;
		port_sysctls(lp, name); /* a gateway that waits for duplicates answers no host for a second */
	}
	return port->p.admin_up ? 0 : link_change(lp, port, 0, 0, IFF_UP, IFF_UP, "cannot be brought up");
}
