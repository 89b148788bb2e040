#include "logstore/maintain.h"

#include "exporter/base/clock.h"

#include <stdlib.h>

enum { BATCHES_SIZE_MOST = INT32_MAX, KEPT_CAPACITY_MOST = 4 * 1024 * 1024 };

/* A buffer for batches; memory that was touched before is several times faster than fresh one. NULL: no
 * memory. */
static struct buf *take_buf(struct logstore *store)
{
    struct buf *buf = atomic_exchange(&store->spare_buf, NULL);
    if (buf != NULL)
        return buf;
    buf = malloc(sizeof *buf);
    if (buf != NULL)
        *buf = buf_make(BATCHES_SIZE_MOST);
    return buf;
}

static void give_back(struct logstore *store, struct buf *buf)
{
    if (buf->capacity > KEPT_CAPACITY_MOST)
        buf_free(buf);
    buf_reset(buf);
    buf = atomic_exchange(&store->spare_buf, buf);
    if (buf != NULL)
        buf_free(buf);
    free(buf);
}

static bool check_keys(const struct logstore_config *config, const struct logstore_record *records,
                       size_t count, struct error *error)
{
    if (!(config->cleanup_policy & LOGSTORE_CLEANUP_COMPACT))
        return true;
    for (size_t i = 0; i < count; i++)
        if (records[i].key.bytes == NULL) {
            error_set(error, ERROR_USAGE, "a record of a compacted topic needs a key");
            return false;
        }
    return true;
}

static bool append(struct logstore *store, const struct partition_view *view,
                   const struct logstore_record *records, size_t count, int64_t *first_offset,
                   struct error *error)
{
    int64_t now = clock_wall_ms();
    struct partition *partition = store_partition(store, view, error);
    struct buf *batches = partition == NULL ? NULL : take_buf(store);
    if (batches == NULL) {
        if (partition != NULL)
            error_set(error, ERROR_MEMORY, "no memory to append");
        return false;
    }
    bool done = check_keys(&view->config, records, count, error) &&
                batch_encode(batches, records, count, (size_t)view->config.max_message_bytes, now, error) &&
                partition_append(partition, &view->config, batches, count, now, first_offset, error);
    give_back(store, batches);
    if (done && partition_take_rolled(partition))
        maintain_after_roll(partition, &view->config);
    return done;
}

bool logstore_append(struct logstore *store, struct str topic, uint32_t partition,
                     const struct logstore_record *records, size_t count, int64_t *first_offset,
                     struct error *error)
{
    struct partition_view view;
    if (!store_check_writable(store, error) || !store_find(store, topic, partition, &view, error))
        return false;
    if (count == 0) {
        struct slot slot;
        bool done = store_read_slot(store, &view.place, view.slot, &slot, error);
        if (done && first_offset != NULL)
            *first_offset = slot.written;
        return done;
    }
    return append(store, &view, records, count, first_offset, error) && store_sync_if_due(store, error);
}

/* --- spreading over partitions ---------------------------------------------------------------------------
 */

/* The records of a call, sorted by partition without changing their order within one. */
struct spread {
    uint32_t *partition_of; /* by record */
    size_t *order;          /* records' indexes */
    size_t *first_of;       /* by partition: where its run in `order` begins; one more than there are */
    struct logstore_record *sorted;
};

static void spread_free(struct spread *spread)
{
    free(spread->partition_of);
    free(spread->order);
    free(spread->first_of);
    free(spread->sorted);
}

static bool spread_make(struct spread *spread, const struct logstore_record *records, size_t count,
                        uint32_t partitions, uint32_t keyless)
{
    *spread = (struct spread){
        calloc(count, sizeof *spread->partition_of),
        calloc(count, sizeof *spread->order),
        calloc((size_t)partitions + 2, sizeof *spread->first_of),
        calloc(count, sizeof *spread->sorted),
    };
    if (spread->partition_of == NULL || spread->order == NULL || spread->first_of == NULL ||
        spread->sorted == NULL) {
        spread_free(spread);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool keyed = records[i].key.bytes != NULL;
        spread->partition_of[i] =
            keyed ? logstore_partition_for(records[i].key, partitions) : keyless % partitions;
        spread->first_of[spread->partition_of[i] + 2]++;
    }
    for (uint32_t i = 0; i < partitions; i++)
        spread->first_of[i + 2] += spread->first_of[i + 1];
    for (size_t i = 0; i < count; i++) {
        size_t place = spread->first_of[spread->partition_of[i] + 1]++;
        spread->order[place] = i;
        spread->sorted[place] = records[i];
    }
    return true;
}

static void note_positions(const struct spread *spread, uint32_t partition, int64_t offset,
                           struct logstore_position *positions)
{
    for (size_t i = spread->first_of[partition]; i < spread->first_of[partition + 1]; i++)
        positions[spread->order[i]].offset = offset < 0 ? -1 : offset++;
}

static bool produce(struct logstore *store, struct str topic, uint32_t partitions,
                    const struct spread *spread, struct logstore_position *positions, struct error *error)
{
    for (uint32_t partition = 0; partition < partitions; partition++) {
        size_t first = spread->first_of[partition], count = spread->first_of[partition + 1] - first;
        int64_t offset;
        if (count == 0)
            continue;
        if (!logstore_append(store, topic, partition, spread->sorted + first, count, &offset, error))
            return false;
        if (positions != NULL)
            note_positions(spread, partition, offset, positions);
    }
    return true;
}

bool logstore_produce(struct logstore *store, struct str topic, const struct logstore_record *records,
                      size_t count, struct logstore_position *positions, struct error *error)
{
    struct partition_view view;
    struct spread spread;
    if (!store_find(store, topic, 0, &view, error))
        return false;
    if (count == 0)
        return true;
    if (!spread_make(&spread, records, count, view.partitions, atomic_fetch_add(&store->keyless, 1))) {
        error_set(error, ERROR_MEMORY, "no memory to spread %zu records", count);
        return false;
    }
    for (size_t i = 0; positions != NULL && i < count; i++)
        positions[i] = (struct logstore_position){spread.partition_of[i], -1};
    bool done = produce(store, topic, view.partitions, &spread, positions, error);
    spread_free(&spread);
    return done;
}
