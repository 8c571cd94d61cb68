/* fabricd/ctl/sift.c -- rows against --filter and --since; see sift.h */
#include "fabricd/ctl/sift.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabricd/ctl/output.h"
#include "topology/topology.h"

#define KEYS     64
#define KEY_TEXT 64 /* bytes of a key */

void
sift_init(struct sift *s, const struct ctl *ctl)
{
	*s = (struct sift){ .ctl = ctl, .unseen = UINT32_MAX };
}

void
sift_clear(struct sift *s)
{
	json_decref(s->last);
	s->last = NULL;
}

/* ---- rows ---- */

/* Keys may be written as the table's titles are: in capitals. */
static const json_t *
value_of(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);
	const char *name;
	json_t *one;

	if (v)
		return v;
	json_object_foreach((json_t *)row, name, one)
	{
		if (strcasecmp(name, key) == 0)
			return one;
	}
	return NULL;
}

static bool
same_value(const json_t *v, const char *wanted)
{
	char *text = value_text(v);
	bool same = text && strcasecmp(text, wanted) == 0;

	free(text);
	for (size_t i = 0; !same && i < json_array_size(v); i++) {
		text = value_text(json_array_get(v, i));
		same = text && strcasecmp(text, wanted) == 0;
		free(text);
	}
	return same;
}

static void
filter_key(const char *filter, char key[KEY_TEXT])
{
	snprintf(key, KEY_TEXT, "%.*s", (int)strcspn(filter, "="), filter);
}

/* A filter's value is compared with the value as a machine has it, or with any of a list. */
static bool
passes(struct sift *s, const json_t *row, size_t filter)
{
	const char *text = s->ctl->filters[filter], *wanted = strchr(text, '=') + 1;
	const json_t *v;
	char key[KEY_TEXT];

	filter_key(text, key);
	if (!(v = value_of(row, key)))
		return *wanted == '\0'; /* KEY= is for rows without it */
	s->unseen &= ~(1u << filter);
	return json_is_null(v) ? *wanted == '\0' : same_value(v, wanted);
}

static bool
recent(const json_t *row, int64_t since_us)
{
	const char *text = row_text(row, "time", NULL), *rest;
	struct timespec now;
	struct tm tm = { 0 };

	if (!text || !(rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)))
		return true;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)timegm(&tm) -
		   (*rest == '.' ? strtod(rest, NULL) : 0) <=
	       (double)since_us / 1e6;
}

bool
sift_row(struct sift *s, const char *text, size_t n)
{
	const struct ctl *ctl = s->ctl;
	json_t *row;
	bool yes;

	if (!ctl->n_filters && !ctl->since_us)
		return true;
	row = json_loadb(text, n, 0, NULL);
	yes = row && (!ctl->since_us || recent(row, ctl->since_us));
	for (size_t i = 0; row && i < ctl->n_filters; i++)
		yes = passes(s, row, i) && yes;
	*(yes ? &s->shown : &s->left_out) += 1;
	if (json_object_get(row, "next"))
		*(yes ? &s->findings : &s->findings_out) += 1;
	json_decref(s->last);
	s->last = row;
	return yes;
}

/* ---- the exit code ---- */

static bool
is_among(const char *key, const char *const keys[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(keys[i], key) == 0)
			return true;
	return false;
}

/* The keys that rows of the answer can have; `more` is room for those of the view. */
static size_t
known_keys(const struct sift *s, const struct view *view, char more[], size_t size, const char *keys[KEYS])
{
	size_t n = 0;
	const char *name;
	json_t *one;

	for (size_t i = 0; i < view->n_columns && n < KEYS; i++)
		keys[n++] = view->columns[i].key;
	snprintf(more, size, "%s", view->more ? view->more : "");
	for (char *save = NULL, *key = strtok_r(more, " ", &save); key && n < KEYS; key = strtok_r(NULL, " ", &save))
		keys[n++] = key;
	json_object_foreach(s->last, name, one)
	{
		if (n < KEYS && !is_among(name, keys, n))
			keys[n++] = name;
	}
	return n;
}

/* A key that no row had: may the rows of this answer have it at all? */
static bool
key_is_known(const struct sift *s, const struct view *view, size_t filter)
{
	char key[KEY_TEXT], more[1024], all[400] = "", next[sizeof(all) + 32];
	const char *keys[KEYS];
	size_t n = known_keys(s, view, more, sizeof(more), keys), at = 0;

	filter_key(s->ctl->filters[filter], key);
	if (is_among(key, keys, n))
		return true;
	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t i = 0; i < view->n_columns && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? " " : "", keys[i]);
	if (!topo_did_you_mean(key, keys, n, next, sizeof(next)))
		snprintf(next, sizeof(next), "one of: %s", all);
	ctl_fail(QUERY_USAGE, next, "no row has a key \"%s\"", key);
	return false;
}

enum query_status
sift_status(const struct sift *s, const struct view *view, enum query_status status)
{
	bool known = true;

	if (!s->ctl->n_filters && !s->ctl->since_us)
		return status;
	for (size_t i = 0; i < s->ctl->n_filters; i++)
		if (s->unseen & 1u << i)
			known = key_is_known(s, view, i) && known;
	if (!known && (status == QUERY_OK || status == QUERY_FINDINGS))
		return QUERY_USAGE;
	/* Without a row that is one, it is the answer as a whole: so any row of it. */
	if (status == QUERY_FINDINGS && !s->findings && (s->findings_out || (s->left_out && !s->shown)))
		return QUERY_OK;
	return status;
}
