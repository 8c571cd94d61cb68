/* bfd/daemon/server.h -- the clients of bfdd, on a UNIX socket */
#ifndef BFD_DAEMON_SERVER_H
#define BFD_DAEMON_SERVER_H

#include "bfd/host/host.h"

struct bfd_server;

struct bfd_server_stats {
	uint64_t accepted, cut_off, requests, refused, turned_away;
	size_t clients; /* now; no counter */
};

/* 0 or -errno of the listening socket. mode: of the socket's file. The host must outlive the server. */
int bfd_server_new(
    struct runtime *, struct mem *, struct bfd_host *, const char *path, unsigned int mode, struct bfd_server **);
void bfd_server_free(struct bfd_server *);
/* Who has counters that clients are told of, beside the server's and the host's: more() tells of them, at once. */
void bfd_server_more_counters(struct bfd_server *, void (*more)(void *arg, bfd_count_fn *, void *to), void *arg);
void bfd_server_stats(const struct bfd_server *, struct bfd_server_stats *);

#endif
