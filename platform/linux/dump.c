/*
 * platform/linux/dump.c -- what is installed: next hops, groups, routes of both families, datagram by datagram
 *
 * The kernel cannot filter next hops by protocol, so others' come too, marked foreign, that their ids be avoided;
 * routes are filtered in the kernel. One pass reads next hops, a second one groups, since ids are in no such order.
 *
 * The kernel breaks off at a group that does not fit into one of its datagrams, whoever's it is: all behind it cannot be
 * read, and -EMSGSIZE says so.
 */
#include <errno.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "platform/linux/internal.h"

static int
stage_begin(struct linux_platform *lp, enum dump_stage stage)
{
	int err;

	lp->stage = stage;
	lp->dump_seq = ++lp->seq;
	lp->dump_last = 0;
	lp->out.n = 0;
	if (stage <= DUMP_GROUPS) {
		nl_begin(&lp->out, RTM_GETNEXTHOP, NLM_F_REQUEST | NLM_F_DUMP, lp->dump_seq, sizeof(struct nhmsg));
		if (stage == DUMP_GROUPS)
			nl_put(&lp->out, NHA_GROUPS, NULL, 0);
	} else {
		struct rtmsg *m = nl_begin(
		    &lp->out, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, lp->dump_seq, sizeof(*m));

		m->rtm_family = stage == DUMP_ROUTES4 ? AF_INET : AF_INET6;
		m->rtm_protocol = lp->protocol;
	}
	err = linux_send(lp->read, lp->out.bytes, lp->out.n);
	lp->out.n = 0;
	return err;
}

struct step {
	struct linux_platform *lp;
	plat_dump_fn *fn;
	void *arg;
	bool done;
	int error;
};

static void
tell(struct step *st, const struct nl_in *in)
{
	struct linux_platform *lp = st->lp;
	struct plat_dumped d = { 0 };
	uint8_t protocol = 0;
	bool ok;

	if (lp->stage <= DUMP_GROUPS) {
		ok = nl_parse_nexthop(in, lp->members, MAX_MEMBERS, &protocol, &d.op);
		lp->dump_last = d.op.id;
		if (ok && (d.op.kind == PLAT_GROUP_SET) != (lp->stage == DUMP_GROUPS))
			return;
	} else {
		ok = nl_parse_route(in, &protocol, &d.op);
	}
	if (!ok) {
		lp->count.malformed++;
		return;
	}
	d.kind = d.op.kind;
	d.foreign = protocol != lp->protocol;
	if (lp->stage <= DUMP_GROUPS && !d.foreign && linux_drop_part(&d.op, lp->members))
		return;
	st->fn(st->arg, &d);
}

static bool
message(void *arg, const struct nl_in *in)
{
	struct step *st = arg;
	struct nl_error e;

	if (in->seq != st->lp->dump_seq)
		return true;
	if (in->flags & NLM_F_DUMP_INTR)
		st->error = -EINTR;
	if (in->type == NLMSG_DONE) {
		int err = nl_parse_done(in);

		st->done = true;
		st->error = err ? err : st->error;
	} else if (in->type == NLMSG_ERROR) {
		st->done = true;
		st->error = nl_parse_error(in, &e) && e.error ? e.error : -EBADMSG;
	} else if (in->type == RTM_NEWNEXTHOP || in->type == RTM_NEWROUTE) {
		tell(st, in);
	}
	return true;
}

/* The kernel refuses a dump while the one before it on the same socket has not been read to its end. */
void
linux_dump_drop(struct linux_platform *lp)
{
	struct step rest = { .lp = lp };

	lp->dump_seq = 0; /* what is left of it belongs to nobody */
	while (lp->stage != DUMP_IDLE && linux_recv(lp, lp->read, message, &rest) > 0)
		;
	lp->stage = DUMP_IDLE;
}

int
linux_dump_begin(struct platform *p)
{
	struct linux_platform *lp = (struct linux_platform *)p;

	linux_dump_drop(lp);
	linux_drop_refresh(lp);
	return stage_begin(lp, DUMP_NEXTHOPS);
}

/* Said once, until a dump comes to its end. */
static void
too_wide(struct linux_platform *lp)
{
	if (!lp->unreadable)
		linux_problem(lp,
		    "the next hops cannot be read: a group of another program has more members than a message of the "
		    "kernel can hold, some 4,000; its id is the next one above %u; make it smaller, or: ip nexthop del "
		    "id ID",
		    lp->dump_last);
	lp->unreadable = true;
}

int
linux_dump_step(struct platform *p, plat_dump_fn *fn, void *arg)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	struct step st = { .lp = lp, .fn = fn, .arg = arg };
	int got;

	if (lp->stage == DUMP_IDLE) /* something else has used the socket meanwhile */
		return -EAGAIN;
	got = linux_recv(lp, lp->read, message, &st);
	if (got == 0)
		got = -EIO;
	if (got > 0 && st.error)
		got = st.error;
	if (got < 0) {
		lp->count.interrupted += got == -EINTR;
		if (got == -EMSGSIZE && lp->stage <= DUMP_GROUPS)
			too_wide(lp);
		return got;
	}
	if (!st.done)
		return 1;
	if (lp->stage == DUMP_ROUTES6) {
		lp->stage = DUMP_IDLE;
		lp->unreadable = false;
		return 0;
	}
	got = stage_begin(lp, lp->stage + 1);
	return got ? got : 1;
}

int
linux_dump_all(struct platform *p, plat_dump_fn *fn, void *arg)
{
	int err = linux_dump_begin(p);

	if (err)
		return err;
	do
		err = linux_dump_step(p, fn, arg);
	while (err > 0);
	return err;
}
