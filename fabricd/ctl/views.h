/* fabricd/ctl/views.h -- how the answers of a daemon are shown to people */
#ifndef FABRICD_CTL_VIEWS_H
#define FABRICD_CTL_VIEWS_H

#include "fabricd/ctl/output.h"

extern const struct view view_status, view_bfd, view_bgp, view_neighbor, view_received, view_advertised, view_why,
    view_routes, view_route, view_fib, view_fib_check, view_ports, view_log, view_counters, view_memory, view_upgrade,
    view_topology;

#endif
