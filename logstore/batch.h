#ifndef LOGSTORE_BATCH_H
#define LOGSTORE_BATCH_H

#include "logstore/bytes.h"
#include "logstore/logstore.h"

#include "exporter/base/buf.h"

/*
 * Batches: the unit that is written, checked and read (FORMAT.md, "Segment"). A batch is encoded before its
 * place is known, outside of any lock, and then placed.
 */

enum { BATCH_HEADER_SIZE = 64 };

enum batch_flag { BATCH_END_OF_SEGMENT = 1 };

struct batch {
    uint32_t length; /* header included */
    int64_t base_offset;
    uint32_t records;
    uint32_t span;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t delete_horizon;
    uint32_t flags;
    uint32_t chain;
    uint32_t body_crc;
    uint32_t crc;
};

/* Adds the records to `bytes` as batches of at most `limit` bytes each. Timestamps of 0 become `now`. The
 * base offsets count from 0; batch_place() corrects them. ERROR_USAGE: a record that is larger, or has a
 * negative timestamp. */
bool batch_encode(struct buf *bytes, const struct logstore_record *records, size_t count, size_t limit,
                  int64_t now, struct error *error);

/* Gives an encoded batch its place behind the batch whose header CRC is `chain`. Returns its own. */
uint32_t batch_place(uint8_t *bytes, int64_t base_offset, uint32_t chain);

/* Encodes the header that ends a segment. */
void batch_encode_end(uint8_t bytes[BATCH_HEADER_SIZE], int64_t next_base, int64_t max_timestamp,
                      uint32_t chain);

/* Writes the header anew; returns its CRC. */
uint32_t batch_encode_header(uint8_t bytes[BATCH_HEADER_SIZE], const struct batch *batch);

/* Writes the header in front of a finished body, with the body's checksum. */
void batch_seal(uint8_t *bytes, struct batch *batch);

/* False when the bytes are no header; a true one still needs its body checked. */
bool batch_decode_header(const uint8_t bytes[BATCH_HEADER_SIZE], struct batch *batch);

/* Whether the body, which follows the header, has the right checksum. */
bool batch_body_whole(const struct batch *batch, const uint8_t *bytes);

/* Walks through the records of a batch. */
struct batch_reader {
    struct batch batch;
    const uint8_t *at, *end;
    uint32_t left;                   /* records */
    int64_t last_offset;             /* of the record before; -1: none */
    struct logstore_header *headers; /* owned: those of the current record */
    size_t header_capacity;
};

/* Begins at the first record of a batch whose body is whole; `bytes` must stay. */
void batch_reader_start(struct batch_reader *reader, const struct batch *batch, const uint8_t *bytes);
void batch_reader_free(struct batch_reader *reader);

/* The next record, valid until the next call or as long as the bytes; false: no more, or with `error` set a
 * body that contradicts itself (ERROR_CORRUPT), or ERROR_MEMORY. */
bool batch_reader_next(struct batch_reader *reader, struct logstore_record *record, struct error *error);

/* A number of one or two bytes; whether it has more is noted in *longer. */
static inline const uint8_t *batch_take_short(const uint8_t *at, uint64_t *number, unsigned *longer)
{
    *number = at[0];
    if (at[0] < 0x80)
        return at + 1;
    *number = (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
    *longer |= at[1];
    return at + 2;
}

/* batch_reader_next() for what nearly all records are, with short numbers and no headers; inline, as reading
 * is bound by it. False: there is no such record, and what is there is for batch_reader_next(). */
static inline bool batch_reader_next_common(struct batch_reader *reader, struct logstore_record *record)
{
    enum { NUMBERS = 5, SHORT = 2 };
    const uint8_t *at = reader->at;
    uint64_t offset_delta, timestamp_delta, key_length, value_length, header_count;
    unsigned longer = 0;
    if (reader->left == 0 || reader->end - at < NUMBERS * SHORT)
        return false;
    at = batch_take_short(at, &offset_delta, &longer);
    at = batch_take_short(at, &timestamp_delta, &longer);
    at = batch_take_short(at, &key_length, &longer);
    at = batch_take_short(at, &value_length, &longer);
    at = batch_take_short(at, &header_count, &longer);
    uint64_t key = key_length - (key_length > 0), value = value_length - (value_length > 0);
    if (longer >= 0x80 || header_count > 0 || key + value > (uint64_t)(reader->end - at) ||
        offset_delta > reader->batch.span)
        return false;
    int64_t offset = reader->batch.base_offset + (int64_t)offset_delta;
    if (offset <= reader->last_offset ||
        __builtin_add_overflow(reader->batch.base_timestamp, unzigzag(timestamp_delta), &record->timestamp))
        return false;
    record->key = (struct str){key_length == 0 ? NULL : (const char *)at, key};
    record->value = (struct str){value_length == 0 ? NULL : (const char *)at + key, value};
    record->headers = NULL;
    record->header_count = 0;
    record->offset = reader->last_offset = offset;
    reader->at = at + key + value;
    reader->left--;
    return true;
}

/* Adds one record in the form in which bodies hold it. */
void batch_add_record(struct buf *bytes, const struct logstore_record *record, int64_t base_offset,
                      int64_t base_timestamp);

#endif
