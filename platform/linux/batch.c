/*
 * platform/linux/batch.c -- operations in batches of 128 messages, one acknowledgement on the last
 *
 * The kernel works a batch off inside sendto(), message by message, goes on after a refused one, and answers each
 * refusal and the last message. So all answers are there when sendto() returns; what has none was done.
 *
 * In a long series (linux_bulk) batches of routes go to the writer, and next hops and groups go past them, at once.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "platform/linux/internal.h"

struct batch {
	struct linux_platform *lp;
	const struct batch_op *ops;
	const struct plat_op *full; /* next hops and groups only: the operations themselves */
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
outcome_of(enum plat_kind kind, int error)
{
	switch (-error) {
	case 0:
		return PLAT_INSTALLED;
	case ENETDOWN:
		return PLAT_WAITS_LINK;
	case ENODEV:
		return kind == PLAT_NH_SET ? PLAT_WAITS_LINK : PLAT_FAILED;
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

/* As nl_put_op(); a group that shall outlive its members gets the one that is never usable (drop.c) when there is one. */
static bool
put_op(struct linux_platform *lp, struct nl_out *out, const struct plat_op *op, bool *outlives)
{
	struct plat_member all[GROUP_WIDE + 1];
	struct plat_op with;

	*outlives = false;
	if (op->kind != PLAT_GROUP_SET || !lp->drop.ready)
		return nl_put_op(out, op, lp->protocol, 0, lp->seq + 1);
	with = *op;
	*outlives = linux_drop_join(lp, &with, all);
	return nl_put_op(out, &with, lp->protocol, 0, lp->seq + 1);
}

static bool
is_delete(enum plat_kind kind)
{
	return kind == PLAT_NH_DEL || kind == PLAT_GROUP_DEL || kind == PLAT_ROUTE_DEL;
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
	bool outlives;

	lp->out.n = 0;
	nl_put_op(&lp->out, &(struct plat_op){ .kind = PLAT_NH_DEL, .id = op->id }, 0, 0, ++lp->seq);
	nl_head(&lp->out)->nlmsg_type = RTM_GETNEXTHOP;
	if (linux_query(lp, read_owner, &o) == 0 && o.found && o.protocol == lp->protocol) {
		change.only_new = false;
		lp->out.n = 0;
		if (put_op(lp, &lp->out, &change, &outlives)) {
			lp->seq++;
			*error = linux_request(lp, words, sizeof(words));
		}
	}
	mem_free(lp->mem, MEM_FIB, *text);
	*text = NULL;
	if (*error == -EEXIST && o.found)
		snprintf(
		    words, sizeof(words), "next hop %u belongs to another program (protocol %u)", op->id, o.protocol);
	if (*error && words[0])
		*text = mem_strdup(lp->mem, MEM_FIB, words);
}

/* The group was refused with its second member: if it is taken without, that one is gone. */
static int
set_alone(struct linux_platform *lp, const struct plat_op *op, int error, char **text)
{
	lp->out.n = 0;
	if (!nl_put_op(&lp->out, op, lp->protocol, 0, ++lp->seq) || linux_request(lp, NULL, 0))
		return error;
	mem_free(lp->mem, MEM_FIB, *text);
	*text = NULL;
	linux_drop_suspect(lp);
	return 0;
}

/* What became of each operation, to `out`; texts of refusals are allocated and belong to the caller (details). */
static void
conclude(struct batch *b, bool lost, struct plat_result *out, char **details)
{
	struct linux_platform *lp = b->lp;

	for (size_t i = 0; i < b->n; i++) {
		const struct batch_op *op = &b->ops[i];
		int error = b->error[i];
		bool alone = false;

		if (lost && !error)
			error = -ENOBUFS; /* its refusal may be among what was lost */
		if (is_delete(op->kind) && (error == -ESRCH || error == -ENOENT))
			error = 0;
		if (error == -EEXIST && op->only_new && op->kind != PLAT_ROUTE_SET)
			resolve_exists(lp, &b->full[i], &error, &b->text[i]);
		if (error == -EINVAL && op->outlives) {
			error = set_alone(lp, &b->full[i], error, &b->text[i]);
			alone = error == 0;
		}
		if (error == -EEXIST && op->kind == PLAT_ROUTE_SET && !b->text[i])
			b->text[i] = mem_strdup(lp->mem, MEM_FIB, "a route of another program stands in its place");
		lp->count.refused += error != 0;
		details[i] = b->text[i];
		out[i] = (struct plat_result){ .cookie = op->cookie,
			.outcome = outcome_of(op->kind, error),
			.error = error,
			.detail = b->text[i],
			.outlives = op->outlives && !alone };
	}
	lp->count.overruns += lost;
	lp->count.batches++;
	lp->count.messages += b->n;
}

/* Messages of the first operations, as many as fit; returns how many. */
static size_t
encode(struct linux_platform *lp, struct nl_out *out, const struct plat_op *ops, size_t max, struct batch_op *brief)
{
	size_t n = 0;
	bool outlives;

	out->n = 0;
	while (n < max && put_op(lp, out, &ops[n], &outlives)) {
		brief[n] = (struct batch_op){ .cookie = ops[n].cookie,
			.kind = (uint8_t)ops[n].kind,
			.only_new = ops[n].only_new,
			.outlives = outlives };
		lp->seq++;
		n++;
	}
	if (n)
		nl_head(out)->nlmsg_flags |= NLM_F_ACK;
	return n;
}

static bool
is_route(const struct plat_op *op)
{
	return op->kind == PLAT_ROUTE_SET || op->kind == PLAT_ROUTE_DEL;
}

/* A batch of routes for the writer; 0: it has enough. */
static size_t
submit_later(struct linux_platform *lp, const struct plat_op *ops, size_t n)
{
	struct write_job *job = linux_writer_room(lp->writer);
	size_t routes = 0;

	if (!job)
		return 0;
	while (routes < MIN_OF(n, (size_t)BATCH) && is_route(&ops[routes]))
		routes++;
	job->first = lp->seq + 1;
	job->n_ops = encode(lp, &job->out, ops, routes, job->ops);
	if (job->n_ops)
		linux_writer_put(lp->writer);
	return job->n_ops;
}

static size_t
submit_now(struct linux_platform *lp, const struct plat_op *ops, size_t n)
{
	struct batch_op brief[BATCH];
	struct batch b = { .lp = lp, .ops = brief, .full = ops, .first = lp->seq + 1 };
	bool lost = false;
	int got;

	b.n = encode(lp, &lp->out, ops, MIN_OF(MIN_OF(n, (size_t)BATCH), QUEUE - lp->n_results), brief);
	if (!b.n)
		return 0;
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
	conclude(&b, lost, lp->results + lp->n_results, lp->details + lp->n_results);
	lp->n_results += b.n;
	rt_work_schedule(lp->tell);
	return b.n;
}

size_t
linux_submit(struct platform *p, const struct plat_op *ops, size_t n)
{
	struct linux_platform *lp = (struct linux_platform *)p;
	size_t others = 0;

	if (!lp->writer)
		return submit_now(lp, ops, n);
	if (n && is_route(&ops[0]))
		return submit_later(lp, ops, n);
	while (others < n && !is_route(&ops[others]))
		others++;
	return submit_now(lp, ops, others); /* overtakes the routes that the writer has */
}

/* ---- what the writer has done ---- */

void
linux_written(struct linux_platform *lp, const struct write_job *job)
{
	struct batch b = { .lp = lp, .ops = job->ops, .n = job->n_ops, .first = job->first };
	struct plat_result results[BATCH];
	char *details[BATCH];
	struct rd all = rd_make(job->answers, job->answered);
	struct nl_in in;

	while (nl_next(&all, &in))
		answer(&b, &in);
	if (all.bad)
		lp->count.malformed++;
	if (job->error) {
		for (size_t i = 0; i < b.n; i++)
			b.error[i] = job->error;
		b.ended = true;
	}
	conclude(&b, !b.ended || job->lost, results, details);
	if (lp->base.client && lp->base.client->results)
		lp->base.client->results(lp->base.client_arg, results, b.n);
	for (size_t i = 0; i < b.n; i++)
		mem_free(lp->mem, MEM_FIB, details[i]);
}
