#ifndef TIDEMARK_DEMO_STORE_H
#define TIDEMARK_DEMO_STORE_H

#include "exporter/base/error.h"
#include "exporter/base/str.h"
#include "logstore/logstore.h"

#include <stdbool.h>
#include <stdint.h>

/* The demo's topics: what happened on them before it began, and what is written while it runs. */

enum demo_topic {
    DEMO_ORDERS,
    DEMO_CLICKS,
    DEMO_EMAILS,
    DEMO_PAYMENTS,
    DEMO_SHIPMENTS, /* keeps a day: its past reaches back to where retention is about to take it */
    DEMO_PROFILES,  /* compacted */
    DEMO_VIEWS,     /* most of them are of the bestseller */
    DEMO_TOPICS,
};

/* The topic's name; static. */
struct str demo_topic_name(enum demo_topic topic);
uint32_t demo_topic_partitions(enum demo_topic topic);

/* The partition of `views` that has the hot key. */
uint32_t demo_hot_partition(void);

/* The age of the messages of `shipments` at which the groups stand that stop reading it: so young that
 * retention has them in three hours, and so old that it has them within the next minute. */
#define DEMO_RISKY_AGE_MS ((int64_t)21 * 3600 * 1000)
#define DEMO_LOST_AGE_MS  ((int64_t)24 * 3600 * 1000 - 10 * 1000)

/* Opens the store in the folder for one of the demo's processes. */
struct logstore *demo_store_open(const char *folder, enum logstore_access access, struct error *error);

/* Makes the store with its topics and their past. */
bool demo_store_prepare(const char *folder, struct error *error);

/* Writes to all topics, deletes what is too old and compacts, for ever; returns only when that fails. */
void demo_store_write(const char *folder, struct error *error);

void demo_pause_ms(int64_t ms);

#endif
