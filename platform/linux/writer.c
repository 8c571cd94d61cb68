/*
 * platform/linux/writer.c -- a thread that hands batches of routes to the kernel, while a long series lasts
 *
 *   main:    room -> encode -> put  ----jobs---->  thread: sendto(), recv() of the answers
 *            tell <- results        <---jobs-----
 *
 * Inside sendto() the kernel works for some 2 us per route, in which one thread could do nothing else: BGP and RIB need
 * as long again, so a full table took twice the time that the kernel needs. There is a thread only between
 * linux_bulk(true) and linux_bulk(false); short series, next hops and groups are sent directly, which is faster for them.
 *
 * JOBS jobs go round in a ring. Each is the main thread's, then the writer's (between `put` and `done`), then the main
 * thread's again. The writer touches the bytes of a job and its own socket, nothing else: no memory accounting, no state.
 * Two event counters carry the news: `wake` to the writer, `news` to the loop.
 *
 * Always true: told <= done <= put <= told + JOBS; jobs are done and told in the order in which they were put.
 */
#include <errno.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/linux/internal.h"

/* More than a slice of other work (2 ms) takes the kernel to do, so that it is never without work; a power of two. */
#define JOBS 16

struct writer {
	struct linux_platform *lp;
	int socket, wake, news;
	pthread_t thread;
	bool running;
	struct rt_watch *watch;
	struct write_job jobs[JOBS];
	atomic_uint put, done; /* counts of jobs */
	unsigned int told;
	atomic_bool stop;
};

/* ---- the thread ---- */

static void
take_answers(const struct writer *w, struct write_job *job)
{
	for (;;) {
		struct sockaddr_nl from;
		socklen_t len = sizeof(from);
		size_t room = ANSWER_BYTES - job->answered;
		ssize_t n = recvfrom(w->socket, job->answers + job->answered, room, MSG_DONTWAIT | MSG_TRUNC,
		    (struct sockaddr *)&from, &len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			job->lost = true;
			continue;
		}
		if (n <= 0)
			return;
		if (len < sizeof(from) || from.nl_pid != 0) /* not from the kernel */
			continue;
		if ((size_t)n > room)
			job->lost = true; /* only of refusals: those that fit count, the others are tried again */
		else
			job->answered += NLMSG_ALIGN((size_t)n);
	}
}

static void
do_job(const struct writer *w, struct write_job *job)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	ssize_t n;

	job->answered = 0;
	job->lost = false;
	do
		n = sendto(w->socket, job->out.bytes, job->out.n, 0, (struct sockaddr *)&to, sizeof(to));
	while (n < 0 && errno == EINTR);
	job->error = n < 0 ? -errno : 0;
	take_answers(w, job);
}

static void
count_up(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void
take_count(int fd)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return; /* nothing there, or a signal: who asks looks again anyhow */
}

static void *
run(void *arg)
{
	struct writer *w = arg;
	unsigned int at = 0;

	pthread_setname_np(pthread_self(), "fib-writer");
	for (;;) {
		if (at == atomic_load(&w->put)) {
			if (atomic_load(&w->stop))
				return NULL;
			take_count(w->wake); /* waits */
			continue;
		}
		do_job(w, &w->jobs[at % JOBS]);
		atomic_store(&w->done, ++at);
		count_up(w->news);
	}
}

/* ---- the main thread ---- */

struct write_job *
linux_writer_room(struct writer *w)
{
	if (atomic_load(&w->put) - w->told == JOBS)
		return NULL;
	return &w->jobs[atomic_load(&w->put) % JOBS];
}

void
linux_writer_put(struct writer *w)
{
	atomic_fetch_add(&w->put, 1);
	count_up(w->wake);
}

bool
linux_writer_idle(const struct writer *w)
{
	return atomic_load(&w->put) == w->told;
}

void
linux_writer_tell(struct writer *w)
{
	for (; w->told != atomic_load(&w->done); w->told++)
		linux_written(w->lp, &w->jobs[w->told % JOBS]);
}

static void
news(void *arg, unsigned int what)
{
	struct writer *w = arg;

	(void)what;
	take_count(w->news);
	linux_deliver(w->lp);
}

/* No signal of the process is for this thread. */
static int
start(struct writer *w)
{
	sigset_t all, before;
	int e;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->running = e == 0;
	return -e;
}

int
linux_writer_new(struct linux_platform *lp, struct writer **out)
{
	struct writer *w = mem_zalloc(lp->mem, MEM_FIB, sizeof(*w));
	int e = 0;

	w->lp = lp;
	w->socket = nl_socket_get_fd(lp->routes);
	w->wake = eventfd(0, EFD_CLOEXEC);
	w->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (size_t i = 0; i < JOBS; i++) {
		w->jobs[i].out = (struct nl_out){ .bytes = mem_alloc(lp->mem, MEM_FIB, WRITE_BYTES),
			.cap = WRITE_BYTES };
		w->jobs[i].answers = mem_alloc(lp->mem, MEM_FIB, ANSWER_BYTES);
	}
	if (w->wake < 0 || w->news < 0)
		e = -errno;
	if (!e)
		e = rt_watch_new(lp->rt, w->news, news, w, &w->watch);
	if (!e) {
		rt_watch_set(w->watch, RT_READ);
		e = start(w);
	}
	if (e) {
		linux_writer_free(w);
		w = NULL;
	}
	*out = w;
	return e;
}

void
linux_writer_free(struct writer *w)
{
	struct mem *mem;

	if (!w)
		return;
	mem = w->lp->mem;
	if (w->running) {
		atomic_store(&w->stop, true);
		count_up(w->wake);
		pthread_join(w->thread, NULL);
	}
	rt_watch_free(w->watch);
	if (w->wake >= 0)
		close(w->wake);
	if (w->news >= 0)
		close(w->news);
	for (size_t i = 0; i < JOBS; i++) {
		mem_free(mem, MEM_FIB, w->jobs[i].out.bytes);
		mem_free(mem, MEM_FIB, w->jobs[i].answers);
	}
	mem_free(mem, MEM_FIB, w);
}
