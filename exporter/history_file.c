#include "exporter/base/buf.h"
#include "exporter/base/file.h"
#include "exporter/base/mem.h"
#include "exporter/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The file: a struct file_head, then the payload: what a history consists of, in this order, as it lies in
 * memory but with its pointers cleared:
 *
 *     struct history; each topic: struct, name, partitions;
 *     each group: struct, name, events; each of its subscriptions: struct, topic's name, positions, chart's
 *     samples
 *
 * It is a memory of one machine, not an exchange format: `layout` tells whether this build lays its memory
 * out alike. To change what is remembered changes a size and so the layout; to change only what a field
 * means, raise `version`.
 */
struct file_head {
    char magic[8];
    uint32_t version;
    uint32_t layout;
    uint64_t length;   /* of the payload */
    uint64_t checksum; /* of the payload, FNV-1a of 64 bits (RFC 9923) */
};

static const char magic[8] = {'t', 'i', 'd', 'e', 'm', 'a', 'r', 'k'};
enum { VERSION = 3 };

static uint64_t checksum(const char *bytes, size_t length)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static uint32_t layout(void)
{
    const size_t sizes[] = {
        sizeof(struct history),
        sizeof(struct topic_memory),
        sizeof(struct partition_memory),
        sizeof(struct group_memory),
        sizeof(struct subscription_memory),
        sizeof(struct position_memory),
        sizeof(struct event),
        sizeof(struct chart_sample),
        EVENT_KINDS,
        CONDITIONS,
        0x01020304, /* and the order of bytes */
    };
    return (uint32_t)checksum((const char *)sizes, sizeof sizes);
}

/* --- writing ------------------------------------------------------------------------------------------- */

static void add_topic(struct buf *out, const struct topic_memory *topic)
{
    struct topic_memory bare = *topic;
    bare.name = NULL;
    bare.partitions = NULL;
    buf_add(out, &bare, sizeof bare);
    buf_add(out, topic->name, topic->name_length);
    buf_add(out, topic->partitions, topic->partition_count * sizeof *topic->partitions);
}

static void add_subscription(struct buf *out, const struct subscription_memory *subscription)
{
    struct subscription_memory bare = *subscription;
    bare.topic = NULL;
    bare.positions = NULL;
    bare.chart = NULL;
    struct chart_past past;
    chart_read(subscription->chart, &past);
    buf_add(out, &bare, sizeof bare);
    buf_add(out, subscription->topic, subscription->topic_length);
    buf_add(out, subscription->positions, subscription->position_count * sizeof *subscription->positions);
    buf_add(out, &past.count, sizeof past.count);
    buf_add(out, past.samples, past.count * sizeof *past.samples);
}

static void add_group(struct buf *out, const struct group_memory *group)
{
    struct group_memory bare = *group;
    bare.name = NULL;
    bare.subscriptions = NULL;
    bare.events.events = NULL;
    bare.events.published = NULL;
    buf_add(out, &bare, sizeof bare);
    buf_add(out, group->name, group->name_length);
    buf_add(out, group->events.events, group->events.count * sizeof *group->events.events);
    for (uint32_t i = 0; i < group->subscription_count; i++)
        add_subscription(out, &group->subscriptions[i]);
}

static void add_payload(struct buf *out, const struct history *history)
{
    struct history bare = *history;
    bare.topics = NULL;
    bare.groups = NULL;
    bare.topic_at = bare.group_at = bare.subscription_at = NULL;
    buf_add(out, &bare, sizeof bare);
    for (uint32_t i = 0; i < history->topic_count; i++)
        add_topic(out, &history->topics[i]);
    for (uint32_t i = 0; i < history->group_count; i++)
        add_group(out, &history->groups[i]);
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Writes the new file beside the old one and puts it in its place once it is safe on the disk. */
static bool replace_file(const char *path, const char *fresh, const struct buf *out, struct error *error)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(error, ERROR_IO, errno, "create \"%s\"", fresh);
        return false;
    }
    bool written = write_all(fd, out->bytes, out->length) && fsync(fd) == 0;
    int reason = errno;
    if (close(fd) != 0 && written) {
        reason = errno;
        written = false;
    }
    if (written && rename(fresh, path) == 0)
        return true;
    if (written)
        reason = errno;
    error_set_errno(error, ERROR_IO, reason, "write \"%s\"", fresh);
    (void)unlink(fresh); /* what is left of it helps nobody */
    return false;
}

static char *beside(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *name = MEM_ARRAY(size, char);
    (void)snprintf(name, size, "%s%s", path, suffix); /* it fits */
    return name;
}

bool history_save(const struct history *history, const char *path, struct error *error)
{
    struct buf out = buf_make(SIZE_MAX);
    struct file_head head = {.version = VERSION, .layout = layout()};
    memcpy(head.magic, magic, sizeof head.magic);
    buf_add(&out, &head, sizeof head);
    add_payload(&out, history);
    if (!buf_ok(&out)) {
        error_set(error, ERROR_MEMORY, "no memory to write \"%s\"", path);
        buf_free(&out);
        return false;
    }
    head.length = out.length - sizeof head;
    head.checksum = checksum(out.bytes + sizeof head, out.length - sizeof head);
    memcpy(out.bytes, &head, sizeof head);
    char *fresh = beside(path, ".new");
    bool replaced = replace_file(path, fresh, &out, error);
    free(fresh);
    buf_free(&out);
    return replaced;
}

/* --- reading ------------------------------------------------------------------------------------------- */

/* The bytes that are still to be read; once they don't suffice, nothing is read any more. */
struct reader {
    const char *bytes;
    size_t left;
    bool failed;
};

static void take(struct reader *reader, void *into, size_t size)
{
    if (reader->failed || size > reader->left) {
        reader->failed = true;
        memset(into, 0, size);
        return;
    }
    memcpy(into, reader->bytes, size);
    reader->bytes += size;
    reader->left -= size;
}

/* An array of its own; NULL once reading has failed. `extra` zeroed bytes follow it. */
static void *take_array(struct reader *reader, size_t count, size_t size, size_t extra)
{
    if (reader->failed || count > reader->left / size) {
        reader->failed = true;
        return NULL;
    }
    char *array = mem_array(count * size + extra, 1);
    take(reader, array, count * size);
    return array;
}

static void take_topic(struct reader *reader, struct topic_memory *topic)
{
    take(reader, topic, sizeof *topic);
    topic->name = take_array(reader, topic->name_length, 1, 1);
    topic->partitions = take_array(reader, topic->partition_count, sizeof *topic->partitions, 0);
}

static struct chart *take_chart(struct reader *reader)
{
    uint32_t samples = 0;
    struct chart *chart = NULL;
    take(reader, &samples, sizeof samples);
    reader->failed |= samples > CHART_SAMPLES;
    for (uint32_t i = 0; i < samples && !reader->failed; i++) {
        struct chart_sample sample;
        take(reader, &sample, sizeof sample);
        chart = chart_add(chart, &sample);
    }
    return chart;
}

static void take_subscription(struct reader *reader, struct subscription_memory *subscription)
{
    take(reader, subscription, sizeof *subscription);
    subscription->ruled.edition = 0; /* editions are of one process */
    subscription->topic = take_array(reader, subscription->topic_length, 1, 1);
    subscription->positions =
        take_array(reader, subscription->position_count, sizeof *subscription->positions, 0);
    subscription->chart = take_chart(reader);
}

static void take_events(struct reader *reader, struct event_memory *memory)
{
    uint32_t count = memory->count;
    *memory = (struct event_memory){0};
    reader->failed |= count > EVENTS;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct event event;
        take(reader, &event, sizeof event);
        events_restore(memory, &event);
    }
}

static void take_group(struct reader *reader, struct group_memory *group)
{
    take(reader, group, sizeof *group);
    group->ruled.edition = 0;
    uint32_t count = group->subscription_count;
    group->subscription_count = 0;
    group->subscriptions = NULL;
    group->name = take_array(reader, group->name_length, 1, 1);
    take_events(reader, &group->events);
    if (reader->failed || count > reader->left / sizeof *group->subscriptions) {
        reader->failed = true;
        group->subscriptions = NULL;
        return;
    }
    group->subscriptions = MEM_ARRAY(count, struct subscription_memory);
    while (group->subscription_count < count && !reader->failed)
        take_subscription(reader, &group->subscriptions[group->subscription_count++]);
}

/* NULL when the bytes are not what was written. */
static struct history *take_history(struct reader *reader)
{
    struct history *history = MEM_NEW(struct history);
    take(reader, history, sizeof *history);
    uint32_t topics = history->topic_count, groups = history->group_count;
    history->topic_count = history->group_count = 0;
    history->topics = NULL;
    history->groups = NULL;
    history->topic_at = history->group_at = history->subscription_at = NULL;
    history->topic_capacity = topics;
    history->group_capacity = groups;
    reader->failed |=
        topics > reader->left / sizeof *history->topics || groups > reader->left / sizeof *history->groups;
    if (!reader->failed) {
        history->topics = MEM_ARRAY(topics, struct topic_memory);
        history->groups = MEM_ARRAY(groups, struct group_memory);
    }
    while (history->topic_count < topics && !reader->failed)
        take_topic(reader, &history->topics[history->topic_count++]);
    while (history->group_count < groups && !reader->failed)
        take_group(reader, &history->groups[history->group_count++]);
    if (reader->failed || reader->left > 0 || !history_sound(history))
        history_free(&history);
    return history;
}

static struct history *parse(const struct buf *file, struct error *error)
{
    struct reader reader = {file->bytes, file->length, false};
    struct file_head head;
    take(&reader, &head, sizeof head);
    if (reader.failed || memcmp(head.magic, magic, sizeof head.magic) != 0) {
        error_set(error, ERROR_CORRUPT, "this is no history of Tidemark");
        return NULL;
    }
    if (head.version != VERSION || head.layout != layout()) {
        error_set(error, ERROR_UNSUPPORTED, "another version of Tidemark has written it");
        return NULL;
    }
    if (head.length != reader.left || head.checksum != checksum(reader.bytes, reader.left)) {
        error_set(error, ERROR_CORRUPT, "its checksum is wrong");
        return NULL;
    }
    struct history *history = take_history(&reader);
    if (history == NULL)
        error_set(error, ERROR_CORRUPT, "its contents contradict each other");
    return history;
}

static void set_aside(const char *path, struct error *error)
{
    char *aside = beside(path, ".damaged");
    if (rename(path, aside) == 0)
        error_wrap(error, "\"%s\" can't be used and was moved to \"%s\"", path, aside);
    else
        error_wrap(error, "\"%s\" can't be used, nor moved away (%s)", path, strerror(errno));
    free(aside);
}

struct history *history_load(const char *path, struct error *error)
{
    struct buf file = buf_make(SIZE_MAX);
    int fd = file_open(path, error);
    if (fd < 0) {
        error_wrap(error, "open \"%s\"", path);
        return NULL;
    }
    struct history *history = NULL;
    if (!file_read(fd, &file) || !buf_ok(&file)) {
        error_set_errno(error, ERROR_IO, errno, "read \"%s\"", path);
    } else {
        history = parse(&file, error);
        if (history == NULL)
            set_aside(path, error);
    }
    (void)close(fd); /* only read from */
    buf_free(&file);
    return history;
}
