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

/* An array of cases; the caller gives it back with json_decref(). */
static inline json_t *
load_cases(const char *name)
{
	char path[200];
	json_error_t err;
	json_t *list;

	snprintf(path, sizeof(path), "tests/data/bgp/vectors/%s.json", name);
	list = json_load_file(path, 0, &err);
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
