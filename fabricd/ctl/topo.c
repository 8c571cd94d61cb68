/* fabricd/ctl/topo.c -- what can be asked of a topology file without any switch */
#include <stdlib.h>
#include <string.h>

#include "fabricd/ctl/output.h"
#include "fabricd/ctl/topo.h"

/* For "%zu thing%s". */
#define COUNT(n, plural) (n), (n) == 1 ? "" : (plural)

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

struct topo *
ctl_topo_model(const char *name, const char *text, size_t len)
{
	struct topo_errors errs = { 0 };
	struct topo *topo = topo_load(text, len, &errs);

	print_errors(&errs, name, text, len);
	topo_errors_free(&errs);
	return topo;
}

struct topo *
ctl_topo_load(const char *path, char **text, size_t *len)
{
	*text = ctl_read_file(path, TOPO_FILE_MAX, len);
	return *text ? ctl_topo_model(path, *text, *len) : NULL;
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
	char *text = ctl_read_file(argv[1], TOPO_FILE_MAX, &len);
	int status;

	(void)argc;
	if (!text)
		return QUERY_USAGE;
	topo = topo_load(text, len, &errs);
	status = !topo ? QUERY_USAGE : errs.n ? QUERY_FINDINGS : QUERY_OK;
	/* Filters are for rows: what passes stands in a table then, without the lines of the file. */
	if (ctl->format > FORMAT_WIDE || ctl->n_filters) {
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
			fprintf(ctl->out, "%s: %zu switch%s, %zu link%s, %zu warning%s\n", topo->fabric,
			    COUNT(topo->nnodes, "es"), COUNT(topo->nlinks, "s"),
			    COUNT(topo_errors_count(&errs, TOPO_WARNING), "s"));
		else
			fprintf(stderr, "%zu error%s\n", COUNT(topo_errors_count(&errs, TOPO_ERROR), "s"));
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
	struct topo *topo = ctl_topo_load(argv[1], &text, &len);

	(void)argc;
	if (!topo) {
		free(text);
		return QUERY_USAGE;
	}
	return print_text(ctl, topo, text, topo_print(topo), "the canonical form");
}

/* ---- expand, as rows ---- */

static const struct column expand_columns[] = {
	{ "node", "NODE", CELL_TEXT, false },
	{ "tier", "TIER", CELL_TEXT, false },
	{ "role", "ROLE", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "as", "AS", CELL_TEXT, false },
	{ "router_id", "ROUTER ID", CELL_TEXT, false },
	{ "loopbacks", "LOOPBACKS", CELL_LIST, false },
	{ "racks", "RACKS", CELL_LIST, false },
	{ "host_ports", "HOST PORTS", CELL_LIST, false },
};

static const struct view expand_view = { .columns = expand_columns,
	.n_columns = ARRAY_LEN(expand_columns),
	.more = "external foreign level links plane pod reserved_ports" };

static json_t *
prefix_list(const bool has[FAMILIES], const struct prefix prefix[FAMILIES])
{
	json_t *list = json_array();
	char text[PREFIX_TEXT];

	for (int f = 0; f < FAMILIES; f++)
		if (has[f])
			json_array_append_new(list, json_string(prefix_print(&prefix[f], text)));
	return list;
}

/* One cable, from this node's side; `topo export csv` is for tables of them. */
static json_t *
link_row(const struct topo *t, const struct topo_port *p)
{
	const struct topo_link *l = &t->links[p->link];

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "port", p->name, "kind",
	    p->kind == TOPO_UP ? "up" : "down", "peer", t->nodes[p->far_node].name, "peer_port", p->far_port, "as",
	    (json_int_t)t->nodes[p->far_node].asn, "added", l->added, "planned", l->planned);
}

static json_t *
session_row(const struct topo_external *x)
{
	static const char *const adverts[] = { "none", "default", "full", "prefixes", "aggregates" };
	char local[IP_TEXT], peer[IP_TEXT];

	return json_pack("{s:s, s:s, s:I, s:o, s:s, s:s, s:s}", "name", x->name, "port", x->port, "as",
	    (json_int_t)x->asn, "local", json_sprintf("%s/%u", ip_print(&x->local, local), x->len), "peer",
	    ip_print(&x->peer, peer), "in", adverts[x->in], "out", adverts[x->out]);
}

static json_t *
expand_row(const struct topo *t, const struct topo_node *n)
{
	static const char *const states[] = {
		[TOPO_ACTIVE] = "active", [TOPO_PLANNED] = "planned", [TOPO_DRAINED] = "drained"
	};
	json_t *row = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b, s:I}", "node", n->name, "tier", t->tiers[n->tier].name,
	    "level", (json_int_t)n->level, "role", n->role == TOPO_BORDER ? "border" : "fabric", "state",
	    states[n->state], "foreign", n->foreign, "as", (json_int_t)n->asn);
	json_t *links = json_array(), *hosts = json_array(), *reserved = json_array(), *sessions = json_array();
	char id[IP_TEXT];

	if (n->pod)
		json_object_set_new(row, "pod", json_integer(n->pod));
	if (n->plane)
		json_object_set_new(row, "plane", json_integer(n->plane));
	if (!ip_is_zero(&n->router_id))
		json_object_set_new(row, "router_id", json_string(ip_print(&n->router_id, id)));
	json_object_set_new(row, "loopbacks", prefix_list(n->has_loopback, n->loopback));
	json_object_set_new(row, "racks", prefix_list(n->has_rack, n->rack));
	for (uint32_t i = 0; i < n->nports; i++) {
		const struct topo_port *p = &n->ports[i];

		if (p->kind == TOPO_HOST)
			json_array_append_new(hosts, json_string(p->name));
		else if (p->kind <= TOPO_DOWN && p->link == TOPO_NONE)
			json_array_append_new(reserved, json_string(p->name));
		else if (p->kind <= TOPO_DOWN)
			json_array_append_new(links, link_row(t, p));
	}
	for (size_t i = 0; i < t->nexternals; i++)
		if (t->externals[i].node == n->index)
			json_array_append_new(sessions, session_row(&t->externals[i]));
	json_object_set_new(row, "links", links);
	json_object_set_new(row, "host_ports", hosts);
	json_object_set_new(row, "reserved_ports", reserved);
	json_object_set_new(row, "external", sessions);
	return row;
}

static int
expand_rows(const struct ctl *ctl, const struct topo *t, const struct topo_node *one)
{
	struct out *out = out_new(ctl, &expand_view);
	json_t *envelope = out_envelope("fabricd.topo.expand/1", t->fabric);
	int status;

	json_object_set_new(envelope, "summary",
	    json_pack("{s:I, s:I}", "switches", (json_int_t)t->nnodes, "links", (json_int_t)t->nlinks));
	out_header(out, envelope);
	for (size_t i = 0; i < t->nnodes; i++)
		if (!one || one == &t->nodes[i])
			out_row(out, expand_row(t, &t->nodes[i]));
	status = out_end(out, QUERY_OK);
	out_free(out);
	return status;
}

int
ctl_topo_expand(struct ctl *ctl, int argc, char **argv)
{
	const char *near[1], *node = argc > 2 ? argv[2] : NULL;
	size_t len;
	char *text = NULL;
	struct topo *topo = ctl_topo_load(argv[1], &text, &len);
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
	if (ctl->format <= FORMAT_WIDE)
		return print_text(ctl, topo, text, topo_expand(topo, node), "the derived model");
	status = expand_rows(ctl, topo, node ? topo_node_find(topo, node) : NULL);
	topo_free(topo);
	free(text);
	return status;
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
		{ "svg", topo_export_svg },
	};
	size_t len, i;
	char *text = NULL;
	struct topo *topo;

	(void)argc;
	for (i = 0; i < ARRAY_LEN(forms) && strcmp(forms[i].name, argv[1]) != 0; i++)
		;
	if (i == ARRAY_LEN(forms))
		return ctl_fail(
		    QUERY_USAGE, "one of: dot containerlab csv mermaid svg", "there is no export \"%s\"", argv[1]);
	if (!(topo = ctl_topo_load(argv[2], &text, &len))) {
		free(text);
		return QUERY_USAGE;
	}
	return print_text(ctl, topo, text, forms[i].make(topo), argv[1]);
}

int
ctl_topo_upgrade(struct ctl *ctl, int argc, char **argv)
{
	size_t len;
	char *text = NULL;
	struct topo *topo = ctl_topo_load(argv[1], &text, &len);
	int status = QUERY_USAGE;

	(void)argc;
	if (topo) { /* versions to come are read and rewritten here, with their comments */
		fprintf(stderr, "%s: schema %u is the newest version of the language; nothing to do\n", argv[1],
		    topo->schema);
		fwrite(text, 1, len, ctl->out);
		status = QUERY_OK;
	}
	topo_free(topo);
	free(text);
	return status;
}

static void
plain_name(char *name)
{
	for (; *name; name++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *name))
			*name = '-';
}

/* The fabric's name out of the file's: "dc1.clab.yaml" is dc1; what a name may not hold becomes "-". */
static void
fabric_name(const char *path, char name[TOPO_NAME_MAX])
{
	const char *base = strrchr(path, '/');
	size_t n;

	base = base ? base + 1 : path;
	n = MIN_OF(strcspn(base, "."), (size_t)TOPO_NAME_MAX - 1);
	if (!n || !strcmp(base, "-"))
		n = (size_t)sprintf(name, "fabric");
	else
		memcpy(name, base, n);
	name[n] = '\0';
	plain_name(name);
}

/* Cables of a file in one of the forms; -1 after the reasons were told. */
static int
read_cables(const char *form, const char *path, const char *text, size_t len, struct topo_cable **cables, size_t *n)
{
	bool dot = strcmp(form, "dot") == 0;
	struct topo_errors errs = { 0 };
	int err;

	if (strcmp(form, "csv") == 0) {
		err = topo_import_csv(text, len, cables, n, &errs);
		print_errors(&errs, path, text, len);
		topo_errors_free(&errs);
		return err;
	}
	err = dot ? topo_import_dot(text, len, cables, n) : topo_import_containerlab(text, len, cables, n);
	if (err)
		ctl_fail(QUERY_USAGE,
		    dot ? "edges are \"leaf1\":\"eth1\" -- \"spine1\":\"eth1\""
			: "topology.links[].endpoints: [\"leaf1:eth1\", \"spine1:eth1\"]",
		    "%s is no %s file of cables", path, form);
	return err;
}

int
ctl_topo_import(struct ctl *ctl, int argc, char **argv)
{
	static const char *const forms[] = { "dot", "containerlab", "csv", "devices" };
	struct topo_cable *cables = NULL;
	struct topo_errors errs = { 0 };
	size_t len, n = 0, form = 0;
	char *text, *made = NULL, name[TOPO_NAME_MAX];

	(void)argc;
	while (form < ARRAY_LEN(forms) && strcmp(forms[form], argv[1]) != 0)
		form++;
	if (form == ARRAY_LEN(forms))
		return ctl_fail(
		    QUERY_USAGE, "one of: dot containerlab csv devices", "there is no import \"%s\"", argv[1]);
	if (!(text = ctl_read_file(argv[2], TOPO_FILE_MAX, &len)))
		return QUERY_USAGE;
	if (strcmp(argv[1], "csv") != 0 && topo_import_name(text, len, name))
		plain_name(name);
	else
		fabric_name(argv[2], name);
	if (strcmp(argv[1], "devices") == 0)
		made = topo_import_devices(text, len, &errs);
	else if (read_cables(argv[1], argv[2], text, len, &cables, &n) == 0)
		made = topo_infer(cables, n, name, &errs);
	if (made)
		fputs(made, ctl->out);
	print_errors(&errs, argv[2], text, len);
	topo_errors_free(&errs);
	free(cables);
	free(made);
	free(text);
	return made ? QUERY_OK : QUERY_USAGE;
}
