#ifndef TESTS_LIB_LOGSTORE_DUMP_H
#define TESTS_LIB_LOGSTORE_DUMP_H

#include "exporter/base/buf.h"
#include "tests/lib/logstore_fixture.h"

#include <ctype.h>
#include <inttypes.h>

/* All that a store holds, as whoever only reads it sees it: one line each, errors too. */

/* Bytes as they are where they can be read, \xNN else, and runs of more than 40 equal ones by their number.
 */
static void dump_bytes(struct buf *out, struct str bytes)
{
    if (bytes.bytes == NULL) {
        buf_add_text(out, "none");
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < bytes.length;) {
        size_t run = 1;
        while (i + run < bytes.length && bytes.bytes[i + run] == bytes.bytes[i])
            run++;
        unsigned char byte = (unsigned char)bytes.bytes[i];
        bool plain = isprint(byte) && byte != '"' && byte != '\\';
        size_t times = run > 40 ? 1 : run;
        for (size_t k = 0; k < times; k++)
            plain ? buf_add_char(out, (char)byte) : buf_add_format(out, "\\x%02x", byte);
        if (run > 40)
            buf_add_format(out, "{%zu}", run);
        i += run;
    }
    buf_add_char(out, '"');
}

static void dump_error(struct buf *out, struct error *error)
{
    buf_add_format(out, "error %d: %s\n", (int)error->code, error_text(error));
    error_clear(error);
}

static void dump_record(struct buf *out, const struct logstore_record *record)
{
    buf_add_format(out, "  %" PRId64 " at %" PRId64 ": ", record->offset, record->timestamp);
    dump_bytes(out, record->key);
    buf_add_text(out, " = ");
    dump_bytes(out, record->value);
    for (size_t i = 0; i < record->header_count; i++) {
        buf_add_text(out, ", ");
        dump_bytes(out, record->headers[i].name);
        buf_add_text(out, ": ");
        dump_bytes(out, record->headers[i].value);
    }
    buf_add_char(out, '\n');
}

static void dump_partition(struct buf *out, struct logstore *store, struct str topic, uint32_t partition)
{
    struct error error = {0};
    struct logstore_record record;
    int64_t start, end, found;
    enum logstore_read read;
    if (!logstore_offsets(store, topic, partition, &start, &end, &error)) {
        dump_error(out, &error);
        return;
    }
    buf_add_format(out, " partition %u: %" PRId64 " to %" PRId64 "\n", partition, start, end);
    struct logstore_reader *reader = logstore_reader_open(store, topic, partition, start, &error);
    MUST(reader != NULL);
    while ((read = logstore_read(reader, &record, &error)) == LOGSTORE_READ_RECORD)
        dump_record(out, &record);
    if (read == LOGSTORE_READ_FAILED)
        dump_error(out, &error);
    /* Through the indexes: every offset by a reader that begins there, and its time. */
    for (int64_t offset = start; offset < end && read == LOGSTORE_READ_END; offset++) {
        logstore_reader_seek(reader, offset);
        if (logstore_read(reader, &record, &error) == LOGSTORE_READ_FAILED ||
            !logstore_offset_for_time(store, topic, partition, record.timestamp, &found, &error)) {
            dump_error(out, &error);
            break;
        }
        if (error.code == ERROR_NONE && record.offset >= offset)
            buf_add_format(out, "  from %" PRId64 " on: %" PRId64 ", of its time or later: %" PRId64 "\n",
                           offset, record.offset, found);
    }
    logstore_reader_close(&reader);
}

static void dump_topic(struct buf *out, struct logstore *store, const struct logstore_observed_topic *topic)
{
    const struct logstore_config *config = &topic->config;
    buf_add_text(out, "topic ");
    dump_bytes(out, topic->name);
    buf_add_text(out, " ");
    dump_bytes(out, (struct str){(const char *)topic->id, sizeof topic->id});
    buf_add_format(out, ": %lld %lld %lld %lld %lld %lld %lld %u\n", (long long)config->retention_ms,
                   (long long)config->retention_bytes, (long long)config->segment_ms,
                   (long long)config->segment_bytes, (long long)config->min_compaction_lag_ms,
                   (long long)config->delete_retention_ms, (long long)config->max_message_bytes,
                   config->cleanup_policy);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct logstore_observed_partition *seen = &topic->partitions[i];
        if (seen->end >= 0)
            buf_add_format(out, " partition %u observed: %" PRId64 " to %" PRId64 ", first at %" PRId64 "\n",
                           i, seen->start, seen->end, seen->start_timestamp);
        dump_partition(out, store, topic->name, i);
    }
}

static void dump_commits(struct buf *out, struct logstore_observer *observer, size_t group)
{
    struct error error = {0};
    const struct logstore_observed_commit *commits;
    size_t count;
    struct str metadata;
    if (!logstore_observe_commits(observer, group, &commits, &count, &error)) {
        dump_error(out, &error);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        buf_add_format(out, " commit %u/%u: %" PRId64 " at %" PRId64 "\n", commits[i].topic,
                       commits[i].partition, commits[i].offset, commits[i].time);
        if (!logstore_observe_metadata(observer, group, &commits[i], &metadata, &error)) {
            dump_error(out, &error);
            continue;
        }
        buf_add_text(out, "  metadata ");
        dump_bytes(out, metadata.length == 0 ? STR_LITERAL("") : metadata);
        buf_add_char(out, '\n');
    }
}

static void dump_group(struct buf *out, struct logstore_observer *observer, size_t index,
                       const struct logstore_observed_group *group)
{
    buf_add_text(out, "group ");
    dump_bytes(out, group->name);
    buf_add_char(out, '\n');
    if (group->failure != NULL)
        buf_add_format(out, "error %d: %s\n", (int)group->failure->code, error_text(group->failure));
    else
        buf_add_format(out, " state %d generation %" PRId64 " empty since %" PRId64 "\n", (int)group->state,
                       group->generation, group->empty_since);
    for (size_t i = 0; i < group->member_count; i++) {
        const struct logstore_observed_member *member = &group->members[i];
        buf_add_text(out, " member ");
        dump_bytes(out, member->id);
        buf_add_char(out, ' ');
        dump_bytes(out, member->client_id);
        buf_add_char(out, ' ');
        dump_bytes(out, member->host);
        buf_add_format(out, " %" PRId64 " %" PRId64 " assigned %u\n", member->session_timeout_ms,
                       member->max_poll_interval_ms, member->assigned);
    }
    dump_commits(out, observer, index);
}

static void dump_observed(struct buf *out, struct logstore *store, struct logstore_observer *observer)
{
    struct error error = {0};
    const struct logstore_observed_topic *topics;
    const struct logstore_observed_group *groups;
    size_t topic_count, group_count;
    if (!logstore_observe_topics(observer, &topics, &topic_count, &error)) {
        dump_error(out, &error);
        return;
    }
    if (logstore_observe_groups(observer, &groups, &group_count, &error))
        for (size_t i = 0; i < group_count; i++)
            dump_group(out, observer, i, &groups[i]);
    else
        dump_error(out, &error);
    if (!logstore_observe_ends(observer, &error))
        dump_error(out, &error);
    for (size_t i = 0; i < topic_count; i++)
        dump_topic(out, store, &topics[i]);
    buf_add_format(out, "offsets stay %" PRId64 "\n", logstore_observe_offsets_retention_ms(observer));
}

/* Dumps the store in fixture_folder into `out`, replacing what is in it; a NUL stands behind it. */
static void dump_store(struct buf *out)
{
    struct error error = {0};
    struct logstore_options options = {.access = LOGSTORE_READ};
    buf_reset(out);
    struct logstore *store = logstore_open(fixture_folder, &options, &error);
    struct logstore_observer *observer =
        store == NULL ? NULL : logstore_observer_open(fixture_folder, &error);
    if (observer == NULL)
        dump_error(out, &error);
    else
        dump_observed(out, store, observer);
    logstore_observer_close(&observer);
    logstore_close(&store);
    char *end = buf_room(out, 1);
    assert_non_null(end);
    *end = '\0';
}

#endif
