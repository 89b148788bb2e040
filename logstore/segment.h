#ifndef LOGSTORE_SEGMENT_H
#define LOGSTORE_SEGMENT_H

#include "logstore/batch.h"
#include "logstore/head.h"

/* Which partition's segments, in which store. */
struct segment_place {
    int directory;        /* of the store; borrowed */
    const uint8_t *store; /* its id; borrowed */
    uint32_t topic, partition;
};

/* An open segment with its index (FORMAT.md, "Segment" and "Index"). */
struct segment {
    struct file log, index; /* a reader may be without the index */
    int64_t base;
    uint64_t instance;
    uint32_t head_crc; /* the chain begins with it */
    int64_t made;      /* when it was created */
    bool compacted;    /* offsets may be missing */
};

#define SEGMENT_CLOSED ((struct segment){.log = FILE_CLOSED, .index = FILE_CLOSED})

enum { INDEX_INTERVAL = 32768 };

/* Makes an empty segment, in place of one that was begun and never used, and its folders. Nothing of it is
 * synced.
 */
bool segment_create(struct segment *segment, const struct segment_place *place, int64_t base,
                    struct error *error);

/* Syncs the names of the partition's segments and folders: without them a loss of power would take what is in
 * the segments along. */
bool segment_sync_names(const struct segment_place *place, struct error *error);

/* Begins the file that is to replace a segment after compaction; made by segment_replace() what it stands
 * for. */
bool segment_create_replacement(struct segment *segment, const struct segment_place *place, int64_t base,
                                struct error *error);

/* Syncs the replacement and puts it in the segment's place; who has the old one open can go on reading it. */
bool segment_replace(const struct segment *replacement, const struct segment_place *place,
                     struct error *error);

/* Opens a segment that is there; `flags`: O_RDWR or O_RDONLY. ERROR_NOT_FOUND. */
bool segment_open(struct segment *segment, const struct segment_place *place, int64_t base, int flags,
                  struct error *error);
void segment_close(struct segment *segment);

/* Removes a segment's files. */
bool segment_remove(const struct segment_place *place, int64_t base, struct error *error);

/* Removes the segments that begin behind `base`: those that never became part of the log, when that is the
 * active segment's. The caller holds the append lock. */
bool segment_remove_behind(const struct segment_place *place, int64_t base, struct error *error);

/* Removes what a compaction or retention has left behind that died: replacements that were never put in
 * place, and indexes below `active` without a segment. The caller holds the maintenance lock, and gives all
 * bases. */
bool segment_remove_leftovers(const struct segment_place *place, const int64_t *bases, size_t count,
                              int64_t active, struct error *error);

/* The base offsets of all segments in the folder, rising; *bases is owned by the caller. A missing folder has
 * none. */
bool segment_list(const struct segment_place *place, int64_t **bases, size_t *count, struct error *error);

/* The greatest of the rising bases that isn't above `offset`; -1 when there is none. */
int64_t segment_among(const int64_t *bases, size_t count, int64_t offset);

/* Reads the header at `position`; ERROR_CORRUPT when there is none, or when it isn't the one after
 * `expected`, the offset that follows the batch before, or reaches beyond `limit`. expected -1: any. */
bool segment_read_header(const struct segment *segment, uint64_t position, uint64_t limit, int64_t expected,
                         struct batch *batch, struct error *error);

/* Reads the header that ends a full segment; *position is its own. */
bool segment_read_end(const struct segment *segment, uint64_t *position, struct batch *end,
                      struct error *error);

/* The last two of these checks, for a header that is read already. */
bool segment_check_header(const struct segment *segment, uint64_t position, uint64_t limit, int64_t expected,
                          const struct batch *batch, struct error *error);

/* ERROR_CORRUPT that names segment and position. */
void segment_damaged(const struct segment *segment, uint64_t position, const char *what, struct error *error);

/* Notes in the index where a batch begins, when it is the first of its interval. `before` is the position of
 * the batch before it, 0: none; `max_timestamp` the largest one of all before it. */
bool segment_index_add(const struct segment *segment, uint64_t before, uint64_t position, int64_t base_offset,
                       int64_t max_timestamp, struct error *error);

/* Where to begin reading to find the offset: a batch that isn't behind it. `limit`: where the segment's
 * batches end. */
uint64_t segment_seek_offset(const struct segment *segment, int64_t offset, uint64_t limit);

/* The first batch behind `position` that the index tells of and whose offset is above *offset, which becomes
 * its own. False: none. */
bool segment_find_behind(const struct segment *segment, uint64_t *position, int64_t *offset, uint64_t limit);

/* Where to begin reading to find the first record of `time` or later. */
uint64_t segment_seek_time(const struct segment *segment, int64_t time, uint64_t limit);

#endif
