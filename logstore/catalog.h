#ifndef LOGSTORE_CATALOG_H
#define LOGSTORE_CATALOG_H

#include "logstore/logstore.h"

#include "exporter/base/buf.h"

/* A week: Kafka's default of offsets.retention.minutes. */
#define CATALOG_OFFSETS_RETENTION_MS INT64_C(604800000)

/* A run of neighbouring slots in the file `partitions`. */
struct slot_run {
    uint32_t first, count;
};

struct topic {
    uint32_t number; /* never used twice */
    struct str name; /* points into the bytes that were decoded, or to what the caller put there */
    struct logstore_config config;
    uint32_t partitions; /* the sum of the runs' counts */
    struct slot_run *runs;
    uint32_t run_count;
};

/* The topics of a store, sorted by name: what the document `catalog` holds. */
struct catalog {
    uint32_t next_number;
    int64_t offsets_retention_ms;
    struct topic *topics; /* owned, with their runs */
    uint32_t count;
};

/* Reads the document's bytes, which must outlive the catalog; an empty one to begin with is {0}. On failure,
 * ERROR_CORRUPT, the catalog is unchanged. */
bool catalog_decode(struct catalog *catalog, struct str bytes, struct error *error);
void catalog_encode(const struct catalog *catalog, struct buf *bytes);
void catalog_free(struct catalog *catalog);

enum { TOPIC_NAME_MAX = 249, TOPIC_PARTITIONS_MAX = 100000 };

/* NULL when there is none. */
struct topic *catalog_find(const struct catalog *catalog, struct str name);
struct topic *catalog_find_number(const struct catalog *catalog, uint32_t number);

/* The slot of a partition that the topic has. */
uint32_t topic_slot(const struct topic *topic, uint32_t partition);

/* The topic's id for the outside, made of the store's and its number. */
void topic_id(const uint8_t *store, uint32_t number, uint8_t id[16]);

void topic_runs_free(struct topic *topic);

/* Inserts a topic of that name without partitions; NULL: no memory. Pointers to topics move. */
struct topic *catalog_insert(struct catalog *catalog, struct str name, const struct logstore_config *config);
void catalog_remove(struct catalog *catalog, struct topic *topic);

/* Gives the topic `count` further slots, of those that no topic has. *end is set to one behind the last of
 * them. */
bool catalog_take_slots(struct catalog *catalog, struct topic *topic, uint32_t count, uint32_t *end,
                        struct error *error);

#endif
