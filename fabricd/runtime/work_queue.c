/* fabricd/runtime/work_queue.c -- see work_queue.h */
#include "fabricd/runtime/work_queue.h"

void
work_queue_add(struct work_queue *q, struct work_item *w)
{
	w->queued = true;
	w->next = NULL;
	if (q->tail[w->priority])
		q->tail[w->priority]->next = w;
	else
		q->head[w->priority] = w;
	q->tail[w->priority] = w;
}

void
work_queue_remove(struct work_queue *q, struct work_item *w)
{
	struct work_item **at = &q->head[w->priority], *prev = NULL;

	if (!w->queued)
		return;
	for (; *at != w; at = &(*at)->next)
		prev = *at;
	*at = w->next;
	if (q->tail[w->priority] == w)
		q->tail[w->priority] = prev;
	w->queued = false;
}

struct work_item *
work_queue_first(const struct work_queue *q)
{
	for (int p = 0; p < RT_PRIORITIES; p++)
		if (q->head[p])
			return q->head[p];
	return NULL;
}
