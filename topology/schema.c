/*
 * topology/schema.c -- every key of the language, one row each: name, type, field, default, bounds
 *
 * What is in these tables is the language; docs/topology-file.md explains it and topology/schema.json says it to
 * editors (a test holds all three together). A row's default is text, read as if it stood in the file.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/mono.h"
#include "topology/model.h"

/* ---- words ---- */

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool
made_of(const char *s, const char *set, size_t max)
{
	size_t n = strlen(s);

	return n > 0 && n <= max && strspn(s, set) == n;
}

static bool
fabric_ok(const char *s)
{
	return made_of(s, LOWER UPPER DIGITS "._-", 63) && s[0] != '-' && s[0] != '.';
}

/* Not `p` and digits: p3-leaf7 would be read two ways. */
static bool
tier_ok(const char *s)
{
	return made_of(s, LOWER DIGITS, 15) && s[0] >= 'a' && s[0] <= 'z' &&
	       !(s[0] == 'p' && strspn(s + 1, DIGITS) == strlen(s + 1));
}

static bool
text_ok(const char *s)
{
	return s[0] != '\0' && strlen(s) <= 200 && !strchr(s, '\n');
}

static bool
short_ok(const char *s)
{
	return text_ok(s) && strlen(s) < 64;
}

static bool
file_ok(const char *s)
{
	return made_of(s, LOWER UPPER DIGITS "._-", 63) && s[0] != '.';
}

static bool
bridge_ok(const char *s)
{
	return made_of(s, LOWER UPPER DIGITS "._-", 15) && s[0] != '-' && s[0] != '.';
}

static bool
as_set_ok(const char *s)
{
	return made_of(s, LOWER UPPER DIGITS "-_:", 63) && (strncmp(s, "AS", 2) == 0 || strncmp(s, "as", 2) == 0);
}

static bool
part_fits(const char *s, size_t n, unsigned long long max)
{
	unsigned long long v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (unsigned long long)(s[i] - '0');
	return v <= max;
}

/* 64500:100 (RFC 1997), 64500:1:2 (RFC 8092), or a well-known name. */
static bool
community_ok(const char *s)
{
	static const char *const names[] = { "no-export", "no-advertise", "no-export-subconfed", "no-peer",
		"graceful-shutdown", "blackhole", "llgr-stale", "no-llgr" };
	size_t n[3] = { 0 }, parts = 0;
	const char *at[3] = { s, s, s };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(s, names[i]) == 0)
			return true;
	for (const char *p = s; parts < 3; p += n[parts++] + 1) {
		at[parts] = p;
		n[parts] = strspn(p, DIGITS);
		if (p[n[parts]] != ':') {
			if (p[n[parts]] != '\0')
				return false;
			parts++;
			break;
		}
	}
	if (parts == 2 && at[1][n[1]] == '\0')
		return part_fits(at[0], n[0], 65535) && part_fits(at[1], n[1], 65535);
	return parts == 3 && at[2][n[2]] == '\0' && part_fits(at[0], n[0], UINT32_MAX) &&
	       part_fits(at[1], n[1], UINT32_MAX) && part_fits(at[2], n[2], UINT32_MAX);
}

static const struct word_rule fabric_word = { "a name of letters, digits and . _ -, at most 63", fabric_ok };
static const struct word_rule tier_word = {
	"a name of lower-case letters and digits that begins with a letter and is not p and digits, at most 15", tier_ok
};
static const struct word_rule text_word = { "a text of one line, at most 200 characters", text_ok };
static const struct word_rule short_word = { "a text of one line, at most 63 characters", short_ok };
static const struct word_rule file_word = { "a file's name without a path, of letters, digits and . _ -", file_ok };
static const struct word_rule bridge_word = { "a bridge's name (at most 15 characters), or none", bridge_ok };
static const struct word_rule as_set_word = { "an AS set, like AS-EXAMPLE or AS64500:AS-CUSTOMERS", as_set_ok };
static const struct word_rule community_word = { "a community like 64500:100 or 64500:1:2, or a name like no-export",
	community_ok };

/* Enumerations: the words stand in the order of the values. */
static const char *const role_words[] = { "border", NULL };
static const char *const vendor_words[] = { "other", NULL };
static const char *const per_words[] = { "pod", NULL };
static const char *const pattern_words[] = { "full", "plane", NULL };
static const char *const port_policy_words[] = { "warn", "block", NULL };
static const char *const weights_words[] = { "off", "community", "auto", NULL };
static const char *const isolated_words[] = { "keep", "shut_hosts", NULL };
static const char *const state_words[] = { "active", "planned", "drained", NULL };
static const char *const type_words[] = { "transit", "peer", "customer", "route-server", NULL };
static const char *const advert_words[] = { "default", "full", "prefixes", "aggregates", NULL };
static const char *const send_words[] = { "default", "full", NULL };
static const char *const rpki_words[] = { "off", "tag", "reject-invalid", NULL };

/* ---- maps ---- */

#define AT(s, f)   .offset = offsetof(struct s, f)
#define REQUIRED   .flags = RULE_REQUIRED
#define WORD(w)    .arg = &(w)
#define FROM(a, b) .min = (a), .max = (b)

/* What holds while a key has no effect. */
#define NO_FILTER   "`in` and `out` alone decide; `prefixes` as their value lets nothing pass"
#define AS_THEY_ARE "routes are taken and told as they are"

/* One row, one key, in columns. */
/* clang-format off */
static const struct rule pool_rules[] = {
	{ "pool",    read_prefix, AT(file_pool, prefix), REQUIRED },
	{ "len",     read_number, AT(file_pool, len), FROM(1, 128) },
	{ "pod_len", read_number, AT(file_pool, pod_len), FROM(1, 128) },
	{ 0 },
};
static const struct schema pool_schema = { "a pool", sizeof(struct file_pool), pool_rules };

static const struct rule asn_rules[] = {
	{ "base",     read_number, AT(file_asn, base), REQUIRED, FROM(1, UINT32_MAX) },
	{ "per",      read_enum,   AT(file_asn, per), .min = 1, .arg = per_words },
	{ "pod_step", read_number, AT(file_asn, pod_step), FROM(1, UINT32_MAX) },
	{ 0 },
};
static const struct schema asn_schema = { "`asn`", sizeof(struct file_asn), asn_rules };

static const struct rule up_rules[] = {
	{ "to",      read_word,   AT(file_up, to), REQUIRED, WORD(tier_word) },
	{ "pattern", read_enum,   AT(file_up, pattern), .min = PATTERN_FULL, .arg = pattern_words },
	{ "local",   read_range,  AT(file_up, local), REQUIRED },
	{ "remote",  read_range,  AT(file_up, remote), REQUIRED },
	{ "links",   read_number, AT(file_up, links), .dflt = "1", FROM(1, 64) },
	{ 0 },
};
static const struct schema up_schema = { "`up`", sizeof(struct file_up), up_rules };

static const struct rule host_bgp_rules[] = {
	{ "asn",          read_asn_range,    AT(file_host_bgp, asn), REQUIRED },
	{ "accept",       read_prefix_rules, AT(file_host_bgp, accept), REQUIRED },
	{ "max_prefixes", read_number,       AT(file_host_bgp, max_prefixes), FROM(1, UINT32_MAX) },
	{ "send",         read_enum,         AT(file_host_bgp, send), .dflt = "default", .min = TOPO_ADVERT_DEFAULT, .arg = send_words },
	{ "bfd",          read_bool,         AT(file_host_bgp, bfd), .dflt = "off" },
	{ "reflect",      read_bool,         AT(file_host_bgp, reflect), .dflt = "false" },
	{ 0 },
};
static const struct schema host_bgp_schema = { "`bgp` of hosts", sizeof(struct file_host_bgp), host_bgp_rules };

static const struct rule hosts_rules[] = {
	{ "ports",       read_range, AT(file_hosts, ports) },
	{ "racks",       read_pools, AT(file_hosts, racks), .arg = &pool_schema },
	{ "bgp",         read_map,   AT(file_hosts, bgp), .arg = &host_bgp_schema, .unused = "hosts have no sessions; of this, `accept` alone counts: what may come from below" },
	{ "bridge",      read_word,  AT(file_hosts, bridge), .dflt = "rack0", WORD(bridge_word) },
	{ "rack_always", read_bool,  AT(file_hosts, rack_always), .dflt = "false" },
	{ "on_isolated", read_enum,  AT(file_hosts, on_isolated), .dflt = "keep", .arg = isolated_words },
	{ 0 },
};
static const struct schema hosts_schema = { "`hosts`", sizeof(struct file_hosts), hosts_rules };

static const struct rule tier_rules[] = {
	{ "name",      read_word,   AT(file_tier, name), REQUIRED, WORD(tier_word) },
	{ "count",     read_number, AT(file_tier, count), FROM(1, UINT32_MAX) },
	{ "per_pod",   read_number, AT(file_tier, per_pod), FROM(1, UINT32_MAX) },
	{ "role",      read_enum,   AT(file_tier, role), .min = TOPO_BORDER, .arg = role_words },
	{ "vendor",    read_enum,   AT(file_tier, vendor), .min = 1, .arg = vendor_words },
	{ "asn",       read_asn,    AT(file_tier, asn), REQUIRED, .arg = &asn_schema },
	{ "loopback",  read_pools,  AT(file_tier, loopback), .arg = &pool_schema },
	{ "router_id", read_pools,  AT(file_tier, router_id), .arg = &pool_schema },
	{ "up",        read_map,    AT(file_tier, up), .arg = &up_schema },
	{ "hosts",     read_map,    AT(file_tier, hosts), .arg = &hosts_schema, .dflt = "" },
	{ 0 },
};
static const struct schema tier_schema = { "a tier", sizeof(struct file_tier), tier_rules };

static const struct rule damping_rules[] = {
	{ "half_life", read_duration, AT(file_damping, half_life), .dflt = "5s", FROM(MS(100), SECONDS(86400)) },
	{ "suppress",  read_number,   AT(file_damping, suppress), .dflt = "3", FROM(1, 1000) },
	{ 0 },
};
static const struct schema damping_schema = { "`damping`", sizeof(struct file_damping), damping_rules };

static const struct rule timers_rules[] = {
	{ "bfd",     read_bfd_timer, AT(file_timers, bfd), .dflt = "3x100ms" },
	{ "hold",    read_duration,  AT(file_timers, hold), .dflt = "9s", FROM(SECONDS(3), SECONDS(65535)) }, /* RFC 4271 4.2 */
	{ "restart", read_duration,  AT(file_timers, restart), .dflt = "30s", FROM(SECONDS(1), SECONDS(4095)) }, /* RFC 4724 3 */
	{ "damping", read_map,       AT(file_timers, damping), .dflt = "", .arg = &damping_schema },
	{ 0 },
};
static const struct schema timers_schema = { "`timers`", sizeof(struct file_timers), timers_rules };

static const struct rule policy_rules[] = {
	{ "min_uplinks",          read_number, AT(file_policy, min_uplinks), .dflt = "1", FROM(0, SLOTS_MAX) },
	{ "on_wrong_port",        read_enum,   AT(file_policy, on_wrong_port), .dflt = "warn", .arg = port_policy_words, .unused = "a wrong port is told in `fabctl ports`, and used" },
	{ "on_wrong_node",        read_enum,   AT(file_policy, on_wrong_node), .dflt = "block", .arg = port_policy_words, .unused = "a wrong switch gets no session" },
	{ "max_load_after_drain", read_share,  AT(file_policy, max_load_after_drain), .dflt = "90%", .unused = "nothing is drained yet" },
	{ 0 },
};
static const struct schema policy_schema = { "`policy`", sizeof(struct file_policy), policy_rules };

static const struct rule bfd_rules[] = {
	{ "strict", read_bool, AT(file_bfd, strict), .dflt = "true" },
	{ "echo",   read_bool, AT(file_bfd, echo), .dflt = "false" },
	{ 0 },
};
static const struct schema bfd_schema = { "`bfd`", sizeof(struct file_bfd), bfd_rules };

static const struct rule ecmp_rules[] = {
	{ "weights",   read_enum, AT(file_ecmp, weights), .dflt = "off", .arg = weights_words },
	{ "resilient", read_bool, AT(file_ecmp, resilient), .dflt = "off", .unused = "flows move when a group changes" },
	{ 0 },
};
static const struct schema ecmp_schema = { "`ecmp`", sizeof(struct file_ecmp), ecmp_rules };

static const struct rule listen_rules[] = {
	{ "web", read_endpoint,  AT(file_listen, web), .dflt = "127.0.0.1:8179" },
	{ "bmp", read_endpoints, AT(file_listen, bmp) },
	{ 0 },
};
static const struct schema listen_schema = { "`listen`", sizeof(struct file_listen), listen_rules };

static const struct rule rpki_rules[] = {
	{ "caches", read_endpoints, AT(file_rpki, caches) },
	{ 0 },
};
static const struct schema rpki_schema = { "`rpki`", sizeof(struct file_rpki), rpki_rules };

static const struct rule borders_rules[] = {
	{ "min_uplinks", read_number, AT(file_borders, min_uplinks), .dflt = "1", FROM(0, SLOTS_MAX) },
	{ 0 },
};
static const struct schema borders_schema = { "`borders`", sizeof(struct file_borders), borders_rules };

#define SESSION_SETTINGS \
	{ "asn",              read_number,   AT(file_external, asn), FROM(1, UINT32_MAX), SESSION_NEED }, \
	{ "type",             read_enum,     AT(file_external, type), .min = TOPO_SESSION_TRANSIT, .arg = type_words }, \
	{ "in",               read_enum,     AT(file_external, in), .min = TOPO_ADVERT_DEFAULT, .arg = advert_words }, \
	{ "out",              read_enum,     AT(file_external, out), .min = TOPO_ADVERT_DEFAULT, .arg = advert_words }, \
	{ "prefixes",         read_word,     AT(file_external, prefixes), WORD(file_word), .unused = NO_FILTER }, \
	{ "as_set",           read_word,     AT(file_external, as_set), WORD(as_set_word), .unused = NO_FILTER }, \
	{ "rpki",             read_enum,     AT(file_external, rpki), .arg = rpki_words, .unused = "no route is validated: `in` and `max_prefixes` alone decide", .inert = "off" }, \
	{ "max_prefixes",     read_number,   AT(file_external, max_prefixes), FROM(1, UINT32_MAX) }, \
	{ "local_pref",       read_number,   AT(file_external, local_pref), FROM(0, UINT32_MAX), .unused = AS_THEY_ARE }, \
	{ "prepend",          read_number,   AT(file_external, prepend), FROM(0, 16), .unused = AS_THEY_ARE }, \
	{ "med",              read_number,   AT(file_external, med), FROM(0, UINT32_MAX), .unused = AS_THEY_ARE }, \
	{ "communities",      read_words,    AT(file_external, communities), WORD(community_word), .unused = AS_THEY_ARE }, \
	{ "blackhole",        read_bool,     AT(file_external, blackhole), .unused = AS_THEY_ARE }, \
	{ "source",           read_ip,       AT(file_external, source), .unused = AS_THEY_ARE }, \
	{ "gtsm",             read_bool,     AT(file_external, gtsm) }, \
	{ "long_lived",       read_duration, AT(file_external, long_lived), FROM(SECONDS(1), SECONDS(86400 * 30)) }, \
	{ "auth",             read_word,     AT(file_external, auth), WORD(file_word) }, \
	{ "bfd",              read_bool,     AT(file_external, bfd), .unused = "the hold time finds a dead neighbour" }, \
	{ "local_as",         read_number,   AT(file_external, local_as), FROM(1, UINT32_MAX) }, \
	{ "prepend_local_as", read_bool,     AT(file_external, prepend_local_as), .dflt = "false", .unused = AS_THEY_ARE }, \
	{ "originate",        read_prefixes, AT(file_external, originate) }

#define SESSION_NEED .flags = RULE_REQUIRED
static const struct rule external_rules[] = {
	{ "at",       read_word,   AT(file_external, at), REQUIRED, WORD(short_word) },
	{ "name",     read_word,   AT(file_external, name), WORD(fabric_word) },
	{ "local",    read_ip_len, AT(file_external, local), REQUIRED },
	{ "peer",     read_ip,     AT(file_external, peer), REQUIRED },
	{ "template", read_word,   AT(file_external, template), WORD(short_word) },
	SESSION_SETTINGS,
	{ 0 },
};
#undef SESSION_NEED
static const struct schema external_schema = { "a session of `external`", sizeof(struct file_external),
	external_rules };

#define SESSION_NEED .flags = 0
static const struct rule template_rules[] = {
	SESSION_SETTINGS,
	{ 0 },
};
#undef SESSION_NEED
static const struct schema template_schema = { "a template", sizeof(struct file_external), template_rules };

static const struct rule except_rules[] = {
	{ "drop", read_word, AT(file_except, drop), WORD(text_word) },
	{ "add",  read_word, AT(file_except, add), WORD(text_word) },
	{ "why",  read_word, AT(file_except, why), REQUIRED, WORD(text_word) },
	{ 0 },
};
static const struct schema except_schema = { "an exception", sizeof(struct file_except), except_rules };

static const struct rule device_rules[] = {
	{ "serial", read_word, AT(file_device, serial), .flags = RULE_QUOTED, WORD(short_word) },
	{ "mac",    read_mac,  AT(file_device, mac), .flags = RULE_QUOTED },
	{ "model",  read_word, AT(file_device, model), WORD(short_word) },
	{ "state",  read_enum, AT(file_device, state), .dflt = "active", .arg = state_words, .unused = "the switch carries traffic", .inert = "planned" },
	{ 0 },
};
static const struct schema device_schema = { "a device", sizeof(struct file_device), device_rules };

static const struct rule service_rules[] = {
	{ "prefix",  read_prefix, AT(file_service, prefix), REQUIRED },
	{ "owners",  read_words,  AT(file_service, owners), REQUIRED, WORD(short_word) },
	{ "anycast", read_bool,   AT(file_service, anycast), .dflt = "false" },
	{ 0 },
};
static const struct schema service_schema = { "a service", sizeof(struct file_service), service_rules };

static const struct rule file_rules[] = {
	{ "schema",           read_schema,   AT(file, schema), REQUIRED },
	{ "fabric",           read_word,     AT(file, fabric), REQUIRED, WORD(fabric_word) },
	{ "revision",         read_number64, AT(file, revision), FROM(1, INT64_MAX) },
	{ "public_asn",       read_number,   AT(file, public_asn), FROM(1, UINT32_MAX), .unused = "each switch tells its own AS number, or `local_as` of the session" },
	{ "allow_public_asn", read_bool,     AT(file, allow_public_asn), .dflt = "false" },
	{ "pods",             read_number,   AT(file, pods), FROM(1, PODS_MAX) },
	{ "planes",           read_number,   AT(file, planes), FROM(1, SLOTS_MAX) },
	{ "tiers",            read_maps,     AT(file, tiers), REQUIRED, .arg = &tier_schema },
	{ "templates",        read_names,    AT(file, templates), .arg = &template_schema, .max = 1000 },
	{ "external",         read_maps,     AT(file, external), .arg = &external_schema },
	{ "aggregates",       read_prefixes, AT(file, aggregates) },
	{ "except",           read_maps,     AT(file, except), .arg = &except_schema },
	{ "devices",          read_names,    AT(file, devices), .arg = &device_schema },
	{ "services",         read_maps,     AT(file, services), .arg = &service_schema, .unused = "no switch announces them" },
	{ "timers",           read_map,      AT(file, timers), .dflt = "", .arg = &timers_schema },
	{ "policy",           read_map,      AT(file, policy), .dflt = "", .arg = &policy_schema },
	{ "bfd",              read_map,      AT(file, bfd), .dflt = "", .arg = &bfd_schema },
	{ "ecmp",             read_map,      AT(file, ecmp), .dflt = "", .arg = &ecmp_schema },
	{ "mtu",              read_number,   AT(file, mtu), .dflt = "9216", FROM(1280, 65535) },
	{ "kernel_compat",    read_bool,     AT(file, kernel_compat), .dflt = "false" },
	{ "listen",           read_map,      AT(file, listen), .dflt = "", .arg = &listen_schema, .unused = "nothing listens there" },
	{ "rpki",             read_map,      AT(file, rpki), .dflt = "", .arg = &rpki_schema, .unused = "no route is validated" },
	{ "borders",          read_map,      AT(file, borders), .dflt = "", .arg = &borders_schema, .unused = "a border announces the fabric as long as its sessions are up" },
	{ 0 },
};
/* clang-format on */
const struct schema schema_file = { "the file", sizeof(struct file), file_rules };

struct file *
file_read(struct topo_doc *doc, struct topo_errors *errs)
{
	struct walk w = { .arena = doc->arena, .errs = errs };
	struct file *f = arena_alloc(doc->arena, sizeof(*f));

	w.file = f;
	walk_map(&w, &schema_file, doc->root, NULL, f);
	return f;
}
