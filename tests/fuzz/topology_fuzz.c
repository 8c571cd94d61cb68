/*
 * tests/fuzz/topology_fuzz.c -- any bytes as a topology file, and as what `topo import` reads
 *
 * Beside memory errors it looks for broken promises: a refusal without a reason, a canonical form that is refused, or
 * is another file, or is not its own canonical form; exports that do not read back.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "topology/topology.h"

/* What is inferred from cables is a file, with no more cables than there were, or there is a reason. */
static void
infer(const struct topo_cable *cables, size_t n)
{
	struct topo_errors errs = { 0 }, none = { 0 };
	char *file = n <= 200 ? topo_infer(cables, n, "fuzz", &errs) : NULL;
	struct topo *t = file ? topo_load(file, strlen(file), &none) : NULL;

	must(!file || (t && t->nlinks <= n), "an inferred file has the cables that it was given");
	must(file || n > 200 || topo_errors_count(&errs, TOPO_ERROR) > 0, "cables that are refused have a reason");
	topo_errors_free(&errs);
	topo_errors_free(&none);
	topo_free(t);
	free(file);
}

static void
try_imports(const char *text, size_t len)
{
	struct topo_errors errs = { 0 };
	struct topo_cable *cables;
	char name[TOPO_NAME_MAX];
	size_t n;

	if (topo_import_csv(text, len, &cables, &n, &errs) == 0)
		infer(cables, n);
	else
		must(errs.n > 0 && !cables, "a table that is refused has a reason");
	free(cables);
	topo_errors_free(&errs);
	free(topo_import_devices(text, len, &errs));
	topo_errors_free(&errs);

	must(topo_import_name(text, len, name) == (name[0] != '\0'), "a name, or none");
	must(topo_import_name(text, len, name) == (name[0] != '\0'), "a name, or none");
	if (topo_import_dot(text, len, &cables, &n) == 0)
		infer(cables, n);
	free(cables);
	if (topo_import_containerlab(text, len, &cables, &n) == 0)
		infer(cables, n);
	free(cables);
}

static void
check_exports(const struct topo *t)
{
	char *dot = topo_export_dot(t), *lab = topo_export_containerlab(t), *all = topo_expand(t, NULL);
	struct topo_cable *cables;
	size_t n;

	must(topo_import_dot(dot, strlen(dot), &cables, &n) == 0 && n == t->nlinks, "DOT reads back");
	free(cables);
	must(topo_import_containerlab(lab, strlen(lab), &cables, &n) == 0 && n == t->nlinks, "containerlab reads back");
	free(cables);
	free(dot);
	free(lab);
	free(all);
}

static void
check_print(const struct topo *t)
{
	char *once = topo_print(t), *twice, *a, *b;
	struct topo_errors errs = { 0 };
	struct topo *again = topo_load(once, strlen(once), &errs);

	must(again != NULL, "the canonical form is accepted");
	twice = topo_print(again);
	must(strcmp(once, twice) == 0, "the canonical form is its own");
	a = topo_expand(t, NULL);
	b = topo_expand(again, NULL);
	must(strcmp(a, b) == 0, "the canonical form is the same fabric");
	must(topo_moved(t, again, &errs) == 0, "printing moves nobody");
	topo_errors_free(&errs);
	topo_free(again);
	free(a);
	free(b);
	free(once);
	free(twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct topo_errors errs = { 0 };
	struct topo *t = topo_load(text, size, &errs);
	char *shown = topo_errors_print(&errs, "f", text, size);

	must((t == NULL) == (topo_errors_count(&errs, TOPO_ERROR) > 0), "refused means with a reason");
	free(shown);
	topo_errors_free(&errs);
	if (t && t->nnodes <= 1000 && t->nlinks <= 4000) {
		check_exports(t);
		check_print(t);
	}
	topo_free(t);
	try_imports(text, size);
	return 0;
}
