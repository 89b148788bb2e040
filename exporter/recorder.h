#ifndef TIDEMARK_RECORDER_H
#define TIDEMARK_RECORDER_H

#include "exporter/base/error.h"
#include "exporter/base/str.h"
#include "exporter/snapshot.h"

/*
 * Appends what is observed to the file of `serve --record`, a line a poll, for `tidemark replay`
 * (observations.h). Lines are whole whatever happens: what a process that was killed left of its last line is
 * taken away when the file is opened again, and what a full disk left of one at once. Several recorders, of
 * several processes, may write to one file. Where that is removed, or moved away to be rotated, a new one is
 * begun under its name. One thread each.
 */
struct recorder;

/* NULL: ERROR_USAGE when the file can't be opened for appending. */
struct recorder *recorder_new(const char *path, struct error *error);

/* Appends a poll of the cluster. What fails is in the log when it begins and when it is over. */
void recorder_add(struct recorder *recorder, struct str cluster, const struct snapshot *snapshot);

/* Closes the file and sets *recorder to NULL; NULL is accepted. */
void recorder_free(struct recorder **recorder);

#endif
