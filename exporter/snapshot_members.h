#ifndef TIDEMARK_SNAPSHOT_MEMBERS_H
#define TIDEMARK_SNAPSHOT_MEMBERS_H

#include "exporter/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who the members of a group are, for people to find the processes. A list is one run of bytes, so that it is
 * kept and copied as a name is: a cluster has many thousand members, and nearly all stay from poll to poll.
 */

/* What is listed of a group at most, however many and however long the names that its members give
 * themselves. */
enum { MEMBERS_LISTED = 100, MEMBER_LIST_BYTES = 64 * 1024 };

/* A list that is being made; an empty one to begin with is {0}. */
struct member_list {
    char *bytes; /* owned */
    size_t length, capacity;
    uint32_t count;
};

/* Kafka's client.id, and the host as the broker saw it; in a log store what the member says of itself. */
struct member {
    struct str client_id, host;
    int64_t
        assigned; /* partitions; 0: it has nothing to do; UNKNOWN: not known, as while a group rebalances */
};

/* Adds a member; its texts are copied. Left out when there is no place for it. */
void member_list_add(struct member_list *list, const struct member *member);

/* The list's bytes, valid until the next addition. */
struct str member_list_str(const struct member_list *list);

/* Frees the bytes and makes the list empty. */
void member_list_free(struct member_list *list);

/* Takes the next member off `rest`, the bytes of a list, into which its texts point. False: there is none. */
bool member_list_next(struct str *rest, struct member *member);

#endif
