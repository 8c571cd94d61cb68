/*
 * fabricd/main.c -- the daemon: options, file, lock, loop
 *
 * Order matters: all that can be wrong with options and file is told before anything of the switch is touched. From
 * node_new() on, nothing that comes from outside ends the process but a signal that asks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bfd/bfd.h"
#include "fabricd/node.h"
#include "fabricd/query/views.h"
#include "fabricd/lib/version.h"
#include "fabricd/runtime/event/event.h"
#include "fabricd/upgrade/channel.h"
#include "fabricd/upgrade/crashes.h"
#include "fabricd/upgrade/giver.h"
#include "fabricd/upgrade/notify.h"
#include "fabricd/upgrade/taker.h"
#include "platform/linux/linux.h"
#include "platform/model/model.h"
#include "platform/null/null.h"

#define RUN_DIR    "/run/fabricd"
#define KEY_DIR    "/etc/fabricd/keys"
#define MAX_FILE   (4u << 20) /* of a topology file */
#define READ_TRIES 10         /* of a file that is being written */
#define LINGER_US  MS(200)    /* for the last messages to leave */

#define EXIT_USAGE 2
#define EXIT_OTHER 1
#define EXIT_LOOP  3  /* it crashed too often: the supervisor must not start it again */
#define ENDED      -1 /* as it was asked to, before it had begun: exit code 0 */

struct options {
	const char *topology, *node, *run_dir, *platform, *key_dir;
	bool back_off;
	int takeover; /* channel of a fabricd that gives way to us, or -1 */
	char **argv;
	char self[4096]; /* path of this program */
};

struct daemon {
	struct runtime *rt;
	struct node *node;
	struct rt_timer *linger;
	struct mem mem; /* of what is not the node's */
	uint32_t hups;
	const char *key_dir, *run_dir;
	struct query_server *query;
	struct giver *giver;
	struct taker *taker; /* NULL: it was no upgrade, or is over */
	int lock;
};

static void
help(void)
{
	fputs(
	    "usage: fabricd --topology FILE --node NAME [--run-dir DIR] [--key-dir DIR] [--back-off] "
	    "[--platform linux|model|null]\n"
	    "\n"
	    "  --topology FILE   the fabric's topology file\n"
	    "  --node NAME       which switch of it this is\n"
	    "  --run-dir DIR     where the socket and the lock are (default " RUN_DIR ")\n"
	    "  --key-dir DIR     where the key files of `auth` are (default " KEY_DIR ")\n"
	    "  --back-off        after a crash: wait 0, 1, 2, 4 ... s, and after five in ten minutes stay down (exit\n"
	    "                    code 3); the service manager starts it again in between\n"
	    "  --platform NAME   linux (default); model: forwards in memory; null: ports alone, no routes\n"
	    "  --takeover FD     used by `fabctl upgrade`: the fabricd at the other end gives way to this one\n"
	    "  --version         its version, and that of what it hands over\n",
	    stdout);
}

/* Of options that cannot be used: what is wrong, and where to read on. Returns the exit code. */
PRINTF_LIKE(1, 2)
static int
misused(const char *fmt, ...)
{
	va_list ap;

	fputs("fabricd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; fabricd --help shows all options\n", stderr);
	return EXIT_USAGE;
}

static bool
is_platform(const char *name)
{
	static const char *const names[] = { "linux", "model", "null" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* A number that names an open file; -1: it is none. */
static int
read_descriptor(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return end != text && !*end && n >= 0 && n <= INT_MAX && fcntl((int)n, F_GETFD) >= 0 ? (int)n : -1;
}

static int
check_options(const struct options *o, const char *extra)
{
	if (extra)
		return misused("\"%s\" is more than was asked for", extra);
	if (!o->topology || !o->node)
		return misused("%s is missing", o->topology ? "--node NAME"
						: o->node   ? "--topology FILE"
							    : "--topology FILE --node NAME");
	if (!is_platform(o->platform))
		return misused("there is no platform \"%s\"; there are linux, model and null", o->platform);
	return 0;
}

/* 0, or the exit code. */
static int
read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "topology", required_argument, NULL, 't' },
		{ "node", required_argument, NULL, 'n' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "platform", required_argument, NULL, 'p' },
		{ "key-dir", required_argument, NULL, 'k' },
		{ "back-off", no_argument, NULL, 'b' },
		{ "takeover", required_argument, NULL, 'o' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	*o = (struct options){
		.run_dir = RUN_DIR, .platform = "linux", .key_dir = KEY_DIR, .takeover = -1, .argv = argv
	};
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			o->topology = optarg;
			break;
		case 'n':
			o->node = optarg;
			break;
		case 'r':
			o->run_dir = optarg;
			break;
		case 'p':
			o->platform = optarg;
			break;
		case 'k':
			o->key_dir = optarg;
			break;
		case 'b':
			o->back_off = true;
			break;
		case 'o':
			o->takeover = read_descriptor(optarg);
			if (o->takeover < 0)
				return misused("--takeover %s: that is no open descriptor", optarg);
			break;
		case 'v':
			printf("fabricd %s (hands over: protocol %u, format %u)\n", FABRICD_VERSION, CHANNEL_PROTOCOL,
			    SNAPSHOT_FORMAT);
			exit(0);
		case 'h':
			help();
			exit(0);
		default:
			return misused("an option cannot be used");
		}
	}
	return check_options(o, optind < argc ? argv[optind] : NULL);
}

/* What an open file holds, `max` + 1 bytes at most; *len is how much. Returns 0 or -errno. */
static int
read_all(int fd, char *text, size_t max, size_t *len)
{
	ssize_t n;

	*len = 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while (*len <= max && (n = read(fd, text + *len, max + 1 - *len)) != 0) {
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/*
 * The whole file; NULL with a message. One open descriptor: a file that is exchanged meanwhile is read as it was. One
 * that is written in place is read again until nothing has changed from before to after.
 */
static char *
read_file(const char *path, size_t max, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), e = 0;
	struct stat before, after;
	char *text = NULL;
	bool same = false;

	*len = 0;
	if (fd < 0 || fstat(fd, &after) < 0)
		e = errno;
	else if (!S_ISREG(after.st_mode))
		e = S_ISDIR(after.st_mode) ? EISDIR : EINVAL;
	else if (!(text = malloc(max + 2)))
		e = ENOMEM;
	for (int i = 0; i < READ_TRIES && !e && !same; i++) {
		before = after;
		e = -read_all(fd, text, max, len);
		if (!e && fstat(fd, &after) < 0)
			e = errno;
		same = before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
		       before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
	}
	if (fd >= 0)
		close(fd);
	if (!e && same) {
		text[*len] = '\0';
		return text;
	}
	if (e)
		fprintf(stderr, "fabricd: %s cannot be read: %s\n", path, strerror(e));
	else
		fprintf(stderr, "fabricd: %s changes while it is read; write another file, and rename that\n", path);
	free(text);
	return NULL;
}

static struct topo *
load(const char *path)
{
	struct topo_errors errs = { 0 };
	struct topo *t;
	size_t len;
	char *text = read_file(path, MAX_FILE, &len), *print;

	if (!text)
		return NULL;
	t = topo_load(text, len, &errs);
	if (errs.n) {
		print = topo_errors_print(&errs, path, text, len);
		fputs(print, stderr);
		free(print);
	}
	if (!t)
		fprintf(stderr, "fabricd: not started: %zu error%s in %s\n", topo_errors_count(&errs, TOPO_ERROR),
		    topo_errors_count(&errs, TOPO_ERROR) == 1 ? "" : "s", path);
	topo_errors_free(&errs);
	free(text);
	return t;
}

static void
write_pid(int lock)
{
	/* Its offset is shared with whoever had the lock before. */
	if (ftruncate(lock, 0) == 0 && lseek(lock, 0, SEEK_SET) == 0)
		dprintf(lock, "%d\n", (int)getpid());
}

/* A descriptor that holds the lock as long as the process lives; -1 with a message. */
static int
take_lock(const char *dir)
{
	char path[4096];
	int fd;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "fabricd: %s cannot be made: %s; give another --run-dir\n", dir, strerror(errno));
		return -1;
	}
	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		fprintf(stderr, "fabricd: %s cannot be opened: %s; give another --run-dir\n", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		fprintf(stderr,
		    "fabricd: another fabricd runs on this switch (it holds %s); end it first, or give another "
		    "--run-dir\n",
		    path);
		close(fd);
		return -1;
	}
	write_pid(fd);
	return fd;
}

static struct platform *
open_platform(struct runtime *rt, struct mem *mem, const char *name)
{
	struct linux_options o = { 0 };
	struct platform *p = NULL;
	char err[256] = "out of memory";

	if (strcmp(name, "linux") == 0)
		p = linux_platform_open(rt, mem, &o, err, sizeof(err));
	else if (strcmp(name, "model") == 0)
		p = model_open(rt, mem, NULL, NULL, NULL);
	else
		p = (p = linux_platform_open(rt, mem, &o, err, sizeof(err)))
			? null_platform_open(rt, mem, p, err, sizeof(err))
			: NULL;
	if (!p)
		fprintf(stderr, "fabricd: platform %s: %s\n", name, err);
	return p;
}

/* One JSON object a line, for whatever collects stderr. */
static void
log_event(void *arg, const struct journal_event *e)
{
	char when[QUERY_TIME_TEXT];
	json_t *j = json_pack("{s:s, s:I, s:s, s:s, s:s}", "time", query_time_print(e->wall_us, when), "id",
	    (json_int_t)e->id, "event", e->type, "port", e->port, "text", e->text);
	char *line;

	(void)arg;
	if (j && e->cause)
		json_object_set_new(j, "cause", json_integer((json_int_t)e->cause));
	if (j && e->suppressed)
		json_object_set_new(j, "suppressed", json_integer(e->suppressed));
	line = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (line)
		fprintf(stderr, "%s\n", line);
	free(line);
	json_decref(j);
}

static int
read_key(void *arg, const char *name, char **key)
{
	const struct daemon *d = arg;
	char path[4096];
	struct stat st;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", d->key_dir, name);
	if (strchr(name, '/') || stat(path, &st) < 0)
		return -ENOENT;
	if (st.st_mode & 077)
		return -EACCES; /* others could read it */
	*key = read_file(path, 4096, &len);
	if (!*key)
		return -EIO;
	(*key)[strcspn(*key, "\r\n")] = '\0';
	if (**key)
		return 0;
	free(*key);
	*key = NULL;
	return -ENODATA;
}

static void
lingered(void *arg)
{
	struct daemon *d = arg;

	rt_event_stop(d->rt);
}

static void
on_stop(void *arg, int signo)
{
	struct daemon *d = arg;

	if (d->taker) /* not in charge yet: the other one goes on */
		_exit(0);
	if (d->node->given) { /* the supervisor, or who looked up our id, means fabricd */
		kill((pid_t)giver_report(d->giver)->pid, signo);
		_exit(0);
	}
	giver_cancel(d->giver, "fabricd is being ended");
	node_stop(d->node, signo == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM");
	rt_timer_set(d->linger, mono_add(rt_now(d->rt), LINGER_US));
}

static void
on_hup(void *arg, int signo)
{
	struct daemon *d = arg;

	(void)signo;
	if (d->hups++ == 0)
		node_event(d->node, "SIGHUP", "", 0, "ignored: a changed file takes effect with a restart of fabricd");
}

static int
run(struct daemon *d)
{
	int e;

	d->linger = rt_timer_new(d->rt, lingered, d);
	rt_event_signal(d->rt, SIGTERM, on_stop, d);
	rt_event_signal(d->rt, SIGINT, on_stop, d);
	rt_event_signal(d->rt, SIGHUP, on_hup, d);
	e = rt_event_run(d->rt);
	if (e)
		fprintf(stderr, "fabricd: the event loop failed: %s\n", strerror(-e));
	rt_timer_free(d->linger);
	return e ? EXIT_OTHER : 0;
}

static void
bfdd_told(void *arg, bool connected)
{
	struct daemon *d = arg;

	if (d->node)
		node_bfd_told(d->node, connected);
}

/* Beside the lock and our socket; where bfdd is by default when they are. */
static struct bfd_client *
open_bfd(struct daemon *d, const char *run_dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/bfdd.sock", run_dir);
	return bfd_client_new(d->rt, &d->mem, strcmp(run_dir, RUN_DIR) == 0 ? BFD_SOCKET : path, bfdd_told, d);
}

/* ---- upgrade ---- */

static int
query_listener(void *arg, struct rt_parcel *out)
{
	const struct daemon *d = arg;

	return d->query ? query_server_pack(d->query, out) : -ENOENT;
}

static void
tell_main_pid(int pid)
{
	char lines[64];
	int e;

	snprintf(lines, sizeof(lines), "MAINPID=%d\n", pid);
	e = notify_supervisor(getenv("NOTIFY_SOCKET"), lines);
	if (e)
		fprintf(stderr, "fabricd: systemd was not told that %d is the main process: %s\n", pid, strerror(-e));
}

/* It has told the supervisor itself; but is that one told to listen to the main process alone, it knows only now. */
static void
given(void *arg, int successor)
{
	struct daemon *d = arg;

	if (d->query)
		query_server_retire(d->query);
	tell_main_pid(successor);
}

static void
kept(void *arg)
{
	(void)arg;
	tell_main_pid((int)getpid());
}

static void
announce(void *arg)
{
	(void)arg;
	tell_main_pid((int)getpid());
}

static bool
owes(void *arg)
{
	const struct daemon *d = arg;

	return d->query && query_server_owes(d->query);
}

/* Sockets, their files and the lock are the successor's: they are not touched any more. */
static void
gone(void *arg, int code)
{
	(void)arg;
	_exit(code);
}

static int
upgrade_begin(void *arg, const char *binary, char *err, size_t errlen)
{
	struct daemon *d = arg;

	return giver_begin(d->giver, binary, err, errlen);
}

static const struct node_upgrade_report *
upgrade_report(void *arg)
{
	const struct daemon *d = arg;

	return giver_report(d->giver);
}

static const struct node_upgrader upgrader = { .begin = upgrade_begin, .report = upgrade_report };

static void
taken_over(void *arg)
{
	struct daemon *d = arg;
	struct rt_parcel query;
	int e = 0;

	write_pid(d->lock);
	if (taker_query(d->taker, &query))
		e = node_query_adopt(d->node, d->run_dir, (uint32_t)geteuid(), &query, &d->query);
	if (e)
		fprintf(stderr, "fabricd: no queries are answered in %s: %s\n", d->run_dir, strerror(-e));
	node_event(d->node, "UPGRADED", "", 0, "fabricd %s is in charge; %s was before it", FABRICD_VERSION,
	    taker_facts(d->taker)->version);
	d->taker = NULL;
}

static void
not_taken_over(void *arg)
{
	(void)arg;
	_exit(EXIT_OTHER);
}

static const struct taker_ops taker_ops = { .announce = announce, .running = taken_over, .failed = not_taken_over };

/* For who reads the journal of the new process: the old one's is gone with it. */
static void
tell_crashes(struct node *n, const struct crashes *c)
{
	if (c && c->unclean)
		node_event(n, "CRASHED", "", 0,
		    "the fabricd before this one crashed, or could not start; %zu did so in the last ten minutes",
		    c->n);
}

/* For `systemctl status`, which names an exit code otherwise. */
static void
tell_not_started(const char *why, const char *what)
{
	char lines[640];

	snprintf(lines, sizeof(lines), "STATUS=not started: %s%s%s; journalctl -u fabricd has more\n", why,
	    *what ? ": " : "", what);
	notify_supervisor(getenv("NOTIFY_SOCKET"), lines);
}

static int
serve(const struct options *o, const struct topo *topo, int lock, struct taker *taker, const struct crashes *crashes)
{
	struct daemon d = { .key_dir = o->key_dir, .run_dir = o->run_dir, .lock = lock, .taker = taker };
	struct giver_config give = { .argv = o->argv,
		.self = o->self,
		.lock = lock,
		.query = query_listener,
		.given = given,
		.kept = kept,
		.owes = owes,
		.gone = gone,
		.arg = &d };
	struct platform *platform;
	struct node_config cfg = { .topo = topo,
		.name = o->node,
		.key_dir = o->key_dir,
		.arg = &d,
		.read_key = read_key,
		.upgrader = &upgrader,
		.inherit = taker ? taker_inherit(taker) : NULL,
		.log = log_event,
		.no_fib = strcmp(o->platform, "null") == 0 };
	char err[512];
	int e, code = EXIT_OTHER;

	d.rt = rt_event_new(&d.mem);
	if (!d.rt) {
		fprintf(stderr, "fabricd: no event loop: %s\n", strerror(errno));
		return EXIT_OTHER;
	}
	platform = open_platform(d.rt, &d.mem, o->platform);
	if (!platform)
		goto free_runtime;
	cfg.rt = d.rt;
	cfg.platform = platform;
	cfg.bfd = open_bfd(&d, o->run_dir);
	e = node_new(&cfg, &d.node, err, sizeof(err));
	if (e) {
		fprintf(stderr, "fabricd: %s\n", err);
		if (!taker)
			tell_not_started(err, "");
		code = e == -ENOENT ? EXIT_USAGE : EXIT_OTHER;
		goto close_bfd;
	}
	tell_crashes(d.node, crashes);
	give.rt = d.rt;
	give.mem = &d.mem;
	give.node = d.node;
	d.giver = giver_new(&give);
	if (taker && taker_start(taker, d.node, &taker_ops, &d))
		_exit(EXIT_OTHER);
	e = taker ? 0 : node_query_open(d.node, o->run_dir, (uint32_t)geteuid(), &d.query);
	if (e)
		fprintf(stderr, "fabricd: no queries are answered in %s: %s\n", o->run_dir, strerror(-e));
	if (!taker)
		notify_supervisor(getenv("NOTIFY_SOCKET"), "READY=1\n");
	code = run(&d);
	query_server_free(d.query);
	giver_free(d.giver);
	node_free(d.node);
close_bfd:
	bfd_client_free(cfg.bfd, true); /* a stop may be half of a restart: nobody knows, and BFD tells the truth */
	platform->ops->close(platform);
free_runtime:
	rt_event_free(d.rt);
	return code;
}

/* Waits as long as it must; false: SIGTERM or SIGINT came. */
static bool
wait_out(int64_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	sigset_t stop;
	int got;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	do {
		got = sigtimedwait(&stop, NULL, &ts);
	} while (got < 0 && errno == EINTR);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	return got < 0;
}

/* 0: it may start; else the exit code, or ENDED. c->unclean: the last one crashed. */
static int
back_off(const struct options *o, struct crashes *c)
{
	char lines[160];
	int64_t ms;
	int e;

	crashes_read(o->run_dir, crashes_now(), c);
	ms = crashes_wait(c);
	if (ms == CRASHES_NEVER) {
		snprintf(lines, sizeof(lines),
		    "STATUS=crashed %zu times in ten minutes: stays down, forwarding as it was\n", c->n);
		fprintf(stderr,
		    "fabricd: ALARM: it crashed %zu times in ten minutes, and stays down. Forwarding is "
		    "as it was, "
		    "but nobody keeps it up to date. See `journalctl -u fabricd` and `coredumpctl`; start it again by "
		    "`systemctl start fabricd`\n",
		    c->n);
		notify_supervisor(getenv("NOTIFY_SOCKET"), lines);
	} else if (ms) {
		snprintf(lines, sizeof(lines), "STATUS=crash %zu in ten minutes: starts in %lld s\n", c->n,
		    (long long)ms / 1000);
		fprintf(stderr, "fabricd: it crashed %zu times in ten minutes: starts in %lld s\n", c->n,
		    (long long)ms / 1000);
		notify_supervisor(getenv("NOTIFY_SOCKET"), lines);
	}
	e = crashes_write(o->run_dir, c, false);
	if (!e && ms != CRASHES_NEVER) {
		if (ms && !wait_out(ms))
			return ENDED;
		e = crashes_write(o->run_dir, c, true);
	}
	if (e)
		fprintf(stderr, "fabricd: %s/crashes cannot be written: %s; crashes are not counted\n", o->run_dir,
		    strerror(-e));
	if (ms == CRASHES_NEVER)
		return EXIT_LOOP; /* its status stays */
	if (ms)
		notify_supervisor(getenv("NOTIFY_SOCKET"), "STATUS=\n");
	return 0;
}

/* Nothing but a signal that asks for it ends this process. SIGHUP, SIGTERM and SIGINT get a handler in run(). */
static void
ignore_strays(void)
{
	static const int strays[] = { SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO };

	for (size_t i = 0; i < ARRAY_LEN(strays); i++)
		signal(strays[i], SIG_IGN);
}

/* Also when it was replaced on the disk since: then the new one stands there. */
static void
find_self(struct options *o)
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", o->self, sizeof(o->self) - 1);
	size_t len = n > 0 ? (size_t)n : 0, tail = sizeof(deleted) - 1;

	o->self[len] = '\0';
	if (len > tail && strcmp(o->self + len - tail, deleted) == 0)
		o->self[len - tail] = '\0';
}

/* As the successor of a fabricd that runs: it ends us, or gives us all that it has. */
static int
succeed(const struct options *o, struct mem *mem)
{
	char err[256];
	struct taker *t = taker_open(mem, o->takeover, err, sizeof(err));
	struct topo *topo;
	int code = EXIT_OTHER;

	if (!t) {
		fprintf(stderr, "fabricd: %s\n", err);
		return EXIT_USAGE;
	}
	topo = load(o->topology);
	if (!topo) {
		taker_fail(t, "the topology file %s cannot be used; see the log", o->topology);
		code = EXIT_USAGE;
	} else if (taker_hello(t, topo, o->node) == 0 && taker_receive(t) == 0) {
		code = serve(o, topo, taker_lock(t), t, NULL);
		if (o->back_off && code == 0)
			crashes_end(o->run_dir);
	}
	taker_free(t);
	topo_free(topo);
	return code;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct mem mem = { 0 };
	struct crashes crashes = { 0 };
	struct topo *topo;
	int lock, code = read_options(argc, argv, &o);

	if (code)
		return code;
	find_self(&o);
	ignore_strays();
	if (o.takeover >= 0)
		return succeed(&o, &mem);
	topo = load(o.topology);
	if (!topo) {
		tell_not_started("its topology file cannot be used", o.topology);
		return EXIT_USAGE;
	}
	lock = take_lock(o.run_dir);
	code = lock < 0 ? EXIT_OTHER : o.back_off ? back_off(&o, &crashes) : 0;
	if (!code) {
		code = serve(&o, topo, lock, NULL, o.back_off ? &crashes : NULL);
		if (o.back_off && code == 0)
			crashes_write(o.run_dir, &crashes, false);
	}
	topo_free(topo);
	return code == ENDED ? 0 : code;
}
