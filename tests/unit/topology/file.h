/* tests/unit/topology/file.h -- a topology of tests/data/topology, for the tests of what is built on it; behind cmocka.h */
#ifndef TESTS_UNIT_TOPOLOGY_FILE_H
#define TESTS_UNIT_TOPOLOGY_FILE_H

#include <stdio.h>
#include <stdlib.h>

#include "topology/topology.h"

/* The caller frees it. name: for complaints. */
static inline struct topo *
load_text(const char *name, const char *text, size_t n)
{
	struct topo_errors errs = { 0 };
	struct topo *t = topo_load(text, n, &errs);

	if (!t)
		fail_msg("%s", topo_errors_print(&errs, name, text, n));
	topo_errors_free(&errs);
	return t;
}

/* "4x2.yaml"; the caller frees it. */
static inline struct topo *
load_file(const char *name)
{
	char path[256], *text = malloc(1 << 20);
	struct topo *t;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "tests/data/topology/%s", name);
	f = fopen(path, "r");
	if (!f || !text)
		fail_msg("%s: run the test at the top of the tree", path);
	n = fread(text, 1, 1 << 20, f);
	fclose(f);
	t = load_text(path, text, n);
	free(text);
	return t;
}

#endif
