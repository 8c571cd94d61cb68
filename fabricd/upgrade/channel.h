/*
 * fabricd/upgrade/channel.h -- the words between a fabricd and its successor, over a socket pair
 *
 *   new: HELLO ----------------------------------------->  what it is: protocol, format, version, node, file
 *   old: <------------------- SNAPSHOT, DESCRIPTORS ...    a memfd, and copies of all sockets
 *   new: PROGRESS ... READY ---------------------------->  it is what the old one is, and holds
 *   old: <------------------------------------- COMMIT     it writes no more; a memfd with what is unsent
 *   new: RUNNING --------------------------------------->  in charge; only now it reads and writes
 *
 * FAILED, the end of either process, or a missed deadline end it at any point before COMMIT with nothing changed.
 * Messages are packets of at most CHANNEL_MAX octets: 1 kind, 1 zero, then the body. What does not parse is a failure.
 */
#ifndef FABRICD_UPGRADE_CHANNEL_H
#define FABRICD_UPGRADE_CHANNEL_H

#include "fabricd/lib/wire.h"

#define CHANNEL_PROTOCOL 1u
#define CHANNEL_MAX      1024
#define CHANNEL_FDS      128 /* in one message */

/*
 * How long the old one waits, in microseconds: from the start to RUNNING, and more for each path. A million of them take
 * some 5 s, of which the dump of the kernel is the half; it must follow the freeze, since it is the proof.
 */
#define CHANNEL_LIMIT_US 5000000
#define CHANNEL_PATH_US  10

enum channel_kind {
	CHANNEL_HELLO = 1,
	CHANNEL_SNAPSHOT,
	CHANNEL_DESCRIPTORS,
	CHANNEL_PROGRESS,
	CHANNEL_READY,
	CHANNEL_COMMIT,
	CHANNEL_RUNNING,
	CHANNEL_FAILED,
	CHANNEL_KINDS,
};

struct channel_message {
	enum channel_kind kind;
	struct rd body; /* borrows from bytes */
	uint8_t bytes[CHANNEL_MAX];
	int fds[CHANNEL_FDS]; /* the receiver's from here on; close-on-exec */
	size_t nfds;
};

struct channel_hello {
	uint16_t protocol, format;
	char version[32], node[64], digest[80];
};

/* 0 or -errno. Small messages: the socket has room for those of one handover. */
int channel_send(int fd, enum channel_kind, const void *body, size_t n, const int *fds, size_t nfds);
int channel_say(int fd, enum channel_kind, const char *text); /* PROGRESS, FAILED */
/*
 * One message: 0; -EAGAIN: none is there; -EPIPE: the other process has ended or closed it; -EBADMSG: no message of
 * ours; -EMFILE: it came with more descriptors than this process may still have. Does not wait.
 */
int channel_receive(int fd, struct channel_message *out);
/* The same, but waits up to timeout_ms: -ETIMEDOUT. */
int channel_wait(int fd, struct channel_message *out, int timeout_ms);
void channel_close_fds(struct channel_message *); /* those that were not taken (set to -1) */

int channel_hello(int fd, const struct channel_hello *);
bool channel_hello_read(struct rd body, struct channel_hello *out);
char *channel_text(struct rd body, char *buf, size_t size); /* printable ASCII */

/* A descriptor that holds these bytes and cannot be changed any more; or -errno. */
int channel_memory(const char *name, const void *bytes, size_t n);
/* The same in pieces: made, written to from the beginning on, and sealed. */
int channel_memory_new(const char *name);
int channel_memory_write(int fd, const void *bytes, size_t n);
int channel_memory_seal(int fd);
/* What it holds, mapped; NULL and errno. channel_unmap() gives it back. */
const void *channel_map(int fd, size_t *n);
void channel_unmap(const void *, size_t n);

#endif
