/*
 * fabricd/query/bfd_view.c -- BFD sessions, as bfdd knows them
 *
 * bfdd is another process: the first step asks, later ones wait until the list has come. A list that another question
 * asked for a moment ago does as well.
 */
#include "fabricd/query/view.h"

#include <string.h>

#define PATIENCE SECONDS(2)

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
static const struct node_port *
port_of(const struct node *n, const struct node_bfd_row *r)
{
	for (size_t i = 0; i < n->nports; i++)
		if (strcmp(n->ports[i].name, r->port) == 0 ||
		    (n->ports[i].present && n->ports[i].plat.ifindex == r->view.path.ifindex))
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
		put_text(row, "reason", bfd_diag_name(v->diag));
		put_problem(row, name, bfd_diag_name(v->diag), "fabctl bgp neighbor %s", name);
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
		if (mono_sub(query_now(call), c->since) < PATIENCE)
			return true;
		query_fail(call, QUERY_UNREACHABLE, "fabctl log", "bfdd does not answer");
		return false;
	}
	for (; c->at < n->n_bfd_rows && !query_full(call); c->at++)
		query_row(call, bfd_row(n, &n->bfd_rows[c->at]));
	return c->at < n->n_bfd_rows;
}
