/* fabricd/upgrade/impl.h -- what save.c and restore.c agree upon beside the kinds of sections */
#ifndef FABRICD_UPGRADE_IMPL_H
#define FABRICD_UPGRADE_IMPL_H

#include "fabricd/lib/version.h"
#include "fabricd/upgrade/state.h"

#define STATE_NONE16 0xffffu
#define STATE_NONE32 0xffffffffu

/*
 * What one peer of a group has been told of all prefixes, octet for octet but for next hops: the same in both processes,
 * or the group is to be told anew. 0 for the others of the group: the first speaks for all. Its group is counted by the way.
 */
uint64_t state_told_digest(struct node *, const struct node_peer *);
#define STATE_TOLD_NOTHING 1u

/* The same in slices, while what peers were told does not change. */
struct state_told {
	struct state_told_cache *cache;
	uint64_t sum;
	unsigned int family;
	uint32_t at;
	uint64_t count[FAMILIES]; /* prefixes that it was told of */
};

void state_told_begin(struct node *, struct state_told *);
/* So many prefixes, which it takes off; true: there are more. The peer has an export. */
bool state_told_more(struct node *, const struct node_peer *, struct state_told *, size_t *steps);
uint64_t state_told_end(struct node *, struct state_told *);

bool state_speaks_for_group(const struct node *, const struct node_peer *);

enum { STATE_INSTALLED = 1, STATE_TOLD_BEST = 2, STATE_TOLD_OTHER = 4 };

#endif
