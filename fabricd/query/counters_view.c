/*
 * fabricd/query/counters_view.c -- what was dropped, refused or lost, by kind, and what is counted beside that
 *
 *   part -> its owners (each port, the platform, ...) -> struct counters of each -> one row for each counter
 *
 * What a counter is and what it is called is said by its owner, in a table next to it (lib/counters.h); here is only
 * where the owners are found. A list is made of slices, so each row is as it is when it is made.
 *
 * bfdd is another process: it is asked first, and the answer begins when its own has come. Who asks for all parts does not
 * wait long for it, and is shown what it told the last time, with its age.
 *
 * Not here: counters of a BGP session, of the FIB and of memory, which have answers of their own.
 */
#include <errno.h>
#include <stdio.h>

#include "fabricd/query/view.h"

#define PATIENCE     SECONDS(2) /* of who wants those of bfdd alone */
#define PATIENCE_ALL MS(300)
#define NAP          MS(2)

/* One who counts. */
struct owner {
	const char *port;      /* NULL: it is the switch's */
	const struct ip *peer; /* of a session; NULL: it is of none */
	struct counters counters;
};

/* Owner number i of a part; false: there are no more. One that is not there now has no counters. */
typedef bool owner_fn(const struct query_call *, size_t i, struct owner *);

/* The fabric ports, and the bridge of the hosts. */
static bool
link_owner(const struct query_call *call, size_t i, struct owner *out)
{
	const struct node *n = query_ctx(call);

	if (i > n->nports)
		return false;
	if (i < n->nports && n->ports[i].link) {
		out->port = n->ports[i].name;
		link_port_counters(n->ports[i].link, &out->counters);
	} else if (i == n->nports && n->rack.advertiser) {
		out->port = n->topo->tiers[n->self->tier].bridge_name;
		advertiser_describe(n->rack.advertiser, &out->counters);
	}
	return true;
}

/* Ports with a session, or several. */
static bool
bgp_owner(const struct query_call *call, size_t i, struct owner *out)
{
	const struct node *n = query_ctx(call);

	if (i >= n->nports)
		return false;
	if (n->ports[i].peer) {
		out->port = n->ports[i].name;
		node_port_counters(&n->ports[i], &out->counters);
	}
	return true;
}

/* bfdd, then each session. One that nobody watches any more is known by the index of its port alone. */
static bool
bfd_owner(const struct query_call *call, size_t i, struct owner *out)
{
	const struct node *n = query_ctx(call);
	const struct node_bfd_owner *o = node_bfd_counters(n, i, &out->counters);

	if (!o || !o->of_session)
		return o != NULL;
	out->peer = &o->peer;
	out->port = o->port;
	for (size_t k = 0; k < n->nports && !*out->port; k++)
		if (n->ports[k].present && n->ports[k].plat.ifindex == o->ifindex)
			out->port = n->ports[k].name;
	return true;
}

static bool
platform_owner(const struct query_call *call, size_t i, struct owner *out)
{
	const struct platform *p = ((const struct node *)query_ctx(call))->platform;

	if (i == 0 && p->ops->counters)
		p->ops->counters(p, &out->counters);
	return i == 0;
}

static bool
query_owner(const struct query_call *call, size_t i, struct owner *out)
{
	if (i == 0)
		query_counters(call, &out->counters);
	return i == 0;
}

static bool
runtime_owner(const struct query_call *call, size_t i, struct owner *out)
{
	if (i == 0)
		rt_counters(((const struct node *)query_ctx(call))->rt, &out->counters);
	return i == 0;
}

static const struct {
	const char *name;
	owner_fn *owner;
} parts[] = {
	{ "link", link_owner },
	{ "bgp", bgp_owner },
	{ "bfd", bfd_owner },
	{ "platform", platform_owner },
	{ "query", query_owner },
	{ "runtime", runtime_owner },
};

/* What somebody may look for here, and where it is shown. */
static const struct {
	const char *name, *next;
} elsewhere[] = {
	{ "fib", "fabctl fib -o wide" },
	{ "memory", "fabctl memory" },
};

/* ---- what is asked for ---- */

struct wanted {
	const char *part; /* as it was typed; NULL: all */
	const char *more; /* a second one */
	bool all;         /* those that are 0, and what is routine, too */
};

static struct wanted
wanted_of(const struct query_call *call)
{
	struct wanted w = { 0 };
	const char *arg;

	for (size_t i = 0; (arg = query_arg(call, i)); i++) {
		if (strcmp(arg, "all") == 0)
			w.all = true;
		else
			*(w.part ? &w.more : &w.part) = arg;
	}
	return w;
}

static bool
part_is_wanted(const struct wanted *w, const char *name)
{
	return !w->part || (*w->part && strncmp(w->part, name, strlen(w->part)) == 0);
}

/* A word that no part begins with. */
static void
no_such_part(struct query_call *call, const char *typed)
{
	const char *names[ARRAY_LEN(parts)];
	char next[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		names[i] = parts[i].name;
	for (size_t i = 0; i < ARRAY_LEN(elsewhere) && !*next; i++)
		if (strcmp(typed, elsewhere[i].name) == 0)
			snprintf(next, sizeof(next), "%s", elsewhere[i].next);
	if (!*next && node_port_find(query_ctx(call), typed))
		snprintf(next, sizeof(next), "fabctl counters link --filter port=%s", typed);
	if (!*next && !topo_did_you_mean(typed, names, ARRAY_LEN(parts), next, sizeof(next)))
		for (size_t i = 0; i < ARRAY_LEN(parts) && at < sizeof(next); i++)
			at += (size_t)snprintf(
			    next + at, sizeof(next) - at, "%s%s", i ? ", " : "one of: ", parts[i].name);
	query_fail(call, QUERY_USAGE, next, "\"%.40s\" is no part that counters are kept of here", typed);
}

/* ---- rows ---- */

static void
counter_row(struct query_call *call, const char *part, const struct owner *o, size_t i)
{
	const struct counter *c = &o->counters.list[i];
	json_t *row = json_object();

	put_text(row, "part", part);
	put_text(row, "port", o->port);
	if (o->peer)
		put_ip(row, "address", o->peer);
	put_text(row, "counter", c->name);
	put_text(row, "what", c->what);
	put_count(row, "count", counters_value(&o->counters, i));
	put_flag(row, "routine", c->routine);
	query_row(call, row);
}

/* The counters of one owner, from *i on; false: the slice is full. */
static bool
owner_rows(struct query_call *call, const struct wanted *w, const char *part, const struct owner *o, size_t *i)
{
	for (; *i < o->counters.n; ++*i) {
		if (query_full(call))
			return false;
		if (w->all || (!o->counters.list[*i].routine && counters_value(&o->counters, *i)))
			counter_row(call, part, o, *i);
	}
	*i = 0;
	return true;
}

/* ---- bfdd ---- */

/* Why there is nothing of it in the answer, beside what it did not say. */
static const struct {
	int error;
	const char *why, *next;
} failures[] = {
	{ -ENOTCONN, "no bfdd watches the neighbours: dead ones are found by hold time", "start bfdd beside fabricd" },
	{ -EOPNOTSUPP, "bfdd does not tell its counters: it is older than this fabricd", "systemctl reload bfdd" },
	{ -EMSGSIZE, "bfdd tells more counters than there can be", "systemctl restart bfdd" },
	{ -ETIMEDOUT, "bfdd does not answer", "fabctl log" },
	{ 0, "bfdd went away while it was asked", "fabctl counters bfd" },
};

static bool
is_bfd_alone(const struct wanted *w)
{
	return w->part && strncmp(w->part, "bf", 2) == 0;
}

/* Its part is left out, and the answer says so; where there is no bfdd, nothing is missing, but for who asks for it. */
static bool
without_bfd(struct query_call *call, const struct wanted *w, int error)
{
	size_t i = 0;

	while (failures[i].error && failures[i].error != error)
		i++;
	if (is_bfd_alone(w))
		query_fail(call, QUERY_UNREACHABLE, failures[i].next, "%s", failures[i].why);
	else if (error != -ENOTCONN)
		query_missing(call, failures[i].why);
	return !is_bfd_alone(w);
}

/* Asks bfdd once, and says whether there is more to wait for. *error: 0, or what came of it. */
static bool
waits_for_bfd(struct query_call *call, const struct wanted *w, int *error)
{
	struct counters_cursor *c = query_cursor(call);
	struct node *n = query_ctx(call);

	*error = 0;
	if (!c->asked) {
		c->asked = true;
		c->before = n->bfd_told.answers;
		c->since = query_now(call);
		*error = node_bfd_ask_counters(n);
	} else if (n->bfd_told.answers != c->before) {
		*error = n->bfd_told.error;
		return false;
	} else if (mono_sub(query_now(call), c->since) >= (is_bfd_alone(w) ? PATIENCE : PATIENCE_ALL)) {
		*error = -ETIMEDOUT;
		return false;
	}
	if (!*error)
		query_nap(call, NAP);
	return !*error;
}

/* ---- the answer ---- */

/* False: the words cannot be used. */
static bool
check(struct query_call *call, const struct wanted *w)
{
	bool known = false;

	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		known |= part_is_wanted(w, parts[p].name);
	if (w->more)
		query_fail(call, QUERY_USAGE, "fabctl counters", "counters are told of one part or of all, not of two");
	else if (!known)
		no_such_part(call, w->part);
	return !w->more && known;
}

/* error: of asking bfdd. False: the answer has failed. */
static bool
begin(struct query_call *call, const struct wanted *w, int error)
{
	struct counters_cursor *c = query_cursor(call);
	const struct node *n = query_ctx(call);
	const struct node_bfd_told *t = &n->bfd_told;
	bool old = error == -ETIMEDOUT && t->counters, shown = part_is_wanted(w, "bfd") && (!error || old);
	json_t *summary;

	if (error && !shown && !without_bfd(call, w, error))
		return false;
	c->without_bfd = !shown;
	c->begun = true;
	summary = json_object();
	put_since(summary, "since_s", n->born, query_now(call));
	if (shown)
		put_since(summary, "bfd_since_s", mono_add(t->at, -t->counted_us), query_now(call));
	if (shown && old)
		put_since(summary, "bfd_age_s", t->at, query_now(call));
	query_summary(call, summary);
	return true;
}

bool
view_counters(struct query_call *call)
{
	struct counters_cursor *c = query_cursor(call);
	struct wanted w = wanted_of(call);
	int error = 0;

	if (!c->begun && !c->asked && !check(call, &w))
		return false;
	if (!c->begun && part_is_wanted(&w, "bfd") && waits_for_bfd(call, &w, &error))
		return true;
	if (!c->begun && !begin(call, &w, error))
		return false;
	for (; c->part < ARRAY_LEN(parts); c->part++, c->owner = 0) {
		const char *name = parts[c->part].name;

		if (!part_is_wanted(&w, name) || (c->without_bfd && strcmp(name, "bfd") == 0))
			continue;
		for (;; c->owner++) {
			struct owner o = { 0 };

			if (!parts[c->part].owner(call, c->owner, &o))
				break;
			if (!owner_rows(call, &w, name, &o, &c->i))
				return true;
		}
	}
	return false;
}
