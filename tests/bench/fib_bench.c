/*
 * tests/bench/fib_bench.c -- what sync and the Linux backend cost beside the kernel itself
 *
 *   fib_bench [ROUTES] [ROUNDS]      default 1000000 3; needs root or an unprivileged user namespace
 *
 * In a namespace of its own, on one group of 16 link-local next hops over 16 ports, alternating in each round:
 *   bare   prebuilt messages, 128 to a send, one acknowledgement: the floor
 *   sync   sync_route_set() for every prefix, until all are proved
 * Nobody listens to the kernel's events while bare runs. Prints a line per family and step: medians over the rounds of
 * wall time and of CPU time (user and system; the steadier of the two on a shared machine), their ratios, and the bytes
 * that sync keeps per route.
 */
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "platform/linux/linux.h"
#include "platform/linux/nlmsg.h"
#include "platform/sync.h"
#include "tests/support/netns.h"
#include "tests/support/tiny_runtime.h"

#define PORTS      16
#define MAX_ROUNDS 9
#define BARE_GROUP 77000
#define PATIENCE   60 /* s */

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

struct figure {
	double wall, cpu;
};

static struct figure
since(struct figure began)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (struct figure){
		.wall = (double)tiny_clock_us() / 1e6 - began.wall,
		.cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6 - began.cpu,
	};
}

static struct prefix
nth(enum family f, uint32_t i)
{
	struct prefix p = { .family = (uint8_t)f, .len = f == FAMILY_IPV4 ? 24 : 64 };

	if (f == FAMILY_IPV4)
		put_u32(p.b, 0x01000000u + (i << 8));
	else
		put_u32(p.b, 0x20010000u), put_u32(p.b + 4, i);
	return p;
}

/* ---- bare ---- */

static int
bare_socket(void)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), size = 1 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("netlink: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

static void
bare_send(int fd, struct nl_out *o)
{
	uint8_t answer[65536];
	struct nl_in in;
	struct nl_error e;
	ssize_t n;

	nl_head(o)->nlmsg_flags |= NLM_F_ACK;
	if (send(fd, o->bytes, o->n, 0) != (ssize_t)o->n)
		die("netlink: %s", strerror(errno));
	o->n = 0;
	n = recv(fd, answer, sizeof(answer), 0);
	struct rd all = rd_make(answer, n > 0 ? (size_t)n : 0);
	while (nl_next(&all, &in)) {
		if (in.type == NLMSG_ERROR && nl_parse_error(&in, &e) && e.error)
			die("netlink: %s", strerror(-e.error));
	}
}

static void
bare_group(int fd)
{
	uint8_t bytes[4096];
	struct nl_out out = { .bytes = bytes, .cap = sizeof(bytes) }, *o = &out;
	struct plat_member m[PORTS];
	struct plat_op op;
	char name[16];

	for (uint32_t i = 0; i < PORTS; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		op = (struct plat_op){ .kind = PLAT_NH_SET, .id = BARE_GROUP + 1 + i };
		op.nh.ifindex = if_nametoindex(name);
		ip_parse("fe80::3", &op.nh.gateway);
		nl_put_op(o, &op, 200, 0, 1);
		bare_send(fd, o);
		m[i] = (struct plat_member){ .nh = op.id, .weight = 1 };
	}
	op = (struct plat_op){ .kind = PLAT_GROUP_SET, .id = BARE_GROUP, .group = { m, PORTS } };
	nl_put_op(o, &op, 200, 0, 1);
	bare_send(fd, o);
}

/*
 * Only the message is made and sent: its bytes are those of the one before, but for the address. `edit` is where the
 * address stands in a message.
 */
static struct figure
bare_routes(int fd, enum family f, uint32_t count, bool add)
{
	static uint8_t bytes[128 * 256], one[256];
	struct nl_out o = { .bytes = one, .cap = sizeof(one) }, all = { .bytes = bytes, .cap = sizeof(bytes) };
	struct plat_op op = { .kind = add ? PLAT_ROUTE_SET : PLAT_ROUTE_DEL };
	const size_t edit = NLMSG_HDRLEN + sizeof(struct rtmsg) + NLA_HDRLEN;
	struct figure began = since((struct figure){ 0 });

	op.route.prefix = nth(f, 0);
	op.route.metric = 30;
	op.route.group = BARE_GROUP;
	op.only_new = true;
	nl_put_op(&o, &op, 200, 0, 1);
	for (uint32_t i = 0, n = 0; i < count; i++) {
		struct prefix p = nth(f, i);

		all.msg = all.n;
		memcpy(bytes + all.n, one, o.n);
		memcpy(bytes + all.n + edit, p.b, family_bytes(f));
		all.n += o.n;
		if (++n == 128 || i == count - 1) {
			bare_send(fd, &all);
			n = 0;
		}
	}
	return since(began);
}

/* ---- sync ---- */

struct bench {
	struct tiny tiny;
	struct mem mem;
	struct platform *platform;
	struct sync *sync;
	uint32_t group;
	double bytes_per_route, longest_ms;
};

static void
nothing(void *arg, const char *type, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", type, text);
}

static void
bench_open(struct bench *b)
{
	static const struct sync_client client = { .event = nothing };
	struct sync_config cfg = {
		.mem = &b->mem, .rt = &b->tiny.rt, .seed = 7, .id_base = 0x0fab0000, .metric = 20, .cover_metric = 9999
	};
	struct plat_system_config system = { .hash_seed = 1 };
	struct sync_nexthop nh[PORTS];
	char err[300], name[16];

	tiny_init(&b->tiny, false);
	b->platform = linux_platform_open(&b->tiny.rt, &b->mem, NULL, err, sizeof(err));
	if (!b->platform)
		die("%s", err);
	b->sync = sync_new(b->platform, &cfg, &client, b);
	b->platform->ops->system_setup(b->platform, &system);
	if (sync_start(b->sync))
		die("sync_start failed");
	for (uint32_t i = 0; i < PORTS; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		nh[i] = (struct sync_nexthop){ .ifindex = if_nametoindex(name), .weight = 1 };
		ip_parse("fe80::2", &nh[i].gateway);
	}
	b->group = sync_group_new(b->sync, nh, PORTS);
	tiny_settle(&b->tiny);
}

static void
bench_close(struct bench *b)
{
	sync_group_free(b->sync, b->group);
	tiny_settle(&b->tiny);
	sync_free(b->sync);
	b->platform->ops->close(b->platform);
}

static struct figure
sync_routes(struct bench *b, enum family f, uint32_t count, bool add)
{
	size_t before = b->mem.by[MEM_FIB].bytes;
	struct figure began = since((struct figure){ 0 }), took;
	struct sync_stats st;

	b->tiny.longest_us = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct prefix p = nth(f, i);

		if (add)
			sync_route_set(b->sync, 0, &p, b->group);
		else
			sync_route_del(b->sync, 0, &p);
	}
	do {
		tiny_turn(&b->tiny, 1);
		sync_stats(b->sync, &st);
	} while (st.routes_installed[f] != (add ? count : 0) && since(began).wall < PATIENCE);
	took = since(began);
	b->longest_ms = (double)b->tiny.longest_us / 1e3;
	sync_stats(b->sync, &st);
	if (st.routes_installed[f] != (add ? count : 0))
		die("%lu routes are installed", (unsigned long)st.routes_installed[f]);
	if (add)
		b->bytes_per_route = (double)(b->mem.by[MEM_FIB].bytes - before) / count;
	return took;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(const struct figure *f, int n, bool cpu)
{
	double v[MAX_ROUNDS];

	for (int i = 0; i < n; i++)
		v[i] = cpu ? f[i].cpu : f[i].wall;
	qsort(v, (size_t)n, sizeof(double), by_value);
	return v[n / 2];
}

static void
family(enum family f, uint32_t count, int rounds)
{
	static struct bench b;
	struct figure bare[2][MAX_ROUNDS], sync[2][MAX_ROUNDS];

	for (int r = 0; r < rounds; r++) {
		int fd = bare_socket();

		bare_group(fd);
		bare[0][r] = bare_routes(fd, f, count, true);
		bare[1][r] = bare_routes(fd, f, count, false);
		close(fd);
		bench_open(&b);
		for (int k = 0; k < 2; k++) {
			sync[k][r] = sync_routes(&b, f, count, k == 0);
			fprintf(stderr,
			    "round %d %s %s: bare %.2f s (cpu %.2f), sync %.2f s (cpu %.2f), longest slice %.1f ms\n",
			    r, family_name(f), k ? "delete" : "add", bare[k][r].wall, bare[k][r].cpu, sync[k][r].wall,
			    sync[k][r].cpu, b.longest_ms);
		}
		bench_close(&b);
	}
	for (int k = 0; k < 2; k++) {
		double w = median(bare[k], rounds, false), c = median(bare[k], rounds, true);
		double sw = median(sync[k], rounds, false), sc = median(sync[k], rounds, true);

		printf("%s %-6s %u routes: bare %.2f s, sync %.2f s, ratio %.2f; cpu %.2f s, %.2f s, ratio %.2f\n",
		    family_name(f), k ? "delete" : "add", count, w, sw, sw / w, c, sc, sc / c);
	}
	printf("%s bytes per route in sync: %.1f\n", family_name(f), b.bytes_per_route);
}

int
main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;

	if (!count || rounds < 1 || rounds > MAX_ROUNDS)
		die("usage: fib_bench [ROUTES] [ROUNDS], at most %d rounds", MAX_ROUNDS);
	if (!netns_new())
		die("a network namespace cannot be made here");
	for (int i = 0; i < PORTS; i++) {
		if (!sh("ip link add p%d type veth peer name q%d && ip link set q%d up && ip link set p%d up", i, i, i,
			i))
			die("veth pairs cannot be made");
	}
	if (!netns_write(
		"/proc/sys/net/ipv4/nexthop_compat_mode", "0")) /* for bare as for sync, from the first round */
		die("nexthop_compat_mode cannot be set");
	family(FAMILY_IPV4, count, rounds);
	family(FAMILY_IPV6, count, rounds);
	return 0;
}
