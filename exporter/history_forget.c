#include "exporter/memory.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

/*
 * What a source tells of no more stays for a while, for it may come back. Of topics, groups and subscriptions
 * that come and go all the time that would be without a bound: where more are away than were ever there at
 * once, and more than AWAY_MOST, those that have been away for longest go, a poll's worth at a time. So polls
 * that tell of a part only, one of this and the next of that, make none of what is there forgotten.
 */
enum { AWAY_MOST = 100 };

struct absence {
    int64_t now;          /* the last look */
    uint32_t here, away;  /* how many */
    int64_t longest_seen; /* when what is away for longest was last seen */
    uint32_t most;        /* how many may be away */
};

static void note(struct absence *absence, int64_t seen)
{
    if (seen >= absence->now) {
        absence->here++;
        return;
    }
    if (absence->away++ == 0 || seen < absence->longest_seen)
        absence->longest_seen = seen;
}

/* After all have been noted. `most` remembers how many were ever there at once. */
static void conclude(struct absence *absence, uint32_t *most)
{
    if (absence->here > *most)
        *most = absence->here;
    absence->most = *most > AWAY_MOST ? *most : AWAY_MOST;
}

static bool is_to_go(const struct absence *absence, int64_t seen)
{
    return absence->now - seen > FORGET_AFTER_MS ||
           (absence->away > absence->most && seen == absence->longest_seen);
}

static void forget_topics(struct history *history)
{
    struct absence absence = {.now = history->time};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < history->topic_count; i++)
        note(&absence, history->topics[i].seen);
    conclude(&absence, &history->topics_most);
    for (uint32_t i = 0; i < history->topic_count; i++) {
        if (is_to_go(&absence, history->topics[i].seen))
            topic_memory_free(&history->topics[i]);
        else
            history->topics[kept++] = history->topics[i];
    }
    history->topic_count = kept;
}

static void forget_subscriptions(struct group_memory *group)
{
    struct absence absence = {.now = group->told};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->subscription_count; i++)
        note(&absence, group->subscriptions[i].seen);
    conclude(&absence, &group->subscriptions_most);
    for (uint32_t i = 0; i < group->subscription_count; i++) {
        if (is_to_go(&absence, group->subscriptions[i].seen)) {
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
    struct absence absence = {.now = history->time};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < history->group_count; i++)
        note(&absence, history->groups[i].seen);
    conclude(&absence, &history->groups_most);
    for (uint32_t i = 0; i < history->group_count; i++) {
        struct group_memory *group = &history->groups[i];
        forget_subscriptions(group);
        if (is_to_go(&absence, group->seen))
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
