/* tests/unit/bgp/send_test.c -- queues, shared batches, next hops per peer, send hold; real tables end to end */
#include "tests/unit/bgp/pair.h"

static const struct bgp_next_hop a_hop = { .has_link_local = true,
	.link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 0xa } } };
static const struct bgp_next_hop b_hop = { .has_global = true,
	.global = { FAMILY_IPV6, { 0x20, 1, [15] = 0xb } },
	.has_link_local = true,
	.link_local = { FAMILY_IPV6, { 0xfe, 0x80, [15] = 0xb } } };

static const uint8_t own_wire[] = { 0x40, 1, 1, 0 };
static const struct attrs_view own_attrs = { .wire = own_wire, .wire_len = sizeof(own_wire) };

static void
bring_up(struct world *w)
{
	world_make(w);
	for (int f = 0; f < FAMILIES; f++) {
		bgp_peer_set_next_hop(w->a.peer, (enum family)f, &a_hop);
		bgp_peer_set_next_hop(w->b.peer, (enum family)f, &b_hop);
	}
	links_up(w);
	if (!world_run(w, SECONDS(5), both_up))
		fail_msg("a: %s", bgp_peer_reason(w->a.peer)->text);
}

static struct prefix
nth(enum family f, uint32_t i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 48 };

	p.b[0] = f == FAMILY_IPV4 ? 10 : 0x20;
	put_u16(p.b + 1, (uint16_t)i);
	return p;
}

/* n prefixes of both families, announced or withdrawn, with End-of-RIB. */
static struct bgp_batch *
batch_of(const struct bgp_encode_opts *opt, uint32_t n, bool announce, struct mem *mem)
{
	struct bgp_build *b = bgp_build_new(mem, opt);
	struct bgp_batch *batch;

	for (int f = 0; f < FAMILIES; f++) {
		if (announce)
			assert_int_equal(bgp_build_reach(b, (enum family)f, &own_attrs), 0);
		else
			bgp_build_unreach(b, (enum family)f);
		for (uint32_t i = 0; i < n; i++) {
			struct prefix p = nth((enum family)f, i);

			bgp_build_prefix(b, &p);
		}
		bgp_build_end_of_rib(b, (enum family)f);
	}
	batch = bgp_build_take(b);
	bgp_build_free(b);
	return batch;
}

/* One batch, shared by both directions, in pieces of every size: each receiver sees the next hop of its own peer. */
static void
shared_batches_own_next_hops(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 120; seed++) {
		struct world *w = world_new(seed);
		struct bgp_encode_opts opt;
		struct bgp_batch *batch, *gone;
		struct mem mem = { 0 };

		w->chunk = seed < 60 ? seed : 700;
		w->a.keep_routes = w->b.keep_routes = true;
		w->b.cfg.any_first_as = w->a.cfg.any_first_as = true;
		bring_up(w);
		opt = bgp_peer_encode_opts(w->a.peer);
		assert_int_equal(opt.form[FAMILY_IPV4], BGP_NH_IPV6_TWO);
		assert_true(opt.as4 && opt.extended && !opt.internal && opt.local_as == 65001 && opt.prepend == 1);
		opt.local_as = 64999; /* neither of the two, since both send it */
		batch = batch_of(&opt, 40, true, &mem);
		gone = batch_of(&opt, 40, false, &mem);
		assert_true(bgp_send(w->a.peer, batch));
		assert_true(bgp_send(w->b.peer, batch));
		assert_int_equal(batch->refs, 3);
		assert_in_range(
		    bgp_queue_bytes(w->a.peer), batch->len + sizeof(*batch), batch->len + sizeof(*batch) + 64);
		world_run(w, SECONDS(1), NULL);
		assert_int_equal(bgp_queue_bytes(w->a.peer), 0);
		assert_int_equal(batch->refs, 1);
		assert_int_equal(w->a.nroutes, 80);
		assert_int_equal(w->b.nroutes, 80);
		for (int i = 0; i < 80; i++) {
			const struct bgp_next_hop *at_b = &w->b.routes[i].next_hop, *at_a = &w->a.routes[i].next_hop;

			assert_true(!at_b->has_global && ip_equal(&at_b->link_local, &a_hop.link_local));
			assert_true(at_a->has_global && ip_equal(&at_a->global, &b_hop.global));
			assert_true(ip_equal(&at_a->link_local, &b_hop.link_local));
		}
		assert_int_equal(bgp_peer_facts(w->a.peer)->end_of_rib_out, 3);
		assert_int_equal(bgp_peer_facts(w->b.peer)->end_of_rib_in, 3);
		assert_int_equal(bgp_peer_counters(w->a.peer)->prefixes_out[FAMILY_IPV6], 40);
		assert_int_equal(bgp_peer_counters(w->b.peer)->prefixes_in[FAMILY_IPV4], 40);
		bgp_send(w->a.peer, gone);
		world_run(w, SECONDS(1), NULL);
		assert_int_equal(w->b.nroutes, 0);
		assert_int_equal(bgp_peer_counters(w->b.peer)->withdrawn_in[FAMILY_IPV4], 40);
		bgp_batch_unref(batch);
		bgp_batch_unref(gone);
		assert_int_equal(mem.by[MEM_EXPORT].bytes, 0);
		world_free(w);
	}
}

/* Small batches cost more than their octets: what waits is told as the memory that it takes. */
static void
queued_bytes_are_memory(void **state)
{
	struct world *w = world_new(3);
	struct bgp_encode_opts opt;
	struct mem mem = { 0 };
	size_t told, held;

	(void)state;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	up_end(&w->a)->window = 0;
	for (uint32_t i = 0; i < 5000; i++) {
		struct bgp_batch *batch = batch_of(&opt, 1, false, &mem);

		assert_true(bgp_send(w->a.peer, batch));
		bgp_batch_unref(batch);
	}
	held = mem.by[MEM_EXPORT].bytes + 8192 * sizeof(void *); /* the ring, too */
	told = bgp_queue_bytes(w->a.peer);
	if (told < held || told > held + held / 2)
		fail_msg("%zu bytes are held, %zu are told", held, told);
	world_free(w);
	assert_int_equal(mem.by[MEM_EXPORT].bytes, 0);
}

/* A peer that reads slowly: keepalives go before what is queued, so that it does not lose the session. */
static void
keepalives_overtake(void **state)
{
	struct world *w = world_new(3);
	struct bgp_encode_opts opt;
	struct bgp_batch *batch;
	struct end *e;
	size_t queued;

	(void)state;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	batch = batch_of(&opt, 20000, true, NULL);
	for (int i = 0; i < 20; i++)
		bgp_send(w->a.peer, batch);
	queued = bgp_queue_bytes(w->a.peer);
	assert_in_range(queued, 20 * (batch->len + sizeof(*batch)), 20 * (batch->len + sizeof(*batch) + 64));
	e = up_end(&w->a);
	/* 600 octets a second; a message of 4,096 takes seven seconds, the hold time is nine */
	e->stuck = true;
	for (int s = 0; s < 120; s++) {
		size_t n;

		e->window = 600;
		world_run(w, SECONDS(1), NULL);
		n = e->nflight;
		append(&e->far->in, &e->far->nin, &e->far->cap_in, e->flight, n);
		e->nflight = 0;
		if (e->far->conn)
			end_read(e->far);
	}
	assert_true(both_up(w));
	assert_true(bgp_queue_bytes(w->a.peer) > queued / 2);
	assert_true(bgp_peer_counters(w->b.peer)->in[BGP_KEEPALIVE] > 10);
	/* what waits can be dropped, but for the batch that was begun */
	assert_true(bgp_queue_drop(w->a.peer) > 10 * batch->len);
	assert_true(bgp_queue_bytes(w->a.peer) < batch->len + sizeof(*batch) + 64);
	bgp_batch_unref(batch);
	world_free(w);
}

/* RFC 9687: nothing taken for the send hold time. With a window of an octet a second as well. */
static void
send_hold(void **state)
{
	(void)state;
	for (int octet = 0; octet < 2; octet++) {
		struct world *w = world_new(4);
		struct bgp_encode_opts opt;
		struct bgp_batch *batch;
		struct mono start;
		struct end *e;
		int s;

		w->b.cfg.hold_s = w->a.cfg.hold_s = 600; /* so that b does not hang up first */
		w->a.cfg.send_hold_us = SECONDS(300);
		bring_up(w);
		assert_int_equal(bgp_peer_config(w->b.peer)->send_hold_us, SECONDS(1200)); /* RFC 9687: 2 x hold */
		opt = bgp_peer_encode_opts(w->a.peer);
		batch = batch_of(&opt, 20000, true, NULL);
		e = up_end(&w->a);
		e->stuck = true;
		e->window = 50; /* a socket buffer of sorts: the first octets are taken */
		world_run(w, SECONDS(100), NULL);
		start = w->now;
		bgp_send(w->a.peer, batch);
		for (s = 0; s < 3000 && bgp_peer_state(w->a.peer) == BGP_ESTABLISHED; s++) {
			e->window += (size_t)octet;
			world_run(w, SECONDS(1), NULL);
		}
		assert_int_equal(bgp_peer_last_reset(w->a.peer)->cause, BGP_CAUSE_SEND_HOLD);
		assert_in_range(mono_sub(w->now, start), SECONDS(299), SECONDS(302));
		assert_string_equal(bgp_peer_notice_out(w->a.peer), "send hold timer expired (8/0)");
		assert_int_equal(batch->refs, 1);
		bgp_batch_unref(batch);
		world_free(w);
	}
}

/* A slow peer that makes progress is left alone. */
static void
slow_is_not_dead(void **state)
{
	struct world *w = world_new(4);
	struct bgp_encode_opts opt;
	struct bgp_batch *batch;
	struct end *e;

	(void)state;
	w->b.cfg.hold_s = w->a.cfg.hold_s = 600;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	batch = batch_of(&opt, 20000, true, NULL);
	for (int i = 0; i < 10; i++)
		bgp_send(w->a.peer, batch);
	e = up_end(&w->a);
	for (int s = 0; s < 4000; s++) {
		e->window = 200;
		world_run(w, SECONDS(1), NULL);
	}
	assert_true(both_up(w));
	bgp_batch_unref(batch);
	world_free(w);
}

/* What was dropped is not waited for: who reads all the rest is not one who takes nothing. */
static void
what_was_dropped_is_not_waited_for(void **state)
{
	(void)state;
	for (int begun = 0; begun < 2; begun++) {
		struct world *w = world_new(4);
		struct bgp_encode_opts opt;
		struct bgp_batch *batch;
		struct end *e;

		w->b.cfg.hold_s = w->a.cfg.hold_s = 600;
		w->a.cfg.send_hold_us = SECONDS(300);
		bring_up(w);
		opt = bgp_peer_encode_opts(w->a.peer);
		batch = batch_of(&opt, 500, true, NULL);
		e = up_end(&w->a);
		e->stuck = true;
		e->window = begun ? 50 : 0;
		for (int i = 0; i < 100; i++)
			bgp_send(w->a.peer, batch);
		world_run(w, SECONDS(100), NULL);
		assert_true(bgp_queue_drop(w->a.peer) > 90 * batch->len);
		assert_int_equal(bgp_queue_bytes(w->a.peer) > 0, begun);
		e->stuck = false;
		e->window = SIZE_MAX;
		world_run(w, SECONDS(2000), NULL);
		if (bgp_peer_counters(w->a.peer)->flaps)
			fail_msg("%d: %s", begun, bgp_peer_last_reset(w->a.peer)->text);
		assert_int_equal(batch->refs, 1);
		bgp_batch_unref(batch);
		world_free(w);
	}
}

/* The owner may pull in any sizes, also in the middle of a message when the session ends. */
static void
notice_follows_a_whole_message(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 400; cut += 3) {
		struct world *w = world_new(5);
		struct bgp_encode_opts opt;
		struct bgp_batch *batch;
		struct end *e, *f;

		bring_up(w);
		opt = bgp_peer_encode_opts(w->a.peer);
		batch = batch_of(&opt, 10, true, NULL);
		bgp_send(w->a.peer, batch);
		e = up_end(&w->a);
		f = e->far;
		e->stuck = true;
		e->window = cut;
		world_run(w, MS(1), NULL);
		bgp_peer_stop(w->a.peer, "so", w->now);
		e->stuck = false;
		world_run(w, MS(1), NULL);
		assert_null(f->conn);
		assert_string_equal(bgp_peer_notice_in(w->b.peer), "cease (6/2): administrative shutdown, \"so\"");
		assert_int_equal(bgp_peer_counters(w->b.peer)->in[0], 0); /* no bad frame */
		bgp_batch_unref(batch);
		world_free(w);
	}
}

static void
refresh_marks_keep_their_place(void **state)
{
	struct world *w = world_new(6);
	struct bgp_encode_opts opt;
	struct bgp_batch *batch;

	(void)state;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	batch = batch_of(&opt, 5000, true, NULL);
	assert_true(bgp_send_refresh(w->a.peer, FAMILY_IPV4, BGP_REFRESH_BEGIN));
	bgp_send(w->a.peer, batch);
	assert_true(bgp_send_refresh(w->a.peer, FAMILY_IPV4, BGP_REFRESH_END));
	assert_true(bgp_send_refresh(w->b.peer, FAMILY_IPV6, BGP_REFRESH_REQUEST));
	while (world_move(w))
		if (w->b.refreshes[BGP_REFRESH_END])
			assert_int_equal(w->b.prefixes, 10000);
		else if (w->b.prefixes)
			assert_int_equal(w->b.refreshes[BGP_REFRESH_BEGIN], 1);
	assert_int_equal(w->b.refreshes[BGP_REFRESH_END], 1);
	assert_int_equal(w->a.refreshes[BGP_REFRESH_REQUEST], 1);
	bgp_batch_unref(batch);
	world_free(w);
}

static void
nothing_is_sent_unless_up(void **state)
{
	struct world *w = world_new(7);
	struct bgp_encode_opts opt;
	struct bgp_batch *batch;

	(void)state;
	world_make(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	batch = batch_of(&opt, 1, true, NULL);
	assert_false(bgp_send(w->a.peer, batch));
	assert_false(bgp_send_refresh(w->a.peer, FAMILY_IPV4, BGP_REFRESH_REQUEST));
	assert_int_equal(batch->refs, 1);
	links_up(w);
	assert_true(world_run(w, SECONDS(5), both_up));
	/* no next hop of our own yet: said, and not sent */
	assert_true(bgp_send(w->a.peer, batch));
	world_run(w, MS(1), NULL);
	assert_int_equal(w->b.prefixes, 0);
	assert_true(both_up(w));
	assert_non_null(strstr(w->a.last_event, "no own next hop"));
	bgp_batch_unref(batch);
	world_free(w);
}

/* Attribute sets beyond 4,096 octets pass between two that speak RFC 8654. */
static void
extended_messages(void **state)
{
	static uint8_t wire[60000];
	struct attrs_view v = { .wire = wire };
	struct wr wr = wr_make(wire, sizeof(wire));
	struct world *w = world_new(8);
	struct bgp_encode_opts opt;
	struct bgp_batch *batch;
	struct bgp_build *b;
	struct prefix p = nth(FAMILY_IPV6, 1);

	(void)state;
	wr_bytes(&wr, "\x40\x01\x01\x00\xd0\x08\x00\x00", 8);
	for (uint32_t i = 0; i < 12000; i++)
		wr_u32(&wr, 65001u << 16 | i);
	put_u16(wire + 6, (uint16_t)(wr_len(&wr) - 8));
	v.wire_len = (uint16_t)wr_len(&wr);
	w->chunk = 1000;
	w->b.keep_routes = true;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	b = bgp_build_new(NULL, &opt);
	assert_int_equal(bgp_build_reach(b, FAMILY_IPV6, &v), 0);
	bgp_build_prefix(b, &p);
	batch = bgp_build_take(b);
	assert_true(batch->len > 48000);
	bgp_send(w->a.peer, batch);
	world_run(w, SECONDS(1), NULL);
	assert_int_equal(w->b.nroutes, 1);
	assert_int_equal(bgp_input_max(up_end(&w->b)->conn), BGP_MAX_EXTENDED);
	bgp_batch_unref(batch);
	bgp_build_free(b);
	world_free(w);
}

/* ---- W21: real tables ---- */

struct table {
	struct {
		struct prefix prefix;
		size_t at, len; /* of its canonical attributes in wire */
	} * routes;
	size_t n, cap, wire_len, wire_cap;
	uint8_t *wire;
};

/* "2497 2914 {1,2}" as a canonical AS_PATH; false when it has a set (refused by RFC 9774). */
static bool
write_path(struct wr *w, const char *text)
{
	size_t start = wr_len(w);
	unsigned int n = 0;
	char *end;

	if (strchr(text, '{') || !*text)
		return false;
	wr_bytes(w, "\x50\x02\x00\x00\x02\x00", 6);
	for (; *text; text = end, n++)
		wr_u32(w, (uint32_t)strtoul(text, &end, 10));
	w->start[start + 5] = (uint8_t)n;
	put_u16(w->start + start + 2, (uint16_t)(2 + 4 * n));
	return n < 255;
}

static void
write_communities(struct wr *w, const char *text)
{
	size_t start = wr_len(w);
	char *end;

	if (!*text)
		return;
	wr_bytes(w, "\xd0\x08\x00\x00", 4);
	for (; *text; text = end) {
		wr_u16(w, (uint16_t)strtoul(text, &end, 10));
		wr_u16(w, (uint16_t)strtoul(end + 1, &end, 10));
	}
	put_u16(w->start + start + 2, (uint16_t)(wr_len(w) - start - 4));
}

/* prefix|as_path|origin|next_hop|med|communities|aggregator|atomic, from `first` on. */
static bool
parse_route(char *fields[], uint8_t *buf, size_t size, struct prefix *prefix, size_t *len)
{
	struct wr w = wr_make(buf, size);

	if (!prefix_parse(fields[0], prefix))
		return false;
	wr_bytes(&w, "\x40\x01\x01", 3);
	wr_u8(&w, fields[2][0] == 'i' ? 0 : fields[2][0] == 'e' ? 1 : 2);
	if (!write_path(&w, fields[1]) || strspn(fields[5], "0123456789: ") != strlen(fields[5]))
		return false;
	write_communities(&w, fields[5]);
	*len = wr_len(&w);
	return !w.full;
}

static int
split(char *line, char *fields[], int max)
{
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	while (n < max && line)
		fields[n++] = strsep(&line, "|");
	return n;
}

static void
load_table(const char *name, struct table *t)
{
	char cmd[200], line[8192];
	FILE *f;

	snprintf(cmd, sizeof(cmd), "gzip -dc tests/data/bgp/table/%s.txt.gz", name);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		uint8_t buf[4096];
		char *fields[8];
		struct prefix p;
		size_t len;

		if (line[0] == '#' || split(line, fields, 8) < 8 || !parse_route(fields, buf, sizeof(buf), &p, &len))
			continue;
		if (t->n == t->cap) {
			t->cap = t->cap ? 2 * t->cap : 1024;
			t->routes = realloc(t->routes, t->cap * sizeof(*t->routes));
		}
		t->routes[t->n].prefix = p;
		t->routes[t->n].at = t->wire_len;
		t->routes[t->n++].len = len;
		append(&t->wire, &t->wire_len, &t->wire_cap, buf, len);
	}
	assert_int_equal(pclose(f), 0);
}

static int
by_prefix(const void *a, const void *b)
{
	return prefix_cmp(&((const struct route *)a)->prefix, &((const struct route *)b)->prefix);
}

/* b collects what arrives without looking for duplicates: the tables have none. */
static void
collect(struct host *h, const struct bgp_update *u)
{
	struct prefix p;

	for (unsigned int i = 0; i < u->nreach; i++) {
		struct bgp_nlri n = u->reach[i].nlri;

		while (bgp_nlri_next(&n, &p)) {
			struct route *r;

			if (h->nroutes == h->cap_routes) {
				h->cap_routes = h->cap_routes ? 2 * h->cap_routes : 1024;
				h->routes = realloc(h->routes, h->cap_routes * sizeof(*r));
			}
			r = &h->routes[h->nroutes++];
			r->prefix = p;
			r->attrs = u->attrs;
			r->wire = malloc(u->attrs.wire_len);
			memcpy(r->wire, u->attrs.wire, u->attrs.wire_len);
		}
	}
}

/* A table from a to b: the same prefixes, the same attributes but for our AS in front; and all of it withdrawn. */
static void
through(const char *name, size_t least)
{
	struct world *w = world_new(9);
	struct table t = { 0 };
	struct bgp_encode_opts opt;
	struct bgp_build *b;
	struct bgp_batch *batch;

	load_table(name, &t);
	assert_true(t.n >= least);
	w->chunk = 100000;
	w->b.on_update = collect;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	b = bgp_build_new(NULL, &opt);
	for (size_t i = 0; i < t.n; i++) {
		struct attrs_view v = { .wire = t.wire + t.routes[i].at, .wire_len = (uint16_t)t.routes[i].len };

		if (i == 0 || t.routes[i].prefix.family != t.routes[i - 1].prefix.family ||
		    t.routes[i].len != t.routes[i - 1].len ||
		    memcmp(v.wire, t.wire + t.routes[i - 1].at, v.wire_len) != 0)
			assert_int_equal(bgp_build_reach(b, (enum family)t.routes[i].prefix.family, &v), 0);
		bgp_build_prefix(b, &t.routes[i].prefix);
	}
	batch = bgp_build_take(b);
	bgp_send(w->a.peer, batch);
	bgp_batch_unref(batch);
	world_run(w, MS(1), NULL);
	assert_int_equal(w->b.nroutes, t.n);
	assert_int_equal(
	    bgp_peer_counters(w->b.peer)->fates[BGP_FATE_OK], bgp_peer_counters(w->b.peer)->in[BGP_UPDATE]);
	for (size_t i = 0; i < t.n; i++) { /* the order of the stream is the order of sending */
		const struct route *r = &w->b.routes[i];
		struct attrs_view v = { .wire = t.wire + t.routes[i].at, .wire_len = (uint16_t)t.routes[i].len };
		struct bgp_update_opts uo = { .local_as = 1, .caps = BGP_CAP_AS4 };
		static struct bgp_scratch scratch;
		struct bgp_attrs want;
		uint8_t out[4096];
		int n = bgp_attrs_out(&opt, &v, out, sizeof(out));

		assert_true(n > 0);
		bgp_attrs_parse(rd_make(out, (size_t)n), &uo, &scratch, &want);
		if (!prefix_equal(&r->prefix, &t.routes[i].prefix) || r->attrs.wire_len != want.view.wire_len ||
		    memcmp(r->wire, want.view.wire, want.view.wire_len) != 0 || r->attrs.first_as != 65001 ||
		    r->attrs.path_len != want.view.path_len)
			fail_msg("%s: route %zu differs", name, i);
	}
	qsort(w->b.routes, w->b.nroutes, sizeof(*w->b.routes), by_prefix);
	for (int f = 0; f < FAMILIES; f++) {
		bgp_build_unreach(b, (enum family)f);
		for (size_t i = 0; i < t.n; i++)
			if (t.routes[i].prefix.family == f)
				bgp_build_prefix(b, &t.routes[i].prefix);
	}
	batch = bgp_build_take(b);
	bgp_send(w->a.peer, batch);
	bgp_batch_unref(batch);
	world_run(w, MS(1), NULL);
	assert_int_equal(w->b.withdrawn, t.n);
	bgp_build_free(b);
	free(t.routes);
	free(t.wire);
	world_free(w);
}

static void
test_W21_full_table(void **state)
{
	(void)state;
	through("full-2010-as2497", 300000);
}

static void
test_W21_real_attributes(void **state)
{
	(void)state;
	through("attrs-2016", 1600);
}

/* The churn stream: after all of it b has what a last saw, event by event. */
static void
test_W21_churn(void **state)
{
	FILE *f = popen("gzip -dc tests/data/bgp/table/churn-updates-2016.txt.gz", "r");
	struct world *w = world_new(10);
	struct bgp_encode_opts opt;
	struct bgp_build *b;
	struct bgp_batch *batch;
	static struct host model; /* what ought to be: the same code that b uses to keep routes */
	char line[8192];
	size_t events = 0;

	(void)state;
	assert_non_null(f);
	memset(&model, 0, sizeof(model));
	w->chunk = 5000;
	w->b.keep_routes = true;
	bring_up(w);
	opt = bgp_peer_encode_opts(w->a.peer);
	b = bgp_build_new(NULL, &opt);
	while (fgets(line, sizeof(line), f) && events < 6000) {
		char *fields[11];
		uint8_t buf[4096];
		struct attrs_view v = { .wire = buf };
		struct bgp_reach reach = { .next_hop = a_hop };
		struct prefix p;
		size_t len;
		int n;

		if (line[0] == '#')
			continue;
		n = split(line, fields, 11);
		if (n == 4 && fields[1][0] == 'W' && prefix_parse(fields[3], &p)) {
			bgp_build_unreach(b, (enum family)p.family);
			host_route(&model, &p, NULL, NULL);
		} else if (n == 11 && parse_route(fields + 3, buf, sizeof(buf), &p, &len)) {
			v.wire_len = (uint16_t)len;
			assert_int_equal(bgp_build_reach(b, (enum family)p.family, &v), 0);
			host_route(&model, &p, &reach, &v);
		} else {
			continue;
		}
		bgp_build_prefix(b, &p);
		if (++events % 500 == 0) {
			batch = bgp_build_take(b);
			bgp_send(w->a.peer, batch);
			bgp_batch_unref(batch);
			world_run(w, MS(1), NULL);
		}
	}
	pclose(f);
	assert_int_equal(events, 6000);
	assert_int_equal(w->b.nroutes, model.nroutes);
	qsort(w->b.routes, w->b.nroutes, sizeof(*w->b.routes), by_prefix);
	qsort(model.routes, model.nroutes, sizeof(*model.routes), by_prefix);
	for (size_t i = 0; i < model.nroutes; i++) {
		uint8_t out[4096];
		static struct bgp_scratch scratch;
		struct bgp_update_opts uo = { .local_as = 1, .caps = BGP_CAP_AS4 };
		struct bgp_attrs want;
		int n = bgp_attrs_out(&opt, &model.routes[i].attrs, out, sizeof(out));

		assert_true(n > 0);
		bgp_attrs_parse(rd_make(out, (size_t)n), &uo, &scratch, &want);
		assert_true(prefix_equal(&w->b.routes[i].prefix, &model.routes[i].prefix));
		assert_int_equal(w->b.routes[i].attrs.wire_len, want.view.wire_len);
		assert_memory_equal(w->b.routes[i].wire, want.view.wire, want.view.wire_len);
		free(model.routes[i].wire);
	}
	free(model.routes);
	bgp_build_free(b);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_batches_own_next_hops),
		cmocka_unit_test(queued_bytes_are_memory),
		cmocka_unit_test(keepalives_overtake),
		cmocka_unit_test(send_hold),
		cmocka_unit_test(slow_is_not_dead),
		cmocka_unit_test(what_was_dropped_is_not_waited_for),
		cmocka_unit_test(notice_follows_a_whole_message),
		cmocka_unit_test(refresh_marks_keep_their_place),
		cmocka_unit_test(nothing_is_sent_unless_up),
		cmocka_unit_test(extended_messages),
		cmocka_unit_test(test_W21_full_table),
		cmocka_unit_test(test_W21_real_attributes),
		cmocka_unit_test(test_W21_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
