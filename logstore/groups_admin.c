#include "logstore/group.h"
#include "logstore/leftovers.h"
#include "logstore/quote.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_SIZE_MOST = 1 << 30 };

/* --- resets ----------------------------------------------------------------------------------------------
 */

/* Where the group would stand; the caller clamps it. */
static bool find_target(struct logstore *store, struct str topic, uint32_t partition,
                        enum logstore_target target, int64_t value, int64_t before, int64_t start,
                        int64_t end, int64_t *after, struct error *error)
{
    switch (target) {
    case LOGSTORE_TO_EARLIEST:
        *after = start;
        return true;
    case LOGSTORE_TO_LATEST:
        *after = end;
        return true;
    case LOGSTORE_TO_OFFSET:
        *after = value;
        return true;
    case LOGSTORE_TO_TIME:
        return logstore_offset_for_time(store, topic, partition, value, after, error);
    case LOGSTORE_BY_SHIFT:
        if (before < 0) {
            error_set(error, ERROR_USAGE, "partition %u can't be shifted: nothing was committed on it",
                      partition);
            return false;
        }
        if (__builtin_add_overflow(before, value, after))
            *after = value < 0 ? start : end;
        return true;
    }
    error_set(error, ERROR_USAGE, "there is no such way to reset");
    return false;
}

static bool reset_locked(struct group *group, const struct partition_view *view,
                         const struct logstore_commit *commit, enum logstore_target target, bool dry_run,
                         struct logstore_reset_result *result, struct error *error)
{
    struct offsets_entry entry = {.identity = offsets_identity(view->place.topic, commit->partition)}, before;
    struct moment now = moment_now();
    int64_t start, end;
    bool found;
    if (!group_members_settle(group, &now, error) || !group_check_empty(group, error) ||
        !offsets_find(&group->offsets, entry.identity, &before, &found, error) ||
        !logstore_offsets(group->store, commit->topic, commit->partition, &start, &end, error))
        return false;
    result->before = found ? before.offset : -1;
    if (!find_target(group->store, commit->topic, commit->partition, target, commit->offset, result->before,
                     start, end, &result->after, error))
        return false;
    result->after = result->after < start ? start : result->after > end ? end : result->after;
    if (dry_run)
        return true;
    entry.offset = result->after;
    entry.time = now.wall;
    group->unsynced = true;
    return offsets_put(&group->offsets, &entry, STR_LITERAL(""), error);
}

static bool reset_group(struct group *group, const struct partition_view *view,
                        const struct logstore_commit *commit, enum logstore_target target, bool dry_run,
                        struct logstore_reset_result *result, struct error *error)
{
    if (!group_lock(group, error))
        return false;
    bool done = reset_locked(group, view, commit, target, dry_run, result, error);
    group_unlock(group);
    return done && (dry_run || group_commit_wait(group, error));
}

bool logstore_reset_group(struct logstore *store, struct str name, struct str topic, uint32_t partition,
                          enum logstore_target target, int64_t value, bool dry_run,
                          struct logstore_reset_result *result, struct error *error)
{
    struct group *group;
    struct quoted quoted;
    struct partition_view view;
    struct logstore_commit commit = {.topic = topic, .partition = partition, .offset = value};
    if (!store_check_writable(store, error) || !store_find(store, topic, partition, &view, error) ||
        !group_find(store, name, &group, error))
        return false;
    if (group == NULL) {
        error_set(error, ERROR_NOT_FOUND, "there is no group %s", quote(name, &quoted));
        return false;
    }
    bool done = reset_group(group, &view, &commit, target, dry_run, result, error);
    group_release(group);
    return done;
}

/* --- deleting --------------------------------------------------------------------------------------------
 */

/* The files of a group that isn't listed any more; who still has them open sees that it is dead. */
static bool remove_files(const struct logstore *store, uint32_t number, struct error *error)
{
    char folder[32];
    snprintf(folder, sizeof folder, "group/%08x", number);
    return fsio_remove_tree(store->directory, folder, 1, error);
}

/* Takes the group out of the list. The caller holds the locks of the store's lists and of the group. */
static bool unlist(struct document *document, struct str name, struct error *error)
{
    struct group_list list = {0};
    struct buf before = buf_make(LIST_SIZE_MOST), after = buf_make(LIST_SIZE_MOST);
    bool done = document_read(document, &before, error) && group_list_decode(&list, buf_str(&before), error);
    struct group_name *listed = done ? group_list_find(&list, name) : NULL;
    if (listed != NULL) {
        group_list_remove(&list, listed);
        group_list_encode(&list, &after);
        done = buf_ok(&after);
        if (!done)
            error_set(error, ERROR_MEMORY, "no memory for the list of groups");
        done = done && document_write(document, buf_str(&after), error);
    }
    group_list_free(&list);
    buf_free(&before);
    buf_free(&after);
    return done;
}

/* From then on nobody commits to it, even who has it open. */
static bool declare_dead(struct group *group, struct error *error)
{
    struct moment now = moment_now();
    if (!group_members_settle(group, &now, error) || !group_check_empty(group, error))
        return false;
    group->membership.state = LOGSTORE_GROUP_DEAD;
    return group_members_save(group, error);
}

/* In this order, so that whoever dies on the way leaves either what is still a group, or something that says
 * that it is none; group_obtain() then ends the work. */
static bool delete_locked(struct group *group, struct document *document, struct str name, bool alive_too,
                          struct error *error)
{
    if (!group_members_load(group, error))
        return false;
    if (group->membership.state != LOGSTORE_GROUP_DEAD) {
        if (!alive_too)
            return true;
        if (!declare_dead(group, error))
            return false;
    }
    pthread_mutex_lock(&group->store->mutex);
    group->deleted = true;
    pthread_mutex_unlock(&group->store->mutex);
    return unlist(document, name, error) && remove_files(group->store, group->number, error);
}

/* Finds the group while the list is locked, and does the work. */
static bool delete_listed(struct logstore *store, struct document *document, struct str name, bool alive_too,
                          struct error *error)
{
    struct group *group;
    struct quoted quoted;
    if (!group_find(store, name, &group, error))
        return false;
    if (group == NULL && alive_too)
        error_set(error, ERROR_NOT_FOUND, "there is no group %s", quote(name, &quoted));
    if (group == NULL)
        return !alive_too;
    bool done = group_lock(group, error);
    if (done) {
        done = delete_locked(group, document, name, alive_too, error);
        group_unlock(group);
    }
    group_release(group);
    return done;
}

static bool delete_group(struct logstore *store, struct str name, bool alive_too, struct error *error)
{
    struct file lock = FILE_CLOSED;
    struct document document = {.file = FILE_CLOSED};
    struct head head = group_head(store);
    bool done = store_check_writable(store, error) &&
                fsio_open(&lock, store->directory, "lock", O_RDWR, error) && fsio_lock(&lock, 0, error) &&
                document_open(&document, store->directory, "groups", O_RDWR, &head, error) &&
                delete_listed(store, &document, name, alive_too, error);
    document_close(&document);
    fsio_close(&lock);
    return done;
}

bool logstore_delete_group(struct logstore *store, struct str name, struct error *error)
{
    return delete_group(store, name, true, error);
}

bool group_bury(struct logstore *store, struct str name, struct error *error)
{
    return delete_group(store, name, false, error);
}

/* --- expiry ----------------------------------------------------------------------------------------------
 */

struct outdated {
    int64_t before; /* commits of that time or earlier are */
    const struct catalog *catalog;
    uint32_t topic;       /* of the commit before: most often the next one's too; 0: none */
    bool listed;          /* that topic is */
    uint64_t *identities; /* owned */
    size_t count, capacity, kept;
    bool failed;
};

/* Commits on a topic that was deleted go at once: its number never comes back. */
static bool has_topic(struct outdated *outdated, uint32_t topic)
{
    if (outdated->topic != topic) {
        outdated->topic = topic;
        outdated->listed = catalog_find_number(outdated->catalog, topic) != NULL;
    }
    return outdated->listed;
}

static bool reserve_outdated(struct outdated *outdated)
{
    if (outdated->count < outdated->capacity)
        return true;
    size_t capacity = outdated->capacity == 0 ? 64 : 2 * outdated->capacity;
    uint64_t *identities = realloc(outdated->identities, capacity * sizeof *identities);
    if (identities == NULL)
        return false;
    outdated->identities = identities;
    outdated->capacity = capacity;
    return true;
}

static void note_outdated(void *context, uint32_t slot, const struct offsets_entry *entries, size_t count)
{
    struct outdated *outdated = context;
    (void)slot;
    for (size_t i = 0; i < count && !outdated->failed; i++) {
        uint32_t topic = (uint32_t)(entries[i].identity >> 32);
        if (topic == 0)
            continue; /* a member's signs of life */
        if (entries[i].time > outdated->before && has_topic(outdated, topic))
            outdated->kept++;
        else if (reserve_outdated(outdated))
            outdated->identities[outdated->count++] = entries[i].identity;
        else
            outdated->failed = true;
    }
}

static bool find_outdated(struct group *group, struct outdated *outdated, struct error *error)
{
    struct logstore *store = group->store;
    pthread_mutex_lock(&store->mutex);
    outdated->catalog = &store->catalog;
    bool done = offsets_each(&group->offsets, note_outdated, outdated, error);
    pthread_mutex_unlock(&store->mutex);
    if (done && outdated->failed)
        error_set(error, ERROR_MEMORY, "no memory to expire offsets");
    return done && !outdated->failed;
}

/* As in Kafka: the offsets of a group that has been empty for long enough, if they are as old themselves.
 * *none: nothing is left of the group. */
static bool expire_locked(struct group *group, int64_t retention_ms, bool *none, struct error *error)
{
    struct moment now = moment_now();
    struct outdated outdated = {.before = now.wall - retention_ms};
    *none = false;
    if (!group_members_settle(group, &now, error))
        return false;
    bool unused = group->membership.count == 0 && group->membership.since <= outdated.before;
    if (!unused)
        outdated.before = INT64_MIN;
    bool done = find_outdated(group, &outdated, error);
    for (size_t i = 0; done && i < outdated.count; i++)
        done = offsets_delete(&group->offsets, outdated.identities[i], error);
    free(outdated.identities);
    *none = done && unused && outdated.kept == 0;
    return done;
}

static bool expire_open(struct group *group, bool *none, struct error *error)
{
    struct logstore *store = group->store;
    pthread_mutex_lock(&store->mutex);
    int64_t retention_ms = store->catalog.offsets_retention_ms;
    pthread_mutex_unlock(&store->mutex);
    if (!group_lock(group, error))
        return false;
    bool done = expire_locked(group, retention_ms, none, error);
    group_unlock(group);
    return done;
}

static bool expire_group(struct logstore *store, struct str name, struct error *error)
{
    struct group *group;
    bool none = false;
    if (!group_find(store, name, &group, error))
        return false;
    if (group == NULL)
        return true;
    bool done = expire_open(group, &none, error);
    group_release(group);
    if (!done && error->code == ERROR_NOT_FOUND) {
        error_clear(error);
        return group_bury(store, name, error);
    }
    return done && (!none || logstore_delete_group(store, name, error));
}

/* Owned copies of all groups' names; NULL: none, or no memory. */
static struct buf *copy_names(struct logstore *store, size_t *count, struct error *error)
{
    pthread_mutex_lock(&store->mutex);
    struct buf *names = NULL;
    *count = 0;
    if (groups_refresh(store, error)) {
        names = calloc(store->group_list.count + (size_t)1, sizeof *names);
        for (; names != NULL && *count < store->group_list.count; ++*count) {
            names[*count] = buf_make(GROUP_NAME_MAX);
            buf_add_str(&names[*count], store->group_list.groups[*count].name);
        }
        if (names == NULL)
            error_set(error, ERROR_MEMORY, "no memory for the names of groups");
    }
    pthread_mutex_unlock(&store->mutex);
    return names;
}

bool logstore_expire_offsets(struct logstore *store, struct error *error)
{
    size_t count;
    if (!store_check_writable(store, error) || !leftovers_remove(store, error))
        return false;
    struct buf *names = copy_names(store, &count, error);
    bool done = names != NULL;
    for (size_t i = 0; done && i < count; i++) {
        done = expire_group(store, buf_str(&names[i]), error);
        if (!done && (error->code == ERROR_NOT_FOUND || error->code == ERROR_CONFLICT)) {
            error_clear(error); /* it went, or came to life, in the same moment */
            done = true;
        }
    }
    for (size_t i = 0; names != NULL && i < count; i++)
        buf_free(&names[i]);
    free(names);
    return done;
}
