#ifndef TIDEMARK_RULES_H
#define TIDEMARK_RULES_H

#include "exporter/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The numbers that the conditions depend on, declared once: name, kind, default, what it belongs to and what
 * it means. The defaults hold for every kind of traffic, since what is usual for a reader is learnt from its
 * own past; short ones serve a demonstration.
 */
#define RULE_TABLE(DURATION, SHARE, COUNT)                                                                   \
    DURATION(objective, 300000, POSITION, "time lag that a group may have")                                  \
    DURATION(horizon, 86400000, POSITION, "how long before retention takes unread messages to say so")       \
    SHARE(horizon_share, 0.25, POSITION, "the same as a share of the retention, when that is less")          \
    DURATION(recovery_window, 259200000, TOPIC, "how long a group may be down without losing messages")      \
    DURATION(stopped_after, 180000, GROUP, "unread messages, no member and no progress for so long")         \
    DURATION(stuck_after, 180000, POSITION,                                                                  \
             "unread messages and no progress for so long, or 1.6 of its own cycles")                        \
    DURATION(spiral_after, 480000, GROUP, "rebalances that keep coming for so long")                         \
    DURATION(rebalance_window, 330000, GROUP, "rebalances closer than this belong together")                 \
    COUNT(rebalance_count, 4, GROUP, "how many of them are too many")                                        \
    DURATION(skewed_after, 780000, POSITION, "one partition carries most of the lag for so long")            \
    DURATION(clear_after, 900000, POSITION, "how long an event is shown after it happened")

#define RULE_DURATION_FIELD(name, value, scope, meaning) int64_t name##_ms;
#define RULE_SHARE_FIELD(name, value, scope, meaning)    double name;
#define RULE_COUNT_FIELD(name, value, scope, meaning)    int64_t name;

/* Durations in milliseconds. */
struct rules {
    RULE_TABLE(RULE_DURATION_FIELD, RULE_SHARE_FIELD, RULE_COUNT_FIELD)
};

/* What a rule belongs to, and so which names it can differ by: those of a group and of a topic, of a group
 * alone, or of a topic alone. It can always differ by clusters. */
enum rule_scope { RULE_OF_POSITION, RULE_OF_GROUP, RULE_OF_TOPIC };

/* Some of the rules, a bit each. */
typedef uint32_t rule_set;

/* The defaults, which need no tuning. */
struct rules rules_default(void);

/* Sets the rule called `name` from text: "5m", "90s", "24h", "2d", "500ms" for durations, a number for the
 * others. ERROR_USAGE that names the rule, what is wrong and what would be right. */
bool rules_set(struct rules *rules, const char *name, const char *value, struct error *error);

/* The same, and adds the rule to `set`. */
bool rules_set_some(struct rules *rules, rule_set *set, const char *name, const char *value,
                    struct error *error);

/* How long before its end something that lasts for `lasts_ms` is about to end: the horizon, or that share of
 * it, when that is less. */
int64_t rules_horizon(const struct rules *rules, double lasts_ms);

/* The name of the first rule of `set` that belongs to that, or NULL: there is none. */
const char *rules_find_scope(rule_set set, enum rule_scope scope);

/* Sets those of `set` as they are in `from`. */
void rules_overlay(struct rules *rules, const struct rules *from, rule_set set);

#endif
