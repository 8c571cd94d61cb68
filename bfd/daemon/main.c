/*
 * bfd/daemon/main.c -- bfdd: real-time priority, locked memory, one clock, one socket for clients
 *
 *   --keep:  keeper (keeper.c) -> --worker FD: this process, which can die and be replaced
 *   worker:  store (what was) -> host -> first packets -> clients
 *
 * Deadlines come from a timerfd, to the microsecond: the loop's own waiting is in milliseconds. What the kernel does
 * not permit (priority, locked memory) is told once, with what to do about it, and bfdd runs on without.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bfd/daemon/guard.h"
#include "bfd/daemon/keeper.h"
#include "bfd/daemon/server.h"
#include "bfd/daemon/sockets.h"
#include "bfd/daemon/store.h"
#include "fabricd/lib/base.h"
#include "fabricd/lib/version.h"
#include "fabricd/runtime/event/event.h"

#define EXIT_USAGE  2
#define EXIT_OTHER  1
#define PRIORITY    50
#define STACK_BYTES (256 * 1024)

struct daemon {
	struct runtime *rt;
	struct mem mem;
	struct bfd_host *host;
	struct bfd_sockets *sockets;
	struct bfd_server *server;
	int clock;
	bool armed; /* the clock, since it went off last */
	struct bfd_guard *guard;
	struct rt_watch *watch;
	struct bfd_store *store; /* NULL: nothing outlives us */
	struct bfd_store_found found;
	size_t restored;
	int keeper; /* -1: none */
	struct bfd_keeper_late late;
	struct rt_watch *keeper_watch;
	bool makes_room; /* for the next one, which goes on with our sessions */
};

struct options {
	const char *path;
	bool punctual, keep, forget;
	int worker; /* descriptor; -1: this is no worker of a keeper */
};

static int
usage(void)
{
	fputs("usage: bfdd [--socket PATH] [--keep] [--no-realtime]\n"
	      "\n"
	      "  --socket PATH   where clients connect (default " BFD_SOCKET "); the sessions are kept beside it\n"
	      "  --keep          two processes: one holds the sockets and replaces the other when it dies, or,\n"
	      "                  at SIGHUP, with the program that is installed now\n"
	      "  --no-realtime   neither real-time priority nor locked memory\n"
	      "  --version       its version\n",
	    stdout);
	return 0;
}

/* Of options that cannot be used. getopt has said what is wrong with one that it does not know. */
static int
misused(const char *what, const char *given)
{
	fprintf(stderr, "bfdd: %s%s; bfdd --help shows all options\n", what, given);
	return EXIT_USAGE;
}

/* ---- the clock ---- */

static void
arm(void *arg, struct mono at)
{
	struct daemon *d = arg;
	int64_t us = at.us > 0 ? at.us : 1;
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = us % 1000000 * 1000 } };

	if (mono_is_never(at))
		memset(&when, 0, sizeof(when));
	timerfd_settime(d->clock, TFD_TIMER_ABSTIME, &when, NULL);
	bfd_guard_expect(d->guard, at);
	d->armed = true;
}

static void
on_clock(void *arg, unsigned int what)
{
	struct daemon *d = arg;
	uint64_t n;

	(void)what;
	d->armed = false;
	bfd_guard_runs(d->guard);
	bfd_host_run(d->host);
	if (d->store)
		bfd_store_alive(d->store, rt_now(d->rt));
	/* Setting it anew has made it unreadable already. */
	if (!d->armed && read(d->clock, &n, sizeof(n)) < 0 && errno != EAGAIN)
		fprintf(stderr, "bfdd: the timer cannot be read: %s\n", strerror(errno));
}

static void
on_read(void *arg)
{
	bfd_host_settle(((struct daemon *)arg)->host);
}

/* ---- priority and memory ---- */

static void
touch_stack(void)
{
	volatile uint8_t page[STACK_BYTES];

	for (size_t i = 0; i < sizeof(page); i += 4096)
		page[i] = 0;
}

/*
 * Always on the last processor that we may use, so that whoever keeps the kernel busy for long can stay away from it;
 * and where that processor does not run us in time, on the one before.
 */
static void
be_punctual(struct daemon *d)
{
	struct sched_param p = { .sched_priority = PRIORITY };
	int err;

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) < 0)
		fprintf(stderr,
		    "bfdd: no real-time priority: %s; intervals below 50 ms are at risk. Give it CAP_SYS_NICE "
		    "(systemd: "
		    "CPUSchedulingPolicy=fifo)\n",
		    strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		fprintf(stderr,
		    "bfdd: memory is not locked: %s; a swapped page can delay a packet. Give it CAP_IPC_LOCK (systemd: "
		    "LimitMEMLOCK=infinity)\n",
		    strerror(errno));
	touch_stack();
	err = bfd_guard_new(&d->mem, PRIORITY, &d->guard);
	if (err)
		fprintf(stderr, "bfdd: no guard: %s; a processor that is busy in the kernel can delay packets\n",
		    strerror(-err));
}

/* ---- the process ---- */

static void
on_stop(void *arg, int signo)
{
	struct daemon *d = arg;

	(void)signo;
	bfd_host_admin_down(d->host);
	rt_event_stop(d->rt);
}

/* For whoever looks into it: one line of figures. */
static void
on_usr1(void *arg, int signo)
{
	struct daemon *d = arg;
	struct bfd_engine_stats e;
	struct bfd_host_stats h;
	struct bfd_server_stats s;
	struct bfd_sockets_stats sockets;
	uint64_t allocs = 0;

	(void)signo;
	bfd_engine_stats(bfd_host_engine(d->host), &e);
	bfd_host_stats(d->host, &h);
	bfd_server_stats(d->server, &s);
	bfd_sockets_stats(d->sockets, &sockets);
	for (int k = 0; k < MEM_KINDS; k++)
		allocs += d->mem.by[k].allocs;
	fprintf(stderr,
	    "{\"sessions\":%zu,\"up\":%zu,\"rx\":%llu,\"tx\":%llu,\"allocs\":%llu,\"stalls\":%llu,\"stall_max_us\":%"
	    "lld,"
	    "\"run_late_p99_us\":%lld,\"run_late_max_us\":%lld,\"clients\":%zu,\"cut_off\":%llu,\"ports\":%zu,"
	    "\"send_errors\":%llu,\"overflowed\":%llu,\"sockets\":%zu,\"restored\":%zu,\"away_us\":%lld,\"moved\":%llu,"
	    "\"dropped\":{",
	    e.sessions, e.up, (unsigned long long)e.rx, (unsigned long long)e.tx, (unsigned long long)allocs,
	    (unsigned long long)e.stalls, (long long)e.stall_max, (long long)bfd_hist_p99(&e.run_late),
	    (long long)e.run_late.max_us, s.clients, (unsigned long long)s.cut_off, h.ports,
	    (unsigned long long)h.send_errors, (unsigned long long)sockets.overflowed, sockets.sockets, d->restored,
	    (long long)d->found.away_us, (unsigned long long)bfd_guard_moves(d->guard));
	for (int i = 1; i < BFD_DROPS; i++)
		fprintf(stderr, "%s\"%s\":%llu", i > 1 ? "," : "", bfd_drop_name(i), (unsigned long long)e.dropped[i]);
	fputs("}}\n", stderr);
}

/* What of our counters neither the host nor the server has. */
struct more {
	uint64_t overflowed, restored, moved;
};

static const struct counter more_list[] = {
	{ "overflowed", "packets dropped by the kernel: a queue was full", offsetof(struct more, overflowed), false },
	{ "restored", "sessions gone on with, of the process before", offsetof(struct more, restored), true },
	{ "moved", "moves to another processor: its own did not run bfdd", offsetof(struct more, moved), true },
};

static void
tell_more(void *arg, bfd_count_fn *fn, void *to)
{
	const struct daemon *d = arg;
	struct bfd_sockets_stats sockets;
	struct more more = { .restored = d->restored, .moved = bfd_guard_moves(d->guard) };
	struct counters c = { .list = more_list, .n = ARRAY_LEN(more_list), .of = &more };

	bfd_sockets_stats(d->sockets, &sockets);
	more.overflowed = sockets.overflowed;
	bfd_counters_tell(&c, NULL, fn, to);
}

/* The folder of the socket is made when it is missing; its parent must be there. */
static void
make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	if (folder && mkdir(folder, 0755) < 0 && errno != EEXIST)
		fprintf(stderr, "bfdd: %s cannot be made: %s\n", folder, strerror(errno));
	free(folder);
}

/* ---- what outlives us ---- */

/* Beside the socket: bfdd.sock -> bfdd.state. */
static void
store_path(const char *path, char *out, size_t size)
{
	size_t n = strlen(path);

	if (n > 5 && strcmp(path + n - 5, ".sock") == 0)
		n -= 5;
	snprintf(out, size, "%.*s.state", (int)n, path);
}

static void
open_store(struct daemon *d, const struct options *o, uint64_t seed)
{
	char path[PATH_MAX];

	store_path(o->path, path, sizeof(path));
	d->store = bfd_store_open(&d->mem, path, seed, o->forget, rt_clock(d->rt), &d->found);
	if (!d->store)
		fprintf(
		    stderr, "bfdd: %s cannot be used: %s; sessions will not outlive a crash\n", path, strerror(errno));
	else if (d->found.away_us >= 0 && d->found.image.damaged)
		fprintf(stderr, "bfdd: %s: %u sessions are damaged and begin anew\n", path, d->found.image.damaged);
	else if (d->found.why && strcmp(d->found.why, "there is none") != 0)
		fprintf(stderr, "bfdd: %s is not gone on with: %s; all sessions begin anew\n", path, d->found.why);
}

/* The first packets go out before anything else is done. */
static void
go_on(struct daemon *d)
{
	if (d->store && d->found.away_us >= 0)
		d->restored = bfd_store_restore(d->store, d->host);
	bfd_host_run(d->host);
	bfd_sockets_settle(d->sockets);
	if (d->restored)
		fprintf(stderr, "bfdd: %zu sessions go on after %lld.%03lld ms without packets\n", d->restored,
		    (long long)d->found.away_us / 1000, (long long)d->found.away_us % 1000);
}

static void
on_kept(void *arg, const struct bfd_fd_key *key, int fd)
{
	bfd_sockets_adopt(((struct daemon *)arg)->sockets, key, fd);
}

static void
on_keep(void *arg, const struct bfd_fd_key *key, int fd)
{
	struct daemon *d = arg;

	if (bfd_keeper_keep(d->keeper, &d->late, key, fd) && d->keeper_watch)
		rt_watch_set(d->keeper_watch, RT_READ | RT_WRITE);
}

static void
on_keeper(void *arg, unsigned int what)
{
	struct daemon *d = arg;
	int word = bfd_keeper_wants_room(d->keeper);
	bool late = bfd_keeper_flush(d->keeper, &d->late);
	bool over = word < 0;

	(void)what;
	d->makes_room |= word > 0;
	if (d->makes_room && !late) { /* all that is ours it has */
		rt_event_stop(d->rt);
		over = true;
	}
	rt_watch_set(d->keeper_watch, over ? 0 : late ? RT_READ | RT_WRITE : RT_READ);
}

static int
serve(struct daemon *d, const struct options *o)
{
	struct bfd_host_config cfg = { .rt = d->rt,
		.mem = &d->mem,
		.arm = arm,
		.arg = d,
		.open = bfd_sockets_open,
		.attend = bfd_sockets_attend,
		.keep = bfd_store_keep };
	struct bfd_sockets_config sockets = {
		.rt = d->rt, .mem = &d->mem, .read = on_read, .keep = d->keeper >= 0 ? on_keep : NULL, .arg = d
	};
	int err;

	d->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (d->clock < 0 || (err = rt_watch_new(d->rt, d->clock, on_clock, d, &d->watch))) {
		fprintf(stderr, "bfdd: no timer: %s\n", strerror(errno));
		return EXIT_OTHER;
	}
	rt_watch_set(d->watch, RT_READ);
	d->sockets = cfg.io = bfd_sockets_new(&sockets);
	if (d->keeper >= 0) {
		err = bfd_keeper_wait(d->keeper, on_kept, d);
		if (err || rt_watch_new(d->rt, d->keeper, on_keeper, d, &d->keeper_watch)) {
			bfd_sockets_free(d->sockets);
			return EXIT_OTHER; /* nobody waits for us any more */
		}
		rt_watch_set(d->keeper_watch, RT_READ);
	}
	make_folder(o->path);
	cfg.seed = rt_random(d->rt);
	open_store(d, o, cfg.seed);
	if (d->store)
		cfg.seed = d->found.seed;
	else
		cfg.keep = NULL;
	cfg.tag = d->store ? d->found.tag : bfd_engine_tag_of(cfg.seed);
	cfg.store = d->store;
	bfd_sockets_set_tag(d->sockets, cfg.tag);
	d->host = bfd_host_new(&cfg);
	go_on(d);
	err = bfd_server_new(d->rt, &d->mem, d->host, o->path, 0660, &d->server);
	if (err)
		fprintf(stderr, "bfdd: %s: %s; %s\n", o->path, strerror(-err),
		    err == -EADDRINUSE ? "another bfdd listens there: end it first, or give another --socket"
				       : "give another --socket");
	if (!err) {
		bfd_server_more_counters(d->server, tell_more, d);
		rt_event_signal(d->rt, SIGTERM, on_stop, d);
		rt_event_signal(d->rt, SIGINT, on_stop, d);
		rt_event_signal(d->rt, SIGUSR1, on_usr1, d);
		err = rt_event_run(d->rt);
		if (err)
			fprintf(stderr, "bfdd: the event loop failed: %s\n", strerror(-err));
	}
	if (d->makes_room) /* at once, and as a crash would: all that matters is in the store and with the keeper */
		_exit(0);
	/* Sessions that were told AdminDown are over. */
	bfd_store_close(d->store, !err);
	d->store = NULL;
	bfd_host_forget(d->host);
	bfd_server_free(d->server);
	bfd_host_free(d->host);
	bfd_sockets_free(d->sockets);
	return err ? EXIT_OTHER : 0;
}

/* As many descriptors as may be: each session takes one, each port three. */
static void
more_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = MIN_OF(limit.rlim_max, 65536u);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int
keep(const struct options *o)
{
	const struct sched_param p = { .sched_priority = PRIORITY + 1 }; /* a worker that spins must not keep it out */
	const char *args[] = { "--socket", o->path, o->punctual ? NULL : "--no-realtime", NULL };

	/* A new worker is needed the most when the machine is busy; what is not permitted, the worker tells. */
	if (o->punctual) {
		sched_setscheduler(0, SCHED_FIFO, &p);
		mlockall(MCL_CURRENT);
	}
	return bfd_keeper_run(args);
}

static int
work(const struct options *o)
{
	struct daemon d = { .clock = -1, .keeper = o->worker };
	int code;

	d.rt = rt_event_new(&d.mem);
	if (!d.rt) {
		fprintf(stderr, "bfdd: no event loop: %s\n", strerror(errno));
		return EXIT_OTHER;
	}
	if (o->punctual)
		be_punctual(&d);
	code = serve(&d, o);
	bfd_guard_free(d.guard);
	rt_watch_free(d.keeper_watch);
	bfd_keeper_late_free(&d.late);
	rt_watch_free(d.watch);
	rt_event_free(d.rt);
	if (d.clock >= 0)
		close(d.clock);
	return code;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "no-realtime", no_argument, NULL, 'n' },
		{ "keep", no_argument, NULL, 'k' },
		{ "worker", required_argument, NULL, 'w' }, /* by the keeper alone */
		{ "forget", no_argument, NULL, 'f' },       /* too */
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options o = { .path = BFD_SOCKET, .punctual = true, .worker = -1 };
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 's')
			o.path = optarg;
		else if (c == 'n')
			o.punctual = false;
		else if (c == 'k')
			o.keep = true;
		else if (c == 'f')
			o.forget = true;
		else if (c == 'w')
			o.worker = atoi(optarg);
		else
			return c == 'h'   ? usage()
			       : c == 'v' ? !printf("bfdd %s\n", FABRICD_VERSION)
					  : misused("an option cannot be used", "");
	}
	if (optind != argc)
		return misused("takes no arguments, and was given ", argv[optind]);
	more_descriptors();
	return o.keep && o.worker < 0 ? keep(&o) : work(&o);
}
