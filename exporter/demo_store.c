#include "exporter/demo_store.h"

#include "exporter/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    BATCH = 500,
    PAST_OF_ORDERS = 30000, /* messages: what there is to be replayed */
    MAINTENANCE_S = 5,      /* how often the log is looked after */
};

static const int64_t second_ms = 1000, minute_ms = 60 * 1000;

enum keys { KEYS_CUSTOMERS, KEYS_BESTSELLER, KEYS_NONE };

/* What stays unread for as long as the demo runs must not be deleted soon: it is two days, at a few messages
 * a second. `clicks` has one partition: a reader of several takes them in turn, which would hide how slow it
 * is. */
static const struct traffic {
    struct str name;
    uint32_t partitions;
    size_t in_second;
    enum keys keys;
    const char *retention_ms, *segment_bytes, *cleanup_policy;
} traffic[DEMO_TOPICS] = {
    [DEMO_ORDERS] = {{"orders", 6}, 3, 20, KEYS_CUSTOMERS, "7200000", "1048576", "delete"},
    [DEMO_CLICKS] = {{"clicks", 6}, 1, 5, KEYS_CUSTOMERS, "172800000", "1048576", "delete"},
    [DEMO_EMAILS] = {{"emails", 6}, 2, 5, KEYS_NONE, "172800000", "1048576", "delete"},
    [DEMO_PAYMENTS] = {{"payments", 8}, 2, 10, KEYS_CUSTOMERS, "86400000", "1048576", "delete"},
    [DEMO_SHIPMENTS] = {{"shipments", 9}, 1, 1, KEYS_CUSTOMERS, "86400000", "4096", "delete"},
    [DEMO_PROFILES] = {{"profiles", 8}, 1, 3, KEYS_CUSTOMERS, "-1", "65536", "compact"},
    [DEMO_VIEWS] = {{"views", 5}, 4, 12, KEYS_BESTSELLER, "7200000", "1048576", "delete"},
};

static const char bestseller[] = "bestseller";

struct str demo_topic_name(enum demo_topic topic)
{
    return traffic[topic].name;
}

uint32_t demo_topic_partitions(enum demo_topic topic)
{
    return traffic[topic].partitions;
}

uint32_t demo_hot_partition(void)
{
    return logstore_partition_for(str_of(bestseller), traffic[DEMO_VIEWS].partitions);
}

void demo_pause_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
}

struct logstore *demo_store_open(const char *folder, enum logstore_access access, struct error *error)
{
    struct logstore_options options = {.access = access, .fsync = LOGSTORE_FSYNC_NEVER};
    return logstore_open(folder, &options, error);
}

/* --- writing ------------------------------------------------------------------------------------------- */

/* A hundred customers; three of four views are of one page. */
static struct str make_key(char *room, size_t size, enum keys keys, uint64_t number)
{
    if (keys == KEYS_NONE)
        return (struct str){NULL, 0};
    if (keys == KEYS_BESTSELLER && number % 4 != 0)
        return str_of(bestseller);
    return (struct str){room, (size_t)snprintf(room, size, "customer-%" PRIu64, number * 7 % 100)};
}

/* Writes `count` messages, up to BATCH; `timestamp` 0 means now. */
static bool produce(struct logstore *store, enum demo_topic topic, size_t count, int64_t timestamp,
                    struct error *error)
{
    static uint64_t written;
    char keys[BATCH][32], values[BATCH][32];
    struct logstore_record records[BATCH];
    for (size_t i = 0; i < count; i++, written++) {
        int value = snprintf(values[i], sizeof values[i], "{\"number\":%" PRIu64 "}", written);
        records[i] = (struct logstore_record){
            .key = make_key(keys[i], sizeof keys[i], traffic[topic].keys, written),
            .value = {values[i], (size_t)value},
            .timestamp = timestamp,
        };
    }
    return logstore_produce(store, traffic[topic].name, records, count, NULL, error);
}

static bool write_second(struct logstore *store, struct error *error)
{
    for (enum demo_topic topic = 0; topic < DEMO_TOPICS; topic++)
        if (!produce(store, topic, traffic[topic].in_second, 0, error))
            return false;
    return true;
}

/* Appends do this too, but only to segments that they fill, which is too seldom for who watches it. */
static bool maintain(struct logstore *store, struct error *error)
{
    for (enum demo_topic topic = 0; topic < DEMO_TOPICS; topic++)
        if (!logstore_retain(store, traffic[topic].name, NULL, error) ||
            !logstore_compact(store, traffic[topic].name, NULL, error))
            return false;
    return true;
}

void demo_store_write(const char *folder, struct error *error)
{
    struct logstore *store = demo_store_open(folder, LOGSTORE_WRITE, error);
    bool done = store != NULL;
    for (unsigned second = 1; done; second++) {
        done = write_second(store, error) && (second % MAINTENANCE_S != 0 || maintain(store, error));
        demo_pause_ms(second_ms);
    }
    logstore_close(&store);
}

/* --- before -------------------------------------------------------------------------------------------- */

static bool make_topic(struct logstore *store, const struct traffic *topic, struct error *error)
{
    struct logstore_config config = logstore_config_default();
    return logstore_config_set(&config, STR_LITERAL("retention.ms"), str_of(topic->retention_ms), error) &&
           logstore_config_set(&config, STR_LITERAL("segment.bytes"), str_of(topic->segment_bytes), error) &&
           logstore_config_set(&config, STR_LITERAL("cleanup.policy"), str_of(topic->cleanup_policy),
                               error) &&
           logstore_topic_create(store, topic->name, topic->partitions, &config, error);
}

static bool write_past_of_orders(struct logstore *store, int64_t now, struct error *error)
{
    int64_t past_ms = 50 * minute_ms;
    for (int64_t done = 0; done < PAST_OF_ORDERS; done += BATCH)
        if (!produce(store, DEMO_ORDERS, BATCH, now - past_ms + past_ms * done / PAST_OF_ORDERS, error))
            return false;
    return true;
}

/* Ten messages every ten minutes, and one every second where somebody will read or miss them soon. */
static bool write_past_of_shipments(struct logstore *store, int64_t now, struct error *error)
{
    for (int64_t age = DEMO_LOST_AGE_MS, step; age > 0; age -= step) {
        bool soon_lost = age > DEMO_LOST_AGE_MS - 5 * minute_ms;
        bool soon_read = age <= DEMO_RISKY_AGE_MS && age > DEMO_RISKY_AGE_MS - 2 * minute_ms;
        bool dense = soon_lost || soon_read;
        step = dense ? second_ms : 10 * minute_ms;
        if (age > DEMO_RISKY_AGE_MS && age - step < DEMO_RISKY_AGE_MS)
            step = age - DEMO_RISKY_AGE_MS;
        if (!produce(store, DEMO_SHIPMENTS, dense ? 1 : 10, now - age, error))
            return false;
    }
    return true;
}

bool demo_store_prepare(const char *folder, struct error *error)
{
    int64_t now = clock_wall_ms();
    struct logstore *store = demo_store_open(folder, LOGSTORE_CREATE, error);
    bool done = store != NULL;
    for (enum demo_topic topic = 0; done && topic < DEMO_TOPICS; topic++)
        done = make_topic(store, &traffic[topic], error);
    done = done && write_past_of_orders(store, now, error) && write_past_of_shipments(store, now, error);
    logstore_close(&store);
    return done;
}
