/*
 * fabricd/link/port_snapshot.h -- what a port knows, on its way to another fabricd that goes on with it
 *
 * That is since when it has been as it is, and what LLDP said: neighbours who know us say it again within half a minute only.
 * Addresses are heard anew at once, by the RS of a port that comes up. Monotonic time is the machine's, so times are
 * saved as they are.
 */
#ifndef FABRICD_LINK_PORT_SNAPSHOT_H
#define FABRICD_LINK_PORT_SNAPSHOT_H

#include "fabricd/lib/wire.h"
#include "fabricd/link/port.h"

#define LINK_SNAPSHOT_MAX 8192 /* bytes that a port needs at most */

void link_port_save(const struct link_port *, struct wr *);
/*
 * For a port that was just made: 0, or -EBADMSG: nothing was changed. No op is called. LLDP's neighbours age from when they
 * were heard; those that this port has heard itself by now are not replaced.
 */
int link_port_restore(struct link_port *, struct rd, struct mono now);

#endif
