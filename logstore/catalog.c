#include "logstore/catalog.h"

#include "logstore/bytes.h"
#include "logstore/config.h"
#include "logstore/document.h"

#include <stdlib.h>

enum { CATALOG_VERSION = 1, RUN_SIZE = 8, SMALLEST_TOPIC = 73 };

void topic_runs_free(struct topic *topic)
{
    free(topic->runs);
    topic->runs = NULL;
}

void catalog_free(struct catalog *catalog)
{
    for (uint32_t i = 0; i < catalog->count; i++)
        topic_runs_free(&catalog->topics[i]);
    free(catalog->topics);
    *catalog = (struct catalog){0};
}

static bool decode_runs(struct cursor *cursor, struct topic *topic, struct error *error)
{
    uint32_t count = cursor_u32(cursor);
    if (cursor->failed || count > cursor_left(cursor) / RUN_SIZE) {
        cursor->failed = true;
        return true;
    }
    topic->runs = calloc(count == 0 ? 1 : count, sizeof *topic->runs);
    if (topic->runs == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for the catalog");
        return false;
    }
    topic->run_count = count;
    uint64_t partitions = 0;
    for (uint32_t i = 0; i < count; i++) {
        topic->runs[i].first = cursor_u32(cursor);
        topic->runs[i].count = cursor_u32(cursor);
        partitions += topic->runs[i].count;
        if (UINT32_MAX - topic->runs[i].first < topic->runs[i].count)
            cursor->failed = true;
    }
    if (partitions > TOPIC_PARTITIONS_MAX)
        cursor->failed = true;
    topic->partitions = (uint32_t)partitions;
    return true;
}

static void decode_config(struct cursor *cursor, struct logstore_config *config)
{
    config->retention_ms = cursor_i64(cursor);
    config->retention_bytes = cursor_i64(cursor);
    config->segment_ms = cursor_i64(cursor);
    config->segment_bytes = cursor_i64(cursor);
    config->min_compaction_lag_ms = cursor_i64(cursor);
    config->delete_retention_ms = cursor_i64(cursor);
    config->max_message_bytes = cursor_i64(cursor);
    config->cleanup_policy = cursor_u32(cursor);
    struct error out_of_range = {0};
    if (!topic_config_check(config, &out_of_range))
        cursor->failed = true;
    error_clear(&out_of_range);
}

/* False only for lack of memory; what is wrong with the bytes is remembered by the cursor. */
static bool decode_topics(struct cursor *cursor, struct catalog *catalog, uint32_t count, struct error *error)
{
    for (uint32_t i = 0; i < count && !cursor->failed; i++) {
        struct topic *topic = &catalog->topics[i];
        topic->number = cursor_u32(cursor);
        topic->name = cursor_str(cursor);
        decode_config(cursor, &topic->config);
        catalog->count++;
        if (!decode_runs(cursor, topic, error))
            return false;
        bool sorted = i == 0 || str_compare(topic[-1].name, topic->name) < 0;
        if (!sorted || topic->number == 0 || topic->number >= catalog->next_number ||
            topic->name.length == 0 || topic->name.length > TOPIC_NAME_MAX)
            cursor->failed = true;
    }
    return true;
}

bool catalog_decode(struct catalog *catalog, struct str bytes, struct error *error)
{
    struct cursor cursor = cursor_make(bytes.bytes, bytes.length);
    struct catalog read = {0};
    uint32_t version;
    if (!document_take_version(&cursor, "the catalog", CATALOG_VERSION, &version, error))
        return false;
    read.next_number = cursor_u32(&cursor);
    read.offsets_retention_ms = cursor_i64(&cursor);
    uint32_t count = cursor_u32(&cursor);
    if (count > cursor_left(&cursor) / SMALLEST_TOPIC || read.offsets_retention_ms < 0)
        cursor.failed = true;
    if (!cursor.failed) {
        read.topics = calloc(count == 0 ? 1 : count, sizeof *read.topics);
        if (read.topics == NULL) {
            error_set(error, ERROR_MEMORY, "no memory for the catalog");
            return false;
        }
        if (!decode_topics(&cursor, &read, count, error)) {
            catalog_free(&read);
            return false;
        }
    }
    if (cursor.failed || cursor_left(&cursor) > 0) {
        error_set(error, ERROR_CORRUPT, "the catalog doesn't hold what it should");
        catalog_free(&read);
        return false;
    }
    catalog_free(catalog);
    *catalog = read;
    return true;
}

static void add32(struct buf *bytes, uint32_t value)
{
    value = htole32(value);
    buf_add(bytes, &value, sizeof value);
}

static void add64(struct buf *bytes, int64_t value)
{
    uint64_t encoded = htole64((uint64_t)value);
    buf_add(bytes, &encoded, sizeof encoded);
}

static void encode_topic(const struct topic *topic, struct buf *bytes)
{
    const struct logstore_config *config = &topic->config;
    add32(bytes, topic->number);
    add32(bytes, (uint32_t)topic->name.length);
    buf_add_str(bytes, topic->name);
    add64(bytes, config->retention_ms);
    add64(bytes, config->retention_bytes);
    add64(bytes, config->segment_ms);
    add64(bytes, config->segment_bytes);
    add64(bytes, config->min_compaction_lag_ms);
    add64(bytes, config->delete_retention_ms);
    add64(bytes, config->max_message_bytes);
    add32(bytes, config->cleanup_policy);
    add32(bytes, topic->run_count);
    for (uint32_t i = 0; i < topic->run_count; i++) {
        add32(bytes, topic->runs[i].first);
        add32(bytes, topic->runs[i].count);
    }
}

void catalog_encode(const struct catalog *catalog, struct buf *bytes)
{
    add32(bytes, CATALOG_VERSION);
    add32(bytes, catalog->next_number);
    add64(bytes, catalog->offsets_retention_ms);
    add32(bytes, catalog->count);
    for (uint32_t i = 0; i < catalog->count; i++)
        encode_topic(&catalog->topics[i], bytes);
}

/* The index of the first topic whose name isn't less. */
static uint32_t lower_bound(const struct catalog *catalog, struct str name)
{
    uint32_t from = 0, to = catalog->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (str_compare(catalog->topics[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct topic *catalog_find(const struct catalog *catalog, struct str name)
{
    uint32_t index = lower_bound(catalog, name);
    if (index == catalog->count || !str_equal(catalog->topics[index].name, name))
        return NULL;
    return &catalog->topics[index];
}

struct topic *catalog_find_number(const struct catalog *catalog, uint32_t number)
{
    for (uint32_t i = 0; i < catalog->count; i++)
        if (catalog->topics[i].number == number)
            return &catalog->topics[i];
    return NULL;
}

void topic_id(const uint8_t *store, uint32_t number, uint8_t id[16])
{
    memcpy(id, store, 12);
    put32(id + 12, number);
}

uint32_t topic_slot(const struct topic *topic, uint32_t partition)
{
    const struct slot_run *run = topic->runs;
    for (; partition >= run->count; run++)
        partition -= run->count;
    return run->first + partition;
}

struct topic *catalog_insert(struct catalog *catalog, struct str name, const struct logstore_config *config)
{
    struct topic *topics = realloc(catalog->topics, (catalog->count + (size_t)1) * sizeof *topics);
    if (topics == NULL)
        return NULL;
    catalog->topics = topics;
    uint32_t index = lower_bound(catalog, name);
    memmove(topics + index + 1, topics + index, (catalog->count - index) * sizeof *topics);
    topics[index] = (struct topic){.number = catalog->next_number++, .name = name, .config = *config};
    catalog->count++;
    return &topics[index];
}

void catalog_remove(struct catalog *catalog, struct topic *topic)
{
    topic_runs_free(topic);
    size_t behind = (size_t)(catalog->topics + catalog->count - (topic + 1));
    memmove(topic, topic + 1, behind * sizeof *topic);
    catalog->count--;
}

static int compare_runs(const void *a, const void *b)
{
    uint32_t first = ((const struct slot_run *)a)->first, second = ((const struct slot_run *)b)->first;
    return (first > second) - (first < second);
}

/* All runs of all topics, sorted; owned by the caller. *count says how many. */
static struct slot_run *taken_runs(const struct catalog *catalog, size_t *count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < catalog->count; i++)
        total += catalog->topics[i].run_count;
    struct slot_run *runs = calloc(total + 1, sizeof *runs);
    if (runs == NULL)
        return NULL;
    *count = 0;
    for (uint32_t i = 0; i < catalog->count; i++)
        for (uint32_t j = 0; j < catalog->topics[i].run_count; j++)
            runs[(*count)++] = catalog->topics[i].runs[j];
    qsort(runs, *count, sizeof *runs, compare_runs);
    return runs;
}

static bool add_run(struct topic *topic, uint32_t first, uint32_t count)
{
    struct slot_run *runs = realloc(topic->runs, (topic->run_count + (size_t)1) * sizeof *runs);
    if (runs == NULL)
        return false;
    topic->runs = runs;
    topic->runs[topic->run_count++] = (struct slot_run){first, count};
    topic->partitions += count;
    return true;
}

bool catalog_take_slots(struct catalog *catalog, struct topic *topic, uint32_t count, uint32_t *end,
                        struct error *error)
{
    size_t taken_count;
    struct slot_run *taken = taken_runs(catalog, &taken_count);
    bool done = taken != NULL;
    uint32_t at = 0;
    for (size_t i = 0; done && i <= taken_count && count > 0; i++) {
        uint32_t next = i < taken_count ? taken[i].first : UINT32_MAX;
        uint32_t gap = next > at ? next - at : 0;
        uint32_t used = gap < count ? gap : count;
        if (used > 0) {
            done = add_run(topic, at, used);
            count -= used;
            at += used;
        }
        if (i < taken_count && count > 0 && taken[i].first + taken[i].count > at)
            at = taken[i].first + taken[i].count;
    }
    free(taken);
    if (!done || count > 0) {
        error_set(error, ERROR_MEMORY, "no memory for the catalog");
        return false;
    }
    *end = at;
    return true;
}
