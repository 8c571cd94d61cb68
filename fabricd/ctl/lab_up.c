/*
 * fabricd/ctl/lab_up.c -- raises a laboratory
 *
 *   plan --> folder --> builder (a child) --> [holder: user and mount namespace] --> namespaces, pairs, hosts -->
 * fabricds
 *                          |
 *                          +--> lab.json, then it ends; the parent waits until each fabricd answers on its socket
 *
 * As root the namespaces are pinned in this mount namespace. Without root (or without its capabilities) one process,
 * the holder, keeps a user and a mount namespace in which all of it is done; later commands go there by /proc/PID/ns.
 *
 * Always true: on any failure whatever was made is taken away again; nothing is made in the namespace that fabctl was
 * called in; processes are known by pid and start time.
 */
#include "fabricd/ctl/lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/query/client.h"

#define START_US SECONDS(10) /* for all fabricds to answer */

struct up {
	bool hosts, bare, bfd, externals;
	const char *what, *fabricd;
	char found[LAB_PATH];
	char *text; /* of the topology file */
	size_t len;
};

/* ---- taking away ---- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void
lab_remove(struct lab *lab)
{
	char path[LAB_PATH];
	struct dirent *e;
	DIR *d;

	/* What is there, not what lab.json says: a builder may have been killed before it wrote that. */
	snprintf(path, sizeof(path), "%.200s/ns", lab->dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			lab_ns_unpin(lab_path(lab, "ns", e->d_name, "", path));
	}
	if (d)
		closedir(d);
	nftw(lab->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

size_t
lab_end_processes(struct lab *lab)
{
	struct lab_process **list = mem_alloc(NULL, MEM_OTHER, (2 * lab->n_nodes + 1) * sizeof(struct lab_process *));
	struct lab_process *holder = &lab->holder;
	size_t n = 0, killed;

	for (size_t i = 0; i < lab->n_nodes; i++) {
		if (lab->nodes[i].process.pid)
			list[n++] = &lab->nodes[i].process;
		if (lab->nodes[i].bfdd.pid)
			list[n++] = &lab->nodes[i].bfdd;
	}
	killed = lab_process_end(list, n, 3000);
	lab_process_end(&holder, 1, 1000);
	mem_free(NULL, MEM_OTHER, list);
	return killed;
}

/* ---- the folder ---- */

static int
make_folder(struct lab *lab)
{
	static const char *const parts[] = { "", "/ns", "/run", "/log", "/etc" };
	char path[LAB_PATH];

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(path, sizeof(path), "%.200s%s", lab->dir, parts[i]);
		if (mkdir(path, i ? 0755 : 0700))
			return -errno;
	}
	return 0;
}

/* topology.yaml, and names for `lab exec h1 ping h4`. */
static int
write_files(const struct lab *lab, const struct up *up, const struct topo *topo)
{
	char path[LAB_PATH], text[IP_TEXT];
	FILE *f;

	snprintf(path, sizeof(path), "%.200s/topology.yaml", lab->dir);
	if (!(f = fopen(path, "we")) || fwrite(up->text, 1, up->len, f) != up->len || fclose(f))
		return -errno;
	snprintf(path, sizeof(path), "%.200s/etc/hosts", lab->dir);
	if (!(f = fopen(path, "we")))
		return -errno;
	fprintf(f, "127.0.0.1 localhost\n::1 localhost\n");
	for (size_t i = 0; i < lab->n_nodes; i++) {
		const struct lab_node *node = &lab->nodes[i];
		const struct topo_node *t = topo_node_find(topo, node->name);

		for (int fam = 0; fam < FAMILIES; fam++) {
			struct ip ip = t ? prefix_addr(&t->loopback[fam]) : node->net[fam].address;

			if (t ? t->has_loopback[fam] : node->net[fam].set)
				fprintf(f, "%s %s\n", ip_print(&ip, text), node->name);
		}
	}
	return fclose(f) ? -errno : 0;
}

/* ---- the builder ---- */

/* Whether this process may make and pin network namespaces itself. */
static bool
may_pin(const struct lab *lab)
{
	char path[LAB_PATH];
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		lab_path(lab, "ns", ".probe", "", path);
		if (lab_ns_make(path))
			_exit(1);
		_exit(lab_ns_unpin(path) ? 1 : 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	unlink(lab_path(lab, "ns", ".probe", "", path));
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct holder_word {
	int err;
	bool mount_refused;
};

static void __attribute__((noreturn)) hold(int tell)
{
	struct holder_word word = { 0 };
	const char *stage;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	word.err = lab_user_ns(&stage);
	word.mount_refused = stage[0] == 'm';
	if (write(tell, &word, sizeof(word)) != sizeof(word) || word.err)
		_exit(1);
	close(tell);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (chdir("/"))
		_exit(1);
	for (;;)
		pause();
}

/* Starts the process that keeps the namespaces, or says which sysctl forbids them. */
static int
start_holder(struct lab *lab)
{
	struct holder_word word = { .err = -EIO };
	char next[160];
	int tell[2];
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC))
		return ctl_fail(QUERY_UNREACHABLE, NULL, "no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		hold(tell[1]);
	close(tell[1]);
	if (pid < 0 || read(tell[0], &word, sizeof(word)) != sizeof(word) || word.err) {
		close(tell[0]);
		snprintf(next, sizeof(next), "as root: sysctl -w %s (or run this as root)", lab_user_ns_sysctl());
		return ctl_fail(QUERY_REFUSED, next, "the kernel refuses a user namespace with %s: %s",
		    word.mount_refused ? "rights of its own" : "the present settings", strerror(-word.err));
	}
	close(tell[0]);
	lab->holder = lab_process_of(pid);
	return QUERY_OK;
}

static int
make_namespaces(struct lab *lab, int *ns)
{
	char path[LAB_PATH];
	struct lab_nl nl;
	int err;

	for (size_t i = 0; i < lab->n_nodes; i++) {
		lab_path(lab, "ns", lab->nodes[i].name, "", path);
		if ((err = lab_ns_make(path)))
			return ctl_fail(
			    QUERY_UNREACHABLE, NULL, "no namespace for %s: %s", lab->nodes[i].name, strerror(-err));
		if ((ns[i] = open(path, O_RDONLY | O_CLOEXEC)) < 0)
			return ctl_fail(QUERY_UNREACHABLE, "ulimit -n 65536",
			    "no descriptor for the namespace of %s: %s", lab->nodes[i].name, strerror(errno));
		if ((err = lab_nl_open(&nl)) == 0)
			err = lab_nl_link_up(&nl, "lo", true);
		lab_nl_close(&nl);
		if (err)
			return ctl_fail(QUERY_UNREACHABLE, NULL, "lo of %s does not come up: %s", lab->nodes[i].name,
			    strerror(-err));
	}
	return QUERY_OK;
}

#define FIRST_IFINDEX 100 /* of the laboratory's ports; lower ones are the kernel's own and bridges */

static int
make_wires(const struct lab *lab, const int *ns)
{
	struct lab_nl nl;
	int err = lab_nl_open(&nl), status = QUERY_OK;

	for (size_t i = 0; i < lab->n_wires && !err; i++) {
		const struct lab_end *a = &lab->wires[i].end[0], *b = &lab->wires[i].end[1];

		if ((err = lab_nl_veth(
			 &nl, ns[a->node], a->port, ns[b->node], b->port, FIRST_IFINDEX + 2 * (uint32_t)i)))
			status = ctl_fail(QUERY_UNREACHABLE,
			    err == -ENAMETOOLONG ? "names of Linux ports have at most 15 letters" : NULL,
			    "no link %s:%s -- %s:%s: %s", lab->nodes[a->node].name, a->port, lab->nodes[b->node].name,
			    b->port, strerror(-err));
	}
	lab_nl_close(&nl);
	return status;
}

/* A host has its addresses and default routes from us; it is no router and learns nothing. */
static int
set_up_host(const struct lab_node *host)
{
	struct lab_nl nl;
	int err;

	lab_sysctl("net/ipv6/conf/eth0/accept_ra", "0");
	lab_sysctl("net/ipv6/conf/all/accept_dad", "0"); /* the kernel asks both */
	lab_sysctl("net/ipv6/conf/eth0/accept_dad", "0");
	if ((err = lab_nl_open(&nl)))
		return err;
	if ((err = lab_nl_link_up(&nl, "eth0", true)) == 0)
		err = lab_host_net(&nl, host);
	lab_nl_close(&nl);
	return err;
}

/* Ports of hosts and of foreign switches come up here; those of our switches are fabricd's to set. */
static int
set_up_others(const struct lab *lab, const int *ns)
{
	for (size_t i = 0; i < lab->n_nodes; i++) {
		const struct lab_node *node = &lab->nodes[i];
		int err = node->kind == LAB_SWITCH ? 0 : setns(ns[i], CLONE_NEWNET) ? -errno : 0;
		struct lab_nl nl;

		if (!err && node->kind == LAB_HOST) {
			err = set_up_host(node);
		} else if (!err && node->kind == LAB_FOREIGN && (err = lab_nl_open(&nl)) == 0) {
			for (size_t w = 0; w < 2 * lab->n_wires && !err; w++) {
				const struct lab_end *e = &lab->wires[w / 2].end[w % 2];

				if (e->node == i)
					err = lab_nl_link_up(&nl, e->port, true);
			}
			if (!err)
				err = lab_host_net(&nl, node);
			lab_nl_close(&nl);
		}
		if (err)
			return ctl_fail(
			    QUERY_UNREACHABLE, NULL, "%s could not be set up: %s", node->name, strerror(-err));
	}
	return QUERY_OK;
}

/* A daemon of a switch: its arguments, and where its words go. */
struct job {
	const char *program, *log;
	const char *argv[8];
};

static void __attribute__((noreturn))
run_job(const struct lab *lab, const struct job *job, const struct lab_node *node, int ns, int tell)
{
	char run[LAB_PATH], log[LAB_PATH];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd, err = 0;

	lab_path(lab, "run", node->name, "", run);
	fd = open(lab_path(lab, "log", node->name, job->log, log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (setns(ns, CLONE_NEWNET) || (mkdir(run, 0755) && errno != EEXIST) || fd < 0)
		err = errno;
	if (!err) {
		setsid();
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execv(job->program, (char *const *)(uintptr_t)job->argv);
		err = errno;
	}
	if (write(tell, &err, sizeof(err)) < 0)
		_exit(2);
	_exit(1);
}

static int
start_job(const struct lab *lab, const struct job *job, const struct lab_node *node, int ns, struct lab_process *out)
{
	int tell[2], err = 0;
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC))
		return ctl_fail(QUERY_UNREACHABLE, NULL, "no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		run_job(lab, job, node, ns, tell[1]);
	close(tell[1]);
	if (pid < 0)
		err = errno;
	else if (read(tell[0], &err, sizeof(err)) <= 0) /* closed by exec: it runs */
		*out = lab_process_of(pid);
	close(tell[0]);
	return err ? ctl_fail(QUERY_UNREACHABLE, NULL, "%s does not start for %s: %s", job->program, node->name,
			 strerror(err))
		   : QUERY_OK;
}

static int
start_switch(const struct lab *lab, const struct up *up, struct lab_node *node, int ns)
{
	char topology[LAB_PATH], run[LAB_PATH], bfdd[LAB_PATH], socket[LAB_PATH];
	struct job fabricd = { up->found, ".log",
		{ "fabricd", "--topology", topology, "--node", node->name, "--run-dir", run, NULL } };
	struct job watcher = { bfdd, ".bfdd.log", { "bfdd", "--keep", "--socket", socket, NULL } };
	const char *slash = strrchr(up->found, '/');
	int status = QUERY_OK;

	snprintf(topology, sizeof(topology), "%.200s/topology.yaml", lab->dir);
	lab_path(lab, "run", node->name, "", run);
	lab_path(lab, "run", node->name, "/bfdd.sock", socket);
	snprintf(bfdd, sizeof(bfdd), "%.*s/bfdd", slash ? (int)MIN_OF(slash - up->found, 240) : 0, up->found);
	if (up->bfd)
		status = start_job(lab, &watcher, node, ns, &node->bfdd);
	return status ? status : start_job(lab, &fabricd, node, ns, &node->process);
}

static int
build(struct lab *lab, const struct up *up)
{
	int *ns = mem_alloc(NULL, MEM_OTHER, (lab->n_nodes + 1) * sizeof(int));
	struct rlimit files;
	int status = QUERY_OK, err;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (!may_pin(lab)) {
		if ((status = start_holder(lab)))
			return status;
		if ((err = lab_enter(lab, NULL)))
			status = ctl_fail(
			    QUERY_UNREACHABLE, NULL, "the new user namespace cannot be entered: %s", strerror(-err));
	}
	if (!status && !(status = make_namespaces(lab, ns)) && !(status = make_wires(lab, ns)))
		status = set_up_others(lab, ns);
	for (size_t i = 0; i < lab->n_nodes && !status && !up->bare; i++) {
		if (lab->nodes[i].kind == LAB_SWITCH)
			status = start_switch(lab, up, &lab->nodes[i], ns[i]);
	}
	if (!status && (err = lab_save(lab)))
		status = ctl_fail(
		    QUERY_UNREACHABLE, NULL, "%s/lab.json cannot be written: %s", lab->dir, strerror(-err));
	if (status) {
		lab_end_processes(lab);
		lab_remove(lab);
	}
	mem_free(NULL, MEM_OTHER, ns);
	return status;
}

/* ---- after it ---- */

static void
print_log_end(const struct lab *lab, const char *node)
{
	char path[LAB_PATH], lines[4][512] = { { 0 } };
	FILE *f = fopen(lab_path(lab, "log", node, ".log", path), "re");
	size_t n = 0;

	while (f && fgets(lines[n % 4], sizeof(lines[0]), f))
		n++;
	if (f)
		fclose(f);
	for (size_t i = n > 4 ? n - 4 : 0; i < n; i++)
		fprintf(stderr, "  %s: %s", node, lines[i % 4]);
}

/* Waits until each fabricd answers. */
static int
await_daemons(const struct lab *lab)
{
	struct mono until = mono_add(ctl_now(), START_US);
	char run[LAB_PATH], next[LAB_PATH + 8], path[LAB_PATH];

	for (size_t i = 0; i < lab->n_nodes; i++) {
		const struct lab_node *node = &lab->nodes[i];
		struct query_client *c;

		if (node->kind != LAB_SWITCH)
			continue;
		snprintf(next, sizeof(next), "less %s", lab_path(lab, "log", node->name, ".log", path));
		while (query_client_open(lab_path(lab, "run", node->name, "", run), SECONDS(1), &c)) {
			if (!lab_process_alive(&node->process)) {
				print_log_end(lab, node->name);
				return ctl_fail(QUERY_UNREACHABLE, next, "fabricd of %s has ended", node->name);
			}
			if (mono_due(until, ctl_now()))
				return ctl_fail(QUERY_UNREACHABLE, next, "fabricd of %s does not answer", node->name);
			poll(NULL, 0, 2);
		}
		query_client_close(c);
	}
	return QUERY_OK;
}

/* ---- the command ---- */

/* The fabricd to start: the one given, the one beside fabctl, or the installed one. */
static int
find_fabricd(struct up *up)
{
	char self[LAB_PATH] = "", *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (up->bare)
		return QUERY_OK;
	if (n > 0 && (slash = strrchr(self, '/')))
		*slash = '\0';
	snprintf(up->found, sizeof(up->found), "%.240s/fabricd", self);
	if (up->fabricd)
		snprintf(up->found, sizeof(up->found), "%.250s", up->fabricd);
	else if (access(up->found, X_OK))
		snprintf(up->found, sizeof(up->found), "/usr/sbin/fabricd");
	if (access(up->found, X_OK))
		return ctl_fail(QUERY_USAGE, "make, or give --fabricd PATH", "there is no program %s", up->found);
	return QUERY_OK;
}

static int
read_options(struct ctl *ctl, int argc, char **argv, struct up *up)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "lab", required_argument, NULL, 'n' },
		{ "hosts", no_argument, NULL, 'h' },
		{ "no-hosts", no_argument, NULL, 'H' },
		{ "bare", no_argument, NULL, 'b' },
		{ "bfd", no_argument, NULL, 'B' },
		{ "externals", no_argument, NULL, 'e' },
		{ "fabricd", required_argument, NULL, 'f' },
		{ 0 },
	};
	int c;

	*up = (struct up){ .hosts = true };
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":n:", options, NULL)) >= 0) {
		if (c == 'n')
			ctl->lab = optarg;
		else if (c == 'h' || c == 'H')
			up->hosts = c == 'h';
		else if (c == 'b')
			up->bare = true;
		else if (c == 'B')
			up->bfd = true;
		else if (c == 'e')
			up->externals = true;
		else if (c == 'f')
			up->fabricd = optarg;
		else
			return ctl_fail(QUERY_USAGE, "fabctl help lab up",
			    c == ':' ? "%s needs a value" : "lab up has no option %s", argv[optind - 1]);
	}
	if (optind != argc - 1)
		return ctl_fail(QUERY_USAGE, "fabctl lab up 4x2", "lab up takes a size (4x2) or a topology file");
	up->what = argv[optind];
	return QUERY_OK;
}

/* The file's text, and what stands in it; NULL after its errors were told. */
static struct topo *
load(struct up *up)
{
	struct topo_errors errs = { 0 };
	unsigned int leaves, spines;
	struct topo *topo;
	char *text, sizes[96];

	if (lab_size(up->what, &leaves, &spines)) {
		up->text = lab_generate(leaves, spines);
		up->len = up->text ? strlen(up->text) : 0;
	} else if (access(up->what, F_OK) && lab_size_meant(up->what, sizes, sizeof(sizes))) {
		ctl_fail(QUERY_USAGE, sizes, "a laboratory of size %s cannot be raised", up->what);
	} else {
		up->text = ctl_read_file(up->what, 4 << 20, &up->len);
	}
	if (!up->text)
		return NULL;
	topo = topo_load(up->text, up->len, &errs);
	if (errs.n && (text = topo_errors_print(&errs, up->what, up->text, up->len))) {
		fputs(text, stderr);
		free(text);
	}
	topo_errors_free(&errs);
	return topo;
}

static int
raise_lab(struct ctl *ctl, struct lab *lab, const struct up *up, const struct topo *topo)
{
	struct mono begun = ctl_now();
	int err, status = 1;
	size_t switches = 0, hosts = 0;
	pid_t pid;

	if ((err = make_folder(lab)) == -EEXIST)
		return ctl_fail(QUERY_REFUSED, "fabctl lab down, or give it another --name",
		    "a laboratory \"%s\" is there already (%s)", lab->name, lab->dir);
	if (err || (err = write_files(lab, up, topo))) {
		lab_remove(lab);
		return ctl_fail(QUERY_UNREACHABLE, NULL, "%s cannot be written: %s", lab->dir, strerror(-err));
	}
	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(build(lab, up));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
		lab_remove(lab); /* what the builder could not, from inside its namespaces */
		return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : QUERY_UNREACHABLE;
	}
	lab_clear(lab);
	if ((err = lab_load(ctl->lab, lab)))
		return ctl_fail(QUERY_UNREACHABLE, NULL, "the new laboratory cannot be read: %s", strerror(-err));
	if (!up->bare && (status = await_daemons(lab)))
		return status;
	for (size_t i = 0; i < lab->n_nodes; i++) {
		switches += topo_node_find(topo, lab->nodes[i].name) != NULL;
		hosts += lab->nodes[i].kind == LAB_HOST;
	}
	fprintf(stderr, "laboratory \"%s\": %zu switch%s, %zu host%s, %zu wire%s in %.2f s%s\n", lab->name, switches,
	    switches == 1 ? "" : "es", hosts, hosts == 1 ? "" : "s", lab->n_wires, lab->n_wires == 1 ? "" : "s",
	    (double)mono_sub(ctl_now(), begun) / 1e6, lab->holder.pid ? " (in a user namespace)" : "");
	if (topo->nexternals && !up->externals)
		fprintf(stderr, "ports to the outside are not there: with --externals each leads to a namespace\n");
	return QUERY_OK;
}

int
ctl_lab_up(struct ctl *ctl, int argc, char **argv)
{
	struct lab lab = { 0 };
	struct topo *topo;
	struct up up;
	int status, err;

	if ((status = read_options(ctl, argc, argv, &up)) || (status = find_fabricd(&up)))
		return status;
	if ((err = lab_locate(ctl->lab, lab.dir)))
		return ctl_fail(QUERY_USAGE, "letters, digits, - and _ make a name",
		    "no place for a laboratory \"%s\": %s", ctl->lab, strerror(-err));
	snprintf(lab.name, sizeof(lab.name), "%s", ctl->lab);
	if (!(topo = load(&up))) {
		free(up.text);
		return QUERY_USAGE;
	}
	lab_plan(&lab, topo, up.hosts, up.externals);
	status = raise_lab(ctl, &lab, &up, topo);
	lab_clear(&lab);
	topo_free(topo);
	free(up.text);
	return status;
}
