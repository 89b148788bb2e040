#ifndef TIDEMARK_HISTORY_H
#define TIDEMARK_HISTORY_H

#include "exporter/snapshot.h"

#include <stdint.h>

/*
 * Bounded memory of the past of one source: of each partition its ends over time, of each position and
 * group what the rules need. One thread.
 */
struct history;

struct history *history_new(void);

/* Frees it and sets *history to NULL; NULL is accepted. */
void history_free(struct history **history);

/* Takes in what a poll saw; snapshots come in the order of their times. */
void history_observe(struct history *history, const struct snapshot *snapshot);

#endif
