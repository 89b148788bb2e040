#ifndef LOGSTORE_GROUP_LIST_H
#define LOGSTORE_GROUP_LIST_H

#include "exporter/base/buf.h"
#include "exporter/base/error.h"

#include <stdint.h>

struct group_name {
    uint32_t number; /* never used twice */
    struct str name; /* points into the bytes that were decoded, or to what the caller put there */
};

/* The groups of a store, sorted by name: what the document `groups` holds. */
struct group_list {
    uint32_t next_number;
    struct group_name *groups; /* owned */
    uint32_t count;
};

/* Reads the document's bytes, which must outlive the list; an empty one to begin with is {0}. On failure,
 * ERROR_CORRUPT, the list is unchanged. */
bool group_list_decode(struct group_list *list, struct str bytes, struct error *error);
void group_list_encode(const struct group_list *list, struct buf *bytes);
void group_list_free(struct group_list *list);

/* NULL when there is none. */
struct group_name *group_list_find(const struct group_list *list, struct str name);

/* Inserts a group with a new number; NULL: no memory. */
struct group_name *group_list_insert(struct group_list *list, struct str name);
void group_list_remove(struct group_list *list, struct group_name *group);

#endif
