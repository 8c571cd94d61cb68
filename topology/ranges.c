/*
 * topology/ranges.c -- "swp[1-32]", "Ethernet[0-124/4]", "eth[1-2,5]", "swp[1-4]s[0-3]" to port names
 *
 * The k-th name is slot k, whatever its number. Brackets expand left to right, the last one fastest.
 */
#include <stdio.h>
#include <string.h>

#include "fabricd/lib/wire.h"
#include "topology/model.h"

#define BRACKETS_MAX    4
#define PIECES_MAX      64 /* comma-separated parts of one bracket */
#define PORT_NUMBER_MAX 99999

struct piece {
	uint32_t from, to, step;
};

struct bracket {
	const char *text; /* what stands before it */
	size_t text_len;
	struct piece pieces[PIECES_MAX];
	size_t npieces;
	uint32_t n;
};

bool
port_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= TOPO_NAME_MAX || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == n && s[0] != '-';
}

static int
peek(const struct rd *r)
{
	return rd_done(r) ? -1 : *r->at;
}

static bool
take(struct rd *r, int c)
{
	if (peek(r) != c)
		return false;
	rd_u8(r);
	return true;
}

static const char *
read_digits(struct rd *r, uint32_t *out)
{
	bool zero = peek(r) == '0';
	size_t n = 0;

	*out = 0;
	while (peek(r) >= '0' && peek(r) <= '9') {
		*out = *out * 10 + (uint32_t)(rd_u8(r) - '0');
		if (*out > PORT_NUMBER_MAX)
			return "a port number above 99999";
		n++;
	}
	if (n == 0)
		return "a number is missing between the brackets";
	if (zero && n > 1)
		return "a number with a leading zero; ports are numbered without";
	return NULL;
}

static const char *
read_piece(struct rd *r, struct piece *p)
{
	const char *why = read_digits(r, &p->from);

	p->to = p->from;
	p->step = 1;
	if (!why && take(r, '-'))
		why = read_digits(r, &p->to);
	if (!why && take(r, '/'))
		why = read_digits(r, &p->step);
	if (why)
		return why;
	if (p->to < p->from)
		return "a range that runs backwards";
	if (p->step == 0)
		return "a step of 0";
	if ((p->to - p->from) % p->step)
		return "a step that does not meet the end of its range";
	return NULL;
}

static const char *
read_bracket(struct rd *r, struct bracket *b)
{
	b->n = 0;
	b->npieces = 0;
	do {
		struct piece *p = &b->pieces[b->npieces];
		const char *why;

		if (b->npieces == PIECES_MAX)
			return "more than 64 parts in one bracket";
		if ((why = read_piece(r, p)))
			return why;
		for (size_t i = 0; i < b->npieces; i++) /* lists ascend, so no port stands twice */
			if (b->pieces[i].to >= p->from)
				return "parts of a bracket that do not ascend";
		b->n += (p->to - p->from) / p->step + 1;
		b->npieces++;
	} while (take(r, ','));
	return take(r, ']') ? NULL
			    : "a bracket that does not end; ranges are written as swp[1-32], [0-124/4] or [1-2,5]";
}

static uint32_t
number_at(const struct bracket *b, uint32_t index)
{
	for (size_t i = 0; i < b->npieces; i++) {
		uint32_t n = (b->pieces[i].to - b->pieces[i].from) / b->pieces[i].step + 1;

		if (index < n)
			return b->pieces[i].from + index * b->pieces[i].step;
		index -= n;
	}
	return 0;
}

char (*range_expand(struct arena *a, const char *text, uint32_t *n, const char **why))[TOPO_NAME_MAX]
{
	struct bracket brackets[BRACKETS_MAX];
	struct rd r = rd_make(text, strlen(text));
	const char *tail = text;
	size_t nb = 0;
	uint64_t total = 1;
	char(*names)[TOPO_NAME_MAX];

	*n = 0;
	while (!rd_done(&r)) {
		if (rd_u8(&r) != '[')
			continue;
		if (nb == BRACKETS_MAX) {
			*why = "more than 4 brackets";
			return NULL;
		}
		brackets[nb].text = tail;
		brackets[nb].text_len = (size_t)((const char *)r.at - 1 - tail);
		if ((*why = read_bracket(&r, &brackets[nb])))
			return NULL;
		total *= brackets[nb++].n;
		tail = (const char *)r.at;
		if (total > SLOTS_MAX) {
			*why = "more than 4096 ports";
			return NULL;
		}
	}
	names = arena_alloc(a, total * sizeof(*names));
	for (uint32_t i = 0; i < total; i++) {
		struct buf name = { 0 };
		uint64_t below = total, rest = i;
		bool ok;

		for (size_t k = 0; k < nb; k++) {
			below /= brackets[k].n;
			buf_bytes(&name, brackets[k].text, brackets[k].text_len);
			buf_add(&name, "%u", number_at(&brackets[k], (uint32_t)(rest / below)));
			rest %= below;
		}
		buf_text(&name, tail);
		ok = port_name_ok(name.at);
		if (ok)
			memcpy(names[i], name.at, name.n);
		mem_free(NULL, MEM_TOPOLOGY, name.at);
		if (!ok) {
			*why = "a port name is made of letters, digits and . _ / -, at most 31 of them";
			return NULL;
		}
	}
	*n = (uint32_t)total;
	return names;
}
