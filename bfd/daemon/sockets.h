/* bfd/daemon/sockets.h -- bfdd's UDP sockets: what may wait, waits; what is junk, does not stand in the way */
#ifndef BFD_DAEMON_SOCKETS_H
#define BFD_DAEMON_SOCKETS_H

#include "fabricd/lib/mem.h"
#include "fabricd/runtime/runtime.h"

/* One descriptor, by what it is for; kept by the keeper as it is. */
enum bfd_fd_role { BFD_FD_SEND, BFD_FD_URGENT, BFD_FD_ROUTINE, BFD_FD_JUNK, BFD_FD_ROLES };
struct bfd_fd_key {
	uint8_t role, family, hop_limit, zero;
	uint16_t port, zeros;
	uint32_t ifindex;
	uint8_t local[16];
};

struct bfd_sockets;
struct bfd_sockets_config {
	struct runtime *rt;
	struct mem *mem;
	uint16_t tag;            /* upper half of our discriminators: who does not know it is junk */
	void (*read)(void *arg); /* after the packets of one reading were given, but not after a drain */
	/* Somebody who keeps descriptors for the next bfdd: fd -1 is one that was closed. NULL: nobody. */
	void (*keep)(void *arg, const struct bfd_fd_key *, int fd);
	void *arg;
};
struct bfd_sockets_stats {
	uint64_t overflowed; /* packets that the kernel dropped, since a queue was full */
	size_t sockets;
};

struct bfd_sockets *bfd_sockets_new(const struct bfd_sockets_config *);
/* Upper half of our discriminators: who does not know it is junk. Before anything is opened. */
void bfd_sockets_set_tag(struct bfd_sockets *, uint16_t tag);
void bfd_sockets_free(struct bfd_sockets *); /* NULL is allowed; its sockets have been closed before */
/* A descriptor of an earlier bfdd: the next open with this key takes it. It is ours from here on. */
void bfd_sockets_adopt(struct bfd_sockets *, const struct bfd_fd_key *, int fd);
/* Closes what was adopted and nobody has taken. */
void bfd_sockets_settle(struct bfd_sockets *);
/* As rt_datagrams_open(); rt_datagram_send(), rt_datagrams_drain() and rt_datagrams_close() work on what it gives. */
int bfd_sockets_open(
    void *sockets, const struct rt_datagram_options *, rt_datagram_fn *, void *arg, struct rt_datagrams **);
/* Whether packets that change nothing are given when they come, or wait for rt_datagrams_drain(). */
void bfd_sockets_attend(void *sockets, struct rt_datagrams *, bool attend);
void bfd_sockets_stats(const struct bfd_sockets *, struct bfd_sockets_stats *);

#endif
