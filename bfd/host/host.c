/*
 * bfd/host/host.c -- an engine on a runtime: sockets, deadlines, and who wants which session
 *
 *   subscriptions --> peer (one per session: what all of them want, its sending socket) --> engine
 *   datagrams of a port --> engine --> peer's socket
 *                                 \--> each subscription's function
 *
 * Receiving sockets are one per port, family and UDP port, so that a flood on one port fills that queue alone. Each
 * session sends from a socket of its own: its source port is its own, 49152 to 65535 (RFC 5881 4). A socket that
 * cannot be made yet (the address is still to come) is tried again with each packet that is to be sent.
 *
 * Always true: a peer has a subscription, or its session is unsolicited, or it lingers in AdminDown until the
 * neighbour must have noticed; on the way of a packet nothing is allocated.
 *
 * Not here: the messages of clients (daemon), retention across a restart of this process.
 */
#include "bfd/host/host.h"

#include "fabricd/lib/base.h"

#define SOURCE_TRIES    32
#define CS6             0xc0
#define LINGER_MAX      SECONDS(10)
#define LISTEN_AGAIN_US SECONDS(3) /* when a port for strangers could not be listened on */
#define MAX_SESSIONS    4096

/* The receiving side of one port. ifindex 0: multihop. */
struct port {
	struct bfd_host *h;
	struct port *next;
	uint32_t ifindex;
	uint8_t family;
	unsigned int users;
	unsigned int rising; /* sessions in Init: the next "Up" changes their state */
	struct rt_datagrams *control, *echo, *reflect;
};

struct stranger_rule {
	struct stranger_rule *next;
	struct bfd_strangers wanted;
	unsigned int n;
	struct port *ports[FAMILIES]; /* NULL: it cannot be listened on yet */
	struct mono retry_at;         /* MONO_NEVER: on all */
};

struct peer {
	struct bfd_host *h;
	struct peer *prev, *next;
	struct bfd_session *s;
	struct bfd_path path;
	struct port *port;
	bool rising; /* counted in the port's */
	struct rt_datagrams *tx;
	struct bfd_sub *subs;
	struct stranger_rule *rule; /* of an unsolicited session */
	struct mono gone_at;        /* MONO_NEVER: it is wanted */
	uint32_t slot;              /* of who keeps it for the next process */
	uint16_t source;            /* UDP port of tx; 0: not opened yet */
};

struct bfd_sub {
	struct peer *peer;
	struct bfd_sub *next;
	struct bfd_params params;
	char port_name[32];
	bfd_sub_fn *fn; /* NULL: orphaned */
	void *arg;
	struct mono ends_at; /* of an orphan */
};

struct bfd_host {
	struct bfd_host_config cfg;
	struct bfd_engine *engine;
	struct port *ports;
	struct peer *peers;
	struct stranger_rule *rules;
	struct rt_timer *timer; /* deadlines of the engine, unless cfg.arm */
	struct rt_timer *sweep; /* of lingering sessions and orphans */
	struct mono armed, born;
	bool draining; /* the engine runs, and is given packets meanwhile */
	struct bfd_host_stats stats;
};

static struct mono
now_of(struct bfd_host *h)
{
	return rt_clock(h->cfg.rt);
}

/* ---- deadlines ---- */

static void
arm(struct bfd_host *h)
{
	struct mono next = bfd_engine_next(h->engine);

	if (next.us == h->armed.us)
		return;
	h->armed = next;
	if (h->cfg.arm)
		h->cfg.arm(h->cfg.arg, next);
	else
		rt_timer_set(h->timer, next);
}

static void
settle(struct bfd_host *h)
{
	bfd_engine_run(h->engine, now_of(h));
	arm(h);
}

void
bfd_host_settle(struct bfd_host *h)
{
	settle(h);
}

void
bfd_host_run(struct bfd_host *h)
{
	h->armed = MONO_NEVER;
	settle(h);
}

static void
on_timer(void *arg)
{
	bfd_host_run(arg);
}

/* ---- receiving ---- */

static int
datagrams_open(
    struct bfd_host *h, const struct rt_datagram_options *o, rt_datagram_fn *fn, void *arg, struct rt_datagrams **out)
{
	return h->cfg.open ? h->cfg.open(h->cfg.io, o, fn, arg, out) : rt_datagrams_open(h->cfg.rt, o, fn, arg, out);
}

static struct bfd_received
received(const struct rt_datagram *d, bool multihop)
{
	return (struct bfd_received){ .bytes = d->bytes,
		.n = d->n,
		.src = d->src,
		.dst = d->dst,
		.ifindex = d->ifindex,
		.hop_limit = d->hop_limit,
		.multihop = multihop,
		.at = d->at };
}

static void
on_control(void *arg, const struct rt_datagram *d)
{
	struct port *port = arg;
	struct bfd_received r = received(d, port->ifindex == 0);

	r.waited = port->h->draining;
	bfd_engine_receive(port->h->engine, &r, now_of(port->h));
	if (!port->h->draining && !port->h->cfg.open)
		settle(port->h);
}

static void
on_echo(void *arg, const struct rt_datagram *d)
{
	struct port *port = arg;
	struct bfd_received r = received(d, false);
	bool reflect;

	bfd_engine_echo(port->h->engine, &r, now_of(port->h), &reflect);
	if (reflect && port->reflect)
		rt_datagram_send(port->reflect, &d->src, BFD_PORT_ECHO, d->bytes, d->n);
	arm(port->h);
}

static void
port_put(struct port *port)
{
	struct port **at;

	if (!port || --port->users)
		return;
	for (at = &port->h->ports; *at != port; at = &(*at)->next)
		;
	*at = port->next;
	rt_datagrams_close(port->control);
	rt_datagrams_close(port->echo);
	rt_datagrams_close(port->reflect);
	mem_free(port->h->cfg.mem, MEM_SESSION, port);
}

static int
port_get(struct bfd_host *h, uint32_t ifindex, uint8_t family, struct port **out)
{
	struct rt_datagram_options o = { .ifindex = ifindex,
		.local.family = family,
		.local_port = ifindex ? BFD_PORT : BFD_PORT_MULTI,
		.hop_limit = BFD_HOP_LIMIT,
		.tclass = CS6 };
	struct port *port;
	int err;

	*out = NULL;
	for (port = h->ports; port; port = port->next) {
		if (port->ifindex == ifindex && port->family == family) {
			port->users++;
			*out = port;
			return 0;
		}
	}
	port = mem_zalloc(h->cfg.mem, MEM_SESSION, sizeof(*port));
	*port = (struct port){ .h = h, .next = h->ports, .ifindex = ifindex, .family = family, .users = 1 };
	err = datagrams_open(h, &o, on_control, port, &port->control);
	if (err) {
		mem_free(h->cfg.mem, MEM_SESSION, port);
		return err;
	}
	h->ports = port;
	*out = port;
	return 0;
}

/* The sockets of the echo function, when a session needs them first. Without them echo fails, and says so. */
static void
port_echo(struct port *port)
{
	struct rt_datagram_options o = { .ifindex = port->ifindex,
		.local.family = port->family,
		.local_port = BFD_PORT_ECHO,
		.hop_limit = BFD_HOP_LIMIT,
		.tclass = CS6 };

	if (port->echo || !port->ifindex)
		return;
	if (datagrams_open(port->h, &o, on_echo, port, &port->echo))
		return;
	o.local_port = 0;
	o.hop_limit = BFD_HOP_LIMIT - 1; /* as if it had been forwarded */
	datagrams_open(port->h, &o, NULL, NULL, &port->reflect);
}

static void
peer_echo(struct peer *p, const struct bfd_params *params)
{
	if (p->port && (params->echo_us || params->echo_rx_us))
		port_echo(p->port);
}

/* ---- sending ---- */

static int
peer_open(struct peer *p)
{
	struct rt_datagram_options o = {
		.ifindex = p->path.ifindex, .local = p->path.local, .hop_limit = BFD_HOP_LIMIT, .tclass = CS6
	};
	int err = -EADDRINUSE;

	/* First the port that the neighbour knows, if another process had the session before. */
	for (int i = 0; i < SOURCE_TRIES && err == -EADDRINUSE; i++) {
		o.local_port = i || !p->source
				   ? (uint16_t)(BFD_SOURCE_FIRST + rt_random(p->h->cfg.rt) % (65536 - BFD_SOURCE_FIRST))
				   : p->source;
		err = datagrams_open(p->h, &o, NULL, NULL, &p->tx);
	}
	if (!err)
		p->source = o.local_port;
	return err;
}

static struct bfd_params together(const struct peer *);

/* What the next process must know of it. A session that lingers in AdminDown is over for it. */
static void
keep(struct peer *p)
{
	struct bfd_record rec = { .path = p->path, .source = p->source };

	if (!p->h->cfg.keep || !p->s)
		return;
	rec.params = p->subs ? together(p) : *bfd_session_params(p->s);
	if (p->subs)
		memcpy(rec.port, p->subs->port_name, sizeof(rec.port));
	bfd_session_save(p->s, &rec.saved);
	p->h->cfg.keep(p->h->cfg.store, &p->slot, mono_is_never(p->gone_at) ? &rec : NULL);
}

static void
keep_no_more(struct peer *p)
{
	if (p->h->cfg.keep && p->slot)
		p->h->cfg.keep(p->h->cfg.store, &p->slot, NULL);
	p->slot = 0;
}

static struct peer *
peer_new(struct bfd_host *h, struct bfd_session *s, const struct bfd_path *path)
{
	struct peer *p = mem_zalloc(h->cfg.mem, MEM_SESSION, sizeof(*p));

	*p = (struct peer){ .h = h, .next = h->peers, .s = s, .path = *path, .gone_at = MONO_NEVER };
	if (p->next)
		p->next->prev = p;
	h->peers = p;
	if (s)
		bfd_session_set_user(s, p);
	return p;
}

static void
rises(struct peer *p, bool rising)
{
	struct port *port = p->port;

	if (rising == p->rising || !port)
		return;
	p->rising = rising;
	port->rising += rising ? 1 : -1u;
	if (p->h->cfg.attend)
		p->h->cfg.attend(p->h->cfg.io, port->control, port->rising > 0);
}

/* No stranger any more. */
static void
rule_leave(struct peer *p)
{
	if (p->rule)
		p->rule->n--;
	p->rule = NULL;
}

static void
peer_free(struct peer *p)
{
	if (p->next)
		p->next->prev = p->prev;
	if (p->prev)
		p->prev->next = p->next;
	else
		p->h->peers = p->next;
	rule_leave(p);
	rt_datagrams_close(p->tx);
	keep_no_more(p);
	rises(p, false);
	port_put(p->port);
	mem_free(p->h->cfg.mem, MEM_SESSION, p);
}

static struct stranger_rule *
rule_of(struct bfd_host *h, uint32_t ifindex)
{
	struct stranger_rule *r = h->rules;

	while (r && r->wanted.ifindex != ifindex)
		r = r->next;
	return r;
}

/* The peer of a session; that of an unsolicited one is made with its first word. */
static struct peer *
peer_of(struct bfd_host *h, struct bfd_session *s)
{
	const struct bfd_path *path = bfd_session_path(s);
	struct peer *p = bfd_session_user(s);

	if (p)
		return p;
	p = peer_new(h, s, path);
	p->rule = rule_of(h, path->ifindex);
	if (p->rule)
		p->rule->n++;
	port_get(h, path->ifindex, path->peer.family, &p->port);
	peer_echo(p, bfd_session_params(s));
	return p;
}

static void
on_send(void *arg, struct bfd_session *s, const uint8_t *bytes, size_t n, bool echo)
{
	struct bfd_host *h = arg;
	struct peer *p = peer_of(h, s);
	int err = 0;

	if (!p->tx) {
		err = peer_open(p);
		if (!err)
			keep(p);
	}
	if (!err)
		err = rt_datagram_send(p->tx, &p->path.peer,
		    echo               ? BFD_PORT_ECHO
		    : p->path.multihop ? BFD_PORT_MULTI
				       : BFD_PORT,
		    bytes, n);
	if (err) {
		h->stats.send_errors++;
		h->stats.last_error = err;
	}
}

static void
status_of(const struct bfd_session *s, struct bfd_status *out)
{
	struct bfd_view v;

	bfd_session_view(s, &v);
	*out = (struct bfd_status){ .state = v.state,
		.diag = v.diag,
		.remote_state = v.remote_state,
		.independent = v.remote_independent,
		.remote_said_down = v.state != BFD_UP && v.diag == BFD_DIAG_NEIGHBOR_DOWN };
}

static void
on_changed(void *arg, struct bfd_session *s)
{
	struct peer *p = peer_of(arg, s);
	struct bfd_status status;

	rises(p, bfd_session_state(s) == BFD_INIT);
	status_of(s, &status);
	for (struct bfd_sub *sub = p->subs; sub; sub = sub->next)
		if (sub->fn)
			sub->fn(sub->arg, sub, &status);
}

static void
on_touched(void *arg, struct bfd_session *s)
{
	struct peer *p = bfd_session_user(s);

	(void)arg;
	if (p && mono_is_never(p->gone_at))
		keep(p);
}

static void
on_drain(void *arg, struct bfd_session *s)
{
	struct peer *p = peer_of(arg, s);

	if (!p->port)
		return;
	p->h->draining = true;
	rt_datagrams_drain(p->port->control);
	p->h->draining = false;
}

static uint64_t
on_random(void *arg)
{
	return rt_random(((struct bfd_host *)arg)->cfg.rt);
}

/* RFC 9468 2: the source belongs to a subnet of the port, as every link-local one does. */
static bool
is_on_link(const struct bfd_strangers *rule, const struct ip *a)
{
	for (unsigned int i = 0; i < rule->nsubnets; i++)
		if (prefix_has(&rule->subnets[i], a))
			return true;
	return ip_is_link_local(a);
}

static enum bfd_drop
on_unsolicited(void *arg, const struct bfd_path *path, struct bfd_params *out)
{
	struct bfd_host *h = arg;
	struct stranger_rule *r = rule_of(h, path->ifindex);
	struct bfd_engine_stats s;

	if (!r || r->n >= r->wanted.max)
		return BFD_DROP_NO_SESSION;
	if (!is_on_link(&r->wanted, &path->peer))
		return BFD_DROP_ADDRESS;
	bfd_engine_stats(h->engine, &s);
	*out = r->wanted.params;
	return s.sessions < h->cfg.max_sessions ? BFD_TAKEN : BFD_DROP_NO_SESSION;
}

static void
on_forgotten(void *arg, struct bfd_session *s)
{
	struct peer *p = bfd_session_user(s);

	(void)arg;
	if (p)
		peer_free(p);
}

static const struct bfd_engine_ops engine_ops = {
	.send = on_send,
	.changed = on_changed,
	.drain = on_drain,
	.touched = on_touched,
	.random = on_random,
	.unsolicited = on_unsolicited,
	.forgotten = on_forgotten,
};

/* ---- subscriptions ---- */

static uint32_t
least_wish(uint32_t a, uint32_t b)
{
	return !a ? b : !b ? a : MIN_OF(a, b);
}

/* After how long the neighbour is to notice that we are silent (RFC 5880 6.8.4: our multiplier times our interval), in us. */
static uint64_t
noticed_after(const struct bfd_params *p)
{
	return (uint64_t)MAX_OF(p->min_tx_us, (uint32_t)BFD_MIN_US) * p->multiplier;
}

/* What all subscriptions of a peer want together: the shortest intervals, and the shortest detection that any wants. */
static struct bfd_params
together(const struct peer *p)
{
	struct bfd_params all = p->subs->params;
	uint64_t after = noticed_after(&all), interval;

	for (const struct bfd_sub *s = p->subs->next; s; s = s->next) {
		const struct bfd_params *one = &s->params;

		after = MIN_OF(after, noticed_after(one));
		all.min_tx_us = MIN_OF(all.min_tx_us, one->min_tx_us);
		all.min_rx_us = MIN_OF(all.min_rx_us, one->min_rx_us);
		all.passive = all.passive && one->passive;
		all.admin_down = all.admin_down && one->admin_down;
		all.independent = all.independent && one->independent;
		all.echo_us = least_wish(all.echo_us, one->echo_us);
		all.echo_rx_us = least_wish(all.echo_rx_us, one->echo_rx_us);
		all.min_hops = MAX_OF(all.min_hops, one->min_hops);
	}
	interval = MAX_OF(all.min_tx_us, (uint32_t)BFD_MIN_US);
	all.multiplier = (uint8_t)MIN_OF((after + interval - 1) / interval, (uint64_t)UINT8_MAX);
	return all;
}

static bool
same_auth(const struct bfd_auth *a, const struct bfd_auth *b)
{
	if (a->type != b->type || a->nkeys != b->nkeys)
		return false;
	for (int i = 0; i < a->nkeys; i++)
		if (a->keys[i].id != b->keys[i].id || a->keys[i].len != b->keys[i].len ||
		    memcmp(a->keys[i].bytes, b->keys[i].bytes, a->keys[i].len) != 0)
			return false;
	return true;
}

static void
apply(struct peer *p)
{
	struct bfd_params all = together(p);

	peer_echo(p, &all);
	bfd_session_change(p->s, &all, now_of(p->h));
	keep(p);
	settle(p->h);
}

static int
peer_start(struct bfd_host *h, const struct bfd_target *t, struct peer **out, const char **why)
{
	struct bfd_engine_stats stats;
	struct peer *p;
	int err;

	bfd_engine_stats(h->engine, &stats);
	if (stats.sessions >= h->cfg.max_sessions) {
		*why = "there are too many sessions";
		return -ENOSPC;
	}
	p = peer_new(h, NULL, &t->path);
	err = port_get(h, t->path.ifindex, t->path.peer.family, &p->port);
	if (err) {
		*why = err == -EADDRINUSE ? "another program has the UDP port of BFD (3784, 4784)"
					  : "the port's socket cannot be opened";
		peer_free(p);
		return err;
	}
	peer_open(p); /* or later */
	*out = p;
	return 0;
}

/* Who was waited for has come back, or somebody else knows better what is wanted. */
static void
drop_orphans(struct peer *p)
{
	struct bfd_sub **at = &p->subs, *s;

	while ((s = *at)) {
		if (s->fn) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		p->h->stats.subs--;
		mem_free(p->h->cfg.mem, MEM_SESSION, s);
	}
}

int
bfd_sub_new(
    struct bfd_host *h, const struct bfd_target *t, bfd_sub_fn *fn, void *arg, struct bfd_sub **out, const char **why)
{
	struct bfd_session *s = bfd_session_find(h->engine, &t->path);
	struct peer *p = s ? peer_of(h, s) : NULL;
	struct bfd_sub *sub;
	int err;

	*out = NULL;
	*why = bfd_params_wrong(&t->path, &t->params);
	if (*why)
		return -EINVAL;
	for (sub = p ? p->subs : NULL; sub; sub = sub->next) {
		if (sub->fn && !same_auth(&sub->params.auth, &t->params.auth)) {
			*why = "another client watches this neighbor with other keys";
			return -EEXIST;
		}
	}
	if (!p && (err = peer_start(h, t, &p, why)))
		return err;
	sub = mem_zalloc(h->cfg.mem, MEM_SESSION, sizeof(*sub));
	*sub = (struct bfd_sub){
		.peer = p, .next = p->subs, .params = t->params, .fn = fn, .arg = arg, .ends_at = MONO_NEVER
	};
	memcpy(sub->port_name, t->port, sizeof(sub->port_name) - 1);
	p->subs = sub;
	p->gone_at = MONO_NEVER;
	h->stats.subs++;
	if (!p->s) {
		struct bfd_params all = together(p);

		bfd_session_new(h->engine, &t->path, &all, now_of(h), &p->s);
		bfd_session_set_user(p->s, p);
	}
	drop_orphans(p);
	rule_leave(p);
	apply(p);
	*out = sub;
	return 0;
}

int
bfd_sub_change(struct bfd_sub *sub, const struct bfd_params *params, const char **why)
{
	*why = bfd_params_wrong(&sub->peer->path, params);
	if (*why)
		return -EINVAL;
	for (struct bfd_sub *s = sub->peer->subs; s; s = s->next) {
		if (s != sub && s->fn && !same_auth(&s->params.auth, &params->auth)) {
			*why = "another client watches this neighbor with other keys";
			return -EEXIST;
		}
	}
	sub->params = *params;
	drop_orphans(sub->peer);
	apply(sub->peer);
	return 0;
}

static void
sweep_at(struct bfd_host *h)
{
	struct mono next = MONO_NEVER;

	for (struct peer *p = h->peers; p; p = p->next) {
		next = mono_min(next, p->gone_at);
		for (struct bfd_sub *s = p->subs; s; s = s->next)
			next = mono_min(next, s->ends_at);
	}
	for (const struct stranger_rule *r = h->rules; r; r = r->next)
		next = mono_min(next, r->retry_at);
	rt_timer_set(h->sweep, next);
}

static void
rule_listen(struct bfd_host *h, struct stranger_rule *r)
{
	r->retry_at = MONO_NEVER;
	for (uint8_t f = 0; f < FAMILIES; f++)
		if (!r->ports[f] && port_get(h, r->wanted.ifindex, f, &r->ports[f]))
			r->retry_at = mono_add(now_of(h), LISTEN_AGAIN_US);
}

/* Nobody wants it: the neighbour is told, and given its detection time to hear it (RFC 5880 6.8.16). */
static void
peer_unwanted(struct peer *p)
{
	struct bfd_params params = *bfd_session_params(p->s);
	int64_t linger = bfd_session_remote_detect_us(p->s);

	params.admin_down = true;
	bfd_session_change(p->s, &params, now_of(p->h));
	p->gone_at = mono_add(now_of(p->h), MIN_OF(linger, LINGER_MAX));
	keep_no_more(p);
	settle(p->h);
}

void
bfd_sub_free(struct bfd_sub *sub)
{
	struct peer *p;
	struct bfd_host *h;

	if (!sub)
		return;
	p = sub->peer;
	h = p->h;
	for (struct bfd_sub **at = &p->subs; *at; at = &(*at)->next) {
		if (*at == sub) {
			*at = sub->next;
			break;
		}
	}
	h->stats.subs--;
	mem_free(h->cfg.mem, MEM_SESSION, sub);
	if (p->subs)
		apply(p);
	else
		peer_unwanted(p);
	sweep_at(h);
}

void
bfd_sub_orphan(struct bfd_sub *sub, int64_t us)
{
	/* Who came later stands before it in the list. A client that does is its successor: there is nobody to wait for. */
	for (struct bfd_sub *s = sub->peer->subs; s != sub; s = s->next) {
		if (s->fn) {
			bfd_sub_free(sub);
			return;
		}
	}
	sub->fn = NULL;
	sub->ends_at = mono_add(now_of(sub->peer->h), us);
	sweep_at(sub->peer->h);
}

void
bfd_sub_status(const struct bfd_sub *sub, struct bfd_status *out)
{
	status_of(sub->peer->s, out);
}

static bool
end_one_orphan(struct bfd_host *h, struct mono now)
{
	for (struct peer *p = h->peers; p; p = p->next) {
		for (struct bfd_sub *s = p->subs; s; s = s->next) {
			if (mono_due(s->ends_at, now)) {
				bfd_sub_free(s);
				return true;
			}
		}
	}
	return false;
}

static void
on_sweep(void *arg)
{
	struct bfd_host *h = arg;
	struct mono now = now_of(h);
	struct peer *p, *next;

	while (end_one_orphan(h, now))
		;
	for (struct stranger_rule *r = h->rules; r; r = r->next)
		if (mono_due(r->retry_at, now))
			rule_listen(h, r);
	for (p = h->peers; p; p = next) {
		next = p->next;
		if (mono_due(p->gone_at, now)) {
			bfd_session_free(p->s);
			peer_free(p);
		}
	}
	sweep_at(h);
	arm(h);
}

/* ---- what another process began ---- */

int
bfd_host_restore(struct bfd_host *h, uint32_t slot, const struct bfd_record *rec)
{
	struct bfd_session *s;
	struct peer *p;
	struct bfd_sub *sub;
	int err = bfd_session_restore(h->engine, &rec->path, &rec->params, &rec->saved, now_of(h), &s);

	if (err)
		return err;
	p = peer_new(h, s, &rec->path);
	p->slot = slot;
	p->source = rec->source >= BFD_SOURCE_FIRST ? rec->source : 0;
	err = port_get(h, rec->path.ifindex, rec->path.peer.family, &p->port);
	if (err) {
		bfd_session_free(s);
		peer_free(p);
		return err;
	}
	peer_echo(p, &rec->params);
	rises(p, bfd_session_state(s) == BFD_INIT);
	peer_open(p); /* or later */
	if (!rec->saved.unsolicited) {
		sub = mem_zalloc(h->cfg.mem, MEM_SESSION, sizeof(*sub));
		*sub = (struct bfd_sub){ .peer = p, .params = rec->params };
		memcpy(sub->port_name, rec->port, sizeof(sub->port_name) - 1);
		p->subs = sub;
		h->stats.subs++;
		bfd_sub_orphan(sub, BFD_ORPHAN_US);
	}
	keep(p);
	return 0;
}

/* ---- strangers ---- */

static void
rule_free(struct bfd_host *h, struct stranger_rule *r)
{
	struct stranger_rule **at = &h->rules;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	for (struct peer *p = h->peers; p; p = p->next)
		if (p->rule == r)
			p->rule = NULL;
	for (int f = 0; f < FAMILIES; f++)
		port_put(r->ports[f]);
	mem_free(h->cfg.mem, MEM_SESSION, r);
}

/* Strangers that an earlier process spoke with count as well. */
static struct stranger_rule *
rule_new(struct bfd_host *h, uint32_t ifindex)
{
	struct stranger_rule *r = mem_zalloc(h->cfg.mem, MEM_SESSION, sizeof(*r));

	r->wanted.ifindex = ifindex;
	r->next = h->rules;
	h->rules = r;
	for (struct peer *p = h->peers; p; p = p->next) {
		struct bfd_view v;

		bfd_session_view(p->s, &v);
		if (p->path.ifindex == ifindex && v.unsolicited) {
			p->rule = r;
			r->n++;
		}
	}
	return r;
}

void
bfd_host_unsolicited(struct bfd_host *h, const struct bfd_strangers *wanted)
{
	struct stranger_rule *r = rule_of(h, wanted->ifindex);

	if (!wanted->ifindex)
		return;
	if (!r && wanted->max)
		r = rule_new(h, wanted->ifindex);
	if (wanted->max) {
		r->wanted = *wanted;
		rule_listen(h, r);
	} else if (r) {
		rule_free(h, r);
	}
	sweep_at(h);
}

/* ---- all of it ---- */

static int64_t
age(struct mono t, struct mono now)
{
	return mono_is_never(t) ? -1 : mono_sub(now, t);
}

size_t
bfd_host_list(struct bfd_host *h, size_t from, size_t most, void (*fn)(void *arg, const struct bfd_row *), void *arg)
{
	struct bfd_session *s = bfd_session_after(h->engine, NULL);
	struct mono now = now_of(h);
	size_t n = 0;

	while (s && from--)
		s = bfd_session_after(h->engine, s);
	for (; s && n < most; n++, s = bfd_session_after(h->engine, s)) {
		const struct peer *p = bfd_session_user(s);
		struct bfd_row row = { .port = p && p->subs ? p->subs->port_name : "" };

		for (const struct bfd_sub *sub = p ? p->subs : NULL; sub; sub = sub->next)
			row.clients += sub->fn != NULL;
		bfd_session_view(s, &row.view);
		row.since_us = age(row.view.since, now);
		row.last_rx_us = age(row.view.last_rx, now);
		row.down_us = age(row.view.down_at, now);
		fn(arg, &row);
	}
	return n;
}

struct bfd_engine *
bfd_host_engine(struct bfd_host *h)
{
	return h->engine;
}

void
bfd_host_stats(const struct bfd_host *h, struct bfd_host_stats *out)
{
	*out = h->stats;
	for (const struct port *p = h->ports; p; p = p->next)
		out->ports++;
}

int64_t
bfd_host_counted_us(const struct bfd_host *h)
{
	return mono_sub(rt_clock(h->cfg.rt), h->born);
}

struct bfd_host *
bfd_host_new(const struct bfd_host_config *cfg)
{
	struct bfd_host *h = mem_zalloc(cfg->mem, MEM_SESSION, sizeof(*h));

	h->cfg = *cfg;
	if (!h->cfg.max_sessions)
		h->cfg.max_sessions = MAX_SESSIONS;
	h->engine = bfd_engine_new(cfg->mem, cfg->seed, &engine_ops, h);
	if (cfg->tag)
		bfd_engine_set_tag(h->engine, cfg->tag);
	h->timer = rt_timer_new(cfg->rt, on_timer, h);
	h->sweep = rt_timer_new(cfg->rt, on_sweep, h);
	h->armed = MONO_NEVER;
	h->born = rt_clock(cfg->rt);
	return h;
}

void
bfd_host_admin_down(struct bfd_host *h)
{
	for (struct bfd_session *s = bfd_session_after(h->engine, NULL); s; s = bfd_session_after(h->engine, s)) {
		struct bfd_params params = *bfd_session_params(s);

		params.admin_down = true;
		bfd_session_change(s, &params, now_of(h));
	}
}

void
bfd_host_forget(struct bfd_host *h)
{
	h->cfg.keep = NULL;
}

void
bfd_host_free(struct bfd_host *h)
{
	if (!h)
		return;
	while (h->rules)
		rule_free(h, h->rules);
	while (h->peers) {
		struct peer *p = h->peers;

		while (p->subs) {
			struct bfd_sub *sub = p->subs;

			p->subs = sub->next;
			mem_free(h->cfg.mem, MEM_SESSION, sub);
		}
		peer_free(p);
	}
	bfd_engine_free(h->engine);
	rt_timer_free(h->timer);
	rt_timer_free(h->sweep);
	mem_free(h->cfg.mem, MEM_SESSION, h);
}
