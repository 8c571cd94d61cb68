/* bfd/client/impl.h -- what both kinds of clients share: the watches and how they are told (client.c) */
#ifndef BFD_CLIENT_IMPL_H
#define BFD_CLIENT_IMPL_H

#include "bfd/bfd.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/runtime.h"

#define REFUSED_TEXT 160

struct bfd_watch {
	struct bfd_client *c;
	struct bfd_watch *prev, *next;
	struct bfd_watch *news_next;
	bool news; /* fn is to be called */
	uint32_t id;
	struct bfd_target target;
	bfd_watch_fn *fn;
	void *arg;
	struct bfd_status status;
	struct bfd_status fell; /* a fall that is still to be told, before the status that followed it */
	bool has_fallen, told_up;
	char refused[REFUSED_TEXT];
	void *sub; /* local: struct bfd_sub */
};

struct bfd_client_ops {
	void (*begin)(struct bfd_client *, struct bfd_watch *);
	void (*change)(struct bfd_client *, struct bfd_watch *);
	void (*end)(struct bfd_client *, struct bfd_watch *);
	bool (*connected)(const struct bfd_client *);
	int (*list)(struct bfd_client *, bfd_list_fn *, void *arg);
	int (*counters)(struct bfd_client *, bfd_counters_fn *, void *arg);
	void (*unsolicited)(struct bfd_client *, const struct bfd_strangers *);
	void (*free)(struct bfd_client *, bool keep); /* all but the watches */
};

/* First member of both kinds. */
struct bfd_client {
	const struct bfd_client_ops *ops;
	struct runtime *rt;
	struct mem *mem;
	struct bfd_watch *watches;
	struct bfd_watch *news, *news_last; /* in the order of the changes */
	struct rt_work *work;
	uint32_t ids;
};

void bfd_client_init(struct bfd_client *, const struct bfd_client_ops *, struct runtime *, struct mem *);
/* The state of a watch as it is now; fn is called from the loop. status->refused is copied. */
void bfd_watch_news(struct bfd_watch *, const struct bfd_status *);

#endif
