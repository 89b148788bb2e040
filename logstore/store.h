#ifndef LOGSTORE_STORE_H
#define LOGSTORE_STORE_H

#include "logstore/catalog.h"
#include "logstore/document.h"
#include "logstore/group_list.h"
#include "logstore/segment.h"
#include "logstore/slots.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * What an open store keeps in memory. Order of locks within the process: a partition's sync_mutex, its
 * append_mutex, the store's mutex.
 */
struct logstore {
    int directory;
    char *path; /* owned; as it was given */
    struct logstore_options options;
    uint8_t id[STORE_ID_SIZE];
    struct file partitions_file;
    _Atomic(int64_t) synced_us;      /* when the last sync by interval began */
    _Atomic(int64_t) expired_us;     /* when offsets were last looked through for old ones */
    _Atomic(uint32_t) keyless;       /* turns from call to call, to spread records without a key */
    _Atomic(struct buf *) spare_buf; /* one buffer that is kept between appends; NULL while in use */

    pthread_mutex_t mutex; /* guards the rest */
    struct document catalog_document;
    struct buf catalog_bytes;
    struct catalog catalog;
    struct partition **partitions; /* owned, each also */
    size_t partition_count, partition_capacity;
    size_t open_segments;
    size_t sweep; /* where the next one to be closed is looked for */
    struct document groups_document;
    struct buf groups_bytes;
    struct group_list group_list;
    struct group **groups; /* owned, each also: those that are open, by rising number */
    size_t group_count, group_capacity, groups_open_most;
    uint64_t group_turns; /* counts when each was used last */
};

/* A partition that this process has used. It stays as long as the store is open. */
struct partition {
    struct logstore *store;
    uint32_t topic, number, slot; /* `number` is the partition's within its topic */
    pthread_mutex_t sync_mutex;   /* held with SLOT_LOCK_SYNC */
    pthread_mutex_t append_mutex; /* held with SLOT_LOCK_APPEND; guards the rest */
    struct segment segment;       /* the active one as far as this process knows, or closed */
    uint64_t allocated;           /* how far its file has room for certain */
    bool unsynced;                /* records of this process await the interval */
    bool rolled;                  /* a segment has become full: retention and compaction are due */
};

/* --- store.c: opening, topics --------------------------------------------------------------------------- */

/* What is needed to work on a partition, found by names. */
struct partition_view {
    struct logstore_config config;
    struct segment_place place;
    uint32_t slot;
    uint32_t partitions; /* of the topic */
};

/* Finds a partition as of now. ERROR_NOT_FOUND: topic or partition. */
bool store_find(struct logstore *store, struct str topic, uint32_t partition, struct partition_view *view,
                struct error *error);

/* The same of a topic and a partition that it has. */
void store_view(const struct logstore *store, const struct topic *topic, uint32_t partition,
                struct partition_view *view);

/* Reads the slot of a partition; ERROR_NOT_FOUND: its topic was deleted meanwhile. */
bool store_read_slot(const struct logstore *store, const struct segment_place *place, uint32_t index,
                     struct slot *slot, struct error *error);

/* The partition of a view. NULL: no memory. */
struct partition *store_partition(struct logstore *store, const struct partition_view *view,
                                  struct error *error);

/* Refuses when the store was opened for reading only. */
bool store_check_writable(const struct logstore *store, struct error *error);

/* Counts a segment that a partition has opened or closed, and closes another one when there are too many. */
void store_segment_opened(struct logstore *store);
void store_segment_closed(struct logstore *store);

/* Where work goes on after a failure: keeps the first of the errors, and clears `next`. */
void store_keep_first(struct error *first, struct error *next);

/* Syncs everything when the store's mode is LOGSTORE_FSYNC_INTERVAL and the interval is over. */
bool store_sync_if_due(struct logstore *store, struct error *error);

/* Brings the catalog in memory up to date; the caller holds the mutex. */
bool store_refresh(struct logstore *store, struct error *error);

/* document_sync() of what was just read, for who may write to the store. */
bool store_sync_read(const struct logstore *store, const struct document *document, struct error *error);

/* --- partition.c: writing --------------------------------------------------------------------------------
 */

struct segment_place partition_place(const struct partition *partition);

/* Ends the active segment, if it holds anything, and begins another one; the caller holds the append lock and
 * writes the slot. */
bool partition_roll(struct partition *partition, struct slot *slot, struct error *error);

/* Appends encoded batches of `count` records; returns once they are as durable as the store's mode promises.
 */
bool partition_append(struct partition *partition, const struct logstore_config *config, struct buf *batches,
                      size_t count, int64_t now, int64_t *first_offset, struct error *error);

/* Whether a segment has become full since this was asked last. */
bool partition_take_rolled(struct partition *partition);

/* Waits until the records below `offset` are on the disk and shown to readers. */
bool partition_sync(struct partition *partition, int64_t offset, struct error *error);

/* Takes the append lock and reads the slot, which is put right first after a crash of the machine.
 * ERROR_NOT_FOUND: the topic was deleted; nothing is held then, as after any failure. */
bool partition_lock(struct partition *partition, struct slot *slot, struct error *error);
void partition_unlock(struct partition *partition);

/* Syncs the slot, written once more since an earlier sync of it may have failed. */
bool partition_sync_slot(struct partition *partition, struct error *error);

/* Closes the segment that is open, if any; the caller holds append_mutex. */
void partition_close_segment(struct partition *partition);

#endif
