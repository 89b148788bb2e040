#include "logstore/group.h"

#include <fcntl.h>
#include <stdio.h>

enum { MEMBERS_SIZE_MOST = 1 << 28, NAME_SIZE = 32 };

static void document_name(char name[NAME_SIZE], uint32_t number)
{
    snprintf(name, NAME_SIZE, "group/%08x/members", number);
}

bool group_members_create(int directory, const struct head *head, uint32_t number, struct error *error)
{
    char name[NAME_SIZE];
    struct head own = *head;
    struct buf bytes = buf_make(MEMBERS_SIZE_MOST);
    own.owner = number;
    document_name(name, number);
    membership_encode(&(struct membership){.since = head->made, .next_number = 1}, &bytes);
    bool done = buf_ok(&bytes);
    if (!done)
        error_set(error, ERROR_MEMORY, "no memory for a group");
    done = done && document_create(directory, name, &own, buf_str(&bytes), error);
    buf_free(&bytes);
    return done;
}

bool group_members_open(struct group *group, const struct head *head, int flags, struct error *error)
{
    char name[NAME_SIZE];
    struct head own = *head;
    own.owner = group->number;
    document_name(name, group->number);
    group->members_bytes = buf_make(MEMBERS_SIZE_MOST);
    return document_open(&group->members_document, group->store->directory, name, flags, &own, error);
}

void group_members_close(struct group *group)
{
    document_close(&group->members_document);
    membership_free(&group->membership);
    buf_free(&group->members_bytes);
}

/* Makes the bytes, which are taken over, what the membership is decoded from. */
static bool adopt(struct group *group, struct buf *bytes, struct error *error)
{
    if (!membership_decode(&group->membership, buf_str(bytes), error)) {
        error_wrap(error, "%s", group->members_document.file.name);
        group->members_document.sequence = 0; /* to be read again */
        buf_free(bytes);
        return false;
    }
    buf_free(&group->members_bytes);
    group->members_bytes = *bytes;
    return true;
}

bool group_members_load(struct group *group, struct error *error)
{
    bool changed;
    struct buf bytes = buf_make(MEMBERS_SIZE_MOST);
    if (!document_changed(&group->members_document, &changed, error))
        return false;
    if (!changed)
        return true;
    if (document_read(&group->members_document, &bytes, error))
        return adopt(group, &bytes, error);
    group->members_document.sequence = 0;
    buf_free(&bytes);
    return false;
}

bool group_members_load_times(struct group *group, struct error *error)
{
    for (uint32_t i = 0; i < group->membership.count; i++) {
        struct member *member = &group->membership.members[i];
        struct offsets_entry entry;
        bool found;
        if (!offsets_find(&group->offsets, offsets_identity(0, member->number), &entry, &found, error))
            return false;
        member->last_poll = found ? entry.offset : 0;
        member->last_heartbeat = found ? entry.time : 0;
    }
    return true;
}

bool group_members_save(struct group *group, struct error *error)
{
    struct buf bytes = buf_make(MEMBERS_SIZE_MOST);
    membership_encode(&group->membership, &bytes);
    bool done = buf_ok(&bytes);
    if (!done)
        error_set(error, ERROR_MEMORY, "no memory for the members of a group");
    done = done && document_write(&group->members_document, buf_str(&bytes), error);
    if (done)
        return adopt(group, &bytes, error) && group_members_load_times(group, error);
    group->members_document.sequence = 0; /* what is in memory is not what is on the disk */
    buf_free(&bytes);
    return false;
}

bool group_member_touch(struct group *group, uint32_t number, int64_t last_poll, int64_t last_heartbeat,
                        struct error *error)
{
    struct offsets_entry entry = {
        .identity = offsets_identity(0, number), .offset = last_poll, .time = last_heartbeat};
    return offsets_put(&group->offsets, &entry, STR_LITERAL(""), error);
}

/* Removes those who are gone; what they leave behind in `offsets` is freed once they are out of the document.
 */
static bool evict(struct group *group, const struct moment *now)
{
    struct membership *membership = &group->membership;
    bool any = false;
    for (uint32_t i = 0; i < membership->count;)
        if (member_gone_for(&membership->members[i], now) > 0) {
            membership_remove(membership, &membership->members[i], now->wall);
            any = true;
        } else {
            i++;
        }
    return any;
}

struct leftovers {
    struct group *group;
    uint64_t found; /* the identity of one; 0: none */
};

static void note_leftovers(void *context, uint32_t slot, const struct offsets_entry *entries, size_t count)
{
    struct leftovers *leftovers = context;
    (void)slot;
    for (size_t i = 0; i < count; i++)
        if (entries[i].identity >> 32 == 0 &&
            membership_find(&leftovers->group->membership, (uint32_t)entries[i].identity) == NULL)
            leftovers->found = entries[i].identity;
}

/* Frees the slots of members that are no more. */
static bool free_leftovers(struct group *group, struct error *error)
{
    for (;;) {
        struct leftovers leftovers = {group, 0};
        if (!offsets_each(&group->offsets, note_leftovers, &leftovers, error))
            return false;
        if (leftovers.found == 0)
            return true;
        if (!offsets_delete(&group->offsets, leftovers.found, error))
            return false;
    }
}

bool group_members_settle(struct group *group, const struct moment *now, struct error *error)
{
    bool completed, changed;
    struct logstore *store = group->store;
    struct membership *membership = &group->membership;
    if (!group_members_load(group, error) || !group_members_load_times(group, error))
        return false;
    if (membership->state == LOGSTORE_GROUP_DEAD) {
        error_set(error, ERROR_NOT_FOUND, "the group was deleted in the same moment");
        return false;
    }
    bool evicted = evict(group, now);
    pthread_mutex_lock(&store->mutex);
    bool done = store_refresh(store, error);
    changed = evicted;
    if (done && membership->state == LOGSTORE_GROUP_STABLE &&
        membership->basis != membership_basis(membership, &store->catalog)) {
        membership_begin_rebalance(membership, now->wall);
        changed = true;
    }
    done = done && membership_complete(membership, &store->catalog, now->wall, &completed, error);
    pthread_mutex_unlock(&store->mutex);
    if (!done) {
        group->members_document.sequence = 0;
        return false;
    }
    if ((changed || completed) && !group_members_save(group, error))
        return false;
    return !evicted || free_leftovers(group, error);
}
