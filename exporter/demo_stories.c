#include "exporter/demo_stories.h"

#include "exporter/base/clock.h"
#include "exporter/base/str.h"
#include "logstore/logstore.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Everything happens in ticks: so many messages are written and read in each. */
enum {
    TICK_MS = 100,
    PAST_MS = 50 * 60 * 1000,
    PAST_MESSAGES = 30000, /* of `orders`: what there is to be replayed */
    BATCH = 500,
    SESSION_TIMEOUT_MS = 6000,
    TICKS_UNTIL_STOPPED = 100,
    PAUSE_BEFORE_REPLAY_MS = 10 * 1000,
    REPLAYED_IN_TICK = 20,
};

/* `clicks` has one partition: a reader of several takes them in turn, which would hide how slow it is. */
static const struct traffic {
    struct str topic;
    uint32_t partitions;
    size_t in_tick;
} traffic[] = {
    {{"orders", 6}, 3, 2},
    {{"clicks", 6}, 1, 4},
    {{"emails", 6}, 2, 1},
};

enum { TOPICS = sizeof traffic / sizeof *traffic };

static void pause_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
}

static struct logstore *open_store(const char *folder, enum logstore_access access, struct error *error)
{
    struct logstore_options options = {.access = access, .fsync = LOGSTORE_FSYNC_NEVER};
    return logstore_open(folder, &options, error);
}

/* Writes `count` messages, up to BATCH, with keys of a hundred customers; `timestamp` 0 means now. */
static bool produce(struct logstore *store, struct str topic, size_t count, int64_t timestamp,
                    struct error *error)
{
    static uint64_t written;
    char keys[BATCH][24], values[BATCH][64];
    struct logstore_record records[BATCH];
    for (size_t i = 0; i < count; i++, written++) {
        int key = snprintf(keys[i], sizeof keys[i], "customer-%" PRIu64, written * 7 % 100);
        int value = snprintf(values[i], sizeof values[i], "{\"number\":%" PRIu64 "}", written);
        records[i] = (struct logstore_record){
            .key = {keys[i], (size_t)key},
            .value = {values[i], (size_t)value},
            .timestamp = timestamp,
        };
    }
    return logstore_produce(store, topic, records, count, NULL, error);
}

/* --- before -------------------------------------------------------------------------------------------- */

static bool make_topics(struct logstore *store, struct error *error)
{
    struct logstore_config config = logstore_config_default();
    if (!logstore_config_set(&config, STR_LITERAL("retention.ms"), STR_LITERAL("7200000"), error) ||
        !logstore_config_set(&config, STR_LITERAL("segment.bytes"), STR_LITERAL("1048576"), error))
        return false;
    for (size_t i = 0; i < TOPICS; i++)
        if (!logstore_topic_create(store, traffic[i].topic, traffic[i].partitions, &config, error))
            return false;
    return true;
}

static bool write_past(struct logstore *store, struct error *error)
{
    int64_t now = clock_wall_ms();
    for (int64_t done = 0; done < PAST_MESSAGES; done += BATCH)
        if (!produce(store, traffic[0].topic, BATCH, now - PAST_MS + PAST_MS * done / PAST_MESSAGES, error))
            return false;
    return true;
}

/* The group has read all that there is on the topic. */
static bool commit_all(struct logstore *store, struct str group, const struct traffic *on,
                       struct error *error)
{
    for (uint32_t partition = 0; partition < on->partitions; partition++) {
        struct logstore_commit commit = {.topic = on->topic, .partition = partition};
        int64_t start;
        if (!logstore_offsets(store, on->topic, partition, &start, &commit.offset, error) ||
            !logstore_commit(store, group, &commit, 1, error))
            return false;
    }
    return true;
}

bool demo_prepare_store(const char *folder, struct error *error)
{
    struct logstore *store = open_store(folder, LOGSTORE_CREATE, error);
    if (store == NULL)
        return false;
    bool done = make_topics(store, error) && write_past(store, error) &&
                commit_all(store, STR_LITERAL("billing"), &traffic[0], error) &&
                commit_all(store, STR_LITERAL("audit"), &traffic[0], error);
    logstore_close(&store);
    return done;
}

/* --- the writer ---------------------------------------------------------------------------------------- */

static bool write_for_ever(const char *folder, struct error *error)
{
    struct logstore *store = open_store(folder, LOGSTORE_WRITE, error);
    bool written = store != NULL;
    while (written) {
        for (size_t i = 0; i < TOPICS && written; i++)
            written = produce(store, traffic[i].topic, traffic[i].in_tick, 0, error);
        pause_ms(TICK_MS);
    }
    logstore_close(&store);
    return false;
}

/* --- the readers --------------------------------------------------------------------------------------- */

static struct logstore_consumer *join(struct logstore *store, const char *group, struct str topic,
                                      struct error *error)
{
    struct logstore_consumer_options options = {.client_id = str_of(group),
                                                .session_timeout_ms = SESSION_TIMEOUT_MS};
    return logstore_consumer_join(store, str_of(group), &topic, 1, &options, error);
}

/* Whether what is wrong will be right with the next poll: the group has gone on without this member. */
static bool forgive(struct error *error)
{
    if (error->code != ERROR_CONFLICT)
        return false;
    error_clear(error);
    return true;
}

/* What a reader does with a message: false when it must not be committed, for it failed. */
typedef bool process_message(const struct logstore_record *record, const struct logstore_source *source);

static bool succeed(const struct logstore_record *record, const struct logstore_source *source)
{
    (void)record, (void)source;
    return true;
}

/* One tick: up to `most` messages, then a commit. Tells how many there were; false on an error. */
static bool read_tick(struct logstore_consumer *consumer, size_t most, process_message *process,
                      size_t *count, struct error *error)
{
    enum logstore_poll polled = LOGSTORE_POLL_RECORD;
    for (*count = 0; *count < most && polled == LOGSTORE_POLL_RECORD; ++*count) {
        struct logstore_record record;
        struct logstore_source source;
        polled = logstore_consumer_poll(consumer, 0, &record, &source, error);
        if (polled == LOGSTORE_POLL_FAILED)
            return forgive(error);
        if (polled == LOGSTORE_POLL_RECORD && !process(&record, &source) &&
            !logstore_consumer_seek(consumer, source.topic, source.partition, record.offset, error))
            return forgive(error);
    }
    return logstore_consumer_commit(consumer, error) || forgive(error);
}

/* A reader that goes on for `ticks`, 0 for ever, and then leaves. */
static bool read_ticks(const char *folder, const char *group, struct str topic, size_t in_tick,
                       unsigned ticks, process_message *process, struct error *error)
{
    struct logstore *store = open_store(folder, LOGSTORE_WRITE, error);
    struct logstore_consumer *consumer = store == NULL ? NULL : join(store, group, topic, error);
    bool done = consumer != NULL;
    for (unsigned tick = 0; done && (ticks == 0 || tick < ticks); tick++) {
        size_t count;
        done = read_tick(consumer, in_tick, process, &count, error);
        pause_ms(TICK_MS);
    }
    if (done)
        done = logstore_consumer_leave(&consumer, error);
    else
        logstore_consumer_abandon(&consumer);
    logstore_close(&store);
    return done;
}

static bool keep_up(const char *folder, struct error *error)
{
    return read_ticks(folder, "billing", traffic[0].topic, BATCH, 0, succeed, error);
}

static bool fall_behind(const char *folder, struct error *error)
{
    return read_ticks(folder, "search-index", traffic[1].topic, traffic[1].in_tick / 2, 0, succeed, error);
}

/* The hundredth mail of partition 0 has an address that the program doesn't understand. */
static bool choke(const struct logstore_record *record, const struct logstore_source *source)
{
    return source->partition != 0 || record->offset < 100;
}

static bool get_stuck(const char *folder, struct error *error)
{
    return read_ticks(folder, "mailer", traffic[2].topic, 20, 0, choke, error);
}

static bool stop(const char *folder, struct error *error)
{
    if (!read_ticks(folder, "reports", traffic[1].topic, BATCH, TICKS_UNTIL_STOPPED, succeed, error))
        return false;
    for (;;)
        pause_ms(1000);
}

/* From the beginning to the end. */
static bool replay_once(struct logstore *store, const char *group, const struct traffic *on,
                        struct error *error)
{
    for (uint32_t partition = 0; partition < on->partitions; partition++) {
        struct logstore_reset_result result;
        if (!logstore_reset_group(store, str_of(group), on->topic, partition, LOGSTORE_TO_EARLIEST, 0, false,
                                  &result, error))
            return false;
    }
    struct logstore_consumer *consumer = join(store, group, on->topic, error);
    bool done = consumer != NULL, behind = true;
    while (done && behind) {
        size_t count;
        done = read_tick(consumer, REPLAYED_IN_TICK, succeed, &count, error);
        /* A whole tick's worth means that there is more; right after joining there is nothing yet. */
        behind = count == REPLAYED_IN_TICK || logstore_consumer_generation(consumer) == 0;
        pause_ms(TICK_MS);
    }
    if (done)
        return logstore_consumer_leave(&consumer, error);
    logstore_consumer_abandon(&consumer);
    return false;
}

static bool replay(const char *folder, struct error *error)
{
    struct logstore *store = open_store(folder, LOGSTORE_WRITE, error);
    bool done = store != NULL;
    while (done) {
        pause_ms(PAUSE_BEFORE_REPLAY_MS);
        done = replay_once(store, "audit", &traffic[0], error);
    }
    logstore_close(&store);
    return false;
}

const struct story *demo_stories(size_t *count)
{
    static const struct story stories[] = {
        {"the writer", write_for_ever}, {"billing", keep_up}, {"search-index", fall_behind},
        {"mailer", get_stuck},          {"reports", stop},    {"audit", replay},
    };
    *count = sizeof stories / sizeof *stories;
    return stories;
}
