/*
 * fabricd/query/views.h -- what can be asked of a node, as verbs of the query server
 *
 * The ctx of the server is the struct node. Views only read it, with two exceptions: `fib check` has the
 * forwarding plane read back (sync_check_begin()), and `upgrade` begins one.
 */
#ifndef FABRICD_QUERY_VIEWS_H
#define FABRICD_QUERY_VIEWS_H

#include "fabricd/query/server.h"

struct node;

/*
 * The query socket of a node in run_dir. 0 or -errno. Free it before the node. Clients of user own_uid, and root, may
 * ask for what changes something.
 */
int node_query_open(struct node *, const char *run_dir, uint32_t own_uid, struct query_server **);
/* The same on the listener of a fabricd that gave way to this one. */
int node_query_adopt(
    struct node *, const char *run_dir, uint32_t own_uid, const struct rt_parcel *, struct query_server **);

#endif
