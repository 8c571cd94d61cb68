/*
 * platform/linux/nlmsg.h -- netlink messages, made and read by hand: pure, no sockets
 *
 * libnl 3.7 knows no next-hop objects, and the hot path wants no allocation per message. Writing goes into one buffer
 * of a batch; reading goes through the bounded cursor, and a message that lies about its lengths is refused whole.
 * Integers are in host order, as netlink has them.
 */
#ifndef PLATFORM_LINUX_NLMSG_H
#define PLATFORM_LINUX_NLMSG_H

#include <linux/netlink.h>

#include "fabricd/lib/wire.h"
#include "platform/platform.h"

/* What the headers of Debian 12 (6.1) lack. */

/* ---- writing ---- */

struct nl_out {
	uint8_t *bytes;
	size_t n, cap;
	size_t msg; /* where the current message begins */
	bool full;  /* the current message did not fit: nl_put_op() takes it away */
};

/* Begins a message with `head` bytes of family header, zeroed; returns that header, or NULL when there is no room. */
void *nl_begin(struct nl_out *, uint16_t type, uint16_t flags, uint32_t seq, size_t head);
void nl_put(struct nl_out *, uint16_t attr, const void *value, size_t n);
void nl_put_u32(struct nl_out *, uint16_t attr, uint32_t value);
size_t nl_nest(struct nl_out *, uint16_t attr); /* the place to give to nl_nest_end() */
void nl_nest_end(struct nl_out *, size_t nest);
struct nlmsghdr *nl_head(struct nl_out *); /* of the current message */

/* One operation as one message; false: no room in the buffer (nothing was written). */
bool nl_put_op(struct nl_out *, const struct plat_op *, uint8_t protocol, uint16_t flags, uint32_t seq);

/* ---- reading ---- */

struct nl_in {
	uint16_t type, flags;
	uint32_t seq, pid;
	struct rd payload;
};

/* The next message of a datagram; false at the end, and then `all->bad` says whether the end was regular. */
bool nl_next(struct rd *all, struct nl_in *out);

struct nl_error {
	int error; /* 0 or -errno */
	uint32_t seq;
	char text[160]; /* the kernel's words, "" none */
};
bool nl_parse_error(const struct nl_in *, struct nl_error *out);

/* The end of a dump: 0, or the -errno with which the kernel broke off, which is no NLMSG_ERROR. */
int nl_parse_done(const struct nl_in *);

struct nl_link {
	uint32_t ifindex, flags, mtu, max_mtu, master, link, carrier_downs; /* link: the other end of a pair */
	uint8_t family; /* AF_UNSPEC, or AF_BRIDGE: about its membership only */
	char name[PLATFORM_PORT_NAME];
	uint8_t mac[6];
	bool has_mac;
	bool in_bridge; /* its master is a bridge */
};
bool nl_parse_link(const struct nl_in *, struct nl_link *out);

struct nl_addr {
	uint32_t ifindex, flags;
	uint8_t len;
	struct ip addr;
};
bool nl_parse_addr(const struct nl_in *, struct nl_addr *out);

/* A neighbour: on which port. */
bool nl_parse_neigh(const struct nl_in *, uint32_t *ifindex);

/* A next hop or a group as an operation; members are written to `room`, at most `max` of them. */
bool nl_parse_nexthop(
    const struct nl_in *, struct plat_member *room, size_t max, uint8_t *protocol, struct plat_op *out);
bool nl_parse_route(const struct nl_in *, uint8_t *protocol, struct plat_op *out);

#endif
