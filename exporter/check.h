#ifndef TIDEMARK_CHECK_H
#define TIDEMARK_CHECK_H

#include "collectors/collector.h"
#include "exporter/config.h"

#include <stdio.h>

/* `tidemark check`: looks at each source of a complete configuration and prints what works, what doesn't and
 * how to mend it. `kinds` ends with NULL. Returns the worst that was found. One thread. */
enum check_grade check_sources(const struct config *config, const struct collector_kind *const *kinds,
                               FILE *out);

#endif
