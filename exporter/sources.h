#ifndef TIDEMARK_SOURCES_H
#define TIDEMARK_SOURCES_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/publish.h"
#include "exporter/shared_config.h"
#include "exporter/state_file.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The pollers of the configured sources. A new configuration changes as little as it can: the poller of a
 * source whose name and kind stay goes on, with its history, its counters and what it has published; one
 * whose settings changed only gets a new collector. One thread at a time.
 */
struct sources;

/* None yet. `kinds` is NULL-terminated; it, `publish` and `state`, NULL if nothing is kept, outlive the
 * sources. */
struct sources *sources_new(const struct collector_kind *const *kinds, struct publish *publish,
                            struct state_folder *state);

/* Makes the sources those of the configuration, which is held as long as it is used. Waits for no source.
 * False, and everything as before: ERROR_USAGE when a source's settings can't work, ERROR_UNAVAILABLE when
 * there can be no further thread. */
bool sources_configure(struct sources *sources, struct shared_config *shared, struct error *error);

/* From now on each source is polled, those that come anew too, in a thread of its own. */
void sources_start(struct sources *sources);

/* Polls every source once, in the caller's thread, instead of sources_start(). False when none could be
 * observed; the reasons are logged. */
bool sources_poll_once(struct sources *sources);

/* Tells the threads to end; returns at once. */
void sources_request_stop(struct sources *sources);

/* Ends the threads. False when one still polls at `deadline_us` (clock_monotonic_us()): then nothing that it
 * uses may be freed. */
bool sources_stop(struct sources *sources, int64_t deadline_us);

/* Frees them, stopped or never started; sets *sources to NULL; NULL is accepted. */
void sources_free(struct sources **sources);

#endif
