#ifndef LOGSTORE_SLOTS_H
#define LOGSTORE_SLOTS_H

#include "logstore/fsio.h"

/* What the file `partitions` tells of a partition (FORMAT.md, "partitions"). */
struct slot {
    uint64_t sequence;
    uint32_t topic; /* number; 0: the slot is free */
    uint32_t partition;
    int64_t start;             /* offset of the first record still there */
    int64_t start_timestamp;   /* of that record; -1: none */
    int64_t end;               /* readers see records below it */
    int64_t written;           /* offset of the next record to be written */
    int64_t segment;           /* base offset of the active segment; -1: none yet */
    uint64_t position;         /* in it, of the next batch */
    uint64_t batch_position;   /* in it, of the last batch; 0: none */
    int64_t durable;           /* records below it were synced */
    uint64_t durable_position; /* in the active segment, likewise */
    uint64_t boot;
    int64_t max_timestamp; /* in the active segment; -1: none */
    int64_t segment_began; /* when its first batch was appended; 0: none */
    uint32_t chain;
    uint32_t open_syncs; /* of the active segment, begun since one that succeeded */
    bool torn; /* not in the file: the other half was written and isn't whole, so it may have been the newer
                  one */
};

enum { SLOTS_BEGIN = 256, SLOT_SIZE = 256 };

/* The bytes of the file `partitions` that are locked for a partition's slot. */
enum slot_lock { SLOT_LOCK_APPEND = 0, SLOT_LOCK_SYNC = 1, SLOT_LOCK_MAINTENANCE = 2 };

uint64_t slot_lock_position(uint32_t index, enum slot_lock lock);

/* Decodes the newer half of a slot's SLOT_SIZE bytes; false when none is whole. */
bool slot_decode(const uint8_t *bytes, struct slot *slot);

/* Reads the slot of this index. ERROR_CORRUPT: neither half is whole. */
bool slot_read(const struct file *file, uint32_t index, struct slot *slot, struct error *error);

/* Replaces what slot_read() gave; raises slot->sequence. The caller holds the append lock. */
bool slot_write(const struct file *file, uint32_t index, struct slot *slot, struct error *error);

/* Puts the slot in use, whatever is in it, for an empty partition. The caller holds the lock of the catalog.
 */
bool slot_assign(const struct file *file, uint32_t index, uint32_t topic, uint32_t partition,
                 struct error *error);

#endif
