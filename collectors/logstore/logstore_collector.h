#ifndef TIDEMARK_LOGSTORE_COLLECTOR_H
#define TIDEMARK_LOGSTORE_COLLECTOR_H

#include "collectors/collector.h"

/* The collector of a bundled log store, in the folder that is the source's address. It reads only: it works
 * with write permission withheld and takes no locks. The store may come and go. There are no properties to
 * set. */
extern const struct collector_kind logstore_collector;

#endif
