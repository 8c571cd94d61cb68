/* fabricd/lib/version.h -- the version that all programs show */
#ifndef FABRICD_LIB_VERSION_H
#define FABRICD_LIB_VERSION_H

#ifndef FABRICD_VERSION
#define FABRICD_VERSION "0.1"
#endif

#endif
