/* topology/import_csv.c: tables of cables and devices, and where they are wrong */
#include "tests/unit/topology/load.h"

#define HEAD "side_a_device,side_a_name,side_b_device,side_b_name\n"

static const struct {
	const char *name, *text;
	size_t cables;     /* or */
	const char *error; /* with its line */
	const char *first; /* node:port of its lower end; NULL: does not matter */
} tables[] = {
	{ "one", HEAD "leaf1,eth1,spine1,eth2\n", 1, NULL, "leaf1:eth1" },
	{ "no line end", HEAD "leaf1,eth1,spine1,eth2", 1, NULL, "leaf1:eth1" },
	{ "CRLF", "side_a_device,side_a_name,side_b_device,side_b_name\r\nleaf1,eth1,spine1,eth2\r\n", 1, NULL,
	    "leaf1:eth1" },
	{ "empty lines", HEAD "\n\nleaf1,eth1,spine1,eth2\n\n", 1, NULL, NULL },
	{ "another order", "x,side_b_device,side_a_name,side_b_name,side_a_device\n1,spine1,eth1,eth2,leaf1\n", 1, NULL,
	    "leaf1:eth1" },
	{ "quotes", HEAD "\"leaf1\",\"eth1\",spine1,\"eth2\"\n", 1, NULL, "leaf1:eth1" },
	{ "columns that are not ours", "why," HEAD "\"a, \"\"b\"\"\n c\",leaf1,eth1,spine1,eth2\n", 1, NULL,
	    "leaf1:eth1" },
	{ "the head alone", HEAD, 0, NULL, NULL },
	{ "nothing", "", 0, "the file is empty", NULL },
	{ "a column less", "side_a_device,side_a_name,side_b_device\na,b,c\n", 0,
	    "f:1:1: error: there is no column `side_b_name`", NULL },
	{ "a field less", HEAD "leaf1,eth1,spine1\n", 0, "f:2:1: error: `side_b_name` is \"\"", NULL },
	{ "an empty name", HEAD "leaf1,eth1,spine1,eth2\n,eth1,spine1,eth2\n", 0,
	    "f:3:1: error: `side_a_device` is \"\"", NULL },
	{ "a name that is code", HEAD "leaf1,\"eth1\"\"}\",spine1,eth2\n", 0, "`side_a_name` is \"eth1\"}\"", NULL },
	{ "an open quote", HEAD "\"leaf1,eth1,spine1,eth2\n", 0, "a quote that does not end", NULL },
	{ "a long field",
	    HEAD "leaf1,eth1,spine1,"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "\n",
	    0, "a field of more than 127 bytes", NULL },
};

static void
cables_of_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct topo_errors errs = { 0 };
		struct topo_cable *cables;
		size_t n;
		int err = topo_import_csv(tables[i].text, strlen(tables[i].text), &cables, &n, &errs);
		char *told = topo_errors_print(&errs, "f", tables[i].text, strlen(tables[i].text)), first[80];

		if (!err != !tables[i].error || n != tables[i].cables)
			fail_msg("%s: %zu cables; %s", tables[i].name, n, told);
		if (err && !strstr(told, tables[i].error))
			fail_msg("%s: no \"%s\" in %s", tables[i].name, tables[i].error, told);
		if (tables[i].first) {
			snprintf(first, sizeof(first), "%s:%s", cables[0].a, cables[0].a_port);
			assert_string_equal(first, tables[i].first);
			assert_string_equal(cables[0].b, "spine1");
			assert_string_equal(cables[0].b_port, "eth2");
		}
		topo_errors_free(&errs);
		free(cables);
		free(told);
	}
}

static const struct {
	const char *name, *text, *want; /* the section, or part of the error */
	bool good;
} devices[] = {
	{ "all keys", "name,serial,mac,model,state\nleaf1,S1,52:54:00:00:00:01,as7726,active\n",
	    "devices:\n  leaf1: {serial: \"S1\", mac: \"52:54:00:00:00:01\", model: as7726, state: active}\n", true },
	{ "other names", "mac_address,name,serial_number\n52:54:00:00:00:01,leaf1,9\n",
	    "devices:\n  leaf1: {serial: \"9\", mac: \"52:54:00:00:00:01\"}\n", true },
	{ "nothing but a name", "name\nleaf1\n", "devices:\n  leaf1: {}\n", true },
	{ "no name", "serial\nS1\n", "there is no column `name`", false },
	{ "a bad name", "name,serial\nleaf 1,S1\n", "f:2:1: error: `name` is \"leaf 1\"", false },
	{ "a bad serial", "name,serial\nleaf1,\"a\"\"b\"\n", "`serial` is \"a\"b\"", false },
};

static void
sections_of_devices(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		struct topo_errors errs = { 0 };
		char *text = topo_import_devices(devices[i].text, strlen(devices[i].text), &errs);
		char *told = topo_errors_print(&errs, "f", devices[i].text, strlen(devices[i].text));

		if (!text != !devices[i].good || !strstr(text ? text : told, devices[i].want))
			fail_msg("%s: %s", devices[i].name, text ? text : told);
		topo_errors_free(&errs);
		free(text);
		free(told);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cables_of_tables),
		cmocka_unit_test(sections_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
