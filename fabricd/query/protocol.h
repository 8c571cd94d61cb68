/*
 * fabricd/query/protocol.h -- the words of the query socket, framed and bounded
 *
 * A frame is a length of four bytes, big-endian, and that many bytes of one protobuf message (query.proto). Nothing
 * outside protocol.c sees a protobuf type, so both ends and the fuzz target meet the same narrow door.
 */
#ifndef FABRICD_QUERY_PROTOCOL_H
#define FABRICD_QUERY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fabricd/lib/mem.h"
#include "fabricd/lib/wire.h"

#define QUERY_SOCKET      "fabricd.sock" /* in the run directory */
#define QUERY_FRAME_HEAD  4
#define QUERY_MAX_REQUEST (16 * 1024)   /* bytes of a Request */
#define QUERY_MAX_REPLY   (1024 * 1024) /* bytes of a Reply */
#define QUERY_MAX_ARGS    32
#define QUERY_MEMORY      (1024 * 1024) /* bytes that the decoding of one message may take */

/* Exit codes of fabctl, carried as the status of END and ERROR. */
enum query_status {
	QUERY_OK = 0,
	QUERY_FINDINGS = 1, /* findings or differences */
	QUERY_USAGE = 2,
	QUERY_INCOMPLETE = 3,
	QUERY_UNREACHABLE = 4,
	QUERY_REFUSED = 5, /* by a safety rule */
};

enum query_kind { QUERY_HEADER, QUERY_ROWS, QUERY_END, QUERY_ERROR, QUERY_KINDS };

struct query_request {
	uint32_t id;
	const char *verb;
	const char *const *args;
	size_t n_args;
	void *owner; /* what holds the strings; query_request_free() */
};

struct query_reply {
	uint32_t id;
	enum query_kind kind;
	uint32_t status;
	const char *json; /* n bytes, not terminated */
	size_t n;
	void *owner;
};

/*
 * The next whole frame of r, whose body may have at most `max` bytes: 1 and *body is its bytes; 0: more bytes are
 * needed, r has not moved; -EMSGSIZE: its length is above max.
 */
int query_frame(struct rd *r, size_t max, struct rd *body);

/* 0; -EBADMSG: no such message, or text that is not printable ASCII; -E2BIG: too many arguments; -ENOMEM: over
 * QUERY_MEMORY. */
int query_request_decode(struct mem *, struct rd body, struct query_request *out);
void query_request_free(struct mem *, struct query_request *);
int query_reply_decode(struct mem *, struct rd body, struct query_reply *out);
void query_reply_free(struct mem *, struct query_reply *);

/* Bytes that the frame takes, its head included; then the frame itself into exactly that room. */
size_t query_request_size(const struct query_request *);
void query_request_encode(const struct query_request *, uint8_t *out);
size_t query_reply_size(const struct query_reply *);
void query_reply_encode(const struct query_reply *, uint8_t *out);

#endif
