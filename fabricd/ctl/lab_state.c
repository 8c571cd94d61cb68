/* fabricd/ctl/lab_state.c -- where a laboratory is kept between commands, and how a command gets into it */
#include "fabricd/ctl/lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names become folder names. */
static bool
name_is_plain(const char *s)
{
	return *s && *s != '.' && strlen(s) < sizeof(((struct lab *)0)->name) &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")];
}

/* The folder above all laboratories of this user, made when it is not there. A folder of somebody else is refused. */
static int
base_dir(char out[LAB_PATH])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR"), *own = getenv("FABRICD_LAB_DIR");
	struct stat st;
	int n;

	if (own && *own)
		n = snprintf(out, LAB_PATH, "%s", own);
	else if (geteuid() == 0 && access("/run", W_OK) == 0)
		n = snprintf(out, LAB_PATH, "/run/fabricd-lab");
	else if (xdg && *xdg && access(xdg, W_OK) == 0)
		n = snprintf(out, LAB_PATH, "%s/fabricd-lab", xdg);
	else
		n = snprintf(out, LAB_PATH, "/tmp/fabricd-lab-%u", (unsigned int)geteuid());
	if (n >= LAB_PATH / 2)
		return -ENAMETOOLONG;
	if (mkdir(out, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(out, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() ? 0 : -EPERM;
}

int
lab_locate(const char *name, char dir[LAB_PATH])
{
	char base[LAB_PATH];
	int err = base_dir(base);

	if (!name_is_plain(name))
		return -EINVAL;
	return err ? err : snprintf(dir, LAB_PATH, "%s/%s", base, name) < LAB_PATH ? 0 : -ENAMETOOLONG;
}

char *
lab_path(const struct lab *lab, const char *what, const char *node, const char *suffix, char out[LAB_PATH])
{
	snprintf(out, LAB_PATH, "%.150s/%s/%.31s%s", lab->dir, what, node, suffix);
	return out;
}

/* ---- lab.json ---- */

static json_t *
process_json(const struct lab_process *p)
{
	return p->pid ? json_pack("{s:I, s:I}", "pid", (json_int_t)p->pid, "start_ticks", (json_int_t)p->start)
		      : json_null();
}

static struct lab_process
process_read(const json_t *v)
{
	return (struct lab_process){
		.pid = (pid_t)json_integer_value(json_object_get(v, "pid")),
		.start = (uint64_t)json_integer_value(json_object_get(v, "start_ticks")),
	};
}

static json_t *
node_json(const struct lab_node *node)
{
	json_t *v = json_pack("{s:s, s:i, s:o, s:o, s:[]}", "name", node->name, "kind", (int)node->kind, "process",
	    process_json(&node->process), "bfdd", process_json(&node->bfdd), "addresses");
	char address[IP_TEXT], gateway[IP_TEXT];

	for (int f = 0; f < FAMILIES; f++) {
		if (node->net[f].set)
			json_array_append_new(json_object_get(v, "addresses"),
			    json_pack("{s:s, s:s, s:i}", "address", ip_print(&node->net[f].address, address), "gateway",
				ip_print(&node->net[f].gateway, gateway), "len", (int)node->net[f].len));
	}
	return v;
}

static void
node_read(struct lab_node *node, const json_t *v)
{
	const json_t *addresses = json_object_get(v, "addresses"), *a;
	const char *name = json_string_value(json_object_get(v, "name"));
	struct ip ip, gateway;

	*node = (struct lab_node){ .kind = (enum lab_kind)(json_integer_value(json_object_get(v, "kind")) % 3) };
	snprintf(node->name, sizeof(node->name), "%s", name ? name : "");
	node->process = process_read(json_object_get(v, "process"));
	node->bfdd = process_read(json_object_get(v, "bfdd"));
	for (size_t i = 0; (a = json_array_get(addresses, i)); i++) {
		const char *text = json_string_value(json_object_get(a, "address"));
		const char *via = json_string_value(json_object_get(a, "gateway"));

		if (!text || !via || !ip_parse(text, &ip) || !ip_parse(via, &gateway))
			continue;
		node->net[ip.family].set = true;
		node->net[ip.family].address = ip;
		node->net[ip.family].gateway = gateway;
		node->net[ip.family].len = (uint8_t)json_integer_value(json_object_get(a, "len"));
	}
}

static json_t *
end_json(const struct lab_end *e)
{
	return json_pack("{s:i, s:s, s:b}", "node", (int)e->node, "port", e->port, "down", (int)e->down);
}

static bool
end_read(struct lab_end *e, const json_t *v, size_t n_nodes)
{
	const char *port = json_string_value(json_object_get(v, "port"));

	e->node = (uint32_t)json_integer_value(json_object_get(v, "node"));
	e->down = json_is_true(json_object_get(v, "down"));
	snprintf(e->port, sizeof(e->port), "%s", port ? port : "");
	return port && e->node < n_nodes;
}

int
lab_save(const struct lab *lab)
{
	json_t *nodes = json_array(), *wires = json_array(), *all;
	char path[LAB_PATH], next[LAB_PATH];
	int err;

	for (size_t i = 0; i < lab->n_nodes; i++)
		json_array_append_new(nodes, node_json(&lab->nodes[i]));
	for (size_t i = 0; i < lab->n_wires; i++)
		json_array_append_new(
		    wires, json_pack("[o, o]", end_json(&lab->wires[i].end[0]), end_json(&lab->wires[i].end[1])));
	all = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "schema", "fabricd.lab.state/1", "name", lab->name, "fabric",
	    lab->fabric, "holder", process_json(&lab->holder), "nodes", nodes, "wires", wires);
	snprintf(path, sizeof(path), "%.200s/lab.json", lab->dir);
	snprintf(next, sizeof(next), "%.200s/lab.json.new", lab->dir);
	err = json_dump_file(all, next, JSON_INDENT(1)) || rename(next, path) ? errno ? -errno : -EIO : 0;
	json_decref(all);
	return err;
}

/* Whether the process was started to take this switch over: by the words that it was started with. */
static bool
is_successor(pid_t pid, const char *run_dir)
{
	char path[64], words[4096];
	bool takes = false, here = false;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (!(f = fopen(path, "re")))
		return false;
	n = fread(words, 1, sizeof(words) - 1, f);
	fclose(f);
	words[n] = '\0';
	for (const char *w = words; w < words + n; w += strlen(w) + 1) {
		takes |= strcmp(w, "--takeover") == 0;
		here |= strcmp(w, run_dir) == 0;
	}
	return takes && here;
}

/* After `fabctl upgrade` a switch has another process: the one that holds its lock now. The old one ends by itself. */
static void
follow_upgrade(const struct lab *lab, struct lab_node *node)
{
	char run_dir[LAB_PATH], path[LAB_PATH + 8];
	int pid = 0;
	FILE *f;

	if (node->kind != LAB_SWITCH || !node->process.pid)
		return;
	lab_path(lab, "run", node->name, "", run_dir);
	snprintf(path, sizeof(path), "%s/lock", run_dir);
	if (!(f = fopen(path, "re")))
		return;
	if (fscanf(f, "%d", &pid) == 1 && pid > 0 && is_successor((pid_t)pid, run_dir))
		node->process = lab_process_of((pid_t)pid);
	fclose(f);
}

int
lab_load(const char *name, struct lab *lab)
{
	const json_t *nodes, *wires, *pair;
	const char *fabric;
	char path[LAB_PATH];
	json_t *all;
	int err;

	*lab = (struct lab){ 0 };
	snprintf(lab->name, sizeof(lab->name), "%s", name);
	if ((err = lab_locate(name, lab->dir)))
		return err;
	snprintf(path, sizeof(path), "%.200s/lab.json", lab->dir);
	if (access(path, F_OK))
		return -errno;
	if (!(all = json_load_file(path, 0, NULL)))
		return -EBADMSG;
	fabric = json_string_value(json_object_get(all, "fabric"));
	snprintf(lab->fabric, sizeof(lab->fabric), "%s", fabric ? fabric : "");
	lab->holder = process_read(json_object_get(all, "holder"));
	nodes = json_object_get(all, "nodes");
	wires = json_object_get(all, "wires");
	lab->nodes = mem_grow(NULL, MEM_OTHER, NULL, &lab->cap_nodes, json_array_size(nodes) + 1, sizeof(*lab->nodes));
	for (; lab->n_nodes < json_array_size(nodes); lab->n_nodes++)
		node_read(&lab->nodes[lab->n_nodes], json_array_get(nodes, lab->n_nodes));
	for (size_t i = 0; i < lab->n_nodes; i++)
		follow_upgrade(lab, &lab->nodes[i]);
	lab->wires = mem_grow(NULL, MEM_OTHER, NULL, &lab->cap_wires, json_array_size(wires) + 1, sizeof(*lab->wires));
	for (size_t i = 0; (pair = json_array_get(wires, i)); i++) {
		struct lab_wire *w = &lab->wires[lab->n_wires];

		if (end_read(&w->end[0], json_array_get(pair, 0), lab->n_nodes) &&
		    end_read(&w->end[1], json_array_get(pair, 1), lab->n_nodes))
			lab->n_wires++;
	}
	json_decref(all);
	return 0;
}

/* "there is: --lab a, --lab b" of this user's laboratories; "": none. */
static void
other_labs(char *text, size_t size)
{
	char base[LAB_PATH], path[LAB_PATH + 300];
	struct dirent *e;
	DIR *d = base_dir(base) ? NULL : opendir(base);
	size_t at = 0;

	*text = '\0';
	while (d && at < size && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s/lab.json", base, e->d_name);
		if (name_is_plain(e->d_name) && access(path, F_OK) == 0)
			at += (size_t)snprintf(text + at, size - at, "%s--lab %s", at ? ", " : "there is: ", e->d_name);
	}
	if (d)
		closedir(d);
}

int
lab_open(const struct ctl *ctl, struct lab *lab)
{
	int err = lab_load(ctl->lab, lab);

	if (err == -ENOENT) {
		char others[200];

		other_labs(others, sizeof(others));
		return ctl_fail(QUERY_UNREACHABLE, *others ? others : "fabctl lab up 4x2",
		    "there is no laboratory named \"%s\"", ctl->lab);
	}
	if (err == -EPERM || err == -EACCES)
		return ctl_fail(QUERY_UNREACHABLE, "as root, or as the user who raised it",
		    "the laboratory \"%s\" is another user's: %s", ctl->lab, strerror(-err));
	if (err)
		return ctl_fail(QUERY_UNREACHABLE, "fabctl lab down", "the laboratory \"%s\" cannot be read: %s",
		    ctl->lab, strerror(-err));
	if (lab->holder.pid && !lab_process_alive(&lab->holder))
		return ctl_fail(QUERY_UNREACHABLE, "fabctl lab down, then up again",
		    "the process that held the laboratory \"%s\" is gone, and its namespaces with it", ctl->lab);
	return QUERY_OK;
}

static int
enter_one(pid_t pid, const char *what, int type)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, what);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -errno;
	err = setns(fd, type) ? -errno : 0;
	close(fd);
	return err;
}

int
lab_enter(struct lab *lab, const char *node)
{
	char path[LAB_PATH];
	int err = 0;

	if (lab->holder.pid && !lab->entered) {
		if ((err = enter_one(lab->holder.pid, "user", CLONE_NEWUSER)) ||
		    (err = enter_one(lab->holder.pid, "mnt", CLONE_NEWNS)))
			return err;
		lab->entered = true;
	}
	return node ? lab_ns_enter(lab_path(lab, "ns", node, "", path)) : 0;
}
