/* fabricd/runtime/socket.c -- IP sockets: addresses, options, and what comes along with a datagram */
#include "fabricd/runtime/socket.h"

#include <netinet/in.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

#define TC_CONTROL 7 /* SO_PRIORITY: before all other packets of the port's queue */

/* ---- addresses ---- */

int
socket_family(enum family family)
{
	return family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
}

socklen_t
socket_address(int family, const struct ip *a, uint16_t port, uint32_t ifindex, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *four = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*six));
	if (family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		four->sin_addr.s_addr = htonl(ip_to_v4(a));
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	if (a->family == FAMILY_IPV6)
		memcpy(&six->sin6_addr, a->b, 16);
	if (ip_is_link_local(a))
		six->sin6_scope_id = ifindex;
	return sizeof(*six);
}

struct ip
socket_ip(const struct sockaddr_storage *ss, uint16_t *port)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *four = (const struct sockaddr_in *)ss;

	*port = 0;
	if (ss->ss_family == AF_INET) {
		*port = ntohs(four->sin_port);
		return ip_v4(ntohl(four->sin_addr.s_addr));
	}
	if (ss->ss_family != AF_INET6)
		return (struct ip){ .family = FAMILY_IPV4 };
	*port = ntohs(six->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return ip_v4(get_u32(six->sin6_addr.s6_addr + 12));
	return ip_v6(six->sin6_addr.s6_addr);
}

/* ---- options ---- */

int
socket_set(int fd, const struct socket_option *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, o[i].level, o[i].name, &o[i].value, sizeof(o[i].value)) < 0)
			return -errno;
	return 0;
}

int
socket_bind_port(int fd, uint32_t ifindex)
{
	const struct socket_option port = { SOL_SOCKET, SO_BINDTOIFINDEX, (int)ifindex };

	return ifindex ? socket_set(fd, &port, 1) : 0;
}

static int
datagram_options(int fd, const struct rt_datagram_options *o)
{
	const struct socket_option six[] = {
		{ IPPROTO_IPV6, IPV6_V6ONLY, 1 },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
		{ IPPROTO_IPV6, IPV6_TCLASS, o->tclass },
		{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, o->hop_limit ? o->hop_limit : -1 },
	};
	const struct socket_option four[] = {
		{ IPPROTO_IP, IP_PKTINFO, 1 },
		{ IPPROTO_IP, IP_RECVTTL, 1 },
		{ IPPROTO_IP, IP_TOS, o->tclass },
		{ IPPROTO_IP, IP_TTL, o->hop_limit ? o->hop_limit : -1 },
	};

	return o->local.family == FAMILY_IPV6 ? socket_set(fd, six, ARRAY_LEN(six))
					      : socket_set(fd, four, ARRAY_LEN(four));
}

int
socket_bind_datagrams(int fd, const struct rt_datagram_options *o, int receive_buffer)
{
	const struct socket_option priority = { SOL_SOCKET, SO_PRIORITY, TC_CONTROL };
	const struct socket_option forced = { SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer };
	const struct socket_option asked = { SOL_SOCKET, SO_RCVBUF, receive_buffer };
	struct sockaddr_storage ss;
	socklen_t len = socket_address(socket_family(o->local.family), &o->local, o->local_port, o->ifindex, &ss);
	int err = socket_bind_port(fd, o->ifindex);

	if (!err)
		err = datagram_options(fd, o);
	if (err)
		return err;
	/* Both better, neither needed. */
	socket_set(fd, &priority, 1);
	if (socket_set(fd, &forced, 1))
		socket_set(fd, &asked, 1);
	return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* ---- control messages ---- */

unsigned int
socket_control(const struct cmsghdr *c, struct rt_datagram *out)
{
	bool four = c->cmsg_level == IPPROTO_IP, six = c->cmsg_level == IPPROTO_IPV6;
	struct in6_pktinfo info6;
	struct in_pktinfo info4;
	int hops;

	if (six && c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info6))) {
		memcpy(&info6, CMSG_DATA(c), sizeof(info6));
		out->dst = ip_v6(info6.ipi6_addr.s6_addr);
		out->ifindex = info6.ipi6_ifindex;
		return SOCKET_HAS_DST;
	}
	if (four && c->cmsg_type == IP_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(info4))) {
		memcpy(&info4, CMSG_DATA(c), sizeof(info4));
		out->dst = ip_v4(ntohl(info4.ipi_addr.s_addr));
		out->ifindex = (uint32_t)info4.ipi_ifindex;
		return SOCKET_HAS_DST;
	}
	if (((six && c->cmsg_type == IPV6_HOPLIMIT) || (four && c->cmsg_type == IP_TTL)) &&
	    c->cmsg_len >= CMSG_LEN(sizeof(hops))) {
		memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		out->hop_limit = (uint8_t)hops;
		return SOCKET_HAS_HOPS;
	}
	return 0;
}
