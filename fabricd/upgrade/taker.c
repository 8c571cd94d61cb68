/* fabricd/upgrade/taker.c -- see taker.h */
#include "fabricd/upgrade/taker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/version.h"
#include "fabricd/upgrade/channel.h"

#define RECEIVE_MS 15000 /* longer than the other end's patience: it decides */
#define LOOK_US    MS(1)
#define LOOK_SHARE 4 /* a look may be a walk over all routes: what is looked for gets this many times as long */
#define AGREE_US   (CHANNEL_LIMIT_US / 10 * 7) /* before the patience of the other end is over: we know why */
#define MAX_FDS    16384

struct taker {
	struct mem *mem;
	int channel;
	const void *bytes; /* the snapshot */
	size_t n;
	struct state *state;
	int *fds;
	size_t nfds, want;
	bool has_query;

	struct node *node;
	const struct taker_ops *ops;
	void *arg;
	struct rt_timer *look;
	struct rt_watch *watch;
	struct mono began;
	bool ready;
};

struct taker *
taker_open(struct mem *mem, int fd, char *err, size_t errlen)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct taker *t;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		snprintf(err, errlen,
		    "descriptor %d leads to no fabricd that could be taken over; --takeover is for `fabctl upgrade` "
		    "alone",
		    fd);
		return NULL;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* so that the lock is free at once for who is started in place of it */
	t = mem_zalloc(mem, MEM_OTHER, sizeof(*t));
	t->mem = mem;
	t->channel = fd;
	return t;
}

void
taker_fail(struct taker *t, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "fabricd: not taken over: %s\n", text);
	channel_say(t->channel, CHANNEL_FAILED, text);
}

int
taker_hello(struct taker *t, const struct topo *topo, const char *node)
{
	struct channel_hello h = { .protocol = CHANNEL_PROTOCOL, .format = SNAPSHOT_FORMAT };

	snprintf(h.version, sizeof(h.version), "%s", FABRICD_VERSION);
	snprintf(h.node, sizeof(h.node), "%s", node);
	snprintf(h.digest, sizeof(h.digest), "%s", topo->digest);
	return channel_hello(t->channel, &h);
}

/* ---- what comes ---- */

static int
take_snapshot(struct taker *t, struct channel_message *m)
{
	if (t->bytes || m->nfds != 1)
		return -EBADMSG;
	t->want = rd_u32(&m->body);
	t->has_query = rd_u8(&m->body) != 0;
	if (m->body.bad || t->want > MAX_FDS || t->want < 1u + t->has_query)
		return -EBADMSG;
	t->bytes = channel_map(m->fds[0], &t->n);
	if (!t->bytes)
		return -errno;
	t->fds = mem_alloc(t->mem, MEM_OTHER, t->want * sizeof(*t->fds));
	return 0;
}

static int
take_descriptors(struct taker *t, struct channel_message *m)
{
	if (!t->bytes || m->nfds == 0 || t->nfds + m->nfds > t->want)
		return -EBADMSG;
	memcpy(t->fds + t->nfds, m->fds, m->nfds * sizeof(int));
	t->nfds += m->nfds;
	m->nfds = 0;
	return 0;
}

int
taker_receive(struct taker *t)
{
	struct channel_message m;
	char err[256];
	int e = 0;

	while (!e && (!t->bytes || t->nfds < t->want)) {
		e = channel_wait(t->channel, &m, RECEIVE_MS);
		if (e)
			break;
		e = m.kind == CHANNEL_SNAPSHOT      ? take_snapshot(t, &m)
		    : m.kind == CHANNEL_DESCRIPTORS ? take_descriptors(t, &m)
						    : -EBADMSG;
		channel_close_fds(&m);
	}
	if (e) {
		taker_fail(t, "the snapshot did not come: %s", strerror(-e));
		return e;
	}
	t->state = state_open(t->mem, t->bytes, t->n, err, sizeof(err));
	if (!t->state) {
		taker_fail(t, "%s", err);
		return -EBADMSG;
	}
	if (state_parcels(t->state) + t->has_query + 1 == t->want)
		return 0;
	taker_fail(t, "%zu descriptors came, the snapshot speaks of %zu", t->want, state_parcels(t->state));
	return -EBADMSG;
}

const struct node_inherit *
taker_inherit(const struct taker *t)
{
	return state_inherit(t->state);
}

const struct state_facts *
taker_facts(const struct taker *t)
{
	return state_facts(t->state);
}

bool
taker_query(const struct taker *t, struct rt_parcel *out)
{
	*out = (struct rt_parcel){ .fd = t->has_query ? t->fds[t->want - 2] : -1 };
	return t->has_query;
}

int
taker_lock(const struct taker *t)
{
	return t->fds[t->want - 1];
}

/* ---- held ---- */

static void
stop_looking(struct taker *t)
{
	rt_timer_free(t->look);
	rt_watch_free(t->watch);
	t->look = NULL;
	t->watch = NULL;
}

/* The snapshot, which may be large. */
static void
release(struct taker *t)
{
	state_free(t->state);
	t->state = NULL;
	channel_unmap(t->bytes, t->n);
	t->bytes = NULL;
}

static void
give_up(struct taker *t)
{
	stop_looking(t);
	t->ops->failed(t->arg);
}

/* The descriptors of the snapshot as the state wants them; each is the node's afterwards. */
static int
adopt(struct taker *t, const void *output, size_t n)
{
	size_t count = state_parcels(t->state);
	struct rt_parcel *parcels = mem_alloc(t->mem, MEM_OTHER, (count + 1) * sizeof(*parcels));
	char err[256];
	int e;

	for (size_t i = 0; i < count; i++)
		parcels[i] = (struct rt_parcel){ .fd = t->fds[i] };
	e = state_adopt(t->state, parcels, count, output, n, err, sizeof(err));
	mem_free(t->mem, MEM_OTHER, parcels);
	if (e)
		taker_fail(t, "%s", err);
	return e;
}

/* 0, or -errno: the old one has ended, or says what nobody asked for. */
static int
announce(struct taker *t)
{
	struct channel_message m;
	int e = channel_receive(t->channel, &m);

	if (e != -EAGAIN) {
		if (e == 0)
			channel_close_fds(&m);
		return e ? e : -EBADMSG;
	}
	t->ops->announce(t->arg);
	return 0;
}

static void
commit(struct taker *t, struct channel_message *m)
{
	const void *output = NULL;
	size_t n = 0;

	prctl(PR_SET_PDEATHSIG, 0);
	if (m->nfds != 1 || !(output = channel_map(m->fds[0], &n))) {
		taker_fail(t, "what is unsent did not come");
		give_up(t);
		return;
	}
	/*
	 * RUNNING before anything is read or written. Is the old one dead by now, the supervisor starts another one, and
	 * we must not be in its way. The supervisor hears of us before the old one does: whenever that one dies, either
	 * it has still been in charge, or we are known.
	 */
	if (adopt(t, output, n) == 0 && announce(t) == 0 &&
	    channel_send(t->channel, CHANNEL_RUNNING, NULL, 0, NULL, 0) == 0) {
		stop_looking(t);
		node_take_over(t->node);
		t->ops->running(t->arg);
		release(t);
	} else {
		give_up(t);
	}
	channel_unmap(output, n);
}

static void
on_channel(void *arg, unsigned int what)
{
	struct taker *t = arg;
	struct channel_message m;
	int e = channel_receive(t->channel, &m);

	(void)what;
	if (e == -EAGAIN)
		return;
	if (e || m.kind != CHANNEL_COMMIT || !t->ready) {
		if (e != -EPIPE)
			taker_fail(t, "the old one says what it should not say now");
		give_up(t);
	} else {
		commit(t, &m);
	}
	if (!e)
		channel_close_fds(&m);
}

static void
look(void *arg)
{
	struct taker *t = arg;
	const struct state_facts *f = state_facts(t->state);
	struct mono now = rt_clock(t->node->rt), after;
	char why[256], text[256];
	int n;

	if (!state_agrees(t->state, t->node, why, sizeof(why))) {
		after = rt_clock(t->node->rt);
		if (mono_sub(after, t->began) > AGREE_US + (int64_t)f->paths * CHANNEL_PATH_US / 2) {
			taker_fail(t, "%s", why);
			give_up(t);
			return;
		}
		rt_timer_set(t->look, mono_add(after, LOOK_US + mono_sub(after, now) * LOOK_SHARE));
		return;
	}
	t->ready = true;
	n = snprintf(text, sizeof(text), "%llu sessions and %llu paths are there", (unsigned long long)f->peers,
	    (unsigned long long)f->paths);
	snprintf(text + n, sizeof(text) - (size_t)n,
	    t->node->cfg.no_fib ? "; no forwarding plane is used"
				: ", %llu routes are in the forwarding plane as wanted",
	    (unsigned long long)f->right);
	if (channel_say(t->channel, CHANNEL_READY, text))
		give_up(t);
}

int
taker_start(struct taker *t, struct node *n, const struct taker_ops *ops, void *arg)
{
	char text[256];
	int e;

	t->node = n;
	t->ops = ops;
	t->arg = arg;
	t->began = rt_clock(n->rt);
	e = state_restore(t->state, n, text, sizeof(text));
	if (e) {
		taker_fail(t, "%s", text);
		return e;
	}
	snprintf(text, sizeof(text),
	    "the snapshot is read, in %lld ms; now ports, BFD and the forwarding plane are compared%s",
	    (long long)mono_sub(rt_clock(n->rt), t->began) / 1000,
	    state_retold(t->state) ? "; this version tells some peers other things, and tells them all again" : "");
	channel_say(t->channel, CHANNEL_PROGRESS, text);
	e = rt_watch_new(n->rt, t->channel, on_channel, t, &t->watch);
	if (e) {
		taker_fail(t, "no event loop: %s", strerror(-e));
		return e;
	}
	rt_watch_set(t->watch, RT_READ);
	t->look = rt_timer_new(n->rt, look, t);
	rt_timer_set(t->look, rt_now(n->rt));
	return 0;
}

void
taker_free(struct taker *t)
{
	if (!t)
		return;
	stop_looking(t);
	release(t);
	mem_free(t->mem, MEM_OTHER, t->fds);
	close(t->channel);
	mem_free(t->mem, MEM_OTHER, t);
}
