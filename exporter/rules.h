#ifndef TIDEMARK_RULES_H
#define TIDEMARK_RULES_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers that the conditions depend on; durations in milliseconds. */
struct rules {
    int64_t objective_ms; /* for time lag */
};

/* The defaults, which need no tuning. */
struct rules rules_default(void);

/* Sets the rule called `name` from text: "5m", "90s", "24h", "2d", "500ms" for durations, a number for the
 * others. ERROR_USAGE that names the rule, what is wrong and what would be right. */
bool rules_set(struct rules *rules, const char *name, const char *value, struct error *error);

#endif
