#ifndef LOGSTORE_MAINTAIN_H
#define LOGSTORE_MAINTAIN_H

#include "logstore/store.h"

/*
 * Retention and compaction. Both work under the partition's maintenance lock, which an open file of their own
 * holds, so that threads of one process exclude each other too; appends go on meanwhile.
 */

/* How far the work is, and who wants to know. */
struct maintenance_watch {
    const struct logstore_watcher *watcher; /* borrowed; NULL: nobody */
    int64_t start, end;                     /* of the partition when the work began */
    int64_t told;                           /* how many offsets between them */
};

/* What is being looked after. */
struct maintenance {
    struct partition *partition;
    struct logstore_config config;
    struct segment_place place;
    struct file lock;
    int64_t now;
    int64_t *bases;   /* owned; of all segments */
    size_t count;     /* of them */
    size_t sealed;    /* how many of them, the first ones, are full */
    struct slot slot; /* as it was at the beginning */
    struct maintenance_watch watch;
};

/* Both kinds of work go over the full segments twice: to learn what can go, and to do it. */
enum maintenance_pass { PASS_LEARN, PASS_DO };

/* The pass is done with what is below the offset. */
void maintenance_reach(struct maintenance *maintenance, enum maintenance_pass pass, int64_t offset);

/* Removes the segments that the topic's configuration no longer keeps; `roll`: even the active one. */
bool retain_partition(struct maintenance *maintenance, bool roll, struct error *error);

/* Compacts the full segments; `always`: even when it isn't worth the while. */
bool compact_partition(struct maintenance *maintenance, bool always, struct error *error);

/* Brings `bases`, `count`, `sealed` and `slot` up to date. */
bool maintenance_refresh(struct maintenance *maintenance, struct error *error);

/* Removes the segments that lie in front of the start offset, and brings the above up to date. */
bool maintenance_remove_outdated(struct maintenance *maintenance, struct error *error);

/* After a segment of the partition became full: does what is due, unless somebody else is at it. It isn't
 * needed for anything, so what fails here is left to the next time. */
void maintain_after_roll(struct partition *partition, const struct logstore_config *config);

#endif
