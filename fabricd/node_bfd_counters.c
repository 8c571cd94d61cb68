/*
 * fabricd/node_bfd_counters.c -- the counters of bfdd, as it told them last
 *
 *   question -> bfdd -> one counter after the other -> `coming` -> whole -> what is shown
 *
 * What there is to count is known to bfdd alone; here are its words and values. They are put as an owner of counters has
 * them (lib/counters.h), so that nobody need know whose they are: one table of struct counter beside one of values, and for
 * bfdd and for each of its sessions where its part of them is. The same words come for each session and are kept once.
 *
 * Always true: an answer that broke off, or is more than MOST, is forgotten, and the one before it stays.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabricd/node_impl.h"

#define MOST       65536 /* counters: more than any bfdd has sessions for */
#define WORDS_MOST 256

struct words {
	char *name, *what;
};

struct node_bfd_counters {
	struct counter *list;
	uint64_t *values;
	size_t n, cap_list, cap_values;
	struct node_bfd_owner *owners;
	size_t n_owners, cap_owners;
	struct words *words;
	size_t n_words, cap_words;
	bool too_many;
};

static void
counters_free(struct node *n, struct node_bfd_counters *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_words; i++) {
		mem_free(&n->mem, MEM_QUERY, c->words[i].name);
		mem_free(&n->mem, MEM_QUERY, c->words[i].what);
	}
	mem_free(&n->mem, MEM_QUERY, c->words);
	mem_free(&n->mem, MEM_QUERY, c->owners);
	mem_free(&n->mem, MEM_QUERY, c->values);
	mem_free(&n->mem, MEM_QUERY, c->list);
	mem_free(&n->mem, MEM_QUERY, c);
}

/* NULL: they are too many. */
static const struct words *
words_of(struct node *n, struct node_bfd_counters *c, const struct bfd_count *count)
{
	struct words *w;

	for (size_t i = 0; i < c->n_words; i++)
		if (strcmp(c->words[i].name, count->name) == 0 && strcmp(c->words[i].what, count->what) == 0)
			return &c->words[i];
	if (c->n_words >= WORDS_MOST)
		return NULL;
	c->words = mem_grow(&n->mem, MEM_QUERY, c->words, &c->cap_words, c->n_words + 1, sizeof(*c->words));
	w = &c->words[c->n_words++];
	w->name = mem_strdup(&n->mem, MEM_QUERY, count->name);
	w->what = mem_strdup(&n->mem, MEM_QUERY, count->what);
	return w;
}

static bool
is_of(const struct node_bfd_owner *o, const struct bfd_count *count)
{
	static const struct bfd_path none;
	const struct bfd_path *path = count->path ? count->path : &none;

	return o->of_session == (count->path != NULL) && o->ifindex == path->ifindex &&
	       ip_equal(&o->peer, &path->peer) && ip_equal(&o->local, &path->local);
}

/* Those of one owner come one after the other. */
static struct node_bfd_owner *
owner_of(struct node *n, struct node_bfd_counters *c, const struct bfd_count *count)
{
	struct node_bfd_owner *o;

	if (c->n_owners && is_of(&c->owners[c->n_owners - 1], count))
		return &c->owners[c->n_owners - 1];
	c->owners = mem_grow(&n->mem, MEM_QUERY, c->owners, &c->cap_owners, c->n_owners + 1, sizeof(*c->owners));
	o = &c->owners[c->n_owners++];
	*o = (struct node_bfd_owner){ .first = c->n };
	if (count->path) {
		o->of_session = true;
		o->ifindex = count->path->ifindex;
		o->peer = count->path->peer;
		o->local = count->path->local;
		snprintf(o->port, sizeof(o->port), "%s", count->port);
	}
	return o;
}

static void
add(struct node *n, struct node_bfd_counters *c, const struct bfd_count *count)
{
	const struct words *w = c->n < MOST ? words_of(n, c, count) : NULL;

	if (!w) {
		c->too_many = true;
		return;
	}
	owner_of(n, c, count)->n++;
	c->list = mem_grow(&n->mem, MEM_QUERY, c->list, &c->cap_list, c->n + 1, sizeof(*c->list));
	c->values = mem_grow(&n->mem, MEM_QUERY, c->values, &c->cap_values, c->n + 1, sizeof(*c->values));
	c->list[c->n] = (struct counter){
		.name = w->name, .what = w->what, .at = c->n * sizeof(*c->values), .routine = count->routine
	};
	c->values[c->n++] = MIN_OF(count->value, (uint64_t)INT64_MAX);
}

static void
on_count(void *arg, const struct bfd_count *count, int64_t counted_us, int error)
{
	struct node *n = arg;
	struct node_bfd_told *t = &n->bfd_told;

	if (count) {
		add(n, t->coming, count);
		return;
	}
	t->error = error ? error : t->coming->too_many ? -EMSGSIZE : 0;
	if (t->error) {
		counters_free(n, t->coming);
	} else {
		counters_free(n, t->counters);
		t->counters = t->coming;
		t->at = node_now(n);
		t->counted_us = MIN_OF(counted_us, t->at.us); /* nothing runs longer than the machine */
	}
	t->coming = NULL;
	t->answers++;
}

int
node_bfd_ask_counters(struct node *n)
{
	struct node_bfd_told *t = &n->bfd_told;
	int err;

	if (t->coming)
		return 0;
	err = n->cfg.bfd ? bfd_client_counters(n->cfg.bfd, on_count, n) : -ENOTCONN;
	if (!err)
		t->coming = mem_zalloc(&n->mem, MEM_QUERY, sizeof(*t->coming));
	return err;
}

const struct node_bfd_owner *
node_bfd_counters(const struct node *n, size_t i, struct counters *out)
{
	const struct node_bfd_counters *c = n->bfd_told.counters;

	if (!c || i >= c->n_owners)
		return NULL;
	*out = (struct counters){ .list = c->list + c->owners[i].first, .n = c->owners[i].n, .of = c->values };
	return &c->owners[i];
}

void
node_bfd_counters_free(struct node *n)
{
	counters_free(n, n->bfd_told.counters);
	counters_free(n, n->bfd_told.coming);
}
