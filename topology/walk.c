/*
 * topology/walk.c -- walks a map of the file by the rules of its schema, and the types that values can have
 *
 *   walk_map: for each key of the map its rule -> the rule's read function types the value into the struct's field;
 *   for each rule without a key its template's value, its default, or an error when it is required.
 *
 * Always true: a field is filled from the file, from a default, or is zero and its struct is marked `bad`; every
 * complaint has a place and, where a word was misspelt, the nearest right one. Each fault is told once: a key that is
 * misspelt is not missed as well, what is wrong in a template is not told again with each session. Keys x-... are
 * passed by.
 *
 * Not here: which keys there are (schema.c), and whether the values fit each other (plan.c, check.c).
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/mono.h"
#include "topology/model.h"

#define BFD_LEAST_US 3300 /* bfd/engine.h: nothing faster is promised or asked for */

/* ---- maps ---- */

static const struct rule *
find_rule(const struct schema *s, const char *key)
{
	for (const struct rule *r = s->rules; r->name; r++)
		if (strcmp(r->name, key) == 0)
			return r;
	return NULL;
}

/* The bit of a rule in `unread`; no map of the language has more keys than it has bits. */
static uint64_t
unread_bit(const struct schema *s, const struct rule *r)
{
	return (uint64_t)1 << ((r - s->rules) & 63);
}

bool
filled_unread(const struct filled *is, const char *key)
{
	const struct rule *r = is->of ? find_rule(is->of, key) : NULL;

	return r && (is->unread & unread_bit(is->of, r));
}

static void
unknown_key(struct walk *w, const struct schema *s, const struct tree *map, const struct tree *key, struct filled *is)
{
	struct topo_error *e = error_add(w->errs, key, "`%s` is not a key of %s", key->text, s->what);
	const struct rule *near = NULL;
	size_t best = SIZE_MAX;
	struct buf known = { 0 };

	if (!e) /* there are too many of them */
		return;
	for (const struct rule *r = s->rules; r->name; r++) {
		size_t d = edit_distance(key->text, r->name);

		buf_add(&known, "%s%s", known.n ? ", " : "", r->name);
		if (d < best) {
			best = d;
			near = r;
		}
	}
	if (!near || !edit_is_near(best, near->name)) {
		error_hint(e, "its keys are: %s", known.at);
	} else {
		error_hint(e, "did you mean `%s`?", near->name);
		if (!tree_get(map, near->name))
			is->unread |= unread_bit(s, near);
	}
	mem_free(NULL, MEM_TOPOLOGY, known.at);
}

static bool
read_value(struct walk *w, const struct rule *r, struct tree *value, void *field)
{
	if (value->kind == TREE_SCALAR) {
		value->force_quotes |= r->flags & RULE_QUOTED;
		if (value->text[0] == '\0' && !value->quoted) {
			error_add(w->errs, value, "`%s` has no value", r->name);
			return false;
		}
	}
	return r->read(w, r, value, field);
}

/* What is wrong with it was told where the map stands that it is taken from. */
static bool
read_again(struct walk *w, const struct rule *r, struct tree *value, void *field)
{
	struct topo_errors *errs = w->errs, told = { 0 };
	bool ok;

	w->errs = &told;
	ok = read_value(w, r, value, field);
	w->errs = errs;
	topo_errors_free(&told);
	return ok;
}

/* Told once, at the first place: what a fabric's file says is done, unless somebody says that it is not. */
static void
tell_unused(struct walk *w, const struct rule *r, const struct tree *value, const void *field)
{
	const char *text = value->kind == TREE_SCALAR ? value->text : "";

	if (!r->unused || (r->read == read_bool && !*(const bool *)field) ||
	    (*text && r->dflt && strcmp(text, r->dflt) == 0) || (r->inert && strcmp(text, r->inert) == 0))
		return;
	for (size_t i = 0; i < w->nwarned; i++)
		if (strcmp(w->warned[i]->name, r->name) == 0 && strcmp(w->warned[i]->unused, r->unused) == 0)
			return;
	if (w->nwarned < ARRAY_LEN(w->warned))
		w->warned[w->nwarned++] = r;
	error_hint(
	    warning_add(w->errs, value, "`%s%s%s` is read, but has no effect yet", r->name, *text ? ": " : "", text),
	    "%s", r->unused);
}

static bool
read_default(struct walk *w, const struct rule *r, void *field)
{
	struct tree value = { .kind = TREE_SCALAR, .text = r->dflt };

	return r->read(w, r, &value, field);
}

bool
walk_map(struct walk *w, const struct schema *s, struct tree *map, struct tree *fallback, void *out)
{
	struct filled *is = out;
	bool forgiven = is->bad;

	if (map->kind != TREE_MAP) {
		error_hint(error_add(w->errs, map, "%s is a map of keys, like {name: value}", s->what),
		    "its keys are in docs/topology-file.md");
		is->bad = true;
		return false;
	}
	is->at = map;
	is->of = s;
	for (size_t i = 0; i < map->n; i++) {
		const struct tree *key = map->entries[i].key;

		if (strncmp(key->text, "x-", 2) != 0 && !find_rule(s, key->text))
			unknown_key(w, s, map, key, is);
	}
	for (const struct rule *r = s->rules; r->name; r++) {
		char *field = (char *)out + r->offset;
		struct tree *value = tree_get(map, r->name), *theirs = value ? NULL : tree_get(fallback, r->name);
		bool misspelt = is->unread & unread_bit(s, r);

		if (value ? read_value(w, r, value, field) : theirs && !misspelt && read_again(w, r, theirs, field)) {
			tell_unused(w, r, value ? value : theirs, field);
		} else if (value || (theirs && !misspelt)) {
			is->unread |= unread_bit(s, r);
			is->bad = true;
		} else if (r->dflt) {
			read_default(w, r, field);
		} else if (misspelt) {
			is->bad = true;
		} else if (r->flags & RULE_REQUIRED) {
			if (!forgiven && !filled_unread(is, "template"))
				error_hint(error_add(w->errs, map, "%s needs the key `%s`", s->what, r->name),
				    "see docs/topology-file.md for what it means");
			is->bad = true;
		}
	}
	return !is->bad;
}

/* Maps that are absent have the defaults of their keys. */
static void
fill_defaults(struct walk *w, const struct schema *s, void *out)
{
	for (const struct rule *r = s->rules; r->name; r++)
		if (r->dflt)
			read_default(w, r, (char *)out + r->offset);
}

bool
read_map(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	if (v->line == 0) { /* the rule's default: an empty map */
		fill_defaults(w, r->arg, out);
		return true;
	}
	return walk_map(w, r->arg, v, NULL, out);
}

static void
unknown_template(struct walk *w, const struct tree *name)
{
	const struct list *templates = &w->file->templates;
	const struct file_external *t = templates->v;
	struct topo_error *e = error_add(w->errs, name, "there is no template `%s`", name->text);

	error_hint(e, "templates stand at the top level: `templates: {%s: {...}}`", name->text);
	for (size_t i = 0; e && i < templates->n; i++)
		if (edit_is_near(edit_distance(name->text, t[i].is.key), t[i].is.key))
			error_hint(e, "did you mean `%s`?", t[i].is.key);
}

/*
 * `template: NAME` of a session: the template's map, so that its values stand where the session has none. One that is
 * not there or cannot be read makes the session bad: nobody knows what it would have said, so no key is missed.
 */
static struct tree *
find_template(struct walk *w, const struct tree *v, struct filled *is)
{
	const struct list *templates = &w->file->templates;
	const struct file_external *t = templates->v;
	const struct tree *name = tree_get(v, "template");

	if (!name || name->kind != TREE_SCALAR || !name->text[0])
		return NULL;
	for (size_t i = 0; i < templates->n; i++) {
		if (strcmp(t[i].is.key, name->text) == 0) {
			is->bad = t[i].is.bad;
			return (struct tree *)(uintptr_t)t[i].is.at;
		}
	}
	if (!filled_unread(&w->file->is, "templates"))
		unknown_template(w, name);
	is->bad = true;
	return NULL;
}

/* A list of maps. */
bool
read_maps(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	const struct schema *s = r->arg;
	struct list *l = out;
	bool ok = true;

	if (v->kind != TREE_LIST) {
		error_add(w->errs, v, "`%s` is a list; each item begins with \"- \"", r->name);
		return false;
	}
	l->v = arena_alloc(w->arena, v->n * s->size);
	l->n = v->n;
	for (size_t i = 0; i < v->n; i++) {
		struct tree *item = v->entries[i].value, *template = NULL;
		struct filled *is = (void *)((char *)l->v + i * s->size);

		if (find_rule(s, "template"))
			template = find_template(w, item, is);
		ok &= walk_map(w, s, item, template, is);
	}
	return ok;
}

/* A map from free names to maps; max: how many, 0: any number. */
bool
read_names(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	const struct schema *s = r->arg;
	struct list *l = out;
	bool ok = true;

	if (v->kind != TREE_MAP) {
		error_add(w->errs, v, "`%s` is a map from names to their settings", r->name);
		return false;
	}
	if (r->max && v->n > (size_t)r->max) {
		error_add(w->errs, v, "%zu %s; at most %lld are allowed", v->n, r->name, (long long)r->max);
		return false;
	}
	l->v = arena_alloc(w->arena, v->n * s->size);
	for (size_t i = 0; i < v->n; i++) {
		struct filled *is = (void *)((char *)l->v + l->n * s->size);

		if (strncmp(v->entries[i].key->text, "x-", 2) == 0)
			continue;
		l->n++;
		is->key = v->entries[i].key->text;
		is->key_at = v->entries[i].key;
		ok &= walk_map(w, s, v->entries[i].value, NULL, is);
	}
	return ok;
}

/* ---- lists ---- */

struct listed {
	const void *value;
	const struct tree *at;
};

typedef int compare_fn(const void *a, const void *b);

static int
by_value(const void *pa, const void *pb, void *compare)
{
	const struct listed *a = pa, *b = pb;
	int c = (*(compare_fn **)compare)(a->value, b->value);

	return c ? c : (a->at->start > b->at->start) - (a->at->start < b->at->start);
}

/* A list names each thing once, however it is spelt. */
static void
refuse_doubles(
    struct walk *w, const struct rule *r, const struct tree *v, const struct list *l, size_t size, compare_fn *compare)
{
	struct listed *items;

	if (v->kind != TREE_LIST || l->n < 2)
		return;
	items = mem_alloc(NULL, MEM_TOPOLOGY, l->n * sizeof(*items));
	for (size_t i = 0; i < l->n; i++)
		items[i] = (struct listed){ (const char *)l->v + i * size, v->entries[i].value };
	qsort_r(items, l->n, sizeof(*items), by_value, &compare);
	for (size_t i = 1, first = 0; i < l->n; i++) {
		if (compare(items[i].value, items[first].value) != 0) {
			first = i;
			continue;
		}
		error_other(error_add(w->errs, items[i].at, "%s stands a second time in `%s`; it is also in line %u",
				items[i].at->text, r->name, items[first].at->line),
		    items[first].at);
	}
	mem_free(NULL, MEM_TOPOLOGY, items);
}

/* ---- scalars ---- */

static bool
complain(struct walk *w, const struct rule *r, const struct tree *v, const char *want)
{
	if (v->kind == TREE_SCALAR && strlen(v->text) <= 64 && !strchr(v->text, '\n'))
		error_add(w->errs, v, "`%s` is \"%s\"; it must be %s", r->name, v->text, want);
	else
		error_add(w->errs, v, "`%s` must be %s", r->name, want);
	return false;
}

/* Digits alone, no sign, no leading zero. */
static bool
digits(const char *s, size_t n, uint64_t *out)
{
	*out = 0;
	if (n == 0 || n > 19 || (s[0] == '0' && n > 1))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t)(s[i] - '0');
	}
	return true;
}

bool
read_number64(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	uint64_t n;
	char want[96];
	struct buf b = { 0 };

	if (v->kind == TREE_SCALAR && digits(v->text, strlen(v->text), &n) && n >= (uint64_t)r->min &&
	    n <= (uint64_t)r->max) {
		*(uint64_t *)out = n;
		return true;
	}
	buf_add(&b, "a whole number from %llu to %llu", (unsigned long long)r->min, (unsigned long long)r->max);
	memcpy(want, b.at, MIN_OF(b.n + 1, sizeof(want)));
	mem_free(NULL, MEM_TOPOLOGY, b.at);
	return complain(w, r, v, want);
}

bool
read_number(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	uint64_t n = 0;

	if (!read_number64(w, r, v, &n))
		return false;
	*(uint32_t *)out = (uint32_t)n;
	return true;
}

bool
read_bool(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	static const struct {
		const char *word;
		bool is;
	} words[] = { { "true", true }, { "false", false }, { "on", true }, { "off", false } };

	for (size_t i = 0; v->kind == TREE_SCALAR && i < ARRAY_LEN(words); i++) {
		if (strcmp(v->text, words[i].word) == 0) {
			*(bool *)out = words[i].is;
			return true;
		}
	}
	return complain(w, r, v, "true or false (on and off are read too)");
}

/* arg: the words, in the order of the enumeration's values from `min`, ending with NULL. */
bool
read_enum(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	const char *const *words = r->arg, *near = NULL;
	struct topo_error *e;
	struct buf all = { 0 };
	size_t best = SIZE_MAX;

	for (size_t i = 0; words[i] && v->kind == TREE_SCALAR; i++) {
		size_t d = edit_distance(v->text, words[i]);

		if (d == 0) {
			*(unsigned int *)out = (unsigned int)(r->min + (int64_t)i);
			mem_free(NULL, MEM_TOPOLOGY, all.at);
			return true;
		}
		if (d < best) {
			best = d;
			near = words[i];
		}
		buf_add(&all, "%s%s", i ? ", " : "", words[i]);
	}
	if (v->kind != TREE_SCALAR)
		e = error_add(w->errs, v, "`%s` must be one word", r->name);
	else
		e = error_add(w->errs, v, "`%s` is not known here; `%s` is one of: %s", v->text, r->name, all.at);
	if (near && edit_is_near(best, near))
		error_hint(e, "did you mean `%s`?", near);
	mem_free(NULL, MEM_TOPOLOGY, all.at);
	return false;
}

/* arg: struct word_rule. */
bool
read_word(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	const struct word_rule *is = r->arg;

	if (v->kind != TREE_SCALAR || !is->ok(v->text))
		return complain(w, r, v, is->what);
	*(const char **)out = v->text;
	return true;
}

static int
by_word(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool
read_words(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct list *l = out;
	const char **words;
	bool ok = true;

	if (v->kind != TREE_LIST)
		return complain(w, r, v, "a list, like [one, two]");
	words = arena_alloc(w->arena, v->n * sizeof(*words));
	for (size_t i = 0; i < v->n; i++)
		ok &= read_word(w, r, v->entries[i].value, &words[i]);
	*l = (struct list){ words, v->n };
	if (ok)
		refuse_doubles(w, r, v, l, sizeof(*words), by_word);
	return ok;
}

/* In the largest unit that has no rest, so that 1000 ms are 1s. */
static void
add_duration(struct buf *out, int64_t us)
{
	if (us % SECONDS(3600) == 0)
		buf_add(out, "%lldh", (long long)(us / SECONDS(3600)));
	else if (us % SECONDS(1) == 0)
		buf_add(out, "%llds", (long long)(us / SECONDS(1)));
	else
		buf_add(out, "%lldms", (long long)(us / MS(1)));
}

bool
read_duration(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	static const struct {
		const char *unit;
		int64_t us;
	} units[] = { { "ms", MS(1) }, { "s", SECONDS(1) }, { "m", SECONDS(60) }, { "h", SECONDS(3600) } };
	size_t n = v->kind == TREE_SCALAR ? strspn(v->text, "0123456789") : 0;
	uint64_t value;
	struct buf want = { 0 };

	if (n > 0 && n < 10 && digits(v->text, n, &value)) {
		for (size_t i = 0; i < ARRAY_LEN(units); i++) {
			int64_t us = (int64_t)value * units[i].us;

			if (strcmp(v->text + n, units[i].unit) != 0)
				continue;
			if (us < r->min || us > r->max)
				break;
			*(int64_t *)out = us;
			return true;
		}
	}
	buf_text(&want, "a time with its unit (ms, s, m, h), from ");
	add_duration(&want, r->min);
	buf_text(&want, " to ");
	add_duration(&want, r->max);
	complain(w, r, v, want.at);
	if (n > 0 && !v->text[n])
		error_hint(&w->errs->list[w->errs->n - 1], "did you mean `%ss`?", v->text);
	mem_free(NULL, MEM_TOPOLOGY, want.at);
	return false;
}

bool
read_share(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	size_t n = v->kind == TREE_SCALAR ? strlen(v->text) : 0;
	uint64_t value;

	if (n < 2 || v->text[n - 1] != '%' || !digits(v->text, n - 1, &value) || value > 100)
		return complain(w, r, v, "a share from 0% to 100%");
	*(uint32_t *)out = (uint32_t)value;
	return true;
}

/* "3x50ms": a multiplier and an interval. */
bool
read_bfd_timer(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct bfd_timer *t = out;
	const char *x = v->kind == TREE_SCALAR ? strchr(v->text, 'x') : NULL;
	uint64_t multiplier, ms;
	size_t n = x ? strspn(x + 1, "0123456789") : 0;

	if (!x || !digits(v->text, (size_t)(x - v->text), &multiplier) || multiplier < 1 || multiplier > 255 || n > 6 ||
	    !digits(x + 1, n, &ms) || strcmp(x + 1 + n, "ms") != 0 || ms < 1 || ms > 60000)
		return complain(w, r, v, "MULTIPLIERxINTERVAL, like 3x100ms (1 to 255; 1ms to 60000ms)");
	if (MS((int64_t)ms) < BFD_LEAST_US)
		error_hint(warning_add(w->errs, v, "`%s` is \"%s\": no packets are sent that fast", r->name, v->text),
		    "the shortest interval is 3.3 ms, and holds instead");
	*t = (struct bfd_timer){ (uint32_t)multiplier, MS((int64_t)ms) };
	return true;
}

/* Six bytes as 52:54:00:12:34:56, 52-54-00-12-34-56 or 5254.0012.3456. */
static bool
mac_ok(const char *s)
{
	static const char *const shapes[] = { "hh:hh:hh:hh:hh:hh", "hh-hh-hh-hh-hh-hh", "hhhh.hhhh.hhhh" };

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		const char *shape = shapes[i], *p = s;

		while (*shape && *p && (*shape == 'h' ? strchr("0123456789abcdefABCDEF", *p) != NULL : *shape == *p)) {
			shape++;
			p++;
		}
		if (!*shape && !*p)
			return true;
	}
	return false;
}

/* Kept as 52:54:00:12:34:56 whatever the spelling. */
bool
read_mac(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	char mac[18];
	size_t n = 0;

	if (v->kind != TREE_SCALAR || !mac_ok(v->text))
		return complain(w, r, v, "a MAC address, like \"52:54:00:12:34:56\"");
	for (const char *p = v->text; *p && n < 17; p++) {
		if (*p == ':' || *p == '-' || *p == '.')
			continue;
		if (n % 3 == 2)
			mac[n++] = ':';
		mac[n++] = (char)(*p >= 'A' && *p <= 'F' ? *p + 32 : *p);
	}
	/* The lowest bit of the first byte is that of groups (IEEE 802). */
	if (strchr("13579bdf", mac[1]) || strcmp(arena_text(w->arena, mac, n), "00:00:00:00:00:00") == 0)
		return complain(w, r, v, "the address of one device, not of a group nor zero");
	*(const char **)out = arena_text(w->arena, mac, n);
	return true;
}

/* HOST:PORT; an IPv6 host in brackets. */
static bool
endpoint_ok(const char *s)
{
	const char *colon = strrchr(s, ':'), *host = s;
	size_t n = colon ? (size_t)(colon - s) : 0;
	uint64_t port;
	char text[IP_TEXT];
	struct ip a;

	if (n == 0 || !digits(colon + 1, strlen(colon + 1), &port) || port < 1 || port > 65535 || strlen(s) > 63)
		return false;
	if (host[0] == '[') {
		if (n < 3 || host[n - 1] != ']' || n - 2 >= sizeof(text))
			return false;
		memcpy(text, host + 1, n - 2);
		text[n - 2] = '\0';
		return ip_parse(text, &a) && a.family == FAMILY_IPV6;
	}
	return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

static const struct word_rule endpoint_rule = { "HOST:PORT, like \"127.0.0.1:8179\" or \"[::1]:8179\"", endpoint_ok };

bool
read_endpoint(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct rule as = *r;

	as.arg = &endpoint_rule;
	return read_word(w, &as, v, out);
}

bool
read_endpoints(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct rule as = *r;

	as.arg = &endpoint_rule;
	return read_words(w, &as, v, out);
}

bool
read_schema(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	uint64_t n;

	if (v->kind == TREE_SCALAR && digits(v->text, strlen(v->text), &n) && n == 1) {
		*(uint32_t *)out = 1;
		return true;
	}
	error_hint(error_add(w->errs, v,
		       "`%s` must be 1: it is the only version of the language that this release reads", r->name),
	    "a file of a newer version needs a newer fabricd");
	return false;
}

/* ---- addresses ---- */

static bool
prefix_complain(struct walk *w, const struct rule *r, const struct tree *v)
{
	struct ip a;
	unsigned int len;
	char text[PREFIX_TEXT];
	struct prefix p;

	if (v->kind == TREE_SCALAR && ip_len_parse(v->text, &a, &len)) {
		p = prefix_of(&a, len);
		error_hint(error_add(w->errs, v, "`%s`: %s has bits set behind its length", r->name, v->text),
		    "the network is %s", prefix_print(&p, text));
		return false;
	}
	return complain(w, r, v, "a network, like 10.1.0.0/16 or \"fd00:1::/48\"");
}

bool
read_prefix(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct prefix p;

	if (v->kind != TREE_SCALAR || !prefix_parse(v->text, &p))
		return prefix_complain(w, r, v);
	*(struct prefix *)out = p;
	return true;
}

/* One value, or a list of them. */
static bool
read_each(struct walk *w, const struct rule *r, struct tree *v, struct list *l, size_t size, read_fn *one)
{
	bool ok = true;

	l->n = v->kind == TREE_LIST ? v->n : 1;
	l->v = arena_alloc(w->arena, l->n * size);
	for (size_t i = 0; i < l->n; i++)
		ok &= one(w, r, v->kind == TREE_LIST ? v->entries[i].value : v, (char *)l->v + i * size);
	return ok;
}

static int
by_prefix(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

bool
read_prefixes(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	bool ok = read_each(w, r, v, out, sizeof(struct prefix), read_prefix);

	if (ok)
		refuse_doubles(w, r, v, out, sizeof(struct prefix), by_prefix);
	return ok;
}

/* "PREFIX", "PREFIX le N", "PREFIX ge M", "PREFIX ge M le N". */
static bool
read_prefix_rule(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct topo_prefix_rule *rule = out;
	struct tree prefix = *v;
	uint64_t bound[2]; /* ge, le */
	bool has[2] = { false, false };
	const char *rest;

	if (v->kind != TREE_SCALAR)
		return prefix_complain(w, r, v);
	rest = v->text + strcspn(v->text, " ");
	prefix.text = arena_text(w->arena, v->text, (size_t)(rest - v->text));
	if (!read_prefix(w, r, &prefix, &rule->prefix))
		return false;
	while (*rest == ' ') {
		static const char *const names[] = { "ge ", "le " };
		size_t which = strncmp(rest + 1, names[0], 3) == 0 ? 0 : 1, n;

		if (strncmp(rest + 1, names[which], 3) != 0 || has[which])
			break;
		n = strspn(rest + 4, "0123456789");
		if (!digits(rest + 4, n, &bound[which]))
			break;
		has[which] = true;
		rest += 4 + n;
	}
	if (*rest)
		return complain(w, r, v, "a network with lengths, like 10.64.0.0/12 le 32 or 10.64.0.0/12 ge 24 le 28");
	if (!has[0])
		bound[0] = rule->prefix.len;
	if (!has[1])
		bound[1] = has[0] ? family_bits(rule->prefix.family) : rule->prefix.len;
	if (bound[0] < rule->prefix.len || bound[1] < bound[0] || bound[1] > family_bits(rule->prefix.family))
		return complain(w, r, v, "a network whose lengths rise: LENGTH <= ge <= le <= 32 (IPv4) or 128 (IPv6)");
	rule->ge = (uint8_t)bound[0];
	rule->le = (uint8_t)bound[1];
	return true;
}

static int
by_prefix_rule(const void *pa, const void *pb)
{
	const struct topo_prefix_rule *a = pa, *b = pb;
	int c = prefix_cmp(&a->prefix, &b->prefix);

	if (c == 0)
		c = (int)a->ge - b->ge;
	return c ? c : (int)a->le - b->le;
}

bool
read_prefix_rules(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	bool ok = read_each(w, r, v, out, sizeof(struct topo_prefix_rule), read_prefix_rule);

	if (ok)
		refuse_doubles(w, r, v, out, sizeof(struct topo_prefix_rule), by_prefix_rule);
	return ok;
}

bool
read_ip(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct ip a;

	if (v->kind != TREE_SCALAR || !ip_parse(v->text, &a))
		return complain(w, r, v, "an address, like 192.0.2.0 or \"2001:db8::1\"");
	*(struct ip *)out = a;
	return true;
}

bool
read_ip_len(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct file_local *l = out;
	unsigned int len;

	if (v->kind != TREE_SCALAR || !ip_len_parse(v->text, &l->addr, &len))
		return complain(w, r, v, "an address with the length of its network, like 192.0.2.1/31");
	l->len = len;
	return true;
}

/* ---- the language's own types ---- */

/* A network, or {pool: NETWORK, len: N, pod_len: N}. */
static bool
read_pool(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct file_pool *p = out;

	if (v->kind == TREE_MAP)
		return walk_map(w, r->arg, v, NULL, out);
	p->is.at = v;
	p->is.bad = !read_prefix(w, r, v, &p->prefix);
	return !p->is.bad;
}

bool
read_pools(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	if (v->kind == TREE_LIST && v->n == 0)
		return complain(w, r, v, "a pool or a list of pools; the list is empty");
	return read_each(w, r, v, out, sizeof(struct file_pool), read_pool);
}

/* N, or {base: B}, {base: B, per: pod}, {base: B, pod_step: S}. */
bool
read_asn(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct file_asn *a = out;
	struct rule one = { .name = r->name, .min = 0, .max = UINT32_MAX };

	if (v->kind != TREE_MAP) {
		a->is.at = v;
		a->form = ASN_ONE;
		return read_number(w, &one, v, &a->number);
	}
	if (!walk_map(w, r->arg, v, NULL, out))
		return false;
	a->form = a->per ? ASN_BY_POD : a->pod_step ? ASN_BY_STEP : ASN_BY_NUMBER;
	if (a->per && a->pod_step) {
		error_add(w->errs, v, "`per: pod` and `pod_step` exclude each other");
		return false;
	}
	return true;
}

/* "65500" or "65500-65534". */
bool
read_asn_range(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	uint32_t *asn = out;
	const char *dash = v->kind == TREE_SCALAR ? strchr(v->text, '-') : NULL;
	size_t n = v->kind != TREE_SCALAR ? 0 : dash ? (size_t)(dash - v->text) : strlen(v->text);
	uint64_t first, last;

	if (!digits(n ? v->text : "", n, &first) || first > UINT32_MAX)
		return complain(w, r, v, "an AS number or a range of them, like 65500-65534");
	last = first;
	if (dash && (!digits(dash + 1, strlen(dash + 1), &last) || last > UINT32_MAX || last < first))
		return complain(w, r, v, "an AS number or a range of them, like 65500-65534");
	asn[0] = (uint32_t)first;
	asn[1] = (uint32_t)last;
	return true;
}

bool
read_range(struct walk *w, const struct rule *r, struct tree *v, void *out)
{
	struct port_range *range = out;
	const char *why = NULL;

	if (v->kind != TREE_SCALAR)
		return complain(w, r, v, "a range of ports, like \"swp[1-32]\"");
	range->at = v;
	range->names = range_expand(w->arena, v->text, &range->n, &why);
	if (!range->names) {
		error_hint(error_add(w->errs, v, "`%s`: %s", r->name, why),
		    "ranges look like \"swp[1-32]\", \"Ethernet[0-124/4]\", \"eth[1-2,5]\" or \"swp[1-4]s[0-3]\"");
		return false;
	}
	return true;
}
