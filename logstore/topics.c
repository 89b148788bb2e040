#include "logstore/config.h"
#include "logstore/quote.h"
#include "logstore/store.h"

#include <fcntl.h>
#include <stdio.h>

/*
 * Changes to the catalog. Each works with open files of its own, so that the locks, which belong to the open
 * file, hold against other threads as they do against other processes.
 */
struct change {
    struct logstore *store;
    struct file lock, partitions;
    struct document document;
    struct buf before, after; /* the catalog's bytes */
    struct catalog catalog;
};

enum { CATALOG_SIZE_MOST = 1 << 30 };

static void change_end(struct change *change)
{
    catalog_free(&change->catalog);
    buf_free(&change->before);
    buf_free(&change->after);
    document_close(&change->document);
    fsio_close(&change->partitions);
    fsio_close(&change->lock);
}

static bool change_open(struct change *change, struct error *error)
{
    struct logstore *store = change->store;
    struct head head = {.kind = HEAD_DOCUMENT};
    memcpy(head.store, store->id, STORE_ID_SIZE);
    return fsio_open(&change->lock, store->directory, "lock", O_RDWR, error) &&
           fsio_lock(&change->lock, 0, error) &&
           fsio_open(&change->partitions, store->directory, "partitions", O_RDWR, error) &&
           document_open(&change->document, store->directory, "catalog", O_RDWR, &head, error) &&
           document_read(&change->document, &change->before, error) &&
           catalog_decode(&change->catalog, buf_str(&change->before), error);
}

/* Takes the lock and reads the catalog. After success change_end() is to be called. */
static bool change_begin(struct change *change, struct logstore *store, struct error *error)
{
    *change = (struct change){
        .store = store,
        .lock = FILE_CLOSED,
        .partitions = FILE_CLOSED,
        .document.file = FILE_CLOSED,
        .before = buf_make(CATALOG_SIZE_MOST),
        .after = buf_make(CATALOG_SIZE_MOST),
    };
    if (store_check_writable(store, error) && change_open(change, error))
        return true;
    change_end(change);
    return false;
}

static bool change_commit(struct change *change, struct error *error)
{
    catalog_encode(&change->catalog, &change->after);
    if (buf_ok(&change->after))
        return document_write(&change->document, buf_str(&change->after), error);
    error_set(error, ERROR_MEMORY, "no memory for the catalog");
    return false;
}

static bool find_topic(const struct change *change, struct str name, struct topic **topic,
                       struct error *error)
{
    struct quoted quoted;
    *topic = catalog_find(&change->catalog, name);
    if (*topic == NULL)
        error_set(error, ERROR_NOT_FOUND, "there is no topic %s", quote(name, &quoted));
    return *topic != NULL;
}

/* Takes the append lock, since somebody may still be appending to the topic that had the slot before. */
static bool assign_slot(const struct change *change, uint32_t slot, uint32_t topic, uint32_t partition,
                        struct error *error)
{
    uint64_t position = slot_lock_position(slot, SLOT_LOCK_APPEND);
    if (!fsio_lock(&change->partitions, position, error))
        return false;
    bool done = slot_assign(&change->partitions, slot, topic, partition, error);
    fsio_unlock(&change->partitions, position);
    return done;
}

/* Gives the topic partitions from the `first` on, without records, and syncs their slots. */
static bool assign_slots(const struct change *change, const struct topic *topic, uint32_t first,
                         uint32_t end_of_slots, struct error *error)
{
    if (!fsio_allocate(&change->partitions, SLOTS_BEGIN + (uint64_t)SLOT_SIZE * end_of_slots, error))
        return false;
    for (uint32_t partition = first; partition < topic->partitions; partition++)
        if (!assign_slot(change, topic_slot(topic, partition), topic->number, partition, error))
            return false;
    return fsio_sync(&change->partitions, error);
}

static bool check_partitions(uint32_t partitions, struct error *error)
{
    if (partitions >= 1 && partitions <= TOPIC_PARTITIONS_MAX)
        return true;
    error_set(error, ERROR_USAGE, "a topic has 1 to %d partitions, not %u", TOPIC_PARTITIONS_MAX, partitions);
    return false;
}

static bool check_name(struct str topic, struct error *error)
{
    if (topic.length >= 1 && topic.length <= TOPIC_NAME_MAX)
        return true;
    error_set(error, ERROR_USAGE, "a topic's name has 1 to %d bytes, not %zu", TOPIC_NAME_MAX, topic.length);
    return false;
}

static bool create_topic(struct change *change, struct str name, uint32_t partitions,
                         const struct logstore_config *config, struct error *error)
{
    uint32_t end_of_slots;
    struct quoted quoted;
    if (catalog_find(&change->catalog, name) != NULL) {
        error_set(error, ERROR_EXISTS, "there is a topic %s already", quote(name, &quoted));
        return false;
    }
    struct topic *topic =
        change->catalog.next_number == UINT32_MAX ? NULL : catalog_insert(&change->catalog, name, config);
    if (topic == NULL) {
        error_set(error, ERROR_MEMORY, "no memory, or no number, for another topic");
        return false;
    }
    return catalog_take_slots(&change->catalog, topic, partitions, &end_of_slots, error) &&
           assign_slots(change, topic, 0, end_of_slots, error) && change_commit(change, error);
}

bool logstore_topic_create(struct logstore *store, struct str name, uint32_t partitions,
                           const struct logstore_config *config, struct error *error)
{
    struct change change;
    struct logstore_config defaults = logstore_config_default();
    if (config == NULL)
        config = &defaults;
    if (!check_name(name, error) || !check_partitions(partitions, error) ||
        !topic_config_check(config, error) || !change_begin(&change, store, error))
        return false;
    bool done = create_topic(&change, name, partitions, config, error);
    change_end(&change);
    return done;
}

bool logstore_topic_alter(struct logstore *store, struct str name, const struct logstore_config *config,
                          struct error *error)
{
    struct change change;
    struct topic *topic;
    if (!topic_config_check(config, error) || !change_begin(&change, store, error))
        return false;
    bool done = find_topic(&change, name, &topic, error);
    if (done) {
        topic->config = *config;
        done = change_commit(&change, error);
    }
    change_end(&change);
    return done;
}

bool logstore_set_offsets_retention(struct logstore *store, int64_t retention_ms, struct error *error)
{
    struct change change;
    if (retention_ms < 0) {
        error_set(error, ERROR_USAGE, "the time that offsets stay must not be negative");
        return false;
    }
    if (!change_begin(&change, store, error))
        return false;
    change.catalog.offsets_retention_ms = retention_ms;
    bool done = change_commit(&change, error);
    change_end(&change);
    return done;
}

static bool grow_topic(struct change *change, struct topic *topic, uint32_t partitions, struct error *error)
{
    uint32_t end_of_slots, first = topic->partitions;
    if (partitions < first) {
        error_set(error, ERROR_USAGE, "the topic has %u partitions, and can't get fewer", first);
        return false;
    }
    return partitions == first ||
           (catalog_take_slots(&change->catalog, topic, partitions - first, &end_of_slots, error) &&
            assign_slots(change, topic, first, end_of_slots, error) && change_commit(change, error));
}

bool logstore_topic_grow(struct logstore *store, struct str name, uint32_t partitions, struct error *error)
{
    struct change change;
    struct topic *topic;
    if (!check_partitions(partitions, error) || !change_begin(&change, store, error))
        return false;
    bool done = find_topic(&change, name, &topic, error) && grow_topic(&change, topic, partitions, error);
    change_end(&change);
    return done;
}

/* --- deleting --------------------------------------------------------------------------------------------
 */

/* Frees the partition's slot, unless it was done before; from then on nobody appends. */
static bool free_slot(const struct change *change, uint32_t index, uint32_t topic, struct error *error)
{
    struct slot slot;
    uint64_t position = slot_lock_position(index, SLOT_LOCK_APPEND);
    if (!fsio_lock(&change->partitions, position, error))
        return false;
    bool done = slot_read(&change->partitions, index, &slot, error);
    if (done && slot.topic == topic) {
        slot.topic = 0;
        done = slot_write(&change->partitions, index, &slot, error);
    }
    fsio_unlock(&change->partitions, position);
    return done;
}

/* Waits for whoever may be compacting it. */
static bool delete_partition(const struct change *change, const struct topic *topic, uint32_t partition,
                             struct error *error)
{
    uint32_t index = topic_slot(topic, partition);
    uint64_t position = slot_lock_position(index, SLOT_LOCK_MAINTENANCE);
    char folder[64];
    snprintf(folder, sizeof folder, "topic/%08x/%u", topic->number, partition);
    if (!fsio_lock(&change->partitions, position, error))
        return false;
    bool done = free_slot(change, index, topic->number, error) &&
                fsio_remove_tree(change->store->directory, folder, 1, error);
    fsio_unlock(&change->partitions, position);
    return done;
}

/* The topic is out of the catalog already, so what is left over after a failure here disturbs nobody, until
 * leftovers_remove() finds it. */
static bool delete_topic(struct change *change, struct topic *topic, struct error *error)
{
    struct topic gone = *topic;
    char folder[64];
    topic->runs = NULL;
    catalog_remove(&change->catalog, topic);
    bool done = change_commit(change, error);
    for (uint32_t partition = 0; done && partition < gone.partitions; partition++)
        done = delete_partition(change, &gone, partition, error);
    snprintf(folder, sizeof folder, "topic/%08x", gone.number);
    done = done && fsio_remove(change->store->directory, folder, AT_REMOVEDIR, error);
    topic_runs_free(&gone);
    return done;
}

bool logstore_topic_delete(struct logstore *store, struct str name, struct error *error)
{
    struct change change;
    struct topic *topic;
    if (!change_begin(&change, store, error))
        return false;
    bool done = find_topic(&change, name, &topic, error) && delete_topic(&change, topic, error);
    change_end(&change);
    return done;
}

bool logstore_topic_find(struct logstore *store, struct str name, struct logstore_topic *found,
                         struct error *error)
{
    struct partition_view view;
    if (!store_find(store, name, 0, &view, error))
        return false;
    found->partitions = view.partitions;
    found->config = view.config;
    topic_id(store->id, view.place.topic, found->id);
    return true;
}
