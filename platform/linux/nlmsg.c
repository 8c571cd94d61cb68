/* platform/linux/nlmsg.c -- see nlmsg.h */
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "fabricd/lib/base.h"
#include "platform/linux/nlmsg.h"

/*
 * struct nexthop_grp, whose third field has two names: resvd1, and weight_high since kernel 6.12 and in the headers of
 * distributions that took that change back into older ones.
 */
struct group_member {
	uint32_t id;
	uint8_t weight, weight_high; /* less 1 */
	uint16_t reserved;
};
_Static_assert(sizeof(struct group_member) == sizeof(struct nexthop_grp), "NHA_GROUP is an array of these");

/* ---- writing ---- */

static void *
out_take(struct nl_out *o, size_t n)
{
	size_t room = NLMSG_ALIGN(n);
	uint8_t *p = o->bytes + o->n;

	if (o->full || o->cap - o->n < room) {
		o->full = true;
		return NULL;
	}
	memset(p, 0, room);
	o->n += room;
	return p;
}

struct nlmsghdr *
nl_head(struct nl_out *o)
{
	return (struct nlmsghdr *)(void *)(o->bytes + o->msg);
}

void *
nl_begin(struct nl_out *o, uint16_t type, uint16_t flags, uint32_t seq, size_t head)
{
	struct nlmsghdr *h;

	o->msg = o->n;
	o->full = false;
	h = out_take(o, sizeof(*h) + head);
	if (!h)
		return NULL;
	*h = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)(o->n - o->msg), .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = seq
	};
	return h + 1;
}

void
nl_put(struct nl_out *o, uint16_t attr, const void *value, size_t n)
{
	struct nlattr *a = out_take(o, sizeof(*a) + n);

	if (!a)
		return;
	*a = (struct nlattr){ .nla_len = (uint16_t)(sizeof(*a) + n), .nla_type = attr };
	if (n)
		memcpy(a + 1, value, n);
	nl_head(o)->nlmsg_len = (uint32_t)(o->n - o->msg);
}

void
nl_put_u32(struct nl_out *o, uint16_t attr, uint32_t value)
{
	nl_put(o, attr, &value, sizeof(value));
}

size_t
nl_nest(struct nl_out *o, uint16_t attr)
{
	size_t at = o->n;

	nl_put(o, attr, NULL, 0);
	return at;
}

void
nl_nest_end(struct nl_out *o, size_t nest)
{
	if (!o->full)
		((struct nlattr *)(void *)(o->bytes + nest))->nla_len = (uint16_t)(o->n - nest);
}

/* Forgets the current message. */
static void
nl_drop(struct nl_out *o)
{
	o->n = o->msg;
	o->full = false;
}

static uint8_t
af_of(enum family f)
{
	return f == FAMILY_IPV4 ? AF_INET : AF_INET6;
}

static void
put_nexthop(struct nl_out *o, const struct plat_op *op, struct nhmsg *m)
{
	nl_put_u32(o, NHA_ID, op->id);
	nl_put_u32(o, NHA_OIF, op->nh.ifindex);
	m->nh_family = af_of((enum family)op->nh.gateway.family);
	if (!ip_is_zero(&op->nh.gateway))
		nl_put(o, NHA_GATEWAY, op->nh.gateway.b, family_bytes((enum family)op->nh.gateway.family));
}

static void
put_group(struct nl_out *o, const struct plat_op *op)
{
	struct group_member *g;
	struct nlattr *a;

	nl_put_u32(o, NHA_ID, op->id);
	a = out_take(o, sizeof(*a) + op->group.n * sizeof(*g));
	if (!a)
		return;
	*a = (struct nlattr){ .nla_len = (uint16_t)(sizeof(*a) + op->group.n * sizeof(*g)), .nla_type = NHA_GROUP };
	g = (struct group_member *)(void *)(a + 1);
	for (size_t i = 0; i < op->group.n; i++) {
		uint16_t w = (uint16_t)(MAX_OF(op->group.members[i].weight, 1) - 1);

		/* weight_high stays 0 where the platform told of 8 bits. */
		g[i] = (struct group_member){
			.id = op->group.members[i].nh, .weight = (uint8_t)w, .weight_high = (uint8_t)(w >> 8)
		};
	}
	nl_head(o)->nlmsg_len = (uint32_t)(o->n - o->msg);
}

static void
put_route(struct nl_out *o, const struct plat_op *op, struct rtmsg *m)
{
	static const uint8_t types[] = {
		[PLAT_UNICAST] = RTN_UNICAST, [PLAT_UNREACHABLE] = RTN_UNREACHABLE, [PLAT_BLACKHOLE] = RTN_BLACKHOLE
	};
	const struct plat_route *r = &op->route;
	enum family f = (enum family)r->prefix.family;
	uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
	bool set = op->kind == PLAT_ROUTE_SET;

	m->rtm_family = af_of(f);
	m->rtm_dst_len = r->prefix.len;
	m->rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC;
	m->rtm_type = set ? types[r->type < ARRAY_LEN(types) ? r->type : PLAT_UNREACHABLE] : RTN_UNSPEC;
	m->rtm_scope = set ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
	nl_put(o, RTA_DST, r->prefix.b, family_bytes(f));
	nl_put_u32(o, RTA_PRIORITY, r->metric);
	if (table >= 256)
		nl_put_u32(o, RTA_TABLE, table);
	if (!set)
		return;
	if (r->type == PLAT_UNICAST)
		nl_put_u32(o, RTA_NH_ID, r->group);
	if (!ip_is_zero(&r->source) && r->source.family == r->prefix.family)
		nl_put(o, RTA_PREFSRC, r->source.b, family_bytes(f));
}

bool
nl_put_op(struct nl_out *o, const struct plat_op *op, uint8_t protocol, uint16_t flags, uint32_t seq)
{
	static const uint16_t types[] = {
		[PLAT_NH_SET] = RTM_NEWNEXTHOP,
		[PLAT_NH_DEL] = RTM_DELNEXTHOP,
		[PLAT_GROUP_SET] = RTM_NEWNEXTHOP,
		[PLAT_GROUP_DEL] = RTM_DELNEXTHOP,
		[PLAT_ROUTE_SET] = RTM_NEWROUTE,
		[PLAT_ROUTE_DEL] = RTM_DELROUTE,
	};
	bool set = op->kind == PLAT_NH_SET || op->kind == PLAT_GROUP_SET || op->kind == PLAT_ROUTE_SET;
	bool route = op->kind == PLAT_ROUTE_SET || op->kind == PLAT_ROUTE_DEL;
	void *head;

	flags |= NLM_F_REQUEST;
	if (set)
		flags |= NLM_F_CREATE | (op->only_new ? NLM_F_EXCL : NLM_F_REPLACE);
	head = nl_begin(o, types[op->kind], flags, seq, route ? sizeof(struct rtmsg) : sizeof(struct nhmsg));
	if (head && route) {
		((struct rtmsg *)head)->rtm_protocol = protocol;
		put_route(o, op, head);
	} else if (head && set) {
		((struct nhmsg *)head)->nh_protocol = protocol;
		if (op->kind == PLAT_NH_SET)
			put_nexthop(o, op, head);
		else
			put_group(o, op);
	} else if (head) {
		nl_put_u32(o, NHA_ID, op->id);
	}
	if (o->full) {
		nl_drop(o);
		return false;
	}
	return true;
}

/* ---- reading ---- */

bool
nl_next(struct rd *all, struct nl_in *out)
{
	struct nlmsghdr h;
	struct rd peek = *all;

	if (rd_done(all))
		return false;
	rd_bytes(&peek, &h, sizeof(h));
	if (peek.bad || h.nlmsg_len < sizeof(h)) {
		all->bad = true;
		return false;
	}
	rd_take(all, sizeof(h));
	out->payload = rd_sub(all, h.nlmsg_len - sizeof(h));
	if (all->bad)
		return false;
	/* Padding up to four bytes; the last message may lack it. */
	rd_take(all, MIN_OF(NLMSG_ALIGN(h.nlmsg_len) - h.nlmsg_len, rd_left(all)));
	out->type = h.nlmsg_type;
	out->flags = h.nlmsg_flags;
	out->seq = h.nlmsg_seq;
	out->pid = h.nlmsg_pid;
	return true;
}

#define NL_ATTRS 64
struct nl_attrs {
	struct {
		const uint8_t *p;
		uint16_t n;
	} a[NL_ATTRS]; /* those that came; higher types are skipped */
};

/* False when a length is wrong. */
static bool
nl_attrs(struct rd r, struct nl_attrs *out)
{
	memset(out, 0, sizeof(*out));
	while (rd_left(&r)) {
		struct nlattr a;
		const uint8_t *p;
		uint16_t type;
		size_t n;

		rd_bytes(&r, &a, sizeof(a));
		if (r.bad || a.nla_len < sizeof(a))
			return false;
		n = a.nla_len - sizeof(a);
		p = rd_take(&r, n);
		if (r.bad)
			return false;
		rd_take(&r, MIN_OF((size_t)(-a.nla_len & 3), rd_left(&r)));
		type = a.nla_type & NLA_TYPE_MASK;
		if (type < NL_ATTRS) {
			out->a[type].p = p;
			out->a[type].n = (uint16_t)n;
		}
	}
	return !r.bad;
}

/* False: not there, or not 4 bytes. */
static bool
nl_u32(const struct nl_attrs *at, unsigned int attr, uint32_t *out)
{
	if (!at->a[attr].p || at->a[attr].n != 4)
		return false;
	memcpy(out, at->a[attr].p, 4);
	return true;
}

/* A string attribute, with or without its NUL, cut to the room there is; unprintable bytes become '?'. */
static void
take_text(const struct nl_attrs *at, unsigned int attr, char *out, size_t room)
{
	size_t n = at->a[attr].p ? strnlen((const char *)at->a[attr].p, at->a[attr].n) : 0;

	n = MIN_OF(n, room - 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = at->a[attr].p[i];

		out[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	out[n] = '\0';
}

static bool
take_ip(const struct nl_attrs *at, unsigned int attr, uint8_t af, struct ip *out)
{
	enum family f = af == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;

	*out = (struct ip){ .family = (uint8_t)f };
	if (!at->a[attr].p)
		return true;
	if ((af != AF_INET && af != AF_INET6) || at->a[attr].n != family_bytes(f))
		return false;
	memcpy(out->b, at->a[attr].p, family_bytes(f));
	return true;
}

bool
nl_parse_error(const struct nl_in *in, struct nl_error *out)
{
	struct rd r = in->payload;
	struct nlmsgerr e;
	struct nl_attrs at;

	*out = (struct nl_error){ 0 };
	rd_bytes(&r, &e, sizeof(e));
	if (r.bad || e.error > 0)
		return false;
	out->error = e.error;
	out->seq = e.msg.nlmsg_seq;
	if (!(in->flags & NLM_F_ACK_TLVS))
		return true;
	if (!(in->flags & NLM_F_CAPPED)) { /* the request stands in between, whole */
		if (e.msg.nlmsg_len < sizeof(e.msg))
			return false;
		rd_take(&r, NLMSG_ALIGN((size_t)e.msg.nlmsg_len) - sizeof(e.msg));
	}
	if (r.bad || !nl_attrs(r, &at))
		return false;
	take_text(&at, NLMSGERR_ATTR_MSG, out->text, sizeof(out->text));
	return true;
}

int
nl_parse_done(const struct nl_in *in)
{
	struct rd r = in->payload;
	int error;

	rd_bytes(&r, &error, sizeof(error));
	return MIN_OF(error, 0);
}

/* Of a port's IFLA_LINKINFO, which may not be there. */
static bool
is_bridge_port(const uint8_t *info, size_t n)
{
	struct nl_attrs at;
	char kind[16];

	if (!info || !nl_attrs(rd_make(info, n), &at))
		return false;
	take_text(&at, IFLA_INFO_SLAVE_KIND, kind, sizeof(kind));
	return strcmp(kind, "bridge") == 0;
}

bool
nl_parse_link(const struct nl_in *in, struct nl_link *out)
{
	struct rd r = in->payload;
	struct ifinfomsg m;
	struct nl_attrs at;

	*out = (struct nl_link){ 0 };
	rd_bytes(&r, &m, sizeof(m));
	if (r.bad || m.ifi_index <= 0 || !nl_attrs(r, &at))
		return false;
	out->ifindex = (uint32_t)m.ifi_index;
	out->flags = m.ifi_flags;
	out->family = m.ifi_family;
	take_text(&at, IFLA_IFNAME, out->name, sizeof(out->name));
	nl_u32(&at, IFLA_MTU, &out->mtu);
	nl_u32(&at, IFLA_MAX_MTU, &out->max_mtu);
	nl_u32(&at, IFLA_MASTER, &out->master);
	nl_u32(&at, IFLA_LINK, &out->link);
	nl_u32(&at, IFLA_CARRIER_DOWN_COUNT, &out->carrier_downs);
	if (at.a[IFLA_ADDRESS].p && at.a[IFLA_ADDRESS].n == sizeof(out->mac)) {
		memcpy(out->mac, at.a[IFLA_ADDRESS].p, sizeof(out->mac));
		out->has_mac = true;
	}
	out->in_bridge = out->master && is_bridge_port(at.a[IFLA_LINKINFO].p, at.a[IFLA_LINKINFO].n);
	return true;
}

bool
nl_parse_addr(const struct nl_in *in, struct nl_addr *out)
{
	struct rd r = in->payload;
	struct ifaddrmsg m;
	struct nl_attrs at;
	unsigned int which;

	*out = (struct nl_addr){ 0 };
	rd_bytes(&r, &m, sizeof(m));
	if (r.bad || !nl_attrs(r, &at))
		return false;
	which = at.a[IFA_LOCAL].p ? IFA_LOCAL : IFA_ADDRESS;
	if (!at.a[which].p || !take_ip(&at, which, m.ifa_family, &out->addr))
		return false;
	out->ifindex = m.ifa_index;
	out->len = m.ifa_prefixlen;
	out->flags = m.ifa_flags;
	nl_u32(&at, IFA_FLAGS, &out->flags);
	return true;
}

bool
nl_parse_neigh(const struct nl_in *in, uint32_t *ifindex)
{
	struct rd r = in->payload;
	struct nl_attrs at;
	struct ndmsg m;

	rd_bytes(&r, &m, sizeof(m));
	if (r.bad || !nl_attrs(r, &at))
		return false;
	*ifindex = (uint32_t)m.ndm_ifindex;
	return true;
}

static bool
parse_members(const struct nl_attrs *at, struct plat_member *room, size_t max, struct plat_op *out)
{
	size_t n = at->a[NHA_GROUP].n / sizeof(struct group_member);

	if (at->a[NHA_GROUP].n % sizeof(struct group_member) || n > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct group_member g;

		memcpy(&g, at->a[NHA_GROUP].p + i * sizeof(g), sizeof(g));
		room[i] = (struct plat_member){ .nh = g.id,
			.weight = (uint16_t)MIN_OF(
			    (uint32_t)g.weight + ((uint32_t)g.weight_high << 8) + 1, (uint32_t)UINT16_MAX) };
	}
	out->kind = PLAT_GROUP_SET;
	out->group.members = room;
	out->group.n = n;
	return true;
}

bool
nl_parse_nexthop(const struct nl_in *in, struct plat_member *room, size_t max, uint8_t *protocol, struct plat_op *out)
{
	struct rd r = in->payload;
	struct nhmsg m;
	struct nl_attrs at;

	*out = (struct plat_op){ .kind = PLAT_NH_SET };
	rd_bytes(&r, &m, sizeof(m));
	if (r.bad || !nl_attrs(r, &at) || !nl_u32(&at, NHA_ID, &out->id) || !out->id)
		return false;
	*protocol = m.nh_protocol;
	if (at.a[NHA_GROUP].p)
		return parse_members(&at, room, max, out);
	nl_u32(&at, NHA_OIF, &out->nh.ifindex);
	return take_ip(&at, NHA_GATEWAY, m.nh_family, &out->nh.gateway);
}

bool
nl_parse_route(const struct nl_in *in, uint8_t *protocol, struct plat_op *out)
{
	struct rd r = in->payload;
	struct rtmsg m;
	struct nl_attrs at;
	struct ip dst;

	*out = (struct plat_op){ .kind = PLAT_ROUTE_SET };
	rd_bytes(&r, &m, sizeof(m));
	if (r.bad || !nl_attrs(r, &at) || (m.rtm_family != AF_INET && m.rtm_family != AF_INET6))
		return false;
	if (!take_ip(&at, RTA_DST, m.rtm_family, &dst) || m.rtm_dst_len > family_bits((enum family)dst.family) ||
	    !take_ip(&at, RTA_PREFSRC, m.rtm_family, &out->route.source))
		return false;
	if (ip_is_zero(&out->route.source))
		out->route.source = (struct ip){ 0 };
	out->route.prefix = prefix_of(&dst, m.rtm_dst_len);
	out->route.table = m.rtm_table;
	nl_u32(&at, RTA_TABLE, &out->route.table);
	if (out->route.table == RT_TABLE_MAIN)
		out->route.table = 0;
	nl_u32(&at, RTA_PRIORITY, &out->route.metric);
	nl_u32(&at, RTA_NH_ID, &out->route.group);
	out->route.type = m.rtm_type == RTN_BLACKHOLE ? PLAT_BLACKHOLE
			  : m.rtm_type == RTN_UNICAST ? PLAT_UNICAST
						      : PLAT_UNREACHABLE;
	*protocol = m.rtm_protocol;
	return true;
}
