/*
 * tests/bench/bgpload.c -- BGP peers that feed prefixes into a daemon, and peers that count what comes out of it
 *
 *   bgpload OPTION ... --feed PEER ... --sink PEER ...   PEER is LOCAL,REMOTE,LOCAL_AS,REMOTE_AS[,NH6[,NH6_LINK_LOCAL]]
 *
 *     made before the start:  prefixes -> UPDATE bytes (feed, withdrawal) of every feeder
 *     go        the bytes ---- as fast as the socket takes them ---> daemon ---> sinks: a bit per prefix, time stamps
 *
 * It is the measuring tool, so it has to cost next to nothing: all UPDATEs are encoded before the first is sent, a sink
 * keeps bitmaps and looks at nothing but the first AS, the next hop's presence and the prefixes. One thread, epoll.
 *
 * Prefixes are functions of their number: v4 those of load_prefix4() in tool.h, v6 /64 in 2a10::/32. Attributes are
 * pseudo-random from a seed and the number of the group alone, and some five prefixes share them, so feeders that
 * announce the same numbers differ in nothing but the first AS. With --table FILE the prefixes and attributes are those
 * of a real table (`prefix|as_path|origin|next_hop|med|communities|...`).
 *
 * Sinks count only what lies outside of private space (10/8, 172.16/12, 192.168/16, fd00::/8): a switch's own
 * loopbacks and racks are none of the load.
 *
 * Commands on stdin: go, withdraw, drop (close all TCP connections of feeders), stat, quit. Events on stdout are lines
 * of JSON with t in ns of CLOCK_MONOTONIC: ready, up, go, sent, full, empty, lost, stat.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "tool.h"

#define MSG_MAX   4096
#define HEADER    19
#define RBUF      (512 << 10)
#define CHUNK     (1 << 20)
#define SESSIONS  512
#define PATH_MAX_ 64
#define RETRY_NS  20000000LL

enum { OPEN = 1, UPDATE, NOTIFICATION, KEEPALIVE };
enum { V4, V6 };
enum state { DOWN, CONNECTING, OPEN_SENT, OPEN_CONFIRM, UP };

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

/* Which prefixes a sink has now. */
struct set {
	uint64_t *bits[33]; /* v4 by length up to 24, each 2^length bits */
	uint64_t *bits6;    /* our own v6 prefixes, by number */
	struct key {
		uint64_t hi,
		    lo; /* lo: length; hi: v4 address or the upper half of a v6 one; lo 0: free, 1<<63: deleted */
	} * keys;       /* all others: open addressing */
	size_t nkeys, cap;
	size_t present;
};

struct session {
	bool feeder;
	struct sockaddr_storage local, remote;
	uint32_t local_as, remote_as;
	uint8_t nh6[32]; /* next hop of IPv6 prefixes: global, and the link-local one when nh6_len is 32 */
	unsigned int nh6_len;
	enum state state;
	int fd;
	int64_t retry_at, sent_at;
	int64_t keepalive_ns;
	uint8_t *rbuf;
	size_t rlen;
	struct bytes small; /* OPEN, KEEPALIVE */
	size_t small_at;
	const struct bytes *bulk; /* being written, or NULL */
	size_t bulk_at;
	int64_t bulk_done;
	struct bytes feed, withdraw;
	struct set set;
	uint64_t announced, withdrawn, bad, updates;
	int64_t first_t, full_t, empty_t;
};

static struct session sessions[SESSIONS];
static size_t nsessions;
static int epoll;
static uint32_t count4, count6, first4, first6, expect;
static uint64_t seed = 1;
static bool shared, listening, v6_wanted, done_full, done_empty, done_sent;
static unsigned int port = 179;
static const char *table;
static int listeners[SESSIONS];
static size_t nlisteners;

/* ---- bytes out ---- */

static uint8_t *
grow(struct bytes *b, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = b->cap ? b->cap * 2 + n : 4096 + n;
		b->p = take(realloc(b->p, b->cap));
	}
	b->n += n;
	return b->p + b->n - n;
}

static void
put8(struct bytes *b, unsigned int v)
{
	*grow(b, 1) = v;
}

static void
put16(struct bytes *b, unsigned int v)
{
	uint8_t *p = grow(b, 2);

	p[0] = v >> 8;
	p[1] = v;
}

static void
put32(struct bytes *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static void
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

static size_t
msg_begin(struct bytes *b, unsigned int type)
{
	size_t at = b->n;

	memset(grow(b, 16), 0xff, 16);
	put16(b, 0);
	put8(b, type);
	return at;
}

static void
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

static uint64_t
mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

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
	uint64_t r = mix(seed * 0x100000001ULL + family * 0x80000000ULL + group);

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
	if (!expect)
		expect = all;
}

static void
make_feed(struct session *s, size_t index)
{
	struct pfx end = { .family = V6 };

	if (table) {
		make_table(s, table);
	} else {
		make_family(s, V4, first4 + (shared ? 0 : index * count4), count4);
		make_family(s, V6, first6 + (shared ? 0 : index * count6), count6);
	}
	put_withdraw(&s->feed, NULL, 0); /* End-of-RIB, RFC 4724 2 */
	if (v6_wanted)
		put_withdraw(&s->feed, &end, 1);
}

/* ---- what a sink holds ---- */

static void
keys_grow(struct set *t)
{
	struct key *old = t->keys;
	size_t cap = t->cap;

	t->cap = cap ? cap * 2 : 1024;
	t->keys = take(calloc(t->cap, sizeof(*t->keys)));
	t->nkeys = 0;
	for (size_t i = 0; i < cap; i++)
		if (old[i].lo && !(old[i].lo >> 63)) {
			size_t at = mix(old[i].hi ^ old[i].lo << 56) & (t->cap - 1);

			while (t->keys[at].lo)
				at = (at + 1) & (t->cap - 1);
			t->keys[at] = old[i];
			t->nkeys++;
		}
	free(old);
}

static void
key_change(struct set *t, uint64_t hi, uint64_t lo, bool add)
{
	size_t at, gone = SIZE_MAX;

	if (t->nkeys * 2 >= t->cap)
		keys_grow(t);
	for (at = mix(hi ^ lo << 56) & (t->cap - 1); t->keys[at].lo; at = (at + 1) & (t->cap - 1)) {
		if (t->keys[at].hi == hi && t->keys[at].lo == lo) {
			if (!add) {
				t->keys[at].lo = 1ULL << 63;
				t->present--;
			}
			return;
		}
		if (t->keys[at].lo >> 63 && gone == SIZE_MAX)
			gone = at;
	}
	if (!add)
		return;
	if (gone == SIZE_MAX)
		t->nkeys++;
	t->keys[gone == SIZE_MAX ? at : gone] = (struct key){ hi, lo };
	t->present++;
}

static void
bit_change(struct set *t, uint64_t **map, unsigned int log2, uint32_t bit, bool add)
{
	uint64_t *word, mask = 1ULL << (bit & 63);

	if (!*map)
		*map = take(calloc(((size_t)1 << log2) / 64 + 1, 8));
	word = &(*map)[bit >> 6];
	if (add && !(*word & mask))
		t->present++;
	if (!add && (*word & mask))
		t->present--;
	*word = add ? *word | mask : *word & ~mask;
}

static void
set_change(struct set *t, unsigned int family, unsigned int len, const uint8_t *p, bool add)
{
	uint8_t a[16] = { 0 };
	uint64_t hi;

	memcpy(a, p, (len + 7) / 8);
	if (family == V4) {
		uint32_t v = (uint32_t)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];

		if (a[0] == 10 || (v >> 20) == 0xac1 || (v >> 16) == 0xc0a8)
			return;
		if (len && len <= 24)
			bit_change(t, &t->bits[len], len, v >> (32 - len), add);
		else
			key_change(t, v, 0x100 | len, add);
		return;
	}
	if (a[0] == 0xfd)
		return;
	hi = 0;
	for (int i = 0; i < 8; i++)
		hi = hi << 8 | a[i];
	if (len == 64 && hi >> 32 == 0x2a100000 && !(hi & 0xff000000))
		bit_change(t, &t->bits6, 24, hi & 0xffffff, add);
	else
		key_change(t, hi, 0x200 | len, add);
}

/* False: the bytes do not end at the end of a prefix. */
static bool
sink_prefixes(struct session *s, unsigned int family, const uint8_t *p, const uint8_t *end, bool add)
{
	while (p < end) {
		unsigned int len = *p++, n = (len + 7) / 8;

		if (len > (family == V6 ? 128 : 32) || p + n > end)
			return false;
		set_change(&s->set, family, len, p, add);
		if (add)
			s->announced++;
		else
			s->withdrawn++;
		p += n;
	}
	return true;
}

static bool
sink_attr(struct session *s, unsigned int type, const uint8_t *p, size_t n, bool *path, bool *hop)
{
	if (type == 2 && n >= 6) {
		uint32_t as = (uint32_t)p[2] << 24 | p[3] << 16 | p[4] << 8 | p[5];

		*path = p[0] == 2 && as == s->remote_as;
	} else if (type == 3) {
		*hop = n == 4;
	} else if (type == 14 && n >= 5) {
		unsigned int family = p[1] == 2 ? V6 : V4, skip = 4 + p[3] + 1;

		*hop = p[3] == 16 || p[3] == 32 || p[3] == 4;
		return skip <= n && sink_prefixes(s, family, p + skip, p + n, true);
	} else if (type == 15 && n >= 3) {
		return sink_prefixes(s, p[1] == 2 ? V6 : V4, p + 3, p + n, false);
	}
	return true;
}

static bool
sink_update(struct session *s, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n, *attrs_end;
	bool path = false, hop = false, good = true;
	uint64_t before = s->announced;
	size_t w, al;

	if (n < 4)
		return false;
	w = p[0] << 8 | p[1];
	if (2 + w + 2 > n || !sink_prefixes(s, V4, p + 2, p + 2 + w, false))
		return false;
	p += 2 + w;
	al = p[0] << 8 | p[1];
	p += 2;
	if (p + al > end)
		return false;
	for (attrs_end = p + al; good && attrs_end - p >= 3;) {
		unsigned int flags = p[0], type = p[1];
		size_t len = p[2];

		p += 3;
		if (flags & 0x10) {
			if (p >= attrs_end)
				return false;
			len = len << 8 | *p++;
		}
		if ((size_t)(attrs_end - p) < len)
			return false;
		good = sink_attr(s, type, p, len, &path, &hop);
		p += len;
	}
	if (!good || p != attrs_end || !sink_prefixes(s, V4, p, end, true))
		return false;
	if (s->announced != before && (!path || !hop))
		s->bad++;
	return true;
}

/* ---- progress ---- */

static void say(const char *event, int64_t t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void
say(const char *event, int64_t t, const char *fmt, ...)
{
	va_list ap;

	printf("{\"event\": \"%s\", \"t\": %lld", event, (long long)t);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("}\n");
	fflush(stdout);
}

static void
sink_progress(struct session *s)
{
	size_t present = s->set.present;
	int64_t last = 0;

	if (!s->first_t && present)
		s->first_t = now_ns();
	if (!s->full_t && expect && present >= expect)
		s->full_t = now_ns();
	if (s->full_t && !s->empty_t && !present)
		s->empty_t = now_ns();
	if (!done_full && s->full_t) {
		for (size_t i = 0; i < nsessions; i++) {
			if (!sessions[i].feeder && !sessions[i].full_t)
				return;
			last = sessions[i].full_t > last ? sessions[i].full_t : last;
		}
		done_full = true;
		say("full", last, ", \"first\": %lld", (long long)s->first_t);
	}
	if (done_full && !done_empty && s->empty_t) {
		for (size_t i = 0; i < nsessions; i++)
			if (!sessions[i].feeder && !sessions[i].empty_t)
				return;
		done_empty = true;
		say("empty", s->empty_t, "%s", "");
	}
}

static void
feed_progress(void)
{
	int64_t last = 0;

	for (size_t i = 0; i < nsessions; i++) {
		if (sessions[i].bulk)
			return;
		last = sessions[i].bulk_done > last ? sessions[i].bulk_done : last;
	}
	if (!done_sent && last) {
		done_sent = true;
		say("sent", last, "%s", "");
	}
}

static void
stat_print(void)
{
	size_t up = 0, least = SIZE_MAX, most = 0, bytes = 0;
	uint64_t announced = 0, withdrawn = 0, bad = 0, updates = 0;

	for (size_t i = 0; i < nsessions; i++) {
		const struct session *s = &sessions[i];

		up += s->state == UP;
		bytes += s->feed.n;
		if (s->feeder)
			continue;
		least = s->set.present < least ? s->set.present : least;
		most = s->set.present > most ? s->set.present : most;
		announced += s->announced;
		withdrawn += s->withdrawn;
		bad += s->bad;
		updates += s->updates;
	}
	say("stat", now_ns(),
	    ", \"sessions\": %zu, \"up\": %zu, \"feed_bytes\": %zu, \"least\": %zu, \"most\": %zu, \"announced\": "
	    "%llu, "
	    "\"withdrawn\": %llu, \"updates\": %llu, \"bad\": %llu",
	    nsessions, up, bytes, least == SIZE_MAX ? 0 : least, most, (unsigned long long)announced,
	    (unsigned long long)withdrawn, (unsigned long long)updates, (unsigned long long)bad);
}

/* ---- sessions ---- */

static void
watch(struct session *s, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.u32 = s - sessions };

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		die("epoll: %s", strerror(errno));
}

static void
session_down(struct session *s, const char *why)
{
	bool was_up = s->state == UP;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = DOWN;
	s->rlen = s->small.n = s->small_at = s->bulk_at = 0;
	s->bulk = NULL;
	s->retry_at = now_ns() + RETRY_NS;
	if (was_up)
		say("lost", now_ns(), ", \"session\": %zu, \"why\": \"%s\"", (size_t)(s - sessions), why);
}

static void
session_flush(struct session *s)
{
	while (s->small_at < s->small.n) {
		ssize_t n = send(s->fd, s->small.p + s->small_at, s->small.n - s->small_at, MSG_NOSIGNAL);

		if (n < 0) {
			watch(s, true);
			return;
		}
		s->small_at += n;
	}
	s->small.n = s->small_at = 0;
	while (s->bulk) {
		size_t left = s->bulk->n - s->bulk_at;
		ssize_t n = send(s->fd, s->bulk->p + s->bulk_at, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);

		if (n < 0) {
			watch(s, true);
			return;
		}
		s->sent_at = now_ns();
		s->bulk_at += n;
		if (s->bulk_at == s->bulk->n) {
			s->bulk = NULL;
			s->bulk_at = 0;
			s->bulk_done = s->sent_at;
			feed_progress();
		}
	}
	watch(s, false);
}

static void
send_open(struct session *s)
{
	struct bytes *b = &s->small;
	size_t msg = msg_begin(b, OPEN), at;

	put8(b, 4);
	put16(b, s->local_as > 0xffff ? 23456 : s->local_as);
	put16(b, 180);
	/* BGP Identifier: anything unique among our sessions */
	put32(b, 0xc6120000u + 1 + (uint32_t)(s - sessions) + (s->feeder ? 0 : 0x8000));
	at = b->n;
	put8(b, 0);
	put(b, (uint8_t[]){ 2, 0, 1, 4, 0, 1, 0, 1, 2, 0, 65, 4 }, 12);
	put32(b, s->local_as);
	if (v6_wanted)
		put(b, (uint8_t[]){ 1, 4, 0, 2, 0, 1 }, 6);
	b->p[at] = b->n - at - 1;
	b->p[at + 2] = b->n - at - 3;
	msg_end(b, msg);
	s->sent_at = now_ns();
	s->state = OPEN_SENT;
	session_flush(s);
}

static void
send_keepalive(struct session *s)
{
	if (s->bulk) /* mid-message, and UPDATEs serve as well */
		return;
	msg_end(&s->small, msg_begin(&s->small, KEEPALIVE));
	s->sent_at = now_ns();
	session_flush(s);
}

static socklen_t
sa_len(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void
socket_setup(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
session_connect(struct session *s)
{
	int on = 1;

	s->fd = socket(s->remote.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	socket_setup(s->fd);
	if (bind(s->fd, (void *)&s->local, sa_len(&s->local)) < 0)
		die("a local address of session %zu: %s", (size_t)(s - sessions), strerror(errno));
	if (connect(s->fd, (void *)&s->remote, sa_len(&s->remote)) < 0 && errno != EINPROGRESS) {
		session_down(s, "connect");
		return;
	}
	s->state = CONNECTING;
	watch(s, true);
}

static void
became_up(struct session *s)
{
	s->state = UP;
	for (size_t i = 0; i < nsessions; i++)
		if (sessions[i].state != UP)
			return;
	say("up", now_ns(), ", \"sessions\": %zu", nsessions);
}

static const char *
message(struct session *s, unsigned int type, const uint8_t *p, size_t n)
{
	static char text[64];
	unsigned int hold;

	switch (type) {
	case OPEN:
		if (s->state != OPEN_SENT || n < 10)
			return "unexpected OPEN";
		hold = p[3] << 8 | p[4];
		hold = hold > 180 ? 180 : hold;
		s->keepalive_ns = hold ? hold * 1000000000LL / 3 : INT64_MAX;
		s->state = OPEN_CONFIRM;
		send_keepalive(s);
		return NULL;
	case KEEPALIVE:
		if (s->state == OPEN_CONFIRM)
			became_up(s);
		return NULL;
	case UPDATE:
		if (s->state == OPEN_CONFIRM)
			became_up(s);
		s->updates++;
		return s->feeder || sink_update(s, p, n) ? NULL : "malformed UPDATE";
	case NOTIFICATION:
		snprintf(text, sizeof(text), "NOTIFICATION %u/%u", n > 1 ? p[0] : 0, n > 1 ? p[1] : 0);
		return text;
	default:
		return NULL; /* ROUTE-REFRESH */
	}
}

static void
session_read(struct session *s)
{
	for (;;) {
		ssize_t n = recv(s->fd, s->rbuf + s->rlen, RBUF - s->rlen, MSG_DONTWAIT);
		size_t at = 0;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			session_down(s, n ? strerror(errno) : "closed by the peer");
			return;
		}
		s->rlen += n;
		while (s->rlen - at >= HEADER) {
			const uint8_t *m = s->rbuf + at;
			size_t len = m[16] << 8 | m[17];
			const char *why;

			if (len < HEADER || len > MSG_MAX) {
				session_down(s, "message length");
				return;
			}
			if (s->rlen - at < len)
				break;
			why = message(s, m[18], m + HEADER, len - HEADER);
			if (why) {
				session_down(s, why);
				return;
			}
			if (s->fd < 0)
				return;
			at += len;
		}
		memmove(s->rbuf, s->rbuf + at, s->rlen - at);
		s->rlen -= at;
		if (!s->feeder)
			sink_progress(s);
		if (s->rlen == RBUF)
			die("a message does not fit");
		if ((size_t)n < RBUF / 4)
			return; /* nothing more for now: let the others have their turn */
	}
}

static void
accept_one(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int c = accept4(fd, (void *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c < 0)
		return;
	for (size_t i = 0; i < nsessions; i++) {
		struct session *s = &sessions[i];
		bool same = s->remote.ss_family == from.ss_family;

		if (same && from.ss_family == AF_INET)
			same = ((struct sockaddr_in *)&from)->sin_addr.s_addr ==
			       ((struct sockaddr_in *)&s->remote)->sin_addr.s_addr;
		else if (same)
			same = !memcmp(&((struct sockaddr_in6 *)&from)->sin6_addr,
			    &((struct sockaddr_in6 *)&s->remote)->sin6_addr, 16);
		if (same && s->fd < 0) {
			s->fd = c;
			socket_setup(c);
			send_open(s);
			return;
		}
	}
	close(c);
}

static void
session_event(struct session *s, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (s->fd < 0)
		return;
	if (s->state == CONNECTING) {
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error)
			session_down(s, strerror(error));
		else if (events & EPOLLOUT)
			send_open(s);
		return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		session_read(s);
	if (s->fd >= 0 && events & EPOLLOUT)
		session_flush(s);
}

static bool dropped;

static int64_t
timers(void)
{
	int64_t now = now_ns(), next = now + 1000000000LL;

	for (size_t i = 0; i < nsessions; i++) {
		struct session *s = &sessions[i];

		if (s->state == DOWN && !listening && !(dropped && s->feeder)) {
			if (s->retry_at <= now)
				session_connect(s);
			else
				next = s->retry_at < next ? s->retry_at : next;
		}
		if (s->state == UP && now - s->sent_at >= s->keepalive_ns)
			send_keepalive(s);
	}
	return next;
}

/* ---- commands ---- */

static bool
command(const char *line)
{
	if (!strcmp(line, "quit"))
		return false;
	if (!strcmp(line, "stat")) {
		stat_print();
		return true;
	}
	done_sent = false;
	say(line, now_ns(), "%s", "");
	for (size_t i = 0; i < nsessions; i++) {
		struct session *s = &sessions[i];

		if (!s->feeder)
			continue;
		if (!strcmp(line, "drop")) {
			dropped = true;
			session_down(s, "dropped by command");
		} else if (s->state == UP) {
			s->bulk = !strcmp(line, "go") ? &s->feed : &s->withdraw;
			s->bulk_done = 0;
			watch(s, true);
		}
	}
	return true;
}

static bool
stdin_ready(void)
{
	static char line[64];
	static size_t n;

	if (read(0, &line[n], 1) <= 0)
		return false;
	if (line[n] != '\n') {
		if (++n == sizeof(line))
			die("a command is one word");
		return true;
	}
	line[n] = '\0';
	n = 0;
	return command(line);
}

/* ---- start ---- */

static void
address(struct sockaddr_storage *sa, const char *text, unsigned int p)
{
	struct sockaddr_in6 *a6 = (void *)sa;
	struct sockaddr_in *a4 = (void *)sa;

	memset(sa, 0, sizeof(*sa));
	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(p);
	} else if (inet_pton(AF_INET6, text, &a6->sin6_addr) == 1) {
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons(p);
	} else {
		die("not an address: %s", text);
	}
}

static void
peer_parse(const char *text, bool feeder)
{
	struct session *s = &sessions[nsessions++];
	char *copy = take(strdup(text)), *rest = copy, *word[4], *hop;

	if (nsessions == SESSIONS)
		die("too many sessions");
	for (int i = 0; i < 4; i++)
		if (!(word[i] = strsep(&rest, ",")))
			die("%s: want LOCAL,REMOTE,LOCAL_AS,REMOTE_AS[,NH6[,NH6_LINK_LOCAL]]", text);
	s->feeder = feeder;
	s->fd = -1;
	address(&s->local, word[0], 0);
	address(&s->remote, word[1], port);
	s->local_as = strtoul(word[2], NULL, 10);
	s->remote_as = strtoul(word[3], NULL, 10);
	for (; (hop = strsep(&rest, ",")); s->nh6_len += 16)
		if (s->nh6_len == 32 || inet_pton(AF_INET6, hop, s->nh6 + s->nh6_len) != 1)
			die("%s: not an IPv6 next hop: %s", text, hop);
	s->rbuf = take(malloc(RBUF));
	free(copy);
}

static const struct number {
	const char *name;
	uint32_t *value;
} numbers[] = {
	{ "--count4", &count4 },
	{ "--count6", &count6 },
	{ "--first4", &first4 },
	{ "--first6", &first6 },
	{ "--expect", &expect },
	{ "--port", &port },
};

static void
options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		bool known = false;

		if (!strcmp(name, "--same") || !strcmp(name, "--listen") || !strcmp(name, "--v6")) {
			shared |= name[2] == 's';
			listening |= name[2] == 'l';
			v6_wanted |= name[2] == 'v';
			continue;
		}
		i++;
		for (size_t k = 0; k < sizeof(numbers) / sizeof(*numbers); k++)
			if (!strcmp(name, numbers[k].name)) {
				*numbers[k].value = strtoul(value, NULL, 10);
				known = true;
			}
		if (known)
			continue;
		if (!strcmp(name, "--netns"))
			enter_ns(value);
		else if (!strcmp(name, "--seed"))
			seed = strtoull(value, NULL, 10);
		else if (!strcmp(name, "--table"))
			table = value;
		else if (!strcmp(name, "--feed") || !strcmp(name, "--sink"))
			peer_parse(value, name[2] == 'f');
		else
			die("unknown option %s", name);
	}
	if (!nsessions)
		die("no --feed and no --sink");
	v6_wanted |= count6;
	for (size_t i = 0; count6 && i < nsessions; i++)
		if (sessions[i].feeder && !sessions[i].nh6_len)
			die("--count6: every feeder needs a next hop for IPv6");
}

static void
listen_all(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int on = 1;

	for (size_t i = 0; listening && i < nsessions; i++) {
		struct sockaddr_storage sa = sessions[i].local;
		int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		((struct sockaddr_in *)&sa)->sin_port = htons(port); /* the same place in both families */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (void *)&sa, sa_len(&sa)) < 0 || listen(fd, 64) < 0) {
			close(fd); /* several sessions on one local address: the first has it */
			continue;
		}
		ev.data.u32 = SESSIONS + 1 + nlisteners;
		listeners[nlisteners++] = fd;
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
	}
	if (listening && !nlisteners)
		die("cannot listen: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = SESSIONS };
	size_t feeders = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	options(argc, argv);
	for (size_t i = 0; i < nsessions; i++)
		if (sessions[i].feeder)
			make_feed(&sessions[i], feeders++);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &ev) < 0)
		die("stdin: %s", strerror(errno));
	listen_all();
	say("ready", now_ns(), "%s", "");
	for (;;) {
		int64_t wait = (timers() - now_ns()) / 1000000 + 1;
		struct epoll_event got[128];
		int n = epoll_wait(epoll, got, 128, wait < 1 ? 1 : (int)wait);

		for (int i = 0; i < n; i++) {
			uint32_t who = got[i].data.u32;

			if (who < SESSIONS)
				session_event(&sessions[who], got[i].events);
			else if (who > SESSIONS)
				accept_one(listeners[who - SESSIONS - 1]);
			else if (!stdin_ready())
				return 0;
		}
	}
}
