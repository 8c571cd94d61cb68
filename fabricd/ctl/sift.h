/* fabricd/ctl/sift.h -- which rows --filter and --since leave, and what they make of the exit code */
#ifndef FABRICD_CTL_SIFT_H
#define FABRICD_CTL_SIFT_H

#include <jansson.h>

#include "fabricd/ctl/ctl.h"

struct view;

struct sift {
	const struct ctl *ctl;
	size_t shown, left_out;        /* rows */
	size_t findings, findings_out; /* of them those that are a finding: they have "next" */
	uint32_t unseen;               /* bit i: no row had the key of filter i yet */
	json_t *last;                  /* the last row */
};

void sift_init(struct sift *, const struct ctl *);
void sift_clear(struct sift *);

/* Whether the row, JSON text of n bytes, is to be shown. */
bool sift_row(struct sift *, const char *text, size_t n);

/*
 * The exit code of an answer that ended with `status`, when all its rows are through. QUERY_FINDINGS is for findings that
 * are shown. QUERY_USAGE, after ctl_fail() has spoken: the key of a filter is none that the answer's rows can have.
 */
enum query_status sift_status(const struct sift *, const struct view *, enum query_status status);

#endif
