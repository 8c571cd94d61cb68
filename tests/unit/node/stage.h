/*
 * tests/unit/node/stage.h -- a fabric that has come up, some of its switches by name, and what may be asked of them
 *
 * To be included behind cmocka.h.
 */
#ifndef TESTS_UNIT_NODE_STAGE_H
#define TESTS_UNIT_NODE_STAGE_H

#include <string.h>

#include "fabricd/lib/base.h"
#include "fabricd/sim/world.h"
#include "platform/model/model.h"
#include "tests/unit/topology/file.h"

struct stage {
	struct topo *topo;
	struct world *w;
	struct world_node *spine1, *spine2, *leaf1, *leaf3, *leaf4; /* NULL: the file has none */
	struct node_peer *down,
	    *up; /* a session at either end, of spine1 and of a leaf; a test that wants it sets them */
};

/* cfg.topo is filled in. After 40 s all have found each other. */
static inline struct stage
stage_begin(const char *file, struct world_config cfg)
{
	struct stage s = { .topo = load_file(file) };
	char err[256];

	cfg.topo = s.topo;
	s.w = world_new(&cfg, err, sizeof(err));
	if (!s.w)
		fail_msg("%s", err);
	s.spine1 = world_node_find(s.w, "spine1");
	s.spine2 = world_node_find(s.w, "spine2");
	s.leaf1 = world_node_find(s.w, "leaf1");
	s.leaf3 = world_node_find(s.w, "leaf3");
	s.leaf4 = world_node_find(s.w, "leaf4");
	world_run(s.w, SECONDS(40));
	return s;
}

static inline void
end(struct stage *s)
{
	world_free(s->w);
	topo_free(s->topo);
}

/* Ports over which the forwarding plane of a switch sends packets to another one's rack; 0: it drops them. */
static inline int
ways(const struct world_node *from, const struct world_node *to)
{
	struct ip dst = node_rack_gateway(&to->topo->rack[FAMILY_IPV4]);
	struct model_result r;

	return model_lookup(from->platform, 0, &dst, &r) == MODEL_FORWARD ? (int)r.nhops : 0;
}

/* Events of that type, of that port where one is named; and the newest of them (NULL: none; out may be NULL). */
static inline size_t
events_of(const struct world_node *wn, const char *type, const char *port, const struct journal_event **newest)
{
	const struct journal_event *e, *last = NULL;
	size_t n = 0;

	for (uint64_t id = 1; (e = journal_from(wn->node->journal, id)); id = e->id + 1) {
		if (strcmp(e->type, type) == 0 && (!port || strcmp(e->port, port) == 0)) {
			last = e;
			n++;
		}
	}
	if (newest)
		*newest = last;
	return n;
}

#endif
