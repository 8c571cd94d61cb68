/*
 * platform/linux/drop.c -- the member that is never usable: why a group outlives its last next hop
 *
 *   group ---> real next hop      chosen for every packet while its neighbour can be reached
 *         ---> drop next hop ---> fabric-drop ==veth== fabric-drop-end
 *
 * When a port loses its carrier the kernel deletes its next hops, and with the last one of a group all routes on it, one
 * by one, before it tells anybody: 1 us per route, in which nothing else is routed anew. With a second member only the
 * first is deleted. The second is a next hop on a device that is always up, over a gateway whose neighbour entry says
 * NUD_FAILED: the kernel passes over such a member as long as there is a better one. Alone it drops every packet, at once
 * (no solicitations are sent), until sync sets the group anew or deletes the routes.
 *
 * Which place in the group it must have differs. Up to Linux 6.4 a member that cannot be used sends the packet on to the
 * members behind it; so it stands first. Later ones look at all members, and when none can be used (the neighbour of the
 * real one is being asked for, say) they take the first; so it stands last. It has 1 of 256 parts of the hash space.
 *
 * A group with next hops of its own (platform/sync_own.c) has it while it is wide, too, since such a group is narrowed
 * without being set. Its one part is one of 255 times the number of the others, and falls to the first of these.
 *
 * Owns both devices, the neighbour entry and the next hop; they stay when fabricd ends, as routes do, and are taken over
 * by the next one. Taken away by another hand they are made again, and sync is told to read everything, since groups
 * have lost their second member. Where they cannot be made (no veth in this kernel), groups have one member, and carrier
 * loss takes a microsecond per route.
 *
 * Always true: `ready` is what a group may refer to; sync knows it as caps.group_outlives. Dumps do not show any of it.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "platform/linux/internal.h"

#define DEVICE       "fabric-drop"
#define END          "fabric-drop-end"
#define LOWER_UP     0x10000 /* IFF_LOWER_UP, which net/if.h does not have */
#define PART         255u    /* of the real next hop; the other has 1 */

#define AGAIN_MIN_US MS(10)
#define AGAIN_MAX_US SECONDS(60)
#define CALM_US      SECONDS(1) /* what holds so long is not torn down again and again */

static const struct ip gateway = { .family = FAMILY_IPV6, .b = { 0xfe, 0x80, [14] = 0xde, 0xad } };

/* ---- asking the kernel ---- */

struct found_link {
	struct nl_link l;
	bool found;
};

static bool
read_link(void *arg, const struct nl_in *in)
{
	struct found_link *f = arg;

	f->found = f->found || (in->type == RTM_NEWLINK && nl_parse_link(in, &f->l));
	return true;
}

static bool
link_find(struct linux_platform *lp, const char *name, struct nl_link *out)
{
	struct found_link f = { .found = false };

	lp->out.n = 0;
	nl_begin(&lp->out, RTM_GETLINK, NLM_F_REQUEST, ++lp->seq, sizeof(struct ifinfomsg));
	nl_put(&lp->out, IFLA_IFNAME, name, strlen(name) + 1);
	(void)linux_query(lp, read_link, &f);
	*out = f.l;
	return f.found;
}

struct found_nexthop {
	struct linux_platform *lp;
	struct plat_op op;
	uint8_t protocol;
	bool found;
};

static bool
read_nexthop(void *arg, const struct nl_in *in)
{
	struct found_nexthop *f = arg;

	if (in->type == RTM_NEWNEXTHOP && nl_parse_nexthop(in, f->lp->members, MAX_MEMBERS, &f->protocol, &f->op))
		f->found = true;
	return true;
}

static bool
nexthop_find(struct linux_platform *lp, struct found_nexthop *f)
{
	*f = (struct found_nexthop){ .lp = lp };
	lp->out.n = 0;
	nl_put_op(&lp->out, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = LINUX_DROP_NEXTHOP }, 0, 0, ++lp->seq);
	nl_head(&lp->out)->nlmsg_type = RTM_GETNEXTHOP;
	(void)linux_query(lp, read_nexthop, f);
	return f->found;
}

/* Since the kernel deletes it with its device's carrier, all is well when it is there. */
static bool
nexthop_is_right(const struct linux_platform *lp, const struct found_nexthop *f)
{
	return f->found && f->protocol == lp->protocol && f->op.kind == PLAT_NH_SET &&
	       f->op.nh.ifindex == lp->drop.device && ip_equal(&f->op.nh.gateway, &gateway);
}

/* ---- making it ---- */

/* With addresses of our choice: to a random one, as the kernel chooses, udev prefers another, and neighbours are flushed. */
static int
pair_make(struct linux_platform *lp, char *text, size_t n)
{
	static const uint8_t device_mac[6] = { 0x02, 0xfa, 0xb0, 0, 0, 1 }, end_mac[6] = { 0x02, 0xfa, 0xb0, 0, 0, 2 };
	size_t info, data, peer;
	struct ifinfomsg m = { 0 };

	lp->out.n = 0;
	nl_begin(&lp->out, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, ++lp->seq, sizeof(m));
	nl_put(&lp->out, IFLA_IFNAME, DEVICE, sizeof(DEVICE));
	nl_put(&lp->out, IFLA_ADDRESS, device_mac, sizeof(device_mac));
	info = nl_nest(&lp->out, IFLA_LINKINFO);
	nl_put(&lp->out, IFLA_INFO_KIND, "veth", 5);
	data = nl_nest(&lp->out, IFLA_INFO_DATA);
	peer = lp->out.n;
	nl_put(&lp->out, VETH_INFO_PEER, &m, sizeof(m)); /* the attributes follow the header */
	nl_put(&lp->out, IFLA_IFNAME, END, sizeof(END));
	nl_put(&lp->out, IFLA_ADDRESS, end_mac, sizeof(end_mac));
	nl_nest_end(&lp->out, peer);
	nl_nest_end(&lp->out, data);
	nl_nest_end(&lp->out, info);
	return linux_request(lp, text, n);
}

/* Both ends, made if neither is there. What stands there under these names and is no such pair is somebody else's. */
static int
pair_find(struct linux_platform *lp, struct nl_link *device, struct nl_link *end, char *text, size_t n)
{
	bool have = link_find(lp, DEVICE, device), have_end = link_find(lp, END, end);
	int err;

	if (!have && !have_end) {
		err = pair_make(lp, text, n);
		if (err)
			return err;
		have = link_find(lp, DEVICE, device);
		have_end = link_find(lp, END, end);
	}
	if (have && have_end && device->link == end->ifindex && end->link == device->ifindex)
		return 0;
	snprintf(text, n, "there is a device " DEVICE " or " END " that is not ours; rename it");
	return -EEXIST;
}

static int
link_up(struct linux_platform *lp, const struct nl_link *l, char *text, size_t n)
{
	struct ifinfomsg *m;

	if (l->flags & IFF_UP && !(l->flags & IFF_NOARP))
		return 0;
	lp->out.n = 0;
	m = nl_begin(&lp->out, RTM_NEWLINK, NLM_F_REQUEST, ++lp->seq, sizeof(*m));
	m->ifi_index = (int)l->ifindex;
	m->ifi_flags = IFF_UP;
	m->ifi_change = IFF_UP | IFF_NOARP;
	return linux_request(lp, text, n);
}

/* No addresses, and no word to be heard on either end. What is not in this kernel or namespace is not needed. */
static void
pair_sysctls(struct linux_platform *lp)
{
	static const struct {
		const char *key;
		uint64_t value;
	} settings[] = {
		{ "net/ipv6/conf/" END "/disable_ipv6", 1 },
		{ "net/ipv6/conf/" DEVICE "/disable_ipv6", 0 },
		{ "net/ipv6/conf/" DEVICE "/addr_gen_mode", 1 },
		{ "net/ipv6/conf/" DEVICE "/accept_ra", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		(void)linux_sysctl(lp, settings[i].key, settings[i].value);
}

/* No solicitations for a neighbour that does not exist: a packet to it is dropped at once. */
static int
solicit_nobody(struct linux_platform *lp, char *text, size_t n)
{
	struct ndtmsg *m;
	size_t nest;

	lp->out.n = 0;
	m = nl_begin(&lp->out, RTM_SETNEIGHTBL, NLM_F_REQUEST, ++lp->seq, sizeof(*m));
	m->ndtm_family = AF_INET6;
	nl_put(&lp->out, NDTA_NAME, "ndisc_cache", sizeof("ndisc_cache"));
	nest = nl_nest(&lp->out, NDTA_PARMS);
	nl_put_u32(&lp->out, NDTPA_IFINDEX, lp->drop.device);
	nl_put_u32(&lp->out, NDTPA_MCAST_PROBES, 0);
	nl_put_u32(&lp->out, NDTPA_APP_PROBES, 0);
	nl_nest_end(&lp->out, nest);
	return linux_request(lp, text, n);
}

static int
neighbour_fail(struct linux_platform *lp, char *text, size_t n)
{
	linux_neighbour_begin(lp, lp->drop.device, &gateway, NUD_FAILED);
	return linux_request(lp, text, n);
}

static int
nexthop_make(struct linux_platform *lp, char *text, size_t n)
{
	struct plat_op op = { .kind = PLAT_NH_SET, .id = LINUX_DROP_NEXTHOP };
	struct found_nexthop f;

	if (nexthop_find(lp, &f) && f.protocol != lp->protocol) {
		snprintf(text, n, "next hop %u belongs to another program (protocol %u); delete it", op.id, f.protocol);
		return -EEXIST;
	}
	if (nexthop_is_right(lp, &f))
		return 0;
	op.nh.ifindex = lp->drop.device;
	op.nh.gateway = gateway;
	op.only_new = !f.found;
	lp->out.n = 0;
	nl_put_op(&lp->out, &op, lp->protocol, 0, ++lp->seq);
	return linux_request(lp, text, n);
}

/* The order matters: a device without its settings, or a next hop without its neighbour, is never up. */
static int
make(struct linux_platform *lp, char *text, size_t n)
{
	struct nl_link device, end;
	int err = pair_find(lp, &device, &end, text, n);

	if (err)
		return err;
	lp->drop.device = device.ifindex;
	lp->drop.end = end.ifindex;
	pair_sysctls(lp);
	err = link_up(lp, &end, text, n);
	if (!err)
		err = link_up(lp, &device, text, n);
	if (!err)
		err = solicit_nobody(lp, text, n);
	if (!err)
		err = neighbour_fail(lp, text, n);
	return err ? err : nexthop_make(lp, text, n);
}

static void
set_ready(struct linux_platform *lp, bool ready)
{
	lp->drop.ready = lp->base.caps.group_outlives = ready;
}

/* ---- for the rest of the backend ---- */

void
linux_drop_setup(struct linux_platform *lp)
{
	char text[160] = "";
	struct utsname u;
	unsigned int major = 0, minor = 0;
	int err;

	if (uname(&u) == 0)
		(void)sscanf(u.release, "%u.%u", &major, &minor);
	lp->drop.first = major < 6 || (major == 6 && minor < 6); /* it was changed in 6.5; first does no harm there */
	err = make(lp, text, sizeof(text));
	set_ready(lp, err == 0);
	if (err)
		linux_problem(lp,
		    "device " DEVICE " cannot be made: %s%s%s; without it, loss of carrier takes the kernel a "
		    "microsecond for every route whose only next hop is lost",
		    strerror(-err), text[0] ? ": " : "", text);
}

static void
restore(void *arg)
{
	struct linux_platform *lp = arg;
	struct linux_drop *d = &lp->drop;
	struct mono now = rt_now(lp->rt);
	struct found_nexthop f;
	char text[160] = "";
	int err;

	d->due = false;
	if (nexthop_find(lp, &f) && nexthop_is_right(lp, &f) && d->ready)
		return;
	set_ready(lp, false);
	d->pause = MIN_OF(mono_sub(now, d->made) < CALM_US + d->pause ? d->pause * 2 : AGAIN_MIN_US, AGAIN_MAX_US);
	err = make(lp, text, sizeof(text));
	if (err) {
		if (!d->failing)
			linux_problem(lp,
			    "device " DEVICE " was taken away and cannot be made again: %s%s%s; it is tried on",
			    strerror(-err), text[0] ? ": " : "", text);
		d->failing = d->due = true;
		d->pause = MIN_OF(d->pause * 2, AGAIN_MAX_US);
		rt_timer_set(d->timer, mono_add(now, d->pause));
		return;
	}
	d->failing = false;
	d->made = now;
	set_ready(lp, true);
	lp->count.foreign++;
	if (lp->base.client && lp->base.client->desync)
		lp->base.client->desync(
		    lp->base.client_arg, "device " DEVICE " was taken away; it is there again, reading all groups");
}

void
linux_drop_suspect(struct linux_platform *lp)
{
	struct linux_drop *d = &lp->drop;

	if (d->due || !d->device)
		return;
	if (!d->timer)
		d->timer = rt_timer_new(lp->rt, restore, lp);
	d->due = true;
	d->pause = MAX_OF(d->pause, AGAIN_MIN_US);
	rt_timer_set(d->timer, mono_add(rt_now(lp->rt), d->pause));
}

bool
linux_drop_link(struct linux_platform *lp, const struct nl_link *l, bool gone)
{
	const struct linux_drop *d = &lp->drop;
	bool ours = d->device && (l->ifindex == d->device || l->ifindex == d->end);

	if (ours && (gone || !(l->flags & IFF_UP) || !(l->flags & LOWER_UP)))
		linux_drop_suspect(lp);
	else if (ours && l->ifindex == d->device)
		linux_drop_refresh(lp);
	return ours || strcmp(l->name, DEVICE) == 0 || strcmp(l->name, END) == 0;
}

void
linux_drop_refresh(struct linux_platform *lp)
{
	if (lp->drop.ready)
		(void)neighbour_fail(lp, NULL, 0);
}

bool
linux_drop_join(const struct linux_platform *lp, struct plat_op *op, struct plat_member all[GROUP_WIDE + 1])
{
	bool first = lp->drop.first;
	uint32_t most = 1;
	size_t n = op->group.n;

	if (!lp->drop.ready || op->kind != PLAT_GROUP_SET || n == 0 || n > GROUP_WIDE || (n > 1 && !op->group.outlives))
		return false;
	for (size_t i = 0; i < n; i++)
		most = MAX_OF(most, op->group.members[i].weight);
	for (size_t i = 0; i < n; i++) {
		all[i + first] = op->group.members[i];
		all[i + first].weight = (uint16_t)(n == 1 ? PART : all[i + first].weight * MAX_OF(PART / most, 1u));
	}
	all[first ? 0 : n] = (struct plat_member){ .nh = LINUX_DROP_NEXTHOP, .weight = 1 };
	op->group.members = all;
	op->group.n = n + 1;
	return true;
}

static uint32_t
common(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

bool
linux_drop_part(struct plat_op *op, struct plat_member *members)
{
	size_t at = 0;
	uint32_t part = 0;

	if (op->kind == PLAT_NH_SET)
		return op->id == LINUX_DROP_NEXTHOP;
	while (at < op->group.n && members[at].nh != LINUX_DROP_NEXTHOP)
		at++;
	if (at == op->group.n)
		return false;
	op->group.n--;
	memmove(&members[at], &members[at + 1], (op->group.n - at) * sizeof(*members));
	op->group.outlives = true;
	for (size_t i = 0; i < op->group.n; i++)
		part = common(part, members[i].weight);
	for (size_t i = 0; i < op->group.n; i++)
		members[i].weight = (uint16_t)(members[i].weight / part);
	return false;
}
