/*
 * fabricd/ctl/views.c -- columns, headings and pages of the daemon's answers
 *
 * The keys are those of docs/schema, of which those without a column stand in MORE; a key that is not in a row is shown
 * as "-".
 */
#include "fabricd/ctl/views.h"

#include <langinfo.h>
#include <string.h>

#define VIEW(columns_) .columns = (columns_), .n_columns = ARRAY_LEN(columns_)

#define MORE_PROBLEM   "what next"
#define MORE_ATTRS     "as_path_length ext_communities large_communities origin_as"

static void
print_list(FILE *f, const json_t *list, const char *key)
{
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one) fprintf(f, "%s%s", i ? " " : "", row_text(one, key, "-"));
}

/* Marks as people know them; letters where the terminal does not speak UTF-8. */
static const char *
mark(const char *state)
{
	bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

	if (strcmp(state, "reached") == 0)
		return utf8 ? "✓" : "ok";
	if (strcmp(state, "stopped") == 0)
		return utf8 ? "✗" : "NO";
	return utf8 ? "·" : "-";
}

/* ---- status ---- */

static const struct column status_columns[] = {
	{ "kind", "PROBLEM", CELL_TEXT, false },
	{ "what", "WHERE", CELL_TEXT, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "reason", "CAUSE", CELL_TEXT, false },
	{ "next", "NEXT", CELL_TEXT, false },
};

/* "deferring: 12 routes stay as they were found; waits for eth2 (spine2): no End-of-RIB; 21 s at most" */
static void
restart_heading(FILE *f, const json_t *restart)
{
	const json_t *list = json_object_get(restart, "waits_for"), *peer;
	char left[HUMAN_TEXT];
	size_t i;

	if (!restart)
		return;
	fprintf(f, "restart: %s, %.0f routes were found", row_text(restart, "phase", "?"),
	    row_number(restart, "found_routes", 0));
	json_array_foreach(list, i, peer) fprintf(f, "%s%s (%s): %s", i ? ", " : "; waits for ",
	    row_text(peer, "port", "?"), row_text(peer, "peer", "?"), row_text(peer, "missing", "?"));
	fprintf(f, "; %s at most\n", human_duration(row_number(restart, "left_s", 0), left));
}

static void
status_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");
	double links = row_number(s, "links", 0), up = row_number(s, "links_up", 0);
	double sessions = row_number(s, "sessions", 0), established = row_number(s, "sessions_up", 0);
	double pending = row_number(s, "fib_pending", 0), failed = row_number(s, "fib_failed", 0);
	char age[HUMAN_TEXT];

	fprintf(f, "%s %s  %s   %.0f/%.0f links   %.0f/%.0f BGP   %.0f prefixes   ", row_text(envelope, "fabric", "?"),
	    row_text(envelope, "node", "?"),
	    json_is_true(json_object_get(s, "isolated"))        ? "ISOLATED"
	    : up == links && established == sessions && !failed ? "OK"
								: "DEGRADED",
	    up, links, established, sessions, row_number(s, "prefixes", 0));
	if (json_object_get(s, "links_planned"))
		fprintf(f, "%.0f planned   ", row_number(s, "links_planned", 0));
	if (failed > 0)
		fprintf(f, "fib refused %.0f", failed);
	else if (pending > 0)
		fprintf(f, "fib pending %.0f", pending);
	else
		fprintf(f, "fib in sync");
	fprintf(f, "   rev %s   up %s\n", row_text(envelope, "revision", "-"),
	    human_duration(row_number(s, "uptime_s", 0), age));
	restart_heading(f, json_object_get(s, "restart"));
}

const struct view view_status = { .verb = "status", VIEW(status_columns), .heading = status_heading };

/* ---- bfd ---- */

static const struct column bfd_columns[] = {
	{ "port", "PORT", CELL_TEXT, false },
	{ "peer", "PEER", CELL_TEXT, false },
	{ "address", "ADDRESS", CELL_TEXT, true },
	{ "state", "STATE", CELL_TEXT, false },
	{ "tx_us", "TX", CELL_US, false },
	{ "rx_us", "RX", CELL_US, false },
	{ "multiplier", "MULT", CELL_NUMBER, false },
	{ "detect_us", "DETECT", CELL_US, false },
	{ "rx_late_p99_us", "LATE P99", CELL_US, false },
	{ "tx_late_p99_us", "TX LATE P99", CELL_US, true },
	{ "missed", "MISSED", CELL_NUMBER, false },
	{ "flaps", "FLAPS", CELL_NUMBER, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "packets_sent", "SENT", CELL_NUMBER, true },
	{ "packets_received", "RECEIVED", CELL_NUMBER, true },
	{ "packets_dropped", "DROPPED", CELL_NUMBER, true },
	{ "reason", "REASON", CELL_TEXT, false },
};

const struct view view_bfd = { .verb = "bfd",
	VIEW(bfd_columns),
	.more = "independent " MORE_PROBLEM,
	.problems = true,
	.empty = "no BFD sessions: no neighbour was heard yet" };

/* ---- bgp ---- */

static const struct column bgp_columns[] = {
	{ "port", "PORT", CELL_TEXT, false },
	{ "peer", "PEER", CELL_TEXT, false },
	{ "peer_port", "PEER PORT", CELL_TEXT, true },
	{ "address", "ADDRESS", CELL_TEXT, true },
	{ "kind", "KIND", CELL_TEXT, true },
	{ "as", "AS", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "accepted", "ACCEPTED", CELL_NUMBER, false },
	{ "refused", "REFUSALS", CELL_NUMBER, false },
	{ "advertised", "TX", CELL_NUMBER, false },
	{ "queued_bytes", "QUEUED", CELL_NUMBER, true },
	{ "flaps", "FLAPS", CELL_NUMBER, false },
	{ "bfd", "BFD", CELL_TEXT, false },
	{ "policy_in", "IN", CELL_TEXT, true },
	{ "policy_out", "OUT", CELL_TEXT, true },
	{ "reason", "REASON", CELL_TEXT, false },
};

static void
bgp_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");
	char age[HUMAN_TEXT];

	fprintf(f, "%s  AS %.0f  id %s  up %s  table %.0f  fib %s\n", row_text(envelope, "node", "?"),
	    row_number(s, "as", 0), row_text(s, "router_id", "-"), human_duration(row_number(s, "uptime_s", 0), age),
	    row_number(s, "prefixes", 0), json_is_true(json_object_get(s, "fib_in_sync")) ? "in sync" : "pending");
}

const struct view view_bgp = { .verb = "bgp.summary",
	VIEW(bgp_columns),
	.more = "stale " MORE_PROBLEM,
	.heading = bgp_heading,
	.problems = true,
	.empty = "no sessions in the file" };

static void
neighbor_rungs(FILE *f, const json_t *row)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(row, "rungs"), i, one) fprintf(f, "  %.0f %-26s %s%s%s\n",
	    row_number(one, "rung", 0), row_text(one, "name", "?"), mark(row_text(one, "state", "")),
	    json_object_get(one, "detail") ? " " : "", row_text(one, "detail", ""));
}

static void
neighbor_prefixes(FILE *f, const json_t *row)
{
	fprintf(f, "prefixes: accepted %.0f (", row_number(row, "accepted", 0));
	if (json_object_get(row, "expected_prefixes"))
		fprintf(f, "at most %.0f expected, ", row_number(row, "expected_prefixes", 0));
	if (json_object_get(row, "max_prefixes"))
		fprintf(f, "session ends above %.0f", row_number(row, "max_prefixes", 0));
	else
		fprintf(f, "no limit");
	fprintf(f, "), told %.0f\n", row_number(row, "advertised", 0));
}

static void
restart_side(FILE *f, const char *who, const json_t *side)
{
	size_t i;
	json_t *one;

	if (!side) {
		fprintf(f, "  %s: not offered\n", who);
		return;
	}
	fprintf(f, "  %s: %.0f s%s%s; forwarding kept:", who, row_number(side, "restart_s", 0),
	    json_is_true(json_object_get(side, "restarted")) ? ", has restarted" : "",
	    json_is_true(json_object_get(side, "notification")) ? ", after a NOTIFICATION too" : "");
	json_array_foreach(json_object_get(side, "forwarding"), i, one) fprintf(f, " %s", json_string_value(one));
	fprintf(f, "%s\n", json_array_size(json_object_get(side, "forwarding")) ? "" : " none");
}

static void
neighbor_restart(FILE *f, const json_t *gr)
{
	char age[HUMAN_TEXT], left[HUMAN_TEXT];

	double helped = row_number(gr, "helped", 0);

	/* Before the first OPEN nothing is known of either side, which is not the same as not offered. */
	if (!json_object_get(gr, "ours") && !json_object_get(gr, "theirs") && helped == 0)
		return;
	fprintf(f, "graceful restart: helped %.0f time%s, %.0f to the end\n", helped, helped == 1 ? "" : "s",
	    row_number(gr, "completed", 0));
	restart_side(f, "ours", json_object_get(gr, "ours"));
	restart_side(f, "theirs", json_object_get(gr, "theirs"));
	if (json_object_get(gr, "waits_for"))
		fprintf(f, "  %.0f stale paths for %s, waits for its %s, %s left\n", row_number(gr, "stale_paths", 0),
		    human_duration(row_number(gr, "since_s", 0), age),
		    strcmp(row_text(gr, "waits_for", ""), "session") == 0 ? "session" : "End-of-RIB",
		    human_duration(row_number(gr, "left_s", 0), left));
	if (json_object_get(gr, "ended"))
		fprintf(f, "  ended %s ago: %s\n", human_duration(row_number(gr, "ended_s", 0), age),
		    row_text(gr, "ended_why", ""));
}

static void
neighbor_page(FILE *f, const json_t *row, const json_t *envelope)
{
	int rung = (int)row_number(row, "rung", 0);
	char age[HUMAN_TEXT];
	size_t i;
	json_t *one;

	(void)envelope;
	fprintf(f, "%s  expected %s%s%s AS %.0f   %s for %s.   ", row_text(row, "port", "?"),
	    row_text(row, "peer", "?"), json_object_get(row, "peer_port") ? ":" : "", row_text(row, "peer_port", ""),
	    row_number(row, "as", 0), row_text(row, "state", "?"), human_duration(row_number(row, "since_s", 0), age));
	if (rung <= 9 && json_object_get(row, "accepted"))
		fprintf(f, "End-of-RIB has not come.\n");
	else if (rung <= 9)
		fprintf(f, "Stopped at rung %d of 9: %s\n", rung, row_text(row, "reason", "?"));
	else
		fprintf(f, "All 9 rungs reached.\n");
	neighbor_rungs(f, row);
	if (json_object_get(row, "accepted"))
		neighbor_prefixes(f, row);
	if (json_object_get(row, "policy_in"))
		fprintf(f, "policy: in %s, out %s%s%s\n", row_text(row, "policy_in", "-"),
		    row_text(row, "policy_out", "-"),
		    json_object_get(row, "accepted") && json_object_get(row, "reason") ? "; " : "",
		    json_object_get(row, "accepted") ? row_text(row, "reason", "") : "");
	json_array_foreach(json_object_get(row, "refusals"), i, one)
	    fprintf(f, "refused %.0f announcement%s so far: %s; last %s\n", row_number(one, "announcements", 0),
		row_number(one, "announcements", 0) == 1 ? "" : "s",
		row_text(one, "text", row_text(one, "reason", "?")), row_text(one, "last_prefix", "-"));
	if (json_object_get(row, "graceful_restart"))
		neighbor_restart(f, json_object_get(row, "graceful_restart"));
	if (json_object_get(row, "last_reset"))
		fprintf(f, "last reset %s ago: %s\n", human_duration(row_number(row, "last_reset_s", 0), age),
		    row_text(row, "last_reset", ""));
	if (row_number(row, "identity_refusals", 0) > 0 || row_number(row, "attributes_discarded", 0) > 0)
		fprintf(f, "refused %.0f OPENs with a wrong AS number or BGP Identifier; discarded %.0f attributes\n",
		    row_number(row, "identity_refusals", 0), row_number(row, "attributes_discarded", 0));
	fprintf(f, "NOTIFICATION sent %.0f / received %.0f; %.0f flap%s\n", row_number(row, "notifications_sent", 0),
	    row_number(row, "notifications_received", 0), row_number(row, "flaps", 0),
	    row_number(row, "flaps", 0) == 1 ? "" : "s");
	if (json_object_get(row, "last_notification_sent"))
		fprintf(f, "  sent last: %s\n", row_text(row, "last_notification_sent", ""));
	if (json_object_get(row, "last_notification_received"))
		fprintf(f, "  received last: %s\n", row_text(row, "last_notification_received", ""));
}

static const struct column neighbor_columns[] = {
	{ "port", "PORT", CELL_TEXT, false },
	{ "peer", "PEER", CELL_TEXT, false },
	{ "as", "AS", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "rung", "RUNG", CELL_NUMBER, false },
	{ "reason", "REASON", CELL_TEXT, false },
};

const struct view view_neighbor = { .verb = "bgp.neighbor",
	VIEW(neighbor_columns),
	.more =
	    "accepted address advertised attributes_discarded bfd collisions connect_failures expected_prefixes flaps "
	    "graceful_restart hold_s identity_refusals keepalive_s kind last_notification_received "
	    "last_notification_sent last_reset last_reset_cause last_reset_s local_address max_prefixes messages "
	    "notifications_received notifications_sent peer_hostname peer_port peer_router_id policy_in policy_out "
	    "queued_bytes refusals refused rungs stale verdicts " MORE_PROBLEM,
	.page = neighbor_page };

static const struct column received_columns[] = {
	{ "prefix", "PREFIX", CELL_TEXT, false },
	{ "best", "BEST", CELL_YES, false },
	{ "used", "USED", CELL_YES, false },
	{ "next_hop", "NEXT HOP", CELL_TEXT, false },
	{ "as_path", "AS PATH", CELL_TEXT, false },
	{ "origin", "ORIGIN", CELL_TEXT, true },
	{ "med", "MED", CELL_NUMBER, true },
	{ "communities", "COMMUNITIES", CELL_TEXT, false },
};

const struct view view_received = { .verb = "bgp.received",
	VIEW(received_columns),
	.more = "learned_from local_pref peer port " MORE_ATTRS,
	.empty = "nothing is offered" };

static const struct column advertised_columns[] = {
	{ "prefix", "PREFIX", CELL_TEXT, false },
	{ "next_hop", "NEXT HOP", CELL_TEXT, false },
	{ "as_path", "AS PATH", CELL_TEXT, false },
	{ "communities", "COMMUNITIES", CELL_TEXT, false },
};

const struct view view_advertised = { .verb = "bgp.advertised", VIEW(advertised_columns), .empty = "nothing is told" };

static const struct column why_columns[] = {
	{ "prefix", "PREFIX", CELL_TEXT, false },
	{ "choice", "CHOICE", CELL_TEXT, false },
	{ "why", "WHY", CELL_TEXT, false },
	{ "port", "PORT", CELL_TEXT, false },
	{ "peer", "PEER", CELL_TEXT, false },
	{ "next_hop", "NEXT HOP", CELL_TEXT, false },
	{ "as_path", "AS PATH", CELL_TEXT, false },
	{ "local_pref", "LOCAL PREF", CELL_NUMBER, true },
	{ "med", "MED", CELL_NUMBER, true },
	{ "learned_from", "FROM", CELL_TEXT, true },
};

const struct view view_why = { .verb = "bgp.why", VIEW(why_columns), .more = "communities origin " MORE_ATTRS };

/* ---- routes ---- */

static const struct column routes_columns[] = {
	{ "prefix", "PREFIX", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "width", "WIDTH", CELL_NUMBER, false },
	{ "ports", "PORTS", CELL_LIST, false },
	{ "as_path", "AS PATH", CELL_TEXT, false },
	{ "learned_from", "FROM", CELL_TEXT, true },
	{ "communities", "COMMUNITIES", CELL_TEXT, true },
};

const struct view view_routes = { .verb = "routes",
	VIEW(routes_columns),
	.more = "local_pref med origin " MORE_ATTRS,
	.empty = "the table is empty" };

static void
route_page(FILE *f, const json_t *row, const json_t *envelope)
{
	const json_t *paths = json_object_get(row, "paths");
	size_t i;
	json_t *one;

	(void)envelope;
	if (json_object_get(row, "as_path"))
		fprintf(f, "%s  best  as-path %s (%.0f)   %s", row_text(row, "prefix", "?"),
		    row_text(row, "as_path", "-"), row_number(row, "as_path_length", 0), row_text(row, "state", "?"));
	else
		fprintf(f, "%s  %s", row_text(row, "prefix", "?"), row_text(row, "state", "?"));
	if (json_object_get(row, "group"))
		fprintf(f, "   group %.0f: ", row_number(row, "group", 0));
	print_list(f, json_object_get(row, "installed"), "port");
	if (json_object_get(row, "fib_error"))
		fprintf(f, "\n   the forwarding plane says: %s", row_text(row, "fib_error", ""));
	putc('\n', f);
	json_array_foreach(paths, i, one)
	    fprintf(f, "   %-8s %-10s %-40s %-12s %s\n", row_text(one, "choice", "?"), row_text(one, "port", "-"),
		row_text(one, "next_hop", "local"), row_text(one, "peer", "-"), row_text(one, "why", "-"));
}

const struct view view_route = { .verb = "route",
	VIEW(routes_columns),
	.more = "fib_error group installed local_pref med origin paths " MORE_ATTRS,
	.page = route_page };

/* ---- FIB ---- */

static const struct column fib_columns[] = {
	{ "platform", "PLATFORM", CELL_TEXT, false },
	{ "ipv4_wanted", "IPV4 WANTED", CELL_NUMBER, false },
	{ "ipv4_installed", "IPV4 INSTALLED", CELL_NUMBER, false },
	{ "ipv6_wanted", "IPV6 WANTED", CELL_NUMBER, false },
	{ "ipv6_installed", "IPV6 INSTALLED", CELL_NUMBER, false },
	{ "pending", "PENDING", CELL_NUMBER, false },
	{ "failed", "FAILED", CELL_NUMBER, false },
	{ "waiting_for_link", "WAIT LINK", CELL_NUMBER, false },
	{ "groups", "GROUPS", CELL_NUMBER, false },
	{ "members", "MEMBERS", CELL_NUMBER, false },
	{ "next_hops", "NEXT HOPS", CELL_NUMBER, true },
	{ "operations", "OPERATIONS", CELL_NUMBER, true },
	{ "operations_failed", "REFUSED", CELL_NUMBER, true },
	{ "group_messages", "GROUP MSGS", CELL_NUMBER, true },
	{ "route_messages", "ROUTE MSGS", CELL_NUMBER, true },
	{ "audits", "AUDITS", CELL_NUMBER, true },
	{ "repairs", "REPAIRS", CELL_NUMBER, false },
	{ "foreign_conflicts", "FOREIGN", CELL_NUMBER, false },
	{ "last_audit_s", "LAST AUDIT", CELL_DURATION, true },
};

const struct view view_fib = { .verb = "fib", VIEW(fib_columns) };

static const struct column fib_check_columns[] = {
	{ "what", "DIFFERENCE", CELL_TEXT, false },
	{ "prefix", "PREFIX", CELL_TEXT, false },
	{ "reason", "CAUSE", CELL_TEXT, false },
	{ "next", "NEXT", CELL_TEXT, false },
};

static void
fib_check_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");

	fprintf(f,
	    "wanted %.0f (with cover routes)   %s %.0f   pending %.0f   groups %.0f   members %.0f   differences "
	    "%.0f\n",
	    row_number(s, "wanted", 0), row_text(s, "platform", "?"), row_number(s, "installed", 0),
	    row_number(s, "pending", 0), row_number(s, "groups", 0), row_number(s, "members", 0),
	    row_number(s, "differences", 0));
}

const struct view view_fib_check = { .verb = "fib.check", VIEW(fib_check_columns), .heading = fib_check_heading };

/* ---- upgrade ---- */

static const struct column upgrade_columns[] = {
	{ "at_ms", "AT", CELL_MS, false },
	{ "step", "STEP", CELL_TEXT, false },
	{ "text", "WHAT", CELL_TEXT, false },
	{ "from", "FROM", CELL_TEXT, false },
	{ "to", "TO", CELL_TEXT, false },
	{ "sessions", "SESSIONS", CELL_NUMBER, false },
	{ "routes", "ROUTES", CELL_NUMBER, false },
	{ "next", "NEXT", CELL_TEXT, false },
};

/* One line for each step, as it is done. */
static void
upgrade_page(FILE *f, const json_t *row, const json_t *envelope)
{
	(void)envelope;
	fprintf(f, "%9.1f ms  %-10s %s\n", row_number(row, "at_ms", 0), row_text(row, "step", "?"),
	    row_text(row, "text", ""));
	fflush(f);
}

const struct view view_upgrade = {
	.verb = "upgrade", VIEW(upgrade_columns), .more = "binary pid reason upgraded", .page = upgrade_page
};

/* ---- ports, log, counters, memory ---- */

static const struct column ports_columns[] = {
	{ "port", "PORT", CELL_TEXT, false },
	{ "kind", "KIND", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "since_s", "SINCE", CELL_DURATION, false },
	{ "peer", "EXPECTED", CELL_TEXT, false },
	{ "peer_port", "AT PORT", CELL_TEXT, false },
	{ "seen_peer", "SEEN", CELL_TEXT, false },
	{ "seen_port", "SEEN PORT", CELL_TEXT, false },
	{ "cabling", "CABLING", CELL_TEXT, false },
	{ "penalty", "PENALTY", CELL_NUMBER, false },
	{ "release_s", "DAMPED FOR", CELL_DURATION, false },
	{ "speed_bits_per_s", "SPEED", CELL_RATE, false },
	{ "mtu_bytes", "MTU", CELL_NUMBER, false },
	{ "mac", "MAC", CELL_TEXT, true },
	{ "link_local", "LINK LOCAL", CELL_TEXT, true },
	{ "ifindex", "IFINDEX", CELL_NUMBER, true },
	{ "transitions", "TRANSITIONS", CELL_NUMBER, true },
	{ "mtu_mismatch", "MTU MISMATCH", CELL_YES, true },
	{ "setup_error", "SETUP ERROR", CELL_TEXT, true },
};

const struct view view_ports = { .verb = "ports",
	VIEW(ports_columns),
	.more = "damped flaps reason " MORE_PROBLEM,
	.problems = true,
	.empty = "no ports" };

static const struct column log_columns[] = {
	{ "time", "TIME", CELL_TIME, false },
	{ "event", "EVENT", CELL_TEXT, false },
	{ "port", "PORT", CELL_TEXT, false },
	{ "text", "TEXT", CELL_TEXT, false },
	{ "id", "ID", CELL_NUMBER, false },
	{ "cause_id", "CAUSE", CELL_NUMBER, false },
	{ "suppressed", "SUPPRESSED", CELL_NUMBER, true },
};

const struct view view_log = {
	.verb = "log", VIEW(log_columns), .key_columns = 4, .empty = "nothing has happened yet"
};

static const struct column counters_columns[] = {
	{ "part", "PART", CELL_TEXT, false },
	{ "port", "PORT", CELL_TEXT, false },
	{ "what", "WHAT", CELL_TEXT, false },
	{ "count", "COUNT", CELL_NUMBER, false },
	{ "counter", "COUNTER", CELL_TEXT, true },
	{ "routine", "ROUTINE", CELL_YES, true },
	{ "address", "ADDRESS", CELL_TEXT, true },
};

static void
counters_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");
	char age[HUMAN_TEXT];

	fprintf(f, "counted for %s, since this process began", human_duration(row_number(s, "since_s", 0), age));
	if (json_object_get(s, "bfd_since_s"))
		fprintf(f, "; bfdd for %s", human_duration(row_number(s, "bfd_since_s", 0), age));
	if (json_object_get(s, "bfd_age_s"))
		fprintf(f, ", as it told %s ago: it does not answer now",
		    human_duration(row_number(s, "bfd_age_s", 0), age));
	putc('\n', f);
}

const struct view view_counters = { .verb = "counters",
	VIEW(counters_columns),
	.heading = counters_heading,
	.key_columns = 3,
	.empty = "nothing was dropped, refused or lost; --all shows what is counted" };

static const struct column memory_columns[] = {
	{ "kind", "KIND", CELL_TEXT, false },
	{ "bytes", "BYTES", CELL_NUMBER, false },
	{ "peak_bytes", "PEAK", CELL_NUMBER, false },
	{ "allocations", "ALLOCATIONS", CELL_NUMBER, false },
	{ "frees", "FREES", CELL_NUMBER, false },
};

const struct view view_memory = { .verb = "memory", VIEW(memory_columns) };

/* ---- the topology file that runs ---- */

static const struct column topology_columns[] = { { "line", "LINE", CELL_TEXT, false } };

static void
topology_page(FILE *f, const json_t *row, const json_t *envelope)
{
	(void)envelope;
	fprintf(f, "%s\n", row_text(row, "line", ""));
}

const struct view view_topology = { .verb = "topology", VIEW(topology_columns), .page = topology_page };
