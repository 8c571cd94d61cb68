/*
 * fabricd/runtime/work_queue.h -- work that waits for its slice, the urgent first, each kind in the order it came in
 *
 * For those who implement a runtime. An item is embedded in what waits, and is in at most one queue.
 */
#ifndef FABRICD_RUNTIME_WORK_QUEUE_H
#define FABRICD_RUNTIME_WORK_QUEUE_H

#include "fabricd/runtime/runtime.h"

struct work_item {
	struct work_item *next;
	enum rt_priority priority;
	bool queued;
};

struct work_queue {
	struct work_item *head[RT_PRIORITIES], *tail[RT_PRIORITIES];
};

void work_queue_add(struct work_queue *, struct work_item *); /* it must not be queued */
/* Takes it out, if it is queued. */
void work_queue_remove(struct work_queue *, struct work_item *);
/* Who is next; it stays. NULL: nobody waits. */
struct work_item *work_queue_first(const struct work_queue *);

#endif
