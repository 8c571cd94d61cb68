/*
 * bfd/client/watch.c -- the watches of a client, and how their owners are told
 *
 * What comes from bfdd or from the engine is noted in the watch, which joins a queue; one urgent piece of work empties
 * it. So fn may free any watch, and is never called from inside a call of its owner. Several changes of one watch
 * before its turn are told as one, the last; but a fall from Up is told before it as it was, since a session that fell
 * has to be answered by whoever relied on it, and why it fell says how. The same refusal again is no news.
 */
#include <string.h>

#include "bfd/client/impl.h"

static void
enqueue(struct bfd_watch *w)
{
	struct bfd_client *c = w->c;

	if (w->news)
		return;
	w->news = true;
	w->news_next = NULL;
	if (c->news_last)
		c->news_last->news_next = w;
	else
		c->news = w;
	c->news_last = w;
	rt_work_schedule(c->work);
}

static bool
tell(void *arg)
{
	struct bfd_client *c = arg;
	struct bfd_watch *w = c->news;

	if (!w)
		return false;
	c->news = w->news_next;
	if (!c->news)
		c->news_last = NULL;
	w->news = false;
	if (w->has_fallen) {
		struct bfd_status fell = w->fell;

		w->has_fallen = w->told_up = false;
		enqueue(w); /* the status itself */
		w->fn(w->arg, &fell);
	} else {
		w->told_up = w->status.state == BFD_UP;
		w->fn(w->arg, &w->status); /* may free w */
	}
	return c->news != NULL;
}

void
bfd_client_init(struct bfd_client *c, const struct bfd_client_ops *ops, struct runtime *rt, struct mem *mem)
{
	c->ops = ops;
	c->rt = rt;
	c->mem = mem;
	c->work = rt_work_new(rt, RT_URGENT, tell, c);
}

static bool
same_refusal(const struct bfd_status *a, const struct bfd_status *b)
{
	return a->refused && b->refused && a->state == b->state &&
	       strncmp(a->refused, b->refused, REFUSED_TEXT - 1) == 0;
}

void
bfd_watch_news(struct bfd_watch *w, const struct bfd_status *status)
{
	if (same_refusal(&w->status, status))
		return;
	if (w->news && w->told_up && w->status.state != BFD_UP && !w->has_fallen) {
		w->has_fallen = true;
		w->fell = w->status;
		w->fell.refused = NULL;
	}
	w->status = *status;
	w->refused[0] = '\0';
	for (size_t i = 0; status->refused && status->refused[i] && i + 1 < sizeof(w->refused); i++) {
		w->refused[i] = status->refused[i];
		w->refused[i + 1] = '\0';
	}
	if (status->refused)
		w->status.refused = w->refused;
	enqueue(w);
}

struct bfd_watch *
bfd_watch_new(struct bfd_client *c, const struct bfd_target *target, bfd_watch_fn *fn, void *arg)
{
	struct bfd_watch *w = mem_zalloc(c->mem, MEM_SESSION, sizeof(*w));

	*w = (struct bfd_watch){ .c = c, .next = c->watches, .id = ++c->ids, .target = *target, .fn = fn, .arg = arg };
	w->target.port[sizeof(w->target.port) - 1] = '\0';
	w->status.state = BFD_DOWN;
	w->status.remote_state = BFD_DOWN;
	if (w->next)
		w->next->prev = w;
	c->watches = w;
	c->ops->begin(c, w);
	return w;
}

void
bfd_watch_change(struct bfd_watch *w, const struct bfd_params *params)
{
	w->target.params = *params;
	w->c->ops->change(w->c, w);
}

static void
watch_drop(struct bfd_watch *w)
{
	struct bfd_client *c = w->c;
	struct bfd_watch **at = &c->news, *last = NULL;

	while (w->news && *at != w) {
		last = *at;
		at = &(*at)->news_next;
	}
	if (w->news) {
		*at = w->news_next;
		if (c->news_last == w)
			c->news_last = last;
	}
	if (w->next)
		w->next->prev = w->prev;
	if (w->prev)
		w->prev->next = w->next;
	else
		c->watches = w->next;
	mem_free(c->mem, MEM_SESSION, w);
}

void
bfd_watch_free(struct bfd_watch *w)
{
	if (!w)
		return;
	w->c->ops->end(w->c, w);
	watch_drop(w);
}

const struct bfd_status *
bfd_watch_status(const struct bfd_watch *w)
{
	return &w->status;
}

bool
bfd_client_connected(const struct bfd_client *c)
{
	return c->ops->connected(c);
}

int
bfd_client_list(struct bfd_client *c, bfd_list_fn *fn, void *arg)
{
	return c->ops->list(c, fn, arg);
}

int
bfd_client_counters(struct bfd_client *c, bfd_counters_fn *fn, void *arg)
{
	return c->ops->counters(c, fn, arg);
}

void
bfd_client_unsolicited(struct bfd_client *c, const struct bfd_strangers *strangers)
{
	c->ops->unsolicited(c, strangers);
}

void
bfd_client_free(struct bfd_client *c, bool keep)
{
	if (!c)
		return;
	c->ops->free(c, keep);
	while (c->watches)
		watch_drop(c->watches);
	rt_work_free(c->work);
	mem_free(c->mem, MEM_SESSION, c);
}
