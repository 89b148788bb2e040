#ifndef LOGSTORE_GROUP_H
#define LOGSTORE_GROUP_H

#include "logstore/offsets.h"
#include "logstore/store.h"

/* A group that this process has used. It stays as long as the store is open. */
struct group {
    struct logstore *store;
    uint32_t number;
    pthread_mutex_t mutex; /* held with the lock of the group; guards the rest */
    struct offsets offsets;
    bool unsynced; /* commits of this process await the interval */
};

enum { GROUP_NAME_MAX = 32768 };

/* Finds the group; NULL without an error: there is none. */
bool group_find(struct logstore *store, struct str name, struct group **group, struct error *error);

/* The same by its number. */
bool group_by_number(struct logstore *store, uint32_t number, struct group **group, struct error *error);

/* Finds the group, or makes it. */
bool group_obtain(struct logstore *store, struct str name, struct group **group, struct error *error);

/* Takes the lock of the group. */
bool group_lock(struct group *group, struct error *error);
void group_unlock(struct group *group);

/* Syncs the commits that await the interval. */
bool groups_sync(struct logstore *store, struct error *error);

void groups_free(struct logstore *store);

/* Brings the list of groups in memory up to date; the caller holds the store's mutex. */
bool groups_refresh(struct logstore *store, struct error *error);

#endif
