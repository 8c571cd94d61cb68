/* fabricd/runtime/sim/listener.c -- who waits for connections, on which port and path, and with which key */
#include <string.h>

#include "fabricd/runtime/sim/stream_impl.h"

/* The most particular one, as a kernel chooses: by address, then by port. */
struct rt_listener *
sim_find_listener(const struct sim_node *node, uint32_t ifindex, const struct ip *local, uint16_t port)
{
	struct rt_listener *best = NULL;
	int best_score = -1;

	for (struct rt_listener *l = node->listeners; l; l = l->next) {
		bool any = ip_is_zero(&l->local);
		int score = (any ? 0 : 2) + (l->ifindex ? 1 : 0);

		if (l->h.dead || l->path || l->port != port || (l->ifindex && l->ifindex != ifindex))
			continue;
		if (any ? l->local.family == FAMILY_IPV6 && local->family != FAMILY_IPV6 : !ip_equal(&l->local, local))
			continue;
		if (score > best_score) {
			best = l;
			best_score = score;
		}
	}
	return best;
}

struct rt_listener *
sim_find_unix(const struct sim_node *node, const char *path)
{
	for (struct rt_listener *l = node->listeners; l; l = l->next)
		if (!l->h.dead && l->path && strcmp(l->path, path) == 0)
			return l;
	return NULL;
}

/* RFC 2385: a segment without the right signature is dropped, and nobody is told. */
bool
sim_same_key(const struct rt_listener *l, const struct sim_conn *c)
{
	const char *have = c->md5_key ? c->md5_key : "";
	const struct sim_key *k = l->keys, *best = NULL; /* the longest prefix counts, as in Linux */

	for (; k; k = k->next)
		if (prefix_has(&k->peer, &c->addr[0]) && (!best || k->peer.len > best->peer.len))
			best = k;
	return strcmp(best ? best->text : "", have) == 0;
}

/* RFC 5082: what comes with less than 255 is dropped, at either end, and nobody is told. */
bool
sim_same_cable(const struct rt_listener *l, const struct sim_conn *c)
{
	return (!l->gtsm || c->hop_limit == 255) && (!c->gtsm || l->hop_limit == 255);
}

static void
listener_destroy(struct sim_handle *h)
{
	struct rt_listener *l = (struct rt_listener *)h, **at;
	struct sim_net *net = h->node->net;

	for (at = &h->node->listeners; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	sim_handle_unlink(h);
	while (l->keys) {
		struct sim_key *k = l->keys;

		l->keys = k->next;
		mem_free(net->mem, MEM_RUNTIME, k->text);
		mem_free(net->mem, MEM_RUNTIME, k);
	}
	mem_free(net->mem, MEM_RUNTIME, l->path);
	mem_free(net->mem, MEM_RUNTIME, l);
}

static struct rt_listener *
listener_new(struct sim_node *node, rt_accept_fn *fn, void *arg)
{
	struct rt_listener *l = sim_handle_new(node, sizeof(*l), listener_destroy);

	l->fn = fn;
	l->arg = arg;
	l->next = node->listeners;
	node->listeners = l;
	return l;
}

int
sim_listen(struct runtime *rt, const struct rt_stream_options *o, rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct sim_node *node = sim_node_of(rt);
	struct rt_listener *l;

	*out = NULL;
	if (o->ifindex && !sim_port_find(node, o->ifindex))
		return -ENODEV;
	for (l = node->listeners; l; l = l->next)
		if (!l->h.dead && !l->path && l->port == o->local_port && l->ifindex == o->ifindex &&
		    ip_equal(&l->local, &o->local))
			return -EADDRINUSE;
	l = listener_new(node, fn, arg);
	l->ifindex = o->ifindex;
	l->local = o->local;
	l->port = o->local_port;
	l->gtsm = o->gtsm;
	l->hop_limit = rt_sent_hop_limit(o);
	if (o->md5_key)
		sim_listener_key(l, &o->md5_peer, o->md5_key);
	*out = l;
	return 0;
}

int
sim_listener_key(struct rt_listener *l, const struct prefix *peer, const char *key)
{
	struct mem *mem = l->h.node->net->mem;
	struct sim_key *k = l->keys;

	while (k && !prefix_equal(&k->peer, peer))
		k = k->next;
	if (!k) {
		k = mem_zalloc(mem, MEM_RUNTIME, sizeof(*k));
		k->peer = *peer;
		k->next = l->keys;
		l->keys = k;
	}
	mem_free(mem, MEM_RUNTIME, k->text);
	k->text = mem_strdup(mem, MEM_RUNTIME, key);
	return 0;
}

int
sim_listen_unix(struct runtime *rt, const char *path, unsigned int mode UNUSED, rt_accept_fn *fn, void *arg,
    struct rt_listener **out)
{
	struct sim_node *node = sim_node_of(rt);

	*out = NULL;
	if (sim_find_unix(node, path))
		return -EADDRINUSE;
	*out = listener_new(node, fn, arg);
	(*out)->path = mem_strdup(node->net->mem, MEM_RUNTIME, path);
	return 0;
}

void
sim_listener_close(struct rt_listener *l)
{
	listener_destroy(&l->h);
}

int
sim_listener_pack(struct rt_listener *l, struct rt_parcel *out)
{
	*out = (struct rt_parcel){ .fd = -1, .handle = l };
	return l->h.dead ? -ENOTCONN : 0;
}

int
sim_listener_unpack(struct runtime *rt, const struct rt_parcel *p, const struct rt_stream_options *o, const char *path,
    rt_accept_fn *fn, void *arg, struct rt_listener **out)
{
	struct rt_listener *l = p->handle;

	(void)o;
	(void)path;
	if (!l || l->h.node != sim_node_of(rt))
		return -EBADF;
	l->fn = fn;
	l->arg = arg;
	*out = l;
	return 0;
}
