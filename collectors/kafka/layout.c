#include "collectors/kafka/layout.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

void kafka_layout_free(struct kafka_layout *layout)
{
    for (uint32_t i = 0; i < layout->count; i++)
        free(layout->topics[i].name);
    free(layout->topics);
    *layout = (struct kafka_layout){0};
}

static bool is_same(const struct kafka_layout *layout, const struct snapshot *snapshot)
{
    bool same = layout->count == snapshot->topic_count;
    for (uint32_t i = 0; i < layout->count && same; i++)
        same = layout->topics[i].partitions == snapshot->topics[i].partitions &&
               str_equal(str_of(layout->topics[i].name), snapshot->topics[i].name);
    return same;
}

static void take(struct kafka_layout *layout, const struct snapshot *snapshot)
{
    kafka_layout_free(layout);
    layout->topics = MEM_ARRAY(snapshot->topic_count, struct kafka_laid_topic);
    layout->count = snapshot->topic_count;
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct snap_topic *topic = &snapshot->topics[i];
        layout->topics[i] =
            (struct kafka_laid_topic){mem_copy_str(topic->name), topic->first_partition, topic->partitions};
    }
}

/* The new index of each old partition, UINT32_MAX for those that are gone. Free it. */
static uint32_t *moves(const struct kafka_layout *layout, const struct snapshot *snapshot)
{
    const struct kafka_laid_topic *last = layout->count > 0 ? &layout->topics[layout->count - 1] : NULL;
    uint32_t *moved = MEM_ARRAY(last != NULL ? last->first_partition + last->partitions : 0, uint32_t);
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct kafka_laid_topic *old = &layout->topics[i];
        int64_t index = snapshot_find_topic(snapshot, str_of(old->name));
        const struct snap_topic *topic = index == NO_INDEX ? NULL : &snapshot->topics[index];
        for (uint32_t partition = 0; partition < old->partitions; partition++)
            moved[old->first_partition + partition] = topic != NULL && partition < topic->partitions
                                                          ? topic->first_partition + partition
                                                          : UINT32_MAX;
    }
    return moved;
}

/* Topics are in the same order as before, so what is known stays ascending. */
static void move_known(struct kafka_group *group, const uint32_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->known_count; i++)
        if (moved[group->known[i]] != UINT32_MAX)
            group->known[kept++] = moved[group->known[i]];
    group->known_count = kept;
}

uint32_t kafka_layout_follow(struct kafka_layout *layout, struct kafka_groups *groups,
                             const struct snapshot *snapshot)
{
    if (is_same(layout, snapshot))
        return 0;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < layout->count; i++)
        gone += snapshot_find_topic(snapshot, str_of(layout->topics[i].name)) == NO_INDEX;
    uint32_t *moved = moves(layout, snapshot);
    for (size_t i = 0; i < groups->count; i++)
        move_known(&groups->items[i], moved);
    free(moved);
    take(layout, snapshot);
    return gone;
}
