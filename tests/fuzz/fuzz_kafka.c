/*
 * Hostile bytes in the place of the records of __consumer_offsets. The input is a run of records, each with
 * the lengths of its key and value in front.
 *
 *     make fuzz-kafka    (FUZZ_SECONDS=60)
 */

#include "collectors/kafka/replica.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next run of at most 255 bytes, by a length in front; none (NULL) if that is 0. */
static struct str next_run(const uint8_t **data, size_t *size)
{
    size_t length = *size == 0 ? 0 : **data;
    *data += *size > 0;
    *size -= *size > 0;
    if (length > *size)
        length = *size;
    struct str run = {length == 0 ? NULL : (const char *)*data, length};
    *data += length;
    *size -= length;
    return run;
}

/* All that the replica says of the group must hang together. */
static void check_group(const struct kafka_replica *replica, struct str name)
{
    struct kafka_replica_group *group = kafka_replica_find(replica, name);
    if (group == NULL)
        return;
    kafka_commit_set_tidy(&group->commits);
    if (group->commits.count != group->positions)
        abort();
    for (size_t i = 0; i < group->commits.count; i++) {
        const struct kafka_commit *commit = &group->commits.items[i];
        if (kafka_replica_commit(replica, group, kafka_replica_topic(replica, commit->topic),
                                 commit->partition) != commit)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct source_config config = {0};
    struct kafka_replica *replica = kafka_replica_new(&config);
    while (size > 0) {
        struct str key = next_run(&data, &size), value = next_run(&data, &size);
        kafka_replica_take(replica, 0, key, value);
        struct kafka_group_record record = kafka_group_record_read(key, value);
        if (record.kind != KAFKA_RECORD_UNKNOWN && record.kind != KAFKA_RECORD_FOREIGN)
            check_group(replica, record.group);
    }
    kafka_replica_free(&replica);
    return 0;
}
