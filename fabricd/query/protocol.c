/* fabricd/query/protocol.c -- frames and protobuf messages of the query socket, under a bound of memory */
#include "fabricd/query/protocol.h"

#include <errno.h>

#include "fabricd/query/query.pb-c.h"

/* What the decoding of one message may still take. libprotobuf-c treats NULL as a failed decode. */
struct budget {
	struct mem *mem;
	size_t left;
	bool exceeded;
};

static void *
budget_alloc(void *data, size_t n)
{
	struct budget *b = data;
	size_t cost = n + (n < 65536 ? 32 : 8192); /* what malloc itself takes counts too: its head, and whole pages */
	void *p;

	if (cost < n || cost > b->left) {
		b->exceeded = true;
		return NULL;
	}
	if (!(p = mem_try(b->mem, MEM_QUERY, n ? n : 1)))
		b->exceeded = true;
	b->left -= cost;
	return p;
}

static void
budget_free(void *data, void *p)
{
	struct budget *b = data;

	mem_free(b->mem, MEM_QUERY, p);
}

static ProtobufCAllocator
budget_allocator(struct budget *b)
{
	return (ProtobufCAllocator){ .alloc = budget_alloc, .free = budget_free, .allocator_data = b };
}

int
query_frame(struct rd *r, size_t max, struct rd *body)
{
	struct rd look = *r;
	uint32_t n = rd_u32(&look);

	if (look.bad)
		return 0;
	if (n > max)
		return -EMSGSIZE;
	*body = rd_sub(&look, n);
	if (look.bad)
		return 0;
	*r = look;
	return 1;
}

/* Words go into replies, logs and terminals as they came: printable ASCII, nothing else. */
static bool
printable(const char *s)
{
	for (; *s; s++) {
		if (*s < 0x20 || *s > 0x7e)
			return false;
	}
	return true;
}

int
query_request_decode(struct mem *mem, struct rd body, struct query_request *out)
{
	struct budget budget = { .mem = mem, .left = QUERY_MEMORY };
	ProtobufCAllocator allocator = budget_allocator(&budget);
	size_t n = rd_left(&body);
	Fabricd__Query__Request *msg = fabricd__query__request__unpack(&allocator, n, rd_take(&body, n));
	int err = 0;

	*out = (struct query_request){ 0 };
	if (!msg)
		return budget.exceeded ? -ENOMEM : -EBADMSG;
	if (msg->n_args > QUERY_MAX_ARGS)
		err = -E2BIG;
	else if (!msg->verb[0] || !printable(msg->verb))
		err = -EBADMSG;
	for (size_t i = 0; !err && i < msg->n_args; i++)
		err = printable(msg->args[i]) ? 0 : -EBADMSG;
	*out = (struct query_request){
		.id = msg->id,
		.verb = msg->verb,
		.args = (const char *const *)msg->args,
		.n_args = msg->n_args,
		.owner = msg,
	};
	if (err)
		query_request_free(mem, out);
	return err;
}

void
query_request_free(struct mem *mem, struct query_request *r)
{
	struct budget budget = { .mem = mem };
	ProtobufCAllocator allocator = budget_allocator(&budget);

	if (r->owner)
		fabricd__query__request__free_unpacked(r->owner, &allocator);
	*r = (struct query_request){ .id = r->id };
}

int
query_reply_decode(struct mem *mem, struct rd body, struct query_reply *out)
{
	struct budget budget = { .mem = mem, .left = 2 * QUERY_MEMORY };
	ProtobufCAllocator allocator = budget_allocator(&budget);
	size_t n = rd_left(&body);
	Fabricd__Query__Reply *msg = fabricd__query__reply__unpack(&allocator, n, rd_take(&body, n));

	*out = (struct query_reply){ 0 };
	if (!msg)
		return budget.exceeded ? -ENOMEM : -EBADMSG;
	*out = (struct query_reply){
		.id = msg->id,
		.kind = (enum query_kind)msg->kind,
		.status = msg->status,
		.json = (const char *)msg->json.data,
		.n = msg->json.len,
		.owner = msg,
	};
	if ((unsigned int)msg->kind >= QUERY_KINDS) {
		query_reply_free(mem, out);
		return -EBADMSG;
	}
	return 0;
}

void
query_reply_free(struct mem *mem, struct query_reply *r)
{
	struct budget budget = { .mem = mem };
	ProtobufCAllocator allocator = budget_allocator(&budget);

	if (r->owner)
		fabricd__query__reply__free_unpacked(r->owner, &allocator);
	*r = (struct query_reply){ .id = r->id };
}

static Fabricd__Query__Request
request_message(const struct query_request *r)
{
	Fabricd__Query__Request msg = FABRICD__QUERY__REQUEST__INIT;

	msg.id = r->id;
	msg.verb = (char *)r->verb;
	msg.args = (char **)r->args;
	msg.n_args = r->n_args;
	return msg;
}

static Fabricd__Query__Reply
reply_message(const struct query_reply *r)
{
	Fabricd__Query__Reply msg = FABRICD__QUERY__REPLY__INIT;

	msg.id = r->id;
	msg.kind = (Fabricd__Query__Reply__Kind)r->kind;
	msg.status = r->status;
	msg.json.data = (uint8_t *)r->json;
	msg.json.len = r->n;
	return msg;
}

size_t
query_request_size(const struct query_request *r)
{
	Fabricd__Query__Request msg = request_message(r);

	return QUERY_FRAME_HEAD + fabricd__query__request__get_packed_size(&msg);
}

void
query_request_encode(const struct query_request *r, uint8_t *out)
{
	Fabricd__Query__Request msg = request_message(r);

	put_u32(out, (uint32_t)fabricd__query__request__pack(&msg, out + QUERY_FRAME_HEAD));
}

size_t
query_reply_size(const struct query_reply *r)
{
	Fabricd__Query__Reply msg = reply_message(r);

	return QUERY_FRAME_HEAD + fabricd__query__reply__get_packed_size(&msg);
}

void
query_reply_encode(const struct query_reply *r, uint8_t *out)
{
	Fabricd__Query__Reply msg = reply_message(r);

	put_u32(out, (uint32_t)fabricd__query__reply__pack(&msg, out + QUERY_FRAME_HEAD));
}
