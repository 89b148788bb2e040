#ifndef LOGSTORE_MAINTAIN_H
#define LOGSTORE_MAINTAIN_H

#include "logstore/store.h"

/*
 * Retention and compaction. Both work under the partition's maintenance lock, which an open file of their own
 * holds, so that threads of one process exclude each other too; appends go on meanwhile.
 */

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
};

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
