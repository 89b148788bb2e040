#include "collectors/kafka/audit.h"

#include "exporter/base/mem.h"

#include <stdlib.h>

static void free_suspect(struct kafka_suspect *suspected)
{
    free(suspected->group);
    free(suspected->topic);
}

void kafka_audit_free(struct kafka_audit *audit)
{
    for (size_t i = 0; i < audit->count; i++)
        free_suspect(&audit->items[i]);
    free(audit->items);
    *audit = (struct kafka_audit){0};
}

static void suspect(struct kafka_audit *audit, struct str group, struct str topic, int32_t partition,
                    int64_t asked, const struct kafka_commit *followed)
{
    audit->items = mem_grow(audit->items, &audit->capacity, audit->count + 1, sizeof *audit->items);
    audit->items[audit->count++] = (struct kafka_suspect){
        .group = mem_copy_str(group),
        .topic = mem_copy_str(topic),
        .partition = partition,
        .asked = asked,
        .followed = followed != NULL ? followed->offset : -1,
        .time = followed != NULL ? followed->time : -1,
    };
}

/* What is followed and stands not in the answer. `seen` are those that do, by their place in the set. */
static void suspect_unseen(struct kafka_audit *audit, const struct kafka_replica *replica,
                           const struct kafka_replica_group *group, const bool *seen)
{
    for (size_t i = 0; i < group->commits.count; i++) {
        const struct kafka_commit *commit = &group->commits.items[i];
        if (!seen[i])
            suspect(audit, group->name, kafka_replica_topic(replica, commit->topic), commit->partition, -1,
                    commit);
    }
}

void kafka_audit_compare(struct kafka_audit *audit, const struct kafka_follower *follower,
                         const struct source_config *config, struct str name,
                         const rd_kafka_topic_partition_list_t *answer)
{
    struct kafka_replica_group *group;
    struct kafka_replica *replica = kafka_follower_replica(follower);
    if (!kafka_follower_finds(follower, name, &group))
        return;
    if (group != NULL)
        kafka_commit_set_tidy(&group->commits);
    bool *seen = MEM_ARRAY(group != NULL ? group->commits.count : 0, bool);
    for (int i = 0; i < answer->cnt; i++) {
        const rd_kafka_topic_partition_t *asked = &answer->elems[i];
        struct str topic = str_of(asked->topic);
        if (asked->offset < 0 || !name_filter_passes(&config->topics, topic))
            continue;
        const struct kafka_commit *commit =
            group != NULL ? kafka_replica_commit(replica, group, topic, asked->partition) : NULL;
        if (commit != NULL)
            seen[commit - group->commits.items] = true;
        if (commit == NULL || commit->offset != asked->offset)
            suspect(audit, name, topic, asked->partition, asked->offset, commit);
    }
    if (group != NULL) {
        suspect_unseen(audit, replica, group, seen);
        kafka_replica_trust(replica, group);
    }
    free(seen);
}

static bool still_differs(const struct kafka_suspect *suspected, const struct kafka_commit *followed)
{
    return suspected->followed == (followed != NULL ? followed->offset : -1) &&
           suspected->time == (followed != NULL ? followed->time : -1);
}

/* What is followed of the group that settled, which is NULL where nothing of it was read or what was is taken
 * away. The group is asked once more: a commit that came and went since the answer left nothing to tell by.
 */
static bool repair(const struct kafka_suspect *suspected, struct kafka_replica *replica,
                   struct kafka_replica_group *group)
{
    struct str topic = str_of(suspected->topic);
    const struct kafka_commit *known =
        group != NULL ? kafka_replica_commit(replica, group, topic, suspected->partition) : NULL;
    if (!still_differs(suspected, known))
        return false;
    if (group == NULL)
        group = kafka_replica_add(replica, str_of(suspected->group));
    kafka_replica_set(replica, group, topic, suspected->partition, suspected->asked, -1);
    group->is_doubted = true;
    return true;
}

int64_t kafka_audit_repair(struct kafka_audit *audit, const struct kafka_follower *follower)
{
    int64_t repaired = 0;
    size_t kept = 0;
    struct kafka_replica_group *group;
    for (size_t i = 0; i < audit->count; i++) {
        struct kafka_suspect suspected = audit->items[i];
        if (!kafka_follower_finds(follower, str_of(suspected.group), &group)) {
            audit->items[kept++] = suspected;
            continue;
        }
        repaired += repair(&suspected, kafka_follower_replica(follower), group);
        free_suspect(&suspected);
    }
    audit->count = kept;
    return repaired;
}
