#ifndef LOGSTORE_OFFSETS_H
#define LOGSTORE_OFFSETS_H

#include "logstore/head.h"

#include "exporter/base/buf.h"

/* A group's files `offsets` and `metadata` (FORMAT.md). Writers hold the group's lock, which is that of the
 * first byte of `offsets`. */
struct offsets {
    struct file file, metadata;
    bool read_only;
    struct offsets_place *table;   /* owned: where each identity's slot is, as this process knows */
    size_t table_size, table_used; /* the size is a power of two, or 0 */
    uint32_t first_free;           /* no free slot is below it */
    bool current; /* the table tells of all slots: nobody else has written since it was made */
    struct buf scratch;
    struct mapping mapping; /* of `file`, when it was opened for reading */
    bool careful;           /* metadata reaches the disk before the offset that it belongs to */
};

struct offsets_place {
    uint64_t identity; /* 0: the place is free */
    uint32_t slot;
};

/* One slot: a committed offset, or a member's heartbeat. */
struct offsets_entry {
    uint64_t identity;
    int64_t offset; /* or when the member last polled, as moment.run */
    int64_t time;   /* of the commit, by the wall clock; or of the member's last heartbeat, as moment.run */
    uint32_t region;
    uint16_t sequence;
    uint16_t flags;
};

enum offsets_flag {
    OFFSETS_DELETED = 1,
    OFFSETS_METADATA = 2,
    OFFSETS_BLANK = 4, /* with "deleted": of a slot that was taken, and holds no value yet */
};

enum { OFFSETS_SLOT_SIZE = 64 };

static inline uint64_t offsets_identity(uint32_t topic, uint32_t partition)
{
    return (uint64_t)topic << 32 | partition;
}

/* Makes both files, for a group of that number, whose folder is there. */
bool offsets_create(int directory, const struct head *head, uint32_t group, struct error *error);

/* Opens both; `flags`: O_RDWR or O_RDONLY. */
bool offsets_open(struct offsets *offsets, int directory, const struct head *head, uint32_t group, int flags,
                  struct error *error);
void offsets_close(struct offsets *offsets);

/* Decodes one slot: 1 it is in use, 0 it is free, -1 neither half is whole. */
int offsets_decode(const uint8_t *bytes, struct offsets_entry *entry);

/* Is given `count` slots in use, which are neighbours from `slot` on. */
typedef void offsets_visit(void *context, uint32_t slot, const struct offsets_entry *entries, size_t count);

/* Calls `visit` with every slot in use, several at once. */
bool offsets_each(struct offsets *offsets, offsets_visit *visit, void *context, struct error *error);

/* To be called whenever the lock has been taken: others may have written meanwhile. */
void offsets_locked(struct offsets *offsets);

/* The identity's present value. */
bool offsets_find(struct offsets *offsets, uint64_t identity, struct offsets_entry *entry, bool *found,
                  struct error *error);

/* Puts a value in place of the identity's, or takes a slot for it. entry->region and ->sequence are ignored.
 * `metadata` counts when the flag says so. */
bool offsets_put(struct offsets *offsets, const struct offsets_entry *entry, struct str metadata,
                 struct error *error);

/* Frees the identity's slot, if it has one. */
bool offsets_delete(struct offsets *offsets, uint64_t identity, struct error *error);

/* Writes all that is in both files once more where it is. The caller holds the lock. */
bool offsets_write_again(struct offsets *offsets, struct error *error);

/* Reads the metadata of an entry into `metadata`; ERROR_NOT_FOUND: it has been replaced since. */
bool offsets_metadata(const struct offsets *offsets, const struct offsets_entry *entry, struct buf *metadata,
                      struct error *error);

#endif
