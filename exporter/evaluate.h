#ifndef TIDEMARK_EVALUATE_H
#define TIDEMARK_EVALUATE_H

#include "exporter/findings.h"
#include "exporter/history.h"
#include "exporter/overrides.h"
#include "exporter/rules.h"
#include "exporter/snapshot.h"

#include <stdint.h>

/*
 * Judges a snapshot that history_observe() has taken in. Pure: no I/O, no clock; `now` is when the snapshot
 * is judged (milliseconds since 1970), and the same calls give the same findings. The caller owns the result.
 * One thread a history.
 */
struct findings *evaluate(struct history *history, const struct snapshot *snapshot, int64_t now,
                          const struct rules *rules);

/* The same with other rules for some. `cluster` is the name of the source. */
struct findings *evaluate_with(struct history *history, const struct snapshot *snapshot, int64_t now,
                               const struct rules *rules, const struct overrides *overrides,
                               struct str cluster);

#endif
