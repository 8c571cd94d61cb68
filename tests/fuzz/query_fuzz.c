/*
 * tests/fuzz/query_fuzz.c -- bytes of a client of the query socket
 *
 * The input is what a client sends: frames, whole or not. Each whole one is decoded as a request and as a reply, and
 * what was understood is written again and must be understood as the same.
 */
#include <stdlib.h>

#include "fabricd/query/protocol.h"
#include "tests/fuzz/fuzz.h"

static void
try_request(struct mem *mem, struct rd body)
{
	struct query_request a, b;
	struct rd r, again;
	uint8_t *bytes;
	size_t n;

	if (query_request_decode(mem, body, &a))
		return;
	n = query_request_size(&a);
	bytes = malloc(n);
	query_request_encode(&a, bytes);
	r = rd_make(bytes, n);
	must(query_frame(&r, SIZE_MAX, &again) == 1 && rd_done(&r), "one frame is written");
	must(query_request_decode(mem, again, &b) == 0, "a request reads back");
	must(a.id == b.id && a.n_args == b.n_args && strcmp(a.verb, b.verb) == 0, "the same request");
	for (size_t i = 0; i < a.n_args; i++)
		must(strcmp(a.args[i], b.args[i]) == 0, "the same arguments");
	query_request_free(mem, &a);
	query_request_free(mem, &b);
	free(bytes);
}

static void
try_reply(struct mem *mem, struct rd body)
{
	struct query_reply a, b;
	struct rd r, again;
	uint8_t *bytes;
	size_t n;

	if (query_reply_decode(mem, body, &a))
		return;
	n = query_reply_size(&a);
	bytes = malloc(n);
	query_reply_encode(&a, bytes);
	r = rd_make(bytes, n);
	must(query_frame(&r, SIZE_MAX, &again) == 1, "one frame is written");
	must(query_reply_decode(mem, again, &b) == 0, "a reply reads back");
	must(a.id == b.id && a.kind == b.kind && a.status == b.status && a.n == b.n, "the same reply");
	must(a.n == 0 || memcmp(a.json, b.json, a.n) == 0, "the same rows");
	query_reply_free(mem, &a);
	query_reply_free(mem, &b);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct mem mem = { 0 };
	struct rd r = rd_make(bytes, n), body;

	while (query_frame(&r, QUERY_MAX_REQUEST, &body) > 0) {
		try_request(&mem, body);
		try_reply(&mem, body);
	}
	/* What is not framed at all is a message, too: so the fuzzer need not find lengths. */
	try_request(&mem, rd_make(bytes, n));
	try_reply(&mem, rd_make(bytes, n));
	must(mem.by[MEM_QUERY].bytes == 0 && mem.by[MEM_QUERY].peak_bytes <= 6 * QUERY_MEMORY,
	    "no memory is left over, nor was there ever much");
	return 0;
}
