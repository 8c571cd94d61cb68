/*
 * topology/schema.c, topology/schema.json and docs/topology-file.md speak of the same language: same keys, same words,
 * same defaults, same bounds. Every key stands in a file of tests/data/topology.
 */
#include "tests/unit/topology/load.h"
#include "topology/model.h"

struct visit {
	const struct tree *json; /* the whole JSON Schema */
	const char *docs;
	const struct tree *example; /* the tree of all-keys.yaml */
	size_t keys;
};

/* Follows $ref and allOf: [{$ref}], and takes the map out of oneOf. */
static const struct tree *
resolved(const struct visit *v, const struct tree *t)
{
	for (;;) {
		const struct tree *ref = tree_get(t, "$ref"), *all = tree_get(t, "allOf"), *one = tree_get(t, "oneOf");

		if (ref) {
			assert_int_equal(strncmp(ref->text, "#/definitions/", 14), 0);
			t = tree_get(tree_get(v->json, "definitions"), ref->text + 14);
			if (!t)
				fail_msg("%s is not defined", ref->text);
		} else if (all) {
			t = all->entries[0].value;
		} else if (one) {
			const struct tree *map = NULL;

			for (size_t i = 0; i < one->n; i++) {
				const struct tree *o = one->entries[i].value;

				if (tree_get(o, "$ref") && tree_get(resolved(v, o), "properties"))
					map = resolved(v, o);
			}
			return map ? map : t;
		} else {
			return t;
		}
	}
}

static bool
names(const struct tree *list, const char *word)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (strcmp(list->entries[i].value->text, word) == 0)
			return true;
	return false;
}

/* Whether the key stands anywhere in the tree. */
static bool
holds_key(const struct tree *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->entries[i].key && strcmp(t->entries[i].key->text, key) == 0)
			return true;
		if (holds_key(t->entries[i].value, key))
			return true;
	}
	return false;
}

static void
in_docs(const struct visit *v, const char *word, const char *of)
{
	char quoted[128];

	snprintf(quoted, sizeof(quoted), "`%s`", word);
	if (!strstr(v->docs, quoted))
		fail_msg("docs/topology-file.md does not explain `%s` of %s", word, of);
}

/* In all cases, or unless a template stands in. */
static bool
is_required(const struct tree *json, const char *key)
{
	const struct tree *any = tree_get(json, "anyOf");

	return names(tree_get(json, "required"), key) ||
	       (any && names(tree_get(any->entries[0].value, "required"), key));
}

static void check_map(struct visit *v, const struct schema *s, const struct tree *json);

static void
check_key(struct visit *v, const struct schema *s, const struct rule *r, const struct tree *json)
{
	const struct tree *property = tree_get(tree_get(json, "properties"), r->name), *value = resolved(v, property),
			  *words;
	const struct tree *dflt = tree_get(property, "default");
	size_t n = 0;

	if (!property)
		fail_msg("schema.json lacks `%s` of %s", r->name, s->what);
	if (!tree_get(property, "description"))
		fail_msg("schema.json does not describe `%s` of %s", r->name, s->what);
	in_docs(v, r->name, s->what);
	if (!holds_key(v->example, r->name))
		fail_msg("all-keys.yaml lacks `%s` of %s", r->name, s->what);
	if (is_required(json, r->name) != ((r->flags & RULE_REQUIRED) != 0))
		fail_msg("schema.json is wrong about `%s` of %s being required", r->name, s->what);
	if (r->dflt && r->dflt[0] && (!dflt || strcmp(dflt->text, r->dflt) != 0))
		fail_msg("schema.json: the default of `%s` of %s is not %s", r->name, s->what, r->dflt);
	if (dflt && (!r->dflt || !r->dflt[0]))
		fail_msg("schema.json gives `%s` of %s a default that it does not have", r->name, s->what);
	if (r->read == read_enum) {
		words = tree_get(value, "enum");
		for (const char *const *word = r->arg; *word; word++, n++) {
			if (!names(words, *word))
				fail_msg("schema.json lacks the word `%s` of `%s` of %s", *word, r->name, s->what);
			in_docs(v, *word, r->name);
		}
		assert_int_equal(words->n, n);
	} else if (r->read == read_number || r->read == read_number64) {
		assert_int_equal(strtoll(tree_get(value, "minimum")->text, NULL, 10), r->min);
		assert_int_equal(strtoll(tree_get(value, "maximum")->text, NULL, 10), r->max);
	} else if (r->read == read_maps) {
		check_map(v, r->arg, resolved(v, tree_get(value, "items")));
	} else if (r->read == read_names) {
		check_map(v, r->arg, resolved(v, tree_get(value, "additionalProperties")));
	} else if (r->read == read_map || r->read == read_pools || r->read == read_asn) {
		check_map(v, r->arg, value);
	}
}

static void
check_map(struct visit *v, const struct schema *s, const struct tree *json)
{
	size_t n = 0;

	for (const struct rule *r = s->rules; r->name; r++, n++) {
		check_key(v, s, r, json);
		v->keys++;
	}
	if (tree_get(json, "properties")->n != n)
		fail_msg("schema.json knows %zu keys of %s, not %zu", tree_get(json, "properties")->n, s->what, n);
	if (strcmp(tree_get(json, "additionalProperties")->text, "false") != 0)
		fail_msg("schema.json lets %s have other keys", s->what);
}

static void
one_language(void **state)
{
	struct topo_errors errs = { 0 };
	size_t len, docs_len;
	char *text = slurp("topology/schema.json", &len), *docs = slurp("docs/topology-file.md", &docs_len);
	struct topo_doc *json = tree_parse(text, len, &errs);
	struct topo *example = load_data("all-keys");
	struct visit v;

	(void)state;
	if (!json)
		fail_msg("schema.json: %s", topo_errors_print(&errs, "schema.json", text, len));
	v = (struct visit){ json->root, docs, example->doc->root, 0 };
	check_map(&v, &schema_file, json->root);
	assert_true(v.keys > 100);
	topo_free(example);
	topo_doc_free(json);
	free(text);
	free(docs);
}

/* The examples of the documentation are files that load. */
static void
examples_load(void **state)
{
	size_t len, n = 0;
	char *docs = slurp("docs/topology-file.md", &len), *at = docs;

	(void)state;
	while ((at = strstr(at, "```yaml\n"))) {
		char *end = strstr(at + 8, "\n```");

		assert_non_null(end);
		*end = '\0';
		topo_free(load(at + 8));
		at = end + 4;
		n++;
	}
	assert_true(n >= 3);
	free(docs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_language),
		cmocka_unit_test(examples_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
