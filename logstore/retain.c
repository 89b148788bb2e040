#include "logstore/maintain.h"

#include <fcntl.h>

/* What retention has to know of a full segment. */
struct extent {
    int64_t max_timestamp;
    uint64_t size;
};

static bool measure(const struct maintenance *maintenance, int64_t base, struct extent *extent,
                    struct error *error)
{
    struct segment segment;
    struct batch last;
    uint64_t position;
    if (!segment_open(&segment, &maintenance->place, base, O_RDONLY, error))
        return false;
    bool done = segment_read_end(&segment, &position, &last, error);
    segment_close(&segment);
    if (done)
        *extent = (struct extent){last.max_timestamp, position + BATCH_HEADER_SIZE};
    return done;
}

/* The size of all segments. */
static bool measure_all(const struct maintenance *maintenance, uint64_t *total, struct error *error)
{
    *total = maintenance->slot.position;
    for (size_t i = 0; i < maintenance->sealed; i++) {
        struct extent extent;
        if (!measure(maintenance, maintenance->bases[i], &extent, error))
            return false;
        *total += extent.size;
    }
    return true;
}

static bool too_old(const struct maintenance *maintenance, int64_t max_timestamp)
{
    return maintenance->config.retention_ms >= 0 && max_timestamp >= 0 &&
           maintenance->now - max_timestamp > maintenance->config.retention_ms;
}

/* As long as what remains is no less than what is to be kept, as in Kafka. */
static bool too_much(const struct maintenance *maintenance, uint64_t total, uint64_t size)
{
    return maintenance->config.retention_bytes >= 0 &&
           total - size >= (uint64_t)maintenance->config.retention_bytes;
}

/* How many of the first segments can go. */
static bool count_outdated(struct maintenance *maintenance, size_t *count, struct error *error)
{
    uint64_t total = 0;
    if (maintenance->config.retention_bytes >= 0 && !measure_all(maintenance, &total, error))
        return false;
    for (*count = 0; *count < maintenance->sealed; ++*count) {
        struct extent extent;
        if (!measure(maintenance, maintenance->bases[*count], &extent, error))
            return false;
        if (!too_old(maintenance, extent.max_timestamp) && !too_much(maintenance, total, extent.size))
            return true;
        total -= extent.size;
        maintenance_reach(maintenance, PASS_LEARN, maintenance->bases[*count]);
    }
    return true;
}

/* The timestamp of the first record from the segment on; -1: there is none. */
static bool first_timestamp(const struct maintenance *maintenance, int64_t base, int64_t *timestamp,
                            struct error *error)
{
    for (*timestamp = -1; base < maintenance->slot.written;) {
        struct segment segment;
        struct batch batch;
        if (base == maintenance->slot.segment && maintenance->slot.position == HEAD_SIZE)
            return true;
        if (!segment_open(&segment, &maintenance->place, base, O_RDONLY, error))
            return false;
        bool done = segment_read_header(&segment, HEAD_SIZE, INT64_MAX, -1, &batch, error);
        segment_close(&segment);
        if (!done)
            return false;
        if (!(batch.flags & BATCH_END_OF_SEGMENT)) {
            *timestamp = batch.base_timestamp;
            return true;
        }
        base = batch.base_offset; /* compaction has left nothing in this one */
    }
    return true;
}

/* Moves the start offset first, so that nobody looks for what goes then. */
static bool move_start(struct maintenance *maintenance, int64_t start, int64_t timestamp, struct error *error)
{
    struct partition *partition = maintenance->partition;
    struct slot slot;
    if (!partition_lock(partition, &slot, error))
        return false;
    bool done = true;
    if (slot.start < start) {
        slot.start = start;
        slot.start_timestamp = timestamp;
        done = slot_write(&partition->store->partitions_file, partition->slot, &slot, error);
    }
    partition_unlock(partition);
    return done && partition_sync_slot(partition, error);
}

/* Ends the active segment when all in it is too old, so that it can go too. */
static bool roll_if_old(struct maintenance *maintenance, struct error *error)
{
    struct partition *partition = maintenance->partition;
    struct slot slot;
    if (!partition_lock(partition, &slot, error))
        return false;
    bool rolls = slot.segment >= 0 && slot.position > HEAD_SIZE && too_old(maintenance, slot.max_timestamp);
    bool done = !rolls || (partition_roll(partition, &slot, error) &&
                           slot_write(&partition->store->partitions_file, partition->slot, &slot, error));
    partition_unlock(partition);
    return done && (!rolls || maintenance_refresh(maintenance, error));
}

bool retain_partition(struct maintenance *maintenance, bool roll, struct error *error)
{
    size_t count;
    int64_t timestamp;
    if (!(maintenance->config.cleanup_policy & LOGSTORE_CLEANUP_DELETE))
        return true;
    if ((roll && !roll_if_old(maintenance, error)) || !count_outdated(maintenance, &count, error))
        return false;
    if (count == 0)
        return true;
    int64_t start = count < maintenance->sealed ? maintenance->bases[count] : maintenance->slot.segment;
    return first_timestamp(maintenance, start, &timestamp, error) &&
           move_start(maintenance, start, timestamp, error) &&
           maintenance_remove_outdated(maintenance, error);
}
