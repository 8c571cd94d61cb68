/*
 * fabricd/ctl/topo_plan.c -- fabctl topo plan: what a file changes of the one that runs
 *
 * The running file is the daemon's own text (the view "topology"), or a second file. Both are read as a switch reads
 * them, and compared as they are derived (topology/diff.c). Nothing is changed anywhere.
 *
 * Exit code: 0 no difference, 1 differences, 5 switches would be renumbered and --allow-renumber was not said.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/ctl/output.h"
#include "fabricd/ctl/topo.h"
#include "topology/topology.h"

static const struct column plan_columns[] = {
	{ "node", "SWITCH", CELL_TEXT, false },
	{ "what", "WHAT", CELL_TEXT, false },
	{ "key", "WHICH", CELL_TEXT, false },
	{ "from", "NOW", CELL_TEXT, false },
	{ "to", "THEN", CELL_TEXT, false },
	{ "effect", "EFFECT", CELL_TEXT, false },
};

static void
plan_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");
	double changes = row_number(s, "changes", 0), moved = row_number(s, "renumbered", 0);

	fprintf(f, "%s  %s -> %s   ", row_text(envelope, "fabric", "?"), row_text(s, "running", "?"),
	    row_text(s, "next", "?"));
	if (changes > 0)
		fprintf(f, "%.0f change%s: %.0f live, %.0f session, %.0f restart", changes, changes == 1 ? "" : "s",
		    row_number(s, "live", 0), row_number(s, "session", 0), row_number(s, "restart", 0));
	else
		fprintf(f, "no changes");
	if (moved > 0)
		fprintf(f, "   %.0f switch%s RENUMBERED", moved, moved == 1 ? "" : "es");
	fputc('\n', f);
}

static const struct view plan_view = {
	.columns = plan_columns,
	.n_columns = ARRAY_LEN(plan_columns),
	.heading = plan_heading,
	.empty = "the files do not differ in anything that a switch derives from them",
};

/* ---- the file that runs ---- */

struct collected {
	char revision[40]; /* of the file's own bytes: what is sent is its canonical form */
	char *text;
	size_t n, cap;
	bool failed;
};

static bool
collect_header(void *arg, json_t *envelope)
{
	struct collected *c = arg;

	snprintf(c->revision, sizeof(c->revision), "%s", row_text(envelope, "revision", "?"));
	return true;
}

static bool
collect_row(void *arg, const char *json, size_t n)
{
	struct collected *c = arg;
	json_t *row = json_loadb(json, n, 0, NULL);
	const char *line = row_text(row, "line", "");
	size_t len = strlen(line);

	if (c->n + len + 2 > c->cap) {
		char *more;

		c->cap = 2 * c->cap + len + 4096;
		more = realloc(c->text, c->cap);
		if (!more) {
			c->failed = true;
			json_decref(row);
			return false;
		}
		c->text = more;
	}
	memcpy(c->text + c->n, line, len);
	c->n += len;
	c->text[c->n++] = '\n';
	c->text[c->n] = '\0';
	json_decref(row);
	return true;
}

static void
collect_error(void *arg, const char *cause, const char *next)
{
	struct collected *c = arg;

	c->failed = true;
	ctl_fail(QUERY_USAGE, next, "%s", cause);
}

/* The text of the daemon's file to free(); NULL, with *status set, after its absence was told. */
static char *
running_text(struct ctl *ctl, size_t *len, char revision[40], int *status)
{
	static const struct query_sink sink = { .header = collect_header, .row = collect_row, .error = collect_error };
	struct collected c = { 0 };
	struct query_client *client;
	int err = query_client_open(ctl->run_dir, ctl->timeout_us, &client);

	if (err) {
		*status = ctl_fail(QUERY_UNREACHABLE, "name the file that runs: fabctl topo plan FILE RUNNING",
		    "no fabricd answers at %s/%s: %s", ctl->run_dir, QUERY_SOCKET, strerror(-err));
		return NULL;
	}
	*status = (int)query_client_ask(client, "topology", NULL, 0, &sink, &c);
	query_client_close(client);
	if (*status != QUERY_OK || c.failed || !c.text) {
		if (!*status)
			*status = QUERY_INCOMPLETE;
		free(c.text);
		return NULL;
	}
	*len = c.n;
	memcpy(revision, c.revision, sizeof(c.revision));
	return c.text;
}

/* ---- the plan ---- */

static json_t *
change_row(const struct topo_change *c)
{
	static const char *const effects[] = {
		[TOPO_LIVE] = "live", [TOPO_SESSION] = "session", [TOPO_RESTART] = "restart"
	};
	json_t *row = json_pack("{s:s, s:s, s:s, s:b}", "node", *c->node ? c->node : "(all)", "what", c->what, "effect",
	    effects[c->effect], "renumbered", c->moved);

	if (*c->key)
		json_object_set_new(row, "key", json_string(c->key));
	if (*c->from)
		json_object_set_new(row, "from", json_string(c->from));
	if (*c->to)
		json_object_set_new(row, "to", json_string(c->to));
	return row;
}

static void
revision_text(const struct topo *t, char buf[40])
{
	if (t->revision)
		snprintf(buf, 40, "%llu (%s)", (unsigned long long)t->revision, t->digest);
	else
		snprintf(buf, 40, "%s", t->digest);
}

static int
show(struct ctl *ctl, const struct topo *running, const char *running_revision, const struct topo *next)
{
	size_t counts[TOPO_RESTART + 1] = { 0 }, moved = 0;
	struct topo_changes changes = { 0 };
	struct topo_errors errs = { 0 };
	struct out *out = out_new(ctl, &plan_view);
	json_t *envelope = out_envelope("fabricd.topo.plan/1", next->fabric);
	char next_revision[40];
	int status;

	revision_text(next, next_revision);
	topo_diff(running, next, &changes);
	moved = topo_moved(running, next, &errs);
	for (size_t i = 0; i < changes.n; i++)
		counts[changes.list[i].effect]++;
	json_object_set_new(envelope, "summary",
	    json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "running", running_revision, "next", next_revision,
		"changes", (json_int_t)changes.n, "live", (json_int_t)counts[TOPO_LIVE], "session",
		(json_int_t)counts[TOPO_SESSION], "restart", (json_int_t)counts[TOPO_RESTART], "renumbered",
		(json_int_t)moved));
	out_header(out, envelope);
	for (size_t i = 0; i < changes.n; i++)
		out_row(out, change_row(&changes.list[i]));
	status = out_end(out, changes.n ? QUERY_FINDINGS : QUERY_OK);
	out_free(out);
	if (moved && !ctl->allow_renumber)
		status = ctl_fail(QUERY_REFUSED,
		    "growth within the slots renumbers nothing; --allow-renumber if it is meant",
		    "%zu switch%s would be renumbered", moved, moved == 1 ? "" : "es");
	topo_changes_free(&changes);
	topo_errors_free(&errs);
	return status;
}

int
ctl_topo_plan(struct ctl *ctl, int argc, char **argv)
{
	struct topo *next, *running = NULL;
	char *text = NULL, *old = NULL, revision[40] = "?";
	int status = QUERY_USAGE;
	size_t len;

	next = ctl_topo_load(argv[1], &text, &len);
	if (next && argc > 2) {
		running = ctl_topo_load(argv[2], &old, &len);
		if (running)
			revision_text(running, revision);
	} else if (next && (old = running_text(ctl, &len, revision, &status))) {
		running = ctl_topo_model("(the file that runs)", old, len);
		status = QUERY_USAGE;
	}
	if (next && running)
		status = show(ctl, running, revision, next);
	topo_free(running);
	topo_free(next);
	free(old);
	free(text);
	return status;
}
