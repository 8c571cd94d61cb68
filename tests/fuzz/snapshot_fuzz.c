/*
 * tests/fuzz/snapshot_fuzz.c -- a switch of a running fabric is given any bytes as its predecessor's snapshot
 *
 * The fabric (two spines, two leaves) lives in the simulator, on and on; each input takes the place of leaf1's snapshot in
 * an upgrade. Head and checksum are set right, so that the fuzzer gets past them. Promises: what is refused changes
 * nothing, no session, no route; whatever is taken does not crash, and the switch can be upgraded again.
 */
#include <stdlib.h>

#include "fabricd/lib/base.h"
#include "fabricd/lib/hash.h"
#include "fabricd/sim/world.h"
#include "fabricd/upgrade/state.h"
#include "tests/fuzz/fuzz.h"

static const char file[] =
    "schema: 1\n"
    "fabric: lab\n"
    "tiers:\n"
    "  - {name: spine, count: 2, asn: 65000, loopback: [10.0.0.0/24, \"fd00:0:0:0::/64\"]}\n"
    "  - {name: leaf, count: 2, asn: {base: 65000}, loopback: [10.0.1.0/24, \"fd00:0:0:1::/64\"],\n"
    "     up: {to: spine, local: \"eth[1-2]\", remote: \"eth[1-2]\"},\n"
    "     hosts: {ports: \"eth3\", rack_always: true, racks: [{pool: 10.1.0.0/16, len: 24}]}}\n";

struct input {
	const uint8_t *bytes;
	size_t n;
};

static void
exchange(void *arg, struct snapshot *s)
{
	const struct input *in = arg;
	uint32_t sections = 0;
	unsigned int kind;
	struct rd r, one;

	s->bytes = mem_grow(s->mem, MEM_OTHER, s->bytes, &s->cap, in->n + SNAPSHOT_HEAD, 1);
	s->n = in->n;
	memcpy(s->bytes, in->bytes, in->n);
	if (in->n < SNAPSHOT_HEAD)
		return;
	r = rd_make(s->bytes + SNAPSHOT_HEAD, s->n - SNAPSHOT_HEAD);
	while (snapshot_next(&r, &kind, &one))
		sections++;
	memcpy(s->bytes, "fabricd", 8);
	put_u32(s->bytes + 8, SNAPSHOT_FORMAT << 16);
	put_u32(s->bytes + 12, sections);
	put_u64(s->bytes + 16, s->n);
	put_u64(s->bytes + 24, hash_bytes(0, s->bytes + SNAPSHOT_HEAD, s->n - SNAPSHOT_HEAD));
}

/* To be compared before and after: what each node has, and that no session came or went. */
static uint64_t
digest(struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < world_topo(w)->nnodes; i++) {
		struct node *n = world_node_at(w, i)->node;
		struct sync_comparison fib;
		struct rib_view v;

		for (size_t k = 0; k < n->nports; k++)
			for (const struct node_peer *p = n->ports[k].peer; p; p = p->next) {
				const struct bgp_counters *c = bgp_peer_counters(p->bgp);

				sum = hash_u64(
				    sum, c->flaps * 3 + c->established * 5 + c->in[BGP_UPDATE] * 7 + p->established);
			}
		for (int f = 0; f < FAMILIES; f++)
			for (uint32_t at = 0; rib_next(n->rib, RIB_MAIN_TABLE, (enum family)f, &at, &v);)
				sum += hash_bytes(i, &v.prefix, sizeof(v.prefix)) * (v.list ? v.list->n + 1u : 1u);
		sync_compare(n->sync, &fib);
		sum = hash_u64(sum, fib.right * 3 + fib.wrong * 5 + fib.unwanted);
	}
	return sum;
}

static struct world *
make(void)
{
	struct topo_errors errs = { 0 };
	char err[256];
	struct world_config cfg = { .topo = topo_load(file, sizeof(file) - 1, &errs), .seed = 3 };
	struct world *w;

	must(cfg.topo != NULL, "the file is good");
	w = world_new(&cfg, err, sizeof(err));
	must(w && world_settle(w, MS(300), mono_add(sim_now(world_net(w)), SECONDS(60))), "the fabric comes up");
	return w;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void
let_go(struct world *w)
{
	const struct topo *t = world_topo(w);

	world_free(w);
	topo_free((struct topo *)(uintptr_t)t);
}

/* ---- seeds ---- */

static void
nothing(struct world *w)
{
	world_run(w, SECONDS(1));
}

static void
one_down(struct world *w)
{
	must(world_link_set(w, "leaf1", "eth2", false) == 0, "there is that link");
	world_run(w, SECONDS(5));
}

/* Until its port is kept out. */
static void
damped(struct world *w)
{
	for (int i = 0; i < 4; i++) {
		world_link_set(w, "leaf1", "eth1", false);
		world_run(w, MS(50));
		world_link_set(w, "leaf1", "eth1", true);
		world_run(w, MS(150));
	}
	must(node_port_find(world_node_find(w, "leaf1")->node, "eth1")->damp.suppressed, "the port is kept out");
}

static void
write_seed(const char *dir, const char *name, void (*change)(struct world *))
{
	struct world *w = make();
	struct world_node *leaf = world_node_find(w, "leaf1");
	struct parcels parcels = { .mem = &leaf->mem };
	struct state_facts facts;
	struct snapshot s;
	char path[1024], err[256];
	struct input in;
	FILE *f;

	change(w);
	snapshot_begin(&s, &leaf->mem);
	must(state_save(leaf->node, &s, &parcels, &facts) == 0, "it can be saved");
	snapshot_end(&s);
	parcels_free(&parcels);
	in = (struct input){ s.bytes, s.n };
	must(world_upgrade(leaf, exchange, &in, err, sizeof(err)) == 0, "what was saved is taken");
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	must(f && fwrite(s.bytes, 1, s.n, f) == s.n && fclose(f) == 0, "the seed can be written");
	snapshot_free(&s);
	let_go(w);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("SNAPSHOT_SEEDS");

	(void)argc;
	(void)argv;
	if (!dir)
		return 0;
	write_seed(dir, "made-leaf1", nothing);
	write_seed(dir, "made-leaf1-one-down", one_down);
	write_seed(dir, "made-leaf1-damped", damped);
	exit(0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct world *w;
	struct input in = { bytes, n };
	struct world_node *leaf;
	char err[256] = "";
	uint64_t was;

	if (!w)
		w = make();
	leaf = world_node_find(w, "leaf1");
	was = digest(w);
	if (world_upgrade(leaf, exchange, &in, err, sizeof(err))) {
		must(err[0], "a refusal has a sentence");
		must(digest(w) == was, "what is refused changes nothing");
		return 0;
	}
	/* Taken: it may have been told lies, in a form that only its predecessor can give them. */
	world_run(w, SECONDS(1));
	(void)world_upgrade(leaf, NULL, NULL, err, sizeof(err));
	if (digest(w) != was) {
		let_go(w);
		w = NULL;
	}
	return 0;
}
