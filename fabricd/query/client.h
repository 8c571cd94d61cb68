/*
 * fabricd/query/client.h -- asks one fabricd, from a program that may wait
 *
 * For fabctl and tests; the daemon itself never uses it. Every wait has a deadline.
 */
#ifndef FABRICD_QUERY_CLIENT_H
#define FABRICD_QUERY_CLIENT_H

#include <jansson.h>

#include "fabricd/query/protocol.h"

struct query_client;

/* What comes of a question, in this order. Any may be NULL. Returning false stops the answer (a closed pipe). */
struct query_sink {
	bool (*header)(void *arg, json_t *envelope);            /* borrowed */
	bool (*row)(void *arg, const char *json, size_t n);     /* one row's text, not terminated */
	bool (*end)(void *arg, json_t *end, enum query_status); /* borrowed: {"complete", "missing"} */
	void (*error)(void *arg, const char *cause, const char *next);
};

/*
 * Connects to the socket in run_dir. 0 or -errno: -ENOENT, -ECONNREFUSED: no daemon there; -EACCES: not for this user.
 * timeout_us: the most that any single wait for the daemon takes.
 */
int query_client_open(const char *run_dir, int64_t timeout_us, struct query_client **);
void query_client_close(struct query_client *); /* NULL is allowed */

/* The whole answer. Returns its exit code; QUERY_UNREACHABLE (told to sink->error) when the daemon went silent or away.
 */
enum query_status query_client_ask(struct query_client *, const char *verb, const char *const *args, size_t n_args,
    const struct query_sink *, void *arg);

#endif
