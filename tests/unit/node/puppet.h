/*
 * tests/unit/node/puppet.h -- a neighbour that says what a test wants: a BGP engine on a simulated port, nothing else
 *
 * It takes the place of one switch of the file (which must not be running), dials the switch at the other end of one of
 * its ports, and sends any UPDATEs once the session is Established.
 */
#ifndef TESTS_UNIT_NODE_PUPPET_H
#define TESTS_UNIT_NODE_PUPPET_H

#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/world.h"

struct puppet {
	struct runtime *rt;
	struct bgp_peer *bgp;
	struct bgp_scratch scratch;
	struct bgp_conn *conn;
	struct rt_stream *stream;
	struct rt_timer *timer;
	uint32_t ifindex;
	struct ip link_local, far;
	uint8_t out[65536]; /* taken from the engine, and not all of it written yet */
	size_t out_at, out_len;
	bool established;
	unsigned int downs;
	uint64_t reached[FAMILIES], withdrawn[FAMILIES]; /* prefixes that it was told */
	struct prefix last;
};

static inline void
puppet_settle(struct puppet *p)
{
	size_t n;

	while (p->conn && p->stream) {
		if (p->out_at == p->out_len) {
			p->out_at = 0;
			p->out_len = bgp_output(p->conn, p->out, sizeof(p->out), rt_now(p->rt));
		}
		n = p->out_len ? rt_write(p->stream, p->out + p->out_at, p->out_len - p->out_at) : 0;
		if (n == 0) /* nothing to say, or no room: puppet_writable() comes */
			break;
		p->out_at += n;
		bgp_wrote(p->conn, n, rt_now(p->rt));
	}
	rt_timer_set(p->timer, bgp_deadline(p->bgp));
}

static inline void
puppet_timer(void *arg)
{
	struct puppet *p = arg;

	bgp_timer(p->bgp, rt_now(p->rt));
	puppet_settle(p);
}

static inline size_t
puppet_input(void *arg, const uint8_t *bytes, size_t n)
{
	struct puppet *p = arg;
	size_t used;

	if (!p->conn)
		return n;
	used = bgp_input(p->conn, bytes, n, rt_now(p->rt));
	if (p->conn && bgp_input_pending(p->conn))
		rt_stream_again(p->stream);
	puppet_settle(p);
	return used;
}

static inline void
puppet_closed(void *arg, int error)
{
	struct puppet *p = arg;

	(void)error;
	p->stream = NULL;
	if (p->conn)
		bgp_closed(p->conn, "closed", rt_now(p->rt));
	puppet_settle(p);
}

static inline void
puppet_opened(void *arg)
{
	struct puppet *p = arg;

	if (p->conn)
		bgp_connected(p->conn, rt_now(p->rt));
	puppet_settle(p);
}

static inline void
puppet_writable(void *arg)
{
	puppet_settle(arg);
}

static const struct rt_stream_handler puppet_handler = {
	.opened = puppet_opened,
	.writable = puppet_writable,
	.input = puppet_input,
	.closed = puppet_closed,
};

static inline void
puppet_connect(struct bgp_peer *bgp, struct bgp_conn *c, void *arg)
{
	struct puppet *p = arg;
	struct rt_stream_options o = { .ifindex = p->ifindex, .gtsm = true, .local = p->link_local };

	(void)bgp;
	p->conn = c;
	p->out_at = p->out_len = 0;
	bgp_conn_set_io(c, p);
	rt_connect(p->rt, &o, &p->far, BGP_PORT, &puppet_handler, p, &p->stream);
}

static inline void
puppet_close(struct bgp_conn *c, const uint8_t *last, size_t n, void *arg)
{
	struct puppet *p = arg;

	if (c != p->conn)
		return;
	p->conn = NULL;
	if (p->stream && n)
		rt_write(p->stream, last, n);
	rt_stream_close(p->stream, false);
	p->stream = NULL;
}

static inline void
puppet_ready(struct bgp_conn *c, void *arg)
{
	(void)c;
	(void)arg;
}

static inline void
puppet_established(struct bgp_peer *bgp, void *arg)
{
	struct puppet *p = arg;

	(void)bgp;
	p->established = true;
}

static inline void
puppet_down(struct bgp_peer *bgp, const struct bgp_reason *why, void *arg)
{
	struct puppet *p = arg;

	(void)bgp;
	(void)why;
	p->established = false;
	p->downs++;
}

static inline void
puppet_update(struct bgp_peer *bgp, const struct bgp_update *u, void *arg)
{
	struct puppet *p = arg;

	(void)bgp;
	for (size_t i = 0; i < u->nreach; i++) {
		struct bgp_nlri it = u->reach[i].nlri;

		while (bgp_nlri_next(&it, &p->last))
			p->reached[p->last.family]++;
	}
	for (size_t i = 0; i < u->nwithdrawn; i++)
		p->withdrawn[u->withdrawn[i].family] += u->withdrawn[i].count;
}

static inline void
puppet_refresh(struct bgp_peer *bgp, enum family f, enum bgp_refresh r, void *arg)
{
	(void)bgp;
	(void)f;
	(void)r;
	(void)arg;
}

static inline void
puppet_state(struct bgp_peer *bgp, enum bgp_state was, enum bgp_state is, const char *why, void *arg)
{
	(void)bgp;
	(void)was;
	(void)is;
	(void)why;
	(void)arg;
}

static inline void
puppet_identity(struct bgp_peer *bgp, const struct bgp_open *seen, const char *text, void *arg)
{
	(void)bgp;
	(void)seen;
	(void)text;
	(void)arg;
}

static inline void
puppet_event(struct bgp_peer *bgp, enum bgp_event_kind kind, const char *text, uint64_t suppressed, void *arg)
{
	(void)bgp;
	(void)kind;
	(void)text;
	(void)suppressed;
	(void)arg;
}

static inline uint32_t
puppet_random(void *arg)
{
	(void)arg;
	return 1;
}

static const struct bgp_ops puppet_ops = {
	.connect = puppet_connect,
	.close = puppet_close,
	.output_ready = puppet_ready,
	.established = puppet_established,
	.down = puppet_down,
	.update = puppet_update,
	.refresh = puppet_refresh,
	.state_changed = puppet_state,
	.identity = puppet_identity,
	.event = puppet_event,
	.random = puppet_random,
};

/* Plays `who` on the port `ifindex`, whose link must be there. */
static inline struct puppet *
puppet_as(struct world_node *who, uint32_t ifindex, const struct bgp_config *cfg)
{
	struct puppet *p = calloc(1, sizeof(*p));
	struct sim_port_view v, far;
	struct bgp_next_hop nh = { .has_link_local = true };

	p->rt = who->rt;
	sim_port_get(who->rt, ifindex, &v);
	sim_port_get(v.far_node, v.far_ifindex, &far);
	p->ifindex = ifindex;
	p->link_local = nh.link_local = v.link_local;
	p->far = far.link_local;
	p->timer = rt_timer_new(p->rt, puppet_timer, p);
	p->bgp = bgp_peer_new(NULL, &p->scratch, cfg, &puppet_ops, p);
	bgp_peer_start(p->bgp, rt_now(p->rt));
	bgp_peer_link_up(p->bgp, rt_now(p->rt));
	bgp_peer_set_next_hop(p->bgp, FAMILY_IPV4, &nh);
	bgp_peer_set_next_hop(p->bgp, FAMILY_IPV6, &nh);
	puppet_settle(p);
	return p;
}

/* With this AS, BGP Identifier and (0: all but graceful restart) capabilities. */
static inline struct puppet *
puppet_with(struct world_node *who, uint32_t ifindex, uint32_t asn, uint32_t id, uint32_t caps)
{
	struct bgp_config cfg = {
		.name = "puppet", .local_as = asn, .router_id = id, .caps = caps, .link_local_ok = true
	};

	return puppet_as(who, ifindex, &cfg);
}

static inline struct puppet *
puppet_new(struct world_node *who, uint32_t ifindex, uint32_t asn, uint32_t id)
{
	return puppet_with(who, ifindex, asn, id, 0);
}

static inline void
puppet_free(struct puppet *p)
{
	bgp_peer_free(p->bgp);
	rt_timer_free(p->timer);
	free(p);
}

/* Announces prefixes of one family with these attributes; withdraws them when there are none. */
static inline void
puppet_say_with(struct puppet *p, const struct attrs_view *attrs, const struct prefix *list, size_t n)
{
	struct bgp_encode_opts opts = bgp_peer_encode_opts(p->bgp);
	struct bgp_build *build = bgp_build_new(NULL, &opts);
	struct bgp_batch *batch;

	if (attrs)
		bgp_build_reach(build, (enum family)list[0].family, attrs);
	else
		bgp_build_unreach(build, (enum family)list[0].family);
	for (size_t i = 0; i < n; i++)
		bgp_build_prefix(build, &list[i]);
	batch = bgp_build_take(build);
	bgp_send(p->bgp, batch);
	bgp_batch_unref(batch);
	bgp_build_free(build);
	puppet_settle(p);
}

/* With the AS path "own", or withdrawn. */
static inline void
puppet_say(struct puppet *p, bool reach, const struct prefix *list, size_t n)
{
	static const uint8_t wire[] = { 0x40, 1, 1, 0, 0x40, 2, 0 };
	const struct attrs_view v = { .wire = wire, .wire_len = sizeof(wire) };

	puppet_say_with(p, reach ? &v : NULL, list, n);
}

#endif
