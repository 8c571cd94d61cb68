/* fabricd/ctl/topo.c -- what can be asked of a topology file without any switch */
#include <stdlib.h>
#include <string.h>

#include "fabricd/ctl/output.h"
#include "topology/topology.h"

#define FILE_MAX (4u << 20)

static const struct column check_columns[] = {
	{ "severity", "SEVERITY", CELL_TEXT, false },
	{ "line", "LINE", CELL_NUMBER, false },
	{ "column", "COLUMN", CELL_NUMBER, false },
	{ "text", "TEXT", CELL_TEXT, false },
	{ "hint", "HINT", CELL_TEXT, false },
	{ "other_line", "OTHER LINE", CELL_NUMBER, true },
};

static const struct view check_view = {
	.columns = check_columns,
	.n_columns = ARRAY_LEN(check_columns),
};

/* Prints errors as people read them, on stderr. */
static void
print_errors(const struct topo_errors *errs, const char *path, const char *text, size_t len)
{
	char *all = errs->n ? topo_errors_print(errs, path, text, len) : NULL;

	if (all)
		fputs(all, stderr);
	free(all);
}

/* The file as a model; NULL after its errors were told. *text is the caller's to free(). */
static struct topo *
load(const char *path, char **text, size_t *len)
{
	struct topo_errors errs = { 0 };
	struct topo *topo;

	if (!(*text = ctl_read_file(path, FILE_MAX, len)))
		return NULL;
	topo = topo_load(*text, *len, &errs);
	print_errors(&errs, path, *text, *len);
	topo_errors_free(&errs);
	return topo;
}

static json_t *
error_row(const struct topo_error *e)
{
	json_t *row = json_pack("{s:s, s:s*, s:s*}", "severity", e->severity == TOPO_ERROR ? "error" : "warning",
	    "text", e->text, "hint", e->hint);

	if (e->line) {
		json_object_set_new(row, "line", json_integer(e->line));
		json_object_set_new(row, "column", json_integer(e->col));
	}
	if (e->other_line)
		json_object_set_new(row, "other_line", json_integer(e->other_line));
	return row;
}

int
ctl_topo_check(struct ctl *ctl, int argc, char **argv)
{
	struct topo_errors errs = { 0 };
	struct topo *topo;
	size_t len;
	char *text = ctl_read_file(argv[1], FILE_MAX, &len);
	int status;

	(void)argc;
	if (!text)
		return QUERY_USAGE;
	topo = topo_load(text, len, &errs);
	status = !topo ? QUERY_USAGE : errs.n ? QUERY_FINDINGS : QUERY_OK;
	if (ctl->format > FORMAT_WIDE) {
		struct out *out = out_new(ctl, &check_view);
		json_t *envelope = out_envelope("fabricd.topo.check/1", topo ? topo->fabric : NULL);

		if (topo)
			json_object_set_new(envelope, "summary",
			    json_pack(
				"{s:I, s:I}", "switches", (json_int_t)topo->nnodes, "links", (json_int_t)topo->nlinks));
		out_header(out, envelope);
		for (size_t i = 0; i < errs.n; i++)
			out_row(out, error_row(&errs.list[i]));
		status = out_end(out, (enum query_status)status);
		out_free(out);
	} else {
		print_errors(&errs, argv[1], text, len);
		if (topo)
			fprintf(ctl->out, "%s: %zu switches, %zu links, %zu warnings\n", topo->fabric, topo->nnodes,
			    topo->nlinks, topo_errors_count(&errs, TOPO_WARNING));
		else
			fprintf(stderr, "%zu errors\n", topo_errors_count(&errs, TOPO_ERROR));
	}
	topo_errors_free(&errs);
	topo_free(topo);
	free(text);
	return status;
}

/* Prints a text of the model and frees all. */
static int
print_text(struct ctl *ctl, struct topo *topo, char *file, char *made, const char *what)
{
	int status = QUERY_OK;

	if (!made)
		status = ctl_fail(QUERY_USAGE, NULL, "%s could not be made", what);
	else
		fputs(made, ctl->out);
	free(made);
	topo_free(topo);
	free(file);
	return status;
}

int
ctl_topo_fmt(struct ctl *ctl, int argc, char **argv)
{
	size_t len;
	char *text = NULL;
	struct topo *topo = load(argv[1], &text, &len);

	(void)argc;
	if (!topo) {
		free(text);
		return QUERY_USAGE;
	}
	return print_text(ctl, topo, text, topo_print(topo), "the canonical form");
}

int
ctl_topo_expand(struct ctl *ctl, int argc, char **argv)
{
	const char *near[1], *node = argc > 2 ? argv[2] : NULL;
	size_t len;
	char *text = NULL;
	struct topo *topo = load(argv[1], &text, &len);
	int status;

	if (!topo) {
		free(text);
		return QUERY_USAGE;
	}
	if (node && !topo_node_find(topo, node)) {
		char next[64] = "fabctl topo expand FILE";

		if (topo_node_near(topo, node, near, 1))
			snprintf(next, sizeof(next), "did you mean %s?", near[0]);
		status = ctl_fail(QUERY_USAGE, next, "%s has no switch \"%s\"", argv[1], node);
		topo_free(topo);
		free(text);
		return status;
	}
	return print_text(ctl, topo, text, topo_expand(topo, node), "the derived model");
}

int
ctl_topo_export(struct ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *name;
		char *(*make)(const struct topo *);
	} forms[] = {
		{ "dot", topo_export_dot },
		{ "containerlab", topo_export_containerlab },
		{ "csv", topo_export_csv },
		{ "mermaid", topo_export_mermaid },
	};
	size_t len, i;
	char *text = NULL;
	struct topo *topo;

	(void)argc;
	for (i = 0; i < ARRAY_LEN(forms) && strcmp(forms[i].name, argv[1]) != 0; i++)
		;
	if (i == ARRAY_LEN(forms))
		return ctl_fail(
		    QUERY_USAGE, "one of: dot containerlab csv mermaid", "there is no export \"%s\"", argv[1]);
	if (!(topo = load(argv[2], &text, &len))) {
		free(text);
		return QUERY_USAGE;
	}
	return print_text(ctl, topo, text, forms[i].make(topo), argv[1]);
}
