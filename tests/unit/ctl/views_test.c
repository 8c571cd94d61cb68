/* tests/unit/ctl/views_test.c -- fabctl knows every key of the daemon's answers: its columns and `more` are the schemas */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/ctl/views.h"

static const struct view *const views[] = { &view_status, &view_bgp, &view_neighbor, &view_received, &view_advertised,
	&view_why, &view_bfd, &view_routes, &view_route, &view_fib, &view_fib_check, &view_ports, &view_log,
	&view_counters, &view_memory, &view_upgrade, &view_topology };

/* Takes the key out of what is left of the schema's. */
static void
take(const struct view *view, json_t *left, const char *key)
{
	if (json_object_del(left, key))
		fail_msg("%s: `%s` stands twice, or is not in docs/schema", view->verb, key);
}

static void
keys_are_those_of_the_schema(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		const struct view *view = views[i];
		char path[128], *more = strdup(view->more ? view->more : "");
		json_error_t error;
		const char *key;
		json_t *schema, *keys, *one;

		snprintf(path, sizeof(path), "docs/schema/fabricd.%s.1.json", view->verb);
		if (!(schema = json_load_file(path, JSON_REJECT_DUPLICATES, &error)))
			fail_msg("%s: %s", path, error.text);
		keys = json_object_get(schema, "properties");
		keys = json_object_get(json_object_get(json_object_get(keys, "data"), "items"), "properties");
		assert_true(json_object_size(keys) > 0);
		for (size_t c = 0; c < view->n_columns; c++)
			take(view, keys, view->columns[c].key);
		for (char *save = NULL, *word = strtok_r(more, " ", &save); word; word = strtok_r(NULL, " ", &save))
			take(view, keys, word);
		json_object_foreach(keys, key, one)
		{
			fail_msg("%s: `%s` of docs/schema is no column and not in `more`", view->verb, key);
		}
		json_decref(schema);
		free(more);
	}
}

/* The first line of `fabctl status`: OK only when all is. */
static void
the_heading_of_status(void **state)
{
	static const struct {
		const char *summary, *want;
	} cases[] = {
		{ "{\"links\":2,\"links_up\":2,\"sessions\":2,\"sessions_up\":2}",
		    "lab leaf1  OK   2/2 links   2/2 BGP   0 prefixes   fib in sync" },
		{ "{\"links\":2,\"links_up\":2,\"sessions\":2,\"sessions_up\":2,\"fib_pending\":3}",
		    "lab leaf1  OK   2/2 links   2/2 BGP   0 prefixes   fib pending 3" },
		{ "{\"links\":2,\"links_up\":2,\"sessions\":2,\"sessions_up\":2,\"fib_failed\":5,\"fib_pending\":3}",
		    "lab leaf1  DEGRADED   2/2 links   2/2 BGP   0 prefixes   fib refused 5" },
		{ "{\"links\":2,\"links_up\":1,\"sessions\":2,\"sessions_up\":1}",
		    "lab leaf1  DEGRADED   1/2 links   1/2 BGP   0 prefixes   fib in sync" },
		{ "{\"links\":2,\"links_up\":0,\"sessions\":2,\"sessions_up\":0,\"isolated\":true}",
		    "lab leaf1  ISOLATED   0/2 links   0/2 BGP   0 prefixes   fib in sync" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *envelope = json_pack("{s:s, s:s}", "fabric", "lab", "node", "leaf1");
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);

		json_object_set_new(envelope, "summary", json_loads(cases[i].summary, 0, NULL));
		view_status.heading(f, envelope);
		fclose(f);
		if (strncmp(text, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s\nwanted %s", text, cases[i].want);
		free(text);
		json_decref(envelope);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_the_schema),
		cmocka_unit_test(the_heading_of_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
