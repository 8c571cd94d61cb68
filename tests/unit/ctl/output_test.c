/* tests/unit/ctl/output_test.c -- one answer in all its forms */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include <signal.h>

#include "fabricd/ctl/output.h"

static const struct column columns[] = {
	{ "port", "PORT", CELL_TEXT, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "accepted", "ACCEPTED", CELL_NUMBER, false },
	{ "speed_bits_per_s", "SPEED", CELL_RATE, false },
	{ "ports", "PORTS", CELL_LIST, false },
	{ "used", "USED", CELL_YES, true },
};
static const struct view view = { .columns = columns, .n_columns = ARRAY_LEN(columns), .problems = true };

/* The two rows of every case below: the second lacks what is not known, and is a problem. */
static const char row1[] = "{\"port\":\"swp1\",\"since_s\":250.5,\"accepted\":0,\"speed_bits_per_s\":100000000000,"
			   "\"ports\":[\"a\",\"b\"],\"used\":true}";
static const char row2[] =
    "{\"port\":\"say \\\"x,y\\\"\",\"since_s\":86400000,\"what\":\"swp2\",\"reason\":\"port dark\","
    "\"next\":\"fabctl ports\"}";

static const struct {
	const char *name;
	enum ctl_format format;
	const char *want;
} cases[] = {
	{ "table", FORMAT_TABLE,
	    "PORT       SINCE  ACCEPTED  SPEED     PORTS\n"
	    "swp1       4m            0  100 Gb/s  a b\n"
	    "say \"x,y\"  1000d         -  -         -\n"
	    "PROBLEMS\n"
	    "swp2  1000d  port dark  fabctl ports\n" },
	{ "wide", FORMAT_WIDE,
	    "PORT       SINCE  ACCEPTED  SPEED     PORTS  USED\n"
	    "swp1       4m            0  100 Gb/s  a b    yes\n"
	    "say \"x,y\"  1000d         -  -         -      -\n"
	    "PROBLEMS\n"
	    "swp2  1000d  port dark  fabctl ports\n" },
	{ "csv", FORMAT_CSV,
	    "port,since_s,accepted,speed_bits_per_s,ports,used\n"
	    "swp1,250.5,0,100000000000,a b,true\n"
	    "\"say \"\"x,y\"\"\",86400000,,,,\n" },
};

/* An answer as a daemon gives it, in this format; the text is the caller's. */
static char *
shown(enum ctl_format format, const char *missing, enum query_status status, int *code)
{
	struct ctl ctl = { .format = format };
	json_t *envelope = json_pack("{s:s, s:s}", "schema", "test/1", "node", "leaf1");
	json_t *end = json_pack("{s:b, s:[]}", "complete", missing == NULL, "missing");
	char *text = NULL;
	size_t n = 0;
	struct out *out;

	if (missing)
		json_array_append_new(json_object_get(end, "missing"), json_string(missing));
	ctl.out = open_memstream(&text, &n);
	out = out_new(&ctl, &view);
	assert_true(out_sink.header(out, envelope));
	assert_true(out_sink.row(out, row1, sizeof(row1) - 1));
	assert_true(out_sink.row(out, row2, sizeof(row2) - 1));
	out_sink.end(out, end, status);
	*code = (int)status;
	out_free(out);
	fclose(ctl.out);
	json_decref(envelope);
	json_decref(end);
	return text;
}

/* Lines lose the blanks at their ends. */
static void
trim(char *text)
{
	char *to = text;

	for (char *at = text; *at; at++) {
		if (*at == '\n') {
			while (to > text && to[-1] == ' ')
				to--;
		}
		*to++ = *at;
	}
	*to = '\0';
}

static void
forms(void **state)
{
	int code;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = shown(cases[i].format, NULL, QUERY_OK, &code);

		trim(text);
		if (strcmp(text, cases[i].want) != 0)
			fail_msg("%s:\n%s\nwanted:\n%s", cases[i].name, text, cases[i].want);
		free(text);
	}
}

/* A pager that ends before it has read all was told to; one that is not there leaves the table to the terminal. */
static void
quit_pager(void **state)
{
	static const struct {
		const char *pager;
		bool shown;
	} pagers[] = { { "head -c 10 >/dev/null", false }, { "cat >/dev/null", false },
		{ "/nonexistent 2>/dev/null", true } };
	char row[128];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	snprintf(row, sizeof(row), "{\"port\":\"%080d\"}", 1);
	for (size_t i = 0; i < ARRAY_LEN(pagers); i++) {
		struct ctl ctl = { .format = FORMAT_TABLE, .pager = true };
		char *text = NULL;
		struct out *out;
		size_t n = 0;

		setenv("FABCTL_PAGER", pagers[i].pager, 1);
		ctl.out = open_memstream(&text, &n);
		out = out_new(&ctl, &view);
		for (int k = 0; k < 3000; k++)
			assert_true(out_sink.row(out, row, strlen(row)));
		out_end(out, QUERY_OK);
		out_free(out);
		fclose(ctl.out);
		assert_int_equal(n > 3000 * 80, pagers[i].shown);
		assert_true(pagers[i].shown || n == 0);
		free(text);
	}
	unsetenv("FABCTL_PAGER");
}

static void
json_is_one_document(void **state)
{
	json_t *all, *a = json_loads(row1, 0, NULL), *b = json_loads(row2, 0, NULL);
	int code;
	char *text = shown(FORMAT_JSON, NULL, QUERY_FINDINGS, &code);

	(void)state;
	assert_non_null(all = json_loads(text, JSON_REJECT_DUPLICATES, NULL));
	assert_string_equal(row_text(all, "schema", ""), "test/1");
	assert_true(json_is_true(json_object_get(all, "complete")));
	assert_int_equal(json_array_size(json_object_get(all, "data")), 2);
	assert_true(json_equal(json_array_get(json_object_get(all, "data"), 0), a));
	assert_true(json_equal(json_array_get(json_object_get(all, "data"), 1), b));
	json_decref(all);
	json_decref(a);
	json_decref(b);
	free(text);
}

static void
json_says_what_is_missing(void **state)
{
	int code;
	char *text = shown(FORMAT_JSON, "leaf9", QUERY_INCOMPLETE, &code);
	json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	(void)state;
	assert_non_null(all);
	assert_true(json_is_false(json_object_get(all, "complete")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(all, "missing"), 0)), "leaf9");
	json_decref(all);
	free(text);
}

static void
jsonl_is_the_rows_alone(void **state)
{
	int code;
	char *text = shown(FORMAT_JSONL, NULL, QUERY_OK, &code), want[1024];

	(void)state;
	snprintf(want, sizeof(want), "%s\n%s\n", row1, row2);
	assert_string_equal(text, want);
	free(text);
}

/* Tables longer than a batch have one heading, and all their rows. */
static void
long_tables(void **state)
{
	static const struct column one[] = { { "n", "N", CELL_NUMBER, false } };
	static const struct view numbers = { .columns = one, .n_columns = 1 };
	struct ctl ctl = { .format = FORMAT_TABLE };
	char *text = NULL;
	size_t n = 0, lines = 0;
	struct out *out;

	(void)state;
	ctl.out = open_memstream(&text, &n);
	out = out_new(&ctl, &numbers);
	out_header(out, out_envelope("test/1", NULL));
	for (int i = 0; i < 12345; i++)
		out_row(out, json_pack("{s:i}", "n", i));
	assert_int_equal(out_end(out, QUERY_OK), 0);
	out_free(out);
	fclose(ctl.out);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 12346);
	assert_null(strchr(strchr(text, 'N') + 1, 'N'));
	free(text);
}

static void
durations_and_rates(void **state)
{
	static const struct {
		double seconds;
		const char *want;
	} durations[] = { { 0, "0ms" }, { 0.35, "350ms" }, { 1, "1s" }, { 119, "119s" }, { 120, "2m" },
		{ 7199, "119m" }, { 7200, "2h" }, { 172799, "47h" }, { 172800, "2d" }, { 1036800, "12d" } };
	static const struct {
		double bps;
		const char *want;
	} rates[] = { { 0, "0 b/s" }, { 999, "999 b/s" }, { 71e9, "71 Gb/s" }, { 2.5e9, "2.5 Gb/s" },
		{ 400e9, "400 Gb/s" } };
	char buf[HUMAN_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(durations); i++)
		assert_string_equal(human_duration(durations[i].seconds, buf), durations[i].want);
	for (size_t i = 0; i < ARRAY_LEN(rates); i++)
		assert_string_equal(human_rate(rates[i].bps, buf), rates[i].want);
}

/* People read local time; machines got UTC. */
static void
times(void **state)
{
	static const struct {
		const char *zone, *utc, *want;
	} clocks[] = {
		{ "UTC0", "2026-11-21T03:25:08.711Z", "2026-11-21 03:25:08.711" },
		{ "EST5", "2026-11-21T03:25:08.711Z", "2026-11-20 22:25:08.711" },
		{ "UTC0", "2026-11-21T03:25:08Z", "2026-11-21 03:25:08" },
		{ "UTC0", "2026-11-21T03:25:08+01:00", "2026-11-21T03:25:08+01:00" },
		{ "UTC0", "yesterday", "yesterday" },
		{ "UTC0", "", "" },
	};
	char buf[HUMAN_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
		setenv("TZ", clocks[i].zone, 1);
		tzset();
		assert_string_equal(human_time(clocks[i].utc, buf), clocks[i].want);
	}
	unsetenv("TZ");
	tzset();
}

/* Rows that --filter and --since leave. */
static const struct {
	const char *name, *filter;
	int64_t since_us;
	const char *left; /* ids */
} sifted[] = {
	{ "all", NULL, 0, "1 2 3 " },
	{ "a text", "port=swp1", 0, "1 " },
	{ "a part of it is not it", "port=swp", 0, "" },
	{ "a number", "id=2", 0, "2 " },
	{ "a truth value", "used=true", 0, "1 " },
	{ "a list", "ports=a b", 0, "2 " },
	{ "without the key", "port=", 0, "2 3 " },
	{ "in other letters", "Port=SWP1", 0, "1 " },
	{ "one of a list", "ports=b", 0, "2 " },
	{ "a part of one of a list", "ports=", 0, "1 3 " },
	{ "no such key", "colour=red", 0, "" },
	{ "young", NULL, 3600LL * 1000000, "1 3 " }, /* a row without a time stays */
	{ "young and so", "port=swp1", 3600LL * 1000000, "1 " },
};

static void
filters_and_times(void **state)
{
	char young[64], first[256];
	time_t now = time(NULL);
	const char *rows[] = { first, "{\"id\":2,\"ports\":[\"a\",\"b\"],\"time\":\"2001-01-01T00:00:00.5Z\"}",
		"{\"id\":3,\"used\":false}" };
	static const struct column id[] = { { "id", "ID", CELL_NUMBER, false } };
	static const struct view ids = { .columns = id, .n_columns = 1 };

	(void)state;
	strftime(young, sizeof(young), "%Y-%m-%dT%H:%M:%S.25Z", gmtime(&now));
	snprintf(first, sizeof(first), "{\"id\":1,\"port\":\"swp1\",\"used\":true,\"time\":\"%s\"}", young);
	for (size_t i = 0; i < ARRAY_LEN(sifted); i++) {
		struct ctl ctl = { .format = FORMAT_CSV, .since_us = sifted[i].since_us };
		char *text = NULL, got[32] = "";
		size_t n = 0;
		struct out *out;

		if (sifted[i].filter)
			ctl.filters[ctl.n_filters++] = sifted[i].filter;
		ctl.out = open_memstream(&text, &n);
		out = out_new(&ctl, &ids);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			assert_true(out_sink.row(out, rows[k], strlen(rows[k])));
		out_end(out, QUERY_OK);
		out_free(out);
		fclose(ctl.out);
		for (char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%c ", at[1]);
		if (strcmp(got, sifted[i].left) != 0)
			fail_msg("%s: %s left, not %s", sifted[i].name, got, sifted[i].left);
		free(text);
	}
}

/* What counts for the exit code is what is shown. Rows with "next" are findings; of an answer without them, all are. */
static const char *const up_and_down[] = { "{\"port\":\"swp1\",\"state\":\"up\"}",
	"{\"port\":\"swp2\",\"state\":\"down\",\"what\":\"swp2\",\"next\":\"fabctl ports\"}" };
static const char *const differences[] = { "{\"port\":\"swp1\",\"state\":\"old\"}",
	"{\"port\":\"swp2\",\"state\":\"new\"}" };

static const struct {
	const char *name, *filter;
	const char *const *rows;
	size_t n;
	enum query_status status, want;
} codes[] = {
	{ "no filter, fine", NULL, up_and_down, 1, QUERY_OK, QUERY_OK },
	{ "no filter, a finding", NULL, up_and_down, 2, QUERY_FINDINGS, QUERY_FINDINGS },
	{ "the finding is shown", "port=swp2", up_and_down, 2, QUERY_FINDINGS, QUERY_FINDINGS },
	{ "the finding is left out", "port=swp1", up_and_down, 2, QUERY_FINDINGS, QUERY_OK },
	{ "all is left out", "port=swp3", up_and_down, 2, QUERY_FINDINGS, QUERY_OK },
	{ "a difference is shown", "port=swp1", differences, 2, QUERY_FINDINGS, QUERY_FINDINGS },
	{ "all differences are left out", "port=swp3", differences, 2, QUERY_FINDINGS, QUERY_OK },
	{ "it is the answer as a whole, without rows", "port=swp3", up_and_down, 0, QUERY_FINDINGS, QUERY_FINDINGS },
	{ "not all has answered", "port=swp1", up_and_down, 2, QUERY_INCOMPLETE, QUERY_INCOMPLETE },
	{ "a key that there is not", "prot=swp1", up_and_down, 2, QUERY_FINDINGS, QUERY_USAGE },
	{ "a key that there is not, without rows", "prot=swp1", up_and_down, 0, QUERY_OK, QUERY_USAGE },
	{ "a key that there is not, for rows without it", "prot=", up_and_down, 2, QUERY_OK, QUERY_USAGE },
	{ "a key that no row has now", "stale=1", up_and_down, 2, QUERY_FINDINGS, QUERY_OK },
	{ "a title", "PORT=swp1", up_and_down, 2, QUERY_FINDINGS, QUERY_OK },
};

static void
exit_codes(void **state)
{
	static const struct column two[] = { { "port", "PORT", CELL_TEXT, false },
		{ "state", "STATE", CELL_TEXT, false } };
	static const struct view sifted_view = { .columns = two, .n_columns = 2, .more = "what stale next" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes) * FORMATS; i++) {
		size_t c = i / FORMATS;
		struct ctl ctl = { .format = (enum ctl_format)(i % FORMATS) };
		json_t *envelope = json_object(), *end = json_pack("{s:b, s:[]}", "complete", 1, "missing");
		char *text = NULL;
		size_t len = 0;
		struct out *out;

		if (codes[c].filter)
			ctl.filters[ctl.n_filters++] = codes[c].filter;
		ctl.out = open_memstream(&text, &len);
		out = out_new(&ctl, &sifted_view);
		assert_true(out_sink.header(out, envelope));
		for (size_t k = 0; k < codes[c].n; k++)
			assert_true(out_sink.row(out, codes[c].rows[k], strlen(codes[c].rows[k])));
		assert_int_equal(out_status(out, QUERY_UNREACHABLE), QUERY_UNREACHABLE); /* it has not ended */
		out_sink.end(out, end, codes[c].status);
		if (out_status(out, codes[c].status) != codes[c].want)
			fail_msg("%s, %s: exit %d, not %d", codes[c].name, ctl_format_names[ctl.format],
			    out_status(out, codes[c].status), codes[c].want);
		out_free(out);
		fclose(ctl.out);
		free(text);
		json_decref(envelope);
		json_decref(end);
	}
}

/* What --watch shows of three rows, with cells in reverse between "<" and ">". */
static char *
frame(struct ctl *ctl, const char *const rows[], size_t n)
{
	static const struct column three[] = { { "port", "PORT", CELL_TEXT, false },
		{ "word", "WORD", CELL_TEXT, false }, { "since_s", "SINCE", CELL_DURATION, false } };
	static const struct view watched = { .verb = "w", .columns = three, .n_columns = 3 };
	char *text = NULL, *to;
	size_t len = 0;
	struct out *out;

	ctl->out = open_memstream(&text, &len);
	out = out_new(ctl, &watched);
	for (size_t i = 0; i < n; i++)
		assert_true(out_sink.row(out, rows[i], strlen(rows[i])));
	out_end(out, QUERY_OK);
	out_free(out);
	fclose(ctl->out);
	to = text;
	for (char *at = text; *at;) {
		bool on = strncmp(at, "\033[7m", 4) == 0, off = strncmp(at, "\033[0m", 4) == 0;

		if (on || off)
			*to++ = on ? '<' : '>';
		else if (*at != ' ')
			*to++ = *at;
		at += on || off ? 4 : 1;
	}
	*to = '\0';
	return text;
}

static void
watch_shows_what_changed(void **state)
{
	static const struct {
		const char *name, *rows[3];
		const char *want;
	} frames[] = {
		{ "the first is no change", { "{\"port\":\"a\",\"word\":\"x\",\"since_s\":1}", "{\"port\":\"b\"}" },
		    "PORTWORDSINCE\nax1s\nb--\n" },
		{ "the same; time runs on", { "{\"port\":\"a\",\"word\":\"x\",\"since_s\":2}", "{\"port\":\"b\"}" },
		    "PORTWORDSINCE\nax2s\nb--\n" },
		{ "a cell", { "{\"port\":\"a\",\"word\":\"x\"}", "{\"port\":\"b\",\"word\":\"y\"}" },
		    "PORTWORDSINCE\nax-\nb<y>-\n" },
		{ "once", { "{\"port\":\"a\",\"word\":\"x\"}", "{\"port\":\"b\",\"word\":\"y\"}" },
		    "PORTWORDSINCE\nax-\nby-\n" },
		{ "a new row in front",
		    { "{\"port\":\"0\"}", "{\"port\":\"a\",\"word\":\"x\"}", "{\"port\":\"b\",\"word\":\"y\"}" },
		    "PORTWORDSINCE\n<0><->-\nax-\nby-\n" },
		{ "a row that went", { "{\"port\":\"b\",\"word\":\"y\"}" }, "PORTWORDSINCE\nby-\n" },
		{ "and came back", { "{\"port\":\"a\",\"word\":\"x\"}" }, "PORTWORDSINCE\n<a><x>-\n" },
	};
	struct ctl ctl = { .format = FORMAT_TABLE, .colour = true, .before = before_new() };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		size_t n = 0;
		char *text;

		while (n < 3 && frames[i].rows[n])
			n++;
		text = frame(&ctl, frames[i].rows, n);
		if (strcmp(text, frames[i].want) != 0)
			fail_msg("%s:\n%s\nwanted:\n%s", frames[i].name, text, frames[i].want);
		free(text);
	}
	before_free(ctl.before);
}

static void
microseconds(void **state)
{
	static const struct {
		double us;
		const char *want;
	} times[] = { { 0, "0us" }, { 48, "48us" }, { 3300, "3.3ms" }, { 50000, "50ms" }, { 150000, "150ms" },
		{ 1000000, "1s" }, { 1500000, "1.5s" } };
	char buf[HUMAN_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		assert_string_equal(human_us(times[i].us, buf), times[i].want);
}

/* One answer on terminals of several widths. */
static const struct {
	const char *name;
	size_t width;
	enum ctl_format format;
	const char *want;
} terminals[] = {
	{ "no terminal", 0, FORMAT_TABLE,
	    "PORT  STATE        COUNT  REASON\n"
	    "swp1  Established     12  -\n"
	    "swp2  Idle             -  the neighbour has closed the connection, for the second time\n"
	    "PROBLEMS\n"
	    "swp2  -  the neighbour has closed the connection, for the second time  fabctl bgp neighbor swp2\n" },
	{ "wide enough", 200, FORMAT_TABLE,
	    "PORT  STATE        COUNT  REASON\n"
	    "swp1  Established     12  -\n"
	    "swp2  Idle             -  the neighbour has closed the connection, for the second time\n"
	    "PROBLEMS\n"
	    "swp2  -  the neighbour has closed the connection, for the second time  fabctl bgp neighbor swp2\n" },
	{ "texts are broken", 60, FORMAT_TABLE,
	    "PORT  STATE        COUNT  REASON\n"
	    "swp1  Established     12  -\n"
	    "swp2  Idle             -  the neighbour has closed the\n"
	    "                          connection, for the second time\n"
	    "PROBLEMS\n"
	    "swp2  -  the neighbour has closed  fabctl bgp neighbor swp2\n"
	    "         the connection, for the\n"
	    "         second time\n" },
	{ "rows are folded", 40, FORMAT_TABLE,
	    "PORT  STATE        COUNT\n"
	    "swp1  Established     12\n"
	    "swp2  Idle             -\n"
	    "  REASON the neighbour has closed the\n"
	    "    connection, for the second time\n"
	    "PROBLEMS\n"
	    "swp2  -\n"
	    "  the neighbour has closed the\n"
	    "    connection, for the second time\n"
	    "  fabctl bgp neighbor swp2\n" },
	{ "very narrow", 1, FORMAT_TABLE,
	    "PORT  STATE\n"
	    "swp1  Established\n"
	    "  COUNT 12\n"
	    "swp2  Idle\n"
	    "  REASON the\n"
	    "    neighbour has\n"
	    "    closed the\n"
	    "    connection, for\n"
	    "    the second time\n"
	    "PROBLEMS\n"
	    "swp2  -\n"
	    "  the neighbour has\n"
	    "    closed the\n"
	    "    connection, for\n"
	    "    the second time\n"
	    "  fabctl bgp\n"
	    "    neighbor swp2\n" },
	{ "machines' forms know no terminal", 20, FORMAT_CSV,
	    "port,state,count,reason\n"
	    "swp1,Established,12,\n"
	    "swp2,Idle,,\"the neighbour has closed the connection, for the second time\"\n" },
};

static char *
on_terminal(size_t width, enum ctl_format format, const char *const rows[], size_t n)
{
	static const struct column four[] = { { "port", "PORT", CELL_TEXT, false },
		{ "state", "STATE", CELL_TEXT, false }, { "count", "COUNT", CELL_NUMBER, false },
		{ "reason", "REASON", CELL_TEXT, false } };
	static const struct view sessions = { .columns = four, .n_columns = 4, .problems = true };
	struct ctl ctl = { .format = format, .width = width };
	char *text = NULL;
	size_t len = 0;
	struct out *out;

	ctl.out = open_memstream(&text, &len);
	out = out_new(&ctl, &sessions);
	for (size_t k = 0; k < n; k++)
		assert_true(out_sink.row(out, rows[k], strlen(rows[k])));
	out_end(out, QUERY_OK);
	out_free(out);
	fclose(ctl.out);
	trim(text);
	return text;
}

static void
narrow_terminals(void **state)
{
	static const char *const rows[] = { "{\"port\":\"swp1\",\"state\":\"Established\",\"count\":12}",
		"{\"port\":\"swp2\",\"state\":\"Idle\",\"what\":\"swp2\",\"next\":\"fabctl bgp neighbor "
		"swp2\",\"reason\":"
		"\"the neighbour has closed the connection, for the second time\"}" };
	static const char *const hostile[] = {
		"{\"port\":\"swp1\",\"state\":\"a\\u001b[2Jb\\u009bc\",\"reason\":\"x\\ny\\u001b]0;z\\u0007\"}"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(terminals); i++) {
		char *text = on_terminal(terminals[i].width, terminals[i].format, rows, ARRAY_LEN(rows));

		if (strcmp(text, terminals[i].want) != 0)
			fail_msg("%s:\n%s\nwanted:\n%s", terminals[i].name, text, terminals[i].want);
		free(text);
	}
	for (size_t width = 0; width < 60; width += 10) { /* what a neighbour says is not what a terminal does */
		char *text = on_terminal(width, FORMAT_TABLE, hostile, 1);

		for (const char *at = text; *at; at++)
			if (*at != '\n' && ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f))
				fail_msg("%zu columns: byte %02x in %s", width, (unsigned char)*at, text);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_and_times),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(narrow_terminals),
		cmocka_unit_test(watch_shows_what_changed),
		cmocka_unit_test(microseconds),
		cmocka_unit_test(forms),
		cmocka_unit_test(times),
		cmocka_unit_test(quit_pager),
		cmocka_unit_test(json_is_one_document),
		cmocka_unit_test(json_says_what_is_missing),
		cmocka_unit_test(jsonl_is_the_rows_alone),
		cmocka_unit_test(long_tables),
		cmocka_unit_test(durations_and_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
