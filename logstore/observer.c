#include "logstore/bytes.h"
#include "logstore/group.h"
#include "logstore/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The observer is a store opened for reading, and arrays in which it lays out what it saw. What those borrow
 * of the store (names) changes only when it is refreshed, which happens at the two functions that say so.
 */

enum { SLOTS_SIZE_MOST = 1 << 30, METADATA_MOST = 1 << 16, MEMBER_TEXTS_MOST = 1 << 30 };

/* Where a topic number's index is found; index UINT32_MAX: the place is free. */
struct number_place {
    uint32_t number, index;
};

struct logstore_observer {
    char *path;             /* owned */
    struct logstore *store; /* owned; NULL while there is none */
    dev_t device;           /* of the file `store`, to notice when the store is another one */
    ino_t inode;

    struct logstore_observed_topic *topics; /* owned, as are the following */
    struct logstore_observed_partition *partitions;
    struct number_place *numbers; /* a hash table; its size is a power of two */
    size_t topic_count, partition_count, number_size;

    struct logstore_observed_group *groups;
    struct error *failures;                   /* by group */
    struct logstore_observed_member *members; /* of all groups */
    struct buf member_texts;                  /* their ids, client ids and hosts, one after the other */
    size_t group_count, failure_count, member_count, member_capacity;

    struct logstore_observed_commit *commits;
    size_t commit_count, commit_capacity;
    uint32_t last_number, last_index; /* of the topic of the commit before: most often the next one's too */
    struct buf slots, metadata;
    struct logstore_reader *reader; /* for timestamps; NULL: not needed yet */
};

struct logstore_observer *logstore_observer_open(const char *path, struct error *error)
{
    struct logstore_observer *observer = calloc(1, sizeof *observer);
    char *copy = strdup(path);
    if (observer == NULL || copy == NULL) {
        free(observer);
        free(copy);
        error_set(error, ERROR_MEMORY, "no memory to observe %s", path);
        return NULL;
    }
    observer->path = copy;
    observer->slots = buf_make(SLOTS_SIZE_MOST);
    observer->metadata = buf_make(METADATA_MOST);
    observer->member_texts = buf_make(MEMBER_TEXTS_MOST);
    return observer;
}

static void forget_failures(struct logstore_observer *observer)
{
    for (size_t i = 0; i < observer->failure_count; i++)
        error_clear(&observer->failures[i]);
    observer->failure_count = 0;
}

/* Forgets the store; what was laid out of it is gone too. */
static void leave(struct logstore_observer *observer)
{
    observer->topic_count = observer->partition_count = observer->group_count = observer->commit_count = 0;
    free(observer->topics);
    observer->topics = NULL;
    logstore_reader_close(&observer->reader);
    logstore_close(&observer->store);
}

void logstore_observer_close(struct logstore_observer **observer)
{
    struct logstore_observer *closing = *observer;
    *observer = NULL;
    if (closing == NULL)
        return;
    leave(closing);
    forget_failures(closing);
    free(closing->failures);
    free(closing->partitions);
    free(closing->numbers);
    free(closing->groups);
    free(closing->members);
    free(closing->commits);
    buf_free(&closing->slots);
    buf_free(&closing->metadata);
    buf_free(&closing->member_texts);
    free(closing->path);
    free(closing);
}

/* Opens the store, or another one if that is in its place now. */
static bool enter(struct logstore_observer *observer, struct error *error)
{
    const struct logstore_options options = {.access = LOGSTORE_READ};
    struct stat status = {0};
    int directory = open(observer->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failure = directory < 0 || fstatat(directory, "store", &status, 0) != 0 ? errno : 0;
    if (directory >= 0)
        close(directory);
    if (failure != 0) {
        leave(observer);
        fsio_error(error, failure, "open log store", observer->path);
        return false;
    }
    if (observer->store != NULL && observer->device == status.st_dev && observer->inode == status.st_ino)
        return true;
    leave(observer);
    observer->store = logstore_open(observer->path, &options, error);
    observer->device = status.st_dev;
    observer->inode = status.st_ino;
    return observer->store != NULL;
}

static bool is_entered(const struct logstore_observer *observer, struct error *error)
{
    if (observer->store == NULL)
        error_set(error, ERROR_NOT_FOUND, "log store %s isn't open: its topics weren't observed",
                  observer->path);
    return observer->store != NULL;
}

/* --- topics and partitions -------------------------------------------------------------------------------
 */

/* Makes *array as large as `count` elements; what is in it is lost. */
static bool reserve(void **array, size_t count, size_t size, struct error *error)
{
    void *made = calloc(count == 0 ? 1 : count, size);
    if (made == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to observe the store");
        return false;
    }
    free(*array);
    *array = made;
    return true;
}

static struct number_place *number_place(const struct logstore_observer *observer, uint32_t number)
{
    size_t mask = observer->number_size - 1, at = (number * UINT32_C(2654435769)) & mask;
    while (observer->numbers[at].index != UINT32_MAX && observer->numbers[at].number != number)
        at = (at + 1) & mask;
    return &observer->numbers[at];
}

static bool note_numbers(struct logstore_observer *observer, struct error *error)
{
    const struct catalog *catalog = &observer->store->catalog;
    size_t size = 16;
    while (size < (size_t)4 * catalog->count)
        size *= 2;
    if (!reserve((void **)&observer->numbers, size, sizeof *observer->numbers, error))
        return false;
    observer->number_size = size;
    for (size_t i = 0; i < size; i++)
        observer->numbers[i].index = UINT32_MAX;
    for (uint32_t i = 0; i < catalog->count; i++)
        *number_place(observer, catalog->topics[i].number) =
            (struct number_place){catalog->topics[i].number, i};
    observer->last_number = 0; /* no topic has it */
    return true;
}

/* Lays out the topics of the catalog, their partitions not filled in yet. */
static bool lay_out(struct logstore_observer *observer, struct error *error)
{
    const struct catalog *catalog = &observer->store->catalog;
    size_t partitions = 0;
    for (uint32_t i = 0; i < catalog->count; i++)
        partitions += catalog->topics[i].partitions;
    observer->topic_count = 0;
    if (!reserve((void **)&observer->topics, catalog->count, sizeof *observer->topics, error) ||
        !reserve((void **)&observer->partitions, partitions, sizeof *observer->partitions, error) ||
        !note_numbers(observer, error))
        return false;
    observer->partition_count = partitions;
    struct logstore_observed_partition *next = observer->partitions;
    for (uint32_t i = 0; i < catalog->count; i++) {
        const struct topic *topic = &catalog->topics[i];
        struct logstore_observed_topic *observed = &observer->topics[i];
        *observed = (struct logstore_observed_topic){.name = topic->name,
                                                     .config = topic->config,
                                                     .partitions = next,
                                                     .partition_count = topic->partitions};
        topic_id(observer->store->id, topic->number, observed->id);
        next += topic->partitions;
    }
    observer->topic_count = catalog->count;
    return true;
}

/* Reads the whole file `partitions`. */
static bool read_slots(struct logstore_observer *observer, struct error *error)
{
    uint64_t size;
    size_t got;
    const struct file *file = &observer->store->partitions_file;
    if (!fsio_size(file, &size, error))
        return false;
    buf_reset(&observer->slots);
    char *room = size > SLOTS_SIZE_MOST ? NULL : buf_room(&observer->slots, (size_t)size);
    if (room == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to observe %llu bytes of partitions",
                  (unsigned long long)size);
        return false;
    }
    if (!fsio_read(file, room, (size_t)size, 0, &got, error))
        return false;
    buf_claim(&observer->slots, got);
    return true;
}

/* The slot of a topic's partition among those read; false when it can't be read, with an error, or is
 * another's by now. */
static bool find_slot(const struct logstore_observer *observer, const struct topic *topic, uint32_t partition,
                      struct slot *slot, struct error *error)
{
    uint32_t index = topic_slot(topic, partition);
    uint64_t position = SLOTS_BEGIN + (uint64_t)SLOT_SIZE * index;
    bool whole = position + SLOT_SIZE <= observer->slots.length &&
                 slot_decode((const uint8_t *)observer->slots.bytes + position, slot);
    /* It may have been half-written: once more. */
    if (!whole && !slot_read(&observer->store->partitions_file, index, slot, error))
        return false;
    return slot->topic == topic->number && slot->partition == partition;
}

static void fill_starts(struct logstore_observer *observer)
{
    struct logstore_observed_partition *observed = observer->partitions;
    for (size_t i = 0; i < observer->topic_count; i++) {
        const struct topic *topic = &observer->store->catalog.topics[i];
        for (uint32_t partition = 0; partition < topic->partitions; partition++, observed++) {
            struct slot slot;
            struct error ignored = {0}; /* logstore_observe_ends() will tell */
            *observed = (struct logstore_observed_partition){-1, -1, -1};
            bool found = find_slot(observer, topic, partition, &slot, &ignored);
            error_clear(&ignored);
            if (!found)
                continue;
            observed->start = slot.start;
            observed->start_timestamp = slot.start < slot.end ? slot.start_timestamp : -1;
        }
    }
}

bool logstore_observe_topics(struct logstore_observer *observer,
                             const struct logstore_observed_topic **topics, size_t *count,
                             struct error *error)
{
    if (!enter(observer, error))
        return false;
    uint64_t sequence = observer->store->catalog_document.sequence;
    pthread_mutex_lock(&observer->store->mutex);
    bool done = store_refresh(observer->store, error);
    pthread_mutex_unlock(&observer->store->mutex);
    bool same = done && observer->topics != NULL && observer->topic_count == observer->store->catalog.count &&
                sequence == observer->store->catalog_document.sequence;
    if (!same)
        observer->topic_count = 0; /* what they borrow has changed */
    if (!done || (!same && !lay_out(observer, error)) || !read_slots(observer, error))
        return false;
    fill_starts(observer);
    *topics = observer->topics;
    *count = observer->topic_count;
    return true;
}

bool logstore_observe_ends(struct logstore_observer *observer, struct error *error)
{
    if (!is_entered(observer, error) || !read_slots(observer, error))
        return false;
    size_t damaged = 0;
    struct logstore_observed_partition *observed = observer->partitions;
    for (size_t i = 0; i < observer->topic_count; i++) {
        const struct topic *topic = &observer->store->catalog.topics[i];
        for (uint32_t partition = 0; partition < topic->partitions; partition++, observed++) {
            struct slot slot = {0};
            struct error failure = {0};
            bool found = find_slot(observer, topic, partition, &slot, &failure);
            observed->end = found ? slot.end : -1;
            if (failure.code != ERROR_NONE && damaged++ == 0)
                *error = failure; /* the first one is told */
            else
                error_clear(&failure);
        }
    }
    if (damaged > 0)
        error_wrap(error, "%zu partitions can't be read", damaged);
    return damaged == 0;
}

int64_t logstore_observe_offsets_retention_ms(const struct logstore_observer *observer)
{
    return observer->store == NULL ? 0 : observer->store->catalog.offsets_retention_ms;
}

/* --- groups ----------------------------------------------------------------------------------------------
 */

static bool reserve_members(struct logstore_observer *observer, size_t count, struct error *error)
{
    if (count <= observer->member_capacity)
        return true;
    struct logstore_observed_member *members = realloc(observer->members, 2 * count * sizeof *members);
    if (members == NULL) {
        error_set(error, ERROR_MEMORY, "no memory to observe members");
        return false;
    }
    observer->members = members;
    observer->member_capacity = 2 * count;
    return true;
}

/* Notes those members that aren't gone. Their array and texts may still move, so for now the group tells only
 * how many, and the texts how long they are. */
static bool note_members(struct logstore_observer *observer, const struct membership *membership,
                         const struct moment *now, size_t *alive, struct error *error)
{
    *alive = 0;
    if (!reserve_members(observer, observer->member_count + membership->count, error))
        return false;
    for (uint32_t i = 0; i < membership->count; i++) {
        const struct member *member = &membership->members[i];
        if (member_gone_for(member, now) > 0)
            continue;
        observer->members[observer->member_count++] = (struct logstore_observed_member){
            .id = {NULL, member->id.length},
            .client_id = {NULL, member->client_id.length},
            .host = {NULL, member->host.length},
            .session_timeout_ms = member->session_timeout_ms,
            .max_poll_interval_ms = member->max_poll_interval_ms,
            .assigned = member_assigned(member),
        };
        buf_add_str(&observer->member_texts, member->id);
        buf_add_str(&observer->member_texts, member->client_id);
        buf_add_str(&observer->member_texts, member->host);
        ++*alive;
    }
    return true;
}

/* Gives the members their texts, and the groups their members. */
static void place_members(struct logstore_observer *observer)
{
    const char *text = observer->member_texts.bytes;
    for (size_t i = 0; i < observer->member_count; i++) {
        struct logstore_observed_member *member = &observer->members[i];
        member->id.bytes = text;
        member->client_id.bytes = member->id.bytes + member->id.length;
        member->host.bytes = member->client_id.bytes + member->client_id.length;
        text = member->host.bytes + member->host.length;
    }
    const struct logstore_observed_member *next = observer->members;
    for (size_t i = 0; i < observer->group_count; next += observer->groups[i++].member_count)
        observer->groups[i].members = next;
}

/* When the last of them was gone, as nobody has written it down yet. */
static int64_t last_gone(const struct membership *membership, const struct moment *now)
{
    int64_t shortest = INT64_MAX;
    for (uint32_t i = 0; i < membership->count; i++) {
        int64_t gone_for = member_gone_for(&membership->members[i], now);
        shortest = gone_for < shortest ? gone_for : shortest;
    }
    return now->wall - shortest;
}

static bool observe_members(struct logstore_observer *observer, struct group *group, const struct moment *now,
                            struct logstore_observed_group *observed, struct error *error)
{
    offsets_locked(&group->offsets); /* others write, though there is no lock */
    if (!group_members_load(group, error) || !group_members_load_times(group, error) ||
        !note_members(observer, &group->membership, now, &observed->member_count, error))
        return false;
    const struct membership *membership = &group->membership;
    bool empty = observed->member_count == 0;
    observed->state = empty ? LOGSTORE_GROUP_EMPTY : (enum logstore_group_state)membership->state;
    observed->generation = membership->generation;
    if (empty)
        observed->empty_since = membership->count == 0 ? membership->since : last_gone(membership, now);
    return true;
}

static bool observe_group(struct logstore_observer *observer, const struct group_name *name,
                          const struct moment *now, struct logstore_observed_group *observed,
                          struct error *error)
{
    struct group *group;
    if (!group_by_number(observer->store, name->number, &group, error))
        return false;
    bool done = observe_members(observer, group, now, observed, error);
    group_release(group);
    return done;
}

bool logstore_observe_groups(struct logstore_observer *observer,
                             const struct logstore_observed_group **groups, size_t *count,
                             struct error *error)
{
    if (!is_entered(observer, error))
        return false;
    observer->group_count = observer->member_count = 0;
    buf_reset(&observer->member_texts);
    pthread_mutex_lock(&observer->store->mutex);
    bool done = groups_refresh(observer->store, error);
    pthread_mutex_unlock(&observer->store->mutex);
    const struct group_list *list = &observer->store->group_list;
    struct moment now = moment_now();
    forget_failures(observer);
    if (!done || !reserve((void **)&observer->groups, list->count, sizeof *observer->groups, error) ||
        !reserve((void **)&observer->failures, list->count, sizeof *observer->failures, error))
        return false;
    observer->failure_count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        struct logstore_observed_group *observed = &observer->groups[i];
        *observed = (struct logstore_observed_group){
            .name = list->groups[i].name, .generation = -1, .empty_since = -1};
        if (!observe_group(observer, &list->groups[i], &now, observed, &observer->failures[i]))
            observed->failure = &observer->failures[i];
    }
    if (!buf_ok(&observer->member_texts)) {
        error_set(error, ERROR_MEMORY, "no memory to observe members");
        return false;
    }
    observer->group_count = list->count;
    place_members(observer);
    *groups = observer->groups;
    *count = observer->group_count;
    return true;
}

/* The group of this index, to be released; NULL: it can't be read. */
static struct group *group_of(struct logstore_observer *observer, size_t index, struct error *error)
{
    struct group *group = NULL;
    if (!is_entered(observer, error))
        return NULL;
    if (index >= observer->group_count) {
        error_set(error, ERROR_USAGE, "there is no group %zu: %zu were observed", index,
                  observer->group_count);
        return NULL;
    }
    if (group_by_number(observer->store, observer->store->group_list.groups[index].number, &group, error))
        return group;
    error_wrap(error, "group %zu", index);
    return NULL;
}

static bool find_topic(struct logstore_observer *observer, uint32_t number, uint32_t *index)
{
    if (number != observer->last_number) {
        observer->last_number = number;
        observer->last_index = number_place(observer, number)->index;
    }
    *index = observer->last_index;
    return *index != UINT32_MAX;
}

static void note_commits(void *context, uint32_t slot, const struct offsets_entry *entries, size_t count)
{
    struct logstore_observer *observer = context;
    struct logstore_observed_commit *next = observer->commits + observer->commit_count;
    (void)slot;
    if (count > observer->commit_capacity - observer->commit_count)
        count = observer->commit_capacity - observer->commit_count;
    for (size_t i = 0; i < count; i++) {
        const struct offsets_entry *entry = &entries[i];
        uint32_t topic, partition = (uint32_t)entry->identity, number = (uint32_t)(entry->identity >> 32);
        if (number == 0)
            continue; /* a member's signs of life */
        if (!find_topic(observer, number, &topic) || partition >= observer->topics[topic].partition_count)
            continue;
        uint64_t metadata =
            entry->flags & OFFSETS_METADATA ? (uint64_t)entry->sequence << 32 | entry->region : 0;
        *next++ = (struct logstore_observed_commit){topic, partition, entry->offset, entry->time, metadata};
    }
    observer->commit_count = (size_t)(next - observer->commits);
}

/* Room for as many commits as the file can hold. */
static bool reserve_commits(struct logstore_observer *observer, const struct offsets *offsets,
                            struct error *error)
{
    uint64_t size;
    observer->commit_count = 0;
    if (!fsio_size(&offsets->file, &size, error))
        return false;
    size_t most = (size_t)(size / OFFSETS_SLOT_SIZE);
    if (most <= observer->commit_capacity)
        return true;
    if (!reserve((void **)&observer->commits, most, sizeof *observer->commits, error))
        return false;
    observer->commit_capacity = most;
    return true;
}

bool logstore_observe_commits(struct logstore_observer *observer, size_t group,
                              const struct logstore_observed_commit **commits, size_t *count,
                              struct error *error)
{
    struct group *file = group_of(observer, group, error);
    bool done = file != NULL && reserve_commits(observer, &file->offsets, error) &&
                offsets_each(&file->offsets, note_commits, observer, error);
    group_release(file);
    *commits = observer->commits;
    *count = observer->commit_count;
    return done;
}

bool logstore_observe_metadata(struct logstore_observer *observer, size_t group,
                               const struct logstore_observed_commit *commit, struct str *metadata,
                               struct error *error)
{
    if (commit->topic >= observer->topic_count) {
        error_set(error, ERROR_USAGE, "there is no topic %u", commit->topic);
        return false;
    }
    struct group *file = group_of(observer, group, error);
    if (file == NULL)
        return false;
    struct offsets_entry entry = {
        .identity =
            offsets_identity(observer->store->catalog.topics[commit->topic].number, commit->partition),
        .region = (uint32_t)commit->metadata,
        .sequence = (uint16_t)(commit->metadata >> 32),
        .flags = commit->metadata != 0 ? OFFSETS_METADATA : 0,
    };
    bool done = offsets_metadata(&file->offsets, &entry, &observer->metadata, error);
    group_release(file);
    *metadata = buf_str(&observer->metadata);
    return done;
}

/* --- timestamps ------------------------------------------------------------------------------------------
 */

bool logstore_observe_timestamp(struct logstore_observer *observer, uint32_t topic, uint32_t partition,
                                int64_t offset, int64_t *timestamp, struct error *error)
{
    if (!is_entered(observer, error))
        return false;
    if (topic >= observer->topic_count || partition >= observer->topics[topic].partition_count ||
        offset < 0) {
        error_set(error, ERROR_USAGE, "there is no such topic, partition or offset");
        return false;
    }
    struct logstore_record record;
    struct partition_view view;
    store_view(observer->store, &observer->store->catalog.topics[topic], partition, &view);
    if (observer->reader == NULL)
        observer->reader = reader_new(observer->store, &view, offset, error);
    else
        reader_move(observer->reader, &view, offset);
    enum logstore_read read =
        observer->reader == NULL ? LOGSTORE_READ_FAILED : reader_read_from(observer->reader, &record, error);
    if (read != LOGSTORE_READ_FAILED)
        *timestamp = read == LOGSTORE_READ_RECORD ? record.timestamp : -1;
    return read != LOGSTORE_READ_FAILED;
}
