#include "logstore/batch.h"

#include "logstore/bytes.h"
#include "logstore/crc32c.h"

#include <stdlib.h>

enum {
    AT_MAGIC = 0,
    AT_LENGTH = 4,
    AT_BASE_OFFSET = 8,
    AT_RECORDS = 16,
    AT_SPAN = 20,
    AT_BASE_TIMESTAMP = 24,
    AT_MAX_TIMESTAMP = 32,
    AT_DELETE_HORIZON = 40,
    AT_FLAGS = 48,
    AT_CHAIN = 52,
    AT_BODY_CRC = 56,
    AT_CRC = 60,

    UVARINT_MAX = 10,
    PREFIX_MAX = 5 * UVARINT_MAX, /* the five numbers in front of a record's bytes */
};

static const char MAGIC[4] = {'T', 'M', 'b', 'a'};

uint32_t batch_encode_header(uint8_t bytes[BATCH_HEADER_SIZE], const struct batch *batch)
{
    memcpy(bytes + AT_MAGIC, MAGIC, sizeof MAGIC);
    put32(bytes + AT_LENGTH, batch->length);
    put64(bytes + AT_BASE_OFFSET, (uint64_t)batch->base_offset);
    put32(bytes + AT_RECORDS, batch->records);
    put32(bytes + AT_SPAN, batch->span);
    put64(bytes + AT_BASE_TIMESTAMP, (uint64_t)batch->base_timestamp);
    put64(bytes + AT_MAX_TIMESTAMP, (uint64_t)batch->max_timestamp);
    put64(bytes + AT_DELETE_HORIZON, (uint64_t)batch->delete_horizon);
    put32(bytes + AT_FLAGS, batch->flags);
    put32(bytes + AT_CHAIN, batch->chain);
    put32(bytes + AT_BODY_CRC, batch->body_crc);
    uint32_t crc = crc32c(0, bytes, AT_CRC);
    put32(bytes + AT_CRC, crc);
    return crc;
}

bool batch_decode_header(const uint8_t bytes[BATCH_HEADER_SIZE], struct batch *batch)
{
    *batch = (struct batch){
        .length = get32(bytes + AT_LENGTH),
        .base_offset = (int64_t)get64(bytes + AT_BASE_OFFSET),
        .records = get32(bytes + AT_RECORDS),
        .span = get32(bytes + AT_SPAN),
        .base_timestamp = (int64_t)get64(bytes + AT_BASE_TIMESTAMP),
        .max_timestamp = (int64_t)get64(bytes + AT_MAX_TIMESTAMP),
        .delete_horizon = (int64_t)get64(bytes + AT_DELETE_HORIZON),
        .flags = get32(bytes + AT_FLAGS),
        .chain = get32(bytes + AT_CHAIN),
        .body_crc = get32(bytes + AT_BODY_CRC),
        .crc = get32(bytes + AT_CRC),
    };
    bool end = (batch->flags & BATCH_END_OF_SEGMENT) != 0;
    return memcmp(bytes + AT_MAGIC, MAGIC, sizeof MAGIC) == 0 && batch->crc == crc32c(0, bytes, AT_CRC) &&
           batch->length <= INT32_MAX && batch->base_offset >= 0 &&
           batch->base_offset <= INT64_MAX - UINT32_MAX - 1 &&
           (end ? batch->length == BATCH_HEADER_SIZE && batch->records == 0
                : batch->length > BATCH_HEADER_SIZE && batch->records > 0 &&
                      batch->span >= batch->records - 1);
}

bool batch_body_whole(const struct batch *batch, const uint8_t *bytes)
{
    return crc32c(0, bytes + BATCH_HEADER_SIZE, batch->length - BATCH_HEADER_SIZE) == batch->body_crc;
}

void batch_seal(uint8_t *bytes, struct batch *batch)
{
    batch->body_crc = crc32c(0, bytes + BATCH_HEADER_SIZE, batch->length - BATCH_HEADER_SIZE);
    batch_encode_header(bytes, batch);
}

void batch_encode_end(uint8_t bytes[BATCH_HEADER_SIZE], int64_t next_base, int64_t max_timestamp,
                      uint32_t chain)
{
    struct batch end = {
        .length = BATCH_HEADER_SIZE,
        .base_offset = next_base,
        .base_timestamp = max_timestamp,
        .max_timestamp = max_timestamp,
        .flags = BATCH_END_OF_SEGMENT,
        .chain = chain,
    };
    batch_encode_header(bytes, &end);
}

uint32_t batch_place(uint8_t *bytes, int64_t base_offset, uint32_t chain)
{
    put64(bytes + AT_BASE_OFFSET, (uint64_t)base_offset);
    put32(bytes + AT_CHAIN, chain);
    uint32_t crc = crc32c(0, bytes, AT_CRC);
    put32(bytes + AT_CRC, crc);
    return crc;
}

/* --- encoding --------------------------------------------------------------------------------------------
 */

/* 0 for none, else the length + 1. */
static uint64_t optional_length(struct str bytes)
{
    return bytes.bytes == NULL ? 0 : (uint64_t)bytes.length + 1;
}

/* At most as many bytes as the record will take: exact but for the two deltas, which count in full. */
static size_t record_size_most(const struct logstore_record *record)
{
    size_t size = PREFIX_MAX + record->key.length + record->value.length;
    for (size_t i = 0; i < record->header_count; i++)
        size += (size_t)2 * UVARINT_MAX + record->headers[i].name.length + record->headers[i].value.length;
    return size;
}

static uint8_t *put_bytes(uint8_t *at, struct str bytes)
{
    if (bytes.bytes == NULL || bytes.length == 0)
        return at;
    memcpy(at, bytes.bytes, bytes.length);
    return at + bytes.length;
}

static uint8_t *put_record(uint8_t *at, const struct logstore_record *record, uint64_t offset_delta,
                           int64_t timestamp_delta)
{
    at = put_uvarint(at, offset_delta);
    at = put_uvarint(at, zigzag(timestamp_delta));
    at = put_uvarint(at, optional_length(record->key));
    at = put_uvarint(at, optional_length(record->value));
    at = put_uvarint(at, record->header_count);
    at = put_bytes(at, record->key);
    at = put_bytes(at, record->value);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct logstore_header *header = &record->headers[i];
        at = put_uvarint(at, header->name.length);
        at = put_uvarint(at, optional_length(header->value));
        at = put_bytes(at, header->name);
        at = put_bytes(at, header->value);
    }
    return at;
}

void batch_add_record(struct buf *bytes, const struct logstore_record *record, int64_t base_offset,
                      int64_t base_timestamp)
{
    uint8_t *room = (uint8_t *)buf_room(bytes, record_size_most(record));
    if (room == NULL)
        return;
    uint8_t *end = put_record(room, record, (uint64_t)(record->offset - base_offset),
                              record->timestamp - base_timestamp);
    buf_claim(bytes, (size_t)(end - room));
}

/* Whether the record can be in a batch at all. */
static bool check_record(const struct logstore_record *record, size_t size, size_t limit, struct error *error)
{
    if (record->timestamp < 0) {
        error_set(error, ERROR_USAGE, "a record's timestamp must not be negative");
        return false;
    }
    if (size > limit - BATCH_HEADER_SIZE) {
        error_set(error, ERROR_USAGE,
                  "a record of %zu bytes is too large for max.message.bytes, %zu; raise it for the topic",
                  size, limit);
        return false;
    }
    return true;
}

/* Encodes as many records as fit into one batch, at least one. Returns their number; 0: failed. */
static size_t encode_one(struct buf *bytes, const struct logstore_record *records, size_t count, size_t limit,
                         int64_t now, int64_t base_offset, struct error *error)
{
    struct batch batch = {.base_offset = base_offset, .max_timestamp = -1};
    size_t start = bytes->length, used = 0;
    uint8_t *header = (uint8_t *)buf_room(bytes, BATCH_HEADER_SIZE);
    if (header != NULL)
        buf_claim(bytes, BATCH_HEADER_SIZE);
    for (; used < count && used < UINT32_MAX; used++) {
        struct logstore_record record = records[used];
        size_t size = record_size_most(&record), length = bytes->length - start;
        if (used > 0 && size > limit - length)
            break;
        if (!check_record(&record, size, limit, error))
            return 0;
        if (record.timestamp == 0)
            record.timestamp = now;
        if (used == 0)
            batch.base_timestamp = record.timestamp;
        if (record.timestamp > batch.max_timestamp)
            batch.max_timestamp = record.timestamp;
        record.offset = (int64_t)used;
        batch_add_record(bytes, &record, 0, batch.base_timestamp);
        if (!buf_ok(bytes))
            break;
    }
    if (!buf_ok(bytes)) {
        error_set(error, ERROR_MEMORY, "no memory for a batch of records");
        return 0;
    }
    header = (uint8_t *)bytes->bytes + start;
    batch.length = (uint32_t)(bytes->length - start);
    batch.records = (uint32_t)used;
    batch.span = (uint32_t)(used - 1);
    batch_seal(header, &batch);
    return used;
}

bool batch_encode(struct buf *bytes, const struct logstore_record *records, size_t count, size_t limit,
                  int64_t now, struct error *error)
{
    for (size_t done = 0; done < count;) {
        size_t used = encode_one(bytes, records + done, count - done, limit, now, (int64_t)done, error);
        if (used == 0)
            return false;
        done += used;
    }
    return true;
}

/* --- decoding --------------------------------------------------------------------------------------------
 */

void batch_reader_start(struct batch_reader *reader, const struct batch *batch, const uint8_t *bytes)
{
    reader->batch = *batch;
    reader->at = bytes + BATCH_HEADER_SIZE;
    reader->end = bytes + batch->length;
    reader->left = batch->records;
    reader->last_offset = -1;
}

void batch_reader_free(struct batch_reader *reader)
{
    free(reader->headers);
    *reader = (struct batch_reader){0};
}

/* What an optional length and the bytes at the cursor stand for. */
static inline struct str take_optional(struct cursor *cursor, uint64_t encoded_length)
{
    if (encoded_length == 0)
        return (struct str){NULL, 0};
    const uint8_t *bytes = cursor_take(cursor, (size_t)(encoded_length - 1));
    return bytes == NULL ? (struct str){NULL, 0}
                         : (struct str){(const char *)bytes, (size_t)(encoded_length - 1)};
}

static bool reserve_headers(struct batch_reader *reader, size_t count)
{
    if (count <= reader->header_capacity)
        return true;
    struct logstore_header *headers = realloc(reader->headers, count * sizeof *headers);
    if (headers == NULL)
        return false;
    reader->headers = headers;
    reader->header_capacity = count;
    return true;
}

static void take_headers(struct cursor *cursor, struct logstore_header *headers, size_t count)
{
    for (size_t i = 0; i < count && !cursor->failed; i++) {
        uint64_t name_length = cursor_uvarint(cursor), value_length = cursor_uvarint(cursor);
        const uint8_t *name = cursor_take(cursor, (size_t)name_length);
        headers[i].name = (struct str){(const char *)name, (size_t)name_length};
        headers[i].value = take_optional(cursor, value_length);
    }
}

/* Any record, and whatever may be wrong with it. */
static bool next_any(struct batch_reader *reader, struct logstore_record *record, struct error *error)
{
    struct cursor cursor = {reader->at, reader->end, false};
    uint64_t offset_delta = cursor_uvarint(&cursor);
    int64_t timestamp_delta = unzigzag(cursor_uvarint(&cursor));
    uint64_t key_length = cursor_uvarint(&cursor), value_length = cursor_uvarint(&cursor);
    uint64_t header_count = cursor_uvarint(&cursor);
    record->key = take_optional(&cursor, key_length);
    record->value = take_optional(&cursor, value_length);
    if (header_count > cursor_left(&cursor) / 2)
        cursor.failed = true;
    if (!cursor.failed && header_count > 0 && !reserve_headers(reader, (size_t)header_count)) {
        error_set(error, ERROR_MEMORY, "no memory for a record's headers");
        return false;
    }
    if (!cursor.failed && header_count > 0)
        take_headers(&cursor, reader->headers, (size_t)header_count);
    bool sound = !cursor.failed && offset_delta <= reader->batch.span &&
                 !__builtin_add_overflow(reader->batch.base_timestamp, timestamp_delta, &record->timestamp);
    record->offset = reader->batch.base_offset + (int64_t)(sound ? offset_delta : 0);
    if (!sound || record->offset <= reader->last_offset) {
        error_set(error, ERROR_CORRUPT, "the batch of offset %lld contradicts itself",
                  (long long)reader->batch.base_offset);
        return false;
    }
    record->headers = reader->headers;
    record->header_count = (size_t)header_count;
    reader->last_offset = record->offset;
    reader->at = cursor.at;
    reader->left--;
    return true;
}

bool batch_reader_next(struct batch_reader *reader, struct logstore_record *record, struct error *error)
{
    return batch_reader_next_common(reader, record) || (reader->left > 0 && next_any(reader, record, error));
}
