/*
 * fabricd/query/upgrade_view.c -- `fabctl upgrade`: begins it, and tells each step as it is done
 *
 * Whoever asked may go away meanwhile: the upgrade goes on. The last row says how it ended; when it went well, the
 * process that answers here is the old one, which ends a moment later.
 */
#include <stdio.h>

#include "fabricd/node_upgrade.h"
#include "fabricd/query/view.h"

#define LOOK_US MS(1)

static json_t *
step_row(const struct node_upgrade_report *r, size_t i)
{
	json_t *row = json_object();

	put_text(row, "step", r->steps[i].name);
	json_object_set_new(row, "at_ms", json_real((double)r->steps[i].at_us / 1000));
	put_text(row, "text", r->steps[i].text);
	return row;
}

static json_t *
result_row(const struct node_upgrade_report *r)
{
	json_t *row = json_object();

	put_text(row, "step", "result");
	if (r->n_steps)
		json_object_set_new(row, "at_ms", json_real((double)r->steps[r->n_steps - 1].at_us / 1000));
	put_flag(row, "upgraded", r->ok);
	put_text(row, "from", r->from);
	put_text(row, "to", r->to);
	put_text(row, "binary", r->binary);
	if (r->ok) {
		put_count(row, "sessions", r->peers);
		put_count(row, "routes", r->routes);
		put_count(row, "pid", (uint64_t)r->pid);
		put_textf(row, "text", "fabricd %s -> %s: %llu sessions kept, %llu routes verified", r->from, r->to,
		    (unsigned long long)r->peers, (unsigned long long)r->routes);
	} else {
		put_text(row, "reason", r->why);
		put_text(row, "next", r->next);
		put_textf(
		    row, "text", "not upgraded: %s; fabricd %s goes on as before. Next: %s", r->why, r->from, r->next);
	}
	return row;
}

bool
view_upgrade(struct query_call *call)
{
	struct node *n = query_ctx(call);
	struct upgrade_watch *w = query_cursor(call);
	const struct node_upgrader *u = n->cfg.upgrader;
	const struct node_upgrade_report *r;
	const char *binary = query_arg(call, 0);
	char err[320];

	if (!u) {
		query_fail(call, QUERY_REFUSED, "restart it", "this process cannot be replaced");
		return false;
	}
	if (!w->begun && u->begin(n->cfg.arg, binary ? binary : "", err, sizeof(err))) {
		query_fail(call, QUERY_USAGE, "fabctl upgrade /usr/sbin/fabricd", "%s", err);
		return false;
	}
	w->begun = true;
	for (r = u->report(n->cfg.arg); w->told < r->n_steps && !query_full(call); w->told++)
		query_row(call, step_row(r, w->told));
	if (r->running || w->told < r->n_steps) {
		query_nap(call, LOOK_US);
		return true;
	}
	query_row(call, result_row(r));
	if (!r->ok)
		query_exit(call, QUERY_FINDINGS);
	return false;
}
