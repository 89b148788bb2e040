#ifndef TIDEMARK_BASE_DURATION_H
#define TIDEMARK_BASE_DURATION_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Reads "500ms", "15s", "1.5m", "24h" or "2d" into milliseconds: a number of at least 0 and a unit, as
 * Prometheus writes durations. ERROR_USAGE that quotes the text. */
bool duration_parse(const char *text, int64_t *ms, struct error *error);

#endif
