#ifndef TIDEMARK_KAFKA_OFFSETS_H
#define TIDEMARK_KAFKA_OFFSETS_H

#include "collectors/kafka/layout.h"
#include "collectors/kafka/poll.h"

/* Lists offsets of all partitions that have a leader, a leader at a time: one that doesn't answer is left
 * alone for the rest of the poll, and costs only its own partitions. */
struct kafka_lister;

/* For the snapshot's partitions, whose topics are laid out in `layout`; both stay as they are as long as it
 * is used. Partitions without a leader are noted as failed. Never NULL. */
struct kafka_lister *kafka_lister_new(struct kafka_poll *poll, const struct kafka_layout *layout);

/* Frees it and sets *lister to NULL; NULL is accepted. */
void kafka_lister_free(struct kafka_lister **lister);

/* Sets `start` of the partitions; what could not be learnt stays UNKNOWN. False when nothing could. */
bool kafka_list_starts(struct kafka_lister *lister, struct error *error);

/* Sets `end`, likewise. */
bool kafka_list_ends(struct kafka_lister *lister, struct error *error);

/* Sets `last_stable`, after the ends are known. Where it fails, only this stays UNKNOWN. */
void kafka_list_stable_ends(struct kafka_lister *lister);

#endif
