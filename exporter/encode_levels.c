#include "exporter/encode_page.h"

enum { LONGEST_NUMBER = 32, RUN = 64 };

/* --- lines --------------------------------------------------------------------------------------------- */

static void begin_series(struct page *page)
{
    page->begun = (struct begun){.group = NO_INDEX};
    line_begin(&page->writer, str_of(metric_row(page->at.metric)->name));
}

/* Many series in a row are of the same metric and source, and of the same group: what they have in common
 * stays. */
static bool has_begun(const struct page *page)
{
    const struct begun *begun = &page->begun;
    return begun->source_length > 0 && begun->metric == page->at.metric && begun->source == page->at.source;
}

static void begin_source_series(struct page *page, const struct source_view *source)
{
    struct begun *begun = &page->begun;
    if (has_begun(page)) {
        line_shorten(&page->writer, begun->source_length);
        begun->group = NO_INDEX;
        return;
    }
    begin_series(page);
    line_label(&page->writer, str_of(page->facts.program->cluster_label), str_of(source->status.cluster));
    begun->metric = page->at.metric;
    begun->source = page->at.source;
    begun->source_length = page->writer.prefix.length;
}

static void begin_group_series(struct page *page, const struct source_view *source, uint32_t group)
{
    struct begun *begun = &page->begun;
    if (has_begun(page) && begun->group == group) {
        line_shorten(&page->writer, begun->group_length);
        return;
    }
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("consumergroup"), source->snapshot->groups[group].name);
    begun->group = group;
    begun->group_length = page->writer.prefix.length;
}

static void add_sample(struct page *page, int64_t value)
{
    if (value == UNKNOWN)
        return;
    if (!page->at.announced && page->writer.out != NULL)
        page_announce(page);
    line_add(&page->writer, value);
}

/* Where some of an item's lines are put together, if they don't stand in memory as they are. */
struct run_memory {
    uint32_t numbers[RUN];
    int64_t values[RUN];
};

/* `count` lines of the item, from its line `first` on. */
typedef struct line_run collect_run(const struct source_view *source, size_t item, union measure measure,
                                    uint32_t first, uint32_t count, struct run_memory *memory);

static bool any_known(const struct line_run *run)
{
    for (uint32_t i = 0; i < run->count; i++)
        if (column_value(run->values, i) != UNKNOWN)
            return true;
    return false;
}

/* Writes an item's lines, or as many as the piece takes. */
static void add_runs(struct page *page, const struct source_view *source, size_t item, union measure measure,
                     uint32_t lines, collect_run *collect)
{
    struct run_memory memory;
    uint32_t line = page->at.line;
    while (line < lines && !page_piece_is_full(page)) {
        uint32_t count = lines - line < RUN ? lines - line : RUN;
        struct line_run run = collect(source, item, measure, line, count, &memory);
        if (!page->at.announced && page->writer.out != NULL && any_known(&run))
            page_announce(page);
        line_add_run(&page->writer, &run);
        line += count;
    }
    page->at.line = line < lines ? line : 0;
}

/* --- one render function a level ----------------------------------------------------------------------- */

static void render_process(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    (void)source, (void)item;
    struct process_subject subject = {&page->facts, page_so_far(page)};
    begin_series(page);
    add_sample(page, measure.process(&subject));
}

static void render_build(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    (void)source, (void)item;
    begin_series(page);
    line_label(&page->writer, STR_LITERAL("version"), str_of(page->facts.program->version));
    line_label(&page->writer, STR_LITERAL("librdkafka_version"),
               str_of(page->facts.program->librdkafka_version));
    add_sample(page, measure.build(&(struct build_subject){&page->facts}));
}

static void render_source(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, measure.source(&(struct source_subject){&source->status}));
}

static void render_source_info(struct page *page, union measure measure, const struct source_view *source,
                               size_t item)
{
    (void)item;
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("kind"), str_of(source->status.kind));
    line_label(&page->writer, STR_LITERAL("offsets"), str_of(source->status.offsets));
    line_label(&page->writer, STR_LITERAL("rebalances"), str_of(source->status.rebalances));
    add_sample(page, measure.source_info(&(struct source_info_subject){&source->status}));
}

static void render_stage(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct stage_subject subject = {&source->status, (enum poll_stage)item};
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("stage"), str_of(poll_stage_name(subject.stage)));
    add_sample(page, measure.stage(&subject));
}

static void render_judged(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, measure.judged(&(struct judged_subject){source->snapshot}));
}

static void render_cluster(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    (void)item;
    begin_source_series(page, source);
    add_sample(page, measure.cluster(&(struct cluster_subject){source->snapshot}));
}

static void render_anomaly(struct page *page, union measure measure, const struct source_view *source,
                           size_t item)
{
    struct anomaly_subject subject = {source->findings, (enum anomaly)item};
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("kind"), str_of(anomaly_name(subject.anomaly)));
    add_sample(page, measure.anomaly(&subject));
}

static void render_broker(struct page *page, union measure measure, const struct source_view *source,
                          size_t item)
{
    struct broker_subject subject = {&source->snapshot->brokers[item]};
    struct buf id = buf_make(LONGEST_NUMBER);
    buf_add_int(&id, subject.broker->id);
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("id"), buf_str(&id));
    line_label(&page->writer, STR_LITERAL("address"), subject.broker->address);
    add_sample(page, measure.broker(&subject));
    buf_free(&id);
}

static void render_topic(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct topic_subject subject = {&source->snapshot->topics[item], &source->findings->topics[item]};
    int64_t value = measure.topic(&subject);
    if (value == UNKNOWN)
        return;
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("topic"), subject.topic->name);
    add_sample(page, value);
}

static void render_topic_info(struct page *page, union measure measure, const struct source_view *source,
                              size_t item)
{
    struct topic_info_subject subject = {&source->snapshot->topics[item]};
    const char *policy = cleanup_policy_name(subject.topic->config.cleanup_policy);
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("topic"), subject.topic->name);
    line_label(&page->writer, STR_LITERAL("cleanup_policy"), str_of(policy != NULL ? policy : ""));
    add_sample(page, measure.topic_info(&subject));
}

static struct line_run collect_partitions(const struct source_view *source, size_t item,
                                          union measure measure, uint32_t first, uint32_t count,
                                          struct run_memory *memory)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct snap_partition *partitions = &snapshot->partitions[snapshot->topics[item].first_partition];
    for (uint32_t i = 0; i < count; i++)
        memory->values[i] = measure.partition(&(struct partition_subject){snapshot, &partitions[first + i]});
    return (struct line_run){column_of(memory->values, sizeof *memory->values), NULL, first, count};
}

static void render_partitions(struct page *page, union measure measure, const struct source_view *source,
                              size_t item)
{
    const struct snap_topic *topic = &source->snapshot->topics[item];
    begin_source_series(page, source);
    line_label(&page->writer, STR_LITERAL("topic"), topic->name);
    line_number_label(&page->writer, STR_LITERAL("partition"));
    add_runs(page, source, item, measure, topic->partitions, collect_partitions);
}

static void render_group(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    struct group_subject subject = {&source->snapshot->groups[item], &source->findings->groups[item]};
    int64_t value = measure.group(&subject);
    if (value == UNKNOWN)
        return;
    begin_group_series(page, source, (uint32_t)item);
    add_sample(page, value);
}

static void render_group_state(struct page *page, union measure measure, const struct source_view *source,
                               size_t item)
{
    for (int state = GROUP_STATE_UNKNOWN + 1; state < GROUP_STATES; state++) {
        struct group_state_subject subject = {&source->snapshot->groups[item], (enum group_state)state};
        begin_group_series(page, source, (uint32_t)item);
        line_label(&page->writer, STR_LITERAL("state"), str_of(group_state_name(subject.state)));
        add_sample(page, measure.group_state(&subject));
    }
}

static void render_group_condition(struct page *page, union measure measure, const struct source_view *source,
                                   size_t item)
{
    for (int condition = 0; condition < CONDITIONS; condition++) {
        struct group_condition_subject subject = {&source->findings->groups[item], (enum condition)condition};
        begin_group_series(page, source, (uint32_t)item);
        line_label(&page->writer, STR_LITERAL("condition"), str_of(condition_name(subject.condition)));
        add_sample(page, measure.group_condition(&subject));
    }
}

static void render_subscription(struct page *page, union measure measure, const struct source_view *source,
                                size_t item)
{
    const struct snap_subscription *subscription = &source->snapshot->subscriptions[item];
    int64_t value =
        measure.subscription(&(struct subscription_subject){&source->findings->subscriptions[item]});
    if (value == UNKNOWN)
        return; /* most are: spares them the labels */
    begin_group_series(page, source, subscription->group);
    line_label(&page->writer, STR_LITERAL("topic"), source->snapshot->topics[subscription->topic].name);
    add_sample(page, value);
}

/* A group on all its topics together, where topics aren't told apart. */
static void render_group_total(struct page *page, union measure measure, const struct source_view *source,
                               size_t item)
{
    struct subscription_findings total = group_total(source->findings, &source->snapshot->groups[item]);
    int64_t value = measure.subscription(&(struct subscription_subject){&total});
    if (value == UNKNOWN)
        return;
    begin_group_series(page, source, (uint32_t)item);
    add_sample(page, value);
}

/* A group that has committed on all partitions of a topic has one position for each: their numbers needn't be
 * read from where they are far apart in memory. */
static struct line_run collect_positions(const struct source_view *source, size_t item, union measure measure,
                                         uint32_t first, uint32_t count, struct run_memory *memory)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct snap_subscription *subscription = &snapshot->subscriptions[item];
    const struct snap_topic *topic = &snapshot->topics[subscription->topic];
    uint32_t begin = subscription->first_position + first;
    struct position_subject subject = {&snapshot->positions[begin], &source->findings->positions[begin]};
    bool all = subscription->positions == topic->partitions;
    for (uint32_t i = 0; i < count && !all; i++)
        memory->numbers[i] = subject.positions[i].partition - topic->first_partition;
    return (struct line_run){measure.position(&subject), all ? NULL : memory->numbers, first, count};
}

static void render_positions(struct page *page, union measure measure, const struct source_view *source,
                             size_t item)
{
    const struct snap_subscription *subscription = &source->snapshot->subscriptions[item];
    begin_group_series(page, source, subscription->group);
    line_label(&page->writer, STR_LITERAL("topic"), source->snapshot->topics[subscription->topic].name);
    line_number_label(&page->writer, STR_LITERAL("partition"));
    add_runs(page, source, item, measure, subscription->positions, collect_positions);
}

static void render_where(struct page *page, union measure measure, const struct source_view *source,
                         size_t item)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct finding *finding = &source->findings->wheres[item];
    struct str topic = STR_LITERAL("");
    struct buf partition = buf_make(LONGEST_NUMBER);
    if (finding->subscription != NO_INDEX)
        topic = snapshot->topics[snapshot->subscriptions[finding->subscription].topic].name;
    if (finding->position != NO_INDEX)
        buf_add_int(&partition,
                    snapshot->partitions[snapshot->positions[finding->position].partition].number);
    begin_group_series(page, source, finding->group);
    line_label(&page->writer, STR_LITERAL("condition"), str_of(condition_name(finding->condition)));
    line_label(&page->writer, STR_LITERAL("topic"), topic);
    line_label(&page->writer, STR_LITERAL("partition"), buf_str(&partition));
    add_sample(page, measure.where(&(struct where_subject){finding}));
    buf_free(&partition);
}

/* --- the table ----------------------------------------------------------------------------------------- */

static size_t one(const struct source_view *source)
{
    (void)source;
    return 1;
}

static size_t stages(const struct source_view *source)
{
    (void)source;
    return POLL_STAGES;
}

static size_t one_judged(const struct source_view *source)
{
    return source->snapshot != NULL;
}

static size_t anomalies(const struct source_view *source)
{
    return source->findings != NULL ? ANOMALIES : 0;
}

static size_t brokers(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->broker_count : 0;
}

static size_t topics(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->topic_count : 0;
}

static size_t groups(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->group_count : 0;
}

static size_t subscriptions(const struct source_view *source)
{
    return source->snapshot != NULL ? source->snapshot->subscription_count : 0;
}

static size_t wheres(const struct source_view *source)
{
    return source->findings != NULL ? source->findings->where_count : 0;
}

static const struct page_level group_totals = {groups, render_group_total, SCOPE_GROUP, GRANULARITY_GROUP,
                                               NULL};

const struct page_level page_levels[METRIC_LEVELS] = {
    [METRIC_LEVEL_process] = {NULL, render_process, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_build] = {NULL, render_build, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_source] = {one, render_source, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_source_info] = {one, render_source_info, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_stage] = {stages, render_stage, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_judged] = {one_judged, render_judged, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_cluster] = {one_judged, render_cluster, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_anomaly] = {anomalies, render_anomaly, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_broker] = {brokers, render_broker, SCOPE_NONE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_topic] = {topics, render_topic, SCOPE_TOPIC, GRANULARITY_TOPIC, NULL},
    [METRIC_LEVEL_topic_info] = {topics, render_topic_info, SCOPE_TOPIC, GRANULARITY_TOPIC, NULL},
    [METRIC_LEVEL_partition] = {topics, render_partitions, SCOPE_TOPIC, GRANULARITY_PARTITION, NULL},
    [METRIC_LEVEL_group] = {groups, render_group, SCOPE_GROUP, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_group_state] = {groups, render_group_state, SCOPE_GROUP, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_group_condition] = {groups, render_group_condition, SCOPE_GROUP, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_where] = {wheres, render_where, SCOPE_WHERE, GRANULARITY_GROUP, NULL},
    [METRIC_LEVEL_subscription] = {subscriptions, render_subscription, SCOPE_SUBSCRIPTION, GRANULARITY_TOPIC,
                                   &group_totals},
    [METRIC_LEVEL_position] = {subscriptions, render_positions, SCOPE_SUBSCRIPTION, GRANULARITY_PARTITION,
                               NULL},
};
