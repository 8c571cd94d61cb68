/*
 * bfd/daemon/keeper.c -- the process that holds bfdd's sockets, and starts the one that works with them
 *
 *   worker dies        -> a new one -> READY -> the sockets, GO -> it goes on with what stands in the store
 *   SIGHUP (a reload)  -> a new one -> READY -> ROOM to the old one, which ends -> the sockets, GO -> it goes on
 *
 * The keeper does nothing else, so nothing that a packet or a client can do ends it. Its queues outlive the worker too:
 * what arrives in the gap is read by the next one. A new worker that is not ready in READY_MS, or that dies before, is
 * given up: beside an old one, which has not even noticed, for good; else for another attempt. The program is looked up
 * anew by its path, so after an upgrade of the package a reload starts the new version.
 *
 * A worker that was stopped (SIGSTOP) for STOPPED_MS is ended and replaced: its sessions are lost by then, and it must not
 * wake up into another time. So is one that does not answer: it is asked each ASK_MS whether its loop still turns, and has
 * ANSWER_MS for it, in which the keeper itself was awake.
 *
 * It is above the workers in real-time priority, so it must never run while it waits: a worker that is killed, or has
 * closed its end, is waited for by its signal alone, and gets the processor that it needs to end.
 *
 * A worker that dies at once again and again is started less and less often, and without the store, which may be what
 * kills it; a reload ends such a pause. If the keeper is killed, its worker is killed with it (PR_SET_PDEATHSIG): then
 * it is for the service manager to start both again, and the store to say what was.
 *
 * Messages (SOCK_SEQPACKET): one byte, and for a socket its key, with the descriptor beside it.
 */
#include "bfd/daemon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/clock.h"

#define READY_MS    5000
#define ROOM_MS     500
#define STOPPED_MS  1000
#define ASK_MS      1000
#define ANSWER_MS   2000
#define LATE_MS     100 /* the keeper itself: then nobody may have had a processor */
#define YOUNG_MS    100 /* a worker that dies sooner has not worked: what it found in the store may be why */
#define YOUNG_MANY  3   /* of them in a row: now without the store, and not at once */
#define KILLED_MANY 30
#define PAUSE_MAX   60000
#define ARGS_MAX    32
#define SOCKET_FD   3 /* in the worker */
#define SAID_BYTES  (4 << 20)

enum word { READY = 'r', KEEP = 'k', DROP = 'd', GO = 'g', ROOM = 'q', ASK = 'a', HERE = 'h' };

struct message {
	uint8_t word;
	struct bfd_fd_key key;
};

struct bfd_kept {
	struct bfd_fd_key key;
	int fd;
};

struct worker {
	pid_t pid; /* 0: none */
	int fd;
	bool ready, answers; /* answers: it said so, an earlier version does not */
	bool silent;         /* its end of the socket is closed: nothing comes from it any more but its end */
	bool killed;         /* by us: its end is waited for, without a deadline */
	int64_t since_ms;
	int64_t ask_ms;   /* when it is asked next */
	int64_t asked_ms; /* since when it owes an answer; 0: it does not */
};

struct keeper {
	const char *const *argv;
	char program[PATH_MAX];
	int signals;
	struct worker now, next;
	struct bfd_kept *kept;
	size_t nkept, cap;
	bool ending;
	int64_t stopped_ms; /* until when `now` may be stopped; 0: it is not */
	int64_t room_ms;    /* until when `now` may take to end; 0: nobody asked */
	unsigned int young;
	bool anew;              /* the next one begins without the store */
	int64_t pause_until_ms; /* before another attempt; 0: none */
};

/* ---- messages ---- */

static int
send_word(int fd, enum word word, const struct bfd_fd_key *key, int pass, int flags)
{
	struct message m = { .word = (uint8_t)word };
	struct iovec iov = { &m, key ? sizeof(m) : 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (key)
		m.key = *key;
	if (pass >= 0) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		*c = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))
		};
		memcpy(CMSG_DATA(c), &pass, sizeof(pass));
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The word; 0: the other end is gone; -errno, -EAGAIN: nothing is there. *passed: a descriptor that came, or -1. */
static int
receive_word(int fd, struct bfd_fd_key *key, int *passed, int flags)
{
	struct message m = { 0 };
	struct iovec iov = { &m, sizeof(m) };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c;
	ssize_t n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);

	*passed = -1;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	*key = m.key;
	return m.word;
}

/* ---- the worker's end ---- */

int
bfd_keeper_wait(int fd, void (*fn)(void *arg, const struct bfd_fd_key *, int kept), void *arg)
{
	struct bfd_fd_key key;
	int err = send_word(fd, HERE, NULL, -1, 0), passed, word;

	if (!err)
		err = send_word(fd, READY, NULL, -1, 0);
	if (err)
		return err;
	for (;;) {
		word = receive_word(fd, &key, &passed, 0);
		if (word == KEEP && passed >= 0)
			fn(arg, &key, passed);
		else if (word == GO)
			return 0;
		else if (word == 0 || (word < 0 && word != -EINTR))
			return word ? word : -EPIPE;
	}
}

/* False: the keeper has no room for it. */
static bool
send_kept(int fd, const struct bfd_fd_key *key, int kept)
{
	return send_word(fd, kept >= 0 ? KEEP : DROP, key, kept, MSG_DONTWAIT) != -EAGAIN;
}

static void
close_kept(const struct bfd_kept *kept)
{
	if (kept->fd >= 0)
		close(kept->fd);
}

bool
bfd_keeper_keep(int fd, struct bfd_keeper_late *late, const struct bfd_fd_key *key, int kept)
{
	if (!late->n && send_kept(fd, key, kept))
		return false;
	late->list = mem_grow(NULL, MEM_RUNTIME, late->list, &late->cap, late->n + 1, sizeof(late->list[0]));
	late->list[late->n++] = (struct bfd_kept){ *key, kept >= 0 ? fcntl(kept, F_DUPFD_CLOEXEC, 0) : -1 };
	return true;
}

bool
bfd_keeper_flush(int fd, struct bfd_keeper_late *late)
{
	size_t done = 0;

	while (done < late->n && send_kept(fd, &late->list[done].key, late->list[done].fd))
		close_kept(&late->list[done++]);
	late->n -= done;
	if (late->n)
		memmove(late->list, late->list + done, late->n * sizeof(late->list[0]));
	return late->n > 0;
}

void
bfd_keeper_late_free(struct bfd_keeper_late *late)
{
	while (late->n)
		close_kept(&late->list[--late->n]);
	mem_free(NULL, MEM_RUNTIME, late->list);
	*late = (struct bfd_keeper_late){ 0 };
}

int
bfd_keeper_wants_room(int fd)
{
	struct bfd_fd_key key;
	int passed, word = receive_word(fd, &key, &passed, MSG_DONTWAIT);

	if (passed >= 0)
		close(passed);
	if (word == ASK)
		send_word(fd, HERE, NULL, -1, MSG_DONTWAIT);
	if (word == -EAGAIN || word == -EINTR)
		return 0;
	return word == ROOM ? 1 : word <= 0 ? -EPIPE : 0;
}

/* ---- what is kept ---- */

static struct bfd_kept *
kept_find(struct keeper *k, const struct bfd_fd_key *key)
{
	for (size_t i = 0; i < k->nkept; i++)
		if (memcmp(&k->kept[i].key, key, sizeof(*key)) == 0)
			return &k->kept[i];
	return NULL;
}

static void
kept_drop(struct keeper *k, const struct bfd_fd_key *key)
{
	struct bfd_kept *at = kept_find(k, key);

	if (!at)
		return;
	close(at->fd);
	*at = k->kept[--k->nkept];
}

static void
kept_add(struct keeper *k, const struct bfd_fd_key *key, int fd)
{
	kept_drop(k, key);
	k->kept = mem_grow(NULL, MEM_RUNTIME, k->kept, &k->cap, k->nkept + 1, sizeof(k->kept[0]));
	k->kept[k->nkept++] = (struct bfd_kept){ *key, fd };
}

/* ---- workers ---- */

static void
become_worker(struct keeper *k, int fd)
{
	char number[16];
	const char *args[ARGS_MAX + 5] = { k->program, "--worker", number };
	size_t n = 3;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(number, sizeof(number), "%d", SOCKET_FD);
	for (size_t i = 0; i < ARGS_MAX && k->argv[i]; i++)
		args[n++] = k->argv[i];
	if (k->anew)
		args[n++] = "--forget";
	/* dup2() onto itself would leave it to be closed. */
	if (fd == SOCKET_FD)
		fd = dup(fd);
	if (dup2(fd, SOCKET_FD) == SOCKET_FD)
		execv(k->program, (char *const *)(uintptr_t)args);
	fprintf(stderr, "bfdd: %s cannot be started: %s\n", k->program, strerror(errno));
	_exit(127);
}

/* What a worker says of all its sockets at once waits for the keeper in the kernel, where its death cannot lose it. */
static void
make_room(int fd)
{
	const int bytes = SAID_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int
start(struct keeper *k, struct worker *w)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	make_room(pair[1]);
	pid = fork();
	if (pid == 0)
		become_worker(k, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -errno;
	}
	*w = (struct worker){ .pid = pid, .fd = pair[0], .since_ms = clock_ms() };
	return 0;
}

static void
forget(struct worker *w)
{
	if (w->pid)
		close(w->fd);
	*w = (struct worker){ .fd = -1 };
}

static void
go(struct keeper *k, struct worker *w)
{
	for (size_t i = 0; i < k->nkept; i++)
		send_word(w->fd, KEEP, &k->kept[i].key, k->kept[i].fd, 0);
	send_word(w->fd, GO, NULL, -1, 0);
	w->asked_ms = 0;
	w->ask_ms = clock_ms() + ASK_MS;
}

static void
start_now(struct keeper *k)
{
	int err = start(k, &k->now);

	k->pause_until_ms = 0;
	if (err) {
		fprintf(stderr, "bfdd: no process for the sessions: %s; tried again in a second\n", strerror(-err));
		k->pause_until_ms = clock_ms() + 1000;
	}
}

/* The worker is gone, unasked. */
static void
again(struct keeper *k, int status)
{
	bool young = !k->now.ready || clock_ms() - k->now.since_ms < YOUNG_MS;
	/* SIGKILL that is not ours comes from outside: no session is the reason. */
	unsigned int many = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !k->now.killed ? KILLED_MANY
												 : YOUNG_MANY;
	int64_t pause = 0;

	k->young = young ? k->young + 1 : 0;
	k->anew = k->young >= many;
	if (k->young > many)
		pause = MIN_OF((int64_t)1000 << MIN_OF(k->young - many - 1, 6u), (int64_t)PAUSE_MAX);
	fprintf(stderr, "bfdd: the process of the sessions %s %d; %s\n",
	    WIFSIGNALED(status) ? "was ended by signal" : "ended with status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	    pause     ? "it dies again and again: the next one begins anew, a while later"
	    : k->anew ? "the next one begins anew"
		      : "the next one goes on");
	forget(&k->now);
	k->room_ms = 0;
	if (pause)
		k->pause_until_ms = clock_ms() + pause;
	else
		start_now(k);
}

/* One of the two has ended. True: so has the keeper, with *code. */
static bool
ended(struct keeper *k, pid_t pid, int status, int *code)
{
	if (pid == k->next.pid && pid) {
		/* The old one may have been asked for room already: then its end has another one started. */
		fprintf(stderr, "bfdd: the new program ended %s\n",
		    k->next.ready ? "before the old one had made room; another one is started when it has"
				  : "before it was ready; the old one goes on");
		forget(&k->next);
		return false;
	}
	if (pid != k->now.pid)
		return false;
	/* A clean end was asked for, if not by us then by whoever stops the whole service. */
	if (k->ending || (!k->room_ms && WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		*code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		forget(&k->now);
		return true;
	}
	if (k->room_ms && k->next.ready) {
		forget(&k->now);
		k->now = k->next;
		k->next = (struct worker){ .fd = -1 };
		k->room_ms = 0;
		go(k, &k->now);
		return false;
	}
	again(k, status);
	return false;
}

static bool
reap(struct keeper *k, int *code)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		bool gone = WIFEXITED(status) || WIFSIGNALED(status);

		if (pid == k->now.pid) {
			k->stopped_ms = WIFSTOPPED(status) ? clock_ms() + STOPPED_MS : 0;
			k->now.asked_ms = 0; /* it is asked again */
		}
		if (gone && ended(k, pid, status, code))
			return true;
	}
	return false;
}

static void
read_worker(struct keeper *k, struct worker *w)
{
	struct bfd_fd_key key;
	int passed, word;

	if (!w->pid || w->silent)
		return;
	while ((word = receive_word(w->fd, &key, &passed, MSG_DONTWAIT)) > 0) {
		if (word == KEEP && passed >= 0 && w == &k->now) {
			kept_add(k, &key, passed);
			continue;
		}
		if (passed >= 0)
			close(passed);
		if (word == HERE) {
			w->answers = true;
			w->asked_ms = 0;
			w->ask_ms = clock_ms() + ASK_MS;
		}
		if (word == DROP && w == &k->now)
			kept_drop(k, &key);
		if (word != READY || w->ready)
			continue;
		w->ready = true;
		if (w == &k->now) {
			go(k, w);
		} else {
			k->room_ms = clock_ms() + ROOM_MS;
			send_word(k->now.fd, ROOM, NULL, -1, MSG_DONTWAIT);
		}
	}
	w->silent = word != -EAGAIN && word != -EINTR;
}

/* ---- signals, deadlines ---- */

static void
on_signal(struct keeper *k, int signo)
{
	if (signo == SIGHUP && !k->now.pid && !k->next.pid && !k->ending) {
		start_now(k); /* the program may be a better one now */
	} else if (signo == SIGHUP && !k->next.pid && !k->ending) {
		int err = start(k, &k->next);

		if (err)
			fprintf(stderr, "bfdd: no new process: %s; the old one goes on\n", strerror(-err));
	}
	if (signo == SIGUSR1 && k->now.pid)
		kill(k->now.pid, SIGUSR1);
	if (signo == SIGTERM || signo == SIGINT) {
		k->ending = true;
		if (k->next.pid)
			kill(k->next.pid, SIGKILL);
		if (k->now.pid)
			kill(k->now.pid, SIGTERM);
	}
}

/* Its end is told as any other. */
static void
put_down(struct worker *w)
{
	kill(w->pid, SIGKILL);
	w->killed = true;
}

/* When it must have said that it is ready; INT64_MAX: nobody waits for that. */
static int64_t
ready_due(const struct worker *w)
{
	return w->pid && !w->ready && !w->killed ? w->since_ms + READY_MS : INT64_MAX;
}

/* When `now`, which was asked for room, must have ended; INT64_MAX: nobody waits for that. */
static int64_t
room_due(const struct keeper *k)
{
	return k->room_ms && k->now.pid && !k->now.killed ? k->room_ms : INT64_MAX;
}

/* When `now` is to be asked, or should have answered; INT64_MAX: it need not. */
static int64_t
answer_due(const struct keeper *k)
{
	const struct worker *w = &k->now;

	if (!w->pid || !w->ready || !w->answers || k->stopped_ms || k->room_ms || k->ending)
		return INT64_MAX;
	return w->asked_ms ? w->asked_ms + ANSWER_MS : w->ask_ms;
}

static void
ask(struct keeper *k, int64_t t)
{
	int64_t due = answer_due(k);

	if (t < due)
		return;
	if (!k->now.asked_ms || t - due > LATE_MS) {
		k->now.asked_ms = t;
		send_word(k->now.fd, ASK, NULL, -1, MSG_DONTWAIT);
		return;
	}
	fprintf(
	    stderr, "bfdd: the process of the sessions has not answered for %d s; it is replaced\n", ANSWER_MS / 1000);
	k->now.answers = false;
	kill(k->now.pid, SIGKILL);
}

static void
look_at_clock(struct keeper *k)
{
	int64_t t = clock_ms();

	ask(k, t);
	if (t >= ready_due(&k->next))
		put_down(&k->next);
	if (t >= ready_due(&k->now)) {
		fprintf(stderr, "bfdd: the process of the sessions is not ready after %d s; it is replaced\n",
		    READY_MS / 1000);
		put_down(&k->now);
	}
	if (t >= room_due(k)) /* what it knew stands in the store */
		put_down(&k->now);
	if (k->stopped_ms && t >= k->stopped_ms && k->now.pid) {
		fprintf(stderr, "bfdd: the process of the sessions was stopped for a second; it is replaced\n");
		k->stopped_ms = 0;
		kill(k->now.pid, SIGKILL);
	}
	if (k->pause_until_ms && t >= k->pause_until_ms && !k->now.pid)
		start_now(k);
}

static int
wait_ms(const struct keeper *k)
{
	int64_t t = clock_ms(), next = MIN_OF(MIN_OF(ready_due(&k->now), ready_due(&k->next)), room_due(k));

	if (k->pause_until_ms)
		next = MIN_OF(next, k->pause_until_ms);
	if (k->stopped_ms)
		next = MIN_OF(next, k->stopped_ms);
	next = MIN_OF(next, answer_due(k));
	return next == INT64_MAX ? -1 : (int)MAX_OF(next - t, 0);
}

static bool
read_signals(struct keeper *k, int *code)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		on_signal(k, (int)info.ssi_signo);
	/* What the one that ended has still said is read first: its last sockets are among it. */
	read_worker(k, &k->now);
	read_worker(k, &k->next);
	return reap(k, code) || (k->ending && !k->now.pid);
}

static int
open_signals(void)
{
	static const int some[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		sigaddset(&set, some[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int
bfd_keeper_run(const char *const *argv)
{
	struct keeper k = { .argv = argv, .now.fd = -1, .next.fd = -1 };
	ssize_t n = readlink("/proc/self/exe", k.program, sizeof(k.program) - 1);
	int code = 1;

	k.signals = open_signals();
	if (n < 0 || k.signals < 0) {
		fprintf(stderr, "bfdd: nothing can be kept: %s; run it without --keep\n", strerror(errno));
		return 1;
	}
	start_now(&k);
	for (;;) {
		/* Who has closed its end is not listened to: the wait for its death must leave it the processor to die on. */
		struct pollfd fds[3] = { { .fd = k.signals, .events = POLLIN },
			{ .fd = k.now.silent ? -1 : k.now.fd, .events = POLLIN },
			{ .fd = k.next.silent ? -1 : k.next.fd, .events = POLLIN } };

		if (poll(fds, 3, wait_ms(&k)) < 0 && errno != EINTR)
			break;
		read_worker(&k, &k.now);
		read_worker(&k, &k.next);
		if (read_signals(&k, &code))
			break;
		look_at_clock(&k);
	}
	for (size_t i = 0; i < k.nkept; i++)
		close(k.kept[i].fd);
	mem_free(NULL, MEM_RUNTIME, k.kept);
	close(k.signals);
	return code;
}
