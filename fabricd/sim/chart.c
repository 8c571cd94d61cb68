/*
 * fabricd/sim/chart.c -- see chart.h
 *
 * A tap sees segments, in which messages begin anywhere; a message is recognized by its marker (RFC 4271 4.1), and a
 * segment without one continues what came before. Keepalives are left out. The switches that speak most get a column, the others are named.
 */
#include <stdlib.h>
#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/wire.h"
#include "fabricd/sim/chart.h"
#include "fabricd/sim/log.h"

#define KEEP    64
#define COLUMNS 7
#define WIDE    12
#define WHAT    48

struct said {
	struct mono at;
	uint32_t from, to;
	char what[WHAT];
};

struct chart {
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

/* "UPDATE UPDATE KEEPALIVE", as far as there is room. */
static void
describe(const uint8_t *bytes, size_t n, char out[WHAT])
{
	static const char *const types[] = { "?", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "REFRESH" };
	static const uint8_t marker[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff };
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i + 19 <= n && at < WHAT - 16;) {
		struct rd r;
		uint16_t len;
		uint8_t type;

		if (memcmp(bytes + i, marker, 16) != 0) {
			i++;
			continue;
		}
		r = (struct rd){ .at = bytes + i + 16, .end = bytes + n };
		len = rd_u16(&r);
		type = rd_u8(&r);
		at += (size_t)snprintf(
		    out + at, WHAT - at, "%s%s", at ? " " : "", types[type < ARRAY_LEN(types) ? type : 0]);
		i += MAX_OF(len, 19);
	}
	if (!at)
		snprintf(out, WHAT, "%zu bytes", n);
}

void
chart_tap(void *arg, const struct sim_segment *seg)
{
	struct chart *c = arg;
	const struct world_node *a = sim_node_owner(seg->from), *b = sim_node_owner(seg->to);
	struct said *s;

	if (a->file != c->t || b->file != c->t) /* outside the fabric */
		return;
	s = &c->said[c->n++ % KEEP];
	s->at = sim_now(world_net(c->w));
	s->from = a->topo->index;
	s->to = b->topo->index;
	describe(seg->bytes, seg->n, s->what);
	if (strcmp(s->what, "KEEPALIVE") == 0) /* tells nothing, and there are many */
		c->n--;
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
