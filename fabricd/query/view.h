/* fabricd/query/view.h -- what the views share: rows of JSON in which absent is not zero */
#ifndef FABRICD_QUERY_VIEW_H
#define FABRICD_QUERY_VIEW_H

#include "fabricd/node.h"
#include "fabricd/query/views.h"

/* Setters of one key; strings are copied. A NULL or empty text, and a time that never was, leave the key out. */
void put_text(json_t *row, const char *key, const char *text);
void put_textf(json_t *row, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
void put_count(json_t *row, const char *key, uint64_t n);
void put_flag(json_t *row, const char *key, bool yes);
void put_ip(json_t *row, const char *key, const struct ip *); /* zero: left out */
void put_prefix(json_t *row, const char *key, const struct prefix *);
void put_since(json_t *row, const char *key, struct mono since, struct mono now); /* seconds, with ms */
void put_router_id(json_t *row, const char *key, uint32_t id);                    /* 0: left out */

/* A problem: what it is about, its cause, the next command. */
void put_problem(json_t *row, const char *what, const char *reason, const char *next_fmt, ...) PRINTF_LIKE(4, 5);

void put_restart(json_t *row, const struct node_peer *, struct mono now);    /* graceful_restart */
void put_own_restart(json_t *summary, const struct node *, struct mono now); /* restart; absent: it is over */
uint64_t stale_paths(const struct node_peer *);                              /* that are kept while it restarts */

/* "spine2", or the name of an external peer. */
const char *peer_name(const struct node_peer *);
uint32_t peer_as(const struct node_peer *);
/* One end is `state: planned`: that nothing is there is as it ought to be. */
bool peer_is_planned(const struct node_peer *);
/* Of its state; not before the node was. */
struct mono session_since(const struct node_peer *);

/* The session of the port that is the call's first argument; NULL after query_fail() has said why not. */
const struct node_peer *peer_of_call(struct query_call *);

/* The port of a path's source; NULL: the switch's own. */
const char *path_port(const struct path *);
void put_path(json_t *row, const struct path *); /* port, peer, next hop, attributes */
void put_attrs(json_t *row, const struct attrs_view *);

/*
 * Walks the prefixes of both families, resumable. A table of at most WALK_SORTED prefixes is walked in order, as it was
 * when the walk began (what came since is not shown, what went is left out); a larger one in no order (see rib_next()).
 */
#define WALK_SORTED 4096
struct walk {
	bool begun;
	struct prefix *sorted; /* NULL: not in order */
	size_t n, i;
	uint8_t family;
	uint32_t at;
};
bool walk_next(const struct node *, struct walk *, struct rib_view *);
void walk_end(const struct node *, struct walk *);

bool view_status(struct query_call *);
/* The file that runs, in canonical form, line by line. */
struct topology_text {
	char *text, *at; /* all of it; what is not told yet */
};
bool view_topology(struct query_call *);
void view_topology_done(struct query_call *);
bool view_ports(struct query_call *);
bool view_log(struct query_call *);
bool view_memory(struct query_call *);
/* Where view_counters() is. */
struct counters_cursor {
	bool begun, asked; /* asked: bfdd */
	bool without_bfd;  /* there is nothing of it */
	uint64_t before;   /* answers of it that had come */
	struct mono since;
	size_t part, owner, i;
};
bool view_counters(struct query_call *);
bool view_fib(struct query_call *);
/* What view_fib_check() keeps between its steps. */
struct fib_check {
	uint64_t walk; /* of sync; 0: it is to be begun */
	unsigned int attempts;
	bool summed;
};
bool view_fib_check(struct query_call *);
struct upgrade_watch {
	bool begun;
	size_t told; /* steps */
};
bool view_upgrade(struct query_call *);
#define BFD_CURSOR 64 /* bytes that view_bfd() keeps between its steps */
bool view_bfd(struct query_call *);
bool view_bgp(struct query_call *);
bool view_neighbor(struct query_call *);
bool view_received(struct query_call *);
bool view_advertised(struct query_call *);
bool view_why(struct query_call *);
bool view_routes(struct query_call *);
bool view_route(struct query_call *);
void view_walk_done(struct query_call *); /* of views whose cursor begins with a struct walk */

#endif
