#ifndef TIDEMARK_MEMORY_H
#define TIDEMARK_MEMORY_H

#include "exporter/chart.h"
#include "exporter/events.h"
#include "exporter/findings.h"
#include "exporter/history.h"
#include "exporter/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a history consists of; known to the history and to the evaluation only.
 *
 * Everything is kept in the order of names and partition numbers, as snapshots are, so that a poll is taken
 * in and judged by walking both side by side. What isn't in a snapshot stays for FORGET_AFTER_MS, since a
 * source may fail to tell of something that is still there. Times are those of snapshots, in milliseconds.
 */

#define FORGET_AFTER_MS (INT64_C(24) * 3600 * 1000)

/* Who was away for longer than this may have done anything meanwhile. */
#define AWAY_MS (INT64_C(10) * 60 * 1000)

/* A reader that moves often is missed soon. One that hardly ever moved, or that is hardly known yet, may be
 * in the middle of its cycle. */
#define UNFAMILIAR_MS (INT64_C(14) * 60 * 1000)

/* Who declares that a batch may take longer than this often means that nothing shall ever be too long. */
#define MAY_TAKE_MOST_MS (INT64_C(3600) * 1000)
enum { FAMILIAR_MOVES = 20, REGULAR_MOVES = 6 };

enum { END_SAMPLES = 32, WAITS = 3, REBALANCES = 32, TREND_SAMPLES = 40 };

struct sample {
    int64_t time, value;
};

/* The rules that hold here, where there are some that don't hold everywhere. */
struct rules_memory {
    uint64_t edition; /* of the overrides that they were found by; 0: none yet */
    struct rules rules;
};

/* --- of a partition ------------------------------------------------------------------------------------ */

struct partition_memory {
    int64_t start, end; /* as last seen */
    uint32_t life;      /* rises when the partition was made again, or truncated */
    uint32_t samples;
    double rate;      /* messages written a second lately; 0 when not known */
    bool start_moved; /* retention has taken something since it is known */
    struct sample
        ends[END_SAMPLES]; /* when which end was seen, close together lately and far apart long ago */
};

struct topic_memory {
    char *name; /* owned */
    size_t name_length;
    int64_t seen;
    int64_t grown; /* when something was last written; UNKNOWN: not seen yet */
    uint8_t id[16];
    struct topic_config config;          /* as last told: a poll may fail to tell it, and it is what it was */
    struct partition_memory *partitions; /* owned */
    uint32_t partition_count;
};

/* --- of a position ------------------------------------------------------------------------------------- */

/* How long unread messages once waited for progress. */
struct wait {
    uint32_t ended_s; /* since the history's beginning */
    uint32_t lasted_s;
};

/* A moment at which it moved, if it does. */
struct mark {
    int64_t time, committed, lag_ms;
};

struct position_memory {
    int64_t committed;
    int64_t start_seen;   /* of the partition, when the position was last seen; UNKNOWN */
    int64_t lag_ms;       /* at the last poll; UNKNOWN: not known */
    int64_t unread_since; /* since when something is unread and nothing moves; UNKNOWN: nothing is unread */
    int64_t beyond_since; /* since when it stands beyond the end; UNKNOWN: it doesn't */
    int64_t steady_ms;    /* the time lag without the saw of a reader that works in cycles; UNKNOWN */
    struct mark marks[2]; /* where it was a while ago: [0] the older one */
    struct wait waits[WAITS];         /* the longest ones lately */
    int64_t low_turned;               /* when low_now began */
    uint32_t low_now_s, low_before_s; /* least time lag in this window and the one before, in seconds */
    uint32_t rest_s;                  /* time lag where it came to rest last; UINT32_MAX: not known */
    uint16_t moves_now, moves_before; /* movements in this hour and the hour before */
    uint32_t life;                    /* of the partition, when this was begun */
    int32_t number;                   /* of the partition */
    bool present;                     /* in the snapshot taken in last */
    bool rests_before_end;            /* its last movement ended one message before the end */
    bool dated_here;                  /* next_ts was given since it stands where it stands */
    bool beyond;                      /* it stands beyond the end, as two polls have seen */
};

_Static_assert(sizeof(struct position_memory) <= 160, "the bytes that a position may cost");

/* --- of a group on a topic ----------------------------------------------------------------------------- */

struct subscription_memory {
    char *topic; /* owned */
    size_t topic_length;
    int64_t seen;
    struct position_memory *positions; /* owned */
    uint32_t position_count;
    int64_t last_progress;
    int64_t lost, skipped, rewound;
    int64_t lost_at, skipped_at, beyond_at; /* when it last happened; UNKNOWN: never */
    int32_t lost_on, skipped_on, beyond_on; /* partition number */
    int64_t replaying_since;                /* UNKNOWN: it isn't */
    struct sample trend[TREND_SAMPLES];     /* the worst steady time lag over time, oldest first */
    uint32_t trends;
    struct rules_memory ruled;
    struct chart *chart; /* a hold of its own; NULL: nothing yet */
};

/* --- of a group ---------------------------------------------------------------------------------------- */

struct group_memory {
    char *name; /* owned */
    size_t name_length;
    int64_t seen;
    int64_t told;                                    /* when its commits were last known */
    struct subscription_memory *subscriptions;       /* owned */
    uint32_t subscription_count, subscriptions_most; /* now, and of which it ever had commits at once */
    int64_t generation;                              /* as last known */
    int64_t members;                                 /* as last known */
    bool rebalancing;                                /* as last seen */
    bool
        counted_ahead; /* the rebalance under way was counted by its state: its generation is still to come */
    int64_t may_take;  /* max.poll.interval.ms of its members, as last known */
    int64_t empty_since; /* since when no member was seen; UNKNOWN: some are there, or not known */
    int64_t alive_since; /* since when members were seen, or nothing is known of them */
    bool had_members;    /* some were seen, so that offsets come from a reader that joins */
    bool works_empty;    /* it progressed without members: its partitions are assigned by hand */
    struct burst {
        int64_t time;
        int64_t count;
    } rebalances[REBALANCES]; /* the last ones, oldest first; those close together as one */
    uint32_t rebalance_count;
    int64_t rebalances_total, rebalancing_ms, slo_good_ms, slo_ms;
    int64_t judged;            /* the snapshot that was judged last */
    int64_t since[CONDITIONS]; /* when the cause was first seen; UNKNOWN: it is absent */
    uint32_t conditions;       /* those that were true then */
    struct rules_memory ruled;
    struct event_memory events;
};

struct history {
    int64_t began, time, before; /* first, last and last but one snapshot; UNKNOWN */
    int64_t usual_gap;           /* between two snapshots; UNKNOWN */
    struct topic_memory *topics;
    struct group_memory *groups;
    size_t topic_capacity, group_capacity;
    uint32_t topic_count, group_count;
    uint32_t topics_most, groups_most; /* that were ever there at once */
    bool tells_no_record;              /* as the snapshot does */
    bool dates; /* it doesn't, and gives next_ts wherever there is something to be read */
    /* Of the snapshot taken in last: where its elements are remembered. */
    uint32_t *topic_at, *group_at, *subscription_at;
    int64_t anomalies[ANOMALIES];
    int64_t orphans, duplicates; /* in the last snapshot */
};

/* --- history.c ----------------------------------------------------------------------------------------- */

/* Whether so much time between two sights is more than polls are usually apart, so that more may have
 * happened meanwhile than the two show. */
bool history_gap(const struct history *history, int64_t elapsed);

/* Whether it is so much that what was known before says nothing about now. */
bool history_away(const struct history *history, int64_t elapsed);

void topic_memory_free(struct topic_memory *topic);
void subscription_memory_free(struct subscription_memory *subscription);
void group_memory_free(struct group_memory *group);

/* --- history_forget.c ---------------------------------------------------------------------------------- */

/* Forgets what the snapshots up to now have told nothing of for too long, or too much of which is there.
 * Before the next snapshot is taken in. */
void history_forget(struct history *history);

/* --- history_clock.c ----------------------------------------------------------------------------------- */

/* Moves all that is remembered to earlier times, so that the last snapshot was taken in at `time`, which is
 * before it was: for a clock that was set back. */
void history_move_back(struct history *history, int64_t time);

/* --- history_sound.c ----------------------------------------------------------------------------------- */

/* Whether what was read from a file could have come about, so that it can be gone on with. */
bool history_sound(const struct history *history);

/* --- history_partition.c ------------------------------------------------------------------------------- */

/* Takes in a partition's offsets. */
void partition_observe(struct partition_memory *memory, const struct snap_partition *seen, int64_t now);

/* When the partition's end was first known to be beyond the offset; UNKNOWN when it never was. */
int64_t partition_seen(const struct partition_memory *memory, int64_t offset);

/* How long the message at `offset`, which is there, has been there at least. */
int64_t partition_age_at_least(const struct partition_memory *memory, int64_t offset, int64_t now);

/* When the message at `offset` was written, bracketed between the two polls between which it came; UNKNOWN
 * when the history doesn't reach back so far. */
int64_t partition_written(const struct partition_memory *memory, int64_t offset);

/* The same of a message that was there at the first poll, bracketed between the log's start, if its time is
 * known, and that poll; UNKNOWN otherwise. */
int64_t partition_written_before(const struct partition_memory *memory, const struct snap_partition *seen,
                                 int64_t offset);

/* Where the partition's end was at that time, which is not before it was first seen. */
double partition_end_at(const struct partition_memory *memory, int64_t time);

/* Forgets the offsets: they belong to a partition that is no more. */
void partition_begin_again(struct partition_memory *memory);

/* --- history_position.c -------------------------------------------------------------------------------- */

/* What happened to a position between two polls. */
struct movement {
    int64_t read, lost, skipped, rewound; /* messages */
    int64_t from;                         /* the offset where it stood */
    int64_t lost_from;                    /* the first offset that was taken unread */
    bool beyond;                          /* it was seen to stand beyond the end for the second time */
};

/* What is around a position that is observed. */
struct surroundings {
    const struct history *history;
    const struct partition_memory *partition;
    const struct snap_partition *seen;
    int64_t elapsed;     /* since the subscription was last seen */
    bool resettable;     /* the group had no member: a tool may have set its offsets */
    int64_t may_take_ms; /* max.poll.interval.ms of the group's members; UNKNOWN */
    struct event_memory *events;
    uint32_t subscription; /* index into the group's memory */
};

/* Begins the memory of a position as it is seen for the first time. */
void position_begin(struct position_memory *memory, const struct surroundings *around,
                    const struct snap_position *position);

/* The same for one that is known, on a partition that was made again: what is usual for its reader stays. */
void position_begin_again(struct position_memory *memory, const struct surroundings *around,
                          const struct snap_position *position);

/* Begins again what is known of it, after it was away; what is usual for it stays, and what was taken from
 * the log before a reader that still stands before its start is lost. */
struct movement position_resume(struct position_memory *memory, const struct surroundings *around,
                                const struct snap_position *position);

/* Takes in a position that is known. */
struct movement position_observe(struct position_memory *memory, const struct surroundings *around,
                                 const struct snap_position *position);

/* How long messages usually wait at this position for the reader's next move, a single outlier left out: the
 * cycle of one that works or commits in cycles. */
int64_t position_cycle(const struct position_memory *memory, const struct history *history);

/* Movements in the last hour or somewhat more. */
uint32_t position_moves(const struct position_memory *memory);

/* The least time lag of the last minute or two, or of its last cycle: it isn't late by the time between two
 * commits. UNKNOWN when it isn't known now. */
int64_t position_lowest_lag(const struct position_memory *memory);

/* Whether it has moved since it was first seen, or was away last, to a place of known time lag. */
bool position_seen_moving(const struct position_memory *memory);

/* Whether its next move is overdue: how fast it was before says nothing about now. */
bool position_stands_still(const struct position_memory *memory, const struct history *history);

/* Messages a millisecond that it has moved on since the older mark, up to its last move, for commits come now
 * and then; 0 when it stands still, below 0 when it was set back. */
double position_speed(const struct position_memory *memory, const struct history *history);

/* How long it may stand still with something unread before that means anything: its cycle and more, or, when
 * it hasn't been seen to move often, UNFAMILIAR_MS and what its members may take for a batch, UNKNOWN or ms.
 */
int64_t position_patience(const struct position_memory *memory, const struct history *history,
                          int64_t may_take_ms);

/* Whether there is something to be read that isn't a trailing transaction marker. */
bool position_unread(const struct position_memory *memory, const struct history *history,
                     const struct snap_partition *seen, const struct snap_position *position);

/* --- history_group.c ----------------------------------------------------------------------------------- */

/* Takes in members, state and generation. */
void group_observe(struct group_memory *memory, const struct snap_group *seen, const struct history *history);

/* The run of last rebalances that are no more than `window` apart and reach up to now. */
struct rebalance_run {
    int64_t count;
    int64_t first;
};
struct rebalance_run group_rebalance_run(const struct group_memory *memory, int64_t now, int64_t window);

/* Notes how far behind the subscription is. */
void trend_add(struct subscription_memory *memory, int64_t now, int64_t lag_ms);

/* The value `age` ago or somewhat earlier; UNKNOWN when not that old. */
int64_t trend_ago(const struct subscription_memory *memory, int64_t now, int64_t age);

/* The least value since `since`; UNKNOWN when nothing is known. */
int64_t trend_least(const struct subscription_memory *memory, int64_t since);

/* Since when the trend has been at or above `level` without a break; UNKNOWN when it is below. */
int64_t trend_above(const struct subscription_memory *memory, int64_t level);

#endif
