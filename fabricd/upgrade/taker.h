/*
 * fabricd/upgrade/taker.h -- the new side of an upgrade: becomes what the old one is, and takes over
 *
 *   taker_open(), taker_hello(), taker_receive()     before there is a loop: waits, with a limit
 *   node_new(inherit), taker_start()                 held, in the loop, until it agrees and is told to
 *   config.running() ... in charge
 *
 * Any failure is told to the old one, and ends this process without a word to anybody else: it goes on. The same when
 * the old one ends first.
 */
#ifndef FABRICD_UPGRADE_TAKER_H
#define FABRICD_UPGRADE_TAKER_H

#include "fabricd/upgrade/state.h"

struct taker;

/* fd: what --takeover names. NULL with a sentence in err: it is no channel. */
struct taker *taker_open(struct mem *, int fd, char *err, size_t errlen);
/* Says who we are. 0 or -errno. */
int taker_hello(struct taker *, const struct topo *, const char *node);
/* Waits for the snapshot and all descriptors: 0; else it has told the other end why not. */
int taker_receive(struct taker *);
/* Tells the other end why this process cannot be its successor; the process then ends. */
void taker_fail(struct taker *, const char *fmt, ...) PRINTF_LIKE(2, 3);

const struct node_inherit *taker_inherit(const struct taker *);
const struct state_facts *taker_facts(const struct taker *);
/* The listener of the query socket; false: the old one had none. To be taken over when running. */
bool taker_query(const struct taker *, struct rt_parcel *);
int taker_lock(const struct taker *); /* descriptor of the lock, which is held */

struct taker_ops {
	/* The next word is RUNNING, unless the other process has ended by then: tell whoever must know who is in charge. */
	void (*announce)(void *arg);
	/* Sessions and routes are the node's; the other process reads and writes nothing more. */
	void (*running)(void *arg);
	/* It came to nothing: the process is to end, closing nothing in order. */
	void (*failed)(void *arg);
};

/* Restores the node and goes on in its loop. 0 or -errno, after the other end was told. */
int taker_start(struct taker *, struct node *, const struct taker_ops *, void *arg);
void taker_free(struct taker *); /* NULL is allowed */

#endif
