#ifndef LOGSTORE_GROUP_H
#define LOGSTORE_GROUP_H

#include "logstore/membership.h"
#include "logstore/offsets.h"
#include "logstore/store.h"

/* A group whose files are open. It stays so while somebody uses it, and then until many others were used. */
struct group {
    struct logstore *store;
    uint32_t number;
    unsigned users;        /* this and the next two are guarded by the store's mutex */
    uint64_t used;         /* the turn at which it was used last */
    bool deleted;          /* nobody will want it again */
    pthread_mutex_t mutex; /* held with the lock of the group; guards the rest */
    struct offsets offsets;
    struct document members_document;
    struct buf members_bytes;
    struct membership membership; /* as read last */
    bool unsynced;                /* commits of this process await a sync */
    unsigned failed_syncs;        /* ever */
    unsigned mended_syncs;        /* how many of them left nothing behind that isn't on the disk by now */
};

enum { GROUP_NAME_MAX = 32768 };

/* Finds the group; NULL without an error: there is none. Whoever got one gives it back by group_release(). */
bool group_find(struct logstore *store, struct str name, struct group **group, struct error *error);

/* The same by its number. ERROR_NOT_FOUND: its files are gone. */
bool group_by_number(struct logstore *store, uint32_t number, struct group **group, struct error *error);

/* Finds the group, or makes it. */
bool group_obtain(struct logstore *store, struct str name, struct group **group, struct error *error);

/* NULL is fine. */
void group_release(struct group *group);

/* The open group with the next number after that one; NULL: there is none. */
struct group *group_after(struct logstore *store, uint32_t number);

/* The head of a group's files, but for kind and number. */
struct head group_head(const struct logstore *store);

/* Takes the lock of the group. */
bool group_lock(struct group *group, struct error *error);
void group_unlock(struct group *group);

/* --- group_members.c: the caller holds the lock, or only reads the store ----------------------------------
 */

/* Makes the document of a new group. */
bool group_members_create(int directory, const struct head *head, uint32_t number, struct error *error);
bool group_members_open(struct group *group, const struct head *head, int flags, struct error *error);
void group_members_close(struct group *group);

/* Brings group->membership up to date, without the members' slots. */
bool group_members_load(struct group *group, struct error *error);

/* Reads the members' last signs of life. */
bool group_members_load_times(struct group *group, struct error *error);

/* Writes down group->membership. */
bool group_members_save(struct group *group, struct error *error);

/* Loads, evicts members that are gone, begins a rebalance where partitions were added, ends one where all
 * have joined; and writes that down. */
bool group_members_settle(struct group *group, const struct moment *now, struct error *error);

/* Writes down a member's sign of life; both times as of moment.run. */
bool group_member_touch(struct group *group, uint32_t number, int64_t last_poll, int64_t last_heartbeat,
                        struct error *error);

/* Syncs the commits that await it, of one group; or of all, which adds the first failure to `first`, if there
 * is none in it. */
bool group_sync_if_needed(struct group *group, struct error *error);
void groups_sync(struct logstore *store, struct error *first);

/* Ends the deletion of a group that was declared dead; does nothing where that isn't so. */
bool group_bury(struct logstore *store, struct str name, struct error *error);

/* ERROR_CONFLICT: whoever commits from outside must not get in the way of members. */
bool group_check_empty(const struct group *group, struct error *error);

/* What a commit waits for in the store's mode; without the lock. */
bool group_commit_wait(struct group *group, struct error *error);

void groups_close(struct logstore *store);

/* How many groups a store keeps open: an eighth of the descriptors that the process may have now are theirs,
 * but 128 groups are kept in any case. */
size_t groups_open_most(void);

/* Brings the list of groups in memory up to date; the caller holds the store's mutex. */
bool groups_refresh(struct logstore *store, struct error *error);

#endif
