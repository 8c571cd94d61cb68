/*
 * fabricd/sim/chart.h -- the messages between switches in a span of time, drawn as a sequence chart
 */
#ifndef FABRICD_SIM_CHART_H
#define FABRICD_SIM_CHART_H

#include <stdio.h>

#include "fabricd/sim/world.h"

#define CHART_SECONDS 30 /* that are worth looking at before a violation */

struct chart;

struct chart *chart_new(const struct topo *);
void chart_free(struct chart *);              /* NULL is allowed */
void chart_made(void *chart, struct world *); /* where the time comes from */
/* Notes what arrives: a sim_tap_fn. The newest are kept. */
void chart_tap(void *chart, const struct sim_segment *);
/* Draws those up to a time. */
void chart_print(const struct chart *, struct mono until, FILE *);

#endif
