/* fabricd/ctl/topo.h -- topology files, for the commands that read them */
#ifndef FABRICD_CTL_TOPO_H
#define FABRICD_CTL_TOPO_H

#include "fabricd/ctl/ctl.h"
#include "topology/topology.h"

#define TOPO_FILE_MAX (4u << 20)

/* The model of a text; NULL after its errors were told on stderr, under that name. */
struct topo *ctl_topo_model(const char *name, const char *text, size_t len);
/* The same of a file ("-": stdin). *text is the caller's to free(), whatever comes. */
struct topo *ctl_topo_load(const char *path, char **text, size_t *len);

#endif
