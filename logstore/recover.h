#ifndef LOGSTORE_RECOVER_H
#define LOGSTORE_RECOVER_H

#include "logstore/store.h"

/* Finds out where the log of a partition ends, by its files from the durable position on, and corrects *slot.
 * The caller holds the append lock. ERROR_CORRUPT: damage below the durable position. */
bool recover_slot(struct partition *partition, struct slot *slot, struct error *error);

/* What is known of a partition of which neither half of the slot is whole: recover_slot() finds out the rest.
 */
struct slot recover_lost_slot(const struct partition *partition);

#endif
