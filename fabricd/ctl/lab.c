/* fabricd/ctl/lab.c -- what is done with a laboratory that is up: status, exec, cut, heal, wait, down */
#include "fabricd/ctl/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fabricd/ctl/output.h"

/* One change at a time: the lock is held until this process ends. */
static int
lock_lab(const struct lab *lab)
{
	char path[LAB_PATH];
	int fd;

	snprintf(path, sizeof(path), "%.200s/lock", lab->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX))
		return ctl_fail(QUERY_UNREACHABLE, NULL, "%s cannot be locked: %s", path, strerror(errno));
	return QUERY_OK;
}

/* ---- status ---- */

static const struct column status_columns[] = {
	{ "node", "NODE", CELL_TEXT, false },
	{ "kind", "KIND", CELL_TEXT, false },
	{ "state", "STATE", CELL_TEXT, false },
	{ "pid", "PID", CELL_NUMBER, false },
	{ "ports_up", "UP", CELL_NUMBER, false },
	{ "ports", "PORTS", CELL_NUMBER, false },
	{ "cut", "CUT", CELL_LIST, false },
	{ "addresses", "ADDRESSES", CELL_LIST, false },
	{ "run_dir", "RUN DIR", CELL_TEXT, true },
	{ "namespace", "NAMESPACE", CELL_TEXT, true },
};

static void
status_heading(FILE *f, const json_t *envelope)
{
	const json_t *s = json_object_get(envelope, "summary");

	fprintf(f, "laboratory %s (%s): %.0f nodes, %.0f wires, %.0f cut\n", row_text(s, "name", "?"),
	    row_text(envelope, "fabric", "?"), row_number(s, "nodes", 0), row_number(s, "wires", 0),
	    row_number(s, "cut", 0));
}

static const struct view status_view = {
	.columns = status_columns,
	.n_columns = ARRAY_LEN(status_columns),
	.heading = status_heading,
	.problems = true,
};

/* Ports of the node, counted in its namespace. */
static void
count_ports(struct lab *lab, size_t index, json_t *row)
{
	size_t ports = 0, up = 0;
	struct lab_nl nl = { .fd = -1 };
	struct lab_port p;
	bool inside = lab_enter(lab, lab->nodes[index].name) == 0 && lab_nl_open(&nl) == 0;

	for (size_t w = 0; w < 2 * lab->n_wires; w++) {
		const struct lab_end *e = &lab->wires[w / 2].end[w % 2];

		if (e->node != index)
			continue;
		ports++;
		if (inside && lab_nl_port(&nl, e->port, &p) == 0 && p.up && p.carrier)
			up++;
	}
	lab_nl_close(&nl);
	json_object_set_new(row, "ports", json_integer((json_int_t)ports));
	if (inside)
		json_object_set_new(row, "ports_up", json_integer((json_int_t)up));
}

static json_t *
status_row(struct lab *lab, size_t index, enum query_status *status)
{
	const struct lab_node *node = &lab->nodes[index];
	bool alive = lab_process_alive(&node->process);
	json_t *row = json_pack(
	    "{s:s, s:s, s:[], s:[]}", "node", node->name, "kind", lab_kind_name(node->kind), "cut", "addresses");
	char path[LAB_PATH], text[IP_TEXT];

	if (node->kind == LAB_SWITCH && node->process.pid) {
		json_object_set_new(row, "state", json_string(alive ? "running" : "ended"));
		json_object_set_new(row, "pid", json_integer(node->process.pid));
		json_object_set_new(row, "run_dir", json_string(lab_path(lab, "run", node->name, "", path)));
		if (!alive) {
			*status = QUERY_FINDINGS;
			json_object_set_new(row, "what", json_string(node->name));
			json_object_set_new(row, "reason", json_string("its fabricd has ended"));
			json_object_set_new(
			    row, "next", json_sprintf("less %s", lab_path(lab, "log", node->name, ".log", path)));
		}
	} else {
		json_object_set_new(row, "state", json_string(node->kind == LAB_SWITCH ? "bare" : "up"));
	}
	json_object_set_new(row, "namespace", json_string(lab_path(lab, "ns", node->name, "", path)));
	for (size_t w = 0; w < 2 * lab->n_wires; w++) {
		const struct lab_wire *wire = &lab->wires[w / 2];

		if (wire->end[w % 2].node == index && (wire->end[0].down || wire->end[1].down))
			json_array_append_new(json_object_get(row, "cut"), json_string(wire->end[w % 2].port));
	}
	for (int f = 0; f < FAMILIES; f++) {
		if (node->net[f].set)
			json_array_append_new(
			    json_object_get(row, "addresses"), json_string(ip_print(&node->net[f].address, text)));
	}
	return row;
}

int
ctl_lab_status(struct ctl *ctl, int argc, char **argv)
{
	enum query_status status = QUERY_OK;
	json_t *envelope;
	struct lab lab;
	struct out *out;
	size_t cut = 0;
	int result;

	(void)argc;
	(void)argv;
	if ((result = lab_open(ctl, &lab)))
		return result;
	for (size_t i = 0; i < lab.n_wires; i++)
		cut += lab.wires[i].end[0].down || lab.wires[i].end[1].down;
	envelope = out_envelope("fabricd.lab.status/1", lab.fabric);
	json_object_set_new(envelope, "summary",
	    json_pack("{s:s, s:I, s:I, s:I}", "name", lab.name, "nodes", (json_int_t)lab.n_nodes, "wires",
		(json_int_t)lab.n_wires, "cut", (json_int_t)cut));
	out = out_new(ctl, &status_view);
	out_header(out, envelope);
	for (size_t i = 0; i < lab.n_nodes; i++) {
		json_t *row = status_row(&lab, i, &status);

		count_ports(&lab, i, row);
		out_row(out, row);
	}
	result = out_end(out, status);
	out_free(out);
	lab_clear(&lab);
	return result;
}

/* ---- exec ---- */

/*
 * Names of the laboratory in /etc/hosts, for this command alone: over the file, or, where a system has none, over the
 * folder. A kernel that refuses both only costs the names.
 */
static void
mount_names(const struct lab *lab)
{
	char hosts[LAB_PATH], layers[LAB_PATH + 32];

	snprintf(hosts, sizeof(hosts), "%.200s/etc/hosts", lab->dir);
	snprintf(layers, sizeof(layers), "lowerdir=%.200s/etc:/etc", lab->dir);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL) == 0 || errno != ENOENT)
		return;
	if (mount("overlay", "/etc", "overlay", MS_RDONLY, layers))
		return;
}

int
ctl_lab_exec(struct ctl *ctl, int argc, char **argv)
{
	char run[LAB_PATH];
	struct lab lab;
	int status, err, at = 1;

	if (at < argc && strcmp(argv[at], "--") == 0)
		at++;
	if (argc - at < 2)
		return ctl_fail(QUERY_USAGE, "fabctl lab exec h1 ping h4", "lab exec takes a node and a command");
	if ((status = lab_open(ctl, &lab)))
		return status;
	if (!lab_node_find(&lab, argv[at]))
		return lab_no_node(&lab, argv[at]);
	if ((err = lab_enter(&lab, argv[at])))
		return ctl_fail(
		    QUERY_UNREACHABLE, "fabctl lab status", "%s cannot be entered: %s", argv[at], strerror(-err));
	setenv("FABRICD_RUN_DIR", lab_path(&lab, "run", argv[at], "", run), 1);
	mount_names(&lab);
	execvp(argv[at + 1], argv + at + 1);
	return ctl_fail(QUERY_USAGE, NULL, "%s: %s", argv[at + 1], strerror(errno));
}

/* ---- cut and heal ---- */

int
lab_host_net(struct lab_nl *nl, const struct lab_node *host)
{
	int err = 0;

	for (int f = 0; f < FAMILIES && !err; f++) {
		if (!host->net[f].set)
			continue;
		err = lab_nl_address(nl, "eth0", &host->net[f].address, host->net[f].len);
		if (!err && host->kind == LAB_HOST)
			err = lab_nl_default(nl, "eth0", &host->net[f].gateway);
	}
	return err;
}

struct target {
	const char *text;
	uint32_t node;
	const char *port; /* NULL: all of its ports */
};

/* Nothing is connected there; which ports of the node are. */
static int
no_wire(const struct lab *lab, const struct target *t)
{
	char next[200] = "";
	size_t at = 0;

	for (size_t w = 0; w < 2 * lab->n_wires && at < sizeof(next); w++) {
		const struct lab_end *e = &lab->wires[w / 2].end[w % 2];

		if (e->node == t->node)
			at += (size_t)snprintf(next + at, sizeof(next) - at, "%s%s", at ? " " : "its ports: ", e->port);
	}
	return ctl_fail(QUERY_USAGE, at ? next : "fabctl lab status", "nothing is connected to %s:%s", t->text,
	    t->port ? t->port : "*");
}

static int
read_target(const struct lab *lab, char *text, struct target *out)
{
	char *colon = strrchr(text, ':');
	const struct lab_node *node;
	bool found = false;

	if (colon)
		*colon = '\0';
	if (!(node = lab_node_find(lab, text)))
		return lab_no_node(lab, text);
	*out = (struct target){ .text = text, .node = (uint32_t)(node - lab->nodes), .port = colon ? colon + 1 : NULL };
	for (size_t w = 0; w < 2 * lab->n_wires && !found; w++) {
		const struct lab_end *e = &lab->wires[w / 2].end[w % 2];

		found = e->node == out->node && (!out->port || strcmp(e->port, out->port) == 0);
	}
	if (!found)
		return no_wire(lab, out);
	return QUERY_OK;
}

/* Which end of the wire the target names; -1: neither. */
static int
target_end(const struct target *t, const struct lab_wire *w)
{
	for (int i = 0; i < 2; i++) {
		if (w->end[i].node == t->node && (!t->port || strcmp(t->port, w->end[i].port) == 0))
			return i;
	}
	return -1;
}

/* Takes one end of a wire down or up, where it is; `down` is kept for heal. */
static int
set_end(struct lab *lab, struct lab_end *e, bool down)
{
	struct lab_nl nl = { .fd = -1 };
	int err = lab_enter(lab, lab->nodes[e->node].name);

	if (!err && (err = lab_nl_open(&nl)) == 0)
		err = lab_nl_link_up(&nl, e->port, !down);
	if (!err && !down && lab->nodes[e->node].kind != LAB_SWITCH)
		err = lab_host_net(&nl, &lab->nodes[e->node]);
	lab_nl_close(&nl);
	if (err)
		return ctl_fail(QUERY_UNREACHABLE, "fabctl lab status", "%s:%s could not be set %s: %s",
		    lab->nodes[e->node].name, e->port, down ? "down" : "up", strerror(-err));
	e->down = down;
	return QUERY_OK;
}

/*
 * The end that is taken down is the far one for NODE:PORT, so that NODE:PORT loses carrier as from a cut fibre, and
 * the node's own for NODE, so that all its neighbours do.
 */
static int
cut_one(struct lab *lab, const struct target *t)
{
	for (size_t i = 0; i < lab->n_wires; i++) {
		struct lab_wire *w = &lab->wires[i];
		int end = target_end(t, w), status;

		if (end >= 0 && !w->end[0].down && !w->end[1].down &&
		    (status = set_end(lab, &w->end[t->port ? !end : end], true)))
			return status;
	}
	return QUERY_OK;
}

static int
heal_one(struct lab *lab, const struct target *t)
{
	for (size_t i = 0; i < 2 * lab->n_wires; i++) {
		struct lab_wire *w = &lab->wires[i / 2];
		int status;

		if (w->end[i % 2].down && (!t || target_end(t, w) >= 0) &&
		    (status = set_end(lab, &w->end[i % 2], false)))
			return status;
	}
	return QUERY_OK;
}

static int
cut_or_heal(struct ctl *ctl, int argc, char **argv, int (*act)(struct lab *, const struct target *), bool all)
{
	struct target *targets = mem_zalloc(NULL, MEM_OTHER, ((size_t)argc + 1) * sizeof(*targets));
	struct lab lab;
	int status, err;

	if ((status = lab_open(ctl, &lab)) || (status = lock_lab(&lab)))
		goto out;
	lab_clear(&lab);
	if ((status = lab_open(ctl, &lab))) /* as it is now that it is ours */
		goto out;
	for (int i = 1; i < argc && !status; i++)
		status = read_target(&lab, argv[i], &targets[i]);
	for (int i = 1; i < argc && !status; i++)
		status = act(&lab, &targets[i]);
	if (argc == 1 && all && !status)
		status = act(&lab, NULL);
	if ((err = lab_save(&lab)) && !status)
		status = ctl_fail(
		    QUERY_UNREACHABLE, NULL, "%s/lab.json cannot be written: %s", lab.dir, strerror(-err));
	lab_clear(&lab);
out:
	mem_free(NULL, MEM_OTHER, targets);
	return status;
}

int
ctl_lab_cut(struct ctl *ctl, int argc, char **argv)
{
	if (argc < 2)
		return ctl_fail(QUERY_USAGE, "fabctl lab cut leaf1:eth1", "lab cut takes NODE:PORT or NODE");
	return cut_or_heal(ctl, argc, argv, cut_one, false);
}

int
ctl_lab_heal(struct ctl *ctl, int argc, char **argv)
{
	return cut_or_heal(ctl, argc, argv, heal_one, true);
}

/* ---- wait ---- */

struct tally {
	size_t sessions, up;
	size_t outside;  /* sessions over ports that the laboratory does not have */
	char waits[200]; /* one that is not up */
	bool fib_pending;
};

static bool
tally_header(void *arg, json_t *envelope)
{
	struct tally *t = arg;
	const json_t *summary = json_object_get(envelope, "summary");

	t->fib_pending |= !json_is_true(json_object_get(summary, "fib_in_sync"));
	return true;
}

static bool
tally_row(void *arg, const char *text, size_t n)
{
	struct tally *t = arg;
	json_t *row = json_loadb(text, n, 0, NULL);
	bool up = strcmp(row_text(row, "state", ""), "Established") == 0;
	bool planned = !up && !json_object_get(row, "next"); /* no problem: it is not to be up */
	bool outside = strcmp(row_text(row, "kind", ""), "external") == 0 &&
		       strcmp(row_text(row, "reason", ""), "port missing") == 0;

	t->sessions += !planned && !outside;
	t->outside += outside;
	t->up += up;
	if (!up && !planned && !outside && !t->waits[0])
		snprintf(
		    t->waits, sizeof(t->waits), "%s: %s", row_text(row, "port", "?"), row_text(row, "reason", "?"));
	json_decref(row);
	return true;
}

/* Asks one switch. True: all of its sessions are up and its FIB is in sync. */
static bool
node_ready(const struct lab *lab, const struct lab_node *node, struct tally *t)
{
	static const struct query_sink sink = { .header = tally_header, .row = tally_row };
	char run[LAB_PATH];
	struct query_client *c;
	enum query_status status;

	*t = (struct tally){ 0 };
	if (query_client_open(lab_path(lab, "run", node->name, "", run), SECONDS(2), &c)) {
		snprintf(t->waits, sizeof(t->waits), "its fabricd does not answer");
		return false;
	}
	status = query_client_ask(c, "bgp.summary", NULL, 0, &sink, t);
	query_client_close(c);
	if (status != QUERY_OK && status != QUERY_FINDINGS)
		return false;
	if (t->up == t->sessions && t->fib_pending)
		snprintf(t->waits, sizeof(t->waits), "its FIB is not in sync");
	return t->up == t->sessions && !t->fib_pending;
}

/* "--timeout 5s" or "--timeout=5s"; -1 after its error was told. */
static int64_t
read_timeout(int argc, char **argv)
{
	const char *text = argc > 1 && strncmp(argv[1], "--timeout=", 10) == 0 ? argv[1] + 10
			   : argc == 3 && strcmp(argv[1], "--timeout") == 0    ? argv[2]
									       : NULL;
	int64_t us = argc == 1 ? SECONDS(60) : text ? ctl_duration(text) : -1;

	if (!text && argc > 1)
		ctl_fail(QUERY_USAGE, "fabctl lab wait --timeout 60s", "lab wait takes --timeout only");
	else if (us < 0)
		ctl_fail(QUERY_USAGE, "fabctl lab wait --timeout 60s", "\"%s\" is no duration", text);
	return us;
}

/* Why it did not converge: a fabricd that has ended is the cause of what its neighbours say. */
static int
not_converged(const struct lab *lab, const struct lab_node *node, const struct tally *t)
{
	char next[LAB_PATH + 8], path[LAB_PATH];

	for (size_t i = 0; i < lab->n_nodes; i++) {
		const struct lab_node *n = &lab->nodes[i];

		if (n->kind != LAB_SWITCH || !n->process.pid || lab_process_alive(&n->process))
			continue;
		snprintf(next, sizeof(next), "less %s", lab_path(lab, "log", n->name, ".log", path));
		return ctl_fail(QUERY_FINDINGS, next, "not converged: %s: its fabricd has ended", n->name);
	}
	snprintf(next, sizeof(next), "fabctl --at %s bgp", node->name);
	if (!t->sessions)
		return ctl_fail(QUERY_FINDINGS, next, "not converged: %s: %s", node->name, t->waits);
	return ctl_fail(QUERY_FINDINGS, next, "not converged: %s: %zu of %zu sessions, %s", node->name, t->up,
	    t->sessions, t->waits);
}

int
ctl_lab_wait(struct ctl *ctl, int argc, char **argv)
{
	struct mono begun = ctl_now();
	int64_t timeout = read_timeout(argc, argv);
	size_t outside = 0;
	struct lab lab;
	int status;

	if (timeout < 0)
		return QUERY_USAGE;
	if ((status = lab_open(ctl, &lab)))
		return status;
	for (size_t i = 0; i < lab.n_nodes && !status; i++) {
		const struct lab_node *node = &lab.nodes[i];
		struct tally t = { 0 };

		while (node->kind == LAB_SWITCH && !node_ready(&lab, node, &t)) {
			if (mono_sub(ctl_now(), begun) <= timeout) {
				poll(NULL, 0, 10);
				continue;
			}
			status = not_converged(&lab, node, &t);
			break;
		}
		outside += t.outside;
	}
	if (!status)
		fprintf(stderr, "converged after %.2f s\n", (double)mono_sub(ctl_now(), begun) / 1e6);
	if (!status && outside)
		fprintf(stderr, "not waited for: %zu session%s to the outside over ports that are not there\n", outside,
		    outside == 1 ? "" : "s");
	lab_clear(&lab);
	return status;
}

/* ---- down ---- */

int
ctl_lab_down(struct ctl *ctl, int argc, char **argv)
{
	struct lab lab;
	size_t killed;
	int err = lab_load(ctl->lab, &lab);

	(void)argc;
	(void)argv;
	if (err == -ENOENT && access(lab.dir, F_OK)) {
		fprintf(stderr, "there is no laboratory \"%s\"\n", ctl->lab);
		return QUERY_OK;
	}
	if (err && err != -ENOENT && err != -EBADMSG)
		return ctl_fail(QUERY_USAGE, "fabctl lab status", "the laboratory \"%s\" cannot be read: %s", ctl->lab,
		    strerror(-err));
	killed = lab_end_processes(&lab);
	lab_remove(&lab);
	if (killed)
		fprintf(stderr, "%zu fabricds did not end when asked, and were killed\n", killed);
	if (access(lab.dir, F_OK) == 0)
		return ctl_fail(
		    QUERY_UNREACHABLE, "look for processes that use it", "%s could not be removed", lab.dir);
	fprintf(stderr, "laboratory \"%s\" is gone\n", lab.name);
	lab_clear(&lab);
	return QUERY_OK;
}
