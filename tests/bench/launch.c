/*
 * tests/bench/launch.c -- starts many programs in many network namespaces as fast as the machine can
 *
 *   launch JOBS      one job a line, fields separated by tabs: NAME NAMESPACE LOG WAIT_FOR PROGRAM ARG...
 *
 * A job is started once the path WAIT_FOR exists ("-": at once); jobs that wait do not hold up those behind them.
 * Each start prints {"name","pid","t"} and each end {"name","pid","status","t"} on stdout, t in ns of CLOCK_MONOTONIC.
 * When stdin ends, everything still running gets SIGTERM, and SIGKILL five seconds later: nothing outlives the
 * launcher, which itself dies with its parent.
 */
#include <signal.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include "tool.h"

#define ARGS 64

struct job {
	char *name, *ns, *log, *wait_for, *argv[ARGS];
	pid_t pid;
	bool done;
};

static struct job *jobs;
static size_t njobs, ended;

static void
load(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		char *rest = take(strdup(line));
		struct job *j;
		size_t n = 0;

		rest[strcspn(rest, "\n")] = '\0';
		jobs = take(realloc(jobs, (njobs + 1) * sizeof(*jobs)));
		j = memset(&jobs[njobs++], 0, sizeof(*jobs));
		j->name = strsep(&rest, "\t");
		j->ns = strsep(&rest, "\t");
		j->log = strsep(&rest, "\t");
		j->wait_for = strsep(&rest, "\t");
		while (rest && n < ARGS - 1)
			j->argv[n++] = strsep(&rest, "\t");
		if (!n)
			die("%s: a job needs NAME NAMESPACE LOG WAIT_FOR PROGRAM: %s", path, line);
	}
	free(line);
	fclose(f);
}

static void
start(struct job *j)
{
	int64_t t = now_ns();

	j->pid = fork();
	if (j->pid < 0)
		die("fork: %s", strerror(errno));
	if (j->pid == 0) {
		sigset_t none;
		int fd;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter_ns(j->ns);
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0 || dup2(fd, 0) < 0)
			die("/dev/null: %s", strerror(errno));
		fd = open(j->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			die("%s: %s", j->log, strerror(errno));
		execv(j->argv[0], j->argv);
		die("%s: %s", j->argv[0], strerror(errno));
	}
	printf(
	    "{\"event\": \"start\", \"name\": \"%s\", \"pid\": %d, \"t\": %lld}\n", j->name, (int)j->pid, (long long)t);
}

static void
reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < njobs; i++)
			if (jobs[i].pid == pid && !jobs[i].done) {
				jobs[i].done = true;
				ended++;
				printf("{\"event\": \"end\", \"name\": \"%s\", \"pid\": %d, \"status\": %d, \"t\": "
				       "%lld}\n",
				    jobs[i].name, (int)pid, status, (long long)now_ns());
			}
	fflush(stdout);
}

static size_t
start_ready(void)
{
	size_t waiting = 0;

	for (size_t i = 0; i < njobs; i++) {
		if (jobs[i].pid)
			continue;
		if (!strcmp(jobs[i].wait_for, "-") || access(jobs[i].wait_for, F_OK) == 0)
			start(&jobs[i]);
		else
			waiting++;
	}
	fflush(stdout);
	return waiting;
}

static void
stop_all(int sfd)
{
	int64_t deadline = now_ns() + 5000000000LL;
	bool killed = false;

	for (size_t i = 0; i < njobs; i++)
		if (jobs[i].pid && !jobs[i].done)
			kill(jobs[i].pid, SIGTERM);
	for (;;) {
		struct pollfd p = { .fd = sfd, .events = POLLIN };
		struct signalfd_siginfo si;
		size_t left = 0;

		reap();
		for (size_t i = 0; i < njobs; i++)
			left += jobs[i].pid && !jobs[i].done;
		if (!left)
			return;
		if (!killed && now_ns() > deadline) {
			for (size_t i = 0; i < njobs; i++)
				if (jobs[i].pid && !jobs[i].done)
					kill(jobs[i].pid, SIGKILL);
			killed = true;
		}
		if (poll(&p, 1, 100) > 0 && read(sfd, &si, sizeof(si)) < 0)
			die("signalfd: %s", strerror(errno));
	}
}

int
main(int argc, char **argv)
{
	size_t waiting;
	sigset_t set;
	int sfd;

	if (argc != 2)
		die("usage: launch JOBS");
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	load(argv[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sfd = signalfd(-1, &set, SFD_CLOEXEC);
	waiting = start_ready();
	for (;;) {
		struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = sfd, .events = POLLIN } };
		struct signalfd_siginfo si;
		char byte;

		if (poll(p, 2, waiting ? 1 : 1000) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (p[1].revents && read(sfd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo != SIGCHLD)
			break;
		if (p[0].revents && read(0, &byte, 1) <= 0)
			break;
		reap();
		if (waiting)
			waiting = start_ready();
	}
	stop_all(sfd);
	return 0;
}
