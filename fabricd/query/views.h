/* fabricd/query/views.h -- what can be asked of a node: its verbs, on the query socket */
#ifndef FABRICD_QUERY_VIEWS_H
#define FABRICD_QUERY_VIEWS_H

#include "fabricd/node.h"
#include "fabricd/query/server.h"

/* Serves all views of the node on the UNIX socket `path`. 0 or -errno. End it by query_server_free(), before the node. */
int query_node_serve(struct node *, struct mem *, const char *path, struct query_server **);

#endif
