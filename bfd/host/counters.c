/* bfd/host/counters.c -- what is told of the counters of an engine on a runtime, one by one */
#include "bfd/host/host.h"
#include "fabricd/lib/base.h"

static const struct counter host_list[] = {
	{ "packets-unsent", "packets that the kernel refused to send", offsetof(struct bfd_host_stats, send_errors),
	    false },
};

void
bfd_counters_tell(const struct counters *c, const struct bfd_row *of, bfd_count_fn *fn, void *arg)
{
	for (size_t i = 0; i < c->n; i++) {
		struct bfd_count count = { .name = c->list[i].name,
			.what = c->list[i].what,
			.routine = c->list[i].routine,
			.value = counters_value(c, i),
			.path = of ? &of->view.path : NULL,
			.port = of ? of->port : "" };

		fn(arg, &count);
	}
}

void
bfd_host_counters(struct bfd_host *h, bfd_count_fn *fn, void *arg)
{
	struct bfd_host_stats stats;
	struct counters c;

	bfd_engine_counters(bfd_host_engine(h), &c);
	bfd_counters_tell(&c, NULL, fn, arg);
	bfd_host_stats(h, &stats);
	c = (struct counters){ .list = host_list, .n = ARRAY_LEN(host_list), .of = &stats };
	bfd_counters_tell(&c, NULL, fn, arg);
}

void
bfd_row_counters(const struct bfd_row *row, bfd_count_fn *fn, void *arg)
{
	struct counters c;

	bfd_view_counters(&row->view, &c);
	bfd_counters_tell(&c, row, fn, arg);
}
