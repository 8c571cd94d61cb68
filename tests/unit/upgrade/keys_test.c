/*
 * tests/unit/upgrade/keys_test.c -- sessions with TCP MD5 keys, whose files changed before an upgrade
 *
 * The successor reads the keys anew; the listener that it was handed has those of the one before. What a border's kernel
 * lets through is asked by dialling it from its neighbour's place.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fabricd/lib/base.h"
#include "tests/unit/topology/file.h"
#include "tests/unit/upgrade/successor.h"

static void
dial_closed(void *arg, int error)
{
	struct rt_stream **stream = arg;

	(void)error;
	*stream = NULL;
}

static void
dial_opened(void *arg)
{
	(void)arg;
}

static size_t
dial_input(void *arg, const uint8_t *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	return n;
}

static const struct rt_stream_handler dial_handler = {
	.opened = dial_opened, .input = dial_input, .closed = dial_closed
};

/* Whether the border's kernel lets a connection of its neighbour through that is signed with this key; NULL: not signed. */
static bool
takes_key(struct world_node *border, struct world_node *from, const char *key)
{
	struct rt_stream_options o = { .ifindex = 1, .md5_key = key };
	const struct node_port *port = &border->node->ports[0];
	const struct bgp_counters *c = bgp_peer_counters(port->peer->bgp);
	uint64_t before = c->accepts + port->counters.not_accepted;
	struct rt_stream *stream;
	struct ip to;

	assert_true(ip_parse("192.0.2.0", &o.local) && ip_parse("192.0.2.1", &to));
	assert_int_equal(rt_connect(from->rt, &o, &to, BGP_PORT, &dial_handler, &stream, &stream), 0);
	world_run(border->world, MS(100));
	rt_stream_close(stream, true);
	world_run(border->world, MS(100));
	return c->accepts + port->counters.not_accepted > before;
}

static int
no_key(void *arg, const char *name, char **key)
{
	(void)arg;
	(void)name;
	(void)key;
	return -ENOENT;
}

static struct topo *
with_a_key(void)
{
	static const char text[] =
	    "schema: 1\nfabric: keys\ntiers:\n"
	    "  - {name: border, count: 1, role: border, asn: 65200, loopback: 10.0.2.0/24}\n"
	    "external:\n"
	    "  - {at: \"border1:eth1\", name: isp, asn: 64500, local: 192.0.2.1/31, peer: 192.0.2.0, in: full, "
	    "out: default, auth: isp.key}\n";

	return load_text("keys", text, strlen(text));
}

/* Begins anew with these keys, and without its neighbour. */
static void
begin_anew(struct world_node *wn, int (*read_key)(void *, const char *, char **))
{
	struct node_config cfg = world_node_config(wn);
	char err[256];

	cfg.read_key = read_key;
	world_crash(wn, SIM_KILLED);
	sim_node_boot(wn->rt);
	model_adopt(wn->platform);
	if (node_new(&cfg, &wn->node, err, sizeof(err)))
		fail_msg("%s", err);
	world_run(wn->world, SECONDS(200));
}

static int
old_key(void *arg, const char *name, char **key)
{
	(void)arg;
	(void)name;
	*key = strdup("old");
	return 0;
}

/*
 * The key was not there when fabricd began, or was another one; the successor has it. From then on the listener that it was
 * handed takes what is signed with that, and nothing else.
 */
static void
test_a_listener_gets_the_key_of_now(void **state)
{
	static int (*const before[])(void *, const char *, char **) = { no_key, old_key };
	struct topo *t = with_a_key();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		struct world_config cfg = { .topo = t, .seed = 1, .outside = true, .log = print_event };
		struct world_node *border, *isp;
		char err[256];
		struct world *w = world_new(&cfg, err, sizeof(err));

		assert_non_null(w);
		world_run(w, SECONDS(20));
		border = world_node_find(w, "border1");
		isp = world_outside(w, &(size_t){ 0 });
		assert_true(border->node->ports[0].peer->established);
		node_free(isp->node);
		isp->node = NULL;
		begin_anew(border, before[i]);
		assert_int_equal(takes_key(border, isp, NULL), i == 0);
		assert_int_equal(takes_key(border, isp, "old"), i == 1);
		upgrade_ok(border);
		assert_false(takes_key(border, isp, NULL));
		assert_false(takes_key(border, isp, "old"));
		assert_true(takes_key(border, isp, "key of isp.key"));
		world_free(w);
	}
	topo_free(t);
}

/* It was there, and is gone: who is connected stays so, and after that nothing is begun without it. */
static void
test_a_key_that_is_gone(void **state)
{
	struct topo *t = with_a_key();
	struct world_config cfg = { .topo = t, .seed = 1, .outside = true, .log = print_event };
	char err[256];
	struct world *w = world_new(&cfg, err, sizeof(err));
	struct world_node *border = world_node_find(w, "border1"), *isp = world_outside(w, &(size_t){ 0 });
	struct node_peer *peer;
	struct successor x;
	uint64_t accepts;

	(void)state;
	world_run(w, SECONDS(20));
	successor_begin(&x, border, NULL, NULL);
	x.node->cfg.read_key = no_key;
	successor_takes_over(&x);
	peer = x.node->ports[0].peer;
	world_run(w, SECONDS(30));
	assert_true(peer->established && !peer->key);
	assert_true(sim_stream_kill(isp->rt, 1, -ECONNRESET) > 0);
	world_run(w, SECONDS(30));
	assert_false(peer->established);
	assert_non_null(strstr(peer->identity, "cannot be read"));
	assert_non_null(strstr(bgp_peer_reason(peer->bgp)->text, strerror(ENOKEY)));
	node_free(isp->node);
	isp->node = NULL;
	node_peer_port_gone(peer); /* and with it the key that the listener had */
	node_peer_listen(peer);
	world_run(w, SECONDS(30));
	accepts = bgp_peer_counters(peer->bgp)->accepts;
	assert_true(takes_key(border, isp, NULL)); /* the kernel does, and we do not */
	assert_int_equal(bgp_peer_counters(peer->bgp)->accepts, accepts);
	border->node = NULL;
	successor_end(&x);
	world_free(w);
	topo_free(t);
}

/* A key that is still missing was told of once. */
static void
test_a_missing_key_is_told_once(void **state)
{
	struct topo *t = with_a_key();
	struct world_config cfg = { .topo = t, .seed = 1 };
	char err[256];
	struct world *w = world_new(&cfg, err, sizeof(err));
	struct world_node *border = world_node_find(w, "border1");
	const struct journal_event *e;
	struct successor x;
	unsigned int told = 0;

	(void)state;
	begin_anew(border, no_key);
	successor_begin(&x, border, NULL, NULL);
	x.node->cfg.read_key = no_key;
	successor_takes_over(&x);
	for (uint64_t id = 0; (e = journal_from(x.node->journal, id)); id = e->id + 1)
		told += strcmp(e->type, "NO_KEY") == 0;
	assert_int_equal(told, 1);
	assert_non_null(strstr(x.node->ports[0].peer->identity, "cannot be read"));
	border->node = NULL;
	successor_end(&x);
	world_free(w);
	topo_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_listener_gets_the_key_of_now),
		cmocka_unit_test(test_a_missing_key_is_told_once),
		cmocka_unit_test(test_a_key_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
