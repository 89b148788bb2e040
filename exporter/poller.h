#ifndef TIDEMARK_POLLER_H
#define TIDEMARK_POLLER_H

#include "collectors/collector.h"
#include "exporter/base/error.h"
#include "exporter/publish.h"
#include "exporter/rules.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Polls one source, for ever, in a thread of its own: collect, remember, judge, publish. A source that is
 * down is tried again with growing pauses; what was last known of it stays published for
 * POLLER_KEEP_INTERVALS intervals, at least POLLER_KEEP_MS, and then goes.
 */
struct poller;

enum { POLLER_KEEP_INTERVALS = 5, POLLER_KEEP_MS = 5 * 60 * 1000 };

/* A poller of the source `index` of `publish`. What the pointers point to outlives it. NULL: the source's
 * configuration can't work. */
struct poller *poller_new(const struct source_config *source, const struct collector_kind *kind,
                          const struct rules *rules, struct publish *publish, size_t index,
                          struct error *error);

/* The status to publish before the first poll. */
struct source_status poller_first_status(const struct source_config *source,
                                         const struct collector_kind *kind);

/* Polls once, in the caller's thread; false when the source could not be observed. Not after poller_start().
 */
bool poller_poll(struct poller *poller, struct error *error);

/* Starts the thread; false when there can be none. */
bool poller_start(struct poller *poller, struct error *error);

/* Tells the thread to end after the poll under way; returns at once. */
void poller_request_stop(struct poller *poller);

/* Waits for the thread until `deadline_us` (clock_monotonic_us()); false when it is still polling then: it
 * has to be left alone, with all that it uses. */
bool poller_join(struct poller *poller, int64_t deadline_us);

/* Frees it, joined or never started, and sets *poller to NULL; NULL is accepted. */
void poller_free(struct poller **poller);

#endif
