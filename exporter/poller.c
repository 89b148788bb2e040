#include "exporter/poller.h"

#include "exporter/base/clock.h"
#include "exporter/base/log.h"
#include "exporter/base/mem.h"
#include "exporter/base/thread.h"
#include "exporter/evaluate.h"
#include "exporter/history.h"
#include "exporter/recorder.h"
#include "exporter/state_file.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a poller polls by. Its collector knows the source of the configuration that it was opened with, which
 * therefore outlives later ones that leave this source as it is. */
struct poller_change {
    struct shared_config *shared; /* the latest, for the rules */
    struct shared_config *opened; /* the one that `source` lies in */
    const struct source_config *source;
    struct collector *collector;       /* NULL, with `opened` and `source`: as before */
    const struct collector_kind *kind; /* of the collector */
};

struct poller {
    char *name; /* of the source */
    const struct collector_kind *kind;
    struct publish *publish;
    size_t id; /* in publish */

    struct poller_change settings; /* changed by the thread, under the lock */
    struct history *history;
    struct state_file *state;  /* where it is kept; NULL: nowhere */
    struct recorder *recorder; /* NULL: none */
    struct source_status status;
    bool partial;            /* the last poll left something out */
    bool shown;              /* something of the source is published */
    int64_t shown_us;        /* since when the latest of it is, by the clock that doesn't jump */
    unsigned failures;       /* polls that failed in a row */
    enum error_code failure; /* the kind of the last one */
    unsigned seed;           /* of the pauses' jitter */

    pthread_t thread;
    bool joinable;
    pthread_mutex_t lock;   /* guards what follows, and changes of `settings` */
    pthread_cond_t changed; /* any of what follows */
    bool start, stop;
    struct poller_change *next; /* owned */
};

enum { FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 10 * 1000, MOST_DOUBLINGS = 16 };

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

static void *run(void *context);

static bool open_source(struct shared_config *shared, size_t index, const struct collector_kind *kind,
                        struct poller_change *settings, struct error *error)
{
    const struct source_config *source = &shared->config.sources[index];
    settings->collector = kind->open(source, error);
    if (settings->collector == NULL) {
        error_wrap(error, "source \"%s\"", source->name);
        return false;
    }
    settings->kind = kind;
    settings->source = source;
    settings->opened = shared_config_hold(shared);
    return true;
}

/* What is kept of the past, and where it and the observations go. */
static bool open_files(struct poller *poller, const struct config *config, struct state_folder *state,
                       struct error *error)
{
    if (state != NULL) {
        poller->state = state_file_new(state, poller->name, error);
        if (poller->state == NULL)
            return false;
    }
    if (config->record[0] != '\0') {
        poller->recorder = recorder_new(config->record, error);
        if (poller->recorder == NULL)
            return false;
    }
    poller->history = poller->state != NULL ? state_file_load(poller->state) : history_new();
    return true;
}

static void close_source(struct poller_change *settings)
{
    if (settings->collector != NULL)
        settings->kind->close(&settings->collector);
    shared_config_release(&settings->opened);
    settings->source = NULL;
}

/* All but the thread and what is shared with it. */
static void free_memory(struct poller **poller)
{
    struct poller *p = *poller;
    close_source(&p->settings);
    shared_config_release(&p->settings.shared);
    history_free(&p->history);
    state_file_free(&p->state);
    recorder_free(&p->recorder);
    free(p->name);
    free(p);
    *poller = NULL;
}

struct poller *poller_new(struct shared_config *shared, size_t index, const struct collector_kind *kind,
                          struct publish *publish, size_t id, struct state_folder *state, struct error *error)
{
    struct poller_change settings = {0};
    if (!open_source(shared, index, kind, &settings, error))
        return NULL;
    settings.shared = shared_config_hold(shared);
    struct poller *poller = MEM_NEW(struct poller);
    *poller = (struct poller){
        .name = mem_copy_text(settings.source->name),
        .kind = kind,
        .publish = publish,
        .id = id,
        .settings = settings,
        .seed = (unsigned)clock_monotonic_us() + (unsigned)id,
    };
    poller->status = (struct source_status){
        .cluster = poller->name,
        .kind = kind->name,
        .offsets = kind->offsets,
        .rebalances = kind->rebalances,
        .last_success = UNKNOWN,
        .poll_interval_ms = settings.source->poll_interval_ms,
        .granularity = settings.source->granularity,
    };
    if (!open_files(poller, &shared->config, state, error)) {
        error_wrap(error, "source \"%s\"", poller->name);
        free_memory(&poller);
        return NULL;
    }
    pthread_mutex_init(&poller->lock, NULL); /* can't fail with default attributes on Linux */
    init_condition(&poller->changed);
    int code = pthread_create(&poller->thread, NULL, run, poller);
    poller->joinable = code == 0;
    if (code != 0) {
        error_set_errno(error, ERROR_UNAVAILABLE, code, "source \"%s\": start its thread", poller->name);
        poller_free(&poller);
    }
    return poller;
}

bool poller_polls(const struct poller *poller, const struct source_config *source)
{
    return strcmp(poller->name, source->name) == 0 && strcmp(poller->kind->name, source->kind) == 0;
}

size_t poller_id(const struct poller *poller)
{
    return poller->id;
}

struct source_status poller_first_status(const struct poller *poller)
{
    return poller->status;
}

/* --- other settings ------------------------------------------------------------------------------------ */

struct poller_change *poller_prepare(struct poller *poller, struct shared_config *shared, size_t index,
                                     struct error *error)
{
    pthread_mutex_lock(&poller->lock);
    const struct poller_change *next = poller->next;
    const struct source_config *latest =
        next != NULL && next->source != NULL ? next->source : poller->settings.source;
    bool same = source_config_equal(latest, &shared->config.sources[index]);
    pthread_mutex_unlock(&poller->lock);
    struct poller_change *change = MEM_NEW(struct poller_change);
    if (!same && !open_source(shared, index, poller->kind, change, error)) {
        free(change);
        return NULL;
    }
    change->shared = shared_config_hold(shared);
    return change;
}

void poller_drop_change(struct poller_change **change)
{
    if (*change == NULL)
        return;
    close_source(*change);
    shared_config_release(&(*change)->shared);
    free(*change);
    *change = NULL;
}

/* Moves the source that `from` opened to `to`, which has none. */
static void move_source(struct poller_change *to, struct poller_change *from)
{
    to->opened = from->opened;
    to->source = from->source;
    to->collector = from->collector;
    to->kind = from->kind;
    from->opened = NULL;
    from->source = NULL;
    from->collector = NULL;
}

void poller_take_change(struct poller *poller, struct poller_change **change)
{
    pthread_mutex_lock(&poller->lock);
    struct poller_change *overtaken = poller->next;
    poller->next = *change;
    if (overtaken != NULL && (*change)->source == NULL)
        move_source(*change, overtaken);
    pthread_cond_signal(&poller->changed);
    pthread_mutex_unlock(&poller->lock);
    poller_drop_change(&overtaken);
    *change = NULL;
}

/* Carries out the change that waits, if there is one. */
static void change_settings(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    struct poller_change *change = poller->next;
    poller->next = NULL;
    if (change != NULL) {
        struct poller_change before = poller->settings;
        if (change->source == NULL)
            move_source(change, &before);
        poller->settings = *change;
        *change = before; /* to be dropped */
    }
    pthread_mutex_unlock(&poller->lock);
    if (change != NULL && change->source != NULL) {
        poller->failures = 0;
        poller->status.poll_interval_ms = poller->settings.source->poll_interval_ms;
        poller->status.granularity = poller->settings.source->granularity;
    }
    poller_drop_change(&change);
}

/* --- one poll ------------------------------------------------------------------------------------------ */

/* Where a source has a choice, what it has chosen is said when it changes. */
static void take_choice(struct poller *poller, const struct poll_report *report)
{
    bool same = poller->status.because != NULL && strcmp(poller->status.because, report->because) == 0;
    poller->status.offsets = report->offsets;
    poller->status.rebalances = report->rebalances;
    poller->status.because = report->because;
    if (!same)
        log_event(LOG_LEVEL_INFO, "offsets chosen",
                  LOG_FIELDS(log_text("source", poller->name), log_text("offsets", report->offsets),
                             log_text("rebalances", report->rebalances),
                             log_text("reason", report->because)));
}

static void take_report(struct poller *poller, const struct poll_report *report)
{
    if (report->offsets != NULL)
        take_choice(poller, report);
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
                  LOG_FIELDS(log_text("cluster", poller->name),
                             log_text("reason", error_text(&report->first_error))));
    else if (!partial && poller->partial)
        log_event(LOG_LEVEL_INFO, "all of the source can be observed again",
                  LOG_FIELDS(log_text("cluster", poller->name)));
    poller->partial = partial;
}

static void publish_success(struct poller *poller, struct snapshot *snapshot)
{
    if (!poller->status.up)
        log_event(LOG_LEVEL_INFO, "source is up",
                  LOG_FIELDS(log_text("cluster", poller->name), log_int("topics", snapshot->topic_count),
                             log_int("groups", snapshot->group_count)));
    poller->status.up = true;
    poller->status.polled = true;
    poller->status.last_success = clock_wall_ms();
    poller->shown = true;
    poller->shown_us = clock_monotonic_us();
    poller->failures = 0;
    if (poller->recorder != NULL)
        recorder_add(poller->recorder, str_of(poller->name), snapshot);
    history_observe(poller->history, snapshot);
    const struct config *config = &poller->settings.shared->config;
    struct findings *findings = evaluate_with(poller->history, snapshot, snapshot->time, &config->rules,
                                              &config->overrides, str_of(poller->name));
    if (poller->state != NULL)
        state_file_save(poller->state, poller->history, false);
    publish_poll(poller->publish, poller->id, &poller->status, snapshot, findings);
}

/* Whether what is published of the source has become too old to be shown. */
static bool outdated(const struct poller *poller)
{
    int64_t keep = poller->settings.source->poll_interval_ms * POLLER_KEEP_INTERVALS;
    if (keep < POLLER_KEEP_MS)
        keep = POLLER_KEEP_MS;
    return poller->shown && (clock_monotonic_us() - poller->shown_us) / 1000 > keep;
}

/* Why the source is down is said when it begins, and when it is for another kind of reason. */
static void publish_failure(struct poller *poller, const struct error *error)
{
    if (poller->status.up || !poller->status.polled || poller->failure != error->code)
        log_event(LOG_LEVEL_ERROR, "source is down",
                  LOG_FIELDS(log_text("cluster", poller->name), log_text("reason", error_text(error))));
    poller->status.up = false;
    poller->status.polled = true;
    poller->failure = error->code;
    if (poller->failures < MOST_DOUBLINGS)
        poller->failures++;
    bool forget = outdated(poller);
    poller->shown = poller->shown && !forget;
    poller->status.reason = error_text(error);
    publish_status(poller->publish, poller->id, &poller->status, forget);
    poller->status.reason = NULL; /* it is the error's */
}

bool poller_poll(struct poller *poller, struct error *error)
{
    struct poll_report report = {0};
    struct snapshot *snapshot = poller->kind->poll(poller->settings.collector, &report, error);
    take_report(poller, &report);
    if (snapshot != NULL) {
        log_partial(poller, &report);
        publish_success(poller, snapshot);
    } else {
        publish_failure(poller, error);
        error_wrap(error, "source \"%s\"", poller->name);
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
    int64_t interval_ms = poller->settings.source->poll_interval_ms;
    if (poller->failures == 0)
        return interval_ms * 1000 > poll_us ? interval_ms * 1000 - poll_us : 0;
    int64_t longest = interval_ms > LONGEST_PAUSE_MS ? interval_ms : LONGEST_PAUSE_MS;
    int64_t pause = (interval_ms < FIRST_PAUSE_MS ? interval_ms : FIRST_PAUSE_MS) << (poller->failures - 1);
    if (pause > longest)
        pause = longest;
    return pause * 1000 - pause * 250 * (rand_r(&poller->seed) % 1000) / 1000;
}

/* Waits so long, or until a source was opened that is polled at once, or the poller is to stop: then true. */
static bool wait_for_stop(struct poller *poller, int64_t wait_us)
{
    int64_t until = clock_monotonic_us() + wait_us;
    struct timespec deadline = {.tv_sec = (time_t)(until / 1000000),
                                .tv_nsec = (long)(until % 1000000) * 1000};
    pthread_mutex_lock(&poller->lock);
    int waited = 0;
    while (!poller->stop && (poller->next == NULL || poller->next->source == NULL) && waited == 0)
        waited = pthread_cond_timedwait(&poller->changed, &poller->lock, &deadline);
    bool stop = poller->stop;
    pthread_mutex_unlock(&poller->lock);
    return stop;
}

/* False when it is to stop before it was started. */
static bool wait_for_start(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    while (!poller->start && !poller->stop)
        pthread_cond_wait(&poller->changed, &poller->lock);
    bool start = !poller->stop;
    pthread_mutex_unlock(&poller->lock);
    return start;
}

static void *run(void *context)
{
    struct poller *poller = context;
    int64_t poll_us = 0;
    for (bool go = wait_for_start(poller); go; go = !wait_for_stop(poller, pause_us(poller, poll_us))) {
        struct error error = {0};
        change_settings(poller);
        int64_t start = clock_monotonic_us();
        poller_poll(poller, &error);
        error_clear(&error); /* logged and published */
        poll_us = clock_monotonic_us() - start;
    }
    if (poller->state != NULL && poller->status.last_success != UNKNOWN)
        state_file_save(poller->state, poller->history, true);
    /* Here, since it may take its time: nobody waits for longer than he wants to. */
    close_source(&poller->settings);
    return NULL;
}

static void set_flag(struct poller *poller, bool *flag)
{
    pthread_mutex_lock(&poller->lock);
    *flag = true;
    pthread_cond_signal(&poller->changed);
    pthread_mutex_unlock(&poller->lock);
}

void poller_start(struct poller *poller)
{
    set_flag(poller, &poller->start);
}

void poller_request_stop(struct poller *poller)
{
    set_flag(poller, &poller->stop);
}

bool poller_join(struct poller *poller, int64_t deadline_us)
{
    if (!poller->joinable)
        return true;
    if (!thread_join_until(poller->thread, deadline_us))
        return false;
    poller->joinable = false;
    return true;
}

void poller_free(struct poller **poller)
{
    struct poller *p = *poller;
    if (p == NULL)
        return;
    if (p->joinable) { /* never started: it ends at once */
        assert(!p->start);
        poller_request_stop(p);
        pthread_join(p->thread, NULL);
    }
    poller_drop_change(&p->next);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free_memory(poller);
}
