#include "exporter/memory.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

/*
 * What a source tells of no more stays for a while, for it may come back. Of topics, groups and subscriptions
 * that come and go all the time that would be without a bound: where more than GONE_MOST are away, those go
 * that have been away for longer than the others on average. So what has vanished at once stays or goes at
 * once: when a source doesn't tell of many for a moment, none of them is forgotten.
 */
enum { GONE_MOST = 100 };

struct absence {
    int64_t count, total_ms;
};

static void note(struct absence *absence, int64_t away_ms)
{
    absence->count += away_ms > 0;
    absence->total_ms += away_ms > 0 && away_ms < FORGET_AFTER_MS ? away_ms : 0;
}

/* For how long what is away is kept. */
static int64_t kept_for(const struct absence *absence)
{
    return absence->count > GONE_MOST ? absence->total_ms / absence->count : FORGET_AFTER_MS;
}

static void forget_topics(struct history *history)
{
    struct absence absence = {0};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < history->topic_count; i++)
        note(&absence, history->time - history->topics[i].seen);
    for (uint32_t i = 0; i < history->topic_count; i++) {
        if (history->time - history->topics[i].seen > kept_for(&absence))
            topic_memory_free(&history->topics[i]);
        else
            history->topics[kept++] = history->topics[i];
    }
    history->topic_count = kept;
}

static void forget_subscriptions(struct group_memory *group)
{
    struct absence absence = {0};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->subscription_count; i++)
        note(&absence, group->seen - group->subscriptions[i].seen);
    for (uint32_t i = 0; i < group->subscription_count; i++) {
        if (group->seen - group->subscriptions[i].seen > kept_for(&absence)) {
            subscription_memory_free(&group->subscriptions[i]);
            events_forget(&group->events, kept);
        } else {
            group->subscriptions[kept++] = group->subscriptions[i];
        }
    }
    group->subscription_count = kept;
}

static void forget_groups(struct history *history)
{
    struct absence absence = {0};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < history->group_count; i++)
        note(&absence, history->time - history->groups[i].seen);
    for (uint32_t i = 0; i < history->group_count; i++) {
        struct group_memory *group = &history->groups[i];
        forget_subscriptions(group);
        if (history->time - group->seen > kept_for(&absence))
            group_memory_free(group);
        else
            history->groups[kept++] = *group;
    }
    history->group_count = kept;
}

void history_forget(struct history *history)
{
    forget_topics(history);
    forget_groups(history);
}
