/* fabricd/lib/heap.c -- see heap.h */
#include "fabricd/lib/base.h"
#include "fabricd/lib/heap.h"

void
heap_done(struct heap *h)
{
	mem_free(h->mem, h->kind, h->items);
	h->items = NULL;
	h->n = h->cap = 0;
}

static bool
before(const struct heap_item *a, const struct heap_item *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->seq < b->seq;
}

static void
put(struct heap *h, size_t i, struct heap_item *item)
{
	h->items[i] = item;
	item->pos = i;
}

static void
sift_up(struct heap *h, size_t i, struct heap_item *item)
{
	for (; i > 1 && before(item, h->items[i / 2]); i /= 2)
		put(h, i, h->items[i / 2]);
	put(h, i, item);
}

static void
sift_down(struct heap *h, size_t i, struct heap_item *item)
{
	size_t child;

	for (; (child = i * 2) <= h->n; i = child) {
		if (child < h->n && before(h->items[child + 1], h->items[child]))
			child++;
		if (!before(h->items[child], item))
			break;
		put(h, i, h->items[child]);
	}
	put(h, i, item);
}

void
heap_remove(struct heap *h, struct heap_item *item)
{
	size_t i = item->pos;
	struct heap_item *last;

	if (!i)
		return;
	last = h->items[h->n--];
	item->pos = 0;
	if (last == item)
		return;
	if (i > 1 && before(last, h->items[i / 2]))
		sift_up(h, i, last);
	else
		sift_down(h, i, last);
}

void
heap_set(struct heap *h, struct heap_item *item, struct mono at)
{
	heap_remove(h, item);
	item->at = at;
	if (mono_is_never(at))
		return;
	item->seq = ++h->seq;
	h->items = mem_grow(h->mem, h->kind, h->items, &h->cap, h->n + 2, sizeof(struct heap_item *));
	sift_up(h, ++h->n, item);
}
