/*
 * fabricd/query/bfd_view.c -- BFD sessions, as bfdd knows them
 *
 * bfdd is another process: the first step asks, later ones wait until the list has come. A list that another question
 * asked for a moment ago does as well.
 */
#include "fabricd/query/view.h"

#include <string.h>

#define PATIENCE SECONDS(2)
#define NAP      MS(2)

struct bfd_cursor {
	bool asked;
	uint64_t before; /* lists that had come */
	struct mono since;
	size_t at;
};
_Static_assert(sizeof(struct bfd_cursor) <= BFD_CURSOR, "the cursor has room");

static void
put_us(json_t *row, const char *key, int64_t us)
{
	if (us >= 0)
		json_object_set_new(row, key, json_integer((json_int_t)us));
}

/* The port of a session; one that nobody watches any more is known by its index alone. NULL: not of the file. */
static bool
is_of(const struct node_port *port, const struct node_bfd_row *r)
{
	return strcmp(port->name, r->port) == 0 || (port->present && port->plat.ifindex == r->view.path.ifindex);
}

static const struct node_port *
port_of(const struct node *n, const struct node_bfd_row *r)
{
	for (size_t i = 0; i < n->nports; i++)
		if (is_of(&n->ports[i], r))
			return &n->ports[i];
	return NULL;
}

static json_t *
bfd_row(const struct node *n, const struct node_bfd_row *r)
{
	const struct bfd_view *v = &r->view;
	const struct node_port *port = port_of(n, r);
	const char *name = port ? port->name : r->port;
	json_t *row = json_object();

	put_text(row, "port", name);
	if (port && port->peer)
		put_text(row, "peer", peer_name(port->peer));
	put_ip(row, "address", &v->path.peer);
	put_text(row, "state", bfd_state_name(v->state));
	if (v->state != BFD_UP) {
		/* A port without carrier is not watched any more: that is the cause, and not who took BFD down. */
		const char *why = port && port->present && !port->plat.carrier ? "port dark" : bfd_diag_name(v->diag);

		put_text(row, "reason", why);
		put_problem(row, name, why, "fabctl bgp neighbor %s", name);
	}
	put_us(row, "tx_us", v->tx_us);
	put_us(row, "rx_us", v->rx_us);
	put_count(row, "multiplier", v->remote_multiplier);
	put_us(row, "detect_us", v->detect_us);
	put_us(row, "tx_late_p99_us", v->tx_late_p99);
	put_us(row, "rx_late_p99_us", v->rx_late_p99);
	put_count(row, "missed", v->missed);
	put_count(row, "flaps", v->flaps);
	put_count(row, "packets_sent", v->tx);
	put_count(row, "packets_received", v->rx);
	put_count(row, "packets_dropped", v->dropped);
	put_flag(row, "independent", v->remote_independent);
	if (r->since_us >= 0)
		json_object_set_new(row, "since_s", json_real((double)r->since_us / 1e6));
	return row;
}

static void
put_bfd_row(struct query_call *call, const struct node *n, const struct node_bfd_row *r)
{
	query_row(call, bfd_row(n, r));
	if (r->view.state != BFD_UP)
		query_exit(call, QUERY_FINDINGS);
}

bool
view_bfd(struct query_call *call)
{
	struct node *n = query_ctx(call);
	struct bfd_cursor *c = query_cursor(call);

	if (!c->asked) {
		c->asked = true;
		c->before = n->bfd_lists;
		c->since = query_now(call);
		if (node_bfd_list(n)) {
			query_fail(call, QUERY_UNREACHABLE, "start bfdd beside fabricd",
			    "no bfdd watches the neighbours: dead ones are found by hold time");
			return false;
		}
	}
	if (n->bfd_lists == c->before && c->at == 0) {
		if (mono_sub(query_now(call), c->since) < PATIENCE) {
			query_nap(call, NAP);
			return true;
		}
		query_fail(call, QUERY_UNREACHABLE, "fabctl log", "bfdd does not answer");
		return false;
	}
	/* In the order of the ports, those of nobody's port last. bfdd has them in the order in which they began. */
	for (; c->at <= n->nports && !query_full(call); c->at++)
		for (size_t i = 0; i < n->n_bfd_rows; i++)
			if (c->at < n->nports ? is_of(&n->ports[c->at], &n->bfd_rows[i]) : !port_of(n, &n->bfd_rows[i]))
				put_bfd_row(call, n, &n->bfd_rows[i]);
	return c->at <= n->nports;
}
