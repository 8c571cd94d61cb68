/* tests/unit/topology/load.h -- what the tests of topology share: files, edits of texts, loads that must go one way */
#ifndef TESTS_UNIT_TOPOLOGY_LOAD_H
#define TESTS_UNIT_TOPOLOGY_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "tests/unit/topology/file.h"

UNUSED static char *
slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, (8u << 20) + 1);

	if (!f || !text)
		fail_msg("%s: cannot read; tests run from the root of the tree", path);
	*len = fread(text, 1, 8u << 20, f);
	fclose(f);
	return text;
}

/* tests/data/topology/NAME.yaml */
UNUSED static char *
data(const char *name)
{
	char path[256];
	size_t len;

	snprintf(path, sizeof(path), "tests/data/topology/%s.yaml", name);
	return slurp(path, &len);
}

/* The text with the first `find` replaced, which must be there; frees the text. An empty `find`: appended. */
UNUSED static char *
edited(char *text, const char *find, const char *with)
{
	size_t n = strlen(text), m = strlen(with);
	char *at = find[0] ? strstr(text, find) : text + n, *out = malloc(n + m + 1);

	if (!at)
		fail_msg("the text to edit does not hold \"%s\"", find);
	memcpy(out, text, (size_t)(at - text));
	memcpy(out + (at - text), with, m);
	strcpy(out + (at - text) + m, at + strlen(find));
	free(text);
	return out;
}

UNUSED static char *
all_errors(const char *text, size_t len)
{
	struct topo_errors errs = { 0 };
	struct topo *t = topo_load(text, len, &errs);
	char *s = topo_errors_print(&errs, "f.yaml", text, len);

	if (t && topo_errors_count(&errs, TOPO_ERROR))
		fail_msg("accepted with errors: %s", s);
	if (!t && !topo_errors_count(&errs, TOPO_ERROR))
		fail_msg("refused without a reason");
	topo_errors_free(&errs);
	topo_free(t);
	return s;
}

UNUSED static struct topo *
load(const char *text)
{
	return load_text("f.yaml", text, strlen(text));
}

UNUSED static struct topo *
load_data(const char *name)
{
	char *text = data(name);
	struct topo *t = load(text);

	free(text);
	return t;
}

UNUSED static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#endif
