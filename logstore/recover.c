#include "logstore/recover.h"

#include "logstore/scan.h"

#include <fcntl.h>
#include <stdlib.h>

/*
 * After a crash of the machine. What the slot says may be older than the segments, since only those are
 * synced before an append is acknowledged; or newer, when nothing was synced. So the segments decide: from
 * the last batch that was synced for certain, batches are followed as long as they are whole and continue the
 * chain.
 */

struct recovery {
    struct segment_place place;
    int64_t *bases; /* owned; of all segments */
    size_t count;
    struct segment segment; /* where the walk is */
    struct scan scan;
    uint64_t position, batch_position, end_of_file;
    int64_t written, max_timestamp;
    uint32_t chain;
    bool chain_known;
};

struct slot recover_lost_slot(const struct partition *partition)
{
    return (struct slot){.topic = partition->topic,
                         .partition = partition->number,
                         .start_timestamp = -1,
                         .segment = -1,
                         .max_timestamp = -1};
}

static bool is_base(const struct recovery *recovery, int64_t base)
{
    return base >= 0 && segment_among(recovery->bases, recovery->count, base) == base;
}

/* The first segment at or after the offset; -1: none. */
static int64_t next_base(const struct recovery *recovery, int64_t offset)
{
    for (size_t i = 0; i < recovery->count; i++)
        if (recovery->bases[i] >= offset)
            return recovery->bases[i];
    return -1;
}

static bool enter_segment(struct recovery *recovery, struct segment *segment, struct error *error)
{
    if (!fsio_size(&segment->log, &recovery->end_of_file, error))
        return false;
    segment_close(&recovery->segment);
    recovery->segment = *segment;
    *segment = SEGMENT_CLOSED;
    scan_forget(&recovery->scan);
    recovery->position = HEAD_SIZE;
    recovery->batch_position = 0;
    recovery->written = recovery->segment.base;
    recovery->max_timestamp = -1;
    recovery->chain = recovery->segment.head_crc;
    recovery->chain_known = true;
    return true;
}

/* Opens the segment and stands at its beginning. */
static bool open_segment(struct recovery *recovery, int64_t base, struct error *error)
{
    struct segment segment;
    bool done = segment_open(&segment, &recovery->place, base, O_RDWR, error) &&
                enter_segment(recovery, &segment, error);
    if (!done)
        segment_close(&segment);
    return done;
}

/* Goes to a batch in front of the durable position, so that the chain can be followed from there. */
static void skip_durable(struct recovery *recovery, const struct slot *slot)
{
    if (slot->durable_position <= HEAD_SIZE || recovery->segment.base != slot->segment)
        return;
    recovery->position = segment_seek_offset(&recovery->segment, slot->durable - 1, slot->durable_position);
    if (recovery->position > HEAD_SIZE) {
        recovery->written = -1; /* whatever the batch says */
        recovery->chain_known = false;
        recovery->max_timestamp = slot->max_timestamp;
    }
}

/* Follows the batches of the segment. *ended: it ends as a full one does, at recovery->written. False with
 * ERROR_CORRUPT: what is at the position is no continuation. */
static bool walk_segment(struct recovery *recovery, bool *ended, struct error *error)
{
    for (*ended = false;;) {
        struct batch batch;
        const uint8_t *bytes;
        if (!scan_batch(&recovery->scan, &recovery->segment, recovery->position, recovery->end_of_file,
                        recovery->written, &batch, &bytes, error))
            return false;
        if (recovery->chain_known && batch.chain != recovery->chain) {
            segment_damaged(&recovery->segment, recovery->position, "a batch that continues another one",
                            error);
            return false;
        }
        if (batch.flags & BATCH_END_OF_SEGMENT) {
            *ended = true;
            recovery->written = batch.base_offset;
            return true;
        }
        recovery->chain = batch.crc;
        recovery->chain_known = true;
        recovery->batch_position = recovery->position;
        recovery->position += batch.length;
        recovery->written = batch.base_offset + batch.span + 1;
        if (batch.max_timestamp > recovery->max_timestamp)
            recovery->max_timestamp = batch.max_timestamp;
    }
}

/* Follows the segments to where the log ends. */
static bool walk(struct recovery *recovery, const struct slot *slot, struct error *error)
{
    for (;;) {
        bool ended;
        struct error stop = {0};
        if (!walk_segment(recovery, &ended, &stop)) {
            bool durable_lost =
                recovery->segment.base == slot->segment && recovery->position < slot->durable_position;
            if (stop.code != ERROR_CORRUPT || durable_lost) {
                *error = stop;
                return false;
            }
            error_clear(&stop);
            return true;
        }
        int64_t next = next_base(recovery, recovery->written);
        if (next < 0 || next <= recovery->segment.base)
            return true;
        if (!open_segment(recovery, next, &stop)) {
            bool torn = stop.code == ERROR_CORRUPT; /* the new segment's head wasn't on the disk yet */
            if (!torn)
                *error = stop;
            else
                error_clear(&stop);
            return torn;
        }
    }
}

/* The start is where the first segment begins, when retention removed segments but the slot came back from
 * before. */
static bool correct_start(struct recovery *recovery, struct slot *slot, struct error *error)
{
    if (slot->start >= recovery->bases[0] && slot->start_timestamp >= 0)
        return true;
    if (slot->start < recovery->bases[0])
        slot->start = recovery->bases[0];
    if (slot->start >= slot->written)
        return true;
    struct segment first;
    struct batch batch;
    const uint8_t *bytes;
    if (!segment_open(&first, &recovery->place, recovery->bases[0], O_RDONLY, error))
        return false;
    scan_forget(&recovery->scan);
    bool done = scan_batch(&recovery->scan, &first, HEAD_SIZE, UINT64_MAX, -1, &batch, &bytes, error);
    scan_forget(&recovery->scan);
    if (done)
        slot->start_timestamp = batch.base_timestamp;
    segment_close(&first);
    return done;
}

/* Whether the kernel may take for written what a sync that failed has left behind. The slot tells of such
 * syncs; but where it was damaged since the machine booted, recovery itself may have been the one that
 * failed.
 */
static bool is_in_doubt(const struct slot *slot)
{
    return slot->open_syncs > 0 || slot->boot == 0 || slot->boot == fsio_boot();
}

/* Writes down in *slot where the walk has ended. */
static bool conclude(struct recovery *recovery, struct slot *slot, struct error *error)
{
    if (recovery->written < slot->durable) {
        segment_damaged(&recovery->segment, recovery->position, "synced records are missing", error);
        return false;
    }
    uint64_t durable = slot->segment == recovery->segment.base ? slot->durable_position : HEAD_SIZE;
    if ((is_in_doubt(slot) && !scan_write_again(&recovery->segment, durable, recovery->position, error)) ||
        !fsio_sync(&recovery->segment.log, error) || !segment_sync_names(&recovery->place, error) ||
        !segment_remove_behind(&recovery->place, recovery->segment.base, error))
        return false;
    if (slot->segment != recovery->segment.base)
        slot->segment_began = recovery->segment.made;
    slot->segment = recovery->segment.base;
    slot->position = slot->durable_position = recovery->position;
    slot->batch_position = recovery->batch_position;
    slot->written = slot->end = slot->durable = recovery->written;
    slot->max_timestamp = recovery->max_timestamp;
    slot->chain = recovery->chain;
    slot->open_syncs = 0;
    return correct_start(recovery, slot, error);
}

/* Nothing was ever appended, or nothing of it reached the disk. */
static bool conclude_empty(const struct recovery *recovery, struct slot *slot, struct error *error)
{
    if (slot->durable > slot->start) {
        error_set(error, ERROR_CORRUPT, "topic/%08x/%u: the segments with offsets %lld to %lld are missing",
                  recovery->place.topic, recovery->place.partition, (long long)slot->start,
                  (long long)slot->durable - 1);
        return false;
    }
    slot->segment = -1;
    slot->end = slot->written = slot->durable = slot->start;
    slot->start_timestamp = slot->max_timestamp = -1;
    return true;
}

static bool recover_from_segments(struct recovery *recovery, struct slot *slot, struct error *error)
{
    int64_t base = slot->segment;
    if (!is_base(recovery, base))
        base = segment_among(recovery->bases, recovery->count, slot->durable);
    if (base < 0)
        base = recovery->bases[0];
    while (!open_segment(recovery, base, error)) {
        if (error->code != ERROR_CORRUPT || slot->durable > base)
            return false;
        error_clear(error); /* it was begun, but nothing of it was synced */
        base = segment_among(recovery->bases, recovery->count, base - 1);
        if (base < 0)
            return segment_remove_behind(&recovery->place, -1, error) &&
                   conclude_empty(recovery, slot, error);
    }
    skip_durable(recovery, slot);
    return walk(recovery, slot, error) && conclude(recovery, slot, error);
}

bool recover_slot(struct partition *partition, struct slot *slot, struct error *error)
{
    struct recovery recovery = {.place = partition_place(partition), .segment = SEGMENT_CLOSED};
    recovery.segment.base = -1;
    if (!segment_list(&recovery.place, &recovery.bases, &recovery.count, error))
        return false;
    bool done = recovery.count == 0 ? conclude_empty(&recovery, slot, error)
                                    : recover_from_segments(&recovery, slot, error);
    slot->boot = fsio_boot();
    segment_close(&recovery.segment);
    scan_free(&recovery.scan);
    free(recovery.bases);
    if (!done)
        error_wrap(error, "after a crash of the machine");
    return done;
}
