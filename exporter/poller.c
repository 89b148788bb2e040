#include "exporter/poller.h"

#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/evaluate.h"
#include "exporter/history.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct poller {
    const struct source_config *source;
    const struct collector_kind *kind;
    const struct rules *rules;
    struct publish *publish;
    size_t index; /* in publish */

    struct collector *collector;
    struct history *history;
    struct source_status status;
    bool partial;      /* the last poll left something out */
    bool shown;        /* something of the source is published */
    unsigned failures; /* polls that failed in a row */
    unsigned seed;     /* of the pauses' jitter */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards `stop` */
    pthread_cond_t stop_requested;
    bool stop;
};

enum { FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 10 * 1000, MOST_DOUBLINGS = 16 };

struct source_status poller_first_status(const struct source_config *source,
                                         const struct collector_kind *kind)
{
    return (struct source_status){
        .cluster = source->name,
        .kind = kind->name,
        .offsets = kind->offsets,
        .rebalances = kind->rebalances,
        .last_success = UNKNOWN,
        .poll_interval_ms = source->poll_interval_ms,
    };
}

/* A condition that waits by the clock that doesn't jump. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(condition, &attributes);
    assert(!failed); /* Linux needs nothing for it that could be missing */
    (void)failed;
    pthread_condattr_destroy(&attributes);
}

struct poller *poller_new(const struct source_config *source, const struct collector_kind *kind,
                          const struct rules *rules, struct publish *publish, size_t index,
                          struct error *error)
{
    struct collector *collector = kind->open(source, error);
    if (collector == NULL) {
        error_wrap(error, "source \"%s\"", source->name);
        return NULL;
    }
    struct poller *poller = MEM_NEW(struct poller);
    *poller = (struct poller){
        .source = source,
        .kind = kind,
        .rules = rules,
        .publish = publish,
        .index = index,
        .collector = collector,
        .history = history_new(),
        .status = poller_first_status(source, kind),
        .seed = (unsigned)clock_monotonic_us() + (unsigned)index,
    };
    pthread_mutex_init(&poller->lock, NULL); /* can't fail with default attributes on Linux */
    init_condition(&poller->stop_requested);
    return poller;
}

/* --- one poll ------------------------------------------------------------------------------------------ */

static void take_report(struct poller *poller, const struct poll_report *report)
{
    for (int stage = 0; stage < POLL_STAGES; stage++) {
        poller->status.duration_us[stage] = report->duration_us[stage];
        poller->status.errors_total[stage] += report->errors[stage];
    }
}

/* What is left out is said when it begins and when it is over, not each time. */
static void log_partial(struct poller *poller, const struct poll_report *report)
{
    bool partial = report->first_error.code != ERROR_NONE;
    if (partial && !poller->partial)
        log_event(LOG_LEVEL_WARN, "part of the source can't be observed",
                  LOG_FIELDS(log_text("cluster", poller->source->name),
                             log_text("reason", error_text(&report->first_error))));
    else if (!partial && poller->partial)
        log_event(LOG_LEVEL_INFO, "all of the source can be observed again",
                  LOG_FIELDS(log_text("cluster", poller->source->name)));
    poller->partial = partial;
}

static void publish_success(struct poller *poller, struct snapshot *snapshot)
{
    if (!poller->status.up)
        log_event(LOG_LEVEL_INFO, "source is up",
                  LOG_FIELDS(log_text("cluster", poller->source->name),
                             log_int("topics", snapshot->topic_count),
                             log_int("groups", snapshot->group_count)));
    poller->status.up = true;
    poller->status.polled = true;
    poller->status.last_success = clock_wall_ms();
    poller->shown = true;
    poller->failures = 0;
    history_observe(poller->history, snapshot);
    struct findings *findings = evaluate(poller->history, snapshot, snapshot->time, poller->rules);
    publish_poll(poller->publish, poller->index, &poller->status, snapshot, findings);
}

/* Whether what is published of the source has become too old to be shown. */
static bool outdated(const struct poller *poller)
{
    int64_t keep = poller->source->poll_interval_ms * POLLER_KEEP_INTERVALS;
    if (keep < POLLER_KEEP_MS)
        keep = POLLER_KEEP_MS;
    return poller->shown && clock_wall_ms() - poller->status.last_success > keep;
}

static void publish_failure(struct poller *poller, const struct error *error)
{
    if (poller->status.up || !poller->status.polled)
        log_event(
            LOG_LEVEL_ERROR, "source is down",
            LOG_FIELDS(log_text("cluster", poller->source->name), log_text("reason", error_text(error))));
    poller->status.up = false;
    poller->status.polled = true;
    if (poller->failures < MOST_DOUBLINGS)
        poller->failures++;
    bool forget = outdated(poller);
    poller->shown = poller->shown && !forget;
    publish_status(poller->publish, poller->index, &poller->status, forget);
}

bool poller_poll(struct poller *poller, struct error *error)
{
    struct poll_report report = {0};
    struct snapshot *snapshot = poller->kind->poll(poller->collector, &report, error);
    take_report(poller, &report);
    if (snapshot != NULL) {
        log_partial(poller, &report);
        publish_success(poller, snapshot);
    } else {
        error_wrap(error, "source \"%s\"", poller->source->name);
        publish_failure(poller, error);
    }
    error_clear(&report.first_error);
    return snapshot != NULL;
}

/* --- the thread ---------------------------------------------------------------------------------------- */

/* Until the next poll: the rest of the interval, or after failures a pause that doubles up to its limit (the
 * interval, if that is longer) and is shortened by up to a quarter, so that many daemons don't come at once.
 */
static int64_t pause_us(struct poller *poller, int64_t poll_us)
{
    int64_t interval_ms = poller->source->poll_interval_ms;
    if (poller->failures == 0)
        return interval_ms * 1000 > poll_us ? interval_ms * 1000 - poll_us : 0;
    int64_t longest = interval_ms > LONGEST_PAUSE_MS ? interval_ms : LONGEST_PAUSE_MS;
    int64_t pause = (interval_ms < FIRST_PAUSE_MS ? interval_ms : FIRST_PAUSE_MS) << (poller->failures - 1);
    if (pause > longest)
        pause = longest;
    return pause * 1000 - pause * 250 * (rand_r(&poller->seed) % 1000) / 1000;
}

/* Waits so long, or until the poller is to stop: then true. */
static bool wait_for_stop(struct poller *poller, int64_t wait_us)
{
    int64_t until = clock_monotonic_us() + wait_us;
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000000),
                                .tv_nsec = (long)(until % 1000000) * 1000};
    pthread_mutex_lock(&poller->lock);
    int waited = 0;
    while (!poller->stop && waited == 0)
        waited = pthread_cond_timedwait(&poller->stop_requested, &poller->lock, &deadline);
    bool stop = poller->stop;
    pthread_mutex_unlock(&poller->lock);
    return stop;
}

static void *run(void *context)
{
    struct poller *poller = context;
    int64_t poll_us;
    do {
        struct error error = {0};
        int64_t start = clock_monotonic_us();
        poller_poll(poller, &error);
        error_clear(&error); /* logged and published */
        poll_us = clock_monotonic_us() - start;
    } while (!wait_for_stop(poller, pause_us(poller, poll_us)));
    return NULL;
}

bool poller_start(struct poller *poller, struct error *error)
{
    int code = pthread_create(&poller->thread, NULL, run, poller);
    if (code != 0) {
        error_set_errno(error, ERROR_IO, code, "source \"%s\": start its thread", poller->source->name);
        return false;
    }
    poller->started = true;
    return true;
}

void poller_request_stop(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    poller->stop = true;
    pthread_cond_signal(&poller->stop_requested);
    pthread_mutex_unlock(&poller->lock);
}

bool poller_join(struct poller *poller, int64_t deadline_us)
{
    if (!poller->started)
        return true;
    int64_t left = deadline_us - clock_monotonic_us();
    /* pthread_timedjoin_np() knows the wall clock only. */
    int64_t until_ms = clock_wall_ms() + (left > 0 ? left / 1000 : 0);
    struct timespec deadline = {.tv_sec = (time_t)(until_ms / 1000),
                                .tv_nsec = (long)(until_ms % 1000) * 1000000};
    if (pthread_timedjoin_np(poller->thread, NULL, &deadline) != 0)
        return false;
    poller->started = false;
    return true;
}

void poller_free(struct poller **poller)
{
    struct poller *p = *poller;
    if (p == NULL)
        return;
    assert(!p->started);
    p->kind->close(&p->collector);
    history_free(&p->history);
    pthread_cond_destroy(&p->stop_requested);
    pthread_mutex_destroy(&p->lock);
    free(p);
    *poller = NULL;
}
