/*
 * fabricd/upgrade/state.h -- a node into a snapshot, and out of it again
 *
 *   old, frozen: state_save..() -- bytes, and parcels of streams and listeners ----> state_open() :new
 *                                                                       node_new(state->inherit)
 *                                                                       state_restore()  held
 *                                                                       state_agrees()   asked until it is true
 *   old, given:  state_save_output() ---- what TCP has not taken yet ----> state_adopt()   node_take_over(): in charge
 *
 * The snapshot holds what cannot be learned again without the peers: sessions, and paths with what was told of them.
 * Ports, neighbours, the forwarding plane and BFD are looked at anew by the successor, and compared with what the
 * snapshot says; the decision, groups and routes follow from the paths.
 *
 * Not here: processes, descriptors, time limits (giver.c, taker.c).
 */
#ifndef FABRICD_UPGRADE_STATE_H
#define FABRICD_UPGRADE_STATE_H

#include "fabricd/node_upgrade.h"
#include "fabricd/upgrade/snapshot.h"

#define STATE_NO_PARCEL 0xffffu

/* Streams and listeners in the order in which the snapshot counts them. */
struct parcels {
	struct mem *mem;
	struct rt_parcel *list;
	size_t n, cap;
};

struct state_facts {
	char version[32], name[64], digest[80];
	uint64_t peers, paths, prefixes; /* peers: Established */
	uint64_t right, wrong, unwanted; /* of its forwarding plane: struct sync_comparison */
	bool bfd;                        /* bfdd was there */
};

/*
 * Saves a settled node in slices; nothing of it changes. The snapshot was begun, and is ended by the caller; both it and the
 * parcels must live as long. The parcels' leftovers are in the snapshot.
 */
struct saving;
struct saving *state_save_begin(struct node *, struct snapshot *, struct parcels *, struct state_facts *);
/*
 * Goes on for about so many prefixes. 1: there is more to do; 0: it is whole; -ESTALE: routes, sessions or ports have changed
 * since the beginning, and what was saved is of no use.
 */
int state_save_more(struct saving *, size_t steps);
void state_save_end(struct saving *); /* at any moment; NULL is allowed */
/* All of it at once: 0 or -ESTALE, as it is not settled. */
int state_save(struct node *, struct snapshot *, struct parcels *, struct state_facts *);
/* What is still to be sent, after node_give(). */
void state_save_output(struct node *, struct snapshot *);
void parcels_free(struct parcels *);

struct state;

/*
 * Reads a snapshot; bytes must live as long as the state. NULL with a sentence in err: it is not a whole one of this format.
 */
struct state *state_open(struct mem *, const void *bytes, size_t n, char *err, size_t errlen);
void state_free(struct state *); /* NULL is allowed */
const struct state_facts *state_facts(const struct state *);
const struct node_inherit *state_inherit(const struct state *); /* lives as long as the state */
/* How many parcels belong to it. */
size_t state_parcels(const struct state *);

/* Into a node that is held, before the first turn of the loop. 0; -EBADMSG: it does not fit, and the node is useless. */
int state_restore(struct state *, struct node *, char *err, size_t errlen);
/* Groups of peers that this version would have told other things, or in other words: they are told all again. */
uint64_t state_retold(const struct state *);
/* Whether the node is what the old one was, ports, BFD and forwarding plane included; else why not yet. */
bool state_agrees(const struct state *, struct node *, char *why, size_t size);
/* Streams and listeners go to the node; output: of state_save_output(). node_take_over() then puts it in charge. */
int state_adopt(struct state *, const struct rt_parcel *, size_t n, const void *output, size_t output_len, char *err,
    size_t errlen);

#endif
