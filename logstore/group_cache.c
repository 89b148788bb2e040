#include "logstore/group.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

/*
 * Which groups have their files open: those that somebody uses, and of the others those that were used last,
 * so that a store may have more groups than a process may have descriptors.
 */

enum { OPEN_LEAST = 128, OPEN_MOST = 4096, DESCRIPTORS_EACH = 3, SHARE = 8 };

/* To open a group costs twenty times as much as to look at one that is. */
size_t groups_open_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return OPEN_LEAST;
    rlim_t most = limit.rlim_cur / SHARE / DESCRIPTORS_EACH;
    return most < OPEN_LEAST ? OPEN_LEAST : most > OPEN_MOST ? OPEN_MOST : (size_t)most;
}

static struct group *open_group(struct logstore *store, uint32_t number, struct error *error)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a group");
        return NULL;
    }
    struct head head = group_head(store);
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

static void close_group(struct group *group)
{
    offsets_close(&group->offsets);
    group_members_close(group);
    pthread_mutex_destroy(&group->mutex);
    free(group);
}

/* In what follows the caller holds the store's mutex, where nothing else is said. */

/* Where the group is among those that are open, or would be. */
static size_t index_of(const struct logstore *store, uint32_t number)
{
    size_t from = 0, to = store->group_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (store->groups[middle]->number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool reserve(struct logstore *store, struct error *error)
{
    if (store->group_count < store->group_capacity)
        return true;
    size_t capacity = 2 * store->group_capacity + 16;
    struct group **groups = realloc(store->groups, capacity * sizeof(struct group *));
    if (groups == NULL) {
        error_set(error, ERROR_MEMORY, "no memory for a group");
        return false;
    }
    store->groups = groups;
    store->group_capacity = capacity;
    return true;
}

static struct group *find_or_open(struct logstore *store, uint32_t number, struct error *error)
{
    size_t index = index_of(store, number);
    if (index < store->group_count && store->groups[index]->number == number)
        return store->groups[index];
    struct group *group = reserve(store, error) ? open_group(store, number, error) : NULL;
    if (group == NULL)
        return NULL;
    memmove(store->groups + index + 1, store->groups + index,
            (store->group_count - index) * sizeof(struct group *));
    store->groups[index] = group;
    store->group_count++;
    return group;
}

/* Gives a group back; closes it when it was the last to use it, and `closes`. But not where others have
 * committed meanwhile, if that is still wanted: who syncs the store looks for it among what is open. */
static void put_back(struct group *group, bool closes)
{
    struct logstore *store = group->store;
    if (--group->users > 0 || !closes || (group->unsynced && !group->deleted))
        return;
    size_t index = index_of(store, group->number);
    memmove(store->groups + index, store->groups + index + 1,
            (store->group_count - index - 1) * sizeof(struct group *));
    store->group_count--;
    close_group(group);
}

/* The group that was used before all others that nobody uses now; NULL: none. */
static struct group *least_used(const struct logstore *store)
{
    struct group *found = NULL;
    for (size_t i = 0; i < store->group_count; i++) {
        struct group *group = store->groups[i];
        if (group->users == 0 && (found == NULL || group->used < found->used))
            found = group;
    }
    return found;
}

/* Closes groups that nobody uses until there is room for another one. The caller doesn't hold the mutex,
 * since what awaits a sync has to get it first. One that can't be synced stays open, so that whoever syncs
 * the store is told; it counts as just used, and then it is another one's turn. */
static void make_room(struct logstore *store)
{
    for (bool done = true; done;) {
        struct error untold = {0};
        pthread_mutex_lock(&store->mutex);
        struct group *victim = store->group_count < store->groups_open_most ? NULL : least_used(store);
        if (victim != NULL)
            victim->users++;
        pthread_mutex_unlock(&store->mutex);
        if (victim == NULL)
            return;
        done = group_sync_if_needed(victim, &untold);
        error_clear(&untold);
        pthread_mutex_lock(&store->mutex);
        victim->used = ++store->group_turns;
        put_back(victim, done);
        pthread_mutex_unlock(&store->mutex);
    }
}

bool group_by_number(struct logstore *store, uint32_t number, struct group **group, struct error *error)
{
    make_room(store);
    pthread_mutex_lock(&store->mutex);
    *group = find_or_open(store, number, error);
    if (*group != NULL)
        (*group)->users++;
    pthread_mutex_unlock(&store->mutex);
    return *group != NULL;
}

struct group *group_after(struct logstore *store, uint32_t number)
{
    pthread_mutex_lock(&store->mutex);
    size_t index = index_of(store, number + 1);
    struct group *group = index < store->group_count ? store->groups[index] : NULL;
    if (group != NULL)
        group->users++;
    pthread_mutex_unlock(&store->mutex);
    return group;
}

void group_release(struct group *group)
{
    if (group == NULL)
        return;
    struct logstore *store = group->store;
    pthread_mutex_lock(&store->mutex);
    group->used = ++store->group_turns;
    put_back(group, group->deleted);
    pthread_mutex_unlock(&store->mutex);
}

void groups_close(struct logstore *store)
{
    for (size_t i = 0; i < store->group_count; i++)
        close_group(store->groups[i]);
    free(store->groups);
}
