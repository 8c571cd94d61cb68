/*
 * fabricd/ctl/lab.h -- a laboratory: one network namespace per switch and host, wired as the topology file says
 *
 *   size or file --lab_plan--> struct lab (nodes, wires) --lab up--> namespaces, veth pairs, processes
 *                                   |
 *                                   +-- lab.json in the laboratory's folder: all that later commands know
 */
#ifndef FABRICD_CTL_LAB_H
#define FABRICD_CTL_LAB_H

#include "fabricd/ctl/ctl.h"
#include "fabricd/ctl/lab_net.h"
#include "topology/topology.h"

#define LAB_PATH 256

enum lab_kind { LAB_SWITCH, LAB_FOREIGN, LAB_HOST };

const char *lab_kind_name(enum lab_kind);

struct lab_node {
	char name[TOPO_NAME_MAX];
	enum lab_kind kind;
	struct lab_process process; /* fabricd; of a switch */
	struct lab_process bfdd;    /* its BFD daemon; pid 0: none */
	struct {
		bool set;
		struct ip address, gateway;
		uint8_t len;
	} net[FAMILIES]; /* of a host; of a neighbour outside, whose gateway is the border */
};

/* One veth pair. An end that is down was cut there; the other end then has no carrier. */
struct lab_wire {
	struct lab_end {
		uint32_t node; /* index into lab.nodes */
		char port[TOPO_NAME_MAX];
		bool down;
	} end[2];
};

struct lab {
	char name[32];
	char dir[LAB_PATH]; /* lab.json, topology.yaml, ns/NODE, run/NODE, log/NODE.log, hosts */
	char fabric[64];
	struct lab_process holder; /* pid 0: as root, no user namespace */
	bool entered;              /* this process is in the holder's user and mount namespace */
	struct lab_node *nodes;
	size_t n_nodes, cap_nodes;
	struct lab_wire *wires;
	size_t n_wires, cap_wires;
};

/* ---- lab_plan.c: what is to be built ---- */

/* "4x2" -> leaves, spines. False: not a size. */
bool lab_size(const char *text, unsigned int *leaves, unsigned int *spines);
/* Whether a size was meant that cannot be had; then `why` names those that can. */
bool lab_size_meant(const char *text, char *why, size_t size);
/* A topology file of that size, to free(). */
char *lab_generate(unsigned int leaves, unsigned int spines);
/*
 * Nodes and wires of the file: what is planned there is left out; with one host per rack when `hosts`, and one foreign
 * node behind each port to the outside when `externals`.
 */
void lab_plan(struct lab *, const struct topo *, bool hosts, bool externals);
void lab_clear(struct lab *);
struct lab_node *lab_node_find(const struct lab *, const char *name);
/* Says that there is no such node, and which are near. Returns the exit code. */
int lab_no_node(const struct lab *, const char *name);

/* ---- lab_state.c: where it is kept ---- */

/* The folder of the laboratory of that name: below /run for root, else below $XDG_RUNTIME_DIR or /tmp. */
int lab_locate(const char *name, char dir[LAB_PATH]);
/* 0 or -errno; the file is replaced as a whole. */
int lab_save(const struct lab *);
int lab_load(const char *name, struct lab *); /* -ENOENT: there is none */
/* dir/WHAT/NODE with a suffix. */
char *lab_path(const struct lab *, const char *what, const char *node, const char *suffix, char out[LAB_PATH]);

/* Loads the one laboratory that ctl means, or says why it cannot. */
int lab_open(const struct ctl *, struct lab *);
/* Moves this process into the laboratory's user namespace (when it has one), and into the node's network. */
int lab_enter(struct lab *, const char *node);
/* Addresses (and a host's default routes) of a node whose namespace the caller is in; the kernel drops some with its
 * carrier. */
int lab_host_net(struct lab_nl *, const struct lab_node *host);

/* ---- lab_up.c, lab.c ---- */

/* Removes the folder and what is pinned in it, after its processes have ended. */
void lab_remove(struct lab *);
/* Ends fabricds and the holder. Returns how many had to be killed. */
size_t lab_end_processes(struct lab *);

#endif
