/* bfd/client/local.c -- a client whose engine is in the same process, over the runtime's datagrams (simulator, tests)
 */
#include "bfd/client/impl.h"
#include "bfd/host/host.h"

#define LIST_SLICE  64
#define COUNT_SLICE 8 /* sessions */

struct local {
	struct bfd_client c;
	struct bfd_host *host;
	struct rt_work *lister;
	bfd_list_fn *list_fn;
	void *list_arg;
	size_t listed;
	struct rt_work *counter;
	bfd_counters_fn *counters_fn;
	void *counters_arg;
	size_t counted; /* sessions */
};

static struct local *
local_of(struct bfd_client *c)
{
	return CONTAINER_OF(c, struct local, c);
}

static void
on_status(void *arg, struct bfd_sub *sub, const struct bfd_status *status)
{
	struct bfd_watch *w = arg;

	(void)sub;
	bfd_watch_news(w, status);
}

static void
refuse(struct bfd_watch *w, const char *why)
{
	bfd_watch_news(w, &(struct bfd_status){ .state = BFD_DOWN, .remote_state = BFD_DOWN, .refused = why });
}

static void
local_begin(struct bfd_client *c, struct bfd_watch *w)
{
	struct bfd_sub *sub = NULL;
	struct bfd_status status;
	const char *why;

	if (bfd_sub_new(local_of(c)->host, &w->target, on_status, w, &sub, &why)) {
		refuse(w, why);
		return;
	}
	w->sub = sub;
	bfd_sub_status(sub, &status);
	bfd_watch_news(w, &status);
}

static void
local_change(struct bfd_client *c, struct bfd_watch *w)
{
	struct bfd_status status;
	const char *why = NULL;

	if (!w->sub) {
		local_begin(c, w);
		return;
	}
	bfd_sub_change(w->sub, &w->target.params, &why);
	bfd_sub_status(w->sub, &status);
	status.refused = why; /* the session stays what it is */
	bfd_watch_news(w, &status);
}

static void
local_end(struct bfd_client *c, struct bfd_watch *w)
{
	(void)c;
	bfd_sub_free(w->sub);
	w->sub = NULL;
}

static bool
local_connected(const struct bfd_client *c)
{
	(void)c;
	return true;
}

static void
give_row(void *arg, const struct bfd_row *row)
{
	struct local *l = arg;

	l->list_fn(l->list_arg, row, 0);
}

static bool
list_some(void *arg)
{
	struct local *l = arg;
	size_t n = bfd_host_list(l->host, l->listed, LIST_SLICE, give_row, l);
	bfd_list_fn *fn = l->list_fn;

	l->listed += n;
	if (n)
		return true;
	l->list_fn = NULL;
	fn(l->list_arg, NULL, 0);
	return false;
}

static int
local_list(struct bfd_client *c, bfd_list_fn *fn, void *arg)
{
	struct local *l = local_of(c);

	if (l->list_fn)
		return -EBUSY;
	l->list_fn = fn;
	l->list_arg = arg;
	l->listed = 0;
	rt_work_schedule(l->lister);
	return 0;
}

static void
give_count(void *arg, const struct bfd_count *count)
{
	struct local *l = arg;

	l->counters_fn(l->counters_arg, count, 0, 0);
}

static void
give_counters(void *arg, const struct bfd_row *row)
{
	bfd_row_counters(row, give_count, arg);
}

static bool
count_some(void *arg)
{
	struct local *l = arg;
	bfd_counters_fn *fn = l->counters_fn;
	size_t n;

	if (l->counted == 0)
		bfd_host_counters(l->host, give_count, l);
	n = bfd_host_list(l->host, l->counted, COUNT_SLICE, give_counters, l);
	l->counted += n;
	if (n)
		return true;
	l->counters_fn = NULL;
	fn(l->counters_arg, NULL, bfd_host_counted_us(l->host), 0);
	return false;
}

static int
local_counters(struct bfd_client *c, bfd_counters_fn *fn, void *arg)
{
	struct local *l = local_of(c);

	if (l->counters_fn)
		return -EBUSY;
	l->counters_fn = fn;
	l->counters_arg = arg;
	l->counted = 0;
	rt_work_schedule(l->counter);
	return 0;
}

static void
local_unsolicited(struct bfd_client *c, const struct bfd_strangers *strangers)
{
	bfd_host_unsolicited(local_of(c)->host, strangers);
}

static void
local_free(struct bfd_client *c, bool keep)
{
	struct local *l = local_of(c);

	if (!keep)
		bfd_host_admin_down(l->host);
	bfd_host_free(l->host);
	rt_work_free(l->lister);
	rt_work_free(l->counter);
}

struct bfd_client *
bfd_client_local(struct runtime *rt, struct mem *mem, uint64_t seed)
{
	static const struct bfd_client_ops ops = {
		.begin = local_begin,
		.change = local_change,
		.end = local_end,
		.connected = local_connected,
		.list = local_list,
		.counters = local_counters,
		.unsolicited = local_unsolicited,
		.free = local_free,
	};
	struct local *l = mem_zalloc(mem, MEM_SESSION, sizeof(*l));
	struct bfd_host_config cfg = { .rt = rt, .mem = mem, .seed = seed };

	bfd_client_init(&l->c, &ops, rt, mem);
	l->host = bfd_host_new(&cfg);
	l->lister = rt_work_new(rt, RT_IDLE, list_some, l);
	l->counter = rt_work_new(rt, RT_IDLE, count_some, l);
	return &l->c;
}
