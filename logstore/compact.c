#include "logstore/maintain.h"
#include "logstore/murmur2.h"
#include "logstore/scan.h"

#include <fcntl.h>
#include <stdlib.h>

/*
 * Compaction: of each key only the record with the highest offset stays. It reads the full segments twice:
 * once to learn the last offset of each key, once to write those segments anew in which something is
 * superfluous. Offsets stay as they are, and so do segments' bases; a segment of which nothing is left keeps
 * its end.
 */

struct last_offset {
    uint64_t key;   /* where its bytes begin in `keys`: length (8 bytes), then they */
    int64_t offset; /* -1: the place is free */
};

struct compaction {
    struct maintenance *maintenance;
    size_t segments; /* how many of the first ones are to be compacted */
    struct buf keys;
    struct last_offset *table; /* owned; the size is a power of two */
    size_t size, used;
    struct scan scan;
    struct batch_reader reader;
    struct buf batch; /* one that is written anew */
    struct buf out;   /* batches on their way to the file */
};

enum { OUT_AT_ONCE = 1 << 20 };
static const size_t KEYS_MOST = SIZE_MAX / 4, BATCH_MOST = INT32_MAX;

/* --- the last offset of each key -------------------------------------------------------------------------
 */

static struct str key_at(const struct compaction *compaction, uint64_t place)
{
    uint64_t length;
    memcpy(&length, compaction->keys.bytes + place, sizeof length);
    return (struct str){compaction->keys.bytes + place + sizeof length, (size_t)length};
}

static struct last_offset *place_of(const struct compaction *compaction, struct str key)
{
    size_t at = murmur2(key.bytes, key.length) & (compaction->size - 1);
    for (;; at = (at + 1) & (compaction->size - 1)) {
        struct last_offset *place = &compaction->table[at];
        if (place->offset < 0 || str_equal(key_at(compaction, place->key), key))
            return place;
    }
}

static bool grow_table(struct compaction *compaction)
{
    struct last_offset *old = compaction->table;
    size_t old_size = compaction->size, size = old_size == 0 ? 1024 : 2 * old_size;
    struct last_offset *table = calloc(size, sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < size; i++)
        table[i].offset = -1;
    compaction->table = table;
    compaction->size = size;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].offset >= 0)
            *place_of(compaction, key_at(compaction, old[i].key)) = old[i];
    free(old);
    return true;
}

static bool note_key(struct compaction *compaction, struct str key, int64_t offset, struct error *error)
{
    bool enough = 2 * (compaction->used + 1) <= compaction->size || grow_table(compaction);
    if (enough) {
        struct last_offset *place = place_of(compaction, key);
        if (place->offset < 0) {
            uint64_t length = key.length;
            place->key = compaction->keys.length;
            buf_add(&compaction->keys, &length, sizeof length);
            buf_add_str(&compaction->keys, key);
            enough = buf_ok(&compaction->keys);
            compaction->used++;
        }
        place->offset = offset;
    }
    if (!enough)
        error_set(error, ERROR_MEMORY, "no memory for the keys of a topic that is compacted");
    return enough;
}

static bool note_batch(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                       struct error *error)
{
    struct logstore_record record;
    struct error failure = {0};
    batch_reader_start(&compaction->reader, batch, bytes);
    while (batch_reader_next(&compaction->reader, &record, &failure))
        if (record.key.bytes != NULL && !note_key(compaction, record.key, record.offset, &failure))
            break;
    if (failure.code == ERROR_NONE)
        return true;
    *error = failure;
    return false;
}

/* --- going over a segment --------------------------------------------------------------------------------
 */

/* Calls `visit` with each batch of a full segment, its end included. */
static bool each_batch(struct compaction *compaction, const struct segment *segment,
                       bool (*visit)(struct compaction *compaction, const struct batch *batch,
                                     const uint8_t *bytes, void *context, struct error *error),
                       void *context, struct error *error)
{
    uint64_t size, position = HEAD_SIZE;
    int64_t expected = segment->base;
    if (!fsio_size(&segment->log, &size, error))
        return false;
    scan_forget(&compaction->scan);
    for (;;) {
        struct batch batch;
        const uint8_t *bytes;
        if (!scan_batch(&compaction->scan, segment, position, size, expected, &batch, &bytes, error) ||
            !visit(compaction, &batch, bytes, context, error))
            return false;
        if (batch.flags & BATCH_END_OF_SEGMENT)
            return true;
        position += batch.length;
        expected = batch.base_offset + batch.span + 1;
    }
}

/* What is known of a segment after it was read once. */
struct survey {
    int64_t max_timestamp;
    uint64_t bytes;
};

static bool survey_batch(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                         void *context, struct error *error)
{
    struct survey *survey = context;
    survey->bytes += batch->length;
    maintenance_reach(compaction->maintenance, PASS_LEARN, batch->base_offset);
    if (batch->flags & BATCH_END_OF_SEGMENT) {
        survey->max_timestamp = batch->max_timestamp;
        return true;
    }
    return note_batch(compaction, batch, bytes, error);
}

/* --- what stays ------------------------------------------------------------------------------------------
 */

static bool stays(const struct compaction *compaction, const struct batch *batch,
                  const struct logstore_record *record)
{
    if (record->key.bytes == NULL)
        return true; /* from before the topic was compacted */
    bool outlived = record->value.bytes == NULL && batch->delete_horizon != 0 &&
                    compaction->maintenance->now >= batch->delete_horizon;
    return !outlived && place_of(compaction, record->key)->offset <= record->offset;
}

/* Which of a batch's records stay. */
struct verdict {
    uint32_t staying;
    bool tombstones; /* among those that stay */
};

static bool judge(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                  struct verdict *verdict, struct error *error)
{
    struct logstore_record record;
    struct error failure = {0};
    *verdict = (struct verdict){0};
    batch_reader_start(&compaction->reader, batch, bytes);
    while (batch_reader_next(&compaction->reader, &record, &failure)) {
        if (!stays(compaction, batch, &record))
            continue;
        verdict->staying++;
        verdict->tombstones = verdict->tombstones || (record.value.bytes == NULL && record.key.bytes != NULL);
    }
    if (failure.code == ERROR_NONE)
        return true;
    *error = failure;
    return false;
}

static bool needs_horizon(const struct batch *batch, const struct verdict *verdict)
{
    return verdict->tombstones && batch->delete_horizon == 0;
}

/* When a tombstone that is met for the first time may go; delete.retention.ms may be as good as for ever. */
static int64_t horizon_from_now(const struct maintenance *maintenance)
{
    int64_t horizon;
    bool beyond = __builtin_add_overflow(maintenance->now, maintenance->config.delete_retention_ms, &horizon);
    return beyond ? INT64_MAX : horizon;
}

/* Whether a segment has to be written anew. */
static bool judge_batch(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                        void *context, struct error *error)
{
    bool *superfluous = context;
    struct verdict verdict;
    if (batch->flags & BATCH_END_OF_SEGMENT || *superfluous)
        return true;
    maintenance_reach(compaction->maintenance, PASS_DO, batch->base_offset);
    if (!judge(compaction, batch, bytes, &verdict, error))
        return false;
    *superfluous = verdict.staying < batch->records || needs_horizon(batch, &verdict);
    return true;
}

/* --- writing anew ----------------------------------------------------------------------------------------
 */

struct output {
    struct segment segment;
    uint64_t position;       /* in the file, of what is in compaction->out */
    uint64_t batch_position; /* of the last batch; 0: none */
    int64_t max_timestamp;
    uint32_t chain;
};

static bool flush(struct compaction *compaction, struct output *output, struct error *error)
{
    if (!buf_ok(&compaction->out)) {
        error_set(error, ERROR_MEMORY, "no memory to compact");
        return false;
    }
    if (!fsio_write(&output->segment.log, compaction->out.bytes, compaction->out.length, output->position,
                    error))
        return false;
    output->position += compaction->out.length;
    buf_reset(&compaction->out);
    return true;
}

/* Puts the records that stay into compaction->batch. */
static bool write_anew(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                       const struct verdict *verdict, struct error *error)
{
    struct logstore_record record;
    struct error failure = {0};
    struct batch fewer = *batch;
    struct buf *out = &compaction->batch;
    buf_reset(out);
    fewer.records = 0;
    fewer.max_timestamp = -1;
    if (needs_horizon(batch, verdict))
        fewer.delete_horizon = horizon_from_now(compaction->maintenance);
    if (buf_room(out, BATCH_HEADER_SIZE) != NULL)
        buf_claim(out, BATCH_HEADER_SIZE);
    batch_reader_start(&compaction->reader, batch, bytes);
    while (batch_reader_next(&compaction->reader, &record, &failure)) {
        if (!stays(compaction, batch, &record))
            continue;
        if (fewer.records++ == 0)
            fewer.base_timestamp = record.timestamp;
        if (record.timestamp > fewer.max_timestamp)
            fewer.max_timestamp = record.timestamp;
        batch_add_record(out, &record, batch->base_offset, fewer.base_timestamp);
    }
    if (failure.code != ERROR_NONE) {
        *error = failure;
        return false;
    }
    if (buf_ok(out)) {
        fewer.length = (uint32_t)out->length;
        batch_seal((uint8_t *)out->bytes, &fewer);
        return true;
    }
    error_set(error, ERROR_MEMORY, "no memory to compact a batch of %u bytes", batch->length);
    return false;
}

/* Adds a batch, which is in `bytes`, to the new segment. */
static bool put_batch(struct compaction *compaction, struct output *output, const struct batch *batch,
                      const uint8_t *bytes, struct error *error)
{
    uint64_t position = output->position + compaction->out.length;
    size_t start = compaction->out.length;
    bool end = (batch->flags & BATCH_END_OF_SEGMENT) != 0;
    if (!end && !segment_index_add(&output->segment, output->batch_position, position, batch->base_offset,
                                   output->max_timestamp, error))
        return false;
    buf_add(&compaction->out, bytes, batch->length);
    if (buf_ok(&compaction->out))
        output->chain =
            batch_place((uint8_t *)compaction->out.bytes + start, batch->base_offset, output->chain);
    output->batch_position = position;
    if (batch->max_timestamp > output->max_timestamp)
        output->max_timestamp = batch->max_timestamp;
    return compaction->out.length < OUT_AT_ONCE || flush(compaction, output, error);
}

static bool copy_batch(struct compaction *compaction, const struct batch *batch, const uint8_t *bytes,
                       void *context, struct error *error)
{
    struct output *output = context;
    struct verdict verdict;
    struct batch written;
    maintenance_reach(compaction->maintenance, PASS_DO, batch->base_offset);
    if (batch->flags & BATCH_END_OF_SEGMENT)
        return put_batch(compaction, output, batch, bytes, error);
    if (!judge(compaction, batch, bytes, &verdict, error))
        return false;
    if (verdict.staying == 0)
        return true;
    if (verdict.staying == batch->records && !needs_horizon(batch, &verdict))
        return put_batch(compaction, output, batch, bytes, error);
    if (!write_anew(compaction, batch, bytes, &verdict, error))
        return false;
    bytes = (const uint8_t *)compaction->batch.bytes;
    if (!batch_decode_header(bytes, &written)) {
        error_set(error, ERROR_CORRUPT, "a batch was changed in memory");
        return false;
    }
    return put_batch(compaction, output, &written, bytes, error);
}

static bool rewrite(struct compaction *compaction, const struct segment *segment, struct error *error)
{
    struct output output = {.position = HEAD_SIZE, .max_timestamp = -1};
    const struct segment_place *place = &compaction->maintenance->place;
    if (!segment_create_replacement(&output.segment, place, segment->base, error))
        return false;
    output.chain = output.segment.head_crc;
    buf_reset(&compaction->out);
    bool done = each_batch(compaction, segment, copy_batch, &output, error) &&
                flush(compaction, &output, error) && segment_replace(&output.segment, place, error);
    segment_close(&output.segment);
    return done;
}

/* --- the whole -------------------------------------------------------------------------------------------
 */

/* Reads the segments to learn the keys, up to the first one that is too young. Tells how much of them was
 * never compacted. */
static bool learn(struct compaction *compaction, uint64_t *total, uint64_t *dirty, struct error *error)
{
    struct maintenance *maintenance = compaction->maintenance;
    *total = *dirty = 0;
    for (size_t i = 0; i < maintenance->sealed; i++) {
        struct segment segment;
        struct survey survey = {0};
        struct batch last;
        uint64_t position;
        if (!segment_open(&segment, &maintenance->place, maintenance->bases[i], O_RDONLY, error))
            return false;
        bool done = segment_read_end(&segment, &position, &last, error);
        bool young =
            done && last.max_timestamp > maintenance->now - maintenance->config.min_compaction_lag_ms;
        done = done && (young || each_batch(compaction, &segment, survey_batch, &survey, error));
        *total += survey.bytes;
        *dirty += segment.compacted ? 0 : survey.bytes;
        segment_close(&segment);
        if (!done)
            return false;
        if (young)
            return true;
        compaction->segments = i + 1;
    }
    return true;
}

static bool compact_segment(struct compaction *compaction, int64_t base, struct error *error)
{
    struct segment segment;
    bool superfluous = false;
    if (!segment_open(&segment, &compaction->maintenance->place, base, O_RDONLY, error))
        return false;
    bool done = each_batch(compaction, &segment, judge_batch, &superfluous, error) &&
                (!superfluous || rewrite(compaction, &segment, error));
    segment_close(&segment);
    return done;
}

static bool compact(struct compaction *compaction, bool always, struct error *error)
{
    uint64_t total, dirty;
    struct maintenance *maintenance = compaction->maintenance;
    if (!learn(compaction, &total, &dirty, error))
        return false;
    if (compaction->segments == 0 || compaction->size == 0 || (!always && 2 * dirty < total))
        return true;
    /* A slot that comes back from before must not tell of a position in a segment that is another one by
     * then. */
    if (!partition_sync_slot(maintenance->partition, error))
        return false;
    for (size_t i = 0; i < compaction->segments; i++)
        if (!compact_segment(compaction, maintenance->bases[i], error))
            return false;
    return true;
}

bool compact_partition(struct maintenance *maintenance, bool always, struct error *error)
{
    struct compaction compaction = {
        .maintenance = maintenance,
        .keys = buf_make(KEYS_MOST),
        .batch = buf_make(BATCH_MOST),
        .out = buf_make(BATCH_MOST),
    };
    if (!(maintenance->config.cleanup_policy & LOGSTORE_CLEANUP_COMPACT))
        return true;
    bool done = compact(&compaction, always, error);
    buf_free(&compaction.keys);
    buf_free(&compaction.batch);
    buf_free(&compaction.out);
    free(compaction.table);
    scan_free(&compaction.scan);
    batch_reader_free(&compaction.reader);
    return done;
}
