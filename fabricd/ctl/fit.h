/* fabricd/ctl/fit.h -- a table on a terminal that may be narrower than it */
#ifndef FABRICD_CTL_FIT_H
#define FABRICD_CTL_FIT_H

#include <libsmartcols.h>
#include <stdio.h>

/*
 * Prints the table, whose cells may be changed by that, to `to`. width: columns of the terminal, at least FIT_LEAST are
 * used; 0: it is no terminal, and lines are as long as they are.
 */
void fit_print(struct libscols_table *, FILE *to, size_t width);

#define FIT_LEAST 20

#endif
