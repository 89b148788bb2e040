#include "logstore/group.h"

#include "logstore/quote.h"

#include "exporter/base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_SIZE_MOST = 1 << 30 };

struct head group_head(const struct logstore *store)
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
        !store_sync_read(store, &store->groups_document, error) ||
        !group_list_decode(&store->group_list, buf_str(&bytes), error)) {
        store->groups_document.sequence = 0; /* to be read again */
        buf_free(&bytes);
        return false;
    }
    buf_free(&store->groups_bytes);
    store->groups_bytes = bytes;
    return true;
}

/* The number of the group of that name; 0: there is none. */
static bool find_number(struct logstore *store, struct str name, uint32_t *number, struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    bool done = groups_refresh(store, error);
    const struct group_name *found = done ? group_list_find(&store->group_list, name) : NULL;
    *number = found == NULL ? 0 : found->number;
    pthread_mutex_unlock(&store->mutex);
    return done;
}

/* When the files of a group that is listed aren't there, it may have been deleted in between. */
bool group_find(struct logstore *store, struct str name, struct group **group, struct error *error)
{
    uint32_t number, again;
    *group = NULL;
    if (!find_number(store, name, &number, error))
        return false;
    if (number == 0 || group_by_number(store, number, group, error))
        return true;
    struct error missing = *error;
    *error = (struct error){0};
    if (missing.code != ERROR_NOT_FOUND || !find_number(store, name, &again, error) || again == number) {
        error_clear(error);
        *error = missing;
        return false;
    }
    error_clear(&missing);
    return again == 0 || group_by_number(store, again, group, error);
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
    struct head head = group_head(store);
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
    struct head head = group_head(store);
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

/* Finds the group unless it is dead: whoever began to delete it died on the way, and the work is ended here.
 */
static bool find_alive(struct logstore *store, struct str name, struct group **group, struct error *error)
{
    if (!group_find(store, name, group, error))
        return false;
    if (*group == NULL)
        return true;
    pthread_mutex_lock(&(*group)->mutex);
    bool done = group_members_load(*group, error);
    bool dead = done && (*group)->membership.state == LOGSTORE_GROUP_DEAD;
    pthread_mutex_unlock(&(*group)->mutex);
    if (done && !dead)
        return true;
    group_release(*group);
    *group = NULL;
    return done && group_bury(store, name, error);
}

bool group_obtain(struct logstore *store, struct str name, struct group **group, struct error *error)
{
    if (name.length < 1 || name.length > GROUP_NAME_MAX) {
        error_set(error, ERROR_USAGE, "a group's name has 1 to %d bytes, not %zu", GROUP_NAME_MAX,
                  name.length);
        return false;
    }
    if (!find_alive(store, name, group, error))
        return false;
    if (*group != NULL)
        return true;
    if (!make_group(store, name, error) || !group_find(store, name, group, error))
        return false;
    if (*group == NULL)
        error_set(error, ERROR_NOT_FOUND, "the group was deleted in the same moment");
    return *group != NULL;
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

/* Metadata first: an offset on the disk must find its own. What a failed sync has left in doubt is written
 * once more, since the kernel takes it for written. */
static bool sync_files(struct group *group, bool in_doubt, struct error *error)
{
    if (in_doubt) {
        if (!group_lock(group, error))
            return false;
        bool done = offsets_write_again(&group->offsets, error);
        group_unlock(group);
        if (!done)
            return false;
    }
    return fsio_sync(&group->offsets.metadata, error) && fsio_sync(&group->offsets.file, error);
}

/* Syncs what this process has committed. What others sync meanwhile is no matter, unless they fail: then the
 * kernel may have told them, and not this one, of what it couldn't write. */
static bool sync_group(struct group *group, struct error *error)
{
    pthread_mutex_lock(&group->mutex);
    unsigned failed = group->failed_syncs;
    bool in_doubt = failed != group->mended_syncs;
    group->unsynced = false;
    pthread_mutex_unlock(&group->mutex);
    bool done = sync_files(group, in_doubt, error);
    pthread_mutex_lock(&group->mutex);
    group->failed_syncs += !done;
    if (done && group->failed_syncs != failed) {
        error_set(error, ERROR_IO, "another sync of the group failed in the same moment");
        done = false;
    }
    if (done)
        group->mended_syncs = failed;
    group->unsynced = group->unsynced || !done;
    pthread_mutex_unlock(&group->mutex);
    return done;
}

bool group_sync_if_needed(struct group *group, struct error *error)
{
    pthread_mutex_lock(&group->mutex);
    bool unsynced = group->unsynced;
    pthread_mutex_unlock(&group->mutex);
    return !unsynced || sync_group(group, error);
}

void groups_sync(struct logstore *store, struct error *first)
{
    struct group *group;
    for (uint32_t number = 0; (group = group_after(store, number)) != NULL;) {
        struct error failure = {0};
        number = group->number;
        (void)group_sync_if_needed(group, &failure);
        store_keep_first(first, &failure);
        group_release(group);
    }
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

/* Commits, if the group isn't deleted in the same moment: ERROR_NOT_FOUND. */
static bool commit_to(struct group *group, const struct logstore_commit *commits, size_t count,
                      struct error *error)
{
    if (!group_lock(group, error))
        return false;
    struct moment now = moment_now();
    bool done =
        group_members_settle(group, &now, error) && commit_locked(group, commits, count, now.wall, error);
    group_unlock(group);
    return done && group_commit_wait(group, error);
}

bool logstore_commit(struct logstore *store, struct str name, const struct logstore_commit *commits,
                     size_t count, struct error *error)
{
    if (!store_check_writable(store, error))
        return false;
    for (bool again = true;; again = false) {
        struct group *group;
        if (!group_obtain(store, name, &group, error))
            return false;
        bool done = commit_to(group, commits, count, error);
        group_release(group);
        if (done || error->code != ERROR_NOT_FOUND || !again)
            return done;
        error_clear(error); /* deleted in the same moment: it is made anew */
    }
}

/* -1: nothing was committed. */
static bool find_committed(struct group *group, uint64_t identity, int64_t *offset, struct error *error)
{
    struct offsets_entry entry;
    bool found;
    pthread_mutex_lock(&group->mutex);
    offsets_locked(&group->offsets);
    bool done = offsets_find(&group->offsets, identity, &entry, &found, error);
    pthread_mutex_unlock(&group->mutex);
    *offset = done && found ? entry.offset : -1;
    return done;
}

bool logstore_committed(struct logstore *store, struct str name, struct str topic, uint32_t partition,
                        int64_t *offset, struct error *error)
{
    struct group *group;
    struct partition_view view;
    *offset = -1;
    if (!store_find(store, topic, partition, &view, error) || !group_find(store, name, &group, error))
        return false;
    bool done =
        group == NULL || find_committed(group, offsets_identity(view.place.topic, partition), offset, error);
    group_release(group);
    return done;
}
