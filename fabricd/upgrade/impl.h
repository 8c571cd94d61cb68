/* fabricd/upgrade/impl.h -- what save.c and restore.c agree upon beside the kinds of sections */
#ifndef FABRICD_UPGRADE_IMPL_H
#define FABRICD_UPGRADE_IMPL_H

#include "fabricd/lib/version.h"
#include "fabricd/upgrade/state.h"

#define STATE_NONE16 0xffffu
#define STATE_NONE32 0xffffffffu

enum { STATE_INSTALLED = 1, STATE_TOLD_BEST = 2, STATE_TOLD_OTHER = 4 };

#endif
