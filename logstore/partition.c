#include "logstore/recover.h"
#include "logstore/scan.h"
#include "logstore/store.h"

#include "exporter/base/clock.h"

#include <fcntl.h>

/*
 * Appending. Invariants, at every moment at which the process may die:
 *
 * 1. Batches below the slot's written position are whole; those beyond were never acknowledged.
 * 2. The slot is written last: it is what makes batches, and a new segment, part of the log.
 * 3. start <= durable <= end <= written, but that in the modes without a sync before each answer the end runs
 * ahead of what is durable.
 * 4. After a sync that failed the kernel takes for written what isn't, and a further sync would succeed
 * without having done anything. So the slot tells of each sync from before it begins until it has succeeded,
 * and who syncs next writes again what is in doubt: also where the process died before it could tell anybody.
 */

enum { SMALLEST_STEP = 16384, LARGEST_STEP = 16777216 };

struct segment_place partition_place(const struct partition *partition)
{
    return (struct segment_place){partition->store->directory, partition->store->id, partition->topic,
                                  partition->number};
}

void partition_close_segment(struct partition *partition)
{
    if (partition->segment.log.fd < 0)
        return;
    segment_close(&partition->segment);
    partition->allocated = 0;
    store_segment_closed(partition->store);
}

/* Whether the partition still is what it was, or has been deleted meanwhile. */
static bool check_owner(const struct partition *partition, const struct slot *slot, struct error *error)
{
    if (slot->topic == partition->topic && slot->partition == partition->number)
        return true;
    error_set(error, ERROR_NOT_FOUND, "the topic was deleted");
    return false;
}

static bool read_checked(struct partition *partition, struct slot *slot, struct error *error)
{
    const struct file *file = &partition->store->partitions_file;
    if (slot_read(file, partition->slot, slot, error)) {
        if (!check_owner(partition, slot, error))
            return false;
        if (slot->boot == fsio_boot() && slot->boot != 0 && !slot->torn)
            return true;
    } else {
        if (error->code != ERROR_CORRUPT)
            return false;
        error_clear(error);
        *slot = recover_lost_slot(partition);
    }
    partition_close_segment(partition);
    return recover_slot(partition, slot, error) && slot_write(file, partition->slot, slot, error);
}

bool partition_lock(struct partition *partition, struct slot *slot, struct error *error)
{
    pthread_mutex_lock(&partition->append_mutex);
    uint64_t position = slot_lock_position(partition->slot, SLOT_LOCK_APPEND);
    if (fsio_lock(&partition->store->partitions_file, position, error)) {
        if (read_checked(partition, slot, error))
            return true;
        fsio_unlock(&partition->store->partitions_file, position);
    }
    pthread_mutex_unlock(&partition->append_mutex);
    return false;
}

void partition_unlock(struct partition *partition)
{
    fsio_unlock(&partition->store->partitions_file, slot_lock_position(partition->slot, SLOT_LOCK_APPEND));
    pthread_mutex_unlock(&partition->append_mutex);
}

/* --- segments --------------------------------------------------------------------------------------------
 */

static bool open_active(struct partition *partition, const struct slot *slot, struct error *error)
{
    if (partition->segment.log.fd >= 0 && partition->segment.base == slot->segment)
        return true;
    partition_close_segment(partition);
    struct segment_place place = partition_place(partition);
    if (!segment_open(&partition->segment, &place, slot->segment, O_RDWR, error))
        return false;
    store_segment_opened(partition->store);
    return true;
}

/* Begins a segment at the written offset, in *slot and on disk. Others may have been begun here in vain, by a
 * process that died, or found the disk full, before it wrote the slot; once the log has grown past their
 * bases they would pass for parts of it. */
static bool begin_segment(struct partition *partition, struct slot *slot, struct error *error)
{
    partition_close_segment(partition);
    struct segment_place place = partition_place(partition);
    if (!segment_remove_behind(&place, slot->segment, error) ||
        !segment_create(&partition->segment, &place, slot->written, error))
        return false;
    store_segment_opened(partition->store);
    slot->segment = slot->written;
    slot->position = HEAD_SIZE;
    slot->batch_position = 0;
    slot->durable_position = HEAD_SIZE;
    slot->max_timestamp = -1;
    slot->segment_began = 0;
    slot->chain = partition->segment.head_crc;
    return true;
}

/* Writes once more what a sync that didn't succeed has left in doubt. ERROR_CORRUPT: it is lost already, and
 * the partition takes nothing more until the machine has booted, which cuts off what never was durable. */
static bool settle_doubt(const struct segment *segment, const struct slot *slot, struct error *error)
{
    return slot->open_syncs == 0 || scan_write_again(segment, slot->durable_position, slot->position, error);
}

/* Tells in the slot, which is as it was read under the append lock, that a sync begins. */
static bool begin_sync(struct partition *partition, struct slot *slot, struct error *error)
{
    slot->open_syncs++;
    return slot_write(&partition->store->partitions_file, partition->slot, slot, error);
}

/* Tells in the slot that the records which `synced` tells of are on the disk. */
static bool end_sync(struct partition *partition, struct slot *slot, const struct slot *synced,
                     struct error *error)
{
    if (synced->written > slot->durable)
        slot->durable = synced->written;
    if (slot->segment == synced->segment && slot->open_syncs == synced->open_syncs) {
        slot->open_syncs = 0;
        if (synced->position > slot->durable_position)
            slot->durable_position = synced->position;
    }
    if (slot->end < slot->durable)
        slot->end = slot->durable;
    return slot_write(&partition->store->partitions_file, partition->slot, slot, error);
}

/* Syncs a segment, and its name unless that was done with the first of its batches. */
static bool sync_segment(struct partition *partition, const struct slot *slot, const struct file *file,
                         struct error *error)
{
    struct segment_place place = partition_place(partition);
    return fsio_sync(file, error) &&
           (slot->durable_position > HEAD_SIZE || segment_sync_names(&place, error));
}

/* Ends the active segment; what it holds is on the disk then, in every mode, so that only active segments
 * have to be looked through after a crash of the machine. The slot on disk doesn't tell of the end yet, nor
 * of batches in front of it that are part of the log together with those behind it only. */
static bool end_segment(struct partition *partition, struct slot *slot, struct error *error)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct slot before;
    const struct segment *segment = &partition->segment;
    batch_encode_end(bytes, slot->written, slot->max_timestamp, slot->chain);
    if (!settle_doubt(segment, slot, error) ||
        !fsio_write(&segment->log, bytes, sizeof bytes, slot->position, error) ||
        !slot_read(&partition->store->partitions_file, partition->slot, &before, error) ||
        !begin_sync(partition, &before, error) || !sync_segment(partition, slot, &segment->log, error) ||
        !end_sync(partition, &before, &before, error))
        return false;
    slot->sequence = before.sequence;
    slot->durable = slot->written;
    if (slot->end < slot->durable)
        slot->end = slot->durable;
    slot->open_syncs = 0;
    return true;
}

static bool must_roll(const struct slot *slot, const struct logstore_config *config, uint64_t length,
                      int64_t now)
{
    if (slot->position == HEAD_SIZE)
        return false;
    return slot->position + length > (uint64_t)config->segment_bytes ||
           (slot->segment_began > 0 && now - slot->segment_began >= config->segment_ms);
}

/* Makes an active segment ready for `length` further bytes. */
static bool prepare_segment(struct partition *partition, const struct logstore_config *config,
                            struct slot *slot, uint64_t length, int64_t now, struct error *error)
{
    if (slot->segment < 0)
        return begin_segment(partition, slot, error);
    if (!open_active(partition, slot, error))
        return false;
    if (!must_roll(slot, config, length, now))
        return true;
    partition->rolled = true;
    return end_segment(partition, slot, error) && begin_segment(partition, slot, error);
}

bool partition_roll(struct partition *partition, struct slot *slot, struct error *error)
{
    if (slot->segment < 0 || slot->position == HEAD_SIZE)
        return true;
    return open_active(partition, slot, error) && end_segment(partition, slot, error) &&
           begin_segment(partition, slot, error);
}

/* Room ahead of what is written, in steps that double as the segment grows. It holds the batch, and the
 * header that ends the segment: so a disk that is full is found before anything is written. */
static bool make_room(struct partition *partition, const struct logstore_config *config, uint64_t end,
                      struct error *error)
{
    uint64_t needed = end + BATCH_HEADER_SIZE, step = needed;
    if (needed <= partition->allocated)
        return true;
    step = step < SMALLEST_STEP ? SMALLEST_STEP : step > LARGEST_STEP ? LARGEST_STEP : step;
    uint64_t size = needed + step, most = (uint64_t)config->segment_bytes + BATCH_HEADER_SIZE;
    if (size > most)
        size = most > needed ? most : needed;
    if (!fsio_allocate(&partition->segment.log, size, error))
        return false;
    partition->allocated = size;
    return true;
}

/* --- writing ---------------------------------------------------------------------------------------------
 */

/* Gives the batch its place behind those that *slot tells of. */
static bool place_batch(struct partition *partition, struct slot *slot, uint64_t position, uint8_t *bytes,
                        const struct batch *batch, int64_t now, struct error *error)
{
    if (!segment_index_add(&partition->segment, slot->batch_position, position, slot->written,
                           slot->max_timestamp, error))
        return false;
    slot->chain = batch_place(bytes, slot->written, slot->chain);
    if (slot->start == slot->written)
        slot->start_timestamp = batch->base_timestamp;
    if (batch->max_timestamp > slot->max_timestamp)
        slot->max_timestamp = batch->max_timestamp;
    if (slot->segment_began == 0)
        slot->segment_began = now;
    slot->batch_position = position;
    slot->written += (int64_t)batch->span + 1;
    return true;
}

/* Writes as many of the batches as go into one segment; returns how many bytes that were, 0: failed. */
static size_t write_run(struct partition *partition, const struct logstore_config *config, struct slot *slot,
                        uint8_t *bytes, size_t length, int64_t now, struct error *error)
{
    size_t done = 0;
    while (done < length) {
        struct batch batch;
        if (!batch_decode_header(bytes + done, &batch)) {
            error_set(error, ERROR_CORRUPT, "a batch was changed in memory");
            return 0;
        }
        uint64_t position = slot->position + done;
        struct slot with_run = *slot;
        with_run.position = position;
        if (done == 0 ? !prepare_segment(partition, config, slot, batch.length, now, error)
                      : must_roll(&with_run, config, batch.length, now))
            break;
        position = slot->position + done;
        if (!place_batch(partition, slot, position, bytes + done, &batch, now, error))
            return 0;
        done += batch.length;
    }
    if (done == 0 || !make_room(partition, config, slot->position + done, error) ||
        !fsio_write(&partition->segment.log, bytes, done, slot->position, error))
        return 0;
    slot->position += done;
    return done;
}

/* Writes all batches behind the log and changes *slot to tell of them; the slot on disk is left alone. */
static bool write_batches(struct partition *partition, const struct logstore_config *config,
                          struct slot *slot, struct buf *batches, int64_t now, struct error *error)
{
    for (size_t done = 0; done < batches->length;) {
        size_t written = write_run(partition, config, slot, (uint8_t *)batches->bytes + done,
                                   batches->length - done, now, error);
        if (written == 0)
            return false;
        done += written;
    }
    return true;
}

bool partition_append(struct partition *partition, const struct logstore_config *config, struct buf *batches,
                      size_t count, int64_t now, int64_t *first_offset, struct error *error)
{
    struct logstore *store = partition->store;
    struct slot slot;
    if (!partition_lock(partition, &slot, error))
        return false;
    int64_t first = slot.written;
    bool waits = store->options.fsync == LOGSTORE_FSYNC_ALWAYS;
    bool done = first <= INT64_MAX - UINT32_MAX - (int64_t)count;
    if (!done)
        error_set(error, ERROR_USAGE, "the partition has no offsets left");
    done = done && write_batches(partition, config, &slot, batches, now, error);
    if (done) {
        if (!waits)
            slot.end = slot.written;
        done = slot_write(&store->partitions_file, partition->slot, &slot, error);
        partition->unsynced = partition->unsynced || !waits;
    }
    if (!done)
        partition_close_segment(partition); /* it may be one that didn't become part of the log */
    partition_unlock(partition);
    if (done && waits)
        done = partition_sync(partition, slot.written, error);
    if (done && first_offset != NULL)
        *first_offset = first;
    return done;
}

bool partition_take_rolled(struct partition *partition)
{
    pthread_mutex_lock(&partition->append_mutex);
    bool rolled = partition->rolled;
    partition->rolled = false;
    pthread_mutex_unlock(&partition->append_mutex);
    return rolled;
}

/* --- syncing ---------------------------------------------------------------------------------------------
 */

/* Begins a sync of the active segment, by an own descriptor, so that others can append to it meanwhile. What
 * is in doubt is written again. */
static bool borrow_active(struct partition *partition, struct slot *slot, struct file *file,
                          struct error *error)
{
    *file = FILE_CLOSED;
    if (!partition_lock(partition, slot, error))
        return false;
    bool done = slot->segment < 0 ||
                (open_active(partition, slot, error) && settle_doubt(&partition->segment, slot, error) &&
                 fsio_duplicate(&partition->segment.log, file, error) && begin_sync(partition, slot, error));
    if (!done)
        fsio_close(file);
    partition_unlock(partition);
    return done;
}

/* Notes that the records which `synced` tells of were synced. *certain: no other sync began meanwhile without
 * having succeeded: of what it left behind this one, which then did nothing for it, may not have been told.
 */
static bool note_durable(struct partition *partition, const struct slot *synced, bool *certain,
                         struct error *error)
{
    struct slot slot;
    if (!partition_lock(partition, &slot, error))
        return false;
    *certain = slot.durable >= synced->written || slot.open_syncs == synced->open_syncs;
    bool done = !*certain || end_sync(partition, &slot, synced, error);
    if (done && *certain && synced->written == slot.written)
        partition->unsynced = false;
    partition_unlock(partition);
    return done;
}

static bool sync_active(struct partition *partition, int64_t offset, struct error *error)
{
    struct segment_place place = partition_place(partition);
    for (bool certain = false; !certain;) {
        struct slot slot;
        struct file file;
        if (!store_read_slot(partition->store, &place, partition->slot, &slot, error))
            return false;
        if (slot.durable >= offset && slot.end >= offset)
            return true; /* somebody else's sync, which began after our write, did it */
        if (!borrow_active(partition, &slot, &file, error))
            return false;
        bool done = file.fd < 0 || sync_segment(partition, &slot, &file, error);
        fsio_close(&file);
        if (!done || !note_durable(partition, &slot, &certain, error))
            return false;
    }
    return true;
}

bool partition_sync(struct partition *partition, int64_t offset, struct error *error)
{
    const struct file *file = &partition->store->partitions_file;
    uint64_t position = slot_lock_position(partition->slot, SLOT_LOCK_SYNC);
    pthread_mutex_lock(&partition->sync_mutex);
    bool done = fsio_lock(file, position, error);
    if (done) {
        done = sync_active(partition, offset, error);
        fsio_unlock(file, position);
    }
    pthread_mutex_unlock(&partition->sync_mutex);
    return done;
}

bool partition_sync_slot(struct partition *partition, struct error *error)
{
    struct slot slot;
    const struct file *file = &partition->store->partitions_file;
    if (!partition_lock(partition, &slot, error))
        return false;
    bool done = slot_write(file, partition->slot, &slot, error);
    partition_unlock(partition);
    return done && fsio_sync(file, error);
}
