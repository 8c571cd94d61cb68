/*
 * fabricd/sim/chart.c -- see chart.h
 *
 * A tap sees segments, in which messages begin anywhere: each direction of a connection is followed from header to
 * header (RFC 4271 4.1). A message is drawn when its header is there; keepalives tell nothing, and are left out. The
 * switches that speak most get a column, the others are named.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/sim/chart.h"
#include "fabricd/sim/log.h"

#define KEEP    64
#define COLUMNS 7
#define WIDE    12
#define WHAT    48
#define STREAMS 1024

enum { HEADER = 19, KEEPALIVE = 4 }; /* RFC 4271 4.1 */

struct said {
	struct mono at;
	uint32_t from, to;
	char what[WHAT];
};

/* One direction of a connection, and where in its messages it is. */
struct stream {
	uint64_t conn;
	uint32_t from;
	size_t skip; /* bytes of a message that are still to come */
	size_t nhead;
	uint8_t head[HEADER];
};

struct chart {
	struct stream streams[STREAMS];
	const struct topo *t;
	struct world *w;
	struct said said[KEEP];
	uint64_t n;
};

struct chart *
chart_new(const struct topo *t)
{
	struct chart *c = calloc(1, sizeof(*c));

	if (c)
		c->t = t;
	return c;
}

void
chart_free(struct chart *c)
{
	free(c);
}

void
chart_made(void *arg, struct world *w)
{
	struct chart *c = arg;

	c->w = w;
}

static const char *const types[] = { "?", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "REFRESH" };

static bool
is_header(const uint8_t head[HEADER])
{
	for (size_t i = 0; i < 16; i++)
		if (head[i] != 0xff)
			return false;
	return true;
}

/* The stream that a segment belongs to; a place that another one had begins anew. */
static struct stream *
stream_of(struct chart *c, const struct sim_segment *seg, uint32_t from)
{
	struct stream *s = &c->streams[hash_u64(seg->conn, from) % STREAMS];

	if (s->conn != seg->conn || s->from != from)
		*s = (struct stream){ .conn = seg->conn, .from = from };
	return s;
}

/* Names the messages whose headers end in these bytes, as far as there is room; not keepalives. */
static void
read_on(struct stream *s, const uint8_t *bytes, size_t n, char out[WHAT])
{
	size_t at = 0;

	out[0] = '\0';
	while (n) {
		size_t take = MIN_OF(n, s->skip ? s->skip : 1);
		uint8_t type;

		if (!s->skip)
			s->head[s->nhead++] = *bytes;
		else
			s->skip -= take;
		bytes += take;
		n -= take;
		if (s->nhead < HEADER)
			continue;
		if (!is_header(s->head)) { /* in the middle of something: look on */
			memmove(s->head, s->head + 1, --s->nhead);
			continue;
		}
		s->nhead = 0;
		s->skip = (size_t)(s->head[16] << 8 | s->head[17]);
		s->skip = s->skip > HEADER ? s->skip - HEADER : 0;
		type = s->head[18] < ARRAY_LEN(types) ? s->head[18] : 0;
		if (type != KEEPALIVE && at < WHAT - 16)
			at += (size_t)snprintf(out + at, WHAT - at, "%s%s", at ? " " : "", types[type]);
	}
}

void
chart_tap(void *arg, const struct sim_segment *seg)
{
	struct chart *c = arg;
	const struct world_node *a = sim_node_owner(seg->from), *b = sim_node_owner(seg->to);
	struct said *s = &c->said[c->n % KEEP];

	if (a->file != c->t || b->file != c->t) /* outside the fabric */
		return;
	s->at = sim_now(world_net(c->w));
	s->from = a->topo->index;
	s->to = b->topo->index;
	read_on(stream_of(c, seg, s->from), seg->bytes, seg->n, s->what);
	c->n += s->what[0] != '\0';
}

/* The columns: nodes by how often they speak or are spoken to. */
static size_t
choose(const struct chart *c, uint64_t first, uint64_t end, uint32_t column[COLUMNS])
{
	uint32_t *times = calloc(c->t->nnodes, sizeof(*times));
	size_t n = 0;

	for (uint64_t i = first; times && i < end; i++) {
		times[c->said[i % KEEP].from]++;
		times[c->said[i % KEEP].to]++;
	}
	while (times && n < COLUMNS) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < c->t->nnodes; i++)
			if (times[i] > times[best])
				best = i;
		if (!times[best])
			break;
		times[best] = 0;
		column[n++] = best;
	}
	free(times);
	return n;
}

static size_t
place(const uint32_t *column, size_t n, uint32_t node)
{
	for (size_t i = 0; i < n; i++)
		if (column[i] == node)
			return i;
	return SIZE_MAX;
}

static void
draw(const struct chart *c, const struct said *s, const uint32_t *column, size_t n, FILE *out)
{
	char line[COLUMNS * WIDE + 1], time[SIMLOG_TIME];
	size_t a = place(column, n, s->from), b = place(column, n, s->to), from, to;

	memset(line, ' ', sizeof(line));
	line[n * WIDE] = '\0';
	for (size_t i = 0; i < n; i++)
		line[i * WIDE + WIDE / 2] = '|';
	if (a != SIZE_MAX && b != SIZE_MAX) {
		from = MIN_OF(a, b) * WIDE + WIDE / 2;
		to = MAX_OF(a, b) * WIDE + WIDE / 2;
		memset(line + from + 1, '-', to - from - 1);
		line[a < b ? to - 1 : from + 1] = a < b ? '>' : '<';
	}
	fprintf(out, "%14s %s %s", simlog_time(s->at, time), line, s->what);
	if (a == SIZE_MAX || b == SIZE_MAX)
		fprintf(out, "  (%s to %s)", c->t->nodes[s->from].name, c->t->nodes[s->to].name);
	fputc('\n', out);
}

void
chart_print(const struct chart *c, struct mono until, FILE *out)
{
	uint64_t first = c->n > KEEP ? c->n - KEEP : 0, end = c->n;
	uint32_t column[COLUMNS];
	size_t n;

	while (end > first && c->said[(end - 1) % KEEP].at.us > until.us)
		end--;
	n = choose(c, first, end, column);
	if (first == end) {
		fprintf(out, "no message but keepalives in the %d s before it\n", CHART_SECONDS);
		return;
	}
	fprintf(out, "messages before it, as they arrived, without keepalives:\n%14s ", "");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%*.*s%*s", WIDE / 2 + 1 + (int)strlen(c->t->nodes[column[i]].name) / 2, WIDE - 1,
		    c->t->nodes[column[i]].name, WIDE / 2 - 1 - (int)strlen(c->t->nodes[column[i]].name) / 2, "");
	fputc('\n', out);
	for (uint64_t i = first; i < end; i++)
		draw(c, &c->said[i % KEEP], column, n, out);
}
