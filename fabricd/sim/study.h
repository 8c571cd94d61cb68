/*
 * fabricd/sim/study.h -- what a failure does to a fabric that has come up: who is lost, for how long, who carries more
 */
#ifndef FABRICD_SIM_STUDY_H
#define FABRICD_SIM_STUDY_H

#include "fabricd/sim/fault.h"

struct study_config {
	const struct topo *topo;
	uint64_t seed;
	bool bfd, outside;
	uint32_t feed;
	int64_t cpu_us;
	FILE *log; /* NULL: none */
};

struct study {
	const struct topo *topo;
	struct world *w;
	struct check *c;
	struct simlog log;
	struct mono began, converged; /* the cold start, and its last change of forwarding */
	enum family family;           /* of loads: of the racks, or of the loopbacks where there are none */
	size_t nports;                /* nnodes x ports of each, as load[] has them */
	double *load;                 /* of each port while all is well */
	bool *far;                    /* [node][node]: no path by design while all is well */
	bool *out;                    /* [node]: gets out of the fabric while all is well */
	uint32_t barred;   /* pairs of switches with hosts that have no path even then: the file does not allow it */
	int64_t *loss;     /* [node][owner]: the longest loss since study_forget() */
	int64_t *loss_out; /* [node]: of the world outside */
};

/* What the fabric is like after a failure. */
struct findings {
	enum check_kind violation;
	char text[sizeof(((struct check_violation *)0)->text)];
	int64_t settled_us;    /* from the failure to the last change of forwarding */
	int64_t worst_us;      /* the longest loss of a pair that can be reached again */
	uint32_t lost_pairs;   /* such pairs */
	uint32_t lost_outside; /* working switches that did not get out for a while */
	int64_t worst_outside_us;
	uint32_t inside;           /* working switches that got out of the fabric before, and do not any more */
	uint32_t parted, isolated; /* pairs of working switches without a path: cut off; only by a valley */
	uint32_t racks;            /* of both, those that both have hosts */
	uint32_t narrowest;        /* fewest equal paths from a leaf to a rack that it reaches */
	double most;               /* the largest load of a port, relative to the largest before */
	uint32_t most_node, most_port;
};

/* Brings the fabric up, and compares it. NULL with a sentence in err; a violation is in check_violation(c). */
struct study *study_new(const struct study_config *, char *err, size_t errlen);
void study_free(struct study *); /* NULL is allowed */

/* Forgets losses so far; then faults, then time, then study_look(). */
void study_forget(struct study *);
/* Runs until nothing has changed for a while, compares, and tells; `since`: of the failure. */
void study_look(struct study *, struct mono since, struct findings *);
/* The loads of all ports now, as in study.load; free() them. */
double *study_load(const struct study *);

#endif
