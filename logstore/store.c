#include "logstore/store.h"

#include "logstore/bytes.h"
#include "logstore/config.h"
#include "logstore/group.h"
#include "logstore/quote.h"

#include "exporter/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENTS_OPEN_MOST = 128, /* two descriptors each */
    DOCUMENT_SIZE_MOST = 1 << 30,
    DEFAULT_INTERVAL_MS = 1000,
};

/* --- making a store --------------------------------------------------------------------------------------
 */

static struct head store_head(const uint8_t id[STORE_ID_SIZE], enum head_kind kind)
{
    struct head head = {.kind = kind, .made = clock_wall_ms()};
    memcpy(head.store, id, STORE_ID_SIZE);
    return head;
}

/* A file that is nothing but a head, at first. */
static bool create_plain(int directory, const char *name, const struct head *head, uint64_t size,
                         struct error *error)
{
    struct file file = FILE_CLOSED;
    uint8_t bytes[HEAD_SIZE];
    head_encode(head, bytes);
    bool done = fsio_remove(directory, name, 0, error) &&
                fsio_open(&file, directory, name, O_RDWR | O_CREAT | O_EXCL, error) &&
                fsio_write(&file, bytes, sizeof bytes, 0, error) && fsio_allocate(&file, size, error) &&
                fsio_sync(&file, error);
    fsio_close(&file);
    return done;
}

static bool create_documents(int directory, const uint8_t id[STORE_ID_SIZE], struct error *error)
{
    struct head head = store_head(id, HEAD_DOCUMENT);
    struct buf catalog = buf_make(DOCUMENT_SIZE_MOST), groups = buf_make(DOCUMENT_SIZE_MOST);
    catalog_encode(&(struct catalog){.next_number = 1, .offsets_retention_ms = CATALOG_OFFSETS_RETENTION_MS},
                   &catalog);
    group_list_encode(&(struct group_list){.next_number = 1}, &groups);
    bool done = buf_ok(&catalog) && buf_ok(&groups);
    if (!done)
        error_set(error, ERROR_MEMORY, "no memory to make a store");
    done = done && document_create(directory, "catalog", &head, buf_str(&catalog), error) &&
           document_create(directory, "groups", &head, buf_str(&groups), error);
    buf_free(&catalog);
    buf_free(&groups);
    return done;
}

/* Everything, the file `store` last: where it is, the store is whole, and on the disk but for that name. The
 * caller holds the lock. */
static bool create_all(int directory, struct error *error)
{
    uint8_t id[STORE_ID_SIZE];
    if (!fsio_random(id, sizeof id, error))
        return false;
    struct head head = store_head(id, HEAD_STORE), partitions = store_head(id, HEAD_PARTITIONS);
    return fsio_make_folder(directory, "topic", error) && fsio_make_folder(directory, "group", error) &&
           create_documents(directory, id, error) &&
           create_plain(directory, "partitions", &partitions, SLOTS_BEGIN, error) &&
           create_plain(directory, "store.new", &head, HEAD_SIZE, error) &&
           fsio_sync_folder(directory, ".", error) && fsio_sync_folder(directory, "..", error) &&
           fsio_rename(directory, "store.new", "store", error);
}

static bool is_there(int directory)
{
    struct stat status;
    return fstatat(directory, "store", &status, 0) == 0;
}

static bool create(int directory, struct error *error)
{
    struct file lock = FILE_CLOSED;
    if (is_there(directory))
        return true;
    bool done = fsio_open(&lock, directory, "lock", O_RDWR | O_CREAT, error) && fsio_lock(&lock, 0, error) &&
                (is_there(directory) || create_all(directory, error));
    fsio_close(&lock);
    return done;
}

/* --- opening ---------------------------------------------------------------------------------------------
 */

static bool open_directory(struct logstore *store, struct error *error)
{
    if (store->options.access == LOGSTORE_CREATE && !fsio_make_folder(AT_FDCWD, store->path, error))
        return false;
    store->directory = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory >= 0)
        return true;
    fsio_error(error, errno, "open", store->path);
    return false;
}

static bool read_id(struct logstore *store, struct error *error)
{
    struct file file;
    uint8_t bytes[HEAD_SIZE];
    struct head head;
    if (!fsio_open(&file, store->directory, "store", O_RDONLY, error)) {
        if (error->code == ERROR_NOT_FOUND)
            error_set(error, ERROR_NOT_FOUND, "there is no log store");
        return false;
    }
    bool done =
        fsio_read_exactly(&file, bytes, sizeof bytes, 0, error) && head_decode(bytes, &head, "store", error);
    if (done)
        memcpy(store->id, head.store, STORE_ID_SIZE);
    fsio_close(&file);
    return done;
}

static int open_flags(const struct logstore *store)
{
    return store->options.access == LOGSTORE_READ ? O_RDONLY : O_RDWR;
}

static bool open_files(struct logstore *store, struct error *error)
{
    int flags = open_flags(store);
    struct head partitions = store_head(store->id, HEAD_PARTITIONS);
    struct head document = store_head(store->id, HEAD_DOCUMENT);
    if (!fsio_open(&store->partitions_file, store->directory, "partitions", flags, error) ||
        !head_check(&store->partitions_file, &partitions, error) ||
        !document_open(&store->catalog_document, store->directory, "catalog", flags, &document, error) ||
        !document_open(&store->groups_document, store->directory, "groups", flags, &document, error))
        return false;
    pthread_mutex_lock(&store->mutex);
    bool done = store_refresh(store, error);
    pthread_mutex_unlock(&store->mutex);
    return done;
}

/* Who made the store may have died before its name was on the disk. */
static bool sync_name(const struct logstore *store, struct error *error)
{
    return store->options.access == LOGSTORE_READ || fsio_sync_folder(store->directory, ".", error);
}

static struct logstore *new_store(const char *path, const struct logstore_options *options)
{
    struct logstore *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return NULL;
    }
    store->directory = -1;
    store->path = copy;
    store->options = options == NULL ? (struct logstore_options){0} : *options;
    if (store->options.fsync_interval_ms <= 0)
        store->options.fsync_interval_ms = DEFAULT_INTERVAL_MS;
    store->partitions_file = FILE_CLOSED;
    store->catalog_document.file = FILE_CLOSED;
    store->catalog_bytes = buf_make(DOCUMENT_SIZE_MOST);
    store->groups_open_most = groups_open_most();
    store->groups_document.file = FILE_CLOSED;
    store->groups_bytes = buf_make(DOCUMENT_SIZE_MOST);
    atomic_store(&store->synced_us, clock_monotonic_us());
    atomic_store(&store->expired_us, clock_monotonic_us());
    pthread_mutex_init(&store->mutex, NULL);
    return store;
}

struct logstore *logstore_open(const char *path, const struct logstore_options *options, struct error *error)
{
    struct logstore *store = new_store(path, options);
    if (store == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to open log store %s", path);
        return NULL;
    }
    if (open_directory(store, error) &&
        (store->options.access != LOGSTORE_CREATE || create(store->directory, error)) &&
        read_id(store, error) && open_files(store, error) && sync_name(store, error))
        return store;
    error_wrap(error, "open log store %s", path);
    logstore_close(&store);
    return NULL;
}

static void free_partition(struct partition *partition)
{
    segment_close(&partition->segment);
    pthread_mutex_destroy(&partition->append_mutex);
    pthread_mutex_destroy(&partition->sync_mutex);
    free(partition);
}

void logstore_close(struct logstore **store)
{
    struct logstore *closing = *store;
    *store = NULL;
    if (closing == NULL)
        return;
    if (closing->options.fsync == LOGSTORE_FSYNC_INTERVAL) {
        struct error ignored = {0}; /* who wants to know calls logstore_sync() */
        (void)logstore_sync(closing, &ignored);
        error_clear(&ignored);
    }
    for (size_t i = 0; i < closing->partition_count; i++)
        free_partition(closing->partitions[i]);
    groups_close(closing);
    struct buf *spare = atomic_exchange(&closing->spare_buf, NULL);
    if (spare != NULL)
        buf_free(spare);
    free(spare);
    free(closing->partitions);
    catalog_free(&closing->catalog);
    buf_free(&closing->catalog_bytes);
    document_close(&closing->catalog_document);
    group_list_free(&closing->group_list);
    buf_free(&closing->groups_bytes);
    document_close(&closing->groups_document);
    fsio_close(&closing->partitions_file);
    if (closing->directory >= 0)
        close(closing->directory);
    pthread_mutex_destroy(&closing->mutex);
    free(closing->path);
    free(closing);
}

bool store_check_writable(const struct logstore *store, struct error *error)
{
    if (store->options.access != LOGSTORE_READ)
        return true;
    error_set(error, ERROR_DENIED, "log store %s was opened for reading only", store->path);
    return false;
}

/* --- finding ---------------------------------------------------------------------------------------------
 */

bool store_sync_read(const struct logstore *store, const struct document *document, struct error *error)
{
    return store->options.access == LOGSTORE_READ || document_sync(document, error);
}

bool store_refresh(struct logstore *store, struct error *error)
{
    bool changed;
    if (!document_changed(&store->catalog_document, &changed, error))
        return false;
    if (!changed)
        return true;
    struct buf bytes = buf_make(DOCUMENT_SIZE_MOST);
    if (!document_read(&store->catalog_document, &bytes, error) ||
        !store_sync_read(store, &store->catalog_document, error) ||
        !catalog_decode(&store->catalog, buf_str(&bytes), error)) {
        store->catalog_document.sequence = 0; /* to be read again */
        buf_free(&bytes);
        return false;
    }
    buf_free(&store->catalog_bytes);
    store->catalog_bytes = bytes;
    return true;
}

void store_view(const struct logstore *store, const struct topic *topic, uint32_t partition,
                struct partition_view *view)
{
    *view = (struct partition_view){
        .config = topic->config,
        .place = {store->directory, store->id, topic->number, partition},
        .slot = topic_slot(topic, partition),
        .partitions = topic->partitions,
    };
}

bool store_find(struct logstore *store, struct str name, uint32_t partition, struct partition_view *view,
                struct error *error)
{
    struct quoted quoted;
    pthread_mutex_lock(&store->mutex);
    bool done = store_refresh(store, error);
    if (done) {
        const struct topic *topic = catalog_find(&store->catalog, name);
        done = topic != NULL && partition < topic->partitions;
        if (done)
            store_view(store, topic, partition, view);
        else if (topic == NULL)
            error_set(error, ERROR_NOT_FOUND, "there is no topic %s", quote(name, &quoted));
        else
            error_set(error, ERROR_NOT_FOUND, "topic %s has no partition %u; it has %u", quote(name, &quoted),
                      partition, topic->partitions);
    }
    pthread_mutex_unlock(&store->mutex);
    return done;
}

bool store_read_slot(const struct logstore *store, const struct segment_place *place, uint32_t index,
                     struct slot *slot, struct error *error)
{
    if (!slot_read(&store->partitions_file, index, slot, error))
        return false;
    if (slot->topic == place->topic && slot->partition == place->partition)
        return true;
    error_set(error, ERROR_NOT_FOUND, "the topic was deleted");
    return false;
}

static struct partition *new_partition(struct logstore *store, const struct partition_view *view)
{
    struct partition *partition = calloc(1, sizeof *partition);
    if (partition == NULL)
        return NULL;
    partition->store = store;
    partition->topic = view->place.topic;
    partition->number = view->place.partition;
    partition->slot = view->slot;
    partition->segment = SEGMENT_CLOSED;
    pthread_mutex_init(&partition->append_mutex, NULL);
    pthread_mutex_init(&partition->sync_mutex, NULL);
    return partition;
}

/* Where the partition is among those of the store, which are sorted by topic and number, or would be. */
static size_t partition_index(const struct logstore *store, uint32_t topic, uint32_t number)
{
    size_t from = 0, to = store->partition_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct partition *partition = store->partitions[middle];
        if (partition->topic < topic || (partition->topic == topic && partition->number < number))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool reserve_partitions(struct logstore *store)
{
    if (store->partition_count < store->partition_capacity)
        return true;
    size_t capacity = store->partition_capacity == 0 ? 16 : 2 * store->partition_capacity;
    struct partition **partitions = realloc(store->partitions, capacity * sizeof(struct partition *));
    if (partitions == NULL)
        return false;
    store->partitions = partitions;
    store->partition_capacity = capacity;
    return true;
}

struct partition *store_partition(struct logstore *store, const struct partition_view *view,
                                  struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    size_t index = partition_index(store, view->place.topic, view->place.partition);
    struct partition *partition = index < store->partition_count ? store->partitions[index] : NULL;
    if (partition == NULL || partition->topic != view->place.topic ||
        partition->number != view->place.partition) {
        partition = reserve_partitions(store) ? new_partition(store, view) : NULL;
        if (partition != NULL) {
            memmove(store->partitions + index + 1, store->partitions + index,
                    (store->partition_count - index) * sizeof(struct partition *));
            store->partitions[index] = partition;
            store->partition_count++;
        }
    }
    pthread_mutex_unlock(&store->mutex);
    if (partition == NULL)
        error_set(error, ERROR_MEMORY, "no memory for a partition");
    return partition;
}

/* --- open segments ---------------------------------------------------------------------------------------
 */

void store_segment_closed(struct logstore *store)
{
    pthread_mutex_lock(&store->mutex);
    store->open_segments--;
    pthread_mutex_unlock(&store->mutex);
}

/* Closes the segment of one partition that nobody is using; the caller holds the mutex. */
static void close_one(struct logstore *store)
{
    for (size_t i = 0; i < store->partition_count; i++) {
        struct partition *victim = store->partitions[store->sweep++ % store->partition_count];
        if (pthread_mutex_trylock(&victim->append_mutex) != 0)
            continue;
        bool found = victim->segment.log.fd >= 0;
        if (found) {
            segment_close(&victim->segment);
            victim->allocated = 0;
            store->open_segments--;
        }
        pthread_mutex_unlock(&victim->append_mutex);
        if (found)
            return;
    }
}

void store_segment_opened(struct logstore *store)
{
    pthread_mutex_lock(&store->mutex);
    if (++store->open_segments > SEGMENTS_OPEN_MOST)
        close_one(store);
    pthread_mutex_unlock(&store->mutex);
}

/* --- syncing ---------------------------------------------------------------------------------------------
 */

/* The partition of this index, as long as there is one. */
static struct partition *partition_at(struct logstore *store, size_t index)
{
    pthread_mutex_lock(&store->mutex);
    struct partition *partition = index < store->partition_count ? store->partitions[index] : NULL;
    pthread_mutex_unlock(&store->mutex);
    return partition;
}

static bool is_unsynced(struct partition *partition)
{
    pthread_mutex_lock(&partition->append_mutex);
    bool unsynced = partition->unsynced;
    pthread_mutex_unlock(&partition->append_mutex);
    return unsynced;
}

void store_keep_first(struct error *first, struct error *next)
{
    if (first->code == ERROR_NONE)
        *first = *next;
    else
        error_clear(next);
}

bool logstore_sync(struct logstore *store, struct error *error)
{
    struct partition *partition;
    struct error first = {0};
    for (size_t i = 0; (partition = partition_at(store, i)) != NULL; i++) {
        struct error failure = {0};
        if (is_unsynced(partition))
            (void)partition_sync(partition, INT64_MAX, &failure);
        if (failure.code == ERROR_NOT_FOUND) /* a topic that was deleted needs no sync */
            error_clear(&failure);
        store_keep_first(&first, &failure);
    }
    groups_sync(store, &first);
    if (first.code != ERROR_NONE)
        *error = first;
    return first.code == ERROR_NONE;
}

bool store_sync_if_due(struct logstore *store, struct error *error)
{
    if (store->options.fsync != LOGSTORE_FSYNC_INTERVAL)
        return true;
    int64_t now = clock_monotonic_us(), before = atomic_load(&store->synced_us);
    if (now - before < store->options.fsync_interval_ms * 1000 ||
        !atomic_compare_exchange_strong(&store->synced_us, &before, now))
        return true;
    return logstore_sync(store, error);
}
