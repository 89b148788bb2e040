#include "exporter/json_lists.h"

#include "exporter/base/mem.h"
#include "exporter/base/number.h"
#include "exporter/json_value.h"

#include <stdlib.h>

/* --- clusters ------------------------------------------------------------------------------------------ */

static void add_stages(struct json_writer *json, const struct source_status *status)
{
    json_put_key(json, "stages");
    json_put_open(json, '[');
    for (int stage = 0; stage < POLL_STAGES; stage++) {
        json_put_open(json, '{');
        json_add_text(json, "stage", poll_stage_name((enum poll_stage)stage));
        json_add_seconds(json, "seconds", status->duration_us[stage] / 1000);
        json_add_int(json, "errors", status->errors_total[stage]);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

static void add_counts(struct json_writer *json, const struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    json_add_int(json, "brokers", snapshot->broker_count > 0 ? snapshot->broker_count : UNKNOWN);
    json_add_int(json, "topics", snapshot->topic_count);
    json_add_int(json, "partitions", snapshot->partition_count);
    json_add_int(json, "groups", snapshot->group_count);
    json_add_int(json, "positions", snapshot->position_count);
}

static void add_cluster(struct json_writer *json, const struct source_view *source)
{
    const struct source_status *status = &source->status;
    json_put_open(json, '{');
    json_add_text(json, "cluster", status->cluster);
    json_add_text(json, "kind", status->kind);
    json_add_text(json, "offsets", status->offsets);
    json_add_text(json, "rebalances", status->rebalances);
    json_add_text(json, "offsets_because", status->because);
    json_add_bool(json, "polled", status->polled);
    json_add_bool(json, "up", status->up);
    json_add_text(json, "reason", status->reason);
    json_add_seconds(json, "last_success", status->last_success);
    json_add_seconds(json, "poll_interval_seconds", status->poll_interval_ms);
    add_counts(json, source->snapshot);
    add_stages(json, status);
    json_put_close(json, '}');
}

void json_add_clusters(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                       struct json_range range)
{
    struct json_list list = json_list_begin(out, now, range);
    json_list_open(&list, "clusters");
    for (size_t i = 0; i < view->source_count; i++)
        if (json_is_asked_for(&view->sources[i], cluster) && json_list_takes_next(&list))
            add_cluster(&list.json, &view->sources[i]);
    json_list_end(&list);
}

/* --- topics -------------------------------------------------------------------------------------------- */

static void add_sums(struct json_writer *json, const struct snapshot *snapshot,
                     const struct snap_topic *topic)
{
    int64_t start = 0, end = 0;
    for (uint32_t i = 0; i < topic->partitions; i++) {
        const struct snap_partition *partition = &snapshot->partitions[topic->first_partition + i];
        bool known = partition->start != UNKNOWN && partition->end != UNKNOWN;
        start = known && start != UNKNOWN ? number_add(start, partition->start) : UNKNOWN;
        end = known && end != UNKNOWN ? number_add(end, partition->end) : UNKNOWN;
    }
    json_add_int(json, "end_sum", end);
    json_add_int(json, "messages", end != UNKNOWN && start != UNKNOWN ? end - start : UNKNOWN);
}

static void add_topic(struct json_writer *json, const struct source_view *source, uint32_t index,
                      uint32_t groups)
{
    const struct snap_topic *topic = &source->snapshot->topics[index];
    const struct topic_config *config = &topic->config;
    json_put_open(json, '{');
    json_add_text(json, "cluster", source->status.cluster);
    json_add_str(json, "topic", topic->name);
    json_add_int(json, "partitions", topic->partitions);
    json_add_int(json, "groups", groups);
    add_sums(json, source->snapshot, topic);
    json_add_text(json, "cleanup_policy", cleanup_policy_name(config->cleanup_policy));
    json_add_seconds(json, "retention_seconds", config->retention_ms >= 0 ? config->retention_ms : UNKNOWN);
    json_add_int(json, "retention_bytes", config->retention_bytes >= 0 ? config->retention_bytes : UNKNOWN);
    json_add_int(json, "min_insync_replicas", config->min_insync_replicas);
    json_put_close(json, '}');
}

/* How many groups have committed on each topic; free() it. */
static uint32_t *count_readers(const struct snapshot *snapshot)
{
    uint32_t *readers = MEM_ARRAY(snapshot->topic_count, uint32_t);
    for (uint32_t i = 0; i < snapshot->subscription_count; i++)
        readers[snapshot->subscriptions[i].topic]++;
    return readers;
}

void json_add_topics(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                     struct json_range range)
{
    struct json_list list = json_list_begin(out, now, range);
    json_list_open(&list, "topics");
    for (size_t i = 0; i < view->source_count; i++) {
        const struct source_view *source = &view->sources[i];
        if (source->snapshot == NULL || !json_is_asked_for(source, cluster))
            continue;
        uint32_t *readers = count_readers(source->snapshot);
        for (uint32_t t = 0; t < source->snapshot->topic_count; t++)
            if (json_list_takes_next(&list))
                add_topic(&list.json, source, t, readers[t]);
        free(readers);
    }
    json_list_end(&list);
}

/* --- events -------------------------------------------------------------------------------------------- */

struct place {
    const struct source_view *source;
    uint32_t group, event; /* indexes */
};

static const struct event_list *list_of(const struct place *place)
{
    return place->source->findings->groups[place->group].events;
}

static int latest_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int64_t time_x = list_of(x)->events[x->event].time, time_y = list_of(y)->events[y->event].time;
    if (time_x != time_y)
        return time_x > time_y ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->event < y->event) - (x->event > y->event);
}

/* Where all events are, in order; free() it. */
static struct place *find_events(const struct view *view, const char *cluster, size_t *count)
{
    struct place *places = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t i = 0; i < view->source_count; i++) {
        const struct source_view *source = &view->sources[i];
        uint32_t groups = source->snapshot != NULL && json_is_asked_for(source, cluster)
                              ? source->snapshot->group_count
                              : 0;
        for (uint32_t g = 0; g < groups; g++) {
            const struct event_list *events = source->findings->groups[g].events;
            for (uint32_t e = 0; events != NULL && e < events->count; e++) {
                places = mem_grow(places, &capacity, *count + 1, sizeof *places);
                places[(*count)++] = (struct place){source, g, e};
            }
        }
    }
    if (*count > 0)
        qsort(places, *count, sizeof *places, latest_first);
    return places;
}

void json_add_all_events(struct buf *out, const struct view *view, int64_t now, const char *cluster,
                         struct json_range range)
{
    size_t count;
    struct place *places = find_events(view, cluster, &count);
    struct json_list list = json_list_begin(out, now, range);
    json_list_open(&list, "events");
    for (size_t i = 0; i < count; i++) {
        if (!json_list_takes_next(&list))
            continue;
        const struct event_list *events = list_of(&places[i]);
        json_put_open(&list.json, '{');
        json_add_text(&list.json, "cluster", places[i].source->status.cluster);
        json_add_str(&list.json, "group", places[i].source->snapshot->groups[places[i].group].name);
        json_add_event(&list.json, &events->events[places[i].event], events->topics[places[i].event]);
        json_put_close(&list.json, '}');
    }
    json_list_end(&list);
    free(places);
}
