#include "collectors/kafka/marks.h"

#include "collectors/kafka/layout.h"
#include "exporter/base/mem.h"

#include <stdlib.h>

void kafka_marks_free(struct kafka_marks *marks)
{
    free(marks->items);
    free(marks->first);
    *marks = (struct kafka_marks){0};
}

void kafka_marks_move(struct kafka_marks *marks, const uint32_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < marks->count; i++) {
        struct kafka_mark mark = marks->items[i];
        mark.partition = moved[mark.partition];
        if (mark.partition != KAFKA_GONE)
            marks->items[kept++] = mark;
    }
    marks->count = kept;
}

/* --- what a snapshot wants ----------------------------------------------------------------------------- */

/* The first unread offset of the position, or UNKNOWN if there is none, or it isn't known. */
static int64_t first_unread(const struct snapshot *snapshot, const struct snap_position *position)
{
    const struct snap_partition *partition = &snapshot->partitions[position->partition];
    int64_t lag = position_lag(partition, position);
    return lag == UNKNOWN || lag == 0 ? UNKNOWN : partition->end - lag;
}

static bool has_records(const struct snap_partition *partition)
{
    return partition->start != UNKNOWN && partition->end != UNKNOWN && partition->start < partition->end;
}

/* Whether a transaction is open: its first record is at the last stable offset (KIP-98). */
static bool has_open_transaction(const struct snap_partition *partition)
{
    return has_records(partition) && partition->last_stable != UNKNOWN &&
           partition->last_stable >= partition->start && partition->last_stable < partition->end;
}

/* Room for the marks of each partition in one array: first[i] is where those of partition i begin. Beside the
 * positions with something unread there is one for the start, where there are positions, and one for an open
 * transaction. */
static size_t *make_room(const struct snapshot *snapshot)
{
    size_t *first = MEM_ARRAY((size_t)snapshot->partition_count + 1, size_t);
    for (uint32_t i = 0; i < snapshot->position_count; i++) {
        const struct snap_position *position = &snapshot->positions[i];
        size_t *count = &first[position->partition + 1];
        if (*count == 0 && has_records(&snapshot->partitions[position->partition]))
            *count = 1;
        *count += first_unread(snapshot, position) != UNKNOWN;
    }
    for (uint32_t i = 0; i < snapshot->partition_count; i++)
        first[i + 1] += first[i] + has_open_transaction(&snapshot->partitions[i]);
    return first;
}

static int number_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts a partition's offsets and leaves each once; returns how many remain. */
static size_t sort_unique(int64_t *offsets, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(offsets, count, sizeof *offsets, number_order);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || offsets[i] != offsets[kept - 1])
            offsets[kept++] = offsets[i];
    return kept;
}

/* Fills the room with all offsets that are wanted; used[i] becomes how many these are of partition i. */
static void fill_room(const struct snapshot *snapshot, const size_t *first, int64_t *offsets, size_t *used)
{
    for (uint32_t i = 0; i < snapshot->partition_count; i++) {
        const struct snap_partition *partition = &snapshot->partitions[i];
        bool is_open = has_open_transaction(partition);
        if (first[i + 1] - first[i] > is_open && has_records(partition))
            offsets[first[i] + used[i]++] = partition->start;
        if (is_open)
            offsets[first[i] + used[i]++] = partition->last_stable;
    }
    for (uint32_t i = 0; i < snapshot->position_count; i++) {
        uint32_t partition = snapshot->positions[i].partition;
        int64_t offset = first_unread(snapshot, &snapshot->positions[i]);
        if (offset != UNKNOWN)
            offsets[first[partition] + used[partition]++] = offset;
    }
}

/* Many groups may wait at the same offset, so marks are made when it is known how many are wanted. Only their
 * offsets are set. */
static struct kafka_marks wanted_marks(const struct snapshot *snapshot)
{
    struct kafka_marks marks = {.first = make_room(snapshot), .partitions = snapshot->partition_count};
    int64_t *offsets = MEM_ARRAY(marks.first[marks.partitions], int64_t);
    size_t *used = MEM_ARRAY(marks.partitions, size_t);
    fill_room(snapshot, marks.first, offsets, used);
    for (uint32_t i = 0; i < marks.partitions; i++) {
        int64_t *own = &offsets[marks.first[i]];
        size_t count = sort_unique(own, used[i]);
        memmove(&offsets[marks.count], own, count * sizeof *own);
        marks.first[i] = marks.count;
        marks.count += count;
    }
    marks.first[marks.partitions] = marks.count;
    marks.items = MEM_ARRAY(marks.count, struct kafka_mark);
    for (size_t i = 0; i < marks.count; i++)
        marks.items[i].offset = offsets[i];
    free(used);
    free(offsets);
    return marks;
}

/* A partition that ends earlier than before is another one, or was truncated: its records are others. Where
 * nothing was found before, something may have been written since. */
static bool still_holds(const struct kafka_mark *known, int64_t end)
{
    return known->state == KAFKA_MARK_NOTHING ? known->end == end : known->end <= end;
}

void kafka_marks_follow(struct kafka_marks *marks, const struct snapshot *snapshot)
{
    struct kafka_marks wanted = wanted_marks(snapshot);
    size_t old = 0;
    for (uint32_t partition = 0; partition < wanted.partitions; partition++) {
        int64_t end = snapshot->partitions[partition].end;
        while (old < marks->count && marks->items[old].partition < partition)
            old++;
        for (size_t i = wanted.first[partition]; i < wanted.first[partition + 1]; i++) {
            struct kafka_mark *mark = &wanted.items[i];
            while (old < marks->count && marks->items[old].partition == partition &&
                   marks->items[old].offset < mark->offset)
                old++;
            const struct kafka_mark *known = old < marks->count ? &marks->items[old] : NULL;
            *mark = (struct kafka_mark){mark->offset, UNKNOWN, end, partition, KAFKA_MARK_WANTED};
            if (known != NULL && known->partition == partition && known->offset == mark->offset &&
                still_holds(known, end)) {
                mark->timestamp = known->timestamp;
                mark->state = known->state;
            }
        }
    }
    kafka_marks_free(marks);
    *marks = wanted;
}

/* --- looking up ---------------------------------------------------------------------------------------- */

struct kafka_mark *kafka_marks_wanted(const struct kafka_marks *marks, uint32_t partition)
{
    for (size_t i = marks->first[partition]; i < marks->first[partition + 1]; i++)
        if (marks->items[i].state == KAFKA_MARK_WANTED)
            return &marks->items[i];
    return NULL;
}

void kafka_marks_settle(struct kafka_marks *marks, uint32_t partition, int64_t offset, int64_t timestamp)
{
    struct kafka_mark *mark = kafka_marks_wanted(marks, partition);
    if (mark == NULL)
        return;
    for (; mark < &marks->items[marks->first[partition + 1]] && mark->offset <= offset; mark++) {
        if (mark->state != KAFKA_MARK_WANTED)
            continue;
        mark->timestamp = timestamp;
        mark->state = KAFKA_MARK_FOUND;
    }
}

void kafka_marks_settle_end(struct kafka_marks *marks, uint32_t partition, int64_t end)
{
    for (size_t i = marks->first[partition]; i < marks->first[partition + 1]; i++)
        if (marks->items[i].state == KAFKA_MARK_WANTED && marks->items[i].offset < end)
            marks->items[i].state = KAFKA_MARK_NOTHING;
}

/* --- into the snapshot --------------------------------------------------------------------------------- */

static int offset_order(const void *a, const void *b)
{
    return number_order(&((const struct kafka_mark *)a)->offset, &((const struct kafka_mark *)b)->offset);
}

/* UNKNOWN, NO_RECORD or the timestamp. */
static int64_t timestamp_at(const struct kafka_marks *marks, uint32_t partition, int64_t offset)
{
    const struct kafka_mark key = {.offset = offset};
    size_t first = marks->first[partition], count = marks->first[partition + 1] - first;
    const struct kafka_mark *mark =
        count == 0 ? NULL : bsearch(&key, &marks->items[first], count, sizeof key, offset_order);
    if (mark == NULL)
        return UNKNOWN;
    return mark->state == KAFKA_MARK_NOTHING ? NO_RECORD : mark->timestamp;
}

static int64_t timestamp_or_unknown(const struct kafka_marks *marks, uint32_t partition, int64_t offset)
{
    int64_t timestamp = timestamp_at(marks, partition, offset);
    return timestamp == NO_RECORD || timestamp == UNDATED ? UNKNOWN : timestamp;
}

void kafka_marks_fill(const struct kafka_marks *marks, struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->partition_count; i++) {
        struct snap_partition *partition = &snapshot->partitions[i];
        if (has_records(partition))
            partition->start_ts = timestamp_or_unknown(marks, i, partition->start);
        if (has_open_transaction(partition))
            partition->open_txn_since = timestamp_or_unknown(marks, i, partition->last_stable);
    }
    for (uint32_t i = 0; i < snapshot->position_count; i++) {
        int64_t offset = first_unread(snapshot, &snapshot->positions[i]);
        if (offset != UNKNOWN)
            snapshot->positions[i].next_ts = timestamp_at(marks, snapshot->positions[i].partition, offset);
    }
}
