/*
 * tests/support/bfdwatch.c -- a client of bfdd that is driven by lines, and tells what it is told, one JSON line each
 *
 *   bfdwatch SOCKET
 *   watch ID PORT|- LOCAL PEER INTERVAL_US MULTIPLIER [passive] [hops=N] [echo=US] [loop=US] [key=TYPE:ID:TEXT]
 *   change ID INTERVAL_US MULTIPLIER [admin]
 *   free ID
 *   list
 *   strangers PORT INTERVAL_US MULTIPLIER MAX [SUBNET ...]     (MAX 0: no more)
 *   quit | keep                                    (keep: as a process that is to be restarted)
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bfd/bfd.h"
#include "fabricd/lib/base.h"
#include "fabricd/runtime/event/event.h"

#define WORDS   16
#define WATCHES 1024

struct tool {
	struct runtime *rt;
	struct mem mem;
	struct bfd_client *client;
	struct slot {
		struct tool *t;
		unsigned int id;
		struct bfd_watch *w;
		struct bfd_params params;
	} slots[WATCHES];
	char line[4096];
	size_t len;
	bool keep;
};

static void
on_told(void *arg, bool connected)
{
	struct tool *t = arg;

	printf("{\"t\":%lld,\"connected\":%s}\n", (long long)rt_clock(t->rt).us, connected ? "true" : "false");
}

static void
on_status(void *arg, const struct bfd_status *s)
{
	struct slot *slot = arg;

	printf("{\"t\":%lld,\"id\":%u,\"state\":\"%s\",\"diag\":\"%s\",\"remote\":\"%s\",\"independent\":%s,"
	       "\"remote_said_down\":%s,\"refused\":\"%s\"}\n",
	    (long long)rt_clock(slot->t->rt).us, slot->id, bfd_state_name(s->state), bfd_diag_name(s->diag),
	    bfd_state_name(s->remote_state), s->independent ? "true" : "false", s->remote_said_down ? "true" : "false",
	    s->refused ? s->refused : "");
}

static void
on_row(void *arg, const struct bfd_row *r, int error)
{
	char local[IP_TEXT], peer[IP_TEXT];
	const struct bfd_view *v;

	(void)arg;
	if (!r) {
		printf("{\"end\":%d}\n", error);
		return;
	}
	v = &r->view;
	printf("{\"row\":true,\"port\":\"%s\",\"local\":\"%s\",\"peer\":\"%s\",\"state\":\"%s\",\"remote\":\"%s\","
	       "\"diag\":\"%s\",\"down_diag\":\"%s\",\"tx_us\":%lld,\"rx_us\":%lld,\"detect_us\":%lld,\"tx\":%llu,"
	       "\"rx\":%llu,\"dropped\":%llu,\"missed\":%llu,\"flaps\":%llu,\"spared\":%llu,\"echo_tx\":%llu,"
	       "\"echo_rx\":%llu,\"tx_late_p99\":%lld,\"tx_late_max\":%lld,\"rx_late_p99\":%lld,\"rx_late_max\":%lld,"
	       "\"clients\":%u,\"unsolicited\":%s,\"authenticated\":%s,\"remote_independent\":%s,\"local_discr\":%u,"
	       "\"remote_discr\":%u,\"last_rx_us\":%lld,\"multiplier\":%u}\n",
	    r->port, ip_print(&v->path.local, local), ip_print(&v->path.peer, peer), bfd_state_name(v->state),
	    bfd_state_name(v->remote_state), bfd_diag_name(v->diag), bfd_diag_name(v->down_diag), (long long)v->tx_us,
	    (long long)v->rx_us, (long long)v->detect_us, (unsigned long long)v->tx, (unsigned long long)v->rx,
	    (unsigned long long)v->dropped, (unsigned long long)v->missed, (unsigned long long)v->flaps,
	    (unsigned long long)v->spared, (unsigned long long)v->echo_tx, (unsigned long long)v->echo_rx,
	    (long long)v->tx_late_p99, (long long)v->tx_late_max, (long long)v->rx_late_p99, (long long)v->rx_late_max,
	    r->clients, v->unsolicited ? "true" : "false", v->authenticated ? "true" : "false",
	    v->remote_independent ? "true" : "false", v->local_discr, v->remote_discr, (long long)r->last_rx_us,
	    v->multiplier);
}

static void
option(struct bfd_params *p, const char *word)
{
	unsigned int type, id;
	char key[32];

	if (strcmp(word, "passive") == 0)
		p->passive = true;
	else if (strcmp(word, "admin") == 0)
		p->admin_down = true;
	else if (strncmp(word, "hops=", 5) == 0)
		p->min_hops = (uint8_t)atoi(word + 5);
	else if (strncmp(word, "echo=", 5) == 0)
		p->echo_us = (uint32_t)atoi(word + 5);
	else if (strncmp(word, "loop=", 5) == 0)
		p->echo_rx_us = (uint32_t)atoi(word + 5);
	else if (sscanf(word, "key=%u:%u:%31s", &type, &id, key) == 3) {
		struct bfd_key *k = &p->auth.keys[p->auth.nkeys++];

		p->auth.type = (uint8_t)type;
		k->id = (uint8_t)id;
		k->len = (uint8_t)MIN_OF(strlen(key), (size_t)BFD_KEY_MAX);
		memcpy(k->bytes, key, k->len);
	}
}

static void
do_watch(struct tool *t, char **word, int n)
{
	struct slot *slot = &t->slots[(unsigned int)atoi(word[1]) % WATCHES];
	struct bfd_target target = { 0 };

	if (n < 7 || slot->w || !ip_parse(word[3], &target.path.local) || !ip_parse(word[4], &target.path.peer)) {
		fprintf(stderr, "bfdwatch: a wrong watch\n");
		return;
	}
	target.path.multihop = strcmp(word[2], "-") == 0;
	target.path.ifindex = target.path.multihop ? 0 : if_nametoindex(word[2]);
	snprintf(target.port, sizeof(target.port), "%s", word[2]);
	target.params.min_tx_us = target.params.min_rx_us = (uint32_t)atoi(word[5]);
	target.params.multiplier = (uint8_t)atoi(word[6]);
	for (int i = 7; i < n; i++)
		option(&target.params, word[i]);
	slot->t = t;
	slot->id = (unsigned int)atoi(word[1]);
	slot->params = target.params;
	slot->w = bfd_watch_new(t->client, &target, on_status, slot);
}

static void
do_strangers(struct tool *t, char **word, int n)
{
	uint32_t interval_us = (uint32_t)atoi(word[2]);
	struct bfd_strangers s = { .ifindex = if_nametoindex(word[1]),
		.params = { .min_tx_us = interval_us, .min_rx_us = interval_us, .multiplier = (uint8_t)atoi(word[3]) },
		.max = (unsigned int)atoi(word[4]) };

	for (int i = 5; i < n && s.nsubnets < BFD_SUBNETS; i++)
		if (!prefix_parse(word[i], &s.subnets[s.nsubnets++])) {
			fprintf(stderr, "bfdwatch: %s is no subnet\n", word[i]);
			return;
		}
	bfd_client_unsolicited(t->client, &s);
}

static void
do_line(struct tool *t, char *line)
{
	char *word[WORDS], *save = NULL;
	struct slot *slot;
	int n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < WORDS; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	if (n == 0)
		return;
	slot = &t->slots[n > 1 ? (unsigned int)atoi(word[1]) % WATCHES : 0];
	if (strcmp(word[0], "watch") == 0) {
		do_watch(t, word, n);
	} else if (strcmp(word[0], "change") == 0 && n >= 4 && slot->w) {
		slot->params.min_tx_us = slot->params.min_rx_us = (uint32_t)atoi(word[2]);
		slot->params.multiplier = (uint8_t)atoi(word[3]);
		slot->params.admin_down = n > 4;
		bfd_watch_change(slot->w, &slot->params);
	} else if (strcmp(word[0], "free") == 0 && slot->w) {
		bfd_watch_free(slot->w);
		slot->w = NULL;
	} else if (strcmp(word[0], "list") == 0) {
		int err = bfd_client_list(t->client, on_row, t);

		if (err)
			printf("{\"end\":%d}\n", err);
	} else if (strcmp(word[0], "strangers") == 0 && n >= 5) {
		do_strangers(t, word, n);
	} else if (strcmp(word[0], "quit") == 0 || strcmp(word[0], "keep") == 0) {
		t->keep = word[0][0] == 'k';
		rt_event_stop(t->rt);
	} else {
		fprintf(stderr, "bfdwatch: what is %s?\n", word[0]);
	}
}

static void
on_input(void *arg, unsigned int what)
{
	struct tool *t = arg;
	ssize_t n = read(0, t->line + t->len, sizeof(t->line) - 1 - t->len);
	char *end;

	(void)what;
	if (n <= 0) {
		rt_event_stop(t->rt);
		return;
	}
	t->len += (size_t)n;
	t->line[t->len] = '\0';
	while ((end = strchr(t->line, '\n'))) {
		*end = '\0';
		do_line(t, t->line);
		t->len -= (size_t)(end + 1 - t->line);
		memmove(t->line, end + 1, t->len + 1);
	}
}

int
main(int argc, char **argv)
{
	struct tool *t = calloc(1, sizeof(*t));
	struct rt_watch *w;

	if (argc != 2 || !t)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	t->rt = rt_event_new(&t->mem);
	if (!t->rt || rt_watch_new(t->rt, 0, on_input, t, &w))
		return 1;
	rt_watch_set(w, RT_READ);
	t->client = bfd_client_new(t->rt, &t->mem, argv[1], on_told, t);
	rt_event_run(t->rt);
	bfd_client_free(t->client, t->keep);
	for (int i = 0; i < 5; i++) /* what was said still leaves */
		rt_event_turn(t->rt, MS(1));
	rt_watch_free(w);
	rt_event_free(t->rt);
	free(t);
	return 0;
}
