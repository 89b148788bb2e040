#include "collectors/kafka/commit_set.h"

#include "exporter/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FRESH_MOST = 512 };

void kafka_commit_set_free(struct kafka_commit_set *set)
{
    free(set->items);
    free(set->fresh);
    *set = (struct kafka_commit_set){0};
}

static int order(const struct kafka_commit *commit, uint32_t topic, int32_t partition)
{
    if (commit->topic != topic)
        return commit->topic < topic ? -1 : 1;
    return (commit->partition > partition) - (commit->partition < partition);
}

/* The index of the first one that isn't before that partition. */
static size_t lower_bound(const struct kafka_commit *items, size_t count, uint32_t topic, int32_t partition)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (order(&items[low + half], topic, partition) < 0) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static struct kafka_commit *find_in(struct kafka_commit *items, size_t count, uint32_t topic,
                                    int32_t partition)
{
    size_t i = lower_bound(items, count, topic, partition);
    return i < count && order(&items[i], topic, partition) == 0 ? &items[i] : NULL;
}

struct kafka_commit *kafka_commit_set_find(const struct kafka_commit_set *set, uint32_t topic,
                                           int32_t partition)
{
    struct kafka_commit *found = find_in(set->items, set->count, topic, partition);
    return found != NULL ? found : find_in(set->fresh, set->fresh_count, topic, partition);
}

static struct kafka_commit *insert_fresh(struct kafka_commit_set *set, uint32_t topic, int32_t partition)
{
    if (set->fresh_count == FRESH_MOST)
        kafka_commit_set_tidy(set);
    set->fresh = mem_grow(set->fresh, &set->fresh_capacity, set->fresh_count + 1, sizeof *set->fresh);
    size_t place = lower_bound(set->fresh, set->fresh_count, topic, partition);
    struct kafka_commit *made = &set->fresh[place];
    memmove(made + 1, made, (set->fresh_count - place) * sizeof *made);
    set->fresh_count++;
    *made = (struct kafka_commit){.topic = topic, .partition = partition, .offset = -1, .time = -1};
    return made;
}

struct kafka_commit *kafka_commit_set_at(struct kafka_commit_set *set, uint32_t topic, int32_t partition)
{
    struct kafka_commit *found = kafka_commit_set_find(set, topic, partition);
    set->is_untidy = true;
    return found != NULL ? found : insert_fresh(set, topic, partition);
}

static size_t count_present(const struct kafka_commit *items, size_t count)
{
    size_t present = 0;
    for (size_t i = 0; i < count; i++)
        present += items[i].offset >= 0;
    return present;
}

/* Without anything new there is nothing to be moved, but for what was taken away. */
static void close_gaps(struct kafka_commit_set *set)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].offset >= 0)
            set->items[kept++] = set->items[i];
    set->count = kept;
}

static void merge(struct kafka_commit_set *set)
{
    size_t count = count_present(set->items, set->count) + count_present(set->fresh, set->fresh_count);
    struct kafka_commit *merged = MEM_ARRAY(count, struct kafka_commit);
    size_t kept = 0;
    for (size_t i = 0, j = 0; i < set->count || j < set->fresh_count;) {
        bool is_old = j == set->fresh_count || (i < set->count && order(&set->items[i], set->fresh[j].topic,
                                                                        set->fresh[j].partition) < 0);
        const struct kafka_commit *next = is_old ? &set->items[i++] : &set->fresh[j++];
        if (next->offset >= 0)
            merged[kept++] = *next;
    }
    kafka_commit_set_free(set);
    set->items = merged;
    set->count = count;
}

void kafka_commit_set_tidy(struct kafka_commit_set *set)
{
    if (!set->is_untidy)
        return;
    if (set->fresh_count > 0)
        merge(set);
    else
        close_gaps(set);
    set->is_untidy = false;
}
