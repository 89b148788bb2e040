#include "logstore/maintain.h"

#include "exporter/base/clock.h"

#include <fcntl.h>
#include <stdlib.h>

bool maintenance_refresh(struct maintenance *maintenance, struct error *error)
{
    if (!partition_lock(maintenance->partition, &maintenance->slot, error))
        return false;
    partition_unlock(maintenance->partition);
    free(maintenance->bases);
    maintenance->bases = NULL;
    if (!segment_list(&maintenance->place, &maintenance->bases, &maintenance->count, error))
        return false;
    for (maintenance->sealed = 0; maintenance->bases != NULL && maintenance->sealed < maintenance->count;
         maintenance->sealed++)
        if (maintenance->bases[maintenance->sealed] >= maintenance->slot.segment)
            break;
    return true;
}

bool maintenance_remove_outdated(struct maintenance *maintenance, struct error *error)
{
    if (!maintenance_refresh(maintenance, error))
        return false;
    size_t removed = 0;
    for (; removed < maintenance->sealed; removed++) {
        size_t next = removed + 1;
        int64_t end = next < maintenance->sealed ? maintenance->bases[next] : maintenance->slot.segment;
        if (end > maintenance->slot.start)
            break;
        if (!segment_remove(&maintenance->place, maintenance->bases[removed], error))
            return false;
    }
    return removed == 0 || maintenance_refresh(maintenance, error);
}

/* What somebody has left behind who died at this work. */
static bool remove_leftovers(struct maintenance *maintenance, struct error *error)
{
    return maintenance_remove_outdated(maintenance, error) &&
           segment_remove_leftovers(&maintenance->place, maintenance->bases, maintenance->count,
                                    maintenance->slot.segment, error);
}

/* Takes the lock; *locked says whether it has got it, which is certain when it may wait. */
static bool begin(struct maintenance *maintenance, struct partition *partition,
                  const struct logstore_config *config, bool wait, bool *locked, struct error *error)
{
    uint64_t position = slot_lock_position(partition->slot, SLOT_LOCK_MAINTENANCE);
    *maintenance = (struct maintenance){
        .partition = partition,
        .config = *config,
        .place = partition_place(partition),
        .lock = FILE_CLOSED,
        .now = clock_wall_ms(),
    };
    *locked = wait;
    return fsio_open(&maintenance->lock, partition->store->directory, "partitions", O_RDWR, error) &&
           (wait ? fsio_lock(&maintenance->lock, position, error)
                 : fsio_try_lock(&maintenance->lock, position, locked, error)) &&
           (!*locked || remove_leftovers(maintenance, error));
}

static void end(struct maintenance *maintenance)
{
    fsio_close(&maintenance->lock);
    free(maintenance->bases);
}

/* Once a minute: offsets stay for days. */
static bool expiry_is_due(struct logstore *store)
{
    const int64_t interval_us = 60000000;
    int64_t now = clock_monotonic_us(), before = atomic_load(&store->expired_us);
    return now - before >= interval_us && atomic_compare_exchange_strong(&store->expired_us, &before, now);
}

void maintain_after_roll(struct partition *partition, const struct logstore_config *config)
{
    struct maintenance maintenance;
    struct error ignored = {0};
    bool locked;
    if (begin(&maintenance, partition, config, false, &locked, &ignored) && locked) {
        if (retain_partition(&maintenance, false, &ignored))
            (void)compact_partition(&maintenance, false, &ignored);
    }
    end(&maintenance);
    error_clear(&ignored);
    if (expiry_is_due(partition->store))
        (void)logstore_expire_offsets(partition->store, &ignored);
    error_clear(&ignored);
}

/* Does the work on all partitions of a topic, waiting for each. */
static bool each_partition(struct logstore *store, struct str topic,
                           bool (*work)(struct maintenance *maintenance, bool thoroughly,
                                        struct error *error),
                           struct error *error)
{
    struct partition_view view;
    bool done = store_check_writable(store, error) && store_find(store, topic, 0, &view, error);
    uint32_t partitions = done ? view.partitions : 0;
    for (uint32_t i = 0; done && i < partitions; i++) {
        struct maintenance maintenance;
        bool locked;
        struct partition *partition =
            store_find(store, topic, i, &view, error) ? store_partition(store, &view, error) : NULL;
        if (partition == NULL)
            return false;
        done = begin(&maintenance, partition, &view.config, true, &locked, error) &&
               work(&maintenance, true, error);
        end(&maintenance);
        if (!done)
            error_wrap(error, "partition %u", i);
    }
    return done;
}

bool logstore_retain(struct logstore *store, struct str topic, struct error *error)
{
    return each_partition(store, topic, retain_partition, error);
}

bool logstore_compact(struct logstore *store, struct str topic, struct error *error)
{
    return each_partition(store, topic, compact_partition, error);
}
