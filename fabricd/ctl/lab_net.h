/*
 * fabricd/ctl/lab_net.h -- namespaces, veth pairs and processes, as the laboratory needs them
 *
 * All of it acts on this process or through one rtnetlink socket; errors are -errno.
 */
#ifndef FABRICD_CTL_LAB_NET_H
#define FABRICD_CTL_LAB_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fabricd/lib/ip.h"

/* ---- rtnetlink of one network namespace: the one in which the socket was opened ---- */

struct lab_nl {
	int fd;
	uint32_t seq;
};

int lab_nl_open(struct lab_nl *);
void lab_nl_close(struct lab_nl *);

/*
 * One pair, each end made in its own namespace (descriptors of them) under its name, both down. They get the interface
 * indices ifindex and ifindex + 1: with the same index at both ends the kernel would take them for ports without a
 * lower device, and tell changes of their carrier up to a second late (linkwatch_urgent_event).
 */
int lab_nl_veth(struct lab_nl *, int ns_a, const char *a, int ns_b, const char *b, uint32_t ifindex);
int lab_nl_link_up(struct lab_nl *, const char *port, bool up);
int lab_nl_address(struct lab_nl *, const char *port, const struct ip *, unsigned int len);
/* The default route of the gateway's family, on-link. */
int lab_nl_default(struct lab_nl *, const char *port, const struct ip *gateway);

struct lab_port {
	uint32_t ifindex;
	bool up, carrier;
};
int lab_nl_port(struct lab_nl *, const char *port, struct lab_port *out); /* -ENODEV: no such port */

/* ---- namespaces ---- */

/* Moves this process into a new network namespace and pins it at `path`, an empty file that is made. */
int lab_ns_make(const char *path);
/* Moves this process into the namespace at path. */
int lab_ns_enter(const char *path);
int lab_ns_unpin(const char *path);

/* Writes one sysctl of the present namespace: "net/ipv6/conf/eth0/accept_ra". */
int lab_sysctl(const char *name, const char *value);

/*
 * Moves this process into a new user and mount namespace where it is root. *stage says what was refused:
 * "user" or "mount".
 */
int lab_user_ns(const char **stage);
/* Which sysctl forbids user namespaces here, with the value that allows them: "kernel.unprivileged_userns_clone=1". */
const char *lab_user_ns_sysctl(void);

/* ---- processes: known by pid and start time, so that a reused pid is never hit ---- */

struct lab_process {
	pid_t pid;      /* 0: none */
	uint64_t start; /* clock ticks since boot */
};

struct lab_process lab_process_of(pid_t);
bool lab_process_alive(const struct lab_process *);
/* SIGTERM, and SIGKILL for those that are still there after grace_ms. Returns how many had to be killed. */
size_t lab_process_end(struct lab_process *const list[], size_t n, int grace_ms);

#endif
