/*
 * fabricd/upgrade/giver.h -- the old side of an upgrade: starts the successor, hands over, or goes on
 *
 *   begin -> start -> hello -> (waits for what cannot be handed over now) -> frozen -> settled -> snapshot -> ready
 *         -> commit -> running: gone                            any failure: the successor is ended, the node thaws
 *
 * Until the successor says RUNNING this process owns everything; from then on it owns nothing, and its end must close
 * nothing in order: config.gone() calls _exit().
 */
#ifndef FABRICD_UPGRADE_GIVER_H
#define FABRICD_UPGRADE_GIVER_H

#include "fabricd/node_upgrade.h"

struct giver;

struct giver_config {
	struct runtime *rt;
	struct mem *mem;
	struct node *node;
	char *const *argv;                           /* of this process; without --takeover the successor's */
	const char *self;                            /* path of our own program */
	int lock;                                    /* descriptor of the lock */
	int (*query)(void *arg, struct rt_parcel *); /* the listener of the query socket; -errno: there is none */
	void (*given)(void *arg, int successor);     /* everything is the process's with this id: tell who asked */
	void (*kept)(void *arg); /* a successor that may have said that it is in charge is not, and has ended */
	bool (*owes)(void *arg); /* whether who asked has not got the whole answer yet; may be NULL */
	void (*gone)(void *arg, int code); /* ends the process at once, closing nothing in order */
	void *arg;
};

struct giver *giver_new(const struct giver_config *);
void giver_free(struct giver *); /* an upgrade under way fails; NULL is allowed */
/* -EBUSY: one is under way. */
int giver_begin(struct giver *, const char *binary, char *err, size_t errlen);
/* Ends an upgrade that is under way: the node goes on. False: it is too late, or there is none. */
bool giver_cancel(struct giver *, const char *why);
const struct node_upgrade_report *giver_report(const struct giver *);

#endif
