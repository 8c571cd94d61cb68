/*
 * platform/linux/batch.c -- operations in batches of 128 messages, one acknowledgement on the last
 *
 * The kernel works a batch off inside sendto(), message by message, goes on after a refused one, and answers each
 * refusal and the last message. So all answers are there when sendto() returns; what has none was done.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "platform/linux/internal.h"

struct batch {
	struct linux_platform *lp;
	const struct plat_op *ops;
	size_t n;
	uint32_t first; /* sequence number of ops[0] */
	int error[BATCH];
	char *text[BATCH];
	bool ended; /* the answer to the last message came */
};

static bool
answer(void *arg, const struct nl_in *in)
{
	struct batch *b = arg;
	struct nl_error e;
	size_t i;

	if (in->type != NLMSG_ERROR || !nl_parse_error(in, &e))
		return true;
	i = e.seq - b->first;
	if (i >= b->n)
		return true;
	b->error[i] = e.error;
	if (e.error && e.text[0] && !b->text[i])
		b->text[i] = mem_strdup(b->lp->mem, MEM_FIB, e.text);
	b->ended = b->ended || i == b->n - 1;
	return true;
}

static enum plat_outcome
outcome_of(const struct plat_op *op, int error)
{
	switch (-error) {
	case 0:
		return PLAT_INSTALLED;
	case ENETDOWN:
		return PLAT_WAITS_LINK;
	case ENODEV:
		return op->kind == PLAT_NH_SET ? PLAT_WAITS_LINK : PLAT_FAILED;
	case ENOSPC:
	case ENOMEM:
		return PLAT_TABLE_FULL;
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case ENOBUFS:
		return PLAT_TRANSIENT;
	default:
		return PLAT_FAILED;
	}
}

static bool
is_delete(const struct plat_op *op)
{
	return op->kind == PLAT_NH_DEL || op->kind == PLAT_GROUP_DEL || op->kind == PLAT_ROUTE_DEL;
}

/* ---- an object with this id was there already: whose? ---- */

struct owner {
	uint8_t protocol;
	bool found;
	struct linux_platform *lp;
};

static bool
read_owner(void *arg, const struct nl_in *in)
{
	struct owner *o = arg;
	struct plat_op op;

	if (in->type == RTM_NEWNEXTHOP && nl_parse_nexthop(in, o->lp->members, MAX_MEMBERS, &o->protocol, &op))
		o->found = true;
	return true;
}

/* Ours: set it again as a change. Another owner's: it stays, and the operation has failed. */
static void
resolve_exists(struct linux_platform *lp, const struct plat_op *op, int *error, char **text)
{
	struct owner o = { .lp = lp };
	struct plat_op change = *op;
	char words[160] = "";

	lp->out.n = 0;
	nl_put_op(&lp->out, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = op->id }, 0, 0, ++lp->seq);
	nl_head(&lp->out)->nlmsg_type = RTM_GETNEXTHOP;
	if (linux_query(lp, read_owner, &o) == 0 && o.found && o.protocol == lp->protocol) {
		change.only_new = false;
		lp->out.n = 0;
		if (nl_put_op(&lp->out, &change, lp->protocol, 0, ++lp->seq))
			*error = linux_request(lp, words, sizeof(words));
	}
	mem_free(lp->mem, MEM_FIB, *text);
	*text = NULL;
	if (*error == -EEXIST && o.found)
		snprintf(
		    words, sizeof(words), "next hop %u belongs to another program (protocol %u)", op->id, o.protocol);
	if (*error && words[0])
		*text = mem_strdup(lp->mem, MEM_FIB, words);
}

static void
conclude(struct batch *b, bool lost)
{
	struct linux_platform *lp = b->lp;

	for (size_t i = 0; i < b->n; i++) {
		const struct plat_op *op = &b->ops[i];
		int error = b->error[i];

		if (lost && !error)
			error = -ENOBUFS; /* its refusal may be among what was lost */
		if (is_delete(op) && (error == -ESRCH || error == -ENOENT))
			error = 0;
		if (error == -EEXIST && op->only_new && op->kind != PLAT_ROUTE_SET)
			resolve_exists(lp, op, &error, &b->text[i]);
		if (error == -EEXIST && op->kind == PLAT_ROUTE_SET && !b->text[i])
			b->text[i] = mem_strdup(lp->mem, MEM_FIB, "a route of another program stands in its place");
		lp->count.refused += error != 0;
		lp->details[lp->n_results] = b->text[i];
		lp->results[lp->n_results++] = (struct plat_result){
			.cookie = op->cookie, .outcome = outcome_of(op, error), .error = error, .detail = b->text[i]
		};
	}
}

size_t
linux_submit(struct platform *p, const struct plat_op *ops, size_t n)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	struct batch b = { .lp = lp, .ops = ops, .first = lp->seq + 1 };
	size_t max = MIN_OF(MIN_OF(n, BATCH), QUEUE - lp->n_results);
	bool lost = false;
	int got;

	lp->out.n = 0;
	while (b.n < max && nl_put_op(&lp->out, &ops[b.n], lp->protocol, 0, lp->seq + 1)) {
		lp->seq++;
		b.n++;
	}
	if (!b.n)
		return 0;
	nl_head(&lp->out)->nlmsg_flags |= NLM_F_ACK;
	got = linux_send(lp->cmd, lp->out.bytes, lp->out.n);
	lp->out.n = 0;
	if (got) {
		for (size_t i = 0; i < b.n; i++)
			b.error[i] = got;
		b.ended = true;
	}
	while (!b.ended) {
		got = linux_recv(lp, lp->cmd, answer, &b);
		if (got <= 0 && got != -ENOBUFS) {
			lost = true;
			break;
		}
		lost = lost || got < 0;
	}
	lp->count.overruns += lost;
	conclude(&b, lost);
	lp->count.batches++;
	lp->count.messages += b.n;
	rt_work_schedule(lp->tell);
	return b.n;
}
