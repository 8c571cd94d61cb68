/*
 * fabricd/query/server.h -- answers questions on a UNIX socket, in slices, and never waits for a client
 *
 * What can be asked is a table of verbs that the owner gives. A verb makes rows step by step into a struct query_call;
 * all else (frames, limits, back-pressure, envelope) is done here.
 */
#ifndef FABRICD_QUERY_SERVER_H
#define FABRICD_QUERY_SERVER_H

#include <jansson.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/counters.h"
#include "fabricd/query/protocol.h"
#include "fabricd/runtime/runtime.h"

#define QUERY_CLIENTS    64
#define QUERY_SLICE_ROWS 256          /* rows of one step: well under 2 ms */
#define QUERY_BUFFER     (256 * 1024) /* above this a client gets no more rows until it reads */
#define QUERY_STALL_US   SECONDS(30)  /* a client that takes nothing, or sends half a request, for so long is closed */
#define QUERY_IDLE_US    SECONDS(300) /* one that asks nothing */

struct query_server;
struct query_call;

struct query_verb {
	const char *name;   /* "bgp.summary" */
	const char *schema; /* "fabricd.bgp.summary/1" */
	uint8_t min_args, max_args;
	bool changes;       /* not a mere question: only root and the daemon's own user may call it */
	const char *usage;  /* its arguments, for the error: "PORT" */
	size_t cursor_size; /* bytes kept between steps, zeroed before the first */
	/* Adds rows until query_full() or all is said; returns whether there is more to say. */
	bool (*step)(struct query_call *);
	void (*done)(struct query_call *); /* gives back what the cursor holds; NULL: nothing */
};

struct query_config {
	struct runtime *rt;
	struct mem *mem;
	const char *path; /* of the socket; mode 0660 */
	uint32_t own_uid; /* who may call verbs that change something, beside root */
	const struct query_verb *verbs;
	size_t n_verbs;
	void *ctx; /* query_ctx() of each call */
	/* Adds "fabric", "node", "revision" to an answer's header. */
	void (*envelope)(void *ctx, json_t *header);
};

/* 0 or -errno. The config is copied; its verbs and ctx must outlive the server. */
int query_server_new(const struct query_config *, struct query_server **);
/* The same on the listener of a fabricd that gave way to this one. */
int query_server_adopt(const struct query_config *, const struct rt_parcel *, struct query_server **);
/* The listener, for a successor; and once that has it: no more clients are taken here. */
int query_server_pack(struct query_server *, struct rt_parcel *);
void query_server_retire(struct query_server *);
/* A question is being answered, or a part of its answer is not written yet. */
bool query_server_owes(const struct query_server *);
/* Closes the socket and all clients. NULL is allowed. */
void query_server_free(struct query_server *);

struct query_stats {
	uint64_t accepted, refused, requests, rows, errors, stalled;
	size_t clients, buffered; /* now; no counters */
};
void query_stats(const struct query_server *, struct query_stats *);

/* ---- for verbs ---- */

void *query_ctx(const struct query_call *);
void *query_cursor(struct query_call *);
const char *query_arg(const struct query_call *, size_t i); /* NULL past the end */
struct mono query_now(const struct query_call *);
/* Those of the server that answers; they live as long as it. */
void query_counters(const struct query_call *, struct counters *out);

/* Before the first row: facts of the answer as a whole, under "summary" in the envelope. Takes the reference. */
void query_summary(struct query_call *, json_t *summary);
/* One element of "data". Takes the reference. */
void query_row(struct query_call *, json_t *row);
/* No more rows fit into this slice. */
bool query_full(const struct query_call *);
/* The exit code of an answer that is whole; the highest given counts. */
void query_exit(struct query_call *, enum query_status);
/* Something is not in the answer: named in "missing", "complete" becomes false. */
void query_missing(struct query_call *, const char *what);
/* The step has nothing to say yet, and need not be asked again before so long. */
void query_nap(struct query_call *, int64_t us);
/* Ends the answer: a cause and the next step, both sentences. The step returns false after it. */
void query_fail(struct query_call *, enum query_status, const char *next, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* "2026-11-21T02:00:00.123Z" */
#define QUERY_TIME_TEXT 32
char *query_time_print(int64_t wall_us, char buf[QUERY_TIME_TEXT]);

#endif
