/* tests/unit/bgp/cases.h -- hex texts and the JSON vectors of tests/data/bgp */
#ifndef TESTS_UNIT_BGP_CASES_H
#define TESTS_UNIT_BGP_CASES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"

struct bytes {
	uint8_t b[65536];
	size_t n;
};

/* Appends the octets of a text; blanks are skipped. */
static inline void
add_hex(struct bytes *out, const char *text)
{
	for (; *text; text++) {
		unsigned int v;

		if (*text == ' ')
			continue;
		if (sscanf(text, "%2x", &v) != 1 || !text[1] || out->n == sizeof(out->b))
			fail_msg("bad hex text: %s", text);
		out->b[out->n++] = (uint8_t)v;
		text++;
	}
}

static inline struct bytes *
from_hex(const char *text)
{
	struct bytes *b = calloc(1, sizeof(*b));

	add_hex(b, text);
	return b;
}

/* jansson refuses integers past 63 bits, which stand in a field that no test reads: they lose their first digits. */
static inline void
shorten_numbers(char *text)
{
	for (char *p = text; *p;) {
		size_t n = strspn(p, "0123456789");

		if (n > 18 && p > text && p[-1] == ' ') {
			memset(p, ' ', n - 18);
			p[n - 18] = '1';
		}
		p += n ? n : 1;
	}
}

/* An array of cases; the caller gives it back with json_decref(). */
static inline json_t *
load_cases(const char *name)
{
	size_t cap = 1 << 20, n;
	char path[200], *text = calloc(1, cap);
	json_error_t err;
	json_t *list;
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/bgp/vectors/%s.json", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s: run the tests from the root of the project", path);
	n = fread(text, 1, cap - 1, f);
	fclose(f);
	assert_true(n > 0 && n < cap - 1);
	shorten_numbers(text);
	list = json_loads(text, 0, &err);
	free(text);
	if (!list)
		fail_msg("%s: %s", path, err.text);
	assert_true(json_is_array(list) && json_array_size(list) > 0);
	return list;
}

static inline const char *
text_of(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	return t ? t : "";
}

#endif
