#ifndef TIDEMARK_REASON_CASE_H
#define TIDEMARK_REASON_CASE_H

#include "exporter/reason.h"

/* What the files that make sentences share: none but them includes this. */

/* A finding with all that its sentence speaks of. What it has no part of is NULL. */
struct case_at_hand {
    const struct finding *finding;
    const int64_t *inputs;
    const struct snap_group *group;
    const struct snap_topic *topic;
    const struct snap_partition *partition;
    const struct snap_position *position;
    const struct position_findings *at_position;
    const struct subscription_findings *on_topic;
    struct subscription_findings total; /* of the group */
    int64_t now;
};

struct case_at_hand case_look_at(const struct reason *reason, const struct finding *finding);

/* --- pieces of sentences ------------------------------------------------------------------------------- */

/* "orders/3", "orders", or "its topics". */
void case_add_where(struct buf *out, const struct case_at_hand *c);
void case_add_topic(struct buf *out, const struct case_at_hand *c);

/* `before`, the duration or time, and `after`; nothing when it is unknown. */
void case_add_known_duration(struct buf *out, const char *before, int64_t ms, const char *after);
void case_add_known_time(struct buf *out, const char *before, int64_t time, const char *after);

/* The same for a configured duration, which is round: "24h", "5m". Nothing for one that is negative. */
void case_add_known_setting(struct buf *out, const char *before, int64_t ms, const char *after);

/* "3 messages", and "3 messages wait". */
void case_add_messages(struct buf *out, int64_t count);
void case_add_waiting(struct buf *out, int64_t lag);

/* --- what to do (reason_advice.c) ---------------------------------------------------------------------- */

typedef void add_words(struct buf *out, const struct case_at_hand *c);
add_words advise_data_lost, advise_retention_risk, advise_stopped, advise_stuck, advise_rebalances,
    advise_beyond_end, advise_falling_behind, advise_compaction, advise_skipped, advise_expiring,
    advise_skewed, advise_idle, advise_replaying;

#endif
