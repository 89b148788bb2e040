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
        maintenance_reach(maintenance, PASS_DO, end);
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

static void watch_begin(struct maintenance *maintenance, const struct logstore_watcher *watcher)
{
    const struct slot *slot = &maintenance->slot;
    if (slot->start >= 0 && slot->start < slot->end)
        maintenance->watch = (struct maintenance_watch){watcher, slot->start, slot->end, 0};
}

/* `done` offsets in all; a segment that is read once more than the others tells nothing new. */
static void tell(struct maintenance_watch *watch, int64_t done)
{
    int64_t more = done - watch->told;
    if (watch->watcher == NULL || more <= 0)
        return;
    watch->told = done;
    watch->watcher->tell(watch->watcher->context, more);
}

void maintenance_reach(struct maintenance *maintenance, enum maintenance_pass pass, int64_t offset)
{
    struct maintenance_watch *watch = &maintenance->watch;
    if (offset <= watch->start)
        return;
    int64_t all = watch->end - watch->start;
    int64_t reached = offset < watch->end ? offset - watch->start : all;
    tell(watch, pass == PASS_LEARN ? reached / 2 : all / 2 + reached / 2);
}

static void watch_end(struct maintenance *maintenance)
{
    tell(&maintenance->watch, maintenance->watch.end - maintenance->watch.start);
}

/* Does the work on all partitions of a topic, waiting for each. */
static bool each_partition(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
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
        done = begin(&maintenance, partition, &view.config, true, &locked, error);
        if (done) {
            watch_begin(&maintenance, watcher);
            done = work(&maintenance, true, error);
        }
        if (done)
            watch_end(&maintenance);
        end(&maintenance);
        if (!done)
            error_wrap(error, "partition %u", i);
    }
    return done;
}

bool logstore_retain(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
                     struct error *error)
{
    return each_partition(store, topic, watcher, retain_partition, error);
}

bool logstore_compact(struct logstore *store, struct str topic, const struct logstore_watcher *watcher,
                      struct error *error)
{
    return each_partition(store, topic, watcher, compact_partition, error);
}
