#ifndef LOGSTORE_MEMBERSHIP_H
#define LOGSTORE_MEMBERSHIP_H

#include "logstore/catalog.h"
#include "logstore/moment.h"

/* Of a group that was deleted while somebody had its files open; nobody outside gets to see it. */
enum { LOGSTORE_GROUP_DEAD = LOGSTORE_GROUP_STABLE + 1 };

/* A run of neighbouring partitions that a member reads. */
struct assigned_run {
    uint32_t topic; /* number */
    uint32_t first, count;
};

struct member {
    uint32_t number; /* never used twice within the group */
    bool joined;     /* ready for the next generation */
    enum logstore_assignor assignor;
    int64_t session_timeout_ms, max_poll_interval_ms;
    uint64_t boot;                  /* in which it joined, and its process lives; 0: unknown */
    struct str id, client_id, host; /* borrowed, as are the topics' names */
    struct str *topics;             /* owned: what it wants to read */
    uint32_t topic_count;
    struct assigned_run *runs; /* owned */
    uint32_t run_count;
    int64_t last_poll, last_heartbeat; /* moment.run, from the member's slot; not in the document */
};

/* Who reads for a group: what the document `members` holds. Without a coordinator: whoever holds the group's
 * lock moves it on. */
struct membership {
    unsigned state; /* enum logstore_group_state, or LOGSTORE_GROUP_DEAD */
    int64_t generation;
    int64_t since;  /* when the state was entered, by the wall clock */
    uint64_t basis; /* of topics and partitions that the assignment was made of */
    uint32_t next_number;
    struct member *members; /* owned; by rising number */
    uint32_t count;
};

/* As with the catalog: the bytes must outlive what is decoded; an empty one to begin with is {0}. */
bool membership_decode(struct membership *membership, struct str bytes, struct error *error);
void membership_encode(const struct membership *membership, struct buf *bytes);
void membership_free(struct membership *membership);

struct member *membership_find(const struct membership *membership, uint32_t number);

/* For how many milliseconds it has been gone: since it missed its session timeout or poll interval, or since
 * the machine booted without it. 0: it is alive. */
int64_t member_gone_for(const struct member *member, const struct moment *now);

/* In what follows `now` is by the wall clock. */

/* Adds a member, whose `topics` are taken over, and begins a rebalance. NULL: no memory; nothing was taken
 * over then. */
struct member *membership_add(struct membership *membership, const struct member *added, int64_t now);

/* Removes a member, and begins a rebalance, or leaves the group empty. */
void membership_remove(struct membership *membership, struct member *member, int64_t now);

/* Begins a rebalance unless one is going on: all have to join again. */
void membership_begin_rebalance(struct membership *membership, int64_t now);

/* Ends the rebalance when all have joined: the next generation, with its assignment. *completed tells. */
bool membership_complete(struct membership *membership, const struct catalog *catalog, int64_t now,
                         bool *completed, struct error *error);

/* What an assignment would be based on now. */
uint64_t membership_basis(const struct membership *membership, const struct catalog *catalog);

/* The number of partitions assigned to it. */
uint32_t member_assigned(const struct member *member);

#endif
