#ifndef TIDEMARK_EVENTS_H
#define TIDEMARK_EVENTS_H

#include "exporter/base/str.h"
#include "exporter/snapshot.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What happened to a group: the last EVENTS of it. The history adds to them; findings share an immutable
 * list, made anew only when something was added, so that a quiet group costs nothing and a reader of an old
 * page keeps what it reads.
 */

/* The kinds, with their names. What `from` and `to` are: offsets, or generations for a rebalance. */
#define EVENT_TABLE(EVENT)                                                                                   \
    EVENT(LOST, "lost")       /* deleted unread: the first offset of it, and the one after */                \
    EVENT(SKIPPED, "skipped") /* the bookmark jumped over it */                                              \
    EVENT(REWOUND, "rewound") /* the bookmark was moved back */                                              \
    EVENT(BEYOND_END, "committed_beyond_end") /* from the end to where the bookmark stands */                \
    EVENT(MADE_AGAIN, "made_again")           /* the partition was truncated or its topic made again */      \
    EVENT(REBALANCED, "rebalanced")                                                                          \
    EVENT(EMPTIED, "emptied") /* the last member left */                                                     \
    EVENT(JOINED, "joined")   /* members are there again */                                                  \
    EVENT(CONDITION_BEGAN, "condition_began")                                                                \
    EVENT(CONDITION_ENDED, "condition_ended")

#define EVENT_ENUMERATOR(id, name) EVENT_##id,
enum event_kind { EVENT_TABLE(EVENT_ENUMERATOR) EVENT_KINDS };
#undef EVENT_ENUMERATOR

/* The kind's name in JSON; static. */
const char *event_name(enum event_kind kind);

enum { EVENTS = 100 };

/* Of the same kind at the same place, soon after one another, are one event that goes on until `until`. */
struct event {
    int64_t time, until;
    int64_t from, to; /* UNKNOWN where there is no such thing */
    int64_t count;    /* messages, rebalances, or unread messages when a condition began; UNKNOWN */
    uint16_t kind;
    int16_t condition;    /* the enum condition of findings.h; -1: none */
    int32_t partition;    /* number; NO_INDEX: wider than a partition */
    int64_t subscription; /* index into the group's memory; NO_INDEX: wider than a topic */
};

/* --- kept by the history -------------------------------------------------------------------------------- */

struct event_list;

/* All zero: empty. It costs nothing before the first event, and then EVENTS times 56 bytes. */
struct event_memory {
    struct event *events; /* owned; the oldest first; room for EVENTS, NULL before the first */
    uint32_t count;
    bool changed;                 /* since it was published */
    struct event_list *published; /* a hold of its own; NULL: nothing yet */
};

/* Adds an event, or lengthens the one that goes on. The oldest makes room, but half of the room is for what
 * happened to messages: members that come and go don't push it out. */
void events_add(struct event_memory *memory, struct event event);

/* Puts back an event as it once was; there are fewer than EVENTS. */
void events_restore(struct event_memory *memory, const struct event *event);

/* A subscription was inserted at that index of the group's. */
void events_make_room(struct event_memory *memory, uint32_t subscription);

/* The group's subscription at that index was forgotten, and so is what happened to it. */
void events_forget(struct event_memory *memory, uint32_t subscription);

void events_free(struct event_memory *memory);

/* --- published ------------------------------------------------------------------------------------------ */

/* Immutable, and alive as long as somebody holds it. */
struct event_list {
    struct event *events; /* the oldest first */
    struct str *topics;   /* of each event; no bytes where it is wider than a topic */
    uint32_t count;
    atomic_size_t holders;
};

/* What is in the memory, with a hold for the caller; NULL when it is empty. topics[i], which is copied,
 * belongs to the event at i. */
struct event_list *events_publish(struct event_memory *memory, const struct str *topics);

/* Gives a hold back and sets *list to NULL; NULL is accepted. Any thread. */
void event_list_release(struct event_list **list);

#endif
