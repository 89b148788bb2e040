#include "logstore/reader.h"

#include <fcntl.h>
#include <stdlib.h>

/*
 * A reader takes no locks: the slot tells up to where the log is whole, and what is below that is never
 * changed. A segment that compaction replaces or retention removes stays readable as long as it is open.
 */
struct logstore_reader {
    struct logstore *store;
    struct segment_place place;
    uint32_t slot_index;
    int64_t offset;   /* the next to be read */
    struct slot slot; /* as read last; sequence 0: not yet */
    struct segment segment;
    uint64_t size;     /* of the segment's file, not before the slot was read */
    uint64_t position; /* of the batch after the current one; 0: to be looked for */
    int64_t expected;  /* offset that follows the batches before `position`; -1: any */
    uint64_t tried;    /* position of the batch that was read last; 0: none in the open segment */
    struct {
        uint64_t position;
        int64_t offset; /* -1: it can't be told */
    } behind;           /* that batch */
    struct scan scan;
    struct batch_reader batch; /* the current one; has none left when there is none */
};

struct logstore_reader *reader_new(struct logstore *store, const struct partition_view *view, int64_t offset,
                                   struct error *error)
{
    struct logstore_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a reader");
        return NULL;
    }
    reader->store = store;
    reader->segment = SEGMENT_CLOSED;
    reader_move(reader, view, offset);
    return reader;
}

void reader_move(struct logstore_reader *reader, const struct partition_view *view, int64_t offset)
{
    segment_close(&reader->segment);
    scan_forget(&reader->scan);
    reader->place = view->place;
    reader->slot_index = view->slot;
    reader->slot.sequence = 0;
    logstore_reader_seek(reader, offset);
}

struct logstore_reader *logstore_reader_open(struct logstore *store, struct str topic, uint32_t partition,
                                             int64_t offset, struct error *error)
{
    struct partition_view view;
    if (offset < 0) {
        error_set(error, ERROR_USAGE, "an offset is 0 or more, not %lld", (long long)offset);
        return NULL;
    }
    return store_find(store, topic, partition, &view, error) ? reader_new(store, &view, offset, error) : NULL;
}

void logstore_reader_close(struct logstore_reader **reader)
{
    struct logstore_reader *closing = *reader;
    *reader = NULL;
    if (closing == NULL)
        return;
    segment_close(&closing->segment);
    scan_free(&closing->scan);
    batch_reader_free(&closing->batch);
    free(closing);
}

int64_t logstore_reader_offset(const struct logstore_reader *reader)
{
    return reader->offset;
}

void logstore_reader_seek(struct logstore_reader *reader, int64_t offset)
{
    reader->offset = offset;
    reader->position = 0;
    reader->batch.left = 0;
}

/* --- finding the batch -----------------------------------------------------------------------------------
 */

/* The open segment may have grown since, and have become full. */
static bool refresh(struct logstore_reader *reader, struct error *error)
{
    return store_read_slot(reader->store, &reader->place, reader->slot_index, &reader->slot, error) &&
           (reader->segment.log.fd < 0 || fsio_size(&reader->segment.log, &reader->size, error));
}

/* Where the batches of the open segment end at the latest. */
static uint64_t segment_limit(const struct logstore_reader *reader)
{
    return reader->segment.base == reader->slot.segment ? reader->slot.position : reader->size;
}

/* The segment that holds the offset, or would: the last one that begins at or before it, the first one else.
 */
static bool choose_segment(struct logstore_reader *reader, int64_t *base, struct error *error)
{
    int64_t *bases;
    size_t count;
    if (reader->offset >= reader->slot.segment) {
        *base = reader->slot.segment;
        return true;
    }
    if (!segment_list(&reader->place, &bases, &count, error))
        return false;
    *base = segment_among(bases, count, reader->offset);
    if (*base < 0 && count > 0) {
        *base = bases[0];
        reader->slot.sequence = 0; /* retention has moved the start since */
    }
    free(bases);
    if (*base >= 0)
        return true;
    error_set(error, ERROR_NOT_FOUND, "the segments of topic/%08x/%u are gone", reader->place.topic,
              reader->place.partition);
    return false;
}

static bool open_segment(struct logstore_reader *reader, int64_t base, struct error *error)
{
    reader->position = 0;
    scan_forget(&reader->scan);
    segment_close(&reader->segment);
    if (!segment_open(&reader->segment, &reader->place, base, O_RDONLY, error))
        return false;
    if (fsio_size(&reader->segment.log, &reader->size, error))
        return true;
    segment_close(&reader->segment);
    return false;
}

/* Stands in front of a batch that isn't behind the reader's offset. */
static bool locate(struct logstore_reader *reader, struct error *error)
{
    enum { TRIES = 10 }; /* against retention and compaction that remove segments at the same moment */
    reader->tried = 0;
    reader->behind.offset = -1;
    for (int tries = 0;; tries++) {
        int64_t base;
        struct error failure = {0};
        if (choose_segment(reader, &base, &failure) &&
            ((reader->segment.log.fd >= 0 && reader->segment.base == base) ||
             open_segment(reader, base, &failure))) {
            reader->position = segment_seek_offset(&reader->segment, reader->offset, segment_limit(reader));
            reader->expected = reader->position == HEAD_SIZE ? base : -1;
            return true;
        }
        if (failure.code != ERROR_NOT_FOUND || tries == TRIES) {
            *error = failure;
            return false;
        }
        error_clear(&failure);
        if (!refresh(reader, error))
            return false;
    }
}

/* After the end of a segment: goes to the next one. */
static bool next_segment(struct logstore_reader *reader, int64_t base, struct error *error)
{
    int64_t offset = reader->offset;
    if (reader->offset < base)
        reader->offset = base; /* compaction removed what was between */
    if (!refresh(reader, error))
        return false;
    bool done = locate(reader, error);
    if (done && reader->segment.base < base) {
        segment_damaged(&reader->segment, reader->position, "the following segment is missing", error);
        done = false;
    }
    if (!done) {
        reader->offset = offset;
        reader->position = 0;
    }
    return done;
}

/* Whether there is anything to be read at the reader's offset. */
static enum logstore_read check_range(struct logstore_reader *reader, bool from_start, struct error *error)
{
    if ((reader->slot.sequence == 0 || reader->offset >= reader->slot.end) && !refresh(reader, error))
        return LOGSTORE_READ_FAILED;
    if (reader->offset >= reader->slot.end)
        return LOGSTORE_READ_END;
    if (reader->offset >= reader->slot.start)
        return LOGSTORE_READ_RECORD;
    if (from_start) {
        logstore_reader_seek(reader, reader->slot.start);
        return LOGSTORE_READ_RECORD;
    }
    error_set(error, ERROR_NOT_FOUND, "the record at offset %lld was deleted; the log begins with %lld",
              (long long)reader->offset, (long long)reader->slot.start);
    return LOGSTORE_READ_FAILED;
}

/* Reads the batch at the position, and goes behind it. *found: it has records at or after the reader's
 * offset. Of others only the header is looked at, so what is damaged in them harms nobody who doesn't read
 * them. */
static bool read_batch(struct logstore_reader *reader, bool *found, struct error *error)
{
    struct batch batch;
    const uint8_t *bytes;
    uint64_t position = reader->position, limit = segment_limit(reader);
    reader->tried = position;
    reader->behind.offset = -1;
    if (!scan_header(&reader->scan, &reader->segment, position, limit, reader->expected, &batch, error))
        return false;
    *found = false;
    if (batch.flags & BATCH_END_OF_SEGMENT)
        return next_segment(reader, batch.base_offset, error);
    reader->position += batch.length;
    reader->expected = batch.base_offset + batch.span + 1;
    reader->behind.position = reader->position;
    reader->behind.offset = reader->expected;
    if (reader->expected <= reader->offset)
        return true;
    if (!scan_body(&reader->scan, &reader->segment, position, limit, &batch, &bytes, error))
        return false;
    batch_reader_start(&reader->batch, &batch, bytes);
    *found = true;
    return true;
}

/* Brings a batch with records at or after the offset. */
static enum logstore_read next_batch(struct logstore_reader *reader, bool from_start, struct error *error)
{
    for (bool found = false; !found;) {
        enum logstore_read range = check_range(reader, from_start, error);
        if (range != LOGSTORE_READ_RECORD)
            return range;
        if (reader->position == 0) {
            if (!locate(reader, error))
                return LOGSTORE_READ_FAILED;
            continue; /* what the range is may have changed */
        }
        if (reader->segment.base > reader->offset) {
            segment_damaged(&reader->segment, 0, "the segment before is missing", error);
            reader->position = 0;
            return LOGSTORE_READ_FAILED;
        }
        bool at_limit =
            reader->segment.base == reader->slot.segment && reader->position >= reader->slot.position;
        if (at_limit) { /* compaction removed the last records */
            reader->offset = reader->slot.end;
            continue;
        }
        if (!read_batch(reader, &found, error)) {
            reader->position = 0;
            return LOGSTORE_READ_FAILED;
        }
    }
    return LOGSTORE_READ_RECORD;
}

static enum logstore_read read_record(struct logstore_reader *reader, bool from_start,
                                      struct logstore_record *record, struct error *error)
{
    for (;;) {
        while (batch_reader_next(&reader->batch, record, error))
            if (record->offset >= reader->offset) {
                reader->offset = record->offset + 1;
                return LOGSTORE_READ_RECORD;
            }
        if (reader->batch.left > 0) { /* it has failed */
            logstore_reader_seek(reader, reader->offset);
            return LOGSTORE_READ_FAILED;
        }
        enum logstore_read read = next_batch(reader, from_start, error);
        if (read != LOGSTORE_READ_RECORD)
            return read;
    }
}

enum logstore_read logstore_read(struct logstore_reader *reader, struct logstore_record *record,
                                 struct error *error)
{
    if (batch_reader_next_common(&reader->batch, record) && record->offset >= reader->offset) {
        reader->offset = record->offset + 1;
        return LOGSTORE_READ_RECORD;
    }
    return read_record(reader, false, record, error);
}

enum logstore_read reader_read_from(struct logstore_reader *reader, struct logstore_record *record,
                                    struct error *error)
{
    return read_record(reader, true, record, error);
}

/* --- damage ----------------------------------------------------------------------------------------------
 */

/* Finds where in the open segment it goes on: each time further on, so that going over a segment in which
 * everything is damaged takes as long as reading it. */
static bool skip_in_segment(struct logstore_reader *reader)
{
    uint64_t position = reader->tried;
    int64_t offset = reader->offset;
    if (reader->segment.log.fd < 0)
        return false;
    if (reader->behind.offset > offset) {
        position = reader->behind.position;
        offset = reader->behind.offset;
    } else if (!segment_find_behind(&reader->segment, &position, &offset, segment_limit(reader))) {
        return false;
    }
    logstore_reader_seek(reader, offset);
    reader->position = position;
    reader->expected = offset;
    return true;
}

/* Goes to the beginning of the next segment, or to the end. */
static bool skip_segment(struct logstore_reader *reader, struct error *error)
{
    int64_t *bases, next = reader->slot.end;
    size_t count;
    if (!segment_list(&reader->place, &bases, &count, error))
        return false;
    for (size_t i = count; i-- > 0 && bases[i] > reader->offset;)
        if (bases[i] < next)
            next = bases[i];
    free(bases);
    logstore_reader_seek(reader, next);
    return true;
}

bool logstore_reader_skip_damage(struct logstore_reader *reader, struct error *error)
{
    if (!refresh(reader, error))
        return false;
    return (skip_in_segment(reader) && reader->offset < reader->slot.end) || skip_segment(reader, error);
}

/* --- times -----------------------------------------------------------------------------------------------
 */

/* Goes over batches that are too early, to one with a record of `time` or later, or to the end. */
static bool skip_earlier(struct logstore_reader *reader, int64_t time, struct error *error)
{
    while (reader->offset < reader->slot.end) {
        struct batch batch;
        if (reader->position == 0) {
            if (!locate(reader, error))
                return false;
            uint64_t position = segment_seek_time(&reader->segment, time, segment_limit(reader));
            if (position > reader->position) {
                reader->position = position;
                reader->expected = -1;
            }
        }
        if (!segment_read_header(&reader->segment, reader->position, segment_limit(reader), reader->expected,
                                 &batch, error))
            return false;
        if (batch.flags & BATCH_END_OF_SEGMENT) {
            if (!next_segment(reader, batch.base_offset, error))
                return false;
            reader->position = 0;
            continue;
        }
        if (batch.max_timestamp >= time && batch.base_offset + batch.span >= reader->offset)
            return true;
        reader->position += batch.length;
        reader->expected = batch.base_offset + batch.span + 1;
        if (reader->offset < reader->expected)
            reader->offset = reader->expected;
    }
    return true;
}

bool reader_seek_time(struct logstore_reader *reader, int64_t time, struct error *error)
{
    if (!refresh(reader, error))
        return false;
    logstore_reader_seek(reader, reader->slot.start);
    for (;;) {
        struct logstore_record record;
        if (reader->batch.left == 0 && !skip_earlier(reader, time, error))
            return false;
        enum logstore_read read = reader_read_from(reader, &record, error);
        if (read == LOGSTORE_READ_FAILED)
            return false;
        if (read == LOGSTORE_READ_RECORD && record.timestamp >= time)
            logstore_reader_seek(reader, record.offset);
        if (read == LOGSTORE_READ_END || record.timestamp >= time)
            return true;
    }
}

bool logstore_offset_for_time(struct logstore *store, struct str topic, uint32_t partition, int64_t time,
                              int64_t *offset, struct error *error)
{
    struct logstore_reader *reader = logstore_reader_open(store, topic, partition, 0, error);
    bool done = reader != NULL && reader_seek_time(reader, time, error);
    if (done)
        *offset = reader->offset;
    logstore_reader_close(&reader);
    return done;
}

bool logstore_offsets(struct logstore *store, struct str topic, uint32_t partition, int64_t *start,
                      int64_t *end, struct error *error)
{
    struct partition_view view;
    struct slot slot;
    if (!store_find(store, topic, partition, &view, error) ||
        !store_read_slot(store, &view.place, view.slot, &slot, error))
        return false;
    *start = slot.start;
    *end = slot.end;
    return true;
}
