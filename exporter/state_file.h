#ifndef TIDEMARK_STATE_FILE_H
#define TIDEMARK_STATE_FILE_H

#include "exporter/base/error.h"
#include "exporter/history.h"

#include <stdbool.h>

/* The folder of --state-dir, which one process at a time uses. Any thread. */
struct state_folder;

/* Makes the folder if it isn't there, and keeps other processes from using it until it is freed, or the
 * process ends. NULL: ERROR_USAGE when it can't be had or written to, or another process has it. */
struct state_folder *state_folder_new(const char *path, struct error *error);

/* Frees it and sets *folder to NULL; NULL is accepted. */
void state_folder_free(struct state_folder **folder);

/*
 * Where the history of one source outlives the process: a file in the folder of --state-dir, named after the
 * source. It is written before what it leads to is published, so that no counter that somebody has seen goes
 * back, however the process ends. One thread.
 */
struct state_file;

/* The file of the source of that name in `folder`, which outlives it. NULL: ERROR_USAGE when the name is too
 * long for one. */
struct state_file *state_file_new(struct state_folder *folder, const char *source, struct error *error);

/* Frees it and sets *state to NULL; NULL is accepted. The file stays. */
void state_file_free(struct state_file **state);

/* The history that is in the file, owned by the caller; a new one when there is none, or, with a warning in
 * the log, when it can't be used. A file that is damaged is set aside. */
struct history *state_file_load(const struct state_file *state);

/* Saves the history; but if `soon` is false and saving takes so long that it would take more than half of the
 * time, it is done less often. What fails is in the log when it begins and when it is over. */
void state_file_save(struct state_file *state, const struct history *history, bool soon);

#endif
