/*
 * fabricd/rib/restore.h -- routing tables that another fabricd had: what they hold and what was told of it
 *
 * Paths come back by rib_announce(), and all else follows by the decision. What the decision cannot know is what
 * peers were told, and what the FIB has proved: that is set here, behind the announcements and before the first run.
 * So the run tells the exporter what has changed in between, and nothing when nothing has.
 */
#ifndef FABRICD_RIB_RESTORE_H
#define FABRICD_RIB_RESTORE_H

#include "fabricd/rib/rib.h"

/*
 * Of a prefix that was announced: peers were told the path of this source with these attributes (source NULL: were told
 * nothing), and whether its route was installed. Only before the first run. False: there is no such prefix.
 */
bool rib_restore_told(struct rib *, uint32_t table, const struct prefix *, struct rib_source *source,
    struct attrs *attrs, struct rib_nexthop *nexthop, bool installed);

/* Whether a route refresh of a source is under way (RFC 7313): some paths are in doubt until it ends. */
bool rib_refreshing(const struct rib *);
/* Whether paths are taken to be lost that were not withdrawn yet: that ends when they are, or when their source is silent. */
bool rib_has_cuts(const struct rib *);

#endif
