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

/* Makes the layout the snapshot's; what was sampled of topics that stay is kept. */
static void take(struct kafka_layout *layout, const struct snapshot *snapshot)
{
    struct kafka_layout taken = {MEM_ARRAY(snapshot->topic_count, struct kafka_laid_topic),
                                 snapshot->topic_count};
    uint32_t old = 0;
    for (uint32_t i = 0; i < taken.count; i++) {
        const struct snap_topic *topic = &snapshot->topics[i];
        while (old < layout->count && str_compare(str_of(layout->topics[old].name), topic->name) < 0)
            old++;
        if (old < layout->count && str_equal(str_of(layout->topics[old].name), topic->name))
            taken.topics[i] = layout->topics[old];
        taken.topics[i].name = mem_copy_str(topic->name);
        taken.topics[i].first_partition = topic->first_partition;
        taken.topics[i].partitions = topic->partitions;
    }
    kafka_layout_free(layout);
    *layout = taken;
}

static uint32_t partition_count(const struct kafka_layout *layout)
{
    if (layout->count == 0)
        return 0;
    const struct kafka_laid_topic *last = &layout->topics[layout->count - 1];
    return last->first_partition + last->partitions;
}

uint32_t *kafka_layout_follow(struct kafka_layout *layout, const struct snapshot *snapshot, uint64_t *gone)
{
    if (is_same(layout, snapshot))
        return NULL;
    uint32_t *moved = MEM_ARRAY(partition_count(layout), uint32_t);
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct kafka_laid_topic *old = &layout->topics[i];
        int64_t index = snapshot_find_topic(snapshot, str_of(old->name));
        const struct snap_topic *topic = index == NO_INDEX ? NULL : &snapshot->topics[index];
        *gone += topic == NULL;
        for (uint32_t partition = 0; partition < old->partitions; partition++)
            moved[old->first_partition + partition] = topic != NULL && partition < topic->partitions
                                                          ? topic->first_partition + partition
                                                          : KAFKA_GONE;
    }
    take(layout, snapshot);
    return moved;
}
