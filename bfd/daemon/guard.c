/*
 * bfd/daemon/guard.c -- a thread that moves bfdd to another processor when the one that it is on does not run it
 *
 *   guarded thread: bfd_guard_expect(at) --> timerfd at + GRACE_US
 *   guard: timerfd --> has it run since? --> sched_setaffinity(guarded thread, the guard's processor), and the guard
 *          goes to the one that it left
 *
 * A kernel without preemption keeps a processor for as long as one system call works: a table of routes that grows was
 * seen to take 145 ms. Real-time priority is of no use against that, and the scheduler leaves the thread that it woke
 * in the queue of that processor, even while another one is idle. To change the affinity of a thread that waits in a
 * queue moves it at once, whatever its processor does; that is all the guard is for. In the ordinary course it never
 * wakes up, since each bfd_guard_expect() puts its timer off.
 *
 * Interrupts come through meanwhile, so the timers of both threads go off in time on whichever processor they are.
 *
 * Always true: the two threads are on different processors, each on one alone; the guard takes no lock and allocates
 * nothing, so whatever the guarded thread does cannot hold it up.
 *
 * Not here: a machine whose every processor is busy in the kernel, or that has one only: nobody can help there, and the
 * engine spares its neighbours (bfd/engine.c).
 */
#include "bfd/daemon/guard.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/runtime/clock.h"

#define GRACE_US    1000 /* less than a third of the shortest interval */
#define STACK_BYTES (64 * 1024)
#define NEVER_US    (INT64_MAX - GRACE_US)

struct bfd_guard {
	struct mem *mem;
	pthread_t thread;
	pid_t guarded; /* thread id */
	int clock;
	int priority;
	int there, here; /* processors: of the guarded thread, of the guard */
	_Atomic int64_t expected_us;
	_Atomic uint64_t moves;
	_Atomic bool ends;
};

static void
set_clock(const struct bfd_guard *g, int64_t us)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = us % 1000000 * 1000 } };

	timerfd_settime(g->clock, TFD_TIMER_ABSTIME, &when, NULL);
}

static int
go_to(pid_t thread, int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	return sched_setaffinity(thread, sizeof(set), &set) < 0 ? -errno : 0;
}

static void
rescue(struct bfd_guard *g)
{
	int left = g->there;

	if (go_to(g->guarded, g->here))
		return;
	atomic_fetch_add(&g->moves, 1);
	g->there = g->here;
	g->here = left;
	go_to(0, left);
}

static void *
watch(void *arg)
{
	struct bfd_guard *g = arg;
	const struct sched_param p = { .sched_priority = g->priority };
	uint64_t n;

	sched_setscheduler(0, SCHED_FIFO, &p); /* what is not permitted, the other thread has told */
	go_to(0, g->here);
	pthread_setname_np(pthread_self(), "bfdd-guard");
	while (!atomic_load(&g->ends)) {
		if (read(g->clock, &n, sizeof(n)) != (ssize_t)sizeof(n))
			continue;
		/* It may have run a moment ago, and be about to set the clock. */
		if (clock_mono().us >= atomic_load(&g->expected_us) + GRACE_US)
			rescue(g);
	}
	return NULL;
}

void
bfd_guard_expect(struct bfd_guard *g, struct mono at)
{
	bool never = mono_is_never(at);

	if (!g)
		return;
	atomic_store(&g->expected_us, never ? NEVER_US : at.us);
	set_clock(g, never ? 0 : MAX_OF(at.us, (int64_t)0) + GRACE_US);
}

void
bfd_guard_runs(struct bfd_guard *g)
{
	if (g)
		atomic_store(&g->expected_us, NEVER_US);
}

uint64_t
bfd_guard_moves(const struct bfd_guard *g)
{
	return g ? atomic_load(&g->moves) : 0;
}

/* The last two processors that we may use; false: there are no two. */
static bool
last_two(int *last, int *before)
{
	cpu_set_t may;

	*last = *before = -1;
	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return false;
	for (int i = CPU_SETSIZE - 1; i >= 0 && *before < 0; i--)
		if (CPU_ISSET(i, &may))
			*(*last < 0 ? last : before) = i;
	return *before >= 0;
}

int
bfd_guard_new(struct mem *mem, int priority, struct bfd_guard **out)
{
	struct bfd_guard *g;
	pthread_attr_t attr;
	sigset_t all, unmasked;
	int last, before, err;

	*out = NULL;
	if (!last_two(&last, &before))
		return 0;
	g = mem_zalloc(mem, MEM_RUNTIME, sizeof(*g));
	g->mem = mem;
	g->priority = priority;
	g->guarded = gettid();
	g->there = last;
	g->here = before;
	atomic_store(&g->expected_us, NEVER_US);
	g->clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	err = g->clock < 0 ? errno : 0;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES); /* all of it is locked in memory */
	if (!err)
		err = -go_to(0, last);
	pthread_sigmask(SIG_SETMASK, &all, &unmasked);
	if (!err)
		err = pthread_create(&g->thread, &attr, watch, g);
	pthread_sigmask(SIG_SETMASK, &unmasked, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		if (g->clock >= 0)
			close(g->clock);
		mem_free(mem, MEM_RUNTIME, g);
		return -err;
	}
	*out = g;
	return 0;
}

void
bfd_guard_free(struct bfd_guard *g)
{
	if (!g)
		return;
	atomic_store(&g->ends, true);
	set_clock(g, 1); /* long ago: it wakes up, and sees */
	pthread_join(g->thread, NULL);
	close(g->clock);
	mem_free(g->mem, MEM_RUNTIME, g);
}
