/*
 * fabricd/upgrade/giver.c -- see giver.h
 *
 * Driven by the channel, by a timer that looks every TICK_US, and by slices of work that write the snapshot. Only between
 * COMMIT and RUNNING does it wait in a call, at most COMMIT_MS: the loop must not run while it is open who owns the
 * sockets. Once it owns nothing it stays until who asked has the answer, LINGER_US at least, OWES_US at most.
 */
#include "fabricd/upgrade/giver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/version.h"
#include "fabricd/upgrade/channel.h"
#include "fabricd/upgrade/state.h"

#define TICK_US    MS(1)
#define DRAIN_US   MS(300)     /* for peers to read what is queued for them */
#define UNSENT_MAX (64u << 20) /* more than that is not carried over */
#define SAVE_STEPS 8192        /* prefixes in a slice: half a millisecond */
#define COPY_BYTES (256u << 10)
#define COMMIT_MS  1500
#define LINGER_US  MS(300)    /* for who asked to be told */
#define OWES_US    SECONDS(3) /* the longest, on a machine on which that takes longer */
#define CHILD_FD   3
#define MAX_ARGS   32

enum phase { IDLE, HELLO, WAIT, SETTLE, SAVE, READY, GONE };

struct giver {
	struct giver_config cfg;
	enum phase phase;
	struct node_upgrade_report report;
	struct rt_timer *tick;
	struct rt_watch *watch;
	int channel;
	pid_t child;
	struct mono began, frozen, left; /* left: since when the successor is in charge */
	struct state_facts facts;
	/* SAVE: written in slices, then copied */
	struct rt_work *work;
	struct saving *saving; /* NULL: it is whole */
	struct snapshot snapshot;
	struct parcels parcels;
	int memory; /* a descriptor, or -1 */
	size_t copied;
	unsigned int anew; /* how often it had to begin again */
};

/* ---- the report ---- */

static void step(struct giver *, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void failed(struct giver *, const char *next, const char *fmt, ...) PRINTF_LIKE(3, 4);

static struct mono
now(const struct giver *g)
{
	return rt_clock(g->cfg.rt);
}

static void
step(struct giver *g, const char *name, const char *fmt, ...)
{
	struct node_upgrade_report *r = &g->report;
	va_list ap;

	if (r->n_steps == NODE_UPGRADE_STEPS)
		return;
	snprintf(r->steps[r->n_steps].name, sizeof(r->steps[0].name), "%s", name);
	r->steps[r->n_steps].at_us = mono_sub(now(g), g->began);
	va_start(ap, fmt);
	vsnprintf(r->steps[r->n_steps].text, sizeof(r->steps[0].text), fmt, ap);
	va_end(ap);
	r->n_steps++;
}

/* ---- the end ---- */

/* The successor as a process; returns its wait status, 0 when it could not be had. */
static int
end_child(struct giver *g)
{
	int status = 0;

	if (g->child <= 0)
		return 0;
	kill(g->child, SIGKILL);
	while (waitpid(g->child, &status, 0) < 0 && errno == EINTR)
		;
	g->child = 0;
	return status;
}

static void
close_channel(struct giver *g)
{
	rt_watch_free(g->watch);
	g->watch = NULL;
	if (g->channel >= 0)
		close(g->channel);
	g->channel = -1;
	rt_timer_set(g->tick, MONO_NEVER);
}

static void
drop_snapshot(struct giver *g)
{
	state_save_end(g->saving);
	g->saving = NULL;
	snapshot_free(&g->snapshot);
	parcels_free(&g->parcels);
	if (g->memory >= 0)
		close(g->memory);
	g->memory = -1;
}

/* The successor is ended, and all is as it was before. next: what the operator may do. */
static void
failed(struct giver *g, const char *next, const char *fmt, ...)
{
	struct node_upgrade_report *r = &g->report;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	snprintf(r->next, sizeof(r->next), "%s", next);
	end_child(g);
	close_channel(g);
	drop_snapshot(g);
	if (g->phase >= SETTLE)
		node_thaw(g->cfg.node);
	g->phase = IDLE;
	r->running = r->ok = false;
	step(g, "failed", "%s; fabricd %s goes on", r->why, FABRICD_VERSION);
	node_event(g->cfg.node, "UPGRADE_FAILED", "", 0, "%s", r->why);
}

static void
closed_by_child(struct giver *g)
{
	int status = 0;
	pid_t got = 0;

	/* It closed the channel at its end, which follows at once. */
	for (int i = 0; i < 100 && got == 0; i++) {
		got = waitpid(g->child, &status, WNOHANG);
		if (got == 0)
			poll(NULL, 0, 1);
	}
	if (got > 0)
		g->child = 0;
	if (got > 0 && WIFEXITED(status))
		failed(g, "see what it says: journalctl -u fabricd", "the new program ended at once with exit code %d",
		    WEXITSTATUS(status));
	else if (got > 0 && WIFSIGNALED(status))
		failed(g, "see what it says: journalctl -u fabricd", "the new program was ended by signal %d",
		    WTERMSIG(status));
	else
		failed(g, "is it a fabricd?", "the new program closed its connection to us");
}

/* ---- hello ---- */

#define RESTART "systemctl restart fabricd: a graceful restart keeps forwarding as it is"

static bool
take_hello(struct giver *g, const struct channel_message *m)
{
	const struct node *n = g->cfg.node;
	struct channel_hello h;

	if (!channel_hello_read(m->body, &h)) {
		failed(g, RESTART, "the new program does not introduce itself as a fabricd does");
		return false;
	}
	snprintf(g->report.to, sizeof(g->report.to), "%s", h.version);
	if (h.protocol != CHANNEL_PROTOCOL || h.format != SNAPSHOT_FORMAT) {
		failed(g, RESTART,
		    "fabricd %s hands sessions over in another way (protocol %u, format %u) than %s does (%u, %u)",
		    h.version, h.protocol, h.format, FABRICD_VERSION, CHANNEL_PROTOCOL, SNAPSHOT_FORMAT);
		return false;
	}
	if (strcmp(h.node, n->self->name) != 0) {
		failed(g, RESTART, "the new program is %s, not %s", h.node, n->self->name);
		return false;
	}
	if (strcmp(h.digest, n->topo->digest) != 0) {
		failed(g, RESTART,
		    "the topology file has changed since fabricd was started: it is %s now, %s is in use", h.digest,
		    n->topo->digest);
		return false;
	}
	step(g, "hello", "fabricd %s -> %s, with the same topology file", FABRICD_VERSION, h.version);
	return true;
}

/* ---- freezing, and what is handed over ---- */

static int
send_parcels(struct giver *g, const struct parcels *parcels, const struct rt_parcel *query, bool has_query)
{
	int fds[CHANNEL_FDS];
	size_t n = 0, total = parcels->n + has_query + 1;

	for (size_t i = 0; i < total; i++) {
		fds[n++] = i < parcels->n                 ? parcels->list[i].fd
			   : has_query && i == parcels->n ? query->fd
							  : g->cfg.lock;
		if (n == CHANNEL_FDS || i + 1 == total) {
			int e = channel_send(g->channel, CHANNEL_DESCRIPTORS, NULL, 0, fds, n);

			if (e)
				return e;
			n = 0;
		}
	}
	return 0;
}

/* SNAPSHOT: 4 number of descriptors that follow, 1 whether the query socket is among them (the last but one; the lock
 * is the last). */
static int
send_snapshot(struct giver *g)
{
	struct rt_parcel query;
	bool has_query = g->cfg.query && g->cfg.query(g->cfg.arg, &query) == 0;
	uint8_t body[5];
	struct wr w = wr_make(body, sizeof(body));
	int e = channel_memory_seal(g->memory);

	if (e)
		return e;
	wr_u32(&w, (uint32_t)(g->parcels.n + has_query + 1));
	wr_u8(&w, has_query);
	e = channel_send(g->channel, CHANNEL_SNAPSHOT, body, wr_len(&w), &g->memory, 1);
	return e ? e : send_parcels(g, &g->parcels, &query, has_query);
}

/* What was written was true until now. */
static void
give_snapshot(struct giver *g)
{
	int e;

	if (g->cfg.node->disturbed) {
		failed(g, "try again", "a session or a port changed meanwhile");
		return;
	}
	e = send_snapshot(g);
	if (e) {
		failed(g, "try again", "the snapshot cannot be handed over: %s", strerror(-e));
		return;
	}
	g->phase = READY;
	step(g, "snapshot", "%llu sessions, %llu paths of %llu prefixes, %zu descriptors, %zu KiB",
	    (unsigned long long)g->facts.peers, (unsigned long long)g->facts.paths,
	    (unsigned long long)g->facts.prefixes, g->parcels.n, g->snapshot.n / 1024);
	drop_snapshot(g);
}

/* 1: there is more to copy. */
static int
copy_some(struct giver *g)
{
	size_t n = MIN_OF(g->snapshot.n - g->copied, (size_t)COPY_BYTES);
	int e;

	if (g->memory < 0)
		g->memory = channel_memory_new("fabricd snapshot");
	if (g->memory < 0)
		return g->memory;
	e = channel_memory_write(g->memory, g->snapshot.bytes + g->copied, n);
	g->copied += n;
	return e ? e : g->copied < g->snapshot.n;
}

/* Routes changed: of their own accord, since nothing is read. It waits until they are settled, and begins again. */
static void
save_anew(struct giver *g)
{
	if (g->cfg.node->disturbed) {
		failed(g, "try again", "a session or a port changed meanwhile");
		return;
	}
	drop_snapshot(g);
	g->anew++;
	g->phase = SETTLE;
}

/* One slice: all else goes on in between, so that a link that dies now is repaired as at any time. */
static bool
save_some(void *arg)
{
	struct giver *g = arg;
	int e = 0;

	if (g->phase != SAVE)
		return false;
	if (g->saving) {
		e = state_save_more(g->saving, SAVE_STEPS);
		if (e == -ESTALE) {
			save_anew(g);
			return false;
		}
		if (e == 0) {
			state_save_end(g->saving);
			g->saving = NULL;
			snapshot_end(&g->snapshot);
		}
		return true;
	}
	e = copy_some(g);
	if (e < 0)
		failed(g, "try again", "there is no memory for the snapshot: %s", strerror(-e));
	else if (e == 0)
		give_snapshot(g);
	return e > 0;
}

static void
save(struct giver *g)
{
	g->phase = SAVE;
	g->copied = 0;
	g->parcels = (struct parcels){ .mem = g->cfg.mem };
	snapshot_begin(&g->snapshot, g->cfg.mem);
	g->saving = state_save_begin(g->cfg.node, &g->snapshot, &g->parcels, &g->facts);
	rt_work_schedule(g->work);
}

/* All that was begun is done, and peers have read what was for them, or do not read. */
static void
look_settled(struct giver *g)
{
	size_t unsent = node_unsent(g->cfg.node);
	char why[160];

	if (!node_settled(g->cfg.node) || (unsent && mono_sub(now(g), g->frozen) < DRAIN_US))
		return;
	if (unsent > UNSENT_MAX) {
		failed(g, "fabctl bgp", "%zu MiB wait for peers that do not read", unsent >> 20);
		return;
	}
	if (node_upgrade_waits(g->cfg.node, why, sizeof(why))) { /* a neighbour that has gone into restart since */
		failed(g, "try again later", "%s", why);
		return;
	}
	g->cfg.node->disturbed = 0;
	if (!g->anew)
		step(g, "settled", "%zu bytes wait for peers", unsent);
	save(g);
}

static void
look_waits(struct giver *g)
{
	char why[160];

	if (node_upgrade_waits(g->cfg.node, why, sizeof(why))) {
		if (mono_sub(now(g), g->began) > CHANNEL_LIMIT_US / 2)
			failed(g, "try again later", "%s", why);
		return;
	}
	node_freeze(g->cfg.node);
	g->frozen = now(g);
	g->phase = SETTLE;
	step(g, "frozen", "nothing is read any more, keepalives are sent");
	look_settled(g);
}

/* ---- commit ---- */

static int
send_commit(struct giver *g)
{
	struct snapshot s;
	int fd, e;

	snapshot_begin(&s, g->cfg.mem);
	state_save_output(g->cfg.node, &s);
	snapshot_end(&s);
	fd = channel_memory("fabricd output", s.bytes, s.n);
	snapshot_free(&s);
	if (fd < 0)
		return fd;
	e = channel_send(g->channel, CHANNEL_COMMIT, NULL, 0, &fd, 1);
	close(fd);
	return e;
}

static void
gone(void *arg)
{
	struct giver *g = arg;

	g->cfg.gone(g->cfg.arg, 0);
}

static void
given(struct giver *g)
{
	sync_stop(g->cfg.node->sync);
	node_forget(g->cfg.node); /* whatever still comes to pass here must not shut a connection down */
	step(g, "running", "process %d is in charge", (int)g->child);
	g->phase = GONE;
	g->report.running = false;
	g->report.ok = true;
	g->report.peers = g->facts.peers;
	g->report.routes = g->facts.right;
	g->child = 0;
	close_channel(g);
	g->cfg.given(g->cfg.arg, g->report.pid);
	g->left = now(g);
	rt_timer_set(g->tick, mono_add(g->left, LINGER_US));
}

/*
 * It did not say in time that it is in charge. Once it is dead there may still be its word that it was: then it may have
 * read what we will never see, and the sessions cannot be trusted. Forwarding stays as it is, the supervisor starts us
 * again.
 */
static void
not_running(struct giver *g, int e, struct channel_message *m)
{
	struct channel_message late = { 0 };
	char text[200];

	end_child(g);
	g->cfg.kept(g->cfg.arg);
	while (late.kind != CHANNEL_RUNNING && channel_receive(g->channel, &late) == 0)
		channel_close_fds(&late);
	if (late.kind == CHANNEL_RUNNING) {
		g->cfg.node->given = false;
		node_event(
		    g->cfg.node, "UPGRADE_FAILED", "", 0, "the successor died while it took over; fabricd restarts");
		g->cfg.gone(g->cfg.arg, 1);
		return;
	}
	if (!e && m->kind == CHANNEL_FAILED)
		failed(g, RESTART, "%s", channel_text(m->body, text, sizeof(text)));
	else
		failed(
		    g, RESTART, "the new fabricd did not take over: %s", e ? strerror(-e) : "it says something else");
}

static void
commit(struct giver *g)
{
	struct channel_message m = { 0 };
	char text[200];
	int e;

	if (g->cfg.node->disturbed) {
		failed(g, "try again", "a session or a port changed meanwhile");
		return;
	}
	node_give(g->cfg.node);
	e = send_commit(g);
	while (!e && !(e = channel_wait(g->channel, &m, COMMIT_MS)) && m.kind == CHANNEL_PROGRESS)
		step(g, "successor", "%s", channel_text(m.body, text, sizeof(text)));
	channel_close_fds(&m);
	if (e || m.kind != CHANNEL_RUNNING) {
		not_running(g, e, &m);
		return;
	}
	given(g);
}
/* ---- the loop ---- */

/* From the start, as far as it has come. */
static int64_t
limit(const struct giver *g)
{
	return CHANNEL_LIMIT_US + (g->phase >= SAVE ? (int64_t)g->facts.paths * CHANNEL_PATH_US : 0);
}

static void
tick(void *arg)
{
	struct giver *g = arg;

	if (g->phase == GONE && !(g->cfg.owes && g->cfg.owes(g->cfg.arg) && mono_sub(now(g), g->left) < OWES_US)) {
		gone(g);
		return;
	}
	rt_timer_set(g->tick, mono_add(rt_now(g->cfg.rt), TICK_US));
	if (g->phase == GONE)
		return;
	if (mono_sub(now(g), g->began) > limit(g)) {
		static const char *const what[] = { [HELLO] = "the new program said nothing",
			[WAIT] = "there was too much to do",
			[SETTLE] = "what was begun did not come to its end",
			[SAVE] = "the snapshot was not written",
			[READY] = "the new fabricd did not become ready" };
		const struct node_upgrade_report *r = &g->report;

		failed(g, g->phase == READY ? r->steps[r->n_steps - 1].text : "try again", "%s within %d s",
		    what[g->phase], (int)(limit(g) / SECONDS(1)));
	} else if (g->phase == WAIT) {
		look_waits(g);
	} else if (g->phase == SETTLE) {
		look_settled(g);
	} else if (g->phase == READY && g->cfg.node->disturbed) {
		failed(g, "try again", "a session or a port changed meanwhile");
	}
}

static void
on_message(struct giver *g, struct channel_message *m)
{
	char text[256];

	if (m->kind == CHANNEL_FAILED) {
		failed(g, RESTART, "%s", channel_text(m->body, text, sizeof(text)));
	} else if (m->kind == CHANNEL_HELLO && g->phase == HELLO) {
		if (take_hello(g, m)) {
			g->phase = WAIT;
			look_waits(g);
		}
	} else if (m->kind == CHANNEL_PROGRESS && g->phase == READY) {
		step(g, "successor", "%s", channel_text(m->body, text, sizeof(text)));
	} else if (m->kind == CHANNEL_READY && g->phase == READY) {
		step(g, "ready", "%s", channel_text(m->body, text, sizeof(text)));
		commit(g);
	} else {
		failed(g, "is it a fabricd?", "the new program says what it should not say now");
	}
}

static void
on_channel(void *arg, unsigned int what)
{
	struct giver *g = arg;
	struct channel_message m;

	(void)what;
	while (g->channel >= 0) {
		int e = channel_receive(g->channel, &m);

		if (e == -EAGAIN)
			return;
		if (e == -EPIPE)
			closed_by_child(g);
		else if (e)
			failed(g, "is it a fabricd?", "the new program says what is no word of ours: %s", strerror(-e));
		else
			on_message(g, &m);
		if (!e)
			channel_close_fds(&m);
	}
}

/* ---- the start ---- */

static int
check_program(const char *path, char *err, size_t errlen)
{
	struct stat st;
	int e = 0;

	if (path[0] != '/') {
		snprintf(err, errlen, "%.200s is no absolute path", path);
		return -EINVAL;
	}
	if (stat(path, &st) < 0) {
		e = -errno;
		snprintf(err, errlen, "%.200s cannot be run: %s", path, strerror(-e));
	} else if (!S_ISREG(st.st_mode)) {
		e = -EACCES;
		snprintf(err, errlen, "%.200s cannot be run: it is no program", path);
	} else if (access(path, X_OK) < 0) {
		e = -errno;
		snprintf(err, errlen, "%.200s cannot be run: %s", path, strerror(-e));
	}
	return e;
}

static int
spawn(struct giver *g, const char *binary, int end)
{
	posix_spawn_file_actions_t actions;
	char *argv[MAX_ARGS + 3], fd[8];
	size_t n = 0;
	int e;

	snprintf(fd, sizeof(fd), "%d", CHILD_FD);
	argv[n++] = (char *)(uintptr_t)binary;
	for (size_t i = 1; g->cfg.argv[i] && n < MAX_ARGS; i++) {
		if (strcmp(g->cfg.argv[i], "--takeover") == 0 && g->cfg.argv[i + 1])
			i++;
		else
			argv[n++] = g->cfg.argv[i];
	}
	argv[n++] = (char *)(uintptr_t) "--takeover";
	argv[n++] = fd;
	argv[n] = NULL;
	e = posix_spawn_file_actions_init(&actions);
	if (e)
		return -e;
	e = posix_spawn_file_actions_adddup2(&actions, end, CHILD_FD);
	if (!e)
		e = posix_spawn(&g->child, binary, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -e;
}

static int
start(struct giver *g, const char *binary)
{
	int pair[2], e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	e = spawn(g, binary, pair[1]);
	close(pair[1]);
	if (!e)
		e = rt_watch_new(g->cfg.rt, pair[0], on_channel, g, &g->watch);
	if (e) {
		end_child(g);
		close(pair[0]);
		return e;
	}
	g->channel = pair[0];
	rt_watch_set(g->watch, RT_READ);
	return 0;
}

int
giver_begin(struct giver *g, const char *binary, char *err, size_t errlen)
{
	char path[4096];
	int e;

	if (g->phase != IDLE || g->cfg.node->held || g->cfg.node->stopping) {
		snprintf(
		    err, errlen, g->cfg.node->stopping ? "fabricd is being ended" : "an upgrade is under way already");
		return -EBUSY;
	}
	snprintf(path, sizeof(path), "%s", *binary ? binary : g->cfg.self);
	e = check_program(path, err, errlen);
	if (e)
		return e;
	memset(&g->report, 0, sizeof(g->report));
	g->anew = 0;
	g->began = now(g);
	e = start(g, path);
	if (e) {
		snprintf(err, errlen, "%.200s cannot be started: %s", path, strerror(-e));
		return e;
	}
	g->phase = HELLO;
	g->report.running = true;
	g->report.pid = (int)g->child;
	snprintf(g->report.from, sizeof(g->report.from), "%s", FABRICD_VERSION);
	snprintf(g->report.binary, sizeof(g->report.binary), "%.255s", path);
	step(g, "started", "process %d runs %s", (int)g->child, path);
	node_event(g->cfg.node, "UPGRADE", "", 0, "process %d runs %s and is to take over", (int)g->child, path);
	rt_timer_set(g->tick, mono_add(rt_now(g->cfg.rt), TICK_US));
	return 0;
}

bool
giver_cancel(struct giver *g, const char *why)
{
	if (!g || g->phase == IDLE || g->phase == GONE)
		return false;
	failed(g, "try again", "%s", why);
	return true;
}

const struct node_upgrade_report *
giver_report(const struct giver *g)
{
	return &g->report;
}

struct giver *
giver_new(const struct giver_config *cfg)
{
	struct giver *g = mem_zalloc(cfg->mem, MEM_OTHER, sizeof(*g));

	g->cfg = *cfg;
	g->channel = g->memory = -1;
	g->tick = rt_timer_new(cfg->rt, tick, g);
	g->work = rt_work_new(cfg->rt, RT_NORMAL, save_some, g);
	return g;
}

void
giver_free(struct giver *g)
{
	if (!g)
		return;
	end_child(g);
	close_channel(g);
	drop_snapshot(g);
	rt_work_free(g->work);
	rt_timer_free(g->tick);
	mem_free(g->cfg.mem, MEM_OTHER, g);
}
