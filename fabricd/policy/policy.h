/*
 * fabricd/policy/policy.h -- what may be heard from whom and told to whom, derived from the file and the node's role
 *
 * There is no policy language inside the fabric. Export is the valley-free rule: what was learned from above goes only
 * to what is below, to hosts and to external peers; what comes from below, from a host, from outside or from this
 * switch goes everywhere. Import accepts from a fabric neighbour only what the file says can come from that side:
 * from below exactly the loopbacks and racks of the nodes below (and what their external peers may bring), from above
 * anything of the fabric's pools at its proper length, plus external routes. External sessions are denied until
 * something allows them (RFC 8212).
 */
#ifndef FABRICD_POLICY_POLICY_H
#define FABRICD_POLICY_POLICY_H

#include "fabricd/rib/rib.h"
#include "topology/topology.h"

enum policy_verdict {
	POLICY_ACCEPT,
	POLICY_NOT_FROM_THERE, /* no node on that side has this prefix */
	POLICY_LENGTH,         /* of a pool of the fabric, but longer or shorter than what is taken from it */
	POLICY_MARTIAN,        /* loopback, link-local, multicast, unspecified */
	POLICY_OWN,            /* our own loopback or rack */
	POLICY_DENIED,         /* external, and nothing allows it (RFC 8212) */
	POLICY_NEXT_HOP,       /* the next hop is not on the session's link */
	POLICY_LOOP,           /* own AS in AS_PATH */
	POLICY_TOO_MANY,       /* above the limit of prefixes */
	POLICY_VERDICTS,
};

const char *policy_verdict_name(enum policy_verdict); /* "not-from-there": for counters and JSON */
const char *policy_verdict_text(enum policy_verdict); /* a sentence's end: "no node on that side has it" */

struct policy; /* one per node */

/* topo must outlive it. */
struct policy *policy_new(struct mem *, const struct topo *, const struct topo_node *self);
void policy_free(struct policy *);

/* The rules of one neighbour. */
struct policy_peer;
struct policy_peer *policy_peer_fabric(struct policy *, const struct topo_port *); /* kind UP or DOWN, wired */
struct policy_peer *policy_peer_external(struct policy *, const struct topo_external *);
void policy_peer_free(struct policy_peer *);

enum policy_verdict policy_import(const struct policy_peer *, const struct prefix *, const struct attrs_view *);
/* The most prefixes that this neighbour may have announced at a time: twice what is expected, or max_prefixes. */
uint64_t policy_max_prefixes(const struct policy_peer *);
uint64_t policy_expected_prefixes(const struct policy_peer *);
enum rib_side policy_side(const struct policy_peer *);

/*
 * The fate of a prefix with this AS path (leftmost first): equal for all that came through the same switches of the
 * fabric, whatever lies behind them. Never 0 for a path that begins in the fabric.
 */
uint32_t policy_fate(const struct policy *, const uint32_t *as_path, size_t n);

/*
 * Whether an accepted prefix is the loopback of the very node that its AS path begins at (RFC 4271 5.1.2, rightmost):
 * it is announced as long as there is any path to that node, so it stands for all of its fate.
 */
bool policy_is_witness(const struct policy_peer *, const struct prefix *, const struct attrs_view *);

/*
 * Export. Peers of one class are told the same; the class is a small number. policy_export() says whether a class is
 * told of the prefix whose best path is `best`.
 */
uint32_t policy_class(const struct policy_peer *);
bool policy_export(const struct policy *, uint32_t export_class, const struct prefix *, const struct path *best);

/* Calls fn for each prefix of the fabric that must never fall through to a default: loopbacks, racks, host pools. */
typedef void policy_prefix_fn(void *arg, const struct prefix *);
void policy_covers(const struct policy *, policy_prefix_fn *, void *arg);

#endif
