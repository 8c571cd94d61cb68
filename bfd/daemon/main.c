/*
 * bfd/daemon/main.c -- bfdd: real-time priority, locked memory, one clock, one socket for clients
 *
 * Deadlines come from a timerfd, to the microsecond: the loop's own waiting is in milliseconds. What the kernel does
 * not permit (priority, locked memory) is told once, with what to do about it, and bfdd runs on without.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bfd/daemon/server.h"
#include "bfd/daemon/sockets.h"
#include "fabricd/lib/base.h"
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
	struct rt_watch *watch;
};

static int
usage(FILE *out, int code)
{
	fputs("usage: bfdd [--socket PATH] [--no-realtime]\n"
	      "\n"
	      "  --socket PATH   where clients connect (default " BFD_SOCKET ")\n"
	      "  --no-realtime   neither real-time priority nor locked memory\n",
	    out);
	return code;
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
	d->armed = true;
}

static void
on_clock(void *arg, unsigned int what)
{
	struct daemon *d = arg;
	uint64_t n;

	(void)what;
	d->armed = false;
	bfd_host_run(d->host);
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

static void
be_punctual(void)
{
	struct sched_param p = { .sched_priority = PRIORITY };

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
	uint64_t allocs = 0;

	(void)signo;
	bfd_engine_stats(bfd_host_engine(d->host), &e);
	bfd_host_stats(d->host, &h);
	bfd_server_stats(d->server, &s);
	for (int k = 0; k < MEM_KINDS; k++)
		allocs += d->mem.by[k].allocs;
	fprintf(stderr,
	    "{\"sessions\":%zu,\"up\":%zu,\"rx\":%llu,\"tx\":%llu,\"allocs\":%llu,\"stalls\":%llu,\"stall_max_us\":%"
	    "lld,"
	    "\"run_late_p99_us\":%lld,\"run_late_max_us\":%lld,\"clients\":%zu,\"cut_off\":%llu,\"ports\":%zu,"
	    "\"send_errors\":%llu,\"dropped\":{",
	    e.sessions, e.up, (unsigned long long)e.rx, (unsigned long long)e.tx, (unsigned long long)allocs,
	    (unsigned long long)e.stalls, (long long)e.stall_max, (long long)bfd_hist_quantile(&e.run_late, 990),
	    (long long)e.run_late.max_us, s.clients, (unsigned long long)s.cut_off, h.ports,
	    (unsigned long long)h.send_errors);
	for (int i = 1; i < BFD_DROPS; i++)
		fprintf(stderr, "%s\"%s\":%llu", i > 1 ? "," : "", bfd_drop_name(i), (unsigned long long)e.dropped[i]);
	fputs("}}\n", stderr);
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

static int
serve(struct daemon *d, const char *path)
{
	struct bfd_host_config cfg = { .rt = d->rt,
		.mem = &d->mem,
		.seed = rt_random(d->rt),
		.arm = arm,
		.arg = d,
		.open = bfd_sockets_open,
		.attend = bfd_sockets_attend };
	struct bfd_sockets_config sockets = { .rt = d->rt, .mem = &d->mem, .read = on_read, .arg = d };
	int err;

	d->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (d->clock < 0 || (err = rt_watch_new(d->rt, d->clock, on_clock, d, &d->watch))) {
		fprintf(stderr, "bfdd: no timer: %s\n", strerror(errno));
		return EXIT_OTHER;
	}
	rt_watch_set(d->watch, RT_READ);
	sockets.tag = bfd_engine_tag_of(cfg.seed);
	d->sockets = cfg.io = bfd_sockets_new(&sockets);
	d->host = bfd_host_new(&cfg);
	make_folder(path);
	err = bfd_server_new(d->rt, &d->mem, d->host, path, 0660, &d->server);
	if (err) {
		fprintf(stderr, "bfdd: %s: %s; %s\n", path, strerror(-err),
		    err == -EADDRINUSE ? "another bfdd listens there: end it first, or give another --socket"
				       : "give another --socket");
		bfd_host_free(d->host);
		return EXIT_OTHER;
	}
	rt_event_signal(d->rt, SIGTERM, on_stop, d);
	rt_event_signal(d->rt, SIGINT, on_stop, d);
	rt_event_signal(d->rt, SIGUSR1, on_usr1, d);
	err = rt_event_run(d->rt);
	if (err)
		fprintf(stderr, "bfdd: the event loop failed: %s\n", strerror(-err));
	bfd_server_free(d->server);
	bfd_host_free(d->host);
	bfd_sockets_free(d->sockets);
	return err ? EXIT_OTHER : 0;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "no-realtime", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct daemon d = { .clock = -1 };
	const char *path = BFD_SOCKET;
	bool punctual = true;
	int c, code;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 's')
			path = optarg;
		else if (c == 'n')
			punctual = false;
		else
			return c == 'h' ? usage(stdout, 0) : usage(stderr, EXIT_USAGE);
	}
	if (optind != argc)
		return usage(stderr, EXIT_USAGE);
	d.rt = rt_event_new(&d.mem);
	if (!d.rt) {
		fprintf(stderr, "bfdd: no event loop: %s\n", strerror(errno));
		return EXIT_OTHER;
	}
	if (punctual)
		be_punctual();
	code = serve(&d, path);
	rt_watch_free(d.watch);
	rt_event_free(d.rt);
	if (d.clock >= 0)
		close(d.clock);
	return code;
}
