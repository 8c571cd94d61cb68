/* platform/linux/linux.h -- the Linux kernel as the forwarding plane, over netlink */
#ifndef PLATFORM_LINUX_LINUX_H
#define PLATFORM_LINUX_LINUX_H

#include "platform/platform.h"

#define LINUX_PROTOCOL 211 /* marks our routes and next hops in the kernel */

struct linux_options {
	uint8_t protocol;      /* 0: LINUX_PROTOCOL */
	const char *proc_sys;  /* NULL: /proc/sys */
	uint32_t event_buffer; /* bytes for the kernel's events; 0: 4 MiB for links, 8 MiB for routes */
};

/*
 * The forwarding plane of the network namespace that the process is in now. NULL: not possible, and err says why and
 * what to do. options may be NULL. What is in the kernel is neither read nor changed until it is asked for; the ports
 * that exist are told from the loop.
 */
struct platform *linux_platform_open(
    struct runtime *, struct mem *, const struct linux_options *, char *err, size_t errlen);

/* What happened on the sockets; linux.c says of each what it is. */
struct linux_counters {
	uint64_t messages, batches, refused;
	uint64_t overruns;    /* ENOBUFS: events were lost, all was read again */
	uint64_t malformed;   /* messages that could not be read */
	uint64_t not_kernel;  /* messages from a sender that is not the kernel: ignored */
	uint64_t interrupted; /* dumps during which something changed: begun again */
	uint64_t foreign;     /* changes of our objects by others */
	uint64_t bulks;       /* long series of routes, written by a thread */
	uint64_t early;       /* losses of carrier that were known before RTM_NEWLINK */
};
const struct linux_counters *linux_platform_counters(const struct platform *);

#endif
