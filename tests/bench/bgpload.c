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
 * --helper: the peers say that they help with a graceful restart of the daemon, and a session that comes back is given
 * everything again.
 * --churn N: changes per second of the first feeder between the commands churn and calm, on prefixes behind its own.
 *
 * Commands on stdin: go, withdraw, drop (close all TCP connections of feeders), churn, calm, stat, quit. Events on stdout are lines
 * of JSON with t in ns of CLOCK_MONOTONIC: ready, up, go, sent, full, empty, lost, stat.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "bgpload.h"

struct load load = { .seed = 1, .port = 179, .churn_rate = 100 };

static int listeners[SESSIONS];
static size_t nlisteners;

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
	if (!strcmp(line, "churn") || !strcmp(line, "calm")) {
		load.churn_at = !strcmp(line, "churn") ? now_ns() : 0;
		say(line, now_ns(), ", \"changes\": %u", load.churned);
		return true;
	}
	progress_forget_sent();
	say(line, now_ns(), "%s", "");
	for (size_t i = 0; i < load.nsessions; i++) {
		struct session *s = &load.sessions[i];

		if (!s->feeder)
			continue;
		if (!strcmp(line, "drop")) {
			load.dropped = true;
			session_down(s, "dropped by command");
		} else if (s->state == UP) {
			s->told = !strcmp(line, "go");
			feed_begin(s, s->told ? &s->feed : &s->withdraw);
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
	struct session *s = &load.sessions[load.nsessions++];
	char *copy = take(strdup(text)), *rest = copy, *word[4], *hop;

	if (load.nsessions == SESSIONS)
		die("too many sessions");
	for (int i = 0; i < 4; i++)
		if (!(word[i] = strsep(&rest, ",")))
			die("%s: want LOCAL,REMOTE,LOCAL_AS,REMOTE_AS[,NH6[,NH6_LINK_LOCAL]]", text);
	s->feeder = feeder;
	s->fd = -1;
	address(&s->local, word[0], 0);
	address(&s->remote, word[1], load.port);
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
	{ "--count4", &load.count4 },
	{ "--count6", &load.count6 },
	{ "--first4", &load.first4 },
	{ "--first6", &load.first6 },
	{ "--expect", &load.expect },
	{ "--port", &load.port },
	{ "--churn", &load.churn_rate },
};

static void
options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		bool known = false;

		if (!strcmp(name, "--same") || !strcmp(name, "--listen") || !strcmp(name, "--v6") ||
		    !strcmp(name, "--helper")) {
			load.shared |= name[2] == 's';
			load.listening |= name[2] == 'l';
			load.v6_wanted |= name[2] == 'v';
			load.helper |= name[2] == 'h';
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
			load.seed = strtoull(value, NULL, 10);
		else if (!strcmp(name, "--table"))
			load.table = value;
		else if (!strcmp(name, "--feed") || !strcmp(name, "--sink"))
			peer_parse(value, name[2] == 'f');
		else
			die("unknown option %s", name);
	}
	if (!load.nsessions)
		die("no --feed and no --sink");
	if (!load.churn_rate)
		die("--churn: at least 1");
	load.v6_wanted |= load.count6;
	for (size_t i = 0; load.count6 && i < load.nsessions; i++)
		if (load.sessions[i].feeder && !load.sessions[i].nh6_len)
			die("--count6: every feeder needs a next hop for IPv6");
}

static void
listen_all(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int on = 1;

	for (size_t i = 0; load.listening && i < load.nsessions; i++) {
		struct sockaddr_storage sa = load.sessions[i].local;
		int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		((struct sockaddr_in *)&sa)->sin_port = htons(load.port); /* the same place in both families */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (void *)&sa, sa_len(&sa)) < 0 || listen(fd, 64) < 0) {
			close(fd); /* several sessions on one local address: the first has it */
			continue;
		}
		ev.data.u32 = SESSIONS + 1 + nlisteners;
		listeners[nlisteners++] = fd;
		epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &ev);
	}
	if (load.listening && !nlisteners)
		die("cannot listen: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = SESSIONS };
	size_t feeders = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	options(argc, argv);
	for (size_t i = 0; i < load.nsessions; i++)
		if (load.sessions[i].feeder)
			make_feed(&load.sessions[i], feeders++);
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, 0, &ev) < 0)
		die("stdin: %s", strerror(errno));
	listen_all();
	say("ready", now_ns(), "%s", "");
	for (;;) {
		int64_t wait = (timers() - now_ns()) / 1000000 + 1;
		struct epoll_event got[128];
		int n = epoll_wait(load.epoll, got, 128, wait < 1 ? 1 : (int)wait);

		for (int i = 0; i < n; i++) {
			uint32_t who = got[i].data.u32;

			if (who < SESSIONS)
				session_event(&load.sessions[who], got[i].events);
			else if (who > SESSIONS)
				accept_one(listeners[who - SESSIONS - 1]);
			else if (!stdin_ready())
				return 0;
		}
	}
}
