/*
 * bfd/client/protocol.c -- protobuf on one side, plain values on the other
 *
 * A message is decoded into a small arena on the stack: no allocation, and a bound on what a hostile message can take.
 * Whatever is out of range makes the whole message one that is not understood.
 */
#include "bfd/client/protocol.h"

#include <errno.h>

#include "bfd/client/bfd.pb-c.h"
#include "fabricd/lib/base.h"

#define ARENA_BYTES 16384

struct arena {
	size_t used;
	_Alignas(16) uint8_t bytes[ARENA_BYTES];
};

static void *
arena_alloc(void *data, size_t n)
{
	struct arena *a = data;
	size_t at = a->used;

	if (n > ARENA_BYTES || at + n > ARENA_BYTES)
		return NULL;
	a->used = (at + n + 15) & ~(size_t)15;
	return a->bytes + at;
}

static void
arena_free(void *data UNUSED, void *p UNUSED)
{
}

int
bfd_frame(struct rd *r, struct rd *body)
{
	struct rd look = *r;
	uint32_t n = rd_u32(&look);

	if (look.bad)
		return 0;
	if (n > BFD_FRAME_MAX - 4)
		return -EMSGSIZE;
	*body = rd_sub(&look, n);
	if (look.bad)
		return 0;
	*r = look;
	return 1;
}

/* ---- parts ---- */

static bool
address_in(const ProtobufCBinaryData *b, struct ip *out)
{
	if (b->len == 4)
		*out = ip_v4(get_u32(b->data));
	else if (b->len == 16)
		*out = ip_v6(b->data);
	else
		return false;
	return true;
}

static ProtobufCBinaryData
address_out(const struct ip *a)
{
	return (ProtobufCBinaryData){ .len = family_bytes(a->family), .data = (uint8_t *)(uintptr_t)a->b };
}

static bool
path_in(const Bfd__Path *p, struct bfd_path *out)
{
	if (!p || !address_in(&p->local, &out->local) || !address_in(&p->peer, &out->peer))
		return false;
	out->ifindex = p->ifindex;
	out->multihop = p->multihop;
	return true;
}

static void
path_out(const struct bfd_path *p, Bfd__Path *out)
{
	bfd__path__init(out);
	out->ifindex = p->ifindex;
	out->local = address_out(&p->local);
	out->peer = address_out(&p->peer);
	out->multihop = p->multihop;
}

static bool
params_in(const Bfd__Params *p, struct bfd_params *out)
{
	if (!p || p->multiplier > UINT8_MAX || p->min_hops > UINT8_MAX || p->auth_type > UINT8_MAX ||
	    p->n_keys > BFD_KEYS)
		return false;
	*out = (struct bfd_params){ .min_tx_us = p->min_tx_us,
		.min_rx_us = p->min_rx_us,
		.multiplier = (uint8_t)p->multiplier,
		.passive = p->passive,
		.admin_down = p->admin_down,
		.independent = true, /* bfdd is a process of its own: it lives on without its clients */
		.echo_us = p->echo_us,
		.echo_rx_us = p->echo_rx_us,
		.min_hops = (uint8_t)p->min_hops,
		.auth = { .type = (uint8_t)p->auth_type, .nkeys = (uint8_t)p->n_keys } };
	for (size_t i = 0; i < p->n_keys; i++) {
		const Bfd__Key *k = p->keys[i];

		if (k->id > UINT8_MAX || k->key.len > BFD_KEY_MAX)
			return false;
		out->auth.keys[i].id = (uint8_t)k->id;
		out->auth.keys[i].len = (uint8_t)k->key.len;
		if (k->key.len)
			memcpy(out->auth.keys[i].bytes, k->key.data, k->key.len);
	}
	return true;
}

struct params_parts {
	Bfd__Params msg;
	Bfd__Key keys[BFD_KEYS], *list[BFD_KEYS];
};

static void
params_out(const struct bfd_params *p, struct params_parts *out)
{
	Bfd__Params *m = &out->msg;

	bfd__params__init(m);
	m->min_tx_us = p->min_tx_us;
	m->min_rx_us = p->min_rx_us;
	m->multiplier = p->multiplier;
	m->passive = p->passive;
	m->admin_down = p->admin_down;
	m->echo_us = p->echo_us;
	m->echo_rx_us = p->echo_rx_us;
	m->min_hops = p->min_hops;
	m->auth_type = p->auth.type;
	m->n_keys = MIN_OF(p->auth.nkeys, BFD_KEYS);
	m->keys = out->list;
	for (size_t i = 0; i < m->n_keys; i++) {
		bfd__key__init(&out->keys[i]);
		out->keys[i].id = p->auth.keys[i].id;
		out->keys[i].key.len = MIN_OF(p->auth.keys[i].len, BFD_KEY_MAX);
		out->keys[i].key.data = (uint8_t *)(uintptr_t)p->auth.keys[i].bytes;
		out->list[i] = &out->keys[i];
	}
}

/* Printable ASCII that fits; what is not is left out. */
static void
text_in(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++)
		if (*from >= 0x20 && *from <= 0x7e)
			to[n++] = *from;
	to[n] = '\0';
}

static size_t
pack(const ProtobufCMessage *m, uint8_t *buf)
{
	size_t n = protobuf_c_message_get_packed_size(m);

	if (n > BFD_FRAME_MAX - 4)
		return 0; /* no message of ours is as long */
	put_u32(buf, (uint32_t)n);
	return 4 + protobuf_c_message_pack(m, buf + 4);
}

/* ---- requests ---- */

struct strangers_parts {
	Bfd__Unsolicited msg;
	struct params_parts params;
	Bfd__Subnet subnets[BFD_SUBNETS], *list[BFD_SUBNETS];
	struct ip addresses[BFD_SUBNETS];
};

static void
strangers_out(const struct bfd_strangers *s, struct strangers_parts *out)
{
	Bfd__Unsolicited *m = &out->msg;

	bfd__unsolicited__init(m);
	m->ifindex = s->ifindex;
	if (!s->max)
		return;
	params_out(&s->params, &out->params);
	m->params = &out->params.msg;
	m->max = s->max;
	m->n_subnets = MIN_OF(s->nsubnets, BFD_SUBNETS);
	m->subnets = out->list;
	for (size_t i = 0; i < m->n_subnets; i++) {
		bfd__subnet__init(&out->subnets[i]);
		out->addresses[i] = prefix_addr(&s->subnets[i]);
		out->subnets[i].address = address_out(&out->addresses[i]);
		out->subnets[i].length = s->subnets[i].len;
		out->list[i] = &out->subnets[i];
	}
}

static bool
strangers_in(const Bfd__Unsolicited *m, struct bfd_strangers *out)
{
	out->ifindex = m->ifindex;
	if (!m->params)
		return true;
	out->max = m->max;
	if (m->n_subnets > BFD_SUBNETS || !params_in(m->params, &out->params))
		return false;
	for (size_t i = 0; i < m->n_subnets; i++) {
		struct ip a;

		if (!address_in(&m->subnets[i]->address, &a) || m->subnets[i]->length > 8 * family_bytes(a.family))
			return false;
		out->subnets[out->nsubnets++] = prefix_of(&a, m->subnets[i]->length);
	}
	return true;
}

size_t
bfd_request_encode(const struct bfd_request *r, uint8_t *buf)
{
	Bfd__ToDaemon m = BFD__TO_DAEMON__INIT;
	Bfd__Watch watch = BFD__WATCH__INIT;
	Bfd__Unwatch unwatch = BFD__UNWATCH__INIT;
	Bfd__List list = BFD__LIST__INIT;
	Bfd__Bye bye = BFD__BYE__INIT;
	struct strangers_parts strangers;
	struct params_parts params;
	Bfd__Path path;

	params_out(&r->target.params, &params);
	path_out(&r->target.path, &path);
	switch (r->ask) {
	case BFD_ASK_WATCH:
		watch.id = r->id;
		watch.path = &path;
		watch.port = (char *)(uintptr_t)r->target.port;
		watch.params = &params.msg;
		m.what_case = BFD__TO_DAEMON__WHAT_WATCH;
		m.watch = &watch;
		break;
	case BFD_ASK_UNWATCH:
		unwatch.id = r->id;
		m.what_case = BFD__TO_DAEMON__WHAT_UNWATCH;
		m.unwatch = &unwatch;
		break;
	case BFD_ASK_LIST:
		list.counters = r->counters;
		m.what_case = BFD__TO_DAEMON__WHAT_LIST;
		m.list = &list;
		break;
	case BFD_ASK_UNSOLICITED:
		strangers_out(&r->strangers, &strangers);
		m.what_case = BFD__TO_DAEMON__WHAT_UNSOLICITED;
		m.unsolicited = &strangers.msg;
		break;
	case BFD_ASK_BYE:
		m.what_case = BFD__TO_DAEMON__WHAT_BYE;
		m.bye = &bye;
		break;
	}
	return pack(&m.base, buf);
}

static int
request_in(const Bfd__ToDaemon *m, struct bfd_request *out)
{
	switch (m->what_case) {
	case BFD__TO_DAEMON__WHAT_WATCH:
		out->ask = BFD_ASK_WATCH;
		out->id = m->watch->id;
		text_in(m->watch->port, out->target.port, sizeof(out->target.port));
		return path_in(m->watch->path, &out->target.path) && params_in(m->watch->params, &out->target.params)
			   ? 0
			   : -EPROTO;
	case BFD__TO_DAEMON__WHAT_UNWATCH:
		out->ask = BFD_ASK_UNWATCH;
		out->id = m->unwatch->id;
		return 0;
	case BFD__TO_DAEMON__WHAT_LIST:
		out->ask = BFD_ASK_LIST;
		out->counters = m->list->counters;
		return 0;
	case BFD__TO_DAEMON__WHAT_UNSOLICITED:
		out->ask = BFD_ASK_UNSOLICITED;
		return strangers_in(m->unsolicited, &out->strangers) ? 0 : -EPROTO;
	case BFD__TO_DAEMON__WHAT_BYE:
		out->ask = BFD_ASK_BYE;
		return 0;
	default:
		return -EPROTO;
	}
}

int
bfd_request_decode(struct rd body, struct bfd_request *out)
{
	struct arena arena = { .used = 0 };
	ProtobufCAllocator allocator = { arena_alloc, arena_free, &arena };
	size_t n = rd_left(&body);
	Bfd__ToDaemon *m = bfd__to_daemon__unpack(&allocator, n, rd_take(&body, n));

	memset(out, 0, sizeof(*out));
	return m ? request_in(m, out) : -EPROTO;
}

/* ---- replies ---- */

/* The fields of a row that have one name in a view and in a message. */
#define ROW_FIELDS(X)                                                                                                  \
	X(state);                                                                                                      \
	X(remote_state);                                                                                               \
	X(diag);                                                                                                       \
	X(remote_diag);                                                                                                \
	X(multiplier);                                                                                                 \
	X(remote_multiplier);                                                                                          \
	X(remote_independent);                                                                                         \
	X(remote_demand);                                                                                              \
	X(unsolicited);                                                                                                \
	X(polling);                                                                                                    \
	X(authenticated);                                                                                              \
	X(local_discr);                                                                                                \
	X(remote_discr);                                                                                               \
	X(tx);                                                                                                         \
	X(rx);                                                                                                         \
	X(dropped);                                                                                                    \
	X(missed);                                                                                                     \
	X(flaps);                                                                                                      \
	X(spared);                                                                                                     \
	X(polls_unanswered);                                                                                           \
	X(echo_tx);                                                                                                    \
	X(echo_rx);                                                                                                    \
	X(down_diag);                                                                                                  \
	X(tx_us);                                                                                                      \
	X(rx_us);                                                                                                      \
	X(detect_us);                                                                                                  \
	X(echo_us);                                                                                                    \
	X(tx_late_p99);                                                                                                \
	X(tx_late_max);                                                                                                \
	X(rx_late_p99);                                                                                                \
	X(rx_late_max)
#define ROW_OUT(f) m->f = (__typeof__(m->f))v->f
#define ROW_IN(f)  v->f = (__typeof__(v->f))m->f

static void
row_out(const struct bfd_row *r, Bfd__Row *m, Bfd__Path *path)
{
	const struct bfd_view *v = &r->view;

	bfd__row__init(m);
	path_out(&v->path, path);
	m->path = path;
	m->port = (char *)(uintptr_t)r->port;
	m->clients = r->clients;
	ROW_FIELDS(ROW_OUT);
	m->since_us = r->since_us;
	m->last_rx_us = r->last_rx_us;
	m->down_us = r->down_us;
}

static bool
row_in(const Bfd__Row *m, struct bfd_reply *out)
{
	struct bfd_view *v = &out->row.view;

	if (!path_in(m->path, &v->path) || m->state >= BFD_STATES || m->remote_state >= BFD_STATES ||
	    m->down_diag >= BFD_DIAGS)
		return false;
	text_in(m->port, out->text, sizeof(out->text));
	out->row.port = out->text;
	out->row.clients = m->clients;
	ROW_FIELDS(ROW_IN);
	v->since = v->last_rx = v->down_at = MONO_NEVER;
	out->row.since_us = m->since_us;
	out->row.last_rx_us = m->last_rx_us;
	out->row.down_us = m->down_us;
	return true;
}

static void
counter_out(const struct bfd_count *c, Bfd__Counter *m, Bfd__Path *path)
{
	bfd__counter__init(m);
	m->name = (char *)(uintptr_t)c->name;
	m->what = (char *)(uintptr_t)c->what;
	m->routine = c->routine;
	m->value = c->value;
	if (!c->path)
		return;
	path_out(c->path, path);
	m->path = path;
	m->port = (char *)(uintptr_t)c->port;
}

/* What a name may not hold is no reason to part with a bfdd that is newer than we are: it is read as "-". */
static bool
counter_in(const Bfd__Counter *m, struct bfd_reply *out)
{
	struct bfd_count *c = &out->count;

	text_in(m->name, out->name, sizeof(out->name));
	text_in(m->what, out->what, sizeof(out->what));
	text_in(m->port, out->text, sizeof(out->text));
	for (char *at = out->name; *at; at++)
		*at = *at >= 'a' && *at <= 'z' ? *at : '-';
	if (!out->name[0] || (m->path && !path_in(m->path, &out->path)))
		return false;
	*c = (struct bfd_count){
		.name = out->name, .what = out->what, .routine = m->routine, .value = m->value, .port = out->text
	};
	c->path = m->path ? &out->path : NULL;
	return true;
}

size_t
bfd_reply_encode(const struct bfd_reply *r, uint8_t *buf)
{
	Bfd__FromDaemon m = BFD__FROM_DAEMON__INIT;
	Bfd__State state = BFD__STATE__INIT;
	Bfd__End end = BFD__END__INIT;
	Bfd__Row row;
	Bfd__Counter counter;
	Bfd__Path path;

	switch (r->tell) {
	case BFD_TELL_STATE:
		state.id = r->id;
		state.state = r->status.state;
		state.diag = r->status.diag;
		state.remote_state = r->status.remote_state;
		state.independent = r->status.independent;
		state.remote_said_down = r->status.remote_said_down;
		if (r->status.refused)
			state.refused = (char *)(uintptr_t)r->status.refused;
		m.what_case = BFD__FROM_DAEMON__WHAT_STATE;
		m.state = &state;
		break;
	case BFD_TELL_ROW:
		row_out(&r->row, &row, &path);
		m.what_case = BFD__FROM_DAEMON__WHAT_ROW;
		m.row = &row;
		break;
	case BFD_TELL_COUNTER:
		counter_out(&r->count, &counter, &path);
		m.what_case = BFD__FROM_DAEMON__WHAT_COUNTER;
		m.counter = &counter;
		break;
	case BFD_TELL_END:
		end.counted_us = (uint64_t)r->counted_us;
		m.what_case = BFD__FROM_DAEMON__WHAT_END;
		m.end = &end;
		break;
	}
	return pack(&m.base, buf);
}

static bool
state_in(const Bfd__State *m, struct bfd_reply *out)
{
	if (m->state >= BFD_STATES || m->remote_state >= BFD_STATES || m->diag >= BFD_DIAGS)
		return false;
	out->id = m->id;
	out->status = (struct bfd_status){ .state = m->state,
		.diag = m->diag,
		.remote_state = m->remote_state,
		.independent = m->independent,
		.remote_said_down = m->remote_said_down };
	text_in(m->refused, out->text, sizeof(out->text));
	if (out->text[0])
		out->status.refused = out->text;
	return true;
}

int
bfd_reply_decode(struct rd body, struct bfd_reply *out)
{
	struct arena arena = { .used = 0 };
	ProtobufCAllocator allocator = { arena_alloc, arena_free, &arena };
	size_t n = rd_left(&body);
	const Bfd__FromDaemon *m = bfd__from_daemon__unpack(&allocator, n, rd_take(&body, n));

	memset(out, 0, sizeof(*out));
	if (!m)
		return -EPROTO;
	switch (m->what_case) {
	case BFD__FROM_DAEMON__WHAT_STATE:
		out->tell = BFD_TELL_STATE;
		return state_in(m->state, out) ? 0 : -EPROTO;
	case BFD__FROM_DAEMON__WHAT_ROW:
		out->tell = BFD_TELL_ROW;
		return row_in(m->row, out) ? 0 : -EPROTO;
	case BFD__FROM_DAEMON__WHAT_COUNTER:
		out->tell = BFD_TELL_COUNTER;
		return counter_in(m->counter, out) ? 0 : -EPROTO;
	case BFD__FROM_DAEMON__WHAT_END:
		out->tell = BFD_TELL_END;
		out->counted_us = (int64_t)MIN_OF(m->end->counted_us, (uint64_t)INT64_MAX);
		return 0;
	default:
		return -EPROTO;
	}
}
