#include "logstore/group.h"

#include "logstore/quote.h"

#include "exporter/base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_SIZE_MOST = 1 << 30 };

static struct head head_of(const struct logstore *store)
{
    struct head head = {.kind = HEAD_DOCUMENT, .made = clock_wall_ms()};
    memcpy(head.store, store->id, STORE_ID_SIZE);
    return head;
}

/* --- finding ---------------------------------------------------------------------------------------------
 */

bool groups_refresh(struct logstore *store, struct error *error)
{
    bool changed;
    if (!document_changed(&store->groups_document, &changed, error))
        return false;
    if (!changed)
        return true;
    struct buf bytes = buf_make(LIST_SIZE_MOST);
    if (!document_read(&store->groups_document, &bytes, error) ||
        !group_list_decode(&store->group_list, buf_str(&bytes), error)) {
        store->groups_document.sequence = 0; /* to be read again */
        buf_free(&bytes);
        return false;
    }
    buf_free(&store->groups_bytes);
    store->groups_bytes = bytes;
    return true;
}

static struct group *open_group(struct logstore *store, uint32_t number, struct error *error)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a group");
        return NULL;
    }
    struct head head = head_of(store);
    int flags = store->options.access == LOGSTORE_READ ? O_RDONLY : O_RDWR;
    group->store = store;
    group->number = number;
    if (!offsets_open(&group->offsets, store->directory, &head, number, flags, error) ||
        !group_members_open(group, &head, flags, error)) {
        offsets_close(&group->offsets);
        free(group);
        return NULL;
    }
    group->offsets.careful = store->options.fsync == LOGSTORE_FSYNC_ALWAYS;
    pthread_mutex_init(&group->mutex, NULL);
    return group;
}

/* The group of this number, opened when it wasn't; the caller holds the store's mutex. */
static struct group *group_of(struct logstore *store, uint32_t number, struct error *error)
{
    for (size_t i = 0; i < store->group_count; i++)
        if (store->groups[i]->number == number)
            return store->groups[i];
    struct group **groups = realloc(store->groups, (store->group_count + 1) * sizeof(struct group *));
    if (groups == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a group");
        return NULL;
    }
    store->groups = groups;
    struct group *group = open_group(store, number, error);
    if (group != NULL)
        store->groups[store->group_count++] = group;
    return group;
}

bool group_find(struct logstore *store, struct str name, struct group **group, struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    *group = NULL;
    bool done = groups_refresh(store, error);
    if (done) {
        const struct group_name *found = group_list_find(&store->group_list, name);
        if (found != NULL)
            done = (*group = group_of(store, found->number, error)) != NULL;
    }
    pthread_mutex_unlock(&store->mutex);
    return done;
}

bool group_by_number(struct logstore *store, uint32_t number, struct group **group, struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    *group = group_of(store, number, error);
    pthread_mutex_unlock(&store->mutex);
    return *group != NULL;
}

/* --- making ----------------------------------------------------------------------------------------------
 */

/* Makes the group's files, then lists it. */
static bool add_group(struct logstore *store, struct document *document, struct group_list *list,
                      struct str name, struct error *error)
{
    struct group_name *added = list->next_number == UINT32_MAX ? NULL : group_list_insert(list, name);
    if (added == NULL) {
        error_set(error, ERROR_MEMORY, "no memory, or no number, for another group");
        return false;
    }
    uint32_t number = added->number;
    struct head head = head_of(store);
    struct buf bytes = buf_make(LIST_SIZE_MOST);
    char folder[32];
    snprintf(folder, sizeof folder, "group/%08x", number);
    bool done = fsio_make_folder(store->directory, folder, error) &&
                offsets_create(store->directory, &head, number, error) &&
                group_members_create(store->directory, &head, number, error) &&
                fsio_sync_folder(store->directory, folder, error) &&
                fsio_sync_folder(store->directory, "group", error);
    group_list_encode(list, &bytes);
    if (done && !buf_ok(&bytes)) {
        error_set(error, ERROR_MEMORY, "no memory for the list of groups");
        done = false;
    }
    done = done && document_write(document, buf_str(&bytes), error);
    buf_free(&bytes);
    return done;
}

/* Makes the group unless somebody else was faster. Works with open files of its own, so that the lock holds
 * against other threads too. */
static bool make_group(struct logstore *store, struct str name, struct error *error)
{
    struct file lock = FILE_CLOSED;
    struct document document = {.file = FILE_CLOSED};
    struct group_list list = {0};
    struct buf bytes = buf_make(LIST_SIZE_MOST);
    struct head head = head_of(store);
    bool done = store_check_writable(store, error) &&
                fsio_open(&lock, store->directory, "lock", O_RDWR, error) && fsio_lock(&lock, 0, error) &&
                document_open(&document, store->directory, "groups", O_RDWR, &head, error) &&
                document_read(&document, &bytes, error) && group_list_decode(&list, buf_str(&bytes), error) &&
                (group_list_find(&list, name) != NULL || add_group(store, &document, &list, name, error));
    group_list_free(&list);
    buf_free(&bytes);
    document_close(&document);
    fsio_close(&lock);
    return done;
}

bool group_obtain(struct logstore *store, struct str name, struct group **group, struct error *error)
{
    if (name.length < 1 || name.length > GROUP_NAME_MAX) {
        error_set(error, ERROR_USAGE, "a group's name has 1 to %d bytes, not %zu", GROUP_NAME_MAX,
                  name.length);
        return false;
    }
    if (!group_find(store, name, group, error))
        return false;
    if (*group != NULL)
        return true;
    if (!make_group(store, name, error) || !group_find(store, name, group, error))
        return false;
    if (*group == NULL)
        error_set(error, ERROR_NOT_FOUND, "the group was deleted in the same moment");
    return *group != NULL;
}

void groups_free(struct logstore *store)
{
    for (size_t i = 0; i < store->group_count; i++) {
        offsets_close(&store->groups[i]->offsets);
        group_members_close(store->groups[i]);
        pthread_mutex_destroy(&store->groups[i]->mutex);
        free(store->groups[i]);
    }
    free(store->groups);
}

/* --- locking and syncing ---------------------------------------------------------------------------------
 */

bool group_lock(struct group *group, struct error *error)
{
    pthread_mutex_lock(&group->mutex);
    if (fsio_lock(&group->offsets.file, 0, error)) {
        offsets_locked(&group->offsets);
        return true;
    }
    pthread_mutex_unlock(&group->mutex);
    return false;
}

void group_unlock(struct group *group)
{
    fsio_unlock(&group->offsets.file, 0);
    pthread_mutex_unlock(&group->mutex);
}

static struct group *group_at(struct logstore *store, size_t index)
{
    pthread_mutex_lock(&store->mutex);
    struct group *group = index < store->group_count ? store->groups[index] : NULL;
    pthread_mutex_unlock(&store->mutex);
    return group;
}

/* Metadata first: an offset on the disk must find its own. */
static bool sync_group(struct group *group, struct error *error)
{
    return fsio_sync(&group->offsets.metadata, error) && fsio_sync(&group->offsets.file, error);
}

bool groups_sync(struct logstore *store, struct error *error)
{
    struct group *group;
    for (size_t i = 0; (group = group_at(store, i)) != NULL; i++) {
        pthread_mutex_lock(&group->mutex);
        bool unsynced = group->unsynced;
        group->unsynced = false;
        pthread_mutex_unlock(&group->mutex);
        if (unsynced && !sync_group(group, error))
            return false;
    }
    return true;
}

/* --- committing ------------------------------------------------------------------------------------------
 */

static bool check_commit(const struct logstore_commit *commit, struct error *error)
{
    if (commit->offset < 0) {
        error_set(error, ERROR_USAGE, "an offset is 0 or more, not %lld", (long long)commit->offset);
        return false;
    }
    if (commit->metadata.length > LOGSTORE_METADATA_MAX) {
        error_set(error, ERROR_USAGE, "metadata has at most %d bytes, not %zu", LOGSTORE_METADATA_MAX,
                  commit->metadata.length);
        return false;
    }
    return true;
}

static bool put_commit(struct group *group, const struct logstore_commit *commit, int64_t now,
                       struct error *error)
{
    struct partition_view view;
    if (!check_commit(commit, error) ||
        !store_find(group->store, commit->topic, commit->partition, &view, error))
        return false;
    struct offsets_entry entry = {
        .identity = offsets_identity(view.place.topic, commit->partition),
        .offset = commit->offset,
        .time = now,
        .flags = commit->metadata.length > 0 ? OFFSETS_METADATA : 0,
    };
    return offsets_put(&group->offsets, &entry, commit->metadata, error);
}

bool group_commit_wait(struct group *group, struct error *error)
{
    if (group->store->options.fsync == LOGSTORE_FSYNC_ALWAYS)
        return sync_group(group, error);
    return store_sync_if_due(group->store, error);
}

bool group_check_empty(const struct group *group, struct error *error)
{
    if (group->membership.count == 0)
        return true;
    error_set(error, ERROR_CONFLICT, "the group has %u members: stop them first", group->membership.count);
    return false;
}

static bool commit_locked(struct group *group, const struct logstore_commit *commits, size_t count,
                          int64_t now, struct error *error)
{
    bool done = group_check_empty(group, error);
    for (size_t i = 0; done && i < count; i++)
        done = put_commit(group, &commits[i], now, error);
    group->unsynced = true;
    return done;
}

/* Locks the group, settled as of *now; one that is deleted in the same moment is made anew. */
static bool obtain_locked(struct logstore *store, struct str name, struct group **group, struct moment *now,
                          struct error *error)
{
    for (int tries = 0;; tries++) {
        if (!group_obtain(store, name, group, error) || !group_lock(*group, error))
            return false;
        *now = moment_now();
        if (group_members_settle(*group, now, error))
            return true;
        group_unlock(*group);
        if (error->code != ERROR_NOT_FOUND || tries > 0)
            return false;
        error_clear(error);
    }
}

bool logstore_commit(struct logstore *store, struct str name, const struct logstore_commit *commits,
                     size_t count, struct error *error)
{
    struct group *group;
    struct moment now;
    if (!store_check_writable(store, error) || !obtain_locked(store, name, &group, &now, error))
        return false;
    bool done = commit_locked(group, commits, count, now.wall, error);
    group_unlock(group);
    return done && group_commit_wait(group, error);
}

bool logstore_committed(struct logstore *store, struct str name, struct str topic, uint32_t partition,
                        int64_t *offset, struct error *error)
{
    struct group *group;
    struct partition_view view;
    struct offsets_entry entry;
    bool found = false;
    if (!store_find(store, topic, partition, &view, error) || !group_find(store, name, &group, error))
        return false;
    if (group != NULL) {
        pthread_mutex_lock(&group->mutex);
        offsets_locked(&group->offsets);
        bool done = offsets_find(&group->offsets, offsets_identity(view.place.topic, partition), &entry,
                                 &found, error);
        pthread_mutex_unlock(&group->mutex);
        if (!done)
            return false;
    }
    *offset = found ? entry.offset : -1;
    return true;
}
