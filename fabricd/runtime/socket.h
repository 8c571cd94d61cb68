/*
 * fabricd/runtime/socket.h -- IP sockets: addresses, options, and what comes along with a datagram
 *
 * For those who open sockets of their own: runtime/event, and bfdd. Errors are -errno; nothing is allocated.
 */
#ifndef FABRICD_RUNTIME_SOCKET_H
#define FABRICD_RUNTIME_SOCKET_H

#include <sys/socket.h>

#include "fabricd/runtime/runtime.h"

/*
 * The address for bind(), connect() or sendto() on a socket of `family` (AF_INET, AF_INET6), and its length. ifindex is
 * the scope of a link-local one. An IPv4 address on a socket of AF_INET6 gives the unspecified address.
 */
socklen_t socket_address(int family, const struct ip *, uint16_t port, uint32_t ifindex, struct sockaddr_storage *);

/* The other way; a mapped IPv4 address (RFC 4291 2.5.5.2) as IPv4. Neither family: 0.0.0.0 and port 0. */
struct ip socket_ip(const struct sockaddr_storage *, uint16_t *port);

/* AF_INET or AF_INET6. */
int socket_family(enum family);

struct socket_option {
	int level, name, value;
};

/* Up to the first that fails. */
int socket_set(int fd, const struct socket_option *, size_t n);

/* To and from this port alone; 0: any. */
int socket_bind_port(int fd, uint32_t ifindex);

/* All that the options ask for, then bind(). receive_buffer is in bytes, a wish: without privilege the system's limit holds. */
int socket_bind_datagrams(int fd, const struct rt_datagram_options *, int receive_buffer);

/* Takes destination and port, or the hop limit, from one control message; SOCKET_HAS_*, or 0 when it is another one. */
enum { SOCKET_HAS_DST = 1, SOCKET_HAS_HOPS = 2, SOCKET_HAS_ALL = 3 };
unsigned int socket_control(const struct cmsghdr *, struct rt_datagram *out);

#endif
