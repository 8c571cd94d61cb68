/*
 * tests/bench/bgpload_make.c -- prefixes and attributes by number or from a table, and UPDATEs of them
 *
 * All of a feed is encoded before its first byte is sent. Prefixes are functions of their number (tool.h), attributes of
 * the seed and the number of their group, so feeders that announce the same numbers differ in nothing but the first AS.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include "bgpload.h"

#define PATH_MAX_ 64
#define CHURN     64

/* ---- bytes out ---- */

uint8_t *
grow(struct bytes *b, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = b->cap ? b->cap * 2 + n : 4096 + n;
		b->p = take(realloc(b->p, b->cap));
	}
	b->n += n;
	return b->p + b->n - n;
}

void
put8(struct bytes *b, unsigned int v)
{
	*grow(b, 1) = v;
}

void
put16(struct bytes *b, unsigned int v)
{
	uint8_t *p = grow(b, 2);

	p[0] = v >> 8;
	p[1] = v;
}

void
put32(struct bytes *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

void
put(struct bytes *b, const void *p, size_t n)
{
	memcpy(grow(b, n), p, n);
}

static void
patch16(struct bytes *b, size_t at, size_t v)
{
	b->p[at] = v >> 8;
	b->p[at + 1] = v;
}

size_t
msg_begin(struct bytes *b, unsigned int type)
{
	size_t at = b->n;

	memset(grow(b, 16), 0xff, 16);
	put16(b, 0);
	put8(b, type);
	return at;
}

void
msg_end(struct bytes *b, size_t at)
{
	if (b->n - at > MSG_MAX)
		die("message of %zu bytes", b->n - at);
	patch16(b, at + 16, b->n - at);
}

/* ---- prefixes and attributes ---- */

struct pfx {
	uint8_t family, len;
	uint8_t addr[16];
};

static struct pfx
pfx_number(unsigned int family, uint32_t n)
{
	struct pfx p = { .family = family };
	uint32_t a;

	if (n > 0xfffff)
		die("prefix number %u: at most 2^20 prefixes of a family", n);
	if (family == V6) {
		n = load_spread(n);
		memcpy(p.addr, (uint8_t[]){ 0x2a, 0x10, 0, 0, n >> 24, n >> 16, n >> 8, n }, 8);
		p.len = 64;
		return p;
	}
	a = load_prefix4(n, &p.len);
	memcpy(p.addr, (uint8_t[]){ a >> 24, a >> 16, a >> 8, a }, 4);
	return p;
}

static void
put_pfx(struct bytes *b, const struct pfx *p)
{
	put8(b, p->len);
	put(b, p->addr, (p->len + 7) / 8);
}

struct attrs {
	uint32_t path[PATH_MAX_]; /* without the feeder's own AS, unless `whole` */
	unsigned int npath;
	bool whole;
	uint8_t origin;
	bool has_med;
	uint32_t med;
	uint32_t communities[128];
	unsigned int ncommunities;
	uint32_t large[3];
	bool has_large;
};

static uint32_t
some_as(uint64_t r)
{
	/* one in eight a 4-octet number; never a private or reserved one, nor 23456 */
	return r % 8 ? 1 + (r >> 8) % 23000 : 131072 + (r >> 8) % 200000;
}

static void
attrs_make(struct attrs *a, unsigned int family, uint64_t group)
{
	static const uint8_t lengths[16] = { 1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 8 };
	static const uint8_t communities[16] = { 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 16, 20 };
	uint64_t r = mix(load.seed * 0x100000001ULL + family * 0x80000000ULL + group);

	memset(a, 0, sizeof(*a));
	a->npath = lengths[r & 15];
	a->ncommunities = communities[(r >> 4) & 15];
	a->origin = (r >> 8) % 10 == 0 ? 2 : 0;
	a->has_med = (r >> 16) % 6 == 0;
	a->med = (r >> 24) % 1000;
	a->has_large = (r >> 40) % 10 == 0;
	for (unsigned int i = 0; i < a->npath; i++)
		a->path[i] = some_as(r = mix(r));
	for (unsigned int i = 0; i < a->ncommunities; i++) {
		r = mix(r);
		a->communities[i] = (uint32_t)(1 + r % 23000) << 16 | ((r >> 32) & 0xffff);
	}
	for (int i = 0; i < 3; i++)
		a->large[i] = i ? (r >> 8 * i) & 0xffff : some_as(r);
}

/* RFC 4271 4.3, RFC 6793: 4-octet AS numbers, since both ends offer them. */
static void
put_attrs(
    struct bytes *b, const struct session *s, const struct attrs *a, unsigned int family, const struct pfx *p, size_t n)
{
	unsigned int np = a->npath + !a->whole;
	size_t at;

	put(b, (uint8_t[]){ 0x40, 1, 1, a->origin }, 4);
	put(b, (uint8_t[]){ 0x50, 2 }, 2);
	put16(b, 2 + 4 * np);
	put(b, (uint8_t[]){ 2, np }, 2);
	if (!a->whole)
		put32(b, s->local_as);
	for (unsigned int i = 0; i < a->npath; i++)
		put32(b, a->path[i]);
	if (family == V4) {
		put(b, (uint8_t[]){ 0x40, 3, 4 }, 3);
		put(b, &((const struct sockaddr_in *)&s->local)->sin_addr, 4);
	}
	if (a->has_med) {
		put(b, (uint8_t[]){ 0x80, 4, 4 }, 3);
		put32(b, a->med);
	}
	if (a->ncommunities) {
		put(b, (uint8_t[]){ 0xd0, 8 }, 2);
		put16(b, 4 * a->ncommunities);
		for (unsigned int i = 0; i < a->ncommunities; i++)
			put32(b, a->communities[i]);
	}
	if (a->has_large) {
		put(b, (uint8_t[]){ 0xc0, 32, 12 }, 3);
		for (int i = 0; i < 3; i++)
			put32(b, a->large[i]);
	}
	if (family == V6) { /* RFC 4760, RFC 2545 */
		put(b, (uint8_t[]){ 0x90, 14 }, 2);
		at = b->n;
		put16(b, 0);
		put(b, (uint8_t[]){ 0, 2, 1, s->nh6_len }, 4);
		put(b, s->nh6, s->nh6_len);
		put8(b, 0);
		for (size_t i = 0; i < n; i++)
			put_pfx(b, &p[i]);
		patch16(b, at, b->n - at - 2);
	}
}

static void
put_update(struct bytes *b, const struct session *s, const struct attrs *a, const struct pfx *p, size_t n)
{
	size_t msg = msg_begin(b, UPDATE), at;

	put16(b, 0);
	at = b->n;
	put16(b, 0);
	put_attrs(b, s, a, p->family, p, n);
	patch16(b, at, b->n - at - 2);
	if (p->family == V4)
		for (size_t i = 0; i < n; i++)
			put_pfx(b, &p[i]);
	msg_end(b, msg);
}

static void
put_withdraw(struct bytes *b, const struct pfx *p, size_t n)
{
	size_t msg = msg_begin(b, UPDATE), at = b->n, mp;

	put16(b, 0);
	if (!n || p->family == V4) {
		for (size_t i = 0; i < n; i++)
			put_pfx(b, &p[i]);
		patch16(b, at, b->n - at - 2);
		put16(b, 0);
		msg_end(b, msg);
		return;
	}
	at = b->n;
	put16(b, 0);
	put(b, (uint8_t[]){ 0x90, 15 }, 2);
	mp = b->n;
	put16(b, 0);
	put(b, (uint8_t[]){ 0, 2, 1 }, 3);
	for (size_t i = 0; p->len && i < n; i++) /* length 0 marks End-of-RIB here */
		put_pfx(b, &p[i]);
	patch16(b, mp, b->n - mp - 2);
	patch16(b, at, b->n - at - 2);
	msg_end(b, msg);
}

#define PER_MSG 400

static void
make_family(struct session *s, unsigned int family, uint32_t from, uint32_t n)
{
	struct pfx p[PER_MSG];
	struct attrs a;

	/* Groups are cut by the number of the prefix, not by its place, so that feeders of the same numbers agree. */
	for (uint32_t i = from; i < from + n;) {
		uint32_t block = i / 45, in = i % 45, group, left;
		static const uint8_t ends[9] = { 1, 3, 6, 10, 15, 21, 28, 36,
			45 }; /* groups of 1 to 9, five on average */

		for (group = 0; ends[group] <= in; group++)
			;
		left = ends[group] - in;
		left = left > from + n - i ? from + n - i : left;
		for (uint32_t k = 0; k < left; k++)
			p[k] = pfx_number(family, i + k);
		attrs_make(&a, family, (uint64_t)block * 9 + group);
		put_update(&s->feed, s, &a, p, left);
		i += left;
	}
	for (uint32_t i = 0; i < n; i += PER_MSG) {
		uint32_t k = n - i < PER_MSG ? n - i : PER_MSG;

		for (uint32_t j = 0; j < k; j++)
			p[j] = pfx_number(family, from + i + j);
		put_withdraw(&s->withdraw, p, k);
	}
}

static bool
pfx_parse(struct pfx *p, char *text)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return false;
	*slash = '\0';
	memset(p, 0, sizeof(*p));
	p->family = strchr(text, ':') ? V6 : V4;
	p->len = strtoul(slash + 1, NULL, 10);
	return inet_pton(p->family == V6 ? AF_INET6 : AF_INET, text, p->addr) == 1;
}

/* "2497 2914 {1,2}": sets are left out, as RFC 9774 wants them to be. */
static void
line_attrs(struct attrs *a, char *path, char *origin, char *med, char *communities)
{
	memset(a, 0, sizeof(*a));
	for (char *w; (w = strsep(&path, " "));)
		if (*w >= '0' && *w <= '9' && a->npath < PATH_MAX_)
			a->path[a->npath++] = strtoul(w, NULL, 10);
	a->origin = *origin == 'i' ? 0 : *origin == 'e' ? 1 : 2;
	a->has_med = *med;
	a->med = strtoul(med, NULL, 10);
	for (char *w; (w = strsep(&communities, " "));) {
		char *colon = strchr(w, ':');

		if (colon && a->ncommunities < 128)
			a->communities[a->ncommunities++] = strtoul(w, NULL, 10) << 16 |
							    (strtoul(colon + 1, NULL, 10) & 0xffff);
	}
}

/* Plays a table: neighbouring lines with equal attributes share an UPDATE, as a router would pack them. */
static void
make_table(struct session *s, const char *path)
{
	FILE *f = fopen(path, "r");
	struct pfx p[PER_MSG], q;
	struct attrs a, last;
	char *line = NULL;
	size_t cap = 0, n = 0, all = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		char *rest = line, *col[6];

		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' || !*line)
			continue;
		for (int i = 0; i < 6; i++)
			col[i] = rest ? strsep(&rest, "|") : (char[]){ "" };
		if (!pfx_parse(&q, col[0]))
			die("%s: not a prefix: %s", path, col[0]);
		line_attrs(&a, col[1], col[2], col[4], col[5]);
		if (n && (n == PER_MSG || q.family != p[0].family || memcmp(&a, &last, sizeof(a)))) {
			put_update(&s->feed, s, &last, p, n);
			put_withdraw(&s->withdraw, p, n);
			n = 0;
		}
		last = a;
		p[n++] = q;
		all++;
	}
	if (n) {
		put_update(&s->feed, s, &last, p, n);
		put_withdraw(&s->withdraw, p, n);
	}
	free(line);
	fclose(f);
	if (!load.expect)
		load.expect = all;
}

void
make_feed(struct session *s, size_t index)
{
	struct pfx end = { .family = V6 };

	if (load.table) {
		make_table(s, load.table);
	} else {
		make_family(s, V4, load.first4 + (load.shared ? 0 : index * load.count4), load.count4);
		make_family(s, V6, load.first6 + (load.shared ? 0 : index * load.count6), load.count6);
	}
	put_withdraw(&s->feed, NULL, 0); /* End-of-RIB, RFC 4724 2 */
	if (load.v6_wanted)
		put_withdraw(&s->feed, &end, 1);
}

void
make_change(struct bytes *b, const struct session *s, uint32_t n)
{
	struct pfx p = pfx_number(V4, load.first4 + load.count4 + n % CHURN);
	struct attrs a;

	if (n / CHURN & 1) {
		put_withdraw(b, &p, 1);
		return;
	}
	attrs_make(&a, V4, 0x40000000ULL + n);
	put_update(b, s, &a, &p, 1);
}
