#ifndef TIDEMARK_HISTORY_H
#define TIDEMARK_HISTORY_H

#include "exporter/base/error.h"
#include "exporter/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Bounded memory of the past of one source: of each partition its ends over time, of each position and
 * group what the rules need. One thread.
 */
struct history;

struct history *history_new(void);

/* Frees it and sets *history to NULL; NULL is accepted. */
void history_free(struct history **history);

/* Takes in what a poll saw; snapshots come in the order in which they were taken, but for moments. One that
 * is of an earlier time than the last one tells that the clock was set back. */
void history_observe(struct history *history, const struct snapshot *snapshot);

/* Keeps the history in a file, which is replaced as a whole or not at all (history_file.c documents it). */
bool history_save(const struct history *history, const char *path, struct error *error);

/* The history that history_save() kept, owned by the caller. NULL: ERROR_NOT_FOUND when there is no such
 * file; ERROR_CORRUPT or ERROR_UNSUPPORTED when it can't be used and was set aside as PATH.damaged, so that
 * the caller warns and begins anew; ERROR_IO. */
struct history *history_load(const char *path, struct error *error);

#endif
