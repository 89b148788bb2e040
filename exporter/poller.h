#ifndef TIDEMARK_POLLER_H
#define TIDEMARK_POLLER_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/publish.h"
#include "exporter/shared_config.h"
#include "exporter/state_file.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Polls one source, for ever, in a thread of its own: collect, remember, judge, publish. A source that is
 * down is tried again with growing pauses; what was last known of it stays published for
 * POLLER_KEEP_INTERVALS intervals, at least POLLER_KEEP_MS, and then goes.
 */
struct poller;

enum { POLLER_KEEP_INTERVALS = 5, POLLER_KEEP_MS = 5 * 60 * 1000 };

/* A poller of source `index` of the configuration, which publishes as `id` and keeps its past in `state`
 * unless that is NULL, with a thread that waits. It holds the configuration; the rest outlives it. NULL:
 * ERROR_USAGE when the source's settings can't work, ERROR_UNAVAILABLE when there can be no thread. */
struct poller *poller_new(struct shared_config *shared, size_t index, const struct collector_kind *kind,
                          struct publish *publish, size_t id, struct state_folder *state,
                          struct error *error);

/* Whether it polls a source of this name and kind. */
bool poller_polls(const struct poller *poller, const struct source_config *source);

/* The id that it publishes as. */
size_t poller_id(const struct poller *poller);

/* The status to publish before the first poll. Before poller_start(). */
struct source_status poller_first_status(const struct poller *poller);

/* A change of its settings: those of source `index` of a new configuration, which has the same name and kind.
 * A collector is opened if the source changed. NULL as for poller_new(). */
struct poller_change;
struct poller_change *poller_prepare(struct poller *poller, struct shared_config *shared, size_t index,
                                     struct error *error);

/* Carries it out between two polls, at once if there is a new collector; its history stays. Takes the change
 * over and sets *change to NULL. */
void poller_take_change(struct poller *poller, struct poller_change **change);

/* Frees a change that isn't wanted after all; sets *change to NULL; NULL is accepted. */
void poller_drop_change(struct poller_change **change);

/* Polls once, in the caller's thread; false when the source could not be observed. Not after poller_start().
 */
bool poller_poll(struct poller *poller, struct error *error);

/* Lets the thread poll. */
void poller_start(struct poller *poller);

/* Tells the thread to end after the poll under way, and to close its collector; returns at once. */
void poller_request_stop(struct poller *poller);

/* Waits for the thread until `deadline_us` (clock_monotonic_us()); false when it is still polling then: it
 * has to be left alone, with all that it uses. */
bool poller_join(struct poller *poller, int64_t deadline_us);

/* Frees it, joined or never started, and sets *poller to NULL; NULL is accepted. */
void poller_free(struct poller **poller);

#endif
